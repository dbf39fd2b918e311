"""The short form of what `make chaos` does for hours: five kills while 20,000 messages flow."""

import secrets
from pathlib import Path

import pytest

from chaos.run import Context
from chaos.scenarios import SCENARIOS

pytestmark = [pytest.mark.broker, pytest.mark.long]


def test_five_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    context = Context(tmp_path, "small", seed=secrets.randbelow(2**31))
    print("seed", context.seed)
    result = SCENARIOS["kills"](context)
    assert result.problems == [], f"seed {context.seed}; see {result.directory}"
    assert result.verdict.acked == 20_000
    assert (result.verdict.lost, result.verdict.double, result.verdict.balance) == (0, 0, 0)
