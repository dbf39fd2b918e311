"""Logging in with a token, and out again."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.identity import COOKIE, EVERYONE, refuse_other_sites
from api.pages import Page, PageOf
from api.parts import PartsOf
from devices.store import tokens
from devices.store.database import reading, writing

router = APIRouter(include_in_schema=False, dependencies=[EVERYONE])


@router.get("/login")
def show_login(page: PageOf, to: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form."""
    return _form(page, to)


@router.post("/login")
def log_in(
    request: Request,
    parts: PartsOf,
    page: PageOf,
    token: Annotated[str, Form(max_length=200)] = "",
    to: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Turn a token into a session, and go on to where they came from."""
    refuse_other_sites(request)
    engine, now_ms = parts.deps.engine, parts.now_ms()
    with reading(engine) as connection:
        who = tokens.identify(connection, token.strip(), now_ms)
    if who is None:
        return _form(page, to, wrong=True)
    with writing(engine) as connection:
        session = tokens.open_session(connection, who.token_id, now_ms)
    answer = RedirectResponse(_own(to), 303)
    answer.set_cookie(
        COOKIE,
        session,
        max_age=tokens.SESSION_MS // 1000,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def log_out(request: Request, parts: PartsOf) -> Response:
    """End the session, here and in the database."""
    refuse_other_sites(request)
    session = request.cookies.get(COOKIE)
    if session:
        with writing(parts.deps.engine) as connection:
            tokens.close_session(connection, session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _form(page: Page, to: str, *, wrong: bool = False) -> Response:
    return page.render("login.html", 403 if wrong else 200, to=_own(to), wrong=wrong)


def _own(path: str) -> str:
    """A path of ours to go to; the first page for anything that could lead elsewhere."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/"
    return path
