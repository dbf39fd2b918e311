"""Which fault comes first: the rank on paper, and what an impact says."""

from dataclasses import replace
from itertools import pairwise

import pytest

from devices.catalogue import RULES
from devices.impact import DISABLING, WANTED, Concern, impact, rank
from devices.rules import Severity

EVENING, NIGHT, NOON = 19, 3, 12
P1, P2, P3, P4 = Severity


def sockets(out: int, total: int = 12, hour: int = EVENING, charging: int = 0) -> Concern:
    return Concern(
        200,
        hour,
        {"sockets": out},
        {"sockets": out},
        {"sockets": total},
        total,
        total - out,
        charging,
    )


def lamps(out: int, total: int = 40, hour: int = EVENING) -> Concern:
    return Concern(200, hour, {"lamps": out}, {"lamps": out}, {"lamps": total})


def gates(out: int, total: int, hour: int = EVENING) -> Concern:
    return Concern(200, hour, {"gates": out}, {"gates": out}, {"gates": total})


def of(
    severity: Severity, concern: Concern, *, safety: bool = False, suspected: bool = False
) -> float:
    return rank(severity, concern, safety=safety, suspected=suspected)


def test_ten_of_twelve_sockets_at_seven_in_the_evening_come_before_one_lamp() -> None:
    assert of(P3, sockets(10)) > of(P3, lamps(1))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (sockets(10), sockets(2)),  # the larger share
        (sockets(3, 12), sockets(3, 24)),
        (sockets(10), sockets(10, hour=NIGHT)),  # when more people want it
        (lamps(10), lamps(10, hour=NOON)),
        (gates(1, 1), gates(1, 2)),  # where there is no other
        (gates(1, 1, NIGHT), lamps(1)),
        (sockets(6, charging=6), sockets(6)),  # where somebody is charging
        (Concern(200, NIGHT, is_whole=True), sockets(10)),  # all of a compound
        (lamps(1), Concern(200, EVENING)),  # something before nothing
        (gates(1, 2), replace(gates(1, 1), disables=False)),  # out before looked at
        (replace(gates(1, 1), disables=False), Concern(200, EVENING)),
    ],
)
def test_inside_a_class_the_larger_loss_comes_first(first: Concern, then: Concern) -> None:
    assert of(P3, first) > of(P3, then)


def test_the_class_comes_before_any_share_and_safety_before_any_class() -> None:
    whole = Concern(10_000, 18, {"sockets": 99}, {"sockets": 99}, {"sockets": 99}, is_whole=True)
    nothing = Concern(0, 0)
    order = [
        of(P1, nothing, safety=True),
        of(P2, nothing, safety=True),
        of(P1, whole),
        of(P1, nothing),
        of(P2, whole),
        of(P2, nothing),
        of(P3, whole),
        of(P3, nothing),
        of(P4, whole),
        of(P4, nothing),
        of(P4, whole, suspected=True),  # what is only suspected comes last
        of(P4, nothing, suspected=True),
    ]
    assert all(one > two for one, two in pairwise(order))


def test_what_is_out_already_counts_for_the_share() -> None:
    tenth = Concern(200, EVENING, {"sockets": 1}, {"sockets": 10}, {"sockets": 12}, 12, 2)
    first = Concern(200, EVENING, {"sockets": 1}, {"sockets": 1}, {"sockets": 12}, 12, 11)
    assert of(P3, tenth) > of(P3, first)


@pytest.mark.parametrize(
    ("concern", "told"),
    [
        (
            sockets(10, charging=4),
            {"sockets": 10, "sockets_left": 2, "sockets_total": 12, "charging": 4, "at_hour": 19},
        ),
        (lamps(9), {"lamps": 9, "lamps_left": 31, "lamps_total": 40, "at_hour": 19}),
        (
            gates(1, 1),
            {"households": 200, "gates": 1, "gates_left": 0, "gates_total": 1, "at_hour": 19},
        ),
        (
            gates(1, 4),  # a quarter of them comes by this one
            {"households": 50, "gates": 1, "gates_left": 3, "gates_total": 4, "at_hour": 19},
        ),
        (
            Concern(213, 3, {"lifts": 2, "lamps": 55}, {"lifts": 2, "lamps": 55},
                    {"lifts": 2, "lamps": 55}, is_whole=True),
            {"households": 213, "lamps": 55, "lamps_left": 0, "lamps_total": 55,
             "lifts": 2, "lifts_left": 0, "lifts_total": 2, "at_hour": 3},
        ),
        (Concern(213, 3), {"at_hour": 3}),
        (replace(gates(1, 1), disables=False), {"at_hour": 19}),  # held open, and passed
        (Concern(213, 3, charging=8), {"charging": 8, "at_hour": 3}),  # hot, and it charges on
    ],
)  # fmt: skip
def test_an_impact_says_who_is_concerned_and_what_is_left(
    concern: Concern, told: dict[str, object]
) -> None:
    assert impact(concern) == told


def test_sockets_are_left_in_the_shed_and_not_in_the_next_one() -> None:
    concern = Concern(200, 19, {"sockets": 12}, {"sockets": 12}, {"sockets": 24}, 12, 0)
    assert impact(concern)["sockets_left"] == 0
    assert concern.left("sockets") == 12


def test_what_disables_is_in_the_catalogue_and_wants_are_shares_of_every_hour() -> None:
    assert set(RULES) >= DISABLING
    for hours in WANTED.values():
        assert len(hours) == 24
        assert all(0 <= share <= 1 for share in hours)
