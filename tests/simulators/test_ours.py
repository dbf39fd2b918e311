"""Troubles of our own side: what a journal shows of them, and that nothing else is touched."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from devices.journal import DUP, LINK, MESSAGES, PROBE, START, STOP, TICK
from simulators.fleet import Fleet
from simulators.history import Draft, Reception, write_history
from simulators.ours import STORM_MS, Trouble
from simulators.truth import Fact
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, a_district, at
from tests.simulators.test_history import FakeSink

START_MS = at("2026-11-23T18:00")
AWAY_MS, BACK_MS = START_MS + 20 * MINUTE_MS, START_MS + 30 * MINUTE_MS


def played(*troubles: Trouble, chunks: int = 1) -> tuple[list[Draft], list[Fact]]:
    """An hour of a few compounds, in so many chunks."""
    facts: list[Fact] = []
    sink = FakeSink()
    fleet = Fleet(a_district(6), 2, START_MS, truth=facts.append)
    reception = Reception(fleet, START_MS, troubles)
    probe = 1
    for n in range(chunks):
        begin = START_MS + n * HOUR_MS // chunks
        written = write_history(
            fleet,
            begin,
            begin + HOUR_MS // chunks,
            sink,
            first_probe=probe,
            opens=n == 0,
            closes=n == chunks - 1,
            reception=reception,
        )
        probe = written.next_probe
    return sink.drafts, [fact for fact in facts if fact.scope == "platform"]


def a_trouble(kind: str, **wanted: float) -> Trouble:
    return Trouble(kind, AWAY_MS, BACK_MS - AWAY_MS, wanted)


def sent(drafts: Sequence[Draft]) -> Counter[tuple[bytes, bytes]]:
    return Counter((raw.topic, raw.payload) for draft in drafts for raw in draft.messages)


def controls(drafts: Sequence[Draft], kind: str) -> list[int]:
    return [int(d.control["at_ms"]) for d in drafts if d.kind == kind and d.control is not None]


def test_what_the_broker_kept_comes_when_receive_is_back_and_nothing_is_lost() -> None:
    usual, _ = played()
    drafts, facts = played(a_trouble("receive_down"))
    assert sent(drafts) == sent(usual)
    received = [raw.received_ms for draft in drafts for raw in draft.messages]
    assert all(one <= two for one, two in pairwise(received))
    assert not [ms for ms in received if AWAY_MS < ms < BACK_MS]
    assert controls(drafts, STOP)[0] == AWAY_MS
    assert BACK_MS in controls(drafts, START)
    assert not [ms for ms in controls(drafts, PROBE) if AWAY_MS < ms < BACK_MS]
    assert not [ms for ms in controls(drafts, TICK) if AWAY_MS < ms < BACK_MS]
    assert [(fact.kind, fact.start_ms, fact.end_ms) for fact in facts] == [
        ("receive_down", AWAY_MS, BACK_MS)
    ]


def test_a_lost_connection_has_ticks_and_no_probes() -> None:
    drafts, _ = played(a_trouble("link_lost"))
    assert len([ms for ms in controls(drafts, TICK) if AWAY_MS < ms < BACK_MS]) > 100
    assert not [ms for ms in controls(drafts, PROBE) if AWAY_MS < ms < BACK_MS]
    links = [d.control for d in drafts if d.kind == LINK and d.control is not None]
    assert [link["up"] for link in links] == [True, False, True]
    assert links[-1]["session_present"] is True


def test_a_sleeping_host_says_nothing_not_even_that_it_stops() -> None:
    drafts, _ = played(a_trouble("host_asleep"))
    assert len(controls(drafts, STOP)) == 1  # the one at the end
    assert len(controls(drafts, START)) == 1
    assert sent(drafts) == sent(played()[0])


def test_a_broker_that_forgets_its_session_costs_the_messages_of_that_time() -> None:
    drafts, _ = played(a_trouble("session_lost"))
    usual, _ = played()
    lost = sent(usual) - sent(drafts)
    assert sum(lost.values()) > 100
    assert sent(drafts) - sent(usual) == Counter()
    links = [d.control for d in drafts if d.kind == LINK and d.control is not None]
    assert links[-1]["session_present"] is False


def test_after_a_storm_the_whole_fleet_is_back_within_ten_seconds_with_what_it_kept() -> None:
    trouble = Trouble("broker_storm", AWAY_MS, 60_000)
    drafts, facts = played(trouble)
    births = [
        raw.received_ms
        for draft in drafts
        for raw in draft.messages
        if raw.topic.endswith(b"/status") and raw.received_ms > AWAY_MS
    ]
    links = len(Fleet(a_district(6), 2, START_MS).links)
    assert len(births) == links
    assert max(births) - min(births) <= STORM_MS + 1_000
    arrays = [raw for d in drafts for raw in d.messages if raw.payload.startswith(b"[")]
    assert len(arrays) >= links
    assert not [raw for d in drafts for raw in d.messages if raw.payload == b'{"state":"offline"}']
    assert facts[0].end_ms == AWAY_MS + 60_000 + STORM_MS


def test_some_come_twice_and_say_so() -> None:
    drafts, _ = played(a_trouble("duplicates", share=0.3))
    usual, _ = played()
    again = sent(drafts) - sent(usual)
    inside = [
        raw for d in drafts for raw in d.messages if AWAY_MS <= raw.received_ms <= BACK_MS + 1_000
    ]
    assert 0.25 <= sum(again.values()) / (len(inside) - sum(again.values())) <= 0.35
    assert sum(raw.flags == DUP for raw in inside) == sum(again.values())


def test_messages_out_of_order_are_all_there() -> None:
    drafts, _ = played(a_trouble("disorder", window=50))
    usual, _ = played()
    assert sent(drafts) == sent(usual)
    order = [raw.payload for d in drafts if d.kind == MESSAGES for raw in d.messages]
    assert order != [raw.payload for d in usual if d.kind == MESSAGES for raw in d.messages]
    received = [raw.received_ms for d in drafts for raw in d.messages]
    assert all(one <= two for one, two in pairwise(received))


@pytest.mark.parametrize("kind", ["receive_down", "link_lost", "broker_storm", "session_lost"])
def test_an_outage_may_lie_across_the_border_of_two_chunks(kind: str) -> None:
    whole, _ = played(a_trouble(kind))
    parts, _ = played(a_trouble(kind), chunks=5)
    assert sent(parts) == sent(whole)
    numbers = [d.control["n"] for d in parts if d.kind == PROBE and d.control is not None]
    assert numbers == sorted(set(numbers))
