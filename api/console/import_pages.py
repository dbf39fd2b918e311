"""The console's pages of imports into the registry: a file, what it would do, the way back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, paging
from api.console.pages import Page, PageOf
from api.errors import Away, BadParameter, NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.registry_imports import (
    ONLY,
    FileType,
    TableOf,
    applied,
    find,
    flaw_text,
    made,
    read,
    template_answer,
    undone,
)
from api.words import grouped
from devices.columns import COLUMNS, COMPOUNDS, DEVICES, FIRMS, heading
from devices.imports import Line, Outcome
from devices.inventory import BadRegistry, Problem
from devices.store import registry_imports
from devices.store.database import reading, writing
from devices.store.registry_files import UPLOADED
from devices.store.registry_imports import Came, Import, State, UnknownImport
from devices.store.scope import DISTRICT

router = APIRouter(prefix="/administration", include_in_schema=False)

NAMED = 10  # devices in a sentence

WordOf = Annotated[str, Form(max_length=200)]
DoneOf = Annotated[str, Query(max_length=40)]


@router.get("/imports")
def imports_page(parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf) -> Response:
    """A file to read, templates, and what was imported."""
    operators_only(who, ONLY)
    return _list(parts, who, page, rows)


@router.get("/template/{file_type}")
def get_template(
    who: Reader,
    page: PageOf,
    file_type: FileType,
    table: TableOf = "devices",
) -> Response:
    """An empty file with headings in their language."""
    operators_only(who, ONLY)
    return template_answer(file_type, table, page.language)


@router.post("/imports")
def preview(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """What the file would do, on a page of its own; nothing is written to the registry."""
    operators_only(who, ONLY)
    if file is None or not file.filename:
        return _list(parts, who, page, rows, status=422, flaws=[page.say("ri_no_file")])
    try:
        found = read(file.file.read(UPLOADED.bytes + 1), file.filename)
    except BadRegistry as error:
        flaws = [_file_flaw(page, problem) for problem in error.problems[:50]]
        return _list(parts, who, page, rows, status=422, flaws=flaws, source=file.filename)
    except (BadParameter, Away) as error:
        return _list(parts, who, page, rows, status=error.status, flaws=[error.detail])
    with writing(parts.deps.engine) as connection:
        kept = made(connection, who, found, file.filename, parts.now_ms())
    return RedirectResponse(f"/administration/imports/{kept.id}", 303)


@router.get("/imports/{registry_import}")
def import_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    registry_import: str,
    outcome: Annotated[str, Query(pattern="^(|added|changed|unchanged|wrong)$")] = "",
    done: DoneOf = "",
) -> Response:
    """Line by line what it does, or did."""
    operators_only(who, ONLY)
    return _one(parts, who, page, rows, registry_import, outcome=outcome, done=done)


@router.post("/imports/{registry_import}/apply")
def apply(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    registry_import: str,
    digest: WordOf = "",
    sure: WordOf = "",
) -> Response:
    """Do what was shown."""
    operators_only(who, ONLY)
    if sure != "yes":
        return _unsure(parts, who, page, rows, registry_import)
    now_ms = parts.now_ms()
    return _came(
        parts,
        who,
        page,
        rows,
        registry_import,
        lambda connection: applied(connection, who, registry_import, digest, now_ms),
        "applied",
    )


@router.post("/imports/{registry_import}/undo")
def undo(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    registry_import: str,
    sure: WordOf = "",
) -> Response:
    """The way back."""
    operators_only(who, ONLY)
    if sure != "yes":
        return _unsure(parts, who, page, rows, registry_import)
    now_ms = parts.now_ms()
    return _came(
        parts,
        who,
        page,
        rows,
        registry_import,
        lambda connection: undone(connection, who, registry_import, now_ms),
        "undone",
    )


@router.post("/imports/{registry_import}/discard")
def discard(parts: PartsOf, who: Actor, registry_import: str) -> Response:
    """Forget a preview; the registry is as it was."""
    operators_only(who, ONLY)
    try:
        with writing(parts.deps.engine) as connection:
            registry_imports.discard(connection, registry_import)
            audited.about(registry_import)
    except UnknownImport as error:
        raise NotFound from error
    return RedirectResponse("/administration/imports", 303)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """An import in the list, in words."""

    id: str
    source: str
    state: str
    state_word: str
    counts: str
    made: str
    by: str
    then: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line of a file, in words. told: what changes, or what is wrong."""

    at: str
    id: str
    outcome: str
    outcome_word: str
    changes: tuple[tuple[str, str, str], ...]
    flaws: tuple[tuple[str, str, str], ...]
    ports: str
    address: str


def _list(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    status: int = 200,
    flaws: Sequence[str] = (),
    source: str = "",
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        below = rows.position[0] if rows.position else None
        found = registry_imports.list_imports(connection, below=below, limit=rows.limit + 1)
    shown, cursor = rows.split(found, lambda row: [row.no])
    return page.render(
        "registry_imports.html",
        status,
        who=who,
        imports=[_row(page, row, now_ms) for row in shown],
        older="" if cursor is None else page.address(cursor=cursor),
        flaws=flaws,
        source=source,
        most_lines=grouped(UPLOADED.lines),
        columns=[
            (page.say(f"ri_table_{table}"), [
                (heading(table, name, page.language), name,
                 column.means_zh if page.language == "zh" else column.means_en, column.example)
                for name, column in columns.items()
            ])
            for table, columns in COLUMNS.items()
        ],
    )  # fmt: skip


def _one(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    import_id: str,
    *,
    outcome: str = "",
    status: int = 200,
    notice: str = "",
    names: Sequence[str] = (),
    done: str = "",
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = find(connection, import_id)
        lines = registry_imports.lines_of(
            connection,
            import_id,
            Outcome(outcome) if outcome else None,
            after=rows.position[0] if rows.position else 0,
            limit=rows.limit + 1,
        )
    shown, cursor = rows.split(lines, lambda row: [row[0]])
    counts = [(one.value, getattr(found, one.value)) for one in Outcome]
    return page.render(
        "registry_import.html",
        status,
        who=who,
        made=found,
        row=_row(page, found, now_ms),
        lines=[_line(page, line, found.state) for _, line in shown],
        counts=[(one, page.say(f"ri_{one}"), grouped(n)) for one, n in counts],
        total=grouped(sum(n for _, n in counts)),
        outcome=outcome,
        older="" if cursor is None else page.address(cursor=cursor),
        notice=notice,
        names=[(name, _table_of(known, name)) for name in names],
        done=page.say(f"ri_done_{done}") if done in ("applied", "undone") else "",
        may_apply=found.state is State.PREVIEWED and not found.wrong,
        has_news=bool(found.added or found.changed),
    )


def _table_of(known: Known, name: str) -> str:
    """Which pages of the registry have it."""
    if name in known.directory.firms:
        return FIRMS
    return COMPOUNDS if known.directory.find(DISTRICT, name) else DEVICES


def _row(page: Page, found: Import, now_ms: int) -> ImportRow:
    then = ""
    if found.undone_at_ms is not None:
        then = page.say("ri_undone_at", at=when(found.undone_at_ms, now_ms), who=found.undone_by)
    elif found.applied_at_ms is not None:
        then = page.say("ri_applied_at", at=when(found.applied_at_ms, now_ms), who=found.applied_by)
    counts = [
        f"{page.say(f'ri_{one.value}')} {grouped(getattr(found, one.value))}"
        for one in Outcome
        if getattr(found, one.value)
    ]
    return ImportRow(
        found.id,
        found.source,
        found.state.value,
        page.say(f"ri_state_{found.state.value}"),
        " · ".join(counts),
        when(found.made_at_ms, now_ms),
        found.made_by,
        then,
    )


def _line(page: Page, line: Line, state: State) -> LineRow:
    language = page.language
    is_there = line.id and (state is not State.PREVIEWED or line.outcome is not Outcome.ADDED)
    return LineRow(
        at=page.say(f"ri_at_{line.table}", line=line.line) if line.line else page.say("ri_at_file"),
        id=line.id,
        outcome=line.outcome.value,
        outcome_word=page.say(f"ri_{line.outcome.value}"),
        changes=tuple(
            (heading(line.table, one.field, language), one.before, one.after)
            for one in line.changes
        ),
        flaws=tuple(
            (
                heading(line.table, flaw.column, language) if flaw.column else "",
                flaw.value,
                flaw_text(language, line.table, flaw),
            )
            for flaw in line.flaws
        ),
        ports=page.say("ri_ports", n=line.ports) if line.ports else "",
        address=f"/administration/{line.table}/{line.id}"
        if is_there and line.outcome is not Outcome.WRONG
        else "",
    )


def _file_flaw(page: Page, problem: Problem) -> str:
    told = flaw_text(page.language, DEVICES, problem)
    at = problem.where.removeprefix("line ")
    return f"{page.say('ri_at_devices', line=at)}: {told}" if at.isdigit() else told


def _unsure(parts: Parts, who: Identity, page: Page, rows: paging.Page, import_id: str) -> Response:
    notice = page.say("us_not_sure")
    return _one(parts, who, page, rows, import_id, status=422, notice=notice)


def _came(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    import_id: str,
    action: Callable[[Connection], Came],
    done: str,
) -> Response:
    try:
        with writing(parts.deps.engine) as connection:
            came = action(connection)
    except UnknownImport as error:
        raise NotFound from error
    finally:
        parts.registry.look_again()
    if came.refusal is None:
        return RedirectResponse(f"/administration/imports/{import_id}?done={done}", 303)
    return _one(
        parts,
        who,
        page,
        rows,
        import_id,
        status=409,
        notice=page.say(f"ri_refused_{came.refusal}"),
        names=came.names[:NAMED],
    )
