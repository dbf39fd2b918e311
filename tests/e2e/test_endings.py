"""How the processes end, what they refuse, and what they wait for."""

import json
import signal
import subprocess
from typing import Any

import psutil
import pytest

from tests.brokers import HOST, Mosquitto, free_port
from tests.e2e.system import READY_S, System, a_registry
from tests.eventually import eventually

pytestmark = [pytest.mark.broker]

GATE = "lvyun-xiaoqu-gate-1"
TOPIC = f"courtyard/v1/lvyun-xiaoqu/gate/{GATE}/telemetry"


def accounts(system: System, token: str) -> Any:
    answer = system.get("/v1/accounting", token)
    assert answer.status == 200, answer.text
    return answer.json


def publish_many(system: System, first: int, count: int) -> None:
    """`count` messages over one connection, each acknowledged by the broker."""
    lines = "\n".join(
        json.dumps({"boot": 1, "seq": seq, "values": {"board_temp_c": 20 + seq % 10}})
        for seq in range(first, first + count)
    )
    tool = ["mosquitto_pub", "-h", HOST, "-p", str(system.broker_port), "-q", "1", "-t", TOPIC]
    subprocess.run([*tool, "-l"], input=lines.encode() + b"\n", check=True, timeout=60)


def settled(system: System, token: str, received: int) -> Any:
    def look() -> Any:
        seen = accounts(system, token)
        return seen if seen["received"] >= received and seen["pending"] == 0 else None

    return eventually(look, within_s=30)


@pytest.mark.long
def test_sigterm_under_load_loses_nothing_and_doubles_nothing(system: System) -> None:
    system.import_registry(a_registry())
    broker = None
    if "COURTYARD_BROKER_URL" not in system.environ:
        # one that outlives ingest: what it holds meanwhile is delivered afterwards
        broker = Mosquitto(system.directory)
        broker.start()
        system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
    try:
        ingest = system.ingest()
        publish_many(system, 0, 500)
        assert ingest.end(signal.SIGTERM, within_s=10) == 0
        publish_many(system, 500, 500)
        ingest = system.ingest()
        ingest.process.send_signal(signal.SIGKILL)
        ingest.process.wait(10)
        publish_many(system, 1000, 500)
        ingest = system.ingest()
        system.api()
        token = system.token("--role", "operator")
        seen = settled(system, token, 1500)
        assert seen["balance"] == 0
        assert seen["stored"] == 1500, "each message once, whatever was delivered twice"
        assert seen["quarantined"] == {}
        assert ingest.end(signal.SIGTERM, within_s=10) == 0
    finally:
        if broker is not None:
            broker.kill()


def test_a_wrong_setting_is_one_line_and_exit_code_2(system: System) -> None:
    for command in (["ingest"], ["demo"]):
        done = system.run(*command, COURTYARD_API_PORT="many")
        assert done.returncode == 2, command
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("courtyard: COURTYARD_API_PORT: ")


def test_a_taken_port_is_one_line_and_exit_code_1(system: System) -> None:
    system.import_registry(a_registry())
    system.api()
    second = system.run("api")
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("courtyard: COURTYARD_API_PORT: ")
    assert "Traceback" not in second.stderr


def test_a_second_ingest_refuses_and_names_the_first(system: System) -> None:
    system.import_registry(a_registry())
    first = system.ingest()
    second = system.run("ingest")  # with the same settings, as happens
    assert second.returncode == 1
    assert f"process {first.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.process.poll() is None


def test_an_unreachable_broker_is_one_line_and_tried_until_it_is_there(system: System) -> None:
    system.import_registry(a_registry())
    broker = Mosquitto(system.directory)
    system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
    ingest = system.start("ingest")
    ingest.await_said("broker_away")
    ingest.await_said("ingest_runs")
    with broker:
        ingest.await_said("broker_connected", within_s=30)
        assert sum("broker_away" in line for line in ingest.lines) == 1
    doctor = system.run("doctor")
    assert doctor.returncode == 1
    assert "BAD   broker" in doctor.stdout


@pytest.mark.long
def test_an_unreachable_database_keeps_no_message_out(system: System) -> None:
    """Receive runs and acknowledges while PostgreSQL does not answer."""
    nowhere = f"postgresql://courtyard@{HOST}:{free_port()}/courtyard"
    ingest = system.start("ingest", COURTYARD_DATABASE_URL=nowhere)
    ingest.await_said("broker_connected")
    ingest.await_said("database_away", within_s=30)
    publish_many(system, 0, 3)

    def received() -> bool:
        done = system.run("doctor")
        return "3 messages ever" in done.stdout

    eventually(received, within_s=30)
    assert ingest.end() == 0
    assert sum("database_away" in line for line in ingest.lines) == 1
    api = system.start("api", COURTYARD_DATABASE_URL=nowhere)
    api.await_said("database_away", within_s=30)
    assert api.end() == 0


def test_the_embedded_broker_ends_with_ingest(system: System) -> None:
    system.environ.pop("COURTYARD_BROKER_URL", None)
    system.import_registry(a_registry())
    ingest = system.ingest()
    pid = json.loads((system.directory / "data" / "broker.json").read_text())["pid"]
    assert psutil.pid_exists(pid)
    assert ingest.end() == 0
    assert not psutil.pid_exists(pid)

    ingest = system.ingest()
    pid = json.loads((system.directory / "data" / "broker.json").read_text())["pid"]
    ingest.process.kill()
    ingest.process.wait(10)
    eventually(lambda: not psutil.pid_exists(pid), within_s=10)


@pytest.mark.long
def test_the_parts_run_apart_from_each_other(system: System) -> None:
    system.import_registry(a_registry())
    system.ingest("--only", "receive")
    others = system.start(
        "ingest", "--only", "judge,forward", COURTYARD_METRICS_PORT=str(free_port())
    )
    others.await_said("ingest_runs")
    system.api()
    token = system.token("--role", "operator")
    system.publish(TOPIC, {"values": {"tamper": True}})
    eventually(lambda: system.get("/v1/faults", token, device=GATE).json["items"] or None, READY_S)
    assert others.end() == 0
