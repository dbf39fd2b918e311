"""How long a device may be silent before that means something (domain.md §3.3 and §3.4)."""

from devices.kinds import KINDS
from devices.registry import Device

MISSED_REPORTS = 3
WEAK_CSQ = 10  # a signal below this explains a silence in the hour after it (A)
# Silent together, devices need not have missed all three reports, for one proves the other; but
# two, and a quarter of an interval on top, so that one lost message is none of it.
MISSED_TOGETHER = 2.25
TOGETHER_FLOOR_S = 120
OFTEN_S = 60  # who reports so often, or has a will of its own, can show that others went with it
_HAS_A_WILL = frozenset({"gateway", "shed"})
_NEVER_COUNTS = frozenset({"port", "lamp"})


def silence_limit_s(device: Device) -> float:
    """Seconds since the last live contact after which a device is offline.

    It is the raise delay of an offline fault itself; none comes on top.
    """
    return limit_s(device.kind, device.interval_s)


def limit_s(kind: str, interval_s: int) -> float:
    """The same for any device of a kind that reports so often."""
    return max(MISSED_REPORTS * interval_s, KINDS[kind].silence_floor_s)


def silence_together_s(device: Device) -> float:
    """Seconds since the last live contact after which its silence counts beside that of others."""
    return min(silence_limit_s(device), max(TOGETHER_FLOOR_S, MISSED_TOGETHER * device.interval_s))


def is_eligible(device: Device) -> bool:
    """Whether its silence says something of its compound or its gateway.

    Never a port, for a dead shed of twelve would look like thirteen devices, and never a lamp.
    """
    return device.kind not in _NEVER_COUNTS and (
        device.kind in _HAS_A_WILL or device.interval_s <= OFTEN_S
    )
