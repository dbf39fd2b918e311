"""A day of one compound through all parts, and its figures held against what really happened."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chaos.misjudged import counted_twice, dropped_delta, ignored_lateness
from courtyard import cli
from courtyard.errors import FAILED, WRONG_USAGE
from courtyard.simulation import Staged, find_scenario
from courtyard.usage_grading import USUAL, UsageGraded, as_json, as_text, grade_usage
from simulators.scenario import read
from simulators.truth import Fact
from simulators.usage_scoring import Row

A_DAY = """
about = "A day: late buffers, a power cut, resets, a rollover, duplicates and shuffles."
compounds = 1
start = 2026-11-30T10:00:00+08:00
duration = "44h"
seed = 7
profile = "graded"

[[inject]]
fact = "register_rolls_over"
at = "+1s"

[[inject]]
fact = "restart"
at = "+8h"
count = 6
every = "4h"

[[inject]]
fact = "modem_lost"
at = "+31h"
lasts = "4h"

[[inject]]
fact = "gateway_lost"
at = "+22h"
lasts = "3h"

[[inject]]
fact = "power_cut"
at = "+27h"
lasts = "50m"

[[inject]]
fact = "repeats"
at = "+16h"
lasts = "5h"
with = { share = 0.3 }

[[ours]]
trouble = "duplicates"
at = "08:00"
lasts = "4h"
with = { share = 0.3 }

[[ours]]
trouble = "disorder"
at = "14:30"
lasts = "2h"
with = { window = 60 }

[[ours]]
trouble = "receive_down"
at = "1d 06:00"
lasts = "8m"
"""

LOSSES = """
[[ours]]
trouble = "session_lost"
at = "+32h"
lasts = "50m"

[[ours]]
trouble = "losses"
at = "+34h"
lasts = "3h"
with = { share = 0.1 }
"""


def a_day(text: str = A_DAY, directory: Path | None = None) -> UsageGraded:
    scenario = read(text, "a-day.toml")
    return grade_usage(Staged(scenario, scenario.seed), directory=directory)


def rows_of(graded: UsageGraded) -> dict[str, Row]:
    return {row.figure.name: row for row in graded.rows}


def missed(graded: UsageGraded) -> set[str]:
    return {row.figure.name for row in graded.missed}


@pytest.mark.long
def test_a_day_on_which_everything_arrived_is_exact(tmp_path: Path) -> None:
    graded = a_day(directory=tmp_path)
    rows = rows_of(graded)
    assert graded.not_injected == graded.lost == 0
    assert graded.late_hours > 50, "late data had hours worked out again"
    assert missed(graded) == set()
    assert len(graded.days) == 1
    for name in ("passages", "refused", "sessions"):
        assert rows[name].told == rows[name].true
        assert rows[name].true > 0
    for name in ("charged kWh", "lighting kWh"):
        assert rows[name].told == pytest.approx(rows[name].true, rel=0.005)
        assert rows[name].true > 3
    # what the simulators did is written down for whoever wants to add it up by hand
    facts = [Fact.read(line) for line in (tmp_path / "truth.jsonl").read_bytes().splitlines()]
    flowed = sum(
        float(fact.detail.get("energy_wh", 0))
        for fact in facts
        if fact.kind == "used"
        and "-p" in fact.scope
        and graded.days[0] <= fact.start_ms < graded.days[0] + 86_400_000
    )
    assert flowed / 1000 == pytest.approx(rows["charged kWh"].true)
    said = "\n".join(as_text(graded))
    assert "held    sessions" in said
    assert json.dumps(as_json(graded))


@pytest.mark.long
def test_of_a_day_with_losses_no_more_is_missing_than_its_coverage_says() -> None:
    graded = a_day(A_DAY + LOSSES)
    rows = rows_of(graded)
    assert graded.lost > 300
    assert missed(graded) == set()
    passages = rows["passages"]
    assert passages.lossy_days == 1
    assert passages.told < passages.true
    assert passages.coverage is not None
    assert passages.coverage < 0.97
    assert 0 < passages.lossy_off < 2 * passages.allowed


@pytest.mark.long
@pytest.mark.parametrize(
    ("planted", "shows"),
    [
        (dropped_delta, {"charged kWh", "lighting kWh"}),
        (ignored_lateness, {"sockets in use h"}),
    ],
)
def test_a_bug_that_is_planted_shows(
    planted: Callable[[], AbstractContextManager[None]], shows: set[str]
) -> None:
    with planted():
        graded = a_day()
    assert missed(graded) == shows


def test_the_month_is_there_and_has_every_day_of_one() -> None:
    scenario = find_scenario(USUAL)
    assert scenario.start_ms is not None
    assert (scenario.duration_ms or 0) // 86_400_000 == 31
    kinds = {plan.kind for plan in scenario.plans} | {plan.kind for plan in scenario.ours}
    assert kinds >= {
        "register_rolls_over", "restart", "board_restarts", "power_cut", "modem_lost",
        "gateway_lost", "repeats", "duplicates", "disorder", "losses", "session_lost",
    }  # fmt: skip


# -- the command line


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("COURTYARD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COURTYARD_LOG", "json")
    return tmp_path


def run(*argv: str) -> int:
    return cli._run(lambda: cli.app(list(argv)))


def test_a_scenario_without_a_whole_day_is_refused(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings / "short.toml"
    file.write_text(A_DAY.replace('"44h"', '"20h"').split("[[inject]]")[0], encoding="utf-8")
    assert run("score", "--usage", str(file)) == WRONG_USAGE
    assert "no whole day" in capsys.readouterr().err


def test_one_thing_at_a_time_is_scored(settings: Path) -> None:
    assert run("score", "--usage", USUAL, "--scenario", "power-cuts") == WRONG_USAGE
    assert run("score", "--scenario", "power-cuts", "--keep", str(settings / "x")) == WRONG_USAGE


def test_a_directory_that_is_there_is_not_written_into(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("score", "--usage", USUAL, "--keep", str(settings)) == FAILED
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.long
def test_sessions_that_count_twice_show_and_the_score_fails_in_json(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings / "a-day.toml"
    file.write_text(A_DAY, encoding="utf-8")
    with counted_twice():
        assert run("score", "--usage", str(file), "--json") == FAILED
    said = json.loads(capsys.readouterr().out)
    assert said["held"] is False
    wrong = [figure for figure in said["figures"] if not figure["held"]]
    assert [figure["figure"] for figure in wrong] == ["sessions"]
    assert wrong[0]["off_days"][0]["told"] == 2 * wrong[0]["off_days"][0]["true"]
