"""Logging in with an OpenID Connect provider: authorization code with PKCE, and what it claims.

What the provider signs is believed only if its signature is of a key that it publishes, by an
algorithm with two keys (never `none`, never a shared secret), and issuer, audience, time and nonce
are what they have to be. Keys are looked up again when a token names one that is not known.

OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE), RFC 9700 (what to take care of).
"""

import base64
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

import jwt
from jwt import PyJWK, PyJWTError

from api.parts import Claimed, LoginAway, LoginRefused
from courtyard.settings import Settings, role_mapping
from devices.users import BadUser, display_name, user_name

CALLBACK = "/login/oidc/callback"
WITHIN_S = 5.0  # a whole request, from the name to the last byte
ANSWER_BYTES = 256 * 1024
TOKEN_CHARACTERS = 16 * 1024
KNOWN_FOR_S = 3600.0  # what the provider says of itself
LOOK_AGAIN_S = 30.0  # at the soonest, for keys that are not among the known ones
SKEW_S = 60  # that its clock and ours may differ
ISSUED_WITHIN_S = 600  # a token is made as somebody logs in
KEYS_AT_MOST = 50
# By what may be signed, and which keys that takes.
ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
KINDS = frozenset(ALGORITHMS.values())
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


# url, body (None: GET), headers. Raises LoginAway.
Fetch = Callable[[str, bytes | None, Mapping[str, str]], Reply]


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a login provider. roles: role and firm by what the role's claim has."""

    issuer: str
    client_id: str
    client_secret: str
    called: str
    scopes: str
    redirect_uri: str
    user_claim: str = "preferred_username"
    email_domain: str = ""
    role_claim: str = ""
    roles: Mapping[str, tuple[str, str | None]] | None = None


def config_of(settings: Settings) -> Config:
    return Config(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        called=settings.oidc_name,
        scopes=settings.oidc_scopes,
        redirect_uri=settings.public_url + CALLBACK,
        user_claim=settings.oidc_user_claim,
        email_domain=settings.oidc_email_domain,
        role_claim=settings.oidc_role_claim,
        roles=role_mapping(settings.oidc_roles),
    )


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorization: str
    token: str
    keys: str
    by_basic: bool  # how the client says who it is


class OidcProvider:
    """One provider. fetch: how it is asked; clock: UTC epoch ms."""

    def __init__(
        self,
        config: Config,
        fetch: Fetch,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._fetch = fetch
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._endpoints: tuple[float, _Endpoints] | None = None
        self._keys: Sequence[Mapping[str, object]] = []
        self._looked_s = float("-inf")

    @property
    def called(self) -> str:
        return self._config.called

    def is_issuer(self, issuer: str) -> bool:
        return issuer == self._config.issuer

    def begin(self, state: str, nonce: str, challenge: str) -> str:
        endpoint = self._discovered().authorization
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._config.client_id,
                "redirect_uri": self._config.redirect_uri,
                "scope": self._config.scopes,
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    def finish(self, code: str, verifier: str, nonce: str) -> Claimed:
        claims = self._claims(self._id_token(code, verifier), nonce)
        return claimed(claims, self._config)

    # What the provider says of itself

    def _discovered(self) -> _Endpoints:
        with self._lock:
            now_s = self._monotonic()
            if self._endpoints is not None and now_s - self._endpoints[0] < KNOWN_FOR_S:
                return self._endpoints[1]
        issuer = self._config.issuer
        found = self._json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise LoginAway(f"it calls itself {str(found.get('issuer'))[:100]!r}, not {issuer!r}")
        methods = found.get("token_endpoint_auth_methods_supported")
        endpoints = _Endpoints(
            authorization=self._endpoint(found, "authorization_endpoint"),
            token=self._endpoint(found, "token_endpoint"),
            keys=self._endpoint(found, "jwks_uri"),
            by_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )
        with self._lock:
            self._endpoints = (now_s, endpoints)
        return endpoints

    def _endpoint(self, found: Mapping[str, object], name: str) -> str:
        """https, as the issuer is; http only where the issuer is on this machine, too."""
        url = found.get(name)
        parts = urlsplit(url if isinstance(url, str) else "")
        own = urlsplit(self._config.issuer)
        is_fine = parts.scheme == "https" or (
            own.scheme == "http" and (parts.scheme, parts.hostname) == ("http", own.hostname)
        )
        if not is_fine or not parts.hostname or not isinstance(url, str):
            raise LoginAway(f"its {name} is {str(url)[:100]!r}: expected an https:// URL")
        return url

    def _json(self, url: str, body: bytes | None = None, **headers: str) -> dict[str, object]:
        said = {"Accept": "application/json", **headers}
        reply = self._fetch(url, body, said)
        try:
            found = json.loads(reply.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise LoginAway(f"{urlsplit(url).path} answered {reply.status}, and no JSON object")
        if reply.status != 200:
            what = f"{urlsplit(url).path} answered {reply.status}: {str(found.get('error'))[:100]}"
            raise LoginRefused(what) if 400 <= reply.status < 500 and body else LoginAway(what)
        return found

    # A token

    def _id_token(self, code: str, verifier: str) -> str:
        config, endpoints = self._config, self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": config.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if config.client_secret and endpoints.by_basic:
            pair = f"{quote(config.client_id, safe='')}:{quote(config.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = config.client_id
            if config.client_secret:
                form["client_secret"] = config.client_secret
        answer = self._json(endpoints.token, urlencode(form).encode(), **headers)
        token = answer.get("id_token")
        if not isinstance(token, str) or len(token) > TOKEN_CHARACTERS:
            raise LoginRefused("the answer has no id_token of a size that can be read")
        return token

    def _claims(self, token: str, nonce: str) -> dict[str, object]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = str(header.get("alg"))
            if algorithm not in ALGORITHMS:
                raise LoginRefused(f"a token signed by {algorithm[:20]!r} is not taken")
            if "crit" in header:
                raise LoginRefused("the token asks for extensions that we do not know")
            key = self._key(header.get("kid"), algorithm)
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._config.client_id,
                issuer=self._config.issuer,
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    # by our own clock, below
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except PyJWTError as error:
            raise LoginRefused(f"the token is not in order: {error}") from error
        self._check_time(claims)
        audience = claims["aud"]
        party = claims.get("azp")
        is_shared = isinstance(audience, list) and len(audience) > 1
        if (is_shared or party is not None) and party != self._config.client_id:
            raise LoginRefused("the token was made for another client")
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
            raise LoginRefused("the token is not of this login: its nonce is another one")
        return claims

    def _check_time(self, claims: Mapping[str, object]) -> None:
        now_s = self._clock() / 1000
        times = {name: claims.get(name) for name in ("exp", "iat", "nbf")}
        for name, at_s in times.items():
            is_number = isinstance(at_s, int | float) and not isinstance(at_s, bool)
            if not is_number and not (name == "nbf" and at_s is None):
                raise LoginRefused(f"the token's {name} is no time")
        expires_s, issued_s, valid_s = (float(str(at_s or 0)) for at_s in times.values())
        if expires_s + SKEW_S <= now_s:
            raise LoginRefused(f"the token has expired {now_s - expires_s:.0f} s ago")
        if max(issued_s, valid_s) - SKEW_S > now_s:
            raise LoginRefused("the token is of the future: compare the clocks")
        if issued_s + ISSUED_WITHIN_S + SKEW_S < now_s:
            raise LoginRefused(f"the token was made {now_s - issued_s:.0f} s ago")

    # Keys

    def _key(self, kid: object, algorithm: str) -> PyJWK:
        """The one key that this token can be signed with."""
        found = self._known_key(kid, algorithm)
        if found is None and self._may_look_again():
            self._look_for_keys()
            found = self._known_key(kid, algorithm)
        if found is None:
            raise LoginRefused(f"its provider has no key {str(kid)[:60]!r} for {algorithm}")
        return found

    def _known_key(self, kid: object, algorithm: str) -> PyJWK | None:
        fitting = [
            one
            for one in self._keys
            if one.get("kty") == ALGORITHMS[algorithm]
            and one.get("alg", algorithm) == algorithm
            and one.get("crv") == CURVES.get(algorithm, one.get("crv"))
            and (kid is None or one.get("kid") == kid)
        ]
        return PyJWK(dict(fitting[0]), algorithm) if len(fitting) == 1 else None

    def _may_look_again(self) -> bool:
        """Not for every token that somebody makes up."""
        with self._lock:
            now_s = self._monotonic()
            if now_s - self._looked_s < LOOK_AGAIN_S:
                return False
            self._looked_s = now_s
            return True

    def _look_for_keys(self) -> None:
        found = self._json(self._discovered().keys).get("keys")
        self._keys = [
            one
            for one in (found[:KEYS_AT_MOST] if isinstance(found, list) else [])
            # a shared secret is no published key
            if isinstance(one, dict) and one.get("use", "sig") == "sig" and one.get("kty") in KINDS
        ]


def claimed(claims: Mapping[str, object], config: Config) -> Claimed:
    """Who it is, and what a new user of theirs would be. Raises LoginRefused."""
    value = _at(claims, config.user_claim)
    if not isinstance(value, str):
        raise LoginRefused(f"the token has no {config.user_claim} that is text")
    if config.user_claim == "email":
        if claims.get("email_verified") is not True:
            raise LoginRefused("the e-mail address was not verified by the provider")
        value, _, domain = value.rpartition("@")
        if domain.lower() != config.email_domain.lower():
            raise LoginRefused(f"the e-mail address is not of {config.email_domain}")
    try:
        name = user_name(value)
        shown = claims.get("name")
        display = display_name(shown if isinstance(shown, str) else "", name)
    except BadUser as error:
        raise LoginRefused(str(error)) from error
    role, firm = _role(_at(claims, config.role_claim), config.roles or {})
    return Claimed(name, display, role, firm)


def _role(
    value: object, roles: Mapping[str, tuple[str, str | None]]
) -> tuple[str | None, str | None]:
    """The first of the mapping that the claim has."""
    has = value if isinstance(value, list) else [value]
    return next((meant for said, meant in roles.items() if said in has), (None, None))


def _at(claims: Mapping[str, object], path: str) -> object:
    """A claim, or one within another: `realm_access.roles`."""
    if path in claims:  # a name may have dots of its own, as in https://example.org/roles
        return claims[path]
    found: object = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


# Requests


def fetch(url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
    """An answer, whatever its status; redirects are not followed. Raises LoginAway.

    Bounded in time, also where a server sends a byte now and then, and in size.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=WITHIN_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=WITHIN_S)
    cut = threading.Event()
    deadline: threading.Timer | None = None
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        connection.connect()
        sock = connection.sock
        deadline = threading.Timer(WITHIN_S, _cut, [sock, cut])
        deadline.daemon = True
        deadline.start()
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        answer = connection.getresponse()
        read = answer.read(ANSWER_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise LoginAway(f"{host} does not answer: {type(error).__name__}") from error
    finally:
        if deadline is not None:
            deadline.cancel()
        connection.close()
    if cut.is_set():
        raise LoginAway(f"{host} gave no whole answer within {WITHIN_S:g} s")
    if len(read) > ANSWER_BYTES:
        raise LoginAway(f"{host} answers with more than {ANSWER_BYTES // 1024} KiB")
    return Reply(answer.status, read)


def _cut(sock: socket.socket, cut: threading.Event) -> None:
    """End it while somebody waits for it."""
    cut.set()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
