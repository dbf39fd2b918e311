"""What befalls any device, and any connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from simulators import lamps
from simulators.anomalies.anomaly import DAY_MIN, ON_REQUEST, Anomaly, nothing
from simulators.charging import Shed
from simulators.gates import Gate
from simulators.lamps import Lamp
from simulators.native import Json
from simulators.nodes import Link, Node

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

YEAR_S = 31_557_600.0
BAD_VALUES: Mapping[str, tuple[tuple[str, Json], ...]] = {
    "gate": (("rssi_dbm", msgspec.Raw(b"NaN")), ("rssi_dbm", "-67 dBm"), ("uptime_s", -1)),
    "lamp": (("power_w", -35.0), ("voltage_v", msgspec.Raw(b"NaN")), ("dim_level_pct", 128)),
    "camera": (("disk_free_pct", 140.0), ("time_offset_s", "n/a"), ("channels_online", True)),
    "gateway": (("csq", 131), ("battery_pct", msgspec.Raw(b"1e999"))),
    "shed": (("voltage_v", -1.0), ("csq", "good")),
}


BAD_SAFETY_VALUES: Mapping[str, tuple[str, Json]] = {
    "gate": ("board_temp_c", msgspec.Raw(b"NaN")),
    "shed": ("board_temp_c", 900.0),
    "camera": ("board_temp_c", "hot"),
    "lamp": ("gear_temp_c", 400.0),
}


def _stutters(
    fleet: Fleet, link: Link, _now_ms: int, _end_ms: int, *, share: float = 0.0
) -> Detail:
    link.repeats = share or round(0.1 + 0.2 * fleet.fate.random(), 2)
    return {"repeats": link.repeats}


def _stutters_no_more(_fleet: Fleet, link: Link, _now_ms: int, _: Detail) -> None:
    link.repeats = 0.0


def _clock_skews(
    fleet: Fleet, node: Node, now_ms: int, _end_ms: int, *, skew_s: float | None = None
) -> Detail:
    """skew_s: 0 or less than a year ago, seconds ahead; below that, the clock says 1970."""
    draw = fleet.fate.random()
    if skew_s is not None:
        node.skew_ms = round(1000 * skew_s) if skew_s > -YEAR_S else -now_ms + 30_000
    elif draw < 0.4:
        node.skew_ms = 28_800_000  # local time sent as UTC
    elif draw < 0.7:
        node.skew_ms = -now_ms + 30_000  # 1970: it lost its clock with its battery
    else:
        node.skew_ms = 400_000 if draw < 0.85 else -400_000
    return {"skew_s": node.skew_ms // 1000}


def _clock_is_set(_fleet: Fleet, node: Node, _now_ms: int, _: Detail) -> None:
    node.skew_ms = 0


def _measures_badly(fleet: Fleet, node: Node, _now_ms: int, _end_ms: int) -> Detail:
    choices = BAD_VALUES[node.device.kind]
    name, value = choices[int(fleet.fate.random() * len(choices))]
    node.overlay = {name: value}
    return {"quantity": name}


def _senses_badly(_fleet: Fleet, node: Node, _now_ms: int, _end_ms: int) -> Detail:
    name, value = BAD_SAFETY_VALUES[node.device.kind]
    node.overlay = {name: value}
    return {"quantity": name}


def _can_sense_badly(node: Node) -> bool:
    """A circuit's meter has no temperature."""
    circuit = isinstance(node, Lamp) and node.circuit
    return (
        node.device.protocol == "native" and node.device.kind in BAD_SAFETY_VALUES and not circuit
    )


def _loses_messages(
    _fleet: Fleet, node: Node, _now_ms: int, _end_ms: int, *, messages: float = 3
) -> Detail:
    """They were numbered, and never sent."""
    node.seq += int(messages)
    return {"messages": int(messages)}


def _can_lose(node: Node) -> bool:
    return node.device.protocol == "native" and not isinstance(node, Lamp) and node.link.up


def _is_missing(_fleet: Fleet, node: Node, _now_ms: int, end_ms: int) -> Detail:
    node.dead_until_ms = end_ms
    return {}


def _is_installed(fleet: Fleet, node: Node, now_ms: int, _: Detail) -> None:
    fleet.revive(node, now_ms)


def _said_nothing_yet(fleet: Fleet, _node: Node, now_ms: int, _end_ms: int) -> bool:
    return now_ms <= fleet.start_ms + 4_000  # the connections come up, and nothing else


def _holds_no_connection(node: Node) -> bool:
    return node.link.node is not node


def _freezes(_fleet: Fleet, node: Node, _now_ms: int, _end_ms: int) -> Detail:
    node.overlay = {"voltage_v": 229.3}
    return {"quantity": "voltage_v"}


def _measures_well(_fleet: Fleet, node: Node, _now_ms: int, _: Detail) -> None:
    node.overlay = None


def _can_measure_badly(node: Node) -> bool:
    return node.device.protocol == "native" and node.device.kind in BAD_VALUES


def _can_freeze(node: Node) -> bool:
    return (isinstance(node, Shed) and not node.juy) or (
        isinstance(node, Lamp) and not node.tasmota
    )


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


ANOMALIES = (
    Anomaly(
        "clock_wrong",
        "node",
        0.02,
        DAY_MIN,
        3,
        30,
        _clock_skews,
        _clock_is_set,
        _has_clock,
        takes={"skew_s": (-3e9, 3e9)},
    ),
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
    Anomaly("restart", "node", 0.5, 0, 3, 0, _meter_resets, nothing, _can_reset),
    Anomaly(
        "repeats",
        "link",
        2,
        60,
        2,
        20,
        _stutters,
        _stutters_no_more,
        takes={"share": (0.0, 0.3)},
    ),
    Anomaly(
        "bad_safety_values",
        "node",
        *ON_REQUEST,
        _senses_badly,
        _measures_well,
        _can_sense_badly,
    ),
    Anomaly(
        "messages_lost",
        "node",
        0.0,
        0.0,
        0.0,
        0.0,
        _loses_messages,
        nothing,
        _can_lose,
        takes={"messages": (1, 20)},
    ),
    Anomaly(
        "never_installed",
        "node",
        *ON_REQUEST,
        _is_missing,
        _is_installed,
        _holds_no_connection,
        fits=_said_nothing_yet,
    ),
)
