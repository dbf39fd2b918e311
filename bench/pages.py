"""Pages of devices, sessions and sheds over the whole district: how long the server takes.

    .venv/bin/python -m bench.pages [--hours 8] [--requests 60]

A year of faults, sessions of a year in the asked-for compounds, readings of a month, and a journal
of so many hours of the district at 33 messages a second, each in a record of its own, as they come
when it is calm. Embedded stores in a temporary folder. Measured from the request to the whole
answer, in one process and without a socket between; another device each time.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from sqlalchemy import Engine, insert
from starlette.testclient import TestClient

from api.app import create_app
from api.parts import Dependencies
from courtyard.journals import FollowedJournal
from courtyard.mappings import field_tables
from courtyard.web import JournalForApi
from devices.credentials import Seal
from devices.journal import MESSAGES, Raw
from devices.registry import Device
from devices.store import tokens
from devices.store.database import open_database, upgrade, writing
from devices.store.journal import Draft, JournalWriter
from devices.store.schema import LIVE, sessions
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import Point
from simulators import erqi
from tests.api import district
from tests.api.cast import DAY_MS, HOUR_MS, NOW_MS, SECRET

RATE = 33  # messages a second of the whole district
COMPOUNDS = 5  # with readings, sessions and messages that are asked for
READ_DAYS = 31
SESSIONS_A_DAY = 3  # of a socket
GOAL_MS = 50
PAYLOAD = (
    b'{"ts":1795399200123,"boot":7,"seq":1841,"values":{"power_w":182.4,"voltage_v":228.7,'
    b'"board_temp_c":31.0,"csq":22}}'
)


def fill(folder: Path, engine: Engine, telemetry: EmbeddedTelemetry, hours: int) -> list[Device]:
    """Everything there is; gives the devices that are asked for."""
    district.fill(engine)
    everything = list(erqi.registry().devices.values())
    chosen = sorted({one.compound for one in everything if one.kind == "shed"})[:COMPOUNDS]
    asked = [one for one in everything if one.compound in chosen]
    rng = Random(3)
    with writing(engine) as connection:
        for device in asked:
            if device.kind == "port":
                connection.execute(insert(sessions), list(_sessions(device, rng)))
    for device in asked:
        if device.kind in ("port", "shed", "gate"):
            telemetry.write(list(_readings(device, rng)))
    _journal(folder / "journal.db", everything, hours, rng)
    return asked


def _sessions(port: Device, rng: Random) -> Iterator[dict[str, object]]:
    for n in range(365 * SESSIONS_A_DAY):
        begins = NOW_MS - n * DAY_MS // SESSIONS_A_DAY - 8 * HOUR_MS
        lasted_s = rng.randrange(3600, 6 * 3600)
        yield {
            "id": f"{port.id}-{n}",
            "stream": LIVE,
            "compound": port.compound,
            "shed": port.parent,
            "port": port.id,
            "order": f"{port.id}-{n}",
            "state": "closed",
            "started_at_ms": begins,
            "ended_at_ms": begins + lasted_s * 1000,
            "duration_s": lasted_s,
            "energy_kwh": 0.6,
            "fee_fen": 80,
            "stop_reason": "full",
            "native_reason": "0",
            "ended_by": "device",
            "provisional": False,
            "register_kwh": 0.6,
            "register_known": 1.0,
            "power_kwh": 0.6,
            "power_known": 1.0,
        }


def _readings(device: Device, rng: Random) -> Iterator[Point]:
    step_ms = device.interval_s * 1000
    for at_ms in range(NOW_MS - READ_DAYS * DAY_MS, NOW_MS, step_ms):
        level = rng.random()
        fields: dict[str, float | int | bool | str] = {"csq": 20}
        match device.kind:
            case "port":
                fields = {"power_w": 180 + level, "port_temp_c": 30 + level}
                fields["port_status"] = "in_use"
            case "shed":
                fields = {"voltage_v": 228 + level, "board_temp_c": 31 + level, "csq": 22}
            case "gate":
                fields = {"door_state": "closed", "csq": 22, "mains_ok": True}
        yield Point(device.kind, device.compound, device.id, at_ms, fields)


def _journal(path: Path, everything: Sequence[Device], hours: int, rng: Random) -> None:
    senders = [device for device in everything if device.kind != "port"]
    messages = hours * 3600 * RATE
    with JournalWriter(path, lambda: NOW_MS) as writer:
        for first in range(0, messages, 5000):
            drafts = []
            for n in range(first, min(first + 5000, messages)):
                one = rng.choice(senders)
                topic = f"courtyard/v1/{one.compound}/{one.kind}/{one.id}/telemetry".encode()
                at_ms = NOW_MS - (messages - n) * 1000 // RATE
                drafts.append(Draft(MESSAGES, 1, (Raw(topic, PAYLOAD, 0, at_ms, one.compound),)))
            writer.commit(drafts)


def measure(client: TestClient, name: str, paths: Sequence[str]) -> bool:
    """Ask each once, print how long it took; whether the goal is met.

    By the CPU of this process: the wall clock measures the neighbours on a busy machine as well.
    """
    client.get(paths[0])
    times_ms, cpu_ms, size = [], [], 0
    for path in paths:
        begun, used = time.perf_counter(), time.process_time()
        answer = client.get(path)
        times_ms.append((time.perf_counter() - begun) * 1000)
        cpu_ms.append((time.process_time() - used) * 1000)
        assert answer.status_code == 200, (path, answer.status_code)
        size = max(size, len(answer.content))
    p95_ms, p95_cpu_ms = (
        statistics.quantiles(taken, n=20, method="inclusive")[18] for taken in (times_ms, cpu_ms)
    )
    print(
        f"{name:34} CPU p50 {statistics.median(cpu_ms):5.1f} ms  p95 {p95_cpu_ms:5.1f} ms"
        f"   wall p50 {statistics.median(times_ms):6.1f} ms  p95 {p95_ms:6.1f} ms"
        f"   ({len(paths)} requests, {size / 1000:.0f} kB)",
        flush=True,
    )
    return p95_cpu_ms <= GOAL_MS


def run(folder: Path, hours: int, requests: int) -> int:
    engine = open_database(f"sqlite:///{folder / 'courtyard.db'}")
    upgrade(engine)
    telemetry = EmbeddedTelemetry(folder / "telemetry.db")
    begun_s = time.monotonic()
    asked = fill(folder, engine, telemetry, hours)
    with writing(engine) as connection:
        token = tokens.create(connection, "operator", None, "bench", NOW_MS)
    journal = FollowedJournal(folder / "journal.db")
    print(f"filled in {time.monotonic() - begun_s:.0f} s, {journal.head().jseq:,} messages")
    app = create_app(
        Dependencies(
            engine=engine,
            telemetry=telemetry,
            journal=JournalForApi(journal, Seal(SECRET)),
            clock=lambda: NOW_MS,
            secret_key=SECRET,
            demo=False,
            version="bench",
            field_tables=field_tables(),
        )
    )
    client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    rng = Random(5)

    def some(kind: str) -> list[str]:
        return [rng.choice([one.id for one in asked if one.kind == kind]) for _ in range(requests)]

    cases = {
        "a socket": [f"/devices/{one}" for one in some("port")],
        "a socket, its power of a month": [
            f"/devices/{one}?quantity=power_w&show=month" for one in some("port")
        ],
        "a shed": [f"/devices/{one}" for one in some("shed")],
        "a gate": [f"/devices/{one}" for one in some("gate")],
        "a gateway": [f"/devices/{one}" for one in some("gateway")],
        "sessions of a shed": [f"/devices/{one}/sessions" for one in some("shed")],
        "faults of a gate": [f"/devices/{one}/faults" for one in some("gate")],
        "raw messages of a gate": [f"/devices/{one}/messages" for one in some("gate")],
        "a charging session": [f"/sessions/{one}-{rng.randrange(60)}" for one in some("port")],
        "board of sheds": ["/sheds"] * requests,
        "a compound": [f"/compounds/{rng.choice(asked).compound}" for _ in range(requests)],
    }
    gc.collect()
    gc.freeze()  # what filling left behind is not there in the API, and is not looked through
    met = [measure(client, name, paths) for name, paths in cases.items()]
    telemetry.close()
    journal.close()
    engine.dispose()
    return 0 if all(met) else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=8, help="of the journal (8)")
    parser.add_argument("--requests", type=int, default=60, help="of each page (60)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="courtyard-pages-") as folder:
        return run(Path(folder), arguments.hours, arguments.requests)


if __name__ == "__main__":
    raise SystemExit(main())
