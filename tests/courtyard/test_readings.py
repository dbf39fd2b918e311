"""Readings that are older than they are to be kept: forgotten, and put down as such beforehand."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import Engine

from courtyard.doctor import telemetry as looked_at
from courtyard.readings import EmbeddedRetention, InfluxRetention, retention, run, said
from courtyard.settings import Settings, load_settings
from devices.store.database import DatabaseAway
from devices.store.readings import KeptReadings
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.telemetry.influxdb import InfluxTelemetry
from devices.telemetry import Point, TelemetryRefused
from tests import fake_influxdb
from tests.eventually import eventually
from tests.fake_influxdb import BUCKET, ORG, TOKEN, FakeInfluxDB, Trouble

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_795_434_130_000
NEVER = threading.Event()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedTelemetry]:
    store = EmbeddedTelemetry(tmp_path / "data" / "telemetry.db")
    yield store
    store.close()


def fill(store: EmbeddedTelemetry, *days_ago: int) -> None:
    for days in days_ago:
        at_ms = NOW_MS - days * DAY_MS
        store.write([Point("lamp", "c", f"l{n}", at_ms, {"power_w": 1.0}) for n in range(3)])


def of_embedded(
    store: EmbeddedTelemetry, engine: Engine, days: int = 30, now_ms: int = NOW_MS
) -> EmbeddedRetention:
    kept = KeptReadings(engine)
    return EmbeddedRetention(store, kept, timedelta(days=days), lambda: now_ms)


def days_kept(store: EmbeddedTelemetry) -> list[int]:
    points = store.points("lamp", "l1", 0, NOW_MS + DAY_MS, 1000)
    return [round((NOW_MS - point.at_ms) / DAY_MS) for point in points]


def test_what_is_older_is_deleted_and_put_down(
    store: EmbeddedTelemetry, any_database: Engine
) -> None:
    fill(store, 40, 32, 29, 3, 0)
    work = of_embedded(store, any_database)
    work.round(NEVER)
    assert days_kept(store) == [29, 3, 0]
    assert work.deleted == 6
    cut_ms = NOW_MS - 30 * DAY_MS
    assert KeptReadings(any_database).from_ms() == cut_ms - cut_ms % HOUR_MS
    values = {m.name: next(s.value for s in m.samples) for m in work.metrics()}
    assert values == {
        "courtyard_readings_deleted": 6,
        "courtyard_readings_oldest_timestamp_seconds": (NOW_MS - 29 * DAY_MS) / 1000,
    }
    work.round(NEVER)
    assert work.deleted == 6


def test_nothing_is_put_down_where_nothing_is_old(
    store: EmbeddedTelemetry, any_database: Engine
) -> None:
    work = of_embedded(store, any_database)
    work.round(NEVER)
    fill(store, 29, 0)
    work.round(NEVER)
    assert days_kept(store) == [29, 0]
    assert KeptReadings(any_database).from_ms() == 0


def test_what_was_put_down_never_goes_back(store: EmbeddedTelemetry, any_database: Engine) -> None:
    fill(store, 40, 29, 3, 0)
    of_embedded(store, any_database, days=5).round(NEVER)
    since_ms = KeptReadings(any_database).from_ms()
    of_embedded(store, any_database, days=90).round(NEVER)
    assert KeptReadings(any_database).from_ms() == since_ms
    assert days_kept(store) == [3, 0]


def test_a_store_to_which_nothing_comes_keeps_what_it_has_whatever_the_clock_says(
    store: EmbeddedTelemetry, any_database: Engine
) -> None:
    fill(store, 29, 20, 0)
    of_embedded(store, any_database, now_ms=NOW_MS + 3650 * DAY_MS).round(NEVER)
    assert days_kept(store) == [29, 20, 0]


def test_it_is_put_down_before_anything_goes(
    store: EmbeddedTelemetry, sqlite_database: Engine
) -> None:
    fill(store, 40, 0)

    class Away(KeptReadings):
        def forget_before(self, at_ms: int, now_ms: int) -> int:
            raise DatabaseAway("locked")

    work = EmbeddedRetention(store, Away(sqlite_database), timedelta(days=30), lambda: NOW_MS)
    with pytest.raises(DatabaseAway):
        work.round(NEVER)
    assert days_kept(store) == [40, 0]


def test_it_ends_between_two_pieces_when_it_is_told_to(
    store: EmbeddedTelemetry, sqlite_database: Engine
) -> None:
    fill(store, 40, 39, 38, 0)
    stop = threading.Event()
    stop.set()
    of_embedded(store, sqlite_database).round(stop)
    assert days_kept(store) == [40, 39, 38, 0]


def test_the_thread_tries_again_and_ends(store: EmbeddedTelemetry, sqlite_database: Engine) -> None:
    fill(store, 40, 0)
    work, stop = of_embedded(store, sqlite_database), threading.Event()
    thread = threading.Thread(target=lambda: run(work, stop, 0.0, 0.01))
    thread.start()
    try:
        eventually(lambda: work.deleted == 3, what="the old ones are gone")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


# InfluxDB


@pytest.fixture
def fake() -> Iterator[FakeInfluxDB]:
    with fake_influxdb.running() as fake:
        yield fake


def of_influxdb(
    fake: FakeInfluxDB, engine: Engine, *, sets: bool = False, days: int = 400
) -> InfluxRetention:
    store = InfluxTelemetry(fake.url, TOKEN, ORG, BUCKET, 5.0)
    kept = KeptReadings(engine)
    return InfluxRetention(store, kept, timedelta(days=days), lambda: NOW_MS, sets=sets)


def day_s(days: int) -> int:
    return days * DAY_MS // 1000


def test_a_buckets_rule_is_read_and_left_alone_unless_asked_for(
    fake: FakeInfluxDB, any_database: Engine
) -> None:
    fake.retention_s = day_s(60)
    with structlog.testing.capture_logs() as logs:
        work = of_influxdb(fake, any_database)
        work.round(NEVER)
        work.round(NEVER)
    (line,) = logs
    assert (line["log_level"], line["rule"], line["setting"]) == ("warning", "60d", "400d")
    assert fake.retention_s == day_s(60)
    cut_ms = NOW_MS - 60 * DAY_MS
    assert KeptReadings(any_database).from_ms() == cut_ms - cut_ms % HOUR_MS
    assert [m.name for m in work.metrics()] == ["courtyard_readings_oldest_timestamp_seconds"]


def test_it_is_set_where_that_is_asked_for(fake: FakeInfluxDB, any_database: Engine) -> None:
    of_influxdb(fake, any_database, sets=True).round(NEVER)
    assert fake.retention_s == day_s(400)


def test_a_token_that_may_not_set_it_is_told_of_once_and_the_rule_holds(
    fake: FakeInfluxDB, any_database: Engine
) -> None:
    fake.retention_s = day_s(60)
    fake.troubles.append(Trouble(401, path="/api/v2/buckets/b1"))
    work = of_influxdb(fake, any_database, sets=True)
    fake.troubles.insert(0, Trouble(path="/api/v2/buckets"))
    with structlog.testing.capture_logs() as logs:
        work.round(NEVER)
        work.round(NEVER)
    assert [line["event"] for line in logs] == ["bucket_retention_not_set", "bucket_retention"]
    assert fake.retention_s == day_s(60)
    assert KeptReadings(any_database).from_ms() > 0


def test_a_bucket_that_keeps_for_ever_forgets_nothing(
    fake: FakeInfluxDB, any_database: Engine
) -> None:
    work = of_influxdb(fake, any_database)
    work.round(NEVER)
    assert KeptReadings(any_database).from_ms() == 0
    assert list(work.metrics()) == []


def test_a_bucket_that_cannot_be_seen_is_said(fake: FakeInfluxDB, any_database: Engine) -> None:
    fake.sees_bucket = False
    with pytest.raises(TelemetryRefused):
        of_influxdb(fake, any_database).round(NEVER)


def test_each_store_has_its_own(
    fake: FakeInfluxDB, store: EmbeddedTelemetry, any_database: Engine
) -> None:
    kept = KeptReadings(any_database)
    made = retention(load_settings({}), store, kept, lambda: NOW_MS)
    assert isinstance(made, EmbeddedRetention)
    influx = InfluxTelemetry(fake.url, TOKEN, ORG, BUCKET, 5.0)
    assert isinstance(
        retention(influx_settings(fake), influx, kept, lambda: NOW_MS), InfluxRetention
    )
    assert [said(seconds) for seconds in (None, 86_400, 90)] == ["for ever", "1d", "90s"]


# What the doctor says


def influx_settings(fake: FakeInfluxDB) -> Settings:
    environ = {
        "COURTYARD_INFLUXDB_URL": fake.url,
        "COURTYARD_INFLUXDB_TOKEN": TOKEN,
        "COURTYARD_INFLUXDB_ORG": ORG,
        "COURTYARD_INFLUXDB_BUCKET": BUCKET,
    }
    return load_settings(environ)


@pytest.mark.parametrize(
    ("days", "good", "says"),
    [
        (400, True, "keeps readings for 400d"),
        (0, None, "keeps readings for ever, and COURTYARD_TELEMETRY_RETENTION is 400d: set"),
        (30, None, "keeps readings for 30d, and COURTYARD_TELEMETRY_RETENTION is 400d: set"),
        (4, None, "keeps readings for 4d, and"),
        (3, False, "keeps readings for 3d, less than 4d: usage that is provisional cannot be"),
    ],
)
def test_the_doctor_says_for_how_long_a_bucket_keeps_readings(
    fake: FakeInfluxDB, days: int, good: bool | None, says: str
) -> None:
    fake.retention_s = day_s(days)
    answers, found = looked_at(influx_settings(fake))
    assert answers.good is True
    assert found.good is good
    assert says in found.text


def test_the_doctor_cannot_say_it_of_a_bucket_that_it_may_not_see(fake: FakeInfluxDB) -> None:
    fake.sees_bucket = False
    _, found = looked_at(influx_settings(fake))
    assert found.good is None
    assert "let the token read the bucket" in found.text


def test_the_doctor_says_it_of_the_embedded_store(store: EmbeddedTelemetry) -> None:
    fill(store, 3, 0)
    settings = load_settings(
        {"COURTYARD_DATA_DIR": str(store.path.parent), "COURTYARD_TELEMETRY_RETENTION": "60d"}
    )
    _, found = looked_at(settings)
    assert (found.good, found.text) == (
        True,
        "readings are kept for 60d; the oldest is of 2026-11-20",
    )
