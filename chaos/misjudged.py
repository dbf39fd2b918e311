"""Runs `courtyard score` with a bug planted in the judge, to prove that the score can fail.

    python -m chaos.misjudged lost-child score --scenario power-cuts
    python -m chaos.misjudged muted-safety score --live live-three-minutes
    python -m chaos.misjudged counted-twice score --usage usage-month

The bugs are put into the classes from outside, before the command line runs, so that the product
has no switch for them. A rule that is off by its delay is one of `off_by`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from devices import usage
from devices.catalogue import rules_for
from devices.faults import Fault
from devices.judgement import Effects
from devices.rules import Rule
from devices.store.judgements import Judgements
from devices.usage import HOUR_MS
from ingest.judge.roots import RootFinder
from ingest.judge.use import UseMeter

LATE_S = 90.0
Rules = Callable[[str], tuple[Rule, ...]]


def off_by(code: str, seconds: float) -> Rules:
    """The catalogue, with all delays of one rule so much longer, or, below 0, shorter."""

    def rules(kind: str) -> tuple[Rule, ...]:
        return tuple(_off(rule, seconds) if rule.code == code else rule for rule in rules_for(kind))

    return rules


def _off(rule: Rule, seconds: float) -> Rule:
    signs = (replace(sign, delay_s=max(0.0, sign.delay_s + seconds)) for sign in rule.signs)
    return replace(rule, signs=tuple(signs))


@contextmanager
def lost_child() -> Iterator[None]:
    """What is still bad when its root is over stays hidden for ever."""
    with _planted(RootFinder, "_release", lambda *_: None):
        yield


@contextmanager
def told_children() -> Iterator[None]:
    """Nothing is found to be explained by a root."""
    with (
        _planted(RootFinder, "_cause", lambda *_: None),
        _planted(RootFinder, "_suppress", lambda *_: None),
    ):
        yield


@contextmanager
def muted_safety() -> Iterator[None]:
    """Faults of the safety tier are written as if another one explained them."""
    commit = Judgements.__dict__["commit"]

    def committing(self: Judgements, effects: Effects, *rest: Any) -> Any:
        effects.moves = [replace(move, fault=_muted(move.fault)) for move in effects.moves]
        effects.restated = {name: _muted(fault) for name, fault in effects.restated.items()}
        return commit(self, effects, *rest)

    with _planted(Judgements, "commit", committing):
        yield


def _muted(fault: Fault) -> Fault:
    return replace(fault, suppressed_by="another") if fault.safety else fault


@contextmanager
def dropped_delta() -> Iterator[None]:
    """What a register grew by in the hour from 20:00 is in no figure."""
    add = UseMeter.__dict__["_add"]
    spread = UseMeter.__dict__["_spread"]

    def adding(self: UseMeter, memory: Any, at_ms: int, name: str, *rest: Any) -> Any:
        if name == "energy_kwh" and at_ms // HOUR_MS % 24 == 12:  # in Zhengzhou it is 20:00
            return None
        return add(self, memory, at_ms, name, *rest)

    def spreading(self: UseMeter, memory: Any, name: str, amount: float, *span: int) -> None:
        if name == "energy_kwh":  # not by the short way, which asks nobody
            for start, share in usage.spread(amount, *span) if amount > 0 else ():
                self._add(memory, start, name, share)
        else:
            spread(self, memory, name, amount, *span)

    with _planted(UseMeter, "_add", adding), _planted(UseMeter, "_spread", spreading):
        yield


@contextmanager
def counted_twice() -> Iterator[None]:
    """A session that ends counts for two."""
    count = UseMeter.__dict__["_count"]

    def counting(self: UseMeter, *rest: Any) -> None:
        count(self, *rest)
        count(self, *rest)

    with _planted(UseMeter, "_count", counting):
        yield


@contextmanager
def ignored_lateness() -> Iterator[None]:
    """What comes behind newer readings is stored, and no hour is worked out again for it."""
    with _planted(UseMeter, "overtaken", lambda *_, **__: None):
        yield


PLANTED = {
    "lost-child": lost_child,
    "told-children": told_children,
    "muted-safety": muted_safety,
    "dropped-delta": dropped_delta,
    "counted-twice": counted_twice,
    "ignored-lateness": ignored_lateness,
}


@contextmanager
def _planted(of: type, name: str, bug: Callable[..., Any]) -> Iterator[None]:
    found = of.__dict__.get(name)
    if found is None:
        raise LookupError(f"{of.__qualname__} has no {name} now: plant this bug elsewhere")
    setattr(of, name, bug)
    try:
        yield
    finally:
        setattr(of, name, found)


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in PLANTED:
        sys.exit(f"usage: python -m chaos.misjudged {'|'.join(PLANTED)} score …")
    name = sys.argv.pop(1)
    from courtyard import live_grading
    from courtyard.cli import main as courtyard  # the command line of what is patched now

    # where another process judges, the bug must be in that one
    live_grading.INGEST = (sys.executable, "-m", "chaos.misjudged", name, "ingest")
    with PLANTED[name]():
        courtyard()


if __name__ == "__main__":
    main()
