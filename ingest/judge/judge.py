"""The judge: decoded records in journal order in, effects out. Reads no clock and no store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from zlib import adler32

import msgspec

from devices import faults, journal
from devices.catalogue import COMPOUND
from devices.days import midnight_of, next_midnight, zone_of
from devices.faults import Fault, State
from devices.journal import RETAINED, Raw, Record
from devices.judgement import LIVE, DeviceRow, Effects, HourRow, Move, Saved
from devices.liveness import silence_limit_s
from devices.maintenance import Window
from devices.messages import (
    Decoded,
    Event,
    Item,
    Outcome,
    Reading,
    Reason,
    Rejected,
    Report,
    Value,
)
from devices.registers import Exclusion
from devices.registry import Device, Registry
from devices.sessions import Session
from devices.usage import HOUR_MS, hour_of, open_from_ms
from ingest import receipts
from ingest.judge import ledger, use
from ingest.judge.baselines import Baselines, offset_ms
from ingest.judge.calm import CalmReports
from ingest.judge.circuits import CircuitWatch
from ingest.judge.clocks import ClockWatch, is_watched
from ingest.judge.concern import Concerns
from ingest.judge.holds import Holds
from ingest.judge.identity import (
    BYTE,
    HASHED,
    Identities,
    Sight,
    content_hash,
    event_key,
    session_end_key,
)
from ingest.judge.ledger import Ledger
from ingest.judge.memory import DeviceMemory, Presence, Why, pack, pack_latest, unpack
from ingest.judge.plan import Plans
from ingest.judge.platform import PlatformWatch
from ingest.judge.presence import RollCall
from ingest.judge.roots import ALARM, STOPPED, RootFinder
from ingest.judge.signs import FaultFinder
from ingest.judge.sparse import SparseHours
from ingest.judge.timing import (
    BELIEVED,
    DEAF_AFTER_MS,
    TICKS_WITHOUT_PROBE,
    Gap,
    Hearing,
    HostClock,
)
from ingest.judge.values import ValueJudge
from ingest.rate import Allowance, Spared

USE_SAVED_EVERY_MS = 60_000  # coverage and burn time may be so old in the database; events may not
PROMPT_MS = 60_000  # older than this, a message is not of the usual kind

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

Lighting = Callable[[float, float, int], bool]


class _Fate(Enum):
    """What became of one object of a message."""

    NEW = "new"
    KNOWN = "known"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a message of the quarantine is now. reason: for which it stays there, else None."""

    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""


class Judge:
    """State of one stream. `judge` takes one record; `take_effects` hands over what it led to.

    seen_before: whether an identity is on record (the driver asks the database); asked only for
    what lies outside the windows. recall: gives a session that is on record, asked for when its
    start comes long after its end. lighting: whether lamps at (latitude, longitude) are to be on.
    """

    def __init__(
        self,
        registry: Registry,
        plans: Plans,
        *,
        stream: str,
        seen_before: Callable[[bytes], bool],
        recall: Callable[[str], Session | None],
        lighting: Lighting,
    ) -> None:
        self.registry = registry
        self.effects = Effects()
        self.hearing = Hearing()
        self.memories: dict[str, DeviceMemory] = {}
        self._touched: list[DeviceMemory] = []
        self._retiring: list[tuple[int, str]] = []  # when, device; the next one first
        self._allowance = Allowance()
        self._host = HostClock()
        self._take_plans(plans)
        self._lighting = lighting
        self._probed = False
        self._ticks = 0
        self._newest_ms = 0
        self._holds = Holds()
        self._finder = FaultFinder(
            stream,
            self.memories,
            self.hearing,
            self._touch,
            self._fault_moved,
            self._fault_restated,
            self._holds,
            lambda memory, begun: self._roots.cause(memory, begun),
        )
        self._roots = RootFinder(
            stream,
            self.memories,
            self.hearing,
            self._finder,
            self._holds,
            self._touch,
            self._fault_moved,
            self._fault_restated,
            self._commanded,
        )
        self._roll = RollCall(
            registry,
            self.memories,
            self.hearing,
            self._finder,
            self._roots,
            self._gathering,
            self._commanded,
            self._touch,
        )
        self._use = use.UseMeter(
            self._gathering,
            self._commanded,
            self._open_from,
            recall,
            self._float_w,
            self._day_of,
            is_live=stream == LIVE,
            moved=self._register_moved,
        )
        self._values = ValueJudge(
            self.memories,
            self._finder,
            self._use,
            self._touch,
            self._place,
            self._roots.no_power,
        )
        self._circuits = CircuitWatch(
            self.memories, self.hearing, self._finder, self._commanded, self._touch
        )
        self._sparse = SparseHours(
            self.memories, self.hearing, self._finder, self._roots.stood_behind, self._touch
        )
        self._clocks = ClockWatch(self._finder, self._is_caught_up, self._touch)
        self._identities = Identities(self._gathering, seen_before)
        self._ledger = Ledger(self._gathering)
        self._baselines = Baselines(
            self.memories, self.hearing, self._finder, self._gathering, self._touch
        )
        self._calm = CalmReports(self._values, self._use, self._baselines, self._touch)
        self._concerns = Concerns(self.memories, self._roots.compound, self._fault_restated)
        # A back-filled history has no troubles of ours: nobody received it.
        self._platform = PlatformWatch(stream, self._platform_moved) if stream == LIVE else None

    # What was there before

    def load(self, saved: Saved, now_ms: int) -> None:
        """Go on from committed rows. Devices that the registry no longer has are left out.

        now_ms: decides which devices are still in service.
        """
        cursor = saved.cursor
        if cursor is not None:
            state: Any = _unpack(cursor.memory)
            self.hearing.watermark_ms = cursor.watermark_ms
            self.hearing.gaps += [Gap(*gap) for gap in state.get("gaps", ())]
            self._probed = state.get("probed", False)
            self._ticks = state.get("ticks", 0)
            self._newest_ms = state.get("newest_ms", 0)
            self._allowance = msgspec.convert(state.get("allowance", ()), Allowance)
            self._host = msgspec.convert(state.get("host", ()), HostClock)
            self._concerns.load(state.get("stirred", {}))
            if self._platform is not None:
                self._platform.load(saved.faults, state.get("platform"))
            self.effects.position, self.effects.jseq = cursor.position, cursor.jseq
        for row in saved.devices:
            device = self.registry.devices.get(row.device)
            if device is None:
                continue
            memory = DeviceMemory(
                device,
                self._plans.of(device),
                Presence(row.state),
                None if row.reason is None else Why(row.reason),
                row.since_ms,
                row.last_seen_ms,
                row.device_at_ms,
            )
            unpack(memory, row.latest, row.memory)
            self.memories[device.id] = memory
        for fault in saved.faults:
            if fault.device in self.memories:
                self.memories[fault.device].faults[fault.code] = fault
        for session in saved.sessions:
            if session.port in self.memories:
                self.memories[session.port].session = session
        self._take_registry(self.registry, now_ms)
        for memory in self.memories.values():
            self._finder.resume(memory, self.hearing.watermark_ms or 0)
        self._roots.load(saved, self.hearing.watermark_ms or 0)
        self._baselines.load(saved.baselines)
        self._baselines.resume(self.hearing.watermark_ms or 0)

    def registry_changed(self, registry: Registry, now_ms: int) -> None:
        """From here on messages are judged by this registry."""
        self._take_registry(registry, now_ms)
        self._roll.tell_counts()

    def windows_changed(self, windows: Iterable[Window]) -> None:
        """From here on these maintenance windows count."""
        standing = (
            fault
            for memory in (*self.memories.values(), *self._roots.compounds())
            for fault in memory.faults.values()
            if fault.state is not State.CLOSED
        )
        self._holds.windows_changed(windows, standing)

    def rules_changed(self, plans: Plans, now_ms: int) -> None:
        """From here on messages are judged by these plans, and so is what stands."""
        self._take_plans(plans)
        for memory in self.memories.values():
            memory.outlook = None
            if memory.in_service:
                self._finder.replan(memory, plans.of(memory.device), now_ms)
        self._roots.rules_changed(plans, now_ms)
        self._roll.registry_changed(self.registry)

    def _take_plans(self, plans: Plans) -> None:
        self._plans = plans
        self._spared = Spared(plans)

    def person_moved(self, fault: Fault, now_ms: int) -> None:
        """A person acted on a fault."""
        self._concerns.person_moved(fault)
        memory = self.memories.get(fault.device or "")
        if memory is not None:
            self._finder.person_moved(memory, fault, now_ms)
            self._roots.person_moved(memory, fault, now_ms)
            self._baselines.person_moved(memory, fault, now_ms)
        elif fault.kind == COMPOUND:
            self._roots.compound_moved(fault, now_ms)
        elif fault.device is None and self._platform is not None:
            self._platform.person_moved(fault)

    def _take_registry(self, registry: Registry, now_ms: int) -> None:
        self.registry = registry
        for device in registry.devices.values():
            memory = self.memories.get(device.id)
            if memory is None:
                memory = DeviceMemory(device, self._plans.of(device))
                self.memories[device.id] = memory
            elif memory.device.kind != device.kind:
                memory = self._becomes(memory, device, now_ms)
            elif memory.device.compound != device.compound:
                self._moves_away(memory, now_ms)
            memory.device = device
            memory.outlook = None
            plan = self._plans.of(device)
            if plan is not memory.plan:
                self._finder.replan(memory, plan, now_ms)
            memory.wants_receipts = receipts.is_wanted(device)
            retired_ms = device.decommissioned_at_ms
            memory.in_service = retired_ms is None or retired_ms > now_ms
            if not memory.in_service:
                self._use.abandon(memory)
                self._finder.retire(memory, "out_of_service", now_ms)
            elif any(fault.kind != device.kind for fault in memory.faults.values()):
                self._finder.retire_kinds(memory, now_ms)  # it changed while nobody judged
        for gone in self.memories.keys() - registry.devices.keys():
            del self.memories[gone]
        self._retiring = sorted(
            (device.decommissioned_at_ms, device.id)
            for device in registry.devices.values()
            if device.decommissioned_at_ms is not None and device.decommissioned_at_ms > now_ms
        )
        self._roots.registry_changed(registry, self._plans, now_ms)
        self._roll.registry_changed(registry)
        self._circuits.registry_changed(registry)
        self._baselines.registry_changed(registry)
        self._concerns.registry_changed(registry)

    def _retire_due(self, watermark_ms: int) -> None:
        """The last day of some devices has come: as if the registry said so only now."""
        while self._retiring and self._retiring[0][0] <= watermark_ms:
            _, device = self._retiring.pop(0)
            memory = self.memories[device]
            memory.in_service = False
            self._use.abandon(memory)
            self._finder.retire(memory, "out_of_service", watermark_ms)
            self._touch(memory)
        self._roll.registry_changed(self.registry)
        self._roll.tell_counts()

    def _becomes(self, memory: DeviceMemory, device: Device, now_ms: int) -> DeviceMemory:
        """A device that is of another kind from here on, and is known for nothing yet."""
        self._moves_away(memory, now_ms, "kind_changed")
        fresh = DeviceMemory(device, self._plans.of(device))
        # the one that waits for a person still does
        fresh.faults = {c: f for c, f in memory.faults.items() if f.state is not State.CLOSED}
        self._touched = [touched for touched in self._touched if touched is not memory]
        self.memories[device.id] = fresh
        self._touch(fresh)
        return fresh

    def _moves_away(self, memory: DeviceMemory, now_ms: int, why: str = "moved") -> None:
        """What the device did and had in its old compound, or as its old kind, stays there."""
        self._use.abandon(memory)
        self._finder.retire(memory, why, now_ms)
        memory.saved_use_ms = 0
        self._save_use(memory, self.effects)
        memory.hours.clear()
        self._baselines.forget(memory)

    # What comes in

    def judge(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        """Judge one record. decoded: one for each of its messages, in order."""
        effects = self.effects
        if record.kind == journal.MESSAGES:
            if record.corrupt:
                self._ledger.corrupt(record)
            self._messages(record, decoded)
            effects.messages += record.count
            effects.jseq = record.first_jseq + record.count - 1
        elif record.control is not None:
            self._control(record.kind, record.control)
        effects.position = record.id

    def take_effects(self) -> Effects:
        """What has gathered; it then gathers anew. The caller commits it, or drops the judge."""
        effects = self.effects
        self._roots.hand_over(effects)
        effects.watermark_ms = self.hearing.watermark_ms
        effects.memory = _pack(
            {
                "gaps": [(gap.from_ms, gap.to_ms) for gap in self.hearing.gaps],
                "probed": self._probed,
                "ticks": self._ticks,
                "newest_ms": self._newest_ms,
                "allowance": self._allowance,
                "host": self._host,
                "stirred": self._concerns.kept,
                "platform": None if self._platform is None else self._platform.kept,
            }
        )
        for memory in self._touched:
            memory.dirty = False
            self._save_use(memory, effects)
            if memory.wants_receipts and (stored := memory.window.stored_to()) is not None:
                effects.receipts[memory.device.id] = stored
            effects.devices.append(
                DeviceRow(
                    memory.device.id,
                    memory.state.value,  # a plain str: SQLite's driver looks at others for 1 µs
                    None if memory.reason is None else memory.reason.value,
                    memory.since_ms,
                    memory.last_seen_ms,
                    memory.device_at_ms,
                    pack_latest(memory),
                    pack(memory),
                )
            )
        self._touched = []
        self.effects = Effects(position=effects.position, jseq=effects.jseq)
        return effects

    def finish(self, now_ms: int) -> None:
        """End a back-filled history: close its faults and sessions, save all its usage."""
        for memory in (*self.memories.values(), *self._roots.compounds()):
            memory.signs.clear()
            for fault in list(memory.faults.values()):
                if fault.state is not State.CLOSED:
                    closed, event = faults.end_history(fault, now_ms)
                    memory.faults[fault.code] = closed
                    self._fault_moved(memory, Move(closed, fault.state, event))
            self._use.abandon(memory)
            memory.saved_use_ms = 0
            if memory.hours:
                self._touch(memory)

    def _control(self, kind: str, control: Mapping[str, int | bool | str]) -> None:
        self._allowance.control(kind, control)
        was_suspect = self._host.is_suspect
        self._host.control(kind, control)
        if was_suspect and not self._host.is_suspect:
            self._roll.clock_is_believed(int(control["at_ms"]))
        gap: Gap | None = None
        if kind == journal.PROBE:
            self._probed = True
            # sent before the clock was set back, it came before it was sent
            gap = self._heard_until(min(int(control["sent_ms"]), int(control["at_ms"])))
        elif kind == journal.TICK and not self._probed:
            # The broker may forbid our probe. Then the newest message is the best we know.
            self._ticks += 1
            if self._ticks >= TICKS_WITHOUT_PROBE and self._newest_ms:
                self._heard_until(self._newest_ms)
        elif kind == journal.CLOCK and int(control["step_s"]) < 0:
            # Else everybody seen by the clock as it is now would look silent for the whole step.
            self._newest_ms = min(self._newest_ms, int(control["at_ms"]))
            self._roll.clock_went_back(int(control["at_ms"]))
            self._roots.clock_went_back(int(control["at_ms"]))
        if self._platform is not None:
            self._platform.control(kind, control, gap)

    def _heard_until(self, watermark_ms: int) -> Gap | None:
        """Everything sent before has been judged: timers run, silence is silence.

        Gives the time before it in which we could not hear, if there was one.
        """
        before_ms = self.hearing.watermark_ms
        gap = self.hearing.heard(watermark_ms)
        watermark_ms = self.hearing.watermark_ms or watermark_ms
        if gap is not None:
            self._roll.we_were_deaf(gap, watermark_ms)
        if self._retiring and self._retiring[0][0] <= watermark_ms:
            self._retire_due(watermark_ms)
        self._finder.tick(watermark_ms)
        self._sparse.heard_until(before_ms, watermark_ms)
        self._roll.heard_until(watermark_ms)
        self._circuits.heard_until(before_ms, watermark_ms)
        self._roots.heard_until(watermark_ms)
        self._baselines.heard_until(before_ms, watermark_ms)
        for subject, code in self._holds.due(watermark_ms):
            compound = self._roots.compound(subject)
            if subject in self.memories:
                self._finder.hold_ended(self.memories[subject], code, watermark_ms)
            elif compound is not None:
                self._roots.hold_ended(compound, code, watermark_ms)
        if before_ms is not None and hour_of(before_ms) < hour_of(watermark_ms):
            for memory in self.memories.values():
                if memory.device.kind == "lamp" and memory.state is Presence.OFFLINE:
                    self._use.silent(memory, watermark_ms)
                    self._touch(memory)
        self._concerns.tick(self.effects, before_ms, watermark_ms)
        return gap

    def _messages(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        """Judge a batch. The usual message is judged here, all others by `_message`.

        Usual: a calm report of a device that is online and whose clock was right, next in its
        sequence and not one too many; of a shed, together with its sockets. Written out, because
        nearly all messages are such: 2 µs instead of 9 where no usage is metered and nothing
        stands. A test holds both ways equal.
        """
        memories = self.memories
        online = Presence.ONLINE  # Python 3.11 calls a function for it, which takes 0.1 µs
        take = self._calm.take
        most_ms, step_ms = self._allowance.most_ms, self._allowance.step_ms
        stored: dict[tuple[str, int], int] = {}
        if record.messages:
            self._newest_ms = max(self._newest_ms, record.messages[-1].received_ms)
        if self._host.is_suspect:
            self._host.heard(record, decoded)
            if not self._host.is_suspect:
                self._roll.clock_is_believed(record.messages[-1].received_ms)
        jseq = record.first_jseq - 1
        for raw, said in zip(record.messages, decoded, strict=True):
            jseq += 1
            if not said.calm:
                self._message(jseq, raw, said.unfold() if type(said) is Reading else said)
                continue
            _, payload, flags, received_ms, origin = raw  # cheaper than by name
            reports: list[Report] | None = None
            reporters: list[DeviceMemory] | None = None
            if type(said) is Reading:
                device, at_ms, boot, seq = said.device, said.at_ms, said.boot, said.seq
                values = said.values
            else:
                sender, item = said.device, said.items[0]
                assert sender is not None  # a calm one has all three
                assert item.at_ms is not None
                assert item.seq is not None
                device, at_ms, boot, seq = sender, item.at_ms, item.boot, item.seq
                reports = item.reports
            memory = memories.get(device.id)
            if (
                memory is not None
                and not flags & RETAINED
                and seq == (window := memory.window).high + 1
                and boot == window.boot
                and memory.state is online
                and (not memory.signs or not is_watched(memory))
                and memory.whole_ms - received_ms <= most_ms
                and memory.will_ms is None
                and memory.device_at_ms is not None
                and memory.device_at_ms <= at_ms <= received_ms
                and received_ms - at_ms <= PROMPT_MS
            ):
                hour_ms = at_ms - at_ms % HOUR_MS
                if reports is not None:
                    reporters = self._all_well(reports, hour_ms)
                    is_usual = reporters is not None
                else:
                    is_usual = hour_ms in memory.hours or use.may_begin(memory, hour_ms)
                if is_usual:
                    whole_ms = memory.whole_ms
                    memory.whole_ms = (
                        whole_ms + step_ms if whole_ms > received_ms else received_ms + step_ms
                    )
                    window.high = seq
                    window.hashes[seq % HASHED] = adler32(payload) % BYTE
                    if at_ms > window.newest_ms:
                        window.newest_ms = at_ms
                    if reports is None or reporters is None:
                        take(memory, values, hour_ms, at_ms, received_ms)
                    else:
                        for reporter, report in zip(reporters, reports, strict=True):
                            take(reporter, report.values, hour_ms, at_ms, received_ms)
                        memory.device_at_ms, memory.last_seen_ms = at_ms, received_ms
                    if not memory.dirty:
                        memory.dirty = True
                        self._touched.append(memory)
                    if received_ms >= hour_ms + HOUR_MS:
                        hour_ms = received_ms - received_ms % HOUR_MS
                    key = (origin, hour_ms)
                    stored[key] = stored.get(key, 0) + 1
                    continue
            self._message(jseq, raw, said.unfold() if type(said) is Reading else said)
        if record.messages and self._platform is not None:
            self._platform.messages_came()
        for (origin, hour_ms), count in stored.items():
            self._ledger.stored(origin, hour_ms, count)

    def _all_well(self, reports: Iterable[Report], hour_ms: int) -> list[DeviceMemory] | None:
        """All that report in one message, if they are known and online."""
        memories, online = self.memories, Presence.ONLINE
        found = []
        for report in reports:
            memory = memories.get(report.device.id)
            if (
                memory is None
                or memory.state is not online
                or memory.will_ms is not None
                or not (hour_ms in memory.hours or use.may_begin(memory, hour_ms))
            ):
                return None
            found.append(memory)
        return found

    def _message(self, jseq: int, raw: Raw, said: Decoded) -> None:
        device = said.device
        memory = None if device is None else self.memories.get(device.id)
        if (
            said.reason is None
            and memory is not None
            and not raw.flags & RETAINED
            and not self._is_allowed(memory, raw.received_ms)
        ):
            said = self._spared.of(said)
        if said.reason is not None or device is None or memory is None:
            # a device that is not in memory was decoded by a registry newer than ours
            reason = said.reason or Reason.UNKNOWN_DEVICE
            self._ledger.quarantined(jseq, raw, said, reason, said.detail)
            # Anyone could have sent what carries a false identity.
            if memory is not None and reason is not Reason.IDENTITY and not raw.flags & RETAINED:
                self._roll.is_alive(memory, raw.received_ms)
                if not said.array:  # of an element that was refused nothing says when it was made
                    self._values.refused(said, raw.received_ms, raw.received_ms)
            return
        if raw.flags & RETAINED:
            self._ledger.stored(raw.origin, raw.received_ms)
            self._ledger.mark(raw, ledger.RETAINED)
            return
        marks: set[str] = set()
        live_ms: list[int] = []
        missed = memory.window.missed()
        fates = {
            self._item(memory, item, raw, said, index, marks, live_ms)
            for index, item in enumerate(said.items)
        }
        if memory.window.missed() != missed:
            self._missed(memory, said, raw.received_ms, raw.received_ms)
        if not said.array:
            self._roll.spoke(memory, said, raw.received_ms)
        if _Fate.NEW in fates or not fates:
            self._ledger.stored(raw.origin, raw.received_ms)
            for mark in marks:
                self._ledger.mark(raw, mark)
            if said.unknown:
                self._ledger.unknown(jseq, raw, said)
            if said.rejected:
                self._ledger.partial(jseq, raw, said)
                if live_ms:
                    self._values.refused(said, max(live_ms), raw.received_ms)
        elif _Fate.KNOWN in fates:
            self._ledger.duplicate(raw)
        else:
            refused = said.rejected[-1]
            self._ledger.quarantined(jseq, raw, said, refused.reason, refused.detail)
            self._roll.spoke(memory, said, raw.received_ms)

    def _missed(self, memory: DeviceMemory, said: Decoded, received_ms: int, now_ms: int) -> None:
        at_ms, _ = self._host.event_time(said.items[-1].at_ms, received_ms)
        self._finder.missed(memory, min(at_ms, received_ms), now_ms)

    def _is_allowed(self, memory: DeviceMemory, received_ms: int) -> bool:
        """Whether a message is not one too many of its device."""
        whole_ms = self._allowance.charged(memory.whole_ms, received_ms)
        if whole_ms is None:
            return False
        if whole_ms != memory.whole_ms:
            memory.whole_ms = whole_ms
            self._touch(memory)
        return True

    def replay(self, raw: Raw, said: Decoded, was: Reason, now_ms: int) -> Verdict:
        """Judge a message of the quarantine again; its account moves in the hour of its receipt.

        It is late by definition: history and usage, never the present, and no sign of life. A
        safety value or event in it raises its fault, marked late, which is over at once.
        was: why it was there. now_ms: when it was asked for.
        """
        memory = None if said.device is None else self.memories.get(said.device.id)
        if said.reason is not None or memory is None:
            verdict = Verdict(
                Outcome.QUARANTINED, said.reason or Reason.UNKNOWN_DEVICE, said.detail
            )
        elif raw.flags & RETAINED:
            self._ledger.mark(raw, ledger.RETAINED)
            verdict = Verdict(Outcome.STORED)
        else:
            verdict = self._replay_items(memory, raw, said, was, now_ms)
        self._ledger.again(raw, said, was, verdict.outcome, verdict.reason)
        return verdict

    def _replay_items(
        self, memory: DeviceMemory, raw: Raw, said: Decoded, was: Reason, now_ms: int
    ) -> Verdict:
        marks: set[str] = set()
        missed = memory.window.missed()
        fates = {
            self._item(memory, item, raw, said, index, marks, [], now_ms)
            for index, item in enumerate(said.items)
        }
        if memory.window.missed() != missed:
            self._missed(memory, said, raw.received_ms, now_ms)
        for device in {report.device.id for item in said.items for report in item.reports}:
            if device in self.memories:  # nothing else may come to save it for long
                self.memories[device].saved_use_ms = -USE_SAVED_EVERY_MS
        if _Fate.NEW in fates or not fates:
            for mark in marks:
                self._ledger.mark(raw, mark)
            return Verdict(Outcome.STORED)
        if _Fate.KNOWN in fates and was is not Reason.CONFLICT:
            return Verdict(Outcome.DUPLICATE)
        if _Fate.KNOWN in fates:  # the window remembers that number, and no longer whose it was
            return Verdict(Outcome.QUARANTINED, was, "its number was another message's")
        refused = said.rejected[-1]
        return Verdict(Outcome.QUARANTINED, refused.reason, refused.detail)

    def _item(
        self,
        memory: DeviceMemory,
        item: Item,
        raw: Raw,
        said: Decoded,
        index: int,
        marks: set[str],
        live_ms: list[int],
        replay_ms: int | None = None,
    ) -> _Fate:
        """Judge one object of a message.

        marks: what it adds to those of the message. live_ms: gets its time if it is new and live.
        replay_ms: when it is judged again, out of the quarantine; else None.
        """
        received_ms = raw.received_ms
        told_ms = received_ms if replay_ms is None else replay_ms
        host = self._host if replay_ms is None else BELIEVED
        at_ms, plausible = host.event_time(item.at_ms, received_ms)
        if not plausible and said.array:
            detail = f"implausible time {item.at_ms}"
            return self._refuse(memory, item, said, Reason.CLOCK, detail, received_ms, told_ms)
        is_dated = plausible and item.at_ms is not None
        order_ms = host.order_ms(at_ms, received_ms, memory.device_at_ms, is_dated=is_dated)
        sight = self._identities.sight(
            memory.device.id,
            memory.window,
            item,
            order_ms,
            plausible,
            raw.payload,
            content_hash(said, raw.payload),
            index,
        )
        if sight is Sight.SEEN:
            return _Fate.KNOWN
        if sight is Sight.REUSED:
            detail = f"boot {item.boot}, seq {item.seq} was another message's"
            return self._refuse(memory, item, said, Reason.CONFLICT, detail, received_ms, told_ms)
        self._touch(memory)
        has_identity = item.seq is not None or item.at_ms is not None
        replayed = replay_ms is not None or (
            said.array
            and host.earliest_ms(received_ms) - order_ms > silence_limit_s(memory.device) * 1000
        )
        late = replayed or (memory.device_at_ms is not None and order_ms < memory.device_at_ms)
        if said.array and not late:
            self._roll.spoke(memory, said, received_ms)
        for report in item.reports:
            reporter = (
                memory if report.device is memory.device else self.memories.get(report.device.id)
            )
            if reporter is None:
                continue
            if has_identity or _is_next(reporter, order_ms):
                self._use.report(reporter, report.values, order_ms)
            if late:
                self._values.late(reporter, report.values, order_ms, told_ms, replayed)
                self._use.overtaken(reporter, order_ms, replayed=replay_ms is not None)
            else:
                self._values.live(reporter, report.values, order_ms, received_ms)
                if reporter.runs:
                    self._baselines.read(reporter, report.values, order_ms, received_ms)
        if replay_ms is None and not said.array:
            self._clocks.told(memory, item, received_ms)
        new = bool(item.reports) or item.status is not None or not item.events
        for event in item.events:
            surely = sight is Sight.NEW
            new = self._event(event, item, order_ms, told_ms, replayed, surely) or new
        if item.status == "offline" and not replayed:
            memory.will_ms = received_ms
        if not replayed and (memory.device_at_ms is None or order_ms > memory.device_at_ms):
            memory.device_at_ms = order_ms
        if not new:
            return _Fate.KNOWN
        if late:
            marks.add(ledger.LATE)
            if order_ms < self._open_from(memory):
                marks.add(ledger.LATE_AFTER_FINAL)
        else:
            live_ms.append(order_ms)
        if not plausible:
            marks.add(ledger.CLOCK)
        return _Fate.NEW

    def _refuse(
        self,
        memory: DeviceMemory,
        item: Item,
        said: Decoded,
        reason: Reason,
        detail: str,
        received_ms: int,
        told_ms: int,
    ) -> _Fate:
        """An object that cannot be taken for what it says; a safety sign in it still raises."""
        said.rejected.append(Rejected(reason, memory.device.id, "", detail))
        for report in item.reports:
            reporter = self.memories.get(report.device.id)
            if reporter is not None:
                self._values.past(reporter, report.values, received_ms, told_ms)
        for event in item.events:
            sender = self.memories.get(event.device.id)
            if sender is not None:
                self._event_signs(sender, event, received_ms, told_ms, late=True)
        return _Fate.REFUSED

    # Events

    def _event(
        self,
        event: Event,
        item: Item,
        at_ms: int,
        received_ms: int,
        replayed: bool,
        surely: bool,
    ) -> bool:
        """Judge one event; whether it was new. surely: the message's number proves that it is."""
        memory = self.memories.get(event.device.id)
        if memory is None:
            return False
        key = event_key(event, item)
        late = replayed or at_ms < memory.event_at_ms
        if key is None:
            # No number and no time: it may set levels, and never adds up.
            self._event_signs(memory, event, at_ms, received_ms, late, adds_up=False)
            return True
        # A session's start and end are repeated under new numbers: their order is what counts.
        if not self._identities.is_first(
            key, at_ms, surely=surely and "order" not in event.attributes
        ):
            return False
        match event.type:
            case "access":
                self._use.access(memory, event, at_ms)
                seen_ms = at_ms if late else received_ms
                self._baselines.passed(memory, event, seen_ms, received_ms)
            case "session_start":
                if not late or self._use.may_start_late(
                    memory, event, lambda: self._identities.is_known(session_end_key(event))
                ):
                    self._use.session_start(memory, event, at_ms)
                else:
                    self._use.started_unseen(memory, event, at_ms)
            case "session_end":
                began = memory.session
                if not self._use.session_end(memory, event, at_ms, late=late):
                    return False
                self._baselines.ended(memory, event, began, at_ms, received_ms, late=late)
            case "normally_open" | "fire_open" | "command" if not late:
                self._use.implied(memory, event, at_ms)
        if late and event.type in use.METERED_EVENTS:
            self._use.overtaken(memory, at_ms, replayed=replayed)
        memory.saved_use_ms = 0  # what happened once is shown at once
        self._event_signs(memory, event, at_ms, received_ms, late)
        if late and not replayed:
            self._finder.overtaken_event(memory, event, at_ms, received_ms)
        if not late:
            memory.event_at_ms = at_ms
        self._touch(memory)
        return True

    def _event_signs(
        self,
        memory: DeviceMemory,
        event: Event,
        at_ms: int,
        received_ms: int,
        late: bool,
        *,
        adds_up: bool = True,
    ) -> None:
        shed = (
            self.memories.get(memory.device.parent or "") if event.type == "session_end" else None
        )
        if not late:
            self._power(memory, event, at_ms, received_ms)
            if event.type == "login":
                self._logged_in(memory, event, at_ms)
            self._finder.event(memory, event, at_ms, received_ms, adds_up=adds_up)
            if shed is not None:
                self._finder.port_event(shed, memory.device.id, event, at_ms, received_ms)
            return
        evidence: dict[str, Value] = {"event": event.type, **event.attributes}
        self._finder.late(
            memory, self._finder.shown_by(memory, event), at_ms, received_ms, evidence
        )
        if shed is not None:
            self._finder.late(
                shed, self._finder.shown_by(shed, event), at_ms, received_ms, evidence
            )

    def _logged_in(self, memory: DeviceMemory, event: Event, at_ms: int) -> None:
        """A board has begun anew, and with it the sessions of its ports."""
        power_was_gone = event.attributes.get("reason") == "power_on"
        for port in self.registry.children(memory.device.id):
            of_port = self.memories.get(port.id)
            if of_port is not None and of_port.session is not None:
                self._use.restarted(of_port, at_ms, power_was_gone=power_was_gone)
                of_port.saved_use_ms = 0
                self._touch(of_port)

    def _power(self, memory: DeviceMemory, event: Event, at_ms: int, received_ms: int) -> None:
        """What a live event says of the power."""
        said = event.attributes
        match event.type:
            case "login" if said.get("reason") == "power_on":
                self._roots.powered_on(memory, received_ms)
            case "shed_alarm" if said.get("what") == "power_cut" and said.get("active"):
                self._roots.no_power(memory, ALARM, at_ms, received_ms)
            case "session_end" if said.get("stop_reason") == "power_cut":
                self._roots.no_power(memory, STOPPED, at_ms, received_ms)

    # Bookkeeping

    def _register_moved(self, memory: DeviceMemory, jump: Exclusion | None, at_ms: int) -> None:
        self._baselines.register_moved(memory, jump, at_ms, max(self._newest_ms, at_ms))

    def _commanded(self, memory: DeviceMemory, at_ms: int) -> bool:
        compound = self.registry.compounds[memory.device.compound]
        return self._lighting(compound.latitude, compound.longitude, at_ms)

    def _open_from(self, memory: DeviceMemory) -> int:
        """The time before which the figures of usage change no more."""
        zone = self.registry.compounds[memory.device.compound].timezone
        now_ms = max(self._newest_ms, self.hearing.watermark_ms or 0)
        return open_from_ms(offset_ms(zone, now_ms), now_ms)

    def _day_of(self, memory: DeviceMemory, at_ms: int) -> tuple[int, int]:
        zone = zone_of(self.registry.compounds[memory.device.compound].timezone)
        return midnight_of(at_ms, zone), next_midnight(at_ms, zone)

    def _float_w(self, memory: DeviceMemory) -> float:
        return use.float_w(memory.device, self.registry)

    def _place(self, memory: DeviceMemory) -> tuple[float, float]:
        compound = self.registry.compounds[memory.device.compound]
        return compound.latitude, compound.longitude

    def _is_caught_up(self, received_ms: int) -> bool:
        """Whether a message of that time came to us at once: a probe sent shortly before is back.

        Without probes nobody knows, and by a clock of ours that is suspect nothing can be said.
        """
        watermark_ms = self.hearing.watermark_ms
        return (
            self._probed
            and self._allowance.link_ms is None
            and not self._host.is_suspect
            and watermark_ms is not None
            and received_ms - watermark_ms <= DEAF_AFTER_MS
        )

    def _gathering(self) -> Effects:
        return self.effects

    def _touch(self, memory: DeviceMemory) -> None:
        """Note that this device's row must be written."""
        if not memory.dirty:
            memory.dirty = True
            self._touched.append(memory)

    def _fault_moved(self, memory: DeviceMemory, move: Move) -> None:
        move = self._circuits.timed(memory, self._roots.timed(memory, move))
        self.effects.moves.append(move)
        self.effects.restated.pop(move.fault.id, None)  # the move's row is the newer one
        if memory.device.kind != COMPOUND:  # that has no row of its own among the devices
            self._touch(memory)
        self._roots.fault_moved(memory, move)
        self._concerns.moved(move)
        self._circuits.fault_moved(memory, move)

    def _fault_restated(self, fault: Fault) -> None:
        self.effects.restated[fault.id] = fault

    def _platform_moved(self, move: Move) -> None:
        self.effects.moves.append(move)

    def _save_use(self, memory: DeviceMemory, effects: Effects) -> None:
        """Hand over the hours of a device when something happened, or once a minute."""
        hours = memory.hours
        if not hours:
            return
        settled = use.settled(memory)
        now_ms = memory.last_seen_ms or 0
        if not settled and now_ms - memory.saved_use_ms < USE_SAVED_EVERY_MS:
            return
        memory.saved_use_ms = now_ms
        device = memory.device
        for start, hour in hours.items():
            if hour.moved:
                hour.moved = False
                if hour.overtaken:
                    effects.again.setdefault((device.id, start), False)
                effects.hours.append(
                    HourRow(
                        device.id,
                        device.compound,
                        device.kind,
                        start,
                        hour.received,
                        hour.figures,
                    )
                )
        for start in settled:
            del hours[start]


def _is_next(memory: DeviceMemory, at_ms: int) -> bool:
    """Whether a report that nothing tells apart from a repeated one is the next by its time."""
    last_ms = memory.device_at_ms
    return last_ms is None or at_ms - last_ms >= memory.device.interval_s * 500
