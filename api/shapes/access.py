"""Users, tokens, and the audit log."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from api.shapes.basics import Instant, Language

Role = Literal["operator", "firm", "viewer"]


class AuditRow(BaseModel):
    """Something that somebody changed, or was refused.

    token: the number of who did it; null for a command. address: from where. outcome: `done`,
    `repeated` (nothing was done: the same was asked before), `refused 403`, `failed 500`, …
    """

    number: int
    at: Instant
    actor: str
    role: str
    token: int | None
    origin: Literal["api", "console", "command"]
    address: str
    method: str
    resource: str
    subject: str
    outcome: str
    detail: dict[str, Any]
    before: str
    sha256: str


class AuditLog(BaseModel):
    items: list[AuditRow]
    next_cursor: str | None


class User(BaseModel):
    """Somebody who logs in. firm: for the role `firm`, and only for it. language: null is as their
    browser wants it. used_at: last, to some minutes.
    """

    name: str
    display: str
    role: Role
    firm: str | None
    language: Language | None
    created_at: Instant
    created_by: str
    used_at: Instant | None
    disabled_at: Instant | None


class Users(BaseModel):
    items: list[User]
    next_cursor: str | None


class UserWithPassword(User):
    """password: shown in this answer and nowhere else; null where the same request was answered
    before, under its Idempotency-Key.
    """

    password: str | None


class NewUser(BaseModel):
    """name: 2 to 63 of a-z, 0-9, dot, dash and underscore. display: how they are called."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(max_length=200)]
    display: Annotated[str, StringConstraints(max_length=200)] = ""
    role: Role
    firm: str | None = None
    language: Language | None = None


class NewRole(BaseModel):
    """firm: for the role `firm`, and only for it."""

    model_config = ConfigDict(extra="forbid")
    role: Role
    firm: str | None = None


class Token(BaseModel):
    """An API token, without what it opens. used_at: last, to some minutes."""

    id: int
    name: str
    role: Role
    firm: str | None
    created_at: Instant
    created_by: str
    used_at: Instant | None
    revoked_at: Instant | None


class Tokens(BaseModel):
    items: list[Token]
    next_cursor: str | None


class TokenWithSecret(Token):
    """token: shown in this answer and nowhere else; null where the same request was answered
    before, under its Idempotency-Key.
    """

    token: str | None


class NewToken(BaseModel):
    """name: what or who it is for. firm: for the role `firm`, and only for it."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    role: Role
    firm: str | None = None
