"""What was refused, and why, with the payload."""

import base64
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import compounds, shapes
from api.errors import NotFound
from api.identity import Reader
from api.instants import DISTRICT_ZONE, parse_range, print_instant, print_known, zone_of
from api.paging import PageOf
from api.parts import PartsOf
from devices.journal import UNASSIGNED
from devices.messages import Reason
from devices.store.database import reading
from devices.store.quarantine import Filter, Refused, find_refused, list_refused

router = APIRouter(prefix="/v1", tags=["quarantine"], responses=shapes.PROBLEMS)


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
) -> shapes.Quarantine:
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
    items = [shapes.Refused.model_validate(_members(refused)) for refused in shown]
    return shapes.Quarantine(items=items, next_cursor=cursor)


@router.get("/quarantine/{refused}")
def get_refused(
    parts: PartsOf, who: Reader, refused: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> shapes.RefusedWhole:
    """One of them with its whole payload."""
    with reading(parts.deps.engine) as connection:
        found = find_refused(connection, who.scope, refused)
    if found is None:
        raise NotFound
    payload = found.payload
    encoded = None if payload is None else base64.b64encode(payload).decode()
    return shapes.RefusedWhole.model_validate({**_members(found), "payload_base64": encoded})


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
        "payload": _text(refused.payload),
        "payload_kept": refused.payload is not None,
        "partial": refused.partial,
        "replayed_at": print_known(refused.replayed_at_ms),
    }


def _text(payload: bytes | None) -> str | None:
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
