"""What befalls gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.anomalies.anomaly import (
    DAY_MIN,
    ON_REQUEST,
    Anomaly,
    between,
    flip,
    goes_silent,
    moment,
    set_values,
    speaks_again,
)
from simulators.gates import Gate
from simulators.native import Json, Values
from simulators.profiles import HOUR_MS, week_hour

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

BARRIER_ANOMALIES = ("barrier_blocked", "barrier_motor_broken")
DOOR_ANOMALIES = ("door_held_open", "door_forced", "door_pushed_open")


def _held_open(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    """Somebody is let out, and the door does not close behind them."""
    if not gate.alarms:  # who alarms knows by itself that nobody forced it
        fleet.event(gate, now_ms, "access", _let_out(gate))
    set_values(fleet, gate, now_ms, _door_sets(gate, "open"))
    fleet.later(now_ms + 30_000, _too_long, gate)
    return {}


def _let_out(gate: Gate) -> Values:
    return {
        "event_id": f"{gate.boot:x}-{gate.seq + 1:x}",
        "method": "button",
        "direction": "out",
        "door_no": 1,
        "result": "granted",
    }


def _too_long(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    if gate.anomaly == "door_held_open" and gate.alarms:
        set_values(fleet, gate, now_ms, {"door_alarm": "open_too_long"})
    return 0


def _forced(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    set_values(fleet, gate, now_ms, {"door_state": "open", "door_alarm": "forced_open"})
    return {}


def _shut(fleet: Fleet, gate: Gate, now_ms: int, _: Detail) -> None:
    alarm: dict[str, Json] = {"door_alarm": "normal"} if gate.alarms else {}
    set_values(fleet, gate, now_ms, {**_door_sets(gate, "closed"), **alarm})


def _pushed(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    """Opened by force, and the controller only sees that it is open."""
    set_values(fleet, gate, now_ms, _door_sets(gate, "open"))
    return {}


def _nobody_was_let_in(_fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> bool:
    return now_ms - gate.granted_ms > 30_000


def _reader_flaps(fleet: Fleet, gate: Gate, now_ms: int, end_ms: int) -> Detail:
    fleet.later(now_ms, _reader_toggles, (gate, end_ms))
    return {}


def _reader_toggles(fleet: Fleet, at: tuple[Gate, int], now_ms: int) -> int:
    """Away for a little more than the rule's minute, there for some seconds."""
    gate, end_ms = at
    if now_ms >= end_ms or gate.anomaly != "reader_flaps":
        return 0
    goes = gate.reader_online_1
    set_values(fleet, gate, now_ms, {"reader_online_1": not goes})
    least_s, spread_s = (70, 20) if goes else (8, 12)
    return now_ms + 1000 * (least_s + int(spread_s * fleet.fate.random()))


def _reader_is_steady(fleet: Fleet, gate: Gate, now_ms: int, _: Detail) -> None:
    set_values(fleet, gate, now_ms, {"reader_online_1": True})


def _lock_sticks(_fleet: Fleet, gate: Gate, _now_ms: int, _end_ms: int) -> Detail:
    gate.lock_stuck = True
    return {}


def _lock_is_free(_fleet: Fleet, gate: Gate, _now_ms: int, _: Detail) -> None:
    gate.lock_stuck = False


def _has_a_busy_peer(fleet: Fleet, gate: Gate, now_ms: int, end_ms: int) -> bool:
    """Both see so many people that five grants take some minutes."""
    return any(
        isinstance(other, Gate)
        and other is not gate
        and other.tells_swings
        and not other.barrier
        and not other.lock_stuck
        and _tries_an_hour(fleet, other, now_ms, end_ms) >= 20
        for other in fleet.yards[gate.device.compound].children
    ) and (_tries_an_hour(fleet, gate, now_ms, end_ms) >= 20 and gate.tells_swings)


def _tries_an_hour(fleet: Fleet, gate: Gate, from_ms: int, to_ms: int) -> float:
    """In the hour with the fewest, of those between."""
    week = fleet.profile.passages_week
    hours = range(from_ms, max(to_ms, from_ms + 1), HOUR_MS)
    return gate.per_day * min(week[week_hour(at_ms)] for at_ms in hours)


def _reader_is_dirty(_fleet: Fleet, gate: Gate, _now_ms: int, _end_ms: int) -> Detail:
    gate.face_fails = 0.85
    return {"refused": gate.face_fails}


def _reader_is_cleaned(_fleet: Fleet, gate: Gate, _now_ms: int, _: Detail) -> None:
    gate.face_fails = 0.0


def _shows_many_faces(fleet: Fleet, gate: Gate, now_ms: int, end_ms: int) -> bool:
    return _tries_an_hour(fleet, gate, now_ms, end_ms) >= 60  # of which 45 % by face


def _codes_time_out(fleet: Fleet, gate: Gate, now_ms: int, end_ms: int) -> Detail:
    """The service behind the health codes does not answer: people try again and again."""
    gate.health_code = "timeout"
    for at_ms in range(now_ms + 5_000, end_ms, 20_000):
        fleet.later(at_ms, _tries_again, gate)
    return {}


def _tries_again(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    if now_ms >= gate.dead_until_ms:
        fleet.event(gate, now_ms, "access", _with_code(gate))
        if gate.health_code == "green":
            fleet.let_in(gate, now_ms)
    return 0


def _with_code(gate: Gate) -> Values:
    """A try with a health code: refused while the service does not answer."""
    fields: Values = {
        "event_id": f"{gate.boot:x}-{gate.seq + 1:x}",
        "method": "health_code",
        "direction": "in",
        "door_no": 1,
        "health_code": gate.health_code,
        "result": "granted" if gate.health_code == "green" else "denied",
    }
    if gate.health_code != "green":
        fields["deny_reason"] = "health_code"
    return fields


def _codes_are_back(fleet: Fleet, gate: Gate, now_ms: int, _: Detail) -> None:
    """Five who come after it are asked once more, and then nobody is."""
    gate.health_code = "green"
    for n in range(6):
        fleet.later(now_ms + 5_000 + 12_000 * n, _tries_again, gate)
    fleet.later(now_ms + 90_000, _nobody_is_asked, gate)


def _nobody_is_asked(_fleet: Fleet, gate: Gate, _now_ms: int) -> int:
    if gate.anomaly != "health_code_down":
        gate.health_code = ""
    return 0


def _jams(_fleet: Fleet, gate: Gate, _now_ms: int, _end_ms: int) -> Detail:
    gate.jammed = True
    return {}


def _is_freed(_fleet: Fleet, gate: Gate, _now_ms: int, _: Detail) -> None:
    gate.jammed = False


def _is_busy(fleet: Fleet, gate: Gate, now_ms: int, end_ms: int) -> bool:
    return _tries_an_hour(fleet, gate, now_ms, end_ms) >= 12


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


def _says_when_forced(gate: Gate) -> bool:
    return _is_shut_door(gate) and gate.alarms


def _says_nothing_when_forced(gate: Gate) -> bool:
    return _is_shut_door(gate) and not gate.alarms


def _is_shut_door(gate: Gate) -> bool:
    return not gate.barrier and gate.door_state == "closed"


ANOMALIES = (
    Anomaly("door_held_open", "gate", 45, 3, 36, 3, _held_open, _shut, _is_shut),
    Anomaly("door_forced", "gate", 7, 2, 12, 2, _forced, _shut, _says_when_forced),
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
    Anomaly("gate_silent", "gate", 0.1, DAY_MIN, 10, 6, goes_silent, speaks_again),
    Anomaly(
        "door_pushed_open",
        "gate",
        *ON_REQUEST,
        _pushed,
        _shut,
        _says_nothing_when_forced,
        fits=_nobody_was_let_in,
    ),
    Anomaly("reader_flaps", "gate", *ON_REQUEST, _reader_flaps, _reader_is_steady),
    Anomaly(
        "lock_stuck",
        "gate",
        *ON_REQUEST,
        _lock_sticks,
        _lock_is_free,
        _is_shut_door,
        fits=_has_a_busy_peer,
    ),
    Anomaly(
        "face_reader_dirty",
        "gate",
        *ON_REQUEST,
        _reader_is_dirty,
        _reader_is_cleaned,
        _is_door,
        fits=_shows_many_faces,
    ),
    Anomaly("health_code_down", "gate", *ON_REQUEST, _codes_time_out, _codes_are_back, _is_door),
    Anomaly("gate_jammed", "gate", *ON_REQUEST, _jams, _is_freed, fits=_is_busy),
)
