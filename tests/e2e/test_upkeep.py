"""An ingest process that looks after itself: what is wrong with it is told, and mends itself."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.brokers import HOST, Mosquitto
from tests.e2e.system import DATABASE, READY_S, System, a_registry
from tests.eventually import eventually

pytestmark = [pytest.mark.broker]

GATE = "lvyun-xiaoqu-gate-1"
TOPIC = f"courtyard/v1/lvyun-xiaoqu/gate/{GATE}/telemetry"
LOOK_S = 0.2  # at another process, which has better to do than answer us
only_sqlite = pytest.mark.skipif(
    DATABASE != "sqlite", reason="takes a row out of the embedded database"
)


def publish_many(system: System, first: int, count: int) -> None:
    """`count` messages over one connection, each acknowledged by the broker."""
    lines = "\n".join(
        json.dumps({"boot": 1, "seq": seq, "values": {"csq": seq % 30}})
        for seq in range(first, first + count)
    )
    tool = ["mosquitto_pub", "-h", HOST, "-p", str(system.broker_port), "-q", "1", "-t", TOPIC]
    subprocess.run([*tool, "-l"], input=lines.encode() + b"\n", check=True, timeout=60)


def accounts(system: System, token: str) -> Any:
    answer = system.get("/v1/accounting", token)
    assert answer.status == 200, answer.text
    return answer.json


def settled(system: System, token: str, stored: int) -> Any:
    def look() -> Any:
        seen = accounts(system, token)
        return seen if seen["stored"] >= stored and seen["pending"] == 0 else None

    return eventually(look, within_s=READY_S, every_s=LOOK_S)


def ours(system: System, token: str, code: str, **asked: str) -> list[Any]:
    """Faults of the platform with this code, the newest first."""
    items: list[Any] = system.get("/v1/faults", token, kind="platform", code=code, **asked).json[
        "items"
    ]
    return items


def await_ours(system: System, token: str, code: str, state: str, **wanted: str) -> Any:
    """The alarm in that state, and as it is wanted: it may begin as a lesser one."""

    def found() -> Any:
        alarms = ours(system, token, code, state=state)
        return [a for a in alarms if all(a[name] == value for name, value in wanted.items())]

    return eventually(lambda: found() or None, READY_S, code, every_s=LOOK_S)[0]


@pytest.fixture
def small_disk(system: System) -> Iterator[Path]:
    """The data directory is a file system of 48 MiB; the broker is elsewhere."""
    place = system.directory / "data"
    place.mkdir(exist_ok=True)
    tool = shutil.which("mount")
    if os.geteuid() != 0 or tool is None:
        pytest.skip("mounting a small file system takes root")
    command = [tool, "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, timeout=10).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)


@only_sqlite
def test_a_full_disk_stops_acknowledgements_and_space_brings_them_back(
    small_disk: Path, system: System
) -> None:
    broker = Mosquitto(system.directory)
    with broker:
        system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
        system.import_registry(a_registry())
        ingest = system.ingest()
        system.api()
        token = system.token("--role", "operator")
        publish_many(system, 0, 200)
        settled(system, token, 200)

        stuffing = small_disk / "stuffing"
        room = shutil.disk_usage(small_disk)
        stuffing.write_bytes(bytes(int(room.total * 0.9) - room.used))
        alarm = await_ours(system, token, "SYS_DISK", "open", severity="P1")
        assert (alarm["device"], alarm["compound"]) == (None, None)
        assert alarm["evidence"]["acks_withheld"] is True
        assert ingest.has_said("platform_alarm")
        before = accounts(system, token)["received"]
        publish_many(system, 200, 300)  # the broker keeps them: nothing of it is acknowledged
        assert accounts(system, token)["received"] == before == 200

        stuffing.unlink()
        seen = settled(system, token, 500)
        assert (seen["received"], seen["stored"], seen["balance"]) == (500, 500, 0)
        assert seen["duplicate"] == 0, "the connection stood: nothing came a second time"
        await_ours(system, token, "SYS_DISK", "closed")
        assert ingest.process.poll() is None


@only_sqlite
@pytest.mark.long
def test_a_lost_row_of_the_accounts_and_a_lost_point_are_found(system: System) -> None:
    system.environ["COURTYARD_AUDIT_EVERY"] = "500ms"
    system.import_registry(a_registry())
    system.ingest()
    system.api()
    token = system.token("--role", "operator")
    publish_many(system, 0, 40)
    settled(system, token, 40)
    assert ours(system, token, "SYS_ACCOUNTS_IMBALANCE") == []

    with closing(sqlite3.connect(system.directory / "data" / "courtyard.db", timeout=30)) as rows:
        (lost,) = rows.execute("SELECT sum(count) FROM accounts WHERE outcome = 'stored'")
        kept = rows.execute("SELECT * FROM accounts WHERE outcome = 'stored'").fetchall()
        rows.execute("DELETE FROM accounts WHERE outcome = 'stored'")
        rows.commit()
    assert lost == (40,)
    alarm = await_ours(system, token, "SYS_ACCOUNTS_IMBALANCE", "open")
    assert alarm["severity"] == "P1"
    assert alarm["evidence"]["missing"] == 40
    assert alarm["evidence"]["where"][0]["compound"] == "lvyun-xiaoqu"
    assert accounts(system, token)["balance"] == 40

    with closing(sqlite3.connect(system.directory / "data" / "courtyard.db", timeout=30)) as rows:
        places = ", ".join("?" * len(kept[0]))
        rows.executemany(f"INSERT INTO accounts VALUES ({places})", kept)
        rows.commit()
    await_ours(system, token, "SYS_ACCOUNTS_IMBALANCE", "closed")
    assert accounts(system, token)["balance"] == 0


@only_sqlite
@pytest.mark.long
def test_a_database_that_is_away_is_told_without_it_and_keeps_no_message_out(
    system: System,
) -> None:
    system.import_registry(a_registry())
    ingest = system.ingest()
    publish_many(system, 0, 5)
    ingest.await_said("ingest_runs")
    with closing(sqlite3.connect(system.directory / "data" / "courtyard.db", timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ingest.await_said('"code": "SYS_STORE_AWAY"')
        publish_many(system, 5, 20)
        eventually(lambda: metric(system, 'alarms{code="SYS_STORE_AWAY"}') == 1, READY_S)
        eventually(lambda: metric(system, "messages_received_total") == 25, READY_S)
        assert metric(system, "acks_withheld") == 0
        other.rollback()
    system.api()
    token = system.token("--role", "operator")
    assert settled(system, token, 25)["balance"] == 0
    told = await_ours(system, token, "SYS_STORE_AWAY", "closed")
    assert told["evidence"]["store"] == "database"
    events = system.get(f"/v1/faults/{told['id']}", token).json["events"]
    assert [event["reason"] for event in events] == ["raised", "over"]
    assert metric(system, 'alarms{code="SYS_STORE_AWAY"}') == 0


def metric(system: System, name: str) -> float | None:
    """A figure of ingest's, by the end of its name."""
    with urlopen(f"http://{HOST}:{system.metrics_port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if not line.startswith("#") and line.rpartition(" ")[0].endswith(name):
                return float(line.rpartition(" ")[2])
    return None


@pytest.mark.long
@pytest.mark.skipif("COURTYARD_BROKER_URL" in os.environ, reason="starts a broker of its own")
def test_a_session_that_the_broker_lost_is_told_to_operators_alone(system: System) -> None:
    broker = Mosquitto(system.directory)
    broker.start()
    system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
    try:
        system.import_registry(a_registry())
        ingest = system.ingest()
        system.api()
        token = system.token("--role", "operator")
        publish_many(system, 0, 5)
        settled(system, token, 5)
        broker.kill()
        for kept in system.directory.rglob("mosquitto.db"):
            kept.unlink()
        broker.start()
        alarm = await_ours(system, token, "SYS_SESSION_LOST", "open")
        assert (alarm["kind"], alarm["severity"], alarm["responsible"]) == (
            "platform",
            "P2",
            "operator",
        )
        assert alarm["evidence"].keys() >= {"away_since_at", "back_at", "away_s"}
        firm = system.token("--role", "firm", "--firm", "yaxin")
        assert system.get("/v1/faults", firm).json["items"] == []
        assert system.get(f"/v1/faults/{alarm['id']}", firm).status == 404
        assert ingest.process.poll() is None
    finally:
        broker.kill()
