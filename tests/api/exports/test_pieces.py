"""The log of an unfinished file: whatever happens to its end, what is before it counts."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.exports.pieces import PieceLog

HEADER = b"of what"


def a_log(path: Path, *pieces: bytes) -> None:
    log = PieceLog.begin(path, HEADER)
    for piece in pieces:
        log.add(piece)
    log.keep()
    log.close()


def read(path: Path) -> list[bytes] | None:
    log = PieceLog.resume(path)
    if log is None:
        return None
    found = list(log.pieces())
    assert log.count == len(found)
    log.close()
    return found


def test_a_log_gives_back_its_header_and_its_pieces(tmp_path: Path) -> None:
    path = tmp_path / "x.pieces"
    a_log(path, b"one", b"", b"three")
    log = PieceLog.resume(path)
    assert log is not None
    assert (log.header, log.count, log.size_bytes) == (HEADER, 3, path.stat().st_size)
    log.add(b"four")
    assert list(log.pieces()) == [b"one", b"", b"three", b"four"]
    log.close()


def test_there_is_nothing_to_resume_where_nothing_was_begun(tmp_path: Path) -> None:
    assert PieceLog.resume(tmp_path / "x.pieces") is None
    (tmp_path / "y.pieces").write_bytes(b"\0\0")
    assert PieceLog.resume(tmp_path / "y.pieces") is None


def test_zeros_at_the_end_of_a_file_are_no_pieces(tmp_path: Path) -> None:
    path = tmp_path / "x.pieces"
    a_log(path, b"one")
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert read(path) == [b"one"]


@settings(max_examples=50)  # each writes a file and waits for the disk
@given(
    pieces=st.lists(st.binary(max_size=20), max_size=4),
    cut=st.integers(0, 200),
    dirt=st.binary(max_size=12),
)
def test_what_is_torn_is_cut_off_and_what_was_kept_stays(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], cut: int, dirt: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.pieces"
    a_log(path, *pieces)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)] + (dirt if cut else b""))
    found = read(path)
    if found is None:
        assert cut
        return
    assert pieces[: len(found)] == found
    if not cut:
        assert found == pieces
    assert read(path) == found  # once cut, it is whole
