"""The auditor: what the journal counted against the accounts, and the telemetry store by samples.

Two looks at the accounts, each at one moment: the database is read first, with the judge's cursor,
then the journal up to that cursor, so that what arrives meanwhile is in neither.
    often   the hours that can still change, by compound and hour
    seldom  all hours, by compound, against the journal's totals and the cursor's own count

Of the telemetry store, a few records that forward has passed are decoded again, and their points
looked for. A store is never asked much, and not at all while it is away.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from devices.credentials import Seal
from devices.journal import MESSAGES, UNASSIGNED, Counted, Head, Record
from devices.messages import Decoded, Reading
from devices.platform import ACCOUNTS_IMBALANCE, Trouble
from devices.registry import Registry
from devices.store.accounts import Booked
from devices.store.journal import JournalError
from devices.telemetry import Point, SeriesQuery, TelemetryError, TelemetryReader
from devices.usage import HOUR_MS, hour_of
from ingest.decode import Decoder
from ingest.forward import add_points
from ingest.judge.timing import event_time
from ingest.monitor import Place

MOST_WAITING = (
    50_000  # messages that the judge has yet to take; beyond them only the sum is looked at
)
NAMED = 5  # places that an alarm names
WHOLE_SHARE = 0.002  # of the time may go into adding up all hours

SAMPLE_POINTS = 24
SAMPLE_RECORDS = 8
SAMPLE_TRIES = 60  # most records of a quiet journal are ticks and probes
SAMPLE_S = 2.0  # a store that answers slowly is asked less
SETTLED_MS = 60_000  # what was received sooner after a change of the registry may be read otherwise
MISSING_KEPT = 100

log = structlog.get_logger()


# The accounts


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where journal and accounts disagree. hour_ms 0: over all hours."""

    compound: str
    hour_ms: int
    received: int
    booked: int

    @property
    def missing(self) -> int:
        """In the accounts; below 0: booked more often than received."""
        return self.received - self.booked


def differences(counted: Counted, booked: Booked) -> list[Difference]:
    """Where what was received, without what still waits, is not what was booked; worst first.

    Messages of damaged records are booked under no compound and no hour: as many as those may be
    missing elsewhere.
    """
    waiting = counted.waiting or {}
    wrong = []
    for place in counted.received.keys() | booked.counts.keys():
        received = counted.received.get(place, 0) - waiting.get(place, 0)
        if received != booked.counts.get(place, 0):
            wrong.append(Difference(*place, received, booked.counts.get(place, 0)))
    by_corruption = [d for d in wrong if d.compound == UNASSIGNED and d.booked - d.received > 0]
    others = [d for d in wrong if d not in by_corruption]
    explained = sum(d.missing for d in others if d.missing > 0)
    if booked.corrupt and all(d.missing > 0 for d in others) and explained <= booked.corrupt:
        return []
    return sorted(wrong, key=lambda d: (-abs(d.missing), d.compound, d.hour_ms))


class AccountsPort(Protocol):
    """Both sides of the accounts. Raises DatabaseAway, JournalError."""

    def booked(self, from_ms: int | None) -> Booked | None: ...

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted: ...

    def before(self, journal_id: str) -> Mapping[str, int]:
        """What was booked from journals before this one, by compound."""
        ...


class AccountsAudit:
    """Compares; what it finds is looked at twice before it is believed."""

    def __init__(self, port: AccountsPort, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._monotonic = monotonic
        self._whole_due_s = monotonic()
        self._wrong_whole: list[Difference] = []
        self._began_ms = 0
        self.rounds = 0

    def look(self, now_ms: int, newest_ms: int) -> Trouble | None:
        """newest_ms: receive time of the newest message that was judged, 0 where not known."""
        self.rounds += 1
        oldest_ms = min(now_ms, newest_ms or now_ms)
        wrong = self._twice((hour_of(oldest_ms) - HOUR_MS, hour_of(now_ms) + 2 * HOUR_MS))
        began_s = self._monotonic()
        if began_s >= self._whole_due_s:
            self._wrong_whole = self._twice(None)
            took_s = self._monotonic() - began_s
            self._whole_due_s = self._monotonic() + took_s / WHOLE_SHARE
        elif self._wrong_whole:  # it stands until all adds up again
            self._wrong_whole = self._twice(None)
        if not wrong and not self._wrong_whole:
            self._began_ms = 0
            return None
        self._began_ms = self._began_ms or now_ms
        return Trouble(ACCOUNTS_IMBALANCE, self._began_ms, _evidence(wrong or self._wrong_whole))

    def _twice(self, hours: tuple[int, int] | None) -> list[Difference]:
        return self._compare(hours) and self._compare(hours)

    def _compare(self, hours: tuple[int, int] | None) -> list[Difference]:
        booked = self._port.booked(None if hours is None else hours[0])
        if booked is None:
            return []  # nothing was judged yet
        counted = self._port.count(booked.position, hours, MOST_WAITING)
        if counted.head.journal_id != booked.journal_id:
            return []  # the judge has yet to begin with this journal
        if hours is None:
            before = self._port.before(booked.journal_id)
            counted = _with(counted, before)
            return _sums(booked, sum(before.values())) or (
                differences(counted, booked) if counted.waiting is not None else []
            )
        if counted.waiting is None:
            return []
        within = {place: n for place, n in booked.counts.items() if place[1] < hours[1]}
        booked = Booked(booked.journal_id, booked.position, booked.jseq, within, booked.corrupt)
        return differences(counted, booked)


def _sums(booked: Booked, before: int) -> list[Difference]:
    """The judge counts messages a second time, apart from its accounts: as its cursor's jseq."""
    total = sum(booked.counts.values())
    if total == booked.jseq + before:
        return []
    return [Difference("all", 0, booked.jseq + before, total)]


def _with(counted: Counted, before: Mapping[str, int]) -> Counted:
    if not before:
        return counted
    received = dict(counted.received)
    for compound, count in before.items():
        received[compound, 0] = received.get((compound, 0), 0) + count
    return Counted(counted.head, received, counted.waiting)


def _evidence(wrong: Sequence[Difference]) -> dict[str, object]:
    where = [
        {
            "compound": d.compound,
            **({"hour_ms": d.hour_ms} if d.hour_ms else {}),
            "received": d.received,
            "accounted": d.booked,
        }
        for d in wrong[:NAMED]
    ]
    return {"missing": sum(d.missing for d in wrong), "places": len(wrong), "where": where}


# The telemetry store


class JournalPort(Protocol):
    """The journal as it is sampled. Raises JournalError."""

    def head(self) -> Head: ...

    def read(self, after: int, limit: int) -> list[Record]: ...


@dataclass(frozen=True, slots=True)
class Basis:
    """By what the sample is decoded.

    changed_ms: when the registry changed last. noisy: devices whose messages were in part refused
    for their number, of which nobody can say afterwards which ones.
    """

    registry: Registry
    changed_ms: int
    noisy: frozenset[str]


@dataclass
class TelemetryAudit:
    """Looks for points of records that forward has passed.

    place: how far forward has come. paused: why it writes nothing, "" while it does. dead: points
    that the store will never take; as many may be missing. kept_from_ms: what is older may be
    forgotten. refused: which messages of a stretch of a journal are refused (journal, first, last):
    one that killed its decoder is not decoded here.
    seal: as forward's, for where an event is put down depends on what it says.
    """

    reader: TelemetryReader
    journal: JournalPort
    place: Callable[[], Place | None]
    paused: Callable[[], str]
    dead: Callable[[], int]
    basis: Callable[[], Basis]
    refused: Callable[[str, int, int], Collection[int]] = lambda *_: ()
    seal: Seal | None = None
    kept_from_ms: Callable[[], int] = lambda: 0
    monotonic: Callable[[], float] = time.monotonic
    chance: random.Random = field(default_factory=random.Random)
    subject: str = "platform:telemetry"
    checked: int = 0

    def __post_init__(self) -> None:
        self._missing: dict[tuple[str, str, int], Point] = {}
        self._began_ms = 0
        self._oldest = 1

    def look(self, now_ms: int) -> Trouble | None:
        """A few points; what was missing before is looked for again."""
        if not self.paused():
            try:
                self._ask()
            except TelemetryError as error:
                log.info("audit_skipped", store="telemetry", reason=str(error))
            except JournalError as error:
                log.info("audit_skipped", store="journal", reason=str(error))
        if len(self._missing) <= self.dead():
            self._began_ms = 0
            return None
        self._began_ms = self._began_ms or now_ms
        first = next(iter(self._missing.values()))
        evidence: dict[str, object] = {
            "telemetry_missing": len(self._missing),
            "telemetry_checked": self.checked,
            "device": first.device,
            "point_ms": first.at_ms,
        }
        return Trouble(ACCOUNTS_IMBALANCE, self._began_ms, evidence, subject=self.subject)

    def _ask(self) -> None:
        ends_s = self.monotonic() + SAMPLE_S
        since_ms = self.kept_from_ms()
        for key, point in list(self._missing.items()):
            if point.at_ms < since_ms or (self.monotonic() < ends_s and self._is_there(point)):
                del self._missing[key]
        for point in self._sample():
            if self.monotonic() >= ends_s:
                return
            if point.at_ms < since_ms:
                continue
            self.checked += 1
            if not self._is_there(point) and len(self._missing) < MISSING_KEPT:
                log.error(
                    "point_missing",
                    measurement=point.measurement,
                    device=point.device,
                    at_ms=point.at_ms,
                )
                self._missing[point.measurement, point.device, point.at_ms] = point

    def _is_there(self, point: Point) -> bool:
        quantity = next(iter(point.fields))
        query = SeriesQuery(
            point.measurement, point.device, quantity, point.at_ms, point.at_ms + 1, 1
        )
        return bool(self.reader.samples(query))

    def _sample(self) -> list[Point]:
        place = self.place()
        if place is None or place.journal_id != self.journal.head().journal_id:
            return []
        basis = self.basis()
        decoder = Decoder(basis.registry, seal=self.seal)
        points: list[Point] = []
        for _ in range(SAMPLE_TRIES):
            record = self._a_record(place.position)
            if record is None or len(points) >= SAMPLE_POINTS:
                break
            if record.kind != MESSAGES or record.corrupt:
                continue
            if record.messages[0].received_ms < basis.changed_ms + SETTLED_MS:
                continue
            record = self._without_refused(place.journal_id, record)
            found: list[Point] = []
            add_points(found, *_told(record, decoder))
            found = [p for p in found if p.fields and p.device not in basis.noisy]
            points += self.chance.sample(found, min(len(found), SAMPLE_POINTS // SAMPLE_RECORDS))
        return points[:SAMPLE_POINTS]

    def _without_refused(self, journal_id: str, record: Record) -> Record:
        first = record.first_jseq
        refused = self.refused(journal_id, first, first + record.count - 1)
        if not refused:
            return record
        kept = (raw for jseq, raw in enumerate(record.messages, first) if jseq not in refused)
        return replace(record, messages=tuple(kept))

    def _a_record(self, newest: int) -> Record | None:
        """One of those that are still there and that forward has passed, any of them."""
        for _ in range(2):
            if self._oldest > newest:
                return None
            wanted = self.chance.randint(self._oldest, newest)
            found = self.journal.read(wanted - 1, 1)
            if found and found[0].id == wanted:
                return found[0]
            if found:
                self._oldest = found[0].id  # what lies before was trimmed
        return None


def _told(record: Record, decoder: Decoder) -> tuple[Record, list[Decoded | Reading]]:
    """The messages of a record whose times are beyond doubt, and what they say.

    Of the others forward knew, and nobody here does, whether our own clock was suspect.
    """
    said = [(raw, decoder.read(raw)) for raw in record.messages]
    sure = [(raw, what) for raw, what in said if _is_sure(what, raw.received_ms)]
    return replace(record, messages=tuple(raw for raw, _ in sure)), [what for _, what in sure]


def _is_sure(said: Decoded | Reading, received_ms: int) -> bool:
    times = (said.at_ms,) if type(said) is Reading else (item.at_ms for item in said.items)
    return all(event_time(at_ms, received_ms)[1] for at_ms in times)
