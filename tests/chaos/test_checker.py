"""The checker can fail: four bugs are planted in a real ingester, and it finds each of them."""

from pathlib import Path

import pytest

from chaos.run import Context, Result
from chaos.scenarios import SCENARIOS, run_planted

SEED = 4


def planted(bug: str, directory: Path) -> Result:
    return run_planted(bug, Context(directory, "small", SEED))


@pytest.mark.broker
class TestAPlantedBugIsFound:
    @pytest.mark.long
    def test_acknowledged_before_the_commit(self, tmp_path: Path) -> None:
        result = planted("ack-before-commit", tmp_path)
        assert result.verdict.lost > 0
        assert any("acknowledged and not in the journal" in said for said in result.problems)

    @pytest.mark.long
    def test_acknowledged_on_a_connection_that_the_message_did_not_come_on(
        self, tmp_path: Path
    ) -> None:
        result = planted("no-epoch-check", tmp_path)
        assert result.verdict.lost == 1
        assert any("acknowledged and not in the journal" in said for said in result.problems)

    @pytest.mark.long
    def test_the_cursor_outside_the_transaction_of_its_effects(self, tmp_path: Path) -> None:
        result = planted("cursor-outside", tmp_path)
        assert result.verdict.double > 0
        assert result.verdict.balance > 0
        assert any("too many" in said for said in result.problems)

    @pytest.mark.long
    def test_a_lost_row_by_the_balance_alone(self, tmp_path: Path) -> None:
        result = planted("lost-row", tmp_path)
        assert result.verdict.balance == 1
        assert all(said.startswith("the balance of") for said in result.problems)
        assert "the balance of all is 1" in result.problems


@pytest.mark.broker
@pytest.mark.long
def test_a_slow_disk_and_a_broker_that_forgets_are_no_bug(tmp_path: Path) -> None:
    """The control of `no-epoch-check`: all of its circumstances, without the bug."""
    result = SCENARIOS["stale-acks"](Context(tmp_path, "small", SEED))
    assert result.problems == []
