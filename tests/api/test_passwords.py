"""Logging in with a name and a password, and changing one's own."""

from contextlib import ExitStack

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select, update
from starlette.testclient import TestClient

from api.console.pages import LANGUAGE_COOKIE
from api.identity import COOKIE
from api.passwords import Passwords
from devices.store import schema, users
from devices.store.scope import DISTRICT
from tests.api.cast import CHEAP, NOW_MS, PASSWORD, PASSWORDS, Cast, a_user

OTHER = "another battery horse"


@pytest.fixture
def wang(cast: Cast) -> Cast:
    """The cast, and 王 of yaxin, who has a password."""
    with cast.write() as connection:
        a_user(connection, "wang", "firm", "yaxin")
    return cast


def logged_in(cast: Cast, name: str = "wang", password: str = PASSWORD) -> TestClient:
    browser = cast.browser()
    answer = browser.post("/login", data={"name": name, "password": password})
    assert answer.status_code == 303, answer.text
    return browser


def fails(cast: Cast, times: int, *, name: str = "wang", address: str = "192.0.2.7") -> list[int]:
    browser = cast.browser(address)
    form = {"name": name, "password": "wrong"}
    return [browser.post("/login", data=form).status_code for _ in range(times)]


def test_who_sends_many_guesses_at_once_waits_for_their_end(wang: Cast) -> None:
    attempts = wang.app.state.parts.attempts
    form = {"name": "wang", "password": PASSWORD}
    with ExitStack() as guesses:
        for _ in range(5):
            guesses.enter_context(attempts.trying("wang", "192.0.2.7", "192.0.2.7"))
        assert wang.browser().post("/login", data=form).status_code == 429
        assert wang.browser("192.0.2.8").post("/login", data=form).status_code == 303
    assert wang.browser().post("/login", data=form).status_code == 303


def test_a_password_opens_what_the_role_may_see(wang: Cast) -> None:
    browser = logged_in(wang)
    assert [c["id"] for c in browser.get("/v1/compounds").json()["items"]] == ["xiangyunli"]
    page = browser.get("/")
    assert 'href="/account" aria-label="我的账号 wang"' in page.text
    assert (
        "HttpOnly"
        in browser.post("/login", data={"name": " WANG ", "password": PASSWORD}).headers[
            "Set-Cookie"
        ]
    )


def test_what_they_do_is_recorded_under_their_name(wang: Cast) -> None:
    answer = logged_in(wang).post(
        "/v1/maintenance",
        json={"compound": "xiangyunli", "ends_at": "2026-11-24", "reason": "r", "owner": "o"},
    )
    assert (answer.status_code, answer.json()["created_by"]) == (201, "wang")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("wang", "wrong"),
        ("wang", ""),
        ("nobody", PASSWORD),
        ("", ""),
        ("王", PASSWORD),
        ("li-min", PASSWORD),  # an API token is called that
    ],
)
def test_what_is_wrong_is_answered_all_alike(wang: Cast, name: str, password: str) -> None:
    answer = wang.browser().post("/login", data={"name": name, "password": password})
    assert answer.status_code == 403
    assert "用户名或密码不对" in answer.text
    assert "Set-Cookie" not in answer.headers
    with wang.write() as connection:
        assert connection.execute(select(schema.web_sessions)).first() is None


def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has(wang: Cast) -> None:
    checked: list[str] = []

    class Counted(Argon2Hasher):
        def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
            checked.append("once")
            return super().verify(password, hash)

    passwords = Passwords(Counted(time_cost=1, memory_cost=8, parallelism=1))
    kept = passwords.hashed(PASSWORD)
    assert passwords.is_right(PASSWORD, kept)
    assert not passwords.is_right("wrong", kept)
    assert not passwords.is_right("a password that opens nothing", None)
    assert not passwords.is_right(PASSWORD, "no hash at all")
    assert checked == ["once"] * 3


def test_a_hash_of_yesterdays_cost_is_renewed_at_the_next_login(wang: Cast) -> None:
    cheaper = Passwords(Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1))
    old = cheaper.hashed(PASSWORD)
    with wang.write() as connection:
        connection.execute(update(schema.users).values(password=old))
    browser = logged_in(wang)
    with wang.write() as connection:
        renewed = connection.scalar(select(schema.users.c.password))
    assert renewed is not None
    assert renewed != old
    assert not CHEAP.check_needs_rehash(renewed)
    assert fails(wang, 6) == [403] * 5 + [429]
    # a browser that was logged in under this name is known by the renewed hash
    assert browser.post("/login", data={"name": "wang", "password": PASSWORD}).status_code == 303


def test_after_five_failures_there_is_a_wait_also_for_the_right_password(wang: Cast) -> None:
    assert fails(wang, 6) == [403] * 5 + [429]
    answer = wang.browser().post("/login", data={"name": "wang", "password": PASSWORD})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert "等一会儿" in answer.text
    wang.monotonic_s += 5
    assert (
        wang.browser().post("/login", data={"name": "wang", "password": PASSWORD}).status_code
        == 303
    )
    assert fails(wang, 1) == [403]  # what failed before is forgotten


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(wang: Cast) -> None:
    fails(wang, 5)
    waits = []
    for _ in range(10):
        (status,) = fails(wang, 1)
        assert status == 429
        answer = wang.browser().post("/login", data={"name": "wang", "password": "wrong"})
        waits.append(int(answer.headers["Retry-After"]))
        wang.monotonic_s += waits[-1]
        assert fails(wang, 1) == [403]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_a_stranger_cannot_lock_somebody_out_from_elsewhere(wang: Cast) -> None:
    assert fails(wang, 6, address="198.51.100.9")[-1] == 429
    logged_in(wang)


def test_a_browser_that_was_in_before_does_not_wait_for_strangers_behind_its_proxy(
    wang: Cast,
) -> None:
    browser = logged_in(wang)
    browser.post("/logout")
    assert fails(wang, 6)[-1] == 429  # the same address
    form = {"name": "wang", "password": "wrong"}
    assert [browser.post("/login", data=form).status_code for _ in range(6)] == [403] * 5 + [429]
    fresh = logged_in_after_wait(wang)
    assert fresh.get("/account").status_code == 200


def logged_in_after_wait(cast: Cast) -> TestClient:
    cast.monotonic_s += 3601
    return logged_in(cast)


def test_names_that_nobody_has_wait_like_any_other(wang: Cast) -> None:
    assert fails(wang, 6, name="nobody") == [403] * 5 + [429]


def test_who_tries_one_name_after_the_other_is_slowed_down(wang: Cast) -> None:
    statuses = [status for n in range(17) for status in fails(wang, 3, name=f"name-{n}")]
    assert statuses == [403] * 50 + [429]
    wang.monotonic_s += 10
    logged_in(wang)


def test_an_ipv6_network_is_one_address(wang: Cast) -> None:
    browsers = [wang.browser(f"2001:db8:7::{n}") for n in range(6)]
    form = {"name": "wang", "password": "wrong"}
    statuses = [browser.post("/login", data=form).status_code for browser in browsers]
    assert statuses == [403] * 5 + [429]


def test_their_language_comes_with_them(cast: Cast) -> None:
    with cast.write() as connection:
        new = users.NewUser("li", "Li", "viewer", None, "en", PASSWORDS.hashed(PASSWORD))
        users.add_user(connection, new, "", NOW_MS)
    browser = logged_in(cast, "li")
    assert browser.cookies[LANGUAGE_COOKIE] == "en"
    assert "Overview" in browser.get("/").text


def test_who_changes_their_password_stays_and_is_out_everywhere_else(wang: Cast) -> None:
    here, elsewhere = logged_in(wang), logged_in(wang)
    before = here.cookies[COOKIE]
    form = {"before": PASSWORD, "password": OTHER, "again": OTHER}
    answer = here.post("/account/password", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?changed=true")
    assert here.cookies[COOKIE] != before
    assert "密码已改" in here.get(answer.headers["Location"]).text
    assert elsewhere.get("/v1/compounds").status_code == 401
    assert fails(wang, 1) == [403]
    logged_in(wang, password=OTHER)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"before": "wrong"}, "现在的密码不对"),
        ({"again": "something else"}, "两次输入的密码不同"),
        ({"password": "short", "again": "short"}, "至少 12 个字符"),
        ({"password": "i-am-wang-forever", "again": "i-am-wang-forever"}, "本人的名字"),
        ({"password": "aaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaa"}, "太容易猜到"),
    ],
)
def test_what_is_no_password_is_told_and_changes_nothing(
    wang: Cast, change: dict[str, str], told: str
) -> None:
    browser = logged_in(wang)
    form = {"before": PASSWORD, "password": OTHER, "again": OTHER} | change
    answer = browser.post("/account/password", data=form)
    assert answer.status_code == 422
    assert told in answer.text
    assert OTHER not in answer.text
    logged_in(wang)


def test_a_session_that_was_left_open_is_no_way_to_guess_the_password(wang: Cast) -> None:
    browser = logged_in(wang)
    form = {"before": "wrong", "password": OTHER, "again": OTHER}
    statuses = [browser.post("/account/password", data=form).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]


def test_a_viewer_may_change_their_own_password(cast: Cast) -> None:
    with cast.write() as connection:
        a_user(connection, "zhou", "viewer")
    form = {"before": PASSWORD, "password": OTHER, "again": OTHER}
    assert logged_in(cast, "zhou").post("/account/password", data=form).status_code == 303


def test_a_token_has_no_password(cast: Cast) -> None:
    client = cast.client("operator")
    assert "没有密码" in client.get("/account").text
    form = {"before": PASSWORD, "password": OTHER, "again": OTHER}
    assert client.post("/account/password", data=form).status_code == 403


def test_another_site_cannot_change_a_password(wang: Cast) -> None:
    browser = logged_in(wang)
    form = {"before": PASSWORD, "password": OTHER, "again": OTHER}
    answer = browser.post("/account/password", data=form, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    logged_in(wang)


def test_who_is_disabled_is_out_and_stays_out(wang: Cast) -> None:
    browser = logged_in(wang)
    with wang.write() as connection:
        users.disable_user(connection, DISTRICT, "wang", NOW_MS)
    assert browser.get("/v1/compounds").status_code == 401
    answer = wang.browser().post("/login", data={"name": "wang", "password": PASSWORD})
    assert answer.status_code == 403
