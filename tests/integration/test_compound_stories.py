"""What people look for on the overview and on the page of a compound, in Chromium: the worst place
and why it is so, and how much was charged last week.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.conftest import Site
from tests.playwright_browser import Watched, watched

pytestmark = pytest.mark.long


@pytest.fixture
def operator(playwright_browser: Browser, evening_site: Site) -> Iterator[Watched]:
    made = evening_site.made
    seen = watched(playwright_browser, evening_site.url, "zh", made.session("operator"))
    yield seen
    assert seen.wrong() == []
    seen.page.context.close()


def test_an_operator_finds_the_worst_compound_and_its_root_cause(operator: Watched) -> None:
    page = operator.page
    operator.go("/")
    page.get_by_role("link", name="故障优先").click()
    worst = page.locator(".tile").first
    severity = worst.get_attribute("data-severity")
    assert severity in ("p1", "p2")
    cause = worst.locator("b").text_content()  # written on the tile, without a click
    assert cause
    assert cause in page.locator(".trouble-what").all_text_contents()
    worst.locator("a").click()
    first = page.locator(".open-faults .trouble").first
    expect(first.locator(".trouble-what")).to_have_text(cause)
    expect(page.locator(f".wide-plan [data-look={severity}]").first).to_be_visible()
    first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(cause)


def test_last_weeks_charging_of_a_compound_is_two_clicks_away(
    operator: Watched, evening_site: Site
) -> None:
    page = operator.page
    operator.go("/")
    page.locator(".tile", has_text="祥云里").locator("a").click()
    page.locator("#usage").get_by_role("link", name="上周").click()
    expect(page.locator("#usage .choice [aria-current]")).to_have_text("上周")
    chart = page.locator("#usage .chart", has_text="充电量，每天")
    shown = (chart.locator("figcaption b").text_content() or "").replace(",", "")
    since, until = re.findall(r"(?:since|until)=([0-9-]+)", page.url)
    told = evening_site.made.client("operator").get(
        f"/v1/compounds/xiangyunli/usage?from={since}&to={until}T23:59:59&bucket=day"
    )
    charged = told.json()["charging"]
    if charged["coverage"]:
        assert float(shown) == pytest.approx(charged["energy_kwh"], abs=0.05)
    else:
        assert shown == "—"  # nothing came in then: unknown, and not 0
    assert page.locator("#usage .chart .missing").count() > 0  # what is not known is hatched


def test_another_range_is_picked_without_leaving_the_page_and_taken_along(
    operator: Watched,
) -> None:
    page = operator.page
    operator.go("/compounds/xiangyunli")
    page.evaluate("window.stays = true")
    page.get_by_text("自选时间").click()
    last = page.locator("#usage [name=until]").input_value()
    page.locator("#usage [name=since]").fill(last)
    page.get_by_role("button", name="查看").click()
    expect(page.locator("#usage .note-plain").first).to_contain_text(last)
    assert page.evaluate("window.stays")
    with page.expect_download() as taken:
        page.locator("a[href*='/usage.csv']").click()
    assert taken.value.suggested_filename.startswith("usage-xiangyunli-")


def test_a_plan_is_walked_by_keyboard_and_leads_to_places_and_devices(operator: Watched) -> None:
    page = operator.page
    page.set_viewport_size({"width": 360, "height": 780})
    operator.go("/compounds/jiaogong-xiaoqu")
    plan = page.locator(".narrow-plan")
    expect(plan).to_be_visible()
    building = plan.locator(".building").first
    name = building.locator(".name").text_content()
    building.focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"[id='place-{name}']")).to_be_in_viewport()
    gate = plan.locator("[data-shape=gate]").first
    gate.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/jiaogong-xiaoqu-gate-*")
