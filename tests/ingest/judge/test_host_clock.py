"""Our own clock steps: devices know the time, nobody is refused, late or silent for it.

`TrueTime` is a district whose devices keep the right time while the host's clock is off by `off_s`.
"""

from typing import Any

import pytest

from devices.faults import State
from devices.journal import CLOCK, MESSAGES, RETAINED, Raw, Record
from devices.messages import Decoded, Item
from ingest.judge.timing import AGREED, AHEAD_MS, BELIEVED, HostClock, event_time
from tests.ingest.judge.district import START_MS, District, a_gate, a_shed

HOUR_S = 3600
TO_1970_S = -START_MS // 1000
YEAR_2099 = 4_070_908_800_000
OPEN, CLEARED = State.OPEN, State.CLEARED


class TrueTime(District):
    """true_s runs on; now_s is what the host takes it for."""

    off_s = 0.0

    @property
    def true_s(self) -> float:
        return self.now_s - self.off_s

    def steps(self, step_s: float) -> None:
        self.off_s += step_s
        self.now_s += step_s
        self.control(CLOCK, {"step_s": round(step_s), "at_ms": self.now_ms})

    def says_truly(self, device: str, values: dict[str, Any] | None = None, **more: Any) -> None:
        self.says(device, values, at_s=self.true_s, **more)

    def lives(self, seconds: float) -> None:
        """Everything reports every ten seconds, and our probes come back."""
        for _ in range(round(seconds / 10)):
            for _ in range(2):
                self.now_s += 5
                self.tick()
                self.probe()
            self.says_truly("gate", {"csq": 20})
            self.says_truly("shed", {"smoke": False})


def a_district() -> TrueTime:
    d = TrueTime(a_gate(), *a_shed())
    d.lives(60)
    return d


STEPS = pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, TO_1970_S])


@STEPS
def test_a_step_marks_refuses_and_silences_nobody(step_s: float) -> None:
    d = a_district()
    d.steps(step_s)
    d.lives(300)
    assert d.account() == {"stored": 2 * 36}
    assert d.standing() == {}
    assert {fault.code for fault in d.store.rows.faults.values()} == {"SYS_CLOCK_STEP"}


@STEPS
def test_what_is_true_now_is_judged_as_of_now(step_s: float) -> None:
    d = a_district()
    d.steps(step_s)
    d.says_truly("shed", {"smoke": True})
    fault = d.fault("shed", "SHED_SMOKE")
    assert fault is not None
    assert (fault.state, fault.late) == (OPEN, False)


@STEPS
def test_the_moments_before_it_are_taken_from_a_replay(step_s: float) -> None:
    d = a_district()
    true_s = d.true_s
    d.steps(step_s)
    d.replays("gate", [(true_s - 600, {"csq": 11}), (true_s - 590, {"csq": 12})])
    d.restart()
    d.replays("gate", [(true_s - 580, {"csq": 13})])
    assert d.account() == {"stored": 2 * 6 + 2, "late": 2}


@STEPS
def test_an_object_of_an_array_that_is_of_now_is_no_replay(step_s: float) -> None:
    d = a_district()
    d.steps(step_s)
    d.replays("shed", [(d.true_s - 1, {"smoke": False}), (d.true_s, {"smoke": True})])
    assert d.state("shed", "SHED_SMOKE") is OPEN


@STEPS
def test_a_message_without_a_time_comes_behind_those_before_it(step_s: float) -> None:
    d = a_district()
    d.steps(step_s)
    d.says_truly("shed", {"smoke": False})
    d.says("shed", {"smoke": True}, ts=None)
    assert d.state("shed", "SHED_SMOKE") is OPEN
    d.says_truly("shed", {"board_temp_c": 95.0})
    assert d.state("shed", "SHED_OVER_TEMP") is not CLEARED
    assert d.account() == {"stored": 2 * 6 + 3}


def test_a_clock_that_is_put_right_makes_the_messages_of_nobody_late() -> None:
    """It ran an hour ahead from the start; messages without a time were taken for that late."""
    d = TrueTime(*a_shed())
    d.off_s = d.now_s = HOUR_S
    d.says("shed", {"smoke": False}, ts=None)
    d.steps(-HOUR_S)
    for _ in range(AGREED):
        d.now_s += 10
        d.says_truly("shed", {"smoke": False})
    d.says("shed", {"smoke": True}, ts=None)
    assert d.state("shed", "SHED_SMOKE") is OPEN
    assert d.account() == {"stored": AGREED + 2, "late": AGREED - 1}, "until it is believed"


def test_what_fits_neither_clock_is_implausible_as_ever() -> None:
    d = a_district()
    d.steps(-HOUR_S)
    d.says("gate", {"csq": 1}, ts=YEAR_2099)
    d.arrives("gate", [{"ts": YEAR_2099, "values": {"csq": 1}}])
    assert d.account() == {"stored": 2 * 6 + 1, "clock": 1, "quarantined clock": 1}


def test_once_devices_agree_with_it_the_windows_are_back() -> None:
    d = a_district()
    d.steps(HOUR_S)
    d.off_s = 0  # it is right now: it was wrong before
    for _ in range(AGREED):
        assert d.judge._host.is_suspect
        d.says_truly("gate", {"csq": 20})
    assert d.judge._host == HostClock()


def test_a_clock_that_went_back_by_itself_is_believed_at_once() -> None:
    d = a_district()
    d.steps(-HOUR_S)
    d.lives(30)
    d.steps(HOUR_S)
    assert d.judge._host == HostClock()


# The clock by itself


def suspect(step_s: int) -> HostClock:
    host = HostClock()
    host.control(CLOCK, {"step_s": step_s, "at_ms": START_MS})
    return host


@pytest.mark.parametrize("at_ms", [None, START_MS, START_MS + AHEAD_MS + 1, 1000, YEAR_2099])
def test_a_clock_that_is_believed_has_the_usual_windows(at_ms: int | None) -> None:
    assert BELIEVED.event_time(at_ms, START_MS) == event_time(at_ms, START_MS)


def test_small_steps_add_up() -> None:
    host = suspect(2)
    assert not host.is_suspect
    host = suspect(3)
    host.control(CLOCK, {"step_s": 3, "at_ms": START_MS})
    assert host.stepped_ms == 6000


def record(*messages: tuple[Decoded, int, int]) -> tuple[Record, list[Decoded]]:
    """Of (what is said, receive time, flags)."""
    raws = tuple(Raw(b"t", b"", flags, received_ms, "c") for _, received_ms, flags in messages)
    return Record(1, MESSAGES, 1, len(raws), 1, raws), [said for said, _, _ in messages]


def test_only_messages_of_now_say_what_time_it_is() -> None:
    host = suspect(3600)
    dated = Decoded(None, [Item(START_MS, None, None, [], [])])
    undated = Decoded(None, [Item(None, None, None, [], [])])
    replay = Decoded(None, [Item(START_MS, None, None, [], [])], array=True)
    host.heard(*record(*[(dated, START_MS, 0)] * (AGREED - 1)))
    host.heard(*record((undated, START_MS, 0), (replay, START_MS, 0), (dated, START_MS, RETAINED)))
    assert host.agreed == AGREED - 1
    host.heard(*record((dated, START_MS + AHEAD_MS + 1, 0)))
    assert (host.is_suspect, host.agreed) == (True, 0)
    host.heard(*record(*[(dated, START_MS, 0)] * AGREED))
    assert host == HostClock()
