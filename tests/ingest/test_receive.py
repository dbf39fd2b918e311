"""receive over mosquitto and MQTT 5; the other combinations are in tests/integration."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.receive import Protocol
from tests.brokers import Mosquitto
from tests.receive_contract import ReceiveContract


class TestOverMosquitto(ReceiveContract):
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Mosquitto]:
        with Mosquitto(tmp_path) as server:
            yield server

    @pytest.fixture
    def mqtt(self) -> Protocol:
        return "5"

    @pytest.fixture(params=[True, False], ids=["batched", "plain"])
    def batched(self, request: pytest.FixtureRequest) -> bool:
        wanted: bool = request.param
        return wanted
