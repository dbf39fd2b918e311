"""Answers as CSV, for `Accept: text/csv`: RFC 4180, UTF-8 with a mark that Excel looks for.

A text that a spreadsheet would take for a formula gets an apostrophe before it, whoever wrote it.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from starlette.requests import Request
from starlette.responses import StreamingResponse

MEDIA_TYPE = "text/csv"
BOM = "\ufeff"
LINES_AT_ONCE = 200
CONTENT = {MEDIA_TYPE: {"schema": {"type": "string"}}}

Cell = str | float | int | None


def wants_csv(request: Request) -> bool:
    """Whether the client would rather have CSV than JSON; JSON when both are the same to it."""
    csv_weight = json_weight = 0.0
    for choice in request.headers.get("accept", "").lower().split(","):
        name, *parameters = (part.strip() for part in choice.split(";"))
        weight = _weight(parameters)
        if name == MEDIA_TYPE:
            csv_weight = max(csv_weight, weight)
        elif name == "application/json":
            json_weight = max(json_weight, weight)
        elif name in ("application/*", "*/*"):  # less than what is named
            json_weight = max(json_weight, 0.999 * weight)
    return csv_weight > json_weight


def answer(name: str, header: Sequence[str], lines: Iterable[Sequence[Cell]]) -> StreamingResponse:
    """The table as a file called `name`, sent while it is made."""
    return StreamingResponse(
        printed(header, lines),
        media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Vary": "Accept"},
    )


def printed(header: Sequence[str], lines: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The file in pieces."""
    text = io.StringIO()
    text.write(BOM)
    writer = csv.writer(text)
    writer.writerow([safe(cell) for cell in header])
    for number, line in enumerate(lines, 1):
        writer.writerow([safe(cell) for cell in line])
        if number % LINES_AT_ONCE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def safe(cell: Cell) -> Cell:
    """A cell as it can be opened: numbers as they are, unknown empty, texts never a formula."""
    if isinstance(cell, str) and cell.lstrip(" \t\r\n\0")[:1] in ("=", "+", "-", "@", "|", "%"):
        return "'" + cell
    if isinstance(cell, str) and cell[:1] in ("\t", "\r", "\n", "\0"):
        return "'" + cell
    return cell


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
