"""Faults, what happened to them, and what people do about them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection

from api import compounds, shapes, sla
from api.compounds import check_firm
from api.devices import check_kind
from api.errors import BadParameter, Moved, NotFound
from api.fault_actions import ACTIONS, Action, Asked, Said
from api.identity import Actor, Identity, Reader
from api.instants import (
    DISTRICT_ZONE,
    parse_instant,
    parse_range,
    print_instant,
    print_known,
    zone_of,
)
from api.paging import Page, PageOf, Position
from api.parts import Parts, PartsOf
from devices import faults
from devices.catalogue import RULES
from devices.faults import Fault, FaultEvent, FaultMoved, Move
from devices.roots import SUPPRESSES
from devices.store import kpis
from devices.store.database import reading, writing
from devices.store.devices import find_device
from devices.store.failpoints import failpoint
from devices.store.faults import (
    Filter,
    UnknownFault,
    count_children,
    find_fault,
    history,
    list_by_rank,
    list_faults,
    move_fault,
)

router = APIRouter(prefix="/v1", tags=["faults"], responses=shapes.refusals.PROBLEMS)

KINDS_BESIDES = ("compound", "platform")  # of faults that no single device has

StateOf = Annotated[shapes.basics.FaultState | None, Query()]
SeverityOf = Annotated[shapes.basics.Severity | None, Query()]
CodeOf = Annotated[str | None, Query(description="A code of the fault catalogue.")]
FromOf = Annotated[
    str | None,
    Query(
        alias="from",
        description="Opened at or after this RFC 3339 time; without zone the compound's time.",
    ),
]
ToOf = Annotated[str | None, Query(alias="to", description="Opened before this time.")]
SuppressedOf = Annotated[
    bool | None, Query(description="Only faults that a root cause explains, or only the others.")
]
SuppressedByOf = Annotated[
    str | None, Query(description="Only faults that this one, by its id, explains.", max_length=40)
]
OverdueOf = Annotated[
    bool,
    Query(description="Only faults of which a limit of their class has passed: see `/v1/sla`."),
]

Sort = Literal["newest", "rank"]
SortOf = Annotated[
    Sort,
    Query(
        description="`rank`: what is to be dealt with first comes first. A rank changes with the "
        "hour and with what else fails, so a fault may move while you turn pages."
    ),
]


def by_time(fault: Fault) -> Position:
    """Where a fault stands in a list of the newest first."""
    return [fault.opened_at_ms, fault.id]


def by_rank(fault: Fault) -> Position:
    """Where it stands in a list of the highest rank first."""
    return [fault.rank, fault.opened_at_ms, fault.id]


@router.get("/faults")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str | None = None,
    device: str | None = None,
    state: StateOf = None,
    severity: SeverityOf = None,
    kind: str | None = None,
    code: CodeOf = None,
    firm: str | None = None,
    start: FromOf = None,
    end: ToOf = None,
    suppressed: SuppressedOf = None,
    suppressed_by: SuppressedByOf = None,
    overdue: OverdueOf = False,
    sort: SortOf = "newest",
) -> shapes.faults.Faults:
    """Faults of all states, the newest first; also those of a back-filled history.

    By a state other than closed only what stands now: nothing of a past that is being filled in.
    """
    wanted = Filter(compound, device, state, severity, kind, code, firm, suppressed=suppressed)
    wanted = replace(wanted, suppressed_by=suppressed_by)
    return _list(parts, who, page, wanted, start, end, sort, overdue=overdue)


@router.get("/compounds/{compound}/faults")
def list_of_compound(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    device: str | None = None,
    state: StateOf = None,
    severity: SeverityOf = None,
    kind: str | None = None,
    code: CodeOf = None,
    start: FromOf = None,
    end: ToOf = None,
    suppressed: SuppressedOf = None,
    suppressed_by: SuppressedByOf = None,
    overdue: OverdueOf = False,
    sort: SortOf = "newest",
) -> shapes.faults.Faults:
    """The faults of one compound, the newest first."""
    wanted = Filter(compound, device, state, severity, kind, code, suppressed=suppressed)
    wanted = replace(wanted, suppressed_by=suppressed_by)
    return _list(parts, who, page, wanted, start, end, sort, overdue=overdue)


@router.get("/faults/{fault}")
def get_fault(parts: PartsOf, who: Reader, fault: str) -> shapes.faults.FaultWithEvents:
    """One fault with all that happened to it, oldest first."""
    with reading(parts.deps.engine) as connection:
        return _with_events(connection, who, fault)


def _add(name: str, action: Action, read: Callable[..., Said]) -> None:
    """The route of one action."""

    def act(
        parts: PartsOf, who: Actor, fault: str, said: Annotated[Said, Depends(read)]
    ) -> shapes.faults.FaultWithEvents:
        now_ms, until_ms = parts.now_ms(), None
        if said.until is not None:
            until_ms = parse_instant("until", said.until, zone_of_fault(parts, who, fault))
            check_shelf(until_ms, now_ms)
        asked = Asked(who.name, now_ms, said, until_ms)
        return _act(parts, who, fault, lambda was: action.move(was, asked))

    router.add_api_route(
        f"/faults/{{fault}}/{name}",
        act,
        methods=["POST"],
        name=name,
        description=action.text,
        responses=shapes.refusals.MOVED,
    )


for _name, _action in ACTIONS.items():
    if _action.read is not None:
        _add(_name, _action, _action.read)


def zone_of_fault(parts: Parts, who: Identity, fault: str) -> tzinfo:
    """The zone of its compound, in which people there write times. Raises NotFound."""
    with reading(parts.deps.engine) as connection:
        try:
            compound = find_fault(connection, who.scope, fault).compound
        except UnknownFault as error:
            raise NotFound from error
        known = parts.registry.get(connection).directory.compounds.get(compound or "")
    return DISTRICT_ZONE if known is None else zone_of(known.timezone)


def check_shelf(until_ms: int, now_ms: int) -> None:
    """Raise BadParameter unless something may be shelved until then."""
    if not now_ms < until_ms <= now_ms + faults.SHELVED_AT_MOST_MS:
        raise BadParameter("until", "must be a time within the next 31 days")


def shape(fault: Fault, children: int) -> shapes.faults.Fault:
    return shapes.faults.Fault.model_validate(_members(fault, children))


def _members(fault: Fault, children: int) -> dict[str, object]:
    rule = RULES.get(fault.code)  # None: raised by a version with a longer catalogue than ours
    return {
        "id": fault.id,
        "compound": fault.compound,
        "device": fault.device,
        "kind": fault.kind,
        "code": fault.code,
        "name": {"zh": rule.zh, "en": rule.en} if rule else {"zh": fault.code, "en": fault.code},
        "severity": fault.severity,
        "safety": fault.safety,
        "suspected": fault.suspected,
        "state": fault.state,
        "since": print_instant(fault.since_ms),
        "opened_at": print_instant(fault.opened_at_ms),
        "acknowledged_at": print_known(fault.acknowledged_at_ms),
        "acknowledged_by": fault.acknowledged_by,
        "cleared_at": print_known(fault.cleared_at_ms),
        "closed_at": print_known(fault.closed_at_ms),
        "suppressed_by": fault.suppressed_by,
        "children": children,
        "shelved_until": print_known(fault.shelved_until_ms),
        "maintenance": fault.maintenance,
        "assignee": fault.assignee,
        "onsite_at": print_known(fault.onsite_at_ms),
        "repaired_at": print_known(fault.repaired_at_ms),
        "confirmed_at": print_known(fault.confirmed_at_ms),
        "resolution": fault.resolution,
        "occurrences": fault.occurrences,
        "flaps": fault.flaps,
        "repeat_of": fault.repeat_of,
        "late": fault.late,
        "responsible": rule.party if rule else None,
        "advice": {"zh": rule.advice_zh, "en": rule.advice_en} if rule else None,
        "evidence": _evidence(fault.evidence),
        "impact": fault.impact,
        "rank": fault.rank,
    }


def _event(event: FaultEvent) -> dict[str, object]:
    return {
        "at": print_instant(event.at_ms),
        "from": event.was,
        "to": event.becomes,
        "reason": event.reason,
        "actor": event.actor,
        "note": event.note,
        "evidence": None if event.evidence is None else _evidence(event.evidence),
        "held": event.held,
    }


def _evidence(kept: Mapping[str, object]) -> dict[str, object]:
    """Evidence as it is shown: `last_seen_ms` (UTC epoch ms) becomes `last_seen_at`, an instant."""
    return dict(
        (f"{name.removesuffix('_ms').removesuffix('_at')}_at", print_instant(value))
        if name.endswith("_ms") and isinstance(value, int)
        else (name, value)
        for name, value in kept.items()
    )


def _with_events(
    connection: Connection, who: Identity, fault: str
) -> shapes.faults.FaultWithEvents:
    try:
        found = find_fault(connection, who.scope, fault)
    except UnknownFault as error:
        raise NotFound from error
    events = [_event(event) for event in history(connection, found.id)]
    children = count_children(connection, who.scope, [found.id]).get(found.id, 0)
    return shapes.faults.FaultWithEvents.model_validate(
        {**_members(found, children), "events": events}
    )


def _act(
    parts: Parts, who: Identity, fault: str, move: Callable[[Fault], Move]
) -> shapes.faults.FaultWithEvents:
    engine = parts.deps.engine
    try:
        with writing(engine) as connection:

            def act() -> shapes.faults.FaultWithEvents:
                move_fault(connection, who.scope, fault, move)
                return _with_events(connection, who, fault)

            answer = who.once.do(connection, parts.now_ms(), shapes.faults.FaultWithEvents, act)
    except UnknownFault as error:
        raise NotFound from error
    except FaultMoved as error:
        with reading(engine) as connection:
            present = _with_events(connection, who, fault)
        more = {"fault": present.model_dump(mode="json")}
        raise Moved(f"{error}; nothing was done. `fault` is as it is now.", more) from error
    failpoint("O1")
    return answer


def _list(
    parts: Parts,
    who: Identity,
    page: Page,
    wanted: Filter,
    start: str | None,
    end: str | None,
    sort: Sort,
    *,
    overdue: bool,
) -> shapes.faults.Faults:
    _check(wanted)
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, wanted.firm)
        zone: tzinfo = DISTRICT_ZONE
        if wanted.compound is not None:
            zone = zone_of(compounds.find(known, who, wanted.compound).timezone)
        if wanted.device is not None:
            device = find_device(connection, who.scope, wanted.device, blind=False)
            if device is None:
                raise NotFound
            zone = zone_of(known.directory.compounds[device.compound].timezone)
        asked = parse_range(start, end, zone, parts.now_ms())
        wanted = replace(wanted, from_ms=asked.from_ms, to_ms=asked.to_ms)
        if overdue:
            whose = kpis.Filter(wanted.compound, wanted.firm)
            late = sla.overdue(connection, known, who.scope, whose, parts.now_ms())
            wanted = replace(wanted, ids=frozenset(case.id for case, _ in late))
        at, limit = page.position, page.limit + 1
        if sort == "rank":
            behind = (at[0], at[1], at[2]) if at else None
            rows = list_by_rank(connection, who.scope, wanted, behind=behind, limit=limit)
        else:
            before = (at[0], at[1]) if at else None
            rows = list_faults(connection, who.scope, wanted, before=before, limit=limit)
        roots = [fault.id for fault in rows if fault.code in SUPPRESSES]
        children = count_children(connection, who.scope, roots) if roots else {}
    shown, cursor = page.split(rows, by_rank if sort == "rank" else by_time)
    items = [shape(fault, children.get(fault.id, 0)) for fault in shown]
    return shapes.faults.Faults(items=items, next_cursor=cursor)


def _check(wanted: Filter) -> None:
    if wanted.kind not in KINDS_BESIDES:
        check_kind(wanted.kind)
    if wanted.code is not None and wanted.code not in RULES:
        raise BadParameter("code", f"{wanted.code[:60]!r} is not in the fault catalogue")
