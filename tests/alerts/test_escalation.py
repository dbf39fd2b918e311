"""A fault that nobody answers is told to others, and one of the safety tier again and again."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Engine, func, select, update

from alerts.channel import DeliveryFailed
from alerts.escalation import Escalator
from alerts.message import Notice
from devices.alerts import ChannelName, DeliveryState, Route, Target
from devices.calendars import Holiday, Year
from devices.escalation import DEFAULTS, Policy, Step, To
from devices.faults import State, Why, acknowledge
from devices.rules import Severity
from devices.store.database import reading, writing
from devices.store.escalations import change_policy
from devices.store.faults import history, move_fault
from devices.store.holidays import Entered, put_year
from devices.store.schema import calls, deliveries, fault_events, faults, routes, targets
from devices.store.scope import DISTRICT
from devices.store.targets import add_route, add_target, delete_target
from tests.alerts.test_worker import PAST, Alerting, on_duty, staffed
from tests.api.cast import HOUR_MS, LIANXIN, MINUTE_MS, NOW_MS, STRANGE_GATE, a_fault, a_fault_event


class Escalating(Alerting):
    """As `Alerting`; what is due is escalated, too."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.escalator = Escalator(engine, self.clock)

    def after(self, minutes: float) -> list[tuple[str, Why]]:
        """Let so much time pass; who was told of what then."""
        self.now_ms += int(minutes * MINUTE_MS)
        return self.told_now()

    def told_now(self) -> list[tuple[str, Why]]:
        before = len(self.channel.sent)
        while self.router.step():
            pass
        while self.escalator.step():
            pass
        self.go()
        return sorted(
            (target, notice.reason)
            for target, message in self.channel.sent[before:]
            for notice in message.notices
        )

    def raised(self, fault: str, **more: object) -> None:
        with writing(self.engine) as connection:
            a_fault(connection, fault, **({"opened_at_ms": self.now_ms} | more))

    def last(self) -> Notice:
        return self.channel.sent[-1][1].notices[-1]

    def waiting(self) -> int:
        with reading(self.engine) as connection:
            return connection.execute(select(func.count()).select_from(calls)).scalar_one()

    def has(self, policy: Policy) -> None:
        with writing(self.engine) as connection:
            change_policy(connection, replace(policy, changed_by="wang"), self.now_ms)


@pytest.fixture
def escalating(sqlite_database: Engine) -> Escalating:
    return Escalating(staffed(sqlite_database).engine)


@pytest.fixture
def on_either(any_database: Engine) -> Escalating:
    return Escalating(staffed(any_database).engine)


def test_an_unanswered_p1_goes_to_the_firm_after_5_minutes_and_to_the_district_after_10(
    on_either: Escalating,
) -> None:
    on_either.raised("f", severity="P1")
    assert on_either.told_now() == [("duty", Why.RAISED), ("yaxin-robot", Why.RAISED)]
    assert on_either.after(4.9) == []
    assert on_either.after(0.2) == [("yaxin-robot", Why.ESCALATED)]
    assert (on_either.last().level, on_either.last().unanswered_s) == (1, 306)
    assert on_either.after(4.9) == [("duty", Why.ESCALATED)]
    assert on_either.last().level == 2
    assert on_either.after(600) == []
    with reading(on_either.engine) as connection:
        told = history(connection, "f")
    assert [event.reason for event in told] == [Why.RAISED, Why.ESCALATED, Why.ESCALATED]
    assert [event.becomes for event in told] == [State.OPEN] * 3
    assert told[-1].evidence == {"level": 2, "unanswered_s": 600}


def test_it_ends_with_the_acknowledgement_also_of_what_has_not_been_sent_yet(
    escalating: Escalating,
) -> None:
    escalating.raised("f", severity="P1")
    escalating.told_now()
    escalating.channel.does = [DeliveryFailed("500")]
    assert escalating.after(5.1) == [("yaxin-robot", Why.ESCALATED)]  # and that failed
    with writing(escalating.engine) as connection:
        move_fault(
            connection, DISTRICT, "f", lambda fault: acknowledge(fault, "wang", escalating.now_ms)
        )
    # it was tried once, so it comes again as it was; the next level is not told
    assert escalating.after(2) == [("yaxin-robot", Why.ESCALATED)]
    assert escalating.after(60) == []
    assert escalating.waiting() == 0


def test_what_waits_for_a_robot_that_was_mended_after_the_answer_is_dropped(
    escalating: Escalating,
) -> None:
    escalating.raised("f", severity="P1")
    escalating.told_now()
    with writing(escalating.engine) as connection:
        connection.execute(
            update(targets).where(targets.c.id == "yaxin-robot").values(broken="token")
        )
    # whoever is broken reaches nobody, so the next level is told at once
    assert escalating.after(5.1) == [("duty", Why.ESCALATED)]
    with writing(escalating.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(state="acknowledged"))
        connection.execute(update(targets).values(broken=None))
    assert escalating.after(1) == []
    dropped = [row for row in escalating.rows() if row.state is DeliveryState.CANCELLED]
    assert [(row.target, row.reason) for row in dropped] == [("yaxin-robot", "answered")]


@pytest.mark.parametrize(
    "held",
    [
        {"state": "closed", "closed_at_ms": NOW_MS},
        {"suppressed_by": "root"},
        {"shelved_until_ms": NOW_MS + HOUR_MS},
        {"maintenance": "window"},
    ],
)
def test_what_is_over_or_held_is_not_escalated(
    escalating: Escalating, held: dict[str, object]
) -> None:
    escalating.raised("f", severity="P2")
    escalating.told_now()
    with writing(escalating.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(**held))
    assert escalating.after(16) == []
    assert escalating.after(31) == []


def test_what_was_shelved_begins_anew_when_its_shelf_ends(escalating: Escalating) -> None:
    escalating.raised("f", severity="P2")
    escalating.told_now()
    shelved = update(faults).where(faults.c.id == "f")
    with writing(escalating.engine) as connection:
        connection.execute(shelved.values(shelved_until_ms=NOW_MS + HOUR_MS))
    assert escalating.after(60) == []
    with writing(escalating.engine) as connection:
        connection.execute(shelved.values(shelved_until_ms=None))
        a_fault_event(connection, "f", was="open", reason="shelf_ended", at_ms=escalating.now_ms)
    assert {why for _, why in escalating.told_now()} == {Why.SHELF_ENDED}
    assert escalating.after(14) == []
    assert escalating.after(2) == [("yaxin-robot", Why.ESCALATED)]


def test_smoke_that_went_away_still_waits_for_a_person(escalating: Escalating) -> None:
    escalating.raised("f", severity="P1", safety=True)
    escalating.told_now()
    with writing(escalating.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(state="cleared"))
        a_fault_event(connection, "f", was="open", becomes="cleared", reason="over", at_ms=NOW_MS)
    assert {why for _, why in escalating.told_now()} == {Why.OVER}
    assert escalating.after(5.1) == [("yaxin-robot", Why.ESCALATED)]
    assert escalating.last().is_over
    assert escalating.after(5) == [("duty", Why.ESCALATED)]
    assert escalating.after(60) == []  # it does not stand, so nobody is reminded


def _goes_and_comes(escalating: Escalating) -> None:
    """In four minutes."""
    for becomes, reason in (("cleared", "over"), ("open", "reopened")):
        escalating.now_ms += 2 * MINUTE_MS
        was = "open" if becomes == "cleared" else "cleared"
        with writing(escalating.engine) as connection:
            connection.execute(update(faults).where(faults.c.id == "f").values(state=becomes))
            a_fault_event(
                connection, "f", was=was, becomes=becomes, reason=reason, at_ms=escalating.now_ms
            )
        escalating.told_now()


def test_one_that_comes_and_goes_does_not_begin_anew_each_time(escalating: Escalating) -> None:
    escalating.raised("f", severity="P1", safety=True)
    escalating.told_now()
    _goes_and_comes(escalating)
    assert escalating.after(1.1) == [("yaxin-robot", Why.ESCALATED)]


def test_nor_does_one_of_which_all_levels_have_been_told(escalating: Escalating) -> None:
    levels = (Step(60, To.FIRM), Step(120, To.DISTRICT))
    escalating.has(Policy(Severity.P1, levels, remind_every_s=None))
    escalating.raised("f", severity="P1", safety=True)
    escalating.told_now()
    assert escalating.after(1.1) == [("yaxin-robot", Why.ESCALATED)]
    assert escalating.after(1) == [("duty", Why.ESCALATED)]
    _goes_and_comes(escalating)
    assert escalating.after(600) == []


def test_a_call_that_has_come_to_its_end_is_forgotten_once_it_was_answered(
    escalating: Escalating,
) -> None:
    escalating.has(Policy(Severity.P1, (Step(60, To.FIRM),), remind_every_s=None))
    escalating.raised("f", severity="P1")
    escalating.told_now()
    escalating.after(1.1)
    assert escalating.after(24 * 60) == []
    assert escalating.waiting() == 1
    with writing(escalating.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(state="closed"))
    assert escalating.after(24 * 60) == []
    assert escalating.waiting() == 0


def test_whoever_was_not_called_after_all_is_not_told_of_the_end(on_either: Escalating) -> None:
    on_either.has(Policy(Severity.P2, (Step(60, To.TARGET, "duty"),)))
    with writing(on_either.engine) as connection:
        connection.execute(
            update(routes).where(routes.c.target == "duty").values(severities=["P1"])
        )
    on_either.raised("f", severity="P2")
    assert on_either.told_now() == [("yaxin-robot", Why.RAISED)]
    on_either.now_ms += 2 * MINUTE_MS
    assert on_either.escalator.step() == 1
    with writing(on_either.engine) as connection:  # before that is sent it is over
        connection.execute(update(faults).where(faults.c.id == "f").values(state="closed"))
        a_fault_event(
            connection, "f", was="open", becomes="closed", reason="over", at_ms=on_either.now_ms
        )
    assert on_either.told_now() == [("yaxin-robot", Why.OVER)]
    dropped = [row for row in on_either.rows() if row.state is DeliveryState.CANCELLED]
    assert {(row.target, row.reason) for row in dropped} == {("duty", "answered")}
    assert len(dropped) == 2


def test_one_that_got_worse_begins_anew_by_the_rules_of_its_new_class(
    escalating: Escalating,
) -> None:
    escalating.raised("f", severity="P2")
    escalating.told_now()
    escalating.now_ms += 14 * MINUTE_MS
    with writing(escalating.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(severity="P1"))
        a_fault_event(connection, "f", was="open", reason="worsened", at_ms=escalating.now_ms)
    escalating.told_now()
    assert escalating.after(4.9) == []
    assert escalating.after(0.2) == [("yaxin-robot", Why.ESCALATED)]


def test_the_clock_runs_from_when_the_first_was_told(escalating: Escalating) -> None:
    escalating.channel.does = [DeliveryFailed("500", wait_s=240), DeliveryFailed("500", wait_s=240)]
    escalating.raised("f", severity="P1")
    escalating.told_now()
    assert {why for _, why in escalating.after(4.1)} == {Why.RAISED}
    assert escalating.after(4.8) == []
    assert escalating.after(0.3) == [("yaxin-robot", Why.ESCALATED)]


def test_nobody_told_is_escalated_from_when_they_were_to_be(escalating: Escalating) -> None:
    escalating.channel.does = [DeliveryFailed("500", wait_s=3600)] * 2
    escalating.raised("f", severity="P1")
    escalating.told_now()
    assert escalating.after(5.1) == []  # both rest
    what = [(row.target, row.event_reason) for row in escalating.rows()]
    assert what[0] == ("yaxin-robot", Why.ESCALATED)


def test_a_serious_fault_without_any_route_is_escalated_and_a_slight_one_is_not(
    escalating: Escalating,
) -> None:
    with writing(escalating.engine) as connection:
        for name in ("duty", "yaxin-robot"):
            delete_target(connection, DISTRICT, name, NOW_MS)
        chief = Target("chief", "chief", ChannelName.WEBHOOK, "https://x", created_at_ms=PAST)
        add_target(connection, chief)
        add_route(connection, Route("r-chief", "chief", severities=(Severity.P1,)))
    escalating.raised("f", severity="P2")
    escalating.raised("g", severity="P3", subject="s")
    assert escalating.told_now() == []
    # at the second level, as one class worse: and the firm has nobody, so it is told at once
    assert escalating.after(15.1) == [("chief", Why.ESCALATED)]
    assert escalating.after(40 * 60) == []


def test_p3_waits_for_working_hours_and_is_told_as_one_class_worse(
    escalating: Escalating,
) -> None:
    """Raised on Monday at 19:42: two hours of work have passed on Tuesday at 10."""
    with writing(escalating.engine) as connection:
        phone = Target(
            "phone", "p", ChannelName.WEBHOOK, "https://x", firm="yaxin", created_at_ms=PAST
        )
        add_target(connection, phone)
        add_route(connection, Route("r-phone", "phone", severities=(Severity.P1, Severity.P2)))
    escalating.raised("f", severity="P3")
    assert len(escalating.told_now()) == 2
    assert escalating.after(14 * 60 + 17) == []
    assert escalating.after(2) == [("phone", Why.ESCALATED), ("yaxin-robot", Why.ESCALATED)]


def test_a_holiday_is_no_working_day(escalating: Escalating) -> None:
    free = Year(2026, (Holiday("休", date(2026, 11, 24), date(2026, 11, 24)),))
    with writing(escalating.engine) as connection:
        put_year(connection, Entered(free, "wang", NOW_MS))
    escalating.raised("f", severity="P3")
    escalating.told_now()
    assert escalating.after(14 * 60 + 19) == []
    assert escalating.after(24 * 60) == [("yaxin-robot", Why.ESCALATED)]


def test_a_roster_is_climbed_by_default_and_it_is_on_record_who_was_told(
    on_either: Escalating,
) -> None:
    on_duty(on_either)
    on_either.raised("f", severity="P1")
    assert on_either.told_now() == [("duty", Why.RAISED), ("li-mail", Why.RAISED)]
    assert on_either.after(5.1) == [("wang-mail", Why.ESCALATED)]
    with reading(on_either.engine) as connection:
        query = select(deliveries.c.person).where(deliveries.c.target == "wang-mail")
        assert connection.scalars(query).all() == ["wang"]


def test_a_step_to_a_roster_tells_those_who_do_not_know_yet_and_then_nobody(
    escalating: Escalating,
) -> None:
    on_duty(escalating)
    steps = [Step(60 * n, To.ROSTER, "r") for n in (1, 2)]
    last = Step(3600, To.PERSON, "li")
    escalating.has(Policy(Severity.P2, (*steps, last), firm="yaxin"))
    escalating.raised("f", severity="P2")
    escalating.told_now()
    assert escalating.after(1.1) == [("wang-mail", Why.ESCALATED)]
    # all of the roster know: the step that reaches nobody takes the next one with it
    assert escalating.after(1) == [("li-mail", Why.ESCALATED)]
    assert escalating.last().level == 3


def test_no_firm_hears_of_anothers_faults_whatever_a_step_says(escalating: Escalating) -> None:
    steps = (
        Step(60, To.TARGET, "kang-robot"),
        Step(120, To.TARGET, "yaxin-robot"),
        Step(180, To.TARGET, "gone"),
    )
    escalating.has(Policy(Severity.P2, steps))
    escalating.raised("f", severity="P2")
    escalating.told_now()
    assert escalating.after(1.1) == [("yaxin-robot", Why.ESCALATED)]
    assert escalating.after(60) == []


def test_a_firms_own_policy_goes_before_the_districts_and_counts_at_once(
    escalating: Escalating,
) -> None:
    escalating.raised("f", severity="P2")
    escalating.raised("g", severity="P2", device=STRANGE_GATE, compound=LIANXIN)
    escalating.told_now()
    escalating.has(Policy(Severity.P2, (Step(120, To.DISTRICT),), firm="yaxin"))
    escalating.has(Policy(Severity.P2, (Step(240, To.DISTRICT),)))
    assert escalating.after(2.1) == [("duty", Why.ESCALATED)]
    assert escalating.last().fault == "f"
    assert escalating.after(2) == [("duty", Why.ESCALATED)]
    assert escalating.last().fault == "g"


def test_a_standing_safety_fault_is_told_again_to_all_who_know_and_not_for_ever(
    escalating: Escalating,
) -> None:
    escalating.has(Policy(Severity.P1, (), remind_every_s=900, reminders=2))
    escalating.raised("f", severity="P1", safety=True)
    escalating.raised("g", severity="P1", subject="s")
    escalating.told_now()
    both = [("duty", Why.REMINDED), ("yaxin-robot", Why.REMINDED)]
    assert escalating.after(14.9) == []
    assert escalating.after(0.2) == both
    assert escalating.after(40) == both  # what was missed while nobody sent is not made up for
    assert escalating.after(60) == []


def test_reminders_do_not_pile_up_for_a_robot_that_takes_nothing(escalating: Escalating) -> None:
    escalating.has(Policy(Severity.P1, (), remind_every_s=900, reminders=100))
    escalating.raised("f", severity="P1", safety=True)
    escalating.told_now()
    broken = update(targets).where(targets.c.id == "yaxin-robot")
    with writing(escalating.engine) as connection:
        connection.execute(broken.values(broken="token"))
    for _ in range(5):
        escalating.after(15.1)
    waits = [row for row in escalating.rows() if row.state is DeliveryState.PENDING]
    assert [(row.target, row.event_reason) for row in waits] == [("yaxin-robot", Why.REMINDED)]


def test_after_an_hour_away_each_level_is_told_once(escalating: Escalating) -> None:
    escalating.raised("f", severity="P1", safety=True)
    escalating.told_now()
    assert escalating.after(60) == [("duty", Why.ESCALATED), ("yaxin-robot", Why.ESCALATED)]
    assert escalating.after(14.9) == []


def test_two_processes_tell_each_level_once(on_either: Escalating) -> None:
    """The second looks at the same calls, after the first has committed."""
    for n in range(60):
        on_either.raised(f"f{n}", severity="P1", subject=f"s{n}")
    while on_either.router.step():
        pass
    on_either.now_ms += 6 * MINUTE_MS
    second = Escalator(on_either.engine, on_either.clock)
    steps = [one.step() for one in (on_either.escalator, second, on_either.escalator, second)]
    assert steps == [50, 10, 0, 0]
    told = select(fault_events.c.fault).where(fault_events.c.reason == "escalated")
    with reading(on_either.engine) as connection:
        found = list(connection.scalars(told))
    assert len(found) == len(set(found)) == 60


def test_each_class_has_a_policy_from_the_first_minute() -> None:
    assert set(DEFAULTS) == set(Severity)
    assert all(policy.steps for policy in DEFAULTS.values())
