"""`courtyard usage`: corrects figures that are final, and shows what was corrected."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, tzinfo

from sqlalchemy import Connection, Engine, select

from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational, open_telemetry
from devices.catalogue import rules_for
from devices.corrections import (
    BadCorrection,
    RecountBusy,
    RecountRefused,
    shown,
)
from devices.days import began, local_date, zone_of
from devices.kinds import KINDS
from devices.store.correcting import (
    Proposal,
    final_day,
    find_target,
    propose,
    propose_recount,
    record,
)
from devices.store.corrections import Correction, RevisionTaken, list_corrections
from devices.store.database import reading, writing
from devices.store.schema import compounds
from devices.store.scope import DISTRICT
from devices.sun import lighting_hours
from devices.telemetry import TelemetryError, TelemetryReader
from devices.usage import hour_of
from ingest.judge.plan import plans
from ingest.recount_day import DayRecount

MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be corrected; either a day or an hour of it, a device or a kind."""

    compound: str
    day: date | None
    hour: datetime | None
    device: str | None
    kind: str | None
    changes: Mapping[str, float]


def day_recount(engine: Engine, telemetry: TelemetryReader) -> DayRecount:
    """Who works final days out again, over these stores."""
    return DayRecount(engine, telemetry, plans(rules_for, KINDS), lighting_hours, now_ms)


def parse_changes(texts: Iterable[str]) -> dict[str, float]:
    """`energy_kwh=-1.5` and so on. Raises UsageError."""
    found: dict[str, float] = {}
    for text in texts:
        name, is_there, amount = text.partition("=")
        if not is_there or name in found:
            raise UsageError(f"--change: {text!r}: each figure once, like energy_kwh=-1.5")
        try:
            found[name] = float(amount)
        except ValueError:
            raise UsageError(f"--change: {amount!r} in {text!r} is no number") from None
    return found


def correct(
    settings: Settings, wanted: Wanted, reason: str, by: str, corrects: str | None
) -> Iterator[str]:
    """Records what a person states; says what that changes. Raises CommandError."""
    at_ms = now_ms()
    engine = open_operational(settings)
    try:
        with writing(engine) as connection:
            zone = _zone(connection, wanted.compound)
            day = final_day(connection, wanted.compound, _begins_ms(wanted, zone), at_ms)
            target = find_target(connection, DISTRICT, wanted.compound, wanted.device, wanted.kind)
            hour_ms = None if wanted.hour is None else _begins_ms(wanted, zone)
            what = propose(connection, DISTRICT, day, target, wanted.changes, hour_ms)
            made = record(
                connection,
                DISTRICT,
                what,
                reason=reason,
                by=by,
                now_ms=at_ms,
                corrects=corrects,
            )
    except BadCorrection as error:
        raise CommandError(f"{error.parameter}: {error}") from error
    except RevisionTaken as error:
        raise CommandError(f"{error}: nothing was recorded; run it again") from error
    finally:
        engine.dispose()
    yield from _told(what)
    yield f"recorded as {made.id}, revision {made.revision} of {what.day.date}"


def recount(
    settings: Settings, compound: str, day: date, reason: str | None, by: str
) -> Iterator[str]:
    """Says what a day comes to from its readings; with a reason that is recorded."""
    at_ms = now_ms()
    engine = open_operational(settings)
    telemetry = open_telemetry(settings)
    made: Correction | None = None
    try:
        with reading(engine) as connection:
            began_ms = _began(day, _zone(connection, compound))
            of_day = final_day(connection, compound, began_ms, at_ms)
        found = day_recount(engine, telemetry).work_out(compound, of_day.start_ms, of_day.end_ms)
        with writing(engine) as connection:
            what = propose_recount(connection, DISTRICT, of_day, found.lines)
            if reason is not None and what.lines:
                made = record(connection, DISTRICT, what, reason=reason, by=by, now_ms=at_ms)
    except BadCorrection as error:
        raise CommandError(f"{error.parameter}: {error}") from error
    except (RecountRefused, RecountBusy, RevisionTaken, TelemetryError) as error:
        raise CommandError(f"{error}: nothing was recorded") from error
    finally:
        telemetry.close()
        engine.dispose()
    for device, why in sorted(found.left.items()):
        yield f"{device}: {why}"
    yield from _told(what)
    if not what.lines:
        yield f"{compound}, {day}: the readings say what the figures say; nothing to be recorded"
    elif made is None:
        yield "nothing was recorded: say --reason to record this"
    else:
        yield f"recorded as {made.id}, revision {made.revision} of {day}"


def corrections(settings: Settings, compound: str | None, *, in_json: bool) -> Iterator[str]:
    """The newest, at most MOST_LISTED, a line each."""
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            zones = {
                name: zone_of(zone)
                for name, zone in connection.execute(select(compounds.c.id, compounds.c.timezone))
            }
            if compound is not None:
                _zone(connection, compound)
            found = list_corrections(connection, DISTRICT, compound=compound, limit=MOST_LISTED)
    finally:
        engine.dispose()
    for one in found:
        day = local_date(one.day_ms, zones[one.compound])
        if in_json:
            yield json.dumps({**asdict(one), "day": str(day)}, ensure_ascii=False)
            continue
        at = datetime.fromtimestamp(one.created_at_ms / 1000, UTC)
        what = "; ".join(_added(kind, by) for kind, by in sorted(one.stated.items()))
        whose = f" {one.device}" if one.device else ""
        yield (
            f"{one.id}  {one.compound} {day} revision {one.revision} ({one.way}){whose}: {what}"
            f"  {one.created_by}, {at:%Y-%m-%d %H:%M} UTC: {one.reason}"
        )


def _begins_ms(wanted: Wanted, zone: tzinfo) -> int:
    if (wanted.day is None) == (wanted.hour is None):
        raise UsageError("--day, --hour: one of them")
    if wanted.day is not None:
        return _began(wanted.day, zone)
    assert wanted.hour is not None
    return hour_of(round(wanted.hour.timestamp() * 1000))


def _began(day: date, zone: tzinfo) -> int:
    try:
        return began(day, zone)
    except (OverflowError, ValueError):
        raise UsageError(f"--day: {day} is no day that anything is known of") from None


def _zone(connection: Connection, compound: str) -> tzinfo:
    query = select(compounds.c.timezone).where(compounds.c.id == compound)
    name = connection.execute(query).scalar()
    if name is None:
        raise CommandError(
            f"there is no compound {compound!r}: `courtyard registry export FILE` shows which"
            " there are"
        )
    return zone_of(name)


def _told(what: Proposal) -> Iterator[str]:
    """The day's figures before and after."""
    for kind, added in sorted(what.added.items()):
        before = shown(kind, what.before.get(kind, {}))
        for name, by in shown(kind, added).items():
            was = before.get(name, 0.0)
            yield f"{what.day.date} {kind} {name}: {was:,.6g} {by:+,.6g} = {was + by:,.6g}"
    received = sum(line.received for line in what.lines)
    if received:
        yield f"{what.day.date} {received:,} reports more in the coverage"


def _added(kind: str, by: Mapping[str, float]) -> str:
    return f"{kind} " + ", ".join(f"{name} {amount:+g}" for name, amount in by.items())
