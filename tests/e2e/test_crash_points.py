"""Some crash points, each with a real process, a real broker and real kills; the others are in
tests/integration."""

from collections.abc import Iterator

import pytest

from tests import crash, postgres
from tests.crash import Rig

pytestmark = [pytest.mark.broker]

LONG = pytest.mark.long
KILLED = (
    "R4",
    "J2",
    *(pytest.param(point, marks=LONG) for point in ("R6", "R7", "J4", "F4")),
)
FAILED = ("R11", pytest.param("J3", marks=LONG))


@pytest.fixture(scope="module")
def rig(
    tmp_path_factory: pytest.TempPathFactory, e2e_cluster: postgres.Cluster | None
) -> Iterator[Rig]:
    with crash.a_rig(tmp_path_factory.mktemp("crash"), e2e_cluster) as made:
        yield made


@pytest.mark.parametrize("point", KILLED)
def test_a_kill_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    rig.kill(point)


@pytest.mark.parametrize("point", FAILED)
def test_a_failure_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    rig.fail(point)
