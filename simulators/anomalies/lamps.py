"""What befalls lamps, their circuits and cabinets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulators import lamps
from simulators.anomalies.anomaly import (
    DAY_MIN,
    Anomaly,
    goes_silent,
    speaks_again,
)
from simulators.lamps import Lamp

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
    lamp.forced, lamp.dim_pct = True, 100
    lamp.flags["day_burner"] = True
    _tell_lamp(fleet, lamp, now_ms)
    _tell_flag(fleet, lamp, now_ms, "day_burner")
    return {}


def _burns_no_more(fleet: Fleet, lamp: Lamp, now_ms: int, _: Detail) -> None:
    lamps.meter(lamp, now_ms, fleet.rng)
    lamp.forced = False
    lamp.dim_pct, _until = lamps.plan(lamp, now_ms, fleet.nights)
    lamp.flags["day_burner"] = False
    _tell_lamp(fleet, lamp, now_ms)
    _tell_flag(fleet, lamp, now_ms, "day_burner")


def _has_flags(lamp: Lamp) -> bool:
    return not lamp.tasmota


def _is_street_lit(lamp: Lamp) -> bool:
    return not lamp.circuit and lamp.dim_pct > 0


def _is_off_by_day(lamp: Lamp) -> bool:
    return not lamp.circuit and lamp.dim_pct == 0


def _is_circuit(lamp: Lamp) -> bool:
    return lamp.circuit and not lamp.tasmota and lamp.powered


def is_powered(lamp: Lamp) -> bool:
    return lamp.powered


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
)
