"""A real InfluxDB 2 for tests: the one that the environment names, or an `influxd` on PATH.

`COURTYARD_TEST_INFLUXDB_URL`, `_TOKEN`, `_ORG`, `_BUCKET` name a bucket that tests may write to and
delete from (points of the year 2001). Without them a private server is started in a temporary
folder on a free port, and ends with the session.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

START_S = 60
NAMES = "COURTYARD_TEST_INFLUXDB_URL, _TOKEN, _ORG and _BUCKET"


class InfluxMissing(Exception):
    """There is no InfluxDB to test against."""


@dataclass(frozen=True)
class Access:
    url: str
    token: str
    org: str
    bucket: str


class Server:
    """A private server in a folder of its own, that a test may kill and start again."""

    def __init__(self, influxd: str, folder: Path) -> None:
        port = _free_port()
        self.access = Access(f"http://127.0.0.1:{port}", "test-token", "test-org", "test-bucket")
        self._log = folder / "log"
        self._command = [
            influxd,
            f"--bolt-path={folder / 'bolt'}",
            f"--engine-path={folder / 'engine'}",
            f"--sqlite-path={folder / 'sqlite'}",
            f"--http-bind-address=127.0.0.1:{port}",
            "--reporting-disabled",
            "--log-level=error",
        ]

    def start(self) -> None:
        """Returns once it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"{self.access.url}/health", timeout=5).close()
            except (URLError, OSError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no influxd: {self._log.read_text()}") from error
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(20)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        if self._process.poll() is None:
            self.kill()


@contextmanager
def server() -> Iterator[Access]:
    """A server that answers. Raises InfluxMissing where there is none."""
    url = os.environ.get("COURTYARD_TEST_INFLUXDB_URL")
    if url:
        prefix = "COURTYARD_TEST_INFLUXDB_"
        yield Access(url, *(os.environ[prefix + name] for name in ("TOKEN", "ORG", "BUCKET")))
        return
    with private_server() as private:
        yield private.access


@contextmanager
def private_server() -> Iterator[Server]:
    """A server of this test's own. Raises InfluxMissing where no influxd 2 is on PATH."""
    influxd = shutil.which("influxd")
    if influxd is None or " v1." in _version(influxd):
        raise InfluxMissing(
            f"NOT TESTED on a real InfluxDB 2: {NAMES} are not set, and no influxd 2 is on PATH"
        )
    folder = Path(tempfile.mkdtemp(prefix="courtyard-influx-"))
    private = Server(influxd, folder)
    try:
        private.start()
        try:
            _set_up(private.access)
            yield private
        finally:
            private.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version(influxd: str) -> str:
    return subprocess.run(
        [influxd, "version"], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _set_up(access: Access) -> None:
    body = {
        "username": "courtyard",
        "password": "courtyard-test",
        "org": access.org,
        "bucket": access.bucket,
        "token": access.token,
    }
    request = urllib.request.Request(
        f"{access.url}/api/v2/setup",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()
