"""What both stores can hold, so that a point which one refuses is refused by the other."""

import re

from devices.messages import Value
from devices.quantities import MAX_EXACT
from devices.telemetry import BadPoint, Point

# InfluxDB keeps nanoseconds in 64 bits: the years 1677 to 2262
EARLIEST_MS = -9_223_372_036_854
LATEST_MS = 9_223_372_036_853  # one less: a range that ends behind it can still be written

# what line protocol cannot spell in a name so that it reads back the same
_UNSPEAKABLE = re.compile(r"[\\\x00-\x1f\x7f]")


def is_name(name: str) -> bool:
    """Whether a measurement, tag or field may be called so."""
    return bool(name) and not name.startswith("#") and not _UNSPEAKABLE.search(name)


def check_name(name: str) -> str:
    """`name` if it may be a measurement, tag or field; raises BadPoint."""
    if not is_name(name):
        raise BadPoint(f"{name[:80]!r} cannot name a measurement, compound, device or field")
    return name


def check_field_name(name: str) -> str:
    """`name` if it may be a field; raises BadPoint."""
    if name == "time":
        raise BadPoint("a field may not be called time: that is the point's own")
    return check_name(name)


def check_time(point: Point) -> None:
    """Raises BadPoint."""
    if not EARLIEST_MS <= point.at_ms <= LATEST_MS:
        raise BadPoint(f"{name_of(point)}: this time cannot be stored")


def check_value(point: Point, value: object) -> Value:
    """`value` if it can be stored; raises BadPoint for NaN, for what is too large, for None."""
    if isinstance(value, bool | str):
        return value
    if not isinstance(value, float | int):
        raise BadPoint(f"{name_of(point)}: {value!r:.40} is neither number, flag nor text")
    if not -MAX_EXACT <= value <= MAX_EXACT:  # NaN compares false with everything
        raise BadPoint(f"{name_of(point)}: the number {value!r:.40} cannot be stored")
    return value


def name_of(point: Point) -> str:
    """What an error calls a point."""
    return f"{point.measurement} of {point.device} at {point.at_ms} ms"
