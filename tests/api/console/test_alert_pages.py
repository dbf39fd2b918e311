"""The console's pages of alerts: without scripts, in both languages, and for whom they are."""

import re
from typing import Any

import pytest
from sqlalchemy import select, update

from api.parts import Barred, Unreached
from api.words import knows
from devices.alerts import ChannelName, DeliveryState
from devices.store.schema import deliveries, fault_events, routes, targets
from tests.api.cast import (
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_delivery,
    a_fault,
    a_fault_event,
    a_route,
    a_target,
)

EVIL = "<script>alert(1)</script>"
ADDRESS = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef"
FORM = {"name": "物业值班群", "url": ADDRESS, "secret": "SEC0123456789", "routed": "on"}
HTML = {"Accept": "text/html", "Accept-Language": "zh"}
ENGLISH = {"Accept": "text/html", "Accept-Language": "en"}


def page(cast: Cast, path: str, name: str = "operator", **headers: str) -> str:
    answer = cast.client(name).get(path, headers=HTML | headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def row_of(text: str, word: str) -> str:
    """The line of a table that has this word in it, without its marks."""
    (found,) = [row for row in re.findall(r"<tr>.*?</tr>", text, re.DOTALL) if word in row]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found))


def made(cast: Cast, name: str = "yaxin", **more: str) -> str:
    answer = cast.client(name).post("/alerts/new?channel=dingtalk", data=FORM | more)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/alerts/targets/").partition("?")[0]


def stored(cast: Cast, target: str) -> Any:
    with cast.write() as connection:
        return connection.execute(select(targets).where(targets.c.id == target)).one()


def test_without_a_target_the_page_says_what_that_means(cast: Cast) -> None:
    assert "故障不会通知任何人" in page(cast, "/alerts")
    assert "nobody is told of any fault" in page(cast, "/alerts", **ENGLISH)
    assert "故障不会通知任何人" in page(cast, "/alerts/routes")
    assert "还没有发过通知" in page(cast, "/alerts/deliveries")


def test_each_target_says_whether_it_works_and_what_to_mend(cast: Cast) -> None:
    mend = "93000：地址无效；填入新的地址"
    with cast.write() as connection:
        a_fault(connection, "f")
        a_target(connection, "ok", name="works")
        a_target(connection, "new", name="untried")
        a_target(connection, "bad", name="broken", broken=mend, broken_at_ms=NOW_MS - HOUR_MS)
        a_target(connection, "slow", name="fails", failures=3, not_before_ms=NOW_MS + 40_000)
        a_delivery(connection, "f", "ok", done_at_ms=NOW_MS - MINUTE_MS)
        waits: dict[str, Any] = {"state": "pending", "done_at_ms": None}
        a_delivery(connection, "f", "slow", answer="HTTP 503", attempts=3, **waits)
        a_delivery(connection, "f", "bad", attempts=0, attempted_at_ms=None, answer=None, **waits)
    text = page(cast, "/alerts")
    assert "正常 19:41:10" in row_of(text, ">works<")
    assert "未试过" in row_of(text, ">untried<")
    assert f"待修 {mend} 18:42:10 起不再发送" in row_of(text, ">broken<")
    assert "等待 1 条" in row_of(text, ">broken<")
    assert "发送失败 HTTP 503 连续失败 3 次，19:42:50 再试" in row_of(text, ">fails<")


def test_a_target_is_made_with_what_its_channel_wants_explained(cast: Cast) -> None:
    for channel in ChannelName:
        for headers in (HTML, ENGLISH):
            text = page(cast, f"/alerts/new?channel={channel}", **headers)
            assert ('name="secret"' in text) == (channel in ("dingtalk", "feishu", "webhook"))
    assert cast.client("operator").get("/alerts/new?channel=pigeon").status_code == 422
    target = made(cast)
    row = stored(cast, target)
    assert (row.name, row.url, row.secrets, row.firm) == (
        "物业值班群",
        ADDRESS,
        ["SEC0123456789"],
        "yaxin",
    )
    with cast.write() as connection:
        assert connection.scalars(select(routes.c.target)).all() == [target]
    text = page(cast, f"/alerts/targets/{target}?done=made", "yaxin")
    assert "已建立" in text
    assert "危急、重要、一般 · 亚新<" in text


def test_a_receivers_secret_is_made_for_it_and_kept_when_the_form_is_refused(cast: Cast) -> None:
    text = page(cast, "/alerts/new?channel=webhook")
    (secret,) = re.findall(r'name="secret"[^>]*value="(whsec_[^"]+)"', text)
    form = {"name": "n", "url": "ftp://x", "secret": secret}
    refused = cast.client("operator").post("/alerts/new?channel=webhook", data=form)
    assert (refused.status_code, secret in refused.text) == (422, True)
    assert "地址：不符合该通道的要求" in refused.text
    robot = cast.client("operator").post(
        "/alerts/new?channel=dingtalk", data=FORM | {"url": "ftp://x"}
    )
    assert (robot.status_code, FORM["secret"] in robot.text) == (422, False)


def test_mail_addresses_are_written_as_people_write_them(cast: Cast) -> None:
    form = {"name": "n", "url": "duty@example.org； chief@example.org".replace("；", ";")}
    answer = cast.client("operator").post("/alerts/new?channel=email", data=form)
    assert answer.status_code == 303
    with cast.write() as connection:
        url = connection.execute(select(targets.c.url)).scalar_one()
        assert connection.scalars(select(routes.c.id)).all() == []  # the box was not ticked
    assert url == "mailto:duty@example.org,chief@example.org"


def test_what_is_stored_is_on_no_page_and_an_empty_field_keeps_it(cast: Cast) -> None:
    target = made(cast)
    client = cast.client("yaxin")
    paths = ("/alerts", f"/alerts/targets/{target}", "/alerts/routes", "/alerts/deliveries")
    for who in ("yaxin", "operator", "viewer"):
        for path in paths:
            text = page(cast, path, who)
            assert "0123456789" not in text
            assert "access_token=0" not in text
    changed = client.post(f"/alerts/targets/{target}", data={"name": "新名字", "language": "en"})
    assert changed.status_code == 303
    row = stored(cast, target)
    assert (row.name, row.url, row.secrets, row.language) == (
        "新名字",
        ADDRESS,
        ["SEC0123456789"],
        "en",
    )


@pytest.mark.parametrize(
    ("form", "secrets"),
    [
        ({"secret": "SECnew"}, ["SECnew"]),
        ({"secret": "SECnew", "keep_before": "on"}, ["SECnew", "SEC0123456789"]),
        ({"drop_secret": "on"}, []),
    ],
)
def test_a_secret_is_replaced_kept_beside_the_new_one_or_removed(
    cast: Cast, form: dict[str, str], secrets: list[str]
) -> None:
    target = made(cast)
    assert cast.client("yaxin").post(f"/alerts/targets/{target}", data=form).status_code == 303
    assert stored(cast, target).secrets == secrets


def test_an_address_that_cannot_be_right_is_refused_and_the_old_one_stays(cast: Cast) -> None:
    target = made(cast)
    answer = cast.client("yaxin").post(f"/alerts/targets/{target}", data={"url": "ftp://x"})
    assert (answer.status_code, "地址：不符合该通道的要求" in answer.text) == (422, True)
    assert stored(cast, target).url == ADDRESS


def test_a_test_shows_its_answer(cast: Cast) -> None:
    target = made(cast)
    path = f"/alerts/targets/{target}/test"
    with cast.write() as connection:
        connection.execute(update(targets).values(broken="keyword missing", broken_at_ms=NOW_MS))
    cast.messenger.refuses = f"310000 {EVIL}"
    refused = cast.client("yaxin").post(path, headers=HTML)
    assert "测试未收下：310000 &lt;script&gt;" in refused.text
    assert "待修" in refused.text
    cast.messenger.refuses = None
    accepted = cast.client("yaxin").post(path, headers=HTML)
    assert (accepted.status_code, "测试已收下：ok" in accepted.text) == (200, True)
    assert "待修" not in accepted.text
    assert [sent.id for sent in cast.messenger.sent] == [target, target]
    assert cast.client("yaxin").get(f"{path}?lang=en").status_code == 200  # nothing is sent again
    assert len(cast.messenger.sent) == 2


@pytest.mark.parametrize(
    ("error", "zh", "en"),
    [
        (Unreached("the name of the server is not known"), "找不到或连不上", "not found or not"),
        (Barred("10.0.0.1 is a private address"), "内网地址先由管理员", "10.0.0.1 is a private"),
    ],
)
def test_why_nothing_is_sent_to_an_address_is_said_and_it_stays_in_the_form(
    cast: Cast, error: ValueError, zh: str, en: str
) -> None:
    cast.messenger.refused_hosts["inside.example"] = error
    form = {"name": "物业群", "url": "https://inside.example/x"}
    for path in ("/alerts/new?channel=dingtalk", f"/alerts/targets/{made(cast)}"):
        for headers, why in ((HTML, zh), (ENGLISH, en)):
            refused = cast.client("operator").post(path, data=form, headers=headers)
            assert (refused.status_code, why in refused.text) == (422, True)
            assert 'value="物业群"' in refused.text
            assert 'value="https://inside.example/x"' in refused.text


def test_quiet_hours_and_the_time_of_the_summary_are_set_and_taken_away(cast: Cast) -> None:
    target = made(cast)
    client = cast.client("yaxin")
    path = f"/alerts/targets/{target}/hours"
    form = {"quiet_from": "22:00", "quiet_to": "07:30", "summary_at": "08:00"}
    assert client.post(path, data=form).headers["location"].endswith("?done=hours")
    text = page(cast, f"/alerts/targets/{target}?done=hours", "yaxin")
    assert "时段已保存" in text
    assert 'name="quiet_to" value="07:30"' in text
    assert "安静时段 22:00–07:30" in page(cast, f"/alerts/targets/{target}", "viewer")
    half = client.post(path, data={"quiet_from": "22:00"}, headers=HTML)
    assert (half.status_code, 'role="alert"' in half.text) == (422, True)
    assert 'name="quiet_from" value="22:00"' in half.text  # what was written stays
    assert 'name="quiet_to" value=""' in half.text
    assert client.post(path, data={}).status_code == 303
    assert "没有安静时段和每日汇总" in page(cast, f"/alerts/targets/{target}", "viewer")


def test_routes_are_read_made_and_deleted_after_a_question(cast: Cast) -> None:
    target = made(cast, routed="")
    client = cast.client("yaxin")
    form = {
        "whom": f"target:{target}",
        "compound": XIANGYUNLI,
        "kind": "port",
        "code": "PORT_OVERTEMP",
    }
    severities = {"severity": ["P1", "P2"]}
    answer = client.post("/alerts/routes", data=form | severities)
    assert answer.status_code == 303, answer.text
    text = page(cast, "/alerts/routes", "yaxin")
    assert "危急、重要 · 祥云里 · 充电插座 · 端口过温 物业值班群" in row_of(text, "物业值班群</a>")
    with cast.write() as connection:
        (route,) = connection.scalars(select(routes.c.id).where(routes.c.code.is_not(None)))
    asked = page(cast, f"/alerts/routes/{route}/delete", "yaxin")
    assert "危急、重要 · 祥云里" in asked
    assert "“物业值班群”" in asked
    assert client.post(f"/alerts/routes/{route}/delete").status_code == 303
    assert "端口过温 物业" not in page(cast, "/alerts/routes", "yaxin")


@pytest.mark.parametrize(
    "form",
    [
        {"whom": "target:robot", "severity": "P9"},
        {"whom": "target:robot", "code": "NO_SUCH_CODE"},
        {"whom": "target:robot", "compound": LIANXIN},
        {"whom": "target:nobody"},
        {"whom": "robot"},
    ],
)
def test_a_route_that_cannot_be_says_so_and_keeps_what_was_written(
    cast: Cast, form: dict[str, str]
) -> None:
    with cast.write() as connection:
        a_target(connection, "robot")
    answer = cast.client("yaxin").post("/alerts/routes", data=form, headers=HTML)
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text
    with cast.write() as connection:
        assert connection.scalars(select(routes.c.id)).all() == []


def test_a_target_is_deleted_after_a_question_and_its_record_stays(cast: Cast) -> None:
    target = made(cast)
    with cast.write() as connection:
        a_fault(connection, "f")
        a_delivery(connection, "f", target)
    asked = page(cast, f"/alerts/targets/{target}/delete", "yaxin")
    assert "通知记录保留" in asked
    assert cast.client("yaxin").post(f"/alerts/targets/{target}/delete").status_code == 303
    assert "物业值班群" not in page(cast, "/alerts", "yaxin")
    assert "物业值班群" in page(cast, "/alerts/deliveries", "yaxin")


def test_deliveries_are_filtered_and_say_to_whom_or_why_to_nobody(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "robot", name="值班群")
        a_fault(connection, "f")
        a_fault(connection, "g", code="GATE_HELD_OPEN")
        a_delivery(connection, "f", "robot", answer="0 ok", reason="handed_on")
        a_delivery(connection, "g", None, state="suppressed", reason="no_route", answer=None)
    text = page(cast, "/alerts/deliveries")
    assert "值班群 钉钉机器人 已收下 0 ok 原目标未送达，转到这里" in row_of(text, "0 ok")
    assert "没有通知任何人 未通知 没有规则通向任何目标" in row_of(text, "未通知")
    for query, is_there in (
        ("fault=f", True),
        ("fault=g", False),
        ("state=delivered", True),
        ("state=failed", False),
        ("target=robot", True),
        (f"compound={XIANGYUNLI}", True),
    ):
        shown = page(cast, f"/alerts/deliveries?{query}")
        assert ("0 ok" in shown) == is_there, query
    assert cast.client("operator").get("/alerts/deliveries?state=lost").status_code == 422


def test_many_deliveries_come_in_pages(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "robot")
        a_fault(connection, "f")
        for _ in range(3):
            a_fault_event(connection, "f", reason="worsened", was="open", becomes="open")
        events = select(fault_events.c.id).order_by(fault_events.c.id)
        for number, event in enumerate(connection.scalars(events).all(), 1):
            a_delivery(connection, "f", "robot", event=event, answer=f"answer {number}")
    seen: list[str] = []
    path: str | None = "/alerts/deliveries?limit=3&target=robot"
    while path is not None:
        text = page(cast, path)
        seen += re.findall(r"answer \d", text)
        found = re.search(r'class="pager"><a href="([^"]+)"', text)
        path = found[1].replace("&amp;", "&") if found else None
    assert seen == ["answer 4", "answer 3", "answer 2", "answer 1"]


def test_what_was_given_up_is_tried_again_and_nothing_else_is(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "robot")
        a_fault(connection, "f")
        a_delivery(connection, "f", "robot", state="failed", reason="given_up")
    text = page(cast, "/alerts/deliveries", "yaxin")
    (action,) = re.findall(r'action="(/alerts/deliveries/\d+/retry)"', text)
    assert cast.client("yaxin").post(action).status_code == 303
    with cast.write() as connection:
        assert connection.execute(select(deliveries.c.state)).scalar_one() == "pending"
    assert "/retry" not in page(cast, "/alerts/deliveries", "yaxin")
    again = cast.client("yaxin").post(action, headers=HTML)
    assert (again.status_code, "alert" in again.text) == (409, True)


def test_a_firm_sees_its_own_and_a_viewer_changes_nothing(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own", name="own-robot")
        a_target(connection, "strange", name="strange-robot", firm="kangqiao")
        a_target(connection, "desk", name="desk-robot", firm=None)
        a_route(connection, "own-route", "own", code="GATE_OFFLINE")
        a_route(connection, "strange-route", "strange", code="GATE_FORCED")
        a_fault(connection, "f")
        a_fault(connection, "g", device=STRANGE_GATE, compound=LIANXIN)
        a_delivery(connection, "f", "own", answer="to own")
        a_delivery(connection, "f", "desk", answer="to desk")
        a_delivery(connection, "g", "strange", answer="to strange")
    for path in ("/alerts", "/alerts/routes", "/alerts/deliveries", "/faults/f"):
        text = page(cast, path, "yaxin")
        assert "strange-robot" not in text
        assert "desk-robot" not in text
        assert "to desk" not in text
        assert "to strange" not in text
    assert cast.client("yaxin").get("/alerts/targets/desk").status_code == 404
    for path in ("/alerts", "/alerts/targets/own", "/alerts/routes", "/alerts/deliveries"):
        text = page(cast, path, "viewer")
        assert not re.findall(r'method="post" action="/alerts', text)
        assert "own-robot" in text
    assert cast.client("viewer").post("/alerts/targets/own/test").status_code == 403


def test_what_others_wrote_is_text_and_nothing_else(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "evil", name=EVIL, broken=EVIL, broken_at_ms=NOW_MS, created_by=EVIL)
        a_route(connection, "r", "evil", created_by=EVIL)
        a_fault(connection, "f")
        a_delivery(connection, "f", "evil", answer=EVIL, state="failed", reason=EVIL[:32])
    for path in (
        "/alerts",
        "/alerts/targets/evil",
        "/alerts/targets/evil/delete",
        "/alerts/routes",
        "/alerts/routes/r/delete",
        "/alerts/deliveries",
        "/alerts/deliveries?fault=%3Cscript%3Ealert(1)%3C/script%3E",
        "/faults/f",
    ):
        assert EVIL not in page(cast, path)


def test_a_fault_tells_who_knows_of_it_among_what_happened(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "robot", name="值班群")
        a_target(connection, "mail", name="邮箱", channel="email")
        a_fault(connection, "f", opened_at_ms=NOW_MS - 10 * MINUTE_MS)
        sent: dict[str, Any] = {"created_at_ms": NOW_MS - 9 * MINUTE_MS}
        a_delivery(connection, "f", "robot", answer="0 ok", attempts=2, **sent)
        a_delivery(connection, "f", "mail", state="failed", reason="given_up", answer="550", **sent)
        a_fault_event(
            connection, "f", was="open", becomes="acknowledged", reason="acknowledged",
            actor="li-min", at_ms=NOW_MS - 5 * MINUTE_MS,
        )  # fmt: skip
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page(cast, "/faults/f")))
    order = [text.index(word) for word in ("人员 确认 · li-min", "通知 发现", "判定 发现")]
    assert order == sorted(order)
    assert "钉钉机器人 值班群 已收下 0 ok 第 2 次" in text
    assert "邮件 邮箱 未送达 550 24 小时未送达，已放弃" in text
    assert "不说明有人看见" in text


def test_a_fault_of_which_nobody_was_told_says_why(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
        a_delivery(connection, "f", None, state="suppressed", reason="maintenance", answer=None)
    text = re.sub(r"<[^>]*>", "", page(cast, "/faults/f"))
    assert "没有通知任何人：维护" in text


def test_every_state_and_channel_has_its_word(cast: Cast) -> None:

    assert all(knows(f"ds_{state}") for state in DeliveryState)
    for channel in ChannelName:
        for word in ("ch", "ch_what", "ch_how", "ch_url"):
            assert knows(f"{word}_{channel}")
