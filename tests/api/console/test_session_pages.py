"""The page of a charging session."""

import pytest

from api.console.session_pages import who_answers
from devices.stop_reasons import StopClass, StopReason
from devices.telemetry import Sample, TelemetryAway
from tests.api.cast import (
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    Cast,
    a_session,
    a_state,
)
from tests.api.test_console import EN, ZH, words


def page(cast: Cast, session: str, headers: dict[str, str] = ZH) -> str:
    answer = cast.client("yaxin").get(f"/sessions/{session}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_session_says_when_how_much_and_why_it_stopped(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "s")
    html = page(cast, "s")
    text = words(html)
    for told in (
        "状态 已结束",
        "电量 0.54 kWh",
        "时长 3 小时",
        "金额 0.60 元",
        "开始 15:42:10",
        "结束 18:42:10",
        "停止原因 充满自停 厂家原因码 1",
        "由谁处理 正常结束，无人需要处理",
        "充电板上报结束",
        "上报 结束记录里的电量 0.540 kWh",
        "寄存器 已读到时长的 100.0 % 0.500 kWh",
        "功率积分 有功率读数的时长 99.0 % 0.500 kWh",
        "核对 一致",
        "上报电量与寄存器、功率积分一致",
    ):
        assert told in text
    for link in (f"/devices/{PORT}", f"/devices/{SHED}", f"/compounds/{XIANGYUNLI}"):
        assert f'href="{link}"' in html
    english = words(page(cast, "s", EN))
    assert "Stopped for Full" in english
    assert "the reported energy agrees with the register and the power" in english


def test_a_part_of_its_curve_is_shown_when_the_address_asks_for_it(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "s")
    begun = NOW_MS - 3 * HOUR_MS
    cast.telemetry.series["port", PORT, "power_w"] = [
        Sample(begun + n * MINUTE_MS, 100.0 + n) for n in range(120)
    ]
    html = cast.client("yaxin").get("/sessions/s?from=2026-11-23T17:00&to=2026-11-23T17:30").text
    assert "11-23 17:00 – 17:30" in words(html)
    assert 'data-zoom="/sessions/s"' in html
    answer = cast.client("yaxin").get("/sessions/s?from=nonsense")
    assert answer.status_code == 422


def test_an_inferred_end_says_so_everywhere_it_matters(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(
            connection, "s", ended_by="platform", provisional=True, stop_reason="power_cut",
            native_reason=None,
        )  # fmt: skip
    html = page(cast, "s")
    text = words(html)
    assert "推断结束：没有收到结束记录，按最后的依据计" in text
    assert "最后读到" in text
    assert "上报 结束记录里的电量" not in text
    assert '<span class="provisional">0.54</span>' in html
    assert "故障类，由供电处理" in text


def test_what_does_not_agree_is_told_with_the_difference(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "s", register_kwh=0.2, power_kwh=0.2)
    text = words(page(cast, "s"))
    assert "核对 不一致" in text
    assert "上报与寄存器相差 170.0 %" in text


@pytest.mark.parametrize(("heard_s_ago", "told"), [(60, "充电中"), (181, "未知：插座三个间隔")])
def test_one_that_runs_has_no_end_yet(cast: Cast, heard_s_ago: int, told: str) -> None:
    with cast.write() as connection:
        a_state(connection, PORT, "online", device_at_ms=NOW_MS - heard_s_ago * 1000)
        a_session(
            connection, "s", state="open", ended_at_ms=None, duration_s=None, energy_kwh=None,
            fee_fen=None, stop_reason=None, native_reason=None, ended_by=None,
        )  # fmt: skip
    text = words(page(cast, "s"))
    assert f"状态 {told}" in text
    assert "时长 4 小时 金额 —" in text
    assert "核对 无法核对 充电未结束" in text


class TestCurve:
    def test_power_is_drawn_from_the_start_to_a_moment_after_the_end(self, cast: Cast) -> None:
        with cast.write() as connection:
            a_session(connection, "s")
        begun = NOW_MS - 4 * HOUR_MS
        cast.telemetry.series["port", PORT, "power_w"] = [
            Sample(begun + n * MINUTE_MS, 180.0 if n < 120 else 40.0) for n in range(181)
        ]
        html = page(cast, "s")
        assert html.count('class="mean"') == 2  # for a wide screen, and a narrow one
        assert "最小 40 W，最大 180 W" in html
        assert "功率，11-23 15:42 – 18:44" in html
        assert "&quantity" not in html
        assert f"/devices/{PORT}?quantity=power_w&amp;from=2026-11-23T07:42:00.000Z" in html

    def test_without_readings_or_their_store_the_rest_stands(self, cast: Cast) -> None:
        with cast.write() as connection:
            a_session(connection, "s")
            a_session(connection, "no-start", started_at_ms=None)
        assert "这段时间没有读数：未知，不是 0。" in page(cast, "s")
        assert "画不出曲线" in page(cast, "no-start")
        cast.telemetry.fails = [TelemetryAway("no answer")]
        text = words(page(cast, "s"))
        assert "遥测库此刻读不到" in text
        assert "电量 0.54 kWh" in text


@pytest.mark.parametrize("reason", StopReason)
def test_every_reason_says_who_is_to_do_something(reason: StopReason) -> None:
    zh, en = who_answers("zh", reason), who_answers("en", reason)
    assert zh != en
    assert ("故障类" in zh) is (reason.stop_class is StopClass.FAULT)


def test_a_reason_in_the_catalogue_names_its_party() -> None:
    assert who_answers("zh", "power_cut") == "故障类，由供电处理"
    assert who_answers("zh", "unplugged") == "居民自己的操作，不算故障"
    assert who_answers("en", "no-such-reason") == "The reason does not say"


def test_a_strangers_session_is_not_there(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "s", compound=LIANXIN)
    client = cast.client("yaxin")
    strange, unknown = client.get("/sessions/s"), client.get("/sessions/nothing")
    assert strange.status_code == unknown.status_code == 404
    assert strange.content == unknown.content


def test_a_vendors_reason_is_text(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "s", native_reason="<b>1</b>", stop_reason="<i>")
    html = page(cast, "s")
    assert "<b>1</b>" not in html
    assert "<i>" not in html
