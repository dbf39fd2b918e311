"""What no single value or event shows: so many within a time, a share, an effect that never came.

Counted is what is live and surely new, by event time; so repeated messages, restarts and replays
change nothing. What is remembered is a few numbers a sign and device, and only for devices that did
something that counts.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from devices.messages import Event, Value
from devices.rules import (
    Changed,
    Counted,
    Detector,
    Fell,
    Follows,
    Happened,
    Refused,
    Returned,
    Share,
    Stopped,
    Unanswered,
    Unprompted,
    Where,
    band,
)
from ingest.judge.memory import DeviceMemory, Presence, SignKey, Tally
from ingest.judge.plan import SETTLE_S, PlannedSign
from ingest.judge.timing import Hearing

TALLIES_KEPT = 64  # of a device; the oldest makes room: a kind has a handful of such signs
PARTS = 12  # of the window of a share
PARTS_KEPT = 32
LEARNED_MOST = 100
PROMPTS_KEPT = 16  # the newest of a device: what overtook them is judged by them


class Signs(Protocol):
    """Who holds the signs that are found here: `signs.FaultFinder`."""

    def appears(
        self,
        memory: DeviceMemory,
        key: SignKey,
        since_ms: int,
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None: ...

    def goes(self, memory: DeviceMemory, key: SignKey, at_ms: int, now_ms: int) -> None: ...

    def takes_back(self, memory: DeviceMemory, key: SignKey, at_ms: int, now_ms: int) -> None: ...


class Patterns:
    """Keeps the tallies of all devices of one stream.

    touch: told of each device whose memory changed.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        signs: Signs,
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._memories = memories
        self._hearing = hearing
        self._signs = signs
        self._touch = touch
        # every passage of a gate comes by here, so a look-up instead of six comparisons
        self._by_type: dict[type[Detector], Callable[..., None]] = {
            Counted: self._count_event,
            Share: self._share,
            Unanswered: self._asked,
            Unprompted: self._prompted,
            Returned: self._returned,
            Fell: self._order_ended,
        }

    def event(
        self, memory: DeviceMemory, source: str, event: Event, at_ms: int, now_ms: int
    ) -> None:
        """A live event, new for sure, of this device, or the end of a session at its port."""
        for planned in memory.plan.patterns.get(event.type, ()):
            if planned.sign.only and not concerns(planned, memory):
                continue
            key = (planned.rule.code, planned.index, source)
            detector = planned.sign.detector
            self._by_type[type(detector)](memory, key, detector, event, at_ms, now_ms)

    def value(
        self,
        memory: DeviceMemory,
        planned: PlannedSign,
        value: Value,
        before: tuple[Value, int] | None,
        at_ms: int,
        now_ms: int,
    ) -> None:
        """A live value that a pattern waits for. before: what the quantity read until then, and
        when it said so last.
        """
        if not concerns(planned, memory):
            return
        key = (planned.rule.code, planned.index, "")
        detector = planned.sign.detector
        if isinstance(detector, Unanswered) and value in detector.values:
            self._answered(memory, key, detector, at_ms, now_ms)
        elif isinstance(detector, Unprompted) and value in detector.values:
            self._took(memory, key, detector, before, at_ms, now_ms)

    def overtaken_event(self, memory: DeviceMemory, event: Event, at_ms: int, now_ms: int) -> None:
        """An event, new for sure, that comes behind newer ones: it may have asked for a state."""
        for planned in memory.plan.patterns.get(event.type, ()):
            detector = planned.sign.detector
            if isinstance(detector, Unprompted) and concerns(planned, memory):
                key = (planned.rule.code, planned.index, "")
                self._prompted(memory, key, detector, event, at_ms, now_ms)

    def overtaken_value(
        self, memory: DeviceMemory, planned: PlannedSign, value: Value, at_ms: int, now_ms: int
    ) -> None:
        """A value that comes behind newer ones: it may show when the state began that stands."""
        detector = planned.sign.detector
        if isinstance(detector, Unprompted):
            key = (planned.rule.code, planned.index, "")
            self._began_otherwise(memory, key, detector, value, at_ms, now_ms)

    def changes(
        self, memory: DeviceMemory, values: Mapping[str, Value], at_ms: int, now_ms: int
    ) -> None:
        """Live values of a device whose changes are counted, before they are its latest."""
        for name, value in values.items():
            for planned in memory.plan.changed_by(name):
                counted = planned.sign.detector
                assert isinstance(counted, Counted)  # only these are filed there
                if not isinstance(counted.of, Changed) or value not in counted.of.values:
                    continue
                before = memory.word(name)
                if before is None or before == value or not concerns(planned, memory):
                    continue
                source = "" if name == counted.of.quantity else name
                key = (planned.rule.code, planned.index, source)
                self._count(memory, key, counted, "", at_ms, now_ms, {name: value})

    def refused(
        self, memory: DeviceMemory, quantity: str, detail: str, at_ms: int, now_ms: int
    ) -> None:
        """A live value of a quantity that its kind has was refused."""
        for planned in memory.plan.refusals:
            counted = planned.sign.detector
            if not isinstance(counted, Counted) or not concerns(planned, memory):
                continue
            key = (planned.rule.code, planned.index, quantity)
            tally = memory.tallies.get(key)
            if tally is not None and tally.times_ms and tally.times_ms[-1] >= at_ms:
                continue  # one message refuses a quantity once, however often it comes
            evidence: dict[str, Value] = {"quantity": quantity, "detail": detail}
            self._count(memory, key, counted, "", at_ms, now_ms, evidence)

    def fell(self, shed: DeviceMemory, port: str, order: str, at_ms: int) -> None:
        """A port's register fell in this order, unless that had ended; told when its end comes."""
        planned = shed.plan.fell
        if planned is not None:
            tally = self._tally(shed, (planned.rule.code, planned.index, port))
            tally.keys, tally.first_ms = [order], at_ms

    def raised(
        self, memory: DeviceMemory, code: str, times: int, within_s: float, at_ms: int
    ) -> bool:
        """Count a fault that is being raised; whether it was so often within the time."""
        tally = self._tally(memory, (code, REPEATS, ""))
        tally.times_ms = [*tally.times_ms, at_ms][-times:]
        return len(tally.times_ms) >= times and at_ms - tally.times_ms[-times] <= within_s * 1000

    # So many

    def _count_event(
        self,
        memory: DeviceMemory,
        key: SignKey,
        counted: Counted,
        event: Event,
        at_ms: int,
        now_ms: int,
    ) -> None:
        if counted.resets and any(meets(event, follows) for follows in counted.resets):
            self._forget(memory, key)
            return
        of = counted.of
        counts = (isinstance(of, Happened) and event.type == of.event and has(event, of.where)) or (
            isinstance(of, Stopped)
            and event.type == "session_end"
            and event.attributes.get("stop_reason") in of.reasons
        )
        if counts:
            told_apart = "" if counted.distinct is None else event.attributes.get(counted.distinct)
            evidence: dict[str, Value] = {"event": event.type, **event.attributes}
            self._count(memory, key, counted, str(told_apart), at_ms, now_ms, evidence)
        elif counted.consecutive:
            self._forget(memory, key)

    def _count(
        self,
        memory: DeviceMemory,
        key: SignKey,
        counted: Counted,
        told_apart: str,
        at_ms: int,
        now_ms: int,
        evidence: dict[str, Value],
    ) -> None:
        tally = self._tally(memory, key)
        if counted.distinct is not None:
            if told_apart in tally.keys:
                return
            tally.keys = [*tally.keys, told_apart][-counted.times :]
        tally.times_ms = [*tally.times_ms, max(at_ms, *tally.times_ms[-1:], 0)][-counted.times :]
        if len(tally.times_ms) < counted.times:
            return
        since_ms = tally.times_ms[0]
        within_s = counted.within_s
        if within_s is not None:
            within_s = max(within_s, counted.reports * memory.device.interval_s)
        if within_s is None or tally.times_ms[-1] - since_ms <= within_s * 1000:
            evidence = {**evidence, "count": counted.times}
            if within_s is not None:
                evidence["within_s"] = within_s
            self._signs.appears(memory, key, since_ms, at_ms, now_ms, evidence)

    # A share

    def _share(
        self,
        memory: DeviceMemory,
        key: SignKey,
        share: Share,
        event: Event,
        at_ms: int,
        now_ms: int,
    ) -> None:
        if not has(event, share.among) or (share.without and has(event, share.without)):
            return
        window_ms = round(share.within_s * 1000)
        part_ms = window_ms // PARTS
        from_ms = at_ms - at_ms % part_ms
        tally = self._tally(memory, key)
        is_first = not tally.parts or tally.parts[-1][0] < from_ms
        if is_first:
            tally.parts = [*tally.parts, (from_ms, 0, 0)]
        start, among, having = tally.parts[-1]
        counts = has(event, share.where)
        tally.parts[-1] = (start, among + 1, having + counts)
        if not (counts or is_first or key in memory.signs) and (
            sum(part[1] for part in tally.parts) > share.least
        ):
            return  # one more that is well raises no share
        newest, recent = _newest(tally.parts, share.least), at_ms - window_ms
        in_window = [part for part in tally.parts if part[0] > recent]
        kept = max(len(in_window), len(newest))
        tally.parts = tally.parts[-min(kept, PARTS_KEPT) :]
        judged = in_window if sum(part[1] for part in in_window) >= share.least else newest
        among, having = sum(part[1] for part in judged), sum(part[2] for part in judged)
        if among < share.least:
            return
        found = having / among
        evidence: dict[str, Value] = {"share": round(found, 3), "count": having, "tries": among}
        low, high = band(share.raises)
        if low <= found <= high and judged is in_window:
            self._signs.appears(memory, key, at_ms, at_ms, now_ms, evidence)
            return
        low, high = band(share.clears)
        if low <= found <= high:
            self._signs.goes(memory, key, at_ms, now_ms)

    # An effect that does not come

    def _asked(
        self,
        memory: DeviceMemory,
        key: SignKey,
        wanted: Unanswered,
        event: Event,
        at_ms: int,
        now_ms: int,
    ) -> None:
        if not has(event, wanted.where):
            return
        state = memory.told(wanted.quantity)
        if state is None:
            return  # it does not tell of the effect at all
        tally = self._tally(memory, key)
        if state[0] in wanted.values or tally.met_ms >= at_ms:
            self._met(tally)
            return
        if tally.run == 0:
            tally.first_ms = at_ms
        tally.run = min(tally.run + 1, LEARNED_MOST)
        tally.asked_ms = max(tally.asked_ms, at_ms)
        if (
            tally.run >= wanted.times
            and tally.learned >= wanted.learned
            and self._has_normal_peer(memory, key)
        ):
            evidence: dict[str, Value] = {"event": wanted.event, "count": tally.run}
            self._signs.appears(memory, key, at_ms, at_ms, now_ms, evidence)

    def _answered(
        self, memory: DeviceMemory, key: SignKey, wanted: Unanswered, at_ms: int, now_ms: int
    ) -> None:
        tally = memory.tallies.get(key)
        if tally is None:
            return
        tally.met_ms = max(tally.met_ms, at_ms)
        self._touch(memory)
        answer_ms = wanted.answer_s * 1000
        if tally.run and at_ms - tally.asked_ms <= answer_ms:
            if at_ms - tally.first_ms > answer_ms:
                tally.learned = 0  # some before had no effect: it is learned anew
            self._met(tally)
            self._signs.goes(memory, key, at_ms, now_ms)

    def _met(self, tally: Tally) -> None:
        tally.run = 0
        tally.learned = min(tally.learned + 1, LEARNED_MOST)

    def _has_normal_peer(self, memory: DeviceMemory, key: SignKey) -> bool:
        """Whether another device of its kind and compound has had its effect the last time."""
        device = memory.device
        for other in self._memories.values():
            if (
                other is memory
                or other.device.kind != device.kind
                or other.device.compound != device.compound
                or other.state is not Presence.ONLINE
            ):
                continue
            tally = other.tallies.get(key)
            if tally is not None and tally.run == 0 and tally.learned > 0:
                return True
        return False

    # A state that nobody asked for

    def _prompted(
        self,
        memory: DeviceMemory,
        key: SignKey,
        unprompted: Unprompted,
        event: Event,
        at_ms: int,
        now_ms: int,
    ) -> None:
        if unprompted.silent is not None and memory.told(unprompted.silent) is not None:
            return  # it is not derived here
        for prompt in unprompted.prompts:
            if meets(event, prompt):
                break
        else:
            return
        tally = self._tally(memory, key)
        tally.asked_ms = max(tally.asked_ms, at_ms)
        tally.times_ms = sorted((*tally.times_ms, at_ms))[-PROMPTS_KEPT:]
        seen = memory.signs.get(key)
        if seen is not None and seen.present and _asks_for(at_ms, tally.met_ms, unprompted):
            self._signs.takes_back(memory, key, at_ms, now_ms)  # it overtook what asked for it

    def _took(
        self,
        memory: DeviceMemory,
        key: SignKey,
        unprompted: Unprompted,
        before: tuple[Value, int] | None,
        at_ms: int,
        now_ms: int,
    ) -> None:
        tally = memory.tallies.get(key)
        if tally is None:
            return  # it tells of no prompts
        if before is not None and before[0] in unprompted.values:
            return  # it stood already
        self._touch(memory)
        if (
            before is None
            or before[0] not in unprompted.before
            or memory.state is not Presence.ONLINE
        ):
            tally.met_ms = 0  # it came while nothing was heard: nobody knows when
            return
        tally.first_ms, tally.met_ms = before[1], at_ms
        self._judge_prompts(memory, key, unprompted, tally, now_ms)

    def _began_otherwise(
        self,
        memory: DeviceMemory,
        key: SignKey,
        unprompted: Unprompted,
        value: Value,
        at_ms: int,
        now_ms: int,
    ) -> None:
        """The state that stands began before or after we thought, as a value of then shows."""
        tally = memory.tallies.get(key)
        now = memory.told(unprompted.quantity)
        if tally is None or not tally.met_ms or now is None or now[0] not in unprompted.values:
            return
        began_ms = tally.met_ms
        if value in unprompted.values and tally.first_ms < at_ms < began_ms:
            tally.met_ms = at_ms
        elif value in unprompted.before and at_ms > tally.first_ms:
            tally.first_ms = at_ms
            if at_ms > began_ms:
                tally.met_ms = now[1]
        else:
            return
        self._touch(memory)
        if tally.met_ms != began_ms:
            self._judge_prompts(memory, key, unprompted, tally, now_ms)

    def _judge_prompts(
        self,
        memory: DeviceMemory,
        key: SignKey,
        unprompted: Unprompted,
        tally: Tally,
        now_ms: int,
    ) -> None:
        """Whether anybody asked for the state that began at `tally.met_ms`."""
        if unprompted.silent is not None and memory.told(unprompted.silent) is not None:
            return  # the device says itself what it takes for an alarm
        unless = unprompted.unless
        if unless is not None and memory.word(unless[0]) in unless[1]:
            return
        began_ms, prompts = tally.met_ms, tally.times_ms or [tally.asked_ms]
        is_known = len(prompts) < PROMPTS_KEPT or prompts[0] <= began_ms
        if not is_known or any(_asks_for(at_ms, began_ms, unprompted) for at_ms in prompts):
            seen = memory.signs.get(key)
            if seen is not None and seen.present:
                self._signs.takes_back(memory, key, began_ms, now_ms)
            return
        prompted_ms = max((at for at in prompts if at < began_ms), default=tally.asked_ms)
        evidence: dict[str, Value] = {
            unprompted.quantity: memory.latest[unprompted.quantity][0],
            "prompted_ms": prompted_ms,
        }
        self._signs.appears(memory, key, began_ms, began_ms, now_ms, evidence)

    # Why it was silent, and what it counted

    def _returned(
        self,
        memory: DeviceMemory,
        key: SignKey,
        returned: Returned,
        event: Event,
        at_ms: int,
        now_ms: int,
    ) -> None:
        last_ms = memory.last_seen_ms
        if last_ms is None or not has(event, returned.where):
            return
        heard_ms = self._hearing.grace_ms(last_ms, memory.device.interval_s)
        if now_ms - last_ms - heard_ms < returned.dark_s * 1000:
            return
        evidence: dict[str, Value] = {
            "event": event.type,
            **event.attributes,
            "last_seen_ms": last_ms,
        }
        self._signs.appears(memory, key, min(last_ms, at_ms), at_ms, now_ms, evidence)

    def _order_ended(
        self, memory: DeviceMemory, key: SignKey, _: Fell, event: Event, at_ms: int, now_ms: int
    ) -> None:
        order = str(event.attributes.get("order", ""))
        tally = memory.tallies.pop(key, None)
        if tally is not None:
            self._touch(memory)
        if tally is not None and tally.keys == [order] and tally.first_ms <= at_ms:
            evidence: dict[str, Value] = {"port": key[2], "order": order, "fell": True}
            self._signs.appears(memory, key, at_ms, at_ms, now_ms, evidence)
        else:
            self._signs.goes(memory, key, at_ms, now_ms)

    # Memory

    def _tally(self, memory: DeviceMemory, key: SignKey) -> Tally:
        self._touch(memory)
        tally = memory.tallies.get(key)
        if tally is None:
            if len(memory.tallies) >= TALLIES_KEPT:
                del memory.tallies[next(iter(memory.tallies))]
            tally = memory.tallies[key] = Tally()
        return tally

    def _forget(self, memory: DeviceMemory, key: SignKey) -> None:
        if memory.tallies.pop(key, None) is not None:
            self._touch(memory)


REPEATS = -1  # in the place of a sign: how often the fault itself was raised


def has(event: Event, where: Where) -> bool:
    """Whether the event has these fields; a tuple stands for any of its values."""
    attributes = event.attributes
    for name, value in where.items():  # half the time of `all`
        found = attributes.get(name)
        if found not in value if isinstance(value, tuple) else found != value:
            return False
    return True


def meets(event: Event, follows: Follows) -> bool:
    """Whether this is the event that is waited for, its numbers within their bands."""
    if follows.event != event.type or not has(event, follows.where):
        return False
    for name, text in follows.levels.items():
        low, high = band(text)
        number = event.attributes.get(name)
        if not isinstance(number, int | float) or not low <= number <= high:
            return False
    return True


def _asks_for(prompt_ms: int, began_ms: int, unprompted: Unprompted) -> bool:
    """Whether a prompt of that time explains a state that began then, which may overtake it."""
    from_ms = began_ms - unprompted.last_s * 1000
    return from_ms <= prompt_ms <= began_ms + SETTLE_S * 1000


def concerns(planned: PlannedSign, memory: DeviceMemory) -> bool:
    """Whether the device has the attributes that the sign asks for."""
    attributes = memory.device.attributes
    return all(attributes.get(name) == value for name, value in planned.sign.only.items())


def _newest(parts: list[tuple[int, int, int]], least: int) -> list[tuple[int, int, int]]:
    """The newest parts of a window that have so many events together; all, if they have not."""
    among = 0
    for index in range(len(parts) - 1, -1, -1):
        among += parts[index][1]
        if among >= least:
            return parts[index:]
    return parts


def counts_refusals(planned: PlannedSign) -> bool:
    """Whether a valid value ends it as it ends a single refused one."""
    detector = planned.sign.detector
    return isinstance(detector, Counted) and isinstance(detector.of, Refused)
