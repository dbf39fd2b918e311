"""Which clock counts, and how long we have been able to hear."""

from dataclasses import dataclass

DAY_MS = 86_400_000
OLDEST_MS = 7 * DAY_MS  # an event time further behind the receive time is implausible
AHEAD_MS = 5 * 60_000  # and so is one further ahead (reliability.md §3.4)
DEAF_AFTER_MS = 15_000  # probes come every 5 s: three missed ones, and we could not hear
GRACE_MS = 120_000  # what a device gets, besides one interval, after we could not hear
GAPS_KEPT = 64
TICKS_WITHOUT_PROBE = 6  # after so many the broker is taken to forbid our probe


def event_time(at_ms: int | None, received_ms: int) -> tuple[int, bool]:
    """When it happened, and whether the device's clock could be believed.

    No device time is no error: then it happened when we received it.
    """
    if at_ms is None:
        return received_ms, True
    if received_ms - OLDEST_MS <= at_ms <= received_ms + AHEAD_MS:
        return at_ms, True
    return received_ms, False


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no probe of ours came back: silence then says nothing about the field."""

    from_ms: int
    to_ms: int


class Hearing:
    """The watermark and the gaps in it. Silence is measured against this, never a wall clock."""

    def __init__(self, watermark_ms: int | None = None, gaps: list[Gap] | None = None) -> None:
        self.watermark_ms = watermark_ms
        self.gaps = gaps if gaps is not None else []

    def heard(self, sent_ms: int) -> Gap | None:
        """A probe sent then has come back; returns the gap it ends, if there was one."""
        before = self.watermark_ms
        if before is not None and sent_ms <= before:
            return None  # an old probe: the watermark never goes back
        self.watermark_ms = sent_ms
        if before is None or sent_ms - before <= DEAF_AFTER_MS:
            return None
        gap = Gap(before, sent_ms)
        self.gaps.append(gap)
        if len(self.gaps) > GAPS_KEPT:
            # The two oldest become one that covers both: devices get more grace, never less.
            first, second = self.gaps[0], self.gaps[1]
            self.gaps[:2] = [Gap(first.from_ms, second.to_ms)]
        return gap

    def clock_went_back(self, now_ms: int) -> None:
        """The host's clock was set back to `now_ms`: nothing was heard later than that."""
        if self.watermark_ms is not None:
            self.watermark_ms = min(self.watermark_ms, now_ms)
        self.gaps[:] = [
            Gap(gap.from_ms, min(gap.to_ms, now_ms)) for gap in self.gaps if gap.from_ms < now_ms
        ]

    def grace_ms(self, since_ms: int, interval_s: int) -> int:
        """By how much a deadline that counts from `since_ms` moves for what we could not hear."""
        if not self.gaps or self.gaps[-1].to_ms <= since_ms:
            return 0
        missed = sum(
            gap.to_ms - max(gap.from_ms, since_ms) for gap in self.gaps if gap.to_ms > since_ms
        )
        return missed + interval_s * 1000 + GRACE_MS if missed else 0
