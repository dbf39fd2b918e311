"""Systems to test end to end. Tests of one file share a worker (`--dist loadfile`), and with
it the running system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.e2e.system import DATABASE, System, a_registry, a_system


@pytest.fixture(scope="session")
def e2e_cluster(request: pytest.FixtureRequest) -> postgres.Cluster | None:
    """The PostgreSQL server, if this run is about it."""
    if DATABASE != "postgresql":
        return None
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    return cluster


@pytest.fixture
def system(tmp_path: Path, e2e_cluster: postgres.Cluster | None) -> Iterator[System]:
    """Settings and an empty database; nothing runs yet."""
    with a_system(tmp_path, _database(e2e_cluster)) as made:
        yield made


@pytest.fixture(scope="module")
def running_system(
    tmp_path_factory: pytest.TempPathFactory, e2e_cluster: postgres.Cluster | None
) -> Iterator[System]:
    """A registry of two compounds, ingest and API: running, for all tests of a file."""
    directory = tmp_path_factory.mktemp("system")
    with a_system(directory, _database(e2e_cluster)) as made:
        made.import_registry(a_registry())
        made.ingest()
        made.api()
        yield made


def _database(cluster: postgres.Cluster | None) -> str | None:
    return None if cluster is None else cluster.url(cluster.create())
