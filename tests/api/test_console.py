"""The pages: readable without scripts, in both languages, honest about what is not known."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, event

from api.console.overview import OverviewCopy
from api.words import Language, countdown, duration, knows, say
from devices.catalogue import RULES
from devices.faults import Held, State, Why
from devices.kinds import KINDS
from devices.rules import Happened
from devices.store.database import open_database
from devices.store.schema import compounds, cursors, device_state, devices, fault_events, faults
from ingest.judge.memory import Why as Known
from tests.api import district
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_cast,
    a_fault,
    a_fault_event,
    a_judge,
    a_session,
    a_state,
    a_window,
    an_export,
)
from tests.api.console.test_login import OURS, logged_in

MOST_STATEMENTS = 60  # of the page that asks most: 39; of a district there are 225 compounds
ZH = {"Accept-Language": "zh-CN,zh;q=0.9"}
ACTIONS = (
    "acknowledge", "assign", "close", "comment", "confirm", "delete", "end", "onsite", "refute",
    "repaired", "shelve", "unshelve",
)  # fmt: skip
OF_SEVERAL = tuple(
    f"/faults/{name}" for name in ("acknowledge", "assign", "comment", "shelve", "filters")
)
EN = {"Accept-Language": "en-GB,en;q=0.8,zh;q=0.5"}


def words(html: str) -> str:
    """What a reader of the page sees, on one line."""
    without = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", without)


def listed(html: str) -> str:
    """What a reader of the list of faults sees in it, beside filters and questions."""
    return words(html[html.index('<section class="panel fault-list"') : html.index('id="keys"')])


def with_trouble(cast: Cast) -> None:
    with cast.write() as connection:
        for device in (GATE, SHED, f"{XIANGYUNLI}-gw", f"{XIANGYUNLI}-cam-1"):
            a_state(connection, device, "online")
        a_state(connection, PORT, "online", latest={"port_status": ("in_use", NOW_MS)})
        a_state(connection, f"{SHED}-p02", "offline", latest={"port_status": ("in_use", 1)})
        latest = {"power_w": (70.0, NOW_MS), "switch_state": ("on", NOW_MS)}
        a_state(connection, LAMP, "online", latest=latest)
        a_state(connection, STRANGE_GATE, "offline", reason="lwt")
        a_fault(
            connection,
            "hot",
            device=PORT,
            kind="port",
            code="PORT_OVERTEMP",
            severity="P1",
            safety=True,
            opened_at_ms=NOW_MS - 219_000,
        )
        a_fault(
            connection,
            "off",
            device=STRANGE_GATE,
            compound=LIANXIN,
            severity="P2",
            opened_at_ms=NOW_MS - 46 * MINUTE_MS,
        )
        a_fault(connection, "child", code="GATE_MAINS_LOST", suppressed_by="off", severity="P3")
        a_fault(connection, "held", code="GATE_HELD_OPEN", state="closed")
        a_fault_event(
            connection,
            "held",
            was="open",
            becomes="closed",
            reason="over",
            at_ms=NOW_MS - 5 * MINUTE_MS,
        )


def test_the_headline_is_the_worst_fault_its_place_and_the_time_left(cast: Cast) -> None:
    with_trouble(cast)
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "危急 1 祥云里 端口过温，1:21 内须确认" in text
    assert "重要 1；另有已归并 1。2 个小区有故障，危急与重要涉及 301 户。" in text
    text = words(cast.client("operator").get("/", headers=EN).text)
    assert "1 critical Xiangyunli: Port over-temperature, acknowledge within 1:21" in text


def test_figures_come_with_their_whole_and_the_unknown_beside_them(cast: Cast) -> None:
    with_trouble(cast)
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "门禁在线 1 /2" in text
    assert "充电棚在线 1 /1" in text
    assert "充电中 1 /2 · 未知 1" in text
    assert "亮灯率 87.5 % 不亮 1 · 未知 0" in text
    assert "监控在线 1 /1" in text
    assert "电梯" not in text  # there is none here


def test_by_day_there_is_no_lamp_on_rate(cast: Cast) -> None:
    with_trouble(cast)
    cast.now_ms -= 8 * HOUR_MS
    with cast.write() as connection:
        a_judge(connection, watermark_ms=cast.now_ms)
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "亮灯率" not in text
    assert "亮灯 7 /8" in text


def test_a_lamp_reading_of_long_ago_is_unknown_not_dark(cast: Cast) -> None:
    with cast.write() as connection:
        latest = {"power_w": (70.0, NOW_MS - 46 * MINUTE_MS)}
        a_state(connection, LAMP, "online", latest=latest)
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "亮灯率 — 不亮 0 · 未知 8" in text


def test_what_to_deal_with_first_is_worst_first_with_deadline_and_party(cast: Cast) -> None:
    with_trouble(cast)
    html = cast.client("operator").get("/", headers=ZH).text
    first = words(html[html.index('data-live="first"') :])
    assert first.index("端口过温") < first.index("门禁离线")
    assert "祥云里 · 1号棚 01号插座 待确认 · 物业 · 确认 剩 1:21" in first
    assert "连心胡同 · 西门 含 1 项已归并 待确认 · 通信 · 确认 超时 31 分" in first
    assert "祥云里 · 东门 门未关 19:37" in first
    assert "门禁市电断电" not in first  # explained by another fault


def test_an_answered_fault_says_by_whom_and_has_no_deadline(cast: Cast) -> None:
    with_trouble(cast)
    cast.client("yaxin").post("/v1/faults/hot/acknowledge")
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "已确认，wang-jianguo · 物业" in text
    assert "1:21" not in text


def test_tiles_carry_shape_word_and_cause(cast: Cast) -> None:
    with_trouble(cast)
    html = cast.client("operator").get("/", headers=ZH).text
    tiles = dict(re.findall(r'<li class="tile[^>]*data-severity="(\w+)".*?title="([^"]+)"', html))
    assert tiles["p1"] == "祥云里，设备 4/4 在线，危急：端口过温，共 1 处故障，充电 1/1，亮灯 7/8"
    assert tiles["p2"] == "连心胡同，设备 0/2 在线，1 台未知，重要：门禁离线，共 1 处故障，无充电棚"
    assert 'data-up="0"' in html


def test_a_quiet_district_says_so(cast: Cast) -> None:
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "全区无故障" in text
    assert "没有待处理的故障。" in text
    assert "近 30 分钟没有恢复的故障。" in text
    assert "所辖小区无故障" in words(cast.client("yaxin").get("/", headers=ZH).text)


def test_our_own_outage_is_a_banner_and_no_device_is_called_online(cast: Cast) -> None:
    with_trouble(cast)
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - 3 * MINUTE_MS)
        connection.execute(delete(fault_events))
        connection.execute(delete(faults))
    html = cast.client("operator").get("/", headers=ZH).text
    text = words(html)
    assert "设备状态未知：本系统判定停滞 3 分" in text
    assert "离线计时已停" in text
    assert "门禁在线 — /2" not in text  # one of them was seen offline
    assert "门禁在线 0 /2 · 未知 1" in text
    assert "充电中 — /2 · 未知 2" in text
    assert "全区无故障" not in text
    assert "新故障此刻看不到" in text


def test_before_the_first_probe_nothing_is_known(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(cursors))
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "本系统尚未收到探针" in text


def test_our_own_alarms_stand_in_the_strip_and_not_among_theirs(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(
            connection,
            "ours",
            subject="platform",
            device=None,
            compound=None,
            kind="platform",
            code="SYS_PROBE_LOST",
            severity="P2",
        )
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "本系统告警：" in text
    assert "全区无故障" in text
    assert "本系统告警" not in words(cast.client("yaxin").get("/", headers=ZH).text)


def test_the_strip_says_how_we_are(cast: Cast) -> None:
    cast.journal.counts = {(XIANGYUNLI, 0): 1234}
    with cast.write() as connection:
        a_judge(connection, jseq=1230)
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "本系统正常" in text
    assert "探针 2 秒前" in text
    assert "日志 1,234 条" in text
    assert "待判 4" in text
    cast.journal.away = True
    cast.app.state.overview.look_again()
    assert "日志 此处读不到" in words(cast.client("operator").get("/", headers=ZH).text)


def test_no_compound_yet_says_what_to_do(sqlite_database: Engine) -> None:
    cast = a_cast(sqlite_database)
    with cast.write() as connection:
        for table in (device_state, devices, compounds):
            connection.execute(delete(table))
    cast.app.state.parts.registry.look_again()
    text = words(cast.client("operator").get("/", headers=ZH).text)
    assert "还没有小区" in text
    assert "0 个小区" in text


def test_one_firm_can_be_picked_without_scripts(cast: Cast) -> None:
    html = cast.client("operator").get("/?firm=kangqiao", headers=ZH).text
    assert f"/compounds/{LIANXIN}" in html
    assert f"/compounds/{XIANGYUNLI}" not in html
    assert "2 个小区" in words(html)


@pytest.mark.parametrize(
    ("headers", "query", "lang"),
    [
        ({}, "", "zh-CN"),
        (ZH, "", "zh-CN"),
        (EN, "", "en"),
        ({"Accept-Language": "de,fr;q=0.5"}, "", "zh-CN"),
        ({"Accept-Language": "de,en;q=0.2"}, "", "en"),
        ({"Accept-Language": "en;q=nonsense"}, "", "zh-CN"),
        (EN, "?lang=zh", "zh-CN"),
        (ZH, "?lang=en", "en"),
    ],
)
def test_the_language_is_what_the_reader_prefers_else_chinese(
    cast: Cast, headers: dict[str, str], query: str, lang: str
) -> None:
    html = cast.client("operator").get(f"/{query}", headers=headers).text
    assert f'<html lang="{lang}">' in html


def test_a_picked_language_is_remembered(cast: Cast) -> None:
    client = cast.client("operator")
    client.get("/?lang=en", headers=ZH)
    assert '<html lang="en">' in client.get("/faults", headers=ZH).text


class Links(HTMLParser):
    """Where a page leads, what it runs, how it is styled."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        for name in ("href", "src", "action", "formaction"):
            if found.get(name):
                self.links.add(str(found[name]))
        is_data = found.get("type") == "application/json"  # which no browser runs
        if tag == "script" and "src" not in found and not is_data:
            self.inline.append(tag)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]


def test_the_page_of_an_offline_fault_says_when_the_device_was_last_heard_of(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", evidence={"last_seen_ms": NOW_MS})
    text = words(cast.client("operator").get("/faults/f", headers=EN).text)
    assert "Last seen 11-23 19:42:10" in text
    assert str(NOW_MS) not in text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?firm=yaxin",
        "/faults",
        "/faults?show=all",
        "/faults?show=shelved",
        "/faults/hot",
        "/faults/off",
        "/maintenance",
        f"/compounds/{XIANGYUNLI}",
        f"/compounds/{XIANGYUNLI}/usage",
        f"/compounds/{XIANGYUNLI}/availability",
        f"/compounds/{XIANGYUNLI}/corrections",
        "/charging",
        f"/charging?compound={XIANGYUNLI}",
        "/exports",
        "/sheds",
        f"/devices/{PORT}",
        f"/devices/{SHED}",
        f"/devices/{SHED}/children",
        f"/devices/{GATE}/faults",
        f"/devices/{GATE}/messages",
        "/sessions/one",
    ],
)
def test_no_link_is_dead_and_nothing_is_inline(cast: Cast, path: str) -> None:
    with_trouble(cast)
    an_export(cast, "own-export", "operator")
    with cast.write() as connection:
        a_session(connection, "one")
    client = cast.client("operator")
    page = Links()
    page.feed(client.get(path, headers=ZH).text)
    assert page.inline == []
    assert len(page.links) > 8
    for link in page.links:
        if link.startswith("#"):
            continue
        if link in OF_SEVERAL:  # of what was picked: nothing
            assert client.post(link).status_code == 422, link
            continue
        if link in ("/logout", "/tour") or link.rpartition("/")[2] in ACTIONS:
            assert client.get(link).status_code == 405, link
            continue
        assert link.startswith(("/", "?")), link
        answer = client.get(link)
        if answer.status_code == 303:  # one more step, to the first of some pages
            answer = client.get(answer.headers["Location"])
        assert answer.status_code == 200, link


def test_what_the_script_fetches_is_what_the_page_shows(cast: Cast) -> None:
    with_trouble(cast)
    client = cast.client("operator")
    page, parts = client.get("/", headers=ZH).text, client.get("/parts/overview", headers=ZH).text
    names = re.findall(r'data-live="([\w-]+)"', parts)
    assert sorted(names) == sorted(re.findall(r'data-live="([\w-]+)"', page))
    assert {"clock", "health", "verdict", "first", "board", "as-of"} < set(names)
    board = parts[parts.index('data-live="board"') : parts.index('data-live="only-trouble"') - 20]
    assert board in page


def test_hostile_names_are_text(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f", code="<script>alert(1)</script>", severity="P2")
        a_fault_event(connection, "f", reason="commented", note="<img src=x onerror=alert(1)>")
    client = cast.client("operator")
    for path in ("/", "/faults", "/faults/f"):
        html = client.get(path).text
        assert "<script>alert" not in html
        assert "<img" not in html
    assert "&lt;img src=x" in client.get("/faults/f").text


def test_a_fault_page_says_what_to_do_and_what_happened(cast: Cast) -> None:
    with_trouble(cast)
    text = words(cast.client("operator").get("/faults/hot", headers=ZH).text)
    assert "危急 端口过温" in text
    assert "断电并到场检查插座" in text
    assert "19:38:31 判定 发现 · 系统" in text
    child = words(cast.client("operator").get("/faults/child", headers=ZH).text)
    assert "由另一故障解释，已归并" in child


def test_acting_on_the_fault_page_needs_no_script(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "yaxin")
    answer = client.post("/faults/hot/acknowledge", data={"note": "已断电"}, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/faults/hot")
    text = words(client.get("/faults/hot", headers=ZH).text)
    assert "确认 · wang-jianguo" in text
    assert "已断电" in text
    answer = client.post("/faults/hot/comment", data={"note": "插座已换"}, headers=OURS)
    assert answer.status_code == 303
    answer = client.post("/faults/hot/close", headers=OURS)
    assert answer.status_code == 303
    assert "已关闭，wang-jianguo" in words(client.get("/faults/hot", headers=ZH).text)


def test_somebody_was_faster_is_told_on_the_page(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "yaxin")
    client.post("/faults/hot/acknowledge", headers=OURS)
    answer = client.post("/faults/hot/acknowledge", headers={**OURS, **ZH})
    assert answer.status_code == 409
    told = "这处故障 1 秒前已由 wang-jianguo 确认。你的操作没有执行"
    assert told in words(answer.text)


def test_a_comment_without_words_is_not_made(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "yaxin")
    answer = client.post("/faults/hot/comment", data={"note": " "}, headers={**OURS, **ZH})
    assert answer.status_code == 422
    assert "备注不能为空" in words(answer.text)


def test_only_a_demo_or_made_up_compounds_are_called_simulated(cast: Cast, demo: Cast) -> None:
    assert "均为模拟数据" in words(demo.neighbour().get("/faults", headers=ZH).text)
    assert "均为模拟数据" not in words(cast.client("operator").get("/faults", headers=ZH).text)


def test_a_disabled_action_is_explained(demo: Cast) -> None:
    with_trouble(demo)
    assert "登录后可以" in words(demo.neighbour().get("/faults/hot", headers=ZH).text)
    assert "只读身份不能" in words(demo.client("viewer").get("/faults/hot", headers=ZH).text)


def test_the_fault_list_shows_what_is_open_unless_asked_for_all(cast: Cast) -> None:
    with_trouble(cast)
    client = cast.client("operator")
    open_ = listed(client.get("/faults", headers=ZH).text)
    assert "端口过温" in open_
    assert "门未关" not in open_
    assert "门未关" in listed(client.get("/faults?show=all", headers=ZH).text)


def test_the_fault_list_goes_on_to_older_ones(cast: Cast) -> None:
    with cast.write() as connection:
        for n in range(5):
            opened_ms = NOW_MS - n * MINUTE_MS
            a_fault(connection, f"f{n}", state="closed", opened_at_ms=opened_ms)
    client = cast.client("operator")
    seen: list[str] = []
    address = "/faults?show=all&limit=2"
    while address:
        html = client.get(address, headers=ZH).text
        seen += re.findall(r'href="/faults/(f\d)"', html)
        found = re.search(r'href="([^"]+)">更早的', html)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == ["f0", "f1", "f2", "f3", "f4"]


def test_the_fault_list_has_roots_with_what_they_caused_and_suspected_ones_apart(
    cast: Cast,
) -> None:
    with_trouble(cast)
    with cast.write() as connection:
        for n in range(2):
            more = {"code": "CCTV_OFFLINE", "kind": "camera", "suppressed_by": "off"}
            a_fault(connection, f"camera-{n}", subject=f"c{n}", **more)
        a_fault(connection, "guess", code="GATE_NO_PASSAGE", severity="P4", suspected=True)
    html = cast.client("operator").get("/faults", headers=ZH).text
    text = words(html)
    assert "2 处未关闭：危急 1 · 重要 1；疑似 1 另列" in text
    assert "3 项由它引起，已归并" in text  # one of GATE_MAINS_LOST, two of CCTV_OFFLINE
    assert "监控离线 东门、东门 等 2 项" in text
    main, guesses = html.split('<section class="panel suspected"')
    assert "无人通行" not in listed(main + 'id="keys"')
    assert "核实属实 误报" in words(guesses)
    assert 'formaction="/faults/guess/refute"' in guesses
    child = f'href="/faults/{"child"}"'
    assert main.index('href="/faults/off"') < main.index(child)
    assert html.count(child) == 1


def test_the_fault_list_is_sorted_by_rank_and_goes_on_page_by_page(cast: Cast) -> None:
    with cast.write() as connection:
        for n, rank in enumerate((2.5, 7.0, 2.5, 0.0, 5100.25)):
            opened_ms = NOW_MS - n * MINUTE_MS
            a_fault(connection, f"f{n}", subject=f"s{n}", rank=rank, opened_at_ms=opened_ms)
    client = cast.client("operator")
    seen: list[str] = []
    address = "/faults?limit=2"
    while address:
        html = client.get(address, headers=ZH).text
        seen += re.findall(r'href="/faults/(f\d)"', html)
        found = re.search(r'href="([^"]+)">下一页', html)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == ["f4", "f1", "f0", "f2", "f3"]


def test_what_lies_on_top_of_a_fault_is_told_in_the_list_and_on_its_page(cast: Cast) -> None:
    with cast.write() as connection:
        a_window(connection, "w")
        a_fault(connection, "before", state="closed", resolution="false_alarm")
        a_fault(
            connection,
            "f",
            flaps=7,
            raises_ms=[NOW_MS - 3000, NOW_MS - 2000, NOW_MS - 1000],
            maintenance="w",
            repeat_of="before",
            onsite_at_ms=NOW_MS - MINUTE_MS,
        )
        a_fault_event(connection, "f", was="open", reason="reopened", held="flapping")
    client = cast.client("yaxin")
    listed = words(client.get("/faults", headers=ZH).text)
    for mark in ("维护中，不通知", "反复 7 次，安静 10 分钟后关闭", "7 天内重复发生", "到场"):
        assert mark in listed
    assert "暂停 · 维护" in listed
    page = words(client.get("/faults/f", headers=ZH).text)
    assert "维护中，不通知 ：更换门锁 · 王建国 · 至 11-23 20:42:10" in page.replace("知：", "知 ：")
    assert "未通知：反复" in page
    assert "上一次" in page
    assert "误报" in page  # what the one before was
    english = words(client.get("/faults/f", headers=EN).text)
    assert "In maintenance, nobody is told" in english
    assert "Came back 7 times; closes after 10 min of quiet" in english


def test_shelved_faults_have_a_list_of_their_own(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "kangqiao")
    answer = client.post("/faults/off/shelve", data={"hours": "24", "note": "等备件"}, headers=OURS)
    assert answer.status_code == 303
    assert "门禁离线" not in listed(client.get("/faults", headers=ZH).text)
    shelved = words(client.get("/faults?show=shelved", headers=ZH).text)
    assert "搁置至 11-24 19:42:10" in shelved
    page = words(client.get("/faults/off", headers=ZH).text)
    assert "搁置 · zhao-min · 至 11-24 19:42:10" in page
    assert "等备件" in page
    assert client.post("/faults/off/unshelve", headers=OURS).status_code == 303
    assert "门禁离线" in listed(client.get("/faults", headers=ZH).text)


def test_a_safety_fault_has_no_shelf_and_the_page_says_why(cast: Cast) -> None:
    with_trouble(cast)
    client = logged_in(cast, "yaxin")
    html = client.get("/faults/hot", headers=ZH).text
    assert re.search(r'popovertarget="ask-shelve" disabled aria-describedby="why-shelve"', html)
    assert 'action="/faults/hot/shelve"' not in html
    assert "安全类故障不能搁置" in words(html)
    answer = client.post("/faults/hot/shelve", data={"hours": "4"}, headers={**OURS, **ZH})
    assert answer.status_code == 409
    assert "安全类故障不能搁置" in words(answer.text)


def test_what_people_do_on_the_page_of_a_fault(cast: Cast) -> None:
    with_trouble(cast)
    with cast.write() as connection:
        a_fault(connection, "guess", code="GATE_NO_PASSAGE", severity="P4", suspected=True)
        a_fault(connection, "wrong", code="DEV_VALUE_FROZEN", severity="P4", suspected=True)
    client = logged_in(cast, "yaxin")
    for fault, action, data, told in (
        ("hot", "onsite", {}, "到场 · wang-jianguo"),
        ("hot", "repaired", {"note": "插座已换"}, "已修复，待验证 · wang-jianguo"),
        ("hot", "assign", {"assignee": "李敏"}, "已指派 李敏"),
        ("guess", "confirm", {}, "核实属实 · wang-jianguo"),
        ("wrong", "refute", {}, "关闭 · wang-jianguo"),
    ):
        answer = client.post(f"/faults/{fault}/{action}", data=data, headers=OURS)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/faults/{fault}")
        assert told in words(client.get(f"/faults/{fault}", headers=ZH).text), action
    again = client.post("/faults/hot/onsite", headers={**OURS, **ZH})
    assert again.status_code == 409
    assert "已由 wang-jianguo" in words(again.text)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("severity=P1", {"hot"}),
        ("kind=port", {"hot"}),
        ("firm=kangqiao", {"off", "hot"}),  # no filter hides what is critical
        ("firm=&kind=&severity=", {"hot", "off"}),
    ],
)
def test_the_fault_list_is_narrowed_without_scripts(
    cast: Cast, query: str, shown: set[str]
) -> None:
    with_trouble(cast)
    html = cast.client("operator").get(f"/faults?{query}", headers=ZH).text
    assert set(re.findall(r'data-fault="(\w+)"', html)) == shown


def test_a_maintenance_window_is_made_and_ended_on_its_page(cast: Cast) -> None:
    client = logged_in(cast, "yaxin")
    form = {
        "compound": XIANGYUNLI,
        "kind": "gate",
        "ends_at": "2026-11-23T22:00",
        "reason": "更换门锁",
        "owner": "王建国",
    }
    assert client.post("/maintenance", data=form, headers=OURS).status_code == 303
    html = client.get("/maintenance", headers=ZH).text
    assert "进行中 祥云里 · 智能门禁 19:42:10 – 22:00:00 更换门锁 王建国" in words(html)
    found = re.search(r'action="(/maintenance/\w+/end)"', html)
    assert found is not None
    assert client.post(found[1], headers=OURS).status_code == 303
    assert "已结束" in words(client.get("/maintenance", headers=ZH).text)
    again = client.post(found[1], headers={**OURS, **ZH})
    assert again.status_code == 409
    assert "有人先一步" in words(again.text)
    refused = client.post(
        "/maintenance", data=form | {"codes": "GATE_DURESS"}, headers={**OURS, **ZH}
    )
    assert refused.status_code == 422
    assert "安全类故障只能对指明的设备暂停通知" in words(refused.text)
    assert 'value="更换门锁"' in refused.text  # what was written is still there
    empty = client.post("/maintenance", data={"compound": XIANGYUNLI}, headers={**OURS, **ZH})
    assert empty.status_code == 422
    assert "关闭" not in words(cast.client("viewer").get("/maintenance", headers=ZH).text)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_whatever_happens_to_a_fault_has_words(language: Language) -> None:
    words_of = [f"h_{why}" for why in Why] + [f"held_{held}" for held in Held]
    for word in (*words_of, *(f"s_{state}" for state in State)):
        assert say(language, word)


def test_whatever_an_event_says_that_is_a_fault_has_words() -> None:
    shows = {
        sign.detector.event
        for rule in RULES.values()
        for sign in rule.signs
        if isinstance(sign.detector, Happened)
    }
    fields = {
        (kind.name, name)
        for kind in KINDS.values()
        for event in kind.events.values()
        if event.name in {*shows, "session_end"}
        for name in event.fields
    }
    assert ("shed", "what") in fields
    for kind, name in fields:
        assert knows(f"e_{name}") or KINDS[kind].judged(name) is not None, name


def test_a_compound_page_says_whom_to_call(cast: Cast) -> None:
    called = [{"name": "值班室", "phone": "0371-5555 0200", "role": ""}]
    with cast.write() as connection:
        connection.execute(
            compounds.update().where(compounds.c.id == XIANGYUNLI).values(contacts=called)
        )
    html = cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}", headers=ZH).text
    assert 'href="tel:037155550200"' in html
    assert "值班室 0371-5555 0200" in words(html)


def test_a_compound_page_has_devices_with_state_age_and_values(cast: Cast) -> None:
    with_trouble(cast)
    text = words(cast.client("yaxin").get(f"/compounds/{XIANGYUNLI}", headers=ZH).text)
    assert "祥云里 物业公司 亚新 · 213 户" in text
    assert "东门 智能门禁 在线 5 秒前" in text
    assert "1号棚 02号插座 充电插座 离线" in text
    assert "功率 70 W" in text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_whatever_is_known_of_a_connection_has_words(language: Language) -> None:
    for reason in Known:
        assert say(language, f"r_{reason}")


def test_by_day_no_page_says_online_of_a_lamp_without_power(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, LAMP, "unknown", reason="asleep", last_seen_ms=NOW_MS - 5 * HOUR_MS)
    client = cast.client("yaxin")
    text = words(client.get(f"/compounds/{XIANGYUNLI}", headers=ZH).text)
    assert "亮灯 — /8 · 白天断电 8" in text
    assert "未知 白天断电 5 小时前" in text
    text = words(client.get(f"/compounds/{XIANGYUNLI}", headers=EN).text)
    assert "Lamps lit — /8 · 8 without power by day" in text
    assert "Unknown no power by day 5 h ago" in text


@pytest.mark.parametrize("path", ["/compounds/atlantis", "/faults/nothing", "/nowhere"])
def test_what_is_not_there_is_a_page_too(cast: Cast, path: str) -> None:
    answer = cast.client("operator").get(path, headers={**ZH, "Accept": "text/html"})
    assert answer.status_code == 404
    assert "没有这个页面，或不归你看" in words(answer.text)


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "0 秒", "0 s"),
        (59, "59 秒", "59 s"),
        (219, "3 分 39 秒", "3 min 39 s"),
        (599, "9 分 59 秒", "9 min 59 s"),
        (600, "10 分", "10 min"),
        (2820, "47 分", "47 min"),
        (3600, "1 小时", "1 h"),
        (6000, "1 小时 40 分", "1 h 40 min"),
        (86_400, "1 天", "1 d"),
        (90_061, "1 天 1 小时", "1 d 1 h"),
        (86_460, "1 天", "1 d"),
        (-5, "0 秒", "0 s"),
    ],
)
def test_durations_are_words(seconds: float, zh: str, en: str) -> None:
    assert duration("zh", seconds) == zh
    assert duration("en", seconds) == en


def test_a_countdown_is_minutes_and_seconds() -> None:
    assert [countdown(s) for s in (81, 300, 9.7, -1)] == ["1:21", "5:00", "0:09", "0:00"]


# The whole district


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Cast:
    path = tmp_path_factory.mktemp("district") / "courtyard.db"
    shutil.copy(sqlite_template, path)
    engine = open_database(f"sqlite:///{path}")
    cast = a_cast(engine)
    district.fill(engine)
    cast.app.state.last_day.is_kept_new = True  # by its task, which no page waits for
    cast.app.state.last_day.read_some()
    return cast


def test_the_whole_district_is_on_one_page(whole: Cast) -> None:
    html = whole.client("operator").get("/", headers=ZH).text
    assert html.count('<li class="tile') == 225
    assert "门禁在线" in words(html)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/parts/overview",
        "/parts/faults",
        "/parts/sheds",
        "/v1/compounds?limit=500",
        "/faults",
        "/sheds",
        "/compounds/mock-189",
        "/devices/xiangyunli-gateway",
        "/devices/xiangyunli-shed-1",
    ],
)
def test_what_a_page_asks_the_database_does_not_grow_with_the_district(
    whole: Cast, path: str
) -> None:
    """How long it takes is measured by `python -m bench.pages`."""
    client = whole.client("operator")
    client.get(path)
    overview: OverviewCopy = whole.app.state.overview
    overview.look_again()
    asked: list[str] = []

    def see(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(whole.engine, "before_cursor_execute", see)
    try:
        assert client.get(path).status_code == 200
    finally:
        event.remove(whole.engine, "before_cursor_execute", see)
    assert 0 < len(asked) <= MOST_STATEMENTS, "\n".join(asked)


def test_a_lamp_says_in_words_what_was_expected_of_it(cast: Cast) -> None:
    evidence = {"power_share": 0.04, "power_w": 1.6, "neighbours_out": 3}
    with cast.write() as connection:
        a_fault(connection, "out", code="LAMP_OUT", kind="lamp", evidence=evidence)
        a_fault(
            connection,
            "clock",
            code="DEV_CLOCK_DRIFT",
            kind="gate",
            evidence={"clock_offset_s": 28800.0},
        )
    client = cast.client("operator")
    page = client.get("/faults/out").text
    for words in ("实际与应有功率之比", "功率", "同回路不亮灯数"):
        assert words in page
    assert "时钟偏差" in client.get("/faults/clock").text


def test_a_power_cut_says_in_words_what_shows_it(cast: Cast) -> None:
    evidence = {"silent": 4, "of": 5, "evidence": "mains_ok", "by": GATE}
    with cast.write() as connection:
        a_fault(
            connection,
            "cut",
            subject=XIANGYUNLI,
            device=None,
            kind="compound",
            code="COMPOUND_POWER_CUT",
            evidence=evidence,
        )
        a_fault(connection, "gateway", code="GW_OFFLINE", kind="gateway", suppressed_by="cut")
        a_fault(
            connection,
            "gate",
            suppressed_by="gateway",
            evidence={"last_seen_ms": NOW_MS - 90_000, "reason": "weak_signal"},
        )
    client = cast.client("operator")
    page = client.get("/faults/cut").text
    assert "停电证据" in page
    assert "市电断" in page
    assert client.get("/faults/gate").text.count("信号弱") == 1
    assert client.get("/faults").text.count('class="child-row"') == 2


@pytest.mark.parametrize("path", ["/faults", f"/compounds/{XIANGYUNLI}"])
def test_a_past_that_is_being_filled_in_is_nothing_to_do_now(cast: Cast, path: str) -> None:
    with cast.write() as connection:
        a_fault(connection, "now")
        a_fault(connection, "past", stream="history-1", opened_at_ms=NOW_MS - 5 * DAY_MS)
    page = cast.client("operator").get(path).text
    assert "/faults/now" in page
    assert "/faults/past" not in page
    assert "/faults/past" in cast.client("operator").get("/faults?show=all").text
