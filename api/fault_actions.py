"""What people do about a fault: one table for the API and for the console's forms.

A new action is one entry here, and its button in a template. `devices.faults` has the moves
themselves, and says when each is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from api import shapes
from devices import faults
from devices.faults import FALSE_ALARM, Fault, Move


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says with an action. until: RFC 3339, as it was written; the rest as text."""

    note: str | None = None
    until: str | None = None
    assignee: str | None = None
    resolution: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An action as it is asked for: by whom, when, and with what. until_ms: read from `said`."""

    actor: str
    now_ms: int
    said: Said
    until_ms: int | None = None

    @property
    def note(self) -> str | None:
        return self.said.note


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. move: the fault as it becomes; raises FaultMoved.

    text: what it is, for the documentation of the API. read: the JSON body of the API's route;
    None: the API has none, for it has the same under another name. needs_note: a form that says
    nothing is sent back. timed: it lasts until a time, and not for a safety fault.
    by_link: whoever was told of the fault may do it by the link in that message, without a login.
    """

    move: Callable[[Fault, Asked], Move]
    text: str
    read: Callable[..., Said] | None
    needs_note: bool = False
    timed: bool = False
    by_link: bool = False


def _acknowledged(body: shapes.faults.Acknowledge | None = None) -> Said:
    return Said() if body is None else Said(body.note)


def _noted(body: shapes.faults.Noted | None = None) -> Said:
    return Said() if body is None else Said(body.note)


def _commented(body: shapes.faults.Comment) -> Said:
    return Said(body.note)


def _assigned(body: shapes.faults.Assign) -> Said:
    return Said(body.note, assignee=body.assignee)


def _shelved(body: shapes.faults.Shelve) -> Said:
    return Said(body.note, until=body.until)


def _closed(body: shapes.faults.Close | None = None) -> Said:
    return Said() if body is None else Said(body.note, resolution=body.resolution)


def _comment(was: Fault, asked: Asked) -> Move:
    return faults.comment(was, asked.actor, asked.now_ms, asked.note or "")


def _assign(was: Fault, asked: Asked) -> Move:
    assignee = asked.said.assignee or asked.actor
    return faults.assign(was, assignee, asked.actor, asked.now_ms, asked.note)


def _shelve(was: Fault, asked: Asked) -> Move:
    if asked.until_ms is None:
        raise ValueError("a fault is shelved until a time; none was given")
    return faults.shelve(was, asked.until_ms, asked.actor, asked.now_ms, asked.note)


def _close(was: Fault, asked: Asked) -> Move:
    return faults.close(was, asked.actor, asked.now_ms, asked.note, asked.said.resolution)


def _refute(was: Fault, asked: Asked) -> Move:
    return _close(was, replace(asked, said=Said(asked.note, resolution=FALSE_ALARM)))


def _plain(move: Callable[[Fault, str, int, str | None], Move]) -> Callable[[Fault, Asked], Move]:
    """A move that takes nothing but a note."""
    return lambda was, asked: move(was, asked.actor, asked.now_ms, asked.note)


# By the last part of its address: /v1/faults/{id}/… and, for the console's forms, /faults/{id}/…
ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "acknowledge": Action(
            _plain(faults.acknowledge),
            "Somebody has seen it. One that was over already, and only waited for that, is closed.",
            _acknowledged,
            by_link=True,
        ),
        "comment": Action(
            _comment,
            "Add a note, also to a closed fault.",
            _commented,
            needs_note=True,
            by_link=True,
        ),
        "assign": Action(_assign, "Hand it to somebody, or take it.", _assigned, by_link=True),
        "shelve": Action(
            _shelve,
            "Put it aside until a time; if it still stands then, it is back, and people are told.\n"
            "\n"
            "A safety fault cannot be shelved. One that gets worse is back at once.",
            _shelved,
            timed=True,
        ),
        "unshelve": Action(_plain(faults.unshelve), "Take it back before its time.", _noted),
        "onsite": Action(
            _plain(faults.arrive),
            "Somebody is on site, and has thereby acknowledged it.",
            _noted,
            by_link=True,
        ),
        "repaired": Action(
            _plain(faults.repair),
            "It is repaired, somebody says; it is closed when the device says so too.",
            _noted,
            by_link=True,
        ),
        "confirm": Action(
            _plain(faults.confirm),
            "What was suspected is so: from now on it is a fault like any other, and people are "
            "told.",
            _noted,
            by_link=True,
        ),
        "close": Action(
            _close, "It is dealt with. While the device is still bad, it is raised again.", _closed
        ),
        # for the API a close with that resolution
        "refute": Action(
            _refute, "What was suspected is not so: a false alarm.", None, by_link=True
        ),
    }
)
