"""Tokens for the API."""

from courtyard.clock import now_ms
from courtyard.errors import UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.store import tokens
from devices.store.database import writing


def create_token(settings: Settings, role: str, firm: str | None, name: str, by: str = "") -> str:
    """A new token; shown once, kept only as a hash. Raises UsageError for an unknown firm."""
    engine = open_operational(settings)
    try:
        with writing(engine) as connection:
            return tokens.create(connection, role, firm, name, now_ms(), by)
    except tokens.BadToken as error:
        raise UsageError(str(error)) from None
    finally:
        engine.dispose()
