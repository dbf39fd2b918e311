"""InfluxDB 2 (2.9) as the telemetry store; also 3, through its v2 write and InfluxQL endpoints.

Measurement = kind, tags `compound` and `device`, fields = quantities, precision ms. Writes are
line-protocol bytes through influxdb-client's synchronous API: its batching API drops data. Reads
are InfluxQL with bind parameters over GET /query (2 to 10 times faster than Flux); a failed
statement answers 200 there, with the error in the JSON.

What an answer means, as measured on 2.9.1: 204 everything is stored and can be queried; 422 the
good points are stored, the bad dropped (`dropped=N`); 400 a line cannot be parsed, nothing is
stored. Writing the same points again changes nothing.
"""

import json
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, cast

import msgspec
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.bucket import Bucket as InfluxBucket
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from devices.messages import Value
from devices.quantities import Type
from devices.store.failpoints import failpoint
from devices.store.telemetry.declared import declared_type
from devices.store.telemetry.limits import EARLIEST_MS, LATEST_MS, is_name
from devices.store.telemetry.line_protocol import LineEncoder
from devices.telemetry import (
    LOOK_BACK_MS,
    BadPoint,
    Bucket,
    Point,
    Sample,
    SeriesQuery,
    TelemetryAway,
    TelemetryError,
    TelemetryRefused,
    TooLarge,
)

READ_TIMEOUT_S = 3.0  # a series is there within 0.1 s, and a person waits for it
DAY_S = 86_400
SHOWN = 300  # characters of an answer that an error repeats: the server quotes whole lines

_DROPPED = re.compile(r"dropped=(\d+)")
_NUMBERS = (Type.FLOAT, Type.INT)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Any]]
    partial: bool = False


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""
    partial: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


class InfluxTelemetry:
    """Points in one bucket of an InfluxDB. Any thread may call; nothing is retried in here.

    timeout_s: for each request; read_timeout_s: for a series, where it is less. type_of: the
    declared type of a measurement's field, because InfluxDB gives 5.0 and 5 back as the same
    number.
    """

    def __init__(
        self,
        url: str,
        token: str,
        org: str,
        bucket: str,
        timeout_s: float = 10.0,
        type_of: Callable[[str, str], Type | None] = declared_type,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._where = f"InfluxDB at {url}, bucket {bucket}"
        self._org = org
        self._bucket = bucket
        self._type_of = type_of
        self._timeout_s = timeout_s
        self._read_timeout_s = min(read_timeout_s, timeout_s)
        self._client = InfluxDBClient(url, token, org=org, timeout=int(timeout_s * 1000))
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._encoder = LineEncoder()
        self._encoding = threading.Lock()

    def write(self, points: Sequence[Point]) -> None:
        """Send the points in one request. BadPoint before sending means that none was sent."""
        if not points:
            return
        with self._encoding:
            lines = self._encoder.encode(points)
        self._send(lines, len(points))

    def samples(self, query: SeriesQuery) -> list[Sample]:
        name = _quoted(query.quantity)
        rows = self._select(query, f"{name}::field", "ORDER BY time ASC")
        type_ = self._type_of(query.measurement, query.quantity)
        return [Sample(at_ms, _typed(type_, value)) for at_ms, value in rows]

    def buckets(self, query: SeriesQuery, every_s: int, offset_s: int = 0) -> list[Bucket]:
        field = f"{_quoted(query.quantity)}::field"
        type_ = self._type_of(query.measurement, query.quantity)
        columns = f"last({field}), count({field})"
        if type_ in _NUMBERS:
            columns += f", min({field}), mean({field}), max({field})"
        rows = self._select(
            query, columns, f"GROUP BY time({every_s}s, {offset_s}s) fill(none) ORDER BY time ASC"
        )
        buckets = []
        for at_ms, last, count, *numbers in rows:
            low, mean, high = map(float, numbers) if numbers else (None, None, None)
            buckets.append(Bucket(at_ms, low, mean, high, _typed(type_, last), int(count)))
        return buckets

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        found: dict[int, dict[str, Value]] = {}
        # A device that moved has a series in each of its compounds, perhaps with the same times, if
        # forward wrote a stretch again. The limit is one of each series, so that none of the first
        # `limit` times lacks a part. Which of two values of one field came later is not known.
        order = 'GROUP BY "compound" ORDER BY time ASC'
        for series in self._select_series(
            measurement, device, from_ms, to_ms, limit, "*::field", order
        ):
            fields = [(name, self._type_of(measurement, name)) for name in series.columns[1:]]
            for at_ms, *values in series.values:
                found.setdefault(at_ms, {}).update(
                    (name, _typed(type_, value))
                    for (name, type_), value in zip(fields, values, strict=True)
                    if value is not None  # a field of other points of the measurement
                )
        first = sorted(found)[:limit]
        return [Point(measurement, "", device, at_ms, found[at_ms]) for at_ms in first]

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        newest: dict[str, Sample] = {}
        # a request each, as InfluxDB 3 takes one statement in a request, and of several `last` in
        # one statement the times are lost
        for quantity in quantities:
            query = SeriesQuery(measurement, device, quantity, at_ms - LOOK_BACK_MS, at_ms, 1)
            rows = self._select(query, f"{_quoted(quantity)}::field", "ORDER BY time DESC")
            for last_ms, value in rows:
                newest[quantity] = Sample(
                    last_ms, _typed(self._type_of(measurement, quantity), value)
                )
        return newest

    def ready(self) -> bool:
        """True if token, organisation and bucket are good for writing and reading; else raises."""
        self._send(b"", 0)
        self._query("SHOW MEASUREMENTS LIMIT 1", {}, self._timeout_s)
        return True

    def delete_before(self, at_ms: int) -> None:
        newest = min(max(at_ms - 1, EARLIEST_MS), LATEST_MS)  # the server deletes the end as well
        try:
            self._client.delete_api().delete(
                _EPOCH + timedelta(milliseconds=EARLIEST_MS),
                _EPOCH + timedelta(milliseconds=newest),
                "",
                bucket=self._bucket,
                org=self._org,
            )
        except (ApiException, HTTPError, UnicodeDecodeError) as error:
            self._fail(error, "deleting")

    def retention_s(self) -> int | None:
        """For how long the bucket's rule keeps points; None: for ever.

        Raises TelemetryRefused where the token may not look at the bucket.
        """
        rules = self._find_bucket().retention_rules or []
        return min((rule.every_seconds for rule in rules if rule.every_seconds), default=None)

    def set_retention(self, seconds: int) -> None:
        """Give the bucket this rule: what is older goes for good, a shard group at a time.

        Raises TelemetryRefused where the token may not.
        """
        bucket = self._find_bucket()
        rule = BucketRetentionRules(  # type: ignore[no-untyped-call]
            "expire", seconds, _shard_group_s(seconds)
        )
        ruled = InfluxBucket(  # type: ignore[no-untyped-call]
            id=bucket.id, name=bucket.name, retention_rules=[rule]
        )
        try:
            self._client.buckets_api().update_bucket(ruled)
        except (ApiException, HTTPError, UnicodeDecodeError) as error:
            self._fail(error, "setting the retention of the bucket")

    def _find_bucket(self) -> InfluxBucket:
        try:
            found = self._client.buckets_api().find_buckets(  # type: ignore[no-untyped-call]
                name=self._bucket, org=self._org
            )
        except (ApiException, HTTPError, UnicodeDecodeError) as error:
            self._fail(error, "looking at the bucket")
        for bucket in found.buckets or ():
            if bucket.name == self._bucket:
                return cast(InfluxBucket, bucket)
        raise TelemetryRefused(
            f"{self._where}: looking at the bucket: it is not there for this token"
        )

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _send(self, lines: bytes, count: int) -> None:
        failpoint("F2", TelemetryAway)
        try:
            self._write_api.write(
                self._bucket,
                self._org,
                lines,
                WritePrecision.MS,  # type: ignore[arg-type]  # it is declared as its own class
            )
        except ApiException as error:
            if error.status in (400, 422):
                dropped = _DROPPED.search(_text(error))
                raise BadPoint(
                    f"{self._where}: {error.status} for {count} points: {_text(error)}",
                    int(dropped[1]) if dropped else None,
                ) from error
            self._fail(error, f"writing {count} points")
        except (HTTPError, UnicodeDecodeError) as error:
            self._fail(error, f"writing {count} points")
        failpoint("F3", TelemetryAway)

    def _select(self, query: SeriesQuery, columns: str, order: str) -> list[list[Any]]:
        """Rows [at_ms, column, …], at most the query's limit."""
        if not is_name(query.quantity):
            return []  # never written, and InfluxQL cannot spell all of them
        span = (query.from_ms, query.to_ms, query.limit)
        series = self._select_series(query.measurement, query.device, *span, columns, order)
        return [row for one in series for row in one.values]

    def _select_series(
        self,
        measurement: str,
        device: str,
        from_ms: int,
        to_ms: int,
        limit: int,
        columns: str,
        order: str,
    ) -> list[_Series]:
        """What a device wrote, at most `limit` rows of each series."""
        from_ms = max(from_ms, EARLIEST_MS)
        to_ms = min(to_ms, LATEST_MS + 1)
        if from_ms >= to_ms or limit < 1 or not is_name(measurement):
            return []
        # columns and order are ours, names are quoted, numbers are numbers, the value is bound
        return self._query(
            f"SELECT {columns} FROM {_quoted(measurement)}"  # noqa: S608
            f' WHERE "device"::tag = $device AND time >= {from_ms}ms AND time < {to_ms}ms'
            f" {order} LIMIT {limit}",
            {"device": device},
            self._read_timeout_s,
        )

    def _query(self, statement: str, values: dict[str, str], timeout_s: float) -> list[_Series]:
        """The series that a statement of ours gives."""
        try:
            answer = self._client.api_client.call_api(  # type: ignore[no-untyped-call]
                "/query",
                "GET",
                query_params=[
                    ("db", self._bucket),
                    ("epoch", "ms"),
                    ("q", statement),
                    ("params", json.dumps(values)),
                ],
                header_params={"Accept": "application/json"},  # the CSV form leaves errors out
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=int(timeout_s * 1000),
            )
            decoded = _decode(answer.data)
        except (ApiException, HTTPError) as error:
            self._fail(error, "reading")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TelemetryAway(f"{self._where}: reading: no answer of InfluxDB's") from error
        found: list[_Series] = []
        for result in decoded.results:
            if result.error:
                self._fail_statement(result.error)
            if result.partial or any(series.partial for series in result.series):
                raise TelemetryError(f"{self._where}: reading: only a part was answered")
            found += result.series
        if decoded.error:
            self._fail_statement(decoded.error)
        return found

    def _fail_statement(self, text: str) -> NoReturn:
        message = f"{self._where}: reading: {text[:SHOWN]}"
        if "not found" in text:  # the one way in which it answers for a bucket that is not there
            raise TelemetryRefused(message)
        raise TelemetryError(message)

    def _fail(self, error: ApiException | HTTPError | UnicodeDecodeError, doing: str) -> NoReturn:
        what = f"{self._where}: {doing}"
        if isinstance(
            error, UnicodeDecodeError
        ):  # the client decodes before it looks at the status
            raise TelemetryAway(f"{what}: no answer of InfluxDB's") from error
        if isinstance(error, HTTPError):
            raise TelemetryAway(f"{what}: {error!s:.{SHOWN}}") from error
        status = error.status or 0
        message = f"{what}: {status or ''} {_text(error)}"
        if status == 413:
            raise TooLarge(message) from error
        if status in (408, 429) or status >= 500:
            raise TelemetryAway(message, _retry_after_s(error)) from error
        if status == 0:  # TLS failed
            raise TelemetryAway(message) from error
        raise TelemetryRefused(message) from error


def _shard_group_s(retention_s: int) -> int:
    """What the server gives a new bucket with this rule; a longer one it refuses with 422."""
    if retention_s < 2 * DAY_S:
        return 3600
    return DAY_S if retention_s <= 180 * DAY_S else 7 * DAY_S


def _text(error: ApiException) -> str:
    """What the server said, from the body of its answer; cut in the middle, as N comes last."""
    body = error.body if error.body is not None else error.reason
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    with suppress(ValueError, KeyError, TypeError):  # a proxy's answer is no JSON
        text = str(json.loads(text)["message"])
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 60]} … {text[-57:]}"


def _retry_after_s(error: ApiException) -> float | None:
    """What Retry-After says, in seconds; None for a date or nonsense: the caller backs off."""
    value = "" if error.headers is None else error.headers.get("Retry-After", "")
    return float(value) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value) else None


def _quoted(name: str) -> str:
    """An InfluxQL identifier, of what `is_name`: no backslash or control character is in it."""
    escaped = name.replace('"', '\\"')
    return f'"{escaped}"'


def _typed(type_: Type | None, value: Value) -> Value:
    if isinstance(value, bool | str):
        return value
    return int(value) if type_ is Type.INT else float(value)
