"""Rules of faults, and what they would have raised."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.shapes.basics import Instant, Severity, Value, Words


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
