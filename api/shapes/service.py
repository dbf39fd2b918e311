"""The service ledger, availability, key figures."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.shapes.basics import Instant, Severity, Words


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
