"""What a device measures: a declaration that can check a value."""

from dataclasses import dataclass
from enum import StrEnum

from devices.messages import Reason, Value

MAX_EXACT = 2.0**53  # beyond it a float no longer holds every whole number


class Type(StrEnum):
    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    ENUM = "enum"
    TEXT = "text"  # only a field of an event: no quantity is free text


class Role(StrEnum):
    """How a value behaves over time; decides how long it stays valid and how it adds up."""

    GAUGE = "gauge"  # a sample; unknown after three intervals without one
    COUNTER = "counter"  # grows until it is reset
    STATE = "state"  # sent on change; holds while the device is online


class BadValue(ValueError):
    """A value that its quantity refuses, with the reason it is counted under."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing a kind of device reports.

    low, high: the valid range, both ends included; outside it a value is refused and counted.
    values: the words of an enum. safety: a refused value of it is still an alarm.
    many: instances are told apart by a suffix (`reader_online_1`, `stream_ok_3`).
    null: what devices send when they do not know; whoever decodes takes it for null.
    """

    name: str
    zh: str
    en: str
    type: Type
    role: Role
    unit: str = ""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    safety: bool = False
    many: bool = False
    null: Value | None = None

    def check(self, raw: object) -> Value:
        """`raw` as a value of this quantity; BadValue (bad_type, bad_number, out_of_range)."""
        match self.type:
            case Type.BOOL:
                if isinstance(raw, bool):
                    return raw
                raise BadValue(Reason.BAD_TYPE, f"{self.name}: {raw!r:.80} is not true or false")
            case Type.ENUM:
                if not isinstance(raw, str):
                    raise BadValue(Reason.BAD_TYPE, f"{self.name}: {raw!r:.80} is not a word")
                if raw not in self.values:
                    known = ", ".join(self.values)
                    raise BadValue(Reason.OUT_OF_RANGE, f"{self.name}: {raw[:80]!r} is not {known}")
                return raw
        return self._check_number(raw)

    def _check_number(self, raw: object) -> Value:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise BadValue(Reason.BAD_TYPE, f"{self.name}: {raw!r:.80} is not a number")
        # `not <=` also catches NaN, which compares false with everything
        if not -MAX_EXACT <= raw <= MAX_EXACT:
            raise BadValue(Reason.BAD_NUMBER, f"{self.name}: {raw!r:.40} is not a usable number")
        if (self.low is not None and raw < self.low) or (self.high is not None and raw > self.high):
            raise BadValue(
                Reason.OUT_OF_RANGE, f"{self.name}: {raw!r:.40} is outside {self.low}…{self.high}"
            )
        if self.type is Type.INT:
            if raw != int(raw):
                raise BadValue(Reason.BAD_TYPE, f"{self.name}: {raw!r:.40} is not a whole number")
            return int(raw)
        return float(raw)
