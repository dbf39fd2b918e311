"""`courtyard report` and what the doctor says of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from api.exports.pieces import PieceLog
from courtyard.doctor import reports
from courtyard.errors import CommandError, UsageError
from courtyard.report import Wanted, run_report
from courtyard.settings import Settings, load_settings
from courtyard.stores import open_operational
from devices.store.database import writing
from tests.api.cast import XIANGYUNLI, a_district
from tests.api.reports.made import text_of


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    settings = load_settings({"COURTYARD_DATA_DIR": str(data_dir)})
    engine = open_operational(settings)
    with writing(engine) as connection:
        a_district(connection)
    engine.dispose()
    return settings


def wanted(**changes: object) -> Wanted:
    values = {
        "compound": XIANGYUNLI,
        "firm": None,
        "month": "2026-10",
        "language": "zh",
        "format": "pdf",
    } | changes
    return Wanted(**values)  # type: ignore[arg-type]


def run(settings: Settings, what: Wanted, out: Path, *, force: bool = False) -> str:
    return run_report(settings, what, out, force=force, tell=lambda _: None)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "data")


def test_a_pdf_of_a_compound(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "october.pdf"
    told = run(settings, wanted(), out)
    assert told.startswith(f"{out}: 2026-10 of {XIANGYUNLI}")
    assert "祥云里" in text_of(out.read_bytes())
    assert left(tmp_path) == ["october.pdf"]


def test_a_spreadsheet_of_a_firm_in_english(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "october.xlsx"
    what = wanted(compound=None, firm="yaxin", language="en", format="xlsx")
    assert "1 compounds" in run(settings, what, out)
    assert openpyxl.load_workbook(out)["Summary"]["A1"].value == "Yaxin"


def test_a_file_that_is_there_is_kept_unless_forced(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "october.xlsx"
    out.write_text("mine")
    what = wanted(format="xlsx")
    with pytest.raises(CommandError, match="--force"):
        run(settings, what, out)
    assert out.read_text() == "mine"
    run(settings, what, out, force=True)
    assert out.read_bytes().startswith(b"PK")
    assert left(tmp_path) == ["october.xlsx"]


def test_what_fails_leaves_nothing_behind(settings: Settings, tmp_path: Path) -> None:
    fonts = tmp_path / "data"
    settings = settings.model_copy(update={"fonts": fonts})
    with pytest.raises(CommandError, match="COURTYARD_FONTS"):
        run(settings, wanted(), tmp_path / "october.pdf")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"compound": "atlantis"}, "no compound 'atlantis'"),
        ({"compound": None, "firm": "nobody"}, "no firm 'nobody'"),
    ],
)
def test_who_is_not_there_is_named(
    settings: Settings, tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        run(settings, wanted(**changes), tmp_path / "x.pdf")


@pytest.mark.parametrize("month", ["2026-13", "October", "2199-01"])
def test_a_month_that_cannot_be_is_wrong_usage(
    settings: Settings, tmp_path: Path, month: str
) -> None:
    with pytest.raises(UsageError, match="--month"):
        run(settings, wanted(month=month), tmp_path / "x.pdf")


def test_where_no_file_can_be_it_says_so(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="make it first"):
        run(settings, wanted(), tmp_path / "nowhere" / "x.pdf")
    with pytest.raises(CommandError, match="is a directory"):
        run(settings, wanted(), tmp_path)


def test_the_doctor_names_the_font_or_what_to_install(tmp_path: Path) -> None:
    (fine,) = reports(load_settings({}))
    assert fine.good is True
    (bad,) = reports(load_settings({"COURTYARD_FONTS": str(tmp_path)}))
    assert bad.good is False
    assert "COURTYARD_FONTS" in bad.text


@pytest.mark.long
def test_ended_in_between_the_same_command_goes_on_with_what_was_read(
    settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "october.xlsx"
    what = wanted(compound=None, firm="yaxin", language="en", format="xlsx")
    environment = {
        **os.environ,
        "COURTYARD_DATA_DIR": str(settings.data_dir),
        "COURTYARD_FAILPOINTS": "O6:kill",
    }
    command = (
        f"{sys.executable} -m courtyard report --firm yaxin --month 2026-10 --format xlsx"
        f" --language en --out {out}"
    ).split()
    died = subprocess.run(command, env=environment, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    assert left(tmp_path) == [".october.xlsx.pieces"]
    told: list[str] = []
    run_report(settings, what, out, force=False, tell=told.append)
    (word,) = told
    assert word.startswith("going on with ")
    assert left(tmp_path) == ["october.xlsx"]


def test_two_commands_for_one_file_are_told_of_each_other(
    settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "october.xlsx"
    other = PieceLog.begin(tmp_path / ".october.xlsx.pieces", b"of another")
    with pytest.raises(CommandError, match="another `courtyard report` writes"):
        run(settings, wanted(format="xlsx"), out)
    other.close()
    run(settings, wanted(format="xlsx"), out)  # what is not of the same is begun anew
    assert left(tmp_path) == ["october.xlsx"]
