"""Pictures of every page into docs/screenshots: `make screenshots`. The same district every time.

Each page by light and by dark on a desk, and on a phone; in Chinese, the first ones in English too.
"""

import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.api.served import served
from tests.evening import Evening, evening
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import playwright_chromium, watched

INTO = Path(__file__).parents[1] / "docs" / "screenshots"
COMPOUNDS, HOURS = 14, 18
DOCUMENT = INTO.parent / "console.md"
PHONE_SHOWN = ("-phone", 110, ", phone")
DESK, PHONE = (1280, 860), (390, 844)
TALLEST = {"desk": 1200, "phone": 1400}  # px; what is below is more of the same
COLOURS = 256  # of fewer, rare ones are lost: those of severity


class Shot(NamedTuple):
    """A page and the file that shows it; english: in English too."""

    name: str
    title: str
    path: str
    english: bool = False


def shots(made: Evening) -> Iterator[Shot]:
    """Every page that has something to look at."""
    client = made.client("operator")
    faults = [
        one
        for one in client.get("/v1/faults?limit=500").json()["items"]
        if one["state"] != "closed"
    ]

    def fault(code: str) -> str:
        return str(next(one["id"] for one in faults if one["code"] == code))

    session = client.get("/v1/compounds/xiangyunli/sessions?limit=1").json()["items"][0]["id"]
    yield Shot("overview", "总览 Overview", "/", english=True)
    yield Shot("compound", "小区 A compound", "/compounds/xiangyunli", english=True)
    yield Shot("faults", "故障 Faults", "/faults", english=True)
    yield Shot("fault", "一个故障 A fault", f"/faults/{fault('SHED_SMOKE')}", english=True)
    yield Shot("root-cause", "根因 A root cause", f"/faults/{fault('GW_OFFLINE')}")
    yield Shot("device", "设备 A device", "/devices/xiangyunli-shed-1-p01")
    yield Shot("messages", "原始消息 What it sent", "/devices/xiangyunli-shed-1/messages")
    yield Shot("sheds", "充电棚 Sheds", "/sheds", english=True)
    yield Shot("sessions", "充电记录 Sessions", "/charging?compound=xiangyunli")
    yield Shot("session", "一次充电 A session", f"/sessions/{session}")
    yield Shot("ingestion", "数据 Ingestion", "/ingestion", english=True)
    yield Shot("alerts", "告警目标 Targets", "/alerts")
    yield Shot("target", "一个目标 A target", "/alerts/targets/duty")
    yield Shot("deliveries", "已发送 Deliveries", "/alerts/deliveries")
    yield Shot("routes", "规则 Routes", "/alerts/routes")
    yield Shot("duty", "值班 Duty", "/alerts/duty")
    yield Shot("roster", "值班表 A roster", "/alerts/rosters/district")
    yield Shot("escalations", "升级 Escalation", "/alerts/escalations")
    yield Shot("dry-run", "试算 Dry run", "/alerts/dry-run?code=SHED_SMOKE&compound=xiangyunli")
    yield Shot("holidays", "节假日 Holidays", "/alerts/holidays")
    yield Shot("maintenance", "维护 Maintenance", "/maintenance")
    yield Shot("exports", "导出 Exports", "/exports")
    yield Shot("quarantine", "隔离 Quarantine", "/quarantine")
    yield Shot("thresholds", "阈值 Thresholds", "/rules")
    yield Shot("registry", "登记 Registry", "/administration/devices")
    yield Shot("corrections", "更正 Corrections", "/compounds/xiangyunli/corrections")
    yield Shot("users", "用户 Users", "/users")
    yield Shot("tokens", "令牌 Tokens", "/tokens")
    yield Shot("audit", "审计 Audit log", "/audit")
    yield Shot("account", "我的账号 My account", "/account")
    yield Shot("display", "语言与外观 Language and colours", "/display")
    yield Shot("search", "搜索 Search", f"/search?q={quote('祥云 充电')}")
    yield Shot("help", "帮助 Help", "/help")
    yield Shot("catalogue", "故障目录 Catalogue", "/help/faults")
    yield Shot("login", "登录 Login", "/login")


def main(wanted: list[str]) -> None:
    """All of them, or those whose names are given."""
    INTO.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="courtyard-evening-") as directory,
        evening(Path(directory), COMPOUNDS, HOURS) as made,
        served(made.app) as url,
        playwright_chromium() as browser,
    ):
        eventually(lambda: is_there(f"{url}/livez"))
        session = made.session("operator")
        listed = list(shots(made))
        for shot in listed:
            if not wanted or shot.name in wanted:
                take(browser, url, session, shot)
                print(shot.name, flush=True)
    write_gallery(listed)


def write_gallery(listed: Sequence[Shot]) -> None:
    """All pictures that there are, at the end of docs/console.md."""
    rows = ["| page | by light | by dark | on a phone |", "|---|---|---|---|"]
    for shot in listed:
        if (INTO / f"{shot.name}-phone.png").exists():
            shown = " | ".join(
                f'<img src="screenshots/{shot.name}{end}.png" width="{width}"'
                f' alt="{shot.title}{how}">'
                for end, width, how in (("", 300, ""), ("-dark", 300, ", dark"), PHONE_SHOWN)
            )
            rows.append(f"| {shot.title} | {shown} |")
    text = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(text[: text.index(rows[0])] + "\n".join(rows) + "\n", "utf-8")


def take(browser: Browser, url: str, session: str, shot: Shot) -> None:
    """Its pictures. The tour, which is for whoever is new, has been seen."""
    for language in ("zh", "en") if shot.english else ("zh",):
        seen = watched(browser, url, language, session, timezone_id="Asia/Shanghai")
        tour = {"name": "courtyard_tour", "value": "seen", "url": url}
        seen.page.context.add_cookies([tour])  # type: ignore[list-item]
        end = "" if language == "zh" else ".en"
        seen.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        seen.page.emulate_media(color_scheme="light")
        seen.go(shot.path)
        save(seen.page, "desk", f"{shot.name}{end}")
        if language == "zh":
            seen.page.emulate_media(color_scheme="dark")
            save(seen.page, "desk", f"{shot.name}-dark")
            seen.page.emulate_media(color_scheme="light")
        seen.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        if language == "zh":
            seen.go(shot.path)
            save(seen.page, "phone", f"{shot.name}-phone")
        seen.page.context.close()


def save(page: Page, width: str, name: str) -> None:
    """As a PNG of few colours: a page has few."""
    tall = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST[width])
    wide = DESK[0] if width == "desk" else PHONE[0]
    page.set_viewport_size({"width": wide, "height": tall})
    picture = Image.open(io.BytesIO(page.screenshot()))
    few = picture.convert("RGB").quantize(
        COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    few.save(INTO / f"{name}.png", optimize=True)
    if width == "desk":
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})


if __name__ == "__main__":
    main(sys.argv[1:])
