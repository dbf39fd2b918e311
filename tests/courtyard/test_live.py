"""`courtyard simulate` against a broker that is not there, or not there yet."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from courtyard.errors import DONE, FAILED
from tests.brokers import HOST, Mosquitto, free_port
from tests.eventually import eventually
from tests.mqtt_wire import PUBLISH, WireClient

END_S = 30.0


@contextmanager
def simulating(
    directory: Path, port: int, duration: str
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command on its own, and the file with what it says."""
    said = directory / "said"
    environ = {name: value for name, value in os.environ.items() if "COURTYARD" not in name}
    environ |= {
        "COURTYARD_BROKER_URL": f"mqtt://{HOST}:{port}",
        "COURTYARD_DATA_DIR": str(directory / "data"),
    }
    command = [sys.executable, "-m", "courtyard", "simulate", "--compounds", "2"]
    with said.open("w") as out:
        process = subprocess.Popen(
            [*command, "--duration", duration], env=environ, stdout=out, stderr=out, text=True
        )
        try:
            yield process, said
        finally:
            process.kill()
            process.wait(END_S)


def test_a_broker_that_never_comes_is_said_in_one_line_and_is_a_failure(tmp_path: Path) -> None:
    port = free_port()
    with simulating(tmp_path, port, "1s") as (process, said):
        assert process.wait(END_S) == FAILED
    text = said.read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("courtyard: ")]
    assert f"nothing was published in 1 s: no broker could be used at {HOST}:{port}" in line
    assert "refused" in line
    assert "COURTYARD_BROKER_URL" in line
    assert "Traceback" not in text


@pytest.mark.broker
def test_a_broker_that_comes_later_is_found_within_the_duration(tmp_path: Path) -> None:
    port = free_port()
    with simulating(tmp_path, port, "5m") as (process, said):
        eventually(lambda: "cannot connect" in said.read_text(), END_S)
        with Mosquitto(tmp_path, port), WireClient(port, "listener", clean=True) as listener:
            listener.sock.settimeout(END_S)
            listener.subscribe("courtyard/#")
            assert b"online" in listener.expect(PUBLISH).body
            process.send_signal(signal.SIGTERM)
            assert process.wait(END_S) == DONE
    (last,) = [line for line in said.read_text().splitlines() if "fleet_ends" in line]
    assert json.loads(last)["acknowledged"] > 0
