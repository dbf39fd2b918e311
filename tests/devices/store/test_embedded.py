"""What the embedded store promises beyond the contract: its file, its merges, its processes."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import combinations
from math import fsum
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.messages import Value
from devices.store.telemetry import embedded
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import (
    BadPoint,
    Bucket,
    Point,
    SeriesQuery,
    TelemetryAway,
    TelemetryRefused,
)

ROOT = Path(__file__).parents[3]
NOON = 1_795_399_200_000
DAY_MS = 86_400_000
WITHIN_S = 30


def a_point(n: int, device: str = "l1", **fields: Value) -> Point:
    return Point("lamp", "yaxin", device, NOON + n, fields or {"power_w": float(n)})


def all_of(device: str = "l1", quantity: str = "power_w") -> SeriesQuery:
    return SeriesQuery("lamp", device, quantity, 0, 2 * NOON, 1_000_000)


def readings(
    store: EmbeddedTelemetry, device: str = "l1", quantity: str = "power_w"
) -> dict[int, Value]:
    return {s.at_ms - NOON: s.value for s in store.samples(all_of(device, quantity))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def store(path: Path) -> Iterator[EmbeddedTelemetry]:
    store = EmbeddedTelemetry(path, fan=3, sealed_points=12)
    yield store
    store.close()


class TestFile:
    def test_nothing_is_made_before_the_first_write(self, path: Path) -> None:
        store = EmbeddedTelemetry(path)
        assert store.ready()
        assert store.samples(all_of()) == []
        assert store.points("lamp", "l1", 0, 2 * NOON, 10) == []
        assert store.last_before("lamp", "l1", NOON, ["power_w"]) == {}
        assert store.position() is None
        store.delete_before(NOON)
        store.close()
        assert not path.exists()

    def test_points_outlive_a_restart(self, path: Path) -> None:
        for n in range(5):
            store = EmbeddedTelemetry(path)
            store.write([a_point(n)])
            store.close()
        store = EmbeddedTelemetry(path)
        assert readings(store) == {n: float(n) for n in range(5)}
        store.close()

    def test_closing_twice_is_harmless(self, store: EmbeddedTelemetry) -> None:
        store.write([a_point(1)])
        store.close()
        store.close()

    def test_another_database_is_refused_and_left_alone(self, path: Path) -> None:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE invoices (id INTEGER)")
        other.close()
        before = path.read_bytes()
        store = EmbeddedTelemetry(path)
        for call in (
            store.ready,
            lambda: store.write([a_point(1)]),
            lambda: store.points("lamp", "l1", 0, NOON, 10),
            lambda: store.last_before("lamp", "l1", NOON, ["power_w"]),
            store.position,
        ):
            with pytest.raises(TelemetryRefused, match="something else"):
                call()
        assert path.read_bytes() == before

    def test_a_file_that_is_no_database_is_refused(self, path: Path) -> None:
        path.write_bytes(b"Dear diary,\n" * 500)
        store = EmbeddedTelemetry(path)
        for call in (
            store.ready,
            lambda: store.write([a_point(1)]),
            lambda: store.points("lamp", "l1", 0, NOON, 10),
            lambda: store.last_before("lamp", "l1", NOON, ["power_w"]),
        ):
            with pytest.raises(TelemetryRefused, match="damaged"):
                call()

    def test_a_file_that_is_locked_for_long_is_an_absence(
        self, path: Path, store: EmbeddedTelemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "BUSY_MS", 1)
        store.write([a_point(1)])
        store.close()
        other = apsw.Connection(str(path))
        other.execute("PRAGMA journal_mode=DELETE").fetchall()
        other.execute("BEGIN EXCLUSIVE")
        for call in (
            lambda: store.points("lamp", "l1", 0, 2 * NOON, 10),
            lambda: store.last_before("lamp", "l1", NOON + 2, ["power_w"]),
        ):
            with pytest.raises(TelemetryAway, match="locked"):
                call()
        other.execute("ROLLBACK")
        other.close()
        assert len(store.points("lamp", "l1", 0, 2 * NOON, 10)) == 1

    def test_a_store_of_another_format_is_refused(
        self, path: Path, store: EmbeddedTelemetry
    ) -> None:
        store.write([a_point(1)])
        store.close()
        db = apsw.Connection(str(path))
        db.execute("PRAGMA user_version=2")
        db.close()
        with pytest.raises(TelemetryRefused, match="format 2"):
            store.write([a_point(1)])

    def test_a_full_disk_is_an_absence_after_which_writing_goes_on(
        self, store: EmbeddedTelemetry
    ) -> None:
        store.write([a_point(1)])
        db = store._open()
        pages = int(db.execute("PRAGMA page_count").get)
        db.execute(f"PRAGMA max_page_count={pages}").fetchall()
        many = [a_point(n, f"l{n % 100}") for n in range(5000)]
        with pytest.raises(TelemetryAway, match="full"):
            store.write(many, "7")
        assert store.position() is None
        assert readings(store) == {1: 1.0}
        db.execute(f"PRAGMA max_page_count={pages + 10_000}").fetchall()
        store.write(many, "7")
        assert len(readings(store, "l7")) == 50


class TestPosition:
    def test_it_moves_with_the_points(self, store: EmbeddedTelemetry) -> None:
        store.write([a_point(1)], "a:1")
        store.write([a_point(2)])
        assert store.position() == "a:1"
        store.write([], "a:3")
        assert store.position() == "a:3"

    def test_it_stays_where_the_points_were_refused(self, store: EmbeddedTelemetry) -> None:
        store.write([a_point(1)], "a:1")
        with pytest.raises(BadPoint):
            store.write([a_point(2), a_point(3, power_w=float("nan"))], "a:2")
        assert store.position() == "a:1"
        assert readings(store) == {1: 1.0}

    def test_ids_of_a_refused_batch_are_not_used_by_the_next(
        self, store: EmbeddedTelemetry
    ) -> None:
        bad = a_point(2, "new", strange=float("nan"))
        with pytest.raises(BadPoint):
            store.write([a_point(1, "new", strange=1.0), bad])
        store.write([a_point(1, "other", odd=5.0)])
        store.write([a_point(1, "new", strange=6.0)])
        assert readings(store, "other", "odd") == {1: 5.0}
        assert readings(store, "new", "strange") == {1: 6.0}


def levels(store: EmbeddedTelemetry) -> list[int]:
    rows = store._open().execute("SELECT level FROM segments ORDER BY day, id")
    return [level for (level,) in rows]


class TestShapes:
    def test_ever_new_sets_of_fields_do_not_fill_the_file_and_are_all_readable(
        self, store: EmbeddedTelemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "SHAPES", 4)
        names = [f"f{n}" for n in range(6)]
        expected: dict[str, dict[int, Value]] = {name: {} for name in names}
        for n, chosen in enumerate(combinations(names, 3)):
            fields: dict[str, Value] = {name: float(n) for name in chosen}
            store.write([Point("lamp", "yaxin", "l1", NOON + n, fields)])
            for name in chosen:
                expected[name][n] = float(n)
        for name in names:
            assert readings(store, "l1", name) == expected[name]
        for n, point in enumerate(store.points("lamp", "l1", NOON, NOON + 100, 100)):
            assert point.fields == {name: float(n) for name in names if n in expected[name]}
        shapes = store._open().execute("SELECT count(*) FROM shapes").get
        assert shapes == 4 + len(names)

        store.write([a_point(0, f0=1.0, f5=1.0), a_point(0, f0=2.0)])
        assert readings(store, "l1", "f0")[0] == 2.0  # and still the last one wins


class TestReading:
    def test_only_the_days_that_are_needed_are_read(
        self, store: EmbeddedTelemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for day in range(-10, 1):
            store.write([a_point(day * DAY_MS + n) for n in range(3)])
        read = 0

        def counted(*args: Any) -> Any:
            nonlocal read
            read += 1
            return items(*args)

        items = embedded._items
        monkeypatch.setattr(embedded, "_items", counted)
        assert len(store.points("lamp", "l1", 0, 2 * NOON, 4)) == 4
        assert read == 2
        read = 0
        assert len(store.last_before("lamp", "l1", NOON + 1, ["power_w"])) == 1
        assert read == 1
        read = 0
        assert store.last_before("lamp", "l1", NOON + 1, ["power_w", "note"]).keys() == {"power_w"}
        assert read == 8  # seven days back from noon

    def test_names_that_another_process_has_made_since_are_known(
        self, path: Path, store: EmbeddedTelemetry
    ) -> None:
        other = EmbeddedTelemetry(path)
        for n in range(3):
            store.write([a_point(n, "l1", **{f"f{n}": float(n)}, note="a")])
            points = other.points("lamp", "l1", NOON, NOON + 10, 10)
            assert [p.fields for p in points] == [{f"f{k}": k, "note": "a"} for k in range(n + 1)]
            assert other.last_before("lamp", "l1", NOON + 10, [f"f{n}"]).keys() == {f"f{n}"}
        other.close()

    @settings(max_examples=30, deadline=None)
    @given(
        batches=st.lists(
            st.lists(
                st.tuples(
                    st.integers(-2 * DAY_MS, 2 * DAY_MS) | st.integers(-5, 5),
                    st.dictionaries(
                        st.sampled_from(["power_w", "voltage_v", "note"]),
                        st.one_of(
                            st.floats(-1e6, 1e6),
                            st.integers(-9, 9),
                            st.booleans(),
                            st.sampled_from(["in_use", "free"]),
                        ),
                        min_size=1,
                    ),
                ),
                min_size=1,
                max_size=12,
            ),
            min_size=1,
            max_size=4,
        ),
        every_s=st.sampled_from([1, 7, 3600, 5 * 3600, 86_400, 3 * 86_400]),
        offset_s=st.integers(-90_000, 90_000),
        around_ms=st.tuples(st.integers(-3 * DAY_MS, 3 * DAY_MS), st.integers(0, 6 * DAY_MS)),
        limit=st.integers(1, 12),
    )
    def test_windows_are_exactly_those_of_the_readings_that_count(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        batches: list[list[tuple[int, dict[str, Value]]]],
        every_s: int,
        offset_s: int,
        around_ms: tuple[int, int],
        limit: int,
    ) -> None:
        """Late, repeated and mixed as they come, to the last bit of each figure."""
        store = EmbeddedTelemetry(tmp_path_factory.mktemp("w") / "t.db", fan=3, sealed_points=12)
        from_ms = NOON + around_ms[0]
        query = SeriesQuery("lamp", "l1", "power_w", from_ms, from_ms + around_ms[1], limit)
        counted: dict[int, Value] = {}
        for batch in batches:
            store.write([Point("lamp", "yaxin", "l1", NOON + n, fields) for n, fields in batch])
            counted |= {NOON + n: of["power_w"] for n, of in batch if "power_w" in of}
        windows: dict[int, list[Value]] = {}
        for at_ms in sorted(counted):
            if query.from_ms <= at_ms < query.to_ms:
                begins = at_ms - (at_ms - offset_s * 1000) % (every_s * 1000)
                windows.setdefault(begins, []).append(counted[at_ms])
        expected = []
        for begins, values in windows.items():
            numbers = [value for value in values if not isinstance(value, bool | str)]
            last, count = values[-1], len(values)
            if isinstance(last, bool | str):
                expected.append(Bucket(begins, None, None, None, last, count))
            else:
                low, mean, high = min(numbers), fsum(numbers) / len(numbers), max(numbers)
                expected.append(Bucket(begins, float(low), mean, float(high), last, count))
        found = store.buckets(query, every_s, offset_s)
        assert found == expected[:limit]
        assert [type(one.last) for one in found] == [type(one.last) for one in expected[:limit]]
        store.close()


class TestMerging:
    def test_segments_are_merged_by_levels_until_they_are_sealed(
        self, store: EmbeddedTelemetry
    ) -> None:
        seen = []
        for n in range(12):
            store.write([a_point(n), a_point(n, "l2")])
            seen.append(levels(store))
        assert seen[:4] == [[0], [0, 0], [1], [1, 0]]
        assert seen[8] == [-1]  # 18 points
        assert seen[11] == [-1, 1]
        assert readings(store) == {n: float(n) for n in range(12)}

    def test_a_large_segment_does_not_let_old_ones_win_over_it(
        self, store: EmbeddedTelemetry
    ) -> None:
        store.write([a_point(0, power_w=1.0)])
        store.write([a_point(n, power_w=2.0) for n in range(50)])
        store.write([a_point(60)])
        assert levels(store) == [-1]
        store.write([a_point(0, power_w=3.0)])
        for n in range(70, 80):
            store.write([a_point(n)])
        assert readings(store)[0] == 3.0
        assert readings(store)[1] == 2.0

    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        batches=st.lists(
            st.lists(
                st.tuples(
                    st.sampled_from(["l1", "l2", "l3"]),
                    st.integers(-2, 2),  # days from noon
                    st.integers(0, 3),
                    st.dictionaries(
                        st.sampled_from(["power_w", "energy_kwh", "note"]),
                        st.one_of(st.floats(-10, 10), st.text(max_size=3), st.booleans()),
                        min_size=1,
                    ),
                ),
                min_size=1,
                max_size=8,
            ),
            max_size=30,
        ),
        cut=st.integers(-3, 3),
    )
    def test_any_sequence_of_writes_reads_like_a_dictionary(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        batches: list[list[tuple[str, int, int, dict[str, Value]]]],
        cut: int,
    ) -> None:
        store = EmbeddedTelemetry(
            tmp_path_factory.mktemp("merging") / "t.db", fan=3, sealed_points=12
        )
        model: dict[tuple[str, str], dict[int, Value]] = {}

        def write(batch: list[tuple[str, int, int, dict[str, Value]]]) -> None:
            points = []
            for device, day, n, fields in batch:
                points.append(Point("lamp", "yaxin", device, NOON + day * DAY_MS + n, fields))
                for name, value in fields.items():
                    model.setdefault((device, name), {})[points[-1].at_ms] = value
            store.write(points)

        def check() -> None:
            points: dict[str, dict[int, dict[str, Value]]] = {}
            for (device, name), expected in model.items():
                found = store.samples(all_of(device, name))
                assert [(s.at_ms, s.value) for s in found] == sorted(expected.items())
                for at_ms, value in expected.items():
                    points.setdefault(device, {}).setdefault(at_ms, {})[name] = value
            for device, of_device in points.items():
                whole = store.points("lamp", device, 0, 2 * NOON, 1000)
                assert [(p.at_ms, p.fields) for p in whole] == sorted(of_device.items())

        half = len(batches) // 2
        for batch in batches[:half]:
            write(batch)
        check()
        border = NOON + cut * DAY_MS + 1
        store.delete_before(border)
        for series in model.values():
            for at_ms in [at_ms for at_ms in series if at_ms < border]:
                del series[at_ms]
        check()
        for batch in batches[half:]:
            write(batch)
        check()
        store.close()

    def test_forgotten_points_give_their_space_back(self, path: Path) -> None:
        store = EmbeddedTelemetry(path)
        for n in range(60):
            store.write([a_point(n * 60_000 + k, f"l{k}", note="x" * 200) for k in range(500)])
        store._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        full = path.stat().st_size
        store.delete_before(NOON + 59 * 60_000)
        store.close()
        assert path.stat().st_size < full / 5


class TestRetention:
    """Old points go a piece at a time, beside writes that are not to wait."""

    def test_pieces_take_what_is_older_and_leave_the_rest(
        self, store: EmbeddedTelemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "FORGET_CHUNKS", 3)
        devices = [f"l{n}" for n in range(10)]
        for hour in range(0, 72, 4):
            store.write([a_point(hour * 3_600_000 + n, name) for n, name in enumerate(devices)])
        border = NOON + 40 * 3_600_000
        deleted, pieces = 0, 0
        while (piece := store.forget(border)) is not None:
            deleted, pieces = deleted + piece.points, pieces + 1
        assert pieces > 5
        left = {name: set(readings(store, name)) for name in devices}
        for n, name in enumerate(devices):
            kept = {hour * 3_600_000 + n for hour in range(40, 72, 4)}
            assert kept <= left[name]
            # a segment that reaches beyond the border stays whole, and goes a day later
            assert min(left[name]) > 40 * 3_600_000 - DAY_MS
        assert deleted == 18 * 10 - sum(map(len, left.values()))
        assert deleted > 0
        assert store.forget(border) is None

    def test_a_late_reading_of_a_day_that_is_gone_goes_the_next_time(
        self, store: EmbeddedTelemetry
    ) -> None:
        store.write([a_point(5 * DAY_MS)])
        store.write([a_point(0)])
        assert store.forget(NOON + 2 * DAY_MS) == embedded.Forgotten(1)
        assert store.forget(NOON + 2 * DAY_MS) is None
        assert readings(store) == {5 * DAY_MS: 5.0 * DAY_MS}
        assert (store.oldest_ms(), store.newest_ms()) == (NOON + 5 * DAY_MS, NOON + 5 * DAY_MS)

    def test_there_is_nothing_to_forget_where_there_is_nothing(self, path: Path) -> None:
        store = EmbeddedTelemetry(path)
        assert store.forget(NOON) is None
        assert store.give_back() is False
        assert (store.oldest_ms(), store.newest_ms()) == (None, None)
        assert not path.exists()

    def test_room_is_used_again_and_only_a_surplus_is_given_back(self, path: Path) -> None:
        store = EmbeddedTelemetry(path)

        def a_day(day: int) -> None:
            for n in range(20):
                at = day * DAY_MS + n * 60_000
                store.write([a_point(at + k, f"l{k}", note="x" * 200) for k in range(300)])

        def forget(day: int) -> None:
            while store.forget(NOON + day * DAY_MS) is not None:
                pass
            while store.give_back():
                pass

        def size() -> int:
            store._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return path.stat().st_size

        for day in range(10):
            a_day(day)
        full = size()
        for day in range(10, 16):
            forget(day - 9)
            a_day(day)
        assert size() < full * 1.1, "what comes takes the place of what went"
        forget(14)
        assert size() < full / 2
        assert len(readings(store, "l7", "note")) == 40, "two days are left"
        store.close()

    def test_a_kill_between_two_pieces_costs_nothing_that_is_to_be_kept(self, path: Path) -> None:
        work = (
            "import sys\n"
            "from pathlib import Path\n"
            "from devices.store.telemetry import embedded\n"
            "from devices.telemetry import Point\n"
            "embedded.FORGET_CHUNKS = 2\n"
            "store = embedded.EmbeddedTelemetry(Path(sys.argv[1]), fan=3, sealed_points=12)\n"
            "n = int(store.position() or 0)\n"
            "while True:\n"
            f"    at = {NOON} + n * 3_600_000\n"
            "    devices = [f'l{k}' for k in range(5)]\n"
            "    points = [Point('lamp', 'yaxin', d, at, {'power_w': float(n)}) for d in devices]\n"
            "    n += 1\n"
            "    store.write(points, str(n))\n"
            "    store.forget(at - 48 * 3_600_000)\n"
            "    store.give_back()\n"
            "    print(n, flush=True)\n"
        )
        for kills in range(5):
            process = subprocess.Popen(
                [sys.executable, "-c", work, str(path)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            for _ in range(70 + 5 * kills):
                assert process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=WITHIN_S)
            store = EmbeddedTelemetry(path)
            newest = int(store.position() or 0)
            kept = {n * 3_600_000 for n in range(max(0, newest - 48), newest)}
            for device in range(5):
                assert kept <= set(readings(store, f"l{device}"))
            assert store._open().execute("PRAGMA integrity_check").get == "ok"
            store.close()


class TestProcesses:
    def test_another_process_reads_what_this_one_writes(
        self, path: Path, store: EmbeddedTelemetry
    ) -> None:
        follow = (
            "import sys\n"
            "from pathlib import Path\n"
            "from devices.store.telemetry.embedded import EmbeddedTelemetry\n"
            "from devices.telemetry import SeriesQuery\n"
            "store = EmbeddedTelemetry(Path(sys.argv[1]))\n"
            "query = SeriesQuery('lamp', 'l1', 'power_w', 0, 10**14, 1000)\n"
            "for line in sys.stdin:\n"
            "    print(len(store.samples(query)), flush=True)\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", follow, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            for n in range(8):
                process.stdin.write("?\n")
                process.stdin.flush()
                assert process.stdout.readline() == f"{n}\n"
                store.write([a_point(n)])
            process.stdin.close()

    def test_points_and_position_agree_after_kill_minus_9(self, path: Path) -> None:
        write = (
            "import sys\n"
            "from pathlib import Path\n"
            "from devices.store.telemetry.embedded import EmbeddedTelemetry\n"
            "from devices.telemetry import Point\n"
            "store = EmbeddedTelemetry(Path(sys.argv[1]), fan=3, sealed_points=12)\n"
            "n = int(store.position() or 0)\n"
            "while True:\n"
            f"    points = [Point('lamp', 'yaxin', 'l1', {NOON} + n, {{'power_w': float(n)}})]\n"
            "    n += 1\n"
            "    store.write(points, str(n))\n"
            "    print(n, flush=True)\n"
        )
        said = 0
        for kills in range(5):
            process = subprocess.Popen(
                [sys.executable, "-c", write, str(path)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            for _ in range(20 + 5 * kills):
                said = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            rest, _ = process.communicate(timeout=WITHIN_S)
            said = max([said, *map(int, rest.split())])
            store = EmbeddedTelemetry(path)
            position = int(store.position() or 0)
            assert position >= said
            assert readings(store) == {n: float(n) for n in range(position)}
            store.close()

    def test_two_stores_on_one_file_do_not_confuse_their_series(self, path: Path) -> None:
        stores = [EmbeddedTelemetry(path, fan=3, sealed_points=50) for _ in range(2)]
        failures: list[BaseException] = []

        def write(store: EmbeddedTelemetry, shift: int) -> None:
            try:
                for n in range(40):
                    device = f"l{(n + shift) % 7}"
                    store.write([a_point(2 * n + shift, device, **{f"f{n % 5}_{shift}": 1.0})])
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=write, args=(store, shift))
            for shift, store in enumerate(stores)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WITHIN_S)
        assert failures == []
        found = {
            (device, name, at)
            for device in (f"l{n}" for n in range(7))
            for name in (f"f{n}_{shift}" for n in range(5) for shift in range(2))
            for at in readings(stores[0], device, name)
        }
        assert found == {
            (f"l{(n + shift) % 7}", f"f{n % 5}_{shift}", 2 * n + shift)
            for n in range(40)
            for shift in range(2)
        }
        for store in stores:
            store.close()
