"""Pages that keep themselves up to date, in a real browser: what is told is there within two
seconds, and nobody loses their place."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, update

from devices.store.schema import sessions
from tests.api.cast import (
    GATE,
    LAMP,
    LIANXIN,
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

WITHIN_S = 2.0
LIVE = "document.getElementById('liveness').textContent === '实时更新'"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def site(sqlite_database: Engine) -> Iterator[tuple[Cast, str]]:
    cast = a_cast(sqlite_database)
    with cast.write() as connection:
        heard_ms = NOW_MS - 30_000
        for device in (GATE, SHED, PORT, LAMP):
            a_state(connection, device, "online", last_seen_ms=heard_ms)
        a_session(
            connection,
            "one",
            state="open",
            started_at_ms=NOW_MS - 30 * MINUTE_MS,
            ended_at_ms=None,
            duration_s=None,
            energy_kwh=0.1,
            fee_fen=None,
            stop_reason=None,
            ended_by=None,
        )
    with served(cast.app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


def settled(browser: Browser, cast: Cast) -> None:
    """The page listens, and has asked once for what happened while it was loading."""
    browser.await_true(LIVE)
    eventually(lambda: cast.app.state.stream._watcher is not None)
    browser.run("new Promise((done) => setTimeout(done, 600))")


def shown_within(browser: Browser, script: str) -> float:
    """How long it takes until that is so."""
    begun_s = time.monotonic()
    browser.await_true(script, within_s=10)
    return time.monotonic() - begun_s


def test_a_device_shows_what_it_said_within_two_seconds_and_keeps_its_place(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(f"{url}/devices/{GATE}")
    settled(browser, cast)
    browser.run("window.stays = true; scrollTo(0, 120)")
    browser.run(f"document.querySelector('a[href=\"/devices/{GATE}/faults\"]').focus()")
    with cast.write() as connection:
        latest = {"door_state": ("open", NOW_MS)}
        a_state(connection, GATE, "online", last_seen_ms=NOW_MS, latest=latest)
    latest_values = "document.querySelector('[data-live=latest]').innerText"
    assert shown_within(browser, f"{latest_values}.includes('门磁')") < WITHIN_S
    with cast.write() as connection:
        a_fault(connection, "forced", code="GATE_FORCED", severity="P2")
    open_faults = "document.querySelector('[data-live=open]').innerText"
    assert shown_within(browser, f"{open_faults}.includes('强行开门')") < WITHIN_S
    assert browser.run("window.stays && scrollY") == 120
    assert browser.run("document.activeElement.getAttribute('href')") == f"/devices/{GATE}/faults"
    assert browser.errors == []


def test_a_session_shows_its_end_within_two_seconds(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(f"{url}/sessions/one")
    settled(browser, cast)
    with cast.write() as connection:
        over = {
            "state": "closed",
            "ended_at_ms": NOW_MS,
            "duration_s": 1800,
            "energy_kwh": 0.42,
            "stop_reason": "unplugged",
            "ended_by": "device",
        }
        connection.execute(update(sessions).where(sessions.c.id == "one").values(**over))
        a_state(connection, PORT, "online", last_seen_ms=NOW_MS)
    energy = "document.querySelector('[data-live=figures]').innerText"
    assert shown_within(browser, f"{energy}.includes('0.42')") < WITHIN_S
    assert "拔出" in browser.run("document.querySelector('[data-live=ends]').innerText")
    assert browser.errors == []


def test_a_compound_shows_a_fault_on_its_plan_within_two_seconds_and_keeps_what_is_unfolded(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    enter(browser, cast, url)
    browser.open(f"{url}/compounds/{XIANGYUNLI}")
    settled(browser, cast)
    browser.run("document.querySelector('details[data-keep=sheds] > summary').focus()")
    browser.run("document.querySelector('details[data-keep=sheds]').open = true")
    with cast.write() as connection:
        a_fault(connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P1")
    spot = f"document.querySelector('.site-plan [href=\"/devices/{PORT}\"]').dataset.look"
    assert shown_within(browser, f"{spot} === 'p1'") < WITHIN_S
    assert browser.run("document.querySelector('details[data-keep=sheds]').open")
    assert browser.run("document.activeElement.parentElement.dataset.keep") == "sheds"
    assert browser.errors == []


def test_the_board_shows_only_what_has_faults_or_what_is_called_so(
    browser: Browser, site: tuple[Cast, str]
) -> None:
    cast, url = site
    with cast.write() as connection:
        a_fault(connection, "open")
    enter(browser, cast, url)
    browser.open(url)
    shown = "[...document.querySelectorAll('.tile')].filter((one) => one.offsetHeight).length"
    assert browser.run(shown) == 2
    browser.run("document.getElementById('only-trouble').click()")
    assert browser.run(shown) == 1
    browser.run("document.getElementById('only-trouble').click()")
    browser.run("document.getElementById('find').focus()")
    browser.ask("Input.insertText", text="连心")
    browser.await_true(f"{shown} === 1")
    assert (
        browser.run("document.querySelector('.tile:not([hidden]) a').getAttribute('href')")
        == f"/compounds/{LIANXIN}"
    )
    browser.ask("Input.insertText", text="无此处")
    browser.await_true("!document.querySelector('.no-match').hidden")
    assert browser.errors == []
