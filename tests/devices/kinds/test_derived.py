"""Quantities made of others: whatever is missing or is nought, they are unknown, and never fail."""

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.catalogue import RULES
from devices.kinds import KINDS
from devices.kinds.kind import Derived, Kind, Known
from devices.messages import Value
from devices.quantities import Quantity, Type
from devices.rules import Beyond, Equals, band

AT_MS = 1_795_439_400_000  # a winter evening in Zhengzhou
DERIVED = [
    pytest.param(kind, derived, id=f"{kind.name} {derived.quantity.name}")
    for kind in KINDS.values()
    for derived in kind.derived
]
NEEDY = [one for one in DERIVED if one.values[1].needs is not None]  # type: ignore[union-attr]
BOUND = [one for one in DERIVED if one.values[1].at_most is not None]  # type: ignore[union-attr]
# What `devices.inventory` lets into a registry; others are free, so also what is no number.
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "nominal_power_w": st.sampled_from([0.001, 1, 9.5, 1e6]),
        "lamp_count": st.sampled_from([1, 8, 1000]),
        "granularity": st.sampled_from(["lamp", "circuit"]),
        "supply": st.sampled_from(["switched", "always", "", 0]),
        "power_limit_w": st.sampled_from([0, -3, 9.5, 900, True, "", "9"]),
    },
)


def values_of(quantity: Quantity) -> st.SearchStrategy[Value]:
    match quantity.type:
        case Type.BOOL:
            return st.booleans()
        case Type.ENUM:
            return st.sampled_from(quantity.values)
    low = -1e6 if quantity.low is None else quantity.low
    high = 1e6 if quantity.high is None else quantity.high
    if quantity.type is Type.INT:
        return st.integers(math.ceil(low), math.floor(high))
    return st.one_of(st.floats(low, high), st.just(0.0) if low <= 0 <= high else st.just(low))


@st.composite
def knowns(draw: Any, kind: Kind) -> Known:
    """Some of a device's readings, some of them old, at any hour."""
    at_ms = AT_MS + draw(st.integers(0, 86_400)) * 1000
    latest = {
        name: (draw(values_of(quantity)), at_ms - draw(st.sampled_from([0, 60_000, 86_400_000])))
        for name, quantity in kind.quantities.items()
        if draw(st.booleans())
    }
    return Known(
        at_ms=at_ms,
        interval_s=kind.interval_s,
        latest=latest,
        attributes=draw(ATTRIBUTES),
        parent=draw(ATTRIBUTES),
        latitude=34.75,
        longitude=113.62,
        charging_ms=draw(st.sampled_from([None, at_ms, at_ms - 40_000_000])),
    )


def _levels() -> dict[str, list[Callable[[Value], bool]]]:
    """What raises by a quantity, by its name."""
    found: dict[str, list[Callable[[Value], bool]]] = {}
    for sign in (sign for rule in RULES.values() for sign in rule.signs):
        detector = sign.detector
        if isinstance(detector, Beyond):
            low, high = band(detector.raises)
            raises: Callable[[Value], bool] = partial(_lies_in, low, high)
        elif isinstance(detector, Equals):
            raises = partial(operator.contains, detector.raises)
        else:
            continue
        found.setdefault(detector.quantity, []).append(raises)
    return found


def _lies_in(low: float, high: float, value: Value) -> bool:
    return not isinstance(value, str) and low <= value <= high


LEVELS = _levels()


def test_there_are_quantities_made_of_others() -> None:
    assert len(DERIVED) > 5
    assert all(LEVELS[derived.quantity.name] for kind in KINDS.values() for derived in kind.derived)


@pytest.mark.parametrize(("kind", "derived"), DERIVED)
@settings(max_examples=60)
@given(data=st.data())
def test_whatever_is_known_it_is_a_value_of_its_type_or_unknown(
    kind: Kind, derived: Derived, data: Any
) -> None:
    made = derived.make(data.draw(knowns(kind)))
    if made is None:
        return
    if derived.quantity.type is Type.BOOL:
        assert isinstance(made, bool)
    else:
        assert isinstance(made, int | float)
        assert math.isfinite(made)


@pytest.mark.parametrize(("kind", "derived"), DERIVED)
@settings(max_examples=60)
@given(data=st.data())
def test_without_any_reading_it_is_made_of_it_raises_nothing(
    kind: Kind, derived: Derived, data: Any
) -> None:
    known = data.draw(knowns(kind))
    known.latest = {name: at for name, at in known.latest.items() if name not in derived.of}
    made = derived.make(known)
    assert made is None or not any(raises(made) for raises in LEVELS[derived.quantity.name])


@pytest.mark.parametrize(("kind", "derived"), NEEDY)
@settings(max_examples=60)
@given(data=st.data())
def test_of_a_device_that_is_not_like_it_needs_it_is_unknown(
    kind: Kind, derived: Derived, data: Any
) -> None:
    known = data.draw(knowns(kind))
    assert derived.needs is not None
    assert derived.needs(known.attributes) or derived.make(known) is None


@pytest.mark.parametrize(("kind", "derived"), BOUND)
@settings(max_examples=60)
@given(data=st.data())
def test_it_is_never_above_what_it_is_said_to_be_at_most(
    kind: Kind, derived: Derived, data: Any
) -> None:
    known = data.draw(knowns(kind))
    assert derived.at_most is not None
    most = data.draw(values_of(kind.quantities[derived.at_most]))
    known.latest = {**known.latest, derived.at_most: (most, known.at_ms)}
    made = derived.make(known)
    assert made is None or made <= most


def test_what_was_worked_out_once_is_the_same_when_it_is_asked_for_again() -> None:
    lamp = {"granularity": "lamp", "lamp_count": 1, "nominal_power_w": 40}
    at_ms = AT_MS + 14 * 3_600_000
    latest = {"switch_state": ("on", at_ms), "power_w": (20.0, at_ms)}
    known = Known(at_ms, 900, latest, lamp, {}, 34.75, 113.62)
    made = {one.quantity.name: one.make(known) for one in KINDS["lamp"].derived}
    assert {one.quantity.name: one.make(known) for one in KINDS["lamp"].derived} == made
    for one in KINDS["lamp"].derived:
        alone = Known(at_ms, 900, latest, lamp, {}, 34.75, 113.62)
        assert one.make(alone) == made[one.quantity.name]
