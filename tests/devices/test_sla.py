"""The ledger of a fault: when each step was due, when it was done, and what is overdue."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from devices import faults
from devices.calendars import Calendar, Holiday, Year
from devices.catalogue import RULES
from devices.faults import Fault, FaultEvent, Move
from devices.rules import Severity
from devices.sla import (
    DEFAULTS,
    MINUTE_MS,
    BadLimits,
    Clock,
    Ledger,
    Limit,
    PauseWhy,
    StepName,
    Terms,
    Unit,
    Verdict,
    Work,
    due_ms,
    is_counted,
    ledger,
    parse_limits,
    print_limits,
    workdays,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
WORK = Work(SHANGHAI)
TERMS = Terms(WORK)
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def ms(local: str) -> int:
    """Local time in Zhengzhou, of November 2026 unless it says otherwise: "23 19:42"."""
    text = f"2026-11-{local}" if local[2] == " " else local
    return round(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


MONDAY = ms("23 10:00")


# Limits of time


@pytest.mark.parametrize(
    ("severity", "raised", "answer", "mend"),
    [
        ("P1", "23 19:00", "23 19:05", "23 19:30"),
        ("P1", "23 23:58", "24 00:03", "24 00:28"),  # over midnight
        ("P2", "23 19:00", "23 19:15", "23 23:00"),
        ("P2", "23 23:50", "24 00:05", "24 03:50"),
        # in working hours, over a night, over a weekend, on one, before and at the end of work
        ("P3", "23 09:30", "23 11:30", "24 09:30"),
        ("P3", "23 17:00", "24 09:00", "24 17:00"),
        ("P3", "27 17:30", "30 09:30", "28 17:30"),
        ("P3", "28 12:00", "30 10:00", "29 12:00"),
        ("P3", "23 05:00", "23 10:00", "24 05:00"),
        ("P3", "23 18:00", "24 10:00", "24 18:00"),
        ("P3", "23 00:00", "23 10:00", "24 00:00"),
        ("P3", "23 16:00", "23 18:00", "24 16:00"),  # just within the day
        ("P4", "23 12:00", "24 18:00", "26 18:00"),
        ("P4", "27 12:00", "30 18:00", "2026-12-02 18:00"),
        ("P4", "23 23:59", "24 18:00", "26 18:00"),
        ("P4", "24 00:00", "25 18:00", "27 18:00"),
        ("P4", "29 12:00", "30 18:00", "2026-12-02 18:00"),
    ],
)
def test_each_class_has_its_limits(severity: str, raised: str, answer: str, mend: str) -> None:
    of = DEFAULTS[Severity(severity)]
    assert due_ms(of.acknowledge, ms(raised), WORK) == ms(answer)
    assert due_ms(of.mend or of.onsite or of.acknowledge, ms(raised), WORK) == ms(mend)


def test_holidays_are_no_working_days_and_days_worked_for_them_are() -> None:
    holiday = Holiday("休", date(2026, 11, 24), date(2026, 11, 27))
    year = Year(2026, (holiday,), (date(2026, 11, 28),))
    work = Work(SHANGHAI, workdays(Calendar.of([year])))
    assert due_ms(Limit(1, Unit.WORKING_DAYS), ms("23 12:00"), work) == ms("28 18:00")
    assert due_ms(Limit(2, Unit.WORKING_DAYS), ms("23 12:00"), work) == ms("30 18:00")
    assert due_ms(Limit(120, Unit.WORK_MINUTES), ms("23 17:00"), work) == ms("28 09:00")
    assert due_ms(Limit(60, Unit.MINUTES), ms("24 23:30"), work) == ms("25 00:30")


def test_nobody_who_never_works_hangs_the_clock() -> None:
    work = Work(SHANGHAI, lambda _: False)
    assert due_ms(Limit(1, Unit.WORKING_DAYS), MONDAY, work) > MONDAY + 365 * DAY_MS
    assert due_ms(Limit(1, Unit.WORK_MINUTES), MONDAY, work) > MONDAY + 365 * DAY_MS


@pytest.mark.parametrize(
    ("limit", "raised", "pauses", "due"),
    [
        (Limit(30, Unit.MINUTES), "23 10:00", [("23 10:10", "23 10:40")], "23 11:00"),
        (Limit(30, Unit.MINUTES), "23 10:00", [("23 09:00", "23 10:20")], "23 10:50"),
        (Limit(30, Unit.MINUTES), "23 10:00", [("23 10:30", "23 10:40")], "23 10:30"),
        (Limit(30, Unit.MINUTES), "23 10:00", [("23 08:00", "23 09:00")], "23 10:30"),
        (
            Limit(30, Unit.MINUTES),
            "23 23:50",
            [("23 23:55", "24 00:05"), ("24 00:10", "24 00:20")],
            "24 00:40",
        ),
        # only what was lost of working time is given back
        (Limit(120, Unit.WORK_MINUTES), "23 17:00", [("23 17:30", "24 08:30")], "24 10:00"),
        (Limit(120, Unit.WORK_MINUTES), "23 17:00", [("23 19:00", "24 07:00")], "24 09:00"),
        (Limit(1, Unit.WORKING_DAYS), "23 12:00", [("24 10:00", "24 12:00")], "25 10:00"),
        (Limit(1, Unit.WORKING_DAYS), "23 12:00", [("23 20:00", "24 06:00")], "24 18:00"),
        (Limit(1, Unit.WORKING_DAYS), "23 12:00", [("24 18:00", "25 06:00")], "24 18:00"),
        (Limit(1, Unit.WORKING_DAYS), "27 12:00", [("28 00:00", "30 10:00")], "2026-12-01 10:00"),
        (Limit(1, Unit.WORKING_DAYS), "28 12:00", [("30 09:00", "30 11:00")], "2026-12-01 10:00"),
    ],
)
def test_the_clock_stands_in_a_pause(
    limit: Limit, raised: str, pauses: Sequence[tuple[str, str]], due: str
) -> None:
    line = [(ms(start), ms(end)) for start, end in pauses]
    assert due_ms(limit, ms(raised), WORK, line) == ms(due)


def test_limits_are_written_and_read_and_what_is_left_out_is_the_default() -> None:
    assert parse_limits(print_limits(DEFAULTS)) == DEFAULTS
    limits = parse_limits({"P3": {"acknowledge": {"amount": 30, "unit": "minutes"}}})
    assert limits[Severity.P3].acknowledge == Limit(30, Unit.MINUTES)
    assert limits[Severity.P3].mend is None
    assert limits[Severity.P1] == DEFAULTS[Severity.P1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "by class"),
        ({"P5": {}}, "by class"),
        ({"P1": {}}, "P1: within what it is to be acknowledged"),
        ({"P1": {"acknowledge": None}}, "P1: within what"),
        ({"P1": {"answer": 5}}, "P1: its limits are"),
        ({"P1": {"acknowledge": {"amount": 5, "unit": "hours"}}}, "P1.acknowledge: is an amount"),
        ({"P1": {"acknowledge": {"amount": 0, "unit": "minutes"}}}, "from 1 to"),
        ({"P1": {"acknowledge": {"amount": True, "unit": "minutes"}}}, "whole number"),
        ({"P1": {"acknowledge": {"amount": 1.5, "unit": "minutes"}}}, "whole number"),
        ({"P4": {"acknowledge": {"amount": 91, "unit": "working_days"}}}, "from 1 to 90"),
    ],
)
def test_limits_that_cannot_be_say_what_is_wrong(body: object, says: str) -> None:
    with pytest.raises(BadLimits, match=says):
        parse_limits(body)


def test_of_changed_limits_those_count_that_held_when_the_fault_was_raised() -> None:
    quick = parse_limits({"P2": {"acknowledge": {"amount": 1, "unit": "minutes"}}})
    terms = Terms(WORK, [(MONDAY, quick), (MONDAY + DAY_MS, DEFAULTS)])
    assert terms.limits(MONDAY - 1) == DEFAULTS
    assert terms.limits(MONDAY) == terms.limits(MONDAY + DAY_MS - 1) == quick
    assert terms.limits(MONDAY + DAY_MS) == DEFAULTS


# A fault's life, by the real transitions


class Life:
    """A fault and what happened to it; times in minutes after its raise."""

    def __init__(self, severity: str = "P2", code: str = "GATE_TAMPER", **more: object) -> None:
        fault, event = faults.begin(
            RULES[code],
            stream="live",
            subject="gate-1",
            device="gate-1",
            compound="c",
            severity=Severity(severity),
            safety=bool(more.pop("safety", False)),
            since_ms=MONDAY,
            now_ms=MONDAY,
            evidence={},
            explained_by=more.pop("explained_by", None),  # type: ignore[arg-type]
        )
        self.fault = replace(fault, **more)  # type: ignore[arg-type]
        self.events: list[FaultEvent] = [event]

    def then(self, move: Callable[..., Move], minute: float, *args: object, by: str = "") -> "Life":
        """by: the person who does it."""
        actor = (by,) if by else ()
        self.fault, event = move(self.fault, *args, *actor, at(minute))
        self.events.append(event)
        return self

    def back(self, minute: float, severity: str = "P2") -> "Life":
        self.fault, event = faults.reopen(self.fault, Severity(severity), False, at(minute), {})
        self.events.append(event)
        return self

    def close(self, minute: float, resolution: str | None = None) -> "Life":
        self.fault, event = faults.close(self.fault, "wang", at(minute), None, resolution)
        self.events.append(event)
        return self

    def worse(self, minute: float, severity: str) -> "Life":
        move = faults.worsen(self.fault, Severity(severity), False, at(minute), {})
        assert move is not None
        self.fault, event = move
        self.events.append(event)
        return self

    def look(
        self,
        now: float,
        *,
        arrived: Sequence[float] = (),
        maintenance: Sequence[tuple[float, float]] = (),
        terms: Terms = TERMS,
    ) -> Ledger:
        return ledger(
            self.fault,
            self.events,
            terms,
            at(now),
            arrived_ms=[at(minute) for minute in arrived],
            maintenance=[(at(start), at(end)) for start, end in maintenance],
        )


def at(minute: float) -> int:
    return MONDAY + round(minute * MINUTE_MS)


def verdicts(found: Ledger) -> tuple[Verdict | None, Verdict | None, Verdict | None]:
    """Of acknowledging, of being on site, of its end."""
    names = (StepName.ACKNOWLEDGED, StepName.ONSITE, StepName.VERIFIED)
    first, second, third = (found.step(name).verdict for name in names)
    return first, second, third


MET, LATE, OVERDUE = Verdict.MET, Verdict.LATE, Verdict.OVERDUE
RUNNING, NOT_NEEDED = Verdict.RUNNING, Verdict.NOT_NEEDED


def test_a_fault_goes_through_all_steps() -> None:
    life = Life().then(faults.acknowledge, 3, by="wang").then(faults.arrive, 20, by="li")
    life.then(faults.repair, 50, by="li").then(faults.end, 60)
    found = life.look(100, arrived=[2, 0.1])
    assert [(step.name, step.at_ms, step.by) for step in found.steps] == [
        (StepName.DETECTED, at(0), None),
        (StepName.NOTIFIED, at(0.1), None),
        (StepName.ACKNOWLEDGED, at(3), "wang"),
        (StepName.ONSITE, at(20), "li"),
        (StepName.REPAIRED, at(50), "li"),
        (StepName.VERIFIED, at(60), None),
    ]
    assert verdicts(found) == (MET, None, MET)
    assert found.clock is Clock.OVER
    assert not found.by_hand
    assert (found.notified_s, found.acknowledged_s, found.onsite_s, found.mended_s) == (
        6.0,
        180.0,
        1200.0,
        3600.0,
    )


def test_what_is_not_done_runs_until_its_limit_and_is_overdue_after_it() -> None:
    life = Life()
    assert verdicts(life.look(15)) == (RUNNING, None, RUNNING)
    assert verdicts(life.look(15.1)) == (OVERDUE, None, RUNNING)
    assert verdicts(life.look(241)) == (OVERDUE, None, OVERDUE)
    step = life.look(1).next
    assert step is not None
    assert (step.name, step.due_ms) == (StepName.ACKNOWLEDGED, at(15))
    assert life.look(16).is_overdue
    life.then(faults.acknowledge, 16, by="wang")
    step = life.look(20).next
    assert step is not None
    assert (step.name, step.due_ms) == (StepName.VERIFIED, at(240))
    assert verdicts(life.look(20)) == (LATE, None, RUNNING)
    assert not life.look(20).is_overdue


def test_of_the_worst_class_somebody_is_on_site_in_half_an_hour() -> None:
    life = Life("P1", "SHED_SMOKE", safety=True)
    assert verdicts(life.look(1)) == (RUNNING, RUNNING, None)
    life.then(faults.arrive, 29, by="li")
    assert verdicts(life.look(500)) == (LATE, MET, None)
    assert life.look(500).mend.name is StepName.ONSITE


def test_what_was_over_in_time_needed_nobody_and_what_was_over_late_was_late() -> None:
    assert verdicts(Life().then(faults.end, 10).look(500)) == (NOT_NEEDED, None, MET)
    assert verdicts(Life().then(faults.end, 20).look(500)) == (LATE, None, MET)
    assert verdicts(Life().then(faults.end, 300).look(500)) == (LATE, None, LATE)


def test_a_safety_fault_that_is_over_is_still_to_be_acknowledged() -> None:
    life = Life("P1", "SHED_SMOKE", safety=True).then(faults.end, 2)
    assert verdicts(life.look(4)) == (RUNNING, NOT_NEEDED, None)
    assert verdicts(life.look(6)) == (OVERDUE, NOT_NEEDED, None)
    life.then(faults.acknowledge, 7, by="wang")
    assert verdicts(life.look(8)) == (LATE, NOT_NEEDED, None)
    assert life.look(8).clock is Clock.OVER


def test_whoever_does_something_about_it_has_acknowledged_it() -> None:
    for move in (faults.arrive, faults.repair):
        assert Life().then(move, 5, by="li").look(9).acknowledged_s == 300
    assert Life().close(5).look(9).acknowledged_s == 300


def test_what_was_called_repaired_is_not_mended_until_its_device_says_so() -> None:
    life = Life().then(faults.repair, 30, by="li")
    found = life.look(300)
    assert found.step(StepName.REPAIRED).at_ms == at(30)
    assert found.step(StepName.VERIFIED).at_ms is None
    assert verdicts(found) == (LATE, None, OVERDUE)
    assert found.mended_s is None


def test_closed_by_hand_while_the_device_is_bad_it_opens_again_and_its_clock_has_run_on() -> None:
    life = Life().then(faults.acknowledge, 5, by="wang").close(60)
    assert verdicts(life.look(61)) == (MET, None, MET)
    assert life.look(61).by_hand
    life.back(70)
    found = life.look(71)
    assert (found.reopened, found.rounds, found.by_hand) == (1, 1, False)
    assert found.step(StepName.DETECTED).at_ms == at(0)
    assert found.step(StepName.ACKNOWLEDGED).due_ms == at(70 + 15)  # to be answered once more
    assert found.step(StepName.VERIFIED).due_ms == at(240)
    life.then(faults.acknowledge, 80, by="wang").then(faults.end, 250)
    assert verdicts(life.look(300)) == (MET, None, LATE)
    assert life.look(300).mended_s == 250 * 60


def test_what_comes_back_after_its_end_is_a_new_round() -> None:
    life = Life().then(faults.acknowledge, 5, by="wang").then(faults.end, 60).back(65)
    found = life.look(70, arrived=[0.1, 65.2])
    assert (found.reopened, found.rounds) == (0, 2)
    assert found.step(StepName.DETECTED).at_ms == at(65)
    assert found.step(StepName.NOTIFIED).at_ms == at(65.2)
    assert found.step(StepName.ACKNOWLEDGED).due_ms == at(80)
    assert found.step(StepName.VERIFIED).due_ms == at(65 + 240)


def test_what_gets_worse_has_the_limits_of_its_class_from_then_on() -> None:
    life = Life("P3").then(faults.acknowledge, 30, by="wang").worse(600, "P2")
    found = life.look(601)
    assert found.severity is Severity.P2
    assert found.step(StepName.ACKNOWLEDGED).due_ms == at(615)
    assert found.step(StepName.VERIFIED).due_ms == at(840)


def test_what_is_suspected_has_no_clock_until_somebody_confirms_it() -> None:
    life = Life("P3", "GATE_NO_PASSAGE")
    assert life.fault.suspected
    found = life.look(10_000)
    assert verdicts(found) == (None, None, None)
    assert found.clock is Clock.NONE
    assert found.next is None
    life.then(faults.confirm, 10_000, by="li")
    found = life.look(10_001)
    assert found.clock is Clock.RUNS
    assert found.step(StepName.DETECTED).at_ms == at(10_000)


def test_who_acknowledged_a_guess_has_acknowledged_what_it_turns_out_to_be() -> None:
    life = Life("P3", "GATE_NO_PASSAGE").then(faults.acknowledge, 10, by="wang")
    life.then(faults.confirm, 100, by="li")
    found = life.look(200)
    assert found.step(StepName.ACKNOWLEDGED).verdict is MET
    assert found.acknowledged_s == 0


def test_the_clock_stands_while_a_root_explains_it() -> None:
    life = Life("P3", "GATE_OFFLINE").then(faults.suppress, 1, "root", "GW_OFFLINE")
    assert life.look(100).clock is Clock.NONE
    assert not is_counted(life.fault)
    life.then(faults.release, 300)
    found = life.look(301)
    assert is_counted(life.fault)
    assert [(one.from_ms, one.until_ms, one.why) for one in found.pauses] == [
        (at(1), at(300), PauseWhy.UPSTREAM)
    ]
    assert found.step(StepName.VERIFIED).due_ms == at(24 * 60 + 299)
    life.then(faults.acknowledge, 310, by="wang")
    assert life.look(320).acknowledged_s == 11 * 60


def test_one_that_was_born_explained_begins_when_it_stands_for_itself() -> None:
    life = Life("P2", "GATE_MAINS_LOST", explained_by=("cut", "COMPOUND_POWER_CUT"))
    assert life.look(100).clock is Clock.NONE
    life.then(faults.release, 200)
    found = life.look(201)
    assert found.step(StepName.ACKNOWLEDGED).due_ms == at(215)
    assert found.step(StepName.VERIFIED).due_ms == at(440)


def test_the_clock_stands_during_maintenance() -> None:
    life = Life().then(faults.acknowledge, 5, by="wang")
    found = life.look(120, maintenance=[(100, 400)])
    assert found.clock is Clock.PAUSED
    assert [(one.from_ms, one.until_ms) for one in found.pauses] == [(at(100), None)]
    assert found.step(StepName.VERIFIED).verdict is RUNNING
    assert life.look(399, maintenance=[(100, 400)]).step(StepName.VERIFIED).verdict is RUNNING
    after = life.look(540, maintenance=[(100, 400)])
    assert after.step(StepName.VERIFIED).due_ms == at(540)
    assert after.clock is Clock.RUNS
    assert life.look(541, maintenance=[(100, 400)]).is_overdue


def test_a_pause_that_two_things_make_counts_once() -> None:
    life = Life().then(faults.suppress, 10, "root", "GW_OFFLINE").then(faults.release, 60)
    found = life.look(70, maintenance=[(30, 65)])
    assert found.step(StepName.VERIFIED).due_ms == at(240 + 55)
    assert len(found.pauses) == 2


def test_maintenance_before_and_after_a_fault_is_no_pause_of_it() -> None:
    life = Life().then(faults.end, 30)
    assert life.look(500, maintenance=[(-60, 0), (30, 90)]).pauses == ()


@pytest.mark.parametrize("code", ["COMPOUND_POWER_CUT", "GW_OFFLINE", "GATE_FIRE_OPEN"])
def test_what_nobody_here_can_mend_is_acknowledged_and_no_more(code: str) -> None:
    found = Life("P2", code).look(10_000)
    assert verdicts(found) == (OVERDUE, None, None)


def test_offline_is_to_be_mended_though_it_may_be_the_network() -> None:
    assert verdicts(Life("P3", "GATE_OFFLINE").look(10_000)) == (OVERDUE, None, OVERDUE)


def test_a_false_alarm_needed_no_repair_whenever_that_was_said() -> None:
    found = Life().then(faults.acknowledge, 5, by="wang").close(900, "false_alarm").look(1000)
    assert verdicts(found) == (MET, None, NOT_NEEDED)
    assert found.mended_s is None


def test_a_device_that_is_taken_away_ends_what_is_due() -> None:
    life = Life().then(faults.acknowledge, 5, by="wang")
    life.then(lambda fault, now_ms: faults.retire(fault, now_ms, "moved"), 100)
    assert verdicts(life.look(9999)) == (MET, None, NOT_NEEDED)


def test_our_own_alarms_are_in_nobodys_figures() -> None:
    fault = Life().fault
    assert is_counted(fault)
    assert not is_counted(replace(fault, kind="platform"))
    assert not is_counted(replace(fault, suspected=True))


def test_a_fault_without_events_was_raised_when_it_was_opened() -> None:
    fault: Fault = Life().fault
    found = ledger(fault, [], TERMS, at(20))
    assert verdicts(found) == (OVERDUE, None, RUNNING)
