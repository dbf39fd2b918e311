"""From values, events and silence to faults.

A sign appears, lasts for its delay, and the fault is raised; it goes, stays away for the clear
delay, and the fault is over. Timers run on the watermark, so nothing is decided while messages that
would decide otherwise may still be on their way to us.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping

from devices import faults
from devices.faults import Fault, State
from devices.judgement import Move
from devices.messages import Event, Value
from devices.rules import Equals, Happened, Rule, Stopped
from ingest.judge.memory import DeviceMemory, Presence, Seen, SignKey
from ingest.judge.plan import PlannedSign, QuantityPlan

ACTIVE = (State.OPEN, State.ACKNOWLEDGED)
LOOK_AGAIN_MS = 30_000


class FaultFinder:
    """Holds the timers of all devices of one stream.

    touch: told of each device whose memory changed. moved: told what becomes of faults.
    """

    def __init__(
        self,
        stream: str,
        touch: Callable[[DeviceMemory], None],
        moved: Callable[[DeviceMemory, Move], None],
    ) -> None:
        self._stream = stream
        self._touch = touch
        self._moved = moved
        self._timers: list[tuple[float, int, DeviceMemory, str]] = []
        self._count = 0
        self._watermark_ms = 0

    # What comes in

    def value(
        self,
        memory: DeviceMemory,
        plan: QuantityPlan,
        value: Value,
        at_ms: int,
        now_ms: int,
        *,
        source: str = "",
    ) -> None:
        """A live value that is not normal, or one of a device that has signs."""
        touched = set()
        for planned in plan.signs:
            if not _concerns(planned, memory):
                continue
            key = (planned.rule.code, planned.index, source)
            seen = memory.signs.get(key)
            if planned.raises is not None and planned.raises(value):
                if _excused(planned, memory):
                    self._over(memory, seen, at_ms, now_ms)
                else:
                    self._present(memory, key, at_ms, now_ms, {_name(planned): value})
                touched.add(planned.rule.code)
            elif planned.clears is not None and planned.clears(value) and seen is not None:
                self._over(memory, seen, at_ms, now_ms)
                touched.add(planned.rule.code)
        for code in touched:
            self.settle(memory, code, now_ms)

    def becomes(
        self, memory: DeviceMemory, quantity: str, value: Value, at_ms: int, now_ms: int
    ) -> None:
        """A live value of a device that has signs: it may end an event's condition."""
        for key, seen in list(memory.signs.items()):
            planned = memory.plan.signs.get(key[:2])
            if planned is None:
                continue
            if seen.present and at_ms >= seen.since_ms:
                for name, clears in planned.becomes:
                    if name == quantity and clears(value):
                        self._over(memory, seen, at_ms, now_ms)
                        self.settle(memory, key[0], now_ms)
            excuse = getattr(planned.sign.detector, "unless", None)
            if excuse is not None and excuse[0] == quantity and value in excuse[1]:
                self._over(memory, seen, at_ms, now_ms)
                self.settle(memory, key[0], now_ms)

    def event(self, memory: DeviceMemory, event: Event, at_ms: int, now_ms: int) -> None:
        """A live event of this device."""
        for planned in self.shown_by(memory, event):
            if _concerns(planned, memory):
                self._pulse(memory, planned, "", at_ms, now_ms, _evidence(event))
        for key, seen in list(memory.signs.items()):
            planned_sign = memory.plan.signs.get(key[:2])
            if planned_sign is None or not seen.present:
                continue
            if any(
                follows.event == event.type and _has(event, follows.where)
                for follows in planned_sign.follows
            ):
                self._over(memory, seen, at_ms, now_ms)
                self.settle(memory, key[0], now_ms)

    def port_event(
        self, memory: DeviceMemory, source: str, event: Event, at_ms: int, now_ms: int
    ) -> None:
        """A charging session of a port of this shed has ended, live."""
        for planned in self.shown_by(memory, event):
            self._pulse(memory, planned, source, at_ms, now_ms, _evidence(event))

    def shown_by(self, memory: DeviceMemory, event: Event) -> list[PlannedSign]:
        """The signs of this device that an event shows; of a shed, the end of a port's session."""
        shown = [
            planned
            for planned in memory.plan.events.get(event.type, ())
            if isinstance(planned.sign.detector, Happened)
            and event.device is memory.device
            and _has(event, planned.sign.detector.where)
        ]
        if event.type == "session_end":
            reason = event.attributes.get("stop_reason")
            shown += [
                planned
                for planned in memory.plan.stops
                if isinstance(planned.sign.detector, Stopped)
                and reason in planned.sign.detector.reasons
                and not _is_read(memory, planned.sign.detector.unread)
            ]
        return shown

    def late(
        self,
        memory: DeviceMemory,
        signs: Iterable[PlannedSign],
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None:
        """A safety sign in replayed or late data: its fault is raised, marked late, and is over.

        It then waits, cleared, for a person (design.md §3). One that stands already is enough.
        """
        for planned in signs:
            rule = planned.rule
            standing = memory.faults.get(rule.code)
            if not planned.safety or not _concerns(planned, memory):
                continue
            if standing is not None and standing.state is not State.CLOSED:
                continue
            fault, event = faults.begin(
                rule,
                stream=self._stream,
                subject=memory.device.id,
                device=memory.device.id,
                compound=memory.device.compound,
                severity=planned.sign.severity,
                safety=True,
                since_ms=at_ms,
                now_ms=now_ms,
                evidence=evidence,
                late=True,
            )
            self._record(memory, fault, None, event)
            over, event = faults.end(fault, now_ms)
            self._record(memory, over, fault.state, event)

    def silent(self, memory: DeviceMemory, since_ms: int, watermark_ms: int) -> None:
        """Nothing was heard of the device for its silence limit, which is the delay itself."""
        planned = memory.plan.silent
        if planned is None or not _concerns(planned, memory):
            return
        evidence: dict[str, Value] = {"last_seen_ms": since_ms}
        if memory.reason is not None:
            evidence["reason"] = memory.reason.value
        key = (planned.rule.code, planned.index, "")
        memory.signs[key] = Seen(True, since_ms, since_ms, since_ms, since_ms, evidence)
        self._touch(memory)
        self.settle(memory, planned.rule.code, watermark_ms)

    def heard(self, memory: DeviceMemory, at_ms: int, now_ms: int) -> None:
        """The device is back."""
        planned = memory.plan.silent
        if planned is None:
            return
        seen = memory.signs.get((planned.rule.code, planned.index, ""))
        if seen is not None and seen.present:
            self._over(memory, seen, at_ms, now_ms)
            self.settle(memory, planned.rule.code, now_ms)

    # Time

    def tick(self, watermark_ms: int) -> None:
        """Everything sent before `watermark_ms` has been judged: what is due, happens."""
        self._watermark_ms = watermark_ms
        while self._timers and self._timers[0][0] <= watermark_ms:
            _, _, memory, code = heapq.heappop(self._timers)
            for key, seen in memory.signs.items():
                planned = memory.plan.signs.get(key[:2])
                if (
                    key[0] == code
                    and planned is not None
                    and self._fell_quiet(memory, planned, seen)
                ):
                    seen.present, seen.since_ms, seen.base_ms = False, watermark_ms, watermark_ms
                    seen.sample_ms, seen.quieted = watermark_ms, True
                    self._touch(memory)
            self.settle(memory, code, watermark_ms)

    def resume(self, memory: DeviceMemory, watermark_ms: int) -> None:
        """Arm the timers of a device that was just loaded."""
        self._watermark_ms = max(self._watermark_ms, watermark_ms)
        for code in {key[0] for key in memory.signs}:
            self._arm(memory, code)

    def person_moved(self, memory: DeviceMemory, fault: Fault, now_ms: int) -> None:
        """A person acknowledged or closed this fault; if it is still bad it is opened again."""
        memory.faults[fault.code] = fault
        if fault.state is not State.CLOSED:
            return
        for key in [key for key in memory.signs if key[0] == fault.code]:
            planned = memory.plan.signs.get(key[:2])
            if planned is None or isinstance(planned.sign.detector, Happened | Stopped):
                del memory.signs[key]  # an event does not last: the person has dealt with it
        self._touch(memory)
        self.settle(memory, fault.code, now_ms)

    # From signs to faults

    def settle(self, memory: DeviceMemory, code: str, now_ms: int) -> None:
        """Raise, worsen or end the fault `code` of this device, as its signs now say."""
        rule = memory.plan.rules.get(code)
        if rule is None:  # the rule is gone from the catalogue
            return
        standing = memory.faults.get(code)
        active = standing is not None and standing.state in ACTIVE
        signs = [(key, seen) for key, seen in memory.signs.items() if key[0] == code]
        present = [(key, seen) for key, seen in signs if seen.present]
        if present:
            self._raise(memory, rule, standing, present, now_ms)
        elif active and standing is not None:
            if signs and not all(self._away(memory, rule, key, seen) for key, seen in signs):
                self._arm(memory, code)
                return
            for key, _ in signs:
                del memory.signs[key]
            over, event = faults.end(standing, now_ms)
            self._record(memory, over, standing.state, event)
        else:
            for key, _ in signs:
                del memory.signs[key]
        self._arm(memory, code)

    def _raise(
        self,
        memory: DeviceMemory,
        rule: Rule,
        standing: Fault | None,
        present: list[tuple[SignKey, Seen]],
        now_ms: int,
    ) -> None:
        held = [
            (planned, seen)
            for key, seen in present
            if (planned := memory.plan.signs[key[:2]]) is not None
            and self._held(memory, planned, seen)
        ]
        if not held:
            return
        severity = min(planned.sign.severity for planned, _ in held)
        safety = any(planned.safety for planned, _ in held)
        worst = min(held, key=lambda pair: pair[0].sign.severity)[1]
        evidence = dict(worst.evidence)
        if standing is not None and standing.state in ACTIVE:
            worse = faults.worsen(standing, severity, safety, now_ms, evidence)
            if worse is not None:
                self._record(memory, worse[0], standing.state, worse[1])
        elif standing is not None and faults.may_reopen(standing, now_ms):
            again, event = faults.reopen(standing, severity, safety, now_ms, evidence)
            self._record(memory, again, standing.state, event)
        else:
            since_ms = min(seen.since_ms for _, seen in held)
            if standing is not None and standing.closed_at_ms is not None:
                # Closed by a person although it held: from then on it is another fault.
                since_ms = max(since_ms, standing.closed_at_ms)
            fault, event = faults.begin(
                rule,
                stream=self._stream,
                subject=memory.device.id,
                device=memory.device.id,
                compound=memory.device.compound,
                severity=severity,
                safety=safety,
                since_ms=since_ms,
                now_ms=now_ms,
                evidence=evidence,
            )
            self._record(memory, fault, None, event)
        for planned, seen in held:
            if planned.quiet is not None and planned.quiet.after_s == 0:  # over once it is told
                self._over(memory, seen, seen.sample_ms, now_ms)
        if not any(seen.present for _, seen in present):
            self.settle(memory, rule.code, now_ms)

    def _held(self, memory: DeviceMemory, planned: PlannedSign, seen: Seen) -> bool:
        delay_ms = planned.delay_ms
        if delay_ms == 0 or planned is memory.plan.silent:
            return True
        if seen.sample_ms - seen.since_ms >= delay_ms:
            return True
        # A state holds while the device is online; a gauge needs that second sample.
        return (
            not planned.gauge
            and memory.state is not Presence.OFFLINE
            and self._watermark_ms - seen.base_ms >= delay_ms
        )

    def _fell_quiet(self, memory: DeviceMemory, planned: PlannedSign, seen: Seen) -> bool:
        quiet = planned.quiet
        if quiet is None or not seen.present or memory.state is not Presence.ONLINE:
            return False
        if quiet.given is not None and memory.word(quiet.given[0]) not in quiet.given[1]:
            return False
        return self._watermark_ms - seen.heard_ms >= quiet.after_s * 1000

    def _away(self, memory: DeviceMemory, rule: Rule, key: SignKey, seen: Seen) -> bool:
        delay_ms = rule.clear_delay_s * 1000
        if delay_ms == 0 or seen.sample_ms - seen.since_ms >= delay_ms:
            return True
        planned = memory.plan.signs[key[:2]]
        return (
            (seen.quieted or not planned.gauge)
            and memory.state is not Presence.OFFLINE
            and self._watermark_ms - seen.base_ms >= delay_ms
        )

    def _present(
        self,
        memory: DeviceMemory,
        key: SignKey,
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None:
        seen = memory.signs.get(key)
        if seen is None or not seen.present:
            memory.signs[key] = Seen(True, at_ms, now_ms, at_ms, now_ms, evidence)
        else:
            seen.sample_ms, seen.heard_ms, seen.evidence = at_ms, now_ms, evidence
        self._touch(memory)

    def _pulse(
        self,
        memory: DeviceMemory,
        planned: PlannedSign,
        source: str,
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None:
        key = (planned.rule.code, planned.index, source)
        self._present(memory, key, at_ms, now_ms, evidence)
        self.settle(memory, planned.rule.code, now_ms)

    def _over(self, memory: DeviceMemory, seen: Seen | None, at_ms: int, now_ms: int) -> None:
        if seen is None:
            return
        self._touch(memory)
        if seen.present:
            seen.present, seen.since_ms, seen.base_ms = False, at_ms, now_ms
            seen.quieted = False
        seen.sample_ms, seen.heard_ms = at_ms, now_ms

    def _arm(self, memory: DeviceMemory, code: str) -> None:
        """Put the next moment at which the passing of time alone can matter on the heap."""
        rule = memory.plan.rules.get(code)
        if rule is None:
            return
        due: list[float] = []
        for key, seen in memory.signs.items():
            planned = memory.plan.signs.get(key[:2])
            if key[0] != code or planned is None:
                continue
            if not seen.present:
                due.append(seen.base_ms + rule.clear_delay_s * 1000)
                continue
            if not planned.gauge:
                due.append(seen.base_ms + planned.delay_ms)
            if planned.quiet is not None:
                fell_ms = seen.heard_ms + planned.quiet.after_s * 1000
                # where it is due but its condition does not hold yet, look again in a while
                due.append(max(fell_ms, self._watermark_ms + LOOK_AGAIN_MS))
        ahead = [at for at in due if at > self._watermark_ms]
        if ahead:
            self._count += 1
            heapq.heappush(self._timers, (min(ahead), self._count, memory, code))

    def _record(
        self, memory: DeviceMemory, fault: Fault, was: State | None, event: faults.FaultEvent
    ) -> None:
        memory.faults[fault.code] = fault
        self._touch(memory)
        self._moved(memory, Move(fault, was, event))


def _name(planned: PlannedSign) -> str:
    return str(getattr(planned.sign.detector, "quantity", planned.rule.code))


def _concerns(planned: PlannedSign, memory: DeviceMemory) -> bool:
    attributes = memory.device.attributes
    return all(attributes.get(name) == value for name, value in planned.sign.only.items())


def _excused(planned: PlannedSign, memory: DeviceMemory) -> bool:
    detector = planned.sign.detector
    if not isinstance(detector, Equals) or detector.unless is None:
        return False
    quantity, values = detector.unless
    return memory.word(quantity) in values


def _is_read(memory: DeviceMemory, quantity: str | None) -> bool:
    """Whether there is a sample of `quantity` from the last three intervals."""
    known = memory.latest.get(quantity) if quantity is not None else None
    if known is None:
        return False
    newest_ms = memory.device_at_ms or 0
    return newest_ms - known[1] <= 3 * memory.device.interval_s * 1000


def _has(event: Event, where: Mapping[str, Value]) -> bool:
    return all(event.attributes.get(name) == value for name, value in where.items())


def _evidence(event: Event) -> dict[str, Value]:
    return {"event": event.type, **event.attributes}
