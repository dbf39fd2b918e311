"""The console's pages of users and of tokens."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from devices.store import schema, tokens, users
from devices.store.scope import DISTRICT
from tests.api.cast import NOW_MS, PASSWORD, Cast, a_user

SURE = {"sure": "yes"}
NEW = {"name": "wang", "display": "王建国", "role": "firm", "firm": "yaxin", "language": "zh"}
SECRET = re.compile(r'value="([^"]+)" readonly')


@pytest.fixture
def li(cast: Cast) -> TestClient:
    """The browser of an operator who logged in with a password."""
    with cast.write() as connection:
        a_user(connection, "li", "operator")
    browser = cast.browser()
    browser.post("/login", data={"name": "li", "password": PASSWORD})
    return browser


def shown_once(answer: object) -> str:
    found = SECRET.search(str(getattr(answer, "text", "")))
    assert found is not None
    return found[1]


def enters(cast: Cast, name: str, password: str) -> bool:
    form = {"name": name, "password": password}
    return cast.browser().post("/login", data=form).status_code == 303


def test_a_new_user_gets_a_password_that_is_shown_once(cast: Cast, li: TestClient) -> None:
    answer = li.post("/users", data=NEW)
    assert answer.status_code == 200
    password = shown_once(answer)
    assert len(password) == 16
    assert answer.headers["Cache-Control"] == "no-store"
    assert enters(cast, "wang", password)
    page = li.get("/users").text
    assert password not in page
    for text in ("wang", "王建国", "亚新"):
        assert text in page
    with cast.write() as connection:
        assert users.find_user(connection, DISTRICT, "wang").created_by == "li"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "王"}, "用户名为"),
        ({"name": "li"}, "用户名 li 已有人用"),
        ({"display": "x" * 81}, "用户名为"),
        ({"role": "king"}, "身份与物业要相配"),
        ({"role": "firm", "firm": ""} | SURE, "身份与物业要相配"),
        ({"role": "operator"}, "身份与物业要相配"),
        ({"firm": "nobody"}, "身份与物业要相配"),
    ],
)
def test_who_cannot_be_is_told_and_what_was_written_stays(
    cast: Cast, li: TestClient, change: dict[str, str], told: str
) -> None:
    answer = li.post("/users", data=NEW | change)
    assert answer.status_code == 422
    assert told in answer.text
    with cast.write() as connection:
        assert [user.name for user in users.list_users(connection, DISTRICT)] == ["li"]


def test_a_user_is_disabled_and_comes_back(cast: Cast, li: TestClient) -> None:
    password = shown_once(li.post("/users", data=NEW))
    assert li.post("/users/wang/disable", data=SURE).headers["Location"] == "/users"
    assert not enters(cast, "wang", password)
    assert "已停用" in li.get("/users").text
    li.post("/users/wang/enable")
    assert enters(cast, "wang", password)


def test_another_password_ends_the_one_before(cast: Cast, li: TestClient) -> None:
    before = shown_once(li.post("/users", data=NEW))
    after = shown_once(li.post("/users/wang/password", data=SURE))
    assert not enters(cast, "wang", before)
    assert enters(cast, "wang", after)


def test_a_role_counts_from_the_next_request_on(cast: Cast, li: TestClient) -> None:
    password = shown_once(li.post("/users", data=NEW))
    browser = cast.browser()
    browser.post("/login", data={"name": "wang", "password": password})
    assert browser.get("/users").status_code == 403
    li.post("/users/wang/role", data={"role": "operator", "firm": ""} | SURE)
    assert browser.get("/users").status_code == 200
    answer = li.post("/users/wang/role", data={"role": "firm", "firm": ""} | SURE)
    assert answer.status_code == 422


def test_the_last_operator_cannot_be_taken_away(cast: Cast, li: TestClient) -> None:
    with cast.write() as connection:
        (old,) = [t for t in tokens.list_tokens(connection, DISTRICT) if t.role == "operator"]
    assert li.post(f"/tokens/{old.id}/revoke", data=SURE).status_code == 303
    for path, form in (
        ("/users/li/disable", SURE),
        ("/users/li/role", {"role": "viewer", "firm": ""} | SURE),
    ):
        answer = li.post(path, data=form)
        assert answer.status_code == 409
        assert "最后一个" in answer.text
    assert li.get("/users").status_code == 200


def test_a_token_is_shown_once_and_revoked_for_good(cast: Cast, li: TestClient) -> None:
    answer = li.post("/tokens", data={"name": "Grafana  ", "role": "viewer", "firm": ""})
    token = shown_once(answer)
    robot = cast.client(None)
    robot.headers["Authorization"] = f"Bearer {token}"
    assert robot.get("/v1/compounds").status_code == 200
    page = li.get("/tokens").text
    assert token not in page
    assert "Grafana" in page
    with cast.write() as connection:
        made = tokens.list_tokens(connection, DISTRICT)[0]
    assert (made.name, made.created_by) == ("Grafana", "li")
    assert li.post(f"/tokens/{made.id}/revoke", data=SURE).headers["Location"] == "/tokens"
    assert robot.get("/v1/compounds").status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "role": "viewer"},
        {"name": "x" * 121, "role": "viewer"},
        {"name": "System", "role": "operator"},
        {"name": "x", "role": "king"},
        {"name": "x", "role": "firm", "firm": "nobody"},
    ],
)
def test_what_no_token_can_be_is_refused(cast: Cast, li: TestClient, form: dict[str, str]) -> None:
    assert li.post("/tokens", data=form).status_code == 422
    with cast.write() as connection:
        assert len(tokens.list_tokens(connection, DISTRICT)) == 4


@pytest.mark.parametrize("token", ["0", "-1", "x", "99999999999999999999", "²", "%00"])
def test_a_number_that_is_none_is_404(li: TestClient, token: str) -> None:
    assert li.post(f"/tokens/{token}/revoke", data=SURE).status_code == 404


def test_when_a_token_was_used_is_written_now_and_then_and_not_while_they_wait(
    cast: Cast, li: TestClient
) -> None:
    use = cast.app.state.parts.last_use
    use.write()
    with cast.write() as connection:
        seen = {t.name: t.used_at_ms for t in tokens.list_tokens(connection, DISTRICT)}
    assert seen == {"li-min": None, "wang-jianguo": None, "zhao-min": None, "inspector": None}
    cast.client("yaxin").get("/v1/compounds")
    cast.now_ms += 299_999
    cast.client("yaxin").get("/v1/compounds")
    use.write()
    with cast.write() as connection:
        seen = {t.name: t.used_at_ms for t in tokens.list_tokens(connection, DISTRICT)}
    assert seen["wang-jianguo"] == NOW_MS
    cast.now_ms += 1
    cast.client("yaxin").get("/v1/compounds")
    use.write()
    with cast.write() as connection:
        used = connection.scalar(
            select(schema.tokens.c.used_at_ms).where(schema.tokens.c.name == "wang-jianguo")
        )
    assert used == NOW_MS + 300_000


@pytest.mark.parametrize("path", ["/users", "/tokens"])
def test_long_lists_come_in_pages(cast: Cast, li: TestClient, path: str) -> None:
    with cast.write() as connection:
        a_user(connection, "zz-last", "viewer")
    first = li.get(f"{path}?limit=1").text
    older = re.search(r'href="([^"]*cursor=[^"]*)"', first)
    assert older is not None
    assert li.get(older[1].replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", ["/users", "/tokens", "/audit", "/account"])
def test_pages_show_what_people_are_called_as_text(
    cast: Cast, li: TestClient, path: str, language: str
) -> None:
    evil = "<script>alert(1)</script>"
    li.post("/users", data=NEW | {"display": evil})
    li.post("/tokens", data={"name": evil, "role": "viewer"})
    answer = li.get(f"{path}?lang={language}")
    assert answer.status_code == 200
    assert evil not in answer.text
    assert "style=" not in answer.text


@pytest.mark.parametrize("path", ["/users/li/disable", "/users/li/password", "/tokens/1/revoke"])
def test_nothing_is_done_by_a_link(li: TestClient, path: str) -> None:
    assert li.get(path).status_code == 405


@pytest.mark.parametrize("what", ["disable", "password", "role"])
def test_what_was_not_confirmed_is_not_done(cast: Cast, li: TestClient, what: str) -> None:
    password = shown_once(li.post("/users", data=NEW))
    answer = li.post(f"/users/wang/{what}", data={"role": "viewer", "firm": ""})
    assert answer.status_code == 422
    assert "没有勾选确认" in answer.text
    assert enters(cast, "wang", password)
    assert li.post("/tokens/1/revoke").status_code == 422
    assert cast.client("operator").get("/v1/compounds").status_code == 200


def test_a_form_offers_the_least_first(li: TestClient) -> None:
    assert '<option value="viewer" selected>' in li.get("/users").text
    assert '<option value="viewer" selected>' in li.get("/tokens").text
