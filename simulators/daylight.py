"""When lamps are lit: civil dusk and dawn at a place, by NOAA's solar formula."""

import math

from simulators.profiles import DAY_MS, local_day

CIVIL_DEG = 96.0  # the sun 6° below the horizon: the usual setting of an astronomical clock
SUNSET_DEG = 90.833


def sun_times_ms(
    day: int, latitude: float = 34.75, longitude: float = 113.62, zenith_deg: float = CIVIL_DEG
) -> tuple[int, int]:
    """(dawn, dusk) of a local day (days since 1970-01-01, UTC+8), UTC epoch ms.

    Raises ValueError where the sun does not pass that zenith on that day.
    """
    # solar noon of that local day is near 04:25 UTC in Zhengzhou: same UTC date
    days = day + 2440587.5 + 0.5 - longitude / 360
    century = (days - 2451545.0) / 36525
    mean_lon = math.radians((280.46646 + century * (36000.76983 + 0.0003032 * century)) % 360)
    anomaly = math.radians(357.52911 + century * (35999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)
    centre = (
        math.sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + math.sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + math.sin(3 * anomaly) * 0.000289
    )
    node = math.radians(125.04 - 1934.136 * century)
    apparent = mean_lon + math.radians(centre - 0.00569 - 0.00478 * math.sin(node))
    tilt = math.radians(23.439291 - 0.0130042 * century + 0.00256 * math.cos(node))
    declination = math.asin(math.sin(tilt) * math.sin(apparent))
    y = math.tan(tilt / 2) ** 2
    equation_min = 4 * math.degrees(
        y * math.sin(2 * mean_lon)
        - 2 * eccentricity * math.sin(anomaly)
        + 4 * eccentricity * y * math.sin(anomaly) * math.cos(2 * mean_lon)
        - 0.5 * y * y * math.sin(4 * mean_lon)
        - 1.25 * eccentricity * eccentricity * math.sin(2 * anomaly)
    )
    north = math.radians(latitude)
    hour_angle = math.degrees(
        math.acos(
            math.cos(math.radians(zenith_deg)) / (math.cos(north) * math.cos(declination))
            - math.tan(north) * math.tan(declination)
        )
    )
    noon_ms = day * DAY_MS + round((720 - 4 * longitude - equation_min) * 60_000)
    half_ms = round(hour_angle * 4 * 60_000)
    return noon_ms - half_ms, noon_ms + half_ms


class Nights:
    """Dusk and dawn of every night, worked out once a day."""

    def __init__(self, latitude: float = 34.75, longitude: float = 113.62) -> None:
        self._place = (latitude, longitude)
        self._days: dict[int, tuple[int, int]] = {}

    def times_ms(self, day: int) -> tuple[int, int]:
        """(civil dawn, civil dusk) of a local day, UTC epoch ms."""
        times = self._days.get(day)
        if times is None:
            if len(self._days) > 400:  # a year and a bit: a long run forgets its oldest days
                self._days.clear()
            times = self._days[day] = sun_times_ms(day, *self._place)
        return times

    def is_dark(self, now_ms: int) -> bool:
        dawn, dusk = self.times_ms(local_day(now_ms))
        return not dawn <= now_ms < dusk
