"""Numbers of a device's own counter that did not come: DEV_DATA_GAP, raised, filled, given up."""

from random import Random
from typing import Any

import pytest

from devices.faults import State, Why
from ingest.judge.identity import WINDOW
from ingest.judge.lasting import LOOK_AT_GAP_MS
from ingest.judge.signs import GIVE_UP_MS
from tests.ingest.judge.district import District, a_device, a_gate, a_shed

GAP = "DEV_DATA_GAP"
HOUR_S = 3600
LOOK_S = LOOK_AT_GAP_MS / 1000


def a_district() -> District:
    return District(a_gate(), *a_shed(), a_device("lamp", "lamp"))


def sends(d: District, *seqs: int, boot: int | None = 1, device: str = "gate") -> None:
    """One message a second with these numbers."""
    for seq in seqs:
        d.now_s += 1
        d.says(device, {"csq": 20}, seq=seq, boot=boot)


def waits(d: District, seconds: float, device: str = "gate") -> None:
    """Time passes, and the device is heard of under no number."""
    for _ in d.moments(seconds):
        if round(d.now_s) % 30 < 5:
            d.says(device, {"csq": 20}, seq=None)


@pytest.mark.parametrize("boot", [1, None])
def test_a_gap_is_a_fault_after_an_hour_and_says_what_is_missing(boot: int | None) -> None:
    d = a_district()
    sends(d, 1, 2, 7, 8, boot=boot)
    onset_s = 3  # the third message showed it
    waits(d, HOUR_S - 10)
    assert d.fault("gate", GAP) is None
    waits(d, 15)
    fault = d.fault("gate", GAP)
    assert fault is not None
    assert (fault.severity, fault.state, fault.safety) == ("P4", State.OPEN, False)
    assert fault.since_ms == d.at_ms(onset_s)
    assert fault.opened_at_ms <= d.at_ms(onset_s + HOUR_S + 10)
    told = {"missing": 4, "from_seq": 3, "to_seq": 6, "since_ms": d.at_ms(onset_s)}
    assert fault.evidence == (told if boot is None else {**told, "boot": boot})
    assert d.all_faults() == [f"gate {GAP}"]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_gap_that_is_filled_in_time_is_none_and_later_ends(restarts: bool) -> None:
    d = a_district()
    sends(d, 1, 4)
    waits(d, HOUR_S / 2)
    if restarts:
        d.restart()
    d.arrives("gate", [{"ts": d.at_ms(n), "boot": 1, "seq": n, "values": {}} for n in (2, 3)])
    waits(d, HOUR_S)
    assert d.all_faults() == []
    sends(d, 6)
    waits(d, HOUR_S + 5)
    if restarts:
        d.restart()
    assert d.state("gate", GAP) is State.OPEN
    sends(d, 5)
    assert d.state("gate", GAP) is State.CLOSED
    assert d.store.rows.refused == {}


def test_one_of_two_that_comes_is_not_enough_and_the_evidence_is_of_the_moment_of_raising() -> None:
    d = a_district()
    sends(d, 1, 5)
    waits(d, 600)
    sends(d, 3)
    waits(d, HOUR_S)
    fault = d.fault("gate", GAP)
    assert fault is not None
    assert fault.evidence["missing"] == 2
    assert (fault.evidence["from_seq"], fault.evidence["to_seq"]) == (2, 4)


def test_the_fault_ends_when_the_numbers_have_fallen_out_of_the_window() -> None:
    d = a_district()
    sends(d, 1, 3)
    waits(d, HOUR_S + 5)
    assert d.state("gate", GAP) is State.OPEN
    sends(d, *range(4, 3 + WINDOW - 1))
    d.probe()
    assert d.state("gate", GAP) is State.OPEN
    sends(d, *range(3 + WINDOW - 1, 3 + WINDOW + 1))
    waits(d, LOOK_S + 5)
    assert d.state("gate", GAP) is State.CLOSED
    waits(d, HOUR_S)
    assert d.standing() == {}


def test_two_days_after_the_last_loss_nobody_waits_any_more() -> None:
    d = a_district()
    sends(d, 1, 3)
    waits(d, 40 * HOUR_S)
    sends(d, 4, 6)  # one more
    waits(d, GIVE_UP_MS / 1000 - LOOK_S)
    assert d.state("gate", GAP) is State.OPEN
    waits(d, 2 * LOOK_S)
    assert d.state("gate", GAP) is State.CLOSED
    waits(d, 2 * HOUR_S)
    assert [name for name in d.standing() if name.startswith("gate ")] == []
    sends(d, 2)  # it comes after all, and is no duplicate
    assert "duplicate" not in d.account()
    sends(d, 9)  # another loss counts alone
    waits(d, HOUR_S + 5)
    fault = d.fault("gate", GAP)
    assert fault is not None
    assert (fault.state, fault.evidence["missing"]) == (State.OPEN, 2)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"boot": 1, "seq": 40}, {"boot": 2, "seq": 0}),
        ({"boot": 1, "seq": 40}, {"boot": 2, "seq": 3}),  # what it sent before is not known
        ({"boot": 1, "seq": 65_535}, {"boot": 1, "seq": 0}),
        ({"boot": None, "seq": 40}, {"boot": None, "seq": 0}),
        ({"boot": 1, "seq": 40}, {"boot": 1, "seq": 900_000}),
        ({"boot": None, "seq": None}, {"boot": None, "seq": None}),
    ],
)
def test_a_reboot_a_wrap_a_leap_and_no_number_are_no_gap(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    d = a_district()
    for head in (first, then):
        d.now_s += 1
        d.says("gate", {"csq": 20}, **head)
    waits(d, 2 * HOUR_S)
    assert d.all_faults() == []


def test_what_was_lost_before_a_reboot_may_still_come() -> None:
    d = a_district()
    sends(d, 1, 4)
    sends(d, 0, 1, 3, boot=2)
    waits(d, HOUR_S + 5)
    fault = d.fault("gate", GAP)
    assert fault is not None
    assert fault.evidence == {
        "boot": 2,
        "missing": 1,
        "from_seq": 2,
        "to_seq": 2,
        "missing_before_boot": 2,
        "since_ms": d.at_ms(2),
    }
    sends(d, 2, boot=2)
    assert d.state("gate", GAP) is State.OPEN
    d.arrives("gate", [{"ts": d.at_ms(1), "boot": 1, "seq": n, "values": {}} for n in (2, 3)])
    assert d.state("gate", GAP) is State.CLOSED


def test_a_device_that_was_away_gets_its_hour_once_it_is_back() -> None:
    d = a_district()
    sends(d, 1, 4)
    d.passes(2 * HOUR_S)
    assert d.state("gate", GAP) is None
    sends(d, 5)
    waits(d, HOUR_S - 10)
    assert d.state("gate", GAP) is None
    waits(d, 15)
    assert d.state("gate", GAP) is State.OPEN


def test_what_we_could_not_hear_does_not_count() -> None:
    d = a_district()
    sends(d, 1, 4)
    d.probe()
    d.deaf(HOUR_S - 60)
    d.says("gate", {"csq": 20}, seq=None)
    d.probe()
    waits(d, 120)
    assert d.state("gate", GAP) is None


def test_a_person_who_closes_it_has_given_up_what_is_missing() -> None:
    d = a_district()
    sends(d, 1, 4)
    waits(d, HOUR_S + 5)
    d.now_s += 1
    d.closes("gate", GAP)
    waits(d, 2 * HOUR_S)
    sends(d, 5)
    assert d.state("gate", GAP) is State.CLOSED
    sends(d, 7)
    waits(d, HOUR_S + 5)
    fault = d.fault("gate", GAP)
    assert fault is not None
    assert (fault.state, fault.evidence["missing"]) == (State.OPEN, 1)
    assert [event.reason for event in d.store.rows.events if event.reason is Why.CLOSED]


def test_a_device_with_a_gap_is_judged_the_short_way() -> None:
    d = a_district()
    sends(d, 1, 4)
    assert d.judge.memories["gate"].signs
    d.judge._message = None  # type: ignore[method-assign, assignment]  # the long way
    sends(d, 5, 6)
    assert d.judge.memories["gate"].window.high == 6


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_and_repeated_within_the_hour_nothing_is_missing(seed: int) -> None:
    rng = Random(seed)
    d = a_district()
    d.every_message_is_a_record = False
    for n in range(900):
        d.now_s = n / 10
        d.says(rng.choice(("gate", "shed", "lamp")), {"csq": 20})
    raws = d.unsaid()
    once = [raw for raw in raws for _ in range(rng.choice((1, 1, 2, 3)))]
    # the first of each is the first: of what was before it, a window knows nothing
    head, rest = once[:40], once[40:]
    rng.shuffle(rest)
    d.now_s = 100
    for n, raw in enumerate([*head, *rest]):
        d.again(raw._replace(received_ms=d.now_ms))
        if n % 7 == 0:
            d.now_s += 1
            d.cut()
            d.probe()
        if n % 200 == 0:
            d.cut()
            d.restart()
    d.cut()
    account = d.account()
    assert (account["stored"], account["duplicate"]) == (900, len(once) - 900)
    for _ in d.moments(2 * HOUR_S):
        for device in ("gate", "shed", "lamp"):
            if round(d.now_s) % 30 < 5:
                d.says(device, {"csq": 20}, seq=None)
    assert d.all_faults() == []


@pytest.mark.parametrize("seed", range(6))
def test_the_same_losses_in_any_order_and_often_are_the_same_fault(seed: int) -> None:
    outcomes = []
    for shuffled in (False, True):
        rng = Random(seed)
        d = a_district()
        d.every_message_is_a_record = False
        for n in range(400):
            d.now_s = n / 10
            d.says("gate", {"csq": 20}, seq=n)
        raws = d.unsaid()
        lost = set(rng.sample(range(1, 399), 30))
        raws = [raw for n, raw in enumerate(raws) if n not in lost]
        if shuffled:
            rest = raws[1:-1] * 2
            rng.shuffle(rest)
            raws = [raws[0], *rest, raws[-1]]
        d.now_s = 50
        for raw in raws:
            d.again(raw._replace(received_ms=d.now_ms))
        d.cut()
        waits(d, HOUR_S + 60)
        fault = d.fault("gate", GAP)
        assert fault is not None
        outcomes.append({name: fault.evidence[name] for name in ("missing", "from_seq", "to_seq")})
        assert fault.evidence["missing"] == len(lost)
        assert (fault.evidence["from_seq"], fault.evidence["to_seq"]) == (min(lost), max(lost))
    assert outcomes[0] == outcomes[1]
