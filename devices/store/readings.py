"""From when on the telemetry store has its readings: what is older is forgotten, and stays so.

Kept in the operational database, before anything is deleted, so that whoever works hours out again
knows which of them cannot be any more. One for both stores: InfluxDB forgets by itself.
"""

from sqlalchemy import Connection, Engine

from devices.store import progress
from devices.store.database import answering, reading, writing

READINGS = "readings"


def kept_from_ms(connection: Connection) -> int:
    """The time from which on readings are kept; 0 where none was ever forgotten."""
    standing = progress.read(connection, READINGS)
    return 0 if standing is None else standing.done


def forget_before(connection: Connection, at_ms: int, now_ms: int) -> int:
    """Put down that readings before `at_ms` are, or may be, forgotten; gives since when they are.

    It never goes back: readings do not return when they are to be kept for longer.
    """
    since_ms = max(at_ms, kept_from_ms(connection))
    progress.report(connection, READINGS, since_ms, since_ms, {}, now_ms)
    return since_ms


class KeptReadings:
    """The same for a worker, each call a transaction of its own. Raises DatabaseAway."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def from_ms(self) -> int:
        with answering(), reading(self._engine) as connection:
            return kept_from_ms(connection)

    def forget_before(self, at_ms: int, now_ms: int) -> int:
        with answering(), writing(self._engine) as connection:
            return forget_before(connection, at_ms, now_ms)
