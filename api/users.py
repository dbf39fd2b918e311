"""People who log in with a password, for programs; the rules are those of the console's page."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy import Connection

from api import audited, shapes
from api.errors import Away, BadParameter, Moved, NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import print_instant, print_known
from api.new_people import made_password
from api.paging import PageOf
from api.parts import Parts, PartsOf
from api.passwords import Passwords
from devices.store import users
from devices.store.database import reading, writing
from devices.store.tokens import BadToken, LastOperator
from devices.store.users import NameTaken, NewUser, TooManyUsers, UnknownUser, User
from devices.users import BadUser, display_name, user_name

ONLY = "see and manage who may log in"

router = APIRouter(
    prefix="/v1",
    tags=["administration"],
    responses={**shapes.refusals.PROBLEMS, **shapes.refusals.ADMINISTRATION_REFUSED},
)

UserOf = Annotated[str, Path(max_length=200)]


@router.get("/users")
def list_all(parts: PartsOf, who: Reader, page: PageOf) -> shapes.access.Users:
    """All who log in with a password, by name."""
    operators_only(who, ONLY)
    with reading(parts.deps.engine) as connection:
        behind = page.position[0] if page.position else None
        found = users.list_users(connection, who.scope, behind=behind, limit=page.limit + 1)
    shown, cursor = page.split(found, lambda user: [user.name])
    return shapes.access.Users(items=[_shape(user) for user in shown], next_cursor=cursor)


@router.get("/users/{user}")
def get_user(parts: PartsOf, who: Reader, user: UserOf) -> shapes.access.User:
    """One of them, disabled or not."""
    with reading(parts.deps.engine) as connection:
        return _shape(_find(connection, who, user))


@router.post("/users", status_code=201)
def add_user(
    parts: PartsOf, who: Actor, body: shapes.access.NewUser
) -> shapes.access.UserWithPassword:
    """A new user. `password` is in this answer and nowhere else: they change it at a login."""
    operators_only(who, ONLY)
    try:
        name = user_name(body.name)
        display = display_name(body.display, name)
    except BadUser as error:
        raise BadParameter("name", str(error)) from error
    password = made_password()
    hashed = _passwords(parts).hashed(password)
    new = NewUser(name, display, body.role, body.firm, body.language, hashed)
    now_ms = parts.now_ms()
    is_new = False

    def add() -> shapes.access.User:
        nonlocal is_new
        try:
            made = users.add_user(connection, new, who.name, now_ms)
        except BadToken as error:
            raise BadParameter("role", str(error)) from error
        except NameTaken as error:
            raise Moved(f"{error}. Nothing was done.") from error
        except TooManyUsers as error:
            raise Moved(f"{error}. Nothing was done.") from error
        is_new = True
        return _shape(made)

    with writing(parts.deps.engine) as connection:
        # what is kept under an Idempotency-Key has no password in it
        user = who.once.do(connection, now_ms, shapes.access.User, add)
        audited.about(user.name, role=user.role, firm=user.firm)
    return _with_password(user, password if is_new else None)


@router.post("/users/{user}/password")
def reset_password(parts: PartsOf, who: Actor, user: UserOf) -> shapes.access.UserWithPassword:
    """Another password, in this answer and nowhere else; they are logged out everywhere."""
    with reading(parts.deps.engine) as connection:
        found = _find(connection, who, user)
    password = made_password()
    hashed = _passwords(parts).hashed(password)
    now_ms = parts.now_ms()
    is_new = False

    def reset() -> shapes.access.User:
        nonlocal is_new
        users.set_password(connection, found.token, hashed, now_ms)
        is_new = True
        return _shape(found)

    with writing(parts.deps.engine) as connection:
        shown = who.once.do(connection, now_ms, shapes.access.User, reset)
        audited.about(found.name)
    return _with_password(shown, password if is_new else None)


@router.put("/users/{user}/role")
def change_role(
    parts: PartsOf, who: Actor, user: UserOf, body: shapes.access.NewRole
) -> shapes.access.User:
    """What they may do, from their next request on. The last operator keeps their role."""
    with writing(parts.deps.engine) as connection:
        name = _find(connection, who, user).name
        audited.about(name, role=body.role, firm=body.firm)
        try:
            return _shape(users.change_role(connection, who.scope, name, body.role, body.firm))
        except BadToken as error:
            raise BadParameter("role", str(error)) from error
        except LastOperator as error:
            raise Moved(f"{error}. Nothing was done.") from error


@router.post("/users/{user}/disable")
def disable(parts: PartsOf, who: Actor, user: UserOf) -> shapes.access.User:
    """They are logged out, and cannot log in. Nothing of what they did is lost."""
    with writing(parts.deps.engine) as connection:
        name = _find(connection, who, user).name
        audited.about(name)
        try:
            return _shape(users.disable_user(connection, who.scope, name, parts.now_ms()))
        except LastOperator as error:
            raise Moved(f"{error}. Nothing was done.") from error


@router.post("/users/{user}/enable")
def enable(parts: PartsOf, who: Actor, user: UserOf) -> shapes.access.User:
    """They may log in again, with the password they had."""
    with writing(parts.deps.engine) as connection:
        name = _find(connection, who, user).name
        audited.about(name)
        return _shape(users.enable_user(connection, who.scope, name))


def _find(connection: Connection, who: Identity, user: str) -> User:
    """Raises NotFound for a stranger's, Forbidden for one of theirs who is no operator."""
    try:
        found = users.find_user(connection, who.scope, user)
    except UnknownUser as error:
        raise NotFound from error
    operators_only(who, ONLY)
    return found


def _passwords(parts: Parts) -> Passwords:
    if parts.deps.passwords is None:
        raise Away("Nobody logs in with a password here.")
    return parts.deps.passwords


def _shape(user: User) -> shapes.access.User:
    return shapes.access.User.model_validate(
        {
            "name": user.name,
            "display": user.display,
            "role": user.role.value,
            "firm": user.firm,
            "language": user.language,
            "created_at": print_instant(user.created_at_ms),
            "created_by": user.created_by,
            "used_at": print_known(user.used_at_ms),
            "disabled_at": print_known(user.disabled_at_ms),
        }
    )


def _with_password(
    user: shapes.access.User, password: str | None
) -> shapes.access.UserWithPassword:
    return shapes.access.UserWithPassword(**user.model_dump(), password=password)
