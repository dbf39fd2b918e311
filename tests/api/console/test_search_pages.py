"""The search of every page: by name, place or number, and never beyond what somebody may see."""

import re

import pytest

from tests.api.cast import GATE, LIANXIN, SHED, XIANGYUNLI, Cast, a_fault
from tests.api.test_console import EN, ZH, words


def found(cast: Cast, q: str, who: str = "operator", **params: str) -> tuple[list[str], str]:
    """Ids of the devices that are listed, and the whole page."""
    answer = cast.client(who).get("/search", params={"q": q, **params}, headers=ZH)
    assert answer.status_code == 200, answer.text
    return re.findall(r'<th scope="row"><a href="/devices/([^"]+)"', answer.text), answer.text


def test_without_a_question_it_says_what_can_be_asked(cast: Cast) -> None:
    devices, html = found(cast, "  ")
    assert devices == []
    assert "例如：祥云里" in words(html)


def test_a_compound_is_found_by_its_name_in_either_language(cast: Cast) -> None:
    for q in ("祥云", "XIANGYUN"):
        assert f'<a href="/compounds/{XIANGYUNLI}">祥云里</a>' in found(cast, q)[1]


def test_words_must_all_fit_a_device_or_its_compound(cast: Cast) -> None:
    assert found(cast, "祥云里 1号棚")[0] == [SHED, f"{SHED}-p01", f"{SHED}-p02"]
    assert found(cast, "连心 1号棚")[0] == []
    assert found(cast, "西门 lianxin")[0] == [f"{LIANXIN}-gate-1"]


@pytest.mark.parametrize("wild", ["%", "_", "!%"])
def test_wildcards_of_the_database_are_characters_like_any_other(cast: Cast, wild: str) -> None:
    assert found(cast, wild)[0] == []


def test_open_faults_are_found_by_their_name_and_place(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "smoke", code="SHED_SMOKE", device=SHED)
        a_fault(connection, "open", code="GATE_HELD_OPEN", device=GATE)
    html = found(cast, "祥云 烟雾")[1]
    assert 'href="/faults/smoke"' in html
    assert 'href="/faults/open"' not in html


@pytest.mark.parametrize(
    ("q", "there"),
    [(XIANGYUNLI, f"/compounds/{XIANGYUNLI}"), (GATE, f"/devices/{GATE}"), ("f1", "/faults/f1")],
)
def test_a_whole_id_leads_straight_there(cast: Cast, q: str, there: str) -> None:
    with cast.write() as connection:
        a_fault(connection, "f1", code="GATE_HELD_OPEN", device=GATE)
    answer = cast.client("yaxin").get("/search", params={"q": q}, headers=ZH)
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    assert cast.client("kangqiao").get("/search", params={"q": q}, headers=ZH).status_code == 200


def test_a_firm_finds_nothing_of_others(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "smoke", code="SHED_SMOKE", device=SHED)
    devices, html = found(cast, "祥云", "kangqiao")
    assert devices == []
    assert "没有与“祥云”相符的" in words(html)
    assert "smoke" not in html


def test_what_is_not_found_is_shown_as_text_and_says_where_else_to_look(cast: Cast) -> None:
    html = cast.client("operator").get("/search?q=<script>alert(1)", headers=EN).text
    assert "<script>alert" not in html
    assert "Nothing fits" in html
    assert 'href="/faults?show=all&amp;text=%3Cscript%3Ealert%281%29"' in html


def test_devices_come_page_by_page(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.console.search_pages.SHOWN", 3)
    seen: list[str] = []
    after = ""
    while True:
        devices, html = found(cast, "祥云里", after=after)
        seen += devices
        older = re.search(r'class="pager"><a href="[^"]*after=([^"]+)"', html)
        if older is None:
            break
        after = older[1]
    assert len(seen) == len(set(seen)) > 3
    assert all(device.startswith(XIANGYUNLI) for device in seen)
