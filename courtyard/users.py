"""People who log in by password: `courtyard user`, and the code that makes the first of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from api.passwords import Passwords
from courtyard.audit import by_command
from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.store import tokens, users
from devices.store.database import reading, writing
from devices.store.scope import DISTRICT
from devices.users import BadPassword, BadUser, check_password, display_name, user_name


@dataclass(frozen=True, slots=True)
class Wanted:
    """A new user, as the command line has it."""

    name: str
    display: str
    role: str
    firm: str | None
    language: str | None


def add_user(
    settings: Settings, wanted: Wanted, password: str, by: str, passwords: Passwords
) -> str:
    """Makes them; says so. passwords: who hashes. Raises UsageError."""
    name, display = _named(wanted.name, wanted.display)
    hashed = _hashed(passwords, password, name, display)
    new = users.NewUser(name, display, wanted.role, wanted.firm, wanted.language, hashed)
    engine = open_operational(settings)
    try:
        with (
            by_command(by, "user add", name, role=wanted.role, firm=wanted.firm),
            writing(engine) as connection,
        ):
            users.add_user(connection, new, by, now_ms())
    except (tokens.BadToken, users.NameTaken, users.TooManyUsers) as error:
        raise UsageError(str(error)) from None
    finally:
        engine.dispose()
    return f"user {name} is there, and may log in"


def list_users(settings: Settings) -> Iterator[str]:
    """One a line: name, role, firm, state, and what they are called."""
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            found = users.list_users(connection, DISTRICT, limit=users.USERS_AT_MOST)
    finally:
        engine.dispose()
    for user in found:
        state = "active" if user.disabled_at_ms is None else "disabled"
        yield f"{user.name:<20} {user.role:<9} {user.firm or '-':<16} {state:<9} {user.display}"


def set_password(
    settings: Settings, name: str, password: str, by: str, passwords: Passwords
) -> str:
    """Theirs from now on; they are logged out everywhere. Raises UsageError, CommandError."""
    engine = open_operational(settings)
    try:
        user = _find(engine, name)
        hashed = _hashed(passwords, password, user.name, user.display)
        with by_command(by, "user password", user.name), writing(engine) as connection:
            users.set_password(connection, user.token, hashed, now_ms())
    finally:
        engine.dispose()
    return f"user {user.name} has another password, and is logged out everywhere"


def disable_user(settings: Settings, name: str, by: str) -> str:
    """They are out. Raises CommandError for the last operator."""
    engine = open_operational(settings)
    try:
        user = _find(engine, name)
        with by_command(by, "user disable", user.name), writing(engine) as connection:
            users.disable_user(connection, DISTRICT, user.name, now_ms())
    except tokens.LastOperator as error:
        raise CommandError(str(error)) from None
    finally:
        engine.dispose()
    return f"user {user.name} is disabled, and logged out everywhere"


def enable_user(settings: Settings, name: str, by: str) -> str:
    """They may log in again."""
    engine = open_operational(settings)
    try:
        user = _find(engine, name)
        with by_command(by, "user enable", user.name), writing(engine) as connection:
            users.enable_user(connection, DISTRICT, user.name)
    finally:
        engine.dispose()
    return f"user {user.name} may log in again"


def setup_code(engine: Engine) -> str | None:
    """A code for the set-up page, while nobody could log in; None once somebody could."""
    with reading(engine) as connection:
        if not users.needs_setup(connection):
            return None
    with writing(engine) as connection:
        return users.make_setup_code(connection, now_ms())


def _named(name: str, display: str) -> tuple[str, str]:
    try:
        checked = user_name(name)
        return checked, display_name(display, checked)
    except BadUser as error:
        raise UsageError(str(error)) from None


def _hashed(passwords: Passwords, password: str, *about: str) -> str:
    try:
        check_password(password, *about)
    except BadPassword as error:
        raise UsageError(f"{error}; nothing was done") from None
    return passwords.hashed(password)


def _find(engine: Engine, name: str) -> users.User:
    try:
        with reading(engine) as connection:
            return users.find_user(connection, DISTRICT, name.strip().lower())
    except users.UnknownUser:
        raise CommandError(
            f"there is no user {name[:63]!r}; `courtyard user list` has all of them"
        ) from None
