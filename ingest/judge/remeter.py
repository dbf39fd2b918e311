"""What the reports of a port or a lamp add up to, worked out anew in the order of their times.

The judge adds up as reports come, and what comes behind newer ones is not in its sums. Here all of
them are at hand. It is the same meter that adds up, so that what came in order comes to the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from devices.judgement import Effects
from devices.messages import Event, Value
from devices.registers import Exclusion
from devices.registry import Device
from devices.sessions import EndedBy, Session
from devices.usage import FLOAT_POWER_W, FROM_REPORTS, HOUR_MS, Figures, hour_of, merge
from ingest.judge.memory import DeviceMemory, Presence
from ingest.judge.plan import KindPlan
from ingest.judge.use import UseMeter, stands_open

_GUESSED = "session_guessed"  # the end of a session that we inferred, and that stays so
_START, _REPORT, _END = range(3)  # what comes first of what is told at one time


class Report(NamedTuple):
    """What a device said at one time, all of it."""

    at_ms: int
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class WorkedOut:
    """hours: the figures of FROM_REPORTS, by hour, without those that are 0. sessions: by id, with
    what they drew, and of those whose end never came when it was. exclusions: what their registers
    moved by without a figure.
    """

    hours: dict[int, Figures]
    sessions: dict[str, Session]
    exclusions: list[Exclusion]


def work_out(
    device: Device,
    plan: KindPlan,
    before: Mapping[str, tuple[Value, int]],
    reports: Iterable[Report],
    sessions: Sequence[Session],
    commanded: Callable[[DeviceMemory, int], bool],
    heard_to_ms: int,
    float_w: float = FLOAT_POWER_W,
) -> WorkedOut:
    """What they come to.

    before: the newest value of each quantity ahead of the first report, with its time. reports: by
    time. sessions: of a port, all that were under way since the first report. heard_to_ms: whatever
    a lamp has not said up to then, it did not say. float_w: as the meter has it. Of hours that the
    reports do not cover from their beginning to their end, and the next report behind it, the
    figures are not whole; nor is what was measured of sessions that they do not cover.
    """
    effects = Effects()
    memory = DeviceMemory(device, plan, Presence.ONLINE, None, kept=dict(before))
    inferred = {
        session.id: session.stop_reason or "unknown"
        for session in sessions
        if session.ended_by is EndedBy.PLATFORM
    }
    meter = UseMeter(
        lambda: effects,
        commanded,
        lambda _memory: 0,
        lambda _session: None,
        lambda _memory: float_w,
        lambda _memory, at_ms: (at_ms, at_ms),
        inferred=inferred,
    )
    if before:
        memory.used_to_ms = memory.device_at_ms = max(at_ms for _, at_ms in before.values())
    if device.kind == "gate" and stands_open(memory, {}) is not None:
        memory.opened_ms = memory.used_to_ms
    register = before.get("energy_kwh" if device.kind == "lamp" else "session_energy_kwh")
    if register is not None and isinstance(register[0], int | float):
        memory.energy_kwh, memory.energy_ms = float(register[0]), register[1]
    for at_ms, _, _, told in sorted(_told(device, reports, sessions), key=lambda one: one[:3]):
        if isinstance(told, Event):
            if told.type == "session_start":
                meter.session_start(memory, told, at_ms)
            elif told.type == _GUESSED:
                meter.abandon(memory, ended_ms=at_ms)
            else:
                meter.session_end(memory, told, at_ms, late=False)
            continue
        values = dict(told)
        meter.values(memory, values, at_ms)
        memory.latest.update((name, (value, at_ms)) for name, value in values.items())
        memory.device_at_ms = at_ms
    silent_ms = heard_to_ms - (memory.used_to_ms or heard_to_ms)
    if device.kind == "lamp" and silent_ms > 3 * device.interval_s * 1000:
        meter.silent(memory, hour_of(heard_to_ms))
    if memory.session is not None and memory.session.id in inferred:
        meter.abandon(memory)
    return WorkedOut(_by_hour(memory, effects), effects.sessions, effects.exclusions)


def _told(
    device: Device, reports: Iterable[Report], sessions: Sequence[Session]
) -> Iterable[tuple[int, int, int, Mapping[str, Value] | Event]]:
    """(time, what comes first, number, what was told)."""
    number = count()
    for report in reports:
        yield report.at_ms, _REPORT, next(number), report.values
    for session in sessions:
        order = {"order": session.order}
        if session.started_at_ms is not None:
            event = Event(device, "session_start", order)
            yield session.started_at_ms, _START, next(number), event
        if session.ended_by is EndedBy.PLATFORM:
            # When it ended is worked out from its readings, but what a power cut ended has ended.
            if session.stop_reason == "power_cut" and session.ended_at_ms is not None:
                event = Event(device, _GUESSED, order)
                yield session.ended_at_ms, _END, next(number), event
        elif session.ended_at_ms is not None:
            said = {
                "session_energy_kwh": session.energy_kwh,
                "session_s": session.duration_s,
                "stop_reason": session.stop_reason,
            }
            ended: dict[str, Value] = dict(order)
            ended |= {name: value for name, value in said.items() if value is not None}
            event = Event(device, "session_end", ended)
            yield session.ended_at_ms, _END, next(number), event


def _by_hour(memory: DeviceMemory, effects: Effects) -> dict[int, Figures]:
    found: dict[int, Figures] = {start: dict(hour.figures) for start, hour in memory.hours.items()}
    for (_, start), figures in effects.late_hours.items():
        merge(found.setdefault(start, {}), figures)
    return {
        start: {name: amount for name, amount in figures.items() if name in FROM_REPORTS}
        for start, figures in found.items()
    }


def next_hour(at_ms: int) -> int:
    """The beginning of the hour behind the one that holds `at_ms`."""
    return hour_of(at_ms) + HOUR_MS
