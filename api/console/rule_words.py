"""The signs of rules in words: what is looked at, beyond which limit, how often, for how long.

A sign's name in a rule file (`devices.overrides.sign_name`) stays what people write there; this is
what they read. Raises nothing: a word that is not known is shown as it is written.
"""

from collections.abc import Iterable, Mapping

from api.words import Language, duration, knows, say
from devices.kinds import KINDS
from devices.messages import Value
from devices.rules import (
    Beyond,
    Changed,
    Counted,
    Detector,
    Equals,
    Fell,
    Happened,
    Missing,
    NeverSeen,
    Refused,
    Returned,
    Rule,
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
)
from devices.stop_reasons import PortStatus, StopReason
from devices.telling import quantity_name, unit_of

SHORT_S = 120  # below it seconds say more than minutes
SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}


def span(language: Language, seconds: float) -> str:
    """A length of time in the unit that fits: 90 s, 5 min, 2 h."""
    if 0 < seconds < SHORT_S:
        return say(language, "rs_seconds", n=f"{seconds:g}")
    return duration(language, seconds)


def delay(language: Language, seconds: float) -> str:
    """How long a sign must hold before it counts."""
    return span(language, seconds) if seconds else say(language, "hp_at_once")


def level(language: Language, text: str, unit: str = "") -> str:
    """A limit as it is read: `>=70` of degrees is ≥ 70 °C, `>36000` of seconds is > 10 h."""
    for sign, shown in SIGNS.items():
        if text.startswith(sign):
            number = text.removeprefix(sign).strip()
            if unit == "s" and number.isdecimal():
                return f"{shown} {span(language, float(number))}"
            return f"{shown} {number} {unit}".strip()
    return f"{text.replace('..', '–')} {unit}".strip()


def unit_of_sign(kind: str, sign: Sign) -> str:
    """The unit of a sign's limits; empty for one without."""
    quantity = getattr(sign.detector, "quantity", None)
    return "" if quantity is None else _unit(_of(kind, sign.detector), quantity)


def _unit(kind: str, quantity: str) -> str:
    unit = unit_of(kind, quantity) or ("s" if quantity.endswith("_s") else "")
    return "" if unit == "1" else unit


def sign_words(language: Language, rule: Rule, sign: Sign) -> str:
    """What the sign looks at, with its limits as they are in it."""
    words = _detector(language, rule.kind, sign.detector)
    if sign.only:
        only = "".join(
            say(language, f"rs_only_{name}_{value if value is not None else 'none'}")
            if knows(f"rs_only_{name}_{value if value is not None else 'none'}")
            else f"{name}={value}"
            for name, value in sign.only.items()
        )
        words = say(language, "rs_only", what=words, only=only)
    return words


def _of(kind: str, detector: Detector | Changed) -> str:
    """Whose quantity it is: a shed's sign can be its ports'."""
    return getattr(detector, "of", None) or kind if isinstance(detector, Equals | Fell) else kind


def _detector(language: Language, kind: str, detector: Detector | Changed) -> str:
    """One line for each kind of detector: what is not in the table says nothing but its name."""
    match detector:
        case Beyond():
            limit = level(language, detector.raises, _unit(kind, detector.quantity))
            return f"{_quantity(language, kind, detector.quantity)} {limit}"
        case Equals():
            whose = _of(kind, detector)
            name = _quantity(language, whose, detector.quantity)
            if whose != kind:
                name = say(language, "rs_child", kind=_kind(language, whose), name=name)
            return _is(language, name, detector.raises, detector.quantity)
        case Happened():
            return _event(language, kind, detector.event, detector.where)
        case Stopped():
            reasons = _values(language, detector.reasons)
            if detector.unread is None:
                return say(language, "rs_stopped", reasons=reasons)
            name = _quantity(language, kind, detector.unread)
            return say(language, "rs_stopped_unread", reasons=reasons, name=name)
        case Counted():
            return _counted(language, kind, detector)
        case Changed():
            return _is(language, _quantity(language, kind, detector.quantity), detector.values)
        case Share():
            return say(
                language,
                "rs_share",
                what=_event(language, kind, detector.event, detector.where),
                share=level(language, detector.raises),
                least=detector.least,
                span=span(language, detector.within_s),
            )
        case Unprompted():
            name = _quantity(language, kind, detector.quantity)
            return say(language, "rs_unprompted", what=_is(language, name, detector.values))
        case Unanswered():
            return say(
                language,
                "rs_unanswered",
                what=_event(language, kind, detector.event, detector.where),
                n=detector.times,
                span=span(language, detector.answer_s),
                name=_quantity(language, kind, detector.quantity),
            )
        case Returned():
            return say(
                language,
                "rs_returned",
                what=_event(language, kind, detector.event, detector.where),
                span=span(language, detector.dark_s),
            )
        case Fell():
            name = _quantity(language, _of(kind, detector), detector.quantity)
            return say(language, "rs_fell", name=name)
        case Together():
            word = "rs_together_power" if detector.power else "rs_together"
            return say(language, word, share=f"{detector.share:.0%}".replace("%", " %"))
        case Sparse():
            return say(language, "rs_sparse", share=f"{detector.share:.0%}".replace("%", " %"))
        case Unusual():
            return say(language, f"rs_unusual_{detector.quantity}", n=f"{detector.least:g}")
        case Silent():
            word = "rs_silent_lit" if detector.lighting_hours_only else "rs_silent"
            return say(language, word)
        case NeverSeen():
            return say(language, "rs_neverseen")
        case Refused():
            return say(language, "rs_refused")
        case Missing():
            return say(language, "rs_missing")


def _counted(language: Language, kind: str, detector: Counted) -> str:
    what = _detector(language, kind, detector.of)
    if detector.within_s is None:
        return say(language, "rs_running", what=what, n=detector.times)
    within = span(language, detector.within_s)
    return say(language, "rs_counted", what=what, n=detector.times, span=within)


def _is(language: Language, name: str, values: Iterable[Value], quantity: str = "") -> str:
    """A state: of one that is only true or false, its name says what is so."""
    values = tuple(values)
    if values == (True,):
        return name
    if values == (False,) and knows(f"rs_no_{quantity}"):
        return say(language, f"rs_no_{quantity}")
    if values == (False,):
        return say(language, "rs_not", name=name)
    return say(language, "rs_is", name=name, values=_values(language, values))


def _event(language: Language, kind: str, event: str, where: Where) -> str:
    known = KINDS[kind].events.get(event) if kind in KINDS else None
    name = event if known is None else (known.zh if language == "zh" else known.en)
    said = [
        _values(language, value if isinstance(value, tuple) else (value,))
        for field, value in where.items()
        if value is not True
    ]
    return (
        f"{name}{say(language, 'colon')}{say(language, 'list_comma').join(said)}" if said else name
    )


def _values(language: Language, values: Iterable[Value]) -> str:
    return say(language, "rs_or").join(_value(language, value) for value in values)


def _value(language: Language, value: Value) -> str:
    text = str(value)
    if knows(f"rs_v_{text}"):
        return say(language, f"rs_v_{text}")
    for words in _NAMED:
        if text in words:
            return words[text][0 if language == "zh" else 1]
    return say(language, f"w_{text}") if knows(f"w_{text}") else text


_NAMED: tuple[Mapping[str, tuple[str, str]], ...] = (
    {one.value: (one.zh, one.en) for one in StopReason},
    {one.value: (one.zh, one.en) for one in PortStatus},
)


def _quantity(language: Language, kind: str, name: str) -> str:
    key = f"rs_q_{name}"
    return say(language, key) if knows(key) else quantity_name(language, kind, name)


def _kind(language: Language, kind: str) -> str:
    known = KINDS.get(kind)
    return kind if known is None else (known.zh if language == "zh" else known.en)
