"""Availability on the page of a compound: the figures that the API gives, in words."""

import csv
import io
import re

import pytest

from tests.api.cast import NOW_MS, XIANGYUNLI, Cast
from tests.api.test_kpis import a_cut, a_silence, with_ears

PLACE = f"/compounds/{XIANGYUNLI}"
URL = f"{PLACE}/availability"
RANGE = "?since=2026-11-22&until=2026-11-22"
API = f"/v1/compounds/{XIANGYUNLI}/availability?from=2026-11-22&to=2026-11-23"


@pytest.fixture
def troubled(cast: Cast) -> Cast:
    """Three hours without power, and one in which the gate alone was silent."""
    with_ears(cast)
    with cast.write() as connection:
        a_cut(connection, "cut", 6, 9)
        a_silence(connection, "dark", 6, 9, suppressed_by="cut")
        a_silence(connection, "own", 12, 13)
    return cast


def table(cast: Cast, query: str, language: str = "zh") -> dict[str, list[str]]:
    """The cells of each line, by its name."""
    client = cast.client("yaxin")
    html = client.get(f"{URL}{query}&lang={language}", headers={"Accept": "text/html"}).text
    section = html[html.index('<div class="availability"') :]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", section.split("</table>")[0])
    return {
        name: [re.sub("<[^>]+>", "", cell) for cell in re.findall("<td.*?</td>", cells)]
        for name, cells in rows
    }


def test_the_page_says_what_the_api_gives(troubled: Cast) -> None:
    shown = table(troubled, RANGE)
    assert list(shown) == ["门禁", "充电棚", "插座", "可用插座", "灯", "监控", "网关"]
    gate = troubled.client("yaxin").get(API).json()["kinds"]["gate"]
    assert (gate["availability"], gate["without_upstream"]) == (1 - 4 / 24, 1 - 1 / 21)
    assert shown["门禁"] == ["1", "83.33 %", "95.24 %", "100.0 %", "4.0", "3.0", "0.0"]
    assert list(table(troubled, RANGE, "en"))[3] == "Usable sockets"


def test_what_may_still_change_is_marked(troubled: Cast) -> None:
    client = troubled.client("yaxin")
    html = client.get(f"{URL}{RANGE}", headers={"Accept": "text/html"}).text
    assert '<span class="provisional">83.33 %</span>' in html
    troubled.now_ms = NOW_MS + 5 * 86_400_000
    later = client.get(f"{URL}{RANGE}", headers={"Accept": "text/html"}).text
    assert '<td class="number"><span>83.33 %</span>' in later


def test_what_nobody_can_know_is_a_dash_and_said_in_words(cast: Cast) -> None:
    shown = table(cast, RANGE)
    assert shown["门禁"] == ["1", "—", "—", "0.0 %", "—", "—", "0.0"]
    html = cast.client("yaxin").get(f"{URL}{RANGE}", headers={"Accept": "text/html"}).text
    assert "平台收不到该小区任何消息" in html


def test_the_file_has_the_same_figures_for_those_who_may_see_them(troubled: Cast) -> None:
    html = troubled.client("yaxin").get(f"{URL}{RANGE}", headers={"Accept": "text/html"}).text
    address = f"{PLACE}/availability.csv{RANGE.replace('&', '&amp;')}"
    assert f'href="{address}" download' in html
    answer = troubled.client("yaxin").get(f"{PLACE}/availability.csv{RANGE}")
    as_csv = troubled.client("yaxin").get(API, headers={"Accept": "text/csv"})
    assert answer.text == as_csv.text
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["out_s"] for row in rows if row["kind"] == "gate"] == ["14400.0"]
    assert troubled.client("kangqiao").get(f"{PLACE}/availability.csv").status_code == 404
