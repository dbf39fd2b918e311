"""The accounts balance at any moment: while messages flow, whoever is killed."""

import json
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.brokers import HOST, Mosquitto, missing
from tests.e2e.system import Running, System, a_registry
from tests.eventually import eventually

pytestmark = [pytest.mark.broker]

ASKED = 200
KILL_EVERY = 50
PLACES = ("lvyun-xiaoqu", "xiangyunli")
QUERIES: tuple[dict[str, str], ...] = (
    {},
    {"compound": PLACES[0]},
    {"compound": PLACES[1]},
    {"compound": "unassigned"},
    {"from": "2020-01-01"},
    {"compound": PLACES[0], "from": "2020-01-01"},
)


@contextmanager
def flowing(port: int, seed: int) -> Iterator[None]:
    """Gates of both compounds, a stranger, and what is no JSON, as fast as the broker takes it."""
    tool = shutil.which("mosquitto_pub") or missing("mosquitto_pub", "mosquitto-clients")
    topics = [
        f"courtyard/v1/{place}/gate/{place}-gate-{n}/telemetry" for place in PLACES for n in (1, 2)
    ]
    topics.append(f"courtyard/v1/{PLACES[0]}/gate/nobody/telemetry")
    stop = threading.Event()

    def publish(topic: str) -> None:
        rng = random.Random(f"{seed} {topic}")
        command = [tool, "-h", HOST, "-p", str(port), "-q", "1", "-t", topic, "-l"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as pub:
            assert pub.stdin is not None
            seq = 0
            while not stop.is_set():
                seq += rng.random() < 0.95  # else the same number again: a duplicate
                said = {"boot": 1, "seq": seq, "values": {"csq": seq % 30}}
                pub.stdin.write((json.dumps(said) if rng.random() < 0.97 else "{oops") + "\n")
                if seq % 20 == 0:
                    pub.stdin.flush()
                    stop.wait(0.05)

    threads = [threading.Thread(target=publish, args=(topic,)) for topic in topics]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def ask(system: System, token: str, query: dict[str, str]) -> Any:
    answer = system.get("/v1/accounting", token, **query)
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.long
def test_the_balance_is_0_whenever_it_is_asked_for_under_load_and_kills(system: System) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Mosquitto(system.directory) as broker:
        system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
        system.import_registry(a_registry(PLACES))
        ingest: Running = system.ingest()
        system.api()
        token = system.token("--role", "operator")
        wrong: list[tuple[int, dict[str, str], Any]] = []
        waited = 0
        with flowing(broker.port, seed):
            for n in range(ASKED):
                if n % KILL_EVERY == KILL_EVERY - 1:
                    ingest.end(signal.SIGKILL)
                    ingest = system.start("ingest")  # asked on while it is starting
                query = chance.choice(QUERIES)
                seen = ask(system, token, query)
                waited += seen["pending"] or 0
                if seen["balance"] != 0:
                    wrong.append((n, query, seen))
        assert wrong == []

        def at_rest() -> Any:
            seen = ask(system, token, {})
            return seen if seen["pending"] == 0 else None

        whole = eventually(at_rest, within_s=60, every_s=0.2)
        parts = [ask(system, token, {"compound": c}) for c in (*PLACES, "unassigned")]
        for name in ("received", "stored", "duplicate"):
            assert sum(part[name] for part in parts) == whole[name]
        # on a slow machine so much flows meanwhile that a device sends more than it may
        assert whole["quarantined"].keys() - {"rate_limited"} == {"not_json", "unknown_device"}
        assert whole["duplicate"] > 0
        assert waited > 0, "something was always waiting, or this proves little"
        print(f"{whole['received']} messages, {waited} seen waiting")
