"""The overview and the page of a compound, and how faults are told in words.

They work without scripts; a small one keeps the overview up to date.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api import charging_pages, compounds, export_pages, usage_views
from api.compounds import check_firm, counted, judge_is_blind
from api.identity import Identity, Reader
from api.instants import DISTRICT_ZONE, when
from api.live import Live, Shown
from api.overview import OverviewCopy, View, compound_name, fault_name
from api.overview_parts import VIEW, OverviewParts
from api.pages import Page, PageOf
from api.parts import Known, PartsOf
from api.words import Language, duration, grouped, knows, named, say
from devices import faults, telling
from devices.catalogue import RULES
from devices.faults import Fault
from devices.kinds import KINDS
from devices.registry import Name
from devices.store.compounds import States, device_states
from devices.store.database import reading
from devices.store.devices import Filter as DeviceFilter
from devices.store.devices import Standing, device_names, list_devices
from devices.store.faults import Filter, list_faults
from devices.store.sessions import Filter as Sessions
from devices.store.sessions import list_sessions
from devices.telling import impact_line, quantity_name, unit_of, value_text

DEVICES_SHOWN = 400  # the largest compound has some 110
OPEN_SHOWN = 50

router = APIRouter(include_in_schema=False)

FirmOf = Annotated[str | None, Query(description="Show only this firm's compounds.")]


@router.get("/")
def overview(request: Request, who: Reader, page: PageOf, firm: FirmOf = None) -> Response:
    """The district at a glance."""
    return page.render("overview.html", who=who, view=_view(request, who, page, firm))


@router.get("/parts/overview")
def overview_parts(request: Request, who: Reader, page: PageOf, firm: FirmOf = None) -> Response:
    """What of the first page changes, for the script that keeps it up to date."""
    shown = _shown(request, who, page, firm)
    parts: OverviewParts = request.app.state.overview_parts
    return HTMLResponse(parts.whole(shown), headers={"Vary": "Accept-Language, Cookie"})


@router.get("/parts/overview/live")
def overview_live(
    request: Request, parts: PartsOf, who: Reader, page: PageOf, firm: FirmOf = None
) -> Response:
    """The same, as it changes: server-sent events as `api.live` has them."""
    shown = _shown(request, who, page, firm)
    live: Live = request.app.state.live
    render = partial(request.app.state.overview_parts.render, shown)
    return live.answer(request, parts, who, shown, render)


@router.get("/compounds/{compound}")
def compound_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    bucket: usage_views.BucketOf = "day",
    until: usage_views.UntilOf = "",
) -> Response:
    """One compound: figures, open faults, usage, charging, devices."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        entry = compounds.find(known, who, compound)
        blind = judge_is_blind(connection, now_ms)
        states = device_states(connection, who.scope, compound)
        wanted = Filter(compound=compound, is_open=True)
        rows = list_faults(connection, who.scope, wanted, limit=OPEN_SHOWN)
        lines = fault_lines(connection, who, known, page.language, rows, now_ms)
        devices = list_devices(
            connection,
            who.scope,
            DeviceFilter(compound=compound),
            blind=blind,
            now_ms=now_ms,
            limit=DEVICES_SHOWN + 1,
        )
        charged: list[charging_pages.SessionLine] = []
        if entry.devices.get("port"):
            newest = list_sessions(
                connection, who.scope, Sessions(compound), limit=charging_pages.NEWEST_SHOWN
            )
            charged = charging_pages.session_lines(connection, who, page.language, newest, now_ms)
    usage = usage_views.of_compound(
        page, parts.deps.engine, who.scope, entry, bucket, until, now_ms
    )
    if usage is not None and blind:
        usage.notices.append(page.say("u_stale"))
    figures = [
        (
            named(page.language, Name(KINDS[kind].zh, KINDS[kind].en)),
            counted(entry, kind, states.get((compound, kind), States()), blind),
            sum(one.kind == kind and one.reason == "asleep" for one in devices),
        )
        for kind in KINDS
        if entry.devices.get(kind)
    ]
    order = list(KINDS)
    devices.sort(key=lambda standing: (order.index(standing.kind), standing.id))
    return page.render(
        "compound.html",
        who=who,
        name=named(page.language, entry.name),
        entry=entry,
        firm=named(page.language, known.directory.firms[entry.firm]),
        figures=figures,
        lines=lines,
        devices=[_device(page.language, standing, now_ms) for standing in devices[:DEVICES_SHOWN]],
        is_cut=len(devices) > DEVICES_SHOWN,
        most=DEVICES_SHOWN,
        usage=usage,
        summing=0,
        charged=charged,
        months=export_pages.months(now_ms),
        may_make=export_pages.may_make(who),
        as_of=when(now_ms, now_ms),
    )


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


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device in a list, in words."""

    id: str
    kind: str
    name: str
    place: str
    state: str
    state_word: str
    reason: str
    seen: str
    values: tuple[str, ...]


def _view(request: Request, who: Identity, page: Page, firm: str | None) -> View:
    copy: OverviewCopy = request.app.state.overview
    look = copy.get(who.scope)
    check_firm(look.known.directory, who, firm)
    return View(look, page.language, firm)


def _shown(request: Request, who: Identity, page: Page, firm: str | None) -> Shown:
    copy: OverviewCopy = request.app.state.overview
    check_firm(copy.get(who.scope).known.directory, who, firm)
    return Shown(VIEW, who.scope, page.language, firm)


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


def _device(language: Language, standing: Standing, now_ms: int) -> DeviceLine:
    kind = KINDS[standing.kind]
    reason = f"r_{standing.reason}"
    seen = say(language, "never")
    if standing.last_seen_ms is not None:
        age = duration(language, (now_ms - standing.last_seen_ms) / 1000)
        seen = say(language, "ago", age=age)
    return DeviceLine(
        id=standing.id,
        kind=named(language, Name(kind.zh, kind.en)),
        name=standing.name,
        place=" ".join(part for part in (standing.building, standing.unit) if part),
        state=standing.state,
        state_word=say(language, f"d_{standing.state}"),
        reason=say(language, reason) if standing.state != "online" and knows(reason) else "",
        seen=seen,
        values=tuple(
            f"{quantity_name(language, standing.kind, name)} "
            f"{value_text(language, value, unit_of(standing.kind, name))}"
            for name, (value, _) in sorted(standing.latest.items())
        ),
    )


def evidence_lines(language: Language, fault: Fault) -> list[tuple[str, str]]:
    """What showed a fault, in words: name and value."""
    return telling.evidence_lines(language, fault.kind, fault.evidence, DISTRICT_ZONE)
