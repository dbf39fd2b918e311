"""Root causes: one power cut is one fault, and what it takes along is recorded under it.

With every tick, each compound in which something is silent is looked at:

1. those eligible that fell silent together, as one cause explains it (`devices.roots.together`)
2. with evidence that the power is gone they are a power cut: if they are 70 % of at least five and
   of two kinds, or if the gateway is one of them; in a compound without a gateway and with fewer
   than five, if they are all, at least three and of two kinds (the figures are those of the sign)
3. without evidence, and behind one gateway, they are that gateway's fault
4. whatever else stands or is raised in the place of a root, and began with it, is its child: it
   keeps its own record, and nobody is told
5. when the root is over, each child that still stands is a fault of its own one silence limit (or
   its own delay) later, unless another root explains it by then

A power-on at a board's return tells afterwards what its silence was. Roots that are a fault of one
device (a gateway, a shed, a circuit) are found by that device's own rules, and only step 4 and 5
are done here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from devices import faults
from devices.catalogue import COMPOUND
from devices.faults import REOPENS_WITHIN_MS, Fault, State, Why
from devices.judgement import Effects, Move, Saved
from devices.liveness import silence_limit_s, silence_together_s
from devices.messages import Value
from devices.registry import Registry
from devices.roots import (
    COMPOUND_POWER_CUT,
    GW_OFFLINE,
    LEAST,
    LEAST_WITHOUT_GATEWAY,
    NOTICE_MS,
    SHARE,
    SHED_POWER_CUT,
    SUPPRESSES,
    TOGETHER_MS,
    may_explain,
    together,
)
from devices.rules import Rule, Together, Unusual
from devices.usage import hour_of
from ingest.judge import memory as known
from ingest.judge.holds import Holds
from ingest.judge.lasting import ACTIVE
from ingest.judge.memory import DeviceMemory, Presence, Seen, SignKey
from ingest.judge.plan import PlannedSign, Plans
from ingest.judge.signs import Begun, FaultFinder, notice_delay_ms
from ingest.judge.timing import Hearing
from ingest.judge.yards import (
    ENDED_KEPT,
    EVIDENCE_KEPT_MS,
    Evidence,
    Root,
    Yard,
    a_yard,
    pack_yard,
    root_of,
    settle_in,
    take_stock,
    unpack_yard,
)

OVERDUE_MS = 120_000  # for so long at most people are told later because a gateway is overdue
LATE_MS = 60_000  # a word of so long ago is old, or its device's clock slow
MARGIN_MS = 15_000  # probes come every 5 s, and one may be late
DARK_V = 50.0  # a lighting circuit below this is dead
IN_RANGE_V = (198.0, 242.0)
VOLTAGE_MS = 10 * 60_000  # older samples say nothing of the supply now
VOLTAGE_ASKED_MS = 30 * 60_000  # a bad one for so long is a fault of its own, or of its sensor
MAINS_WORD, ALARM, STOPPED, POWER_ON = "mains_ok", "power_cut_alarm", "stop_reason", "power_on"


class RootFinder:
    """Keeps the compounds of one stream.

    finder: finds the faults of devices. touch: told of each device whose memory changed. moved,
    restated: told what becomes of faults. commanded: whether lamps of a device are to be on.
    """

    def __init__(
        self,
        stream: str,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        finder: FaultFinder,
        holds: Holds,
        touch: Callable[[DeviceMemory], None],
        moved: Callable[[DeviceMemory, Move], None],
        restated: Callable[[Fault], None],
        commanded: Callable[[DeviceMemory, int], bool],
    ) -> None:
        self._stream = stream
        self._memories = memories
        self._hearing = hearing
        self._finder = finder
        self._holds = holds
        self._touch = touch
        self._moved = moved
        self._commanded = commanded
        self._yards: dict[str, Yard] = {}
        self._compounds: dict[str, DeviceMemory] = {}
        self._watched: set[str] = set()
        self._dirty: dict[str, None] = {}
        self._unexcused: list[DeviceMemory] = []
        self._watermark_ms = 0
        self._of_compounds = FaultFinder(
            stream, self._compounds, hearing, self._touch_compound, moved, restated, holds
        )

    # What was there before

    def load(self, saved: Saved, watermark_ms: int) -> None:
        """Go on from committed rows, when the devices are there again."""
        self._watermark_ms = watermark_ms
        for fault in saved.faults:
            compound = self._compounds.get(fault.subject) if fault.kind == COMPOUND else None
            if compound is not None:
                compound.faults[fault.code] = fault
        for name, yard in self._yards.items():
            packed = saved.compounds.get(name)
            if packed is not None:
                unpack_yard(yard, packed)
            take_stock(yard)
            self._of_compounds.resume(yard.memory, watermark_ms)
            if yard.is_of_interest():
                self._watched.add(name)

    def registry_changed(self, registry: Registry, plans: Plans, now_ms: int) -> None:
        """Who belongs to which compound is found out anew."""
        there: dict[str, list[DeviceMemory]] = {name: [] for name in registry.compounds}
        for memory in self._memories.values():
            there[memory.device.compound].append(memory)
        for name in self._yards.keys() - there.keys():
            self._of_compounds.retire(self._yards[name].memory, "out_of_service", now_ms)
            del self._yards[name], self._compounds[name]
            self._watched.discard(name)
            self._dirty.pop(name, None)
        for name, devices in there.items():
            yard = self._yards.get(name)
            if yard is None:
                yard = a_yard(registry.compounds[name], plans.of_compound(name))
                self._yards[name] = yard
                self._compounds[name] = yard.memory
            settle_in(yard, devices, registry)
            if yard.gates == 1:
                self._only_one_is_left(yard, now_ms)
            if yard.is_of_interest():
                self._watched.add(name)

    def _only_one_is_left(self, yard: Yard, now_ms: int) -> None:
        """Of several gates one is still in service: that it is silent is worse than it was."""
        (gate,) = [memory for memory in yard.devices if memory.device.kind == "gate"]
        planned = gate.plan.silent
        if planned is None:
            return
        seen = gate.signs.get((planned.rule.code, planned.index, ""))
        if seen is not None and seen.present and not seen.evidence.get("only_gate"):
            seen.evidence = {**seen.evidence, **self.stakes(gate)}
            self._touch(gate)
            self._finder.settle(gate, planned.rule.code, now_ms)

    def rules_changed(self, plans: Plans, now_ms: int) -> None:
        """Other figures hold from here on."""
        for name, yard in self._yards.items():
            self._of_compounds.replan(yard.memory, plans.of_compound(name), now_ms)

    def compound(self, subject: str) -> DeviceMemory | None:
        """A compound as the subject of faults."""
        return self._compounds.get(subject)

    def compounds(self) -> Iterable[DeviceMemory]:
        """All of them."""
        return self._compounds.values()

    def hand_over(self, effects: Effects) -> None:
        """Give what must be remembered of the compounds that changed."""
        for name in self._dirty:
            effects.compounds[name] = pack_yard(self._yards[name])
        self._dirty.clear()

    # What is asked of the compound of a device

    def behind_silence(self, memory: DeviceMemory) -> Root | None:
        """The root that explains that a device falls silent now."""
        planned = memory.plan.silent
        yard = self._yards[memory.device.compound]
        if planned is None or not yard.open:
            return None
        return self._cause(yard, memory, _as_fault(memory, planned.rule))

    def cause(self, memory: DeviceMemory, begun: Begun) -> Root | None:
        """The root that explains a fault of this device which begins now."""
        yard = self._yards.get(memory.device.compound)
        return self._cause(yard, memory, begun) if yard is not None and yard.open else None

    def cleared_ms(self, memory: DeviceMemory) -> int | None:
        """When the newest root ended that explained this device's silence; None: there was none.

        Until one silence limit after that it is no fault that it is silent.
        """
        planned = memory.plan.silent
        yard = self._yards[memory.device.compound]
        if planned is None or not yard.is_waited_for():
            return None
        like = _as_fault(memory, planned.rule)
        ended = [
            root.ended_ms
            for root in yard.roots.values()
            if root.ended_ms is not None
            and like.since_ms <= root.ended_ms
            and self._explains(yard, root, memory, like)
        ]
        return max(ended, default=None)

    def stood_behind(self, memory: DeviceMemory, from_ms: int, to_ms: int) -> bool:
        """Whether a root that explains a silence of this device stood within these times.

        Of the hour that is just over this is known of every root.
        """
        planned = memory.plan.silent
        yard = self._yards[memory.device.compound]
        return planned is not None and any(
            root.since_ms < to_ms
            and (root.ended_ms is None or root.ended_ms > from_ms)
            and planned.rule.code in SUPPRESSES[root.code]
            and yard.reaches(root, memory)
            for root in yard.roots.values()
        )

    def take_unexcused(self) -> list[DeviceMemory]:
        """Devices whose root was over and is not: what excused their silence does no longer."""
        unexcused, self._unexcused = self._unexcused, []
        return unexcused

    def is_heard_behind(self, memory: DeviceMemory) -> bool:
        """Whether it is a gateway that works, as what is behind it shows."""
        yard = self._yards[memory.device.compound]
        served = [m for m in yard.eligible if yard.behind.get(m.device.id) == memory.device.id]
        heard = [m for m in served if m.state is Presence.ONLINE]
        return bool(served) and len(heard) >= SHARE * len(served)

    def stakes(self, memory: DeviceMemory) -> dict[str, Value]:
        """What makes it worse that this device is silent."""
        device = memory.device
        if device.kind == "gate" and self._yards[device.compound].gates == 1:
            return {"only_gate": True}
        if device.kind == "shed":
            charging = sum(
                port.session is not None
                for port in self._yards[device.compound].devices
                if port.device.parent == device.id
            )
            return {"charging": charging} if charging else {}
        return {}

    # What comes in

    def watch(self, memory: DeviceMemory) -> None:
        """The state of a device's connection has changed."""
        self._stir(memory.device.compound)

    def no_power(self, memory: DeviceMemory, what: str, at_ms: int, received_ms: int) -> None:
        """A live word of a device that its power is gone, since `at_ms` by its own clock."""
        self._note(memory, Evidence(at_ms, memory.device.id, what))
        if received_ms - at_ms > LATE_MS:  # told late, or by a slow clock: nobody knows which
            self._note(memory, Evidence(received_ms, memory.device.id, what))

    def powered_on(self, memory: DeviceMemory, now_ms: int) -> None:
        """A board says that it was without power until now; its last contact is still on record."""
        last_ms = memory.last_seen_ms
        if last_ms is None or now_ms - last_ms <= memory.device.interval_s * 1500:
            return  # it was not away
        self._note(memory, Evidence(last_ms, memory.device.id, POWER_ON))
        yard = self._yards[memory.device.compound]
        for gateway in yard.gateways:
            fault = gateway.faults.get(GW_OFFLINE)
            if fault is None or fault.state is not State.CLOSED or fault.suppressed_by is not None:
                continue
            if now_ms - (fault.closed_at_ms or 0) > REOPENS_WITHIN_MS:
                continue
            pair = [(fault.since_ms, gateway.device.interval_s)]
            pair.append((last_ms, memory.device.interval_s))
            if len(together(pair)[1]) == len(pair):
                self._was_a_power_cut(yard, gateway, fault, memory, now_ms)

    def fault_moved(self, memory: DeviceMemory, move: Move) -> None:
        """A fault of a device has moved: it may be a root, or a child, or neither any more."""
        fault, event = move.fault, move.event
        if event.reason is Why.SUPPRESSED or event.reason is Why.RELEASED:
            return  # that is our own doing
        yard = self._yards.get(memory.device.compound)
        if yard is None:
            return
        begins = event.reason in (Why.RAISED, Why.REOPENED)
        key = (memory.device.id, fault.code)
        if fault.state not in ACTIVE or fault.suppressed_by is None:
            yard.children.pop(key, None)
        if fault.suppressed_by is not None and begins:  # it was born so
            self._is_child(yard, memory, fault, yard.roots[fault.suppressed_by])
        elif fault.state in ACTIVE and begins and not fault.safety:
            cause = self._cause(yard, memory, fault)
            if cause is not None:
                self._suppress(yard, memory, fault, cause, event.at_ms)
        if fault.code in SUPPRESSES:
            self._root_moved(yard, fault, event.at_ms, begins=begins)

    def person_moved(self, memory: DeviceMemory, fault: Fault, now_ms: int) -> None:
        """A person acted on a fault: a root that was closed, and is not bad any more, is over."""
        standing = memory.faults.get(fault.code)
        yard = self._yards.get(memory.device.compound)
        if yard is None or standing is None or standing.id != fault.id:
            return
        by = yard.children.get((memory.device.id, fault.code))
        if standing.state in ACTIVE and by is not None:
            # the row that the person saw may be older than what we have not committed yet
            memory.faults[fault.code] = replace(standing, suppressed_by=by)
        elif standing.state not in ACTIVE:
            yard.children.pop((memory.device.id, fault.code), None)
            if fault.code in SUPPRESSES:
                self._root_moved(yard, standing, now_ms, begins=False)

    def compound_moved(self, fault: Fault, now_ms: int) -> None:
        """A person acted on a fault of a compound."""
        compound = self._compounds.get(fault.subject)
        if compound is not None:
            self._of_compounds.person_moved(compound, fault, now_ms)
            self.person_moved(compound, fault, now_ms)

    def timed(self, memory: DeviceMemory, move: Move) -> Move:
        """The same step, told later where a power cut would explain it: that may be found yet.

        Silence is such a step, and so is what somebody on battery says of the power.
        """
        if move.event.reason is not Why.RAISED and move.event.reason is not Why.REOPENED:
            return move
        if move.fault.code not in SUPPRESSES[COMPOUND_POWER_CUT]:
            return move
        if move.fault.suppressed_by is not None:
            return move  # it was found already
        at_ms = self._notice_at_ms(memory, move.fault.code, move.event.at_ms)
        return Move(move.fault, move.was, replace(move.event, notice_at_ms=at_ms))

    def hold_ended(self, compound: DeviceMemory, code: str, watermark_ms: int) -> None:
        """What held the notices of a compound's fault may be over by now."""
        self._of_compounds.hold_ended(compound, code, watermark_ms)

    # Time

    def heard_until(self, watermark_ms: int) -> None:
        """Everything sent before has been judged: look at the compounds in which there is need."""
        self._watermark_ms = watermark_ms
        for name in sorted(self._watched):
            yard = self._yards[name]
            was_stirred = yard.is_stirred
            if yard.may_change():
                yard.is_stirred = False
                self._look(yard, watermark_ms)
            if was_stirred or yard.is_waited_for():
                self._release(yard, watermark_ms)
            if yard.evidence or yard.is_waited_for():
                self._forget(yard, watermark_ms)
            if not yard.is_of_interest():
                self._watched.discard(name)
        self._of_compounds.tick(watermark_ms)

    def clock_went_back(self, now_ms: int) -> None:
        """The host's clock was set back: nothing ended, or was said, later than now."""
        self._watermark_ms = min(self._watermark_ms, now_ms)
        for name, yard in self._yards.items():
            late = [root for root in yard.roots.values() if (root.ended_ms or 0) > now_ms]
            for root in late:
                root.ended_ms = now_ms
            if late or yard.found_ms > now_ms:
                yard.found_ms = min(yard.found_ms, now_ms)
                self._dirty[name] = None

    def _look(self, yard: Yard, watermark_ms: int) -> None:
        there = [
            memory
            for memory in yard.eligible
            if memory.state is not Presence.NEVER_SEEN
            and (memory.device.decommissioned_at_ms or watermark_ms + 1) > watermark_ms
        ]
        self._look_for_a_power_cut(yard, there, watermark_ms)
        for gateway in yard.gateways:
            self._look_behind(yard, gateway, there, watermark_ms)

    # A power cut

    def _look_for_a_power_cut(
        self, yard: Yard, there: list[DeviceMemory], watermark_ms: int
    ) -> None:
        planned = yard.memory.plan.together
        if planned is None:
            return
        key = (planned.rule.code, planned.index, "")
        seen = yard.memory.signs.get(key)
        if seen is not None:
            is_back = self._is_back(yard, there, watermark_ms)
            if is_back is seen.present:
                self._turn(self._of_compounds, yard.memory, key, seen, watermark_ms)
                self._dirty[yard.id] = None
            return
        found = self._power_cut(yard, there, _figures(planned), watermark_ms)
        if found is None:
            return
        since_ms, evidence = found
        yard.found_ms = watermark_ms
        self._dirty[yard.id] = None
        self._of_compounds.together(yard.memory, since_ms, watermark_ms, evidence)

    def _power_cut(
        self, yard: Yard, there: list[DeviceMemory], of: Together, watermark_ms: int
    ) -> tuple[int, dict[str, Value]] | None:
        """Since when the compound is without power, and what shows it; None: it is not."""
        silent = [memory for memory in there if self._is_silent(memory, watermark_ms)]
        group = self._gone_together(silent)
        if not group:
            return None
        alive = [  # without those gone before, or since, and those of whom we know nothing
            memory
            for memory in there
            if memory in group or (memory not in silent and memory.state is not Presence.UNKNOWN)
        ]
        kinds = {memory.device.kind for memory in group}
        many = len(alive) >= of.least
        most = len(group) >= of.share * len(alive)
        onsets = [memory.last_seen_ms or 0 for memory in group]
        evidence: dict[str, Value] = {"silent": len(group), "of": len(alive)}
        word = self._evidence(yard, group, alive, round(of.evidence_s * 1000))
        if word is None:
            return (min(onsets), evidence) if _is_alone(yard, group, alive, of.least) else None
        gateway_gone = any(memory.device.kind == "gateway" for memory in group)
        mostly_well = many and len(alive) - len(group) >= SHARE * len(alive)
        if not (
            (many and most and len(kinds) >= 2)
            or (gateway_gone and not mostly_well)
            or _is_alone(yard, group, alive, of.least)
        ):
            return None
        evidence["evidence"] = word.what
        if word.device:
            evidence["by"] = word.device
        told = word.what in (MAINS_WORD, ALARM) and word.at_ms >= min(onsets)
        return (word.at_ms if told else min(onsets)), evidence

    def _evidence(
        self, yard: Yard, group: list[DeviceMemory], alive: list[DeviceMemory], within_ms: int
    ) -> Evidence | None:
        """What shows that those who fell silent together are without power."""
        onsets = [memory.last_seen_ms or 0 for memory in group]
        from_ms = min(onsets) - within_ms
        to_ms = max(onsets) + within_ms
        for word in yard.evidence:
            if from_ms <= word.at_ms <= to_ms:
                return word
        for memory in group:
            # Its battery may have lasted for longer than two minutes.
            if memory.device.kind == "gateway" and memory.word("mains_ok") is False:
                return Evidence(memory.last_seen_ms or 0, memory.device.id, MAINS_WORD)
        for memory in yard.devices:
            sample = memory.told("voltage_v") if memory.device.kind == "lamp" else None
            if sample is None or isinstance(sample[0], str) or not from_ms <= sample[1] <= to_ms:
                continue
            if sample[0] < DARK_V and self._commanded(memory, sample[1]):
                return Evidence(sample[1], memory.device.id, "voltage_v")
        sheds = [memory for memory in alive if memory.device.kind == "shed"]
        behind = [memory for memory in group if memory.device.kind != "shed"]
        if sheds and behind and all(shed in group for shed in sheds):
            # Each has its own modem: nothing but power connects them with what the gateway serves.
            return Evidence(min(onsets), "", "sheds_with_gateway")
        return None

    def _is_back(self, yard: Yard, there: list[DeviceMemory], watermark_ms: int) -> bool:
        """Whether those that report again show that the power is back."""
        there = self._could_return(yard.memory.faults.get(COMPOUND_POWER_CUT), there)
        if not there:
            return True
        if self._are_enough(yard, there, watermark_ms, 0):
            return self._has_good_voltage(yard, watermark_ms) or self._are_enough(
                yard, there, watermark_ms, VOLTAGE_ASKED_MS
            )
        return False

    def _are_enough(
        self, yard: Yard, there: list[DeviceMemory], watermark_ms: int, for_ms: int
    ) -> bool:
        """Whether as many as it takes have been back for so long."""
        back = [memory for memory in there if self._is_there(yard, memory, watermark_ms, for_ms)]
        if len(there) >= LEAST or not yard.gateways:
            return len(back) >= SHARE * len(there)
        others = [
            memory
            for memory in yard.devices
            if memory.device.kind not in ("gateway", "port")
            and memory.state is not Presence.NEVER_SEEN
        ]
        one = any(self._is_there(yard, memory, watermark_ms, for_ms) for memory in others)
        return any(m.device.kind == "gateway" for m in back) and (one or not others)

    def _could_return(self, root: Fault | None, there: list[DeviceMemory]) -> list[DeviceMemory]:
        """Without those that were gone before this root: they do not come back with its end."""
        if root is None or root.state not in ACTIVE:
            return there
        return [memory for memory in there if not self._was_gone(memory, root.since_ms)]

    def _was_gone(self, memory: DeviceMemory, since_ms: int) -> bool:
        last_ms = memory.last_seen_ms or 0
        within_ms = TOGETHER_MS + memory.device.interval_s * 1000 + self._hearing.deaf_ms(last_ms)
        return memory.state is Presence.OFFLINE and last_ms < since_ms - within_ms

    def _is_there(self, yard: Yard, memory: DeviceMemory, watermark_ms: int, for_ms: int) -> bool:
        """Whether it was heard since the power cut was found, and is there for so long."""
        back_ms = max(memory.since_ms or 0, yard.found_ms)
        return (
            memory.state is Presence.ONLINE
            and (memory.last_seen_ms or 0) > yard.found_ms
            and not self._is_silent(memory, watermark_ms)
            and (not for_ms or back_ms + for_ms <= watermark_ms)
        )

    def _has_good_voltage(self, yard: Yard, watermark_ms: int) -> bool:
        """Whether the sheds that send a voltage send a good one; none is required to."""
        low, high = IN_RANGE_V
        since_ms = max(yard.found_ms, watermark_ms - VOLTAGE_MS)
        samples = [
            sample[0]
            for memory in yard.devices
            if memory.device.kind == "shed"
            and (sample := memory.told("voltage_v")) is not None
            and sample[1] > since_ms
            and not isinstance(sample[0], str)
        ]
        return sum(low <= volts <= high for volts in samples) >= SHARE * len(samples)

    def _was_a_power_cut(
        self, yard: Yard, gateway: DeviceMemory, fault: Fault, shed: DeviceMemory, now_ms: int
    ) -> None:
        """A gateway that is back was without power, as a board says now that it is back too.

        Who was told that the gateway is offline was told to look in the wrong place. So the power
        cut is recorded, and over at once, with the gateway's fault under it.
        """
        planned = yard.memory.plan.together
        standing = yard.memory.faults.get(COMPOUND_POWER_CUT)
        if planned is None or (standing is not None and standing.state in ACTIVE):
            return
        since_ms = min(fault.since_ms, shed.last_seen_ms or fault.since_ms)
        cut, event = faults.begin(
            planned.rule,
            stream=self._stream,
            subject=yard.id,
            device=None,
            compound=yard.id,
            severity=planned.sign.severity,
            safety=False,
            since_ms=since_ms,
            now_ms=now_ms,
            evidence={"evidence": POWER_ON, "by": shed.device.id, "instead_of": fault.id},
            kind=COMPOUND,
        )
        yard.memory.faults[cut.code] = cut
        event = replace(event, notice_at_ms=now_ms + NOTICE_MS)  # when it has long been over
        self._moved(yard.memory, Move(cut, None, event))
        closed = gateway.faults[GW_OFFLINE]
        if closed.suppressed_by is None:
            explained, event = faults.suppress(closed, cut.id, cut.code, now_ms)
            gateway.faults[GW_OFFLINE] = explained
            self._moved(gateway, Move(explained, closed.state, event))
        over, event = faults.end(cut, now_ms)
        yard.memory.faults[cut.code] = over
        self._moved(yard.memory, Move(over, cut.state, event))

    # A gateway

    def _look_behind(
        self, yard: Yard, gateway: DeviceMemory, there: list[DeviceMemory], watermark_ms: int
    ) -> None:
        planned = gateway.plan.together
        standing = gateway.faults.get(GW_OFFLINE)
        is_open = standing is not None and standing.state in ACTIVE
        if planned is None or not (is_open or any(m.state is not Presence.ONLINE for m in there)):
            return
        served = [
            memory
            for memory in there
            if memory is gateway or yard.behind.get(memory.device.id) == gateway.device.id
        ]
        key = (planned.rule.code, planned.index, "")
        seen = gateway.signs.get(key)
        if seen is not None:
            asked = self._could_return(standing, served)
            heard = [m for m in asked if m.state is Presence.ONLINE]
            is_back = len([m for m in heard if not self._is_silent(m, watermark_ms)]) >= (
                SHARE * len(asked)
            )
            if is_back is seen.present:
                self._turn(self._finder, gateway, key, seen, watermark_ms)
        elif not is_open:
            self._went_together(yard, gateway, served, _figures(planned), watermark_ms)
        if is_open and standing is not None:
            self._children_report(gateway, standing, served, watermark_ms)

    def _went_together(
        self,
        yard: Yard,
        gateway: DeviceMemory,
        served: list[DeviceMemory],
        of: Together,
        watermark_ms: int,
    ) -> None:
        silent = [memory for memory in served if self._is_silent(memory, watermark_ms)]
        group = self._gone_together(silent)
        unknown = sum(memory.state is Presence.UNKNOWN for memory in served)
        alive = len(served) - unknown - len(silent) + len(group)
        if alive < of.least or len(group) < of.share * alive or yard.memory.signs:
            return
        if len({memory.device.kind for memory in group}) < 2:
            return
        evidence: dict[str, Value] = {"silent": len(group), "of": alive}
        onset_ms = min(memory.last_seen_ms or 0 for memory in group)
        self._finder.together(gateway, onset_ms, watermark_ms, evidence)

    def _children_report(
        self, gateway: DeviceMemory, fault: Fault, served: list[DeviceMemory], watermark_ms: int
    ) -> None:
        """What is behind a gateway is back while it says nothing itself: then it works."""
        planned = gateway.plan.silent
        seen = gateway.signs.get((GW_OFFLINE, planned.index, "")) if planned is not None else None
        asked = self._could_return(fault, served)
        children = [memory for memory in asked if memory is not gateway]
        back = [
            memory
            for memory in children
            if memory.state is Presence.ONLINE and (memory.since_ms or 0) > fault.since_ms
        ]
        if planned is None or seen is None or not seen.present or not back:
            return
        if len(back) >= SHARE * len(children):
            key = (GW_OFFLINE, planned.index, "")
            self._turn(self._finder, gateway, key, seen, watermark_ms)

    # Roots and their children

    def _root_moved(self, yard: Yard, fault: Fault, now_ms: int, *, begins: bool) -> None:
        root, was = root_of(fault), yard.roots.get(fault.id)
        if root.ended_ms is None:
            yard.roots[fault.id] = root
            if was is not None and was.ended_ms is not None:
                self._unexcused += yard.devices
        elif fault.id in yard.roots:
            yard.roots[fault.id] = replace_ended(root, now_ms)
            if fault.code == COMPOUND_POWER_CUT:
                yard.evidence.clear()  # what comes next needs its own
            _drop_oldest(yard)
        else:
            return
        yard.sort_roots()
        self._dirty[yard.id] = None
        self._stir(yard.id)
        if begins and root.ended_ms is None:
            self._take_children(yard, fault, root, now_ms)

    def _take_children(self, yard: Yard, fault: Fault, root: Root, now_ms: int) -> None:
        for memory in yard.devices:
            for child in list(memory.faults.values()):
                if child.id == fault.id or not self._explains(yard, root, memory, child):
                    continue
                if child.state in ACTIVE:
                    by = yard.roots.get(child.suppressed_by or "")
                    if child.suppressed_by is None or by is None or by.ended_ms is not None:
                        self._suppress(yard, memory, child, root, now_ms)
                elif _was_taken_for_itself(root, child, now_ms):
                    explained, event = faults.suppress(child, root.id, root.code, now_ms)
                    memory.faults[child.code] = explained
                    self._moved(memory, Move(explained, child.state, event))

    def _cause(self, yard: Yard, memory: DeviceMemory, fault: Fault | Begun) -> Root | None:
        """The highest open root that explains this fault."""
        for root in yard.open:
            if self._explains(yard, root, memory, fault):
                return root
        return None

    def _explains(self, yard: Yard, root: Root, memory: DeviceMemory, fault: Fault | Begun) -> bool:
        if not may_explain(root, fault):
            return False  # quickly said, before it is found out when what stands now began
        onset_ms = _onset_ms(memory, fault)
        if onset_ms != fault.since_ms:
            fault = Begun(
                fault.code, fault.kind, fault.safety, fault.suspected, onset_ms, id=fault.id
            )
        return yard.explains(root, memory, fault, self._hearing.deaf_ms(onset_ms) // 1000)

    def _suppress(
        self, yard: Yard, memory: DeviceMemory, fault: Fault, root: Root, now_ms: int
    ) -> None:
        explained, event = faults.suppress(fault, root.id, root.code, now_ms)
        memory.faults[fault.code] = explained
        self._is_child(yard, memory, explained, root)
        self._moved(memory, Move(explained, fault.state, event))

    def _is_child(self, yard: Yard, memory: DeviceMemory, fault: Fault, root: Root) -> None:
        """A fault is explained by this root from now on."""
        yard.children[memory.device.id, fault.code] = root.id
        planned = memory.plan.silent
        is_silence = planned is not None and planned.rule.code == fault.code
        if is_silence and memory.state is Presence.OFFLINE:
            memory.reason = reason_of(root)

    def _release(self, yard: Yard, watermark_ms: int) -> None:
        """Children of roots that are over, and that still stand when their time has come."""
        for (device, code), by in list(yard.children.items()):
            memory = self._memories.get(device)
            fault = memory.faults.get(code) if memory is not None else None
            if memory is None or fault is None or fault.suppressed_by != by:
                yard.children.pop((device, code), None)
                continue
            root = yard.roots.get(by)
            if root is None:  # nobody knows it any more: from now on as if it had just ended
                root = Root(by, COMPOUND_POWER_CUT, fault.since_ms, None, watermark_ms)
                yard.roots[by] = root
                self._dirty[yard.id] = None
            if root.ended_ms is None or not self._stands_alone(memory, code, root, watermark_ms):
                continue
            cause = self._cause(yard, memory, fault)
            if cause is not None:
                self._suppress(yard, memory, fault, cause, watermark_ms)
                continue
            planned = memory.plan.silent
            is_silence = planned is not None and planned.rule.code == code
            notice_ms = self._notice_at_ms(memory, code, watermark_ms) if is_silence else None
            free, event = self._holds.step(faults.release(fault, watermark_ms, notice_ms))
            memory.faults[code] = free
            del yard.children[device, code]
            self._moved(memory, Move(free, fault.state, event))

    def _stands_alone(self, memory: DeviceMemory, code: str, root: Root, watermark_ms: int) -> bool:
        """Whether a fault still stands one limit, or its own delay, after its root ended."""
        present = [key for key, seen in memory.signs.items() if key[0] == code and seen.present]
        if not present:
            return False  # it is about to be over, as any fault
        planned = memory.plan.silent
        from_ms = root.ended_ms or 0
        if planned is not None and planned.rule.code == code:
            delay_ms = silence_limit_s(memory.device) * 1000
        else:
            if memory.state is not Presence.ONLINE:
                return False  # nothing is known of it until it speaks
            from_ms = max(from_ms, memory.since_ms or 0)
            delay_ms = max(_delay_ms(memory, key) for key in present)
        grace_ms = self._hearing.grace_ms(from_ms, memory.device.interval_s)
        return from_ms + delay_ms + grace_ms <= watermark_ms

    def _forget(self, yard: Yard, watermark_ms: int) -> None:
        """Drop what is too old to mean anything."""
        if yard.evidence and yard.evidence[0].at_ms < watermark_ms - EVIDENCE_KEPT_MS:
            yard.evidence = [
                word for word in yard.evidence if word.at_ms >= watermark_ms - EVIDENCE_KEPT_MS
            ]
            self._dirty[yard.id] = None
        needed = set(yard.children.values())
        for root in [root for root in yard.roots.values() if root.ended_ms is not None]:
            ended_ms = root.ended_ms or 0
            if ended_ms >= hour_of(watermark_ms):
                continue  # `stood_behind` is asked when the hour is over
            grace_ms = self._hearing.grace_ms(ended_ms, yard.longest_ms // 1000)
            if root.id not in needed and ended_ms + yard.longest_ms + grace_ms < watermark_ms:
                del yard.roots[root.id]
                self._dirty[yard.id] = None

    # Bookkeeping

    def _is_silent(self, memory: DeviceMemory, watermark_ms: int) -> bool:
        if memory.state is Presence.OFFLINE:
            return True
        if memory.state is not Presence.ONLINE:
            return False  # we do not know
        last_ms = memory.last_seen_ms or 0
        limit_ms = silence_together_s(memory.device) * 1000
        if last_ms + limit_ms > watermark_ms:
            return False
        grace_ms = self._hearing.grace_ms(last_ms, memory.device.interval_s)
        return last_ms + limit_ms + grace_ms <= watermark_ms

    def _gone_together(self, silent: list[DeviceMemory]) -> list[DeviceMemory]:
        """Those that one cause took; each may have spoken while we could not hear."""
        onsets = []
        for memory in silent:
            last_ms = memory.last_seen_ms or 0
            deaf_s = self._hearing.deaf_ms(last_ms) // 1000
            onsets.append((last_ms, memory.device.interval_s + deaf_s))
        _, chosen = together(onsets)
        return [silent[n] for n in chosen]

    def _notice_at_ms(self, memory: DeviceMemory, code: str, now_ms: int) -> int:
        """When people may be told of a silence, or of what a power cut explains.

        Where the gateway is overdue as well, not before that is known to be offline or not.
        """
        notice_ms = now_ms + notice_delay_ms(memory, code)
        yard = self._yards[memory.device.compound]
        gateway = self._memories.get(yard.behind.get(memory.device.id, ""))
        if gateway is None or gateway.state not in (Presence.ONLINE, Presence.UNKNOWN):
            return notice_ms
        last_ms = gateway.last_seen_ms or 0
        if now_ms - last_ms < gateway.device.interval_s * 750:
            return notice_ms
        limit_ms = int(silence_limit_s(gateway.device) * 1000)
        limit_ms += self._hearing.grace_ms(last_ms, gateway.device.interval_s)
        return max(notice_ms, min(last_ms + limit_ms + MARGIN_MS, notice_ms + OVERDUE_MS))

    def _turn(
        self,
        finder: FaultFinder,
        memory: DeviceMemory,
        key: SignKey,
        seen: Seen,
        watermark_ms: int,
    ) -> None:
        """What was together is no longer, or is again."""
        seen.present = not seen.present
        seen.since_ms = seen.base_ms = seen.sample_ms = seen.heard_ms = watermark_ms
        if memory.device.kind != COMPOUND:
            self._touch(memory)
        finder.settle(memory, key[0], watermark_ms)

    def _note(self, memory: DeviceMemory, evidence: Evidence) -> None:
        yard = self._yards[memory.device.compound]
        yard.note(evidence)
        self._dirty[yard.id] = None
        self._stir(yard.id)

    def _stir(self, compound: str) -> None:
        """Something has happened in a compound: look at it with the next tick."""
        yard = self._yards.get(compound)
        if yard is not None:
            yard.is_stirred = True
            self._watched.add(compound)

    def _touch_compound(self, memory: DeviceMemory) -> None:
        self._dirty[memory.device.id] = None
        self._watched.add(memory.device.id)


def replace_ended(root: Root, now_ms: int) -> Root:
    """A root that is over since now, by the clock that its children are timed by."""
    return Root(root.id, root.code, root.since_ms, root.device, now_ms)


def _figures(planned: PlannedSign) -> Together:
    """How many must fall silent together, and within which time of what shows why."""
    detector = planned.sign.detector
    assert isinstance(detector, Together)  # only these are filed as `together`
    return detector


def _is_alone(yard: Yard, group: list[DeviceMemory], alive: list[DeviceMemory], least: int) -> bool:
    """Whether all of a small compound without a gateway went together: they share power alone."""
    return (
        not yard.gateways
        and len(group) == len(alive)
        and LEAST_WITHOUT_GATEWAY <= len(alive) < least
        and len({memory.device.kind for memory in group}) >= 2
    )


def _was_taken_for_itself(root: Root, child: Fault, now_ms: int) -> bool:
    """Whether a fault that was just closed was a part of what a power cut explains afterwards.

    Of older ones a judge that was restarted knows no longer.
    """
    return (
        root.code in (COMPOUND_POWER_CUT, SHED_POWER_CUT)
        and child.state is State.CLOSED
        and child.suppressed_by is None
        and (child.closed_at_ms or 0) > max(root.since_ms, now_ms - REOPENS_WITHIN_MS)
    )


def _onset_ms(memory: DeviceMemory, fault: Fault | Begun) -> int:
    """When what stands now began, by our clock.

    `since_ms` is when it began for the first time, by the clock of its device, which may be slow.
    """
    planned = memory.plan.silent
    if fault.state not in ACTIVE:
        return fault.since_ms
    if planned is not None and planned.rule.code == fault.code:
        came_back = fault.occurrences > 1 and memory.state is Presence.OFFLINE
        return (memory.last_seen_ms or 0) if came_back else fault.since_ms
    delays = [
        _delay_ms(memory, key)
        for key, seen in memory.signs.items()
        if key[0] == fault.code and seen.present
    ]
    if not delays or not fault.raises_ms:
        return fault.since_ms
    return max(fault.since_ms, int(fault.raises_ms[-1] - max(delays)))


def reason_of(root: Root) -> known.Why:
    """Why a device is silent that this root took along."""
    is_power = root.code in (COMPOUND_POWER_CUT, SHED_POWER_CUT)
    return known.Why.POWER_CUT if is_power else known.Why.PARENT_DOWN


def _delay_ms(memory: DeviceMemory, key: SignKey) -> float:
    """How long a sign must last once more. What is learned of days has lasted already."""
    planned = memory.plan.signs[key[:2]]
    if isinstance(planned.sign.detector, Unusual):
        return silence_limit_s(memory.device) * 1000
    return planned.delay_ms


def _drop_oldest(yard: Yard) -> None:
    ended = [root for root in yard.roots.values() if root.ended_ms is not None]
    needed = set(yard.children.values())
    for root in ended[: max(0, len(ended) - ENDED_KEPT)]:
        if root.id not in needed:
            del yard.roots[root.id]


def _as_fault(memory: DeviceMemory, rule: Rule) -> Begun:
    """The fault that a device's silence would be, for the table that says what explains it."""
    since_ms = memory.last_seen_ms or 0
    return Begun(rule.code, memory.device.kind, False, rule.suspected, since_ms)
