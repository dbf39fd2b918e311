"""In front of an InfluxDB, real or stand-in, and in its way.

    with an_influxdb() as influxdb:
        influxdb.front.answer(503)

`Front` relays HTTP to the server behind it. Told so, it answers writes itself, hangs, or carries a
write out and loses the reply. The server is `influxd` where one is on PATH, else the stand-in of
the test suite, which keeps points as the real one does.
"""

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from tests import fake_influxdb, influxdb
from tests.influxdb import InfluxMissing, Server

WRITE = "/api/v2/write"
TIMEOUT_S = 60.0
_PASSED_ON = ("Authorization", "Content-Type", "Content-Encoding", "Accept")


class Front:
    """Relays to `upstream`. written_at: when each write came in, on the monotonic clock."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.host, self.upstream_port = parts.hostname or "127.0.0.1", parts.port or 80
        self.written_at: list[float] = []
        self.spoilt = 0  # writes that did not get their answer
        self.largest_bytes: int | None = None  # a larger write is answered with 413
        self.status = 0
        self.times: int | None = None  # so often; None: always
        self.headers: Mapping[str, str] = {}
        self.message = ""
        self.hangs = False
        self.loses_reply = False
        self.over = threading.Event()
        self.released = threading.Event()
        front = self

        class Handler(_Handler):
            of = front

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def normal(self) -> None:
        """Relay everything, and let go of what hangs."""
        self.status = 0
        self.hangs = self.loses_reply = False
        self.largest_bytes = None
        self.released.set()

    def answer(
        self, status: int, message: str = "", *, times: int | None = None, **headers: str
    ) -> None:
        """Answer writes with this, and do not carry them out: the next `times`, or all."""
        self.status, self.message = status, message or f"told to answer {status}"
        self.times = times
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def next_status(self) -> int:
        """What the next write is answered with; 0: by the server."""
        status = self.status
        if status and self.times is not None:
            self.times -= 1
            if self.times == 0:
                self.status = 0
        return status

    def hang(self) -> None:
        """Take writes and never answer."""
        self.released.clear()
        self.hangs = True

    def lose_reply(self) -> None:
        """Carry writes out, then close the connection."""
        self.loses_reply = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.released.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    of: Front
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Nothing: it would go to the table."""

    def do_GET(self) -> None:
        self._relay(b"")

    def do_POST(self) -> None:
        self._relay(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _relay(self, body: bytes) -> None:
        front = self.of
        is_write = urlsplit(self.path).path == WRITE
        if is_write:
            front.written_at.append(time.monotonic())
            if front.hangs:
                front.spoilt += 1
                front.released.wait(TIMEOUT_S)
                self.close_connection = True
                return
            status = front.next_status()
            if front.largest_bytes is not None and len(body) > front.largest_bytes:
                status = 413
            if status:
                front.spoilt += 1
                text = b'{"code": "trouble", "message": "%b"}' % front.message.encode()
                self._answer(status, text, dict(front.headers))
                return
        loses_reply = is_write and front.loses_reply
        try:
            upstream = http.client.HTTPConnection(
                front.host, front.upstream_port, timeout=TIMEOUT_S
            )
            try:
                passed = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
                upstream.request(self.command, self.path, body or None, passed)
                answer = upstream.getresponse()
                content = answer.read()
            finally:
                upstream.close()
        except OSError:
            self.close_connection = True
            return
        if loses_reply:
            front.spoilt += 1
            self.close_connection = True
            return
        kept = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
        self._answer(answer.status, content, kept)

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        with suppress(OSError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if status != 204:
                self.wfile.write(content)


@dataclass(frozen=True)
class Influx:
    """A server with its front. server: None for the stand-in, which cannot be killed."""

    front: Front
    environ: dict[str, str]
    server: Server | None

    @property
    def name(self) -> str:
        return "stand-in" if self.server is None else "influxd"


@contextmanager
def an_influxdb() -> Iterator[Influx]:
    """An empty bucket behind a front."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(influxdb.private_server())
        except InfluxMissing:
            fake = stack.enter_context(fake_influxdb.running())
            url = fake.url
            access = (fake_influxdb.TOKEN, fake_influxdb.ORG, fake_influxdb.BUCKET)
            kept: Server | None = None
        else:
            url = server.access.url
            access = (server.access.token, server.access.org, server.access.bucket)
            kept = server
        front = stack.enter_context(Front(url))
        token, org, bucket = access
        yield Influx(
            front,
            {
                "COURTYARD_INFLUXDB_URL": front.url,
                "COURTYARD_INFLUXDB_TOKEN": token,
                "COURTYARD_INFLUXDB_ORG": org,
                "COURTYARD_INFLUXDB_BUCKET": bucket,
            },
            kept,
        )
