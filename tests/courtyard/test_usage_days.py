"""The thread that sums up usage: what is missing, what is due, and that it stops when told."""

import threading

from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError

from courtyard.usage_days import UsageDaysWorker
from devices.store.database import open_database, reading, writing
from devices.store.schema import usage_days
from devices.store.usage_days import UsageDays, mark_days
from tests.api.cast import DAY_MS, GATE, HOUR_MS, NOW_MS, XIANGYUNLI, a_district, an_hour
from tests.eventually import eventually

OLD_MS = NOW_MS - NOW_MS % HOUR_MS - 3 * DAY_MS


def days_of(engine: Engine) -> set[int]:
    with reading(engine) as connection:
        query = select(usage_days.c.day_ms).where(usage_days.c.compound == XIANGYUNLI)
        return set(connection.scalars(query))


class Running:
    """A worker on a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self.worker = UsageDaysWorker(engine, lambda: NOW_MS, every_s=0.01, look_after_s=0)
        self.stop = threading.Event()
        self._thread = threading.Thread(target=lambda: self.worker.run(self.stop))
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_what_is_missing_and_what_becomes_due_is_summed_up(sqlite_database: Engine) -> None:
    with writing(sqlite_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, OLD_MS, 60, granted=5)
    running = Running(sqlite_database)
    try:
        eventually(lambda: len(days_of(sqlite_database)) == 22, what="all of November so far")
        with writing(sqlite_database) as connection:
            an_hour(connection, GATE, OLD_MS + HOUR_MS, 60, granted=2)
            mark_days(connection, [(XIANGYUNLI, OLD_MS + HOUR_MS)], NOW_MS)
        eventually(lambda: not UsageDays(sqlite_database).due(NOW_MS), what="no mark is left")
    finally:
        running.end()


def test_a_day_that_is_being_written_to_waits(sqlite_database: Engine) -> None:
    with writing(sqlite_database) as connection:
        a_district(connection)
    worker = UsageDaysWorker(sqlite_database, lambda: NOW_MS)
    for _ in range(3):
        with writing(sqlite_database) as connection:
            mark_days(connection, [(XIANGYUNLI, OLD_MS)], NOW_MS)
        assert list(worker.due()) == []
    (work,) = worker.due()
    assert work.compound == XIANGYUNLI
    assert len(work.days) == 1


def test_a_database_that_is_away_is_waited_for(sqlite_database: Engine) -> None:
    with writing(sqlite_database) as connection:
        a_district(connection)
    engine = open_database(str(sqlite_database.url))
    failed = threading.Event()

    def fail(*_: object) -> None:
        if not failed.is_set():
            failed.set()
            raise OperationalError("SELECT 1", {}, Exception("disk I/O error"))

    event.listen(engine, "engine_connect", fail)
    running = Running(engine)
    try:
        assert failed.wait(10)
        eventually(lambda: len(days_of(sqlite_database)) == 22, what="it went on")
    finally:
        running.end()
        engine.dispose()
