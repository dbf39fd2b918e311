"""receive over every broker and version that we name, with the fast client and with stock paho."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.receive import Protocol
from tests.brokers import SERVERS, Mosquitto, Nats
from tests.eventually import eventually
from tests.receive_contract import (
    QUICK,
    Edge,
    ReceiveContract,
    end_receiver,
    numbered,
    payloads_of,
    run_receiver,
    send,
)

COMBINATIONS = [("mosquitto", "5"), ("mosquitto", "3.1.1"), ("nats", "3.1.1")]


@pytest.mark.parametrize(("broker", "mqtt"), COMBINATIONS, scope="class")
@pytest.mark.parametrize("batched", [True, False], ids=["batched", "plain"], scope="class")
class TestOverEveryBroker(ReceiveContract):
    SENDS_AGAIN_BY_TIME = True  # nats-server, after its ack_wait

    @pytest.fixture
    def server(self, broker: str, mqtt: Protocol, tmp_path: Path) -> Iterator[Mosquitto | Nats]:
        server = SERVERS[broker](tmp_path)
        assert mqtt in server.speaks
        with server:
            yield server


def test_a_receiver_that_was_frozen_comes_back_by_itself(tmp_path: Path) -> None:
    # frozen for longer than keepalive and stall time: the broker gave it up meanwhile
    with Mosquitto(tmp_path) as server:
        edge = Edge(server.port, "5", batched=True)
        path = tmp_path / "journal.db"
        process = run_receiver(edge, path)
        try:
            process.send_signal(signal.SIGSTOP)
            send(server.port, numbered(3_000))
            time.sleep(max(QUICK.keepalive_s * 1.5, QUICK.stall_s) + 1)
            process.send_signal(signal.SIGCONT)
            eventually(lambda: set(numbered(3_000)) <= set(payloads_of(path)), 20)
            assert process.poll() is None
        finally:
            end_receiver(process)
