"""Hours in which a device told less than it should, while it was there (DEV_DATA_GAP).

An hour of which a part is known to be lost is no gap of its own: the device was offline or unknown
in it, we could not hear, or a root (a power cut, its gateway, its circuit) stood behind a silence,
which may have been shorter than the device's own limit. Such an hour counts neither for nor against
it.
"""

from collections.abc import Callable, Mapping

from devices.messages import Value
from devices.rules import Sparse
from devices.usage import HOUR_MS, hour_of
from ingest.judge.memory import DeviceMemory, Presence, SignKey
from ingest.judge.signs import GIVE_UP_MS, FaultFinder
from ingest.judge.timing import Hearing

FULL_HOURS = 3  # so many before show that a device does report as often as the registry says
FALLING_SILENT = 1.5  # so many intervals after its last contact it is no matter of this hour alone


class SparseHours:
    """Counts the reports of each hour of one stream.

    excused: whether a root that explains a device's silence stood within these times. touch: told
    of each device whose memory changed.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        hearing: Hearing,
        finder: FaultFinder,
        excused: Callable[[DeviceMemory, int, int], bool],
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._memories = memories
        self._hearing = hearing
        self._finder = finder
        self._excused = excused
        self._touch = touch

    def heard_until(self, before_ms: int | None, watermark_ms: int) -> None:
        """Everything sent before has been judged: look at the hour that is over with it, if any."""
        if not before_ms or hour_of(before_ms) >= hour_of(watermark_ms):
            return
        for memory in self._memories.values():
            planned = memory.plan.sparse
            if planned is not None and isinstance(planned.sign.detector, Sparse):
                key = (planned.rule.code, planned.index, "")
                share = planned.sign.detector.share
                self._look(memory, key, share, hour_of(before_ms), watermark_ms)

    def _look(
        self, memory: DeviceMemory, key: SignKey, share: float, hour_ms: int, now_ms: int
    ) -> None:
        seen = memory.signs.get(key)
        if seen is not None and seen.present:
            told_ms = int(seen.evidence["hour_ms"])
            is_filled = _received(memory, told_ms) >= _enough(memory, share)
            if is_filled or now_ms - told_ms > GIVE_UP_MS:
                self._finder.goes(memory, key, now_ms, now_ms)
        if not self._was_there(memory, hour_ms, now_ms):
            return
        received = _received(memory, hour_ms)
        if received >= _enough(memory, share):
            if memory.full_hours < FULL_HOURS:
                memory.full_hours += 1
                self._touch(memory)
        elif self._excused(memory, hour_ms, hour_ms + HOUR_MS):
            return
        elif memory.full_hours < FULL_HOURS:
            memory.full_hours = 0
        else:
            evidence: dict[str, Value] = {
                "hour_ms": hour_ms,
                "received": received,
                "expected": HOUR_MS // (memory.device.interval_s * 1000),
            }
            self._finder.appears(memory, key, hour_ms, now_ms, now_ms, evidence)

    def _was_there(self, memory: DeviceMemory, hour_ms: int, now_ms: int) -> bool:
        """Whether it was online in all of the hour, as far as it and we know, and still is."""
        device = memory.device
        silent_ms = now_ms - (memory.last_seen_ms or 0)
        return (
            memory.state is Presence.ONLINE
            and (memory.since_ms or 0) <= hour_ms
            and memory.in_service
            and _reports_always(memory)
            and not self._hearing.grace_ms(hour_ms, device.interval_s)
            # else it is falling silent: a lamp may be so for most of an hour before it is offline
            and silent_ms <= FALLING_SILENT * 1000 * device.interval_s
        )


def _received(memory: DeviceMemory, hour_ms: int) -> int:
    hour = memory.hours.get(hour_ms)
    return 0 if hour is None else hour.received


def _enough(memory: DeviceMemory, share: float) -> int:
    """How many reports of an hour are enough. Of a device that reports once an hour, none."""
    return int(HOUR_MS / (memory.device.interval_s * 1000) * share)


def _reports_always(memory: DeviceMemory) -> bool:
    """Whether it speaks for itself, around the clock, and its reports can be counted exactly.

    Of a device that numbers nothing two reports in short succession count as one.
    """
    return memory.plan.silent is not None and memory.window.high >= 0 and not memory.may_sleep
