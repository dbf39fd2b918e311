"""The demo: on screen, usable, and gone without a trace, also in the middle of its back-fill."""

import os
import re
import signal
import socket
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tests.brokers import HOST, free_port
from tests.e2e.system import BROKER, DATABASE, Running, System
from tests.eventually import eventually

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(
        BROKER != "mosquitto" or DATABASE != "sqlite",
        reason="the demo has parts of its own: another combination would run the same again",
    ),
]


def start(system: System, *options: str) -> Running:
    demo = system.start("demo", "--compounds", "2", *options)
    demo.await_said("Ctrl-C ends everything")
    return demo


def family(demo: Running) -> list[psutil.Process]:
    """The demo and everything that it started."""
    parent = psutil.Process(demo.process.pid)
    return [parent, *parent.children(recursive=True)]


def history_hours(system: System) -> int:
    """How far the back-fill has come, as its row says."""
    path = system.directory / "data" / "courtyard.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as database:
        row = database.execute("SELECT done FROM progress WHERE name = 'history'").fetchone()
    database.close()
    return int(row[0])


def tokens(demo: Running) -> dict[str, str]:
    found = [re.match(r"  (operator|yaxin) +(cy_\S+)", line) for line in demo.lines]
    return {match[1]: match[2] for match in found if match}


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [
        process for process in processes if process.is_running() and process.status() != "zombie"
    ]


def part_of(demo: Running, command: str) -> int | None:
    """The process of this command under the demo's supervisor; None while there is none."""
    for process in family(demo):
        with suppress(psutil.Error):
            if command in process.cmdline():
                return process.pid
    return None


def runs_again(demo: Running, command: str, was: int) -> bool:
    return part_of(demo, command) not in (None, was)


@pytest.mark.long
def test_the_demo_shows_what_to_do_and_leaves_nothing_behind(system: System) -> None:
    with socket.create_server((HOST, system.metrics_port)):  # somebody else listens there
        demo = start(system)
    text = "\n".join(demo.lines)
    assert f"http://127.0.0.1:{system.api_port}/" in text
    assert "mosquitto_pub" in text
    assert f"mqtt://{HOST}:{system.broker_port}" in text

    # where its figures are; the port that was taken has been replaced
    (of_api, of_ingest) = re.findall(r"http://\S+/metrics", text)
    assert of_api == f"http://{HOST}:{system.api_port}/metrics"
    assert of_ingest != f"http://{HOST}:{system.metrics_port}/metrics"
    for url, metric in (
        (of_api, "courtyard_faults_open"),
        (of_ingest, "courtyard_messages_received_total"),
    ):
        with urlopen(url, timeout=10) as answer:
            assert metric in answer.read().decode()

    # a visitor of this machine may look, and only look
    assert len(system.get("/v1/compounds").json["items"]) == 2
    operator = tokens(demo)["operator"]
    gate = "xiangyunli-gate-1"
    system.publish(f"courtyard/v1/xiangyunli/gate/{gate}/telemetry", {"values": {"tamper": True}})

    def tampered() -> str | None:
        items = system.get("/v1/faults", device=gate, code="GATE_TAMPER").json["items"]
        return str(items[0]["id"]) if items else None

    fault = eventually(tampered)
    assert system.post(f"/v1/faults/{fault}/acknowledge").status in (401, 403)
    assert system.post(f"/v1/faults/{fault}/acknowledge", operator).status == 200

    # the simulated fleet is heard: in its first 45 s every device speaks once
    gateway = "/v1/devices/xiangyunli-gateway"
    eventually(lambda: system.get(gateway).json["state"] == "online", 75)
    eventually(lambda: history_hours(system) > 0, 60, "the history fills in")
    running = family(demo)
    assert len(running) >= 6, "demo, broker, api, ingest, simulate, back-fill"
    assert demo.end(signal.SIGINT, within_s=25) == 0
    assert left_of(running) == []

    # a second start goes on where the first one ended
    done = history_hours(system)
    again = start(system)
    assert tokens(again) == tokens(demo)
    eventually(lambda: history_hours(system) > done, 60, "the history goes on")
    assert system.get("/v1/accounting", operator).json["balance"] == 0
    running = family(again)
    assert again.end(signal.SIGTERM, within_s=25) == 0
    assert left_of(running) == []


@pytest.mark.long
def test_parts_that_die_are_started_again_and_all_end_with_a_killed_demo(system: System) -> None:
    demo = start(system)
    eventually(lambda: history_hours(system) > 0, 60)
    for name, command in (("ingest", "ingest"), ("history", "backfill")):
        victim = part_of(demo, command)
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        demo.await_said(f'"name": "{name}", "exit_code": -9')
        eventually(partial(runs_again, demo, command, victim), 30)
    done = history_hours(system)
    eventually(lambda: history_hours(system) > done, 60, "the history goes on")
    eventually(lambda: system.get("/readyz").status == 200, 60)
    running = family(demo)
    demo.process.kill()
    demo.process.wait(10)
    eventually(lambda: left_of(running) == [], 25)


def test_a_taken_port_is_said_before_anything_is_started(system: System) -> None:
    system.environ["COURTYARD_API_PORT"] = str(free_port())
    with socket.create_server(("127.0.0.1", int(system.environ["COURTYARD_API_PORT"]))):
        done = system.run("demo")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("courtyard: COURTYARD_API_PORT: ")
    assert not Path(system.directory / "data").exists()
