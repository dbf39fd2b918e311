"""What each fault takes away, counted when one is raised or changed, and anew with every hour.

With the tick that follows its move, the compound of a fault is counted once, and with it all faults
that stand there: the tenth socket out makes the first nine weigh more. Of what hangs on a device
that is out (a shed's sockets, a gateway's gates, the lamps of a circuit) all is out, and so is
whatever a root has taken with it. Ticks are records of the journal, so that an impact is a function
of it, too, wherever a batch or a commit ends.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from devices.catalogue import COMPOUND
from devices.faults import Fault, State, altered
from devices.impact import DISABLING, NAMES, Concern, impact, rank
from devices.judgement import Effects, Move
from devices.registry import Registry
from devices.roots import SUPPRESSES
from devices.rules import Severity
from devices.usage import HOUR_MS
from ingest.judge.baselines import offset_ms
from ingest.judge.lasting import ACTIVE
from ingest.judge.memory import DeviceMemory, Presence, Why
from ingest.judge.use import UNAVAILABLE, lamps_of, lit_of

_ASLEEP = Why.ASLEEP  # what has no power by day is not out of use
_BY_THEMSELVES = frozenset({"gate", "lamp", "camera", "lift"})  # of which none has sockets
STANDING = (State.OPEN, State.ACKNOWLEDGED, State.CLEARED)


class _Alike(NamedTuple):
    """What faults have in common that weigh the same, each of one device with nothing below it."""

    kind: str
    size: int
    down: int
    disables: bool
    severity: Severity
    safety: bool
    suspected: bool


@dataclass(slots=True)
class _Stock:
    """What a compound has, and what of it works. Sizes: one, or so many lamps. hour: local.

    weighed: what faults weigh that take away one device each, by all that it depends on.
    """

    hour: int
    total: dict[str, int] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # of each device that is down
    weighed: dict[_Alike, tuple[Mapping[str, object], float]] = field(default_factory=dict)


class Concerns:
    """Weighs the faults of one stream.

    whole: a compound as the subject of faults of its own. restated: told of standing faults that
    weigh differently now.
    """

    def __init__(
        self,
        memories: Mapping[str, DeviceMemory],
        whole: Callable[[str], DeviceMemory | None],
        restated: Callable[[Fault], None],
    ) -> None:
        self._memories = memories
        self._whole = whole
        self._restated = restated
        self._registry = Registry()
        self._yards: dict[str, list[DeviceMemory]] = {}
        # compounds in which a fault has moved since the last tick, and which are new there
        self._stirred: dict[str, list[str]] = {}

    @property
    def kept(self) -> dict[str, list[str]]:
        """What is to be weighed with the next tick; for `load` after a restart."""
        return self._stirred

    def load(self, kept: dict[str, list[str]]) -> None:
        """Go on where `kept` left off."""
        self._stirred = kept

    def registry_changed(self, registry: Registry) -> None:
        """From here on compounds have these devices."""
        self._registry = registry
        self._yards = {name: [] for name in registry.compounds}
        for memory in self._memories.values():
            if memory.in_service:
                self._yards[memory.device.compound].append(memory)

    def moved(self, move: Move) -> None:
        """A fault has moved: it weighs differently, and so may those beside it."""
        if move.fault.compound is not None:
            fresh = self._stirred.setdefault(move.fault.compound, [])
            if move.was is None:
                fresh.append(move.fault.id)

    def person_moved(self, fault: Fault) -> None:
        """A person acted on a fault: confirmed, it has a class; closed, it weighs on no other."""
        if fault.compound is not None:
            self._stirred.setdefault(fault.compound, [])

    def tick(self, effects: Effects, before_ms: int | None, watermark_ms: int) -> None:
        """Weigh the faults where one has moved; with a new hour, everywhere.

        What people want at this hour is not what they wanted at the last.
        """
        stirred, self._stirred = self._stirred, {}
        if before_ms is not None and before_ms // HOUR_MS < watermark_ms // HOUR_MS:
            for compound, yard in self._yards.items():
                whole = self._whole(compound)
                if (whole is not None and whole.faults) or any(memory.faults for memory in yard):
                    stirred.setdefault(compound, [])
        if not stirred:
            return
        pending = {move.fault.id: n for n, move in enumerate(effects.moves)}
        for compound, fresh in stirred.items():
            if compound in self._yards:
                self._weigh_all(compound, fresh, watermark_ms, effects, pending)

    def _weigh_all(
        self,
        compound: str,
        fresh: list[str],
        at_ms: int,
        effects: Effects,
        pending: Mapping[str, int],
    ) -> None:
        """Weigh all faults of a compound: those that stand, and new ones that are over already."""
        stock = self._stock(compound, at_ms)
        whole = self._whole(compound)
        for memory in (*self._yards[compound], *((whole,) if whole is not None else ())):
            for code, fault in list(memory.faults.items()) if memory.faults else ():
                if fault.compound != compound or (
                    fault.state not in STANDING and fault.id not in fresh
                ):
                    continue
                alike = self._alike(memory, fault, stock)
                known = None if alike is None else stock.weighed.get(alike)
                if known is None:
                    concern = self._concern(fault, stock)
                    told: Mapping[str, object] = impact(concern)
                    where = rank(
                        fault.severity, concern, safety=fault.safety, suspected=fault.suspected
                    )
                    if alike is not None:
                        stock.weighed[alike] = told, where
                else:
                    told, where = known
                if where == fault.rank and told == fault.impact:
                    continue  # a copy of a fault costs more than all of this
                weighed = altered(fault, impact=told, rank=where)
                memory.faults[code] = weighed
                n = pending.get(fault.id)
                if n is None:
                    self._restated(weighed)
                else:  # it is not written yet
                    effects.moves[n] = Move(weighed, effects.moves[n].was, effects.moves[n].event)
                    effects.restated.pop(fault.id, None)

    def _alike(self, memory: DeviceMemory, fault: Fault, stock: _Stock) -> _Alike | None:
        """By what it is known how much a fault weighs; None where it takes more than one device.

        In a street of lamps that fell silent each weighs the same.
        """
        device = memory.device
        if device.kind not in _BY_THEMSELVES or fault.code in SUPPRESSES:
            return None
        disables = fault.code in DISABLING
        if disables and self._registry.children(device.id):
            return None
        return _Alike(
            device.kind,
            _size(memory, down=True),
            stock.sizes.get(device.id, 0),
            disables,
            fault.severity,
            fault.safety,
            fault.suspected,
        )

    def _concern(self, fault: Fault, stock: _Stock) -> Concern:
        compound = self._registry.compounds[fault.compound or ""]
        memory = self._memories.get(fault.device or "")
        concerned = self._concerned(fault, memory)
        out: dict[str, int] = {}
        down = dict(stock.down)
        for one in concerned:
            name = NAMES.get(one.device.kind)
            if name is None:
                continue
            size = _size(one, down=one is memory)  # what a root takes, it takes whole
            # those beside it that work are what is left, also where it is not out of use itself
            down[name] = down.get(name, 0) + size - stock.sizes.get(one.device.id, 0)
            out[name] = out.get(name, 0) + size
        near = near_left = None
        shed = _shed_of(memory)
        if shed is not None:
            there = {one.device.id for one in concerned}
            ports = [m for m in map(self._of, self._registry.children(shed)) if m is not None]
            near = len(ports)
            near_left = sum(
                port.device.id not in there and port.device.id not in stock.sizes for port in ports
            )
        return Concern(
            households=compound.households,
            hour=stock.hour,
            out=out,
            down=down,
            total=stock.total,
            near=near,
            near_left=near_left,
            charging=sum(one.session is not None for one in self._charging(memory, concerned)),
            disables=fault.code in DISABLING or fault.kind == COMPOUND,
            is_whole=fault.kind == COMPOUND
            or (fault.kind == "gateway" and fault.code in DISABLING),
        )

    def _concerned(self, fault: Fault, memory: DeviceMemory | None) -> list[DeviceMemory]:
        """The devices that a fault takes away: its own, what hangs on it, what it explains."""
        yard = self._yards[fault.compound or ""]
        if memory is None:
            return yard
        found = {memory.device.id: memory}
        if fault.code in DISABLING:
            for child in self._registry.children(memory.device.id):
                below = self._of(child)
                if below is not None:
                    found[child.id] = below
            if fault.code == "CIRCUIT_SUPPLY_LOSS" and memory.device.circuit is not None:
                for one in yard:
                    if one.device.circuit == memory.device.circuit:
                        found[one.device.id] = one
        for one in yard if fault.code in SUPPRESSES else ():
            if one.faults and any(
                child.suppressed_by == fault.id and child.state in ACTIVE
                for child in one.faults.values()
            ):
                found[one.device.id] = one
        return list(found.values())

    def _charging(
        self, memory: DeviceMemory | None, concerned: list[DeviceMemory]
    ) -> Iterable[DeviceMemory]:
        """Where charges may be under way: also in a shed that goes on charging, hot as it is."""
        if memory is not None and memory.device.kind == "shed":
            below = map(self._of, self._registry.children(memory.device.id))
            return [port for port in below if port is not None]
        return concerned

    def _of(self, device: object) -> DeviceMemory | None:
        memory = self._memories.get(getattr(device, "id", ""))
        return memory if memory is not None and memory.in_service else None

    def _stock(self, compound: str, at_ms: int) -> _Stock:
        local_ms = at_ms + offset_ms(self._registry.compounds[compound].timezone, at_ms)
        stock = _Stock(local_ms // HOUR_MS % 24)
        for memory in self._yards[compound]:
            name = NAMES.get(memory.device.kind)
            if name is None:
                continue
            stock.total[name] = stock.total.get(name, 0) + _size(memory, down=False)
            if _is_down(memory):
                size = _size(memory, down=True)
                stock.sizes[memory.device.id] = size
                stock.down[name] = stock.down.get(name, 0) + size
        return stock


def _is_down(memory: DeviceMemory) -> bool:
    """Whether nobody can use it, or nobody knows."""
    if memory.state is not Presence.ONLINE and memory.reason is not _ASLEEP:
        return True
    if memory.device.kind == "port" and memory.word("port_status") in UNAVAILABLE:
        return True
    return bool(memory.faults) and any(
        fault.code in DISABLING and fault.state in ACTIVE for fault in memory.faults.values()
    )


def _size(memory: DeviceMemory, *, down: bool) -> int:
    """One; of lamps so many. down: those of them that are dark, as far as their power tells."""
    if memory.device.kind != "lamp":
        return 1
    lamps = lamps_of(memory)
    is_there = memory.state is Presence.ONLINE or memory.reason is _ASLEEP
    if not down or not is_there:
        return lamps
    burning = lit_of(memory, lamps)
    return max(1, lamps - burning) if burning else lamps


def _shed_of(memory: DeviceMemory | None) -> str | None:
    if memory is None:
        return None
    if memory.device.kind == "shed":
        return memory.device.id
    return memory.device.parent if memory.device.kind == "port" else None
