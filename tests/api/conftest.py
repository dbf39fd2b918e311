import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from sqlalchemy import Engine
from starlette.testclient import TestClient

from tests.api.cast import Cast, a_cast


@pytest.fixture(scope="session", autouse=True)
def one_loop() -> Iterator[None]:
    """The requests of all tests share an event loop and its threads, as in production; a client
    starts them anew for each request, which takes a third of its time."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestClient, "portal", portal)
        yield


@pytest.fixture
def api_database(request: pytest.FixtureRequest) -> Engine:
    """SQLite; PostgreSQL with COURTYARD_TEST_DATABASE=postgresql, which `make integration` sets."""
    on_postgres = os.environ.get("COURTYARD_TEST_DATABASE") == "postgresql"
    engine: Engine = request.getfixturevalue(
        "postgres_database" if on_postgres else "sqlite_database"
    )
    return engine


@pytest.fixture
def cast(api_database: Engine, tmp_path: Path) -> Cast:
    """The API over a small district, as production runs it."""
    return a_cast(api_database, exports=tmp_path / "exports")


@pytest.fixture
def demo(api_database: Engine, tmp_path: Path) -> Cast:
    """The same as a demo: who sits at this machine may look without a token."""
    return a_cast(api_database, demo=True, exports=tmp_path / "exports")


@pytest.fixture
def fresh(api_database: Engine, tmp_path: Path) -> Cast:
    """The API over an installation that nobody has put anything into; an operator, a viewer."""
    return a_cast(api_database, exports=tmp_path / "exports", places=False)
