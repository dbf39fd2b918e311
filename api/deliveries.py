"""To whom each fault was told, when, by which channel, and with which answer."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import compounds, shapes
from api.errors import Moved, NotFound
from api.identity import Actor, Reader
from api.instants import print_instant, print_known
from api.paging import PageOf
from api.parts import PartsOf
from devices.store.database import reading, writing
from devices.store.deliveries import (
    Delivery,
    NotFailed,
    UnknownDelivery,
    list_deliveries,
    try_again,
)

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)

DeliveryOf = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/deliveries")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    fault: str | None = None,
    target: str | None = None,
    compound: str | None = None,
    state: Annotated[shapes.basics.DeliveryState | None, Query(description="Only those.")] = None,
) -> shapes.alerts.Deliveries:
    """Deliveries, the newest first; also the decisions to tell nobody, with the reason.

    A firm sees those to its own targets.
    """
    with reading(parts.deps.engine) as connection:
        if compound is not None:
            compounds.find(parts.registry.get(connection), who, compound)
        rows = list_deliveries(
            connection,
            who.scope,
            fault=fault,
            target=target,
            state=state,
            compound=compound,
            before=page.position[0] if page.position else None,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda delivery: [delivery.id])
    return shapes.alerts.Deliveries(
        items=[shape(delivery) for delivery in shown], next_cursor=cursor
    )


@router.post("/deliveries/{delivery}/retry", responses=shapes.refusals.TOO_MANY)
def retry(parts: PartsOf, who: Actor, delivery: DeliveryOf) -> shapes.alerts.Delivery:
    """Try a failed one again."""
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        try:
            return who.once.do(
                connection,
                now_ms,
                shapes.alerts.Delivery,
                lambda: shape(try_again(connection, who.scope, delivery, now_ms)),
            )
        except UnknownDelivery as error:
            raise NotFound from error
        except NotFailed as error:
            raise Moved(f"{error}. Nothing was done.") from error


def shape(delivery: Delivery) -> shapes.alerts.Delivery:
    return shapes.alerts.Delivery(
        id=delivery.id,
        fault=delivery.fault,
        event=delivery.event,
        what=delivery.event_reason.value,
        compound=delivery.compound,
        target=delivery.target,
        target_name=delivery.target_name,
        person=delivery.person,
        person_name=delivery.person_name,
        channel=delivery.channel,
        state=delivery.state.value,
        reason=delivery.reason,
        attempts=delivery.attempts,
        answer=delivery.answer,
        created_at=print_instant(delivery.created_at_ms),
        attempted_at=print_known(delivery.attempted_at_ms),
        at=print_known(delivery.done_at_ms),
    )
