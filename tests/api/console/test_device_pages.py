"""The page of a device and the lists behind it: told in words, and only to whom it belongs."""

import json
import re
from collections.abc import Mapping

import pytest
from sqlalchemy import insert

from api.parts import FieldTable
from api.words import knows, say
from devices.journal import MESSAGES, OVERSIZE, Raw, Record
from devices.kinds import KINDS
from devices.store.schema import devices
from devices.telemetry import Sample, TelemetryAway
from ingest.judge.memory import Why as Known
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LAMP,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_judge,
    a_refusal,
    a_session,
    a_state,
    number_of,
)
from tests.api.test_console import EN, ZH, words

TOPIC = f"courtyard/v1/{XIANGYUNLI}/gate/{GATE}/telemetry".encode()


def a_raw(
    payload: bytes,
    at_ms: int = NOW_MS - 1000,
    *,
    topic: bytes = TOPIC,
    flags: int = 0,
    origin: str = XIANGYUNLI,
) -> Raw:
    return Raw(topic, payload, flags, at_ms, origin)


def with_messages(cast: Cast, *raws: Raw) -> None:
    """Each in a record of its own, in this order."""
    cast.journal.records = [
        Record(n, MESSAGES, n, 1, 1, messages=(raw,)) for n, raw in enumerate(raws, 1)
    ]


def page(
    cast: Cast, device: str, query: str = "", who: str = "yaxin", headers: Mapping[str, str] = ZH
) -> str:
    answer = cast.client(who).get(f"/devices/{device}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


class TestState:
    def test_the_three_clocks_stand_beside_each_other_with_what_is_between_them(
        self, cast: Cast
    ) -> None:
        with cast.write() as connection:
            a_state(connection, GATE, "online", device_at_ms=NOW_MS - 5000 - 90_000)
        text = words(page(cast, GATE))
        assert "设备时钟 19:40:35 慢 1 分 30 秒" in text
        assert "我们收到 19:42:05 5 秒前" in text
        assert "判定到 19:42:08 判定跟得上" in text
        assert "5 秒前收到消息；约每 30 秒应有一条，1 分 30 秒没有才判离线。" in text
        english = words(page(cast, GATE, headers=EN))
        assert "1 min 30 s behind" in english
        assert "called offline after 1 min 30 s of silence" in english

    @pytest.mark.parametrize("reason", Known)
    @pytest.mark.parametrize("language", ["zh", "en"])
    def test_whatever_is_known_of_a_connection_is_evidence_in_a_sentence(
        self, reason: Known, language: str
    ) -> None:
        values = {"interval": "1", "limit": "2", "age": "3"}
        assert say(language, f"ev_{reason}", **values)  # type: ignore[arg-type]

    def test_a_device_that_never_spoke_says_what_to_look_at(self, cast: Cast) -> None:
        text = words(page(cast, GATE))
        assert "从未上线" in text
        assert "核对主题、编号和接线" in text
        assert "还没有收到过数值" in text
        assert "它还没有报过可以画的量" in text

    def test_while_our_judge_stands_still_nobody_is_called_online(self, cast: Cast) -> None:
        with cast.write() as connection:
            a_state(connection, GATE, "online")
            a_judge(connection, watermark_ms=NOW_MS - 10 * MINUTE_MS)
        text = words(page(cast, GATE))
        assert "本系统判定停滞：停之前它在线" in text
        assert "判定落后 10 分" in text

    def test_what_the_registry_says_of_it(self, cast: Cast) -> None:
        text = words(page(cast, LAMP))
        assert f"设备编号 {LAMP}" in text
        assert "灯数 8" in text
        assert "供电方式 随回路断电" in text
        assert "上报间隔 15 分" in text
        assert "上级设备 网关" in text

    def test_one_out_of_service_is_still_there_and_says_so(self, cast: Cast) -> None:
        with cast.write() as connection:
            connection.execute(
                devices.update()
                .where(devices.c.id == GATE)
                .values(decommissioned_at_ms=NOW_MS - DAY_MS)
            )
        assert "已停用，自 11-22 19:42:10" in words(page(cast, GATE))


class TestValues:
    def test_values_have_names_units_and_ages_in_both_languages(self, cast: Cast) -> None:
        latest = {"power_w": (182.4, NOW_MS - 30_000), "port_status": ("in_use", NOW_MS)}
        with cast.write() as connection:
            a_state(connection, PORT, "online", latest=latest)
        text = words(page(cast, PORT))
        assert "功率 power_w 182.4 W 19:41:40 30 秒前" in text
        assert "端口状态 port_status 使用中" in text
        english = words(page(cast, PORT, headers=EN))
        assert "Power power_w 182.4 W 19:41:40 30 s ago" in english
        assert "In use" in english

    def test_a_length_of_time_is_told_in_words(self, cast: Cast) -> None:
        latest = {"uptime_s": (90_000, NOW_MS), "csq": (21, NOW_MS)}
        with cast.write() as connection:
            a_state(connection, GATE, "online", latest=latest)
        assert "uptime_s 1 天 1 小时" in words(page(cast, GATE))

    def test_an_old_gauge_is_marked_and_an_old_state_holds(self, cast: Cast) -> None:
        old = NOW_MS - HOUR_MS
        with cast.write() as connection:
            a_state(
                connection,
                GATE,
                "online",
                latest={"board_temp_c": (31.0, old), "door_state": ("closed", old)},
            )
        html = page(cast, GATE)
        temperature, door = (
            html[html.index(f">{name}<") :].partition("</tr>")[0]
            for name in ("board_temp_c", "door_state")
        )
        assert "已过期" in temperature
        assert "已过期" not in door
        assert ">关<" in door

    def test_every_word_that_a_device_can_say_has_words(self) -> None:
        said = {
            word
            for kind in KINDS.values()
            for quantity in kind.quantities.values()
            if quantity.name != "port_status"  # has its own, with the vendors' numbers
            for word in quantity.values
        }
        assert {word for word in said if not knows(f"w_{word}")} == set()


class TestReadings:
    def filled(self, cast: Cast) -> None:
        """The power of a socket, each minute of the last two hours but for ten of them."""
        with cast.write() as connection:
            a_state(
                connection,
                PORT,
                "online",
                latest={"power_w": (180.0, NOW_MS), "port_status": ("in_use", NOW_MS)},
            )
        minutes = [n for n in range(120) if not 30 <= n < 40]
        cast.telemetry.series["port", PORT, "power_w"] = [
            Sample(NOW_MS - n * MINUTE_MS, 180.0 + n % 7) for n in reversed(minutes)
        ]
        cast.telemetry.series["port", PORT, "port_status"] = [
            Sample(NOW_MS - n * MINUTE_MS, "in_use" if n < 60 else "idle")
            for n in reversed(range(120))
        ]

    def test_the_main_quantities_are_drawn_with_their_figures(self, cast: Cast) -> None:
        self.filled(cast)
        html = page(cast, PORT)
        assert html.count('<figure class="chart">') == 2
        assert "平均 183 W，最小 180 W，最大 186 W" in html
        assert html.count('class="band"') == 2  # for a desk, and for a phone
        assert "功率，11-22 19:40 – 11-23 19:42" in html

    def test_of_a_long_time_fewer_are_drawn_at_once(self, cast: Cast) -> None:
        self.filled(cast)
        assert page(cast, PORT, "?show=week").count('<figure class="chart">') == 1
        assert page(cast, PORT, "?show=hour").count('<figure class="chart">') == 2

    def test_a_gap_is_hatched_and_no_line_crosses_it(self, cast: Cast) -> None:
        self.filled(cast)
        html = page(cast, PORT, "?quantity=power_w&show=hour")
        wide = re.search(r'<svg class="plot curve wide-plot".*?</svg>', html, re.DOTALL)
        assert wide is not None
        assert len(re.findall(r'<rect class="missing"', wide[0])) == 1
        mean = re.search(r'class="mean" d="([^"]+)"', wide[0])
        assert mean is not None
        assert mean[1].count("M") == 2

    def test_scripts_of_curves_are_loaded_only_where_a_curve_is(self, cast: Cast) -> None:
        self.filled(cast)
        client = cast.client("operator")
        with cast.write() as connection:
            a_session(connection, "s")
        for path, loads in (
            (f"/devices/{PORT}", True),
            ("/sessions/s", True),
            (f"/devices/{GATE}", False),  # it has never reported anything to draw
            (f"/compounds/{XIANGYUNLI}", False),
            ("/", False),
            ("/faults", False),
        ):
            html = client.get(path).text
            assert ("uPlot.iife.min.js" in html) == loads, path
            assert len(re.findall(r"<script(?![^>]*(?:src=|type=.application/json))", html)) == 0

    def test_the_page_carries_what_it_draws_for_its_script(self, cast: Cast) -> None:
        self.filled(cast)
        html = page(cast, PORT, "?quantity=power_w&show=hour")
        chart = html[html.index('data-chart="power_w"') :].partition("</script>")[0]
        data = json.loads(chart.rpartition(">")[2])
        assert len(data["gaps"]) == 1
        assert len(data["at"]) == len(data["mean"]) == len(data["count"])
        assert (data["unit"], data["to"], data["every"]) == ("W", NOW_MS + 1, 30_000)

    def test_one_quantity_has_a_table_of_its_figures_without_scripts(self, cast: Cast) -> None:
        self.filled(cast)
        html = page(cast, PORT, "?quantity=power_w&show=hour")
        table = html[html.index('class="scrolls tall"') :].partition("</table>")[0]
        assert "11-23 19:42:00" in table
        assert table.count("<tr>") == 1 + 51  # a head; 61 minutes without the ten

    def test_a_word_is_a_lane_for_as_long_as_it_was_said(self, cast: Cast) -> None:
        self.filled(cast)
        html = page(cast, PORT, "?quantity=port_status")
        assert "空闲</text>" in html
        assert "使用中</text>" in html
        assert "最后 使用中" in words(html)

    def test_another_time_is_picked_with_links_or_the_form(self, cast: Cast) -> None:
        self.filled(cast)
        html = page(cast, PORT, "?quantity=power_w&from=2026-11-23T18:00&to=2026-11-23T19:00")
        assert "11-23 18:00 – 19:00" in words(html)
        assert 'value="2026-11-23T18:00"' in html
        earlier = re.search(r'href="([^"]+)" rel="prev"', html)
        assert earlier is not None
        client = cast.client("yaxin")
        text = client.get(earlier[1].replace("&amp;", "&"), headers=ZH).text
        assert "11-23 17:00 – 18:00" in words(text)

    def test_a_store_that_is_away_costs_the_curves_and_nothing_else(self, cast: Cast) -> None:
        self.filled(cast)
        cast.telemetry.fails = [TelemetryAway("no answer")]
        text = words(page(cast, PORT))
        assert "遥测库此刻读不到：读数没有丢" in text
        assert "功率 power_w 180 W" in text

    def test_no_readings_in_a_range_are_unknown_and_not_zero(self, cast: Cast) -> None:
        self.filled(cast)
        text = words(page(cast, PORT, "?quantity=power_w&from=2026-11-20&to=2026-11-21"))
        assert "这段时间没有读数：未知，不是 0。" in text

    @pytest.mark.parametrize(
        "query",
        ["?quantity=beauty", "?from=tomorrow", "?from=2026-11-23&to=2026-11-22", "?show=eon",
         "?from=2024-01-01"],
    )  # fmt: skip
    def test_what_cannot_be_asked_is_said(self, cast: Cast, query: str) -> None:
        assert cast.client("yaxin").get(f"/devices/{PORT}{query}").status_code == 422


class TestLists:
    def test_open_faults_and_past_ones_with_a_list_of_all(self, cast: Cast) -> None:
        with cast.write() as connection:
            a_fault(connection, "now")
            for n in range(7):
                opened_ms = NOW_MS - (n + 1) * DAY_MS
                a_fault(connection, f"past{n}", state="closed", opened_at_ms=opened_ms)
        html = page(cast, GATE)
        assert re.findall(r'href="/faults/(\w+)"', html) == [
            "now", "past0", "past1", "past2", "past3", "past4",
        ]  # fmt: skip
        assert f'href="/devices/{GATE}/faults"' in html
        seen: list[str] = []
        address = f"/devices/{GATE}/faults?limit=3"
        while address:
            html = cast.client("yaxin").get(address, headers=ZH).text
            seen += re.findall(r'href="/faults/(\w+)"', html)
            found = re.search(r'href="([^"]+)">更早的', html)
            address = found[1].replace("&amp;", "&") if found else ""
        assert seen == ["now", *(f"past{n}" for n in range(7))]

    @pytest.mark.parametrize("device", [PORT, SHED])
    def test_sessions_of_a_socket_and_of_all_sockets_of_a_shed(
        self, cast: Cast, device: str
    ) -> None:
        with cast.write() as connection:
            a_session(connection, "mine", stop_reason="full")
            a_session(connection, "next-door", port=f"{SHED}-p02")
        html = page(cast, device)
        shown = set(re.findall(r'href="/sessions/([\w-]+)"', html))
        assert shown == ({"mine"} if device == PORT else {"mine", "next-door"})
        html = page(cast, device, "/sessions")
        assert set(re.findall(r'href="/sessions/([\w-]+)"', html)) == shown

    def test_sockets_of_a_shed_and_devices_of_a_gateway_are_tables_with_links(
        self, cast: Cast
    ) -> None:
        with cast.write() as connection:
            latest = {"power_w": (182.0, NOW_MS), "port_status": ("in_use", NOW_MS)}
            a_state(connection, PORT, "online", latest=latest)
            a_fault(connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP")
        html = page(cast, SHED)
        assert f'href="/devices/{PORT}"' in html
        assert "1号棚 01号插座 充电插座 在线 5 秒前 1 功率 182 W 端口状态 使用中" in words(html)
        html = page(cast, f"{XIANGYUNLI}-gw", "/children")
        assert f'href="/devices/{GATE}"' in html
        assert f'href="/devices/{STRANGE_GATE}"' not in html

    def test_more_children_than_a_page_holds_are_paged(self, cast: Cast) -> None:
        row = {
            "kind": "camera",
            "compound": XIANGYUNLI,
            "parent": f"{XIANGYUNLI}-gw",
            "name": "监控",
            "protocol": "native",
            "interval_s": 300,
            "attributes": {},
        }
        with cast.write() as connection:
            connection.execute(
                insert(devices), [{**row, "id": f"{XIANGYUNLI}-z{n:03d}"} for n in range(70)]
            )
        gateway = f"{XIANGYUNLI}-gw"
        assert f'href="/devices/{gateway}/children"' in page(cast, gateway)
        first = page(cast, gateway, "/children")
        found = re.search(r'href="([^"]+)">下一页', first)
        assert found is not None
        rest = cast.client("yaxin").get(found[1].replace("&amp;", "&")).text
        ids = re.findall(rf'<th scope="row"><a href="/devices/({XIANGYUNLI}[^"]+)"', first + rest)
        assert len(ids) == len(set(ids)) == 73  # the gate, the lamp and the camera besides


class TestMessages:
    def test_the_newest_stand_on_the_page_and_all_of_the_day_behind_it(self, cast: Cast) -> None:
        with_messages(
            cast,
            a_raw(b'{"n":"of long ago"}', NOW_MS - 25 * HOUR_MS),
            *(a_raw(b'{"n":%d}' % n, NOW_MS - (30 - n) * MINUTE_MS) for n in range(30)),
            a_raw(b'{"n":"of another"}', topic=TOPIC.replace(b"gate-1", b"gate-12")),
        )
        numbers = re.findall(r"\{&#34;n&#34;:(\d+)\}", page(cast, GATE))
        assert numbers == ["29", "28", "27"]
        seen: list[str] = []
        address = f"/devices/{GATE}/messages"
        while address:
            html = cast.client("yaxin").get(address, headers=ZH).text
            assert "long ago" not in html
            assert "of another" not in html
            seen += re.findall(r"\{&#34;n&#34;:(\d+)\}", html)
            found = re.search(r'href="([^"]+)">继续往前找', html)
            address = found[1].replace("&amp;", "&") if found else ""
        assert seen == [str(n) for n in reversed(range(30))]
        assert "更早的已不在 24 小时内" in html

    def test_a_look_that_found_nothing_says_where_it_looked_and_goes_on(self, cast: Cast) -> None:
        other = TOPIC.replace(b"gate-1", b"gate-12")
        raws = [a_raw(b"{}", NOW_MS - n * MINUTE_MS, topic=other) for n in reversed(range(9))]
        with_messages(cast, a_raw(b'{"n":1}', NOW_MS - 20 * MINUTE_MS), *raws)
        cast.journal.looks = 5
        html = page(cast, GATE, "/messages")
        assert "这段时间没有它的消息" in html
        assert "已查看 19:38:10 至 19:42:10" in words(html)
        found = re.search(r'href="([^"]+)">继续往前找', html)
        assert found is not None
        html = cast.client("yaxin").get(found[1].replace("&amp;", "&"), headers=ZH).text
        assert "{&#34;n&#34;:1}" in html

    def test_of_a_silent_device_it_is_looked_for_where_it_was_last_heard(self, cast: Cast) -> None:
        other = TOPIC.replace(b"gate-1", b"gate-12")
        heard = NOW_MS - 8 * HOUR_MS
        raws = [a_raw(b"{}", NOW_MS - n * MINUTE_MS, topic=other) for n in reversed(range(99))]
        with_messages(cast, a_raw(b'{"n":"the last"}', heard), *raws)
        cast.journal.looks = 5
        with cast.write() as connection:
            a_state(connection, GATE, "offline", reason="lwt", last_seen_ms=heard)
        html = page(cast, GATE)
        assert "the last" in html
        assert "已查看 19:38:10 至 19:42:10；已查看" in words(html)

    def test_before_a_time_that_somebody_picks(self, cast: Cast) -> None:
        raws = [a_raw(b'{"n":%d}' % n, NOW_MS - n * HOUR_MS) for n in reversed(range(5))]
        with_messages(cast, *raws)
        html = page(cast, GATE, "/messages?until=2026-11-23T17:00")
        assert re.findall(r"\{&#34;n&#34;:(\d+)\}", html) == ["3", "4"]
        assert cast.client("yaxin").get(f"/devices/{GATE}/messages?until=soon").status_code == 422

    def test_bytes_that_are_no_text_are_shown_in_hex_and_long_ones_are_cut(
        self, cast: Cast
    ) -> None:
        with_messages(cast, a_raw(b"\x5a\xa5\x04\x00\x88"), a_raw("冒".encode() * 3000))
        html = page(cast, GATE, "/messages")
        assert "5a a5 04 00 88" in html
        assert "二进制，按十六进制显示" in html
        assert "只显示前 4,096 字节" in html
        assert "9,000 字节" in html

    def test_of_an_oversized_one_its_true_size_is_told(self, cast: Cast) -> None:
        stub = b"\0courtyard-oversize 70000 " + b"0" * 64 + b' {"values":{'
        with_messages(cast, a_raw(stub, flags=OVERSIZE))
        html = page(cast, GATE, "/messages")
        assert "70,000 字节" in html
        assert "超过 64 KiB，只留开头" in html
        assert "courtyard-oversize" not in html

    def test_a_socket_shows_those_of_its_shed_and_says_so(self, cast: Cast) -> None:
        topic = f"courtyard/v1/{XIANGYUNLI}/shed/{SHED}/telemetry".encode()
        with_messages(cast, a_raw(b'{"ports":{"1":{}}}', topic=topic))
        html = page(cast, PORT)
        assert "{&#34;ports&#34;:" in html
        assert "插座随充电棚的消息上报：下面是1号棚的消息。" in html

    def test_what_came_on_its_topic_from_another_compound_is_the_districts_alone(
        self, cast: Cast
    ) -> None:
        with_messages(cast, a_raw(b'{"n":"stranger"}', origin="lianxin-hutong"))
        assert "stranger" not in page(cast, GATE, "/messages")
        assert "stranger" in page(cast, GATE, "/messages", who="operator")

    def test_without_a_journal_the_page_says_so(self, cast: Cast) -> None:
        cast.journal.away = True
        for query in ("", "/messages"):
            assert "此处读不到日志" in page(cast, GATE, query)

    def test_a_payload_is_text_and_no_markup(self, cast: Cast) -> None:
        with_messages(cast, a_raw(b"<script>alert(1)</script>", topic=TOPIC + b"<img>"))
        for query in ("", "/messages"):
            html = page(cast, GATE, query)
            assert "<script>alert" not in html
            assert "<img>" not in html


def test_the_fields_of_its_format_are_a_table(cast: Cast) -> None:
    deps = cast.app.state.parts.deps
    table = FieldTable(("theirs", "ours"), (("`ENERGY.Power`", "`power_w`, W"),))
    deps.field_tables["native"] = (table,)
    html = page(cast, GATE)
    assert "<td><code>ENERGY.Power</code></td><td><code>power_w</code>, W</td>" in html
    assert "楼院自有格式 的字段怎样成为我们的量" in html
    deps.field_tables.clear()
    assert "此格式还没有解码器" in page(cast, GATE)


def test_hostile_names_are_text(cast: Cast) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    with cast.write() as connection:
        connection.execute(
            devices.update()
            .where(devices.c.no == number_of(connection, SHED))
            .values(name=hostile, building=hostile, external_id=hostile, attributes={"a": hostile})
        )
    for path in (f"/devices/{SHED}", f"/devices/{PORT}", f"/devices/{SHED}/children"):
        html = cast.client("yaxin").get(path).text
        assert "<img" not in html
        assert "&lt;img" in html


@pytest.mark.parametrize("section", ["", "/faults", "/sessions", "/children", "/messages"])
def test_a_strangers_device_is_not_there(cast: Cast, section: str) -> None:
    client = cast.client("yaxin")
    strange, unknown = (
        client.get(f"/devices/{device}{section}", headers={"Accept": "text/html"})
        for device in (STRANGE_GATE, "atlantis-gate-1")
    )
    assert strange.status_code == unknown.status_code == 404
    assert strange.text.replace(STRANGE_GATE, "") == unknown.text.replace("atlantis-gate-1", "")


def test_wherever_a_device_is_named_its_page_is_one_click_away(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
        a_session(connection, "s")
        a_refusal(connection, 1)
    assert f'href="/devices/{GATE}"' in cast.client("operator").get("/quarantine").text
    client = cast.client("yaxin")
    for path, device in (
        (f"/compounds/{XIANGYUNLI}", GATE),
        (f"/compounds/{XIANGYUNLI}", LAMP),
        ("/faults/f", GATE),
        ("/faults", GATE),
        (f"/charging?compound={XIANGYUNLI}", PORT),
    ):
        assert f'href="/devices/{device}"' in client.get(path).text, path
    assert 'href="/sessions/s"' in client.get(f"/charging?compound={XIANGYUNLI}").text
