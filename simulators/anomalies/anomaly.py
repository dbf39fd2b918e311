"""What an anomaly is, and the usual forms of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulators.native import Json, Values
from simulators.nodes import Node

if TYPE_CHECKING:
    from simulators.fleet import Fleet
    from simulators.truth import Detail

DAY_MIN = 1_440.0
ON_REQUEST = (0.0, DAY_MIN, 0.0, DAY_MIN)  # no year brings it by itself: a scenario does

Begin = Callable[..., "Detail"]
Fits = Callable[["Fleet", Any, int, int], bool]
End = Callable[["Fleet", Any, int, "Detail"], None]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One kind of thing that befalls one kind of subject.

    of: the kind of subject (a key of DISTRICT). year: how often a year, for one subject; minutes:
    how long, on average (0: over in the same moment). demo_h: how often an hour in the whole
    district in a demonstration; demo_minutes likewise. begin: (fleet, subject, now, end) makes it
    so, and says more about it; what a scenario wants of it, within the bounds of `takes`, comes by
    name. end: undoes it, knowing what `begin` said. able: who it can befall. fits: whether it would
    show there and then, (fleet, subject, now, end). occupies: nothing else befalls the subject
    meanwhile. standing: it may already be so when the
    simulation begins. spread: of the durations, as the standard deviation of their logarithm.
    """

    kind: str
    of: str
    year: float
    minutes: float
    demo_h: float
    demo_minutes: float
    begin: Begin
    end: End
    able: Callable[[Any], bool] = lambda _: True
    standing: bool = False
    spread: float = 0.5
    fits: Fits | None = None
    occupies: bool = True
    takes: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def set_values(fleet: Fleet, node: Node, now_ms: int, sets: Mapping[str, Json]) -> None:
    values: Values = {}
    for name, value in sets.items():
        setattr(node, name, value)
        values[name] = value
    fleet.report(node, now_ms, values)


def values_before(node: Node, sets: Mapping[str, Json]) -> dict[str, Any]:
    return {f"before_{name}": getattr(node, name) for name in sets}


def set_back(fleet: Fleet, node: Node, now_ms: int, before: Detail) -> None:
    set_values(
        fleet, node, now_ms, {name.removeprefix("before_"): was for name, was in before.items()}
    )


def flip(
    kind: str,
    of: str,
    rates: tuple[float, float, float, float],
    sets: Mapping[str, Json],
    able: Callable[[Any], bool] = lambda _: True,
) -> Anomaly:
    """Attributes are so for a while, and then as before; the device tells both at once."""

    def begin(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
        before = values_before(node, sets)
        set_values(fleet, node, now_ms, sets)
        return before

    def end(fleet: Fleet, node: Node, now_ms: int, before: Detail) -> None:
        set_back(fleet, node, now_ms, before)

    return Anomaly(kind, of, *rates, begin, end, able, standing=True)


def moment(
    kind: str,
    of: str,
    rates: tuple[float, float],
    event: str,
    fields: Values,
    able: Callable[[Any], bool] = lambda _: True,
) -> Anomaly:
    """One event, over as soon as it has happened."""

    def begin(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
        fleet.event(node, now_ms, event, dict(fields))
        return {}

    return Anomaly(kind, of, rates[0], 0.0, rates[1], 0.0, begin, nothing, able)


def between(
    kind: str,
    of: str,
    rates: tuple[float, float, float, float],
    event: str,
    first: Values,
    last: Values,
    able: Callable[[Any], bool] = lambda _: True,
    sets: Mapping[str, Json] | None = None,
) -> Anomaly:
    """An event begins it and another ends it; `sets` hold in between."""
    between_sets = sets or {}

    def begin(fleet: Fleet, node: Node, now_ms: int, _end_ms: int) -> Detail:
        before = values_before(node, between_sets)
        fleet.event(node, now_ms, event, dict(first))
        if before:
            set_values(fleet, node, now_ms, between_sets)
        return before

    def end(fleet: Fleet, node: Node, now_ms: int, before: Detail) -> None:
        fleet.event(node, now_ms, event, dict(last))
        if before:
            set_back(fleet, node, now_ms, before)

    return Anomaly(kind, of, *rates, begin, end, able)


def nothing(_fleet: Fleet, _subject: Any, _now_ms: int, _detail: Detail) -> None:
    return


def goes_silent(_fleet: Fleet, node: Node, _now_ms: int, end_ms: int) -> Detail:
    node.dead_until_ms = end_ms
    return {}


def speaks_again(fleet: Fleet, node: Node, now_ms: int, _: Detail) -> None:
    fleet.revive(node, now_ms, within_ms=20_000)
