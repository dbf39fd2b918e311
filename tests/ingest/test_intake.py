"""Queue and group commit: what makes a batch, and when acknowledgements leave."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from devices.journal import LINK, MESSAGES, PROBE, TICK, Raw
from devices.store.journal import Draft
from ingest.intake import Counters, GroupCommit, Intake, to_drafts
from ingest.publish_packets import Run

WAIT_S = 10.0
Acks = list[tuple[int, list[bytes]]]


def a_run(first: int, count: int = 1, *, epoch: int = 1, size_bytes: int = 10) -> Run:
    numbers = range(first, first + count)
    return Run(
        epoch,
        [Raw(b"t", b"%d" % n, 0, 1_000, "x") for n in numbers],
        [n.to_bytes(2, "big") for n in numbers],
        size_bytes=size_bytes,
    )


def a_tick(at_ms: int) -> Draft:
    return Draft(TICK, 1, control={"at_ms": at_ms})


@dataclass
class FakeJournal:
    """Keeps drafts; each commit first raises the next of `fails`, if any is left."""

    fails: list[Exception] = field(default_factory=list)
    commits: list[list[Draft]] = field(default_factory=list)

    def commit(self, drafts: Sequence[Draft]) -> list[int]:
        if self.fails:
            raise self.fails.pop(0)
        self.commits.append(list(drafts))
        return []

    @property
    def payloads(self) -> list[bytes]:
        return [r.payload for drafts in self.commits for d in drafts for r in d.messages]


def a_group_commit(
    intake: Intake,
    journal: FakeJournal,
    *,
    acks: Acks | None = None,
    committed: Callable[[], None] = lambda: None,
    probes: list[Draft] | None = None,
) -> GroupCommit:
    return GroupCommit(
        intake,
        journal,
        Counters(),
        committed=committed,
        acknowledge=lambda epoch, mids: (acks if acks is not None else []).append((epoch, mids)),
        probe_committed=(probes if probes is not None else []).append,
        retry_first_s=0.001,
        retry_max_s=0.002,
    )


def test_a_batch_is_all_that_gathered() -> None:
    intake = Intake()
    for n in range(1, 6):
        intake.put(a_run(n))
    assert len(intake.take()) == 5


def test_a_batch_has_at_most_a_thousand_messages() -> None:
    intake = Intake()
    for first in (1, 401, 801):
        intake.put(a_run(first, 400))
    assert [len(intake.take()), len(intake.take())] == [2, 1]


def test_a_batch_has_at_most_a_mebibyte_unless_one_run_is_larger() -> None:
    intake = Intake()
    for size_bytes in (2_000_000, 600_000, 600_000):
        intake.put(a_run(1, size_bytes=size_bytes))
    assert [len(intake.take()) for _ in range(3)] == [1, 1, 1]


def test_messages_of_one_connection_make_one_record_and_a_probe_parts_them() -> None:
    probe = Draft(PROBE, 1, control={"n": 1, "sent_ms": 1, "at_ms": 2})
    drafts = to_drafts([a_run(1), a_run(2), probe, a_run(3), a_run(4, epoch=2)])
    assert [(d.kind, d.epoch, [r.payload for r in d.messages]) for d in drafts] == [
        (MESSAGES, 1, [b"1", b"2"]),
        (PROBE, 1, []),
        (MESSAGES, 1, [b"3"]),
        (MESSAGES, 2, [b"4"]),
    ]


def test_the_runs_themselves_are_left_as_they_were() -> None:
    first, second = a_run(1), a_run(2)
    to_drafts([first, second])
    assert [len(first.messages), len(second.messages)] == [1, 1]


def test_ticks_that_wait_next_to_each_other_become_the_newest() -> None:
    intake = Intake()
    for at_ms in range(1_000):
        intake.put_control(a_tick(at_ms))
    assert intake.take() == [a_tick(999)]


def test_a_tick_before_a_message_stays_before_it() -> None:
    intake = Intake()
    intake.put_control(a_tick(1))
    intake.put(a_run(1))
    intake.put_control(a_tick(2))
    assert [type(entry) for entry in intake.take()] == [Draft, Run, Draft]


@pytest.mark.parametrize(("count", "size_bytes"), [(100, 1), (1, 1_000)])
def test_it_is_full_at_its_bound_and_takes_what_was_read_all_the_same(
    count: int, size_bytes: int
) -> None:
    intake = Intake(max_messages=100, max_bytes=1_000)
    assert not intake.is_full
    intake.put(a_run(1, count, size_bytes=size_bytes))
    assert intake.is_full
    intake.put(a_run(200))
    assert len(intake.take()) == 2
    assert not intake.is_full


def test_acknowledgements_leave_after_the_commit_in_order_of_arrival() -> None:
    intake = Intake()
    acks: Acks = []
    seen: list[int] = []

    class Watching(FakeJournal):
        def commit(self, drafts: Sequence[Draft]) -> list[int]:
            seen.append(len(acks))
            return super().commit(drafts)

    journal = Watching()
    intake.put(a_run(1, 2))
    intake.put(a_run(3))
    intake.close()
    a_group_commit(intake, journal, acks=acks).run()
    assert acks == [(1, [b"\x00\x01", b"\x00\x02", b"\x00\x03"])]
    assert seen == [0]


def test_each_connection_has_acknowledgements_of_its_own() -> None:
    intake = Intake()
    acks: Acks = []
    intake.put(a_run(1, epoch=1))
    intake.put(a_run(1, epoch=2))
    intake.close()
    a_group_commit(intake, FakeJournal(), acks=acks).run()
    assert acks == [(1, [b"\x00\x01"]), (2, [b"\x00\x01"])]


def test_a_failing_commit_is_tried_again_with_the_same_batch_and_told_once() -> None:
    intake = Intake()
    acks: Acks = []
    journal = FakeJournal(fails=[OSError("disk full"), ValueError("?"), RuntimeError("?")])
    intake.put(a_run(1, 3))
    intake.close()
    with capture_logs() as logs:
        a_group_commit(intake, journal, acks=acks).run()
    assert journal.payloads == [b"1", b"2", b"3"]
    assert len(acks) == 1
    assert [line["event"] for line in logs] == ["journal_commit_failed", "journal_commits_again"]


def test_a_commit_that_is_abandoned_acknowledges_nothing() -> None:
    intake = Intake()
    acks: Acks = []
    journal = FakeJournal(fails=[OSError("disk full")] * 1_000_000)
    commit = a_group_commit(intake, journal, acks=acks)
    intake.put(a_run(1))
    thread = threading.Thread(target=commit.run)
    thread.start()
    commit.abandon()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert acks == []


def test_packet_ids_without_messages_are_acknowledged_without_a_commit() -> None:
    intake, journal = Intake(), FakeJournal()
    acks: Acks = []
    intake.put(Run(1, mids=[b"\x00\x05"]))  # a forged probe
    intake.close()
    a_group_commit(intake, journal, acks=acks).run()
    assert (journal.commits, acks) == ([], [(1, [b"\x00\x05"])])


def test_a_bell_that_fails_stops_nothing() -> None:
    def bell() -> None:
        raise RuntimeError("nobody listens")

    intake, journal = Intake(), FakeJournal()
    acks: Acks = []
    intake.put(a_run(1, 900))
    intake.put(a_run(901, 900))
    intake.close()
    with capture_logs():
        a_group_commit(intake, journal, acks=acks, committed=bell).run()
    assert len(journal.commits) == len(acks) == 2


def test_probes_are_told_when_they_are_in_the_journal() -> None:
    intake = Intake()
    probes: list[Draft] = []
    probe = Draft(PROBE, 1, control={"n": 1, "sent_ms": 1, "at_ms": 2})
    intake.put_control(Draft(LINK, 1, control={"up": True, "session_present": True, "at_ms": 1}))
    intake.put_control(probe)
    intake.close()
    a_group_commit(intake, FakeJournal(), probes=probes).run()
    assert probes == [probe]


def test_it_is_busy_from_the_first_message_to_the_end_of_its_commit() -> None:
    intake = Intake()
    assert intake.busy_since is None
    intake.put(a_run(1))
    intake.take()
    assert intake.busy_since is not None
    intake.done()
    assert intake.busy_since is None
