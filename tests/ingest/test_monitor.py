"""What cannot tell of itself is seen from outside."""

import threading
from collections.abc import Callable

import pytest

from devices.faults import PLATFORM
from devices.journal import MESSAGES, TICK, Raw, Record
from devices.platform import JUDGE_BEHIND, STORE_AWAY, Trouble
from devices.store.database import DatabaseAway
from devices.store.journal import JournalMissing
from ingest.alarms import Alarms
from ingest.monitor import Absence, Check, JudgeLag, Monitor, Place, Standstill
from tests.fakes import FakeJournal, FakeTime
from tests.ingest.test_alarms import FakeRows

NOW_MS = 1_795_434_130_000
DATABASE = (f"{PLATFORM}:database", STORE_AWAY)


def a_journal(*received_ms: int) -> FakeJournal:
    """One message a record, received then."""
    journal = FakeJournal()
    for n, at_ms in enumerate(received_ms, start=1):
        journal.append(Record(n, MESSAGES, n, 1, 1, (Raw(b"t", b"{}", 0, at_ms, "x"),)))
    return journal


class Judge:
    def __init__(self, position: int | None = 0, journal_id: str = "journal-1") -> None:
        self.position = position
        self.journal_id = journal_id

    def __call__(self) -> Place | None:
        return None if self.position is None else Place(self.journal_id, self.position)


# The judge


def test_a_judge_that_hangs_is_behind_after_a_minute_and_no_longer_when_it_has_caught_up() -> None:
    judge = Judge(1)
    lag = JudgeLag(a_journal(NOW_MS - 1000, NOW_MS, NOW_MS + 40_000), judge)
    assert lag.look(NOW_MS + 60_000) is None
    assert lag.look(NOW_MS + 61_000) is None, "one look may be the moment of a step of the clock"
    behind = lag.look(NOW_MS + 62_000)
    assert behind is not None
    assert (behind.code, behind.evidence, behind.since_ms) == (
        JUDGE_BEHIND,
        {"lag_s": 62},
        NOW_MS,
    )
    judge.position = 2
    assert lag.look(NOW_MS + 75_000) is not None, "35 s behind is not yet caught up"
    judge.position = 3
    assert lag.look(NOW_MS + 76_000) is None


def test_a_step_of_the_clock_makes_no_judge_late() -> None:
    judge = Judge(0)
    lag = JudgeLag(a_journal(NOW_MS), judge)
    assert lag.look(NOW_MS + 3_600_000) is None
    judge.position = 1
    assert lag.look(NOW_MS + 3_601_000) is None


def test_a_judge_that_has_everything_is_not_behind_however_quiet_it_is() -> None:
    lag = JudgeLag(a_journal(NOW_MS), Judge(1))
    assert [lag.look(NOW_MS + n * 3_600_000) for n in range(3)] == [None, None, None]


def test_ticks_count_too() -> None:
    journal = FakeJournal()
    journal.append(Record(1, TICK, 1, 0, 1, control={"at_ms": NOW_MS}))
    lag = JudgeLag(journal, Judge(0))
    lag.look(NOW_MS + 90_000)
    assert lag.look(NOW_MS + 90_000) is not None


@pytest.mark.parametrize("judge", [Judge(None), Judge(7, "another")])
def test_of_a_judge_that_is_not_known_or_of_another_journal(judge: Judge) -> None:
    """Unknown says nothing; of another journal it has read nothing of this one."""
    lag = JudgeLag(a_journal(NOW_MS), judge)
    lag.look(NOW_MS + 90_000)
    is_behind = lag.look(NOW_MS + 90_000) is not None
    assert is_behind is (judge.position is not None)


def test_a_journal_that_cannot_be_read_leaves_the_verdict_as_it_was() -> None:
    journal = a_journal(NOW_MS)
    lag = JudgeLag(journal, Judge(0))
    lag.look(NOW_MS + 90_000)
    assert lag.look(NOW_MS + 90_000) is not None
    journal.fails = [JournalMissing("gone")]
    assert lag.look(NOW_MS + 90_000) is not None


# Stores


def test_a_store_is_away_when_it_has_not_answered_for_ten_seconds() -> None:
    time, why = FakeTime(NOW_MS), [""]
    away = Absence("telemetry", lambda: why[0], time.monotonic)
    why[0] = "503"
    assert away.look(NOW_MS) is None
    time.passes(9)
    assert away.look(NOW_MS + 9000) is None
    time.passes(1)
    trouble = away.look(NOW_MS + 10_000)
    assert trouble is not None
    assert (trouble.code, trouble.subject, trouble.since_ms) == (
        STORE_AWAY,
        "platform:telemetry",
        NOW_MS,
    )
    assert trouble.evidence == {"store": "telemetry", "error": "503"}
    why[0] = ""
    assert away.look(NOW_MS + 11_000) is None


def test_a_follower_that_hangs_says_nothing_itself_and_is_noticed() -> None:
    time, position, journal = FakeTime(NOW_MS), [1], a_journal(NOW_MS, NOW_MS)
    stands = Standstill(lambda: position[0], journal, time.monotonic)
    assert stands() == ""
    time.passes(59)
    assert stands() == ""
    time.passes(1)
    assert stands() == "nothing was finished for 60 s"
    position[0] = 2
    assert stands() == ""
    time.passes(3600)
    assert stands() == "", "it has read everything there is"
    journal.append(Record(3, TICK, 3, 0, 1, control={"at_ms": NOW_MS}))
    assert stands() == "", "and has its whole time for what comes now"


def nothing() -> None:
    """Asks the database nothing, and is answered."""


def fails(error: Exception) -> Callable[[], None]:
    def look_around() -> None:
        raise error

    return look_around


def test_a_database_that_is_away_is_known_without_it_and_written_when_it_is_back() -> None:
    time, rows = FakeTime(NOW_MS), FakeRows()
    alarms = Alarms(time.clock, time.monotonic)
    monitor = Monitor(alarms, time.clock, monotonic=time.monotonic)
    monitor.look()
    monitor.settle(rows, nothing)
    for _ in range(12):
        time.passes(1)
        monitor.settle(rows, fails(DatabaseAway("the database does not answer: refused")))
        monitor.look()
    standing = alarms.standing()[DATABASE]
    assert standing.evidence["error"] == "the database does not answer: refused"
    assert [trouble for _, _, trouble in rows.settled] == [None], "only the first look is written"
    time.passes(1)
    monitor.settle(rows, nothing)
    monitor.look()
    monitor.settle(rows, nothing)
    assert alarms.standing() == {}
    assert [trouble for _, _, trouble in rows.settled] == [None, standing, None]


def test_a_database_that_was_never_there_is_away_too() -> None:
    time = FakeTime(NOW_MS)
    alarms = Alarms(time.clock, time.monotonic)
    monitor = Monitor(alarms, time.clock, monotonic=time.monotonic)
    for _ in range(9):
        time.passes(1)
        monitor.look()
    assert alarms.standing() == {}
    time.passes(1)
    monitor.look()
    assert alarms.standing()[DATABASE].evidence["error"] == "it does not answer"


def test_after_we_were_frozen_the_database_is_not_away() -> None:
    time = FakeTime(NOW_MS)
    alarms = Alarms(time.clock, time.monotonic)
    monitor = Monitor(alarms, time.clock, monotonic=time.monotonic)
    time.passes(120)
    monitor.look()
    assert alarms.standing() == {}


def test_a_check_that_fails_costs_only_itself() -> None:
    time = FakeTime(NOW_MS)
    alarms = Alarms(time.clock, time.monotonic)
    monitor = Monitor(alarms, time.clock, monotonic=time.monotonic)

    def broken(now_ms: int) -> Trouble | None:
        raise ZeroDivisionError

    wrong = Trouble(JUDGE_BEHIND, NOW_MS, {})
    monitor.add([Check("SYS_DISK", broken), Check(JUDGE_BEHIND, lambda _: wrong)])
    monitor.look()
    assert alarms.standing() == {(PLATFORM, JUDGE_BEHIND): wrong}


def test_it_ends_when_it_is_told_to() -> None:
    monitor = Monitor(Alarms(lambda: NOW_MS), lambda: NOW_MS)
    stop = threading.Event()
    stop.set()
    monitor.run(stop)
    monitor.run_rows(FakeRows(), nothing, stop)
    assert (PLATFORM, "SYS_DISK") not in monitor.alarms.standing()
