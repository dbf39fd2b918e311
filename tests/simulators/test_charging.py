"""A charge: its curve, its energy, its end."""

import statistics
from random import Random

import pytest

from devices.registry import Device
from simulators.charging import (
    FLOAT_MS,
    FLOAT_W,
    HOUR_MS,
    JUY_FLOAT_MS,
    Port,
    Session,
    Shed,
    new_session,
    tier_of,
)
from simulators.nodes import Link

NOW_MS = 1_795_399_200_000


def a_shed(*, juy: bool = False, ports: int = 2) -> Shed:
    device = Device("x-shed-1", "shed", "x", "1号充电棚", 60, protocol="juy" if juy else "native")
    sockets = [
        Port(Device(f"x-shed-1-p{n:02d}", "port", "x", f"{n}", 60, attributes={"port_no": n}))
        for n in range(1, ports + 1)
    ]
    return Shed(device, Link(device.id, native=not juy), sockets)


def a_session(**over: float) -> Session:
    """The worked example: 150 W, 7 h to full, τ 75 min."""
    session = Session(1, NOW_MS)
    session.power_w, session.plateau_h, session.tau_h, session.float_w = 150.0, 4.2, 1.25, 8.0
    for name, value in over.items():
        setattr(session, name, value)
    return session


def test_the_worked_example_of_the_domain() -> None:
    session = a_session()
    assert session.curve_w(NOW_MS + 3 * HOUR_MS) == 150.0
    assert session.below_h(15.0) == pytest.approx(7.1, abs=0.03)
    assert session.curve_wh(NOW_MS + 7 * HOUR_MS) == pytest.approx(800, rel=0.01)
    assert session.curve_w(NOW_MS + 20 * HOUR_MS) == 8.0


def test_energy_is_the_integral_of_the_power() -> None:
    session = a_session()
    step_ms = 10_000
    summed_wh = 0.0
    for at_ms in range(NOW_MS, NOW_MS + 10 * HOUR_MS, step_ms):
        summed_wh += session.curve_w(at_ms + step_ms // 2) * step_ms / HOUR_MS
    assert session.curve_wh(NOW_MS + 10 * HOUR_MS) == pytest.approx(summed_wh, rel=0.001)


def test_it_does_not_matter_how_often_energy_is_counted() -> None:
    once, often = a_session(), a_session()
    once.advance(NOW_MS + 9 * HOUR_MS, 1.0)
    for at_ms in range(NOW_MS, NOW_MS + 9 * HOUR_MS + 1, 60_000):
        often.advance(at_ms, 1.0)
    assert once.wh == pytest.approx(often.wh)


def test_a_brown_out_gives_less_energy_while_it_lasts() -> None:
    session = a_session()
    session.advance(NOW_MS + HOUR_MS, 1.0)
    before = session.wh
    session.advance(NOW_MS + 2 * HOUR_MS, 0.6)
    assert session.wh - before == pytest.approx(90.0)


@pytest.mark.parametrize(("juy", "float_ms"), [(False, FLOAT_MS), (True, JUY_FLOAT_MS)])
def test_a_full_battery_ends_after_the_boards_float_time(juy: bool, float_ms: int) -> None:
    shed, rng = a_shed(juy=juy), Random(1)
    seen = 0
    for n in range(200):
        session = new_session(shed, NOW_MS + n, 0, rng)
        if session.reason != "full":
            continue
        seen += 1
        low_ms = session.end_ms - float_ms
        assert session.curve_w(low_ms + 1_000) <= FLOAT_W
        assert session.curve_w(low_ms - 60_000) > FLOAT_W
    assert seen > 80


def test_charges_are_like_those_of_the_district() -> None:
    shed, rng = a_shed(), Random(2)
    sessions = [new_session(shed, NOW_MS + n, 0, rng) for n in range(4_000)]
    ends = [session.reason for session in sessions]
    share = {reason: ends.count(reason) / len(ends) for reason in set(ends)}
    assert share["full"] == pytest.approx(0.62, abs=0.03)
    assert share["unplugged"] == pytest.approx(0.20, abs=0.03)
    assert share["time_up"] + share["money_up"] + share["energy_up"] == pytest.approx(
        0.13, abs=0.02
    )
    assert share["no_load_at_start"] == pytest.approx(0.04, abs=0.01)
    full = [session for session in sessions if session.reason == "full"]
    energies_kwh = [session.curve_wh(session.end_ms) / 1000 for session in full]
    assert min(energies_kwh) > 0.45
    assert max(energies_kwh) < 1.65
    assert 0.75 < statistics.mean(energies_kwh) < 1.0
    watts = sorted(session.power_w for session in full)
    assert watts[len(watts) // 20] > 85
    assert watts[-len(watts) // 20] < 260


def test_orders_never_come_again() -> None:
    shed = a_shed()
    orders = [shed.next_order(at_ms, 0) for at_ms in (NOW_MS, NOW_MS, NOW_MS + 5, NOW_MS + 90_000)]
    assert len(set(orders)) == 4
    assert orders == sorted(orders)


@pytest.mark.parametrize(("power_w", "tier"), [(150, 1), (200, 1), (201, 2), (999, 5), (1500, 6)])
def test_tiers_are_bands_of_power(power_w: float, tier: int) -> None:
    assert tier_of(power_w) == tier
