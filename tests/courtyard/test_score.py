"""An hour of a few compounds, played, judged and graded; and a score that shows what is wrong."""

import json
from pathlib import Path

import pytest

from chaos.misjudged import lost_child, muted_safety, off_by, told_children
from courtyard import cli
from courtyard.errors import DONE, FAILED, WRONG_USAGE
from courtyard.grading import Graded, figures_of, grade
from courtyard.score import read_truth
from courtyard.simulation import Staged, find_scenario
from simulators.scenario import read
from simulators.scoring import NOT_INJECTED, SIMULATED

pytestmark = [pytest.mark.long]

AN_HOUR = """
about = "An hour of an evening in which a little of everything happens."
compounds = 3
start = 2026-11-23T18:30:00+08:00
duration = "1h25m"
seed = 5
profile = "graded"

[[inject]]
fact = "door_held_open"
where = "any of jiaogong-xiaoqu"
at = "18:40"
lasts = "6m"

[[inject]]
fact = "reader_lost"
where = "any of xiangyunli"
at = "18:45"
lasts = "8m"

[[inject]]
fact = "smoke"
where = "any of jiaogong-xiaoqu"
at = "18:50"
lasts = "5m"

[[inject]]
fact = "duress"
where = "any of xiangyunli"
at = "18:56"

[[inject]]
fact = "gate_silent"
where = "any of jiaogong-xiaoqu"
at = "19:10"
lasts = "8m"

# A gate of that compound does not come back with the power.
[[inject]]
fact = "power_cut"
where = "yaxin-meihao-xinyuan"
at = "18:42"
lasts = "15m"
with = { breaks_min = 40 }

[[ours]]
trouble = "receive_down"
at = "19:25"
lasts = "4m"
"""


def an_hour(**options: object) -> Graded:
    scenario = read(AN_HOUR, "an-hour.toml")
    return grade(Staged(scenario, scenario.seed), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def well_judged() -> Graded:
    return an_hour()


def missed(graded: Graded) -> set[str]:
    return {found.code for found in graded.scored.missed}


def test_an_hour_is_judged_without_a_miss_and_without_a_false_alarm(well_judged: Graded) -> None:
    said = well_judged.scored
    assert well_judged.not_injected == 0
    assert well_judged.messages > 2_500
    assert missed(well_judged) == set()
    assert [(found.code, found.subject) for found in said.false] == []
    assert said.wrong == said.early == said.extra_children == []
    assert said.due >= 7
    assert said.of_safety() == (2, 2)
    assert set(said.per_cut.values()) == {1}
    assert said.alertable <= 1.2 * said.roots
    assert max(said.delays_s()) <= 10.0
    assert [figure.name for figure in figures_of(well_judged) if not figure.held] == []


def test_a_child_that_outlasts_its_root_is_told_for_itself(well_judged: Graded) -> None:
    broken = [fact for fact in well_judged.facts if fact.kind == "gate_silent"]
    assert len(broken) == 2
    assert well_judged.scored.codes["GATE_OFFLINE"].detected == 2


def test_the_same_seed_gives_the_same_score(well_judged: Graded) -> None:
    again = an_hour()
    assert again.scored == well_judged.scored
    assert again.facts == well_judged.facts


@pytest.mark.parametrize("code", ["GATE_READER_OFFLINE", "GATE_HELD_OPEN"])
def test_a_rule_that_is_late_shows_in_its_delay(code: str) -> None:
    said = an_hour(rules=off_by(code, 90.0))
    assert max(said.scored.codes[code].delays_s) > 80.0
    late = {figure.name for figure in figures_of(said) if not figure.held}
    assert late == {"delay beyond the rule's own, p95 in s"}


def test_a_rule_that_is_hasty_shows_as_early() -> None:
    said = an_hour(rules=off_by("GATE_READER_OFFLINE", -45.0))
    assert [found.code for found in said.scored.early] == ["GATE_READER_OFFLINE"]


def test_a_child_that_is_lost_with_its_root_shows_as_missed() -> None:
    with lost_child():
        said = an_hour()
    assert missed(said) == {"GATE_OFFLINE"}


def test_children_that_are_told_besides_their_root_show_as_too_many() -> None:
    with told_children():
        said = an_hour()
    assert len(said.scored.extra_children) >= 3
    assert max(said.scored.per_cut.values()) >= 4


def test_a_muted_safety_fault_shows_as_missed() -> None:
    with muted_safety():
        said = an_hour()
    assert missed(said) == {"SHED_SMOKE", "GATE_DURESS"}
    assert said.scored.of_safety() == (2, 0)


# -- the command line


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("COURTYARD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COURTYARD_LOG", "json")
    return tmp_path


def run(*argv: str) -> int:
    return cli._run(lambda: cli.app(list(argv)))


def test_a_scenario_file_is_graded_in_json_and_fails_where_a_figure_is_missed(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings / "an-hour.toml"
    file.write_text(AN_HOUR, encoding="utf-8")
    with lost_child():
        assert run("score", "--scenario", str(file), "--json") == FAILED
    said = json.loads(capsys.readouterr().out)["an-hour"]
    assert said["seed"] == 5
    assert said["score"]["missed"]["count"] == 1
    assert any(not figure["held"] for figure in said["figures"])
    assert not list(settings.glob("data/*.db"))  # it has a directory of its own


def test_a_journal_and_its_truth_are_written_and_scored_against_the_database(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, truth = settings / "an-hour.toml", settings / "truth.jsonl"
    file.write_text(AN_HOUR, encoding="utf-8")
    journal = ("--journal", str(settings / "j.db"), "--duration", "20m")
    assert run("simulate", "--scenario", str(file), *journal, "--truth", str(truth)) == DONE
    assert b'"kind":"simulated"' in truth.read_bytes()
    # nothing was judged into this database: everything that was due is missed
    assert run("registry", "import", "erqi", "--compounds", "3") == DONE
    capsys.readouterr()
    assert run("score", "--truth", str(truth), "--json") == DONE
    said = json.loads(capsys.readouterr().out)
    assert said["due"] >= 2
    assert said["detected"] == 0


def test_a_truth_says_which_injections_befell_nobody(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, truth = settings / "noon.toml", settings / "truth.jsonl"
    file.write_text(
        "compounds = 1\nstart = 2026-11-23T12:00:00+08:00\nduration = '5m'\n"
        "[[inject]]\nfact = 'lamp_cycles'\nat = '+1m'\nlasts = '2m'\n",
        encoding="utf-8",
    )
    journal = ("--journal", str(settings / "j.db"))
    assert run("simulate", "--scenario", str(file), *journal, "--truth", str(truth)) == DONE
    assert b'"detail":{"fact":"lamp_cycles"}' in truth.read_bytes()
    assert [fact.kind for fact in read_truth(truth)] == [SIMULATED, NOT_INJECTED]
    assert run("registry", "import", "erqi", "--compounds", "1") == DONE
    capsys.readouterr()
    assert run("score", "--truth", str(truth), "--json") == DONE
    assert json.loads(capsys.readouterr().out)["facts"] == {}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no fact 'simulated'"),
        ("smoke\n", "line 1: no fact"),
        (
            '\n{"id":"1","kind":"comet","scope":"x","start":"2026-11-23T00:00:00Z",'
            '"end":"2026-11-23T00:00:00Z"}\n',
            "line 2: 'comet' is no kind of fact",
        ),
    ],
)
def test_a_truth_file_that_cannot_be_used_is_refused_with_its_line(
    settings: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    file = settings / "truth.jsonl"
    file.write_text(content, encoding="utf-8")
    assert run("score", "--truth", str(file)) == FAILED
    assert told in capsys.readouterr().err


def test_a_bad_scenario_file_is_refused_with_line_key_and_form(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings / "bad.toml"
    file.write_text('seed = 1\nduration = "soon"\n', encoding="utf-8")
    assert run("simulate", "--scenario", str(file), "--journal", str(settings / "j.db")) == FAILED
    assert "bad.toml, line 2: duration: 'soon': expected a duration" in capsys.readouterr().err
    assert not (settings / "j.db").exists()


def test_troubles_of_our_own_cannot_be_played_live(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("simulate", "--scenario", "calm-week") == WRONG_USAGE
    assert "only with --journal" in capsys.readouterr().err


def test_every_graded_scenario_is_there() -> None:
    from courtyard.grading import GRADED

    for name in GRADED:
        assert find_scenario(name).start_ms is not None
