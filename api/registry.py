"""The registry for programs: firms, compounds and devices, one by one.

Operators change everything. A firm's own people change what they know best of what is theirs: whom
to call, and how devices are called and where they hang. Whoever has a copy of the registry, here,
in ingest and in alerts, follows within seconds.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import Connection

from api import audited, compounds, shapes
from api.compounds import check_firm
from api.devices import check_kind
from api.errors import Forbidden, Moved, NotFound, Problem
from api.identity import Actor, Identity, Reader, Role, operators_only
from api.instants import print_known
from api.paging import PageOf
from api.parts import Parts, PartsOf
from api.shapes import registry as shape
from devices.inventory import BadRegistry, compound_entry, device_entry, firm_entry
from devices.registry import Compound, Device
from devices.store import registry_edits as edits
from devices.store.database import reading, writing
from devices.store.registry_edits import ChangedMeanwhile, ListedFirm, NotThere, Wanted

ONLY = "change what this is in the registry"
FIRMS_OWN = frozenset({"contacts"})
DEVICES_OWN = frozenset({"name", "building", "unit"})

Answer = TypeVar("Answer", bound=BaseModel)

router = APIRouter(prefix="/v1/registry", tags=["registry"], responses=shapes.refusals.PROBLEMS)

WordsOf = Annotated[
    str | None, Query(max_length=100, description="Words that are all in id, name or place.")
]


class BadEntry(Problem):
    """What was sent does not fit into the registry; `errors` says where and why."""

    status, slug, title = 422, "bad-parameter", "Bad parameter"

    def __init__(self, error: BadRegistry) -> None:
        found = [{"parameter": one.where, "detail": one.what} for one in error.problems]
        super().__init__("; ".join(str(one) for one in error.problems[:20]), {"errors": found})


@router.get("/firms")
def list_firms(parts: PartsOf, who: Reader, page: PageOf) -> shape.RegistryFirms:
    """Property firms in order of id; a firm sees itself."""
    with reading(parts.deps.engine) as connection:
        after = page.position[0] if page.position else None
        rows = edits.list_firms(connection, who.scope, after=after, limit=page.limit + 1)
    shown, cursor = page.split(rows, lambda row: [row.firm.id])
    return shape.RegistryFirms(items=[_firm(row) for row in shown], next_cursor=cursor)


@router.post("/firms", status_code=201, responses=shape.REFUSED)
def add_firm(parts: PartsOf, who: Actor, body: shape.NewFirm) -> shape.RegistryFirm:
    """A firm that is not there yet."""
    operators_only(who, ONLY)
    now_ms = parts.now_ms()

    def add(connection: Connection) -> shape.RegistryFirm:
        firm = edits.add_firm(connection, given(body), now_ms)
        return _firm(ListedFirm(firm, 0, 0))

    return once(parts, who, shape.RegistryFirm, add)


@router.get("/firms/{firm}")
def get_firm(parts: PartsOf, who: Reader, firm: str) -> shape.RegistryFirm:
    """One firm."""
    with reading(parts.deps.engine) as connection:
        return _listed_firm(connection, who, firm)


@router.patch("/firms/{firm}", responses=shape.REFUSED)
def change_firm(
    parts: PartsOf, who: Actor, firm: str, body: shape.FirmChanges
) -> shape.RegistryFirm:
    """Its name, and whom to call."""
    now_ms = parts.now_ms()

    def change(connection: Connection) -> shape.RegistryFirm:
        if edits.find_firm(connection, who.scope, firm) is None:
            raise NotFound
        changes = given(body)
        check_own(who, changes, FIRMS_OWN)
        edits.change_firm(connection, firm, changes, now_ms)
        return _listed_firm(connection, who, firm)

    return once(parts, who, shape.RegistryFirm, change)


@router.get("/compounds")
def list_compounds(
    parts: PartsOf, who: Reader, page: PageOf, firm: str | None = None, q: WordsOf = None
) -> shape.RegistryCompounds:
    """Compounds in order of id, as the registry has them."""
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm)
        rows = edits.list_compounds(
            connection,
            who.scope,
            parts.now_ms(),
            words=(q or "").split(),
            firm=firm,
            after=page.position[0] if page.position else None,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda row: [row.compound.id])
    items = [_compound(row.compound, row.devices) for row in shown]
    return shape.RegistryCompounds(items=items, next_cursor=cursor)


@router.post("/compounds", status_code=201, responses=shape.REFUSED)
def add_compound(parts: PartsOf, who: Actor, body: shape.NewCompound) -> shape.RegistryCompound:
    """A compound that is not there yet."""
    operators_only(who, ONLY)
    now_ms = parts.now_ms()

    def add(connection: Connection) -> shape.RegistryCompound:
        return _compound(edits.add_compound(connection, given(body), now_ms), 0)

    return once(parts, who, shape.RegistryCompound, add)


@router.get("/compounds/{compound}")
def get_compound(parts: PartsOf, who: Reader, compound: str) -> shape.RegistryCompound:
    """One compound, as the registry has it."""
    with reading(parts.deps.engine) as connection:
        return _listed_compound(connection, who, compound, parts.now_ms())


@router.patch("/compounds/{compound}", responses=shape.REFUSED)
def change_compound(
    parts: PartsOf, who: Actor, compound: str, body: shape.CompoundChanges
) -> shape.RegistryCompound:
    """What it is called, whose it is, where, and whom to call there."""
    now_ms = parts.now_ms()

    def change(connection: Connection) -> shape.RegistryCompound:
        if edits.find_compound(connection, who.scope, compound) is None:
            raise NotFound
        changes = given(body)
        check_own(who, changes, FIRMS_OWN)
        edits.change_compound(connection, compound, changes, now_ms)
        return _listed_compound(connection, who, compound, now_ms)

    return once(parts, who, shape.RegistryCompound, change)


@router.get("/devices")
def list_devices(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    q: WordsOf = None,
    compound: str | None = None,
    kind: str | None = None,
    firm: str | None = None,
    protocol: str | None = None,
    parent: str | None = None,
    service: shape.Service = "in_service",
) -> shape.RegistryDevices:
    """Devices in order of id, as the registry has them."""
    check_kind(kind)
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm)
        if compound is not None:
            compounds.find(known, who, compound)
        wanted = Wanted(tuple((q or "").split()), compound, kind, firm, protocol, parent, service)
        after = page.position[0] if page.position else None
        rows = edits.list_devices(
            connection, who.scope, wanted, now_ms, after=after, limit=page.limit + 1
        )
    shown, cursor = page.split(rows, lambda row: [row.device.id])
    items = [_device(row.device, now_ms) for row in shown]
    return shape.RegistryDevices(items=items, next_cursor=cursor)


@router.post("/devices", status_code=201, responses=shape.REFUSED)
def add_device(parts: PartsOf, who: Actor, body: shape.NewDevice) -> shape.RegistryDevice:
    """A device that is not there yet; a shed's ports are made of its attribute `ports`."""
    operators_only(who, ONLY)
    now_ms = parts.now_ms()

    def add(connection: Connection) -> shape.RegistryDevice:
        return _device(edits.add_device(connection, given(body), now_ms), now_ms)

    return once(parts, who, shape.RegistryDevice, add)


@router.get("/devices/{device}")
def get_device(parts: PartsOf, who: Reader, device: str) -> shape.RegistryDevice:
    """One device, as the registry has it."""
    with reading(parts.deps.engine) as connection:
        return _found_device(connection, who, device, parts.now_ms())


@router.patch("/devices/{device}", responses=shape.REFUSED)
def change_device(
    parts: PartsOf, who: Actor, device: str, body: shape.DeviceChanges
) -> shape.RegistryDevice:
    """Its name, place and settings."""
    now_ms = parts.now_ms()

    def change(connection: Connection) -> shape.RegistryDevice:
        _found_device(connection, who, device, now_ms)
        changes = given(body)
        check_own(who, changes, DEVICES_OWN)
        edits.change_device(connection, device, changes, now_ms)
        return _found_device(connection, who, device, now_ms)

    return once(parts, who, shape.RegistryDevice, change)


@router.post("/devices/{device}/move", responses=shape.REFUSED)
def move_device(parts: PartsOf, who: Actor, device: str, body: shape.Move) -> shape.RegistryDevice:
    """To another compound, or below another device. What it did in the old place stays there."""

    def move(connection: Connection, now_ms: int) -> None:
        edits.move_device(
            connection, device, body.compound, body.parent, body.circuit, now_ms, along=body.along
        )

    return _act(parts, who, device, move)


@router.post("/devices/{device}/retire", responses=shape.REFUSED)
def retire_device(parts: PartsOf, who: Actor, device: str) -> shape.RegistryDevice:
    """Out of service from now on: its faults are closed as `out_of_service`, its messages refused,
    its history kept. A shed's ports go with it."""
    return _act(parts, who, device, lambda c, now_ms: edits.retire_device(c, device, now_ms))


@router.post("/devices/{device}/restore", responses=shape.REFUSED)
def restore_device(parts: PartsOf, who: Actor, device: str) -> shape.RegistryDevice:
    """In service again, a shed with the ports that went with it."""
    return _act(parts, who, device, lambda c, now_ms: edits.restore_device(c, device, now_ms))


def given(body: BaseModel) -> dict[str, Any]:
    """What a body says; what it does not say is not there."""
    return body.model_dump(exclude_unset=True)


def check_own(who: Identity, changes: Mapping[str, object], own: Collection[str]) -> None:
    """Raise Forbidden for what a firm's people do not change."""
    foreign = sorted(changes.keys() - set(own))
    if who.role is not Role.OPERATOR and foreign:
        raise Forbidden(
            f"Only operators change {', '.join(foreign)}; of what is yours you change"
            f" {', '.join(sorted(own))}."
        )


def refused(error: Exception) -> Problem:
    """What the registry refuses, as the API says it."""
    if isinstance(error, BadRegistry):
        return BadEntry(error)
    if isinstance(error, ChangedMeanwhile):
        return Moved("Somebody else changed it meanwhile: look again. Nothing was done.")
    return NotFound()


def once(
    parts: Parts, who: Identity, kind: type[Answer], action: Callable[[Connection], Answer]
) -> Answer:
    """Act in a transaction, once under an Idempotency-Key; this process sees it at once."""
    try:
        with writing(parts.deps.engine) as connection:
            return who.once.do(connection, parts.now_ms(), kind, lambda: action(connection))
    except (BadRegistry, ChangedMeanwhile, NotThere) as error:
        raise refused(error) from error
    finally:
        parts.registry.look_again()


def _act(
    parts: Parts, who: Identity, device: str, action: Callable[[Connection, int], object]
) -> shape.RegistryDevice:
    now_ms = parts.now_ms()

    def act(connection: Connection) -> shape.RegistryDevice:
        _found_device(connection, who, device, now_ms)
        operators_only(who, ONLY)
        action(connection, now_ms)
        audited.about(device)
        return _found_device(connection, who, device, now_ms)

    return once(parts, who, shape.RegistryDevice, act)


def _listed_firm(connection: Connection, who: Identity, firm: str) -> shape.RegistryFirm:
    for row in edits.list_firms(connection, who.scope, only=firm):
        return _firm(row)
    raise NotFound


def _firm(row: ListedFirm) -> shape.RegistryFirm:
    return shape.RegistryFirm.model_validate(
        {**firm_entry(row.firm), "compounds": row.compounds, "devices": row.devices}
    )


def _listed_compound(
    connection: Connection, who: Identity, compound: str, now_ms: int
) -> shape.RegistryCompound:
    for row in edits.list_compounds(connection, who.scope, now_ms, only=compound):
        return _compound(row.compound, row.devices)
    raise NotFound


def _compound(compound: Compound, devices: int) -> shape.RegistryCompound:
    return shape.RegistryCompound.model_validate({**compound_entry(compound), "devices": devices})


def _found_device(
    connection: Connection, who: Identity, device: str, now_ms: int
) -> shape.RegistryDevice:
    found = edits.find_device(connection, who.scope, device)
    if found is None:
        raise NotFound
    return _device(found, now_ms)


def _device(device: Device, now_ms: int) -> shape.RegistryDevice:
    entry = device_entry(device)
    empty = {name: None for name, value in entry.items() if value == "" and name != "name"}
    retired_ms = device.decommissioned_at_ms
    return shape.RegistryDevice.model_validate(
        {
            "vendor": None,
            "model": None,
            **entry,
            **empty,
            "commissioned_at": print_known(device.commissioned_at_ms),
            "decommissioned_at": print_known(retired_ms),
            "is_retired": retired_ms is not None and retired_ms <= now_ms,
        }
    )
