"""Our own troubles, as the judge reads them out of the journal's control records."""

import pytest

from devices import faults
from devices.faults import State, Why
from devices.journal import CLOCK, LINK, START
from devices.rules import Severity
from tests.ingest.judge.district import District, a_gate

SESSION, PROBE, CLOCK_STEP = "SYS_SESSION_LOST", "SYS_PROBE_LOST", "SYS_CLOCK_STEP"


def a_district() -> District:
    """One gate; our connection has been up for a minute."""
    d = District(a_gate())
    links(d, session_present=False)
    ticks(d, 60)
    return d


def links(d: District, *, up: bool = True, session_present: bool = True) -> None:
    d.control(LINK, {"up": up, "session_present": session_present, "at_ms": d.now_ms})


def ticks(d: District, seconds: float, *, probes: bool = True, gate: bool = True) -> None:
    """Time passes with a tick every five seconds, and with probes and the gate's heartbeats."""
    until_s = d.now_s + seconds
    while d.now_s < until_s:
        d.now_s += 5
        d.tick()
        if gate:
            d.says("gate", {})
        if probes:
            d.probe()


def states(d: District) -> dict[str, str]:
    """Each of our own faults, as committed."""
    d.commit()
    return {f.code: str(f.state) for f in d.store.rows.faults.values() if f.kind == "platform"}


def reasons(d: District, code: str) -> list[Why]:
    d.commit()
    (fault,) = [f for f in d.store.rows.faults.values() if f.code == code]
    return [event.reason for event in d.store.rows.events if event.fault == fault.id]


# The broker's session


def test_the_first_connection_has_no_session_to_lose() -> None:
    assert states(a_district()) == {}


def test_a_session_that_the_broker_kept_is_no_trouble() -> None:
    d = a_district()
    links(d, up=False, session_present=False)
    d.now_s += 10
    links(d)
    ticks(d, 20)
    assert states(d) == {}


def test_a_session_that_the_broker_lost_is_told_with_how_long_we_were_away() -> None:
    d = a_district()
    links(d, up=False, session_present=False)
    d.now_s += 9
    links(d, session_present=False)
    assert states(d) == {SESSION: "open"}
    (fault,) = d.store.rows.faults.values()
    assert (fault.subject, fault.device, fault.compound) == ("platform", None, None)
    assert fault.severity is Severity.P2
    assert fault.evidence == {
        "away_since_ms": d.at_ms(60),
        "back_ms": d.at_ms(69),
        "away_s": 9,
    }


def test_a_receiver_that_was_killed_was_away_since_its_last_record() -> None:
    d = a_district()
    d.now_s += 300
    d.control(START, {"at_ms": d.now_ms})
    d.now_s += 1
    links(d, session_present=False)
    d.commit()
    (fault,) = d.store.rows.faults.values()
    assert fault.evidence["away_s"] == 301


def test_a_lost_session_is_over_when_the_next_one_has_held_for_ten_minutes() -> None:
    d = a_district()
    links(d, session_present=False)
    ticks(d, 595)
    assert states(d) == {SESSION: "open"}
    ticks(d, 10)
    assert states(d) == {SESSION: "closed"}
    assert reasons(d, SESSION) == [Why.RAISED, Why.OVER]


def test_a_session_lost_again_meanwhile_is_the_same_fault_once_more() -> None:
    d = a_district()
    links(d, session_present=False)
    ticks(d, 300)
    links(d, session_present=False)
    ticks(d, 400)
    assert states(d) == {SESSION: "open"}
    d.commit()
    (fault,) = d.store.rows.faults.values()
    assert fault.occurrences == 2
    ticks(d, 210)
    assert states(d) == {SESSION: "closed"}


def test_a_restart_of_the_judge_forgets_nothing_of_it() -> None:
    d = a_district()
    d.restart()
    links(d, session_present=False)
    d.restart()
    ticks(d, 300)
    d.restart()
    ticks(d, 305)
    assert states(d) == {SESSION: "closed"}


# The probe


def test_a_probe_that_stops_coming_back_is_told_and_is_over_when_it_comes() -> None:
    d = a_district()
    ticks(d, 15, probes=False)
    assert states(d) == {}
    ticks(d, 10, probes=False)
    assert states(d) == {PROBE: "open"}
    ticks(d, 600, probes=False)
    d.probe()
    ticks(d, 60)
    assert states(d) == {PROBE: "closed"}
    assert reasons(d, PROBE) == [Why.RAISED, Why.OVER]


def test_a_broker_that_forbids_the_probe_from_the_start_is_told_once() -> None:
    d = District(a_gate())
    links(d, session_present=False)
    ticks(d, 25, probes=False)
    assert states(d) == {}
    ticks(d, 600, probes=False)
    assert states(d) == {PROBE: "open"}
    assert reasons(d, PROBE) == [Why.RAISED]


def test_without_messages_a_probe_that_never_came_says_nothing() -> None:
    d = District(a_gate())
    ticks(d, 600, probes=False, gate=False)
    assert states(d) == {}


@pytest.mark.parametrize(("away_s", "told"), [(10, False), (12, False), (20, True), (600, True)])
def test_what_we_could_not_hear_while_we_were_away_is_told_when_we_are_back(
    away_s: float, told: bool
) -> None:
    d = a_district()
    d.now_s += away_s
    d.control(START, {"at_ms": d.now_ms})
    links(d)
    d.probe()
    ticks(d, 60)
    assert states(d) == ({PROBE: "closed"} if told else {})
    if told:
        (fault,) = d.store.rows.faults.values()
        assert fault.evidence["deaf_s"] == away_s
        assert reasons(d, PROBE) == [Why.RAISED, Why.OVER]


def test_who_closes_it_too_early_is_told_again() -> None:
    d = a_district()
    ticks(d, 60, probes=False)
    d.commit()
    (fault,) = d.store.rows.faults.values()
    moved = d.store.a_person(fault.id, lambda was: faults.close(was, "li-wei", d.now_ms))
    d.judge.person_moved(moved, d.now_ms)
    ticks(d, 5, probes=False)
    d.commit()
    (fault,) = d.store.rows.faults.values()
    assert (fault.state, fault.occurrences) == (State.OPEN, 2)


# The clock


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_step_of_the_clock_is_told_and_raises_nothing_else(step_s: int) -> None:
    d = a_district()
    d.now_s += step_s
    d.control(CLOCK, {"step_s": step_s, "at_ms": d.now_ms})
    ticks(d, 300)
    assert states(d) == {CLOCK_STEP: "open"}
    (fault,) = d.store.rows.faults.values()
    assert fault.evidence == {"step_s": step_s}
    ticks(d, 305)
    assert states(d) == {CLOCK_STEP: "closed"}
    assert all(fault.kind == "platform" for fault in d.store.rows.faults.values())


def test_no_device_is_offline_because_the_clock_went_back() -> None:
    """The watermark must go back with it, or everybody seen since looks an hour silent."""
    d = a_district()
    d.now_s -= 3600
    d.control(CLOCK, {"step_s": -3600, "at_ms": d.now_ms})
    ticks(d, 60)
    d.restart()  # all deadlines are armed anew
    ticks(d, 600)
    assert states(d) == {CLOCK_STEP: "closed"}
    assert {fault.kind for fault in d.store.rows.faults.values()} == {"platform"}
    ticks(d, 120, gate=False)
    assert d.state("gate", "GATE_OFFLINE") is State.OPEN, "and who is silent is still found"


def test_a_step_told_of_behind_the_probe_that_it_made_late_is_no_lost_probe() -> None:
    d = a_district()
    d.now_s += 3600
    d.probe()
    d.control(CLOCK, {"step_s": 3600, "at_ms": d.now_ms})
    ticks(d, 60)
    assert states(d) == {CLOCK_STEP: "open"}


# Streams


def test_a_history_has_no_troubles_of_ours() -> None:
    d = District(a_gate(), stream="history")
    links(d, session_present=False)
    ticks(d, 60)
    links(d, session_present=False)
    ticks(d, 60, probes=False)
    d.control(CLOCK, {"step_s": 3600, "at_ms": d.now_ms})
    assert states(d) == {}
