"""Files for the registry: a preview, line by line; then, as it was shown or not at all, the import.

For operators. What a line says is wrong is told in both languages, with what to do.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Body, Query
from sqlalchemy import Connection
from starlette.responses import Response

from api import audited, shapes
from api.errors import Away, BadParameter, Moved, NotFound, Problem
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import print_instant, print_known
from api.paging import PageOf
from api.parts import Parts, PartsOf
from api.registry import BadEntry
from api.shapes import registry as shape
from api.words import Language, knows, say
from devices.audit import REPEATED
from devices.columns import DEVICES, heading
from devices.imports import Flaw, Line, Outcome, Rows
from devices.inventory import BadRegistry
from devices.inventory import Problem as Flawed
from devices.store import registry_imports
from devices.store.database import reading, writing
from devices.store.registry_files import UPLOADED, SpreadsheetsMissing, tables, template
from devices.store.registry_imports import Came, Import, Refusal, UnknownImport

ONLY = "import into the registry"
WAIT_S = 20.0  # for the one before: reading a workbook takes a core for some seconds
SOURCE_AT_MOST = 120
SUFFIXES = (".csv", ".xlsx")
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

router = APIRouter(prefix="/v1/registry", tags=["registry"], responses=shapes.refusals.PROBLEMS)

_one_at_a_time = threading.Lock()

Table = Literal["devices", "compounds", "firms"]
TableOf = Annotated[Table, Query()]
FileType = Literal["csv", "xlsx"]


@router.get("/template/{file_type}", response_class=Response)
def get_template(
    _: Reader,
    file_type: FileType,
    table: TableOf = "devices",
    language: shapes.basics.Language = "zh",
) -> Response:
    """An empty file with headings, to fill in; a workbook explains each column."""
    return template_answer(file_type, table, language)


@router.post("/imports", status_code=201, responses=shape.REFUSED)
def preview(
    parts: PartsOf,
    who: Actor,
    content: Annotated[bytes, Body(media_type="application/octet-stream")],
    source: Annotated[
        str, Query(max_length=200, description="The file's name: it ends in .csv or .xlsx.")
    ] = "devices.csv",
) -> shape.Import:
    """What this file would do. Nothing is written but the preview, which is kept for a day."""
    operators_only(who, ONLY)
    try:
        found = read(content, source)
    except BadRegistry as error:
        raise BadEntry(error) from error
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        return who.once.do(
            connection,
            now_ms,
            shape.Import,
            lambda: shape_import(made(connection, who, found, source, now_ms)),
        )


@router.get("/imports", responses=shapes.refusals.OPERATORS_SEE)
def list_imports(parts: PartsOf, who: Reader, page: PageOf) -> shape.Imports:
    """Imports and previews, the newest first."""
    operators_only(who, ONLY)
    with reading(parts.deps.engine) as connection:
        below = page.position[0] if page.position else None
        rows = registry_imports.list_imports(connection, below=below, limit=page.limit + 1)
    shown, cursor = page.split(rows, lambda row: [row.no])
    return shape.Imports(items=[shape_import(row) for row in shown], next_cursor=cursor)


@router.get("/imports/{registry_import}", responses=shapes.refusals.OPERATORS_SEE)
def get_import(parts: PartsOf, who: Reader, registry_import: str) -> shape.Import:
    """One of them."""
    operators_only(who, ONLY)
    with reading(parts.deps.engine) as connection:
        return shape_import(find(connection, registry_import))


@router.get("/imports/{registry_import}/lines", responses=shapes.refusals.OPERATORS_SEE)
def list_lines(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    registry_import: str,
    outcome: shape.LineOutcome | None = None,
) -> shape.ImportLines:
    """Its lines in the order of the file, and what becomes of each."""
    operators_only(who, ONLY)
    with reading(parts.deps.engine) as connection:
        find(connection, registry_import)
        rows = registry_imports.lines_of(
            connection,
            registry_import,
            None if outcome is None else Outcome(outcome),
            after=page.position[0] if page.position else 0,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda row: [row[0]])
    items = [_line(number, line) for number, line in shown]
    return shape.ImportLines(items=items, next_cursor=cursor)


@router.post("/imports/{registry_import}/apply", responses=shape.REFUSED)
def apply(
    parts: PartsOf, who: Actor, registry_import: str, body: shape.Confirmation
) -> shape.Import:
    """Do what was previewed under this digest: all of it, or nothing.

    409 where the registry changed so that it would do something else: the import then has a new
    preview, with a new digest. Applied already: nothing happens, and the answer is the same.
    """
    operators_only(who, ONLY)
    return _came(
        parts,
        lambda c: applied(c, who, registry_import, body.digest, parts.now_ms()),
    )


@router.post("/imports/{registry_import}/undo", responses=shape.REFUSED)
def undo(parts: PartsOf, who: Actor, registry_import: str) -> shape.Import:
    """Put back what it changed, and take out of service what it added. 409 where somebody changed
    any of that since: then nothing is done."""
    operators_only(who, ONLY)
    return _came(parts, lambda c: undone(c, who, registry_import, parts.now_ms()))


def read(content: bytes, source: str) -> dict[str, list[tuple[int, dict[str, str]]]]:
    """The rows of a file, one file at a time. Raises BadRegistry, BadParameter, Away."""
    suffix = PurePath(source).suffix.lower()
    if suffix not in SUFFIXES:
        what = f"{source[:80]!r} does not end in {', '.join(SUFFIXES)}"
        raise BadRegistry([Flawed("", what, "file_type")])
    with _turn():
        try:
            found = tables(content, suffix, UPLOADED)
        except SpreadsheetsMissing as error:
            raise BadParameter("source", str(error)) from error
    if not any(found.values()):
        raise BadRegistry([Flawed("", "has no lines below the headings", "file_no_lines")])
    return {table: [(line, dict(row)) for line, row in rows] for table, rows in found.items()}


def made(
    connection: Connection,
    who: Identity,
    found: dict[str, list[tuple[int, dict[str, str]]]],
    source: str,
    now_ms: int,
) -> Import:
    """A preview, recorded."""
    name = PurePath(source.replace("\\", "/")).name[:SOURCE_AT_MOST]
    rows: dict[str, Rows] = dict(found.items())
    preview = registry_imports.preview(connection, rows, name, who.name, now_ms)
    audited.about(preview.id, source=name, **_counts(preview))
    return preview


def applied(
    connection: Connection, who: Identity, import_id: str, digest: str, now_ms: int
) -> Came:
    """Raises UnknownImport. Recorded, also as what it is when nothing was done."""
    came = registry_imports.apply(connection, import_id, digest, who.name, now_ms)
    _record(came)
    return came


def undone(connection: Connection, who: Identity, import_id: str, now_ms: int) -> Came:
    came = registry_imports.undo(connection, import_id, who.name, now_ms)
    _record(came)
    return came


def find(connection: Connection, import_id: str) -> Import:
    try:
        return registry_imports.find(connection, import_id)
    except UnknownImport as error:
        raise NotFound from error


def template_answer(file_type: FileType, table: str, language: Language) -> Response:
    try:
        with _turn():
            content = template(f".{file_type}", table, language)
    except SpreadsheetsMissing as error:
        raise BadParameter("file_type", str(error)) from error
    name = f"courtyard-{table}.{file_type}"
    return Response(
        content,
        media_type=MEDIA_TYPES[file_type],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def flaw_text(language: Language, table: str, flaw: Flaw | Flawed) -> str:
    """What is wrong and what to do, for people."""
    word = f"rw_{flaw.word}"
    if table != DEVICES and knows(f"{word}_of_places"):  # they have no attributes
        word = f"{word}_of_places"
    if not flaw.word or not knows(word):
        return flaw.what
    values: dict[str, object] = dict(flaw.values)
    if "column" in values:
        values["column"] = heading(table, str(values["column"]), language)
    if isinstance(flaw, Flaw):
        values["value"] = flaw.value
    return say(language, word, **values) if values else say(language, word)


def shape_import(made: Import) -> shape.Import:
    return shape.Import(
        id=made.id,
        source=made.source,
        state=made.state.value,
        digest=made.digest,
        **_counts(made),
        made_at=print_instant(made.made_at_ms),
        made_by=made.made_by,
        applied_at=print_known(made.applied_at_ms),
        applied_by=made.applied_by,
        undone_at=print_known(made.undone_at_ms),
        undone_by=made.undone_by,
    )


def _counts(made: Import) -> dict[str, int]:
    return {outcome.value: getattr(made, outcome.value) for outcome in Outcome}


def _record(came: Came) -> None:
    audited.about(came.made.id, source=came.made.source, **_counts(came.made))
    if came.refusal is not None:
        audited.came_out(f"refused 409 {came.refusal}"[:32])
    elif not came.is_news:
        audited.came_out(REPEATED)


def _came(parts: Parts, action: Callable[[Connection], Came]) -> shape.Import:
    try:
        with writing(parts.deps.engine) as connection:
            came = action(connection)
    except UnknownImport as error:
        raise NotFound from error
    finally:
        parts.registry.look_again()
    if came.refusal is not None:
        raise refusal(came.refusal, came.names, shape_import(came.made))
    return shape_import(came.made)


def refusal(why: Refusal, names: Sequence[str], now: shape.Import) -> Problem:
    """Why nothing was done, with the import as it is."""
    text = say("en", f"ri_refused_{why}")
    named = f" {', '.join(names[:20])}" if names else ""
    return Moved(f"{text}{named}", {"import": now.model_dump(mode="json"), "reason": why.value})


def _line(number: int, line: Line) -> shape.ImportLine:
    return shape.ImportLine(
        number=number,
        table=cast(Table, line.table),
        line=line.line,
        id=line.id,
        outcome=line.outcome.value,
        changes=[
            shape.LineChange(field=one.field, before=one.before, after=one.after)
            for one in line.changes
        ],
        problems=[
            shape.LineProblem(
                column=flaw.column,
                value=flaw.value,
                what=shapes.basics.Words(
                    zh=flaw_text("zh", line.table, flaw), en=flaw_text("en", line.table, flaw)
                ),
            )
            for flaw in line.flaws
        ],
        ports=line.ports,
    )


@contextmanager
def _turn() -> Iterator[None]:
    if not _one_at_a_time.acquire(timeout=WAIT_S):
        raise Away("Another file is being read; try again.")
    try:
        yield
    finally:
        _one_at_a_time.release()
