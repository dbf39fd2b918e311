"""What links in messages are signed with, and what a link that somebody comes with leads to."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select, update

from devices.alerts import DeliveryState
from devices.faults import SYSTEM, Fault, Why
from devices.links import SECRET_BYTES, VALID_MS, Key
from devices.registry import Contact
from devices.store.database import conflict_insert
from devices.store.rosters import is_shared
from devices.store.schema import (
    compounds,
    deliveries,
    fault_events,
    faults,
    firms,
    link_keys,
    people,
    targets,
)
from devices.words import Language

OTHERS_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who got a link: a target. firm: whose people are there; None: the district's."""

    id: str
    name: str
    language: Language
    firm: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery that a link was sent with. person: who was to be reached by it; None: whoever
    reads there. person_name: theirs; None also where others read there too, for then nobody knows
    who it is. is_gone: target or person were deleted. manager: the firm that manages the fault's
    compound now; None: a fault of no compound."""

    delivery: int
    fault: str
    to: Recipient
    person: str | None
    person_name: str | None
    language: Language
    is_gone: bool
    manager: str | None


@dataclass(frozen=True, slots=True)
class Other:
    """To whom a fault may be handed on: a target, or a person by the targets that reach them.

    firm, phone: of a person.
    """

    id: str
    name: str
    targets: tuple[str, ...]
    person: str | None = None
    firm: str | None = None
    phone: str = ""


def newest_key(connection: Connection) -> Key | None:
    """What links are signed with now; None: nobody has made one yet."""
    row = connection.execute(
        select(link_keys)
        .where(link_keys.c.ended_at_ms.is_(None))
        .order_by(link_keys.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _key_of(row)


def find_key(connection: Connection, key: int) -> Key | None:
    """One of them, also one whose links are dead."""
    row = connection.execute(select(link_keys).where(link_keys.c.id == key)).one_or_none()
    return None if row is None else _key_of(row)


def make_key(connection: Connection, now_ms: int, by: str = SYSTEM) -> Key:
    """A new one, with which links are signed from now on. Does not commit."""
    secret = secrets.token_bytes(SECRET_BYTES)
    made = connection.execute(
        insert(link_keys)
        .values(secret=secret, created_by=by, created_at_ms=now_ms)
        .returning(link_keys.c.id)
    ).scalar_one()
    return Key(made, secret, now_ms)


def rotate(connection: Connection, now_ms: int, by: str, *, end_old: bool) -> Key:
    """Sign with a new one from now on. end_old: all links that were sent until now are dead; else
    they go on until they end by themselves. Does not commit."""
    if end_old:
        connection.execute(
            update(link_keys).where(link_keys.c.ended_at_ms.is_(None)).values(ended_at_ms=now_ms)
        )
    # One that was followed by another a while ago has no link left that has not ended by itself.
    newer = select(link_keys.c.id).where(link_keys.c.created_at_ms < now_ms - 4 * VALID_MS)
    last = connection.execute(newer.order_by(link_keys.c.id.desc()).limit(1)).scalar_one_or_none()
    if last is not None:
        connection.execute(delete(link_keys).where(link_keys.c.id < last))
    return make_key(connection, now_ms, by)


def _key_of(row: Row[Any]) -> Key:
    return Key(row.id, bytes(row.secret), row.created_at_ms, row.ended_at_ms)


def people_reached(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Delivery -> who is reached by it, where a route led to a person or a roster."""
    column = deliveries.c
    query = select(column.id, column.person).where(column.id.in_(ids), column.person.is_not(None))
    return {delivery: person for delivery, person in connection.execute(query) if person}


def find_sent(connection: Connection, delivery: int) -> Sent | None:
    """What a link leads to, if there is such a delivery to a target."""
    row = connection.execute(
        select(
            deliveries.c.id.label("delivery"),
            deliveries.c.fault,
            deliveries.c.person,
            targets.c.id.label("target"),
            targets.c.name,
            targets.c.language,
            targets.c.firm,
            targets.c.deleted_at_ms,
            people.c.name.label("person_name"),
            people.c.language.label("person_language"),
            people.c.deleted_at_ms.label("person_deleted_ms"),
            compounds.c.firm.label("manager"),
        )
        .join(targets, targets.c.id == deliveries.c.target)
        .join(people, people.c.id == deliveries.c.person, isouter=True)
        .join(faults, faults.c.id == deliveries.c.fault)
        .join(compounds, compounds.c.id == faults.c.compound, isouter=True)
        .where(deliveries.c.id == delivery)
    ).one_or_none()
    if row is None:
        return None
    to = Recipient(row.target, row.name, Language(row.language), row.firm)
    is_gone = row.deleted_at_ms is not None or row.person_deleted_ms is not None
    is_theirs = row.person is not None and not is_shared(connection, row.target, row.person)
    return Sent(
        row.delivery,
        row.fault,
        to,
        row.person,
        row.person_name if is_theirs else None,
        Language(row.person_language if is_theirs else row.language),
        is_gone,
        row.manager,
    )


def others(connection: Connection, sent: Sent) -> list[Other]:
    """To whom whoever holds the link may hand the fault on: of the same firm, or from the district
    also to the firm that manages the compound; people first, by name."""
    firms_ = {sent.to.firm} | ({sent.manager} if sent.to.firm is None else set())
    column = targets.c
    query = (
        select(column.id, column.name, column.firm)
        .where(_of(column.firm, firms_), column.deleted_at_ms.is_(None), column.broken.is_(None))
        .order_by(column.name, column.id)
    )
    standing = {row.id: row.name for row in connection.execute(query)}
    who = people.c
    staff = (
        select(who.id, who.name, who.targets, who.firm, who.phone)
        .where(_of(who.firm, firms_), who.deleted_at_ms.is_(None))
        .order_by(who.name, who.id)
    )
    found: list[Other] = []
    for row in connection.execute(staff):
        by = tuple(target for target in row.targets if target in standing)
        if by and row.id != sent.person:
            found.append(Other(f"person-{row.id}", row.name, by, row.id, row.firm, row.phone))
    found += [
        Other(f"target-{target}", name, (target,))
        for target, name in standing.items()
        if target != sent.to.id
    ]
    return found[:OTHERS_AT_MOST]


def _of(column: ColumnElement[str | None], wanted: Collection[str | None]) -> ColumnElement[bool]:
    named = column.in_([one for one in wanted if one is not None])
    return or_(named, column.is_(None)) if None in wanted else named


def hand_on(connection: Connection, fault: Fault, to: Other, now_ms: int) -> None:
    """Tell them of it: its newest assignment is sent there. Does not commit."""
    column = fault_events.c
    event = connection.execute(
        select(column.id)
        .where(column.fault == fault.id, column.reason == Why.ASSIGNED.value)
        .order_by(column.id.desc())
        .limit(1)
    ).scalar_one()
    rows = [
        {
            "fault": fault.id,
            "event": event,
            "target": target,
            "person": to.person,
            "state": DeliveryState.PENDING.value,
            "safety": fault.safety,
            "attempts": 0,
            "next_at_ms": now_ms,
            "created_at_ms": now_ms,
        }
        for target in to.targets
    ]
    connection.execute(conflict_insert(connection, deliveries).on_conflict_do_nothing(), rows)
    # It is decided on with that: nobody else is told of who does the work.
    connection.execute(update(fault_events).where(column.id == event).values(routed_at_ms=now_ms))


def contacts(connection: Connection, compound: str | None) -> Sequence[Contact]:
    """Whom to call: of the compound, then of the firm that manages it."""
    row = connection.execute(
        select(compounds.c.contacts, firms.c.contacts.label("of_firm"))
        .join(firms, firms.c.id == compounds.c.firm)
        .where(compounds.c.id == compound)
    ).one_or_none()
    if row is None:
        return ()
    return [
        Contact(one["name"], one["phone"], one["role"]) for one in (*row.contacts, *row.of_firm)
    ]
