"""A real InfluxDB 2 for tests: the one that the environment names, or an `influxd` on PATH.

`COURTYARD_TEST_INFLUXDB_URL`, `_TOKEN`, `_ORG`, `_BUCKET` name a bucket that tests may write to and
delete from (points of the year 2001). Without them a private server is started in a temporary
folder on a free port, and ends with the session.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from tests.brokers import free_port

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
        port = free_port()
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

    def revive(self) -> None:
        """Start it again if it was killed."""
        if self._process.poll() is not None:
            self.start()

    def freeze(self) -> None:
        """From now on it accepts connections and never answers."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
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


@contextmanager
def bucket(access: Access) -> Iterator[Access]:
    """An empty bucket, gone afterwards. Raises InfluxMissing where the token may not make one."""
    name = f"courtyard-test-{secrets.token_hex(6)}"
    try:
        found = ask(access, "GET", f"/api/v2/orgs?{urlencode({'org': access.org})}")
        rules = {"orgID": found["orgs"][0]["id"], "name": name, "retentionRules": []}
        made = ask(access, "POST", "/api/v2/buckets", rules)
    except HTTPError as error:
        with error:
            raise InfluxMissing(
                f"NOT TESTED on a real InfluxDB 2: the token may not make a bucket ({error})"
            ) from None
    try:
        yield replace(access, bucket=name)
    finally:
        with suppress(OSError):  # the server may be gone already, and the bucket with it
            ask(access, "DELETE", f"/api/v2/buckets/{made['id']}")


def token_of_bucket(access: Access, actions: Sequence[str]) -> str:
    """A token that may do this ("read", "write") with the bucket, and nothing else."""
    found = ask(access, "GET", f"/api/v2/buckets?{urlencode({'name': access.bucket})}")
    (bucket,) = found["buckets"]
    org = bucket["orgID"]
    resource = {"type": "buckets", "id": bucket["id"], "orgID": org}
    permissions = [{"action": action, "resource": resource} for action in actions]
    body = {"orgID": org, "description": "courtyard-test", "permissions": permissions}
    return str(ask(access, "POST", "/api/v2/authorizations", body)["token"])


def select(access: Access, statement: str) -> list[dict[str, Any]]:
    """The series that an InfluxQL statement gives, times in milliseconds."""
    asked = urlencode({"db": access.bucket, "epoch": "ms", "q": statement})
    (result,) = ask(access, "GET", f"/query?{asked}")["results"]
    assert "error" not in result, result
    series: list[dict[str, Any]] = result.get("series", [])
    assert not result.get("partial"), result
    assert not any(one.get("partial") for one in series), statement
    return series


def ask(access: Access, method: str, path: str, body: object = None) -> Any:
    """One request of the server's API, with plain means: none of our code is in between."""
    request = urllib.request.Request(
        f"{access.url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Token {access.token}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def _version(influxd: str) -> str:
    return subprocess.run(
        [influxd, "version"], capture_output=True, text=True, check=True, timeout=30
    ).stdout


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
