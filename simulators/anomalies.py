"""What can befall the district, how often and for how long. Facts about the world, no fault codes.

`ANOMALIES` is the list. Each row has two rates: what a year brings (domain.md §7.4; where no figure
was found, an assumption) and what a demonstration brings. One thing befalls a device at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from simulators import charging, lamps
from simulators.cameras import Camera
from simulators.charging import Port, Shed
from simulators.gates import Gate
from simulators.gateways import Gateway
from simulators.lamps import Lamp
from simulators.lifts import Lift
from simulators.native import Json, Values
from simulators.nodes import Link, Node

if TYPE_CHECKING:
    from simulators.fleet import Fleet, Yard
    from simulators.truth import Detail

YEAR_H = 8_766.0
SHORTEST_MS = 45_000
DAY_MIN = 1_440.0

# How many devices of a kind the whole district has: rates for it are scaled by this.
DISTRICT = {
    "gate": 349,
    "shed": 134,
    "port": 1_600,
    "lamp": 3_634,
    "camera": 820,
    "lift": 6,
    "gateway": 225,
    "compound": 225,
    "link": 359,
    "node": 5_168,  # everything that sends messages of its own
}
DOOR_ANOMALIES = ("door_held_open", "door_forced")
# Sessions that end for these reasons are facts of their own (domain.md §7.2: 1 % of all).
SAFETY_STOPS = {
    "over_power": "overload_stop",
    "over_temp": "overheat_stop",
    "short_circuit": "short_circuit_stop",
    "battery_abnormal": "battery_damaged",
}

Begin = Callable[["Fleet", Any, int, int], "Detail"]
End = Callable[["Fleet", Any, int, "Detail"], None]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One kind of thing that befalls one kind of subject.

    of: the kind of subject (a key of DISTRICT). year: how often a year, for one subject; minutes:
    how long, on average (0: over in the same moment). demo_h: how often an hour in the whole
    district in a demonstration; demo_minutes likewise. begin: (fleet, subject, now, end) makes it
    so, and says more about it. end: undoes it, knowing what `begin` said. able: who it can befall.
    standing: it may already be so when the simulation begins. spread: of the durations, as the
    standard deviation of their logarithm.
    """

    kind: str
    of: str
    year: float
    minutes: float
    demo_h: float
    demo_minutes: float
    begin: Begin
    end: End
    able: Callable[[Any], bool] = lambda _: True
    standing: bool = False
    spread: float = 0.5


# -- what changes attributes and nothing else


def _set(fleet: Fleet, node: Node, now_ms: int, sets: Mapping[str, Json]) -> None:
    values: Values = {}
    for name, value in sets.items():
        setattr(node, name, value)
        values[name] = value
    fleet.report(node, now_ms, values)


def _before(node: Node, sets: Mapping[str, Json]) -> dict[str, Any]:
    return {f"before_{name}": getattr(node, name) for name in sets}


def _set_back(fleet: Fleet, node: Node, now_ms: int, before: Detail) -> None:
    _set(fleet, node, now_ms, {name.removeprefix("before_"): was for name, was in before.items()})


def flip(
    kind: str,
    of: str,
    rates: tuple[float, float, float, float],
    sets: Mapping[str, Json],
    able: Callable[[Any], bool] = lambda _: True,
) -> Anomaly:
    """Attributes are so for a while, and then as before; the device tells both at once."""

    def begin(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
        before = _before(node, sets)
        _set(fleet, node, now_ms, sets)
        return before

    def end(fleet: Fleet, node: Node, now_ms: int, before: Detail) -> None:
        _set_back(fleet, node, now_ms, before)

    return Anomaly(kind, of, *rates, begin, end, able, standing=True)


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


def moment(
    kind: str,
    of: str,
    rates: tuple[float, float],
    event: str,
    fields: Values,
    able: Callable[[Any], bool] = lambda _: True,
) -> Anomaly:
    """One event, over as soon as it has happened."""

    def begin(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
        fleet.event(node, now_ms, event, dict(fields))
        return {}

    return Anomaly(kind, of, rates[0], 0.0, rates[1], 0.0, begin, _nothing, able)


def between(
    kind: str,
    of: str,
    rates: tuple[float, float, float, float],
    event: str,
    first: Values,
    last: Values,
    able: Callable[[Any], bool] = lambda _: True,
    sets: Mapping[str, Json] | None = None,
) -> Anomaly:
    """An event begins it and another ends it; `sets` hold in between."""
    between_sets = sets or {}

    def begin(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
        before = _before(node, between_sets)
        fleet.event(node, now_ms, event, dict(first))
        if before:
            _set(fleet, node, now_ms, between_sets)
        return before

    def end(fleet: Fleet, node: Node, now_ms: int, before: Detail) -> None:
        fleet.event(node, now_ms, event, dict(last))
        if before:
            _set_back(fleet, node, now_ms, before)

    return Anomaly(kind, of, *rates, begin, end, able)


def _nothing(_fleet: Fleet, _subject: Any, _now_ms: int, _detail: Detail) -> None:
    return


# -- gates


def _held_open(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    _set(fleet, gate, now_ms, _door_sets(gate, "open"))
    fleet.later(now_ms + 30_000, _too_long, gate)
    return {}


def _too_long(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    if gate.anomaly == "door_held_open":
        _set(fleet, gate, now_ms, {"door_alarm": "open_too_long"})
    return 0


def _forced(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    _set(fleet, gate, now_ms, {"door_state": "open", "door_alarm": "forced_open"})
    return {}


def _shut(fleet: Fleet, gate: Gate, now_ms: int, _: Detail) -> None:
    _set(fleet, gate, now_ms, {**_door_sets(gate, "closed"), "door_alarm": "normal"})


def _door_sets(gate: Gate, state: str) -> dict[str, Json]:
    if gate.barrier:
        return {"door_state": state, "arm_state": state}
    return {"door_state": state, "lock_state": "unlocked" if state == "open" else "locked"}


def _is_barrier(gate: Gate) -> bool:
    return gate.barrier


def _is_door(gate: Gate) -> bool:
    return not gate.barrier


def _is_shut(gate: Gate) -> bool:
    return gate.door_state == "closed"


def _is_shut_door(gate: Gate) -> bool:
    return not gate.barrier and gate.door_state == "closed"


# -- devices that fall silent, and connections


def _goes_silent(_fleet: Fleet, node: Node, _now_ms: int, end_ms: int) -> Detail:
    node.dead_until_ms = end_ms
    return {}


def _speaks_again(fleet: Fleet, node: Node, now_ms: int, _: Detail) -> None:
    fleet.revive(node, now_ms, within_ms=20_000)


def _drops(fleet: Fleet, subject: Shed | Gateway, now_ms: int, _end_ms: int) -> Detail:
    fleet.disconnect(subject.link, now_ms, keeps=True)
    if isinstance(subject, Shed):
        return {"charging": any(port.session is not None for port in subject.ports)}
    return {"devices": len(subject.children)}


def _returns(fleet: Fleet, subject: Shed | Gateway, now_ms: int, _: Detail) -> None:
    if now_ms >= subject.dead_until_ms:
        fleet.connect(subject.link, now_ms)


def _is_up(subject: Node) -> bool:
    return subject.link.up and not subject.dead_until_ms


def _stutters(fleet: Fleet, link: Link, _now_ms: int, _end_ms: int) -> Detail:
    link.repeats = round(0.1 + 0.2 * fleet.fate.random(), 2)
    return {"repeats": link.repeats}


def _stutters_no_more(_fleet: Fleet, link: Link, _now_ms: int, _: Detail) -> None:
    link.repeats = 0.0


# -- sheds and sockets


def _smoke(fleet: Fleet, shed: Shed, now_ms: int, _end_ms: int) -> Detail:
    charged = sum(port.session is not None for port in shed.ports)
    for port in shed.ports:
        fleet.unplug(shed, port, now_ms, "smoke")
    shed.smoke = True
    if not shed.juy:  # this board has no other word for smoke than the reason of a stop
        fleet.report(shed, now_ms, {"smoke": True})
    return {"stopped": charged}


def _smoke_over(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    shed.smoke = False
    if not shed.juy:
        fleet.report(shed, now_ms, {"smoke": False})


def _can_smoke(shed: Shed) -> bool:
    return not shed.juy or any(port.session is not None for port in shed.ports)


def _leaks(fleet: Fleet, shed: Shed, now_ms: int, _end_ms: int) -> Detail:
    for port in shed.ports:
        fleet.unplug(shed, port, now_ms, "leakage")
    leak_ma = round(32 + 40 * fleet.fate.random(), 1)
    _set(fleet, shed, now_ms, {"leakage_state": "tripped", "leakage_ma": leak_ma})
    return {"leakage_ma": leak_ma}


def _leaks_no_more(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    _set(fleet, shed, now_ms, {"leakage_state": "ok", "leakage_ma": 2.0})


def _box_heats(fleet: Fleet, shed: Shed, now_ms: int, _end_ms: int) -> Detail:
    shed.hot_c = round(46 + 8 * fleet.fate.random(), 1)
    _heartbeat(fleet, shed, now_ms)
    return {}


def _box_cools(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    shed.hot_c = 0.0
    _heartbeat(fleet, shed, now_ms)


def _heartbeat(fleet: Fleet, shed: Shed, now_ms: int) -> None:
    if not shed.juy:
        fleet.report(shed, now_ms, charging.heartbeat(shed, now_ms, fleet.rng))


def _signal_fades(_fleet: Fleet, shed: Shed, _now_ms: int, _end_ms: int) -> Detail:
    before, shed.csq = shed.csq, 6
    return {"csq": before}


def _signal_is_back(_fleet: Fleet, shed: Shed, _now_ms: int, before: Detail) -> None:
    shed.csq = int(before["csq"])


def _rises(fleet: Fleet, shed: Shed, now_ms: int, _end_ms: int) -> Detail:
    shed.supply_v = round(256 + 6 * fleet.fate.random(), 1)
    _heartbeat(fleet, shed, now_ms)
    return {"voltage_v": shed.supply_v}


def _voltage_is_back(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    _supply(fleet, shed, now_ms, 0.0)


def _supply(fleet: Fleet, shed: Shed, now_ms: int, volts: float) -> None:
    """Another voltage from now on; what was drawn until now was drawn at the old one."""
    for port in shed.ports:
        if port.session is not None:
            port.session.advance(now_ms, shed.factor)
    shed.supply_v = volts
    _heartbeat(fleet, shed, now_ms)


def _is_native(shed: Shed) -> bool:
    return not shed.juy


def _port_breaks(state: str, stop: str) -> tuple[Begin, End]:
    def begin(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _end_ms: int) -> Detail:
        shed, port = at
        port.broken = state
        if state == "relay_stuck":
            port.leak_w = round(40 + 140 * fleet.fate.random(), 1)
        if port.session is not None:
            fleet.unplug(shed, port, now_ms, stop)
        _tell_port(fleet, shed, port, now_ms)
        return {}

    def end(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _: Detail) -> None:
        shed, port = at
        port.broken, port.leak_w = None, 0.0
        _tell_port(fleet, shed, port, now_ms)

    return begin, end


def _tell_port(fleet: Fleet, shed: Shed, port: Port, now_ms: int) -> None:
    if not shed.juy:
        values: Values = {"port_status": port.shown(), "power_w": port.leak_w}
        fleet.report(shed, now_ms, {}, {str(port.no): values})


def _port_heats(fleet: Fleet, at: tuple[Shed, Port], _now_ms: int, _end_ms: int) -> Detail:
    at[1].hot_c = round(46 + 12 * fleet.fate.random(), 1)
    return {"above_normal_c": at[1].hot_c}


def _port_cools(_fleet: Fleet, at: tuple[Shed, Port], _now_ms: int, _: Detail) -> None:
    at[1].hot_c = 0.0


def _overload(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _end_ms: int) -> Detail:
    """Somebody plugs in a heater: the board measures it and stops."""
    shed, port = at
    fleet.plug_in(shed, port, now_ms)
    session = port.session
    if session is not None:
        session.power_w = round(1_050 + 600 * fleet.fate.random(), 1)
        session.plateau_h = 24.0
        fleet.later(now_ms + 12_000, _cut_off, (shed, port, session, "over_power"))
    return {}


def _battery(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _end_ms: int) -> Detail:
    shed, port = at
    fleet.unplug(shed, port, now_ms, "battery_abnormal")
    return {}


def _cut_off(fleet: Fleet, stopped: tuple[Shed, Port, charging.Session, str], now_ms: int) -> int:
    shed, port, session, reason = stopped
    if port.session is session:
        fleet.unplug(shed, port, now_ms, reason)
    return 0


def _port_is_well(at: tuple[Shed, Port]) -> bool:
    return at[1].broken is None


def _port_of_native(at: tuple[Shed, Port]) -> bool:
    return not at[0].juy and at[1].broken is None  # the only boards that have a word for it


def _port_is_free(at: tuple[Shed, Port]) -> bool:
    return at[1].broken is None and at[1].status == "idle" and not at[0].smoke


def _port_charges_for_long(at: tuple[Shed, Port]) -> bool:
    session = at[1].session
    return session is not None and session.end_ms - session.at_ms > 1_200_000


def _native_port_charges(at: tuple[Shed, Port]) -> bool:
    return not at[0].juy and at[1].session is not None


# -- lamps


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


def _is_powered(lamp: Lamp) -> bool:
    return lamp.powered


# -- any device


def _clock_skews(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
    draw = fleet.fate.random()
    if draw < 0.4:
        node.skew_ms = 28_800_000  # local time sent as UTC
    elif draw < 0.7:
        node.skew_ms = -now_ms + 30_000  # 1970: it lost its clock with its battery
    else:
        node.skew_ms = 400_000 if draw < 0.85 else -400_000
    return {"skew_s": node.skew_ms // 1000}


def _clock_is_set(_fleet: Fleet, node: Node, _now_ms: int, _: Detail) -> None:
    node.skew_ms = 0


BAD_VALUES: Mapping[str, tuple[tuple[str, Json], ...]] = {
    "gate": (("board_temp_c", msgspec.Raw(b"NaN")), ("rssi_dbm", "-67 dBm"), ("uptime_s", -1)),
    "lamp": (("power_w", -35.0), ("voltage_v", msgspec.Raw(b"NaN")), ("dim_level_pct", 128)),
    "camera": (("disk_free_pct", 140.0), ("time_offset_s", "n/a"), ("channels_online", True)),
    "gateway": (("csq", 131), ("battery_pct", msgspec.Raw(b"1e999"))),
    "shed": (("voltage_v", -1.0), ("csq", "good")),
}


def _measures_badly(fleet: Fleet, node: Node, _now_ms: int, _end_ms: int) -> Detail:
    choices = BAD_VALUES[node.device.kind]
    name, value = choices[int(fleet.fate.random() * len(choices))]
    node.overlay = {name: value}
    return {"quantity": name}


def _freezes(_fleet: Fleet, node: Node, _now_ms: int, _end_ms: int) -> Detail:
    if isinstance(node, Gate):
        name, value = "board_temp_c", round(node.board_temp_c, 1)
    else:
        name, value = "voltage_v", 229.3
    node.overlay = {name: value}
    return {"quantity": name}


def _measures_well(_fleet: Fleet, node: Node, _now_ms: int, _: Detail) -> None:
    node.overlay = None


def _can_measure_badly(node: Node) -> bool:
    return node.device.protocol == "native" and node.device.kind in BAD_VALUES


def _can_freeze(node: Node) -> bool:
    return isinstance(node, Gate) or (isinstance(node, Lamp) and not node.tasmota)


def _has_clock(node: Node) -> bool:
    return node.device.protocol == "native" and not node.skew_ms


def _meter_resets(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
    fleet.boot(node, now_ms)
    detail: dict[str, float] = {}
    if isinstance(node, Lamp):
        lamps.meter(node, now_ms, fleet.rng)
        detail["energy_kwh"] = round(node.energy_kwh, 3)
        node.energy_kwh = node.midnight_kwh = 0.0
    fleet.tell(node, now_ms)
    return detail


def _can_reset(node: Node) -> bool:
    return isinstance(node, Lamp | Gate) and node.device.protocol == "native"


# -- a whole compound


def _power_cut(fleet: Fleet, yard: Yard, now_ms: int, end_ms: int) -> Detail:
    """The grid is gone. The gateway's battery lasts long enough to say so."""
    for shed in yard.sheds:
        _lose_power(fleet, shed, now_ms, end_ms)
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
        fleet.later(now_ms + 2_000, _reconnect, gateway.link)
    for shed in yard.sheds:
        _power_returns(fleet, shed, now_ms, {})
    for node in yard.children:
        fleet.revive(node, now_ms)


def _can_lose_power(yard: Yard) -> bool:
    return all(
        node.anomaly is None and node.link.up and not node.dead_until_ms for node in yard.nodes()
    )


def _lose_power(fleet: Fleet, shed: Shed, now_ms: int, end_ms: int) -> Detail:
    """The board dies in this moment; what it knows of its sessions it says on return."""
    shed.dead_until_ms = end_ms
    ended = [
        values
        for port in shed.ports
        if (values := fleet.unplug(shed, port, now_ms, "power_cut")) is not None
    ]
    fleet.disconnect(shed.link, now_ms, keeps=False)
    if not shed.juy:
        shed.to_tell = [(now_ms, values) for values in ended]
    return {"stopped": len(ended)}


def _power_returns(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    fleet.revive(shed, now_ms, within_ms=5_000)
    fleet.later(now_ms + 2_500, _reconnect, shed.link)
    if not shed.juy:
        fleet.later(now_ms + 2_600, _logs_in, shed)


def _reconnect(fleet: Fleet, link: Link, now_ms: int) -> int:
    if not link.up and now_ms >= link.node.dead_until_ms:
        fleet.connect(link, now_ms)
    return 0


def _logs_in(fleet: Fleet, shed: Shed, now_ms: int) -> int:
    login: Values = {
        "imei": shed.imei,
        "ports_total": len(shed.ports),
        "hw": "CY-SHED-2",
        "sw": "2.4.1",
        "ccid": f"89860{shed.imei}",
        "csq": shed.csq,
        "reason": "power_on",
    }
    fleet.event(shed, now_ms, "login", login)
    for at_ms, ended in shed.to_tell:
        fleet.event(shed, now_ms, "session_end", ended, at_ms)
    shed.to_tell = []
    return 0


def _browns_out(fleet: Fleet, yard: Yard, now_ms: int, _end_ms: int) -> Detail:
    volts = round(170 + 14 * fleet.fate.random(), 1)
    for shed in yard.sheds:
        _supply(fleet, shed, now_ms, volts)
    return {"voltage_v": volts}


def _browned_out(fleet: Fleet, yard: Yard, now_ms: int, _: Detail) -> None:
    for shed in yard.sheds:
        _supply(fleet, shed, now_ms, 0.0)


def _can_brown_out(yard: Yard) -> bool:
    return bool(yard.sheds) and all(_is_up(shed) and not shed.supply_v for shed in yard.sheds)


# -- the list: (times a year and subject, minutes, times an hour in a demo, minutes in a demo)

ANOMALIES = (
    Anomaly("door_held_open", "gate", 45, 3, 36, 3, _held_open, _shut, _is_shut),
    Anomaly("door_forced", "gate", 7, 2, 12, 2, _forced, _shut, _is_shut_door),
    flip("reader_lost", "gate", (0.02, DAY_MIN, 14, 6), {"reader_online_1": False}),
    flip("gate_mains_lost", "gate", (0.05, 60, 10, 5), {"mains_ok": False}),
    flip("gate_tampered", "gate", (0.02, 30, 10, 4), {"tamper": True}),
    flip("reader_tampered", "gate", (0.01, 30, 2, 4), {"reader_tamper_1": True}, _is_door),
    flip("gate_battery_weak", "gate", (0.02, DAY_MIN, 3, 20), {"battery_low": True}),
    flip("lock_broken", "gate", (0.01, DAY_MIN, 3, 12), {"lock_state": "fault"}, _is_shut_door),
    flip("barrier_motor_broken", "gate", (0.05, DAY_MIN, 2, 10), {"motor_ok": False}, _is_barrier),
    flip(
        "lane_controller_lost",
        "gate",
        (0.05, 600, 4, 6),
        {"lane_controller_online": False},
        _is_barrier,
    ),
    between(
        "barrier_blocked",
        "gate",
        (2, 5, 12, 2),
        "barrier",
        {"what": "arm_blocked"},
        {"what": "arm_clear"},
        _is_barrier,
    ),
    between(
        "fire_release",
        "gate",
        (0.1, 20, 0.7, 5),
        "fire_open",
        {"active": True},
        {"active": False},
        _is_door,
        {"door_mode": "fire_open"},
    ),
    moment("duress", "gate", (0.01, 0.4), "duress", {"door_no": 1}, _is_door),
    moment("panic", "gate", (0.02, 0.4), "panic", {"door_no": 1}, _is_door),
    Anomaly("gate_silent", "gate", 0.1, DAY_MIN, 10, 6, _goes_silent, _speaks_again),
    Anomaly("modem_lost", "shed", 24, 12, 16, 8, _drops, _returns, _is_up, spread=1.2),
    Anomaly("shed_power_lost", "shed", 0.5, 60, 2, 8, _lose_power, _power_returns, _is_up),
    Anomaly("smoke", "shed", 0.107, 8, 1.2, 4, _smoke, _smoke_over, _can_smoke),
    Anomaly("leakage", "shed", 0.05, 240, 0.8, 6, _leaks, _leaks_no_more, _is_native),
    Anomaly("box_hot", "shed", 0.1, 60, 3, 8, _box_heats, _box_cools, _is_native, standing=True),
    flip("box_open", "shed", (0.3, 30, 5, 3), {"cabinet_door": "open"}, _is_native),
    flip("box_pried", "shed", (0.05, 60, 1.5, 4), {"cabinet_door": "pried"}, _is_native),
    Anomaly("overvoltage", "shed", 0.05, 20, 1, 5, _rises, _voltage_is_back, _is_native),
    Anomaly("signal_weak", "shed", 1, 600, 3, 50, _signal_fades, _signal_is_back, standing=True),
    Anomaly(
        "port_output_failed",
        "port",
        0.025,
        2 * DAY_MIN,
        12,
        15,
        *_port_breaks("output_fault", "device_fault"),
        _port_of_native,
        standing=True,
    ),
    Anomaly(
        "fuse_blown",
        "port",
        0.01,
        2 * DAY_MIN,
        6,
        18,
        *_port_breaks("fuse_blown", "fuse_blown"),
        _port_is_well,
        standing=True,
    ),
    Anomaly(
        "relay_welded",
        "port",
        0.002,
        DAY_MIN,
        0.7,
        8,
        *_port_breaks("relay_stuck", "device_fault"),
        _port_is_well,
    ),
    Anomaly("port_hot", "port", 0.02, 30, 6, 8, _port_heats, _port_cools, _port_charges_for_long),
    Anomaly("overload_stop", "port", 0.0, 0, 8, 0, _overload, _nothing, _port_is_free),
    Anomaly("battery_damaged", "port", 0.01, 0, 0.5, 0, _battery, _nothing, _native_port_charges),
    Anomaly(
        "lamp_dead",
        "lamp",
        0.05,
        2 * DAY_MIN,
        9,
        90,
        _lamp_dies,
        _lamp_replaced,
        _is_powered,
        standing=True,
    ),
    flag("driver_failed", (0.03, 2 * DAY_MIN, 5, 60), "control_gear_failure"),
    flag("lamp_relay_failed", (0.01, DAY_MIN, 4, 20), "relay_failure"),
    Anomaly("lamp_hot", "lamp", 0.01, 120, 3, 20, _gear_heats, _gear_cools, _is_street_lit),
    replace(flag("lamp_leakage", (0.002, 240, 0.5, 6), "leakage_detected"), able=_is_circuit),
    replace(flag("cabinet_open", (0.05, 60, 4, 5), "cabinet_door_open"), able=_is_circuit),
    Anomaly("lamp_silent", "lamp", 0.02, DAY_MIN, 2, 80, _goes_silent, _speaks_again, _is_powered),
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
    flip("disk_failed", "camera", (0.02, DAY_MIN, 4, 20), {"disk_state": "failed"}),
    flip("recording_stopped", "camera", (0.02, DAY_MIN, 5, 22), {"recording": False}),
    flip("video_lost", "camera", (0.01, 600, 8, 6), {"video_loss": True}),
    flip("lens_covered", "camera", (0.02, 600, 4, 14), {"occlusion": True}),
    flip("camera_mains_lost", "camera", (0.02, 60, 3, 5), {"mains_ok": False}),
    flip("camera_clock_off", "camera", (0.05, DAY_MIN, 2, 40), {"time_offset_s": 95.0}),
    Anomaly("camera_silent", "camera", 0.03, DAY_MIN, 6, 8, _goes_silent, _speaks_again),
    flip("lift_stopped", "lift", (1, 240, 2.5, 7), {"in_service": False}),
    between(
        "passenger_trapped",
        "lift",
        (0.2, 25, 0.6, 3),
        "trapped",
        {"active": True},
        {"active": False},
        lambda lift: lift.in_service,
        {"in_service": False},
    ),
    Anomaly("lift_monitor_silent", "lift", 0.5, 600, 1, 6, _goes_silent, _speaks_again),
    Anomaly("gateway_lost", "gateway", 2, 20, 3, 5, _drops, _returns, _is_up, spread=0.8),
    Anomaly("power_cut", "compound", 1, 60, 0.6, 12, _power_cut, _power_is_back, _can_lose_power),
    Anomaly("brown_out", "compound", 2, 8, 1.5, 5, _browns_out, _browned_out, _can_brown_out),
    Anomaly("clock_wrong", "node", 0.02, DAY_MIN, 3, 30, _clock_skews, _clock_is_set, _has_clock),
    Anomaly(
        "bad_values",
        "node",
        0.02,
        600,
        5,
        12,
        _measures_badly,
        _measures_well,
        _can_measure_badly,
        standing=True,
    ),
    Anomaly(
        "value_frozen",
        "node",
        0.01,
        DAY_MIN,
        1,
        60,
        _freezes,
        _measures_well,
        _can_freeze,
        standing=True,
    ),
    Anomaly("restart", "node", 0.5, 0, 3, 0, _meter_resets, _nothing, _can_reset),
    Anomaly("repeats", "link", 2, 60, 2, 20, _stutters, _stutters_no_more),
)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often things befall the whole district, and for how long.

    per_h: times an hour in the whole district, by kind of anomaly; minutes: how long on average.
    least_share: a part of the district gets at least this share of it, so that a small
    demonstration shows something too.
    """

    per_h: Mapping[str, float]
    minutes: Mapping[str, float]
    least_share: float = 0.0

    def times(self, factor: float) -> Rates:
        """The same, so many times as often."""
        return replace(self, per_h={kind: rate * factor for kind, rate in self.per_h.items()})

    def only(self, *kinds: str) -> Rates:
        """Only these kinds. Raises KeyError for one that there is not."""
        return replace(self, per_h={kind: self.per_h[kind] for kind in kinds})


NONE = Rates({}, {})
REAL = Rates(
    {row.kind: row.year * DISTRICT[row.of] / YEAR_H for row in ANOMALIES},
    {row.kind: row.minutes for row in ANOMALIES},
)
DEMO = Rates(
    {row.kind: row.demo_h for row in ANOMALIES},
    {row.kind: row.demo_minutes for row in ANOMALIES},
    least_share=0.2,
)


class _Fate:
    """Draws what befalls whom, for one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self.subjects = _subjects(fleet)
        self.rows: list[Anomaly] = []
        self.edges: list[float] = []
        total = 0.0
        for row in ANOMALIES:
            rate = fleet.rates.per_h.get(row.kind, 0.0)
            subjects = self.subjects[row.of]
            if rate <= 0 or not subjects:
                continue
            share = len(subjects) / DISTRICT[row.of]
            total += rate * min(1.0, max(share, fleet.rates.least_share))
            self.rows.append(row)
            self.edges.append(total)
        self.per_h = total

    def row(self, at: float) -> Anomaly:
        at *= self.per_h
        return next(row for row, edge in zip(self.rows, self.edges, strict=True) if at < edge)

    def rate_per_h(self, row: Anomaly) -> float:
        n = self.rows.index(row)
        return self.edges[n] - (self.edges[n - 1] if n else 0.0)


def begin(fleet: Fleet) -> None:
    """Have things befall a fleet from now on; what stands for long is there already."""
    fate = _Fate(fleet)
    if not fate.rows:
        return
    for row in fate.rows:
        if row.standing:
            mean = fate.rate_per_h(row) * fleet.rates.minutes[row.kind] / 60
            for _ in range(_poisson(mean, fleet.fate)):
                _strike(fleet, fate, row, fleet.start_ms)
    fleet.later(_next_strike(fleet, fate, fleet.start_ms), _come, fate)


def _come(fleet: Fleet, fate: _Fate, now_ms: int) -> int:
    _strike(fleet, fate, fate.row(fleet.fate.random()), now_ms)
    return _next_strike(fleet, fate, now_ms)


def _next_strike(fleet: Fleet, fate: _Fate, now_ms: int) -> int:
    return now_ms + 1 + int(-math.log(1 - fleet.fate.random()) / fate.per_h * 3_600_000)


def _strike(fleet: Fleet, fate: _Fate, row: Anomaly, now_ms: int) -> None:
    """Let it befall somebody whom it can; with nobody found in a few tries, nobody."""
    subjects, rng = fate.subjects[row.of], fleet.fate
    for _ in range(12):
        subject = subjects[int(rng.random() * len(subjects))]
        owner, scope = _owner(subject), _scope(subject)
        if _is_spared(subject) or not row.able(subject):
            continue
        end_ms = now_ms
        mean = fleet.rates.minutes[row.kind]
        if mean:
            # log-normal around the mean: most are short, some last
            draw = math.exp(row.spread * rng.gauss(0.0, 1.0) - row.spread**2 / 2)
            end_ms += min(6 * 3_600_000, max(SHORTEST_MS, int(mean * draw * 60_000)))
        if hasattr(owner, "anomaly") and mean:
            owner.anomaly = row.kind
        detail = row.begin(fleet, subject, now_ms, end_ms)
        fleet.fact(row.kind, scope, now_ms, end_ms, {**_about(subject), **detail})
        if mean:
            fleet.later(end_ms, _end, (row, subject, detail))
        return


def _end(fleet: Fleet, ending: tuple[Anomaly, Any, Detail], now_ms: int) -> int:
    row, subject, detail = ending
    owner = _owner(subject)
    row.end(fleet, subject, now_ms, detail)
    if hasattr(owner, "anomaly"):
        owner.anomaly = None
    return 0


def _subjects(fleet: Fleet) -> dict[str, list[Any]]:
    nodes = list(fleet.nodes.values())
    sheds = [node for node in nodes if isinstance(node, Shed)]
    return {
        "gate": [node for node in nodes if isinstance(node, Gate)],
        "shed": sheds,
        "port": [(shed, port) for shed in sheds for port in shed.ports],
        "lamp": [node for node in nodes if isinstance(node, Lamp)],
        "camera": [node for node in nodes if isinstance(node, Camera)],
        "lift": [node for node in nodes if isinstance(node, Lift)],
        "gateway": [node for node in nodes if isinstance(node, Gateway)],
        "compound": list(fleet.yards.values()),
        "link": [link for link in fleet.links.values() if link.native],
        "node": nodes,
    }


def _owner(subject: Any) -> Any:
    return subject[1] if isinstance(subject, tuple) else subject


def _scope(subject: Any) -> str:
    return str(_owner(subject).id)


def _is_spared(subject: Any) -> bool:
    """Something befalls it already, or it is dead, or its compound has no power."""
    if isinstance(subject, tuple):
        shed, port = subject
        return port.anomaly is not None or shed.dead_until_ms > 0 or not shed.link.up
    if isinstance(subject, Link):
        return subject.repeats > 0
    return subject.anomaly is not None or getattr(subject, "dead_until_ms", 0) > 0


def _about(subject: Any) -> dict[str, str]:
    if isinstance(subject, tuple):
        return {"of": "port", "compound": subject[0].device.compound}
    if isinstance(subject, Node):
        return {"of": subject.device.kind, "compound": subject.device.compound}
    if isinstance(subject, Link):
        return {"of": subject.node.device.kind, "compound": subject.node.device.compound}
    return {"of": "compound"}


def _poisson(mean: float, rng: Random) -> int:
    limit, n, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        n += 1
        product *= rng.random()
    return n
