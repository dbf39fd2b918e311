"""Devices that send and are in no registry, as far as the quarantine kept their messages.

Of unknown senders together it keeps 1,000 messages an hour (ingest.judge.ledger), so counts are of
what was kept. The newest LOOKED_AT of them are looked at.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import Connection, delete, func, select, tuple_

from devices.messages import Reason
from devices.senders import Sender, sender_of
from devices.store.database import conflict_insert
from devices.store.schema import devices, ignored_senders, quarantine

T = TypeVar("T")

LOOKED_AT = 8_000  # some 30 ms
NAME_AT_MOST = 200
_IDS_AT_ONCE = 400  # bind variables of a statement


@dataclass(frozen=True, slots=True)
class Registered:
    """The device that a sender is by now. is_retired: it is out of service."""

    id: str
    compound: str
    is_retired: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """Somebody who sent messages that nobody took. newest: the id of the last in the quarantine.

    count: messages that were kept and still are refused. registered: what it is by now.
    """

    sender: Sender
    topic: str
    first_ms: int
    last_ms: int
    count: int
    newest: int
    registered: Registered | None = None
    is_ignored: bool = False


@dataclass(frozen=True, slots=True)
class Inbox:
    """unknown: whoever was heard last comes first. since_ms: nobody looked further back than this;
    None: everything was looked at."""

    unknown: tuple[Unknown, ...]
    since_ms: int | None


def read_inbox(connection: Connection, now_ms: int, looked_at: int = LOOKED_AT) -> Inbox:
    """All senders, also those that are registered by now or ignored."""
    column = quarantine.c
    newest = (
        select(column.id, column.topic, column.received_at_ms, column.device)
        .where(
            column.reason == Reason.UNKNOWN_DEVICE.value,
            column.partial.is_(False),
            column.replayed_at_ms.is_(None),
        )
        .order_by(column.id.desc())
        .limit(looked_at)
        .subquery()
    )
    rows = connection.execute(
        select(
            newest.c.topic,
            func.count(),
            func.min(newest.c.received_at_ms),
            func.max(newest.c.received_at_ms),
            func.max(newest.c.id),
        )
        .where(newest.c.device.is_(None))  # else it is a device that says "port 13 of 12"
        .group_by(newest.c.topic)
    ).all()
    found: dict[tuple[str, str], Unknown] = {}
    for topic, count, first_ms, last_ms, last_id in rows:
        sender = sender_of(topic)
        if sender is None or len(sender.name) > NAME_AT_MOST:
            continue
        one = Unknown(sender, topic, first_ms, last_ms, count, last_id)
        key = (sender.protocol, sender.name)
        found[key] = _together(found[key], one) if key in found else one
    known = _registered(connection, [one.sender for one in found.values()], now_ms)
    ignored = {
        (row.protocol, row.name)
        for row in connection.execute(select(ignored_senders.c.protocol, ignored_senders.c.name))
    }
    every = [
        replace(one, registered=known.get(key), is_ignored=key in ignored)
        for key, one in found.items()
    ]
    every.sort(key=lambda one: -one.newest)
    is_cut = sum(one.count for one in found.values()) >= looked_at
    since_ms = min((one.first_ms for one in every), default=None) if is_cut else None
    return Inbox(tuple(every), since_ms)


def ignore(connection: Connection, protocol: str, name: str, by: str, now_ms: int) -> None:
    """People do not want to see this sender; again changes nothing."""
    values = {"protocol": protocol, "name": name, "at_ms": now_ms, "ignored_by": by}
    insert = conflict_insert(connection, ignored_senders).values(values)
    connection.execute(insert.on_conflict_do_nothing())


def heed(connection: Connection, protocol: str, name: str) -> None:
    """The way back."""
    column = ignored_senders.c
    connection.execute(
        delete(ignored_senders).where(column.protocol == protocol, column.name == name)
    )


def registered(connection: Connection, protocol: str, name: str, now_ms: int) -> Registered | None:
    """The device that a sender is by now."""
    return _registered(connection, [Sender(protocol, name)], now_ms).get((protocol, name))


def _together(one: Unknown, other: Unknown) -> Unknown:
    """A sender with several topics, as the newest of them says."""
    last = one if one.newest > other.newest else other
    return replace(
        last,
        first_ms=min(one.first_ms, other.first_ms),
        last_ms=max(one.last_ms, other.last_ms),
        count=one.count + other.count,
    )


def _registered(
    connection: Connection, senders: Collection[Sender], now_ms: int
) -> dict[tuple[str, str], Registered]:
    """Those of them that the registry knows by now, as their messages name them."""
    column = devices.c
    found: dict[tuple[str, str], Registered] = {}
    native = [sender.name for sender in senders if sender.protocol == "native"]
    vendors = [(one.protocol, one.name) for one in senders if one.protocol != "native"]
    picked = (column.id, column.compound, column.protocol, column.external_id)
    query = select(*picked, column.decommissioned_at_ms)
    conditions = [
        (column.protocol == "native") & column.id.in_(some) for some in _pieces(native)
    ] + [tuple_(column.protocol, column.external_id).in_(some) for some in _pieces(vendors)]
    for condition in conditions:
        for row in connection.execute(query.where(condition)):
            name = row.id if row.protocol == "native" else row.external_id
            retired_ms = row.decommissioned_at_ms
            is_retired = retired_ms is not None and retired_ms <= now_ms
            found[row.protocol, name] = Registered(row.id, row.compound, is_retired)
    return found


def _pieces(every: list[T]) -> Iterable[list[T]]:
    for start in range(0, len(every), _IDS_AT_ONCE):
        yield every[start : start + _IDS_AT_ONCE]
