"""Whether the clock of a device can be believed: `DEV_CLOCK_DRIFT` (domain.md §3.1).

`clock_offset_s` is how far it is off: the median over the newest ten live messages that were
received while we were caught up. A backlog of ours is old without any clock being wrong, so it says
nothing; a year before 2020 does, whenever it comes. All times are of receipt: a clock that jumps
must not move its own timer.

Most messages are prompt, which proves that the clock is right: the judge's short way asks for no
more than a minute. Nothing is kept of such a device, and of one whose clock was off lately the
messages that went the short way are counted by their numbers.
"""

from collections.abc import Callable
from statistics import median_low

from devices.kinds.kind import CLOCK_OFFSET
from devices.messages import Item
from ingest.judge.memory import DeviceMemory, Offsets
from ingest.judge.signs import FaultFinder

CODE = "DEV_CLOCK_DRIFT"
COUNTED = 10  # messages
PROMPT_MS = 60_000  # so much may a message be under way, or its device's clock off
FIRST_MS = 1_577_836_800_000  # 2020-01-01: before it a clock was never set


class ClockWatch:
    """Looks at the clocks of all devices of one stream.

    is_caught_up: whether what we received then had not waited for us. touch: told of each device
    whose memory changed.
    """

    def __init__(
        self,
        finder: FaultFinder,
        is_caught_up: Callable[[int], bool],
        touch: Callable[[DeviceMemory], None],
    ) -> None:
        self._finder = finder
        self._is_caught_up = is_caught_up
        self._touch = touch

    def told(self, memory: DeviceMemory, item: Item, received_ms: int) -> None:
        """A live message of the device, new for sure, told its time."""
        if item.at_ms is None:
            return
        off_ms = abs(received_ms - item.at_ms)
        if off_ms <= PROMPT_MS and memory.offsets is None and not memory.signs:
            return
        is_unset = item.at_ms < FIRST_MS
        if not is_unset and not self._is_caught_up(received_ms):
            return
        kept = _with(memory.offsets, item, off_ms)
        memory.offsets = kept if max(kept.off_s) * 1000 > PROMPT_MS else None
        self._touch(memory)
        offset_s = median_low([0.0] * (COUNTED - len(kept.off_s)) + kept.off_s)
        if is_unset:
            offset_s = max(offset_s, off_ms / 1000)
        plan = memory.plan.quantities.get(CLOCK_OFFSET.name)
        if plan is None or (plan.is_normal(offset_s) and not _has_sign(memory)):
            return
        self._finder.value(memory, plan, offset_s, received_ms, received_ms)


def _with(before: Offsets | None, item: Item, off_ms: int) -> Offsets:
    """What is known of the clock with one more message."""
    kept = before if before is not None else Offsets()
    prompt = 0
    if kept.seq is not None and item.seq is not None and kept.boot == item.boot:
        prompt = min(COUNTED, max(0, item.seq - kept.seq - 1))
    off_s = [*kept.off_s, *[0.0] * prompt, off_ms / 1000][-COUNTED:]
    return Offsets(off_s, item.boot, item.seq)


def is_watched(memory: DeviceMemory) -> bool:
    """Whether a prompt message of this device says something: its clock was off lately."""
    return memory.offsets is not None or _has_sign(memory)


def _has_sign(memory: DeviceMemory) -> bool:
    return any(key[0] == CODE for key in memory.signs)
