"""Whom a fault concerns, what is left to them, and which fault comes first.

Nothing here looks at a device: `ingest.judge.concern` counts what a compound has and what of it is
out, and asks. A rank orders the fault list, the highest first (domain.md §6.4): the safety tier,
then the class, then inside a class the share of the compound's sockets, lamps or gates that is out,
times how much they are wanted at this hour, times whether there is another one to go to. What is
only suspected comes behind everything that is certain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.rules import Severity

# Of these one is out of use, or nobody knows, while such a fault stands. Others stand in the way of
# nothing: a box that is too hot still charges.
DISABLING = frozenset(
    {
        "BARRIER_BLOCKED", "BARRIER_CTRL_OFFLINE", "BARRIER_MOTOR", "GATE_LOCK_FAULT",
        "GATE_NO_PASSAGE", "GATE_OFFLINE", "GW_OFFLINE",
        "PORT_BATTERY_ABNORMAL", "PORT_FAULT", "PORT_FUSE_BLOWN", "PORT_IDLE_SUSPECT",
        "PORT_NO_LOAD_REPEAT", "PORT_OVERTEMP", "PORT_RELAY_STUCK",
        "SHED_LEAKAGE", "SHED_OFFLINE", "SHED_POWER_CUT", "SHED_SMOKE",
        "CABINET_LEAKAGE", "CIRCUIT_SUPPLY_LOSS", "LAMP_COMM", "LAMP_DRIVER", "LAMP_NOT_ON_SCHED",
        "LAMP_OUT", "LAMP_RELAY",
        "CCTV_DISK", "CCTV_MAINS", "CCTV_NOT_RECORDING", "CCTV_OCCLUDED", "CCTV_OFFLINE",
        "CCTV_VIDEO_LOSS", "LIFT_OFFLINE", "LIFT_STOPPED", "LIFT_TRAPPED",
    }
)  # fmt: skip

# What people miss, by the name it has in an impact; and by how much they want it at each local
# hour, 0 to 1: passages and arrivals as in domain.md §7.1 and §7.2, light by night.
# fmt: off
_PASSING = (
    0.2, 0.2, 0.2, 0.2, 0.2, 0.3, 0.5, 1.0, 0.9, 0.7, 0.6, 0.7,
    0.7, 0.6, 0.5, 0.6, 0.7, 1.0, 1.0, 0.8, 0.5, 0.4, 0.3, 0.2,
)
_CHARGING = (
    0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.5,
    0.6, 0.5, 0.4, 0.4, 0.5, 0.7, 1.0, 1.0, 1.0, 0.9, 0.7, 0.5,
)
_LIGHT = (
    0.6, 0.5, 0.5, 0.5, 0.6, 0.8, 0.5, 0.2, 0.1, 0.1, 0.1, 0.1,
    0.1, 0.1, 0.1, 0.1, 0.3, 0.7, 1.0, 1.0, 1.0, 1.0, 0.9, 0.8,
)
# fmt: on
_WATCHING = (0.5,) * 24
WANTED: Mapping[str, tuple[float, ...]] = {
    "gates": _PASSING,
    "sockets": _CHARGING,
    "lamps": _LIGHT,
    "cameras": _WATCHING,
    "lifts": _PASSING,
}
NAMES: Mapping[str, str] = {
    "gate": "gates", "port": "sockets", "lamp": "lamps", "camera": "cameras", "lift": "lifts"
}  # fmt: skip

WORKING = 0.4  # it is not out of use: a tampered gate opens
WITH_ANOTHER = 0.6  # there is another gate, or socket, or lift in this compound that works
INSIDE = 999.0  # what the share can add: less than a class
_CLASSES: Mapping[Severity, float] = {
    Severity.P1: 4000.0,
    Severity.P2: 3000.0,
    Severity.P3: 2000.0,
    Severity.P4: 1000.0,
}
_SAFETY = 5000.0


@dataclass(frozen=True, slots=True)
class Concern:
    """What one fault takes away, of what a compound has. Keys: as in WANTED; absent is none.

    out: by this fault and what it brings with it. down: by whatever it is, this fault included;
    total: there are. near, near_left: sockets of the same shed, and those of them that work.
    charging: sessions that run at the sockets concerned. hour: local, 0 to 23. disables: what is
    concerned is out of use, and does not only want looking at. is_whole: all households are.
    """

    households: int
    hour: int
    out: Mapping[str, int] = field(default_factory=dict)
    down: Mapping[str, int] = field(default_factory=dict)
    total: Mapping[str, int] = field(default_factory=dict)
    near: int | None = None
    near_left: int | None = None
    charging: int = 0
    disables: bool = True
    is_whole: bool = False

    def left(self, name: str) -> int:
        """How many of these the compound still has."""
        return max(0, self.total.get(name, 0) - self.down.get(name, 0))


def impact(concern: Concern) -> dict[str, object]:
    """What the API tells of it; what a fault does not take away is left out.

    households: all of the compound where nothing of it is supplied or heard, or where it has no
    other gate or lift that works; with one left, those who would come by this one, an equal share
    a gate. Of sockets, lamps and cameras nobody can say whose they are: they are counted.
    {name}: out by this fault; {name}_left: what the compound still has; {name}_total: of so many.
    sockets_left is of the shed if there is one, else of the compound. at_hour: the local hour for
    which the rank was worked out.
    """
    told: dict[str, object] = {}
    households = _households(concern)
    if households is not None:
        told["households"] = households
    for name in WANTED:
        out = concern.out.get(name, 0)
        if out and concern.disables:
            told[name] = out
            told[f"{name}_left"] = concern.left(name)
            told[f"{name}_total"] = concern.total.get(name, out)
    if "sockets" in told and concern.near is not None:
        told["sockets_left"] = concern.near_left or 0
        told["sockets_total"] = concern.near
    if "sockets" in told or concern.charging:
        told["charging"] = concern.charging
    told["at_hour"] = concern.hour
    return told


def rank(severity: Severity, concern: Concern, *, safety: bool, suspected: bool) -> float:
    """Where it stands among all faults; the highest comes first."""
    inside = round(INSIDE * _weight(concern), 1)
    return class_rank(severity, safety=safety, suspected=suspected) + inside


def class_rank(severity: Severity, *, safety: bool, suspected: bool) -> float:
    """Where its class begins: the rank of a fault of which nobody has counted yet what is out."""
    if suspected:
        return 0.0
    return _CLASSES[severity] + (_SAFETY if safety else 0.0)


def _households(concern: Concern) -> int | None:
    if concern.is_whole:
        return concern.households
    for name in ("gates", "lifts"):
        out = concern.out.get(name, 0)
        if not out or not concern.disables:
            continue
        if not concern.left(name):
            return concern.households
        return round(concern.households * out / max(1, concern.total.get(name, out)))
    return None


def _weight(concern: Concern) -> float:
    """0 to 1: the worst of what it concerns, and a little for charges that run."""
    worst = 0.0
    for name, wanted in WANTED.items():
        if not concern.out.get(name):
            continue
        total = max(1, concern.total.get(name, 0))
        down = max(concern.down.get(name, 0), concern.out[name])
        another = WITH_ANOTHER if concern.left(name) or not concern.disables else 1.0
        worst = max(worst, min(1.0, down / total) * wanted[concern.hour % 24] * another)
    if not concern.disables:
        worst *= WORKING
    if concern.is_whole:
        worst = max(worst, 0.9)
    return min(1.0, 0.95 * worst + 0.05 * min(1.0, concern.charging / 10))
