"""The live fleet against a real broker, and what it does when that goes away."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest

from simulators.anomalies import NONE, Rates
from simulators.fleet import Fleet
from simulators.publisher import BadBrokerUrl, Broker, LiveFleet
from tests.brokers import SERVERS, Mosquitto
from tests.eventually import eventually
from tests.mqtt_wire import PUBACK, PUBLISH, WireClient, packet
from tests.simulators.fleets import a_district, at


class Listener:
    """Everything that the broker hands to a subscriber of `#`: (topic, payload, retained)."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._client = WireClient(port, f"listener-{id(self)}", clean=True)
        self._over = Event()
        self._client.subscribe("#")
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                got = self._client.receive()
            except (OSError, EOFError):
                return
            if got.type == PUBLISH:
                size = int.from_bytes(got.body[:2], "big")
                topic, rest = got.body[2 : 2 + size].decode(), got.body[2 + size :]
                if got.flags & 6:
                    self._client.send(packet(PUBACK, rest[:2]))
                    rest = rest[2:]
                self.heard.append((topic, rest, bool(got.flags & 1)))

    def statuses(self) -> list[tuple[str, str, bool]]:
        return [
            (topic.split("/")[4], msgspec.json.decode(payload)["state"], retained)
            for topic, payload, retained in list(self.heard)
            if topic.endswith("/status")
        ]

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._client.sock.shutdown(socket.SHUT_RDWR)  # closing alone does not wake the reader
        self._client.close()
        self._thread.join(5)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


class Scene:
    """A live fleet of a few compounds, on a clock that runs `fast` times as fast as ours."""

    def __init__(self, port: int, compounds: int, rates: Rates = NONE, fast: int = 8) -> None:
        start_ms, begun_s = at("2026-11-23T19:00"), time.monotonic()
        self.fleet = Fleet(a_district(compounds), 1, start_ms, rates)
        self.live = LiveFleet(
            f"mqtt://127.0.0.1:{port}",
            self.fleet,
            lambda: start_ms + round((time.monotonic() - begun_s) * 1000 * fast),
        )
        self.live.start()

    def connected(self) -> None:
        eventually(lambda: self.live.counters.connected == len(self.fleet.links), 15, "connected")

    def stop(self) -> None:
        self.live.stop()


@pytest.mark.broker
def test_every_connection_is_born_once_and_everything_arrives(broker: Mosquitto) -> None:
    listener = Listener(broker.port)
    scene = Scene(broker.port, 6)
    scene.connected()
    gates = {d.id for d in scene.fleet.registry.devices.values() if d.kind == "gate"}
    eventually(
        lambda: gates <= {t.split("/")[4] for t, _, _ in list(listener.heard)}, 60, "every gate"
    )
    scene.stop()
    counters = scene.live.counters
    assert counters.published == counters.acknowledged > len(gates)
    assert counters.dropped == counters.skipped == counters.cut == 0
    eventually(lambda: len(listener.heard) == counters.published, 5, "all that was sent")
    born = [device for device, state, _ in listener.statuses() if state == "online"]
    assert sorted(born) == sorted(scene.fleet.links)
    listener.close()


@pytest.mark.broker
def test_births_stay_in_the_broker(broker: Mosquitto) -> None:
    scene = Scene(broker.port, 3)
    scene.connected()
    eventually(lambda: scene.live.counters.acknowledged >= len(scene.fleet.links), 10, "births")
    late = Listener(broker.port)
    eventually(lambda: len(late.statuses()) == len(scene.fleet.links), 5, "retained births")
    assert {(state, retained) for _, state, retained in late.statuses()} == {("online", True)}
    scene.stop()
    late.close()


@pytest.mark.broker
def test_a_clean_stop_publishes_no_last_will(broker: Mosquitto) -> None:
    listener = Listener(broker.port)
    scene = Scene(broker.port, 6)
    scene.connected()
    scene.stop()
    scene = Scene(broker.port, 6, fast=1)
    eventually(lambda: scene.live.counters.connects >= 1, 10, "the first connection")
    scene.stop()  # while the others are still being made
    after = Listener(broker.port)  # its own births prove that the broker has dealt with the rest
    eventually(lambda: len(after.statuses()) >= len(scene.fleet.links), 5, "retained births")
    assert "offline" not in {state for _, state, _ in listener.statuses() + after.statuses()}
    assert scene.live.counters.connected == 0
    listener.close()
    after.close()


@pytest.mark.broker
@pytest.mark.long
def test_a_lost_connection_is_cut_and_its_last_will_delivered(broker: Mosquitto) -> None:
    listener = Listener(broker.port)
    rates = Rates({"gateway_lost": 60.0}, {"gateway_lost": 4.0}, 1.0)
    scene = Scene(broker.port, 4, rates, fast=30)
    scene.connected()

    def came_back() -> str | None:
        states: dict[str, list[str]] = {}
        for device, state, _ in listener.statuses():
            states.setdefault(device, []).append(state)
        return next(
            (d for d, s in states.items() if s[:3] == ["online", "offline", "online"]), None
        )

    gateway = eventually(came_back, 45, "a gateway that was lost and came back")
    assert gateway.endswith("-gateway")
    eventually(
        lambda: any(p.startswith(b"[") for _, p, _ in list(listener.heard)), 10, "what it had kept"
    )
    scene.stop()
    assert scene.live.counters.cut >= 1
    listener.close()


@pytest.mark.broker
@pytest.mark.long
def test_it_returns_when_the_broker_does_and_brings_what_it_kept(broker: Mosquitto) -> None:
    scene = Scene(broker.port, 4, fast=4)
    scene.connected()
    broker.kill()
    eventually(lambda: scene.live.counters.connected == 0, 10, "all connections lost")
    before = scene.live.counters.acknowledged
    broker.start()
    listener = Listener(broker.port)
    scene.connected()
    eventually(lambda: len(set(listener.statuses())) >= len(scene.fleet.links), 10, "births again")
    eventually(lambda: scene.live.counters.acknowledged > before + 20, 20, "messages again")
    scene.stop()
    counters = scene.live.counters
    assert counters.dropped == 0
    numbers: dict[str, set[int]] = {}
    for topic, payload, _ in listener.heard:
        numbers.setdefault(topic.split("/")[4], set()).add(msgspec.json.decode(payload)["seq"])
    assert len(numbers) >= 20
    for device, seen in numbers.items():
        assert seen == set(range(min(seen), max(seen) + 1)), f"{device} has lost a message"
    listener.close()


@pytest.mark.broker
def test_a_broker_that_speaks_only_mqtt_3_is_spoken_to_in_mqtt_3(tmp_path: Path) -> None:
    with SERVERS["nats"](tmp_path) as nats:
        scene = Scene(nats.port, 3)
        scene.connected()
        eventually(lambda: scene.live.counters.acknowledged >= 10, 20, "acknowledgements")
        scene.stop()
        assert scene.live.counters.published == scene.live.counters.acknowledged


def test_nobody_there_is_said_and_does_not_keep_it_from_stopping() -> None:
    scene = Scene(1, 2)
    eventually(lambda: scene.live.error or None, 10, "an error")
    scene.stop()
    assert "refused" in scene.live.error.lower()
    assert scene.live.counters.failed >= 1
    assert scene.live.wait(0)


def test_what_the_host_slept_through_was_never_sent(broker: Mosquitto) -> None:
    start_ms = at("2026-11-23T19:00")
    now = [start_ms]
    fleet = Fleet(a_district(2), 1, start_ms)
    live = LiveFleet(f"mqtt://127.0.0.1:{broker.port}", fleet, lambda: now[0])
    live.start()
    now[0] += 10_000
    eventually(lambda: live.counters.connected == len(fleet.links), 10, "connected")
    now[0] += 3_600_000  # the lid was closed for an hour
    eventually(lambda: live.counters.skipped > 100, 10, "skipped messages")
    live.stop()
    assert live.counters.published < 200


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://localhost", Broker("localhost", 1883, False, None, None)),
        (
            "mqtts://fleet:p%40ss@broker.example:8884",
            Broker("broker.example", 8884, True, "fleet", "p@ss"),
        ),
        ("mqtts://broker.example", Broker("broker.example", 8883, True, None, None)),
    ],
)
def test_an_address_is_read(url: str, broker: Broker) -> None:
    assert Broker.parse(url) == broker


@pytest.mark.parametrize(
    "url", ["localhost:1883", "http://u:secret@localhost", "mqtt://", "mqtt://h:x"]
)
def test_a_wrong_address_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(BadBrokerUrl) as refused:
        Broker.parse(url)
    assert "secret" not in str(refused.value)
