"""The whole simulated district in a database, as it stands on an evening with some trouble."""

from collections.abc import Sequence
from random import Random

import msgspec
from sqlalchemy import Connection, Engine, insert, update

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


def fill(engine: Engine, closed_faults: int = 20_000) -> None:
    """Registry, states and latest values of all devices, open faults, a year of closed ones."""
    rng = Random(7)
    district = erqi.registry()
    with writing(engine) as connection:
        registry.save(connection, district, NOW_MS - 365 * DAY_MS)
        numbers = registry.device_numbers(connection)
        all_devices = list(district.devices.values())
        connection.execute(
            update(device_state)
            .where(device_state.c.stream == LIVE)
            .values(state="online", reason=None, since_ms=NOW_MS - DAY_MS)
        )
        for device in all_devices:
            connection.execute(
                update(device_state)
                .where(
                    device_state.c.stream == LIVE,
                    device_state.c.device_no == numbers[device.id],
                )
                .values(
                    last_seen_ms=NOW_MS - 20_000,
                    device_at_ms=NOW_MS - 20_000,
                    latest=msgspec.msgpack.encode(_latest(device, rng)),
                    memory=bytes(120),
                )
            )
        _trouble(connection, all_devices, numbers, rng)
        _history(connection, all_devices, closed_faults, rng)
        registry.refresh_counts(connection, district.compounds, NOW_MS)
        a_judge(connection)


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
    connection: Connection, all_devices: Sequence[Device], numbers: dict[str, int], rng: Random
) -> None:
    for code, kind, severity, count, minutes in TROUBLES:
        some = rng.sample([d for d in all_devices if d.kind == kind], count)
        for n, device in enumerate(some):
            opened_ms = NOW_MS - minutes * MINUTE_MS - n * 37_000
            _fault(connection, f"open-{code}-{n}", device, code, severity, opened_ms, None)
            if code.endswith("_OFFLINE"):
                connection.execute(
                    update(device_state)
                    .where(
                        device_state.c.device_no == numbers[device.id],
                        device_state.c.stream == LIVE,
                    )
                    .values(state="offline", reason="heartbeat_missed", since_ms=opened_ms)
                )
    for device in rng.sample([d for d in all_devices if d.kind == "camera"], 5):
        connection.execute(
            update(device_state)
            .where(device_state.c.device_no == numbers[device.id])
            .values(state="unknown", reason="parent_down")
        )


def _fault(
    connection: Connection,
    fault: str,
    device: Device,
    code: str,
    severity: str,
    opened_ms: int,
    closed_ms: int | None,
) -> None:
    connection.execute(
        insert(faults).values(
            id=fault,
            stream=LIVE,
            subject=device.id,
            code=code,
            kind=device.kind,
            device=device.id,
            compound=device.compound,
            severity=severity,
            safety=RULES[code].safety,
            suspected=False,
            state="open" if closed_ms is None else "closed",
            since_ms=opened_ms - 90_000,
            opened_at_ms=opened_ms,
            cleared_at_ms=closed_ms,
            closed_at_ms=closed_ms,
            occurrences=1,
            late=False,
            evidence={},
        )
    )
    moves: list[tuple[int, str | None, str, str]] = [(opened_ms, None, "open", "raised")]
    if closed_ms is not None:
        moves.append((closed_ms, "open", "closed", "over"))
    for at_ms, was, becomes, reason in moves:
        connection.execute(
            insert(fault_events).values(
                fault=fault, at_ms=at_ms, was=was, becomes=becomes, reason=reason, actor="system"
            )
        )


def _history(
    connection: Connection, all_devices: Sequence[Device], count: int, rng: Random
) -> None:
    gates = [device for device in all_devices if device.kind in ("gate", "camera")]
    for n in range(count):
        device = rng.choice(gates)
        code, severity = ("GATE_HELD_OPEN", "P3") if device.kind == "gate" else ("CCTV_MAINS", "P3")
        opened_ms = NOW_MS - 20 * MINUTE_MS - (count - n) * 365 * DAY_MS // (count + 1)
        closed_ms = opened_ms + rng.randrange(MINUTE_MS, 3 * HOUR_MS)
        if n >= count - 3:
            closed_ms = NOW_MS - (count - n) * 4 * MINUTE_MS
        _fault(connection, f"closed-{n}", device, code, severity, opened_ms, min(closed_ms, NOW_MS))
