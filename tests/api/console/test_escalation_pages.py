"""The console's page of escalation."""

from tests.api.cast import Cast, a_target
from tests.api.console.test_alert_pages import EVIL, page
from tests.api.console.test_duty_pages import text_of


def test_what_holds_by_default_is_told_and_a_firm_makes_its_own_and_takes_it_back(
    cast: Cast,
) -> None:
    with cast.write() as connection:
        a_target(connection, "phone", name=EVIL)
    client = cast.client("yaxin")
    text = text_of(page(cast, "/alerts/escalations", "yaxin"))
    assert "没人确认时 · 亚新" in text
    assert "1. 5 分后" in text
    form = {
        "severity": "P1",
        "after": ["2", "10.5", ""],
        "whom": ["firm", "target:phone", "district"],
        "remind": "20",
    }
    made = client.post("/alerts/escalations", data=form)
    assert made.status_code == 303, made.text
    html = page(cast, "/alerts/escalations?done=saved", "yaxin")
    assert EVIL not in html
    text = text_of(html)
    assert "1. 2 分后" in text
    assert "wang-jianguo" in text
    assert 'value="10.5"' in html
    district = text_of(page(cast, "/alerts/escalations"))
    assert "1. 5 分后" in district
    assert "1. 2 分后" in text_of(page(cast, "/alerts/escalations?firm=yaxin"))
    back = client.post("/alerts/escalations", data={"severity": "P1", "back": "on"})
    assert back.status_code == 303
    assert "1. 5 分后" in text_of(page(cast, "/alerts/escalations", "yaxin"))


def test_what_cannot_be_is_told(cast: Cast) -> None:
    client = cast.client("yaxin")
    for form in (
        {"severity": "P1"},
        {"severity": "P1", "after": ["soon"], "whom": ["firm"]},
        {"severity": "P1", "after": ["5"], "whom": ["nobody"]},
        {"severity": "P1", "after": ["5", "5"], "whom": ["firm", "district"]},
        {"severity": "P1", "after": ["5"], "whom": ["target:strange"]},
    ):
        answer = client.post("/alerts/escalations", data=form, headers={"Accept": "text/html"})
        assert answer.status_code in (404, 422), form
        assert 'role="alert"' in answer.text
    assert client.get("/alerts/escalations?firm=kangqiao").status_code == 404
    assert 'method="post" action="/alerts' not in page(cast, "/alerts/escalations", "viewer")
