"""Did we lose anything: the page of the messages in a browser, and another try by button."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, update

from devices.pace import STRETCH_MS, Pace
from devices.store import tokens
from devices.store.pace import keep_pace
from devices.store.schema import cursors, quarantine
from tests.api.cast import NOW_MS, Cast, a_cast, a_refusal
from tests.api.served import served
from tests.api.test_accounting import with_accounts
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import watched

HOSTILE = '{"name":"<img src=https://elsewhere.example/x onerror=alert(1)>"}'

pytestmark = pytest.mark.long


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    with_accounts(cast)
    begins = NOW_MS - NOW_MS % STRETCH_MS
    with cast.write() as connection:
        paces = [Pace(begins - n * STRETCH_MS, 300_000, 3000, 400, 900) for n in range(200, -1, -1)]
        keep_pace(connection, paces, NOW_MS)
        for jseq in (1, 2):
            a_refusal(connection, jseq, reason="unknown_device", payload=HOSTILE.encode())
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


@pytest.fixture
def page(playwright_browser: Browser, site: tuple[Cast, str]) -> Iterator[Page]:
    """Li Min's, on a phone."""
    cast, url = site
    with cast.write() as connection:
        who = tokens.identify(connection, cast.tokens["operator"], NOW_MS)
        assert who is not None
        session = tokens.open_session(connection, who.token_id, NOW_MS)
    made = watched(playwright_browser, url, "zh", session)
    made.page.set_viewport_size({"width": 360, "height": 800})
    yield made.page
    made.page.context.close()


def is_well(page: Page) -> None:
    """Nothing that was sent ran, nothing is wider than a phone."""
    assert page.evaluate("window.violations") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_what_was_refused_is_looked_at_and_judged_again_by_button(
    page: Page, site: tuple[Cast, str]
) -> None:
    cast, url = site
    page.goto(f"{url}/ingestion")
    expect(page.locator(".balance")).to_contain_text("差额，一条不少")
    expect(page.locator(".paces .narrow-plot .missing")).to_have_count(3)
    expect(page.locator(".paces .reader")).to_have_count(3)
    rate, lag, _ = page.locator(".paces .reader").all()
    rate.focus()
    page.keyboard.press("End")
    expect(rate).to_have_attribute("aria-valuetext", re.compile(r"^11-23 19:40 – 19:45; 10 条/秒$"))
    lag.focus()
    page.keyboard.press("Home")
    expect(lag).to_have_attribute("aria-valuetext", re.compile(r"0\.4 秒$|无读数"))
    is_well(page)
    page.get_by_role("link", name="试重放…").first.click()
    expect(page.get_by_text("将再判 2 条")).to_be_visible()
    page.get_by_label("是，再判一次").check()
    page.get_by_role("button", name="重放 2 条").click()
    expect(page.get_by_text("已判 0 / 2")).to_be_visible()
    with cast.write() as connection:  # what the judge does at its next border
        connection.execute(update(quarantine).values(outcome="stored", replayed_at_ms=NOW_MS))
        connection.execute(update(cursors).values(revision=1_000))
    expect(page.get_by_text("2 条中：存入 2，重复 0，仍被隔离 0")).to_be_visible()
    page.get_by_role("link", name="回到隔离的消息").click()
    page.get_by_role("link", name="查看").first.click()
    expect(page.locator("pre")).to_have_text(HOSTILE)
    is_well(page)
