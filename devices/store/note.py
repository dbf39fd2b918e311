"""A few bytes that outlive their process, however it ends: what it had in hand when it died.

One write to one place and no fsync: a kill -9 leaves the page cache to the kernel, and after a
power loss nobody asks what was in hand. Length and checksum come first, so that a note cut short
reads as none.
"""

import os
import struct
from pathlib import Path
from zlib import crc32

MOST_BYTES = 1 << 20

_HEAD = struct.Struct("<II")  # length, CRC-32


class Note:
    """One file, made when it is first written. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def read(self) -> bytes:
        """What was written last; nothing where there is no note, or half of one."""
        try:
            with self.path.open("rb") as file:
                length, crc = _HEAD.unpack(file.read(_HEAD.size))
                data = file.read(min(length, MOST_BYTES))
        except (FileNotFoundError, struct.error):
            return b""
        return data if len(data) == length and crc32(data) == crc else b""

    def write(self, data: bytes) -> None:
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(self._fd, _HEAD.pack(len(data), crc32(data)) + data, 0)

    def close(self) -> None:
        """It may be written again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
