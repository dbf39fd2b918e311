"""The life of a fault: pure transitions, each giving the fault as it becomes and what to record.

States: `open → acknowledged → closed`, and `cleared` for a fault of the safety tier whose condition
is over but which a person must still answer. Suppressed, shelved and in maintenance lie on top and
never change the state; neither does flapping, which only keeps a fault open for longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from hashlib import sha256
from operator import attrgetter

from devices.impact import class_rank
from devices.rules import Rule, Severity

PLATFORM = "platform"
SYSTEM = "system"  # the actor when no person acted
FALSE_ALARM = "false_alarm"  # the resolution of a fault that was none
# design.md §3: raised again so soon after its close, it is the same fault; raised so often within
# that time, it flaps, and stays open until it was quiet for as long
REOPENS_WITHIN_MS = 10 * 60 * 1000
FLAPS_FROM = 3
TOLD_WITHIN_MS = 60 * 60 * 1000  # within it people are told of two raises of one fault
REPEATS_WITHIN_MS = 7 * 86_400_000  # a new fault so long after the one before it is a repeat
SHELVED_AT_MOST_MS = 31 * 86_400_000


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
    EASED = "eased"  # it is less bad than it was, and not over
    OVER = "over"  # its condition is over
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    CLOSED = "closed"  # by a person
    SHELVED = "shelved"
    UNSHELVED = "unshelved"  # by a person
    SHELF_ENDED = "shelf_ended"  # its time is up
    MAINTENANCE_ENDED = "maintenance_ended"  # the window that held its notices is over
    ONSITE = "onsite"
    REPAIRED = "repaired"
    CONFIRMED = "confirmed"  # what was suspected is so
    SUPPRESSED = "suppressed"  # a root cause explains it
    RELEASED = "released"  # its root is over, and it still stands: from now on for itself
    RECLASSIFIED = "reclassified"  # another cause stood behind it than it was taken for
    RETIRED = "retired"  # its device is no longer what it was, or where it was
    HISTORY_ENDS = "history_ends"  # the back-filled history ends while it is open
    ESCALATED = "escalated"  # nobody has answered it, so others are told
    REMINDED = "reminded"  # of the safety tier, and still unanswered: it is told again


class Held(StrEnum):
    """Why nobody is told of an event that people would be told of otherwise."""

    SUSPECTED = "suspected"  # a guess, which a person confirms or refutes
    FLAPPING = "flapping"  # they were told twice
    MAINTENANCE = "maintenance"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"  # a root cause explains it: people are told of that


# Of these people are told, unless the event is held; of the others they may be, as news of a fault
# that they know.
NOTICED = frozenset(
    {
        Why.RAISED,
        Why.REOPENED,
        Why.WORSENED,
        Why.CONFIRMED,
        Why.SHELF_ENDED,
        Why.MAINTENANCE_ENDED,
        Why.RELEASED,
    }
)

# These change nothing: people are told once more, because nobody has answered.
RETOLD = frozenset({Why.ESCALATED, Why.REMINDED})


class FaultMoved(Exception):
    """Somebody was faster: the fault is no longer in the state that the move starts from.

    Or it is of a kind that the move is not for; the text says which, and why.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one subject (a device, a compound or `platform`); times are UTC epoch ms.

    since_ms: when its condition began (event time). opened_at_ms: when we raised it.
    late: it came out of replayed data. evidence: the values that showed it.
    raises_ms: when it was raised since it was quiet or closed by a person, the newest three; of one
    that flaps the three that began it, and the newest. flaps: how often its condition ended and
    came back. repeat_of: the fault before it of this subject and code. maintenance: the window that
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

    notice_at_ms: nobody is told of it before; None: at once. held: why nobody is told of it at all;
    None: people are, if its reason is one of NOTICED.
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
    held: Held | None = None


Move = tuple[Fault, FaultEvent]

_NAMES = tuple(one.name for one in fields(Fault))
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_values = attrgetter(*_NAMES)


def altered(fault: Fault, **changes: object) -> Fault:
    """`replace` for when a whole district falls silent: 8 µs instead of 18."""
    values = list(_values(fault))
    for name, value in changes.items():
        values[_PLACES[name]] = value
    return Fault(*values)


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
    explained_by: tuple[str, str] | None = None,
) -> Move:
    """A new fault, open. kind: of the device, where the rule is one for any.

    explained_by: the fault, by id and code, of a root cause that stands already and explains it:
    then it is born suppressed, and nobody is told. Raises FaultMoved for a safety fault, which
    nothing hides.
    """
    if explained_by is not None and safety:
        raise FaultMoved(f"{rule.code} of {subject} is a safety fault, which no root cause hides")
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
        raises_ms=(now_ms,),
        rank=class_rank(severity, safety=safety, suspected=rule.suspected),
        suppressed_by=None if explained_by is None else explained_by[0],
    )
    if explained_by is not None:
        evidence = {**evidence, "suppressed_by": explained_by[0], "root": explained_by[1]}
    return fault, FaultEvent(
        fault.id, now_ms, None, State.OPEN, Why.RAISED, evidence=evidence, held=why_held(fault)
    )


def reopen(
    fault: Fault,
    severity: Severity,
    safety: bool,
    now_ms: int,
    evidence: Mapping[str, object],
    notice_delay_ms: int = 0,
) -> Move:
    """The condition of a cleared, or just closed, fault is back: the same fault, once more.

    Also if it was first seen in replayed data: now it is live. People are told twice within an
    hour; from the third time within ten minutes on it flaps. What was quiet for ten minutes, or
    closed by a person, is counted anew. What explained it last time need not now. One that
    was acknowledged is opened again by an event that only a person ends. notice_delay_ms: nobody
    was told of it when it stood for less. Raises FaultMoved for one that is open.
    """
    if fault.state is State.OPEN:
        raise FaultMoved(f"fault {fault.id} is open, so it cannot come back")
    was_closed_by_hand = fault.state is State.CLOSED and fault.cleared_at_ms is None
    is_anew = not fault.safety and (is_flapping(fault) or was_closed_by_hand)
    raises_ms = () if is_anew else fault.raises_ms
    again = replace(
        fault,
        state=State.OPEN,
        suppressed_by=None,
        late=False,
        severity=severity,
        safety=safety or fault.safety,
        acknowledged_at_ms=None,
        acknowledged_by=None,
        cleared_at_ms=None,
        closed_at_ms=None,
        resolution=None,
        occurrences=fault.occurrences + 1,
        flaps=fault.flaps + 1,
        evidence=evidence,
        raises_ms=(*raises_ms, now_ms)[-FLAPS_FROM:],
        maintenance=None,
        onsite_at_ms=None,
        repaired_at_ms=None,
        rank=_rank_at_least(fault, severity, safety=safety or fault.safety),
    )
    # Of one that was hidden when it last stood nobody knows yet, however often it has flapped.
    stood_ms = (fault.cleared_at_ms or now_ms) - max(fault.raises_ms, default=fault.opened_at_ms)
    was_hidden = (
        fault.maintenance is not None
        or fault.suppressed_by is not None
        or stood_ms < notice_delay_ms
    )
    damped = _raised_within(again, TOLD_WITHIN_MS) and not again.safety and not was_hidden
    return again, FaultEvent(
        fault.id,
        now_ms,
        fault.state,
        State.OPEN,
        Why.REOPENED,
        evidence=evidence,
        held=why_held(again) or (Held.FLAPPING if damped else None),
    )


def is_flapping(fault: Fault) -> bool:
    """Whether it was raised three times within ten minutes.

    Then it stays open until its condition was away for as long. One of the safety tier stays open
    until somebody acknowledges it: it is not damped, and people are told each time it opens.
    """
    return _raised_within(fault, REOPENS_WITHIN_MS)


def came_back(fault: Fault, now_ms: int, evidence: Mapping[str, object]) -> Fault:
    """The condition of a flapping fault, which stayed open, is back: that is counted, not told."""
    return replace(
        fault,
        occurrences=fault.occurrences + 1,
        flaps=fault.flaps + 1,
        evidence=evidence,
        raises_ms=(*fault.raises_ms[:FLAPS_FROM], now_ms),
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

    An acknowledged fault is open again, and a shelved one is back: who answered, or shelved, a P2
    has not answered a P1. A window that held it holds it on (`hold`) only if it covers it as it is
    now. Raises FaultMoved for one that is over.
    """
    _check_stands(fault)
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
        suppressed_by=None if safety or fault.safety else fault.suppressed_by,
        shelved_until_ms=None,
        maintenance=None,
        evidence=evidence,
        rank=_rank_at_least(fault, worst, safety=safety or fault.safety),
    )
    return worse, FaultEvent(
        fault.id,
        now_ms,
        fault.state,
        State.OPEN,
        Why.WORSENED,
        evidence=evidence,
        held=why_held(worse),
    )


def ease(fault: Fault, severity: Severity, now_ms: int, evidence: Mapping[str, object]) -> Move:
    """It still stands, and is less bad: whoever answered the worse has answered this.

    For conditions that we measure ourselves. Raises FaultMoved for one that is over.
    """
    _check_stands(fault)
    eased = replace(fault, severity=severity, evidence=evidence)
    return eased, FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.EASED, evidence=evidence
    )


def end(fault: Fault, now_ms: int, evidence: Mapping[str, object] | None = None) -> Move:
    """The condition is over. A safety fault that nobody answered waits, cleared, for a person.

    Raises FaultMoved if it is over already.
    """
    _check_stands(fault)
    becomes = State.CLEARED if fault.safety and fault.state is State.OPEN else State.CLOSED
    over = replace(
        fault,
        state=becomes,
        cleared_at_ms=now_ms,
        closed_at_ms=now_ms if becomes is State.CLOSED else None,
        shelved_until_ms=None,
    )
    return over, FaultEvent(fault.id, now_ms, fault.state, becomes, Why.OVER, evidence=evidence)


def retire(fault: Fault, now_ms: int, why: str) -> Move:
    """Its device was taken out of service, moved away or became another kind: `why` says which.

    A safety fault that nobody answered waits, cleared, for a person, as ever.
    """
    over, event = end(fault, now_ms, {"reason": why})
    return replace(over, resolution=why), replace(event, reason=Why.RETIRED)


def end_history(fault: Fault, now_ms: int) -> Move:
    """A back-filled history ends, and its faults with it: nobody is asked about the past.

    Raises FaultMoved for a closed one.
    """
    if fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is closed already")
    over = replace(
        fault,
        state=State.CLOSED,
        closed_at_ms=now_ms,
        resolution=Why.HISTORY_ENDS.value,
        shelved_until_ms=None,
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
        shelved_until_ms=None if becomes is State.CLOSED else fault.shelved_until_ms,
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
        shelved_until_ms=None,
    )
    return done, FaultEvent(
        fault.id, now_ms, fault.state, State.CLOSED, Why.CLOSED, actor=actor, note=note
    )


def shelve(fault: Fault, until_ms: int, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person puts it aside until then; shelved already, it has the new time.

    Raises FaultMoved for a closed fault, and for one of the safety tier or of our own, which nobody
    may put aside; ValueError for a time that is not to come, or too far off.
    """
    if fault.safety:
        raise FaultMoved(
            f"fault {fault.id} is a safety fault, which cannot be shelved: it stands until it is "
            "over and somebody has acknowledged it"
        )
    if fault.kind == PLATFORM:
        raise FaultMoved(
            f"fault {fault.id} is our own, which cannot be shelved: it is over when it is over"
        )
    if fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is closed, so there is nothing to shelve")
    if not now_ms < until_ms <= now_ms + SHELVED_AT_MOST_MS:
        raise ValueError("a fault is shelved until a time within the next 31 days")
    evidence = {"until_ms": until_ms}
    return replace(fault, shelved_until_ms=until_ms), FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.SHELVED, actor, note, evidence
    )


def unshelve(fault: Fault, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person takes it back before its time. Raises FaultMoved if it is not shelved."""
    if fault.shelved_until_ms is None:
        raise FaultMoved(f"fault {fault.id} is not shelved")
    return replace(fault, shelved_until_ms=None), FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.UNSHELVED, actor, note
    )


def end_shelf(fault: Fault, now_ms: int) -> Move:
    """It was shelved until now, and still stands. Raises FaultMoved if it is not shelved."""
    if fault.shelved_until_ms is None:
        raise FaultMoved(f"fault {fault.id} is not shelved")
    back = replace(fault, shelved_until_ms=None)
    return back, FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.SHELF_ENDED, held=why_held(back)
    )


def suppress(fault: Fault, root: str, code: str, now_ms: int) -> Move:
    """A root cause, a fault of that id and code, explains it: it is recorded, and nobody is told.

    Of a closed one it is only noted what stood behind it. Raises FaultMoved for a safety fault,
    which nothing hides.
    """
    if fault.safety:
        raise FaultMoved(f"fault {fault.id} is a safety fault, which no root cause hides")
    why = Why.RECLASSIFIED if fault.state is State.CLOSED else Why.SUPPRESSED
    evidence = {"suppressed_by": root, "root": code}
    return altered(fault, suppressed_by=root), FaultEvent(
        fault.id, now_ms, fault.state, fault.state, why, evidence=evidence
    )


def release(fault: Fault, now_ms: int, notice_at_ms: int | None = None) -> Move:
    """Its root is over and it still stands: now it is a fault of its own, and people are told.

    Raises FaultMoved if no root explains it, or it is closed.
    """
    if fault.suppressed_by is None or fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is {fault.state}, and no root cause explains it")
    free = replace(fault, suppressed_by=None)
    return free, FaultEvent(
        fault.id,
        now_ms,
        fault.state,
        fault.state,
        Why.RELEASED,
        evidence={"suppressed_by": fault.suppressed_by},
        notice_at_ms=notice_at_ms,
        held=why_held(free),
    )


def hold(move: Move, window: str) -> Move:
    """The same move in the time of a maintenance window: recorded, and nobody is told."""
    fault, event = move
    held = event.held or Held.MAINTENANCE
    return replace(fault, maintenance=window), replace(event, held=held)


def end_maintenance(fault: Fault, now_ms: int) -> Move:
    """The window that held its notices is over, and it still stands: now people are told.

    Raises FaultMoved if none held them, or it is closed.
    """
    if fault.maintenance is None or fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is {fault.state}, and nothing is held of it")
    free = replace(fault, maintenance=None)
    evidence = {"maintenance": fault.maintenance}
    return free, FaultEvent(
        fault.id,
        now_ms,
        fault.state,
        fault.state,
        Why.MAINTENANCE_ENDED,
        evidence=evidence,
        held=why_held(free),
    )


def arrive(fault: Fault, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person is on site, and has thereby seen it. Raises FaultMoved: closed, or there already."""
    if fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is closed, so nobody need go there")
    if fault.onsite_at_ms is not None:
        raise FaultMoved(f"somebody is on site for fault {fault.id} already")
    there = replace(_seen(fault, actor, now_ms), onsite_at_ms=now_ms)
    return there, FaultEvent(
        fault.id, now_ms, fault.state, there.state, Why.ONSITE, actor=actor, note=note
    )


def repair(fault: Fault, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person has repaired it; what the device says then closes it. Raises FaultMoved."""
    if fault.state is State.CLOSED:
        raise FaultMoved(f"fault {fault.id} is closed, so there is nothing to repair")
    if fault.repaired_at_ms is not None:
        raise FaultMoved(f"fault {fault.id} was repaired already")
    done = replace(_seen(fault, actor, now_ms), repaired_at_ms=now_ms)
    return done, FaultEvent(
        fault.id, now_ms, fault.state, done.state, Why.REPAIRED, actor=actor, note=note
    )


def confirm(fault: Fault, actor: str, now_ms: int, note: str | None = None) -> Move:
    """A person has looked: what was suspected is so, and from now on a fault like any other.

    It stays open, for whoever is responsible has not answered yet. Raises FaultMoved.
    """
    if fault.state is State.CLOSED or not fault.suspected:
        what = "closed" if fault.state is State.CLOSED else "not suspected, it is certain"
        raise FaultMoved(f"fault {fault.id} is {what}, so there is nothing to confirm")
    sure = replace(fault, suspected=False, confirmed_at_ms=now_ms)
    return sure, FaultEvent(
        fault.id, now_ms, fault.state, fault.state, Why.CONFIRMED, actor, note, held=why_held(sure)
    )


def _check_stands(fault: Fault) -> None:
    if fault.state not in (State.OPEN, State.ACKNOWLEDGED):
        raise FaultMoved(f"fault {fault.id} is {fault.state}: its condition is over already")


def _seen(fault: Fault, actor: str, now_ms: int) -> Fault:
    """An open fault is acknowledged by whoever does something about it."""
    if fault.state is not State.OPEN:
        return fault
    return replace(
        fault, state=State.ACKNOWLEDGED, acknowledged_at_ms=now_ms, acknowledged_by=actor
    )


def _raised_within(fault: Fault, within_ms: int) -> bool:
    """Whether its three raises fit into this time; of one that flaps, those that began it."""
    raises = fault.raises_ms[:FLAPS_FROM]
    return len(raises) == FLAPS_FROM and raises[-1] - raises[0] <= within_ms


def why_held(fault: Fault) -> Held | None:
    """Why nobody is to be told of what a fault has just become."""
    if fault.suspected:
        return Held.SUSPECTED
    if fault.suppressed_by is not None:
        return Held.SUPPRESSED
    if fault.maintenance is not None:
        return Held.MAINTENANCE
    return Held.SHELVED if fault.shelved_until_ms is not None else None


def _rank_at_least(fault: Fault, severity: Severity, *, safety: bool) -> float:
    """It comes up in the list at once; what it takes away is counted with the next tick."""
    return max(fault.rank, class_rank(severity, safety=safety, suspected=fault.suspected))
