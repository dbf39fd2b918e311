"""The search of every page: compounds, devices and faults by name, place or number.

Who gives the whole id of one goes straight there. Words that name a compound narrow the rest to it,
so that "祥云里 1号" finds the first of everything there.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api.compounds import judge_is_blind
from api.console.fault_filters import TEXT_CHARACTERS, WORDS, sought
from api.console.naming import compound_name
from api.console.overview_pages import fault_lines
from api.console.pages import Page, PageOf
from api.identity import Identity, Reader
from api.parts import Known, PartsOf
from api.words import grouped, named, say
from devices.kinds import KINDS
from devices.registry import Name
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.devices import Standing, Word, find_device, search_devices
from devices.store.faults import Filter, Sought, UnknownFault, find_fault, list_by_rank

SHOWN = 20
FAULTS_SHOWN = 10

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A compound that was found."""

    id: str
    name: str
    firm: str
    households: str


@dataclass(frozen=True, slots=True)
class Found:
    """A device that was found."""

    id: str
    name: str
    kind: str
    compound: str
    compound_name: str
    place: str
    state: str
    state_word: str
    open_faults: int


@router.get("/search")
def search_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    q: Annotated[str, Query(max_length=TEXT_CHARACTERS)] = "",
    after: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """What has these words in its name, place or number."""
    now_ms = parts.now_ms()
    text = " ".join(q.split())
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        if text and " " not in text and (there := _exactly(connection, known, who, text)):
            return RedirectResponse(there, 303)
        words = [sought(known, word) for word in text.split()[:WORDS]]
        found: list[Standing] = []
        lines = []
        if words:
            found = search_devices(
                connection,
                who.scope,
                [Word(word.text, word.compounds) for word in words],
                blind=judge_is_blind(connection, now_ms),
                now_ms=now_ms,
                after=after or None,
                limit=SHOWN + 1,
            )
            wanted = Filter(is_open=True, sought=tuple(words))
            rows = list_by_rank(connection, who.scope, wanted, limit=FAULTS_SHOWN + 1)
            lines = fault_lines(connection, who, known, page.language, rows, now_ms)
    places = [_place(page, known, entry) for entry in _entries(known, who, words)]
    older = ""
    if len(found) > SHOWN:
        older = "/search?" + urlencode({"q": text, "after": found[SHOWN - 1].id})
    return page.render(
        "search.html",
        who=who,
        q=text,
        is_first=not after,
        places=places[:SHOWN],
        more_places=max(0, len(places) - SHOWN),
        devices=[_found(page, known, one) for one in found[:SHOWN]],
        older=older,
        lines=lines[:FAULTS_SHOWN],
        all_faults="/faults?" + urlencode({"show": "all", "text": text}),
    )


def _exactly(connection: Connection, known: Known, who: Identity, text: str) -> str | None:
    """Where the one thing is that has this id, if they may see it."""
    if known.directory.find(who.scope, text) is not None:
        return f"/compounds/{quote(text)}"
    if find_device(connection, who.scope, text, blind=False) is not None:
        return f"/devices/{quote(text)}"
    try:
        fault = find_fault(connection, who.scope, text)
    except UnknownFault:
        return None
    return f"/faults/{quote(fault.id)}"


def _entries(known: Known, who: Identity, words: list[Sought]) -> list[Entry]:
    if not words:
        return []
    return [
        entry
        for entry in known.directory.visible(who.scope)
        if all(entry.id in word.compounds for word in words)
    ]


def _place(page: Page, known: Known, entry: Entry) -> Place:
    firm = known.directory.firms[entry.firm]
    return Place(
        id=entry.id,
        name=named(page.language, entry.name),
        firm=page.say("firm_name", name=named(page.language, firm)),
        households=page.say("sr_households", n=grouped(entry.households)),
    )


def _found(page: Page, known: Known, one: Standing) -> Found:
    language = page.language
    kind = KINDS[one.kind]
    return Found(
        id=one.id,
        name=one.name,
        kind=named(language, Name(kind.zh, kind.en)),
        compound=one.compound,
        compound_name=compound_name(language, known.directory.compounds, one.compound),
        place=" ".join(part for part in (one.building, one.unit) if part),
        state=one.state,
        state_word=say(language, f"d_{one.state}"),
        open_faults=one.open_faults,
    )
