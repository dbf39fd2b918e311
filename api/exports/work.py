"""Makes the files, one export after the other, in a process that may end at any moment.

1. whose export is the oldest that is not finished is next; how often it was tried is counted
2. its log is opened, or begun with the steps in its header
3. the pieces of the steps behind those that the log has are appended, and twice a second kept:
   on the disk first, then told by the row
4. the file is written from the log under another name, kept, and gets its name
5. the row says that it is done; then the log may go

Killed anywhere, it goes on there. A row that is gone has called it off.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.errors import Problem
from api.exports.files import ALL_BYTES, FREE_BYTES, MOST_BYTES, Folder
from api.exports.kinds import KIND_OF, Kind, Order, Step, TooLarge
from api.exports.model import KEPT_MS, TRIES, Body, Export, State, packed, read_all
from api.exports.pieces import PieceLog
from api.parts import Clock
from api.reports.fonts import ReportsUnusable
from api.reports.gather import NothingToReport, Source
from api.reports.model import BadMonth
from devices.store import exports
from devices.store.compounds import read_directory
from devices.store.database import reading, writing
from devices.store.failpoints import failpoint
from devices.store.progress import Progress

KEEP_EVERY_S = 0.5
HASH_BYTES = 1024 * 1024

log = structlog.get_logger()


class CalledOff(Exception):
    """Its row is gone."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a log begins with. now_ms: when it was begun; all figures are as of then."""

    export: str
    now_ms: int
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where and with what files are made. is_over: asked between two steps."""

    engine: Engine
    folder: Folder
    clock: Clock
    fonts: Path | None = None
    is_over: Callable[[], bool] = lambda: False
    keep_every_s: float = KEEP_EVERY_S


def work_off(shop: Workshop) -> bool:
    """Make all that is asked for here; False: somebody else does, or it was ended in between."""
    with shop.folder.alone() as is_alone:
        if not is_alone:
            return False
        tidy(shop)
        while (export := _next(shop)) is not None:
            if shop.is_over():
                return False
            _make(shop, export)
    return not shop.is_over()


def has_work(engine: Engine, folder: Folder, now_ms: int) -> bool:
    """Whether `work_off` would find anything to do: files to be made, or to be thrown away."""
    place = folder.place()
    with reading(engine) as connection:
        rows = exports.list_all(connection)
        known = read_all(connection, now_ms)
    return any(_is_expired(row, now_ms) for row in rows.values()) or any(
        one.is_unfinished and one.body.place == place for one in known
    )


def _is_expired(row: Progress, now_ms: int) -> bool:
    return row.updated_at_ms + KEPT_MS <= now_ms


def tidy(shop: Workshop) -> None:
    """Throw away what is expired, what nobody speaks of, and the oldest of too much."""
    now_ms = shop.clock()
    with writing(shop.engine) as connection:
        known = {one.id: one for one in read_all(connection, now_ms)}
        for id_, row in exports.list_all(connection).items():
            if _is_expired(row, now_ms):
                exports.remove(connection, id_)
    shop.folder.remove_strays(known)
    place = shop.folder.place()
    finished = sorted(
        (one for one in known.values() if one.body.state is State.DONE and one.body.place == place),
        key=lambda one: one.updated_at_ms,
    )
    for one in finished:
        if shop.folder.used_bytes() <= ALL_BYTES - MOST_BYTES:
            break
        with writing(shop.engine) as connection:
            body = one.failed("made_room", "", one.body.finished_at_ms or now_ms)
            one.moved(connection, now_ms, one.done, one.total, body)
        shop.folder.remove(one.id)


def _next(shop: Workshop) -> Export | None:
    place = shop.folder.place()
    with reading(shop.engine) as connection:
        known = read_all(connection, shop.clock())
    return next(
        (one for one in reversed(known) if one.is_unfinished and one.body.place == place), None
    )


def _make(shop: Workshop, export: Export) -> None:
    """Make this one, as far as it is allowed to; what comes of it stands in its row."""
    now_ms = shop.clock()
    if export.body.tries >= TRIES:
        _finish(shop, export, export.failed("given_up", str(export.body.tries), now_ms))
        return
    body = replace(
        export.body,
        state=State.RUNNING,
        tries=export.body.tries + 1,
        began_at_ms=export.body.began_at_ms or now_ms,
    )
    export = replace(export, body=body)
    with writing(shop.engine) as connection:
        if not export.moved(connection, now_ms, export.done, export.total, body):
            return
    try:
        _Making(shop, export).run()
    except CalledOff:
        shop.folder.remove(export.id)
    except SQLAlchemyError:
        raise  # away: it goes on where it was, once the database answers
    except TooLarge as error:
        _finish(shop, export, export.failed("too_large", str(error), shop.clock()))
    except (NothingToReport, BadMonth, Problem, ReportsUnusable) as error:
        _finish(shop, export, export.failed("impossible", _why(error), shop.clock()))
    except OSError as error:
        _finish(shop, export, export.failed("disk", error.strerror or str(error), shop.clock()))
    except Exception as error:
        log.exception("export_died", export=export.id, what=export.body.wanted.what)
        _finish(shop, export, export.failed("ours", type(error).__name__, shop.clock()))


def _why(error: Exception) -> str:
    if isinstance(error, Problem):
        return error.detail
    if isinstance(error, NothingToReport):
        return f"{error.args[0]} is not in the registry any more"
    return str(error)


def _finish(shop: Workshop, export: Export, body: Body) -> None:
    """Put down its end. The row is read again: how far it came stands there."""
    with writing(shop.engine) as connection:
        row = exports.find(connection, export.id)
        if row is not None:
            exports.move(
                connection, export.id, row.done, row.total, packed(body), body.finished_at_ms or 0
            )
    shop.folder.remove(export.id)


class _Making:
    """One export in the making."""

    def __init__(self, shop: Workshop, export: Export) -> None:
        self._shop = shop
        self._export = export
        self._body = export.body
        self._wanted = export.body.wanted
        self._kind: Kind = KIND_OF[self._wanted.what]

    def run(self) -> None:
        shop, export = self._shop, self._export
        if shop.folder.free_bytes() < FREE_BYTES:
            _finish(shop, export, export.failed("no_room", "", shop.clock()))
            return
        with closing(self._opened()) as pieces:
            header = header_of(pieces)
            assert header is not None
            order = self._order(header.now_ms)
            if self._gather(order, header.steps, pieces):
                self._write(order, len(header.steps), pieces)

    def _opened(self) -> PieceLog:
        path = self._shop.folder.log(self._export.id)
        kept = PieceLog.resume(path)
        if kept is not None and header_of(kept) is not None:
            return kept
        if kept is not None:
            kept.close()
        now_ms = self._body.began_at_ms or self._shop.clock()
        steps = self._kind.steps(self._order(now_ms))
        return PieceLog.begin(path, msgspec.msgpack.encode(Header(self._export.id, now_ms, steps)))

    def _order(self, now_ms: int) -> Order:
        with reading(self._shop.engine) as connection:
            directory = read_directory(connection, now_ms)
        source = Source(self._shop.engine, self._export.scope, directory, now_ms)
        return Order(source, self._wanted, self._shop.fonts)

    def _gather(self, order: Order, steps: list[Step], pieces: PieceLog) -> bool:
        """Append what is missing; False: the process is to end first."""
        total = len(steps) + 1
        self._tell(pieces.count, total)
        kept_s = time.monotonic()
        for step in steps[pieces.count :]:
            if self._shop.is_over():
                pieces.keep()
                return False
            pieces.add(self._kind.piece(order, step))
            if pieces.size_bytes > MOST_BYTES:
                raise TooLarge(f"> {MOST_BYTES // 1024**2} MB")
            if time.monotonic() - kept_s >= self._shop.keep_every_s:
                pieces.keep()
                failpoint("O4")
                self._body = replace(self._body, tries=0)
                self._tell(pieces.count, total)
                kept_s = time.monotonic()
        pieces.keep()
        self._tell(pieces.count, total)
        return True

    def _write(self, order: Order, steps: int, pieces: PieceLog) -> None:
        folder, id_ = self._shop.folder, self._export.id
        partial, target = folder.partial(id_), folder.file(id_)
        with partial.open("w+b") as file:
            self._kind.write(order, pieces.pieces, cast(IO[bytes], Bounded(file)))
            file.flush()
            os.fsync(file.fileno())
            sha256, size_bytes = _hashed(file)
        failpoint("O5")
        partial.replace(target)
        self._body = replace(
            self._body,
            state=State.DONE,
            tries=0,
            finished_at_ms=self._shop.clock(),
            sha256=sha256,
            size_bytes=size_bytes,
        )
        self._tell(steps + 1, steps + 1)
        folder.log(id_).unlink(missing_ok=True)
        log.info(
            "export_made", what=self._wanted.what, format=self._wanted.format, bytes=size_bytes
        )

    def _tell(self, done: int, total: int) -> None:
        with writing(self._shop.engine) as connection:
            known = self._export.moved(connection, self._shop.clock(), done, total, self._body)
        if not known:
            raise CalledOff


def header_of(log: PieceLog) -> Header | None:
    """What the log is of; None for one of another version."""
    try:
        return msgspec.msgpack.decode(log.header, type=Header)
    except msgspec.MsgspecError:
        return None


class Bounded:
    """A file that takes no more than MOST_BYTES. Raises TooLarge."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        if self._file.tell() > MOST_BYTES:
            raise TooLarge(f"> {MOST_BYTES // 1024**2} MB")
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _hashed(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 and size of what was written."""
    file.seek(0)
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := file.read(HASH_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes
