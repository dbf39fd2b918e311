"""How long signs have lasted, and been away: as far as we could have heard otherwise."""

from devices import faults
from devices.faults import State
from devices.rules import Beyond, Equals, NeverSeen, Rule, Share, Unusual
from ingest.judge.memory import DeviceMemory, Presence, Seen, SignKey, Why
from ingest.judge.plan import PlannedSign
from ingest.judge.timing import Hearing

ACTIVE = (State.OPEN, State.ACKNOWLEDGED)
LOOK_AGAIN_MS = 30_000
LOOK_AT_SILENCE_MS = 5_000
LOOK_AT_GAP_MS = 10 * 60_000  # numbers fall out of the window without a word
OVERDUE = 1.1  # so many intervals after its last contact the next one has not come in time


class Lasting:
    """Delays on the watermark: everything that was sent before it has been judged.

    What we could not hear counts for none of them, and neither does what a device was offline.
    """

    def __init__(self, hearing: Hearing) -> None:
        self.watermark_ms = 0
        self._hearing = hearing

    def held(self, memory: DeviceMemory, planned: PlannedSign, seen: Seen) -> bool:
        delay_ms = planned.delay_ms
        if delay_ms == 0 or planned is memory.plan.silent or is_held_elsewhere(planned):
            return True
        if planned.given is not None:
            told = memory.told(planned.given[0])
            if told is None or not seen.since_ms < told[1] <= seen.sample_ms:
                return False
        if seen.sample_ms - seen.since_ms >= delay_ms:
            return True
        # A state holds while the device is online; a gauge, or a share, needs that second sample.
        needs_sample = planned.gauge or isinstance(planned.sign.detector, Share)
        return (
            not needs_sample
            and self._passed(memory, seen.base_ms, delay_ms)
            and not self._may_be_gone(memory, planned)
        )

    def _may_be_gone(self, memory: DeviceMemory, planned: PlannedSign) -> bool:
        """Whether what was said of a passing state may have been the last before a silence.

        The device would have told of a change, so the state holds unsaid; but not while its next
        report is overdue: it may have fallen silent before the change. Then the next contact shows
        it, seconds later where the device is well.
        """
        if not is_passing(planned) or memory.last_seen_ms is None:
            return False
        silent_ms = self.watermark_ms - memory.last_seen_ms
        return silent_ms > OVERDUE * 1000 * memory.device.interval_s

    def _clear_delay_ms(self, memory: DeviceMemory, rule: Rule) -> float:
        """How long its signs must be away before it is over; longer while it flaps."""
        standing = memory.faults.get(rule.code)
        is_damped = (
            standing is not None
            and standing.state in ACTIVE
            and not standing.safety
            and faults.is_flapping(standing)
        )
        return max(rule.clear_delay_s * 1000, faults.REOPENS_WITHIN_MS if is_damped else 0)

    def away(self, memory: DeviceMemory, rule: Rule, key: SignKey, seen: Seen) -> bool:
        delay_ms = self._clear_delay_ms(memory, rule)
        if delay_ms == 0 or seen.sample_ms - seen.since_ms >= delay_ms:
            return True
        needs_sample = memory.plan.signs[key[:2]].gauge and not seen.quieted
        return not needs_sample and self._passed(memory, seen.base_ms, delay_ms)

    def fell_quiet(self, memory: DeviceMemory, planned: PlannedSign, seen: Seen) -> bool:
        quiet = planned.quiet
        if quiet is None or not seen.present:
            return False
        if quiet.given is not None and memory.word(quiet.given[0]) not in quiet.given[1]:
            return False
        return self._passed(memory, seen.heard_ms, quiet.after_s * 1000)

    def _passed(self, memory: DeviceMemory, since_ms: int, delay_ms: float) -> bool:
        """Whether so long has passed in which we could have heard the device say otherwise."""
        return (
            memory.state is Presence.ONLINE
            and self.due_ms(memory, since_ms, delay_ms) <= self.watermark_ms
        )

    def due_ms(self, memory: DeviceMemory, since_ms: int, delay_ms: float) -> float:
        return since_ms + delay_ms + self._hearing.grace_ms(since_ms, memory.device.interval_s)

    def _next_ms(self, from_ms: float, step_ms: int) -> float:
        """The first of these moments that is to come: the same ones after every restart."""
        passed = max(0, (self.watermark_ms - from_ms) // step_ms + 1)
        return from_ms + passed * step_ms

    def is_stale(self, memory: DeviceMemory, planned: PlannedSign, seen: Seen) -> bool:
        """Whether a gauge has had no sample for three intervals; a state holds."""
        if not planned.gauge:
            return False
        if memory.reason is Why.ASLEEP:
            return True
        return self._passed(memory, seen.heard_ms, stale_after_ms(memory, planned))

    def next_due_ms(self, memory: DeviceMemory, code: str) -> float | None:
        """The next moment at which the passing of time alone can matter to this fault."""
        rule = memory.plan.rules.get(code)
        if rule is None:
            return None
        due: list[float] = []
        for key, seen in memory.signs.items():
            planned = memory.plan.signs.get(key[:2])
            if key[0] != code or planned is None:
                continue
            if not seen.present:
                due.append(self.due_ms(memory, seen.base_ms, self._clear_delay_ms(memory, rule)))
                continue
            if not planned.gauge:
                due_ms = self.due_ms(memory, seen.base_ms, planned.delay_ms)
                due.append(due_ms)
                is_awaited = is_passing(planned) and memory.state is Presence.ONLINE
                if is_awaited and not is_active(memory, code):
                    due.append(self._next_ms(due_ms, LOOK_AT_SILENCE_MS))
            else:
                stale_ms = stale_after_ms(memory, planned)
                due.append(self.due_ms(memory, seen.heard_ms, stale_ms))
            if planned.quiet is not None:
                fell_ms = self.due_ms(memory, seen.heard_ms, planned.quiet.after_s * 1000)
                # where it is due but its condition does not hold yet, look again in a while
                due.append(self._next_ms(fell_ms, LOOK_AGAIN_MS))
            if planned is memory.plan.missing:
                due.append(self._next_ms(seen.since_ms, LOOK_AT_GAP_MS))
        return min((at for at in due if at > self.watermark_ms), default=None)


def is_passing(planned: PlannedSign) -> bool:
    return isinstance(planned.sign.detector, Equals) and planned.sign.detector.passing


def is_held_elsewhere(planned: PlannedSign) -> bool:
    """Whether `baselines`, or `presence`, says of it only what has lasted for the delay."""
    return isinstance(planned.sign.detector, Unusual | NeverSeen)


def stale_after_ms(memory: DeviceMemory, planned: PlannedSign) -> float:
    """After how long without a sample a gauge is unknown."""
    detector = planned.sign.detector
    every_s = detector.every_s if isinstance(detector, Beyond) else 0.0
    return 3000 * max(memory.device.interval_s, every_s)


def is_active(memory: DeviceMemory, code: str) -> bool:
    standing = memory.faults.get(code)
    return standing is not None and standing.state in ACTIVE
