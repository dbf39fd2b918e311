"""Firms, compounds and devices in the operational database, and the numbered log of decisions."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from devices.inventory import BadRegistry, Problem
from devices.registry import Compound, Contact, Device, Firm, Name, Registry
from devices.store.schema import LIVE, compound_counts, device_state, firms, revisions
from devices.store.schema import compounds as compound_table
from devices.store.schema import devices as device_table

Thing = TypeVar("Thing")

STATES = ("online", "offline", "unknown", "never_seen")

_REGISTRY = "registry"
_REVISION_LOCK = 0x72657673  # "revs"
_EMPTY = msgspec.msgpack.encode({})


@dataclass(frozen=True, slots=True)
class Change:
    """What a save did. added, changed, unchanged: devices; firms, compounds: added or changed.

    revision: the number of the change, None when there was none.
    """

    added: int
    changed: int
    unchanged: int
    firms: int
    compounds: int
    revision: int | None


def load(connection: Connection) -> Registry:
    """The whole registry, devices in the order in which they were added."""
    columns = device_table.c
    return Registry(
        firms=[
            Firm(row.id, Name(row.name_zh, row.name_en), _contacts(row.contacts))
            for row in connection.execute(select(firms).order_by(firms.c.id))
        ],
        compounds=[
            Compound(
                id=row.id,
                name=Name(row.name_zh, row.name_en),
                firm=row.firm,
                households=row.households,
                timezone=row.timezone,
                latitude=row.latitude,
                longitude=row.longitude,
                synthetic=row.synthetic,
                contacts=_contacts(row.contacts),
            )
            for row in connection.execute(select(compound_table).order_by(compound_table.c.id))
        ],
        devices=[
            Device(*row)  # the columns come in the order of the fields
            for row in connection.execute(
                select(*(columns[field] for field in Device.__slots__)).order_by(columns.no)
            )
        ],
        revision=newest_revision(connection),
    )


def list_makes(connection: Connection, kind: str | None) -> list[tuple[str, str]]:
    """Vendor and model of devices in the registry, of all kinds or of one, each pair once."""
    columns = device_table.c.vendor, device_table.c.model
    query = select(*columns).where((columns[0] != "") | (columns[1] != "")).distinct()
    if kind is not None:
        query = query.where(device_table.c.kind == kind)
    return [(row.vendor, row.model) for row in connection.execute(query.order_by(*columns))]


def device_numbers(connection: Connection) -> dict[str, int]:
    """The database's short number of every device, which the large tables use as key."""
    return dict(connection.execute(select(device_table.c.id, device_table.c.no)).all())


def newest_revision(connection: Connection, what: str = _REGISTRY) -> int:
    """The number of the newest change of the registry, or of another `what`; 0 if there is none."""
    newest = select(func.max(revisions.c.id)).where(revisions.c.what == what)
    return connection.execute(newest).scalar_one() or 0


def add_revision(
    connection: Connection, what: str, subject: str, body: Mapping[str, object], now_ms: int
) -> int:
    """Append to the log of what people decide; gives the number.

    The judge follows that log by number, so numbers must become visible in their order: on
    PostgreSQL a second writer waits here until the first one has committed.
    """
    (number,) = add_revisions(connection, what, [subject], body, now_ms)
    return number


def add_revisions(
    connection: Connection,
    what: str,
    subjects: Iterable[str],
    body: Mapping[str, object],
    now_ms: int,
) -> list[int]:
    """The same for many subjects: a line for each, in their order."""
    lock_revisions(connection)
    rows = [{"at_ms": now_ms, "what": what, "subject": one, "body": body} for one in subjects]
    if not rows:
        return []
    made = insert(revisions).returning(revisions.c.id, sort_by_parameter_order=True)
    return list(connection.execute(made, rows).scalars())


def save(connection: Connection, registry: Registry, now_ms: int) -> Change:
    """Add and change what `registry` has; what it does not have stays as it is.

    All or nothing: the caller's transaction. Saving the same again changes nothing and makes no
    revision. A new device starts as never seen, and the counts of its compound include it; a
    decommissioned one is no longer counted. Raises BadRegistry if the result would not be
    consistent with what is there already.
    """
    lock_revisions(connection)  # two imports at once: the second one sees what the first one did
    known = load(connection)
    _check(known, registry)
    firm_rows = _news(known.firms, registry.firms, _firm_row)
    compound_rows = _news(known.compounds, registry.compounds, _compound_row)
    device_rows = _news(known.devices, registry.devices, _device_row)
    _write(connection, firms, firm_rows)
    _write(connection, compound_table, compound_rows)
    _free_external_ids(connection, known, device_rows.changed)
    _write(connection, device_table, device_rows)
    _begin_states(connection, now_ms)

    touched = [row["id"] for row in (*device_rows.added, *device_rows.changed)]
    places = {registry.devices[device].compound for device in touched}
    places |= {known.devices[device].compound for device in touched if device in known.devices}
    refresh_counts(connection, places, now_ms)

    changes = [len(rows.added) + len(rows.changed) for rows in (firm_rows, compound_rows)]
    revision = None
    if any(changes) or touched:
        body = {"added": len(device_rows.added), "changed": len(device_rows.changed)}
        revision = add_revision(connection, _REGISTRY, _REGISTRY, body, now_ms)
    return Change(
        added=len(device_rows.added),
        changed=len(device_rows.changed),
        unchanged=len(registry.devices) - len(touched),
        firms=changes[0],
        compounds=changes[1],
        revision=revision,
    )


def refresh_counts(connection: Connection, places: Iterable[str], now_ms: int) -> None:
    """Count the live states of all devices in these compounds anew, from `device_state`."""
    counts = compound_counts.c
    in_service = or_(
        device_table.c.decommissioned_at_ms.is_(None), device_table.c.decommissioned_at_ms > now_ms
    )
    for place in sorted(places):
        connection.execute(delete(compound_counts).where(counts.compound == place))
        of_state = [
            func.sum(case((device_state.c.state == state, 1), else_=0)).label(state)
            for state in STATES
        ]
        counted = (
            select(device_table.c.compound, device_table.c.kind, *of_state)
            .join(device_state, device_state.c.device_no == device_table.c.no)
            .where(device_table.c.compound == place, device_state.c.stream == LIVE, in_service)
            .group_by(device_table.c.compound, device_table.c.kind)
        )
        connection.execute(
            insert(compound_counts).from_select(["compound", "kind", *STATES], counted)
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a table has to take up, as values of its columns."""

    added: list[dict[str, Any]]
    changed: list[dict[str, Any]]


def _news(
    known: Mapping[str, Thing],
    wanted: Mapping[str, Thing],
    row_of: Callable[[Thing], dict[str, Any]],
) -> _Rows:
    added = [row_of(thing) for key, thing in wanted.items() if key not in known]
    rows = [(row_of(thing), row_of(known[key])) for key, thing in wanted.items() if key in known]
    return _Rows(added, [row for row, was in rows if row != was])


def _firm_row(firm: Firm) -> dict[str, Any]:
    return {
        "id": firm.id,
        "name_zh": firm.name.zh,
        "name_en": firm.name.en,
        "contacts": [asdict(contact) for contact in firm.contacts],
    }


def _compound_row(compound: Compound) -> dict[str, Any]:
    return {
        "id": compound.id,
        "name_zh": compound.name.zh,
        "name_en": compound.name.en,
        "firm": compound.firm,
        "households": compound.households,
        "timezone": compound.timezone,
        "latitude": compound.latitude,
        "longitude": compound.longitude,
        "synthetic": compound.synthetic,
        "contacts": [asdict(contact) for contact in compound.contacts],
    }


def _device_row(device: Device) -> dict[str, Any]:
    row = {field: getattr(device, field) for field in Device.__slots__}
    row["attributes"] = dict(device.attributes)
    return row


def _contacts(rows: list[dict[str, str]]) -> tuple[Contact, ...]:
    return tuple(Contact(**row) for row in rows)


def lock_revisions(connection: Connection) -> None:
    """Until the end of this transaction nobody else decides anything."""
    if connection.dialect.name == "postgresql":  # on SQLite whoever writes is alone
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_REVISION_LOCK})"))


def _check(known: Registry, registry: Registry) -> None:
    """Raise BadRegistry if `known`, overlaid with `registry`, would not hold together."""
    firm_ids = known.firms.keys() | registry.firms.keys()
    compound_ids = known.compounds.keys() | registry.compounds.keys()
    device_ids = known.devices.keys() | registry.devices.keys()
    problems = [
        Problem(f"compound {compound.id}", f"there is no firm {compound.firm!r}")
        for compound in registry.compounds.values()
        if compound.firm not in firm_ids
    ]
    owners: dict[tuple[str, str], str] = {}
    for device in (known.devices | registry.devices).values():
        if device.external_id:
            name = (device.protocol, device.external_id)
            owner = owners.setdefault(name, device.id)
            if owner != device.id:
                what = f"{owner} is {name[1]!r} in {name[0]} already"
                problems.append(Problem(f"device {device.id}", what))
    for device in registry.devices.values():
        if device.compound not in compound_ids:
            what = f"there is no compound {device.compound!r}"
            problems.append(Problem(f"device {device.id}", what))
        if device.parent is not None and device.parent not in device_ids:
            what = f"there is no device {device.parent!r} to be its parent"
            problems.append(Problem(f"device {device.id}", what))
    if problems:
        raise BadRegistry(problems)


def _write(connection: Connection, table: Table, rows: _Rows) -> None:
    if rows.added:
        connection.execute(insert(table), rows.added)
    if rows.changed:
        columns: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in rows.changed[0] if name != "id"
        }
        connection.execute(
            update(table).where(table.c.id == bindparam("new_id")).values(columns),
            [{f"new_{name}": value for name, value in row.items()} for row in rows.changed],
        )


def _free_external_ids(
    connection: Connection, known: Registry, changed: list[dict[str, Any]]
) -> None:
    """Let two devices exchange their names: rows change one by one, and each name is unique."""
    moved = [
        {"moved": row["id"]}
        for row in changed
        if known.devices[row["id"]].external_id not in {"", row["external_id"]}
        or known.devices[row["id"]].protocol != row["protocol"]
    ]
    if moved:
        statement = update(device_table).where(device_table.c.id == bindparam("moved"))
        connection.execute(statement.values(external_id=""), moved)


def _begin_states(connection: Connection, now_ms: int) -> None:
    """Every device without a live state has never been seen."""
    has_state = exists().where(
        device_state.c.stream == LIVE, device_state.c.device_no == device_table.c.no
    )
    values = {
        "stream": literal(LIVE),
        "device_no": device_table.c.no,
        "state": literal("never_seen"),
        "reason": literal("never_seen"),
        "since_ms": literal(now_ms, device_state.c.since_ms.type),
        "latest": literal(_EMPTY),
        "memory": literal(_EMPTY),
    }
    rows = select(*values.values()).where(~has_state)
    connection.execute(insert(device_state).from_select(list(values), rows))
