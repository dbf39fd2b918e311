"""The scenarios of `make chaos`, shortened: kills at medium size, each trouble once."""

import secrets
from pathlib import Path

import pytest

from chaos.run import Context, Size
from chaos.scenarios import SCENARIOS

MEDIUM = ("kills", "kills-apart", "kills-nats")
ALREADY_TESTED = ("planted", "fuzz")  # tests/chaos/test_checker.py, tests/fuzz

pytestmark = [pytest.mark.broker]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in ALREADY_TESTED])
def test_nothing_is_lost_and_nothing_counts_twice(name: str, tmp_path: Path) -> None:
    size: Size = "medium" if name in MEDIUM else "small"
    context = Context(tmp_path, size, seed=secrets.randbelow(2**31))
    print(name, "seed", context.seed)
    result = SCENARIOS[name](context)
    print(result.figures)
    assert result.problems == [], f"seed {context.seed}; see {result.directory}"
