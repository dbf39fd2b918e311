"""Charging sheds: who plugs in when, how a battery fills, how it ends and what it costs."""

import math
from collections.abc import Callable
from random import Random

from devices.registry import Device
from simulators import juy
from simulators.diary import pieces
from simulators.native import Values
from simulators.nodes import Link, Node
from simulators.profiles import local_hour

HOUR_MS = 3_600_000
ARRIVALS_A_PORT = 2.1  # would-be charges a day; those that find every socket taken go away
FLOAT_W = 15.0  # below this a board takes a battery for full
FLOAT_MS = 30 * 60_000
JUY_FLOAT_MS = 120 * 60_000
MAX_MS = 12 * HOUR_MS
NO_LOAD_MS = 10_000
SAG_V_PER_KW = 0.3
NOMINAL_V = 228.0
TIERS_W = (200, 300, 500, 800, 1000)
INRUSH = 0.3  # above the plateau, falling to it within a minute

# (cumulative share, how it ends): full 62, unplugged 20, money or time 13, no load 4, safety 1 %
ENDS = (
    (0.62, "full"),
    (0.82, "unplugged"),
    (0.88, "time_up"),
    (0.93, "money_up"),
    (0.95, "energy_up"),
    (0.99, "no_load_at_start"),
    (1.0, "safety"),
)
SAFETY_ENDS = ((0.70, "over_power"), (0.90, "over_temp"), (1.0, "short_circuit"))
JUY_SAFETY_ENDS = ((0.78, "over_power"), (1.0, "over_temp"))  # the board knows no other
PAYS = ((0.82, "scan"), (0.96, "card"), (1.0, "coin"))


class Session:
    """One charge.

    The curve: inrush for a minute, `power_w` for `plateau_h`, then an exponential fall with time
    constant `tau_h` down to `float_w`. end_ms and reason are what will end it if nothing comes
    between. wh: drawn until `at_ms`, less than the curve's after a brown-out. register: what the
    board's own meter counts of it; 1 for a good one. forgot_wh: what it counted before its board
    began to count from zero again. flows: is told what was drawn, piece by piece: (from, to, Wh),
    each within one hour.
    """

    __slots__ = (
        "at_ms",
        "card",
        "end_ms",
        "float_w",
        "flows",
        "forgot_wh",
        "mode",
        "order",
        "pay",
        "plateau_h",
        "power_w",
        "reason",
        "register",
        "started_ms",
        "tau_h",
        "wh",
    )

    def __init__(self, order: int, started_ms: int) -> None:
        self.order = order
        self.started_ms = started_ms
        self.at_ms = started_ms
        self.wh = 0.0
        self.forgot_wh = 0.0
        self.flows: Callable[[int, int, float], None] | None = None
        self.register = 1.0
        self.power_w = 0.0
        self.plateau_h = 0.0
        self.tau_h = 1.25
        self.float_w = 8.0
        self.end_ms = started_ms
        self.reason = "full"
        self.mode = "full"
        self.pay = "scan"
        self.card = 0

    def curve_w(self, at_ms: int) -> float:
        """Power at full voltage."""
        hours = (at_ms - self.started_ms) / HOUR_MS
        if hours < 1 / 60:
            return self.power_w * (1 + INRUSH * (1 - hours * 60))
        if hours <= self.plateau_h:
            return self.power_w
        falling = self.power_w * math.exp(-(hours - self.plateau_h) / self.tau_h)
        return max(self.float_w, falling)

    def curve_wh(self, at_ms: int) -> float:
        """Energy from the start to `at_ms` at full voltage: the integral of `curve_w`, exactly."""
        hours = max(0.0, (at_ms - self.started_ms) / HOUR_MS)
        inrush_h = min(hours, 1 / 60)
        wh = self.power_w * INRUSH * (inrush_h - 30 * inrush_h * inrush_h)
        wh += self.power_w * min(hours, self.plateau_h)
        if hours > self.plateau_h:
            floats_h = self.below_h(self.float_w)
            falling_h = min(hours, floats_h) - self.plateau_h
            wh += self.power_w * self.tau_h * (1 - math.exp(-falling_h / self.tau_h))
            wh += self.float_w * max(0.0, hours - floats_h)
        return wh

    def below_h(self, level_w: float) -> float:
        """Hours after the start from which the curve is at or below `level_w`."""
        return self.plateau_h + self.tau_h * max(0.0, math.log(max(1e-9, self.power_w) / level_w))

    def advance(self, now_ms: int, factor: float) -> None:
        """Add what was drawn since the last call; factor: how much of the curve's power it got."""
        if now_ms > self.at_ms:
            if self.flows is not None:
                for start, end in pieces(self.at_ms, now_ms):
                    drawn_wh = (self.curve_wh(end) - self.curve_wh(start)) * factor
                    self.flows(start, end, drawn_wh)
            self.wh += (self.curve_wh(now_ms) - self.curve_wh(self.at_ms)) * factor
            self.at_ms = now_ms

    @property
    def shown_kwh(self) -> float:
        """What the board's register says of it."""
        return round((self.wh - self.forgot_wh) * self.register / 1000, 3)

    @property
    def tier(self) -> int:
        return tier_of(self.power_w * (1 + INRUSH))


class Port:
    """One socket. broken: the state that a fault of its own gives it. hot_c: above normal."""

    __slots__ = (
        "anomaly",
        "bad_contact",
        "broken",
        "device",
        "hot_c",
        "id",
        "leak_w",
        "no",
        "session",
        "shunned",
        "status",
    )

    def __init__(self, device: Device) -> None:
        self.device = device
        self.id = device.id
        self.no = int(device.attributes["port_no"])
        self.status = "idle"
        self.session: Session | None = None
        self.broken: str | None = None
        self.hot_c = 0.0
        self.leak_w = 0.0  # what flows through a welded relay
        self.bad_contact = False  # nothing plugged in is found
        self.shunned = False  # nobody comes
        self.anomaly: str | None = None

    def shown(self) -> str:
        return self.broken or self.status


class Shed(Node):
    __slots__ = (
        "ambient_c",
        "base_v",
        "board_temp_c",
        "cabinet_door",
        "csq",
        "demand",
        "hot_c",
        "imei",
        "juy",
        "last_order",
        "leakage_ma",
        "leakage_state",
        "mains_ok",
        "meter_kwh",
        "ports",
        "price_fen",
        "smoke",
        "supply_v",
        "to_tell",
    )

    def __init__(self, device: Device, link: Link, ports: list[Port]) -> None:
        super().__init__(device, link)
        self.ports = ports
        self.juy = device.protocol == "juy"
        self.imei = device.external_id or str(device.attributes.get("imei", ""))
        self.demand = 1.0
        self.base_v = 229.0
        self.supply_v = 0.0  # what the grid gives in a brown-out; 0: as usual
        self.board_temp_c = 28.0
        self.hot_c = 0.0
        self.ambient_c = 0.0  # above a usual day
        self.csq = 22
        self.price_fen = 75  # a kWh, electricity and service together
        self.smoke = False
        self.leakage_state = "ok"
        self.leakage_ma = 2.0
        self.cabinet_door = "closed"
        self.mains_ok = True
        self.meter_kwh = 0.0
        self.last_order = 0
        self.to_tell: list[tuple[int, Values]] = []  # ends that it had no power to tell

    @property
    def factor(self) -> float:
        """The share of their power that chargers draw at the present voltage."""
        return (self.supply_v / NOMINAL_V) ** 2 if self.supply_v else 1.0

    def next_order(self, now_ms: int, epoch_ms: int) -> int:
        """Orders count seconds, so they never come again, not even in another run."""
        self.last_order = max(self.last_order + 1, (now_ms - epoch_ms) // 1000)
        return self.last_order


def new_session(shed: Shed, now_ms: int, epoch_ms: int, rng: Random) -> Session:
    """A charge that begins now, with its end already drawn. The energy comes first."""
    session = Session(shed.next_order(now_ms, epoch_ms), now_ms)
    lead_acid = rng.random() < 0.7
    wanted = rng.betavariate(2.0, 2.6)  # of the range 0.5 to 1.5 kWh
    energy_wh = (500 + 1000 * wanted) if lead_acid else (500 + 700 * wanted)
    spread = min(1.0, max(0.0, wanted + (rng.random() - 0.5) * 0.3))
    full_h = (6.0 + 3.0 * spread) if lead_acid else (4.0 + 2.0 * spread)
    session.plateau_h = full_h * (0.55 + 0.10 * rng.random())
    session.tau_h = 1.0 + 0.5 * rng.random()
    session.float_w = 5.0 + 7.0 * rng.random()
    falling_h = full_h - session.plateau_h
    session.power_w = energy_wh / (
        session.plateau_h + session.tau_h * (1 - math.exp(-falling_h / session.tau_h))
    )
    session.pay = _drawn(PAYS, rng.random())
    session.card = 1 + int(rng.random() * 9_000_000) if session.pay == "card" else 0
    _set_end(session, shed, full_h, rng)
    return session


def _set_end(session: Session, shed: Shed, full_h: float, rng: Random) -> None:
    begun, end = session.started_ms, _drawn(ENDS, rng.random())
    if end == "safety":
        end = _drawn(JUY_SAFETY_ENDS if shed.juy else SAFETY_ENDS, rng.random())
    wait_ms = JUY_FLOAT_MS if shed.juy else FLOAT_MS
    full_ms = min(MAX_MS, round(session.below_h(FLOAT_W) * HOUR_MS) + wait_ms)
    session.reason = end
    match end:
        case "full":
            session.end_ms = begun + full_ms
            if full_ms == MAX_MS:
                session.reason = "time_up" if shed.juy else "max_time"
        case "unplugged":
            session.end_ms = begun + round((0.2 + 0.7 * rng.random()) * full_h * HOUR_MS)
        case "time_up" | "money_up" | "energy_up":
            session.mode = end.removesuffix("_up")
            hours = 1 + int(rng.random() * (full_h - 1))
            session.end_ms = begun + hours * HOUR_MS
        case "no_load_at_start":
            session.power_w = session.float_w = 0.0
            session.end_ms = begun + NO_LOAD_MS + int(rng.random() * 110_000)
        case "over_power":
            session.power_w = 1_020 + 700 * rng.random()  # no bicycle: a heater or an air pump
            session.plateau_h = 24.0
            session.end_ms = begun + 8_000 + int(rng.random() * 20_000)
        case _:
            session.end_ms = begun + round((0.1 + 0.6 * rng.random()) * full_h * HOUR_MS)


def finds_no_load(session: Session) -> None:
    """Whatever was plugged in, the board finds nothing and gives up."""
    session.power_w = session.float_w = 0.0
    session.reason = "no_load_at_start"
    session.end_ms = session.started_ms + 2 * NO_LOAD_MS


def steady_session(shed: Shed, now_ms: int, epoch_ms: int, power_w: float, end_ms: int) -> Session:
    """A charge with the same power until somebody stops it at `end_ms`."""
    session = Session(shed.next_order(now_ms, epoch_ms), now_ms)
    session.power_w, session.plateau_h = power_w, 48.0
    session.end_ms, session.reason = end_ms, "remote_stop"
    return session


def full_stays_ms(now_ms: int, rng: Random) -> int:
    """How long a full bicycle keeps its socket: some minutes, or until its owner gets up."""
    hour = local_hour(now_ms)
    if rng.random() < 0.55:
        return 0
    if hour < 6 or hour >= 23:
        wake_h = (6.0 - hour) % 24 + 1.5 * rng.random()
        return round(wake_h * HOUR_MS * (0.3 + 0.7 * rng.random()))
    return round(rng.expovariate(1 / 40) * 60_000)


def voltage_v(shed: Shed, load_w: float, now_ms: int, rng: Random) -> float:
    hour = local_hour(now_ms)
    daily = -2.5 * math.exp(-(((hour - 20) / 3) ** 2))
    base = shed.supply_v or shed.base_v + daily
    return round(base - SAG_V_PER_KW * load_w / 1000 + (rng.random() - 0.5) * 0.8, 1)


def heartbeat(shed: Shed, now_ms: int, rng: Random) -> Values:
    shed.board_temp_c += (27.0 - shed.board_temp_c) * 0.02 + (rng.random() - 0.5) * 0.5
    busy = 0
    for port in shed.ports:
        busy += port.session is not None
    return {
        "csq": max(0, min(31, shed.csq + int(rng.random() * 3) - 1)),
        "board_temp_c": round(shed.board_temp_c + shed.hot_c + shed.ambient_c, 1),
        "voltage_v": voltage_v(shed, 150.0 * busy, now_ms, rng),
        "ports_total": len(shed.ports),
        "ports_in_use": busy,
        "smoke": shed.smoke,
    }


def states(shed: Shed) -> Values:
    """Everything that is told on change, and the meter."""
    running_wh = sum(port.session.wh for port in shed.ports if port.session is not None)
    return {
        "smoke": shed.smoke,
        "smoke_enabled": True,
        "leakage_state": shed.leakage_state,
        "leakage_ma": shed.leakage_ma,
        "cabinet_door": shed.cabinet_door,
        "mains_ok": shed.mains_ok,
        "meter_energy_kwh": round(shed.meter_kwh + running_wh / 1000, 2),
    }


def port_states(shed: Shed) -> dict[str, Values]:
    return {str(port.no): {"port_status": port.broken or port.status} for port in shed.ports}


def fee_fen(shed: Shed, session: Session) -> int:
    return round(session.wh / 1000 * shed.price_fen)


def power(shed: Shed, now_ms: int, rng: Random) -> tuple[Values, dict[str, Values]]:
    """The power frame: what the shed and each working socket draw now; empty when none works."""
    factor, load_w = shed.factor, 0.0
    ports: dict[str, Values] = {}
    drawn: list[tuple[Values, float]] = []
    for port in shed.ports:
        session = port.session
        if session is None:
            if port.leak_w:
                load_w += port.leak_w
                ports[str(port.no)] = {"power_w": port.leak_w, "port_temp_c": 55.0}
            continue
        session.advance(now_ms, factor)
        watts = session.curve_w(now_ms) * factor * (0.98 + 0.04 * rng.random())
        load_w += watts
        values: Values = {
            "power_w": round(watts, 1),
            "session_energy_kwh": session.shown_kwh,
            "session_s": (now_ms - session.started_ms) // 1000,
            "session_fee_fen": fee_fen(shed, session),
            "port_temp_c": round(
                26 + min(watts, 400.0) * 0.04 + port.hot_c + shed.ambient_c + rng.random(), 1
            ),
            "tier": session.tier,
        }
        drawn.append((values, watts))
        ports[str(port.no)] = values
    volts = voltage_v(shed, load_w, now_ms, rng)
    for values, watts in drawn:
        values["current_a"] = round(watts / volts, 2)
    return {"voltage_v": volts, "power_w": round(load_w, 1)}, ports


def juy_power(shed: Shed, now_ms: int, rng: Random) -> bytes | None:
    """The same as a 0x88 frame; None while no socket works, for then the board sends none."""
    values, ports = power(shed, now_ms, rng)
    rows = [
        juy.PortPower(
            port.no,
            session.tier,
            shed.price_fen,
            float(ports[str(port.no)]["power_w"]),
            (now_ms - session.started_ms) // 1000,
            fee_fen(shed, session),
            session.wh / 1000,
            float(ports[str(port.no)]["port_temp_c"]),
        )
        for port in shed.ports
        if (session := port.session) is not None
    ]
    if not rows:
        return None
    return juy.power(float(values["voltage_v"]), shed.board_temp_c + shed.hot_c, rows)


def ended(shed: Shed, port: Port, session: Session, now_ms: int, reason: str) -> Values:
    """What the event of a session's end says; the shed's meter has counted it."""
    session.advance(now_ms, shed.factor)
    shed.meter_kwh += session.wh / 1000
    return {
        "port_no": port.no,
        "order": str(session.order),
        "session_s": (now_ms - session.started_ms) // 1000,
        "session_energy_kwh": session.shown_kwh,
        "session_fee_fen": fee_fen(shed, session),
        "stop_reason": reason,
        "native_reason": reason,
        "stop_power_w": round(session.curve_w(now_ms) * shed.factor, 1),
    }


def juy_end(shed: Shed, port: Port, session: Session, now_ms: int, reason: str) -> bytes:
    """The same as a 0x85 frame."""
    seconds = (now_ms - session.started_ms) // 1000
    return juy.end(
        port.no,
        session.order,
        seconds,
        session.wh / 1000,
        fee_fen(shed, session),
        reason,
        session.curve_w(now_ms) * shed.factor,
        session.card,
        ((seconds, shed.price_fen),),
    )


def tier_of(power_w: float) -> int:
    """1 for the lowest band of TIERS_W, one more for each band above."""
    for tier, limit_w in enumerate(TIERS_W, 1):
        if power_w <= limit_w:
            return tier
    return len(TIERS_W) + 1


def _drawn(table: tuple[tuple[float, str], ...], at: float) -> str:
    for share, word in table:
        if at < share:
            return word
    return table[-1][1]
