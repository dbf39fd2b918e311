import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import devices.store.journal as journal_module
from devices.journal import LINK, MESSAGES, TICK, UNASSIGNED, Raw
from devices.store.journal import (
    HOUR_MS,
    Draft,
    JournalError,
    JournalForeign,
    JournalFull,
    JournalHeld,
    JournalMissing,
    JournalReader,
    JournalReplaced,
    JournalWriter,
)

ROOT = Path(__file__).parents[3]
NOON = 1_795_399_200_000  # a whole hour
WITHIN_S = 30


def a_message(n: int = 0, *, at_ms: int = NOON, origin: str = "yaxin", size: int = 8) -> Raw:
    return Raw(b"courtyard/v1/yaxin/gate/g1/telemetry", b"%08d" % n * (size // 8), 0, at_ms, origin)


def a_batch(*numbers: int, **fields: int | str) -> Draft:
    return Draft(MESSAGES, 1, [a_message(n, **fields) for n in numbers])  # type: ignore[arg-type]


def a_tick(at_ms: int = NOON) -> Draft:
    return Draft(TICK, 1, control={"at_ms": at_ms})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def writer(path: Path) -> Iterator[JournalWriter]:
    with JournalWriter(path, lambda: NOON) as writer:
        yield writer


@pytest.fixture
def reader(writer: JournalWriter) -> Iterator[JournalReader]:
    with JournalReader(writer.path) as reader:
        yield reader


def run_python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestCommitting:
    def test_what_was_committed_is_read_back_in_order(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        odd = Raw(b"\xff/caf\xc3\xa9", b"\x00\xff", 3, NOON + 1, UNASSIGNED)
        control = {"up": True, "session_present": False, "at_ms": NOON}
        ids = writer.commit(
            [
                Draft(MESSAGES, 4, [a_message(1), odd]),
                Draft(LINK, 4, control=control),
                Draft(MESSAGES, 5, [a_message(2)]),
            ]
        )
        first, link, second = reader.read(0, 10)
        assert ids == [1, 2, 3] == [first.id, link.id, second.id]
        assert first.messages == (a_message(1), odd)
        assert (first.kind, first.first_jseq, first.count, first.epoch) == (MESSAGES, 1, 2, 4)
        assert (link.kind, link.control, link.messages, link.count) == (LINK, control, (), 0)
        assert link.first_jseq == 3  # that of the next message: it takes none itself
        assert (second.first_jseq, second.count, second.epoch) == (3, 1, 5)
        assert not first.corrupt
        assert not link.corrupt

    def test_a_message_comes_back_as_the_tuple_with_names_that_went_in(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(7)])
        (message,) = reader.read(0, 1)[0].messages
        assert isinstance(message, Raw)
        assert message.payload == b"00000007"

    def test_ids_are_consecutive_over_commits(self, writer: JournalWriter) -> None:
        assert [writer.commit([a_batch(n), a_tick()]) for n in range(3)] == [[1, 2], [3, 4], [5, 6]]

    def test_no_drafts_are_no_record(self, writer: JournalWriter) -> None:
        assert writer.commit([]) == []
        assert writer.head().id == 0

    def test_the_head_is_the_same_for_writer_and_reader(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        assert (reader.head().id, reader.head().jseq) == (0, 0)
        writer.commit([a_batch(1, 2, 3), a_tick()])
        assert reader.head() == writer.head()
        assert (reader.head().id, reader.head().jseq) == (2, 3)

    def test_a_journal_goes_on_where_it_was_closed(self, path: Path) -> None:
        with JournalWriter(path, lambda: NOON) as writer:
            writer.commit([a_batch(1, 2)])
            before = writer.head()
        with JournalWriter(path, lambda: NOON) as writer:
            assert writer.head() == before
            assert writer.commit([a_batch(3)]) == [2]
            assert writer.head().jseq == 3

    def test_each_journal_has_an_id_of_its_own(self, tmp_path: Path) -> None:
        ids = set()
        for name in ("a", "b"):
            with JournalWriter(tmp_path / name, lambda: NOON) as writer:
                ids.add(writer.head().journal_id)
        assert len(ids) == 2

    def test_other_users_cannot_read_raw_messages(self, writer: JournalWriter) -> None:
        writer.commit([a_batch(1)])
        for file in writer.path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file

    @pytest.mark.parametrize(
        ("kind", "messages", "control"),
        [
            (MESSAGES, [], None),
            (MESSAGES, [a_message()], {"at_ms": 1}),
            (TICK, [], None),
            (TICK, [a_message()], {"at_ms": 1}),
        ],
    )
    def test_a_draft_is_a_batch_or_a_control_record(
        self, kind: str, messages: list[Raw], control: dict[str, int] | None
    ) -> None:
        with pytest.raises(ValueError, match="draft"):
            Draft(kind, 1, messages, control)

    def test_a_closed_writer_says_so(self, path: Path) -> None:
        writer = JournalWriter(path, lambda: NOON)
        writer.close()
        writer.close()
        with pytest.raises(JournalError, match="closed"):
            writer.commit([a_batch(1)])

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.binary(max_size=70_000),
                st.binary(max_size=300),
                st.integers(0, 3),
                st.integers(-(2**62), 2**62),
                st.text(max_size=20).filter(lambda text: text.isprintable()),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def test_any_bytes_come_back_as_they_were(
        self, writer: JournalWriter, reader: JournalReader, fields: list[tuple[object, ...]]
    ) -> None:
        messages = tuple(Raw(*each) for each in fields)  # type: ignore[arg-type]
        (record_id,) = writer.commit([Draft(MESSAGES, 1, messages)])
        record = reader.record_at(record_id)
        assert record is not None
        assert record.messages == messages


class TestReading:
    def test_reading_begins_behind_an_id_and_ends_at_the_limit(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        for n in range(5):
            writer.commit([a_batch(n)])
        assert [record.id for record in reader.read(1, 3)] == [2, 3, 4]
        assert reader.read(5, 3) == []

    def test_a_read_is_bounded_in_bytes_and_goes_on_with_the_next(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        size = journal_module.READ_BYTES // 2 + 1024
        for n in range(3):
            writer.commit([a_batch(n, size=size)])
        assert [record.id for record in reader.read(0, 100)] == [1, 2]
        assert [record.id for record in reader.read(2, 100)] == [3]

    def test_a_message_is_found_by_its_number(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_tick(), a_batch(1, 2, 3), a_tick(), a_tick(), a_batch(4), a_tick()])
        writer.commit([a_batch(5, 6)])
        found = [reader.find(jseq) for jseq in range(1, 7)]
        assert found == [a_message(n) for n in range(1, 7)]
        assert reader.find(0) is None
        assert reader.find(7) is None

    def test_a_message_that_was_trimmed_is_not_found(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(1, 2), a_batch(3), a_batch(4)])
        writer.trim(NOON + 1, 2)
        assert [reader.find(jseq) for jseq in range(1, 5)] == [None, None, None, a_message(4)]

    def test_nothing_is_found_in_an_empty_journal(self, reader: JournalReader) -> None:
        assert reader.find(1) is None
        assert reader.record_at(1) is None
        assert reader.read(0, 10) == []

    def test_a_reader_sees_whole_batches_in_order_while_the_writer_writes(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        total = 300
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for n in range(total):
                    writer.commit([a_batch(n, n, n, size=2_000), a_tick()])
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        after = 0
        jseq = 1
        while after < 2 * total and not failures:
            for record in reader.read(after, 7):
                assert (record.id, record.first_jseq) == (after + 1, jseq)
                assert len(record.messages) == record.count
                after, jseq = record.id, jseq + record.count
        thread.join(WITHIN_S)
        assert failures == []
        assert jseq == reader.head().jseq + 1 == 3 * total + 1

    def test_one_reader_serves_many_threads(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(n) for n in range(50)])
        seen: list[int] = []

        def read() -> None:
            for _ in range(50):
                seen.append(len(reader.read(0, 100)))
                reader.find(25)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WITHIN_S)
        assert Counter(seen) == {50: 200}

    def test_a_reader_in_another_process_sees_each_commit(self, writer: JournalWriter) -> None:
        follow = (
            "import sys; from pathlib import Path\n"
            "from devices.store.journal import JournalReader\n"
            "reader = JournalReader(Path(sys.argv[1]))\n"
            "for line in sys.stdin:\n"
            "    print(reader.head().id, len(reader.read(0, 1000)), flush=True)\n"
        )
        writer.commit([a_batch(1)])
        process = subprocess.Popen(
            [sys.executable, "-c", follow, str(writer.path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            for expected in ("1 1", "2 2", "3 3"):
                process.stdin.write("?\n")
                process.stdin.flush()
                assert process.stdout.readline().strip() == expected
                writer.commit([a_batch(1)])
            process.stdin.close()

    def test_a_journal_that_its_writer_closed_can_be_read(self, path: Path) -> None:
        with JournalWriter(path, lambda: NOON) as writer:
            writer.commit([a_batch(1)])
        with JournalReader(path) as reader:
            assert reader.read(0, 1)[0].messages == (a_message(1),)


class TestSearching:
    """Messages of one sender, the newest first."""

    @staticmethod
    def sent(sender: str, at_ms: int) -> Raw:
        return Raw(f"courtyard/v1/yaxin/gate/{sender}/telemetry".encode(), b"{}", 0, at_ms, "yaxin")

    def filled(self, writer: JournalWriter) -> None:
        """g1 at 0, 2, 4 … seconds, in batches of two with another's; ticks between."""
        for second in range(0, 20, 2):
            at_ms = NOON + second * 1000
            both = [self.sent("g1", at_ms), self.sent("g12", at_ms)]
            writer.commit([Draft(MESSAGES, 1, both), a_tick(at_ms)])

    def test_all_of_a_sender_and_nobody_elses(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        self.filled(writer)
        found = reader.sent_by(b"g1", None, NOON + 60_000, 0, 100, 5.0)
        seconds = [(raw.received_ms - NOON) // 1000 for _, raw in found.messages]
        assert seconds == [18, 16, 14, 12, 10, 8, 6, 4, 2, 0]
        assert {raw.topic.split(b"/")[4] for _, raw in found.messages} == {b"g1"}
        assert found.looked_to is None

    def test_a_name_in_a_payload_is_no_sender(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        raw = self.sent("g2", NOON)._replace(payload=b'{"from":"/g1/"}')
        writer.commit([Draft(MESSAGES, 1, [raw])])
        assert reader.sent_by(b"g1", None, NOON, 0, 100, 5.0).messages == ()

    def test_what_is_older_or_newer_than_asked_for_is_left_out(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        self.filled(writer)
        found = reader.sent_by(b"g1", None, NOON + 9000, NOON + 4000, 100, 5.0)
        assert [(raw.received_ms - NOON) // 1000 for _, raw in found.messages] == [8, 6, 4]
        assert found.looked_to is None

    @pytest.mark.parametrize(("most", "within_s"), [(1, 5.0), (3, 5.0), (100, 0.0)])
    def test_looks_that_end_early_go_on_without_gap_or_repeat(
        self,
        writer: JournalWriter,
        reader: JournalReader,
        monkeypatch: pytest.MonkeyPatch,
        most: int,
        within_s: float,
    ) -> None:
        monkeypatch.setattr(journal_module, "SEARCH_RECORDS", (3, 3))
        self.filled(writer)
        seconds: list[int] = []
        before = None
        looks = 0
        while True:
            found = reader.sent_by(b"g1", before, NOON + 60_000, 0, most, within_s)
            looks += 1
            seconds += [(raw.received_ms - NOON) // 1000 for _, raw in found.messages]
            before = found.looked_to
            if before is None:
                break
        assert seconds == [18, 16, 14, 12, 10, 8, 6, 4, 2, 0]
        assert looks > 3

    def test_an_empty_and_a_trimmed_journal_have_nothing_older(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        assert reader.sent_by(b"g1", None, NOON, 0, 10, 5.0).looked_to is None
        self.filled(writer)
        writer.trim(NOON + 10_000, 100)
        found = reader.sent_by(b"g1", None, NOON + 60_000, 0, 100, 5.0)
        assert [(raw.received_ms - NOON) // 1000 for _, raw in found.messages] == [
            18,
            16,
            14,
            12,
            10,
        ]
        assert found.looked_to is None


class TestCounting:
    def test_messages_are_counted_by_hour_and_origin(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit(
            [
                a_batch(1, 2),
                a_batch(3, origin="zhengmei"),
                a_tick(),
                Draft(
                    MESSAGES,
                    1,
                    [a_message(4, at_ms=NOON + HOUR_MS - 1), a_message(5, at_ms=NOON + HOUR_MS)],
                ),
            ]
        )
        writer.commit([a_batch(6, at_ms=NOON + HOUR_MS, origin=UNASSIGNED)])
        assert reader.received(NOON, NOON + 2 * HOUR_MS) == {
            ("yaxin", NOON): 3,
            ("zhengmei", NOON): 1,
            ("yaxin", NOON + HOUR_MS): 1,
            (UNASSIGNED, NOON + HOUR_MS): 1,
        }
        assert reader.received(NOON, NOON + HOUR_MS) == {("yaxin", NOON): 3, ("zhengmei", NOON): 1}
        assert reader.received_total() == {"yaxin": 4, "zhengmei": 1, UNASSIGNED: 1}

    def test_counts_go_on_over_a_restart(self, path: Path) -> None:
        for n in range(3):
            with JournalWriter(path, lambda: NOON) as writer:
                writer.commit([a_batch(n, n)])
        with JournalReader(path) as reader:
            assert reader.received_total() == {"yaxin": 6}

    @settings(max_examples=25, deadline=None)
    @given(
        batches=st.lists(
            st.lists(
                st.tuples(st.sampled_from("abc"), st.integers(-3 * HOUR_MS, 3 * HOUR_MS)),
                min_size=1,
                max_size=6,
            ),
            min_size=1,
            max_size=12,
        )
    )
    def test_counts_agree_with_the_messages_whatever_the_clock_does(
        self, tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, int]]]
    ) -> None:
        path = tmp_path_factory.mktemp("counts") / "journal.db"
        by_hour: Counter[tuple[str, int]] = Counter()
        with JournalWriter(path, lambda: NOON) as writer, JournalReader(path) as reader:
            for batch in batches:
                messages = [a_message(origin=o, at_ms=NOON + shift) for o, shift in batch]
                writer.commit([Draft(MESSAGES, 1, messages)])
                by_hour.update((m.origin, m.received_ms // HOUR_MS * HOUR_MS) for m in messages)
                total: Counter[str] = Counter()
                for (origin, _), count in by_hour.items():
                    total[origin] += count
                assert reader.received(0, 2 * NOON) == by_hour
                assert reader.received_total() == total
                assert reader.head().jseq == total.total()

    def test_counts_outlive_the_messages(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(1, 2, 3)])
        writer.trim(NOON + 1, 1)
        assert reader.received_total() == {"yaxin": 3}
        assert reader.received(NOON, NOON + 1) == {("yaxin", NOON): 3}

    def test_after_a_year_the_hours_go_and_the_totals_stay(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        later = NOON + journal_module.RECEIVED_KEPT_MS + 2 * HOUR_MS
        writer.commit([a_batch(1)])
        writer.commit([a_batch(2, 3, at_ms=later)])
        writer.trim(later, 2)
        assert reader.received(0, later + 1) == {("yaxin", later): 2}
        assert reader.received_total() == {"yaxin": 3}
        writer.commit([a_batch(4, at_ms=later), a_batch(5)])  # and a clock that is a year behind
        assert reader.received_total() == {"yaxin": 5}

    def test_what_stands_behind_a_position_is_counted_in_the_same_look(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        (first,) = writer.commit([a_batch(1, 2)])
        writer.commit([a_tick(), a_batch(3, origin="kangqiao"), a_batch(4, at_ms=NOON + HOUR_MS)])
        counted = reader.count(first, None, 10)
        assert counted.head == reader.head()
        assert counted.received == {("yaxin", 0): 3, ("kangqiao", 0): 1}
        assert counted.waiting == {("yaxin", 0): 1, ("kangqiao", 0): 1}
        of_noon = reader.count(first, (NOON, NOON + HOUR_MS), 10)
        assert of_noon.received == {("yaxin", NOON): 2, ("kangqiao", NOON): 1}
        assert of_noon.waiting == {("kangqiao", NOON): 1}
        assert reader.count(first, None, 1).waiting is None, "more than may be told apart"
        assert reader.count(counted.head.id, None, 0).waiting == {}

    def test_whose_a_damaged_message_is_cannot_be_told(
        self, writer: JournalWriter, reader: JournalReader, path: Path
    ) -> None:
        first, second = writer.commit([a_batch(1), a_batch(2)])
        damage(path, second)
        assert reader.count(first, None, 10).waiting is None
        assert reader.count(second, None, 10).waiting == {}


class TestTrimming:
    def test_old_records_that_were_passed_go(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(n, at_ms=NOON + n) for n in range(6)])
        assert writer.trim(NOON + 3, 6) == 3
        assert [record.id for record in reader.read(0, 10)] == [4, 5, 6]
        assert reader.trimmed_id() == 3

    def test_records_that_a_cursor_has_not_passed_stay(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(n) for n in range(4)])
        assert writer.trim(NOON + 1, 2) == 2
        assert writer.trim(NOON + 1, 2) == 0
        assert [record.id for record in reader.read(0, 10)] == [3, 4]

    def test_a_young_record_keeps_those_behind_it_so_that_no_gap_appears(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(1), a_batch(2, at_ms=NOON + 10), a_batch(3)])
        assert writer.trim(NOON + 1, 3) == 1
        assert [record.id for record in reader.read(0, 10)] == [2, 3]

    def test_ids_and_numbers_go_on_after_everything_was_trimmed(self, path: Path) -> None:
        with JournalWriter(path, lambda: NOON) as writer:
            writer.commit([a_batch(1, 2), a_tick()])
            assert writer.trim(NOON + 1, 2) == 2
            assert (writer.head().id, writer.head().jseq) == (2, 2)
        with JournalWriter(path, lambda: NOON) as writer, JournalReader(path) as reader:
            assert reader.read(0, 10) == []
            assert reader.head() == writer.head()
            assert (writer.head().id, writer.head().jseq) == (2, 2)
            assert writer.commit([a_batch(3)]) == [3]
            (record,) = reader.read(0, 10)
            assert (record.id, record.first_jseq) == (3, 3)
            assert reader.find(3) == a_message(3)

    def test_one_trim_is_bounded_and_the_next_goes_on(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        ticks = journal_module.TRIM_RECORDS + 5
        writer.commit([a_tick() for _ in range(ticks)])
        assert writer.trim(NOON + 1, ticks) == journal_module.TRIM_RECORDS
        assert writer.trim(NOON + 1, ticks) == 5
        assert reader.read(0, 1) == []

    def test_space_that_a_trim_freed_goes_back_to_the_disk(self, path: Path) -> None:
        big = 2 * journal_module.SPARE_BYTES
        with JournalWriter(path, lambda: NOON) as writer:
            for n in range(16):
                writer.commit([a_batch(n, size=big // 16)])
            full = writer.size_bytes()
            writer.trim(NOON + 1, 15)
            for n in range(4):
                writer.trim(NOON + 1, 15 + n)
                writer.commit([a_tick()])
        assert full > big
        assert path.stat().st_size < full - journal_module.SPARE_BYTES // 2

    def test_on_a_disk_that_runs_full_all_space_goes_back(self, path: Path) -> None:
        with JournalWriter(path, lambda: NOON) as writer:
            for n in range(300):
                writer.commit([Draft(MESSAGES, 1, [a_message(n, size=40_000)])])
            full = writer.size_bytes()
            assert writer.trim(NOON + 1, 299) == 299
            assert writer.size_bytes() > full / 2, "a trim alone keeps it for reuse"
            while writer.give_back():
                pass
            assert writer.size_bytes() < full / 10
            assert writer.commit([a_batch(1)]) == [301]
            with JournalReader(path) as reader:
                assert [record.id for record in reader.read(0, 10)] == [300, 301]


class TestOwning:
    def test_a_second_writer_in_another_process_is_refused_and_told_who_holds_it(
        self, path: Path
    ) -> None:
        hold = (
            "import sys; from pathlib import Path\n"
            "from devices.store.journal import JournalWriter\n"
            "writer = JournalWriter(Path(sys.argv[1]), lambda: 1)\n"
            "print('held', flush=True); sys.stdin.read()\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", hold, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with pytest.raises(JournalHeld, match=f"process {process.pid}:") as refused:
                JournalWriter(path, lambda: NOON)
            assert refused.value.pid == process.pid
            process.kill()
        with JournalWriter(path, lambda: NOON) as writer:  # the kernel let go of the lock
            assert writer.commit([a_batch(1)]) == [1]

    def test_a_second_writer_in_the_same_process_is_refused(self, writer: JournalWriter) -> None:
        with pytest.raises(JournalHeld, match=f"process {os.getpid()}:"):
            JournalWriter(writer.path, lambda: NOON)
        assert writer.commit([a_batch(1)]) == [1]

    def test_a_closed_journal_may_have_another_writer(self, path: Path) -> None:
        JournalWriter(path, lambda: NOON).close()
        JournalWriter(path, lambda: NOON).close()

    def test_a_journal_that_is_not_there_yet_is_missing(self, path: Path) -> None:
        with pytest.raises(JournalMissing, match="courtyard ingest"):
            JournalReader(path)
        assert not path.exists()

    def test_a_file_in_which_nothing_was_made_yet_is_missing(self, path: Path) -> None:
        path.touch()
        with pytest.raises(JournalMissing, match="being made"):
            JournalReader(path)
        with JournalWriter(path, lambda: NOON) as writer, JournalReader(path) as reader:
            assert reader.head() == writer.head()

    @pytest.mark.parametrize("open_it", [JournalReader, lambda p: JournalWriter(p, lambda: NOON)])
    def test_another_database_is_refused_and_left_alone(self, path: Path, open_it: type) -> None:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE invoices (id INTEGER)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(JournalForeign, match="something else"):
            open_it(path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("open_it", [JournalReader, lambda p: JournalWriter(p, lambda: NOON)])
    def test_a_file_that_is_no_database_is_refused(self, path: Path, open_it: type) -> None:
        path.write_bytes(b"Dear diary,\n" * 500)
        with pytest.raises(JournalForeign, match="no SQLite database"):
            open_it(path)

    @pytest.mark.parametrize("open_it", [JournalReader, lambda p: JournalWriter(p, lambda: NOON)])
    def test_a_journal_of_another_format_is_refused(self, path: Path, open_it: type) -> None:
        JournalWriter(path, lambda: NOON).close()
        db = apsw.Connection(str(path))
        db.execute("PRAGMA user_version=2")
        db.close()
        with pytest.raises(JournalForeign, match="format 2"):
            open_it(path)

    def test_a_refused_file_can_be_opened_once_it_is_right(self, path: Path) -> None:
        path.write_bytes(b"Dear diary,\n" * 500)
        with pytest.raises(JournalForeign):
            JournalWriter(path, lambda: NOON)
        path.unlink()
        JournalWriter(path, lambda: NOON).close()  # the failed one left no lock behind

    def test_a_reader_notices_that_the_journal_was_replaced(self, path: Path) -> None:
        with JournalWriter(path, lambda: NOON) as writer:
            writer.commit([a_batch(1)])
        with JournalReader(path) as reader:
            assert reader.head().id == 1
            kept = path.rename(path.with_name("lost.db"))
            with pytest.raises(JournalReplaced):
                reader.read(0, 10)
            with JournalWriter(path, lambda: NOON), pytest.raises(JournalReplaced):
                reader.head()
            assert kept.exists()


class TestDamage:
    def test_a_flipped_bit_costs_its_batch_and_no_other(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(1), a_batch(2, 3), a_tick(), a_batch(4)])
        for record_id in (2, 3):
            damage(writer.path, record_id)
        first, second, tick, last = reader.read(0, 10)
        assert second.corrupt
        assert (second.messages, second.count, second.first_jseq) == ((), 2, 2)
        assert tick.corrupt
        assert tick.control is None
        assert first.messages == (a_message(1),)
        assert last.messages == (a_message(4),)
        assert reader.find(2) is None
        assert reader.find(4) == a_message(4)

    def test_a_body_that_holds_fewer_messages_than_counted_is_damaged(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(1, 2)])
        db = apsw.Connection(str(writer.path))
        db.execute("UPDATE records SET count = 3")
        db.close()
        assert reader.read(0, 1)[0].corrupt


def damage(path: Path, record_id: int) -> None:
    db = apsw.Connection(str(path))
    body = bytearray(db.execute("SELECT body FROM records WHERE id = ?", (record_id,)).get)
    body[len(body) // 2] ^= 1
    db.execute("UPDATE records SET body = ? WHERE id = ?", (bytes(body), record_id))
    db.close()


class TestFullDisk:
    def test_a_full_journal_says_so_and_goes_on_once_there_is_room(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        writer.commit([a_batch(1)])
        pages = int(writer._db.execute("PRAGMA page_count").get)
        writer._db.execute(f"PRAGMA max_page_count={pages + 4}").fetchall()
        with pytest.raises(JournalFull, match="no room"):
            writer.commit([a_batch(2), a_batch(3, size=200_000)])
        assert writer.head() == reader.head()
        assert [record.id for record in reader.read(0, 10)] == [1]
        assert reader.received_total() == {"yaxin": 1}

        writer._db.execute(f"PRAGMA max_page_count={pages + 4000}").fetchall()
        assert writer.commit([a_batch(2), a_batch(3, size=200_000)]) == [2, 3]
        assert writer.head().jseq == 3
        assert reader.received_total() == {"yaxin": 3}

    def test_a_write_that_the_system_refuses_is_rolled_back_and_can_be_repeated(
        self, path: Path
    ) -> None:
        fill = f"""
import resource, sys
from pathlib import Path
from devices.journal import MESSAGES, Raw
from devices.store.journal import Draft, JournalFull, JournalReader, JournalWriter
path = Path(sys.argv[1])
batch = [Draft(MESSAGES, 1, [Raw(b"t", bytes(100_000), 0, {NOON}, "yaxin")])]
writer = JournalWriter(path, lambda: {NOON})
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
done = 0
try:
    for _ in range(1000):
        writer.commit(batch)
        done += 1
except JournalFull:
    print("full", flush=True)
with JournalReader(path) as reader:
    assert reader.head() == writer.head(), (reader.head(), writer.head())
    assert reader.head().id == done == reader.received_total()["yaxin"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert writer.commit(batch) == [done + 1]
writer.close()
print(done, flush=True)
"""
        process = run_python(fill, str(path))
        output, errors = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, errors
        full, done = output.split()
        assert full == "full"
        assert int(done) > 5
        with JournalReader(path) as reader:
            assert reader.head().id == int(done) + 1
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


class TestCrashing:
    WRITE = f"""
import sys
from pathlib import Path
from devices.journal import MESSAGES, TICK, Raw
from devices.store.journal import Draft, JournalWriter
writer = JournalWriter(Path(sys.argv[1]), lambda: {NOON})
while True:
    n = writer.head().jseq
    batch = [Raw(b"t", b"%d" % (n + i + 1), 0, {NOON} + n, "yaxin") for i in range(n % 40 + 1)]
    ids = writer.commit([Draft(MESSAGES, 1, batch), Draft(TICK, 1, control={{"at_ms": n + 1}})])
    print(*ids, flush=True)
"""

    def test_every_id_that_was_given_out_survives_kill_minus_9(self, path: Path) -> None:
        given_out: set[int] = set()
        for kills in range(5):
            process = run_python(self.WRITE, str(path))
            assert process.stdout is not None
            for _ in range(20 + 7 * kills):
                given_out.update(map(int, process.stdout.readline().split()))
            process.send_signal(signal.SIGKILL)
            rest, _ = process.communicate(timeout=WITHIN_S)
            given_out.update(int(word) for word in rest.split())
            # another batch may be in whose ids were not printed any more, never half of one
            with JournalReader(path) as reader:
                assert_whole(reader, given_out)
        assert len(given_out) >= 2 * (20 + 27 + 34 + 41 + 48)
        with JournalWriter(path, lambda: NOON) as writer, JournalReader(path) as reader:
            head = reader.head()
            assert writer.commit([a_tick()]) == [head.id + 1]

    def test_a_long_wal_is_copied_into_the_file_while_readers_come_and_go(
        self, writer: JournalWriter, reader: JournalReader
    ) -> None:
        for n in range(60):
            writer.commit([a_batch(n, size=1_000_000)])
            reader.read(n, 1)
        wal = writer.path.with_name(writer.path.name + "-wal")
        assert wal.stat().st_size < 20_000_000
        assert writer.size_bytes() >= 60_000_000


def assert_whole(reader: JournalReader, given_out: set[int]) -> None:
    after, jseq = 0, 1
    while records := reader.read(after, 100):
        for record in records:
            assert not record.corrupt
            assert (record.id, record.first_jseq) == (after + 1, jseq)
            assert [int(message.payload) for message in record.messages] == [
                *range(jseq, jseq + record.count)
            ]
            after, jseq = record.id, jseq + record.count
    assert given_out <= set(range(1, after + 1))
    assert reader.received_total() == {"yaxin": jseq - 1}
    assert reader.head().id == after
