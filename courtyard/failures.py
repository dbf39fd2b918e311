"""Errors of the parts that a person can do something about, as one text without a traceback."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from courtyard.stores import Stopped, short
from devices.inventory import BadRegistry
from devices.store.database import DatabaseAway, DatabaseUnusable
from devices.store.journal import JournalError
from devices.store.registry_files import SpreadsheetsMissing
from devices.telemetry import TelemetryError


def explain(error: Exception) -> str | None:
    """What to tell; None for an error that nobody foresaw, whose traceback is wanted."""
    match error:
        case OperationalError() | InterfaceError():
            return f"the database does not answer: {short(error)}"
        case DBAPIError():
            return f"the database does not do what was asked: {short(error)}"
        case DatabaseUnusable() | DatabaseAway() | JournalError() | TelemetryError():
            return str(error)
        case BadRegistry() | SpreadsheetsMissing():
            return str(error)
        case Stopped():
            return "stopped before it had begun"
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
    return None
