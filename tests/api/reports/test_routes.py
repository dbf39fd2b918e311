"""Reports over HTTP: whose they are, what is refused, and that one is made at a time."""

import io
import threading
from pathlib import Path

import httpx2
import openpyxl
import pytest

from api.turns import Turns
from tests.api.cast import ELEVEN_AM_MS, GATE, LIANXIN, XIANGYUNLI, Cast, an_hour
from tests.api.reports.made import text_of
from tests.api.served import served

OWN = f"/v1/reports/compound/{XIANGYUNLI}/2026-11"


def test_a_firm_gets_the_pdf_of_its_compound_in_chinese(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, ELEVEN_AM_MS, 120, granted=1_234)
    answer = cast.client("yaxin").get(f"{OWN}.pdf")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/pdf"
    name = f"compound-{XIANGYUNLI}-2026-11-zh.pdf"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    text = text_of(answer.content)
    assert "祥云里" in text
    assert "通行次数1,234次" in text


def test_the_other_language_and_the_spreadsheet(cast: Cast) -> None:
    client = cast.client("yaxin")
    assert "Monthlyreportofaproperty" in text_of(
        client.get("/v1/reports/firm/yaxin/2026-11.pdf?language=en").content
    )
    answer = client.get("/v1/reports/firm/yaxin/2026-11.xlsx")
    assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book["概要"]["A1"].value == "亚新物业"
    assert book["小区"]["B2"].value == XIANGYUNLI


@pytest.mark.parametrize("end", ["pdf", "xlsx"])
def test_what_is_a_strangers_is_404_like_what_is_not_there(cast: Cast, end: str) -> None:
    client = cast.client("yaxin")
    for strange, unknown in (
        (f"compound/{LIANXIN}", "compound/atlantis"),
        ("firm/kangqiao", "firm/nobody"),
    ):
        answers = [client.get(f"/v1/reports/{who}/2026-11.{end}") for who in (strange, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content


def test_of_a_strangers_report_not_even_the_month_is_looked_at(cast: Cast) -> None:
    answer = cast.client("yaxin").get(f"/v1/reports/compound/{LIANXIN}/2031-01.pdf")
    assert answer.status_code == 404


def test_an_operator_and_a_viewer_see_every_firm(cast: Cast) -> None:
    for name in ("operator", "viewer"):
        for firm in ("yaxin", "kangqiao"):
            url = f"/v1/reports/firm/{firm}/2026-11.xlsx"
            assert cast.client(name).get(url).status_code == 200


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("2026-12.pdf", "month"),
        ("2026-13.pdf", "month"),
        ("november.pdf", "month"),
        ("2026-11.docx", "file_type"),
        ("2026-11.pdf?language=fr", "language"),
        ("2026-11.pdf?colour=red", "colour"),
    ],
)
def test_what_cannot_be_made_is_refused_by_the_parameters_name(
    cast: Cast, path: str, parameter: str
) -> None:
    answer = cast.client("yaxin").get(f"/v1/reports/compound/{XIANGYUNLI}/{path}")
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_without_a_font_it_says_what_to_install(cast: Cast, tmp_path: Path) -> None:
    object.__setattr__(cast.app.state.parts.deps, "fonts", tmp_path)
    answer = cast.client("operator").get(f"{OWN}.pdf")
    assert answer.status_code == 503
    assert "COURTYARD_FONTS" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 60
    assert cast.client("operator").get(f"{OWN}.xlsx").status_code == 200


def test_one_is_made_at_a_time_and_nothing_else_waits_for_it(cast: Cast) -> None:
    turns = Turns("for reports", 1, 0, 0.05)
    object.__setattr__(cast.app.state.parts, "report_turns", turns)
    headers = {"Authorization": f"Bearer {cast.tokens['operator']}"}
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.turn():
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        with served(cast.app) as url, httpx2.Client(base_url=url, headers=headers) as client:
            busy = client.get(f"{OWN}.pdf")
            assert busy.status_code == 503
            assert "Retry-After" in busy.headers
            assert client.get("/v1/compounds").status_code == 200
            done.set()
            holder.join(10)
            assert client.get(f"{OWN}.pdf").status_code == 200
    finally:
        done.set()
        holder.join(10)
