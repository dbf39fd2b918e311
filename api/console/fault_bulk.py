"""What people do about several faults at once: each for itself, and what was not done is told.

Nothing here is all or nothing: who has picked twenty faults wants the nineteen that can be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from api import audited
from api.console.fault_filters import parse_question
from api.console.fault_refusals import why_not
from api.console.overview_pages import fault_lines
from api.console.pages import Page, PageOf
from api.errors import BadParameter
from api.fault_actions import ACTIONS, Asked, Said
from api.faults import check_shelf
from api.identity import Actor, Identity
from api.instants import DISTRICT_ZONE, parse_instant
from api.parts import Parts, PartsOf
from api.words import Language, duration, say
from devices.faults import SHELVED_AT_MOST_MS, Fault, FaultMoved
from devices.store.database import reading, writing
from devices.store.faults import Filter, UnknownFault, find_fault, list_faults, move_fault

AT_ONCE = 100  # so many are acted on with one button
HOUR_MS = 3_600_000
SHELVED_FOR_H = (1, 4, 24, 168)
NOTE_CHARACTERS, ASSIGNEE_CHARACTERS = 2000, 120

router = APIRouter(include_in_schema=False)

PickedOf = Annotated[list[str], Form(max_length=AT_ONCE)]
BackOf = Annotated[str, Form(max_length=1000)]
NoteOf = Annotated[str, Form(max_length=NOTE_CHARACTERS)]
AssigneeOf = Annotated[str, Form(max_length=ASSIGNEE_CHARACTERS)]
HoursOf = Annotated[int, Form(ge=1, le=SHELVED_AT_MOST_MS // HOUR_MS)]
UntilOf = Annotated[str, Form(max_length=40)]


@dataclass(frozen=True, slots=True)
class Filled:
    """The form as it was sent. note: the reason, where something is shelved.

    until: local time, as a field has it; empty: for `hours`.
    """

    note: str = ""
    assignee: str = ""
    hours: int = 4
    until: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """One that was not done. place: empty for one that is not theirs."""

    fault: str
    name: str
    place: str
    severity: str
    word: str
    why: str


@router.post("/faults/acknowledge")
def acknowledge_some(
    parts: PartsOf, who: Actor, page: PageOf, fault: PickedOf, back: BackOf = ""
) -> Response:
    """All that were picked are acknowledged."""
    return _act_on_some(parts, who, page, "acknowledge", fault, back, Filled())


@router.post("/faults/assign")
def assign_some(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    fault: PickedOf,
    back: BackOf = "",
    assignee: AssigneeOf = "",
) -> Response:
    """All that were picked are handed to somebody; taken, where nobody is named."""
    filled = Filled(assignee=assignee.strip())
    return _act_on_some(parts, who, page, "assign", fault, back, filled)


@router.post("/faults/comment")
def comment_on_some(
    parts: PartsOf, who: Actor, page: PageOf, fault: PickedOf, back: BackOf = "", note: NoteOf = ""
) -> Response:
    """The same note at all that were picked."""
    return _act_on_some(parts, who, page, "comment", fault, back, Filled(note.strip()))


@router.post("/faults/shelve")
def shelve_some(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    fault: PickedOf,
    back: BackOf = "",
    reason: NoteOf = "",
    hours: HoursOf = 4,
    until: UntilOf = "",
) -> Response:
    """All that were picked are shelved with a reason, but for those of the safety tier."""
    filled = Filled(reason.strip(), hours=hours, until=until.strip())
    return _act_on_some(parts, who, page, "shelve", fault, back, filled)


def until_ms(hours: int, until: str, now_ms: int) -> int:
    """When a shelf ends: at that local time, else after so many hours. Raises BadParameter."""
    if not until:
        return now_ms + hours * HOUR_MS
    at_ms = parse_instant("until", until, DISTRICT_ZONE)
    check_shelf(at_ms, now_ms)
    return at_ms


def lacking(page: Page, action: str, filled: Filled, now_ms: int) -> str:
    """What the form still lacks for this action, in words; empty: nothing."""
    if action == "comment" and not filled.note:
        return page.say("note_needed")
    if action != "shelve":
        return ""
    if not filled.note:
        return page.say("fw_reason_needed")
    try:
        until_ms(filled.hours, filled.until, now_ms)
    except BadParameter:
        return page.say("fw_until_wrong")
    return ""


def shelf_choices(language: Language) -> list[tuple[int, str]]:
    """For how long something is usually shelved: hours, and as words."""
    return [(hours, duration(language, hours * 3600)) for hours in SHELVED_FOR_H]


def _act_on_some(
    parts: Parts,
    who: Identity,
    page: Page,
    action: str,
    picked: Sequence[str],
    back: str,
    filled: Filled,
) -> Response:
    now_ms = parts.now_ms()
    question = parse_question(back)
    ids = list(dict.fromkeys(picked))
    audited.about("", faults=ids)
    wrong = lacking(page, action, filled, now_ms)
    if wrong:
        return _ask_again(parts, who, page, action, ids, question.query(), filled, wrong)
    said = Said(filled.note or None, assignee=filled.assignee or None)
    asked = Asked(who.name, now_ms, said, until_ms(filled.hours, filled.until, now_ms))
    refused: list[str] = []
    for fault in ids:
        try:
            with writing(parts.deps.engine) as connection:
                move_fault(
                    connection, who.scope, fault, lambda was: ACTIONS[action].move(was, asked)
                )
        except (UnknownFault, FaultMoved):
            refused.append(fault)
    done = len(ids) - len(refused)
    if not refused:
        return RedirectResponse(question.address(did=action, done=str(done)), 303)
    return page.render(
        "fault_bulk.html",
        200 if done else 409,
        who=who,
        action=action,
        lead=_lead(page, action, done, len(refused)),
        missed=_missed(parts, who, page.language, refused, action, now_ms),
        back=question.address(),
    )


def _ask_again(
    parts: Parts,
    who: Identity,
    page: Page,
    action: str,
    ids: Sequence[str],
    back: str,
    filled: Filled,
    wrong: str,
) -> Response:
    """The same form once more, with what was filled in and what it lacks."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = list_faults(connection, who.scope, Filter(ids=frozenset(ids)), limit=AT_ONCE)
        lines = fault_lines(connection, who, known, page.language, found, now_ms)
    return page.render(
        "fault_bulk_form.html",
        422,
        who=who,
        action=action,
        lines=lines,
        query=back,
        filled=filled,
        wrong=wrong,
        hours=shelf_choices(page.language),
        back=parse_question(back).address(),
    )


def told(page: Page, did: str, done: int) -> str:
    """What became of what was asked for before this page was shown."""
    if did in ("saved", "forgotten"):
        return page.say(f"fw_{did}")
    return page.say(f"fw_did_{did}", n=done) if did in ACTIONS and done else ""


def _lead(page: Page, action: str, done: int, missed: int) -> str:
    words = [page.say(f"fw_did_{action}", n=done)] if done else []
    return page.say("semicolon").join([*words, page.say("fw_missed", n=missed)])


def _missed(
    parts: Parts,
    who: Identity,
    language: Language,
    refused: Sequence[str],
    action: str,
    now_ms: int,
) -> list[Missed]:
    """As they are now, a moment after they were refused."""
    found: list[Fault] = []
    gone: list[str] = []
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        for fault in refused:
            try:
                found.append(find_fault(connection, who.scope, fault))
            except UnknownFault:
                gone.append(fault)
        lines = fault_lines(connection, who, known, language, found, now_ms)
        missed = [
            Missed(
                line.fault,
                line.name,
                say(language, "sep").join(filter(None, (line.place, line.device))),
                line.severity,
                line.word,
                why_not(language, connection, fault, action, now_ms),
            )
            for line, fault in zip(lines, found, strict=True)
        ]
    nobody = Missed("", "", "", "", "", say(language, "fw_not_there"))
    return [*missed, *(replace(nobody, name=fault) for fault in gone)]
