"""A session's energy told three ways: which agree, and what can be said of it."""

import pytest

from devices.reconciliation import (
    STATUS_WORDS,
    WORDS,
    Measured,
    Source,
    Status,
    Why,
    reconcile,
)

WELL = Measured(1.0, 1.0, 1.0, 1.0)


def of(reported_kwh: float | None, measured: Measured | None) -> tuple[Status, Why]:
    found = reconcile(is_open=False, is_reported=True, energy_kwh=reported_kwh, measured=measured)
    return found.status, found.why


@pytest.mark.parametrize(
    ("reported", "measured", "status", "why"),
    [
        (1.0, WELL, "agrees", "both"),
        (1.19, WELL, "agrees", "both"),
        (1.21, WELL, "apart", "both_apart"),
        (0.75, WELL, "apart", "both_apart"),
        (1.0, Measured(1.0, 1.0, 1.4, 1.0), "apart", "power_apart"),
        (1.0, Measured(1.4, 1.0, 1.0, 1.0), "apart", "register_apart"),
        # too little of the power is known
        (1.0, Measured(1.0, 1.0, 0.7, 0.94), "agrees", "register"),
        (1.0, Measured(None, 0.0, 1.0, 0.96), "agrees", "power"),
        # the register was read a twentieth of the time before the end
        (1.0, Measured(0.95, 0.95, None, 0.0), "agrees", "register"),
        (1.25, Measured(0.95, 0.95, None, 0.0), "apart", "register_apart"),
        (1.0, Measured(0.5, 0.5, 0.5, 0.5), "unknown", "gaps"),
        (1.0, Measured(), "unknown", "not_measured"),
        # so small that rounding may be the difference
        (0.14, Measured(0.1, 1.0, 0.1, 1.0), "unknown", "too_small"),
        (0.19, Measured(0.15, 1.0, 0.15, 1.0), "agrees", "both"),
        (9.0, Measured(0.0, 1.0, 0.0, 1.0), "apart", "both_apart"),
        (0.0, Measured(0.8, 1.0, 0.8, 1.0), "apart", "both_apart"),
        (None, WELL, "unknown", "not_reported"),
        (1.0, None, "unknown", "awaited"),
    ],
)
def test_what_can_be_said_of_a_sessions_energy(
    reported: float | None, measured: Measured | None, status: str, why: str
) -> None:
    assert of(reported, measured) == (status, why)


def test_of_a_session_that_we_closed_only_the_measurements_are_compared() -> None:
    found = reconcile(is_open=False, is_reported=False, energy_kwh=1.0, measured=WELL)
    assert (found.status, found.why) == (Status.UNKNOWN, Why.NO_END)
    assert found.agree == ((Source.REGISTER, Source.POWER),)


def test_of_a_session_that_runs_nothing_is_said() -> None:
    found = reconcile(is_open=True, is_reported=False, energy_kwh=None, measured=None)
    assert (found.status, found.why) == (Status.UNKNOWN, Why.OPEN)


def test_those_that_agree_are_named() -> None:
    found = reconcile(
        is_open=False, is_reported=True, energy_kwh=1.0, measured=Measured(1.1, 1.0, 1.5, 1.0)
    )
    assert found.agree == ((Source.REPORTED, Source.REGISTER),)
    assert [round(apart) for _, _, apart in found.apart_pct] == [9, 33, 27]


def test_every_word_is_there_in_both_languages() -> None:
    assert set(WORDS) == set(Why)
    assert set(STATUS_WORDS) == set(Status)
    assert all(name.zh and name.en for name in (*WORDS.values(), *STATUS_WORDS.values()))
