"""Sessions, usage, corrections, exports."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.shapes.basics import Instant, Words


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
