"""The dry run of routes: who would be told of a fault, and why. It sends and writes nothing."""

from datetime import tzinfo
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api import compounds, shapes
from api.devices import check_kind
from api.errors import BadParameter, NotFound
from api.identity import Identity, Reader
from api.instants import DISTRICT_ZONE, parse_instant, print_instant, print_known, zone_of
from api.parts import Parts, PartsOf
from devices.catalogue import COMPOUND, PLATFORM
from devices.faults import Why
from devices.registry import Name
from devices.routing import BadDescription, NotTold, Rehearsal, Told
from devices.rules import Severity
from devices.store.database import reading
from devices.store.faults import UnknownFault
from devices.store.routing import (
    Description,
    UnknownPlace,
    place_of,
    rehearse_described,
    rehearse_fault,
)

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)

AWAY_FROM_NOW_MS = 366 * 86_400_000

What = Literal[
    "raised",
    "reopened",
    "worsened",
    "confirmed",
    "shelf_ended",
    "maintenance_ended",
    "released",
    "over",
    "closed",
]


@router.get("/routes/dry-run")
def try_routes(
    parts: PartsOf,
    who: Reader,
    fault: Annotated[
        str | None, Query(description="A fault that there is; else describe one.")
    ] = None,
    code: Annotated[str | None, Query(description="Of the fault catalogue.")] = None,
    compound: str | None = None,
    device: str | None = None,
    kind: Annotated[str | None, Query(description="Of a code that any device may have.")] = None,
    severity: Annotated[
        shapes.basics.Severity | None, Query(description="The catalogue's unless given.")
    ] = None,
    at: Annotated[
        str | None, Query(description="RFC 3339; without zone the compound's time; else now.")
    ] = None,
    what: Annotated[What, Query(description="Of a fault that there is.")] = "raised",
) -> shapes.duty.DryRouting:
    """Who would be told if this happened at that time, by which channel, and why; and by which
    routes nobody, and why not.

    Decided as alerts are, by the routes, people, rosters, maintenance windows and holidays of now.
    """
    with reading(parts.deps.engine) as connection:
        at_ms = _at(connection, parts, who, at, compound, device)
        if fault is not None:
            if (code, compound, device, kind, severity) != (None,) * 5:
                raise BadParameter("fault", "either a fault that there is, or one described")
            try:
                return shape(rehearse_fault(connection, who.scope, fault, Why(what), at_ms), fault)
            except UnknownFault as error:
                raise NotFound from error
        if code is None:
            raise BadParameter("code", "give `fault`, or `code` and where it is")
        if what != "raised":
            raise BadParameter("what", "a fault that is described is `raised`")
        if kind not in (None, COMPOUND, PLATFORM):
            check_kind(kind)
        worst = None if severity is None else Severity(severity)
        wanted = Description(code, compound, device, kind, worst)
        try:
            return shape(rehearse_described(connection, who.scope, wanted, at_ms), None)
        except UnknownPlace as error:
            raise NotFound from error
        except BadDescription as error:
            raise BadParameter(error.parameter, str(error)) from error


def _at(
    connection: Connection,
    parts: Parts,
    who: Identity,
    at: str | None,
    compound: str | None,
    device: str | None,
) -> int:
    known = parts.registry.get(connection)
    zone: tzinfo = DISTRICT_ZONE
    if compound is not None:
        zone = zone_of(compounds.find(known, who, compound).timezone)
    elif device is not None:
        try:
            place, _ = place_of(connection, who.scope, device)
        except UnknownPlace as error:
            raise NotFound from error
        zone = zone_of(known.directory.compounds[place].timezone)
    now_ms = parts.now_ms()
    if at is None:
        return now_ms
    at_ms = parse_instant("at", at, zone)
    if abs(at_ms - now_ms) > AWAY_FROM_NOW_MS:
        raise BadParameter("at", "is more than a year away")
    return at_ms


def shape(found: Rehearsal, fault: str | None) -> shapes.duty.DryRouting:
    """fault: the id of one that there is."""
    subject = found.fault
    return shapes.duty.DryRouting(
        at=print_instant(found.at_ms),
        local_time=_words(found.moment),
        what=found.event.reason.value,
        fault=fault,
        code=subject.code,
        name=_words(found.name),
        severity=subject.severity.value,
        safety=subject.safety,
        kind=subject.kind,
        compound=subject.compound,
        device=subject.device,
        firm=found.site.firm,
        told=[_told(one) for one in found.told],
        not_told=[_not_told(one) for one in found.not_told],
        reason=found.reason,
        reason_text=None if found.why is None else _words(found.why),
    )


def _told(one: Told) -> shapes.duty.WouldBeTold:
    return shapes.duty.WouldBeTold(
        target=one.target.id,
        target_name=one.target.name,
        channel=one.target.channel.value,
        language=one.language.value,
        broken=one.target.broken,
        person=None if one.person is None else one.person.id,
        person_name=None if one.person is None else one.person.name,
        routes=[route.id for route in one.routes],
        why=_words(one.why),
        waits_until=print_known(one.waits_until_ms),
    )


def _not_told(one: NotTold) -> shapes.duty.WouldNotBeTold:
    return shapes.duty.WouldNotBeTold(
        route=one.route.id,
        target=None if one.target is None else one.target.id,
        target_name=None if one.target is None else one.target.name,
        person=None if one.person is None else one.person.id,
        person_name=None if one.person is None else one.person.name,
        roster=one.route.roster,
        roster_name=None if one.roster is None else one.roster.name,
        reason=one.obstacle,
        why=_words(one.why),
    )


def _words(name: Name) -> shapes.basics.Words:
    return shapes.basics.Words(zh=name.zh, en=name.en)
