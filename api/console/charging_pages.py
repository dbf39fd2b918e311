"""The page of charging: how all sockets, a firm's or a compound's were used, session by session."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from fastapi import APIRouter
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import Response

from api import compounds, paging
from api.compounds import check_firm, judge_is_blind
from api.console.pages import Page, PageOf
from api.console.usage_views import (
    Bucket,
    BucketOf,
    Spell,
    Sums,
    UntilOf,
    UsageView,
    address,
    borders_of,
    figures_of,
    of_compound,
    parse_until,
    spell,
    stop_class,
    total_of,
    value_of,
    view,
)
from api.identity import Identity, Reader
from api.instants import when
from api.parts import Parts, PartsOf
from api.reports.words import UNKNOWN, number, row_of, share, value_name
from api.turns import Turns
from api.usage import MOST_EMPTY, MOST_FROM_HOURS
from api.words import Language, duration, named, say
from devices.apart import Apart
from devices.coverage import Sum
from devices.days import began, local_date, zone_of
from devices.sessions import EndedBy, Session, SessionState
from devices.stop_reasons import StopClass
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.devices import device_names
from devices.store.scope import Scope
from devices.store.sessions import Filter, list_sessions
from devices.store.usage_apart import apart_of_many
from devices.store.usage_days import SETTLED_AFTER_MS, TooMuch, sums_of_many

KEPT_S, KEPT_MOST = 60.0, 32  # sums of many compounds, by what was asked
READERS_WAITING, READER_WAIT_S = 4, 10.0
SESSIONS_SHOWN = 30
NEWEST_SHOWN = 10  # on the page of their compound
TABLED = ("sessions", "energy_kwh", "utilisation", "safety_stops_per_1000")

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A charging session, in words; a dash for what is not known."""

    id: str
    port_id: str
    port: str
    order: str
    started: str
    lasted: str
    energy: str
    fee: str
    reason: str
    native: str
    marks: Sequence[str]
    is_open: bool
    is_fault: bool


def session_lines(
    connection: Connection,
    who: Identity,
    language: Language,
    rows: Sequence[Session],
    now_ms: int,
) -> list[SessionLine]:
    names = device_names(connection, who.scope, {one.port for one in rows})
    return [_session(language, names, one, now_ms) for one in rows]


def _session(
    language: Language, names: Mapping[str, tuple[str, str, str]], one: Session, now_ms: int
) -> SessionLine:
    is_open = one.state is SessionState.OPEN
    reason = UNKNOWN
    if is_open:
        reason = say(language, "u_charging")
    elif one.stop_reason is not None:
        reason = value_name(language, "stop_reasons", one.stop_reason)
    marks = []
    if one.ended_by is EndedBy.PLATFORM:
        marks.append(say(language, "u_inferred"))
    if one.provisional:
        marks.append(say(language, "u_provisional"))
    lasted_s = one.duration_s
    if is_open and lasted_s is None and one.started_at_ms is not None:
        lasted_s = (now_ms - one.started_at_ms) // 1000
    return SessionLine(
        id=one.id,
        port_id=one.port,
        port=names[one.port][0] if one.port in names else one.port,
        order=one.order,
        started=UNKNOWN if one.started_at_ms is None else when(one.started_at_ms, now_ms),
        lasted=UNKNOWN if lasted_s is None else duration(language, lasted_s),
        energy=number(one.energy_kwh, 2),
        fee=number(one.fee_fen, 2, 0.01),
        reason=reason,
        native=one.native_reason or "",
        marks=marks,
        is_open=is_open,
        is_fault=stop_class(one.stop_reason) is StopClass.FAULT,
    )


# All charging


@dataclass(frozen=True, slots=True)
class Together:
    """Sums of many compounds: of each, and of all. pending: days that are being summed up anew.

    summing: so many days are not summed up at all yet, and nothing else is known.
    """

    by_compound: Mapping[str, Sums] = field(default_factory=dict)
    all: Sums = field(default_factory=lambda: Sums((), ()))
    pending: int = 0
    summing: int = 0


class ChargingCopy:
    """What was read for one page, kept for a minute: it is of whole days, and takes a while.

    One reads at a time, a few wait; whoever comes then is told to come again (Away).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[object, tuple[float, Together]] = OrderedDict()
        self._turns = Turns("for the usage of many compounds", 1, READERS_WAITING, READER_WAIT_S)

    def get(
        self, engine: Engine, scope: Scope, entries: Sequence[Entry], asked: Spell, now_ms: int
    ) -> Together:
        key = (scope, tuple(entry.id for entry in entries), asked.bucket, asked.to_ms)
        kept = self._find(key)
        if kept is not None:
            return kept
        with self._turns.turn():
            found = self._find(key) or read_many(engine, scope, entries, asked, now_ms)
        if not found.summing:
            with self._lock:
                self._kept[key] = (time.monotonic(), found)
                self._kept.move_to_end(key)
                while len(self._kept) > KEPT_MOST:
                    self._kept.popitem(last=False)
        return found

    def _find(self, key: object) -> Together | None:
        with self._lock:
            kept = self._kept.get(key)
        return None if kept is None or time.monotonic() - kept[0] >= KEPT_S else kept[1]


def read_many(
    engine: Engine, scope: Scope, entries: Sequence[Entry], asked: Spell, now_ms: int
) -> Together:
    """Of local days of the district's zone. Before anything came nothing is known."""
    borders, before, now = borders_of(asked)
    borders = [*borders, asked.to_ms]
    first = 0
    while True:
        some = borders[first:]
        try:
            found = sums_of_many(
                engine,
                scope,
                entries,
                {entry.id: some for entry in entries},
                {entry.id: entry.id for entry in entries},
                MOST_FROM_HOURS,
                MOST_EMPTY,
                only="port",
            )
            break
        except TooMuch as much:
            if much.from_ms is None:
                return Together(summing=much.days)
            from_ms = much.from_ms or borders[-1]
            later = [n for n, end in enumerate(borders[1:]) if end > from_ms]
            if not later or later[0] <= first:  # even the newest alone is too much of nothing
                return Together(
                    {}, Sums([None] * len(now), [None] * len(before)), pending=0, summing=0
                )
            first = later[0]
    by_compound: dict[str, Sums] = {}
    whole: list[Sum | None] = [None] * (len(borders) - 1)
    for name, sums in found.sums.items():
        placed: list[Sum | None] = [None] * first + list(sums)
        by_compound[name] = Sums([placed[n] for n in now], [placed[n] for n in before])
        for n, one in enumerate(placed):
            if one is not None:
                into = whole[n]
                if into is None:
                    into = whole[n] = Sum()
                into.add(one)
    return Together(
        by_compound,
        Sums(
            [whole[n] for n in now],
            [whole[n] for n in before],
            _apart(engine, scope, entries, asked.starts, asked.to_ms, now_ms),
            _apart(engine, scope, entries, asked.before, asked.before_to_ms, now_ms),
        ),
        found.pending,
    )


def _apart(
    engine: Engine,
    scope: Scope,
    entries: Sequence[Entry],
    starts: Sequence[int],
    to_ms: int,
    now_ms: int,
) -> Apart:
    """What does not add up, of all of them between the first start and `to_ms`."""
    borders = {entry.id: [*starts, to_ms] for entry in entries}
    groups = dict.fromkeys(borders, "")
    _, apart = apart_of_many(engine, scope, entries, borders, groups, to_ms, now_ms)[""]
    return apart


@dataclass(frozen=True, slots=True)
class CompoundLine:
    """A compound in the table of all charging."""

    id: str
    name: str
    sessions: str
    energy: str
    utilisation: str
    safety: str
    coverage: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page of charging shows: of one compound with its sessions, or a line for each.

    older: where the next page of sessions is. summing: so many days are not summed up yet.
    """

    usage: UsageView | None = None
    lines: Sequence[SessionLine] = ()
    older: str = ""
    table: Sequence[CompoundLine] = ()
    summing: int = 0


@router.get("/charging")
def charging_page(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    firm: str = "",
    compound: str = "",
    bucket: BucketOf = "day",
    until: UntilOf = "",
) -> Response:
    """How all sockets, a firm's or a compound's were used, and why charging stopped."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm or None)
        blind = judge_is_blind(connection, now_ms)
    having = [entry for entry in known.directory.visible(who.scope) if entry.devices.get("port")]
    entries = [entry for entry in having if firm in ("", entry.firm)]
    entry = compounds.find(known, who, compound) if compound else None
    if entry is not None:
        shown = _of_one(parts, who, page, entry, bucket, until, rows, now_ms)
    elif entries:
        copy: ChargingCopy = request.app.state.charging
        shown = _of_all(parts, who, page, entries, copy, bucket, until, now_ms)
    else:
        shown = Shown()
    if shown.usage is not None and blind:
        shown.usage.notices.append(page.say("u_stale"))
    language = page.language
    return page.render(
        "charging.html",
        who=who,
        usage=shown.usage,
        summing=shown.summing,
        lines=shown.lines,
        older=shown.older,
        table=shown.table,
        entry=entry,
        title="" if entry is None else named(language, entry.name),
        lead=page.say(
            "u_lead", n=len(entries), ports=sum(one.devices.get("port", 0) for one in entries)
        ),
        firms=[
            (id_, named(language, name))
            for id_, name in known.directory.firms.items()
            if any(one.firm == id_ for one in having)
        ],
        compounds=[(one.id, named(language, one.name)) for one in entries],
        figure_names=[named(language, row_of("charging", key).name) for key in TABLED],
        firm=firm,
        as_of=when(now_ms, now_ms),
    )


def _of_one(
    parts: Parts,
    who: Identity,
    page: Page,
    entry: Entry,
    bucket: Bucket,
    until: str,
    rows: paging.Page,
    now_ms: int,
) -> Shown:
    """A compound's usage, and its sessions page by page."""
    engine, most = parts.deps.engine, min(rows.limit, SESSIONS_SHOWN)
    usage = of_compound(page, engine, who.scope, entry, bucket, until, now_ms, own=("charging",))
    with reading(engine) as connection:
        found = list_sessions(
            connection, who.scope, Filter(entry.id), before=rows.behind, limit=most + 1
        )
        lines = session_lines(connection, who, page.language, found[:most], now_ms)
    older = ""
    if len(found) > most:
        last = found[most - 1]
        older = address(page, cursor=rows.cursor([last.started_at_ms, last.id]))
    return Shown(usage, lines=lines, older=older)


def _of_all(
    parts: Parts,
    who: Identity,
    page: Page,
    entries: Sequence[Entry],
    copy: ChargingCopy,
    bucket: Bucket,
    until: str,
    now_ms: int,
) -> Shown:
    """The usage of all of them over whole days that are over, and a line for each."""
    zone = zone_of(entries[0].timezone)
    newest = local_date(now_ms - SETTLED_AFTER_MS, zone) - timedelta(days=1)
    of = "day" if bucket == "hour" else bucket
    asked = spell(of, parse_until(until, newest), zone, began(newest + timedelta(days=1), zone))
    together = copy.get(parts.deps.engine, who.scope, entries, asked, now_ms)
    if together.summing:
        return Shown(summing=together.summing)
    usage = view(
        page,
        asked,
        together.all,
        ["port"],
        now_ms,
        newest,
        own=("charging",),
        buckets=("day", "week", "month"),
    )
    if together.pending:
        usage.notices.append(page.say("u_pending", n=together.pending))
    return Shown(usage, table=[_compound_line(page.language, one, together) for one in entries])


def _compound_line(language: Language, entry: Entry, together: Together) -> CompoundLine:
    sums = together.by_compound.get(entry.id)
    total = total_of(() if sums is None else sums.now).only("port")
    figures = figures_of(total, "charging")
    sessions, energy, utilisation, safety = (
        value_of(figures, row_of("charging", key)) for key in TABLED
    )
    return CompoundLine(
        id=entry.id,
        name=named(language, entry.name),
        sessions=sessions,
        energy=energy,
        utilisation=utilisation,
        safety=safety,
        coverage=share(total.coverage),
    )
