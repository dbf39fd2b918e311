"""Pages of devices, sessions and sheds in a real browser: on a desk, on a phone, with the mouse."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from courtyard.mappings import field_tables
from devices.journal import MESSAGES, Raw, Record
from devices.telemetry import Sample
from tests.api.cast import (
    DAY_MS,
    GATE,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    Cast,
    a_cast,
    a_fault,
    a_session,
    a_state,
)
from tests.api.served import served
from tests.chromium import Browser, chromium
from tests.eventually import eventually
from tests.integration.test_console import enter, is_there

HOSTILE = '<img src="https://elsewhere.example/x" onerror="window.hurt = true">'
PAGES = (
    f"/devices/{PORT}",
    f"/devices/{PORT}?quantity=power_w",
    f"/devices/{PORT}?quantity=port_status",
    f"/devices/{SHED}",
    f"/devices/{XIANGYUNLI}-gw",
    f"/devices/{GATE}",
    f"/devices/{SHED}/messages",
    f"/devices/{SHED}/children",
    f"/devices/{SHED}/sessions",
    f"/devices/{PORT}/faults",
    "/sessions/26112300418",
    "/sheds",
)
WATCH = """
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) =>
      window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as made:
        made.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        yield made


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    cast.app.state.parts.deps.field_tables.update(field_tables())
    now = NOW_MS - 20_000
    with cast.write() as connection:
        smoke = {"smoke": (False, now), "voltage_v": (228.7, now), "board_temp_c": (31.0, now)}
        a_state(connection, SHED, "online", latest=smoke)
        latest = {
            "port_status": ("in_use", now),
            "power_w": (182.4, now),
            "port_temp_c": (74.2, now),
        }
        a_state(connection, PORT, "online", latest=latest)
        hot = {"device": PORT, "kind": "port", "code": "PORT_OVERTEMP", "severity": "P1"}
        a_fault(connection, "hot", **hot)
        a_session(connection, "26112300418", stop_reason="over_temp", native_reason=HOSTILE)
    begun = NOW_MS - DAY_MS
    series = cast.telemetry.series
    minutes = [n for n in range(1440) if not 600 <= n < 660]
    series["port", PORT, "power_w"] = [
        Sample(begun + n * MINUTE_MS, 180 + 20 * math.sin(n / 90)) for n in minutes
    ]
    series["port", PORT, "port_status"] = [
        Sample(begun + n * MINUTE_MS, "in_use" if n // 200 % 2 else "idle") for n in minutes
    ]
    topic = f"courtyard/v1/{XIANGYUNLI}/shed/{SHED}/telemetry".encode()
    payloads = (HOSTILE.encode(), b"\x5a\xa5" * 300, b'{"values":{"voltage_v":228.7}}' * 40)
    cast.journal.records = [
        Record(n, MESSAGES, n, 1, 1, messages=(Raw(topic, payload, 0, now, XIANGYUNLI),))
        for n, payload in enumerate(payloads * 12, 1)
    ]
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


def test_no_page_is_wider_than_a_phone_and_none_breaks_its_own_rules(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    for language, dark in (("zh", False), ("en", True)):
        enter(browser, cast, url, language)
        browser.look_as(360, 800, dark=dark)
        for page in PAGES:
            browser.open(url + page)
            browser.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
            assert browser.run("document.documentElement.scrollWidth") <= 360, (language, page)
            small = browser.run(
                "[...document.querySelectorAll('main a.button, main button, main select')]"
                ".filter((one) => one.offsetHeight && one.offsetHeight < 44).length"
            )
            assert small == 0, (language, page)
            assert browser.run("window.violations") == [], page
            assert browser.run("window.hurt") is None, page
    assert browser.errors == []


def test_text_of_a_curve_is_large_enough_to_read_at_every_width(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url)
    for width in (360, 700, 1000, 1280, 1440):
        browser.look_as(width, 900)
        for page in (f"/devices/{PORT}", f"/devices/{PORT}?quantity=power_w", "/sheds"):
            browser.open(url + page)
            least = browser.run(
                "Math.min(99, ...[...document.querySelectorAll('svg.curve')]"
                ".filter((one) => one.getBoundingClientRect().width)"
                ".map((one) => 12 * one.getBoundingClientRect().width / one.viewBox.baseVal.width))"
            )
            assert least >= 9, (width, page)


def test_a_part_of_a_curve_is_dragged_over_and_shown_larger_without_leaving_the_page(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(f"{url}/devices/{PORT}?quantity=power_w")
    browser.run("window.stays = true; document.getElementById('readings').scrollIntoView()")
    box = browser.run(
        "(() => { const plot = [...document.querySelectorAll('svg.curve')]"
        ".find((one) => one.getBoundingClientRect().width);"
        " const box = plot.getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    left, top, width, height = box
    y = top + height / 2
    for kind, x in (
        ("mousePressed", 0.5),
        ("mouseMoved", 0.7),
        ("mouseMoved", 0.75),
        ("mouseReleased", 0.75),
    ):
        browser.ask(
            "Input.dispatchMouseEvent", type=kind, x=left + width * x, y=y, button="left",
            buttons=1, clickCount=1,
        )  # fmt: skip
    browser.await_true("new URLSearchParams(location.search).has('from')")
    assert browser.run("window.stays")
    assert browser.run("new URLSearchParams(location.search).get('quantity')") == "power_w"
    hours = browser.run(
        "(() => { const asked = new URLSearchParams(location.search);"
        " return (new Date(asked.get('to')) - new Date(asked.get('from'))) / 3.6e6; })()"
    )
    assert 5.5 < hours < 7  # a quarter of a day
    browser.run("history.back()")
    browser.await_true("!new URLSearchParams(location.search).has('from')")
    browser.await_true("document.querySelector('#readings .choice [aria-current]') !== null")
    assert browser.errors == []


def test_another_quantity_and_range_are_picked_by_keyboard_in_place(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url, "en")
    browser.open(f"{url}/devices/{PORT}")
    browser.run("window.stays = true")
    browser.run(
        "(() => { const pick = document.querySelector('#readings select');"
        " pick.value = 'port_status';"
        " pick.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )
    browser.await_true("document.querySelector('#readings .lane-text') !== null")
    browser.await_true("location.search === '?quantity=port_status'")
    browser.run("document.querySelector('#readings .choice a').focus()")
    browser.press("Enter", 13)
    browser.await_true(
        "document.querySelector('#readings .choice [aria-current]').textContent === '1 hour'"
    )
    assert browser.run("window.stays && document.activeElement.textContent") == "1 hour"
    assert browser.errors == []


def test_the_board_shows_news_by_itself(browser: Browser, site: tuple[Cast, str]) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(f"{url}/sheds")
    browser.await_true("document.getElementById('liveness').textContent === '实时更新'")
    second = f"{SHED}-p02"
    shown = f"document.querySelector('a[href=\"/devices/{second}\"]').dataset.state"
    assert browser.run(shown) == "unknown"
    browser.run("window.stays = true")
    with cast.write() as connection:
        a_state(connection, second, "online", latest={"port_status": ("idle", NOW_MS)})
        blown = {"device": second, "kind": "port", "code": "PORT_FUSE", "severity": "P3"}
        a_fault(connection, "blown", **blown)
    browser.await_true(f"{shown} === 'fault'")
    assert browser.run("window.stays")
    assert browser.errors == []
