"""What a charging session drew, told three ways, and which of them agree.

reported: the energy in the board's end record. register: what the port's register of the session
grew by, from reading to reading, resets and jumps taken care of. power: ∫P dt, the integral of the
power that was heard. All three miss something: the board rounds, the register is not read at the
very end, power is known by samples. So each measured one comes with the share of the session's time
that it knows of, and one that knows too little of it is shown and compared with nothing.

Source: domain.md §4.2 (6): more than 20 % apart is a metering error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from devices.registry import Name

APART_PCT = 20.0
# Sampled once a minute, ∫P dt misses what lies before the first sample and behind the last one, and
# a board rounds: of an order of 0.1 kWh that may be a fifth.
LEAST_KWH = 0.15
LEAST_APART_KWH = 0.05
POWER_LEAST = 0.95
# A register knows all up to its last reading; what is missing is taken to have gone on as before,
# which for a tenth of the time is wrong by less than what is asked for.
REGISTER_LEAST = 0.9


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a session that is over; shares are of its time, 0 to 1.

    register_kwh: up to the last reading, at `register_known` of its time. power_kwh: over the
    stretches in which power is known, `power_known` of its time. None: it was never heard.
    """

    register_kwh: float | None = None
    register_known: float = 0.0
    power_kwh: float | None = None
    power_known: float = 0.0


class Source(StrEnum):
    REPORTED = "reported"
    REGISTER = "register"
    POWER = "power"


class Status(StrEnum):
    AGREES = "agrees"
    APART = "apart"
    UNKNOWN = "unknown"  # it cannot be said


class Why(StrEnum):
    """What the status rests on, or why nothing can be said."""

    BOTH = "both"  # register and power both agree
    REGISTER = "register"
    POWER = "power"
    REGISTER_APART = "register_apart"
    POWER_APART = "power_apart"
    BOTH_APART = "both_apart"
    OPEN = "open"
    NO_END = "no_end"  # closed by inference: the board has reported nothing yet
    NOT_REPORTED = "not_reported"  # the end record names no energy
    NOT_MEASURED = "not_measured"
    GAPS = "gaps"
    TOO_SMALL = "too_small"
    AWAITED = "awaited"  # readings came out of order, and are worked out again


WORDS: Mapping[Why, Name] = {
    Why.BOTH: Name(
        "上报电量与寄存器、功率积分一致",
        "the reported energy agrees with the register and the power",
    ),
    Why.REGISTER: Name(
        "上报电量与寄存器一致；功率不全",
        "the reported energy agrees with the register; power has gaps",
    ),
    Why.POWER: Name(
        "上报电量与功率积分一致；寄存器不全",
        "the reported energy agrees with the power; the register has gaps",
    ),
    Why.REGISTER_APART: Name(
        "上报电量与寄存器相差超过 20 %", "the reported energy is over 20 % off the register"
    ),
    Why.POWER_APART: Name(
        "上报电量与功率积分相差超过 20 %", "the reported energy is over 20 % off the power"
    ),
    Why.BOTH_APART: Name(
        "上报电量与寄存器、功率积分均相差超过 20 %",
        "the reported energy is over 20 % off both the register and the power",
    ),
    Why.OPEN: Name("充电未结束", "the session has not ended"),
    Why.NO_END: Name(
        "未收到结束记录，由平台推定", "no end record came; the platform inferred the end"
    ),
    Why.NOT_REPORTED: Name("结束记录没有电量", "the end record names no energy"),
    Why.NOT_MEASURED: Name("没有寄存器和功率读数", "neither register nor power was read"),
    Why.GAPS: Name("读数缺失太多，无法核对", "too many readings are missing"),
    Why.TOO_SMALL: Name("电量太小，无法核对", "the energy is too small to be compared"),
    Why.AWAITED: Name("读数待补算", "not worked out yet: readings came late, or before an upgrade"),
}
STATUS_WORDS: Mapping[Status, Name] = {
    Status.AGREES: Name("一致", "agrees"),
    Status.APART: Name("不一致", "apart"),
    Status.UNKNOWN: Name("无法核对", "cannot be said"),
}


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """apart_pct: of each pair that could be compared, in the order of Source; those within 20 %
    agree. Relative to the more direct measurement of both: power, then register.
    """

    status: Status
    why: Why
    apart_pct: tuple[tuple[Source, Source, float], ...] = ()

    @property
    def agree(self) -> tuple[tuple[Source, Source], ...]:
        return tuple((one, other) for one, other, apart in self.apart_pct if apart <= APART_PCT)


def reconcile(
    *,
    is_open: bool,
    is_reported: bool,
    energy_kwh: float | None,
    measured: Measured | None,
    apart_pct: float = APART_PCT,
) -> Reconciliation:
    """Hold a session's reported energy against what was measured.

    is_reported: its end was the board's own. measured: None while it is not worked out.
    """
    if is_open:
        return Reconciliation(Status.UNKNOWN, Why.OPEN)
    if measured is None:
        return Reconciliation(Status.UNKNOWN, Why.AWAITED)
    reported_kwh = energy_kwh if is_reported else None
    amounts = {
        Source.REPORTED: reported_kwh,
        Source.REGISTER: whole_by_register_kwh(measured),
        Source.POWER: measured.power_kwh if measured.power_known >= POWER_LEAST else None,
    }
    pairs = []
    for one, other in (
        (Source.REPORTED, Source.REGISTER),
        (Source.REPORTED, Source.POWER),
        (Source.REGISTER, Source.POWER),
    ):
        told_kwh, held_kwh = amounts[one], amounts[other]
        if told_kwh is not None and held_kwh is not None:
            apart = _apart_pct(told_kwh, held_kwh)
            if apart is not None:
                pairs.append((one, other, apart))
    with_reported = {other: apart for one, other, apart in pairs if one is Source.REPORTED}
    if not with_reported:
        why = _why_unknown(measured, amounts, is_reported=is_reported)
        return Reconciliation(Status.UNKNOWN, why, tuple(pairs))
    wrong = {other for other, apart in with_reported.items() if apart > apart_pct}
    if wrong:
        why = {
            frozenset({Source.REGISTER}): Why.REGISTER_APART,
            frozenset({Source.POWER}): Why.POWER_APART,
        }.get(frozenset(wrong), Why.BOTH_APART)
        return Reconciliation(Status.APART, why, tuple(pairs))
    why = Why.BOTH
    if len(with_reported) == 1:
        why = Why.REGISTER if Source.REGISTER in with_reported else Why.POWER
    return Reconciliation(Status.AGREES, why, tuple(pairs))


def _why_unknown(
    measured: Measured, amounts: dict[Source, float | None], *, is_reported: bool
) -> Why:
    if not is_reported:
        return Why.NO_END
    if amounts[Source.REPORTED] is None:
        return Why.NOT_REPORTED
    if amounts[Source.REGISTER] is not None or amounts[Source.POWER] is not None:
        return Why.TOO_SMALL
    if measured.register_kwh is None and measured.power_kwh is None:
        return Why.NOT_MEASURED
    return Why.GAPS


def whole_by_register_kwh(measured: Measured) -> float | None:
    """What the register would have read at the end; None if it was read too long before."""
    if measured.register_kwh is None or measured.register_known < REGISTER_LEAST:
        return None
    return measured.register_kwh / measured.register_known


def _apart_pct(told_kwh: float, held_kwh: float) -> float | None:
    """By how many per cent one differs from the other; None if rounding may be the difference."""
    if max(told_kwh, held_kwh) < LEAST_KWH:
        return None
    if abs(told_kwh - held_kwh) < LEAST_APART_KWH:
        return 0.0
    return 100 * abs(told_kwh - held_kwh) / max(held_kwh, LEAST_APART_KWH)
