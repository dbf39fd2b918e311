"""A real system for end-to-end tests: the command line's processes, a real broker, a database.

Which combination is taken from the environment, so that `make integration` runs the same tests over
all of them: COURTYARD_TEST_BROKER (mosquitto, embedded; nats, beside it), COURTYARD_TEST_MQTT
(5, 3.1.1), COURTYARD_TEST_DATABASE (sqlite, postgresql).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from courtyard.access import create_token
from courtyard.registry import import_registry
from courtyard.settings import load_settings
from tests.brokers import HOST, Nats, free_port, missing
from tests.eventually import eventually

BROKER = os.environ.get("COURTYARD_TEST_BROKER", "mosquitto")
MQTT = os.environ.get("COURTYARD_TEST_MQTT", "auto")
DATABASE = os.environ.get("COURTYARD_TEST_DATABASE", "sqlite")

READY_S = 60.0  # two cores, many tests: starting Python takes its time
COURTYARD = [sys.executable, "-m", "courtyard"]
ROOT = Path(__file__).parents[2]

FIRMS = ("yaxin", "zhengmei")
SHED_IMEI, LAMP_TOPIC = "860000000000017", "lamps_7"


def a_registry(compounds: Sequence[str] = ("lvyun-xiaoqu", "xiangyunli")) -> dict[str, Any]:
    """Two compounds of two firms, each with a device of every kind and format that is tested."""
    devices: list[dict[str, Any]] = []
    for n, place in enumerate(compounds):
        devices += [
            {"id": f"{place}-gate-1", "kind": "gate", "compound": place, "interval_s": 30},
            {"id": f"{place}-gate-2", "kind": "gate", "compound": place, "interval_s": 30},
            {
                "id": f"{place}-shed-1",
                "kind": "shed",
                "compound": place,
                "interval_s": 60,
                "attributes": {"ports": 10},
            },
            {
                "id": f"{place}-shed-2",
                "kind": "shed",
                "compound": place,
                "interval_s": 60,
                "protocol": "juy",
                "external_id": f"{SHED_IMEI[:-1]}{n}",
                "attributes": {"ports": 10},
            },
            {
                "id": f"{place}-lamp-1",
                "kind": "lamp",
                "compound": place,
                "interval_s": 900,
                "attributes": {"granularity": "lamp", "lamp_count": 1, "nominal_power_w": 50},
            },
            {
                "id": f"{place}-lamp-2",
                "kind": "lamp",
                "compound": place,
                "interval_s": 300,
                "protocol": "tasmota",
                "external_id": f"{LAMP_TOPIC}_{n}",
                "attributes": {"granularity": "circuit", "lamp_count": 8, "nominal_power_w": 12},
            },
        ]
    return {
        "firms": [{"id": firm, "name": {"zh": firm, "en": firm}} for firm in FIRMS],
        "compounds": [
            {
                "id": place,
                "name": {"zh": place, "en": place},
                "firm": FIRMS[n % len(FIRMS)],
                "households": 100,
            }
            for n, place in enumerate(compounds)
        ],
        "devices": devices,
    }


class Answer:
    """What the API said."""

    def __init__(self, status: int, body: bytes, headers: Message) -> None:
        self.status = status
        self.headers = headers
        self.text = body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Running:
    """One process of ours, its output collected line by line."""

    def __init__(self, argv: Sequence[str], environ: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*COURTYARD, *argv],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    def has_said(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def await_said(self, text: str, within_s: float = READY_S) -> None:
        def look() -> bool:
            if self.has_said(text):
                return True
            assert self.process.poll() is None, "\n".join(self.lines)
            return False

        eventually(look, within_s, f"{text!r} in:\n" + "\n".join(self.lines[-20:]))

    def end(self, how: signal.Signals = signal.SIGTERM, within_s: float = 20.0) -> int:
        """Sends the signal and gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"did not end within {within_s} s: {self.lines[-5:]}") from None
        self._reader.join(5)
        return code


class System:
    """Settings, and what runs with them; everything is ended when the test is over."""

    def __init__(self, directory: Path, database_url: str | None, stack: ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        self.api_port = free_port()
        self.metrics_port = free_port()
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")
        }
        self.environ |= {
            "COURTYARD_DATA_DIR": str(directory / "data"),
            "COURTYARD_API_PORT": str(self.api_port),
            "COURTYARD_METRICS_PORT": str(self.metrics_port),
            "COURTYARD_BROKER_MQTT": MQTT,
            "COURTYARD_LOG": "json",
        }
        if database_url is not None:
            self.environ["COURTYARD_DATABASE_URL"] = database_url
            assert self.run("db", "upgrade").returncode == 0
        if BROKER == "nats":
            server = stack.enter_context(Nats(directory))
            self.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{server.port}"

    def run(self, *argv: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return subprocess.run(
            [*COURTYARD, *argv],
            cwd=ROOT,
            env=self.environ | changes,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=READY_S,
        )

    def start(self, *argv: str, **changes: str) -> Running:
        running = Running(argv, self.environ | changes)
        self._stack.callback(self._end, running)
        return running

    def _end(self, running: Running) -> None:
        """Ended by force; what it said is shown beside a test that failed."""
        running.end(signal.SIGKILL)
        sys.stdout.write("\n".join(["", *running.lines, ""]))

    def import_registry(self, registry: dict[str, Any]) -> None:
        """What `courtyard registry import` does, without the start of a process, 2 s of CPU."""
        file = self.directory / "registry.json"
        file.write_text(json.dumps(registry))
        import_registry(load_settings(self.environ), str(file), 0.0, None)

    def token(self, *argv: str) -> str:
        """What `courtyard token create` does with these options; likewise."""
        given = dict(zip(argv[::2], argv[1::2], strict=True))
        settings = load_settings(self.environ)
        return create_token(settings, given.pop("--role"), given.pop("--firm", None), "e2e")

    def ingest(self, *argv: str, **changes: str) -> Running:
        """An ingest process that receives."""
        running = self.start("ingest", *argv, **changes)
        running.await_said("broker_connected")
        running.await_said("ingest_runs")
        return running

    def api(self, *argv: str) -> Running:
        running = self.start("api", *argv)
        running.await_said("api_listens")
        eventually(lambda: self.get("/livez").status == 200, READY_S)
        return running

    @property
    def broker_port(self) -> int:
        if url := self.environ.get("COURTYARD_BROKER_URL"):
            return int(url.rpartition(":")[2])
        running = json.loads((self.directory / "data" / "broker.json").read_text())
        return int(running["port"])

    def publish(self, topic: str, payload: bytes | str | dict[str, Any], *options: str) -> None:
        """One message with mosquitto_pub at QoS 1: returns when the broker has taken it."""
        tool = shutil.which("mosquitto_pub") or missing("mosquitto_pub", "mosquitto-clients")
        if isinstance(payload, dict):
            payload = json.dumps(payload)
        if isinstance(payload, str):
            payload = payload.encode()
        subprocess.run(
            [tool, "-h", HOST, "-p", str(self.broker_port), "-q", "1", "-t", topic, "-s", *options],
            input=payload,
            check=True,
            timeout=20,
        )

    def get(self, path: str, token: str | None = None, **parameters: object) -> Answer:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self._ask(Request(self._url(path) + query), token)

    def post(self, path: str, token: str | None = None, body: object = None) -> Answer:
        return self._send("POST", path, token, body)

    def put(self, path: str, token: str | None = None, body: object = None) -> Answer:
        return self._send("PUT", path, token, body)

    def _send(self, method: str, path: str, token: str | None, body: object) -> Answer:
        request = Request(self._url(path), json.dumps(body or {}).encode(), method=method)
        request.add_header("Content-Type", "application/json")
        return self._ask(request, token)

    def _url(self, path: str) -> str:
        return f"http://{HOST}:{self.api_port}{path}"

    def _ask(self, request: Request, token: str | None) -> Answer:
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urlopen(request, timeout=10) as answer:
                return Answer(answer.status, answer.read(), answer.headers)
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read(), error.headers)


@contextmanager
def a_system(directory: Path, database_url: str | None) -> Iterator[System]:
    with ExitStack() as stack:
        yield System(directory, database_url, stack)
