"""When it is light: sunrise, sunset and civil twilight, after NOAA's solar calculator.

NOAA's equations (Meeus, low precision) are good for a minute between the polar circles. Lamps
follow civil dusk and dawn, the usual setting of an astronomical clock (domain.md §1.5).
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from math import acos, asin, cos, degrees, floor, radians, sin, tan

DAY_MS = 86_400_000
_UNIX_EPOCH_DAY = date(1970, 1, 1).toordinal()
_J2000_DAY = 10_957.5  # days from 1970-01-01 00:00 UTC to 2000-01-01 12:00
_DAYS_A_CENTURY = 36_525

_HORIZON_DEG = 90.833  # refraction, and the upper edge of the disk
_CIVIL_DEG = 96.0


@dataclass(frozen=True, slots=True)
class Sun:
    """The sun of one date at one place, as UTC epoch ms; None where it does not come to that.

    is_always_dark: in polar winter, when there is neither dawn nor dusk because it stays dark.
    """

    dawn_ms: int | None
    sunrise_ms: int | None
    sunset_ms: int | None
    dusk_ms: int | None
    is_always_dark: bool = False


def sun(day: date, latitude: float, longitude: float) -> Sun:
    """The sun of the local date `day`; degrees, north and east positive."""
    return _sun(day.toordinal() - _UNIX_EPOCH_DAY, latitude, longitude)


def sun_around(latitude: float, longitude: float, at_ms: int) -> Sun:
    """The sun of the day that holds `at_ms` (UTC epoch ms) there.

    The date is that by the sun, so that dawn and dusk of one day are never told apart by a time
    zone. Called for every report of a lamp: the sun of a day and a place is worked out once.
    """
    return _remembered_sun(floor((at_ms + longitude / 360 * DAY_MS) / DAY_MS), latitude, longitude)


def lighting_hours(latitude: float, longitude: float, at_ms: int) -> bool:
    """Whether `at_ms` (UTC epoch ms) is between civil dusk and civil dawn there."""
    today = sun_around(latitude, longitude, at_ms)
    if today.dawn_ms is None or today.dusk_ms is None:
        return today.is_always_dark
    return not today.dawn_ms <= at_ms < today.dusk_ms


def _sun(day: int, latitude: float, longitude: float) -> Sun:
    dawn, dusk = (_crossing_ms(day, latitude, longitude, _CIVIL_DEG, side) for side in (1, -1))
    rise, fall = (_crossing_ms(day, latitude, longitude, _HORIZON_DEG, side) for side in (1, -1))
    noon_height_deg = 90 - abs(latitude - _declination_deg(day + 0.5 - longitude / 360))
    return Sun(dawn, rise, fall, dusk, is_always_dark=noon_height_deg < 90 - _CIVIL_DEG)


# 225 compounds and a few days around a late message; beyond it the least used is worked out again.
_remembered_sun = lru_cache(maxsize=4096)(_sun)


def _crossing_ms(
    day: int, latitude: float, longitude: float, zenith_deg: float, side: int
) -> int | None:
    """When the sun is `zenith_deg` from the zenith before (1) or after (-1) noon, if ever."""
    at = day + 0.5 - longitude / 360  # local noon, in days of the Unix epoch
    for _ in range(3):  # the sun moves on meanwhile: work out its place at the crossing itself
        declination = radians(_declination_deg(at))
        lat = radians(latitude)
        cosine = cos(radians(zenith_deg)) / (cos(lat) * cos(declination)) - tan(lat) * tan(
            declination
        )
        if not -1 <= cosine <= 1:
            return None
        hour_angle_deg = side * degrees(acos(cosine))
        minutes = 720 - 4 * (longitude + hour_angle_deg) - _equation_of_time_min(at)
        at = day + minutes / 1440
    return round(at * DAY_MS)


def _century(at: float) -> float:
    return (at - _J2000_DAY) / _DAYS_A_CENTURY


def _mean_longitude_deg(t: float) -> float:
    return (280.46646 + t * (36_000.76983 + t * 0.0003032)) % 360


def _mean_anomaly_deg(t: float) -> float:
    return 357.52911 + t * (35_999.05029 - 0.0001537 * t)


def _obliquity_deg(t: float) -> float:
    mean = 23.0 + (26.0 + (21.448 - t * (46.815 + t * (0.00059 - t * 0.001813))) / 60) / 60
    return mean + 0.00256 * cos(radians(125.04 - 1934.136 * t))


def _declination_deg(at: float) -> float:
    t = _century(at)
    anomaly = radians(_mean_anomaly_deg(t))
    centre = (
        sin(anomaly) * (1.914602 - t * (0.004817 + 0.000014 * t))
        + sin(2 * anomaly) * (0.019993 - 0.000101 * t)
        + sin(3 * anomaly) * 0.000289
    )
    apparent = (
        _mean_longitude_deg(t) + centre - 0.00569 - 0.00478 * sin(radians(125.04 - 1934.136 * t))
    )
    return degrees(asin(sin(radians(_obliquity_deg(t))) * sin(radians(apparent))))


def _equation_of_time_min(at: float) -> float:
    t = _century(at)
    longitude = radians(_mean_longitude_deg(t))
    anomaly = radians(_mean_anomaly_deg(t))
    eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
    y = tan(radians(_obliquity_deg(t)) / 2) ** 2
    return 4 * degrees(
        y * sin(2 * longitude)
        - 2 * eccentricity * sin(anomaly)
        + 4 * eccentricity * y * sin(anomaly) * cos(2 * longitude)
        - 0.5 * y * y * sin(4 * longitude)
        - 1.25 * eccentricity * eccentricity * sin(2 * anomaly)
    )
