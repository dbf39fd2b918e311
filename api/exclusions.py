"""What registers moved by without a figure: left out of usage, and why."""

from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api import compounds, shapes
from api.identity import Identity, Reader
from api.instants import DISTRICT_ZONE, print_instant, zone_of
from api.paging import Page, PageOf
from api.parts import PartsOf
from api.periods import parse_period
from devices.registers import JUMP_WORDS, Exclusion
from devices.store.database import reading
from devices.store.exclusions import Filter, list_exclusions

router = APIRouter(prefix="/v1", tags=["usage"], responses=shapes.refusals.PROBLEMS)


From = Annotated[
    str | None,
    Query(alias="from", description="Shown at or after; without zone the compound's time."),
]
To = Annotated[str | None, Query(alias="to", description="Shown before this time.")]
DeviceOf = Annotated[
    str | None, Query(description="Of this device, or of what hangs on it: a shed's sockets.")
]


@router.get("/usage/exclusions")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    start: From = None,
    end: To = None,
    compound: Annotated[str | None, Query(description="Only this compound's.")] = None,
    firm: Annotated[str | None, Query(description="Only this property firm's.")] = None,
    device: DeviceOf = None,
) -> shapes.usage.Exclusions:
    """Steps of registers that are in no figure but `excluded_kwh`, the newest first."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        compounds.check_firm(known.directory, who, firm)
        zone: tzinfo = DISTRICT_ZONE
        if compound is not None:
            zone = zone_of(compounds.find(known, who, compound).timezone)
        asked = parse_period(start, end, zone, parts.now_ms())
        wanted = Filter(compound, firm, device, asked.from_ms, asked.to_ms)
        return _listed(connection, who, page, wanted)


@router.get("/compounds/{compound}/usage/exclusions")
def list_of_compound(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    start: From = None,
    end: To = None,
    device: DeviceOf = None,
) -> shapes.usage.Exclusions:
    """Those of one compound."""
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        asked = parse_period(start, end, zone_of(entry.timezone), parts.now_ms())
        wanted = Filter(compound, None, device, asked.from_ms, asked.to_ms)
        return _listed(connection, who, page, wanted)


def _listed(
    connection: Connection, who: Identity, page: Page, wanted: Filter
) -> shapes.usage.Exclusions:
    rows = list_exclusions(
        connection,
        who.scope,
        wanted,
        before=page.behind,
        limit=page.limit + 1,
    )
    shown, cursor = page.split(rows, lambda one: [one.at_ms, one.device])
    return shapes.usage.Exclusions(items=[_shape(one) for one in shown], next_cursor=cursor)


def _shape(one: Exclusion) -> shapes.usage.Exclusion:
    why = JUMP_WORDS[one.why]
    return shapes.usage.Exclusion(
        compound=one.compound,
        device=one.device,
        quantity=one.quantity,
        from_at=print_instant(one.from_ms),
        at=print_instant(one.at_ms),
        before_kwh=one.before_kwh,
        after_kwh=one.after_kwh,
        excluded_kwh=one.excluded_kwh,
        why=one.why.value,
        why_text=shapes.basics.Words(zh=why.zh, en=why.en),
    )
