"""What became of every message received, and where the followers of the journal stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, func, select

from devices.messages import Outcome
from devices.store.schema import LIVE, accounts, cursors
from devices.store.scope import Scope
from devices.telemetry import Retry

JUDGE = "judge"
FORWARD = "forward"
PART = "part"  # counts rejected parts of stored messages, by reason


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
    it does.
    """

    confirmed: int = 0
    dead: int = 0
    paused: Retry | None = None


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
        .where(column.stream == LIVE, scope.holds(column.compound))
        .group_by(column.outcome, column.reason)
    )
    if compound is not None:
        query = query.where(column.compound == compound)
    if from_ms is not None:
        query = query.where(column.hour_ms >= from_ms)
    if to_ms is not None:
        query = query.where(column.hour_ms < to_ms)
    plain: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    parts: dict[str, int] = {}
    for outcome, reason, count in connection.execute(query):
        if outcome == Outcome.QUARANTINED:
            quarantined[reason] = int(count)
        elif outcome == PART:
            parts[reason] = int(count)
        else:
            plain[outcome] = plain.get(outcome, 0) + int(count)
    return Account(
        plain.pop(Outcome.STORED, 0), plain.pop(Outcome.DUPLICATE, 0), quarantined, plain, parts
    )
