"""The first user: only for whoever has the code, and only until there is one."""

import pytest
from sqlalchemy import Engine, select

from devices.store import schema, users
from devices.store.scope import DISTRICT
from tests.api.cast import NOW_MS, Cast, a_cast

FORM = {
    "name": "Li-Min",
    "display": "李敏",
    "password": "correct horse battery",
    "again": "correct horse battery",
}


@pytest.fixture
def empty(api_database: Engine) -> Cast:
    """An installation that nobody has set up: no user, no token."""
    return a_cast(api_database, people=False)


def a_code(cast: Cast) -> str:
    with cast.write() as connection:
        return users.make_setup_code(connection, NOW_MS)


def test_the_first_page_of_a_new_installation_leads_to_the_set_up(empty: Cast) -> None:
    browser = empty.browser()
    answer = browser.get("/")
    assert answer.headers["Location"] == "/login?next=/"
    answer = browser.get(answer.headers["Location"])
    assert answer.headers["Location"] == "/setup"
    page = browser.get("/setup").text
    assert "设置码" in page
    assert 'name="password"' in page
    assert "模拟" not in page  # which is said in a demo, and where compounds are made up


def test_who_has_the_code_makes_the_first_operator_and_is_in(empty: Cast) -> None:
    browser = empty.browser()
    code = a_code(empty)
    answer = browser.post("/setup", data=FORM | {"code": code.lower()})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert browser.get("/users").status_code == 200
    with empty.write() as connection:
        (made,) = users.list_users(connection, DISTRICT)
    assert (made.name, made.display, made.role, made.firm) == ("li-min", "李敏", "operator", None)


def test_once_there_is_a_user_it_is_gone_for_good(empty: Cast) -> None:
    code, other = a_code(empty), a_code(empty)
    empty.browser().post("/setup", data=FORM | {"code": code})
    browser = empty.browser()
    assert browser.get("/login").status_code == 200
    for answer in (
        browser.get("/setup"),
        *(browser.post("/setup", data=FORM | {"code": c, "name": "x2"}) for c in (code, other)),
    ):
        assert answer.status_code == 404
    with empty.write() as connection:
        assert len(users.list_users(connection, DISTRICT)) == 1


@pytest.mark.parametrize("code", ["", "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", "x" * 200])
def test_who_merely_comes_first_owns_nothing(empty: Cast, code: str) -> None:
    a_code(empty)
    answer = empty.browser().post("/setup", data=FORM | {"code": code})
    assert answer.status_code == 422
    assert "设置码不对" in answer.text
    with empty.write() as connection:
        assert connection.execute(select(schema.users)).first() is None


def test_the_code_cannot_be_tried_at_will(empty: Cast) -> None:
    code = a_code(empty)
    browser = empty.browser()
    wrong = [browser.post("/setup", data=FORM | {"code": "A"}).status_code for _ in range(6)]
    assert wrong == [422] * 5 + [429]
    assert browser.post("/setup", data=FORM | {"code": code}).status_code == 429
    elsewhere = empty.browser("198.51.100.9")
    assert elsewhere.post("/setup", data=FORM | {"code": code}).status_code == 303


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "李敏"}, "用户名为"),
        ({"password": "short", "again": "short"}, "至少 12 个字符"),
        ({"again": "another one"}, "两次输入的密码不同"),
        ({"password": "li-min-li-min", "again": "li-min-li-min"}, "本人的名字"),
    ],
)
def test_what_was_written_wrong_is_told_and_the_code_is_still_good(
    empty: Cast, change: dict[str, str], told: str
) -> None:
    code = a_code(empty)
    answer = empty.browser().post("/setup", data=FORM | {"code": code} | change)
    assert answer.status_code == 422
    assert told in answer.text
    assert FORM["password"] not in answer.text
    assert empty.browser().post("/setup", data=FORM | {"code": code}).status_code == 303


def test_another_site_cannot_set_it_up(empty: Cast) -> None:
    code = a_code(empty)
    answer = empty.browser().post(
        "/setup", data=FORM | {"code": code}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_where_there_is_an_operators_token_nothing_is_to_be_set_up(cast: Cast) -> None:
    assert cast.browser().get("/login").status_code == 200
    assert cast.browser().get("/setup").status_code == 404


def test_a_demo_has_none(api_database: Engine) -> None:
    demo = a_cast(api_database, people=False, demo=True)
    assert demo.browser().get("/login").status_code == 200
    assert demo.browser().get("/setup").status_code == 404
