"""What is to be expected of a lamp, and what its readings show when held against that.

Whether a lamp is to burn follows from the sun and from what it was told; what it should draw
follows from its nominal power and its dim level. The answers are derived quantities of the lamp
(`devices/kinds/lamp.py`), and its rules judge them like what it reports. What cannot be known is
None: a missing reading shows nothing, and neither does a lamp without power by day.

Two things make the expected power a range instead of a figure:
- A lamp that tells no dim level may be dimmed in the dimming hours, to half at the least.
- A stairwell circuit that counts motions burns brighter than its dim level while somebody passes.
  That hides dark lamps and never makes any up.
Sources: domain.md §1.5, §2.4, §3.1, §6.2, §7.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from devices.messages import Value
from devices.sun import sun_around

if TYPE_CHECKING:  # the kinds of devices are made with this module
    from devices.kinds.kind import Known

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# domain.md §3.1: from an hour after sunrise to an hour before sunset no lamp has any business
# burning, and half an hour after sunset each has to.
BROAD_DAY_MS = HOUR_MS
ON_AFTER_SUNSET_MS = 30 * MINUTE_MS
# A controller's clock may be 10 minutes off (domain.md §7.3), and 5 for where it thinks it is.
OFF_BY_MS = 15 * MINUTE_MS
# A light sensor is believed while the sun is low: one that is covered is dark at noon, too.
SENSOR_HOURS_MS = 90 * MINUTE_MS
DARK_LX = 10.0

DIMS_FROM_MS, DIMS_TO_MS = 23 * HOUR_MS + HOUR_MS // 2, 5 * HOUR_MS + HOUR_MS // 2  # local, §7.3
DIMS_TO = 0.5  # of its power, at the least, in service (domain.md §2.4)
LOW_STATE = 0.1  # "low" may be as little as that

BOOSTED = 1.05  # of what the dim level says: beyond it somebody is passing
DARK_STEP, LIT_STEP = 0.6, 0.4  # of one lamp's power: so much is missing, or so little
OUT, LIT = 0.1, 0.7  # LAMP_OUT: of the expected power of a lamp
HIGH, WELL_ABOVE, WELL_BELOW, LOW = 1.25, 1.15, 0.85, 0.75  # LAMP_POWER_HIGH and _LOW, likewise
NO_LOAD_W, NO_LOAD = 0.5, 0.02  # what a meter shows of nothing: in W, and of the nominal power
POWER_OK_V = (198.0, 242.0)
DEAD_V = 50.0  # CIRCUIT_SUPPLY_LOSS: a lamp below it has no power
NEIGHBOURS, OUT_SHARE = 3, 0.3  # LAMP_OUT: so many of a circuit, or such a share of it, are worse
HALF_PCT = 50  # LAMP_PF_LOW: dimmed below it a driver's power factor is low anyway
HALF_LIT = 0.4  # and the share of nominal power that shows as much where no dim level is told
BURNS_BY_DAY = 0.2  # LAMP_DAY_BURN: of the nominal power
OVERRIDE_MS = DAY_MS  # an override that nobody ended is forgotten, and hides nothing after so long

ON = ("on", "low")
PHASES = ("phase_voltage_v_r", "phase_voltage_v_s", "phase_voltage_v_t")


# When lamps are to burn


def is_broad_day(latitude: float, longitude: float, at_ms: int) -> bool:
    """From an hour after sunrise to an hour before sunset."""
    today = sun_around(latitude, longitude, at_ms)
    if today.sunrise_ms is None or today.sunset_ms is None:
        return False  # in polar night and midnight sun nobody is told of a lamp that burns
    return today.sunrise_ms + BROAD_DAY_MS <= at_ms < today.sunset_ms - BROAD_DAY_MS


def is_due(latitude: float, longitude: float, at_ms: int) -> bool:
    """From half an hour after sunset until the first clock says dawn: who is off then is late."""
    today = sun_around(latitude, longitude, at_ms)
    if today.sunset_ms is None or today.dawn_ms is None:
        return today.is_always_dark
    return at_ms >= today.sunset_ms + ON_AFTER_SUNSET_MS or at_ms < today.dawn_ms - OFF_BY_MS


def is_surely_due(latitude: float, longitude: float, at_ms: int) -> bool:
    """While every lamp is on by its schedule, however wrong its own clock may be."""
    today = sun_around(latitude, longitude, at_ms)
    if today.dusk_ms is None or today.dawn_ms is None:
        return today.is_always_dark
    return at_ms >= today.dusk_ms + OFF_BY_MS or at_ms < today.dawn_ms - OFF_BY_MS


def is_sun_low(latitude: float, longitude: float, at_ms: int) -> bool:
    """While a light sensor tells something of the sky."""
    today = sun_around(latitude, longitude, at_ms)
    if today.sunrise_ms is None or today.sunset_ms is None:
        return today.is_always_dark
    return not (today.sunrise_ms + SENSOR_HOURS_MS <= at_ms < today.sunset_ms - SENSOR_HOURS_MS)


def day_ended_ms(latitude: float, longitude: float, at_ms: int) -> int | None:
    """When the broad day before `at_ms` came to its end; None in polar summer and winter."""
    for back_ms in (0, DAY_MS):
        sunset_ms = sun_around(latitude, longitude, at_ms - back_ms).sunset_ms
        if sunset_ms is not None and sunset_ms - BROAD_DAY_MS <= at_ms:
            return sunset_ms - BROAD_DAY_MS
    return None


def next_turn_ms(latitude: float, longitude: float, at_ms: int) -> int | None:
    """When schedules next switch lamps, after `at_ms`: civil dawn or dusk; None near the poles."""
    for ahead_ms in (0, DAY_MS):
        today = sun_around(latitude, longitude, at_ms + ahead_ms)
        for turn_ms in (today.dawn_ms, today.dusk_ms):
            if turn_ms is not None and turn_ms > at_ms:
                return turn_ms
    return None


def may_be_dimmed(longitude: float, at_ms: int) -> bool:
    """Whether these are the dimming hours by some lamp's clock."""
    zone_ms = round(longitude / 15) * HOUR_MS
    local_ms = (at_ms + zone_ms) % DAY_MS
    return local_ms >= DIMS_FROM_MS - OFF_BY_MS or local_ms < DIMS_TO_MS + OFF_BY_MS


# What a report shows; each is a quantity of devices/kinds/lamp.py


class Draw(NamedTuple):
    """What a lit lamp draws, as shares. of_most, of_least: of the most and of the least that it
    can be expected to draw, the same where that is one figure; of_full: of its nominal power."""

    of_most: float
    of_least: float
    of_full: float

    @property
    def is_exact(self) -> bool:
        return self.of_most == self.of_least


def power_share(known: Known) -> Value | None:
    """Power of a single lamp that is to be lit, of what is expected at its dim level."""
    if is_circuit(known):
        return None
    draw = _draw(known)
    if draw is None:
        return None
    if draw.of_least < OUT:
        return draw.of_least
    return draw.of_most if draw.is_exact or draw.of_most > LIT else None


def lamps_dark(known: Known) -> Value | None:
    """How many lamps of a lit circuit are dark, with fractions: each is one n-th of the power.

    As figures of usage have it (domain.md §6.2), so that fault and figure agree.
    """
    if "dark" not in known.found:
        known.found["dark"] = _lamps_dark(known)
    return known.found["dark"]  # type: ignore[no-any-return]  # as it was put in


def _lamps_dark(known: Known) -> float | None:
    if not is_circuit(known):
        return None
    draw = _draw(known)
    if draw is None:
        return None
    count = lamp_count(known)
    if _is_boosted(known, draw):
        # Only at full power could one see that none is missing.
        return 0.0 if count * (1 - draw.of_full) < LIT_STEP else None
    surely = count * max(0.0, 1 - draw.of_least)
    if surely >= DARK_STEP or draw.is_exact:
        return surely
    perhaps = count * max(0.0, 1 - draw.of_most)
    return perhaps if perhaps < LIT_STEP else None


def dark_pct(known: Known) -> Value | None:
    """Whole lamps of a lit circuit that are dark, of all of them: power of 2.3 lamps less is 2."""
    dark = lamps_dark(known)
    return None if dark is None else 100.0 * round(float(dark)) / lamp_count(known)


def power_ratio(known: Known) -> Value | None:
    """Power of what is expected, for a lamp that burns and draws too much or too little.

    A lamp that draws next to nothing is out, and a circuit that draws too little has dark lamps:
    those are other faults.
    """
    draw = _draw(known)
    if draw is None:
        return None
    most, least, full = draw
    if _is_boosted(known, draw) and least > WELL_ABOVE:
        return full if full > HIGH else None  # brighter than its level, but not than it may be
    if most > HIGH:
        return most
    if is_circuit(known) and least < WELL_BELOW:
        return None
    if least < OUT:
        return None
    is_known = draw.is_exact or least < LOW or (most >= WELL_BELOW and least <= WELL_ABOVE)
    return least if is_known else None


def day_power_share(known: Known) -> Value | None:
    """Power by day, of the nominal one; 0 for a lamp that was off, or without power, since."""
    latitude, longitude, at_ms = known.latitude, known.longitude, known.at_ms
    state = known.word("switch_state")
    is_day = is_broad_day(latitude, longitude, at_ms)
    if not is_day and state in ON and not is_switched(known):
        return None  # as every lamp at night
    power_w, nominal_w = _now(known, "power_w"), nominal_power_w(known)
    if is_day:
        if is_overridden(known):
            return None
        if power_w is not None and nominal_w is not None:
            return power_w / nominal_w
        return 0.0 if power_w is None and state == "off" else None
    if state == "off" and (power_w is None or nominal_w is None or power_w <= _idle_w(nominal_w)):
        return 0.0
    if is_switched(known):  # and has its power come on after the day?
        ended_ms = day_ended_ms(latitude, longitude, at_ms)
        uptime_s, told = _now(known, "uptime_s"), known.latest.get("commanded_on")
        if ended_ms is None:
            return None
        if uptime_s is not None and at_ms - uptime_s * 1000 > ended_ms:
            return 0.0
        if told is not None and told[0] is True and told[1] > ended_ms:
            return 0.0
    return None


def no_load(known: Known) -> Value | None:
    """1 where relay and voltage are good and nothing is drawn, 0 where something is.

    Of a single lamp: the drivers of a circuit do not fail together. And not of one that says itself
    that it is the lamp which has failed.
    """
    if is_circuit(known) or known.word("switch_state") not in ON:
        return None
    power_w = _now(known, "power_w")
    if power_w is None or known.word("lamp_failure") is True:
        return None
    if power_w > _idle_w(nominal_power_w(known) or 0.0):
        return 0.0
    voltage_v, dim_pct = known.sample("voltage_v"), known.sample("dim_level_pct")
    if voltage_v is None or dim_pct == 0 or not POWER_OK_V[0] <= voltage_v <= POWER_OK_V[1]:
        return None
    return 1.0


def lit_power_factor(known: Known) -> Value | None:
    """The power factor of a lamp at half its brightness or more, without its sign."""
    factor, power_w = _now(known, "power_factor"), known.sample("power_w")
    nominal_w = nominal_power_w(known)
    if factor is None or known.word("switch_state") == "off":
        return None
    if power_w is not None and power_w <= _idle_w(nominal_w or 0.0):
        return None
    dim_pct = known.sample("dim_level_pct")
    if dim_pct is not None:
        is_bright = dim_pct >= HALF_PCT
    else:
        is_bright = power_w is not None and power_w >= HALF_LIT * (nominal_w or power_w)
    return abs(factor) if is_bright else None  # the sign is that of a clamp put on backwards


def lit_voltage_v(known: Known) -> Value | None:
    """The voltage, where it is good or lamps are to burn; of a cabinet, that of its best phase."""
    voltage_v = _now(known, "voltage_v")
    for name in PHASES:
        if name in known.latest and (phase_v := _now(known, name)) is not None:
            voltage_v = phase_v if voltage_v is None else max(voltage_v, phase_v)
    if voltage_v is None or voltage_v >= POWER_OK_V[0]:
        return voltage_v  # a good one is good at any hour, which is quickly said
    if is_overridden(known) or _is_sent_off(known):
        return None
    is_due_now = is_surely_due(known.latitude, known.longitude, known.at_ms)
    return voltage_v if is_due_now else None


def off_at_night(known: Known) -> Value | None:
    """Whether a lamp is off that is to be on: by the time, or because its sensor sees no light."""
    state = known.word("switch_state")
    if state in ON:
        return False
    latitude, longitude, at_ms = known.latitude, known.longitude, known.at_ms
    if state != "off" or is_overridden(known) or _is_sent_off(known):
        return None
    if _command(known) is True:
        return None  # it was switched on and is not: that is its relay
    if is_due(latitude, longitude, at_ms):
        return True
    light_lx = known.sample("ambient_lux")
    if light_lx is not None and light_lx < DARK_LX and is_sun_low(latitude, longitude, at_ms):
        return True
    return None


def relay_disobeys(known: Known) -> Value | None:
    """1 where a report says that the lamp is not as it was last switched, 0 where it is.

    One that its schedule has switched off and that burns by day is another fault.
    """
    commanded_on, state = _command(known), known.word("switch_state")
    if commanded_on is None or state not in (*ON, "off"):
        return None
    if not commanded_on and known.word("commanded_by") == "schedule":
        return None
    is_on = state in ON
    power_w, nominal_w = _now(known, "power_w"), nominal_power_w(known)
    if not is_on and power_w is not None and nominal_w is not None:
        is_on = power_w > BURNS_BY_DAY * nominal_w  # its contacts are welded
    return float(is_on is not commanded_on)


# What is known of a lamp


def is_of_circuit(attributes: Mapping[str, Value]) -> bool:
    """Whether one device stands for all lamps of a circuit."""
    return attributes.get("granularity") == "circuit"


def is_of_lamp(attributes: Mapping[str, Value]) -> bool:
    """Whether it stands for a single lamp."""
    return not is_of_circuit(attributes)


def lamp_count(known: Known) -> int:
    count = known.attributes.get("lamp_count", 1)
    return max(1, int(count))


def is_circuit(known: Known) -> bool:
    return is_of_circuit(known.attributes)


def is_switched(known: Known) -> bool:
    """Whether its supply is off by day."""
    return known.attributes.get("supply") == "switched"


def nominal_power_w(known: Known) -> float | None:
    """Of all its lamps together."""
    of_device = known.of_device
    if "nominal_w" not in of_device:
        nominal_w = known.attributes.get("nominal_power_w")
        is_known = not isinstance(nominal_w, str) and nominal_w
        of_device["nominal_w"] = float(nominal_w or 0) * lamp_count(known) if is_known else None
    return of_device["nominal_w"]  # type: ignore[no-any-return]  # as it was put in


def is_overridden(known: Known) -> bool:
    """Whether somebody's will stands in for the schedule."""
    told = known.latest.get("overridden")
    return told is not None and told[0] is True and known.at_ms - told[1] < OVERRIDE_MS


def _command(known: Known) -> bool | None:
    """Whether the lamp was last switched on or off, before this report; None: not known any more.

    By the next turn of the schedule it may have been switched again, and we may not have been told.
    """
    told = known.latest.get("commanded_on")
    if told is None or known.at_ms <= told[1]:
        return None
    turn_ms = next_turn_ms(known.latitude, known.longitude, told[1] + OFF_BY_MS)
    if turn_ms is None or turn_ms <= known.at_ms + OFF_BY_MS:
        return None
    return told[0] is True


def _is_sent_off(known: Known) -> bool:
    """Whether somebody switched it off in this very night."""
    told = known.latest.get("commanded_on")
    if told is None or told[0] is not False:
        return False
    if known.word("commanded_by") not in ("command", "local"):
        return False
    ended_ms = day_ended_ms(known.latitude, known.longitude, known.at_ms)
    return ended_ms is not None and told[1] >= ended_ms


def _now(known: Known, quantity: str) -> float | None:
    """What this very report says of a number."""
    told = known.latest.get(quantity)
    if told is None or told[1] != known.at_ms or isinstance(told[0], str):
        return None
    return float(told[0])


def _draw(known: Known) -> Draw | None:
    """What a lamp draws that is to be lit; None if it is not, or if nothing can be expected."""
    if "draw" not in known.found:
        known.found["draw"] = _drawn(known)
    return known.found["draw"]  # type: ignore[no-any-return]  # as it was put in


def _drawn(known: Known) -> Draw | None:
    power_w, nominal_w = _now(known, "power_w"), nominal_power_w(known)
    if power_w is None or nominal_w is None:
        return None
    state = known.word("switch_state")
    if state is None:
        if is_overridden(known) or _is_sent_off(known):
            return None
        if not is_surely_due(known.latitude, known.longitude, known.at_ms):
            return None
    elif state not in ON:
        return None
    full = power_w / nominal_w
    if "dim_level_pct" in known.latest:
        dim_pct = known.sample("dim_level_pct")
        if not dim_pct:
            return None
        share = full * 100 / dim_pct
        return Draw(share, share, full)
    least = 1.0
    if state == "low":
        least = LOW_STATE
    elif may_be_dimmed(known.longitude, known.at_ms):
        least = DIMS_TO
    return Draw(full, full / least, full)


def _is_boosted(known: Known, draw: Draw) -> bool:
    return draw.of_least > BOOSTED and is_circuit(known) and "motion_count" in known.latest


def _idle_w(nominal_w: float) -> float:
    return max(NO_LOAD_W, NO_LOAD * nominal_w)
