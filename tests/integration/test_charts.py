"""Charts that are read, zoomed and moved in a real browser: by mouse, by finger and by keyboard."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import Engine

from devices.days import DISTRICT_ZONE
from devices.telemetry import Sample
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    MINUTE_MS,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    Cast,
    a_cast,
    a_fault,
    a_session,
    a_state,
    an_hour,
)
from tests.api.served import served
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.integration.test_fault_console import somebody

pytestmark = pytest.mark.long

ONE = f"/devices/{PORT}?quantity=power_w"
SESSION, FAULT, COMPOUND = "/sessions/26112300418", "/faults/hot", f"/compounds/{XIANGYUNLI}"
USAGE = f"{COMPOUND}/usage"
HOSTILE = '</script><img src="https://elsewhere.example/x" onerror="window.hurt = true">'
# How many pixels of the first canvas have this colour.
PIXELS = """(hex) => {
  const canvas = document.querySelector('.reader canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const [r, g, b] = [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16));
  let found = 0;
  for (let n = 0; n < data.length; n += 4) {
    const apart = [r, g, b].map((part, m) => Math.abs(part - data[n + m]));
    if (Math.max(...apart) < 24 && data[n + 3] > 200) found++;
  }
  return found;
}"""
LIGHT_LINE, DARK_LINE = "#0a5a8c", "#74baea"


@pytest.fixture
def browser(playwright_browser: Browser) -> Browser:
    return playwright_browser


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    """A socket with a day of readings and an hour without any, its session and its fault, and the
    usage of its compound."""
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    latest = {
        "port_status": ("in_use", NOW_MS),
        "power_w": (182.4, NOW_MS),
        "port_temp_c": (74.2, NOW_MS),
    }
    with cast.write() as connection:
        a_state(connection, PORT, "online", latest=latest)
        a_fault(
            connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P1",
            since_ms=NOW_MS - 40 * MINUTE_MS, cleared_at_ms=NOW_MS - 10 * MINUTE_MS,
            state="cleared", safety=True,
        )  # fmt: skip
        a_session(connection, "26112300418")
        this_hour_ms = NOW_MS - NOW_MS % HOUR_MS
        for n in range(1, 40):
            if n != 5:
                an_hour(connection, GATE, this_hour_ms - n * HOUR_MS, 118, granted=30.0 + n)
    begun = NOW_MS - DAY_MS
    minutes = [n for n in range(1440) if not 600 <= n < 660]
    series = cast.telemetry.series
    series["port", PORT, "power_w"] = [
        Sample(begun + n * MINUTE_MS, 180 + 20 * math.sin(n / 90) + 5 * math.sin(n))
        for n in minutes
    ]
    series["port", PORT, "port_temp_c"] = [
        Sample(begun + n * MINUTE_MS, 40 + n * 0.035) for n in minutes
    ]
    series["port", PORT, "port_status"] = [
        Sample(begun + n * MINUTE_MS, "in_use" if n // 200 % 2 else HOSTILE) for n in minutes
    ]
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


def reader(page: Page, of: str = "power_w") -> Locator:
    """What lies over a chart, scrolled to where the mouse reaches it."""
    found = page.locator(f'.plots[data-chart="{of}"] .reader').first
    expect(found).to_be_visible()
    found.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
    return found


def point(page: Page, at: Locator, x: float, y: float = 0.5) -> None:
    box = at.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=3)


def drag(page: Page, at: Locator, begin: float, end: float) -> None:
    point(page, at, begin)
    page.mouse.down()
    point(page, at, end)
    page.mouse.up()


def told(at: Locator) -> list[str]:
    """What is told at the cursor, for the eye; the same as for a screen reader."""
    reading = "[...one.parentElement.querySelectorAll('.reading > *')].map((l) => l.textContent)"
    # an overview that was just opened puts its parts in anew
    lines: list[str] = eventually(lambda: at.evaluate(f"(one) => one.parentElement && {reading}"))
    assert at.get_attribute("aria-valuetext") == "; ".join(lines)
    return lines


def asked(page: Page) -> tuple[datetime, datetime]:
    """From when to when the address is."""
    query = parse_qs(urlsplit(page.url).query)
    begin, end = (datetime.fromisoformat(query[name][0]) for name in ("from", "to"))
    return begin, end


def zoomed(page: Page) -> None:
    page.wait_for_url(lambda url: "from=" in url)


def elsewhere(page: Page, was: str) -> None:
    page.wait_for_url(lambda url: url != was)


def drawn(page: Page, colour: str) -> bool:
    """Whether there is a line of it in the first chart."""
    return int(page.evaluate(PIXELS, colour)) > 100


def unzoomed(page: Page) -> None:
    page.wait_for_url(lambda url: "from=" not in url)


def of_api(cast: Cast, line: str, every_s: int) -> dict[str, Any]:
    """The bucket that the API has for the time that is told: 11-23 12:20 – 12:30."""
    day, clock = re.fullmatch(r"(\d\d-\d\d) (\d\d:\d\d(?::\d\d)?) – .*", line).groups()  # type: ignore[union-attr]
    local = datetime.fromisoformat(f"2026-{day}T{clock}").replace(tzinfo=DISTRICT_ZONE)
    begin = local.astimezone(UTC)
    answer = cast.client("operator").get(
        f"/v1/devices/{PORT}/telemetry",
        params={
            "quantity": "power_w",
            "from": begin.isoformat(),
            "to": (begin + timedelta(seconds=every_s)).isoformat(),
            "every": f"{every_s}s",
        },
    )
    (bucket,) = answer.json()["points"]
    assert isinstance(bucket, dict)
    return bucket


def test_the_pointer_tells_what_the_api_has(browser: Browser, site: tuple[Cast, str]) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto(ONE)
        chart = reader(page)
        for x in (0.2, 0.5, 0.81):
            point(page, chart, x)
            when, mean, ends, count = told(chart)
            bucket = of_api(cast, when, 600)
            assert mean == f"平均 {bucket['mean']:.4g} W"
            assert ends == f"最小 {bucket['min']:.4g} W，最大 {bucket['max']:.4g} W"
            assert count.startswith(f"{bucket['count']} 条读数 · 数据完整 100.0 %")
        expect(page.locator(".reading")).to_be_visible()
        page.mouse.move(2, 2)
        expect(page.locator(".reading")).to_be_hidden()


def test_the_keyboard_tells_each_point_and_gaps_as_gaps(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site, locale="en-GB") as page:
        page.goto(ONE)
        chart = reader(page)
        page.locator('[data-tool="reset"]').focus()
        page.keyboard.press("Tab")
        expect(chart).to_be_focused()
        last = told(chart)
        assert last[0].startswith("11-23 19:40")
        page.keyboard.press("ArrowLeft")
        assert told(chart)[0] == "11-23 19:30 – 19:40"
        page.keyboard.press("Home")
        assert told(chart)[0] == "11-22 19:40 – 19:50"
        assert told(chart)[3] == "8 readings · 80.0 % of the data"  # the day begins at 19:42
        seen = []
        for _ in range(62):
            page.keyboard.press("ArrowRight")
            seen.append(told(chart))
        gaps = [lines for lines in seen if len(lines) == 2]
        assert gaps == [["11-23 05:50 – 06:40", "No readings: unknown, not 0"]]
        page.keyboard.press("End")
        assert told(chart) == last
        page.keyboard.press("Escape")
        expect(page.locator(".reading")).to_be_hidden()


def test_a_drag_zooms_in_a_double_click_out_and_the_history_goes_back(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto(ONE)
        page.evaluate("window.stays = true")
        drag(page, reader(page), 0.5, 0.75)
        zoomed(page)
        begin, end = asked(page)
        assert 5.5 < (end - begin).total_seconds() / 3600 < 6.7  # a quarter of a day
        chart = reader(page)
        point(page, chart, 0.6)
        when, mean = told(chart)[:2]
        assert mean == f"平均 {of_api(cast, when, 120)['mean']:.4g} W"  # finer than before
        page.go_back()
        unzoomed(page)
        expect(page.locator("#readings .choice [aria-current]")).to_have_text("24 小时")
        page.go_forward()
        expect(page.locator("#readings .choice [aria-current]")).to_have_count(0)
        box = reader(page).bounding_box()
        assert box is not None
        was = page.url
        page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        elsewhere(page, was)
        wider = asked(page)
        assert (wider[1] - wider[0]) / (end - begin) == pytest.approx(2, abs=0.02)
        assert wider[0] < begin
        assert page.evaluate("window.stays")


def test_keys_zoom_move_and_reset_and_the_cursor_stays_where_it_was(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.goto(f"{ONE}&show=week")
        chart = reader(page)
        chart.focus()
        for key in ("End", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
        day = told(chart)[0][:8]
        page.keyboard.press("+")
        zoomed(page)
        expect(chart).to_be_focused()
        assert told(chart)[0].startswith(day)
        begin, end = asked(page)
        assert (end - begin).total_seconds() == pytest.approx(3.5 * 86_400, rel=0.02)
        was = page.url
        page.keyboard.press("Shift+ArrowLeft")
        elsewhere(page, was)
        moved = asked(page)
        assert (begin - moved[0]) / (end - begin) == pytest.approx(0.25, abs=0.02)
        assert moved[1] - moved[0] == pytest.approx(end - begin, abs=timedelta(hours=1))
        expect(chart).to_be_focused()
        page.keyboard.press("Escape")
        unzoomed(page)
        expect(page.locator("#readings .choice [aria-current]")).to_have_text("7 天")


def test_buttons_zoom_and_move_and_keep_the_focus(browser: Browser, site: tuple[Cast, str]) -> None:
    with somebody(browser, site) as page:
        page.goto(ONE)
        reader(page)
        page.get_by_role("button", name="放大").click()
        zoomed(page)
        begin, end = asked(page)
        assert (end - begin).total_seconds() == pytest.approx(43_200, rel=0.02)
        expect(page.get_by_role("button", name="放大")).to_be_focused()
        was = page.url
        page.get_by_role("button", name="往前移").click()
        elsewhere(page, was)
        assert asked(page)[0] < begin
        page.get_by_role("button", name="还原").click()
        unzoomed(page)
        page.get_by_role("button", name="往后移").click()  # nothing is known of what comes
        assert "from" not in page.url


def test_with_shift_the_range_moves_with_the_pointer(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.goto(ONE)
        chart = reader(page)
        page.keyboard.down("Shift")
        drag(page, chart, 0.4, 0.7)
        page.keyboard.up("Shift")
        zoomed(page)
        begin, end = asked(page)
        assert 23 < (end - begin).total_seconds() / 3600 < 25
        assert end < datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(hours=6)


def test_a_series_is_switched_off_and_stays_so_and_colours_follow_the_scheme(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site, color_scheme="light") as page:
        page.goto(ONE)
        reader(page)
        assert drawn(page, LIGHT_LINE)
        page.emulate_media(color_scheme="dark")
        eventually(lambda: drawn(page, DARK_LINE))
        assert not drawn(page, LIGHT_LINE)
        page.get_by_role("checkbox", name="平均").uncheck()
        eventually(lambda: not drawn(page, DARK_LINE))
        page.get_by_role("button", name="放大").click()
        zoomed(page)
        expect(page.get_by_role("checkbox", name="平均")).not_to_be_checked()
        reader(page)
        assert not drawn(page, DARK_LINE)
        page.get_by_role("checkbox", name="平均").check()
        eventually(lambda: drawn(page, DARK_LINE))


def test_a_session_and_a_fault_are_zoomed_in_their_place(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        for address, of in ((SESSION, "power_w"), (FAULT, "port_temp_c")):
            page.goto(address)
            page.evaluate("window.stays = true")
            chart = reader(page, of)
            point(page, chart, 0.5)
            assert told(chart)[1].startswith("平均 ")
            drag(page, chart, 0.4, 0.6)
            zoomed(page)
            fresh = reader(page, of)
            point(page, fresh, 0.5)
            assert told(fresh)[1].startswith("平均 ")
            assert page.evaluate("window.stays")
            fresh.focus()
            page.keyboard.press("Escape")
            unzoomed(page)
            assert page.evaluate("window.stays")


def test_words_are_told_as_text(browser: Browser, site: tuple[Cast, str]) -> None:
    with somebody(browser, site) as page:
        page.goto(f"/devices/{PORT}?quantity=port_status")
        chart = reader(page, "port_status")
        chart.focus()
        page.keyboard.press("Home")
        assert told(chart)[1] == HOSTILE
        page.keyboard.press("End")
        assert told(chart)[1] == "使用中"


def test_bars_are_told_by_pointer_and_keyboard_with_how_sure_they_are(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.goto(f"{COMPOUND}?bucket=hour")
        chart = reader(page, "bars")
        point(page, chart, 0.11 + 0.87 * 16.5 / 24)  # 16:00, three hours ago
        assert told(chart) == [
            "11-23 16:00 – 17:00", "33 次", "暂计 · 数据完整 98.3 %", "前一天 57 次",
        ]  # fmt: skip
        chart.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        assert told(chart)[:2] == ["11-23 14:00 – 15:00", "无数据，未知"]
        page.goto("/")
        chart = reader(page, "bars")
        chart.focus()
        page.keyboard.press("End")
        assert told(chart)[0] == "11-23 19:00 – 20:00"


@pytest.mark.parametrize("way", ["replaceWith", "innerHTML"])
def test_a_part_that_is_put_in_anew_goes_on_being_read(
    browser: Browser, site: tuple[Cast, str], way: str
) -> None:
    """However live updates do it: the cursor and the focus are where they were."""
    with somebody(browser, site) as page:
        page.goto(SESSION)
        chart = reader(page)
        chart.focus()
        page.keyboard.press("Home")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        was = told(chart)
        page.evaluate(
            """async (way) => {
              const html = await (await fetch(location.href)).text();
              const page = new DOMParser().parseFromString(html, 'text/html');
              const fresh = page.querySelector('[data-live="curve"]');
              const old = document.querySelector('[data-live="curve"]');
              if (way === 'replaceWith') old.replaceWith(document.adoptNode(fresh));
              else old.innerHTML = fresh.innerHTML;
              window.swapped = true;
            }""",
            way,
        )
        assert page.evaluate("window.swapped")
        assert page.locator(".reader").count() == 1
        assert told(reader(page)) == was
        expect(chart).to_be_focused()
        page.keyboard.press("ArrowRight")
        assert told(reader(page)) != was


def test_news_come_while_a_curve_is_read_and_do_not_disturb(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with cast.write() as connection:
        a_session(
            connection, "open", order="7", state="open", ended_at_ms=None, stop_reason=None,
            ended_by=None,
        )  # fmt: skip
    with somebody(browser, site) as page:
        page.goto("/sessions/open")
        expect(page.locator("#liveness")).to_have_text("实时更新")
        chart = reader(page)
        chart.focus()
        page.keyboard.press("Home")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        was = told(chart)
        cast.telemetry.series["port", PORT, "power_w"].append(Sample(NOW_MS - 1, 77.0))
        with cast.write() as connection:
            a_fault(connection, "news", device=PORT, kind="port", code="PORT_FUSE", severity="P3")
        expect(page.locator("#power figcaption")).to_contain_text("最后 77 W")
        assert page.locator(".reader").count() == 1
        assert told(reader(page)) == was
        expect(chart).to_be_focused()
        page.keyboard.press("End")
        assert told(reader(page))[1] == "平均 77 W"


def test_charts_stand_where_the_servers_drawing_stood(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        boxes = """[...document.querySelectorAll('.plots')].map((one) => {
          const [box, around] = [one, one.closest('section')].map((o) => o.getBoundingClientRect());
          return [box.left, box.top - around.top, box.width, box.height, around.height];
        })"""
        for width in (360, 1000, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            for address in (f"/devices/{PORT}", SESSION, FAULT, USAGE):
                page.goto(address)
                expect(page.locator(".reader").first).to_be_attached()
                expect(page.locator("[data-lazy]")).to_have_count(0)
                drawn = page.evaluate(boxes)
                page.route(re.compile(r"/assets/(charts|curves)\.js"), lambda route: route.abort())
                page.goto(address)
                expect(page.locator("[data-lazy]")).to_have_count(0)
                assert page.locator(".reader").count() == 0
                assert page.evaluate(boxes) == drawn, (width, address)
                page.unroute(re.compile(r"/assets/(charts|curves)\.js"))


def test_a_window_that_becomes_narrow_is_not_held_open_by_a_chart(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.goto(SESSION)
        reader(page)
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        drawn_in = "document.querySelector('.reader canvas').getBoundingClientRect().width"
        eventually(lambda: page.evaluate(drawn_in) <= 330)


def test_without_scripts_the_drawing_is_there_and_series_are_switched_off_too(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.route(re.compile(r"/assets/.*\.js"), lambda route: route.abort())
        page.goto(ONE)
        plot = page.locator(".full-plot")
        expect(plot).to_be_visible()
        for name, of in (("平均", ".mean"), ("最小到最大", ".band")):
            expect(plot.locator(of)).to_be_visible()
            page.get_by_role("checkbox", name=name).uncheck()
            expect(plot.locator(of)).to_be_hidden()
        expect(page.get_by_role("button", name="放大")).to_be_hidden()  # it could do nothing
        page.goto(USAGE)
        titles = page.locator("#usage .place title").all_text_contents()
        assert any(re.match(r"11-23\n[1-9]\d* 次\n暂计 · 数据完整 ", one) for one in titles), titles


def test_charts_are_read_with_a_finger_and_fit_a_phone(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    phone: dict[str, Any] = {
        "viewport": {"width": 360, "height": 800},
        "has_touch": True,
        "is_mobile": True,
    }
    with somebody(browser, site, **phone) as page:
        for address, of in ((ONE, "power_w"), (SESSION, "power_w"), (FAULT, "port_temp_c"),
                            (COMPOUND, "bars")):  # fmt: skip
            page.goto(address)
            chart = reader(page, of)
            box = chart.bounding_box()
            assert box is not None
            seen = []
            for x in (0.2, 0.75):
                page.touchscreen.tap(box["x"] + box["width"] * x, box["y"] + box["height"] / 2)
                seen.append(told(chart))
                edges = page.locator(".reading:visible").evaluate(
                    "(one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().right]"
                )
                assert 0 <= edges[0] < edges[1] <= 360
            assert seen[0][0] != seen[1][0]
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            small = page.evaluate(
                "[...document.querySelectorAll('.chart-tools .button, .series label')]"
                ".filter((one) => one.offsetHeight < 44).length"
            )
            assert small == 0


def test_axe_finds_nothing_serious_in_what_is_told(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        for address, of in ((ONE, "power_w"), (FAULT, "port_temp_c"), (COMPOUND, "bars")):
            page.goto(address)
            chart = reader(page, of)
            chart.focus()
            page.keyboard.press("End")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found = Axe().run(page).response["violations"]
                grave = [one for one in found if one["impact"] in ("serious", "critical")]
                assert grave == [], (address, scheme)
