"""`courtyard report`: a month of a compound or a firm, as a file that is complete or not there.

What is read for it is kept beside it, as exports keep theirs: ended in between, the same command
goes on with it, if it is given again within KEPT_MS.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Literal

import msgspec
from sqlalchemy import Engine

from api.errors import Problem
from api.exports.kinds import Order, Reports
from api.exports.model import Wanted as Asked
from api.exports.pieces import PieceLog
from api.exports.work import KEEP_EVERY_S, Header, header_of
from api.reports import pdf, xlsx
from api.reports.fonts import ReportsUnusable, find_font
from api.reports.gather import NothingToReport, Source
from api.reports.model import BadMonth, Month, Report
from api.words import Language
from courtyard.backup import Steps
from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.store.compounds import read_directory
from devices.store.database import reading
from devices.store.failpoints import failpoint
from devices.store.scope import DISTRICT

KEPT_MS = 3_600_000

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; either a compound or a firm."""

    compound: str | None
    firm: str | None
    month: str
    language: Language
    format: Literal["pdf", "xlsx"]


def run_report(settings: Settings, wanted: Wanted, out: Path, *, force: bool, tell: Tell) -> str:
    """Writes the report; says what it is. Raises CommandError, and then leaves nothing behind."""
    try:
        month = Month.parse(wanted.month)
    except BadMonth as error:
        raise UsageError(f"--month: {error}") from None
    _check_target(out, force=force)
    try:
        if wanted.format == "pdf":
            find_font(settings.fonts)  # before the database is read for nothing
        pieces = out.with_name(f".{out.name[:100]}.pieces")
        with _kept_if_ended(pieces):
            report = _gathered(settings, wanted, month, pieces, tell)
            with _aside(out) as partial:
                with partial.open("xb") as file:
                    if wanted.format == "pdf":
                        file.write(pdf.render(report, wanted.language, settings.fonts))
                    else:
                        xlsx.write(report, wanted.language, file)
                    file.flush()
                    os.fsync(file.fileno())
                _check_target(out, force=force)
                partial.replace(out)
    except ReportsUnusable as error:
        raise CommandError(str(error)) from error
    except BlockingIOError:
        raise CommandError(f"another `courtyard report` writes {out}: wait for it") from None
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror or error}") from error
    return f"{out}: {_told(report)}"


def _gathered(settings: Settings, wanted: Wanted, month: Month, pieces: Path, tell: Tell) -> Report:
    engine = open_operational(settings)
    try:
        asked = Asked("report", wanted.format, wanted.language, wanted.compound, wanted.firm,
                      str(month))  # fmt: skip
        kind = Reports()
        with closing(_opened(engine, kind, asked, pieces, tell)) as log:
            header = header_of(log)
            assert header is not None
            order = _order(engine, asked, header.now_ms)
            steps, kept_s = Steps(tell), time.monotonic()
            for step in header.steps[log.count :]:
                log.add(kind.piece(order, step))
                failpoint("O6")
                steps("compounds read", log.count, len(header.steps))
                if time.monotonic() - kept_s >= KEEP_EVERY_S:
                    log.keep()
                    kept_s = time.monotonic()
            return kind.report_of(order, log.pieces)
    except NothingToReport:
        what, name = (
            ("firm", wanted.firm) if wanted.compound is None else ("compound", wanted.compound)
        )
        raise CommandError(
            f"there is no {what} {name!r}: `courtyard registry export FILE` shows which there are"
        ) from None
    except BadMonth as error:
        raise UsageError(f"--month: {error}") from None
    except Problem as error:
        raise CommandError(error.detail) from error
    finally:
        engine.dispose()


def _opened(engine: Engine, kind: Reports, asked: Asked, pieces: Path, tell: Tell) -> PieceLog:
    """What an earlier command has left of the same, or a new log."""
    of, at_ms = f"{asked.compound or asked.firm}/{asked.month}", now_ms()
    log = PieceLog.resume(pieces)
    if log is not None:
        header = header_of(log)
        if header is not None and header.export == of and 0 <= at_ms - header.now_ms <= KEPT_MS:
            tell(f"going on with {log.count} of {len(header.steps)} compounds, read before")
            return log
        log.close()
    steps = kind.steps(_order(engine, asked, at_ms))
    return PieceLog.begin(pieces, msgspec.msgpack.encode(Header(of, at_ms, steps)))


def _order(engine: Engine, asked: Asked, at_ms: int) -> Order:
    with reading(engine) as connection:
        directory = read_directory(connection, at_ms)
    return Order(Source(engine, DISTRICT, directory, at_ms), asked)


@contextmanager
def _kept_if_ended(pieces: Path) -> Iterator[None]:
    """Takes the log away, unless the process is ended meanwhile."""
    try:
        yield
    except BlockingIOError:  # it is another command's
        raise
    except Exception:
        pieces.unlink(missing_ok=True)
        raise
    pieces.unlink(missing_ok=True)


def _told(report: Report) -> str:
    """What is in it, in one line."""
    coverage = report.total.coverage
    share = "no data expected" if coverage is None else f"{coverage:.1%} of the expected data"
    compounds = f", {len(report.compounds)} compounds" if report.subject == "firm" else ""
    return (
        f"{report.month} of {report.id}{compounds}, {report.total.status.value}, {share},"
        f" {report.faults.total} faults"
    )


def _check_target(out: Path, *, force: bool) -> None:
    if out.is_dir():
        raise CommandError(f"{out} is a directory: name a file for the report")
    if not out.parent.is_dir():
        raise CommandError(f"{out.parent} is no directory: make it first")
    if not force and (out.exists() or out.is_symlink()):
        raise CommandError(f"{out} exists already: name a new file, or say --force")


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A name beside it for what is not complete; nothing is left there at the end."""
    partial = out.with_name(f".{out.name[:100]}.{token_hex(4)}.partial")
    try:
        yield partial
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
