"""Works out again what late reports changed: hours that the judge has marked, one device at a time.

    1. take marks whose readings the telemetry store holds by now
    2. read the device's reports around them, from the one before to the one behind
    3. write the figures of those hours, and take the marks away, of some devices at once

Killed anywhere, the marks are still there. What the judge marks meanwhile is done the next time.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

import structlog

from devices.messages import Event, Value
from devices.registry import Device, Registry
from devices.sessions import EndedBy, Session, SessionState
from devices.store.database import DatabaseAway
from devices.store.usage_again import KEPT_BY_JUDGE_MS, LONGEST_SESSION_MS, Mark, Worked
from devices.telemetry import Point, Sample, TelemetryError
from devices.usage import HOUR_MS, METERED, Figures, hour_of, open_from_ms
from ingest.judge.baselines import offset_ms
from ingest.judge.memory import DeviceMemory
from ingest.judge.plan import Plans
from ingest.judge.remeter import Report, next_hour, work_out
from ingest.judge.use import float_w, implied_by
from ingest.ports import Clock

log = structlog.get_logger()

EVERY_S = 2.0
MARKS = 500  # taken at once
HOURS_AT_ONCE = 150  # written at once, some six devices' day: the judge waits so long, some 20 ms
PAGE = 5_000  # reports read at once
FAR_MS = 24 * HOUR_MS  # how far the report before and the one behind are looked for
APART_MS = 6 * HOUR_MS  # marks of one device that are so far apart are worked out by themselves
REGISTERS = {"port": "session_energy_kwh", "lamp": "energy_kwh"}
# What the meter reads of a device: a store looks far back for what was never sent.
READ = {
    "gate": ("door_state", "arm_state", "door_alarm", "door_mode"),
    "port": ("port_status", "session_energy_kwh", "power_w"),
    "lamp": ("switch_state", "power_w", "dim_level_pct", "energy_kwh"),
}


class Hours(Protocol):
    """What is marked, and where the figures go. Raises DatabaseAway."""

    def due(self, now_ms: int, limit: int) -> list[Mark]: ...

    def heard_to_ms(self) -> int | None: ...

    def registry_revision(self) -> int: ...

    def registry(self) -> Registry: ...

    def sessions(self, port: str, from_ms: int, to_ms: int) -> list[Session]: ...

    def write(self, some: Sequence[Worked]) -> None: ...


class Readings(Protocol):
    """The telemetry store, as far as it is needed. Raises TelemetryError."""

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]: ...

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]: ...


class Recounter:
    """lighting: whether lamps at (latitude, longitude) are to be on at a time.

    kept_from_ms: from when on the readings are kept. Hours for which one that was before them may
    be missing keep the figures that they have.
    """

    def __init__(
        self,
        hours: Hours,
        readings: Readings,
        plans: Plans,
        lighting: Callable[[float, float, int], bool],
        clock: Clock,
        kept_from_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._hours = hours
        self._kept_from_ms = kept_from_ms
        self._readings = readings
        self._plans = plans
        self._lighting = lighting
        self._clock = clock
        self._registry = Registry()
        self._revision = -1

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; what is marked waits while a store is away."""
        away = False
        while not stop.wait(EVERY_S):
            try:
                while not stop.is_set() and self.step(stop):
                    pass
            except (DatabaseAway, TelemetryError) as error:
                if not away:
                    log.warning("late_usage_waits", error=str(error))
                away = True
            else:
                away = False

    def step(self, stop: threading.Event) -> int:
        """Take the marks that are due; how many there were."""
        marks = self._hours.due(self._clock(), MARKS)
        if not marks:
            return 0
        revision = self._hours.registry_revision()
        if revision != self._revision:
            self._registry, self._revision = self._hours.registry(), revision
        heard_to_ms = self._hours.heard_to_ms() or 0
        gathered: list[Worked] = []
        try:
            for name, of_device in groupby(marks, key=lambda mark: mark.device):
                device = self._registry.devices.get(name)
                for group in _together(list(of_device)):
                    if stop.is_set():
                        self._write(gathered)
                        return 0
                    if gathered and (gathered[-1].device.id == name or _is_enough(gathered)):
                        self._write(gathered)  # its next hours rest on what is written here
                        gathered = []
                    gathered.append(self._worked(device or _gone(name), group, heard_to_ms))
        except TelemetryError:
            self._write(gathered)
            raise
        self._write(gathered)
        return len(marks)

    def _worked(self, device: Device, marks: Sequence[Mark], heard_to_ms: int) -> Worked:
        """What cannot be worked out stays as the judge counted it: no figure may stop ingest."""
        if device.kind not in METERED:
            return Worked(device, {}, marks)
        try:
            return self._work_out(device, marks, heard_to_ms)
        except (DatabaseAway, TelemetryError):
            raise
        except Exception as error:
            log.exception("late_usage_given_up", **_told(device, marks, error))
            return Worked(device, {}, marks)

    def _write(self, gathered: Sequence[Worked]) -> None:
        """In one transaction; what the database refuses takes nothing along."""
        if not gathered:
            return
        try:
            self._hours.write(gathered)
        except DatabaseAway:
            raise
        except Exception as error:
            if len(gathered) == 1:
                device, marks = gathered[0].device, gathered[0].done
                log.exception("late_usage_given_up", **_told(device, marks, error))
                self._hours.write([Worked(device, {}, marks)])
                return
            log.exception("late_usage_refused", devices=[one.device.id for one in gathered])
            for one in gathered:
                self._write([one])

    def _work_out(self, device: Device, marks: Sequence[Mark], heard_to_ms: int) -> Worked:
        from_ms = self._from_ms(device, marks[0].hour_ms)
        to_ms = marks[-1].hour_ms + HOUR_MS
        behind = self._behind(device, to_ms)
        if behind:  # its hour is touched, and has a share in what comes behind it
            to_ms = next_hour(behind[-1].at_ms)
            behind = self._behind(device, to_ms)
        sessions: list[Session] = []
        first_ms, last_ms = from_ms, to_ms
        if device.kind == "port":
            sessions = self._hours.sessions(device.id, from_ms, to_ms)
            begun = [session.started_at_ms or from_ms for session in sessions]
            first_ms = max(min([from_ms, *begun]), from_ms - 2 * FAR_MS)
            ends = [session.ended_at_ms or to_ms for session in sessions]
            last_ms = min(max([to_ms, *ends]), to_ms + 2 * FAR_MS)
            if last_ms > to_ms:  # what a session drew is measured from its start to its end
                behind = self._behind(device, last_ms)
            # One whose end was inferred ended before the next began; and so does its register.
            known_ms = behind[-1].at_ms + 1 if behind else last_ms
            if (first_ms, known_ms) != (from_ms, to_ms):
                sessions = self._hours.sessions(device.id, first_ms, known_ms)
        modes: list[Report] = []
        if device.kind == "gate":  # since when it has been open is not in what it said last
            first_ms -= HOUR_MS
        before = self._before(device, first_ms)
        if device.kind == "gate":
            far_ms = 0 if "door_mode" in before else FAR_MS  # many tell of it by events alone
            modes = list(self._modes(device, first_ms - far_ms, to_ms))
        worked_out = work_out(
            device,
            self._plans.of(device),
            _newest(before, modes, first_ms),
            [
                *self._reports(device, first_ms, last_ms),
                *behind,
                *(mode for mode in modes if mode.at_ms >= first_ms),
            ],
            sessions,
            self._commanded,
            heard_to_ms,
            float_w(device, self._registry),
        )
        figures = worked_out.hours
        measured = [
            _as_worked_out(session, worked_out.sessions[session.id])
            for session in sessions
            if session.id in worked_out.sessions
            and session.state is SessionState.CLOSED
            and first_ms <= (session.started_at_ms or first_ms)
            and (session.ended_at_ms or last_ms) <= last_ms
            and _is_marked(session, marks)
        ]
        marked = {mark.hour_ms for mark in marks}
        now_ms = self._clock()
        offset = offset_ms(self._registry.compounds[device.compound].timezone, now_ms)
        open_ms = max(open_from_ms(offset, now_ms), self._kept_from_ms() + FAR_MS)
        write: dict[int, Figures] = {}
        later: list[int] = []
        for hour_ms in range(from_ms, to_ms, HOUR_MS):
            if hour_ms < open_ms:
                continue
            if hour_ms in marked or hour_ms + KEPT_BY_JUDGE_MS <= now_ms:
                write[hour_ms] = figures.get(hour_ms, {})
            else:
                later.append(hour_ms)  # the judge still adds to it, as if nothing had come late
        excluded = [one for one in worked_out.exclusions if hour_of(one.at_ms) in write]
        return Worked(device, write, marks, later, measured, excluded)

    def _from_ms(self, device: Device, hour_ms: int) -> int:
        """The hour of the report before: what a register grew by is spread from there on."""
        if device.kind == "gate":
            return hour_of(hour_ms - _holds_ms(device))
        before = self._before(device, hour_ms)
        if not before:
            return hour_ms
        reads = [max(at_ms for _, at_ms in before.values())]
        register = before.get(REGISTERS[device.kind])
        if register is not None:
            reads.append(register[1])
        return max(hour_of(min(reads)), hour_ms - FAR_MS)

    def _behind(self, device: Device, to_ms: int) -> list[Report]:
        """The reports from there on, up to the next one that has a register."""
        found: list[Report] = []
        register = REGISTERS.get(device.kind)  # without one, the next report is enough
        far_ms = FAR_MS if register is not None else _holds_ms(device)
        for point in self._readings.points(device.kind, device.id, to_ms, to_ms + far_ms, 100):
            found.append(Report(point.at_ms, point.fields))
            if register is None or register in point.fields:
                break
        return found

    def _before(self, device: Device, at_ms: int) -> dict[str, tuple[Value, int]]:
        found = self._readings.last_before(device.kind, device.id, at_ms, READ[device.kind])
        return {name: (sample.value, sample.at_ms) for name, sample in found.items()}

    def _reports(self, device: Device, from_ms: int, to_ms: int) -> Iterator[Report]:
        for point in self._paged(device.kind, device, from_ms, to_ms):
            yield Report(point.at_ms, point.fields)

    def _paged(self, measurement: str, device: Device, from_ms: int, to_ms: int) -> Iterator[Point]:
        while True:
            page = self._readings.points(measurement, device.id, from_ms, to_ms, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            from_ms = page[-1].at_ms + 1

    def _modes(self, device: Device, from_ms: int, to_ms: int) -> Iterator[Report]:
        """What a gate's events tell of its mode, as if it had been reported."""
        rules = self._plans.of(device).implied
        for point in self._paged(f"{device.kind}_event", device, from_ms, to_ms):
            event = Event(device, str(point.fields.get("type", "")), point.fields)
            told = implied_by(rules.get(event.type, ()), event)
            if told:
                yield Report(point.at_ms, told)

    def _commanded(self, memory: DeviceMemory, at_ms: int) -> bool:
        compound = self._registry.compounds[memory.device.compound]
        return self._lighting(compound.latitude, compound.longitude, at_ms)


def _holds_ms(device: Device) -> int:
    """How long what a device said holds."""
    return 3 * device.interval_s * 1000


def _newest(
    known: Mapping[str, tuple[Value, int]], reports: Iterable[Report], before_ms: int
) -> dict[str, tuple[Value, int]]:
    """The newest value of each quantity, with its time: of those known, and what was told by then.

    reports: by time.
    """
    newest = dict(known)
    for report in reports:
        if report.at_ms >= before_ms:
            break
        for name, value in report.values.items():
            if name not in newest or newest[name][1] <= report.at_ms:
                newest[name] = (value, report.at_ms)
    return newest


def _together(marks: list[Mark]) -> Iterator[list[Mark]]:
    """Marks of one device, those that are near each other together."""
    group: list[Mark] = []
    for mark in marks:
        if group and mark.hour_ms - group[-1].hour_ms > APART_MS:
            yield group
            group = []
        group.append(mark)
    yield group


def _is_marked(session: Session, marks: Sequence[Mark]) -> bool:
    """Whether the judge has marked an hour of it: then it marks its end as well, if it was open.

    Of any other session readings may still be on their way to the telemetry store.
    """
    begun_ms, ended_ms = session.started_at_ms, session.ended_at_ms
    if session.ended_by is EndedBy.PLATFORM and begun_ms is not None:
        ended_ms = begun_ms + LONGEST_SESSION_MS
    return any(
        not mark.from_ms
        and (ended_ms is None or mark.hour_ms <= ended_ms)
        and (begun_ms is None or begun_ms < mark.hour_ms + HOUR_MS)
        for mark in marks
    )


def _as_worked_out(session: Session, found: Session) -> Session:
    if session.ended_by is not EndedBy.PLATFORM:
        return replace(session, measured=found.measured)
    return replace(
        session,
        ended_at_ms=found.ended_at_ms,
        duration_s=found.duration_s,
        energy_kwh=found.energy_kwh,
        measured=found.measured,
    )


def _is_enough(gathered: Sequence[Worked]) -> bool:
    return sum(len(worked.hours) for worked in gathered) >= HOURS_AT_ONCE


def _told(device: Device, marks: Sequence[Mark], error: Exception) -> dict[str, object]:
    return {
        "device": device.id,
        "hours": [mark.hour_ms for mark in marks],
        "error": str(error),
        "then": "these hours keep the figures that were counted as messages came",
    }


def _gone(name: str) -> Device:
    """A device that the registry no longer has, or that meters nothing: its marks only go."""
    return Device(name, "", "", "", 0)
