"""What of the list of faults changes, rendered for all who see the same of it.

Nothing of who asks is there when these parts are rendered, but whether they have buttons, and their
name where they asked for what is their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urlencode

from api import paging
from api.console.fault_filters import Question
from api.console.fault_list import (
    MAY_ACT,
    FaultList,
    Group,
    Standing,
    fault_list,
    read_standing,
)
from api.console.live import MOST_VIEWS, Rendered, Shown, frame, slot
from api.console.looks import Looks
from api.console.ourselves import OurCopy, Ourselves
from api.console.pages import our_parts, rendered
from api.identity import Identity, Role
from api.parts import Known, Parts
from api.words import Language, duration, say
from devices.store.database import reading
from devices.store.scope import Scope
from devices.store.stream import newest_events

VIEW = "faults"
KEPT_ROWS = 2_000  # what they were a moment ago, in both languages
ANEW_MS = 15_000  # ages and limits move on without news

_OTHERS = ("lead", "figures", "pager", "suspected")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list is asked for. name: of who asks, where the list is of what is theirs; else empty.
    role: visitors see what a viewer sees."""

    question: Question
    rows: paging.Page
    filters: paging.Filters
    name: str
    role: Role


def asked_by(
    who: Identity, question: Question, rows: paging.Page, filters: paging.Filters
) -> Asked:
    role = Role.VIEWER if who.role is Role.VISITOR else who.role
    return Asked(question, rows, filters, who.name if question.whose == "mine" else "", role)


@dataclass(frozen=True, slots=True)
class Common:
    """What all lists of a scope have in common. mark: another one when something has changed."""

    mark: tuple[object, ...]
    known: Known
    standing: Standing


class FaultParts:
    """The parts of each view of the list. While nothing has happened they are not made again."""

    def __init__(self, parts: Parts, ours: OurCopy) -> None:
        self._parts = parts
        self._ours = ours
        self._common: Looks[Common] = Looks()
        self._turns: Looks[Rendered] = Looks(most=MOST_VIEWS)
        self._copies: Looks[Rendered] = Looks()
        self._turn: int | None = None

    def render(self, shown: Shown, turn: int | None = None) -> Rendered:
        """In a turn; or for who asks alone, a moment old at most."""
        if turn is None:
            # never from before what was sent last
            key = shown, self._turn
            return self._with_ours(shown, self._copies.get(key, lambda: self.now(shown)[1]))
        self._turn = turn
        common = self._common.get(shown.scope, lambda: self._read(shown.scope), turn)
        made = self._turns.get(shown, lambda: self._list(shown, common)[1], common.mark)
        return self._with_ours(shown, made)

    def now(self, shown: Shown) -> tuple[FaultList, Rendered]:
        """As it is at this moment. Raises NotFound for a filter by what is not theirs."""
        return self._list(shown, self._read(shown.scope))

    def _with_ours(self, shown: Shown, made: Rendered) -> Rendered:
        ours = Ourselves(self._ours.get(shown.scope), shown.language)
        return replace(made, parts={**made.parts, **our_parts(shown.language, ours)})

    def _read(self, scope: Scope) -> Common:
        now_ms = self._parts.now_ms()
        with reading(self._parts.deps.engine) as connection:
            known = self._parts.registry.get(connection)
            mark = (newest_events(connection), known.directory.revision, now_ms // ANEW_MS)
            kept = self._common.last(scope)
            if kept is not None and kept.mark == mark:
                return kept
            return Common(mark, known, read_standing(connection, known, scope, now_ms))

    def _list(self, shown: Shown, common: Common) -> tuple[FaultList, Rendered]:
        asked = shown.asked
        assert isinstance(asked, Asked)
        who = Identity(asked.name, asked.role, shown.scope)
        now_ms = self._parts.now_ms()
        with reading(self._parts.deps.engine) as connection:
            found = fault_list(
                connection,
                who,
                common.known,
                shown.language,
                asked.question,
                asked.rows,
                common.standing,
                now_ms,
            )
        return found, _rendered(shown.language, asked, found)


def _rendered(language: Language, asked: Asked, found: FaultList) -> Rendered:
    may_act = asked.role in MAY_ACT
    question = asked.question
    older = ""
    if found.cursor is not None:
        older = f"/faults?{urlencode([*asked.filters, ('cursor', found.cursor)])}"
    values = {
        "shown": found,
        "may_act": may_act,
        "older": older,
        "answered": (
            "—"
            if found.pace.to_acknowledge_s is None
            else duration(language, found.pace.to_acknowledge_s)
        ),
        "nothing": say(
            language, "fw_empty_filter" if question.is_narrow else f"fw_empty_{question.shown}"
        ),
        "nothing_next": [
            (address, say(language, word)) for address, word in _next_to_nothing(question)
        ],
    }
    parts = {
        f"row-{one.line.fault}": _row(language, one, may_act, found.has_impact)
        for one in (*found.pinned, *found.groups)
    }
    for name in _OTHERS:
        parts[name] = rendered(language, f"faults_{name}.html", **values)
    for view in found.views:
        if view.n is not None:
            parts[f"n-{view.key}"] = f'<span data-live="n-{view.key}">{view.n}</span>'
    html = rendered(language, "faults_list.html", slot=slot, **values)
    return Rendered(parts, {"list": frame(html)})


def _next_to_nothing(question: Question) -> Sequence[tuple[str, str]]:
    """Where to look when a list holds nothing: addresses, each with its word."""
    if question.is_narrow:
        return [(Question(show=question.show).address(), "em_to_all")]
    match question.shown:
        case "open":
            return [("/faults?show=all", "em_to_all_faults"), ("/help/faults", "em_to_catalogue")]
        case "all":
            return [("/help/faults", "em_to_catalogue")]
        case term:
            return [("/faults", "em_to_open"), (f"/help#{term}", "em_to_what_is")]


@lru_cache(maxsize=KEPT_ROWS)
def _row(language: Language, group: Group, may_act: bool, has_impact: bool) -> str:
    return rendered(
        language, "fault_row.html", one=group, may_act=may_act, has_impact=has_impact
    ).strip()
