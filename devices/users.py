"""People who log in by name and password: what a name may be, and a password.

What is asked of a password follows NIST SP 800-63B: a length, nothing that stands beside it, and no
rule about which characters.
"""

import re

from devices.faults import SYSTEM

SHORTEST, LONGEST = 12, 256  # characters of a password
DISPLAY_AT_MOST = 80
LANGUAGES = ("zh", "en")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
_COMMON = ("password", "courtyard", "123456789", "qwertyuiop", "administrator", "louyuan")


class BadUser(ValueError):
    """Nobody can be called that."""


class BadPassword(ValueError):
    """Not this one. why: short, long, name, plain; the text says it in English."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


def user_name(text: str) -> str:
    """The name as it is kept: small letters, so that nobody is two. Raises BadUser."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise BadUser(
            f"{text[:63]!r} is no user name: 2 to 63 of a-z, 0-9, dot, dash and underscore, the"
            " first a letter or a digit"
        )
    if name == SYSTEM:  # what they did would stand in the history as nobody's
        raise BadUser(f"{SYSTEM!r} is what is called system in the history: take another name")
    return name


def display_name(text: str, name: str) -> str:
    """How they are called; their name where nothing is said. Raises BadUser."""
    shown = " ".join(text.split())
    if len(shown) > DISPLAY_AT_MOST or not shown.isprintable():
        raise BadUser(f"a person is called something of at most {DISPLAY_AT_MOST} characters")
    return shown or name


def check_password(password: str, *about: str) -> None:
    """Raise BadPassword for one that is too easy to guess. about: their name and the like."""
    if len(password) < SHORTEST:
        raise BadPassword("short", f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise BadPassword("long", f"a password has at most {LONGEST} characters")
    small = password.casefold()
    for word in about:
        if len(word) > 1 and word.casefold() in small:
            raise BadPassword("name", "the name of its owner is in this password")
    if len(set(small)) < 5:
        raise BadPassword("plain", "this password repeats a few characters: anybody guesses it")
    for word in _COMMON:
        if len(small.replace(word, "")) < 6 and word in small:
            raise BadPassword("plain", "this password is among the first that anybody tries")
