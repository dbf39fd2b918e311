"""What people do with the registry, in Chromium: a file with a wrong line, mended and imported; an
unknown sender that becomes a device; a device that goes and comes back.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine

from tests.api.cast import PASSWORD, XIANGYUNLI, Cast, a_cast, a_refusal, a_user
from tests.api.served import served
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import Watched, watched

pytestmark = pytest.mark.long

HEAD = "设备编号,类型,小区,名称,楼栋\n"
HOSTILE = "<img src=https://elsewhere.example/x onerror='window.hurt=1'>"
WIDE = "document.documentElement.scrollWidth"


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    with cast.write() as connection:
        a_user(connection, "li", "operator")
        for n in (1, 2):
            a_refusal(
                connection,
                n,
                compound="unassigned",
                device=None,
                reason="unknown_device",
                topic=f"courtyard/v1/{XIANGYUNLI}/gate/gate-9/telemetry",
                payload=HOSTILE.encode(),
            )
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


@pytest.fixture
def li(playwright_browser: Browser, site: tuple[Cast, str]) -> Iterator[Watched]:
    seen = watched(playwright_browser, site[1], "zh")
    page = seen.page
    page.goto(f"{site[1]}/login")
    page.locator("[name=name]").fill("li")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="登录").first.click()
    yield seen
    assert seen.wrong() == []
    assert page.evaluate("window.hurt") is None
    page.context.close()


def test_a_file_with_a_wrong_line_is_mended_and_imported(
    li: Watched, site: tuple[Cast, str], tmp_path: Path
) -> None:
    page = li.page
    file = tmp_path / "devices.csv"
    good = f"gate-7,智能门禁,祥云里,{HOSTILE},3\n"
    file.write_text(f"{HEAD}{good}gate-8,智能门禁,祥云李,北门,3\n", "gb18030")
    li.go("/administration/imports")
    page.locator("[name=file]").set_input_files(file)
    page.get_by_role("button", name="预览").click()
    wrong = page.locator("tr[data-outcome=wrong]")
    expect(wrong).to_contain_text("第 3 行")
    expect(wrong).to_contain_text("祥云李")
    assert page.get_by_role("button", name="导入", exact=True).count() == 0

    file.write_text(f"{HEAD}{good}gate-8,智能门禁,祥云里,北门,3\n", "gb18030")
    page.locator("[name=file]").set_input_files(file)
    page.get_by_role("button", name="预览").click()
    expect(page.locator("tr[data-outcome=added]")).to_have_count(2)
    page.locator("#apply [name=sure]").check()
    page.get_by_role("button", name="导入", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("已导入")
    page.locator("tr[data-outcome=added] a", has_text="gate-8").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("北门")
    assert site[0].client("operator").get("/v1/devices/gate-8").json()["building"] == "3"

    page.go_back()
    page.locator("summary", has_text="撤销导入").click()
    page.locator("#undo [name=sure]").check()
    page.get_by_role("button", name="撤销导入").click()
    expect(page.get_by_role("status")).to_contain_text("已撤销")


def test_an_unknown_sender_is_taken_from_the_inbox(li: Watched) -> None:
    page = li.page
    li.go("/ingestion")
    page.get_by_role("link", name="未登记设备").click()
    row = page.locator("tbody tr", has_text="gate-9")
    expect(row).to_contain_text("祥云里")
    row.get_by_role("button", name="忽略").click()
    expect(page.get_by_role("status")).to_contain_text("已忽略")
    page.get_by_role("link", name="已忽略 1").click()
    page.get_by_role("button", name="取消忽略").click()
    page.get_by_role("link", name="登记 gate-9").click()
    expect(page.locator("[name=id]")).to_have_value("gate-9")
    expect(page.locator("[name=compound]")).to_have_value(XIANGYUNLI)
    page.locator("[name=name]").fill("西门")
    page.get_by_role("button", name="登记", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("已登记")
    page.get_by_role("link", name="未登记设备").click()
    expect(page.locator(".empty")).to_contain_text("没有未登记的设备在发消息")


def test_a_shed_goes_out_of_service_and_comes_back(li: Watched, site: tuple[Cast, str]) -> None:
    page = li.page
    li.go("/administration/devices")
    page.locator("main [name=q]").fill("1号棚")
    page.locator("[name=kind]").select_option("shed")
    page.get_by_role("button", name="查找").click()
    page.get_by_role("link", name="1号棚").click()
    page.locator("form[action$=retire] [name=sure]").check()
    page.get_by_role("button", name="停用设备").click()
    expect(page.get_by_role("status").first).to_contain_text("已停用")
    shed = site[0].client("operator").get(f"/v1/devices/{XIANGYUNLI}-shed-1-p01").json()
    assert shed["decommissioned_at"] is not None
    page.get_by_role("button", name="恢复使用").click()
    expect(page.get_by_role("status")).to_contain_text("已恢复使用")


def test_no_page_of_the_registry_is_wider_than_a_phone(li: Watched, tmp_path: Path) -> None:
    page = li.page
    page.set_viewport_size({"width": 360, "height": 780})
    file = tmp_path / "devices.csv"
    file.write_text(f"{HEAD}{'gate-7' * 10},gate,祥云里,{'很长的名字' * 20},3\nx,y,z,,\n")
    li.go("/administration/imports")
    page.locator("[name=file]").set_input_files(file)
    page.get_by_role("button", name="预览").click()
    page.wait_for_url("**/administration/imports/*")
    preview = page.url.removeprefix(li.url)
    for path in (
        preview,
        "/administration/devices",
        f"/administration/devices/{XIANGYUNLI}-shed-1",
        "/administration/new-device",
        "/administration/compounds",
        f"/administration/compounds/{XIANGYUNLI}",
        "/administration/firms",
        "/administration/imports",
        "/administration/unknown",
    ):
        li.go(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert page.evaluate(WIDE) <= 360, path
        assert li.wrong() == [], path
