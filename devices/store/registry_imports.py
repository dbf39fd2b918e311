"""Imports of files into the registry: previewed, applied, undone; all in the caller's transactions.

A preview keeps the rows that were read, so that the file is read once, and the digest of what was
shown. Applying makes the plan anew from the registry of that moment: if it is another one, the
preview becomes that, and nothing is written. What was applied keeps what was there before.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from devices.imports import Line, Outcome, Plan, Rows, Step, is_same, plan
from devices.registry import Device, Registry
from devices.store.registry import Change, load, lock_revisions, save
from devices.store.schema import registry_imports

KEPT = 200  # imports, the oldest of them forgotten first
PREVIEWS_KEPT_MS = 86_400_000

_rows_decoder = msgspec.msgpack.Decoder(dict[str, list[tuple[int, dict[str, str]]]])
_lines_decoder = msgspec.msgpack.Decoder(tuple[Line, ...])
_step_decoder = msgspec.msgpack.Decoder(Step)


class State(StrEnum):
    PREVIEWED = "previewed"
    APPLIED = "applied"
    UNDONE = "undone"


class Refusal(StrEnum):
    """Why an import was not applied or undone; nothing was written."""

    WRONG = "wrong"  # lines of it are
    MOVED = "moved"  # it would do something else by now: it is previewed again
    UNDONE = "undone"  # it was, and is not applied a second time
    NOT_APPLIED = "not_applied"  # so there is nothing to undo
    CHANGED_SINCE = "changed_since"  # what it made, by somebody else
    NOTHING = "nothing"  # would be changed


class UnknownImport(LookupError):
    """There is no import with this id."""


@dataclass(frozen=True, slots=True)
class Import:
    """An import without its lines. digest: of what is shown of it."""

    no: int
    id: str
    source: str
    state: State
    made_at_ms: int
    made_by: str
    revision: int
    digest: str
    added: int
    changed: int
    unchanged: int
    wrong: int
    applied_at_ms: int | None
    applied_by: str | None
    undone_at_ms: int | None
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class Came:
    """What an attempt came to. refusal: None: it is done, now or before. names: of what is in the
    way. change: what was written by this attempt; None: nothing."""

    made: Import
    refusal: Refusal | None = None
    names: tuple[str, ...] = ()
    change: Change | None = None

    @property
    def is_news(self) -> bool:
        """Whether it was done by this attempt."""
        return self.change is not None


def preview(
    connection: Connection, tables: Mapping[str, Rows], source: str, by: str, now_ms: int
) -> Import:
    """Keep what these rows would do; the registry stays as it is. Old previews are forgotten."""
    known = load(connection)
    planned = plan(tables, known)
    _forget(connection, now_ms)
    given = {table: [(line, dict(row)) for line, row in rows] for table, rows in tables.items()}
    values = {
        "id": uuid4().hex,
        "source": source,
        "state": State.PREVIEWED,
        "made_at_ms": now_ms,
        "made_by": by,
        "content": _packed(given),
    }
    made = values | _planned(planned, known)
    connection.execute(insert(registry_imports).values(made))
    return find(connection, str(values["id"]))


def find(connection: Connection, import_id: str) -> Import:
    """Raises UnknownImport."""
    row = connection.execute(
        select(*_COLUMNS).where(registry_imports.c.id == import_id)
    ).one_or_none()
    if row is None:
        raise UnknownImport(import_id)
    return _import(row)


def list_imports(
    connection: Connection, *, below: int | None = None, limit: int = 100
) -> list[Import]:
    """The newest first. below: the number of the last one on the page before."""
    query = select(*_COLUMNS).order_by(registry_imports.c.no.desc()).limit(limit)
    if below is not None:
        query = query.where(registry_imports.c.no < below)
    return [_import(row) for row in connection.execute(query)]


def lines_of(
    connection: Connection,
    import_id: str,
    outcome: Outcome | None = None,
    *,
    after: int = 0,
    limit: int = 100,
) -> list[tuple[int, Line]]:
    """Its lines with their numbers, from 1 on, in the order of the file, behind `after`."""
    packed = connection.scalar(
        select(registry_imports.c.lines).where(registry_imports.c.id == import_id)
    )
    if packed is None:
        raise UnknownImport(import_id)
    lines = _lines_decoder.decode(zlib.decompress(packed))
    wanted = (
        (number, line)
        for number, line in enumerate(lines, 1)
        if number > after and outcome in (None, line.outcome)
    )
    return [found for found, _ in zip(wanted, range(limit), strict=False)]


def step_of(connection: Connection, import_id: str) -> Step:
    """What it wrote; empty for one that was not applied."""
    packed = connection.scalar(
        select(registry_imports.c.step).where(registry_imports.c.id == import_id)
    )
    return Step() if packed is None else _step_decoder.decode(zlib.decompress(packed))


def apply(connection: Connection, import_id: str, digest: str, by: str, now_ms: int) -> Came:
    """Write what was previewed under this digest, all of it or nothing. Raises UnknownImport.

    Applied already: nothing happens, and that is well.
    """
    lock_revisions(connection)
    found = find(connection, import_id)
    if found.state is State.APPLIED:
        return Came(found)
    if found.state is State.UNDONE:
        return Came(found, Refusal.UNDONE)
    known = load(connection)
    packed = connection.execute(
        select(registry_imports.c.content).where(registry_imports.c.id == import_id)
    ).scalar_one()
    planned = plan(_rows_decoder.decode(zlib.decompress(packed)), known)
    if not found.digest == planned.digest == digest:
        _change(connection, import_id, **_planned(planned, known))
        return Came(find(connection, import_id), Refusal.MOVED)
    if found.wrong:
        return Came(found, Refusal.WRONG)
    step = planned.step
    if not (step.firms_after or step.compounds_after or step.devices_after):
        return Came(found, Refusal.NOTHING)
    wanted = Registry(step.firms_after, step.compounds_after, step.devices_after)
    change = save(connection, wanted, now_ms)
    _change(
        connection,
        import_id,
        state=State.APPLIED,
        step=_packed(step),
        applied_at_ms=now_ms,
        applied_by=by,
    )
    return Came(find(connection, import_id), change=change)


def undo(connection: Connection, import_id: str, by: str, now_ms: int) -> Came:
    """Put back what it changed, and take out of service what it added. Raises UnknownImport.

    Refused as a whole where somebody changed any of that since. What was added stays in the
    registry, out of service and without a name in its protocol, for its messages and faults may be
    on record; firms and compounds that were added stay.
    """
    lock_revisions(connection)
    found = find(connection, import_id)
    if found.state is State.UNDONE:
        return Came(found)
    if found.state is not State.APPLIED:
        return Came(found, Refusal.NOT_APPLIED)
    step = step_of(connection, import_id)
    known = load(connection)
    changed = [one.id for one in step.firms_after if known.firms.get(one.id) != one]
    changed += [one.id for one in step.compounds_after if known.compounds.get(one.id) != one]
    changed += [one.id for one in step.devices_after if not is_same(known.devices.get(one.id), one)]
    if changed:
        return Came(found, Refusal.CHANGED_SINCE, tuple(changed))
    before = {one.id for one in step.devices_before}
    retired: list[Device] = [
        replace(one, decommissioned_at_ms=one.decommissioned_at_ms or now_ms, external_id="")
        for one in step.devices_after
        if one.id not in before
    ]
    back = Registry(step.firms_before, step.compounds_before, (*step.devices_before, *retired))
    change = save(connection, back, now_ms)
    _change(connection, import_id, state=State.UNDONE, undone_at_ms=now_ms, undone_by=by)
    return Came(find(connection, import_id), change=change)


def discard(connection: Connection, import_id: str) -> None:
    """Forget a preview; what was applied stays on record. Raises UnknownImport."""
    find(connection, import_id)
    column = registry_imports.c
    connection.execute(
        delete(registry_imports).where(column.id == import_id, column.state == State.PREVIEWED)
    )


_COLUMNS = [
    registry_imports.c[name]
    for name in Import.__slots__  # the columns have the names of the fields
]


def _import(row: Row[Any]) -> Import:
    return Import(**{**row._mapping, "state": State(row.state)})


def _planned(planned: Plan, known: Registry) -> dict[str, object]:
    return {
        "revision": known.revision,
        "digest": planned.digest,
        "lines": _packed(planned.lines),
        **{outcome.value: planned.count(outcome) for outcome in Outcome},
    }


def _packed(value: object) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(value))


def _change(connection: Connection, import_id: str, **values: object) -> None:
    connection.execute(
        update(registry_imports).where(registry_imports.c.id == import_id).values(**values)
    )


def _forget(connection: Connection, now_ms: int) -> None:
    """Previews that nobody confirmed within a day, and what goes beyond KEPT."""
    column = registry_imports.c
    connection.execute(
        delete(registry_imports).where(
            column.state == State.PREVIEWED, column.made_at_ms < now_ms - PREVIEWS_KEPT_MS
        )
    )
    newest: Sequence[int] = list(
        connection.scalars(select(column.no).order_by(column.no.desc()).limit(KEPT - 1))
    )
    if len(newest) == KEPT - 1:
        connection.execute(delete(registry_imports).where(column.no < newest[-1]))
