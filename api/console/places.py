"""A compound's devices by where they are: its buildings with their units, and what stands outside.

A place keeps its place: trouble is marked where it is, and moves nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from api.console.device_readings import word_of
from api.console.naming import fault_name
from api.words import Language, duration, grouped, knows, named, say
from devices.faults import Fault
from devices.kinds import KINDS
from devices.registry import Name
from devices.stop_reasons import PortStatus
from devices.store.devices import Standing
from devices.store.overview import burning
from devices.telling import quantity_name, unit_of

OUTSIDE: Mapping[str, tuple[str, ...]] = {  # groups of what is in no building, by kind
    "gates": ("gate",),
    "sheds": ("shed", "port"),
    "lamps": ("lamp",),
    "security": ("camera",),
    "links": ("gateway", "lift"),
}
TROUBLE = ("p1", "p2", "p3")
VALUES_SHOWN = 4
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as it is drawn. look: p1 to p3 for its worst open fault that nothing else explains
    (a notice is no trouble), else offline, unknown, asleep (no power by day), on or off, or ok for
    what is neither.

    lit: lamps of it that burn; None: unknown, or it is no lamp. fault: its worst, also a notice.
    """

    standing: Standing
    look: str
    lit: int | None
    fault: Fault | None

    @property
    def kind(self) -> str:
        return self.standing.kind

    @property
    def lamps(self) -> int:
        if self.standing.kind != "lamp":
            return 0
        count = self.standing.attributes.get("lamp_count", 1)
        return int(count) if isinstance(count, int | float) else 1

    @property
    def is_trouble(self) -> bool:
        return self.look in TROUBLE

    @property
    def is_known(self) -> bool:
        """Whether anything can be said of what it does now."""
        return self.standing.state == "online"


@dataclass(frozen=True, slots=True)
class Place:
    """A building, or a group outside. key: the building's name, or a key of OUTSIDE."""

    key: str
    is_building: bool
    devices: Sequence[Seen]

    @property
    def units(self) -> list[str]:
        return sorted({one.standing.unit for one in self.devices} - {""}, key=in_order)

    @property
    def worst(self) -> Seen | None:
        """The device with the worst fault that is shown loudly."""
        loud = [one for one in self.devices if one.is_trouble]
        return min(loud, key=lambda one: (one.look, one.standing.id), default=None)

    def of(self, *kinds: str) -> list[Seen]:
        return [one for one in self.devices if one.kind in kinds]


def seen(standings: Iterable[Standing], open_faults: Iterable[Fault], now_ms: int) -> list[Seen]:
    """How each of a compound's devices looks. open_faults: those of the compound."""
    worst: dict[str, Fault] = {}
    for fault in open_faults:
        if fault.device is None or fault.suppressed_by is not None or fault.suspected:
            continue
        known = worst.get(fault.device)
        if known is None or fault.severity < known.severity:
            worst[fault.device] = fault
    return [_seen(one, worst.get(one.id), now_ms) for one in standings]


def _seen(standing: Standing, fault: Fault | None, now_ms: int) -> Seen:
    burning_n = _lit(standing, now_ms) if standing.kind == "lamp" else None
    look = _look(standing, burning_n)
    if fault is not None and fault.severity.lower() in TROUBLE:
        look = fault.severity.lower()
    return Seen(standing, look, burning_n, fault)


def _look(standing: Standing, burning_n: int | None) -> str:
    if standing.state != "online":
        if standing.reason == "asleep":
            return "asleep"
        return "offline" if standing.state == "offline" else "unknown"
    if standing.kind == "lamp":
        return "unknown" if burning_n is None else "on" if burning_n else "off"
    return _socket(standing) if standing.kind == "port" else "ok"


def _socket(standing: Standing) -> str:
    status = standing.latest.get("port_status")
    if status is None or status[0] in (PortStatus.UNKNOWN, PortStatus.OFFLINE):
        return "unknown"
    return "on" if status[0] in (PortStatus.IN_USE, PortStatus.FULL) else "off"


def _lit(standing: Standing, now_ms: int) -> int | None:
    """Lamps of it that burn, as the board of the overview counts them."""
    if standing.state != "online":
        return None
    lamps, nominal_w = (standing.attributes.get(name) for name in ("lamp_count", "nominal_power_w"))
    latest = standing.latest
    burning_n, until_ms = burning(
        int(lamps) if isinstance(lamps, int | float) else 1,
        float(nominal_w) if isinstance(nominal_w, int | float) else None,
        standing.interval_s,
        latest.get("switch_state"),
        latest.get("power_w"),  # type: ignore[arg-type]
        latest.get("dim_level_pct"),  # type: ignore[arg-type]
    )
    return burning_n if now_ms <= until_ms else None


def places(devices: Sequence[Seen]) -> list[Place]:
    """Buildings by their numbers, then the groups outside that there are."""
    buildings: dict[str, list[Seen]] = {}
    outside: dict[str, list[Seen]] = {key: [] for key in OUTSIDE}
    group_of = {kind: key for key, kinds in OUTSIDE.items() for kind in kinds}
    for one in devices:
        if one.standing.building:
            buildings.setdefault(one.standing.building, []).append(one)
        else:
            outside[group_of.get(one.kind, "links")].append(one)
    found = [
        Place(name, True, _sorted(buildings[name])) for name in sorted(buildings, key=in_order)
    ]
    found += [Place(key, False, _sorted(group)) for key, group in outside.items() if group]
    return found


def in_order(name: str) -> list[tuple[int, str]]:
    """A key by which 2号楼 stands before 10号楼."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(name) if part
    ]


def _sorted(devices: Iterable[Seen]) -> list[Seen]:
    kinds = list(KINDS)
    return sorted(
        devices,
        key=lambda one: (in_order(one.standing.unit), kinds.index(one.kind), one.standing.id),
    )


# In words


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device in a list, in words."""

    id: str
    kind: str
    name: str
    unit: str
    look: str
    state: str
    state_word: str
    reason: str
    fault: str
    fault_name: str
    seen: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """A place in a list. parts: what it does, in words; fault, fault_name, severity: its worst."""

    key: str
    name: str
    units: str
    severity: str
    fault: str
    fault_name: str
    parts: Sequence[str]
    seen: str
    devices: Sequence[DeviceLine]


def place_line(language: Language, place: Place, now_ms: int) -> PlaceLine:
    worst = place.worst
    newest_ms = max(
        (one.standing.last_seen_ms for one in place.devices if one.standing.last_seen_ms),
        default=None,
    )
    return PlaceLine(
        key=place.key,
        name=place_name(language, place),
        units=say(language, "pl_units", n=len(place.units)) if len(place.units) > 1 else "",
        severity="" if worst is None else worst.look,
        fault="" if worst is None or worst.fault is None else worst.fault.id,
        fault_name="" if worst is None else trouble_name(language, worst),
        parts=list(_parts(language, place)),
        seen=_ago(language, newest_ms, now_ms),
        devices=[_device_line(language, one, now_ms) for one in place.devices],
    )


def place_name(language: Language, place: Place) -> str:
    return place.key if place.is_building else say(language, f"pl_{place.key}")


def trouble_name(language: Language, one: Seen) -> str:
    return "" if one.fault is None else fault_name(language, one.fault.code)


def _parts(language: Language, place: Place) -> Iterable[str]:
    lamps, sockets = place.of("lamp"), place.of("port")
    if lamps:
        yield lamps_text(language, lamps)
    if sockets:
        yield sockets_text(language, sockets)
    others = [one for one in place.devices if one.kind not in ("lamp", "port")]
    if others:
        online = sum(one.standing.state == "online" for one in others)
        word = "pl_security_of" if {one.kind for one in others} == {"camera"} else "pl_online"
        yield say(language, word, n=online, of=len(others)) + _unknown(
            language, sum(one.standing.state in ("unknown", "never_seen") for one in others)
        )


class Counted(NamedTuple):
    """n of `of` do what is counted. unknown: nobody knows; asleep: they have no power by day."""

    n: int
    of: int
    unknown: int
    asleep: int = 0


def lit(lamps: Iterable[Seen]) -> Counted:
    """Lamps that burn, not their controllers."""
    burning_n = of = unknown = asleep = 0
    for one in lamps:
        of += one.lamps
        burning_n += one.lit or 0
        if one.standing.reason == "asleep":
            asleep += one.lamps
        elif one.lit is None:
            unknown += one.lamps
    return Counted(burning_n, of, unknown, asleep)


def charging(sockets: Sequence[Seen]) -> Counted:
    """Sockets in use, with a fault or without."""
    looks = [_look(one.standing, None) for one in sockets]
    known = looks.count("on") + looks.count("off")
    return Counted(looks.count("on"), len(looks), len(looks) - known)


def lamps_text(language: Language, lamps: Sequence[Seen]) -> str:
    """8/8 lit, and how many are unknown."""
    counts = lit(lamps)
    told = say(language, "pl_lit", n=counts.n, of=counts.of)
    if counts.asleep:
        told += say(language, "sep") + say(language, "pl_asleep", n=grouped(counts.asleep))
    return told + _unknown(language, counts.unknown)


def sockets_text(language: Language, sockets: Sequence[Seen]) -> str:
    """9/12 charging, and how many are unknown."""
    counts = charging(sockets)
    told = say(language, "pl_charging", n=counts.n, of=counts.of)
    return told + _unknown(language, counts.unknown)


def _unknown(language: Language, count: int) -> str:
    return say(language, "and_unknown", n=grouped(count)) if count else ""


def _ago(language: Language, at_ms: int | None, now_ms: int) -> str:
    if at_ms is None:
        return say(language, "never")
    return say(language, "ago", age=duration(language, max(0, now_ms - at_ms) / 1000))


def _device_line(language: Language, one: Seen, now_ms: int) -> DeviceLine:
    standing = one.standing
    kind = KINDS[standing.kind]
    reason = f"r_{standing.reason}"
    return DeviceLine(
        id=standing.id,
        kind=named(language, Name(kind.zh, kind.en)),
        name=standing.name,
        unit=standing.unit,
        look=one.look,
        state=standing.state,
        state_word=say(language, f"d_{standing.state}"),
        reason=say(language, reason) if standing.state != "online" and knows(reason) else "",
        fault="" if one.fault is None else one.fault.id,
        fault_name=trouble_name(language, one),
        seen=_ago(language, standing.last_seen_ms, now_ms),
        values=tuple(
            f"{quantity_name(language, standing.kind, name)} "
            f"{word_of(language, name, value, unit_of(standing.kind, name))}"
            for name, (value, _) in sorted(standing.latest.items())[:VALUES_SHOWN]
        ),
    )


def told(language: Language, one: Seen) -> str:
    """A device in one phrase: what it is called and how it stands."""
    standing = one.standing
    if one.fault is not None:
        severity = say(language, one.fault.severity.lower())
        how = f"{severity} {trouble_name(language, one)}"
    elif one.look in ("on", "off"):
        how = say(language, f"pl_{standing.kind}_{one.look}")
    elif one.look == "asleep":
        how = say(language, "r_asleep")
    elif one.look == "ok":
        how = say(language, "d_online")
    else:
        how = say(language, "d_unknown" if one.look == "unknown" else f"d_{standing.state}")
    return f"{standing.name}{say(language, 'comma')}{how}"
