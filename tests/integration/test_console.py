"""The console in a real browser: what its scripts do, on a desk and on a phone, by keyboard."""

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from sqlalchemy import Engine

from api.exports.files import Folder
from api.exports.work import Workshop, work_off
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LAMP,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    Cast,
    a_cast,
    a_delivery,
    a_fault,
    a_person,
    a_roster,
    a_route,
    a_session,
    a_stand_in,
    a_target,
    a_user,
    an_hour,
)
from tests.api.served import served
from tests.chromium import Browser, chromium
from tests.eventually import eventually

COMPOUND = f"/compounds/{XIANGYUNLI}"
IS_TOLD = "document.querySelector('#usage .choice') !== null"  # it comes behind the rest
ALERTS = (
    "/alerts",
    "/alerts/new?channel=webhook",
    "/alerts/targets/robot",
    "/alerts/routes",
    "/alerts/deliveries",
    "/alerts/duty",
    "/alerts/rosters/roster",
    "/alerts/people/person",
    "/alerts/holidays",
    "/alerts/escalations",
    f"/alerts/dry-run?code=SHED_SMOKE&compound={XIANGYUNLI}",
    "/faults/told",
)
ADMINISTRATION = ("/users", "/tokens", "/audit", "/account", "/login")
PAGES = (
    *(COMPOUND, f"/charging?compound={XIANGYUNLI}", "/charging", "/exports"),
    *(*ALERTS, *ADMINISTRATION),
)
SHOWN = "document.querySelector('#usage .choice [aria-current]').textContent"
ENTER = 13


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def site(sqlite_database: Engine, tmp_path: Path) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    hour_ms = NOW_MS - NOW_MS % HOUR_MS
    with cast.write() as connection:
        for days in range(20):
            at_ms = hour_ms - days * DAY_MS
            an_hour(connection, GATE, at_ms, 110, granted=12.0 + days, denied=1.0)
            an_hour(connection, PORT, at_ms, 50, energy_kwh=0.4, sessions=1.0, in_use_s=900.0)
            an_hour(connection, LAMP, at_ms, 4, lit_s=21600.0, dark_s=3600.0, unknown_s=3600.0)
        a_session(connection, "one", stop_reason="unplugged")
        broken = "93000 invalid webhook url：地址无效或机器人已删除；在群里重新添加，填入新的地址"
        long_name = "亚新物业绿云小区维修值班群（夜班）"
        a_target(connection, "robot", name=long_name, broken=broken, broken_at_ms=NOW_MS)
        a_route(connection, "route", "robot", compound=XIANGYUNLI, code="PORT_OVERTEMP")
        a_person(connection, "person", targets=["robot"])
        a_roster(connection, "roster", "person")
        a_stand_in(connection, "stand-in", "person", note="年假" * 20)
        a_user(connection, "night-duty-of-the-maintenance-group-2", "firm", "yaxin")
        a_fault(connection, "told")
        a_delivery(connection, "told", "robot", state="failed", reason="given_up", answer="x" * 500)
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


def is_there(url: str) -> bool:
    with urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)


def enter(browser: Browser, cast: Cast, url: str, language: str = "zh") -> None:
    """Log in as a person does, with the form."""
    browser.look_as(1440, 900)
    # away from a page that is kept up to date: it would find the login over, and reload
    browser.open(f"{url}/login")
    browser.ask("Network.clearBrowserCookies")
    browser.set_cookies(url, {"courtyard_language": language})
    browser.open(f"{url}/login")
    browser.run(
        "const token = document.querySelector('input[name=token]');"
        f"token.value = '{cast.tokens['operator']}'; token.form.submit()"
    )
    browser.await_true("location.pathname === '/' && document.readyState === 'complete'")


def test_no_page_is_wider_than_a_phone_in_either_language_and_scheme(
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
    assert browser.errors == []


def test_another_range_is_shown_by_keyboard_without_leaving_the_page(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url, "en")
    browser.open(url + COMPOUND)
    browser.await_true(IS_TOLD)
    browser.run("window.stays = true; document.querySelector('#usage details').open = true")
    browser.run("document.querySelector('#usage .choice a:nth-child(3)').focus()")
    browser.press("Enter", ENTER)
    browser.await_true(f"{SHOWN} === 'Weeks'")
    assert browser.run("window.stays && location.search") == "?bucket=week"
    assert browser.run("document.activeElement.textContent") == "Weeks"
    assert browser.run("document.querySelector('#usage details').open")
    browser.run("history.back()")
    browser.await_true(f"{SHOWN} === 'Days'")
    assert browser.run("window.stays")


def test_old_figures_stay_when_new_ones_cannot_be_read_and_the_page_says_so(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(url + COMPOUND)
    browser.await_true(IS_TOLD)
    browser.ask("Network.emulateNetworkConditions", offline=True, latency=0,
                downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip
    try:
        browser.run("document.querySelector('#usage .choice a:nth-child(3)').click()")
        browser.await_true("document.querySelector('#usage [role=status]').textContent !== ''")
        told = browser.run("document.querySelector('#usage [role=status]').textContent")
        assert told == "新的用量没有取到：下面是之前的数值。"
        assert browser.run(SHOWN) == "日"
        assert browser.run("document.querySelectorAll('#usage .bar').length") > 0
    finally:
        browser.ask("Network.emulateNetworkConditions", offline=False, latency=0,
                    downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip


def test_an_export_is_asked_for_followed_while_it_is_made_and_can_be_downloaded(
    browser: Browser, site: tuple[Cast, str], tmp_path: Path
) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(f"{url}/exports")
    browser.run(
        "(() => { const form = document.querySelectorAll('main form')[1];"
        " form.elements.from.value = '2026-06-01'; form.requestSubmit(); })()"
    )
    browser.await_true("document.querySelector('[data-state=waiting]') !== null")
    browser.run("window.stays = true")
    half, go_on = threading.Event(), threading.Event()
    steps = iter(range(100))

    def is_over() -> bool:
        if next(steps) == 4:
            half.set()
            assert go_on.wait(30)
        return False

    folder = Folder(cast.app.state.parts.deps.exports.folder)
    shop = Workshop(cast.engine, folder, lambda: cast.now_ms, is_over=is_over, keep_every_s=0)
    maker = threading.Thread(target=work_off, args=(shop,))
    maker.start()
    try:
        assert half.wait(30)
        browser.await_true("document.querySelector('progress')?.value === 3")
        assert "3/13 步" in browser.run("document.querySelector('[data-state=running]').innerText")
    finally:
        go_on.set()
        maker.join(30)
    browser.await_true("document.querySelector('[data-state=done] a[download]') !== null")
    assert browser.run("window.stays")
    size = browser.run(
        "fetch(document.querySelector('a[download]').href).then((answer) => answer.text())"
        ".then((text) => text.split('\\n').length)"
    )
    assert size > 2 * 170
    assert browser.errors == []
