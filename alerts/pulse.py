"""Says that alerts works, for whoever asks from another process: `devices.store.alerts_health`."""

from sqlalchemy import Engine

from alerts.ports import Clock
from devices.store import progress
from devices.store.database import answering, writing

EVERY_MS = 5_000


class Pulse:
    """Its step comes when all that was due has been decided on. Raises DatabaseAway."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._said_ms = 0
        self._rounds = 0

    def step(self) -> int:
        now_ms = self._clock()
        self._rounds += 1
        if 0 <= now_ms - self._said_ms < EVERY_MS:
            return 0
        with answering(), writing(self._engine) as connection:
            progress.report(connection, progress.ALERTS, self._rounds, 0, {}, now_ms)
        self._said_ms = now_ms
        return 0
