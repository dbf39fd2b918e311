"""The processes of one run: ours, with broker and stores beside them, in one directory.

Every process writes into a file of the directory, so a run that failed can be read afterwards.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

from chaos.district import Plan, registry
from courtyard.access import create_token
from courtyard.registry import import_registry
from courtyard.settings import Settings, load_settings
from courtyard.stores import open_telemetry, upgrade_operational
from devices.store import cursors
from devices.store.accounts import follower
from devices.store.database import open_database, reading
from devices.store.journal import JournalError, JournalReader
from devices.telemetry import TelemetryReader
from tests.brokers import HOST, free_port

ROOT = Path(__file__).parents[1]
START_S = 60.0
POLL_S = 0.05


class TookTooLong(Exception):
    """Something that had to happen did not, in its time."""


def await_(condition: Callable[[], bool], what: str, within_s: float) -> float:
    """Waits for `condition`; how long that took. An OSError of it counts as no."""
    started = time.monotonic()
    while True:
        with suppress(OSError):
            if condition():
                return time.monotonic() - started
        if time.monotonic() - started > within_s:
            raise TookTooLong(f"not within {within_s:g} s: {what}")
        time.sleep(POLL_S)


@dataclass
class Process:
    """One of ours. pids are our own child processes, ended one by one."""

    name: str
    process: "subprocess.Popen[bytes]"
    started_at: float
    was_ended: bool = False  # by us

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL. Raises RuntimeError for one that had ended by itself."""
        if not self.was_ended and not self.is_alive:
            raise RuntimeError(f"{self.name} ended by itself: {self.process.returncode}")
        self.was_ended = True
        if self.is_alive:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def signal(self, how: signal.Signals) -> None:
        self.process.send_signal(how)

    def end(self, within_s: float) -> float:
        """SIGTERM; how long it took to end. Raises TookTooLong, and kills it then."""
        started = time.monotonic()
        self.was_ended = True
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TookTooLong(f"{self.name} did not end within {within_s:g} s") from None
        return time.monotonic() - started

    def rss_mb(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Rig:
    """Settings and processes of one run. planted: the name of a planted bug, or ""."""

    directory: Path
    plan: Plan
    broker_port: int
    database_url: str = ""
    influxdb: dict[str, str] = field(default_factory=dict)
    planted: str = ""
    mqtt: str = "auto"
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api_port = free_port()
        self.metrics_port = free_port()
        self.data = self.directory / "data"
        self.acks = self.directory / "acks.bin"
        self.reference = self.directory / "reference"
        self.token = ""
        self._processes: list[Process] = []
        self._publishers: list[subprocess.Popen[bytes]] = []

    @property
    def environ(self) -> dict[str, str]:
        # Started as an installed one is: not compiled anew at each of a hundred starts.
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("COURTYARD_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        return {
            **mine,
            "COURTYARD_DATA_DIR": str(self.data),
            "COURTYARD_BROKER_URL": f"mqtt://{HOST}:{self.broker_port}",
            "COURTYARD_BROKER_MQTT": self.mqtt,
            "COURTYARD_API_PORT": str(self.api_port),
            "COURTYARD_METRICS_PORT": str(self.metrics_port),
            "COURTYARD_SECRET_KEY": "a key of the chaos tests only",
            "COURTYARD_LOG": "json",
            "PYTHONPATH": str(ROOT),
            **({"COURTYARD_DATABASE_URL": self.database_url} if self.database_url else {}),
            **self.influxdb,
            **self.more,
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.environ)

    # What is there before anything runs

    def prepare(self) -> None:
        """Plan, registry and token; the database as it then is serves the reference run too."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.plan.save(self.directory / "plan.json")
        file = self.directory / "registry.json"
        file.write_text(json.dumps(registry(self.plan), ensure_ascii=False))
        fresh = load_settings({"COURTYARD_DATA_DIR": str(self.reference)})
        import_registry(fresh, str(file), 0.0, None)
        if self.database_url:
            upgrade_operational(self.settings)
            import_registry(self.settings, str(file), 0.0, None)
        else:
            self.data.mkdir(mode=0o700)
            shutil.copy(self.reference / "courtyard.db", self.data / "courtyard.db")
        self.token = create_token(self.settings, "operator", None, "")

    # Processes

    def start(self, *argv: str, name: str = "", **changes: str) -> Process:
        """A process of ours, with the planted bug if there is one."""
        name = name or argv[0]
        module = ["chaos.planted", self.planted] if self.planted else ["courtyard"]
        if argv[0] != "ingest":
            module = ["courtyard"]
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module, *argv],
                cwd=ROOT,
                env=self.environ | changes,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = Process(name, process, time.monotonic())
        self._processes = [one for one in self._processes if not one.was_ended]
        self._processes.append(started)
        return started

    def ingest(self, parts: str = "") -> Process:
        """An ingest process; returns at once."""
        if not parts:
            return self.start("ingest")
        port = str(free_port())
        return self.start(
            "ingest", "--only", parts, name=f"ingest-{parts}", COURTYARD_METRICS_PORT=port
        )

    def await_connected(self, process: Process, within_s: float = START_S) -> None:
        """Until it is subscribed."""

        def look() -> bool:
            if not process.is_alive:
                raise RuntimeError(f"{process.name} ended; see {self.directory}")
            return self.metric("courtyard_broker_connected") == 1

        await_(look, f"{process.name} is subscribed", within_s)

    def api(self) -> Process:
        """The API; returns once it answers."""
        process = self.start("api")
        await_(lambda: self.get("/v1/accounting") is not None, "the API answers", START_S)
        return process

    def publish(self, segment: int = 0, port: int = 0, patience_s: float = 120.0) -> "Publishing":
        """Devices that publish a segment, in a process of their own; see `let` for a gate."""
        publishing = Publishing(self, segment, port or self.broker_port, patience_s)
        self._publishers.append(publishing.process)
        return publishing

    def let(self, upto: int, *, and_end: bool = False) -> None:
        """The publishers may send the messages below `upto`. and_end: and are done then."""
        path = self.directory / "gate"
        text = f"{upto} end" if and_end else str(upto)
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)

    def said(self, name: str, text: str) -> int:
        """How many lines of a process's log have `text` in them."""
        return (self.directory / f"{name}.log").read_text(errors="replace").count(text)

    def ended_by_themselves(self) -> list[str]:
        """Processes that nobody ended and that are gone."""
        return [
            f"{one.name} ended by itself with {one.process.returncode}"
            for one in self._processes
            if not one.was_ended and not one.is_alive
        ]

    def end(self) -> None:
        """Kill what still runs."""
        for one in self._processes:
            one.was_ended = True
            with suppress(ProcessLookupError):
                one.signal(signal.SIGCONT)
            one.kill()
        for publisher in self._publishers:
            if publisher.poll() is None:
                publisher.kill()
            publisher.wait(20)

    # What can be seen from outside

    def get(self, path: str) -> Any:
        """What the API answers; None while it does not."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.api_port}{path}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except (URLError, OSError, ValueError):
            return None

    def metric(self, name: str) -> float:
        """A figure of ingest's /metrics; -1 while there is none."""
        try:
            with urllib.request.urlopen(
                f"http://{HOST}:{self.metrics_port}/metrics", timeout=5
            ) as answer:
                text = answer.read().decode()
        except (URLError, OSError):
            return -1
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return -1

    def head(self) -> tuple[int, int]:
        """(record, message) that the journal has come to; (0, 0) while there is none."""
        try:
            with JournalReader(self.data / "journal.db") as journal:
                head = journal.head()
                return head.id, head.jseq
        except JournalError:
            return 0, 0

    def positions(self) -> tuple[int, int]:
        """The messages that judge and forward have come to."""
        engine = open_database(self.settings.database)
        try:
            with reading(engine) as connection:
                found = [cursors.load(connection, name) for name in ("judge", "forward")]
        finally:
            engine.dispose()
        judge, forward = (0 if at is None else at.jseq for at in found)
        return judge, forward

    def await_drained(self, within_s: float) -> float:
        """Until all that the broker had for us is judged and forwarded; how long it took.

        A probe that was sent from now on and has been judged proves that everything queued before
        it has arrived.
        """
        since_ms = int(time.time() * 1000)

        def look() -> bool:
            engine = open_database(self.settings.database)
            try:
                with reading(engine) as connection:
                    judge = follower(connection, "judge")
                    forward = follower(connection, "forward")
            finally:
                engine.dispose()
            return (
                judge is not None
                and forward is not None
                and (judge.watermark_ms or 0) >= since_ms
                and judge.jseq == forward.jseq == self.head()[1]
            )

        return await_(look, "all is judged and forwarded", within_s)

    @contextmanager
    def telemetry(self) -> Iterator[TelemetryReader]:
        store = open_telemetry(self.settings)
        try:
            yield store
        finally:
            store.close()


class Publishing:
    """Publishers at work."""

    def __init__(self, rig: Rig, segment: int, port: int, patience_s: float) -> None:
        self._log = rig.directory / f"publisher-{segment}.log"
        self._out = rig.directory / f"publisher-{segment}.json"
        with self._log.open("wb") as log, self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "chaos.publisher", "--plan",
                    str(rig.directory / "plan.json"), "--segment", str(segment),
                    "--port", str(port), "--acks", str(rig.acks), "--patience", str(patience_s),
                    "--gate", str(rig.directory / "gate"),
                ],
                cwd=ROOT,
                env=rig.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def finish(self, within_s: float) -> dict[str, Any]:
        """Wait until everything has its PUBACK; what it says. Raises TookTooLong, RuntimeError."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
            raise TookTooLong(f"the publishers did not end within {within_s:g} s") from None
        if code != 0:
            raise RuntimeError(f"the publishers failed: {self._log.read_text()[-500:]}")
        said: dict[str, Any] = json.loads(self._out.read_text())
        return said


def a_directory(parent: Path, name: str, seed: int) -> Path:
    """A new directory for one run; its name says what it was."""
    directory = parent / f"{name}-{seed}-{secrets.token_hex(3)}"
    directory.mkdir(parents=True)
    return directory
