"""What became of every message: received = stored + duplicate + quarantined + pending.

`received` is the journal's own count, so that the difference to the rest, `balance`, can be wrong.
The database is read before the journal: what came in between is pending, not missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Query

from api import compounds, shapes
from api.identity import Identity, Reader
from api.instants import DISTRICT_ZONE, parse_range, zone_of
from api.parts import JournalAway, JournalView, PartsOf
from devices.journal import MESSAGES, UNASSIGNED
from devices.store.accounts import (
    FORWARD,
    JUDGE,
    Account,
    Follower,
    follower,
    forwarded,
    read_account,
)
from devices.store.database import reading
from devices.usage import HOUR_MS, hour_of

router = APIRouter(prefix="/v1", tags=["accounting"], responses=shapes.PROBLEMS)

MOST_PENDING = 100_000  # messages; beyond it they are not told apart by compound and hour
LOOKS = 5  # at a journal that moves on while it is read
_PAGE = 1000  # records
_FOREVER_MS = 2**53


@dataclass(frozen=True, slots=True)
class Counted:
    """What the journal says. None: it cannot be told."""

    received: int | None = None
    pending: int | None = None
    head_jseq: int | None = None


@router.get("/accounting")
def get_accounting(
    parts: PartsOf,
    who: Reader,
    compound: Annotated[
        str | None, Query(description=f"A compound, or `{UNASSIGNED}` for unknown origin.")
    ] = None,
    start: Annotated[
        str | None,
        Query(alias="from", description="Received from this hour on; all time unless given."),
    ] = None,
    end: Annotated[
        str | None, Query(alias="to", description="Received before the end of this hour.")
    ] = None,
) -> shapes.Accounting:
    """The accounts of all messages, of one compound, or of a range of hours of receive time."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        zone: tzinfo = DISTRICT_ZONE
        if compound is not None and not (compound == UNASSIGNED and who.scope.is_district):
            zone = zone_of(compounds.find(known, who, compound).timezone)
        asked = parse_range(start, end, zone, now_ms)
        from_ms = 0 if asked.from_ms is None else hour_of(asked.from_ms)
        to_ms = _FOREVER_MS if asked.to_ms is None else hour_of(asked.to_ms - 1) + HOUR_MS
        ranged = asked.from_ms is not None or asked.to_ms is not None
        hours = (from_ms, to_ms) if ranged else None
        judge = follower(connection, JUDGE)
        forward = follower(connection, FORWARD)
        answered = forwarded(connection)
        account = read_account(
            connection,
            who.scope,
            compound=compound,
            from_ms=from_ms if ranged else None,
            to_ms=to_ms if ranged else None,
        )
    origins = _origins(who, compound, [entry.id for entry in known.directory.visible(who.scope)])
    counted = _count(parts.deps.journal, judge, origins, hours, account)
    forwarding = shapes.Forwarding(confirmed=None, dead=None, pending=None)
    if origins is None and hours is None:  # the forwarder counts neither by compound nor by hour
        forwarding = shapes.Forwarding(
            confirmed=answered.confirmed if answered is not None else None,
            dead=answered.dead if answered is not None else None,
            pending=_behind(counted.head_jseq, forward),
        )
    return _shape(account, counted, forwarding)


def _shape(account: Account, counted: Counted, forwarding: shapes.Forwarding) -> shapes.Accounting:
    return shapes.Accounting(
        received=counted.received,
        stored=account.stored,
        duplicate=account.duplicate,
        quarantined=dict(account.quarantined),
        pending=counted.pending,
        balance=_balance(counted, account),
        late=account.marks.get("late", 0),
        partial=account.marks.get("partial", 0),
        retained=account.marks.get("retained", 0),
        clock=account.marks.get("clock", 0),
        unknown=account.marks.get("unknown", 0),
        parts=dict(account.parts),
        telemetry=forwarding,
    )


def _origins(who: Identity, compound: str | None, visible: list[str]) -> frozenset[str] | None:
    """The origins that are asked for; None for all there are."""
    if compound is not None:
        return frozenset({compound})
    return None if who.scope.is_district else frozenset(visible)


def _balance(counted: Counted, account: Account) -> int | None:
    if counted.received is None or counted.pending is None:
        return None
    return counted.received - account.sum - counted.pending


def _behind(head_jseq: int | None, forward: Follower | None) -> int | None:
    if head_jseq is None:
        return None
    return head_jseq - (forward.jseq if forward is not None else 0)


def _count(
    journal: JournalView | None,
    judge: Follower | None,
    origins: frozenset[str] | None,
    hours: tuple[int, int] | None,
    account: Account,
) -> Counted:
    """What the journal counted, and what of it the judge has not taken yet."""
    if journal is None:
        return Counted()
    try:
        head = journal.head()
        if judge is not None and judge.journal_id != head.journal_id:
            return Counted()  # another journal than the one that was accounted for
        judged_id, judged_jseq = (judge.position, judge.jseq) if judge is not None else (0, 0)
        if origins is None and hours is None:
            received = sum(journal.received_total().values())
            return Counted(received, received - judged_jseq, received)
        for _ in range(LOOKS):
            head = journal.head()
            received = _received(journal, origins, hours)
            pending = _pending(journal, judged_id, head.id, origins, hours)
            if pending is None or journal.head() == head:
                return Counted(received, pending, head.jseq)
        # It never stood still. What came while we counted may be in one of the two figures only:
        # what is pending lies between what it was before we counted, and what it is now.
        newest = _pending(journal, judged_id, journal.head().id, origins, hours)
        rest = received - account.sum
        if pending is not None and newest is not None and pending <= rest <= newest:
            pending = rest
        return Counted(received, pending, head.jseq)
    except JournalAway:
        return Counted()


def _received(
    journal: JournalView, origins: frozenset[str] | None, hours: tuple[int, int] | None
) -> int:
    if hours is None:
        return _sum({(origin, 0): n for origin, n in journal.received_total().items()}, origins)
    return _sum(journal.received(*hours), origins)


def _sum(counts: Mapping[tuple[str, int], int], origins: frozenset[str] | None) -> int:
    return sum(n for (origin, _), n in counts.items() if origins is None or origin in origins)


def _pending(
    journal: JournalView,
    after: int,
    head: int,
    origins: frozenset[str] | None,
    hours: tuple[int, int] | None,
) -> int | None:
    """Messages behind the record `after` up to `head` that are asked for; None for too many."""
    waiting = looked_at = 0
    while after < head:
        records = journal.read(after, _PAGE)
        if not records:
            break
        for record in records:
            if record.id > head:
                return waiting
            after = record.id
            if record.kind != MESSAGES:
                continue
            looked_at += record.count
            if looked_at > MOST_PENDING:
                return None
            for message in record.messages:
                if origins is not None and message.origin not in origins:
                    continue
                if hours is None or hours[0] <= message.received_ms < hours[1]:
                    waiting += 1
    return waiting
