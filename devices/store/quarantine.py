"""What was refused: for people to read, and to have judged again.

A request to judge a message again is a line in the log of revisions, one for each message: the
judge takes it up at its next border, and forward once the judge has committed it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
)

from devices.journal import UNASSIGNED, Raw
from devices.judgement import InQuarantine
from devices.messages import Outcome, Reason
from devices.store.registry import add_revisions
from devices.store.schema import cursors, devices, quarantine, revisions
from devices.store.scope import Scope

PREVIEW_BYTES = 1024  # of a payload in a list; one item shows all of it
REPLAY = "replay"  # what such a revision is
_CHANGED = frozenset("\N{REPLACEMENT CHARACTER}\N{SYMBOL FOR NULL}")  # in topics that were no text
FOLLOWED_AT_ONCE = 200  # replayed messages that forward reads at a time, of at most 64 KiB each


@dataclass(frozen=True, slots=True)
class Refused:
    """A message, or a part of one (partial: the rest was stored), that was refused.

    payload: the bytes as they came, in a list at most PREVIEW_BYTES of them; None when only count
    and hash were kept. size_bytes: of the whole payload. outcome: what it is since it was judged
    again, "stored" or "duplicate"; None while it is refused.
    """

    id: int
    received_at_ms: int
    compound: str
    device: str | None
    topic: str
    reason: str
    detail: str
    sha256: str
    size_bytes: int
    payload: bytes | None
    partial: bool
    replayed_at_ms: int | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Sender:
    """A device as messages name it: by its id, in a vendor's format by its number there."""

    id: str
    protocol: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which are asked for; None leaves a question open. from/to: of when it was received.

    sender: messages of this device, also those that came before the registry had it.
    whole_compound: the same of the devices of a compound.
    replayed: those that were judged again with success, or the others.
    """

    compound: str | None = None
    device: str | None = None
    reason: str | None = None
    partial: bool | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    sender: Sender | None = None
    whole_compound: str | None = None
    replayed: bool | None = None


def list_refused(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[Refused]:
    """The newest first, beginning behind the id `before`."""
    column = quarantine.c
    query = _select(preview=True).where(_matches(scope, wanted)).limit(limit)
    if before is not None:
        query = query.where(column.id < before)
    return [_refused(row) for row in connection.execute(query.order_by(column.id.desc()))]


def find_refused(connection: Connection, scope: Scope, refused: int) -> Refused | None:
    """One of them with its whole payload; None outside the scope."""
    query = _select(preview=False).where(
        quarantine.c.id == refused, scope.holds(quarantine.c.compound)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _refused(row)


def payloads_of(
    connection: Connection, scope: Scope, refused: Collection[int]
) -> dict[int, bytes | None]:
    """At most PREVIEW_BYTES of the payload of each; those outside the scope are not in it.

    refused: as many as a page of a list has.
    """
    column = quarantine.c
    query = select(column.id, _preview().label("beginning")).where(
        column.id.in_(refused), scope.holds(column.compound)
    )
    return {row.id: row.beginning for row in connection.execute(query)}


def ask_again(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    by: str,
    now_ms: int,
    *,
    after: int = 0,
    limit: int = 10_000,
) -> tuple[int, list[int]]:
    """Have whole messages that are still refused judged again, the oldest first.

    Gives the number of the last request (0 without any) and the ids of the messages, which begin
    behind `after`; as many as `limit` means that there may be more.
    """
    column = quarantine.c
    query = (
        select(column.id)
        .where(
            _matches(scope, wanted),
            column.partial.is_(False),
            column.replayed_at_ms.is_(None),
            column.id > after,
        )
        .order_by(column.id)
        .limit(limit)
    )
    ids = list(connection.execute(query).scalars())
    numbers = add_revisions(connection, REPLAY, map(str, ids), {"by": by}, now_ms)
    return (numbers[-1] if numbers else 0), ids


def count_again(connection: Connection, scope: Scope, wanted: Filter, most: int) -> int:
    """How many messages `ask_again` would find; one more than `most` for any number beyond it."""
    column = quarantine.c
    found = (
        select(column.id)
        .where(_matches(scope, wanted), column.partial.is_(False), column.replayed_at_ms.is_(None))
        .limit(most + 1)
        .subquery()
    )
    return connection.scalar(select(func.count()).select_from(found)) or 0


def asked_between(
    connection: Connection, first: int, last: int, limit: int = 10_000
) -> list[tuple[int, int]]:
    """Requests with these numbers and the messages that they are about, in order."""
    column = revisions.c
    query = (
        select(column.id, column.subject)
        .where(column.what == REPLAY, column.id.between(first, last))
        .order_by(column.id)
        .limit(limit)
    )
    return [(number, int(subject)) for number, subject in connection.execute(query)]


def newest_of_reasons(
    connection: Connection, scope: Scope, reasons: Sequence[str], compound: str | None = None
) -> dict[str, Refused]:
    """The newest of each reason that is still refused; each is looked for by itself."""
    found = {}
    for reason in reasons:
        rows = list_refused(
            connection, scope, Filter(compound, reason=reason, replayed=False), limit=1
        )
        if rows:
            found[reason] = rows[0]
    return found


def find_sender(connection: Connection, scope: Scope, device: str) -> Sender | None:
    """A device of the registry as messages name it; None outside the scope."""
    column = devices.c
    row = connection.execute(
        select(column.id, column.protocol, column.external_id).where(
            column.id == device, scope.holds(column.compound)
        )
    ).one_or_none()
    return None if row is None else Sender(*row)


def outcomes(connection: Connection, ids: Sequence[int]) -> dict[tuple[str, str], int]:
    """Of these messages: (stored, duplicate or quarantined; its reason) -> how many."""
    column = quarantine.c
    counts: dict[tuple[str, str], int] = {}
    for start in range(0, len(ids), 500):
        some = column.id.in_(ids[start : start + 500])
        query = select(column.outcome, column.reason, func.count()).where(some)
        for outcome, reason, count in connection.execute(
            query.group_by(column.outcome, column.reason)
        ):
            key = (outcome, "") if outcome else (Outcome.QUARANTINED.value, reason)
            counts[key] = counts.get(key, 0) + count
    return counts


def refused_within(
    connection: Connection, journal_id: str, first_jseq: int, last_jseq: int
) -> set[int]:
    """The numbers of whole messages that are refused, among these of a journal."""
    column = quarantine.c
    query = select(column.jseq).where(
        column.journal_id == journal_id,
        column.jseq.between(first_jseq, last_jseq),
        column.partial.is_(False),
        column.replayed_at_ms.is_(None),
    )
    return set(connection.execute(query).scalars())


def given_up(connection: Connection, journal_id: str) -> frozenset[int]:
    """The numbers of the messages that killed who decoded them, and were not taken since."""
    column = quarantine.c
    query = select(column.jseq).where(
        column.reason == Reason.CRASHED_DECODER.value,
        column.journal_id == journal_id,
        column.replayed_at_ms.is_(None),
    )
    return frozenset(connection.execute(query).scalars())


def judged_revision(connection: Connection, judge: str = "judge") -> int:
    """Up to which revision the judge has committed, 0 before its first commit."""
    return connection.scalar(select(cursors.c.revision).where(cursors.c.name == judge)) or 0


def replayed_since(connection: Connection, revision: int) -> tuple[list[Raw], int]:
    """Messages that became stored by requests behind `revision`, and up to which number.

    Only requests that the judge has committed; a bounded number, so ask again from there.
    """
    done = judged_revision(connection)
    if done <= revision:
        return [], revision
    asked = connection.execute(
        select(revisions.c.id, revisions.c.subject)
        .where(revisions.c.what == REPLAY, revisions.c.id > revision, revisions.c.id <= done)
        .order_by(revisions.c.id)
        .limit(FOLLOWED_AT_ONCE)
    ).all()
    rows = connection.execute(
        select(quarantine)
        .where(
            quarantine.c.id.in_({int(subject) for _, subject in asked}),
            quarantine.c.outcome == Outcome.STORED.value,
        )
        .order_by(quarantine.c.id)
    )
    messages = [in_quarantine_of(row).raw for row in rows]
    return messages, asked[-1][0] if len(asked) == FOLLOWED_AT_ONCE else done


def in_quarantine_of(row: Row[Any]) -> InQuarantine:
    """A row of all columns as the message that it keeps."""
    return InQuarantine(
        row.id,
        row.journal_id,
        row.jseq,
        Reason(row.reason),
        Raw(
            row.topic.encode(), row.payload or b"", row.flags or 0, row.received_at_ms, row.compound
        ),
        row.payload is not None and not _CHANGED.intersection(row.topic) and len(row.topic) < 512,
        row.sha256,
        row.partial,
        row.replayed_at_ms is not None,
    )


def _matches(scope: Scope, wanted: Filter) -> ColumnElement[bool]:
    column = quarantine.c
    conditions: list[ColumnElement[bool]] = [scope.holds(column.compound)]
    conditions += [
        where == value
        for where, value in (
            (column.compound, wanted.compound),
            (column.device, wanted.device),
            (column.reason, wanted.reason),
            (column.partial, wanted.partial),
        )
        if value is not None
    ]
    if wanted.from_ms is not None:
        conditions.append(column.received_at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        conditions.append(column.received_at_ms < wanted.to_ms)
    if wanted.replayed is not None:
        done = column.replayed_at_ms
        conditions.append(done.is_not(None) if wanted.replayed else done.is_(None))
    if wanted.sender is not None:
        conditions.append(_is_of(wanted.sender))
    if wanted.whole_compound is not None:
        conditions.append(_is_from(wanted.whole_compound))
    return and_(*conditions)


def _is_from(compound: str) -> ColumnElement[bool]:
    """Whether a message is accounted to the compound, or would be, had its device been known."""
    column = quarantine.c
    levels = literal("/") + column.topic + "/"
    name: ColumnElement[str] = devices.c.external_id
    for wildcard in "!%_":
        name = func.replace(name, wildcard, f"!{wildcard}")
    names_device = exists(
        select(devices.c.no).where(
            devices.c.compound == compound,
            devices.c.external_id != "",
            levels.like(literal("%/") + name + "/%", escape="!"),
        )
    )
    is_there = or_(column.topic.like(f"courtyard/v1/{compound}/%"), names_device)
    return or_(column.compound == compound, and_(column.compound == UNASSIGNED, is_there))


def _is_of(device: Sender) -> ColumnElement[bool]:
    """Whether a message is of this device: so it says, or a level of its topic names it."""
    column = quarantine.c
    names_it: ColumnElement[bool]
    if device.protocol == "native":
        names_it = column.topic.like(f"courtyard/v1/_%/_%/{device.id}/%")  # ids have no wildcards
    else:
        levels = literal("/") + column.topic + "/"
        names_it = levels.contains(f"/{device.external_id}/", autoescape=True)
    return or_(column.device == device.id, and_(column.device.is_(None), names_it))


def _select(*, preview: bool) -> Select[Any]:
    column = quarantine.c
    payload = _preview() if preview else column.payload
    return select(
        column.id,
        column.received_at_ms,
        column.compound,
        column.device,
        column.topic,
        column.reason,
        column.detail,
        column.sha256,
        column.size_bytes,
        payload.label("payload"),
        column.partial,
        column.replayed_at_ms,
        column.outcome,
    )


def _preview() -> ColumnElement[bytes | None]:
    payload = quarantine.c.payload
    beginning = func.substr(payload, 1, PREVIEW_BYTES, type_=LargeBinary)
    return func.coalesce(beginning, payload)  # SQLite: the beginning of b"" is NULL


def _refused(row: Row[Any]) -> Refused:
    return Refused(**row._mapping)
