"""The part of the service ledger that no longer changes, kept in memory: closed faults, by week.

A year of a district is 60,000 faults with their events and deliveries, and 4 s of work; a week of
them is 1,200. What a closed fault did is settled but for an event that comes to it later (somebody
reopens, or reclassifies it): `fault_events` is asked for those before anything kept is told.

Of another calendar, and when compounds change hands or time zones, all is worked out anew. Limits
and maintenance never change for what has been. A notice that somebody has sent again days later
counts within a day, for nothing is kept for longer.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from api.errors import BadParameter
from api.instants import DAY_MS
from api.sla import MOST_FAULTS, MOST_STANDING, Book, Key, Months, count_case, tallies
from api.turns import Turns
from devices.calendars import Calendar
from devices.sla import Tally
from devices.store import holidays
from devices.store import kpis as rows
from devices.store import sla as store
from devices.store.compounds import Directory
from devices.store.database import reading
from devices.store.faults import OPEN_STATES
from devices.store.scope import DISTRICT, Scope

WEEK_MS = 7 * DAY_MS
SETTLED_AFTER_MS = 2 * DAY_MS  # notices of it have arrived, or were given up
KEPT_MS = DAY_MS
# PostgreSQL may commit ids out of order: so many of the newest are looked for again.
OVERLAP = 1_000
WAITING, WAIT_S = 4, 20.0


@dataclass(frozen=True, slots=True)
class _Ground:
    """What else the ledgers rest on."""

    calendar: Calendar
    whose: Mapping[str, tuple[str, str]]  # compound -> firm, time zone


@dataclass(frozen=True, slots=True)
class _Week:
    """made_ms: when it was worked out."""

    made_ms: int
    tallies: Mapping[Key, Tally]


class SettledWeeks:
    """One asks at a time; a few wait; whoever comes then is told to come again (Away)."""

    def __init__(self) -> None:
        self._turns = Turns("the service ledger", 1, WAITING, WAIT_S)
        self._weeks: dict[int, _Week] = {}  # by their beginning; 54 at most
        self._ground: _Ground | None = None
        self._newest = 0  # event
        self._seen: set[int] = set()  # events from OVERLAP before it on

    def tallies(
        self,
        engine: Engine,
        directory: Directory,
        scope: Scope,
        wanted: rows.Filter,
        from_ms: int,
        to_ms: int,
        now_ms: int,
    ) -> dict[Key, Tally]:
        """As `api.sla.tallies` works them out. Raises BadParameter, Away."""
        first_ms = -(-from_ms // WEEK_MS) * WEEK_MS
        last_ms = min(to_ms, now_ms - SETTLED_AFTER_MS) // WEEK_MS * WEEK_MS
        if wanted.compound is not None or first_ms >= last_ms:
            return tallies(engine, directory, scope, wanted, from_ms, to_ms, now_ms)
        found: dict[Key, Tally] = {}
        with self._turns.turn():
            standing = self._standing(engine, directory, first_ms, last_ms, now_ms)
            self._forget(engine, directory, now_ms)
            for begin_ms in range(first_ms, last_ms, WEEK_MS):
                _add(found, self._week(engine, directory, begin_ms, now_ms, standing.ids))
            _add(found, standing.tallies)
        firms = {scope.firm, wanted.firm} - {None}
        found = {key: tally for key, tally in found.items() if firms <= {key[1]}}
        for begin_ms, end_ms in ((from_ms, first_ms), (last_ms, to_ms)):
            if begin_ms < end_ms:
                _add(found, tallies(engine, directory, scope, wanted, begin_ms, end_ms, now_ms))
        if sum(tally.faults for tally in found.values()) > MOST_FAULTS:
            raise BadParameter(
                "from", f"more than {MOST_FAULTS} faults in this range: ask for fewer days"
            )
        return found

    def _standing(
        self, engine: Engine, directory: Directory, from_ms: int, to_ms: int, now_ms: int
    ) -> "_Standing":
        """Open faults of these weeks: how they stand changes with the hour."""
        found = _Standing({}, set())
        months = Months()
        with reading(engine) as connection:
            book = Book(connection, directory, DISTRICT, from_ms, now_ms)
            cases = store.standing(
                connection, DISTRICT, store.EVERYTHING, MOST_STANDING, (from_ms, to_ms)
            )
        for case, one in book.ledgers(cases):
            found.ids.add(case.id)
            count_case(found.tallies, directory, months, case, one)
        return found

    def _forget(self, engine: Engine, directory: Directory, now_ms: int) -> None:
        """Drop what may be no longer so."""
        if not self._weeks:
            with reading(engine) as connection:
                self._newest = store.newest_event(connection)
        with reading(engine) as connection:
            ground = _Ground(
                holidays.calendar(connection),
                {one.id: (one.firm, one.timezone) for one in directory.compounds.values()},
            )
            before_ms = now_ms - SETTLED_AFTER_MS
            events = store.events_since(connection, self._newest - OVERLAP, before_ms)
            self._newest = store.newest_event(connection)
        if ground != self._ground:
            self._ground = ground
            self._weeks.clear()
        for number, opened_ms in events.items():
            if number not in self._seen:
                self._weeks.pop(opened_ms // WEEK_MS * WEEK_MS, None)
        self._seen = {number for number in events if number > self._newest - OVERLAP}
        oldest_ms = now_ms - KEPT_MS
        self._weeks = {
            at_ms: week for at_ms, week in self._weeks.items() if oldest_ms < week.made_ms <= now_ms
        }

    def _week(
        self,
        engine: Engine,
        directory: Directory,
        begin_ms: int,
        now_ms: int,
        without: Collection[str],
    ) -> Mapping[Key, Tally]:
        known = self._weeks.get(begin_ms)
        if known is None:
            found: dict[Key, Tally] = {}
            months = Months()
            with reading(engine) as connection:
                book = Book(connection, directory, DISTRICT, begin_ms, now_ms)
                cases = store.opened(
                    connection,
                    DISTRICT,
                    store.EVERYTHING,
                    begin_ms,
                    begin_ms + WEEK_MS,
                    MOST_FAULTS + 1,
                )
            for case, one in book.ledgers(cases):
                if case.state not in OPEN_STATES and case.id not in without:
                    count_case(found, directory, months, case, one)
            known = self._weeks[begin_ms] = _Week(now_ms, found)
        return known.tallies


@dataclass(frozen=True, slots=True)
class _Standing:
    tallies: dict[Key, Tally]
    ids: set[str]


def _add(found: dict[Key, Tally], more: Mapping[Key, Tally]) -> None:
    for key, tally in more.items():
        found.setdefault(key, Tally()).add(tally)
