"""What is wrong with us is said at once, and written down as soon as the database can."""

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from devices.faults import PLATFORM, Fault
from devices.platform import DISK, STORE_AWAY, Trouble
from devices.rules import Severity
from devices.store.database import DatabaseAway
from ingest.alarms import AGAIN_S, Alarms
from tests.fakes import FakeTime

FULL = Trouble(DISK, 0, {"used_pct": 91.0}, Severity.P1)
LOW = Trouble(DISK, 0, {"used_pct": 76.0}, Severity.P2)


@dataclass
class FakeRows:
    """Notes what was to be settled; each call first raises the next of `fails`, if any is left."""

    fails: list[Exception] = field(default_factory=list)
    settled: list[tuple[str, str, Trouble | None]] = field(default_factory=list)

    def settle(self, subject: str, code: str, trouble: Trouble | None, now_ms: int) -> Fault | None:
        if self.fails:
            raise self.fails.pop(0)
        self.settled.append((subject, code, trouble))
        return None


def a_board(time: FakeTime | None = None) -> Alarms:
    time = time or FakeTime()
    return Alarms(time.clock, time.monotonic)


def test_a_trouble_is_said_once_loudly_and_its_end_too() -> None:
    alarms = a_board()
    with capture_logs() as lines:
        for used in (91.0, 92.0, 93.0):
            alarms.tell(DISK, Trouble(DISK, 0, {"used_pct": used}, Severity.P1))
        alarms.tell(DISK, None)
        alarms.tell(DISK, None)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("platform_alarm", "error"),
        ("platform_alarm_over", "warning"),
    ]
    assert (lines[0]["code"], lines[0]["used_pct"]) == (DISK, 91.0)


def test_it_is_written_once_and_its_end_once() -> None:
    alarms, rows = a_board(), FakeRows()
    for trouble in (FULL, FULL, None, None):
        alarms.tell(DISK, trouble)
        alarms.settle(rows)
    assert rows.settled == [(PLATFORM, DISK, FULL), (PLATFORM, DISK, None)]


def test_what_the_process_before_left_open_is_ended_by_the_first_look() -> None:
    alarms, rows = a_board(), FakeRows()
    alarms.tell(DISK, None)
    alarms.settle(rows)
    assert rows.settled == [(PLATFORM, DISK, None)]


def test_what_came_and_went_while_the_database_was_away_is_written_when_it_is_back() -> None:
    alarms, rows = a_board(), FakeRows([DatabaseAway("away")])
    alarms.tell(DISK, FULL)
    with pytest.raises(DatabaseAway):
        alarms.settle(rows)
    assert alarms.standing() == {(PLATFORM, DISK): FULL}
    alarms.tell(DISK, None)
    alarms.settle(rows)
    assert rows.settled == [(PLATFORM, DISK, FULL), (PLATFORM, DISK, None)]
    assert alarms.standing() == {}


def test_what_flaps_while_nobody_can_write_it_takes_no_memory() -> None:
    alarms, rows = a_board(), FakeRows()
    for _ in range(1000):
        alarms.tell(DISK, FULL)
        alarms.tell(DISK, None)
    alarms.settle(rows)
    assert len(rows.settled) <= 4
    assert rows.settled[0][2] is FULL
    assert rows.settled[-1][2] is None


def test_a_worse_one_is_written_too() -> None:
    alarms, rows = a_board(), FakeRows()
    alarms.tell(DISK, LOW)
    alarms.tell(DISK, FULL)
    alarms.settle(rows)
    assert [trouble for _, _, trouble in rows.settled] == [LOW, FULL]


def test_what_lasts_is_written_again_in_case_a_person_closed_it() -> None:
    time = FakeTime()
    alarms, rows = a_board(time), FakeRows()
    alarms.tell(DISK, FULL)
    alarms.settle(rows)
    time.passes(AGAIN_S - 1)
    alarms.settle(rows)
    assert len(rows.settled) == 1
    time.passes(1)
    alarms.settle(rows)
    alarms.settle(rows)
    assert len(rows.settled) == 2


def test_two_subjects_of_one_code_stand_beside_each_other() -> None:
    alarms = a_board()
    for store in ("telemetry", "database"):
        subject = f"platform:{store}"
        alarms.tell(STORE_AWAY, Trouble(STORE_AWAY, 0, {}, None, subject), subject)
    alarms.tell(DISK, None)
    assert alarms.by_code() == {STORE_AWAY: 2, DISK: 0}
