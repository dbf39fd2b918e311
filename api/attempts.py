"""How often somebody may try: after some failures they wait, longer each time.

Counted by name and address together, so that nobody can lock somebody else out by failing in their
name; and by address alone, with short waits, so that one who tries many names is slowed down too. A
browser that was logged in under a name before has a count of its own for it: who sits behind the
same proxy as a stranger does not wait for the stranger's failures.

A try that is not over counts as a failure: whoever sends many at once gets no more of them.
"""

import hashlib
import hmac
import ipaddress
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.once import TooMany

FREE, FREE_OF_ADDRESS = 5, 50  # failures without a wait
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 900.0
LONGEST_OF_ADDRESS_S = 10.0
WHILE_ANOTHER_S = 1.0  # while tries that may fail are not over
FORGOTTEN_AFTER_S = 3600.0  # without another failure
KEPT_AT_MOST = 20_000  # full: the one that failed longest ago is forgotten

KNOWN_COOKIE = "courtyard_known"


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last_s: float


class Attempts:
    """Failures of this process. monotonic: seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._running: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def trying(self, name: str, place: str, address: str = "") -> Iterator[None]:
        """One try, of which `failed` or `succeeded` says within how it ended.

        Raises TooMany while they have to wait. place: an address, or a browser that is known.
        address: "" for such a browser.
        """
        keys = [(name, place), *([("", address)] if address else [])]
        with self._lock:
            self._check(name, place, address)
            self._running.update(keys)
        try:
            yield
        finally:
            with self._lock:
                self._running.subtract(keys)
                self._running = +self._running  # what is at zero would stay for good

    def check(self, name: str, place: str, address: str = "") -> None:
        """Raise TooMany while they have to wait."""
        with self._lock:
            self._check(name, place, address)

    def _check(self, name: str, place: str, address: str) -> None:
        wait_s = self._wait_s((name, place), FREE, LONGEST_WAIT_S)
        if address:
            key = ("", address)
            wait_s = max(wait_s, self._wait_s(key, FREE_OF_ADDRESS, LONGEST_OF_ADDRESS_S))
        if wait_s > 0:
            raise TooMany(
                f"Too many failures: the next try is possible in {math.ceil(wait_s)} s.",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )

    def failed(self, name: str, place: str, address: str = "") -> None:
        """It was not right."""
        now_s = self._monotonic()
        with self._lock:
            for key in [(name, place), *([("", address)] if address else [])]:
                found = self._failures.pop(key, None)
                count = 0 if found is None or self._is_forgotten(found) else found.count
                self._failures[key] = _Failures(count + 1, now_s)
            while len(self._failures) > KEPT_AT_MOST:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, place: str) -> None:
        """They are in: what failed before was they."""
        with self._lock:
            self._failures.pop((name, place), None)

    def _wait_s(self, key: tuple[str, str], free: int, longest_s: float) -> float:
        found = self._failures.get(key)
        if found is not None and self._is_forgotten(found):
            found = None
        running = self._running[key]
        if running and running + (0 if found is None else found.count) >= free:
            return WHILE_ANOTHER_S
        if found is None or found.count < free:
            return 0.0
        # 2 ** 10 of the first is far beyond the longest; no need to go on
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(found.count - free, 10), longest_s)
        return found.last_s + wait_s - self._monotonic()

    def _is_forgotten(self, failures: _Failures) -> bool:
        return self._monotonic() - failures.last_s > FORGOTTEN_AFTER_S


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 its network, for a person has as many as they like."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def known_mark(secret_key: bytes, name: str, password: str) -> str:
    """What a browser keeps that was logged in under this name. password: its hash.

    With the password it changes, so that one that was stolen is of no use for long.
    """
    text = b"known\0" + name.encode() + b"\0" + hashlib.sha256(password.encode()).digest()
    return hmac.digest(secret_key, text, "sha256").hex()
