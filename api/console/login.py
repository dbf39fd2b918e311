"""Logging in, by name and password or with a token, and out again."""

import hmac
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import audited
from api.attempts import KNOWN_COOKIE, known_mark, network_of
from api.console.pages import Page, PageOf, remember_language
from api.identity import COOKIE, EVERYONE, refuse_other_sites
from api.once import TooMany
from api.parts import Parts, PartsOf
from devices.store import tokens, users
from devices.store.database import reading, writing
from devices.users import LONGEST, BadUser, user_name

KNOWN_FOR_S = 180 * 86_400

router = APIRouter(include_in_schema=False, dependencies=[EVERYONE])

log = structlog.get_logger()


@router.get("/login")
def show_login(
    parts: PartsOf, page: PageOf, to: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """The form; before there is anybody who could log in, the way to make the first."""
    if is_setup_open(parts):
        return RedirectResponse("/setup", 303)
    return _form(page, to)


@router.post("/login")
def log_in(
    request: Request,
    parts: PartsOf,
    page: PageOf,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=4 * LONGEST)] = "",
    token: Annotated[str, Form(max_length=200)] = "",
    to: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Turn a password or a token into a session, and go on to where they came from."""
    refuse_other_sites(request)
    if not token:
        try:
            return _by_password(request, parts, page, name, password, to)
        except TooMany as wait:
            answer = _form(page, to, name=name, wrong=page.say("login_wait"), status=wait.status)
            answer.headers.update(wait.headers)
            return answer
    with reading(parts.deps.engine) as connection:
        who = tokens.identify(connection, token.strip(), parts.now_ms())
    if who is None:
        return _form(page, to, wrong=page.say("login_wrong"))
    audited.sent_by(who.name, who.role, who.token_id)
    return opened(request, parts, who.token_id, to)


@router.post("/logout")
def log_out(request: Request, parts: PartsOf) -> Response:
    """End the session, here and in the database."""
    refuse_other_sites(request)
    session = request.cookies.get(COOKIE)
    if session:
        with writing(parts.deps.engine) as connection:
            who = tokens.session_identity(connection, session, parts.now_ms())
            if who is not None:
                audited.sent_by(who.name, who.role, who.token_id)
            tokens.close_session(connection, session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def opened(request: Request, parts: Parts, token: int, to: str) -> Response:
    """On to `to`, with a new session of this token or user."""
    answer = RedirectResponse(own_path(to), 303)
    logged_in_by(request, parts, token, answer)
    return answer


def logged_in_by(request: Request, parts: Parts, token: int, answer: Response) -> None:
    """Give this answer a new session of a token or user."""
    with writing(parts.deps.engine) as connection:
        session = tokens.open_session(connection, token, parts.now_ms())
    answer.set_cookie(
        COOKIE,
        session,
        max_age=tokens.SESSION_MS // 1000,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def address_of(request: Request) -> str:
    """Where it comes from, as failures are counted."""
    return network_of(request.client.host if request.client else "")


def is_setup_open(parts: Parts) -> bool:
    """Whether the first user is still to be made here; never in a demo, which lets visitors in."""
    if parts.deps.demo or parts.deps.passwords is None:
        return False
    with reading(parts.deps.engine) as connection:
        return users.needs_setup(connection)


def _by_password(
    request: Request, parts: Parts, page: Page, written: str, password: str, to: str
) -> Response:
    """Raises TooMany. A name that nobody has is answered like a wrong password, and as fast."""
    passwords, engine = parts.deps.passwords, parts.deps.engine
    refused = _form(page, to, name=written, wrong=page.say("login_wrong_password"))
    try:
        name = user_name(written)
    except BadUser:
        return refused
    if passwords is None:
        return refused
    with reading(engine) as connection:
        known = users.password_of(connection, name)
    token, kept = known or (0, None)
    place = address = address_of(request)
    mark = "" if kept is None else known_mark(parts.deps.secret_key, name, kept)
    shown = request.cookies.get(KNOWN_COOKIE, "")
    if mark and hmac.compare_digest(mark.encode(), shown.encode(errors="replace")):
        place, address = f"browser {mark}", ""

    def renew(newer: str) -> None:
        nonlocal mark
        mark = known_mark(parts.deps.secret_key, name, newer)
        with writing(engine) as connection:
            users.renew_hash(connection, token, kept or "", newer)

    with parts.attempts.trying(name, place, address):
        if not passwords.is_right(password, kept, renew):
            parts.attempts.failed(name, place, address)
            log.warning("login_refused", address=place if address else "known browser")
            return refused
        parts.attempts.succeeded(name, place)
    with reading(engine) as connection:
        user = users.user_of(connection, token)
    if user is None or user.disabled_at_ms is not None:  # at this very moment
        return refused
    audited.sent_by(user.name, user.role, token)
    answer = opened(request, parts, token, to)
    answer.set_cookie(
        KNOWN_COOKIE,
        mark,
        max_age=KNOWN_FOR_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    if user.language is not None:
        remember_language(answer, user.language)
    return answer


def _form(page: Page, to: str, *, name: str = "", wrong: str = "", status: int = 403) -> Response:
    parts: Parts = page.request.app.state.parts
    provider = parts.deps.login_provider
    return page.render(
        "login.html",
        status if wrong else 200,
        to=own_path(to),
        name=name,
        wrong=wrong,
        provider="" if provider is None else provider.called,
    )


def own_path(path: str) -> str:
    """A path of ours to go to; the first page for anything that could lead elsewhere."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/"
    return path
