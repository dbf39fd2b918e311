"""The last 24 hours of every compound by hour, kept here and read again bit by bit.

What is shown of a whole district for an hour is the sum of some thousand rows: too much for a page.
So one task reads a few compounds each second, the newest hours of all within a minute, and all of
the window as each hour begins; pages add up what is here.
"""

import asyncio
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine

from api.parts import Clock, RegistryCopy
from api.stream import to_its_end
from devices.coverage import Sum
from devices.days import DAY_MS
from devices.journal import UNASSIGNED
from devices.store.compounds import Directory, Entry
from devices.store.database import reading
from devices.store.hour_sums import HourSums
from devices.store.last_day import Opened, messages_by_hour, opened_since
from devices.store.scope import DISTRICT, Scope
from devices.store.usage_days import sums_of_compound
from devices.usage import HOUR_MS, hour_of

HOURS = 25  # that are shown: 24 that are over, and the one that runs
NEWEST = 3  # of which something may still be written at any time
BEFORE_MS = 7 * DAY_MS  # what it is compared with: the same hours a week before
AGAIN_S = 60.0
AT_ONCE, FIRST_AT_ONCE = 4, 12  # compounds in one go; 2 ms each, 14 ms for the whole window
STEP_S, FIRST_STEP_S = 1.0, 0.05
FAULTS_AGAIN_S = 10.0
ADD_UP_AGAIN_S, FIRST_ADD_UP_AGAIN_S = 30.0, 2.0  # 8 ms for a district

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hour:
    """What a compound did in an hour; None: nobody knows.

    messages: received of it. passages; energy_kwh: of its sockets. received, expected: reports of
    gates and sockets, of which the figures are.
    """

    messages: int | None = None
    passages: float | None = None
    energy_kwh: float | None = None
    received: float = 0.0
    expected: float = 0.0


@dataclass(slots=True)
class _Kept:
    """Hours of one compound by when they began; read_s: when they were read, by `monotonic`."""

    hours: Mapping[int, Hour] = field(default_factory=dict)
    read_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Day:
    """The hours that are shown, in order; before: the same a week before, as many.

    opened: faults that were raised in each, by class. running_share: how much of the last hour is
    over. is_read: False while some compounds have not been read yet. kinds: of devices there are.
    """

    starts: Sequence[int]
    hours: Sequence[Hour]
    before: Sequence[Hour]
    opened: Sequence[Mapping[str, int]]
    running_share: float
    is_read: bool
    kinds: Collection[str]

    @property
    def coverage(self) -> float | None:
        """Of gates and sockets, of the hours that are over."""
        over = self.hours[:-1]
        expected = sum(hour.expected for hour in over)
        return sum(hour.received for hour in over) / expected if expected else None


@dataclass(frozen=True, slots=True)
class _Added:
    """The hours of a scope added up, as they were at at_s."""

    at_s: float
    starts: Sequence[int]
    hours: Sequence[Hour]
    before: Sequence[Hour]
    is_read: bool

    def is_old(self, now_s: float, hour_ms: int) -> bool:
        again_s = ADD_UP_AGAIN_S if self.is_read else FIRST_ADD_UP_AGAIN_S
        return self.starts[-1] != hour_ms or now_s - self.at_s > again_s


class LastDay:
    """The hours of all compounds. `run` keeps them new; without it each `day` reads what it needs,
    which takes a second for a district."""

    def __init__(
        self, engine: Engine, clock: Clock, registry: RegistryCopy, sums: HourSums
    ) -> None:
        self._engine = engine
        self._sums = sums
        self._clock = clock
        self._registry = registry
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._opened: tuple[float, Sequence[Opened]] = (float("-inf"), ())
        self._days: dict[tuple[Scope, str | None], tuple[_Added, float, Day]] = {}
        self.is_kept_new = False
        self._failing = False

    async def run(self) -> None:
        """Read for ever, a few compounds at a time; a database that is away is asked again."""
        self.is_kept_new = True
        while True:
            try:
                is_behind = await to_its_end(self.read_some)
                if self._failing:
                    self._failing = False
                    log.info("last_day_goes_on")
                await asyncio.sleep(FIRST_STEP_S if is_behind else STEP_S)
            except Exception:  # of the database mostly; whatever it is, the next turn goes on
                if not self._failing:  # once, not once a second
                    self._failing = True
                    log.exception("last_day_stands_still")
                await asyncio.sleep(STEP_S)

    def read_some(self) -> bool:
        """Read the compounds that were not read for the longest; whether some never were."""
        directory = self._directory()
        now_s = time.monotonic()
        never = [name for name in self._names(directory) if name not in self._kept]
        for name in never[:FIRST_AT_ONCE]:
            self._read(directory, name)
        if never:
            return len(never) > FIRST_AT_ONCE
        due = sorted(
            (kept.read_s, name)
            for name, kept in self._kept.items()
            if now_s - kept.read_s > AGAIN_S
        )
        most = max(AT_ONCE, -(-len(self._kept) // int(AGAIN_S)))
        for _, name in due[:most]:
            self._read(directory, name)
        return False

    def day(self, scope: Scope, firm: str | None = None) -> Day:
        """The hours of all compounds of a scope, or of one firm in it, added up."""
        directory = self._directory()
        entries = [
            entry for entry in directory.visible(scope) if firm is None or entry.firm == firm
        ]
        names = [entry.id for entry in entries]
        if scope.is_district and firm is None:
            names.append(UNASSIGNED)
        if not self.is_kept_new:
            for name in names:
                if time.monotonic() - self._read_s(name) > AGAIN_S:
                    self._read(directory, name)
        now_s, hour_ms = time.monotonic(), hour_of(self._clock())
        key = (scope, firm)
        with self._lock:
            added, kept_s, day = self._days.get(key, (None, 0.0, None))
        is_added = added is not None and not added.is_old(now_s, hour_ms)
        if day is not None and is_added and now_s - kept_s < FAULTS_AGAIN_S:
            return day
        if added is None or not is_added:
            added = self._add_up(names, now_s, hour_ms)
        day = self._day(added, entries)
        with self._lock:
            if len(self._days) > len(directory.firms) * 2 + 2:
                self._days.clear()  # firms that are gone
            self._days[key] = added, now_s, day
        return day

    def since(self, entry: Entry, from_ms: int) -> list[Hour] | None:
        """A compound's hours from then on; None: they have not been read."""
        if not self.is_kept_new and time.monotonic() - self._read_s(entry.id) > AGAIN_S:
            self._read(self._directory(), entry.id)
        with self._lock:
            kept = self._kept.get(entry.id)
            if kept is None:
                return None
            return [hour for start, hour in sorted(kept.hours.items()) if start >= from_ms]

    def look_again(self) -> None:
        """Read everything anew at the next look."""
        with self._lock:
            self._kept.clear()
            self._days.clear()
            self._opened = (float("-inf"), ())

    def _directory(self) -> Directory:
        with reading(self._engine) as connection:
            return self._registry.get(connection).directory

    @staticmethod
    def _names(directory: Directory) -> Iterator[str]:
        yield from directory.compounds
        yield UNASSIGNED

    def _read_s(self, name: str) -> float:
        with self._lock:
            kept = self._kept.get(name)
            return float("-inf") if kept is None else kept.read_s

    def _read(self, directory: Directory, name: str) -> None:
        """The newest hours of a compound; all of the window where it is time for that."""
        now_ms, now_s = self._clock(), time.monotonic()
        hour_ms = hour_of(now_ms)
        first_ms = hour_ms - (HOURS - 1) * HOUR_MS
        entry = directory.compounds.get(name)
        with self._lock:
            kept = self._kept.get(name) or _Kept()
        if entry is None and name != UNASSIGNED:
            with self._lock:
                self._kept.pop(name, None)
            return
        hours = {at: hour for at, hour in kept.hours.items() if at >= first_ms - BEFORE_MS}
        if hour_ms - BEFORE_MS in hours:
            hours |= self._hours(entry, name, hour_ms - (NEWEST - 1) * HOUR_MS, now_ms)
        else:  # another hour has begun: what came late for those before it is read, too
            before_ms = first_ms - BEFORE_MS
            hours |= self._hours(entry, name, before_ms, before_ms + HOURS * HOUR_MS)
            hours |= self._hours(entry, name, first_ms, now_ms)
        with self._lock:
            self._kept[name] = _Kept(hours, now_s)

    def _hours(
        self, entry: Entry | None, name: str, from_ms: int, to_ms: int
    ) -> Mapping[int, Hour]:
        starts = range(from_ms, to_ms, HOUR_MS)
        with reading(self._engine) as connection:
            messages = messages_by_hour(connection, name, from_ms, to_ms)
        if entry is None:
            return {start: Hour(messages.get(start)) for start in starts}
        sums = sums_of_compound(self._engine, DISTRICT, entry, list(starts), to_ms, self._sums)
        return {
            start: _hour(messages.get(start), one) for start, one in zip(starts, sums, strict=True)
        }

    def _add_up(self, names: Sequence[str], now_s: float, hour_ms: int) -> _Added:
        starts = [hour_ms - n * HOUR_MS for n in reversed(range(HOURS))]
        with self._lock:
            found = [kept for name in names if (kept := self._kept.get(name)) is not None]
        return _Added(
            now_s,
            starts,
            [together(kept.hours.get(start) for kept in found) for start in starts],
            [together(kept.hours.get(start - BEFORE_MS) for kept in found) for start in starts],
            len(found) == len(names),
        )

    def _day(self, added: _Added, entries: Sequence[Entry]) -> Day:
        of = {entry.id for entry in entries}
        kinds = {kind for entry in entries for kind in entry.devices}
        starts = added.starts
        opened: list[dict[str, int]] = [{} for _ in starts]
        for one in self._faults(starts[0]):
            place = (one.hour_ms - starts[0]) // HOUR_MS
            if one.compound in of and 0 <= place < len(starts):
                counts = opened[place]
                counts[one.severity] = counts.get(one.severity, 0) + one.faults
        running_share = min(1.0, (self._clock() - starts[-1]) / HOUR_MS)
        return Day(starts, added.hours, added.before, opened, running_share, added.is_read, kinds)

    def _faults(self, from_ms: int) -> Sequence[Opened]:
        now_s = time.monotonic()
        with self._lock:
            at_s, opened = self._opened
        if now_s - at_s < FAULTS_AGAIN_S:
            return opened
        with reading(self._engine) as connection:
            opened = opened_since(connection, from_ms)
        with self._lock:
            self._opened = (now_s, opened)
        return opened


def _hour(messages: int | None, summed: Sum) -> Hour:
    gate, port = summed.part("gate"), summed.part("port")
    passages = gate.figures.get("granted", 0.0) if gate.received or gate.figures else None
    energy_kwh = port.figures.get("energy_kwh", 0.0) if port.received or port.figures else None
    return Hour(
        messages,
        passages if isinstance(passages, float | int) else None,
        energy_kwh if isinstance(energy_kwh, float | int) else None,
        gate.received + port.received,
        gate.expected + port.expected,
    )


def together(hours: Iterable[Hour | None]) -> Hour:
    """The sum of one hour of many compounds: unknown only where it is unknown of all."""
    messages: int | None = None
    passages: float | None = None
    energy_kwh: float | None = None
    received = expected = 0.0
    for hour in hours:
        if hour is None:
            continue
        if hour.messages is not None:
            messages = (messages or 0) + hour.messages
        if hour.passages is not None:
            passages = (passages or 0.0) + hour.passages
        if hour.energy_kwh is not None:
            energy_kwh = (energy_kwh or 0.0) + hour.energy_kwh
        received += hour.received
        expected += hour.expected
    return Hour(messages, passages, energy_kwh, received, expected)
