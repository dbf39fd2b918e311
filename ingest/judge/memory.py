"""What the judge remembers of each device, and how it is packed into a row.

Memory is a cache of committed rows: after any error it is dropped and loaded again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import msgspec

from devices.faults import Fault
from devices.kinds.kind import Derived, Known
from devices.messages import Value
from devices.registry import Device
from devices.rules import Silent
from devices.sessions import Session
from devices.usage import Figures
from ingest.judge.drawn import Drawn
from ingest.judge.identity import SeqWindow
from ingest.judge.plan import KindPlan, QuantityPlan

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
    WEAK_SIGNAL = "weak_signal"
    POWER_CUT = "power_cut"
    PLATFORM_DOWN = "platform_down"  # we could not hear, and have not heard it since
    ASLEEP = "asleep"  # its supply is off outside the lighting hours, and with it what would speak
    NEVER_SEEN = "never_seen"


class Aside(IntEnum):
    """Why a state that still reads bad does not count."""

    NO = 0
    EXCUSED = 1  # the device is meant to be so: a door in fire mode
    ANSWERED = 2  # something else showed that it is over, and the board latches the old word


class Seen(msgspec.Struct, array_like=True):
    """A sign, as it is or was seen.

    since_ms: event time from which it has been present, or over. base_ms: when we received that,
    from which timers run. sample_ms: event time of the newest sample that says the same; heard_ms:
    when we received the newest of any kind. quieted: it ended because nothing more came, so no
    sample is waited for. aside: while it is set the sign is over, though its value still reads bad.
    steps: events towards its end, where one is not enough. turned: half of a good cycle was seen.
    """

    present: bool
    since_ms: int
    base_ms: int
    sample_ms: int
    heard_ms: int
    evidence: dict[str, Value]
    quieted: bool = False
    aside: Aside = Aside.NO
    steps: int = 0
    turned: bool = False


class Tally(msgspec.Struct, array_like=True):
    """What a sign remembers that no single value or event shows; all times are event times.

    times_ms, keys: the newest that count, oldest first, and what tells them apart. parts: of the
    window of a share, [from_ms, events, those that count], oldest first. asked_ms, met_ms: the
    newest event that is to have an effect, and the newest effect; run, first_ms: how many had none
    since, and the first of them; learned: how many running had theirs before. Of a state that
    somebody is to ask for: times_ms, asked_ms the prompts, met_ms when it began, first_ms when it
    was last heard not to be; met_ms is 0 where nobody knows.
    """

    times_ms: list[int] = []
    keys: list[str] = []
    parts: list[tuple[int, int, int]] = []
    asked_ms: int = 0
    met_ms: int = 0
    run: int = 0
    first_ms: int = 0
    learned: int = 0


class Ended(msgspec.Struct, array_like=True):
    """The last session of a port, for what may still be said of it: its end, or its start.

    metered_kwh: what readings had counted of its energy. inferred: its own end did not come yet.
    register_kwh: what its register counted, as far as it counts as a session by that.
    """

    order: str
    started_ms: int | None
    ended_ms: int
    duration_s: int | None
    energy_kwh: float | None
    fee_fen: int | None
    stop_reason: str
    native_reason: str | None
    inferred: bool
    metered_kwh: float
    register_kwh: float | None = None


class Hour(msgspec.Struct, array_like=True):
    """Usage of one device in one hour so far. moved: it changed since it was last handed over.

    overtaken: a report came behind newer ones, so what reports add up to is worked out elsewhere.
    """

    received: int = 0
    figures: Figures = {}
    moved: bool = True
    overtaken: bool = False


class Run(msgspec.Struct, array_like=True):
    """A metered reading, since when it is the same, and how many reports say so.

    told: it stands as a fault that it does not change.
    """

    name: str
    value: Value | None = None
    since_ms: int = 0
    count: int = 0
    told: bool = False


class Offsets(msgspec.Struct, array_like=True):
    """How far a device's clock was off in its newest messages, where one was off at all.

    off_s: either way, in s; of up to ten, oldest first. boot, seq: the numbers of the newest.
    """

    off_s: list[float] = []
    boot: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What need not be found out with each report, for as long as registry and rules are the same.

    known: to make quantities of others; what a report says is put in each time. derived: those that
    can be made of this device, by which one of its signs is judged, and, of one that is never above
    another quantity, up to where that one says enough. above: the device above it, and what its
    plan sees in a report of this one. levels: the plan's conditional quantities, and in which range
    they are normal.
    """

    known: Known
    derived: tuple[tuple[Derived, QuantityPlan, float | None], ...]
    above: "DeviceMemory | None"
    seen_above: tuple[tuple[str, QuantityPlan], ...]
    levels: tuple[tuple[str, float, float, QuantityPlan], ...]


@dataclass(slots=True, eq=False)
class DeviceMemory:
    """One device as the judge knows it.

    said, said_ms: the newest report, while it is not yet among the `kept` values: of a device whose
    reports are all alike only the last one before somebody looks need be taken apart.
    """

    device: Device
    plan: KindPlan
    state: Presence = Presence.NEVER_SEEN
    reason: Why | None = Why.NEVER_SEEN
    since_ms: int | None = None
    last_seen_ms: int | None = None
    device_at_ms: int | None = None
    event_at_ms: int = 0  # newest event, as telemetry and events may overtake each other
    kept: dict[str, tuple[Value, int]] = field(default_factory=dict)
    said: dict[str, Value] | None = None
    said_ms: int = 0
    window: SeqWindow = field(default_factory=SeqWindow)
    will_ms: int | None = None
    weak_ms: int | None = None  # the newest report of a signal so weak that it may fail
    signs: dict[SignKey, Seen] = field(default_factory=dict)
    tallies: dict[SignKey, Tally] = field(default_factory=dict)
    full_hours: int = 0  # how many running it told all that is expected, as far as that matters
    opened_ms: int | None = None  # since when a gate stands open that should be closed
    faults: dict[str, Fault] = field(default_factory=dict)
    hours: dict[int, Hour] = field(default_factory=dict)
    used_to_ms: int | None = None  # usage is accounted up to here (event time)
    energy_kwh: float | None = None  # register reading up to which energy is accounted
    energy_ms: int | None = None  # when it read so; of what came late `latest` may know of a newer
    metered_kwh: float = 0.0  # what readings counted since the port's session began, or the last
    session: Session | None = None
    ended: Ended | None = None
    guessed: dict[str, Ended] = field(default_factory=dict)  # sessions before it, by order
    saved_use_ms: int = 0  # when usage was last handed over to be saved
    passed_ms: int = 0  # when somebody last passed this gate
    runs: tuple[Run, ...] = ()  # of its metered readings, see `ingest.judge.baselines`
    drawn: Drawn | None = None  # by the session that runs at this socket
    offsets: Offsets | None = None  # of its clock, see `ingest.judge.clocks`
    whole_ms: int = 0  # when its allowance of messages is whole again, as `ingest.rate` has it
    in_service: bool = True
    wants_receipts: bool = False
    outlook: Outlook | None = None  # found out with the first report after a change
    dirty: bool = False

    @property
    def may_sleep(self) -> bool:
        """Whether it has no power outside the lighting hours: its silence is normal then."""
        planned = self.plan.silent
        detector = planned.sign.detector if planned is not None else None
        return (
            isinstance(detector, Silent)
            and detector.lighting_hours_only
            and self.device.attributes.get("supply") == "switched"
        )

    @property
    def latest(self) -> dict[str, tuple[Value, int]]:
        """The newest value of each quantity, and when it was so: {quantity: (value, at_ms)}."""
        if self.said is not None:
            self._take_apart(self.said)
        return self.kept

    def says(self, values: dict[str, Value], at_ms: int) -> None:
        """A report that is newer than all before."""
        said = self.said
        if said is not None and said.keys() != values.keys():
            self._take_apart(said)
        self.said, self.said_ms = values, at_ms

    def word(self, quantity: str) -> Value | None:
        """The latest value of `quantity`, None when it never came."""
        if self.said is not None and quantity in self.said:
            return self.said[quantity]
        known = self.kept.get(quantity)
        return None if known is None else known[0]

    def told(self, quantity: str) -> tuple[Value, int] | None:
        """The latest value of `quantity` and when it was so, None when it never came."""
        if self.said is not None and quantity in self.said:
            return self.said[quantity], self.said_ms
        return self.kept.get(quantity)

    def _take_apart(self, said: Mapping[str, Value]) -> None:
        kept, at_ms = self.kept, self.said_ms
        for name, value in said.items():
            kept[name] = (value, at_ms)
        self.said = None


_pack = msgspec.msgpack.Encoder().encode


def pack_latest(memory: DeviceMemory) -> bytes:
    """The latest values as the database keeps them: {quantity: [value, at_ms]}."""
    return _pack(memory.latest)


def pack(memory: DeviceMemory) -> bytes:
    """Everything else that is needed to go on after a restart; `unpack` is its inverse."""
    return _pack(
        (
            memory.window,
            memory.will_ms,
            memory.event_at_ms,
            list(memory.signs.items()) if memory.signs else (),
            memory.hours,
            memory.used_to_ms,
            memory.energy_kwh,
            memory.metered_kwh,
            memory.ended,
            memory.whole_ms,
            list(memory.guessed.values()) if memory.guessed else (),
            list(memory.tallies.items()) if memory.tallies else (),
            memory.passed_ms,
            memory.runs,
            memory.drawn,
            memory.weak_ms,
            memory.offsets,
            memory.full_hours,
            memory.opened_ms,
            memory.energy_ms,
        )
    )


class _Packed(msgspec.Struct, array_like=True):
    """What `pack` wrote. Fields are only ever added at the end, with a default."""

    window: SeqWindow
    will_ms: int | None
    event_at_ms: int
    signs: list[tuple[SignKey, Seen]]
    hours: dict[int, Hour]
    used_to_ms: int | None
    energy_kwh: float | None
    metered_kwh: float = 0.0
    ended: Ended | None = None
    whole_ms: int = 0
    guessed: list[Ended] = []
    tallies: list[tuple[SignKey, Tally]] = []
    passed_ms: int = 0
    runs: tuple[Run, ...] = ()
    drawn: Drawn | None = None
    weak_ms: int | None = None
    offsets: Offsets | None = None
    full_hours: int = 0
    opened_ms: int | None = None
    energy_ms: int | None = None


_unpack = msgspec.msgpack.Decoder(_Packed).decode
_unpack_latest = msgspec.msgpack.Decoder(dict[str, tuple[Value, int]]).decode
_EMPTY = _pack({})


def unpack(memory: DeviceMemory, latest: bytes, packed: bytes) -> None:
    """Fill `memory` from its row. An empty map is a device that was never judged."""
    memory.kept, memory.said = _unpack_latest(latest), None
    if packed == _EMPTY:
        return
    kept = _unpack(packed)
    memory.window = kept.window
    memory.will_ms = kept.will_ms
    memory.event_at_ms = kept.event_at_ms
    # a rule may have left the catalogue since
    memory.signs = {key: seen for key, seen in kept.signs if key[:2] in memory.plan.signs}
    memory.hours = kept.hours
    for hour in kept.hours.values():
        hour.moved = True
    memory.used_to_ms = kept.used_to_ms
    memory.energy_kwh = kept.energy_kwh
    memory.metered_kwh = kept.metered_kwh
    memory.ended = kept.ended
    memory.whole_ms = kept.whole_ms
    memory.guessed = {ended.order: ended for ended in kept.guessed}
    memory.weak_ms = kept.weak_ms
    memory.offsets = kept.offsets
    memory.passed_ms = kept.passed_ms
    memory.runs = kept.runs
    memory.drawn = kept.drawn
    memory.tallies = {key: tally for key, tally in kept.tallies if key[0] in memory.plan.rules}
    memory.full_hours = kept.full_hours
    memory.opened_ms = kept.opened_ms
    memory.energy_ms = kept.energy_ms
