"""Usage on pages: each figure with its coverage and status, unknown as a dash and never 0."""

import csv
import io
import re
from datetime import date, datetime
from typing import Any

import pytest

from api.console.usage_views import Bucket, parse_until, picked, spell
from api.errors import BadParameter
from devices.days import DISTRICT_ZONE, began
from devices.store.schema import usage_days, usage_days_due, usage_since
from devices.store.usage_days import UsageDays
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    Cast,
    a_judge,
    a_session,
    an_hour,
)
from tests.api.test_console import EN, ZH, words

PLACE = f"/compounds/{XIANGYUNLI}"
URL = f"{PLACE}/usage"
TODAY = date(2026, 11, 23)
HOUR = NOW_MS - NOW_MS % HOUR_MS


def shown(cast: Cast, url: str = URL, headers: dict[str, str] = ZH, name: str = "yaxin") -> str:
    answer = cast.client(name).get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def usage_of(html: str) -> str:
    found = re.search(r'<section class="panel" id="usage".*?</section>', html, re.DOTALL)
    assert found is not None
    return found[0]


def local(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, DISTRICT_ZONE):%m-%d %H}"


@pytest.mark.parametrize(
    ("bucket", "last", "first", "starts", "before", "before_to"),
    [
        ("hour", TODAY, "11-23 00", 20, "11-22 00", "11-23 00"),
        ("hour", date(2026, 11, 20), "11-20 00", 24, "11-19 00", "11-20 00"),
        # as much of the last day as is over: until 20:00 a fortnight ago
        ("day", TODAY, "11-10 00", 14, "10-27 00", "11-09 20"),
        ("day", date(2026, 11, 20), "11-07 00", 14, "10-24 00", "11-07 00"),
        ("week", TODAY, "10-05 00", 8, "08-10 00", "09-28 20"),
        ("month", TODAY, "12-01 00", 12, "12-01 00", "11-23 20"),
        ("month", date(2026, 10, 31), "11-01 00", 12, "11-01 00", "11-01 00"),
    ],
)
def test_a_spell_is_compared_with_as_much_before_it(
    bucket: Bucket, last: date, first: str, starts: int, before: str, before_to: str
) -> None:
    asked = spell(bucket, last, DISTRICT_ZONE, NOW_MS)
    assert (local(asked.starts[0]), len(asked.starts)) == (first, starts)
    assert (local(asked.before[0]), local(asked.before_to_ms)) == (before, before_to)
    assert asked.before_to_ms <= asked.starts[0]
    assert asked.to_ms == min(NOW_MS, asked.to_ms)
    assert asked.places == {"hour": 24, "day": 14, "week": 8, "month": 12}[bucket]


def test_until_is_a_date_and_at_most_today() -> None:
    assert parse_until("", TODAY) == TODAY
    assert parse_until("2026-11-01", TODAY) == date(2026, 11, 1)
    assert parse_until("2027-01-01", TODAY) == TODAY
    for wrong in ("yesterday", "1999-01-01"):
        with pytest.raises(BadParameter):
            parse_until(wrong, TODAY)


def test_figures_stand_with_coverage_status_and_what_was_before(cast: Cast) -> None:
    with cast.write() as connection:
        by_method = {"card": 8.0, "face": 20.0}
        an_hour(
            connection, GATE, HOUR - 3 * HOUR_MS, 120, granted=28, denied=2, by_method=by_method
        )
        an_hour(connection, GATE, HOUR - 14 * DAY_MS - 3 * HOUR_MS, 120, granted=14)
    text = words(usage_of(shown(cast)))
    assert "14 天，每天 · 2026-11-10 – 11-23" in text
    assert "通行次数，每天 28 次" in text
    assert "通行次数 次 28 14 +100 %" in text
    assert "拒绝率 % 6.7 0.0 +6.7 pp" in text
    assert "通行方式 人脸 20 · 刷卡 8" in text
    assert re.search(r"门禁 数据完整 0\.\d % · 暂计", text)
    assert re.search(r"11-23 28 — — — 1\.6 % 暂计", text)
    assert re.search(r"11-10 — — — — 0\.0 % 已定", text)


def test_each_bar_says_how_much_it_is_how_sure_and_what_was_before(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, HOUR - 3 * HOUR_MS, 120, granted=28)
        an_hour(connection, GATE, HOUR - DAY_MS - 3 * HOUR_MS, 120, granted=9)
        night = {"lit_s": 6 * 3600, "dark_s": 3600, "unknown_s": 3 * 3600, "burn_s": 6 * 3600}
        an_hour(connection, LAMP, HOUR - 20 * HOUR_MS, 4, **night)
    hour = HOUR - 3 * HOUR_MS
    html = usage_of(shown(cast, f"{URL}?bucket=hour"))
    told = [title.split("\n") for title in re.findall("<title>(.*?)</title>", html, re.DOTALL)]
    clock = f"{local(hour)}:00 – {local(hour + HOUR_MS)[-2:]}:00"
    (bar,) = [lines for lines in told if lines[0] == clock and lines[1] == "28 次"]
    assert bar == [clock, "28 次", "暂计 · 数据完整 100.0 %", "前一天 9 次"]
    days = usage_of(shown(cast, URL, EN))
    assert "11-22\n60.0 %\n6 lit · 1 dark · 3 unknown lamp-hours; unknown never counts" in days
    assert "11-10\nNo data: unknown\nFinal · 0.0 % of the data" in days


def test_what_nothing_arrived_for_is_a_dash_and_said(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, HOUR, 40, granted=3)
    text = words(usage_of(shown(cast, f"{URL}?bucket=hour", EN)))
    assert "Charging sessions, by hour —" in text
    assert "Energy charged kWh — —" in text
    assert "Passages, by hour 3" in text
    assert "19:00 3 — — —" in text
    html = usage_of(shown(cast, f"{URL}?until=2026-10-01"))
    assert "这段时间没有收到数据：用量未知，不是 0。" in words(html)
    assert html.count('class="missing"') == 4 * 14 + 24  # of the last day by the hour, too
    assert '<rect class="bar"' not in html


def test_lit_dark_and_unknown_stand_apart(cast: Cast) -> None:
    with cast.write() as connection:
        night = {"lit_s": 6 * 3600, "dark_s": 3600, "unknown_s": 3 * 3600, "burn_s": 6 * 3600}
        an_hour(connection, LAMP, HOUR - 20 * HOUR_MS, 4, **night)
    html = usage_of(shown(cast))
    assert "亮灯率，每天 60.0 %" in words(html)
    assert "亮 6 · 不亮 1 · 未知 3 灯时；未知不算亮。" in words(html)
    assert [html.count(f'class="{look}"') for look in ("unknown", "dark")] == [1, 1]
    assert 'aria-label="亮灯率，每天：共 60.0 %；11-22 最高，60.0；13 个时段未知"' in html


def test_a_provisional_figure_is_underlined_and_its_bar_hatched(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, HOUR, 40, granted=3)
        an_hour(connection, GATE, HOUR - 8 * DAY_MS, 120, granted=4)
    html = usage_of(shown(cast))
    assert '<b class="provisional">7</b>' in html
    looks = [html.count(f'<rect class="{look}"') for look in ("bar", "provisional")]
    assert looks == [1, 2]  # today's also by the hour
    html = usage_of(shown(cast, f"{URL}?until=2026-11-20"))
    assert "<b>4</b>" in html
    assert 'class="provisional"' not in html.replace('key-provisional"', "")


def test_what_a_compound_does_not_have_is_left_out(cast: Cast) -> None:
    text = words(usage_of(shown(cast, f"/compounds/{LIANXIN}/usage", name="kangqiao")))
    assert "通行次数" in text
    assert "充电" not in text
    assert "亮灯率" not in text


def test_one_goes_back_in_time_and_forth_again(cast: Cast) -> None:
    html = usage_of(shown(cast))
    assert f'href="{URL}?until=2026-11-09#usage" rel="prev"' in html
    assert 'rel="next"' not in html
    html = usage_of(shown(cast, f"{URL}?until=2026-11-09&bucket=day"))
    assert f'href="{URL}?until=2026-11-23&amp;bucket=day#usage" rel="next"' in html
    assert cast.client("yaxin").get(f"{URL}?until=nonsense").status_code == 422


@pytest.mark.parametrize(
    ("first", "last", "bucket", "places", "before", "before_to", "is_cut"),
    [
        (date(2026, 11, 16), date(2026, 11, 22), "day", 7, "11-09 00", "11-16 00", False),
        (date(2026, 11, 20), date(2026, 11, 20), "hour", 24, "11-19 00", "11-20 00", False),
        # of today only so much of the day before the range as is over: until 20:00
        (date(2026, 11, 20), TODAY, "day", 4, "11-16 00", "11-19 20", True),
        (date(2026, 7, 1), date(2026, 9, 30), "week", 14, "03-31 00", "07-01 00", False),
    ],
)
def test_a_range_that_was_picked_is_compared_with_as_many_days_before_it(
    first: date,
    last: date,
    bucket: Bucket,
    places: int,
    before: str,
    before_to: str,
    is_cut: bool,
) -> None:
    asked = picked(first, last, DISTRICT_ZONE, NOW_MS)
    assert (asked.bucket, asked.places, asked.is_cut) == (bucket, places, is_cut)
    assert (local(asked.before[0]), local(asked.before_to_ms)) == (before, before_to)
    assert asked.before_to_ms <= asked.starts[0]


def test_last_week_is_one_click_and_stands_beside_the_week_before(cast: Cast) -> None:
    with cast.write() as connection:
        for days, kwh in ((1, 1.5), (7, 2.5), (8, 2.0), (15, 9.0)):  # Sunday, Monday, Sunday before
            an_hour(connection, PORT, HOUR - days * DAY_MS, 60, energy_kwh=kwh, sessions=1.0)
    link = re.search(r'href="([^"]+)#usage">上周</a>', usage_of(shown(cast)))
    assert link is not None
    assert link[1] == f"{URL}?since=2026-11-16&amp;until=2026-11-22"
    html = usage_of(shown(cast, link[1].replace("&amp;", "&")))
    text = words(html)
    assert "7 天，每天 · 2026-11-16 – 11-22" in text
    assert "充电量，每天 4.0 kWh" in text
    assert "充电量 kWh 4.0 2.0 +100 %" in text
    assert 'aria-current="true">上周</a>' in html
    assert f'href="{URL}?since=2026-11-09&amp;until=2026-11-15#usage" rel="prev"' in html


def test_passages_of_the_last_day_are_drawn_by_the_hour_too(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, HOUR - 3 * HOUR_MS, 120, granted=28)
        an_hour(connection, GATE, HOUR - DAY_MS, 120, granted=5)
    text = words(usage_of(shown(cast)))
    assert "通行次数，每小时，11-23 28 次" in text
    assert "通行次数，每天 33 次" in text
    assert "每小时" not in words(usage_of(shown(cast, f"{URL}?bucket=week")))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("since=nonsense", "is no date"),
        ("since=2026-11-20&until=2026-11-19", "is after the last day"),
        ("since=2025-11-20&until=2026-11-23", "at most 366 days"),
    ],
)
def test_a_range_that_cannot_be_is_refused_in_words(cast: Cast, query: str, says: str) -> None:
    for url in (PLACE, URL, f"{PLACE}/usage.csv", f"{PLACE}/availability.csv"):
        answer = cast.client("yaxin").get(f"{url}?{query}")
        assert answer.status_code == 422
        assert says in answer.text


def test_what_is_shown_can_be_taken_along_as_csv(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, PORT, HOUR - DAY_MS, 60, energy_kwh=1.25, sessions=1.0)
    html = usage_of(shown(cast, f"{URL}?since=2026-11-21&until=2026-11-22"))
    assert f'href="{PLACE}/usage.csv?since=2026-11-21&amp;until=2026-11-22" download' in html
    answer = cast.client("yaxin").get(f"{PLACE}/usage.csv?since=2026-11-21&until=2026-11-22")
    assert answer.headers["Content-Type"].startswith("text/csv")
    head, *lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(lines) == 2
    energy = head.index("charging_energy_kwh")
    assert [line[energy] for line in lines] == ["0.0", "1.25"]
    assert cast.client("kangqiao").get(f"{PLACE}/usage.csv").status_code == 404


def test_while_the_judge_stands_still_usage_says_so(cast: Cast) -> None:
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - HOUR_MS)
    assert "判定停滞：下列用量停在最后收到的数据。" in words(usage_of(shown(cast)))


def test_sessions_have_their_stop_reason_in_words(cast: Cast) -> None:
    with cast.write() as connection:
        a_session(connection, "hot", stop_reason="over_temp", native_reason="7")
        a_session(
            connection, "runs", state="open", started_at_ms=NOW_MS - HOUR_MS, ended_at_ms=None,
            duration_s=None, energy_kwh=None, fee_fen=None, stop_reason=None, native_reason=None,
            ended_by=None,
        )  # fmt: skip
        a_session(
            connection, "cut", started_at_ms=NOW_MS - 9 * HOUR_MS, stop_reason="power_cut",
            ended_by="platform", provisional=True, native_reason=None, energy_kwh=None,
        )  # fmt: skip
    text = words(shown(cast, PLACE))
    assert "1号棚 01号插座 订单 runs 18:42:10 1 小时 — — 充电中" in text
    assert "订单 hot 15:42:10 3 小时 0.54 kWh 0.60 温度过高 故障类 厂家码 7" in text
    assert "订单 cut 10:42:10 3 小时 — 0.60 停电 故障类 推断结束 暂计" in text
    text = words(shown(cast, f"/charging?compound={XIANGYUNLI}", EN))
    assert "Order hot 15:42:10 3 h 0.54 kWh 0.60 Over-temperature a fault vendor" in text


def a_summed_district(cast: Cast) -> None:
    with cast.write() as connection:
        for days in range(1, 4):
            an_hour(
                connection, PORT, HOUR - days * DAY_MS, 60, in_use_s=1800.0, energy_kwh=0.5,
                sessions=2.0, stop_reasons={"full": 1.0, "unplugged": 1.0},
            )  # fmt: skip
    summing = UsageDays(cast.engine)
    for work in list(summing.missing(NOW_MS)):
        summing.build(work, NOW_MS)
        summing.build_peaks(work.compound)


def test_all_charging_is_of_whole_days_with_its_stop_reasons(cast: Cast) -> None:
    a_summed_district(cast)
    text = words(shown(cast, "/charging"))
    assert "1 个小区有充电棚，2 个插座" in text
    assert "2026-11-09 – 11-22" in text
    assert "充电次数，每天 6 次" in text
    assert "祥云里 6 1.5" in text
    assert "充满自停 3 50 % 拔出充电器 3 50 %" in text
    assert "No charging sheds" not in text


def test_days_that_are_not_summed_up_yet_are_told_and_nothing_is_called_0(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.charging_pages.MOST_FROM_HOURS", 0)
    with cast.write() as connection:
        for days in range(1, 4):
            an_hour(connection, PORT, HOUR - days * DAY_MS, 60, sessions=2.0)
    text = words(shown(cast, "/charging"))
    assert "用量正在汇总，还差" in text
    assert "充电次数" not in text


def test_before_anything_came_all_charging_is_unknown(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_summed_district(cast)
    monkeypatch.setattr("api.console.charging_pages.MOST_EMPTY", 20)
    html = usage_of(shown(cast, "/charging?bucket=month"))
    assert "充电次数，每月 6 次" in words(html)
    assert html.count('class="missing"') == 4 * 11


def test_late_data_that_is_still_to_be_counted_is_told(cast: Cast) -> None:
    a_summed_district(cast)
    with cast.write() as connection:
        connection.execute(
            usage_days_due.insert().values(
                compound=XIANGYUNLI, day_ms=began(date(2026, 11, 20), DISTRICT_ZONE), marks=1
            )
        )
    assert "1 个小区日有迟到数据，一分钟内计入。" in words(shown(cast, "/charging"))


def test_all_charging_is_read_once_a_minute(cast: Cast) -> None:
    a_summed_district(cast)
    first = words(usage_of(shown(cast, "/charging")))
    with cast.write() as connection:
        connection.execute(usage_days.delete())
    assert words(usage_of(shown(cast, "/charging"))) == first


@pytest.mark.parametrize(
    ("url", "name", "says"),
    [
        ("/charging", "kangqiao", "这里没有充电棚。"),
        (f"/charging?compound={LIANXIN}", "kangqiao", "连心胡同没有充电棚 用量写“无”，不写 0。"),
        (f"/charging?compound={XIANGYUNLI}", "yaxin", "没有充电记录。"),
    ],
)
def test_what_is_not_there_is_said(cast: Cast, url: str, name: str, says: str) -> None:
    assert says in words(shown(cast, url, name=name))


@pytest.mark.parametrize("url", [f"/charging?compound={XIANGYUNLI}", "/charging?firm=yaxin"])
def test_a_strangers_charging_is_not_there(cast: Cast, url: str) -> None:
    assert cast.client("kangqiao").get(url).status_code == 404


def test_sessions_go_on_to_older_ones(cast: Cast) -> None:
    with cast.write() as connection:
        for n in range(3):
            a_session(connection, f"s{n}", started_at_ms=NOW_MS - n * HOUR_MS)
    client: Any = cast.client("yaxin")
    page = client.get(f"/charging?compound={XIANGYUNLI}&limit=2", headers=ZH).text
    older = re.search(r'<div class="pager"><a href="([^"]+)#sessions"', page)
    assert older is not None
    assert "s2" not in words(page)
    page = client.get(older[1].replace("&amp;", "&"), headers=ZH).text
    assert "订单 s2" in words(page)
    assert "订单 s1" not in words(page)


def test_what_does_not_add_up_is_shown_and_what_is_not_known_of_it_is_no_0(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, PORT, HOUR, 40, in_use_s=1800.0, sessions=2.0)
        an_hour(connection, LAMP, HOUR - 20 * HOUR_MS, 4, lit_s=3600.0)
        a_session(connection, "one")
        a_session(connection, "two", port=f"{PORT[:-1]}2")
        connection.execute(usage_since.delete())  # counted from the first on
    text = words(usage_of(shown(cast)))
    assert "同时充电峰值 个 2 —" in text
    assert "熄灯故障 处 0 —" in text  # nobody was heard the fortnight before
    assert "活跃户数 个 — —" in text
