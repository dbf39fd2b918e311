"""The maintenance calendar by month or week, one window, and making one by picking.

Days are the district's. Works without scripts: each step is a page of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, compounds, maintenance, shapes
from api.compounds import judge_is_blind
from api.console.maintenance_pages import WindowLine, window_line
from api.console.naming import fault_name
from api.console.pages import Page, PageOf
from api.devices import check_kind
from api.errors import BadParameter, Moved, NotFound
from api.identity import Actor, Identity, Reader, Role
from api.instants import DISTRICT_ZONE, print_instant, when
from api.parts import Parts, PartsOf
from api.words import named
from devices.days import began, local_date
from devices.kinds import KINDS
from devices.maintenance import Phase, Window
from devices.registry import Name
from devices.store.database import reading, writing
from devices.store.devices import Filter as DeviceFilter
from devices.store.devices import device_names, list_devices
from devices.store.maintenance import UnknownWindow, find_window, windows_between

WINDOWS_SHOWN = 300
IN_A_DAY = {"month": 4, "week": 20}  # windows in the field of a day
DEVICES_SHOWN = 400  # the largest compound has some 110
YEARS = (2000, 2100)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A window in the field of a day. time: of its beginning there, or that it goes on."""

    id: str
    phase: str
    phase_word: str
    time: str
    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class Day:
    """A field of the calendar. is_other: of another month. new: where a window of it is made."""

    number: str
    told: str
    is_today: bool
    is_other: bool
    entries: Sequence[Entry]
    more: int
    new: str


@router.get("/maintenance/calendar")
def calendar_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    view: Annotated[str, Query(pattern="^(month|week)$")] = "month",
    on: Annotated[str, Query(max_length=10, description="A day in it.")] = "",
    compound: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """A month or a week, with the windows of each day."""
    now_ms = parts.now_ms()
    today = local_date(now_ms, DISTRICT_ZONE)
    day = _day(on, today)
    first, last = _span(view, day)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        if compound:
            compounds.find(known, who, compound)
        found = windows_between(
            connection,
            who.scope,
            began(first, DISTRICT_ZONE),
            began(last + timedelta(days=1), DISTRICT_ZONE),
            compound=compound or None,
            limit=WINDOWS_SHOWN + 1,
        )
        names = _names(connection, who, found)
    lines = [
        (window, window_line(known, names, page.language, window, now_ms))
        for window in found[:WINDOWS_SHOWN]
    ]
    may_act = who.role in (Role.OPERATOR, Role.FIRM)
    days = [
        _field(page, one, day, today, view, lines, compound if may_act else None)
        for n in range((last - first).days + 1)
        for one in (first + timedelta(days=n),)
    ]
    before, after = _steps(view, day)
    what = page.say(f"mc_of_{view}")
    return page.render(
        "maintenance_calendar.html",
        who=who,
        view=view,
        views=[
            (page.say(f"mc_{one}"), page.address(view=one, on=str(day)), one == view)
            for one in ("month", "week")
        ],
        title=_title(page, view, day, first, last),
        weeks=[days[n : n + 7] for n in range(0, len(days), 7)],
        weekdays=page.say("mc_days").split(),
        before=(page.say("mc_before", what=what), page.address(on=str(before))),
        after=(page.say("mc_after", what=what), page.address(on=str(after))),
        today=page.address(on=str(today)),
        compounds=[
            (entry.id, named(page.language, entry.name))
            for entry in known.directory.visible(who.scope)
        ],
        compound=compound,
        on=str(day),
        is_empty=not found,
        cut=WINDOWS_SHOWN if len(found) > WINDOWS_SHOWN else 0,
        may_act=may_act,
    )


@router.get("/maintenance/new")
def new_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: Annotated[str, Query(max_length=63)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
    on: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """A window by picking: where, which devices, when."""
    now_ms = parts.now_ms()
    if kind:
        check_kind(kind)
    found = []
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        if compound:
            compounds.find(known, who, compound)
            found = list_devices(
                connection,
                who.scope,
                DeviceFilter(compound=compound, kind=kind or None),
                blind=judge_is_blind(connection, now_ms),
                now_ms=now_ms,
                limit=DEVICES_SHOWN,
            )
    starts, ends = _proposed(on, now_ms)
    return page.render(
        "maintenance_new.html",
        who=who,
        may_act=who.role in (Role.OPERATOR, Role.FIRM),
        compounds=[
            (entry.id, named(page.language, entry.name))
            for entry in known.directory.visible(who.scope)
        ],
        kinds=[(name, named(page.language, Name(of.zh, of.en))) for name, of in KINDS.items()],
        compound=compound,
        kind=kind,
        on=on,
        devices=[
            (one.id, one.name, " ".join(filter(None, (one.building, one.unit)))) for one in found
        ],
        starts=starts,
        ends=ends,
        needs_compound=not who.scope.is_district,
    )


@router.get("/maintenance/{window}")
def window_page(parts: PartsOf, who: Reader, page: PageOf, window: str) -> Response:
    """One window, with what can be done about it."""
    return _window(parts, who, page, window)


@router.post("/maintenance/{window}/resume")
def resume(parts: PartsOf, who: Actor, page: PageOf, window: str) -> Response:
    """Undo an early end: another window with the same scope, until the planned end."""
    now_ms = parts.now_ms()
    try:
        with writing(parts.deps.engine) as connection:
            found = find_window(connection, who.scope, window)
            if not _may_resume(found, now_ms):
                raise Moved(page.say("mc_resume_late"))
            body = shapes.faults.NewWindow(
                compound=found.compound,
                kind=found.kind,
                devices=list(found.devices),
                codes=list(found.codes),
                ends_at=print_instant(found.ends_at_ms),
                starts_at=print_instant(max(found.starts_at_ms, now_ms)),
                reason=found.reason,
                owner=found.owner,
            )
            made = maintenance.make(connection, parts, who, body, now_ms)
            audited.about(made.id, resumed=window)
    except UnknownWindow as error:
        raise NotFound from error
    except (Moved, BadParameter) as error:
        return _window(parts, who, page, window, status=error.status, notice=error.detail)
    return RedirectResponse(f"/maintenance/{made.id}", 303)


def _window(
    parts: Parts, who: Identity, page: Page, window: str, *, status: int = 200, notice: str = ""
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        try:
            found = find_window(connection, who.scope, window)
        except UnknownWindow as error:
            raise NotFound from error
        names = device_names(connection, who.scope, set(found.devices))
    line = window_line(
        known, {id_: name for id_, (name, _, _) in names.items()}, page.language, found, now_ms
    )
    planned = ""
    if found.ended_at_ms is not None:
        planned = when(found.ends_at_ms, now_ms)
    return page.render(
        "maintenance_window.html",
        status,
        who=who,
        line=line,
        title=page.say("mc_window", scope=" · ".join(line.scope)),
        devices=[(id_, names[id_][0] if id_ in names else id_) for id_ in found.devices],
        codes=[(code, fault_name(page.language, code)) for code in found.codes],
        planned=planned,
        is_planned=found.phase(now_ms) is Phase.PLANNED,
        may_act=who.role in (Role.OPERATOR, Role.FIRM),
        may_resume=_may_resume(found, now_ms),
        on=str(local_date(found.starts_at_ms, DISTRICT_ZONE)),
        notice=notice,
    )


def _may_resume(window: Window, now_ms: int) -> bool:
    return window.ended_at_ms is not None and now_ms < window.ends_at_ms


def _names(connection: Connection, who: Identity, windows: Sequence[Window]) -> dict[str, str]:
    ids = {device for window in windows for device in window.devices[:3]}
    return {id_: name for id_, (name, _, _) in device_names(connection, who.scope, ids).items()}


def _field(
    page: Page,
    one: date,
    day: date,
    today: date,
    view: str,
    lines: Sequence[tuple[Window, WindowLine]],
    compound: str | None,
) -> Day:
    """compound: what the calendar is narrowed to; None for who may make no window."""
    begins_ms = began(one, DISTRICT_ZONE)
    ends_ms = began(one + timedelta(days=1), DISTRICT_ZONE)
    entries = [
        Entry(
            id=window.id,
            phase=line.phase,
            phase_word=line.phase_word,
            time=_time(page, window, begins_ms, ends_ms),
            scope=" · ".join(line.scope),
            reason=line.reason,
        )
        for window, line in lines
        if window.starts_at_ms < ends_ms and window.over_at_ms > begins_ms
    ]
    new = ""
    if compound is not None and one >= today:
        query = [("on", str(one)), *([("compound", compound)] if compound else [])]
        new = f"/maintenance/new?{urlencode(query)}"
    most = IN_A_DAY[view]
    return Day(
        number=str(one.day),
        told=f"{one:%m-%d}",
        is_today=one == today,
        is_other=view == "month" and one.month != day.month,
        entries=entries[:most],
        more=max(0, len(entries) - most),
        new=new,
    )


def _time(page: Page, window: Window, begins_ms: int, ends_ms: int) -> str:
    """When it begins and ends on this day."""
    starts = "" if window.starts_at_ms < begins_ms else _clock(window.starts_at_ms)
    ends = "" if window.over_at_ms >= ends_ms else _clock(window.over_at_ms)
    if not starts and not ends:
        return page.say("mc_all_day")
    return f"{starts or '…'}–{ends or '…'}"


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, DISTRICT_ZONE):%H:%M}"


def _day(text: str, today: date) -> date:
    """Raises BadParameter."""
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadParameter("on", f"{text!r} is no day like {today}") from error
    if not YEARS[0] <= day.year < YEARS[1]:
        raise BadParameter("on", f"{text} is not between {YEARS[0]} and {YEARS[1]}")
    return day


def _span(view: str, day: date) -> tuple[date, date]:
    """First and last day shown: whole weeks from Monday."""
    if view == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=6)
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    last = following - timedelta(days=1)
    return first - timedelta(days=first.weekday()), last + timedelta(days=6 - last.weekday())


def _steps(view: str, day: date) -> tuple[date, date]:
    """A day in the month or week before, and in the one after."""
    if view == "week":
        return day - timedelta(days=7), day + timedelta(days=7)
    first = day.replace(day=1)
    return first - timedelta(days=1), first + timedelta(days=32)


def _title(page: Page, view: str, day: date, first: date, last: date) -> str:
    if view == "week":
        return page.say("mc_week_of", first=f"{first:%m-%d}", last=f"{last:%m-%d}")
    return page.say("mc_month_of", year=day.year, month=day.month)


def _proposed(on: str, now_ms: int) -> tuple[str, str]:
    """Begin and end that a form offers: from eight to six of that day, or from the next hour on."""
    now = datetime.fromtimestamp(now_ms / 1000, DISTRICT_ZONE)
    day = _day(on, now.date())
    if day > now.date():
        return f"{day}T08:00", f"{day}T18:00"
    starts = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return f"{starts:%Y-%m-%dT%H:%M}", f"{starts + timedelta(hours=4):%Y-%m-%dT%H:%M}"
