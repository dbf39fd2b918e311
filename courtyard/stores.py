"""The stores that the settings name, opened the way every part opens them."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from courtyard.errors import CommandError
from courtyard.settings import Settings
from devices.store.database import check, open_database, upgrade
from devices.store.telemetry import TelemetryStore
from devices.store.telemetry.embedded import EmbeddedTelemetry

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0  # between two tries to reach a server

T = TypeVar("T")
log = structlog.get_logger()


class Stopped(Exception):
    """The process is to end before what it waited for was there."""


def make_data_dir(settings: Settings) -> None:
    """The data directory, readable by us alone: it holds keys and raw messages."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"COURTYARD_DATA_DIR: {settings.data_dir} cannot be made: {error.strerror}"
        ) from None


def open_operational(settings: Settings) -> Engine:
    """The operational database, ready for use.

    The embedded one is made and migrated here; PostgreSQL must be up to date already. Raises
    DatabaseUnusable, or sqlalchemy's OperationalError while it does not answer.
    """
    make_data_dir(settings)
    engine = open_database(settings.database)
    try:
        if settings.is_database_embedded:
            upgrade(engine)
        else:
            check(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def upgrade_operational(settings: Settings) -> str:
    """Migrate the operational database, embedded or not; says what it did."""
    make_data_dir(settings)
    engine = open_database(settings.database)
    try:
        upgrade(engine)
        return f"{engine.url.render_as_string(hide_password=True)} is up to date"
    finally:
        engine.dispose()


def open_telemetry(settings: Settings) -> TelemetryStore:
    """The telemetry store; connects on first use, not here."""
    if settings.influxdb_url:
        from devices.store.telemetry.influxdb import InfluxTelemetry  # loads a large client

        return InfluxTelemetry(
            settings.influxdb_url,
            settings.influxdb_token.get_secret_value(),
            settings.influxdb_org,
            settings.influxdb_bucket,
        )
    return EmbeddedTelemetry(settings.telemetry_path)


def await_operational(settings: Settings, stop: threading.Event) -> Engine:
    """As `open_operational`, but a server that does not answer is asked again until it does."""
    return until_there(lambda: open_operational(settings), stop, "database_away")


def until_there(attempt: Callable[[], T], stop: threading.Event, event: str) -> T:
    """What `attempt` gives, tried again while the database does not answer; one line for the state.

    Raises Stopped once `stop` is set.
    """
    pause_s = FIRST_PAUSE_S
    since_s: float | None = None
    while True:
        try:
            found = attempt()
        except (OperationalError, InterfaceError) as error:
            if since_s is None:
                since_s = time.monotonic()
                log.warning(event, reason=short(error), then="tries again until it answers")
        else:
            if since_s is not None:
                log.info("database_answers", after_s=round(time.monotonic() - since_s, 1))
            return found
        if stop.wait(pause_s):
            raise Stopped
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def short(error: DBAPIError) -> str:
    """What the database or its driver said, on one line, without statement and parameters."""
    return " ".join(str(error.orig or error).split())[:300]
