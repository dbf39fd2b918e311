"""Service figures: availability of what a compound has, and how faults were answered and repaired.

What each figure means is in `devices.kpis` and docs/usage.md. Every share comes with the time or
the count that it was taken over, and is null where there is none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import Response

from api import compounds, kpi_tables, shapes, tables
from api.compounds import check_firm, judge_is_blind
from api.errors import BadParameter
from api.identity import Reader
from api.instants import (
    DAY_MS,
    DISTRICT_ZONE,
    midnight_of,
    print_instant,
    zone_of,
)
from api.parts import PartsOf
from api.periods import parse_period
from devices.catalogue import COMPOUND
from devices.days import local_date
from devices.kinds import KINDS
from devices.kpis import (
    EXCUSED_MS,
    Availability,
    Ground,
    Lamps,
    Member,
    Service,
    Sockets,
    Spell,
    deaf_spans,
    lit_spans,
    nearest_rank,
)
from devices.registry import Name
from devices.sla import Terms, Work, workdays
from devices.spans import Span, length_ms
from devices.store import kpis as rows
from devices.store.accounts import JUDGE, follower
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.holidays import calendar
from devices.store.scope import Scope
from devices.store.sla import agreed

router = APIRouter(prefix="/v1", tags=["service"], responses=shapes.refusals.PROBLEMS)

Row = TypeVar("Row", Member, Spell)
GroupBy = Literal["compound", "firm", "kind"]

MOST_DAYS = 366  # of one compound
MOST_DAYS_OF_ALL = 92
MOST_FAULTS = 100_000  # some 20 times a district's month
MOST_UNHEARD = 100
READ_DAYS, READ_DAYS_OF_ONE = 7, 92  # in one transaction: a district has 170 faults a day
NOT_JUDGED_MS = 15_000  # what is newer than the watermark, but for the usual few seconds
_COMPOUND_NAME = Name("小区", "Compound")

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="RFC 3339 or a date; without zone the compound's time, or the district's. "
        "The local day so far unless given.",
    ),
]
To = Annotated[str | None, Query(alias="to", description="Now unless given.")]


def _csv(header: str) -> dict[int | str, dict[str, Any]]:
    words = f"JSON, or CSV for `Accept: text/csv`, its columns: {header}"
    return {200: {"content": tables.CONTENT, "description": words}}


@router.get(
    "/compounds/{compound}/availability",
    response_model=shapes.service.CompoundAvailability,
    responses=_csv(
        "`from`, `to`, `kind`, and what the JSON has of each kind; a line `sockets` has those of "
        "sockets as well (`now_usable`, …)."
    ),
)
def get_availability(
    request: Request,
    parts: PartsOf,
    who: Reader,
    compound: str,
    start: From = None,
    end: To = None,
) -> shapes.service.CompoundAvailability | Response:
    """Availability by kind over [from, to), with and without outages of power and network."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
    from_ms, to_ms = _range(start, end, entry, now_ms, MOST_DAYS)
    found = availability_of(parts.deps.engine, who.scope, entry, from_ms, to_ms, now_ms)
    if tables.wants_csv(request):
        return found.csv()
    return shapes.service.CompoundAvailability.model_validate(found.shape())


@router.get(
    "/kpis",
    response_model=shapes.service.ServiceFigures,
    responses=_csv(
        "`id`, `name_zh`, `name_en`, and what the JSON has of each item, its names joined by `_` "
        "(`availability_gate_out_s`, `mtta_median_s`, …); one line an item."
    ),
)
def get_kpis(
    request: Request,
    parts: PartsOf,
    who: Reader,
    start: From = None,
    end: To = None,
    group_by: Annotated[GroupBy, Query(description="What an item is.")] = "compound",
    compound: Annotated[str | None, Query(description="Only this compound.")] = None,
    firm: Annotated[str | None, Query(description="Only this property firm's.")] = None,
) -> Response:
    """Service figures over [from, to): of all that is asked for, and of each group.

    Faults count in the range in which they were raised. What stands and what is overdue is of now.
    """
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm)
        entries = [
            entry
            for entry in known.directory.visible(who.scope)
            if firm in (None, entry.firm) and compound in (None, entry.id)
        ]
        only = None if compound is None else compounds.find(known, who, compound)
    from_ms, to_ms = _range(start, end, only, now_ms, MOST_DAYS_OF_ALL)
    wanted = rows.Filter(compound, firm)
    look = _look(parts.deps.engine, who.scope, wanted, entries, from_ms, to_ms, now_ms)
    everything, groups = Figures(), dict[str, Figures]()
    for entry in entries:
        by_kind = _by_kind(look, entry.id, from_ms, to_ms, now_ms)
        for kind in sorted(by_kind):
            group = {"compound": entry.id, "firm": entry.firm, "kind": kind}[group_by]
            groups.setdefault(group, Figures()).add(by_kind[kind])
            everything.add(by_kind[kind])
        if group_by != "kind":
            groups.setdefault(entry.id if group_by == "compound" else entry.firm, Figures())
    names: Mapping[str, Name] = {
        "compound": {entry.id: entry.name for entry in entries},
        "firm": known.directory.firms,
        "kind": {kind.name: Name(kind.zh, kind.en) for kind in KINDS.values()}
        | {COMPOUND: _COMPOUND_NAME},
    }[group_by]
    items: list[dict[str, object]] = [
        {
            "id": group,
            "name": {"zh": names[group].zh, "en": names[group].en},
            **groups[group].shape(),
        }
        for group in sorted(groups)
    ]
    if tables.wants_csv(request):
        zone = DISTRICT_ZONE if only is None else zone_of(only.timezone)
        whose = compound or firm or who.scope.firm or "all"
        name = f"kpis-{whose}-by-{group_by}-{local_date(from_ms, zone)}"
        return kpi_tables.service(name, everything.shape(), items)
    body = {
        "from": print_instant(from_ms),
        "to": print_instant(to_ms),
        "timezone": "+08:00" if only is None else only.timezone,
        "as_of": print_instant(now_ms),
        "group_by": group_by,
        "all": everything.shape(),
        "items": items,
    }
    # Encoded here, as the list of compounds is: to check 225 items would cost more than to make.
    return Response(
        msgspec.json.encode(body), media_type="application/json", headers={"Vary": "Accept"}
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """Availability of a compound over a range. usable, standing: of its sockets, over the range and
    now; standing is None where it has none. unheard: when nothing of it could reach us."""

    entry: Entry
    from_ms: int
    to_ms: int
    now_ms: int
    kinds: Mapping[str, Availability]
    usable: Availability
    standing: Sockets | None
    unheard: Sequence[Span]

    def shape(self) -> dict[str, object]:
        """As `shapes.service.CompoundAvailability` has it."""
        return {
            "compound": self.entry.id,
            "from": print_instant(self.from_ms),
            "to": print_instant(self.to_ms),
            "timezone": self.entry.timezone,
            "as_of": print_instant(self.now_ms),
            "kinds": {kind: shape(self.kinds[kind]) for kind in sorted(self.kinds)},
            "sockets": None if self.standing is None else _sockets(self.usable, self.standing),
            "unheard_s": length_ms(self.unheard) / 1000,
            "unheard": [
                {"from": print_instant(since), "to": print_instant(until)}
                for since, until in self.unheard[: -MOST_UNHEARD - 1 : -1]
            ],
        }

    def csv(self) -> Response:
        day = local_date(self.from_ms, zone_of(self.entry.timezone))
        return kpi_tables.availability(f"availability-{self.entry.id}-{day}", self.shape())


def availability_of(
    engine: Engine, scope: Scope, entry: Entry, from_ms: int, to_ms: int, now_ms: int
) -> Reach:
    """What `/v1/compounds/{compound}/availability` gives. BadParameter: too many faults."""
    look = _look(engine, scope, rows.Filter(entry.id), [entry], from_ms, to_ms, now_ms)
    ground = look.grounds[entry.id]
    kinds, usable = ground.availability(from_ms, to_ms)
    standing = ground.sockets(now_ms, is_blind=look.is_blind) if usable.devices else None
    unheard = ground.unheard(from_ms, to_ms)
    return Reach(entry, from_ms, to_ms, now_ms, kinds, usable, standing, unheard)


@dataclass(slots=True)
class Figures:
    """Sums of one group. usable: of sockets. sockets, lamps: None where it has no such devices."""

    availability: dict[str, Availability] = field(default_factory=dict)
    usable: Availability = field(default_factory=Availability)
    sockets: Sockets | None = None
    service: Service = field(default_factory=Service)
    lamps: Lamps | None = None

    def add(self, other: "Figures") -> None:
        for kind, part in other.availability.items():
            self.availability.setdefault(kind, Availability()).add(part)
        self.usable.add(other.usable)
        self.service.add(other.service)
        if other.sockets is not None:
            self.sockets = self.sockets or Sockets()
            self.sockets.add(other.sockets)
        if other.lamps is not None:
            self.lamps = self.lamps or Lamps()
            self.lamps.add(other.lamps)

    def shape(self) -> dict[str, object]:
        """As `shapes.service.GroupFigures` has it."""
        service = self.service
        detected, raised = service.detected, service.raised
        return {
            "availability": {
                kind: shape(self.availability[kind]) for kind in sorted(self.availability)
            },
            "sockets": None if self.sockets is None else _sockets(self.usable, self.sockets),
            "faults": {
                "detected": detected,
                "suppressed": service.suppressed,
                "suspected": service.suspected,
                "raised": raised,
                "repeats": service.repeats,
                "closed": service.closed,
                "false_alarms": service.false_alarms,
            },
            "mtta": _times(service.answered_s),
            "mttr": _times(service.repaired_s),
            "repeat_rate": _share(service.repeats, raised),
            "false_alarm_rate": _share(service.false_alarms, service.closed),
            "suppressed_share": _share(service.suppressed, detected),
            "overdue": {
                "total": service.overdue,
                "acknowledge": service.unanswered,
                "repair": service.unrepaired,
            },
            "standing_24h": service.standing,
            "lamps": None if self.lamps is None else _lamps(self.lamps),
        }


def figures_of(
    engine: Engine,
    scope: Scope,
    wanted: rows.Filter,
    entries: Sequence[Entry],
    from_ms: int,
    to_ms: int,
    now_ms: int,
) -> Figures:
    """What `/v1/kpis` gives as `all`, of these compounds. BadParameter: too many faults."""
    look = _look(engine, scope, wanted, entries, from_ms, to_ms, now_ms)
    everything = Figures()
    for entry in entries:
        for part in _by_kind(look, entry.id, from_ms, to_ms, now_ms).values():
            everything.add(part)
    return everything


@dataclass(frozen=True, slots=True)
class _Look:
    grounds: Mapping[str, Ground]
    is_blind: bool


def _range(
    start: str | None, end: str | None, entry: Entry | None, now_ms: int, most_days: int
) -> tuple[int, int]:
    """The range asked for, up to now. entry: whose local time counts; None: the district's."""
    zone = DISTRICT_ZONE if entry is None else zone_of(entry.timezone)
    asked = parse_period(start, end, zone, now_ms)
    to_ms = min(now_ms, now_ms if asked.to_ms is None else asked.to_ms)
    from_ms = midnight_of(to_ms - 1, zone) if asked.from_ms is None else asked.from_ms
    if to_ms - from_ms > most_days * DAY_MS:
        raise BadParameter("from", f"a range is at most {most_days} days")
    return from_ms, to_ms


def _look(
    engine: Engine,
    scope: Scope,
    wanted: rows.Filter,
    entries: Sequence[Entry],
    from_ms: int,
    to_ms: int,
    now_ms: int,
) -> _Look:
    """Read what the figures of these compounds rest on."""
    with reading(engine) as connection:
        gaps = deaf_spans(rows.outages(connection, from_ms))
        heard = rows.heard(connection, scope, wanted, _judged_to_ms(connection, now_ms))
        windows = rows.windows(connection, scope, wanted, min(from_ms, now_ms - EXCUSED_MS), now_ms)
        is_blind = judge_is_blind(connection, now_ms)
        limits = {
            firm: [(one.since_ms, one.limits) for one in made]
            for firm, made in agreed(connection).items()
        }
        is_workday = workdays(calendar(connection))
        spells = {spell.id: spell for spell in rows.standing(connection, scope, wanted)}
    with reading(engine) as connection:
        members = rows.members(connection, scope, wanted, from_ms)
    for piece in _pieces(engine, scope, wanted, from_ms, to_ms, now_ms):
        spells |= {spell.id: spell for spell in piece}
        if len(spells) > MOST_FAULTS:
            raise BadParameter(
                "from", f"more than {MOST_FAULTS} faults touch this range: ask for fewer days"
            )
    members_of = _by_compound(members)
    spells_of = _by_compound(spells.values())
    nothing = rows.Heard()
    grounds = {
        entry.id: Ground(
            members_of.get(entry.id, ()),
            spells_of.get(entry.id, ()),
            [window for window in windows if window.compound in (None, entry.id)],
            heard=heard.get(entry.id, nothing).spans,
            live_ms=heard.get(entry.id, nothing).live_ms,
            gaps=gaps,
            lit=lit_spans(entry.latitude, entry.longitude, from_ms, to_ms),
            terms=Terms(Work(zone_of(entry.timezone), is_workday), limits.get(entry.firm, ())),
        )
        for entry in entries
    }
    return _Look(grounds, is_blind)


def _pieces(
    engine: Engine, scope: Scope, wanted: rows.Filter, from_ms: int, to_ms: int, now_ms: int
) -> Iterable[list[Spell]]:
    """Faults that touch the range, in pieces, and those that may explain what stands now.

    A fault may be raised a while after it began.
    """
    with reading(engine) as connection:
        yield rows.lasting(connection, scope, wanted, from_ms, MOST_FAULTS + 1)
        before_ms = from_ms - DAY_MS
        yield rows.roots(connection, scope, wanted, now_ms - EXCUSED_MS, before_ms, MOST_FAULTS + 1)
    last_ms = min(to_ms + DAY_MS, now_ms + 1)
    step_ms = DAY_MS * (READ_DAYS if wanted.compound is None else READ_DAYS_OF_ONE)
    for begin_ms in range(before_ms, last_ms, step_ms):
        end_ms = min(begin_ms + step_ms, last_ms)
        with reading(engine) as connection:
            yield rows.opened(connection, scope, wanted, begin_ms, end_ms, MOST_FAULTS + 1)


def _judged_to_ms(connection: Connection, now_ms: int) -> int:
    """Up to when we know what happened: now, unless the judge is behind or does not hear."""
    judge = follower(connection, JUDGE)
    watermark_ms = None if judge is None else judge.watermark_ms
    if watermark_ms is None:
        return 0
    return now_ms if now_ms - watermark_ms <= NOT_JUDGED_MS else watermark_ms


def _by_kind(
    look: _Look, compound: str, from_ms: int, to_ms: int, now_ms: int
) -> dict[str, Figures]:
    """The figures of one compound, by kind of device or of fault."""
    ground = look.grounds[compound]
    kinds, usable = ground.availability(from_ms, to_ms)
    figures = {kind: Figures({kind: part}) for kind, part in kinds.items()}
    if "port" in figures:
        figures["port"].usable = usable
        figures["port"].sockets = ground.sockets(now_ms, is_blind=look.is_blind)
    if "lamp" in figures:
        figures["lamp"].lamps = ground.lamps(from_ms, to_ms)
    for kind, service in ground.service(from_ms, to_ms, now_ms).items():
        figures.setdefault(kind, Figures()).service = service
    return figures


def shape(part: Availability) -> dict[str, object]:
    """As `shapes.service.Availability` has it."""
    return {
        "devices": part.devices,
        "availability": part.share,
        "without_upstream": part.own_share,
        "period_s": part.period_ms / 1000,
        "planned_s": part.planned_ms / 1000,
        "unknown_s": part.unknown_ms / 1000,
        "known_s": part.known_ms / 1000,
        "out_s": part.out_ms / 1000,
        "upstream_s": part.upstream_ms / 1000,
    }


def _sockets(usable: Availability, standing: Sockets) -> dict[str, object]:
    return {
        **shape(usable),
        "now": {
            "total": standing.total,
            "usable": standing.usable,
            "fault": standing.fault,
            "disabled": standing.disabled,
            "offline": standing.offline,
            "unknown": standing.unknown,
            "availability": standing.share,
        },
    }


def _lamps(lamps: Lamps) -> dict[str, object]:
    return {
        "lamps": lamps.lamps,
        "faults": lamps.faults,
        "faults_per_1000": lamps.faults * 1000 / lamps.lamps if lamps.lamps else None,
        "intact": lamps.intact,
        "intact_rate": _share(lamps.intact, lamps.lamps),
    }


def _times(values_s: Sequence[float]) -> dict[str, object]:
    return {
        "count": len(values_s),
        "median_s": nearest_rank(values_s, 0.5),
        "p90_s": nearest_rank(values_s, 0.9),
    }


def _share(part: int, of: int) -> float | None:
    return part / of if of else None


def _by_compound(found: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.compound, []).append(row)
    return groups
