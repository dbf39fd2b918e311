"""The service ledger in words: what is due next, and all steps with their limits."""

from dataclasses import dataclass

from api.instants import when
from api.words import Language, countdown, duration, say
from devices.catalogue import RULES
from devices.faults import Fault, State
from devices.rules import Party
from devices.sla import UNMENDED, Clock, Ledger, Step, StepName, Verdict

SOON_S = 5 * 60
_DUE = {
    StepName.ACKNOWLEDGED: "sla_ack",
    StepName.ONSITE: "sla_onsite",
    StepName.VERIFIED: "sla_mend",
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """What is to be done by when, in words. kind: ok, soon, over, paused. used: tenths, 0 to 10."""

    kind: str
    text: str
    used: int


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step. kind: done, late, over, open, none. limit: what there is to say of its limit."""

    name: str
    kind: str
    at: str
    by: str
    limit: str


def deadline(language: Language, fault: Fault, one: Ledger | None, now_ms: int) -> Deadline | None:
    """What is due next; None where no clock runs."""
    if one is None or fault.state is State.CLOSED or one.clock is Clock.NONE:
        return None
    if one.clock is Clock.PAUSED:
        return Deadline("paused", say(language, "sla_paused", why=say(language, "sla_held")), 0)
    step = one.next
    if step is None or step.due_ms is None:
        return _unmended(language, fault)
    left_s = (step.due_ms - now_ms) / 1000
    what = say(language, _DUE[step.name])
    if step.verdict is Verdict.OVERDUE:
        late = say(language, "sla_over", what=what, late=duration(language, -left_s))
        return Deadline("over", late, 10)
    begun_ms = one.step(StepName.DETECTED).at_ms or fault.opened_at_ms
    within_s = max(1.0, (step.due_ms - begun_ms) / 1000)
    used = round(10 * min(1.0, max(0.0, 1 - left_s / within_s)))
    text = say(language, "sla_left", what=what, left=_left(language, left_s))
    return Deadline("soon" if left_s < SOON_S else "ok", text, used)


def step_lines(language: Language, one: Ledger, now_ms: int) -> list[StepLine]:
    """All steps of the ledger, in their order."""
    return [_step_line(language, step, now_ms) for step in one.steps]


def notes(language: Language, one: Ledger) -> list[str]:
    """What else the ledger says of a fault."""
    found = []
    if one.rounds > 1:
        found.append(say(language, "sla_rounds", n=one.rounds))
    if one.reopened:
        found.append(say(language, "sla_reopened", n=one.reopened))
    if one.by_hand:
        found.append(say(language, "sla_by_hand"))
    if one.clock is Clock.NONE:
        found.append(say(language, "sla_no_clock"))
    if one.pauses:
        found.append(say(language, "sla_pauses", n=len(one.pauses)))
    return found


def _unmended(language: Language, fault: Fault) -> Deadline | None:
    """Of what nobody here can mend: on whom it waits."""
    rule = RULES.get(fault.code)
    if rule is None or fault.code not in UNMENDED or rule.party not in (Party.GRID, Party.NETWORK):
        return None
    why = say(language, f"sla_{rule.party}")
    return Deadline("paused", say(language, "sla_paused", why=why), 0)


def _step_line(language: Language, step: Step, now_ms: int) -> StepLine:
    at = "" if step.at_ms is None else when(step.at_ms, now_ms)
    kind = "done" if step.at_ms is not None else "none"
    limit = ""
    if step.verdict is not None and step.due_ms is not None:
        due = when(step.due_ms, now_ms)
        late_s = ((step.at_ms or now_ms) - step.due_ms) / 1000
        match step.verdict:
            case Verdict.MET:
                limit = say(language, "sla_due", due=due)
            case Verdict.LATE:
                kind = "late"
                word = "sla_was_late" if step.at_ms is not None else "sla_was_missed"
                limit = say(language, word, due=due, late=duration(language, max(0.0, late_s)))
            case Verdict.OVERDUE:
                kind = "over"
                limit = say(language, "sla_is_over", due=due, late=duration(language, late_s))
            case Verdict.RUNNING:
                kind = "open"
                left = _left(language, -late_s)
                limit = say(language, "sla_runs", due=due, left=left)
            case Verdict.NOT_NEEDED:
                limit = say(language, "sla_not_needed")
    return StepLine(say(language, f"step_{step.name}"), kind, at, step.by or "", limit)


def _left(language: Language, left_s: float) -> str:
    return countdown(left_s) if left_s < 3600 else duration(language, left_s)
