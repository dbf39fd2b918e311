"""Scenario files: which part of the district, when, how it behaves, and what befalls whom.

TOML, taken as a whole or refused as a whole: every error names the line, the key and the form that
is expected. `simulators/scenarios/` has examples; the keys are those of KEYS, INJECT_KEYS and
OURS_KEYS. Times of day are those of Asia/Shanghai.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from devices.kinds import KINDS
from devices.registry import Registry
from simulators import erqi
from simulators.anomalies import BY_KIND
from simulators.fate import Injection
from simulators.ours import TROUBLES, Trouble
from simulators.profiles import DAY_MS, PROFILES, USUAL, Profile, local_midnight_ms

RATES = ("none", "real", "history", "demo")
KEYS = (
    "about",
    "compounds",
    "duration",
    "inject",
    "ours",
    "profile",
    "rates",
    "rates_times",
    "seed",
    "start",
    "vendors",
)
INJECT_KEYS = ("at", "count", "every", "fact", "lasts", "where", "with")
OURS_KEYS = ("at", "lasts", "trouble", "with")
MOST_TIMES = 5_000  # of one injection
LONGEST_MS = 400 * DAY_MS

A_DURATION = "a duration like '90s', '10m', '6h' or '2d3h30m'"
A_TIME = "a time after the start like '+2h30m', or a time of day like '18:30' or '3d 18:30'"
A_PLACE = "'any', 'any of <compound>', or the id of a device, compound or street circuit"

_DURATION = re.compile(r"(?:\d+[dhms])+")
_PART = re.compile(r"(\d+)([dhms])")
_CLOCK = re.compile(r"(?:(\d{1,3})d )?([01]\d|2[0-3]):([0-5]\d)")
_UNIT_MS = {"d": DAY_MS, "h": 3_600_000, "m": 60_000, "s": 1_000}
_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.]+)\s*\]\]?")
_KEY = re.compile(r"\s*([\w-]+)\s*=")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")


class Moment(NamedTuple):
    """When: so long after the start, or at a time of day, `day` days after the first such."""

    after_ms: int
    day: int = 0
    clock_ms: int = -1

    def at_ms(self, start_ms: int) -> int:
        if self.clock_ms < 0:
            return start_ms + self.after_ms
        at_ms = local_midnight_ms(start_ms) + self.clock_ms
        return at_ms + (DAY_MS if at_ms < start_ms else 0) + self.day * DAY_MS


@dataclass(frozen=True, slots=True)
class Planned:
    """Something that is to befall somebody, `count` times, each `every_ms` after the one before."""

    kind: str
    moment: Moment
    lasts_ms: int
    device: str = ""
    compound: str = ""
    count: int = 1
    every_ms: int = 0
    wanted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedTrouble:
    """A trouble of our own side."""

    kind: str
    moment: Moment
    lasts_ms: int
    wanted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run that can be repeated. start_ms: UTC epoch ms, None for whenever it is run.

    rates: one of RATES; rates_times: so many times as often.
    """

    name: str
    about: str = ""
    compounds: int | None = None
    vendors: float = 0.0
    start_ms: int | None = None
    duration_ms: int | None = None
    seed: int = 1
    rates: str = "none"
    rates_times: float = 1.0
    profile: Profile = USUAL
    plans: tuple[Planned, ...] = ()
    ours: tuple[PlannedTrouble, ...] = ()

    @property
    def start(self) -> datetime | None:
        return None if self.start_ms is None else datetime.fromtimestamp(self.start_ms / 1000, UTC)

    @property
    def duration(self) -> timedelta | None:
        return None if self.duration_ms is None else timedelta(milliseconds=self.duration_ms)

    def registry(self) -> Registry:
        whole = erqi.registry(self.vendors)
        return whole if self.compounds is None else erqi.first(whole, self.compounds)

    def injections(self, start_ms: int) -> tuple[Injection, ...]:
        """What befalls whom when it begins at `start_ms`, in order of time."""
        found = [
            Injection(
                plan.kind,
                plan.moment.at_ms(start_ms) + n * plan.every_ms,
                plan.lasts_ms,
                plan.device,
                plan.compound,
                plan.wanted,
            )
            for plan in self.plans
            for n in range(plan.count)
        ]
        return tuple(sorted(found, key=lambda injection: injection.at_ms))

    def troubles(self, start_ms: int) -> tuple[Trouble, ...]:
        """What goes wrong on our own side, in order of time."""
        found = [
            Trouble(plan.kind, plan.moment.at_ms(start_ms), plan.lasts_ms, plan.wanted)
            for plan in self.ours
        ]
        return tuple(sorted(found, key=lambda trouble: trouble.at_ms))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a scenario file, where, and what is expected there."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key}: {self.text}"


class BadScenario(ValueError):
    """A scenario file that cannot be used, with everything that is wrong with it."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.key))
        super().__init__("\n".join(f"{file}, {problem}" for problem in self.problems))


def read(text: str, file: str) -> Scenario:
    """The scenario that `text` says; its name is that of the file. Raises BadScenario."""
    name = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = _AT_LINE.search(str(error))
        line = int(where.group(1)) if where else text.count("\n") + 1
        told = _AT_LINE.sub("", str(error))
        problem = Problem(line, "TOML", f"{told}; a key = value is expected")
        raise BadScenario(file, [problem]) from None
    reader = _Reader(said, _Lines(text))
    scenario = reader.scenario(name)
    if reader.problems:
        raise BadScenario(file, reader.problems)
    return scenario


class _Lines:
    """On which line a key stands: found by a scan of the text, for the parser does not say."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, int, str], int] = {}
        counts: dict[str, int] = {}
        table, number, quotes = "", 0, ""
        for at, line in enumerate(text.splitlines(), 1):
            if quotes:
                quotes = "" if quotes in line else quotes
                continue
            header = _HEADER.match(line)
            if header is not None:
                table = header.group(2)
                if header.group(1) == "[[":
                    counts[table] = counts.get(table, -1) + 1
                number = max(0, counts.get(table.split(".")[0], 0))
                self._lines.setdefault((table, number, ""), at)
                continue
            key = _KEY.match(line)
            if key is not None:
                self._lines.setdefault((table, number, key.group(1)), at)
            for mark in ('"""', "'''"):
                if line.count(mark) % 2:
                    quotes = mark

    def of(self, table: str, number: int, key: str) -> int:
        """Of the key, else of its table's head, else the first line."""
        for where in (
            (table, number, key),
            (f"{table}.with", number, key),
            (table, number, "with"),
            (table, number, ""),
        ):
            if where in self._lines:
                return self._lines[where]
        return 1


class _Table(NamedTuple):
    """One table of the file: `name` "" for its top, `number` of those with that name."""

    name: str
    number: int
    said: Mapping[str, Any]


class _Reader:
    """Reads what the parser gave; what is wrong is noted, and reading goes on."""

    def __init__(self, said: Mapping[str, Any], lines: _Lines) -> None:
        self.problems: list[Problem] = []
        self._top = _Table("", 0, said)
        self._lines = lines
        self._registry: Registry | None = None

    def scenario(self, name: str) -> Scenario:
        top = self._top
        self._known(top, KEYS)
        compounds = self._whole(top, "compounds", 1, erqi.COMPOUNDS)
        vendors = self._number(top, "vendors", 0.0, 1.0, 0.0)
        if not self.problems:
            whole = erqi.registry(vendors)
            self._registry = whole if compounds is None else erqi.first(whole, compounds)
        seed = self._whole(top, "seed", 0, 2**53)
        profile = self._word(top, "profile", PROFILES, USUAL.name)
        return Scenario(
            name=name,
            about=self._text(top, "about") or "",
            compounds=compounds,
            vendors=vendors,
            start_ms=self._start(top),
            duration_ms=self._duration(top, "duration"),
            seed=1 if seed is None else seed,
            rates=self._word(top, "rates", RATES, "none"),
            rates_times=self._number(top, "rates_times", 0.0, 1000.0, 1.0),
            profile=PROFILES.get(profile, USUAL),
            plans=tuple(plan for t in self._tables("inject") if (plan := self._planned(t))),
            ours=self._ours(),
        )

    # -- parts

    def _planned(self, table: _Table) -> Planned | None:
        self._known(table, INJECT_KEYS)
        before = len(self.problems)
        fact = self._word(table, "fact", BY_KIND, "")
        moment = self._moment(table)
        row = BY_KIND.get(fact)
        lasts_ms = 0
        if row is not None and row.minutes:
            lasts_ms = self._duration(table, "lasts", needed=True) or 0
        elif row is not None and "lasts" in table.said:
            self._wrong(table, "lasts", f"{fact} is over in a moment: leave it out")
        count = self._whole(table, "count", 1, MOST_TIMES) or 1
        every_ms = self._duration(table, "every") or 0
        if count > 1 and not every_ms:
            self._wrong(table, "every", f"goes with count; expected {A_DURATION}")
        device, compound = self._place(table)
        wanted = self._wanted(table, row.takes if row is not None else {})
        if len(self.problems) > before:
            return None
        return Planned(fact, moment, lasts_ms, device, compound, count, every_ms, wanted)

    def _ours(self) -> tuple[PlannedTrouble, ...]:
        found: list[PlannedTrouble] = []
        for table in self._tables("ours"):
            before = len(self.problems)
            self._known(table, OURS_KEYS)
            kind = self._word(table, "trouble", TROUBLES, "")
            moment = self._moment(table)
            lasts_ms = self._duration(table, "lasts", needed=True) or 0
            wanted = self._wanted(table, TROUBLES.get(kind, {}))
            if len(self.problems) == before:
                found.append(PlannedTrouble(kind, moment, lasts_ms, wanted))
        return tuple(found)

    def _place(self, table: _Table) -> tuple[str, str]:
        """(device or other id, compound); both empty for anybody."""
        place = table.said.get("where", "any")
        if not isinstance(place, str):
            self._wrong(table, "where", f"{place!r}: expected {A_PLACE}")
            return "", ""
        if place == "any":
            return "", ""
        registry = self._registry
        if registry is None:
            return place, ""
        of = place.removeprefix("any of ")
        if of != place:
            if of not in registry.compounds:
                self._wrong(table, "where", f"no compound {of!r} in this part; {A_PLACE}")
            return "", of
        device = registry.devices.get(place)
        row = BY_KIND.get(str(table.said.get("fact")))
        if device is not None:
            if row is not None and row.of in KINDS and row.of != device.kind:
                self._wrong(table, "where", f"{place} is a {device.kind}; expected a {row.of}")
        elif place not in registry.compounds and all(
            other.circuit != place for other in registry.devices.values()
        ):
            self._wrong(table, "where", f"nothing is called {place!r} here; expected {A_PLACE}")
        return place, ""

    def _wanted(
        self, table: _Table, takes: Mapping[str, tuple[float, float]]
    ) -> Mapping[str, float]:
        said = table.said.get("with", {})
        if not isinstance(said, dict):
            self._wrong(table, "with", f"{said!r}: expected a table like {{share = 0.2}}")
            return {}
        wanted: dict[str, float] = {}
        for name, value in said.items():
            if name not in takes:
                known = ", ".join(sorted(takes)) or "nothing can be chosen here"
                self._wrong(table, name, f"unknown; expected one of: {known}")
                continue
            low, high = takes[name]
            if _is_number(value) and low <= value <= high:
                wanted[name] = value
            else:
                self._wrong(table, name, f"{value!r}: expected a number from {low:g} to {high:g}")
        return wanted

    def _start(self, table: _Table) -> int | None:
        start = table.said.get("start")
        if start is None:
            return None
        if not isinstance(start, datetime) or start.tzinfo is None:
            form = "a time with its zone, like 2026-11-23T00:00:00+08:00, without quotes"
            self._wrong(table, "start", f"{_shown(start)}: expected {form}")
            return None
        return round(start.timestamp() * 1000)

    def _moment(self, table: _Table) -> Moment:
        at = table.said.get("at")
        if isinstance(at, str) and at.startswith("+") and _DURATION.fullmatch(at[1:]):
            return Moment(_duration_ms(at[1:]))
        clock = _CLOCK.fullmatch(at) if isinstance(at, str) else None
        if clock is None:
            told = "missing" if at is None else _shown(at)
            self._wrong(table, "at", f"{told}: expected {A_TIME}")
            return Moment(0)
        day, hour, minute = clock.groups()
        return Moment(0, int(day or 0), int(hour) * 3_600_000 + int(minute) * 60_000)

    # -- values

    def _tables(self, name: str) -> Iterator[_Table]:
        said = self._top.said.get(name, [])
        if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
            self._wrong(self._top, name, f"expected tables, each headed [[{name}]]")
            return
        for number, one in enumerate(said):
            yield _Table(name, number, one)

    def _known(self, table: _Table, keys: Collection[str]) -> None:
        for key in table.said:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected: {', '.join(keys)}"
                self._wrong(table, key, f"unknown key; {hint}")

    def _text(self, table: _Table, key: str) -> str | None:
        value = table.said.get(key)
        if value is not None and not isinstance(value, str):
            self._wrong(table, key, f"{_shown(value)}: expected text in quotes")
            return None
        return value

    def _word(self, table: _Table, key: str, words: Collection[str], usual: str) -> str:
        value = table.said.get(key)
        if value is None and usual:
            return usual
        if not isinstance(value, str) or value not in words:
            near = difflib.get_close_matches(str(value), words, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            told = "missing" if value is None else _shown(value)
            self._wrong(table, key, f"{told}: expected one of {', '.join(sorted(words))}{hint}")
            return usual
        return value

    def _whole(self, table: _Table, key: str, low: int, high: int) -> int | None:
        value = table.said.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._wrong(
                table, key, f"{_shown(value)}: expected a whole number from {low} to {high}"
            )
            return None
        return value

    def _number(self, table: _Table, key: str, low: float, high: float, usual: float) -> float:
        value = table.said.get(key, usual)
        if not _is_number(value) or not low <= value <= high:
            form = f"a number from {low:g} to {high:g}"
            self._wrong(table, key, f"{_shown(value)}: expected {form}")
            return usual
        return float(value)

    def _duration(self, table: _Table, key: str, *, needed: bool = False) -> int | None:
        value = table.said.get(key)
        if value is None and not needed:
            return None
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            told = "missing" if value is None else _shown(value)
            self._wrong(table, key, f"{told}: expected {A_DURATION}")
            return None
        duration_ms = _duration_ms(value)
        if not 0 < duration_ms <= LONGEST_MS:
            self._wrong(table, key, f"{value!r}: expected more than nothing, and at most 400 days")
            return None
        return duration_ms

    def _wrong(self, table: _Table, key: str, text: str) -> None:
        self.problems.append(Problem(self._lines.of(table.name, table.number, key), key, text))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _duration_ms(text: str) -> int:
    return sum(int(count) * _UNIT_MS[unit] for count, unit in _PART.findall(text))


def _shown(value: object) -> str:
    return f"{value!r:.60}" if not isinstance(value, datetime) else value.isoformat()
