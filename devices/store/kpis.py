"""Reads of what service figures rest on: devices, faults, maintenance, and when we could hear.

Bounded, and along an index each. A range of faults is read in pieces, because a read may hold up
the judge's commit; `standing` comes first, so that what closes meanwhile is in one piece or the
other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    or_,
    select,
    text,
)

from devices.faults import PLATFORM
from devices.kpis import UPSTREAM, Member, Spell, Told
from devices.maintenance import Window
from devices.platform import PROBE_LOST
from devices.spans import Span
from devices.store.faults import OPEN_STATES
from devices.store.maintenance import window_of
from devices.store.schema import (
    LASTED,
    LIVE,
    accounts,
    compounds,
    device_state,
    devices,
    fault_events,
    faults,
    maintenance,
)
from devices.store.scope import Scope
from devices.usage import HOUR_MS

DAY_MS = 86_400_000
MOST_WINDOWS = 20_000
MOST_GAPS = 2_000  # faults, of the newest; a gap a day for five years
MOST_STREAMS = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """Whose; None leaves a question open."""

    compound: str | None = None
    firm: str | None = None

    def holds(
        self, compound: ColumnElement[str] | ColumnElement[str | None]
    ) -> list[ColumnElement[bool]]:
        """The conditions on a column with compound ids."""
        wanted: list[ColumnElement[bool]] = []
        if self.compound is not None:
            wanted.append(compound == self.compound)
        if self.firm is not None:
            of_firm = select(compounds.c.id).where(compounds.c.firm == self.firm)
            wanted.append(compound.in_(of_firm))
        return wanted


@dataclass(frozen=True, slots=True)
class Heard:
    """When messages of a compound could reach us, our outages aside, to the hour.

    live_ms: since when the live stream hears of it; None: not yet.
    """

    spans: Sequence[Span] = ()
    live_ms: int | None = None


class _Latest(msgspec.Struct):
    port_status: tuple[str, int] | None = None


_latest = msgspec.msgpack.Decoder(_Latest).decode

# Of a fault, in the order of `Spell`: put together once, it cost as much as to ask.
_SPELL = (
    faults.c.id,
    faults.c.code,
    faults.c.kind,
    faults.c.compound,
    faults.c.device,
    faults.c.severity,
    faults.c.safety,
    faults.c.suspected,
    (faults.c.stream == LIVE).label("is_live"),
    faults.c.state,
    faults.c.since_ms,
    faults.c.opened_at_ms,
    case((faults.c.occurrences > 1, faults.c.raises_ms)).label("raises_ms"),
    faults.c.acknowledged_at_ms,
    faults.c.onsite_at_ms,
    func.coalesce(faults.c.cleared_at_ms, faults.c.closed_at_ms).label("ended_ms"),
    faults.c.suppressed_by,
    faults.c.resolution,
    faults.c.repeat_of.is_not(None).label("is_repeat"),
    case((faults.c.code == "LAMP_OUT", faults.c.evidence["lamps_dark"].as_float())).label("dark"),
)
# Of a device, in the order of `Member`.
_MEMBER = (
    devices.c.id,
    devices.c.kind,
    devices.c.compound,
    devices.c.parent,
    devices.c.circuit,
    devices.c.interval_s,
    func.coalesce(devices.c.attributes["lamp_count"].as_integer(), 1),
    devices.c.attributes["supply"].as_string(),
    devices.c.commissioned_at_ms,
    devices.c.decommissioned_at_ms,
    device_state.c.state,
    device_state.c.reason,
    device_state.c.since_ms,
    case((devices.c.kind == "port", device_state.c.latest)),
)


def members(connection: Connection, scope: Scope, wanted: Filter, from_ms: int) -> list[Member]:
    """Devices that are, or were, in service at or after `from_ms`, with how they stand."""
    column, state = devices.c, device_state.c
    query = (
        select(*_MEMBER)
        .select_from(
            devices.outerjoin(
                device_state, and_(state.stream == LIVE, state.device_no == column.no)
            )
        )
        .where(
            scope.holds(column.compound),
            *wanted.holds(column.compound),
            column.decommissioned_at_ms.is_(None) | (column.decommissioned_at_ms > from_ms),
        )
    )
    return [_member_of(*row) for row in connection.execute(query).all()]


def standing(connection: Connection, scope: Scope, wanted: Filter) -> list[Spell]:
    """All faults that are not closed."""
    query = _spells(scope, wanted).where(faults.c.state.in_(OPEN_STATES))
    return [_spell_of(row) for row in connection.execute(query).all()]


def lasting(
    connection: Connection, scope: Scope, wanted: Filter, from_ms: int, limit: int
) -> list[Spell]:
    """Closed faults that lasted for more than a day, opened before `from_ms` and closed after."""
    query = _spells(scope, wanted).where(
        text(LASTED),
        faults.c.closed_at_ms >= from_ms,
        faults.c.opened_at_ms < from_ms,
    )
    return [_spell_of(row) for row in connection.execute(query.limit(limit)).all()]


def roots(
    connection: Connection, scope: Scope, wanted: Filter, from_ms: int, to_ms: int, limit: int
) -> list[Spell]:
    """Of the faults that were opened in [from_ms, to_ms), those that may explain others."""
    query = _spells(scope, wanted).where(
        faults.c.opened_at_ms >= from_ms,
        faults.c.opened_at_ms < to_ms,
        faults.c.code.in_(sorted(UPSTREAM)),
    )
    return [_spell_of(row) for row in connection.execute(query.limit(limit)).all()]


def opened(
    connection: Connection, scope: Scope, wanted: Filter, from_ms: int, to_ms: int, limit: int
) -> list[Spell]:
    """Faults that were opened in [from_ms, to_ms), however they stand. Ask for a few days."""
    query = _spells(scope, wanted).where(
        faults.c.opened_at_ms >= from_ms, faults.c.opened_at_ms < to_ms
    )
    return [_spell_of(row) for row in connection.execute(query.limit(limit)).all()]


def windows(
    connection: Connection, scope: Scope, wanted: Filter, from_ms: int, to_ms: int
) -> list[Window]:
    """Maintenance that touches [from_ms, to_ms), also the district's, which is everybody's.

    Not for showing: of the district's a firm must not read who made it, and why.
    """
    column = maintenance.c
    mine = and_(scope.holds(column.compound), *wanted.holds(column.compound))
    query = (
        select(maintenance)
        .where(
            column.ends_at_ms > from_ms,
            column.starts_at_ms < to_ms,
            or_(mine, column.compound.is_(None)),
        )
        .order_by(column.ends_at_ms.desc(), column.id)
        .limit(MOST_WINDOWS)
    )
    return [window_of(row) for row in connection.execute(query).all()]


def outages(connection: Connection, from_ms: int) -> list[Told]:
    """What the alarm of our own lost probe said, of as much as was not over before `from_ms`.

    Without a scope: that we could not hear is nobody's secret, and is in everybody's figures.
    """
    column, step = faults.c, fault_events.c
    found = (
        select(column.id)
        .where(
            column.subject == PLATFORM,
            column.code == PROBE_LOST,
            column.stream == LIVE,
            column.closed_at_ms.is_(None) | (column.closed_at_ms >= from_ms),
        )
        .order_by(column.opened_at_ms.desc())
        .limit(MOST_GAPS)
    )
    query = (
        select(step.fault, step.at_ms, step.reason, step.becomes, step.evidence)
        .where(step.fault.in_(found))
        .order_by(step.id)
    )
    return [
        Told(fault, at_ms, reason, becomes, evidence or {})
        for fault, at_ms, reason, becomes, evidence in connection.execute(query)
    ]


def heard(
    connection: Connection, scope: Scope, wanted: Filter, judged_to_ms: int
) -> Mapping[str, Heard]:
    """Compound -> when it could be heard, from its first message on; as its accounts have it.

    judged_to_ms: up to when what the live stream received is judged. A back-filled history ends
    with its last message.
    """
    spans: dict[str, list[Span]] = {}
    live: dict[str, int] = {}
    for stream in _streams(connection):
        of_compound = (accounts.c.stream == stream) & (accounts.c.compound == compounds.c.id)
        first, last = (
            select(find(accounts.c.hour_ms)).where(of_compound).scalar_subquery()
            for find in (func.min, func.max)
        )
        query = select(compounds.c.id, first, last).where(
            scope.holds(compounds.c.id), *wanted.holds(compounds.c.id)
        )
        for compound, first_ms, last_ms in connection.execute(query):
            if first_ms is None:
                continue
            if stream == LIVE:
                live[compound] = first_ms
            end_ms = judged_to_ms if stream == LIVE else last_ms + HOUR_MS
            spans.setdefault(compound, []).append((first_ms, end_ms))
    return {compound: Heard(line, live.get(compound)) for compound, line in spans.items()}


def _streams(connection: Connection) -> Iterator[str]:
    """From one stream to the next along the key of the accounts, which is far too long to scan."""
    stream = ""
    for _ in range(MOST_STREAMS):
        found = connection.scalar(
            select(func.min(accounts.c.stream)).where(accounts.c.stream > stream)
        )
        if found is None:
            return
        stream = found
        yield stream


def _spells(scope: Scope, wanted: Filter) -> Select[Any]:
    compound = faults.c.compound
    return select(*_SPELL).where(
        compound.is_not(None), scope.holds(compound), *wanted.holds(compound)
    )


def _spell_of(row: Row[Any]) -> Spell:
    values = list(row)
    values[12] = tuple(values[12] or ())
    return Spell(*values)


def _member_of(*fields: Any) -> Member:
    values, latest = list(fields[:-1]), fields[-1]
    values[7] = values[7] == "switched"
    status = _latest(latest).port_status if latest else None
    values.append(None if status is None else status[0])
    return Member(*values)
