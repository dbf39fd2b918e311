"""How somebody wants the console: language, colours, and whether the tour was seen.

The language is kept with the account of whoever has one, and in the browser; colours and the tour
in the browser alone.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import audited
from api.console.login import own_path
from api.console.pages import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    TOUR_COOKIE,
    YEAR_S,
    PageOf,
    remember_language,
)
from api.identity import COOKIE, EVERYONE, Reader, refuse_other_sites
from api.parts import Parts, PartsOf
from devices.store import tokens, users
from devices.store.database import reading, writing

router = APIRouter(include_in_schema=False)


@router.get("/display")
def display_page(
    parts: PartsOf, who: Reader, page: PageOf, saved: Annotated[bool, Query()] = False
) -> Response:
    """What there is to choose."""
    with reading(parts.deps.engine) as connection:
        user = users.user_of(connection, who.token)
    chosen = page.request.cookies.get(LANGUAGE_COOKIE, "") if user is None else user.language
    return page.render("display.html", who=who, user=user, chosen=chosen, saved=saved)


@router.post("/display", dependencies=[EVERYONE])
def choose(
    request: Request,
    parts: PartsOf,
    language: Annotated[Literal["", "zh", "en"], Form()] = "",
    theme: Annotated[Literal["", "light", "dark"], Form()] = "",
) -> Response:
    """From the next page on."""
    refuse_other_sites(request)
    _keep_language(request, parts, language or None)
    answer = RedirectResponse("/display?saved=true", 303)
    if language:
        remember_language(answer, language)
    else:
        answer.delete_cookie(LANGUAGE_COOKIE)
    if theme:
        answer.set_cookie(THEME_COOKIE, theme, max_age=YEAR_S, samesite="lax")
    else:
        answer.delete_cookie(THEME_COOKIE)
    return answer


@router.post("/tour", dependencies=[EVERYONE])
def end_tour(
    request: Request,
    again: Annotated[bool, Form()] = False,
    to: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """It is not shown in this browser any more; again: it is."""
    refuse_other_sites(request)
    answer = RedirectResponse(own_path(to), 303)
    if again:
        answer.delete_cookie(TOUR_COOKIE)
    else:
        answer.set_cookie(TOUR_COOKIE, "seen", max_age=YEAR_S, samesite="lax")
    return answer


def _keep_language(request: Request, parts: Parts, language: str | None) -> None:
    """With the account of whoever has logged in with one; others have their browser only."""
    session = request.cookies.get(COOKIE)
    if not session:
        return
    with reading(parts.deps.engine) as connection:
        who = tokens.session_identity(connection, session, parts.now_ms())
        user = None if who is None else users.user_of(connection, who.token_id)
    if who is None or user is None or user.language == language:
        return
    audited.sent_by(who.name, who.role, who.token_id)
    audited.about(user.name, language=language or "")
    with writing(parts.deps.engine) as connection:
        users.set_language(connection, user.token, language)
