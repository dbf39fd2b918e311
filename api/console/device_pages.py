"""The page of a device: what it is, how it stands and why, what it said; and the lists behind it.

They work without scripts; `curves.js` only shows another range in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from api import paging
from api.compounds import judge_is_blind
from api.console import charging_pages, device_messages, device_readings, exclusion_pages
from api.console.device_readings import Show, is_stale, word_of
from api.console.naming import compound_name
from api.console.overview_pages import fault_lines
from api.console.pages import Page, PageOf
from api.errors import NotFound
from api.identity import Identity, Reader
from api.instants import when, zone_of
from api.parts import FieldTable, Known, Parts, PartsOf
from api.words import Language, duration, knows, named, say
from devices import liveness
from devices.faults import State
from devices.kinds import KINDS
from devices.messages import Value
from devices.registry import Name
from devices.store.accounts import JUDGE, Follower, follower
from devices.store.database import reading
from devices.store.devices import Filter as DeviceFilter
from devices.store.devices import Standing, find_device, list_devices
from devices.store.faults import Filter, list_faults
from devices.store.sessions import Filter as Sessions
from devices.store.sessions import list_sessions
from devices.telling import quantity_name, unit_of, value_text

OPEN_SHOWN, PAST_SHOWN = 50, 5
CHILDREN_SHOWN = 64  # a shed's sockets are all there
LISTED = 50  # on a page of a list
VALUES_SHOWN = 3  # of a device in a list
NATIVE = "native"

router = APIRouter(include_in_schema=False)

QuantityOf = Annotated[str, Query(max_length=60, description="Shown alone, with its figures.")]
ShowOf = Annotated[Show, Query(description="How far back.")]
FromOf = Annotated[str, Query(alias="from", max_length=40)]
ToOf = Annotated[str, Query(alias="to", max_length=40)]
UntilOf = Annotated[str, Query(max_length=40, description="Messages received before.")]


@router.get("/devices/{device}")
def device_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    device: str,
    quantity: QuantityOf = "",
    show: ShowOf = "day",
    start: FromOf = "",
    end: ToOf = "",
) -> Response:
    """One device, also one that was taken out of service."""
    now_ms = parts.now_ms()
    language = page.language
    with reading(parts.deps.engine) as connection:
        seen = _look(connection, parts, who, page, device, now_ms)
        standing = seen.standing
        wanted = Filter(device=standing.id, is_open=True)
        rows = list_faults(connection, who.scope, wanted, limit=OPEN_SHOWN)
        wanted = Filter(device=standing.id, state=State.CLOSED)
        past = list_faults(connection, who.scope, wanted, limit=PAST_SHOWN + 1)
        lines = fault_lines(connection, who, seen.known, language, [*rows, *past], now_ms)
        children = list_devices(
            connection,
            who.scope,
            DeviceFilter(parent=standing.id),
            blind=seen.blind,
            now_ms=now_ms,
            limit=CHILDREN_SHOWN + 1,
        )
        judge = follower(connection, JUDGE)
        charged: list[charging_pages.SessionLine] = []
        if standing.kind in ("port", "shed"):
            newest = list_sessions(
                connection,
                who.scope,
                _sessions_of(standing),
                limit=charging_pages.NEWEST_SHOWN,
            )
            charged = charging_pages.session_lines(connection, who, language, newest, now_ms)
        left_out = exclusion_pages.newest_of_device(connection, who, page, standing.id, now_ms)
    zone = zone_of(seen.known.directory.compounds[standing.compound].timezone)
    tables = parts.deps.field_tables.get(standing.protocol, ())
    return page.render(
        "device.html",
        who=who,
        head=seen.head,
        facts=_facts(page, seen),
        attributes=_attributes(language, standing),
        evidence=_evidence(page, standing, now_ms),
        since="" if standing.since_ms is None else when(standing.since_ms, now_ms),
        lasted=""
        if standing.since_ms is None
        else duration(language, (now_ms - standing.since_ms) / 1000),
        clocks=_clocks(page, standing, judge, now_ms),
        rows=_values(page, standing, now_ms),
        lines=lines[: len(rows)],
        past=lines[len(rows) :][:PAST_SHOWN],
        is_more_past=len(past) > PAST_SHOWN,
        has_children=bool(children) or standing.kind in ("shed", "gateway"),
        children=[
            child_line(page, one, now_ms) for one in sorted(children[:CHILDREN_SHOWN], key=_by_kind)
        ],
        is_more_children=len(children) > CHILDREN_SHOWN,
        has_sessions=standing.kind in ("port", "shed"),
        charged=charged,
        left_out=left_out,
        readings=None
        if page.wants_parts
        else device_readings.readings_view(
            parts, page, standing, zone, quantity, show, start, end, now_ms
        ),
        messages=None
        if quantity and not page.wants_parts  # one quantity by itself: what it sent is a link
        else device_messages.newest(parts, who, page, seen.sender, now_ms),
        parent_of_messages="" if seen.sender is seen.standing else seen.sender.name,
        tables=_tables(language, tables),
        protocol=_protocol(page, standing),
        out=""
        if standing.decommissioned_at_ms is None
        else page.say("dv_out", at=when(standing.decommissioned_at_ms, None)),
        as_of=when(now_ms, now_ms),
    )


@router.get("/devices/{device}/faults")
def device_faults(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, device: str
) -> Response:
    """All its faults, the newest first."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        seen = _look(connection, parts, who, page, device, now_ms)
        found = list_faults(
            connection,
            who.scope,
            Filter(device=seen.standing.id),
            before=rows.behind,
            limit=_most(rows) + 1,
        )
        shown, older = _split(page, rows, found, lambda one: [one.opened_at_ms, one.id])
        lines = fault_lines(connection, who, seen.known, page.language, list(shown), now_ms)
    return page.render(
        "device_list.html", who=who, head=seen.head, what="faults", lines=lines, older=older,
        as_of=when(now_ms, now_ms),
    )  # fmt: skip


@router.get("/devices/{device}/sessions")
def device_sessions(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, device: str
) -> Response:
    """Charging sessions of a socket, or of all sockets of a shed, the newest first."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        seen = _look(connection, parts, who, page, device, now_ms)
        found = list_sessions(
            connection,
            who.scope,
            _sessions_of(seen.standing),
            before=rows.behind,
            limit=_most(rows) + 1,
        )
        shown, older = _split(page, rows, found, lambda one: [one.started_at_ms, one.id])
        lines = charging_pages.session_lines(connection, who, page.language, shown, now_ms)
    return page.render(
        "device_list.html", who=who, head=seen.head, what="sessions", lines=lines, older=older,
        as_of=when(now_ms, now_ms),
    )  # fmt: skip


@router.get("/devices/{device}/children")
def device_children(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, device: str
) -> Response:
    """Devices that report through it, in order of id."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        seen = _look(connection, parts, who, page, device, now_ms)
        found = list_devices(
            connection,
            who.scope,
            DeviceFilter(parent=seen.standing.id),
            blind=seen.blind,
            now_ms=now_ms,
            after=rows.position[0] if rows.position else None,
            limit=_most(rows) + 1,
        )
    shown, older = _split(page, rows, found, lambda one: [one.id])
    return page.render(
        "device_list.html",
        who=who,
        head=seen.head,
        what="children",
        lines=[child_line(page, one, now_ms) for one in shown],
        older=older,
        as_of=when(now_ms, now_ms),
    )


@router.get("/devices/{device}/messages")
def device_messages_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    device: str,
    until: UntilOf = "",
) -> Response:
    """What it sent within the last 24 hours, as the journal has it, the newest first."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        seen = _look(connection, parts, who, page, device, now_ms)
    zone = zone_of(seen.known.directory.compounds[seen.standing.compound].timezone)
    return page.render(
        "device_list.html",
        who=who,
        head=seen.head,
        what="messages",
        messages=device_messages.look(parts, who, page, rows, seen.sender, zone, until, now_ms),
        parent_of_messages="" if seen.sender is seen.standing else seen.sender.name,
        lines=(),
        older="",
        until=until,
        as_of=when(now_ms, now_ms),
    )


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above every page of a device."""

    id: str
    name: str
    kind: str
    kind_id: str
    place: str
    compound: str
    compound_name: str
    parent: str
    parent_name: str
    state: str
    state_word: str
    reason: str


@dataclass(frozen=True, slots=True)
class ValueLine:
    """A latest value, in words. age: how old it is by the device's own clock."""

    quantity: str
    name: str
    value: str
    at: str
    age: str
    is_stale: bool


@dataclass(frozen=True, slots=True)
class ChildLine:
    """A device in a list of a device, in words."""

    id: str
    name: str
    kind: str
    state: str
    state_word: str
    reason: str
    seen: str
    faults: int
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Clock:
    """One of the three clocks: when it was, and how far that is from the others."""

    name: str
    at: str
    note: str


@dataclass(frozen=True, slots=True)
class _Seen:
    standing: Standing
    known: Known
    blind: bool
    parent: Standing | None
    head: Head

    @property
    def sender(self) -> Standing:
        """Whose messages it travels in: a socket in those of its shed."""
        if self.standing.kind == "port" and self.parent is not None:
            return self.parent
        return self.standing


def _look(
    connection: Connection, parts: Parts, who: Identity, page: Page, device: str, now_ms: int
) -> _Seen:
    """The device; raises NotFound, also for one that is not theirs."""
    known = parts.registry.get(connection)
    blind = judge_is_blind(connection, now_ms)
    found = find_device(connection, who.scope, device, blind=blind)
    if found is None or found.compound not in known.directory.compounds:
        raise NotFound
    parent = None
    if found.parent is not None:
        parent = find_device(connection, who.scope, found.parent, blind=blind)
    language = page.language
    kind = KINDS[found.kind]
    head = Head(
        id=found.id,
        name=found.name,
        kind=named(language, Name(kind.zh, kind.en)),
        kind_id=found.kind,
        place=_place(found),
        compound=found.compound,
        compound_name=compound_name(language, known.directory.compounds, found.compound),
        parent="" if parent is None else parent.id,
        parent_name="" if parent is None else parent.name,
        state=found.state,
        state_word=say(language, f"d_{found.state}"),
        reason=_reason(language, found),
    )
    return _Seen(found, known, blind, parent, head)


def _reason(language: Language, standing: Standing) -> str:
    """Why it is not online, where that says more than its state."""
    word = f"r_{standing.reason}"
    if standing.state == "online" or standing.reason == standing.state or not knows(word):
        return ""
    return say(language, word)


def _place(standing: Standing) -> str:
    """Building and unit, unless its name says them already."""
    place = " ".join(part for part in (standing.building, standing.unit) if part)
    return "" if place in standing.name else place


def _by_kind(standing: Standing) -> tuple[int, str]:
    return list(KINDS).index(standing.kind), standing.id


def child_line(page: Page, standing: Standing, now_ms: int) -> ChildLine:
    language = page.language
    kind = KINDS[standing.kind]
    seen = say(language, "never")
    if standing.last_seen_ms is not None:
        seen = say(language, "ago", age=duration(language, (now_ms - standing.last_seen_ms) / 1000))
    names = device_readings.most_telling(standing)[:VALUES_SHOWN]
    values = []
    for name in names:
        value, at_ms = standing.latest[name]
        if is_stale(standing.kind, standing.interval_s, name, at_ms, now_ms):
            continue  # what it is now is not known
        unit = unit_of(standing.kind, name)
        told = word_of(language, name, value, unit)
        values.append(f"{quantity_name(language, standing.kind, name)} {told}")
    return ChildLine(
        id=standing.id,
        name=standing.name,
        kind=named(language, Name(kind.zh, kind.en)),
        state=standing.state,
        state_word=say(language, f"d_{standing.state}"),
        reason=_reason(language, standing),
        seen=seen,
        faults=standing.open_faults,
        values=values,
    )


def _facts(page: Page, seen: _Seen) -> list[tuple[str, str]]:
    """What the registry says of it: name and value."""
    standing, language = seen.standing, page.language
    maker = " ".join(part for part in (standing.vendor, standing.model) if part)
    protocol = _protocol(page, standing)
    interval = duration(language, standing.interval_s)
    lines = [
        (page.say("dv_id"), standing.id),
        (page.say("kind"), seen.head.kind),
        (page.say("dv_circuit"), standing.circuit or ""),
        (page.say("dv_maker"), maker or page.say("dv_maker_unknown")),
        (page.say("dv_protocol"), protocol),
        (page.say("dv_external"), standing.external_id),
        (page.say("dv_interval"), interval),
        (
            page.say("dv_commissioned"),
            "" if standing.commissioned_at_ms is None else when(standing.commissioned_at_ms, None),
        ),
    ]
    return [(name, value) for name, value in lines if value]


def _protocol(page: Page, standing: Standing) -> str:
    return page.say("dv_native") if standing.protocol == NATIVE else standing.protocol


def _attributes(language: Language, standing: Standing) -> list[tuple[str, str]]:
    return [
        (
            say(language, f"at_{name}") if knows(f"at_{name}") else name,
            _attribute(language, value),
        )
        for name, value in sorted(standing.attributes.items())
    ]


def _attribute(language: Language, value: Value) -> str:
    if isinstance(value, str):
        return say(language, f"av_{value}") if knows(f"av_{value}") else value
    return value_text(language, value)


def _evidence(page: Page, standing: Standing, now_ms: int) -> str:
    """Why it is called what it is called, in a sentence."""
    language = page.language
    values: Mapping[str, str] = {
        "interval": duration(language, standing.interval_s),
        "limit": duration(language, liveness.limit_s(standing.kind, standing.interval_s)),
        "age": duration(language, (now_ms - (standing.last_seen_ms or now_ms)) / 1000),
    }
    why = standing.reason or ""
    if standing.state == "online":
        why = "online"
    elif standing.state == "never_seen":
        why = "never_seen"
    word = f"ev_{why}"
    return page.say(word if knows(word) else "ev_unknown", **values)


def _clocks(page: Page, standing: Standing, judge: Follower | None, now_ms: int) -> list[Clock]:
    """Its own clock and ours at its last sign of life, and up to when all was judged."""
    language = page.language
    clocks = []
    device_at, seen = standing.device_at_ms, standing.last_seen_ms
    if device_at is None:
        clocks.append(Clock(page.say("ck_device"), "—", page.say("ck_no_clock")))
    else:
        note = ""
        if seen is not None:
            apart_s = abs(device_at - seen) / 1000
            word = "ck_ahead" if device_at > seen else "ck_behind"
            note = page.say("ck_same")
            if apart_s >= 1:
                note = page.say(word, by=duration(language, apart_s))
        clocks.append(Clock(page.say("ck_device"), when(device_at, now_ms), note))
    if seen is None:
        clocks.append(Clock(page.say("ck_received"), "—", page.say("never")))
    else:
        age = duration(language, (now_ms - seen) / 1000)
        clocks.append(Clock(page.say("ck_received"), when(seen, now_ms), page.say("ago", age=age)))
    watermark = None if judge is None else judge.watermark_ms
    if watermark is None:
        clocks.append(Clock(page.say("ck_judged"), "—", page.say("h_never")))
    else:
        behind_s = max(0.0, (now_ms - watermark) / 1000)
        note = page.say("ck_kept_up")
        if behind_s > 60:
            note = page.say("ck_lag", by=duration(language, behind_s))
        clocks.append(Clock(page.say("ck_judged"), when(watermark, now_ms), note))
    return clocks


def _values(page: Page, standing: Standing, now_ms: int) -> list[ValueLine]:
    """In the order in which the kind declares them; what it has several of comes last."""
    language = page.language
    declared = list(KINDS[standing.kind].quantities)

    def place(name: str) -> tuple[int, str]:
        return declared.index(name) if name in declared else len(declared), name

    return [
        ValueLine(
            quantity=name,
            name=quantity_name(language, standing.kind, name),
            value=word_of(language, name, value, unit_of(standing.kind, name)),
            at=when(at_ms, now_ms),
            age=page.say("ago", age=duration(language, max(0, now_ms - at_ms) / 1000)),
            is_stale=is_stale(standing.kind, standing.interval_s, name, at_ms, now_ms),
        )
        for name, (value, at_ms) in sorted(standing.latest.items(), key=lambda one: place(one[0]))
    ]


def _sessions_of(standing: Standing) -> Sessions:
    if standing.kind == "shed":
        return Sessions(standing.compound, shed=standing.id)
    return Sessions(standing.compound, port=standing.id)


@dataclass(frozen=True, slots=True)
class TableView:
    """Fields of a format. Each cell: (text, is a name of ours or theirs) pieces."""

    head: Sequence[str]
    rows: Sequence[Sequence[Sequence[tuple[str, bool]]]]


def _tables(language: Language, tables: Sequence[FieldTable]) -> list[TableView]:
    return [
        TableView(
            [_column(language, head) for head in table.head],
            [[_pieces(cell) for cell in row] for row in table.rows],
        )
        for table in tables
    ]


def _column(language: Language, head: str) -> str:
    words = {
        "theirs": "mp_theirs",
        "ours": "mp_ours",
        "unit, factor": "mp_factor",
        "remarks": "mp_remarks",
        "several channels (an array)": "mp_channels",
    }
    return say(language, words[head]) if head in words else head


def _pieces(cell: str) -> list[tuple[str, bool]]:
    """A cell in pieces; those between backticks are names."""
    return [(text, n % 2 == 1) for n, text in enumerate(cell.split("`")) if text]


def _most(rows: paging.Page) -> int:
    return min(rows.limit, LISTED)


def _split(
    page: Page, rows: paging.Page, found: Sequence[Any], position: Any
) -> tuple[Sequence[Any], str]:
    """The rows of this page, and the address of the next one, if there is one."""
    most = _most(rows)
    if len(found) <= most:
        return found, ""
    shown = found[:most]
    return shown, page.address(cursor=rows.cursor(position(shown[-1])))
