"""Points as InfluxDB line protocol: one escaped line a point, times in milliseconds.

    gate,compound=yaxin,device=yaxin-g1 door_state="closed",rssi_dbm=-61.0 1795399200123

A number is always a float (`1` and `1i` would be a type conflict later), a flag a boolean, a word
a quoted string; so each field has one type, whoever encodes it. influxdb-client's `Point` costs
15 µs and drops NaN in silence; this costs 2 µs (5 fields) and refuses it.

Measurement, tags and field names come from our registry and declarations. Comma, space and `=` in
them are escaped all the same. A backslash or control character in them has no spelling that reads
back as it was, so such a point is refused. Text in a field may hold anything.
"""

from collections.abc import Sequence

from devices.quantities import MAX_EXACT
from devices.store.telemetry.limits import (
    check_field_name,
    check_name,
    check_time,
    check_value,
    name_of,
)
from devices.telemetry import BadPoint, Point

CACHED_NAMES = 100_000  # prefixes and field names that are kept; more than any registry we know

_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ "})
_NAME = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
_TEXT = str.maketrans({"\\": r"\\", '"': r"\""})


class LineEncoder:
    """Encodes points; keeps the escaped names, which come from a bounded set.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, str, str], str] = {}
        self._keys: dict[str, str] = {}

    def encode(self, points: Sequence[Point]) -> bytes:
        """One line a point, joined by newlines; raises BadPoint for the first that has no line."""
        lines = []
        prefixes, keys = self._prefixes, self._keys
        for point in points:
            measurement, compound, device, at_ms, fields = point
            prefix = prefixes.get((measurement, compound, device))
            if prefix is None:
                prefix = self._prefix(point)
            pairs = []
            for name, value in fields.items():
                key = keys.get(name)
                if key is None:
                    key = self._key(name)
                # the usual number first; `<=` is false for NaN
                if value.__class__ is float and -MAX_EXACT <= value <= MAX_EXACT:
                    pairs.append(f"{key}{value!r}")
                else:
                    pairs.append(key + _spell(point, value))
            if not pairs:
                raise BadPoint(f"{name_of(point)}: a point without fields")
            check_time(point)
            lines.append(f"{prefix}{','.join(pairs)} {at_ms}")
        try:
            return "\n".join(lines).encode()
        except UnicodeEncodeError as error:
            if len(points) == 1:
                raise BadPoint(f"{name_of(points[0])}: a text that is not UTF-8") from error
            raise BadPoint("a text that is not UTF-8, in one of the points") from error

    def _prefix(self, point: Point) -> str:
        measurement = check_name(point.measurement).translate(_MEASUREMENT)
        compound = check_name(point.compound).translate(_NAME)
        device = check_name(point.device).translate(_NAME)
        if len(self._prefixes) >= CACHED_NAMES:
            self._prefixes.clear()
        prefix = f"{measurement},compound={compound},device={device} "
        self._prefixes[point.measurement, point.compound, point.device] = prefix
        return prefix

    def _key(self, name: str) -> str:
        key = check_field_name(name).translate(_NAME) + "="
        if len(self._keys) >= CACHED_NAMES:
            self._keys.clear()
        self._keys[name] = key
        return key


def _spell(point: Point, value: object) -> str:
    checked = check_value(point, value)
    if isinstance(checked, bool):
        return "true" if checked else "false"
    if isinstance(checked, str):
        return f'"{checked.translate(_TEXT)}"'
    return repr(float(checked))
