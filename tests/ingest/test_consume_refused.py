"""Messages that the database refuses, or that kill the process: they are put aside, no others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import msgpack
from sqlalchemy import Connection, Engine, text
from structlog.testing import capture_logs

from devices.journal import Record
from devices.judgement import Effects
from devices.messages import Outcome, Reason
from devices.store.accounts import read_account
from devices.store.database import DatabaseAway, reading, writing
from devices.store.judgements import Judgements
from devices.store.quarantine import Filter, list_refused
from devices.store.registry import save
from devices.store.scope import DISTRICT
from ingest.blame import Blame
from ingest.consume import Consumer
from ingest.decoding import SharedDecodes
from tests.fakes import FakeBell, FakeJournal, FakeJudgeStore, FakeNote, FakeStop, FakeTime
from tests.ingest.judge.district import PLANS, START_MS, District, a_gate

LONG = pytest.mark.long
pytestmark = [LONG]

GATES = [a_gate(f"gate-{n}") for n in range(1, 9)]


class Bench:
    """Records of several messages, and a consumer that judges them into a store."""

    def __init__(self, store: Any = None) -> None:
        self.district = District(*GATES)
        self.district.every_message_is_a_record = False
        self.journal = FakeJournal()
        self.store = store if store is not None else FakeJudgeStore(self.district.registry)
        self.time = FakeTime(START_MS)
        self.note = FakeNote()
        self.decodes = SharedDecodes()

    def batch(self, *says: tuple[str, dict[str, Any]]) -> Record:
        """One record: each device with its values."""
        for device, values in says:
            self.district.now_s += 1
            self.district.says(device, values)
        self.district.cut()
        record = self.district.records[-1]
        self.journal.append(record)
        self.time.now_ms = self.district.now_ms
        return record

    def consumer(self) -> Consumer:
        return Consumer(
            self.store,
            PLANS,
            self.time.clock,
            stream="live",
            decodes=self.decodes,
            blame=Blame(self.note),
            monotonic=self.time.monotonic,
        )

    def run(self, turns: int = 100) -> FakeStop:
        """A start, and the loop for so many waits."""
        stop = FakeStop(self.time, after=turns)
        self.consumer().run(self.journal, FakeBell(self.time, stop), stop)
        return stop

    def account(self) -> dict[str, int]:
        """outcome or reason -> messages, of the fake's rows."""
        counts: dict[str, int] = {}
        for (_, _, outcome, reason), count in self.store.rows.accounts.items():
            if outcome in list(Outcome):
                counts[reason or outcome] = counts.get(reason or outcome, 0) + count
        return counts


def hot(n: int) -> dict[str, Any]:
    return {"board_temp_c": float(n)}


def refuses_temperatures(*bad: float) -> Any:
    """The database has something against these values of a device's row."""

    def look(effects: Effects) -> str | None:
        for row in effects.devices:
            value = msgpack.decode(row.latest).get("board_temp_c", (None, 0))[0]
            if value in bad:
                return f"temperature {value}"
        return None

    return look


@pytest.mark.parametrize("bad", [1, *(pytest.param(n, marks=LONG) for n in (4, 8))])
def test_the_message_that_is_refused_is_quarantined_and_the_rest_is_stored(bad: int) -> None:
    bench = Bench()
    bench.store.refuses = refuses_temperatures(float(bad))
    bench.batch(("gate-1", {"csq": 20}), ("gate-2", {"csq": 21}))
    bench.batch(*((f"gate-{n}", hot(n)) for n in range(1, 9)))
    bench.batch(("gate-1", {"csq": 22}))
    with capture_logs() as logs:
        bench.run()
    assert bench.account() == {"stored": 10, "refused_by_database": 1}
    (refused,) = bench.store.rows.refused.values()
    assert (refused.reason, refused.device) == (Reason.REFUSED_BY_DATABASE, f"gate-{bad}")
    assert refused.jseq == 2 + bad
    assert refused.detail == f"temperature {float(bad)}"
    assert refused.payload == bench.district.records[1].messages[bad - 1].payload
    assert bench.store.rows.cursor.position == 3
    assert [log["jseq"] for log in logs if log["log_level"] == "error"] == [2 + bad]


@pytest.mark.long
def test_all_that_are_refused_of_one_record_are_found() -> None:
    bench = Bench()
    bench.store.refuses = refuses_temperatures(2.0, 3.0, 7.0)
    bench.batch(*((f"gate-{n}", hot(n)) for n in range(1, 9)))
    with capture_logs():
        bench.run()
    assert bench.account() == {"stored": 5, "refused_by_database": 3}
    assert sorted(jseq for _, jseq in bench.store.rows.refused) == [2, 3, 7]


@pytest.mark.long
def test_a_drain_gets_past_them_too() -> None:
    bench = Bench()
    bench.store.refuses = refuses_temperatures(2.0)
    bench.batch(*((f"gate-{n}", hot(n)) for n in range(1, 5)))
    with capture_logs():
        bench.consumer().drain(bench.journal)
    assert bench.account() == {"stored": 3, "refused_by_database": 1}


def test_while_it_takes_nothing_no_message_is_at_fault() -> None:
    bench = Bench()
    bench.store.takes_nothing = True
    bench.batch(("gate-1", hot(1)), ("gate-2", hot(2)))
    with capture_logs() as logs:
        bench.run(turns=30)
    assert bench.store.rows.cursor is None
    assert [log["event"] for log in logs] == ["commit_refused", "database_takes_nothing"]
    assert logs[1]["log_level"] == "error"
    bench.store.takes_nothing = False
    bench.run()
    assert bench.account() == {"stored": 2}


def test_it_waits_longer_and_longer_for_a_database_that_takes_nothing_and_goes_on() -> None:
    bench = Bench()
    bench.store.takes_nothing = True
    bench.batch(("gate-1", hot(1)))
    stop = FakeStop(bench.time, after=60)
    waits: list[float] = []

    def repaired_in_time() -> None:
        waits[:] = [wait for wait in stop.waits if wait]
        if len(waits) == 6:
            bench.store.takes_nothing = False

    bell = FakeBell(bench.time, stop)
    consumer = bench.consumer()
    is_sound = bench.store.is_sound

    def looked(now_ms: int) -> bool:
        repaired_in_time()
        return bool(is_sound(now_ms))

    bench.store.is_sound = looked
    with capture_logs():
        consumer.run(bench.journal, bell, stop)
    assert waits == [0.1, 0.5, 2.0, 5.0, 5.0, 5.0]
    assert bench.account() == {"stored": 1}


@pytest.mark.long
def test_a_database_that_goes_away_while_it_looks_is_waited_for() -> None:
    for calls in (2, 11):
        bench = Bench()
        bench.store.refuses = refuses_temperatures(3.0)
        bench.batch(*((f"gate-{n}", hot(n)) for n in range(1, 5)))
        bench.store.fails = [None] * calls + [DatabaseAway("no answer")]
        with capture_logs():
            bench.run()
        assert bench.account() == {"stored": 3, "refused_by_database": 1}, calls


# Messages that kill


class Killed(BaseException):
    """The process ends here."""


class Deadly(bytes):
    """A topic that kills whoever decodes its message."""

    def __hash__(self) -> int:
        raise Killed


def a_deadly(record: Record, *places: int) -> Record:
    messages = [
        raw._replace(topic=Deadly(raw.topic)) if n in places else raw
        for n, raw in enumerate(record.messages)
    ]
    return Record(
        record.id, record.kind, record.first_jseq, record.count, record.epoch, tuple(messages)
    )


def starts_until_it_lives(bench: Bench) -> int:
    for start in range(1, 40):
        try:
            with capture_logs():
                bench.run(turns=5)
        except Killed:
            continue
        return start
    raise AssertionError("it never lived")


@pytest.mark.parametrize(
    ("places", "starts"),
    [((3,), 7), *(pytest.param(*one, marks=LONG) for one in (((0, 5), 10), ((7,), 7)))],
)
def test_a_message_that_kills_is_given_up_and_the_rest_is_stored(
    places: Sequence[int], starts: int
) -> None:
    bench = Bench()
    bench.batch(("gate-1", {"csq": 20}))
    record = bench.batch(*((f"gate-{n}", hot(n)) for n in range(1, 9)))
    bench.batch(("gate-1", {"csq": 22}))
    bench.journal.records[1] = a_deadly(record, *places)
    assert starts_until_it_lives(bench) == starts
    given_up = len(places)
    assert bench.account() == {"stored": 10 - given_up, "crashed_decoder": given_up}
    assert bench.store.rows.cursor.position == 3
    assert [jseq for _, jseq in sorted(bench.store.rows.refused)] == [2 + n for n in places]
    said = bench.decodes.take("journal-1", 2)
    assert said is not None
    assert len(said[1]) == 8, "forward is told what each message says"


@pytest.mark.long
def test_deaths_in_different_records_blame_nobody() -> None:
    bench = Bench()
    for n in range(1, 9):
        bench.batch((f"gate-{n}", hot(n)))
    whole = list(bench.journal.records)
    for n in range(8):  # a killer that is elsewhere each time
        bench.journal.records = [*whole[:n], a_deadly(whole[n], 0), *whole[n + 1 :]]
        with pytest.raises(Killed), capture_logs():
            bench.run(turns=5)
    bench.journal.records = whole
    bench.run(turns=5)
    assert bench.account() == {"stored": 8}


def test_the_first_batch_after_a_start_is_committed_at_once() -> None:
    bench = Bench()
    bench.batch(("gate-1", {"csq": 20}))
    consumer = bench.consumer()
    consumer._load(bench.journal.head())
    consumer._step(bench.journal)
    assert [effects.position for effects in bench.store.commits] == [1]
    bench.batch(("gate-1", {"csq": 21}))
    consumer._step(bench.journal)
    assert [effects.position for effects in bench.store.commits] == [1]


# Real databases that refuse


@contextmanager
def refusing(engine: Engine, table: str, when: str) -> Iterator[None]:
    """The database refuses rows of `table` that `when` (of NEW) holds for."""
    with writing(engine) as connection:
        _refuse(connection, table, when)
    yield
    if engine.dialect.name == "postgresql":  # the next test has the same one
        with writing(engine) as connection:
            connection.execute(text("DROP FUNCTION refuse CASCADE"))


def _refuse(connection: Connection, table: str, when: str) -> None:
    if connection.dialect.name == "sqlite":
        for what in ("INSERT", "UPDATE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER no_{what} BEFORE {what} ON {table} WHEN {when}"
                    " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
                )
            )
        return
    connection.execute(
        text(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''not this one''; END'"
        )
    )
    connection.execute(
        text(
            f"CREATE TRIGGER no BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW"
            f" WHEN ({when}) EXECUTE FUNCTION refuse()"
        )
    )


@pytest.fixture
def on_database(any_database: Engine) -> Bench:
    bench = Bench(Judgements(any_database))
    with writing(any_database) as connection:
        save(connection, bench.district.registry, START_MS)
    return bench


@pytest.mark.long
def test_what_a_real_database_refuses_is_quarantined_and_the_rest_is_stored(
    any_database: Engine, on_database: Bench
) -> None:
    bench = on_database
    bench.batch(("gate-1", {"csq": 20}))
    bench.batch(*((f"gate-{n}", {"tamper": True}) for n in range(1, 9)))
    bench.batch(("gate-3", {"csq": 22}))
    with refusing(any_database, "faults", "NEW.subject = 'gate-3'"), capture_logs():
        bench.run()
    with reading(any_database) as connection:
        account = read_account(connection, DISTRICT)
        (refused,) = list_refused(connection, DISTRICT, Filter())
        tampered = connection.execute(text("SELECT subject FROM faults ORDER BY 1")).scalars()
        assert list(tampered) == [f"gate-{n}" for n in (1, 2, 4, 5, 6, 7, 8)]
    assert (account.stored, account.quarantined) == (9, {"refused_by_database": 1})
    assert refused.device == "gate-3"
    assert "not this one" in refused.detail
    cursor = bench.store.load().cursor
    assert (cursor.position, cursor.jseq) == (3, 10)


@pytest.mark.parametrize(
    "table",
    ["device_state", "faults", "fault_events", "usage_hours", "accounts", "event_keys", "sessions"],
)
def test_a_real_database_that_refuses_a_whole_table_blames_no_message(
    any_database: Engine, on_database: Bench, table: str
) -> None:
    bench = on_database
    bench.district.event("gate-1", "access", result="granted")
    bench.batch(*((f"gate-{n}", {"tamper": True}) for n in range(1, 4)))
    with refusing(any_database, table, "1 = 1"), capture_logs() as logs:
        assert not bench.store.is_sound(START_MS)
        bench.run(turns=5)
    if table != "sessions":  # no session in it: then nothing of it is refused
        assert [log["event"] for log in logs][1:] == ["database_takes_nothing"]
        assert bench.store.load().cursor is None
    with reading(any_database) as connection:
        assert read_account(connection, DISTRICT).quarantined == {}


@pytest.mark.long
def test_a_missing_table_is_waited_for(any_database: Engine, on_database: Bench) -> None:
    bench = on_database
    bench.batch(("gate-1", {"tamper": True}), ("gate-2", {"csq": 20}))
    with writing(any_database) as connection:
        connection.execute(text("ALTER TABLE accounts RENAME TO gone"))
    with capture_logs() as logs:
        bench.run(turns=10)
    assert logs[-1]["event"] in ("database_takes_nothing", "judge_waits")
    with writing(any_database) as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO accounts"))
    bench.run(turns=10)
    with reading(any_database) as connection:
        account = read_account(connection, DISTRICT)
    assert (account.stored, account.quarantined) == (2, {})


def test_a_sound_database_is_found_sound_and_nothing_of_the_look_stays(
    any_database: Engine, on_database: Bench
) -> None:
    on_database.store.registry()
    assert on_database.store.is_sound(START_MS)
    with reading(any_database) as connection:
        for table in ("cursors", "faults", "quarantine", "accounts", "usage_hours", "sessions"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0, table
