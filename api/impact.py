"""What a fault takes away, and what a guess was made of, in words."""

from collections.abc import Callable, Mapping

from api.words import Language, duration, grouped, named, say
from devices.faults import Fault
from devices.kinds import KINDS
from devices.registry import Name

RUSH = {7: "rush_morning", 8: "rush_morning", 17: "rush_evening", 18: "rush_evening"}


def impact_line(language: Language, fault: Fault) -> str:
    """Whom it concerns and what is left, on one line; empty where nothing is known of that."""
    told = fault.impact or {}
    parts = _people(language, told)
    parts += [
        _of(language, name, told)
        for name in ("sockets", "lamps", "cameras", "lifts")
        if name in told
    ]
    if _number(told, "charging"):
        parts.append(say(language, "im_charging", n=grouped(_number(told, "charging"))))
    return say(language, "semicolon").join(parts)


def basis_line(language: Language, fault: Fault) -> str:
    """Why something is suspected, on one line; empty for a fault that is no guess of ours."""
    write = _BASES.get(fault.code)
    try:
        return write(language, fault.kind, fault.evidence) if write is not None else ""
    except KeyError:  # raised by another version, by other evidence
        return ""


def _people(language: Language, told: Mapping[str, object]) -> list[str]:
    households = _number(told, "households")
    gates, left = _number(told, "gates"), _number(told, "gates_left")
    parts = []
    if gates and not left:
        parts.append(say(language, "im_no_gate", n=grouped(households)))
    elif gates:
        parts.append(say(language, "im_gates", n=grouped(households), left=grouped(left)))
    elif households:
        parts.append(say(language, "households_n", n=grouped(households)))
    rush = RUSH.get(int(_number(told, "at_hour")))
    if gates and rush is not None:
        parts.append(say(language, rush))
    return parts


def _of(language: Language, name: str, told: Mapping[str, object]) -> str:
    return say(
        language,
        f"im_{name}",
        n=grouped(_number(told, name)),
        total=grouped(_number(told, f"{name}_total")),
        left=grouped(_number(told, f"{name}_left")),
    )


def _number(told: Mapping[str, object], name: str) -> float:
    value = told.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _no_passage(language: Language, _kind: str, evidence: Mapping[str, object]) -> str:
    return say(
        language,
        "ba_no_passage",
        usual=f"{_number(evidence, 'usual'):g}",
        start=evidence["from"],
        end=evidence["to"],
        seen=evidence["seen"],
        lasted=duration(language, _number(evidence, "for_s")),
    )


def _idle(language: Language, _kind: str, evidence: Mapping[str, object]) -> str:
    return say(
        language,
        "ba_idle",
        seen=evidence["seen"],
        lasted=duration(language, _number(evidence, "for_s")),
        others=f"{_number(evidence, 'neighbours_a_day'):g}",
    )


def _frozen(language: Language, kind: str, evidence: Mapping[str, object]) -> str:
    declared = KINDS.get(kind)
    quantity = declared.quantity(str(evidence["quantity"])) if declared is not None else None
    unit = quantity.unit if quantity is not None else ""
    name = str(evidence["quantity"])
    if quantity is not None:
        name = named(language, Name(quantity.zh, quantity.en))
    return say(
        language,
        "ba_frozen",
        quantity=name,
        value=f"{evidence['value']} {unit}".strip(),
        reports=grouped(_number(evidence, "reports")),
        changed=grouped(_number(evidence, "peers_changed")),
    )


def _meter(language: Language, _kind: str, evidence: Mapping[str, object]) -> str:
    return say(
        language,
        "ba_meter",
        order=evidence["order"],
        reported=evidence["reported_kwh"],
        measured=evidence["measured_kwh"],
        apart=f"{_number(evidence, 'apart_pct'):.0f}",
    )


_BASES: Mapping[str, Callable[[Language, str, Mapping[str, object]], str]] = {
    "GATE_NO_PASSAGE": _no_passage,
    "PORT_IDLE_SUSPECT": _idle,
    "DEV_VALUE_FROZEN": _frozen,
    "SHED_METER_JUMP": _meter,
}
