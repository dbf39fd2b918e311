"""People who log in by name and password, and who may make the first of them.

A user is a row of `tokens` that no secret opens, with a name and a password beside it: sessions,
keys and whatever else belongs to a token belongs to a user in the same way.
"""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    delete,
    exists,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from devices.store import tokens as token_rows
from devices.store.schema import setup_codes, tokens, users, web_sessions
from devices.store.scope import Scope
from devices.store.tokens import Role, check_role

USERS_AT_MOST = 2_000
CODES_AT_MOST = 8  # of as many processes that were started before there was a user

_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another
_CODE_GROUPS, _CODE_GROUP = 5, 5


class UnknownUser(LookupError):
    """No such user in this scope."""


class NameTaken(ValueError):
    """There is a user of this name."""


class TooManyUsers(Exception):
    """So many exist that no other can be made."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who logs in. token: their number. firm: for the role `firm`, and only for it."""

    token: int
    name: str
    display: str
    role: Role
    firm: str | None
    language: str | None
    password_at_ms: int
    created_at_ms: int
    created_by: str
    used_at_ms: int | None
    disabled_at_ms: int | None


@dataclass(frozen=True, slots=True)
class NewUser:
    """password: its hash. name, display: as `devices.users` gives them."""

    name: str
    display: str
    role: str
    firm: str | None
    language: str | None
    password: str


_SELECT = select(
    users.c.token,
    users.c.name,
    users.c.display,
    tokens.c.role,
    tokens.c.firm,
    users.c.language,
    users.c.password_at_ms,
    tokens.c.created_at_ms,
    tokens.c.created_by,
    tokens.c.used_at_ms,
    tokens.c.revoked_at_ms.label("disabled_at_ms"),
).join(tokens, tokens.c.id == users.c.token)


def add_user(connection: Connection, new: NewUser, by: str, now_ms: int) -> User:
    """Raises BadToken for a role and firm that do not go together, NameTaken, TooManyUsers."""
    check_role(connection, new.role, new.firm)
    if connection.execute(select(users.c.token).where(users.c.name == new.name)).first():
        raise NameTaken(f"there is a user {new.name!r} already")
    if (connection.scalar(select(func.count()).select_from(users)) or 0) >= USERS_AT_MOST:
        raise TooManyUsers(f"there are {USERS_AT_MOST} users")
    row = {
        # no secret has this hash, so nobody comes in by it
        "sha256": f"user:{secrets.token_hex(24)}",
        "role": new.role,
        "firm": new.firm or None,
        "name": new.name,
        "created_at_ms": now_ms,
        "created_by": by,
    }
    token = connection.execute(insert(tokens).values(**row).returning(tokens.c.id)).scalar_one()
    row = {
        "token": token,
        "name": new.name,
        "display": new.display,
        "language": new.language,
        "password": new.password,
        "password_at_ms": now_ms,
    }
    try:
        connection.execute(insert(users), row)
    except IntegrityError as error:  # somebody made it at this moment
        raise NameTaken(f"there is a user {new.name!r} already") from error
    connection.execute(delete(setup_codes))
    return find_user(connection, Scope(), new.name)


def find_user(connection: Connection, scope: Scope, name: str) -> User:
    """One of these, disabled or not; raises UnknownUser, also outside the scope."""
    row = (
        connection.execute(_SELECT.where(users.c.name == name, _in(scope))).mappings().one_or_none()
    )
    if row is None:
        raise UnknownUser(name)
    return _user(row)


def user_of(connection: Connection, token: int) -> User | None:
    """Whose number this is; None for that of an API token."""
    row = connection.execute(_SELECT.where(users.c.token == token)).mappings().one_or_none()
    return None if row is None else _user(row)


def list_users(
    connection: Connection, scope: Scope, *, behind: str | None = None, limit: int = 100
) -> list[User]:
    """By name. behind: the last one on the page before."""
    query = _SELECT.where(_in(scope)).order_by(users.c.name).limit(limit)
    if behind is not None:
        query = query.where(users.c.name > behind)
    return [_user(row) for row in connection.execute(query).mappings()]


def password_of(connection: Connection, name: str) -> tuple[int, str] | None:
    """The number and the password's hash of a user who may log in; None for everybody else."""
    query = (
        select(users.c.token, users.c.password)
        .join(tokens, tokens.c.id == users.c.token)
        .where(users.c.name == name, tokens.c.revoked_at_ms.is_(None))
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.token, row.password)


def set_password(connection: Connection, token: int, password: str, now_ms: int) -> None:
    """password: its hash. Whoever is logged in as this user is so no more."""
    connection.execute(
        update(users).where(users.c.token == token).values(password=password, password_at_ms=now_ms)
    )
    connection.execute(delete(web_sessions).where(web_sessions.c.token == token))


def set_language(connection: Connection, token: int, language: str | None) -> None:
    """In which the console speaks to them; None: as their browser wants it."""
    connection.execute(update(users).where(users.c.token == token).values(language=language))


def renew_hash(connection: Connection, token: int, before: str, after: str) -> None:
    """The same password at today's cost, unless it was changed meanwhile."""
    connection.execute(
        update(users)
        .where(users.c.token == token, users.c.password == before)
        .values(password=after)
    )


def change_role(
    connection: Connection, scope: Scope, name: str, role: str, firm: str | None
) -> User:
    """From their next request on. Raises UnknownUser, BadToken, LastOperator."""
    user = find_user(connection, scope, name)
    check_role(connection, role, firm)
    if role != Role.OPERATOR:
        token_rows.keep_an_operator(connection, without=user.token)
    connection.execute(
        update(tokens).where(tokens.c.id == user.token).values(role=role, firm=firm or None)
    )
    return find_user(connection, Scope(), name)


def disable_user(connection: Connection, scope: Scope, name: str, now_ms: int) -> User:
    """They are out at once. Raises UnknownUser, LastOperator."""
    user = find_user(connection, scope, name)
    token_rows.keep_an_operator(connection, without=user.token)
    token_rows.revoke(connection, user.token, now_ms)
    return find_user(connection, scope, name)


def enable_user(connection: Connection, scope: Scope, name: str) -> User:
    """They may log in again. Raises UnknownUser."""
    user = find_user(connection, scope, name)
    connection.execute(update(tokens).where(tokens.c.id == user.token).values(revoked_at_ms=None))
    return find_user(connection, scope, name)


def needs_setup(connection: Connection) -> bool:
    """Whether nobody could ever have run this: no user, and no operator's token, nor ever one.

    Once False it stays so: what they were made of is never deleted.
    """
    someone = select(exists(select(users.c.token))).union_all(
        select(exists(select(tokens.c.id).where(tokens.c.role == Role.OPERATOR)))
    )
    return not any(connection.scalars(someone))


def make_setup_code(connection: Connection, now_ms: int) -> str:
    """A new code for the set-up page, shown once; the codes of earlier starts are good too."""
    groups = (
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_GROUP))
        for _ in range(_CODE_GROUPS)
    )
    code = "-".join(groups)
    oldest = select(setup_codes.c.sha256).order_by(setup_codes.c.made_at_ms.desc())
    connection.execute(
        delete(setup_codes).where(
            setup_codes.c.sha256.not_in(oldest.limit(CODES_AT_MOST - 1).scalar_subquery())
        )
    )
    connection.execute(insert(setup_codes), {"sha256": _sha256(code), "made_at_ms": now_ms})
    return code


def knows_setup_code(connection: Connection, code: str) -> bool:
    """Whether this is one of the codes."""
    found = select(setup_codes.c.sha256).where(setup_codes.c.sha256 == _sha256(code))
    return connection.execute(found).first() is not None


def take_setup_codes(connection: Connection, code: str) -> bool:
    """Use all of them up, in the transaction that makes the first user; False: too late."""
    taken = delete(setup_codes).where(setup_codes.c.sha256 == _sha256(code))
    if connection.execute(taken).rowcount != 1:
        return False
    connection.execute(delete(setup_codes))
    return needs_setup(connection)


def _in(scope: Scope) -> ColumnElement[bool]:
    """A firm's own users; to the district all of them."""
    return true() if scope.firm is None else tokens.c.firm == scope.firm


def _user(row: RowMapping) -> User:
    return User(**{**row, "role": Role(row["role"])})


def _sha256(code: str) -> str:
    """Of a code however it was typed: with or without dashes and blanks, in small letters."""
    plain = "".join(code.upper().replace("-", "").split())
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()
