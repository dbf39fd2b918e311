"""Instants as people write them: RFC 3339 on the way out, RFC 3339 or a local time on the way in.

Inside they are UTC epoch milliseconds.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from api.errors import BadParameter
from devices import telling
from devices.days import DAY_MS as DAY_MS
from devices.days import DISTRICT_ZONE as DISTRICT_ZONE
from devices.days import midnight_of as midnight_of
from devices.days import zone_of as zone_of

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)"
    r"(Z|z|[-+ ]\d\d:\d\d)?)?",
    re.ASCII,
)


def print_instant(at_ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds and Z."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def print_known(at_ms: int | None) -> str | None:
    """The same, None for unknown."""
    return None if at_ms is None else print_instant(at_ms)


def parse_instant(name: str, text: str, zone: tzinfo) -> int:
    """Epoch ms of an RFC 3339 time; without zone it is `zone`'s, a bare date its midnight.

    Raises BadParameter, which names the parameter.
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        raise BadParameter(
            name, f"{text[:40]!r} is no RFC 3339 time like 2026-11-23T10:00:00Z or 2026-11-23"
        )
    day, time_of_day, offset = match.groups()
    # `+` in a query that was not escaped arrives as a blank
    offset = (offset or "").replace(" ", "+").upper().replace("Z", "+00:00")
    clock = (time_of_day or "00:00").replace(",", ".")
    clock = re.sub(r"(\.\d{6})\d+", r"\1", clock)  # datetime knows microseconds, no less
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{offset}")
        if at.tzinfo is None:
            at = at.replace(tzinfo=zone)
        return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    except (ValueError, OverflowError) as error:
        raise BadParameter(name, f"{text[:40]!r} is not in the calendar: {error}") from error


@dataclass(frozen=True, slots=True)
class Range:
    """[from_ms, to_ms); None is open."""

    from_ms: int | None
    to_ms: int | None


def parse_range(start: str | None, end: str | None, zone: tzinfo, now_ms: int) -> Range:
    """What `from` and `to` ask for; raises BadParameter.

    A range may end in the future, where it is cut to now, but not begin there.
    """
    from_ms = None if start is None else parse_instant("from", start, zone)
    to_ms = None if end is None else parse_instant("to", end, zone)
    if from_ms is not None and from_ms > now_ms:
        raise BadParameter("from", f"{start} is in the future: nothing has happened there yet")
    if to_ms is not None:
        if to_ms <= (from_ms or 0):
            raise BadParameter("to", f"{end} is not after `from`")
        to_ms = min(to_ms, now_ms + 1)  # what happens in this very millisecond is in it
    return Range(from_ms, to_ms)


def when(at_ms: int, now_ms: int | None) -> str:
    """Time of the district; the date too unless it is today."""
    return telling.when(at_ms, now_ms, DISTRICT_ZONE)
