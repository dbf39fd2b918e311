"""What is kept of the service ledger is always what working it out anew would give."""

from random import Random

import pytest
from sqlalchemy import Engine, event, insert, select, update

from api.errors import BadParameter
from api.settled import WEEK_MS, SettledWeeks
from api.sla import Key, tallies
from devices.calendars import Holiday, Year
from devices.days import DISTRICT_ZONE, local_date
from devices.sla import Tally
from devices.store.compounds import Directory, read_directory
from devices.store.database import reading
from devices.store.holidays import Entered, put_year
from devices.store.kpis import Filter
from devices.store.schema import compounds, fault_events, faults
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_fault_event,
)

DAYS = 40
FROM_MS = NOW_MS - DAYS * DAY_MS
LATER_MS = NOW_MS + 3 * DAY_MS


class Years:
    """Some weeks of faults, and both ways to look at them."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.settled = SettledWeeks()
        self.now_ms = NOW_MS
        rng = Random(5)
        with cast.write() as connection:
            for n in range(80):
                opened_ms = NOW_MS - rng.randrange(DAYS * DAY_MS)
                closed_ms = opened_ms + rng.randrange(30 * HOUR_MS)
                is_open = rng.random() < 0.15 or closed_ms > NOW_MS
                where = rng.choice(
                    ({}, {"device": STRANGE_GATE, "compound": LIANXIN}, {"compound": XIANGYUNLI})
                )
                a_fault(
                    connection,
                    f"f{n}",
                    subject=f"s{n}",
                    opened_at_ms=opened_ms,
                    since_ms=opened_ms,
                    severity=rng.choice(("P1", "P2", "P3", "P4")),
                    suspected=rng.random() < 0.1,
                    state="open" if is_open else "closed",
                    closed_at_ms=None if is_open else closed_ms,
                    **where,
                )
                if rng.random() < 0.7:
                    at_ms = opened_ms + rng.randrange(5 * HOUR_MS)
                    a_fault_event(
                        connection, f"f{n}", reason="acknowledged", actor="wang", at_ms=at_ms
                    )
                if not is_open:
                    a_fault_event(connection, f"f{n}", reason="over", at_ms=closed_ms)

    def old(self) -> str:
        """One that is counted in a week that is kept."""
        with reading(self.cast.engine) as connection:
            found = connection.execute(
                select(faults.c.id).where(
                    faults.c.state == "closed",
                    faults.c.suspected.is_(False),
                    faults.c.opened_at_ms.between(NOW_MS - 30 * DAY_MS, NOW_MS - 12 * DAY_MS),
                )
            )
            return str(found.scalars().first())

    @property
    def directory(self) -> Directory:
        with reading(self.cast.engine) as connection:
            return read_directory(connection, self.now_ms)

    def kept(self, scope: Scope = DISTRICT, wanted: Filter = Filter()) -> dict[Key, Tally]:
        return self.settled.tallies(
            self.cast.engine, self.directory, scope, wanted, FROM_MS, self.now_ms, self.now_ms
        )

    def anew(self, scope: Scope = DISTRICT, wanted: Filter = Filter()) -> dict[Key, Tally]:
        return tallies(
            self.cast.engine, self.directory, scope, wanted, FROM_MS, self.now_ms, self.now_ms
        )

    def agree(self) -> bool:
        return all(
            in_order(self.kept(scope, wanted)) == in_order(self.anew(scope, wanted))
            for scope, wanted in (
                (DISTRICT, Filter()),
                (Scope("yaxin"), Filter()),
                (DISTRICT, Filter(firm="kangqiao")),
            )
        )


def in_order(found: dict[Key, Tally]) -> dict[Key, object]:
    """Ranks do not ask in which order they were counted."""
    for tally in found.values():
        for values in (tally.notified_s, tally.acknowledged_s, tally.mended_s):
            values.sort()
    return dict(found)


@pytest.fixture
def years(cast: Cast) -> Years:
    return Years(cast)


class Reads:
    """How many events of faults were read of all, by how often they were asked for."""

    def __init__(self, engine: Engine) -> None:
        self.asked = 0
        event.listen(engine, "before_cursor_execute", self._see)

    def _see(self, *of: object) -> None:
        self.asked += "fault_events.actor" in str(of[2])


def test_it_is_the_same_and_is_read_once(years: Years) -> None:
    assert years.agree()
    reads = Reads(years.cast.engine)
    years.kept()
    assert 0 < reads.asked <= 4  # what stands, and the ends of the range
    before = reads.asked
    years.anew()
    assert reads.asked - before > 4


def test_an_old_fault_that_ends_later_is_counted_anew(years: Years) -> None:
    assert years.agree()
    old_ms = NOW_MS - 15 * DAY_MS
    with years.cast.write() as connection:
        standing = faults.c.state == "open", faults.c.opened_at_ms < old_ms
        for row in connection.execute(
            update(faults)
            .where(*standing)
            .values(state="closed", closed_at_ms=NOW_MS)
            .returning(faults.c.id)
        ).all():
            a_fault_event(connection, row.id, reason="over")
    assert years.agree()


def test_an_old_fault_that_is_no_longer_counted_is_left_out(years: Years) -> None:
    assert years.agree()
    old = years.old()
    with years.cast.write() as connection:
        connection.execute(update(faults).where(faults.c.id == old).values(suppressed_by="root"))
        a_fault_event(connection, old, reason="reclassified")
    assert years.agree()


def test_an_event_that_is_committed_behind_newer_ones_counts(years: Years) -> None:
    """As on PostgreSQL, where ids are drawn before they are committed."""
    with years.cast.write() as connection:
        a_fault_event(connection, "f3", reason="commented")
        connection.execute(
            insert(fault_events).values(
                id=5_000, fault="f3", at_ms=NOW_MS, becomes="open", reason="commented", actor="li"
            )
        )
    assert years.agree()
    old = years.old()
    with years.cast.write() as connection:
        connection.execute(update(faults).where(faults.c.id == old).values(suspected=True))
        connection.execute(
            insert(fault_events).values(
                id=4_500, fault=old, at_ms=NOW_MS, becomes="open", reason="reopened", actor="li"
            )
        )
    assert years.agree()


def test_another_calendar_or_another_firm_is_worked_out_anew(years: Years) -> None:
    assert years.agree()
    first = local_date(FROM_MS + 20 * DAY_MS, DISTRICT_ZONE)
    with years.cast.write() as connection:
        year = Year(first.year, (Holiday("x", first, first),))
        put_year(connection, Entered(year, "wang", NOW_MS))
    assert years.agree()
    with years.cast.write() as connection:
        connection.execute(update(compounds).where(compounds.c.id == LIANXIN).values(firm="yaxin"))
    assert years.agree()


def test_what_was_new_is_settled_after_some_days(years: Years) -> None:
    assert years.agree()
    years.now_ms = LATER_MS + WEEK_MS
    assert years.agree()
    assert years.agree()


def test_faults_of_a_range_are_bounded(years: Years, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.settled.MOST_FAULTS", 30)
    with pytest.raises(BadParameter, match="more than 30 faults"):
        years.kept()
    assert years.kept(wanted=Filter(compound=XIANGYUNLI))
