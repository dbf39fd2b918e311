"""What became of every message received, and where the followers of the journal stand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, select, text

from devices.journal import UNASSIGNED
from devices.messages import Outcome, Reason
from devices.store import progress
from devices.store.database import conflict_insert
from devices.store.schema import LIVE, accounts, cursors
from devices.store.scope import Scope
from devices.telemetry import Retry

JUDGE = "judge"
FORWARD = "forward"
PART = "part"  # counts rejected parts of stored messages, by reason


_OUTCOMES = "('stored', 'duplicate', 'quarantined')"  # what adds up to what was received
_BOOKED = text(
    "SELECT compound, 0, sum(count) FROM accounts"  # noqa: S608 - nothing from outside
    f" WHERE stream = '{LIVE}' AND outcome IN {_OUTCOMES} GROUP BY compound"
)
# From one compound to the next along the key: of each only the hours that are asked for are read.
_BOOKED_HOURS = text(
    "WITH RECURSIVE place(id) AS ("  # noqa: S608
    f"SELECT min(compound) FROM accounts WHERE stream = '{LIVE}' UNION ALL"
    f" SELECT (SELECT min(compound) FROM accounts WHERE stream = '{LIVE}' AND compound > place.id)"
    " FROM place WHERE place.id IS NOT NULL)"
    " SELECT accounts.compound, accounts.hour_ms, sum(accounts.count) FROM place"
    f" JOIN accounts ON accounts.stream = '{LIVE}' AND accounts.compound = place.id"
    f" AND accounts.hour_ms >= :from_ms WHERE accounts.outcome IN {_OUTCOMES}"
    " GROUP BY accounts.compound, accounts.hour_ms"
)


@dataclass(frozen=True, slots=True)
class Follower:
    """How far a follower of the journal has come, and when.

    position, jseq: the last record and message whose effects are committed. watermark_ms: when the
    newest probe that it has seen was sent.
    """

    name: str
    journal_id: str
    position: int
    jseq: int
    watermark_ms: int | None
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """Messages by what became of them. marks: on the stored, as `ingest.judge.ledger` has them.

    parts: rejected parts of stored messages, by reason.
    """

    stored: int = 0
    duplicate: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    marks: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def sum(self) -> int:
        """All messages in it."""
        return self.stored + self.duplicate + sum(self.quarantined.values())


class Forwarded(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points that the telemetry store confirmed, and those that it will never take.

    The memory of forward's cursor, as msgpack. paused: why it takes nothing at present; None while
    it does. replayed: the revision up to which messages of the quarantine that were judged
    again are written too.
    """

    confirmed: int = 0
    dead: int = 0
    paused: Retry | None = None
    replayed: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode
_decode_forwarded = msgspec.msgpack.Decoder(Forwarded).decode


def follower(connection: Connection, name: str) -> Follower | None:
    """Where the follower `name` stands; None before its first commit."""
    column = cursors.c
    row = connection.execute(
        select(
            column.name,
            column.journal_id,
            column.position,
            column.jseq,
            column.watermark_ms,
            column.updated_at_ms,
        ).where(column.name == name)
    ).one_or_none()
    return None if row is None else Follower(*row)


def forwarded(connection: Connection) -> Forwarded | None:
    """What the telemetry store answered so far; None before the first answer."""
    memory = connection.scalar(select(cursors.c.memory).where(cursors.c.name == FORWARD))
    return _decode_forwarded(memory) if memory else None


@dataclass(frozen=True, slots=True)
class Booked:
    """What the judge has booked of the live stream, and up to where: one consistent look.

    counts: messages by (compound, hour_ms); hour 0 stands for all hours. corrupt: of them those of
    damaged records of the journal, booked under UNASSIGNED because nobody knows whose they were.
    """

    journal_id: str
    position: int
    jseq: int
    counts: Mapping[tuple[str, int], int]
    corrupt: int


def read_booked(connection: Connection, from_ms: int | None = None) -> Booked | None:
    """The hours that begin at `from_ms` or later; all of them added up without it.

    None before the judge's first commit.
    """
    judge = follower(connection, JUDGE)
    if judge is None:
        return None
    corrupt = unattributed(connection)
    counts = {
        (compound, hour_ms): int(count)
        for compound, hour_ms, count in (
            connection.execute(_BOOKED)
            if from_ms is None
            else connection.execute(_BOOKED_HOURS, {"from_ms": from_ms})
        )
    }
    return Booked(judge.journal_id, judge.position, judge.jseq, counts, corrupt)


def keep_before(connection: Connection, journal_id: str, now_ms: int) -> None:
    """Remember what was booked from other journals, as the first record of this one is judged.

    A new journal begins to count at 0 and the accounts go on, so this is their difference.
    """
    counts = {compound: int(count) for compound, _, count in connection.execute(_BOOKED)}
    row = {
        "name": _before(journal_id),
        "journal_id": journal_id,
        "position": 0,
        "jseq": sum(counts.values()),
        "revision": 0,
        "updated_at_ms": now_ms,
        "memory": _encode(counts),
    }
    connection.execute(conflict_insert(connection, cursors).values(row).on_conflict_do_nothing())


def booked_before(connection: Connection, journal_id: str) -> dict[str, int]:
    """What was booked from journals before this one, by compound; nothing for the first."""
    memory = connection.scalar(
        select(cursors.c.memory).where(cursors.c.name == _before(journal_id))
    )
    return _decode_counts(memory) if memory else {}


@dataclass(frozen=True, slots=True)
class Missing:
    """Messages that nobody has, because a backup was restored whose journal was lost or trimmed.

    from_ms: when the backup was made. until_ms: when the first message after it was received; None
    while there is none. messages: None where nobody can know.
    """

    from_ms: int
    until_ms: int | None
    messages: int | None


def missing(connection: Connection) -> Missing | None:
    """What the newest restore could not bring back; None for nothing."""
    restored = progress.read(connection, progress.RESTORE)
    if restored is None:
        return None
    told = msgspec.convert(restored.body, _Restored)
    if told.missing_messages == 0 or told.missing_from_ms is None:
        return None
    until_ms = told.missing_until_ms
    judge = follower(connection, JUDGE)
    if until_ms is None and judge is not None and judge.journal_id != told.was_journal_id:
        until_ms = connection.scalar(
            select(cursors.c.updated_at_ms).where(cursors.c.name == _before(judge.journal_id))
        )
    return Missing(told.missing_from_ms, until_ms, told.missing_messages)


class _Restored(msgspec.Struct):
    """What `courtyard restore` puts down."""

    was_journal_id: str | None = None
    missing_messages: int | None = None
    missing_from_ms: int | None = None
    missing_until_ms: int | None = None


def unattributed(connection: Connection) -> int:
    """Messages of damaged records: booked under UNASSIGNED, for nobody knows whose they were."""
    counted = connection.scalar(
        select(func.coalesce(func.sum(accounts.c.count), 0)).where(
            accounts.c.stream == LIVE,
            accounts.c.compound == UNASSIGNED,
            accounts.c.outcome == Outcome.QUARANTINED,
            accounts.c.reason == Reason.JOURNAL_CORRUPT,
        )
    )
    return int(counted or 0)


def _before(journal_id: str) -> str:
    return f"before:{journal_id}"


def read_account(
    connection: Connection,
    scope: Scope,
    *,
    compound: str | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
) -> Account:
    """The sum over the live stream's hours (of receive time) in [from_ms, to_ms)."""
    column = accounts.c
    query = (
        select(column.outcome, column.reason, func.sum(column.count))
        .where(_within(scope, compound, from_ms, to_ms))
        .group_by(column.outcome, column.reason)
    )
    return _account(
        [(outcome, reason, count) for outcome, reason, count in connection.execute(query)]
    )


def read_days(
    connection: Connection,
    scope: Scope,
    midnights_ms: Sequence[int],
    *,
    compound: str | None = None,
) -> list[Account]:
    """One for each day between two of these midnights, which are whole hours, in their order."""
    column = accounts.c
    day = case(
        *((column.hour_ms < ends_ms, n) for n, ends_ms in enumerate(midnights_ms[1:])),
    )
    query = (
        select(day.label("day"), column.outcome, column.reason, func.sum(column.count))
        .where(_within(scope, compound, midnights_ms[0], midnights_ms[-1]))
        .group_by("day", column.outcome, column.reason)
    )
    of_days: list[list[tuple[str, str, int]]] = [[] for _ in midnights_ms[1:]]
    for n, outcome, reason, count in connection.execute(query):
        of_days[n].append((outcome, reason, count))
    return [_account(rows) for rows in of_days]


def _account(rows: Iterable[tuple[str, str, int]]) -> Account:
    """Of sums by outcome and reason."""
    plain: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    parts: dict[str, int] = {}
    for outcome, reason, count in rows:
        if not count:  # all of them were judged again since
            continue
        if outcome == Outcome.QUARANTINED:
            quarantined[reason] = int(count)
        elif outcome == PART:
            parts[reason] = int(count)
        else:
            plain[outcome] = plain.get(outcome, 0) + int(count)
    return Account(
        plain.pop(Outcome.STORED, 0), plain.pop(Outcome.DUPLICATE, 0), quarantined, plain, parts
    )


def _within(
    scope: Scope, compound: str | None, from_ms: int | None, to_ms: int | None
) -> ColumnElement[bool]:
    column = accounts.c
    conditions = [column.stream == LIVE, scope.holds(column.compound)]
    if compound is not None:
        conditions.append(column.compound == compound)
    elif scope.is_district and from_ms is not None:
        # The key begins with the compound: without one all hours there ever were would be read.
        conditions.append(column.compound.in_(_places()))
    if from_ms is not None:
        conditions.append(column.hour_ms >= from_ms)
    if to_ms is not None:
        conditions.append(column.hour_ms < to_ms)
    return and_(*conditions)


def _places() -> Select[str]:
    """All that the accounts name, found from one to the next along the key."""
    first, further = accounts.alias(), accounts.alias()
    place = (
        select(func.min(first.c.compound).label("id"))
        .where(first.c.stream == LIVE)
        .cte("place", recursive=True)
    )
    behind = (
        select(func.min(further.c.compound))
        .where(further.c.stream == LIVE, further.c.compound > place.c.id)
        .scalar_subquery()
    )
    place = place.union_all(select(behind).where(place.c.id.is_not(None)))
    return select(place.c.id).where(place.c.id.is_not(None))
