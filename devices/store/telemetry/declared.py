"""The type of a stored field, as the kinds declare it: InfluxDB knows only numbers."""

from devices.kinds import KINDS
from devices.quantities import Type

EVENT = "_event"  # an event of a gate is a point of `gate_event`


def declared_type(measurement: str, quantity: str) -> Type | None:
    """The declared type of a field of `{kind}` or `{kind}_event`; None if there is none."""
    kind = KINDS.get(measurement)
    if kind is not None:
        found = kind.quantity(quantity)
        return None if found is None else found.type
    kind = KINDS.get(measurement.removesuffix(EVENT))
    if kind is None:
        return None
    for event in kind.events.values():
        if quantity in event.fields:
            return event.fields[quantity].type
    return None
