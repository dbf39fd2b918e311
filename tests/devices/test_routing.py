"""A dry run tells what would be decided: of every fault, at every time, the same as `decide`."""

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from devices.alerts import ChannelName, Directory, Obstacle, Route, Site, Target, decide
from devices.calendars import Hours
from devices.faults import NOTICED, Held, Why
from devices.rosters import Person, Roster, StandIn
from devices.routing import again, described, nobody_text, rehearse
from devices.rules import Severity

HERE = ZoneInfo("Asia/Shanghai")
NOW_MS = 1_795_000_000_000
TARGETS = {
    name: Target(name, name, ChannelName.WEBHOOK, "https://x", firm=firm, created_at_ms=made_ms)
    for name, firm, made_ms in (
        ("duty", None, 0),
        ("robot", "yaxin", 0),
        ("new", "yaxin", NOW_MS + 1),
        ("theirs", "kangqiao", 0),
    )
}
PEOPLE = {
    "li": Person("li", "李伟", "yaxin", targets=("robot", "new", "gone")),
    "wang": Person("wang", "王芳", "yaxin"),
}
LEAVE = StandIn("s", "wang", "li", NOW_MS, NOW_MS + 86_400_000)
ROSTER = Roster("r", "值班", ("li", "wang"), date(2026, 11, 18), stand_ins=(LEAVE,), firm="yaxin")
STAFF = Directory(TARGETS, (), PEOPLE, {"r": ROSTER}, (LEAVE,))

routes = st.builds(
    lambda end, **terms: Route("r", **({end[0]: end[1]} | terms)),
    st.sampled_from(
        [
            *(("target", name) for name in (*TARGETS, "gone")),
            *(("person", name) for name in (*PEOPLE, "gone")),
            *(("roster", name) for name in ("r", "gone")),
        ]
    ),
    firm=st.sampled_from([None, "yaxin", "kangqiao"]),
    compound=st.sampled_from([None, "xiangyunli", "other"]),
    kind=st.sampled_from([None, "gate", "shed"]),
    code=st.sampled_from([None, "GATE_OFFLINE", "GATE_TAMPER"]),
    severities=st.sampled_from([(), (Severity.P1,), (Severity.P2, Severity.P3)]),
    hours=st.sampled_from([None, Hours(("workday",), 510, 1050), Hours(("weekend",))]),
)


@given(
    st.lists(routes, max_size=6),
    st.sampled_from(["GATE_OFFLINE", "GATE_TAMPER", "GATE_NO_PASSAGE"]),
    st.sampled_from([None, *Severity]),
    st.sampled_from([*NOTICED, Why.OVER, Why.ACKNOWLEDGED]),
    st.sampled_from([None, "root"]),
    st.sampled_from([None, NOW_MS + 1]),
    st.sampled_from([None, "window"]),
    st.integers(-96, 96),
)
def test_a_dry_run_tells_those_that_are_told_and_every_other_route_says_why_not(
    led: list[Route],
    code: str,
    severity: Severity | None,
    why: Why,
    root: str | None,
    shelved_until_ms: int | None,
    window: str | None,
    hours: int,
) -> None:
    at_ms = NOW_MS + hours * 3_600_000
    there = replace(STAFF, routes=tuple(replace(one, id=f"r{n}") for n, one in enumerate(led)))
    fault, _ = described(
        code, compound="xiangyunli", device="gate-1", severity=severity, at_ms=NOW_MS
    )
    fault = replace(fault, suppressed_by=root, shelved_until_ms=shelved_until_ms)
    move = again(fault, why, window, at_ms)
    site, known = Site("yaxin", HERE), {"duty": None, "robot": "li", "gone": None}
    decision = decide(*move, site, there, known, at_ms)
    found = rehearse(move, site, there, known, at_ms)
    assert tuple(one.target.id for one in found.told) == decision.targets
    assert {one.target.id: one.person.id for one in found.told if one.person} == decision.people
    assert found.reason == decision.reason
    assert (found.why is None) == (decision.reason is None)
    if why in NOTICED:  # every route is accounted for
        leading = {route.id for one in found.told for route in one.routes}
        stopped = {one.route.id for one in found.not_told}
        assert leading | stopped == {route.id for route in there.routes}
    for text in (*(one.why for one in found.told), *(one.why for one in found.not_told)):
        assert text.zh
        assert text.en


def test_every_reason_has_words_in_both_languages() -> None:
    for reason in (*Held, "no_news", "no_route", "over_before_notice", Obstacle.UNREACHABLE):
        text = nobody_text(reason.value if isinstance(reason, Held | Obstacle) else reason)
        assert text.zh != text.en
