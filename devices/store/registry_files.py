"""Registry files: JSON holds all of it, CSV and XLSX hold devices, one a line, compounds or firms.

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
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from devices.columns import COLUMNS, COMPOUNDS, DEVICES, FIRMS, SHEETS, column_of, heading, table_of
from devices.inventory import (
    ATTRIBUTES,
    BadRegistry,
    Problem,
    cell_value,
    dump,
    dump_rows,
    parse,
    parse_rows,
    read_compound_rows,
    read_firm_rows,
    with_compounds,
    with_firms,
)
from devices.registry import Registry

MAX_BYTES = 64 * 2**20  # of a file; the district of 12,387 endpoints has 2 MB
MAX_UNPACKED_BYTES = 256 * 2**20  # of what an XLSX says it holds: it is a zip archive
MAX_LINES = 200_000
MAX_COLUMNS = 200

SUFFIXES = (".json", ".csv", ".xlsx")

_NEEDED = {DEVICES: ("id", "kind", "compound"), COMPOUNDS: ("id",), FIRMS: ("id",)}
# A workbook has none of these; with them a small file could name, or become, a large one.
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")
_NUMBERS = ("households", "latitude", "longitude")
# Also the full-width signs: some programs take them for the others.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")

Row = tuple[int, Mapping[str, str]]
Tables = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a file may be. unpacked_bytes: of what an XLSX says it holds. lines: of a table."""

    bytes: int
    unpacked_bytes: int
    lines: int


# What comes through a browser is read while others wait: a district of 12,387 endpoints has 6,768
# devices, 700 kB as CSV.
UPLOADED = Limits(2 * 2**20, 48 * 2**20, 20_000)


class SpreadsheetsMissing(Exception):
    """The package that reads and writes XLSX is not installed."""


def read(path: Path, known: Registry) -> Registry:
    """The registry that the file describes.

    known: the firms, compounds and devices that there are; CSV and XLSX add to them, JSON stands
    alone. Raises BadRegistry, SpreadsheetsMissing.
    """
    if path.suffix.lower() != ".json":
        return read_tables(path.name, tables_of(path), known)
    with _named(path.name):
        return parse(_json(_content(path)))


def tables_of(path: Path) -> Tables:
    """The rows of a CSV or XLSX file. Raises BadRegistry, SpreadsheetsMissing."""
    with _named(path.name):
        return tables(_content(path), path.suffix)


def read_tables(name: str, found: Tables, known: Registry) -> Registry:
    """What the rows of the file of this name describe, over what is known. Raises BadRegistry."""
    with _named(name):
        firms = read_firm_rows(found.get(FIRMS, ()), known)
        if firms.problems:
            raise BadRegistry(firms.problems)
        known = with_firms(known, firms.things.values())
        compounds = read_compound_rows(found.get(COMPOUNDS, ()), known)
        if compounds.problems:
            raise BadRegistry(compounds.problems)
        placed = with_compounds(known, compounds.things.values())
        return parse_rows(found.get(DEVICES, ()), placed)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Every problem begins with the name of the file."""
    try:
        yield
    except BadRegistry as error:
        raise BadRegistry(
            [
                Problem(f"{name}, {p.where}" if p.where else name, p.what, p.word)
                for p in error.problems
            ]
        ) from error


def tables(content: bytes, suffix: str, limits: Limits | None = None) -> Tables:
    """The rows of a CSV or XLSX file: devices, compounds or firms; in a workbook of all three.

    Raises BadRegistry where the file as a whole cannot be read; SpreadsheetsMissing.
    """
    limits = limits or Limits(MAX_BYTES, MAX_UNPACKED_BYTES, MAX_LINES)
    if len(content) > limits.bytes:
        raise _bad(f"is larger than {limits.bytes // 2**20} MiB", word="file_large")
    if suffix.lower() == ".csv":
        table, rows = _rows(_csv(content), limits)
        return {table: rows}
    return _xlsx(content, limits)


def template(suffix: str, table: str, language: str) -> bytes:
    """An empty file to fill in: CSV of one table; XLSX of all, with notes on each column.

    Raises SpreadsheetsMissing.
    """
    columns = COLUMNS[table]
    if suffix == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerow([heading(table, name, language) for name in columns])
        return text.getvalue().encode("utf-8-sig")
    openpyxl = _openpyxl()
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    is_zh = language == "zh"
    for each in sorted(COLUMNS, key=lambda one: one != table):
        sheet = book.create_sheet(SHEETS[each][0 if is_zh else 1])
        sheet.freeze_panes = "B2"
        for letter, name in enumerate(COLUMNS[each]):
            sheet.column_dimensions[openpyxl.utils.get_column_letter(letter + 1)].width = 16
            if not _holds_values(name) and name not in _NUMBERS:
                # an IMEI, or a building called 07, stays what was typed
                dimension = openpyxl.utils.get_column_letter(letter + 1)
                sheet.column_dimensions[dimension].number_format = "@"
        sheet.append([heading(each, name, language) for name in COLUMNS[each]])
    notes = book.create_sheet("说明" if is_zh else "Notes")
    notes.column_dimensions["C"].width = 64
    for each in COLUMNS:
        notes.append([SHEETS[each][0 if is_zh else 1]])
        for name, column in COLUMNS[each].items():
            cells = [
                heading(each, name, language),
                name,
                column.means_zh if is_zh else column.means_en,
                column.example,
            ]
            row = [WriteOnlyCell(notes, value=cell or None) for cell in cells]
            for cell in row:
                cell.number_format = "@"
            notes.append(row)
        notes.append([])
    filled = io.BytesIO()
    book.save(filled)
    return filled.getvalue()


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


def _bad(what: str, where: str = "", word: str = "", **values: object) -> BadRegistry:
    return BadRegistry([Problem(where, what, word, values)])


def _text(content: bytes, *, chinese: bool = False) -> str:
    """chinese: it may also be GB18030, as spreadsheets in Chinese save CSV."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if chinese:
            try:
                return content.decode("gb18030")
            except UnicodeDecodeError:
                pass
        line = content.count(b"\n", 0, error.start) + 1
        raise _bad(
            "is not UTF-8; a spreadsheet: save it as “CSV UTF-8”, or as XLSX",
            f"line {line}",
            "file_encoding",
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


def _csv(content: bytes) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(_text(content, chinese=True), newline=""), strict=True)
    while True:
        line = reader.line_num + 1  # a quoted cell may go on over several
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _bad(f"is not CSV: {error}", f"line {line}", "file_csv") from error
        yield line, [_without_apostrophe(cell.strip()) for cell in cells]


def _rows(
    lines: Iterable[tuple[int, Sequence[str]]], limits: Limits, table: str = ""
) -> tuple[str, list[Row]]:
    """Which table it is, and its rows: the first line has the names. Empty lines do not count."""
    filled = ((line, cells) for line, cells in lines if any(cells))
    first = next(filled, None)
    if first is None:
        raise _bad("is empty: the first line has the names of the columns", word="file_empty")
    head, written = first
    table = table or table_of(list(written))
    names = [column_of(table, name) for name in written]
    while names and not names[-1]:
        names = names[:-1]
    at = f"line {head}"
    problems = [
        Problem(at, f"the column {name!r} is there twice", "column_twice", {"column": name})
        for name in dict.fromkeys(names)
        if name and names.count(name) > 1
    ]
    problems += [
        Problem(at, f"the column {name!r} is missing", "column_missing", {"column": name})
        for name in _NEEDED[table]
        if name not in names
    ]
    if len(names) > MAX_COLUMNS:
        what = f"{len(names)} columns are more than {MAX_COLUMNS}"
        problems = [Problem(at, what, "file_wide", {"most": MAX_COLUMNS})]
    if problems:
        raise BadRegistry(problems)
    rows: list[Row] = []
    for line, cells in filled:
        if len(rows) == limits.lines:
            what = f"more than {limits.lines} lines are too many for one file"
            raise _bad(what, f"line {line}", "file_long", most=limits.lines)
        named = list(zip_longest(names, cells, fillvalue=""))
        nameless = next((cell for name, cell in named if cell and not name), None)
        if nameless is not None:
            what = f"{nameless[:80]!r} is in a column without a name"
            raise _bad(what, f"line {line}", "column_nameless", text=nameless[:80])
        rows.append((line, {name: cell for name, cell in named if name}))
    return table, rows


def _xlsx(content: bytes, limits: Limits) -> Tables:
    openpyxl = _openpyxl()
    try:
        _check_archive(content, limits)
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
        found: dict[str, Sequence[Row]] = {}
        for table, sheet in _sheets(book):
            sheet.reset_dimensions()  # what the file says of its size may be wrong
            lines = _lines(sheet, limits)
            if table and (first := next(lines, None)) is not None:
                found[table] = _rows(chain([first], lines), limits, table)[1]
            elif not table:
                kind, rows = _rows(lines, limits)
                found[kind] = rows
    except BadRegistry:
        raise
    except Exception as error:  # openpyxl lets out whatever its parsing meets
        what = f"is not a workbook: {type(error).__name__} {str(error)[:120]}"
        raise _bad(what, word="file_workbook") from error
    return found


def _check_archive(content: bytes, limits: Limits) -> None:
    """Raise BadRegistry for a workbook that is small only while it is packed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        unpacked = sum(part.file_size for part in parts)
        if unpacked > limits.unpacked_bytes:
            most = limits.unpacked_bytes // 2**20
            raise _bad(f"unpacks to more than {most} MiB", word="file_bomb", most=most)
        for part in parts:
            text = archive.read(part).replace(b"\0", b"")  # also in UTF-16
            if any(declaration in text for declaration in _DECLARATIONS):
                raise _bad(f"{part.filename[:80]} declares entities", word="file_workbook")


def _sheets(book: Any) -> Iterator[tuple[str, Any]]:
    """The sheets that are called what a table is; the first one where none is."""
    called = {name.casefold(): name for name in book.sheetnames}
    found = False
    for table, names in SHEETS.items():
        for name in (table, *names):
            if name.casefold() in called:
                found = True
                yield table, book[called[name.casefold()]]
                break
    if not found:
        yield "", book.worksheets[0]


def _lines(sheet: Any, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    problems: list[Problem] = []
    for line, cells in enumerate(sheet.iter_rows(), 1):
        if line > 2 * limits.lines:  # also empty ones
            raise _bad(f"has more than {limits.lines} lines", word="file_long", most=limits.lines)
        if len(cells) > 10 * MAX_COLUMNS:
            raise _bad(f"{len(cells)} columns are more than {MAX_COLUMNS}", f"line {line}")
        for cell in cells:
            if cell.data_type == "f":
                what = f"{cell.coordinate} has a formula: write the value itself"
                at = {"cell": cell.coordinate}
                problems.append(Problem(f"line {line}", what, "formula", at))
            elif cell.data_type == "e":
                what = f"{cell.coordinate} has the error {cell.value}"
                at = {"cell": cell.coordinate}
                problems.append(Problem(f"line {line}", what, "cell_error", at))
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
