"""What the judge has read, for forward to take over."""

import threading

from devices.journal import MESSAGES, PROBE, Raw, Record
from devices.messages import Decoded
from ingest.decoding import KEPT_MESSAGES, KEPT_RECORDS, PATIENCE_S, SharedDecodes
from tests.fakes import FakeTime

RAW = Raw(b"t", b"{}", 0, 0, "x")
SAID = Decoded(None, [])


def a_record(record: int, messages: int = 1) -> Record:
    kind = MESSAGES if messages else PROBE
    return Record(record, kind, 1, messages, 1, (RAW,) * messages)


def a_shared(time: FakeTime | None = None) -> SharedDecodes:
    shared = SharedDecodes((time or FakeTime()).monotonic)
    shared.begin("journal-1")
    return shared


def put(shared: SharedDecodes, *records: Record) -> None:
    for record in records:
        shared.put(record, [SAID] * record.count)


def test_a_record_is_taken_over_once() -> None:
    shared = a_shared()
    record = a_record(1, 3)
    put(shared, record)
    assert shared.take("journal-1", 1) == (record, [SAID] * 3)
    assert shared.take("journal-1", 1) is None
    assert shared.take("journal-1", 2) is None


def test_records_of_another_journal_have_the_same_numbers_and_are_others() -> None:
    shared = a_shared()
    put(shared, a_record(1))
    assert shared.take("journal-2", 1) is None
    shared.begin("journal-2")
    assert shared.take("journal-2", 1) is None
    put(shared, a_record(1))
    assert shared.take("journal-1", 1) is None
    assert shared.take("journal-2", 1) is not None


def test_the_oldest_are_forgotten_when_there_are_too_many_messages() -> None:
    shared = a_shared()
    count = KEPT_MESSAGES // 1000 + 5
    put(shared, *(a_record(n, 1000) for n in range(1, count + 1)))
    assert [n for n in range(1, count + 1) if shared.take("journal-1", n)] == list(
        range(6, count + 1)
    )


def test_records_without_messages_are_bounded_as_well() -> None:
    shared = a_shared()
    put(shared, *(a_record(n, 0) for n in range(1, KEPT_RECORDS + 11)))
    assert shared.take("journal-1", 10) is None
    assert shared.take("journal-1", 11) is not None


def test_a_record_that_is_judged_again_counts_once() -> None:
    shared = a_shared()
    for _ in range(3):
        put(shared, *(a_record(n, 1000) for n in range(1, 31)))
    assert all(shared.take("journal-1", n) for n in range(1, 31))
    put(shared, a_record(31, 1000))
    assert shared.take("journal-1", 31) is not None


def test_what_the_judge_has_yet_to_read_will_come_while_it_is_at_work() -> None:
    time = FakeTime()
    shared = a_shared(time)
    put(shared, a_record(5))
    assert shared.will_come("journal-1", 6)
    assert not shared.will_come("journal-1", 4)  # it has passed that
    assert not shared.will_come("journal-2", 6)  # it does not read that one
    time.passes(PATIENCE_S)
    assert not shared.will_come("journal-1", 6)  # it does nothing


def test_whoever_waits_is_woken_by_the_record() -> None:
    shared = a_shared()
    woken = threading.Event()

    def wait() -> None:
        shared.wait("journal-1", 1, 10)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    put(shared, a_record(1))
    assert woken.wait(10)
    thread.join(10)


def test_nobody_waits_for_a_journal_that_is_no_longer_read() -> None:
    shared = a_shared()
    shared.begin("journal-2")
    shared.wait("journal-1", 1, 10)  # returns at once
