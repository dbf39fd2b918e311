"""What one PUBLISH says once it is decoded, and how a message can end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from devices.registry import Device

Value = float | int | bool | str


class Outcome(StrEnum):
    """Where a message ends; before that it is pending."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Reason(StrEnum):
    """Why a message, or a part of one, was refused. One list for everything that refuses."""

    NOT_JSON = "not_json"
    BAD_TEXT = "bad_text"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    BAD_TYPE = "bad_type"
    BAD_NUMBER = "bad_number"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE_KEY = "duplicate_key"
    BAD_TOPIC = "bad_topic"
    UNKNOWN_DEVICE = "unknown_device"
    WRONG_PLACE = "wrong_place"
    IDENTITY = "identity"
    CLOCK = "clock"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    BAD_CHECKSUM = "bad_checksum"
    BAD_FRAME = "bad_frame"
    UNSUPPORTED = "unsupported"
    UNREDACTABLE = "unredactable"
    JOURNAL_CORRUPT = "journal_corrupt"
    CRASHED_DECODER = "crashed_decoder"
    REFUSED_BY_DATABASE = "refused_by_database"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A part of a message that was refused; the usable parts beside it are kept.

    quantity: the name it had, cut to 80 characters, or "" if the part was no quantity.
    """

    reason: Reason
    device: str
    quantity: str
    detail: str


@dataclass(slots=True)
class Report:
    """Values of one device at one time. Absent is unknown: never zero, never off."""

    device: "Device"
    values: dict[str, Value]


@dataclass(slots=True)
class Event:
    """Something that happens once: an access, the start or end of a charging session."""

    device: "Device"
    type: str
    attributes: Mapping[str, Value]
    event_id: str | None = None  # the device's or vendor's own number, if it sends one


@dataclass(slots=True)
class Item:
    """One object of a message, as the device sent it: one JSON object, one frame.

    at_ms: the device's clock, UTC epoch ms; None when it sent no time.
    boot, seq: the device's own numbers, one counter over telemetry, event and status.
    status: "online" or "offline" for a birth or last will, else None.
    """

    at_ms: int | None
    boot: int | None = None
    seq: int | None = None
    reports: list[Report] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    status: str | None = None


@dataclass(slots=True)
class Decoded:
    """What one PUBLISH says.

    device: who sent it, once the registry knows. reason: set when nothing in it was usable;
    then `items` is empty. array: it came as a list, the form of a buffered replay.
    unknown: names of quantities that the kind does not have: counted and shown, never stored.
    calm: it is one numbered and timed report, of its sender and what hangs on it, and nothing else;
    and it is known that none of its values shows anything by itself.
    """

    device: "Device | None"
    items: list[Item]
    rejected: list[Rejected] = field(default_factory=list)
    reason: Reason | None = None
    detail: str = ""
    array: bool = False
    unknown: list[str] = field(default_factory=list)
    calm: bool = False


@final
@dataclass(slots=True)
class Reading:
    """The usual message: one numbered and timed report of its sender, and nothing else.

    Stands for the `Decoded` that `unfold` gives, because nearly all messages are such and making
    four objects of each costs more than decoding it.
    calm: it is known that none of its values shows anything by itself.
    """

    device: "Device"
    at_ms: int
    boot: int | None
    seq: int
    values: dict[str, Value]
    calm: bool = False

    def unfold(self) -> Decoded:
        """The same in the general form."""
        report = Report(self.device, self.values)
        return Decoded(self.device, [Item(self.at_ms, self.boot, self.seq, [report])])


class BadMessage(ValueError):
    """Nothing in the message is usable; raised by adapters, and by nothing else in them."""

    def __init__(self, reason: Reason, detail: str, device: "Device | None" = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.device = device
