"""How the operational database is opened, on SQLite and on PostgreSQL."""

import threading

import pytest
from sqlalchemy.exc import OperationalError

from courtyard.settings import Settings, load_settings
from courtyard.stores import (
    Stopped,
    await_operational,
    open_operational,
    until_there,
    upgrade_operational,
)
from devices.store.database import DatabaseBehind, check
from tests.brokers import free_port


@pytest.fixture
def settings(empty_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    directory = tmp_path_factory.mktemp("data")
    return load_settings(
        {
            "COURTYARD_DATA_DIR": str(directory / "new"),
            "COURTYARD_DATABASE_URL": empty_database_url,
        }
    )


def test_the_embedded_database_is_made_and_postgresql_is_not_touched(settings: Settings) -> None:
    if settings.is_database_embedded:
        engine = open_operational(settings)
        check(engine)
        engine.dispose()
        return
    with pytest.raises(DatabaseBehind, match="courtyard db upgrade"):
        open_operational(settings)


def test_an_upgraded_database_opens(settings: Settings) -> None:
    assert upgrade_operational(settings).endswith("is up to date")
    upgrade_operational(settings)
    engine = open_operational(settings)
    check(engine)
    engine.dispose()


def test_the_data_directory_is_made_for_its_owner_alone(settings: Settings) -> None:
    upgrade_operational(settings)
    assert settings.data_dir.stat().st_mode & 0o077 == 0


def test_a_server_that_does_not_answer_is_asked_again_until_it_does() -> None:
    troubles = [OperationalError("", {}, Exception("away"))]

    def attempt() -> str:
        if troubles:
            raise troubles.pop()
        return "there"

    assert until_there(attempt, threading.Event(), "database_away") == "there"


def test_waiting_for_a_server_ends_with_the_process() -> None:
    stop = threading.Event()
    stop.set()
    url = f"postgresql://courtyard@127.0.0.1:{free_port()}/courtyard"
    settings = load_settings({"COURTYARD_DATABASE_URL": url})
    with pytest.raises(Stopped):
        await_operational(settings, stop)
