"""Ranges of time as people ask for them: instants, ISO 8601 durations and intervals.

    from=2026-11-01&to=2026-12-01     two instants
    from=P7D                          so long before `to`, which is now unless given
    from=2026-11-01&to=P1M            so long from `from` on
    from=P7D/2026-12-01               an interval: any two of start, end and duration, or both ends

A duration is whole years, months, weeks and days of the local calendar (a month after 31 January
is 28 February), then hours, minutes and seconds.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from api.errors import BadParameter
from api.instants import Range, parse_instant, print_instant

EARLIEST_MS = 946_684_800_000  # 2000-01-01: nothing that is asked about is older

_DURATION = re.compile(
    r"P(?=[\dT])(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Duration:
    months: int
    days: int
    ms: int

    def added(self, at_ms: int, zone: tzinfo, sign: int) -> int:
        """`at_ms` moved by this, forwards (1) or backwards (-1). Raises OverflowError, ValueError.

        By the local calendar first, then by the clock.
        """
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        if self.months:
            month = local.year * 12 + local.month - 1 + sign * self.months
            year, month = divmod(month, 12)
            _, last_day = monthrange(year, month + 1)
            local = local.replace(year=year, month=month + 1, day=min(local.day, last_day))
        local += timedelta(days=sign * self.days)
        return int(local.timestamp()) * 1000 + at_ms % 1000 + sign * self.ms


def parse_period(start: str | None, end: str | None, zone: tzinfo, now_ms: int) -> Range:
    """What `from` and `to` ask for; raises BadParameter, which names the parameter and the bound.

    A range may end in the future, where it is cut to now, but not begin there.
    """
    if start is not None and "/" in start:
        if end is not None:
            raise BadParameter("to", "the interval in `from` has an end already: leave one out")
        start, end = _halves(start)
    elif end is not None and "/" in end:
        raise BadParameter("to", "an interval is given as `from`, like from=P7D/2026-12-01")
    back, forth = _duration("from", start), _duration("to", end)
    if back is not None and forth is not None:
        raise BadParameter("to", "two durations make no range: give an instant on one side")
    from_ms = None if start is None or back else _instant("from", start, zone)
    to_ms = None if end is None or forth else _instant("to", end, zone)
    if back is not None:
        whole_ms = now_ms if to_ms is None else to_ms
        from_ms = _moved("from", start, back, whole_ms, zone, -1)
    if forth is not None:
        if from_ms is None:
            raise BadParameter("to", f"{end} is a duration: it needs a `from` to begin at")
        to_ms = _moved("to", end, forth, from_ms, zone, 1)
    if from_ms is not None and from_ms >= now_ms:
        raise BadParameter("from", f"{start} is in the future: the bound is now")
    if to_ms is not None:
        if from_ms is not None and to_ms <= from_ms:
            raise BadParameter("to", f"{end} is not after `from`, {print_instant(from_ms)}")
        to_ms = min(to_ms, now_ms)
    return Range(from_ms, to_ms)


def _halves(interval: str) -> tuple[str, str]:
    start, _, end = interval.partition("/")
    if not start.strip() or not end.strip() or "/" in end:
        raise BadParameter(
            "from", f"{interval[:60]!r} is no interval like 2026-11-01/P1M or P7D/2026-12-01"
        )
    return start, end


def _duration(name: str, text: str | None) -> Duration | None:
    """The duration; None for what is an instant, or nothing."""
    if text is None or text.strip()[:1].upper() != "P":
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise BadParameter(
            name, f"{text[:40]!r} is no ISO 8601 duration of whole units, like P7D, P1M or PT36H"
        )
    years, months, weeks, days, hours, minutes, seconds = (int(n or 0) for n in match.groups())
    found = Duration(
        years * 12 + months, weeks * 7 + days, ((hours * 60 + minutes) * 60 + seconds) * 1000
    )
    if found == Duration(0, 0, 0):
        raise BadParameter(name, f"{text[:40]} lasts no time")
    return found


def _moved(name: str, text: str | None, by: Duration, at_ms: int, zone: tzinfo, sign: int) -> int:
    try:
        moved_ms = by.added(at_ms, zone, sign)
    except (OverflowError, ValueError) as error:
        raise BadParameter(name, f"{text} leads out of the calendar: {error}") from error
    return _bounded(name, text or "", moved_ms)


def _instant(name: str, text: str, zone: tzinfo) -> int:
    return _bounded(name, text, parse_instant(name, text, zone))


def _bounded(name: str, text: str, at_ms: int) -> int:
    if at_ms < EARLIEST_MS:
        raise BadParameter(
            name, f"{text[:40]} is before {print_instant(EARLIEST_MS)}, the earliest that is known"
        )
    return at_ms
