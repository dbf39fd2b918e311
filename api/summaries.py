"""What targets were told of their days, and whether it arrived."""

from dataclasses import asdict

from fastapi import APIRouter

from api import shapes
from api.identity import Reader
from api.instants import print_instant, print_known
from api.paging import PageOf
from api.parts import PartsOf
from devices.store.database import reading
from devices.store.summaries import Told, list_summaries

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)


@router.get("/summaries")
def list_all(
    parts: PartsOf, who: Reader, page: PageOf, target: str | None = None
) -> shapes.alerts.DaySummaries:
    """Daily summaries of the last 35 days, the newest first; a firm sees those to its targets."""
    with reading(parts.deps.engine) as connection:
        rows = list_summaries(
            connection,
            who.scope,
            target=target,
            behind=page.behind,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda told: [told.created_at_ms, told.target])
    return shapes.alerts.DaySummaries(items=[shape(told) for told in shown], next_cursor=cursor)


def shape(told: Told) -> shapes.alerts.DaySummary:
    return shapes.alerts.DaySummary(
        target=told.target,
        target_name=told.target_name,
        channel=told.channel.value,
        firm=told.firm,
        day=told.summary.day,
        counts=shapes.alerts.DayCounts(**asdict(told.summary.counts)),
        state=told.state.value,
        attempts=told.attempts,
        answer=told.answer,
        created_at=print_instant(told.created_at_ms),
        attempted_at=print_known(told.attempted_at_ms),
        at=print_known(told.done_at_ms),
    )
