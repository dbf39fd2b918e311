"""A message that kills whoever decodes it: put aside, and judged when the decoder is mended.

The decoder is broken from outside, by a launcher of ours: the product has no switch for it.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.brokers import HOST, Mosquitto, free_port
from tests.e2e.system import ROOT, System, a_registry
from tests.eventually import eventually

pytestmark = [pytest.mark.broker, pytest.mark.long]

COMPOUND = "lvyun-xiaoqu"
GATE = f"{COMPOUND}-gate-1"
TOPIC = f"courtyard/v1/{COMPOUND}/gate/{GATE}/telemetry"
STRANGER = f"{COMPOUND}-gate-9"
SEED = 20261127
BUSY_S = 120.0  # for a start of Python on a machine that does much else

LAUNCHER = """
import os, signal
from ingest.adapters import ADAPTERS

native = ADAPTERS["native"]
mended = native.read

def read(payload, place):
    if b"66.6" in payload:
        os.kill(os.getpid(), signal.SIGKILL)
    return mended(payload, place)

native.read = read

from courtyard.cli import main
main()
"""


@pytest.fixture
def outlived(system: System) -> Iterator[System]:
    """Receive runs all the time; the broker outlives everybody."""
    system.import_registry(a_registry())
    if "COURTYARD_BROKER_URL" in system.environ:
        yield system
        return
    with Mosquitto(system.directory) as broker:
        system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
        yield system


class Followers:
    """Judge and forward in a process of their own, with the decoder broken or not."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._launcher = system.directory / "launcher.py"
        self._launcher.write_text(LAUNCHER)
        self._log = system.directory / "followers.log"
        self._runs = 0

    def start(self, *, broken: bool) -> subprocess.Popen[bytes]:
        how = [str(self._launcher)] if broken else ["-m", "courtyard"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *how, "ingest", "--only", "judge,forward"],
                cwd=ROOT,
                env=self._system.environ
                | {"COURTYARD_METRICS_PORT": str(free_port()), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def await_runs(self) -> None:
        """Until those that were started last follow the journal."""
        self._runs += 1
        eventually(lambda: self.said().count("ingest_runs") >= self._runs, within_s=BUSY_S)

    def said(self) -> str:
        return self._log.read_text()


def publish(system: System, first: int, count: int, deadly: int | None = None) -> None:
    lines = "\n".join(
        f'{{"boot": 1, "seq": {seq}, "ts": {_ts(seq)}, "values": {{"board_temp_c": '
        + ("66.6" if seq == deadly else f"{20 + seq % 10}.5")
        + "}}"
        for seq in range(first, first + count)
    )
    tool = ["mosquitto_pub", "-h", HOST, "-p", str(system.broker_port), "-q", "1", "-t", TOPIC]
    subprocess.run([*tool, "-l"], input=lines.encode() + b"\n", check=True, timeout=60)


def _ts(seq: int) -> int:
    return BEGAN_MS + seq * 100


BEGAN_MS = int(time.clock_gettime(time.CLOCK_REALTIME) * 1000) - 600_000


def accounts(system: System, token: str) -> Any:
    answer = system.get("/v1/accounting", token)
    assert answer.status == 200, answer.text
    assert answer.json["balance"] == 0, answer.text
    return answer.json


def settled(system: System, token: str, received: int) -> Any:
    def look() -> Any:
        seen = accounts(system, token)
        return seen if seen["received"] == received and seen["pending"] == 0 else None

    return eventually(look, within_s=BUSY_S)


def temperatures(system: System, token: str, device: str = GATE) -> dict[int, float]:
    """seq -> what the telemetry store has."""
    answer = system.get(
        f"/v1/devices/{device}/telemetry", token, quantity="board_temp_c", limit=500
    )
    assert answer.status == 200, answer.text
    return {
        round((datetime.fromisoformat(point["at"]).timestamp() * 1000 - BEGAN_MS) / 100): point[
            "value"
        ]
        for point in answer.json["points"]
    }


def test_a_message_that_kills_the_decoder_is_put_aside_and_taken_when_that_is_mended(
    outlived: System,
) -> None:
    system = outlived
    system.ingest("--only", "receive")
    system.api()
    token = system.token("--role", "operator")
    followers = Followers(system)
    publish(system, 1, 40)
    # kills from outside, at random moments while a batch is in hand, blame nobody
    rng = random.Random(SEED)
    for _ in range(4):
        process = followers.start(broken=False)
        followers.await_runs()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        accounts(system, token)
    publish(system, 41, 40, deadly=60)

    deaths = 0
    gives_up_s = time.monotonic() + 3 * BUSY_S
    process = followers.start(broken=True)
    try:
        while deaths < 20 and time.monotonic() < gives_up_s:
            try:
                assert process.wait(0.3) == -signal.SIGKILL, followers.said()
            except subprocess.TimeoutExpired:
                is_judged = accounts(system, token)["pending"] == 0
                if is_judged and len(temperatures(system, token)) == 79:
                    break
            else:
                deaths += 1
                process = followers.start(broken=True)
        seen = settled(system, token, 80)
        assert (seen["stored"], seen["quarantined"]) == (79, {"crashed_decoder": 1})
        # three with its record in hand and three with itself; forward, where it was ahead of the
        # judge, as often again
        assert 6 <= deaths <= 12
        assert 60 not in temperatures(system, token)
        (item,) = system.get("/v1/quarantine", token).json["items"]
        assert "66.6" in item["payload"]

        # judged again while the decoder is broken still, it kills again and stays
        assert system.post(f"/v1/quarantine/{item['id']}/replay", token).status == 202
        for _ in range(3):
            assert process.wait(BUSY_S) == -signal.SIGKILL, followers.said()
            process = followers.start(broken=True)
        eventually(lambda: followers.said().count("message_given_up") >= 2, within_s=BUSY_S)
        assert accounts(system, token)["quarantined"] == {"crashed_decoder": 1}
        process.terminate()
        assert process.wait(15) == 0

        # mended
        assert system.post(f"/v1/quarantine/{item['id']}/replay", token).status == 202
        process = followers.start(broken=False)
        eventually(lambda: accounts(system, token)["stored"] == 80 or None, within_s=BUSY_S)
        assert accounts(system, token)["quarantined"] == {}
        eventually(lambda: temperatures(system, token).get(60) == 66.6 or None, within_s=BUSY_S)
        again = system.post(f"/v1/quarantine/{item['id']}/replay", token)
        assert again.status == 409
        assert again.json["refused"]["outcome"] == "stored"
    finally:
        process.kill()
        process.wait(10)
        sys.stdout.write(followers.said())


def test_messages_of_a_device_that_becomes_known_are_taken_whatever_is_killed(
    outlived: System,
) -> None:
    system = outlived
    ingest = system.ingest()
    system.api()
    token = system.token("--role", "operator")
    topic = TOPIC.replace(GATE, STRANGER)
    for seq in range(1, 11):
        said = {"boot": 1, "seq": seq, "ts": _ts(seq), "values": {"board_temp_c": seq + 0.5}}
        system.publish(topic, said)
    seen = settled(system, token, 10)
    assert seen["quarantined"] == {"unknown_device": 10}

    registry = a_registry()
    registry["devices"].append(
        {"id": STRANGER, "kind": "gate", "compound": COMPOUND, "interval_s": 30}
    )
    system.import_registry(registry)
    answer = system.post(f"/v1/quarantine/replay?device={STRANGER}", token)
    assert (answer.status, answer.json["requested"]) == (202, 10), answer.text
    rng = random.Random(SEED)
    for _ in range(4):
        with pytest.raises(subprocess.TimeoutExpired):
            ingest.process.wait(rng.uniform(0.1, 1.2))
        ingest.end(signal.SIGKILL)
        accounts(system, token)
        ingest = system.ingest()
        accounts(system, token)

    def all_taken() -> Any:
        seen = accounts(system, token)
        return seen if seen["stored"] == 10 else None

    seen = eventually(all_taken, within_s=BUSY_S)
    assert (seen["duplicate"], seen["quarantined"], seen["late"]) == (0, {}, 10)
    wanted = {seq: seq + 0.5 for seq in range(1, 11)}
    eventually(lambda: temperatures(system, token, STRANGER) == wanted or None, within_s=BUSY_S)
    device = system.get(f"/v1/devices/{STRANGER}", token).json
    assert device["state"] == "never_seen", "what is judged again is no sign of life"

    # a second time changes nothing, by the API or by the command
    assert system.post(f"/v1/quarantine/replay?device={STRANGER}", token).json["requested"] == 0
    range_of_it = ["--from", "2026-01-01T00:00:00Z", "--to", "2037-01-01T00:00:00Z"]
    done = system.run("replay", *range_of_it, "--compound", COMPOUND)
    assert done.returncode == 0, done.stderr
    assert "nothing of this range is refused" in done.stdout
    assert temperatures(system, token, STRANGER) == wanted
    after = accounts(system, token)
    assert {name: after[name] for name in ("received", "stored", "duplicate", "quarantined")} == {
        name: seen[name] for name in ("received", "stored", "duplicate", "quarantined")
    }
