"""Outages of our own that take a minute to be one."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import HOST
from tests.e2e.system import READY_S, System, a_registry, a_system
from tests.eventually import eventually

GATE = "lvyun-xiaoqu-gate-1"
TOPIC = f"courtyard/v1/lvyun-xiaoqu/gate/{GATE}/telemetry"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """On SQLite; nothing runs yet."""
    with a_system(tmp_path, None) as made:
        yield made


def ours(system: System, token: str, code: str, **asked: str) -> list[Any]:
    """Faults of the platform with this code, the newest first."""
    found = system.get("/v1/faults", token, kind="platform", code=code, **asked)
    items: list[Any] = found.json["items"]
    return items


def test_a_judge_that_hangs_is_noticed_from_outside(system: System) -> None:
    """Stopped, not dead: nothing ends, nothing fails, and nothing is judged."""
    system.import_registry(a_registry())
    receive = system.ingest("--only", "receive")
    others = system.start(
        "ingest", "--only", "judge,forward", COURTYARD_METRICS_PORT=str(system.api_port + 1)
    )
    others.await_said("ingest_runs")
    system.api()
    token = system.token("--role", "operator")
    lines = "\n".join(json.dumps({"boot": 1, "seq": n, "values": {"csq": n}}) for n in range(5))
    tool = ["mosquitto_pub", "-h", HOST, "-p", str(system.broker_port), "-q", "1", "-t", TOPIC]
    subprocess.run([*tool, "-l"], input=lines.encode() + b"\n", check=True, timeout=60)
    eventually(lambda: system.get("/v1/accounting", token).json["stored"] == 5, READY_S)
    others.process.send_signal(signal.SIGSTOP)
    try:
        alarm = eventually(
            lambda: ours(system, token, "SYS_JUDGE_BEHIND", state="open") or None,
            within_s=100,
            every_s=1.0,
        )[0]
        assert alarm["evidence"]["lag_s"] >= 60
        assert receive.process.poll() is None
        assert system.get("/readyz").status == 503
    finally:
        others.process.send_signal(signal.SIGCONT)
    eventually(lambda: ours(system, token, "SYS_JUDGE_BEHIND", state="closed") or None, READY_S)
    assert ours(system, token, "SYS_STORE_AWAY") == []
    assert [
        fault for fault in system.get("/v1/faults", token).json["items"] if fault["device"]
    ] == []
