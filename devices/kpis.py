"""Service figures of domain.md §6.2: availability, times to answer and to repair, standing faults.

Pure functions over rows: devices as the registry has them, faults as they were recorded, windows of
maintenance, and when we could hear at all. One `Ground` is one compound. Whatever adds up is kept
in whole milliseconds and whole faults, so that compounds make a firm, and two halves of a range the
whole of it; shares come last, and are None where there is nothing to say.

Availability is taken over *known* time: a device's time in service, less planned work, less what
nobody can know, because we could not hear or it has never been heard. A lamp whose supply is
switched is in service only while lamps are to burn. Of overlapping faults of one device time counts
once. A fault that came and went counts from its first raise to its last end: at most ten minutes
lie between two.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

from devices.catalogue import RULES
from devices.faults import FALSE_ALARM, FLAPS_FROM, State, Why
from devices.impact import DISABLING
from devices.kinds.port import GOOD
from devices.maintenance import Window
from devices.roots import (
    CIRCUIT_SUPPLY_LOSS,
    COMPOUND_POWER_CUT,
    GW_OFFLINE,
    SHED_OFFLINE,
    SHED_POWER_CUT,
    explains,
)
from devices.rules import Severity, Silent
from devices.sla import UNMENDED, Limit, Terms, due_ms
from devices.spans import Span, clip, intersect, length_ms, subtract, union
from devices.sun import DAY_MS, sun_around

# The fault that says that a device of this kind is silent.
OFFLINE: Mapping[str, str] = MappingProxyType(
    {
        rule.kind: rule.code
        for rule in RULES.values()
        if any(isinstance(sign.detector, Silent) for sign in rule.signs)
    }
)
NEVER_SEEN = "DEV_NEVER_SEEN"
# Power and network: what stands behind an outage and is not the device's own (domain.md §3.3).
UPSTREAM = frozenset({COMPOUND_POWER_CUT, GW_OFFLINE, SHED_POWER_CUT, CIRCUIT_SUPPLY_LOSS})
# With one of these a socket charges nobody: its own, or its shed's.
OUT_OF_USE = frozenset(
    code for code in DISABLING if RULES[code].kind in ("port", "shed") and not RULES[code].suspected
)
OF_LAMPS = ("LAMP_", "CIRCUIT_")  # how the codes begin that count against lamps
DEAF_BEFORE_MS = 20_000  # so long the probe had been missing when we first said so
PLACE_DEG = 0.05  # compounds so near share a dusk: of 6 s at most
STANDING_MS = DAY_MS
# What ended so long ago makes no fault that stands now less overdue: no default limit is longer.
EXCUSED_MS = 8 * DAY_MS
_WITHOUT_END = 2**53
_OWN_MODEM = frozenset({"gateway", "shed", "port"})
# Ends that are no repair: the fault was none, or nobody looks at it any more.
_NO_REPAIR = frozenset(
    {FALSE_ALARM, Why.HISTORY_ENDS.value, "out_of_service", "moved", "kind_changed"}
)


class Member(NamedTuple):
    """A device, as the registry has it and as it stands now.

    lamps: behind it. state: online, offline, unknown, never_seen; None if nobody has judged it.
    state_ms: since when. port_status: of a socket, the latest.
    """

    id: str
    kind: str
    compound: str
    parent: str | None
    circuit: str | None
    interval_s: int
    lamps: int
    is_switched: bool
    commissioned_at_ms: int | None
    decommissioned_at_ms: int | None
    state: str | None = None
    reason: str | None = None
    state_ms: int | None = None
    port_status: str | None = None


class Spell(NamedTuple):
    """A fault, as far as figures need it.

    is_live: not of a back-filled history. raises_ms: as `devices.faults.Fault` has them; empty for
    one that was raised once. ended_ms: its condition was over, or a person closed it. dark: lamps
    of a circuit that are out, where the fault says so.
    """

    id: str
    code: str
    kind: str
    compound: str
    device: str | None
    severity: str
    safety: bool
    suspected: bool
    is_live: bool
    state: str
    since_ms: int
    opened_at_ms: int
    raises_ms: tuple[int, ...]
    acknowledged_at_ms: int | None
    onsite_at_ms: int | None
    ended_ms: int | None
    suppressed_by: str | None
    resolution: str | None
    is_repeat: bool
    dark: float | None = None

    @property
    def span(self) -> Span:
        return self.since_ms, _WITHOUT_END if self.ended_ms is None else self.ended_ms

    @property
    def told_ms(self) -> int:
        """The raise that its acknowledgement answers: of several that people were told of."""
        before_ms = _WITHOUT_END if self.acknowledged_at_ms is None else self.acknowledged_at_ms
        told = [at_ms for at_ms in self.raises_ms[:FLAPS_FROM] if at_ms <= before_ms]
        return max(told, default=self.opened_at_ms)


class Told(NamedTuple):
    """A line in the history of our own alarm that the probe is lost, in the order of the log."""

    fault: str
    at_ms: int
    reason: str
    becomes: str
    evidence: Mapping[str, object]


@dataclass(slots=True)
class Availability:
    """Device-milliseconds of devices of one kind.

    period_ms: in service. planned_ms: of that, under maintenance. unknown_ms: of the rest, what
    nobody can know. out_ms: of the known rest, out. upstream_ms: of that, for want of power or
    network.
    """

    devices: int = 0
    period_ms: int = 0
    planned_ms: int = 0
    unknown_ms: int = 0
    out_ms: int = 0
    upstream_ms: int = 0

    def add(self, other: "Availability") -> None:
        self.devices += other.devices
        self.period_ms += other.period_ms
        self.planned_ms += other.planned_ms
        self.unknown_ms += other.unknown_ms
        self.out_ms += other.out_ms
        self.upstream_ms += other.upstream_ms

    @property
    def known_ms(self) -> int:
        return self.period_ms - self.planned_ms - self.unknown_ms

    @property
    def share(self) -> float | None:
        """0 to 1, whatever the cause; None where nothing is known."""
        return 1 - self.out_ms / self.known_ms if self.known_ms else None

    @property
    def own_share(self) -> float | None:
        """The same over the time in which power and network were there."""
        supplied_ms = self.known_ms - self.upstream_ms
        return 1 - (self.out_ms - self.upstream_ms) / supplied_ms if supplied_ms else None


@dataclass(slots=True)
class Sockets:
    """Sockets as they are at one moment; each is in one of the five."""

    usable: int = 0
    fault: int = 0
    disabled: int = 0
    offline: int = 0
    unknown: int = 0

    def add(self, other: "Sockets") -> None:
        self.usable += other.usable
        self.fault += other.fault
        self.disabled += other.disabled
        self.offline += other.offline
        self.unknown += other.unknown

    @property
    def total(self) -> int:
        return self.usable + self.fault + self.disabled + self.offline + self.unknown

    @property
    def share(self) -> float | None:
        """Usable, of those of which we know."""
        known = self.total - self.unknown
        return self.usable / known if known else None


@dataclass(slots=True)
class Service:
    """Faults raised in a range, and how they were answered; and what stands now.

    detected: all. suppressed: of those, explained by a root. Of the others: suspected, or raised.
    repeats: of the raised. closed, false_alarms: of the raised and the suspected. answered_s,
    repaired_s: of the raised, by the clock of service, which stands during maintenance and while a
    root explains the fault. overdue: now past a limit: unanswered ones, unrepaired ones, either.
    standing: now, for more than 24 h.
    """

    detected: int = 0
    suppressed: int = 0
    suspected: int = 0
    raised: int = 0
    repeats: int = 0
    closed: int = 0
    false_alarms: int = 0
    answered_s: list[float] = field(default_factory=list)
    repaired_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    unrepaired: int = 0
    overdue: int = 0
    standing: int = 0

    def add(self, other: "Service") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Lamps:
    """lamps: in service when the range ends. faults: new in it. intact: without one at its end."""

    lamps: int = 0
    faults: int = 0
    intact: int = 0

    def add(self, other: "Lamps") -> None:
        self.lamps += other.lamps
        self.faults += other.faults
        self.intact += other.intact


class _Silence(NamedTuple):
    """What a window of maintenance must cover for a device's silence to be planned."""

    compound: str
    kind: str
    device: str
    code: str
    safety: bool = False


class Ground:
    """One compound. heard: when messages of its devices were received, our outages aside.

    live_ms: since when the live stream hears of it; None: not yet. gaps: our own outages, a line.
    lit: when its lamps were to burn, a line. spells: at least all that touch the range asked for,
    all that stand, and what explained those. terms: of the firm that manages it.
    """

    def __init__(
        self,
        members: Sequence[Member],
        spells: Sequence[Spell],
        windows: Sequence[Window],
        *,
        heard: Sequence[Span],
        live_ms: int | None,
        gaps: Sequence[Span],
        lit: Sequence[Span],
        terms: Terms,
    ) -> None:
        self._members = {member.id: member for member in members}
        self._spells = spells
        self._windows = windows
        self._gaps = gaps
        self._heard = subtract(union(heard), gaps)
        self._live_ms = live_ms
        self._lit = lit
        self._terms = terms
        self._roots = [spell for spell in spells if spell.code in UPSTREAM]
        self._of: dict[str, list[Spell]] = {}
        for spell in spells:
            if spell.device is not None:
                self._of.setdefault(spell.device, []).append(spell)
        gateways = [member.id for member in members if member.kind == "gateway"]
        self._only_gateway = gateways[0] if len(gateways) == 1 else None
        self._known_of: dict[tuple[object, ...], tuple[Availability, list[Span]]] = {}

    # Availability

    def unheard(self, from_ms: int, to_ms: int) -> list[Span]:
        """When nothing of this compound could reach us, or is judged; a line."""
        return subtract(clip([(from_ms, to_ms)], from_ms, to_ms), self._heard)

    def availability(
        self, from_ms: int, to_ms: int
    ) -> tuple[dict[str, Availability], Availability]:
        """By kind, of kinds that it has; and of sockets whether they could be used, which is more:
        neither silent, nor without power, nor at fault."""
        kinds: dict[str, Availability] = {}
        sockets = Availability()
        for member in self._members.values():
            base, known = self._known(member, from_ms, to_ms)
            into = kinds.setdefault(member.kind, Availability())
            into.add(base)
            silent = self._silences(member)
            if silent:
                _subtract_out(into, known, silent)
            if member.kind != "port":
                continue
            sockets.add(base)
            unusable = silent + self._unusable(member)
            if unusable:
                _subtract_out(sockets, known, unusable)
        return kinds, sockets

    def _known(self, member: Member, from_ms: int, to_ms: int) -> tuple[Availability, list[Span]]:
        """Its time in the range, without outages yet, and the line of what is known of it."""
        doubts = self._doubts(member)
        covering = tuple(n for n, window in enumerate(self._windows) if _is_planned(window, member))
        shed = self._members.get(member.parent or "") if member.kind == "port" else None
        if shed is not None:
            covering += tuple(n for n, w in enumerate(self._windows) if _is_planned(w, shed))
        since, until = member.commissioned_at_ms, member.decommissioned_at_ms
        sleeps = member.kind == "lamp" and member.is_switched
        key = (from_ms, to_ms, doubts, covering, since, until, sleeps)
        found = self._known_of.get(key)
        if found is None:
            service = (from_ms if since is None else since, to_ms if until is None else until)
            period = clip([service], from_ms, to_ms)
            if sleeps:
                period = intersect(period, self._lit)
            windows = [self._windows[n] for n in covering]
            planned = intersect(period, union((w.starts_at_ms, w.over_at_ms) for w in windows))
            rest = subtract(period, planned)
            known = subtract(intersect(rest, self._heard), union(doubts))
            length = length_ms(period)
            unknown_ms = length_ms(rest) - length_ms(known)
            base = Availability(1 if length else 0, length, length_ms(planned), unknown_ms)
            found = self._known_of[key] = base, known
        return found

    def _doubts(self, member: Member) -> tuple[Span, ...]:
        """When nobody knows how it was: before its first word, and since we could not hear it."""
        doubts = [s.span for s in self._of.get(member.id, ()) if s.code == NEVER_SEEN]
        if member.kind == "port":
            member = self._members.get(member.parent or "", member)
            doubts += [s.span for s in self._of.get(member.id, ()) if s.code == NEVER_SEEN]
        if member.state in (None, "never_seen"):
            if self._live_ms is not None:
                doubts.append((self._live_ms, _WITHOUT_END))
        elif member.state == "unknown" and member.reason == "platform_down":
            doubts.append((member.state_ms or 0, _WITHOUT_END))
        return tuple(doubts)

    def _silences(self, member: Member) -> list[tuple[Span, list[Span]]]:
        """When it was silent, each with the part of it that is another's fault."""
        speaker = member
        if member.kind == "port":
            speaker = self._members.get(member.parent or "", member)
        code = OFFLINE.get(speaker.kind)
        return [
            (spell.span, self._upstream(spell, speaker))
            for spell in self._of.get(speaker.id, ())
            if spell.code == code
        ]

    def _unusable(self, port: Member) -> list[tuple[Span, list[Span]]]:
        """When a socket could not be used although its shed was heard."""
        return [
            (spell.span, [spell.span] if spell.code in UPSTREAM else [])
            for of in (port.id, port.parent or "")
            for spell in self._of.get(of, ())
            if spell.code in OUT_OF_USE and spell.code != SHED_OFFLINE
        ]

    def _upstream(self, spell: Spell, member: Member | None) -> list[Span]:
        """The part of a fault that a root explains.

        One that still stands when its root is over is released by the judge and no longer names it;
        then it is found again by the rule by which it was taken for its own.
        """
        start, end = spell.span
        if spell.suppressed_by is not None:
            return [(start, end)]
        parts = []
        for root in self._roots:
            if not self._reaches(root, member):
                continue
            deaf_ms = length_ms(clip(self._gaps, start, spell.opened_at_ms))
            interval_s = 0 if member is None else member.interval_s
            if explains(root, spell, interval_s + deaf_ms // 1000):
                parts.append((start, min(end, root.span[1])))
        return parts

    def _reaches(self, root: Spell, member: Member | None) -> bool:
        """Whether a device is in the place of this root; as `ingest.judge.yards` has it."""
        if root.code == COMPOUND_POWER_CUT:
            return True
        if member is None:
            return False
        if root.code == GW_OFFLINE:
            return self._gateway_of(member) == root.device
        if root.code == SHED_POWER_CUT:
            return root.device in (member.id, member.parent)
        if member.id == root.device:
            return True
        there = self._members.get(root.device or "")
        return there is not None and there.circuit is not None and there.circuit == member.circuit

    def _gateway_of(self, member: Member) -> str | None:
        if member.kind in _OWN_MODEM:
            return None
        if member.parent is None:
            return self._only_gateway
        above, steps = self._members.get(member.parent), 0
        while above is not None and above.kind != "gateway" and steps < len(self._members):
            above, steps = self._members.get(above.parent or ""), steps + 1
        return None if above is None else above.id

    # How things stand

    def sockets(self, now_ms: int, *, is_blind: bool) -> Sockets:
        """Its sockets now. is_blind: we cannot hear at present, so nobody knows."""
        sockets = Sockets()
        for port in self._members.values():
            if port.kind != "port" or not _is_in_service(port, now_ms):
                continue
            place = "unknown" if is_blind else self._standing(port)
            setattr(sockets, place, getattr(sockets, place) + 1)
        return sockets

    def _standing(self, port: Member) -> str:
        shed = self._members.get(port.parent or "")
        if shed is not None and shed.state == "offline":
            return "offline"
        if port.state in (None, "never_seen", "unknown"):
            return "unknown"
        if port.port_status in ("disabled", "offline", "unknown", None):
            return port.port_status or "unknown"
        is_out = any(
            spell.is_live and spell.ended_ms is None and spell.code in OUT_OF_USE
            for of in (port.id, port.parent or "")
            for spell in self._of.get(of, ())
        )
        return "fault" if is_out or port.port_status not in GOOD else "usable"

    def lamps(self, from_ms: int, to_ms: int) -> Lamps:
        """Faults of lamps that are certain and that no root explains. A controller's own fault
        counts for all lamps behind it, a circuit's for all of the circuit."""
        there = [
            member
            for member in self._members.values()
            if member.kind == "lamp" and _is_in_service(member, to_ms)
        ]
        of_lamps = [
            spell
            for spell in self._spells
            if spell.code.startswith(OF_LAMPS)
            and spell.suppressed_by is None
            and not spell.suspected
        ]
        broken: dict[str, float] = {}
        for spell in of_lamps:
            if not spell.opened_at_ms < to_ms <= spell.span[1]:
                continue
            for member in there:
                if member.id == spell.device or (
                    spell.code == CIRCUIT_SUPPLY_LOSS and self._reaches(spell, member)
                ):
                    out = member.lamps if spell.dark is None else max(1, round(spell.dark))
                    broken[member.id] = min(member.lamps, max(out, broken.get(member.id, 0)))
        total = sum(member.lamps for member in there)
        new = sum(from_ms <= spell.opened_at_ms < to_ms for spell in of_lamps)
        return Lamps(total, new, total - round(sum(broken.values())))

    # Faults and people

    def service(self, from_ms: int, to_ms: int, now_ms: int) -> dict[str, Service]:
        """By kind of fault: what was raised in the range, and what stands now."""
        kinds: dict[str, Service] = {}
        for spell in self._spells:
            into = kinds.setdefault(spell.kind, Service())
            if from_ms <= spell.opened_at_ms < to_ms:
                self._count(spell, into)
            if spell.is_live and spell.ended_ms is None:
                self._stand(spell, now_ms, into)
        return kinds

    def _count(self, spell: Spell, into: Service) -> None:
        into.detected += 1
        if spell.suppressed_by is not None:
            into.suppressed += 1
            return
        if spell.state == State.CLOSED and spell.resolution != Why.HISTORY_ENDS.value:
            into.closed += 1
            into.false_alarms += spell.resolution == FALSE_ALARM
        if spell.suspected:
            into.suspected += 1
            return
        into.raised += 1
        into.repeats += spell.is_repeat
        if spell.acknowledged_at_ms is not None:
            told_ms = spell.told_ms
            into.answered_s.append(self._served_ms(spell, told_ms, spell.acknowledged_at_ms) / 1000)
        if spell.ended_ms is not None and spell.resolution not in _NO_REPAIR:
            served_ms = self._served_ms(spell, spell.opened_at_ms, spell.ended_ms)
            into.repaired_s.append(served_ms / 1000)

    def _stand(self, spell: Spell, now_ms: int, into: Service) -> None:
        if spell.suppressed_by is not None or spell.suspected:
            return
        into.standing += now_ms - spell.opened_at_ms > STANDING_MS
        opened_ms = spell.opened_at_ms
        service = self._terms.limits(opened_ms)[Severity(spell.severity)]
        stands = self._stands(spell)

        def has_passed(limit: Limit | None, from_ms: int) -> bool:
            pauses = clip(stands, from_ms, now_ms)
            return limit is not None and now_ms > due_ms(limit, from_ms, self._terms.work, pauses)

        is_late = spell.acknowledged_at_ms is None and (
            has_passed(service.acknowledge, spell.told_ms)
        )
        is_over = spell.code not in UNMENDED and (
            has_passed(service.mend, opened_ms)
            or (spell.onsite_at_ms is None and has_passed(service.onsite, opened_ms))
        )
        into.unanswered += is_late
        into.unrepaired += is_over
        into.overdue += is_late or is_over

    def _served_ms(self, spell: Spell, from_ms: int, to_ms: int) -> int:
        """How long the clock of service ran in [from_ms, to_ms)."""
        return max(0, to_ms - from_ms) - length_ms(clip(self._stands(spell), from_ms, to_ms))

    def _stands(self, spell: Spell) -> list[Span]:
        """When the clock of service stands, in whatever order."""
        stands = [
            (window.starts_at_ms, window.over_at_ms)
            for window in self._windows
            if window.covers(spell, window.starts_at_ms)
        ]
        return stands + self._upstream(spell, self._members.get(spell.device or ""))


def deaf_spans(history: Iterable[Told]) -> list[Span]:
    """Our own outages, as the alarm that our probe is lost tells of them; a line.

    Either it says afterwards from when to when nobody could hear us, or it was raised while that
    lasted, and its end is the end. Where a broker forbids the probe, none ever returned, and that
    is no outage.
    """
    spans: list[Span] = []
    begun: dict[str, int] = {}
    for told in history:
        if told.reason in (Why.RAISED, Why.REOPENED):
            since, until = (told.evidence.get(f"deaf_{name}_ms") for name in ("since", "until"))
            if isinstance(since, int) and isinstance(until, int):
                spans.append((since, until))
            elif told.evidence.get("ever_returned") is True:
                begun.setdefault(told.fault, told.at_ms - DEAF_BEFORE_MS)
        elif told.becomes in (State.CLEARED, State.CLOSED) and told.fault in begun:
            spans.append((begun.pop(told.fault), told.at_ms))
    spans += [(from_ms, _WITHOUT_END) for from_ms in begun.values()]
    return union(spans)


def lit_spans(latitude: float, longitude: float, from_ms: int, to_ms: int) -> Sequence[Span]:
    """When lamps are to burn, from civil dusk to civil dawn; a line, to within a few seconds."""
    place = (round(latitude / PLACE_DEG) * PLACE_DEG, round(longitude / PLACE_DEG) * PLACE_DEG)
    return _lit_spans(*place, from_ms, to_ms)


@lru_cache(maxsize=64)  # the compounds of a request lie at few places; ranges differ by the second
def _lit_spans(latitude: float, longitude: float, from_ms: int, to_ms: int) -> tuple[Span, ...]:
    light = []
    ahead_ms = round(longitude / 360 * DAY_MS)
    day_ms = (from_ms + ahead_ms) // DAY_MS * DAY_MS - ahead_ms  # a day by the sun
    while day_ms < to_ms:
        sun = sun_around(latitude, longitude, day_ms + DAY_MS // 2)
        if sun.dawn_ms is not None and sun.dusk_ms is not None:
            light.append((sun.dawn_ms, sun.dusk_ms))
        elif not sun.is_always_dark:
            light.append((day_ms, day_ms + DAY_MS))
        day_ms += DAY_MS
    return tuple(subtract([(from_ms, to_ms)] if from_ms < to_ms else [], union(light)))


def nearest_rank(values: Sequence[float], share: float) -> float | None:
    """The value below or at which so many lie: the median at 0.5; None of nothing."""
    return sorted(values)[max(1, ceil(share * len(values))) - 1] if values else None


def _subtract_out(
    into: Availability, known: Sequence[Span], outages: Sequence[tuple[Span, Sequence[Span]]]
) -> None:
    """Count outages of one device: what overlaps once, and as upstream what any cause explains."""
    into.out_ms += length_ms(intersect(known, union(span for span, _ in outages)))
    upstream = union(part for _, parts in outages for part in parts)
    into.upstream_ms += length_ms(intersect(known, upstream))


def _is_planned(window: Window, member: Member) -> bool:
    """Whether a device's silence is planned work in the time of this window."""
    code = OFFLINE.get(member.kind, "")
    silence = _Silence(member.compound, member.kind, member.id, code)
    return window.covers(silence, window.starts_at_ms)


def _is_in_service(member: Member, at_ms: int) -> bool:
    since, until = member.commissioned_at_ms, member.decommissioned_at_ms
    return (since is None or since < at_ms) and (until is None or until >= at_ms)
