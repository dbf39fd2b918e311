"""The console's pages of faults: the list, one fault, and what people do about it.

They work without scripts; `faults.js` adds the keyboard. What changes of the list is sent to all
who look at the same (`api.console.fault_parts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api import paging
from api.console.calls import Call, call, on_duty
from api.console.device_pages import FromOf, ToOf
from api.console.fault_bulk import (
    AT_ONCE,
    Filled,
    HoursOf,
    UntilOf,
    lacking,
    shelf_choices,
    told,
    until_ms,
)
from api.console.fault_charts import FaultCharts, fault_charts, overrides_in_force
from api.console.fault_filters import (
    Question,
    QuestionOf,
    choices,
    in_use,
    saved_lines,
    wanted_rows,
)
from api.console.fault_list import MAY_ACT, folded, view_of_own
from api.console.fault_parts import VIEW, FaultParts, asked_by
from api.console.fault_refusals import why_not
from api.console.live import Live, Shown
from api.console.naming import fault_name
from api.console.overview_pages import evidence_lines, fault_lines
from api.console.pages import Page, PageOf
from api.console.sla_views import Deadline, deadline, notes, step_lines
from api.console.told import Notice, notices
from api.errors import NotFound
from api.fault_actions import ACTIONS, Action, Asked, Said
from api.identity import Actor, Identity, Reader
from api.instants import when
from api.parts import Known, Parts, PartsOf
from api.sla import of_faults
from api.words import Language, countdown, duration, knows, named, say
from devices import faults
from devices.catalogue import RULES
from devices.faults import Fault, FaultEvent, FaultMoved, State
from devices.registry import Name
from devices.sla import Ledger, StepName, Verdict
from devices.store.database import reading, writing
from devices.store.deliveries import list_deliveries
from devices.store.devices import Standing, find_device
from devices.store.faults import (
    UnknownFault,
    assignees,
    children_of,
    find_fault,
    history,
    last_words,
    move_fault,
    same_before,
    same_nearby,
)
from devices.store.links import contacts
from devices.store.maintenance import UnknownWindow, find_window
from devices.store.saved_filters import list_filters
from devices.store.sessions import session_around

ROWS = 50  # of a page of the list, unless it is asked for more or fewer
TOLD_SHOWN = 200  # deliveries of one fault
CALLS_SHOWN = 10
PAST_MS = 180 * 86_400_000
_TO_DO: Mapping[StepName, str] = {
    StepName.ACKNOWLEDGED: "fw_to_ack",
    StepName.ONSITE: "fw_to_onsite",
    StepName.VERIFIED: "fw_to_mend",
}

router = APIRouter(include_in_schema=False)

NoteOf = Annotated[str, Form(max_length=2000)]
AssigneeOf = Annotated[str, Form(max_length=120)]
CountOf = Annotated[int, Query(ge=0, le=AT_ONCE)]
DidOf = Annotated[str, Query(max_length=20)]


@router.get("/faults")
def faults_page(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    question: QuestionOf,
    did: DidOf = "",
    done: CountOf = 0,
) -> Response:
    """What is to be dealt with, the worst first; or all there was, the newest first."""
    view: FaultParts = request.app.state.fault_parts
    shown, live = view.now(_shown(request, who, page, rows, question))
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        assigned = assignees(connection, who.scope)
        saved = list_filters(connection, who.token) if who.token else []
        own = view_of_own(connection, page.language, who, question) if who.token else None
    mine_saved = saved_lines(saved, question)
    offered = choices(page.language, who, known, question, assigned)
    return page.render(
        "faults.html",
        who=who,
        shown=shown,
        live=live,
        may_act=who.role in MAY_ACT,
        choices=offered,
        in_use=in_use(page.language, question, offered),
        saved=mine_saved,
        own=own,
        is_saved=any(one.is_here for one in mine_saved),
        hours=shelf_choices(page.language),
        notice=told(page, did, done),
        is_first=rows.position is None,
    )


@router.get("/parts/faults")
def faults_parts(
    request: Request, who: Reader, page: PageOf, rows: paging.PageOf, question: QuestionOf
) -> Response:
    """What of the list changes, for the script that keeps it up to date."""
    view: FaultParts = request.app.state.fault_parts
    html = view.render(_shown(request, who, page, rows, question)).whole()
    return HTMLResponse(html, headers={"Vary": "Accept-Language, Cookie"})


@router.get("/parts/faults/live")
def faults_live(
    request: Request,
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    question: QuestionOf,
) -> Response:
    """The same, as it changes: server-sent events as `api.console.live` has them."""
    live: Live = request.app.state.live
    shown = _shown(request, who, page, rows, question)
    with reading(parts.deps.engine) as connection:
        wanted_rows(parts.registry.get(connection), who, question)  # raises NotFound
    render = partial(request.app.state.fault_parts.render, shown)
    return live.answer(request, parts, who, shown, render)


def _shown(
    request: Request, who: Identity, page: Page, rows: paging.Page, question: Question
) -> Shown:
    filters = paging.filters_of(request)
    if "limit" not in dict(filters):
        rows = replace(rows, limit=ROWS)
    return Shown(VIEW, who.scope, page.language, asked=asked_by(who, question, rows, filters))


@router.get("/faults/{fault}")
def fault_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    fault: str,
    start: FromOf = "",
    end: ToOf = "",
) -> Response:
    """One fault: what to do, whom to call, what showed it, what happened. start, end: what its
    charts show, where that is not all around it."""
    return _fault_page(parts, who, page, fault, shown=(start, end))


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
        until: UntilOf = "",
    ) -> Response:
        now_ms = parts.now_ms()
        filled = Filled(note.strip(), assignee.strip(), hours, until.strip())
        wrong = lacking(page, name, filled, now_ms)
        if wrong and not (action.timed and _is_never_shelved(parts, who, fault)):
            return _fault_page(parts, who, page, fault, status=422, notice=wrong, filled=filled)
        said = Said(filled.note or None, assignee=filled.assignee or None)
        ends_ms = until_ms(hours, "" if wrong else filled.until, now_ms)
        asked = Asked(who.name, now_ms, said, ends_ms)
        return _act(parts, who, page, fault, name, action, asked)

    router.add_api_route(f"/faults/{{fault}}/{name}", act, methods=["POST"], name=name)


for _name, _action in ACTIONS.items():
    _add(_name, _action)


def _is_never_shelved(parts: Parts, who: Identity, fault: str) -> bool:
    """Whether no reason and no time would help: then that is what is said. Raises NotFound."""
    with reading(parts.deps.engine) as connection:
        try:
            found = find_fault(connection, who.scope, fault)
        except UnknownFault as error:
            raise NotFound from error
    return found.safety or found.kind == faults.PLATFORM


@dataclass(frozen=True, slots=True)
class Countdown:
    """What is due next, large. kind: ok, soon, over, paused. due_ms: empty where no clock runs."""

    kind: str
    figure: str
    text: str
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class Past:
    """Another fault like it, and how that one ended. said: the last note at it, and whose."""

    fault: str
    name: str
    where: str
    at: str
    severity: str
    word: str
    how: str
    said: str
    by: str


@dataclass(frozen=True, slots=True)
class Related:
    """The charging session that ran when it began."""

    id: str
    order: str
    at: str
    state: str


def _act(
    parts: Parts,
    who: Identity,
    page: Page,
    fault: str,
    name: str,
    action: Action,
    asked: Asked,
) -> Response:
    try:
        with writing(parts.deps.engine) as connection:
            move_fault(connection, who.scope, fault, lambda now: action.move(now, asked))
    except UnknownFault as error:
        raise NotFound from error
    except FaultMoved:
        with reading(parts.deps.engine) as connection:
            now = find_fault(connection, who.scope, fault)
            why = why_not(page.language, connection, now, name, asked.now_ms)
        word = "fw_not_done_here" if name == "shelve" else "fw_faster_here"
        told = page.say(word, why=why)
        return _fault_page(parts, who, page, fault, status=409, notice=told)
    return RedirectResponse(f"/faults/{fault}", 303)


def _fault_page(
    parts: Parts,
    who: Identity,
    page: Page,
    fault: str,
    *,
    status: int = 200,
    notice: str = "",
    filled: Filled | None = None,
    shown: tuple[str, str] = ("", ""),
) -> Response:
    now_ms = parts.now_ms()
    language = page.language
    with reading(parts.deps.engine) as connection:
        try:
            found = find_fault(connection, who.scope, fault)
        except UnknownFault as error:
            raise NotFound from error
        known = parts.registry.get(connection)
        (line,) = fault_lines(connection, who, known, language, [found], now_ms)
        events = history(connection, found.id)
        deliveries = list_deliveries(connection, who.scope, fault=found.id, limit=TOLD_SHOWN + 1)
        children = children_of(connection, who.scope, [found.id]).get(found.id, [])
        lines = fault_lines(connection, who, known, language, children, now_ms)
        same_here = same_before(connection, who.scope, found, now_ms - PAST_MS)
        same_near = (
            []
            if found.compound is None or found.device is None
            else same_nearby(connection, who.scope, found, now_ms - PAST_MS)
        )
        past = _past(connection, who, parts, language, [*same_here, *same_near], now_ms)
        held_by = _window(connection, who, found)
        kept = of_faults(connection, known, who.scope, [found.id], now_ms)[found.id]
        calls = _calls(connection, who, known, language, found, now_ms)
        standing = _standing(connection, who, found)
        session = _session(connection, who, language, found, now_ms)
        overrides = overrides_in_force(connection)
        assigned = assignees(connection, who.scope) if who.role in MAY_ACT else []
    # after the database was let go: the telemetry store may take its time
    charts: FaultCharts | None = None
    if not page.wants_parts:
        charts = fault_charts(parts, language, known, found, standing, overrides, now_ms, shown)
    rule = RULES.get(found.code)
    advice = "" if rule is None else named(language, Name(rule.advice_zh, rule.advice_en))
    by_id = {one.fault: one for one in lines}
    due = deadline(language, found, kept, now_ms)
    return page.render(
        "fault.html",
        status,
        who=who,
        line=line,
        found=found,
        advice=_steps(advice),
        calls=calls[:CALLS_SHOWN],
        evidence=evidence_lines(language, found),
        charts=charts,
        happened=_happened(
            [_event(language, event, now_ms) for event in reversed(events)],
            notices(language, deliveries[:TOLD_SHOWN], now_ms),
        ),
        is_told=bool(deliveries),
        more_told=len(deliveries) > TOLD_SHOWN,
        children=folded(language, children, by_id),
        child_count=len(children),
        same_here=past[: len(same_here)],
        same_near=past[len(same_here) :],
        held_by=held_by,
        session=session,
        countdown=_countdown(language, kept, due, now_ms),
        now_ms=now_ms,
        steps=step_lines(language, kept, now_ms),
        step_notes=notes(language, kept),
        shelved_until=_known(found.shelved_until_ms, now_ms),
        onsite=_known(found.onsite_at_ms, now_ms),
        repaired=_known(found.repaired_at_ms, now_ms),
        hours=shelf_choices(language),
        assigned=assigned,
        filled=filled or Filled(),
        may_act=who.role in MAY_ACT,
        may_acknowledge=found.state in (State.OPEN, State.CLEARED),
        may_shelve=not found.safety and found.kind != faults.PLATFORM,
        is_closed=found.state is State.CLOSED,
        is_flapping=faults.is_flapping(found) and found.state is not State.CLOSED,
        notice=notice,
    )


def _steps(advice: str) -> list[str]:
    """What to do, one thing after the other."""
    steps = [part.strip() for part in advice.replace("；", ";").split(";")]
    return [step[:1].upper() + step[1:] for step in steps if step]


def _known(at_ms: int | None, now_ms: int) -> str:
    return "" if at_ms is None else when(at_ms, now_ms)


def _countdown(
    language: Language, kept: Ledger, due: Deadline | None, now_ms: int
) -> Countdown | None:
    """The next limit as a figure and what it is for; what pauses the clock, where it stands."""
    if due is None:
        return None
    step = kept.next
    if due.kind == "paused" or step is None or step.due_ms is None:
        return Countdown(due.kind, "", due.text, None)
    what = say(language, _TO_DO[step.name]) if step.name in _TO_DO else ""
    if step.verdict is Verdict.OVERDUE:
        late_s = (now_ms - step.due_ms) / 1000
        return Countdown(
            "over", duration(language, late_s), say(language, "fw_late", what=what), None
        )
    left_s = (step.due_ms - now_ms) / 1000
    figure = countdown(left_s) if left_s < 3600 else duration(language, left_s)
    is_short = left_s < 3600
    return Countdown(
        due.kind, figure, say(language, "fw_left", what=what), step.due_ms if is_short else None
    )


def _calls(
    connection: Connection,
    who: Identity,
    known: Known,
    language: Language,
    fault: Fault,
    now_ms: int,
) -> list[Call]:
    """Who is on duty now, then whom the registry names."""
    entry = known.directory.compounds.get(fault.compound or "")
    now = [] if entry is None else on_duty(connection, who.scope, language, entry.firm, now_ms)
    return [*now, *(call(one) for one in contacts(connection, fault.compound))]


def _standing(connection: Connection, who: Identity, fault: Fault) -> Standing | None:
    if fault.device is None:
        return None
    return find_device(connection, who.scope, fault.device, blind=False)


def _session(
    connection: Connection, who: Identity, language: Language, fault: Fault, now_ms: int
) -> Related | None:
    """What was being charged at this socket when it began."""
    if fault.kind != "port" or fault.device is None:
        return None
    found = session_around(connection, who.scope, fault.device, fault.since_ms)
    if found is None:
        return None
    at = say(language, "not_known")
    if found.started_at_ms is not None:
        at = when(found.started_at_ms, now_ms)
    state = say(language, "fw_session_open") if found.ended_at_ms is None else ""
    return Related(found.id, found.order, at, state)


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


def _past(
    connection: Connection,
    who: Identity,
    parts: Parts,
    language: Language,
    some: list[Fault],
    now_ms: int,
) -> list[Past]:
    known = parts.registry.get(connection)
    said = last_words(connection, [one.id for one in some]) if some else {}
    found = []
    for line, one in zip(
        fault_lines(connection, who, known, language, some, now_ms), some, strict=True
    ):
        event = said.get(one.id)
        found.append(
            Past(
                one.id,
                fault_name(language, one.code),
                line.device,
                when(one.opened_at_ms, None),
                line.severity,
                line.word,
                _how_it_ended(language, one, now_ms),
                "" if event is None or event.note is None else event.note,
                "" if event is None else event.actor,
            )
        )
    return found


def _how_it_ended(language: Language, fault: Fault, now_ms: int) -> str:
    """Its resolution, and how long it lasted."""
    ended_ms = fault.cleared_at_ms or fault.closed_at_ms
    if fault.state is not State.CLOSED or ended_ms is None:
        lasted = duration(language, max(0, now_ms - fault.since_ms) / 1000)
        return say(language, "fw_still_stands", lasted=lasted)
    word = f"res_{fault.resolution}"
    how = say(language, word) if knows(word) else fault.resolution or ""
    if not how:
        how = say(language, "h_over" if fault.cleared_at_ms is not None else "fw_ended")
    lasted = duration(language, max(0, ended_ms - fault.since_ms) / 1000)
    return say(language, "fw_ended_after", how=how, lasted=lasted)


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
