"""Readings on their way to the telemetry store: what each answer of it leads to."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from devices.journal import CLOCK, MESSAGES, RETAINED, Record
from devices.messages import Decoded
from devices.overrides import RuleSet
from devices.store.accounts import Forwarded
from devices.store.database import DatabaseAway
from devices.store.journal import JournalReplaced
from devices.telemetry import (
    UNDATED,
    BadPoint,
    Point,
    Retry,
    TelemetryAway,
    TelemetryError,
    TelemetryRefused,
    TooLarge,
)
from ingest.blame import DEATHS, Blame
from ingest.consume import Consumer
from ingest.decode import Decoder
from ingest.decoding import SharedDecodes
from ingest.forward import BACK_OFF_CAP_S, PAUSED_S, REQUEST_POINTS, Forwarder
from ingest.judge.timing import AGREED, AHEAD_MS
from ingest.ports import Bell
from ingest.rate import AT_ONCE
from tests.fakes import (
    FakeBell,
    FakeForwardStore,
    FakeJournal,
    FakeJudgeStore,
    FakeNote,
    FakeStop,
    FakeTelemetry,
    FakeTime,
)
from tests.ingest.judge.district import PLANS, START_MS, District, a_device, a_gate, a_shed

AWAY, REFUSED = TelemetryAway("timeout"), TelemetryRefused("401")
WAIT_S = 10.0  # at most, for what takes a moment


class Bench:
    """A forwarder between a journal and stores, all in memory; waits take no time."""

    def __init__(self, *fails: TelemetryError, decodes: SharedDecodes | None = None) -> None:
        self.district = District(a_gate(), *a_shed(), a_device("lamp", "lamp"))
        self.journal = FakeJournal()
        self.telemetry = FakeTelemetry(*fails)
        self.store = FakeForwardStore()
        self.time = FakeTime(START_MS)
        self.stop = FakeStop(self.time)
        self.registries = 0
        self.forwarder = self.a_forwarder(decodes)

    def a_forwarder(self, decodes: SharedDecodes | None = None, **more: Any) -> Forwarder:
        def registry() -> Any:
            self.registries += 1
            return self.district.registry

        return Forwarder(
            self.telemetry,
            self.store,
            registry,
            self.time.clock,
            decodes=decodes,
            monotonic=self.time.monotonic,
            **more,
        )

    def arrives(self) -> None:
        for record in self.district.records[len(self.journal.records) :]:
            self.journal.append(record)

    def drain(self) -> None:
        self.arrives()
        self.forwarder.drain(self.journal, self.stop)

    def points(self) -> list[Point]:
        """What the store holds, in the order of time."""
        return sorted(self.telemetry.points.values(), key=lambda point: (point.at_ms, point.device))

    def counted(self) -> Forwarded:
        """What forward's cursor remembers."""
        assert self.store.position is not None
        return msgspec.msgpack.decode(self.store.position.memory, type=Forwarded)


def ten_readings(bench: Bench) -> None:
    for n in range(10):
        bench.district.now_s = n
        bench.district.says("gate", {"board_temp_c": 20 + n})


# What becomes a point


def test_a_reading_is_a_point_of_its_device_at_its_own_time() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20, "door_state": "open"}, at_s=-5)
    bench.drain()
    assert bench.points() == [
        Point("gate", "jiaogong-xiaoqu", "gate", START_MS - 5000, {"csq": 20, "door_state": "open"})
    ]


def test_a_shed_and_its_sockets_are_points_of_their_own() -> None:
    bench = Bench()
    bench.district.says("shed", {"voltage_v": 225}, ports={"2": {"power_w": 182.0}})
    bench.drain()
    assert [(p.measurement, p.device, p.fields) for p in bench.points()] == [
        ("shed", "shed", {"voltage_v": 225.0}),
        ("port", "shed-p02", {"power_w": 182.0}),
    ]


def test_an_event_is_a_point_of_the_kinds_events() -> None:
    bench = Bench()
    bench.district.event("gate", "access", result="granted", event_id="8f", at_s=0.123)
    bench.drain()
    (point,) = bench.points()
    assert (point.measurement, point.device) == ("gate_event", "gate")
    assert point.at_ms == START_MS + 123
    assert point.fields == {"type": "access", "result": "granted", "event_id": "8f"}


@pytest.mark.parametrize(
    ("told", "is_undated"),
    [
        ({"ts": None, "boot": None, "seq": None}, True),
        ({"ts": None, "boot": None}, False),
        ({"boot": None, "seq": None}, False),
        ({"ts": 1_000_000, "boot": None, "seq": None}, False),  # 1970: still the device's own word
        ({"ts": None, "boot": None, "seq": None, "event_id": "8f"}, False),
    ],
)
def test_an_event_that_nothing_tells_from_a_repetition_says_so_in_its_point(
    told: dict[str, Any], is_undated: bool
) -> None:
    bench = Bench()
    d = bench.district
    d.event("gate", "access", result="granted", **told)
    d.says("gate", {"csq": 20}, ts=None, boot=None, seq=None)
    bench.drain()
    shown = {point.measurement: point.fields for point in bench.points()}
    assert shown["gate_event"].get(UNDATED) == (True if is_undated else None)
    assert shown["gate"] == {"csq": 20}
    counted = sum(figures.get("granted", 0) for figures in d.figures("gate").values())
    assert counted == (0 if is_undated else 1), "what the judge makes of it"


def test_a_sessions_end_is_known_by_its_order_without_number_and_time() -> None:
    bench = Bench()
    bench.district.ends("shed", 2, "17", ts=None, boot=None, seq=None)
    bench.drain()
    (point,) = bench.points()
    assert point.measurement == "port_event"
    assert UNDATED not in point.fields


def test_events_of_one_second_do_not_overwrite_each_other_nor_come_twice() -> None:
    """A clock of whole seconds: one punch gives three events."""
    bench = Bench()
    d = bench.district
    raws = [
        d.event("gate", "access", result="granted"),
        d.event("gate", "exit_button", pressed=True),
        d.event("gate", "access", result="granted"),
    ]
    d.again(*raws)
    bench.drain()
    points = bench.points()
    assert len(points) == 3
    assert {point.at_ms // 1000 for point in points} == {START_MS // 1000}


def test_what_is_quarantined_or_a_bare_sign_of_life_is_no_point() -> None:
    bench = Bench()
    d = bench.district
    d.arrives("gate", b"{")
    d.arrives("nobody", b"{}", topic="courtyard/v1/x/gate/nobody/telemetry")
    d.says("gate", {})
    d.will("gate")
    bench.drain()
    assert bench.points() == []
    assert bench.store.position is not None
    assert bench.store.position.position == 4  # and the cursor has passed them


@pytest.mark.parametrize(
    ("ts", "flags", "at_ms"),
    [
        (1_000_000, 0, START_MS),  # 1970: our time
        (4_070_908_800_000, 0, START_MS),  # 2099
        (START_MS - 3_600_000, 0, START_MS - 3_600_000),
        (None, 0, START_MS),
        (START_MS - 3_600_000, RETAINED, START_MS - 3_600_000),
        (None, RETAINED, None),  # an old copy without a time is no reading of now
    ],
)
def test_the_time_of_a_point(ts: int | None, flags: int, at_ms: int | None) -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20}, ts=ts, flags=flags)
    bench.drain()
    assert [point.at_ms for point in bench.points()] == ([] if at_ms is None else [at_ms])


@pytest.mark.parametrize("ts", [None, 1_000_000])  # none, and 1970
def test_readings_of_one_read_without_a_time_do_not_overwrite_each_other(ts: int | None) -> None:
    bench = Bench()
    d = bench.district
    d.every_message_is_a_record = False
    for n in range(3):
        d.says("gate", {"csq": n}, ts=ts)
        d.event("gate", "access", ts=ts, result="granted", method=("card", "face", "card")[n])
    d.says("lamp", {"power_w": 5.0}, ts=ts)
    d.now_s = 0.001  # the next read
    d.says("gate", {"csq": 3}, ts=ts)
    d.cut()
    d.now_s = 1
    d.says("gate", {"csq": 4}, ts=ts)
    d.cut()
    bench.drain()
    shown = [
        (p.at_ms - START_MS, p.fields["csq"]) for p in bench.points() if p.measurement == "gate"
    ]
    assert shown == [(0, 0), (1, 1), (2, 2), (3, 3), (1000, 4)]
    events = [p.at_ms - START_MS for p in bench.points() if p.measurement == "gate_event"]
    assert events == [0, 1, 2]
    before = dict(bench.telemetry.points)
    bench.store.position = None
    bench.forwarder = bench.a_forwarder()
    bench.drain()
    assert bench.telemetry.points == before, "whenever they are written"


def test_elements_of_an_array_without_a_believable_time_are_no_points() -> None:
    bench = Bench()
    sent = [{"ts": 1000, "values": {"csq": 1}}, {"ts": START_MS - 7000, "values": {"csq": 2}}]
    bench.district.arrives("gate", sent)
    bench.drain()
    assert [(p.at_ms, p.fields) for p in bench.points()] == [(START_MS - 7000, {"csq": 2})]


@pytest.mark.parametrize("step_s", [3600, -3600, -START_MS // 1000])
def test_points_keep_the_devices_time_when_the_clock_of_the_host_steps(step_s: int) -> None:
    bench = Bench()
    d = bench.district
    d.now_s += step_s
    d.control(CLOCK, {"step_s": step_s, "at_ms": d.now_ms})
    d.says("gate", {"csq": 20}, ts=START_MS)
    bench.drain()
    bench.forwarder = bench.a_forwarder()
    d.arrives("gate", [{"ts": START_MS + n, "values": {"csq": n}} for n in (1, 2)])
    bench.drain()
    assert [point.at_ms for point in bench.points()] == [START_MS, START_MS + 1, START_MS + 2]
    for n in range(AGREED):  # it was right, whatever it was before
        d.says("gate", {"csq": n}, ts=d.now_ms + n)
    d.says("gate", {"csq": 1}, ts=d.now_ms + AHEAD_MS + 1)
    bench.drain()
    assert d.now_ms + AHEAD_MS + 1 not in {point.at_ms for point in bench.points()}


def test_a_history_is_stored_from_a_time_on() -> None:
    bench = Bench()
    bench.forwarder = bench.a_forwarder(since_ms=START_MS + 5000)
    ten_readings(bench)
    bench.drain()
    assert [point.at_ms for point in bench.points()] == [START_MS + 1000 * n for n in range(5, 10)]
    assert bench.forwarder.progress.jseq == 10


# What the store answers


def test_the_cursor_moves_when_the_store_has_confirmed() -> None:
    bench = Bench()
    ten_readings(bench)
    bench.drain()
    assert len(bench.points()) == 10
    assert bench.store.position is not None
    assert (bench.store.position.position, bench.store.position.jseq) == (10, 10)
    assert bench.counted() == Forwarded(confirmed=10, dead=0)
    progress = bench.forwarder.progress
    assert (progress.confirmed, progress.requests, progress.paused) == (10, 1, "")
    assert progress.newest_received_ms == START_MS + 9000


def test_a_store_that_is_away_gets_the_same_request_again_less_and_less_often() -> None:
    bench = Bench(*[AWAY] * 12)
    ten_readings(bench)
    with capture_logs() as logs:
        bench.drain()
    assert all(request == bench.telemetry.requests[0] for request in bench.telemetry.requests)
    assert len(bench.telemetry.requests) == 13
    waits = bench.stop.waits
    assert all(wait <= BACK_OFF_CAP_S for wait in waits)
    assert waits[0] < 1 < waits[5] < waits[11]
    assert [log["event"] for log in logs] == ["telemetry_store_away", "telemetry_store_back"]
    assert bench.counted() == Forwarded(confirmed=10, dead=0)


def test_a_store_that_says_when_to_come_back_is_believed() -> None:
    bench = Bench(TelemetryAway("429", retry_after_s=7.0), TelemetryAway("503", 3600.0))
    ten_readings(bench)
    bench.drain()
    assert bench.stop.waits == [7.0, BACK_OFF_CAP_S]


def test_a_refused_token_pauses_and_nothing_is_dropped() -> None:
    bench = Bench(REFUSED, REFUSED)
    ten_readings(bench)
    paused: list[Forwarded] = []

    class Watching(FakeStop):
        def wait(self, timeout: float | None = None) -> bool:
            paused.append(bench.counted())
            return super().wait(timeout)

    bench.stop = Watching(bench.time)
    bench.drain()
    assert bench.stop.waits == [PAUSED_S, PAUSED_S]
    assert paused == [Forwarded(0, 0, Retry.AFTER_REPAIR)] * 2  # others can see why
    assert len(bench.points()) == 10
    assert bench.counted() == Forwarded(confirmed=10, dead=0)


@pytest.mark.parametrize("bad", [{3}, {0, 9}, {2, 3, 4}, set(range(10)), set()])
def test_bad_points_are_isolated_and_all_others_are_stored(bad: set[int]) -> None:
    bench = Bench()
    ten_readings(bench)
    bad_ms = {START_MS + 1000 * n for n in bad}

    def refuses(points: Sequence[Point]) -> TelemetryError | None:
        found = bad_ms & {point.at_ms for point in points}
        return BadPoint("422", dropped=len(found)) if found else None

    bench.telemetry.refuses = refuses
    with capture_logs() as logs:
        bench.drain()
    assert {point.at_ms for point in bench.points()} == {
        START_MS + 1000 * n for n in range(10) if n not in bad
    }
    assert {log["at_ms"] for log in logs if log["event"] == "point_refused"} == bad_ms
    assert bench.counted() == Forwarded(confirmed=10 - len(bad), dead=len(bad))
    assert bench.store.position is not None
    assert bench.store.position.position == 10


def test_one_bad_point_of_many_costs_a_few_requests() -> None:
    bench = Bench()
    for n in range(1000):
        bench.district.now_s = n
        bench.district.says("gate", {"csq": 20})
    bad_ms = START_MS + 777_000
    bench.telemetry.refuses = lambda points: (
        BadPoint("400") if any(point.at_ms == bad_ms for point in points) else None
    )
    bench.drain()
    assert len(bench.points()) == 999
    assert len(bench.telemetry.requests) <= 2 * 10 + 1


def test_a_request_that_is_too_large_is_halved() -> None:
    bench = Bench()
    ten_readings(bench)
    bench.telemetry.refuses = lambda points: TooLarge("413") if len(points) > 3 else None
    bench.drain()
    assert len(bench.points()) == 10
    assert [len(request) for request in bench.telemetry.requests] == [10, 5, 2, 3, 5, 2, 3]
    assert bench.counted() == Forwarded(confirmed=10, dead=0)


def test_a_point_that_is_too_large_alone_is_dead() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.telemetry.refuses = lambda _: TooLarge("413")
    bench.drain()
    assert bench.counted() == Forwarded(confirmed=0, dead=1)


def test_an_outage_in_the_middle_of_isolating_starts_nothing_anew() -> None:
    bench = Bench()
    ten_readings(bench)
    answers: list[TelemetryError | None] = [BadPoint("422"), None, AWAY, AWAY, None]
    bench.telemetry.refuses = lambda _: answers.pop(0) if answers else None
    bench.drain()
    assert len(bench.points()) == 10
    assert bench.counted() == Forwarded(confirmed=10, dead=0)


def test_requests_have_a_size_also_when_messages_are_arrays() -> None:
    bench = Bench()
    bench.district.every_message_is_a_record = False
    for n in range(40):
        elements: list[Any] = [(-100 - 400 * n - i, {"csq": 20}) for i in range(400)]
        bench.district.replays("gate", elements)
    bench.district.cut()
    bench.drain()
    assert len(bench.points()) == 16_000
    assert max(len(request) for request in bench.telemetry.requests) <= REQUEST_POINTS


# Stopping and starting


def test_what_was_not_confirmed_when_it_was_stopped_is_written_next_time() -> None:
    bench = Bench(*[AWAY] * 100)
    ten_readings(bench)
    bench.stop = FakeStop(bench.time, after=3)
    bench.drain()
    assert bench.store.position is not None  # it says that it waits, and has gone nowhere
    assert bench.store.position.position == 0
    assert bench.counted() == Forwarded(0, 0, Retry.LATER)
    bench.telemetry.fails = []
    bench.stop = FakeStop(bench.time)
    bench.forwarder = bench.a_forwarder()
    bench.drain()
    assert len(bench.points()) == 10
    assert bench.counted() == Forwarded(confirmed=10, dead=0)


def test_points_count_once_whatever_is_written_again() -> None:
    bench = Bench()
    ten_readings(bench)
    bench.store.fails = [DatabaseAway("no answer")]
    with pytest.raises(DatabaseAway):
        bench.drain()
    assert len(bench.points()) == 10  # stored, and the cursor did not move
    bench.drain()
    assert len(bench.telemetry.requests) == 2
    assert bench.counted() == Forwarded(confirmed=10, dead=0)
    assert bench.forwarder.progress.confirmed == 10


def test_it_goes_on_where_it_was_and_in_a_new_journal_from_its_start() -> None:
    bench = Bench()
    ten_readings(bench)
    bench.drain()
    bench.district.now_s = 20
    bench.district.says("gate", {"csq": 9})
    bench.forwarder = bench.a_forwarder()
    bench.drain()
    assert len(bench.telemetry.requests[-1]) == 1
    bench.journal = FakeJournal("journal-2")
    bench.district = District(a_gate())
    bench.district.now_s = 30
    bench.district.says("gate", {"csq": 9})
    bench.drain()
    assert bench.store.position is not None
    assert (bench.store.position.journal_id, bench.store.position.position) == ("journal-2", 1)
    assert bench.counted().confirmed == 12


def test_a_registry_change_is_noticed_by_whoever_decodes_alone() -> None:
    bench = Bench()
    bench.district.says("gate", {"csq": 20})
    bench.drain()
    assert bench.registries == 1
    bench.district.imports(a_gate(), a_device("gate-2", "gate"))
    bench.district.says("gate-2", {"csq": 20})
    bench.store.revision = 2
    bench.time.passes(0.5)
    bench.drain()
    assert len(bench.points()) == 1  # looked at once a second
    bench.district.says("gate-2", {"csq": 21})
    bench.time.passes(0.5)
    bench.drain()
    assert len(bench.points()) == 2
    bench.time.passes(5)
    bench.drain()
    assert bench.registries == 2  # and loaded when it has changed


# Beside the judge


def judged(shared: SharedDecodes, records: Sequence[Record], decoder: Decoder) -> None:
    for record in records:
        shared.put(record, [decoder.read(raw) for raw in record.messages])


def test_what_the_judge_decoded_is_not_decoded_again() -> None:
    time = FakeTime(START_MS)
    shared = SharedDecodes(time.monotonic)
    bench = Bench(decodes=shared)
    ten_readings(bench)
    shared.begin("journal-1")
    bench.arrives()
    judged(shared, bench.journal.records, bench.district.decoder)
    reads: list[int] = []
    bench.journal.when_read = lambda: reads.append(1)
    bench.drain()
    assert len(bench.points()) == 10
    assert (bench.registries, reads) == (0, [])


def test_what_the_judge_has_yet_to_read_is_waited_for_but_not_for_ever() -> None:
    bench = Bench()
    shared = SharedDecodes(bench.time.monotonic)
    bench.forwarder = bench.a_forwarder(shared)
    shared.begin("journal-1")
    ten_readings(bench)
    bench.arrives()
    judged(shared, bench.journal.records[:4], bench.district.decoder)
    bench.drain()
    assert len(bench.points()) == 4
    bench.time.passes(5)  # the judge's database is away
    bench.drain()
    assert len(bench.points()) == 10
    assert bench.registries == 1


def test_a_judge_that_is_at_another_journal_is_not_waited_for() -> None:
    bench = Bench()
    shared = SharedDecodes(bench.time.monotonic)
    bench.forwarder = bench.a_forwarder(shared)
    ten_readings(bench)
    bench.drain()
    shared.begin("journal-2")
    said: list[Decoded] = []
    shared.put(Record(1, MESSAGES, 1, 0, 1), said)
    bench.arrives()

    def another_file() -> None:
        raise JournalReplaced("another file")

    bench.journal.when_read = another_file
    with pytest.raises(JournalReplaced):
        bench.drain()


def test_the_loop_writes_what_comes_and_ends_when_it_is_told_to() -> None:
    bench = Bench()
    bell, stop, written = Bell(), threading.Event(), threading.Event()
    forwarder = Forwarder(
        bench.telemetry,
        bench.store,
        lambda: bench.district.registry,
        bench.time.clock,
        gather_s=0.0,
    )
    bench.store.when_moved = written.set
    thread = threading.Thread(target=forwarder.run, args=(bench.journal, bell, stop))
    thread.start()
    try:
        for n in range(3):
            written.clear()
            bench.district.now_s = n
            bench.district.says("gate", {"csq": 20})
            bench.arrives()
            bell.ring()
            assert written.wait(WAIT_S)
    finally:
        stop.set()
        bell.ring()
        thread.join(WAIT_S)
    assert not thread.is_alive()
    assert len(bench.points()) == 3


def test_a_store_that_does_not_answer_holds_nobody_up() -> None:
    """The judge goes on, and what is kept for forward meanwhile is bounded."""
    bench = Bench()
    shared = SharedDecodes()
    asked, answer, stop = threading.Event(), threading.Event(), threading.Event()

    def hangs(_: Sequence[Point]) -> None:
        asked.set()
        answer.wait(WAIT_S)

    bench.telemetry.refuses = hangs
    forwarder = bench.a_forwarder(shared, gather_s=0.0)
    judge_store = FakeJudgeStore(bench.district.registry)
    consumer = Consumer(judge_store, PLANS, bench.time.clock, stream="live", decodes=shared)
    bench.district.says("gate", {"csq": 20})
    bench.arrives()
    consumer.drain(bench.journal)
    thread = threading.Thread(target=forwarder.run, args=(bench.journal, Bell(), stop))
    thread.start()
    try:
        assert asked.wait(WAIT_S)
        for n in range(1, 300):
            bench.district.now_s = n
            bench.district.says("gate", {"tamper": n % 2 == 0})
            bench.district.probe()
        bench.arrives()
        consumer.drain(bench.journal)
        assert consumer.progress.jseq == 300
        assert judge_store.rows.faults
        assert bench.store.position is None
    finally:
        stop.set()
        answer.set()
        thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_journal_or_database_that_is_away_is_waited_for() -> None:
    bench = Bench()
    ten_readings(bench)
    bench.arrives()
    bench.journal.fails = [JournalReplaced("another file"), JournalReplaced("and again")]
    bench.store.fails = [DatabaseAway("no answer")]
    stop = FakeStop(bench.time, after=12)
    with capture_logs() as logs:
        bench.forwarder.run(bench.journal, FakeBell(bench.time, stop), stop)
    assert len(bench.points()) == 10
    assert bench.counted() == Forwarded(confirmed=10, dead=0)
    assert {log["event"] for log in logs} == {"forward_waits"}


# Of what is one too many


def test_a_danger_by_the_rule_file_in_force_is_stored_of_what_is_one_too_many() -> None:
    points = []
    for body in ("", "[[override]]\nSHED_LEAKAGE.raises = '>=20'\n"):
        bench = Bench()
        bench.store.rules = RuleSet(1, body)
        bench.district.every_message_is_a_record = False
        for _ in range(AT_ONCE):
            bench.district.says("shed", {"csq": 20})
        bench.district.says("shed", {"csq": 20, "leakage_ma": 25.0})
        bench.district.cut()
        bench.drain()
        points.append(bench.points()[-1].fields)
    assert points == [{"csq": 20}, {"leakage_ma": 25.0}]


# Messages that were judged again


def run(bench: Bench, waits: int = 12, **more: Any) -> None:
    """A start, and the loop for so many waits."""
    stop = FakeStop(bench.time, after=waits)
    forwarder = bench.a_forwarder(**more)
    forwarder.run(bench.journal, FakeBell(bench.time, stop), stop)


def five_that_were_judged_again(bench: Bench) -> None:
    for n in range(5):
        bench.district.now_s = 10 * n
        bench.district.says("gate", {"csq": 20 + n})
    for number, raw in enumerate(bench.district.messages(), 3):
        bench.store.again.append((number, raw))
    bench.store.again.insert(2, (4, None))  # one that stayed refused


def test_the_points_of_messages_that_were_judged_again_are_written() -> None:
    bench = Bench()
    five_that_were_judged_again(bench)
    run(bench)
    assert len(bench.points()) == 5
    assert bench.counted() == Forwarded(confirmed=5, replayed=7)
    run(bench)
    assert len(bench.telemetry.requests) == 3, "two at a time, and each once"


@pytest.mark.parametrize("fails", range(3))
def test_a_start_in_between_writes_them_to_their_places(fails: int) -> None:
    bench = Bench()
    five_that_were_judged_again(bench)

    def killed() -> None:
        if len(bench.store.moves) == fails + 1:
            raise KeyboardInterrupt

    bench.store.when_moved = killed
    with pytest.raises(KeyboardInterrupt):
        run(bench)
    bench.store.when_moved = lambda: None
    run(bench)
    assert len(bench.points()) == 5
    assert bench.counted().replayed == 7


def test_they_wait_for_a_store_that_is_away_and_its_pause_keeps_how_far_they_are() -> None:
    bench = Bench(AWAY, REFUSED)
    five_that_were_judged_again(bench)
    with capture_logs():
        run(bench, waits=30)
    assert len(bench.points()) == 5
    assert bench.counted() == Forwarded(confirmed=5, replayed=7)


def test_they_are_read_by_the_registry_of_now() -> None:
    bench = Bench()
    five_that_were_judged_again(bench)
    again, bench.store.again = bench.store.again, []
    bench.arrives()
    run(bench, waits=2)
    asked = bench.registries
    bench.store.again = again
    bench.store.revision += 1  # an import, in the second in which the judge judged them again
    run(bench)
    assert bench.registries > asked


# Messages that kill


class Killed(BaseException):
    """The process ends here."""


class Deadly(bytes):
    """A topic that kills whoever decodes its message."""

    def __hash__(self) -> int:
        raise Killed


def a_deadly_bench() -> Bench:
    bench = Bench()
    bench.district.every_message_is_a_record = False
    for n in range(6):
        bench.district.now_s = 10 * n
        bench.district.says("gate", {"csq": 20 + n})
        if n == 2:
            bench.district.cut()
    bench.district.cut()
    bench.arrives()
    record = bench.journal.records[1]
    messages = list(record.messages)
    messages[1] = messages[1]._replace(topic=Deadly(messages[1].topic))
    bench.journal.records[1] = replace(record, messages=tuple(messages))
    return bench


def test_a_message_that_kills_is_given_up_and_the_others_are_written() -> None:
    bench = a_deadly_bench()
    note, deaths = FakeNote(), 0
    with capture_logs():
        while True:
            try:
                run(bench, blame=Blame(note))
            except Killed:
                deaths += 1
                assert deaths < 20
            else:
                break
    assert deaths == 2 * DEATHS
    assert len(bench.points()) == 5


def test_what_the_judge_has_given_up_is_not_decoded_here() -> None:
    bench = a_deadly_bench()
    bench.store.killed = frozenset({5})
    run(bench)
    assert len(bench.points()) == 5


def test_what_the_judge_may_have_died_of_is_not_read_before_it() -> None:
    bench = a_deadly_bench()
    judging = FakeNote()
    Blame(judging).take("journal-1", 2)
    with capture_logs():
        judge = Blame(judging)
        run(bench, waits=5, blame=Blame(FakeNote(), first=judge))
    assert not bench.points(), "nothing is read here"
    stop = FakeStop(bench.time, after=8)

    def given_up() -> bool:
        """Meanwhile the judge gets past it."""
        if len(stop.waits) == 2:
            judge.take("journal-1", 2)
            bench.store.killed = frozenset({5})
            judge.committed()
        return False

    forwarder = bench.a_forwarder(blame=Blame(FakeNote(), first=judge))
    forwarder.run(bench.journal, FakeBell(bench.time, stop, given_up), stop)
    assert len(bench.points()) == 5
