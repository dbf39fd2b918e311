"""What the judge decided about a stretch of the journal, in the shape in which it is committed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from devices.faults import Fault, FaultEvent, State
from devices.journal import Raw
from devices.messages import Outcome, Reason
from devices.registers import Exclusion
from devices.sessions import Session
from devices.usage import Figures

LIVE = "live"  # the stream of what the broker delivers; others are back-filled histories

# compound, hour (UTC epoch ms), outcome or mark, reason or ""
AccountKey = tuple[str, int, str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a fault. was: the state its row must still have; None for a new row."""

    fault: Fault
    was: State | None
    event: FaultEvent


@dataclass(frozen=True, slots=True)
class Refused:
    """A message for the quarantine. payload: None beyond the cap. flags: as the journal has them.

    partial: the message was stored, only parts of it were refused.
    """

    jseq: int
    received_ms: int
    compound: str
    device: str | None
    topic: str
    reason: Reason
    detail: str
    payload: bytes | None
    sha256: str
    size_bytes: int
    partial: bool
    flags: int = 0


@dataclass(frozen=True, slots=True)
class InQuarantine:
    """A message in quarantine, whole, that is to be judged again.

    raw: its origin is the compound of its account. is_whole: raw is the message as it came; False
    where only its count and hash were kept, or its topic was no text. replayed: it was judged again
    with success, and is no longer here.
    """

    id: int
    journal_id: str
    jseq: int
    reason: Reason
    raw: Raw
    is_whole: bool
    sha256: str
    partial: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a message of the quarantine that was judged again.

    was: the reason it was there for. reason: the one for which it stays, else None.
    payload: what it was judged by, where the quarantine had not kept it.
    """

    id: int
    was: Reason
    outcome: Outcome
    reason: Reason | None
    detail: str
    device: str | None
    at_ms: int
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class HourRow:
    """Usage of one device and hour: absolute figures."""

    device: str
    compound: str
    kind: str
    hour_ms: int
    received: int
    figures: Mapping[str, float | Mapping[str, float]]


class DeviceRow(NamedTuple):
    """A device as it is now. latest, memory: msgpack, as `devices.store.schema` says."""

    device: str
    state: str
    reason: str | None
    since_ms: int | None
    last_seen_ms: int | None
    device_at_ms: int | None
    latest: bytes
    memory: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a judge stands, and what it must remember besides its devices."""

    journal_id: str
    position: int
    jseq: int
    revision: int
    watermark_ms: int | None
    memory: bytes


@dataclass(frozen=True, slots=True)
class Saved:
    """What a judge goes on from. faults: not closed, and those closed within the last minutes.

    compounds, baselines: what it remembers of each compound, and of what each device usually does.
    """

    cursor: Cursor | None
    devices: list[DeviceRow]
    faults: list[Fault]
    sessions: list[Session]
    compounds: Mapping[str, bytes] = field(default_factory=dict)
    baselines: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revision:
    """One line of the log of what people decide. what: registry, fault, maintenance, replay."""

    id: int
    what: str
    subject: str
    at_ms: int = 0


@dataclass(slots=True)
class Effects:
    """Everything to be committed up to `position`; then the cursor stands there.

    late_hours, late_received: usage of hours no longer in memory, by (device, hour): the store adds
    it to their rows. counts: devices online, offline, unknown, never seen, by (compound, kind).
    compounds, baselines: as in Saved, of those that changed.
    credentials: keyed hashes of those who passed a gate, by compound and the beginning of its local
    day, as far as they may be new there.
    exclusions: what registers moved by without a figure.
    again: hours, by (device, hour), whose metered figures are to be worked out again; whether that
    is because of messages that were judged again.
    restated: standing faults, by id, of which the judge knows more now, without a step in their
    life: how often they flapped, whom they concern. After the moves, and only in the state that
    they have.
    receipts: (boot, seq) up to which the messages of a device that asked for it are in this commit
    or an earlier one; told to the device after it.
    """

    position: int = 0
    jseq: int = 0
    revision: int = 0
    watermark_ms: int | None = None
    memory: bytes = b"\x80"  # what the judge must remember besides its devices
    devices: list[DeviceRow] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    restated: dict[str, Fault] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    hours: list[HourRow] = field(default_factory=list)
    late_hours: dict[tuple[str, int], Figures] = field(default_factory=dict)
    late_received: dict[tuple[str, int], int] = field(default_factory=dict)
    credentials: dict[tuple[str, int], set[bytes]] = field(default_factory=dict)
    exclusions: list[Exclusion] = field(default_factory=list)
    again: dict[tuple[str, int], bool] = field(default_factory=dict)
    accounts: dict[AccountKey, int] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    replayed: list[Replayed] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)
    counts: dict[tuple[str, str], tuple[int, int, int, int]] = field(default_factory=dict)
    receipts: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    compounds: dict[str, bytes] = field(default_factory=dict)
    baselines: dict[str, bytes] = field(default_factory=dict)
    messages: int = 0
