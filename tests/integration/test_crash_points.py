"""Every crash point of docs/reliability.md that is in a process of ours, one after the other."""

from collections.abc import Iterator

import pytest

from tests import crash
from tests.crash import FAILED, KILLED, Rig

pytestmark = [pytest.mark.broker]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with crash.a_rig(tmp_path_factory.mktemp("crash"), None) as made:
        yield made


@pytest.mark.parametrize("point", KILLED)
def test_a_kill_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    rig.kill(point)


@pytest.mark.parametrize("point", FAILED)
def test_a_failure_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    rig.fail(point)
