"""A person logs in with a provider in a real browser, over real sockets."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from api.app import create_app
from api.parts import Dependencies
from courtyard import oidc
from courtyard.oidc import Config, OidcProvider
from tests.api.cast import Cast, a_cast
from tests.api.served import served
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.oidc_provider import CLIENT, SECRET, StandIn, standing_in

pytestmark = pytest.mark.long


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    made = StandIn(now_s=int(time.time()))
    with standing_in(made):
        yield made


@pytest.fixture
def site(sqlite_database: Engine, stand_in: StandIn) -> Iterator[tuple[Cast, str]]:
    """The console at the address that the provider leads back to."""
    cast = a_cast(sqlite_database)
    config = Config(
        issuer=stand_in.issuer,
        client_id=CLIENT,
        client_secret=SECRET,
        called="统一认证",
        scopes="openid profile",
        redirect_uri="",
        role_claim="groups",
        roles={"duty": ("viewer", None)},
    )
    deps: Dependencies = cast.app.state.parts.deps
    provider = Late(config)
    cast.app = create_app(replace(deps, login_provider=provider))
    with served(cast.app) as url:
        provider.listens_at(url)
        stand_in.redirect_uri = url + oidc.CALLBACK
        eventually(lambda: is_there(f"{url}/livez"))
        yield cast, url


class Late(OidcProvider):
    """One that learns where it leads back to once the port is known."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, oidc.fetch, lambda: int(time.time() * 1000))

    def listens_at(self, url: str) -> None:
        self._config = replace(self._config, redirect_uri=url + oidc.CALLBACK)


@pytest.fixture
def page(playwright_browser: Browser) -> Iterator[Page]:
    context = playwright_browser.new_context(locale="zh-CN")
    yield context.new_page()
    context.close()


def test_somebody_logs_in_elsewhere_and_is_led_back_to_where_they_wanted_to_go(
    page: Page, site: tuple[Cast, str], stand_in: StandIn
) -> None:
    _, url = site
    page.goto(f"{url}/maintenance")
    page.get_by_role("link", name="用 统一认证 登录").click()
    page.get_by_role("link", name="Go on").click()
    expect(page).to_have_url(f"{url}/maintenance")
    expect(page.locator(".me")).to_contain_text("zhang-wei")
    stand_in.claims = {"nonce": "of another login"}
    page.context.clear_cookies()
    page.goto(f"{url}/login/oidc?next=//evil.example")
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("没有确认身份")
