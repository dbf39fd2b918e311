"""Shares of a day: at which local hour people pass gates and plug in, and how to draw from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

ZONE_MS = 8 * 3_600_000  # Asia/Shanghai has no daylight saving
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

# fmt: off
# Per cent of a day's passages by local hour (07-09 h 18, 17-19 h 20, 01-05 h 1).
PASSAGES_WEEKDAY = (
    0.8, 0.3, 0.2, 0.2, 0.3, 1.2, 4.0, 9.5, 8.5, 5.5, 5.0, 5.5,
    5.5, 4.0, 3.8, 4.2, 6.0, 10.0, 10.0, 6.5, 4.0, 2.6, 1.5, 0.9,
)
# Per cent of a day's arrivals at charging sheds.
ARRIVALS = (
    1.5, 0.8, 0.5, 0.4, 0.4, 0.8, 1.6, 2.6, 2.8, 2.6, 2.6, 3.4,
    6.0, 4.0, 3.0, 3.0, 4.0, 7.0, 11.0, 12.0, 11.0, 9.5, 6.0, 3.5,
)
# fmt: on
_MORNING = range(5, 12)  # hours that the weekend moves
_LEVEL = 4.0  # what of the morning is no peak


def _weekend() -> tuple[float, ...]:
    """The weekday with its morning peak 1.5 h later and 40 % flatter; sum 100 again."""
    hours = list(PASSAGES_WEEKDAY)
    for hour in _MORNING:
        moved = (PASSAGES_WEEKDAY[hour - 1] + PASSAGES_WEEKDAY[hour - 2]) / 2
        hours[hour] = moved - 0.4 * max(0.0, moved - _LEVEL)
    scale = 100 / sum(hours)
    return tuple(share * scale for share in hours)


PASSAGES_WEEKEND = _weekend()

# A week of hours from Monday 00:00 local, as shares of one day's events in that hour (0 to 1).
PASSAGES_WEEK = tuple(s / 100 for s in PASSAGES_WEEKDAY * 5 + PASSAGES_WEEKEND * 2)
ARRIVALS_WEEK = tuple(s / 100 for s in ARRIVALS * 7)


@dataclass(frozen=True, slots=True)
class Profile:
    """How people and devices of one run differ from those of another.

    passages_week, arrivals_week: shares of a day by hour of the week. passages, arrivals: how many,
    as a share of the usual number. jitter_ms: by how much a report is early or late. lamp_jitter:
    of the lamps' own clocks, as a share of ten minutes. latency_ms: from a device to our journal,
    (shortest, longest). swings: gates tell of every opening of the door, not only of long ones.
    """

    name: str
    passages_week: tuple[float, ...] = PASSAGES_WEEK
    arrivals_week: tuple[float, ...] = ARRIVALS_WEEK
    passages: float = 1.0
    arrivals: float = 1.0
    jitter_ms: int = 50
    lamp_jitter: float = 1.0
    latency_ms: tuple[int, int] = (20, 140)
    swings: bool = False


def _shifted(week: tuple[float, ...], hours: float, flatter: float) -> tuple[float, ...]:
    """Each day `hours` later and its peaks lower by the share `flatter`; the same in all."""
    whole = math.floor(hours)
    part = hours - whole
    shifted: list[float] = []
    for day in range(7):
        shares = week[24 * day : 24 * day + 24]
        for hour in range(24):
            moved = (1 - part) * shares[(hour - whole) % 24] + part * shares[
                (hour - whole - 1) % 24
            ]
            shifted.append((1 - flatter) * moved + flatter * sum(shares) / 24)
    return tuple(shifted)


USUAL = Profile("usual")
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            USUAL,
            Profile(
                "graded",
                _shifted(PASSAGES_WEEK, 0.6, 0.12),
                _shifted(ARRIVALS_WEEK, -0.8, 0.1),
                passages=0.87,
                arrivals=1.12,
                jitter_ms=400,
                lamp_jitter=0.8,
                latency_ms=(30, 450),
            ),
            Profile(
                "swings",
                _shifted(PASSAGES_WEEK, -0.4, 0.08),
                _shifted(ARRIVALS_WEEK, 0.5, 0.05),
                passages=1.1,
                arrivals=0.95,
                jitter_ms=250,
                swings=True,
            ),
        )
    }
)


def local_day(at_ms: int) -> int:
    """Local days since 1970-01-01."""
    return (at_ms + ZONE_MS) // DAY_MS


def local_midnight_ms(at_ms: int) -> int:
    """UTC epoch ms of the local midnight before `at_ms`."""
    return local_day(at_ms) * DAY_MS - ZONE_MS


def local_hour(at_ms: int) -> float:
    """The local time of day in hours, 0 to 24."""
    return (at_ms + ZONE_MS) % DAY_MS / HOUR_MS


def week_hour(at_ms: int) -> int:
    """Whole hours since Monday 00:00 local, 0 to 167. 1970-01-01 was a Thursday."""
    return ((at_ms + ZONE_MS) // HOUR_MS + 72) % 168


def next_arrival_ms(
    per_day: float, week: tuple[float, ...], now_ms: int, rng: Random, within_ms: int = DAY_MS
) -> int:
    """The next event of a Poisson process of `per_day` events spread over the hours like `week`.

    Nothing for `within_ms` gives the end of that span: draw again from there.
    """
    at = float(now_ms)
    last = now_ms + within_ms
    while at < last:
        hour = (int(at) + ZONE_MS) // HOUR_MS
        border = (hour + 1) * HOUR_MS - ZONE_MS
        rate = per_day * week[(hour + 72) % 168] / HOUR_MS
        if rate > 0:
            at -= math.log(1.0 - rng.random()) / rate
            if at <= border:
                return max(now_ms + 1, int(at))
        at = float(border)  # exponential waiting has no memory: start anew in the next hour
    return last
