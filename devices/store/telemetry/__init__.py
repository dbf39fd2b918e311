"""Where readings are kept: an embedded store (one SQLite file) and InfluxDB 2, one interface.

Both pass tests/devices/store/test_telemetry_contract.py. No rule of the domain lives here: what a
value means, how it adds up and how long it is valid is said elsewhere.
"""

from typing import Protocol

from devices.telemetry import Bucket, SeriesQuery, TelemetryReader, TelemetryWriter


class TelemetryStore(TelemetryWriter, TelemetryReader, Protocol):
    """What both stores can do. Every method may raise TelemetryError, and branches on its retry."""

    def buckets(self, query: SeriesQuery, every_s: int, offset_s: int = 0) -> list[Bucket]:
        """Windows begin at multiples of `every_s` since the epoch, plus `offset_s`.

        offset_s: -28800 with every_s 86400 are days of Zhengzhou. Only windows with readings; the
        first may begin before `from_ms`, with the readings from then on.
        """
        ...

    def ready(self) -> bool:
        """True if the store answers and would take points of ours; else raises TelemetryError."""
        ...

    def delete_before(self, at_ms: int) -> None:
        """Forget every point older than `at_ms`, of all series."""
        ...

    def close(self) -> None: ...
