"""The journal's files as a crash in the middle of a commit or a checkpoint leaves them.

No failpoint can stand in the middle of a write, so these put together what the disk would hold.
"""

from pathlib import Path

import apsw
import pytest

from devices.journal import MESSAGES, Raw
from devices.store.journal import PAGE_BYTES, Draft, JournalReader, JournalWriter

NOON = 1_795_399_200_000
FRAME_BYTES = PAGE_BYTES + 24  # in the WAL each page has a header of its own
WAL_HEADER_BYTES = 32


def a_batch(first: int, size: int = 3_000) -> Draft:
    payloads = (b"%08d" % n * (size // 8) for n in range(first, first + 10))
    topic = b"courtyard/v1/yaxin/gate/g1/telemetry"
    return Draft(MESSAGES, 1, [Raw(topic, payload, 0, NOON, "yaxin") for payload in payloads])


def the_numbers(path: Path) -> list[int]:
    with JournalReader(path) as reader:
        return [int(raw.payload[:8]) for record in reader.read(0, 1_000) for raw in record.messages]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def an_image(folder: Path, database: bytes, wal: bytes) -> Path:
    folder.mkdir()
    image = folder / "journal.db"
    image.write_bytes(database)
    wal_of(image).write_bytes(wal)
    return image


@pytest.mark.parametrize("rest", [b"", b"\xa5"], ids=["torn off", "garbage"])
def test_a_commit_of_which_a_part_is_on_the_disk_is_all_or_nothing(
    path: Path, tmp_path: Path, rest: bytes
) -> None:
    with JournalWriter(path, lambda: NOON) as writer:
        writer.commit([a_batch(0)])
        before = wal_of(path).read_bytes()
        writer.commit([a_batch(10)])
        after = wal_of(path).read_bytes()
        database = path.read_bytes()
    assert len(after) > len(before) + 3 * FRAME_BYTES, "a commit of several pages"
    seen = set()
    # at the border of each page, inside its header, and inside the page
    borders = range(len(before), len(after) + 1, FRAME_BYTES)
    for cut in sorted({border + more for border in borders for more in (0, 7, 1_000)}):
        kept = after[: min(cut, len(after))]
        image = an_image(tmp_path / f"{cut}", database, kept + rest * (len(after) - len(kept)))
        with JournalWriter(image, lambda: NOON) as writer:
            jseq = writer.head().jseq
            assert jseq in (10, 20)
            assert jseq == 10 or cut >= len(after), "a part of a commit is no commit"
            assert the_numbers(image) == list(range(jseq))
            with JournalReader(image) as reader:
                assert sum(reader.received_total().values()) == jseq
            if jseq == 10:  # what was not acknowledged comes again
                writer.commit([a_batch(10)])
            assert the_numbers(image) == list(range(20))
        seen.add(jseq)
    assert seen == {10, 20}


def test_a_checkpoint_of_which_a_part_is_on_the_disk_loses_no_commit(
    path: Path, tmp_path: Path
) -> None:
    with JournalWriter(path, lambda: NOON) as writer:
        for first in range(0, 200, 10):
            writer.commit([a_batch(first)])
        before, wal = path.read_bytes(), wal_of(path).read_bytes()
        assert len(wal) > WAL_HEADER_BYTES + 100 * FRAME_BYTES
        helper = apsw.Connection(str(path))
        helper.execute("SELECT count(*) FROM records").fetchall()  # until then it knows no WAL
        helper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        after = path.read_bytes()
        helper.close()
    assert len(after) > len(before) + 50 * PAGE_BYTES
    pages = len(after) // PAGE_BYTES
    for copied in (0, 1, 2, pages // 2, pages - 1, pages):
        size = copied * PAGE_BYTES
        half_a_page = after[size : size + PAGE_BYTES // 2]
        database = after[:size] + half_a_page + before[size + len(half_a_page) :]
        image = an_image(tmp_path / f"{copied}", database, wal)
        with JournalWriter(image, lambda: NOON) as writer:
            assert writer.head().jseq == 200
            assert the_numbers(image) == list(range(200))
            writer.commit([a_batch(200)])
        assert the_numbers(image) == list(range(210))
        helper = apsw.Connection(str(image))
        assert helper.execute("PRAGMA integrity_check").get == "ok"
        helper.close()
