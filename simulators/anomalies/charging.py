"""What befalls charging sheds and their sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators import charging
from simulators.anomalies.anomaly import (
    DAY_MIN,
    ON_REQUEST,
    Anomaly,
    Begin,
    End,
    flip,
    nothing,
    set_values,
)
from simulators.charging import Port, Shed
from simulators.gateways import Gateway
from simulators.native import Values
from simulators.nodes import Link, Node

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

# Sessions that end for these reasons are facts of their own (domain.md §7.2: 1 % of all).
ORDERS_SINCE_MS = 1_577_836_800_000  # as in simulators.fleet: orders count seconds from here
SAFETY_STOPS = {
    "over_power": "overload_stop",
    "over_temp": "overheat_stop",
    "short_circuit": "short_circuit_stop",
    "battery_abnormal": "battery_damaged",
}


def drops(fleet: Fleet, subject: Shed | Gateway, now_ms: int, _end_ms: int) -> Detail:
    fleet.disconnect(subject.link, now_ms, keeps=True)
    if isinstance(subject, Shed):
        return {"charging": any(port.session is not None for port in subject.ports)}
    return {"devices": len(subject.children)}


def returns(fleet: Fleet, subject: Shed | Gateway, now_ms: int, _: Detail) -> None:
    if now_ms >= subject.dead_until_ms:
        fleet.connect(subject.link, now_ms)


def is_up(subject: Node) -> bool:
    return subject.link.up and not subject.dead_until_ms


def loses_power(fleet: Fleet, shed: Shed, now_ms: int, end_ms: int) -> Detail:
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


def power_returns(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    fleet.revive(shed, now_ms, within_ms=5_000)
    fleet.later(now_ms + 2_500, reconnects, shed.link)
    if not shed.juy:
        fleet.later(now_ms + 2_600, _logs_in, shed)


def reconnects(fleet: Fleet, link: Link, now_ms: int) -> int:
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


def _restarts(fleet: Fleet, shed: Shed, now_ms: int, _end_ms: int) -> Detail:
    """Its watchdog bites: charging goes on, and the board counts it from zero again."""
    fleet.boot(shed, now_ms)
    charges = 0
    for port in shed.ports:
        if port.session is not None:
            port.session.advance(now_ms, shed.factor)
            port.session.forgot_wh = port.session.wh
            charges += 1
    fleet.tell(shed, now_ms)
    return {"charges": charges}


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
    set_values(fleet, shed, now_ms, {"leakage_state": "tripped", "leakage_ma": leak_ma})
    return {"leakage_ma": leak_ma}


def _leaks_no_more(fleet: Fleet, shed: Shed, now_ms: int, _: Detail) -> None:
    set_values(fleet, shed, now_ms, {"leakage_state": "ok", "leakage_ma": 2.0})


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
    supplies(fleet, shed, now_ms, 0.0)


def supplies(fleet: Fleet, shed: Shed, now_ms: int, volts: float) -> None:
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


def _port_heats(
    fleet: Fleet,
    at: tuple[Shed, Port],
    _now_ms: int,
    _end_ms: int,
    *,
    above_normal_c: float = 0.0,
) -> Detail:
    at[1].hot_c = above_normal_c or round(46 + 12 * fleet.fate.random(), 1)
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


def _relay_leaks(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _end_ms: int) -> Detail:
    """Idle, says the board, and there is power on the socket all the same."""
    at[1].leak_w = round(35 + 60 * fleet.fate.random(), 1)
    _tell_port(fleet, *at, now_ms)
    return {"power_w": at[1].leak_w}


def _relay_opens(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _: Detail) -> None:
    at[1].leak_w = 0.0
    _tell_port(fleet, *at, now_ms)


def _nobody_comes(_fleet: Fleet, at: tuple[Shed, Port], _now_ms: int, _end_ms: int) -> Detail:
    at[1].shunned = True
    return {}


def _people_come(_fleet: Fleet, at: tuple[Shed, Port], _now_ms: int, _: Detail) -> None:
    at[1].shunned = False


def _contact_breaks(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _end_ms: int) -> Detail:
    """Whoever plugs in finds no charge; some people try it at once."""
    shed, port = at
    port.bad_contact = True
    for n in range(4):
        fleet.later(now_ms + n * 180_000 + 5_000, _tries_socket, (shed, port))
    return {}


def _tries_socket(fleet: Fleet, at: tuple[Shed, Port], now_ms: int) -> int:
    shed, port = at
    if port.status == "idle" and port.broken is None and shed.link.up:
        fleet.plug_in(shed, port, now_ms)
    return 0


def _contact_is_good(_fleet: Fleet, at: tuple[Shed, Port], _now_ms: int, _: Detail) -> None:
    at[1].bad_contact = False


def _never_full(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, end_ms: int) -> Detail:
    shed, port = at
    watts = 110 + 60 * fleet.fate.random()
    fleet.plug_in(shed, port, now_ms, _steady(shed, now_ms, watts, end_ms))
    return {"power_w": round(watts, 1)}


def _counts_wrongly(
    fleet: Fleet, at: tuple[Shed, Port], now_ms: int, end_ms: int, *, factor: float = 1.5
) -> Detail:
    """One charge that the board's meter counts as more, or less, than was drawn."""
    shed, port = at
    session = _steady(shed, now_ms, 160 + 60 * fleet.fate.random(), end_ms)
    session.register = factor
    fleet.plug_in(shed, port, now_ms, session)
    return {"factor": factor}


def _steady(shed: Shed, now_ms: int, watts: float, end_ms: int) -> charging.Session:
    return charging.steady_session(shed, now_ms, ORDERS_SINCE_MS, watts, end_ms)


def _is_unplugged(fleet: Fleet, at: tuple[Shed, Port], now_ms: int, _: Detail) -> None:
    fleet.unplug(*at, now_ms, "remote_stop")


def counts_on_its_charge(shed: Shed) -> bool:
    """Whether a charge at one of its sockets must go on until it is ended there."""
    return any(port.anomaly in ("meter_wrong", "charge_endless") for port in shed.ports)


def _native_port_is_free(at: tuple[Shed, Port]) -> bool:
    return not at[0].juy and _port_is_free(at)


def _port_is_well(at: tuple[Shed, Port]) -> bool:
    return at[1].broken is None


def _port_of_native(at: tuple[Shed, Port]) -> bool:
    return not at[0].juy and at[1].broken is None  # the only boards that have a word for it


def _port_is_free(at: tuple[Shed, Port]) -> bool:
    return at[1].broken is None and at[1].status == "idle" and not at[0].smoke


def _port_charges_for_long(at: tuple[Shed, Port]) -> bool:
    session = at[1].session
    return session is not None and session.end_ms - session.at_ms > 1_200_000


def _charges_on(_fleet: Fleet, at: tuple[Shed, Port], _now_ms: int, end_ms: int) -> bool:
    """Whether its charge lasts as long: a socket that does not work tells no temperature."""
    session = at[1].session
    return session is not None and session.end_ms >= end_ms


def _native_port_charges(at: tuple[Shed, Port]) -> bool:
    return not at[0].juy and at[1].session is not None


ANOMALIES = (
    Anomaly("modem_lost", "shed", 24, 12, 16, 8, drops, returns, is_up, spread=1.2),
    Anomaly("shed_power_lost", "shed", 0.5, 60, 2, 8, loses_power, power_returns, is_up),
    Anomaly("board_restarts", "shed", 0.0, 0.0, 0.0, 0.0, _restarts, nothing, _is_native),
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
    Anomaly(
        "port_hot",
        "port",
        0.02,
        30,
        6,
        8,
        _port_heats,
        _port_cools,
        _port_charges_for_long,
        fits=_charges_on,
        takes={"above_normal_c": (46.0, 120.0)},
    ),
    Anomaly("overload_stop", "port", 0.0, 0, 8, 0, _overload, nothing, _port_is_free),
    Anomaly("battery_damaged", "port", 0.01, 0, 0.5, 0, _battery, nothing, _native_port_charges),
    Anomaly("relay_leaks", "port", *ON_REQUEST, _relay_leaks, _relay_opens, _native_port_is_free),
    Anomaly("port_abandoned", "port", *ON_REQUEST, _nobody_comes, _people_come, _port_is_free),
    Anomaly("socket_broken", "port", *ON_REQUEST, _contact_breaks, _contact_is_good, _port_is_free),
    Anomaly(
        "charge_endless", "port", *ON_REQUEST, _never_full, _is_unplugged, _native_port_is_free
    ),
    Anomaly(
        "meter_wrong",
        "port",
        *ON_REQUEST,
        _counts_wrongly,
        _is_unplugged,
        _native_port_is_free,
        takes={"factor": (0.2, 5.0)},
    ),
)
