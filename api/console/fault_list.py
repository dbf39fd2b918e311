"""The list of faults as its page shows it.

Whatever is filtered out, what is critical or of the safety tier and waits for an answer is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from api import paging, sla
from api.console.fault_filters import Question, wanted_rows
from api.console.overview import SEVERITIES
from api.console.overview_pages import Line, evidence_lines, fault_lines
from api.console.sla_views import Deadline, deadline
from api.identity import Identity, Role
from api.parts import Known
from api.words import Language, grouped, say
from devices.days import DAY_MS, DISTRICT_ZONE, midnight_of
from devices.faults import Fault, State
from devices.sla import Ledger
from devices.store import kpis
from devices.store.faults import (
    Filter,
    Pace,
    Tally,
    children_of,
    count_faults,
    list_by_rank,
    list_faults,
    pace_of,
    tally,
)
from devices.store.scope import Scope
from devices.telling import basis_line

SUSPECTED_SHOWN = 25  # below the others; they have a list of their own
PINNED_SHOWN = 10

PACE_MS = 7 * DAY_MS  # how soon people answer is told of a week

MAY_ACT = (Role.OPERATOR, Role.FIRM)


@dataclass(frozen=True, slots=True)
class Child:
    """Faults of one code that a root explains, on one line."""

    line: Line
    where: str
    since: str


@dataclass(frozen=True, slots=True)
class Group:
    """A fault in the list, with what it brought with it: by code, and how many in all."""

    line: Line
    deadline: Deadline | None
    children: tuple[Child, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Guess:
    """A suspected fault, and what it was made of."""

    line: Line
    basis: str


@dataclass(frozen=True, slots=True)
class View:
    """One of the lists that are a click away. n: how many are in it; None: not counted."""

    key: str
    address: str
    word: str
    n: int | None
    is_here: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What all lists of a scope have in common at a moment. late: past a limit."""

    ledgers: Mapping[str, Ledger]
    late: frozenset[str]
    counts: Tally


@dataclass(frozen=True, slots=True)
class FaultList:
    """All that the page shows. pinned: what waits for an answer and is outside the filter.

    matched: how many there are in all; None in the list of all, which is not counted.
    cursor: of the next page. pace: of what the filter lets through, whatever its state.
    """

    question: Question
    groups: Sequence[Group]
    pinned: Sequence[Group]
    guesses: Sequence[Guess]
    has_more_guesses: bool
    views: Sequence[View]
    counts: Tally
    overdue: int
    matched: int | None
    lead: str
    has_impact: bool
    cursor: str | None
    pace: Pace


def fault_list(
    connection: Connection,
    who: Identity,
    known: Known,
    language: Language,
    question: Question,
    rows: paging.Page,
    standing: Standing,
    now_ms: int,
) -> FaultList:
    """Raises NotFound for a filter by what is not theirs."""
    narrow = wanted_rows(known, who, question)
    ledgers, late, counts = dict(standing.ledgers), standing.late, standing.counts
    if question.overdue:
        narrow = replace(narrow, ids=late)
    wanted = _shown(question, narrow)
    found = _rows(connection, who, question, wanted, rows)
    position = newest if question.shown == "all" else ranked
    shown, cursor = rows.split(found, position)
    is_first = rows.position is None
    pinned = _pinned(connection, who, question, shown) if is_first else []
    guesses: list[Fault] = []
    if question.shown == "open" and is_first:
        guesses = _guesses(connection, who, narrow)
    children: dict[str, list[Fault]] = {}
    if question.shown != "all":
        children = children_of(connection, who.scope, [one.id for one in (*pinned, *shown)])
    every = [*pinned, *shown, *guesses, *(one for some in children.values() for one in some)]
    lines = {
        line.fault: line for line in fault_lines(connection, who, known, language, every, now_ms)
    }
    others = [one.id for one in shown if one.state is not State.CLOSED and one.id not in ledgers]
    if others:  # a guess, our own, or what a root explains
        ledgers |= sla.of_faults(connection, known, who.scope, others, now_ms)

    def groups(some: Iterable[Fault]) -> list[Group]:
        return [
            Group(
                lines[fault.id],
                deadline(language, fault, ledgers.get(fault.id), now_ms),
                tuple(folded(language, children.get(fault.id, []), lines)),
                len(children.get(fault.id, [])),
            )
            for fault in some
        ]

    return FaultList(
        question=question,
        groups=groups(shown),
        pinned=groups(pinned),
        guesses=[
            Guess(
                lines[fault.id],
                basis_line(language, fault.code, fault.kind, fault.evidence)
                or say(language, "semicolon").join(
                    f"{name} {value}" for name, value in evidence_lines(language, fault)
                ),
            )
            for fault in guesses[:SUSPECTED_SHOWN]
        ],
        has_more_guesses=len(guesses) > SUSPECTED_SHOWN,
        views=_views(language, question, counts, len(late)),
        counts=counts,
        overdue=len(late),
        matched=_matched(connection, who, question, wanted, counts),
        lead=_lead(language, counts),
        has_impact=any(line.impact for line in lines.values()),
        cursor=cursor,
        pace=pace_of(
            connection,
            who.scope,
            replace(wanted_rows(known, who, question), state=None),
            day_ms=midnight_of(now_ms, DISTRICT_ZONE),
            since_ms=now_ms - PACE_MS,
        ),
    )


def newest(fault: Fault) -> paging.Position:
    return [fault.opened_at_ms, fault.id]


def ranked(fault: Fault) -> paging.Position:
    return [fault.rank, fault.opened_at_ms, fault.id]


def folded(language: Language, children: list[Fault], lines: dict[str, Line]) -> list[Child]:
    """One line for all faults of a code, in the order in which they began."""
    codes: dict[str, list[Fault]] = {}
    for child in children:
        codes.setdefault(child.code, []).append(child)
    found: list[Child] = []
    for same in codes.values():
        first = lines[same[0].id]
        where = say(language, "list_comma").join(lines[child.id].device for child in same[:3])
        if len(same) > 1:
            where = say(language, "n_of_them", where=where, n=len(same))
        found.append(Child(first, where, first.began))
    return found


def _shown(question: Question, narrow: Filter) -> Filter:
    """With what the list is of. A search also finds what a root explains."""
    if question.shown == "all":
        return narrow
    is_sought = bool(question.text or question.code)
    wanted = replace(narrow, is_open=True, suppressed=None if is_sought else False)
    match question.shown:
        case "suspected":
            return replace(wanted, suspected=True, shelved=False)
        case "shelved":
            return replace(wanted, shelved=True)
        case "maintenance":
            return replace(wanted, maintained=True)
    return replace(wanted, suspected=False, shelved=False)


def _rows(
    connection: Connection, who: Identity, question: Question, wanted: Filter, rows: paging.Page
) -> list[Fault]:
    at, limit = rows.position, rows.limit + 1
    if question.shown == "all":
        before = (at[0], at[1]) if at else None
        return list_faults(connection, who.scope, wanted, before=before, limit=limit)
    behind = (at[0], at[1], at[2]) if at else None
    return list_by_rank(connection, who.scope, wanted, behind=behind, limit=limit)


def _pinned(
    connection: Connection, who: Identity, question: Question, shown: Sequence[Fault]
) -> list[Fault]:
    """What is acute and unanswered, and not in the list: there it would be on the first page."""
    if question.shown == "all" or (question.shown == "open" and not question.is_narrow):
        return []
    acute = Filter(is_open=True, suppressed=False, suspected=False, acute=True)
    every = list_by_rank(connection, who.scope, acute, limit=PINNED_SHOWN * 2)
    inside = {fault.id for fault in shown}
    waiting = [fault for fault in every if fault.state is not State.ACKNOWLEDGED]
    return [fault for fault in waiting if fault.id not in inside][:PINNED_SHOWN]


def _guesses(connection: Connection, who: Identity, narrow: Filter) -> list[Fault]:
    of = replace(narrow, is_open=True, suspected=True, suppressed=False, shelved=False)
    return list_by_rank(connection, who.scope, of, limit=SUSPECTED_SHOWN + 1)


def read_standing(connection: Connection, known: Known, scope: Scope, now_ms: int) -> Standing:
    """The ledgers of all that stands, and of which of them a limit has passed."""
    every = sla.standing(connection, known, scope, kpis.Filter(), now_ms)
    late = frozenset(case.id for case, one in every if sla.is_late(case, one))
    return Standing({case.id: one for case, one in every}, late, tally(connection, scope))


def _matched(
    connection: Connection, who: Identity, question: Question, wanted: Filter, counts: Tally
) -> int | None:
    """How many the list holds; of a plain one it was counted already."""
    if question.shown == "all":
        return None
    if question.is_narrow:
        return count_faults(connection, who.scope, wanted)
    return {
        "open": counts.listed,
        "suspected": counts.suspected,
        "shelved": counts.shelved,
        "maintenance": counts.maintained,
    }[question.shown]


def _views(language: Language, question: Question, counts: Tally, overdue: int) -> list[View]:
    every: list[tuple[str, Question, str, int | None]] = [
        ("open", Question(), "show_open", counts.listed),
        ("overdue", Question(overdue="yes"), "fw_overdue", overdue),
        ("suspected", Question(show="suspected"), "suspected", counts.suspected),
        ("shelved", Question(show="shelved"), "shelved_n", counts.shelved),
        ("maintenance", Question(show="maintenance"), "maintained_n", counts.maintained),
        ("all", Question(show="all"), "show_all", None),
    ]
    return [
        View(key, one.address(), say(language, word), n, one == question)
        for key, one, word, n in every
    ]


def view_of_own(
    connection: Connection, language: Language, who: Identity, question: Question
) -> View:
    """What is somebody's own: it is the one list that differs from person to person."""
    of = Filter(is_open=True, suppressed=False, suspected=False, shelved=False, of=who.name)
    mine = Question(whose="mine")
    n = count_faults(connection, who.scope, of)
    return View("mine", mine.address(), say(language, "fw_mine"), n, mine == question)


def _lead(language: Language, counts: Tally) -> str:
    parts = [
        f"{say(language, one.lower())} {grouped(counts.severities[one])}"
        for one in SEVERITIES
        if counts.severities.get(one)
    ]
    lead = say(language, "f_lead", n=grouped(counts.listed))
    if parts:
        lead += say(language, "colon") + say(language, "sep").join(parts)
    if counts.suspected:
        lead += say(language, "semicolon") + say(language, "f_apart", n=counts.suspected)
    return lead
