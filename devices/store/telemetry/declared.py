"""The type of a stored field, as the kinds declare it: InfluxDB knows only numbers."""

from devices.kinds import KINDS
from devices.quantities import Type
from devices.telemetry import UNDATED

EVENT = "_event"  # an event of a gate is a point of `gate_event`

# what forward adds to the fields that a kind declares for its event
OF_EVERY_EVENT = {"type": Type.ENUM, "event_id": Type.TEXT, UNDATED: Type.BOOL}


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
    return OF_EVERY_EVENT.get(quantity)
