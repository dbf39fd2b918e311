"""The matrix in docs/reliability.md names tests and scenarios that there are."""

import re
from pathlib import Path

import pytest

from chaos.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
MATRIX = (ROOT / "docs" / "reliability.md").read_text().partition("\n## Matrix\n")[2]
TESTS = sorted(set(re.findall(r"`(tests/[\w/.]+)::(\w+)`", MATRIX)))
NAMED = sorted(set(re.findall(r"`chaos ([\w-]+)`", MATRIX)))
ROWS = re.findall(r"^\| (\w+) \|", MATRIX, re.MULTILINE)


@pytest.mark.parametrize(("file", "test"), TESTS)
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / file).read_text()


def test_every_scenario_is_named_and_there() -> None:
    assert set(NAMED) - {"NAME"} == SCENARIOS.keys() - {"planted"}


@pytest.mark.parametrize(("letters", "last"), [("PF", 12), ("BN", 9), ("ST", 12), ("IN", 16)])
def test_every_row_in_scope_has_its_line(letters: str, last: int) -> None:
    wanted = [f"{letters}{n}" for n in range(1, last + 1)]
    assert [row for row in ROWS if row.startswith(letters)] == wanted


def test_every_line_names_something_or_says_that_it_is_not_tested() -> None:
    for line in re.findall(r"^\| [A-Z]{2}\d.*$", MATRIX, re.MULTILINE):
        assert "`tests/" in line or "`chaos " in line or "not tested" in line, line
