"""The rows of our own troubles that nobody judges from the journal: they are seen from outside.

The judge writes those that follow from the journal's control records, with its cursor; what is
settled here has no cursor, so each step is a transaction of its own: compare-and-set on the state,
and the line in the fault's history.
"""

from sqlalchemy import Engine, insert, select, update

from devices.faults import Fault, FaultMoved, State
from devices.platform import Trouble, advance
from devices.store.database import answering, conflict_insert, reading, writing
from devices.store.faults import OPEN_STATES, fault_of, fault_row, judged, step_row
from devices.store.schema import LIVE, fault_events, faults

TRIES = 5  # so often in a row a person may be faster


class PlatformFaults:
    """Faults of kind `platform` of the live stream. Raises DatabaseAway."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def standing(self, code: str) -> list[Fault]:
        """Those of this code that are not closed, whatever their subject."""
        query = select(faults).where(
            faults.c.stream == LIVE,
            faults.c.kind == "platform",
            faults.c.code == code,
            faults.c.state.in_(OPEN_STATES),
        )
        with answering(), reading(self._engine) as connection:
            return [fault_of(row) for row in connection.execute(query)]

    def settle(self, subject: str, code: str, trouble: Trouble | None, now_ms: int) -> Fault | None:
        """Bring the fault of this subject and code to what is true now; what it then is.

        None: there never was one. Raises FaultMoved if somebody is faster TRIES times.
        """
        for _ in range(TRIES):
            try:
                return self._settle(subject, code, trouble, now_ms)
            except FaultMoved as error:
                moved = error
        raise moved

    def _settle(
        self, subject: str, code: str, trouble: Trouble | None, now_ms: int
    ) -> Fault | None:
        newest = (
            select(faults)
            .where(faults.c.stream == LIVE, faults.c.subject == subject, faults.c.code == code)
            .order_by(faults.c.opened_at_ms.desc(), faults.c.id.desc())
            .limit(1)
        )
        with answering(), writing(self._engine) as connection:
            row = connection.execute(newest).one_or_none()
            standing = None if row is None else fault_of(row)
            step = advance(standing, trouble, now_ms, LIVE)
            if step is None:
                return standing
            fault, event = step
            if event.was is None:
                made = conflict_insert(connection, faults).values(fault_row(fault, LIVE))
                inserted = made.on_conflict_do_nothing().returning(faults.c.id)
                has_moved = connection.execute(inserted).first() is not None
            else:
                # what people wrote stays, but the shelf of a fault that is over
                void = {"shelved_until_ms": None} if fault.state is State.CLOSED else {}
                moved = connection.execute(
                    update(faults)
                    .where(faults.c.id == fault.id, faults.c.state == event.was)
                    .values(**judged(fault), **void)
                )
                has_moved = moved.rowcount == 1
            if not has_moved:
                raise FaultMoved(f"{subject} {code} is no longer {event.was or 'without a fault'}")
            connection.execute(insert(fault_events).values(step_row(event)))
            return fault
