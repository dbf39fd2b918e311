"""What can be read in the PDF. It needs typst and a Chinese font; without them these fail."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from api.reports.fonts import ReportsUnusable, best_of, find_font
from api.reports.model import Faults
from api.reports.pdf import document, pictures, render
from devices.registry import Name
from tests.api.reports.made import (
    HOSTILE,
    a_day,
    a_firms_report,
    a_report,
    an_empty_report,
    given,
    pages_of,
    some_corrections,
    some_faults,
    text_of,
)


@pytest.fixture(scope="module")
def in_chinese() -> bytes:
    return render(a_report(), "zh")


@pytest.fixture(scope="module")
def text_in_chinese(in_chinese: bytes) -> str:
    return text_of(in_chinese)


def test_it_says_in_chinese_whose_it_is_and_what_the_figures_are(text_in_chinese: str) -> None:
    for expected in (
        "小区运行月报",
        "祥云里",
        "2026年11月",
        "亚新",
        "通行次数12,345次",
        "充电量456.8kWh",
        "充电金额987.65元",
        "亮灯率98.8%",
        "人脸10,000",
        "用量来自93.1%的应收数据",
        "烟雾报警",
        "另有已归并3处、疑似2处、误报1处",
    ):
        assert expected in text_in_chinese, expected


def test_passages_by_hour_are_bars_below_those_by_day() -> None:
    report = a_report(by_hour=[(n, 0) for n in range(24)])
    (gates, *others) = document(report, "zh")["parts"]
    assert [bar["label"] for bar in gates["hours"]["bars"]] == [str(n) for n in range(24)]
    assert gates["hours"]["bars"][23] == {"label": "23", "height": 1.0, "provisional": True}
    assert [part["hours"] for part in others] == [None, None]
    assert document(an_empty_report(by_hour=[(0, 0)] * 24), "zh")["parts"][0]["hours"] is None
    assert "各时段通行次数" in text_of(render(report, "zh"))


def test_it_says_the_same_in_english() -> None:
    text = text_of(render(a_report(), "en"))
    for expected in (
        "Monthlyreportofacompound",
        "Xiangyunli",
        "November2026",
        "Passages12,345n",
        "Fee987.65CNY",
        "Usagefrom93.1%oftheexpecteddata.",
        "Face10,000",
        "Smoke",
    ):
        assert expected in text, expected
    assert "通行次数" not in text


def test_what_is_not_known_is_a_dash_and_not_zero(text_in_chinese: str) -> None:
    assert "翻台率—次/日" in text_in_chinese


def test_provisional_days_are_marked_and_final_ones_are_not(text_in_chinese: str) -> None:
    assert "暂定" in text_in_chinese
    assert "11-21*" in text_in_chinese
    assert "11-20*" not in text_in_chinese
    assert "本月尚未结束：数据截至2026-11-2319:42" in text_in_chinese
    done = document(an_empty_report(), "zh")
    assert [mark["text"] for mark in done["marks"]] == ["已定稿"]


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("zh", "本月没有收到任何数据：用量未知，不是零。"),
        ("en", "Nodatawasreceivedinthismonth:usageisunknown,notzero."),
    ],
)
def test_a_month_without_data_says_so_in_words_and_shows_no_zeros(language: str, says: str) -> None:
    report = an_empty_report()
    text = text_of(render(report, language))  # type: ignore[arg-type]
    assert says in text
    assert "12,345" not in text
    days = document(report, "zh")["days"]["rows"]
    assert days[0] == ["09-01", *["0.0 %"] * 3, *["—"] * 7]  # a coverage of each part
    assert {bar["height"] for bar in document(report, "zh")["parts"][0]["chart"]["bars"]} == {None}


def test_of_a_kind_that_is_not_there_nothing_is_shown() -> None:
    report = a_report()
    kept = {"gates": report.total.parts["gates"]}
    report = replace(
        report,
        total=replace(report.total, parts=kept),
        days=[replace(day, parts=kept) for day in report.days],
    )
    text = text_of(render(report, "zh"))
    assert "通行次数" in text
    assert "充电量" not in text


def test_no_faults_are_told_in_words() -> None:
    assert "本月没有新发生的故障" in text_of(render(a_report(faults=Faults()), "zh"))


def test_every_page_has_its_number() -> None:
    pages = pages_of(render(a_firms_report([f"小区{n}" for n in range(75)]), "zh"))
    assert len(pages) >= 3
    for n, page in enumerate(pages, 1):
        assert re.search(rf"\b{n}\s*/\s*{len(pages)}\b", page), f"page {n}"


def test_figures_made_elsewhere_are_shown_with_their_coverage(text_in_chinese: str) -> None:
    text = text_of(render(a_report(given=given()), "zh"))
    assert "门禁可用率99.2%98.0%" in text or "门禁可用率99.3%98.0%" in text
    assert "平均修复时间——" in text
    assert "可用率与响应" not in text_in_chinese


@pytest.mark.parametrize("name", HOSTILE[:4], ids=range(4))
def test_markup_in_a_name_is_shown_and_not_obeyed(name: str) -> None:
    report = a_report(name=Name(name, name), faults=some_faults(place=name))
    text = text_of(render(report, "zh"))
    shown = "".join(name.split())
    assert text.count(shown) >= 2


@pytest.mark.parametrize(("n", "name"), list(enumerate(HOSTILE)), ids=range(len(HOSTILE)))
def test_no_name_can_break_a_report(n: int, name: str) -> None:
    """The languages share the template: each name in one of them."""
    report = a_firms_report([name], name=Name(name, name), faults=some_faults(place=name))
    made = render(report, "en" if n % 2 else "zh")
    assert made.startswith(b"%PDF-")
    assert len(pages_of(made)) <= 5
    assert "root:" not in text_of(made)


def test_a_name_without_blanks_stays_within_the_page() -> None:
    shown = document(a_report(name=Name("W" * 10_000, "x")), "zh")["name"]
    assert max(len(piece) for piece in shown.split("\u200b")) <= 15


def test_a_reason_from_a_device_cannot_break_it_either() -> None:
    report = a_report()
    gates = replace(
        report.total.parts["gates"], figures={"passages": 1, "by_method": {HOSTILE[0]: 1}}
    )
    total = replace(report.total, parts={"gates": gates})
    text = text_of(render(replace(report, total=total), "zh"))
    assert '#panic("x")' in text


def test_the_same_report_is_the_same_file(in_chinese: bytes) -> None:
    assert render(a_report(), "zh") == in_chinese


def test_a_page_can_be_had_as_a_picture(in_chinese: bytes) -> None:
    made = pictures(a_report(), "zh", ppi=30)
    assert all(picture.startswith(b"\x89PNG") for picture in made)
    assert len(made) == len(pages_of(in_chinese))


def test_a_month_that_has_just_begun_has_one_day() -> None:
    report = a_report(days=[a_day(1)])
    assert "11-01" in text_of(render(report, "zh"))


# Fonts


def test_the_best_chinese_font_is_taken() -> None:
    assert best_of(["Arial", "SimSun", "noto sans cjk sc"]) == "noto sans cjk sc"


def test_without_a_chinese_font_it_says_what_to_install() -> None:
    with pytest.raises(ReportsUnusable, match=r"apt install fonts-noto-cjk.*COURTYARD_FONTS"):
        best_of(["DejaVu Sans", "New Computer Modern"])


def test_a_directory_without_a_chinese_font_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportsUnusable, match=f"COURTYARD_FONTS: {tmp_path} has no Chinese font"):
        find_font(tmp_path)
    with pytest.raises(ReportsUnusable, match="is no directory"):
        find_font(tmp_path / "nothing")


def test_a_font_of_a_directory_is_taken(tmp_path: Path) -> None:
    system = find_font(None)
    (path,) = {
        font.path
        for font in system.found.fonts()
        if font.family == system.family and font.weight == 400
    }
    assert path is not None
    (tmp_path / Path(path).name).symlink_to(path)
    assert find_font(tmp_path).family == system.family
    assert "祥云里" in text_of(render(a_report(), "zh", tmp_path))


def test_corrections_of_final_days_are_listed_with_their_reasons(text_in_chinese: str) -> None:
    report = a_report(corrections=some_corrections(), corrections_total=2)
    text = text_of(render(report, "zh"))
    for expected in ("定稿后的更正", "充电量-1.50kWh", "电表更换", "网关补传", "按读数重算"):
        assert expected in text, expected
    text = text_of(render(report, "en"))
    assert "Correctionsafterthefigureswerefinal" in text
    assert "定稿后的更正" not in text_in_chinese


@pytest.mark.long
def test_hostile_reasons_are_shown_and_do_nothing() -> None:
    for text in HOSTILE:
        corrections = [one for _ in range(30) for one in some_corrections(text, text)]
        report = a_firms_report(["甲"], corrections=corrections, corrections_total=90)
        made = text_of(render(report, "zh"))
        assert "另有50条，见电子表格。" in made
