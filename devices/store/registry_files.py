"""Registry files: JSON holds all of it, CSV and XLSX hold the devices, one a line.

Read whole or not at all, with file and line in every problem. Spreadsheet programs run text that
looks like a formula: in CSV it gets an apostrophe on its way out and loses it on its way in; in
XLSX it is written as text, and a cell with a formula is refused.
"""

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from devices.inventory import (
    ATTRIBUTES,
    BadRegistry,
    Problem,
    cell_value,
    dump,
    dump_rows,
    parse,
    parse_rows,
)
from devices.registry import Registry

MAX_BYTES = 64 * 2**20  # of a file; the district of 12,387 endpoints has 2 MB
MAX_UNPACKED_BYTES = 256 * 2**20  # of what an XLSX says it holds: it is a zip archive
MAX_LINES = 200_000
MAX_COLUMNS = 200

SUFFIXES = (".json", ".csv", ".xlsx")

_NEEDED = ("id", "kind", "compound")
# Also the full-width signs: some programs take them for the others.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")

Row = tuple[int, Mapping[str, str]]


class SpreadsheetsMissing(Exception):
    """The package that reads and writes XLSX is not installed."""


def read(path: Path, known: Registry) -> Registry:
    """The registry that the file describes.

    known: the firms, compounds and devices that there are; CSV and XLSX add to them, JSON stands
    alone. Raises BadRegistry, SpreadsheetsMissing.
    """
    try:
        content = _content(path)
        match path.suffix.lower():
            case ".json":
                return parse(_json(content))
            case ".csv":
                return parse_rows(_csv(content), known)
            case _:
                return parse_rows(_xlsx(content), known)
    except BadRegistry as error:
        raise BadRegistry(
            [
                Problem(f"{path.name}, {p.where}" if p.where else path.name, p.what)
                for p in error.problems
            ]
        ) from error


def write(path: Path, registry: Registry) -> None:
    """Write what `read` reads the same; the file is there whole, or as it was before.

    Raises BadRegistry for a name that ends in none of the three, SpreadsheetsMissing, OSError.
    """
    match path.suffix.lower():
        case ".json":
            content = _to_json(registry)
        case ".csv":
            content = _to_csv(registry)
        case ".xlsx":
            content = _to_xlsx(registry)
        case _:
            raise _bad(_wrong_suffix(path), path.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _content(path: Path) -> bytes:
    if path.suffix.lower() not in SUFFIXES:
        raise _bad(_wrong_suffix(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _bad(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _bad(f"is larger than {MAX_BYTES // 2**20} MiB")
    return content


def _wrong_suffix(path: Path) -> str:
    hint = " (save it as .xlsx)" if path.suffix.lower() == ".xls" else ""
    return f"does not end in {', '.join(SUFFIXES)}{hint}"


def _bad(what: str, where: str = "") -> BadRegistry:
    return BadRegistry([Problem(where, what)])


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _bad(
            "is not UTF-8; a spreadsheet: save it as “CSV UTF-8”, or as XLSX", f"line {line}"
        ) from error


def _json(content: bytes) -> Mapping[str, object]:
    def without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
        twins = dict(pairs)
        if len(twins) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _bad(f"an object has {twice!r} twice")
        return twins

    def no_number(word: str) -> object:
        raise _bad(f"{word} is not a number in JSON")

    try:
        data: Mapping[str, object] = json.loads(
            _text(content), object_pairs_hook=without_twins, parse_constant=no_number
        )
    except json.JSONDecodeError as error:
        raise _bad(
            f"is not JSON: {error.msg}", f"line {error.lineno} column {error.colno}"
        ) from error
    except BadRegistry:
        raise
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise _bad(f"is not JSON that a registry could be: {str(error)[:120]}") from error
    return data


def _csv(content: bytes) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)

    def lines() -> Iterator[tuple[int, list[str]]]:
        while True:
            line = reader.line_num + 1  # a quoted cell may go on over several
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _bad(f"is not CSV: {error}", f"line {line}") from error
            yield line, [_without_apostrophe(cell.strip()) for cell in cells]

    return _rows(lines())


def _rows(lines: Iterable[tuple[int, Sequence[str]]]) -> Iterator[Row]:
    """Lines as rows: the first one has the names. Empty lines do not count."""
    filled = ((line, cells) for line, cells in lines if any(cells))
    first = next(filled, None)
    if first is None:
        raise _bad("is empty: the first line has the names of the columns")
    head, names = first
    while names and not names[-1]:
        names = names[:-1]
    problems = [
        Problem(f"line {head}", f"the column {name!r} is there twice")
        for name in dict.fromkeys(names)
        if name and names.count(name) > 1
    ]
    problems += [
        Problem(f"line {head}", f"the column {name!r} is missing")
        for name in _NEEDED
        if name not in names
    ]
    if len(names) > MAX_COLUMNS:
        problems = [Problem(f"line {head}", f"{len(names)} columns are more than {MAX_COLUMNS}")]
    if problems:
        raise BadRegistry(problems)
    for count, (line, cells) in enumerate(filled):
        if count == MAX_LINES:
            raise _bad(f"more than {MAX_LINES} lines are too many for one file", f"line {line}")
        named = list(zip_longest(names, cells, fillvalue=""))
        nameless = next((cell for name, cell in named if cell and not name), None)
        if nameless is not None:
            raise _bad(f"{nameless[:80]!r} is in a column without a name", f"line {line}")
        yield line, {name: cell for name, cell in named if name}


def _xlsx(content: bytes) -> Iterator[Row]:
    openpyxl = _openpyxl()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise _bad(f"unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
        sheet = book["devices"] if "devices" in book.sheetnames else book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        yield from _rows(_lines(sheet))
    except BadRegistry:
        raise
    except Exception as error:  # openpyxl lets out whatever its parsing meets
        raise _bad(f"is not a workbook: {type(error).__name__} {str(error)[:120]}") from error


def _lines(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    problems: list[Problem] = []
    for line, cells in enumerate(sheet.iter_rows(), 1):
        if len(cells) > 10 * MAX_COLUMNS:
            raise _bad(f"{len(cells)} columns are more than {MAX_COLUMNS}", f"line {line}")
        for cell in cells:
            if cell.data_type == "f":
                what = f"{cell.coordinate} has a formula: write the value itself"
                problems.append(Problem(f"line {line}", what))
            elif cell.data_type == "e":
                what = f"{cell.coordinate} has the error {cell.value}"
                problems.append(Problem(f"line {line}", what))
        yield line, [_cell_text(cell.value) for cell in cells]
    if problems:
        raise BadRegistry(problems)


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # a spreadsheet knows no whole numbers
    return str(value).strip()


def _to_json(registry: Registry) -> bytes:
    """One firm, compound or device a line: what changed can be seen in a diff."""
    parts = []
    for part, entries in dump(registry).items():
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        parts.append(f'"{part}": [\n{lines}\n]' if entries else f'"{part}": []')
    return ("{" + ",\n".join(parts) + "}\n").encode()


def _to_csv(registry: Registry) -> bytes:
    columns, rows = dump_rows(registry)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_with_apostrophe(name, row.get(name, "")) for name in columns)
    return text.getvalue().encode("utf-8-sig")  # without the mark Excel takes it for GBK


def _to_xlsx(registry: Registry) -> bytes:
    openpyxl = _openpyxl()
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("devices")
    sheet.freeze_panes = "B2"
    columns, rows = dump_rows(registry)
    sheet.append(columns)
    for row in rows:
        cells = []
        for name in columns:
            text = row.get(name, "")
            value = _typed(name, text)
            cell = WriteOnlyCell(sheet, value=value if text else None)
            if isinstance(value, str) and text:
                cell.data_type = "s"  # never a formula
                cell.number_format = "@"  # an IMEI stays as it is also when somebody edits it
            cells.append(cell)
        sheet.append(cells)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _typed(column: str, text: str) -> object:
    """The value of a cell: what is a number or a flag, but never a name that looks like one."""
    value = cell_value(text)
    if isinstance(value, str) or not _holds_values(column):
        return text
    if isinstance(value, float) and float(f"{value:.16g}") != value:
        return text  # openpyxl writes 16 digits
    return value


def _holds_values(column: str) -> bool:
    return column == "interval_s" or column in ATTRIBUTES or column.startswith("attributes.")


def _with_apostrophe(column: str, text: str) -> str:
    number = _holds_values(column) and not isinstance(cell_value(text), str)
    return f"'{text}" if _FORMULA.match(text) and not number else text


def _without_apostrophe(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise SpreadsheetsMissing(
            "XLSX needs openpyxl: install `courtyard[spreadsheets]` "
            "(pip install 'courtyard[spreadsheets]'), or use CSV"
        ) from error
    return openpyxl
