"""A compound as the judge sees it: what hangs on what, and what is remembered of all together.

Where the registry does not say behind which gateway a device is, and the compound has but one, it
is taken to be behind that one if it fell silent with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from devices.catalogue import COMPOUND
from devices.faults import Fault, State
from devices.liveness import is_eligible, silence_limit_s
from devices.registry import Compound, Device, Registry
from devices.roots import (
    GW_OFFLINE,
    SUPPRESSES,
    TOGETHER_MS,
    Effect,
    explains,
)
from ingest.judge.memory import DeviceMemory, Presence, Seen, SignKey
from ingest.judge.plan import KindPlan

EVIDENCE_KEPT = 32
EVIDENCE_KEPT_MS = 60 * 60_000  # longer than anybody eligible is silent before it is offline
ENDED_KEPT = 32
_HIGHEST_FIRST = tuple(SUPPRESSES)
_OWN_MODEM = frozenset({"gateway", "shed", "port"})

ChildKey = tuple[str, str]  # device, code


class Evidence(msgspec.Struct, array_like=True, frozen=True):
    """A word that the power is gone: when (by our clock), whose, and which."""

    at_ms: int
    device: str
    what: str


class Root(msgspec.Struct, array_like=True):
    """A root fault that stands, or ended so lately that what it explained is still waited for."""

    id: str
    code: str
    since_ms: int
    device: str | None
    ended_ms: int | None = None


class _Kept(msgspec.Struct, array_like=True):
    """What `pack` writes. Fields are only ever added at the end, with a default."""

    evidence: list[Evidence] = []
    ended: list[Root] = []
    signs: list[tuple[SignKey, Seen]] = []
    found_ms: int = 0


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Kept).decode


@dataclass(slots=True, eq=False)
class Yard:
    """One compound.

    memory: of the compound as a whole, judged like a device. devices: all in service. eligible:
    those whose silence says something of the others. roots: by id; open: those that stand, the
    highest first. children: which fault of which device is explained by which root. found_ms: when
    the power cut that stands, or is about to, was seen. longest_ms: the longest silence limit of
    any device. is_stirred: something other than time has happened since it was last looked at.
    """

    memory: DeviceMemory
    devices: list[DeviceMemory] = field(default_factory=list)
    eligible: list[DeviceMemory] = field(default_factory=list)
    gateways: list[DeviceMemory] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)  # device -> its gateway
    gates: int = 0
    evidence: list[Evidence] = field(default_factory=list)
    roots: dict[str, Root] = field(default_factory=dict)
    open: list[Root] = field(default_factory=list)
    children: dict[ChildKey, str] = field(default_factory=dict)
    found_ms: int = 0
    longest_ms: int = 0
    is_stirred: bool = True

    @property
    def id(self) -> str:
        return self.memory.device.id

    def may_change(self) -> bool:
        """Whether looking at it may show something new: with all offline, time changes nothing."""
        if self.is_stirred:
            return True
        online, unknown = Presence.ONLINE, Presence.UNKNOWN
        return any(memory.state in (online, unknown) for memory in self.eligible)

    def is_waited_for(self) -> bool:
        """Whether a root is over, and what it explained has not had its time yet."""
        return any(root.ended_ms is not None for root in self.roots.values())

    def is_of_interest(self) -> bool:
        """Whether anything may come of looking at it with the next tick."""
        return (
            bool(self.roots)
            or bool(self.evidence)
            or bool(self.memory.signs)
            or any(memory.state in (Presence.OFFLINE, Presence.UNKNOWN) for memory in self.eligible)
        )

    def note(self, evidence: Evidence) -> None:
        """Remember a word that the power is gone."""
        self.evidence.append(evidence)
        del self.evidence[:-EVIDENCE_KEPT]

    def reaches(self, root: Root, memory: DeviceMemory) -> bool:
        """Whether a device is in the place of this root."""
        device = memory.device
        match root.code:
            case "COMPOUND_POWER_CUT":
                return True
            case "GW_OFFLINE":
                return self.behind.get(device.id) == root.device
            case "SHED_POWER_CUT" | "SHED_OFFLINE":
                return root.device in (device.id, device.parent)
        if device.id == root.device:
            return True
        there = next((m.device for m in self.devices if m.device.id == root.device), None)
        return there is not None and there.circuit is not None and there.circuit == device.circuit

    def explains(self, root: Root, memory: DeviceMemory, fault: Effect, deaf_s: int) -> bool:
        """Whether this root stands behind that fault of a device of the compound.

        deaf_s: for so long we could not hear, since the fault began: it may have begun later.
        """
        interval_s = memory.device.interval_s + deaf_s
        if not self.reaches(root, memory) or not explains(root, fault, interval_s):
            return False
        guessed = root.code == GW_OFFLINE and memory.device.parent is None
        return not guessed or fault.since_ms <= root.since_ms + TOGETHER_MS + 60_000

    def standing(self) -> Iterator[Fault]:
        """Every fault in the compound."""
        yield from self.memory.faults.values()
        for memory in self.devices:
            yield from memory.faults.values()

    def sort_roots(self) -> None:
        """Find anew which roots stand, when one has begun or ended."""
        self.open = [root for root in self.roots.values() if root.ended_ms is None]
        self.open.sort(key=lambda root: (_HIGHEST_FIRST.index(root.code), root.since_ms, root.id))


def root_of(fault: Fault) -> Root:
    """What is kept of a root fault."""
    ended_ms = None
    if fault.state in (State.CLEARED, State.CLOSED):
        ended_ms = fault.cleared_at_ms or fault.closed_at_ms or 0
    return Root(fault.id, fault.code, fault.since_ms, fault.device, ended_ms)


def a_yard(compound: Compound, plan: KindPlan) -> Yard:
    """A compound of which nothing is known yet."""
    as_device = Device(compound.id, COMPOUND, compound.id, compound.name.zh, plan.kind.interval_s)
    return Yard(DeviceMemory(as_device, plan, Presence.ONLINE, None))


def settle_in(yard: Yard, devices: Iterable[DeviceMemory], registry: Registry) -> None:
    """Find out anew who belongs to the compound and what hangs on what."""
    yard.is_stirred = True
    yard.devices = [memory for memory in devices if memory.in_service]
    yard.eligible = [memory for memory in yard.devices if is_eligible(memory.device)]
    yard.gateways = [memory for memory in yard.devices if memory.device.kind == "gateway"]
    yard.gates = sum(memory.device.kind == "gate" for memory in yard.devices)
    limits = [silence_limit_s(memory.device) for memory in yard.devices]
    yard.longest_ms = int(max(limits, default=0) * 1000)
    only = yard.gateways[0].device.id if len(yard.gateways) == 1 else None
    yard.behind = {}
    for memory in yard.devices:
        device = memory.device
        if device.kind in _OWN_MODEM:
            continue
        above = _gateway_above(device, registry)
        if above is None and device.parent is None:
            above = only
        if above is not None:
            yard.behind[device.id] = above


def _gateway_above(device: Device, registry: Registry) -> str | None:
    parent = registry.devices.get(device.parent or "")
    while parent is not None:
        if parent.kind == "gateway":
            return parent.id
        parent = registry.devices.get(parent.parent or "")
    return None


def take_stock(yard: Yard) -> None:
    """Find the roots and their children among the faults: those that were loaded."""
    for fault in yard.standing():
        if fault.code in SUPPRESSES and fault.state in (State.OPEN, State.ACKNOWLEDGED):
            yard.roots[fault.id] = root_of(fault)
    for fault in yard.standing():
        if fault.suppressed_by is not None and fault.state in (State.OPEN, State.ACKNOWLEDGED):
            yard.children[fault.subject, fault.code] = fault.suppressed_by
    yard.sort_roots()


def pack_yard(yard: Yard) -> bytes:
    """What cannot be found in the rows of faults and devices; `unpack_yard` is its inverse."""
    ended = [root for root in yard.roots.values() if root.ended_ms is not None]
    return _pack(
        _Kept(
            yard.evidence,
            ended[-ENDED_KEPT:],
            list(yard.memory.signs.items()),
            yard.found_ms,
        )
    )


def unpack_yard(yard: Yard, packed: bytes) -> None:
    """Fill a compound from its row."""
    kept = _unpack(packed)
    yard.evidence = kept.evidence
    yard.roots |= {root.id: root for root in kept.ended}
    signs = yard.memory.plan.signs
    yard.memory.signs = {key: seen for key, seen in kept.signs if key[:2] in signs}
    yard.found_ms = kept.found_ms


Yards = Mapping[str, Yard]
