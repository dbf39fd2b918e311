import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from api.identity import COOKIE
from devices.store import tokens
from devices.store.schema import faults, web_sessions
from tests.api.cast import DAY_MS, Cast, a_fault

OURS = {"Origin": "http://courtyard.example"}


def logged_in(cast: Cast, name: str) -> TestClient:
    client = cast.client(None)
    answer = client.post("/login", data={"token": f" {cast.tokens[name]}\n"}, headers=OURS)
    assert answer.status_code == 303, answer.text
    return client


def test_a_token_becomes_a_session_that_scripts_and_other_sites_cannot_use(cast: Cast) -> None:
    client = cast.client(None)
    answer = client.post("/login", data={"token": cast.tokens["yaxin"]}, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert cast.tokens["yaxin"] not in cookie
    assert [c["id"] for c in client.get("/v1/compounds").json()["items"]] == ["xiangyunli"]


def test_over_https_the_cookie_stays_there(cast: Cast) -> None:
    client = TestClient(cast.app, base_url="https://courtyard.example", follow_redirects=False)
    headers = {"Origin": "https://courtyard.example"}
    answer = client.post("/login", data={"token": cast.tokens["yaxin"]}, headers=headers)
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_wrong_token_is_told_so_and_makes_no_session(cast: Cast) -> None:
    answer = cast.client(None).post("/login", data={"token": "cy_guess"}, headers=OURS)
    assert answer.status_code == 403
    assert "令牌无效或已撤销" in answer.text
    assert "cy_guess" not in answer.text
    assert "Set-Cookie" not in answer.headers
    with cast.write() as connection:
        assert connection.execute(select(web_sessions)).first() is None


def test_logging_out_ends_the_session_in_the_database_too(cast: Cast) -> None:
    client = logged_in(cast, "operator")
    session = client.cookies[COOKIE]
    assert client.post("/logout", headers=OURS).headers["Location"] == "/login"
    assert COOKIE not in client.cookies
    stolen = cast.client(None)
    stolen.cookies.set(COOKIE, session)
    assert stolen.get("/v1/compounds").status_code == 401


def test_a_session_ends_after_seven_days(cast: Cast) -> None:
    client = logged_in(cast, "operator")
    cast.now_ms += 7 * DAY_MS - 1
    assert client.get("/v1/compounds").status_code == 200
    cast.now_ms += 1
    assert client.get("/v1/compounds").status_code == 401


def test_a_session_ends_with_its_token(cast: Cast) -> None:
    client = logged_in(cast, "operator")
    with cast.write() as connection:
        who = tokens.identify(connection, cast.tokens["operator"], cast.now_ms)
        assert who is not None
        tokens.revoke(connection, who.token_id, cast.now_ms)
    assert client.get("/v1/compounds").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://courtyard.example.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_another_site_cannot_act_with_somebodys_session(
    cast: Cast, headers: dict[str, str]
) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    client = logged_in(cast, "operator")
    for path in ("/v1/faults/f/acknowledge", "/faults/f/acknowledge", "/logout"):
        assert client.post(path, headers=headers).status_code == 403, path
    with cast.write() as connection:
        assert connection.scalar(select(faults.c.state)) == "open"
    assert client.get("/v1/compounds").status_code == 200


@pytest.mark.parametrize("headers", [OURS, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_pages_can(cast: Cast, headers: dict[str, str]) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    client = logged_in(cast, "operator")
    assert client.post("/v1/faults/f/acknowledge", headers=headers).status_code == 200


def test_another_site_cannot_log_somebody_in(cast: Cast) -> None:
    answer = cast.client(None).post(
        "/login", data={"token": cast.tokens["operator"]}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_a_token_in_the_header_needs_no_origin(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    assert cast.client("operator").post("/v1/faults/f/acknowledge").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/faults?show=all", "/faults?show=all"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_after_the_login_they_go_on_but_never_elsewhere(
    cast: Cast, wanted: str, goes_to: str
) -> None:
    form = {"token": cast.tokens["operator"], "next": wanted}
    answer = cast.client(None).post("/login", data=form, headers=OURS)
    assert answer.headers["Location"] == goes_to


def test_who_must_log_in_is_led_there_and_back(cast: Cast) -> None:
    client = cast.client(None)
    answer = client.get("/faults/abc", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/faults/abc")
    assert 'value="/faults/abc"' in client.get(answer.headers["Location"]).text
