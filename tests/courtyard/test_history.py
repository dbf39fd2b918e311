"""The back-filled history: complete, judged once, and finished, wherever it was interrupted."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from courtyard.history import DAYS, HOUR_MS, Backfill, Plan, plan_history, read_plan
from courtyard.simulation import District
from devices.store import schema
from devices.store.database import reading, writing
from devices.store.registry import load, save
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import SeriesQuery

NOW_MS = 1_795_399_200_000 + 37 * 60_000
ONE = District(compounds=1, seed=3, rates="none")


class StopsWhenAsked(threading.Event):
    """Set at the nth question whether it is set: a stop at any step, without a clock."""

    def __init__(self, questions: int) -> None:
        super().__init__()
        self.left = questions

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def planned(engine: Engine, hours: int) -> Plan:
    """A plan of the last `hours` hours, the registry in place."""
    with writing(engine) as connection:
        save(connection, ONE.registry(), NOW_MS)
        plan_history(connection, ONE, NOW_MS)
        plan = read_plan(connection)
    assert plan is not None
    start_ms = plan.end_ms - hours * HOUR_MS
    return replace(plan, start_ms=start_ms, next_ms=start_ms)


def fill(engine: Engine, directory: Path, plan: Plan, stop: threading.Event) -> Plan:
    """One run; the plan as it stands afterwards."""
    telemetry = EmbeddedTelemetry(directory / "telemetry.db")
    Backfill(engine, telemetry, directory / "history", plan, stop).run()
    telemetry.close()
    with reading(engine) as connection:
        left = read_plan(connection)
    assert left is not None
    # before the first report the row is still the plan of the whole week
    return left if left.start_ms == plan.start_ms else plan


def outcomes(engine: Engine) -> dict[str, int]:
    accounts = schema.accounts.c
    with reading(engine) as connection:
        rows = connection.execute(
            select(accounts.outcome, func.sum(accounts.count)).group_by(accounts.outcome)
        )
        return {outcome: int(count) for outcome, count in rows}


def count(engine: Engine, table: Any, *where: Any) -> int:
    with reading(engine) as connection:
        return connection.execute(
            select(func.count()).select_from(table).where(*where)
        ).scalar_one()


def test_the_plan_is_the_week_before_the_current_hour(sqlite_database: Engine) -> None:
    with writing(sqlite_database) as connection:
        plan_history(connection, ONE, NOW_MS)
        plan = read_plan(connection)
    assert plan is not None
    assert NOW_MS - HOUR_MS < plan.end_ms <= NOW_MS
    assert plan.end_ms % HOUR_MS == 0
    assert (plan.hours_done, plan.hours) == (0, DAYS * 24)


def test_a_history_is_judged_stored_and_finished(any_database: Engine, tmp_path: Path) -> None:
    plan = planned(any_database, hours=3)
    done = fill(any_database, tmp_path, plan, threading.Event())
    assert done.finished
    assert done.hours_done == 3
    assert list((tmp_path / "history").iterdir()) == []

    usage = schema.usage_hours
    hours = (usage.c.hour_ms >= plan.start_ms, usage.c.hour_ms < plan.end_ms)
    assert count(any_database, usage, *hours) > 0
    # the energy of a charge that began before it lies before it; the present is not touched
    assert count(any_database, usage, usage.c.hour_ms >= plan.end_ms) == 0
    open_faults = schema.faults.c.state != "closed"
    assert count(any_database, schema.faults, open_faults) == 0
    unrouted = schema.fault_events.c.routed_at_ms.is_(None)
    assert count(any_database, schema.fault_events, unrouted) == 0, "nobody is told of the past"
    live = schema.device_state.c.stream == "live"
    never_seen = schema.device_state.c.state == "never_seen"
    assert count(any_database, schema.device_state, live, ~never_seen) == 0
    assert count(any_database, schema.device_state, ~live) == 0, "its state was only for making it"

    gate = next(d for d in ONE.registry().devices.values() if d.kind == "gate")
    telemetry = EmbeddedTelemetry(tmp_path / "telemetry.db")
    query = SeriesQuery("gate", gate.id, "board_temp_c", plan.start_ms, plan.end_ms, 10_000)
    assert len(telemetry.samples(query)) > 100
    telemetry.close()


@pytest.mark.long
def test_only_the_last_day_has_raw_readings(sqlite_database: Engine, tmp_path: Path) -> None:
    plan = planned(sqlite_database, hours=26)
    fill(sqlite_database, tmp_path, plan, threading.Event())
    gate = next(d for d in ONE.registry().devices.values() if d.kind == "gate")
    telemetry = EmbeddedTelemetry(tmp_path / "telemetry.db")
    day_ms = 24 * HOUR_MS
    whole = SeriesQuery("gate", gate.id, "board_temp_c", plan.start_ms, plan.end_ms, 100_000)
    samples = telemetry.samples(whole)
    telemetry.close()
    assert samples
    assert samples[0].at_ms >= plan.end_ms - day_ms


@pytest.mark.parametrize("questions", [1, 3, 8, 20, 45, 90, 130])
def test_an_interrupted_history_goes_on_and_judges_nothing_twice(
    sqlite_database: Engine, tmp_path: Path, questions: int
) -> None:
    plan = planned(sqlite_database, hours=2)
    plan = fill(sqlite_database, tmp_path, plan, StopsWhenAsked(questions))
    done = fill(sqlite_database, tmp_path, plan, threading.Event())
    assert done.finished
    assert count(sqlite_database, schema.faults, schema.faults.c.state != "closed") == 0
    seen = outcomes(sqlite_database)
    assert seen.get("duplicate", 0) == 0, "no message was judged a second time"
    with reading(sqlite_database) as connection:
        assert load(connection).devices
    # nobody's heartbeats are counted twice: an hour has no more than its interval promises
    usage = schema.usage_hours.c
    with reading(sqlite_database) as connection:
        most = connection.execute(
            select(func.max(usage.received)).where(usage.kind == "gateway")
        ).scalar_one()
    assert most is None or most <= 62


def test_a_finished_history_is_left_alone(sqlite_database: Engine, tmp_path: Path) -> None:
    plan = planned(sqlite_database, hours=1)
    done = fill(sqlite_database, tmp_path, plan, threading.Event())
    before = outcomes(sqlite_database)
    assert fill(sqlite_database, tmp_path, done, threading.Event()) == done
    assert outcomes(sqlite_database) == before
