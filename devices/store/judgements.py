"""What the judge decided, written with its cursor: all of it in one transaction, or none.

Totals that are added to here (accounts, usage of hours long past) are safe to add, because the
cursor moves in the same transaction: nothing is ever added twice.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    String,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
    values,
)
from sqlalchemy import column as sql_column

from devices.catalogue import RULES
from devices.credentials import pack as pack_hashes
from devices.credentials import unpack as unpack_hashes
from devices.faults import (
    REOPENS_WITHIN_MS,
    REPEATS_WITHIN_MS,
    Fault,
    FaultMoved,
    State,
    Why,
)
from devices.faults import begin as begin_fault
from devices.judgement import (
    Cursor,
    DeviceRow,
    Effects,
    HourRow,
    InQuarantine,
    Move,
    Refused,
    Replayed,
    Revision,
    Saved,
)
from devices.maintenance import Window
from devices.messages import Outcome, Reason
from devices.overrides import RuleSet
from devices.registry import Registry
from devices.rules import Severity
from devices.sessions import Session, SessionState
from devices.sessions import begin as begin_session
from devices.store import registry as registry_rows
from devices.store import rule_sets
from devices.store.accounts import keep_before
from devices.store.database import (
    DatabaseAway,
    DatabaseRefused,
    accepting,
    conflict_insert,
    reading,
    writing,
)
from devices.store.exclusions import write_exclusions
from devices.store.failpoints import failpoint
from devices.store.faults import fault_of, fault_row, judged, step_row
from devices.store.maintenance import standing_windows
from devices.store.quarantine import in_quarantine_of
from devices.store.schema import (
    LIVE,
    baselines,
    compound_counts,
    compound_state,
    cursors,
    device_state,
    devices,
    event_keys,
    fault_events,
    faults,
    quarantine,
    revisions,
    sessions,
    usage_credentials,
    usage_hours,
)
from devices.store.sessions import measured_row, session_of
from devices.store.usage_days import mark_days
from devices.store.usage_peaks import forget_peaks, used_before, used_of
from devices.usage import FROM_REPORTS, Figures, merge

KEYS_KEPT_MS = 10 * 86_400_000  # the late window (7 days) plus the longest journal (3 days)
PURGED_AT_ONCE = 20_000
_TRIAL = "trial"
ADDED_AT_ONCE = 500  # hours; a list of values in a query has its limits

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


# Made once: building a statement anew for each of a thousand faults takes longer than writing them.
_TELL = insert(fault_events)
_MOVE = update(faults).where(
    faults.c.id == bindparam("fault_id"), faults.c.state == bindparam("fault_was")
)
_BEFORE = (
    select(faults.c.id)
    .where(
        faults.c.subject == bindparam("of_subject"),
        faults.c.code == bindparam("of_code"),
        faults.c.stream == bindparam("of_stream"),
        faults.c.id != bindparam("but_id"),
        faults.c.state == State.CLOSED,
        faults.c.closed_at_ms >= bindparam("since_ms"),
    )
    .order_by(faults.c.opened_at_ms.desc(), faults.c.id.desc())
    .limit(1)
)


class CursorMoved(Exception):
    """Another judge works on this stream: its cursor is not where we left it."""


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    try:
        with accepting(), reading(engine) as connection:
            yield connection
    except DatabaseRefused as error:  # no message is asked about: a table or a right is missing
        raise DatabaseAway(f"the database cannot be read: {error}") from error


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with accepting(), writing(engine) as connection:
        yield connection


@contextmanager
def _trying(engine: Engine) -> Iterator[Connection]:
    """A transaction that is rolled back, whatever it did."""
    with accepting(), engine.connect() as connection:
        trial = connection.begin()
        try:
            yield connection
        finally:
            trial.rollback()


class Judgements:
    """The rows of one stream. stream: LIVE, or the name of a back-filled history.

    A history writes faults, sessions and usage; its device states are its own, its faults' events
    are born routed, and identities are not kept, because nobody sends a history again.
    """

    def __init__(self, engine: Engine, stream: str = LIVE, cursor: str = "judge") -> None:
        self._engine = engine
        self._stream = stream
        self._cursor = cursor
        self._numbers: dict[str, int] = {}

    # Reading

    def registry(self) -> Registry:
        with _reading(self._engine) as connection:
            self._numbers = registry_rows.device_numbers(connection)
            return registry_rows.load(connection)

    def rules(self) -> RuleSet:
        """What is changed of the rules."""
        with _reading(self._engine) as connection:
            return rule_sets.newest(connection)

    def load(self) -> Saved:
        """What to go on from."""
        with _reading(self._engine) as connection:
            cursor = self._load_cursor(connection)
            now_ms = cursor.watermark_ms if cursor and cursor.watermark_ms else 0
            return Saved(
                cursor,
                self._load_devices(connection),
                self._load_faults(connection, now_ms),
                self._load_sessions(connection),
                self._load_compounds(connection),
                self._load_baselines(connection),
            )

    def _load_cursor(self, connection: Connection) -> Cursor | None:
        row = connection.execute(
            select(cursors).where(cursors.c.name == self._cursor)
        ).one_or_none()
        if row is None:
            return None
        return Cursor(
            row.journal_id, row.position, row.jseq, row.revision, row.watermark_ms, row.memory
        )

    def _load_devices(self, connection: Connection) -> list[DeviceRow]:
        column = device_state.c
        query = (
            select(
                devices.c.id,
                column.state,
                column.reason,
                column.since_ms,
                column.last_seen_ms,
                column.device_at_ms,
                column.latest,
                column.memory,
            )
            .join(devices, devices.c.no == column.device_no)
            .where(column.stream == self._stream)
        )
        return [DeviceRow(*row) for row in connection.execute(query)]

    def _load_compounds(self, connection: Connection) -> dict[str, bytes]:
        column = compound_state.c
        query = select(column.compound, column.memory).where(column.stream == self._stream)
        return {row.compound: row.memory for row in connection.execute(query)}

    def _load_baselines(self, connection: Connection) -> dict[str, bytes]:
        query = (
            select(devices.c.id, baselines.c.memory)
            .join(devices, devices.c.no == baselines.c.device_no)
            .where(baselines.c.stream == self._stream)
        )
        return {row.id: row.memory for row in connection.execute(query)}

    def _load_faults(self, connection: Connection, now_ms: int) -> list[Fault]:
        query = select(faults).where(
            faults.c.stream == self._stream,
            or_(
                faults.c.state != State.CLOSED,
                and_(
                    faults.c.state == State.CLOSED,
                    faults.c.closed_at_ms > now_ms - REOPENS_WITHIN_MS,
                ),
            ),
        )
        found = [fault_of(row) for row in connection.execute(query)]
        # of one subject and code the one that stands comes last, so that it is the one remembered
        return sorted(
            found, key=lambda fault: (fault.state is not State.CLOSED, fault.opened_at_ms)
        )

    def _load_sessions(self, connection: Connection) -> list[Session]:
        query = select(sessions).where(
            sessions.c.stream == self._stream, sessions.c.state == SessionState.OPEN
        )
        return [session_of(row) for row in connection.execute(query)]

    def revisions_after(self, revision: int) -> list[Revision]:
        """What people decided since; at most 1,000 lines, in order."""
        query = (
            select(revisions.c.id, revisions.c.what, revisions.c.subject, revisions.c.at_ms)
            .where(revisions.c.id > revision)
            .order_by(revisions.c.id)
            .limit(1000)
        )
        with _reading(self._engine) as connection:
            return [Revision(*row) for row in connection.execute(query)]

    def newest_revision(self) -> int:
        """The number of the newest decision, 0 if there is none."""
        query = select(revisions.c.id).order_by(revisions.c.id.desc()).limit(1)
        with _reading(self._engine) as connection:
            return connection.execute(query).scalar() or 0

    def fault(self, fault: str) -> Fault | None:
        """A fault as it is now; None for one of another stream."""
        query = select(faults).where(faults.c.id == fault, faults.c.stream == self._stream)
        with _reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else fault_of(row)

    def session(self, session: str) -> Session | None:
        """A session as it is on record."""
        query = select(sessions).where(sessions.c.id == session, sessions.c.stream == self._stream)
        with _reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else session_of(row)

    def in_quarantine(self, refused: int) -> InQuarantine | None:
        """A message of the quarantine, to be judged again; None if there is no such row."""
        query = select(quarantine).where(quarantine.c.id == refused)
        with _reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else in_quarantine_of(row)

    def windows(self, now_ms: int) -> list[Window]:
        """The maintenance windows that are not over then; a history has none: nobody is told."""
        if self._stream != LIVE:
            return []
        with _reading(self._engine) as connection:
            return standing_windows(connection, now_ms)

    def knows(self, key: bytes) -> bool:
        """Whether an identity is on record."""
        if self._stream != LIVE:
            return False
        # Asked for each event and each message without a number: 100 µs, and 240 as an expression.
        query = "SELECT 1 FROM event_keys WHERE stream = ? AND key = ?"
        with _reading(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                query = query.replace("?", "%s")
            return connection.exec_driver_sql(query, (self._stream, key)).first() is not None

    # Writing

    def commit(self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int) -> Cursor:
        """Write everything, and the cursor with it; gives the cursor as it stands then.

        was: the cursor that we left, None for the first commit. Raises CursorMoved, FaultMoved,
        DatabaseAway: then drop what the judge has in memory and load again (it is in or not).
        DatabaseRefused: nothing is in, and the same again will not be either.
        """
        cursor = _cursor_after(effects, journal_id)
        with _writing(self._engine) as connection:
            self._move_cursor(connection, cursor, was, now_ms)
            self._write(connection, effects, journal_id, now_ms)
            failpoint("J2", DatabaseAway)
        failpoint("J3", DatabaseAway)
        return cursor

    def refusal(
        self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int
    ) -> str | None:
        """What the database has against this commit, None for nothing. It is not made either way.

        Raises as `commit` does, but for DatabaseRefused.
        """
        try:
            with _trying(self._engine) as connection:
                self._move_cursor(connection, _cursor_after(effects, journal_id), was, now_ms)
                self._write(connection, effects, journal_id, now_ms)
        except DatabaseRefused as error:
            return str(error)
        return None

    def is_sound(self, now_ms: int) -> bool:
        """Whether the database takes a commit that is nobody's: a harmless row for every table.

        Nothing of it stays. If it is refused, so is everything, and no message is to blame.
        """
        try:
            with _trying(self._engine) as connection:
                row = {"name": _TRIAL, "journal_id": _TRIAL, "position": 0, "jseq": 0}
                row |= {"revision": 0, "updated_at_ms": now_ms, "memory": b""}
                connection.execute(insert(cursors).values(row))
                self._write(connection, self._harmless(connection, now_ms), _TRIAL, now_ms)
        except DatabaseRefused:
            return False
        return True

    def _harmless(self, connection: Connection, now_ms: int) -> Effects:
        effects = Effects(
            accounts={(_TRIAL, 0, Outcome.STORED.value, ""): 0},
            refused=[
                Refused(0, 0, _TRIAL, None, "", Reason.NOT_JSON, "", b"", "", 0, partial=False)
            ],
            keys={bytes(16): 0},
            counts={(_TRIAL, ""): (0, 0, 0, 0)},
            compounds={_TRIAL: b""},
        )
        self._numbers = registry_rows.device_numbers(connection)
        device = next(iter(self._numbers), None)
        if device is not None:
            session = begin_session(_TRIAL, _TRIAL, device, _TRIAL, now_ms)
            effects.devices.append(DeviceRow(device, "", None, None, None, None, b"", b""))
            effects.sessions[session.id] = session
            effects.late_hours[device, 0] = {}
            effects.again[device, 0] = False
            effects.credentials[_TRIAL, 0] = {bytes(8)}
            effects.baselines[device] = b""
            fault, event = begin_fault(
                next(iter(RULES.values())),
                stream=self._stream,
                subject=_TRIAL,
                device=device,
                compound=_TRIAL,
                severity=Severity.P4,
                safety=False,
                since_ms=now_ms,
                now_ms=now_ms,
                evidence={},
            )
            effects.moves.append(Move(fault, None, event))
        return effects

    def _write(
        self, connection: Connection, effects: Effects, journal_id: str, now_ms: int
    ) -> None:
        """All but the cursor."""
        self._write_devices(connection, effects.devices)
        known = self._write_moves(connection, effects.moves, now_ms)
        self._restate(connection, effects.restated.values(), known)
        self._write_sessions(connection, effects.sessions.values())
        self._write_hours(connection, effects.hours, now_ms)
        self._add_to_hours(connection, effects, now_ms)
        self._write_credentials(connection, effects)
        write_exclusions(
            connection,
            [(self._number(connection, one.device), one) for one in effects.exclusions],
        )
        self._write_again(connection, effects, journal_id)
        self._write_accounts(connection, effects)
        self._write_refused(connection, effects.refused, journal_id)
        self._write_replayed(connection, effects.replayed)
        self._write_keys(connection, effects)
        self._write_counts(connection, effects)
        self._write_compounds(connection, effects)
        self._write_baselines(connection, effects)

    def forget_keys(self, now_ms: int, at_once: int = PURGED_AT_ONCE) -> int:
        """Delete identities that are too old to come again; a bounded number, so call again."""
        old = (
            select(event_keys.c.stream, event_keys.c.key)
            .where(event_keys.c.at_ms < now_ms - KEYS_KEPT_MS)
            .limit(at_once)
        )
        with _writing(self._engine) as connection:
            rows = connection.execute(old).all()
            if rows:
                self._many(
                    connection,
                    "DELETE FROM event_keys WHERE stream = ? AND key = ?",
                    [tuple(row) for row in rows],
                )
        return len(rows)

    def forget_stream(self) -> None:
        """Drop what a finished history needed only while it was made."""
        if self._stream == LIVE:
            raise ValueError("the live stream is never forgotten")
        with _writing(self._engine) as connection:
            for table in (device_state, compound_state, baselines):
                connection.execute(delete(table).where(table.c.stream == self._stream))

    def _move_cursor(
        self, connection: Connection, cursor: Cursor, was: Cursor | None, now_ms: int
    ) -> None:
        values = {
            "journal_id": cursor.journal_id,
            "position": cursor.position,
            "jseq": cursor.jseq,
            "revision": cursor.revision,
            "watermark_ms": cursor.watermark_ms,
            "updated_at_ms": now_ms,
            "memory": cursor.memory,
        }
        if was is None:
            row = {"name": self._cursor, **values}
            has_moved = _insert_if_new(connection, cursors, row)
        else:
            moved = connection.execute(
                update(cursors)
                .where(
                    cursors.c.name == self._cursor,
                    cursors.c.journal_id == was.journal_id,
                    cursors.c.position == was.position,
                    cursors.c.revision == was.revision,  # of decisions alone it does not move on
                )
                .values(**values)
            )
            has_moved = moved.rowcount == 1
        if not has_moved:
            place = "nowhere"
            if was is not None:
                place = f"{was.journal_id} at {was.position}, revision {was.revision}"
            raise CursorMoved(
                f"the cursor {self._cursor!r} no longer stands {place}: another judge is at work "
                "on this database; stop one of them"
            )
        if was is not None and was.journal_id != cursor.journal_id and self._stream == LIVE:
            keep_before(connection, cursor.journal_id, now_ms)

    def _number(self, connection: Connection, device: str) -> int:
        number = self._numbers.get(device)
        if number is None:
            self._numbers = registry_rows.device_numbers(connection)
            number = self._numbers[device]
        return number

    def _write_devices(self, connection: Connection, rows: Sequence[DeviceRow]) -> None:
        # Up to some thousand rows a commit, so past SQLAlchemy's handling of each value.
        self._many(
            connection,
            "INSERT INTO device_state (stream, device_no, state, reason, since_ms, last_seen_ms,"
            " device_at_ms, latest, memory) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (stream, device_no) DO UPDATE SET state = excluded.state,"
            " reason = excluded.reason, since_ms = excluded.since_ms,"
            " last_seen_ms = excluded.last_seen_ms, device_at_ms = excluded.device_at_ms,"
            " latest = excluded.latest, memory = excluded.memory",
            sorted(
                (
                    (self._stream, self._number(connection, row[0]), *row[1:])  # in field order
                    for row in rows
                ),
                key=itemgetter(1),
            ),
        )

    def _write_moves(
        self, connection: Connection, moves: Sequence[Move], now_ms: int
    ) -> Container[str]:
        """The steps of faults, in order, each by compare-and-set and with its line in the history.

        The same messages make the same fault, so a replay finds it there already, with all that
        has become of it since: then what these messages say is known and changes nothing. Gives the
        ids of those.
        """
        known: set[str] = set()
        begun: set[str] = set()
        lines: list[dict[str, Any]] = []
        newest = {move.fault.id: move.fault for move in moves}
        for move in moves:
            fault, event = move.fault, move.event
            if move.was is None:
                # as it is after the last of its steps here: nobody can have moved it in between
                if not self._insert_fault(connection, newest[fault.id]):
                    known.add(fault.id)
                    continue
                begun.add(fault.id)
            elif fault.id not in begun and not self._move(connection, move):
                if fault.id in known:
                    continue
                raise FaultMoved(f"fault {fault.id} is no longer {move.was}, or was shelved")
            lines.append(step_row(event, None if self._stream == LIVE else now_ms))
        if lines:
            connection.execute(_TELL, lines)
        return known

    @staticmethod
    def _move(connection: Connection, move: Move) -> bool:
        """Whether the fault was still as this step of it found it."""
        fault, event = move.fault, move.event
        values = {"fault_id": fault.id, "fault_was": move.was, **judged(fault), **_answered(move)}
        step = _MOVE
        if event.reason is Why.SHELF_ENDED:  # unless somebody has shelved it for longer meanwhile
            step = step.where(faults.c.shelved_until_ms <= event.at_ms)
        return connection.execute(step, values).rowcount == 1

    def _restate(
        self, connection: Connection, rows: Iterable[Fault], known: Container[str]
    ) -> None:
        """Faults of which more is known now. known: those of which a replay tells what was."""
        for fault in rows:
            if fault.id in known:
                continue
            values = {"fault_id": fault.id, "fault_was": fault.state, **judged(fault)}
            found = connection.execute(_MOVE, values)
            if found.rowcount != 1:
                raise FaultMoved(f"fault {fault.id} is no longer {fault.state}")

    def _insert_fault(self, connection: Connection, fault: Fault) -> bool:
        """Whether the row is new; False if this very fault is there. Raises FaultMoved."""
        row = fault_row(fault, self._stream)
        row["repeat_of"] = self._fault_before(connection, fault)
        if _insert_if_new(connection, faults, row):
            return True
        there = select(faults.c.id).where(faults.c.id == fault.id)
        if connection.execute(there).first() is not None:
            return False
        raise FaultMoved(f"{fault.subject} has an open {fault.code} already")

    def _fault_before(self, connection: Connection, fault: Fault) -> str | None:
        """The newest fault of this subject and code that was closed within the last 7 days."""
        asked = {
            "of_subject": fault.subject,
            "of_code": fault.code,
            "of_stream": self._stream,
            "but_id": fault.id,
            "since_ms": fault.opened_at_ms - REPEATS_WITHIN_MS,
        }
        return connection.execute(_BEFORE, asked).scalar()

    def _write_sessions(self, connection: Connection, rows: Iterable[Session]) -> None:
        some = list(rows)
        if not some:
            return
        before = used_before(connection, [session.id for session in some])
        values = [_session_row(session, self._stream) for session in some]
        made = conflict_insert(connection, sessions)
        changed = {name: made.excluded[name] for name in values[0] if name not in ("id", "stream")}
        connection.execute(made.on_conflict_do_update(index_elements=["id"], set_=changed), values)
        forget_peaks(connection, before, {session.id: used_of(session) for session in some})

    def _write_hours(self, connection: Connection, rows: Sequence[HourRow], now_ms: int) -> None:
        # to a history everything is long past
        over_at_ms = now_ms if self._stream == LIVE else None
        mark_days(connection, ((row.compound, row.hour_ms) for row in rows), over_at_ms)
        self._many(
            connection,
            "INSERT INTO usage_hours (compound, hour_ms, device_no, kind, received, expected,"
            " figures) VALUES (?, ?, ?, ?, ?, 0, ?)"
            " ON CONFLICT (compound, hour_ms, device_no) DO UPDATE SET"
            " received = excluded.received, figures = excluded.figures",
            sorted(
                (
                    row.compound,
                    row.hour_ms,
                    self._number(connection, row.device),
                    row.kind,
                    row.received,
                    _pack(row.figures),
                )
                for row in rows
            ),
        )

    def _add_to_hours(self, connection: Connection, effects: Effects, now_ms: int) -> None:
        """Late data of hours that are no longer in memory: read the rows, add, write them."""
        wanted = sorted(effects.late_hours.keys() | effects.late_received.keys())
        for start in range(0, len(wanted), ADDED_AT_ONCE):
            self._add_some(connection, effects, wanted[start : start + ADDED_AT_ONCE], now_ms)

    def _add_some(
        self,
        connection: Connection,
        effects: Effects,
        wanted: Sequence[tuple[str, int]],
        now_ms: int,
    ) -> None:
        numbers = {device: self._number(connection, device) for device, _ in wanted}
        of_devices = select(devices.c.no, devices.c.compound, devices.c.kind).where(
            devices.c.no.in_(set(numbers.values()))
        )
        places = {no: (compound, kind) for no, compound, kind in connection.execute(of_devices)}
        column = usage_hours.c
        asked = (
            values(
                sql_column("compound", String),
                sql_column("hour_ms", BigInteger),
                sql_column("device_no", BigInteger),
                name="asked",
            )
            .data([(places[numbers[of]][0], hour_ms, numbers[of]) for of, hour_ms in wanted])
            .cte()
        )
        of_hours = select(
            column.device_no, column.hour_ms, column.received, column.figures, column.metered
        ).join(
            asked,
            and_(
                column.compound == asked.c.compound,
                column.hour_ms == asked.c.hour_ms,
                column.device_no == asked.c.device_no,
            ),
        )
        # somebody else writes `metered`
        of_hours = of_hours.with_for_update(of=usage_hours)
        there = {(row.device_no, row.hour_ms): row for row in connection.execute(of_hours)}
        rows = []
        again = []  # those whose metered figures were worked out again: these are a part of them
        for device, hour_ms in wanted:
            number = numbers[device]
            compound, kind = places[number]
            row = there.get((number, hour_ms))
            figures: Figures = {} if row is None else _unpack(row.figures)
            late = effects.late_hours.get((device, hour_ms), {})
            merge(figures, late)
            if row is not None and row.metered is not None:
                metered: Figures = _unpack(row.metered)
                added = {name: late[name] for name in late.keys() & FROM_REPORTS}
                merge(metered, added)
                again.append((_pack(metered), compound, hour_ms, number))
                if added:  # which may be in it already, told by a reading that came late
                    effects.again.setdefault((device, hour_ms), False)
            received = effects.late_received.get((device, hour_ms), 0)
            received += 0 if row is None else row.received
            rows.append(HourRow(device, compound, kind, hour_ms, received, figures))
        self._write_hours(connection, rows, now_ms)
        self._many(
            connection,
            "UPDATE usage_hours SET metered = ? WHERE compound = ? AND hour_ms = ?"
            " AND device_no = ?",
            again,
        )

    def _write_credentials(self, connection: Connection, effects: Effects) -> None:
        """Each day's are what was there and what is new: the same twice is the same."""
        column = usage_credentials.c
        for (compound, day_ms), hashes in sorted(effects.credentials.items()):
            query = select(column.hashes).where(
                column.compound == compound, column.day_ms == day_ms
            )
            there = connection.execute(query.with_for_update()).scalar()
            packed = pack_hashes(hashes if there is None else hashes | unpack_hashes(there))
            if packed == there:
                continue
            made = conflict_insert(connection, usage_credentials)
            connection.execute(
                made.on_conflict_do_update(
                    index_elements=["compound", "day_ms"], set_={"hashes": made.excluded.hashes}
                ),
                {"compound": compound, "day_ms": day_ms, "hashes": packed},
            )

    def _write_again(self, connection: Connection, effects: Effects, journal_id: str) -> None:
        """Mark hours to be worked out again; not those of a history, which nobody stores whole."""
        if self._stream != LIVE:
            return
        self._many(
            connection,
            "INSERT INTO usage_again (device_no, hour_ms, journal_id, position, revision, from_ms)"
            " VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (device_no, hour_ms) DO UPDATE SET"
            " journal_id = excluded.journal_id, position = excluded.position, from_ms = 0,"
            " revision = CASE WHEN excluded.revision > usage_again.revision"
            " THEN excluded.revision ELSE usage_again.revision END",
            sorted(
                (
                    self._number(connection, device),
                    hour_ms,
                    journal_id,
                    effects.position,
                    effects.revision if replayed else 0,
                )
                for (device, hour_ms), replayed in effects.again.items()
            ),
        )

    def _write_accounts(self, connection: Connection, effects: Effects) -> None:
        self._many(
            connection,
            "INSERT INTO accounts (stream, compound, hour_ms, outcome, reason, count)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (stream, compound, hour_ms, outcome, reason)"
            " DO UPDATE SET count = accounts.count + excluded.count",
            sorted((self._stream, *key, count) for key, count in effects.accounts.items()),
        )

    def _write_refused(
        self, connection: Connection, rows: Sequence[Refused], journal_id: str
    ) -> None:
        if not rows or self._stream != LIVE:
            return  # of a history only the numbers are kept: nobody can send its messages again
        made = conflict_insert(connection, quarantine).on_conflict_do_nothing()
        connection.execute(
            made,
            [
                {
                    "journal_id": journal_id,
                    "jseq": row.jseq,
                    "received_at_ms": row.received_ms,
                    "compound": row.compound,
                    "device": row.device,
                    "topic": row.topic.replace("\0", "\N{SYMBOL FOR NULL}"),
                    "reason": row.reason,
                    "detail": row.detail.replace("\0", "\N{SYMBOL FOR NULL}"),
                    "sha256": row.sha256,
                    "size_bytes": row.size_bytes,
                    "payload": row.payload,
                    "partial": row.partial,
                    "flags": row.flags,
                }
                for row in rows
            ],
        )

    def _write_replayed(self, connection: Connection, rows: Sequence[Replayed]) -> None:
        """Their rows say what became of them. Each once: who finds it done is a second judge."""
        for row in rows:
            values: dict[str, Any]
            if row.outcome is Outcome.QUARANTINED:
                values = {"reason": row.reason, "detail": row.detail[:500]}
            else:
                values = {"replayed_at_ms": row.at_ms, "outcome": row.outcome}
                if (
                    row.payload is not None
                ):  # forward reads it here, when the journal has it no more
                    values["payload"] = row.payload
            if row.device is not None:
                values["device"] = row.device
            changed = connection.execute(
                update(quarantine)
                .where(
                    quarantine.c.id == row.id,
                    quarantine.c.reason == row.was,
                    quarantine.c.replayed_at_ms.is_(None),
                )
                .values(**values)
            )
            if changed.rowcount != 1:
                raise CursorMoved(
                    f"message {row.id} of the quarantine was judged again by another judge: it is"
                    " at work on this database; stop one of them"
                )

    def _write_keys(self, connection: Connection, effects: Effects) -> None:
        if self._stream != LIVE:
            return
        self._many(
            connection,
            "INSERT INTO event_keys (stream, key, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            sorted((self._stream, key, at_ms) for key, at_ms in effects.keys.items()),
        )

    def _write_counts(self, connection: Connection, effects: Effects) -> None:
        if self._stream != LIVE:
            return
        names = ", ".join(column.name for column in compound_counts.columns)
        self._many(
            connection,
            f"INSERT INTO compound_counts ({names})"  # noqa: S608 - names of our own table
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (compound, kind) DO UPDATE SET"
            " online = excluded.online, offline = excluded.offline,"
            " unknown = excluded.unknown, never_seen = excluded.never_seen",
            sorted((*key, *counts) for key, counts in effects.counts.items()),
        )

    def _write_compounds(self, connection: Connection, effects: Effects) -> None:
        self._many(
            connection,
            "INSERT INTO compound_state (stream, compound, memory) VALUES (?, ?, ?)"
            " ON CONFLICT (stream, compound) DO UPDATE SET memory = excluded.memory",
            sorted((self._stream, *row) for row in effects.compounds.items()),
        )

    def _write_baselines(self, connection: Connection, effects: Effects) -> None:
        self._many(
            connection,
            "INSERT INTO baselines (stream, device_no, memory) VALUES (?, ?, ?)"
            " ON CONFLICT (stream, device_no) DO UPDATE SET memory = excluded.memory",
            sorted(
                (self._stream, self._number(connection, device), memory)
                for device, memory in effects.baselines.items()
            ),
        )

    @staticmethod
    def _many(connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        if connection.dialect.name == "postgresql":
            sql = sql.replace("?", "%s")
        connection.exec_driver_sql(sql, rows)


def _cursor_after(effects: Effects, journal_id: str) -> Cursor:
    return Cursor(
        journal_id,
        effects.position,
        effects.jseq,
        effects.revision,
        effects.watermark_ms,
        effects.memory,
    )


def _insert_if_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert unless a unique key stands against it; whether it is in.

    With RETURNING: of an INSERT, psycopg does not tell how many rows it made.
    """
    made = conflict_insert(connection, table).on_conflict_do_nothing()
    return connection.execute(made.returning(*table.primary_key), row).first() is not None


def _answered(move: Move) -> dict[str, Any]:
    """Of the columns that people write those that this step of the judge's makes void."""
    fault, reason = move.fault, move.event.reason
    void: dict[str, Any] = {}
    if reason is Why.REOPENED:
        void = {"onsite_at_ms": None, "repaired_at_ms": None}
    if fault.state is State.CLOSED or reason in (Why.WORSENED, Why.SHELF_ENDED):
        void["shelved_until_ms"] = None
    return void


def _session_row(session: Session, stream: str) -> dict[str, Any]:
    return {
        "id": session.id,
        "stream": stream,
        "compound": session.compound,
        "shed": session.shed,
        "port": session.port,
        "order": session.order,
        "state": session.state,
        "started_at_ms": session.started_at_ms,
        "ended_at_ms": session.ended_at_ms,
        "duration_s": session.duration_s,
        "energy_kwh": session.energy_kwh,
        "fee_fen": session.fee_fen,
        "stop_reason": session.stop_reason,
        "native_reason": session.native_reason,
        "ended_by": session.ended_by,
        "provisional": session.provisional,
        **measured_row(session.measured),
    }
