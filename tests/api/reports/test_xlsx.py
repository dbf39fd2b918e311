"""The spreadsheet, read back with another library."""

import io
import re
import zipfile
from dataclasses import replace
from datetime import datetime

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from api.reports.model import Report
from api.reports.words import Language
from api.reports.xlsx import write
from devices.registry import Name
from tests.api.reports.made import (
    HOSTILE,
    a_firms_report,
    a_report,
    an_empty_report,
    given,
    some_corrections,
    some_faults,
)

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", '=HYPERLINK("http://evil.example")')


def made(report: Report, language: Language = "zh") -> bytes:
    target = io.BytesIO()
    write(report, language, target)
    return target.getvalue()


def opened(report: Report, language: Language = "zh") -> dict[str, Worksheet]:
    book = openpyxl.load_workbook(io.BytesIO(made(report, language)))
    return {sheet.title: sheet for sheet in book}


def rows(sheet: Worksheet) -> list[tuple[object, ...]]:
    return list(sheet.iter_rows(values_only=True))


def test_the_figures_are_numbers_with_their_unit_and_coverage() -> None:
    summary = rows(opened(a_report())["概要"])
    assert summary[0][0] == "祥云里"
    assert ("门禁", "通行次数", 12_345, "次", 0.93) in summary
    assert ("充电", "充电金额", 987.65, "元", 0.93) in summary
    assert ("照明", "亮灯率", 0.9876, "%", 0.93) in summary
    assert ("充电", "翻台率", None, "次/日", 0.93) in summary


def test_passages_by_hour_have_a_sheet_where_there_are_gates() -> None:
    by_hour = [(n * 10, n) for n in range(24)]
    sheet = rows(opened(a_report(by_hour=by_hour), "en")["Passages by hour"])
    assert sheet[0] == ("From", "Passages (n)", "Refused (n)", "Status", "Coverage")
    assert sheet[8] == ("07:00", 70, 7, "Provisional", 0.93)
    assert len(sheet) == 25
    assert "Passages by hour" not in opened(an_empty_report(by_hour=[(0, 0)] * 24), "en")


def test_the_sheets_of_a_compound_and_of_a_firm() -> None:
    assert list(opened(a_report())) == ["概要", "逐日", "图表", "构成", "故障", "历时最长"]
    assert list(opened(a_firms_report(["甲", "乙"]), "en")) == [
        "Summary",
        "Days",
        "Charts",
        "Breakdown",
        "Compounds",
        "Compounds by day",
        "Faults",
        "Longest",
    ]


def test_each_day_says_its_status_and_coverage() -> None:
    days = rows(opened(a_report())["逐日"])
    assert days[0][:4] == ("日期", "状态", "数据完整率", "通行次数 (次)")
    assert days[20][:4] == (datetime(2026, 11, 20), "已定稿", 0.9, 12_345)
    assert days[21][:3] == (datetime(2026, 11, 21), "暂定", 0.9)
    heads = ["数据完整率 (门禁)", "数据完整率 (充电)", "数据完整率 (照明)"]
    assert (list(days[0][-3:]), days[20][-3:]) == (heads, (0.93, 0.93, 0.93))
    assert len(days) == 24


def test_a_firms_compounds_by_day_are_all_there() -> None:
    sheets = opened(a_firms_report(["甲", "乙", "丙"]))
    assert len(rows(sheets["小区"])) == 4
    assert len(rows(sheets["小区逐日"])) == 1 + 3 * 23
    assert rows(sheets["小区"])[1][:3] == ("甲", "c-0", 100)


def test_charts_are_drawn_from_the_sheet_by_day() -> None:
    with zipfile.ZipFile(io.BytesIO(made(a_report()))) as archive:
        charts = [name for name in archive.namelist() if name.startswith("xl/charts/chart")]
        texts = [archive.read(name).decode() for name in charts]
    assert len(charts) == 3
    for text, column in zip(texts, "DGI", strict=True):
        assert f"逐日!${column}$2:${column}$24" in text


def test_a_month_without_data_says_so_in_words_and_has_no_zeros() -> None:
    sheets = opened(an_empty_report())
    texts = [row[0] for row in rows(sheets["概要"])]
    assert "本月没有收到任何数据：用量未知，不是零。" in texts
    assert {cell for row in rows(sheets["逐日"])[1:] for cell in row[3:-3]} == {None}
    assert rows(sheets["故障"])[1][0] == "本月没有新发生的故障。"


def test_figures_made_elsewhere_are_in_the_summary() -> None:
    summary = rows(opened(a_report(given=given()), "en")["Summary"])
    assert (None, "Gate availability", 99.25, "%", 0.98) in summary
    assert (None, "MTTR", None, "h", None) in summary


def test_faults_are_in_hours() -> None:
    sheets = opened(a_report())
    assert rows(sheets["故障"])[2][:7] == (
        "一般",
        "GATE_OFFLINE",
        "门禁离线",
        4,
        1,
        pytest.approx(190_000 / 3600),
        pytest.approx(190_000 / 3600 / 4),
    )
    longest = rows(sheets["历时最长"])[1]
    assert longest[4:7] == ("1号棚", datetime(2026, 11, 21, 17, 42, 10), "未恢复")


@pytest.mark.parametrize("name", [*FORMULAS, *HOSTILE], ids=range(15))
def test_no_name_becomes_a_formula_or_a_link(name: str) -> None:
    report = a_firms_report(
        [name], name=Name(name, name), firm=Name(name, name), faults=some_faults(place=name)
    )
    gates = replace(report.total.parts["gates"], figures={"by_method": {name: 1}})
    report = replace(report, total=replace(report.total, parts={"gates": gates}))
    body = made(report)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        sheets = [n for n in archive.namelist() if n.startswith("xl/worksheets/")]
        for sheet in sheets:
            text = archive.read(sheet).decode()
            assert "<f>" not in text, sheet
            assert "<f " not in text, sheet
            assert "hyperlink" not in text, sheet
    for sheet in openpyxl.load_workbook(io.BytesIO(body)):
        for cell in (cell for row in sheet.iter_rows() for cell in row):
            assert cell.data_type != "f", (sheet.title, cell.coordinate)
            assert not (
                isinstance(cell.value, str) and re.search("[\x00-\x08\x0b-\x1f]", cell.value)
            )


@pytest.mark.parametrize("name", FORMULAS[:4], ids=range(4))
def test_what_looks_like_a_formula_is_kept_as_its_text(name: str) -> None:
    compounds = rows(opened(a_firms_report([name]))["小区"])
    assert compounds[1][0] == name


def test_the_same_report_is_the_same_file() -> None:
    assert made(a_report()) == made(a_report())


def test_corrections_of_final_days_are_listed_with_their_reasons() -> None:
    report = a_report(corrections=some_corrections(), corrections_total=2)
    head, late, stated = rows(opened(report)["更正"])
    assert head[:4] == ("日期", "小区", "更正内容", "原因")
    assert late == (
        datetime(2026, 11, 10),
        "祥云里",
        "按读数重算: 门禁: 通行次数 +12 次; 插座: 充电金额 +2.50 元, 占用时长 +1.25 小时",
        "网关补传",
        "li-min",
        datetime(2026, 11, 23, 19, 42, 10),
        2,
    )
    assert stated[2] == "1号棚 02号插座: 充电量 -1.50 kWh, 充电次数 +1 次, 充满自停 +1"
    english = str(rows(opened(report, "en")["Corrections"])[2][2])
    assert english.startswith("1号棚 02号插座: Energy charged -1.50 kWh, Charging sessions +1 n")


def test_a_reason_that_looks_like_a_formula_is_a_text() -> None:
    for text in (*FORMULAS, *HOSTILE):
        report = a_report(corrections=some_corrections(text, text), corrections_total=2)
        sheet = opened(report)["更正"]
        assert all(cell.data_type != "f" for line in sheet.iter_rows() for cell in line)


def test_what_is_not_listed_is_counted() -> None:
    report = a_report(corrections=some_corrections(), corrections_total=5)
    assert rows(opened(report)["更正"])[-1][0] == "另有 3 条未列出，见 API。"
