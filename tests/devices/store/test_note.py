from pathlib import Path

import pytest

from devices.store.note import Note


def test_what_was_written_last_is_there_for_the_next_one(tmp_path: Path) -> None:
    note = Note(tmp_path / "note")
    assert note.read() == b""
    for data in (b"long enough to be cut", b"short", b""):
        note.write(data)
        assert Note(tmp_path / "note").read() == data
    note.close()
    note.write(b"again")
    assert note.read() == b"again"
    note.close()


def test_it_is_readable_by_us_alone(tmp_path: Path) -> None:
    note = Note(tmp_path / "note")
    note.write(b"x")
    note.close()
    assert note.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", range(13))
def test_half_of_one_is_none(tmp_path: Path, cut: int) -> None:
    note = Note(tmp_path / "note")
    note.write(b"12345")
    note.close()
    whole = note.path.read_bytes()
    note.path.write_bytes(whole[:cut])
    assert note.read() == b""
    note.path.write_bytes(whole[:-1] + b"x")
    assert note.read() == b""
