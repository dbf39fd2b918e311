"""Tells others of faults that nobody answers, and again of safety faults that stand.

    1. take the calls that are due, and look at their faults as they are now
    2. nobody need answer any more: the call ends; held, or at its end: it is looked at again later
    3. the next level is due: write the event and its deliveries, and how far the call has come, in
       one transaction; so too the next reminder

Killed anywhere, a level is told once: what is written has its deliveries, what is not is due still.
"""

from collections.abc import Mapping
from dataclasses import replace

import structlog
from sqlalchemy import Connection, Engine

from alerts.ports import Clock
from devices.alerts import Directory
from devices.escalation import (
    Call,
    Policy,
    is_answered,
    is_held,
    next_look_ms,
    policy_for,
    reached,
    reminder_due_ms,
    step_due_ms,
)
from devices.escalation import (
    Clock as CallClock,
)
from devices.faults import FaultEvent, Why
from devices.store import escalations
from devices.store.database import answering, reading, writing
from devices.store.deliveries import told
from devices.store.escalations import Policies, Waiting
from devices.store.failpoints import failpoint
from devices.store.targets import directory

CALLS_AT_ONCE = 50
HELD_FOR_MS = 15 * 60_000  # a call that is held is looked at again after its step's delay, or this
WAITS_ON_MS = 86_400_000  # one that has come to its end is looked at again: was it answered?

log = structlog.get_logger()


class Escalator:
    """Raises DatabaseAway."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def step(self) -> int:
        """Look at some calls that are due; how many there were."""
        now_ms = self._clock()
        with answering(), reading(self._engine) as connection:
            if not escalations.is_any_due(connection, now_ms):
                return 0  # a transaction that may write would hold up the judge for nothing
        with answering(), writing(self._engine) as connection:
            due = escalations.due(connection, now_ms, CALLS_AT_ONCE)
            if not due:
                return 0
            turn = _Turn(
                connection,
                escalations.policies(connection),
                directory(connection, now_ms),
                escalations.first_told_ms(connection, [one.call for one in due]),
                told(connection, {one.fault.id for one in due}),
                now_ms,
            )
            for one in due:
                turn.look(one)
            escalations.end(connection, turn.ended)
            failpoint("A6")
        return len(due)


class _Turn:
    """One transaction: what is known in it, and the calls that end with it."""

    def __init__(
        self,
        connection: Connection,
        policies: Policies,
        standing: Directory,
        told_ms: Mapping[str, int],
        told: Mapping[str, Mapping[str, str | None]],
        now_ms: int,
    ) -> None:
        self._connection = connection
        self._policies = policies
        self._standing = standing
        self._told_ms = told_ms
        self._told = {fault: dict(known) for fault, known in told.items()}
        self._now_ms = now_ms
        self.ended: list[str] = []

    def look(self, one: Waiting) -> None:
        """Do what is due of it."""
        if is_answered(one.fault):
            self.ended.append(one.fault.id)
            return
        policy = policy_for(one.fault.severity, one.site.firm, self._policies)
        if is_held(one.fault):
            delays = (step.after_s * 1000 for step in policy.steps[one.call.level :])
            wait_ms = next(delays, HELD_FOR_MS)
            escalations.looked_at(self._connection, one.call, self._now_ms + wait_ms)
            return
        call = self._escalate(one, policy, self._settled(one, policy))
        call = self._remind(one, policy, call)
        next_ms = next_look_ms(policy, one.fault, call, self._clock(one))
        if next_ms is None:  # it waits on for an answer: what comes and goes keeps its clock
            next_ms = self._now_ms + WAITS_ON_MS
        escalations.looked_at(self._connection, call, next_ms)

    def _settled(self, one: Waiting, policy: Policy) -> Call:
        """With its clock: it runs since somebody was told; or, if the first thing is due and nobody
        has been, since they were to be."""
        if one.call.from_ms is not None:
            return one.call
        told_ms = self._told_ms.get(one.fault.id)
        if told_ms is not None:
            return replace(one.call, from_ms=told_ms)
        first_ms = next_look_ms(policy, one.fault, one.call, self._clock(one))
        if first_ms is not None and first_ms <= self._now_ms:
            return replace(one.call, from_ms=one.call.called_ms)
        return one.call

    def _escalate(self, one: Waiting, policy: Policy, call: Call) -> Call:
        """Take the steps that are due; one that reaches nobody who can be told takes the next one
        with it."""
        if call.from_ms is None:
            return call
        clock = self._clock(one)
        known = self._told.setdefault(one.fault.id, {})
        is_reached = True
        while True:
            due_ms = step_due_ms(policy, call.level, call.from_ms, clock)
            if due_ms is None or (is_reached and due_ms > self._now_ms):
                return call
            step, level = policy.steps[call.level], call.level + 1
            call = replace(call, level=level)
            found = reached(step, level, one.fault, one.site, self._standing, known, self._now_ms)
            is_reached = any(self._standing.targets[name].broken is None for name in found)
            if found:
                evidence = {"level": level, "unanswered_s": self._waited_s(call)}
                self._tell(one, Why.ESCALATED, evidence, found)
                known |= found
                log.info("escalated", fault=one.fault.id, level=level, targets=len(found))

    def _remind(self, one: Waiting, policy: Policy, call: Call) -> Call:
        if call.from_ms is None:
            return call
        due_ms = reminder_due_ms(policy, one.fault, call, call.from_ms)
        if due_ms is None or due_ms > self._now_ms:
            return call
        call = replace(call, reminders=call.reminders + 1, reminded_ms=self._now_ms)
        behind = escalations.behind(self._connection, one.fault.id)
        targets = self._standing.targets
        found = {
            name: person
            for name, person in sorted(self._told.get(one.fault.id, {}).items())
            if name not in behind
            and name in targets
            and targets[name].firm in (None, one.site.firm)
        }
        if found:
            evidence = {"reminder": call.reminders, "unanswered_s": self._waited_s(call)}
            self._tell(one, Why.REMINDED, evidence, found)
        return call

    def _clock(self, one: Waiting) -> CallClock:
        return CallClock(one.site.zone, self._standing.calendar)

    def _waited_s(self, call: Call) -> int:
        return (self._now_ms - (call.from_ms or call.called_ms)) // 1000

    def _tell(
        self,
        one: Waiting,
        why: Why,
        evidence: Mapping[str, object],
        found: Mapping[str, str | None],
    ) -> None:
        state = one.fault.state
        event = FaultEvent(one.fault.id, self._now_ms, state, state, why, evidence=evidence)
        escalations.tell(self._connection, one, event, found, self._now_ms)
