"""The registry: firms, compounds and devices, imports of files, senders that are not in it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.shapes.basics import Instant, Value, Words

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=256)]
ImportState = Literal["previewed", "applied", "undone"]
LineOutcome = Literal["added", "changed", "unchanged", "wrong"]
Service = Literal["in_service", "retired", "all"]


class Contact(BaseModel):
    """Somebody to call."""

    model_config = ConfigDict(extra="forbid")
    name: Text = ""
    phone: Text = ""
    role: Text = ""


Contacts = Annotated[list[Contact], Field(max_length=20)]


class NewWords(BaseModel):
    """en: as zh, when absent."""

    model_config = ConfigDict(extra="forbid")
    zh: Text
    en: Text | None = None


class RegistryFirm(BaseModel):
    """A property firm. devices: also those out of service."""

    id: str
    name: Words
    contacts: list[Contact]
    compounds: int
    devices: int


class RegistryFirms(BaseModel):
    items: list[RegistryFirm]
    next_cursor: str | None


class FirmChanges(BaseModel):
    """What is absent stays. A firm's own people change their contacts."""

    model_config = ConfigDict(extra="forbid")
    name: NewWords | None = None
    contacts: Contacts | None = None


class NewFirm(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: Id
    name: NewWords
    contacts: Contacts = []


class RegistryCompound(BaseModel):
    """A compound as the registry has it. devices: in service."""

    id: str
    name: Words
    firm: str
    households: int
    timezone: str
    latitude: float
    longitude: float
    synthetic: bool
    contacts: list[Contact]
    devices: int


class RegistryCompounds(BaseModel):
    items: list[RegistryCompound]
    next_cursor: str | None


class CompoundChanges(BaseModel):
    """What is absent stays. Another `firm` has it from then on, with its faults and its history.
    A firm's own people change its contacts."""

    model_config = ConfigDict(extra="forbid")
    name: NewWords | None = None
    firm: Id | None = None
    households: int | None = None
    timezone: Text | None = None
    latitude: float | None = None
    longitude: float | None = None
    contacts: Contacts | None = None


class NewCompound(CompoundChanges):
    id: Id
    name: NewWords
    firm: Id
    households: int


class RegistryDevice(BaseModel):
    """A device as a registry file has it. is_retired: out of service by now."""

    id: str
    kind: str
    compound: str
    parent: str | None
    circuit: str | None
    name: str
    protocol: str
    external_id: str | None
    vendor: str | None
    model: str | None
    building: str | None
    unit: str | None
    interval_s: int
    attributes: dict[str, Value]
    commissioned_at: Instant | None
    decommissioned_at: Instant | None
    is_retired: bool


class RegistryDevices(BaseModel):
    items: list[RegistryDevice]
    next_cursor: str | None


class DeviceChanges(BaseModel):
    """What is absent stays; `null` takes it away. attributes: all of them. A firm's own people
    change name, building and unit."""

    model_config = ConfigDict(extra="forbid")
    name: Text | None = None
    building: Text | None = None
    unit: Text | None = None
    circuit: Text | None = None
    parent: Id | None = None
    protocol: Text | None = None
    external_id: Text | None = None
    vendor: Text | None = None
    model: Text | None = None
    interval_s: int | None = None
    attributes: dict[str, Value] | None = None
    commissioned_at: Text | None = None


class NewDevice(DeviceChanges):
    id: Id
    kind: Text
    compound: Id


class Move(BaseModel):
    """Where a device goes. along: whatever hangs on it goes too; a shed's ports always do."""

    model_config = ConfigDict(extra="forbid")
    compound: Id
    parent: Id | None = None
    circuit: Text | None = None
    along: bool = False


class Import(BaseModel):
    """A file that was read. digest: of what its lines say it does; `apply` wants it, so that what
    somebody saw is what is done. added, changed, unchanged, wrong: lines."""

    id: str
    source: str
    state: ImportState
    digest: str
    added: int
    changed: int
    unchanged: int
    wrong: int
    made_at: Instant
    made_by: str
    applied_at: Instant | None
    applied_by: str | None
    undone_at: Instant | None
    undone_by: str | None


class Imports(BaseModel):
    items: list[Import]
    next_cursor: str | None


class LineChange(BaseModel):
    field: str
    before: str
    after: str


class LineProblem(BaseModel):
    """What is wrong. column: empty where it is about the whole line. what: what to do about it."""

    column: str
    value: str
    what: Words


class ImportLine(BaseModel):
    """A line of a file and what becomes of it. ports: of a shed, those that come along."""

    number: int
    table: Literal["devices", "compounds", "firms"]
    line: int
    id: str
    outcome: LineOutcome
    changes: list[LineChange]
    problems: list[LineProblem]
    ports: int


class ImportLines(BaseModel):
    items: list[ImportLine]
    next_cursor: str | None


class Confirmation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Sender(BaseModel):
    """Who sent a message, as its format names it: natively a device id, else its number there."""

    model_config = ConfigDict(extra="forbid")
    protocol: Text
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class UnknownSender(BaseModel):
    """Somebody who sends and was in no registry. compound, kind: what it says of itself.

    count: messages that the quarantine kept and that are still refused. device: what it is by now,
    is_retired: out of service. payload: the newest, as text; null where it is none.
    """

    protocol: str
    name: str
    compound: str | None
    kind: str | None
    topic: str
    first_at: Instant
    last_at: Instant
    count: int
    payload: str | None
    device: str | None
    is_retired: bool
    is_ignored: bool


class UnknownSenders(BaseModel):
    """since: nobody looked further back than this; null: everything that is kept was looked at."""

    items: list[UnknownSender]
    next_cursor: str | None
    since: Instant | None


class Heeded(BaseModel):
    """What was done about a sender."""

    protocol: str
    name: str
    is_ignored: bool


_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Not for this role."},
    409: {"content": _PROBLEM, "description": "It changed meanwhile, or is there already."},
}
