"""Places at which a test can make a process die, fail or wait: crash points of docs/reliability.md.

`COURTYARD_FAILPOINTS=R6:kill@17,F2:sleep(2.5),J2:raise@3` is read once, when a process starts:
`kill` is SIGKILL, `raise` raises what would go wrong at that place for real, `sleep` waits so many
seconds; `@n` means at the n-th time that the point is passed, the first where it is left out.
Without it a point is an empty function.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

VARIABLE = "COURTYARD_FAILPOINTS"

_ARMED = re.compile(
    r"(?P<name>[A-Z]\d+[a-z]?):(?P<action>kill|raise|sleep\((?P<s>[\d.]+)\))(@(?P<n>\d+))?"
)


class Injected(Exception):
    """What an armed point raises where the place names no error of its own."""


class Failpoint(Protocol):
    """error: what it raises when armed to `raise`; called with the text."""

    def __call__(self, name: str, error: type[Exception] = Injected, /) -> None: ...


class BadFailpoints(ValueError):
    """The text cannot be read."""


@dataclass(frozen=True, slots=True)
class Armed:
    """What happens when a point is passed for the `at`-th time."""

    action: str
    at: int
    sleep_s: float = 0.0


def read(text: str) -> dict[str, Armed]:
    """The points that a text arms. Raises BadFailpoints."""
    armed = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _ARMED.fullmatch(part)
        if found is None:
            raise BadFailpoints(
                f"{VARIABLE}: {part!r} is none of NAME:kill, NAME:raise, NAME:sleep(SECONDS),"
                " each with @N for the N-th time"
            )
        action = found["action"].partition("(")[0]
        armed[found["name"]] = Armed(action, int(found["n"] or 1), float(found["s"] or 0))
    return armed


def arm(armed: Mapping[str, Armed]) -> Failpoint:
    """A `failpoint` that does what is armed, each point once."""
    passed = dict.fromkeys(armed, 0)
    lock = threading.Lock()

    def failpoint(name: str, error: type[Exception] = Injected, /) -> None:
        what = armed.get(name)
        if what is None:
            return
        with lock:
            passed[name] += 1
            if passed[name] != what.at:
                return
        if what.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what.action == "sleep":
            time.sleep(what.sleep_s)
        else:
            raise error(f"failpoint {name}")

    return failpoint


def _nothing(_name: str, _error: type[Exception] = Injected, /) -> None:
    """No point is armed."""


def _from_environment() -> Failpoint:
    text = os.environ.get(VARIABLE, "")
    return arm(read(text)) if text else _nothing


failpoint = _from_environment()
