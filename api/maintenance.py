"""Maintenance windows: when nobody is told of faults that are recorded all the same."""

import secrets
from collections.abc import Collection
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from api import compounds, shapes
from api.compounds import check_firm
from api.devices import check_kind
from api.errors import BadParameter, Moved, NotFound
from api.identity import Actor, Identity, Reader
from api.instants import DISTRICT_ZONE, parse_instant, print_instant, print_known, zone_of
from api.paging import PageOf
from api.parts import Parts, PartsOf
from devices.catalogue import ANY, COMPOUND, RULES
from devices.kinds import KINDS
from devices.maintenance import (
    BEGINS_WITHIN_MS,
    LASTS_AT_MOST_MS,
    Phase,
    Window,
    may_be_safety,
)
from devices.store.database import reading, writing
from devices.store.devices import compounds_of
from devices.store.maintenance import (
    Filter,
    TooManyWindows,
    UnknownWindow,
    WindowOver,
    add_window,
    end_window,
    find_window,
    list_windows,
)

router = APIRouter(prefix="/v1", tags=["maintenance"], responses=shapes.refusals.PROBLEMS)


@router.get("/maintenance")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str | None = None,
    firm: str | None = None,
    state: Annotated[Phase | None, Query(description="Only those that are so now.")] = None,
) -> shapes.faults.Windows:
    """Windows, the one that was to last longest first."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm)
        if compound is not None:
            compounds.find(known, who, compound)
        rows = list_windows(
            connection,
            who.scope,
            Filter(compound, firm, state),
            now_ms=now_ms,
            before=page.behind,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda window: [window.ends_at_ms, window.id])
    return shapes.faults.Windows(
        items=[shape(window, now_ms) for window in shown], next_cursor=cursor
    )


@router.get("/maintenance/{window}")
def get_window(parts: PartsOf, who: Reader, window: str) -> shapes.faults.Window:
    """One window, also one that is over."""
    with reading(parts.deps.engine) as connection:
        try:
            return shape(find_window(connection, who.scope, window), parts.now_ms())
        except UnknownWindow as error:
            raise NotFound from error


@router.post("/maintenance", status_code=201, responses=shapes.refusals.WINDOW_OVER)
def make_window(parts: PartsOf, who: Actor, body: shapes.faults.NewWindow) -> shapes.faults.Window:
    """Hold the notices of what this covers. It is recorded who did, and cannot be changed: end it.

    Codes of the safety tier take a list of devices too; no other window holds their faults.
    """
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        return who.once.do(
            connection,
            now_ms,
            shapes.faults.Window,
            lambda: shape(make(connection, parts, who, body, now_ms), now_ms),
        )


@router.post("/maintenance/{window}/end", responses=shapes.refusals.WINDOW_OVER)
def end_now(parts: PartsOf, who: Actor, window: str) -> shapes.faults.Window:
    """End it now, or call it off: faults that still stand are told."""
    return end(parts, who, window)


@router.delete("/maintenance/{window}", status_code=204, responses=shapes.refusals.WINDOW_OVER)
def delete_window(parts: PartsOf, who: Actor, window: str) -> Response:
    """The same. It stays on record."""
    end(parts, who, window)
    return Response(status_code=204)


def make(
    connection: Connection, parts: Parts, who: Identity, body: shapes.faults.NewWindow, now_ms: int
) -> Window:
    """A new window, checked. Raises BadParameter, NotFound, Moved."""
    compound, zone = _place(connection, parts, who, body)
    starts_at_ms, ends_at_ms = _time(body, zone, now_ms)
    window = Window(
        id=secrets.token_hex(10),
        compound=compound,
        kind=body.kind,
        devices=tuple(dict.fromkeys(body.devices)),
        codes=tuple(dict.fromkeys(body.codes)),
        starts_at_ms=starts_at_ms,
        ends_at_ms=ends_at_ms,
        reason=body.reason,
        owner=body.owner,
        created_by=who.name,
        created_at_ms=now_ms,
    )
    _check_codes(window)
    try:
        add_window(connection, window)
    except TooManyWindows as error:
        raise Moved(f"{error}. Nothing was done.") from error
    return window


def end(parts: Parts, who: Identity, window: str) -> shapes.faults.Window:
    """The window, ended now. Raises NotFound, Moved."""
    now_ms = parts.now_ms()
    try:
        with writing(parts.deps.engine) as connection:
            return who.once.do(
                connection,
                now_ms,
                shapes.faults.Window,
                lambda: shape(end_window(connection, who.scope, window, who.name, now_ms), now_ms),
            )
    except UnknownWindow as error:
        raise NotFound from error
    except WindowOver as error:
        with reading(parts.deps.engine) as connection:
            present = shape(find_window(connection, who.scope, window), now_ms)
        more = {"window": present.model_dump(mode="json")}
        raise Moved(f"{error}; nothing was done. `window` is as it is now.", more) from error


def shape(window: Window, now_ms: int) -> shapes.faults.Window:
    return shapes.faults.Window(
        id=window.id,
        compound=window.compound,
        kind=window.kind,
        devices=list(window.devices),
        codes=list(window.codes),
        starts_at=print_instant(window.starts_at_ms),
        ends_at=print_instant(window.ends_at_ms),
        ended_at=print_known(window.ended_at_ms),
        state=window.phase(now_ms).value,
        holds_safety=window.holds_safety,
        reason=window.reason,
        owner=window.owner,
        created_by=window.created_by,
        created_at=print_instant(window.created_at_ms),
    )


def _place(
    connection: Connection, parts: Parts, who: Identity, body: shapes.faults.NewWindow
) -> tuple[str | None, tzinfo]:
    """The compound that the window is in, if it is in one, and its zone."""
    known = parts.registry.get(connection)
    if body.kind != COMPOUND:
        check_kind(body.kind)
    compound = body.compound
    if compound is not None:
        compounds.find(known, who, compound)
    found = compounds_of(connection, who.scope, body.devices)
    unknown = sorted(set(body.devices) - found.keys())
    if unknown:
        raise BadParameter("devices", f"there is no device {unknown[0][:80]!r} for you")
    for device, (place, kind) in found.items():
        if compound is not None and place != compound:
            raise BadParameter("devices", f"{device} is in {place}, not in {compound}")
        if body.kind is not None and kind != body.kind:
            raise BadParameter("devices", f"{device} is a {kind}, not a {body.kind}")
    places = {place for place, _ in found.values()}
    if compound is None and len(places) == 1:
        (compound,) = places
    if compound is None and not who.scope.is_district:
        raise BadParameter("compound", "a property firm's window is in one of its compounds")
    if compound is None and not (body.kind or body.devices or body.codes):
        raise BadParameter("compound", "name a compound, a kind, devices or codes")
    if compound is None:
        return None, DISTRICT_ZONE
    return compound, zone_of(known.directory.compounds[compound].timezone)


def _time(body: shapes.faults.NewWindow, zone: tzinfo, now_ms: int) -> tuple[int, int]:
    starts_at_ms = now_ms
    if body.starts_at is not None:
        starts_at_ms = max(now_ms, parse_instant("starts_at", body.starts_at, zone))
    if starts_at_ms > now_ms + BEGINS_WITHIN_MS:
        raise BadParameter("starts_at", "must be within a year")
    ends_at_ms = parse_instant("ends_at", body.ends_at, zone)
    if not starts_at_ms < ends_at_ms <= starts_at_ms + LASTS_AT_MOST_MS:
        raise BadParameter(
            "ends_at", "must be to come, after `starts_at`, and within 31 days of it"
        )
    return starts_at_ms, ends_at_ms


def _check_codes(window: Window) -> None:
    """Raise BadParameter for a code that the window cannot hold, with the reason."""
    for code in window.codes:
        rule = RULES.get(code)
        if rule is None:
            raise BadParameter("codes", f"{code[:60]!r} is not in the fault catalogue")
        if rule.kind not in _kinds(window.kind):
            raise BadParameter("codes", f"{code} is a fault of kind {rule.kind}, not of this one")
        if may_be_safety(rule) and not window.devices:
            raise BadParameter(
                "codes",
                f"{code} is of the safety tier, which is held only for named devices: "
                "give `devices` too",
            )


def _kinds(kind: str | None) -> Collection[str]:
    return (*KINDS, COMPOUND, ANY) if kind is None else (kind, ANY)
