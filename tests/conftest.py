"""Databases for tests: `any_database` is a migrated one, on SQLite and on PostgreSQL.

They are migrated once a session and copied for each test, and their engines last for the session:
what SQLAlchemy has compiled for one test it knows in the next (half of what a test of the API
cost).
"""

import gc
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from sqlalchemy import Engine, event

from devices.store.database import open_database, upgrade
from tests import postgres

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("courtyard", deadline=None, print_blob=True)
settings.load_profile("courtyard")

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


def pytest_collection_finish() -> None:
    """What is loaded now stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def loggers_are_not_kept() -> Iterator[None]:
    """A command sets up logs for its process, and loggers then stay as they were first used: in
    the process of the tests the next test would not hear of what is logged."""
    set_up = structlog.configure

    def without_cache(*args: Any, **named: Any) -> None:
        set_up(*args, **{**named, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", without_cache)
        yield


@pytest.fixture(autouse=True)
def logs_of_each_test_alone(loggers_are_not_kept: None) -> Iterator[None]:
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of this session's own. Missing: a loud skip, and a failure in CI."""
    try:
        postgres.server_folder()
    except postgres.PostgresMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: postgres.Cluster) -> str:
    """The name of a migrated database to copy; nobody is connected to it."""
    name = postgres_cluster.create()
    engine = open_database(postgres_cluster.url(name))
    upgrade(engine)
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = open_database(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


class Engines:
    """The engine of each URL, for the whole session."""

    def __init__(self) -> None:
        self._opened: dict[str, Engine] = {}

    def lend(self, url: str) -> Iterator[Engine]:
        """A view of the engine: what listens to it does so for this test alone."""
        engine = self._opened.get(url)
        if engine is None:
            engine = self._opened[url] = open_database(url)
            if url.startswith("sqlite:"):
                event.listen(engine, "connect", _without_the_disk)
        yield engine.execution_options()
        if url.startswith("sqlite:"):  # the next one is another file
            engine.dispose()

    def close(self) -> None:
        for engine in self._opened.values():
            engine.dispose()


def _without_the_disk(connection: sqlite3.Connection, _: object) -> None:
    """Nothing here has to survive: do not wait until a commit is on the disk."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    opened = Engines()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sqlite_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that each test finds its SQLite database in, one after another."""
    return tmp_path_factory.mktemp("sqlite") / "courtyard.db"


@pytest.fixture
def sqlite_url(sqlite_place: Path, sqlite_template: Path) -> str:
    """The URL of a migrated, empty database, for other processes too."""
    for old in sqlite_place.parent.glob("courtyard.db*"):
        old.unlink()  # who still has it open keeps it, and does not see the new one
    shutil.copy(sqlite_template, sqlite_place)
    return f"sqlite:///{sqlite_place}"


@pytest.fixture
def postgres_url(postgres_cluster: postgres.Cluster, postgres_template: str) -> Iterator[str]:
    """The URL of a migrated, empty database, for other processes too."""
    name = postgres_cluster.lend(postgres_template)
    yield postgres_cluster.url(name)
    postgres_cluster.take_back(name, postgres_template)


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database, on SQLite and on PostgreSQL; for other processes too."""
    url: str = request.getfixturevalue(
        "sqlite_url" if request.param == "sqlite" else "postgres_url"
    )
    return url


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture
def any_database(database_url: str, engines: Engines) -> Iterator[Engine]:
    """A migrated, empty operational database, on SQLite and on PostgreSQL."""
    yield from engines.lend(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str, engines: Engines) -> Iterator[Engine]:
    """A migrated, empty operational database on SQLite alone."""
    yield from engines.lend(sqlite_url)


@pytest.fixture
def postgres_database(postgres_url: str, engines: Engines) -> Iterator[Engine]:
    """A migrated, empty operational database on PostgreSQL alone."""
    yield from engines.lend(postgres_url)
