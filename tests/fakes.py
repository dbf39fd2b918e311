"""Hand-written stand-ins for what is outside; each can be told to fail.

A fake of a store passes the same contract tests as the store.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from devices.faults import (
    REOPENS_WITHIN_MS,
    REPEATS_WITHIN_MS,
    Fault,
    FaultEvent,
    FaultMoved,
    State,
    Why,
)
from devices.faults import Move as Step
from devices.journal import Head, Raw, Record
from devices.judgement import (
    AccountKey,
    Cursor,
    DeviceRow,
    Effects,
    InQuarantine,
    Refused,
    Replayed,
    Revision,
    Saved,
)
from devices.maintenance import Window
from devices.overrides import RuleSet
from devices.registers import Exclusion
from devices.registry import Registry
from devices.sessions import Session, SessionState
from devices.store.cursors import Position
from devices.store.database import DatabaseRefused
from devices.store.judgements import CursorMoved
from devices.telemetry import Point, TelemetryError
from devices.usage import Figures, merge
from ingest.ports import Bell


@dataclass
class Rows:
    """What a judge's store holds; taken back as a whole when a commit fails."""

    cursor: Cursor | None = None
    devices: dict[str, DeviceRow] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    events: list[FaultEvent] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    received: dict[tuple[str, int], int] = field(default_factory=dict)  # device, hour -> reports
    figures: dict[tuple[str, int], Figures] = field(default_factory=dict)
    credentials: dict[tuple[str, int], set[bytes]] = field(default_factory=dict)
    accounts: Counter[AccountKey] = field(default_factory=Counter)
    refused: dict[tuple[str, int], Refused] = field(default_factory=dict)  # journal, jseq
    keys: dict[bytes, int] = field(default_factory=dict)
    counts: dict[tuple[str, str], tuple[int, int, int, int]] = field(default_factory=dict)
    replayed: dict[int, Replayed] = field(default_factory=dict)  # of the refused, by their number
    windows: dict[str, Window] = field(default_factory=dict)
    baselines: dict[str, bytes] = field(default_factory=dict)
    compounds: dict[str, bytes] = field(default_factory=dict)
    exclusions: dict[tuple[str, int], Exclusion] = field(default_factory=dict)


class FakeJudgeStore:
    """A judge's store in memory.

    Every call first raises the next of `fails`, if any is left; None there lets one call pass.
    fails_to_commit: raised by every commit while it is set. refuses: what it has against effects,
    or None; a commit of such effects raises DatabaseRefused. takes_nothing: whatever it is.
    """

    def __init__(self, registry: Registry) -> None:
        self.rows = Rows()
        self.decisions: list[Revision] = []
        self.fails: list[Exception | None] = []
        self.fails_to_commit: Exception | None = None
        self.refuses: Callable[[Effects], str | None] = lambda _: None
        self.takes_nothing = False
        self.when_committed: Callable[[], None] = lambda: None
        self.commits: list[Effects] = []
        self._registry = registry
        self._rules = RuleSet()

    def registry(self) -> Registry:
        self._fail()
        return self._registry

    def load(self) -> Saved:
        self._fail()
        rows = self.rows
        now_ms = rows.cursor.watermark_ms or 0 if rows.cursor else 0
        kept = [
            fault
            for fault in rows.faults.values()
            if fault.state is not State.CLOSED
            or (fault.closed_at_ms or 0) > now_ms - REOPENS_WITHIN_MS
        ]
        kept.sort(key=lambda fault: (fault.state is not State.CLOSED, fault.opened_at_ms))
        ongoing = [s for s in rows.sessions.values() if s.state is SessionState.OPEN]
        return Saved(
            rows.cursor,
            list(rows.devices.values()),
            kept,
            ongoing,
            dict(rows.compounds),
            dict(rows.baselines),
        )

    def revisions_after(self, revision: int) -> list[Revision]:
        self._fail()
        return [decision for decision in self.decisions if decision.id > revision]

    def rules(self) -> RuleSet:
        self._fail()
        return self._rules

    def newest_revision(self) -> int:
        self._fail()
        return self.decisions[-1].id if self.decisions else 0

    def fault(self, fault: str) -> Fault | None:
        self._fail()
        return self.rows.faults.get(fault)

    def windows(self, now_ms: int) -> list[Window]:
        self._fail()
        lasting = [one for one in self.rows.windows.values() if one.over_at_ms > now_ms]
        return sorted(lasting, key=lambda window: window.id)

    def knows(self, key: bytes) -> bool:
        self._fail()
        return key in self.rows.keys

    def session(self, session: str) -> Session | None:
        self._fail()
        return self.rows.sessions.get(session)

    def commit(self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int) -> Cursor:
        self._fail()
        if self.rows.cursor != was:
            raise CursorMoved(f"not at {was}")
        if self.fails_to_commit is not None:
            raise self.fails_to_commit
        why = "nothing is taken" if self.takes_nothing else self.refuses(effects)
        if why is not None:
            raise DatabaseRefused(why)
        self._move_faults(effects)  # the only part that can fail, and all of it does
        self._write(effects, journal_id)
        self.rows.cursor = Cursor(
            journal_id,
            effects.position,
            effects.jseq,
            effects.revision,
            effects.watermark_ms,
            effects.memory,
        )
        self.commits.append(effects)
        self.when_committed()
        return self.rows.cursor

    def in_quarantine(self, refused: int) -> InQuarantine | None:
        self._fail()
        rows = list(self.rows.refused.items())
        if not 0 < refused <= len(rows):
            return None
        (journal_id, jseq), row = rows[refused - 1]
        return InQuarantine(
            refused,
            journal_id,
            jseq,
            row.reason,
            Raw(row.topic.encode(), row.payload or b"", row.flags, row.received_ms, row.compound),
            row.payload is not None,
            row.sha256,
            row.partial,
            refused in self.rows.replayed,
        )

    def refusal(
        self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int
    ) -> str | None:
        self._fail()
        return "nothing is taken" if self.takes_nothing else self.refuses(effects)

    def is_sound(self, now_ms: int) -> bool:
        self._fail()
        return not self.takes_nothing

    def forget_keys(self, now_ms: int) -> int:
        self._fail()
        return 0

    def a_person(self, fault: str, move: Callable[[Fault], Step]) -> Fault:
        """Somebody acts on a fault in the console: the move, and a line in the log of decisions."""
        moved, event = move(self.rows.faults[fault])
        self.rows.faults[fault] = moved
        self.rows.events.append(event)
        self._decide("fault", fault)
        return moved

    def a_window(self, window: Window) -> None:
        """Somebody makes a maintenance window, or ends it."""
        self.rows.windows[window.id] = window
        self._decide("maintenance", window.id)

    def a_rule_file(self, body: str) -> None:
        """Somebody imports a rule file."""
        self._rules = RuleSet(self._rules.number + 1, body)
        self._decide("rules", str(self._rules.number))

    def an_import(self, registry: Registry) -> None:
        """Somebody imports a registry."""
        self._registry = registry
        self._decide("registry", "registry")

    def asks_again(self, refused: int, at_ms: int = 0) -> None:
        """Somebody wants a message of the quarantine judged again: the first is number 1."""
        self._decide("replay", str(refused), at_ms)

    def _decide(self, what: str, subject: str, at_ms: int = 0) -> None:
        self.decisions.append(Revision(len(self.decisions) + 1, what, subject, at_ms))

    def _fail(self) -> None:
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error

    def _move_faults(self, effects: Effects) -> None:
        faults, events = dict(self.rows.faults), list(self.rows.events)
        there = set()
        for move in effects.moves:
            fault = move.fault
            known = faults.get(fault.id)
            if move.was is None and known is not None:
                there.add(fault.id)
                continue
            if move.was is None:
                if any(
                    (other.subject, other.code) == (fault.subject, fault.code)
                    and other.state is not State.CLOSED
                    for other in faults.values()
                ):
                    raise FaultMoved(f"{fault.subject} has an open {fault.code}")
                faults[fault.id] = replace(fault, repeat_of=_before(faults, fault))
            elif known is None or known.state is not move.was:
                if fault.id in there:
                    continue
                raise FaultMoved(f"{fault.id} is no longer {move.was}")
            else:
                if move.event.reason is Why.SHELF_ENDED and not (
                    known.shelved_until_ms is not None
                    and known.shelved_until_ms <= move.event.at_ms
                ):
                    raise FaultMoved(f"{fault.id} was shelved anew")
                faults[fault.id] = _kept(fault, known, move.event.reason)
            events.append(move.event)
        for fault in effects.restated.values():
            if fault.id in there:
                continue
            known = faults.get(fault.id)
            if known is None or known.state is not fault.state:
                raise FaultMoved(f"{fault.id} is no longer {fault.state}")
            faults[fault.id] = _kept(fault, known, None)
        self.rows.faults, self.rows.events = faults, events

    def _write(self, effects: Effects, journal_id: str) -> None:
        rows = self.rows
        for row in effects.devices:
            rows.devices[row.device] = row
        rows.sessions |= effects.sessions
        for hour in effects.hours:
            rows.received[hour.device, hour.hour_ms] = hour.received
            figures: Figures = {}
            merge(figures, hour.figures)
            rows.figures[hour.device, hour.hour_ms] = figures
        for key, figures in effects.late_hours.items():
            merge(rows.figures.setdefault(key, {}), figures)
            rows.received.setdefault(key, 0)
        for day, hashes in effects.credentials.items():
            rows.credentials.setdefault(day, set()).update(hashes)
        for key, count in effects.late_received.items():
            rows.received[key] = rows.received.get(key, 0) + count
            rows.figures.setdefault(key, {})
        rows.accounts.update(effects.accounts)
        for refused in effects.refused:
            rows.refused.setdefault((journal_id, refused.jseq), refused)
        for again in effects.replayed:
            key = list(rows.refused)[again.id - 1]
            assert again.id not in rows.replayed
            assert rows.refused[key].reason is again.was
            if again.reason is None:
                rows.replayed[again.id] = again
            else:
                rows.refused[key] = replace(
                    rows.refused[key], reason=again.reason, detail=again.detail
                )
        rows.keys |= effects.keys
        rows.counts |= effects.counts
        rows.baselines |= effects.baselines
        rows.compounds |= effects.compounds
        rows.exclusions |= {(one.device, one.at_ms): one for one in effects.exclusions}


class FakeJournal:
    """A journal in memory. Each read first raises the next of `fails`, if any is left."""

    def __init__(self, journal_id: str = "journal-1") -> None:
        self.journal_id = journal_id
        self.records: list[Record] = []
        self.fails: list[Exception] = []
        self.when_read: Callable[[], None] = lambda: None

    def append(self, record: Record) -> None:
        self.records.append(record)

    def head(self) -> Head:
        last = self.records[-1] if self.records else None
        jseq = 0 if last is None else last.first_jseq + last.count - 1
        return Head(self.journal_id, 0 if last is None else last.id, jseq)

    def read(self, after: int, limit: int) -> list[Record]:
        if self.fails:
            raise self.fails.pop(0)
        self.when_read()
        return [record for record in self.records if record.id > after][:limit]


class FakeTelemetry:
    """Keeps points in a dict; each write first raises the next of `fails`, if any is left.

    refuses: asked for every write that gets so far; what it gives is raised, and nothing is kept.
    """

    def __init__(self, *fails: TelemetryError) -> None:
        self.fails = list(fails)
        self.refuses: Callable[[Sequence[Point]], TelemetryError | None] = lambda _: None
        self.points: dict[tuple[str, str, int], Point] = {}
        self.requests: list[list[Point]] = []

    def write(self, points: Sequence[Point]) -> None:
        self.requests.append(list(points))
        if self.fails:
            raise self.fails.pop(0)
        refusal = self.refuses(points)
        if refusal is not None:
            raise refusal
        self.points |= {(p.measurement, p.device, p.at_ms): p for p in points}


class FakeForwardStore:
    """Forward's cursor in memory. Each move first raises the next of `fails`, if any is left."""

    def __init__(self) -> None:
        self.position: Position | None = None
        self.moves: list[Position] = []
        self.fails: list[Exception] = []
        self.when_moved: Callable[[], None] = lambda: None
        self.revision = 1
        self.killed: frozenset[int] = frozenset()  # messages that the judge has given up
        self.rules = RuleSet()
        self.again: list[tuple[int, Raw | None]] = []  # revision, what became stored by it

    def load(self) -> Position | None:
        return self.position

    def move(self, to: Position, now_ms: int) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.position = to
        self.moves.append(to)
        self.when_moved()

    def registry_revision(self) -> int:
        return self.revision

    def given_up(self, journal_id: str) -> frozenset[int]:
        return self.killed

    def rules_after(self, number: int) -> RuleSet | None:
        return self.rules if self.rules.number != number else None

    def replayed(self, revision: int) -> tuple[list[Raw], int]:
        """All of `again` behind it, two at a time."""
        found = [(number, raw) for number, raw in self.again if number > revision][:2]
        return [raw for _, raw in found if raw is not None], found[-1][0] if found else revision


class FakeNote:
    """A note in memory, there for the next start. Each write first raises the next of `fails`."""

    def __init__(self) -> None:
        self.data = b""
        self.written = 0
        self.fails: list[OSError] = []

    def read(self) -> bytes:
        return self.data

    def write(self, data: bytes) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.data = data
        self.written += 1


class FakeTime:
    """Time that passes only where somebody waits. `monotonic` is handed to whoever asks for it."""

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms

    def clock(self) -> int:
        return self.now_ms

    def monotonic(self) -> float:
        return self.now_ms / 1000

    def passes(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)


class FakeStop(threading.Event):
    """An event whose waits are written down and take no time; set by the wait number `after`."""

    def __init__(self, time: FakeTime | None = None, after: int | None = None) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._time = time
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if self._time is not None:
            self._time.passes(timeout or 0.0)
        if self._after is not None and len(self.waits) >= self._after:
            self.set()
        return self.is_set()


class FakeBell(Bell):
    """Nobody rings it. A wait takes its whole time at once, and counts as one of `stop`.

    until: asked after every wait; true sets `stop`.
    """

    def __init__(
        self, time: FakeTime, stop: FakeStop, until: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__()
        self._time = time
        self._stop = stop
        self._until = until

    def wait(self, heard: int, timeout_s: float) -> int:
        self._time.passes(max(timeout_s, 0.001))
        if self._until():
            self._stop.set()
        self._stop.wait(0)
        return heard


def _before(faults: Mapping[str, Fault], fault: Fault) -> str | None:
    """The newest fault of its subject and code that was closed within the last 7 days."""
    earlier = [
        other
        for other in faults.values()
        if (other.subject, other.code) == (fault.subject, fault.code)
        and other.state is State.CLOSED
        and (other.closed_at_ms or 0) >= fault.opened_at_ms - REPEATS_WITHIN_MS
    ]
    newest = max(earlier, key=lambda other: (other.opened_at_ms, other.id), default=None)
    return None if newest is None else newest.id


def _kept(fault: Fault, known: Fault, reason: Why | None) -> Fault:
    """What the judge makes of a fault, with what people wrote, as far as that is not void."""
    is_void = fault.state is State.CLOSED or reason in (Why.WORSENED, Why.SHELF_ENDED)
    is_new = reason is Why.REOPENED
    return replace(
        fault,
        assignee=known.assignee,
        suspected=known.suspected,
        confirmed_at_ms=known.confirmed_at_ms,
        repeat_of=known.repeat_of,
        shelved_until_ms=None if is_void else known.shelved_until_ms,
        onsite_at_ms=None if is_new else known.onsite_at_ms,
        repaired_at_ms=None if is_new else known.repaired_at_ms,
    )
