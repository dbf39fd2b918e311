"""How fast messages came in and how far the followers were behind, kept for a day."""

from devices.journal import MESSAGES, Raw, Record
from devices.pace import KEPT_MS, STRETCH_MS, Pace, newest
from devices.store.journal import JournalMissing
from ingest.monitor import Place
from ingest.pace import PaceLog
from tests.fakes import FakeJournal

NOW_MS = 1_795_434_000_000  # a stretch begins here
HERE = Place("journal-1", 0)


class Seconds:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def receive(journal: FakeJournal, at_ms: int, count: int = 1) -> None:
    head = journal.head()
    messages = tuple(Raw(b"t", b"{}", 0, at_ms, "x") for _ in range(count))
    journal.append(Record(head.id + 1, MESSAGES, head.jseq + 1, count, 1, messages))


def test_the_rate_is_what_came_while_somebody_looked() -> None:
    journal, clock = FakeJournal(), Seconds()
    pace = PaceLog(journal, clock)
    receive(journal, NOW_MS, 500)
    pace.look(NOW_MS, HERE, HERE)  # what was there before the first look came at no known time
    for n in range(1, 11):
        receive(journal, NOW_MS + n * 1000, 4)
        clock.at += 1
        pace.look(NOW_MS + n * 1000, HERE, HERE)
    pace.load([])
    pace.to_keep(NOW_MS)
    clock.at += 60
    (kept,) = pace.to_keep(NOW_MS + 10_000)
    assert (kept.at_ms, kept.watched_ms, kept.received) == (NOW_MS, 10_000, 40)
    assert kept.rate_per_s == 4.0


def test_the_longest_wait_of_each_follower_is_kept() -> None:
    journal, clock = FakeJournal(), Seconds()
    pace = PaceLog(journal, clock)
    receive(journal, NOW_MS)
    receive(journal, NOW_MS + 5000)
    pace.look(NOW_MS + 9000, Place("journal-1", 1), HERE)
    pace.look(NOW_MS + 9500, Place("journal-1", 2), None)
    pace.load([])
    pace.to_keep(NOW_MS)
    clock.at += 60
    (kept,) = pace.to_keep(NOW_MS + 9500)
    assert (kept.judge_lag_ms, kept.forward_lag_ms) == (4000, 9000)


def test_a_process_that_stood_still_tells_no_rate_of_that_time() -> None:
    journal, clock = FakeJournal(), Seconds()
    pace = PaceLog(journal, clock)
    pace.look(NOW_MS, HERE, HERE)
    receive(journal, NOW_MS, 9000)
    clock.at += 120
    pace.look(NOW_MS + 120_000, None, None)
    pace.load([])
    pace.to_keep(NOW_MS)
    clock.at += 60
    assert [(one.watched_ms, one.received) for one in pace.to_keep(NOW_MS)] == [(0, 0)]
    assert Pace(NOW_MS).rate_per_s is None


def test_another_journal_begins_anew_and_one_that_is_away_leaves_a_gap() -> None:
    journal, clock = FakeJournal(), Seconds()
    pace = PaceLog(journal, clock)
    pace.look(NOW_MS, HERE, HERE)
    receive(journal, NOW_MS, 50)
    journal.journal_id = "journal-2"
    clock.at += 1
    pace.look(NOW_MS + 1000, None, None)
    journal.fails = [JournalMissing("gone")]
    clock.at += 1
    pace.look(NOW_MS + 2000, HERE, None)
    clock.at += 1
    pace.look(NOW_MS + 3000, None, None)
    pace.load([])
    pace.to_keep(NOW_MS)
    clock.at += 60
    assert [(one.watched_ms, one.received) for one in pace.to_keep(NOW_MS)] == [(0, 0)]


def test_what_was_kept_before_goes_on_and_is_written_once_a_minute() -> None:
    journal, clock = FakeJournal(), Seconds()
    pace = PaceLog(journal, clock)
    pace.look(NOW_MS, HERE, HERE)
    clock.at += 100
    assert pace.to_keep(NOW_MS) == [], "what is not loaded yet would be overwritten"
    pace.load([Pace(NOW_MS - STRETCH_MS, 300_000, 1200, 10, 20), Pace(NOW_MS, 1000, 5, 700, None)])
    pace.to_keep(NOW_MS)
    clock.at += 61
    kept = pace.to_keep(NOW_MS)
    assert [one.at_ms for one in kept] == [NOW_MS - STRETCH_MS, NOW_MS]
    assert (kept[1].received, kept[1].judge_lag_ms) == (5, 700)
    pace.was_kept()
    assert pace.to_keep(NOW_MS) == []


def test_a_day_is_kept_and_nothing_that_is_still_to_come() -> None:
    long = [Pace(NOW_MS + n * STRETCH_MS) for n in range(-400, 5)]
    kept = newest(long, NOW_MS)
    assert kept[-1].at_ms == NOW_MS
    assert kept[0].at_ms == NOW_MS - KEPT_MS
