"""People, duty rosters, and who stands in for whom."""

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from api import shapes
from api.compounds import check_firm
from api.errors import BadParameter, Moved, or_not_found
from api.identity import Actor, Identity, Reader, Role
from api.instants import DISTRICT_ZONE, parse_instant, print_instant, print_known, zone_of
from api.paging import PageOf
from api.parts import Parts, PartsOf
from devices.calendars import DAY_MIN, parse_minute, print_minute
from devices.rosters import (
    LEVELS_AT_MOST,
    OnDuty,
    Person,
    Roster,
    Rotation,
    StandIn,
    called,
    duty,
    duty_text,
    shifts,
)
from devices.store.database import reading, writing
from devices.store.rosters import (
    PersonNeeded,
    TooMany,
    UnknownPerson,
    UnknownRoster,
    UnknownStandIn,
    add_person,
    add_roster,
    add_stand_in,
    change_person,
    change_roster,
    delete_person,
    delete_roster,
    delete_stand_in,
    find_person,
    find_roster,
    list_people,
    list_rosters,
    list_stand_ins,
    names_of,
)
from devices.store.targets import UnknownTarget, find_target
from devices.words import Language

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)

NEXT_SHIFTS = 7
DAY_MS = 86_400_000
STANDS_IN_AT_MOST_MS = 366 * DAY_MS
AWAY_FROM_NOW_MS = 3 * 366 * DAY_MS  # of what is asked or planned; a calendar ends in 9999


@contextmanager
def room() -> Iterator[None]:
    """One more than there may be is Moved."""
    try:
        yield
    except TooMany as error:
        raise Moved(f"{error}. Nothing was done.") from error


FirmOf = Annotated[str | None, Query(description="Only this property firm's.")]


# People


@router.get("/people")
def list_all_people(
    parts: PartsOf, who: Reader, page: PageOf, firm: FirmOf = None
) -> shapes.duty.People:
    """People by name: a firm's own; to the district all."""
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm)
        rows = list_people(
            connection,
            who.scope,
            firm=firm,
            behind=page.behind,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda person: [person.name, person.id])
    return shapes.duty.People(items=[shape_person(one, who) for one in shown], next_cursor=cursor)


@router.get("/people/{person}")
def get_person(parts: PartsOf, who: Reader, person: str) -> shapes.duty.Person:
    """One of them."""
    with reading(parts.deps.engine) as connection:
        return shape_person(person_of(connection, who, person), who)


@router.post("/people", status_code=201, responses=shapes.refusals.TOO_MANY)
def make_person(parts: PartsOf, who: Actor, body: shapes.duty.NewPerson) -> shapes.duty.Person:
    """Somebody whom routes and rosters may lead to."""
    now_ms = parts.now_ms()
    firm = _firm_of(parts, who, body.firm)
    with writing(parts.deps.engine) as connection:
        person = replace(
            _settings(connection, who, body, secrets.token_hex(10), firm),
            created_by=who.name,
            created_at_ms=now_ms,
        )

        def make() -> shapes.duty.Person:
            with room():
                add_person(connection, person)
            return shape_person(person, who)

        return who.once.do(connection, now_ms, shapes.duty.Person, make)


@router.put("/people/{person}", responses=shapes.refusals.TOO_MANY)
def replace_person(
    parts: PartsOf, who: Actor, person: str, body: shapes.duty.PersonSettings
) -> shapes.duty.Person:
    """Give them this name, language, phone and these targets."""
    with writing(parts.deps.engine) as connection:
        found = person_of(connection, who, person)
        changed = _settings(connection, who, body, person, found.firm)
        changed = replace(changed, changed_by=who.name, changed_at_ms=parts.now_ms())
        return shape_person(change_person(connection, who.scope, changed), who)


@router.delete("/people/{person}", status_code=204, responses=shapes.refusals.TOO_MANY)
def remove_person(parts: PartsOf, who: Actor, person: str) -> Response:
    """Nobody is told through them any more; what they were told stays on record.

    409 while a roster names them.
    """
    with writing(parts.deps.engine) as connection:
        try:
            with or_not_found(UnknownPerson):
                delete_person(connection, who.scope, person, parts.now_ms())
        except PersonNeeded as error:
            raise Moved(f"{error}: take them out of it first. Nothing was done.") from error
    return Response(status_code=204)


# Rosters


@router.get("/rosters")
def list_all_rosters(
    parts: PartsOf, who: Reader, page: PageOf, firm: FirmOf = None
) -> shapes.duty.Rosters:
    """Rosters by name, with who is on duty now: a firm's own; to the district all."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm)
        rows = list_rosters(
            connection,
            who.scope,
            at_ms=now_ms,
            firm=firm,
            behind=page.behind,
            limit=page.limit + 1,
        )
        names = names_in(connection, rows)
    shown, cursor = page.split(rows, lambda roster: [roster.name, roster.id])
    items = [shape_roster(roster, names, now_ms) for roster in shown]
    return shapes.duty.Rosters(items=items, next_cursor=cursor)


@router.get("/rosters/{roster}")
def get_roster(parts: PartsOf, who: Reader, roster: str) -> shapes.duty.Roster:
    """One of them."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        found = roster_of(connection, who, roster, now_ms)
        return shape_roster(found, names_in(connection, [found]), now_ms)


@router.get("/rosters/{roster}/duty")
def get_duty(
    parts: PartsOf,
    who: Reader,
    roster: str,
    at: Annotated[
        str | None,
        Query(description="RFC 3339; without zone the roster's time; now unless given."),
    ] = None,
) -> shapes.duty.Duty:
    """Who is on duty at that time, and why; who is next; and whom to call at each level.

    As the roster is now, also of a time that is past: whom a fault was told to is on record in
    `/v1/deliveries`.
    """
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        at_ms = now_ms
        if at is not None:
            zone = zone_of(roster_of(connection, who, roster, now_ms).timezone)
            at_ms = parse_instant("at", at, zone)
            _check_near("at", at_ms, now_ms)
        found = roster_of(connection, who, roster, at_ms)
        names = names_in(connection, [found])
    first, *then = shifts(found, at_ms, 1 + NEXT_SHIFTS)
    levels = [called(found, level, at_ms) for level in range(1, _levels_of(found) + 1)]
    return shapes.duty.Duty(
        roster=found.id,
        at=print_instant(at_ms),
        on_duty=shape_duty(first, names, found),
        next=[shape_duty(one, names, found) for one in then],
        levels=[[shape_duty(one, names, found) for one in level] for level in levels],
    )


@router.post("/rosters", status_code=201, responses=shapes.refusals.TOO_MANY)
def make_roster(parts: PartsOf, who: Actor, body: shapes.duty.NewRoster) -> shapes.duty.Roster:
    """An order of people who take turns; a route to it leads to whoever is on duty."""
    now_ms = parts.now_ms()
    firm = _firm_of(parts, who, body.firm)
    with writing(parts.deps.engine) as connection:
        roster = replace(
            _plan(connection, who, body, secrets.token_hex(10), firm, now_ms),
            created_by=who.name,
            created_at_ms=now_ms,
        )

        def make() -> shapes.duty.Roster:
            with room():
                add_roster(connection, roster)
            found = find_roster(connection, who.scope, roster.id, now_ms)
            return shape_roster(found, names_in(connection, [found]), now_ms)

        return who.once.do(connection, now_ms, shapes.duty.Roster, make)


@router.put("/rosters/{roster}", responses=shapes.refusals.TOO_MANY)
def replace_roster(
    parts: PartsOf, who: Actor, roster: str, body: shapes.duty.RosterSettings
) -> shapes.duty.Roster:
    """Give it this name and plan. Who is on duty follows from the new one at once."""
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        found = roster_of(connection, who, roster, now_ms)
        changed = _plan(connection, who, body, roster, found.firm, now_ms)
        changed = replace(changed, changed_by=who.name, changed_at_ms=now_ms)
        found = change_roster(connection, who.scope, changed)
        return shape_roster(found, names_in(connection, [found]), now_ms)


@router.delete("/rosters/{roster}", status_code=204, responses=shapes.refusals.TOO_MANY)
def remove_roster(parts: PartsOf, who: Actor, roster: str) -> Response:
    """It is gone with the routes that led to it. What its people were told stays on record."""
    with writing(parts.deps.engine) as connection, or_not_found(UnknownRoster):
        delete_roster(connection, who.scope, roster, parts.now_ms())
    return Response(status_code=204)


# Stand-ins


@router.get("/stand-ins")
def list_all_stand_ins(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    person: Annotated[str | None, Query(description="Who is away, or stands in.")] = None,
    roster: Annotated[str | None, Query(description="That hold in this roster.")] = None,
    start: Annotated[
        str | None, Query(alias="from", description="Not over at this time; now unless given.")
    ] = None,
) -> shapes.duty.StandIns:
    """Who stands in for whom, the first to begin first."""
    from_ms = parts.now_ms()
    if start is not None:
        from_ms = parse_instant("from", start, DISTRICT_ZONE)
    with reading(parts.deps.engine) as connection:
        rows = list_stand_ins(
            connection,
            who.scope,
            from_ms=from_ms,
            person=person,
            roster=roster,
            behind=page.behind,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda one: [one.from_ms, one.id])
    return shapes.duty.StandIns(items=[shape_stand_in(one) for one in shown], next_cursor=cursor)


@router.post("/stand-ins", status_code=201, responses=shapes.refusals.TOO_MANY)
def make_stand_in(parts: PartsOf, who: Actor, body: shapes.duty.NewStandIn) -> shapes.duty.StandIn:
    """Somebody does what somebody else was to do, for a time; of several the newest counts."""
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        stand_in = _stand_in(connection, who, body, now_ms)

        def make() -> shapes.duty.StandIn:
            with room():
                add_stand_in(connection, stand_in, now_ms)
            return shape_stand_in(stand_in)

        return who.once.do(connection, now_ms, shapes.duty.StandIn, make)


@router.delete("/stand-ins/{stand_in}", status_code=204, responses=shapes.refusals.TOO_MANY)
def remove_stand_in(parts: PartsOf, who: Actor, stand_in: str) -> Response:
    """It ends now; one that has not begun never was."""
    with writing(parts.deps.engine) as connection, or_not_found(UnknownStandIn):
        delete_stand_in(connection, who.scope, stand_in, parts.now_ms())
    return Response(status_code=204)


# Shapes


def shape_person(person: Person, who: Identity) -> shapes.duty.Person:
    """Telephones are for those who act."""
    is_known = bool(person.phone) and who.role in (Role.OPERATOR, Role.FIRM)
    return shapes.duty.Person(
        id=person.id,
        name=person.name,
        firm=person.firm,
        language=person.language.value,
        phone=person.phone if is_known else None,
        targets=list(person.targets),
        created_by=person.created_by,
        created_at=print_instant(person.created_at_ms),
        changed_by=person.changed_by,
        changed_at=print_known(person.changed_at_ms),
    )


def shape_roster(roster: Roster, names: Mapping[str, str], now_ms: int) -> shapes.duty.Roster:
    return shapes.duty.Roster(
        id=roster.id,
        name=roster.name,
        firm=roster.firm,
        rotation=roster.rotation.value,
        starts_on=roster.starts_on.isoformat(),
        handover=print_minute(roster.handover_min),
        timezone=roster.timezone,
        people=list(roster.people),
        levels=[list(level) for level in roster.levels],
        on_duty=shape_duty(duty(roster, now_ms), names, roster),
        created_by=roster.created_by,
        created_at=print_instant(roster.created_at_ms),
        changed_by=roster.changed_by,
        changed_at=print_known(roster.changed_at_ms),
    )


def shape_duty(on_duty: OnDuty, names: Mapping[str, str], roster: Roster) -> shapes.duty.OnDuty:
    zone = zone_of(roster.timezone)
    return shapes.duty.OnDuty.model_validate(
        {
            "person": on_duty.person,
            "person_name": names.get(on_duty.person, on_duty.person),
            "why": on_duty.why.value,
            "why_text": {
                language: duty_text(language, on_duty, names, zone) for language in ("zh", "en")
            },
            "planned": on_duty.planned,
            "planned_name": names.get(on_duty.planned, on_duty.planned),
            "from": print_instant(on_duty.from_ms),
            "to": print_instant(on_duty.to_ms),
            "until": print_instant(on_duty.until_ms),
        }
    )


def shape_stand_in(stand_in: StandIn) -> shapes.duty.StandIn:
    return shapes.duty.StandIn.model_validate(
        {
            "id": stand_in.id,
            "person": stand_in.person,
            "by": stand_in.by,
            "roster": stand_in.roster,
            "from": print_instant(stand_in.from_ms),
            "to": print_instant(stand_in.to_ms),
            "note": stand_in.note or None,
            "firm": stand_in.firm,
            "created_by": stand_in.created_by,
            "created_at": print_instant(stand_in.created_at_ms),
        }
    )


# What was asked for, checked


def person_of(connection: Connection, who: Identity, person: str) -> Person:
    with or_not_found(UnknownPerson):
        return find_person(connection, who.scope, person)


def roster_of(connection: Connection, who: Identity, roster: str, at_ms: int) -> Roster:
    with or_not_found(UnknownRoster):
        return find_roster(connection, who.scope, roster, at_ms)


def _firm_of(parts: Parts, who: Identity, firm: str | None) -> str | None:
    """Whose it will be. A firm's token makes its own, whatever it says."""
    if who.scope.firm is not None:
        if firm not in (None, who.scope.firm):
            raise BadParameter("firm", "a property firm has people and rosters of its own")
        return who.scope.firm
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm)
    return firm


def _settings(
    connection: Connection,
    who: Identity,
    body: shapes.duty.PersonSettings,
    name: str,
    firm: str | None,
) -> Person:
    targets = tuple(dict.fromkeys(body.targets))
    for one in targets:
        try:
            whose = find_target(connection, who.scope, one).firm
        except UnknownTarget as error:
            raise BadParameter("targets", f"there is no target {one!r} for you") from error
        if whose != firm:
            raise BadParameter("targets", f"{one!r} is {whose or 'the district'}'s, not theirs")
    return Person(
        id=name,
        name=body.name,
        firm=firm,
        language=Language(body.language),
        phone=body.phone or "",
        targets=targets,
    )


def _plan(
    connection: Connection,
    who: Identity,
    body: shapes.duty.RosterSettings,
    name: str,
    firm: str | None,
    now_ms: int,
) -> Roster:
    _check_people(connection, who, "people", body.people, firm)
    _check_people(connection, who, "levels", [one for level in body.levels for one in level], firm)
    try:
        ZoneInfo(body.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        detail = f"{body.timezone[:40]!r} is not a time zone like Asia/Shanghai"
        raise BadParameter("timezone", detail) from error
    handover_min = parse_minute(body.handover)
    if handover_min == DAY_MIN:
        raise BadParameter("handover", "a day ends with 23:59: write 00:00")
    starts_on = _date("starts_on", body.starts_on)
    roster = Roster(
        id=name,
        name=body.name,
        people=tuple(body.people),
        starts_on=starts_on,
        rotation=Rotation(body.rotation),
        handover_min=handover_min,
        timezone=body.timezone,
        levels=tuple(tuple(dict.fromkeys(level)) for level in body.levels),
        firm=firm,
    )
    starts_ms = parse_instant("starts_on", body.starts_on, zone_of(body.timezone))
    _check_near("starts_on", starts_ms, now_ms)
    return roster


def _check_people(
    connection: Connection,
    who: Identity,
    parameter: str,
    people: Collection[str],
    firm: str | None,
) -> None:
    for one in dict.fromkeys(people):
        try:
            whose = find_person(connection, who.scope, one).firm
        except UnknownPerson as error:
            raise BadParameter(parameter, f"there is no person {one!r} for you") from error
        if whose != firm:
            raise BadParameter(parameter, f"{one!r} is of {whose or 'the district'}, not of here")


def _stand_in(
    connection: Connection, who: Identity, body: shapes.duty.NewStandIn, now_ms: int
) -> StandIn:
    person = person_of(connection, who, body.person)
    if person_of(connection, who, body.by).firm != person.firm:
        raise BadParameter("by", "whoever stands in is of the same firm")
    if body.by == body.person:
        raise BadParameter("by", "nobody stands in for themselves")
    zone: tzinfo = DISTRICT_ZONE
    if body.roster is not None:
        roster = roster_of(connection, who, body.roster, now_ms)
        if roster.firm != person.firm:
            raise BadParameter("roster", "the roster is of another firm")
        zone = zone_of(roster.timezone)
    from_ms = parse_instant("from", body.start, zone)
    to_ms = parse_instant("to", body.to, zone)
    _check_near("from", from_ms, now_ms)
    if not max(from_ms, now_ms) < to_ms <= from_ms + STANDS_IN_AT_MOST_MS:
        raise BadParameter("to", "must be to come, after `from`, and within a year of it")
    return StandIn(
        id=secrets.token_hex(10),
        person=body.person,
        by=body.by,
        from_ms=from_ms,
        to_ms=to_ms,
        roster=body.roster,
        note=body.note or "",
        firm=person.firm,
        created_by=who.name,
        created_at_ms=now_ms,
    )


def _check_near(parameter: str, at_ms: int, now_ms: int) -> None:
    if abs(at_ms - now_ms) > AWAY_FROM_NOW_MS:
        raise BadParameter(parameter, "is more than three years away")


def _date(parameter: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadParameter(parameter, f"{text} is not in the calendar") from error


def _levels_of(roster: Roster) -> int:
    """How many levels to show: those that are named, or so many of the order."""
    if roster.levels:
        return 1 + len(roster.levels)
    return min(len(roster.people), 1 + LEVELS_AT_MOST)


def names_in(connection: Connection, shown: Iterable[Roster]) -> dict[str, str]:
    """Of everybody in these rosters, and of who stands in."""
    wanted = {
        one
        for roster in shown
        for one in (
            *roster.people,
            *(person for level in roster.levels for person in level),
            *(stand_in.by for stand_in in roster.stand_ins),
        )
    }
    return names_of(connection, wanted)
