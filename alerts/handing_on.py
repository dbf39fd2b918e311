"""A safety alert that does not arrive goes to the next target too, once.

    1. find the alerts that have waited for a minute, or wait for a broken target
    2. leave those alone of which somebody else of the same firm, or of the district, was told
    3. write a delivery to the next target: of the same people, by another channel, that works

No alert waits behind a dead target: what is handed on is sent there by itself, at once.
"""

from collections.abc import Iterable, Mapping

import structlog
from sqlalchemy import Engine

from alerts.ports import Clock
from devices.store.database import answering, reading, writing
from devices.store.handing_on import Standing, Stuck, hand_on, sent_to, standing, stuck

AFTER_MS = 60_000
EVERY_MS = 5_000

log = structlog.get_logger()


class HandingOn:
    """Raises DatabaseAway."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._looked_ms = 0

    def step(self) -> int:
        """Look, if it is time again."""
        now_ms = self._clock()
        if 0 <= now_ms - self._looked_ms < EVERY_MS:
            return 0
        count = self.look()
        self._looked_ms = now_ms
        return count

    def look(self) -> int:
        """Hand on what does not arrive; how many alerts."""
        now_ms = self._clock()
        with answering(), reading(self._engine) as connection:
            if not stuck(connection, now_ms - AFTER_MS):
                return 0  # a transaction that may write would hold up the judge for nothing
        count = 0
        with answering(), writing(self._engine) as connection:
            alerts = stuck(connection, now_ms - AFTER_MS)
            known = standing(connection)
            sent = sent_to(connection, {alert.event for alert in alerts})
            done: set[int] = set()
            for alert in alerts:
                if alert.event in done:
                    continue
                found = next_target(alert, known, sent.get(alert.event, {}))
                if found is None:
                    continue
                hand_on(connection, alert, found, now_ms)
                log.warning(
                    "safety_handed_on", fault=alert.fault, instead_of=alert.target, target=found
                )
                done.add(alert.event)
                count += 1
        return count


def next_target(alert: Stuck, known: Iterable[Standing], sent: Mapping[str, bool]) -> str | None:
    """Who is told instead; None: they know, or there is nobody else who may.

    known: all targets, the oldest first. sent: where it goes already, and whether it arrived.
    """
    by_id = {target.id: target for target in known}
    dead = by_id.get(alert.target)
    if dead is None:
        return None
    reached = {by_id[name].firm for name, arrived in sent.items() if arrived and name in by_id}
    if dead.firm in reached:
        return None
    may = [
        target
        for target in by_id.values()
        if target.id not in sent
        and not target.is_broken
        and target.firm in (None, alert.firm)
        and target.firm not in reached
    ]
    may.sort(key=lambda one: (one.firm != dead.firm, one.fails, one.channel == dead.channel))
    return may[0].id if may else None
