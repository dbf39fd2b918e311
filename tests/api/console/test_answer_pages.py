"""Answering a fault by the link in a message: that fault, and nothing without the link."""

import re

import pytest
from httpx2 import Response
from sqlalchemy import func, select, text, update
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from api.protection import POLICY
from devices.alerts import Route
from devices.faults import Why
from devices.links import Key, link_of, sign
from devices.store.database import reading
from devices.store.faults import newest_events
from devices.store.links import find_key, make_key
from devices.store.schema import (
    compounds,
    deliveries,
    devices,
    fault_events,
    faults,
    firms,
    targets,
)
from devices.store.targets import add_route
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    MINUTE_MS,
    NOW_MS,
    Cast,
    a_delivery,
    a_fault,
    a_person,
    a_target,
)

NAME = "王芳"


def told(cast: Cast, fault: str = "f", target: str = "robot", **more: object) -> str:
    """A fault that this target was told of; the address of the link in the message."""
    firm = more.pop("firm", "yaxin")
    language = more.pop("language", "zh")
    with cast.write() as connection:
        a_target(connection, target, firm=firm, name="绿云值班群", language=language)
        a_fault(connection, fault, **more)
        a_delivery(connection, fault, target)
        key = make_key(connection, NOW_MS)
        return address(fault, target, 1, key)


def address(fault: str, target: str, delivery: int, key: Key) -> str:
    return f"/a/{sign(link_of(delivery, fault, target, NOW_MS), key)}"


def form_of(client: TestClient, link: str) -> str:
    found = re.search(r'name="form" value="([^"]+)"', client.get(link).text)
    assert found is not None
    return found[1]


def send(client: TestClient, link: str, do: str, **more: str) -> Response:
    data = {"form": form_of(client, link), "do": do, "name": NAME} | more
    return client.post(link, data=data)


def steps(cast: Cast, fault: str = "f") -> list[tuple[Why, str, str | None]]:
    """What happened to a fault after it was raised, oldest first."""
    with reading(cast.engine) as connection:
        events = newest_events(connection, fault, 100)
    return [(event.reason, event.actor, event.note) for event in reversed(events)][1:]


ACTOR = f"{NAME} · 绿云值班群"


def test_the_page_shows_the_fault_and_changes_nothing(cast: Cast) -> None:
    link = told(cast, evidence={"silent_s": 540})
    with cast.write() as connection:
        people = [{"name": "李伟", "phone": "+86 138-0000 0001", "role": "值班"}]
        connection.execute(
            update(devices).where(devices.c.id == GATE).values(building="3 号楼", unit="北侧")
        )
        connection.execute(update(firms).where(firms.c.id == "yaxin").values(contacts=people))
    client = cast.client(None)
    answer = client.get(link)
    assert answer.status_code == 200
    for words in ("祥云里", "东门", "3 号楼 北侧", "李伟", 'href="tel:+8613800000001"', "确认"):
        assert words in answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script" not in answer.text
    assert "onclick" not in answer.text
    for _ in range(3):  # a chat looks at what is behind a link, and so do virus scanners
        client.get(link)
    assert steps(cast) == []
    assert "Set-Cookie" not in answer.headers


def test_somebody_acknowledges_and_it_stands_in_the_history_by_whom_and_by_which_link(
    cast: Cast,
) -> None:
    link, client = told(cast), cast.client(None)
    answer = send(client, link, "acknowledge", note="马上到")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{link}?done=acknowledge")
    assert "已确认" in client.get(answer.headers["Location"]).text
    assert steps(cast) == [(Why.ACKNOWLEDGED, ACTOR, "马上到")]
    shown = cast.client("yaxin").get("/v1/faults/f").json()
    assert (shown["state"], shown["acknowledged_by"]) == ("acknowledged", ACTOR)
    assert shown["events"][-1]["evidence"] == {"delivery": 1}


def test_all_that_a_link_is_for_one_after_the_other(cast: Cast) -> None:
    link = told(cast, suspected=True, code="GATE_NO_PASSAGE")
    client = cast.client(None)
    for do in ("acknowledge", "confirm", "comment", "onsite", "repaired", "refute"):
        assert f'value="{do}"' in client.get(link).text
        answer = send(client, link, do, note="看过了")
        assert answer.status_code == 303, do
        page = client.get(answer.headers["Location"]).text
        assert 'role="status"' in page
        assert 'role="alert"' not in page
    whys = (Why.ACKNOWLEDGED, Why.CONFIRMED, Why.COMMENTED, Why.ONSITE, Why.REPAIRED, Why.CLOSED)
    assert steps(cast) == [(why, ACTOR, "看过了") for why in whys]


def test_nothing_else_is_done_by_a_link(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    for do in ("shelve", "unshelve", "close", "delete", ""):
        assert send(client, link, do).status_code in (404, 422), do
    assert steps(cast) == []


def test_a_second_tap_on_the_button_is_the_first_one_again(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    for do in ("comment", "acknowledge"):
        assert send(client, link, do, note="收到").status_code == 303
        assert send(client, link, do, note="收到").status_code == 303
    assert [reason for reason, _, _ in steps(cast)] == [Why.COMMENTED, Why.ACKNOWLEDGED]
    rows = cast.client("operator").get("/v1/audit").json()["items"][::-1]
    assert [row["outcome"] for row in rows] == ["done", "repeated", "done", "repeated"]
    cast.now_ms += 3 * MINUTE_MS
    assert send(client, link, "comment", note="收到").status_code == 303
    assert len(steps(cast)) == 3


def test_who_is_slower_sees_how_it_is_now(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    assert cast.client("yaxin").post("/v1/faults/f/acknowledge").status_code == 200
    answer = send(client, link, "acknowledge", note="是我")
    assert answer.status_code == 409
    assert "有人先一步" in answer.text
    assert "wang-jianguo" in answer.text
    assert "是我" in answer.text  # what was typed is not lost
    assert [actor for _, actor, _ in steps(cast)] == ["wang-jianguo"]


def test_a_name_is_asked_for_and_kept_for_the_next_time(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    answer = send(client, link, "acknowledge", name=" \u202e ", note="马上到")
    assert answer.status_code == 422
    assert "请填写姓名" in answer.text
    assert "马上到" in answer.text
    answer = send(client, link, "acknowledge")
    cookie = answer.headers["Set-Cookie"]
    for mark in ("HttpOnly", "Path=/a", "SameSite=lax"):
        assert mark in cookie
    assert f'value="{NAME}"' in client.get(link).text


def test_a_note_without_words_is_sent_back(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    assert send(client, link, "comment", note="  ").status_code == 422
    assert steps(cast) == []


def test_what_is_typed_is_shown_as_text(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    send(client, link, "comment", note="<script>alert(1)</script>", name="<b>x</b>")
    page = client.get(link).text
    assert "<script" not in page
    assert "<b>x</b>" not in page


def test_it_is_handed_on_to_another_target_of_the_firm_which_is_told(cast: Cast) -> None:
    link, client = told(cast, safety=True), cast.client(None)
    with cast.write() as connection:
        a_target(connection, "chief", name="项目经理")
        a_target(connection, "stranger", firm="kangqiao", name="康桥群")
        a_target(connection, "district", firm=None, name="区值班")
        a_target(connection, "gone", name="旧群", deleted_at_ms=NOW_MS)
    page = client.get(link).text
    assert "项目经理" in page
    for hidden in ("康桥群", "区值班", "旧群"):
        assert hidden not in page
    for target in ("stranger", "district", "gone", "robot"):
        assert send(client, link, "assign", to=f"target-{target}").status_code == 422
    assert send(client, link, "assign", to="").status_code == 422
    assert send(client, link, "assign", to="target-chief", note="请处理").status_code == 303
    assert steps(cast) == [(Why.ASSIGNED, ACTOR, "请处理")]
    with reading(cast.engine) as connection:
        made = connection.execute(
            select(deliveries.c.target, deliveries.c.state, deliveries.c.safety, deliveries.c.event)
            .order_by(deliveries.c.id.desc())
            .limit(1)
        ).one()
        newest, routed_ms = connection.execute(
            select(fault_events.c.id, fault_events.c.routed_at_ms)
            .order_by(fault_events.c.id.desc())
            .limit(1)
        ).one()
        assignee = connection.execute(select(faults.c.assignee)).scalar_one()
    assert tuple(made) == ("chief", "pending", True, newest)
    assert routed_ms == NOW_MS
    assert assignee == "项目经理"


def test_people_of_one_name_are_told_apart_where_it_is_handed_on(cast: Cast) -> None:
    link, client = told(cast, firm=None), cast.client(None)
    with cast.write() as connection:
        for person, phone, firm in (("one", "13800000001", "yaxin"), ("two", "13800000002", None)):
            a_target(connection, f"to-{person}", firm=firm, name=f"to-{person}")
            row = {"name": "王芳", "phone": phone, "firm": firm, "targets": [f"to-{person}"]}
            a_person(connection, person, **row)
    page = client.get(link).text
    assert ">王芳 · 亚新<" in page
    assert ">王芳 · 区值班<" in page


def test_from_the_district_it_is_handed_on_to_the_firm_in_charge(cast: Cast) -> None:
    link, client = told(cast, firm=None), cast.client(None)
    with cast.write() as connection:
        a_target(connection, "yaxin-robot", name="亚新群")
        a_target(connection, "stranger", firm="kangqiao", name="康桥群")
    assert "亚新群" in client.get(link).text
    assert "康桥群" not in client.get(link).text


def told_to_wang(cast: Cast) -> str:
    """王芳 was on duty when the fault was raised, and was reached by the group's robot."""
    link = told(cast)
    with cast.write() as connection:
        a_person(connection, "wang", name="王芳", language="en")
        connection.execute(update(deliveries).values(person="wang"))
        key = find_key(connection, 1)
    assert key is not None
    is_dead(cast, link, 403, "链接不完整或被改动")  # it would be of nobody in particular
    return f"/a/{sign(link_of(1, 'f', 'robot', NOW_MS, 'wang'), key)}"


def test_the_link_of_somebody_on_duty_is_theirs_and_asks_for_no_name(cast: Cast) -> None:
    link, client = told_to_wang(cast), cast.client(None)
    page = client.get(link).text
    assert "You are 王芳" in page
    assert 'name="name"' not in page
    answer = send(client, link, "acknowledge", name="somebody else")
    assert answer.status_code == 303
    assert "Set-Cookie" not in answer.headers
    assert steps(cast) == [(Why.ACKNOWLEDGED, "王芳 · 绿云值班群", None)]


@pytest.mark.parametrize("shared_by", ["a route", "another person"])
def test_who_opens_it_is_asked_for_where_others_read_there_too(cast: Cast, shared_by: str) -> None:
    """王芳 is on duty, and reached through the group: whoever in it opens the link is not her."""
    link, client = told_to_wang(cast), cast.client(None)
    with cast.write() as connection:
        if shared_by == "a route":
            add_route(connection, Route("r", "robot"))
        else:
            a_person(connection, "li", name="李伟", targets=["robot"])
    page = client.get(link).text
    assert "王芳" not in page
    assert 'name="name"' in page
    assert send(client, link, "acknowledge").status_code == 303
    assert steps(cast) == [(Why.ACKNOWLEDGED, ACTOR, None)]


def test_the_link_of_somebody_who_is_gone_is_dead(cast: Cast) -> None:
    link = told_to_wang(cast)
    assert cast.client("yaxin").delete("/v1/people/wang").status_code == 204
    is_dead(cast, link, 410, "人员或通知对象已删除")


def test_it_is_handed_on_to_a_person_by_all_that_reach_them(cast: Cast) -> None:
    link, client = told_to_wang(cast), cast.client(None)
    with cast.write() as connection:
        a_target(connection, "phone", name="李伟手机")
        a_target(connection, "broken", name="旧手机", broken="mend it")
        a_person(connection, "li", name="李伟", targets=["phone", "broken", "robot"])
        a_person(connection, "silent", name="张三", targets=["broken"])
        a_person(connection, "zhao", name="赵敏", firm="kangqiao", targets=["robot"])
    page = client.get(link).text
    assert re.findall(r'option value="([^"]+)"', page) == ["person-li", "target-phone"]
    assert send(client, link, "assign", to="person-li").status_code == 303
    with reading(cast.engine) as connection:
        made = connection.execute(
            select(deliveries.c.target, deliveries.c.person)
            .where(deliveries.c.state == "pending")
            .order_by(deliveries.c.target)
        ).all()
    assert [tuple(one) for one in made] == [("phone", "li"), ("robot", "li")]


def is_dead(cast: Cast, link: str, status: int, words: str) -> None:
    client = cast.client(None)
    page = client.get(link, headers={"Accept": "text/html"})
    assert (page.status_code, words in page.text) == (status, True), page.text
    for detail in ("祥云里", "东门"):
        assert detail not in page.text
    told = client.get(link)
    assert (told.status_code, told.headers["Content-Type"]) == (status, "application/problem+json")
    assert client.post(link, data={"do": "acknowledge", "form": "x"}).status_code == status


def test_a_changed_link_opens_nothing_and_does_not_say_what_there_is(cast: Cast) -> None:
    link = told(cast)
    wrong = [link[:-1] + ("a" if link[-1] != "a" else "b"), "/a/x", "/a/1-1-1-" + "a" * 26]
    number, rest = link.removeprefix("/a/").split("-", 1)
    wrong += [f"/a/9{number}-{rest}", f"/a/{'z' * 12}-{rest}"]
    answers = {cast.client(None).get(each).text for each in wrong}
    assert len(answers) == 1
    for each in wrong:
        is_dead(cast, each, 403, "链接不完整或被改动")
    assert steps(cast) == []


def test_a_link_for_another_fault_or_by_another_key_is_a_changed_one(cast: Cast) -> None:
    told(cast)
    with cast.write() as connection:
        a_fault(connection, "g", code="GATE_TAMPER")
        key = find_key(connection, 1)
    assert key is not None
    is_dead(cast, address("g", "robot", 1, key), 403, "链接不完整或被改动")
    is_dead(cast, address("f", "chief", 1, key), 403, "链接不完整或被改动")
    is_dead(cast, address("f", "robot", 1, Key(1, b"guess" * 8)), 403, "链接不完整或被改动")


def test_a_link_ends_after_seven_days(cast: Cast) -> None:
    link = told(cast)
    cast.now_ms += 7 * DAY_MS - 1
    assert cast.client(None).get(link).status_code == 200
    cast.now_ms += HOUR_MS
    is_dead(cast, link, 410, "链接已过期")


def test_the_link_of_a_deleted_target_is_dead(cast: Cast) -> None:
    link = told(cast)
    assert cast.client("yaxin").delete("/v1/targets/robot").status_code == 204
    is_dead(cast, link, 410, "人员或通知对象已删除")


def test_the_link_of_a_firm_is_dead_once_another_manages_the_compound(cast: Cast) -> None:
    link = told(cast)
    with cast.write() as connection:
        connection.execute(update(compounds).values(firm="kangqiao"))
    is_dead(cast, link, 410, "另一家物业")


def test_a_new_key_leaves_links_alone_unless_they_are_to_end(cast: Cast) -> None:
    link, operator = told(cast), cast.client("operator")
    assert cast.client("yaxin").post("/v1/links/rotate").status_code == 403
    assert operator.post("/v1/links/rotate").json()["key"] == 2
    assert cast.client(None).get(link).status_code == 200
    assert operator.post("/v1/links/rotate", json={"end_old": True}).json()["key"] == 3
    is_dead(cast, link, 410, "链接已作废")
    with reading(cast.engine) as connection:
        key = find_key(connection, 3)
    assert key is not None
    assert cast.client(None).get(address("f", "robot", 1, key)).status_code == 200


def test_a_form_that_another_page_sends_does_nothing(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    form = form_of(client, link)
    data = {"form": form, "do": "acknowledge", "name": NAME}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(link, data=data, headers=headers).status_code == 403
    assert client.post(link, data=data | {"form": form[:-1] + "1"}).status_code == 403
    cast.now_ms += 12 * HOUR_MS
    assert client.post(link, data=data).status_code == 403
    assert steps(cast) == []
    headers = {"Origin": "http://courtyard.example"}
    data["form"] = form_of(client, link)
    assert client.post(link, data=data, headers=headers).status_code == 303


def test_a_link_is_answered_ten_times_a_minute_at_most(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    codes = [send(client, link, "comment", note=str(n)).status_code for n in range(11)]
    assert codes == [303] * 10 + [429]
    answer = send(client, link, "comment", note="more")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    cast.now_ms += MINUTE_MS
    assert send(client, link, "comment", note="later").status_code == 303


def test_it_speaks_the_language_of_the_target_or_the_one_that_is_picked(cast: Cast) -> None:
    link, client = told(cast, language="en"), cast.client(None)
    page = client.get(link, headers={"Accept-Language": "zh-CN"}).text
    assert "Acknowledge" in page
    page = client.get(f"{link}?lang=zh").text
    assert f'action="{link}?lang=zh"' in page
    answer = client.post(
        f"{link}?lang=zh", data={"form": form_of(client, link), "do": "onsite", "name": "Ann"}
    )
    assert answer.headers["Location"].endswith("?done=onsite&lang=zh")


def test_a_closed_fault_takes_only_notes(cast: Cast) -> None:
    link = told(cast, state="closed", closed_at_ms=NOW_MS, cleared_at_ms=NOW_MS)
    page = cast.client(None).get(link).text
    assert re.findall(r'name="do" value="(\w+)"', page) == ["comment"]


def test_the_session_of_somebody_who_is_logged_in_makes_no_difference(cast: Cast) -> None:
    link = told(cast)
    assert send(cast.client("viewer"), link, "acknowledge").status_code == 303
    assert steps(cast)[0][1] == ACTOR


def test_no_list_and_no_other_fault_is_reached_by_a_link(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    client.get(link)
    for path in ("/v1/faults", "/v1/faults/f", "/faults", "/faults/f", "/", "/v1/devices"):
        assert client.get(path).status_code == 401, path
    linked = set(re.findall(r'href="(/[^"]*)"', client.get(link).text))
    assert {one.split("?")[0] for one in linked} <= {
        link,
        "/faults/f",
        "/assets/console.css",
        "/assets/icon.svg",
    }


def test_what_is_done_by_a_link_is_in_the_audit_log_and_the_link_is_not(cast: Cast) -> None:
    link, client = told(cast), cast.client(None)
    send(client, link, "acknowledge")
    send(client, link, "confirm")  # which is refused: it is certain
    rows = cast.client("operator").get("/v1/audit").json()["items"][::-1]
    assert [(row["actor"], row["role"], row["outcome"]) for row in rows] == [
        (ACTOR, "link", "done"),
        (ACTOR, "link", "refused 409"),
    ]
    assert {(row["resource"], row["subject"]) for row in rows} == {("/a/…", "f")}
    assert rows[0]["detail"] == {"did": "acknowledge", "delivery": 1}
    assert link.removeprefix("/a/") not in str(rows)


def test_no_log_has_a_link_that_somebody_could_use(cast: Cast) -> None:
    link = told(cast)
    with cast.write() as connection:
        connection.execute(text("ALTER TABLE targets RENAME TO elsewhere"))
    with capture_logs() as logs:
        assert cast.client(None).get(link).status_code >= 500
    assert [line["path"] for line in logs] == ["/a/…"]
    assert link not in str(logs)


def test_deliveries_of_old_versions_and_of_nobody_have_no_link(cast: Cast) -> None:
    told(cast)
    with cast.write() as connection:
        a_delivery(connection, "f", None)
        number = connection.execute(select(func.max(deliveries.c.id))).scalar_one()
        key = find_key(connection, 1)
        assert connection.execute(select(func.count()).select_from(targets)).scalar_one() == 1
    assert key is not None
    is_dead(cast, address("f", "robot", number, key), 403, "链接不完整或被改动")
