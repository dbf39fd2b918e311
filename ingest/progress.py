"""When a connection that claims to be alive is not. Pure: no clock, no socket.

A client library can say "connected" for hours after its subscription, its thread or the broker's
routing died. What counts is that something comes: our probe comes back every few seconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    FINE = "fine"
    RECONNECT = "reconnect"  # nothing came for one stall time
    STUCK = "stuck"  # nor for another one after that, or a thread hangs: a new process must help


@dataclass(frozen=True, slots=True)
class Seen:
    """What the watchdog is told at a look; all times monotonic, in seconds.

    moved_at: a message or probe arrived, or an attempt to connect was refused: all of these prove
    that we work. connected_at: the connection that stands, None without one. excused: silence is
    expected (acks withheld because the journal cannot be written, or the broker forbids the probe).
    round_at: when the network thread last came round; round_limit_s: how long that may take.
    """

    moved_at: float
    connected_at: float | None
    round_at: float
    round_limit_s: float
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """Its memory. awake_since: we have been running since then. silent_since: the silence counts
    from here. warned: it reconnected already."""

    looked_at: float
    awake_since: float
    silent_since: float
    warned: bool = False


def look(watch: Watch, seen: Seen, now: float, stall_s: float) -> tuple[Watch, Verdict]:
    """One look, several in each stall time."""
    if now - watch.looked_at >= stall_s:  # we were frozen, and could not have seen anything
        return Watch(now, now, now), Verdict.FINE
    watch = replace(watch, looked_at=now)
    if now - max(seen.round_at, watch.awake_since) > seen.round_limit_s:
        return watch, Verdict.STUCK
    if seen.excused:
        return replace(watch, silent_since=now, warned=False), Verdict.FINE
    if seen.moved_at > watch.silent_since:
        watch = replace(watch, silent_since=seen.moved_at, warned=False)
    if seen.connected_at is None:
        return replace(watch, silent_since=now), Verdict.FINE
    if seen.connected_at > watch.silent_since:  # a new connection has the whole time again
        watch = replace(watch, silent_since=seen.connected_at)
    if now - watch.silent_since < stall_s:
        return watch, Verdict.FINE
    verdict = Verdict.STUCK if watch.warned else Verdict.RECONNECT
    return replace(watch, silent_since=now, warned=True), verdict
