"""The audit log."""

from typing import Any, Literal

from pydantic import BaseModel

from api.shapes.basics import Instant


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
