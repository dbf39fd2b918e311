"""A month of a firm of the simulated district: what its reports take, in seconds and memory.

    .venv/bin/python -m bench.reports [--keep DIRECTORY] [--hours-apart 1]

Usage of every device and hour is made up and written as rows, as the judge would have; nothing is
measured but gathering and rendering, each format in a process of its own, as `courtyard report`
runs, and then as `/v1/exports` has it made in the background, with its pieces kept on the disk.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
from sqlalchemy import Engine, insert

from api.exports.files import Folder
from api.exports.model import Body, State, Wanted, of_row, packed
from courtyard.clock import now_ms
from courtyard.exports import FOLDER
from devices.catalogue import RULES
from devices.registry import Device
from devices.store import exports, registry
from devices.store.database import open_database, upgrade, writing
from devices.store.schema import LIVE, faults, usage_hours
from simulators import erqi

FIRM = "yaxin"
MONTH = "2026-10"
FROM_MS = 1_790_784_000_000  # 2026-10-01 00:00 in Zhengzhou
HOUR_MS = 3_600_000
HOURS = 31 * 24
FAULTS = 2_500
ROWS_AT_ONCE = 20_000
DENIALS = ("face_mismatch", "no_permission", "not_registered")
STOPS = ("full",) * 60 + ("time_up", "money_up") * 12 + ("unplugged", "manual_stop") * 5
RARE_STOPS = ("over_temp", "over_power", "power_cut")


def figures(
    device: Device, hour: int, of_day: float, rng: Random
) -> dict[str, float | dict[str, float]]:
    """What a device may have done in an hour of the local day. of_day: how busy the day is, 0…1."""
    busy = 0.2 + of_day * max(0.0, math.sin((hour - 6) / 24 * 2 * math.pi))
    match device.kind:
        case "gate":
            granted, denied = round(30 * busy * rng.random()), round(0.7 * rng.random())
            face = round(granted * 0.7)
            return {
                "granted": granted,
                "denied": denied,
                "remote": round(rng.random()),
                "by_method": {"face": face, "card": granted - face},
                "by_direction": {"in": granted // 2, "out": granted - granted // 2},
                "deny_reasons": {rng.choice(DENIALS): denied} if denied else {},
            }
        case "port":
            in_use_s = 3600 * min(1.0, busy * rng.random())
            if rng.random() < 0.15:
                return {
                    "in_use_s": in_use_s,
                    "sessions": 1,
                    "session_s": 9000 * rng.random(),
                    "energy_kwh": 0.2 * in_use_s / 3600,
                    "fee_fen": round(120 * rng.random()),
                    "stop_reasons": {rng.choice(RARE_STOPS if rng.random() < 0.004 else STOPS): 1},
                }
            return {"in_use_s": in_use_s, "energy_kwh": 0.2 * in_use_s / 3600}
        case "lamp":
            if 7 <= hour < 18:
                return {}
            lamps = int(device.attributes["lamp_count"])
            dark = 1 if rng.random() < 0.5 - 0.48 * of_day else 0
            return {
                "lit_s": 3600 * (lamps - dark),
                "dark_s": 3600 * dark,
                "burn_s": 3600 * (lamps - dark),
                "energy_kwh": 0.009 * lamps,
            }
    return {}


def hours(
    devices: list[Device], numbers: dict[str, int], apart: int
) -> Iterator[dict[str, object]]:
    """Rows of `usage_hours`; every `apart`th hour, and nothing from two nights' outages."""
    rng = Random(11)
    of_day = [0.6 + 0.4 * rng.random() for _ in range(HOURS // 24)]
    for n in range(0, HOURS, apart):
        if n in range(200, 206) or n in range(500, 504):
            continue
        hour = n % 24
        for device in devices:
            if device.attributes.get("supply") == "switched" and 7 <= hour < 18:
                continue  # without power
            received = 3600 // device.interval_s
            yield {
                "compound": device.compound,
                "hour_ms": FROM_MS + n * HOUR_MS,
                "device_no": numbers[device.id],
                "kind": device.kind,
                "received": received if rng.random() < 0.9 else round(received * 0.8),
                "expected": received,
                "figures": msgspec.msgpack.encode(figures(device, hour, of_day[n // 24], rng)),
            }


def some_faults(devices: list[Device]) -> list[dict[str, object]]:
    """Faults all over the month, a few of which still stand."""
    rng = Random(12)
    rows: list[dict[str, object]] = []
    of_kind = {
        kind: [rule for rule in RULES.values() if rule.kind == kind] for kind in erqi_kinds(devices)
    }
    while len(rows) < FAULTS:
        device = rng.choice(devices)
        if not of_kind[device.kind]:
            continue
        rule = rng.choice(of_kind[device.kind])
        opened_ms = FROM_MS + rng.randrange(HOURS * HOUR_MS)
        stands = rng.random() < 0.0005
        over_ms = opened_ms + round(HOUR_MS * rng.expovariate(0.5))
        rows.append(
            {
                "id": f"fault-{len(rows):05d}",
                "stream": LIVE,
                "subject": f"{device.id}" if stands else f"{device.id}#{len(rows)}",
                "code": rule.code,
                "kind": device.kind,
                "device": device.id,
                "compound": device.compound,
                "severity": rule.severity,
                "safety": rule.safety,
                "suspected": rule.suspected,
                "state": "open" if stands else "closed",
                "since_ms": opened_ms - 90_000,
                "opened_at_ms": opened_ms,
                "cleared_at_ms": None if stands else over_ms,
                "closed_at_ms": None if stands else over_ms,
                "suppressed_by": "fault-00000" if rng.random() < 0.1 else None,
                "occurrences": 1,
                "late": False,
                "evidence": {},
            }
        )
    return rows


def erqi_kinds(devices: list[Device]) -> set[str]:
    return {device.kind for device in devices}


def fill(engine: Engine, apart: int = 1) -> int:
    """The district's registry and a month of one firm; how many rows of usage that is."""
    district = erqi.registry()
    compounds = {c.id for c in district.compounds.values() if c.firm == FIRM}
    devices = [d for d in district.devices.values() if d.compound in compounds]
    with writing(engine) as connection:
        registry.save(connection, district, FROM_MS - 24 * HOUR_MS)
        numbers = registry.device_numbers(connection)
        connection.execute(insert(faults), some_faults(devices))
    rows, count = [], 0
    made = hours(devices, dict(numbers), apart)
    for row in made:
        rows.append(row)
        if len(rows) == ROWS_AT_ONCE:
            count += _write(engine, rows)
    return count + _write(engine, rows)


def _write(engine: Engine, rows: list[dict[str, object]]) -> int:
    if not rows:
        return 0
    with writing(engine) as connection:
        connection.execute(insert(usage_hours), rows)
    count = len(rows)
    rows.clear()
    return count


def measured(folder: Path, what: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and MB at most, of `courtyard report` for a format."""
    return _run(
        folder,
        f"report --firm {FIRM} --month {MONTH} --format {what}"
        f" --out {folder / f'{FIRM}.{what}'} --force",
    )


def exported(folder: Path, wanted: Wanted) -> tuple[float, float, float, int]:
    """The same, and the size of the file in bytes, of an export of this."""
    engine = open_database(f"sqlite:///{folder / 'courtyard.db'}")
    at_ms = now_ms()
    body = Body(0, "bench", None, wanted, at_ms, Folder(folder / FOLDER).place())
    with writing(engine) as connection:
        exports.add(connection, "bench", 1, packed(body), at_ms)
    took = _run(folder, "exports")
    with writing(engine) as connection:
        row = exports.find(connection, "bench")
        exports.remove(connection, "bench")
    engine.dispose()
    made = None if row is None else of_row("bench", row)
    if made is None or made.body.state is not State.DONE:
        raise SystemExit(f"the export failed: {None if made is None else made.body.error}")
    return (*took, made.body.size_bytes or 0)


def _run(folder: Path, argv: str) -> tuple[float, float, float]:
    command = [sys.executable, "-m", "courtyard", *argv.split()]
    environment = {**os.environ, "COURTYARD_DATA_DIR": str(folder)}
    start_s = time.monotonic()
    child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"courtyard {argv} failed")
    cpu_s = used.ru_utime + used.ru_stime
    return time.monotonic() - start_s, cpu_s, used.ru_maxrss / 1000  # kB on Linux


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="use this directory, and leave it there")
    parser.add_argument("--hours-apart", type=int, default=1, help="a row every so many hours")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = asked.keep or Path(thrown_away)
        folder.mkdir(parents=True, exist_ok=True)
        database = folder / "courtyard.db"
        if not database.exists():
            engine = open_database(f"sqlite:///{database}")
            upgrade(engine)
            start_s = time.monotonic()
            count = fill(engine, asked.hours_apart)
            engine.dispose()
            print(f"{count} rows of usage written in {time.monotonic() - start_s:.0f} s")
        for what in ("pdf", "xlsx"):
            seconds, cpu_s, megabytes = measured(folder, what)
            size_kb = (folder / f"{FIRM}.{what}").stat().st_size / 1000
            took = f"{seconds:.1f} s ({cpu_s:.1f} s of CPU), {megabytes:.0f} MB"
            print(f"{what}: {took}, a file of {size_kb:.0f} kB")
        for wanted in (
            Wanted("report", "pdf", "zh", firm=FIRM, month=MONTH),
            Wanted("report", "xlsx", "zh", firm=FIRM, month=MONTH),
            Wanted("usage", "csv", "zh", firm=FIRM, from_ms=FROM_MS,
                   to_ms=FROM_MS + HOURS * HOUR_MS),
        ):  # fmt: skip
            seconds, cpu_s, megabytes, size = exported(folder, wanted)
            took = f"{seconds:.1f} s ({cpu_s:.1f} s of CPU), {megabytes:.0f} MB"
            print(f"export of {wanted.what}, {wanted.format}: {took}, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
