"""Lamps: when they are lit and how bright, and what their controllers or circuits measure."""

from collections.abc import Callable
from random import Random

from devices.registry import Device
from simulators.daylight import Nights
from simulators.native import Values
from simulators.nodes import Link, Node
from simulators.profiles import DAY_MS, HOUR_MS, ZONE_MS, local_day

REGISTER_KWH = 10_000.0  # a meter of four digits begins at 0 again behind them
DIM_PCT = 50
DIM_FROM_MS = round(23.5 * HOUR_MS)  # local, every night
DIM_TO_MS = round(5.5 * HOUR_MS)
POWER_FACTOR = 0.95
FULL_EVERY = 16  # reports: the counters are told every 4 hours

FLAGS = (
    "lamp_failure",
    "control_gear_failure",
    "relay_failure",
    "thermal_shutdown",
    "leakage_detected",
    "cabinet_door_open",
    "day_burner",
)


class Lamp(Node):
    """A street lamp with its controller, or a stairwell circuit of `count` lamps with its meter.

    dim_pct: 0 while it is off. failed: how many of its lamps are dark. held_pct: what it is held
    at, whatever its plan. drawn: the share of the usual power that it draws. cut: its circuit has
    lost its supply, and its meter has not.
    powered: whether its supply is on; a switched supply is off by day, and then it says nothing.
    flows: is told what it drew since the last time: (from, to, watts, lamps lit).
    """

    __slots__ = (
        "base_v",
        "circuit",
        "count",
        "cut",
        "dim_pct",
        "drawn",
        "energy_kwh",
        "failed",
        "flags",
        "flows",
        "gear_hot_c",
        "held_pct",
        "hours_h",
        "jitter_ms",
        "last_lit",
        "last_ms",
        "last_w",
        "midnight_kwh",
        "motion_count",
        "motion_per_night",
        "nominal_w",
        "power_factor",
        "powered",
        "supply_loss_count",
        "switch_count",
        "switched",
        "tasmota",
        "yesterday_kwh",
    )

    def __init__(self, device: Device, link: Link) -> None:
        super().__init__(device, link)
        attributes = device.attributes
        self.count = int(attributes["lamp_count"])
        self.nominal_w = float(attributes["nominal_power_w"]) * self.count
        self.circuit = attributes["granularity"] == "circuit"
        self.switched = attributes.get("supply") == "switched"
        self.tasmota = device.protocol == "tasmota"
        self.jitter_ms = 0
        self.base_v = 228.0
        self.dim_pct = 0
        self.powered = True
        self.failed = 0
        self.held_pct: int | None = None
        self.drawn = 1.0
        self.power_factor = POWER_FACTOR
        self.cut = False
        self.flags: dict[str, bool] = {}
        self.gear_hot_c = 0.0
        self.energy_kwh = 0.0
        self.midnight_kwh = 0.0
        self.yesterday_kwh = 0.0
        self.hours_h = 0.0
        self.switch_count = 0
        self.supply_loss_count = 0
        self.motion_count = 0
        self.motion_per_night = 0.0
        self.last_ms = 0
        self.last_w = 0.0
        self.last_lit = 0
        self.flows: Callable[[int, int, float, int], None] | None = None

    @property
    def shown_kwh(self) -> float:
        """What its register says."""
        return round(self.energy_kwh % REGISTER_KWH, 3)


class Circuit:
    """Street lamps, each with a controller of its own, that hang on one supply."""

    __slots__ = ("anomaly", "id", "lamps")

    def __init__(self, name: str) -> None:
        self.id = name
        self.lamps: list[Lamp] = []
        self.anomaly: str | None = None


def plan(lamp: Lamp, now_ms: int, nights: Nights) -> tuple[int, int]:
    """(dim level in per cent, until when): on from civil dusk to civil dawn, dimmed at night.

    A lamp's own clock is off by its jitter, at every change.
    """
    now = now_ms - lamp.jitter_ms
    day = local_day(now)
    midnight = day * DAY_MS - ZONE_MS
    dawn, dusk = nights.times_ms(day)
    if now < dawn:
        undim = midnight + DIM_TO_MS
        level, until = (DIM_PCT, min(undim, dawn)) if now < undim else (100, dawn)
    elif now < dusk:
        level, until = 0, dusk
    elif now < midnight + DIM_FROM_MS:
        level, until = 100, midnight + DIM_FROM_MS
    else:
        level, until = DIM_PCT, midnight + DAY_MS + 1
    return (level if lamp.held_pct is None else lamp.held_pct), until + lamp.jitter_ms


def power_w(lamp: Lamp, rng: Random) -> float:
    """What it draws now. A dark lamp is missing from its circuit as one n-th of the power."""
    if lamp.cut:
        return 0.0
    lit = (lamp.count - lamp.failed) / lamp.count * lamp.drawn
    return lamp.nominal_w * lamp.dim_pct / 100 * lit * (0.99 + 0.02 * rng.random())


def meter(lamp: Lamp, now_ms: int, rng: Random) -> float:
    """Count what was used since the last call, and return the power from now on."""
    hours = (now_ms - lamp.last_ms) / HOUR_MS
    if hours > 0:
        _draw(lamp, now_ms)
        if lamp.last_w > 0:
            lamp.hours_h += hours
        if local_day(now_ms) != local_day(lamp.last_ms):
            lamp.yesterday_kwh = lamp.energy_kwh - lamp.midnight_kwh
            lamp.midnight_kwh = lamp.energy_kwh
            lamp.motion_count = 0
        elif lamp.circuit and lamp.dim_pct:
            lamp.motion_count += round(lamp.motion_per_night * hours / 12 * (0.5 + rng.random()))
    lamp.last_ms = now_ms
    lamp.last_w = power_w(lamp, rng) if lamp.dim_pct else 0.0
    lamp.last_lit = lamp.count - lamp.failed if lamp.last_w else 0
    return lamp.last_w


def _draw(lamp: Lamp, now_ms: int) -> None:
    """What it used since the last call, at the power that it had."""
    lamp.energy_kwh += lamp.last_w * (now_ms - lamp.last_ms) / HOUR_MS / 1000
    if lamp.flows is not None and lamp.last_ms:
        lamp.flows(lamp.last_ms, now_ms, lamp.last_w, lamp.last_lit)


def goes_dark(lamp: Lamp, now_ms: int) -> None:
    """The grid is gone in this moment: it draws nothing until it reports again."""
    if now_ms > lamp.last_ms:
        _draw(lamp, now_ms)
        lamp.hours_h += (now_ms - lamp.last_ms) / HOUR_MS if lamp.last_w > 0 else 0.0
    lamp.last_ms, lamp.last_w, lamp.last_lit = max(now_ms, lamp.last_ms), 0.0, 0


def report(lamp: Lamp, now_ms: int, rng: Random) -> Values:
    watts = meter(lamp, now_ms, rng)
    volts = 2.0 if lamp.cut else lamp.base_v + (rng.random() - 0.5) * 3
    values: Values = {
        "switch_state": "on" if lamp.dim_pct else "off",
        "dim_level_pct": lamp.dim_pct,
        "power_w": round(watts, 1),
        "voltage_v": round(volts, 1),
        "energy_kwh": lamp.shown_kwh,
    }
    if watts > 0:
        values["current_a"] = round(watts / (volts * lamp.power_factor), 3)
        values["power_factor"] = lamp.power_factor
    if lamp.circuit:
        values["motion_count"] = lamp.motion_count
    else:
        values["gear_temp_c"] = round(
            18 + (28 * lamp.dim_pct / 100) + lamp.gear_hot_c + rng.random() * 2, 1
        )
    return values


def states(lamp: Lamp) -> Values:
    """Flags and slow counters."""
    values: Values = {
        "operating_hours_h": round(lamp.hours_h, 1),
        "switch_count": lamp.switch_count,
        "supply_loss_count": lamp.supply_loss_count,
    }
    for flag in FLAGS:
        values[flag] = lamp.flags.get(flag, False)
    return values
