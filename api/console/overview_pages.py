"""The overview, and how faults are told in words.

They work without scripts; `live.js` keeps the overview up to date.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.compounds import check_firm
from api.console.live import Live, Shown
from api.console.naming import compound_name, fault_name
from api.console.overview import Order, OverviewCopy
from api.console.overview_parts import VIEW, OverviewParts, view_of
from api.console.pages import Page, PageOf
from api.console.usage_views import address
from api.identity import Identity, Reader
from api.instants import DISTRICT_ZONE, when
from api.parts import Known, PartsOf
from api.words import Language, duration, grouped, named, say
from devices import faults, telling
from devices.catalogue import RULES
from devices.faults import Fault
from devices.store.devices import device_names
from devices.telling import impact_line

router = APIRouter(include_in_schema=False)

FirmOf = Annotated[str | None, Query(description="Show only this firm's compounds.")]
SortOf = Annotated[Order, Query(description="How compounds are ordered on the board.")]


@router.get("/")
def overview(
    request: Request, who: Reader, page: PageOf, firm: FirmOf = None, sort: SortOf = "place"
) -> Response:
    """The district at a glance."""
    shown = _shown(request, who, page, firm, sort)
    parts: OverviewParts = request.app.state.overview_parts
    copy: OverviewCopy = request.app.state.overview
    look = copy.get(who.scope)
    return page.render(
        "overview.html",
        who=who,
        view=view_of(look, shown),
        board=parts.of(shown, look).part("board"),
        day=parts.day(shown),
        narrowed=partial(address, page),
    )


@router.get("/parts/overview")
def overview_parts(
    request: Request, who: Reader, page: PageOf, firm: FirmOf = None, sort: SortOf = "place"
) -> Response:
    """What of the first page changes, for the script that keeps it up to date."""
    shown = _shown(request, who, page, firm, sort)
    parts: OverviewParts = request.app.state.overview_parts
    return HTMLResponse(parts.whole(shown), headers={"Vary": "Accept-Language, Cookie"})


@router.get("/parts/overview/live")
def overview_live(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    firm: FirmOf = None,
    sort: SortOf = "place",
) -> Response:
    """The same, as it changes: server-sent events as `api.console.live` has them."""
    shown = _shown(request, who, page, firm, sort)
    live: Live = request.app.state.live
    render = partial(request.app.state.overview_parts.render, shown)
    return live.answer(request, parts, who, shown, render)


@dataclass(frozen=True, slots=True)
class Line:
    """A fault in a list, in words."""

    fault: str
    severity: str
    word: str
    name: str
    place: str
    compound: str | None
    device_id: str | None
    device: str
    state: str
    began: str
    age: str
    responsible: str
    firm: str
    assignee: str
    impact: str
    marks: tuple[str, ...]
    is_suppressed: bool


def _shown(request: Request, who: Identity, page: Page, firm: str | None, sort: Order) -> Shown:
    copy: OverviewCopy = request.app.state.overview
    check_firm(copy.get(who.scope).known.directory, who, firm)
    return Shown(VIEW, who.scope, page.language, firm, sort)


def fault_lines(
    connection: Connection,
    who: Identity,
    known: Known,
    language: Language,
    rows: list[Fault],
    now_ms: int,
) -> list[Line]:
    ids = {fault.device for fault in rows if fault.device is not None}
    names = device_names(connection, who.scope, ids)
    return [_line(known, names, language, fault, now_ms) for fault in rows]


def _line(
    known: Known,
    names: dict[str, tuple[str, str, str]],
    language: Language,
    fault: Fault,
    now_ms: int,
) -> Line:
    rule = RULES.get(fault.code)
    severity = "suspected" if fault.suspected else fault.severity.lower()
    state = say(language, f"s_{fault.state}")
    if fault.acknowledged_by is not None:
        state = say(language, "by_whom", state=state, who=fault.acknowledged_by)
    device = names[fault.device][0] if fault.device in names else ""
    if not device and fault.compound is not None:
        device = fault.device or say(language, "whole_compound")
    return Line(
        fault=fault.id,
        severity=severity,
        word=say(language, severity),
        name=fault_name(language, fault.code),
        place=compound_name(language, known.directory.compounds, fault.compound),
        compound=fault.compound,
        device_id=fault.device if fault.device in names else None,
        device=device,
        state=state,
        began=when(fault.since_ms, now_ms),
        age=duration(language, (now_ms - fault.since_ms) / 1000),
        responsible="" if rule is None else say(language, f"party_{rule.party}"),
        firm=_firm(known, language, fault.compound),
        assignee=fault.assignee or "",
        impact=impact_line(language, fault.impact),
        marks=_marks(language, fault, now_ms),
        is_suppressed=fault.suppressed_by is not None,
    )


def _firm(known: Known, language: Language, compound: str | None) -> str:
    entry = known.directory.compounds.get(compound or "")
    if entry is None:
        return ""
    return say(language, "firm_name", name=named(language, known.directory.firms[entry.firm]))


def _marks(language: Language, fault: Fault, now_ms: int) -> tuple[str, ...]:
    """What lies on top of a fault's state, in words."""
    marks: list[str] = []
    if fault.shelved_until_ms is not None:
        marks.append(say(language, "shelved_until", at=when(fault.shelved_until_ms, now_ms)))
    if fault.maintenance is not None:
        marks.append(say(language, "in_maintenance"))
    if fault.flaps:
        word = "flapping_n" if faults.is_flapping(fault) else "flapped_n"
        marks.append(say(language, word, n=grouped(fault.flaps)))
    if fault.repeat_of is not None:
        marks.append(say(language, "repeat"))
    if fault.repaired_at_ms is not None:
        marks.append(say(language, "h_repaired"))
    elif fault.onsite_at_ms is not None:
        marks.append(say(language, "h_onsite"))
    if fault.late:
        marks.append(say(language, "late_data"))
    return tuple(marks)


def evidence_lines(language: Language, fault: Fault) -> list[tuple[str, str]]:
    """What showed a fault, in words: name and value."""
    return telling.evidence_lines(language, fault.kind, fault.evidence, DISTRICT_ZONE)
