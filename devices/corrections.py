"""Corrections of usage that is final: what of it can be corrected, and by how much.

A correction is added to what was counted, and never takes its place: what it adds is kept by hour,
so that hours, days and months go on adding up. One of a day is shared out over its hours as the
figure was, one of a kind belongs to no device.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from devices.kinds.gate import ACCESS_METHODS, DENY_REASONS
from devices.stop_reasons import StopReason
from devices.usage import Figures, add

MOST = 1e9  # of one figure, in its own unit
LONGEST_REASON = 500
NOBODY = 0  # the number of no device: the line is of the kind as a whole
LEAST = 1e-9  # less than that is the rounding of a sum
LEAST_OF_RECOUNT = 1e-6  # of sums that were made in another order


class Way(StrEnum):
    """How it came to be known what was wrong."""

    STATED = "stated"  # a person says so
    RECOUNT = "recount"  # worked out again from the readings that came too late


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as people name it. name: as hours keep it. scale: its unit in theirs.

    parts: the names that it is counted by, if it is. also: what hours keep apart, and is in it.
    """

    name: str
    scale: float = 1.0
    is_count: bool = False
    parts: frozenset[str] = frozenset()
    also: tuple[str, ...] = ()


def _count(name: str, parts: Iterable[str] = (), also: tuple[str, ...] = ()) -> Figure:
    return Figure(name, 1.0, True, frozenset(parts), also)


FIGURES: Mapping[str, Mapping[str, Figure]] = {
    "gate": {
        "passages": _count("granted"),
        "denied": _count("denied"),
        "remote_openings": _count("remote"),
        "by_method": _count("by_method", (*ACCESS_METHODS, "unknown")),
        "by_direction": _count("by_direction", ("in", "out", "unknown")),
        "deny_reasons": _count("deny_reasons", DENY_REASONS),
        "held_open_min": Figure("held_open_s", 60),
    },
    "port": {
        "sessions": _count("sessions", also=("inferred_sessions", "unreported_sessions")),
        "energy_kwh": Figure("energy_kwh"),
        "fee_fen": _count("fee_fen"),
        "session_h": Figure("session_s", 3600, also=("inferred_session_s", "unreported_session_s")),
        "in_use_h": Figure("in_use_s", 3600),
        "unavailable_h": Figure("unavailable_s", 3600),
        "full_not_removed_min": Figure("full_s", 60),
        "stop_reasons": _count(
            "stop_reasons", (reason.value for reason in StopReason), ("inferred_stops",)
        ),
    },
    "lamp": {
        "burn_hours": Figure("burn_s", 3600),
        "energy_kwh": Figure("energy_kwh"),
        "lit": Figure("lit_s", 3600),
        "dark": Figure("dark_s", 3600),
        "unknown": Figure("unknown_s", 3600),
        "day_burn_hours": Figure("day_burn_s", 3600),
        "day_burn_kwh": Figure("day_burn_kwh"),
    },
}


class BadCorrection(ValueError):
    """It cannot be recorded. parameter: what is wrong with it."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter


class RecountRefused(Exception):
    """A day cannot be worked out again; the text says why."""


class RecountBusy(Exception):
    """Another day is being worked out."""


class Line(NamedTuple):
    """What a correction adds to one hour of a device, or of a kind (NOBODY).

    received: reports that had arrived too late to be counted.
    """

    hour_ms: int
    device_no: int
    kind: str
    received: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Recounted:
    """What a day comes to when it is worked out again, as what has to be added to it.

    left: devices whose figures stay as they are, and why.
    """

    lines: Sequence[Line]
    left: Mapping[str, str]


class Change(NamedTuple):
    """A figure by its name in hours, and what is added to it, in their unit.

    also: what hours keep apart, and is in it.
    """

    name: str
    of: str | None
    amount: float
    is_count: bool
    also: tuple[str, ...] = ()

    def there(self, figures: Mapping[str, object]) -> float:
        """What of it is in an hour."""
        return sum(amount_of(figures, name, self.of) for name in (self.name, *self.also))


def changes(kind: str, stated: Mapping[str, float]) -> list[Change]:
    """What people stated, checked: {"energy_kwh": -1.5, "stop_reasons.full": 2}.

    Raises BadCorrection.
    """
    figures = FIGURES.get(kind)
    if figures is None:
        raise BadCorrection("kind", f"a {kind} has no figures of usage: {', '.join(FIGURES)} have")
    if not stated:
        raise BadCorrection("changes", "nothing is to be changed")
    return [_change(kind, figures, called, amount) for called, amount in sorted(stated.items())]


def _change(kind: str, figures: Mapping[str, Figure], called: str, amount: float) -> Change:
    name, _, of = called.partition(".")
    figure = figures.get(name)
    if figure is None:
        known = ", ".join(figures)
        raise BadCorrection("changes", f"{called[:60]!r} is no figure of a {kind}; it has {known}")
    if figure.parts and of not in figure.parts:
        known = ", ".join(sorted(figure.parts))
        raise BadCorrection("changes", f"{called[:60]!r}: {name} is counted by one of {known}")
    if of and not figure.parts:
        raise BadCorrection("changes", f"{called[:60]!r}: {name} is one number and has no parts")
    if not isfinite(amount) or not 0 < abs(amount) <= MOST:
        raise BadCorrection("changes", f"{called}: a number other than 0, at most {MOST:,.0f}")
    if figure.is_count and amount != int(amount):
        raise BadCorrection("changes", f"{called} is a count: by a whole number")
    return Change(figure.name, of or None, amount * figure.scale, figure.is_count, figure.also)


def shared_out(change: Change, there: Sequence[float]) -> list[float]:
    """The amount over hours in which the figure was `there`: by what it was, or else evenly.

    Raises BadCorrection where nothing as large is there to be taken away.
    """
    amount, total = change.amount, sum(there)
    if total + amount < -LEAST:
        name = change.name if change.of is None else f"{change.name}.{change.of}"
        raise BadCorrection(
            "changes", f"{name} would be negative: {total:g} is there, {-amount:g} to be taken"
        )
    weights = list(there) if total > LEAST else [1.0] * len(there)
    whole = sum(weights)
    shares = [amount * weight / whole for weight in weights]
    if change.is_count:
        shares = _rounded(shares, int(amount))
    return [max(share, -here) for share, here in zip(shares, there, strict=True)]


def _rounded(shares: Sequence[float], amount: int) -> list[float]:
    """Whole numbers as near to the shares as their sum allows; the first of equals gets more."""
    sign = -1 if amount < 0 else 1
    least = [int(abs(share)) for share in shares]
    order = sorted(range(len(shares)), key=lambda n: (least[n] - abs(shares[n]), n))
    for n in order[: abs(amount) - sum(least)]:
        least[n] += 1
    return [float(sign * one) for one in least]


def amount_of(figures: Mapping[str, object], name: str, of: str | None) -> float:
    """One number of an hour or a sum; 0 where there is none."""
    found = figures.get(name)
    if of is not None:
        found = found.get(of) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else 0.0


def difference(
    before: Mapping[str, object], after: Mapping[str, object], least: float = LEAST
) -> Figures:
    """What has to be added to `before` so that it is `after`, without what is less than `least`."""
    found: Figures = {}
    for name, of in sorted(_names(before) | _names(after), key=str):
        amount = amount_of(after, name, of) - amount_of(before, name, of)
        if abs(amount) > least:
            add(found, name, amount, of)
    return found


def _names(figures: Mapping[str, object]) -> set[tuple[str, str | None]]:
    names: set[tuple[str, str | None]] = set()
    for name, amount in figures.items():
        if isinstance(amount, Mapping):
            names |= {(name, of) for of in amount}
        else:
            names.add((name, None))
    return names


def shown(kind: str, figures: Mapping[str, object]) -> dict[str, float]:
    """Figures of hours as people name them; those without a name for people are left out."""
    found: dict[str, float] = {}
    for called, figure in FIGURES.get(kind, {}).items():
        names = [name for name in (figure.name, *figure.also) if name in figures]
        if figure.parts:
            parts = {of for name in names for of in _parts(figures[name])}
            amounts = {
                f"{called}.{of}": sum(amount_of(figures, name, of) for name in names)
                for of in sorted(parts)
            }
        else:
            whole = sum(amount_of(figures, name, None) for name in names)
            amounts = {called: whole / figure.scale}
        found |= {name: amount for name, amount in amounts.items() if amount}
    return found


def _parts(amount: object) -> Iterable[str]:
    return amount if isinstance(amount, Mapping) else ()
