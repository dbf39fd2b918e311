"""Where notices are sent, and which faults lead there."""

import secrets
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from api import compounds, shapes
from api.compounds import check_firm
from api.devices import check_kind
from api.errors import Away, BadParameter, or_not_found
from api.identity import Actor, Identity, Reader
from api.instants import print_instant, print_known
from api.paging import PageOf
from api.parts import Messenger, NotAccepted, Parts, PartsOf
from api.rosters import room
from devices.alerts import ChannelName, Language, Route, Target
from devices.calendars import BadCalendar, Hours, hours_text, parse_minute, print_minute
from devices.catalogue import COMPOUND, PLATFORM, RULES
from devices.rules import Severity
from devices.store.database import reading, writing
from devices.store.rosters import UnknownPerson, UnknownRoster, find_person, find_roster
from devices.store.targets import (
    UnknownRoute,
    UnknownTarget,
    add_route,
    add_target,
    change_target,
    delete_route,
    delete_target,
    find_target,
    list_routes,
    list_targets,
    mend_target,
)

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)

DEFAULT_SEVERITIES = (Severity.P1, Severity.P2, Severity.P3)


@router.get("/targets")
def list_all_targets(parts: PartsOf, who: Reader, page: PageOf) -> shapes.alerts.Targets:
    """Targets by name: a firm's own; to the district all."""
    with reading(parts.deps.engine) as connection:
        rows = list_targets(
            connection,
            who.scope,
            behind=page.behind,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda target: [target.name, target.id])
    return shapes.alerts.Targets(
        items=[shape_target(target) for target in shown], next_cursor=cursor
    )


@router.get("/targets/{target}")
def get_target(parts: PartsOf, who: Reader, target: str) -> shapes.alerts.Target:
    """One target."""
    with reading(parts.deps.engine) as connection:
        return shape_target(target_of(connection, who, target))


@router.post("/targets", status_code=201, responses=shapes.refusals.TOO_MANY)
def make_target(parts: PartsOf, who: Actor, body: shapes.alerts.NewTarget) -> shapes.alerts.Target:
    """Send notices there from now on. Its address is checked, and not shown again.

    Unless `routed` is false, P1 to P3 of its firm's compounds lead there at once.
    """
    now_ms = parts.now_ms()
    firm = _firm_of(parts, who, body.firm)
    target = _target(body, secrets.token_hex(10), ChannelName(body.channel), firm, who, now_ms)
    _check(parts, target)

    def make() -> shapes.alerts.Target:
        with room():
            add_target(connection, target)
            if body.routed:
                route = Route(
                    id=secrets.token_hex(10),
                    target=target.id,
                    firm=firm,
                    severities=DEFAULT_SEVERITIES,
                    created_by=who.name,
                    created_at_ms=now_ms,
                )
                add_route(connection, route)
        return shape_target(target)

    with writing(parts.deps.engine) as connection:
        return who.once.do(connection, now_ms, shapes.alerts.Target, make)


@router.put("/targets/{target}", responses=shapes.refusals.TOO_MANY)
def replace_target(
    parts: PartsOf, who: Actor, target: str, body: shapes.alerts.TargetSettings
) -> shapes.alerts.Target:
    """Give it this name, address, secret and language; what waits for it is tried again at once."""
    with reading(parts.deps.engine) as connection:
        found = target_of(connection, who, target)
    now_ms = parts.now_ms()
    changed = _target(body, target, found.channel, found.firm, who, now_ms)
    _check(parts, changed)
    with writing(parts.deps.engine) as connection, or_not_found(UnknownTarget):
        return shape_target(change_target(connection, who.scope, target, changed))


@router.post("/targets/{target}/test", responses=shapes.refusals.TOO_MANY)
def send_test(parts: PartsOf, who: Actor, target: str) -> shapes.alerts.Tested:
    """Send it a test message now; what was answered. It mends one that was broken."""
    with reading(parts.deps.engine) as connection:
        found = target_of(connection, who, target)
    try:
        with parts.target_turns.turn():
            answer = _messenger(parts).test(found)
    except NotAccepted as refused:
        return shapes.alerts.Tested(accepted=False, answer=str(refused))
    with writing(parts.deps.engine) as connection:
        mend_target(connection, target)
    return shapes.alerts.Tested(accepted=True, answer=answer)


@router.delete("/targets/{target}", status_code=204, responses=shapes.refusals.TOO_MANY)
def remove_target(parts: PartsOf, who: Actor, target: str) -> Response:
    """Send nothing there any more, and forget its address. Its deliveries stay on record."""
    with writing(parts.deps.engine) as connection, or_not_found(UnknownTarget):
        delete_target(connection, who.scope, target, parts.now_ms())
    return Response(status_code=204)


@router.get("/routes")
def list_all_routes(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    target: str | None = None,
    person: str | None = None,
    roster: str | None = None,
) -> shapes.duty.Routes:
    """Routes to targets, people and rosters that you see, in the order in which they were made."""
    with reading(parts.deps.engine) as connection:
        rows = list_routes(
            connection,
            who.scope,
            target=target,
            person=person,
            roster=roster,
            behind=page.behind,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda route: [route.created_at_ms, route.id])
    return shapes.duty.Routes(items=[shape_route(route) for route in shown], next_cursor=cursor)


@router.post("/routes", status_code=201, responses=shapes.refusals.TOO_MANY)
def make_route(parts: PartsOf, who: Actor, body: shapes.duty.NewRoute) -> shapes.duty.Route:
    """Tell a target, a person or whoever is on duty of these faults too.

    A firm's people hear of its own compounds only.
    """
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        route = _route(connection, parts, who, body, now_ms)

        def make() -> shapes.duty.Route:
            with room():
                add_route(connection, route)
            return shape_route(route)

        return who.once.do(connection, now_ms, shapes.duty.Route, make)


@router.delete("/routes/{route}", status_code=204, responses=shapes.refusals.TOO_MANY)
def remove_route(parts: PartsOf, who: Actor, route: str) -> Response:
    """It leads nowhere any more."""
    with writing(parts.deps.engine) as connection, or_not_found(UnknownRoute):
        delete_route(connection, who.scope, route, parts.now_ms())
    return Response(status_code=204)


def shape_target(target: Target) -> shapes.alerts.Target:
    return shapes.alerts.Target(
        id=target.id,
        name=target.name,
        channel=target.channel.value,
        host=_host(target.url),
        signed=bool(target.secrets),
        firm=target.firm,
        language=target.language.value,
        broken=target.broken,
        broken_at=print_known(target.broken_at_ms),
        created_by=target.created_by,
        created_at=print_instant(target.created_at_ms),
    )


def shape_route(route: Route) -> shapes.duty.Route:
    return shapes.duty.Route(
        id=route.id,
        target=route.target,
        person=route.person,
        roster=route.roster,
        when=None if route.hours is None else _shape_hours(route.hours),
        when_text=None if route.hours is None else _words(route.hours),
        firm=route.firm,
        compound=route.compound,
        kind=route.kind,
        code=route.code,
        severity=[one.value for one in route.severities],
        created_by=route.created_by,
        created_at=print_instant(route.created_at_ms),
    )


def _shape_hours(hours: Hours) -> shapes.duty.When:
    return shapes.duty.When.model_validate(
        {
            "days": list(hours.days),
            "from": print_minute(hours.from_min),
            "to": print_minute(hours.to_min),
            "outside": hours.outside,
        }
    )


def _words(hours: Hours) -> shapes.basics.Words:
    return shapes.basics.Words(zh=hours_text("zh", hours), en=hours_text("en", hours))


def _host(url: str) -> str:
    """What of an address may be shown: where it leads, and nothing that lets others in."""
    parsed = urlsplit(url)
    if parsed.scheme == "mailto":
        return ", ".join(
            sorted({one.rpartition("@")[2].strip().lower() for one in parsed.path.split(",")})
        )
    if parsed.scheme not in ("http", "https"):
        return f"{parsed.scheme}://…"  # of Apprise, where a host may be a key
    return parsed.hostname or ""


def target_of(connection: Connection, who: Identity, target: str) -> Target:
    with or_not_found(UnknownTarget):
        return find_target(connection, who.scope, target)


def _firm_of(parts: Parts, who: Identity, firm: str | None) -> str | None:
    """Whose target it will be. A firm's token makes its own, whatever it says."""
    if who.scope.firm is not None:
        if firm not in (None, who.scope.firm):
            raise BadParameter("firm", "a property firm makes targets of its own")
        return who.scope.firm
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm)
    return firm


def _target(
    body: shapes.alerts.TargetSettings,
    name: str,
    channel: ChannelName,
    firm: str | None,
    who: Identity,
    now_ms: int,
) -> Target:
    if body.secret is None and body.secret_before is not None:
        raise BadParameter("secret_before", "goes with `secret`, the new one")
    return Target(
        id=name,
        name=body.name,
        channel=channel,
        url=body.url,
        secrets=tuple(one for one in (body.secret, body.secret_before) if one is not None),
        firm=firm,
        language=Language(body.language),
        created_by=who.name,
        created_at_ms=now_ms,
    )


def _check(parts: Parts, target: Target) -> None:
    try:
        with parts.target_turns.turn():
            _messenger(parts).check(target)
    except ValueError as error:
        parameter, _, text = str(error).partition(": ")
        if parameter not in ("url", "secret"):
            parameter, text = "url", str(error)
        raise BadParameter(parameter, text) from error


def _messenger(parts: Parts) -> Messenger:
    if parts.deps.messenger is None:
        raise Away("This server was started without channels; it can neither make nor test targets")
    return parts.deps.messenger


def _route(
    connection: Connection, parts: Parts, who: Identity, body: shapes.duty.NewRoute, now_ms: int
) -> Route:
    known = parts.registry.get(connection)
    check_firm(known.directory, who, body.firm)
    whose = _whose(connection, who, body, now_ms)
    if body.firm is not None and whose not in (None, body.firm):
        raise BadParameter("firm", f"whom it leads to is {whose}'s, which hears of its own only")
    if body.compound is not None:
        compounds.find(known, who, body.compound)
    if body.kind not in (None, COMPOUND, PLATFORM):
        check_kind(body.kind)
    if body.code is not None and body.code not in RULES:
        raise BadParameter("code", f"{body.code[:60]!r} is not in the fault catalogue")
    return Route(
        id=secrets.token_hex(10),
        target=body.target,
        person=body.person,
        roster=body.roster,
        hours=_hours(body.when),
        firm=body.firm,
        compound=body.compound,
        kind=body.kind,
        code=body.code,
        severities=tuple(dict.fromkeys(Severity(one) for one in body.severity)),
        created_by=who.name,
        created_at_ms=now_ms,
    )


def _whose(
    connection: Connection, who: Identity, body: shapes.duty.NewRoute, now_ms: int
) -> str | None:
    """The firm of whomever the route leads to. Raises BadParameter, NotFound."""
    if sum(one is not None for one in (body.target, body.person, body.roster)) != 1:
        raise BadParameter("target", "a route leads to one of target, person and roster")
    with or_not_found(UnknownPerson, UnknownRoster):
        if body.person is not None:
            return find_person(connection, who.scope, body.person).firm
        if body.roster is not None:
            return find_roster(connection, who.scope, body.roster, now_ms).firm
    assert body.target is not None
    return target_of(connection, who, body.target).firm


def _hours(when: shapes.duty.When | None) -> Hours | None:
    if when is None:
        return None
    try:
        days = tuple(dict.fromkeys(when.days))
        return Hours(days, parse_minute(when.start), parse_minute(when.to), when.outside)
    except BadCalendar as error:
        raise BadParameter("when", str(error)) from error
