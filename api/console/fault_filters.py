"""What the list of faults is asked: in its address, as a filter of rows, and under a name.

The address says it all, so a filter is shared by sending the address. Filters that somebody has
saved are kept with their number (`devices.store.saved_filters`), for them alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import RedirectResponse, Response

from api import audited, compounds
from api.compounds import check_firm
from api.devices import check_kind
from api.errors import BadParameter, NotFound, Problem
from api.faults import KINDS_BESIDES
from api.identity import Identity, Person
from api.parts import Known, PartsOf
from api.words import Language, named, say
from devices.catalogue import RULES
from devices.faults import PLATFORM, State
from devices.kinds import KINDS
from devices.registry import Name
from devices.rules import Severity
from devices.store.database import writing
from devices.store.faults import Filter, Sought
from devices.store.saved_filters import (
    MOST,
    SavedFilter,
    TooManyFilters,
    UnknownFilter,
    delete_filter,
    save_filter,
)

WORDS = 5  # of a search; more of them are not looked for
TEXT_CHARACTERS = 80
NAME_CHARACTERS = 60

Show = Literal["open", "suspected", "shelved", "maintenance", "all"]
Whose = Literal["", "mine", "nobody"]

# What a parameter may be, where it is one of few.
_ALLOWED: Mapping[str, Sequence[str]] = {
    "show": ("open", "suspected", "shelved", "maintenance", "all"),
    "whose": ("mine", "nobody"),
    "severity": tuple(Severity),
    "state": tuple(State),
    "overdue": ("yes",),
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; empty leaves it open. whose: mine, or nobody's. overdue: "yes" or not."""

    show: Show = "open"
    text: str = ""
    firm: str = ""
    compound: str = ""
    kind: str = ""
    code: str = ""
    severity: str = ""
    state: str = ""
    whose: Whose = ""
    assignee: str = ""
    overdue: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves some out, beside what it shows."""
        return any(value for name, value in self.given() if name != "show")

    def given(self) -> Iterator[tuple[str, str]]:
        """What is not as it is at first."""
        for one in fields(self):
            value: str = getattr(self, one.name)
            if value != one.default:
                yield one.name, value

    def query(self, **more: str) -> str:
        """As the query of an address, always in the same order. more: what replaces or adds."""
        given = {**dict(self.given()), **more}
        return urlencode({name: value for name, value in given.items() if value})

    def address(self, **more: str) -> str:
        query = self.query(**more)
        return f"/faults?{query}" if query else "/faults"

    @property
    def shown(self) -> Show:
        """What is shown: closed ones are only in the list of all."""
        is_past = self.state == State.CLOSED and self.show == "open"
        return "all" if is_past else self.show


def asked(
    show: Annotated[Show, Query()] = "open",
    text: Annotated[str, Query(max_length=TEXT_CHARACTERS)] = "",
    firm: Annotated[str, Query(max_length=63)] = "",
    compound: Annotated[str, Query(max_length=63)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
    code: Annotated[str, Query(max_length=40)] = "",
    severity: Annotated[str, Query(pattern="^(P[1-4])?$")] = "",
    state: Annotated[str, Query(pattern="^(open|acknowledged|cleared|closed)?$")] = "",
    whose: Annotated[Whose, Query()] = "",
    assignee: Annotated[str, Query(max_length=120)] = "",
    overdue: Annotated[Literal["", "yes", "true"], Query()] = "",  # true: as the API has it
) -> Question:
    """The question of this address; raises BadParameter."""
    return _checked(
        Question(
            *(show, text, firm, compound, kind, code),
            *(severity, state, whose, assignee, "yes" if overdue else ""),
        )
    )


QuestionOf = Annotated[Question, Depends(asked)]


def parse_question(query: str) -> Question:
    """The same from the text of a query; what it does not know is left out. Raises BadParameter."""
    names = {one.name for one in fields(Question)}
    given: dict[str, Any] = {
        name: value[:TEXT_CHARACTERS] for name, value in parse_qsl(query) if name in names
    }
    for name, allowed in _ALLOWED.items():
        if given.get(name, allowed[0]) not in allowed:
            raise BadParameter("query", f"{name} is none of: {', '.join(allowed)}")
    return _checked(Question(**given))


def _checked(question: Question) -> Question:
    """The same without blanks that mean nothing; raises BadParameter."""
    if question.kind not in KINDS_BESIDES:
        check_kind(question.kind or None)
    if question.code and question.code not in RULES:
        raise BadParameter("code", f"{question.code[:60]!r} is not in the fault catalogue")
    return replace(
        question, text=" ".join(question.text.split()), assignee=question.assignee.strip()
    )


def wanted_rows(known: Known, who: Identity, question: Question) -> Filter:
    """The filter of rows, without what is shown. Raises NotFound for what is not theirs to ask."""
    check_firm(known.directory, who, question.firm or None)
    if question.compound:
        compounds.find(known, who, question.compound)
    return Filter(
        compound=question.compound or None,
        state=question.state or None,
        severity=question.severity or None,
        kind=question.kind or None,
        code=question.code or None,
        firm=question.firm or None,
        assignee=question.assignee or None,
        of=who.name if question.whose == "mine" else None,
        unassigned=question.whose == "nobody",
        sought=tuple(sought(known, word) for word in question.text.split()[:WORDS]),
    )


def sought(known: Known, word: str) -> Sought:
    """What a word of a search may stand for, beside the name of a device."""
    lowered = word.casefold()

    def has(*names: str) -> bool:
        return any(lowered in name.casefold() for name in names)

    return Sought(
        word,
        frozenset(code for code, rule in RULES.items() if has(code, rule.zh, rule.en)),
        frozenset(
            id_
            for id_, entry in known.directory.compounds.items()
            if has(id_, entry.name.zh, entry.name.en)
        ),
    )


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be picked in the form: (value, text) each. codes: by kind of device."""

    firms: Sequence[tuple[str, str]]
    compounds: Sequence[tuple[str, str]]
    kinds: Sequence[tuple[str, str]]
    codes: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    severities: Sequence[tuple[str, str]]
    states: Sequence[tuple[str, str]]
    assignees: Sequence[str]


def choices(
    language: Language, who: Identity, known: Known, question: Question, assigned: Sequence[str]
) -> Choices:
    """assigned: to whom something is assigned now."""
    kinds = [(name, named(language, Name(of.zh, of.en))) for name, of in KINDS.items()]
    kinds += [("compound", say(language, "whole_compound"))]
    if who.scope.is_district:
        kinds += [(PLATFORM, say(language, "our_system"))]
    codes: dict[str, list[tuple[str, str]]] = {}
    for code, rule in RULES.items():
        if rule.kind != PLATFORM or who.scope.is_district:
            codes.setdefault(rule.kind, []).append((code, rule.zh if language == "zh" else rule.en))
    words = {**dict(kinds), "any": say(language, "fw_any_kind")}
    theirs = [
        (id_, entry)
        for id_, entry in known.directory.compounds.items()
        if who.scope.firm in (None, entry.firm) and question.firm in ("", entry.firm)
    ]
    firms = known.directory.firms if who.scope.is_district else {}
    people = sorted({*assigned, *([question.assignee] if question.assignee else [])})
    return Choices(
        firms=[(id_, named(language, name)) for id_, name in firms.items()],
        compounds=[(id_, named(language, entry.name)) for id_, entry in theirs],
        kinds=kinds,
        codes=[(words.get(kind, kind), some) for kind, some in codes.items()],
        severities=[(one.value, say(language, one.value.lower())) for one in Severity],
        states=[(one.value, say(language, f"s_{one}")) for one in State],
        assignees=people,
    )


def in_use(language: Language, question: Question, of: Choices) -> list[str]:
    """What narrows the list, beside a search, as the form says it."""
    every = dict(pair for _, some in of.codes for pair in some)
    words = [
        dict(of.firms).get(question.firm, question.firm),
        dict(of.compounds).get(question.compound, question.compound),
        dict(of.kinds).get(question.kind, question.kind),
        every.get(question.code, question.code),
        dict(of.severities).get(question.severity, ""),
        dict(of.states).get(question.state, ""),
        say(language, f"fw_{question.whose}") if question.whose else "",
        question.assignee,
        say(language, "fw_overdue") if question.overdue else "",
    ]
    return [word for word in words if word]


@dataclass(frozen=True, slots=True)
class SavedLine:
    """A saved filter as it is shown. is_here: this is what the page shows."""

    id: int
    name: str
    address: str
    is_here: bool


def saved_lines(saved: Sequence[SavedFilter], question: Question) -> list[SavedLine]:
    here = question.query()
    return [
        SavedLine(one.id, one.name, f"/faults?{one.query}" if one.query else "/faults",
                  one.query == here)
        for one in saved
    ]  # fmt: skip


class TooManySaved(Problem):
    status, slug, title = 409, "too-many-filters", "Too many filters"

    def __init__(self) -> None:
        super().__init__(f"You have saved {MOST} filters: delete one of them first.")


@router.post("/faults/filters")
def save(
    parts: PartsOf,
    who: Person,
    name: Annotated[str, Form(max_length=NAME_CHARACTERS)] = "",
    query: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Keep a filter under a name, for oneself."""
    question = parse_question(query)
    called = " ".join(name.split())
    if not called:
        raise BadParameter("name", "a filter needs a name under which you find it again")
    audited.about(f"filter {called}")
    try:
        with writing(parts.deps.engine) as connection:
            save_filter(connection, who.token, called, question.query(), parts.now_ms())
    except TooManyFilters as error:
        raise TooManySaved from error
    return RedirectResponse(question.address(did="saved"), 303)


@router.post("/faults/filters/{saved}/delete")
def forget(parts: PartsOf, who: Person, saved: int) -> Response:
    """Delete one of one's own."""
    try:
        with writing(parts.deps.engine) as connection:
            gone = delete_filter(connection, who.token, saved)
    except UnknownFilter as error:
        raise NotFound from error
    audited.about(f"filter {gone.name}")
    return RedirectResponse("/faults?did=forgotten", 303)
