"""A scenario file is taken as a whole or refused as a whole, and then it says where and why."""

from pathlib import Path

import pytest

import simulators
from simulators.anomalies import BY_KIND
from simulators.profiles import DAY_MS
from simulators.scenario import BadScenario, Scenario, read
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, at

BUNDLED = sorted((Path(simulators.__file__).parent / "scenarios").glob("*.toml"))

HEAD = """about = "A small one"
compounds = 5
start = 2026-11-23T18:00:00+08:00
duration = "1d2h"
seed = 9
"""


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(BadScenario) as refused:
        read(text, "made.toml")
    return [(problem.line, problem.key, problem.text) for problem in refused.value.problems]


def test_what_a_file_says_is_what_is_played() -> None:
    scenario = read(
        HEAD
        + """rates = "demo"
rates_times = 2
profile = "graded"

[[inject]]
fact = "smoke"
where = "any of xiangyunli"
at = "+1h30m"
lasts = "10m"

[[ours]]
trouble = "duplicates"
at = "20:00"
lasts = "5m"
with = { share = 0.25 }
""",
        "some/where/made.toml",
    )
    assert (scenario.name, scenario.compounds, scenario.seed) == ("made", 5, 9)
    assert scenario.start_ms == at("2026-11-23T18:00")
    assert scenario.duration_ms == 26 * HOUR_MS
    assert (scenario.rates, scenario.rates_times, scenario.profile.name) == ("demo", 2.0, "graded")
    start_ms = at("2026-11-23T18:00")
    (injection,) = scenario.injections(start_ms)
    assert (injection.kind, injection.compound, injection.device) == ("smoke", "xiangyunli", "")
    assert injection.at_ms == start_ms + 90 * MINUTE_MS
    assert injection.lasts_ms == 10 * MINUTE_MS
    (trouble,) = scenario.troubles(start_ms)
    assert trouble.at_ms == at("2026-11-23T20:00")
    assert trouble.wanted == {"share": 0.25}


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("18:00", "2026-11-23T18:00"),
        ("23:59", "2026-11-23T23:59"),
        ("07:30", "2026-11-24T07:30"),  # the first such time, which is tomorrow's
        ("1d 18:30", "2026-11-24T18:30"),
        ("2d 07:30", "2026-11-26T07:30"),
        ("+0s", "2026-11-23T18:00"),
        ("+1d2h", "2026-11-24T20:00"),
    ],
)
def test_a_time_is_one_of_day_or_one_after_the_start(when: str, expected: str) -> None:
    scenario = read(f'{HEAD}[[inject]]\nfact = "panic"\nat = "{when}"\n', "made.toml")
    (injection,) = scenario.injections(at("2026-11-23T18:00"))
    assert injection.at_ms == at(expected)


def test_what_comes_several_times_comes_in_steps() -> None:
    text = HEAD + '[[inject]]\nfact = "panic"\nat = "19:00"\ncount = 3\nevery = "20m"\n'
    injections = read(text, "made.toml").injections(at("2026-11-23T18:00"))
    first = at("2026-11-23T19:00")
    assert [i.at_ms for i in injections] == [first, first + 20 * MINUTE_MS, first + 40 * MINUTE_MS]


@pytest.mark.parametrize(
    ("line", "wrong", "expected"),
    [
        (2, 'compounds = "many"', "a whole number from 1 to 225"),
        (2, "compounds = 0", "a whole number from 1 to 225"),
        (2, "compounds = true", "a whole number from 1 to 225"),
        (2, "vendors = 2", "a number from 0 to 1"),
        (2, 'start = "2026-11-23"', "a time with its zone, like 2026-11-23T00:00:00+08:00"),
        (2, "start = 2026-11-23T00:00:00", "a time with its zone"),
        (2, 'duration = "soon"', "a duration like '90s'"),
        (2, 'duration = "0s"', "more than nothing"),
        (2, 'rates = "reel"', "did you mean 'real'?"),
        (2, 'profile = "wild"', "one of graded, swings, usual"),
        (2, "seed = -1", "a whole number from 0"),
        (2, "sead = 3", "did you mean 'seed'?"),
        (2, "about = 7", "text in quotes"),
        (2, 'inject = "smoke"', "tables, each headed [[inject]]"),
    ],
)
def test_a_wrong_line_at_the_top_is_named_with_what_is_expected(
    line: int, wrong: str, expected: str
) -> None:
    (found,) = problems(f"# a comment\n{wrong}\n")
    assert found[0] == line
    assert found[1] == wrong.split(" =")[0]
    assert expected in found[2]


@pytest.mark.parametrize(
    ("wrong", "key", "expected"),
    [
        ('fact = "smok"', "fact", "did you mean 'smoke'?"),
        ('at = "6 pm"', "at", "a time of day like '18:30'"),
        ('at = "24:00"', "at", "a time of day like '18:30'"),
        ("at = 18:30:00", "at", "a time of day like '18:30'"),
        ('lasts = "long"', "lasts", "a duration like '90s'"),
        ('where = "atlantis"', "where", "nothing is called 'atlantis' here"),
        ('where = "any of atlantis"', "where", "no compound 'atlantis'"),
        ('where = "xiangyunli-gate-1"', "where", "is a gate; expected a shed"),
        ("where = 3", "where", "expected 'any'"),
        ("count = 2", "every", "goes with count"),
        ("with = { colour = 1 }", "colour", "nothing can be chosen here"),
        ("with = 3", "with", "a table like"),
        ('color = "red"', "color", "unknown key"),
    ],
)
def test_a_wrong_line_of_an_injection_is_named_with_what_is_expected(
    wrong: str, key: str, expected: str
) -> None:
    good = {"fact": '"smoke"', "at": '"19:00"', "lasts": '"5m"'}
    good.pop(wrong.split(" =")[0], None)
    lines = [f"{name} = {value}" for name, value in good.items()]
    text = HEAD + '[[inject]]\nfact = "panic"\nat = "19:00"\n\n[[inject]]\n' + "\n".join(lines)
    found = problems(f"{text}\n{wrong}\n")
    said = text.count("\n") + 2  # the wrong line is the last one
    line = HEAD.count("\n") + 5 if key == "every" else said  # what is missing: its table's head
    assert [(problem[0], problem[1]) for problem in found] == [(line, key)]
    assert expected in found[0][2]


def test_what_is_missing_is_told_at_the_head_of_its_table() -> None:
    found = problems(HEAD + '\n[[inject]]\nwhere = "any"\n')
    assert [(line, key) for line, key, _ in found] == [(7, "at"), (7, "fact")]
    assert "missing: expected one of" in found[1][2]


def test_what_is_over_in_a_moment_does_not_last() -> None:
    (found,) = problems(HEAD + '[[inject]]\nfact = "panic"\nat = "19:00"\nlasts = "5m"\n')
    assert found[:2] == (9, "lasts")
    assert "over in a moment" in found[2]


def test_a_parameter_out_of_its_bounds_is_refused_in_a_table_of_its_own_too() -> None:
    text = '[[ours]]\ntrouble = "duplicates"\nat = "19:00"\nlasts = "5m"\n'
    (inline,) = problems(HEAD + text + "with = { share = 0.9 }\n")
    (apart,) = problems(HEAD + text + "[ours.with]\n\nshare = 0.9\n")
    assert inline[:2] == (10, "share")
    assert apart[:2] == (12, "share")
    assert "a number from 0 to 0.3" in inline[2]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = problems('seed = -1\nrates = "x"\n[[inject]]\nfact = "y"\nat = "z"\n')
    assert [line for line, _, _ in found] == [1, 2, 4, 5]


def test_text_that_is_no_toml_is_refused_with_its_line() -> None:
    (found,) = problems('seed = 1\nrates = = "real"\n')
    assert found[0] == 2
    assert found[1] == "TOML"


def test_lines_inside_a_long_text_are_no_keys() -> None:
    (found,) = problems('about = """\nseed = 5\n[[inject]]\n"""\nseed = -1\n')
    assert found[:2] == (5, "seed")


def test_the_error_names_file_line_and_key() -> None:
    with pytest.raises(BadScenario, match=r"^made\.toml, line 1: seed: -1: expected a whole"):
        read("seed = -1\n", "made.toml")


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_every_bundled_scenario_can_be_played(path: Path) -> None:
    scenario = read(path.read_text("utf-8"), path.name)
    assert scenario.about
    assert scenario.duration_ms is not None
    is_live = path.stem.startswith("live-")
    assert (scenario.start_ms is None) == is_live  # a live one begins whenever it is run
    start_ms = at("2026-11-23T21:00") if scenario.start_ms is None else scenario.start_ms
    end_ms = start_ms + scenario.duration_ms
    for injection in scenario.injections(start_ms):
        assert start_ms <= injection.at_ms < end_ms
        if is_live:  # when all have spoken once, and over before the end
            assert injection.at_ms > start_ms + MINUTE_MS
            assert injection.at_ms + injection.lasts_ms < end_ms
    for trouble in scenario.troubles(start_ms):
        assert trouble.end_ms < end_ms
        assert not is_live


def test_the_bundled_scenarios_bring_about_every_kind_of_fact() -> None:
    injected: set[str] = set()
    calm: list[Scenario] = []
    for path in BUNDLED:
        scenario = read(path.read_text("utf-8"), path.name)
        injected |= {plan.kind for plan in scenario.plans}
        if not scenario.plans:
            calm.append(scenario)
    assert set(BY_KIND) - injected == set()
    assert [(s.name, (s.duration_ms or 0) // DAY_MS) for s in calm] == [("calm-week", 7)]
