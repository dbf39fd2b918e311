"""Compounds, devices, readings."""

from pydantic import BaseModel

from api.shapes.basics import (
    DeviceState,
    Instant,
    LampCounts,
    SeverityCounts,
    StateCounts,
    Value,
    Words,
)


class Compound(BaseModel):
    """devices: by kind, only kinds that the compound has."""

    id: str
    name: Words
    firm: str
    firm_name: Words
    households: int
    timezone: str
    synthetic: bool
    devices: dict[str, LampCounts | StateCounts]
    faults: SeverityCounts


class Compounds(BaseModel):
    items: list[Compound]
    next_cursor: str | None


class Reading(BaseModel):
    value: Value
    at: Instant


class Device(BaseModel):
    """state_since: since when the state holds. last_seen_at: our clock at its last sign of life.
    device_at: its own clock then. values: the last reported, with their event time.
    """

    id: str
    kind: str
    compound: str
    parent: str | None
    circuit: str | None
    name: str
    building: str | None
    unit: str | None
    protocol: str
    external_id: str | None
    vendor: str | None
    model: str | None
    interval_s: int
    attributes: dict[str, Value]
    commissioned_at: Instant | None
    decommissioned_at: Instant | None
    state: DeviceState
    state_reason: str | None
    state_since: Instant | None
    last_seen_at: Instant | None
    device_at: Instant | None
    values: dict[str, Reading]
    open_faults: int


class Devices(BaseModel):
    items: list[Device]
    next_cursor: str | None


class Sample(BaseModel):
    at: Instant
    value: Value


class Aggregate(BaseModel):
    """Over [at, at + every). min, mean, max are null for words and flags."""

    at: Instant
    min: float | None
    mean: float | None
    max: float | None
    last: Value
    count: int


class Telemetry(BaseModel):
    """A series, oldest first; raw without `every`."""

    device: str
    quantity: str
    unit: str
    every: str | None
    points: list[Sample] | list[Aggregate]
    next_cursor: str | None
