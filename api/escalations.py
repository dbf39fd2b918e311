"""What happens to faults that nobody answers, by class; as a firm, or the district, wants it."""

from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from api import shapes
from api.compounds import check_firm
from api.errors import BadParameter
from api.identity import Actor, Identity, Reader
from api.instants import print_known
from api.parts import Parts, PartsOf
from devices.escalation import (
    AFTER_S,
    EVERY_S,
    GROUPS,
    REMINDERS_AT_MOST,
    STEPS_AT_MOST,
    Policy,
    Step,
    To,
    policy_for,
)
from devices.rules import Severity
from devices.store.database import reading, writing
from devices.store.escalations import change_policy, forget_policy, policies
from devices.store.rosters import UnknownPerson, UnknownRoster, find_person, find_roster
from devices.store.targets import UnknownTarget, find_target

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)

Whose = Annotated[
    str | None, Query(description="Of this firm; the district's if left out. A firm sees its own.")
]


@router.get("/escalations")
def list_all(parts: PartsOf, who: Reader, firm: Whose = None) -> shapes.alerts.Escalations:
    """What holds for a firm, one policy a class: its own, else the district's, else the default."""
    with reading(parts.deps.engine) as connection:
        whose = _whose(connection, parts, who, firm)
        changed = policies(connection)
    found = [policy_for(severity, whose, changed) for severity in Severity]
    return shapes.alerts.Escalations(items=[shape(policy) for policy in found], next_cursor=None)


@router.put("/escalations/{severity}", responses=shapes.refusals.TOO_MANY)
def replace_policy(
    parts: PartsOf, who: Actor, severity: Severity, body: shapes.alerts.NewEscalation
) -> shapes.alerts.Escalation:
    """Escalate faults of this class so from now on; also those that wait for an answer already."""
    now_ms = parts.now_ms()
    with writing(parts.deps.engine) as connection:
        whose = _whose(connection, parts, who, body.firm)
        policy = Policy(
            severity=severity,
            steps=_steps(connection, who, whose, severity, body.steps, now_ms),
            remind_every_s=_every_s(body.remind_every_s),
            reminders=_within("reminders", body.reminders, (0, REMINDERS_AT_MOST)),
            firm=whose,
            changed_by=who.name,
            changed_at_ms=now_ms,
        )
        change_policy(connection, policy, now_ms)
    return shape(policy)


@router.delete("/escalations/{severity}", status_code=204, responses=shapes.refusals.TOO_MANY)
def remove_policy(parts: PartsOf, who: Actor, severity: Severity, firm: Whose = None) -> Response:
    """Escalate them again as the district does, or by default. Once more, and it is so still."""
    with writing(parts.deps.engine) as connection:
        whose = _whose(connection, parts, who, firm)
        forget_policy(connection, whose, severity, parts.now_ms())
    return Response(status_code=204)


def shape(policy: Policy) -> shapes.alerts.Escalation:
    return shapes.alerts.Escalation(
        severity=policy.severity.value,
        firm=policy.firm,
        steps=[
            shapes.alerts.EscalationStep(
                after_s=step.after_s,
                to=step.to.value,
                id=step.id or None,
                working=step.is_working,
            )
            for step in policy.steps
        ],
        remind_every_s=policy.remind_every_s,
        reminders=policy.reminders,
        changed_by=policy.changed_by,
        changed_at=print_known(policy.changed_at_ms),
    )


def _whose(connection: Connection, parts: Parts, who: Identity, firm: str | None) -> str | None:
    check_firm(parts.registry.get(connection).directory, who, firm)
    return firm if who.scope.firm is None else who.scope.firm


def _steps(
    connection: Connection,
    who: Identity,
    firm: str | None,
    severity: Severity,
    wanted: list[shapes.alerts.EscalationStep],
    now_ms: int,
) -> tuple[Step, ...]:
    if len(wanted) > STEPS_AT_MOST:
        raise BadParameter("steps", f"{STEPS_AT_MOST} levels at most")
    if severity is Severity.P1 and not wanted:
        raise BadParameter("steps", "a P1 that nobody answers goes to somebody: one level at least")
    for before, after in pairwise(wanted):
        if after.after_s <= before.after_s or after.working != before.working:
            raise BadParameter(
                "steps", "each level is later than the one before, by the same kind of time"
            )
    for step in wanted:
        _within("steps.after_s", step.after_s, AFTER_S)
        _check_whom(connection, who, firm, step, now_ms)
    return tuple(Step(step.after_s, To(step.to), step.id or "", step.working) for step in wanted)


def _check_whom(
    connection: Connection,
    who: Identity,
    firm: str | None,
    step: shapes.alerts.EscalationStep,
    now_ms: int,
) -> None:
    """Raise BadParameter where a step leads to nobody whom this policy may name."""
    to = To(step.to)
    if to in GROUPS:
        if step.id is not None:
            raise BadParameter("steps.id", f"goes with a target, person or roster, not with {to}")
        return
    try:
        owner = _owner(connection, who, to, step.id or "", now_ms)
    except (UnknownTarget, UnknownPerson, UnknownRoster) as error:
        raise BadParameter("steps.id", f"is no {to} that you see") from error
    if owner not in (None, firm):
        raise BadParameter(
            "steps.id", f"this {to} is {owner}'s: make it a level of that firm's policy"
        )


def _owner(connection: Connection, who: Identity, to: To, name: str, now_ms: int) -> str | None:
    """Whose it is; raises UnknownTarget, UnknownPerson, UnknownRoster."""
    if to is To.ROSTER:
        return find_roster(connection, who.scope, name, now_ms).firm
    if to is To.PERSON:
        return find_person(connection, who.scope, name).firm
    return find_target(connection, who.scope, name).firm


def _every_s(every_s: int | None) -> int | None:
    return None if every_s is None else _within("remind_every_s", every_s, EVERY_S)


def _within(name: str, value: int, limits: tuple[int, int]) -> int:
    least, most = limits
    if not least <= value <= most:
        raise BadParameter(name, f"{least} to {most}")
    return value
