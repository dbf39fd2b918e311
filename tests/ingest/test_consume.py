"""The driver of the judge: when it commits, and what it does when a store, or a person, is faster.

Records come from a `District`, whose own judge, which is never disturbed, says what should be.
"""

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from devices import faults
from devices.faults import FaultMoved, State
from devices.store.database import DatabaseAway
from devices.store.journal import JournalReplaced
from devices.store.judgements import CursorMoved
from ingest.consume import MOVED_TRIES, READ_RECORDS, Consumer
from ingest.decoding import SharedDecodes
from ingest.judge.judge import Judge
from ingest.ports import Bell
from tests.fakes import FakeBell, FakeJournal, FakeJudgeStore, FakeStop, FakeTime
from tests.ingest.judge.district import PLANS, START_MS, District, a_device, a_gate, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
AWAY = DatabaseAway("no answer")
WAIT_S = 10.0  # at most, for what takes a moment


class Bench:
    """A consumer between a journal and a store, all in memory, and time that the test moves."""

    def __init__(self, *devices: Any, stream: str = "live", **options: Any) -> None:
        self.district = District(*(devices or (a_gate(), *a_shed())), stream=stream)
        self.journal = FakeJournal()
        self.store = FakeJudgeStore(self.district.registry)
        self.time = FakeTime(START_MS)
        self.consumer = Consumer(
            self.store,
            PLANS,
            self.time.clock,
            stream=stream,
            monotonic=self.time.monotonic,
            **options,
        )
        self.loaded = False

    def arrives(self) -> None:
        """What the district has said since the last time is in the journal."""
        for record in self.district.records[len(self.journal.records) :]:
            self.journal.append(record)
        self.time.now_ms = max(self.time.now_ms, self.district.now_ms)

    def step(self) -> None:
        """One turn of the loop."""
        self.arrives()
        if self.consumer._judge is None:
            self.consumer._load(self.journal.head())
        self.consumer._step(self.journal)

    def drain(self) -> None:
        self.arrives()
        self.consumer.drain(self.journal)

    def run(self, turns: int = 200, until: Callable[[], bool] = lambda: False) -> FakeStop:
        """Run the real loop, until a condition or for so many waits."""
        self.arrives()
        stop = FakeStop(self.time, after=turns)
        self.consumer.run(self.journal, FakeBell(self.time, stop, until), stop)
        return stop

    def commits(self) -> list[int]:
        """The position of each commit."""
        return [effects.position for effects in self.store.commits]

    def fault(self, code: str) -> faults.Fault:
        (fault,) = (f for f in self.store.rows.faults.values() if f.code == code)
        return fault

    def is_as_undisturbed(self) -> bool:
        """Whether the store holds what a judge without any trouble came to."""
        self.district.commit()
        mine, theirs = self.store.rows, self.district.store.rows
        return (
            mine.faults == theirs.faults
            and mine.sessions == theirs.sessions
            and mine.accounts == theirs.accounts
            and mine.events == theirs.events
            and mine.keys == theirs.keys
        )


# When it commits


def test_a_fault_that_moves_is_committed_at_once_with_what_was_read_with_it() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.district.says("gate", {"tamper": True})
    bench.district.says("gate", {"csq": 21})
    bench.step()
    assert bench.commits() == [3]
    assert bench.fault("GATE_TAMPER").state is OPEN


def test_a_fault_in_a_backlog_waits_for_200_ms_of_judging_at_most() -> None:
    class SlowDecodes(SharedDecodes):
        def put(self, *said: Any) -> None:
            super().put(*said)
            bench.time.passes(0.06)

    bench = Bench(decodes=SlowDecodes())
    for n in range(READ_RECORDS):
        bench.district.says("gate", {"tamper": True} if n == 0 else {"csq": n})
    bench.step()
    assert bench.commits() == [5, 10, 15]
    assert bench.fault("GATE_TAMPER").state is OPEN


def test_other_messages_wait_for_200_ms_after_the_first_of_them() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.step()
    bench.time.passes(0.19)
    bench.district.says("gate", {"csq": 21})
    bench.step()
    assert bench.commits() == []
    bench.time.passes(0.01)
    bench.step()
    assert bench.commits() == [2]
    assert bench.consumer.progress.jseq == 2


@pytest.mark.parametrize(("commit_s", "waits_s"), [(0.01, 0.2), (0.03, 0.3), (4.0, 0.5)])
def test_where_a_commit_takes_long_the_next_one_waits_somewhat_longer(
    commit_s: float, waits_s: float
) -> None:
    bench = Bench()
    bench.store.when_committed = lambda: bench.time.passes(commit_s)
    bench.district.says("gate", {"csq": 20})
    bench.step()
    bench.time.passes(0.2)
    bench.step()
    assert bench.commits() == [1]
    bench.district.says("gate", {"csq": 21})
    bench.step()
    bench.time.passes(waits_s - 0.01)
    bench.step()
    assert bench.commits() == [1]
    bench.time.passes(0.011)
    bench.step()
    assert bench.commits() == [1, 2]


def test_a_large_backlog_is_committed_in_pieces() -> None:
    bench = Bench(commit_messages=10)
    for n in range(25):
        bench.district.now_s = n
        bench.district.says("gate", {"csq": 20})
    bench.drain()
    assert bench.commits() == [10, 20, 25]


def test_a_history_is_not_committed_for_every_fault() -> None:
    bench = Bench(stream="history", at_once=False, commit_messages=50)
    for n in range(20):
        bench.district.now_s = n
        bench.district.says("gate", {"tamper": n % 2 == 0})
    bench.drain()
    assert bench.commits() == [20]


def test_the_loop_commits_what_it_has_within_its_time_and_at_its_end() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.run(turns=2)
    assert bench.commits() == [1]
    bench.district.now_s += 30
    bench.district.says("gate", {"csq": 20})
    bench.arrives()
    stop = FakeStop(bench.time)
    bench.journal.when_read = stop.set  # told to stop while it reads
    bench.consumer.run(bench.journal, Bell(), stop)
    assert bench.commits() == [1, 2]


def test_nothing_is_committed_for_nothing() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.run(turns=50)
    assert bench.commits() == [1]


def test_progress_tells_how_far_it_is() -> None:
    bench = Bench()
    for n in range(3):
        bench.district.now_s = 10 * n
        bench.district.says("gate", {"csq": 20})
    bench.drain()
    progress = bench.consumer.progress
    assert (progress.position, progress.jseq, progress.messages) == (3, 3, 3)
    assert progress.newest_received_ms == bench.district.at_ms(20)


# Where it stands


def test_it_goes_on_behind_what_was_committed() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    again = Bench()
    again.store = bench.store
    again.consumer = Consumer(bench.store, PLANS, again.time.clock, stream="live")
    again.district = bench.district
    again.district.now_s = 30
    again.district.says("gate", {"tamper": True})
    again.drain()
    assert bench.store.rows.cursor is not None
    assert bench.store.rows.cursor.position == 2
    assert again.is_as_undisturbed()


def test_another_judge_on_the_same_stream_ends_this_one() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    assert bench.store.rows.cursor is not None
    other = Consumer(bench.store, PLANS, bench.time.clock, stream="live")
    bench.district.now_s = 30
    bench.district.says("gate", {"tamper": True})
    bench.arrives()
    other.drain(bench.journal)
    with pytest.raises(CursorMoved):
        bench.drain()
    assert [f.occurrences for f in bench.store.rows.faults.values()] == [1]


def test_a_new_journal_is_read_from_its_start() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    bench.journal = FakeJournal("journal-2")
    fresh = District(a_gate(), *a_shed())
    fresh.now_s = 60
    fresh.says("gate", {"tamper": True}, seq=1)
    bench.district = fresh
    with capture_logs() as logs:
        bench.drain()
    assert [log["event"] for log in logs] == ["journal_replaced"]
    cursor = bench.store.rows.cursor
    assert cursor is not None
    assert (cursor.journal_id, cursor.position, cursor.jseq) == ("journal-2", 1, 1)
    assert bench.fault("GATE_TAMPER").state is OPEN


def test_a_journal_that_is_replaced_while_it_is_read_is_read_from_its_start() -> None:
    bench = Bench()
    for n in range(3):
        bench.district.now_s = 30 * n
        bench.district.says("gate", {"csq": 20})
    bench.drain()
    fresh = District(a_gate(), *a_shed())
    fresh.now_s = 120
    fresh.says("gate", {"tamper": True}, seq=3)

    def another_file() -> None:
        if bench.journal.journal_id == "journal-1":
            bench.journal.journal_id, bench.journal.records = "journal-2", fresh.records
            raise JournalReplaced("another file")

    bench.journal.when_read = another_file
    bench.run(turns=5)
    assert bench.store.rows.cursor is not None
    assert bench.store.rows.cursor.journal_id == "journal-2"
    assert bench.fault("GATE_TAMPER").state is OPEN


def test_a_cursor_ahead_of_its_journal_is_said_aloud() -> None:
    bench = Bench()
    for n in range(3):
        bench.district.now_s = n
        bench.district.says("gate", {"csq": 20})
    bench.drain()
    bench.consumer._drop()
    bench.journal.records = bench.journal.records[:1]
    with capture_logs() as logs:
        bench.consumer._load(bench.journal.head())
    assert logs == [
        {"event": "cursor_ahead_of_journal", "cursor": 3, "head": 1, "log_level": "error"}
    ]


def test_a_gap_in_the_journal_is_said_aloud_and_what_comes_behind_it_is_judged() -> None:
    bench = Bench()
    for n in range(3):
        bench.district.now_s = n
        bench.district.says("gate", {"csq": 20})
    bench.arrives()
    del bench.journal.records[1]
    with capture_logs() as logs:
        bench.consumer.drain(bench.journal)
    assert [(log["event"], log.get("expected"), log.get("found")) for log in logs] == [
        ("journal_gap", 2, 3)
    ]
    assert bench.consumer.progress.position == 3


# A store that is away


def test_a_database_that_is_away_is_waited_for_and_nothing_is_lost() -> None:
    bench = Bench()
    for n in range(30):
        bench.district.now_s = 10 * n
        bench.district.says("gate", {"tamper": n % 3 == 0})
        bench.district.event("gate", "access", result="granted")
        if n % 4 == 0:
            bench.district.probe()
    with capture_logs() as logs:
        for calls in range(1, 12):  # each time another call of the store fails
            bench.store.fails = [None] * calls + [AWAY, AWAY]
            bench.run(turns=8)
    assert bench.is_as_undisturbed()
    assert {log["event"] for log in logs} == {"judge_waits"}


def test_while_it_is_away_it_is_asked_less_and_less_often() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.store.fails = [AWAY] * 6
    with capture_logs() as logs:
        stop = bench.run(turns=8)
    assert [wait for wait in stop.waits if wait] == [0.1, 0.5, 2.0, 5.0, 5.0, 5.0]
    assert len(logs) == 1  # one line for a state that lasts
    assert bench.commits() == [1]


@pytest.mark.parametrize("calls", range(12))
def test_a_drain_that_fails_in_the_middle_can_be_tried_again(calls: int) -> None:
    bench = Bench()
    bench.district.every_message_is_a_record = False
    for n in range(5):
        bench.district.now_s = n
        bench.district.event("gate", "access", result="granted", seq=None, boot=None)
    bench.district.cut()  # one record, and the database is asked for each of its messages
    bench.arrives()
    bench.store.fails = [None] * calls + [AWAY]
    with pytest.raises(DatabaseAway):
        bench.consumer.drain(bench.journal)
    bench.drain()
    assert bench.is_as_undisturbed()


def test_the_state_that_was_dropped_does_not_stay_in_memory() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    before: weakref.ref[Judge] = weakref.ref(bench.consumer._judge)  # type: ignore[arg-type]
    bench.consumer._drop()
    bench.drain()
    assert before() is None
    gc.unfreeze()


# A person who is faster


def test_a_fault_that_a_person_moved_is_judged_again_with_the_same_result() -> None:
    bench = Bench()
    bench.district.says("gate", {"tamper": True})
    bench.step()
    bench.store.a_person(
        bench.fault("GATE_TAMPER").id, lambda f: faults.acknowledge(f, "li-wei", bench.time.now_ms)
    )
    bench.district.now_s = 0.1
    bench.district.says("gate", {"tamper": False})
    bench.district.event("gate", "access", result="granted")
    bench.run(turns=3)  # the judge does not know of the person yet: it is told by the store
    fault = bench.fault("GATE_TAMPER")
    assert (fault.state, fault.acknowledged_by) == (CLOSED, "li-wei")
    assert bench.consumer.progress.reloads == 2
    assert sum(bench.store.rows.accounts.values()) == 3
    reasons = [event.reason.value for event in bench.store.rows.events]
    assert reasons == ["raised", "acknowledged", "over"]


def test_what_people_decide_is_taken_over_within_a_second() -> None:
    bench = Bench()
    bench.district.says("gate", {"tamper": True})
    bench.step()
    bench.store.a_person(
        bench.fault("GATE_TAMPER").id, lambda f: faults.close(f, "li-wei", bench.time.now_ms)
    )
    bench.run(until=lambda: bench.fault("GATE_TAMPER").state is OPEN)
    again = bench.store.rows.events[-1]  # it is still bad, so it is open again
    assert (again.reason, again.at_ms) == (faults.Why.REOPENED, START_MS + 1000)
    assert bench.fault("GATE_TAMPER").occurrences == 2
    assert bench.store.rows.cursor is not None
    assert bench.store.rows.cursor.revision == 1


def test_what_was_decided_while_no_judge_ran_is_taken_over_at_its_start() -> None:
    bench = Bench()
    bench.district.event("gate", "duress")
    bench.district.says("gate", {"tamper": True})
    bench.step()
    for code in ("GATE_DURESS", "GATE_TAMPER"):
        bench.store.a_person(
            bench.fault(code).id, lambda f: faults.close(f, "li-wei", bench.time.now_ms)
        )
    bench.time.passes(3600)
    bench.consumer._drop()
    bench.district.now_s = 3600
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    assert bench.fault("GATE_TAMPER").state is OPEN  # still bad
    assert bench.fault("GATE_DURESS").state is CLOSED  # dealt with
    bench.district.now_s = 3660
    bench.district.event("gate", "duress")
    bench.drain()
    alarms = [f for f in bench.store.rows.faults.values() if f.code == "GATE_DURESS"]
    assert [f.state for f in alarms] == [CLOSED, OPEN]


def test_a_registry_change_is_taken_over_within_a_second() -> None:
    bench = Bench(a_gate())
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    new = a_device("gate-2", "gate")
    bench.district.imports(a_gate(), new)
    bench.store.an_import(bench.district.registry)
    bench.time.passes(1.0)
    bench.drain()
    bench.district.now_s = 2
    bench.district.says("gate-2", {"tamper": True})
    bench.drain()
    assert bench.fault("GATE_TAMPER").device == "gate-2"
    assert bench.store.rows.counts["jiaogong-xiaoqu", "gate"] == (2, 0, 0, 0)
    assert "quarantined" not in {key[2] for key in bench.store.rows.accounts}


def test_a_message_of_a_device_that_is_not_registered_yet_is_quarantined_and_no_harm() -> None:
    bench = Bench(a_gate())
    bench.district.imports(a_gate(), a_device("gate-2", "gate"))
    bench.district.says("gate-2", {"tamper": True})
    bench.district.says("gate", {"tamper": True})
    bench.step()
    outcomes = {key[2:]: count for key, count in bench.store.rows.accounts.items()}
    assert outcomes == {("quarantined", "unknown_device"): 1, ("stored", ""): 1}


@pytest.mark.long
def test_a_fault_that_can_never_be_moved_ends_the_judge_and_not_the_machine() -> None:
    bench = Bench()
    bench.district.says("gate", {"tamper": True})

    bench.store.fails_to_commit = FaultMoved("somebody is always faster")
    with capture_logs() as logs, pytest.raises(FaultMoved):
        bench.run()
    assert bench.consumer.progress.reloads == MOVED_TRIES
    assert {log["event"] for log in logs} == {"fault_moved_again"}
    with pytest.raises(FaultMoved):
        bench.drain()


# Housekeeping


def test_old_identities_are_forgotten_a_bounded_number_at_a_time() -> None:
    bench = Bench()
    asked: list[int] = []
    left = [20_000, 20_000, 5, 0, 0]

    def forget(now_ms: int) -> int:
        asked.append((now_ms - START_MS) // 1000)
        return left.pop(0)

    bench.store.forget_keys = forget  # type: ignore[method-assign]
    bench.district.says("gate", {"csq": 20})
    bench.run(turns=4000, until=lambda: len(asked) >= 5)
    assert asked[0] <= 1
    assert [b - a for a, b in pairwise(asked[:4])] == [1, 1, 1]
    assert asked[4] - asked[3] >= 3600


# Histories


def test_a_history_in_chunks_is_one_history() -> None:
    whole = Bench(stream="history", at_once=False)
    district = whole.district
    for n in range(120):
        district.now_s = 30 * n
        district.says("gate", {"door_state": "open" if 20 < n < 40 else "closed"})
        district.event("gate", "access", result="granted")
        district.probe()
    district.starts("shed", 1, "1")
    district.says("shed", {"smoke": True})
    whole.drain()
    whole.consumer.finish(district.now_ms)

    chunked = Bench(stream="history", at_once=False)
    records = district.records
    for number in range(4):
        chunked.journal = FakeJournal(f"chunk-{number}")
        part = records[number * 100 : number * 100 + 100]
        for position, record in enumerate(part, 1):
            chunked.journal.append(replace(record, id=position))
        chunked.consumer.drain(chunked.journal)
        if number == 2:
            chunked.consumer._drop()  # a new process goes on here
    chunked.consumer.finish(district.now_ms)

    assert chunked.store.rows.faults == whole.store.rows.faults
    assert chunked.store.rows.figures == whole.store.rows.figures
    assert chunked.store.rows.accounts == whole.store.rows.accounts
    assert {fault.state for fault in whole.store.rows.faults.values()} == {CLOSED}
    assert {s.state.value for s in whole.store.rows.sessions.values()} == {"closed"}


def test_a_history_is_finished_also_when_a_person_acts_on_it_meanwhile() -> None:
    bench = Bench(stream="history", at_once=False)
    bench.district.says("shed", {"smoke": True})
    bench.drain()
    bench.store.a_person(
        bench.fault("SHED_SMOKE").id,
        lambda f: faults.acknowledge(f, "li-wei", bench.time.now_ms),
    )
    bench.consumer.finish(bench.time.now_ms)
    assert bench.fault("SHED_SMOKE").state is CLOSED


def test_a_history_whose_end_fails_can_be_ended_again() -> None:
    bench = Bench(stream="history", at_once=False)
    bench.district.says("shed", {"smoke": True})
    bench.drain()
    bench.store.fails = [AWAY]
    with pytest.raises(DatabaseAway):
        bench.consumer.finish(bench.time.now_ms)
    bench.consumer.finish(bench.time.now_ms)
    assert bench.fault("SHED_SMOKE").state is CLOSED


# What forward is given


def test_forward_gets_each_record_as_the_judge_read_it() -> None:
    decodes = SharedDecodes()
    bench = Bench(decodes=decodes)
    for n in range(3):
        bench.district.now_s = n
        bench.district.says("gate", {"csq": 20 + n})
    bench.drain()
    for record in bench.journal.records:
        said = decodes.take("journal-1", record.id)
        assert said is not None
        assert said[0] is record
        assert len(said[1]) == 1
    assert decodes.take("journal-1", 1) is None


def test_a_bell_wakes_the_loop() -> None:
    bench = Bench()
    bell, stop, judged = Bell(), threading.Event(), threading.Event()

    bench.store.when_committed = judged.set
    thread = threading.Thread(target=bench.consumer.run, args=(bench.journal, bell, stop))
    thread.start()
    try:
        bench.district.says("gate", {"tamper": True})
        bench.arrives()
        bell.ring()
        assert judged.wait(WAIT_S)
    finally:
        stop.set()
        bell.ring()
        thread.join(WAIT_S)
    assert not thread.is_alive()
