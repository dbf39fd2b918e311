"""Working but useless: what a device usually does, learned from the journal, and who falls short.

Four guesses, none of which any device reports (domain.md §3.1, §3.6):
- a gate that nobody passes, in hours in which people usually do (GATE_NO_PASSAGE)
- a socket that nobody uses, while its neighbours are used daily (PORT_IDLE_SUSPECT)
- a metered reading that stays the same, while its peers' change (DEV_VALUE_FROZEN)
- an order whose energy is not what was drawn (SHED_METER_JUMP), which is no guess

Learned is from hours that we heard whole, of devices that were there all the while. What was
learned is a function of the journal, and commits with the cursor. A guess is never made of a device
that is not online, nor across what we could not hear; and where all peers are as quiet, it is a
holiday and nobody's fault. When a person closes a guess, what it was made of is learned anew.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from devices import baselines
from devices.baselines import DAY_MS, HOUR_MS, Week
from devices.faults import Fault, State
from devices.judgement import Effects
from devices.messages import Event, Value
from devices.reconciliation import Source, Status, whole_by_register_kwh
from devices.registers import Exclusion
from devices.registry import Registry
from devices.sessions import Session, reconciled, session_id
from devices.usage import hour_of
from ingest.judge.lasting import ACTIVE
from ingest.judge.memory import DeviceMemory, Presence, Run
from ingest.judge.plan import PlannedSign
from ingest.judge.signs import FaultFinder
from ingest.judge.timing import GRACE_MS, Hearing
from ingest.judge.use import UNAVAILABLE

NO_PASSAGE, IDLE, FROZEN, METER = (
    "GATE_NO_PASSAGE",
    "PORT_IDLE_SUSPECT",
    "DEV_VALUE_FROZEN",
    "SHED_METER_JUMP",
)
# Metered analogue values: what is measured by something that trembles. A state of charge, a power
# factor or a count of days may rightly stand still. The first kinds are judged the short way, which
# follows one value of each.
METERED_VALUES: Mapping[str, tuple[str, ...]] = {
    "gate": ("board_temp_c",),
    "camera": ("board_temp_c",),
    "lamp": ("voltage_v", "power_w"),
    "shed": ("voltage_v",),
    "port": ("power_w",),
}
RUNS_LEAST = 10  # below so many equal reports nobody looks at a run more closely
HUSHED = -(1 << 31)  # reports that a run lacks which a person has called right
USED_KWH = 0.05
LOOK_AGAIN_MS = HOUR_MS
PEERS_MOST = 50  # of devices of a kind elsewhere, asked where the compound has none
COARSE_W = 100.0  # what trembles by a hundredth may stand still in whole watts below it
QUIET_SHARE = 0.25  # of the usual at the other gates: below that the whole compound is quiet
QUIET_SHARE_ELSEWHERE = 0.5
OTHERS_LEAST = 5.0  # passages that the others usually have meanwhile, to be compared with
ELSEWHERE_LEAST = 50.0
MEANT_TO_BE = ("normally_open", "fire_open", "normally_closed", "blocked", "locked_down")
STANDS_OPEN = ("GATE_HELD_OPEN", "GATE_FIRE_OPEN")
PEERS_SHARE = 0.5  # of the peers must have changed
_OWN_METER = "meter"  # of a shed, beside its sockets
PROMPT_MS = 60_000  # looked at so soon after it was due, it is told by the hour in which it was


@dataclass(slots=True)
class Uses:
    """A socket: since when nobody has used it, and its uses by local day, the newest few."""

    since_ms: int
    days: list[tuple[int, int]] = field(default_factory=list)


_pack = msgspec.msgpack.Encoder().encode
_unpack_uses = msgspec.msgpack.Decoder(tuple[int, list[tuple[int, int]]]).decode


class Baselines:
    """What is usual in one stream. effects: where what was learned is handed over.

    touch: told of each device whose memory changed.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        finder: FaultFinder,
        effects: Callable[[], Effects],
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._memories = memories
        self._hearing = hearing
        self._finder = finder
        self._effects = effects
        self._touch = touch
        self._registry = Registry()
        self._weeks: dict[str, Week] = {}
        self._uses: dict[str, Uses] = {}
        self._kinds: dict[str, list[DeviceMemory]] = {}
        self._yards: dict[tuple[str, str], list[DeviceMemory]] = {}  # compound, kind
        self._due: list[tuple[int, str]] = []
        # of this tick: the passages of each compound's gates, by the hours of whose clock
        self._district: dict[int, dict[str, tuple[float, float]]] = {}

    # What was there before

    def load(self, rows: Mapping[str, bytes]) -> None:
        """Take what was learned; empty is what was forgotten."""
        for device, packed in rows.items():
            memory = self._memories.get(device)
            if memory is None or not packed:
                continue
            # what is no such row was learned of a device that has become another kind since
            with suppress(ValueError, msgspec.MsgspecError):
                if memory.device.kind == "gate":
                    self._weeks[device] = Week.unpack(packed)
                elif memory.device.kind == "port":
                    self._uses[device] = Uses(*_unpack_uses(packed))

    def registry_changed(self, registry: Registry) -> None:
        """From here on these devices are followed."""
        self._registry = registry
        self._kinds, self._yards = {}, {}
        for memory in self._memories.values():
            device = memory.device
            names = METERED_VALUES.get(device.kind, ())
            if tuple(run.name for run in memory.runs) != names:
                memory.runs = tuple(Run(name) for name in names)
            if memory.in_service:
                self._kinds.setdefault(device.kind, []).append(memory)
                self._yards.setdefault((device.compound, device.kind), []).append(memory)
        for gone in self._weeks.keys() - self._memories.keys():
            del self._weeks[gone]
        for gone in self._uses.keys() - self._memories.keys():
            del self._uses[gone]

    def resume(self, watermark_ms: int) -> None:
        """Put up all moments that are still to come. Those that have passed were looked at."""
        self._due = []
        for memory in self._kinds.get("port", ()):
            self._await_use(memory, watermark_ms)
        for memory in self._kinds.get("gate", ()):
            self._await_passage(memory, watermark_ms)

    def forget(self, memory: DeviceMemory) -> None:
        """The device is elsewhere, or another kind: what was usual is not any more."""
        device = memory.device.id
        memory.runs, memory.drawn, memory.passed_ms = (), None, 0
        known = (self._weeks.pop(device, None), self._uses.pop(device, None))
        if known != (None, None):
            self._effects().baselines[device] = b""
        self._touch(memory)

    def person_moved(self, memory: DeviceMemory, fault: Fault, now_ms: int) -> None:
        """A person has closed a fault: who says that it is none, is believed until more is seen."""
        if fault.state is not State.CLOSED:
            return
        if fault.code == NO_PASSAGE:
            self._weeks.pop(memory.device.id, None)
            self._effects().baselines[memory.device.id] = b""
        elif fault.code == IDLE and memory.device.id in self._uses:
            self._unused_from(memory, now_ms, now_ms)
        elif fault.code == FROZEN:
            for run in memory.runs:
                if run.told:
                    run.told, run.count = False, HUSHED
            self._touch(memory)

    # What comes in

    def read(
        self, memory: DeviceMemory, values: Mapping[str, Value], at_ms: int, received_ms: int
    ) -> None:
        """Live values of a device that has runs, in a message that is judged the long way."""
        for run in memory.runs:
            value = values.get(run.name)
            if value == run.value:
                if value is not None:
                    run.count += 1
                    if run.count >= RUNS_LEAST:
                        self.same(memory, run, at_ms, received_ms)
            elif value is not None:
                self.changed(memory, run, value, at_ms, received_ms)
        if memory.device.kind == "port":
            self.draws(memory, at_ms, received_ms)

    def changed(
        self, memory: DeviceMemory, run: Run, value: Value, at_ms: int, received_ms: int
    ) -> None:
        """A reading is not what it was."""
        run.value, run.since_ms, run.count = value, at_ms, 1
        if run.told:
            run.told = False
            if not any(other.told for other in memory.runs):
                self._finder.usual(memory, FROZEN, at_ms, received_ms)

    def passed(self, memory: DeviceMemory, event: Event, seen_ms: int, received_ms: int) -> None:
        """Somebody was at a gate. seen_ms: when we heard of it; of a replayed one, when it was."""
        if event.attributes.get("result") != "granted":
            return
        if seen_ms > memory.passed_ms:
            memory.passed_ms = seen_ms
        if memory.signs:
            seen = self._sign(memory, NO_PASSAGE)
            if seen is not None and seen_ms >= seen:
                self._finder.usual(memory, NO_PASSAGE, seen_ms, received_ms)

    def ended(
        self,
        memory: DeviceMemory,
        event: Event,
        began: Session | None,
        at_ms: int,
        received_ms: int,
        *,
        late: bool,
    ) -> None:
        """A session of a socket has ended. began: the one that ran until now, if one did."""
        energy = event.attributes.get("session_energy_kwh")
        is_it = began is not None and began.order == str(event.attributes.get("order", ""))
        drawn = memory.drawn
        if drawn is None or not is_it or began is None or drawn.began_ms != began.started_at_ms:
            drawn = None
        if is_it:
            memory.drawn = None
        if not isinstance(energy, int | float):
            return
        if energy > USED_KWH and not (drawn is not None and drawn.counted):
            self._used(memory, at_ms, received_ms)
        session = session_id(memory.device.parent or "", str(event.attributes.get("order", "")))
        if drawn is not None and not late:
            self._compare(memory, self._effects().sessions[session], at_ms, received_ms)

    def same(self, memory: DeviceMemory, run: Run, at_ms: int, received_ms: int) -> None:
        """A reading has come once more, for the tenth time running or more."""
        planned = memory.plan.unusual.get(FROZEN)
        if planned is None or not run.value or _is_coarse(run):
            return
        if run.told and self._sign(memory, FROZEN) is not None:
            return
        least = self._least(planned)
        if run.count < least:
            return
        if self._hearing.gaps and self._hearing.gaps[-1].to_ms > run.since_ms:
            run.since_ms, run.count = at_ms, 1  # it may have changed while we could not hear
            return
        was_away = memory.since_ms is not None and memory.since_ms > run.since_ms
        if was_away and not memory.may_sleep:  # who is away every day would never be found out
            run.since_ms, run.count = at_ms, 1  # or while it was away
            return
        if at_ms - run.since_ms < planned.delay_ms or memory.state is not Presence.ONLINE:
            return
        asked, changed = self._peers_of(memory, run)
        if not changed or changed < PEERS_SHARE * asked:
            return
        run.told = True
        evidence: dict[str, Value] = {
            "quantity": run.name,
            "value": run.value,
            "reports": run.count,
            "for_s": (at_ms - run.since_ms) // 1000,
            "peers": asked,
            "peers_changed": changed,
        }
        self._finder.unusual(memory, FROZEN, run.since_ms, received_ms, evidence)

    # Time

    def heard_until(self, before_ms: int | None, watermark_ms: int) -> None:
        """Everything sent before has been judged; what is due is looked at, once an hour all."""
        self._district.clear()
        due = self._due
        while due and due[0][0] <= watermark_ms:
            _, device = heapq.heappop(due)
            memory = self._memories.get(device)
            if memory is None or not memory.in_service:
                continue
            if memory.device.kind == "port":
                self._look_at_socket(memory, watermark_ms)
            else:
                self._look_at_gate(memory, watermark_ms)
        if before_ms is not None and hour_of(before_ms) < hour_of(watermark_ms):
            self._hour_is_over(hour_of(watermark_ms), watermark_ms)

    def _hour_is_over(self, border_ms: int, watermark_ms: int) -> None:
        was_heard = self._was_heard(border_ms - HOUR_MS, border_ms)
        for memory in self._kinds.get("gate", ()):
            if was_heard:
                self._learn(memory, border_ms - HOUR_MS)
        for memory in self._kinds.get("gate", ()):
            if self._is_excused(memory):
                self._passes_unseen(memory, watermark_ms)
            if not self._look_at_gate(memory, watermark_ms):
                self._await_passage(memory, watermark_ms)
        for memory in self._kinds.get("port", ()):
            if memory.device.id not in self._uses:
                if memory.state is Presence.ONLINE:
                    self._uses[memory.device.id] = Uses(watermark_ms)
                    self._unused_from(memory, watermark_ms, watermark_ms)
            elif memory.word("port_status") in UNAVAILABLE:
                # of one that is out of order nobody wonders; its days count from when it is back
                self._uses[memory.device.id].since_ms = watermark_ms
                self._save_uses(memory.device.id)

    def _was_heard(self, from_ms: int, to_ms: int) -> bool:
        return not any(
            gap.from_ms < to_ms and gap.to_ms > from_ms for gap in self._hearing.gaps[-8:]
        )

    def _learn(self, memory: DeviceMemory, hour_ms: int) -> None:
        device = memory.device
        if memory.state is not Presence.ONLINE or (memory.since_ms or 0) > hour_ms:
            return
        hour = memory.hours.get(hour_ms)
        planned = memory.plan.unusual.get(NO_PASSAGE)
        if hour is None or planned is None or self._is_excused(memory):
            return
        granted = hour.figures.get("granted", 0)
        seen = 0 if isinstance(granted, Mapping) else int(granted)
        week = self._weeks.setdefault(device.id, Week())
        at = baselines.week_hour(hour_ms, self._offset_ms(memory, hour_ms))
        if not seen and (week.usual(at) or 0.0) >= self._least(planned):
            return  # it may be out of order, and that is not to become what is usual
        week.learn(at, seen)
        self._effects().baselines[device.id] = week.pack()

    # Gates

    def _since_ms(self, memory: DeviceMemory) -> int:
        """From when on nobody passing says something: nobody has, it was there, and we heard."""
        since_ms = max(memory.passed_ms, memory.since_ms or 0)
        for code in STANDS_OPEN:
            over = memory.faults.get(code)
            if over is not None and over.cleared_at_ms is not None:
                since_ms = max(since_ms, over.cleared_at_ms)
        if self._hearing.gaps:
            since_ms = max(since_ms, self._hearing.gaps[-1].to_ms + GRACE_MS)
        return since_ms

    def _quiet_ms(self, memory: DeviceMemory, until_ms: int) -> int | None:
        """When the gate has been quiet for as long as the rule says, if by `until_ms`."""
        planned = memory.plan.unusual.get(NO_PASSAGE)
        week = self._weeks.get(memory.device.id)
        if planned is None or week is None or memory.state is not Presence.ONLINE:
            return None
        since_ms = self._since_ms(memory)
        if until_ms - since_ms < planned.delay_ms:
            return None
        offset_ms = self._offset_ms(memory, until_ms)
        least = self._least(planned)
        return baselines.quiet_from_ms(week, since_ms, until_ms, offset_ms, least, planned.delay_ms)

    def _await_passage(self, memory: DeviceMemory, watermark_ms: int) -> None:
        """Look again when it will have been quiet for long enough, if that is within the hour."""
        next_ms = hour_of(watermark_ms) + HOUR_MS
        due_ms = self._quiet_ms(memory, next_ms - 1)
        if due_ms is not None and due_ms > watermark_ms:
            heapq.heappush(self._due, (due_ms, memory.device.id))

    def _look_at_gate(self, memory: DeviceMemory, now_ms: int) -> bool:
        """Whether it has been quiet for long enough; then it is a fault, if it is the only one."""
        due_ms = self._quiet_ms(memory, now_ms)
        if due_ms is None:
            return False
        if self._is_excused(memory):
            self._passes_unseen(memory, now_ms)
            return True
        planned = memory.plan.unusual[NO_PASSAGE]
        offset_ms = self._offset_ms(memory, now_ms)
        week = self._weeks[memory.device.id]
        told_ms = due_ms if now_ms - due_ms < PROMPT_MS else now_ms
        if self._sign(memory, NO_PASSAGE) is not None or not baselines.is_busy(
            week, told_ms - 1, offset_ms, self._least(planned)
        ):
            return True
        if not self._others_pass(memory, now_ms, offset_ms):
            return True
        hour_ms = hour_of(told_ms - 1)
        since_ms = self._since_ms(memory)
        evidence: dict[str, Value] = {
            "usual": round(week.usual(baselines.week_hour(hour_ms, offset_ms)) or 0.0, 1),
            "from": _clock(hour_ms + offset_ms),
            "to": _clock(hour_ms + offset_ms + HOUR_MS),
            "seen": 0,
            "for_s": (now_ms - since_ms) // 1000,
        }
        self._finder.unusual(memory, NO_PASSAGE, since_ms, now_ms, evidence)
        return True

    def _passes_unseen(self, memory: DeviceMemory, now_ms: int) -> None:
        """People pass without a word of the gate, or are not to pass: it counts from here on."""
        memory.passed_ms = now_ms
        self._touch(memory)

    def _is_excused(self, memory: DeviceMemory) -> bool:
        """Whether the gate is meant to be open, or shut, or stands open anyway."""
        return (
            memory.word("door_mode") in MEANT_TO_BE
            or memory.word("door_state") == "open"
            or memory.word("arm_state") == "open"
            or any(
                (fault := memory.faults.get(code)) is not None and fault.state in ACTIVE
                for code in STANDS_OPEN
            )
        )

    def _others_pass(self, memory: DeviceMemory, now_ms: int, offset_ms: int) -> bool:
        """Whether people pass elsewhere as they usually do; also where nobody can be asked.

        A compound in which all gates are quiet may have none that works: it is a holiday only if
        the others of the district are quiet as well.
        """
        compound = memory.device.compound
        gates = [gate for gate in self._yards.get((compound, "gate"), ()) if gate is not memory]
        usual, seen = self._passages(gates, now_ms, offset_ms)
        is_asked = usual >= OTHERS_LEAST
        if is_asked and seen >= QUIET_SHARE * usual:
            return True
        usual, seen = self._passages_elsewhere(compound, now_ms, offset_ms)
        if usual < ELSEWHERE_LEAST:
            return not is_asked
        return seen >= QUIET_SHARE_ELSEWHERE * usual

    def _passages_elsewhere(
        self, compound: str, now_ms: int, offset_ms: int
    ) -> tuple[float, float]:
        """Of the gates of all other compounds, counted once for all that are looked at in a tick.

        On a holiday that is every gate there is.
        """
        district = self._district.get(offset_ms)
        if district is None:
            district = self._district[offset_ms] = {
                place: self._passages(gates, now_ms, offset_ms)
                for (place, kind), gates in self._yards.items()
                if kind == "gate"
            }
        others = [counted for place, counted in district.items() if place != compound]
        return sum(usual for usual, _ in others), sum(seen for _, seen in others)

    def _passages(
        self, gates: Iterable[DeviceMemory], now_ms: int, offset_ms: int
    ) -> tuple[float, float]:
        """Usual and seen passages of gates in this hour and the last one."""
        from_ms = hour_of(now_ms) - HOUR_MS
        usual = seen = 0.0
        for gate in gates:
            week = self._weeks.get(gate.device.id)
            is_there = gate.state is Presence.ONLINE and (gate.since_ms or 0) <= from_ms
            if week is None or not is_there:
                continue
            usual += baselines.expected(week, from_ms, now_ms, offset_ms)
            for hour_ms in (from_ms, from_ms + HOUR_MS):
                hour = gate.hours.get(hour_ms)
                granted = hour.figures.get("granted", 0) if hour is not None else 0
                seen += 0.0 if isinstance(granted, Mapping) else granted
        return usual, seen

    # Sockets

    def _await_use(self, memory: DeviceMemory, watermark_ms: int) -> None:
        """Look again when nobody will have used it for as long as the rule says."""
        uses = self._uses.get(memory.device.id)
        planned = memory.plan.unusual.get(IDLE)
        if uses is None or planned is None:
            return
        due_ms = uses.since_ms + int(planned.delay_ms)
        if due_ms <= watermark_ms:  # it was looked at then: the next look is a whole hour from it
            due_ms += ((watermark_ms - due_ms) // LOOK_AGAIN_MS + 1) * LOOK_AGAIN_MS
        heapq.heappush(self._due, (due_ms, memory.device.id))

    def _unused_from(self, memory: DeviceMemory, since_ms: int, watermark_ms: int) -> None:
        self._uses[memory.device.id].since_ms = since_ms
        self._save_uses(memory.device.id)
        self._await_use(memory, watermark_ms)

    def _save_uses(self, device: str) -> None:
        uses = self._uses[device]
        self._effects().baselines[device] = _pack((uses.since_ms, uses.days))

    def _used(self, memory: DeviceMemory, at_ms: int, received_ms: int) -> None:
        uses = self._uses.setdefault(memory.device.id, Uses(at_ms))
        day = baselines.local_day(at_ms, self._offset_ms(memory, at_ms))
        uses.days = baselines.count_use(uses.days, day)
        self._unused_from(memory, max(uses.since_ms, at_ms), received_ms)
        if memory.signs and self._sign(memory, IDLE) is not None:
            self._finder.usual(memory, IDLE, at_ms, received_ms)

    def _look_at_socket(self, memory: DeviceMemory, now_ms: int) -> None:
        uses = self._uses.get(memory.device.id)
        planned = memory.plan.unusual.get(IDLE)
        if uses is None or planned is None or self._sign(memory, IDLE) is not None:
            return
        grace_ms = self._hearing.grace_ms(uses.since_ms, memory.device.interval_s)
        if uses.since_ms + planned.delay_ms > now_ms:
            return  # it was used meanwhile, and is awaited anew
        if (
            uses.since_ms + planned.delay_ms + grace_ms > now_ms
            or memory.session is not None
            or memory.word("port_status") in UNAVAILABLE
            or memory.state is not Presence.ONLINE
            or (memory.since_ms or 0) > now_ms - HOUR_MS  # what it kept may still come
        ):
            self._await_use(memory, now_ms)
            return
        others = [
            known.days
            for sibling in self._registry.children(memory.device.parent or "")
            if sibling is not memory.device and (known := self._uses.get(sibling.id)) is not None
        ]
        offset_ms = self._offset_ms(memory, now_ms)
        a_day = baselines.uses_a_day(others, now_ms, offset_ms)
        if a_day < self._least(planned):
            self._await_use(memory, now_ms)
            return
        evidence: dict[str, Value] = {
            "seen": 0,
            "for_s": (now_ms - uses.since_ms) // 1000,
            "neighbours": len(others),
            "neighbours_a_day": round(a_day, 1),
        }
        self._finder.unusual(memory, IDLE, uses.since_ms, now_ms, evidence)

    def register_moved(
        self, memory: DeviceMemory, jump: Exclusion | None, at_ms: int, received_ms: int
    ) -> None:
        """An energy register of a shed, or of one of its sockets, has jumped; None: it has not."""
        is_shed = memory.device.kind == "shed"
        shed = memory if is_shed else self._memories.get(memory.device.parent or "")
        source = _OWN_METER if is_shed else memory.device.id
        if shed is None:
            return
        if jump is None:
            if shed.signs:
                self._finder.usual(shed, METER, at_ms, received_ms, source=source)
            return
        evidence: dict[str, Value] = {
            "quantity": jump.quantity,
            "before_kwh": round(jump.before_kwh, 3),
            "after_kwh": round(jump.after_kwh, 3),
            "for_s": (jump.at_ms - jump.from_ms) // 1000,
            "excluded_kwh": round(jump.excluded_kwh, 3),
            "why": jump.why.value,
        }
        if not is_shed:
            evidence["port"] = memory.device.id
        self._finder.unusual(shed, METER, at_ms, received_ms, evidence, source=source)

    def draws(self, memory: DeviceMemory, at_ms: int, received_ms: int) -> None:
        """A session that has drawn something is a use of its socket, before it ends."""
        drawn = memory.drawn
        if drawn is None or memory.session is None:
            return
        if not drawn.counted and memory.metered_kwh > USED_KWH:
            drawn.counted = True
            self._used(memory, at_ms, received_ms)

    def _compare(
        self, memory: DeviceMemory, session: Session, at_ms: int, received_ms: int
    ) -> None:
        """Hold an order's energy against what was measured, by its power and by its register."""
        shed = self._memories.get(memory.device.parent or "")
        planned = shed.plan.unusual.get(METER) if shed is not None else None
        if shed is None or planned is None or session.measured is None:
            return
        least, measured, port = self._least(planned), session.measured, memory.device.id
        found = reconciled(session, least)
        if found.status is Status.UNKNOWN:
            return
        if found.status is Status.AGREES:
            self._finder.usual(shed, METER, at_ms, received_ms, source=port)
            return
        apart_by = {
            held: apart
            for told, held, apart in found.apart_pct
            if told is Source.REPORTED and apart > least
        }
        # the power, where that differs: it rests on no counter of the board
        how = Source.POWER if Source.POWER in apart_by else Source.REGISTER
        measured_kwh = (
            measured.power_kwh if how is Source.POWER else whole_by_register_kwh(measured)
        )
        evidence: dict[str, Value] = {
            "port": port,
            "order": session.order,
            "reported_kwh": round(session.energy_kwh or 0.0, 3),
            "measured_kwh": round(measured_kwh or 0.0, 3),
            "measured_by": how.value,
            "apart_pct": round(apart_by[how], 1),
        }
        self._finder.unusual(shed, METER, at_ms, received_ms, evidence, source=port)

    # Who is asked

    def _peers_of(self, memory: DeviceMemory, run: Run) -> tuple[int, int]:
        """Peers that have spoken since the run began, and those whose reading has changed."""
        device = memory.device
        peers = self._yards.get((device.compound, device.kind), ())
        asked, changed = _changed(peers, memory, run)
        if asked:
            return asked, changed
        return _changed(self._kinds.get(device.kind, ())[:PEERS_MOST], memory, run)

    def _least(self, planned: PlannedSign) -> float:
        return float(getattr(planned.sign.detector, "least", 0.0))

    def _sign(self, memory: DeviceMemory, code: str) -> int | None:
        """Since when a guess stands; None: it does not."""
        planned = memory.plan.unusual.get(code)
        seen = memory.signs.get((code, planned.index, "")) if planned is not None else None
        return seen.since_ms if seen is not None and seen.present else None

    def _offset_ms(self, memory: DeviceMemory, at_ms: int) -> int:
        compound = self._registry.compounds[memory.device.compound]
        return offset_ms(compound.timezone, at_ms)


def offset_ms(timezone: str, at_ms: int) -> int:
    """What the clocks there are ahead of UTC at that time."""
    return _offset_ms(timezone, at_ms - at_ms % (HOUR_MS // 4))  # no zone changes between quarters


def _is_coarse(run: Run) -> bool:
    """Whether it is a power in whole watts, which a meter that counts no finer shows for hours."""
    value = run.value
    if run.name != "power_w" or not isinstance(value, int | float):
        return False
    return value < COARSE_W and value == int(value)


@lru_cache(maxsize=256)
def _offset_ms(timezone: str, at_ms: int) -> int:
    offset = datetime.fromtimestamp(at_ms / 1000, _zone(timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)


@lru_cache(maxsize=64)
def _zone(timezone: str) -> ZoneInfo:
    return ZoneInfo(timezone)


def _clock(local_ms: int) -> str:
    minutes = local_ms % DAY_MS // 60_000
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _changed(peers: Iterable[DeviceMemory], but: DeviceMemory, run: Run) -> tuple[int, int]:
    asked = changed = 0
    for peer in peers:
        if peer is but or peer.state is not Presence.ONLINE:
            continue
        for other in peer.runs:
            told = peer.told(other.name)
            if other.name == run.name and told is not None and told[1] > run.since_ms:
                asked += 1
                changed += other.since_ms > run.since_ms
    return asked, changed
