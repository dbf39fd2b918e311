"""A login provider after the specifications, for tests: OpenID Connect Core and Discovery, PKCE.

It knows one client and one person, and can be told to misbehave. Written without any code of ours;
what it signs it signs by PyJWT, or by hand where that would refuse.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

CLIENT, SECRET = "courtyard", "a client's secret: with/odd characters"
END_S = 5


def a_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def published(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    """As a provider publishes it."""
    jwk: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(key.public_key()))
    return jwk | {"kid": kid, "use": "sig", "alg": "ES256"}


@dataclass
class StandIn:
    """claims: changed in every token. sign: how a token is signed. asked: paths, in order."""

    issuer: str = "https://id.example"
    redirect_uri: str = "https://courtyard.example/login/oidc/callback"
    now_s: int = 1_795_434_130
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "preferred_username": "zhang-wei",
            "name": "张伟",
            "groups": ["duty"],
        }
    )
    claims: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    asked: list[str] = field(default_factory=list)
    secret: str = SECRET

    def __post_init__(self) -> None:
        self.kid = "first"
        self.key = a_key()
        self.keys: list[dict[str, Any]] = [published(self.key, self.kid)]
        self._codes: dict[str, dict[str, str]] = {}

    def rotate(self, kid: str) -> None:
        """Another key from now on; the one before is not published any more."""
        self.kid, self.key = kid, a_key()
        self.keys = [published(self.key, kid)]

    def authorize(self, address: str) -> str:
        """What a browser is sent back with, once the person has logged in there."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["redirect_uri"] == self.redirect_uri
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer, "session_state": "s"}
        return f"{self.redirect_uri}?{urlencode(back)}"

    def reply(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """An answer to a request that has no person behind it."""
        path = urlsplit(url).path
        self.asked.append(path)
        if path.endswith("/.well-known/openid-configuration"):
            return 200, json.dumps(self._described()).encode()
        if path.endswith("/jwks"):
            return 200, json.dumps({"keys": self.keys}).encode()
        if path.endswith("/token") and body is not None:
            return self._token(body.decode(), headers)
        return 404, b"{}"

    def _described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        } | self.discovery

    def _token(self, body: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        form = {name: values[0] for name, values in parse_qs(body).items()}
        scheme, _, pair = headers.get("Authorization", "").partition(" ")
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if scheme == "Basic":
            name, secret = map(unquote, base64.b64decode(pair).decode().split(":"))
        if (name, secret) != (CLIENT, self.secret):
            return 401, b'{"error": "invalid_client"}'
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != self.redirect_uri
            or challenge != asked["code_challenge"]
        ):
            return 400, b'{"error": "invalid_grant"}'
        claims = {
            "iss": self.issuer,
            "sub": "4711",
            "aud": CLIENT,
            "iat": self.now_s,
            "exp": self.now_s + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.sign(claims) if self.sign is not None else self.signed(claims)
        answer = {"access_token": "x", "token_type": "Bearer", "id_token": token}
        return 200, json.dumps(answer).encode()

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": self.kid})


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token that no library would make."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[str]:
    """It on a free port of this machine, where the person logs in by pressing a button."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path != "/authorize":
                self._say(*stand_in.reply(self.path, None, dict(self.headers)))
                return
            if "yes=1" not in self.path:
                page = f'<!doctype html><title>id</title><a href="{self.path}&amp;yes=1">Go on</a>'
                self._say(200, page.encode(), "text/html")
                return
            self.send_response(302)
            self.send_header("Location", stand_in.authorize(self.path))
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._say(*stand_in.reply(self.path, body, dict(self.headers)))

        def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a test says what it wants to know."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stand_in.issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(END_S)
