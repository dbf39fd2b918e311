"""From values, events and silence to faults.

A sign appears, lasts for its delay, and the fault is raised; it goes, stays away for the clear
delay, and the fault is over. Timers run on the watermark, so nothing is decided while messages that
would decide otherwise may still be on their way to us; what we could not hear does not count, and
neither does what a device was offline.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from devices import faults
from devices.catalogue import COMPOUND
from devices.faults import Fault, State
from devices.judgement import Move
from devices.messages import Event, Value
from devices.roots import COMPOUND_POWER_CUT, NOTICE_MS, SUPPRESSES, Cause
from devices.rules import (
    Beyond,
    Counted,
    Equals,
    Fell,
    Happened,
    Missing,
    Refused,
    Returned,
    Rule,
    Severity,
    Share,
    Silent,
    Sparse,
    Stopped,
    Unanswered,
    Unprompted,
    Unusual,
)
from ingest.judge.holds import Holds
from ingest.judge.lasting import ACTIVE, Lasting, is_active, is_passing
from ingest.judge.memory import Aside, DeviceMemory, Presence, Seen, SignKey, Why
from ingest.judge.patterns import Patterns, concerns, counts_refusals, has, meets
from ingest.judge.plan import KindPlan, PlannedSign, QuantityPlan
from ingest.judge.timing import Hearing

RULES_CHANGED, RULE_DISABLED = "rules_changed", "rule_disabled"  # why a fault is over
# What does not last: the person who closed the fault has dealt with it.
_ENDED_BY_A_PERSON = (
    Happened,
    Stopped,
    Refused,
    Missing,
    Unusual,
    Counted,
    Share,
    Unprompted,
    Unanswered,
    Returned,
    Fell,
    Sparse,
)
GIVE_UP_MS = 48 * 3_600_000  # after the last loss: the usage of its day is final by then


class Begun(NamedTuple):
    """As much of a fault that begins as one must know to find what explains it."""

    code: str
    kind: str
    safety: bool
    suspected: bool
    since_ms: int
    raises_ms: tuple[int, ...] = ()
    id: str = ""  # it is no root yet
    state: State = State.OPEN
    occurrences: int = 1


class FaultFinder:
    """Holds the timers of all devices of one stream.

    touch: told of each device whose memory changed. moved: told what becomes of faults. restated:
    told of standing faults of which more is known. holds: marks the steps of which nobody is told.
    cause: the root that explains a fault which begins.
    """

    def __init__(
        self,
        stream: str,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        touch: Callable[[DeviceMemory], None],
        moved: Callable[[DeviceMemory, Move], None],
        restated: Callable[[Fault], None],
        holds: Holds,
        cause: Callable[[DeviceMemory, Begun], Cause | None] = lambda _memory, _fault: None,
    ) -> None:
        self._stream = stream
        self._memories = memories
        self._lasting = Lasting(hearing)
        self._touch = touch
        self._moved = moved
        self._restated = restated
        self._holds = holds
        self._cause = cause
        self._timers: list[tuple[float, str, str]] = []  # due, device, code
        self._armed: dict[tuple[str, str], float] = {}  # the timer that counts; others are stale
        self._patterns = Patterns(memories, hearing, self, touch)

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
        before: tuple[Value, int] | None = None,
        made_of: Mapping[str, Value] | None = None,
    ) -> None:
        """A live value that is not normal, or one of a device that has signs.

        before: what the quantity read until then, and when it said so, of one that is not normal.
        made_of: the values behind a derived one.
        """
        for planned in plan.patterns:
            self._patterns.value(memory, planned, value, before, at_ms, now_ms)
        touched: dict[str, None] = {}  # a set that keeps its order: the same journal, the same rows
        for planned in plan.signs:
            if not concerns(planned, memory):
                continue
            key = (planned.rule.code, planned.index, source)
            seen = memory.signs.get(key)
            if seen is not None and _is_too_soon(planned, seen, at_ms):
                continue
            if planned.given is not None and not _is_given(planned, memory, at_ms):
                if seen is not None:
                    self._not_judged(memory, key, seen, at_ms, now_ms)
                    touched[planned.rule.code] = None
                continue
            if planned.raises is not None and planned.raises(value):
                if planned.given is not None and seen is not None:
                    self._forget_session(memory, key, seen)
                if seen is not None and seen.aside is Aside.ANSWERED:
                    continue  # the same word as before: the board latches it
                evidence = {_name(planned): value, **(made_of or {})}
                if _excused(planned, memory):
                    self._excuse(memory, key, at_ms, now_ms, evidence)
                else:
                    is_back = memory.state in (Presence.OFFLINE, Presence.UNKNOWN)
                    if is_back and memory.reason is not Why.PLATFORM_DOWN:
                        self._begin_anew(memory, key, at_ms, now_ms)
                    self._present(memory, key, at_ms, now_ms, evidence)
            elif seen is None:
                continue
            elif (
                planned.clears is not None
                and planned.clears(value)
                and not (_is_latched(planned) and is_active(memory, planned.rule.code))
            ):
                self._over(memory, seen, at_ms, now_ms)
            else:  # between the levels: the last verdict stands, but the quantity is sent
                seen.heard_ms = max(seen.heard_ms, now_ms)
                if seen.aside is not Aside.NO:
                    seen.aside = Aside.NO
                self._touch(memory)
            touched[planned.rule.code] = None
        for code in touched:
            self.settle(memory, code, now_ms)

    def concerned(self, memory: DeviceMemory, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """Those of some values that mean anything to the signs of this device.

        Of values none of which shows anything by itself, to the others `value`, `valid` and
        `becomes` have nothing to say.
        """
        names: set[str] = set()
        for code, index, source in memory.signs:
            planned = memory.plan.signs.get((code, index))
            if planned is None:
                return values
            names.add(source or planned.quantity)
            names |= planned.others
        return {name: value for name, value in values.items() if name in names}

    def becomes(
        self, memory: DeviceMemory, quantity: str, value: Value, at_ms: int, now_ms: int
    ) -> None:
        """A live value of a device that has signs: what it means for signs of other quantities."""
        for key, seen in list(memory.signs.items()):
            planned = memory.plan.signs.get(key[:2])
            if planned is None:
                continue
            if seen.present:
                if any(name == quantity and value in after for name, _, after in planned.becomes):
                    seen.turned = True
                    self._touch(memory)
                # A gauge that still reads bad in the same message is not over.
                if any(
                    name == quantity and (not after or seen.turned) and clears(value)
                    for name, clears, after in planned.becomes
                ) and (at_ms > seen.sample_ms if planned.gauge else at_ms >= seen.since_ms):
                    latches = isinstance(planned.sign.detector, Equals)
                    aside = Aside.ANSWERED if latches else Aside.NO
                    self._over(memory, seen, at_ms, now_ms, aside)
                    self.settle(memory, key[0], now_ms)
                wanted = planned.given
                if wanted is not None and wanted[0] == quantity and value not in wanted[1]:
                    self._not_judged(memory, key, seen, at_ms, now_ms)
                    self.settle(memory, key[0], now_ms)
                given = planned.quiet.given if planned.quiet is not None else None
                if given is not None and given[0] == quantity and value not in given[1]:
                    seen.heard_ms = max(seen.heard_ms, now_ms)  # its quiet counts from here
                    self._touch(memory)
            excuse = getattr(planned.sign.detector, "unless", None)
            if excuse is None or excuse[0] != quantity:
                continue
            if value in excuse[1]:
                if seen.present:
                    self._over(memory, seen, at_ms, now_ms, Aside.EXCUSED)
                    self.settle(memory, key[0], now_ms)
            elif seen.aside is Aside.EXCUSED:
                self._present(memory, key, at_ms, now_ms, seen.evidence)
                self.settle(memory, key[0], now_ms)

    def refused(
        self, memory: DeviceMemory, quantity: str, detail: str, at_ms: int, now_ms: int
    ) -> None:
        """A live value that was refused: of a safety quantity a sign, of any other one of many."""
        planned = memory.plan.refused
        declared = memory.plan.kind.quantity(quantity)
        if declared is None:
            return
        if not declared.safety:
            self._patterns.refused(memory, quantity, detail, at_ms, now_ms)
            return
        if planned is None:
            return
        evidence: dict[str, Value] = {"quantity": quantity, "detail": detail}
        self._pulse(memory, planned, quantity, at_ms, now_ms, evidence)

    def valid(
        self, memory: DeviceMemory, quantities: Iterable[str], at_ms: int, now_ms: int
    ) -> None:
        """Live values of a device that has signs: what was refused before is valid again."""
        refusals = [planned for planned in memory.plan.refusals if counts_refusals(planned)]
        if memory.plan.refused is not None:
            refusals.append(memory.plan.refused)
        for planned in refusals:
            code = planned.rule.code
            over = [memory.signs.get((code, planned.index, quantity)) for quantity in quantities]
            for seen in over:
                if seen is not None:
                    self._over(memory, seen, at_ms, now_ms)
            if any(over):
                self.settle(memory, code, now_ms)

    def overtaken_value(
        self, memory: DeviceMemory, plan: QuantityPlan, value: Value, at_ms: int, now_ms: int
    ) -> None:
        """A value that comes behind newer ones, of a quantity that a pattern waits for."""
        for planned in plan.patterns:
            if concerns(planned, memory):
                self._patterns.overtaken_value(memory, planned, value, at_ms, now_ms)

    def overtaken_event(self, memory: DeviceMemory, event: Event, at_ms: int, now_ms: int) -> None:
        """An event, new for sure, that comes behind newer ones."""
        self._patterns.overtaken_event(memory, event, at_ms, now_ms)

    def changes(
        self, memory: DeviceMemory, values: Mapping[str, Value], at_ms: int, now_ms: int
    ) -> None:
        """Live values that are not yet the latest, of a device whose changes are counted."""
        self._patterns.changes(memory, values, at_ms, now_ms)

    def fell(self, shed: DeviceMemory, port: str, order: str, at_ms: int) -> None:
        """The register of a port fell, as far as we know within this order."""
        self._patterns.fell(shed, port, order, at_ms)

    def event(
        self,
        memory: DeviceMemory,
        event: Event,
        at_ms: int,
        now_ms: int,
        *,
        adds_up: bool = True,
    ) -> None:
        """A live event of this device. adds_up: it is surely new, so that it may be counted."""
        self._imply(memory, event, at_ms, now_ms)
        for planned in self.shown_by(memory, event):
            if concerns(planned, memory):
                self._pulse(memory, planned, "", at_ms, now_ms, _evidence(event))
        if adds_up:
            self._patterns.event(memory, "", event, at_ms, now_ms)
        for key, seen in list(memory.signs.items()):
            planned_sign = memory.plan.signs.get(key[:2])
            if planned_sign is None or not seen.present:
                continue
            for follows in planned_sign.follows:
                if not meets(event, follows):
                    continue
                seen.steps += 1
                self._touch(memory)
                if seen.steps >= follows.times:
                    self._over(memory, seen, at_ms, now_ms)
                    self.settle(memory, key[0], now_ms)
                    break

    def port_event(
        self, memory: DeviceMemory, source: str, event: Event, at_ms: int, now_ms: int
    ) -> None:
        """A charging session of a port of this shed has ended, live."""
        for planned in self.shown_by(memory, event):
            self._pulse(memory, planned, source, at_ms, now_ms, _evidence(event))
        self._patterns.event(memory, source, event, at_ms, now_ms)

    def appears(
        self,
        memory: DeviceMemory,
        key: SignKey,
        since_ms: int,
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None:
        """A pattern is there, or still there; it began at `since_ms`."""
        self._present(memory, key, at_ms, now_ms, evidence)
        seen = memory.signs[key]
        seen.since_ms = min(seen.since_ms, since_ms)
        self.settle(memory, key[0], now_ms)

    def goes(self, memory: DeviceMemory, key: SignKey, at_ms: int, now_ms: int) -> None:
        """A pattern is not there any more."""
        seen = memory.signs.get(key)
        if seen is not None:
            self._over(memory, seen, at_ms, now_ms)
            self.settle(memory, key[0], now_ms)

    def takes_back(self, memory: DeviceMemory, key: SignKey, at_ms: int, now_ms: int) -> None:
        """A pattern turns out not to have been there; a fault that it raised is over."""
        if is_active(memory, key[0]):
            self.goes(memory, key, at_ms, now_ms)
        elif memory.signs.pop(key, None) is not None:
            self._touch(memory)

    def shown_by(self, memory: DeviceMemory, event: Event) -> list[PlannedSign]:
        """The signs of this device that an event shows; of a shed, the end of a port's session."""
        shown = [
            planned
            for planned in memory.plan.events.get(event.type, ())
            if isinstance(planned.sign.detector, Happened)
            and event.device is memory.device
            and has(event, planned.sign.detector.where)
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

        It then waits, cleared, for a person (design.md §3). One that stands already is enough, and
        so is one that was just closed and had told of that time.
        """
        for planned in signs:
            rule = planned.rule
            standing = memory.faults.get(rule.code)
            if not planned.safety or not concerns(planned, memory):
                continue
            if planned.given is not None:
                continue  # one value of the past does not show that the rest held too
            if standing is not None and (
                standing.state is not State.CLOSED or _told_of(standing, at_ms, now_ms)
            ):
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
                kind=memory.device.kind,
            )
            self._record(memory, fault, None, event)
            over, event = faults.end(fault, now_ms)
            self._record(memory, over, fault.state, event)

    def missed(self, memory: DeviceMemory, at_ms: int, now_ms: int) -> None:
        """A number of the device's counter was found missing, or one that was has come."""
        planned = memory.plan.missing
        if planned is None:
            return
        key = (planned.rule.code, planned.index, "")
        seen = memory.signs.get(key)
        lost = memory.window.lost()
        if lost is None:
            if seen is None:
                return
            if seen.present:
                self._over(memory, seen, at_ms, now_ms)
        elif seen is None or not seen.present:
            evidence = lost.evidence(at_ms)
            memory.signs[key] = Seen(True, at_ms, now_ms, at_ms, now_ms, evidence)
        else:
            before, seen.evidence = seen.evidence, lost.evidence(seen.since_ms)
            is_newer = seen.evidence.get("boot") != before.get("boot") or (
                lost.last > int(before["to_seq"])
            )
            if is_newer:  # and it is from the last loss that we wait
                seen.heard_ms = now_ms
        self._touch(memory)
        self.settle(memory, planned.rule.code, now_ms)

    def unusual(
        self,
        memory: DeviceMemory,
        code: str,
        since_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
        source: str = "",
    ) -> None:
        """What the device does is unusual, and has been for as long as the rule says."""
        planned = memory.plan.unusual.get(code)
        if planned is not None:
            self._present(memory, (code, planned.index, source), since_ms, now_ms, evidence)
            self.settle(memory, code, now_ms)

    def usual(
        self, memory: DeviceMemory, code: str, at_ms: int, now_ms: int, source: str = ""
    ) -> None:
        """What the device does is as usual again."""
        planned = memory.plan.unusual.get(code)
        seen = memory.signs.get((code, planned.index, source)) if planned is not None else None
        if seen is not None and seen.present:
            self._over(memory, seen, at_ms, now_ms)
            self.settle(memory, code, now_ms)

    # Who is there

    def silent(
        self,
        memory: DeviceMemory,
        since_ms: int,
        watermark_ms: int,
        evidence: dict[str, Value],
        root: Cause | None,
    ) -> None:
        """Nothing was heard of the device for its silence limit, which is the delay itself.

        root: what stands behind it.
        """
        planned = memory.plan.silent
        if planned is None or not concerns(planned, memory):
            return
        rule = planned.rule
        seen = Seen(True, since_ms, since_ms, since_ms, since_ms, evidence)
        memory.signs[rule.code, planned.index, ""] = seen
        self._touch(memory)
        is_plain = (
            rule.code not in memory.faults
            and memory.plan.rules.get(rule.code) is rule
            and len(rule.signs) == 1
            and rule.repeated is None
            and planned.quiet is None
            and not planned.safety
            and self._lasting.due_ms(memory, since_ms, planned.delay_ms) <= watermark_ms
        )
        if is_plain:  # nothing else to settle: a whole district may fall silent with one tick
            severity = _severity(planned, seen)
            self._begin(memory, rule, severity, False, since_ms, watermark_ms, dict(evidence), root)
        else:
            self.settle(memory, rule.code, watermark_ms)

    def never_seen(self, memory: DeviceMemory, since_ms: int, watermark_ms: int) -> None:
        """Nothing at all has come of the device, for as long as the rule says."""
        planned = memory.plan.never
        if planned is not None:
            evidence: dict[str, Value] = {"registered_ms": since_ms}
            key = (planned.rule.code, planned.index, "")
            memory.signs[key] = Seen(True, since_ms, since_ms, since_ms, since_ms, evidence)
            self._touch(memory)
            self.settle(memory, planned.rule.code, watermark_ms)

    def together(
        self, memory: DeviceMemory, since_ms: int, watermark_ms: int, evidence: dict[str, Value]
    ) -> None:
        """What a gateway or a compound stands for has fallen silent together."""
        planned = memory.plan.together
        if planned is not None:
            key = (planned.rule.code, planned.index, "")
            memory.signs[key] = Seen(True, since_ms, since_ms, watermark_ms, watermark_ms, evidence)
            self._touch(memory)
            self.settle(memory, planned.rule.code, watermark_ms)

    def known_again(self, memory: DeviceMemory, now_ms: int) -> None:
        """We can hear the device again: what came due while nothing was known of it."""
        for code in _codes(memory):
            self.settle(memory, code, now_ms)

    def heard(self, memory: DeviceMemory, at_ms: int, now_ms: int) -> None:
        """The device is back. Timers begin anew: what it was away does not count for anything."""
        silences = [
            (planned.rule.code, planned.index)
            for planned in (memory.plan.silent, memory.plan.never)
            if planned is not None
        ]
        for key, seen in list(memory.signs.items()):
            if key[:2] in silences:
                if seen.present:
                    self._over(memory, seen, at_ms, now_ms)
            else:
                if seen.heard_ms < now_ms:
                    self._begin_anew(memory, key, at_ms, now_ms)
                seen.base_ms = max(seen.base_ms, now_ms)
                if memory.plan.signs[key[:2]] is not memory.plan.missing:
                    seen.heard_ms = max(seen.heard_ms, now_ms)
                self._touch(memory)
        for code in _codes(memory):
            self.settle(memory, code, now_ms)

    def retire(self, memory: DeviceMemory, why: str, now_ms: int) -> None:
        """The device is no longer in service, or no longer here: its faults are over."""
        if memory.signs or memory.tallies:
            memory.signs.clear()
            memory.tallies.clear()
            self._touch(memory)
        for fault in list(memory.faults.values()):
            if fault.state in ACTIVE:
                over, event = faults.retire(fault, now_ms, why)
                self._record(memory, over, fault.state, event)

    def retire_kinds(self, memory: DeviceMemory, now_ms: int) -> None:
        """Faults that the device had as another kind are over; nobody looks for them any more."""
        for fault in list(memory.faults.values()):
            if fault.kind != memory.device.kind and fault.state in ACTIVE:
                over, event = faults.retire(fault, now_ms, "kind_changed")
                self._record(memory, over, fault.state, event)

    def hold_ended(self, memory: DeviceMemory, code: str, watermark_ms: int) -> None:
        """What held the notices of this fault may be over by now."""
        standing = memory.faults.get(code)
        if standing is None:
            return
        for fault, event in self._holds.ended(standing, watermark_ms):
            if event is None:
                self._restate(memory, fault)
                self._holds.watch(fault)
            else:
                self._record(memory, fault, fault.state, event)

    def replan(self, memory: DeviceMemory, plan: KindPlan, now_ms: int) -> None:
        """Other figures hold for this device from here on: what stands is settled by them.

        A fault is over whose rule was switched off, or whose last values its new levels would not
        have raised. One that stands keeps the severity that it has, or gets a worse one.
        """
        memory.plan = plan
        if not memory.signs and not memory.faults:
            return
        for key, seen in list(memory.signs.items()):
            planned = plan.signs.get(key[:2])
            if planned is None or (seen.present and not _still_shows(memory, planned, key, seen)):
                del memory.signs[key]
                self._touch(memory)
                self._withdraw(memory, key[0], RULES_CHANGED, now_ms)
        for code in sorted(memory.faults.keys() - plan.rules.keys()):
            self._withdraw(memory, code, RULE_DISABLED, now_ms)
        for code in _codes(memory):
            self.settle(memory, code, now_ms)

    def _withdraw(self, memory: DeviceMemory, code: str, why: str, now_ms: int) -> None:
        """A standing fault whose rule, or whose last sign, is gone is over, for this reason."""
        fault = memory.faults[code] if is_active(memory, code) else None
        is_off = code not in memory.plan.rules
        if fault is not None and (is_off or not any(key[0] == code for key in memory.signs)):
            why = RULE_DISABLED if is_off else why
            over, event = faults.end(fault, now_ms, {"reason": why})
            self._record(memory, replace(over, resolution=why), fault.state, event)

    # Time

    def tick(self, watermark_ms: int) -> None:
        """Everything sent before `watermark_ms` has been judged: what is due, happens."""
        self._lasting.watermark_ms = watermark_ms
        while self._timers and self._timers[0][0] <= watermark_ms:
            due, device, code = heapq.heappop(self._timers)
            if self._armed.get((device, code)) != due:
                continue
            del self._armed[device, code]
            memory = self._memories.get(device)
            if memory is None:
                continue
            for key, seen in memory.signs.items():
                planned = memory.plan.signs.get(key[:2])
                if (
                    key[0] == code
                    and planned is not None
                    and (
                        self._lasting.fell_quiet(memory, planned, seen)
                        or self._is_given_up(memory, planned, seen)
                    )
                ):
                    seen.present, seen.since_ms, seen.base_ms = False, watermark_ms, watermark_ms
                    seen.sample_ms, seen.quieted = watermark_ms, True
                    self._touch(memory)
            self.settle(memory, code, watermark_ms)

    def resume(self, memory: DeviceMemory, watermark_ms: int) -> None:
        """Arm the timers of a device that was just loaded."""
        self._lasting.watermark_ms = max(self._lasting.watermark_ms, watermark_ms)
        for code in _codes(memory):
            self._arm(memory, code)
        for fault in memory.faults.values():
            self._holds.watch(fault)

    def person_moved(self, memory: DeviceMemory, fault: Fault, now_ms: int) -> None:
        """A person acted on this fault; one that was closed and is still bad is opened again."""
        known = memory.faults.get(fault.code)
        if fault.state is State.CLOSED and (known is None or known.id != fault.id):
            return  # an old one: somebody commented on it
        memory.faults[fault.code] = fault
        self._holds.watch(fault)
        if fault.state is State.ACKNOWLEDGED and fault.safety:
            self.settle(memory, fault.code, now_ms)  # it may be over, and have waited for this
        if fault.state is not State.CLOSED:
            return
        is_refuted = fault.suspected and fault.resolution == faults.FALSE_ALARM
        for key, seen in list(memory.signs.items()):
            planned = memory.plan.signs.get(key[:2])
            if key[0] != fault.code or seen.base_ms > (fault.closed_at_ms or now_ms):
                continue
            detector = planned.sign.detector if planned is not None else None
            if is_refuted or detector is None or isinstance(detector, _ENDED_BY_A_PERSON):
                # an event does not last: the person has dealt with it; and what was suspected and
                # is not so must be suspected anew
                del memory.signs[key]
                memory.tallies.pop(key, None)
            if isinstance(detector, Missing):
                memory.window.give_up()
        self._touch(memory)
        self.settle(memory, fault.code, now_ms)

    # From signs to faults

    def settle(self, memory: DeviceMemory, code: str, now_ms: int) -> None:
        """Raise, worsen or end the fault `code` of this device, as its signs now say."""
        rule = memory.plan.rules.get(code)
        if rule is None:  # switched off, or gone from the catalogue
            for key in [key for key, seen in memory.signs.items() if key[0] == code]:
                if not memory.signs[key].present:
                    del memory.signs[key]
                    self._touch(memory)
            return
        standing = memory.faults.get(code)
        signs = [(key, seen) for key, seen in memory.signs.items() if key[0] == code]
        present = [(key, seen) for key, seen in signs if seen.present]
        if present:
            self._raise(memory, rule, standing, present, now_ms)
            self._tell_whether_stale(memory, code)
        else:
            is_standing = standing is not None and standing.state in ACTIVE
            if is_standing and not all(
                self._lasting.away(memory, rule, key, seen) for key, seen in signs
            ):
                self._arm(memory, code)
                return
            if is_standing and standing is not None and _waits_for_a_person(standing):
                return
            for key, seen in signs:
                if seen.aside is Aside.NO:
                    del memory.signs[key]
                    self._count_anew(memory, key)
                    self._touch(memory)
            if is_standing and standing is not None:
                over, event = faults.end(standing, now_ms)
                self._record(memory, over, standing.state, event)
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
            and self._lasting.held(memory, planned, seen)
        ]
        if not held:
            return
        severity = min(_severity(planned, seen) for planned, seen in held)
        safety = any(planned.safety for planned, _ in held)
        worst = min(held, key=lambda pair: pair[0].sign.severity)[1]
        evidence = dict(worst.evidence)
        since_ms = min(seen.since_ms for _, seen in held)
        if rule.repeated is not None and not is_active(memory, rule.code):
            at_ms = max(seen.sample_ms for _, seen in held)
            often = rule.repeated
            if self._patterns.raised(memory, rule.code, often.times, often.within_s, at_ms):
                severity = min(severity, often.severity)
                evidence["count"] = often.times
        if standing is not None and standing.state in ACTIVE:
            worse = faults.worsen(standing, severity, safety, now_ms, evidence)
            if worse is not None:
                self._record(memory, worse[0], standing.state, worse[1])
            elif faults.is_flapping(standing) and (
                min(seen.base_ms for _, seen in held) > standing.raises_ms[-1]
            ):
                self._restate(memory, faults.came_back(standing, now_ms, evidence))
        elif standing is not None and (
            faults.may_reopen(standing, now_ms) or _never_ended(standing, since_ms, held)
        ):
            here = replace(standing, compound=memory.device.compound)  # it may have been moved
            delay_ms = notice_delay_ms(memory, rule.code)
            again, event = faults.reopen(here, severity, safety, now_ms, evidence, delay_ms)
            self._record(memory, again, standing.state, event)
        else:
            begun = Begun(
                rule.code, memory.device.kind, safety, rule.suspected, since_ms, (now_ms,)
            )
            root = None if safety else self._cause(memory, begun)
            self._begin(memory, rule, severity, safety, since_ms, now_ms, evidence, root)
        for planned, seen in held:
            if planned.quiet is not None and planned.quiet.after_s == 0:  # over once it is told
                self._over(memory, seen, seen.sample_ms, now_ms)
        if not any(seen.present for _, seen in present):
            self.settle(memory, rule.code, now_ms)

    def _begin(
        self,
        memory: DeviceMemory,
        rule: Rule,
        severity: Severity,
        safety: bool,
        since_ms: int,
        now_ms: int,
        evidence: Mapping[str, Value],
        root: Cause | None,
    ) -> None:
        device = memory.device
        fault, event = faults.begin(
            rule,
            stream=self._stream,
            subject=device.id,
            device=None if device.kind == COMPOUND else device.id,
            compound=device.compound,
            severity=severity,
            safety=safety,
            since_ms=since_ms,
            now_ms=now_ms,
            evidence=evidence,
            kind=device.kind,
            explained_by=None if root is None else (root.id, root.code),
        )
        self._record(memory, fault, None, event)

    def _begin_anew(self, memory: DeviceMemory, key: SignKey, at_ms: int, now_ms: int) -> None:
        """The device was away: what a passing state lasted until then is no evidence."""
        seen, planned = memory.signs.get(key), memory.plan.signs[key[:2]]
        if seen is None or not seen.present or not is_passing(planned):
            return
        if not is_active(memory, key[0]):
            seen.since_ms = seen.sample_ms = at_ms
            seen.base_ms = now_ms

    def _is_given_up(self, memory: DeviceMemory, planned: PlannedSign, seen: Seen) -> bool:
        """Whether nobody waits any more for the numbers that are missing; notes which those are."""
        if planned is not memory.plan.missing or not seen.present:
            return False
        if self._lasting.watermark_ms - seen.heard_ms >= GIVE_UP_MS:
            memory.window.give_up()
        lost = memory.window.lost()
        if lost is not None:
            evidence = lost.evidence(seen.since_ms)
            if evidence != seen.evidence:
                seen.evidence = evidence
                self._touch(memory)
        return lost is None

    def _imply(self, memory: DeviceMemory, event: Event, at_ms: int, now_ms: int) -> None:
        """What the event says of a state, as if the device had sent it as a value."""
        for implied in memory.plan.implied.get(event.type, ()):
            if not has(event, implied.where):
                continue
            value = implied.value
            if value is None:
                value = event.attributes.get(implied.quantity)
            known = memory.told(implied.quantity)
            if value is None or (known is not None and known[1] > at_ms):
                continue
            memory.latest[implied.quantity] = (value, at_ms)
            self.becomes(memory, implied.quantity, value, at_ms, now_ms)

    def _count_anew(self, memory: DeviceMemory, key: SignKey) -> None:
        """What was counted for a sign that is over does not count for the next one."""
        planned = memory.plan.signs.get(key[:2])
        if planned is not None and isinstance(planned.sign.detector, Counted):
            memory.tallies.pop(key, None)

    def _excuse(
        self,
        memory: DeviceMemory,
        key: SignKey,
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None:
        """Remember a value that would be a sign, were the device not meant to be so."""
        seen = memory.signs.get(key)
        if seen is None:
            memory.signs[key] = Seen(
                False, at_ms, now_ms, at_ms, now_ms, evidence, aside=Aside.EXCUSED
            )
            self._touch(memory)
        else:
            self._over(memory, seen, at_ms, now_ms, Aside.EXCUSED)

    def _not_judged(
        self, memory: DeviceMemory, key: SignKey, seen: Seen, at_ms: int, now_ms: int
    ) -> None:
        """Its gauge says nothing now. A fault stands; what would raise or end it begins anew."""
        self._touch(memory)
        if not seen.present:
            seen.since_ms = seen.sample_ms = at_ms
            seen.base_ms = seen.heard_ms = now_ms
        elif not is_active(memory, key[0]):
            del memory.signs[key]

    def _forget_session(self, memory: DeviceMemory, key: SignKey, seen: Seen) -> None:
        """Drop what was seen of a session that has since begun or ended, unless it is a fault."""
        began_ms = (memory.session.started_at_ms or 0) if memory.session is not None else 0
        ended_ms = memory.ended.ended_ms if memory.ended is not None else 0
        is_of_session = seen.present and seen.since_ms <= max(began_ms, ended_ms)
        if is_of_session and not is_active(memory, key[0]):
            del memory.signs[key]
            self._touch(memory)

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
            seen.steps = 0
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
        code = planned.rule.code
        standing = memory.faults.get(code)
        is_answered = standing is not None and standing.state is State.ACKNOWLEDGED
        if is_answered and standing is not None and _only_a_person_ends(planned):
            # Somebody has seen to the one before; nobody knows of this one.
            severity, safety = planned.sign.severity, planned.safety
            again, step = faults.reopen(standing, severity, safety, now_ms, evidence)
            self._record(memory, again, standing.state, step)
        self._present(memory, (code, planned.index, source), at_ms, now_ms, evidence)
        self.settle(memory, code, now_ms)

    def _over(
        self,
        memory: DeviceMemory,
        seen: Seen,
        at_ms: int,
        now_ms: int,
        aside: Aside = Aside.NO,
    ) -> None:
        self._touch(memory)
        if seen.present:
            seen.present, seen.since_ms, seen.base_ms = False, at_ms, now_ms
            seen.quieted = False
        seen.sample_ms, seen.heard_ms, seen.aside = at_ms, now_ms, aside

    def _arm(self, memory: DeviceMemory, code: str) -> None:
        """Put the next moment at which the passing of time alone can matter on the heap."""
        next_ms = self._lasting.next_due_ms(memory, code)
        if next_ms is None:
            return
        armed_ms = self._armed.get((memory.device.id, code))
        if armed_ms is None or next_ms < armed_ms:  # one that comes earlier arms the next itself
            self._armed[memory.device.id, code] = next_ms
            heapq.heappush(self._timers, (next_ms, memory.device.id, code))

    def _record(
        self, memory: DeviceMemory, fault: Fault, was: State | None, event: faults.FaultEvent
    ) -> None:
        fault, event = self._holds.step((fault, event))
        memory.faults[fault.code] = fault
        self._touch(memory)
        self._moved(memory, Move(fault, was, event))

    def _tell_whether_stale(self, memory: DeviceMemory, code: str) -> None:
        """Show of a standing fault that nothing has been read for long, or that it has been again.

        It is held all the same: silence clears nothing.
        """
        fault = memory.faults.get(code)
        if fault is None or fault.state not in ACTIVE:
            return
        is_stale = all(
            self._lasting.is_stale(memory, memory.plan.signs[key[:2]], seen)
            for key, seen in memory.signs.items()
            if key[0] == code and seen.present
        )
        if is_stale != bool(fault.evidence.get("stale")):
            evidence = {name: told for name, told in fault.evidence.items() if name != "stale"}
            if is_stale:
                evidence["stale"] = True
            self._restate(memory, replace(fault, evidence=evidence))

    def _restate(self, memory: DeviceMemory, fault: Fault) -> None:
        memory.faults[fault.code] = fault
        self._restated(fault)


def notice_delay_ms(memory: DeviceMemory, code: str) -> int:
    """For how long this fault must stand before people are told of it."""
    planned = memory.plan.silent
    if planned is not None and planned.rule.code == code:
        assert isinstance(planned.sign.detector, Silent)  # only these are filed as `silent`
        return round(planned.sign.detector.notice_delay_s * 1000)
    return NOTICE_MS if code in SUPPRESSES[COMPOUND_POWER_CUT] else 0


def _codes(memory: DeviceMemory) -> list[str]:
    """The faults that have signs, each once, in their order."""
    return list(dict.fromkeys(key[0] for key in memory.signs))


def _waits_for_a_person(standing: Fault) -> bool:
    """Whether it is a safety fault that comes and goes, and nobody has answered."""
    return standing.safety and standing.state is State.OPEN and faults.is_flapping(standing)


def _never_ended(standing: Fault, since_ms: int, held: list[tuple[PlannedSign, Seen]]) -> bool:
    """Whether a fault was closed while its condition stood, so that it is still the same one."""
    closed_ms = standing.closed_at_ms or 0
    return since_ms == standing.since_ms or any(seen.base_ms <= closed_ms for _, seen in held)


def _told_of(closed: Fault, at_ms: int, now_ms: int) -> bool:
    """Whether a fault that was just closed has already told of what was at `at_ms`."""
    ended_ms = closed.cleared_at_ms or closed.closed_at_ms or 0
    return faults.may_reopen(closed, now_ms) and closed.since_ms <= at_ms <= ended_ms


def _only_a_person_ends(planned: PlannedSign) -> bool:
    """Whether it is an event of which no device ever says that it is over, like duress."""
    return isinstance(planned.sign.detector, Happened | Stopped) and not planned.sign.detector.over


def _severity(planned: PlannedSign, seen: Seen) -> Severity:
    """How bad a sign is with what its evidence says."""
    worse = (of for name, of in planned.sign.worse.items() if seen.evidence.get(name))
    return min((planned.sign.severity, *worse))


def _name(planned: PlannedSign) -> str:
    return str(getattr(planned.sign.detector, "quantity", planned.rule.code))


def _is_too_soon(planned: PlannedSign, seen: Seen, at_ms: int) -> bool:
    """Whether a sample comes before the next one that is to be judged."""
    detector = planned.sign.detector
    every_s = detector.every_s if isinstance(detector, Beyond) else 0.0
    return every_s > 0 and at_ms - seen.sample_ms < every_s * 1000


def _is_latched(planned: PlannedSign) -> bool:
    detector = planned.sign.detector
    return isinstance(detector, Beyond) and detector.latched


def _is_given(planned: PlannedSign, memory: DeviceMemory, at_ms: int) -> bool:
    """Whether a gauge's condition holds for a sample of that time, taken after the last stop."""
    if planned.given is None:
        return True
    quantity, values = planned.given
    told = memory.told(quantity)
    ended_ms = memory.ended.ended_ms if memory.ended is not None else 0
    return told is not None and told[0] in values and at_ms >= told[1] and at_ms > ended_ms


def _still_shows(memory: DeviceMemory, planned: PlannedSign, key: SignKey, seen: Seen) -> bool:
    """Whether a gauge's last value would be raised by the level that its sign has now."""
    if not planned.gauge or planned.raises is None:
        return True
    name = _name(planned)
    value = memory.word(key[2] or name)
    if value is None:
        value = seen.evidence.get(name)
    return value is None or planned.raises(value)


def _excused(planned: PlannedSign, memory: DeviceMemory) -> bool:
    detector = planned.sign.detector
    if not isinstance(detector, Equals) or detector.unless is None:
        return False
    quantity, values = detector.unless
    return memory.word(quantity) in values


def _is_read(memory: DeviceMemory, quantity: str | None) -> bool:
    """Whether there is a sample of `quantity` from the last three intervals."""
    known = memory.told(quantity) if quantity is not None else None
    if known is None:
        return False
    newest_ms = memory.device_at_ms or 0
    return newest_ms - known[1] <= 3 * memory.device.interval_s * 1000


def _evidence(event: Event) -> dict[str, Value]:
    return {"event": event.type, **event.attributes}
