"""What befalls gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.anomalies.anomaly import (
    DAY_MIN,
    Anomaly,
    between,
    flip,
    goes_silent,
    moment,
    set_values,
    speaks_again,
)
from simulators.gates import Gate
from simulators.native import Json

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

DOOR_ANOMALIES = ("door_held_open", "door_forced")


def _held_open(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    set_values(fleet, gate, now_ms, _door_sets(gate, "open"))
    fleet.later(now_ms + 30_000, _too_long, gate)
    return {}


def _too_long(fleet: Fleet, gate: Gate, now_ms: int) -> int:
    if gate.anomaly == "door_held_open":
        set_values(fleet, gate, now_ms, {"door_alarm": "open_too_long"})
    return 0


def _forced(fleet: Fleet, gate: Gate, now_ms: int, _end_ms: int) -> Detail:
    set_values(fleet, gate, now_ms, {"door_state": "open", "door_alarm": "forced_open"})
    return {}


def _shut(fleet: Fleet, gate: Gate, now_ms: int, _: Detail) -> None:
    set_values(fleet, gate, now_ms, {**_door_sets(gate, "closed"), "door_alarm": "normal"})


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
    Anomaly("gate_silent", "gate", 0.1, DAY_MIN, 10, 6, goes_silent, speaks_again),
)
