"""The service ledger: of one fault, of a firm's month, and what is overdue.

What each step and figure means is in `devices.sla` and docs/alerts.md.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Query
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import Response

from api import compounds, shapes, tables
from api.compounds import check_firm
from api.errors import BadParameter, NotFound
from api.identity import Actor, Reader, operators_only
from api.instants import (
    DAY_MS,
    DISTRICT_ZONE,
    parse_range,
    print_instant,
    print_known,
    zone_of,
)
from api.parts import Known, PartsOf
from devices.kpis import nearest_rank
from devices.maintenance import Window
from devices.rules import Severity
from devices.sla import (
    DEFAULTS,
    BadLimits,
    Kept,
    Ledger,
    StepName,
    Tally,
    Terms,
    Verdict,
    Work,
    is_counted,
    ledger,
    parse_limits,
    print_limits,
    workdays,
)
from devices.spans import Span
from devices.store import holidays
from devices.store import kpis as rows
from devices.store import sla as store
from devices.store.compounds import Directory
from devices.store.database import reading, writing
from devices.store.faults import UnknownFault, find_fault
from devices.store.scope import Scope

router = APIRouter(prefix="/v1", tags=["service"], responses=shapes.refusals.PROBLEMS)

MOST_DAYS = 366
MOST_FAULTS = 100_000  # a district's year is some 60,000
READ_DAYS = 7  # in one transaction
MOST_STANDING = 20_000  # of open faults, of which overdue ones are looked for
DISTRICT_TIMEZONE = "Asia/Shanghai"

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="Raised at or after this RFC 3339 time or date; without zone the district's. "
        "The first of the local month unless given.",
    ),
]
To = Annotated[str | None, Query(alias="to", description="Now unless given.")]

Key = tuple[str, str, Severity]  # local month, firm, class
Ledgers = Iterable[tuple[store.Case, Ledger]]
# engine, directory, scope, wanted, from_ms, to_ms, now_ms; of `tallies`, and of `api.settled`
Tallies = Callable[[Engine, Directory, Scope, rows.Filter, int, int, int], dict[Key, Tally]]


class Book:
    """What the ledgers of a district rest on, beside the faults themselves: whose limits hold, and
    when maintenance covered what. from_ms: of nothing that was over before."""

    def __init__(
        self,
        connection: Connection,
        directory: Directory,
        scope: Scope,
        from_ms: int,
        now_ms: int,
        wanted: rows.Filter = store.EVERYTHING,
    ) -> None:
        self._now_ms = now_ms
        self._compounds = directory.compounds
        self._agreed = store.agreed(connection)
        self._is_workday = workdays(holidays.calendar(connection))
        self._terms: dict[tuple[str | None, str], Terms] = {}
        self._windows: dict[str | None, list[Window]] = {}
        for window in rows.windows(connection, scope, wanted, from_ms, now_ms + 1):
            self._windows.setdefault(window.compound, []).append(window)

    def terms(self, compound: str | None) -> Terms:
        """Of the firm that manages it now, by its local time."""
        entry = self._compounds.get(compound or "")
        firm = None if entry is None else entry.firm
        timezone = DISTRICT_TIMEZONE if entry is None else entry.timezone
        known = self._terms.get((firm, timezone))
        if known is None:
            changes = [(one.since_ms, one.limits) for one in self._agreed.get(firm or "", ())]
            work = Work(zone_of(timezone), self._is_workday)
            known = self._terms[firm, timezone] = Terms(work, changes)
        return known

    def ledgers(self, found: store.Cases) -> Ledgers:
        for case in found.cases:
            yield (
                case,
                ledger(
                    case,
                    found.events.get(case.id, ()),
                    self.terms(case.compound),
                    self._now_ms,
                    arrived_ms=found.arrived_ms.get(case.id, ()),
                    maintenance=self._maintenance(case),
                ),
            )

    def _maintenance(self, case: store.Case) -> Sequence[Span]:
        if not self._windows:
            return ()
        return [
            (window.starts_at_ms, window.over_at_ms)
            for name in (case.compound, None)
            for window in self._windows.get(name, ())
            if window.covers(case, window.starts_at_ms)
        ]


def of_faults(
    connection: Connection, known: Known, scope: Scope, ids: Iterable[str], now_ms: int
) -> dict[str, Ledger]:
    """The ledgers of these faults, by their ids; of those in scope."""
    found = store.of_faults(connection, scope, list(ids))
    begun_ms = min((case.opened_at_ms for case in found.cases), default=now_ms)
    book = Book(connection, known.directory, scope, begun_ms, now_ms)
    return {case.id: one for case, one in book.ledgers(found)}


def standing(
    connection: Connection, known: Known, scope: Scope, wanted: rows.Filter, now_ms: int
) -> list[tuple[store.Case, Ledger]]:
    """Open faults with their ledgers, but for what is suspected, explained or our own."""
    found = store.standing(connection, scope, wanted, MOST_STANDING)
    begun_ms = min((case.opened_at_ms for case in found.cases), default=now_ms)
    book = Book(connection, known.directory, scope, begun_ms, now_ms, wanted)
    return list(book.ledgers(found))


def is_late(case: store.Case, one: Ledger) -> bool:
    """Whether a limit has passed without what was due."""
    return is_counted(case) and one.is_overdue


def overdue(
    connection: Connection, known: Known, scope: Scope, wanted: rows.Filter, now_ms: int
) -> list[tuple[store.Case, Ledger]]:
    """Open faults of which a limit has passed without what was due."""
    every = standing(connection, known, scope, wanted, now_ms)
    return [(case, one) for case, one in every if is_late(case, one)]


def tallies(
    engine: Engine,
    directory: Directory,
    scope: Scope,
    wanted: rows.Filter,
    from_ms: int,
    to_ms: int,
    now_ms: int,
) -> dict[Key, Tally]:
    """By local month, firm and class: faults that were raised in [from_ms, to_ms).

    Raises BadParameter for more than can be looked at.
    """
    found: dict[Key, Tally] = {}
    months = Months()
    with reading(engine) as connection:
        book = Book(connection, directory, scope, from_ms, now_ms, wanted)
    looked_at = 0
    for begin_ms in range(from_ms, to_ms, READ_DAYS * DAY_MS):
        end_ms = min(begin_ms + READ_DAYS * DAY_MS, to_ms)
        with reading(engine) as connection:
            cases = store.opened(connection, scope, wanted, begin_ms, end_ms, MOST_FAULTS + 1)
        looked_at += len(cases.cases)
        if looked_at > MOST_FAULTS:
            raise BadParameter(
                "from", f"more than {MOST_FAULTS} faults in this range: ask for fewer days"
            )
        for case, one in book.ledgers(cases):
            count_case(found, directory, months, case, one)
    return found


def count_case(
    found: dict[Key, Tally], directory: Directory, months: "Months", case: store.Case, one: Ledger
) -> None:
    """Count this fault where it belongs, if it does."""
    entry = directory.compounds.get(case.compound or "")
    if entry is not None and is_counted(case):
        key = (months.of(case.opened_at_ms), entry.firm, case.severity)
        found.setdefault(key, Tally()).count(one)


class Months:
    """Local months of the district; of one day's faults all are in the same."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def of(self, at_ms: int) -> str:
        hour = at_ms // 3_600_000
        known = self._known.get(hour)
        if known is None:
            local = datetime.fromtimestamp(hour * 3600, DISTRICT_ZONE)
            known = self._known[hour] = f"{local:%Y-%m}"
        return known


# Routes


@router.get(
    "/sla",
    response_model=shapes.service.ServiceLedger,
    responses={
        200: {"content": tables.CONTENT, "description": "JSON, or CSV for `Accept: text/csv`"}
    },
)
def get_sla(
    request: Request,
    parts: PartsOf,
    who: Reader,
    start: From = None,
    end: To = None,
    firm: Annotated[str | None, Query(description="Only this property firm's.")] = None,
    compound: Annotated[str | None, Query(description="Only this compound.")] = None,
) -> Response:
    """By month, firm and class: faults raised in [from, to), how many were answered and mended
    within the limits, and how long that took; and what is overdue now."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm)
        if compound is not None:
            compounds.find(known, who, compound)
    from_ms, to_ms = _range(start, end, now_ms)
    wanted = rows.Filter(compound, firm)
    settled: Tallies = request.app.state.settled.tallies
    found = settled(parts.deps.engine, known.directory, who.scope, wanted, from_ms, to_ms, now_ms)
    if tables.wants_csv(request):
        name = f"sla-{firm or compound or 'all'}-{Months().of(from_ms)}"
        return tables.answer(name, _HEADER, (_line(*key, found[key]) for key in sorted(found)))
    with reading(parts.deps.engine) as connection:
        late = overdue(connection, known, who.scope, wanted, now_ms)
    body = {
        "from": print_instant(from_ms),
        "to": print_instant(to_ms),
        "timezone": DISTRICT_TIMEZONE,
        "as_of": print_instant(now_ms),
        "items": [
            {"month": month, "firm": of_firm, "severity": severity, **_shape(found[key])}
            for key in sorted(found)
            for month, of_firm, severity in (key,)
        ],
        "overdue": _overdue(known.directory, late),
    }
    return Response(
        msgspec.json.encode(body), media_type="application/json", headers={"Vary": "Accept"}
    )


@router.get("/faults/{fault}/sla")
def get_fault_sla(parts: PartsOf, who: Reader, fault: str) -> shapes.service.FaultLedger:
    """What was done about a fault, by whom and when; until when it was to be done."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        try:
            found = find_fault(connection, who.scope, fault)
        except UnknownFault as error:
            raise NotFound from error
        known = parts.registry.get(connection)
        one = of_faults(connection, known, who.scope, [found.id], now_ms)[found.id]
    entry = known.directory.compounds.get(found.compound or "")
    return shapes.service.FaultLedger.model_validate(
        {
            "fault": found.id,
            "firm": None if entry is None else entry.firm,
            "severity": one.severity,
            "as_of": print_instant(now_ms),
            "clock": one.clock,
            "overdue": one.is_overdue,
            "rounds": one.rounds,
            "reopened": one.reopened,
            "closed_by_hand": one.by_hand,
            "steps": [
                {
                    "name": step.name,
                    "at": print_known(step.at_ms),
                    "by": step.by,
                    "due_at": print_known(step.due_ms),
                    "verdict": step.verdict,
                }
                for step in one.steps
            ],
            "pauses": [
                {
                    "from": print_instant(pause.from_ms),
                    "to": print_known(pause.until_ms),
                    "why": pause.why,
                }
                for pause in one.pauses
            ],
        }
    )


@router.get("/sla/limits")
def get_limits(parts: PartsOf, who: Reader) -> shapes.service.AllLimits:
    """How soon each firm is to answer and to mend, by class."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        made = store.agreed(connection)
    firms = sorted(known.directory.firms) if who.scope.firm is None else [who.scope.firm]
    return shapes.service.AllLimits(
        items=[_agreed(firm, made[firm][-1] if firm in made else None) for firm in firms]
    )


@router.put("/sla/limits/{firm}", responses=shapes.refusals.LIMITS_REFUSED)
def put_limits(
    parts: PartsOf,
    who: Actor,
    firm: str,
    body: Annotated[
        dict[str, Any],
        Body(
            description="By class, `P1` to `P4`: `acknowledge`, `onsite`, `mend`, each an `amount` "
            "and a `unit`: `minutes`, `work_minutes`, `working_days`. A class that is left out "
            "has its default; `onsite` or `mend` that is left out has no limit."
        ),
    ],
) -> shapes.service.FirmLimits:
    """Set the limits of a firm; they hold for faults that are raised from now on. For operators."""
    with reading(parts.deps.engine) as connection:
        check_firm(parts.registry.get(connection).directory, who, firm)
    operators_only(who, "set the limits of a firm")
    try:
        limits = parse_limits(body)
    except BadLimits as error:
        raise BadParameter("body", str(error)) from error
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        return who.once.do(
            connection,
            now_ms,
            shapes.service.FirmLimits,
            lambda: _agreed(firm, store.agree(connection, firm, limits, who.name, now_ms)),
        )


def _range(start: str | None, end: str | None, now_ms: int) -> tuple[int, int]:
    asked = parse_range(start, end, DISTRICT_ZONE, now_ms)
    to_ms = min(now_ms, now_ms if asked.to_ms is None else asked.to_ms)
    from_ms = asked.from_ms
    if from_ms is None:
        local = datetime.fromtimestamp((to_ms - 1) / 1000, DISTRICT_ZONE)
        first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        from_ms = int(first.timestamp()) * 1000
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    return from_ms, to_ms


def _agreed(firm: str, one: store.Agreed | None) -> shapes.service.FirmLimits:
    return shapes.service.FirmLimits.model_validate(
        {
            "firm": firm,
            "limits": print_limits(DEFAULTS if one is None else one.limits),
            "since": None if one is None else print_instant(one.since_ms),
            "by": None if one is None else one.by,
        }
    )


def _shape(tally: Tally) -> dict[str, object]:
    return {
        "faults": tally.faults,
        "told": tally.told,
        "notify": _times(tally.notified_s),
        "acknowledge": {**_kept(tally.acknowledge), **_times(tally.acknowledged_s)},
        "mend": {**_kept(tally.mend), **_times(tally.mended_s)},
        "verified": tally.verified,
        "closed_by_hand": tally.by_hand,
        "reopened": tally.reopened,
    }


def _kept(kept: Kept) -> dict[str, object]:
    return {
        "met": kept.met,
        "late": kept.late,
        "overdue": kept.overdue,
        "running": kept.running,
        "not_needed": kept.not_needed,
        "share": kept.share,
    }


def _times(values_s: Sequence[float]) -> dict[str, object]:
    return {"median_s": nearest_rank(values_s, 0.5), "p90_s": nearest_rank(values_s, 0.9)}


def _overdue(
    directory: Directory, late: Sequence[tuple[store.Case, Ledger]]
) -> list[dict[str, object]]:
    groups: dict[tuple[str, Severity], list[Ledger]] = {}
    for case, one in late:
        entry = directory.compounds.get(case.compound or "")
        if entry is not None:
            groups.setdefault((entry.firm, case.severity), []).append(one)
    return [
        {
            "firm": firm,
            "severity": severity,
            "total": len(of),
            "acknowledge": sum(
                one.step(StepName.ACKNOWLEDGED).verdict is Verdict.OVERDUE for one in of
            ),
            "mend": sum(one.mend.verdict is Verdict.OVERDUE for one in of),
        }
        for (firm, severity), of in sorted(groups.items())
    ]


_HEADER = (
    *("month", "firm", "severity", "faults", "told", "notified_median_s", "notified_p90_s"),
    *("acknowledged_in_time", "acknowledged_late", "not_acknowledged_overdue"),
    *("acknowledge_running", "acknowledge_not_needed", "acknowledge_share"),
    *("acknowledged_median_s", "acknowledged_p90_s"),
    *("mended_in_time", "mended_late", "not_mended_overdue"),
    *("mend_running", "mend_not_needed", "mend_share", "mended_median_s", "mended_p90_s"),
    *("verified", "closed_by_hand", "reopened"),
)


def _line(month: str, firm: str, severity: Severity, tally: Tally) -> list[tables.Cell]:
    return [
        *(month, firm, severity.value, tally.faults, tally.told, *_ranks(tally.notified_s)),
        *_cells(tally.acknowledge),
        *_ranks(tally.acknowledged_s),
        *_cells(tally.mend),
        *_ranks(tally.mended_s),
        *(tally.verified, tally.by_hand, tally.reopened),
    ]


def _cells(kept: Kept) -> Iterator[tables.Cell]:
    yield from (kept.met, kept.late, kept.overdue, kept.running, kept.not_needed, kept.share)


def _ranks(values_s: Sequence[float]) -> Iterator[tables.Cell]:
    yield from (nearest_rank(values_s, 0.5), nearest_rank(values_s, 0.9))
