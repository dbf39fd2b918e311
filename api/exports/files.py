"""The folder of exports: logs of what is being made, and the files that were.

Everything in it has the id of its export in its name. It is bounded: one file by MOST_BYTES, all
by ALL_BYTES, of which the oldest give way; nothing is begun when the disk has less than FREE_BYTES.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

MOST_BYTES = 256 * 1024 * 1024
ALL_BYTES = 2 * 1024**3
FREE_BYTES = 512 * 1024 * 1024  # the journal and the database come first

_PLACE = "place"
_LOCK = "lock"


class Folder:
    """Made when it is used first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def place(self) -> str:
        """What this folder is known by: an API elsewhere, with a folder of its own, leaves what is
        to be made here alone."""
        self.make()
        file = self.path / _PLACE
        with suppress(FileNotFoundError):
            return file.read_text().strip()
        made = self.path / f"{_PLACE}.{token_hex(4)}"
        made.write_text(f"{token_hex(8)}\n")
        with suppress(FileExistsError):
            os.link(made, file)  # whoever is first; a link never replaces
        made.unlink()
        return file.read_text().strip()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else works here, nor will meanwhile. The lock ends with the process."""
        self.make()
        with (self.path / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def log(self, export: str) -> Path:
        return self.path / f"{export}.pieces"

    def partial(self, export: str) -> Path:
        return self.path / f"{export}.partial"

    def file(self, export: str) -> Path:
        return self.path / f"{export}.file"

    def remove(self, export: str) -> None:
        for path in (self.log(export), self.partial(export), self.file(export)):
            path.unlink(missing_ok=True)

    def remove_strays(self, known: Collection[str]) -> None:
        """What no row speaks of any more."""
        with suppress(FileNotFoundError):
            for path in self.path.iterdir():
                is_own = path.suffix in (".pieces", ".partial", ".file")
                if is_own and path.stem not in known:
                    path.unlink(missing_ok=True)

    def used_bytes(self) -> int:
        used = 0
        with suppress(FileNotFoundError):
            for path in self.path.iterdir():
                with suppress(FileNotFoundError):
                    used += path.stat().st_size
        return used

    def free_bytes(self) -> int:
        self.make()
        return shutil.disk_usage(self.path).free
