"""Makes corrections: what may be corrected, what that comes to by hour, and how it is recorded.

Figures of a local day are final 48 h after its end. From then on they change by a correction and by
nothing else: judge and recounter leave the day alone, and a correction is added to what they wrote.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from devices.corrections import (
    LEAST,
    LEAST_OF_RECOUNT,
    LONGEST_REASON,
    NOBODY,
    BadCorrection,
    Change,
    Line,
    Way,
    changes,
    shared_out,
    shown,
)
from devices.days import local_date, midnight_of, month_of, next_midnight, zone_of
from devices.store.corrections import (
    Correction,
    UnknownCorrection,
    add_correction,
    find_correction,
    newest_revision,
)
from devices.store.schema import compounds, cursors, devices
from devices.store.scope import Scope
from devices.store.usage import DeviceHour, device_hours
from devices.store.usage_days import first_hours, mark_days
from devices.usage import FINAL_AFTER_MS, HOUR_MS, Figures, add, merge

EARLIEST_MS = 946_684_800_000  # 2000-01-01


class Day(NamedTuple):
    """A local day of a compound."""

    compound: str
    start_ms: int
    end_ms: int
    zone: tzinfo

    @property
    def date(self) -> date:
        return local_date(self.start_ms, self.zone)


class Target(NamedTuple):
    """Whose figures: a device's, or of a kind as a whole (NOBODY)."""

    kind: str
    number: int = NOBODY
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a correction would add, and to what. revision: the one that it would be.

    digest: the same as long as nothing of it changes. before: sums of the day by kind, as they are.
    """

    day: Day
    revision: int
    way: Way
    target: Target | None
    stated: Mapping[str, Mapping[str, float]]
    lines: Sequence[Line]
    digest: str
    before: Mapping[str, Figures] = field(default_factory=dict)

    @property
    def added(self) -> dict[str, Figures]:
        """By kind what it adds to the day."""
        sums: dict[str, Figures] = {}
        for line in self.lines:
            merge(sums.setdefault(line.kind, {}), line.figures)
        return sums


def final_day(connection: Connection, compound: str, at_ms: int, now_ms: int) -> Day:
    """The day that holds `at_ms`. Raises BadCorrection unless its figures are final."""
    zone = zone_of(
        connection.execute(select(compounds.c.timezone).where(compounds.c.id == compound)).scalar()
        or ""
    )
    if at_ms < EARLIEST_MS:
        raise BadCorrection("day", "of a time before 2000 nothing is on record")
    at_ms = min(at_ms, now_ms)  # what is to come is as provisional as today
    ends_ms = next_midnight(at_ms, zone)
    day = Day(compound, midnight_of(at_ms, zone), ends_ms, zone)
    if now_ms < ends_ms + FINAL_AFTER_MS:
        raise BadCorrection(
            "day",
            f"{day.date} is provisional until 48 h after its end: late data comes in by itself;"
            " correct what is still wrong then",
        )
    first_ms = first_hours(connection, [compound]).get(compound)
    if first_ms is None or day.start_ms < month_of(first_ms, zone):
        raise BadCorrection(
            "day", f"{day.date}: of that time nothing of {compound} is on record to be corrected"
        )
    heard_ms = connection.execute(
        select(cursors.c.watermark_ms).where(cursors.c.name == "judge")
    ).scalar()
    if heard_ms is not None and heard_ms < ends_ms + FINAL_AFTER_MS:
        raise BadCorrection(
            "day", f"the judge is behind, and has not finished {day.date}: try again later"
        )
    return day


def find_target(
    connection: Connection, scope: Scope, compound: str, device: str | None, kind: str | None
) -> Target:
    """The device of this compound, or the kind. Raises BadCorrection."""
    if (device is None) == (kind is None):
        raise BadCorrection("device", "either a device or a kind, whose figures they are")
    column = devices.c
    if device is None:
        assert kind is not None
        of_kind = select(column.no).where(
            column.compound == compound, column.kind == kind, scope.holds(column.compound)
        )
        if connection.execute(of_kind.limit(1)).first() is None:
            raise BadCorrection("kind", f"{compound} has no device of the kind {kind[:40]!r}")
        return Target(kind)
    row = connection.execute(
        select(column.no, column.kind).where(
            column.id == device, column.compound == compound, scope.holds(column.compound)
        )
    ).one_or_none()
    if row is None:
        raise BadCorrection("device", f"{compound} has no device {device[:80]!r}")
    return Target(row.kind, row.no, device)


def propose(
    connection: Connection,
    scope: Scope,
    day: Day,
    target: Target,
    stated: Mapping[str, float],
    hour_ms: int | None = None,
) -> Proposal:
    """What is stated, by hour; of the whole day without `hour_ms`. Raises BadCorrection."""
    wanted = changes(target.kind, stated)
    rows = device_hours(connection, scope, day.compound, day.start_ms, day.end_ms)
    hours = [hour_ms] if hour_ms is not None else range(day.start_ms, day.end_ms, HOUR_MS)
    lines: dict[int, Figures] = {}
    of_kind = _by_hour(rows, target.kind, None)
    of_target = of_kind if target.number == NOBODY else _by_hour(rows, target.kind, target.number)
    for change in wanted:
        there = [change.there(of_target.get(hour, {})) for hour in hours]
        for hour, share in zip(hours, shared_out(change, there), strict=True):
            if share:
                _check(of_kind.get(hour, {}), change, share)
                add(lines.setdefault(hour, {}), change.name, share, change.of)
    made = [
        Line(hour, target.number, target.kind, 0, figures)
        for hour, figures in sorted(lines.items())
    ]
    return proposal(connection, day, Way.STATED, target, {target.kind: dict(stated)}, made, rows)


def propose_recount(
    connection: Connection, scope: Scope, day: Day, lines: Sequence[Line]
) -> Proposal:
    """What a recount comes to, as the next correction. Raises BadCorrection."""
    rows = device_hours(connection, scope, day.compound, day.start_ms, day.end_ms)
    added: dict[str, Figures] = {}
    sums: dict[tuple[str, int], Figures] = {}
    for row in rows:
        merge(sums.setdefault((row.kind, row.hour_ms), {}), row.figures)
    for line in lines:
        merge(added.setdefault(line.kind, {}), line.figures)
        merge(sums.setdefault((line.kind, line.hour_ms), {}), line.figures)
    for (kind, _), figures in sums.items():
        if (least := min(shown(kind, figures).values(), default=0)) < -LEAST_OF_RECOUNT:
            raise BadCorrection(
                "recount",
                f"a figure of the kind {kind} would be negative in one hour ({least:g}): what was"
                " stated takes away more than the readings have; correct that first",
            )
    stated = {kind: shown(kind, figures) for kind, figures in sorted(added.items())}
    return proposal(connection, day, Way.RECOUNT, None, stated, lines, rows)


def proposal(
    connection: Connection,
    day: Day,
    way: Way,
    target: Target | None,
    stated: Mapping[str, Mapping[str, float]],
    lines: Sequence[Line],
    rows: Sequence[DeviceHour],
) -> Proposal:
    """The lines as the next correction of that day. rows: its hours as they are."""
    before: dict[str, Figures] = {}
    for row in rows:
        merge(before.setdefault(row.kind, {}), row.figures)
    revision = newest_revision(connection, day.compound, day.start_ms) + 1
    text = msgspec.json.encode([day.compound, day.start_ms, revision, way.value, list(lines)])
    digest = hashlib.sha256(text).hexdigest()[:20]
    return Proposal(day, revision, way, target, stated, lines, digest, before)


def record(
    connection: Connection,
    scope: Scope,
    what: Proposal,
    *,
    reason: str,
    by: str,
    now_ms: int,
    corrects: str | None = None,
) -> Correction:
    """Write it down; the sums of that day are made anew. Raises BadCorrection, RevisionTaken."""
    reason = reason.strip()
    if not reason:
        raise BadCorrection("reason", "say why: it stands beside the figures from now on")
    if len(reason) > LONGEST_REASON:
        raise BadCorrection("reason", f"at most {LONGEST_REASON} characters, not {len(reason)}")
    if not what.lines:
        raise BadCorrection("recount", "there is no difference: nothing is to be recorded")
    if corrects is not None:
        _check_corrected(connection, scope, what.day, corrects)
    hours = [line.hour_ms for line in what.lines]
    made = Correction(
        id=secrets.token_hex(10),
        compound=what.day.compound,
        day_ms=what.day.start_ms,
        revision=what.revision,
        way=what.way,
        kinds=tuple(sorted({line.kind for line in what.lines})),
        device=None if what.target is None else what.target.device,
        from_ms=min(hours),
        to_ms=max(hours) + HOUR_MS,
        stated=what.stated,
        reason=reason,
        corrects=corrects,
        created_by=by,
        created_at_ms=now_ms,
    )
    add_correction(connection, made, what.lines)
    mark_days(connection, [(what.day.compound, what.day.start_ms)], None)
    return made


def _check_corrected(connection: Connection, scope: Scope, day: Day, corrects: str) -> None:
    try:
        wrong = find_correction(connection, scope, corrects)
    except UnknownCorrection:
        raise BadCorrection("corrects", f"there is no correction {corrects[:60]!r}") from None
    if (wrong.compound, wrong.day_ms) != (day.compound, day.start_ms):
        raise BadCorrection(
            "corrects", f"{corrects} is of {local_date(wrong.day_ms, day.zone)}, not of {day.date}"
        )


def _by_hour(rows: Sequence[DeviceHour], kind: str, number: int | None) -> dict[int, Figures]:
    """Figures by hour, of one device or of the whole kind."""
    found: dict[int, Figures] = {}
    for row in rows:
        if row.kind == kind and number in (None, row.device_no):
            merge(found.setdefault(row.hour_ms, {}), row.figures)
    return found


def _check(of_kind: Figures, change: Change, share: float) -> None:
    """What was taken away from a kind cannot be taken from a device of it once more."""
    there = change.there(of_kind)
    if there + share < -LEAST:
        raise BadCorrection(
            "changes",
            f"{change.name} of all would be negative in one hour: {there:g} is there after earlier"
            f" corrections, {-share:g} to be taken",
        )
