"""Databases for tests: `any_database` is a migrated one, on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from sqlalchemy import Engine

from devices.store.database import open_database, upgrade
from tests import postgres

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("courtyard", deadline=None, print_blob=True)
settings.load_profile("courtyard")

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


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


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database, on SQLite and on PostgreSQL; for other processes too."""
    if request.param == "sqlite":
        path = tmp_path / "courtyard.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    template: str = request.getfixturevalue("postgres_template")
    name = cluster.lend(template)
    yield cluster.url(name)
    cluster.take_back(name, template)


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
def any_database(database_url: str) -> Iterator[Engine]:
    """A migrated, empty operational database, on SQLite and on PostgreSQL."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_database(tmp_path: Path, sqlite_template: Path) -> Iterator[Engine]:
    """A migrated, empty operational database on SQLite alone."""
    path = tmp_path / "courtyard.db"
    shutil.copy(sqlite_template, path)
    engine = open_database(f"sqlite:///{path}")
    yield engine
    engine.dispose()
