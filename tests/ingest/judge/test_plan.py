"""Rules compiled: what is normal raises nothing, and what is calm is normal, for every quantity."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import rules_for
from devices.kinds import KINDS
from devices.messages import Reading, Value
from devices.quantities import Quantity, Type
from ingest.decode import Decoder
from ingest.judge.plan import Hint, calm_range, plan
from tests.ingest.cast import REGISTRY, a_publish, native
from tests.ingest.judge.district import PLANS

JUDGED = [
    (kind, name)
    for kind, plan in PLANS.items()
    for name in (*plan.quantities, *(n for child in plan.child.values() for n in child))
    if KINDS[kind].quantity(name) is not None
]


def values_of(quantity: Quantity) -> st.SearchStrategy[Value]:
    """Every value that a decoder lets through."""
    match quantity.type:
        case Type.BOOL:
            return st.booleans()
        case Type.ENUM:
            return st.sampled_from(quantity.values)
        case Type.INT:
            return st.integers(int(quantity.low or -1000), int(quantity.high or 1000))
    return st.floats(quantity.low, quantity.high, allow_nan=False, allow_infinity=False)


@given(st.data())
def test_a_value_is_normal_when_no_sign_raises_by_it_and_it_hints_at_nothing(
    data: st.DataObject,
) -> None:
    kind, name = data.draw(st.sampled_from(JUDGED))
    declared = KINDS[kind].quantity(name)
    plan = PLANS[kind].quantities[name]
    assert declared is not None
    value = data.draw(values_of(declared))
    raises = any(sign.raises is not None and sign.raises(value) for sign in plan.signs)
    raises |= plan.hint is Hint.NO_POWER and value is False
    raises |= plan.hint is Hint.WEAK_SIGNAL and not isinstance(value, str) and value < 10
    assert plan.is_normal(value) is not raises
    calm = calm_range(PLANS, kind, name)
    if name in PLANS[kind].conditional:
        assert calm is None
        assert all(sign.given == plan.given for sign in plan.signs)
    elif isinstance(calm, frozenset):
        assert (value in calm) is not raises
    elif calm is not None:
        assert isinstance(value, int | float)
        assert (calm[0] <= value <= calm[1]) is not raises


def test_a_quantity_without_rules_is_calm_anywhere() -> None:
    assert calm_range(PLANS, "gate", "rssi_dbm") is None
    assert calm_range(PLANS, "gate", "door_mode") is None


def test_instances_are_judged_by_the_rule_of_their_quantity() -> None:
    assert PLANS["gate"].of("reader_online_3") is PLANS["gate"].quantities["reader_online"]
    assert PLANS["gate"].of("rssi_dbm") is None


@pytest.mark.parametrize(
    ("values", "calm"),
    [
        ({"board_temp_c": 21.5, "door_state": "closed", "tamper": False}, True),
        ({"board_temp_c": 21, "rssi_dbm": -62}, True),  # whole numbers for numbers
        ({"door_state": "open"}, False),
        ({"csq": 20, "tamper": True}, False),
        ({"csq": 20, "reader_online_2": False}, False),
    ],
)
def test_only_a_reading_that_raises_nothing_is_told_to_be_calm(
    values: dict[str, Value], calm: bool
) -> None:
    message = a_publish(native("gate-1"), {"ts": 1_795_399_200_000, "seq": 1, "values": values})
    decoder = Decoder(REGISTRY, calm=partial(calm_range, PLANS))
    said = decoder.read(message)  # names are compiled with the first message that has them
    said = decoder.read(message)
    assert (isinstance(said, Reading) and said.calm) is calm
    if isinstance(said, Reading):
        assert all(type(value) is float for name, value in said.values.items() if "_c" in name)


def test_without_rules_nothing_is_told_to_be_calm() -> None:
    message = a_publish(native("gate-1"), {"ts": 1_795_399_200_000, "seq": 1, "values": {"csq": 9}})
    decoder = Decoder(REGISTRY)
    said = [decoder.read(message) for _ in range(2)][-1]
    assert not (isinstance(said, Reading) and said.calm)


def test_a_gate_is_judged_the_short_way_only_while_its_rules_look_at_open_doors() -> None:
    """Else the report that ends an opening would not be looked at, and no usage counted by it."""
    rules = rules_for("gate")
    assert plan(KINDS["gate"], rules).is_plain
    without = [rule for rule in rules if rule.code != "GATE_HELD_OPEN"]
    assert not plan(KINDS["gate"], without).is_plain
