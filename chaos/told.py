"""What devices sent, held against what people were told: of `chaos alert-kills`.

What there must be is read off the messages of a plan of troubles, by the fault catalogue of
domain.md and by what people asked for (`Receiver`); what was told is what the receivers accepted.
Nothing of the code under test takes part in either.

1. every receiver is told of each fault that concerns it just what its device showed: raised, over,
   raised again, in that order, nothing missing and nothing beside it
2. what happened came under one key, and again under it no more often than alerts was killed
3. what nobody answers is escalated: each level once, to whom it leads, in its time and not before
4. what stands, and is of the safety tier, is told again, no more often than was asked for
5. a compound under maintenance is told of by its safety faults alone

A raise of the safety tier that has not arrived for a minute is handed on to somebody else: whoever
is told of one by then may be told of it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from chaos.checker import Verdict
from chaos.district import FIRMS, Message, Plan, Sort, messages
from simulators.robots import Arrived

RAISED, OVER = "raised", "over"
_BEGINS = ("raised", "reopened")
_ENDS = ("over",)
_AGAIN = ("escalated", "reminded")
HANDED_ON_AFTER_MS = 60_000


@dataclass(frozen=True, slots=True)
class Told:
    """A fault that the catalogue knows. kind: of the device it is of."""

    kind: str
    severity: str
    safety: bool


CATALOGUE = {
    "GATE_TAMPER": Told("gate", "P2", safety=False),
    "GATE_DURESS": Told("gate", "P1", safety=True),
    "GATE_PANIC": Told("gate", "P1", safety=True),
    "SHED_SMOKE": Told("shed", "P1", safety=True),
    "SHED_LEAKAGE": Told("shed", "P1", safety=True),
    "SHED_DOOR_OPEN": Told("shed", "P2", safety=False),
    "PORT_FUSE_BLOWN": Told("port", "P3", safety=False),
    "CABINET_LEAKAGE": Told("lamp", "P1", safety=True),
}


@dataclass(slots=True)
class Story:
    """What a device showed of one fault, in order. steps: RAISED and OVER, each with the time at
    which it says that it happened."""

    device: str
    code: str
    compound: str
    steps: list[tuple[str, int]] = field(default_factory=list)

    @property
    def about(self) -> Told:
        return CATALOGUE[self.code]

    @property
    def firm(self) -> str:
        return FIRMS[int(self.compound.rpartition("-")[2]) % len(FIRMS)]

    @property
    def stands(self) -> bool:
        return bool(self.steps) and self.steps[-1][0] == RAISED


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, and of what. level: only what was escalated so far; 0: from the beginning."""

    name: str
    wants: Callable[[Story], bool]
    level: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """levels: who is told at each, from 1 on, and after how many seconds, by class."""

    receivers: tuple[Receiver, ...]
    levels: Mapping[str, tuple[tuple[float, Collection[str]], ...]]
    remind_every_s: float
    reminders: int
    maintained: str  # the compound


Name = tuple[str, str]  # device, code


def stories(plan: Plan, received: Collection[int]) -> dict[Name, Story]:
    """Of each fault, what the messages that arrived say of it. received: their digests."""
    found: dict[Name, Story] = {}
    seen: set[int] = set()
    for message in messages(plan):
        known = message.digest
        if message.sort is not Sort.GOOD or known in seen or known not in received:
            continue
        seen.add(known)
        for device, code, is_bad, at_ms in _shown(message):
            story = found.setdefault((device, code), Story(device, code, message.origin))
            if is_bad != story.stands:
                story.steps.append((RAISED if is_bad else OVER, at_ms))
    return {name: story for name, story in found.items() if story.steps}


def _shown(message: Message) -> Iterator[tuple[str, str, bool, int]]:
    """(device, code, whether it has it, since when) of each fault that a message speaks of."""
    said = json.loads(message.payload)
    device, at_ms = message.device, said["ts"]
    values = said.get("values", {})
    for quantity, code, bad in (
        ("tamper", "GATE_TAMPER", True),
        ("smoke", "SHED_SMOKE", True),
        ("leakage_state", "SHED_LEAKAGE", "tripped"),
        ("cabinet_door", "SHED_DOOR_OPEN", "pried"),
        ("leakage_detected", "CABINET_LEAKAGE", True),
    ):
        if quantity in values:
            yield device, code, values[quantity] == bad, at_ms
    event = said.get("event")
    if event in ("duress", "panic"):  # nothing that a device says ends these
        yield device, f"GATE_{event.upper()}", True, at_ms
    if event == "session_end" and said["stop_reason"] == "fuse_blown":
        yield f"{device}-p{said['port_no']:02d}", "PORT_FUSE_BLOWN", True, at_ms
    for number, port in said.get("ports", {}).items():
        if port["port_status"] == "idle":
            yield f"{device}-p{int(number):02d}", "PORT_FUSE_BLOWN", False, at_ms


@dataclass(frozen=True, slots=True)
class _Line:
    """What a message says of one fault. number: of the event, which is unlike any other."""

    name: Name
    number: tuple[str, str]
    event: str
    is_over: bool
    level: int
    at_ms: int
    arrived_ms: int
    key: str


@dataclass(slots=True)
class _Heard:
    """What one receiver was told, in the order in which it arrived, repetitions left out."""

    lines: list[_Line] = field(default_factory=list)
    keys: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    again: int = 0

    def of(self, name: Name) -> list[_Line]:
        return [line for line in self.lines if line.name == name]


def check_told(
    verdict: Verdict,
    wanted: Mapping[Name, Story],
    arrived: Iterable[Arrived],
    asked: Asked,
    alert_kills: int,
) -> Counter[str]:
    """Note in `verdict` what is wrong; how much was told of each sort."""
    arrived = list(arrived)
    verdict.note("requests that were refused", [one.title for one in arrived if not one.accepted])
    heard = {one.name: _heard(arrived, one.name) for one in asked.receivers}
    counted: Counter[str] = Counter()
    for receiver in asked.receivers:
        mine = heard[receiver.name]
        _check_keys(verdict, receiver.name, mine, alert_kills)
        by_name: dict[Name, list[_Line]] = defaultdict(list)
        for line in mine.lines:
            by_name[line.name].append(line)
            counted[line.event] += 1
        mine_to_hear = {
            name
            for name, story in wanted.items()
            if receiver.wants(story)
            and not receiver.level
            and (story.about.safety or story.compound != asked.maintained)
        }
        if receiver.level:
            _check_called(verdict, receiver, wanted, by_name)
        else:
            _check_stories(verdict, receiver.name, wanted, by_name, mine_to_hear)
    _check_levels(verdict, wanted, heard, asked)
    _check_reminders(verdict, wanted, heard, asked)
    counted["again"] = sum(mine.again for mine in heard.values())
    return counted


def _heard(arrived: Iterable[Arrived], receiver: str) -> _Heard:
    heard = _Heard()
    keys: set[str] = set()
    numbers: set[tuple[str, str]] = set()
    for one in arrived:
        if one.robot != receiver or not one.accepted:
            continue
        heard.again += one.key in keys
        keys.add(one.key)
        for line in _lines(one):
            heard.keys[line.number].add(line.key)
            if line.number not in numbers:
                numbers.add(line.number)
                heard.lines.append(line)
    return heard


def _lines(one: Arrived) -> Iterator[_Line]:
    """Without our own troubles: with kills for minutes, that nobody was told for so long is one."""
    assert isinstance(one.payload, dict)
    data: dict[str, Any] = one.payload["data"]
    for said in data.get("faults", [data]):
        if said["code"].startswith("SYS_"):
            continue
        yield _Line(
            (said["device"]["id"], said["code"]),
            (said["id"], said["number"]),
            said["event"],
            said["is_over"],
            said["level"] or 0,
            int(datetime.fromisoformat(said["at"]).timestamp() * 1000),
            one.at_ms,
            one.key,
        )


# 2


def _check_keys(verdict: Verdict, receiver: str, heard: _Heard, alert_kills: int) -> None:
    twice = {number: keys for number, keys in heard.keys.items() if len(keys) > 1}
    verdict.double += len(twice)
    verdict.note(f"events told to {receiver} under two keys", list(twice.items()))
    if heard.again > alert_kills:
        verdict.double += heard.again - alert_kills
        verdict.problems.append(
            f"{heard.again} messages again to {receiver}, after {alert_kills} kills"
        )


# 1, 5


def _check_stories(
    verdict: Verdict,
    receiver: str,
    wanted: Mapping[Name, Story],
    told: Mapping[Name, list[_Line]],
    mine: Collection[Name],
) -> None:
    """told: also what was escalated to it, or told again, which tells of nothing new."""
    lost: list[str] = []
    beside: list[str] = []
    other: list[str] = []
    for name in told.keys() | set(mine):
        if name not in mine and _is_handed_on(wanted.get(name), told[name]):
            continue
        steps = [step for step, _ in wanted[name].steps] if name in mine else []
        heard = _steps(told.get(name, ()))
        if heard == steps:
            continue
        missing = Counter(steps) - Counter(heard)
        more = Counter(heard) - Counter(steps)
        verdict.lost += missing.total()
        verdict.double += more.total()
        said = f"{' '.join(name)}: {heard} instead of {steps}"
        (lost if missing else beside if more else other).append(said)
    verdict.note(f"faults of which {receiver} was not told all", lost)
    verdict.note(f"faults of which {receiver} was told what was not so", beside)
    verdict.note(f"faults of which {receiver} was told in another order", other)


def _steps(lines: Iterable[_Line]) -> list[str]:
    """A raise that is said to be over already tells of its end too, with or without a line."""
    steps: list[str] = []
    is_said = False  # the end that comes next was told with its raise
    for line in lines:
        if line.event in _AGAIN:
            continue
        if line.event in _ENDS:
            if not is_said:
                steps.append(OVER)
            is_said = False
            continue
        steps.append(RAISED if line.event in _BEGINS else line.event)
        is_said = line.is_over
        if is_said:
            steps.append(OVER)
    return steps


def _check_called(
    verdict: Verdict,
    receiver: Receiver,
    wanted: Mapping[Name, Story],
    told: Mapping[Name, list[_Line]],
) -> None:
    """Who is called when nobody answers hears of a fault first by that, and then of its ends."""
    early = [
        name
        for name, lines in told.items()
        if lines[0].event != "escalated" and not _is_handed_on(wanted.get(name), lines)
    ]
    verdict.note(f"faults of which {receiver.name} was told and not called", early)
    unended = []
    for name, lines in told.items():
        story = wanted.get(name)
        if story is None or story.stands:
            continue
        called_ms = lines[0].at_ms
        has_ended_since = any(step == OVER and at_ms > called_ms for step, at_ms in story.steps)
        if has_ended_since and not any(line.event in _ENDS for line in lines):
            unended.append(name)
    verdict.lost += len(unended)
    verdict.note(f"ends of which {receiver.name} was not told", unended)


def _is_handed_on(story: Story | None, lines: Sequence[_Line]) -> bool:
    """Whether it may have been told first because it did not arrive elsewhere."""
    first = lines[0]
    return (
        story is not None
        and story.about.safety
        and first.event in _BEGINS
        and first.arrived_ms >= story.steps[0][1] + HANDED_ON_AFTER_MS
    )


# 3


def _check_levels(
    verdict: Verdict, wanted: Mapping[Name, Story], heard: Mapping[str, _Heard], asked: Asked
) -> None:
    levels: dict[tuple[str, Name, int], list[_Line]] = defaultdict(list)
    for receiver, mine in heard.items():
        for line in mine.lines:
            if line.event == "escalated":
                levels[receiver, line.name, line.level].append(line)
    receivers = {one.name: one for one in asked.receivers}
    missing, twice, early, beside = [], [], [], set(levels)
    for name, story in wanted.items():
        is_held = story.compound == asked.maintained and not story.about.safety
        first_ms = story.steps[0][1]
        for level, (after_s, names) in enumerate(asked.levels[story.about.severity], 1):
            for receiver in names:
                if is_held or not receivers[receiver].wants(story):
                    continue
                where = receiver, name, level
                beside.discard(where)
                lines = levels.get(where, [])
                if not lines and (story.stands or story.about.safety):
                    missing.append(where)
                # one that ended, and is not of the safety tier, is called for anew when it is back
                raises = 1 if story.about.safety else _count(story, RAISED)
                if len(lines) > raises:
                    twice.append(where)
                if any(line.arrived_ms < first_ms + after_s * 1000 for line in lines):
                    early.append(where)
    verdict.lost += len(missing)
    verdict.double += len(twice)
    verdict.note("levels that nobody was called at", missing)
    verdict.note("levels that were called twice", twice)
    verdict.note("levels that were called too early", early)
    verdict.note("levels that nobody was to be called at", beside)


def _count(story: Story, wanted: str) -> int:
    return sum(step == wanted for step, _ in story.steps)


# 4


def _check_reminders(
    verdict: Verdict, wanted: Mapping[Name, Story], heard: Mapping[str, _Heard], asked: Asked
) -> None:
    times: dict[Name, dict[tuple[str, str], int]] = defaultdict(dict)
    for mine in heard.values():
        for line in mine.lines:
            if line.event == "reminded":
                times[line.name][line.number] = line.at_ms
    standing = {
        name
        for name, story in wanted.items()
        if story.stands and story.about.safety and _is_prompt(name, heard, asked)
    }
    verdict.lost += len(standing - times.keys())
    verdict.note("standing safety faults that were not told again", standing - times.keys())
    often, soon = [], []
    for name, at in times.items():
        in_order = sorted(at.values())
        if len(in_order) > asked.reminders or not wanted[name].about.safety:
            often.append((name, len(in_order)))
        if any(b - a < asked.remind_every_s * 1000 for a, b in pairwise(in_order)):
            soon.append(name)
    verdict.double += len(often)
    verdict.note("faults that were told again too often", often)
    verdict.note("faults that were told again too soon", soon)


def _is_prompt(name: Name, heard: Mapping[str, _Heard], asked: Asked) -> bool:
    """Whether what was to be told of it came in time: whoever is behind is not told again."""
    return all(
        line.arrived_ms - line.at_ms < asked.remind_every_s * 1000
        for mine in heard.values()
        for line in mine.lines
        if line.name == name and line.event != "reminded"
    )
