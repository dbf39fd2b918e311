"""The shape of the journal: what a record is. How it is kept is `devices.store.journal`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

DUP = 1  # flags of a message: the broker said it may be a redelivery
RETAINED = 2  # an old copy out of the broker's store: state, never a sign of life
OVERSIZE = 4  # over 64 KiB: `payload` is a stub, quarantined as too_large, never decoded:
# b"\0courtyard-oversize " + true size in bytes + b" " + SHA-256 in hex + b" " + the first 1 KiB

MESSAGES = "messages"  # kinds of records; all others are control records
TICK = "tick"  # {"at_ms"}: receive is alive
LINK = "link"  # {"up": bool, "session_present": bool, "at_ms"}
PROBE = "probe"  # {"n", "sent_ms", "at_ms"}: our own message came back through the broker
CLOCK = "clock"  # {"step_s", "at_ms"}: the host's clock jumped
START = "start"  # {"at_ms"}
STOP = "stop"  # {"at_ms"}

UNASSIGNED = "unassigned"  # origin of a message whose device the registry did not know


class Raw(NamedTuple):
    """One PUBLISH as it arrived.

    received_ms: our clock, UTC epoch ms, stamped once and reused by every reader and replay.
    origin: the compound it is accounted to, or UNASSIGNED.
    """

    topic: bytes
    payload: bytes
    flags: int
    received_ms: int
    origin: str


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the journal: a batch of messages, or one control record.

    id: strictly rising, consecutive. first_jseq: number of its first message; control records take
    none, and theirs is that of the next message. corrupt: its checksum did not match; then
    `messages` is empty and `count` still says how many there were.
    """

    id: int
    kind: str
    first_jseq: int
    count: int
    epoch: int
    messages: tuple[Raw, ...] = ()
    control: Mapping[str, int | bool | str] | None = None
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """How far a journal goes. jseq: number of the newest message, 0 for none."""

    journal_id: str
    id: int
    jseq: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What a journal received, by (origin, hour_ms); hour 0 stands for all hours.

    waiting: what of it stands behind a position; None where that cannot be told by origin.
    """

    head: Head
    received: Mapping[tuple[str, int], int]
    waiting: Mapping[tuple[str, int], int] | None


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages of one sender out of a journal, the newest first, each with its place.

    place: (record id, number within the record). looked_to: up to which place the journal was
    looked through, that one not included; None where nothing older is asked for or kept.
    looked_to_ms: when what lies there was received; None for an empty journal.
    """

    messages: tuple[tuple[tuple[int, int], Raw], ...]
    looked_to: tuple[int, int] | None
    looked_to_ms: int | None


def true_payload(raw: Raw) -> tuple[int, str] | None:
    """Size in bytes and SHA-256 of what was sent, where only a stub of it was kept; else None."""
    if not raw.flags & OVERSIZE:
        return None
    _, size_bytes, digest, _ = raw.payload.split(b" ", 3)
    return int(size_bytes), digest.decode()
