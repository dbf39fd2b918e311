"""Logging in with what somebody has elsewhere: there to the provider, and back with its word.

What must not be forged on the way (state, nonce, PKCE's verifier) is in a cookie that we sign, for
ten minutes and one use. Whoever comes back becomes the user of that name; who is not one yet is
made one only where the settings say as what.
"""

import hashlib
import hmac
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections import OrderedDict
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.console.login import is_setup_open, logged_in_by, own_path
from api.console.pages import Page, PageOf, remember_language
from api.errors import NotFound
from api.identity import EVERYONE
from api.new_people import made_password
from api.parts import Claimed, LoginAway, LoginProvider, LoginRefused, Parts, PartsOf
from api.turns import Turns
from devices.audit import Entry, Origin
from devices.store import audit_log, users
from devices.store.database import reading, writing
from devices.store.scope import DISTRICT
from devices.store.tokens import BadToken
from devices.store.users import NewUser, TooManyUsers, UnknownUser, User

COOKIE = "courtyard_oidc"
PATH = "/login/oidc"
LASTS_MS = 10 * 60_000
USED_KEPT = 10_000  # states; older ones have expired, or their cookie is gone
AT_ONCE, WAITING, WAIT_S = 4, 8, 5.0  # requests to the provider: a thread of ours each
MADE_BY = "oidc"

router = APIRouter(include_in_schema=False, dependencies=[EVERYONE])
log = structlog.get_logger()

TextOf = Annotated[str, Query(max_length=4096)]


class Underway(msgspec.Struct, array_like=True, frozen=True):
    """A login that somebody has begun. to: where they wanted to go."""

    state: str
    nonce: str
    verifier: str
    to: str
    until_ms: int


class UsedStates:
    """States that came back: none does twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: OrderedDict[str, None] = OrderedDict()

    def take(self, state: str) -> bool:
        """False for one that was used before."""
        with self._lock:
            if state in self._used:
                return False
            self._used[state] = None
            while len(self._used) > USED_KEPT:
                self._used.popitem(last=False)
            return True


class Logins:
    """What the routes keep between requests."""

    def __init__(self) -> None:
        self.used = UsedStates()
        self.turns = Turns("the login provider", AT_ONCE, WAITING, WAIT_S)


@router.get(PATH)
def begin(
    request: Request, parts: PartsOf, page: PageOf, to: Annotated[TextOf, Query(alias="next")] = "/"
) -> Response:
    """To the provider."""
    provider = _provider(parts)
    if is_setup_open(parts):
        return RedirectResponse("/setup", 303)
    verifier = secrets.token_urlsafe(48)
    underway = Underway(
        secrets.token_urlsafe(24),
        secrets.token_urlsafe(24),
        verifier,
        own_path(to)[:500],
        parts.now_ms() + LASTS_MS,
    )
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    logins: Logins = request.app.state.logins
    try:
        with logins.turns.turn():
            address = provider.begin(underway.state, underway.nonce, challenge)
    except LoginAway as error:
        log.warning("login_provider_away", reason=str(error))
        return _refused(page, parts, "login_oidc_away", 503)
    answer = RedirectResponse(address, 303)
    answer.set_cookie(
        COOKIE,
        _sealed(parts.deps.secret_key, underway),
        max_age=LASTS_MS // 1000,
        path=PATH,
        httponly=True,
        samesite="lax",  # the provider leads back here, from another site
        secure=request.url.scheme == "https",
    )
    return answer


@router.get(f"{PATH}/callback")
def callback(
    request: Request,
    parts: PartsOf,
    page: PageOf,
    code: TextOf = "",
    state: TextOf = "",
    error: TextOf = "",
    issuer: Annotated[TextOf, Query(alias="iss")] = "",
    # what providers say besides, and we do not need
    error_description: TextOf = "",  # noqa: ARG001
    error_uri: TextOf = "",  # noqa: ARG001
    session_state: TextOf = "",  # noqa: ARG001
    scope: TextOf = "",  # noqa: ARG001
    authuser: TextOf = "",  # noqa: ARG001
    prompt: TextOf = "",  # noqa: ARG001
) -> Response:
    """Back from the provider: who they are, and on to where they wanted to go."""
    provider = _provider(parts)
    answer = _come_back(request, parts, page, provider, code, state, error, issuer)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax")
    return answer


def _come_back(
    request: Request,
    parts: Parts,
    page: Page,
    provider: LoginProvider,
    code: str,
    state: str,
    error: str,
    issuer: str,
) -> Response:
    logins: Logins = request.app.state.logins
    now_ms = parts.now_ms()
    underway = _opened(parts.deps.secret_key, request.cookies.get(COOKIE, ""))
    if (
        underway is None
        or now_ms >= underway.until_ms
        or not hmac.compare_digest(underway.state.encode(), state.encode())
        or not logins.used.take(state)
    ):
        return _refused(page, parts, "login_oidc_again", 400)
    if issuer and not provider.is_issuer(issuer):
        log.warning("login_refused", reason="another provider answered (iss)")
        return _refused(page, parts, "login_oidc_refused", 403)
    if error or not code:
        log.info("login_refused", reason=f"the provider says {error[:60]!r}")
        return _refused(page, parts, "login_oidc_refused", 403)
    if is_setup_open(parts):
        return RedirectResponse("/setup", 303)
    try:
        with logins.turns.turn():
            who = provider.finish(code, underway.verifier, underway.nonce)
    except LoginAway as away:
        log.warning("login_provider_away", reason=str(away))
        return _refused(page, parts, "login_oidc_away", 503)
    except LoginRefused as refused:
        log.warning("login_refused", reason=str(refused))
        return _refused(page, parts, "login_oidc_refused", 403)
    user = _user(request, parts, who, now_ms)
    if user is None or user.disabled_at_ms is not None:
        log.warning("login_refused", reason="no user may log in under that name", name=who.name)
        return _refused(page, parts, "login_oidc_nobody", 403)
    # A page of ours leads on: a browser that came here from another site would not send the new
    # cookie along with a redirect.
    answer = page.render("login_done.html", to=underway.to)
    logged_in_by(request, parts, user.token, answer)
    if user.language is not None:
        remember_language(answer, user.language)
    return answer


def _user(request: Request, parts: Parts, who: Claimed, now_ms: int) -> User | None:
    """The user of that name, made if the settings say as what; each login is on record."""
    password = ""
    with reading(parts.deps.engine) as connection:
        try:
            users.find_user(connection, DISTRICT, who.name)
        except UnknownUser:
            if who.role is None or parts.deps.passwords is None:
                return None
            password = parts.deps.passwords.hashed(made_password())  # nobody knows it
    try:
        with writing(parts.deps.engine) as connection:
            if password:
                new = NewUser(who.name, who.display, who.role or "", who.firm, None, password)
                user = users.add_user(connection, new, MADE_BY, now_ms)
            else:
                user = users.find_user(connection, DISTRICT, who.name)
            if user.disabled_at_ms is None:
                audit_log.append(connection, _entry(request, user, bool(password), now_ms))
    except (BadToken, TooManyUsers, UnknownUser) as error:
        log.warning("login_user_not_made", name=who.name, reason=str(error))
        return None
    return user


def _entry(request: Request, user: User, is_new: bool, now_ms: int) -> Entry:
    detail = {"role": user.role.value, "firm": user.firm} if is_new else {}
    return Entry(
        at_ms=now_ms,
        actor=user.name,
        role=user.role.value,
        token=user.token,
        origin=Origin.CONSOLE,
        address=request.client.host if request.client else "",
        method="GET",
        resource=f"{PATH}/callback",
        subject=f"made {user.name}" if is_new else "",
        detail=detail,
    )


def _provider(parts: Parts) -> LoginProvider:
    if parts.deps.login_provider is None:
        raise NotFound
    return parts.deps.login_provider


def _refused(page: Page, parts: Parts, word: str, status: int) -> Response:
    called = "" if parts.deps.login_provider is None else parts.deps.login_provider.called
    wrong = page.say(word, called=called)
    return page.render("login.html", status, to="/", name="", wrong=wrong, provider=called)


def _sealed(key: bytes, underway: Underway) -> str:
    body = urlsafe_b64encode(msgspec.json.encode(underway)).decode()
    return f"{_sign(key, body)}.{body}"


def _opened(key: bytes, text: str) -> Underway | None:
    """What a cookie says; None for one that is not ours."""
    signature, _, body = text.partition(".")
    if not hmac.compare_digest(signature.encode(errors="replace"), _sign(key, body).encode()):
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(body), type=Underway)
    except (NoBase64, ValueError, msgspec.MsgspecError):
        return None


def _sign(key: bytes, body: str) -> str:
    text = b"login\0" + body.encode(errors="replace")
    return urlsafe_b64encode(hmac.digest(key, text, "sha256")).decode().rstrip("=")
