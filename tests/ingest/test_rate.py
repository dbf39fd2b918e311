"""How many messages a device may send, and what of the others is judged and stored all the same."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.faults import State
from devices.journal import CLOCK, LINK, MESSAGES, PROBE, RETAINED, START, TICK, Record
from devices.messages import Reason
from devices.telemetry import TelemetryAway
from ingest.judge.timing import TICKS_WITHOUT_PROBE
from ingest.rate import AT_ONCE, PER_S, STEP_MS, WHOLE_MS, Allowance, Limit
from tests.fakes import FakeStop
from tests.ingest.judge.district import PLANS, START_MS, District, a_device, a_gate, a_shed
from tests.ingest.test_forward import Bench

T = START_MS


def taken(arrivals: list[int], allowance: Allowance | None = None) -> list[bool]:
    """Which of the messages received then are allowed, of one device."""
    allowance = allowance or Allowance()
    whole_ms, answers = 0, []
    for received_ms in arrivals:
        after_ms = allowance.charged(whole_ms, received_ms)
        answers.append(after_ms is not None)
        whole_ms = whole_ms if after_ms is None else after_ms
    return answers


# The bucket


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    assert taken([T] * (AT_ONCE + 1)) == [True] * AT_ONCE + [False]
    later = taken([T] * (AT_ONCE + 5) + [T + 1000] * (PER_S + 3))
    assert later[-PER_S - 3 :] == [True] * PER_S + [False] * 3
    rested = taken([T] * AT_ONCE + [T + WHOLE_MS] * (AT_ONCE + 1))
    assert rested == [True] * 2 * AT_ONCE + [False]


@pytest.mark.parametrize("hours", [1])
def test_a_device_that_keeps_to_the_rate_is_never_refused(hours: int) -> None:
    assert all(taken([T + STEP_MS * n for n in range(hours * 3600 * PER_S)]))


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=200), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_no_stretch_of_time_has_more_than_its_share(steps_ms: list[int], each: int) -> None:
    at_ms, arrivals = T, []
    for step_ms in steps_ms:
        at_ms += step_ms
        arrivals += [at_ms] * each
    passed = [at for at, ok in zip(arrivals, taken(arrivals), strict=True) if ok]
    for first in range(0, len(passed), 97):
        for last in range(first, len(passed), 101):
            share = AT_ONCE + (passed[last] - passed[first]) // STEP_MS
            assert last - first + 1 <= share


@pytest.mark.parametrize("back_ms", [3_000, 60_000, 3_600_000, T])
def test_a_clock_that_is_put_back_costs_a_usual_device_nothing(back_ms: int) -> None:
    before = [T + 1000 * n for n in range(100)]
    assert all(taken(before + [before[-1] - back_ms + 1000 * n for n in range(500)]))


# The backlog


def controls(*steps: tuple[str, dict[str, Any]]) -> Allowance:
    allowance = Allowance()
    for kind, control in steps:
        allowance.control(kind, control)
    return allowance


UP = (LINK, {"up": True, "session_present": True, "at_ms": T})
DOWN = (LINK, {"up": False, "session_present": False, "at_ms": T})


def probe(sent_ms: int, at_ms: int | None = None) -> tuple[str, dict[str, Any]]:
    return PROBE, {"n": 1, "sent_ms": sent_ms, "at_ms": sent_ms + 40 if at_ms is None else at_ms}


def tick(at_ms: int) -> tuple[str, dict[str, Any]]:
    return TICK, {"at_ms": at_ms}


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        ([], True),
        ([(START, {"at_ms": T})], True),
        ([UP], False),
        ([UP, DOWN], False),
        ([UP, probe(T - 5000, T + 10)], False),  # one of before, out of the queue
        ([UP, probe(T + 5000)], True),
        ([UP, probe(T + 5000), DOWN], True),
        ([UP, probe(T + 5000), UP], False),
        ([UP, *[tick(T + 5000 * n) for n in range(TICKS_WITHOUT_PROBE - 1)]], False),
        ([UP, *[tick(T + 5000 * n) for n in range(TICKS_WITHOUT_PROBE)]], True),
        ([probe(T - 9000), UP, *[tick(T + 5000 * n) for n in range(20)]], False),
        ([UP, (CLOCK, {"step_s": -3600, "at_ms": T - 3_600_000}), probe(T - 3_595_000)], True),
    ],
)
def test_a_backlog_is_not_counted_until_a_probe_of_this_link_is_back(
    steps: list[tuple[str, dict[str, Any]]], counted: bool
) -> None:
    allowance = controls(*steps)
    assert all(taken([T] * (AT_ONCE + 1), allowance)) is not counted
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(allowance), type=Allowance)
    assert kept == allowance


# The judge


def flood(d: District, count: int, device: str = "gate", **values: Any) -> None:
    """So many messages at one moment."""
    d.every_message_is_a_record = False
    for _ in range(count):
        d.says(device, {"csq": 20, **values})
    d.cut()
    d.every_message_is_a_record = True


def a_flooded_shed() -> District:
    """A shed that has used up its allowance."""
    d = District(a_gate(), *a_shed(), a_device("lift", "lift"))
    flood(d, AT_ONCE, "shed")
    return d


def test_the_excess_of_a_flood_is_quarantined_and_counted_and_others_are_not_touched() -> None:
    d = District(a_gate(), a_gate("other"))
    for second in range(5):
        d.now_s = second
        flood(d, 2000)
        d.says("other", {"csq": 20})
    allowed = AT_ONCE + 4 * PER_S
    assert d.account() == {"stored": allowed + 5, "quarantined rate_limited": 10_000 - allowed}
    kept = list(d.store.rows.refused.values())
    assert len(kept) == 1000
    assert sum(row.payload is not None for row in kept) == 100
    assert {(row.device, row.reason) for row in kept} == {("gate", Reason.RATE_LIMITED)}
    assert d.judge.memories["gate"].last_seen_ms == d.now_ms  # it is there


def test_a_message_that_is_one_too_many_is_none_once_it_is_sent_again_later() -> None:
    d = District(a_gate())
    flood(d, AT_ONCE)
    raw = d.says("gate", {"csq": 25})
    d.now_s = 1
    d.again(raw._replace(received_ms=d.now_ms))
    assert d.account() == {"stored": AT_ONCE + 1, "quarantined rate_limited": 1}
    assert d.judge.memories["gate"].word("csq") == 25


@pytest.mark.parametrize(
    ("values", "ports", "fault"),
    [
        ({"smoke": True, "csq": 3}, None, "shed SHED_SMOKE"),
        ({"leakage_ma": 40, "csq": 3}, None, "shed SHED_LEAKAGE"),
        ({"csq": 3}, {"1": {"port_temp_c": 95, "power_w": 3}}, "shed-p01 PORT_OVERTEMP"),
        ({"csq": 3}, {"2": {"port_status": "paused_smoke", "power_w": 3}}, "shed SHED_SMOKE"),
        ({"csq": 3}, {"2": {"port_status": "relay_stuck"}}, "shed-p02 PORT_RELAY_STUCK"),
    ],
)
def test_a_danger_in_the_excess_raises_its_fault_and_the_rest_is_rejected(
    values: dict[str, Any], ports: dict[str, dict[str, Any]] | None, fault: str
) -> None:
    d = a_flooded_shed()
    raw = d.says("shed", values, ports=ports)
    assert set(d.standing()) == {fault}
    assert d.account() == {"stored": AT_ONCE + 1, "partial": 1, "part rate_limited": 1}
    assert d.judge.memories["shed"].word("csq") == 20
    assert d.judge.memories["shed-p01"].word("power_w") is None
    d.again(raw)
    assert d.account()["duplicate"] == 1


def test_a_session_and_a_person_trapped_in_the_excess_are_judged() -> None:
    d = a_flooded_shed()
    d.starts("shed", 1, "1001")
    d.ends("shed", 1, "1001", session_energy_kwh=0.5)
    flood(d, AT_ONCE, "lift")
    d.event("lift", "trapped", active=True)
    assert d.state("lift", "LIFT_TRAPPED") is State.OPEN
    d.event("lift", "trapped", active=False)
    assert d.state("lift", "LIFT_TRAPPED") is State.CLEARED
    assert d.account() == {"stored": 2 * AT_ONCE + 4}
    assert d.figures("shed-p01")[0]["sessions"] == 1


def test_what_is_well_or_no_danger_is_not_spared() -> None:
    d = a_flooded_shed()
    flood(d, AT_ONCE)
    d.says("shed", {"smoke": False, "board_temp_c": 30}, ports={"1": {"power_w": 180}})
    d.event("shed", "shed_alarm", what="door_open", active=True)
    d.event("gate", "access", result="granted")
    d.will("shed")
    assert d.account() == {"stored": 2 * AT_ONCE, "quarantined rate_limited": 4}
    assert d.standing() == {}


def test_of_an_array_only_the_dangers_are_taken_and_the_others_may_still_come() -> None:
    d = a_flooded_shed()
    elements = [
        {"ts": d.now_ms, "boot": 1, "seq": AT_ONCE + n, "values": {"csq": 20, "smoke": n == 3}}
        for n in range(6)
    ]
    d.arrives("shed", elements)
    assert d.account() == {"stored": AT_ONCE + 1, "partial": 1, "part rate_limited": 6}
    assert set(d.standing()) == {"shed SHED_SMOKE"}
    d.now_s = 1
    for element in elements:
        d.arrives("shed", element)
    assert d.account()["stored"] == AT_ONCE + 6
    assert d.account()["duplicate"] == 1


def test_what_could_not_be_used_and_old_copies_use_up_nothing() -> None:
    d = District(a_gate())
    d.every_message_is_a_record = False
    for _ in range(AT_ONCE + 1):
        d.arrives("gate", b"{")
        d.says("gate", {"csq": 20}, seq=0, flags=RETAINED)
    d.cut()
    d.every_message_is_a_record = True
    d.says("gate", {"csq": 20}, seq=1)
    assert "quarantined rate_limited" not in d.account()


def test_the_backlog_after_a_link_up_is_judged_whole_and_uses_up_nothing() -> None:
    d = District(a_gate())
    d.control(LINK, {"up": True, "session_present": True, "at_ms": d.now_ms})
    flood(d, 3 * AT_ONCE)
    d.restart()
    flood(d, AT_ONCE)
    d.now_s = 5
    d.probe()
    flood(d, AT_ONCE)
    assert d.account() == {"stored": 5 * AT_ONCE}
    flood(d, 1)
    assert d.account() == {"stored": 5 * AT_ONCE, "quarantined rate_limited": 1}


@pytest.mark.parametrize("seed", range(4))
def test_judge_and_forward_refuse_the_same_wherever_they_are_restarted(seed: int) -> None:
    """What is stored is written, and nothing else, whoever decoded it."""
    rng = Random(seed)
    bench = Bench()
    d = bench.district
    sent = 0
    for _ in range(60):
        d.now_s += rng.choice((0, 0.01, 1, 20))
        device = rng.choice(("gate", "shed"))
        chance = rng.random()
        if chance < 0.04:
            d.control(LINK, {"up": True, "session_present": True, "at_ms": d.now_ms})
        elif chance < 0.3:
            d.probe()
        else:
            d.every_message_is_a_record = False
            for _ in range(rng.choice((1, 30, 700, 1500))):
                sent += 1  # each has a time, so a place, of its own
                smoke = {"smoke": rng.random() < 0.01} if device == "shed" else {}
                d.says(device, {"csq": 20, **smoke}, at_s=d.now_s - 200_000 + sent)
            d.cut()
        if rng.random() < 0.2:
            d.restart()
        if rng.random() < 0.2:
            bench.drain()
        if rng.random() < 0.2:
            bench.forwarder = bench.a_forwarder()
    bench.drain()
    account = d.account()
    assert account["quarantined rate_limited"] > 0
    assert len(bench.points()) == account["stored"]
    partial = [point for point in bench.points() if point.fields == {"smoke": True}]
    assert len(partial) == account["partial"]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_forward_reads_again_is_charged_from_where_its_cursor_stands(restarts: bool) -> None:
    bench = Bench(TelemetryAway("timeout"))
    flood(bench.district, AT_ONCE - 1)
    bench.arrives()
    bench.forwarder.drain(bench.journal, FakeStop(bench.time, after=1))  # it is away, and we stop
    assert bench.points() == []
    if restarts:
        bench.forwarder = bench.a_forwarder()
        bench.drain()
    else:
        bench.forwarder.step(bench.journal, bench.stop)
    flood(bench.district, 2)
    bench.arrives()
    bench.forwarder.step(bench.journal, bench.stop)
    assert bench.forwarder.progress.confirmed == AT_ONCE


def test_what_is_remembered_of_the_rates_are_devices_that_are_not_at_rest() -> None:
    bench = Bench()
    d = bench.district
    flood(d, 50)
    d.now_s = 1
    flood(d, 1, "shed")
    bench.drain()
    assert bench.store.position is not None
    kept = msgspec.msgpack.decode(bench.store.position.memory)
    assert kept["whole_ms"] == {"gate": T + 50 * STEP_MS, "shed": T + 1000 + STEP_MS}
    d.now_s = 60
    flood(d, 1, "lamp")
    bench.drain()
    kept = msgspec.msgpack.decode(bench.store.position.memory)
    assert set(kept["whole_ms"]) == {"lamp"}


def test_a_message_that_is_spared_leaves_what_others_read_as_it_is() -> None:
    d = a_flooded_shed()
    record = d.records[-1]
    raw = d.says("shed", {"smoke": True, "csq": 3})
    limit = Limit(PLANS)
    said = d.decoder.decode(raw)
    over = Record(9, MESSAGES, 1, 1, 1, (raw,))
    limit.allowed(record, [d.decoder.read(one) for one in record.messages])
    (spared,) = limit.allowed(over, [said])
    assert said.items[0].reports[0].values == {"smoke": True, "csq": 3}
    assert spared is not said
    assert said.rejected == []
