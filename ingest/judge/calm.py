"""Calm reports: such as show nothing by themselves, of devices that are there. Nearly all are.

What is told of most of them is short, and to call one part of the judge after the other for it
would cost more than all that they do. So two kinds are written out here: those of devices of which
nothing is metered, and those of charging sockets, which are what `UseMeter.values`,
`ValueJudge.live` and `Baselines.read` do with them; what is not plain in them is handed over. All
others, and those of devices with a sign, go there as they are. A test holds all ways equal.
"""

from collections.abc import Callable
from typing import Any

from devices.usage import add
from ingest.judge.baselines import RUNS_LEAST, Baselines
from ingest.judge.memory import DeviceMemory, Hour
from ingest.judge.use import UseMeter
from ingest.judge.values import ValueJudge


class CalmReports:
    """Takes them. touch: told of each device whose memory changed."""

    def __init__(
        self,
        values: ValueJudge,
        use: UseMeter,
        baselines: Baselines,
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._values = values
        self._use = use
        self._baselines = baselines
        self._touch = touch

    def take(
        self,
        memory: DeviceMemory,
        values: dict[str, Any],
        hour_ms: int,
        at_ms: int,
        received_ms: int,
    ) -> None:
        """A calm report of the hour that begins then, newer than all before."""
        plan = memory.plan
        if memory.signs:
            self._any(memory, values, hour_ms, at_ms, received_ms)
        elif plan.is_socket:
            self._socket(memory, values, hour_ms, at_ms, received_ms)
        elif plan.is_plain and not (plan.telling and _is_told(memory, values)):
            hour = memory.hours.get(hour_ms)
            if hour is None:
                hour = memory.hours[hour_ms] = Hour()
            hour.received += 1
            hour.moved = True
            if plan.beats and plan.beats.isdisjoint(values):
                add(hour.figures, "on_change", 1)
            if memory.said is None or memory.said.keys() == values.keys():
                memory.said, memory.said_ms = values, at_ms
            else:
                memory.says(values, at_ms)
            memory.device_at_ms, memory.last_seen_ms = at_ms, received_ms
            if not memory.dirty:
                self._touch(memory)
            for run in memory.runs:
                value = values.get(run.name)
                if value is None:
                    continue
                if value == run.value:
                    run.count += 1
                    if run.count >= RUNS_LEAST:
                        self._baselines.same(memory, run, at_ms, received_ms)
                elif run.told:
                    self._baselines.changed(memory, run, value, at_ms, received_ms)
                else:
                    run.value, run.since_ms, run.count = value, at_ms, 1
        else:
            self._any(memory, values, hour_ms, at_ms, received_ms)

    def _any(
        self,
        memory: DeviceMemory,
        values: dict[str, Any],
        hour_ms: int,
        at_ms: int,
        received_ms: int,
    ) -> None:
        hour = memory.hours.get(hour_ms)
        if hour is None:
            hour = memory.hours[hour_ms] = Hour()
        hour.received += 1
        hour.moved = True
        if memory.plan.beats and memory.plan.beats.isdisjoint(values):
            add(hour.figures, "on_change", 1)
        self._values.live(memory, values, at_ms, received_ms, calm=True)
        if memory.runs:
            self._baselines.read(memory, values, at_ms, received_ms)
        memory.last_seen_ms = received_ms

    def _socket(
        self,
        memory: DeviceMemory,
        values: dict[str, Any],
        hour_ms: int,
        at_ms: int,
        received_ms: int,
    ) -> None:
        hour = memory.hours.get(hour_ms)
        if hour is None:
            hour = memory.hours[hour_ms] = Hour()
        hour.received += 1
        hour.moved = True
        outlook = memory.outlook or self._values.look_ahead(memory)
        read = read_s = None  # what the registers of its session read until now
        energy_kwh = values.get("session_energy_kwh")
        if energy_kwh is not None and memory.session is not None:
            read = memory.told("session_energy_kwh")
            if read is not None and energy_kwh < read[0]:
                read_s = memory.told("session_s")
            else:
                read = None
        self._use.values(memory, values, at_ms)
        # What it shows together with what is known: `ValueJudge.live`
        if memory.said is None or memory.said.keys() == values.keys():
            memory.said, memory.said_ms = values, at_ms
        else:
            memory.says(values, at_ms)
        if memory.device_at_ms is None or at_ms > memory.device_at_ms:
            memory.device_at_ms = at_ms
        if not memory.dirty:
            self._touch(memory)
        for name, low, high, plan in outlook.levels:
            value = values.get(name)
            if value is not None and not low <= value <= high and self._values.is_so(memory, plan):
                self._values.look(memory, values, at_ms, received_ms, {})
                break
        for derived, _, enough in outlook.derived:
            most = values.get(derived.at_most or "")
            if most is None or enough is None or most > enough or memory.signs:
                self._values.derive(memory, outlook, values, at_ms, received_ms)
                break
        for name, _ in outlook.seen_above:
            if name in values:
                self._values.look_at_parent(memory, outlook, values, at_ms, received_ms)
                break
        if read is not None and memory.session is not None:
            self._values.fell(memory, read[1], read_s, at_ms)
        # What is unusual: `Baselines.read`
        for run in memory.runs:
            value = values.get(run.name)
            if value is None:
                continue
            if value == run.value:
                run.count += 1
                if run.count >= RUNS_LEAST:
                    self._baselines.same(memory, run, at_ms, received_ms)
            else:
                self._baselines.changed(memory, run, value, at_ms, received_ms)
        self._baselines.draws(memory, at_ms, received_ms)
        memory.last_seen_ms = received_ms


def _is_told(memory: DeviceMemory, values: dict[str, Any]) -> bool:
    """Whether one of the quantities was told by which others are more, or less, than plain."""
    return any(name in values or memory.told(name) is not None for name in memory.plan.telling)
