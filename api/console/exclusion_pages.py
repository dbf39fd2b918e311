"""The console's list of what is left out of a compound's usage: steps of registers, and why.

Also the newest of a device, for its page. Of lamps this list is all there is: a jump of a socket's
register is a fault as well (`SHED_METER_JUMP`), but the catalogue has none for a lamp's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from api import compounds, paging
from api.console.pages import Page, PageOf
from api.identity import Identity, Reader
from api.instants import when, zone_of
from api.parts import PartsOf
from api.periods import parse_period
from api.reports.words import number
from api.words import named
from devices.registers import JUMP_WORDS, Exclusion
from devices.store.database import reading
from devices.store.devices import device_names
from devices.store.exclusions import Filter, count_exclusions, list_exclusions
from devices.store.scope import Scope

SHOWN = 50
NEWEST_SHOWN = 5  # on the page of a device

router = APIRouter(include_in_schema=False)

WordOf = Annotated[str, Query(max_length=60)]


@dataclass(frozen=True, slots=True)
class Line:
    """One of them, in words."""

    device: str
    name: str
    place: str
    at: str
    since: str
    before: str
    after: str
    excluded: str
    why: str


@router.get("/compounds/{compound}/exclusions")
def exclusions_page(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    rows: paging.PageOf,
    compound: str,
    start: Annotated[WordOf, Query(alias="from")] = "",
    end: Annotated[WordOf, Query(alias="to")] = "",
    device: WordOf = "",
) -> Response:
    """The newest first; of a range as the API takes it, or of one device, if that is asked for."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        zone = zone_of(entry.timezone)
        asked = parse_period(start or None, end or None, zone, now_ms)
        wanted = Filter(compound, None, device or None, asked.from_ms, asked.to_ms)
        count, kwh = count_exclusions(connection, who.scope, wanted)
        most = min(rows.limit, SHOWN)
        found = list_exclusions(
            connection,
            who.scope,
            wanted,
            before=rows.behind,
            limit=most + 1,
        )
        shown = found[:most]
        lines = _lines(connection, who, page, shown, now_ms)
    older = ""
    if len(found) > most:
        older = page.address(cursor=rows.cursor([shown[-1].at_ms, shown[-1].device]))
    return page.render(
        "exclusions.html",
        who=who,
        entry=entry,
        name=named(page.language, entry.name),
        lines=lines,
        count=count,
        kwh=number(kwh, 2),
        older=older,
        is_part=bool(start or end or device),
        as_of=when(now_ms, now_ms),
    )


def newest_of_device(
    connection: Connection, who: Identity, page: Page, device: str, now_ms: int
) -> list[Line]:
    """Of its own register, and of those of what hangs on it."""
    found = list_exclusions(connection, who.scope, Filter(device=device), limit=NEWEST_SHOWN)
    return _lines(connection, who, page, found, now_ms)


def notice(
    connection: Connection, scope: Scope, page: Page, compound: str, from_ms: int, to_ms: int
) -> str:
    """What a page of usage says of those in its range; nothing, if there are none."""
    wanted = Filter(compound, from_ms=from_ms, to_ms=to_ms)
    count, kwh = count_exclusions(connection, scope, wanted)
    return page.say("ux_notice", n=count, kwh=number(kwh, 2)) if count else ""


def _lines(
    connection: Connection,
    who: Identity,
    page: Page,
    found: Sequence[Exclusion],
    now_ms: int,
) -> list[Line]:
    names = device_names(connection, who.scope, {one.device for one in found})
    return [_line(page, names, one, now_ms) for one in found]


def _line(
    page: Page,
    names: Mapping[str, tuple[str, str, str]],
    one: Exclusion,
    now_ms: int,
) -> Line:
    name, building, unit = names.get(one.device, (one.device, "", ""))
    return Line(
        device=one.device,
        name=name,
        place=" ".join(part for part in (building, unit) if part),
        at=when(one.at_ms, now_ms),
        since=when(one.from_ms, now_ms),
        before=number(one.before_kwh, 2),
        after=number(one.after_kwh, 2),
        excluded=number(one.excluded_kwh, 2),
        why=named(page.language, JUMP_WORDS[one.why]),
    )
