"""What many shapes are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Value = bool | int | float | str
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Severity = Literal["P1", "P2", "P3", "P4"]
Held = Literal["suspected", "flapping", "maintenance", "shelved", "suppressed"]
FaultState = Literal["open", "acknowledged", "cleared", "closed"]
DeviceState = Literal["online", "offline", "unknown", "never_seen"]
Channel = Literal["dingtalk", "wecom", "feishu", "email", "webhook", "alertmanager", "apprise"]
Language = Literal["zh", "en"]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
DeliveryState = Literal["pending", "delivered", "suppressed", "cancelled", "failed"]


class Words(BaseModel):
    zh: str
    en: str


class StateCounts(BaseModel):
    """Devices of a kind by state."""

    total: int
    online: int
    offline: int
    unknown: int
    never_seen: int


class LampCounts(StateCounts):
    """Lamp controllers by state. lamp_count: the lamps behind them."""

    lamp_count: int


class SeverityCounts(BaseModel):
    """Open faults, neither closed nor suppressed."""

    P1: int = 0
    P2: int = 0
    P3: int = 0
    P4: int = 0
