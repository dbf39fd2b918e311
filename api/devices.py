"""Devices: registry entry, state with its evidence and clocks, latest values."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import compounds, shapes
from api.compounds import check_firm, judge_is_blind
from api.errors import BadParameter, NotFound
from api.identity import Identity, Reader
from api.instants import print_instant, print_known
from api.paging import Page, PageOf
from api.parts import Parts, PartsOf
from devices.kinds import KINDS
from devices.store.database import reading
from devices.store.devices import Filter, Standing, find_device, list_devices

router = APIRouter(prefix="/v1", tags=["devices"], responses=shapes.refusals.PROBLEMS)

KindOf = Annotated[str | None, Query(description=f"One of {', '.join(KINDS)}.")]
StateOf = Annotated[shapes.basics.DeviceState | None, Query(description="How it stands.")]


@router.get("/devices")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str | None = None,
    kind: KindOf = None,
    state: StateOf = None,
    firm: str | None = None,
) -> shapes.devices.Devices:
    """Devices in service, in order of id."""
    return _list(parts, who, page, Filter(compound, kind, state, firm))


@router.get("/compounds/{compound}/devices")
def list_of_compound(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    kind: KindOf = None,
    state: StateOf = None,
) -> shapes.devices.Devices:
    """The devices of one compound that are in service, in order of id."""
    return _list(parts, who, page, Filter(compound, kind, state))


@router.get("/devices/{device}")
def get_device(parts: PartsOf, who: Reader, device: str) -> shapes.devices.Device:
    """One device, also one that was taken out of service."""
    with reading(parts.deps.engine) as connection:
        blind = judge_is_blind(connection, parts.now_ms())
        found = find_device(connection, who.scope, device, blind=blind)
    if found is None:
        raise NotFound
    return shape(found)


def check_kind(kind: str | None) -> None:
    """Raise BadParameter for a word that is no kind of device."""
    if kind is not None and kind not in KINDS:
        raise BadParameter("kind", f"{kind[:40]!r} is none of {', '.join(KINDS)}")


def shape(standing: Standing) -> shapes.devices.Device:
    return shapes.devices.Device(
        id=standing.id,
        kind=standing.kind,
        compound=standing.compound,
        parent=standing.parent,
        circuit=standing.circuit,
        name=standing.name,
        building=standing.building or None,
        unit=standing.unit or None,
        protocol=standing.protocol,
        external_id=standing.external_id or None,
        vendor=standing.vendor or None,
        model=standing.model or None,
        interval_s=standing.interval_s,
        attributes=dict(standing.attributes),
        commissioned_at=print_known(standing.commissioned_at_ms),
        decommissioned_at=print_known(standing.decommissioned_at_ms),
        state=standing.state,
        state_reason=standing.reason,
        state_since=print_known(standing.since_ms),
        last_seen_at=print_known(standing.last_seen_ms),
        device_at=print_known(standing.device_at_ms),
        values={
            quantity: shapes.devices.Reading(value=value, at=print_instant(at_ms))
            for quantity, (value, at_ms) in standing.latest.items()
        },
        open_faults=standing.open_faults,
    )


def _list(parts: Parts, who: Identity, page: Page, wanted: Filter) -> shapes.devices.Devices:
    check_kind(wanted.kind)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, wanted.firm)
        if wanted.compound is not None:
            compounds.find(known, who, wanted.compound)
        rows = list_devices(
            connection,
            who.scope,
            wanted,
            blind=judge_is_blind(connection, parts.now_ms()),
            now_ms=parts.now_ms(),
            after=page.position[0] if page.position else None,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda standing: [standing.id])
    return shapes.devices.Devices(items=[shape(standing) for standing in shown], next_cursor=cursor)
