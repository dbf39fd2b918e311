"""Thresholds and the maintenance calendar in a browser: made, looked at, taken back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine

from devices.store import tokens
from devices.store.database import reading
from devices.store.rule_sets import newest
from tests.api.cast import NOW_MS, XIANGYUNLI, Cast, a_cast
from tests.api.served import served
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import Watched, watched

pytestmark = pytest.mark.long


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


@pytest.fixture
def seen(playwright_browser: Browser, site: tuple[Cast, str]) -> Iterator[Watched]:
    """Li Min's, on a phone."""
    cast, url = site
    with cast.write() as connection:
        who = tokens.identify(connection, cast.tokens["operator"], NOW_MS)
        assert who is not None
        session = tokens.open_session(connection, who.token_id, NOW_MS)
    made = watched(playwright_browser, url, "zh", session)
    made.page.set_viewport_size({"width": 360, "height": 800})
    yield made
    made.page.context.close()


def is_well(seen: Watched) -> None:
    assert seen.wrong() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_threshold_is_drafted_tried_put_in_force_and_taken_back(
    seen: Watched, site: tuple[Cast, str]
) -> None:
    cast, _ = site
    page = seen.page
    seen.go("/rules?find=SHED_OVERTEMP")
    page.get_by_role("link", name="机箱过温").click()
    page.get_by_label("一个小区").select_option(XIANGYUNLI)
    page.get_by_role("button", name="查看").click()
    page.get_by_label("报警限", exact=True).first.fill("≥ 75")
    page.get_by_role("button", name="看看会改什么").click()
    expect(page.locator(".told-list")).to_have_text(
        "祥云里：机箱过温 主板温度 ≥ 70 °C · 报警限：这里不改 → ≥ 75 °C"
    )
    is_well(seen)
    page.get_by_role("button", name="试算最近 48 小时").click()
    expect(page.get_by_text("正在试算：0 %")).to_be_visible()
    run = cast.dry_runs.run
    assert run is not None
    assert run.compound == XIANGYUNLI
    page.get_by_label("是，改成这样").check()
    page.get_by_role("button", name="生效").click()
    expect(page.get_by_role("heading", name="第 1 版")).to_be_visible()
    with reading(cast.engine) as connection:
        assert 'raises = ">=75"' in newest(connection).body
    is_well(seen)
    page.get_by_label("是，退回").check()
    page.get_by_role("button", name="全部按故障目录").click()
    expect(page.get_by_role("heading", name="第 2 版")).to_be_visible()
    with reading(cast.engine) as connection:
        assert newest(connection).body == ""


def test_a_window_is_made_from_the_calendar_ended_and_goes_on(seen: Watched) -> None:
    page = seen.page
    seen.go("/maintenance/calendar?view=week")
    page.get_by_role("link", name="11-25 新建").click()
    page.locator("main").get_by_label("小区").select_option(XIANGYUNLI)
    page.get_by_label("类型").select_option("gate")
    page.get_by_role("button", name="列出设备").click()
    page.get_by_label("东门").check()
    page.get_by_role("textbox", name="原因").fill("更换门锁 <b>")
    is_well(seen)
    page.get_by_role("button", name="建立").click()
    expect(page.get_by_role("heading", name="维护 祥云里 · 智能门禁 · 东门")).to_be_visible()
    expect(page.get_by_text("更换门锁 <b>")).to_be_visible()
    page.get_by_role("button", name="取消").click()
    page.get_by_role("button", name="撤销：继续到原定结束").click()
    expect(page.get_by_text("未开始 · 11-25 08:00:00 – 11-25 18:00:00")).to_be_visible()
    seen.go("/maintenance/calendar?view=week")
    expect(page.locator(".window")).to_have_count(1)
    is_well(seen)
