"""The console's page of escalation: who is told next while nobody answers, by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api import escalations, shapes
from api.compounds import check_firm
from api.console.alert_pages import Names, firms_of, led_to, may_act
from api.console.form_refusals import NOTHING, REFUSALS, Said, refused, say_done
from api.console.pages import Page, PageOf
from api.errors import BadParameter
from api.identity import Actor, Identity, Reader
from api.parts import Parts, PartsOf
from api.words import Language, duration, named, say
from devices.escalation import GROUPS, STEPS_AT_MOST
from devices.rules import Severity
from devices.store.database import reading

router = APIRouter(include_in_schema=False)

NEW_STEPS = 2  # empty lines in a form
MINUTE_S = 60

MinutesOf = Annotated[list[str], Form(max_length=STEPS_AT_MOST + NEW_STEPS)]
WordOf = Annotated[str, Form(max_length=200)]
BoxOf = Annotated[str, Form(pattern="^(on)?$")]
DoneOf = Annotated[str, Query(pattern="^(saved)?$")]


@router.get("/alerts/escalations")
def escalations_page(
    parts: PartsOf, who: Reader, page: PageOf, firm: str = "", done: DoneOf = ""
) -> Response:
    """What holds for a firm, or for the district, by class."""
    return _page(parts, who, page, firm, said=say_done(page, done and "du_saved"))


@router.post("/alerts/escalations")
def change(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    severity: Severity = Form(),
    firm: WordOf = "",
    after: MinutesOf = [],  # noqa: B006 - FastAPI copies it
    whom: MinutesOf = [],  # noqa: B006
    working: BoxOf = "",
    remind: WordOf = "",
    back: BoxOf = "",
) -> Response:
    """These levels from now on; with `back` those of the district, or the default, again."""
    try:
        if back:
            escalations.remove_policy(parts, who, severity, firm or None)
        else:
            body = shapes.alerts.NewEscalation(
                firm=firm or None,
                steps=_steps(after, whom, working == "on"),
                remind_every_s=_seconds(remind) if remind.strip() else None,
            )
            escalations.replace_policy(parts, who, severity, body)
    except REFUSALS as error:
        return _page(parts, who, page, firm, said=refused(page, error))
    return RedirectResponse(f"/alerts/escalations?done=saved&firm={firm}", 303)


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A class in words. steps: minutes, whom as the form names them, both in words."""

    severity: str
    word: str
    steps: Sequence[tuple[str, str, str]]
    remind: str
    remind_min: str
    is_working: bool
    is_own: bool
    since: str


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    firm: str,
    *,
    said: Said = NOTHING,
) -> Response:
    language = page.language
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
        check_firm(known.directory, who, firm or None)
        names = led_to(connection, language, known, who, parts.now_ms())
    found = escalations.list_all(parts, who, firm or None)
    whose = who.scope.firm or firm or None
    return page.render(
        "alert_escalations.html",
        said.status,
        who=who,
        policies=[_line(language, one, names, whose) for one in found.items],
        firms=firms_of(language, who, known),
        firm=firm,
        whose=say(language, "al_district") if whose is None else named(
            language, known.directory.firms[whose]
        ),
        groups=[(one.value, say(language, f"es_{one}")) for one in sorted(GROUPS)],
        choices=[(f"{what}:{id_}", name) for (what, id_), name in names.items()],
        blank=[("", "", "")] * NEW_STEPS,
        may_act=may_act(who),
        said=said,
    )  # fmt: skip


def _line(
    language: Language, policy: shapes.alerts.Escalation, names: Names, whose: str | None
) -> PolicyLine:
    steps = []
    for step in policy.steps:
        whom = step.to if step.id is None else f"{step.to}:{step.id}"
        name = say(language, f"es_{step.to}") if step.id is None else ""
        name = name or names.get((step.to, step.id or ""), step.id or "")
        word = "es_after_working" if step.working else "es_after"
        told = say(language, word, age=duration(language, step.after_s), whom=name)
        steps.append((f"{step.after_s / MINUTE_S:g}", whom, told))
    remind, every_s = "", policy.remind_every_s
    if every_s is not None:
        remind = say(language, "es_remind", age=duration(language, every_s), n=policy.reminders)
    is_own = policy.changed_by is not None and policy.firm == whose
    since = say(language, "es_default")
    if policy.changed_by is not None:
        since = policy.changed_by if is_own else say(language, "es_of_district")
    return PolicyLine(
        severity=policy.severity,
        word=say(language, policy.severity.lower()),
        steps=steps,
        remind=remind,
        remind_min="" if every_s is None else f"{every_s / MINUTE_S:g}",
        is_working=any(step.working for step in policy.steps),
        is_own=is_own,
        since=since,
    )


def _steps(
    after: Sequence[str], whom: Sequence[str], working: bool
) -> list[shapes.alerts.EscalationStep]:
    """A line each: minutes and whom; lines without minutes fall out."""
    found = []
    for minutes, to in zip(after, whom, strict=False):
        if not minutes.strip():
            continue
        what, _, id_ = to.partition(":")
        step = {"after_s": _seconds(minutes), "to": what, "id": id_ or None, "working": working}
        try:
            found.append(shapes.alerts.EscalationStep.model_validate(step))
        except ValidationError as error:
            raise BadParameter("steps", f"{to[:60]!r} is nobody to tell") from error
    return found


def _seconds(minutes: str) -> int:
    try:
        return round(float(minutes) * MINUTE_S)
    except (ValueError, OverflowError) as error:
        raise BadParameter("minutes", f"{minutes[:20]!r} is no number of minutes") from error
