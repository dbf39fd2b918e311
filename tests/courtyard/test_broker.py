"""The embedded broker as a child process, on both programs that it can be."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.publisher import Connection
from courtyard.broker import BrokerUnavailable, EmbeddedBroker, Name, RunningBroker
from tests.brokers import free_port, missing

pytestmark = pytest.mark.broker


@pytest.fixture(params=["mosquitto", "nats-server"])
def only(request: pytest.FixtureRequest, tmp_path: Path) -> Name:
    name: Name = request.param
    broker = EmbeddedBroker(tmp_path / "try", free_port(), only=name)
    try:
        broker.start()
    except BrokerUnavailable as unavailable:
        missing(name, str(unavailable))
    broker.stop()
    return name


@pytest.fixture
def restarts() -> "queue.Queue[RunningBroker]":
    return queue.Queue()


@pytest.fixture
def broker(
    only: Name, tmp_path: Path, restarts: "queue.Queue[RunningBroker]"
) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path, free_port(), only=only, restarted=restarts.put)
    yield broker
    broker.stop()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def speaks_mqtt(port: int) -> bool:
    Connection("127.0.0.1", port, "device", 1).close()
    return True


def test_a_started_broker_accepts_mqtt_and_says_where_it_is(
    broker: EmbeddedBroker, tmp_path: Path, only: Name
) -> None:
    running = broker.start()
    assert speaks_mqtt(running.port)
    assert json.loads((tmp_path / "broker.json").read_text()) == {
        "host": "127.0.0.1",
        "port": running.port,
        "name": only,
        "pid": running.pid,
    }


def test_it_listens_on_loopback_only(broker: EmbeddedBroker) -> None:
    running = broker.start()
    listening = [
        c.laddr.ip
        for c in psutil.Process(running.pid).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_starting_twice_gives_the_same_broker_and_stopping_twice_is_harmless(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    first = broker.start()
    assert broker.start() == first
    broker.stop()
    broker.stop()
    assert not is_running(first.pid)
    assert not (tmp_path / "broker.json").exists()
    assert broker.running is None


def test_a_stopped_broker_can_be_started_again(broker: EmbeddedBroker) -> None:
    broker.start()
    broker.stop()
    assert speaks_mqtt(broker.start().port)


def test_a_taken_port_is_left_to_its_owner(tmp_path: Path, only: Name) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        taken = owner.getsockname()[1]
        broker = EmbeddedBroker(tmp_path, taken, only=only)
        try:
            running = broker.start()
            assert running.port != taken
            assert speaks_mqtt(running.port)
        finally:
            broker.stop()


def test_a_broker_that_is_killed_comes_back_on_the_same_port(
    broker: EmbeddedBroker, restarts: "queue.Queue[RunningBroker]"
) -> None:
    first = broker.start()
    os.kill(first.pid, signal.SIGKILL)
    again = restarts.get(timeout=15)
    assert (again.port, again.pid != first.pid) == (first.port, True)
    assert speaks_mqtt(again.port)


def test_retained_messages_survive_a_stop(broker: EmbeddedBroker) -> None:
    device = Connection("127.0.0.1", broker.start().port, "device", 1)
    body = b"\x00\x01t" + b"\x00\x01" + b"old"
    device._sock.setblocking(True)
    device._sock.sendall(bytes((0x33, len(body))) + body)
    assert device._sock.recv(4) == b"\x40\x02\x00\x01"
    device.close()
    broker.stop()
    with socket.create_connection(("127.0.0.1", broker.start().port), 5) as reader:
        reader.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01r")
        reader.sendall(b"\x82\x06\x00\x01\x00\x01t\x00")
        seen = b""
        while b"old" not in seen:
            more = reader.recv(1000)
            assert more, "the broker closed the connection"
            seen += more


def test_it_ends_with_its_parent_however_that_dies(tmp_path: Path, only: Name) -> None:
    if sys.platform != "linux":
        pytest.skip("the kernel's watch over the parent is Linux's")
    code = (
        "import pathlib, sys, time\n"
        "from courtyard.broker import EmbeddedBroker\n"
        "broker = EmbeddedBroker(pathlib.Path(sys.argv[1]), int(sys.argv[2]), only=sys.argv[3])\n"
        "print(broker.start().pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(free_port()), only],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        assert os.getpgid(pid) != os.getpgid(parent.pid)  # so Ctrl-C does not reach it
        parent.kill()
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, "the broker outlived its parent"
        time.sleep(0.02)


def test_a_broker_that_cannot_start_says_why(tmp_path: Path, only: Name) -> None:
    (tmp_path / "broker").mkdir()
    # the place of its configuration is taken, so nothing can be written there
    (tmp_path / "broker" / f"{only}.conf").mkdir()
    with pytest.raises(BrokerUnavailable, match="cannot be started in"):
        EmbeddedBroker(tmp_path, free_port(), only=only).start()
