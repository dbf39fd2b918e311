"""What an export can be of: its steps, the piece of a step, and the file that pieces make.

A step is a compound and a stretch of time of it. Steps are planned once and stand in the log's
header, so that a change of the registry in between changes nothing of what was begun.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
from sqlalchemy import func, select

from api import tables
from api.corrected import Marked
from api.exports.model import Wanted, What
from api.reports import pdf, xlsx
from api.reports.gather import (
    Day,
    NothingToReport,
    Source,
    compounds_of_firm,
    month_so_far,
    parts_of,
    read_days,
    report_of_compound,
    report_of_firm,
)
from api.reports.model import Month, Report
from api.reports.words import value_name
from api.usage import Table, bucket_starts
from api.words import named, say
from devices.apart import Apart
from devices.coverage import KINDS, Sum
from devices.days import DAY_MS, zone_of
from devices.reconciliation import WORDS, Measured, Why
from devices.sessions import EndedBy, Session, reconciled
from devices.store.compounds import Entry
from devices.store.corrections import Mark, marks
from devices.store.database import reading
from devices.store.schema import sessions
from devices.store.sessions import Filter, list_sessions
from devices.store.usage_apart import apart_of_compound
from devices.store.usage_days import pack, sums_of_compound, unpack

Step = tuple[str, int, int]  # compound, from_ms, to_ms
Pieces = Callable[[], Iterator[bytes]]  # may be read more than once

STEP_MS = 31 * DAY_MS
SESSIONS_AT_ONCE = 500
MOST_LINES = 500_000  # of a CSV
MOST_ROWS = 100_000  # of a spreadsheet: some 10 s to write

_packed = msgspec.msgpack.Encoder().encode


def pack_apart(apart: Apart) -> list[object]:
    """What does not add up, as a piece keeps it."""
    return [
        apart.households,
        apart.peak_ports,
        apart.dark_s,
        apart.dark_faults,
        sorted(apart.unknown),
    ]


def unpack_apart(kept: list[Any]) -> Apart:
    households, peak_ports, dark_s, dark_faults, unknown = kept
    return Apart(households, peak_ports, dark_s, dark_faults, frozenset(unknown))


@dataclass(frozen=True, slots=True)
class Order:
    """What is made: of what, as of when and for whom; fonts: where a Chinese one is, for PDF."""

    source: Source
    wanted: Wanted
    fonts: Path | None = None


class TooLarge(Exception):
    """More than one file may hold; the text says how much of what."""


class Kind(Protocol):
    """One thing that exports can be of."""

    def steps(self, order: Order) -> list[Step]:
        """Raises NothingToReport, BadMonth, TooLarge."""
        ...

    def piece(self, order: Order, step: Step) -> bytes:
        """What the file needs to know of a step."""
        ...

    def write(self, order: Order, pieces: Pieces, target: IO[bytes]) -> None:
        """The file. Raises ReportsUnusable, and what `steps` raises."""
        ...


def entries_of(source: Source, wanted: Wanted) -> list[Entry]:
    """The compounds that it is about. Raises NothingToReport."""
    if wanted.compound is not None:
        entry = source.directory.find(source.scope, wanted.compound)
        if entry is None:
            raise NothingToReport(wanted.compound)
        return [entry]
    if wanted.firm is not None:
        return compounds_of_firm(source, wanted.firm)
    return list(source.directory.visible(source.scope))


class Reports:
    """A month of a compound or a firm. Piece: the sums of a compound's days."""

    def steps(self, order: Order) -> list[Step]:
        source, wanted = order.source, order.wanted
        month = Month.parse(wanted.month or "")
        return [
            (entry.id, *month_so_far(month, zone_of(entry.timezone), source.now_ms)[:2])
            for entry in entries_of(source, wanted)
        ]

    def piece(self, order: Order, step: Step) -> bytes:
        source = order.source
        compound, from_ms, to_ms = step
        entry = _entry(source, compound)
        days, apart = ({}, Apart()) if entry is None else read_days(source, entry, from_ms, to_ms)
        kept = [
            (day.toordinal(), pack(of.summed), pack_apart(of.apart)) for day, of in days.items()
        ]
        return _packed([compound, (kept, pack_apart(apart))])

    def write(self, order: Order, pieces: Pieces, target: IO[bytes]) -> None:
        report, language = self.report_of(order, pieces), order.wanted.language
        if order.wanted.format == "pdf":
            target.write(pdf.render(report, language, order.fonts))
        else:
            xlsx.write(report, language, target)

    def report_of(self, order: Order, pieces: Pieces) -> Report:
        """What the pieces add up to, with all that is not usage. Raises NothingToReport."""
        source, wanted = order.source, order.wanted
        kept: dict[str, Any] = dict(map(_decoded, pieces()))

        def days_of(
            source: Source, entry: Entry, from_ms: int, to_ms: int
        ) -> tuple[dict[date, Day], Apart]:
            if entry.id not in kept:  # it came to the firm while this was made
                return read_days(source, entry, from_ms, to_ms)
            has = parts_of(entry)
            days, apart = kept[entry.id]
            found = {
                date.fromordinal(day): Day(unpack(sums), set(has), unpack_apart(part))
                for day, sums, part in days
            }
            return found, unpack_apart(apart)

        month = Month.parse(wanted.month or "")
        if wanted.compound is not None:
            return report_of_compound(source, wanted.compound, month, days_of=days_of)
        return report_of_firm(source, wanted.firm or "", month, days_of=days_of)


class Usage:
    """Usage by bucket of each compound, as `/v1/usage` has it. Piece: sums by bucket."""

    def steps(self, order: Order) -> list[Step]:
        source, wanted = order.source, order.wanted
        found: list[Step] = []
        lines = 0
        for entry in entries_of(source, wanted):
            starts = _starts(entry, wanted, wanted.from_ms, wanted.to_ms)
            lines += len(starts)
            first = wanted.from_ms
            for start, end in zip(starts, [*starts[1:], wanted.to_ms], strict=True):
                if end - first > STEP_MS and start > first:
                    found.append((entry.id, first, start))
                    first = start
            found.append((entry.id, first, wanted.to_ms))
        if lines > MOST_LINES:
            raise TooLarge(f"{lines:,} > {MOST_LINES:,}")
        return found

    def piece(self, order: Order, step: Step) -> bytes:
        source, wanted = order.source, order.wanted
        compound, from_ms, to_ms = step
        entry = _entry(source, compound)
        if entry is None:
            return _packed([compound, [], to_ms, [], [], []])
        starts = _starts(entry, wanted, from_ms, to_ms)
        sums = sums_of_compound(source.engine, source.scope, entry, starts, to_ms)
        parts, _ = apart_of_compound(
            source.engine, source.scope, entry, starts, to_ms, source.now_ms
        )
        with reading(source.engine) as connection:
            found = marks(connection, source.scope, [entry.id], from_ms, to_ms)
        return _packed(
            [
                compound,
                starts,
                to_ms,
                [pack(one) for one in sums],
                [pack_apart(one) for one in parts],
                found,
            ]
        )

    def write(self, order: Order, pieces: Pieces, target: IO[bytes]) -> None:
        source, wanted = order.source, order.wanted
        total = Sum()  # says which columns there are
        for piece in pieces():
            for sums in _decoded(piece)[3]:
                total.add(unpack(sums))
        entries = {entry.id: entry for entry in entries_of(source, wanted)}
        kinds = {kind for entry in entries.values() for kind in _kinds(entry)}
        first = ("compound", "name_zh", "name_en", "firm")
        table = Table(first, total, [kind for kind in KINDS if kind in kinds])

        def lines() -> Iterator[list[tables.Cell]]:
            for piece in pieces():
                compound, starts, to_ms, sums, parts, found = _decoded(piece)
                entry = entries.get(compound)
                if entry is None:
                    continue
                yield from table.lines(
                    (entry.id, entry.name.zh, entry.name.en, entry.firm),
                    [unpack(one) for one in sums],
                    [unpack_apart(one) for one in parts],
                    starts,
                    to_ms,
                    zone_of(entry.timezone),
                    source.now_ms,
                    Marked([Mark(*mark) for mark in found]),
                    kinds=_kinds(entry),
                )

        _print(table.header, lines(), target)


@dataclass(frozen=True, slots=True)
class Column:
    """Of a file of sessions. word: its name in a spreadsheet."""

    name: str
    word: str
    width: int
    look: str = ""  # of its numbers


COLUMNS = (
    Column("compound", "x_compound_id", 18),
    Column("compound_name", "x_compound", 18),
    Column("shed", "x_shed", 24),
    Column("port", "x_port", 28),
    Column("order", "x_order", 20),
    Column("state", "x_state", 10),
    Column("started_at", "x_started_at", 18),
    Column("ended_at", "x_ended_at", 18),
    Column("duration_h", "x_duration_h", 12, "0.00"),
    Column("energy_kwh", "x_energy_kwh", 12, "0.00"),
    Column("fee_fen", "x_fee_fen", 12),
    Column("stop_reason", "x_stop_reason", 18),
    Column("stop_reason_name", "x_stop_reason_name", 20),
    Column("native_reason", "x_native_reason", 14),
    Column("ended_by", "x_ended_by", 12),
    Column("provisional", "x_provisional", 12),
    Column("reported_kwh", "x_reported_kwh", 12, "0.00"),
    Column("register_kwh", "x_register_kwh", 12, "0.00"),
    Column("register_known", "x_register_known", 12, "0 %"),
    Column("power_kwh", "x_power_kwh", 12, "0.00"),
    Column("power_known", "x_power_known", 12, "0 %"),
    Column("reconciliation", "x_reconciliation", 12),
    Column("reconciliation_why", "x_reconciliation_why", 18),
    Column("reconciliation_text", "x_reconciliation_text", 40),
)


class Sessions:
    """Charging sessions that started in the range, by compound and start. Piece: their lines."""

    def steps(self, order: Order) -> list[Step]:
        source, wanted = order.source, order.wanted
        entries = entries_of(source, wanted)
        most = MOST_ROWS if wanted.format == "xlsx" else MOST_LINES
        count = 0
        for entry in entries:
            count += _count(source, entry.id, wanted.from_ms, wanted.to_ms)
            if count > most:
                raise TooLarge(f"> {most:,}")
        return [
            (entry.id, start, min(start + STEP_MS, wanted.to_ms))
            for entry in entries
            for start in range(wanted.from_ms, wanted.to_ms, STEP_MS)
        ]

    def piece(self, order: Order, step: Step) -> bytes:
        source = order.source
        compound, from_ms, to_ms = step
        asked = Filter(compound, from_ms=from_ms, to_ms=to_ms)
        found: list[list[object]] = []
        before: tuple[int | None, str] | None = None
        while True:
            with reading(source.engine) as connection:
                page = list_sessions(
                    connection, source.scope, asked, before=before, limit=SESSIONS_AT_ONCE
                )
            found += [
                [
                    one.shed, one.port, one.order, one.state.value, one.started_at_ms,
                    one.ended_at_ms, one.duration_s, one.energy_kwh, one.fee_fen, one.stop_reason,
                    one.native_reason, one.ended_by and one.ended_by.value, one.provisional,
                    *_held(one),
                ]
                for one in page
            ]  # fmt: skip
            if len(page) < SESSIONS_AT_ONCE:
                break
            before = (page[-1].started_at_ms, page[-1].id)
        return _packed([compound, found[::-1]])

    def write(self, order: Order, pieces: Pieces, target: IO[bytes]) -> None:
        source, wanted = order.source, order.wanted
        lines = _session_lines(source, wanted, pieces)
        if wanted.format == "csv":
            _print(
                [column.name for column in COLUMNS],
                ([_printed(cell) for cell in line] for line in lines),
                target,
            )
            return
        language = wanted.language
        xlsx.write_table(
            language,
            say(language, "x_sessions"),
            [(say(language, column.word), column.width) for column in COLUMNS],
            ([_naive(cell) for cell in line] for line in lines),
            [column.look for column in COLUMNS],
            source.now_ms,
            target,
        )


KIND_OF: Mapping[What, Kind] = {"report": Reports(), "usage": Usage(), "sessions": Sessions()}


def _session_lines(source: Source, wanted: Wanted, pieces: Pieces) -> Iterator[list[Any]]:
    language = wanted.language
    for piece in pieces():
        compound, rows = _decoded(piece)
        entry = _entry(source, compound)
        if entry is None:
            continue
        zone = zone_of(entry.timezone)
        name = named(language, entry.name)
        for row in rows:
            shed, port, order, state, started_ms, ended_ms, duration_s = row[:7]
            energy_kwh, fee_fen, reason, native, ended_by, provisional = row[7:13]
            held = held_of(row)
            why = held[-1]
            yield [
                compound, name, shed, port, order, state, _at(started_ms, zone),
                _at(ended_ms, zone), None if duration_s is None else duration_s / 3600,
                energy_kwh, fee_fen, reason,
                None if reason is None else value_name(language, "stop_reasons", reason),
                native, ended_by, say(language, "yes" if provisional else "no"),
                *held, None if why is None else named(language, WORDS[Why(why)]),
            ]  # fmt: skip


def _held(session: Session) -> list[object]:
    """What the energy that it reported is held against, and what can be said of it."""
    found, measured = reconciled(session), session.measured or Measured()
    is_reported = session.ended_by is EndedBy.DEVICE
    return [
        session.energy_kwh if is_reported else None,
        measured.register_kwh,
        None if session.measured is None else measured.register_known,
        measured.power_kwh,
        None if session.measured is None else measured.power_known,
        found.status.value,
        found.why.value,
    ]


def held_of(row: list[Any]) -> list[Any]:
    """The same, of a session's line in a piece; those from before there was a verdict have none."""
    return row[13:] or [None] * 7


def _at(at_ms: int | None, zone: tzinfo) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms // 1000, zone)


def _printed(cell: Any) -> tables.Cell:
    return cell.isoformat() if isinstance(cell, datetime) else cell


def _naive(cell: Any) -> xlsx.Cell:
    """A spreadsheet's times have no zone: they are the compound's."""
    return cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell


def _print(header: Iterable[str], lines: Iterable[list[tables.Cell]], target: IO[bytes]) -> None:
    for text in tables.printed(list(header), lines):
        target.write(text.encode())


def _count(source: Source, compound: str, from_ms: int, to_ms: int) -> int:
    column = sessions.c
    query = select(func.count()).where(
        column.compound == compound,
        source.scope.holds(column.compound),
        column.started_at_ms >= from_ms,
        column.started_at_ms < to_ms,
    )
    with reading(source.engine) as connection:
        return connection.scalar(query) or 0


def _entry(source: Source, compound: str) -> Entry | None:
    return source.directory.find(source.scope, compound)


def _kinds(entry: Entry) -> list[str]:
    return [kind for kind in KINDS if entry.devices.get(kind)]


def _starts(entry: Entry, wanted: Wanted, from_ms: int, to_ms: int) -> list[int]:
    return list(bucket_starts(from_ms, to_ms, zone_of(entry.timezone), wanted.bucket))


def _decoded(piece: bytes) -> Any:
    return msgspec.msgpack.decode(piece)
