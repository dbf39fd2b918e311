"""The life of a fault: pure transitions, each giving the fault as it becomes and what to record.

States: `open → acknowledged → closed`, and `cleared` for a fault of the safety tier whose condition
is over but which a person must still answer. Suppressed, shelved and in maintenance lie on top and
never change the state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from devices.rules import Rule, Severity

PLATFORM = "platform"
SYSTEM = "system"  # the actor when no person acted
REOPENS_WITHIN_MS = (
    10 * 60 * 1000
)  # design.md §3: raised again so soon after its close, the same fault


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    CLOSED = "closed"


class Why(StrEnum):
    """What moved a fault."""

    RAISED = "raised"
    REOPENED = "reopened"  # its condition came back
    WORSENED = "worsened"  # a worse sign of the same fault
    OVER = "over"  # its condition is over
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    CLOSED = "closed"  # by a person
    HISTORY_ENDS = "history_ends"  # the back-filled history ends while it is open


class FaultMoved(Exception):
    """Somebody was faster: the fault is no longer in the state that the move starts from."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one subject (a device, a compound or `platform`); times are UTC epoch ms.

    since_ms: when its condition began (event time). opened_at_ms: when we raised it.
    late: it came out of replayed data. evidence: the values that showed it.
    raises_ms: when it was raised, the newest few. flaps: how often its condition ended and came
    back. repeat_of: the fault before it of this subject and code. maintenance: the window that
    holds its notices. impact: who and what it concerns. rank: the worst is the highest.
    """

    id: str
    subject: str
    code: str
    kind: str
    severity: Severity
    safety: bool
    state: State
    since_ms: int
    opened_at_ms: int
    device: str | None = None
    compound: str | None = None
    suspected: bool = False
    acknowledged_at_ms: int | None = None
    acknowledged_by: str | None = None
    cleared_at_ms: int | None = None
    closed_at_ms: int | None = None
    suppressed_by: str | None = None
    shelved_until_ms: int | None = None
    assignee: str | None = None
    resolution: str | None = None
    occurrences: int = 1
    late: bool = False
    evidence: Mapping[str, object] = field(default_factory=dict)
    raises_ms: tuple[int, ...] = ()
    flaps: int = 0
    repeat_of: str | None = None
    maintenance: str | None = None
    impact: Mapping[str, object] | None = None
    rank: float = 0.0
    onsite_at_ms: int | None = None
    repaired_at_ms: int | None = None
    confirmed_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """One line of a fault's history; written with the move it records, never changed.

    notice_at_ms: nobody is told of it before; None: at once.
    """

    fault: str
    at_ms: int
    was: State | None
    becomes: State
    reason: Why
    actor: str = SYSTEM
    note: str | None = None
    evidence: Mapping[str, object] | None = None
    notice_at_ms: int | None = None


Move = tuple[Fault, FaultEvent]


def fault_id(stream: str, subject: str, code: str, since_ms: int) -> str:
    """The id of the fault that began then; the same messages give the same id in every replay."""
    return sha256(f"{stream}|{subject}|{code}|{since_ms}".encode()).hexdigest()[:20]


def begin(
    rule: Rule,
    *,
    stream: str,
    subject: str,
    device: str | None,
    compound: str | None,
    severity: Severity,
    safety: bool,
    since_ms: int,
    now_ms: int,
    evidence: Mapping[str, object],
    late: bool = False,
    kind: str | None = None,
) -> Move:
    """A new fault, open. kind: of the device, where the rule is one for any."""
    fault = Fault(
        id=fault_id(stream, subject, rule.code, since_ms),
        subject=subject,
        code=rule.code,
        kind=kind or rule.kind,
        device=device,
        compound=compound,
        severity=severity,
        safety=safety,
        suspected=rule.suspected,
        state=State.OPEN,
        since_ms=since_ms,
        opened_at_ms=now_ms,
        late=late,
        evidence=evidence,
    )
    return fault, FaultEvent(fault.id, now_ms, None, State.OPEN, Why.RAISED, evidence=evidence)


def reopen(
    fault: Fault, severity: Severity, safety: bool, now_ms: int, evidence: Mapping[str, object]
) -> Move:
    """The condition of a cleared, or just closed, fault is back: the same fault, once more.

    Also if it was first seen in replayed data: now it is live.
    """
    again = replace(
        fault,
        state=State.OPEN,
        late=False,
        severity=severity,
        safety=safety or fault.safety,
        acknowledged_at_ms=None,
        acknowledged_by=None,
        cleared_at_ms=None,
        closed_at_ms=None,
        resolution=None,
        occurrences=fault.occurrences + 1,
        evidence=evidence,
    )
    return again, FaultEvent(
        fault.id, now_ms, fault.state, State.OPEN, Why.REOPENED, evidence=evidence
    )


def may_reopen(fault: Fault, now_ms: int) -> bool:
    """Whether a new raise is the same fault again rather than a new one."""
    if fault.state is State.CLEARED:
        return True
    return (
        fault.state is State.CLOSED
        and fault.closed_at_ms is not None
        and now_ms - fault.closed_at_ms <= REOPENS_WITHIN_MS
    )


def worsen(
    fault: Fault, severity: Severity, safety: bool, now_ms: int, evidence: Mapping[str, object]
) -> Move | None:
    """A worse sign of a standing fault; None when it is no worse.

    An acknowledged fault is open again: who answered a P2 has not answered a P1.
    """
    worst = min(severity, fault.severity)
    if worst == fault.severity and (fault.safety or not safety):
        return None
    worse = replace(
        fault,
        severity=worst,
        safety=fault.safety or safety,
        state=State.OPEN,
        acknowledged_at_ms=None,
        acknowledged_by=None,
        evidence=evidence,
    )
    return worse, FaultEvent(
        fault.id, now_ms, fault.state, State.OPEN, Why.WORSENED, evidence=evidence
    )


def end(fault: Fault, now_ms: int, evidence: Mapping[str, object] | None = None) -> Move:
    """The condition is over. A safety fault that nobody answered waits, cleared, for a person."""
    becomes = State.CLEARED if fault.safety and fault.state is State.OPEN else State.CLOSED
    over = replace(
        fault,
        state=becomes,
        cleared_at_ms=now_ms,
        closed_at_ms=now_ms if becomes is State.CLOSED else None,
    )
    return over, FaultEvent(fault.id, now_ms, fault.state, becomes, Why.OVER, evidence=evidence)


def end_history(fault: Fault, now_ms: int) -> Move:
    """A back-filled history ends, and its faults with it: nobody is asked about the past."""
    over = replace(
        fault, state=State.CLOSED, closed_at_ms=now_ms, resolution=Why.HISTORY_ENDS.value
    )
    return over, FaultEvent(fault.id, now_ms, fault.state, State.CLOSED, Why.HISTORY_ENDS)


def acknowledge(fault: Fault, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person has seen it. A cleared fault is done with that. Raises FaultMoved."""
    if fault.state not in (State.OPEN, State.CLEARED):
        raise FaultMoved(f"fault {fault.id} is {fault.state}, so there is nothing to acknowledge")
    becomes = State.CLOSED if fault.state is State.CLEARED else State.ACKNOWLEDGED
    seen = replace(
        fault,
        state=becomes,
        acknowledged_at_ms=now_ms,
        acknowledged_by=actor,
        closed_at_ms=now_ms if becomes is State.CLOSED else None,
    )
    return seen, FaultEvent(
        fault.id, now_ms, fault.state, becomes, Why.ACKNOWLEDGED, actor=actor, note=note
    )


def comment(fault: Fault, actor: str, now_ms: int, note: str) -> Move:
    """A person adds a note; also to a closed fault."""
    return fault, FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.COMMENTED, actor=actor, note=note
    )


def assign(fault: Fault, assignee: str, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person takes it or hands it to somebody. Raises FaultMoved for a closed fault."""
    if fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is closed, so nobody can be assigned to it")
    return replace(fault, assignee=assignee), FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.ASSIGNED, actor=actor, note=note
    )


def close(
    fault: Fault, actor: str, now_ms: int, note: str | None = None, resolution: str | None = None
) -> Move:
    """A person closes it, whatever the device says; if it is still bad, the judge opens it again.

    Raises FaultMoved if it is closed already.
    """
    if fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is closed already")
    done = replace(
        fault,
        state=State.CLOSED,
        closed_at_ms=now_ms,
        resolution=resolution,
        acknowledged_at_ms=fault.acknowledged_at_ms or now_ms,
        acknowledged_by=fault.acknowledged_by or actor,
    )
    return done, FaultEvent(
        fault.id, now_ms, fault.state, State.CLOSED, Why.CLOSED, actor=actor, note=note
    )
