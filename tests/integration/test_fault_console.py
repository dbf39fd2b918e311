"""Working with faults in a real browser: by keyboard, several at once, nothing moves unasked."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import Engine, select, update

from devices.store.database import reading
from devices.store.schema import compounds, faults
from devices.telemetry import Sample
from tests import axe
from tests.api.cast import (
    GATE,
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_cast,
    a_delivery,
    a_fault,
    a_fault_event,
    a_state,
    a_target,
)
from tests.api.served import served
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import WATCH

pytestmark = pytest.mark.long

HOSTILE = '<img src="https://elsewhere.example/x" onerror="window.hurt = true">'
WITHIN_MS = 2_000  # news are seen within it
PAGES = (
    "/faults", "/faults?severity=P3", "/faults?show=all", "/faults?show=suspected", "/faults/hot",
    "/faults/off", "/faults/guess",
)  # fmt: skip


@pytest.fixture
def browser(playwright_browser: Browser) -> Browser:
    return playwright_browser


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    since_ms = NOW_MS - 7 * MINUTE_MS
    with cast.write() as connection:
        a_state(connection, PORT, "online", latest={
            "port_temp_c": (90.4, NOW_MS - 4 * MINUTE_MS), "power_w": (196.0, NOW_MS),
        })  # fmt: skip
        a_fault(
            connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P1",
            safety=True, since_ms=since_ms, opened_at_ms=NOW_MS - 219_000, rank=5000.0,
            evidence={"port_temp_c": 90.4, "note": HOSTILE},
        )  # fmt: skip
        a_fault(connection, "off", device=STRANGE_GATE, compound=LIANXIN, severity="P2", rank=400.0)
        a_fault(connection, "held", code="GATE_HELD_OPEN", subject="a", rank=300.0)
        a_fault(connection, "tamper", code="GATE_TAMPER", subject="b", severity="P2", rank=200.0)
        a_fault(connection, "child", code="GATE_MAINS_LOST", subject="c", suppressed_by="off")
        a_fault(connection, "guess", code="GATE_NO_PASSAGE", subject="d", suspected=True)
        a_fault_event(connection, "off", reason="commented", note=HOSTILE, actor=HOSTILE)
        a_target(connection, "robot", name=HOSTILE[:60])
        a_delivery(connection, "hot", "robot", answer="errcode 0")
        contact = {"name": "门岗", "phone": "0371-5555-0131", "role": "值守"}
        connection.execute(
            update(compounds).where(compounds.c.id == XIANGYUNLI).values(contacts=[contact])
        )
    begun = NOW_MS - HOUR_MS
    cast.telemetry.series["port", PORT, "port_temp_c"] = [
        Sample(begun + n * MINUTE_MS, 40.0 + n * 0.9) for n in range(56)
    ]
    cast.telemetry.series["port", PORT, "power_w"] = [
        Sample(begun + n * MINUTE_MS, 196 + 4 * math.sin(n)) for n in range(56)
    ]
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


@contextmanager
def somebody(
    browser: Browser, site: tuple[Cast, str], name: str = "operator", **more: object
) -> Iterator[Page]:
    """A page of somebody who is logged in; whatever goes wrong in it fails the test."""
    cast, url = site
    options = {"viewport": {"width": 1440, "height": 900}, "locale": "zh-CN", "base_url": url}
    context: BrowserContext = browser.new_context(**{**options, **more})  # type: ignore[arg-type]
    context.add_init_script(WATCH)
    wrong: list[str] = []
    asked: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/login")
    page.evaluate(
        "(token) => { const field = document.querySelector('input[name=token]');"
        " field.value = token; field.form.submit(); }",
        cast.tokens[name],
    )
    page.wait_for_url(f"{url}/")
    yield page
    assert wrong == []
    assert [one for one in asked if not one.startswith((url, "data:"))] == []
    assert page.evaluate("[window.violations, window.hurt ?? null]") == [[], None]
    context.close()


def kept(cast: Cast, fault: str, *columns: str) -> tuple[object, ...]:
    with reading(cast.engine) as connection:
        wanted = [faults.c[column] for column in columns]
        return tuple(connection.execute(select(*wanted).where(faults.c.id == fault)).one())


def at(page: Page) -> str:
    """The fault that the keys are at."""
    return str(page.evaluate("document.querySelector('.fault-row[data-cursor]').dataset.fault"))


def test_a_fault_is_acknowledged_and_handed_over(browser: Browser, site: tuple[Cast, str]) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto("/faults")
        page.keyboard.press("j")
        assert at(page) == "hot"
        page.keyboard.press("Enter")
        page.wait_for_url("**/faults/hot")
        expect(page.locator(".countdown b")).to_have_text(re.compile(r"^1:(21|20|1\d)$"))
        page.keyboard.press("a")
        ask = page.locator("#ask-acknowledge")
        expect(ask).to_be_visible()
        assert kept(cast, "hot", "state") == ("open",)  # it was only asked
        page.keyboard.press("Escape")
        expect(ask).to_be_hidden()
        page.keyboard.press("a")
        ask.locator("textarea").fill("已断电")
        ask.get_by_role("button", name="确认").click()
        expect(page.locator(".timeline")).to_contain_text("已断电")
        assert kept(cast, "hot", "state", "acknowledged_by") == ("acknowledged", "li-min")
        page.get_by_role("button", name="指派…").click()
        page.locator("#ask-assign input[name=assignee]").fill("王建国")
        page.keyboard.press("Enter")
        expect(page.locator(".figures")).to_contain_text("已指派 王建国")
        assert kept(cast, "hot", "assignee") == ("王建国",)
        assert page.locator('a[href="tel:037155550131"]').count() == 1
        expect(page.get_by_role("button", name="搁置…")).to_be_disabled()
        expect(page.locator("#why-shelve")).to_contain_text("安全类故障不能搁置")


def test_several_are_acknowledged_by_keyboard_and_who_was_faster_is_told(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody(browser, site, locale="en-GB") as page:
        page.goto("/faults")
        page.keyboard.press("a")  # nothing is picked, and the keys are nowhere
        expect(page.locator("#ask-acknowledge")).to_be_hidden()
        for key in ("j", "j", "x", "j", "x"):
            page.keyboard.press(key)
        expect(page.locator("[data-picked]")).to_have_text("2 selected")
        with cast.write() as connection:
            a_fault_event(connection, "held", was="open", becomes="acknowledged",
                          reason="acknowledged", actor="zhao-min")  # fmt: skip
            connection.execute(
                update(faults).where(faults.c.id == "held").values(state="acknowledged")
            )
        page.keyboard.press("a")
        page.keyboard.press("Enter")  # its button has the focus
        expect(page.get_by_role("alert")).to_have_text("1 acknowledged; 1 not done")
        expect(page.locator("main")).to_contain_text("Acknowledged by zhao-min 1 s ago")
        assert kept(cast, "off", "state") == ("acknowledged",)
        page.keyboard.press("Enter")  # back to the list
        page.wait_for_url("**/faults")


def test_single_keys_rest_in_fields_and_can_be_switched_off(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.goto("/faults")
        page.keyboard.press("/")
        page.keyboard.type("jaxsg东门")
        assert page.locator("input[name=text]").input_value() == "jaxsg东门"
        assert page.locator(".fault-row[data-cursor]").count() == 0
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()
        page.locator("#keys-on").uncheck()
        page.keyboard.press("j")
        assert page.locator(".fault-row[data-cursor]").count() == 0
        page.locator("#keys-on").check()
        page.keyboard.press("g")
        page.keyboard.press("c")
        page.wait_for_url("**/sheds")


def test_a_fault_is_shelved_with_a_reason_and_a_safety_fault_stays(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto("/faults")
        for fault in ("hot", "held"):
            page.locator(f'.pick input[value="{fault}"]').check()
        page.keyboard.press("s")
        page.locator("#ask-shelve").get_by_role("button", name="搁置", exact=True).click()
        expect(page.get_by_role("alert")).to_have_text("搁置要写理由。")
        page.locator("textarea[name=reason]").fill("等备件")
        page.locator("select[name=hours]").select_option("24")
        page.get_by_role("button", name="搁置", exact=True).click()
        expect(page.get_by_role("alert")).to_have_text("已搁置 1 处；1 处没有执行")
        expect(page.locator("main")).to_contain_text("安全类故障不能搁置")
        assert kept(cast, "held", "shelved_until_ms") == (NOW_MS + 24 * HOUR_MS,)
        assert kept(cast, "hot", "shelved_until_ms") == (None,)
        page.goto("/faults?show=shelved")
        expect(page.locator(".fault-list")).to_contain_text("搁置至 11-24 19:42:10")
        expect(page.locator(".pinned-head")).to_be_visible()  # the critical one


def test_a_filter_is_saved_and_shared_by_its_address(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.goto("/faults")
        page.locator(".filters summary").click()
        page.locator("select[name=severity]").select_option("P2")
        page.get_by_role("button", name="查看").click()
        page.wait_for_url("**/faults?severity=P2")  # nothing that was left open is in it
        page.get_by_role("button", name="保存筛选…").click()
        page.locator("#save-filter input[name=name]").fill(HOSTILE)
        page.keyboard.press("Enter")
        page.wait_for_url("**/faults?severity=P2&did=saved")
        saved = page.get_by_role("navigation", name="已存筛选").get_by_role("link")
        expect(saved).to_have_text(HOSTILE[:60].strip())  # as long as the field lets it be
        page.goto("/faults")
        saved.click()
        page.wait_for_url("**/faults?severity=P2")
        address = page.url
    with somebody(browser, site, "viewer") as page:
        page.goto(address)
        assert page.locator("#fault-table tbody[data-fault]:not([data-fault=''])").count() == 3
        assert page.get_by_role("navigation", name="已存筛选").count() == 0
    with somebody(browser, site) as page:
        page.goto(address)
        page.get_by_role("button", name="删除“").click()
        page.get_by_role("button", name="删除", exact=True).click()
        page.wait_for_url("**/faults?did=forgotten")
        assert page.get_by_role("navigation", name="已存筛选").count() == 0


@pytest.mark.parametrize(
    ("locale", "limit", "began"),
    [("zh-CN", "危急 90 °C", "开始"), ("en-GB", "Critical 90 °C", "Began")],
)
def test_the_readings_around_a_fault_are_drawn_in_both_languages(
    browser: Browser, site: tuple[Cast, str], locale: str, limit: str, began: str
) -> None:
    with somebody(browser, site, locale=locale) as page:
        page.goto("/faults/hot")
        plot = page.locator(".evidence-charts svg.wide-plot").first
        expect(plot).to_contain_text(limit)
        expect(plot).to_contain_text(began)
        assert plot.locator("path.mean").count() == 1
        assert plot.locator("rect.missing").count() == 1  # since the board is without power
        assert plot.locator("path.limit").count() == 2
        expect(page.locator("main")).to_contain_text(HOSTILE)  # as text


def test_news_are_in_the_list_within_two_seconds(browser: Browser, site: tuple[Cast, str]) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto("/faults")
        expect(page.locator("#liveness")).to_have_text("实时更新")
        page.evaluate("window.stays = true")
        with cast.write() as connection:
            a_fault(connection, "new", code="GATE_FORCED", subject="n", severity="P2", rank=450.0)
        expect(page.locator('.fault-row[data-fault="new"]')).to_be_visible(timeout=WITHIN_MS)
        expect(page.locator('[data-live="n-open"]').first).to_have_text("5")
        assert page.evaluate("window.stays")


def test_nothing_moves_while_somebody_has_picked_something(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto("/faults")
        expect(page.locator("#liveness")).to_have_text("实时更新")
        box = page.locator('.pick input[value="tamper"]')
        box.check()
        before = box.bounding_box()
        with cast.write() as connection:
            a_fault(connection, "new", code="GATE_FORCED", subject="n", severity="P2", rank=450.0)
            a_fault_event(connection, "held", was="open", becomes="closed", reason="over")
            connection.execute(update(faults).where(faults.c.id == "held").values(state="closed"))
        note = page.locator("#live-note")
        expect(note).to_contain_text("1 处新故障", timeout=WITHIN_MS)
        expect(page.locator('.fault-row[data-fault="held"]')).to_contain_text("已不在此列表")
        assert page.locator('.fault-row[data-fault="new"]').count() == 0
        assert box.bounding_box() == before
        note.get_by_role("button").click()
        expect(page.locator('.fault-row[data-fault="new"]')).to_be_visible()
        assert page.locator('.fault-row[data-fault="held"]').count() == 0
        expect(box).to_be_checked()
        expect(note).to_be_hidden()


def test_the_page_of_a_fault_follows_what_others_do_and_leaves_what_is_being_written(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto("/faults/off")
        expect(page.locator("#liveness")).to_have_text("实时更新")
        page.keyboard.press("c")
        page.locator("#ask-comment textarea").fill("正在")
        cast.client("kangqiao").post("/v1/faults/off/acknowledge", json={"note": "我去"})
        expect(page.locator(".timeline")).to_contain_text("我去", timeout=WITHIN_MS)
        assert page.locator("#ask-comment textarea").input_value() == "正在"
        page.keyboard.press("Escape")
        page.locator("#ask-comment textarea").evaluate("(field) => { field.value = ''; }")
        cast.client("kangqiao").post("/v1/faults/off/onsite")
        expect(page.get_by_role("button", name="到场…")).to_have_count(0, timeout=WITHIN_MS)


def test_a_receipt_reaches_the_page_of_its_fault_by_itself(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody(browser, site) as page:
        page.goto("/faults/off")
        expect(page.locator("#liveness")).to_have_text("实时更新")
        page.locator("#ask-comment textarea").evaluate("(field) => { window.field = field; }")
        with cast.write() as connection:
            a_delivery(connection, "off", "robot", answer="errcode 0")
        expect(page.locator(".receipts")).to_contain_text("errcode 0", timeout=WITHIN_MS)
        assert page.evaluate("window.field.isConnected")  # what has not changed was left alone


def test_readings_that_end_now_move_on_and_those_of_the_past_stay(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    with somebody(browser, site) as page:
        page.clock.install()
        at = f"/devices/{PORT}?quantity=power_w"
        day = "2026-11-23T"
        assert asks_again(page, f"{at}&from={day}09:00:00.000Z")
        assert not asks_again(page, f"{at}&from={day}09:00:00.000Z&to={day}10:00:00.000Z")
        assert not asks_again(page, at, at_work="#readings [name=from]")


def asks_again(page: Page, address: str, at_work: str = "") -> bool:
    """Whether the readings are asked for once more in the next half minute."""
    page.goto(address)
    expect(page.locator("#liveness")).to_have_text("实时更新")
    if at_work:
        page.locator(at_work).focus()
    page.evaluate(
        "() => { const ask = window.fetch; window.asked = [];"
        " window.fetch = (to, how) => { window.asked.push(String(to)); return ask(to, how); }; }"
    )
    page.clock.fast_forward(31_000)
    return bool(page.evaluate("window.asked.some((to) => to.startsWith('http'))"))


def test_without_scripts_everything_can_be_read_folded_and_done(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    with somebody_without_scripts(browser, site) as page:
        page.goto("/faults")
        child = page.locator(".child-row")
        expect(child).to_be_hidden()
        page.locator(".fold").click()
        expect(child).to_be_visible()
        page.locator('.pick input[value="held"]').check()
        page.get_by_role("button", name="指派…").click()
        field = page.locator("#ask-assign input[name=assignee]")
        field.fill("王建国")
        field.press("Enter")  # no first button of the form is meant by it
        assert kept(cast, "held", "assignee", "state") == (None, "open")
        page.locator("#ask-assign").get_by_role("button", name="指派").click()
        expect(page.locator(".done")).to_have_text("已指派 1 处")
        assert kept(cast, "held", "assignee", "state") == ("王建国", "open")


@contextmanager
def somebody_without_scripts(browser: Browser, site: tuple[Cast, str]) -> Iterator[Page]:
    with somebody(browser, site) as page:
        cookies = page.context.cookies()
    context = browser.new_context(java_script_enabled=False, locale="zh-CN", base_url=site[1])
    context.add_cookies(cookies)  # type: ignore[arg-type]  # as they were read
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    ("locale", "scheme", "width"), [("zh-CN", "light", 1440), ("en-GB", "dark", 360)]
)
def test_the_pages_hold_for_everybody_at_every_width(
    browser: Browser, site: tuple[Cast, str], locale: str, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 800}
    with somebody(browser, site, viewport=size, color_scheme=scheme, locale=locale) as page:
        for path in PAGES:
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            axe.put_into(page)
            assert axe.serious(page) + axe.faint(page) == [], path
        if width < 640:
            small = page.evaluate(
                "[...document.querySelectorAll('main a.button, main button, main select')]"
                ".filter((one) => one.offsetHeight && one.offsetHeight < 44).length"
            )
            assert small == 0


def test_a_gate_that_fell_silent_shows_its_gap(browser: Browser, site: tuple[Cast, str]) -> None:
    cast, _ = site
    with cast.write() as connection:
        a_state(connection, GATE, "offline", latest={"csq": (18, NOW_MS - 40 * MINUTE_MS)})
        a_fault(connection, "silent", since_ms=NOW_MS - 30 * MINUTE_MS)
    cast.telemetry.series["gate", GATE, "csq"] = [
        Sample(NOW_MS - n * MINUTE_MS // 2, 18 - n % 3) for n in range(120, 60, -1)
    ]
    with somebody(browser, site) as page:
        page.goto("/faults/silent")
        plot = page.locator(".evidence-charts svg.wide-plot").first
        assert plot.locator("rect.missing").count() == 1
        expect(plot).to_contain_text("开始")
