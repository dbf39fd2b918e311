"""Who is told of an event: a table of decisions."""

from dataclasses import replace

import pytest

from devices.alerts import (
    NO_NEWS,
    NO_ROUTE,
    OLDER,
    OVER_BEFORE,
    ChannelName,
    Decision,
    Route,
    Target,
    decide,
)
from devices.faults import Fault, FaultEvent, Held, State, Why
from devices.rules import Severity

NOW_MS = 1_795_000_000_000

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


def decided(
    fault: Fault = FAULT,
    event: FaultEvent = RAISED,
    firm: str | None = "lianxin",
    routes: tuple[Route, ...] = ALL,
    told: frozenset[str] = frozenset(),
) -> Decision:
    return decide(fault, event, firm, routes, TARGETS, told)


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
    assert decided(fault, event, told=frozenset(told)) == decision


def test_a_target_is_not_told_of_what_happened_before_it_was_made() -> None:
    young = {"duty": a_target("duty", created_at_ms=NOW_MS + 1)}
    assert decide(FAULT, RAISED, None, ALL, young, frozenset()) == Decision((), OLDER)
