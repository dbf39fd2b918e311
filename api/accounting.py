"""What became of every message: received = stored + duplicate + quarantined + pending.

`received` is the journal's own count, so that the difference to the rest, `balance`, can be wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Query

from api import compounds, shapes
from api.identity import Identity, Reader
from api.instants import DISTRICT_ZONE, parse_range, print_instant, print_known, zone_of
from api.parts import JournalAway, JournalView, Parts, PartsOf
from devices.journal import UNASSIGNED
from devices.journal import Counted as JournalCounted
from devices.store.accounts import (
    FORWARD,
    JUDGE,
    Account,
    Follower,
    Missing,
    booked_before,
    follower,
    forwarded,
    missing,
    read_account,
    read_days,
    unattributed,
)
from devices.store.database import reading
from devices.usage import HOUR_MS, hour_of

router = APIRouter(prefix="/v1", tags=["accounting"], responses=shapes.refusals.PROBLEMS)

MOST_PENDING = 100_000  # messages; beyond it they are not told apart by compound and hour
FOREVER_MS = 2**53


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
) -> shapes.accounting.Accounting:
    """The accounts of all messages, of one compound, or of a range of hours of receive time."""
    zone: tzinfo = DISTRICT_ZONE
    if compound is not None and not (compound == UNASSIGNED and who.scope.is_district):
        with reading(parts.deps.engine) as connection:
            known = parts.registry.get(connection)
        zone = zone_of(compounds.find(known, who, compound).timezone)
    asked = parse_range(start, end, zone, parts.now_ms())
    hours = None
    if asked.from_ms is not None or asked.to_ms is not None:
        hours = (
            0 if asked.from_ms is None else hour_of(asked.from_ms),
            FOREVER_MS if asked.to_ms is None else hour_of(asked.to_ms - 1) + HOUR_MS,
        )
    return account_for(parts, who, compound, hours)


def account_for(
    parts: Parts, who: Identity, compound: str | None, hours: tuple[int, int] | None
) -> shapes.accounting.Accounting:
    """The accounts of a compound, or of all that `who` may see, in [from_ms, to_ms) or ever.

    The database is read in one look, with the judge's cursor, and then the journal in another: what
    came in between stands behind that cursor.
    """
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        judge = follower(connection, JUDGE)
        forward = follower(connection, FORWARD)
        answered = forwarded(connection)
        before = booked_before(connection, judge.journal_id) if judge is not None else {}
        account = read_account(
            connection,
            who.scope,
            compound=compound,
            from_ms=None if hours is None else hours[0],
            to_ms=None if hours is None else hours[1],
        )
        damaged = unattributed(connection)
        lost = missing(connection)
    origins = _origins(who, compound, [entry.id for entry in known.directory.visible(who.scope)])
    counted = _count(parts.deps.journal, judge, origins, hours, before)
    forwarding = shapes.accounting.Forwarding(confirmed=None, dead=None, pending=None)
    whole = origins is None and hours is None
    if whole:  # the forwarder counts neither by compound nor by hour
        forwarding = shapes.accounting.Forwarding(
            confirmed=answered.confirmed if answered is not None else None,
            dead=answered.dead if answered is not None else None,
            pending=_behind(counted.head_jseq, forward),
        )
    elsewhere = 0 if whole else _elsewhere(_difference(counted, account) or 0, damaged, compound)
    shown = _missing(lost, hours, is_counted=whole)
    return _shape(account, counted, forwarding, elsewhere, shown)


@dataclass(frozen=True, slots=True)
class DayAccount:
    """A local day. received, pending, balance: None where the journal cannot tell."""

    begins_ms: int
    ends_ms: int
    received: int | None
    account: Account
    pending: int | None
    balance: int | None


def account_days(
    parts: Parts, who: Identity, compound: str | None, midnights_ms: Sequence[int]
) -> list[DayAccount]:
    """The accounts of each day between these midnights, with the looks of `account_for`.

    Of days before the journal that is there now it knows no count, so they have no balance either.
    """
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        judge = follower(connection, JUDGE)
        before = booked_before(connection, judge.journal_id) if judge is not None else {}
        accounts = read_days(connection, who.scope, midnights_ms, compound=compound)
        damaged = unattributed(connection)
    origins = _origins(who, compound, [entry.id for entry in known.directory.visible(who.scope)])
    counted = _hours_of(parts.deps.journal, judge, (midnights_ms[0], midnights_ms[-1]))
    found = []
    for (begins_ms, ends_ms), account in zip(pairwise(midnights_ms), accounts, strict=True):
        received = pending = None
        if counted is not None and counted.waiting is not None:
            within = (origins, begins_ms, ends_ms)
            received, pending = (
                _of_day(counted.received, *within),
                _of_day(counted.waiting, *within),
            )
        difference = _difference(Counted(received, pending), account)
        if before and difference is not None and difference < 0:
            received = pending = difference = None  # counted by a journal that is gone
        balance = difference
        if difference is not None:
            balance = difference - _elsewhere(difference, damaged, compound)
        found.append(DayAccount(begins_ms, ends_ms, received, account, pending, balance))
    return found


def _hours_of(
    journal: JournalView | None, judge: Follower | None, hours: tuple[int, int]
) -> JournalCounted | None:
    """What the journal counted, hour by hour; None where it cannot tell."""
    if journal is None:
        return None
    try:
        looked = journal.count(judge.position if judge is not None else 0, hours, MOST_PENDING)
    except JournalAway:
        return None
    if judge is not None and judge.journal_id != looked.head.journal_id:
        return None
    return looked


def _of_day(
    counts: Mapping[tuple[str, int], int],
    origins: frozenset[str] | None,
    begins_ms: int,
    ends_ms: int,
) -> int:
    return sum(
        n
        for (origin, hour_ms), n in counts.items()
        if begins_ms <= hour_ms < ends_ms and (origins is None or origin in origins)
    )


def _shape(
    account: Account,
    counted: Counted,
    forwarding: shapes.accounting.Forwarding,
    elsewhere: int,
    lost: shapes.accounting.Missing | None,
) -> shapes.accounting.Accounting:
    difference = _difference(counted, account)
    return shapes.accounting.Accounting(
        received=counted.received,
        stored=account.stored,
        duplicate=account.duplicate,
        quarantined=dict(account.quarantined),
        pending=counted.pending,
        unattributed=None if difference is None else elsewhere,
        balance=None if difference is None else difference - elsewhere,
        late=account.marks.get("late", 0),
        late_after_final=account.marks.get("late_final", 0),
        partial=account.marks.get("partial", 0),
        retained=account.marks.get("retained", 0),
        clock=account.marks.get("clock", 0),
        unknown=account.marks.get("unknown", 0),
        parts=dict(account.parts),
        telemetry=forwarding,
        missing=lost,
    )


def _elsewhere(difference: int, damaged: int, compound: str | None) -> int:
    """What of a difference is messages of damaged records, `damaged` of them in all.

    The journal counted them as whose they were, and the accounts as nobody's, in no hour.
    """
    if compound == UNASSIGNED:
        return max(min(difference, 0), -damaged)
    return min(max(difference, 0), damaged)


def _missing(
    lost: Missing | None, hours: tuple[int, int] | None, *, is_counted: bool
) -> shapes.accounting.Missing | None:
    """is_counted: whose the messages were, and of which hour, nobody knows."""
    if lost is None:
        return None
    if hours is not None and (
        lost.from_ms >= hours[1] or (lost.until_ms is not None and lost.until_ms <= hours[0])
    ):
        return None
    return shapes.accounting.Missing(
        since=print_instant(lost.from_ms),
        until=print_known(lost.until_ms),
        messages=lost.messages if is_counted else None,
    )


def _origins(who: Identity, compound: str | None, visible: list[str]) -> frozenset[str] | None:
    """The origins that are asked for; None for all there are."""
    if compound is not None:
        return frozenset({compound})
    return None if who.scope.is_district else frozenset(visible)


def _difference(counted: Counted, account: Account) -> int | None:
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
    before: Mapping[str, int],
) -> Counted:
    """What the journal counted, and what of it the judge has not taken yet.

    before: what was booked from journals before this one, which began to count at 0. Of hours of
    theirs there is no count any more.
    """
    if journal is None:
        return Counted()
    judged_id, judged_jseq = (judge.position, judge.jseq) if judge is not None else (0, 0)
    try:
        if origins is None and hours is None:
            head = journal.head()
            if judge is not None and judge.journal_id != head.journal_id:
                return Counted()  # another journal than the one that was accounted for
            earlier = sum(before.values())
            return Counted(head.jseq + earlier, head.jseq - judged_jseq, head.jseq)
        looked = journal.count(judged_id, hours, MOST_PENDING)
    except JournalAway:
        return Counted()
    if judge is not None and judge.journal_id != looked.head.journal_id:
        return Counted()
    received = _sum(looked.received, origins)
    if hours is None:
        received += sum(n for origin, n in before.items() if origins is None or origin in origins)
    pending = None if looked.waiting is None else _sum(looked.waiting, origins)
    return Counted(received, pending, looked.head.jseq)


def _sum(counts: Mapping[tuple[str, int], int], origins: frozenset[str] | None) -> int:
    return sum(n for (origin, _), n in counts.items() if origins is None or origin in origins)
