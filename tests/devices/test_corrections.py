"""What can be corrected, and how an amount is shared out over the hours of a day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.corrections import (
    FIGURES,
    LEAST,
    BadCorrection,
    Change,
    changes,
    difference,
    shared_out,
    shown,
)
from devices.usage import Figures, add, merge


@pytest.mark.parametrize(
    ("kind", "stated", "says"),
    [
        ("camera", {"passages": 1}, "a camera has no figures of usage"),
        ("gate", {}, "nothing is to be changed"),
        ("gate", {"energy_kwh": 1}, "'energy_kwh' is no figure of a gate; it has passages"),
        ("gate", {"granted": 1}, "no figure of a gate"),  # as hours keep it, not as people say
        ("gate", {"by_method": 1}, "by_method is counted by one of"),
        ("gate", {"by_method.magic": 1}, "by_method is counted by one of"),
        ("gate", {"passages.face": 1}, "is one number and has no parts"),
        ("gate", {"passages": 0.5}, "passages is a count: by a whole number"),
        ("port", {"energy_kwh": float("nan")}, "a number other than 0"),
        ("port", {"energy_kwh": float("inf")}, "a number other than 0"),
        ("port", {"energy_kwh": 0}, "a number other than 0"),
        ("port", {"fee_fen": 1e10}, "at most 1,000,000,000"),
        ("lamp", {"lamp_on_rate": 0.1}, "no figure of a lamp"),  # it follows from the others
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    kind: str, stated: dict[str, float], says: str
) -> None:
    with pytest.raises(BadCorrection, match=says):
        changes(kind, stated)


def test_people_say_hours_and_hours_are_kept_in_seconds() -> None:
    assert changes("lamp", {"burn_hours": 1.5}) == [Change("burn_s", None, 5400, False)]
    assert changes("port", {"stop_reasons.full": -2, "energy_kwh": 3}) == [
        Change("energy_kwh", None, 3, False),
        Change("stop_reasons", "full", -2, True, ("inferred_stops",)),
    ]


def test_sessions_that_are_counted_apart_are_sessions_to_people() -> None:
    hour = {
        "inferred_sessions": 1,
        "unreported_sessions": 2,
        "inferred_stops": {"unknown": 1},
        "stop_reasons": {"full": 2},
        "unreported_session_s": 7200,
    }
    assert shown("port", hour) == {
        "sessions": 3,
        "session_h": 2,
        "stop_reasons.full": 2,
        "stop_reasons.unknown": 1,
    }
    (change,) = changes("port", {"sessions": -3})
    assert change.there(hour) == 3, "so many can be taken away"


@pytest.mark.parametrize(
    ("amount", "is_count", "there", "shares"),
    [
        (3, False, [0, 1, 2], [0, 1, 2]),  # as it was used
        (3, False, [0, 0, 0], [1, 1, 1]),  # nobody knows when
        (-1.5, False, [0, 1, 2], [0, -0.5, -1]),
        (-3, False, [0, 1, 2], [0, -1, -2]),
        (3, True, [1, 2, 0, 5], [0, 1, 0, 2]),  # whole passages
        (2, True, [0, 0, 0], [1, 1, 0]),
        (-8, True, [1, 2, 0, 5], [-1, -2, 0, -5]),
    ],
)
def test_an_amount_goes_to_the_hours_in_which_the_figure_was(
    amount: float, is_count: bool, there: list[float], shares: list[float]
) -> None:
    assert shared_out(Change("energy_kwh", None, amount, is_count), there) == shares


def test_more_than_there_is_cannot_be_taken_away() -> None:
    with pytest.raises(BadCorrection, match=r"negative: 3 is there, 3\.5 to be"):
        shared_out(Change("energy_kwh", None, -3.5, False), [1, 2])


@given(
    there=st.lists(st.integers(0, 500), min_size=1, max_size=25),
    share=st.floats(0, 1),
    more=st.integers(-1000, 1000),
)
def test_shares_are_the_amount_and_no_hour_becomes_negative(
    there: list[int], share: float, more: int
) -> None:
    for is_count in (True, False):
        amount = float(more if more > 0 else -int(share * sum(there)))
        shares = shared_out(Change("granted", None, amount, is_count), there)
        assert sum(shares) == pytest.approx(amount)
        assert all(one + here >= -LEAST for one, here in zip(shares, there, strict=True))
        if is_count:
            assert sum(shares) == amount
            assert all(one == int(one) for one in shares)


amounts = st.integers(0, 9).map(float)
figures = st.builds(
    lambda flat, parts: {**flat, **({"stop_reasons": parts} if parts else {})},
    st.dictionaries(st.sampled_from(["energy_kwh", "sessions"]), amounts),
    st.dictionaries(st.sampled_from(["full", "unplugged"]), amounts),
)


@given(before=figures, after=figures)
def test_a_difference_makes_the_one_of_the_other(before: Figures, after: Figures) -> None:
    merge(before, difference(before, after))
    assert shown("port", before) == shown("port", after)


def test_every_figure_that_people_can_name_is_shown_to_them() -> None:
    for kind, of_kind in FIGURES.items():
        kept: Figures = {}
        for figure in of_kind.values():
            add(kept, figure.name, figure.scale, min(figure.parts, default=None))
        assert {name.partition(".")[0] for name in shown(kind, kept)} == set(of_kind)
        assert set(shown(kind, kept).values()) == {1}
