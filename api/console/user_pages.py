"""The console's page of the people who log in with a password. For operators."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, new_people, paging
from api.console.pages import Page, PageOf
from api.console.setup import SETUP
from api.errors import NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.words import Language, named, say
from devices.store import users
from devices.store.database import reading, writing
from devices.store.tokens import BadToken, LastOperator, Role
from devices.store.users import UnknownUser, User

ONLY = "see and manage who may log in"

router = APIRouter(include_in_schema=False)

WordOf = Annotated[str, Form(max_length=200)]


@router.get("/users")
def users_page(parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf) -> Response:
    """All of them, by name."""
    operators_only(who, ONLY)
    return _page(parts, who, page, rows)


@router.post("/users")
def add(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    name: WordOf = "",
    display: WordOf = "",
    role: WordOf = "",
    firm: WordOf = "",
    language: WordOf = "",
) -> Response:
    """A new user, with a password that is shown on this page and nowhere else."""
    operators_only(who, ONLY)
    written = {
        "name": name, "display": display, "role": role, "firm": firm, "language": language,
    }  # fmt: skip
    now_ms = parts.now_ms()
    made = new_people.made_password()
    try:
        person = new_people.read_person(page, name, display, role, firm, language)
        hashed = new_people.passwords_of(page, parts.deps.passwords).hashed(made)
        with writing(parts.deps.engine) as connection:
            user = new_people.add(connection, page, person, hashed, who.name, now_ms)
    except new_people.Refused as refused:
        return _page(parts, who, page, rows, status=422, notice=str(refused), written=written)
    return _shown_once(page, who, user, made)


@router.post("/users/{user}/password")
def reset_password(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    user: str,
    sure: WordOf = "",
) -> Response:
    """Another password, shown on this page and nowhere else; they are logged out everywhere."""
    found = _find(parts, who, user)
    made = new_people.made_password()
    try:
        confirmed(page, sure)
        hashed = new_people.passwords_of(page, parts.deps.passwords).hashed(made)
    except new_people.Refused as refused:
        return _page(parts, who, page, rows, status=422, notice=str(refused))
    with writing(parts.deps.engine) as connection:
        users.set_password(connection, found.token, hashed, parts.now_ms())
    return _shown_once(page, who, found, made)


@router.post("/users/{user}/role")
def change_role(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    user: str,
    role: WordOf = "",
    firm: WordOf = "",
    sure: WordOf = "",
) -> Response:
    """What they may do, from their next request on."""
    _find(parts, who, user)
    try:
        confirmed(page, sure)
        new_role, new_firm = new_people.read_role(page, role, firm)
    except new_people.Refused as refused:
        return _page(parts, who, page, rows, status=422, notice=str(refused))

    def change(connection: Connection) -> object:
        audited.about(user, role=new_role.value, firm=new_firm)
        return users.change_role(connection, who.scope, user, new_role, new_firm)

    return _done(parts, who, page, rows, change)


@router.post("/users/{user}/disable")
def disable(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    user: str,
    sure: WordOf = "",
) -> Response:
    """They are logged out, and cannot log in. Nothing of what they did is lost."""
    _find(parts, who, user)
    try:
        confirmed(page, sure)
    except new_people.Refused as refused:
        return _page(parts, who, page, rows, status=422, notice=str(refused))
    now_ms = parts.now_ms()
    return _done(parts, who, page, rows, lambda c: users.disable_user(c, who.scope, user, now_ms))


@router.post("/users/{user}/enable")
def enable(parts: PartsOf, who: Actor, page: PageOf, rows: paging.PageOf, user: str) -> Response:
    """They may log in again, with the password they had."""
    _find(parts, who, user)
    return _done(parts, who, page, rows, lambda c: users.enable_user(c, who.scope, user))


def confirmed(page: Page, sure: str) -> None:
    """Raise Refused unless the box was ticked that says so."""
    if sure != "yes":
        raise new_people.Refused(page.say("us_not_sure"))


@dataclass(frozen=True, slots=True)
class UserLine:
    """A user in the list, in words."""

    name: str
    display: str
    role: str
    role_word: str
    firm: str
    firm_name: str
    made: str
    by: str
    used: str
    is_disabled: bool
    is_self: bool


def firms_of(known: Known, language: Language) -> list[tuple[str, str]]:
    """Property firms to choose from: id and name."""
    return [(id_, named(language, name)) for id_, name in known.directory.firms.items()]


def firm_name(known: Known, language: Language, firm: str | None) -> str:
    found = None if firm is None else known.directory.firms.get(firm)
    return (firm or "") if found is None else named(language, found)


def _find(parts: Parts, who: Identity, user: str) -> User:
    """Raises NotFound for a stranger's, Forbidden for one of theirs who is no operator."""
    try:
        with reading(parts.deps.engine) as connection:
            found = users.find_user(connection, who.scope, user)
    except UnknownUser as error:
        raise NotFound from error
    operators_only(who, ONLY)
    return found


def _done(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    change: Callable[[Connection], object],
) -> Response:
    try:
        with writing(parts.deps.engine) as connection:
            change(connection)
    except UnknownUser as error:
        raise NotFound from error
    except LastOperator:
        return _page(parts, who, page, rows, status=409, notice=page.say("us_last"))
    except BadToken:
        return _page(parts, who, page, rows, status=422, notice=page.say("us_bad_role"))
    return RedirectResponse("/users", 303)


def _shown_once(page: Page, who: Identity, user: User, made: str) -> Response:
    return page.render(
        "once.html",
        who=who,
        title=page.say("us_made", name=user.name),
        word=page.say("us_password"),
        secret=made,
        note=page.say("us_once"),
        back="/users",
        back_word=page.say("users"),
    )


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    status: int = 200,
    notice: str = "",
    written: dict[str, str] | None = None,
) -> Response:
    now_ms = parts.now_ms()
    # the least that somebody may be is what a form offers first
    blank = {"name": "", "display": "", "role": Role.VIEWER, "firm": "", "language": ""}
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        behind = rows.position[0] if rows.position else None
        found = users.list_users(connection, who.scope, behind=behind, limit=rows.limit + 1)
    shown, cursor = rows.split(found, lambda user: [user.name])
    return page.render(
        "users.html",
        status,
        who=who,
        users=[_line(known, page.language, user, who, now_ms) for user in shown],
        older="" if cursor is None else f"/users?cursor={cursor}",
        firms=firms_of(known, page.language),
        roles=[(role.value, page.say(f"role_{role}")) for role in Role],
        written=blank | (written or {}),
        notice=notice,
    )


def _line(known: Known, language: Language, user: User, who: Identity, now_ms: int) -> UserLine:
    return UserLine(
        name=user.name,
        display=user.display,
        role=user.role.value,
        role_word=say(language, f"role_{user.role}"),
        firm=user.firm or "",
        firm_name=firm_name(known, language, user.firm),
        made=when(user.created_at_ms, now_ms),
        by=say(language, "us_by_setup") if user.created_by == SETUP else user.created_by,
        used="" if user.used_at_ms is None else when(user.used_at_ms, now_ms),
        is_disabled=user.disabled_at_ms is not None,
        is_self=user.token == who.token,
    )
