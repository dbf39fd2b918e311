"""The console's pages of duty: who is on duty now and next, people, stand-ins, and a dry run of who
would be told of what.

They do what the API does, through its functions. An empty field of an edit keeps what is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Form, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api import paging, rosters, routing, shapes
from api.console.alert_pages import (
    ask,
    choices_of,
    compounds_of,
    firms_of,
    led_to,
    may_act,
    whom_of,
)
from api.console.form_refusals import NOTHING, REFUSALS, Said, refused, say_done
from api.console.naming import fault_name
from api.console.overview import SEVERITIES
from api.console.pages import Page, PageOf
from api.errors import Moved, NotFound
from api.identity import Actor, Identity, Reader, Role
from api.instants import when
from api.namesakes import firm_name, told_apart
from api.parts import Known, Parts, PartsOf
from api.words import Language, say
from devices.alerts import ROUTES_AT_MOST
from devices.calendars import print_minute
from devices.catalogue import RULES
from devices.days import zone_of
from devices.rosters import (
    LEVELS_AT_MOST,
    PEOPLE_AT_MOST,
    OnDuty,
    Person,
    Roster,
    Rotation,
    StandIn,
    called,
    duty_text,
    shifts,
)
from devices.store.database import reading
from devices.store.rosters import (
    UnknownStandIn,
    find_stand_in,
    list_people,
    list_rosters,
    list_stand_ins,
    names_of,
)
from devices.store.targets import list_routes, list_targets
from devices.telling import when as when_in

router = APIRouter(include_in_schema=False)

NEXT_SHIFTS = 4  # of a list; its own page has more
NEXT_SHIFTS_OF_ONE = 14
STAND_INS_SHOWN = 100
NEW_PLACES = 3  # empty lines for people in the form of a roster

DoneOf = Annotated[
    str,
    Query(
        alias="done",
        pattern="^(person_made|person_gone|roster_made|roster_gone|stand_in_made|ended|saved)?$",
    ),
]
WordOf = Annotated[str, Form(max_length=2000)]
IdsOf = Annotated[list[str], Form(max_length=200)]


@router.get("/alerts/stand-ins")  # where one stays whose stand-in was refused
@router.get("/alerts/duty")
def duty_page(
    parts: PartsOf, who: Reader, page: PageOf, rows: paging.PageOf, done: DoneOf = ""
) -> Response:
    """Rosters by name with who is on duty, people, and who stands in for whom."""
    return _duty_page(parts, who, page, rows, said=_done(page, done))


@router.post("/alerts/stand-ins")
def make_stand_in(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    rows: paging.PageOf,
    person: WordOf = "",
    by: WordOf = "",
    roster: WordOf = "",
    starts_at: WordOf = "",
    ends_at: WordOf = "",
    note: WordOf = "",
) -> Response:
    """What it cannot be is told on the page, with what was written."""
    written = {"person": person, "by": by, "roster": roster, "starts_at": starts_at,
               "ends_at": ends_at, "note": note}  # fmt: skip
    try:
        asked = {"person": person, "by": by, "roster": roster or None, "to": ends_at.strip()}
        asked |= {"from": starts_at.strip(), "note": note.strip() or None}
        rosters.make_stand_in(parts, who, shapes.duty.NewStandIn.model_validate(asked))
    except REFUSALS as error:
        return _duty_page(parts, who, page, rows, said=refused(page, error), written=written)
    return RedirectResponse("/alerts/duty?done=stand_in_made", 303)


@router.get("/alerts/stand-ins/{stand_in}/end")
def ask_end_stand_in(parts: PartsOf, who: Reader, page: PageOf, stand_in: str) -> Response:
    """Whether it is really to end."""
    with reading(parts.deps.engine) as connection:
        try:
            found = find_stand_in(connection, who.scope, stand_in)
        except UnknownStandIn as error:
            raise NotFound from error
        names = names_of(connection, {found.person, found.by})
    line = _stand_in(page.language, found, names, {}, parts.now_ms())
    return ask(
        page,
        who,
        page.say("du_end_stand_in", by=line.by, person=line.person),
        page.say("du_end_stand_in_means"),
        f"/alerts/stand-ins/{stand_in}/end",
        back="/alerts/duty",
        verb="m_end",
    )


@router.post("/alerts/stand-ins/{stand_in}/end")
def end_stand_in(parts: PartsOf, who: Actor, stand_in: str) -> Response:
    """It ends now; one that has not begun never was."""
    rosters.remove_stand_in(parts, who, stand_in)
    return RedirectResponse("/alerts/duty?done=ended", 303)


# People


@router.get("/alerts/people/new")
def new_person_page(parts: PartsOf, who: Reader, page: PageOf, firm: str = "") -> Response:
    """The form of a new person, of this firm."""
    return _person_page(parts, who, page, None, firm=firm)


@router.post("/alerts/people/new")
def make_person(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    name: WordOf = "",
    firm: WordOf = "",
    language: WordOf = "zh",
    phone: WordOf = "",
    target: IdsOf = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """What cannot be is told on the page, with what was written."""
    written = Person("", name, firm or None, phone=phone, targets=tuple(target))
    try:
        body = shapes.duty.NewPerson(
            name=name,
            firm=firm or None,
            language=language,
            phone=phone.strip() or None,
            targets=target,
        )
        rosters.make_person(parts, who, body)
    except REFUSALS as error:
        return _person_page(
            parts, who, page, None, firm=firm, said=refused(page, error), written=written
        )
    return RedirectResponse("/alerts/duty?done=person_made", 303)


@router.get("/alerts/people/{person}")
def person_page(
    parts: PartsOf, who: Reader, page: PageOf, person: str, done: DoneOf = ""
) -> Response:
    """One of them: how they are reached, and what leads to them."""
    return _person_page(parts, who, page, person, said=_done(page, done))


@router.post("/alerts/people/{person}")
def change_person(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    person: str,
    name: WordOf = "",
    language: WordOf = "",
    phone: WordOf = "",
    target: IdsOf = [],  # noqa: B006
) -> Response:
    """Name and language stay as they are where they are empty; telephone and targets do not."""
    with reading(parts.deps.engine) as connection:
        found = rosters.person_of(connection, who, person)
    written = replace(found, name=name.strip() or found.name, phone=phone, targets=tuple(target))
    try:
        body = shapes.duty.PersonSettings(
            name=name.strip() or found.name,
            language=language or found.language.value,
            phone=phone.strip() or None,
            targets=target,
        )
        rosters.replace_person(parts, who, person, body)
    except REFUSALS as error:
        return _person_page(parts, who, page, person, said=refused(page, error), written=written)
    return RedirectResponse(f"/alerts/people/{person}?done=saved", 303)


@router.get("/alerts/people/{person}/delete")
def ask_delete_person(parts: PartsOf, who: Reader, page: PageOf, person: str) -> Response:
    """Whether they are really to be deleted."""
    with reading(parts.deps.engine) as connection:
        found = rosters.person_of(connection, who, person)
    return _ask(page, who, "person", found.name, f"/alerts/people/{person}")


@router.post("/alerts/people/{person}/delete")
def delete_person(parts: PartsOf, who: Actor, page: PageOf, person: str) -> Response:
    """Nobody is told through them any more; refused while a roster names them."""
    try:
        rosters.remove_person(parts, who, person)
    except Moved as error:
        return _person_page(parts, who, page, person, said=refused(page, error))
    return RedirectResponse("/alerts/duty?done=person_gone", 303)


# Rosters


@router.get("/alerts/rosters/new")
def new_roster_page(parts: PartsOf, who: Reader, page: PageOf, firm: str = "") -> Response:
    """The form of a new roster, of this firm."""
    return _roster_page(parts, who, page, None, firm=firm)


@router.post("/alerts/rosters/new")
def make_roster(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    name: WordOf = "",
    firm: WordOf = "",
    rotation: WordOf = "daily",
    starts_on: WordOf = "",
    handover: WordOf = "08:00",
    person: IdsOf = [],  # noqa: B006
    level_2: IdsOf = [],  # noqa: B006
    level_3: IdsOf = [],  # noqa: B006
    level_4: IdsOf = [],  # noqa: B006
    level_5: IdsOf = [],  # noqa: B006
    level_6: IdsOf = [],  # noqa: B006
) -> Response:
    """What it cannot be is told on the page, with what was written."""
    levels = (level_2, level_3, level_4, level_5, level_6)
    written = Plan(name, rotation, starts_on, handover, person, levels)
    try:
        body = shapes.duty.NewRoster(
            name=name,
            firm=firm or None,
            rotation=rotation,
            starts_on=starts_on,
            handover=handover,
            people=list(filter(None, person)),
            levels=_levels(*levels),
        )
        made = rosters.make_roster(parts, who, body)
    except REFUSALS as error:
        return _roster_page(
            parts, who, page, None, firm=firm, said=refused(page, error), written=written
        )
    return RedirectResponse(f"/alerts/rosters/{made.id}?done=roster_made", 303)


@router.get("/alerts/rosters/{roster}")
def roster_page(
    parts: PartsOf, who: Reader, page: PageOf, roster: str, done: DoneOf = ""
) -> Response:
    """One roster: who is on duty, who is next, whom to call at each level, and its plan."""
    return _roster_page(parts, who, page, roster, said=_done(page, done))


@router.post("/alerts/rosters/{roster}")
def change_roster(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    roster: str,
    name: WordOf = "",
    rotation: WordOf = "",
    starts_on: WordOf = "",
    handover: WordOf = "",
    person: IdsOf = [],  # noqa: B006
    level_2: IdsOf = [],  # noqa: B006
    level_3: IdsOf = [],  # noqa: B006
    level_4: IdsOf = [],  # noqa: B006
    level_5: IdsOf = [],  # noqa: B006
    level_6: IdsOf = [],  # noqa: B006
) -> Response:
    """Empty fields stay as they are, but for the levels."""
    with reading(parts.deps.engine) as connection:
        found = rosters.roster_of(connection, who, roster, parts.now_ms())
    levels = (level_2, level_3, level_4, level_5, level_6)
    written = Plan(name, rotation, starts_on, handover, person, levels)
    try:
        body = shapes.duty.RosterSettings(
            name=name.strip() or found.name,
            rotation=rotation or found.rotation.value,
            starts_on=starts_on or found.starts_on.isoformat(),
            handover=handover or print_minute(found.handover_min),
            timezone=found.timezone,
            people=list(filter(None, person)) or list(found.people),
            levels=_levels(*levels),
        )
        rosters.replace_roster(parts, who, roster, body)
    except REFUSALS as error:
        return _roster_page(parts, who, page, roster, said=refused(page, error), written=written)
    return RedirectResponse(f"/alerts/rosters/{roster}?done=saved", 303)


@router.get("/alerts/rosters/{roster}/delete")
def ask_delete_roster(parts: PartsOf, who: Reader, page: PageOf, roster: str) -> Response:
    """Whether it is really to be deleted."""
    with reading(parts.deps.engine) as connection:
        found = rosters.roster_of(connection, who, roster, parts.now_ms())
    return _ask(page, who, "roster", found.name, f"/alerts/rosters/{roster}")


@router.post("/alerts/rosters/{roster}/delete")
def delete_roster(parts: PartsOf, who: Actor, roster: str) -> Response:
    """It is gone with the routes that led to it."""
    rosters.remove_roster(parts, who, roster)
    return RedirectResponse("/alerts/duty?done=roster_gone", 303)


# The dry run


@router.get("/alerts/dry-run")
def dry_run_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    code: str = "",
    compound: str = "",
    device: str = "",
    severity: Annotated[str, Query(pattern="^(P[1-4])?$")] = "",
    at: str = "",
) -> Response:
    """Who would be told if this happened at that time, and why; it sends and writes nothing."""
    found: shapes.duty.DryRouting | None = None
    said = NOTHING
    if code:
        try:
            found = routing.try_routes(
                parts,
                who,
                code=code,
                compound=compound or None,
                device=device.strip() or None,
                severity=severity or None,  # type: ignore[arg-type]  # the pattern says which
                at=at.strip() or None,
            )
        except REFUSALS as error:
            said = refused(page, error)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        whom = _whom_of(connection, page.language, known, who, found, parts.now_ms())
    return page.render(
        "alert_dry_run.html",
        said.status,
        who=who,
        found=found,
        whom=whom,
        asked={
            "code": code,
            "compound": compound,
            "device": device,
            "severity": severity,
            "at": at,
        },
        codes=[(one, fault_name(page.language, one)) for one in RULES],
        compounds=compounds_of(page.language, who, known),
        severities=[(one, say(page.language, one.lower())) for one in SEVERITIES],
        said=said,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """A roster as its form has it. people: in their order; levels: from the second on."""

    name: str = ""
    rotation: str = Rotation.DAILY.value
    starts_on: str = ""
    handover: str = "08:00"
    people: Sequence[str] = ()
    levels: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True)
class ShiftLine:
    """Who is on duty for a stretch of time, in words."""

    person: str
    name: str
    until: str
    why: str


@dataclass(frozen=True, slots=True)
class RosterLine:
    id: str
    name: str
    firm: str
    turns: str
    now: ShiftLine
    then: Sequence[ShiftLine]


@dataclass(frozen=True, slots=True)
class PersonLine:
    """phone: empty for those who may not see it."""

    id: str
    name: str
    firm: str
    phone: str
    targets: Sequence[str]


@dataclass(frozen=True, slots=True)
class StandInLine:
    id: str
    person: str
    by: str
    roster: str
    span: str
    note: str


def _duty_page(
    parts: Parts,
    who: Identity,
    page: Page,
    rows: paging.Page,
    *,
    said: Said = NOTHING,
    written: Mapping[str, str] | None = None,
) -> Response:
    now_ms = parts.now_ms()
    language = page.language
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = list_rosters(
            connection, who.scope, at_ms=now_ms, behind=rows.behind, limit=rows.limit + 1
        )
        shown, cursor = rows.split(found, lambda roster: [roster.name, roster.id])
        everybody = list_people(connection, who.scope, limit=PEOPLE_AT_MOST)
        away = list_stand_ins(connection, who.scope, from_ms=now_ms, limit=STAND_INS_SHOWN)
        names = rosters.names_in(connection, shown) | {one.id: one.name for one in everybody}
        targets = dict(choices_of(connection, who))
    of_rosters = {one.id: one.name for one in shown}
    blank = dict.fromkeys(("person", "by", "roster", "starts_at", "ends_at", "note"), "")
    return page.render(
        "alert_duty.html",
        said.status,
        who=who,
        rosters=[_roster(language, known, one, names, now_ms) for one in shown],
        people=[_person(language, who, known, one, targets) for one in everybody],
        stand_ins=[_stand_in(language, one, names, of_rosters, now_ms) for one in away],
        choices=list(told_apart(language, known, everybody, sees_phones=may_act(who)).items()),
        roster_choices=list(of_rosters.items()),
        older="" if cursor is None else page.address(cursor=cursor, done=""),
        written=blank | dict(written or {}),
        may_act=may_act(who),
        said=said,
    )


def _person_page(
    parts: Parts,
    who: Identity,
    page: Page,
    person: str | None,
    *,
    firm: str = "",
    said: Said = NOTHING,
    written: Person | None = None,
) -> Response:
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = written or (
            Person("", "", firm or who.scope.firm)
            if person is None
            else rosters.person_of(connection, who, person)
        )
        whose = found.firm or who.scope.firm
        theirs = [
            (one.id, f"{one.name} · {say(page.language, f'ch_{one.channel}')}")
            for one in list_targets(connection, who.scope, limit=500)
            if one.firm == whose
        ]
        line = _person(page.language, who, known, found, dict(theirs))
    return page.render(
        "alert_person.html",
        said.status,
        who=who,
        person=line,
        chosen=found.language.value,
        picked=found.targets,
        targets=theirs,
        firms=firms_of(page.language, who, known),
        firm=whose or "",
        is_new=person is None,
        may_act=may_act(who),
        said=said,
    )


def _roster_page(
    parts: Parts,
    who: Identity,
    page: Page,
    roster: str | None,
    *,
    firm: str = "",
    said: Said = NOTHING,
    written: Plan | None = None,
) -> Response:
    now_ms = parts.now_ms()
    language = page.language
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = None if roster is None else rosters.roster_of(connection, who, roster, now_ms)
        whose = (firm or who.scope.firm) if found is None else found.firm
        theirs = [
            one
            for one in list_people(connection, who.scope, limit=PEOPLE_AT_MOST)
            if one.firm == (whose or None)
        ]
        people = list(told_apart(language, known, theirs, sees_phones=may_act(who)).items())
        names = {} if found is None else rosters.names_in(connection, [found])
    line, then, levels = None, [], []
    if found is not None:
        line = _roster(language, known, found, names, now_ms)
        turns = shifts(found, now_ms, 1 + NEXT_SHIFTS_OF_ONE)[1:]
        then = [_shift(language, one, found, names, now_ms) for one in turns]
        every = [called(found, level, now_ms) for level in range(1, LEVELS_AT_MOST + 2)]
        levels = [
            [_shift(language, one, found, names, now_ms) for one in level]
            for level in every
            if level
        ]
    plan = written or (Plan() if found is None else _plan(found))
    return page.render(
        "alert_roster.html",
        said.status,
        who=who,
        roster=line,
        then=then,
        levels=levels,
        plan=plan,
        order=[*filter(None, plan.people), *([""] * NEW_PLACES)],
        named=[*plan.levels, *([()] * LEVELS_AT_MOST)][:LEVELS_AT_MOST],
        rotations=[(one.value, say(language, f"du_{one}")) for one in Rotation],
        people=people,
        firms=firms_of(language, who, known),
        firm=whose or "",
        may_act=may_act(who),
        said=said,
    )


def _done(page: Page, word: str) -> Said:
    return say_done(page, word and f"du_{word}")


def _ask(page: Page, who: Identity, what: str, name: str, address: str) -> Response:
    question = page.say(f"du_delete_{what}", name=name)
    means = page.say(f"du_delete_{what}_means")
    return ask(page, who, question, means, f"{address}/delete", back=address)


def _plan(roster: Roster) -> Plan:
    return Plan(
        roster.name,
        roster.rotation.value,
        roster.starts_on.isoformat(),
        print_minute(roster.handover_min),
        roster.people,
        roster.levels,
    )


def _roster(
    language: Language, known: Known, roster: Roster, names: Mapping[str, str], now_ms: int
) -> RosterLine:
    first, *then = shifts(roster, now_ms, 1 + NEXT_SHIFTS)
    at = print_minute(roster.handover_min)
    return RosterLine(
        id=roster.id,
        name=roster.name,
        firm=firm_name(language, known, roster.firm),
        turns=say(language, f"du_turns_{roster.rotation}", at=at, n=len(roster.people)),
        now=_shift(language, first, roster, names, now_ms),
        then=[_shift(language, one, roster, names, now_ms) for one in then],
    )


def _shift(
    language: Language, one: OnDuty, roster: Roster, names: Mapping[str, str], now_ms: int
) -> ShiftLine:
    zone = zone_of(roster.timezone)
    return ShiftLine(
        person=one.person,
        name=names.get(one.person, one.person),
        until=when_in(one.until_ms, now_ms, zone)[:-3],
        why=duty_text(language, one, names, zone),
    )


def _person(
    language: Language, who: Identity, known: Known, person: Person, targets: Mapping[str, str]
) -> PersonLine:
    sees_phone = who.role in (Role.OPERATOR, Role.FIRM)
    return PersonLine(
        id=person.id,
        name=person.name,
        firm=firm_name(language, known, person.firm),
        phone=person.phone if sees_phone else "",
        targets=[targets.get(one, one) for one in person.targets],
    )


def _stand_in(
    language: Language,
    one: StandIn,
    names: Mapping[str, str],
    of_rosters: Mapping[str, str],
    now_ms: int,
) -> StandInLine:
    span = " – ".join(when(at_ms, now_ms)[:-3] for at_ms in (one.from_ms, one.to_ms))
    roster = say(language, "du_all_rosters")
    if one.roster is not None:
        roster = of_rosters.get(one.roster, one.roster)
    return StandInLine(
        one.id,
        names.get(one.person, one.person),
        names.get(one.by, one.by),
        roster,
        span,
        one.note,
    )


def _whom_of(
    connection: Connection,
    language: Language,
    known: Known,
    who: Identity,
    found: shapes.duty.DryRouting | None,
    now_ms: int,
) -> dict[str, str]:
    """For each route that leads to nobody this time, to whom it leads at others."""
    if found is None or not found.not_told:
        return {}
    names = led_to(connection, language, known, who, now_ms)
    wanted = {one.route for one in found.not_told}
    every = list_routes(connection, who.scope, limit=ROUTES_AT_MOST)
    return {one.id: whom_of(language, one, names)[1] for one in every if one.id in wanted}


def _levels(*levels: Sequence[str]) -> list[list[str]]:
    """Those that name somebody; what is empty between two falls out."""
    return [kept for level in levels if (kept := list(filter(None, level)))]
