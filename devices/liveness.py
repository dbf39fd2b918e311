"""How long a device may be silent before that means something (domain.md §3.4)."""

from devices.kinds import KINDS
from devices.registry import Device

MISSED_REPORTS = 3
WEAK_CSQ = 10  # a signal below this explains a silence in the hour after it (A)


def silence_limit_s(device: Device) -> float:
    """Seconds since the last live contact after which a device is offline.

    It is the raise delay of an offline fault itself; none comes on top.
    """
    return max(MISSED_REPORTS * device.interval_s, KINDS[device.kind].silence_floor_s)
