"""What befalls lamps, their circuits and cabinets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulators import lamps
from simulators.anomalies.anomaly import (
    DAY_MIN,
    ON_REQUEST,
    Anomaly,
    Begin,
    goes_silent,
    nothing,
    speaks_again,
)
from simulators.lamps import Circuit, Lamp
from simulators.profiles import local_day

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail


def flag(kind: str, rates: tuple[float, float, float, float], name: str) -> Anomaly:
    """A lamp controller raises one of its flags for a while."""

    def begin(fleet: Fleet, lamp: Lamp, now_ms: int, _end_ms: int) -> Detail:
        lamp.flags[name] = True
        _tell_flag(fleet, lamp, now_ms, name)
        return {}

    def end(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
        lamp.flags[name] = False
        _tell_flag(fleet, lamp, now_ms, name)

    return Anomaly(kind, "lamp", *rates, begin, end, _has_flags, standing=True)


def _tell_flag(fleet: Fleet, lamp: Lamp, now_ms: int, name: str) -> None:
    if lamp.powered and not lamp.tasmota:
        fleet.report(lamp, now_ms, {name: lamp.flags.get(name, False)})


def _lamp_dies(fleet: Fleet, lamp: Lamp, now_ms: int, _end_ms: int) -> Detail:
    lamp.failed = 1 if lamp.count < 8 else 1 + int(fleet.fate.random() * 2)
    if not lamp.circuit:  # a circuit's meter cannot tell which lamp: its power falls
        lamp.flags["lamp_failure"] = True
        _tell_flag(fleet, lamp, now_ms, "lamp_failure")
    return {"lamps": lamp.failed}


def _lamp_replaced(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamp.failed = 0
    if not lamp.circuit:
        lamp.flags["lamp_failure"] = False
        _tell_flag(fleet, lamp, now_ms, "lamp_failure")


def _gear_heats(fleet: Fleet, lamp: Lamp, now_ms: int, end_ms: int) -> Detail:
    lamp.gear_hot_c = round(60 + 10 * fleet.fate.random(), 1)
    for at in range(now_ms, end_ms, 300_000):  # a hot controller reports every 5 minutes
        fleet.later(at, _tell_lamp, lamp)
    return {}


def _gear_cools(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamp.gear_hot_c = -20.0  # it has been off
    _tell_lamp(fleet, lamp, now_ms)
    lamp.gear_hot_c = 0.0


def _tell_lamp(fleet: Fleet, lamp: Lamp, now_ms: int) -> int:
    if lamp.powered and not lamp.tasmota:
        fleet.report(lamp, now_ms, lamps.report(lamp, now_ms, fleet.rng))
    return 0


def _burns_by_day(fleet: Fleet, lamp: Lamp, now_ms: int, _end_ms: int) -> Detail:
    lamps.meter(lamp, now_ms, fleet.rng)
    lamp.held_pct = lamp.dim_pct = 100
    lamp.flags["day_burner"] = True
    _tell_lamp(fleet, lamp, now_ms)
    _tell_flag(fleet, lamp, now_ms, "day_burner")
    return {}


def _burns_no_more(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamps.meter(lamp, now_ms, fleet.rng)
    lamp.held_pct = None
    lamp.dim_pct, _until = lamps.plan(lamp, now_ms, fleet.nights)
    lamp.flags["day_burner"] = False
    _tell_lamp(fleet, lamp, now_ms)
    _tell_flag(fleet, lamp, now_ms, "day_burner")


def _draws(share: float) -> Begin:
    """On, and drawing only this share of its usual power."""

    def begin(fleet: Fleet, lamp: Lamp, now_ms: int, _end_ms: int) -> Detail:
        lamp.drawn = share
        _tell_lamp(fleet, lamp, now_ms)
        return {"share": share}

    return begin


def _draws_as_usual(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamp.drawn = 1.0
    _tell_lamp(fleet, lamp, now_ms)


def _lags(fleet: Fleet, lamp: Lamp, now_ms: int, _end_ms: int) -> Detail:
    lamp.power_factor = round(0.55 + 0.15 * fleet.fate.random(), 2)
    _tell_lamp(fleet, lamp, now_ms)
    return {"power_factor": lamp.power_factor}


def _lags_no_more(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamp.power_factor = lamps.POWER_FACTOR
    _tell_lamp(fleet, lamp, now_ms)


def _stays_off(_fleet: Fleet, lamp: Lamp, _now_ms: int, _end_ms: int) -> Detail:
    """Its timer is wrong: it will not go on tonight."""
    lamp.held_pct = 0
    return {}


def _keeps_its_plan(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamp.held_pct = None
    lamps.meter(lamp, now_ms, fleet.rng)
    lamp.dim_pct, _until = lamps.plan(lamp, now_ms, fleet.nights)
    _tell_lamp(fleet, lamp, now_ms)


def _cycles(fleet: Fleet, lamp: Lamp, now_ms: int, end_ms: int) -> Detail:
    fleet.later(now_ms, _toggles, (lamp, end_ms))
    return {}


def _toggles(fleet: Fleet, at: tuple[Lamp, int], now_ms: int) -> int:
    """On and off by itself, every two minutes."""
    lamp, end_ms = at
    if now_ms >= end_ms or lamp.anomaly != "lamp_cycles":
        return 0
    lamps.meter(lamp, now_ms, fleet.rng)
    lamp.held_pct = lamp.dim_pct = 0 if lamp.dim_pct else 100
    lamp.switch_count += 1
    _tell_lamp(fleet, lamp, now_ms)
    return now_ms + 100_000 + int(40_000 * fleet.fate.random())


def _loses_supply(fleet: Fleet, lamp: Lamp, now_ms: int, _end_ms: int) -> Detail:
    lamps.meter(lamp, now_ms, fleet.rng)
    lamp.cut = True
    _tell_lamp(fleet, lamp, now_ms)
    return {"lamps": lamp.count}


def _has_supply(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamp.cut = False
    _tell_lamp(fleet, lamp, now_ms)


def _street_goes_dark(_fleet: Fleet, circuit: Circuit, now_ms: int, end_ms: int) -> Detail:
    for lamp in circuit.lamps:
        lamp.dead_until_ms = max(lamp.dead_until_ms, end_ms)
        lamps.goes_dark(lamp, now_ms)
    return {"devices": len(circuit.lamps)}


def _street_is_lit(fleet: Fleet, circuit: Circuit, now_ms: int, _: Detail) -> None:
    for lamp in circuit.lamps:
        fleet.revive(lamp, now_ms)


def _whole_street_is_lit(circuit: Circuit) -> bool:
    return all(
        lamp.dim_pct > 0 and lamp.anomaly is None and not lamp.dead_until_ms
        for lamp in circuit.lamps
    )


def _stays_dark(fleet: Fleet, _subject: Lamp | Circuit, now_ms: int, end_ms: int) -> bool:
    """Whether the night lasts as long."""
    _dawn, dusk = fleet.nights.times_ms(local_day(now_ms))
    dawn, _dusk = fleet.nights.times_ms(local_day(now_ms) + (now_ms >= dusk))
    return fleet.nights.is_dark(now_ms) and end_ms < dawn - 600_000


def _has_flags(lamp: Lamp) -> bool:
    return not lamp.tasmota


def _is_street_lit(lamp: Lamp) -> bool:
    return not lamp.circuit and lamp.dim_pct > 0


def _is_off_by_day(lamp: Lamp) -> bool:
    return not lamp.circuit and lamp.dim_pct == 0


def _is_circuit(lamp: Lamp) -> bool:
    return lamp.circuit and not lamp.tasmota and lamp.powered


def _is_lit(lamp: Lamp) -> bool:
    return lamp.dim_pct > 0 and lamp.powered and not lamp.tasmota


def _is_lit_circuit(lamp: Lamp) -> bool:
    return lamp.circuit and _is_lit(lamp)


def is_powered(lamp: Lamp) -> bool:
    return lamp.powered


def _nears_the_end(_fleet: Fleet, lamp: Lamp, _now_ms: int, _end_ms: int) -> Detail:
    """Its register is close to the last number that it can show."""
    left_kwh = 0.4
    lamp.energy_kwh = lamp.midnight_kwh = round(lamps.REGISTER_KWH - left_kwh, 3)
    return {"left_kwh": left_kwh}


def _said_nothing_yet(fleet: Fleet, _lamp: Lamp, now_ms: int, _end_ms: int) -> bool:
    return now_ms <= fleet.start_ms + 4_000  # the connections come up, and nothing else


ANOMALIES = (
    Anomaly(
        "lamp_dead",
        "lamp",
        0.05,
        2 * DAY_MIN,
        9,
        90,
        _lamp_dies,
        _lamp_replaced,
        is_powered,
        standing=True,
    ),
    flag("driver_failed", (0.03, 2 * DAY_MIN, 5, 60), "control_gear_failure"),
    flag("lamp_relay_failed", (0.01, DAY_MIN, 4, 20), "relay_failure"),
    Anomaly("lamp_hot", "lamp", 0.01, 120, 3, 20, _gear_heats, _gear_cools, _is_street_lit),
    replace(flag("lamp_leakage", (0.002, 240, 0.5, 6), "leakage_detected"), able=_is_circuit),
    replace(flag("cabinet_open", (0.05, 60, 4, 5), "cabinet_door_open"), able=_is_circuit),
    Anomaly("lamp_silent", "lamp", 0.02, DAY_MIN, 2, 80, goes_silent, speaks_again, is_powered),
    Anomaly(
        "lamp_burns_by_day",
        "lamp",
        0.02,
        180,
        4,
        45,
        _burns_by_day,
        _burns_no_more,
        _is_off_by_day,
    ),
    Anomaly("lamp_draws_nothing", "lamp", *ON_REQUEST, _draws(0.0), _draws_as_usual, _is_lit),
    # A circuit that draws less has dark lamps in it: that is another fact.
    Anomaly("lamp_power_low", "lamp", *ON_REQUEST, _draws(0.6), _draws_as_usual, _is_street_lit),
    Anomaly("lamp_power_high", "lamp", *ON_REQUEST, _draws(1.45), _draws_as_usual, _is_lit),
    Anomaly("lamp_pf_low", "lamp", *ON_REQUEST, _lags, _lags_no_more, _is_lit),
    Anomaly("lamp_stays_off", "lamp", *ON_REQUEST, _stays_off, _keeps_its_plan, _is_off_by_day),
    Anomaly("lamp_cycles", "lamp", *ON_REQUEST, _cycles, _keeps_its_plan, _is_lit),
    Anomaly(
        "register_rolls_over",
        "lamp",
        0.0,
        0.0,
        0.0,
        0.0,
        _nears_the_end,
        nothing,
        _has_flags,
        fits=_said_nothing_yet,
    ),
    Anomaly(
        "circuit_power_lost",
        "lamp",
        *ON_REQUEST,
        _loses_supply,
        _has_supply,
        _is_lit_circuit,
        fits=_stays_dark,
    ),
    Anomaly(
        "street_power_lost",
        "circuit",
        *ON_REQUEST,
        _street_goes_dark,
        _street_is_lit,
        _whole_street_is_lit,
        fits=_stays_dark,
    ),
)
