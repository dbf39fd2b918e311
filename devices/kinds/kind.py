"""What a kind of device is: the quantities and events it may report, and how often it speaks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from devices.messages import Reason, Value
from devices.quantities import BadValue, Quantity, Role, Type

# Readers and channels are numbered, phases are r, s, t. Nothing else, so that what a device makes
# up cannot become ever new series.
_INSTANCE = re.compile(r"[1-9][0-9]{0,2}|[rst]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event, checked like a value.

    values: the words of an enum. low, high: the valid range. required: without it the event says
    nothing. max_length: of text, in characters.
    """

    name: str
    type: Type
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    required: bool = False
    max_length: int = 120
    _quantity: Quantity = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        as_quantity = Quantity(
            self.name,
            "",
            "",
            self.type,
            Role.STATE,
            low=self.low,
            high=self.high,
            values=self.values,
        )
        object.__setattr__(self, "_quantity", as_quantity)

    def check(self, raw: object) -> Value:
        """`raw` as a value of this field; raises BadValue (bad_type, bad_number, out_of_range).

        Text may also come as a whole number: vendors send order numbers and codes both ways.
        """
        if self.type is not Type.TEXT:
            return self._quantity.check(raw)
        if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < 2**63:
            raw = str(raw)
        if not isinstance(raw, str):
            raise BadValue(Reason.BAD_TYPE, f"{self.name}: {raw!r:.80} is not text")
        if len(raw) > self.max_length or not raw.isprintable():
            raise BadValue(
                Reason.OUT_OF_RANGE,
                f"{self.name}: {raw[:40]!r} is not up to {self.max_length} printable characters",
            )
        return raw


def flag(name: str, *, required: bool = False) -> Field:
    return Field(name, Type.BOOL, required=required)


def word(name: str, *values: str, required: bool = False) -> Field:
    return Field(name, Type.ENUM, values=values, required=required)


def whole(name: str, low: float, high: float, *, required: bool = False) -> Field:
    return Field(name, Type.INT, low=low, high=high, required=required)


def number(name: str, low: float, high: float, *, required: bool = False) -> Field:
    return Field(name, Type.FLOAT, low=low, high=high, required=required)


def text(name: str, max_length: int = 120, *, required: bool = False) -> Field:
    return Field(name, Type.TEXT, max_length=max_length, required=required)


@dataclass(frozen=True, slots=True)
class EventType:
    """Something that happens once to a kind of device, with the fields it may carry."""

    name: str
    zh: str
    en: str
    fields: Mapping[str, Field]


def event(name: str, zh: str, en: str, *fields: Field) -> EventType:
    return EventType(name, zh, en, MappingProxyType({field.name: field for field in fields}))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device, as a declaration.

    interval_s: how often a device reports unless its registry entry says otherwise.
    silence_floor_s: below this no silence counts, however short the interval.
    """

    name: str
    zh: str
    en: str
    interval_s: int
    silence_floor_s: int
    quantities: Mapping[str, Quantity]
    events: Mapping[str, EventType]

    def quantity(self, name: str) -> Quantity | None:
        """What `name` measures, also as an instance (`reader_online_1`, `phase_voltage_v_r`)."""
        found = self.quantities.get(name)
        if found is not None:
            return found
        stem, _, instance = name.rpartition("_")
        found = self.quantities.get(stem)
        if found is None or not found.many or not _INSTANCE.fullmatch(instance):
            return None
        return found


def by_name(*quantities: Quantity) -> Mapping[str, Quantity]:
    return MappingProxyType({quantity.name: quantity for quantity in quantities})


def events(*types: EventType) -> Mapping[str, EventType]:
    return MappingProxyType({type_.name: type_ for type_ in types})


def gauge(
    name: str,
    zh: str,
    en: str,
    unit: str,
    low: float | None = None,
    high: float | None = None,
    *,
    safety: bool = False,
    many: bool = False,
) -> Quantity:
    """A sampled number; unknown after three intervals without one."""
    return Quantity(name, zh, en, Type.FLOAT, Role.GAUGE, unit, low, high, (), safety, many)


def count(
    name: str,
    zh: str,
    en: str,
    low: float,
    high: float,
    *,
    role: Role = Role.GAUGE,
    unit: str = "",
    safety: bool = False,
    null: Value | None = None,
) -> Quantity:
    """A whole number."""
    return Quantity(name, zh, en, Type.INT, role, unit, low, high, (), safety, null=null)


def register(name: str, zh: str, en: str, unit: str, high: float) -> Quantity:
    """A number that grows until it is reset."""
    return Quantity(name, zh, en, Type.FLOAT, Role.COUNTER, unit, 0, high)


def state(
    name: str, zh: str, en: str, *values: str, safety: bool = False, many: bool = False
) -> Quantity:
    """One of some words, or a flag when there are none; sent on change."""
    of = Type.ENUM if values else Type.BOOL
    return Quantity(name, zh, en, of, Role.STATE, values=values, safety=safety, many=many)


# What every device with a link of its own may report. csq: JUY sends 0…32, 3GPP modems 0…31.
LINK = (
    gauge("rssi_dbm", "信号强度", "Signal strength", "dBm", -130, 0),
    count("csq", "信号值", "Signal quality (CSQ)", 0, 32, null=99),
    count("uptime_s", "运行时长", "Uptime", 0, 3.2e9, role=Role.COUNTER, unit="s"),
)
