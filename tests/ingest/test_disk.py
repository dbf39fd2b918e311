"""A disk that runs full: acknowledgements stop while there is room for the rest, and come back."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devices.journal import MESSAGES, Raw
from devices.rules import Severity
from devices.store.journal import Draft, JournalFull, JournalReader, JournalWriter
from ingest.disk import DiskGuard, GuardedJournal, Room, room, used_pct, used_share_pct
from tests.fakes import FakeTime
from tests.ingest.test_intake import FakeJournal

NOW_MS = 1_795_434_130_000


@pytest.mark.parametrize(
    ("was", "used", "becomes"),
    [
        (Room.AMPLE, 75.0, Room.AMPLE),
        (Room.AMPLE, 75.1, Room.LOW),
        (Room.AMPLE, 85.1, Room.NONE),
        (Room.LOW, 85.0, Room.LOW),
        (Room.LOW, 85.1, Room.NONE),
        (Room.LOW, 74.0, Room.LOW),  # it must fall below 73: else each trim would end the warning
        (Room.LOW, 72.9, Room.AMPLE),
        (Room.NONE, 80.0, Room.NONE),  # only below 80 it goes on
        (Room.NONE, 79.9, Room.LOW),
        (Room.NONE, 40.0, Room.AMPLE),
    ],
)
def test_when_to_warn_to_withhold_and_to_go_on(was: Room, used: float, becomes: Room) -> None:
    assert room(was, used) is becomes


class Disk:
    """A disk of which so much is used."""

    def __init__(self, used: float) -> None:
        self.used = used
        self.looks = 0
        self.error: OSError | None = None

    def __call__(self) -> float:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.used


def a_draft(n: int = 0, size: int = 8) -> Draft:
    return Draft(MESSAGES, 1, [Raw(b"t", b"%08d" % n * (size // 8), 0, NOW_MS, "x")])


@pytest.mark.parametrize(
    ("used_gib", "left_gib", "pct"),
    [(10, 30, 25.0), (54.4, 9.6, 85.0), (900, 100, 0.0), (990.4, 9.6, 85.0), (2000, 0, 100.0)],
)
def test_of_a_large_disk_only_what_is_left_counts(
    used_gib: float, left_gib: float, pct: float
) -> None:
    gib = 1024**3
    assert used_share_pct(int(used_gib * gib), int(left_gib * gib)) == pytest.approx(pct)


def test_nothing_is_committed_while_the_disk_has_no_room_and_then_it_goes_on() -> None:
    disk, journal, time = Disk(86.0), FakeJournal(), FakeTime()
    guard = DiskGuard(disk, monotonic=time.monotonic)
    guarded = GuardedJournal(journal, guard)
    with pytest.raises(JournalFull, match=r"86\.0 % full"):
        guarded.commit([a_draft()])
    disk.used = 82.0
    time.passes(1)
    with pytest.raises(JournalFull):
        guarded.commit([a_draft()])
    assert journal.commits == []
    disk.used = 79.0
    time.passes(1)
    guarded.commit([a_draft()])
    assert len(journal.commits) == 1


def test_the_disk_is_not_looked_at_for_every_commit() -> None:
    disk, time = Disk(10.0), FakeTime()
    guarded = GuardedJournal(FakeJournal(), DiskGuard(disk, monotonic=time.monotonic))
    for _ in range(100):
        guarded.commit([a_draft()])
        time.passes(0.01)
    assert disk.looks <= 6


def test_a_low_disk_is_a_warning_and_one_without_room_costs_messages() -> None:
    disk, time = Disk(50.0), FakeTime()
    guard = DiskGuard(disk, monotonic=time.monotonic)
    assert guard.trouble(NOW_MS) is None
    disk.used = 78.04
    time.passes(1)
    low = guard.trouble(NOW_MS)
    assert low is not None
    assert (low.severity, low.evidence) == (
        Severity.P2,
        {"used_pct": 78.0, "acks_withheld": False},
    )
    disk.used = 90.0
    time.passes(1)
    none = guard.trouble(NOW_MS)
    assert none is not None
    assert (none.severity, none.evidence["acks_withheld"]) == (Severity.P1, True)


def test_a_write_that_fails_is_a_trouble_whatever_the_percentage_until_one_succeeds() -> None:
    journal, time = FakeJournal(fails=[JournalFull("no room on the disk")]), FakeTime()
    guard = DiskGuard(Disk(20.0), monotonic=time.monotonic)
    guarded = GuardedJournal(journal, guard)
    with pytest.raises(JournalFull):
        guarded.commit([a_draft()])
    failing = guard.trouble(NOW_MS)
    assert failing is not None
    assert failing.severity is Severity.P1
    assert failing.evidence["error"] == "no room on the disk"
    guarded.commit([a_draft()])
    assert guard.trouble(NOW_MS) is None


def test_a_disk_that_does_not_say_stops_nothing() -> None:
    disk, journal, time = Disk(20.0), FakeJournal(), FakeTime()
    guard = DiskGuard(disk, monotonic=time.monotonic)
    disk.error = OSError(5, "Input/output error")
    GuardedJournal(journal, guard).commit([a_draft()])
    assert len(journal.commits) == 1


# On a real file system of 16 MiB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; needs root, as `make chaos` has it."""
    place = tmp_path / "small"
    place.mkdir()
    tool = shutil.which("mount")
    if os.geteuid() != 0 or tool is None:
        pytest.skip("mounting a small file system takes root")
    command = [tool, "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, timeout=10).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)


def fill(guarded: GuardedJournal, guard: DiskGuard, until: Callable[[], bool]) -> int:
    """Commit 20 kB at a time; how many went in."""
    for n in range(2000):
        if until():
            return n
        try:
            guarded.commit([a_draft(n, 20_000)])
        except JournalFull:
            return n
    raise AssertionError(f"never full: {guard.used_pct}")


def test_a_journal_on_a_small_disk_stops_in_time_and_frees_what_was_read(small_disk: Path) -> None:
    guard = DiskGuard(lambda: used_pct(small_disk), look_every_s=0)
    path = small_disk / "journal.db"
    with JournalWriter(path, lambda: NOW_MS) as writer:
        guarded = GuardedJournal(writer, guard)
        written = fill(guarded, guard, lambda: False)
        assert 85.0 < guard.used_pct < 95.0, "there is still room for the trim"
        with JournalReader(path) as reader:
            assert len(reader.read(0, 5000)) > 100, "what was acknowledged is there"
        # nobody has read more than half of it: only that may go
        while writer.trim(NOW_MS + 1, written // 2):
            pass
        while writer.give_back():
            pass
        assert guard.look() is not Room.NONE
        assert guarded.commit([a_draft(1, 8)]) == [written + 1]
        with JournalReader(path) as reader:
            assert reader.read(0, 1)[0].id == written // 2 + 1


def test_a_disk_that_others_filled_stops_commits_and_loses_nothing(small_disk: Path) -> None:
    guard = DiskGuard(lambda: used_pct(small_disk), look_every_s=0)
    with JournalWriter(small_disk / "journal.db", lambda: NOW_MS) as writer:
        guarded = GuardedJournal(writer, guard)
        guarded.commit([a_draft(1)])
        stuffing = small_disk / "stuffing"
        stuffing.write_bytes(bytes(14 << 20))
        with pytest.raises(JournalFull):
            guarded.commit([a_draft(2)])
        stuffing.unlink()
        assert guarded.commit([a_draft(2)]) == [2]
