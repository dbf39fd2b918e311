"""The console's pages of duty: rosters, people, stand-ins, and the dry run of routes."""

import re

import pytest
from sqlalchemy import select

from devices.store.schema import people, rosters, routes, stand_ins
from tests.api.cast import (
    DAY_MS,
    GATE,
    LIANXIN,
    NOW_MS,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_person,
    a_roster,
    a_route,
    a_stand_in,
    a_target,
)
from tests.api.console.test_alert_pages import EVIL, page


@pytest.fixture
def staffed(cast: Cast) -> Cast:
    """王建国 and 李敏 take turns; today 李敏 stands in for 王建国."""
    with cast.write() as connection:
        a_target(connection, "robot", name="值班群")
        a_person(connection, "wang", name="王建国", targets=["robot"])
        a_person(connection, "li", name="李敏", targets=[], phone="13800000002")
        a_roster(connection, "night", "wang", people=["wang", "li"], name="夜班")
        a_stand_in(connection, "leave", "wang", substitute="li", note="年假", to_ms=NOW_MS + DAY_MS)
    return cast


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_it_says_who_is_on_duty_now_and_why_and_who_is_next(staffed: Cast) -> None:
    text = text_of(page(staffed, "/alerts/duty", "yaxin"))
    assert "夜班 亚新 · 每天 08:00 交班，2 人轮流 李敏 至 11-24 08:00 李敏代王建国值班" in text
    assert "李敏 → 王建国 → 李敏 → 王建国" in text
    assert "李敏 13800000002 没有目标，收不到通知" in re.sub(r" 亚新", "", text)
    assert "李敏 代 王建国 19:42 – 11-24 19:42 · 所有值班 · 年假" in text
    roster = text_of(page(staffed, "/alerts/rosters/night", "yaxin"))
    assert "第 1 级 李敏 李敏代王建国值班" in roster
    english = text_of(page(staffed, "/alerts/duty", **{"Accept-Language": "en"}))
    assert "李敏 until 11-24 08:00 李敏 stands in for 王建国" in english


def test_without_anybody_it_says_what_to_do(cast: Cast) -> None:
    text = page(cast, "/alerts/duty")
    assert "还没有值班表" in text
    assert "还没有人员" in text
    assert "先建人员，再排值班表" in page(cast, "/alerts/rosters/new")


def test_a_person_a_roster_and_a_route_to_it_are_made_with_forms(cast: Cast) -> None:
    client = cast.client("yaxin")
    with cast.write() as connection:
        a_target(connection, "robot", name="值班群")
    for name in ("王建国", "李敏"):
        form = {"name": name, "phone": "138 0000 0000", "target": ["robot"]}
        assert client.post("/alerts/people/new", data=form).status_code == 303
    with cast.write() as connection:
        ids = dict(connection.execute(select(people.c.name, people.c.id)).all())
    plan = {
        "name": "夜班",
        "starts_on": "2026-11-23",
        "rotation": "weekly",
        "person": [ids["王建国"], ids["李敏"], "", ""],
        "level_2": [ids["李敏"]],
    }
    made = client.post("/alerts/rosters/new", data=plan)
    assert made.status_code == 303, made.text
    with cast.write() as connection:
        row = connection.execute(select(rosters)).one()
    assert (row.people, row.levels, row.rotation, row.firm) == (
        [ids["王建国"], ids["李敏"]],
        [[ids["李敏"]]],
        "weekly",
        "yaxin",
    )
    when = {"days": ["workday"], "hours_from": "08:30", "hours_to": "17:30", "outside": "on"}
    form = {"whom": f"roster:{row.id}", "severity": ["P1"]} | when
    assert client.post("/alerts/routes", data=form).status_code == 303
    text = text_of(page(cast, "/alerts/routes", "yaxin"))
    assert "危急 · 除 工作日 08:30–17:30 外 夜班 的当班人" in text


def test_an_edit_keeps_what_is_left_empty(staffed: Cast) -> None:
    client = staffed.client("yaxin")
    assert client.post("/alerts/rosters/night", data={"name": "白班"}).status_code == 303
    with staffed.write() as connection:
        row = connection.execute(select(rosters)).one()
    assert (row.name, row.people, row.handover_min) == ("白班", ["wang", "li"], 480)
    form = {"name": "", "target": ["robot"], "phone": "13800000003"}
    assert client.post("/alerts/people/li", data=form).status_code == 303
    with staffed.write() as connection:
        row = connection.execute(select(people).where(people.c.id == "li")).one()
    assert (row.name, row.targets, row.phone) == ("李敏", ["robot"], "13800000003")


def test_what_cannot_be_is_told_on_the_page(staffed: Cast) -> None:
    client = staffed.client("yaxin")
    for path, form, says in (
        ("people/new", {"name": "n", "phone": "call me"}, "电话：3 至 30 位数字"),
        (
            "people/new",
            {"name": "n", "phone": "123", "target": ["nobodys"]},
            "通知目标：只能选同一物业",
        ),
        ("rosters/new", {"name": "n", "starts_on": "2026-02-30", "person": ["li"]}, "起始日期："),
        ("rosters/new", {"name": "n", "starts_on": "2026-11-23"}, "轮班人员：至少一位"),
        ("stand-ins", {"person": "li", "by": "li", "starts_at": "2026-11-24T08:00"}, "替班人："),
    ):
        answer = client.post(f"/alerts/{path}", data=form, headers={"Accept": "text/html"})
        notice = re.search(r'role="alert"[^>]*>(.*?)</', answer.text, re.DOTALL)
        assert notice is not None
        assert (answer.status_code, says in notice[1]) == (422, True), (path, notice[1])
        assert "autofocus" in notice[0]  # where who wrote it is taken
        kept = form.get("phone", form.get("starts_on", "2026-11-24T08:00"))
        assert f'value="{kept}"' in answer.text
    for path, changes in (
        ("people/li", {"name": "李", "phone": "call me"}),
        ("rosters/night", {"name": "白班", "handover": "8", "person": ["wang"]}),
    ):
        answer = client.post(f"/alerts/{path}", data=changes, headers={"Accept": "text/html"})
        assert (answer.status_code, f'value="{changes["name"]}"' in answer.text) == (422, True)
    english = {"Accept": "text/html", "Accept-Language": "en"}
    impossible = {"name": "n", "starts_on": "2026-02-30", "person": ["li"]}
    answer = client.post("/alerts/rosters/new", data=impossible, headers=english)
    notice = re.search(r'role="alert"[^>]*>(.*?)</', answer.text, re.DOTALL)
    assert notice is not None
    assert notice[1].startswith("First day: ")
    needed = client.post("/alerts/people/li/delete", headers={"Accept": "text/html"})
    assert (needed.status_code, "先移出值班表" in needed.text) == (409, True)


def test_people_of_one_name_are_told_apart_where_one_is_chosen(staffed: Cast) -> None:
    with staffed.write() as connection:
        a_person(connection, "li-2", name="李敏", phone="13800000009")
        a_person(connection, "li-3", name="李敏", firm="kangqiao", phone="13800000010")
    choice = r'<option value="(?:person:)?(li|li-2|li-3|wang)"[^>]*>([^<]*)<'
    for path, name in (("/alerts/routes", "operator"), ("/alerts/duty", "operator")):
        assert dict(re.findall(choice, page(staffed, path, name))) == {
            "li": "李敏 · 亚新 · …0002",
            "li-2": "李敏 · 亚新 · …0009",
            "li-3": "李敏 · 康桥",
            "wang": "王建国",
        }
    roster = dict(re.findall(choice, page(staffed, "/alerts/rosters/night", "yaxin")))
    assert roster == {"li": "李敏 · …0002", "li-2": "李敏 · …0009", "wang": "王建国"}
    assert "…0002" not in page(staffed, "/alerts/routes", "viewer")


def test_a_stand_in_is_arranged_and_ended_after_a_question(staffed: Cast) -> None:
    client = staffed.client("yaxin")
    form = {"person": "li", "by": "wang", "roster": "night", "note": "出差"}
    form |= {"starts_at": "2026-11-25T08:00", "ends_at": "2026-11-26T08:00"}
    assert client.post("/alerts/stand-ins", data=form).status_code == 303
    text = text_of(page(staffed, "/alerts/duty", "yaxin"))
    assert "王建国 代 李敏 11-25 08:00 – 11-26 08:00 · 夜班 · 出差" in text
    with staffed.write() as connection:
        (stand_in,) = connection.scalars(select(stand_ins.c.id).where(stand_ins.c.id != "leave"))
    assert "王建国 代 李敏？" in text_of(
        page(staffed, f"/alerts/stand-ins/{stand_in}/end", "yaxin")
    )
    assert client.post(f"/alerts/stand-ins/{stand_in}/end").status_code == 303
    assert "出差" not in page(staffed, "/alerts/duty", "yaxin")


def test_who_is_in_a_roster_is_not_deleted_and_a_roster_goes_with_its_routes(
    staffed: Cast,
) -> None:
    client = staffed.client("yaxin")
    with staffed.write() as connection:
        a_route(connection, "r", None, roster="night")
    refused = client.post("/alerts/people/wang/delete", headers={"Accept": "text/html"})
    assert (refused.status_code, "王建国" in refused.text) == (409, True)
    assert "规则和它的代班一起结束" in page(staffed, "/alerts/rosters/night/delete", "yaxin")
    assert client.post("/alerts/rosters/night/delete").status_code == 303
    with staffed.write() as connection:
        assert connection.execute(select(routes.c.deleted_at_ms)).scalar_one() == NOW_MS
    assert client.post("/alerts/people/wang/delete").status_code == 303


def test_a_dry_run_says_who_would_be_told_and_why_others_would_not(staffed: Cast) -> None:
    with staffed.write() as connection:
        a_target(connection, "desk", name="区值班群", firm=None, broken="wrong secret")
        a_route(connection, "r1", "desk", severities=["P1"])
        a_route(connection, "r2", None, person="wang", code="GATE_OFFLINE")
        a_fault(connection, "f", device=GATE)
    assert 'id="told"' not in page(staffed, "/alerts/dry-run")
    of_any = f"/alerts/dry-run?code=DEV_CLOCK_DRIFT&device={GATE}"
    assert 'id="told"' in page(staffed, of_any)
    query = f"code=SHED_SMOKE&compound={XIANGYUNLI}"
    text = text_of(page(staffed, f"/alerts/dry-run?{query}"))
    assert re.search(r"区值班群 钉钉机器人 .*目标待修，通知会等着：wrong secret", text)
    assert re.search(r"不通知的规则 王建国 .*GATE_OFFLINE", text)
    nobody = text_of(page(staffed, f"/alerts/dry-run?code=GATE_HELD_OPEN&compound={LIANXIN}"))
    assert "不会通知任何人" in nobody
    refused = staffed.client("yaxin").get(
        f"/alerts/dry-run?code=SHED_SMOKE&compound={LIANXIN}", headers={"Accept": "text/html"}
    )
    assert refused.status_code == 404


def test_strangers_see_nothing_and_viewers_neither_telephones_nor_forms(staffed: Cast) -> None:
    text = page(staffed, "/alerts/duty", "kangqiao")
    for word in ("王建国", "夜班", "年假"):
        assert word not in text
    for path in ("/alerts/duty", "/alerts/people/li", "/alerts/rosters/night"):
        text = page(staffed, path, "viewer")
        assert "李敏" in text
        assert "13800000002" not in text
        assert 'method="post" action="/alerts' not in text


def test_what_others_wrote_is_text(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "robot", name=EVIL)
        a_person(connection, "p", name=EVIL, targets=["robot"])
        a_roster(connection, "r", "p", name=EVIL)
        a_stand_in(connection, "s", "p", note=EVIL)
        a_route(connection, "to", None, roster="r")
    for path in (
        "/alerts/duty",
        "/alerts/people/p",
        "/alerts/people/p/delete",
        "/alerts/rosters/r",
        "/alerts/rosters/r/delete",
        "/alerts/stand-ins/s/end",
        "/alerts/routes",
        f"/alerts/dry-run?code=SHED_SMOKE&compound={XIANGYUNLI}",
    ):
        assert EVIL not in page(cast, path)
