"""The console's page of exports: what is asked for, how far it is, and the files."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api import audited, compounds, shapes
from api.console.naming import compound_name
from api.console.pages import Page, PageOf
from api.errors import Away, BadParameter, NotFound
from api.exports import model, routes
from api.exports.files import Folder
from api.exports.model import Export, State
from api.identity import Actor, Identity, Reader
from api.instants import when
from api.once import TooMany
from api.parts import Known, Parts, PartsOf
from api.reports.model import BadMonth, Month
from api.words import named
from devices.days import DISTRICT_ZONE, local_date
from devices.registry import Name
from devices.store.database import reading, writing

SHOWN = 50
MONTHS_BACK = 24

router = APIRouter(include_in_schema=False)

WordOf = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True, slots=True)
class ExportLine:
    """An export, in words. step: done of total, for a bar; 0 of 0 while that is not known."""

    id: str
    what: str
    whose: str
    span: str
    format: str
    state: str
    state_word: str
    done: int
    total: int
    told: str
    error: str
    size: str
    url: str
    by: str
    made: str
    expires: str
    is_unfinished: bool
    may_delete: bool


@router.get("/exports")
def exports_page(parts: PartsOf, who: Reader, page: PageOf) -> Response:
    """What was asked for and what can be."""
    return _page(parts, who, page)


@router.get("/parts/exports")
def exports_part(parts: PartsOf, who: Reader, page: PageOf) -> Response:
    """What of that page changes, for the script that keeps it up to date."""
    return page.render("exports_list.html", who=who, rows=_rows(parts, who, page)[0])


@router.post("/exports")
def make(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    what: WordOf = "report",
    whose: WordOf = "",
    month: WordOf = "",
    start: Annotated[str, Form(alias="from", max_length=40)] = "",
    end: Annotated[str, Form(alias="to", max_length=40)] = "",
    bucket: WordOf = "",
    language: WordOf = "",
    format_: Annotated[str, Form(alias="format", max_length=10)] = "",
) -> Response:
    """A new one; what it cannot be is told on the page, with what was written."""
    written = {
        "what": what, "whose": whose, "month": month, "from": start, "to": end,
        "bucket": bucket, "language": language, "format": format_,
    }  # fmt: skip
    kind, _, id_ = whose.partition("/")
    now_ms = parts.now_ms()
    try:
        body = shapes.usage.NewExport.model_validate(
            {
                "what": what,
                "format": format_ or ("xlsx" if what == "report" else "csv"),
                "language": language or page.language,
                "compound": id_ if kind == "compound" else None,
                "firm": id_ if kind == "firm" else None,
                "month": month or None if what == "report" else None,
                "from": start or None if what != "report" else None,
                "to": _through(end) if what != "report" else None,
                "bucket": bucket or None if what == "usage" else None,
            }
        )
        makers = routes.exports_of(parts)
        place = Folder(makers.folder).place()
        with writing(parts.deps.engine) as connection:
            known = parts.registry.get(connection)
            audited.about(routes.begin(connection, known, who, place, body, now_ms).id)
    except ValidationError as error:
        first = error.errors()[0]
        notice = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        return _page(parts, who, page, status=422, notice=notice, written=written)
    except (BadParameter, TooMany, Away) as error:
        return _page(parts, who, page, status=error.status, notice=error.detail, written=written)
    makers.wake()
    return RedirectResponse("/exports", 303)


@router.post("/exports/{export}/delete")
def delete(parts: PartsOf, who: Actor, export: str) -> Response:
    """Called off, or thrown away."""
    routes.throw_away(parts, who, export)
    return RedirectResponse("/exports", 303)


@router.get("/exports/direct")
def direct(
    parts: PartsOf,
    who: Reader,
    whose: Annotated[str, Query(max_length=200)],
    month: Annotated[str, Query(max_length=10)],
    language: Literal["zh", "en"] = "zh",
    format_: Annotated[Literal["pdf", "xlsx"], Query(alias="format")] = "pdf",
) -> Response:
    """A report for who may not keep anything here: made while they wait."""
    kind, _, id_ = whose.partition("/")
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    if kind == "compound":
        compounds.find(known, who, id_)
    elif kind == "firm" and id_:
        compounds.check_firm(known.directory, who, id_)
    else:
        raise NotFound
    try:
        of = Month.parse(month)
    except BadMonth as error:
        raise BadParameter("month", str(error)) from error
    return RedirectResponse(f"/v1/reports/{kind}/{id_}/{of}.{format_}?language={language}", 303)


def may_make(who: Identity) -> bool:
    return routes.may_make(who)


def months(now_ms: int) -> list[str]:
    """Of which there can be a report, the newest that is over first, then the one that runs."""
    today = local_date(now_ms, DISTRICT_ZONE)
    number = today.year * 12 + today.month - 1
    found = [date((number - n) // 12, (number - n) % 12 + 1, 1) for n in range(MONTHS_BACK)]
    return [f"{month:%Y-%m}" for month in (found[1], found[0], *found[2:])]


def _through(end: str) -> str | None:
    """A range in a form ends with its last day; the API's ends where the next one begins."""
    if not end:
        return None
    try:
        last = date.fromisoformat(end)
    except ValueError:
        return end
    return str(date.fromordinal(last.toordinal() + 1))


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    *,
    status: int = 200,
    notice: str = "",
    written: Mapping[str, str] | None = None,
) -> Response:
    rows, known = _rows(parts, who, page)
    now_ms = parts.now_ms()
    language = page.language
    blank = {"what": "report", "whose": "", "month": "", "from": "", "to": "", "bucket": "day",
             "language": language, "format": ""}  # fmt: skip
    directory = known.directory
    firms = [
        (f"firm/{id_}", _firm(page, name))
        for id_, name in directory.firms.items()
        if who.scope.firm in (None, id_)
    ]
    return page.render(
        "exports.html",
        status,
        who=who,
        rows=rows,
        may_make=may_make(who),
        firms=firms,
        compounds=[
            (f"compound/{entry.id}", named(language, entry.name))
            for entry in directory.visible(who.scope)
        ],
        months=months(now_ms),
        today=str(local_date(now_ms, DISTRICT_ZONE)),
        written=blank | dict(written or {}),
        notice=notice,
        as_of=when(now_ms, now_ms),
    )


def _rows(parts: Parts, who: Identity, page: Page) -> tuple[list[ExportLine], Known]:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    now_ms = parts.now_ms()
    found = routes.visible(parts, who)[:SHOWN]
    return [_line(page, known, one, now_ms, may_make(who)) for one in found], known


def _line(page: Page, known: Known, export: Export, now_ms: int, may_act: bool) -> ExportLine:
    body, wanted = export.body, export.body.wanted
    error = model.told(body)
    state = body.state
    is_done = state is State.DONE
    percent = 100 * export.done // max(1, export.total)
    told = ""
    if state is State.RUNNING and export.total > 1:
        told = page.say("ex_told", done=export.done, total=export.total, percent=percent)
    return ExportLine(
        id=export.id,
        what=page.say(f"ex_{wanted.what}"),
        whose=_whose(page, known, export),
        span=wanted.month or f"{_day(wanted.from_ms)} – {_day(wanted.to_ms - 1)}",
        format=f"{wanted.format.upper()} · {page.say('ex_in_' + wanted.language)}",
        state=state.value,
        state_word=page.say(f"ex_{state.value}"),
        done=export.done,
        total=export.total if state is State.RUNNING and export.total > 1 else 0,
        told=told,
        error="" if error is None else named(page.language, error),
        size=_size(body.size_bytes) if is_done else "",
        url=f"/v1/exports/{export.id}/file" if is_done else "",
        by=body.made_by,
        made=when(body.made_at_ms, now_ms),
        expires=when(export.expires_at_ms, None),
        is_unfinished=export.is_unfinished,
        may_delete=may_act,
    )


def _whose(page: Page, known: Known, export: Export) -> str:
    wanted = export.body.wanted
    if wanted.compound is not None:
        return compound_name(page.language, known.directory.compounds, wanted.compound)
    firm = known.directory.firms.get(wanted.firm or export.body.scope_firm or "")
    return page.say("whole_district") if firm is None else _firm(page, firm)


def _firm(page: Page, name: Name) -> str:
    return page.say("firm_name", name=named(page.language, name))


def _day(at_ms: int) -> str:
    return f"{local_date(at_ms, DISTRICT_ZONE):%Y-%m-%d}"


def _size(size_bytes: int | None) -> str:
    size = size_bytes or 0
    if size < 1_000_000:
        return f"{max(1, round(size / 1000))} kB"
    return f"{size / 1_000_000:.1f} MB"
