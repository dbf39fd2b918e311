"""CSV as it leaves the API."""

import csv
import io

import pytest
from starlette.requests import Request

from api.tables import BOM, printed, safe, wants_csv


def asking(accept: str | None) -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/csv", True),
        ("text/csv, */*", True),
        ("text/csv;q=0.9, application/json;q=0.5", True),
        ("TEXT/CSV; charset=utf-8", True),
        ("application/json, text/csv", False),
        ("text/csv;q=0.5, */*", False),
        ("text/csv;q=0", False),
        ("text/csv;q=nonsense", False),
        ("*/*", False),
        ("text/html", False),
        ("", False),
        (None, False),
    ],
)
def test_csv_is_for_those_who_ask_for_it(accept: str | None, wanted: bool) -> None:
    assert wants_csv(asking(accept)) is wanted


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\rx", "\n", "|x", "%x"])
def test_a_text_that_a_spreadsheet_would_calculate_is_made_a_text(text: str) -> None:
    assert safe(text) == "'" + text


@pytest.mark.parametrize("cell", ["祥云里", "a=1", "", -1.5, 0, None])
def test_other_cells_stay_as_they_are(cell: str | float | None) -> None:
    assert safe(cell) == cell


def test_a_file_begins_with_the_mark_and_comes_in_pieces() -> None:
    lines = ([n, f'"{n}", =', None] for n in range(1000))
    pieces = list(printed(["n", "=text", "none"], lines))
    assert len(pieces) > 1
    text = "".join(pieces)
    assert text.startswith(BOM)
    assert text.count(BOM) == 1
    read = list(csv.reader(io.StringIO(text.removeprefix(BOM))))
    assert read[0] == ["n", "'=text", "none"]
    assert read[-1] == ["999", '"999", =', ""]
    assert len(read) == 1001
