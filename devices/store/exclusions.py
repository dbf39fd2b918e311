"""What registers moved by without a figure, as rows."""

from collections.abc import Iterable

from sqlalchemy import Connection, select, tuple_

from devices.registers import Exclusion, Jump
from devices.store.database import conflict_insert
from devices.store.schema import devices, usage_exclusions
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


def list_exclusions(
    connection: Connection,
    scope: Scope,
    compound: str,
    from_ms: int | None,
    to_ms: int | None,
    *,
    before: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Exclusion]:
    """Those of a compound, the newest first. before: (at_ms, device) of the last one on the page
    before; a device has one register that counts.
    """
    column = usage_exclusions.c
    query = (
        select(usage_exclusions, devices.c.id.label("device"))
        .join(devices, devices.c.no == column.device_no)
        .where(column.compound == compound, scope.holds(column.compound))
        .order_by(column.at_ms.desc(), devices.c.id.desc())
        .limit(limit)
    )
    if from_ms is not None:
        query = query.where(column.at_ms >= from_ms)
    if to_ms is not None:
        query = query.where(column.at_ms < to_ms)
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
