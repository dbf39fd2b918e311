"""The console's pages of faults: the list, one fault, and what people do about them.

They work without scripts; `faults.js` adds the keyboard.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import audited, paging
from api.compounds import check_firm
from api.console import Line, evidence_lines, fault_lines
from api.devices import check_kind
from api.errors import NotFound
from api.fault_actions import ACTIONS, Action, Asked, Said
from api.faults import KINDS_BESIDES
from api.identity import Actor, Identity, Reader, Role
from api.instants import when
from api.overview import SEVERITIES, fault_name
from api.pages import Page, PageOf
from api.parts import Known, Parts, PartsOf
from api.sla import of_faults
from api.sla_views import Deadline, deadline, notes, step_lines
from api.told import Notice, notices
from api.words import Language, duration, grouped, knows, named, say
from devices import faults
from devices.catalogue import RULES
from devices.faults import Fault, FaultEvent, FaultMoved, State
from devices.kinds import KINDS
from devices.registry import Name
from devices.store.database import reading, writing
from devices.store.deliveries import list_deliveries
from devices.store.faults import (
    Filter,
    Tally,
    UnknownFault,
    children_of,
    find_fault,
    history,
    list_by_rank,
    list_faults,
    move_fault,
    same_before,
    tally,
)
from devices.store.maintenance import UnknownWindow, find_window
from devices.telling import basis_line

SUSPECTED_SHOWN = 50
TOLD_SHOWN = 200  # deliveries of one fault
AT_ONCE = 100  # so many are acted on with one button
PAST_MS = 180 * 86_400_000
HOUR_MS = 3_600_000
SHELVED_FOR_H = (1, 4, 24, 168)

router = APIRouter(include_in_schema=False)

NoteOf = Annotated[str, Form(max_length=2000)]
AssigneeOf = Annotated[str, Form(max_length=120)]
HoursOf = Annotated[int, Form(ge=1, le=31 * 24)]
PickedOf = Annotated[list[str], Form(max_length=AT_ONCE)]
CountOf = Annotated[int, Query(ge=0, le=AT_ONCE)]


@router.get("/faults")
def faults_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    show: Annotated[str, Query(pattern="^(open|shelved|maintenance|all)$")] = "open",
    firm: str = "",
    kind: str = "",
    severity: Annotated[str, Query(pattern="^(P[1-4])?$")] = "",
    done: CountOf = 0,
    missed: CountOf = 0,
) -> Response:
    """What is to be dealt with, the worst first; or all there was, the newest first."""
    now_ms = parts.now_ms()
    if kind not in KINDS_BESIDES:
        check_kind(kind or None)
    wanted = Filter(severity=severity or None, kind=kind or None, firm=firm or None)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm or None)
        found = _found(connection, who, show, wanted, rows)
        key = _newest if show == "all" else _ranked
        shown, cursor = rows.split(found, key)
        guesses: list[Fault] = []
        children: dict[str, list[Fault]] = {}
        if show != "all":
            children = children_of(connection, who.scope, [fault.id for fault in shown])
        if show == "open" and rows.position is None:
            of = replace(wanted, is_open=True, suspected=True, suppressed=False, shelved=False)
            guesses = list_by_rank(connection, who.scope, of, limit=SUSPECTED_SHOWN)
        every = [*shown, *guesses, *(one for of_root in children.values() for one in of_root)]
        lines = {
            line.fault: line
            for line in fault_lines(connection, who, known, page.language, every, now_ms)
        }
        counts = tally(connection, who.scope)
        ids = [fault.id for fault in shown if fault.state is not State.CLOSED]
        ledgers = of_faults(connection, known, who.scope, ids, now_ms)
    return page.render(
        "faults.html",
        who=who,
        show=show,
        groups=[
            Group(
                lines[fault.id],
                deadline(page.language, fault, ledgers.get(fault.id), now_ms),
                _folded(page.language, children.get(fault.id, []), lines),
                len(children.get(fault.id, [])),
            )
            for fault in shown
        ],
        suspected=[
            (
                lines[fault.id],
                _basis(page.language, fault) or "; ".join(_evidence(page.language, fault)),
            )
            for fault in guesses
        ],
        has_impact=any(line.impact for line in lines.values()),
        counts=counts,
        lead=_lead(page.language, counts),
        older="" if cursor is None else page.address(cursor=cursor, done="0", missed="0"),
        may_act=who.role in (Role.OPERATOR, Role.FIRM),
        hours=[(hours, duration(page.language, hours * 3600)) for hours in SHELVED_FOR_H],
        notice=_told(page, done, missed),
        firms=_firms(page.language, who, known),
        kinds=[(name, named(page.language, Name(of.zh, of.en))) for name, of in KINDS.items()],
        severities=[(one, say(page.language, one.lower())) for one in SEVERITIES],
        asked={"firm": firm, "kind": kind, "severity": severity},
    )


@router.post("/faults/acknowledge")
def acknowledge_some(parts: PartsOf, who: Actor, fault: PickedOf) -> Response:
    """All that were picked are acknowledged, each for itself."""
    return _act_on_some(parts, who, fault, "acknowledge")


@router.post("/faults/shelve")
def shelve_some(parts: PartsOf, who: Actor, fault: PickedOf, hours: HoursOf = 4) -> Response:
    """All that were picked are shelved, but for those of the safety tier."""
    return _act_on_some(parts, who, fault, "shelve", hours)


@router.get("/faults/{fault}")
def fault_page(parts: PartsOf, who: Reader, page: PageOf, fault: str) -> Response:
    """One fault: what to do, what showed it, what happened."""
    return _fault_page(parts, who, page, fault)


def _add(name: str, action: Action) -> None:
    """The form of one action."""

    def act(
        parts: PartsOf,
        who: Actor,
        page: PageOf,
        fault: str,
        note: NoteOf = "",
        assignee: AssigneeOf = "",
        hours: HoursOf = 4,
    ) -> Response:
        now_ms = parts.now_ms()
        said = Said(note.strip() or None, assignee=assignee.strip() or None)
        if action.needs_note and said.note is None:
            return _fault_page(parts, who, page, fault, status=422, notice=page.say("note_needed"))
        asked = Asked(who.name, now_ms, said, now_ms + hours * HOUR_MS)
        return _act(parts, who, page, fault, action, asked)

    router.add_api_route(f"/faults/{{fault}}/{name}", act, methods=["POST"], name=name)


for _name, _action in ACTIONS.items():
    _add(_name, _action)


@dataclass(frozen=True, slots=True)
class Child:
    """Faults of one code that a root explains, on one line."""

    line: Line
    where: str
    since: str


@dataclass(frozen=True, slots=True)
class Group:
    """A fault in the list, with what it brought with it: by code, and how many in all."""

    line: Line
    deadline: Deadline | None
    children: Sequence[Child]
    total: int


def _found(
    connection: Connection, who: Identity, show: str, wanted: Filter, rows: paging.Page
) -> list[Fault]:
    at, limit = rows.position, rows.limit + 1
    if show == "all":
        before = (at[0], at[1]) if at else None
        return list_faults(connection, who.scope, wanted, before=before, limit=limit)
    wanted = replace(wanted, is_open=True, suppressed=False)
    match show:
        case "shelved":
            wanted = replace(wanted, shelved=True)
        case "maintenance":
            wanted = replace(wanted, maintained=True)
        case _:
            wanted = replace(wanted, suspected=False, shelved=False)
    behind = (at[0], at[1], at[2]) if at else None
    return list_by_rank(connection, who.scope, wanted, behind=behind, limit=limit)


def _newest(fault: Fault) -> paging.Position:
    return [fault.opened_at_ms, fault.id]


def _ranked(fault: Fault) -> paging.Position:
    return [fault.rank, fault.opened_at_ms, fault.id]


def _folded(language: Language, children: list[Fault], lines: dict[str, Line]) -> list[Child]:
    """One line for all faults of a code, in the order in which they began."""
    codes: dict[str, list[Fault]] = {}
    for child in children:
        codes.setdefault(child.code, []).append(child)
    folded: list[Child] = []
    for same in codes.values():
        first = lines[same[0].id]
        where = say(language, "list_comma").join(lines[child.id].device for child in same[:3])
        if len(same) > 1:
            where = say(language, "n_of_them", where=where, n=len(same))
        folded.append(Child(first, where, first.began))
    return folded


def _lead(language: Language, counts: Tally) -> str:
    parts = [
        f"{say(language, one.lower())} {grouped(counts.severities[one])}"
        for one in SEVERITIES
        if counts.severities.get(one)
    ]
    lead = say(language, "f_lead", n=grouped(counts.listed))
    if parts:
        lead += say(language, "colon") + say(language, "sep").join(parts)
    if counts.suspected:
        lead += say(language, "semicolon") + say(language, "f_apart", n=counts.suspected)
    return lead


def _told(page: Page, done: int, missed: int) -> str:
    """What became of an action on several faults."""
    words = [page.say("n_done", n=done)] if done else []
    if missed:
        words.append(page.say("n_missed", n=missed))
    return page.say("semicolon").join(words)


def _firms(language: Language, who: Identity, known: Known) -> list[tuple[str, str]]:
    if not who.scope.is_district:
        return []
    return [(firm, named(language, name)) for firm, name in known.directory.firms.items()]


def _basis(language: Language, fault: Fault) -> str:
    return basis_line(language, fault.code, fault.kind, fault.evidence)


def _evidence(language: Language, fault: Fault) -> list[str]:
    return [f"{name} {value}" for name, value in evidence_lines(language, fault)]


def _act_on_some(
    parts: Parts, who: Identity, picked: Sequence[str], action: str, hours: int = 0
) -> Response:
    now_ms = parts.now_ms()
    asked = Asked(who.name, now_ms, Said(), now_ms + hours * HOUR_MS)
    audited.about("", faults=list(dict.fromkeys(picked)))
    done = 0
    for fault in dict.fromkeys(picked):
        try:
            with writing(parts.deps.engine) as connection:
                move_fault(
                    connection, who.scope, fault, lambda was: ACTIONS[action].move(was, asked)
                )
            done += 1
        except (UnknownFault, FaultMoved):
            continue  # it is counted as missed
    missed = len(set(picked)) - done
    return RedirectResponse(f"/faults?done={done}&missed={missed}", 303)


def _act(
    parts: Parts, who: Identity, page: Page, fault: str, action: Action, asked: Asked
) -> Response:
    try:
        with writing(parts.deps.engine) as connection:
            was = find_fault(connection, who.scope, fault)
            move_fault(connection, who.scope, fault, lambda now: action.move(now, asked))
    except UnknownFault as error:
        raise NotFound from error
    except FaultMoved:
        refused = "safety_stays" if action.timed and was.safety else "moved_on"
        return _fault_page(parts, who, page, fault, status=409, notice=page.say(refused))
    return RedirectResponse(f"/faults/{fault}", 303)


def _fault_page(
    parts: Parts,
    who: Identity,
    page: Page,
    fault: str,
    *,
    status: int = 200,
    notice: str = "",
) -> Response:
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        try:
            found = find_fault(connection, who.scope, fault)
        except UnknownFault as error:
            raise NotFound from error
        known = parts.registry.get(connection)
        (line,) = fault_lines(connection, who, known, page.language, [found], now_ms)
        events = history(connection, found.id)
        told = list_deliveries(connection, who.scope, fault=found.id, limit=TOLD_SHOWN + 1)
        children = children_of(connection, who.scope, [found.id]).get(found.id, [])
        lines = fault_lines(connection, who, known, page.language, children, now_ms)
        past = same_before(connection, who.scope, found, now_ms - PAST_MS)
        held_by = _window(connection, who, found)
        kept = of_faults(connection, known, who.scope, [found.id], now_ms)[found.id]
    rule = RULES.get(found.code)
    advice = "" if rule is None else named(page.language, Name(rule.advice_zh, rule.advice_en))
    by_id = {one.fault: one for one in lines}
    return page.render(
        "fault.html",
        status,
        who=who,
        line=line,
        found=found,
        advice=advice,
        evidence=evidence_lines(page.language, found),
        happened=_happened(
            [_event(page.language, event, now_ms) for event in reversed(events)],
            notices(page.language, told[:TOLD_SHOWN], now_ms),
        ),
        is_told=bool(told),
        more_told=len(told) > TOLD_SHOWN,
        children=_folded(page.language, children, by_id),
        child_count=len(children),
        past=[_past(page.language, one) for one in past],
        held_by=held_by,
        deadline=deadline(page.language, found, kept, now_ms),
        steps=step_lines(page.language, kept, now_ms),
        step_notes=notes(page.language, kept),
        shelved_until=""
        if found.shelved_until_ms is None
        else when(found.shelved_until_ms, now_ms),
        onsite="" if found.onsite_at_ms is None else when(found.onsite_at_ms, now_ms),
        repaired="" if found.repaired_at_ms is None else when(found.repaired_at_ms, now_ms),
        hours=[(hours, duration(page.language, hours * 3600)) for hours in SHELVED_FOR_H],
        may_act=who.role in (Role.OPERATOR, Role.FIRM),
        may_acknowledge=found.state in (State.OPEN, State.CLEARED),
        may_shelve=not found.safety and found.kind != faults.PLATFORM,
        is_closed=found.state is State.CLOSED,
        is_flapping=faults.is_flapping(found) and found.state is not State.CLOSED,
        notice=notice,
    )


def _window(connection: Connection, who: Identity, fault: Fault) -> dict[str, str] | None:
    """The window that holds its notices; without its words where it is not theirs to see."""
    if fault.maintenance is None:
        return None
    try:
        window = find_window(connection, who.scope, fault.maintenance)
    except UnknownWindow:
        return {"id": "", "reason": "", "owner": "", "until": ""}
    until = when(window.over_at_ms, None)
    return {"id": window.id, "reason": window.reason, "owner": window.owner, "until": until}


def _past(language: Language, fault: Fault) -> dict[str, str]:
    resolution = fault.resolution or ""
    word = f"res_{resolution}"
    return {
        "fault": fault.id,
        "name": fault_name(language, fault.code),
        "at": when(fault.opened_at_ms, None),
        "severity": say(language, fault.severity.lower()),
        "state": say(language, f"s_{fault.state}"),
        "resolution": say(language, word) if knows(word) else resolution,
    }


def _happened(
    events: Sequence[dict[str, Any]], told: Sequence[Notice]
) -> list[dict[str, Any] | Notice]:
    """What happened and who was told of it, the newest first; an event stands below its notices."""
    every: list[tuple[int, dict[str, Any] | Notice]] = [(one.at_ms, one) for one in told]
    every += [(event["at_ms"], event) for event in events]
    return [what for _, what in sorted(every, key=lambda one: one[0], reverse=True)]


def _event(language: Language, event: FaultEvent, now_ms: int) -> dict[str, Any]:
    system = event.actor == faults.SYSTEM
    until = (event.evidence or {}).get("until_ms")
    return {
        "at_ms": event.at_ms,
        "at": when(event.at_ms, now_ms),
        "what": say(language, f"h_{event.reason}"),
        "lane": say(language, "lane_judge" if system else "lane_person"),
        "kind": "judge" if system else "person",
        "who": say(language, "system") if system else event.actor,
        "note": event.note or "",
        "state": say(language, f"s_{event.becomes}"),
        "until": when(until, now_ms) if isinstance(until, int) else "",
        "held": "" if event.held is None else say(language, f"held_{event.held}"),
    }
