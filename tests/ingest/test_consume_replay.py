"""Messages of the quarantine that are judged again: once, late, and booked as what they are now."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from structlog.testing import capture_logs

from devices.faults import State
from devices.judgement import Effects
from devices.registry import Registry
from devices.store import schema
from devices.store.accounts import read_account
from devices.store.cursors import ForwardCursor
from devices.store.database import DatabaseAway, reading, writing
from devices.store.judgements import CursorMoved, Judgements
from devices.store.quarantine import Filter, Sender, ask_again, list_refused, outcomes
from devices.store.registry import save
from devices.store.scope import DISTRICT
from ingest.blame import DEATHS, Blame
from ingest.consume import Consumer
from tests.fakes import FakeBell, FakeJournal, FakeJudgeStore, FakeNote, FakeStop, FakeTime
from tests.ingest.judge.district import (
    PLANS,
    START_MS,
    District,
    a_gate,
    a_registry,
    a_shed,
)

HOUR_MS = 3_600_000
KNOWN = (a_gate(),)
LATER = (a_gate(), a_gate("gate-new"), *a_shed())


class Bench:
    """A district of which the registry at first knows only `gate`; a consumer of its messages."""

    def __init__(self, store: Any = None) -> None:
        self.district = District(*LATER)
        self.journal = FakeJournal()
        self.store = store if store is not None else FakeJudgeStore(a_registry(*KNOWN))
        self.time = FakeTime(START_MS)
        self.note = FakeNote()

    def arrives(self) -> None:
        for record in self.district.records[len(self.journal.records) :]:
            self.journal.append(record)
        self.time.now_ms = max(self.time.now_ms, self.district.now_ms)

    def consumer(self, **options: Any) -> Consumer:
        return Consumer(
            self.store,
            PLANS,
            self.time.clock,
            stream="live",
            blame=Blame(self.note),
            find=self._find,
            monotonic=self.time.monotonic,
            **options,
        )

    def _find(self, jseq: int) -> Any:
        for record in self.journal.records:
            if 0 <= jseq - record.first_jseq < len(record.messages):
                return record.messages[jseq - record.first_jseq]
        return None

    def run(self, turns: int = 12) -> None:
        self.arrives()
        stop = FakeStop(self.time, after=turns)
        self.consumer().run(self.journal, FakeBell(self.time, stop), stop)

    def imports(self, *devices: Any) -> None:
        self.store.an_import(a_registry(*(devices or LATER)))

    def account(self) -> dict[str, int]:
        """outcome, mark or reason -> messages; what is none is left out."""
        counts: Counter[str] = Counter()
        for (_, _, outcome, reason), count in self.store.rows.accounts.items():
            counts[reason or outcome] += count
        return {name: count for name, count in counts.items() if count}


def a_bench_with_strangers() -> Bench:
    """Two messages of a known gate, three of one that the registry does not have yet."""
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    for n in range(3):
        bench.district.now_s += 10
        bench.district.says("gate-new", {"board_temp_c": 20.0 + n})
    bench.district.says("gate", {"csq": 20})
    bench.run()
    assert bench.account() == {"stored": 2, "unknown_device": 3}
    return bench


def test_messages_of_a_device_that_became_known_are_stored_late() -> None:
    bench = a_bench_with_strangers()
    bench.imports()
    for n in (1, 2, 3):
        bench.store.asks_again(n, at_ms=START_MS + 99_000)
    bench.run()
    assert bench.account() == {"stored": 5, "late": 3}
    assert set(bench.store.rows.replayed) == {1, 2, 3}
    assert {row.at_ms for row in bench.store.rows.replayed.values()} == {START_MS + 99_000}
    hour = START_MS - START_MS % HOUR_MS
    assert bench.store.rows.received["gate-new", hour] == 3, "their hour of usage has them"


def test_the_account_moves_in_the_hour_of_receipt_and_under_its_compound() -> None:
    bench = a_bench_with_strangers()
    before = dict(bench.store.rows.accounts)
    origins = {key[:2] for key in before}
    bench.imports()
    bench.time.passes(5 * 3600)
    bench.store.asks_again(1)
    bench.run()
    assert {key[:2] for key in bench.store.rows.accounts} == origins
    booked = sum(
        count
        for (_, _, outcome, _), count in bench.store.rows.accounts.items()
        if outcome in ("stored", "duplicate", "quarantined")
    )
    assert booked == 5


def test_the_present_is_left_alone() -> None:
    bench = a_bench_with_strangers()
    bench.imports()
    bench.district.now_s += 10
    bench.district.says("gate-new", {"board_temp_c": 30.0})
    bench.run()
    now = bench.store.rows.devices["gate-new"]
    for n in (1, 2, 3):
        bench.store.asks_again(n)
    bench.run()
    again = bench.store.rows.devices["gate-new"]
    assert (again.state, again.last_seen_ms, again.device_at_ms, again.latest) == (
        now.state,
        now.last_seen_ms,
        now.device_at_ms,
        now.latest,
    )


def test_a_replay_is_no_sign_of_life() -> None:
    bench = a_bench_with_strangers()
    bench.imports()
    bench.store.asks_again(1)
    bench.run()
    assert bench.store.rows.devices["gate-new"].state == "never_seen"


def test_a_safety_value_in_it_raises_its_fault_late_and_over_and_another_does_not() -> None:
    bench = Bench()
    bench.district.says("shed", {"smoke": True})
    bench.district.says("gate-new", {"tamper": True})
    bench.district.now_s += 60
    bench.district.says("shed", {"smoke": False})
    bench.run()
    bench.imports()
    for n in (1, 2, 3):
        bench.store.asks_again(n, at_ms=START_MS + 3_600_000)
    bench.run()
    (fault,) = bench.store.rows.faults.values()
    assert (fault.code, fault.state, fault.late) == ("SHED_SMOKE", State.CLEARED, True)
    assert (fault.since_ms, fault.opened_at_ms) == (START_MS, START_MS + 3_600_000)


def test_what_is_asked_for_twice_is_done_once() -> None:
    bench = a_bench_with_strangers()
    bench.imports()
    for n in (1, 1, 2, 1):
        bench.store.asks_again(n)
    bench.run()
    bench.store.asks_again(2)
    bench.run()
    assert bench.account() == {"stored": 4, "late": 2, "unknown_device": 1}
    assert bench.store.rows.cursor.revision == 6


def test_what_still_cannot_be_used_stays_for_the_reason_that_it_has_now() -> None:
    bench = Bench()
    bench.district.arrives("gate-new", b"{oops")
    bench.district.arrives("gate", b"{oops")
    bench.run()
    assert bench.account() == {"unknown_device": 1, "not_json": 1}
    bench.imports()
    for n in (1, 2, 7):
        bench.store.asks_again(n)
    bench.run()
    assert bench.account() == {"not_json": 2}
    assert bench.store.rows.replayed == {}
    assert bench.store.rows.cursor.revision == 4, "it is done with them all the same"


def test_one_that_came_again_meanwhile_is_a_duplicate() -> None:
    bench = Bench()
    raw = bench.district.says("gate-new", {"board_temp_c": 20.0}, seq=4)
    bench.run()
    bench.imports()
    bench.run()
    bench.district.now_s += 5
    bench.district.again(raw._replace(received_ms=bench.district.now_ms))
    bench.run()
    bench.store.asks_again(1)
    bench.run()
    assert bench.account() == {"stored": 1, "duplicate": 1}


def test_after_a_replay_the_same_message_is_a_duplicate() -> None:
    bench = Bench()
    raw = bench.district.says("gate-new", {"board_temp_c": 20.0}, seq=4)
    bench.run()
    bench.imports()
    bench.store.asks_again(1)
    bench.run()
    bench.district.now_s += 5
    bench.district.again(raw._replace(received_ms=bench.district.now_ms))
    bench.run()
    assert bench.account() == {"stored": 1, "late": 1, "duplicate": 1}


def test_of_a_message_whose_payload_was_not_kept_the_journal_has_it() -> None:
    bench = a_bench_with_strangers()
    key = list(bench.store.rows.refused)[1]
    row = bench.store.rows.refused[key]

    bench.store.rows.refused[key] = replace(row, payload=None)
    bench.imports()
    bench.store.asks_again(2)
    bench.run()
    assert bench.store.rows.replayed[2].payload == row.payload, "forward will look for it"
    assert bench.account() == {"stored": 3, "late": 1, "unknown_device": 2}


def test_one_that_nobody_kept_stays_as_it_is() -> None:
    bench = a_bench_with_strangers()

    for key, row in bench.store.rows.refused.items():
        bench.store.rows.refused[key] = replace(row, payload=None)
    bench.imports()
    bench.run()
    bench.journal.records = [record for record in bench.journal.records if record.first_jseq != 2]
    bench.store.asks_again(1)
    with capture_logs() as logs:
        bench.run()
    assert "not_kept_for_replay" in [log["event"] for log in logs]
    assert bench.account() == {"stored": 2, "unknown_device": 3}


@pytest.mark.parametrize("calls", range(1, 22, 2))
def test_a_database_that_goes_away_in_between_changes_nothing(calls: int) -> None:
    bench = a_bench_with_strangers()
    bench.imports()
    for n in (1, 2, 3):
        bench.store.asks_again(n)
    bench.store.fails = [None] * calls + [DatabaseAway("no answer")]
    with capture_logs():
        bench.run(turns=20)
    assert bench.account() == {"stored": 5, "late": 3}


def test_a_replayed_message_that_kills_is_given_up_and_the_others_are_stored() -> None:
    class Killed(BaseException):
        pass

    class Deadly(bytes):
        def __hash__(self) -> int:
            raise Killed

    bench = a_bench_with_strangers()
    bench.imports()
    for n in (1, 2, 3):
        bench.store.asks_again(n)
    in_quarantine = bench.store.in_quarantine

    def deadly(refused: int) -> Any:

        found = in_quarantine(refused)
        if refused != 2:
            return found
        return replace(found, raw=found.raw._replace(topic=Deadly(found.raw.topic)))

    bench.store.in_quarantine = deadly
    deaths = 0
    with capture_logs():
        while True:
            try:
                bench.run()
            except Killed:
                deaths += 1
                assert deaths < 20
            else:
                break
    assert deaths == DEATHS
    assert bench.account() == {"stored": 4, "late": 2, "crashed_decoder": 1}


def test_a_replayed_message_that_the_database_refuses_stays_and_the_others_are_stored() -> None:
    bench = a_bench_with_strangers()
    bench.imports()

    def look(effects: Effects) -> str | None:
        stored = [again.id for again in effects.replayed if again.reason is None]
        return "not this one" if 2 in stored else None

    bench.store.refuses = look
    for n in (1, 2, 3):
        bench.store.asks_again(n)
    with capture_logs():
        bench.run(turns=20)
    assert bench.account() == {"stored": 4, "late": 2, "refused_by_database": 1}


def test_a_history_takes_no_requests() -> None:
    bench = a_bench_with_strangers()
    bench.imports()
    bench.store.asks_again(1)
    history = Consumer(
        bench.store, PLANS, bench.time.clock, stream="history", monotonic=bench.time.monotonic
    )
    history.drain(bench.journal)
    assert bench.store.rows.replayed == {}


# On real databases


@pytest.fixture
def district_of(any_database: Engine) -> Callable[[], Bench]:
    def make() -> Bench:
        bench = Bench(Judgements(any_database))
        with writing(any_database) as connection:
            save(connection, a_registry(*KNOWN), START_MS)
        bench.district.says("gate", {"csq": 20})
        for n in range(5):
            bench.district.now_s += 10
            bench.district.says("gate-new", {"board_temp_c": 20.0 + n})
        bench.run()
        with writing(any_database) as connection:
            save(connection, a_registry(*LATER), START_MS)
        return bench

    return make


def asked(engine: Engine, **wanted: Any) -> tuple[int, list[int]]:
    with writing(engine) as connection:
        return ask_again(connection, DISTRICT, Filter(**wanted), "li-min", START_MS + 500_000)


def sender(registry: Registry, device: str) -> dict[str, Any]:
    known = registry.devices[device]
    return {"sender": Sender(known.id, known.protocol, known.external_id)}


def test_by_its_topic_a_message_is_found_that_came_before_its_device_was_known(
    any_database: Engine, district_of: Callable[[], Bench]
) -> None:
    bench = district_of()
    registry = a_registry(*LATER)
    number, ids = asked(any_database, **sender(registry, "gate-new"))
    assert len(ids) == 5
    assert asked(any_database, **sender(registry, "gate")) == (0, [])
    bench.run()
    cursor = bench.store.load().cursor
    assert cursor.revision == number
    with reading(any_database) as connection:
        account = read_account(connection, DISTRICT)
        assert (account.stored, account.quarantined) == (6, {})
        assert account.marks == {"late": 5}
        assert outcomes(connection, ids) == {("stored", ""): 5}
        rows = list_refused(connection, DISTRICT, Filter(replayed=True))
        assert {row.replayed_at_ms for row in rows} == {START_MS + 500_000}
        assert {(row.device, row.outcome) for row in rows} == {("gate-new", "stored")}
        assert list_refused(connection, DISTRICT, Filter(replayed=False)) == []
    assert asked(any_database, **sender(registry, "gate-new")) == (0, []), "nothing is left to do"


def test_forward_is_told_of_what_became_stored_once_the_judge_has_committed_it(
    any_database: Engine, district_of: Callable[[], Bench]
) -> None:
    bench = district_of()
    store = ForwardCursor(any_database)
    assert store.replayed(0)[0] == []
    number, ids = asked(any_database, compound=None)
    _, before = store.replayed(0)
    assert before < number
    bench.run()
    messages, upto = store.replayed(before)
    assert [message.payload for message in messages] == [
        raw.payload for raw in bench.district.messages()[1:]
    ]
    assert upto == number
    assert store.replayed(upto) == ([], upto)
    assert len(ids) == 5


def test_of_two_judges_with_the_same_request_one_stops(
    any_database: Engine, district_of: Callable[[], Bench]
) -> None:
    bench = district_of()
    one, other = bench.consumer(), bench.consumer()
    one._load(bench.journal.head())
    other._load(bench.journal.head())
    asked(any_database)
    one._look()
    with pytest.raises(CursorMoved):
        other._look()
    with reading(any_database) as connection:
        assert read_account(connection, DISTRICT).stored == 6


def test_parts_of_stored_messages_are_not_asked_for(
    any_database: Engine, district_of: Callable[[], Bench]
) -> None:
    bench = district_of()
    bench.district.says("gate", {"csq": 20, "board_temp_c": 900})
    bench.run()
    with reading(any_database) as connection:
        (part,) = list_refused(connection, DISTRICT, Filter(partial=True))
    _, ids = asked(any_database)
    assert part.id not in ids
    with writing(any_database) as connection:  # asked for by hand, it changes nothing
        connection.execute(
            insert(schema.revisions).values(at_ms=1, what="replay", subject=str(part.id), body={})
        )
    bench.run()
    with reading(any_database) as connection:
        row = connection.execute(
            select(schema.quarantine).where(schema.quarantine.c.id == part.id)
        ).one()
    assert (row.replayed_at_ms, row.outcome) == (None, None)
