"""Puts together what a target is told of the day, once for each target and local day.

    1. take the targets whose time has come
    2. read what there is to tell, and count it
    3. write them, and when the next one is due, in one transaction

Whoever was away at that time does it late, on the same day; a day that is over is left out. The
sender sends it as it was written, when nothing else waits for the target.
"""

import structlog
from sqlalchemy import Engine

from alerts.ports import Clock
from devices.store import summaries
from devices.store.database import answering, reading, writing
from devices.store.failpoints import failpoint

TARGETS_AT_ONCE = 2  # and what happens meanwhile is routed before the next ones

log = structlog.get_logger()


class Summaries:
    """Raises DatabaseAway."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def step(self) -> int:
        """Put some together; how many targets it was time for."""
        now_ms = self._clock()
        with answering(), reading(self._engine) as connection:
            due = summaries.due(connection, now_ms, TARGETS_AT_ONCE)
        for one in due:
            with answering(), reading(self._engine) as connection:
                ground = summaries.gather(connection, one, now_ms)
            summary = None if ground is None else summaries.summed(ground)
            with answering(), writing(self._engine) as connection:
                is_made = summaries.make(connection, one, summary, now_ms)
                failpoint("A7")
            if is_made and summary is not None:
                log.info("summary_made", target=one.target, day=summary.day)
        return len(due)
