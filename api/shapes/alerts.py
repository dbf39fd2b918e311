"""Targets, deliveries, escalation, summaries, signed links."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from api.shapes.basics import Channel, DeliveryState, Instant, Language, Severity, TimeOfDay, Who


class Target(BaseModel):
    """Where notices are sent. The address is never given out again: `host` is all that is shown.

    firm: whose it is; null: the district's. broken: what must be mended before anything is sent
    there again; then PUT it anew, or test it.
    """

    id: str
    name: str
    channel: Channel
    host: str
    signed: bool
    firm: str | None
    language: Language
    broken: str | None
    broken_at: Instant | None
    created_by: str
    created_at: Instant


class Targets(BaseModel):
    items: list[Target]
    next_cursor: str | None


class TargetSettings(BaseModel):
    """url: of the robot or webhook; `mailto:` and addresses for e-mail. secret: signs what is sent.

    secret_before: still signs too, while the other side changes to the new one (webhooks).
    """

    model_config = ConfigDict(extra="forbid")
    name: Who
    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    secret: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    secret_before: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    language: Language = "zh"


class NewTarget(TargetSettings):
    """firm: whose people are there; a firm's token makes its own.

    routed: also make a route to it, of P1 to P3 in its firm's compounds, or in all.
    """

    channel: Channel
    firm: str | None = None
    routed: bool = True


class Tested(BaseModel):
    """accepted: the other side took it. answer: what it said."""

    accepted: bool
    answer: str


class Hours(BaseModel):
    """Local times of a target's zone, `HH:MM`; null: none.

    quiet_from, quiet_to: between them P3 and P4 wait, and come together when they end; P1, P2 and
    the safety tier never wait. daily_summary_at: when it is told how the day was.
    """

    model_config = ConfigDict(extra="forbid")
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=60)] = "Asia/Shanghai"
    quiet_from: TimeOfDay | None = None
    quiet_to: TimeOfDay | None = None
    daily_summary_at: TimeOfDay | None = None


class EscalationStep(BaseModel):
    """after_s: since the first was told; only working time, where `working`.

    to: `firm` and `district` are all to whom routes lead, as one class worse with each level; else
    `id` says which target, person or roster: of a roster the first level that was not told yet.
    """

    model_config = ConfigDict(extra="forbid")
    after_s: int
    to: Literal["firm", "district", "target", "person", "roster"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    working: bool = False


class EscalationSettings(BaseModel):
    """steps: the levels, each later than the one before. remind_every_s: standing safety faults are
    told again that often, at most `reminders` times; null: never."""

    model_config = ConfigDict(extra="forbid")
    steps: list[EscalationStep]
    remind_every_s: int | None = 900
    reminders: int = 24


class NewEscalation(EscalationSettings):
    """firm: whose; a firm's token changes its own. Null: the district's, which is that of every
    firm without one of its own."""

    firm: str | None = None


class Escalation(EscalationSettings):
    """What happens to faults of a class that nobody answers. firm: whose it is; null: the
    district's. changed_by: null of one that nobody has changed."""

    severity: Severity
    firm: str | None
    changed_by: str | None
    changed_at: Instant | None


class Escalations(BaseModel):
    items: list[Escalation]
    next_cursor: str | None


class DayCounts(BaseModel):
    """open: stand, or were over before anybody acknowledged them. new, cleared: since the summary
    before. overdue: open, and past a limit of their class. suspected: in none of the others."""

    open: int
    new: int
    cleared: int
    overdue: int
    suspected: int


class DaySummary(BaseModel):
    """What a target was told of a local day; state, attempts, answer, at: as of a delivery."""

    target: str
    target_name: str
    channel: Channel
    firm: str | None
    day: str
    counts: DayCounts
    state: DeliveryState
    attempts: int
    answer: str | None
    created_at: Instant
    attempted_at: Instant | None
    at: Instant | None


class DaySummaries(BaseModel):
    items: list[DaySummary]
    next_cursor: str | None


class RotateLinks(BaseModel):
    """end_old: the links in all messages until now are dead at once; else they end by
    themselves, within seven days."""

    model_config = ConfigDict(extra="forbid")
    end_old: bool = False


class LinkKey(BaseModel):
    """Number and time of the key that signs from now on; the key itself is never shown."""

    key: int
    created_at: Instant


class Delivery(BaseModel):
    """One event of a fault on its way to one target; or, with no target, why nobody was told.

    event: its number; what: what happened then. reason: why it was not told, or no longer; or
    `handed_on`: to this target because it did not arrive where it was to go.
    at: when it ended. person: who was reached by the target, where a route led to them or to a
    roster.
    """

    id: int
    fault: str
    event: int
    what: str
    compound: str | None
    target: str | None
    target_name: str | None
    person: str | None
    person_name: str | None
    channel: Channel | None
    state: DeliveryState
    reason: str | None
    attempts: int
    answer: str | None
    created_at: Instant
    attempted_at: Instant | None
    at: Instant | None


class Deliveries(BaseModel):
    items: list[Delivery]
    next_cursor: str | None
