"""What `courtyard score --live` refuses, and what it plays; tests/integration plays it."""

from dataclasses import replace
from pathlib import Path

import pytest

from courtyard import cli
from courtyard.errors import DONE, FAILED, WRONG_USAGE
from courtyard.grading import Graded, figures_of, grade, tell_graded
from courtyard.simulation import Staged, find_scenario
from tests.simulators.fleets import at


def in_simulated_time(name: str, start: str) -> Graded:
    scenario = replace(find_scenario(name), start_ms=at(start))
    return grade(Staged(scenario, scenario.seed))


@pytest.fixture(scope="module")
def three_minutes() -> Graded:
    return in_simulated_time("live-three-minutes", "2026-11-25T09:00")


def mistakes(graded: Graded) -> list[tuple[str, object]]:
    return [(figure.name, figure.measured) for figure in figures_of(graded) if not figure.held]


@pytest.mark.long
@pytest.mark.parametrize("start", ["2026-11-25T11:10", "2026-11-25T21:05"])
def test_the_half_hour_can_be_graded_by_day_and_by_night(start: str) -> None:
    graded = in_simulated_time("live-half-hour", start)
    assert mistakes(graded) == []
    said = graded.scored
    assert said.due >= 100
    assert said.detected == said.due
    due_safety, found_safety = said.of_safety()
    assert found_safety == due_safety >= 20
    assert list(said.per_cut.values()) == [1, 1, 1, 1]


def test_the_three_minutes_hold_an_offline_fault_and_two_of_the_safety_tier(
    three_minutes: Graded,
) -> None:
    assert mistakes(three_minutes) == []
    said = three_minutes.scored
    assert {code for code, tally in said.codes.items() if tally.detected} >= {
        "GATE_OFFLINE",
        "GATE_READER_OFFLINE",
        "SHED_SMOKE",
        "GATE_DURESS",
    }
    assert said.of_safety() == (2, 2)


def test_a_message_that_is_lost_or_not_accounted_for_fails_a_live_run(
    three_minutes: Graded, capsys: pytest.CaptureFixture[str]
) -> None:
    live = replace(three_minutes, broker="mosquitto", writing_s=175.2, judging_s=4.1)
    assert tell_graded([live], in_json=False) == DONE
    assert "live over mosquitto for 175 s, all judged 4 s after" in capsys.readouterr().out
    assert tell_graded([replace(live, unaccounted=3)], in_json=False) == FAILED
    assert "MISSED  messages that nobody accounts for: 3 (asked: 0)" in capsys.readouterr().out
    assert tell_graded([replace(live, lost=2)], in_json=False) == FAILED
    assert "MISSED  messages lost behind the broker: 2 (asked: 0)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--live", "calm-week"), "troubles of our own: only with --scenario"),
        (("--live", "no-end.toml"), "no duration"),
        (("--live", "nowhere"), "neither a .toml file nor one of"),
        (("--live", "live-three-minutes", "--keep", "."), "not empty; name a new directory"),
        (("--live", "live-three-minutes", "--keep", "no-end.toml"), "name a new directory"),
        (("--live", "live-three-minutes", "--scenario", "all"), "one of --truth, --scenario"),
        (("--scenario", "power-cuts", "--keep", "kept"), "--keep: only with --live"),
        (("--truth", "truth.jsonl", "--seed", "3"), "--seed: not with --truth"),
        ((), "one of --truth, --scenario"),
    ],
)
def test_what_cannot_be_played_live_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no-end.toml").write_text("seed = 4\n", encoding="utf-8")
    assert cli._run(lambda: cli.app(["score", *argv])) == WRONG_USAGE
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["no-end.toml"]
