"""Runs `courtyard score` with a bug planted in the judge, to prove that the score can fail.

    python -m chaos.misjudged lost-child score --scenario power-cuts
    python -m chaos.misjudged muted-safety score --live live-three-minutes

The bugs are put into the classes from outside, before the command line runs, so that the product
has no switch for them. A rule that is off by its delay is one of `off_by`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from devices.catalogue import rules_for
from devices.faults import Fault
from devices.judgement import Effects
from devices.rules import Rule
from devices.store.judgements import Judgements
from ingest.judge.roots import RootFinder

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
    with _planted(RootFinder, "_suppress", lambda *_: None):
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


PLANTED = {"lost-child": lost_child, "told-children": told_children, "muted-safety": muted_safety}


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
