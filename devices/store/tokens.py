"""API tokens, and the browsers that logged in with one. Only hashes of secrets are kept."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    delete,
    insert,
    select,
    true,
    update,
)

from devices.faults import SYSTEM
from devices.store.schema import firms, tokens, users, web_sessions
from devices.store.scope import Scope

SESSION_MS = 7 * 86_400_000

_BYTES = 32  # of randomness: so much cannot be guessed from its plain hash
_WHO = select(tokens.c.role, tokens.c.firm, tokens.c.name, tokens.c.id).where(
    tokens.c.revoked_at_ms.is_(None)
)


class Role(StrEnum):
    """What a token may do. operator: all; firm: its own compounds; viewer: look at all."""

    OPERATOR = "operator"
    FIRM = "firm"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. firm: set for the role `firm`, and only for it."""

    role: Role
    firm: str | None
    name: str
    token_id: int


class BadToken(ValueError):
    """A token with these properties cannot be made."""


class LastOperator(Exception):
    """Without this one nobody could run the installation."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown: what it opens is not here. used_at_ms: last, to some minutes."""

    id: int
    role: Role
    firm: str | None
    name: str
    created_at_ms: int
    created_by: str
    used_at_ms: int | None
    revoked_at_ms: int | None


_LISTED = (
    select(
        *(tokens.c.id, tokens.c.role, tokens.c.firm, tokens.c.name, tokens.c.created_at_ms),
        *(tokens.c.created_by, tokens.c.used_at_ms, tokens.c.revoked_at_ms),
    )
    .outerjoin(users, users.c.token == tokens.c.id)
    .where(users.c.token.is_(None))
)


def create(
    connection: Connection, role: str, firm: str | None, name: str, now_ms: int, by: str = ""
) -> str:
    """A new token, which is shown once and never again; raises BadToken."""
    check_role(connection, role, firm)
    if name.casefold() == SYSTEM:  # what it does would stand in the history as nobody's
        raise BadToken(f"no token is called {SYSTEM!r}: that is the system in the history")
    token = f"cy_{secrets.token_urlsafe(_BYTES)}"
    row = {
        "sha256": _sha256(token),
        "role": role,
        "firm": firm or None,
        "name": name,
        "created_at_ms": now_ms,
        "created_by": by,
    }
    connection.execute(insert(tokens), row)
    return token


def check_role(connection: Connection, role: str, firm: str | None) -> None:
    """Raise BadToken unless role and firm go together, and exist."""
    if role not in set(Role):
        raise BadToken(f"{role!r} is not a role: {', '.join(Role)}")
    if role == Role.FIRM and not firm:
        raise BadToken("a token with the role firm needs the firm that it is for")
    if role != Role.FIRM and firm:
        raise BadToken(f"a token with the role {role} has no firm: leave {firm!r} out")
    if firm and connection.execute(select(firms.c.id).where(firms.c.id == firm)).first() is None:
        known = connection.execute(select(firms.c.id).order_by(firms.c.id).limit(20)).scalars()
        raise BadToken(f"there is no firm {firm!r}; known are: {', '.join(known) or 'none yet'}")


def identify(
    connection: Connection,
    token: str,
    now_ms: int,  # noqa: ARG001 - asked like session_identity; a token itself does not expire
) -> Identity | None:
    """Whose token this is; None for one that is unknown or revoked."""
    return _identity(connection, _WHO.where(tokens.c.sha256 == _sha256(token)))


def revoke(connection: Connection, token_id: int, now_ms: int) -> bool:
    """End a token, and every session opened with it, for good; False: there was none to end."""
    connection.execute(delete(web_sessions).where(web_sessions.c.token == token_id))
    ended = connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked_at_ms.is_(None))
        .values(revoked_at_ms=now_ms)
    )
    return ended.rowcount == 1


def keep_an_operator(connection: Connection, *, without: int) -> None:
    """Raise LastOperator if this is one, and no other is left.

    Of two who take each other's place away at the same moment one waits here, and is refused.
    """
    query = (
        select(tokens.c.id)
        .where(tokens.c.role == Role.OPERATOR, tokens.c.revoked_at_ms.is_(None))
        .order_by(tokens.c.id)
        .with_for_update()
    )
    if connection.scalars(query).all() == [without]:
        raise LastOperator("this is the last operator: make another one first")


def list_tokens(
    connection: Connection, scope: Scope, *, below: int | None = None, limit: int = 100
) -> list[Token]:
    """Those of the API, the newest first, also the revoked ones; those of users are not here."""
    query = _LISTED.where(_in(scope)).order_by(tokens.c.id.desc()).limit(limit)
    if below is not None:
        query = query.where(tokens.c.id < below)
    return [_token(row) for row in connection.execute(query).mappings()]


def find_token(connection: Connection, scope: Scope, token_id: int) -> Token | None:
    """One of these; None also outside the scope."""
    rows = connection.execute(_LISTED.where(tokens.c.id == token_id, _in(scope)))
    found = rows.mappings().one_or_none()
    return None if found is None else _token(found)


def mark_used(connection: Connection, used: Mapping[int, int]) -> None:
    """Write down when tokens were used last: {id: UTC epoch ms}."""
    for token_id, at_ms in sorted(used.items()):
        connection.execute(update(tokens).where(tokens.c.id == token_id).values(used_at_ms=at_ms))


def open_session(connection: Connection, token_id: int, now_ms: int) -> str:
    """A secret for a browser's cookie, good for seven days; the expired ones are cleared away."""
    connection.execute(delete(web_sessions).where(web_sessions.c.expires_at_ms <= now_ms))
    session = f"cs_{secrets.token_urlsafe(_BYTES)}"
    row = {
        "sha256": _sha256(session),
        "token": token_id,
        "created_at_ms": now_ms,
        "expires_at_ms": now_ms + SESSION_MS,
    }
    connection.execute(insert(web_sessions), row)
    return session


def session_identity(connection: Connection, session: str, now_ms: int) -> Identity | None:
    """Whose session this is; None when it or its token is unknown, ended or expired."""
    opened = _WHO.join(web_sessions, web_sessions.c.token == tokens.c.id).where(
        web_sessions.c.sha256 == _sha256(session), web_sessions.c.expires_at_ms > now_ms
    )
    return _identity(connection, opened)


def close_session(connection: Connection, session: str) -> None:
    """Log out; a session that does not exist is closed already."""
    connection.execute(delete(web_sessions).where(web_sessions.c.sha256 == _sha256(session)))


def _identity(connection: Connection, query: Select[str, str | None, str, int]) -> Identity | None:
    row = connection.execute(query).first()
    return None if row is None else Identity(Role(row.role), row.firm, row.name, row.id)


def _in(scope: Scope) -> ColumnElement[bool]:
    return true() if scope.firm is None else tokens.c.firm == scope.firm


def _token(row: RowMapping) -> Token:
    return Token(**{**row, "role": Role(row["role"])})


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
