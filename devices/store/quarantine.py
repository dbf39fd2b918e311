"""Reads of what was refused, for people."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, Select, func, select

from devices.store.schema import quarantine
from devices.store.scope import Scope

PREVIEW_BYTES = 1024  # of a payload in a list; one item shows all of it


@dataclass(frozen=True, slots=True)
class Refused:
    """A message, or a part of one (partial: the rest was stored), that was refused.

    payload: the bytes as they came, in a list at most PREVIEW_BYTES of them; None when only count
    and hash were kept. size_bytes: of the whole payload.
    """

    id: int
    received_at_ms: int
    compound: str
    device: str | None
    topic: str
    reason: str
    detail: str
    sha256: str
    size_bytes: int
    payload: bytes | None
    partial: bool
    replayed_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which are asked for; None leaves a question open. from/to: of when it was received."""

    compound: str | None = None
    device: str | None = None
    reason: str | None = None
    partial: bool | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def list_refused(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[Refused]:
    """The newest first, beginning behind the id `before`."""
    column = quarantine.c
    query = _select(preview=True).where(scope.holds(column.compound)).limit(limit)
    for where, value in (
        (column.compound, wanted.compound),
        (column.device, wanted.device),
        (column.reason, wanted.reason),
        (column.partial, wanted.partial),
    ):
        if value is not None:
            query = query.where(where == value)
    if wanted.from_ms is not None:
        query = query.where(column.received_at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(column.received_at_ms < wanted.to_ms)
    if before is not None:
        query = query.where(column.id < before)
    return [_refused(row) for row in connection.execute(query.order_by(column.id.desc()))]


def find_refused(connection: Connection, scope: Scope, refused: int) -> Refused | None:
    """One of them with its whole payload; None outside the scope."""
    query = _select(preview=False).where(
        quarantine.c.id == refused, scope.holds(quarantine.c.compound)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _refused(row)


def _select(*, preview: bool) -> Select[Any]:
    column = quarantine.c
    payload: ColumnElement[bytes | None] = column.payload
    if preview:
        beginning = func.substr(column.payload, 1, PREVIEW_BYTES, type_=LargeBinary)
        payload = func.coalesce(beginning, column.payload)  # SQLite: the beginning of b"" is NULL
    return select(
        column.id,
        column.received_at_ms,
        column.compound,
        column.device,
        column.topic,
        column.reason,
        column.detail,
        column.sha256,
        column.size_bytes,
        payload.label("payload"),
        column.partial,
        column.replayed_at_ms,
    )


def _refused(row: Row[Any]) -> Refused:
    return Refused(**row._mapping)
