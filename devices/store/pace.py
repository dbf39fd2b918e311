"""The pace of the last day: one row, written by ingest about once a minute."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from devices.pace import Pace
from devices.store import progress

PACE = "pace"  # the name of its row


class _Body(msgspec.Struct):
    """Stretches as (at_ms, watched_ms, received, judge_lag_ms, forward_lag_ms)."""

    stretches: list[tuple[int, int, int, int | None, int | None]] = []


def read_pace(connection: Connection) -> list[Pace]:
    """In order; empty before the first minute of the first ingest."""
    kept = progress.read(connection, PACE)
    return (
        [] if kept is None else [Pace(*one) for one in msgspec.convert(kept.body, _Body).stretches]
    )


def keep_pace(connection: Connection, stretches: Sequence[Pace], now_ms: int) -> None:
    """All there are, in the place of those that were there."""
    rows = [
        [one.at_ms, one.watched_ms, one.received, one.judge_lag_ms, one.forward_lag_ms]
        for one in stretches
    ]
    progress.report(connection, PACE, len(rows), len(rows), {"stretches": rows}, now_ms)
