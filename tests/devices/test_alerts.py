"""Who is told of an event: a table of decisions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from devices.alerts import (
    NO_NEWS,
    NO_ROUTE,
    OLDER,
    OVER_BEFORE,
    UNREACHABLE,
    ChannelName,
    Decision,
    Directory,
    Obstacle,
    Route,
    Site,
    Target,
    decide,
    weigh,
)
from devices.calendars import Calendar, Holiday, Hours, Year
from devices.faults import Fault, FaultEvent, Held, State, Why
from devices.rosters import Person, Roster, StandIn
from devices.rules import Severity

NOW_MS = 1_795_000_000_000  # 2026-11-18 19:06:40 in Beijing, a Wednesday
HERE = ZoneInfo("Asia/Shanghai")

FAULT = Fault(
    id="f",
    subject="gate-1",
    code="GATE_OFFLINE",
    kind="gate",
    severity=Severity.P3,
    safety=False,
    state=State.OPEN,
    since_ms=NOW_MS,
    opened_at_ms=NOW_MS,
    device="gate-1",
    compound="xiangyunli",
)
ENDED = replace(FAULT, state=State.CLOSED, closed_at_ms=NOW_MS + 1)
RAISED = FaultEvent("f", NOW_MS, None, State.OPEN, Why.RAISED)
OVER = FaultEvent("f", NOW_MS, State.OPEN, State.CLOSED, Why.OVER)


def a_target(name: str, firm: str | None = None, created_at_ms: int = 0) -> Target:
    return Target(
        name, name, ChannelName.WEBHOOK, "https://x", firm=firm, created_at_ms=created_at_ms
    )


DUTY = a_target("duty")
LIANXIN = a_target("lianxin", "lianxin")
TARGETS = {target.id: target for target in (DUTY, LIANXIN)}
ALL = (Route("r1", "duty"), Route("r2", "lianxin", firm="lianxin"))

# Who may be told by name: each with a target of their own.
PEOPLE = {
    name: Person(name, name, "lianxin", targets=(f"{name}-mail",))
    for name in ("li", "wang", "chen")
}
ROSTER = Roster("r", "r", ("li", "wang"), date(2026, 11, 18), handover_min=480, firm="lianxin")
STAFF = Directory(
    TARGETS | {f"{name}-mail": a_target(f"{name}-mail", "lianxin") for name in PEOPLE},
    (),
    PEOPLE,
    {"r": ROSTER},
)


def decided(
    fault: Fault = FAULT,
    event: FaultEvent = RAISED,
    firm: str | None = "lianxin",
    routes: tuple[Route, ...] = ALL,
    told: Mapping[str, str | None] | None = None,
    directory: Directory = STAFF,
    at_ms: int = NOW_MS,
) -> Decision:
    site = Site(firm, HERE)
    return decide(fault, event, site, replace(directory, routes=routes), told or {}, at_ms)


def test_a_raise_goes_to_every_target_to_which_a_route_leads_once() -> None:
    assert decided(routes=(*ALL, Route("r3", "duty", kind="gate"))).targets == ("duty", "lianxin")


@pytest.mark.parametrize(
    ("route", "leads"),
    [
        (Route("r", "duty"), True),
        (Route("r", "duty", firm="lianxin"), True),
        (Route("r", "duty", firm="yaxin"), False),
        (Route("r", "duty", compound="xiangyunli"), True),
        (Route("r", "duty", compound="other"), False),
        (Route("r", "duty", kind="shed"), False),
        (Route("r", "duty", code="GATE_OFFLINE"), True),
        (Route("r", "duty", code="GATE_TAMPER"), False),
        (Route("r", "duty", severities=(Severity.P3,)), True),
        (Route("r", "duty", severities=(Severity.P1, Severity.P2)), False),
        (Route("r", "duty", firm="lianxin", kind="gate", severities=(Severity.P1,)), False),
    ],
)
def test_a_route_leads_where_all_that_it_names_fits(route: Route, leads: bool) -> None:
    assert bool(decided(routes=(route,)).targets) is leads


def test_a_firms_target_hears_of_its_own_compounds_only_whatever_a_route_says() -> None:
    decision = decided(firm="yaxin", routes=(Route("r", "lianxin"),))
    assert decision == Decision((), NO_ROUTE)


def test_a_firms_target_hears_nothing_of_the_platform() -> None:
    ours = replace(FAULT, kind="platform", compound=None, device=None)
    assert decided(ours, firm=None, routes=(Route("a", "lianxin"), Route("b", "duty"))).targets == (
        "duty",
    )


@pytest.mark.parametrize("held", list(Held))
def test_a_held_event_is_told_to_nobody_and_says_why(held: Held) -> None:
    assert decided(event=replace(RAISED, held=held)) == Decision((), held.value)


@pytest.mark.parametrize(
    ("fault", "event", "told", "decision"),
    [
        # explained by a root meanwhile; of the safety tier never
        (replace(FAULT, suppressed_by="root"), RAISED, (), Decision((), "suppressed")),
        (
            replace(FAULT, suppressed_by="root", safety=True),
            RAISED,
            (),
            Decision(("duty", "lianxin")),
        ),
        # over before its notice was due; of the safety tier it is told all the same
        (ENDED, replace(RAISED, notice_at_ms=NOW_MS + 2), (), Decision((), OVER_BEFORE)),
        # over by the time that it is decided on, because nobody was there to decide
        (ENDED, RAISED, (), Decision(("duty", "lianxin"))),
        (ENDED, replace(RAISED, notice_at_ms=NOW_MS), (), Decision(("duty", "lianxin"))),
        (
            replace(FAULT, state=State.CLEARED, safety=True),
            RAISED,
            (),
            Decision(("duty", "lianxin")),
        ),
        # an end is told to those who know of the fault
        (FAULT, OVER, ("lianxin",), Decision(("lianxin",))),
        (FAULT, OVER, (), Decision((), NO_NEWS)),
        (FAULT, OVER, ("gone",), Decision((), NO_NEWS)),
        # what people did themselves is no news to them
        (FAULT, replace(OVER, reason=Why.ACKNOWLEDGED), ("lianxin",), Decision((), NO_NEWS)),
    ],
)
def test_what_is_told_rests_on_what_the_fault_is_now_and_who_knows_of_it(
    fault: Fault, event: FaultEvent, told: tuple[str, ...], decision: Decision
) -> None:
    assert decided(fault, event, told=dict.fromkeys(told)) == decision


def test_a_target_is_not_told_of_what_happened_before_it_was_made() -> None:
    young = Directory({"duty": a_target("duty", created_at_ms=NOW_MS + 1)}, ())
    assert decided(routes=ALL[:1], directory=young) == Decision((), OLDER)


HOUR_MS = 3_600_000
WORK = Hours(("workday",), 8 * 60 + 30, 17 * 60 + 30)


@pytest.mark.parametrize(
    ("hours_from_now", "is_holiday", "leads"),
    [(-2, False, True), (0, False, False), (-2, True, False), (-12, False, False)],
)
def test_a_route_leads_in_its_hours_by_the_clock_of_the_compound(
    hours_from_now: int, is_holiday: bool, leads: bool
) -> None:
    day = date(2026, 11, 18)
    calendar = Calendar.of([Year(2026, (Holiday("x", day, day),))]) if is_holiday else Calendar()
    routes = (Route("r", "duty", hours=WORK),)
    directory = replace(STAFF, calendar=calendar)
    at_ms = NOW_MS + hours_from_now * HOUR_MS
    decision = decided(routes=routes, directory=directory, at_ms=at_ms)
    assert decision == (Decision(("duty",)) if leads else Decision((), NO_ROUTE))


@pytest.mark.parametrize(
    ("shift", "person"), [(0, "li"), (1, "wang"), (2, "li")], ids=["first", "second", "third"]
)
def test_a_route_to_a_roster_reaches_whoever_is_on_duty_then(shift: int, person: str) -> None:
    decision = decided(routes=(Route("r", roster="r"),), at_ms=NOW_MS + shift * 24 * HOUR_MS)
    assert decision == Decision((f"{person}-mail",), people={f"{person}-mail": person})


def test_whoever_stands_in_is_told_in_the_place_of_who_is_away() -> None:
    leave = StandIn("s", "li", "chen", NOW_MS, NOW_MS + 1)
    away = replace(STAFF, stand_ins=(leave,), rosters={"r": replace(ROSTER, stand_ins=(leave,))})
    for route in (Route("a", roster="r"), Route("b", person="li")):
        assert decided(routes=(route,), directory=away).people == {"chen-mail": "chen"}
        assert decided(routes=(route,), directory=away, at_ms=NOW_MS + 1).people == {
            "li-mail": "li"
        }


def test_a_target_is_told_once_and_it_is_known_who_is_reached_by_it() -> None:
    shared = replace(STAFF, people=PEOPLE | {"li": replace(PEOPLE["li"], targets=("lianxin",))})
    routes = (Route("a", "lianxin"), Route("b", roster="r"), Route("c", "duty"))
    decision = decided(routes=routes, directory=shared)
    assert decision == Decision(("lianxin", "duty"), people={"lianxin": "li"})


def test_an_end_goes_to_whoever_was_told_and_not_to_whoever_is_on_duty_by_then() -> None:
    told = {"li-mail": "li", "duty": None}
    over = replace(OVER, at_ms=NOW_MS + 24 * HOUR_MS)
    decision = decided(event=over, routes=(Route("r", roster="r"),), told=told, at_ms=over.at_ms)
    assert decision == Decision(("duty", "li-mail"), people={"li-mail": "li"})


def test_somebody_without_a_target_is_not_told_and_that_is_said() -> None:
    dumb = replace(STAFF, people=PEOPLE | {"li": replace(PEOPLE["li"], targets=())})
    routes = (Route("a", roster="r"), Route("b", "duty", kind="shed"))
    assert decided(routes=routes, directory=dumb) == Decision((), UNREACHABLE)
    gone = replace(STAFF, targets=TARGETS)
    assert decided(routes=routes, directory=gone) == Decision((), NO_ROUTE)


@pytest.mark.parametrize(
    ("route", "obstacle"),
    [
        (Route("r", "duty", firm="yaxin"), Obstacle.FIRM),
        (Route("r", "duty", compound="other"), Obstacle.COMPOUND),
        (Route("r", "duty", kind="shed"), Obstacle.KIND),
        (Route("r", "duty", code="GATE_TAMPER"), Obstacle.CODE),
        (Route("r", "duty", severities=(Severity.P1,)), Obstacle.SEVERITY),
        (Route("r", "duty", hours=WORK), Obstacle.HOURS),
        (Route("r", "none"), Obstacle.GONE),
        (Route("r", person="none"), Obstacle.GONE),
        (Route("r", roster="none"), Obstacle.GONE),
        (Route("r", "duty", hours=replace(WORK, outside=True)), None),
        (Route("r", roster="r"), None),
    ],
)
def test_of_a_route_that_leads_to_nobody_it_is_known_what_is_in_the_way(
    route: Route, obstacle: Obstacle | None
) -> None:
    weighed = weigh(route, FAULT, RAISED, Site("lianxin", HERE), STAFF, NOW_MS)
    assert weighed.obstacle is obstacle
    assert bool(weighed.reached) is (obstacle is None)


def test_a_firms_people_hear_of_its_own_compounds_only() -> None:
    elsewhere = Site("yaxin", HERE)
    for route in (Route("a", "lianxin"), Route("b", person="li"), Route("c", roster="r")):
        weighed = weigh(route, FAULT, RAISED, elsewhere, STAFF, NOW_MS)
        assert (weighed.reached, weighed.obstacle) == ((), Obstacle.OTHER_FIRM)


def test_of_several_targets_of_a_person_those_are_told_that_may_be() -> None:
    targets = dict(STAFF.targets) | {"new": a_target("new", created_at_ms=NOW_MS + 1)}
    person = replace(PEOPLE["li"], targets=("new", "li-mail", "gone"))
    directory = replace(STAFF, targets=targets, people={"li": person})
    weighed = weigh(Route("r", person="li"), FAULT, RAISED, Site("lianxin"), directory, NOW_MS)
    assert (weighed.reached, weighed.person) == (("li-mail",), "li")
    assert weighed.missed == {"new": Obstacle.OLDER, "gone": Obstacle.GONE}
