"""Compounds: what there is in each, how it stands, what is wrong."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from api import shapes
from api.errors import NotFound
from api.identity import Identity, Reader
from api.paging import PageOf
from api.parts import Known, PartsOf
from devices.registry import Name
from devices.store.accounts import JUDGE, follower
from devices.store.compounds import Directory, Entry, States, device_states
from devices.store.database import reading
from devices.store.faults import open_by_severity
from devices.store.overview import is_blind

BLIND_AFTER_MS = 60_000  # with a watermark older than this we cannot say who is online

router = APIRouter(prefix="/v1", tags=["compounds"], responses=shapes.refusals.PROBLEMS)

_NOT_SEEN = States()
_NO_FAULTS = {"P1": 0, "P2": 0, "P3": 0, "P4": 0}


@router.get("/compounds", response_model=shapes.devices.Compounds)
def list_compounds(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    firm: Annotated[str | None, Query(description="Only this property firm's.")] = None,
) -> Response:
    """Compounds in order of id, with devices by kind and state and open faults by severity."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm)
        after = page.position[0] if page.position else ""
        entries = [
            entry
            for entry in known.directory.visible(who.scope)
            if entry.id > after and firm in (None, entry.firm)
        ]
        shown, cursor = page.split(entries[: page.limit + 1], lambda entry: [entry.id])
        blind = judge_is_blind(connection, parts.now_ms())
        states = device_states(connection, who.scope)
        faults = open_by_severity(connection, who.scope)
    firms = known.directory.firms
    items = [shape(entry, firms, states, faults.get(entry.id, {}), blind) for entry in shown]
    # Encoded here: to check 225 compounds against their shape would cost more than to make them.
    body = msgspec.json.encode({"items": items, "next_cursor": cursor})
    return Response(body, media_type="application/json")


@router.get("/compounds/{compound}")
def get_compound(parts: PartsOf, who: Reader, compound: str) -> shapes.devices.Compound:
    """One compound."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        entry = find(known, who, compound)
        blind = judge_is_blind(connection, parts.now_ms())
        states = device_states(connection, who.scope, compound)
        faults = open_by_severity(connection, who.scope, compound)
    shaped = shape(entry, known.directory.firms, states, faults.get(compound, {}), blind)
    return shapes.devices.Compound.model_validate(shaped)


def find(known: Known, who: Identity, compound: str) -> Entry:
    """The compound; raises NotFound, also for one that is not theirs."""
    entry = known.directory.find(who.scope, compound)
    if entry is None:
        raise NotFound
    return entry


def check_firm(directory: Directory, who: Identity, firm: str | None) -> None:
    """Raise NotFound for a firm that is not there, or not theirs to ask about."""
    if firm is not None and (firm not in directory.firms or who.scope.firm not in (None, firm)):
        raise NotFound


def judge_is_blind(connection: Connection, now_ms: int) -> bool:
    """Whether our own side is down, so that nobody can be called online."""
    return is_blind(follower(connection, JUDGE), now_ms, BLIND_AFTER_MS)


def counted(entry: Entry, kind: str, states: States, blind: bool) -> dict[str, int]:
    """A kind's devices by state; they add up to the registry's total."""
    total = entry.devices.get(kind, 0)
    online = 0 if blind else states.online
    unknown = states.unknown + (states.online if blind else 0)
    return {
        "total": total,
        "online": online,
        "offline": states.offline,
        "unknown": unknown,
        "never_seen": max(0, total - online - states.offline - unknown),
    }


def shape(
    entry: Entry,
    firms: Mapping[str, Name],
    states: Mapping[tuple[str, str], States],
    faults: Mapping[str, int],
    blind: bool,
) -> dict[str, object]:
    """A compound as `shapes.devices.Compound` has it."""
    devices: dict[str, dict[str, int]] = {}
    for kind in entry.devices:
        counts = counted(entry, kind, states.get((entry.id, kind), _NOT_SEEN), blind)
        if kind == "lamp":
            counts["lamp_count"] = entry.lamps
        devices[kind] = counts
    firm = firms[entry.firm]
    return {
        "id": entry.id,
        "name": {"zh": entry.name.zh, "en": entry.name.en},
        "firm": entry.firm,
        "firm_name": {"zh": firm.zh, "en": firm.en},
        "households": entry.households,
        "timezone": entry.timezone,
        "synthetic": entry.synthetic,
        "devices": devices,
        "faults": _NO_FAULTS | dict(faults),
    }
