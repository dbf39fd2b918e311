"""Hours whose metered figures are worked out again: which are due, and what they come to.

The judge marks an hour in the transaction that takes a report of it behind newer ones. A mark is
due once the telemetry store holds that report: when forward has passed the record it came in. It
goes with the figures that were worked out, unless the judge has marked the hour anew meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    and_,
    bindparam,
    delete,
    or_,
    select,
    true,
    update,
)

from devices.registers import Exclusion
from devices.registry import Device, Registry
from devices.sessions import EndedBy, Session
from devices.store import cursors
from devices.store.accounts import Forwarded
from devices.store.database import answering, conflict_insert, reading, writing
from devices.store.exclusions import write_exclusions
from devices.store.registry import load as load_registry
from devices.store.registry import newest_revision
from devices.store.schema import (
    LIVE,
    devices,
    sessions,
    usage_again,
    usage_exclusions,
    usage_hours,
)
from devices.store.schema import cursors as cursor_rows
from devices.store.sessions import measured_row, session_of
from devices.store.usage_days import mark_days
from devices.store.usage_peaks import forget_peaks, used_before, used_of
from devices.usage import HOUR_MS, Figures

LONGEST_SESSION_MS = 24 * HOUR_MS  # longer is refused (domain.md §2.3)
KEPT_BY_JUDGE_MS = 3 * HOUR_MS  # from its beginning: then an hour has left the judge's memory

_pack = msgspec.msgpack.Encoder().encode
_NOTHING = _pack({})
_forwarded = msgspec.msgpack.Decoder(Forwarded).decode


class Mark(NamedTuple):
    """An hour of a device, and what must be in the telemetry store for it.

    from_ms: it was left for that time by who works hours out; 0: the judge has marked it.
    """

    device: str
    hour_ms: int
    journal_id: str
    position: int
    revision: int
    from_ms: int = 0


def due(connection: Connection, now_ms: int, limit: int) -> list[Mark]:
    """Marks whose readings are stored, of one device after the other; at most `limit`.

    Of a journal that forward no longer reads nothing more will come, so those are due, too.
    """
    at = cursors.load(connection, "forward")
    if at is None:
        return []
    mark = usage_again.c
    passed = or_(
        mark.journal_id != at.journal_id,
        and_(
            mark.position <= at.position,
            mark.revision <= _forwarded(at.memory).replayed,
        ),
    )
    query = (
        select(
            devices.c.id,
            mark.hour_ms,
            mark.journal_id,
            mark.position,
            mark.revision,
            mark.from_ms,
        )
        .join(devices, devices.c.no == mark.device_no)
        .where(passed, mark.from_ms <= now_ms)
        .order_by(mark.device_no, mark.hour_ms)
        .limit(limit)
    )
    return [Mark(*row) for row in connection.execute(query)]


def sessions_of(connection: Connection, port: str, from_ms: int, to_ms: int) -> list[Session]:
    """The sessions of a port that were under way in [from_ms, to_ms), by their start.

    One whose end was inferred may have been, for as long as a session can last.
    """
    column = sessions.c
    query = (
        select(sessions)
        .where(
            column.stream == LIVE,
            column.port == port,
            or_(column.started_at_ms.is_(None), column.started_at_ms < to_ms),
            or_(
                column.ended_at_ms.is_(None),
                column.ended_at_ms >= from_ms,
                and_(
                    column.ended_by == EndedBy.PLATFORM,
                    column.started_at_ms >= from_ms - LONGEST_SESSION_MS,
                ),
            ),
        )
        .order_by(column.started_at_ms, column.id)
    )
    return [session_of(row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Worked:
    """What hours of a device come to, in place of what the judge added up, and the marks that go.

    later: hours to be looked at again when the judge is done with them. measured: sessions with
    what they drew, and those whose end was inferred with when that was; one that has another start
    or end by now is left alone. exclusions: all that there are in those hours.
    """

    device: Device
    hours: Mapping[int, Figures]
    done: Sequence[Mark]
    later: Sequence[int] = ()
    measured: Sequence[Session] = ()
    exclusions: Sequence[Exclusion] = ()


def write(connection: Connection, worked: Worked) -> None:
    device, hours, marks = worked.device, worked.hours, worked.done
    number = connection.execute(select(devices.c.no).where(devices.c.id == device.id)).scalar()
    if number is None:
        return
    mark_days(connection, ((device.compound, hour_ms) for hour_ms in hours), None)
    _write_hours(connection, device, number, hours)
    write_exclusions(connection, [(number, one) for one in worked.exclusions])
    for session in worked.measured:
        _write_measured(connection, session)
    _many(
        connection,
        delete(usage_again).where(
            usage_again.c.device_no == number,
            usage_again.c.hour_ms == bindparam("of_hour_ms"),
            usage_again.c.journal_id == bindparam("of_journal"),
            usage_again.c.position == bindparam("to_position"),
            usage_again.c.revision == bindparam("to_revision"),
        ),
        [
            {
                "of_hour_ms": mark.hour_ms,
                "of_journal": mark.journal_id,
                "to_position": mark.position,
                "to_revision": mark.revision,
            }
            for mark in marks
        ],
    )
    if not marks:
        return
    _many(
        connection,
        conflict_insert(connection, usage_again).on_conflict_do_nothing(),
        [
            {
                "device_no": number,
                "hour_ms": hour_ms,
                "journal_id": marks[0].journal_id,
                "position": max(mark.position for mark in marks),
                "revision": 0,
                "from_ms": hour_ms + KEPT_BY_JUDGE_MS,
            }
            for hour_ms in worked.later
        ],
    )


def _many(connection: Connection, statement: Executable, rows: Sequence[dict[str, object]]) -> None:
    """One statement for all of them: on PostgreSQL one way there and back."""
    if rows:
        connection.execute(statement, rows)


def _write_measured(connection: Connection, session: Session) -> None:
    column = sessions.c
    started, values = session.started_at_ms, measured_row(session.measured)
    is_guess = session.ended_by is EndedBy.PLATFORM
    if is_guess:
        values |= {
            "ended_at_ms": session.ended_at_ms,
            "duration_s": session.duration_s,
            "energy_kwh": session.energy_kwh,
        }
    before = used_before(connection, [session.id]) if is_guess else {}
    written = connection.execute(
        update(sessions)
        .where(
            column.id == session.id,
            column.stream == LIVE,
            column.ended_by == session.ended_by,
            column.started_at_ms.is_(None) if started is None else column.started_at_ms == started,
            true() if is_guess else column.ended_at_ms == session.ended_at_ms,
        )
        .values(values)
    )
    if is_guess and written.rowcount:
        forget_peaks(connection, before, {session.id: used_of(session)})


def _write_hours(
    connection: Connection, device: Device, number: int, hours: Mapping[int, Figures]
) -> None:
    """An hour of which nothing is left is no new row. What was left out in them goes."""
    made = conflict_insert(connection, usage_hours)
    _many(
        connection,
        made.on_conflict_do_update(
            index_elements=["compound", "hour_ms", "device_no"],
            set_={"metered": made.excluded.metered},
        ),
        [
            {
                "compound": device.compound,
                "hour_ms": hour_ms,
                "device_no": number,
                "kind": device.kind,
                "received": 0,
                "expected": 0,
                "figures": _NOTHING,
                "metered": _pack(figures),
            }
            for hour_ms, figures in sorted(hours.items())
            if figures
        ],
    )
    column = usage_hours.c
    _many(
        connection,
        update(usage_hours)
        .where(
            column.compound == device.compound,
            column.hour_ms == bindparam("of_hour_ms"),
            column.device_no == number,
        )
        .values(metered=_NOTHING),
        [{"of_hour_ms": hour_ms} for hour_ms, figures in sorted(hours.items()) if not figures],
    )
    _many(
        connection,
        delete(usage_exclusions).where(
            usage_exclusions.c.device_no == number,
            usage_exclusions.c.at_ms >= bindparam("from_ms"),
            usage_exclusions.c.at_ms < bindparam("to_ms"),
        ),
        [{"from_ms": hour_ms, "to_ms": hour_ms + HOUR_MS} for hour_ms in sorted(hours)],
    )


class UsageAgain:
    """The same for a worker, each call a transaction of its own. Raises DatabaseAway."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(self, now_ms: int, limit: int) -> list[Mark]:
        with answering(), reading(self._engine) as connection:
            return due(connection, now_ms, limit)

    def heard_to_ms(self) -> int | None:
        """Up to when everything has been judged; None before the first probe."""
        query = select(cursor_rows.c.watermark_ms).where(cursor_rows.c.name == "judge")
        with answering(), reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def registry_revision(self) -> int:
        with answering(), reading(self._engine) as connection:
            return newest_revision(connection)

    def registry(self) -> Registry:
        with answering(), reading(self._engine) as connection:
            return load_registry(connection)

    def sessions(self, port: str, from_ms: int, to_ms: int) -> list[Session]:
        with answering(), reading(self._engine) as connection:
            return sessions_of(connection, port, from_ms, to_ms)

    def write(self, some: Sequence[Worked]) -> None:
        """All of it, or nothing."""
        with answering(), writing(self._engine) as connection:
            for worked in some:
                write(connection, worked)
