"""What a device usually does, and when what it does is not that.

Learned is little, and each figure can be said in a sentence: how many passages a gate has between
07:00 and 08:00 on such a day, how often a socket is used a day, since when a reading is the same.
Nothing is guessed where too little was seen: then there is no usual, and nothing is suspected.

Times are UTC epoch ms; `offset_ms` is what the compound's clock is ahead of UTC.
Source: domain.md §3.1 (GATE_NO_PASSAGE and what follows it in the catalogue), §4.2.
"""

from array import array
from collections.abc import Iterable, Sequence

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_H = 168
_THURSDAY_H = 72  # 1970-01-01 was one, and a week of ours begins on Monday

AWAKE_H = range(6, 22)  # local hours in which people pass
SEEN_LEAST = 2  # hours of that kind that must have been learned before one says what is usual
SEEN_MOST = 6  # of so many the mean forgets: an hour counts for a sixth, and a habit of years ends
OUTLIER = 3.0  # a fair at the gate is no habit: more than so many times the usual counts as that
OUTLIER_MORE = 10
LOOK_BACK_MS = 48 * HOUR_MS

IDLE_DAYS = 7
DAYS_KEPT = IDLE_DAYS + 1

WORKDAY = tuple(range(5))
WEEKEND = (5, 6)


def week_hour(at_ms: int, offset_ms: int) -> int:
    """Whole hours since Monday 00:00 local, 0 to 167."""
    return ((at_ms + offset_ms) // HOUR_MS + _THURSDAY_H) % WEEK_H


def local_day(at_ms: int, offset_ms: int) -> int:
    """Local days since 1970-01-01."""
    return (at_ms + offset_ms) // DAY_MS


class Week:
    """How often something happens in each hour of a local week: means, and of how many hours each.

    504 bytes when packed. A mean is kept in tenths, up to 6,553 an hour.
    """

    __slots__ = ("_counts", "_tenths")

    def __init__(self) -> None:
        self._tenths = array("H", bytes(2 * WEEK_H))
        self._counts = bytearray(WEEK_H)

    def learn(self, hour: int, seen: int) -> None:
        """An hour has passed in which it happened `seen` times, all of them heard."""
        known = self._counts[hour]
        mean = self._tenths[hour]
        tenths = 10 * seen
        if known >= SEEN_LEAST:
            tenths = min(tenths, int(OUTLIER * mean) + 10 * OUTLIER_MORE)
        weight = min(known + 1, SEEN_MOST)
        self._tenths[hour] = min(65_535, round(mean + (tenths - mean) / weight))
        self._counts[hour] = min(255, known + 1)

    def usual(self, hour: int) -> float | None:
        """How often in that hour of the week; None while too little was seen.

        The mean of the same hour on such days (Monday to Friday, or the weekend), or of the same
        hour of the same weekday where that is known by itself and lower: who says that nobody
        came, must not have expected too much.
        """
        day, clock = divmod(hour, 24)
        weight, total = 0, 0
        for same in WORKDAY if day in WORKDAY else WEEKEND:
            count = min(self._counts[24 * same + clock], SEEN_MOST)
            weight += count
            total += count * self._tenths[24 * same + clock]
        if weight < SEEN_LEAST:
            return None
        usual = total / weight
        if self._counts[hour] >= SEEN_LEAST:
            usual = min(usual, self._tenths[hour])
        return usual / 10

    def pack(self) -> bytes:
        """The same on every machine: 168 means (two bytes each, low byte first), 168 counts."""
        return b"".join(mean.to_bytes(2, "little") for mean in self._tenths) + self._counts

    @classmethod
    def unpack(cls, packed: bytes) -> "Week":
        """Inverse of `pack`; raises ValueError for anything else."""
        if len(packed) != 3 * WEEK_H:
            raise ValueError(f"a week is {3 * WEEK_H} bytes, not {len(packed)}")
        week = cls()
        for hour in range(WEEK_H):
            week._tenths[hour] = packed[2 * hour] | packed[2 * hour + 1] << 8
        week._counts[:] = packed[2 * WEEK_H :]
        return week


def is_busy(week: Week, at_ms: int, offset_ms: int, least: float) -> bool:
    """Whether it is an hour in which people pass, here usually at least `least` of them."""
    hour = week_hour(at_ms, offset_ms)
    if hour % 24 not in AWAKE_H:
        return False
    usual = week.usual(hour)
    return usual is not None and usual >= least


def quiet_from_ms(
    week: Week, since_ms: int, until_ms: int, offset_ms: int, least: float, delay_ms: float
) -> int | None:
    """When a gate that nobody has passed since then has been quiet for `delay_ms` of busy hours.

    None if that is not before `until_ms`. Hours in which few come do not count, so a night between
    two busy hours only waits.
    """
    at_ms = max(since_ms, until_ms - LOOK_BACK_MS)
    left_ms = delay_ms
    while at_ms < until_ms:
        border_ms = at_ms - at_ms % HOUR_MS + HOUR_MS
        if is_busy(week, at_ms, offset_ms, least):
            if at_ms + left_ms <= border_ms:
                due_ms = int(at_ms + left_ms)
                return due_ms if due_ms <= until_ms else None
            left_ms -= border_ms - at_ms
        at_ms = border_ms
    return None


def expected(week: Week, from_ms: int, to_ms: int, offset_ms: int) -> float:
    """How often it usually happens in that time; hours without a usual count for nothing."""
    total = 0.0
    at_ms = from_ms
    while at_ms < to_ms:
        next_ms = min(at_ms - at_ms % HOUR_MS + HOUR_MS, to_ms)
        total += (week.usual(week_hour(at_ms, offset_ms)) or 0.0) * (next_ms - at_ms) / HOUR_MS
        at_ms = next_ms
    return total


def count_use(days: list[tuple[int, int]], day: int) -> list[tuple[int, int]]:
    """The days with their uses, and one more on `day`; only the newest few are kept."""
    counts = dict(days)
    counts[day] = counts.get(day, 0) + 1
    newest = max(counts)
    return [(at, counts[at]) for at in sorted(counts) if at > newest - DAYS_KEPT]


def uses_a_day(others: Iterable[Sequence[tuple[int, int]]], now_ms: int, offset_ms: int) -> float:
    """How often a day each of these sockets was used, on the mean of the last seven days.

    The day that is not over counts as much as there is of it. 0.0 when there are none.
    """
    today = local_day(now_ms, offset_ms)
    elapsed = IDLE_DAYS - 1 + (now_ms + offset_ms) % DAY_MS / DAY_MS
    total, sockets = 0, 0
    for days in others:
        sockets += 1
        total += sum(count for day, count in days if today - IDLE_DAYS < day <= today)
    return total / sockets / elapsed if sockets else 0.0
