"""What the values of a report mean: live ones, late ones, and ones that were refused."""

from collections.abc import Callable, Mapping

from devices.kinds.kind import Known
from devices.messages import Decoded, Value
from devices.usage import METERED
from ingest.judge.memory import DeviceMemory, Outlook
from ingest.judge.patterns import concerns
from ingest.judge.plan import Hint, QuantityPlan
from ingest.judge.signs import FaultFinder
from ingest.judge.use import SHED_METER, UseMeter


class ValueJudge:
    """Keeps the latest values, and hands those that can mean a fault to the finder.

    touch: told of each device whose memory changed. place: the latitude and longitude of a device.
    no_power: told of each device that says, by this quantity, that its power is gone, and when:
        by its clock, and by ours when we heard of it.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        finder: FaultFinder,
        use: UseMeter,
        touch: Callable[[DeviceMemory], None],
        place: Callable[[DeviceMemory], tuple[float, float]],
        no_power: Callable[[DeviceMemory, str, int, int], None],
    ) -> None:
        self._memories = memories
        self._finder = finder
        self._use = use
        self._touch = touch
        self._place = place
        self._no_power = no_power

    def live(
        self,
        memory: DeviceMemory,
        values: dict[str, Value],
        at_ms: int,
        received_ms: int,
        *,
        calm: bool = False,
    ) -> None:
        """Values newer than all before. A normal one costs two look-ups and a comparison.

        calm: it is known already that none of them shows anything by itself.
        """
        device = memory.device
        plan_ = memory.plan
        muted = plan_.kind.muted
        if muted and (muted[0].given[0] in memory.latest or muted[0].given[0] in values):
            values = _audible(memory, values)
        latest = memory.latest
        read = read_s = None  # what the registers of a port's session read until now
        if device.kind in METERED:
            read, read_s = latest.get("session_energy_kwh"), latest.get("session_s")
            self._use.values(memory, values, at_ms)
        elif SHED_METER in values and device.kind == "shed":
            self._use.shed_meter(memory, values[SHED_METER], at_ms)
        if plan_.changed:
            self._finder.changes(memory, values, at_ms, received_ms)
        # what was read until now, and when, of what is not normal
        before: dict[str, tuple[Value, int]] = {}
        if calm:
            for name, value in values.items():
                latest[name] = (value, at_ms)
            for name, plan in plan_.conditional.items():
                if name in values and not plan.is_normal(values[name]):
                    calm = calm and not self.is_so(memory, plan)
        else:
            calm = not self._shows(memory, values, at_ms, received_ms, before)
        if memory.device_at_ms is None or at_ms > memory.device_at_ms:
            memory.device_at_ms = at_ms
        if not memory.dirty:
            self._touch(memory)
        if memory.signs:
            telling = self._finder.concerned(memory, values) if calm else values
            if telling:
                self._finder.valid(memory, telling, at_ms, received_ms)
                self.look(memory, telling, at_ms, received_ms, before)
        elif not calm:
            self.look(memory, values, at_ms, received_ms, before)
        outlook = memory.outlook or self.look_ahead(memory)
        if outlook.derived and not values.keys().isdisjoint(plan_.behind):
            self.derive(memory, outlook, values, at_ms, received_ms)
        if outlook.above is not None:
            self.look_at_parent(memory, outlook, values, at_ms, received_ms)
        if read is not None and memory.session is not None:
            reads = latest["session_energy_kwh"][0]
            if reads < read[0]:  # type: ignore[operator]  # a register is a number
                self.fell(memory, read[1], read_s, at_ms)

    def _shows(
        self,
        memory: DeviceMemory,
        values: dict[str, Value],
        at_ms: int,
        received_ms: int,
        before: dict[str, tuple[Value, int]],
    ) -> bool:
        """Take the values, and what they hint at; whether any of them may show something."""
        latest, plan_ = memory.latest, memory.plan
        found = plan_.found
        abnormal = False
        given = None  # a condition that may stand behind the value in the same message
        for name, value in values.items():
            plan = found[name] if name in found else plan_.of(name)
            if plan is not None and not plan.is_normal(value):
                if name in latest:
                    before[name] = latest[name]
                if plan.hint is not None:
                    self._take_hint(memory, plan.hint, name, before.get(name), at_ms, received_ms)
                if plan.given is None or given not in (None, plan.given):
                    abnormal = True
                given = plan.given
            latest[name] = (value, at_ms)
        return abnormal or (given is not None and memory.word(given[0]) in given[1])

    def is_so(self, memory: DeviceMemory, plan: QuantityPlan) -> bool:
        """Whether the condition holds under which this quantity shows something."""
        return plan.given is not None and memory.word(plan.given[0]) in plan.given[1]

    def look_ahead(self, memory: DeviceMemory) -> Outlook:
        """Find out what need not be found out with each report."""
        device, plan_ = memory.device, memory.plan
        above = self._memories.get(device.parent or "")
        attributes = device.attributes
        attributes_above = above.device.attributes if above is not None else {}
        latitude, longitude = self._place(memory)
        seen = above.plan.child.get(device.kind, {}) if above is not None else {}
        memory.outlook = Outlook(
            Known(
                0,
                device.interval_s,
                memory.latest,
                attributes,
                attributes_above,
                latitude,
                longitude,
            ),
            tuple(
                (derived, plan, plan.high if derived.at_most and plan.has_no_floor() else None)
                for derived, plan in plan_.derived
                if (
                    derived.limit is None
                    or derived.limit in attributes
                    or derived.limit in attributes_above
                )
                and (derived.needs is None or derived.needs(attributes))
                and any(concerns(planned, memory) for planned in plan.signs)
            ),
            above if seen else None,
            tuple(seen.items()),
            tuple((name, plan.low, plan.high, plan) for name, plan in plan_.conditional.items()),
        )
        return memory.outlook

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
        before: dict[str, tuple[Value, int]] = {}
        for name, value in values.items():
            known = memory.latest.get(name)
            if not replayed and (known is None or at_ms > known[1]):
                fresh[name] = value
                if known is not None:
                    before[name] = known
            else:
                past[name] = value
        self.past(memory, past, at_ms, received_ms)
        if memory.tallies and not replayed:
            for name, value in past.items():
                plan = memory.plan.of(name)
                if plan is not None and plan.patterns:
                    self._finder.overtaken_value(memory, plan, value, at_ms, received_ms)
        if fresh:
            for name, value in fresh.items():
                plan = memory.plan.of(name)
                if plan is not None and plan.hint is not None and not plan.is_normal(value):
                    self._take_hint(memory, plan.hint, name, before.get(name), at_ms, received_ms)
                memory.latest[name] = (value, at_ms)
            self.look(memory, fresh, at_ms, received_ms, before)
            outlook = memory.outlook or self.look_ahead(memory)
            if outlook.above is not None:
                self.look_at_parent(memory, outlook, fresh, at_ms, received_ms)
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

    def _take_hint(
        self,
        memory: DeviceMemory,
        hint: Hint,
        name: str,
        before: tuple[Value, int] | None,
        at_ms: int,
        received_ms: int,
    ) -> None:
        """Note what may explain that a device falls silent soon."""
        if hint is Hint.WEAK_SIGNAL:
            memory.weak_ms = received_ms
        elif before is None or before[0] is not False:  # it is the change that tells when
            self._no_power(memory, name, at_ms, received_ms)

    def look(
        self,
        memory: DeviceMemory,
        values: Mapping[str, Value],
        at_ms: int,
        received_ms: int,
        before: Mapping[str, tuple[Value, int]],
    ) -> None:
        # First all that appears, then what it means for other signs: names come in any order.
        for name, value in values.items():
            plan = memory.plan.of(name)
            if plan is not None:
                source = "" if name in memory.plan.quantities else name
                self._finder.value(
                    memory,
                    plan,
                    value,
                    at_ms,
                    received_ms,
                    source=source,
                    before=before.get(name),
                )
        if memory.signs:
            for name, value in values.items():
                self._finder.becomes(memory, name, value, at_ms, received_ms)

    def derive(
        self,
        memory: DeviceMemory,
        outlook: Outlook,
        values: Mapping[str, Value],
        at_ms: int,
        received_ms: int,
    ) -> None:
        """Judge the quantities that are made of what has just come."""
        known: Known | None = None
        for derived, plan, enough in outlook.derived:
            for name in derived.of:
                if name in values:
                    break
            else:
                continue
            if enough is not None and derived.at_most is not None and not memory.signs:
                most = values.get(derived.at_most)
                if most is not None and not isinstance(most, str) and most <= enough:
                    continue
            if known is None:
                known = outlook.known
                known.at_ms, known.latest = at_ms, memory.latest
                known.found.clear()
                session = memory.session
                known.charging_ms = session.started_at_ms if session is not None else None
            value = derived.make(known)
            if value is None or (plan.is_normal(value) and not memory.signs):
                continue
            made_of = {name: values[name] for name in derived.of if name in values}
            self._finder.value(memory, plan, value, at_ms, received_ms, made_of=made_of)

    def fell(
        self, memory: DeviceMemory, read_ms: int, read_s: tuple[Value, int] | None, at_ms: int
    ) -> None:
        """The register of a port has fallen: within its session, unless another one has begun.

        Its start may still be on its way. read_ms: when the register was read before. read_s: what
        the session's time read before, and when.
        """
        shed = self._memories.get(memory.device.parent or "")
        session = memory.session
        if shed is None or session is None or read_ms <= (session.started_at_ms or 0):
            return
        session_s = memory.told("session_s") or (0, 0)
        if read_s is not None and session_s[0] < read_s[0]:  # type: ignore[operator]  # numbers
            return
        self._finder.fell(shed, memory.device.id, session.order, at_ms)

    def look_at_parent(
        self,
        memory: DeviceMemory,
        outlook: Outlook,
        values: Mapping[str, Value],
        at_ms: int,
        received_ms: int,
    ) -> None:
        """What a port says of its shed: a status that is smoke or leakage."""
        parent = outlook.above
        for name, plan in outlook.seen_above if parent is not None else ():
            value = values.get(name)
            if (
                parent is not None
                and value is not None
                and (parent.signs or not plan.is_normal(value))
            ):
                self._finder.value(parent, plan, value, at_ms, received_ms, source=memory.device.id)


def _audible(memory: DeviceMemory, values: dict[str, Value]) -> dict[str, Value]:
    """The values without those that say nothing now; what was said before is unknown again."""
    audible = values
    for muted in memory.plan.kind.muted:
        name, words = muted.given
        given = values[name] if name in values else memory.word(name)
        if given not in words:
            continue
        if values.get(muted.quantity) == muted.value:
            audible = {name: value for name, value in audible.items() if name != muted.quantity}
        if memory.word(muted.quantity) == muted.value:
            del memory.latest[muted.quantity]
    return audible
