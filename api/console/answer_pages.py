"""The page behind the link in a message: one fault, for a phone, without a login.

Looking changes nothing, for chats open links by themselves to show what is behind them. What
somebody does here goes through the same table as everywhere, and stands in the fault's history with
the name that they gave, who got the message, and the number of the delivery whose link it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import audited
from api.console.calls import call
from api.console.overview_pages import evidence_lines, fault_lines
from api.console.pages import Page
from api.console.sla_views import deadline
from api.errors import Forbidden, NotFound
from api.fault_actions import ACTIONS, Asked, Said
from api.identity import Answerer, Answering, Identity, Role, refuse_other_sites
from api.instants import when
from api.namesakes import told_apart
from api.parts import Parts, PartsOf
from api.sla import of_faults
from api.words import Language, named, say
from devices import faults
from devices.audit import REPEATED
from devices.catalogue import RULES
from devices.faults import Fault, FaultEvent, FaultMoved, Move, State, Why
from devices.links import NAME_CHARACTERS, clean_name, is_own_form, sign_form
from devices.registry import Name
from devices.store.database import reading, writing
from devices.store.devices import device_names
from devices.store.faults import UnknownFault, find_fault, move_fault, newest_events
from devices.store.links import Other, contacts, hand_on, others
from devices.store.scope import Scope
from devices.telling import basis_line

NAME_COOKIE = "courtyard_answerer"
NAME_KEPT_S = 90 * 86_400
NOTE_CHARACTERS = 500
TARGET_CHARACTERS = 40
EVENTS_SHOWN = 8
CONTACTS_SHOWN = 10
AGAIN_WITHIN_MS = 2 * 60_000  # the same from the same person so soon is a second tap on a button
# What an action leaves in the history, to know a second tap by.
_LEAVES: Mapping[str, Why] = MappingProxyType(
    {
        "acknowledge": Why.ACKNOWLEDGED,
        "comment": Why.COMMENTED,
        "assign": Why.ASSIGNED,
        "onsite": Why.ONSITE,
        "repaired": Why.REPAIRED,
        "confirm": Why.CONFIRMED,
        "refute": Why.CLOSED,
    }
)

router = APIRouter(include_in_schema=False)

LanguageOf = Annotated[Literal["zh", "en"] | None, Query(alias="lang")]
DoneOf = Annotated[str, Query(max_length=20)]


@dataclass(frozen=True, slots=True)
class Filled:
    """The form as it was sent, or as it is at first."""

    name: str = ""
    note: str = ""
    to: str = ""


@router.get("/a/{token}")
def answer_page(
    request: Request, parts: PartsOf, who: Answering, lang: LanguageOf = None, done: DoneOf = ""
) -> Response:
    """What is wrong, and what can be done about it; changes nothing."""
    page = _page(request, who, lang)
    notice = page.say(f"a_done_{done}") if done in _LEAVES else ""
    return _show(parts, who, page, Filled(_kept_name(request)), notice=notice)


@router.post("/a/{token}")
def answer(
    request: Request,
    parts: PartsOf,
    who: Answering,
    do: Annotated[str, Form(max_length=20)],
    form: Annotated[str, Form(max_length=80)],
    name: Annotated[str, Form(max_length=8 * NAME_CHARACTERS)] = "",
    note: Annotated[str, Form(max_length=NOTE_CHARACTERS)] = "",
    to: Annotated[str, Form(max_length=60)] = "",
    lang: LanguageOf = None,
) -> Response:
    """Do one thing about the fault, and show the page again."""
    _refuse_forgery(request, parts, who, form)
    page = _page(request, who, lang)
    filled = Filled(who.sent.person_name or clean_name(name), note.strip(), to)
    action = ACTIONS.get(do)
    if action is None or not action.by_link:
        raise NotFound
    if not filled.name:
        return _show(parts, who, page, filled, status=422, wrong=page.say("a_name_needed"))
    if action.needs_note and not filled.note:
        return _show(parts, who, page, filled, status=422, wrong=page.say("note_needed"))
    try:
        is_done = _act(parts, who, do, filled)
    except UnknownFault as error:
        raise NotFound from error
    except FaultMoved:
        return _show(parts, who, page, filled, status=409, wrong=page.say("moved_on"))
    if not is_done:
        return _show(parts, who, page, filled, status=422, wrong=page.say("a_nobody_there"))
    more = "" if lang is None else f"&lang={lang}"
    shown = RedirectResponse(f"/a/{who.text}?done={do}{more}", 303)
    if who.sent.person_name is not None:
        return shown  # who they are is known, and nobody else's phone is asked to remember it
    shown.set_cookie(
        NAME_COOKIE,
        quote(filled.name),
        max_age=NAME_KEPT_S,
        path="/a",
        httponly=True,
        samesite="lax",  # the link comes from another application
        secure=request.url.scheme == "https",
    )
    return shown


def _refuse_forgery(request: Request, parts: Parts, who: Answerer, form: str) -> None:
    """Raise Forbidden unless the page of this link sent this. A browser that is inside a chat may
    leave out where a form comes from; the form itself never does."""
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        refuse_other_sites(request)
    if not is_own_form(form, who.text, who.key, parts.now_ms()):
        raise Forbidden("This form was not made by this page, or half a day ago: open it again.")


def _act(parts: Parts, who: Answerer, do: str, filled: Filled) -> bool:
    """Whether it was done, or had been by the tap before; False: nobody there to hand it to.

    Raises UnknownFault, FaultMoved.
    """
    now_ms = parts.now_ms()
    actor = f"{filled.name} · {who.sent.to.name[:TARGET_CHARACTERS]}"
    audited.sent_by(actor, "link", token=0)
    audited.about(who.sent.fault, did=do, delivery=who.sent.delivery)
    note = filled.note or None
    with writing(parts.deps.engine) as connection:
        to = _handed_to(connection, who, filled) if do == "assign" else None
        if do == "assign" and to is None:
            return False
        scope = Scope(who.sent.to.firm)
        find_fault(connection, scope, who.sent.fault, lock=True)
        for event in newest_events(connection, who.sent.fault, EVENTS_SHOWN):
            same = (event.reason, event.actor, event.note) == (_LEAVES[do], actor, note)
            if same and 0 <= now_ms - event.at_ms < AGAIN_WITHIN_MS:
                audited.came_out(REPEATED)
                return True
        said = Said(note, assignee=None if to is None else to.name)
        move = _by_link(ACTIONS[do].move, Asked(actor, now_ms, said), who, to)
        fault = move_fault(connection, scope, who.sent.fault, move)
        if to is not None:
            hand_on(connection, fault, to, now_ms)
    return True


def _handed_to(connection: Connection, who: Answerer, filled: Filled) -> Other | None:
    return next((one for one in others(connection, who.sent) if one.id == filled.to), None)


def _by_link(
    move: Callable[[Fault, Asked], Move], asked: Asked, who: Answerer, to: Other | None
) -> Callable[[Fault], Move]:
    """The same move, with the link by which it was made in its evidence."""

    def moved(was: Fault) -> Move:
        fault, event = move(was, asked)
        evidence = {**(event.evidence or {}), "delivery": who.sent.delivery}
        if to is not None:
            evidence["handed_to"] = to.id
        return fault, replace(event, evidence=evidence)

    return moved


def _page(request: Request, who: Answerer, lang: Language | None) -> Page:
    return Page(request, lang or who.sent.language.value, chosen=False)


def _kept_name(request: Request) -> str:
    return clean_name(unquote(request.cookies.get(NAME_COOKIE, "")[:400], errors="replace"))


def _show(
    parts: Parts,
    who: Answerer,
    page: Page,
    filled: Filled,
    *,
    status: int = 200,
    notice: str = "",
    wrong: str = "",
) -> Response:
    now_ms = parts.now_ms()
    scope = Scope(who.sent.to.firm)
    as_them = Identity(who.sent.to.name, Role.VISITOR, scope)
    with reading(parts.deps.engine) as connection:
        try:
            found = find_fault(connection, scope, who.sent.fault)
        except UnknownFault as error:
            raise NotFound from error
        known = parts.registry.get(connection)
        (line,) = fault_lines(connection, as_them, known, page.language, [found], now_ms)
        events = newest_events(connection, found.id, EVENTS_SHOWN)
        called = contacts(connection, found.compound)
        names = device_names(connection, scope, {found.device} if found.device else set())
        to = others(connection, who.sent)
        staff = [one for one in to if one.person is not None]
        labels = told_apart(page.language, known, staff, sees_phones=True)
        kept = of_faults(connection, known, scope, [found.id], now_ms)[found.id]
    rule = RULES.get(found.code)
    basis = basis_line(page.language, found.code, found.kind, found.evidence)
    is_closed = found.state is State.CLOSED
    return page.render(
        "answer.html",
        status,
        line=line,
        where=" ".join(part for part in names.get(found.device or "", ())[1:] if part),
        found=found,
        advice="" if rule is None else named(page.language, Name(rule.advice_zh, rule.advice_en)),
        basis=basis,
        evidence=[] if basis else evidence_lines(page.language, found),
        calls=[call(one) for one in called[:CONTACTS_SHOWN]],
        events=[_event(page.language, event, now_ms) for event in events],
        others=[(one.id, labels.get(one.id, one.name)) for one in to],
        sent=who.sent,
        filled=filled,
        form=sign_form(who.text, who.key, now_ms),
        address=f"/a/{who.text}" + (f"?lang={page.language}" if _is_switched(page, who) else ""),
        deadline=deadline(page.language, found, kept, now_ms),
        may_acknowledge=found.state in (State.OPEN, State.CLEARED),
        is_closed=is_closed,
        is_ours=found.kind == faults.PLATFORM,
        name_characters=NAME_CHARACTERS,
        note_characters=NOTE_CHARACTERS,
        notice=notice,
        wrong=wrong,
    )


def _is_switched(page: Page, who: Answerer) -> bool:
    return page.language != who.sent.language.value


def _event(language: Language, event: FaultEvent, now_ms: int) -> Mapping[str, str]:
    is_system = event.actor == faults.SYSTEM
    return {
        "at": when(event.at_ms, now_ms),
        "what": say(language, f"h_{event.reason}"),
        "kind": "judge" if is_system else "person",
        "who": say(language, "system") if is_system else event.actor,
        "note": event.note or "",
    }
