"""What forms say of a new person, read and checked; the words for what they cannot be."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection

from api import audited
from api.console.pages import Page
from api.passwords import Passwords
from devices.store.tokens import BadToken, Role
from devices.store.users import NameTaken, NewUser, TooManyUsers, User, add_user
from devices.users import LANGUAGES, BadPassword, BadUser, check_password, display_name, user_name

MADE_BYTES = 12  # of randomness in a password of ours: 16 characters


class Refused(Exception):
    """They cannot be that; the text is for whoever filled in the form, in their language."""


@dataclass(frozen=True, slots=True)
class Person:
    """As a form says it; checked."""

    name: str
    display: str
    role: Role
    firm: str | None
    language: str | None


def read_person(page: Page, name: str, display: str, role: str, firm: str, language: str) -> Person:
    """Raises Refused."""
    try:
        checked = user_name(name)
        shown = display_name(display, checked)
    except BadUser as error:
        raise Refused(page.say("us_bad_name")) from error
    chosen = read_role(page, role, firm)
    if language not in ("", *LANGUAGES):
        raise Refused(page.say("us_bad_name"))
    return Person(checked, shown, chosen[0], chosen[1], language or None)


def read_role(page: Page, role: str, firm: str) -> tuple[Role, str | None]:
    """A role, and the firm that goes with the role `firm` alone. Raises Refused."""
    if role not in set(Role):
        raise Refused(page.say("us_bad_role"))
    if (role == Role.FIRM) != bool(firm):
        raise Refused(page.say("us_bad_role"))
    return Role(role), firm or None


def read_password(page: Page, password: str, again: str, *about: str) -> str:
    """A password that somebody chose. Raises Refused."""
    if password != again:
        raise Refused(page.say("pw_differ"))
    try:
        check_password(password, *about)
    except BadPassword as error:
        raise Refused(page.say(f"pw_{error.why}")) from error
    return password


def made_password() -> str:
    """One that nobody guesses, to be shown once."""
    return secrets.token_urlsafe(MADE_BYTES)


def add(
    connection: Connection, page: Page, person: Person, hashed: str, by: str, now_ms: int
) -> User:
    """Make them, in the caller's transaction, and say so for the record. Raises Refused."""
    new = NewUser(person.name, person.display, person.role, person.firm, person.language, hashed)
    try:
        user = add_user(connection, new, by, now_ms)
    except BadToken as error:
        raise Refused(page.say("us_bad_role")) from error
    except NameTaken as error:
        raise Refused(page.say("us_taken", name=person.name)) from error
    except TooManyUsers as error:
        raise Refused(page.say("us_too_many")) from error
    audited.about(user.name, role=user.role.value, firm=user.firm)
    return user


def passwords_of(page: Page, passwords: Passwords | None) -> Passwords:
    """Who hashes them; raises Refused where nobody does."""
    if passwords is None:
        raise Refused(page.say("us_no_passwords"))
    return passwords
