"""To a login provider and back: what may be forged on the way opens nothing."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api.app import create_app
from api.console.oidc import COOKIE, LASTS_MS, USED_KEPT, UsedStates
from api.parts import Claimed, Dependencies, LoginAway, LoginRefused
from devices.store import users
from devices.store.schema import audit_log
from devices.store.scope import DISTRICT
from tests.api.cast import NOW_MS, Cast, a_cast, a_user
from tests.api.test_console import EN, ZH

BEGIN, BACK = "/login/oidc", "/login/oidc/callback"


class FakeProvider:
    """Says who a test says. asked: (code, verifier, nonce) of each login."""

    called = "统一认证"

    def __init__(self) -> None:
        self.who = Claimed("zhang-wei", "张伟")
        self.fails: Exception | None = None
        self.begun: list[tuple[str, str, str]] = []
        self.asked: list[tuple[str, str, str]] = []

    def begin(self, state: str, nonce: str, challenge: str) -> str:
        if self.fails is not None:
            raise self.fails
        self.begun.append((state, nonce, challenge))
        return f"https://id.example/authorize?state={state}"

    def finish(self, code: str, verifier: str, nonce: str) -> Claimed:
        self.asked.append((code, verifier, nonce))
        if self.fails is not None:
            raise self.fails
        return self.who

    def is_issuer(self, issuer: str) -> bool:
        return issuer == "https://id.example"


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def house(api_database: Engine, provider: FakeProvider) -> Cast:
    """The cast with a login provider, and a user of it."""
    cast = a_cast(api_database)
    deps: Dependencies = cast.app.state.parts.deps
    cast.app = create_app(replace(deps, login_provider=provider))
    with cast.write() as connection:
        a_user(connection, "zhang-wei", "viewer")
    return cast


def gone(browser: TestClient, to: str = "/") -> str:
    """Begins a login; the state that it has."""
    answer = browser.get(BEGIN, params={"next": to})
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]


def is_in(browser: TestClient) -> bool:
    return browser.get("/account").status_code == 200


def test_somebody_goes_there_and_comes_back_as_a_user(house: Cast, provider: FakeProvider) -> None:
    browser = house.browser()
    assert "用 统一认证 登录" in browser.get("/login", headers=ZH).text
    state = gone(browser, "/faults?state=open")
    answer = browser.get(f"{BACK}?code=c1&state={state}&iss=https://id.example&session_state=x")
    assert answer.status_code == 200
    assert 'content="0; url=/faults?state=open"' in answer.text
    assert is_in(browser)
    ((code, verifier, nonce),) = provider.asked
    assert (code, nonce) == ("c1", provider.begun[0][1])
    assert 43 <= len(verifier) <= 128
    with house.write() as connection:
        (row,) = connection.execute(select(audit_log).where(audit_log.c.resource == BACK)).all()
    assert (row.actor, row.role, row.outcome) == ("zhang-wei", "viewer", "done")


def test_what_is_on_its_way_is_in_a_cookie_that_scripts_and_other_pages_do_not_see(
    house: Cast,
) -> None:
    said = house.browser().get(BEGIN).headers["Set-Cookie"]
    for word in ("HttpOnly", "SameSite=lax", "Path=/login/oidc", "Max-Age=600"):
        assert word in said


@pytest.mark.parametrize("state", ["", "made-up"])
def test_another_state_than_that_of_this_browser_opens_nothing(
    house: Cast, provider: FakeProvider, state: str
) -> None:
    browser = house.browser()
    gone(browser)
    assert browser.get(f"{BACK}?code=c1&state={state}").status_code == 400
    stranger = house.browser()
    theirs = gone(house.browser())
    assert stranger.get(f"{BACK}?code=c1&state={theirs}").status_code == 400
    assert provider.asked == []
    assert not is_in(browser)


def test_a_state_is_good_once_even_with_its_cookie(house: Cast, provider: FakeProvider) -> None:
    browser = house.browser()
    state = gone(browser)
    kept = browser.cookies[COOKIE]
    assert browser.get(f"{BACK}?code=c1&state={state}").status_code == 200
    assert COOKIE not in browser.cookies
    thief = house.browser()
    thief.cookies.set(COOKIE, kept, path=BEGIN)
    again = thief.get(f"{BACK}?code=c2&state={state}", headers=ZH)
    assert again.status_code == 400
    assert "已过期，或已用过" in again.text
    assert len(provider.asked) == 1


def test_a_login_that_takes_too_long_is_begun_anew(house: Cast, provider: FakeProvider) -> None:
    browser = house.browser()
    state = gone(browser)
    house.now_ms += LASTS_MS
    assert browser.get(f"{BACK}?code=c1&state={state}").status_code == 400
    assert provider.asked == []


@pytest.mark.parametrize(
    "change", [lambda t: t[:-2] + "xx", lambda t: "x" + t, lambda _: "nonsense", lambda _: "."]
)
def test_a_cookie_that_was_changed_is_none(house: Cast, change: object) -> None:
    browser = house.browser()
    state = gone(browser)
    kept = browser.cookies[COOKIE]
    browser.cookies.clear()
    browser.cookies.set(COOKIE, change(kept), path=BEGIN)  # type: ignore[operator]
    assert browser.get(f"{BACK}?code=c1&state={state}").status_code == 400


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:x",
        "evil",
    ],
)
def test_it_leads_on_to_pages_of_ours_alone(house: Cast, to: str) -> None:
    browser = house.browser()
    answer = browser.get(f"{BACK}?code=c1&state={gone(browser, to)}")
    assert 'content="0; url=/"' in answer.text
    assert "evil" not in answer.text


def test_an_answer_of_another_provider_or_with_an_error_is_refused(
    house: Cast, provider: FakeProvider
) -> None:
    browser = house.browser()
    for more in ("&code=c1&iss=https://evil.example", "&error=access_denied", "", "&code="):
        answer = browser.get(f"{BACK}?state={gone(browser)}{more}", headers=EN)
        assert answer.status_code == 403, more
        assert "did not confirm" in answer.text
    assert provider.asked == []


def test_what_the_provider_says_wrongly_is_told_without_its_reason(
    house: Cast, provider: FakeProvider
) -> None:
    browser = house.browser()
    state = gone(browser)
    provider.fails = LoginRefused("the token has expired 61 s ago")
    answer = browser.get(f"{BACK}?code=c1&state={state}", headers=ZH)
    assert answer.status_code == 403
    assert "expired 61" not in answer.text
    provider.fails = None
    state = gone(browser)
    provider.fails = LoginAway("no answer")
    assert browser.get(f"{BACK}?code=c1&state={state}").status_code == 503
    assert browser.get(BEGIN, headers=ZH).status_code == 503
    assert not is_in(browser)


def test_nobody_is_made_a_user_unless_the_provider_says_as_what(
    house: Cast, provider: FakeProvider
) -> None:
    browser = house.browser()
    provider.who = Claimed("new-one", "新人")
    refused = browser.get(f"{BACK}?code=c1&state={gone(browser)}", headers=ZH)
    assert refused.status_code == 403
    assert "没有这个用户" in refused.text
    provider.who = Claimed("new-one", "新人", "firm", "nobody")
    assert browser.get(f"{BACK}?code=c1&state={gone(browser)}").status_code == 403
    provider.who = Claimed("new-one", "新人", "firm", "yaxin")
    assert browser.get(f"{BACK}?code=c1&state={gone(browser)}").status_code == 200
    assert is_in(browser)
    with house.write() as connection:
        made = users.find_user(connection, DISTRICT, "new-one")
        rows = connection.execute(select(audit_log).where(audit_log.c.resource == BACK)).all()
    assert (made.role, made.firm, made.created_by) == ("firm", "yaxin", "oidc")
    assert rows[-1].subject == "made new-one"


def test_a_user_keeps_the_role_they_have_and_a_disabled_one_stays_out(
    house: Cast, provider: FakeProvider
) -> None:
    browser = house.browser()
    provider.who = Claimed("zhang-wei", "张伟", "operator")
    assert browser.get(f"{BACK}?code=c1&state={gone(browser)}").status_code == 200
    assert browser.get("/users").status_code == 403, "a viewer, as the console says"
    with house.write() as connection:
        users.disable_user(connection, DISTRICT, "zhang-wei", NOW_MS)
    other = house.browser()
    assert other.get(f"{BACK}?code=c1&state={gone(other)}").status_code == 403
    assert not is_in(other)


def test_before_there_is_anybody_the_first_user_is_made_with_the_code(
    sqlite_database: Engine, provider: FakeProvider
) -> None:
    cast = a_cast(sqlite_database, people=False)
    deps: Dependencies = cast.app.state.parts.deps
    cast.app = create_app(replace(deps, login_provider=provider))
    assert cast.browser().get(BEGIN).headers["Location"] == "/setup"


def test_without_a_provider_there_is_neither_the_way_nor_the_button(cast: Cast) -> None:
    browser = cast.browser()
    assert browser.get(BEGIN).status_code == 404
    assert browser.get(BACK).status_code == 404
    assert "/login/oidc" not in browser.get("/login").text


def test_used_states_are_remembered_up_to_a_number() -> None:
    used = UsedStates()
    assert used.take("first")
    assert not used.take("first")
    for n in range(USED_KEPT):
        used.take(str(n))
    assert used.take("first"), "long expired by then"
