"""Credentials of people (cards, faces, codes) as this installation keeps them: as keyed hashes.

What a device calls its user is needed for one thing: to count how many different ones there were.
So it is replaced where a message is decoded, and what is decoded is all that the judge, the stores
and the log ever get. The key is derived from the installation's secret and never kept beside the
hashes; the compound is in the hash, so that nobody is found again elsewhere.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

HASH_BYTES = 8
# Whoever opens a gate is counted only together with others: a count below it is not published.
LEAST_PUBLISHED = 5

_MARK = "kh1-"
_SEALED = re.compile(rf"{_MARK}[0-9a-f]{{{2 * HASH_BYTES}}}")


class Seal:
    """Replaces credentials by keyed hashes. secret: of the installation, at least 16 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the secret is shorter than 16 bytes: its hashes can be reversed")
        self._key = blake2b(secret, digest_size=32, person=b"credentials").digest()

    def __call__(self, compound: str, credential: str) -> str:
        """The hash as text; of what is one already, itself, so that sealing twice is no harm."""
        if _SEALED.fullmatch(credential):
            return credential
        whole = f"{compound}\0{credential}".encode("utf-8", "surrogatepass")
        return _MARK + blake2b(whole, digest_size=HASH_BYTES, key=self._key).hexdigest()


def hash_of(sealed: object) -> bytes | None:
    """The hash of a sealed credential; None for anything else."""
    if not isinstance(sealed, str) or not _SEALED.fullmatch(sealed):
        return None
    return bytes.fromhex(sealed[len(_MARK) :])


def pack(hashes: Iterable[bytes]) -> bytes:
    """Different hashes, in order and without anything between: the same set, the same bytes."""
    return b"".join(sorted(set(hashes)))


def unpack(packed: bytes) -> set[bytes]:
    return {packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)}


def distinct(packed: Iterable[bytes]) -> int:
    """How many different ones there are in all of these."""
    found: set[bytes] = set()
    for one in packed:
        found |= unpack(one)
    return len(found)


def published(count: int) -> int | None:
    """What may be shown of a count of people; None for so few that they could be told apart."""
    return count if count >= LEAST_PUBLISHED else None
