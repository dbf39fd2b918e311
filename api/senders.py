"""The inbox of senders that are in no registry: who they are, and what becomes of them.

For whoever sees the district: nobody knows whose they are. Operators register them, which is a new
device (`POST /v1/registry/devices`), have what they sent judged again, or ignore them.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api import audited, shapes
from api.errors import Moved, NotFound
from api.identity import Actor, Identity, Reader, operators_only
from api.instants import print_instant, print_known
from api.paging import Page, PageOf
from api.parts import PartsOf
from api.registry import once
from api.shapes import registry as shape
from devices.messages import Reason
from devices.store import senders
from devices.store.database import reading
from devices.store.quarantine import Filter, ask_again, payloads_of
from devices.store.quarantine import Sender as Registered
from devices.store.senders import Inbox, Unknown, read_inbox

ONLY = "decide about unknown senders"
REPLAYED_AT_ONCE = 10_000
PAYLOAD_SHOWN = 1024  # bytes
Show = Literal["new", "registered", "ignored"]

router = APIRouter(prefix="/v1/registry", tags=["registry"], responses=shapes.refusals.PROBLEMS)


@router.get("/unknown")
def list_unknown(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    show: Annotated[
        Show,
        Query(description="Those to decide about; those with a device by now; those ignored."),
    ] = "new",
) -> shape.UnknownSenders:
    """Who sends and was in no registry, as far as the quarantine kept it; the last heard first."""
    district_only(who)
    with reading(parts.deps.engine) as connection:
        inbox = read_inbox(connection, parts.now_ms())
        shown, cursor = pick(inbox, show, page)
        texts = payload_texts(connection, who, shown)
    items = [_sender(one, texts.get(one.newest)) for one in shown]
    return shape.UnknownSenders(items=items, next_cursor=cursor, since=print_known(inbox.since_ms))


@router.post("/unknown/ignore", responses=shape.REFUSED)
def ignore(parts: PartsOf, who: Actor, body: shape.Sender) -> shape.Heeded:
    """Do not show it among the new ones any more; its messages go on to be refused."""
    operators_only(who, ONLY)
    now_ms = parts.now_ms()

    def act(connection: Connection) -> shape.Heeded:
        senders.ignore(connection, body.protocol, body.name, who.name, now_ms)
        audited.about(body.name, protocol=body.protocol)
        return shape.Heeded(protocol=body.protocol, name=body.name, is_ignored=True)

    return once(parts, who, shape.Heeded, act)


@router.post("/unknown/heed", responses=shape.REFUSED)
def heed(parts: PartsOf, who: Actor, body: shape.Sender) -> shape.Heeded:
    """The way back from ignoring."""
    operators_only(who, ONLY)

    def act(connection: Connection) -> shape.Heeded:
        senders.heed(connection, body.protocol, body.name)
        audited.about(body.name, protocol=body.protocol)
        return shape.Heeded(protocol=body.protocol, name=body.name, is_ignored=False)

    return once(parts, who, shape.Heeded, act)


@router.post("/unknown/replay", status_code=202, responses=shape.REFUSED)
def replay(parts: PartsOf, who: Actor, body: shape.Sender) -> shapes.accounting.Requested:
    """Have what it sent before it was registered judged again, at most 10,000 messages."""
    operators_only(who, ONLY)
    now_ms = parts.now_ms()

    def act(connection: Connection) -> shapes.accounting.Requested:
        ids = ask(connection, who, body.protocol, body.name, now_ms)
        audited.about(body.name, protocol=body.protocol, messages=len(ids))
        return shapes.accounting.Requested(
            requested=len(ids),
            last=ids[-1] if ids else None,
            more=len(ids) == REPLAYED_AT_ONCE,
        )

    return once(parts, who, shapes.accounting.Requested, act)


def district_only(who: Identity) -> None:
    """Raise NotFound for a firm's people: what nobody's device sent is the district's alone."""
    if not who.scope.is_district:
        raise NotFound


def pick(inbox: Inbox, show: str, page: Page) -> tuple[list[Unknown], str | None]:
    """A page of those that are meant."""
    wanted = [one for one in inbox.unknown if standing(one) == show]
    if page.position is not None:
        wanted = [one for one in wanted if one.newest < page.position[0]]
    shown, cursor = page.split(wanted[: page.limit + 1], lambda one: [one.newest])
    return list(shown), cursor


def standing(one: Unknown) -> str:
    """Which `Show` it belongs to."""
    if one.registered is not None and not one.registered.is_retired:
        return "registered"
    return "ignored" if one.is_ignored else "new"


def ask(connection: Connection, who: Identity, protocol: str, name: str, now_ms: int) -> list[int]:
    """Request that its messages be judged again; their ids. Raises Moved while it is no device."""
    device = senders.registered(connection, protocol, name, now_ms)
    if device is None or device.is_retired:
        raise Moved("It is no device in service: register it first. Nothing was done.")
    sender = Registered(device.id, protocol, name)
    wanted = Filter(sender=sender, reason=Reason.UNKNOWN_DEVICE.value)
    _, ids = ask_again(connection, who.scope, wanted, who.name, now_ms, limit=REPLAYED_AT_ONCE)
    return ids


def payload_texts(
    connection: Connection, who: Identity, shown: Sequence[Unknown]
) -> dict[int, str]:
    """The newest message of each sender by its id, as text; those not kept, or none, are left out.

    All with one question: a page of 100 asked for one by one took 90 ms on PostgreSQL.
    """
    kept = payloads_of(connection, who.scope, [one.newest for one in shown])
    texts = {
        newest: payload[:PAYLOAD_SHOWN].decode("utf-8", "replace")
        for newest, payload in kept.items()
        if payload is not None
    }
    return {newest: text for newest, text in texts.items() if "\0" not in text}


def _sender(one: Unknown, payload: str | None) -> shape.UnknownSender:
    registered = one.registered
    return shape.UnknownSender(
        protocol=one.sender.protocol,
        name=one.sender.name,
        compound=one.sender.compound or None,
        kind=one.sender.kind or None,
        topic=one.topic,
        first_at=print_instant(one.first_ms),
        last_at=print_instant(one.last_ms),
        count=one.count,
        payload=payload,
        device=None if registered is None else registered.id,
        is_retired=registered is not None and registered.is_retired,
        is_ignored=one.is_ignored,
    )
