"""`courtyard report`: a month of a compound or a firm, as a file that is complete or not there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Literal

from api.errors import Problem
from api.reports import pdf, xlsx
from api.reports.fonts import ReportsUnusable, find_font
from api.reports.gather import NothingToReport, Source, report_of_compound, report_of_firm
from api.reports.model import BadMonth, Month, Report
from api.words import Language
from courtyard.backup import Steps
from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.store.compounds import read_directory
from devices.store.database import reading
from devices.store.scope import DISTRICT

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
        report = _gathered(settings, wanted, month, tell)
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
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror or error}") from error
    return f"{out}: {_told(report)}"


def _gathered(settings: Settings, wanted: Wanted, month: Month, tell: Tell) -> Report:
    engine = open_operational(settings)
    try:
        at_ms = now_ms()
        with reading(engine) as connection:
            directory = read_directory(connection, at_ms)
        source = Source(engine, DISTRICT, directory, at_ms)
        if wanted.compound is not None:
            return report_of_compound(source, wanted.compound, month)
        assert wanted.firm is not None
        steps = Steps(tell)
        return report_of_firm(
            source,
            wanted.firm,
            month,
            progress=lambda done, total: steps("compounds read", done, total),
        )
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
