"""The crash points in the code, in the tests and in docs/reliability.md are the same ones."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash import FAILED, KILLED

ROOT = Path(__file__).parents[1]
PACKAGES = ("alerts", "api", "courtyard", "devices", "ingest", "simulators")
RUNS = "tests/integration/test_crash_points.py"

# Every identifier there is; a row may say that its point is not built, and none may go missing.
ALL = (
    [f"R{n}" for n in range(1, 16)]
    + [f"J{n}" for n in range(1, 9)]
    + [f"F{n}" for n in range(1, 8)]
    + [f"A{n}" for n in range(1, 9)]
    + [f"O{n}" for n in range(1, 7)]
    + [f"K{n}" for n in range(1, 3)]
)


@dataclass(frozen=True)
class Row:
    where: str
    shown_by: str

    @property
    def is_in_code(self) -> bool:
        return not self.where.startswith(("outside", "not built"))


def the_table() -> dict[str, Row]:
    text = (ROOT / "docs/reliability.md").read_text("utf-8")
    section = text.partition("\n## Crash points\n")[2].partition("\n## ")[0]
    rows: dict[str, Row] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"[A-Z]\d+", cells[0]):
            point, where, _, shown_by = cells
            assert point not in rows, f"{point} has two rows"
            rows[point] = Row(where, shown_by)
    return rows


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def in_code() -> dict[str, set[tuple[str, str]]]:
    """Where each point is: (file, function)."""
    found: dict[str, set[tuple[str, str]]] = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if "failpoint(" not in file.read_text("utf-8"):
                continue
            for function in functions(file):
                for node in ast.walk(function):
                    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                        continue
                    if node.func.id == "failpoint" and file.name != "failpoints.py":
                        name = node.args[0]
                        assert isinstance(name, ast.Constant), f"{file}: a name that is computed"
                        place = (str(file.relative_to(ROOT)), function.name)
                        found.setdefault(str(name.value), set()).add(place)
    return found


def armed_by_tests() -> set[str]:
    """Points that some test arms: those of the two tables, and those spelled out in a string."""
    spelled = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        if file.name == "test_failpoints.py":  # it arms names that it makes up
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spelled |= set(re.findall(r"\b([A-Z]\d+):(?:kill|raise|sleep)", node.value))
    return spelled | KILLED.keys() | FAILED.keys()


def test_every_identifier_has_a_row() -> None:
    assert list(the_table()) == ALL


def test_the_points_in_the_code_are_those_of_the_table() -> None:
    said = {
        point: {(row.where.split("`")[1], function) for function in row.where.split("`")[3::2]}
        for point, row in the_table().items()
        if row.is_in_code
    }
    assert in_code() == said


def test_every_point_in_the_code_is_armed_by_a_test_and_no_other_is() -> None:
    assert armed_by_tests() == in_code().keys()


def test_the_table_says_which_points_kill_and_which_fail() -> None:
    rows = the_table()
    assert {p for p, row in rows.items() if "**kill**" in row.shown_by} == KILLED.keys()
    assert {p for p, row in rows.items() if "**fail**" in row.shown_by} == FAILED.keys()


def test_every_test_that_the_table_names_exists() -> None:
    for point, row in the_table().items():
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row.shown_by)
        for file, test in named:
            assert test in {function.name for function in functions(ROOT / file)}, (point, test)
        is_shown = bool(named) or "**kill**" in row.shown_by
        assert is_shown or re.match(r"not tested: .{10}", row.shown_by), f"{point}: shown by what?"
        assert is_shown or not row.is_in_code, f"{point} is in the code and not tested"


def test_the_table_names_the_tests_that_it_means_by_kill_and_fail() -> None:
    text = (ROOT / "docs/reliability.md").read_text("utf-8")
    names = {function.name for function in functions(ROOT / RUNS)}
    for test in (
        "test_a_kill_loses_nothing_and_doubles_nothing",
        "test_a_failure_loses_nothing_and_doubles_nothing",
    ):
        assert test in names
        assert test in text
