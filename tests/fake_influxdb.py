"""A small InfluxDB 2 for tests: the answers that were measured on 2.9.1, over real HTTP.

It speaks /health, /api/v2/write, /api/v2/delete, /api/v2/buckets and, at /query, exactly the
statements that `devices.store.telemetry.influxdb` sends; anything else is a 400, so a new statement
needs a new line here and a run against the real server. Its line-protocol parser is its own,
written from the documentation and checked against the server, not the inverse of our encoder.

It can be told how the next requests go wrong: `server.troubles.append(...)`, taken one a request.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN, ORG, BUCKET = "fake-token", "fake-org", "fake-bucket"

Scalar = float | int | bool | str


@dataclass(frozen=True)
class Trouble:
    """How one request goes wrong.

    status: answered instead of the truth, with these headers and this body. hang: no answer until
    the server ends. lose_reply: the request is carried out, then the connection is cut.
    path: only for requests whose path begins so.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    hang: bool = False
    lose_reply: bool = False
    path: str = "/"


@dataclass(frozen=True)
class Line:
    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, Scalar]
    at_ms: int


class BadLine(ValueError):
    """What the server answers with 400."""


class FakeInfluxDB:
    """What the server holds: series of {at_ms: fields}, and one type for each field."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, tuple[tuple[str, str], ...]], dict[int, dict[str, Scalar]]]
        self.series = {}
        self.types: dict[tuple[str, str], type] = {}
        self.troubles: list[Trouble] = []
        self.requests: list[str] = []  # method and path of each
        self.bodies: list[bytes] = []  # of each write
        self.retention_s = 0  # 0: for ever, as the server has it
        self.sees_bucket = True  # else the token may write and query, and no more
        self.max_bytes: int | None = None  # a larger write is answered with 413
        self.token = TOKEN
        self.port = 0
        self.over = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count_points(self) -> int:
        return sum(map(len, self.series.values()))

    def write(self, body: bytes) -> tuple[int, dict[str, str]]:
        with self._lock:
            self.bodies.append(body)
            if self.max_bytes is not None and len(body) > self.max_bytes:
                return 413, {"code": "request too large", "message": "body exceeds the limit"}
            try:
                lines = list(parse(body.decode()))
            except BadLine as error:
                return 400, {"code": "invalid", "message": f"unable to parse {error}"}
            dropped, why = 0, ""
            for line in lines:
                conflict = self._conflict(line)
                if conflict:
                    dropped, why = dropped + 1, conflict
                    continue
                for name, value in line.fields.items():
                    self.types[line.measurement, name] = type(value)
                times = self.series.setdefault((line.measurement, line.tags), {})
                times.setdefault(line.at_ms, {}).update(line.fields)
        if dropped:
            text = "failure writing points to database: partial write: field type conflict: "
            return 422, {
                "code": "unprocessable entity",
                "message": f"{text}{why} dropped={dropped}",
            }
        return 204, {}

    def _conflict(self, line: Line) -> str:
        for name, value in line.fields.items():
            known = self.types.get((line.measurement, name), type(value))
            if known is not type(value):
                return (
                    f'input field "{name}" on measurement "{line.measurement}" is type'
                    f" {_TYPES[type(value)]}, already exists as type {_TYPES[known]}"
                )
        return ""

    def bucket(self) -> dict[str, Any]:
        """As /api/v2/buckets shows it."""
        rule = {"type": "expire", "everySeconds": self.retention_s}
        return {
            "id": "b1",
            "name": BUCKET,
            "retentionRules": [{**rule, "shardGroupDurationSeconds": 604800}],
        }

    def delete(self, start_ms: int, stop_ms: int) -> None:
        with self._lock:
            for times in self.series.values():
                for at_ms in [at_ms for at_ms in times if start_ms <= at_ms <= stop_ms]:
                    del times[at_ms]

    def query(self, database: str, statement: str, values: dict[str, str]) -> dict[str, Any]:
        """The JSON of an answer; raises LookupError for a statement that is not one of ours."""
        if database != BUCKET:
            return {"error": f"database not found: {database}"}
        with self._lock:
            if statement == "SHOW MEASUREMENTS LIMIT 1":
                names = sorted({measurement for measurement, _ in self.series})[:1]
                return _table("measurements", ["name"], [[name] for name in names])
            match = _SELECT_ALL.fullmatch(statement)
            if match is not None:
                return self._points(match, values["device"])
            match = _SELECT.fullmatch(statement)
            if match is None:
                raise LookupError(f"failed to parse query: {statement}")
            rows = self._rows(match, values["device"])
            limit = int(match["limit"])
            measurement = _unquote(match["measurement"])
            if match["every"] is None:
                field_name = _unquote(match["raw"])
                return _table(measurement, ["time", field_name], rows[:limit])
            names = re.findall(r"(\w+)\(", match["columns"])
            every_ms, offset_ms = int(match["every"]) * 1000, int(match["offset"]) * 1000
            windows: dict[int, list[Scalar]] = {}
            for at_ms, value in rows:
                windows.setdefault(at_ms - (at_ms - offset_ms) % every_ms, []).append(value)
            if "min" in names and any(isinstance(v, bool | str) for _, v in rows):
                return {"error": "unsupported min iterator type: *query.stringInterruptIterator"}
            table = [
                [at_ms, *(_AGGREGATES[name](window) for name in names)]
                for at_ms, window in sorted(windows.items())
            ]
            return _table(measurement, ["time", *names], table[:limit])

    def _rows(self, match: "re.Match[str]", device: str) -> list[Any]:
        measurement = _unquote(match["measurement"])
        name = _unquote(match["raw"] or match["field"])
        from_ms, to_ms = int(match["from"]), int(match["to"])
        rows = [
            [at_ms, fields[name]]
            for (of, tags), times in self.series.items()
            if of == measurement and dict(tags)["device"] == device
            for at_ms, fields in times.items()
            if from_ms <= at_ms < to_ms and name in fields
        ]
        return sorted(rows, key=itemgetter(0), reverse=match["direction"] == "DESC")

    def _points(self, match: "re.Match[str]", device: str) -> dict[str, Any]:
        """A table for each compound, with a column for each field that any device ever had."""
        measurement = _unquote(match["measurement"])
        from_ms, to_ms = int(match["from"]), int(match["to"])
        names = sorted(name for of, name in self.types if of == measurement)
        tables = []
        for (of, tags), times in sorted(self.series.items(), key=itemgetter(0)):
            compound = {name: value for name, value in tags if name == "compound"}
            within = sorted(at_ms for at_ms in times if from_ms <= at_ms < to_ms)
            if of == measurement and dict(tags)["device"] == device and within:
                rows = [
                    [at_ms, *(_as_go_writes(times[at_ms].get(name)) for name in names)]
                    for at_ms in within[: int(match["limit"])]
                ]
                columns = ["time", *names]
                tables.append(
                    {"name": measurement, "tags": compound, "columns": columns, "values": rows}
                )
        return {"series": tables} if tables else {}


@contextmanager
def running() -> Iterator[FakeInfluxDB]:
    """A server on a free port of loopback."""
    fake = FakeInfluxDB()

    class Handler(_Handler):
        server_fake = fake

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        fake.over.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_fake: FakeInfluxDB
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    do_PATCH = do_POST  # noqa: N815 - the name is http.server's

    def _handle(self, body: bytes) -> None:
        fake = self.server_fake
        url = urlsplit(self.path)
        fake.requests.append(f"{self.command} {url.path}")
        trouble = None
        if fake.troubles and url.path.startswith(fake.troubles[0].path):
            trouble = fake.troubles.pop(0)
        if trouble is not None and trouble.hang:
            fake.over.wait(60)
            self.close_connection = True
            return
        if trouble is not None and trouble.status:
            answer = {"code": "trouble", "message": f"told to answer {trouble.status}"}
            self._answer(trouble.status, answer, trouble.headers, trouble.body)
            return
        status, answer = self._act(url.path, parse_qs(url.query), body)
        if trouble is not None and trouble.lose_reply:
            self.close_connection = True
            return
        self._answer(status, answer)

    def _act(
        self, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, dict[str, Any]]:
        fake = self.server_fake
        if path == "/health":
            return 200, {"name": "influxdb", "status": "pass", "version": "v2.9.1"}
        if self.headers.get("Authorization") != f"Token {fake.token}":
            return 401, {"code": "unauthorized", "message": "unauthorized access"}
        if path == "/query":
            try:
                result = fake.query(
                    query["db"][0], query["q"][0], json.loads(query.get("params", ["{}"])[0])
                )
            except LookupError as error:
                return 400, {"code": "invalid", "message": str(error)}
            return 200, {"results": [{"statement_id": 0, **result}]}
        if path == "/api/v2/buckets/b1" and self.command == "PATCH":
            (rule,) = json.loads(body)["retentionRules"]
            if rule.get("shardGroupDurationSeconds", 604800) > rule["everySeconds"]:
                text = "shard-group duration must also be updated to be smaller than new retention"
                return 422, {"code": "unprocessable entity", "message": text}
            fake.retention_s = rule["everySeconds"]
            return 200, fake.bucket()
        if query.get("org") != [ORG]:
            name = query.get("org", [""])[0]
            return 404, {"code": "not found", "message": f'organization name "{name}" not found'}
        if path == "/api/v2/buckets":
            known = fake.sees_bucket and query.get("name") == [BUCKET]
            return 200, {"buckets": [fake.bucket()] if known else []}
        if query.get("bucket") != [BUCKET]:
            name = query.get("bucket", [""])[0]
            return 404, {"code": "not found", "message": f'bucket "{name}" not found'}
        if path == "/api/v2/write":
            assert query["precision"] == ["ms"]
            return fake.write(body)
        if path == "/api/v2/delete":
            span = json.loads(body)
            fake.delete(_epoch_ms(span["start"]), _epoch_ms(span["stop"]))
            return 204, {}
        return 404, {"code": "not found", "message": "path not found"}

    def _answer(
        self,
        status: int,
        answer: dict[str, Any],
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        content = b"" if status == 204 else json.dumps(answer).encode() if body is None else body
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_TYPES = {float: "float", int: "integer", bool: "boolean", str: "string"}
_AGGREGATES: dict[str, Callable[[list[Any]], Scalar]] = {
    "last": lambda values: values[-1],
    "count": len,
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
}
_NAME = r'"(?:[^"\\]|\\.)*"'
_CALL = rf"\w+\({_NAME}::field\)"
_FROM = (
    rf" FROM (?P<measurement>{_NAME})"
    r' WHERE "device"::tag = \$device AND time >= (?P<from>-?\d+)ms AND time < (?P<to>-?\d+)ms'
)
_SELECT = re.compile(
    rf"SELECT (?:(?P<raw>{_NAME})::field"
    rf"|(?P<columns>last\((?P<field>{_NAME})::field\)(?:, {_CALL})+)){_FROM}"
    r"(?: GROUP BY time\((?P<every>\d+)s, (?P<offset>-?\d+)s\) fill\(none\))?"
    r" ORDER BY time (?P<direction>ASC|DESC) LIMIT (?P<limit>\d+)"
)
_SELECT_ALL = re.compile(
    rf"SELECT \*::field{_FROM}"
    r' GROUP BY "compound" ORDER BY time ASC LIMIT (?P<limit>\d+)'
)


def _unquote(name: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], name[1:-1])


def _table(name: str, columns: list[str], rows: list[list[Scalar]]) -> dict[str, Any]:
    if not rows:
        return {}
    values = [[_as_go_writes(value) for value in row] for row in rows]
    return {"series": [{"name": name, "columns": columns, "values": values}]}


def _as_go_writes(value: Scalar | None) -> Scalar | None:
    """Go's JSON has one kind of number: 5.0 is written as 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _epoch_ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    return round(at.timestamp() * 1000)


def parse(text: str) -> Iterator[Line]:
    """Lines of line protocol; raises BadLine for the first that is none."""
    for line in _split(text, "\n"):
        stripped = line.lstrip(" \t\0")
        if stripped and not stripped.startswith("#"):
            yield _parse_line(stripped)


def _parse_line(line: str) -> Line:
    parts = _split(line, " ")
    if len(parts) != 3:
        raise BadLine(f"'{line[:200]}': {'missing fields' if len(parts) < 2 else 'bad timestamp'}")
    key, pairs, stamp = parts
    measurement, *tag_pairs = _split(key, ",", quotes=False)
    if not measurement:
        raise BadLine(f"'{line[:200]}': missing measurement")
    tags = []
    for pair in tag_pairs:
        name, *value = _split(pair, "=", quotes=False)
        if len(value) != 1 or not name or not value[0]:
            raise BadLine(f"'{line[:200]}': missing tag value")
        tags.append((_plain(name), _plain(value[0])))
    fields = {}
    for pair in _split(pairs, ","):
        name, *values = _split(pair, "=")
        if len(values) != 1 or not name or not values[0]:
            raise BadLine(f"'{line[:200]}': missing field value")
        fields[_plain(name)] = _parse_value(values[0], line)
    if not re.fullmatch(r"-?\d+", stamp):
        raise BadLine(f"'{line[:200]}': bad timestamp")
    if abs(int(stamp)) > 9_223_372_036_854:
        raise BadLine(f"'{line[:200]}': time outside range")
    return Line(_plain(measurement), tuple(sorted(tags)), fields, int(stamp))


def _split(text: str, at: str, *, quotes: bool = True) -> list[str]:
    """Cut at a separator that is neither escaped nor (where quotes count) inside a string."""
    parts, begin, place, quoted = [], 0, 0, False
    while place < len(text):
        character = text[place]
        if character == "\\" and place + 1 < len(text):
            place += 2
            continue
        # a string begins only as a field's value
        if quotes and character == '"' and (quoted or text[place - 1 : place] == "="):
            quoted = not quoted
        elif character == at and not quoted:
            parts.append(text[begin:place])
            begin = place + 1
        place += 1
    return [*parts, text[begin:]]


def _plain(name: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", name)


def _parse_value(text: str, line: str) -> Scalar:
    if text[0] == '"':
        if len(text) < 2 or text[-1] != '"':
            raise BadLine(f"'{line[:200]}': unbalanced quotes")
        return re.sub(r'\\(["\\])', r"\1", text[1:-1], flags=re.DOTALL)
    if text in ("t", "T", "true", "True", "TRUE"):
        return True
    if text in ("f", "F", "false", "False", "FALSE"):
        return False
    if re.fullmatch(r"-?\d+i", text):
        return int(text[:-1])
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        return float(text)
    raise BadLine(f"'{line[:200]}': invalid number")
