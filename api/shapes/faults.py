"""Faults, what people do with them, maintenance windows."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.shapes.basics import FaultState, Held, Instant, Note, Severity, Who, Words


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
