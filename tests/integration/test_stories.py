"""What people do with the console, in Chromium: from the worst fault to who was told of it, a new
robot, a firm at another's door, and names that are programs.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect

from devices.registry import Name, Registry
from devices.store import registry
from devices.store.database import writing
from tests.api.cast import PASSWORD
from tests.evening import ROBOT_SECRET
from tests.integration.conftest import Site
from tests.playwright_browser import Watched, watched

pytestmark = pytest.mark.long

HOSTILE = (
    "<img src=https://elsewhere.example/x onerror='window.hurt=1'>",
    '"><script>window.hurt = 2</script>',
    "{{ 7 * 7 }}</title><svg onload=window.hurt=3>",
)


def desk(browser: Browser, site: Site, who: str, language: str = "zh") -> Watched:
    """A page of somebody who has logged in. The tour stands there: they are new."""
    return watched(browser, site.url, language, site.made.session(who))


@pytest.fixture
def operator(playwright_browser: Browser, evening_site: Site) -> Iterator[Watched]:
    seen = desk(playwright_browser, evening_site, "operator")
    yield seen
    assert seen.wrong() == []
    seen.page.context.close()


def test_an_operator_sees_who_was_told_of_the_worst_fault_and_what_was_answered(
    operator: Watched,
) -> None:
    page = operator.page
    operator.go("/")
    page.locator(".trouble").first.click()
    receipts = page.locator(".receipts li", has_text="区值班群")
    expect(receipts.first).to_contain_text("已收下")
    expect(page.get_by_text("不说明有人看见")).to_be_visible()
    operator.go("/alerts/deliveries")
    row = page.locator("tbody tr", has_text="区值班群").first
    expect(row).to_contain_text("已收下")


def test_an_operator_adds_a_robot_of_dingtalk_and_sends_it_a_test(
    operator: Watched, evening_site: Site
) -> None:
    page, robots = operator.page, evening_site.made.robots
    operator.go("/alerts")
    page.get_by_role("link", name="钉钉").first.click()
    page.locator("[name=name]").fill("维修班")
    page.locator("[name=url]").fill(evening_site.made.new_robot)
    page.locator("[name=secret]").fill(ROBOT_SECRET)
    page.get_by_role("button", name="建立").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("维修班")
    before = len(robots.messages)
    page.get_by_role("button", name="发测试").click()
    expect(page.get_by_role("status")).to_contain_text("测试已收下")
    assert len(robots.messages) == before + 1
    assert evening_site.made.new_robot not in page.content()
    assert ROBOT_SECRET not in page.content()


def test_a_firm_sees_its_own_compounds_and_is_refused_another_firms_page(
    playwright_browser: Browser, evening_site: Site
) -> None:
    seen = watched(playwright_browser, evening_site.url, "zh")
    page = seen.page
    page.goto(f"{evening_site.url}/compounds/jiaogong-xiaoqu")
    page.locator("[name=name]").fill("wang-jianguo")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="登录").first.click()
    refused = page.goto(f"{evening_site.url}/compounds/jiaogong-xiaoqu")
    assert refused is not None
    assert refused.status == 404
    assert "教工小区" not in page.content()
    page.get_by_role("link", name=re.compile("楼院")).first.click()
    expect(page.locator(".board")).to_contain_text("祥云里")
    assert "教工小区" not in page.content()
    assert page.get_by_role("link", name="用户").count() == 0
    page.context.close()


def test_the_tour_is_walked_by_keyboard_and_does_not_come_back(operator: Watched) -> None:
    page = operator.page
    operator.go("/")
    expect(page.locator("[data-tour=step]")).to_have_text("第 1 步，共 3 步")
    page.locator("[data-tour=next]").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("[data-tour=step]")).to_have_text("第 3 步，共 3 步")
    expect(page.locator("[data-tour=back]")).to_be_focused()
    page.get_by_role("button", name="知道了").press("Enter")
    expect(page.locator(".tour")).to_have_count(0)
    operator.go("/")
    expect(page.locator(".tour")).to_have_count(0)


def test_on_a_phone_the_menu_leads_to_what_the_bar_has_no_room_for(operator: Watched) -> None:
    page = operator.page
    page.set_viewport_size({"width": 360, "height": 780})
    operator.go("/")
    for word, path in (("数据", "/ingestion"), ("用户", "/users"), ("审计", "/audit")):
        page.get_by_text("更多").click()
        page.locator(".menu-list").get_by_text(word).first.click()
        page.wait_for_url(f"**{path}")
    page.get_by_text("更多").click()
    page.keyboard.press("Escape")
    expect(page.locator(".menu-list")).to_be_hidden()
    expect(page.locator(".menu summary")).to_be_focused()


@pytest.fixture
def hostile(evening_site: Site) -> tuple[str, str]:
    """A device and its compound are called like programs, and so a comment; (device, fault)."""
    made = evening_site.made
    operator = made.client("operator")
    faults = operator.get("/v1/faults?compound=jinxiang-huayuan&state=open").json()["items"]
    fault = next(one for one in faults if one["code"] == "SHED_OFFLINE")
    answer = operator.post(f"/v1/faults/{fault['id']}/comment", json={"note": HOSTILE[0]})
    assert answer.status_code == 200
    with writing(made.engine) as connection:
        known = registry.load(connection)
        shed = replace(known.devices[fault["device"]], name=HOSTILE[1])
        place = replace(known.compounds["jinxiang-huayuan"], name=Name(HOSTILE[2], HOSTILE[2]))
        changed = Registry(
            known.firms.values(),
            {**known.compounds, place.id: place}.values(),
            {**known.devices, shed.id: shed}.values(),
        )
        registry.save(connection, changed, made.now_ms)
    made.app.state.parts.registry.look_again()
    made.app.state.overview.look_again()
    return shed.id, fault["id"]


def test_names_comments_and_messages_that_are_programs_are_text(
    playwright_browser: Browser, evening_site: Site, hostile: tuple[str, str]
) -> None:
    device, fault = hostile
    seen = desk(playwright_browser, evening_site, "operator")
    for path, shown in (
        ("/", HOSTILE[2]),
        ("/faults", HOSTILE[1]),
        (f"/faults/{fault}", HOSTILE[0]),
        ("/compounds/jinxiang-huayuan", HOSTILE[1]),
        (f"/devices/{device}", HOSTILE[1]),
        ("/sheds", HOSTILE[1]),
        ("/ingestion", "<script>window.hurt = true</script>"),
        ("/charging?compound=jinxiang-huayuan", HOSTILE[2]),
    ):
        seen.go(path)
        assert shown in seen.page.locator("main").text_content(), path  # type: ignore[operator]
        assert seen.page.evaluate("window.hurt") is None, path
        assert seen.wrong() == [], path
    seen.page.context.close()
