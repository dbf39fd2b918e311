"""The fault catalogue as a page of the documentation, made from the declarations alone.

`courtyard rules docs docs/fault-catalogue.md` writes it, and a test holds the file to it.
"""

from collections.abc import Iterable, Iterator, Mapping

from devices.catalogue import ANY, COMPOUND, PLATFORM, RULES
from devices.kinds import KINDS
from devices.kinds.kind import Kind
from devices.messages import Value
from devices.overrides import sign_name
from devices.rules import (
    Becomes,
    Beyond,
    Changed,
    Counted,
    Detector,
    Equals,
    Fell,
    Follows,
    Happened,
    Missing,
    NeverSeen,
    Over,
    Party,
    Quiet,
    Refused,
    Returned,
    Rule,
    Severity,
    Share,
    Sign,
    Silent,
    Sparse,
    Stopped,
    Together,
    Unanswered,
    Unprompted,
    Unusual,
    Where,
    ends,
)

_SEVERITIES = {
    Severity.P1: "P1 危急 critical",
    Severity.P2: "P2 重要 major",
    Severity.P3: "P3 一般 minor",
    Severity.P4: "P4 提示 notice",
}
_PARTIES = {
    Party.PROPERTY: "物业 property firm",
    Party.VENDOR: "设备商 vendor",
    Party.GRID: "供电 grid company",
    Party.NETWORK: "网络 network",
    Party.RESIDENT: "住户 resident",
    Party.OPERATOR: "运维 operator",
}
_OTHER_KINDS = {
    ANY: "任何设备 Any device",
    COMPOUND: "小区 Compound",
    PLATFORM: "平台 Courtyard itself",
}
_UNUSUAL = {
    "reports": "a metered value other than 0 is the same in {least:g} reports in a row or more, "
    "while those of its neighbours vary",
    "passages": "no passage by day, where {least:g} an hour or more are usual",
    "sessions": "no session, while the other sockets of the shed have {least:g} a day or more",
    "energy": (
        "the energy of an order is more than {least:g} % off its power over time or its register,"
        " or an energy register jumps"
    ),
}

_HEAD = """\
# Fault catalogue 故障目录

Every fault that courtyard can raise, as it is declared in `devices/catalogue.py` and
`devices/kinds/`. Made by `courtyard rules docs docs/fault-catalogue.md`; changes belong into the
declarations, not here.

A fault is raised when any of its signs has held for its delay, and is over when none has held for
the clear delay. A gauge needs a second sample after the delay that still shows it, unless the delay
is 0; between its two levels the last verdict stands. Silence of a device clears nothing: what is
not known is neither well nor bad.

| mark | means |
|---|---|
| 安全 **safety** | never suppressed, shelved or damped; closes only after a person has \
acknowledged it; a rule file can make it stricter and never laxer |
| 确认 **acknowledge** | the record closes only after a person has answered, also when it is over |
| 疑似 **suspected** | a guess from behaviour: nobody is told of it as certain |

The names in `code` at the begin of a row are those under which a rule file changes the figures of
one sign, see [rules.md](rules.md).
"""

_SOURCES = """\
## Sources 来源

- Words and life of an alarm (raise, acknowledge, clear, shelve, suppress): IEC 62682, ISA-18.2.
- Gates: ONVIF Door Control (states and alarms); Hikvision Card-Based Access Control SDK guide \
V6.1.5 (event codes).
- Sheds and sockets: JUY 5AA5 charging board protocol V1.2, DC589 5.8.9, 机器云 alarms, \
China Tower and 蚂蚁来电 port states.
- Lamps: TALQ 2.x and uCIFI luminaire faults (`lamp_failure`, `control_gear_failure`, \
`day_burner`, `cycling_failure`, …).
- Supply voltage: 198–242 V is the band to clear (statutory +7/−10 % of 220 V is 198–235.4 V); \
253 V and 187 V are ±15 %.
- Levels, delays and counts that no document gives are our own choice, made to be changed by a \
rule file where a site knows better.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *_sections(), _SOURCES])


def _sections() -> Iterator[str]:
    kinds = [ANY, COMPOUND, *KINDS, PLATFORM]
    for kind in kinds:
        rules = [rule for rule in RULES.values() if rule.kind == kind]
        if not rules:
            continue
        named = KINDS.get(kind)
        title = f"{named.zh} {named.en}" if named is not None else _OTHER_KINDS[kind]
        yield f"## {title}\n"
        for rule in sorted(rules, key=lambda rule: rule.code):
            yield _block(rule)


def _block(rule: Rule) -> str:
    marks = [
        mark
        for mark, is_so in (
            ("安全 **safety**", rule.safety),
            ("确认 **acknowledge**", rule.acknowledge and not rule.safety),
            ("疑似 **suspected**", rule.suspected),
        )
        if is_so
    ]
    facts = [_SEVERITIES[rule.severity], *marks, _PARTIES[rule.party]]
    lines = [
        f"### {rule.code} {rule.zh} · {rule.en}",
        "",
        " · ".join(facts),
        "",
        f"{rule.advice_zh} · {rule.advice_en}",
        "",
    ]
    if rule.kind == PLATFORM:
        lines += ["Raised and cleared by courtyard itself, at once; operators alone see it.", ""]
        return "\n".join(lines)
    lines += ["| sign | seen when | for | severity | over when |", "|---|---|---|---|---|"]
    lines += [_row(rule, sign) for sign in rule.signs]
    lines.append("")
    if rule.clear_delay_s:
        lines += [f"Over once none of this has held for {_time(rule.clear_delay_s)}.", ""]
    if rule.repeated is not None:
        worse = rule.repeated
        lines += [
            f"{worse.severity} when it is raised {worse.times} times within "
            f"{_time(worse.within_s)}.",
            "",
        ]
    return "\n".join(lines)


def _row(rule: Rule, sign: Sign) -> str:
    kind = KINDS.get(rule.kind)
    seen = _seen(sign.detector, kind)
    if sign.only:
        only = " and ".join(
            f"{name} is {_value(value)}" if value is not None else f"{name} is not set"
            for name, value in sign.only.items()
        )
        seen = f"where {only}: {seen}"
    severity = sign.severity.value
    if sign.safety and not rule.safety:
        severity += ", safety"
    for evidence, worse in sign.worse.items():
        severity += f"; {worse} if {evidence.replace('_', ' ')}"
    cells = (f"`{sign_name(sign)}`", seen, _delay(sign), severity, _over(sign.detector, kind))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _delay(sign: Sign) -> str:
    if isinstance(sign.detector, Silent):
        return "the silence limit"
    return _time(sign.delay_s) if sign.delay_s else "at once"


def _seen(detector: Detector | Changed, kind: Kind | None) -> str:
    match detector:
        case Beyond():
            text = f"{_quantity(detector.quantity, kind)} is {_level(detector.raises)}"
            if detector.given is not None:
                text += f", while {_state(detector.given, kind)}"
            if detector.every_s:
                text += f"; looked at once in {_time(detector.every_s)}"
            return text
        case Equals():
            whose = f"{_quantity(detector.quantity, KINDS.get(detector.of or '') or kind)}"
            of = f" of a {detector.of}" if detector.of is not None else ""
            text = f"{whose}{of} is {_any(detector.raises)}"
            if detector.unless is not None:
                text += f", unless {_state(detector.unless, kind)}"
            return text
        case Happened():
            return f"event {_event(detector.event, detector.where)}"
        case Stopped():
            text = f"a charging session ends: {_any(detector.reasons)}"
            if detector.unread is not None:
                text += f", with no recent {_quantity(detector.unread, kind)}"
            return text
        case Silent():
            text = "no live contact for three report intervals, at least the floor of its kind"
            text += ", in lighting hours" if detector.lighting_hours_only else ""
            return f"{text}; people are told {_time(detector.notice_delay_s)} after it is raised"
        case NeverSeen():
            return (
                "no message since it was commissioned, or registered; not while what is above "
                "it was never seen either"
            )
        case Together():
            return _together(detector, kind)
        case Refused():
            return "a value of a safety quantity is refused as impossible"
        case Missing():
            return "numbers of the device's own counter are missing"
        case Changed():
            return f"{_quantity(detector.quantity, kind)} becomes {_any(detector.values)}"
        case Counted():
            return _counted(detector, kind)
        case Share():
            among = _event(detector.event, detector.among)
            if detector.without:
                among += f" but not {_fields(detector.without)}"
            return (
                f"of {among} the share with {_fields(detector.where)} is {_level(detector.raises)}"
                f", of {detector.least} or more within {_time(detector.within_s)}"
            )
        case Unprompted():
            prompts = ", ".join(_event(one.event, one.where) for one in detector.prompts)
            text = (
                f"{_quantity(detector.quantity, kind)} becomes {_any(detector.values)} with none "
                f"of {prompts} in the {_time(detector.last_s)} before"
            )
            if detector.unless is not None:
                text += f", unless {_state(detector.unless, kind)}"
            return text
        case Unanswered():
            return (
                f"{detector.times} times running {_event(detector.event, detector.where)} is not "
                f"followed within {_time(detector.answer_s)} by "
                f"{_quantity(detector.quantity, kind)} {_any(detector.values)}, "
                "which is usual there, while a neighbour is not so"
            )
        case Returned():
            event = _event(detector.event, detector.where)
            return f"event {event} after {_time(detector.dark_s)} of silence or more"
        case Fell():
            whose = _quantity(detector.quantity, KINDS.get(detector.of))
            return f"{whose} of a {detector.of} falls within one order"
        case Sparse():
            return (
                f"fewer than {detector.share * 100:g} % of the reports expected in an hour online"
                ", in which no root explains a silence of it"
            )
        case Unusual():
            return _UNUSUAL[detector.quantity].format(least=detector.least)


def _together(detector: Together, kind: Kind | None) -> str:
    share = f"{detector.share * 100:g} %"
    if not detector.power:
        return (
            f"{share} of what is behind it, of {detector.least} or more, falls silent together, "
            "with no sign that the power is gone"
        )
    if kind is not None:
        return f"{share} of the lamps of its supply circuit fall silent together, in lighting hours"
    return (
        f"{share} of the devices, of {detector.least} or more and of at least two kinds, fall "
        f"silent together, within {_time(detector.evidence_s)} of a sign that the power is gone; "
        "in a small compound a silent gateway with such a sign"
    )


def _counted(detector: Counted, kind: Kind | None) -> str:
    text = f"{detector.times} times"
    if detector.consecutive:
        text += " running"
    if detector.within_s is not None:
        text += f" within {_time(detector.within_s)}"
        if detector.reports:
            text += f" or {detector.reports} reports"
    if isinstance(detector.of, Refused):
        return f"{text} a value of the same quantity is refused"
    text += f": {_seen(detector.of, kind)}"
    return text + (f", each of another {detector.distinct}" if detector.distinct else "")


def _over(detector: Detector, kind: Kind | None) -> str:
    ways = [_way(over, kind) for over in ends(detector)]
    match detector:
        case Beyond():
            # "<0" of what is never below nought says that no value ends it
            if not detector.latched and detector.clears != "<0":
                ways.insert(0, _level(detector.clears))
        case Equals():
            ways.insert(0, _any(detector.clears))
        case Silent() | NeverSeen():
            ways.append("it is heard")
        case Together():
            ways.append("they report again")
        case Refused():
            ways.append("a valid value comes")
        case Counted() if isinstance(detector.of, Refused):
            ways.append("a valid value comes")
        case Missing():
            ways.append("they have come, or can no longer come")
        case Share():
            ways.append(f"it is {_level(detector.clears)}")
        case Unanswered():
            ways.append("the next one is followed")
        case Fell():
            ways.append("an order ends in which it does not")
        case Sparse():
            ways.append("the hour has them, or its day is final")
        case Unusual():
            ways.append("it is as usual again")
    return "; or ".join(ways) if ways else "a person says so"


def _way(over: Over, kind: Kind | None) -> str:
    match over:
        case Becomes():
            level = over.clears
            text = _level(level) if isinstance(level, str) else _any(level)
            after = f" after {_any(over.after)}" if over.after else ""
            return f"{_quantity(over.quantity, kind)} is {text}{after}"
        case Follows():
            times = f"{over.times} times running " if over.times > 1 else ""
            levels = "".join(f", {name} {_level(level)}" for name, level in over.levels.items())
            return f"{times}event {_event(over.event, over.where)}{levels}"
        case Quiet():
            if not over.after_s:
                return "at once"
            given = f" while {_state(over.given, kind)}" if over.given is not None else ""
            return f"nothing more of it for {_time(over.after_s)}{given}"


def _quantity(name: str, kind: Kind | None) -> str:
    quantity = kind.judged(name) if kind is not None else None
    if quantity is None:
        return f"`{name}`"
    unit = f", {quantity.unit}" if quantity.unit else ""
    return f"`{name}` ({quantity.zh} {quantity.en}{unit})"


def _state(given: tuple[str, tuple[Value, ...]], kind: Kind | None) -> str:
    return f"{_quantity(given[0], kind)} is {_any(given[1])}"


def _event(event: str, where: Where) -> str:
    fields = _fields(where)
    return f"`{event}` with {fields}" if fields else f"`{event}`"


def _fields(where: Mapping[str, Value | tuple[Value, ...]]) -> str:
    return ", ".join(
        f"{name} {_any(value if isinstance(value, tuple) else (value,))}"
        for name, value in where.items()
    )


def _any(values: Iterable[Value]) -> str:
    return " or ".join(map(_value, values))


def _value(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _level(text: str) -> str:
    if ".." in text:
        return text.replace("..", " to ")
    return text.replace(">=", "≥ ").replace("<=", "≤ ").replace(">", "> ").replace("<", "< ")


def _time(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0 and seconds != 60:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
