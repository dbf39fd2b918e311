"""Root causes: which fault stands behind which others (domain.md §3.3).

Tables and figures alone. What is judged by them is `ingest.judge.roots`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

TOGETHER_MS = 120_000  # what has one cause fell silent within this time, and its own interval
# When what was together is over; when it begins, its sign says (`devices.rules.Together`).
SHARE = 0.7  # of those that were there
LEAST = 5  # with fewer a share says little: see `ingest.judge.roots`
LEAST_WITHOUT_GATEWAY = 3  # the fewest that show anything together
NOTICE_MS = 120_000  # what a root may explain is not told before: its root may be found meanwhile

COMPOUND_POWER_CUT = "COMPOUND_POWER_CUT"
GW_OFFLINE = "GW_OFFLINE"
SHED_POWER_CUT = "SHED_POWER_CUT"
SHED_OFFLINE = "SHED_OFFLINE"
CIRCUIT_SUPPLY_LOSS = "CIRCUIT_SUPPLY_LOSS"

_BEHIND_GATEWAY = frozenset({"GATE_OFFLINE", "CCTV_OFFLINE", "LIFT_OFFLINE", "LAMP_COMM"})

# What a root explains while it is open. Of SHED_OFFLINE it is what is suspected of the sockets.
SUPPRESSES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        COMPOUND_POWER_CUT: _BEHIND_GATEWAY
        | {
            GW_OFFLINE,
            "GATE_MAINS_LOST",
            SHED_OFFLINE,
            SHED_POWER_CUT,
            "SHED_UNDERVOLT",
            "CCTV_MAINS",
            "LIFT_STOPPED",
            "LAMP_OUT",
            "LAMP_NOT_ON_SCHED",
            CIRCUIT_SUPPLY_LOSS,
        },
        GW_OFFLINE: _BEHIND_GATEWAY,
        SHED_POWER_CUT: frozenset({SHED_OFFLINE, "SHED_UNDERVOLT"}),
        SHED_OFFLINE: frozenset(),
        CIRCUIT_SUPPLY_LOSS: frozenset(
            {"LAMP_COMM", "LAMP_OUT", "LAMP_RELAY", "LAMP_NOT_ON_SCHED"}
        ),
    }
)


class Cause(Protocol):
    """A root, open or over: a fault, or what is kept of one."""

    @property
    def id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def since_ms(self) -> int: ...


class Effect(Protocol):
    """What a root may stand behind: a fault, or what is kept of one."""

    @property
    def id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def safety(self) -> bool: ...
    @property
    def suspected(self) -> bool: ...
    @property
    def since_ms(self) -> int: ...


def may_explain(root: Cause, child: Effect) -> bool:
    """Whether such a root ever stands behind such a fault."""
    if child.safety or child.id == root.id:
        return False
    if child.code in SUPPRESSES[root.code]:
        return True
    return root.code == SHED_OFFLINE and child.kind == "port" and child.suspected


def explains(root: Cause, child: Effect, interval_s: int) -> bool:
    """Whether this root, of the same place, stands behind that fault. Never behind a safety fault.

    By when it began, not by when it was raised: one that failed first is explained too, and what
    was broken long before is not. interval_s: of the child's device, which may have been the first
    thing to go and have spoken so long before.
    """
    if not may_explain(root, child):
        return False
    return child.since_ms >= root.since_ms - TOGETHER_MS - interval_s * 1000


def together(onsets: Sequence[tuple[int, int]]) -> tuple[int, list[int]]:
    """When one cause explains most of these silences, and which those are, by their place.

    onsets: (last contact in ms, interval in s) of each. A device that one cause took at `t` had
    spoken within its interval before, or at most 120 s after. Of equal ones the latest; (0, []) for
    none.
    """
    best_ms, best = 0, list[int]()
    for at_ms in sorted({onset_ms + interval_s * 1000 for onset_ms, interval_s in onsets}):
        chosen = [
            n
            for n, (onset_ms, interval_s) in enumerate(onsets)
            if onset_ms - TOGETHER_MS <= at_ms <= onset_ms + interval_s * 1000
        ]
        if len(chosen) >= len(best):
            best_ms, best = at_ms, chosen
    return best_ms, best
