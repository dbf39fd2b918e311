"""What a fault takes away, what showed it, and what a guess was made of, in words.

language: zh or en. kind: of the fault's device.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo

from devices.kinds import KINDS
from devices.registry import Name
from devices.stop_reasons import PortStatus, StopReason
from devices.words import duration, grouped, knows, named, say

RUSH = {7: "rush_morning", 8: "rush_morning", 17: "rush_evening", 18: "rush_evening"}


def impact_line(language: str, impact: Mapping[str, object] | None) -> str:
    """Whom it concerns and what is left, on one line; empty where nothing is known of that."""
    told = impact or {}
    parts = _people(language, told)
    parts += [
        _of(language, name, told)
        for name in ("sockets", "lamps", "cameras", "lifts")
        if name in told
    ]
    if _number(told, "charging"):
        parts.append(say(language, "im_charging", n=grouped(_number(told, "charging"))))
    return say(language, "semicolon").join(parts)


def basis_line(language: str, code: str, kind: str, evidence: Mapping[str, object]) -> str:
    """Why something is suspected, on one line; empty for a fault that is no guess of ours."""
    write = _BASES.get(code)
    try:
        return write(language, kind, evidence) if write is not None else ""
    except KeyError:  # raised by another version, by other evidence
        return ""


def evidence_lines(
    language: str, kind: str, evidence: Mapping[str, object], zone: tzinfo
) -> list[tuple[str, str]]:
    """What showed a fault, in words: name and value, times in `zone`."""
    return [_evidence(language, kind, name, value, zone) for name, value in evidence.items()]


def quantity_name(language: str, kind: str, name: str) -> str:
    quantity = KINDS[kind].judged(name) if kind in KINDS else None
    return name if quantity is None else named(language, Name(quantity.zh, quantity.en))


def unit_of(kind: str, name: str) -> str:
    quantity = KINDS[kind].judged(name) if kind in KINDS else None
    return "" if quantity is None else quantity.unit


def value_text(language: str, value: object, unit: str = "") -> str:
    if isinstance(value, bool):
        return say(language, "yes" if value else "no")
    text = f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else str(value)
    if isinstance(value, int | float) and abs(value) >= 1000:
        text = grouped(value)
    return f"{text} {unit}".strip()


def when(at_ms: int, now_ms: int | None, zone: tzinfo) -> str:
    """Local time; the date too unless it is today."""
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    if now_ms is not None and at.date() == datetime.fromtimestamp(now_ms / 1000, zone).date():
        return f"{at:%H:%M:%S}"
    return f"{at:%m-%d %H:%M:%S}"


def _evidence(language: str, kind: str, name: str, value: object, zone: tzinfo) -> tuple[str, str]:
    has_own = knows(f"e_{name}")  # these say their unit in their name
    label = say(language, f"e_{name}") if has_own else quantity_name(language, kind, name)
    if name == "last_seen_ms":
        label = say(language, "last_seen")
    if name.endswith("_ms") and isinstance(value, int):
        return label, when(value, None, zone)
    if isinstance(value, list):  # of places where the accounts do not balance
        return label, say(language, "semicolon").join(_place(one, zone) for one in value)
    if name in ("reason", "evidence") and knows(f"r_{value}"):
        return label, say(language, f"r_{value}")
    if isinstance(value, str) and name != "native_reason":
        return label, _word(language, kind, name, value)
    return label, value_text(language, value, "" if has_own else unit_of(kind, name))


def _word(language: str, kind: str, name: str, value: str) -> str:
    """What a device says, in words; as it says it where there are none."""
    named_values = _VALUES.get(name, {})
    if value in named_values:
        return named(language, named_values[value])
    event = KINDS[kind].events.get(value) if name == "event" and kind in KINDS else None
    if event is not None:
        return named(language, Name(event.zh, event.en))
    return say(language, f"w_{value}") if knows(f"w_{value}") else value


_VALUES: Mapping[str, Mapping[str, Name]] = {
    "stop_reason": {one.value: Name(one.zh, one.en) for one in StopReason},
    "port_status": {one.value: Name(one.zh, one.en) for one in PortStatus},
}


def _place(one: object, zone: tzinfo) -> str:
    """A place of several figures, on one line."""
    if not isinstance(one, Mapping):
        return str(one)
    return " ".join(
        when(figure, None, zone)
        if str(name).endswith("_ms") and isinstance(figure, int)
        else str(figure)
        for name, figure in one.items()
    )


def _people(language: str, told: Mapping[str, object]) -> list[str]:
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


def _of(language: str, name: str, told: Mapping[str, object]) -> str:
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


def _no_passage(language: str, _kind: str, evidence: Mapping[str, object]) -> str:
    return say(
        language,
        "ba_no_passage",
        usual=f"{_number(evidence, 'usual'):g}",
        start=evidence["from"],
        end=evidence["to"],
        seen=evidence["seen"],
        lasted=duration(language, _number(evidence, "for_s")),
    )


def _idle(language: str, _kind: str, evidence: Mapping[str, object]) -> str:
    return say(
        language,
        "ba_idle",
        seen=evidence["seen"],
        lasted=duration(language, _number(evidence, "for_s")),
        others=f"{_number(evidence, 'neighbours_a_day'):g}",
    )


def _frozen(language: str, kind: str, evidence: Mapping[str, object]) -> str:
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


def _meter(language: str, kind: str, evidence: Mapping[str, object]) -> str:
    if "excluded_kwh" in evidence:
        of = KINDS["port" if "port" in evidence else kind]
        quantity = of.quantity(str(evidence["quantity"]))
        return say(
            language,
            "ba_meter_jump",
            quantity="" if quantity is None else named(language, Name(quantity.zh, quantity.en)),
            before=evidence["before_kwh"],
            after=evidence["after_kwh"],
            lasted=duration(language, _number(evidence, "for_s")),
            excluded=evidence["excluded_kwh"],
        )
    return say(
        language,
        "ba_meter",
        order=evidence["order"],
        reported=evidence["reported_kwh"],
        measured=evidence["measured_kwh"],
        apart=f"{_number(evidence, 'apart_pct'):.0f}",
    )


_BASES: Mapping[str, Callable[[str, str, Mapping[str, object]], str]] = {
    "GATE_NO_PASSAGE": _no_passage,
    "PORT_IDLE_SUSPECT": _idle,
    "DEV_VALUE_FROZEN": _frozen,
    "SHED_METER_JUMP": _meter,
}
