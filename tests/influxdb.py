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


@contextmanager
def server() -> Iterator[Access]:
    """A server that answers. Raises InfluxMissing where there is none."""
    url = os.environ.get("COURTYARD_TEST_INFLUXDB_URL")
    if url:
        prefix = "COURTYARD_TEST_INFLUXDB_"
        yield Access(url, *(os.environ[prefix + name] for name in ("TOKEN", "ORG", "BUCKET")))
        return
    influxd = shutil.which("influxd")
    if influxd is None or " v1." in _version(influxd):
        raise InfluxMissing(
            f"NOT TESTED on a real InfluxDB 2: {NAMES} are not set, and no influxd 2 is on PATH"
        )
    with started(influxd) as access:
        yield access


@contextmanager
def started(influxd: str) -> Iterator[Access]:
    """A private server, set up, in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="courtyard-influx-"))
    port = _free_port()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            influxd,
            f"--bolt-path={folder / 'bolt'}",
            f"--engine-path={folder / 'engine'}",
            f"--sqlite-path={folder / 'sqlite'}",
            f"--http-bind-address=127.0.0.1:{port}",
            "--reporting-disabled",
            "--log-level=error",
        ],
        stdout=log,
        stderr=log,
        cwd=folder,
    )
    log.close()
    try:
        access = Access(f"http://127.0.0.1:{port}", "test-token", "test-org", "test-bucket")
        _wait(access.url, process, folder / "log")
        _set_up(access)
        yield access
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        if process.poll() is None:
            process.kill()
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _version(influxd: str) -> str:
    return subprocess.run(
        [influxd, "version"], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
        except (URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"influxd did not start: {log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


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
