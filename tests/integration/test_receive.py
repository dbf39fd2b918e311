"""receive over every broker and version that we name, with the fast client and with stock paho."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.receive import Protocol
from tests.brokers import SERVERS, Mosquitto, Nats
from tests.receive_contract import ReceiveContract

COMBINATIONS = [("mosquitto", "5"), ("mosquitto", "3.1.1"), ("nats", "3.1.1")]


@pytest.mark.parametrize(("broker", "mqtt"), COMBINATIONS, scope="class")
@pytest.mark.parametrize("batched", [True, False], ids=["batched", "plain"], scope="class")
class TestOverEveryBroker(ReceiveContract):
    @pytest.fixture
    def server(self, broker: str, mqtt: Protocol, tmp_path: Path) -> Iterator[Mosquitto | Nats]:
        server = SERVERS[broker](tmp_path)
        assert mqtt in server.speaks
        with server:
            yield server
