"""Works a final day of a compound out again, for a person to look at: nothing is written here.

What comes after a day is final is stored, and not in its figures; so the telemetry store and the
sessions know better. What devices' reports add up to is worked out by the `Recounter` itself, with
the judge's meter; sessions are counted from their rows, passages from their events. Of one hour of
a device only what the store knows at least as much of as the judge did is believed.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine, select

from devices.corrections import (
    LEAST_OF_RECOUNT,
    Line,
    RecountBusy,
    Recounted,
    RecountRefused,
    Way,
    amount_of,
    difference,
)
from devices.coverage import KINDS
from devices.registry import Device, Registry
from devices.sessions import EndedBy
from devices.store.corrections import lines_of
from devices.store.database import answering, reading
from devices.store.readings import KeptReadings
from devices.store.registry import device_numbers
from devices.store.schema import sessions
from devices.store.scope import DISTRICT
from devices.store.sessions import session_of
from devices.store.usage import DeviceHour, corrected, counted_hours
from devices.store.usage_again import Mark, UsageAgain, Worked
from devices.telemetry import UNDATED, Point
from devices.usage import (
    FROM_REPORTS,
    HOUR_MS,
    METERED,
    Figures,
    add,
    hour_of,
)
from ingest.judge.plan import Plans
from ingest.judge.use import INFERRED, TOLD, UNREPORTED, counted_as
from ingest.ports import Clock
from ingest.recount import FAR_MS, PAGE, Readings, Recounter

WAITS_S = 20.0  # for its turn: a day of a large compound takes some seconds
# Messages of one time are one point, so that a few less than there were reports may be all of them.
AS_MANY = 0.9
OF_SESSIONS = (*TOLD, *INFERRED, *UNREPORTED, "fee_fen")

_FEWER = "the store holds fewer readings of it than had come: some hours stay as they were counted"
_NONE = "the store holds no reading of it on that day"
_FAILED = "its readings cannot be worked out; the log says why"


class DayRecount:
    """One day at a time. lighting: whether lamps at (latitude, longitude) are to be on, when."""

    def __init__(
        self,
        engine: Engine,
        readings: Readings,
        plans: Plans,
        lighting: Callable[[float, float, int], bool],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._readings = readings
        self._plans = plans
        self._lighting = lighting
        self._clock = clock
        self._turn = threading.Lock()

    def work_out(self, compound: str, from_ms: int, to_ms: int) -> Recounted:
        """The local day [from_ms, to_ms).

        Raises RecountRefused, RecountBusy, TelemetryError, DatabaseAway.
        """
        if not self._turn.acquire(timeout=WAITS_S):
            raise RecountBusy("another day is being worked out: try again")
        try:
            return self._work_out(compound, from_ms, to_ms)
        finally:
            self._turn.release()

    def _work_out(self, compound: str, from_ms: int, to_ms: int) -> Recounted:
        since_ms = KeptReadings(self._engine).from_ms()
        if from_ms - FAR_MS < since_ms:
            raise RecountRefused(
                "readings of that day, or of the one before, are no longer kept: of older days"
                " nothing can be worked out again, only stated"
            )
        hours = _Hours(self._engine, from_ms, to_ms)
        devices = [
            device
            for device in hours.registry().devices.values()
            if device.compound == compound and device.kind in KINDS
        ]
        with answering(), reading(self._engine) as connection:
            numbers = device_numbers(connection)
            rows = counted_hours(connection, DISTRICT, compound, from_ms, to_ms)
            known = lines_of(connection, DISTRICT, compound, from_ms, to_ms, Way.RECOUNT)
        day = _Day({(row.device_no, row.hour_ms): row for row in corrected(rows, known)})
        for device in devices:
            self._hear(day, device, from_ms, to_ms)
        metered = [device for device in devices if device.kind in METERED]
        hours.wanted = [device.id for device in metered if day.heard[device.id]]
        # now_ms: the end of that day, when none of its hours was final
        recounter = Recounter(hours, self._readings, self._plans, self._lighting, lambda: to_ms)
        recounter.step(threading.Event())
        counted = self._sessions(compound, from_ms, to_ms)
        lines: list[Line] = []
        left: dict[str, str] = {}
        for device in devices:
            number = numbers[device.id]
            if device.id in hours.given_up:
                left[device.id] = _FAILED
            elif not day.heard[device.id] and any(no == number for no, _ in day.rows):
                left[device.id] = _NONE
            elif day.is_thin(device.id, number):
                left[device.id] = _FEWER
            passed = self._passages(device, from_ms, to_ms) if device.kind == "gate" else {}
            again = hours.figures.get(device.id, {})
            lines += day.lines(device, number, again, counted.get(device.id, {}), passed)
        return Recounted(sorted(lines, key=lambda line: line[:3]), left)

    def _hear(self, day: "_Day", device: Device, from_ms: int, to_ms: int) -> None:
        """Count its readings by hour, and those that only tell of a change."""
        beats = self._plans.of(device).beats
        heard = day.heard[device.id] = {}
        changed = day.changed[device.id] = {}
        for point in self._points(device.kind, device, from_ms, to_ms):
            hour_ms = hour_of(point.at_ms)
            heard[hour_ms] = heard.get(hour_ms, 0) + 1
            if beats and beats.isdisjoint(point.fields):
                changed[hour_ms] = changed.get(hour_ms, 0) + 1

    def _passages(self, device: Device, from_ms: int, to_ms: int) -> dict[int, Figures]:
        """By hour what passed a gate, as the judge counts it."""
        found: dict[int, Figures] = {}
        ids: set[object] = set()  # one without a time of its own, sent again, is there again
        for point in self._points(f"{device.kind}_event", device, from_ms, to_ms):
            said = point.fields
            if said.get("type") != "access" or said.get(UNDATED):
                continue
            if (event_id := said.get("event_id")) is not None:
                if event_id in ids:
                    continue
                ids.add(event_id)
            figures = found.setdefault(hour_of(point.at_ms), {})
            method = str(said.get("method", "unknown"))
            if said.get("result") == "granted":
                add(figures, "granted", 1)
                add(figures, "by_method", 1, method)
                add(figures, "by_direction", 1, str(said.get("direction", "unknown")))
                if method == "remote":
                    add(figures, "remote", 1)
            else:
                add(figures, "denied", 1)
                add(figures, "deny_reasons", 1, str(said.get("deny_reason", "other")))
        return found

    def _points(
        self, measurement: str, device: Device, from_ms: int, to_ms: int
    ) -> Iterator[Point]:
        while True:
            page = self._readings.points(measurement, device.id, from_ms, to_ms, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            from_ms = page[-1].at_ms + 1

    def _sessions(self, compound: str, from_ms: int, to_ms: int) -> dict[str, dict[int, Figures]]:
        """By port and hour what the sessions that ended in it come to, as the judge counts them."""
        column = sessions.c
        query = select(sessions).where(
            column.compound == compound,
            column.ended_at_ms >= from_ms,
            column.ended_at_ms < to_ms,
        )
        found: dict[str, dict[int, Figures]] = {}
        with answering(), reading(self._engine) as connection:
            for row in connection.execute(query):
                session = session_of(row)
                hour = hour_of(session.ended_at_ms or 0)
                figures = found.setdefault(session.port, {}).setdefault(hour, {})
                if session.stop_reason is not None:
                    is_guess = session.ended_by is EndedBy.PLATFORM
                    stops = INFERRED[2] if is_guess else TOLD[2]
                    add(figures, stops, 1, session.stop_reason)
                add(figures, "fee_fen", session.fee_fen or 0)
                measured = session.measured
                names = counted_as(session, None if measured is None else measured.register_kwh)
                if names is not None:
                    counts, lasts = names
                    add(figures, counts, 1)
                    add(figures, lasts, session.duration_s or 0)
        return found


@dataclass(slots=True)
class _Day:
    """What was counted, by device and hour, with earlier recounts; what the store has of it.

    changed: of the readings heard, those that only tell of a change.
    """

    rows: Mapping[tuple[int, int], DeviceHour]
    heard: dict[str, dict[int, int]] = field(default_factory=dict)
    changed: dict[str, dict[int, int]] = field(default_factory=dict)

    def is_thin(self, device: str, number: int) -> bool:
        return any(
            no == number and not self._is_known(device, row) for (no, _), row in self.rows.items()
        )

    def _is_known(self, device: str, row: DeviceHour) -> bool:
        return self.heard[device].get(row.hour_ms, 0) >= AS_MANY * row.received

    def lines(
        self,
        device: Device,
        number: int,
        again: Mapping[int, Figures],
        counted: Mapping[int, Figures],
        passed: Mapping[int, Figures],
    ) -> Iterator[Line]:
        """What is to be added to a device's hours.

        again: what its reports add up to. counted: a port's sessions. passed: at a gate; two people
        within a millisecond are one event in the store, so that less is never believed.
        """
        heard = self.heard[device.id]
        of_device = {hour for no, hour in self.rows if no == number}
        for hour in sorted({*again, *counted, *passed, *heard, *of_device}):
            row = self._row(number, hour, device.kind)
            after = {name: part for name, part in row.figures.items() if name not in OF_SESSIONS}
            if hour in again and self._is_known(device.id, row):
                after = {name: part for name, part in after.items() if name not in FROM_REPORTS}
                metered = again[hour].items()
                after |= {name: part for name, part in metered if name not in OF_SESSIONS}
            after |= counted.get(hour, {})
            received = max(0, heard.get(hour, 0) - row.received)
            beside = self.changed[device.id].get(hour, 0) - amount_of(
                row.figures, "on_change", None
            )
            if received and beside > 0:
                add(after, "on_change", min(received, beside))
            yield from _line(row, received, _most(after, passed.get(hour, {})))

    def _row(self, number: int, hour: int, kind: str) -> DeviceHour:
        return self.rows.get((number, hour)) or DeviceHour(hour, number, kind, 0, {})


def _line(row: DeviceHour, received: int, after: Figures) -> Iterator[Line]:
    added = difference(row.figures, after, LEAST_OF_RECOUNT)
    if added or received:
        yield Line(row.hour_ms, row.device_no, row.kind, received, added)


def _most(before: Figures, after: Figures) -> Figures:
    """Of each number the larger one."""
    found: Figures = {}
    for name in {**before, **after}:
        was, now = before.get(name, 0), after.get(name, 0)
        if isinstance(was, dict) or isinstance(now, dict):
            left = was if isinstance(was, dict) else {}
            right = now if isinstance(now, dict) else {}
            found[name] = {of: max(left.get(of, 0), right.get(of, 0)) for of in {**left, **right}}
        else:
            found[name] = max(was, now)
    return found


class _Hours(UsageAgain):
    """Every hour of a day as if it were marked, for the Recounter; its answer is kept here."""

    def __init__(self, engine: Engine, from_ms: int, to_ms: int) -> None:
        super().__init__(engine)
        self._range = range(from_ms, to_ms, HOUR_MS)
        self._registry: Registry | None = None
        self.wanted: Sequence[str] = ()
        self.figures: dict[str, dict[int, Figures]] = {}
        self.given_up: set[str] = set()

    def due(self, now_ms: int, limit: int) -> list[Mark]:  # noqa: ARG002 - each, whatever is asked
        return [Mark(device, hour, "", 0, 0) for device in self.wanted for hour in self._range]

    def registry(self) -> Registry:
        if self._registry is None:
            self._registry = super().registry()
        return self._registry

    def write(self, some: Sequence[Worked]) -> None:
        for worked in some:
            name = worked.device.id
            if not worked.hours:
                self.given_up.add(name)
            within = {hour: f for hour, f in worked.hours.items() if hour in self._range}
            self.figures.setdefault(name, {}).update(within)
