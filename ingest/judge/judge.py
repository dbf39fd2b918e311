"""The judge: decoded records in journal order in, effects out. Reads no clock and no store."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from devices import faults, journal
from devices.faults import Fault, State
from devices.journal import RETAINED, Raw, Record
from devices.judgement import DeviceRow, Effects, HourRow, Move, Refused, Saved
from devices.liveness import silence_limit_s
from devices.messages import Decoded, Event, Item, Outcome, Reading, Reason, Rejected, Value
from devices.registry import Device, Registry
from devices.usage import HOUR_MS
from ingest.judge import use
from ingest.judge.identity import content_key, event_key, message_key
from ingest.judge.memory import DeviceMemory, Presence, Why, pack, pack_latest, unpack
from ingest.judge.plan import KindPlan
from ingest.judge.signs import FaultFinder
from ingest.judge.timing import Gap, Hearing, event_time

KEPT_PAYLOADS = 100  # whole payloads per origin or device, reason and hour (reliability.md §3.7)
KEPT_ROWS = 1000  # and rows without one; beyond that a message is only counted
USE_SAVED_EVERY_MS = 60_000  # coverage and burn time may be so old in the database; events may not
METERED = frozenset({"port", "lamp"})  # kinds whose values add up to usage
PROMPT_MS = 60_000  # older than this, a message is not of the usual kind
TICKS_WITHOUT_PROBE = 6  # after so many the broker is taken to forbid our probe

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

Lighting = Callable[[float, float, int], bool]
_PLACES = {Presence.ONLINE: 0, Presence.OFFLINE: 1, Presence.UNKNOWN: 2, Presence.NEVER_SEEN: 3}


class Judge:
    """State of one stream. `judge` takes one record; `take_effects` hands over what it led to.

    seen_before: whether an identity is on record (the driver asks the database); asked only for
    what lies outside the windows. lighting: whether lamps at (latitude, longitude) are to be on.
    """

    def __init__(
        self,
        registry: Registry,
        plans: Mapping[str, KindPlan],
        *,
        stream: str,
        seen_before: Callable[[bytes], bool],
        lighting: Lighting,
    ) -> None:
        self.registry = registry
        self.effects = Effects()
        self._touched: list[DeviceMemory] = []
        self.hearing = Hearing()
        self.memories: dict[str, DeviceMemory] = {}
        self._plans = plans
        self._stream = stream
        self._seen_before = seen_before
        self._lighting = lighting
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._probed = False
        self._ticks = 0
        self._newest_ms = 0
        self._kept: dict[tuple[str, str], int] = {}
        self._kept_hour = 0
        self._finder = FaultFinder(stream, self._touch, self._fault_moved)
        self._use = use.UseMeter(lambda: self.effects, self._commanded)

    # What was there before

    def load(self, saved: Saved) -> None:
        """Go on from committed rows. Devices that the registry no longer has are left out."""
        cursor = saved.cursor
        watermark_ms = None
        if cursor is not None:
            state: Any = _unpack(cursor.memory)
            watermark_ms = cursor.watermark_ms
            self.hearing = Hearing(watermark_ms, [Gap(*gap) for gap in state.get("gaps", ())])
            self._probed = state.get("probed", False)
            self.effects.position, self.effects.jseq = cursor.position, cursor.jseq
        for row in saved.devices:
            device = self.registry.devices.get(row.device)
            if device is None:
                continue
            memory = DeviceMemory(
                device,
                self._plans[device.kind],
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
        self.registry_changed(self.registry)
        for memory in self.memories.values():
            self._finder.resume(memory, watermark_ms or 0)

    def registry_changed(self, registry: Registry) -> None:
        """From here on messages are judged by this registry."""
        self.registry = registry
        for device in registry.devices.values():
            known = self.memories.get(device.id)
            if known is None:
                self.memories[device.id] = DeviceMemory(device, self._plans[device.kind])
            else:
                known.device = device
        for gone in self.memories.keys() - registry.devices.keys():
            del self.memories[gone]
        self._counts = {}
        self._deadlines = []
        for memory in self.memories.values():
            counts = self._counts.setdefault((memory.device.compound, memory.device.kind), [0] * 4)
            if memory.device.decommissioned_at_ms is None:
                counts[_PLACES[memory.state]] += 1
                self._expect(memory)

    def person_moved(self, fault: Fault, now_ms: int) -> None:
        """A person acted on a fault."""
        memory = self.memories.get(fault.device or "")
        if memory is not None:
            self._finder.person_moved(memory, fault, now_ms)
            self._touch(memory)

    # What comes in

    def judge(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        """Judge one record. decoded: one for each of its messages, in order."""
        effects = self.effects
        if record.kind == journal.MESSAGES:
            if record.corrupt:
                key = (
                    journal.UNASSIGNED,
                    0,
                    Outcome.QUARANTINED.value,
                    Reason.JOURNAL_CORRUPT.value,
                )
                effects.accounts[key] = effects.accounts.get(key, 0) + record.count
            self._messages(record, decoded)
            effects.messages += record.count
            effects.jseq = record.first_jseq + record.count - 1
        elif record.control is not None:
            self._control(record.kind, record.control)
        effects.position = record.id

    def take_effects(self) -> Effects:
        """What has gathered; it then gathers anew. The caller commits it, or drops the judge."""
        effects = self.effects
        effects.watermark_ms = self.hearing.watermark_ms
        effects.memory = _pack(
            {
                "gaps": [(gap.from_ms, gap.to_ms) for gap in self.hearing.gaps],
                "probed": self._probed,
            }
        )
        for memory in self._touched:
            memory.dirty = False
            self._save_use(memory, effects)
            effects.devices.append(
                DeviceRow(
                    memory.device.id,
                    memory.state,
                    memory.reason,
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
        for memory in self.memories.values():
            for fault in list(memory.faults.values()):
                if fault.state is State.CLOSED:
                    continue
                closed, event = faults.close(
                    fault, faults.SYSTEM, now_ms, resolution=faults.Why.HISTORY_ENDS.value
                )
                memory.faults[fault.code] = closed
                self._fault_moved(memory, Move(closed, fault.state, event))
            self._use.abandon(memory)
            memory.saved_use_ms = 0
            if memory.hours:
                for hour in memory.hours.values():
                    hour.moved = True
                self._touch(memory)

    def _control(self, kind: str, control: Mapping[str, int | bool | str]) -> None:
        if kind == journal.PROBE:
            self._probed = True
            self._heard_until(int(control["sent_ms"]))
        elif kind == journal.TICK and not self._probed:
            # The broker may forbid our probe. Then the newest message is the best we know.
            self._ticks += 1
            if self._ticks >= TICKS_WITHOUT_PROBE and self._newest_ms:
                self._heard_until(self._newest_ms)

    def _messages(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        """Judge a batch. The usual message is judged here, all others by `_message`.

        Usual: a calm reading of a gate, camera, lift or gateway that is online and without signs,
        next in its sequence. Written out, because nearly all messages are such: 2 µs each instead
        of 9. A test holds both ways equal.
        """
        memories = self.memories
        stored: dict[tuple[str, int], int] = {}
        jseq = record.first_jseq - 1
        for raw, said in zip(record.messages, decoded, strict=True):
            jseq += 1
            if type(said) is not Reading:
                self._message(jseq, raw, said)
                continue
            device, at_ms, received_ms = said.device, said.at_ms, raw.received_ms
            memory = memories.get(device.id)
            if (
                memory is not None
                and said.calm
                and not raw.flags & RETAINED
                and said.seq == memory.window.high + 1
                and said.boot == memory.window.boot
                and memory.state is Presence.ONLINE
                and not memory.signs
                and memory.will_ms is None
                and memory.device_at_ms is not None
                and memory.device_at_ms <= at_ms <= received_ms
                and received_ms - at_ms <= PROMPT_MS
                and device.kind not in METERED
            ):
                hour = memory.hours.get(at_ms - at_ms % HOUR_MS)
                if hour is not None:
                    window = memory.window
                    window.high = said.seq
                    window.newest_ms = memory.device_at_ms = at_ms
                    latest = memory.latest
                    for name, value in said.values.items():
                        latest[name] = (value, at_ms)
                    hour.received += 1
                    hour.moved = True
                    memory.last_seen_ms = received_ms
                    if not memory.dirty:
                        memory.dirty = True
                        self._touched.append(memory)
                    key = (raw.origin, received_ms - received_ms % HOUR_MS)
                    stored[key] = stored.get(key, 0) + 1
                    continue
            self._message(jseq, raw, said.unfold())
        if record.messages:
            self._newest_ms = max(self._newest_ms, record.messages[-1].received_ms)
        for (origin, hour_ms), count in stored.items():
            self._count(origin, hour_ms, "stored", "", count)

    def _message(self, jseq: int, raw: Raw, said: Decoded) -> None:
        received_ms = raw.received_ms
        hour_ms = received_ms - received_ms % HOUR_MS
        device = said.device
        if said.reason is not None or device is None:
            reason = said.reason or Reason.UNKNOWN_DEVICE
            self._count(raw.origin, hour_ms, Outcome.QUARANTINED.value, reason.value)
            self._refuse(jseq, raw, said, reason, said.detail, partial=False)
            # Anyone could have sent what carries a false identity.
            if device is not None and reason is not Reason.IDENTITY:
                memory = self.memories.get(device.id)
                if memory is not None and not raw.flags & RETAINED:
                    self._alive(memory, received_ms)
            return
        memory = self.memories.get(device.id)
        if memory is None:  # decoded by a registry that is newer than ours
            self._count(raw.origin, hour_ms, "quarantined", Reason.UNKNOWN_DEVICE.value)
            self._refuse(jseq, raw, said, Reason.UNKNOWN_DEVICE, device.id, partial=False)
            return
        if raw.flags & RETAINED:
            self._count(raw.origin, hour_ms, "stored", "")
            self._count(raw.origin, hour_ms, "retained", "")
            return
        stored = not said.items
        refused = len(said.rejected)
        for index, item in enumerate(said.items):
            if self._item(memory, item, raw, said, index, hour_ms):
                stored = True
        timeless = said.rejected[refused:]
        if timeless and len(timeless) == len(said.items):  # a replay without one usable time
            self._count(raw.origin, hour_ms, Outcome.QUARANTINED.value, Reason.CLOCK.value)
            self._refuse(jseq, raw, said, Reason.CLOCK, timeless[0].detail, partial=False)
            self._alive_by(memory, said, received_ms)
            return
        self._count(raw.origin, hour_ms, "stored" if stored else "duplicate", "")
        if not said.array:
            self._alive_by(memory, said, received_ms)
        if said.rejected and stored:
            self._partial(jseq, raw, said, hour_ms)

    def _item(
        self, memory: DeviceMemory, item: Item, raw: Raw, said: Decoded, index: int, hour_ms: int
    ) -> bool:
        """Judge one object of a message; whether anything in it was new."""
        received_ms = raw.received_ms
        at_ms, plausible = event_time(item.at_ms, received_ms)
        if not plausible:
            if said.array:
                self._rejected_clock(memory, item, said, received_ms)
                return False
            self._count(raw.origin, hour_ms, "clock", "")
        order_ms = min(at_ms, received_ms)
        numbered = item.seq is not None
        seen = memory.window.saw(item.boot, item.seq, order_ms) if item.seq is not None else None
        if seen or (seen is None and self._known(memory, item, order_ms, raw.payload, index)):
            return False
        surely = numbered and seen is not None  # its number proves that it is new
        replayed = said.array and received_ms - order_ms > silence_limit_s(memory.device) * 1000
        late = replayed or (memory.device_at_ms is not None and order_ms < memory.device_at_ms)
        if late:
            self._count(raw.origin, hour_ms, "late", "")
        elif said.array:
            self._alive_by(memory, said, received_ms)
        for report in item.reports:
            reporter = (
                memory if report.device is memory.device else self.memories.get(report.device.id)
            )
            if reporter is None:
                continue
            self._use.report(reporter, order_ms)
            if late:
                self._late_values(reporter, report.values, order_ms, received_ms, replayed)
            else:
                self._values(reporter, report.values, order_ms, received_ms)
        new = bool(item.reports) or item.status is not None or not item.events
        for event in item.events:
            new = self._event(event, item, order_ms, received_ms, replayed, surely) or new
        if item.status == "offline" and not replayed:
            memory.will_ms = received_ms
            self._touch(memory)
        if not replayed and (memory.device_at_ms is None or order_ms > memory.device_at_ms):
            memory.device_at_ms = order_ms
        return new

    def _known(
        self, memory: DeviceMemory, item: Item, at_ms: int, payload: bytes, index: int
    ) -> bool:
        """Whether a message that no window answers for is on record."""
        if item.seq is not None:
            return not self._first(message_key(memory.device.id, item), at_ms)
        if item.at_ms is not None and not item.events:
            # Two readings of one array may be alike in time, so their place tells them apart.
            key = content_key(f"{memory.device.id}|{index}", item.at_ms, payload)
            return not self._first(key, at_ms)
        return False

    def _first(self, key: bytes, at_ms: int, *, surely: bool = False) -> bool:
        """Take note of an identity; False if it was known. surely: its number proved it new."""
        if not surely and (key in self.effects.keys or self._seen_before(key)):
            return False
        self.effects.keys[key] = at_ms
        return True

    def _values(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        """Live values. A normal one costs two look-ups and a comparison."""
        device = memory.device
        if device.kind in METERED:
            self._use.values(memory, values, at_ms)
        latest = memory.latest
        of = memory.plan.of
        abnormal = bool(memory.signs)
        for name, value in values.items():
            latest[name] = (value, at_ms)
            plan = of(name)
            if plan is not None and not plan.is_normal(value):
                abnormal = True
        if memory.device_at_ms is None or at_ms > memory.device_at_ms:
            memory.device_at_ms = at_ms
        if abnormal:
            self._look(memory, values, at_ms, received_ms)
        if device.kind == "port":
            self._child_values(memory, values, at_ms, received_ms)

    def _look(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        for name, value in values.items():
            plan = memory.plan.of(name)
            if plan is not None:
                source = "" if name in memory.plan.quantities else name
                self._finder.value(memory, plan, value, at_ms, received_ms, source=source)
            if memory.signs:
                self._finder.becomes(memory, name, value, at_ms, received_ms)

    def _child_values(
        self, memory: DeviceMemory, values: dict[str, Value], at_ms: int, received_ms: int
    ) -> None:
        """What a port says of its shed: a status that is smoke or leakage."""
        parent = self.memories.get(memory.device.parent or "")
        if parent is None or not parent.plan.child:
            return
        for name, value in values.items():
            plan = parent.plan.child.get((memory.device.kind, name))
            if plan is not None and (parent.signs or not plan.is_normal(value)):
                self._finder.value(parent, plan, value, at_ms, received_ms, source=memory.device.id)

    def _late_values(
        self,
        memory: DeviceMemory,
        values: dict[str, Value],
        at_ms: int,
        received_ms: int,
        replayed: bool,
    ) -> None:
        """Values older than the newest: history, but for quantities not seen since, and safety."""
        fresh: dict[str, Value] = {}
        for name, value in values.items():
            known = memory.latest.get(name)
            if not replayed and (known is None or at_ms > known[1]):
                fresh[name] = value
                continue
            plan = memory.plan.of(name)
            if plan is not None and not plan.is_normal(value):
                signs = [s for s in plan.signs if s.raises is not None and s.raises(value)]
                self._finder.late(memory, signs, at_ms, received_ms, {name: value})
        if fresh:
            for name, value in fresh.items():
                memory.latest[name] = (value, at_ms)
            self._look(memory, fresh, at_ms, received_ms)
        self._touch(memory)

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
            self._event_signs(memory, event, at_ms, received_ms, late)
            return True
        # A session's start and end are repeated under new numbers: their order is what counts.
        if not self._first(key, at_ms, surely=surely and "order" not in event.attributes):
            return False
        if event.type == "access":
            self._use.access(memory, event, at_ms)
        elif event.type == "session_start" and not late:
            self._use.session_start(memory, event, at_ms)
        elif event.type == "session_end":
            self._use.session_end(memory, event, at_ms, late=late)
        memory.saved_use_ms = 0  # what happened once is shown at once
        self._event_signs(memory, event, at_ms, received_ms, late)
        if not late:
            memory.event_at_ms = at_ms
        self._touch(memory)
        return True

    def _event_signs(
        self, memory: DeviceMemory, event: Event, at_ms: int, received_ms: int, late: bool
    ) -> None:
        shed = (
            self.memories.get(memory.device.parent or "") if event.type == "session_end" else None
        )
        if not late:
            self._finder.event(memory, event, at_ms, received_ms)
            if shed is not None:
                self._finder.port_event(shed, memory.device.id, event, at_ms, received_ms)
            return
        evidence: dict[str, Value] = {"event": event.type, **event.attributes}
        for planned in self._finder.shown_by(memory, event):
            self._finder.late(memory, [planned], at_ms, received_ms, evidence)
        if shed is not None:
            for planned in self._finder.shown_by(shed, event):
                self._finder.late(shed, [planned], at_ms, received_ms, evidence)

    def _rejected_clock(
        self, memory: DeviceMemory, item: Item, said: Decoded, received_ms: int
    ) -> None:
        """An element of a replay whose time cannot be known; a safety flag in it still raises."""
        said.rejected.append(
            Rejected(Reason.CLOCK, memory.device.id, "", f"implausible time {item.at_ms}")
        )
        for report in item.reports:
            reporter = self.memories.get(report.device.id)
            for name, value in report.values.items() if reporter is not None else ():
                plan = reporter.plan.of(name) if reporter is not None else None
                if reporter is not None and plan is not None and not plan.is_normal(value):
                    signs = [s for s in plan.signs if s.raises is not None and s.raises(value)]
                    self._finder.late(reporter, signs, received_ms, received_ms, {name: value})

    # Connection

    def _alive_by(self, memory: DeviceMemory, said: Decoded, received_ms: int) -> None:
        """Note that the message proves its sender, and the children it speaks of, to be there."""
        if any(item.status == "offline" for item in said.items):
            return  # a last will is the broker speaking
        self._alive(memory, received_ms)
        if memory.device.kind == "shed":
            for item in said.items:
                for report in item.reports:
                    if report.device is not memory.device:
                        child = self.memories.get(report.device.id)
                        if child is not None:
                            self._alive(child, received_ms)

    def _alive(self, memory: DeviceMemory, received_ms: int) -> None:
        memory.last_seen_ms = received_ms
        memory.will_ms = None
        if memory.state is not Presence.ONLINE:
            self._set_state(memory, Presence.ONLINE, None, received_ms)
            self._expect(memory)
            if memory.signs:
                self._finder.heard(memory, received_ms, received_ms)
            if memory.device.kind == "shed":
                self._mirror_ports(memory, received_ms)
        self._touch(memory)

    def _heard_until(self, watermark_ms: int) -> None:
        """Everything sent before has been judged: timers run, silence is silence."""
        self.hearing.heard(watermark_ms)
        watermark_ms = self.hearing.watermark_ms or watermark_ms
        self._finder.tick(watermark_ms)
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= watermark_ms:
            _, device_id = heapq.heappop(deadlines)
            memory = self.memories.get(device_id)
            if memory is None or memory.state is not Presence.ONLINE:
                continue
            if memory.device.decommissioned_at_ms is not None:
                continue
            deadline = self._deadline(memory)
            if deadline > watermark_ms:
                heapq.heappush(deadlines, (deadline, device_id))
            elif self._may_sleep(memory, watermark_ms):
                limit_ms = silence_limit_s(memory.device) * 1000
                heapq.heappush(deadlines, (watermark_ms + limit_ms, device_id))
            else:
                self._gone(memory, watermark_ms)

    def _deadline(self, memory: DeviceMemory) -> float:
        last_ms = memory.last_seen_ms or 0
        grace_ms = (
            self.hearing.grace_ms(last_ms, memory.device.interval_s) if self.hearing.gaps else 0
        )
        return last_ms + silence_limit_s(memory.device) * 1000 + grace_ms

    def _expect(self, memory: DeviceMemory) -> None:
        if memory.plan.silent is not None and memory.state is Presence.ONLINE:
            heapq.heappush(self._deadlines, (self._deadline(memory), memory.device.id))

    def _may_sleep(self, memory: DeviceMemory, now_ms: int) -> bool:
        """Whether silence is normal: lamps on a switched supply have no power by day."""
        planned = memory.plan.silent
        detector = planned.sign.detector if planned is not None else None
        if not getattr(detector, "lighting_hours_only", False):
            return False
        if memory.device.attributes.get("supply") != "switched":
            return False
        limit_ms = int(silence_limit_s(memory.device) * 1000)
        # The supply must have been on for the whole limit, or dusk would find every lamp silent.
        return not (self._commanded(memory, now_ms) and self._commanded(memory, now_ms - limit_ms))

    def _gone(self, memory: DeviceMemory, watermark_ms: int) -> None:
        reason = Why.LWT if memory.will_ms is not None else Why.HEARTBEAT_MISSED
        self._set_state(memory, Presence.OFFLINE, reason, watermark_ms)
        self._finder.silent(memory, memory.last_seen_ms or 0, watermark_ms)
        if memory.device.kind == "shed":
            self._mirror_ports(memory, watermark_ms)
        self._touch(memory)

    def _mirror_ports(self, shed: DeviceMemory, at_ms: int) -> None:
        """Ports speak through their shed: with it silent, nothing is known of them."""
        for port in self.registry.children(shed.device.id):
            memory = self.memories.get(port.id)
            if memory is None or memory.state is Presence.NEVER_SEEN:
                continue
            if shed.state is Presence.ONLINE:
                self._set_state(memory, Presence.ONLINE, None, at_ms)
            else:
                self._set_state(memory, Presence.UNKNOWN, Why.PARENT_DOWN, at_ms)
            self._touch(memory)

    def _set_state(
        self, memory: DeviceMemory, state: Presence, reason: Why | None, at_ms: int
    ) -> None:
        key = (memory.device.compound, memory.device.kind)
        counts = self._counts[key]
        counts[_PLACES[memory.state]] -= 1
        counts[_PLACES[state]] += 1
        self.effects.counts[key] = (counts[0], counts[1], counts[2], counts[3])
        if memory.state is not state:
            memory.since_ms = at_ms
        memory.state, memory.reason = state, reason

    def _commanded(self, memory: DeviceMemory, at_ms: int) -> bool:
        compound = self.registry.compounds[memory.device.compound]
        return self._lighting(compound.latitude, compound.longitude, at_ms)

    # Bookkeeping

    def _touch(self, memory: DeviceMemory) -> None:
        """Note that this device's row must be written."""
        if not memory.dirty:
            memory.dirty = True
            self._touched.append(memory)

    def _fault_moved(self, memory: DeviceMemory, move: Move) -> None:
        self.effects.moves.append(move)
        self._touch(memory)

    def _count(self, origin: str, hour_ms: int, outcome: str, reason: str, n: int = 1) -> None:
        accounts = self.effects.accounts
        key = (origin, hour_ms, outcome, reason)
        accounts[key] = accounts.get(key, 0) + n

    def _partial(self, jseq: int, raw: Raw, said: Decoded, hour_ms: int) -> None:
        self._count(raw.origin, hour_ms, "partial", "")
        for rejected in said.rejected:
            self._count(raw.origin, hour_ms, "part", rejected.reason.value)
        first = said.rejected[0]
        self._refuse(jseq, raw, said, first.reason, first.detail, partial=True)

    def _refuse(
        self, jseq: int, raw: Raw, said: Decoded, reason: Reason, detail: str, *, partial: bool
    ) -> None:
        hour = raw.received_ms // HOUR_MS
        if hour != self._kept_hour:
            self._kept_hour = hour
            self._kept = {}
        device: Device | None = said.device
        key = (device.id if device is not None else raw.origin, reason.value)
        kept = self._kept.get(key, 0)
        if kept >= KEPT_ROWS:
            return
        self._kept[key] = kept + 1
        sent = journal.true_payload(raw)
        size_bytes, digest = sent or (len(raw.payload), sha256(raw.payload).hexdigest())
        self.effects.refused.append(
            Refused(
                jseq,
                raw.received_ms,
                raw.origin,
                device.id if device is not None else None,
                raw.topic.decode("utf-8", "replace")[:512],
                reason,
                detail[:500],
                raw.payload if kept < KEPT_PAYLOADS else None,
                digest,
                size_bytes,
                partial,
            )
        )

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
