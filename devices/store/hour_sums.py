"""Hours of a compound that were added up once, to be taken again while nothing of them has changed.

The hours of a day that runs are asked for at every look at a compound, and each is some 50 rows.
What an hour comes to depends on its rows and on what the registry lets expect, and on nothing else
once it is over: so that is the key, all of it, as a digest. Whatever is written late, worked out
again or changed in the registry makes another key, and nobody has to say so.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter

import msgspec
from sqlalchemy import Connection

from devices.corrections import Line
from devices.coverage import Place, Places, Promise, Sum, sum_stretch
from devices.store.corrections import lines_of
from devices.store.scope import Scope
from devices.store.usage import HourRow, Reporter, corrected, hour_of_row, hour_rows
from devices.usage import HOUR_MS

KEPT_MOST = 12_000  # hours, of some 2 kB: two days of a district's 225 compounds, and more

_pack = msgspec.msgpack.Encoder().encode


class Expected:
    """A compound's promise with the digest of all that it depends on."""

    def __init__(self, place: Place, devices: Sequence[Reporter], now_ms: int) -> None:
        self.promise = Promise(place, devices, now_ms)
        self.now_ms = now_ms
        self.key = _digest(
            [place.latitude, place.longitude, sorted((one.no, *_promised(one)) for one in devices)]
        )


class HourSums:
    """The sums that are kept, the last used of them. Threads may ask at once."""

    def __init__(self, most: int = KEPT_MOST) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._kept: OrderedDict[tuple[bytes, int, bytes], Sum] = OrderedDict()

    def get(self, key: tuple[bytes, int, bytes]) -> Sum | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: tuple[bytes, int, bytes], summed: Sum) -> None:
        """To be changed by nobody from now on."""
        with self._lock:
            self._kept[key] = summed
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


def add_hours(
    connection: Connection,
    scope: Scope,
    compound: str,
    expected: Expected,
    stretch: tuple[int, int],
    places: Places,
    kept: HourSums | None = None,
    kind: str | None = None,
) -> None:
    """Add the whole hours of a stretch, which may end now, to where they belong: with corrections.

    Ask for a few days at a time, as of `device_hours`. kind: of one kind alone; `expected` is of
    its devices, then.
    """
    from_ms, to_ms = stretch
    rows = hour_rows(connection, scope, compound, from_ms, to_ms, kind)
    lines = [
        line
        for line in lines_of(connection, scope, compound, from_ms, to_ms)
        if kind is None or line.kind == kind
    ]
    of_hours = dict(_by_hour(rows))
    for hour_ms in range(from_ms, to_ms, HOUR_MS):
        end_ms = min(hour_ms + HOUR_MS, to_ms)
        some = of_hours.get(hour_ms, [])
        its_lines = [line for line in lines if line.hour_ms == hour_ms]
        is_over = hour_ms + HOUR_MS <= min(to_ms, expected.now_ms)
        if kept is None or its_lines or not is_over:
            one = _sum(expected, some, its_lines, hour_ms, end_ms)
        else:
            key = expected.key, hour_ms, _digest(some)
            found = kept.get(key)
            if found is None:
                found = _sum(expected, some, (), hour_ms, end_ms)
                kept.put(key, found)
            one = found
        places.of(hour_ms).add(one)


def _sum(
    expected: Expected, rows: Sequence[HourRow], lines: Sequence[Line], hour_ms: int, end_ms: int
) -> Sum:
    hours = [hour_of_row(row) for row in rows]
    if lines:
        hours = corrected(hours, lines)
    return sum_stretch(expected.promise, hours, hour_ms, end_ms)


def _by_hour(rows: Sequence[HourRow]) -> Iterator[tuple[int, list[HourRow]]]:
    for hour_ms, some in groupby(rows, itemgetter(0)):
        yield hour_ms, list(some)


def _promised(device: Reporter) -> tuple[object, ...]:
    """What of a device an hour's promise depends on."""
    return (
        device.kind,
        device.interval_s,
        device.attributes.get("supply"),
        device.commissioned_at_ms,
        device.decommissioned_at_ms,
    )


def _digest(whole: object) -> bytes:
    return blake2b(_pack(whole), digest_size=16).digest()
