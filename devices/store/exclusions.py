"""What registers moved by without a figure, as rows."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, or_, select, tuple_

from devices.registers import Exclusion, Jump
from devices.store.database import conflict_insert
from devices.store.schema import compounds, devices, usage_exclusions
from devices.store.scope import Scope


def write_exclusions(connection: Connection, rows: Iterable[tuple[int, Exclusion]]) -> None:
    """Each with its device's number; the same reading again takes the place of the row."""
    values = [
        {
            "device_no": number,
            "at_ms": one.at_ms,
            "quantity": one.quantity,
            "compound": one.compound,
            "from_ms": one.from_ms,
            "before_kwh": one.before_kwh,
            "after_kwh": one.after_kwh,
            "excluded_kwh": one.excluded_kwh,
            "why": one.why,
        }
        for number, one in rows
    ]
    if not values:
        return
    made = conflict_insert(connection, usage_exclusions)
    key = ("device_no", "at_ms", "quantity")
    changed = {name: made.excluded[name] for name in values[0] if name not in key}
    connection.execute(made.on_conflict_do_update(index_elements=key, set_=changed), values)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; None is any. device: its own register, and those of what hangs on it."""

    compound: str | None = None
    firm: str | None = None
    device: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def list_exclusions(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    before: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Exclusion]:
    """The newest first. before: (at_ms, device) of the last one on the page before; a device has
    one register that counts.
    """
    column = usage_exclusions.c
    query = (
        select(usage_exclusions, devices.c.id.label("device"))
        .join(devices, devices.c.no == column.device_no)
        .where(*_conditions(scope, wanted))
        .order_by(column.at_ms.desc(), devices.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(column.at_ms, devices.c.id) < tuple_(*before))
    return [
        Exclusion(
            row.compound,
            row.device,
            row.quantity,
            row.from_ms,
            row.at_ms,
            row.before_kwh,
            row.after_kwh,
            row.excluded_kwh,
            Jump(row.why),
        )
        for row in connection.execute(query)
    ]


def count_exclusions(connection: Connection, scope: Scope, wanted: Filter) -> tuple[int, float]:
    """How many there are, and what they come to in kWh."""
    column = usage_exclusions.c
    query = (
        select(func.count(), func.coalesce(func.sum(column.excluded_kwh), 0.0))
        .select_from(usage_exclusions)
        .join(devices, devices.c.no == column.device_no)
        .where(*_conditions(scope, wanted))
    )
    count, kwh = connection.execute(query).one()
    return int(count), float(kwh)


def _conditions(scope: Scope, wanted: Filter) -> list[ColumnElement[bool]]:
    column = usage_exclusions.c
    found = [scope.holds(column.compound)]
    if wanted.compound is not None:
        found.append(column.compound == wanted.compound)
    if wanted.firm is not None:
        found.append(
            column.compound.in_(select(compounds.c.id).where(compounds.c.firm == wanted.firm))
        )
    if wanted.device is not None:
        found.append(or_(devices.c.id == wanted.device, devices.c.parent == wanted.device))
    if wanted.from_ms is not None:
        found.append(column.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        found.append(column.at_ms < wanted.to_ms)
    return found
