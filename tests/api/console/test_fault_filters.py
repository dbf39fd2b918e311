"""What the list of faults is asked: in its address, which is how a filter is shared and kept."""

import re

import pytest

from api.console.fault_filters import Question, parse_question
from api.errors import BadParameter
from devices.kinds import KINDS
from devices.store.saved_filters import MOST
from tests.api.cast import (
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
)
from tests.api.console.test_login import OURS, logged_in
from tests.api.test_console import EN, ZH, listed, with_trouble, words


def shown(html: str) -> list[str]:
    """The faults in the list, without what waits outside the filter and what is suspected."""
    table = html.partition('id="fault-table"')[2].partition("</table>")[0]
    return re.findall(r'<tbody data-fault="([\w-]+)"', table.rpartition('class="pinned-foot"')[2])


def pinned(html: str) -> list[str]:
    table = html.partition('class="pinned-head"')[2].partition('class="pinned-foot"')[0]
    return re.findall(r'<tbody data-fault="([\w-]+)"', table.partition("</table>")[0])


def with_many(cast: Cast) -> None:
    """Open ones of all sorts; none is critical."""
    with cast.write() as connection:
        a_fault(connection, "mine", subject="a", assignee="li-min", rank=9.0)
        a_fault(connection, "seen", subject="b", acknowledged_by="li-min", state="acknowledged",
                acknowledged_at_ms=NOW_MS, rank=8.0)  # fmt: skip
        a_fault(connection, "wangs", subject="c", assignee="wang", acknowledged_by="li-min",
                state="acknowledged", rank=7.0)  # fmt: skip
        a_fault(connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P2",
                rank=6.0)  # fmt: skip
        a_fault(connection, "west", device=STRANGE_GATE, compound=LIANXIN, severity="P2", rank=5.0,
                opened_at_ms=NOW_MS - 90 * MINUTE_MS)  # fmt: skip
        a_fault(connection, "child", subject="d", suppressed_by="west", code="GATE_MAINS_LOST",
                rank=4.0)  # fmt: skip
        a_fault(connection, "shelved", subject="e", shelved_until_ms=NOW_MS + 1, rank=3.0)
        a_fault(connection, "guess", subject="f", code="GATE_NO_PASSAGE", suspected=True)
        a_fault(connection, "gone", subject="g", state="closed", closed_at_ms=NOW_MS)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["mine", "seen", "wangs", "hot", "west"]),
        ("whose=mine", ["mine", "seen"]),
        ("whose=nobody", ["seen", "hot", "west"]),
        ("assignee=wang", ["wangs"]),
        (f"compound={LIANXIN}", ["west"]),
        ("firm=yaxin", ["mine", "seen", "wangs", "hot"]),
        ("kind=port", ["hot"]),
        ("code=PORT_OVERTEMP", ["hot"]),
        ("severity=P2", ["hot", "west"]),
        ("state=acknowledged", ["seen", "wangs"]),
        ("overdue=yes", ["west"]),
        ("overdue=true", ["west"]),  # as the API calls it
        ("text=01%E5%8F%B7%E6%8F%92%E5%BA%A7", ["hot"]),  # the name of a device
        ("text=%E8%BF%9E%E5%BF%83", ["west"]),  # of a compound
        ("text=over-temp", ["hot"]),  # of a fault
        ("text=xiangyunli+PORT", ["hot"]),  # each word fits
        ("text=mains", ["child"]),  # what a root explains is found, too
        ("show=shelved", ["shelved"]),
        ("show=suspected", ["guess"]),
        ("show=all&state=closed", ["gone"]),
        ("state=closed", ["gone"]),
        ("severity=P4", []),
    ],
)
def test_the_list_holds_what_is_asked_for(cast: Cast, query: str, found: list[str]) -> None:
    with_many(cast)
    assert shown(cast.client("operator").get(f"/faults?{query}", headers=ZH).text) == found


@pytest.mark.parametrize(
    "query",
    ["kind=horse", "code=NOPE", "severity=P9", "state=broken", "whose=yours", "show=some", "x=1"],
)
def test_what_no_filter_has_is_refused(cast: Cast, query: str) -> None:
    assert cast.client("operator").get(f"/faults?{query}").status_code == 422
    if not query.startswith("x"):
        with pytest.raises(BadParameter):
            parse_question(query)


def test_a_filter_by_what_is_a_strangers_is_404(cast: Cast) -> None:
    client = cast.client("yaxin")
    for query in (f"compound={LIANXIN}", "firm=kangqiao", "compound=atlantis"):
        assert client.get(f"/faults?{query}").status_code == 404, query
    html = client.get("/faults", headers=ZH).text
    assert LIANXIN not in html
    assert XIANGYUNLI in html


def test_no_filter_hides_what_is_critical_and_waits_for_an_answer(cast: Cast) -> None:
    with_trouble(cast)
    client = cast.client("operator")
    html = client.get("/faults?severity=P2", headers=ZH).text
    assert (pinned(html), shown(html)) == (["hot"], ["off"])
    assert "筛选之外，仍待确认的危急与安全故障" in words(html)
    html = client.get("/faults?severity=P1", headers=ZH).text
    assert (pinned(html), shown(html)) == ([], ["hot"])
    assert pinned(client.get("/faults?show=shelved", headers=ZH).text) == ["hot"]
    logged_in(cast, "operator").post("/faults/hot/acknowledge", headers=OURS)
    assert pinned(client.get("/faults?severity=P2", headers=ZH).text) == []


def test_the_address_says_what_is_asked_for_always_in_the_same_way(cast: Cast) -> None:
    question = Question(text="东 门", severity="P1", whose="mine")
    assert question.query() == "text=%E4%B8%9C+%E9%97%A8&severity=P1&whose=mine"
    assert parse_question(f"lang=en&{question.query()}&evil=1") == question
    assert parse_question("") == Question()
    assert Question(show="shelved").address() == "/faults?show=shelved"
    with_many(cast)
    html = cast.client("operator").get("/faults?severity=P2&kind=port", headers=EN).text
    assert f"Filters: {KINDS['port'].en} · Major" in words(html)
    assert 'href="/faults">Clear filters' in html


def test_a_list_with_a_filter_goes_on_page_by_page(cast: Cast) -> None:
    with_many(cast)
    client = cast.client("operator")
    seen: list[str] = []
    address = "/faults?firm=yaxin&text=&limit=3"
    while address:
        html = client.get(address, headers=ZH).text
        assert "共 4 处" in words(html)
        seen += shown(html)
        found = re.search(r'rel="next" href="([^"]+)"', html)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == ["mine", "seen", "wangs", "hot"]
    assert 'rel="first"' in html


def test_what_the_script_fetches_is_what_the_list_shows(cast: Cast) -> None:
    with_trouble(cast)
    client = cast.client("operator")
    page = client.get("/faults?severity=P2", headers=ZH).text
    part = client.get("/parts/faults?severity=P2", headers=ZH).text
    names = re.findall(r'data-live="([\w-]+)"', part)
    assert set(names) == set(re.findall(r'data-live="([\w-]+)"', page))
    assert (pinned(part), shown(part)) == (pinned(page), shown(page))
    table = part[part.index('<table class="reflow faults" id="fault-table"') :]
    assert table[: table.index("</table>")] in page
    assert len(part) < len(page) / 2


def test_a_copy_of_the_list_is_nobody_elses(cast: Cast) -> None:
    with_trouble(cast)
    for name, language, word in (
        ("operator", ZH, "西门"),
        ("operator", EN, "Gate offline"),
        ("kangqiao", ZH, "西门"),
        ("yaxin", ZH, "01号插座"),
        ("viewer", ZH, "西门"),
    ):
        text = cast.client(name).get("/parts/faults", headers=language).text
        assert word in words(text), name
        assert ("西门" in text) is (name != "yaxin")
        assert ('type="checkbox" name="fault"' in text) is (name != "viewer")


def test_a_filter_is_saved_for_oneself_used_and_deleted(cast: Cast) -> None:
    with_many(cast)
    client = logged_in(cast, "operator")
    form = {"name": " 供电 与通信 ", "query": "severity=P2&evil=1"}
    answer = client.post("/faults/filters", data=form, headers=OURS)
    assert answer.headers["Location"] == "/faults?severity=P2&did=saved"
    html = client.get(answer.headers["Location"], headers=ZH).text
    assert "筛选已保存" in words(html)
    assert '<a href="/faults?severity=P2" aria-current="true">供电 与通信</a>' in html
    assert "供电" not in client.get("/faults", headers=ZH).text.partition("已存筛选")[0]
    for other in ("viewer", "yaxin"):
        assert "供电 与通信" not in logged_in(cast, other).get("/faults", headers=ZH).text
    address = re.search(r'action="(/faults/filters/\d+/delete)"', html)
    assert address is not None
    assert logged_in(cast, "yaxin").post(address[1], headers=OURS).status_code == 404
    answer = client.post(address[1], headers=OURS)
    assert answer.headers["Location"] == "/faults?did=forgotten"
    assert "供电 与通信" not in client.get("/faults", headers=ZH).text


def test_a_saved_filter_needs_a_name_and_there_are_only_so_many(cast: Cast) -> None:
    client = logged_in(cast, "viewer")
    answer = client.post("/faults/filters", data={"name": " ", "query": ""}, headers=OURS)
    assert answer.status_code == 422
    answer = client.post("/faults/filters", data={"name": "x", "query": "kind=horse"}, headers=OURS)
    assert answer.status_code == 422
    for n in range(MOST):
        form = {"name": f"f{n}", "query": "whose=mine"}
        assert client.post("/faults/filters", data=form, headers=OURS).status_code == 303
    answer = client.post("/faults/filters", data={"name": "more", "query": ""}, headers=OURS)
    assert answer.status_code == 409


def test_a_visitor_saves_nothing(demo: Cast) -> None:
    client = demo.neighbour()
    assert client.post("/faults/filters", data={"name": "x"}).status_code == 401
    html = client.get("/faults?severity=P1", headers=ZH).text
    assert "保存筛选" not in html
    assert "我的" not in listed(html)


def test_hostile_filters_are_text(cast: Cast) -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    client = logged_in(cast, "operator")
    form = {"name": hostile, "query": f"text={hostile}"}
    assert client.post("/faults/filters", data=form, headers=OURS).status_code == 303
    html = client.get("/faults", params={"text": hostile, "assignee": hostile}).text
    assert "<img" not in html
    assert "&lt;img src=x" in html


def test_an_empty_list_says_what_that_means(cast: Cast) -> None:
    client = cast.client("operator")
    for query, told in (
        ("", "没有待处理的故障。新故障会自动出现在这里"),
        ("?severity=P1", "没有符合筛选的故障"),
        ("?show=shelved", "没有搁置的故障。搁置的到时自动回来"),
        ("?show=suspected", "没有疑似故障"),
        ("?show=maintenance", "没有因维护而不通知的故障"),
        ("?show=all", "还没有报过任何故障"),
    ):
        assert told in words(client.get(f"/faults{query}", headers=ZH).text), query
