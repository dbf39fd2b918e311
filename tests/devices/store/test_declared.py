import pytest

from devices.kinds import KINDS
from devices.quantities import Type
from devices.store.telemetry.declared import EVENT, OF_EVERY_EVENT, declared_type
from devices.telemetry import UNDATED


def test_every_declared_quantity_has_its_type() -> None:
    for kind in KINDS.values():
        for name, quantity in kind.quantities.items():
            assert declared_type(kind.name, name) is quantity.type


def test_an_instance_of_a_quantity_has_the_type_of_the_quantity() -> None:
    many = [
        (kind.name, quantity)
        for kind in KINDS.values()
        for quantity in kind.quantities.values()
        if quantity.many
    ]
    assert many
    for kind_name, quantity in many:
        assert declared_type(kind_name, f"{quantity.name}_2") is quantity.type


def test_a_field_has_one_type_in_all_events_of_a_kind() -> None:
    """They share a measurement, and InfluxDB refuses the second type."""
    for kind in KINDS.values():
        for event in kind.events.values():
            for name, field in event.fields.items():
                stored = declared_type(kind.name + EVENT, name)
                numbers = {Type.FLOAT, Type.INT}
                texts = {Type.ENUM, Type.TEXT}
                assert stored is field.type or {stored, field.type} in (numbers, texts), (
                    kind.name,
                    event.name,
                    name,
                )


def test_what_every_event_may_have_is_of_one_type_and_no_quantity() -> None:
    assert declared_type(f"gate{EVENT}", UNDATED) is Type.BOOL
    for kind in KINDS.values():
        for name, type_ in OF_EVERY_EVENT.items():
            assert declared_type(kind.name + EVENT, name) is type_
            assert declared_type(kind.name, name) is None


def test_no_event_has_a_field_that_forward_would_overwrite() -> None:
    names = {name for kind in KINDS.values() for e in kind.events.values() for name in e.fields}
    assert names & OF_EVERY_EVENT.keys() == {"event_id"}


@pytest.mark.parametrize(
    ("measurement", "quantity"), [("gate", "nonsense"), ("nonsense", "power_w"), ("", "")]
)
def test_what_nobody_declared_has_no_type(measurement: str, quantity: str) -> None:
    assert declared_type(measurement, quantity) is None
    assert declared_type(measurement + EVENT, quantity) is None
