"""Nobody was told: itself an alarm to the operators, SYS_NOBODY_TOLD."""

from sqlalchemy import Engine

from devices.platform import NOBODY_TOLD, Trouble
from devices.store.database import answering, reading
from devices.store.deliveries import untold
from devices.store.platform import PlatformFaults

PLATFORM_SUBJECT = "platform:alerts"
LATE_MS = 60_000
EXAMPLES = 5


class Unheard:
    """Raises DatabaseAway."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rows = PlatformFaults(engine)

    def look(self, now_ms: int) -> Trouble | None:
        """Raise or end the alarm; what is wrong.

        It stands while a safety fault, or one of P1 or P2, that is not over has reached nobody: no
        route leads anywhere, its deliveries have failed, or have waited for a minute.
        """
        with answering(), reading(self._engine) as connection:
            found = untold(connection, now_ms - LATE_MS, EXAMPLES)
        trouble = None
        if found.count:
            trouble = Trouble(
                NOBODY_TOLD,
                found.since_ms,
                {"faults": found.count, "of": ", ".join(found.examples), "why": found.why},
                subject=PLATFORM_SUBJECT,
            )
        self._rows.settle(PLATFORM_SUBJECT, NOBODY_TOLD, trouble, now_ms)
        return trouble
