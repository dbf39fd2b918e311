"""The first user of an installation, made by whoever has the code that it printed when it started.

There is no default password, and who merely comes first over the network owns nothing. Once there
is a user or an operator's token this is gone for good.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from api import audited, new_people
from api.console import login
from api.console.pages import Page, PageOf
from api.errors import NotFound
from api.identity import EVERYONE, refuse_other_sites
from api.once import TooMany
from api.parts import Parts, PartsOf
from devices.store import users
from devices.store.database import reading, writing
from devices.store.tokens import Role
from devices.users import LONGEST

SETUP = "set-up code"  # what failures are counted under; no user is called that

router = APIRouter(include_in_schema=False, dependencies=[EVERYONE])

WordOf = Annotated[str, Form(max_length=200)]
PasswordOf = Annotated[str, Form(max_length=4 * LONGEST)]


@router.get("/setup")
def setup_page(parts: PartsOf, page: PageOf) -> Response:
    """The form."""
    if not login.is_setup_open(parts):
        raise NotFound
    return _form(page)


@router.post("/setup")
def set_up(
    request: Request,
    parts: PartsOf,
    page: PageOf,
    code: WordOf = "",
    name: WordOf = "",
    display: WordOf = "",
    password: PasswordOf = "",
    again: PasswordOf = "",
) -> Response:
    """Make the first operator, and log them in."""
    refuse_other_sites(request)
    if not login.is_setup_open(parts):
        raise NotFound
    written = {"name": name, "display": display, "code": code}
    try:
        token = _make(request, parts, page, code, name, display, password, again)
    except new_people.Refused as refused:
        return _form(page, 422, str(refused), written)
    except TooMany as wait:
        answer = _form(page, wait.status, page.say("login_wait"), written)
        answer.headers.update(wait.headers)
        return answer
    return login.opened(request, parts, token, "/")


def _make(
    request: Request,
    parts: Parts,
    page: Page,
    code: str,
    name: str,
    display: str,
    password: str,
    again: str,
) -> int:
    """The number of the new user. Raises Refused, TooMany, NotFound."""
    address = login.address_of(request)
    parts.attempts.check(SETUP, address, address)
    with reading(parts.deps.engine) as connection:
        right = users.knows_setup_code(connection, code)
    if not right:
        parts.attempts.failed(SETUP, address, address)
        raise new_people.Refused(page.say("su_wrong_code"))
    person = new_people.read_person(page, name, display, Role.OPERATOR, "", page.language)
    chosen = new_people.read_password(page, password, again, person.name, person.display)
    # hashed before the transaction: on SQLite nobody else writes while that lasts
    hashed = new_people.passwords_of(page, parts.deps.passwords).hashed(chosen)
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        if not users.take_setup_codes(connection, code):
            raise NotFound
        user = new_people.add(connection, page, person, hashed, SETUP, now_ms)
        audited.sent_by(user.name, user.role, user.token)
    return user.token


def _form(
    page: Page, status: int = 200, notice: str = "", written: dict[str, str] | None = None
) -> Response:
    blank = {"name": "", "display": "", "code": ""}
    return page.render("setup.html", status, notice=notice, written=blank | (written or {}))
