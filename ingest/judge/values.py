"""What the values of a report mean: live ones, late ones, and ones that were refused."""

from collections.abc import Callable, Mapping

from devices.messages import Decoded, Value
from ingest.judge.memory import DeviceMemory
from ingest.judge.signs import FaultFinder
from ingest.judge.use import METERED, UseMeter


class ValueJudge:
    """Keeps the latest values, and hands those that can mean a fault to the finder.

    touch: told of each device whose memory changed.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        finder: FaultFinder,
        use: UseMeter,
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._memories = memories
        self._finder = finder
        self._use = use
        self._touch = touch

    def live(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        """Values newer than all before. A normal one costs two look-ups and a comparison."""
        device = memory.device
        if device.kind in METERED:
            self._use.values(memory, values, at_ms)
        latest = memory.latest
        found = memory.plan.found
        abnormal = bool(memory.signs)
        given = None  # a condition that may stand behind the value in the same message
        for name, value in values.items():
            latest[name] = (value, at_ms)
            plan = found[name] if name in found else memory.plan.of(name)
            if plan is not None and not plan.is_normal(value):
                if plan.given is None or given not in (None, plan.given):
                    abnormal = True
                given = plan.given
        if given is not None and memory.word(given[0]) in given[1]:
            abnormal = True
        if memory.device_at_ms is None or at_ms > memory.device_at_ms:
            memory.device_at_ms = at_ms
        self._touch(memory)
        if memory.signs:
            self._finder.valid(memory, values, at_ms, received_ms)
        if abnormal:
            self._look(memory, values, at_ms, received_ms)
        if device.kind == "port":
            self._look_at_parent(memory, values, at_ms, received_ms)

    def late(
        self,
        memory: DeviceMemory,
        values: dict[str, Value],
        at_ms: int,
        received_ms: int,
        replayed: bool,
    ) -> None:
        """Values older than the newest: history, but for quantities not seen since, and safety."""
        fresh: dict[str, Value] = {}
        past: dict[str, Value] = {}
        for name, value in values.items():
            known = memory.latest.get(name)
            if not replayed and (known is None or at_ms > known[1]):
                fresh[name] = value
            else:
                past[name] = value
        self.past(memory, past, at_ms, received_ms)
        if fresh:
            for name, value in fresh.items():
                memory.latest[name] = (value, at_ms)
            self._look(memory, fresh, at_ms, received_ms)
            if memory.device.kind == "port":
                self._look_at_parent(memory, fresh, at_ms, received_ms)
        self._touch(memory)

    def past(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        """Values of the past: only safety signs matter, of the device and of its shed."""
        parent = self._memories.get(memory.device.parent or "")
        of_parent = parent.plan.child.get(memory.device.kind, {}) if parent is not None else {}
        for name, value in values.items():
            for whose, plan in ((memory, memory.plan.of(name)), (parent, of_parent.get(name))):
                if whose is not None and plan is not None and not plan.is_normal(value):
                    signs = [s for s in plan.signs if s.raises is not None and s.raises(value)]
                    self._finder.late(whose, signs, at_ms, received_ms, {name: value})

    def refused(self, said: Decoded, at_ms: int, received_ms: int) -> None:
        """Live values that were refused, of the sender or of its ports: some are faults."""
        for rejected in said.rejected:
            memory = self._memories.get(rejected.device)
            if memory is not None:
                self._finder.refused(memory, rejected.quantity, rejected.detail, at_ms, received_ms)

    def _look(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        # First all that appears, then what it means for other signs: names come in any order.
        for name, value in values.items():
            plan = memory.plan.of(name)
            if plan is not None:
                source = "" if name in memory.plan.quantities else name
                self._finder.value(memory, plan, value, at_ms, received_ms, source=source)
        if memory.signs:
            for name, value in values.items():
                self._finder.becomes(memory, name, value, at_ms, received_ms)

    def _look_at_parent(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        """What a port says of its shed: a status that is smoke or leakage."""
        parent = self._memories.get(memory.device.parent or "")
        if parent is None:
            return
        for name, plan in parent.plan.child.get(memory.device.kind, {}).items():
            value = values.get(name)
            if value is not None and (parent.signs or not plan.is_normal(value)):
                self._finder.value(parent, plan, value, at_ms, received_ms, source=memory.device.id)
