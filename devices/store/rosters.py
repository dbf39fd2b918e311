"""People, duty rosters, and who stands in for whom, as people make them.

A firm sees its own; the district all. Nothing here commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    cast,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from devices.rosters import (
    PEOPLE_AT_MOST,
    ROSTERS_AT_MOST,
    STAND_INS_AT_MOST,
    Person,
    Roster,
    Rotation,
    StandIn,
)
from devices.store.schema import deliveries, people, rosters, routes, stand_ins
from devices.store.scope import Scope
from devices.words import Language


class UnknownPerson(LookupError):
    """No such person in this scope."""


class UnknownRoster(LookupError):
    """No such roster in this scope."""


class UnknownStandIn(LookupError):
    """No such stand-in in this scope."""


class TooMany(Exception):
    """So many exist that no other can be made; says how many may be."""


class PersonNeeded(Exception):
    """A roster names them; says which."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Who there is, by id; rosters with the stand-ins that hold in them."""

    people: Mapping[str, Person]
    rosters: Mapping[str, Roster]
    stand_ins: tuple[StandIn, ...]


def staff(connection: Connection, from_ms: int) -> Staff:
    """All that stands; of the stand-ins those that are not over then."""
    found = {
        row.id: _person_of(row)
        for row in connection.execute(select(people).where(people.c.deleted_at_ms.is_(None)))
    }
    standing = _stand_ins(connection, stand_ins.c.to_ms > from_ms)
    made = {
        row.id: _roster_of(row, standing)
        for row in connection.execute(select(rosters).where(rosters.c.deleted_at_ms.is_(None)))
    }
    return Staff(found, made, tuple(standing))


# People


def add_person(connection: Connection, person: Person) -> None:
    """Raises TooMany."""
    _check_room(connection, people, PEOPLE_AT_MOST, "people")
    connection.execute(
        insert(people).values(
            id=person.id,
            firm=person.firm,
            created_by=person.created_by,
            created_at_ms=person.created_at_ms,
            **_settings(person),
        )
    )


def change_person(connection: Connection, scope: Scope, changed: Person) -> Person:
    """Give them this name, language, phone and targets. Raises UnknownPerson."""
    done = connection.execute(
        update(people)
        .where(people.c.id == changed.id, people.c.deleted_at_ms.is_(None), _in(people, scope))
        .values(
            changed_by=changed.changed_by, changed_at_ms=changed.changed_at_ms, **_settings(changed)
        )
    )
    if done.rowcount != 1:
        raise UnknownPerson(changed.id)
    return find_person(connection, scope, changed.id)


def delete_person(connection: Connection, scope: Scope, person: str, now_ms: int) -> None:
    """Nobody is told through them any more; routes to them and stand-ins end. What they were told
    stays on record. Raises UnknownPerson, PersonNeeded."""
    found = find_person(connection, scope, person)
    naming = [
        roster.name
        for roster in _rosters(connection, rosters.c.deleted_at_ms.is_(None))
        if person in roster.people or any(person in level for level in roster.levels)
    ]
    if naming:
        raise PersonNeeded(f"{found.name} is in the roster {naming[0]}")
    _end(connection, people, people.c.id == person, now_ms)
    _end(connection, routes, routes.c.person == person, now_ms)
    column = stand_ins.c
    for one in _stand_ins(
        connection, or_(column.person == person, column.substitute == person), _not_over(now_ms)
    ):
        _end_stand_in(connection, one, now_ms)


def find_person(connection: Connection, scope: Scope, person: str) -> Person:
    """Raises UnknownPerson, also outside the scope."""
    query = select(people).where(
        people.c.id == person, people.c.deleted_at_ms.is_(None), _in(people, scope)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownPerson(person)
    return _person_of(row)


def list_people(
    connection: Connection,
    scope: Scope,
    *,
    firm: str | None = None,
    behind: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[Person]:
    """By name. behind: (name, id) of the last one on the page before."""
    query = _by_name(people, scope, firm, behind, limit)
    return [_person_of(row) for row in connection.execute(query)]


def names_of(connection: Connection, wanted: Collection[str]) -> dict[str, str]:
    """Names of these people, also of those who are gone."""
    query = select(people.c.id, people.c.name).where(people.c.id.in_(wanted))
    return {row.id: row.name for row in connection.execute(query)}


def is_shared(connection: Connection, target: str, person: str) -> bool:
    """Whether others than this person read there too: a route names it, or it reaches them."""
    if connection.execute(select(routes.c.id).where(routes.c.target == target).limit(1)).first():
        return True
    others = select(people.c.id).where(
        people.c.id != person,
        people.c.deleted_at_ms.is_(None),
        cast(people.c.targets, Text).contains(f'"{target}"'),
    )
    return connection.execute(others.limit(1)).first() is not None


def language_of(connection: Connection, target: str, ids: Sequence[int]) -> Language | None:
    """What the person speaks who is reached by these deliveries to a target.

    None: nobody in person, or others read there too.
    """
    query = (
        select(people.c.id, people.c.language)
        .select_from(deliveries)
        .join(people, people.c.id == deliveries.c.person, isouter=True)
        .where(deliveries.c.id.in_(ids))
        .distinct()
    )
    reached = connection.execute(query).all()
    if len(reached) != 1 or reached[0].id is None:
        return None
    person, language = reached[0]
    return None if is_shared(connection, target, person) else Language(language)


def forget_target(connection: Connection, target: str) -> None:
    """Nobody is reached by this target any more."""
    query = select(people.c.id, people.c.targets).where(people.c.deleted_at_ms.is_(None))
    for row in connection.execute(query).all():
        if target in row.targets:
            kept = [one for one in row.targets if one != target]
            connection.execute(update(people).where(people.c.id == row.id).values(targets=kept))


# Rosters


def add_roster(connection: Connection, roster: Roster) -> None:
    """Raises TooMany."""
    _check_room(connection, rosters, ROSTERS_AT_MOST, "rosters")
    connection.execute(
        insert(rosters).values(
            id=roster.id,
            firm=roster.firm,
            created_by=roster.created_by,
            created_at_ms=roster.created_at_ms,
            **_plan(roster),
        )
    )


def change_roster(connection: Connection, scope: Scope, changed: Roster) -> Roster:
    """Give it this name and plan, from now on and for all times. Raises UnknownRoster."""
    done = connection.execute(
        update(rosters)
        .where(rosters.c.id == changed.id, rosters.c.deleted_at_ms.is_(None), _in(rosters, scope))
        .values(
            changed_by=changed.changed_by, changed_at_ms=changed.changed_at_ms, **_plan(changed)
        )
    )
    if done.rowcount != 1:
        raise UnknownRoster(changed.id)
    return find_roster(connection, scope, changed.id, changed.changed_at_ms or 0)


def delete_roster(connection: Connection, scope: Scope, roster: str, now_ms: int) -> None:
    """Routes to it and its own stand-ins end too. Raises UnknownRoster."""
    find_roster(connection, scope, roster, now_ms)
    _end(connection, rosters, rosters.c.id == roster, now_ms)
    _end(connection, routes, routes.c.roster == roster, now_ms)
    for one in _stand_ins(connection, stand_ins.c.roster == roster, _not_over(now_ms)):
        _end_stand_in(connection, one, now_ms)


def find_roster(connection: Connection, scope: Scope, roster: str, at_ms: int) -> Roster:
    """With the stand-ins that are not over then. Raises UnknownRoster."""
    found = _rosters(
        connection,
        rosters.c.id == roster,
        rosters.c.deleted_at_ms.is_(None),
        _in(rosters, scope),
    )
    if not found:
        raise UnknownRoster(roster)
    return _with_stand_ins(connection, found, at_ms)[0]


def list_rosters(
    connection: Connection,
    scope: Scope,
    *,
    at_ms: int,
    firm: str | None = None,
    behind: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[Roster]:
    """By name, with the stand-ins that are not over then.

    behind: (name, id) of the last one on the page before.
    """
    query = _by_name(rosters, scope, firm, behind, limit)
    found = [_roster_of(row, ()) for row in connection.execute(query)]
    return _with_stand_ins(connection, found, at_ms)


# Stand-ins


def add_stand_in(connection: Connection, stand_in: StandIn, now_ms: int) -> None:
    """Raises TooMany."""
    query = select(func.count()).where(stand_ins.c.deleted_at_ms.is_(None), _not_over(now_ms))
    if connection.execute(query).scalar_one() >= STAND_INS_AT_MOST:
        raise TooMany(f"there are {STAND_INS_AT_MOST} stand-ins to come: delete some of them")
    connection.execute(
        insert(stand_ins).values(
            id=stand_in.id,
            firm=stand_in.firm,
            person=stand_in.person,
            substitute=stand_in.by,
            roster=stand_in.roster,
            from_ms=stand_in.from_ms,
            to_ms=stand_in.to_ms,
            note=stand_in.note,
            created_by=stand_in.created_by,
            created_at_ms=stand_in.created_at_ms,
        )
    )


def delete_stand_in(connection: Connection, scope: Scope, stand_in: str, now_ms: int) -> None:
    """It ends now; one that has not begun is gone. Raises UnknownStandIn."""
    _end_stand_in(connection, find_stand_in(connection, scope, stand_in), now_ms)


def find_stand_in(connection: Connection, scope: Scope, stand_in: str) -> StandIn:
    """Raises UnknownStandIn, also outside the scope."""
    found = _stand_ins(connection, stand_ins.c.id == stand_in, _in(stand_ins, scope))
    if not found:
        raise UnknownStandIn(stand_in)
    return found[0]


def list_stand_ins(
    connection: Connection,
    scope: Scope,
    *,
    from_ms: int,
    person: str | None = None,
    roster: str | None = None,
    behind: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[StandIn]:
    """Those that are not over then, the first to begin first. roster: also those of all rosters.

    behind: (from_ms, id) of the last one on the page before.
    """
    column = stand_ins.c
    query = (
        select(stand_ins)
        .where(column.deleted_at_ms.is_(None), column.to_ms > from_ms, _in(stand_ins, scope))
        .order_by(column.from_ms, column.id)
        .limit(limit)
    )
    if person is not None:
        query = query.where(or_(column.person == person, column.substitute == person))
    if roster is not None:
        query = query.where(or_(column.roster == roster, column.roster.is_(None)))
    if behind is not None:
        at_ms, last = behind
        query = query.where(
            or_(column.from_ms > at_ms, (column.from_ms == at_ms) & (column.id > last))
        )
    return [_stand_in_of(row) for row in connection.execute(query)]


# What they share


def _in(table: Table, scope: Scope) -> ColumnElement[bool]:
    """A firm sees its own; the district all of them."""
    return true() if scope.firm is None else table.c.firm == scope.firm


def _not_over(now_ms: int) -> ColumnElement[bool]:
    return stand_ins.c.to_ms > now_ms


def _check_room(connection: Connection, table: Table, most: int, what: str) -> None:
    standing = select(func.count()).where(table.c.deleted_at_ms.is_(None))
    if connection.execute(standing).scalar_one() >= most:
        raise TooMany(f"there are {most} {what}: delete some of them")


def _end(connection: Connection, table: Table, which: ColumnElement[bool], now_ms: int) -> None:
    connection.execute(
        update(table).where(which, table.c.deleted_at_ms.is_(None)).values(deleted_at_ms=now_ms)
    )


def _end_stand_in(connection: Connection, stand_in: StandIn, now_ms: int) -> None:
    """What was so until now stays so: who was on duty then can still be told."""
    ended = {"to_ms": min(stand_in.to_ms, now_ms)}
    if stand_in.from_ms >= now_ms:
        ended = {"deleted_at_ms": now_ms}
    connection.execute(update(stand_ins).where(stand_ins.c.id == stand_in.id).values(**ended))


def _by_name(
    table: Table, scope: Scope, firm: str | None, behind: tuple[str, str] | None, limit: int
) -> Any:
    column = table.c
    query = (
        select(table)
        .where(column.deleted_at_ms.is_(None), _in(table, scope))
        .order_by(column.name, column.id)
        .limit(limit)
    )
    if firm is not None:
        query = query.where(column.firm == firm)
    if behind is not None:
        name, last = behind
        query = query.where(or_(column.name > name, (column.name == name) & (column.id > last)))
    return query


def _rosters(connection: Connection, *which: ColumnElement[bool]) -> list[Roster]:
    return [_roster_of(row, ()) for row in connection.execute(select(rosters).where(*which))]


def _with_stand_ins(connection: Connection, found: Sequence[Roster], at_ms: int) -> list[Roster]:
    standing = _stand_ins(connection, _not_over(at_ms)) if found else []
    return [replace(one, stand_ins=_holding_in(one.id, standing)) for one in found]


def _holding_in(roster: str, standing: Sequence[StandIn]) -> tuple[StandIn, ...]:
    return tuple(one for one in standing if one.roster in (None, roster))


def _stand_ins(connection: Connection, *which: ColumnElement[bool]) -> list[StandIn]:
    """The newest last."""
    query = (
        select(stand_ins)
        .where(stand_ins.c.deleted_at_ms.is_(None), *which)
        .order_by(stand_ins.c.created_at_ms, stand_ins.c.id)
    )
    return [_stand_in_of(row) for row in connection.execute(query)]


def _settings(person: Person) -> dict[str, object]:
    return {
        "name": person.name,
        "language": person.language.value,
        "phone": person.phone,
        "targets": list(person.targets),
    }


def _plan(roster: Roster) -> dict[str, object]:
    return {
        "name": roster.name,
        "rotation": roster.rotation.value,
        "starts_on": roster.starts_on.isoformat(),
        "handover_min": roster.handover_min,
        "timezone": roster.timezone,
        "people": list(roster.people),
        "levels": [list(level) for level in roster.levels],
    }


def _person_of(row: Row[Any]) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        firm=row.firm,
        language=Language(row.language),
        phone=row.phone,
        targets=tuple(row.targets),
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
        changed_by=row.changed_by,
        changed_at_ms=row.changed_at_ms,
    )


def _roster_of(row: Row[Any], standing: Sequence[StandIn]) -> Roster:
    return Roster(
        id=row.id,
        name=row.name,
        people=tuple(row.people),
        starts_on=date.fromisoformat(row.starts_on),
        rotation=Rotation(row.rotation),
        handover_min=row.handover_min,
        timezone=row.timezone,
        levels=tuple(tuple(level) for level in row.levels),
        stand_ins=_holding_in(row.id, standing),
        firm=row.firm,
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
        changed_by=row.changed_by,
        changed_at_ms=row.changed_at_ms,
    )


def _stand_in_of(row: Row[Any]) -> StandIn:
    return StandIn(
        id=row.id,
        person=row.person,
        by=row.substitute,
        from_ms=row.from_ms,
        to_ms=row.to_ms,
        roster=row.roster,
        note=row.note,
        firm=row.firm,
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
    )
