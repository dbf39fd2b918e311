"""Which clock counts, and how long we have been able to hear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from devices.journal import CLOCK, RETAINED, Record
from devices.messages import Decoded, Reading

DAY_MS = 86_400_000
OLDEST_MS = 7 * DAY_MS  # an event time further behind the receive time is implausible
AHEAD_MS = 5 * 60_000  # and so is one further ahead (reliability.md §3.4)
DEAF_AFTER_MS = 15_000  # probes come every 5 s: three missed ones, and we could not hear
GRACE_MS = 120_000  # what a device gets, besides one interval, after we could not hear
GAPS_KEPT = 64
STEP_MS = 2_000  # by less the host's clock may be adjusted (receive tells of more)
AGREED = 20  # messages in a row whose device agrees with our clock, before it is believed again
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


class HostClock(msgspec.Struct, array_like=True):
    """Whether the clock that stamps receive times can be believed; the journal alone tells.

    After a step it is suspect: nobody knows whether it went wrong or was put right. Until it has
    gone back, or devices agree with it, the windows of `event_time` are off: a device's time may
    fit the clock as it is, or as it would be without the step. What fits neither is implausible
    as ever. stepped_ms: how far it has jumped since it was believed. agreed: messages in a row.
    """

    is_suspect: bool = False
    stepped_ms: int = 0
    agreed: int = 0

    def control(self, kind: str, control: Mapping[str, int | bool | str]) -> None:
        """Take note of a control record."""
        if kind != CLOCK:
            return
        self.stepped_ms += int(control["step_s"]) * 1000
        self.agreed = 0
        self.is_suspect = abs(self.stepped_ms) > STEP_MS
        if not self.is_suspect:
            self.stepped_ms = 0

    def heard(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        """Messages of devices come, which have clocks of their own; look before judging them."""
        for raw, said in zip(record.messages, decoded, strict=True):
            if not self.is_suspect:
                return
            at_ms = _told_ms(said)
            if at_ms is None or raw.flags & RETAINED:
                continue
            if abs(raw.received_ms - at_ms) > AHEAD_MS:
                self.agreed = 0
                continue
            self.agreed += 1
            if self.agreed >= AGREED:
                self.is_suspect, self.stepped_ms, self.agreed = False, 0, 0

    def event_time(self, at_ms: int | None, received_ms: int) -> tuple[int, bool]:
        """As the function of this name, by either reading of a clock that is suspect."""
        said = event_time(at_ms, received_ms)
        if said[1] or not self.is_suspect:
            return said
        otherwise = event_time(at_ms, received_ms - self.stepped_ms)
        return otherwise if otherwise[1] else said

    def order_ms(
        self, at_ms: int, received_ms: int, newest_ms: int | None, *, is_dated: bool
    ) -> int:
        """By what a message is ordered among those of its device.

        at_ms: its event time. is_dated: by a clock of the device's that can be believed. newest_ms:
        of the newest one judged. Without a time of its own, and with ours suspect, a message comes
        behind those that came before it.
        """
        if not self.is_suspect:
            return min(at_ms, received_ms)
        if is_dated:
            return min(at_ms, max(received_ms, received_ms - self.stepped_ms))
        return max(self.earliest_ms(received_ms), newest_ms or 0)

    def earliest_ms(self, received_ms: int) -> int:
        """The receive time, by the reading of the clock that makes nothing look older."""
        return min(received_ms, received_ms - self.stepped_ms)


BELIEVED = HostClock()  # also for what came at another time: its steps are not remembered


def _told_ms(said: Decoded | Reading) -> int | None:
    """A device's time as it sends; None where it tells none, or of the past."""
    if type(said) is Reading:
        return said.at_ms
    if said.reason is not None or said.array or not said.items:
        return None
    return said.items[0].at_ms


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
        missed_ms = self.deaf_ms(since_ms)
        return missed_ms + interval_s * 1000 + GRACE_MS if missed_ms else 0

    def deaf_ms(self, since_ms: int) -> int:
        """For how long, since then, we could not hear."""
        deaf_ms = 0
        for gap in reversed(self.gaps):
            if gap.to_ms <= since_ms:
                break  # and so are those before it
            deaf_ms += gap.to_ms - max(gap.from_ms, since_ms)
        return deaf_ms
