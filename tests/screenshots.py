"""Pictures of every page into docs/screenshots: `make screenshots`. The same district every time.

Each page by light and by dark on a desk, and on a phone; in Chinese, the first ones in English too.
"""

import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.api.served import served
from tests.evening import Evening, evening
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import playwright_chromium, watched

INTO = Path(__file__).parents[1] / "docs" / "screenshots"
COMPOUNDS, HOURS = 14, 18
DESK, PHONE = (1280, 860), (390, 844)
TALLEST = {"desk": 1200, "phone": 1400}  # px; what is below is more of the same
COLOURS = 256  # of fewer, rare ones are lost: those of severity


class Shot(NamedTuple):
    """A page and the file that shows it; english: in English too."""

    name: str
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
    yield Shot("overview", "/", english=True)
    yield Shot("compound", "/compounds/xiangyunli", english=True)
    yield Shot("faults", "/faults", english=True)
    yield Shot("fault", f"/faults/{fault('SHED_SMOKE')}", english=True)
    yield Shot("root-cause", f"/faults/{fault('GW_OFFLINE')}")
    yield Shot("device", "/devices/xiangyunli-shed-1-p01")
    yield Shot("messages", "/devices/xiangyunli-shed-1/messages")
    yield Shot("sheds", "/sheds", english=True)
    yield Shot("sessions", "/charging?compound=xiangyunli")
    yield Shot("session", f"/sessions/{session}")
    yield Shot("ingestion", "/ingestion", english=True)
    yield Shot("alerts", "/alerts")
    yield Shot("target", "/alerts/targets/duty")
    yield Shot("deliveries", "/alerts/deliveries")
    yield Shot("routes", "/alerts/routes")
    yield Shot("duty", "/alerts/duty")
    yield Shot("roster", "/alerts/rosters/district")
    yield Shot("escalations", "/alerts/escalations")
    yield Shot("dry-run", "/alerts/dry-run?code=SHED_SMOKE&compound=xiangyunli")
    yield Shot("holidays", "/alerts/holidays")
    yield Shot("maintenance", "/maintenance")
    yield Shot("exports", "/exports")
    yield Shot("quarantine", "/quarantine")
    yield Shot("thresholds", "/rules")
    yield Shot("registry", "/administration/devices")
    yield Shot("corrections", "/compounds/xiangyunli/corrections")
    yield Shot("users", "/users")
    yield Shot("tokens", "/tokens")
    yield Shot("audit", "/audit")
    yield Shot("account", "/account")
    yield Shot("display", "/display")
    yield Shot("help", "/help")
    yield Shot("catalogue", "/help/faults")
    yield Shot("login", "/login")


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
        for shot in shots(made):
            if not wanted or shot.name in wanted:
                take(browser, url, session, shot)
                print(shot.name, flush=True)


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
