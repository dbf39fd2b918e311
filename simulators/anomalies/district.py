"""What befalls a gateway and all behind it, or a whole compound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.anomalies.anomaly import Anomaly
from simulators.anomalies.charging import (
    drops,
    is_up,
    loses_power,
    power_returns,
    reconnects,
    returns,
    supplies,
)
from simulators.gateways import Gateway

if TYPE_CHECKING:
    from simulators.fleet import Fleet, Yard
    from simulators.truth import Detail


def _power_cut(fleet: Fleet, yard: Yard, now_ms: int, end_ms: int) -> Detail:
    """The grid is gone. The gateway's battery lasts long enough to say so."""
    for shed in yard.sheds:
        loses_power(fleet, shed, now_ms, end_ms)
    for node in yard.children:
        node.dead_until_ms = max(node.dead_until_ms, end_ms)
    gateway = yard.gateway
    if gateway is not None:
        gateway.mains_ok = False
        fleet.report(gateway, now_ms, {"mains_ok": False, "battery_pct": 96.0})
        fleet.later(now_ms + 25_000, _battery_ends, (gateway, end_ms))
    return {"devices": sum(1 for _ in yard.nodes())}


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
        fleet.revive(node, now_ms)


def _can_lose_power(yard: Yard) -> bool:
    return all(
        node.anomaly is None and node.link.up and not node.dead_until_ms for node in yard.nodes()
    )


def _browns_out(fleet: Fleet, yard: Yard, now_ms: int, _end_ms: int) -> Detail:
    volts = round(170 + 14 * fleet.fate.random(), 1)
    for shed in yard.sheds:
        supplies(fleet, shed, now_ms, volts)
    return {"voltage_v": volts}


def _browned_out(fleet: Fleet, yard: Yard, now_ms: int, _: Detail) -> None:
    for shed in yard.sheds:
        supplies(fleet, shed, now_ms, 0.0)


def _can_brown_out(yard: Yard) -> bool:
    return bool(yard.sheds) and all(is_up(shed) and not shed.supply_v for shed in yard.sheds)


ANOMALIES = (
    Anomaly("gateway_lost", "gateway", 2, 20, 3, 5, drops, returns, is_up, spread=0.8),
    Anomaly("power_cut", "compound", 1, 60, 0.6, 12, _power_cut, _power_is_back, _can_lose_power),
    Anomaly("brown_out", "compound", 2, 8, 1.5, 5, _browns_out, _browned_out, _can_brown_out),
)
