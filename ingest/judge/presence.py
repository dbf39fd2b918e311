"""Who is there, who has fallen silent, and since when.

Silence is measured from the last live contact to the watermark, never to a wall clock, and what we
could not hear ourselves does not count: after such a time a device is unknown until it is heard, or
until it has had its grace.
"""

import heapq
from collections.abc import Callable, Mapping

from devices.judgement import Effects
from devices.liveness import WEAK_CSQ, silence_limit_s
from devices.messages import Decoded, Value
from devices.registry import Registry
from ingest.judge.memory import DeviceMemory, Presence, Why
from ingest.judge.roots import RootFinder, reason_of
from ingest.judge.signs import FaultFinder
from ingest.judge.timing import Gap, Hearing
from ingest.judge.yards import Root

WEAK_SIGNAL_MS = 3_600_000  # a weak signal explains a silence for so long
LOOK_AGAIN_MS = 3_600_000  # at a device below one that was never seen itself
LONGEST_NIGHT_MS = 48 * 3_600_000  # how far back the beginning of the lighting hours is looked for
_EXCUSED = (Why.PLATFORM_DOWN, Why.ASLEEP)  # why one is unknown of whom nobody could have heard
_PLACES = {Presence.ONLINE: 0, Presence.OFFLINE: 1, Presence.UNKNOWN: 2, Presence.NEVER_SEEN: 3}


class RollCall:
    """Keeps the deadlines of all devices of one stream, and counts them by state.

    commanded: whether the lamps of a device are to be on at a time, so that they have power.
    touch: told of each device whose memory changed.
    """

    def __init__(
        self,
        registry: Registry,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        finder: FaultFinder,
        roots: RootFinder,
        effects: Callable[[], Effects],
        commanded: Callable[[DeviceMemory, int], bool],
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._registry = registry
        self._memories = memories
        self._hearing = hearing
        self._finder = finder
        self._roots = roots
        self._effects = effects
        self._commanded = commanded
        self._touch = touch
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._unseen: list[tuple[float, str]] = []  # when to look at one that was never seen
        # of this watermark, for a street falls silent as a whole: are lamps lit, and since when
        self._is_lit: dict[str, bool] = {}
        self._lit: dict[tuple[str, int], int] = {}

    def registry_changed(self, registry: Registry) -> None:
        """Count anew, and expect everybody who is online to be heard of."""
        self._registry = registry
        self._counts = {}
        self._deadlines, self._unseen = [], []
        for memory in self._memories.values():
            if memory.in_service:
                place = (memory.device.compound, memory.device.kind)
                counts = self._counts.setdefault(place, [0, 0, 0, 0])
                counts[_PLACES[memory.state]] += 1
                self._expect(memory)

    def tell_counts(self) -> None:
        """Hand over all counts, for whoever counted meanwhile did not know what we had not told."""
        told = self._effects().counts
        told.clear()  # of a place that has none of its kind any more, too
        for place, counts in self._counts.items():
            told[place] = (counts[0], counts[1], counts[2], counts[3])

    def spoke(self, memory: DeviceMemory, said: Decoded, received_ms: int) -> None:
        """Note that the message proves its sender, and the children it speaks of, to be there."""
        if any(item.status == "offline" for item in said.items):
            return  # a last will is the broker speaking
        self.is_alive(memory, received_ms)
        if memory.device.kind != "shed":
            return
        for item in said.items:
            speakers = [part.device for part in item.reports]
            speakers += [event.device for event in item.events]
            for speaker in speakers:
                child = self._memories.get(speaker.id)
                if child is not None and child is not memory:
                    self.is_alive(child, received_ms)

    def is_alive(self, memory: DeviceMemory, received_ms: int) -> None:
        """A live contact."""
        memory.last_seen_ms = received_ms
        memory.will_ms = None
        self._touch(memory)
        if memory.state is not Presence.ONLINE:
            self._comes_back(memory, received_ms)
            self._expect(memory)
            if memory.device.kind == "shed":
                self._mirror_ports(memory, received_ms)

    def heard_until(self, watermark_ms: int) -> None:
        """Everything sent before has been judged: silence up to here is silence."""
        self._is_lit.clear()
        self._lit.clear()
        for unexcused in self._roots.take_unexcused():
            if unexcused.state is not Presence.NEVER_SEEN:
                self._expect(unexcused)
        deadlines = self._deadlines
        gone: dict[str, DeviceMemory] = {}
        while deadlines and deadlines[0][0] <= watermark_ms:
            _, device = heapq.heappop(deadlines)
            memory = self._memories.get(device)
            if memory is None or not memory.in_service:
                continue
            retired_ms = memory.device.decommissioned_at_ms
            if retired_ms is not None and retired_ms <= watermark_ms:
                continue  # it was to fall silent
            if not self._is_awaited(memory):
                continue
            due_ms = self._due_ms(memory, watermark_ms)
            if due_ms > watermark_ms:
                # Should it speak once more and then be silent, it is due after one limit from now,
                # however long the grace is that it has until it speaks.
                limit_ms = silence_limit_s(memory.device) * 1000
                heapq.heappush(deadlines, (min(due_ms, watermark_ms + limit_ms), device))
            else:
                gone[device] = memory
        for silent in sorted(gone.values(), key=_order):
            self._goes(silent, watermark_ms)
        while self._unseen and self._unseen[0][0] <= watermark_ms:
            _, device = heapq.heappop(self._unseen)
            memory = self._memories.get(device)
            if memory is not None and memory.in_service and memory.state is Presence.NEVER_SEEN:
                self._still_never_seen(memory, watermark_ms)

    def we_were_deaf(self, gap: Gap, watermark_ms: int) -> None:
        """In this time nothing could reach us: of whom we have not heard since we know nothing.

        But of lamps without power by day, who would not have said anything.
        """
        is_lit: dict[str, bool] = {}
        for memory in self._memories.values():
            if memory.state is not Presence.ONLINE or not memory.in_service:
                continue
            if memory.plan.silent is None or (memory.last_seen_ms or 0) > gap.from_ms:
                continue
            if memory.may_sleep:
                where = memory.device.compound
                if where not in is_lit:
                    is_lit[where] = self._commanded(memory, watermark_ms)
                if not is_lit[where]:
                    continue
            self._set(memory, Presence.UNKNOWN, Why.PLATFORM_DOWN, watermark_ms)
            if memory.device.kind == "shed":
                self._mirror_ports(memory, watermark_ms)

    def clock_went_back(self, now_ms: int) -> None:
        """The host's clock was set back: nobody was seen later than now, and all wait anew."""
        self._hearing.clock_went_back(now_ms)
        self._deadlines, self._unseen = [], []
        for memory in self._memories.values():
            if memory.last_seen_ms is not None and memory.last_seen_ms > now_ms:
                memory.last_seen_ms = now_ms
                self._touch(memory)
            if memory.in_service:
                self._expect(memory)

    def clock_is_believed(self, now_ms: int) -> None:
        """After a step it is known to be right: nothing was said later than now."""
        for memory in self._memories.values():
            if memory.device_at_ms is not None and memory.device_at_ms > now_ms:
                # else all that comes without a time of its own would look late for as long
                memory.device_at_ms = now_ms
                memory.event_at_ms = min(memory.event_at_ms, now_ms)
                self._touch(memory)

    def _expect(self, memory: DeviceMemory) -> None:
        if memory.state is Presence.NEVER_SEEN:
            if memory.plan.never is not None:
                heapq.heappush(self._unseen, (0.0, memory.device.id))
        elif memory.plan.silent is not None and self._is_awaited(memory):
            limit_ms = silence_limit_s(memory.device) * 1000
            heapq.heappush(
                self._deadlines, ((memory.last_seen_ms or 0) + limit_ms, memory.device.id)
            )

    def _is_awaited(self, memory: DeviceMemory) -> bool:
        """Whether it is to be heard of: it is there, or was when it could last be heard.

        Also one that is offline without a fault for it: it was moved, or out of service for a time,
        or its rule was off.
        """
        if memory.state is Presence.OFFLINE:
            planned = memory.plan.silent
            key = (planned.rule.code, planned.index, "") if planned is not None else None
            is_lost = key is not None and key not in memory.signs
            return is_lost and not self._roots.is_heard_behind(memory)
        return memory.state is Presence.ONLINE or (
            memory.state is Presence.UNKNOWN and memory.reason in _EXCUSED
        )

    def _deadline_ms(self, memory: DeviceMemory, since_ms: int) -> float:
        grace_ms = self._hearing.grace_ms(since_ms, memory.device.interval_s)
        return since_ms + silence_limit_s(memory.device) * 1000 + grace_ms

    def _due_ms(self, memory: DeviceMemory, now_ms: int) -> float:
        """When its silence becomes a fault, or, with its power off, when to look again."""
        since_ms = memory.last_seen_ms or 0
        due_ms = self._deadline_ms(memory, since_ms)
        if due_ms > now_ms:
            return due_ms
        cleared_ms = self._roots.cleared_ms(memory)
        if cleared_ms is not None:  # what stood behind it is over: it has its limit once more
            due_ms = max(due_ms, self._deadline_ms(memory, cleared_ms))
        if due_ms > now_ms or not memory.may_sleep:
            return due_ms
        compound = memory.device.compound
        if compound not in self._is_lit:
            self._is_lit[compound] = self._commanded(memory, now_ms)
        if not self._is_lit[compound]:
            if memory.reason is not Why.ASLEEP:
                self._set(memory, Presence.UNKNOWN, Why.ASLEEP, now_ms)
            return now_ms + silence_limit_s(memory.device) * 1000
        return self._deadline_ms(memory, max(since_ms, self._lit_since_ms(memory, now_ms)))

    def _lit_since_ms(self, memory: DeviceMemory, now_ms: int) -> int:
        """When the lighting hours that now are began, to the second."""
        step_ms = int(silence_limit_s(memory.device) * 1000)
        place = (memory.device.compound, step_ms)
        if place not in self._lit:
            self._lit[place] = self._lit_before_ms(memory, now_ms, step_ms)
        return self._lit[place]

    def _lit_before_ms(self, memory: DeviceMemory, now_ms: int, step_ms: int) -> int:
        lit_ms = now_ms
        while self._commanded(memory, lit_ms - step_ms):
            lit_ms -= step_ms
            if now_ms - lit_ms > LONGEST_NIGHT_MS:
                return lit_ms
        dark_ms = lit_ms - step_ms
        while lit_ms - dark_ms > 1000:
            middle_ms = (lit_ms + dark_ms) // 2
            if self._commanded(memory, middle_ms):
                lit_ms = middle_ms
            else:
                dark_ms = middle_ms
        return lit_ms

    def _goes(self, memory: DeviceMemory, watermark_ms: int) -> None:
        root = self._roots.behind_silence(memory)
        self._set(memory, Presence.OFFLINE, _reason(memory, root), watermark_ms)
        memory.saved_use_ms = 0  # nothing more may come for long: what it did so far is shown now
        since_ms = memory.last_seen_ms or 0
        evidence: dict[str, Value] = {"last_seen_ms": since_ms, **self._roots.stakes(memory)}
        if memory.reason is not None:
            evidence["reason"] = memory.reason.value
        if memory.reason is Why.WEAK_SIGNAL and (csq := memory.word("csq")) is not None:
            evidence["csq"] = csq
        self._finder.silent(memory, since_ms, watermark_ms, evidence, root)
        if memory.device.kind == "shed":
            self._mirror_ports(memory, watermark_ms)

    def _still_never_seen(self, memory: DeviceMemory, watermark_ms: int) -> None:
        """Nothing has come of it yet: a fault after a day, or look again then."""
        planned = memory.plan.never
        if planned is None:
            return
        if memory.since_ms is None:  # that it is there we know since now
            memory.since_ms = watermark_ms
            self._touch(memory)
        since_ms = max(memory.since_ms, memory.device.commissioned_at_ms or 0)
        grace_ms = self._hearing.grace_ms(since_ms, memory.device.interval_s)
        due_ms = since_ms + planned.delay_ms + grace_ms
        above = self._memories.get(memory.device.parent or "")
        if due_ms > watermark_ms:
            heapq.heappush(self._unseen, (due_ms, memory.device.id))
        elif above is not None and above.state is Presence.NEVER_SEEN:
            heapq.heappush(self._unseen, (watermark_ms + LOOK_AGAIN_MS, memory.device.id))
        else:
            self._finder.never_seen(memory, since_ms, watermark_ms)

    def _comes_back(self, memory: DeviceMemory, at_ms: int) -> None:
        was_unknown = memory.reason in _EXCUSED
        self._set(memory, Presence.ONLINE, None, at_ms)
        if memory.signs and was_unknown:
            self._finder.known_again(memory, at_ms)  # it was we who were away, or the power
        elif memory.signs:
            self._finder.heard(memory, at_ms, at_ms)

    def _mirror_ports(self, shed: DeviceMemory, at_ms: int) -> None:
        """Ports speak through their shed: with it silent, nothing is known of them."""
        for port in self._registry.children(shed.device.id):
            memory = self._memories.get(port.id)
            if memory is None or memory.state is Presence.NEVER_SEEN:
                continue
            if shed.state is not Presence.ONLINE:
                ours = shed.state is Presence.UNKNOWN
                reason = Why.PLATFORM_DOWN if ours else Why.PARENT_DOWN
                self._set(memory, Presence.UNKNOWN, reason, at_ms)
                memory.saved_use_ms = 0
            elif memory.state is not Presence.ONLINE:
                self._comes_back(memory, at_ms)

    def _set(self, memory: DeviceMemory, state: Presence, reason: Why | None, at_ms: int) -> None:
        if memory.in_service and state is not memory.state:
            place = (memory.device.compound, memory.device.kind)
            counts = self._counts[place]
            counts[_PLACES[memory.state]] -= 1
            counts[_PLACES[state]] += 1
            self._effects().counts[place] = (counts[0], counts[1], counts[2], counts[3])
        if memory.state is not state:
            memory.since_ms = at_ms
        memory.state, memory.reason = state, reason
        self._touch(memory)
        self._roots.watch(memory)


def _reason(memory: DeviceMemory, root: Root | None) -> Why:
    """What best explains that it is silent. root: what stands behind it."""
    if root is not None:
        return reason_of(root)
    if _was_weak(memory):
        return Why.WEAK_SIGNAL
    return Why.LWT if memory.will_ms is not None else Why.HEARTBEAT_MISSED


def _was_weak(memory: DeviceMemory) -> bool:
    """Whether a weak signal is the newest that it told of, and of the hour before."""
    csq = memory.word("csq")
    if memory.weak_ms is None or csq is None or isinstance(csq, str):
        return False
    return csq < WEAK_CSQ and (memory.last_seen_ms or 0) - memory.weak_ms <= WEAK_SIGNAL_MS


def _order(memory: DeviceMemory) -> tuple[bool, int, str]:
    """Of those found silent by one tick first what others hang on, so that these know why."""
    device = memory.device
    return device.kind not in ("gateway", "shed"), memory.last_seen_ms or 0, device.id
