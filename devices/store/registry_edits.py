"""The registry as people look at it and change it one by one; files are `registry_imports`.

Every change is a `registry.save` in the caller's transaction: a numbered line in the log of
decisions, which whoever has a copy of the registry follows.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from devices.inventory import (
    BadRegistry,
    Problem,
    compound_entry,
    device_entry,
    firm_entry,
    parse_compound,
    parse_entries,
    parse_firm,
)
from devices.registry import Compound, Contact, Device, Firm, Name, Registry
from devices.store.compounds import in_service
from devices.store.registry import Change, load, lock_revisions, save
from devices.store.schema import LIVE, compounds, device_state, devices, firms
from devices.store.scope import Scope

WORDS_AT_MOST = 5  # of a search
ALL, IN_SERVICE, RETIRED = "all", "in_service", "retired"
SERVICES = (IN_SERVICE, RETIRED, ALL)


class NotThere(LookupError):
    """The registry has nothing under this id."""


class ChangedMeanwhile(Exception):
    """Somebody else changed it since it was looked at."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which devices are asked for; None leaves a question open.

    words: each of them is in the id, name, building, unit or number of the device.
    """

    words: tuple[str, ...] = ()
    compound: str | None = None
    kind: str | None = None
    firm: str | None = None
    protocol: str | None = None
    parent: str | None = None
    service: str = IN_SERVICE


@dataclass(frozen=True, slots=True)
class Listed:
    """A device of the registry, and whether it was ever heard. state: as the judge has it."""

    device: Device
    state: str
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class ListedFirm:
    firm: Firm
    compounds: int
    devices: int


@dataclass(frozen=True, slots=True)
class ListedCompound:
    """devices: in service."""

    compound: Compound
    devices: int


def list_devices(
    connection: Connection,
    scope: Scope,
    wanted: Wanted,
    now_ms: int,
    *,
    after: str | None = None,
    limit: int = 100,
) -> list[Listed]:
    """In order of id, beginning behind the id `after`."""
    state = device_state.c
    joined = devices.outerjoin(
        device_state, (state.device_no == devices.c.no) & (state.stream == LIVE)
    )
    query = (
        select(
            *(devices.c[field] for field in Device.__slots__),
            func.coalesce(state.state, "never_seen").label("state"),
            state.last_seen_ms,
        )
        .select_from(joined)
        .where(_matches(scope, wanted, now_ms))
        .order_by(devices.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(devices.c.id > after)
    width = len(Device.__slots__)
    return [
        Listed(Device(*row[:width]), row.state, row.last_seen_ms)
        for row in connection.execute(query)
    ]


def count_devices(connection: Connection, scope: Scope, wanted: Wanted, now_ms: int) -> int:
    query = select(func.count()).select_from(devices).where(_matches(scope, wanted, now_ms))
    return connection.execute(query).scalar_one()


def find_device(connection: Connection, scope: Scope, device: str) -> Device | None:
    """None also for one outside the scope."""
    row = connection.execute(
        select(*(devices.c[field] for field in Device.__slots__)).where(
            devices.c.id == device, scope.holds(devices.c.compound)
        )
    ).one_or_none()
    return None if row is None else Device(*row)


def list_firms(
    connection: Connection,
    scope: Scope,
    *,
    only: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[ListedFirm]:
    """In order of id; of a firm's own people only theirs. only: the one with this id."""
    query = select(firms).where(_is_firm(scope)).order_by(firms.c.id).limit(limit)
    if only is not None:
        query = query.where(firms.c.id == only)
    if after is not None:
        query = query.where(firms.c.id > after)
    found = [_firm(row) for row in connection.execute(query)]
    ids = [firm.id for firm in found]
    places: dict[str, int] = dict(
        connection.execute(
            select(compounds.c.firm, func.count())
            .where(compounds.c.firm.in_(ids))
            .group_by(compounds.c.firm)
        ).all()
    )
    counts: dict[str, int] = dict(
        connection.execute(
            select(compounds.c.firm, func.count())
            .join(devices, devices.c.compound == compounds.c.id)
            .where(compounds.c.firm.in_(ids))
            .group_by(compounds.c.firm)
        ).all()
    )
    return [ListedFirm(one, places.get(one.id, 0), counts.get(one.id, 0)) for one in found]


def find_firm(connection: Connection, scope: Scope, firm: str) -> Firm | None:
    query = select(firms).where(firms.c.id == firm, _is_firm(scope))
    row = connection.execute(query).one_or_none()
    return None if row is None else _firm(row)


def list_compounds(
    connection: Connection,
    scope: Scope,
    now_ms: int,
    *,
    words: Sequence[str] = (),
    firm: str | None = None,
    only: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[ListedCompound]:
    """In order of id. only: the one with this id."""
    column = compounds.c
    fields = (column.id, column.name_zh, column.name_en)
    query = (
        select(compounds)
        .where(scope.holds(column.id), *_words(words, fields))
        .order_by(column.id)
        .limit(limit)
    )
    if firm is not None:
        query = query.where(column.firm == firm)
    if only is not None:
        query = query.where(column.id == only)
    if after is not None:
        query = query.where(column.id > after)
    found = [_compound(row) for row in connection.execute(query)]
    counts: dict[str, int] = dict(
        connection.execute(
            select(devices.c.compound, func.count())
            .where(devices.c.compound.in_([one.id for one in found]), in_service(now_ms))
            .group_by(devices.c.compound)
        ).all()
    )
    return [ListedCompound(one, counts.get(one.id, 0)) for one in found]


def find_compound(connection: Connection, scope: Scope, compound: str) -> Compound | None:
    query = select(compounds).where(compounds.c.id == compound, scope.holds(compounds.c.id))
    row = connection.execute(query).one_or_none()
    return None if row is None else _compound(row)


def seal_of(thing: Firm | Compound | Device) -> str:
    """The same for what says the same: held against what somebody saw before they changed it."""
    entry = (
        firm_entry(thing)
        if isinstance(thing, Firm)
        else compound_entry(thing)
        if isinstance(thing, Compound)
        else device_entry(thing)
    )
    text = json.dumps(entry, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Changes


def add_firm(connection: Connection, entry: Mapping[str, object], now_ms: int) -> Firm:
    """A firm that is not there yet. Raises BadRegistry."""
    lock_revisions(connection)
    firm = parse_firm(entry)
    _refuse_twin(load(connection).firms, firm.id)
    save(connection, Registry([firm]), now_ms)
    return firm


def change_firm(
    connection: Connection,
    firm: str,
    changes: Mapping[str, object],
    now_ms: int,
    *,
    seen: str | None = None,
) -> Firm:
    """changes: members of its entry. seen: `seal_of` what was looked at.

    Raises BadRegistry, NotThere, ChangedMeanwhile.
    """
    lock_revisions(connection)
    was = _there(load(connection).firms, firm, seen)
    becomes = parse_firm({**firm_entry(was), **changes})
    save(connection, Registry([becomes]), now_ms)
    return becomes


def add_compound(connection: Connection, entry: Mapping[str, object], now_ms: int) -> Compound:
    """A compound that is not there yet. Raises BadRegistry."""
    lock_revisions(connection)
    known = load(connection)
    compound = parse_compound(entry, known)
    _refuse_twin(known.compounds, compound.id)
    save(connection, Registry((), [compound]), now_ms)
    return compound


def change_compound(
    connection: Connection,
    compound: str,
    changes: Mapping[str, object],
    now_ms: int,
    *,
    seen: str | None = None,
) -> Compound:
    """As `change_firm`. Another `firm` is the compound's from the next request on."""
    lock_revisions(connection)
    known = load(connection)
    was = _there(known.compounds, compound, seen)
    becomes = parse_compound({**compound_entry(was), **changes}, known)
    save(connection, Registry((), [becomes]), now_ms)
    return becomes


def add_device(connection: Connection, entry: Mapping[str, object], now_ms: int) -> Device:
    """A device that is not there yet, with its ports. Raises BadRegistry."""
    lock_revisions(connection)
    known = load(connection)
    made = parse_entries([entry], known)
    device = str(entry["id"])
    _refuse_twin(known.devices, device)
    save(connection, made, now_ms)
    return made.devices[device]


def change_device(
    connection: Connection,
    device: str,
    changes: Mapping[str, object],
    now_ms: int,
    *,
    seen: str | None = None,
) -> Change:
    """As `change_firm`; made ports of a shed follow it. What it has no more of is None."""
    lock_revisions(connection)
    known = load(connection)
    was = _there(known.devices, device, seen)
    entry = {**device_entry(was), **changes}
    return save(connection, parse_entries([entry], known), now_ms)


def move_device(
    connection: Connection,
    device: str,
    compound: str,
    parent: str | None,
    circuit: str | None,
    now_ms: int,
    *,
    along: bool = False,
) -> Change:
    """To another compound, or below another device; a shed's ports move with it.

    along: everything that hangs on it moves too. Raises BadRegistry, NotThere.
    """
    lock_revisions(connection)
    known = load(connection)
    moved = _there(known.devices, device)
    to = {"compound": compound, "parent": parent, "circuit": circuit}
    behind = [device_entry(one) | {"compound": compound} for one in _behind(known, moved, along)]
    return save(connection, parse_entries([device_entry(moved) | to, *behind], known), now_ms)


def retire_device(connection: Connection, device: str, now_ms: int) -> Change:
    """Out of service from now on, a shed with its ports: what stands open is closed by the judge,
    what was is kept. Retired already: nothing happens. Raises NotThere."""
    return _serve(
        connection,
        device,
        lambda _, one: one.decommissioned_at_ms is None or one.decommissioned_at_ms > now_ms,
        now_ms,
        now_ms,
    )


def restore_device(connection: Connection, device: str, now_ms: int) -> Change:
    """In service again, a shed with those of its ports that were retired with it. Raises NotThere,
    and BadRegistry where its name in its protocol is another's by now."""
    return _serve(
        connection,
        device,
        lambda first, one: one.decommissioned_at_ms == first.decommissioned_at_ms,
        None,
        now_ms,
    )


def _serve(
    connection: Connection,
    device: str,
    is_meant: Callable[[Device, Device], bool],
    retired_ms: int | None,
    now_ms: int,
) -> Change:
    lock_revisions(connection)
    known = load(connection)
    first = _there(known.devices, device)
    family = [first, *_behind(known, first, False)]
    becomes = [
        replace(one, decommissioned_at_ms=retired_ms) for one in family if is_meant(first, one)
    ]
    if retired_ms is None:
        parse_entries([device_entry(one) for one in becomes], known)
    return save(connection, Registry((), (), becomes), now_ms)


def _behind(known: Registry, device: Device, along: bool) -> list[Device]:
    """The ports of a shed; along: all that hangs on a device, at any remove."""
    found: list[Device] = []
    for child in known.children(device.id):
        if along or child.kind == "port":
            found += [child, *_behind(known, child, along)]
    return found


def _there(things: Mapping[str, Any], identifier: str, seen: str | None = None) -> Any:
    found = things.get(identifier)
    if found is None:
        raise NotThere(identifier)
    if seen is not None and seen != seal_of(found):
        raise ChangedMeanwhile(identifier)
    return found


def _refuse_twin(things: Mapping[str, object], identifier: str) -> None:
    if identifier in things:
        what = f"{identifier!r} is in the registry already"
        raise BadRegistry([Problem(f"{identifier}.id", what, "taken")])


def _matches(scope: Scope, wanted: Wanted, now_ms: int) -> ColumnElement[bool]:
    column = devices.c
    fields = (column.id, column.name, column.building, column.unit, column.external_id)
    conditions = [scope.holds(column.compound), *_words(wanted.words, fields)]
    conditions += [
        where == value
        for where, value in (
            (column.compound, wanted.compound),
            (column.kind, wanted.kind),
            (column.protocol, wanted.protocol),
            (column.parent, wanted.parent),
        )
        if value is not None
    ]
    if wanted.firm is not None:
        theirs = select(compounds.c.id).where(compounds.c.firm == wanted.firm)
        conditions.append(column.compound.in_(theirs))
    if wanted.service == IN_SERVICE:
        conditions.append(in_service(now_ms))
    elif wanted.service == RETIRED:
        conditions.append(~in_service(now_ms))
    return and_(*conditions)


def _words(words: Sequence[str], fields: Iterable[Any]) -> list[ColumnElement[bool]]:
    return [
        or_(*(func.lower(field).contains(word.lower(), autoescape=True) for field in fields))
        for word in words[:WORDS_AT_MOST]
    ]


def _is_firm(scope: Scope) -> ColumnElement[bool]:
    return firms.c.id.is_not(None) if scope.firm is None else firms.c.id == scope.firm


def _firm(row: Any) -> Firm:
    contacts = tuple(Contact(**one) for one in row.contacts)
    return Firm(row.id, Name(row.name_zh, row.name_en), contacts)


def _compound(row: Any) -> Compound:
    return Compound(
        row.id,
        Name(row.name_zh, row.name_en),
        row.firm,
        row.households,
        row.timezone,
        row.latitude,
        row.longitude,
        row.synthetic,
        tuple(Contact(**one) for one in row.contacts),
    )
