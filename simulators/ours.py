"""Troubles of our own side, as a simulated journal shows them: nothing happened to any device.

A journal tells of them in its control records, and in when its messages were received. Each is a
fact all the same, so that what it must not lead to can be graded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

DEAF = ("receive_down", "host_asleep", "link_lost", "session_lost", "broker_storm")
STORM_MS = 10_000  # in which the whole fleet is back (domain.md §7.5)

# What can be wrong, and what of it can be chosen, within which bounds.
TROUBLES: Mapping[str, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        # Receive is stopped and started again; the broker keeps what comes for us.
        "receive_down": {},
        # No record at all, not even of its stop, and then all that the broker kept.
        "host_asleep": {},
        # The connection to the broker is lost; receive lives on and says so.
        "link_lost": {},
        # Receive is away and the broker forgets what it kept: those messages are gone.
        "session_lost": {},
        # The broker itself is away: devices keep what they have, and all come back at once.
        "broker_storm": {},
        # Every message may come twice.
        "duplicates": {"share": (0.0, 0.3)},
        # A message, one not sent again later, is lost on its way with this probability.
        "losses": {"share": (0.0, 0.3)},
        # Messages come in any order within a window of so many.
        "disorder": {"window": (2, 1000)},
    }
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble of ours. at_ms: UTC epoch ms."""

    kind: str
    at_ms: int
    lasts_ms: int
    wanted: Mapping[str, float] = field(default_factory=dict)

    @property
    def end_ms(self) -> int:
        return self.at_ms + self.lasts_ms

    @property
    def deafens(self) -> bool:
        """Whether we hear nothing while it lasts."""
        return self.kind in DEAF
