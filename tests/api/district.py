"""The whole simulated district in a database, as it stands on an evening with some trouble."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from sqlalchemy import Engine, bindparam, insert, update

from devices.catalogue import RULES
from devices.registry import Device
from devices.store import registry
from devices.store.database import writing
from devices.store.schema import LIVE, device_state, fault_events, faults
from simulators import erqi
from tests.api.cast import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, a_judge

TROUBLES = (
    ("PORT_OVERTEMP", "port", "P1", 1, 4),
    ("GATE_OFFLINE", "gate", "P2", 1, 47),
    ("SHED_OFFLINE", "shed", "P2", 2, 9),
    ("GATE_FORCED", "gate", "P2", 1, 2),
    ("GW_OFFLINE", "gateway", "P2", 1, 30),
    ("LIFT_STOPPED", "lift", "P2", 1, 114),
    ("CCTV_NOT_RECORDING", "camera", "P2", 2, 332),
    ("GATE_HELD_OPEN", "gate", "P3", 12, 9),
    ("CCTV_OFFLINE", "camera", "P3", 14, 25),
    ("LAMP_COMM", "lamp", "P4", 20, 70),
    ("SHED_WEAK_SIGNAL", "shed", "P4", 6, 200),
)


@dataclass
class Rows:
    """Faults and their events, to be inserted at once."""

    faults: list[dict[str, object]] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)

    def add(
        self,
        fault: str,
        device: Device,
        code: str,
        severity: str,
        opened_ms: int,
        closed_ms: int | None = None,
    ) -> None:
        self.faults.append(
            {
                "id": fault,
                "stream": LIVE,
                "subject": device.id,
                "code": code,
                "kind": device.kind,
                "device": device.id,
                "compound": device.compound,
                "severity": severity,
                "safety": RULES[code].safety,
                "suspected": False,
                "state": "open" if closed_ms is None else "closed",
                "since_ms": opened_ms - 90_000,
                "opened_at_ms": opened_ms,
                "cleared_at_ms": closed_ms,
                "closed_at_ms": closed_ms,
                "occurrences": 1,
                "late": False,
                "evidence": {},
            }
        )
        self._event(fault, opened_ms, None, "open", "raised")
        if closed_ms is not None:
            self._event(fault, closed_ms, "open", "closed", "over")

    def _event(self, fault: str, at_ms: int, was: str | None, becomes: str, reason: str) -> None:
        self.events.append(
            {
                "fault": fault,
                "at_ms": at_ms,
                "was": was,
                "becomes": becomes,
                "reason": reason,
                "actor": "system",
            }
        )


def fill(engine: Engine, closed_faults: int = 20_000) -> None:
    """Registry, states and latest values of all devices, open faults, a year of closed ones."""
    rng = Random(7)
    district = erqi.registry()
    all_devices = list(district.devices.values())
    with writing(engine) as connection:
        registry.save(connection, district, NOW_MS - 365 * DAY_MS)
        numbers = registry.device_numbers(connection)
        states = {device.id: _state(device, rng) for device in all_devices}
        rows = Rows()
        _trouble(all_devices, states, rows, rng)
        _history(all_devices, closed_faults, rows, rng)
        column = device_state.c
        connection.execute(
            update(device_state)
            .where(column.stream == LIVE, column.device_no == bindparam("no"))
            .values({name: bindparam(f"new_{name}") for name in states[all_devices[0].id]}),
            [
                {"no": numbers[id_], **{f"new_{name}": v for name, v in state.items()}}
                for id_, state in states.items()
            ],
        )
        connection.execute(insert(faults), rows.faults)
        connection.execute(insert(fault_events), sorted(rows.events, key=_time_of))
        registry.refresh_counts(connection, district.compounds, NOW_MS)
        a_judge(connection)


def _time_of(event: Mapping[str, Any]) -> int:
    return int(event["at_ms"])


def _state(device: Device, rng: Random) -> dict[str, object]:
    return {
        "state": "online",
        "reason": None,
        "since_ms": NOW_MS - DAY_MS,
        "last_seen_ms": NOW_MS - 20_000,
        "device_at_ms": NOW_MS - 20_000,
        "latest": msgspec.msgpack.encode(_latest(device, rng)),
        "memory": bytes(120),
    }


def _latest(device: Device, rng: Random) -> dict[str, tuple[object, int]]:
    at_ms = NOW_MS - rng.randrange(60_000)
    match device.kind:
        case "port":
            status = "in_use" if rng.random() < 0.78 else "idle"
            power_w = 180.0 if status == "in_use" else 0.0
            return {"port_status": (status, at_ms), "power_w": (power_w, at_ms)}
        case "lamp":
            lamps = int(device.attributes["lamp_count"])
            watts = float(device.attributes["nominal_power_w"]) * lamps
            lit = lamps if rng.random() < 0.99 else lamps - 1
            return {
                "switch_state": ("on", at_ms),
                "power_w": (watts * lit / lamps, at_ms),
                "voltage_v": (228.1, at_ms),
                "energy_kwh": (812.4, at_ms),
            }
        case "gate":
            return {"door_state": ("closed", at_ms), "mains_ok": (True, at_ms)}
    return {"uptime_s": (90_000, at_ms)}


def _trouble(
    all_devices: Sequence[Device], states: dict[str, dict[str, object]], rows: Rows, rng: Random
) -> None:
    for code, kind, severity, count, minutes in TROUBLES:
        some = rng.sample([device for device in all_devices if device.kind == kind], count)
        for n, device in enumerate(some):
            opened_ms = NOW_MS - minutes * MINUTE_MS - n * 37_000
            rows.add(f"open-{code}-{n}", device, code, severity, opened_ms)
            if code.endswith("_OFFLINE"):
                states[device.id] |= {
                    "state": "offline",
                    "reason": "heartbeat_missed",
                    "since_ms": opened_ms,
                }
    for device in rng.sample([device for device in all_devices if device.kind == "camera"], 5):
        states[device.id] |= {"state": "unknown", "reason": "parent_down"}


def _history(all_devices: Sequence[Device], count: int, rows: Rows, rng: Random) -> None:
    usual = [device for device in all_devices if device.kind in ("gate", "camera")]
    for n in range(count):
        device = rng.choice(usual)
        code = "GATE_HELD_OPEN" if device.kind == "gate" else "CCTV_MAINS"
        opened_ms = NOW_MS - 20 * MINUTE_MS - (count - n) * 365 * DAY_MS // (count + 1)
        closed_ms = opened_ms + rng.randrange(MINUTE_MS, 3 * HOUR_MS)
        if n >= count - 3:
            closed_ms = NOW_MS - (count - n) * 4 * MINUTE_MS
        rows.add(f"closed-{n}", device, code, "P3", opened_ms, min(closed_ms, NOW_MS))
