"""DEV_CLOCK_DRIFT: a clock is wrong by the median of ten messages, never by a backlog of ours."""

from datetime import UTC, datetime
from typing import Any

import pytest

from devices.faults import State
from devices.journal import LINK, PROBE
from tests.ingest.judge.district import START_MS, District, a_gate, a_lamp

CODE = "DEV_CLOCK_DRIFT"
BEAT_S = 30


def a_district(**gate: Any) -> District:
    district = District(a_gate(**gate))
    district.probe()
    return district


def beats(district: District, count: int, off_s: float = 0.0) -> None:
    """So many heartbeats of the gate, its clock off by that; ahead is positive."""
    for _ in range(count):
        district.passes(BEAT_S)
        district.says("gate", {"rssi_dbm": -60}, at_s=district.now_s + off_s)


@pytest.mark.parametrize("off_s", [400, -400, 301, 8 * 3600, -(8 * 3600), 365 * 86_400])
def test_a_clock_that_is_wrong_for_ten_minutes_is_a_fault_until_it_was_right_as_long(
    off_s: float,
) -> None:
    district = a_district()
    beats(district, 20)
    beats(district, 5, off_s)
    assert not district.judge.memories["gate"].signs  # five of ten show nothing yet
    wrong_from_s = district.now_s + BEAT_S  # the sixth shows it
    while district.now_s + BEAT_S < wrong_from_s + 600:
        beats(district, 1, off_s)
        assert district.state("gate", CODE) is None
    beats(district, 1, off_s)
    fault = district.fault("gate", CODE)
    assert fault is not None
    assert fault.state is State.OPEN
    assert fault.severity == "P4"
    assert fault.since_ms == district.at_ms(wrong_from_s)
    assert fault.evidence["clock_offset_s"] == pytest.approx(abs(off_s), abs=1)

    beats(district, 4)
    right_from_s = district.now_s + BEAT_S
    while district.now_s + BEAT_S < right_from_s + 600:
        beats(district, 1)
        assert district.state("gate", CODE) is State.OPEN
    beats(district, 1)
    assert district.state("gate", CODE) is State.CLOSED
    beats(district, 10)
    assert district.judge.memories["gate"].offsets is None
    assert not district.judge.memories["gate"].signs


@pytest.mark.parametrize("off_s", [0, 59, -59, 299, -299])
def test_a_clock_that_is_off_by_less_than_five_minutes_is_no_fault(off_s: float) -> None:
    district = a_district()
    beats(district, 60, off_s)
    assert district.all_faults() == []


def test_a_clock_that_was_never_set_is_wrong_from_its_first_message_on() -> None:
    district = a_district()
    beats(district, 20)
    never_s = (datetime(1970, 1, 1, tzinfo=UTC).timestamp() * 1000 - START_MS) / 1000
    for n in range(21):
        district.passes(BEAT_S)
        assert district.state("gate", CODE) is None, n
        district.says("gate", {"rssi_dbm": -60}, at_s=never_s + district.now_s)
    assert district.state("gate", CODE) is State.OPEN


def test_between_the_levels_the_last_verdict_stands() -> None:
    district = a_district()
    beats(district, 40, 400)
    assert district.state("gate", CODE) is State.OPEN
    beats(district, 60, 200)
    assert district.state("gate", CODE) is State.OPEN


def test_a_few_old_messages_among_prompt_ones_say_nothing_of_the_clock() -> None:
    district = a_district()
    for _ in range(30):
        beats(district, 4)  # these go the short way
        beats(district, 3, -400)
    assert district.all_faults() == []


def test_what_waited_for_us_says_nothing_of_its_clock() -> None:
    """Our link is lost for an hour; the broker kept everything, and then it all comes at once."""
    district = a_district()
    beats(district, 20)
    district.control(LINK, {"up": False, "session_present": False, "at_ms": district.now_ms})
    sent_s = [district.now_s + n * BEAT_S for n in range(1, 121)]
    district.deaf(3600)
    district.control(LINK, {"up": True, "session_present": True, "at_ms": district.now_ms})
    for at_s in sent_s:
        district.says("gate", {"rssi_dbm": -60}, at_s=at_s)
    beats(district, 40)
    assert district.all_faults() == []


def test_neither_does_what_waited_while_the_link_seemed_well() -> None:
    district = a_district()
    beats(district, 20)
    sent_s = [district.now_s + n * BEAT_S for n in range(1, 61)]
    probes_s = [district.now_s + n * 5 for n in range(1, 361)]
    district.deaf(1800)
    for at_s in sent_s:
        while probes_s and probes_s[0] <= at_s:
            sent_ms = district.at_ms(probes_s.pop(0))
            district.control(PROBE, {"n": 1, "sent_ms": sent_ms, "at_ms": district.now_ms})
        district.says("gate", {"rssi_dbm": -60}, at_s=at_s)
    beats(district, 40)
    assert district.all_faults() == []


def test_without_a_probe_nobody_knows_what_waited() -> None:
    district = District(a_gate())
    for _ in range(60):
        district.now_s += BEAT_S
        district.tick()
        district.says("gate", {"rssi_dbm": -60}, at_s=district.now_s - 400)
    assert district.state("gate", CODE) is None


def test_a_replay_says_nothing_of_the_clock() -> None:
    district = a_district()
    beats(district, 20)
    for _ in range(30):
        district.passes(BEAT_S)
        district.replays("gate", [(district.now_s - 400, {"rssi_dbm": -60})])
        district.says("gate", {"rssi_dbm": -60})
    assert district.state("gate", CODE) is None


def test_a_restart_forgets_nothing_of_a_clock() -> None:
    district = a_district()
    beats(district, 20)
    for _ in range(26):
        assert district.state("gate", CODE) is None
        beats(district, 1, 8 * 3600)
        district.restart()
    assert district.state("gate", CODE) is State.OPEN


def test_a_lamp_needs_ten_of_its_own_messages() -> None:
    district = District(a_lamp())
    district.probe()
    for n in range(20):
        district.says("lamp", {"energy_kwh": float(n)}, at_s=district.now_s + (400 if n > 9 else 0))
        district.passes(900)
        if n < 15:
            assert district.state("lamp", CODE) is None
    assert district.state("lamp", CODE) is State.OPEN
