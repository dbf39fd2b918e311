"""How faults came and went today, and how soon people answered this week."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, Engine, event

from devices.store.database import reading
from devices.store.faults import Filter, Pace, pace_of
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    STRANGE_GATE,
    a_cast,
    a_fault,
)

MIDNIGHT_MS = 1_795_363_200_000  # of 2026-11-23 in Zhengzhou
WEEK_MS = NOW_MS - 7 * DAY_MS


def paced(connection: Connection, scope: Scope = DISTRICT, wanted: Filter | None = None) -> Pace:
    return pace_of(connection, scope, wanted or Filter(), day_ms=MIDNIGHT_MS, since_ms=WEEK_MS)


def with_faults(engine: Engine) -> None:
    cast = a_cast(engine)
    with cast.write() as connection:

        def add(name: str, opened_ms: int, closed_ms: int | None = None, **more: object) -> None:
            state = {"state": "open" if closed_ms is None else "closed", "closed_at_ms": closed_ms}
            subject = {"subject": name, "opened_at_ms": opened_ms, "since_ms": opened_ms}
            a_fault(connection, name, **(state | subject | more))

        noon_ms = MIDNIGHT_MS + 12 * HOUR_MS
        # today's: one stands, one is over; one came last night and one a month ago, and both went
        add("stands", noon_ms, acknowledged_at_ms=noon_ms + 4 * MINUTE_MS)
        add("over", noon_ms, noon_ms + HOUR_MS, acknowledged_at_ms=noon_ms + 10 * MINUTE_MS)
        add("of-the-night", MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS + HOUR_MS)
        add("old", MIDNIGHT_MS - 30 * DAY_MS, noon_ms)
        # gone yesterday, told by a root, a guess, of a past that was filled in
        add("yesterday", MIDNIGHT_MS - 20 * HOUR_MS, MIDNIGHT_MS - 1)
        add("explained", noon_ms, suppressed_by="stands")
        add("guess", noon_ms, suspected=True)
        add("history", noon_ms, stream="history")
        # of another firm, and answered late
        add(
            "strange",
            noon_ms,
            device=STRANGE_GATE,
            compound=LIANXIN,
            acknowledged_at_ms=noon_ms + HOUR_MS,
        )
        # answered, and older than a week
        add("older", WEEK_MS - 1, WEEK_MS, acknowledged_at_ms=WEEK_MS)


@pytest.fixture
def counted(sqlite_database: Engine) -> Engine:
    with_faults(sqlite_database)
    return sqlite_database


def test_a_day_counts_what_came_and_what_went_whenever_it_came(counted: Engine) -> None:
    with reading(counted) as connection:
        pace = paced(connection)
    assert (pace.opened, pace.closed) == (3, 3)


def test_half_were_answered_sooner_and_half_later(counted: Engine) -> None:
    with reading(counted) as connection:
        assert paced(connection).to_acknowledge_s == 10 * 60
        assert paced(connection, Scope("yaxin")).to_acknowledge_s == 7 * 60


def test_a_firm_and_a_filter_count_their_own(counted: Engine) -> None:
    with reading(counted) as connection:
        yaxin = paced(connection, Scope("yaxin"))
        assert (yaxin.opened, yaxin.closed) == (2, 3)
        assert paced(connection, wanted=Filter(compound=LIANXIN)) == Pace(1, 0, 3600)
        assert paced(connection, wanted=Filter(code="SHED_SMOKE")) == Pace(0, 0, None)


def test_no_part_reads_all_that_ever_closed(counted: Engine) -> None:
    asked: list[tuple[str, Sequence[object]]] = []

    @event.listens_for(counted, "before_cursor_execute")
    def note(
        _c: object, _cur: object, statement: str, values: Sequence[object], *_more: object
    ) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, values))

    with reading(counted) as connection:
        paced(connection)
        ways = [plan(connection, statement, values) for statement, values in list(asked)]
    event.remove(counted, "before_cursor_execute", note)
    assert len(ways) == 4
    for way in ways:
        assert "SCAN" not in way.replace("SCAN compounds", ""), way
        assert "ix_faults_opened" in way or "ix_faults_lasting" in way, way


def plan(connection: Connection, statement: str, values: Sequence[object]) -> str:
    found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(values))
    return " ".join(str(row[-1]) for row in found)
