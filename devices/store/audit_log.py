"""The rows of the audit log: added, read, and held against their hashes."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from sqlalchemy import Connection, Engine, insert, select, update

from devices.audit import START, Break, Entry, Row, chained, first_break
from devices.store.database import conflict_insert, reading
from devices.store.schema import audit_head, audit_log

VERIFIED_AT_ONCE = 2_000  # rows in one transaction, some 20 ms

_HEAD = 1
_COLUMNS = [audit_log.c[each.name] for each in fields(Row)]


@dataclass(frozen=True, slots=True)
class Filter:
    """actor, subject: exactly. resource: what it begins with. from_ms, to_ms: [from, to)."""

    actor: str | None = None
    subject: str | None = None
    resource: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the chain. rows: how many were looked at, the last with this hash."""

    rows: int
    sha256: str
    broken: Break | None


def append(connection: Connection, entry: Entry) -> Row:
    """Add a row in the caller's transaction: the last thing before its commit, for it holds others.

    Whoever adds one waits here for the one before to be committed, so that the chain is one.
    """
    number, before = _hold_head(connection)
    row = chained(number + 1, before, entry)
    connection.execute(
        insert(audit_log), {each.name: getattr(row, each.name) for each in fields(row)}
    )
    connection.execute(
        update(audit_head)
        .where(audit_head.c.id == _HEAD)
        .values(number=row.number, sha256=row.sha256)
    )
    return row


class FirstWrite:
    """Takes one row along with the first transaction that is committed (`database.recorded`).

    entry: what the row says, asked when that is known; None: nothing, for nobody is known.
    """

    def __init__(self, entry: Callable[[], Entry | None]) -> None:
        self._entry = entry
        self._is_added = False
        self.is_recorded = False

    def add(self, connection: Connection) -> None:
        self._is_added = False
        if not self.is_recorded and (entry := self._entry()) is not None:
            append(connection, entry)
            self._is_added = True

    def committed(self) -> None:
        self.is_recorded |= self._is_added


def list_rows(
    connection: Connection, wanted: Filter, *, below: int | None = None, limit: int = 100
) -> list[Row]:
    """The newest first. below: the number of the last one on the page before."""
    column = audit_log.c
    query = select(*_COLUMNS).order_by(column.number.desc()).limit(limit)
    if below is not None:
        query = query.where(column.number < below)
    if wanted.actor is not None:
        query = query.where(column.actor == wanted.actor)
    if wanted.subject is not None:
        query = query.where(column.subject == wanted.subject)
    if wanted.resource is not None:
        query = query.where(column.resource.startswith(wanted.resource, autoescape=True))
    if wanted.from_ms is not None:
        query = query.where(column.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(column.at_ms < wanted.to_ms)
    return [Row(*found) for found in connection.execute(query)]


def verify(engine: Engine) -> Verdict:
    """Look at every row, in short transactions; others may add rows meanwhile."""
    with reading(engine) as connection:
        end, last = _read_head(connection)
    number, before = 0, START
    while number < end:
        with reading(engine) as connection:
            rows = [
                Row(*found)
                for found in connection.execute(
                    select(*_COLUMNS)
                    .where(audit_log.c.number > number, audit_log.c.number <= end)
                    .order_by(audit_log.c.number)
                    .limit(VERIFIED_AT_ONCE)
                )
            ]
        broken = first_break(rows, number, before)
        if broken is None and not rows:
            broken = Break(number + 1, "is missing, and so is everything behind it")
        if broken is not None:
            return Verdict(broken.number - 1, before, broken)
        number, before = rows[-1].number, rows[-1].sha256
    if before != last:
        why = "is not the one that the chain ended with when it was written"
        return Verdict(number, before, Break(number, why))
    with reading(engine) as connection:
        stray = connection.scalar(
            select(audit_log.c.number).where(audit_log.c.number <= 0).limit(1)
        )
        newest, end = _newest(connection)[0], _read_head(connection)[0]
    if stray is not None or newest != end:
        return Verdict(number, before, Break(newest, f"is the last; the chain says that {end} is"))
    return Verdict(number, before, None)


def hash_of(connection: Connection, number: int) -> str | None:
    """The hash of one row; None where there is none."""
    return connection.scalar(select(audit_log.c.sha256).where(audit_log.c.number == number))


def _hold_head(connection: Connection) -> tuple[int, str]:
    """Where the chain ends; until this transaction ends nobody else adds to it."""
    held = select(audit_head.c.number, audit_head.c.sha256).where(audit_head.c.id == _HEAD)
    row = connection.execute(held.with_for_update()).one_or_none()
    if row is None:  # the first of all rows; or somebody took it away, and nothing stops for that
        number, sha256 = _newest(connection)
        made = conflict_insert(connection, audit_head)
        made = made.values(id=_HEAD, number=number, sha256=sha256).on_conflict_do_nothing()
        connection.execute(made)
        row = connection.execute(held.with_for_update()).one()
    return row.number, row.sha256


def _newest(connection: Connection) -> tuple[int, str]:
    query = select(audit_log.c.number, audit_log.c.sha256).order_by(audit_log.c.number.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return (0, START) if row is None else (row.number, row.sha256)


def _read_head(connection: Connection) -> tuple[int, str]:
    query = select(audit_head.c.number, audit_head.c.sha256).where(audit_head.c.id == _HEAD)
    row = connection.execute(query).one_or_none()
    return (0, START) if row is None else (row.number, row.sha256)
