"""When tokens were used last: gathered here, written now and then, never while somebody waits."""

import asyncio
import threading

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from devices.store.database import writing
from devices.store.tokens import mark_used

STEP_MS = 300_000  # so exact is what is written
WRITE_EVERY_S = 30.0

log = structlog.get_logger()


class LastUse:
    """Holds a time for each token that exists, and no more: only those who were known get here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._noted: dict[int, int] = {}
        self._due: dict[int, int] = {}

    def note(self, token: int, now_ms: int) -> None:
        """It was used."""
        with self._lock:
            if now_ms - self._noted.get(token, -STEP_MS) >= STEP_MS:
                self._noted[token] = self._due[token] = now_ms

    def write(self) -> None:
        """Into the database what is new; what it does not take waits for the next time."""
        with self._lock:
            due, self._due = self._due, {}
        if not due:
            return
        try:
            with writing(self._engine) as connection:
                mark_used(connection, due)
        except SQLAlchemyError as error:
            log.warning("last_use_not_written", tokens=len(due), reason=str(error)[:200])
            with self._lock:
                self._due = due | self._due

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await asyncio.to_thread(self.write)
