"""Instants as devices write them."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

CHINA = timezone(timedelta(hours=8))

# The district needs no time-zone files on the host, and the old summer times of 1986-1991 do not
# matter to a device that reset its clock.
_FIXED = {"Asia/Shanghai": CHINA}

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,3})\d*)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)


def zone(name: str) -> tzinfo:
    """The zone `name`; raises ValueError if the host does not know it."""
    fixed = _FIXED.get(name)
    if fixed is not None:
        return fixed
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"time zone {name!r:.40} is not known") from error


def epoch_ms(text: str, local: tzinfo) -> int:
    """UTC epoch milliseconds of an RFC 3339 time; one without zone is in `local`.

    Digits below the millisecond are cut off. Raises ValueError.
    """
    parts = _RFC3339.fullmatch(text) if len(text) <= 40 else None
    if parts is None:
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 time")
    date, time, fraction, offset = parts.groups()
    utc = offset in ("Z", "z")
    moment = datetime.fromisoformat(f"{date}T{time}{'+00:00' if utc else offset or ''}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=local)
    return int(moment.timestamp()) * 1000 + int((fraction or "0").ljust(3, "0"))
