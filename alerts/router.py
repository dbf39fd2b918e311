"""Decides to whom each fault event goes.

    1. take the oldest events that are not decided on, once their time has come
    2. for each: which routes lead now to which targets, or why nobody is told
    3. write a delivery for each target, and mark the events, in one transaction

Killed anywhere, the events are still there; what is marked has its deliveries.
"""

from sqlalchemy import Engine

from alerts.ports import Clock
from devices.alerts import BACKFILLED, NO_NEWS, OLDER, Decision, decide
from devices.store.database import answering, reading, writing
from devices.store.deliveries import Due, decided, due_events, is_any_due, told
from devices.store.failpoints import failpoint
from devices.store.targets import directory

EVENTS_AT_ONCE = 200
# Of these nothing is kept: nobody would have been told, however the routes are.
UNSAID = frozenset({NO_NEWS, BACKFILLED, OLDER})


class Router:
    """Raises DatabaseAway."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def step(self) -> int:
        """Decide on some events; how many there were."""
        now_ms = self._clock()
        with answering(), reading(self._engine) as connection:
            if not is_any_due(connection, now_ms):
                return 0  # a transaction that may write would hold up the judge for nothing
        with answering(), writing(self._engine) as connection:
            due = due_events(connection, now_ms, EVENTS_AT_ONCE)
            if not due:
                return 0
            standing = directory(connection, now_ms)
            known = told(connection, {one.fault.id for one in due})
            decisions: list[tuple[Due, Decision, bool]] = []
            for one in due:
                decision = Decision((), BACKFILLED)
                if one.is_live:
                    fault = one.fault.id
                    before = known.setdefault(fault, {})
                    decision = decide(one.fault, one.event, one.site, standing, before, now_ms)
                    for target in decision.targets:
                        before[target] = decision.people.get(target) or before.get(target)
                decisions.append((one, decision, decision.reason not in UNSAID))
            decided(connection, decisions, now_ms)
            failpoint("A1")
            return len(due)
