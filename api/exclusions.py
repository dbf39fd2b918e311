"""What registers of a compound moved by without a figure: left out of its usage, and why."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import compounds, shapes
from api.identity import Reader
from api.instants import print_instant, zone_of
from api.paging import PageOf
from api.parts import PartsOf
from api.periods import parse_period
from devices.registers import JUMP_WORDS, Exclusion
from devices.store.database import reading
from devices.store.exclusions import list_exclusions

router = APIRouter(prefix="/v1", tags=["usage"], responses=shapes.refusals.PROBLEMS)


@router.get("/compounds/{compound}/usage/exclusions")
def list_of_compound(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    start: Annotated[
        str | None,
        Query(alias="from", description="Shown at or after; without zone the compound's time."),
    ] = None,
    end: Annotated[str | None, Query(alias="to", description="Shown before this time.")] = None,
) -> shapes.usage.Exclusions:
    """Steps of registers that are in no figure but `excluded_kwh`, the newest first."""
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        asked = parse_period(start, end, zone_of(entry.timezone), parts.now_ms())
        rows = list_exclusions(
            connection,
            who.scope,
            compound,
            asked.from_ms,
            asked.to_ms,
            before=(page.position[0], page.position[1]) if page.position else None,
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
