"""What cumulative registers grew by: growth, resets, roll-overs, and jumps that are no figure.

A reading alone does not say why it is lower than the one before: a board that restarted counts from
zero again, a counter that was full goes on behind zero, and a defective one shows anything. What
tells them apart is how much the device can have drawn meanwhile.

Source: domain.md §4.2 (6), and the bounds below, which are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from devices.messages import Value
from devices.registry import Name

HOUR_MS = 3_600_000

# A device may draw more than it is rated for, and its clock, or the moment of the reading within
# its message, may be off by as much as it took.
MARGIN = 2.0
# Whatever its rating, so much between two readings is believed: registers count in steps, and two
# readings that were taken a minute apart may be sent with the same time.
SLACK_KWH: Mapping[str, float] = {"port": 0.1, "lamp": 1.0, "shed": 2.0}
# Where no rating is known: the highest power that such a device may report (domain.md §2).
MOST_W: Mapping[str, float] = {"port": 3_000.0, "lamp": 5_000.0, "shed": 60_000.0}

# Where counters are full: decimal digits, and 16, 24 or 32 bits of Wh, 0.01 kWh or 0.1 kWh.
MODULI_KWH = (
    *(float(10**digits) for digits in range(2, 8)),
    2**16 / 1000, 2**16 / 100, 2**16 / 10,
    2**24 / 1000, 2**24 / 100, 2**24 / 10,
    2**32 / 1000,
)  # fmt: skip
NEAR_SHARE = 0.01  # of the modulus: so near to the top before, and to zero behind it


class Jump(StrEnum):
    """Why a step is no figure."""

    FORWARDS = "jump_forwards"  # more than the device can have drawn
    BACKWARDS = "jump_backwards"  # a fall that is neither a reset nor a roll-over


JUMP_WORDS: Mapping[Jump, Name] = {
    Jump.FORWARDS: Name(
        "读数增加超过设备可能用电", "the register grew by more than the device can have drawn"
    ),
    Jump.BACKWARDS: Name(
        "读数回退，且不是清零或翻转", "the register fell, and it was neither reset nor full"
    ),
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """How a register counts. most_w: the power that its device may draw. moduli_kwh: where it may
    begin again at zero; empty for one that begins anew with each order.
    """

    most_w: float
    slack_kwh: float
    moduli_kwh: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What a register grew by from one reading to the next, never less than 0.

    excluded_kwh: by how much it moved without a figure, and why.
    """

    grown_kwh: float
    excluded_kwh: float = 0.0
    why: Jump | None = None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A step that is no figure, from one reading of a device's register to the next."""

    compound: str
    device: str
    quantity: str
    from_ms: int
    at_ms: int
    before_kwh: float
    after_kwh: float
    excluded_kwh: float
    why: Jump


def gauge_of(kind: str, attributes: Mapping[str, Value]) -> Gauge:
    """How the energy register of a device counts; attributes: as the registry has them.

    `nominal_power_w` is of one lamp, `power_limit_w` of a socket or of a whole shed. A
    `register_modulus_kwh` is the only one that counts where it is given.
    """
    rated_w = attributes.get("nominal_power_w" if kind == "lamp" else "power_limit_w")
    most_w = MOST_W[kind]
    if isinstance(rated_w, int | float) and rated_w > 0:
        lamps = attributes.get("lamp_count", 1) if kind == "lamp" else 1
        count = lamps if isinstance(lamps, int | float) else 1
        most_w = float(rated_w) * max(1, count) * MARGIN
    modulus = attributes.get("register_modulus_kwh")
    if kind == "port":  # of one order
        moduli: tuple[float, ...] = ()
    elif isinstance(modulus, int | float) and modulus > 0:
        moduli = (float(modulus),)
    else:
        moduli = MODULI_KWH
    return Gauge(most_w, SLACK_KWH[kind], moduli)


def step(
    before_kwh: float | None, now_kwh: float, passed_ms: int, gauge: Gauge, from_zero_ms: int = 0
) -> Step:
    """What a register grew by in `passed_ms`; nothing with its first reading.

    from_zero_ms: for how long it has counted from zero, where the board says so: its order may have
    begun long before we were told.

    What it counted before we knew of it is nobody's usage. A value below the one before is a
    roll-over where it was full, else a reset, and has counted from zero since; if that much cannot
    have been drawn either, it is a jump, from which on it counts as it reads.
    """
    if before_kwh is None:
        return Step(0.0)
    most_kwh = _most_kwh(passed_ms, gauge)
    most_from_zero_kwh = max(most_kwh, _most_kwh(from_zero_ms, gauge))
    if now_kwh >= before_kwh:
        grown_kwh = now_kwh - before_kwh
        if grown_kwh > (most_kwh if before_kwh > 0 else most_from_zero_kwh):
            return Step(0.0, grown_kwh, Jump.FORWARDS)
        return Step(grown_kwh)
    for modulus_kwh in gauge.moduli_kwh:
        near_kwh = modulus_kwh * NEAR_SHARE
        if modulus_kwh - near_kwh <= before_kwh < modulus_kwh and now_kwh <= near_kwh:
            grown_kwh = modulus_kwh - before_kwh + now_kwh
            if grown_kwh <= most_kwh:
                return Step(grown_kwh)
    if now_kwh > most_from_zero_kwh:
        return Step(0.0, before_kwh - now_kwh, Jump.BACKWARDS)
    return Step(now_kwh)


def _most_kwh(passed_ms: int, gauge: Gauge) -> float:
    return gauge.slack_kwh + gauge.most_w / 1000 * max(0, passed_ms) / HOUR_MS
