"""What the journal may forget, and what it has to keep for whom."""

import pytest

from courtyard.retention import BACKUP_AWAITED_MS, may_go
from devices.journal import MESSAGES, Raw
from devices.store.backup import Covered
from devices.store.journal import Draft, JournalReader, JournalWriter

HOUR_MS = 3_600_000
NOW_MS = 1_795_399_200_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def writer(tmp_path_factory: pytest.TempPathFactory) -> JournalWriter:
    """A record for each of the last 100 hours: record n is 101 - n hours old."""
    writer = JournalWriter(tmp_path_factory.mktemp("journal") / "journal.db", lambda: NOW_MS)
    for hours in range(100, 0, -1):
        raw = Raw(b"t", b"{}", 0, NOW_MS - hours * HOUR_MS, "a")
        writer.commit([Draft(MESSAGES, 1, [raw])])
    return writer


def oldest_left(
    writer: JournalWriter,
    passed_id: int,
    covered: tuple[str, int] | None,
    retention_ms: int = DAY_MS,
) -> int:
    """Id of the oldest record after a trim. covered: "same" or "other" journal, and its record."""
    journal_id = writer.head().journal_id
    last = None
    if covered is not None:
        last = Covered(journal_id if covered[0] == "same" else "other", covered[1])
    for before_ms, up_to in may_go(passed_id, journal_id, last, retention_ms, NOW_MS):
        writer.trim(before_ms, up_to)
    with JournalReader(writer.path) as reader:
        oldest = reader.trimmed_id() + 1
    writer.close()
    return oldest


@pytest.mark.parametrize(
    ("passed_id", "covered", "oldest"),
    [
        (100, None, 77),  # no backup was ever made: what is 24 hours old stays, older goes
        (50, None, 51),  # nothing behind a cursor goes
        (100, ("same", 100), 77),
        (100, ("same", 60), 61),  # what the backup does not cover stays
        (100, ("same", 10), 29),  # for 72 hours at most
        (20, ("same", 10), 21),  # but never what a cursor has yet to pass
        (100, ("other", 100), 29),  # a backup of another journal covers nothing of this one
        (100, ("same", 0), 29),
    ],
)
def test_what_goes(
    writer: JournalWriter, passed_id: int, covered: tuple[str, int] | None, oldest: int
) -> None:
    assert oldest_left(writer, passed_id, covered) == oldest


def test_a_retention_beyond_three_days_is_kept(writer: JournalWriter) -> None:
    assert BACKUP_AWAITED_MS < 90 * HOUR_MS
    assert oldest_left(writer, 100, ("same", 5), 90 * HOUR_MS) == 11
