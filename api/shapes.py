"""What the API answers, as models; they make the OpenAPI document and hold every answer to it.

Instants are RFC 3339 UTC with milliseconds and Z. `null` is unknown. The shapes are a contract:
fields may be added, not renamed.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PROBLEM_MEDIA_TYPE = "application/problem+json"

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Value = bool | int | float | str
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Severity = Literal["P1", "P2", "P3", "P4"]
Held = Literal["suspected", "flapping", "maintenance", "shelved", "suppressed"]
FaultState = Literal["open", "acknowledged", "cleared", "closed"]
DeviceState = Literal["online", "offline", "unknown", "never_seen"]
Channel = Literal["dingtalk", "wecom", "feishu", "email", "webhook", "alertmanager", "apprise"]
Language = Literal["zh", "en"]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
DeliveryState = Literal["pending", "delivered", "suppressed", "cancelled", "failed"]


class Words(BaseModel):
    zh: str
    en: str


class StateCounts(BaseModel):
    """Devices of a kind by state."""

    total: int
    online: int
    offline: int
    unknown: int
    never_seen: int


class LampCounts(StateCounts):
    """Lamp controllers by state. lamp_count: the lamps behind them."""

    lamp_count: int


class SeverityCounts(BaseModel):
    """Open faults, neither closed nor suppressed."""

    P1: int = 0
    P2: int = 0
    P3: int = 0
    P4: int = 0


class Compound(BaseModel):
    """devices: by kind, only kinds that the compound has."""

    id: str
    name: Words
    firm: str
    firm_name: Words
    households: int
    timezone: str
    synthetic: bool
    devices: dict[str, LampCounts | StateCounts]
    faults: SeverityCounts


class Compounds(BaseModel):
    items: list[Compound]
    next_cursor: str | None


class Reading(BaseModel):
    value: Value
    at: Instant


class Device(BaseModel):
    """state_since: since when the state holds. last_seen_at: our clock at its last sign of life.
    device_at: its own clock then. values: the last reported, with their event time.
    """

    id: str
    kind: str
    compound: str
    parent: str | None
    circuit: str | None
    name: str
    building: str | None
    unit: str | None
    protocol: str
    external_id: str | None
    vendor: str | None
    model: str | None
    interval_s: int
    attributes: dict[str, Value]
    commissioned_at: Instant | None
    decommissioned_at: Instant | None
    state: DeviceState
    state_reason: str | None
    state_since: Instant | None
    last_seen_at: Instant | None
    device_at: Instant | None
    values: dict[str, Reading]
    open_faults: int


class Devices(BaseModel):
    items: list[Device]
    next_cursor: str | None


class FaultEvent(BaseModel):
    """held: why nobody is told of it; null: people are, or it is nothing to tell of."""

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    at: Instant
    was: Annotated[str | None, Field(alias="from")]
    to: str
    reason: str
    actor: str
    note: str | None
    evidence: dict[str, object] | None
    held: Held | None


class Fault(BaseModel):
    """since: when its condition began (event time). opened_at: when it was raised. suppressed_by:
    the id of the fault that explains it. children: how many faults this one explains, closed ones
    included. responsible: property, vendor, grid, network, resident.
    flaps: how often its condition ended and came back. repeat_of: the fault before it of this
    subject and code, closed within 7 days. maintenance: the window that holds its notices.
    confirmed_at: a person said that what was suspected is so. impact: whom it concerns and what is
    left to them (households, sockets, lamps, gates … with `_left` and `_total`), null while it was
    not weighed. rank: the highest comes first.
    """

    id: str
    compound: str | None
    device: str | None
    kind: str
    code: str
    name: Words
    severity: Severity
    safety: bool
    suspected: bool
    state: FaultState
    since: Instant
    opened_at: Instant
    acknowledged_at: Instant | None
    acknowledged_by: str | None
    cleared_at: Instant | None
    closed_at: Instant | None
    suppressed_by: str | None
    children: int
    shelved_until: Instant | None
    maintenance: str | None
    assignee: str | None
    onsite_at: Instant | None
    repaired_at: Instant | None
    confirmed_at: Instant | None
    resolution: str | None
    occurrences: int
    flaps: int
    repeat_of: str | None
    late: bool
    responsible: str | None
    advice: Words | None
    evidence: dict[str, object]
    impact: dict[str, object] | None
    rank: float


class FaultWithEvents(Fault):
    events: list[FaultEvent]


class Faults(BaseModel):
    items: list[Fault]
    next_cursor: str | None


class Acknowledge(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: Note | None = None


class Noted(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: Note | None = None


class Shelve(BaseModel):
    """until: an RFC 3339 time within the next 31 days; without zone the compound's time."""

    model_config = ConfigDict(extra="forbid")
    until: str
    note: Note | None = None


class Comment(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: Note


class Assign(BaseModel):
    model_config = ConfigDict(extra="forbid")
    assignee: Who
    note: Note | None = None


class Close(BaseModel):
    """resolution: what it was; `false_alarm` if it was none."""

    model_config = ConfigDict(extra="forbid")
    note: Note | None = None
    resolution: Who | None = None


class Window(BaseModel):
    """A maintenance window: in its time nobody is told of the faults it covers, which are recorded.

    It covers what all its words fit; null and empty lists fit everything. ended_at: somebody ended
    it before its time. holds_safety: it names devices and codes, so that of those it also holds
    faults of the safety tier.
    """

    id: str
    compound: str | None
    kind: str | None
    devices: list[str]
    codes: list[str]
    starts_at: Instant
    ends_at: Instant
    ended_at: Instant | None
    state: Literal["planned", "active", "over"]
    holds_safety: bool
    reason: str
    owner: str
    created_by: str
    created_at: Instant


class Windows(BaseModel):
    items: list[Window]
    next_cursor: str | None


class NewWindow(BaseModel):
    """starts_at: now unless given. ends_at: within 31 days of it. owner: who answers for it.

    Times are RFC 3339; without zone the compound's.
    """

    model_config = ConfigDict(extra="forbid")
    compound: str | None = None
    kind: str | None = None
    devices: Annotated[list[str], Field(max_length=500)] = []
    codes: Annotated[list[str], Field(max_length=100)] = []
    starts_at: str | None = None
    ends_at: str
    reason: Note
    owner: Who


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


class SlaStep(BaseModel):
    """by: the person who did it. due_at: null without a limit. verdict: null where nothing limits
    it; `late`: done after its limit; `overdue`: not done, and its limit has passed."""

    name: Literal["detected", "notified", "acknowledged", "onsite", "repaired", "verified"]
    at: Instant | None
    by: str | None
    due_at: Instant | None
    verdict: Literal["met", "late", "overdue", "running", "not_needed"] | None


class SlaPause(BaseModel):
    """When the clock stood. to: null while it does. upstream: a root cause explained the fault."""

    start: Annotated[Instant, Field(alias="from")]
    to: Instant | None
    why: Literal["maintenance", "upstream"]


class FaultLedger(BaseModel):
    """What was done about a fault, and until when it was to be done, in the round in which it is.

    clock: none: suspected, or explained by a root; over: closed. rounds: how often it was raised.
    reopened: how often a person had closed it in this round, and its device was still bad.
    closed_by_hand: no device has said that it is over.
    """

    fault: str
    firm: str | None
    severity: Severity
    as_of: Instant
    clock: Literal["runs", "paused", "over", "none"]
    overdue: bool
    rounds: int
    reopened: int
    closed_by_hand: bool
    steps: list[SlaStep]
    pauses: list[SlaPause]


class SlaTimes(BaseModel):
    """Seconds, without pauses; null of nothing."""

    median_s: float | None
    p90_s: float | None


class SlaKept(SlaTimes):
    """running, not_needed: neither kept nor missed, and not in the share."""

    met: int
    late: int
    overdue: int
    running: int
    not_needed: int
    share: float | None


class SlaMonth(BaseModel):
    """Faults of a class that were raised in a month in the compounds of a firm.

    told: of them a notice arrived. mend: until they were over, of P1 until somebody was on site.
    verified: their device says that they are over.
    """

    month: str
    firm: str
    severity: Severity
    faults: int
    told: int
    notify: SlaTimes
    acknowledge: SlaKept
    mend: SlaKept
    verified: int
    closed_by_hand: int
    reopened: int


class SlaOverdue(BaseModel):
    """Open faults past a limit, now: not acknowledged, not mended, either."""

    firm: str
    severity: Severity
    total: int
    acknowledge: int
    mend: int


class ServiceLedger(BaseModel):
    """items: by month, firm and class. overdue: of now, whenever they were raised."""

    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    timezone: str
    as_of: Instant
    items: list[SlaMonth]
    overdue: list[SlaOverdue]


class SlaLimit(BaseModel):
    """unit: work_minutes pass on working days from 08:00 to 18:00; working_days end at 18:00."""

    amount: int
    unit: Literal["minutes", "work_minutes", "working_days"]


class SlaClass(BaseModel):
    """Null: no limit."""

    acknowledge: SlaLimit
    onsite: SlaLimit | None
    mend: SlaLimit | None


class FirmLimits(BaseModel):
    """since, by: null: they are the defaults."""

    firm: str
    limits: dict[Severity, SlaClass]
    since: Instant | None
    by: str | None


class AllLimits(BaseModel):
    items: list[FirmLimits]


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


class Compared(BaseModel):
    """Two of reported, register and power: how many per cent of the second they are apart.

    They agree within 20 %.
    """

    one: Literal["reported", "register"]
    other: Literal["register", "power"]
    apart_pct: float
    agree: bool


class Reconciliation(BaseModel):
    """The energy of a session told three ways: docs/usage.md.

    reported_kwh: by the end record of the board; null of one that it did not end. register_kwh:
    what the socket's register counted, up to register_known of the session's time (0 to 1).
    power_kwh: the integral of its power, over power_known of its time. compared: those of which
    enough is known. status is that of the reported energy; unknown: it cannot be said, and why.
    """

    status: Literal["agrees", "apart", "unknown"]
    why: str
    status_text: Words
    why_text: Words
    reported_kwh: float | None
    register_kwh: float | None
    register_known: float | None
    power_kwh: float | None
    power_known: float | None
    compared: list[Compared]


class Session(BaseModel):
    """order: the shed's own number. ended_by platform: closed by inference, and provisional.

    energy_kwh: as the board said it; of a session closed by inference, as last read. state unknown:
    it is open, and nothing was heard of its socket for three report intervals.
    """

    id: str
    compound: str
    shed: str
    port: str
    order: str
    state: Literal["open", "unknown", "closed"]
    started_at: Instant | None
    ended_at: Instant | None
    duration_s: int | None
    energy_kwh: float | None
    fee_fen: int | None
    stop_reason: str | None
    native_reason: str | None
    ended_by: Literal["device", "platform"] | None
    provisional: bool
    reconciliation: Reconciliation


class Exclusion(BaseModel):
    """What a register moved by without a figure, from one reading to the next.

    why: jump_forwards (more than the device can have drawn), jump_backwards (a fall that is neither
    a reset nor a roll-over). It counts in excluded_kwh of the usage, in the hour of `at`.
    """

    compound: str
    device: str
    quantity: str
    from_at: Instant
    at: Instant
    before_kwh: float
    after_kwh: float
    excluded_kwh: float
    why: Literal["jump_forwards", "jump_backwards"]
    why_text: Words


class Exclusions(BaseModel):
    items: list[Exclusion]
    next_cursor: str | None


class Sessions(BaseModel):
    items: list[Session]
    next_cursor: str | None


class Gates(BaseModel):
    """Passages by method and direction; denial_rate = denied / (granted + denied).
    held_open_min: how long gates stood open beyond their limit. active_households: different
    credentials that passed; null where they are fewer than 5, and for what is not whole local days.
    coverage: of the gates' own reports.
    """

    passages: int
    denied: int
    denial_rate: float | None
    remote_openings: int
    by_method: dict[str, int]
    by_direction: dict[str, int]
    deny_reasons: dict[str, int]
    held_open_min: float | None
    active_households: int | None
    coverage: float | None


class Charging(BaseModel):
    """Sessions that ended, energy used, money in fen. utilisation: port-hours in use / available.

    Available are the hours of which we have data, without faults. turnover: sessions a port, day.
    full_not_removed_min: a battery was full, or only floated, and was not removed. peak_ports: most
    sockets in use at once; of many compounds, those of the one that had most. coverage: of the
    sockets' own reports.
    inferred_sessions: those among them whose end never came. excluded_kwh: what registers jumped
    by, which is in no other figure.
    """

    sessions: int
    inferred_sessions: int
    energy_kwh: float
    excluded_kwh: float
    fee_fen: int
    utilisation: float | None
    turnover: float | None
    mean_energy_kwh: float | None
    mean_duration_h: float | None
    kwh_per_port_day: float | None
    stop_reasons: dict[str, int]
    safety_stops_per_1000: float | None
    full_not_removed_min: float | None
    peak_ports: int | None
    coverage: float | None


class Lighting(BaseModel):
    """lit, dark, unknown: lamp-hours while the lamps were to be on; unknown never counts as lit.
    nominal_kwh: what the lamps should have drawn while they burned; energy_of_nominal: what they
    drew / that. day_burn: outside the lighting hours. mean_dark_h: of lamps that were out, within
    lighting hours; dark_faults: of how many. coverage: of the lamps' own reports.
    """

    burn_hours: float
    energy_kwh: float
    nominal_kwh: float | None
    energy_of_nominal: float | None
    excluded_kwh: float
    lamp_on_rate: float | None
    lit: float
    dark: float
    unknown: float
    day_burn_hours: float | None
    day_burn_kwh: float | None
    mean_dark_h: float | None
    dark_faults: int | None
    coverage: float | None


class ProposedCorrection(BaseModel):
    """What is to be added to the usage of a local day that is final, or of one hour of it.

    day: a date; or hour: an RFC 3339 time in it, without zone the compound's. device, or kind for
    all of the compound's together. changes: {"energy_kwh": -1.5, "stop_reasons.full": 2}. recount:
    all of the day instead, from the readings that came too late.
    """

    model_config = ConfigDict(extra="forbid")
    day: Annotated[str, StringConstraints(max_length=40)] | None = None
    hour: Annotated[str, StringConstraints(max_length=40)] | None = None
    device: Annotated[str, StringConstraints(max_length=80)] | None = None
    kind: Literal["gate", "port", "lamp"] | None = None
    changes: Annotated[dict[str, float], Field(max_length=40)] = {}
    recount: bool = False


class NewCorrection(ProposedCorrection):
    """reason: stands beside the figures. digest: of the preview, needed for a recount: what is
    recorded is what was looked at. corrects: the id of a correction that was wrong.
    """

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    digest: Annotated[str, StringConstraints(max_length=40)] | None = None
    corrects: Annotated[str, StringConstraints(max_length=40)] | None = None


class Correction(BaseModel):
    """Never changed: what was wrong with it, another one corrects. revision: of that day, from 1
    on. changes: what was added, by kind. `from`, `to`: the hours that it is shared out over.
    """

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    id: str
    compound: str
    day: str
    revision: int
    way: Literal["stated", "recount"]
    device: str | None
    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    changes: dict[str, dict[str, float]]
    reason: str
    corrects: str | None
    created_by: str
    created_at: Instant


class Corrections(BaseModel):
    items: list[Correction]
    next_cursor: str | None


class Changed(BaseModel):
    before: float
    added: float
    after: float


class ChangedHour(BaseModel):
    """received: reports that arrived too late to be counted in the coverage."""

    start: Instant
    device: str | None
    kind: str
    received: int
    added: dict[str, float]


class CorrectionPreview(BaseModel):
    """What would be recorded. digest: to be sent with it. changes: of the day, by kind and figure.

    hours: at most the first 500 of `hours_total`. left: devices that a recount leaves as they are,
    and why.
    """

    compound: str
    day: str
    revision: int
    way: Literal["stated", "recount"]
    digest: str
    changes: dict[str, dict[str, Changed]]
    hours: list[ChangedHour]
    hours_total: int
    left: dict[str, str]


class UsageBucket(BaseModel):
    start: Instant
    status: Literal["provisional", "final"]
    corrections: int
    corrected_at: Instant | None
    coverage: float | None
    gates: Gates | None
    charging: Charging | None
    lighting: Lighting | None


class UsageBefore(BaseModel):
    """The range of the same length right before, for comparison."""

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    status: Literal["provisional", "final"]
    corrections: int
    corrected_at: Instant | None
    coverage: float | None
    gates: Gates | None
    charging: Charging | None
    lighting: Lighting | None


class Usage(BaseModel):
    """Whole hours: `from` and `to` say which. coverage: reports received / expected, 0 to 1; null
    when none were expected. A kind that the compound does not have is null, not 0. previous: null
    unless `compare=previous` asks for it. corrections: recorded ones of final days that are in the
    figures, the newest of `corrected_at`.
    """

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    compound: str
    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    bucket: Literal["hour", "day", "week", "month"]
    timezone: str
    status: Literal["provisional", "final"]
    corrections: int
    corrected_at: Instant | None
    coverage: float | None
    gates: Gates | None
    charging: Charging | None
    lighting: Lighting | None
    previous: UsageBefore | None
    buckets: list[UsageBucket]


class Availability(BaseModel):
    """Over device-seconds. period_s: in service; a lamp with a switched supply is only while lamps
    are to burn. period_s = planned_s (under maintenance) + unknown_s (we could not hear, or it was
    never heard) + known_s. out_s: of the known, out. upstream_s: of that, for want of power or
    network. availability = 1 - out_s / known_s; without_upstream = 1 - (out_s - upstream_s) /
    (known_s - upstream_s); null where nothing is known. devices: with any time in the range.
    """

    devices: int
    availability: float | None
    without_upstream: float | None
    period_s: float
    planned_s: float
    unknown_s: float
    known_s: float
    out_s: float
    upstream_s: float


class SocketsNow(BaseModel):
    """Each socket is in one of the five. availability = usable / (total - unknown)."""

    total: int
    usable: int
    fault: int
    disabled: int
    offline: int
    unknown: int
    availability: float | None


class SocketAvailability(Availability):
    """out_s: at fault, without power, or its shed silent. now: at `as_of`, and there also sockets
    that somebody has disabled, which no fault tells of."""

    now: SocketsNow


class Stretch(BaseModel):
    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    start: Annotated[Instant, Field(alias="from")]
    to: Instant


class CompoundAvailability(BaseModel):
    """kinds: only those that the compound has; of ports, whether their shed was heard. sockets:
    null where there is no shed. unheard: when nothing of the compound could reach us or is judged
    yet, the newest 100 of it; unheard_s: all of it.
    """

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    compound: str
    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    timezone: str
    as_of: Instant
    kinds: dict[str, Availability]
    sockets: SocketAvailability | None
    unheard_s: float
    unheard: list[Stretch]


class FaultCounts(BaseModel):
    """Faults raised in the range: detected = suppressed (explained by a root) + suspected + raised.

    repeats: of the raised, the same device and code within 7 days. closed: of the suspected and the
    raised; false_alarms: of those.
    """

    detected: int
    suppressed: int
    suspected: int
    raised: int
    repeats: int
    closed: int
    false_alarms: int


class Times(BaseModel):
    """count: of how many. The value at the nearest rank; null of none."""

    count: int
    median_s: float | None
    p90_s: float | None


class Overdue(BaseModel):
    """Past a limit of its service class at `as_of`: not acknowledged, not repaired, or either."""

    total: int
    acknowledge: int
    repair: int


class LampFigures(BaseModel):
    """lamps: when the range ends. faults: new ones in it. intact: without one at its end."""

    lamps: int
    faults: int
    faults_per_1000: float | None
    intact: int
    intact_rate: float | None


class GroupFigures(BaseModel):
    """mtta: from the raise to the acknowledgement, mttr: to the end, of raised faults that have
    come to it; the clock stands during maintenance and while a root explains the fault. A rate is
    null where there is nothing it could be taken of. standing_24h: for so long, at `as_of`.
    sockets, lamps: null without such devices.
    """

    availability: dict[str, Availability]
    sockets: SocketAvailability | None
    faults: FaultCounts
    mtta: Times
    mttr: Times
    repeat_rate: float | None
    false_alarm_rate: float | None
    suppressed_share: float | None
    overdue: Overdue
    standing_24h: int
    lamps: LampFigures | None


class ServiceGroup(GroupFigures):
    """id: of a compound or a firm, or the name of a kind; faults of a compound as a whole are of
    the kind `compound`."""

    id: str
    name: Words


class ServiceFigures(BaseModel):
    """Service figures; items in order of id. as_of: when what stands and is overdue was counted."""

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    timezone: str
    as_of: Instant
    group_by: Literal["compound", "firm", "kind"]
    all: GroupFigures
    items: list[ServiceGroup]


class UsageGroup(BaseModel):
    """What one compound, firm or kind of device did. id: its slug, or the kind."""

    id: str
    name: Words
    compounds: int
    status: Literal["provisional", "final"]
    corrections: int
    corrected_at: Instant | None
    coverage: float | None
    gates: Gates | None
    charging: Charging | None
    lighting: Lighting | None
    buckets: list[UsageBucket]


class UsageTogether(BaseModel):
    """Usage of many compounds, over whole local days that are over: `from` and `to` say which.

    compounds: how many. pending_days: compound-days of the range of which something came in that is
    not in the figures yet; it is within a minute. groups: empty without `group_by`; in order of id.
    """

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)

    firm: str | None
    start: Annotated[Instant, Field(alias="from")]
    to: Instant
    bucket: Literal["day", "week", "month"]
    timezone: str
    group_by: Literal["compound", "firm", "kind"] | None
    compounds: int
    pending_days: int
    status: Literal["provisional", "final"]
    corrections: int
    corrected_at: Instant | None
    coverage: float | None
    gates: Gates | None
    charging: Charging | None
    lighting: Lighting | None
    buckets: list[UsageBucket]
    groups: list[UsageGroup]


class Sample(BaseModel):
    at: Instant
    value: Value


class Aggregate(BaseModel):
    """Over [at, at + every). min, mean, max are null for words and flags."""

    at: Instant
    min: float | None
    mean: float | None
    max: float | None
    last: Value
    count: int


class Telemetry(BaseModel):
    """A series, oldest first; raw without `every`."""

    device: str
    quantity: str
    unit: str
    every: str | None
    points: list[Sample] | list[Aggregate]
    next_cursor: str | None


class Forwarding(BaseModel):
    """Points that the telemetry store confirmed and those it will never take; messages waiting."""

    confirmed: int | None
    dead: int | None
    pending: int | None


class Missing(BaseModel):
    """Messages that nobody has: a backup was restored, and the journal behind it was lost.

    since: when the backup was made. until: when the first message after it came, null while there
    is none. messages: null where nobody can know.
    """

    since: Instant
    until: Instant | None
    messages: int | None


class Accounting(BaseModel):
    """received = stored + duplicate + the sum of quarantined + pending + unattributed + balance.

    received is the journal's own count. It and what follows from it are null when the journal
    cannot be read here. unattributed: where a record of the journal is damaged, it is no longer
    known whose its messages were; so many of what was received here are therefore booked under
    `unassigned` (there, less than 0: booked, and received elsewhere). late, partial, retained,
    clock, unknown are among the stored (clock: the device's time could not be true, ours was taken;
    unknown: quantities that its kind does not have were left out), and so is late_after_final:
    late, of a day whose figures of usage are final, and which they no longer changed; parts are
    rejected parts of stored messages. missing: what the newest restore of a backup could not bring
    back.
    """

    received: int | None
    stored: int
    duplicate: int
    quarantined: dict[str, int]
    pending: int | None
    unattributed: int | None
    balance: int | None
    late: int
    late_after_final: int
    partial: int
    retained: int
    clock: int
    unknown: int
    parts: dict[str, int]
    telemetry: Forwarding
    missing: Missing | None


class Refused(BaseModel):
    """partial: only a part was refused, the rest of the message is stored.

    payload: as text, null when it is none, or not kept; in a list its beginning.
    payload_kept: whether we have it at all.
    replayed_at: when it was judged again and taken; outcome: what it is since. null: it is refused.
    """

    id: int
    received_at: Instant
    compound: str | None
    device: str | None
    topic: str
    reason: str
    detail: str
    sha256: str
    size_bytes: int
    payload: str | None
    payload_kept: bool
    partial: bool
    replayed_at: Instant | None
    outcome: Literal["stored", "duplicate"] | None


class RefusedWhole(Refused):
    payload_base64: str | None


class Requested(BaseModel):
    """Messages that will be judged again. last: the id of the newest of them, null without any.

    more: there may be others that the filter finds; ask again with `after` = `last`.
    """

    requested: int
    last: int | None
    more: bool


class Quarantine(BaseModel):
    items: list[Refused]
    next_cursor: str | None


class Sign(BaseModel):
    """One way to see a fault. name: what it looks at, as the catalogue has it.

    figures: raises, clears, times, within_s, delay_s, severity and such, as far as it has them.
    """

    name: str
    safety: bool
    figures: dict[str, Value]


class Repeated(BaseModel):
    """A fault that is raised so many times within so many seconds is worse: the severity then."""

    times: int
    within_s: float
    severity: Severity


class Rule(BaseModel):
    """A row of the fault catalogue, with the figures that hold where nothing else is said.

    enabled: whether it is judged at all. suspected: its faults are guesses. acknowledge: they close
    only when a person has answered. signs: none where a fault is found otherwise.
    """

    code: str
    kind: str
    name: Words
    enabled: bool
    severity: Severity
    safety: bool
    suspected: bool
    acknowledge: bool
    responsible: str
    advice: Words
    clear_delay_s: float
    repeated: Repeated | None
    signs: list[Sign]


class Rules(BaseModel):
    items: list[Rule]
    next_cursor: str | None


class RuleChange(BaseModel):
    """One figure. scope: what must hold for a device; empty: nothing. sign: null is the rule's own.

    line: where the file says it.
    """

    scope: dict[str, str]
    code: str
    sign: str | None
    figure: str
    value: Value
    line: int


class RuleSet(BaseModel):
    """A rule file that was imported. problems: what a newer catalogue no longer knows of it.

    differences: what taking it changed, in words.
    """

    number: int
    body: str
    created_by: str | None
    created_at: Instant | None
    changes: list[RuleChange]
    problems: list[str]
    differences: list[str]


class NewRules(BaseModel):
    """A rule file, in TOML. Empty: nothing is changed of the catalogue."""

    model_config = ConfigDict(extra="forbid")
    body: Annotated[str, StringConstraints(max_length=256 * 1024)]


class NewDryRun(BaseModel):
    """body: a rule file, in TOML. Without a range the newest 48 hours."""

    model_config = ConfigDict(extra="forbid", validate_by_alias=True)
    body: Annotated[str, StringConstraints(max_length=256 * 1024)]
    start: Annotated[str | None, Field(alias="from")] = None
    end: Annotated[str | None, Field(alias="to")] = None
    compound: str | None = None


class NewExport(BaseModel):
    """A file that takes long to make.

    what: `report` (the month of one compound or firm; pdf or xlsx), `usage` (a line for each
    compound and bucket; csv) or `sessions` (charging sessions that started in the range; csv or
    xlsx). compound, firm: of whom; of all in your scope where neither is given, which a report
    does not allow. month: of a report, like 2026-10. from, to: of usage and sessions, as
    `/v1/compounds/{compound}/usage` takes them; the last 30 days unless given. bucket: of usage.
    language: of a report and of the words in a file.
    """

    model_config = ConfigDict(extra="forbid", validate_by_alias=True)
    what: Literal["report", "usage", "sessions"]
    format: Literal["pdf", "xlsx", "csv"]
    language: Literal["zh", "en"] = "zh"
    compound: str | None = None
    firm: str | None = None
    month: str | None = None
    start: Annotated[str | None, Field(alias="from")] = None
    end: Annotated[str | None, Field(alias="to")] = None
    bucket: Literal["hour", "day", "week", "month"] | None = None


class ExportFile(BaseModel):
    """url: where it is; a broken download goes on with `Range` and `If-Range: etag`."""

    name: str
    url: str
    size_bytes: int
    etag: str


class Export(BaseModel):
    """One export. done of total: steps; total is 1 until it is begun. as_of: of all its figures.

    error: why there is no file; failed ones stay until they expire, and can be asked for again.
    file: once it is done. from, to: of usage and sessions.
    """

    model_config = ConfigDict(populate_by_name=True)
    id: str
    what: Literal["report", "usage", "sessions"]
    format: Literal["pdf", "xlsx", "csv"]
    language: Literal["zh", "en"]
    compound: str | None
    firm: str | None
    month: str | None
    start: Annotated[Instant | None, Field(alias="from")]
    end: Annotated[Instant | None, Field(alias="to")]
    bucket: Literal["hour", "day", "week", "month"] | None
    state: Literal["waiting", "running", "done", "failed"]
    done: int
    total: int
    made_by: str
    made_at: Instant
    as_of: Instant | None
    updated_at: Instant
    finished_at: Instant | None
    expires_at: Instant
    error: Words | None
    file: ExportFile | None


class Exports(BaseModel):
    items: list[Export]
    next_cursor: str | None


class AuditRow(BaseModel):
    """Something that somebody changed, or was refused.

    token: the number of who did it; null for a command. address: from where. outcome: `done`,
    `repeated` (nothing was done: the same was asked before), `refused 403`, `failed 500`, …
    """

    number: int
    at: Instant
    actor: str
    role: str
    token: int | None
    origin: Literal["api", "console", "command"]
    address: str
    method: str
    resource: str
    subject: str
    outcome: str
    detail: dict[str, Any]
    before: str
    sha256: str


class AuditLog(BaseModel):
    items: list[AuditRow]
    next_cursor: str | None


class DryRunCount(BaseModel):
    """Faults raised, by the rules of today and by the changed ones."""

    code: str
    today: int
    changed: int


class DryRunFault(BaseModel):
    code: str
    subject: str
    compound: str | None
    severity: Severity
    since: Instant
    opened_at: Instant


class DryRunResult(BaseModel):
    """only_today, only_changed: faults that only one of the two raised, the first 500.

    judged_from: where the journal begins; null: it has nothing of that time. limited: there were
    more faults than are compared one by one.
    """

    messages: int
    judged_from: Instant | None
    codes: list[DryRunCount]
    only_today: list[DryRunFault]
    only_changed: list[DryRunFault]
    limited: bool


class DryRun(BaseModel):
    """detail: why it failed, else empty. result: null until it is done."""

    model_config = ConfigDict(validate_by_alias=True, serialize_by_alias=True)
    state: Literal["running", "done", "failed"]
    percent: int
    detail: str
    started_at: Instant
    start: Annotated[Instant, Field(alias="from")]
    end: Annotated[Instant, Field(alias="to")]
    compound: str | None
    result: DryRunResult | None


class Problem(BaseModel):
    """RFC 9457 problem details. errors: for parameters that cannot be used, each with its name."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str


_PROBLEM = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": why, "content": _PROBLEM}
    for status, why in (
        (401, "No token, or one that is unknown or revoked."),
        (404, "Not there, or not yours: the answer is the same."),
        (422, "A parameter or body that cannot be used; `errors` names it."),
        (503, "The database does not answer."),
    )
}
MOVED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "A viewer changes nothing."},
    409: {"content": _PROBLEM, "description": "The state has moved on; `fault` is as it is now."},
}

TOO_MANY: dict[int | str, dict[str, Any]] = {
    403: MOVED[403],
    409: {"content": _PROBLEM, "description": "There are too many, or the state has moved on."},
}
HOLIDAYS_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators change the holidays of a year."},
}
WINDOW_OVER: dict[int | str, dict[str, Any]] = {
    403: MOVED[403],
    409: {
        "content": _PROBLEM,
        "description": "It is over already; `window` is as it is now. Or there are too many.",
    },
}

CORRECTION_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators correct figures that are final."},
    409: {
        "content": _PROBLEM,
        "description": "The day was corrected meanwhile, or is no longer as previewed.",
    },
}

REPLAY_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators have messages judged again."},
    409: {
        "content": _PROBLEM,
        "description": "It was judged again already, or is a part of a stored message.",
    },
}
LIMITS_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators set the limits of a firm."}
}
LINKS_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {
        "content": _PROBLEM,
        "description": "Only operators replace what links are signed with.",
    }
}
OPERATORS_ONLY: dict[int | str, dict[str, Any]] = {403: REPLAY_REFUSED[403]}
OPERATORS_SEE: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators see this."},
}
DRY_RUN_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators see and change figures of rules."},
    409: {"content": _PROBLEM, "description": "One is under way; `dry_run` is how far it is."},
}
