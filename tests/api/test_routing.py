"""The dry run of routes through the API."""

from typing import Any

import pytest
from sqlalchemy import func, select

from devices.store.database import reading
from devices.store.schema import deliveries, fault_events
from tests.api.cast import (
    GATE,
    LAMP,
    LIANXIN,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_delivery,
    a_fault,
    a_person,
    a_roster,
    a_route,
    a_target,
    a_window,
)

WORK = {"days": ["workday"], "from_min": 510, "to_min": 1050, "outside": False}


@pytest.fixture
def routed(cast: Cast) -> Cast:
    """yaxin has the office by day, and whoever is on duty for P1 and P2; kangqiao has a robot, the
    district one for P1. All were made a day ago, and it is Monday, 19:42."""
    with cast.write() as connection:
        for target, firm in (("office", "yaxin"), ("mail", "yaxin"), ("theirs", "kangqiao")):
            a_target(connection, target, firm=firm, name=f"{target}-name")
        a_target(connection, "district", firm=None)
        a_person(connection, "li", targets=["mail"], language="en")
        a_roster(connection, "duty", "li")
        a_route(connection, "by-day", "office", hours=WORK)
        a_route(connection, "on-duty", None, roster="duty", severities=["P1", "P2"])
        a_route(connection, "stranger", "theirs", firm="kangqiao")
        a_route(connection, "worst", "district", severities=["P1"])
    return cast


def tried(cast: Cast, name: str = "operator", **asked: Any) -> dict[str, Any]:
    answer = cast.client(name).get("/v1/routes/dry-run", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def outcome(found: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    return (
        [one["target"] for one in found["told"]],
        {one["route"]: one["reason"] for one in found["not_told"]},
    )


def test_it_says_who_would_be_told_and_by_which_routes_nobody(routed: Cast) -> None:
    smoke = {"code": "SHED_SMOKE", "device": SHED}
    tamper = {"code": "GATE_TAMPER", "compound": LIANXIN, "severity": "P2"}
    found = tried(routed, **smoke)
    assert outcome(found) == (["mail", "district"], {"by-day": "hours", "stranger": "firm"})
    found = tried(routed, **smoke, at="2026-11-24T10:00")
    assert outcome(found) == (["office", "mail", "district"], {"stranger": "firm"})
    found = tried(routed, **tamper, at="2026-11-24T10:00")
    assert outcome(found) == (
        ["theirs"],
        {"by-day": "other_firm", "on-duty": "other_firm", "worst": "severity"},
    )
    offline = {"code": "GATE_OFFLINE", "device": GATE, "severity": "P4"}
    nobody = tried(routed, **offline, at="2026-11-28T10:00")
    assert outcome(nobody) == (
        [],
        {"by-day": "hours", "on-duty": "severity", "stranger": "firm", "worst": "severity"},
    )
    assert (nobody["reason"], found["reason"]) == ("no_route", None)


def test_it_says_by_which_channel_to_whom_and_why(routed: Cast) -> None:
    found = tried(routed, code="SHED_SMOKE", device=SHED)
    assert found["told"][0] == {
        "target": "mail",
        "target_name": "mail-name",
        "channel": "dingtalk",
        "language": "en",
        "broken": None,
        "person": "li",
        "person_name": "李伟",
        "routes": ["on-duty"],
        "why": {
            "zh": "符合规则条件：级别 P1/P2；值班：轮到李伟值班（11-23 08:00 至 11-24 08:00）",
            "en": "the route fits: severity P1/P2; 值班: 李伟's turn (11-23 08:00 to 11-24 08:00)",
        },
        "waits_until": None,
    }
    assert {name: value for name, value in found.items() if "told" not in name} == {
        "at": "2026-11-23T11:42:10.000Z",
        "local_time": {
            "zh": "2026-11-23 周一 19:42（工作日）",
            "en": "2026-11-23 Mon 19:42 (working day)",
        },
        "what": "raised",
        "fault": None,
        "code": "SHED_SMOKE",
        "name": {"zh": "烟雾报警", "en": "Smoke"},
        "severity": "P1",
        "safety": True,
        "kind": "shed",
        "compound": XIANGYUNLI,
        "device": SHED,
        "firm": "yaxin",
        "reason": None,
        "reason_text": None,
    }
    by_day, _ = found["not_told"]
    assert by_day["why"]["zh"].startswith(
        "只在 工作日 08:30–17:30 通知；当时为 2026-11-23 周一 19:42"
    )
    assert (by_day["target_name"], by_day["reason"]) == ("office-name", "hours")


def test_firms_are_called_by_their_names(routed: Cast) -> None:
    found = tried(routed, code="SHED_SMOKE", device=SHED)
    (stranger,) = (one["why"] for one in found["not_told"] if one["route"] == "stranger")
    assert stranger == {
        "zh": "只限物业 康桥；此故障的物业为 亚新",
        "en": "only of firm Kangqiao; the fault's is Yaxin",
    }


def test_holidays_and_stand_ins_count(routed: Cast) -> None:
    client = routed.client("operator")
    days = {"off": [{"name": "x", "first": "2026-11-24", "last": "2026-11-24"}]}
    assert client.put("/v1/holidays/2026", json=days).status_code == 200
    with routed.write() as connection:
        a_person(connection, "wang", name="王芳", targets=["office"])
    leave = {"person": "li", "by": "wang", "from": "2026-11-24", "to": "2026-11-25"}
    assert client.post("/v1/stand-ins", json=leave).status_code == 201
    found = tried(routed, code="GATE_TAMPER", device=GATE, severity="P2", at="2026-11-24T10:00")
    assert outcome(found)[1]["by-day"] == "hours"
    (told,) = found["told"]
    assert (told["target"], told["person_name"]) == ("office", "王芳")
    assert "王芳代李伟值班" in told["why"]["zh"]


def test_what_holds_notices_holds_them_here_too_and_says_so(routed: Cast) -> None:
    with routed.write() as connection:
        a_window(connection, "w", kind="gate")
    asked = {"code": "GATE_TAMPER", "device": GATE, "severity": "P2"}
    found = tried(routed, **asked)
    assert (found["told"], found["reason"]) == ([], "maintenance")
    assert found["reason_text"]["zh"] == "维护期间，不发通知"
    assert outcome(found)[1]["on-duty"] == "maintenance"
    assert tried(routed, **asked, at="2026-11-24T10:00")["reason"] is None  # it is over by then
    suspected = tried(routed, code="GATE_NO_PASSAGE", device=GATE)
    assert suspected["reason"] == "suspected"


def test_what_waits_for_the_morning_says_so(routed: Cast) -> None:
    quiet = {"quiet_from": "19:00", "quiet_to": "07:00"}
    client = routed.client("operator")
    assert client.put("/v1/targets/theirs/hours", json=quiet).status_code == 200
    asked = {"code": "GATE_OFFLINE", "compound": LIANXIN}
    (told,) = tried(routed, **asked, severity="P3")["told"]
    assert (told["target"], told["waits_until"]) == ("theirs", "2026-11-23T23:00:00.000Z")
    (told,) = tried(routed, **asked, severity="P2")["told"]
    assert told["waits_until"] is None
    (told,) = tried(routed, **asked, severity="P3", at="2026-11-24T07:00")["told"]
    assert told["waits_until"] is None


def test_of_a_fault_that_there_is_its_end_goes_to_those_who_were_told(routed: Cast) -> None:
    with routed.write() as connection:
        a_fault(connection, "f", severity="P2")
        a_delivery(connection, "f", "office", person="li")
        a_fault(connection, "g", code="GATE_TAMPER", suppressed_by="f", severity="P2")
    raised = tried(routed, fault="f")
    assert (outcome(raised)[0], raised["fault"], raised["what"]) == (["mail"], "f", "raised")
    over = tried(routed, fault="f", what="over")
    (told,) = over["told"]
    assert (told["target"], told["person"], told["routes"]) == ("office", "li", [])
    assert told["why"]["en"] == "was told of the fault"
    assert tried(routed, fault="g")["reason"] == "suppressed"
    assert tried(routed, fault="g", what="over")["reason"] == "no_news"


def test_a_firm_sees_its_own_part_and_no_stranger(routed: Cast) -> None:
    asked = {"code": "SHED_SMOKE", "device": SHED}
    assert outcome(tried(routed, "yaxin", **asked)) == (["mail"], {"by-day": "hours"})
    with routed.write() as connection:
        a_fault(connection, "strange", device=STRANGE_GATE, compound=LIANXIN)
    client = routed.client("yaxin")
    for strange in (
        {"fault": "strange"},
        {"fault": "none"},
        {"code": "GATE_OFFLINE", "device": STRANGE_GATE},
        {"code": "GATE_OFFLINE", "compound": LIANXIN},
    ):
        assert client.get("/v1/routes/dry-run", params=strange).status_code == 404, strange


def test_a_fault_that_cannot_be_is_refused_in_words(cast: Cast) -> None:
    client = cast.client("operator")
    offline = {"code": "GATE_OFFLINE", "device": GATE}
    for asked, parameter in (
        ({}, "code"),
        ({"code": "NO_SUCH", "compound": XIANGYUNLI}, "code"),
        ({"code": "GATE_OFFLINE"}, "compound"),
        ({"code": "SYS_DISK", "compound": XIANGYUNLI}, "compound"),
        ({"code": "SHED_SMOKE", "device": GATE}, "kind"),
        ({"code": "DEV_CLOCK_DRIFT", "compound": XIANGYUNLI}, "kind"),
        (offline | {"compound": LIANXIN}, "device"),
        (offline | {"kind": "lamp"}, "device"),
        (offline | {"kind": "fridge"}, "kind"),
        (offline | {"what": "over"}, "what"),
        (offline | {"at": "2036-01-01"}, "at"),
        (offline | {"fault": "f"}, "fault"),
    ):
        answer = client.get("/v1/routes/dry-run", params=asked)
        assert answer.status_code == 422, asked
        assert answer.json()["errors"][0]["parameter"] == parameter, asked


def test_a_fault_of_our_own_has_no_place(routed: Cast) -> None:
    found = tried(routed, code="SYS_DISK", severity="P1")
    assert (found["compound"], found["firm"], outcome(found)[0]) == (None, None, ["district"])
    drift = tried(routed, code="DEV_CLOCK_DRIFT", device=LAMP)
    assert (drift["kind"], drift["compound"]) == ("lamp", XIANGYUNLI)


def test_nothing_is_sent_or_written(routed: Cast) -> None:
    tried(routed, code="SHED_SMOKE", device=SHED)
    with reading(routed.engine) as connection:
        for table in (deliveries, fault_events):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
    assert routed.messenger.sent == []
