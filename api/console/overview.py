"""The first page: one look at the database, kept for a moment, and shaped for the template.

What the page says about places stands in `Overview` of `devices.store.overview`; here it becomes
words. Our own alarms are not theirs: they have the strip under the bar, and no severity colour.
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from api.compounds import BLIND_AFTER_MS, counted
from api.console.naming import compound_name, fault_name, local_time, rough
from api.console.ourselves import OurCopy, Ourselves, OurState
from api.parts import LOOK_AGAIN_S, Dependencies, Known, RegistryCopy
from api.sla import of_faults
from api.words import Language, countdown, duration, grouped, named, say
from devices.catalogue import RULES
from devices.faults import Fault, State
from devices.sla import Ledger, StepName
from devices.store.compounds import Entry, States
from devices.store.database import reading
from devices.store.overview import (
    OpenFaults,
    Overview,
    Placed,
    Recovered,
    Use,
    UseCounter,
    read_overview,
)
from devices.store.scope import Scope
from devices.sun import lighting_hours
from devices.telling import impact_line

STALE_AFTER_MS = 180_000  # a gateway speaks every minute
SEVERITIES = ("P1", "P2", "P3", "P4")
COUNTED_DOWN = ("P1", "P2")  # the others have hours, and working days
UP_KINDS = ("gate", "shed", "camera", "lift", "gateway")  # lamps may be without power by day
Order = Literal["place", "trouble"]
_MOCK = re.compile(r"mock-(\d+)")
_NO_USE = Use()
_NO_STATES = States()


@dataclass(frozen=True, slots=True)
class Look:
    """A scope at one moment. ours: how we do ourselves; ledgers: of the worst faults."""

    at_ms: int
    scope: Scope
    known: Known
    overview: Overview
    ours: OurState
    ledgers: Mapping[str, Ledger]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A look, when it was made, and in which round of `Live`, if in one."""

    look: Look
    at_s: float
    turn: int | None


class OverviewCopy:
    """Looks, one for each scope, at most LOOK_AGAIN_S old: ten consoles cost what one does."""

    def __init__(self, deps: Dependencies, registry: RegistryCopy, ours: OurCopy) -> None:
        self._deps = deps
        self._registry = registry
        self._ours = ours
        self._lock = threading.Lock()
        self._looks: dict[Scope, _Kept] = {}  # as many as there are firms, and one
        self._counter = UseCounter()

    def look_again(self) -> None:
        """Ask the database at the next `get`, however recent these copies are."""
        with self._lock:
            self._looks.clear()

    def get(self, scope: Scope, turn: int | None = None) -> Look:
        """How `scope` stands now. turn: look anew, but for what this same turn has looked at."""
        with self._lock:
            now_s = time.monotonic()
            kept = self._looks.get(scope)
            if kept is not None:
                is_new = now_s - kept.at_s < LOOK_AGAIN_S if turn is None else kept.turn == turn
                if is_new:
                    return kept.look
            look = self._look(scope, turn)
            self._looks[scope] = _Kept(look, now_s, turn)
            return look

    def _look(self, scope: Scope, turn: int | None) -> Look:
        at_ms = self._deps.clock()
        with reading(self._deps.engine) as connection:
            known = self._registry.get(connection)
            overview = read_overview(
                connection,
                scope,
                known.directory,
                known.fixtures,
                self._counter,
                at_ms,
                blind_after_ms=BLIND_AFTER_MS,
                turn=turn,
            )
            ours = self._ours.look(connection, scope)
            open_ids = [
                one.fault.id for one in overview.worst if one.fault.severity in COUNTED_DOWN
            ]
            ledgers = of_faults(connection, known, scope, open_ids, at_ms) if open_ids else {}
        return Look(at_ms, scope, known, overview, ours, ledgers)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A line of what to deal with first."""

    fault: str
    severity: str
    what: str
    age: str
    where: str
    impact: str
    state: str
    deadline: str
    is_late: bool


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """A compound on the board. up: tenths of its devices that are online, None when all are.

    stale: how long nothing was heard of it, in words, where that is long.
    """

    compound: str
    name: str
    is_named: bool
    severity: str
    faults: int
    worst: str
    charging: int | None
    lit: int | None
    has_shed: bool
    stale: str
    up: int | None
    is_unknown: bool
    label: str
    find: str


@dataclass(frozen=True, slots=True)
class FirmBoard:
    firm: str
    name: str
    compounds: str
    counts: str
    calm: str
    tiles: Sequence[Tile]


@dataclass(slots=True)
class Wrong:
    """What is wrong at one place. worst: the code of the worst kind there."""

    counts: dict[str, int] = field(default_factory=dict)
    suspected: int = 0
    worst: tuple[str, str] | None = None  # (severity, code)

    def add(self, open_faults: OpenFaults) -> None:
        if open_faults.suspected:
            self.suspected += open_faults.count
            return
        severity = open_faults.severity
        self.counts[severity] = self.counts.get(severity, 0) + open_faults.count
        self.worst = min(self.worst or (severity, open_faults.code), (severity, open_faults.code))

    @property
    def faults(self) -> int:
        return sum(self.counts.values())


class View:
    """A look in the words of one language; what the template shows, ready to be printed."""

    def __init__(
        self, look: Look, language: Language, firm: str | None = None, order: Order = "place"
    ) -> None:
        self._look = look
        self._language = language
        self.firm = firm
        self.order = order
        self._wrong: dict[str, Wrong] = {}
        for open_faults in look.overview.open_faults:
            if open_faults.compound is not None:  # else it is ours
                self._wrong.setdefault(open_faults.compound, Wrong()).add(open_faults)
        self._entries = list(look.known.directory.visible(look.scope))
        self.severity, self.badge, self.headline = self._verdict()
        self.summary = self._summary()
        self.figures = list(self._figures())
        self.troubles = [self._trouble(placed) for placed in self._placed()]
        self.recovered = [self._recovery(item) for item in look.overview.recovered]
        self.board = list(self._board())
        self.ours = Ourselves(look.ours, language)
        self.as_of = local_time(look.at_ms)

    # The verdict

    def _placed(self) -> list[Placed]:
        return [p for p in self._look.overview.worst if p.fault.compound is not None]

    def _verdict(self) -> tuple[str, str, str]:
        """(severity or "", badge, headline)"""
        totals = self._totals()
        worst = next((severity for severity in SEVERITIES if totals.get(severity)), None)
        placed = self._placed()
        if worst in ("P1", "P2") and placed:
            first = placed[0].fault
            place = self._compound_name(first.compound)
            text = self._say("v_fault", place=place, fault=self._fault_name(first.code))
            deadline, _ = self._deadline(first, "v_ack_left", "v_ack_late")
            if deadline:
                text += self._say("comma") + deadline
            return worst.lower(), self._say(f"n_{worst.lower()}", n=grouped(totals[worst])), text
        if self._look.ours.blind:
            return "unknown", "", self._say("v_blind")
        if worst is not None:
            return worst.lower(), "", self._say("v_minor")
        return "", "", self._say("v_calm" if self._look.scope.is_district else "v_calm_firm")

    def _summary(self) -> str:
        totals = self._totals()
        shown = [
            self._say(f"n_{severity.lower()}", n=grouped(totals[severity]))
            for severity in SEVERITIES
            if totals.get(severity) and not (self.badge and severity.lower() == self.severity)
        ]
        sentences = [self._say("sep").join(shown)] if shown else []
        extra = []
        suspected = sum(wrong.suspected for wrong in self._wrong.values())
        if suspected:
            extra.append(self._say("v_suspected", n=grouped(suspected)))
        if self._look.overview.suppressed:
            extra.append(self._say("v_suppressed", n=grouped(self._look.overview.suppressed)))
        if extra:
            sentences.append(self._say("v_extra", parts=self._say("comma").join(extra)))
        text = self._say("semicolon").join(sentences)
        facts = []
        if self.trouble_count:
            facts.append(self._say("v_compounds", n=grouped(self.trouble_count)))
        households = sum(
            entry.households
            for entry in self._entries
            if (wrong := self._wrong.get(entry.id)) and (wrong.worst or "P9")[0] in ("P1", "P2")
        )
        if households:
            facts.append(self._say("v_households", n=grouped(households)))
        if facts:
            full_stop = self._say("stop") + (" " if self._language == "en" else "")
            text += (full_stop if text else "") + self._say("comma").join(facts)
        return text[:1].upper() + text[1:] + self._say("stop") if text else ""

    def _totals(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for wrong in self._wrong.values():
            for severity, count in wrong.counts.items():
                totals[severity] = totals.get(severity, 0) + count
        return totals

    @property
    def fault_count(self) -> int:
        return sum(wrong.faults + wrong.suspected for wrong in self._wrong.values())

    @property
    def minor_counts(self) -> str:
        totals = self._totals()
        return self._say("sep").join(
            self._say(f"n_{severity.lower()}", n=grouped(totals[severity]))
            for severity in ("P3", "P4")
            if totals.get(severity)
        )

    @property
    def trouble_count(self) -> int:
        return len(self._wrong)

    @property
    def calm_count(self) -> int:
        return len(self._entries) - len(self._wrong)

    @property
    def compound_count(self) -> int:
        return len(self._entries)

    @property
    def firms(self) -> list[tuple[str, str]]:
        """Firms to choose from: those with compounds in scope, (id, name)."""
        here = {entry.firm for entry in self._entries}
        firms = self._look.known.directory.firms
        return [(id_, named(self._language, name)) for id_, name in firms.items() if id_ in here]

    # Figures

    def _figures(self) -> list[Figure]:
        uses = [self._look.overview.use.get(entry.id, _NO_USE) for entry in self._entries]
        figures = [
            self._online("gate", "gates_online"),
            self._online("shed", "sheds_online"),
            self._charging(uses),
            self._lighting(uses),
            self._online("camera", "cameras_online"),
            self._online("lift", "lifts_online"),
        ]
        return [figure for figure in figures if figure is not None]

    def _online(self, kind: str, label: str) -> Figure | None:
        total, online, unknown = self._states(self._entries, (kind,))
        if not total:
            return None
        rest = self._say("of_n", n=grouped(total))
        if unknown:
            rest += self._say("and_unknown", n=grouped(unknown))
        return Figure(self._say(label), "—" if unknown == total else grouped(online), rest)

    def _charging(self, uses: Sequence[Use]) -> Figure | None:
        ports = sum(entry.devices.get("port", 0) for entry in self._entries)
        if not ports:
            return None
        unknown = ports - sum(use.ports_known for use in uses)
        rest = self._say("of_n", n=grouped(ports))
        if unknown:
            rest += self._say("and_unknown", n=grouped(unknown))
        charging = sum(use.charging for use in uses)
        value = "—" if unknown >= ports else grouped(charging)
        return Figure(self._say("charging_now"), value, rest)

    def _lighting(self, uses: Sequence[Use]) -> Figure | None:
        """By night the rate with its three counts; by day only what burns all the same."""
        lamps = sum(entry.lamps for entry in self._entries)
        if not lamps:
            return None
        lit, dark = sum(use.lit for use in uses), sum(use.dark for use in uses)
        unknown = lamps - lit - dark
        place = self._entries[0]
        if not lighting_hours(place.latitude, place.longitude, self._look.at_ms):
            value = "—" if unknown >= lamps else grouped(lit)
            return Figure(self._say("lamps_lit"), value, self._say("of_n", n=grouped(lamps)))
        rest = self._say("dark_unknown", dark=grouped(dark), unknown=grouped(unknown))
        # 98.67 % is not 98.7 %: a rate is never rounded up to look better.
        value = "—" if unknown >= lamps else f"{int(lit / lamps * 1000) / 10:.1f} %"
        return Figure(self._say("lamp_on_rate"), value, rest)

    def _states(self, entries: Sequence[Entry], kinds: Sequence[str]) -> tuple[int, int, int]:
        """(total, online, unknown); never seen is unknown here: nothing is known of it."""
        total = online = unknown = 0
        states = self._look.overview.states
        for entry in entries:
            for kind in kinds:
                if kind in entry.devices:
                    counts = counted(
                        entry, kind, states.get((entry.id, kind), _NO_STATES), self._look.ours.blind
                    )
                    total += counts["total"]
                    online += counts["online"]
                    unknown += counts["unknown"] + counts["never_seen"]
        return total, online, unknown

    # What to deal with first

    def _trouble(self, placed: Placed) -> Trouble:
        fault = placed.fault
        rule = RULES.get(fault.code)
        state = self._say(f"s_{fault.state}")
        if fault.acknowledged_by is not None:
            state = self._say("by_whom", state=state, who=fault.acknowledged_by)
        if fault.assignee is not None:
            state += self._say("comma") + self._say("assigned", who=fault.assignee)
        if rule is not None:
            state += self._say("sep") + self._say(f"party_{rule.party}")
        impact = [line] if (line := impact_line(self._language, fault.impact)) else []
        if placed.suppressed:
            impact.append(self._say("with_suppressed", n=grouped(placed.suppressed)))
        if fault.occurrences > 1:
            impact.append(self._say("times", n=fault.occurrences))
        if fault.late:
            impact.append(self._say("late_data"))
        deadline, is_late = self._deadline(fault, "ack_left", "ack_late")
        return Trouble(
            fault.id,
            str(fault.severity).lower(),
            self._fault_name(fault.code),
            self._age(fault.opened_at_ms),
            self._place(fault, placed.device_name),
            self._say("semicolon").join(impact),
            state,
            deadline,
            is_late,
        )

    def _deadline(self, fault: Fault, left: str, late: str) -> tuple[str, bool]:
        """Until when somebody must have answered, in words; and whether it has passed."""
        kept = self._look.ledgers.get(fault.id)
        step = None if kept is None else kept.step(StepName.ACKNOWLEDGED)
        if step is None or step.due_ms is None or fault.state is not State.OPEN:
            return "", False
        rest_s = (step.due_ms - self._look.at_ms) / 1000
        if rest_s >= 3600:
            return self._say(left, left=duration(self._language, rest_s)), False
        if rest_s >= 0:
            return self._say(left, left=countdown(rest_s)), False
        return self._say(late, late=duration(self._language, -rest_s)), True

    def _recovery(self, item: Recovered) -> tuple[str, str, str]:
        """(fault, what was where, when)"""
        what = self._say("v_fault", place=self._place(item.fault, item.device_name), fault="")
        text = f"{what.rstrip(': ')} {self._fault_name(item.fault.code)}"
        return item.fault.id, text, local_time(item.over_at_ms)[:5]

    # The board

    def _board(self) -> list[FirmBoard]:
        boards = []
        for firm, name in self.firms:
            if self.firm not in (None, firm):
                continue
            entries = [entry for entry in self._entries if entry.firm == firm]
            entries.sort(key=self._place_of)
            totals: dict[str, int] = {}
            for entry in entries:
                for severity, count in self._wrong.get(entry.id, Wrong()).counts.items():
                    totals[severity] = totals.get(severity, 0) + count
            calm = sum(entry.id not in self._wrong for entry in entries)
            boards.append(
                FirmBoard(
                    firm,
                    name if name.endswith("物业") else self._say("firm_name", name=name),
                    self._say("n_compounds", n=grouped(len(entries))),
                    self._say("sep").join(
                        self._say(f"n_{severity.lower()}", n=grouped(totals[severity]))
                        for severity in SEVERITIES
                        if totals.get(severity)
                    ),
                    self._say("calm_n", n=grouped(calm)),
                    [self._tile(entry) for entry in entries],
                )
            )
        if self.order == "trouble":
            by_firm = {
                firm: min(self._place_of(entry) for entry in self._entries if entry.firm == firm)
                for firm, _ in self.firms
            }
            boards.sort(key=lambda board: by_firm[board.firm])
        return boards

    def _place_of(self, entry: Entry) -> tuple[str, int, bool, str]:
        """Where a compound stands among others: by name and number, so that people learn it; or by
        trouble, the worst first, then where there is most of it."""
        place = (_MOCK.fullmatch(entry.id) is not None, entry.id)
        wrong = self._wrong.get(entry.id)
        if self.order == "place" or wrong is None:
            return ("" if self.order == "place" else "P9", 0, *place)
        severity = wrong.worst[0] if wrong.worst else "P5"
        return (severity, -(wrong.counts.get(severity, 0)), *place)

    def _tile(self, entry: Entry) -> Tile:
        wrong = self._wrong.get(entry.id)
        use = self._look.overview.use.get(entry.id, _NO_USE)
        total, online, unknown = self._states([entry], UP_KINDS)
        ports = entry.devices.get("port", 0)
        lamps_known = use.lit + use.dark
        full = named(self._language, entry.name)
        mock = _MOCK.fullmatch(entry.id) if entry.synthetic else None
        severity, worst = "none", ""
        if wrong is not None:
            severity = wrong.worst[0].lower() if wrong.worst else "suspected"
            worst = self._fault_name(wrong.worst[1]) if wrong.worst else ""
        offline = total - online - unknown
        return Tile(
            compound=entry.id,
            name=self._say("mock_short", n=mock[1]) if mock else full,
            is_named=mock is None,
            severity=severity,
            faults=(wrong.faults or wrong.suspected) if wrong is not None else 0,
            worst=worst,
            charging=use.charging if use.ports_known else None,
            lit=use.lit if lamps_known > 0 else None,
            has_shed=ports > 0,
            stale=self._stale(use),
            up=int(online * 10 / total) if offline and total else None,
            is_unknown=unknown > 0,
            label=self._tile_label(entry, wrong, use, (total, online, unknown)),
            find=f"{entry.name.zh} {entry.name.en} {entry.id}".lower(),
        )

    def _stale(self, use: Use) -> str:
        """How long nothing was heard of a compound, where each of its gateways should have spoken
        several times since; unknown while we ourselves cannot hear."""
        if use.seen_ms is None or self._look.ours.blind:
            return ""
        age_ms = self._look.at_ms - use.seen_ms
        if age_ms <= STALE_AFTER_MS:
            return ""
        return self._say("t_stale", age=rough(self._language, age_ms / 1000))

    def _tile_label(
        self, entry: Entry, wrong: Wrong | None, use: Use, states: tuple[int, int, int]
    ) -> str:
        total, online, unknown = states
        ports = entry.devices.get("port", 0)
        parts = [named(self._language, entry.name), self._say("t_up", online=online, total=total)]
        if unknown:
            parts.append(self._say("t_unknown", n=unknown))
        if wrong is None:
            parts.append(self._say("t_calm"))
        elif wrong.worst is not None:
            severity, code = wrong.worst
            word = self._say(severity.lower())
            fault = self._fault_name(code)
            parts.append(self._say("t_faults", severity=word, fault=fault, n=wrong.faults))
        else:
            parts.append(self._say("v_suspected", n=wrong.suspected))
        if ports:
            parts.append(self._say("t_charging", n=use.charging, of=use.ports_known))
        else:
            parts.append(self._say("t_no_shed"))
        if entry.lamps:
            known = use.lit + use.dark
            parts.append(self._say("t_lit", n=use.lit, of=known))
            if known < entry.lamps:
                parts.append(self._say("t_lamps_unknown", n=entry.lamps - known))
        if use.seen_ms is not None and self._stale(use):
            parts.append(self._say("t_seen", age=self._age(use.seen_ms)))
        return self._say("comma").join(parts)

    # Words

    def _say(self, word: str, **values: object) -> str:
        return say(self._language, word, **values)

    def _age(self, since_ms: int) -> str:
        return duration(self._language, (self._look.at_ms - since_ms) / 1000)

    def _fault_name(self, code: str) -> str:
        return fault_name(self._language, code)

    def _compound_name(self, compound: str | None) -> str:
        return compound_name(self._language, self._look.known.directory.compounds, compound)

    def _place(self, fault: Fault, device_name: str | None) -> str:
        where = self._compound_name(fault.compound)
        what = device_name or self._say("whole_compound")
        return where + self._say("sep") + what
