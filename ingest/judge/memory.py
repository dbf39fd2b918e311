"""What the judge remembers of each device, and how it is packed into a row.

Memory is a cache of committed rows: after any error it is dropped and loaded again.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from devices.faults import Fault
from devices.messages import Value
from devices.registry import Device
from devices.sessions import Session
from devices.usage import Figures
from ingest.judge.identity import SeqWindow
from ingest.judge.plan import KindPlan

SignKey = tuple[str, int, str]  # code, index of the sign in its rule, source (a child or instance)


class Presence(StrEnum):
    """What we know of a device's connection."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    NEVER_SEEN = "never_seen"


class Why(StrEnum):
    """The evidence for it."""

    LWT = "lwt"
    HEARTBEAT_MISSED = "heartbeat_missed"
    PARENT_DOWN = "parent_down"
    NEVER_SEEN = "never_seen"


@dataclass(slots=True)
class Seen:
    """A sign, as it is or was seen.

    since_ms: event time from which it has been present, or over. base_ms: when we received that,
    from which timers run. sample_ms: event time of the newest sample that says the same; heard_ms:
    when we received it.
    """

    present: bool
    since_ms: int
    base_ms: int
    sample_ms: int
    heard_ms: int
    evidence: dict[str, Value]


@dataclass(slots=True)
class Hour:
    """Usage of one device in one hour so far. moved: figures changed since they were last saved."""

    received: int = 0
    figures: Figures = field(default_factory=dict)
    moved: bool = False


@dataclass(slots=True, eq=False)
class DeviceMemory:
    """One device as the judge knows it."""

    device: Device
    plan: KindPlan
    state: Presence = Presence.NEVER_SEEN
    reason: Why | None = Why.NEVER_SEEN
    since_ms: int | None = None
    last_seen_ms: int | None = None
    device_at_ms: int | None = None
    event_at_ms: int = 0  # newest event, as telemetry and events may overtake each other
    latest: dict[str, tuple[Value, int]] = field(default_factory=dict)
    window: SeqWindow = field(default_factory=SeqWindow)
    will_ms: int | None = None
    signs: dict[SignKey, Seen] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    hours: dict[int, Hour] = field(default_factory=dict)
    used_to_ms: int | None = None  # usage is accounted up to here (event time)
    energy_kwh: float | None = None  # register reading up to which energy is accounted
    session: Session | None = None
    saved_use_ms: int = 0  # when usage was last handed over to be saved
    dirty: bool = False

    def word(self, quantity: str) -> Value | None:
        """The latest value of `quantity`, None when it never came."""
        known = self.latest.get(quantity)
        return None if known is None else known[0]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def pack_latest(memory: DeviceMemory) -> bytes:
    """The latest values as the database keeps them: {quantity: [value, at_ms]}."""
    return _pack(memory.latest)


def pack(memory: DeviceMemory) -> bytes:
    """Everything else that is needed to go on after a restart; `unpack` is its inverse."""
    window = memory.window
    return _pack(
        (
            (window.boot, window.high, window.newest_ms, sorted(window.missing)),
            memory.will_ms,
            memory.event_at_ms,
            [
                (key, s.present, s.since_ms, s.base_ms, s.sample_ms, s.heard_ms, s.evidence)
                for key, s in memory.signs.items()
            ],
            [(start, hour.received, hour.figures) for start, hour in memory.hours.items()],
            memory.used_to_ms,
            memory.energy_kwh,
        )
    )


def unpack(memory: DeviceMemory, latest: bytes, packed: bytes) -> None:
    """Fill `memory` from its row. An empty map is a device that was never judged."""
    memory.latest = {name: (value, at) for name, (value, at) in _unpack(latest).items()}
    fields: Any = _unpack(packed)
    if not fields:
        return
    window, will_ms, event_at_ms, signs, hours, used_to_ms, energy_kwh = fields
    boot, high, newest_ms, missing = window
    memory.window = SeqWindow(boot, high, newest_ms, set(missing))
    memory.will_ms = will_ms
    memory.event_at_ms = event_at_ms
    memory.signs = {
        (key[0], key[1], key[2]): Seen(present, since, base, sample, heard, evidence)
        for key, present, since, base, sample, heard, evidence in signs
        if (key[0], key[1]) in memory.plan.signs  # a rule may have left the catalogue since
    }
    memory.hours = {start: Hour(received, figures, True) for start, received, figures in hours}
    memory.used_to_ms = used_to_ms
    memory.energy_kwh = energy_kwh
