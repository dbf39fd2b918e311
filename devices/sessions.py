"""Charging sessions: one transaction of a port, from its start to its end, or to what we infer.

A session is known by (shed, order); whatever number a message carries, the same start or end twice
changes nothing. An end without a start makes the session (start = end - duration); a new start on a
port whose session never ended closes the old one by inference, and it says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from devices.messages import Value
from devices.reconciliation import APART_PCT, Measured, Reconciliation, reconcile


class SessionState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class EndedBy(StrEnum):
    DEVICE = "device"
    PLATFORM = "platform"  # by inference: the end never came


@dataclass(frozen=True, slots=True)
class Session:
    """One charging session; times are UTC epoch ms, None is unknown.

    order: the number that the shed gave it, as text; unique within the shed.
    energy_kwh: as the board reported it at the end; of one closed by inference, as last read.
    provisional: closed by inference, or its figures were.
    measured: what it drew as far as readings tell; None while that is not worked out.
    """

    id: str
    compound: str
    shed: str
    port: str
    order: str
    state: SessionState
    started_at_ms: int | None
    ended_at_ms: int | None = None
    duration_s: int | None = None
    energy_kwh: float | None = None
    fee_fen: int | None = None
    stop_reason: str | None = None
    native_reason: str | None = None
    ended_by: EndedBy | None = None
    provisional: bool = False
    measured: Measured | None = None


def session_id(shed: str, order: str) -> str:
    """The id of this shed's transaction; the same in every replay."""
    return sha256(f"{shed}|{order}".encode()).hexdigest()[:20]


def begin(compound: str, shed: str, port: str, order: str, at_ms: int) -> Session:
    """A session that has just started."""
    return Session(session_id(shed, order), compound, shed, port, order, SessionState.OPEN, at_ms)


def end(
    known: Session | None,
    compound: str,
    shed: str,
    port: str,
    order: str,
    at_ms: int,
    attributes: Mapping[str, Value],
) -> Session:
    """The session as its end message closes it. known: what was seen of it before, if anything."""
    duration_s = _whole(attributes.get("session_s"))
    started_at_ms = known.started_at_ms if known is not None else None
    if started_at_ms is None and duration_s is not None:
        started_at_ms = at_ms - duration_s * 1000
    if duration_s is None and started_at_ms is not None:
        duration_s = max(0, at_ms - started_at_ms) // 1000
    energy = attributes.get("session_energy_kwh")
    native = attributes.get("native_reason")
    return Session(
        session_id(shed, order),
        compound,
        shed,
        port,
        order,
        SessionState.CLOSED,
        started_at_ms,
        ended_at_ms=at_ms,
        duration_s=duration_s,
        energy_kwh=float(energy) if isinstance(energy, int | float) else None,
        fee_fen=_whole(attributes.get("session_fee_fen")),
        stop_reason=str(attributes.get("stop_reason", "unknown")),
        native_reason=None if native is None else str(native),
        ended_by=EndedBy.DEVICE,
    )


def infer_end(
    session: Session, last_seen_ms: int, energy_kwh: float | None, stop_reason: str = "unknown"
) -> Session:
    """The session closed at its last evidence, because its end never came."""
    started = session.started_at_ms
    ended = last_seen_ms if started is None else max(last_seen_ms, started)
    return replace(
        session,
        state=SessionState.CLOSED,
        ended_at_ms=ended,
        duration_s=None if started is None else (ended - started) // 1000,
        energy_kwh=energy_kwh,
        stop_reason=stop_reason,
        ended_by=EndedBy.PLATFORM,
        provisional=True,
    )


def started_late(session: Session, at_ms: int) -> Session | None:
    """A closed session of which nobody knew when it began; None if it was known, or cannot be."""
    if session.started_at_ms is not None or session.ended_at_ms is None:
        return None
    if at_ms > session.ended_at_ms:
        return None
    duration_s = (session.ended_at_ms - at_ms) // 1000
    return replace(
        session, started_at_ms=at_ms, duration_s=session.duration_s or duration_s, measured=None
    )


def reconciled(session: Session, apart_pct: float = APART_PCT) -> Reconciliation:
    """Its reported energy against what was measured."""
    return reconcile(
        is_open=session.state is SessionState.OPEN,
        is_reported=session.ended_by is EndedBy.DEVICE,
        energy_kwh=session.energy_kwh,
        measured=session.measured,
        apart_pct=apart_pct,
    )


def _whole(value: Value | None) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
