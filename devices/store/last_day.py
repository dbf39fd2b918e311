"""What came in and what was raised by the hour, for the charts of the last day."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from devices.messages import Outcome
from devices.store.schema import LIVE, accounts, faults
from devices.usage import hour_of

MOST = 50_000  # faults of a day; of more the newest count


class Opened(NamedTuple):
    """Faults of a class that were raised in one hour at one place."""

    hour_ms: int
    compound: str
    severity: str
    faults: int


def messages_by_hour(
    connection: Connection, compound: str, from_ms: int, to_ms: int
) -> dict[int, int]:
    """Messages of a compound by the hour they were received in; none for an hour without any."""
    column = accounts.c
    rows = connection.execute(
        select(column.hour_ms, func.sum(column.count))
        .where(
            column.stream == LIVE,
            column.compound == compound,
            column.hour_ms >= from_ms,
            column.hour_ms < to_ms,
            column.outcome.in_(tuple(Outcome)),
        )
        .group_by(column.hour_ms)
    )
    return {hour_ms: int(count) for hour_ms, count in rows}


def opened_since(connection: Connection, from_ms: int) -> list[Opened]:
    """Live faults of the district raised since then, without suspicions and what another one
    explains."""
    column = faults.c
    rows = connection.execute(
        select(
            column.opened_at_ms,
            column.compound,
            column.severity,
            column.suppressed_by,
            column.suspected,
            column.stream,
        )
        .where(column.opened_at_ms >= from_ms)  # alone: so its index serves
        .order_by(column.opened_at_ms.desc())
        .limit(MOST)
    )
    counts: dict[tuple[int, str, str], int] = {}
    for opened_at_ms, compound, severity, suppressed_by, suspected, stream in rows:
        if compound is None or suppressed_by is not None or suspected or stream != LIVE:
            continue
        key = (hour_of(opened_at_ms), compound, severity)
        counts[key] = counts.get(key, 0) + 1
    return [Opened(*key, count) for key, count in counts.items()]
