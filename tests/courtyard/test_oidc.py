"""What a login provider says is believed only when all of it is as it has to be."""

import json
import socket
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from api.parts import Claimed, LoginAway, LoginRefused
from courtyard import oidc
from courtyard.oidc import Config, OidcProvider, Reply
from tests.oidc_provider import CLIENT, SECRET, StandIn, a_key, by_hand, published

VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Seconds:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class House:
    """A provider, and ours that talks to it."""

    def __init__(self, **config: Any) -> None:
        self.stand_in = StandIn()
        self.monotonic = Seconds()
        self.config = Config(
            **{
                "issuer": self.stand_in.issuer,
                "client_id": CLIENT,
                "client_secret": SECRET,
                "called": "SSO",
                "scopes": "openid profile",
                "redirect_uri": self.stand_in.redirect_uri,
                **config,
            }
        )
        self.ours = OidcProvider(
            self.config, self.fetch, lambda: self.stand_in.now_s * 1000, self.monotonic
        )

    def fetch(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        return Reply(*self.stand_in.reply(url, body, headers))

    def log_in(self, nonce: str = "n1", verifier: str = VERIFIER) -> Claimed:
        back = self.stand_in.authorize(self.ours.begin("s1", "n1", CHALLENGE))
        code = back.partition("code=")[2].partition("&")[0]
        return self.ours.finish(code, verifier, nonce)


def test_somebody_logs_in_and_is_who_the_provider_says() -> None:
    house = House()
    assert house.log_in() == Claimed("zhang-wei", "张伟")
    house.log_in()
    assert house.stand_in.asked.count("/jwks") == 1, "keys are known until one is missing"
    assert house.stand_in.asked.count("/.well-known/openid-configuration") == 1


def test_a_client_without_a_secret_and_one_that_sends_it_in_the_form_log_in_too() -> None:
    public = House(client_secret="")
    public.stand_in.secret = ""
    assert public.log_in().name == "zhang-wei"
    posting = House()
    posting.stand_in.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert posting.log_in().name == "zhang-wei"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "somebody-else"},
        {"aud": ["courtyard", "other"]},
        {"aud": ["courtyard", "other"], "azp": "other"},
        {"azp": "other"},
        {"iss": "https://id.example.evil"},
        {"iss": "https://id.example/"},
        {"iss": None},
        {"sub": None},
        {"exp": StandIn.now_s - 61},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": StandIn.now_s + 61, "exp": StandIn.now_s + 900},
        {"iat": StandIn.now_s - 700},
        {"iat": None},
        {"nbf": StandIn.now_s + 61},
        {"preferred_username": None},
        {"preferred_username": 7},
        {"preferred_username": "Zhang Wei"},
        {"preferred_username": "system"},
    ],
)
def test_a_token_that_says_something_else_is_refused(claims: dict[str, Any]) -> None:
    house = House()
    house.stand_in.claims = claims
    with pytest.raises(LoginRefused):
        house.log_in()


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": StandIn.now_s - 59},
        {"iat": StandIn.now_s + 59},
        {"aud": ["courtyard"]},
        {"aud": ["courtyard", "other"], "azp": "courtyard"},
    ],
)
def test_clocks_may_differ_by_a_minute_and_audiences_may_be_listed(claims: dict[str, Any]) -> None:
    house = House()
    house.stand_in.claims = claims
    assert house.log_in().name == "zhang-wei"


def as_none(stand_in: StandIn, claims: dict[str, Any]) -> str:
    return by_hand({"alg": "none"}, claims)


def as_none_in_capitals(stand_in: StandIn, claims: dict[str, Any]) -> str:
    return by_hand({"alg": "NONE", "kid": stand_in.kid}, claims)


def by_the_public_key_as_secret(stand_in: StandIn, claims: dict[str, Any]) -> str:
    public = stand_in.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = {"alg": "HS256", "kid": stand_in.kid}
    text = by_hand(head, claims).rpartition(".")[0]
    import hmac

    signature = hmac.digest(public, text.encode(), "sha256")
    return f"{text}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def by_the_clients_secret(_: StandIn, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET, algorithm="HS256")


def by_another_key(stand_in: StandIn, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, a_key(), algorithm="ES256", headers={"kid": stand_in.kid})


def by_a_key_that_it_brings(_: StandIn, claims: dict[str, Any]) -> str:
    key = a_key()
    jwk = published(key, "mine")
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "mine", "jwk": jwk})


def with_extensions(stand_in: StandIn, claims: dict[str, Any]) -> str:
    head = {"kid": stand_in.kid, "crit": ["b64"], "b64": True}
    return jwt.encode(claims, stand_in.key, algorithm="ES256", headers=head)


def changed_afterwards(stand_in: StandIn, claims: dict[str, Any]) -> str:
    head, _, signature = stand_in.signed(claims).split(".")
    other = json.dumps(claims | {"preferred_username": "li-min"}).encode()
    return f"{head}.{urlsafe_b64encode(other).decode().rstrip('=')}.{signature}"


def with_the_wrong_algorithm(stand_in: StandIn, claims: dict[str, Any]) -> str:
    return by_hand({"alg": "RS256", "kid": stand_in.kid}, claims, b"x" * 64)


def no_token_at_all(_: StandIn, __: dict[str, Any]) -> str:
    return "nonsense"


def far_too_long(stand_in: StandIn, claims: dict[str, Any]) -> str:
    return stand_in.signed(claims | {"x": "y" * 20_000})


@pytest.mark.parametrize(
    "forge",
    [
        as_none,
        as_none_in_capitals,
        by_the_public_key_as_secret,
        by_the_clients_secret,
        by_another_key,
        by_a_key_that_it_brings,
        with_extensions,
        changed_afterwards,
        with_the_wrong_algorithm,
        no_token_at_all,
        far_too_long,
    ],
)
def test_a_token_that_was_forged_is_refused(
    forge: Callable[[StandIn, dict[str, Any]], str],
) -> None:
    house = House()
    house.log_in()  # its keys are known
    house.stand_in.sign = lambda claims: forge(house.stand_in, claims)
    with pytest.raises(LoginRefused):
        house.log_in()


def test_keys_that_change_are_looked_up_but_not_for_every_made_up_name() -> None:
    house = House()
    house.log_in()
    house.stand_in.rotate("second")
    with pytest.raises(LoginRefused):
        house.log_in()  # asked a moment ago
    house.monotonic.at += 31
    assert house.log_in().name == "zhang-wei"
    asked = house.stand_in.asked.count("/jwks")
    house.stand_in.sign = lambda claims: by_a_key_that_it_brings(house.stand_in, claims)
    for _ in range(5):
        with pytest.raises(LoginRefused):
            house.log_in()
    assert house.stand_in.asked.count("/jwks") == asked


def test_a_published_key_that_may_not_sign_or_is_a_secret_is_not_taken() -> None:
    house = House()
    house.stand_in.keys = [house.stand_in.keys[0] | {"use": "enc"}]
    with pytest.raises(LoginRefused):
        house.log_in()
    secret = House()
    k = urlsafe_b64encode(b"s" * 32).decode()
    secret.stand_in.keys = [{"kty": "oct", "kid": "first", "k": k, "alg": "HS256"}, "nonsense"]  # type: ignore[list-item]
    secret.stand_in.sign = lambda claims: jwt.encode(
        claims, b"s" * 32, algorithm="HS256", headers={"kid": "first"}
    )
    with pytest.raises(LoginRefused):
        secret.log_in()


def test_another_verifier_and_a_code_that_was_used_open_nothing() -> None:
    house = House()
    with pytest.raises(LoginRefused):
        house.log_in(verifier="w" * 64)
    with pytest.raises(LoginRefused):
        house.ours.finish("made-up", VERIFIER, "n1")
    with pytest.raises(LoginRefused):
        house.log_in(nonce="n2")


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://id.example.evil"},
        {"token_endpoint": "http://id.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_asked(discovery: dict[str, Any]) -> None:
    house = House()
    house.stand_in.discovery = discovery
    with pytest.raises(LoginAway):
        house.ours.begin("s", "n", CHALLENGE)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
def test_what_is_no_json_object_is_said_to_be_away(body: bytes) -> None:
    house = House()
    ours = OidcProvider(house.config, lambda *_: Reply(200, body), lambda: 0)
    with pytest.raises(LoginAway):
        ours.begin("s", "n", CHALLENGE)


class TestWhoTheyAre:
    def test_a_new_user_is_what_the_mapping_says_and_else_nobody(self) -> None:
        roles = {"duty": ("operator", None), "yaxin": ("firm", "yaxin")}
        house = House(role_claim="groups", roles=roles)
        assert house.log_in().role == "operator"
        house.stand_in.person["groups"] = ["others", "yaxin"]
        assert house.log_in() == Claimed("zhang-wei", "张伟", "firm", "yaxin")
        house.stand_in.person["groups"] = ["others"]
        assert house.log_in().role is None
        nested = House(role_claim="realm.roles", roles=roles)
        nested.stand_in.person["realm"] = {"roles": ["duty"]}
        assert nested.log_in().role == "operator"
        nested.stand_in.person["realm"] = "duty"
        assert nested.log_in().role is None

    @pytest.mark.parametrize(
        ("claims", "name"),
        [
            ({"email": "li@district.example", "email_verified": True}, "li"),
            ({"email": "li@DISTRICT.example", "email_verified": True}, "li"),
            ({"email": "li@district.example", "email_verified": "true"}, None),
            ({"email": "li@district.example", "email_verified": False}, None),
            ({"email": "li@district.example"}, None),
            ({"email": "li@elsewhere.example", "email_verified": True}, None),
            ({"email": "li@elsewhere.example@district.example", "email_verified": True}, None),
            ({"email": "li", "email_verified": True}, None),
        ],
    )
    def test_an_address_counts_when_the_provider_verified_it(
        self, claims: dict[str, Any], name: str | None
    ) -> None:
        house = House(user_claim="email", email_domain="district.example")
        house.stand_in.person = claims
        if name is not None:
            assert house.log_in().name == name
            return
        with pytest.raises(LoginRefused):
            house.log_in()


class TestRequests:
    def test_nobody_there_is_away(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            with pytest.raises(LoginAway):
                oidc.fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/x", None, {})

    def test_a_server_that_drips_is_cut_off_and_a_large_answer_is_not_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(oidc, "WITHIN_S", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as server:
            stop = threading.Event()

            def drip() -> None:
                connection, _ = server.accept()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        break
                connection.close()

            thread = threading.Thread(target=drip)
            thread.start()
            with pytest.raises(LoginAway):
                oidc.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/x", None, {})
            stop.set()
            thread.join(5)
