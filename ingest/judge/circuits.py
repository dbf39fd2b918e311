"""Lamps that hang on one supply: what many of them show together (domain.md §3.1).

`CIRCUIT_SUPPLY_LOSS` of a circuit whose lamps have controllers of their own: most of them fell
silent together, or have no voltage, while they are to burn and what carries their messages is well.
Its subject is the circuit's first device by id. A circuit that is one device with one meter shows
it by its voltage alone (`devices/kinds/lamp.py`): where one device is silent nobody knows why.

And `LAMP_OUT` is worse where several lamps of a circuit are out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from devices import lighting
from devices.faults import Why
from devices.judgement import Move
from devices.messages import Value
from devices.registry import Registry
from devices.roots import together
from devices.rules import Together
from ingest.judge import memory as known
from ingest.judge.lasting import ACTIVE
from ingest.judge.memory import DeviceMemory, Presence, Seen
from ingest.judge.plan import PlannedSign
from ingest.judge.signs import FaultFinder
from ingest.judge.timing import Hearing

OUT = "LAMP_OUT"
NEIGHBOURS_OUT = "neighbours_out"  # in its evidence: so many lamps of the circuit are out
SCAN_EVERY_MS = 60_000
MARGIN_MS = 15_000  # probes come every 5 s, and one may be late
WITHIN_MS = 5 * 60_000  # they are gone that long before their silence is one


@dataclass(slots=True, eq=False)
class Circuit:
    """Lamps on one supply, by id. lamps: of all of them together."""

    members: list[DeviceMemory]
    lamps: int

    @property
    def first(self) -> DeviceMemory:
        return self.members[0]


class Dead(NamedTuple):
    """Those of a circuit that are without power, as far as one can see.

    since_ms: when it went. shown_ms: until when that is seen. lamps, of: how many, of how many.
    is_due: it has lasted for its delay, which begins when the first of them counts as silent.
    """

    since_ms: int
    shown_ms: int
    lamps: int
    of: int
    is_due: bool
    evidence: dict[str, Value]


class CircuitWatch:
    """Keeps the circuits of one stream.

    commanded: whether the lamps of a device are to be on at a time. touch: told of each device
    whose memory changed.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        finder: FaultFinder,
        commanded: Callable[[DeviceMemory, int], bool],
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._memories = memories
        self._hearing = hearing
        self._finder = finder
        self._commanded = commanded
        self._touch = touch
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._watched: dict[tuple[str, str], None] = {}
        self._out: dict[tuple[str, str], None] = {}  # where a lamp has just been found to be out

    def registry_changed(self, registry: Registry) -> None:
        """Which lamps hang on one supply is found out anew."""
        there: dict[tuple[str, str], list[DeviceMemory]] = {}
        for device in registry.devices.values():
            memory = self._memories.get(device.id)
            if device.kind == "lamp" and memory is not None and memory.in_service:
                there.setdefault(_place(memory), []).append(memory)
        self._circuits = {}
        for place, members in there.items():
            members.sort(key=lambda memory: memory.device.id)
            if len(members) > 1:  # one by itself shows nothing of its circuit
                self._circuits[place] = Circuit(members, sum(map(_lamps, members)))
        self._watched, self._out = {}, {}
        for place, circuit in self._circuits.items():
            planned = circuit.first.plan.together
            has_sign = planned is not None and (
                (planned.rule.code, planned.index, "") in circuit.first.signs
            )
            if has_sign or any(m.state is Presence.OFFLINE for m in circuit.members):
                self._watched[place] = None
            if any(map(_is_out, circuit.members)):
                self._out[place] = None

    def fault_moved(self, memory: DeviceMemory, move: Move) -> None:
        """A fault of a lamp has moved: with others of its circuit it may be worse."""
        if move.fault.code == OUT and move.event.reason in (Why.RAISED, Why.REOPENED):
            self._out[_place(memory)] = None

    def timed(self, memory: DeviceMemory, move: Move) -> Move:
        """The same step, told later where it is a silence that its circuit may explain yet."""
        silent = memory.plan.silent
        if memory.device.kind != "lamp" or silent is None or silent.rule.code != move.fault.code:
            return move
        circuit = self._circuits.get(_place(memory))
        planned = circuit.first.plan.together if circuit is not None else None
        told_ms = move.event.notice_at_ms
        if circuit is None or planned is None or told_ms is None:
            return move
        now_ms = move.event.at_ms
        carrier = self._memories.get(memory.device.parent or "")
        if carrier is not None and _is_overdue(carrier, now_ms):
            return move  # quickly said: when a whole district falls silent, everybody asks
        if self._dead(circuit, now_ms, planned) is None:
            return move
        told_ms = max(told_ms, now_ms + round(planned.delay_ms) + MARGIN_MS)
        return replace(move, event=replace(move.event, notice_at_ms=told_ms))

    def heard_until(self, before_ms: int | None, watermark_ms: int) -> None:
        """Everything sent before has been judged: look at the circuits in which there is need.

        before_ms: the watermark until now. After a restart they are looked at as without one.
        """
        if (before_ms or 0) // SCAN_EVERY_MS < watermark_ms // SCAN_EVERY_MS:
            for place, circuit in self._circuits.items():
                if any(_is_suspect(memory) for memory in circuit.members):
                    self._watched[place] = None
        for place in sorted(self._watched):
            if not self._look(self._circuits[place], watermark_ms):
                del self._watched[place]
        for place in self._out:
            if place in self._circuits:
                self._look_at_neighbours(self._circuits[place], watermark_ms)
        self._out.clear()

    def _look(self, circuit: Circuit, watermark_ms: int) -> bool:
        """Raise or end the fault of a circuit; whether to look again with the next probe."""
        first = circuit.first
        planned = first.plan.together
        if planned is None:
            return False
        seen = first.signs.get((planned.rule.code, planned.index, ""))
        dead = self._dead(circuit, watermark_ms, planned)
        if seen is None:
            if dead is not None and dead.is_due:
                self._finder.together(first, dead.since_ms, watermark_ms, dead.evidence)
                self._shown(first, planned.rule.code, dead.shown_ms, watermark_ms)
            return dead is not None
        if seen.present and dead is not None:
            self._shown(first, planned.rule.code, dead.shown_ms, watermark_ms)
        elif seen.present is self._is_back(circuit, watermark_ms, planned):
            _turn(seen, watermark_ms)
            self._touch(first)
            self._finder.settle(first, planned.rule.code, watermark_ms)
        elif not seen.present:
            self._shown(first, planned.rule.code, watermark_ms, watermark_ms)
        return True

    def _shown(self, first: DeviceMemory, code: str, at_ms: int, watermark_ms: int) -> None:
        """What is so was seen up to `at_ms`."""
        planned = first.plan.together
        seen = first.signs.get((code, planned.index, "")) if planned is not None else None
        standing = first.faults.get(code)
        is_told = standing is not None and standing.state in ACTIVE
        if seen is not None and seen.sample_ms != at_ms and is_told is not seen.present:
            seen.sample_ms = at_ms
            self._touch(first)
            self._finder.settle(first, code, watermark_ms)

    def _dead(self, circuit: Circuit, watermark_ms: int, planned: PlannedSign) -> Dead | None:
        """What shows that the circuit is without power; None: it is not, or nobody can tell."""
        if not self._commanded(circuit.first, watermark_ms):
            return None
        there = [memory for memory in circuit.members if _is_known(memory)]
        without_v = [m for m in there if self._has_no_voltage(m, watermark_ms)]
        silent = [
            (memory, since_ms)
            for memory in there
            if memory not in without_v
            and (since_ms := self._silent_since_ms(memory, watermark_ms)) is not None
        ]
        gone_ms, chosen = together([(at_ms, m.device.interval_s) for m, at_ms in silent])
        group = [silent[n][0] for n in chosen]
        if len(group) + len(without_v) < 2:
            return None  # where it is one, nobody knows why
        offline_ms = [m.since_ms or 0 for m in group if m.state is Presence.OFFLINE]
        if not without_v and not offline_ms:
            return None
        is_due = bool(without_v) or watermark_ms - min(offline_ms) >= planned.delay_ms
        lamps = sum(map(_lamps, group + without_v))
        before = sum(_lamps(m) for m, _ in silent if m not in group)  # those were gone already
        of = sum(map(_lamps, there)) - before
        if lamps < _share(planned) * of:
            return None
        told_ms = [memory.latest["voltage_v"][1] for memory in without_v]
        # the first of them told it last, or had spoken an interval before the rest fell silent
        since_ms = min([*told_ms, *([min(gone_ms, watermark_ms)] if group else [])])
        evidence: dict[str, Value] = {
            "circuit": circuit.first.device.circuit or circuit.first.device.id,
            "dead": lamps,
            "of": of,
            "silent": len(group),
            "without_voltage": len(without_v),
        }
        shown_ms = watermark_ms if group else max(told_ms)
        return Dead(since_ms, shown_ms, lamps, of, is_due, evidence)

    def _has_no_voltage(self, memory: DeviceMemory, watermark_ms: int) -> bool:
        voltage_v = self._voltage_v(memory, watermark_ms)
        return voltage_v is not None and voltage_v < lighting.DEAD_V

    def _voltage_v(self, memory: DeviceMemory, watermark_ms: int) -> float | None:
        """The newest voltage of a lamp that is to burn; None: none of the last three intervals."""
        told = memory.told("voltage_v")
        if told is None or isinstance(told[0], str):
            return None
        is_old = watermark_ms - told[1] > 3000 * memory.device.interval_s
        return None if is_old or not self._commanded(memory, told[1]) else float(told[0])

    def _silent_since_ms(self, memory: DeviceMemory, watermark_ms: int) -> int | None:
        """Since when a lamp is silent though it was to be heard; None: it is not, or not for long.

        Not while what carries its messages was away, or we could not hear, or it had no power.
        """
        last_ms = memory.last_seen_ms or 0
        at_ms = last_ms
        carrier = self._memories.get(memory.device.parent or "")
        if carrier is not None:
            if _is_overdue(carrier, watermark_ms):
                return None
            at_ms = max(at_ms, carrier.since_ms or 0)
        if memory.device.attributes.get("supply") == "switched":
            lit_ms = self._lit_since_ms(memory, watermark_ms)
            at_ms = max(at_ms, lit_ms if lit_ms is not None else watermark_ms)
        interval_s = memory.device.interval_s
        grace_ms = self._hearing.grace_ms(at_ms, interval_s)
        is_long = watermark_ms - at_ms >= interval_s * 1000 + WITHIN_MS + grace_ms
        return last_ms if is_long else None

    def _lit_since_ms(self, memory: DeviceMemory, watermark_ms: int) -> int | None:
        """An instant of this night at which its lamps were to be on already; None: there is none.

        As far back as the longest silence that must be looked at.
        """
        look_ms = memory.device.interval_s * 1000 + WITHIN_MS
        at_ms = watermark_ms - look_ms
        return at_ms if self._commanded(memory, at_ms) else None

    def _is_back(self, circuit: Circuit, watermark_ms: int, planned: PlannedSign) -> bool:
        """Whether enough of the circuit are heard again, with a good voltage where they tell it."""
        there = [memory for memory in circuit.members if _is_known(memory)]
        back = 0
        for memory in there:
            silent_ms = watermark_ms - (memory.last_seen_ms or 0)
            if memory.state is not Presence.ONLINE:
                continue
            if silent_ms > memory.device.interval_s * 1000 + WITHIN_MS:
                continue
            voltage_v = self._voltage_v(memory, watermark_ms)
            low_v, high_v = lighting.POWER_OK_V
            if voltage_v is None or low_v <= voltage_v <= high_v:
                back += _lamps(memory)
        return back > (1 - _share(planned)) * sum(map(_lamps, there))

    def _look_at_neighbours(self, circuit: Circuit, watermark_ms: int) -> None:
        """Lamps that are out are worse in company."""
        out = [memory for memory in circuit.members if _is_out(memory)]
        share = len(out) / len(circuit.members)
        if len(out) < lighting.NEIGHBOURS and (len(out) < 2 or share < lighting.OUT_SHARE):
            return
        for memory in out:
            for key, seen in memory.signs.items():
                if key[0] == OUT and seen.present:
                    seen.evidence = {**seen.evidence, NEIGHBOURS_OUT: len(out)}
                    self._touch(memory)
            self._finder.settle(memory, OUT, watermark_ms)


_KNOWN = (Presence.ONLINE, Presence.OFFLINE)
_ASLEEP = known.Why.ASLEEP


def _is_known(memory: DeviceMemory) -> bool:
    """Whether it says something that it is heard, or not: also of one that has slept all day."""
    return memory.state in _KNOWN or memory.reason is _ASLEEP


def _share(planned: PlannedSign) -> float:
    """So many lamps of a circuit are without power when it is."""
    detector = planned.sign.detector
    assert isinstance(detector, Together)  # only these are filed as `together`
    return detector.share


def _place(memory: DeviceMemory) -> tuple[str, str]:
    device = memory.device
    return device.compound, device.circuit or device.id


def _lamps(memory: DeviceMemory) -> int:
    return int(memory.device.attributes.get("lamp_count", 1))


def _is_overdue(carrier: DeviceMemory, now_ms: int) -> bool:
    """Whether what carries messages is not known to be well itself."""
    is_late = now_ms - (carrier.last_seen_ms or 0) > 2000 * carrier.device.interval_s
    return carrier.state is not Presence.ONLINE or is_late


def _is_suspect(memory: DeviceMemory) -> bool:
    if memory.state is Presence.OFFLINE:
        return True
    told = memory.told("voltage_v")
    return told is not None and not isinstance(told[0], str) and told[0] < lighting.DEAD_V


def _is_out(memory: DeviceMemory) -> bool:
    fault = memory.faults.get(OUT)
    return fault is not None and fault.state in ACTIVE


def _turn(seen: Seen, watermark_ms: int) -> None:
    seen.present = not seen.present
    seen.since_ms = seen.base_ms = seen.sample_ms = seen.heard_ms = watermark_ms
