"""What every page has besides its own: help, menu, tour, and how somebody wants the console."""

import pytest
from starlette.testclient import TestClient

from api.console.help_pages import TERMS
from api.texts.glossary import TEXTS
from devices.catalogue import RULES
from devices.store import users
from devices.store.database import reading
from devices.store.scope import Scope
from tests.api.cast import PASSWORD, Cast, a_user

ZH = {"Accept": "text/html", "Accept-Language": "zh"}
EN = {"Accept": "text/html", "Accept-Language": "en"}


def test_every_term_is_explained_in_both_languages(cast: Cast) -> None:
    for headers, at in ((ZH, 0), (EN, 1)):
        text = cast.client("yaxin").get("/help", headers=headers).text
        for name in (name for names in TERMS.values() for name in names):
            assert f'id="{name}"' in text
            assert TEXTS[f"term_{name}"][at] in text


def test_the_catalogue_has_every_fault_and_finds_one_by_name_or_code(cast: Cast) -> None:
    client = cast.client("viewer")
    whole = client.get("/help/faults", headers=ZH).text
    assert all(f'id="{code}"' in whole for code in RULES)
    for wanted in ("烟雾", "SHED_SMOKE", "smoke"):
        found = client.get("/help/faults", params={"find": wanted}, headers=ZH).text
        assert 'id="SHED_SMOKE"' in found
        assert 'id="GATE_OFFLINE"' not in found


def test_what_is_not_in_the_catalogue_says_so_and_shows_the_way_back(cast: Cast) -> None:
    answer = cast.client("viewer").get("/help/faults?find=<script>", headers=EN)
    assert answer.status_code == 200
    assert "There is no such fault" in answer.text
    assert "<script>" not in answer.text.replace('<script src="', "")


@pytest.mark.parametrize("name", ["operator", "yaxin", "viewer"])
def test_the_menu_has_what_the_bar_has_no_room_for(cast: Cast, name: str) -> None:
    text = cast.client(name).get("/help", headers=ZH).text
    menu = text[text.index('class="menu-list"') : text.index("</details>")]
    for place in ("/maintenance", "/exports", "/help", "/display", "/docs"):
        assert f'href="{place}"' in menu
    for place in ("/users", "/tokens", "/audit"):
        assert (f'href="{place}"' in menu) == (name == "operator")


def test_the_tour_is_shown_until_somebody_ends_it_and_again_when_asked_for(cast: Cast) -> None:
    browser = logged_in(cast)
    assert 'class="panel tour"' in browser.get("/").text
    assert browser.post("/tour").headers["Location"] == "/"
    assert 'class="panel tour"' not in browser.get("/").text
    browser.post("/tour", data={"again": "true"})
    assert 'class="panel tour"' in browser.get("/").text


def test_the_tour_leads_to_no_other_site(cast: Cast) -> None:
    answer = logged_in(cast).post("/tour", data={"next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"


def test_colours_are_chosen_for_the_browser(cast: Cast) -> None:
    browser = logged_in(cast)
    assert "data-theme" not in browser.get("/help").text
    assert browser.post("/display", data={"theme": "dark"}).status_code == 303
    assert '<html lang="zh-CN" data-theme="dark">' in browser.get("/help").text
    browser.post("/display", data={"theme": ""})
    assert "data-theme" not in browser.get("/help").text


def test_a_users_language_is_theirs_in_every_browser(cast: Cast) -> None:
    browser = logged_in(cast)
    browser.post("/display", data={"language": "en"})
    assert '<html lang="en"' in browser.get("/help").text
    with reading(cast.engine) as connection:
        assert users.list_users(connection, Scope())[0].language == "en"
    other = logged_in(cast, make=False)
    assert '<html lang="en"' in other.get("/help").text
    browser.post("/display", data={"language": ""})
    with reading(cast.engine) as connection:
        assert users.list_users(connection, Scope())[0].language is None


def test_who_logs_in_with_a_token_chooses_for_the_browser(cast: Cast) -> None:
    browser = cast.browser()
    browser.post("/login", data={"token": cast.tokens["viewer"]})
    browser.post("/display", data={"language": "en"})
    assert '<html lang="en"' in browser.get("/help").text


def test_another_site_changes_nothing_of_it(cast: Cast) -> None:
    browser = logged_in(cast)
    for path in ("/display", "/tour"):
        answer = browser.post(path, headers={"Origin": "https://elsewhere.example"})
        assert answer.status_code == 403


def logged_in(cast: Cast, *, make: bool = True) -> TestClient:
    if make:
        with cast.write() as connection:
            a_user(connection, "wang", "firm", "yaxin")
    browser = cast.browser()
    answer = browser.post("/login", data={"name": "wang", "password": PASSWORD})
    assert answer.status_code == 303
    return browser
