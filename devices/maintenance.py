"""Maintenance windows: for a time nobody is told of the faults they cover, which are recorded.

A window covers what all its words fit: a compound, a kind, devices, codes; a word it does not have
fits everything. A fault of the safety tier is covered only by a window that names its device and
its code; reason, owner and end every window has.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from devices.rules import Rule

LASTS_AT_MOST_MS = 31 * 86_400_000
BEGINS_WITHIN_MS = 366 * 86_400_000
DEVICES_AT_MOST = 500
STANDING_AT_MOST = 1000  # planned or active, in the whole district: the judge has all in memory


class Coverable(Protocol):
    """What a window may cover: a fault, or what is kept of one."""

    @property
    def compound(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def device(self) -> str | None: ...
    @property
    def code(self) -> str: ...
    @property
    def safety(self) -> bool: ...


class Phase(StrEnum):
    PLANNED = "planned"
    ACTIVE = "active"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Window:
    """One window; times are UTC epoch ms, and at its end it is over.

    devices, codes: empty for all. ended_at_ms: somebody ended it before its time. owner: who
    answers for it.
    """

    id: str
    compound: str | None
    kind: str | None
    devices: tuple[str, ...]
    codes: tuple[str, ...]
    starts_at_ms: int
    ends_at_ms: int
    reason: str
    owner: str
    created_by: str
    created_at_ms: int
    ended_at_ms: int | None = None

    @property
    def over_at_ms(self) -> int:
        """When it is over, whether by its plan or because somebody ended it."""
        return self.ends_at_ms if self.ended_at_ms is None else self.ended_at_ms

    @property
    def holds_safety(self) -> bool:
        """Whether it may hold faults of the safety tier."""
        return bool(self.devices and self.codes and self.reason and self.owner)

    def phase(self, now_ms: int) -> Phase:
        if now_ms >= self.over_at_ms:
            return Phase.OVER
        return Phase.ACTIVE if now_ms >= self.starts_at_ms else Phase.PLANNED

    def covers(self, fault: Coverable, now_ms: int) -> bool:
        """Whether nobody is to be told now of what happens to this fault."""
        if self.phase(now_ms) is not Phase.ACTIVE or fault.compound is None:
            return False  # what has no compound is our own trouble
        if fault.safety and not self.holds_safety:
            return False
        return (
            self.compound in (None, fault.compound)
            and self.kind in (None, fault.kind)
            and (not self.devices or fault.device in self.devices)
            and (not self.codes or fault.code in self.codes)
        )


def covering(windows: Iterable[Window], fault: Coverable, now_ms: int) -> Window | None:
    """The window that holds what happens to this fault now: of several the one that lasts."""
    found = [window for window in windows if window.covers(fault, now_ms)]
    return max(found, key=lambda window: (window.over_at_ms, window.id), default=None)


def may_be_safety(rule: Rule) -> bool:
    """Whether its faults, or the worst of them, are of the safety tier."""
    return rule.safety or any(sign.safety for sign in rule.signs)
