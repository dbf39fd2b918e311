import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from devices.store.database import open_database
from tests import postgres
from tests.api.cast import Cast, a_cast


@pytest.fixture
def api_database(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """SQLite; PostgreSQL with COURTYARD_TEST_DATABASE=postgresql, which `make integration` sets."""
    if os.environ.get("COURTYARD_TEST_DATABASE", "sqlite") != "postgresql":
        yield request.getfixturevalue("sqlite_database")
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    template: str = request.getfixturevalue("postgres_template")
    name = cluster.lend(template)
    engine = open_database(cluster.url(name))
    yield engine
    engine.dispose()
    cluster.take_back(name, template)


@pytest.fixture
def cast(api_database: Engine, tmp_path: Path) -> Cast:
    """The API over a small district, as production runs it."""
    return a_cast(api_database, exports=tmp_path / "exports")


@pytest.fixture
def demo(api_database: Engine, tmp_path: Path) -> Cast:
    """The same as a demo: who sits at this machine may look without a token."""
    return a_cast(api_database, demo=True, exports=tmp_path / "exports")
