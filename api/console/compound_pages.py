"""The page of a compound: what somebody who calls from there sees.

It works without scripts: its usage is a link then, which `section.js` puts in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api import compounds
from api.compounds import counted, judge_is_blind
from api.console import (
    availability_views,
    charging_pages,
    export_pages,
    places,
    site_plan,
    usage_views,
)
from api.console.calls import call
from api.console.last_day import LastDay
from api.console.overview import SEVERITIES, UP_KINDS, Figure
from api.console.overview_pages import Line, fault_lines
from api.console.pages import Page, PageOf
from api.console.places import Seen
from api.identity import Identity, Reader
from api.instants import when
from api.kpis import Reach, availability_of
from api.parts import Known, Parts, PartsOf
from api.reports.words import UNKNOWN
from api.usage import compound_csv
from api.words import duration, grouped, named, say
from devices.days import DAY_MS, midnight_of, zone_of
from devices.faults import Fault, State
from devices.store.compounds import Entry, States, device_states
from devices.store.database import reading
from devices.store.devices import Filter as DeviceFilter
from devices.store.devices import list_devices
from devices.store.faults import Filter, list_by_rank, list_faults
from devices.store.links import contacts
from devices.store.sessions import Filter as Sessions
from devices.store.sessions import list_sessions

CALLS_SHOWN = 2  # the others are in the registry
DEVICES_SHOWN = 400  # the largest compound has some 110
OPEN_MARKED = 200  # open faults that are looked at for the plan
OPEN_SHOWN, RECENT_SHOWN = 50, 8
RECENT_MS = 30 * DAY_MS

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Over:
    """A fault that is closed. lasted: from when it was raised until then."""

    fault: str
    severity: str
    word: str
    name: str
    device: str
    at: str
    lasted: str


@dataclass(frozen=True, slots=True)
class Faults:
    """open: as many as are looked at for the plan. lines: of the first of them; over: closed."""

    open: Sequence[Fault]
    lines: Sequence[Line]
    over: Sequence[Over]


class Picked(NamedTuple):
    """The range that an address asks for, of a compound and all that belongs to it."""

    bucket: usage_views.Bucket
    since: str
    until: str


def picked_range(
    bucket: usage_views.BucketOf = "day",
    since: usage_views.SinceOf = "",
    until: usage_views.UntilOf = "",
) -> Picked:
    return Picked(bucket, since, until)


PickedOf = Annotated[Picked, Depends(picked_range)]


@router.get("/compounds/{compound}")
def compound_page(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    picked: PickedOf,
) -> Response:
    """One compound: figures, open faults, plan, places, charging; its usage comes behind it."""
    now_ms = parts.now_ms()
    language = page.language
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        entry = compounds.find(known, who, compound)
        usage_views.asked_for(entry, *picked, now_ms)  # raises BadParameter
        blind = judge_is_blind(connection, now_ms)
        states = device_states(connection, who.scope, compound)
        faults = _faults(connection, page, who, known, compound, now_ms)
        standings = list_devices(
            connection,
            who.scope,
            DeviceFilter(compound=compound),
            blind=blind,
            now_ms=now_ms,
            limit=DEVICES_SHOWN + 1,
        )
        charged = _charged(connection, page, who, entry, now_ms)
        calls = [call(one) for one in contacts(connection, compound)][:CALLS_SHOWN]
    seen = places.seen(standings[:DEVICES_SHOWN], faults.open, now_ms)
    found = places.places(seen)
    return page.render(
        "compound.html",
        who=who,
        name=named(language, entry.name),
        entry=entry,
        firm=named(language, known.directory.firms[entry.firm]),
        figures=[
            *_figures(page, entry, seen, faults.open, states, blind, now_ms),
            *_passages(page, request.app.state.last_day, entry, now_ms),
        ],
        calls=calls,
        lines=faults.lines,
        more_open=max(0, len(faults.open) - len(faults.lines)),
        over=faults.over,
        plan=site_plan.plan_view(language, found),
        is_blind=blind,
        places=[places.place_line(language, place, now_ms) for place in found],
        device_note=say(
            language,
            "pl_note",
            n=grouped(len(seen)),
            lamps=grouped(entry.lamps),
            sockets=grouped(entry.devices.get("port", 0)),
        ),
        is_cut=len(standings) > DEVICES_SHOWN,
        most=DEVICES_SHOWN,
        usage_at=_behind(page, entry, "usage"),
        charged=charged,
        months=export_pages.months(now_ms),
        may_make=export_pages.may_make(who),
        as_of=when(now_ms, now_ms),
    )


def _faults(
    connection: Connection,
    page: Page,
    who: Identity,
    known: Known,
    compound: str,
    now_ms: int,
) -> Faults:
    wanted = Filter(compound=compound, is_open=True)
    rows = list_by_rank(connection, who.scope, wanted, limit=OPEN_MARKED)
    first = sorted(rows, key=_by_severity)[:OPEN_SHOWN]
    wanted = Filter(
        compound=compound, state=State.CLOSED, suppressed=False, from_ms=now_ms - RECENT_MS
    )
    over = list_faults(connection, who.scope, wanted, limit=RECENT_SHOWN)
    lines = fault_lines(connection, who, known, page.language, [*first, *over], now_ms)
    closed = zip(over, lines[len(first) :], strict=True)
    return Faults(
        rows, lines[: len(first)], [_over(page, fault, line, now_ms) for fault, line in closed]
    )


def _charged(
    connection: Connection, page: Page, who: Identity, entry: Entry, now_ms: int
) -> Sequence[charging_pages.SessionLine]:
    """The newest sessions, where there are sockets."""
    if not entry.devices.get("port"):
        return []
    newest = list_sessions(
        connection, who.scope, Sessions(entry.id), limit=charging_pages.NEWEST_SHOWN
    )
    return charging_pages.session_lines(connection, who, page.language, newest, now_ms)


@router.get("/compounds/{compound}/usage")
def compound_usage(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    picked: PickedOf,
) -> Response:
    """The usage of a compound, which its page has at its end."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        entry = compounds.find(known, who, compound)
        blind = judge_is_blind(connection, now_ms)
    bucket, since, until = picked
    usage = usage_views.of_compound(
        page, parts.deps.engine, who.scope, entry, bucket, until, now_ms, since=since
    )
    if usage is not None:
        usage.csv = _behind(page, entry, "usage.csv")
        if blind:
            usage.notices.append(page.say("u_stale"))
    return page.render(
        "compound_usage.html",
        who=who,
        name=named(page.language, entry.name),
        entry=entry,
        usage=usage,
        availability_at=_behind(page, entry, "availability"),
        summing=0,
    )


@router.get("/compounds/{compound}/availability")
def compound_availability(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    picked: PickedOf,
) -> Response:
    """Availability by kind of the time whose usage is shown, which stands with it."""
    asked, reach = _reach(parts, who, compound, picked)
    entry = reach.entry
    return page.render(
        "compound_availability.html",
        who=who,
        name=named(page.language, entry.name),
        entry=entry,
        range=usage_views.range_of(asked),
        availability=availability_views.view(page, reach, _behind(page, entry, "availability.csv")),
    )


@router.get("/compounds/{compound}/usage.csv")
def usage_csv(
    parts: PartsOf,
    who: Reader,
    compound: str,
    picked: PickedOf,
) -> Response:
    """The usage that the page shows, with all its figures."""
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
    asked = usage_views.asked_for(entry, *picked, parts.now_ms())
    return compound_csv(parts, who, entry, asked.starts, asked.to_ms)


@router.get("/compounds/{compound}/availability.csv")
def availability_csv(
    parts: PartsOf,
    who: Reader,
    compound: str,
    picked: PickedOf,
) -> Response:
    """The availability that the page shows, to the second, as the API has it."""
    return _reach(parts, who, compound, picked)[1].csv()


def _reach(
    parts: Parts, who: Identity, compound: str, picked: Picked
) -> tuple[usage_views.Spell, Reach]:
    """What was picked, and availability in it."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
    asked = usage_views.asked_for(entry, *picked, now_ms)
    engine, from_ms = parts.deps.engine, asked.starts[0]
    return asked, availability_of(engine, who.scope, entry, from_ms, asked.to_ms, now_ms)


def _behind(page: Page, entry: Entry, name: str) -> str:
    """The address of what belongs to this compound, for the same range."""
    path = page.request.url.path
    return usage_views.address(page).replace(path, f"/compounds/{entry.id}/{name}", 1)


def _by_severity(fault: Fault) -> tuple[bool, bool, str]:
    """What is explained by another one, and what is only suspected, comes last."""
    return fault.suppressed_by is not None, fault.suspected, fault.severity


def _figures(
    page: Page,
    entry: Entry,
    seen: Sequence[Seen],
    rows: Sequence[Fault],
    states: dict[tuple[str, str], States],
    blind: bool,
    now_ms: int,
) -> list[Figure]:
    language = page.language
    own = [fault for fault in rows if fault.suppressed_by is None and not fault.suspected]
    by_severity = say(language, "sep").join(
        say(language, f"n_{severity.lower()}", n=count)
        for severity in SEVERITIES
        if (count := sum(fault.severity == severity for fault in own))
    )
    found = [Figure(say(language, "cp_open"), grouped(len(own)), f" {by_severity}".rstrip())]
    total = online = unknown = 0
    for kind in UP_KINDS:
        if kind in entry.devices:
            counts = counted(entry, kind, states.get((entry.id, kind), States()), blind)
            total += counts["total"]
            online += counts["online"]
            unknown += counts["unknown"] + counts["never_seen"]
    if total:
        rest = say(language, "of_n", n=grouped(total))
        if unknown:
            rest += say(language, "and_unknown", n=grouped(unknown))
        value = "—" if unknown == total else grouped(online)
        found.append(Figure(say(language, "cp_networked"), value, rest))
    sockets = [one for one in seen if one.kind == "port"]
    if sockets:
        found.append(_counted(page, "charging_now", places.charging(sockets)))
    lamps = [one for one in seen if one.kind == "lamp"]
    if lamps:
        found.append(_counted(page, "lamps_lit", places.lit(lamps)))
    heard = [one.standing.last_seen_ms for one in seen if one.standing.last_seen_ms is not None]
    age = duration(language, max(0, now_ms - max(heard)) / 1000) if heard else ""
    found.append(
        Figure(
            say(language, "cp_seen"),
            say(language, "ago", age=age) if heard else say(language, "never"),
        )
    )
    return found


def _passages(page: Page, last_day: LastDay, entry: Entry, now_ms: int) -> list[Figure]:
    """Today's, as far as they are known."""
    if not entry.devices.get("gate"):
        return []
    hours = last_day.since(entry, midnight_of(now_ms, zone_of(entry.timezone))) or []
    known = [hour.passages for hour in hours if hour.passages is not None]
    value = grouped(round(sum(known))) if known else UNKNOWN
    return [Figure(page.say("cp_passages"), value, page.say("cp_times") if known else "")]


def _counted(page: Page, label: str, counts: places.Counted) -> Figure:
    rest = page.say("of_n", n=grouped(counts.of))
    if counts.asleep:
        rest += page.say("sep") + page.say("pl_asleep", n=grouped(counts.asleep))
    if counts.unknown:
        rest += page.say("and_unknown", n=grouped(counts.unknown))
    value = "—" if counts.unknown + counts.asleep == counts.of else grouped(counts.n)
    return Figure(page.say(label), value, rest)


def _over(page: Page, fault: Fault, line: Line, now_ms: int) -> Over:
    end_ms = fault.closed_at_ms or fault.opened_at_ms
    lasted = duration(page.language, max(0, end_ms - fault.opened_at_ms) / 1000)
    return Over(
        fault=fault.id,
        severity=line.severity,
        word=line.word,
        name=line.name,
        device=line.device,
        at=when(fault.opened_at_ms, now_ms),
        lasted=page.say("cp_lasted", lasted=lasted),
    )
