"""A report as a spreadsheet: every figure as a number, every text as a string and never a formula.

Written row by row (XlsxWriter's constant_memory): what a row holds is on the disk before the next
one begins, so a firm's compounds by day cost no memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import IO, Any

from api.reports.fonts import ReportsUnusable
from api.reports.model import PARTS, Part, PartName, Period, Report
from api.reports.words import (
    BREAKDOWNS,
    CHARTED,
    IN_TABLES,
    KINDS,
    ROWS,
    Language,
    Row,
    clean,
    corrected_figures,
    instant,
    month_name,
    named,
    number,
    row_of,
    say,
    share,
    subject_name,
    value_name,
)
from devices.days import DISTRICT_ZONE

LONGEST_CELL = 200  # characters of a name; 32,767 is what a cell can hold
LONGEST_TEXT = 2_000  # of a reason, and of what a correction added
_OPTIONS = {
    "constant_memory": True,
    # what `write` would make of a string; `Sheet` writes strings as strings, and this is for
    # whoever adds a cell without it
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}

Cell = str | float | date | datetime | None


def write(report: Report, language: Language, target: IO[bytes]) -> None:
    """The workbook into `target`. Raises ReportsUnusable where XlsxWriter is missing."""
    title = f"{say(language, f'title_{report.subject}')} {report.month}"
    with _book(language, title, _local(report.made_at_ms, report), target) as book:
        _summary(book, report)
        days = _days(book, report)
        _charts(book, report, days)
        _breakdown(book, report)
        _hours(book, report)
        if report.subject == "firm":
            _compounds(book, report)
            _compound_days(book, report)
        _faults(book, report)
        _longest(book, report)
        _corrections(book, report)


def write_table(
    language: Language,
    title: str,
    head: Sequence[tuple[str, int]],
    lines: Iterable[Iterable[Cell]],
    formats: Sequence[str],
    made_at_ms: int,
    target: IO[bytes],
) -> None:
    """A workbook of one table. head: names and widths of the columns; formats: as for a row."""
    made_at = datetime.fromtimestamp(made_at_ms // 1000, DISTRICT_ZONE)
    with _book(language, title, made_at, target) as book:
        sheet = book.add(title, [width for _, width in head])
        sheet.head([name for name, _ in head])
        for line in lines:
            sheet.row(line, formats)


@contextmanager
def _book(language: Language, title: str, made_at: datetime, target: IO[bytes]) -> Iterator["Book"]:
    """A workbook, written into `target` at the end. Raises ReportsUnusable without XlsxWriter."""
    try:
        import xlsxwriter
    except ImportError as error:
        raise ReportsUnusable(
            "XLSX reports need XlsxWriter: install `courtyard[reports]` "
            "(pip install 'courtyard[reports]')"
        ) from error
    with xlsxwriter.Workbook(target, _OPTIONS) as workbook:
        workbook.set_properties(
            {
                "title": title,
                "author": say(language, "product"),
                # else it is the clock's: the same report gives the same file
                "created": made_at.replace(tzinfo=None),
            }
        )
        yield Book(workbook, language)


class Book:
    """A workbook, its formats and its language."""

    def __init__(self, workbook: Any, language: Language) -> None:
        self.workbook = workbook
        self.language = language
        self._formats: dict[str, Any] = {}

    def say(self, word: str, **values: object) -> str:
        return say(self.language, word, **values)

    def sheet(self, word: str, widths: Sequence[int]) -> "Sheet":
        return self.add(self.say(word), widths)

    def add(self, name: str, widths: Sequence[int]) -> "Sheet":
        made = self.workbook.add_worksheet(name)
        made.set_landscape()
        made.set_paper(9)  # A4
        made.fit_to_pages(1, 0)
        made.set_footer("&L&A&R&P / &N")
        for column, width in enumerate(widths):
            made.set_column(column, column, width)
        return Sheet(self, made)

    def format(self, name: str) -> Any:
        """One of: title, head, text, note, date, instant, or a number format."""
        if name not in self._formats:
            look: dict[str, object] = {"valign": "top"}
            match name:
                case "title":
                    look |= {"bold": True, "font_size": 16}
                case "head":
                    look |= {"bold": True, "bottom": 1, "text_wrap": True, "bg_color": "#EEF4F7"}
                case "text":
                    pass
                case "note":
                    look |= {"font_color": "#5C6B7A"}
                case "date":
                    look |= {"num_format": "yyyy-mm-dd", "align": "left"}
                case "instant":
                    look |= {"num_format": "yyyy-mm-dd hh:mm", "align": "left"}
                case _:
                    look |= {"num_format": name}
            self._formats[name] = self.workbook.add_format(look)
        return self._formats[name]


class Sheet:
    """A sheet that is written from its top downwards. at: the next row, from 0."""

    def __init__(self, book: Book, made: Any) -> None:
        self._book = book
        self.made = made
        self.at = 0

    def row(
        self,
        cells: Iterable[Cell],
        formats: Sequence[str] = (),
        text: str = "text",
        longest: int = LONGEST_CELL,
    ) -> None:
        """Writes a row. formats: of the numbers, by column; empty ones are whole numbers.

        A string is written as a string, whatever it begins with; None leaves its cell empty.
        """
        for column, cell in enumerate(cells):
            wanted = formats[column] if column < len(formats) else ""
            match cell:
                case None:
                    pass
                case str():
                    self.made.write_string(
                        self.at, column, clean(cell, longest), self._book.format(text)
                    )
                case datetime():
                    self.made.write_datetime(self.at, column, cell, self._book.format("instant"))
                case date():
                    self.made.write_datetime(self.at, column, cell, self._book.format("date"))
                case _:
                    look = self._book.format(wanted or "#,##0")
                    self.made.write_number(self.at, column, cell, look)
        self.at += 1

    def head(self, cells: Iterable[str], *, fixed: bool = True) -> None:
        """fixed: what is above stays in sight, and is on every printed page."""
        self.row(cells, text="head")
        if fixed:
            self.made.freeze_panes(self.at, 0)
            self.made.repeat_rows(self.at - 1)

    def skip(self) -> None:
        self.at += 1


def _summary(book: Book, report: Report) -> None:
    language = book.language
    sheet = book.sheet("sheet_summary", (26, 26, 16, 14, 14))
    sheet.row([subject_name(language, report)], text="title")
    sheet.row([book.say(f"title_{report.subject}")], text="note")
    sheet.skip()
    month = month_name(language, report.month.year, report.month.number)
    sheet.row([book.say("month_label"), month])
    if report.subject == "compound":
        sheet.row([book.say("firm"), named(language, report.firm)])
    else:
        sheet.row([book.say("compounds"), len(report.compounds)])
    sheet.row([book.say("households"), report.households])
    for kind in KINDS:
        count = report.lamps if kind == "lamp" else report.devices.get(kind, 0)
        if count:
            sheet.row([book.say(f"k_{kind}"), count])
    sheet.row([book.say("status"), book.say(report.total.status.value)])
    sheet.row([book.say("coverage"), report.total.coverage], ("", "0.0%"))
    sheet.row([book.say("made_at", at=instant(report.made_at_ms, report.zone))], text="note")
    for line in _warnings(book, report):
        sheet.row([line])
    sheet.skip()
    sheet.head(
        [book.say(word) for word in ("usage", "figure", "value", "unit", "coverage")], fixed=False
    )
    for name in PARTS:
        part = report.total.parts.get(name)
        if part is None:
            sheet.row([book.say(name), book.say("none_here")], text="note")
            continue
        for row in ROWS[name]:
            if row.key not in part.figures:
                continue
            cells = [
                book.say(name),
                named(language, row.name),
                _value(part, row),
                named(language, row.unit),
                part.coverage,
            ]
            sheet.row(cells, ("", "", _format(row), "", "0.0%"))
        if not part.is_known:
            sheet.row([book.say(name), book.say("part_no_data")], text="note")
    if report.given:
        sheet.skip()
        sheet.head(
            [book.say(word) for word in ("given", "figure", "value", "unit", "coverage")],
            fixed=False,
        )
        for figure in report.given.values():
            cells = [None, named(language, figure.name), figure.value, figure.unit, figure.coverage]
            sheet.row(cells, ("", "", "#,##0.00", "", "0.0%"))
    sheet.skip()
    for note in (
        "note_unknown",
        "note_coverage",
        "note_rate",
        "note_sessions",
        "note_people",
        "note_lamps",
        "provisional_means",
    ):
        sheet.row([book.say(note)], text="note")


def _warnings(book: Book, report: Report) -> list[str]:
    """What has to be known before any figure is read."""
    lines = []
    if report.subject == "firm" and not report.compounds:
        lines.append(book.say("no_compounds"))
    elif not report.total.is_known:
        lines.append(book.say("no_data"))
    if report.total.coverage is None:
        lines.append(book.say("coverage_none"))
    else:
        lines.append(book.say("coverage_is", share=share(report.total.coverage)))
    if not report.month_over:
        lines.append(book.say("month_runs", at=instant(report.made_at_ms, report.zone)))
    if report.synthetic:
        lines.append(book.say("synthetic"))
    return lines


def _shown(period: Period) -> list[tuple[PartName, Row]]:
    return [(part, row_of(part, key)) for part, key in IN_TABLES if part in period.parts]


def _period_head(book: Book, shown: Sequence[tuple[PartName, Row]]) -> list[str]:
    rows = [
        f"{named(book.language, row.name)} ({named(book.language, row.unit)})" for _, row in shown
    ]
    return [book.say("status"), book.say("coverage"), *rows, *_coverage_head(book, shown)]


def _coverage_head(book: Book, shown: Sequence[tuple[PartName, Row]]) -> list[str]:
    """Behind the figures, how sure those of each part are."""
    return [f"{book.say('coverage')} ({book.say(part)})" for part in dict(shown)]


def _period_cells(book: Book, period: Period, shown: Sequence[tuple[PartName, Row]]) -> list[Cell]:
    return [
        book.say(period.status.value),
        period.coverage,
        *(_value(period.parts.get(part), row) for part, row in shown),
        *(period.parts[part].coverage if part in period.parts else None for part in dict(shown)),
    ]


def _period_formats(shown: Sequence[tuple[PartName, Row]]) -> tuple[str, ...]:
    return ("", "0.0%", *(_format(row) for _, row in shown), *("0.0%" for _ in dict(shown)))


def _value(part: Part | None, row: Row) -> float | None:
    """A percentage as the share that it is, everything else in its unit; None for unknown."""
    if part is None or not part.is_known:
        return None
    value = part.figures.get(row.key)
    if value is None:
        return None
    return float(value) * (1.0 if row.unit.en == "%" else row.scale)


def _format(row: Row) -> str:
    decimals = "." + "0" * row.digits if row.digits else ""
    return f"0{decimals}%" if row.unit.en == "%" else f"#,##0{decimals}"


def _days(book: Book, report: Report) -> Mapping[PartName, int]:
    """The sheet by day; the column of what is charted of each part."""
    shown = _shown(report.total)
    sheet = book.sheet("sheet_days", (12, 10, 11, *(14 for _ in shown)))
    sheet.head([book.say("date"), *_period_head(book, shown)])
    for day in report.days:
        formats = ("", *_period_formats(shown))
        sheet.row([day.first, *_period_cells(book, day, shown)], formats)
    columns: dict[PartName, int] = {}
    for n, (part, row) in enumerate(shown):
        if CHARTED[part] == row.key:
            columns[part] = n + 3
    return columns


def _charts(book: Book, report: Report, columns: Mapping[PartName, int]) -> None:
    if not columns or not report.days:
        return
    sheet = book.sheet("sheet_charts", ())
    days = book.say("sheet_days")
    for n, (part, column) in enumerate(columns.items()):
        row = row_of(part, CHARTED[part])
        chart = book.workbook.add_chart({"type": "column"})
        last = len(report.days)
        title = (
            f"{book.say(part)}: {named(book.language, row.name)} ({named(book.language, row.unit)})"
        )
        chart.add_series(
            {
                "name": title,
                "categories": [days, 1, 0, last, 0],
                "values": [days, 1, column, last, column],
                "fill": {"color": "#1F6F8B"},
                "gap": 40,
            }
        )
        chart.set_title({"name": title, "name_font": {"size": 11}})
        chart.set_legend({"none": True})
        chart.set_x_axis({"date_axis": True, "num_format": "d", "major_unit": 1})
        chart.set_y_axis({"min": 0, "num_format": _format(row)})
        chart.set_size({"width": 860, "height": 260})
        sheet.made.insert_chart(n * 14, 0, chart)


def _breakdown(book: Book, report: Report) -> None:
    sheet = book.sheet("sheet_breakdown", (14, 18, 26, 12))
    sheet.head([book.say(word) for word in ("usage", "breakdown", "what", "count")])
    for name in PARTS:
        part = report.total.parts.get(name)
        for of in BREAKDOWNS[name] if part is not None else ():
            assert part is not None
            counts: Mapping[str, int] = part.figures.get(of) or {}
            for value, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
                what = value_name(book.language, of, value)
                sheet.row([book.say(name), book.say(of), what, n])


def _hours(book: Book, report: Report) -> None:
    """Passages by hour of the day, of the whole month."""
    part = report.total.parts.get("gates")
    if not report.by_hour or part is None or not part.is_known:
        return
    sheet = book.sheet("sheet_hours", (12, 14, 14, 14, 11))
    rows = [row_of("gates", key) for key in ("passages", "denied")]
    names = [f"{named(book.language, row.name)} ({named(book.language, row.unit)})" for row in rows]
    sheet.head([book.say("hour_from"), *names, book.say("status"), book.say("coverage")])
    status = book.say(report.total.status.value)
    for hour, (passed, refused) in enumerate(report.by_hour):
        cells: list[Cell] = [f"{hour:02d}:00", passed, refused, status, part.coverage]
        sheet.row(cells, ("", "", "", "", "0.0%"))


def _compounds(book: Book, report: Report) -> None:
    shown = _shown(report.total)
    sheet = book.sheet("sheet_compounds", (26, 20, 10, 10, 11, *(14 for _ in shown), 10))
    head = [book.say(word) for word in ("compound", "code", "households")]
    sheet.head([*head, *_period_head(book, shown), book.say("faults")])
    formats = ("", "", "", *_period_formats(shown))
    for compound in report.compounds:
        cells: list[Cell] = [
            named(book.language, compound.name),
            compound.id,
            compound.households,
            *_period_cells(book, compound.month, shown),
            compound.faults,
        ]
        sheet.row(cells, formats)


def _compound_days(book: Book, report: Report) -> None:
    shown = _shown(report.total)
    sheet = book.sheet("sheet_compound_days", (26, 20, 12, 10, 11, *(14 for _ in shown)))
    head = [book.say(word) for word in ("compound", "code", "date")]
    sheet.head([*head, *_period_head(book, shown)])
    formats = ("", "", "", *_period_formats(shown))
    for compound in report.compounds:
        name = named(book.language, compound.name)
        for day in compound.days:
            sheet.row([name, compound.id, day.first, *_period_cells(book, day, shown)], formats)


def _faults(book: Book, report: Report) -> None:
    faults = report.faults
    sheet = book.sheet("sheet_faults", (8, 26, 26, 10, 10, 16, 16, 16))
    words = ("severity", "code", "fault", "count", "standing")
    times = [
        f"{book.say(word)} ({'小时' if book.language == 'zh' else 'h'})"
        for word in ("total_time", "mean_time", "longest_time")
    ]
    sheet.head([*(book.say(word) for word in words), *times])
    formats = ("", "", "", "", "", "#,##0.0", "#,##0.0", "#,##0.0")
    for line in faults.counts:
        cells: list[Cell] = [
            book.say(line.severity.value.lower()),
            line.code,
            named(book.language, line.name),
            line.count,
            line.standing,
            line.total_s / 3600,
            line.total_s / 3600 / line.count,
            line.longest_s / 3600,
        ]
        sheet.row(cells, formats)
    if not faults.counts:
        sheet.row([book.say("faults_none")], text="note")
    sheet.skip()
    left_out = {
        word: number(getattr(faults, word)) for word in ("suppressed", "suspected", "refuted")
    }
    sheet.row([book.say("faults_note", **left_out)], text="note")


def _longest(book: Book, report: Report) -> None:
    sheet = book.sheet("sheet_longest", (8, 26, 26, 24, 28, 17, 17, 12, 34))
    words = ("severity", "code", "fault", "compound", "place", "since", "until")
    lasted = f"{book.say('lasted')} ({'小时' if book.language == 'zh' else 'h'})"
    sheet.head([*(book.say(word) for word in words), lasted, "ID"])
    for fault in report.faults.longest:
        ended = book.say("still")
        cells: list[Cell] = [
            book.say(fault.severity.value.lower()),
            fault.code,
            named(book.language, fault.name),
            named(book.language, fault.compound),
            fault.place,
            _local(fault.since_ms, report).replace(tzinfo=None),
            ended
            if fault.ended_at_ms is None
            else _local(fault.ended_at_ms, report).replace(tzinfo=None),
            fault.duration_s / 3600,
            fault.id,
        ]
        sheet.row(cells, ("", "", "", "", "", "", "", "#,##0.0"))
    if not report.faults.longest:
        sheet.row([book.say("faults_none")], text="note")


def _corrections(book: Book, report: Report) -> None:
    """Of final days; a month without any has no such sheet."""
    if not report.corrections:
        return
    sheet = book.sheet("sheet_corrections", (12, 24, 60, 60, 24, 17, 10))
    words = ("date", "compound", "added", "reason", "by", "at", "revision")
    sheet.head([book.say(word) for word in words])
    for one in report.corrections:
        added = corrected_figures(book.language, one)
        if one.is_recount:
            added = f"{book.say('corrected_recount')}: {added}"
        cells: list[Cell] = [
            one.day,
            named(book.language, one.compound),
            added,
            one.reason,
            one.by,
            _local(one.at_ms, report).replace(tzinfo=None),
            one.revision,
        ]
        sheet.row(cells, longest=LONGEST_TEXT)
    if report.corrections_total > len(report.corrections):
        more = number(report.corrections_total - len(report.corrections))
        sheet.row([book.say("corrections_left_out", more=more)], text="note")


def _local(at_ms: int, report: Report) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, report.zone)
