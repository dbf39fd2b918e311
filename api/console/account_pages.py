"""What is somebody's own: who they are here, and their password."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from api import audited, new_people
from api.attempts import KNOWN_COOKIE, known_mark
from api.console import login
from api.console.pages import Page, PageOf
from api.console.user_pages import firm_name
from api.errors import Forbidden
from api.identity import Identity, Person, Reader, Role
from api.instants import when
from api.once import TooMany
from api.parts import Parts, PartsOf
from devices.store import users
from devices.store.database import reading, writing
from devices.store.users import User
from devices.users import LONGEST, SHORTEST

router = APIRouter(include_in_schema=False)

PasswordOf = Annotated[str, Form(max_length=4 * LONGEST)]


@router.get("/account")
def account_page(parts: PartsOf, who: Reader, page: PageOf, changed: bool = False) -> Response:
    """Who they are."""
    return _page(parts, who, page, notice=page.say("ac_changed") if changed else "")


@router.post("/account/password")
def change_password(
    request: Request,
    parts: PartsOf,
    who: Person,
    page: PageOf,
    before: PasswordOf = "",
    password: PasswordOf = "",
    again: PasswordOf = "",
) -> Response:
    """Another password of their own; every other browser is logged out."""
    user = _user(parts, who)
    if user is None:
        raise Forbidden("This is a token, and has no password.")
    try:
        hashed = _changed(parts, page, user, before, password, again)
    except new_people.Refused as refused:
        return _page(parts, who, page, status=422, wrong=str(refused))
    except TooMany as wait:
        answer = _page(parts, who, page, status=wait.status, wrong=page.say("login_wait"))
        answer.headers.update(wait.headers)
        return answer
    answer = login.opened(request, parts, user.token, "/account?changed=true")
    answer.set_cookie(
        KNOWN_COOKIE,
        known_mark(parts.deps.secret_key, user.name, hashed),
        max_age=login.KNOWN_FOR_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _changed(parts: Parts, page: Page, user: User, before: str, password: str, again: str) -> str:
    """The hash of the new one, which counts from now on. Raises Refused, TooMany."""
    passwords = new_people.passwords_of(page, parts.deps.passwords)
    chosen = new_people.read_password(page, password, again, user.name, user.display)
    # a session that was left open must not be the way to find the password out
    place = f"own {user.token}"
    with parts.attempts.trying(user.name, place):
        with reading(parts.deps.engine) as connection:
            known = users.password_of(connection, user.name)
        if not passwords.is_right(before, None if known is None else known[1]):
            parts.attempts.failed(user.name, place)
            raise new_people.Refused(page.say("pw_wrong"))
        parts.attempts.succeeded(user.name, place)
    hashed = passwords.hashed(chosen)
    audited.about(user.name)
    with writing(parts.deps.engine) as connection:
        users.set_password(connection, user.token, hashed, parts.now_ms())
    return hashed


def _user(parts: Parts, who: Identity) -> User | None:
    with reading(parts.deps.engine) as connection:
        return users.user_of(connection, who.token)


def _page(
    parts: Parts, who: Identity, page: Page, *, status: int = 200, notice: str = "", wrong: str = ""
) -> Response:
    now_ms = parts.now_ms()
    user = _user(parts, who)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    return page.render(
        "account.html",
        status,
        who=who,
        user=user,
        firm=firm_name(known, page.language, who.scope.firm),
        since="" if user is None else when(user.password_at_ms, now_ms),
        shortest=SHORTEST,
        administers=who.role is Role.OPERATOR,
        notice=notice,
        wrong=wrong,
    )
