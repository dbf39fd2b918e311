"""The log of an unfinished file: a header that says of what, then one piece after the other.

Each record is its length, its CRC-32 and its bytes, so that the log itself says how far the work
is: what was torn when a process ended is cut off when the next one opens it.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

_HEAD = struct.Struct(">II")
MOST_BYTES = 64 * 1024 * 1024  # of one record; a longer length is no length
_SEED = 0x5EED  # zeros, which a power cut may leave at the end of a file, are no record


class PieceLog:
    """Open for appending. count: pieces in it; size_bytes: of the file."""

    def __init__(self, path: Path, file: IO[bytes], header: bytes, count: int) -> None:
        self._path = path
        self._file = file
        self.header = header
        self.count = count
        self.size_bytes = file.seek(0, os.SEEK_END)

    @classmethod
    def begin(cls, path: Path, header: bytes) -> Self:
        """A new log, in the place of any older one. Raises BlockingIOError: it is in use."""
        file = path.open("a+b")
        _lock(file)
        file.truncate(0)
        log = cls(path, file, header, 0)
        log._write(header)
        log.keep()
        return log

    @classmethod
    def resume(cls, path: Path) -> Self | None:
        """The log that is there, without what is torn at its end; None where there is none.

        Raises BlockingIOError: it is in use.
        """
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            return None
        _lock(file)
        header: bytes | None = None
        end = count = 0
        for record in _records(file):
            end += _HEAD.size + len(record)
            if header is None:
                header = record
            else:
                count += 1
        if header is None:
            file.close()
            return None
        file.truncate(end)
        return cls(path, file, header, count)

    def add(self, piece: bytes) -> None:
        """Append it. It is on the disk once `keep` returns."""
        self._write(piece)
        self.count += 1

    def keep(self) -> None:
        """Wait until the disk has all that was added."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def pieces(self) -> Iterator[bytes]:
        """All of them, in order."""
        self._file.flush()
        with self._path.open("rb") as file:
            records = _records(file)
            next(records)  # the header
            yield from records

    def close(self) -> None:
        self._file.close()

    def _write(self, record: bytes) -> None:
        if len(record) > MOST_BYTES:
            raise ValueError(f"a record of {len(record)} bytes; the bound is {MOST_BYTES}")
        self._file.write(_HEAD.pack(len(record), zlib.crc32(record, _SEED)) + record)
        self.size_bytes += _HEAD.size + len(record)


def _lock(file: IO[bytes]) -> None:
    """Until the file is closed, or the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise


def _records(file: IO[bytes]) -> Iterator[bytes]:
    """The whole records from the beginning of the file, up to the first that is not."""
    file.seek(0)
    while True:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return
        length, crc = _HEAD.unpack(head)
        if length > MOST_BYTES:
            return
        record = file.read(length)
        if len(record) < length or zlib.crc32(record, _SEED) != crc:
            return
        yield record
