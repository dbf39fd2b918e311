"""What an answer of InfluxDB means to a caller, on the fake server; what the real one answers."""

import socket
import time
import uuid

import pytest

from courtyard.clock import now_ms
from devices.store.telemetry.influxdb import InfluxTelemetry
from devices.telemetry import (
    BadPoint,
    Point,
    Retry,
    Sample,
    SeriesQuery,
    TelemetryAway,
    TelemetryError,
    TelemetryRefused,
    TooLarge,
)
from tests import fake_influxdb, influxdb
from tests.fake_influxdb import BUCKET, ORG, TOKEN, FakeInfluxDB, Trouble

NOON = 1_795_399_200_000
POINTS = [Point("lamp", "yaxin", "l1", NOON + n, {"power_w": float(n)}) for n in range(3)]
QUERY = SeriesQuery("lamp", "l1", "power_w", NOON, NOON + 1000, 10)


def points_of(store: InfluxTelemetry) -> list[Point]:
    return store.points("lamp", "l1", NOON, NOON + 1000, 10)


def last_of(store: InfluxTelemetry) -> dict[str, Sample]:
    return store.last_before("lamp", "l1", NOON + 1000, ["power_w"])


class TestAnswersToAWrite:
    @pytest.mark.parametrize(
        ("trouble", "error", "retry", "retry_after_s"),
        [
            (Trouble(400), BadPoint, Retry.NEVER, None),
            (Trouble(401), TelemetryRefused, Retry.AFTER_REPAIR, None),
            (Trouble(403), TelemetryRefused, Retry.AFTER_REPAIR, None),
            (Trouble(404), TelemetryRefused, Retry.AFTER_REPAIR, None),
            (Trouble(405), TelemetryRefused, Retry.AFTER_REPAIR, None),
            (Trouble(302, {"Location": "/"}), TelemetryRefused, Retry.AFTER_REPAIR, None),
            (Trouble(413), TooLarge, Retry.NEVER, None),
            (Trouble(422), BadPoint, Retry.NEVER, None),
            (Trouble(429, {"Retry-After": "17"}), TelemetryAway, Retry.LATER, 17.0),
            (Trouble(429), TelemetryAway, Retry.LATER, None),
            (Trouble(500), TelemetryAway, Retry.LATER, None),
            (Trouble(502, {}, b"<html>bad gateway</html>"), TelemetryAway, Retry.LATER, None),
            (Trouble(503, {"Retry-After": "0.5"}), TelemetryAway, Retry.LATER, 0.5),
            (
                Trouble(503, {"Retry-After": "Fri, 27 Nov 2026 07:28:00 GMT"}),
                TelemetryAway,
                Retry.LATER,
                None,
            ),
            (Trouble(503, {"Retry-After": "-1"}), TelemetryAway, Retry.LATER, None),
            (Trouble(504, {}, b"{}"), TelemetryAway, Retry.LATER, None),
        ],
        ids=lambda value: str(value.status) if isinstance(value, Trouble) else "",
    )
    def test_each_status_says_what_to_do(
        self,
        on_fake_influxdb: InfluxTelemetry,
        fake_server: FakeInfluxDB,
        trouble: Trouble,
        error: type[TelemetryError],
        retry: Retry,
        retry_after_s: float | None,
    ) -> None:
        fake_server.troubles.append(trouble)
        with pytest.raises(TelemetryError, match=str(trouble.status)) as caught:
            on_fake_influxdb.write(POINTS)
        assert type(caught.value) is error
        assert caught.value.retry is retry
        if isinstance(caught.value, TelemetryAway):
            assert caught.value.retry_after_s == retry_after_s
        assert fake_server.requests == ["POST /api/v2/write"]  # tried once, not again in secret

        on_fake_influxdb.write(POINTS)  # and the client is as good as before
        assert fake_server.count_points() == 3

    def test_the_number_of_dropped_points_is_read_from_a_422(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        body = b'{"message": "' + b"x" * 70_000 + b' type conflict dropped=4217"}'
        fake_server.troubles.append(Trouble(422, body=body))
        with pytest.raises(BadPoint) as caught:
            on_fake_influxdb.write(POINTS)
        assert caught.value.dropped == 4217
        assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize("status", [200, 503])
    def test_an_answer_that_is_no_text_is_not_the_servers_own(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB, status: int
    ) -> None:
        for call in (
            lambda: on_fake_influxdb.write(POINTS),
            lambda: on_fake_influxdb.samples(QUERY),
            lambda: points_of(on_fake_influxdb),
            lambda: last_of(on_fake_influxdb),
            lambda: on_fake_influxdb.delete_before(NOON),
        ):
            fake_server.troubles.append(Trouble(status, {}, b"\xff\xfe"))
            with pytest.raises(TelemetryAway):
                call()

    def test_a_400_says_nothing_of_dropped_points(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        fake_server.troubles.append(Trouble(400))
        with pytest.raises(BadPoint) as caught:
            on_fake_influxdb.write(POINTS)
        assert caught.value.dropped is None

    def test_a_server_that_never_answers_costs_the_timeout(self, fake_server: FakeInfluxDB) -> None:
        store = InfluxTelemetry(fake_server.url, TOKEN, ORG, BUCKET, 0.2)
        fake_server.troubles += [Trouble(hang=True), Trouble(hang=True)]
        with pytest.raises(TelemetryAway):
            store.write(POINTS)
        with pytest.raises(TelemetryAway):
            store.samples(QUERY)
        store.write(POINTS)
        store.close()
        assert fake_server.count_points() == 3

    def test_a_read_has_less_time_than_a_write_and_not_more(
        self, fake_server: FakeInfluxDB
    ) -> None:
        patient = InfluxTelemetry(fake_server.url, TOKEN, ORG, BUCKET, 20.0, read_timeout_s=0.2)
        hasty = InfluxTelemetry(fake_server.url, TOKEN, ORG, BUCKET, 0.2, read_timeout_s=20.0)
        for store in (patient, hasty):
            fake_server.troubles.append(Trouble(hang=True))
            begun_s = time.monotonic()
            with pytest.raises(TelemetryAway):
                store.samples(QUERY)
            assert time.monotonic() - begun_s < 10
            store.close()

    def test_a_write_whose_reply_was_lost_can_be_sent_again_and_adds_nothing(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        fake_server.troubles.append(Trouble(lose_reply=True))
        with pytest.raises(TelemetryAway):
            on_fake_influxdb.write(POINTS)
        assert fake_server.count_points() == 3
        on_fake_influxdb.write(POINTS)
        assert fake_server.count_points() == 3
        assert fake_server.bodies[0] == fake_server.bodies[1]

    def test_a_server_that_is_not_there_is_away(self) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound, not listening
            port = nobody.getsockname()[1]
            store = InfluxTelemetry(f"http://127.0.0.1:{port}", TOKEN, ORG, BUCKET, 2.0)
            for call in (
                lambda: store.write(POINTS),
                lambda: store.samples(QUERY),
                lambda: store.buckets(QUERY, 60),
                lambda: points_of(store),
                lambda: last_of(store),
                lambda: store.delete_before(NOON),
                store.ready,
            ):
                with pytest.raises(TelemetryAway, match=f"127.0.0.1:{port}"):
                    call()
            store.close()

    def test_a_batch_that_is_too_large_goes_in_halves(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        fake_server.max_bytes = 100
        with pytest.raises(TooLarge):
            on_fake_influxdb.write(POINTS)
        assert fake_server.count_points() == 0
        for point in POINTS:
            on_fake_influxdb.write([point])
        assert fake_server.count_points() == 3

    def test_an_error_never_repeats_the_token(self, fake_server: FakeInfluxDB) -> None:
        store = InfluxTelemetry(fake_server.url, "a-secret-token", ORG, BUCKET, 2.0)
        for call in (
            lambda: store.write(POINTS),
            lambda: store.samples(QUERY),
            lambda: points_of(store),
            lambda: last_of(store),
            store.ready,
        ):
            with pytest.raises(TelemetryRefused) as caught:
                call()
            assert "secret" not in str(caught.value)
        store.close()

    def test_nothing_is_sent_for_a_point_that_cannot_be_stored(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        with pytest.raises(BadPoint):
            on_fake_influxdb.write([*POINTS, Point("lamp", "yaxin", "l1", NOON, {"f": 1e300})])
        assert fake_server.requests == []


class TestAnswersToAQuery:
    @pytest.mark.parametrize(
        ("trouble", "error"),
        [
            (Trouble(401), TelemetryRefused),
            (Trouble(404), TelemetryRefused),
            (Trouble(429, {"Retry-After": "3"}), TelemetryAway),
            (Trouble(503), TelemetryAway),
            (Trouble(lose_reply=True), TelemetryAway),
            (Trouble(200, {}, b"<html>a captive portal</html>"), TelemetryAway),
            (Trouble(200, {}, b'{"results":[{"error":"query interrupted"}]}'), TelemetryError),
            (Trouble(200, {}, b'{"error":"out of memory"}'), TelemetryError),
            (
                Trouble(200, {}, b'{"results":[{"error":"database not found: b"}]}'),
                TelemetryRefused,
            ),
            (
                Trouble(
                    200,
                    {},
                    b'{"results":[{"series":[{"name":"lamp","columns":["time","v"],'
                    b'"values":[[1,1]],"partial":true}]}]}',
                ),
                TelemetryError,
            ),
            (Trouble(200, {}, b'{"results":[{"partial":true}]}'), TelemetryError),
        ],
        ids=repr,
    )
    def test_a_failure_is_never_an_empty_series(
        self,
        on_fake_influxdb: InfluxTelemetry,
        fake_server: FakeInfluxDB,
        trouble: Trouble,
        error: type[TelemetryError],
    ) -> None:
        on_fake_influxdb.write(POINTS)
        for call in (
            lambda: on_fake_influxdb.samples(QUERY),
            lambda: on_fake_influxdb.buckets(QUERY, 60),
            lambda: points_of(on_fake_influxdb),
            lambda: last_of(on_fake_influxdb),
        ):
            fake_server.troubles.append(trouble)
            with pytest.raises(TelemetryError) as caught:
                call()
            assert type(caught.value) is error
        assert len(on_fake_influxdb.samples(QUERY)) == 3
        assert len(points_of(on_fake_influxdb)) == 3

    def test_a_page_of_points_is_one_request(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        on_fake_influxdb.write(POINTS)
        fake_server.requests.clear()
        assert [point.fields for point in points_of(on_fake_influxdb)] == [
            point.fields for point in POINTS
        ]
        assert fake_server.requests == ["GET /query"]

    def test_what_fails_half_way_is_no_answer(
        self, on_fake_influxdb: InfluxTelemetry, fake_server: FakeInfluxDB
    ) -> None:
        """Two quantities are two requests: the first alone would look like all that is known."""
        on_fake_influxdb.write([Point("lamp", "yaxin", "l1", NOON, {"power_w": 1.0, "note": "a"})])
        fake_server.troubles += [Trouble(path="/query"), Trouble(503, path="/query")]
        with pytest.raises(TelemetryAway):
            on_fake_influxdb.last_before("lamp", "l1", NOON + 1, ["power_w", "note"])


class TestReadiness:
    def test_a_wrong_token_organisation_or_bucket_is_told_before_anything_is_written(
        self, fake_server: FakeInfluxDB
    ) -> None:
        for token, org, bucket in (("no", ORG, BUCKET), (TOKEN, "no", BUCKET), (TOKEN, ORG, "no")):
            store = InfluxTelemetry(fake_server.url, token, org, bucket, 2.0)
            with pytest.raises(TelemetryRefused):
                store.ready()
            store.close()

    @pytest.mark.influxdb
    def test_so_it_is_on_the_real_server(self, influxdb_access: influxdb.Access) -> None:
        at = influxdb_access
        for token, org, bucket in (
            ("no", at.org, at.bucket),
            (at.token, "no", at.bucket),
            (at.token, at.org, "no"),
        ):
            store = InfluxTelemetry(at.url, token, org, bucket, 10.0)
            with pytest.raises(TelemetryRefused):
                store.ready()
            with pytest.raises(TelemetryRefused):
                store.write(POINTS)
            store.close()

    @pytest.mark.influxdb
    def test_a_bucket_that_is_gone_is_no_empty_series_on_the_real_server(
        self, influxdb_access: influxdb.Access
    ) -> None:
        at = influxdb_access
        store = InfluxTelemetry(at.url, at.token, at.org, "no-such-bucket", 10.0)
        for call in (
            lambda: store.samples(QUERY),
            lambda: points_of(store),
            lambda: last_of(store),
        ):
            with pytest.raises(TelemetryRefused):
                call()
        store.close()


@pytest.fixture(
    params=["on_fake_influxdb", pytest.param("real_influxdb", marks=pytest.mark.influxdb)]
)
def either(request: pytest.FixtureRequest) -> InfluxTelemetry:
    store: InfluxTelemetry = request.getfixturevalue(request.param)
    return store


DAY_S = 86_400


class TestRetention:
    @pytest.mark.parametrize("days", [4, 30, 400])
    def test_a_rule_is_set_and_read(self, on_fake_influxdb: InfluxTelemetry, days: int) -> None:
        assert on_fake_influxdb.retention_s() is None
        on_fake_influxdb.set_retention(days * DAY_S)
        assert on_fake_influxdb.retention_s() == days * DAY_S

    @pytest.mark.influxdb
    def test_so_it_is_on_the_real_server(self, influxdb_access: influxdb.Access) -> None:
        with influxdb.bucket(influxdb_access) as at:
            store = InfluxTelemetry(at.url, at.token, at.org, at.bucket, 10.0)
            assert store.retention_s() is None
            for days in (400, 30, 4, 400):  # also shorter than its shard groups were
                store.set_retention(days * DAY_S)
                assert store.retention_s() == days * DAY_S
            store.close()

    @pytest.mark.influxdb
    def test_what_is_older_than_the_rule_is_refused_by_the_real_server_and_the_rest_stored(
        self, influxdb_access: influxdb.Access
    ) -> None:
        with influxdb.bucket(influxdb_access) as at:
            store = InfluxTelemetry(at.url, at.token, at.org, at.bucket, 10.0)
            store.set_retention(4 * DAY_S)
            at_ms = now_ms()
            old = Point("lamp", "yaxin", "l1", at_ms - 5 * DAY_S * 1000, {"power_w": 1.0})
            new = Point("lamp", "yaxin", "l1", at_ms, {"power_w": 2.0})
            with pytest.raises(BadPoint, match="outside retention policy"):
                store.write([old, new])
            found = store.points("lamp", "l1", 0, at_ms + 1, 10)
            assert [point.fields for point in found] == [{"power_w": 2.0}]
            store.close()

    @pytest.mark.influxdb
    def test_a_token_of_the_bucket_alone_may_set_it_and_one_that_only_reads_may_not(
        self, influxdb_access: influxdb.Access
    ) -> None:
        with influxdb.bucket(influxdb_access) as at:

            def with_token(*actions: str) -> InfluxTelemetry:
                token = influxdb.token_of_bucket(at, actions)
                return InfluxTelemetry(at.url, token, at.org, at.bucket, 10.0)

            ours = with_token("read", "write")
            ours.set_retention(30 * DAY_S)
            assert ours.retention_s() == 30 * DAY_S
            reads = with_token("read")
            assert reads.retention_s() == 30 * DAY_S
            with pytest.raises(TelemetryRefused, match="setting the retention"):
                reads.set_retention(4 * DAY_S)
            writes = with_token("write")
            with pytest.raises(TelemetryRefused, match="not there for this token"):
                writes.retention_s()
            for store in (ours, reads, writes):
                store.close()

    def test_a_token_that_may_not_look_is_refused_and_a_server_that_is_away_is_away(
        self, fake_server: FakeInfluxDB, on_fake_influxdb: InfluxTelemetry
    ) -> None:
        fake_server.sees_bucket = False
        with pytest.raises(TelemetryRefused, match="not there for this token"):
            on_fake_influxdb.retention_s()
        fake_server.sees_bucket = True
        fake_server.troubles += [Trouble(503, path="/api/v2/buckets")]
        with pytest.raises(TelemetryAway):
            on_fake_influxdb.retention_s()


class TestTypeConflicts:
    """The fake and the real server alike."""

    def test_the_good_points_are_stored_and_the_bad_ones_counted(
        self, either: InfluxTelemetry
    ) -> None:
        measurement = f"m{uuid.uuid4().hex}"
        points = [Point(measurement, "yaxin", "d", n, {"power_w": float(n)}) for n in range(100)]
        either.write(points[:1])
        for n in (7, 50):
            points[n] = Point(measurement, "yaxin", "d", n, {"power_w": "much"})
        with pytest.raises(BadPoint, match="type conflict") as caught:
            either.write(points)
        assert caught.value.dropped == 2
        query = SeriesQuery(measurement, "d", "power_w", 0, 1000, 1000)
        assert [sample.at_ms for sample in either.samples(query)] == [
            n for n in range(100) if n not in (7, 50)
        ]

    @pytest.mark.parametrize("line", [b"no line at all", b"m,device=a v=", b"m,device= v=1 1"])
    def test_a_line_that_cannot_be_parsed_rejects_the_whole_batch(
        self, either: InfluxTelemetry, line: bytes
    ) -> None:
        measurement = f"m{uuid.uuid4().hex}"
        good = f"{measurement},compound=yaxin,device=d power_w=1.0 1".encode()
        with pytest.raises(BadPoint, match="unable to parse") as caught:
            either._send(good + b"\n" + line, 2)
        assert caught.value.dropped is None
        assert either.samples(SeriesQuery(measurement, "d", "power_w", 0, 10, 10)) == []


@pytest.mark.influxdb
def test_what_the_real_server_confirmed_is_there_after_it_was_killed(
    private_influxdb: influxdb.Server,
) -> None:
    at = private_influxdb.access
    store = InfluxTelemetry(at.url, at.token, at.org, at.bucket, 10.0)
    points = [
        Point("lamp", f"c{n % 225}", f"l{n}", NOON + n, {"power_w": float(n)}) for n in range(6768)
    ]
    store.write(points[:5000])
    private_influxdb.kill()
    with pytest.raises(TelemetryAway):
        store.write(points[5000:])
    for call in (
        lambda: store.samples(QUERY),
        lambda: points_of(store),
        lambda: last_of(store),
    ):
        with pytest.raises(TelemetryAway):
            call()
    private_influxdb.start()
    store.write(points[5000:])
    for n in (0, 4999, 5000, 6767):
        (sample,) = store.samples(SeriesQuery("lamp", f"l{n}", "power_w", NOON, NOON + 10_000, 10))
        assert (sample.at_ms, sample.value) == (NOON + n, float(n))
    store.close()


def test_the_fake_refuses_a_statement_that_it_was_not_taught() -> None:
    with fake_influxdb.running() as fake, pytest.raises(LookupError):
        fake.query(BUCKET, "SELECT * FROM lamp", {})
