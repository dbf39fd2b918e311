"""A history is what a receiver's journal would hold: batches, probes and ticks in one order."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from devices.journal import LINK, MESSAGES, PROBE, START, STOP, TICK
from simulators.anomalies import DEMO
from simulators.fleet import Fleet
from simulators.history import Draft, Written, write_history
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, a_district, at

START_MS = at("2026-11-23T18:00")


class FakeSink:
    """Keeps what was committed; raises the next of `fails` first, if any is left."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = list(fails)
        self.drafts: list[Draft] = []
        self.commits = 0

    def commit(self, drafts: Sequence[Draft]) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.commits += 1
        self.drafts += drafts


def a_fleet(start_ms: int = START_MS, compounds: int = 8) -> Fleet:
    return Fleet(a_district(compounds), 2, start_ms, DEMO)


def test_it_holds_every_message_of_the_fleet_and_nothing_else() -> None:
    sink = FakeSink()
    written = write_history(a_fleet(), START_MS, START_MS + HOUR_MS, sink)
    held = [raw for draft in sink.drafts for raw in draft.messages]
    sent = list(a_fleet().messages(START_MS + HOUR_MS))
    assert [(raw.topic.decode(), raw.payload) for raw in held] == [
        (message.topic, message.payload) for message in sent
    ]
    assert written.messages == len(sent)
    assert written.records == len(sink.drafts)
    assert written.to_ms == START_MS + HOUR_MS


def test_receive_times_never_fall_and_follow_the_sending_closely() -> None:
    sink = FakeSink()
    write_history(a_fleet(), START_MS, START_MS + HOUR_MS, sink)
    sent = list(a_fleet().messages(START_MS + HOUR_MS))
    held = [raw for draft in sink.drafts for raw in draft.messages]
    assert all(one.received_ms <= two.received_ms for one, two in pairwise(held))
    for raw, message in zip(held, sent, strict=True):
        assert 20 <= raw.received_ms - message.at_ms <= 200
        assert raw.origin == message.connection.rsplit("-gateway")[0].rsplit("-shed")[0]


def test_batches_are_cut_by_size_and_by_time() -> None:
    sink = FakeSink()
    write_history(a_fleet(compounds=60), START_MS, START_MS + 5 * MINUTE_MS, sink)
    for draft in sink.drafts:
        if draft.kind == MESSAGES:
            assert 1 <= len(draft.messages) <= 1_000
            assert draft.messages[-1].received_ms - draft.messages[0].received_ms < 5_000


def test_probes_come_in_step_and_behind_what_was_sent_before_them() -> None:
    sink = FakeSink()
    write_history(a_fleet(), START_MS, START_MS + 10 * MINUTE_MS, sink, probe_ms=10_000)
    controls = [draft.control for draft in sink.drafts if draft.kind == PROBE]
    probes = [control for control in controls if control is not None]
    assert len(probes) == 59
    assert [probe["n"] for probe in probes] == list(range(1, 60))
    assert {int(b["sent_ms"]) - int(a["sent_ms"]) for a, b in pairwise(probes)} == {10_000}
    newest = 0
    for draft in sink.drafts:
        for raw in draft.messages:
            newest = raw.received_ms
        if draft.kind == PROBE and draft.control is not None:
            assert int(draft.control["at_ms"]) >= newest
    kinds = [draft.kind for draft in sink.drafts]
    assert all(kinds[n + 1] == TICK for n, kind in enumerate(kinds) if kind == PROBE)


def test_it_opens_and_closes_like_a_receiver() -> None:
    sink = FakeSink()
    write_history(a_fleet(), START_MS, START_MS + MINUTE_MS, sink)
    assert [draft.kind for draft in sink.drafts[:2]] == [START, LINK]
    assert sink.drafts[-1].kind == STOP


def test_chunks_follow_each_other_without_a_seam() -> None:
    whole, parts = FakeSink(), FakeSink()
    write_history(a_fleet(), START_MS, START_MS + HOUR_MS, whole)
    fleet, probe = a_fleet(), 1
    for n in range(4):
        begin = START_MS + n * HOUR_MS // 4
        written = write_history(
            fleet,
            begin,
            begin + HOUR_MS // 4,
            parts,
            first_probe=probe,
            opens=n == 0,
            closes=n == 3,
        )
        probe = written.next_probe
    messages = [(r.topic, r.payload) for d in whole.drafts for r in d.messages]
    assert [(r.topic, r.payload) for d in parts.drafts for r in d.messages] == messages
    numbers = [d.control["n"] for d in parts.drafts if d.kind == PROBE and d.control]
    assert numbers == sorted(set(numbers))


def test_it_stops_when_asked_and_says_how_far_it_came() -> None:
    sink = FakeSink()
    seen: list[int] = []
    written = write_history(
        a_fleet(compounds=60),
        START_MS,
        START_MS + HOUR_MS,
        sink,
        progress=seen.append,
        stop=lambda: len(seen) >= 2,
    )
    assert sink.commits == 2
    assert written.to_ms == seen[-1] < START_MS + HOUR_MS
    held = [raw for draft in sink.drafts for raw in draft.messages]
    expected = list(a_fleet(compounds=60).messages(written.to_ms))
    assert len(held) == len(expected) == written.messages


def test_a_sink_that_fails_ends_it_with_its_own_error() -> None:
    with pytest.raises(OSError, match="disk"):
        write_history(a_fleet(), START_MS, START_MS + MINUTE_MS, FakeSink(OSError("disk full")))


def test_a_fleet_that_is_further_already_is_refused() -> None:
    fleet = a_fleet()
    for _ in fleet.messages(START_MS + MINUTE_MS):
        pass
    with pytest.raises(ValueError, match="already"):
        write_history(fleet, START_MS, START_MS + HOUR_MS, FakeSink())


def test_the_same_history_is_the_same_to_the_byte() -> None:
    def once() -> tuple[Written, list[Draft]]:
        sink = FakeSink()
        return write_history(a_fleet(), START_MS, START_MS + HOUR_MS, sink), sink.drafts

    assert once() == once()
