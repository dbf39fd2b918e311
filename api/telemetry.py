"""Series of readings, raw or aggregated."""

import re
from typing import Annotated

from fastapi import APIRouter, Query

from api import shapes
from api.errors import BadParameter, NotFound
from api.identity import Reader
from api.instants import DAY_MS, parse_range, print_instant, zone_of
from api.paging import Page, PageOf
from api.parts import PartsOf
from devices.kinds import KINDS
from devices.store.database import reading
from devices.store.devices import find_device
from devices.telemetry import Bucket, Sample, SeriesQuery, TelemetryReader

router = APIRouter(prefix="/v1", tags=["telemetry"], responses=shapes.refusals.PROBLEMS)

MOST_DAYS = 366
_EVERY = re.compile(r"([1-9]\d{0,4})(s|m|h)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600}
_MOST_EVERY_S = 24 * 3600

Quantity = Annotated[str, Query(description="What it measures, like `power_w`.")]
From = Annotated[
    str | None,
    Query(
        alias="from",
        description="RFC 3339; without zone the compound's time. Else 24 h before `to`.",
    ),
]
To = Annotated[str | None, Query(alias="to", description="Now unless given.")]
Every = Annotated[
    str | None,
    Query(description="Width of a bucket, 1s to 24h, like 5m; buckets begin at whole UTC ones."),
]


@router.get("/devices/{device}/telemetry")
def get_series(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    device: str,
    quantity: Quantity,
    start: From = None,
    end: To = None,
    every: Every = None,
) -> shapes.devices.Telemetry:
    """One quantity of one device over [from, to), oldest first."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        found = find_device(connection, who.scope, device, blind=False)
    if found is None:
        raise NotFound
    measured = KINDS[found.kind].quantity(quantity)
    if measured is None:
        has = ", ".join(KINDS[found.kind].quantities)
        raise BadParameter("quantity", f"a {found.kind} has no {quantity[:60]!r}; it has {has}")
    now_ms = parts.now_ms()
    asked = parse_range(
        start, end, zone_of(known.directory.compounds[found.compound].timezone), now_ms
    )
    to_ms = asked.to_ms or now_ms + 1
    from_ms = asked.from_ms if asked.from_ms is not None else to_ms - DAY_MS
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    if page.position:
        from_ms = max(from_ms, page.position[0])
    query = SeriesQuery(found.kind, found.id, quantity, from_ms, to_ms, page.limit + 1)
    every_s = None if every is None else _seconds(every)
    with parts.series_turns.turn():
        points, cursor = _read(parts.deps.telemetry, page, query, every_s)
    return shapes.devices.Telemetry(
        device=found.id,
        quantity=quantity,
        unit=measured.unit,
        every=every,
        points=points,
        next_cursor=cursor,
    )


def _read(
    store: TelemetryReader, page: Page, query: SeriesQuery, every_s: int | None
) -> tuple[list[shapes.devices.Sample] | list[shapes.devices.Aggregate], str | None]:
    """The points of this page, and the cursor of the next."""
    if every_s is None:
        samples, cursor = page.split(store.samples(query), lambda sample: [sample.at_ms + 1])
        return [_sample(sample) for sample in samples], cursor
    buckets, cursor = page.split(
        store.buckets(query, every_s), lambda bucket: [bucket.at_ms + every_s * 1000]
    )
    return [_aggregate(bucket) for bucket in buckets], cursor


def _seconds(every: str) -> int:
    match = _EVERY.fullmatch(every)
    if match is None:
        raise BadParameter("every", f"{every[:20]!r} is no width like 30s, 5m or 1h")
    seconds = int(match[1]) * _UNIT_S[match[2]]
    if seconds > _MOST_EVERY_S:
        raise BadParameter("every", f"{every} is more than 24h")
    return seconds


def _sample(sample: Sample) -> shapes.devices.Sample:
    return shapes.devices.Sample(at=print_instant(sample.at_ms), value=sample.value)


def _aggregate(bucket: Bucket) -> shapes.devices.Aggregate:
    return shapes.devices.Aggregate(
        at=print_instant(bucket.at_ms),
        min=bucket.min,
        mean=bucket.mean,
        max=bucket.max,
        last=bucket.last,
        count=bucket.count,
    )
