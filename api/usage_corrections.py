"""Corrections of usage that is final: looked at first, then recorded with a reason, never changed.

A person states what is wrong, or has the day worked out again from the readings that came too late.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api import compounds, shapes
from api.errors import Away, BadParameter, Forbidden, Moved
from api.identity import Actor, Identity, Reader, Role
from api.instants import parse_instant, parse_range, print_instant, zone_of
from api.paging import PageOf
from api.parts import Parts, PartsOf
from devices.corrections import (
    NOBODY,
    BadCorrection,
    RecountBusy,
    Recounted,
    RecountRefused,
    shown,
)
from devices.days import local_date
from devices.store.correcting import (
    Day,
    Proposal,
    final_day,
    find_target,
    propose,
    propose_recount,
    record,
)
from devices.store.corrections import Correction, RevisionTaken, list_corrections
from devices.store.database import DatabaseAway, reading, writing
from devices.store.registry import device_numbers
from devices.usage import hour_of

HOURS_SHOWN = 500
OPERATORS = "Only operators correct figures that are final: ask one of them."

router = APIRouter(prefix="/v1", tags=["usage"], responses=shapes.refusals.PROBLEMS)

T = TypeVar("T")


@router.get("/compounds/{compound}/usage/corrections")
def list_all(
    parts: PartsOf,
    who: Reader,
    page: PageOf,
    compound: str,
    start: Annotated[
        str | None, Query(alias="from", description="Of days that begin at or after it.")
    ] = None,
    end: Annotated[
        str | None, Query(alias="to", description="Of days that begin before it.")
    ] = None,
) -> shapes.usage.Corrections:
    """What was corrected of the compound's usage, the newest first."""
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        zone = zone_of(entry.timezone)
        asked = parse_range(start, end, zone, parts.now_ms())
        found = list_corrections(
            connection,
            who.scope,
            compound=compound,
            from_ms=asked.from_ms,
            to_ms=asked.to_ms,
            before=page.behind,
            limit=page.limit + 1,
        )
    rows, cursor = page.split(found, lambda one: [one.created_at_ms, one.id])
    return shapes.usage.Corrections(items=[shape(one, zone) for one in rows], next_cursor=cursor)


@router.post(
    "/compounds/{compound}/usage/corrections/preview", responses=shapes.refusals.CORRECTION_REFUSED
)
def preview(
    parts: PartsOf, who: Actor, compound: str, body: shapes.usage.ProposedCorrection
) -> shapes.usage.CorrectionPreview:
    """What a correction would add to which hour, and the day before and after it; nothing is done.

    A recount reads the telemetry store: some seconds for a large compound.
    """
    asked = _asked(parts, who, compound, body)
    with reading(parts.deps.engine) as connection:
        what = _saying(lambda: asked.propose(connection))
        names = {number: device for device, number in device_numbers(connection).items()}
    return _preview(what, names, {} if asked.recounted is None else asked.recounted.left)


@router.post(
    "/compounds/{compound}/usage/corrections",
    status_code=201,
    responses=shapes.refusals.CORRECTION_REFUSED,
)
def correct(
    parts: PartsOf, who: Actor, compound: str, body: shapes.usage.NewCorrection
) -> shapes.usage.Correction:
    """Record a correction: from now on it is in every figure of that day, which says so."""
    now_ms = parts.now_ms()
    asked = _asked(parts, who, compound, body)

    def act() -> shapes.usage.Correction:
        what = _saying(lambda: asked.propose(connection))
        if body.recount and body.digest is None:
            raise BadParameter("digest", "look at the recount first: its preview has the digest")
        if body.digest not in (None, what.digest):
            raise Moved("That day is no longer as it was previewed: look again. Nothing was done.")
        try:
            made = _saying(
                lambda: record(
                    connection,
                    who.scope,
                    what,
                    reason=body.reason,
                    by=who.name,
                    now_ms=now_ms,
                    corrects=body.corrects,
                )
            )
        except RevisionTaken as error:
            raise Moved("That day was corrected at this moment; nothing was done.") from error
        return shape(made, what.day.zone)

    with writing(parts.deps.engine) as connection:
        return who.once.do(connection, now_ms, shapes.usage.Correction, act)


@dataclass(frozen=True, slots=True)
class Asked:
    """A correction that is asked for. recounted: what the readings say, read beforehand."""

    who: Identity
    day: Day
    hour_ms: int | None
    body: shapes.usage.ProposedCorrection
    recounted: Recounted | None

    def propose(self, connection: Connection) -> Proposal:
        """Raises BadCorrection."""
        scope, body = self.who.scope, self.body
        if self.recounted is not None:
            return propose_recount(connection, scope, self.day, self.recounted.lines)
        target = find_target(connection, scope, self.day.compound, body.device, body.kind)
        return propose(connection, scope, self.day, target, body.changes, self.hour_ms)


def _asked(
    parts: Parts, who: Identity, compound: str, body: shapes.usage.ProposedCorrection
) -> Asked:
    """Raises NotFound, Forbidden, BadParameter, Away."""
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        if who.role is not Role.OPERATOR:
            raise Forbidden(OPERATORS)
        at_ms, hour_ms = _time(body, zone_of(entry.timezone))
        day = _saying(lambda: final_day(connection, compound, at_ms, parts.now_ms()))
    return Asked(who, day, hour_ms, body, _recounted(parts, day) if body.recount else None)


def _time(body: shapes.usage.ProposedCorrection, zone: tzinfo) -> tuple[int, int | None]:
    """A time of the day, and the hour if it is one."""
    if (body.day is None) == (body.hour is None):
        raise BadParameter("day", "either a day or an hour of it")
    if body.recount and (body.changes or body.device or body.kind or body.hour):
        raise BadParameter("recount", "is of a whole day of the compound: give the day alone")
    if body.day is not None:
        return parse_instant("day", body.day, zone), None
    assert body.hour is not None
    hour_ms = hour_of(parse_instant("hour", body.hour, zone))
    return hour_ms, hour_ms


def _recounted(parts: Parts, day: Day) -> Recounted:
    if parts.deps.recount is None:
        raise Away("Nothing is worked out again by this API.")
    try:
        return parts.deps.recount.work_out(day.compound, day.start_ms, day.end_ms)
    except RecountRefused as error:
        raise BadParameter("recount", str(error)) from error
    except (RecountBusy, DatabaseAway) as error:
        raise Away(f"{error}.") from error


def _saying(action: Callable[[], T]) -> T:
    """What cannot be recorded, as a parameter that is wrong."""
    try:
        return action()
    except BadCorrection as error:
        raise BadParameter(error.parameter, str(error)) from error


def shape(made: Correction, zone: tzinfo) -> shapes.usage.Correction:
    return shapes.usage.Correction.model_validate(
        {
            "id": made.id,
            "compound": made.compound,
            "day": str(local_date(made.day_ms, zone)),
            "revision": made.revision,
            "way": made.way.value,
            "device": made.device,
            "from": print_instant(made.from_ms),
            "to": print_instant(made.to_ms),
            "changes": made.stated,
            "reason": made.reason,
            "corrects": made.corrects,
            "created_by": made.created_by,
            "created_at": print_instant(made.created_at_ms),
        }
    )


def _preview(
    what: Proposal, names: Mapping[int, str], left: Mapping[str, str]
) -> shapes.usage.CorrectionPreview:
    return shapes.usage.CorrectionPreview(
        compound=what.day.compound,
        day=str(what.day.date),
        revision=what.revision,
        way=what.way.value,
        digest=what.digest,
        changes={kind: _changes(what, kind) for kind in sorted(what.added)},
        hours=[
            shapes.usage.ChangedHour(
                start=print_instant(line.hour_ms),
                device=None if line.device_no == NOBODY else names.get(line.device_no),
                kind=line.kind,
                received=line.received,
                added=shown(line.kind, line.figures),
            )
            for line in what.lines[:HOURS_SHOWN]
        ],
        hours_total=len(what.lines),
        left=dict(left),
    )


def _changes(what: Proposal, kind: str) -> dict[str, shapes.usage.Changed]:
    before = shown(kind, what.before.get(kind, {}))
    return {
        name: shapes.usage.Changed(
            before=before.get(name, 0.0), added=added, after=before.get(name, 0.0) + added
        )
        for name, added in shown(kind, what.added[kind]).items()
    }
