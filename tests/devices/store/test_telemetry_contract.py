"""What every telemetry store promises: embedded, InfluxDB on a fake server, InfluxDB itself."""

import math
import threading
import uuid
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.messages import Value
from devices.store.telemetry import TelemetryStore
from devices.telemetry import (
    LOOK_BACK_MS,
    UNDATED,
    BadPoint,
    Bucket,
    Point,
    Sample,
    SeriesQuery,
)

NOON = 1_795_399_200_000  # 2026-11-23T02:00:00Z, a whole hour
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WITHIN_S = 30

any_fixture = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def device() -> str:
    """A device of this test's own: all tests share the real server."""
    return f"lamp-{uuid.uuid4().hex[:12]}"


def a_point(
    device: str,
    at_ms: int = NOON,
    fields: dict[str, Value] | None = None,
    /,
    *,
    measurement: str = "lamp",
    compound: str = "yaxin",
    **more: Value,
) -> Point:
    return Point(measurement, compound, device, at_ms, fields or more or {"power_w": 1.0})


def a_query(
    device: str,
    quantity: str = "power_w",
    from_ms: int = NOON - DAY_MS,
    to_ms: int = NOON + DAY_MS,
    limit: int = 10_000,
    measurement: str = "lamp",
) -> SeriesQuery:
    return SeriesQuery(measurement, device, quantity, from_ms, to_ms, limit)


def whole(
    store: TelemetryStore,
    device: str,
    from_ms: int = NOON - DAY_MS,
    to_ms: int = NOON + DAY_MS,
    limit: int = 10_000,
    measurement: str = "lamp",
) -> list[tuple[int, dict[str, Value]]]:
    """(at_ms, fields) of the points of a device."""
    points = store.points(measurement, device, from_ms, to_ms, limit)
    for point in points:
        assert (point.measurement, point.compound, point.device) == (measurement, "", device)
    return [(point.at_ms, point.fields) for point in points]


def readings(store: TelemetryStore, query: SeriesQuery) -> list[tuple[int, Value]]:
    return [(sample.at_ms, sample.value) for sample in store.samples(query)]


class TestReadingBack:
    def test_what_was_written_is_read_oldest_first(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [a_point(device, NOON + 2000, power_w=3.5), a_point(device, NOON, power_w=1.5)]
        )
        telemetry.write([a_point(device, NOON + 1000, power_w=2.5)])
        assert telemetry.samples(a_query(device)) == [
            Sample(NOON, 1.5),
            Sample(NOON + 1000, 2.5),
            Sample(NOON + 2000, 3.5),
        ]

    def test_a_range_holds_its_begin_and_not_its_end(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON + n, power_w=float(n)) for n in range(5)])
        query = a_query(device, from_ms=NOON + 1, to_ms=NOON + 3)
        assert readings(telemetry, query) == [(NOON + 1, 1.0), (NOON + 2, 2.0)]
        assert readings(telemetry, a_query(device, from_ms=NOON + 3, to_ms=NOON + 3)) == []

    def test_a_range_may_be_without_end(self, telemetry: TelemetryStore, device: str) -> None:
        telemetry.write([a_point(device)])
        query = a_query(device, from_ms=-(2**62), to_ms=2**62)
        assert readings(telemetry, query) == [(NOON, 1.0)]

    def test_a_limit_keeps_the_oldest(self, telemetry: TelemetryStore, device: str) -> None:
        telemetry.write([a_point(device, NOON + n * HOUR_MS) for n in range(-20, 20)])
        times = [at_ms for at_ms, _ in readings(telemetry, a_query(device, limit=3))]
        assert times == [NOON + n * HOUR_MS for n in (-20, -19, -18)]
        assert len(readings(telemetry, a_query(device, limit=25))) == 25
        assert readings(telemetry, a_query(device, limit=0)) == []

    @pytest.mark.parametrize(
        ("quantity", "value"),
        [
            ("power_w", 0.1),
            ("power_w", 5.0),
            ("power_w", -1e-7),
            ("power_w", 2.0**53),
            ("power_w", 0.0),
            ("ports_in_use", 7),
            ("ports_in_use", -(2**53)),
            ("door_open", True),
            ("door_open", False),
            ("port_status", "in_use"),
            ("note", ""),
            ("note", '“快充”, a=b \\ "x" \\" \n\t\r end\\'),
        ],
    )
    def test_a_value_keeps_its_type(
        self, telemetry: TelemetryStore, device: str, quantity: str, value: Value
    ) -> None:
        telemetry.write([a_point(device, NOON, {quantity: value})])
        ((_, read),) = readings(telemetry, a_query(device, quantity))
        assert read == value
        assert type(read) is type(value)

    def test_a_whole_number_written_as_a_float_does_not_disturb_its_series(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON, power_w=5), a_point(device, NOON + 1, power_w=5.5)])
        assert readings(telemetry, a_query(device)) == [(NOON, 5), (NOON + 1, 5.5)]

    def test_a_quantity_is_read_alone(self, telemetry: TelemetryStore, device: str) -> None:
        telemetry.write(
            [
                a_point(device, NOON, power_w=1.0, voltage_v=230.0),
                a_point(device, NOON + 1, voltage_v=231.0),
                a_point(device, NOON + 2, port_status="idle", power_w=2.0),
            ]
        )
        assert readings(telemetry, a_query(device)) == [(NOON, 1.0), (NOON + 2, 2.0)]
        assert readings(telemetry, a_query(device, "voltage_v")) == [
            (NOON, 230.0),
            (NOON + 1, 231.0),
        ]
        assert readings(telemetry, a_query(device, "energy_kwh")) == []

    def test_devices_and_measurements_are_kept_apart(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [
                a_point(device, power_w=1.0),
                a_point(device + "0", power_w=2.0),
                a_point(device, power_w=3.0, measurement="lamp_event"),
            ]
        )
        assert readings(telemetry, a_query(device)) == [(NOON, 1.0)]
        assert readings(telemetry, a_query(device + "0")) == [(NOON, 2.0)]
        assert readings(telemetry, a_query(device, measurement="lamp_event")) == [(NOON, 3.0)]

    def test_a_device_that_nobody_wrote_has_no_readings(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        assert telemetry.samples(a_query(device)) == []
        assert telemetry.buckets(a_query(device), 3600) == []
        telemetry.write([a_point(device + "x")])
        assert telemetry.samples(a_query(device)) == []

    def test_a_device_that_moved_to_another_compound_keeps_its_history(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON, power_w=1.0)])
        telemetry.write([a_point(device, NOON + 1, compound="zhengmei", power_w=2.0)])
        assert readings(telemetry, a_query(device)) == [(NOON, 1.0), (NOON + 1, 2.0)]

    def test_a_large_batch_over_many_devices_and_midnight_is_all_there(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        midnight = NOON // DAY_MS * DAY_MS + DAY_MS
        points = [
            a_point(f"{device}-{n % 50}", midnight + (n - 1000) * 100, power_w=float(n))
            for n in range(2000)
        ]
        telemetry.write(points)
        for which in (0, 49):
            query = a_query(f"{device}-{which}", to_ms=midnight + DAY_MS)
            assert readings(telemetry, query) == [
                (point.at_ms, point.fields["power_w"])
                for point in points
                if point.device == query.device
            ]

    def test_an_empty_batch_is_nothing(self, telemetry: TelemetryStore) -> None:
        telemetry.write([])

    def test_a_store_that_answers_is_ready(self, telemetry: TelemetryStore, device: str) -> None:
        assert telemetry.ready()
        telemetry.write([a_point(device)])
        assert telemetry.ready()

    def test_readers_do_not_wait_for_the_writer(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for n in range(40):
                    telemetry.write([a_point(device, NOON + n, power_w=float(n))])
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        seen = 0
        while seen < 40 and not failures:
            found = readings(telemetry, a_query(device))
            assert found == [(NOON + n, float(n)) for n in range(len(found))]
            assert len(found) >= seen
            seen = len(found)
        thread.join(WITHIN_S)
        assert failures == []


class TestWritingAgain:
    def test_the_same_points_twice_are_stored_once(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        points = [a_point(device, NOON + n, power_w=float(n)) for n in range(30)]
        for _ in range(3):
            telemetry.write(points)
        assert readings(telemetry, a_query(device)) == [(NOON + n, float(n)) for n in range(30)]

    def test_fields_of_the_same_time_are_united_and_the_last_one_wins(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, power_w=1.0, voltage_v=230.0)])
        telemetry.write([a_point(device, power_w=2.0, door_open=True)])
        assert readings(telemetry, a_query(device)) == [(NOON, 2.0)]
        assert readings(telemetry, a_query(device, "voltage_v")) == [(NOON, 230.0)]
        assert readings(telemetry, a_query(device, "door_open")) == [(NOON, True)]

    def test_within_a_batch_the_last_one_wins_too(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [
                a_point(device, power_w=1.0, voltage_v=230.0),
                a_point(device, power_w=2.0),
                a_point(device, power_w=3.0),
            ]
        )
        assert readings(telemetry, a_query(device)) == [(NOON, 3.0)]
        assert readings(telemetry, a_query(device, "voltage_v")) == [(NOON, 230.0)]

    def test_a_correction_wins_however_much_was_written_between(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, power_w=1.0)])
        for n in range(1, 12):
            telemetry.write([a_point(device, NOON + n, power_w=float(n))] * 3)
        telemetry.write([a_point(device, power_w=99.0)])
        for n in range(12, 24):
            telemetry.write([a_point(device, NOON + n, power_w=float(n))] * 3)
        assert readings(telemetry, a_query(device))[0] == (NOON, 99.0)


class TestBuckets:
    def test_a_window_has_least_mean_greatest_last_and_count(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        values = [4.0, 1.0, 2.5, 2.0]
        telemetry.write(
            [a_point(device, NOON + n * 60_000, power_w=value) for n, value in enumerate(values)]
        )
        assert telemetry.buckets(a_query(device), 3600) == [Bucket(NOON, 1.0, 2.375, 4.0, 2.0, 4)]

    def test_windows_begin_at_multiples_of_their_length_and_empty_ones_are_left_out(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        shifts_s = (-1, 0, 299, 300, 1500)
        telemetry.write([a_point(device, NOON + s * 1000, power_w=float(s)) for s in shifts_s])
        buckets = telemetry.buckets(a_query(device), 300)
        assert [(bucket.at_ms - NOON, bucket.count) for bucket in buckets] == [
            (-300_000, 1),
            (0, 2),
            (300_000, 1),
            (1_500_000, 1),
        ]

    def test_a_range_that_begins_inside_a_window_counts_only_what_is_in_it(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON + n * 60_000, power_w=float(n)) for n in range(120)])
        query = a_query(device, from_ms=NOON + 30 * 60_000, to_ms=NOON + 90 * 60_000)
        assert telemetry.buckets(query, 3600) == [
            Bucket(NOON, 30.0, 44.5, 59.0, 59.0, 30),
            Bucket(NOON + HOUR_MS, 60.0, 74.5, 89.0, 89.0, 30),
        ]

    def test_days_of_zhengzhou_begin_at_its_midnight(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        midnight = NOON // DAY_MS * DAY_MS - 8 * HOUR_MS
        telemetry.write(
            [
                a_point(device, midnight - 1, power_w=1.0),
                a_point(device, midnight, power_w=2.0),
                a_point(device, midnight + DAY_MS - 1, power_w=3.0),
                a_point(device, midnight + DAY_MS, power_w=4.0),
            ]
        )
        query = a_query(device, from_ms=midnight - DAY_MS, to_ms=midnight + 2 * DAY_MS)
        days = telemetry.buckets(query, 86_400, offset_s=-8 * 3600)
        assert [(day.at_ms, day.min, day.max) for day in days] == [
            (midnight - DAY_MS, 1.0, 1.0),
            (midnight, 2.0, 3.0),
            (midnight + DAY_MS, 4.0, 4.0),
        ]

    def test_the_last_whole_number_stays_one_and_its_mean_need_not(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [a_point(device, NOON, ports_in_use=3), a_point(device, NOON + 1, ports_in_use=4)]
        )
        (bucket,) = telemetry.buckets(a_query(device, "ports_in_use"), 3600)
        assert bucket == Bucket(NOON, 3.0, 3.5, 4.0, 4, 2)
        assert type(bucket.last) is int
        assert type(bucket.min) is float

    @pytest.mark.parametrize(
        ("quantity", "values"),
        [("door_open", (True, False)), ("port_status", ("idle", "in_use")), ("note", ("a", ""))],
    )
    def test_words_and_flags_have_a_last_and_a_count_only(
        self,
        telemetry: TelemetryStore,
        device: str,
        quantity: str,
        values: tuple[Value, Value],
    ) -> None:
        telemetry.write(
            [a_point(device, NOON + n, {quantity: value}) for n, value in enumerate(values)]
        )
        (bucket,) = telemetry.buckets(a_query(device, quantity), 3600)
        assert bucket == Bucket(NOON, None, None, None, values[1], 2)
        assert type(bucket.last) is type(values[1])

    def test_a_point_corrected_is_counted_once(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, power_w=1.0)])
        telemetry.write([a_point(device, power_w=5.0)])
        assert telemetry.buckets(a_query(device), 60) == [Bucket(NOON, 5.0, 5.0, 5.0, 5.0, 1)]

    def test_a_limit_keeps_the_oldest_windows(self, telemetry: TelemetryStore, device: str) -> None:
        telemetry.write([a_point(device, NOON + n * 1000, power_w=float(n)) for n in range(100)])
        buckets = telemetry.buckets(a_query(device, limit=2), 10)
        assert [(bucket.at_ms, bucket.count) for bucket in buckets] == [
            (NOON, 10),
            (NOON + 10_000, 10),
        ]

    @any_fixture
    @given(
        readings=st.dictionaries(
            st.integers(-300, 300), st.floats(-1e6, 1e6), min_size=1, max_size=20
        ),
        every_s=st.integers(1, 200),
        offset_s=st.integers(-200, 200),
    )
    def test_every_window_agrees_with_the_readings_in_it(
        self,
        telemetry: TelemetryStore,
        readings: dict[int, float],
        every_s: int,
        offset_s: int,
    ) -> None:
        device = f"lamp-{uuid.uuid4().hex[:12]}"
        telemetry.write(
            [a_point(device, NOON + s * 1000, power_w=value) for s, value in readings.items()]
        )
        windows: dict[int, list[float]] = {}
        for s in sorted(readings):
            at_s = NOON // 1000 + s
            begin_s = (at_s - offset_s) // every_s * every_s + offset_s
            windows.setdefault(begin_s * 1000, []).append(readings[s])
        buckets = telemetry.buckets(a_query(device), every_s, offset_s=offset_s)
        assert [bucket.at_ms for bucket in buckets] == sorted(windows)
        for bucket in buckets:
            inside = windows[bucket.at_ms]
            assert (bucket.min, bucket.max) == (min(inside), max(inside))
            assert (bucket.last, bucket.count) == (inside[-1], len(inside))
            assert bucket.mean is not None
            assert math.isclose(
                bucket.mean, math.fsum(inside) / len(inside), rel_tol=1e-9, abs_tol=1e-6
            )


VALUES: dict[str, Value] = {
    "power_w": 5.0,
    "voltage_v": 0.1,
    "energy_kwh": 2.0**53,
    "ports_in_use": -7,
    "door_open": False,
    "port_status": "in_use",
    "note": '“快充”, a=b \\ "x" \n',
}


class TestWholePoints:
    def test_a_point_comes_back_with_all_of_its_fields_and_their_types(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON, VALUES)])
        ((at_ms, fields),) = whole(telemetry, device)
        assert at_ms == NOON
        assert fields == VALUES
        assert {name: type(value) for name, value in fields.items()} == {
            name: type(value) for name, value in VALUES.items()
        }

    def test_an_event_comes_back_as_it_was(self, telemetry: TelemetryStore, device: str) -> None:
        fields: dict[str, Value] = {
            "type": "access",
            "result": "granted",
            "method": "card",
            "door_no": 2,
            "realtime": True,
            "credential_hash": "12",
            "event_id": "8f",
        }
        exit_button: dict[str, Value] = {"type": "exit_button", "pressed": True, UNDATED: True}
        telemetry.write(
            [
                a_point(device, NOON, fields, measurement="gate_event"),
                a_point(device, NOON + 1, exit_button, measurement="gate_event"),
                a_point(device, NOON, measurement="gate"),
            ]
        )
        found = whole(telemetry, device, measurement="gate_event")
        assert found == [(NOON, fields), (NOON + 1, exit_button)]
        assert type(found[0][1]["door_no"]) is int
        assert found[1][1][UNDATED] is True

    def test_a_point_has_only_the_fields_that_were_written_for_it(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [
                a_point(device, NOON, power_w=1.0, voltage_v=230.0),
                a_point(device, NOON + 1, door_open=True),
                a_point(device + "x", NOON + 2, energy_kwh=3.0),
            ]
        )
        assert whole(telemetry, device) == [
            (NOON, {"power_w": 1.0, "voltage_v": 230.0}),
            (NOON + 1, {"door_open": True}),
        ]

    def test_points_written_in_any_order_and_repeated_come_once_and_oldest_first(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        points = [a_point(device, NOON + n * HOUR_MS, power_w=float(n)) for n in range(-14, 14)]
        for point in (*points[::2], *reversed(points), *points[:3]):
            telemetry.write([point])
        assert whole(telemetry, device) == [(point.at_ms, point.fields) for point in points]

    def test_the_last_write_of_each_field_of_a_time_wins(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, power_w=1.0, voltage_v=230.0, note="a")])
        for n in range(1, 12):
            telemetry.write([a_point(device, NOON + n, power_w=float(n))] * 3)
        telemetry.write(
            [a_point(device, note="b", power_w=2.0), a_point(device, door_open=True, power_w=3.0)]
        )
        assert whole(telemetry, device)[0] == (
            NOON,
            {"power_w": 3.0, "voltage_v": 230.0, "note": "b", "door_open": True},
        )

    def test_a_range_holds_its_begin_and_not_its_end(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON + n, power_w=float(n)) for n in range(5)])
        found = whole(telemetry, device, NOON + 1, NOON + 3)
        assert found == [(NOON + 1, {"power_w": 1.0}), (NOON + 2, {"power_w": 2.0})]
        assert len(whole(telemetry, device, -(2**62), 2**62)) == 5

    @pytest.mark.parametrize(
        ("from_ms", "to_ms"), [(NOON, NOON), (NOON + 1, NOON - 1), (2**62, -(2**62))]
    )
    def test_an_empty_range_has_no_points(
        self, telemetry: TelemetryStore, device: str, from_ms: int, to_ms: int
    ) -> None:
        telemetry.write([a_point(device)])
        assert whole(telemetry, device, from_ms, to_ms) == []

    def test_who_nobody_wrote_of_has_no_points(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        assert whole(telemetry, device, measurement=f"never-{device}") == []
        telemetry.write([a_point(device)])
        assert whole(telemetry, device + "x") == []
        assert whole(telemetry, device, measurement="lamp_event") == []

    @pytest.mark.parametrize("limit", [1, 2, 7, 39, 40, 41])
    def test_pages_give_all_points_once(
        self, telemetry: TelemetryStore, device: str, limit: int
    ) -> None:
        midnight = NOON // DAY_MS * DAY_MS + DAY_MS
        points = [a_point(device, midnight + n, VALUES) for n in range(-20, 20)]
        for start in range(0, 40, 5):
            telemetry.write(points[start : start + 5])
        found: list[int] = []
        from_ms = midnight - 20
        while True:
            page = whole(telemetry, device, from_ms, midnight + DAY_MS, limit)
            assert all(fields == VALUES for _, fields in page)
            assert len(page) <= limit
            found += [at_ms for at_ms, _ in page]
            if len(page) < limit:
                break
            from_ms = found[-1] + 1
        assert found == [point.at_ms for point in points]

    @pytest.mark.parametrize("limit", [0, -1])
    def test_no_points_are_wanted(self, telemetry: TelemetryStore, device: str, limit: int) -> None:
        telemetry.write([a_point(device)])
        assert whole(telemetry, device, limit=limit) == []

    def test_a_device_that_moved_has_each_time_once_and_whole_on_every_page(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        """Forward may write a stretch again, under the compound that the device has by then."""
        old = [a_point(device, NOON + n, power_w=float(n), note="a") for n in range(10)]
        telemetry.write(old)
        telemetry.write(
            [
                a_point(device, NOON + n, compound="zhengmei", power_w=float(n), door_open=True)
                for n in range(3, 13)
            ]
        )
        either: dict[int, dict[str, Value]] = {}
        for n in range(13):
            told: dict[str, Value] = {"note": "a"} if n < 10 else {}
            moved: dict[str, Value] = {"door_open": True} if n >= 3 else {}
            either[NOON + n] = {"power_w": float(n), **told, **moved}
        assert whole(telemetry, device) == list(either.items())
        for limit in (1, 3, 4, 5, 11, 13):
            for first in range(13):
                expected = list(either.items())[first : first + limit]
                assert whole(telemetry, device, NOON + first, limit=limit) == expected

    @any_fixture
    @given(
        writes=st.lists(
            st.lists(
                st.tuples(
                    st.integers(-6, 6),
                    st.dictionaries(
                        st.sampled_from(["power_w", "voltage_v", "energy_kwh"]),
                        st.floats(-1e6, 1e6),
                        min_size=1,
                    ),
                ),
                min_size=1,
                max_size=6,
            ),
            max_size=6,
        ),
        limit=st.integers(1, 14),
        begins=st.integers(-7, 7),
    )
    def test_points_agree_with_the_samples_of_each_quantity(
        self,
        telemetry: TelemetryStore,
        writes: list[list[tuple[int, dict[str, float]]]],
        limit: int,
        begins: int,
    ) -> None:
        device = f"lamp-{uuid.uuid4().hex[:12]}"
        for batch in writes:
            telemetry.write([a_point(device, NOON + n * HOUR_MS, {**f}) for n, f in batch])
        from_ms = NOON + begins * HOUR_MS
        expected: dict[int, dict[str, Value]] = {}
        for quantity in ("power_w", "voltage_v", "energy_kwh"):
            for at_ms, value in readings(telemetry, a_query(device, quantity, from_ms)):
                expected.setdefault(at_ms, {})[quantity] = value
        assert whole(telemetry, device, from_ms, limit=limit) == sorted(expected.items())[:limit]


class TestLastBefore:
    def test_each_quantity_has_its_own_newest_sample(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [
                a_point(device, NOON - 3 * HOUR_MS, port_status="in_use", power_w=1.0),
                a_point(device, NOON - 2, ports_in_use=3, power_w=2.0),
                a_point(device, NOON - 1, power_w=3.0),
                a_point(device, NOON, power_w=4.0, door_open=True, port_status="idle"),
            ]
        )
        wanted = ["power_w", "port_status", "ports_in_use", "door_open", "energy_kwh"]
        found = telemetry.last_before("lamp", device, NOON, wanted)
        assert found == {
            "power_w": Sample(NOON - 1, 3.0),
            "port_status": Sample(NOON - 3 * HOUR_MS, "in_use"),
            "ports_in_use": Sample(NOON - 2, 3),
        }
        assert type(found["ports_in_use"].value) is int
        later = telemetry.last_before("lamp", device, NOON + 1, ["door_open", "power_w"])
        assert later == {"door_open": Sample(NOON, True), "power_w": Sample(NOON, 4.0)}

    def test_it_looks_back_seven_days_and_no_further(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write(
            [
                a_point(device, NOON - LOOK_BACK_MS, power_w=1.0, energy_kwh=1.0),
                a_point(device, NOON - LOOK_BACK_MS - 1, voltage_v=1.0),
                a_point(device, NOON - 3 * DAY_MS, power_w=2.0),
            ]
        )
        assert telemetry.last_before(
            "lamp", device, NOON, ["power_w", "energy_kwh", "voltage_v"]
        ) == {
            "power_w": Sample(NOON - 3 * DAY_MS, 2.0),
            "energy_kwh": Sample(NOON - LOOK_BACK_MS, 1.0),
        }
        assert telemetry.last_before("lamp", device, NOON + 1, ["energy_kwh"]) == {}

    def test_the_newest_is_by_event_time_and_its_last_write_wins(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.write([a_point(device, NOON - 1, power_w=1.0)])
        for n in range(2, 12):
            telemetry.write([a_point(device, NOON - n, power_w=float(n))] * 2)
        assert telemetry.last_before("lamp", device, NOON, ["power_w"]) == {
            "power_w": Sample(NOON - 1, 1.0)
        }
        telemetry.write([a_point(device, NOON - 1, power_w=99.0)])
        telemetry.write([a_point(device, NOON - 5, power_w=5.5)])
        assert telemetry.last_before("lamp", device, NOON, ["power_w"]) == {
            "power_w": Sample(NOON - 1, 99.0)
        }

    def test_nothing_is_known_of_whom_nobody_wrote_of(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        assert telemetry.last_before(f"never-{device}", device, NOON, ["power_w"]) == {}
        telemetry.write([a_point(device, NOON - 1), a_point(device, measurement="port")])
        assert telemetry.last_before("lamp", device + "x", NOON, ["power_w"]) == {}
        assert telemetry.last_before("port", device, NOON, ["power_w"]) == {}
        assert telemetry.last_before("lamp", device, NOON, []) == {}
        for at_ms in (-(2**62), 2**62, 0):
            assert telemetry.last_before("lamp", device, at_ms, ["power_w"]) == {}


class TestRefusing:
    @pytest.mark.parametrize(
        "fields",
        [
            {"power_w": math.nan},
            {"power_w": math.inf},
            {"power_w": -math.inf},
            {"power_w": 2.0**53 + 2},
            {"ports_in_use": 2**63},
            {"ports_in_use": -(10**400)},
            {"power_w": None},
            {"power_w": [1.0]},
            {"note": "\ud800"},
            {"time": 1.0},
            {"": 1.0},
            {},
        ],
        ids=repr,
    )
    def test_what_cannot_be_stored_is_refused_before_anything_is_written(
        self, telemetry: TelemetryStore, device: str, fields: dict[str, Value]
    ) -> None:
        good = a_point(device)
        bad = Point("lamp", "yaxin", device, NOON + 1, {**fields})
        with pytest.raises(BadPoint):
            telemetry.write([good, bad])
        assert telemetry.samples(a_query(device)) == []
        telemetry.write([good])
        assert readings(telemetry, a_query(device)) == [(NOON, 1.0)]

    @pytest.mark.parametrize("at_ms", [2**62, -(2**62), 10**400])
    def test_a_time_beyond_all_clocks_is_refused(
        self, telemetry: TelemetryStore, device: str, at_ms: int
    ) -> None:
        with pytest.raises(BadPoint):
            telemetry.write([a_point(device), a_point(device, at_ms)])
        assert telemetry.samples(a_query(device)) == []

    def test_halving_finds_exactly_the_bad_points_and_stores_the_rest(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        bad = {3, 17, 18}
        points = [
            a_point(device, NOON + n, power_w=math.nan if n in bad else float(n)) for n in range(40)
        ]
        dead: list[Point] = []
        write_by_halves(telemetry, points, dead)
        assert {point.at_ms - NOON for point in dead} == bad
        assert readings(telemetry, a_query(device)) == [
            (NOON + n, float(n)) for n in range(40) if n not in bad
        ]


def write_by_halves(store: TelemetryStore, points: Sequence[Point], dead: list[Point]) -> None:
    """What forward does about BadPoint."""
    try:
        store.write(points)
    except BadPoint:
        if len(points) == 1:
            dead += points
            return
        middle = len(points) // 2
        write_by_halves(store, points[:middle], dead)
        write_by_halves(store, points[middle:], dead)


nasty = st.text(
    st.one_of(st.sampled_from("\n\r\t ,=\\\"'#\0\x7f;$%{}"), st.characters(codec="utf-8")),
    max_size=12,
)


class TestInjection:
    @any_fixture
    @given(text=nasty)
    def test_any_text_in_a_value_comes_back_as_it_was(
        self, telemetry: TelemetryStore, text: str
    ) -> None:
        device = f"lamp-{uuid.uuid4().hex[:12]}"
        telemetry.write([a_point(device, note=text), a_point(device, NOON + 1)])
        assert readings(telemetry, a_query(device, "note")) == [(NOON, text)]
        assert readings(telemetry, a_query(device)) == [(NOON + 1, 1.0)]

    @any_fixture
    @given(
        place=st.sampled_from(["measurement", "compound", "device", "field"]),
        text=nasty,
    )
    def test_any_text_in_a_name_is_stored_as_it_is_or_refused(
        self, telemetry: TelemetryStore, place: str, text: str
    ) -> None:
        own = f"lamp-{uuid.uuid4().hex[:12]}"
        names = {"measurement": "lamp", "compound": "yaxin", "device": own, "field": "power_w"}
        # a tag that the server has seen before would hide what this text does
        names[place] = f"{own}{text}" if place in ("device", "measurement") else text
        measurement, compound, device, field = names.values()
        neighbour = a_point(own + "-neighbour", power_w=7.0)
        nasty_point = Point(measurement, compound, device, NOON, {field: 5.0})
        try:
            telemetry.write([neighbour, nasty_point, neighbour])
        except BadPoint:
            assert telemetry.samples(a_query(own + "-neighbour")) == []
        else:
            query = a_query(device, field, measurement=measurement)
            assert readings(telemetry, query) == [(NOON, 5.0)]
            assert whole(telemetry, device, measurement=measurement) == [(NOON, {field: 5.0})]
            last = telemetry.last_before(measurement, device, NOON + 1, [field])
            assert last == {field: Sample(NOON, 5.0)}
            assert readings(telemetry, a_query(own + "-neighbour")) == [(NOON, 7.0)]

    @any_fixture
    @given(device=nasty, quantity=nasty, measurement=nasty)
    def test_any_text_in_a_query_finds_nothing_and_breaks_nothing(
        self, telemetry: TelemetryStore, device: str, quantity: str, measurement: str
    ) -> None:
        query = SeriesQuery(f"m{measurement}", device, quantity, NOON, NOON + 1, 10)
        assert telemetry.samples(query) == []
        assert telemetry.points(f"m{measurement}", device, NOON, NOON + 1, 10) == []
        assert telemetry.last_before(f"m{measurement}", device, NOON, [quantity]) == {}

    def test_fields_that_are_called_like_what_the_store_has_itself_are_fields(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        names = (
            "device",
            "compound",
            "compound_1",
            "device_1",
            "last",
            "*",
            "count(x)",
            "*::field",
        )
        measurement = f"m{device}"
        fields: dict[str, Value] = {name: float(n) for n, name in enumerate(names)}
        telemetry.write([a_point(device, NOON, fields, measurement=measurement)])
        assert whole(telemetry, device, measurement=measurement) == [(NOON, fields)]
        assert telemetry.last_before(measurement, device, NOON + 1, names) == {
            name: Sample(NOON, value) for name, value in fields.items()
        }


class TestForgetting:
    def test_points_before_a_time_are_forgotten_and_all_others_kept(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        then = 1_000_000_000_000  # September 2001: nothing else is there
        step = 6 * HOUR_MS
        points = [a_point(device, then + n * step, power_w=float(n)) for n in range(20)]
        for point in points:
            telemetry.write([point, a_point(device + "-other", point.at_ms + 1)])
        telemetry.delete_before(then + 7 * step)
        query = a_query(device, from_ms=0, to_ms=2 * then)
        assert readings(telemetry, query) == [(then + n * step, float(n)) for n in range(7, 20)]
        other = a_query(device + "-other", from_ms=0, to_ms=2 * then)
        assert len(telemetry.samples(other)) == 13

        telemetry.write([points[0]])  # a replay may bring one back
        assert readings(telemetry, query)[0] == (then, 0.0)

    def test_nothing_is_forgotten_where_there_is_nothing(
        self, telemetry: TelemetryStore, device: str
    ) -> None:
        telemetry.delete_before(1_000_000_000_000)
        telemetry.write([a_point(device)])
        telemetry.delete_before(1_000_000_000_000)
        assert readings(telemetry, a_query(device)) == [(NOON, 1.0)]
