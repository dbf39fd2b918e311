"""Passwords: argon2id hashes through pwdlib, a few at a time, and the same time for whoever asks.

One check takes some 64 MiB and a core for a moment (docs/access.md has the figures): whoever could
start any number of them at once could stop the API.
"""

from collections.abc import Callable

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from api.turns import Turns

AT_ONCE, WAITING, WAIT_S = 2, 16, 5.0


class Passwords:
    """Called on a worker's thread, never on the event loop. Every method may raise Away.

    hasher: with production's cost unless given; tests give a cheap one.
    """

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        self._hash = PasswordHash((hasher or Argon2Hasher(),))
        self._turns = Turns("about passwords", AT_ONCE, WAITING, WAIT_S)
        # What is checked for a name that nobody has, so that it takes as long as any other.
        self._nobodys = self._hash.hash("a password that opens nothing")

    def hashed(self, password: str) -> str:
        """The hash to keep, with its salt and cost."""
        with self._turns.turn():
            return self._hash.hash(password)

    def is_right(
        self, password: str, kept: str | None, renew: Callable[[str], object] | None = None
    ) -> bool:
        """Whether it is the one that was kept; None is never right, and takes as long.

        renew: is given a hash of today's cost, where the one that was kept has another.
        """
        with self._turns.turn():
            try:
                right, newer = self._hash.verify_and_update(password, kept or self._nobodys)
            except PwdlibError:  # what was kept is no hash of ours: nobody comes in by it
                return False
        if not right or kept is None:
            return False
        if newer is not None and renew is not None:
            renew(newer)
        return True
