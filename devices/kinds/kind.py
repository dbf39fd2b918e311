"""What a kind of device is: the quantities and events it may report, and how often it speaks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from devices.messages import Reason, Value
from devices.quantities import BadValue, Quantity, Role, Type

# Readers and channels are numbered, phases are r, s, t. Nothing else, so that what a device makes
# up cannot become ever new series.
_INSTANCE = re.compile(r"[1-9][0-9]{0,2}|[rst]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event, checked like a value.

    values: the words of an enum. low, high: the valid range. required: without it the event says
    nothing. max_length: of text, in characters. secret: it tells people apart, so that it is never
    kept as it came (`devices.credentials`).
    """

    name: str
    type: Type
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    required: bool = False
    max_length: int = 120
    secret: bool = False
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
        if self.secret:  # what is refused is told without it
            if isinstance(raw, str) and len(raw) <= self.max_length and raw.isprintable():
                return raw
            why = f"{self.name}: not up to {self.max_length} printable characters"
            raise BadValue(Reason.BAD_TYPE, why)
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


def secret(name: str) -> Field:
    """Text that tells people apart: a credential, an operator."""
    return Field(name, Type.TEXT, secret=True)


@dataclass(frozen=True, slots=True)
class EventType:
    """Something that happens once to a kind of device, with the fields it may carry."""

    name: str
    zh: str
    en: str
    fields: Mapping[str, Field]


def event(name: str, zh: str, en: str, *fields: Field) -> EventType:
    return EventType(name, zh, en, MappingProxyType({field.name: field for field in fields}))


@dataclass(slots=True)
class Known:
    """What is known of one device when a quantity is made of others; valid during that call only.

    at_ms: event time of the report that was just taken into `latest`. latest: the newest value of
    each quantity with its event time, {name: (value, at_ms)}. parent: attributes of the device
    above it. latitude, longitude: of its compound, in degrees. charging_ms: when the session that
    runs at a port began, as far as it was told. found: what was worked out of this report, and is
    asked for once more; of_device: what was worked out of the attributes alone.
    """

    at_ms: int
    interval_s: int
    latest: Mapping[str, tuple[Value, int]]
    attributes: Mapping[str, Value]
    parent: Mapping[str, Value]
    latitude: float
    longitude: float
    charging_ms: int | None = None
    found: dict[str, Any] = field(default_factory=dict)
    of_device: dict[str, Any] = field(default_factory=dict)

    def word(self, quantity: str) -> Value | None:
        """The latest value, however old; for states, which hold. None: it never came."""
        known = self.latest.get(quantity)
        return None if known is None else known[0]

    def sample(self, quantity: str) -> float | None:
        """The latest number, if it is of the last three intervals; for gauges."""
        known = self.latest.get(quantity)
        if known is None or self.at_ms - known[1] > 3000 * self.interval_s:
            return None
        value = known[0]
        return float(value) if not isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Derived:
    """A quantity that no device sends: it is made of others, the attributes and the time.

    Rules judge it like any other. It is made only where a rule needs it, with each live report that
    has one of `of`, and is neither stored nor shown.
    make: pure; None is unknown, and then nothing is judged. limit: the attribute of the device, or
    of the one above it, without which it is always unknown. at_most: the quantity that it is never
    above, in a report that has it: while that is not too much, it need not be made. needs: what the
    device's attributes must be like; of others it is always unknown.
    """

    quantity: Quantity
    of: tuple[str, ...]
    make: Callable[[Known], Value | None]
    limit: str | None = None
    at_most: str | None = None
    needs: Callable[[Mapping[str, Value]], bool] | None = None


@dataclass(frozen=True, slots=True)
class Implied:
    """A state that an event tells of: the device need not send it as a value as well.

    where: the fields that the event must have. value: None takes the event's field of that name.
    """

    event: str
    where: Mapping[str, Value]
    quantity: str
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Muted:
    """A value that says nothing while (quantity, values) of the same device holds: it is unknown.

    A smoke detector that is switched off sends "no smoke".
    """

    quantity: str
    value: Value
    given: tuple[str, tuple[Value, ...]]


# Of every device that tells the time: receive time and device time apart, either way. Nobody sends
# it; the judge takes it from live messages (domain.md §2.0).
CLOCK_OFFSET = Quantity(
    "clock_offset_s", "时钟偏差", "Clock offset", Type.FLOAT, Role.GAUGE, "s", 0
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device, as a declaration.

    interval_s: how often a device reports unless its registry entry says otherwise.
    silence_floor_s: below this no silence counts, however short the interval.
    derived: quantities made of others. implied: states that events tell of. muted: values that
    say nothing under a condition.
    """

    name: str
    zh: str
    en: str
    interval_s: int
    silence_floor_s: int
    quantities: Mapping[str, Quantity]
    events: Mapping[str, EventType]
    derived: tuple[Derived, ...] = ()
    implied: tuple[Implied, ...] = ()
    muted: tuple[Muted, ...] = ()

    def judged(self, name: str) -> Quantity | None:
        """What `name` measures, if a device reports it or if it is derived."""
        if name == CLOCK_OFFSET.name:
            return CLOCK_OFFSET
        for derived in self.derived:
            if derived.quantity.name == name:
                return derived.quantity
        return self.quantity(name)

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
