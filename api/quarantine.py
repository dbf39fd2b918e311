"""What was refused, and why, with the payload; and another try.

A try is asked for here and made by the judge, at its next border: a second later, as a rule.
"""

import base64
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy import Connection

from api import compounds, shapes
from api.errors import Forbidden, Moved, NotFound
from api.identity import Actor, Identity, Reader, Role
from api.instants import DISTRICT_ZONE, parse_range, print_instant, print_known, zone_of
from api.paging import PageOf
from api.parts import PartsOf
from devices.journal import UNASSIGNED
from devices.messages import Reason
from devices.store.database import reading, writing
from devices.store.quarantine import (
    REPLAY,
    Filter,
    Refused,
    ask_again,
    find_refused,
    find_sender,
    list_refused,
)
from devices.store.registry import add_revision

REPLAYED_AT_ONCE = 10_000

router = APIRouter(prefix="/v1", tags=["quarantine"], responses=shapes.refusals.PROBLEMS)


@router.get("/quarantine")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: Annotated[
        str | None, Query(description=f"A compound, or `{UNASSIGNED}` for unknown origin.")
    ] = None,
    device: str | None = None,
    reason: Reason | None = None,
    partial: Annotated[
        bool | None, Query(description="Only parts of stored messages, or only whole messages.")
    ] = None,
    start: Annotated[
        str | None, Query(alias="from", description="Received at or after this RFC 3339 time.")
    ] = None,
    end: Annotated[str | None, Query(alias="to", description="Received before this time.")] = None,
) -> shapes.accounting.Quarantine:
    """Refused messages and parts of messages, the newest first."""
    with reading(parts.deps.engine) as connection:
        zone: tzinfo = DISTRICT_ZONE
        if compound is not None and not (compound == UNASSIGNED and who.scope.is_district):
            zone = zone_of(compounds.find(parts.registry.get(connection), who, compound).timezone)
        asked = parse_range(start, end, zone, parts.now_ms())
        rows = list_refused(
            connection,
            who.scope,
            Filter(compound, device, reason, partial, asked.from_ms, asked.to_ms),
            before=page.position[0] if page.position else None,
            limit=page.limit + 1,
        )
    shown, cursor = page.split(rows, lambda refused: [refused.id])
    items = [shapes.accounting.Refused.model_validate(_members(refused)) for refused in shown]
    return shapes.accounting.Quarantine(items=items, next_cursor=cursor)


@router.get("/quarantine/{refused}")
def get_refused(
    parts: PartsOf, who: Reader, refused: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> shapes.accounting.RefusedWhole:
    """One of them with its whole payload."""
    with reading(parts.deps.engine) as connection:
        found = find_refused(connection, who.scope, refused)
    if found is None:
        raise NotFound
    payload = found.payload
    encoded = None if payload is None else base64.b64encode(payload).decode()
    return shapes.accounting.RefusedWhole.model_validate(
        {**_members(found), "payload_base64": encoded}
    )


@router.post(
    "/quarantine/replay",
    status_code=202,
    responses={**shapes.refusals.PROBLEMS, **shapes.refusals.OPERATORS_ONLY},
)
def replay_all(
    parts: PartsOf,
    who: Actor,
    compound: Annotated[
        str | None,
        Query(description="Also of its devices that the registry did not have at the time."),
    ] = None,
    device: Annotated[
        str | None,
        Query(description="A device of the registry, also what came before it was there."),
    ] = None,
    reason: Reason | None = None,
    start: Annotated[
        str | None, Query(alias="from", description="Received at or after this RFC 3339 time.")
    ] = None,
    end: Annotated[str | None, Query(alias="to", description="Received before this time.")] = None,
    after: Annotated[
        int, Query(ge=0, le=2**63 - 1, description="Only messages with a greater id.")
    ] = 0,
) -> shapes.accounting.Requested:
    """Have all messages that are still refused, and that the filter finds, judged again.

    At most 10,000 at a time, the oldest first. Parts of stored messages are not among them.
    """
    check_operator(who)
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:

        def ask() -> shapes.accounting.Requested:
            zone: tzinfo = DISTRICT_ZONE
            if compound is not None:
                known = parts.registry.get(connection)
                zone = zone_of(compounds.find(known, who, compound).timezone)
            sender = None
            if device is not None:
                sender = find_sender(connection, who.scope, device)
                if sender is None:
                    raise NotFound
            asked = parse_range(start, end, zone, now_ms)
            wanted = Filter(
                reason=reason,
                from_ms=asked.from_ms,
                to_ms=asked.to_ms,
                sender=sender,
                whole_compound=compound,
            )
            _, ids = ask_again(
                connection, who.scope, wanted, who.name, now_ms, after=after, limit=REPLAYED_AT_ONCE
            )
            return shapes.accounting.Requested(
                requested=len(ids),
                last=ids[-1] if ids else None,
                more=len(ids) == REPLAYED_AT_ONCE,
            )

        return who.once.do(connection, now_ms, shapes.accounting.Requested, ask)


@router.post(
    "/quarantine/{refused}/replay",
    status_code=202,
    responses={**shapes.refusals.PROBLEMS, **shapes.refusals.REPLAY_REFUSED},
)
def replay(
    parts: PartsOf, who: Actor, refused: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> shapes.accounting.Refused:
    """Have one message judged again, as late data: by the registry and the formats of now.

    Taken, it is stored (or a duplicate) and says so here; else it stays, for the reason it has now.
    """
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        return who.once.do(
            connection,
            now_ms,
            shapes.accounting.Refused,
            lambda: ask_for_one(connection, who, refused, now_ms)[0],
        )


def ask_for_one(
    connection: Connection, who: Identity, refused: int, now_ms: int
) -> tuple[shapes.accounting.Refused, int]:
    """The message that is asked for, and the number of the request. Raises Moved, NotFound."""
    found = find_refused(connection, who.scope, refused)
    if found is None:
        raise NotFound
    check_operator(who)
    row = shapes.accounting.Refused.model_validate(_members(found))
    if found.replayed_at_ms is not None or found.partial:
        why = (
            "The rest of this message was stored: `courtyard replay` writes its readings again."
            if found.partial
            else f"This message was judged again at {row.replayed_at} and is {row.outcome}."
        )
        raise Moved(f"{why} Nothing was done.", {"refused": row.model_dump(mode="json")})
    number = add_revision(connection, REPLAY, str(refused), {"by": who.name}, now_ms)
    return row, number


def check_operator(who: Identity) -> None:
    """Raise Forbidden for everybody else."""
    if who.role is not Role.OPERATOR:
        raise Forbidden("Only operators have messages judged again: ask one of them.")


def _members(refused: Refused) -> dict[str, object]:
    return {
        "id": refused.id,
        "received_at": print_instant(refused.received_at_ms),
        "compound": None if refused.compound == UNASSIGNED else refused.compound,
        "device": refused.device,
        "topic": refused.topic,
        "reason": refused.reason,
        "detail": refused.detail,
        "sha256": refused.sha256,
        "size_bytes": refused.size_bytes,
        "payload": text_of(refused.payload),
        "payload_kept": refused.payload is not None,
        "partial": refused.partial,
        "replayed_at": print_known(refused.replayed_at_ms),
        "outcome": refused.outcome,
    }


def text_of(payload: bytes | None) -> str | None:
    """The payload as text, also when it was cut within a character; None for what is no text."""
    if payload is None:
        return None
    for end in range(len(payload), max(len(payload) - 4, -1), -1):
        try:
            return payload[:end].decode()
        except UnicodeDecodeError as error:
            if error.end < end:  # not only its last character is cut
                return None
    return None
