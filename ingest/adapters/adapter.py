"""What a vendor format is to the rest of ingest: which topics, who sends, what a payload says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from devices.messages import Decoded, Reading, Reason, Rejected
from devices.registry import Device, Registry

MAX_TEXT = 256  # characters of any string that is stored
MAX_UNKNOWN = 20  # names of a message that are listed
MAX_REJECTED = 1_000  # parts of a message that are listed; an honest replay of 64 KiB has ~600


class Refused(NamedTuple):
    """Stands in a message for a value that its reader already refused."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a topic leads: the device that sends on it, and what the topic says beside that.

    channel: the adapter's own word for what kind of message comes here. ports: a shed's sockets by
    their number as text, as JSON keys have it.
    """

    device: Device
    registry: Registry
    channel: str = ""
    ports: Mapping[str, Device] = field(default_factory=dict)


class Adapter(Protocol):
    """A wire format: bytes in, reports and events out. Pure.

    protocol: the registry's name for it. filters: MQTT topic filters of all it reads. garbled: what
    a payload is called that makes the adapter fail in a way it did not foresee.
    """

    protocol: str
    filters: tuple[str, ...]
    garbled: Reason

    def place(self, topic: str, registry: Registry) -> Place:
        """Whose topic this is; raises BadMessage (bad_topic, unknown_device, wrong_place)."""

    def read(self, payload: bytes, place: Place) -> Decoded | Reading:
        """What `payload` says, its values *as sent*: `ingest.decode` checks them, for all adapters.

        Names are ours and factors are applied, but a value may still be of any type, None, out of
        range or a Refused. Parts that are no values and cannot be used are in `rejected`. Raises
        BadMessage if nothing can be read, and nothing else.
        """


def refuse(decoded: Decoded, why: Refused, device: str, quantity: str = "") -> None:
    """Notes a part of the message that cannot be used; beyond MAX_REJECTED it is left out."""
    if len(decoded.rejected) < MAX_REJECTED:
        decoded.rejected.append(Rejected(why.reason, device, quantity, why.detail))


def list_unknown(decoded: Decoded, sent: Mapping[str, object], device: str) -> None:
    """Notes names that mean nothing to us, at most MAX_UNKNOWN; what is unfit beside is refused."""
    for name, value in sent.items():
        if len(decoded.unknown) < MAX_UNKNOWN:
            decoded.unknown.append(shown(name))
        found = flaw(name)
        if found is None and (unfit := flaw(value)) is not None:
            found = Refused(unfit.reason, f"{shown(name)}: a value that cannot be kept")
        if found is not None:  # of the value nothing is told: it may be somebody's name
            refuse(decoded, found, device, shown(name))


def flaw(value: object) -> Refused | None:
    """Why `value` cannot be kept whatever it is for, also deep inside it; None if it can.

    Text without NUL, lone surrogates (what is left of invalid UTF-8) and of at most 256 characters;
    numbers finite and exact in a float. `value` is at most as deep as JSON may be, 32 levels.
    """
    match value:
        case Refused():
            return value
        case str():
            return _text_flaw(value)
        case bool() | None:
            return None
        case int() | float() if not -(2.0**53) <= value <= 2.0**53:
            return Refused(Reason.BAD_NUMBER, f"{value!r:.40} is not a usable number")
        case list():
            return next((found for found in map(flaw, value) if found), None)
        case dict():
            parts = (part for pair in value.items() for part in pair)
            return next((found for found in map(flaw, parts) if found), None)
    return None


def _text_flaw(text: str) -> Refused | None:
    if len(text) > MAX_TEXT:
        return Refused(Reason.BAD_TEXT, f"{text[:40]!r}… has {len(text)} characters")
    if "\0" in text:
        return Refused(Reason.BAD_TEXT, f"{text[:80]!r} contains NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Refused(Reason.BAD_TEXT, f"{text[:80]!r} is not valid Unicode")
    return None


def shown(name: str) -> str:
    """`name` in at most 80 characters that any store and terminal takes."""
    cut = name[:80]
    return cut if cut.isprintable() else ascii(cut)[1:-1][:80]
