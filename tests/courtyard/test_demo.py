"""What the demo prepares before it starts anything."""

from pathlib import Path

import pytest

from courtyard.demo import prepare
from courtyard.errors import UsageError
from courtyard.settings import Settings
from courtyard.simulation import District

ONE = District(compounds=1, vendors=0.1)


def test_a_second_start_goes_on_with_the_same_tokens(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = prepare(settings, ONE)
    assert first.has_history
    assert set(first.tokens) >= {"operator"}
    assert prepare(settings, ONE).tokens == first.tokens


def test_another_number_of_compounds_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = prepare(settings, ONE)
    for compounds in (2, None):
        with pytest.raises(UsageError, match="courtyard demo --compounds 1`"):
            prepare(settings, District(compounds=compounds, vendors=0.1))
    assert prepare(settings, ONE).registry.compounds == first.registry.compounds
