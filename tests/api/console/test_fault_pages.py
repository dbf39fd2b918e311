"""The page of one fault: what to do, whom to call, what was before, and that nothing is lost."""

import re

import pytest
from sqlalchemy import update

from devices.store.schema import compounds, faults, firms
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_fault_event,
    a_person,
    a_roster,
    a_session,
    a_state,
)
from tests.api.console.test_login import OURS, logged_in
from tests.api.test_console import EN, ZH, with_trouble, words

HOSTILE = '"><img src=x onerror=alert(1)>'


def page(cast: Cast, fault: str, language: dict[str, str] = ZH, who: str = "operator") -> str:
    answer = cast.client(who).get(f"/faults/{fault}", headers=language)
    assert answer.status_code == 200
    return answer.text


def panel(html: str, name: str) -> str:
    """What a panel says."""
    return words(html[html.index(f'id="{name}"') :].partition("</section>")[0])


def with_contacts(cast: Cast) -> None:
    with cast.write() as connection:
        for table, id_, contact in (
            (compounds, XIANGYUNLI, ("门岗", "0371-5555 0131", "值守")),
            (firms, "yaxin", ("亚新值班", "内线 2", "维修")),
            (firms, "kangqiao", ("康桥", "13900000000", "")),
        ):
            name, phone, role = contact
            one = {"name": name, "phone": phone, "role": role}
            connection.execute(update(table).where(table.c.id == id_).values(contacts=[one]))


def test_contacts_of_the_compound_and_its_firm_can_be_dialled(cast: Cast) -> None:
    with_trouble(cast)
    assert "没有登记电话" in panel(page(cast, "hot"), "call")
    with_contacts(cast)
    html = page(cast, "hot")
    assert 'href="tel:037155550131"' in html
    assert html.count("tel:") == 1  # an extension is no number: it is shown, not dialled
    assert "责任：物业" in panel(html, "call").replace("责任 ：", "责任：")
    assert "亚新值班 维修 内线 2" in panel(html, "call")
    assert "13900000000" not in html


def test_similar_faults_say_how_they_ended_and_what_was_said_last(cast: Cast) -> None:
    with_trouble(cast)
    begun = NOW_MS - 10 * DAY_MS
    with cast.write() as connection:
        a_fault(
            connection, "before", device=PORT, kind="port", code="PORT_OVERTEMP", state="closed",
            since_ms=begun, opened_at_ms=begun, cleared_at_ms=begun + HOUR_MS,
            closed_at_ms=begun + HOUR_MS,
        )  # fmt: skip
        a_fault_event(connection, "before", reason="closed", note="插孔簧片松，已紧固", actor="王")
        a_fault(
            connection, "near", device=f"{SHED}-p02", kind="port", code="PORT_OVERTEMP",
            severity="P1", state="closed", since_ms=begun, opened_at_ms=begun,
            closed_at_ms=begun + 5 * MINUTE_MS, resolution="false_alarm",
        )  # fmt: skip
        a_fault(
            connection, "old", device=PORT, kind="port", code="PORT_OVERTEMP", state="closed",
            opened_at_ms=NOW_MS - 200 * DAY_MS,
        )  # fmt: skip
        a_fault(
            connection, "elsewhere", device=STRANGE_GATE, compound=LIANXIN, kind="port",
            code="PORT_OVERTEMP", state="closed", opened_at_ms=begun,
        )  # fmt: skip
    html = page(cast, "hot")
    told = panel(html, "past")
    assert "本设备相同故障 1号棚 01号插座" in told
    assert "恢复，历时 1 小时 插孔簧片松，已紧固 王" in told
    assert "本小区相同故障 1号棚 02号插座" in told
    assert "误报，历时 5 分" in told
    for absent in ("/faults/old", "/faults/elsewhere"):
        assert absent not in html
    assert "Over; it lasted 1 h" in panel(page(cast, "hot", EN), "past")
    assert "近 180 天没有相同的故障" in panel(page(cast, "off"), "past")


@pytest.mark.parametrize(
    ("ended_ms", "is_shown"),
    [(None, True), (NOW_MS - 5 * MINUTE_MS, True), (NOW_MS - 30 * MINUTE_MS, False)],
)
def test_the_session_that_ran_when_it_began_is_a_click_away(
    cast: Cast, ended_ms: int | None, is_shown: bool
) -> None:
    with cast.write() as connection:
        since_ms = NOW_MS - 4 * MINUTE_MS
        a_fault(
            connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", since_ms=since_ms
        )
        state = "open" if ended_ms is None else "closed"
        a_session(connection, "one", state=state, ended_at_ms=ended_ms,
                  started_at_ms=NOW_MS - HOUR_MS)  # fmt: skip
    html = page(cast, "hot")
    assert ('href="/sessions/one"' in html) is is_shown
    assert ("仍在进行" in html) is (ended_ms is None)


def test_everything_that_is_done_asks_first_or_can_be_taken_back(cast: Cast) -> None:
    with_trouble(cast)
    html = page(cast, "off")
    asked = set(re.findall(r'popovertarget="ask-(\w+)"', html))
    assert asked == {
        "acknowledge", "assign", "onsite", "repaired", "comment", "shelve", "refute", "close",
    }  # fmt: skip
    assert set(re.findall(r'id="ask-(\w+)" popover', html)) == asked
    assert re.findall(
        r"<button(?![^>]*popovertarget)[^>]*class=\"button[^>]*>", html.split("</section>")[0]
    )
    assert html.count('class="button button-main" type="button"') == 1  # one main button


def test_a_countdown_says_until_when_and_of_what(cast: Cast) -> None:
    with_trouble(cast)
    html = page(cast, "hot")
    due = re.search(r'data-due="(\d+)" data-now="(\d+)"><b>1:21</b> <span>确认剩余</span>', html)
    assert due is not None
    assert int(due[1]) - int(due[2]) == 81_000
    logged_in(cast, "yaxin").post("/faults/hot/acknowledge", headers=OURS)
    assert "到场剩余" in page(cast, "hot")
    assert "<b>31 分</b> <span>确认已超时</span>" in page(cast, "off")


def test_a_shelf_needs_a_reason_and_keeps_what_was_filled_in(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "kangqiao")
    form = {"hours": "24", "until": "2026-11-24T08:00"}
    answer = client.post("/faults/off/shelve", data=form, headers={**OURS, **ZH})
    assert answer.status_code == 422
    assert "搁置要写理由" in words(answer.text)
    assert 'value="2026-11-24T08:00"' in answer.text
    assert '<option value="24" selected>' in answer.text
    form["note"] = "等备件"
    assert client.post("/faults/off/shelve", data=form, headers=OURS).status_code == 303
    assert "搁置至 11-24 08:00:00" in words(client.get("/faults?show=shelved", headers=ZH).text)


def test_a_safety_fault_is_not_acted_on_without_words_where_it_takes_some(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "yaxin")
    assert client.post("/faults/hot/comment", headers=OURS).status_code == 422
    assert client.post("/faults/hot/shelve", headers=OURS).status_code == 409


def test_whoever_was_faster_is_named_with_what_and_when(cast: Cast) -> None:
    with_trouble(cast)
    logged_in(cast, "kangqiao").post("/faults/off/acknowledge", headers=OURS)
    cast.now_ms += 12_000
    client = logged_in(cast, "operator")
    answer = client.post("/faults/off/acknowledge", headers={**OURS, **EN})
    assert answer.status_code == 409
    assert "Acknowledged by zhao-min 12 s ago. Nothing was done" in words(answer.text)
    client.post("/faults/off/close", headers=OURS)
    answer = client.post("/faults/off/assign", headers={**OURS, **ZH})
    assert "已由 li-min 关闭" in words(answer.text)


def test_what_people_and_devices_wrote_is_text(cast: Cast) -> None:
    with_trouble(cast)
    with_contacts(cast)
    with cast.write() as connection:
        evidence = {"quantity": HOSTILE, HOSTILE: HOSTILE, "port_temp_c": HOSTILE}
        connection.execute(
            update(faults)
            .where(faults.c.id == "hot")
            .values(
                assignee=HOSTILE, acknowledged_by=HOSTILE, evidence=evidence, resolution=HOSTILE
            )
        )
        a_fault_event(connection, "hot", reason="commented", note=HOSTILE, actor=HOSTILE)
        a_fault(connection, "was", device=PORT, kind="port", code="PORT_OVERTEMP", state="closed",
                opened_at_ms=NOW_MS - DAY_MS, closed_at_ms=NOW_MS, resolution=HOSTILE)  # fmt: skip
        a_fault_event(connection, "was", reason="closed", note=HOSTILE, actor=HOSTILE)
        one = {"name": HOSTILE, "phone": HOSTILE, "role": HOSTILE}
        connection.execute(update(firms).values(contacts=[one]))
        a_session(connection, "s", order=HOSTILE, ended_at_ms=None, state="open")
        a_state(connection, PORT, "online", latest={"port_temp_c": (90.4, NOW_MS)})
    for path in ("/faults/hot", "/faults", "/parts/faults"):
        html = cast.client("operator").get(path).text
        assert "<img" not in html, path
        assert "&lt;img src=x" in html, path


def test_who_is_on_duty_is_called_first(cast: Cast) -> None:
    with_trouble(cast)
    with_contacts(cast)
    with cast.write() as connection:
        a_person(connection, "li", name="李伟", phone="138 0000 0001")
        a_person(connection, "mute", name="无话", phone="")
        a_roster(connection, "r", "li", name="夜班")
        a_roster(connection, "s", "li", name="周末")  # the same person: called once
        a_roster(connection, "t", "mute", name="另一班")
        a_person(connection, "zhao", name="赵敏", firm="kangqiao")
        a_roster(connection, "k", "zhao", firm="kangqiao")
    told = panel(page(cast, "hot"), "call")
    assert told.index("李伟 周末，当班至 11-24 08:00:00") < told.index("门岗")
    assert told.count("李伟") == 1
    assert "无话" not in told
    assert "赵敏" not in told
    assert 'href="tel:13800000001"' in page(cast, "hot")
    assert "李伟 周末, on duty until" in panel(page(cast, "hot", EN, who="yaxin"), "call")


def test_what_to_do_is_told_step_by_step(cast: Cast) -> None:
    with_trouble(cast)
    html = page(cast, "hot", EN)
    assert "<li>Cut power</li><li>Inspect the socket</li>" in html
    assert "断电并到场检查插座" in panel(page(cast, "hot"), "do")  # one step is no list


def test_the_head_says_what_came_and_went_today_and_how_soon_people_answer(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "answered", acknowledged_at_ms=NOW_MS - 5 * MINUTE_MS - 50_000)
        a_fault(
            connection, "over", code="GATE_TAMPER", state="closed", closed_at_ms=NOW_MS - MINUTE_MS
        )
    text = words(cast.client("yaxin").get("/faults", headers=ZH).text)
    assert "今日新增 / 关闭 2 / 1" in text
    assert "4 分 10 秒" in text
    text = words(cast.client("kangqiao").get("/faults", headers=EN).text)
    assert "New / closed today 0 / 0" in text
    assert "Median time to acknowledge" in text
