"""API tokens, and the browsers that logged in with one. Only hashes of secrets are kept."""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Select, delete, insert, select, update

from devices.store.schema import firms, tokens, web_sessions

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


def create(connection: Connection, role: str, firm: str | None, name: str, now_ms: int) -> str:
    """A new token, which is shown once and never again; raises BadToken."""
    if role not in set(Role):
        raise BadToken(f"{role!r} is not a role: {', '.join(Role)}")
    if role == Role.FIRM and not firm:
        raise BadToken("a token with the role firm needs the firm that it is for")
    if role != Role.FIRM and firm:
        raise BadToken(f"a token with the role {role} has no firm: leave {firm!r} out")
    if firm and connection.execute(select(firms.c.id).where(firms.c.id == firm)).first() is None:
        known = connection.execute(select(firms.c.id).order_by(firms.c.id).limit(20)).scalars()
        raise BadToken(f"there is no firm {firm!r}; known are: {', '.join(known) or 'none yet'}")
    token = f"cy_{secrets.token_urlsafe(_BYTES)}"
    row = {
        "sha256": _sha256(token),
        "role": role,
        "firm": firm or None,
        "name": name,
        "created_at_ms": now_ms,
    }
    connection.execute(insert(tokens), row)
    return token


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


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
