"""Gates: who passes when and how, and what the controller says of itself."""

from random import Random
from typing import NamedTuple

from devices.registry import Device
from simulators.native import Values
from simulators.nodes import Link, Node
from simulators.profiles import local_hour

PASSAGES_A_HOUSEHOLD = 10.0  # a day; 8 to 12 are usual
BARRIER_SHARE = 0.4  # a vehicle barrier is passed so much as often as a door
DENIED = 0.04
SLOW = 0.005  # passages that leave the door open for long, yet within the limit
FULL_EVERY = 20  # heartbeats: all states are told again every 10 minutes
# A controller does not tell of every swing of the door: it tells of one that lasts.
CONTACT_MS = 7_000
SWING_MS = 800  # from a grant to the door standing open

# (cumulative share, method)
METHODS = ((0.45, "face"), (0.70, "card"), (0.90, "button"), (0.97, "qr"), (1.0, "remote"))
BARRIER_METHODS = ((0.88, "plate"), (0.96, "remote"), (1.0, "button"))
DENIALS = (
    (0.30, "face_mismatch"),
    (0.55, "not_registered"),
    (0.70, "expired"),
    (0.80, "no_permission"),
    (0.90, "unknown_credential"),
    (1.0, "liveness_failed"),
)


class Gate(Node):
    """One gate. jammed: nobody gets as far as to try. lock_stuck: a grant opens nothing.

    face_fails: the share of faces that its reader refuses for no good reason. health_code: what is
    told of a resident's code, "" where nobody asks. tells_swings: it tells of every opening.
    alarms: it says by itself that it was forced, or is open for too long.
    """

    __slots__ = (
        "alarms",
        "arm_state",
        "barrier",
        "battery_low",
        "board_temp_c",
        "credentials",
        "door_alarm",
        "door_mode",
        "door_state",
        "face_fails",
        "granted_ms",
        "health_code",
        "jammed",
        "lane_controller_online",
        "lock_state",
        "lock_stuck",
        "mains_ok",
        "motor_ok",
        "per_day",
        "reader_online_1",
        "reader_tamper_1",
        "salt",
        "tamper",
        "tells_swings",
    )

    def __init__(self, device: Device, link: Link, per_day: float, households: int) -> None:
        super().__init__(device, link)
        self.per_day = per_day
        self.barrier = device.attributes.get("form") == "barrier"
        self.credentials = max(1, households * 2)
        self.salt = 0
        self.board_temp_c = 30.0
        self.door_state = "closed"
        self.lock_state = "locked"
        self.door_alarm = "normal"
        self.door_mode = "normal"
        self.tamper = False
        self.reader_tamper_1 = False
        self.reader_online_1 = True
        self.mains_ok = True
        self.battery_low = False
        self.arm_state = "closed"
        self.motor_ok = True
        self.lane_controller_online = True
        self.granted_ms = 0
        self.face_fails = 0.0
        self.health_code = ""
        self.jammed = False
        self.lock_stuck = False
        self.tells_swings = False
        self.alarms = True


class Passage(NamedTuple):
    """A try to pass. open_ms: how long the door stands open; 0 when it was refused."""

    fields: Values
    open_ms: int


def heartbeat(gate: Gate, now_ms: int, rng: Random) -> Values:
    gate.board_temp_c += (31.0 - gate.board_temp_c) * 0.02 + (rng.random() - 0.5) * 0.4
    values: Values = {
        "rssi_dbm": gate.rssi_dbm + int(rng.random() * 5) - 2,
        "uptime_s": (now_ms - gate.booted_ms) // 1000,
        "board_temp_c": round(gate.board_temp_c, 1),
    }
    if gate.barrier:
        values["arm_state"] = gate.arm_state
    values["door_state"] = gate.door_state
    return values


def states(gate: Gate) -> Values:
    """Everything that is told on change."""
    values: Values = {
        "door_state": gate.door_state,
        "lock_state": gate.lock_state,
        "door_mode": gate.door_mode,
        "tamper": gate.tamper,
        "reader_tamper_1": gate.reader_tamper_1,
        "reader_online_1": gate.reader_online_1,
        "reader_online_2": True,
        "mains_ok": gate.mains_ok,
        "battery_low": gate.battery_low,
    }
    if gate.alarms:
        values["door_alarm"] = gate.door_alarm
    if gate.barrier:
        values["arm_state"] = gate.arm_state
        values["motor_ok"] = gate.motor_ok
        values["lane_controller_online"] = gate.lane_controller_online
    return values


def passage(gate: Gate, now_ms: int, rng: Random) -> Passage:
    """One try at the gate at `now_ms`: who, how, which way, and whether it opened."""
    method = _drawn(BARRIER_METHODS if gate.barrier else METHODS, rng.random())
    hour = local_hour(now_ms)
    inward = 0.3 if 5 <= hour < 10 else 0.65 if 16 <= hour < 22 else 0.5
    fields: Values = {
        "event_id": f"{gate.boot:x}-{gate.seq + 1:x}",
        "method": method,
        "direction": "out" if method == "button" or rng.random() >= inward else "in",
        "door_no": 1,
    }
    if method in ("face", "card", "qr", "plate"):
        who = int(rng.random() * gate.credentials)
        fields["credential_hash"] = f"{(gate.salt + who * 0x9E3779B97F4A7C15) % 2**64:016x}"
        if rng.random() < DENIED / 0.77:  # the methods that can be refused are 77 % of all
            fields["result"] = "denied"
            fields["deny_reason"] = _drawn(DENIALS, rng.random())
            return Passage(fields, 0)
        if gate.face_fails and method == "face" and rng.random() < gate.face_fails:
            return _refused(fields, "face_mismatch")
        if gate.health_code:
            fields["health_code"] = gate.health_code
            if gate.health_code == "timeout":
                return _refused(fields, "health_code")
    fields["result"] = "granted"
    if rng.random() < SLOW:
        return Passage(fields, 15_000 + int(rng.random() * 35_000))
    return Passage(fields, 3_000 + int(rng.random() * 5_000))


def _refused(fields: Values, reason: str) -> Passage:
    fields["result"], fields["deny_reason"] = "denied", reason
    return Passage(fields, 0)


def _drawn(table: tuple[tuple[float, str], ...], at: float) -> str:
    for share, word in table:
        if at < share:
            return word
    return table[-1][1]
