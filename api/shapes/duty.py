"""Routes, people, rosters, holidays, and the dry run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.shapes.basics import Channel, Instant, Language, Severity, Who, Words

RouteDay = Literal["workday", "weekend", "holiday", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Minute = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Date = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]
Ids = list[Annotated[str, StringConstraints(min_length=1, max_length=40)]]


class When(BaseModel):
    """When a route leads, by the local time of the fault's compound.

    days: any of them; none is every day. A workday is Monday to Friday or a make-up working day,
    and no public holiday. `to` is not included; where it is before `from`, it is on the next day.
    outside: at all times but these.
    """

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True, extra="forbid")
    days: Annotated[list[RouteDay], Field(max_length=10)] = []
    start: Annotated[Minute, Field(alias="from")] = "00:00"
    to: Minute = "24:00"
    outside: bool = False


class Person(BaseModel):
    """Somebody who is told of faults. targets: by which they are reached, all of them each time.

    phone: null to viewers, and where none is known.
    """

    id: str
    name: str
    firm: str | None
    language: Language
    phone: str | None
    targets: list[str]
    created_by: str
    created_at: Instant
    changed_by: str | None
    changed_at: Instant | None


class People(BaseModel):
    items: list[Person]
    next_cursor: str | None


class PersonSettings(BaseModel):
    """targets: of the same firm, or of the district's for one of the district's people."""

    model_config = ConfigDict(extra="forbid")
    name: Who
    language: Language = "zh"
    phone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ()-]{3,30}$")] | None = None
    targets: Annotated[Ids, Field(max_length=10)] = []


class NewPerson(PersonSettings):
    """firm: whose; a firm's token makes its own."""

    firm: str | None = None


class OnDuty(BaseModel):
    """why: rotation, level (named there), stand_in, circle (all who were to stand in are away).

    planned: who would be, if nobody were away. from, to: of the shift. until: when the answer may
    be another one.
    """

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)
    person: str
    person_name: str
    why: Literal["rotation", "level", "stand_in", "circle"]
    why_text: Words
    planned: str
    planned_name: str
    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    until: Instant


class Duty(BaseModel):
    """next: who is on duty after that, one for each stretch of time. levels: whom to call at each
    level at that time, whoever is on duty first."""

    roster: str
    at: Instant
    on_duty: OnDuty
    next: list[OnDuty]
    levels: list[list[OnDuty]]


class Roster(BaseModel):
    """people: in their order; the first has the shift that begins on `starts_on`. handover: by the
    clock of `timezone`; weekly, on the day of the week of `starts_on`. levels: who is called next
    while nobody acknowledges, level 2 first; none: the next ones of the order."""

    id: str
    name: str
    firm: str | None
    rotation: Literal["daily", "weekly"]
    starts_on: Date
    handover: Minute
    timezone: str
    people: list[str]
    levels: list[list[str]]
    on_duty: OnDuty
    created_by: str
    created_at: Instant
    changed_by: str | None
    changed_at: Instant | None


class Rosters(BaseModel):
    items: list[Roster]
    next_cursor: str | None


class RosterSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Who
    rotation: Literal["daily", "weekly"] = "daily"
    starts_on: Date
    handover: Minute = "08:00"
    timezone: Annotated[str, StringConstraints(max_length=60)] = "Asia/Shanghai"
    people: Annotated[Ids, Field(min_length=1, max_length=100)]
    levels: Annotated[
        list[Annotated[Ids, Field(min_length=1, max_length=20)]], Field(max_length=5)
    ] = []


class NewRoster(RosterSettings):
    """firm: whose; a firm's token makes its own."""

    firm: str | None = None


class StandIn(BaseModel):
    """`by` stands in for `person`; `to` is not included. roster: only there; null: everywhere."""

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)
    id: str
    person: str
    by: str
    roster: str | None
    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    note: str | None
    firm: str | None
    created_by: str
    created_at: Instant


class StandIns(BaseModel):
    items: list[StandIn]
    next_cursor: str | None


class NewStandIn(BaseModel):
    """Times are RFC 3339; without zone the roster's, or the district's."""

    model_config = ConfigDict(validate_by_alias=True, extra="forbid")
    person: str
    by: str
    roster: str | None = None
    start: Annotated[str, Field(alias="from")]
    to: str
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None


class Holiday(BaseModel):
    """Days off in a row, both included."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
    first: Date
    last: Date


class YearSettings(BaseModel):
    """work: Saturdays and Sundays that are worked for the holidays (调休)."""

    model_config = ConfigDict(extra="forbid")
    off: Annotated[list[Holiday], Field(max_length=60)]
    work: Annotated[list[Date], Field(max_length=60)] = []


class Year(YearSettings):
    """changed_by, changed_at: of the operator who entered it; null: it came with courtyard."""

    year: int
    changed_by: str | None
    changed_at: Instant | None


class Years(BaseModel):
    """Those of which there is a list, the newest first."""

    items: list[Year]


class Route(BaseModel):
    """Which faults a target, a person or a roster is told of, and when. Null, and no severity, is
    any; `when` null is always, and `when_text` says it in words."""

    id: str
    target: str | None
    person: str | None
    roster: str | None
    when: When | None
    when_text: Words | None
    firm: str | None
    compound: str | None
    kind: str | None
    code: str | None
    severity: list[Severity]
    created_by: str
    created_at: Instant


class Routes(BaseModel):
    items: list[Route]
    next_cursor: str | None


class NewRoute(BaseModel):
    """It leads to one of target, person and roster."""

    model_config = ConfigDict(extra="forbid")
    target: str | None = None
    person: str | None = None
    roster: str | None = None
    when: When | None = None
    firm: str | None = None
    compound: str | None = None
    kind: str | None = None
    code: str | None = None
    severity: Annotated[list[Severity], Field(max_length=4)] = []


class WouldBeTold(BaseModel):
    """A target that would get a message. routes: that lead there, first the one that `why` is
    about; none where it was told of the fault before. broken: what must be mended first; until
    then the message waits. waits_until: the end of its quiet hours; null: it is sent at once."""

    target: str
    target_name: str
    channel: Channel
    language: Language
    broken: str | None
    person: str | None
    person_name: str | None
    routes: list[str]
    why: Words
    waits_until: Instant | None


class WouldNotBeTold(BaseModel):
    """A route, or a target that it leads to, by which nobody would be told. reason: what is in the
    way: firm, compound, kind, code, severity, hours; gone, other_firm, unreachable,
    older_than_target; or that nobody is told at all."""

    route: str
    target: str | None
    target_name: str | None
    person: str | None
    person_name: str | None
    roster: str | None
    roster_name: str | None
    reason: str
    why: Words


class DryRouting(BaseModel):
    """Who would be told if this happened at that time. fault: null of one that was described.

    local_time: of its compound, with what the day is. reason: why nobody is told at all, as in
    deliveries. A firm sees what concerns its own people.
    """

    at: Instant
    local_time: Words
    what: str
    fault: str | None
    code: str
    name: Words
    severity: Severity
    safety: bool
    kind: str
    compound: str | None
    device: str | None
    firm: str | None
    told: list[WouldBeTold]
    not_told: list[WouldNotBeTold]
    reason: str | None
    reason_text: Words | None
