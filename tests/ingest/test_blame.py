"""Who is blamed for a death: the message that was in hand thrice in a row, and nobody else.

A `Start` is one process: it takes records one after the other, and may die at any of its writes.
"""

from random import Random

import pytest
from structlog.testing import capture_logs

from ingest.blame import DEATHS, Blame
from tests.fakes import FakeNote

JOURNAL = "j" * 32


class Killed(BaseException):
    """The process ends here."""


class MortalNote(FakeNote):
    """A note whose process dies at write number `dies_at`, before it or behind it."""

    def __init__(self, data: bytes, dies_at: int | None, behind: bool) -> None:
        super().__init__()
        self.data = data
        self._dies_at = dies_at
        self._behind = behind

    def write(self, data: bytes) -> None:
        dies = self.written == self._dies_at
        if dies and not self._behind:
            raise Killed
        super().write(data)
        if dies:
            raise Killed


class Follower:
    """Takes RECORDS of three messages each, over as many processes as it needs.

    deadly: messages that kill the process which decodes them.
    """

    def __init__(self, records: int = 6, deadly: frozenset[int] = frozenset()) -> None:
        self.data = b""
        self.position = 0
        self.records = records
        self.deadly = deadly
        self.given_up: set[int] = set()
        self.alone: set[int] = set()  # records committed by themselves
        self.starts = 0

    def start(self, dies_at: int | None = None, *, behind: bool = False) -> bool:
        """One process; whether it came to the end."""
        self.starts += 1
        note = MortalNote(self.data, dies_at, behind)
        try:
            blame = Blame(note)
            blame.stands(JOURNAL, self.position)
            while self.position < self.records:
                self._take(blame, self.position + 1)
        except Killed:
            return False
        finally:
            self.data = note.data
        return True

    def _take(self, blame: Blame, record: int) -> None:
        jseqs = range(3 * record - 2, 3 * record + 1)
        if not blame.take(JOURNAL, record):
            if self.deadly.intersection(jseqs):
                raise Killed
        else:
            for jseq in jseqs:
                if not blame.take_message(jseq):
                    self.given_up.add(jseq)
                elif jseq in self.deadly:
                    raise Killed
                blame.put_message()
        if blame.is_hasty:
            self.alone.add(record)
        self.position = record  # the commit
        blame.committed()


def test_a_message_that_kills_is_given_up_after_three_deaths_alone() -> None:
    follower = Follower(deadly=frozenset({8}))
    ends = [follower.start() for _ in range(2 * DEATHS + 1)]
    assert ends == [False] * 2 * DEATHS + [True]
    assert follower.given_up == {8}
    assert follower.position == 6


def test_of_two_that_kill_in_one_record_both_are_given_up() -> None:
    follower = Follower(deadly=frozenset({7, 9, 14}))
    while not follower.start():
        assert follower.starts < 30
    assert follower.given_up == {7, 9, 14}
    assert follower.starts == 1 + DEATHS * 3 + DEATHS * 2


def test_the_first_record_after_a_start_is_committed_alone() -> None:
    follower = Follower()
    assert not follower.start(dies_at=7)  # 1: its start; then two writes a record, take and commit
    assert follower.alone == {1}, "the first after a start"
    assert follower.position == 3
    follower.position = 0  # a database that knows less than the note
    follower.alone.clear()
    assert follower.start()
    assert follower.alone == {1}


@pytest.mark.parametrize(("deaths", "alone"), [(1, {1}), (2, {1, 2, 3, 4})])
def test_a_second_death_with_the_same_record_in_hand_makes_haste_up_to_it(
    deaths: int, alone: set[int]
) -> None:
    follower = Follower()
    for _ in range(deaths):
        follower.position = 0
        assert not follower.start(dies_at=7, behind=True)  # record 4 is in hand
    follower.position = 0  # what was taken before it was not committed yet
    follower.alone.clear()
    assert follower.start()
    assert follower.alone == alone


@pytest.mark.parametrize("seed", range(300))
def test_kills_from_outside_give_up_no_innocent(seed: int) -> None:
    rng = Random(seed)
    follower = Follower(records=3, deadly=frozenset({5}) if seed % 2 else frozenset())
    while not follower.start(rng.randrange(30), behind=rng.random() < 0.5):
        if follower.starts > 60:  # the killer tires at last
            while not follower.start():
                assert follower.starts < 90
            break
    assert follower.given_up <= follower.deadly
    assert follower.position == 3


def test_the_same_place_in_a_record_hit_at_three_starts_blames_the_record_and_no_message() -> None:
    follower = Follower(records=1)
    for _ in range(10):  # killed between taking the record and committing it
        assert not follower.start(dies_at=1, behind=True)
    assert follower.start()
    assert follower.given_up == set()


def test_a_death_with_nothing_in_hand_clears_who_was_suspected() -> None:
    follower = Follower(deadly=frozenset({5}))
    for _ in range(2 * DEATHS - 1):
        assert not follower.start()
    assert not follower.start(dies_at=0, behind=True)  # killed while it starts
    for _ in range(2 * DEATHS):
        assert not follower.start()
    assert follower.start()
    assert follower.given_up == {5}


def test_another_follower_goes_first_until_it_is_past_what_it_died_of() -> None:
    judge_note, forward_note = FakeNote(), FakeNote()
    Blame(judge_note).take(JOURNAL, 4)
    judge = Blame(judge_note)
    forward = Blame(forward_note, first=judge)
    assert forward.must_wait
    judge.take(JOURNAL, 3)
    judge.committed()
    assert forward.must_wait
    judge.take(JOURNAL, 4)
    judge.committed()
    assert not forward.must_wait


def test_a_suspect_that_was_committed_before_the_death_is_past() -> None:
    note = FakeNote()
    Blame(note).take(JOURNAL, 4)
    blame = Blame(note)
    blame.stands(JOURNAL, 4)
    assert not blame.is_suspicious


def test_a_suspect_of_another_journal_is_past() -> None:
    note = FakeNote()
    Blame(note).take(JOURNAL, 4)
    blame = Blame(note)
    blame.take("k" * 32, 1)
    assert not blame.is_suspicious


def test_a_note_that_cannot_be_written_stops_nobody_and_is_said_once() -> None:
    note = FakeNote()
    note.fails = [OSError("no room")] * 4
    with capture_logs() as logs:
        blame = Blame(note)
        blame.take(JOURNAL, 1)
        blame.committed()
    assert [log["event"] for log in logs] == ["blame_not_written"]


@pytest.mark.parametrize("data", [b"\xc1", b"\x93", b"\xa3abc"])
def test_a_note_that_makes_no_sense_is_none(data: bytes) -> None:
    note = FakeNote()
    note.data = data
    with capture_logs() as logs:
        assert not Blame(note).is_suspicious
    assert [log["event"] for log in logs] == ["blame_not_read"]


def test_without_a_store_nothing_is_ever_in_hand() -> None:
    blame = Blame()
    assert not blame.take(JOURNAL, 1)
    assert not blame.is_hasty
