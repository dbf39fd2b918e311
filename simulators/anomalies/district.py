"""What befalls a gateway and all behind it, or a whole compound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators import lamps
from simulators.anomalies.anomaly import ON_REQUEST, Anomaly, set_values
from simulators.anomalies.charging import (
    counts_on_its_charge,
    drops,
    is_up,
    loses_power,
    power_returns,
    reconnects,
    returns,
    supplies,
)
from simulators.gates import Gate
from simulators.gateways import Gateway
from simulators.lamps import Lamp

if TYPE_CHECKING:
    from simulators.fleet import Fleet, Yard
    from simulators.truth import Detail

RAIN_DB = 6
HEAT_C = 15.0  # of sockets and boxes on a day above 38 °C


def _power_cut(
    fleet: Fleet, yard: Yard, now_ms: int, end_ms: int, *, breaks_min: float = 0.0
) -> Detail:
    """The grid is gone. The gateway's battery lasts long enough to say so.

    breaks_min: a gate does not come back with the power, but so many minutes after it.
    """
    for shed in yard.sheds:
        loses_power(fleet, shed, now_ms, end_ms)
    for node in yard.children:
        node.dead_until_ms = max(node.dead_until_ms, end_ms)
        if isinstance(node, Lamp):
            lamps.goes_dark(node, now_ms)
    gateway = yard.gateway
    if gateway is not None:
        gateway.mains_ok = False
        fleet.report(gateway, now_ms, {"mains_ok": False, "battery_pct": 96.0})
        fleet.later(now_ms + 25_000, _battery_ends, (gateway, end_ms))
    gates = [node for node in yard.children if isinstance(node, Gate)]
    if breaks_min and gates:
        gate, dead_ms = gates[0], end_ms + round(breaks_min * 60_000)
        gate.dead_until_ms, gate.anomaly = dead_ms, "gate_silent"
        about = {"of": "gate", "compound": yard.id}
        fleet.fact("gate_silent", gate.id, now_ms, dead_ms, about)
        fleet.later(dead_ms, _is_mended, gate)
    return {"devices": sum(1 for _ in yard.nodes())}


def _is_mended(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    gate.anomaly = None
    fleet.revive(gate, now_ms)
    return 0


def _battery_ends(fleet: Fleet, at: tuple[Gateway, int], now_ms: int) -> int:
    gateway, end_ms = at
    gateway.dead_until_ms = end_ms
    fleet.disconnect(gateway.link, now_ms, keeps=False)
    return 0


def _power_is_back(fleet: Fleet, yard: Yard, now_ms: int, _: Detail) -> None:
    gateway = yard.gateway
    if gateway is not None:
        gateway.mains_ok, gateway.battery_pct = True, 60.0
        fleet.revive(gateway, now_ms, within_ms=5_000)
        fleet.later(now_ms + 2_000, reconnects, gateway.link)
    for shed in yard.sheds:
        power_returns(fleet, shed, now_ms, {})
    for node in yard.children:
        if node.dead_until_ms <= now_ms:
            fleet.revive(node, now_ms)


def _can_lose_power(yard: Yard) -> bool:
    return all(
        node.anomaly is None and node.link.up and not node.dead_until_ms for node in yard.nodes()
    ) and not any(counts_on_its_charge(shed) for shed in yard.sheds)


def _browns_out(
    fleet: Fleet, yard: Yard, now_ms: int, _end_ms: int, *, voltage_v: float = 0.0
) -> Detail:
    volts = voltage_v or round(170 + 14 * fleet.fate.random(), 1)
    for shed in yard.sheds:
        supplies(fleet, shed, now_ms, volts)
    return {"voltage_v": volts}


def _browned_out(fleet: Fleet, yard: Yard, now_ms: int, _: Detail) -> None:
    for shed in yard.sheds:
        supplies(fleet, shed, now_ms, 0.0)


def _rains(fleet: Fleet, yard: Yard, now_ms: int, _end_ms: int) -> Detail:
    """Currents leak ten times as much, which is still little, and the radio is weaker."""
    for node in yard.nodes():
        node.rssi_dbm -= RAIN_DB
    if yard.gateway is not None:
        yard.gateway.csq -= RAIN_DB // 2
    for shed in yard.sheds:
        shed.csq -= RAIN_DB // 2
        if not shed.juy:
            set_values(fleet, shed, now_ms, {"leakage_ma": shed.leakage_ma * 10})
    return {"rssi_db": -RAIN_DB}


def _dries(fleet: Fleet, yard: Yard, now_ms: int, _: Detail) -> None:
    for node in yard.nodes():
        node.rssi_dbm += RAIN_DB
    if yard.gateway is not None:
        yard.gateway.csq += RAIN_DB // 2
    for shed in yard.sheds:
        shed.csq += RAIN_DB // 2
        if not shed.juy and shed.leakage_state == "ok":
            set_values(fleet, shed, now_ms, {"leakage_ma": 2.0})


def _is_hot(_fleet: Fleet, yard: Yard, _now_ms: int, _end_ms: int) -> Detail:
    for shed in yard.sheds:
        shed.ambient_c = HEAT_C
    return {"above_normal_c": HEAT_C}


def _cools(_fleet: Fleet, yard: Yard, _now_ms: int, _: Detail) -> None:
    for shed in yard.sheds:
        shed.ambient_c = 0.0


def _has_dry_sheds(yard: Yard) -> bool:
    return bool(yard.sheds) and all(
        shed.anomaly is None and shed.leakage_ma < 3 for shed in yard.sheds
    )


def _has_cool_sheds(yard: Yard) -> bool:
    return bool(yard.sheds) and all(not shed.ambient_c for shed in yard.sheds)


def _can_brown_out(yard: Yard) -> bool:
    return bool(yard.sheds) and all(is_up(shed) and not shed.supply_v for shed in yard.sheds)


ANOMALIES = (
    Anomaly("gateway_lost", "gateway", 2, 20, 3, 5, drops, returns, is_up, spread=0.8),
    Anomaly(
        "power_cut",
        "compound",
        1,
        60,
        0.6,
        12,
        _power_cut,
        _power_is_back,
        _can_lose_power,
        takes={"breaks_min": (0.0, 1440.0)},
    ),
    Anomaly(
        "brown_out",
        "compound",
        2,
        8,
        1.5,
        5,
        _browns_out,
        _browned_out,
        _can_brown_out,
        takes={"voltage_v": (165.0, 195.0)},
    ),
    Anomaly("rain", "compound", *ON_REQUEST, _rains, _dries, _has_dry_sheds, occupies=False),
    Anomaly("heat", "compound", *ON_REQUEST, _is_hot, _cools, _has_cool_sheds, occupies=False),
)
