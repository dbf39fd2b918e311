"""The console's page of holidays."""

from sqlalchemy import select

from devices.store.schema import holidays
from tests.api.cast import Cast
from tests.api.console.test_alert_pages import EVIL, page
from tests.api.console.test_duty_pages import text_of

OFF = f"元旦 2027-01-01 2027-01-03\n\n{EVIL} 2027-02-05，2027-02-11\n清明节 2027-04-05"


def test_what_came_with_it_is_shown_and_a_year_is_entered_as_it_was_announced(cast: Cast) -> None:
    text = text_of(page(cast, "/alerts/holidays", "yaxin"))
    assert "2026 随系统提供 元旦 2026-01-01 – 2026-01-03 春节 2026-02-15 – 2026-02-23" in text
    form = {"year": "2027", "off": OFF, "work": "2027-02-06，2027-02-20"}
    form["off"] = OFF.replace("2027-02-05", "2027-02-07")
    client = cast.client("operator")
    assert client.post("/alerts/holidays", data=form).status_code == 303
    html = page(cast, "/alerts/holidays?done=saved")
    assert EVIL not in html
    text = text_of(html)
    assert "已保存" in text
    assert "清明节 2027-04-05 上班的周末 2027-02-06、2027-02-20" in text


def test_what_cannot_be_is_told_and_kept_to_be_mended(cast: Cast) -> None:
    client = cast.client("operator")
    for off, work, says in (
        ("元旦", "", "第 1 行 放假：每行写名称"),
        ("元旦 2027-01-01 2027-01-02 2027-01-03", "", "第 1 行 放假：每行写名称"),
        ("元旦 2027-01-03 2027-01-01", "", "先后正确"),
        ("元旦 2027-01-01", "2027-01-04", "须是周末"),
    ):
        form = {"year": "2027", "off": off, "work": work}
        answer = client.post("/alerts/holidays", data=form, headers={"Accept": "text/html"})
        assert (answer.status_code, says in answer.text, off in answer.text) == (422, True, True)
    english = client.post(
        "/alerts/holidays",
        data={"year": "2027", "off": "元旦 2027-01-03 2027-01-01"},
        headers={"Accept": "text/html", "Accept-Language": "en"},
    )
    assert "ends before it begins" in english.text
    with cast.write() as connection:
        assert connection.execute(select(holidays)).all() == []


def test_only_operators_enter_a_year(cast: Cast) -> None:
    assert "只有区值班可以录入" in page(cast, "/alerts/holidays", "yaxin")
    form = {"year": "2027", "off": "元旦 2027-01-01"}
    assert cast.client("yaxin").post("/alerts/holidays", data=form).status_code == 403
