"""What is expected of a lamp, and what its reports show: tables an electrician can check."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import lighting
from devices.kinds.kind import Known
from devices.messages import Value

LATITUDE, LONGITUDE = 34.75, 113.62
STREET: Mapping[str, Value] = {"granularity": "lamp", "lamp_count": 1, "nominal_power_w": 40}
STAIRS: Mapping[str, Value] = {"granularity": "circuit", "lamp_count": 8, "nominal_power_w": 9}
SWITCHED: Mapping[str, Value] = {**STAIRS, "supply": "switched"}
MINUTE_MS = 60_000

# 2026-11-23: dawn 06:40, sunrise 07:07, sunset 17:16, dusk 17:43 in Zhengzhou.
NOON, EVENING, NIGHT = "12:00", "21:00", "02:00"


def at_ms(clock: str, day: int = 23) -> int:
    """`clock` (hh:mm, China time) of a day of November 2026, as UTC epoch ms."""
    return int(datetime.fromisoformat(f"2026-11-{day:02d}T{clock}:00+08:00").timestamp() * 1000)


def a_lamp(
    clock: str,
    attributes: Mapping[str, Value] = STREET,
    before: Mapping[str, tuple[Value, float]] | None = None,
    **said: Any,
) -> Known:
    """A lamp whose report of `clock` said this. before: {quantity: (value, minutes ago)}."""
    now_ms = at_ms(clock)
    latest: dict[str, tuple[Value, int]] = {
        name: (value, now_ms - round(ago * MINUTE_MS))
        for name, (value, ago) in (before or {}).items()
    }
    latest |= {name: (value, now_ms) for name, value in said.items()}
    return Known(now_ms, 900, latest, attributes, {}, LATITUDE, LONGITUDE)


def lit(clock: str = EVENING, attributes: Mapping[str, Value] = STREET, **said: Any) -> Known:
    return a_lamp(clock, attributes, **{"switch_state": "on", "dim_level_pct": 100, **said})


# --- when lamps are to burn -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "day", "due", "surely"),
    [
        ("05:00", False, True, True),
        ("06:20", False, True, True),
        ("06:30", False, False, False),  # a clock that is fast has switched it off
        ("06:45", False, False, False),
        ("08:00", False, False, False),
        ("08:10", True, False, False),
        ("12:00", True, False, False),
        ("16:10", True, False, False),
        ("16:20", False, False, False),
        ("17:40", False, False, False),
        ("17:50", False, True, False),  # a clock that is slow has not switched it on
        ("18:00", False, True, True),
        ("23:59", False, True, True),
    ],
)
def test_the_sun_says_when_lamps_are_to_burn(
    clock: str, day: bool, due: bool, surely: bool
) -> None:
    place = (LATITUDE, LONGITUDE, at_ms(clock))
    assert lighting.is_broad_day(*place) is day
    assert lighting.is_due(*place) is due
    assert lighting.is_surely_due(*place) is surely


@given(st.integers(0, 366 * 24 * 60), st.floats(-55, 55), st.floats(-180, 180))
def test_no_lamp_is_to_burn_in_broad_daylight(minute: int, latitude: float, east: float) -> None:
    place = (latitude, east, at_ms("00:00") + minute * MINUTE_MS)
    assert not (lighting.is_broad_day(*place) and lighting.is_due(*place))
    assert not (lighting.is_broad_day(*place) and lighting.is_surely_due(*place))
    ended_ms = lighting.day_ended_ms(*place)
    assert ended_ms is not None
    assert 0 <= place[2] - ended_ms <= lighting.DAY_MS + 30 * MINUTE_MS
    turn_ms = lighting.next_turn_ms(*place)
    assert turn_ms is not None
    assert 0 < turn_ms - place[2] <= lighting.DAY_MS


@pytest.mark.parametrize("month", [6, 12])
def test_near_the_pole_nothing_is_said_of_days_that_have_none(month: int) -> None:
    place = (
        80.0,
        15.0,
        int(datetime.fromisoformat(f"2026-{month:02d}-21T12:00Z").timestamp() * 1000),
    )
    assert lighting.is_broad_day(*place) is False
    assert lighting.day_ended_ms(*place) is None
    assert lighting.next_turn_ms(*place) is None
    dark = month == 12
    assert lighting.is_due(*place) is dark
    assert lighting.is_surely_due(*place) is dark
    assert lighting.is_sun_low(*place) is dark


@pytest.mark.parametrize(
    ("clock", "dimmed"),
    [("23:10", False), ("23:20", True), ("02:00", True), ("05:40", True), ("05:50", False)],
)
def test_lamps_are_dimmed_in_the_middle_of_the_night(clock: str, dimmed: bool) -> None:
    assert lighting.may_be_dimmed(LONGITUDE, at_ms(clock)) is dimmed


# --- one lamp ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "share", "ratio"),
    [
        ({"power_w": 40}, 1.0, 1.0),
        ({"power_w": 20, "dim_level_pct": 50}, 1.0, 1.0),
        ({"power_w": 3.9}, 0.0975, None),  # next to nothing: out, and not merely low
        ({"power_w": 0}, 0.0, None),
        ({"power_w": 24}, 0.6, 0.6),
        ({"power_w": 56}, 1.4, 1.4),
        ({"power_w": 40, "dim_level_pct": 0}, None, None),  # dimmed to nothing: nothing is expected
        ({"dim_level_pct": 100}, None, None),
    ],
)
def test_a_lamp_draws_what_its_dim_level_says(
    said: dict[str, Any], share: float | None, ratio: float | None
) -> None:
    lamp = lit(**said)
    assert lighting.power_share(lamp) == pytest.approx(share)
    assert lighting.power_ratio(lamp) == pytest.approx(ratio)
    assert lighting.lamps_dark(lamp) is None


def test_without_a_nominal_power_nothing_is_expected() -> None:
    for attributes in ({}, {"nominal_power_w": 0}, {"nominal_power_w": "40"}):
        lamp = lit(attributes=attributes, power_w=40)
        assert lighting.power_share(lamp) is None
        assert lighting.power_ratio(lamp) is None


def test_an_old_power_shows_nothing_new() -> None:
    before: dict[str, tuple[Value, float]] = {"power_w": (0, 15), "dim_level_pct": (100, 15)}
    assert lighting.power_share(a_lamp(EVENING, before=before, switch_state="on")) is None


def test_a_dim_level_that_was_told_too_long_ago_is_unknown() -> None:
    for ago, share in ((45, 0.05), (46, None)):
        before: dict[str, tuple[Value, float]] = {"dim_level_pct": (50, ago)}
        lamp = a_lamp(EVENING, before=before, switch_state="on", power_w=1)
        assert lighting.power_share(lamp) == share


@pytest.mark.parametrize(
    ("clock", "power_w", "share"),
    [
        (EVENING, 40, 1.0),
        (EVENING, 20, 0.5),
        (NIGHT, 40, 1.0),
        (NIGHT, 20, None),  # dimmed, or broken by half
        (NIGHT, 1.9, 0.095),  # too little even if it is dimmed
    ],
)
def test_a_lamp_that_tells_no_dim_level_may_be_dimmed_at_night(
    clock: str, power_w: float, share: float | None
) -> None:
    lamp = a_lamp(clock, switch_state="on", power_w=power_w)
    assert lighting.power_share(lamp) == pytest.approx(share)


@pytest.mark.parametrize(
    ("clock", "before", "share"),
    [
        (EVENING, {}, 0.0),
        (NOON, {}, None),
        ("17:50", {}, None),  # its clock may be slow
        (EVENING, {"overridden": (True, 60)}, None),
        (EVENING, {"overridden": (False, 60)}, 0.0),
        (EVENING, {"overridden": (True, 25 * 60)}, 0.0),  # nobody ended it, and it is forgotten
        (EVENING, {"commanded_on": (False, 60), "commanded_by": ("local", 60)}, None),
        (EVENING, {"commanded_on": (False, 60), "commanded_by": ("schedule", 60)}, 0.0),
        (EVENING, {"commanded_on": (False, 600), "commanded_by": ("command", 600)}, 0.0),
        (EVENING, {"switch_state": ("off", 60)}, None),
        (EVENING, {"switch_state": ("booting_up", 60)}, None),
    ],
)
def test_a_lamp_that_tells_no_state_burns_by_its_schedule_and_by_what_it_was_told(
    clock: str, before: dict[str, tuple[Value, float]], share: float | None
) -> None:
    lamp = a_lamp(clock, before=before, power_w=0, dim_level_pct=100)
    assert lighting.power_share(lamp) == share


@pytest.mark.parametrize(
    ("said", "load"),
    [
        ({"power_w": 0, "voltage_v": 229}, 1.0),
        ({"power_w": 0.8, "voltage_v": 229}, 1.0),
        ({"power_w": 0.9, "voltage_v": 229}, 0.0),
        ({"power_w": 40, "voltage_v": 2}, 0.0),
        ({"power_w": 0, "voltage_v": 40}, None),  # there is nothing to draw
        ({"power_w": 0}, None),
        ({"power_w": 0, "voltage_v": 229, "dim_level_pct": 0}, None),
        ({"power_w": 0, "voltage_v": 229, "switch_state": "off"}, None),
        ({"power_w": 0, "voltage_v": 229, "lamp_failure": True}, None),  # so it is the lamp
        ({"power_w": 0, "voltage_v": 229, "lamp_failure": False}, 1.0),
        ({"voltage_v": 229}, None),
    ],
)
def test_a_driver_draws_nothing_though_relay_and_voltage_are_good(
    said: dict[str, Any], load: float | None
) -> None:
    assert lighting.no_load(a_lamp(EVENING, **{"switch_state": "on", **said})) == load


@pytest.mark.parametrize(
    ("said", "factor"),
    [
        ({"power_factor": 0.7, "power_w": 40}, 0.7),
        ({"power_factor": -0.7, "power_w": 40}, 0.7),
        ({"power_factor": 0.7, "dim_level_pct": 50}, 0.7),
        ({"power_factor": 0.7, "dim_level_pct": 49}, None),
        ({"power_factor": 0.0, "power_w": 0.0}, None),
        ({"power_factor": 0.7, "power_w": 40, "switch_state": "off"}, None),
    ],
)
def test_a_power_factor_is_that_of_a_lamp_at_half_its_brightness_or_more(
    said: dict[str, Any], factor: float | None
) -> None:
    assert lighting.lit_power_factor(lit(**said)) == factor


def test_without_a_dim_level_the_power_shows_whether_it_burns_brightly() -> None:
    for power_w, factor in ((40, 0.7), (16, 0.7), (15, None)):
        lamp = a_lamp(NIGHT, switch_state="on", power_w=power_w, power_factor=0.7)
        assert lighting.lit_power_factor(lamp) == factor


# --- a circuit --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "dark", "pct"),
    [
        ({"power_w": 72}, 0.0, 0.0),
        ({"power_w": 63}, 1.0, 12.5),
        ({"power_w": 36}, 4.0, 50.0),
        ({"power_w": 31.5, "dim_level_pct": 50}, 1.0, 12.5),
        ({"power_w": 0}, 8.0, 100.0),
        ({"power_w": 100}, 0.0, 0.0),
    ],
)
def test_a_dark_lamp_is_missing_from_the_power_of_its_circuit(
    said: dict[str, Any], dark: float, pct: float
) -> None:
    circuit = lit(attributes=STAIRS, **said)
    assert lighting.lamps_dark(circuit) == pytest.approx(dark)
    assert lighting.dark_pct(circuit) == pytest.approx(pct)
    assert lighting.power_share(circuit) is None


@pytest.mark.parametrize(
    ("power_w", "dark"),
    [
        (36, 0.0),  # as its dim level says
        (31.5, 1.0),
        (37.5, 0.0),
        (45, None),  # somebody passes: it may be all of them, or fewer at full power
        (68, None),
        (70, 0.0),  # at full power none is missing
    ],
)
def test_a_circuit_that_counts_motions_hides_dark_lamps_and_makes_none_up(
    power_w: float, dark: float | None
) -> None:
    said: dict[str, Any] = {"power_w": power_w, "dim_level_pct": 50, "motion_count": 12}
    circuit = lit(NIGHT, STAIRS, **said)
    assert lighting.lamps_dark(circuit) == pytest.approx(dark)


@pytest.mark.parametrize(
    ("clock", "power_w", "dark"),
    [(EVENING, 63, 1.0), (NIGHT, 63, None), (NIGHT, 71, 8 / 72), (NIGHT, 31.5, 1.0)],
)
def test_a_circuit_without_a_dim_level_tells_dark_lamps_from_dimmed_ones_in_the_evening(
    clock: str, power_w: float, dark: float | None
) -> None:
    circuit = a_lamp(clock, STAIRS, switch_state="on", power_w=power_w)
    assert lighting.lamps_dark(circuit) == pytest.approx(dark)


@pytest.mark.parametrize(
    ("said", "ratio"),
    [
        ({"power_w": 72}, 1.0),
        ({"power_w": 94}, 94 / 72),
        ({"power_w": 45}, None),  # dark lamps, and no power that is too low
        ({"power_w": 70, "dim_level_pct": 50, "motion_count": 3}, None),
        ({"power_w": 94, "dim_level_pct": 50, "motion_count": 3}, 94 / 72),
        ({"power_w": 36, "dim_level_pct": 50, "motion_count": 3}, 1.0),
        ({"power_w": 70, "dim_level_pct": 50}, 70 / 36),
    ],
)
def test_a_circuit_draws_too_much_beyond_what_passers_by_explain(
    said: dict[str, Any], ratio: float | None
) -> None:
    assert lighting.power_ratio(lit(attributes=STAIRS, **said)) == pytest.approx(ratio)


# --- by day, in the dark, at the relay --------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "attributes", "said", "share"),
    [
        (NOON, STREET, {"power_w": 30}, 0.75),
        (NOON, STREET, {"power_w": 0, "switch_state": "off"}, 0.0),
        (NOON, STREET, {"switch_state": "off"}, 0.0),
        (NOON, STREET, {"switch_state": "on"}, None),
        ("16:30", STREET, {"power_w": 30}, None),  # within the hour before sunset
        (EVENING, STREET, {"power_w": 30, "switch_state": "on"}, None),
        (EVENING, STREET, {"power_w": 0, "switch_state": "off"}, 0.0),  # so it is off at last
        (EVENING, STREET, {"power_w": 30, "switch_state": "off"}, None),
        (EVENING, SWITCHED, {"power_w": 72, "uptime_s": 3 * 3600}, 0.0),  # without power since
        (EVENING, SWITCHED, {"power_w": 72, "uptime_s": 9 * 3600}, None),
        (EVENING, STAIRS, {"power_w": 72, "uptime_s": 60}, None),  # it only started again
        (EVENING, SWITCHED, {"power_w": 72}, None),
    ],
)
def test_what_is_drawn_by_day_is_of_the_nominal_power(
    clock: str, attributes: Mapping[str, Value], said: dict[str, Any], share: float | None
) -> None:
    assert lighting.day_power_share(a_lamp(clock, attributes, **said)) == share


def test_a_lamp_that_is_overridden_may_burn_by_day() -> None:
    lamp = a_lamp(NOON, before={"overridden": (True, 30)}, power_w=40)
    assert lighting.day_power_share(lamp) is None


def test_a_circuit_that_is_switched_on_in_the_evening_was_off() -> None:
    for ago, share in ((180, 0.0), (22 * 60, None)):
        before: dict[str, tuple[Value, float]] = {"commanded_on": (True, ago)}
        circuit = a_lamp(EVENING, SWITCHED, before, switch_state="on", power_w=72)
        assert lighting.day_power_share(circuit) == share


@pytest.mark.parametrize(
    ("clock", "before", "said", "off"),
    [
        (EVENING, {}, {"switch_state": "off"}, True),
        (EVENING, {}, {"switch_state": "on"}, False),
        (NOON, {}, {"switch_state": "on"}, False),
        (EVENING, {}, {"switch_state": "booting_up"}, None),
        (EVENING, {}, {"ambient_lux": 3.0}, None),
        ("17:40", {}, {"switch_state": "off"}, None),  # less than half an hour after sunset
        ("17:50", {}, {"switch_state": "off"}, True),
        ("06:50", {}, {"switch_state": "off"}, None),
        (NOON, {}, {"switch_state": "off", "ambient_lux": 0.0}, None),  # its sensor is covered
        ("17:30", {}, {"switch_state": "off", "ambient_lux": 9.9}, True),
        ("17:30", {}, {"switch_state": "off", "ambient_lux": 10.0}, None),
        (EVENING, {"overridden": (True, 30)}, {"switch_state": "off"}, None),
        (
            EVENING,
            {"commanded_on": (False, 30), "commanded_by": ("command", 30)},
            {"switch_state": "off"},
            None,
        ),
        (EVENING, {"commanded_on": (True, 60)}, {"switch_state": "off"}, None),  # its relay
        (EVENING, {"commanded_on": (True, 27 * 60)}, {"switch_state": "off"}, True),
    ],
)
def test_a_lamp_is_off_at_night_though_it_is_to_be_on(
    clock: str,
    before: dict[str, tuple[Value, float]],
    said: dict[str, Any],
    off: bool | None,
) -> None:
    assert lighting.off_at_night(a_lamp(clock, before=before, **said)) is off


def test_a_lamp_that_its_schedule_has_switched_off_disobeys_no_more_than_it_burns() -> None:
    for by, disobeys in (("schedule", None), ("command", 1.0)):
        before: dict[str, tuple[Value, float]] = {
            "commanded_on": (False, 60),
            "commanded_by": (by, 60),
        }
        lamp = a_lamp(NOON, before=before, switch_state="on", power_w=40)
        assert lighting.relay_disobeys(lamp) == disobeys


@pytest.mark.parametrize(
    ("clock", "commanded", "said", "disobeys"),
    [
        (EVENING, (True, 60), {"switch_state": "on"}, 0.0),
        (EVENING, (True, 60), {"switch_state": "off"}, 1.0),
        (EVENING, (False, 60), {"switch_state": "on"}, 1.0),
        (EVENING, (False, 60), {"switch_state": "off"}, 0.0),
        (EVENING, (False, 60), {"switch_state": "off", "power_w": 40}, 1.0),  # welded contacts
        (EVENING, (True, 0), {"switch_state": "off"}, None),  # from the same moment
        (EVENING, (True, 60), {"switch_state": "booting_up"}, None),
        (NOON, (True, 18 * 60), {"switch_state": "off"}, None),  # dawn has come since
        ("06:30", (True, 12 * 60), {"switch_state": "off"}, None),  # or soon comes
        (
            "06:20",
            (True, 12 * 60 + 47),
            {"switch_state": "off"},
            1.0,
        ),  # 10 min before dusk: this night
        (NOON, (True, 30), {"switch_state": "off"}, 1.0),
    ],
)
def test_a_relay_is_as_it_was_told_to_be_until_the_schedule_turns(
    clock: str,
    commanded: tuple[bool, float],
    said: dict[str, Any],
    disobeys: float | None,
) -> None:
    lamp = a_lamp(clock, before={"commanded_on": commanded}, **said)
    assert lighting.relay_disobeys(lamp) == disobeys


@pytest.mark.parametrize(
    ("clock", "before", "said", "volts"),
    [
        (EVENING, {}, {"voltage_v": 3.0}, 3.0),
        (EVENING, {}, {"phase_voltage_v_r": 0.0, "phase_voltage_v_s": 228.0}, 228.0),
        (NOON, {}, {"voltage_v": 3.0}, None),
        (NOON, {}, {"voltage_v": 229.0}, 229.0),  # good at any hour
        (EVENING, {}, {"voltage_v": 120.0}, 120.0),
        (NOON, {}, {"voltage_v": 120.0}, None),
        ("17:50", {}, {"voltage_v": 3.0}, None),
        (EVENING, {"overridden": (True, 5)}, {"voltage_v": 3.0}, None),
        (EVENING, {"voltage_v": (3.0, 15)}, {"power_w": 0.0}, None),
    ],
)
def test_a_supply_is_judged_while_lamps_are_to_burn(
    clock: str,
    before: dict[str, tuple[Value, float]],
    said: dict[str, Any],
    volts: float | None,
) -> None:
    assert lighting.lit_voltage_v(a_lamp(clock, before=before, **said)) == volts


# --- every healthy lamp -----------------------------------------------------------------------


@given(st.data())
def test_a_healthy_lamp_shows_nothing_at_any_time_of_the_night(data: st.DataObject) -> None:
    """Noise of 2 %, dimming, passers-by; whether or not it tells its state and its level."""
    count = data.draw(st.sampled_from([1, 6, 7, 8, 9, 10, 11, 12]), "lamps")
    clock = data.draw(st.integers(0, 23 * 60 + 59), "minute")
    attributes: dict[str, Value] = {
        "granularity": "circuit" if count > 1 else "lamp",
        "lamp_count": count,
        "nominal_power_w": data.draw(st.sampled_from([7, 9, 12, 30, 60]), "nominal"),
        "supply": "permanent",
    }
    moment = f"{clock // 60:02d}:{clock % 60:02d}"
    now_ms = at_ms(moment)
    if not lighting.is_surely_due(LATITUDE, LONGITUDE, now_ms):
        return
    dim_pct = 50 if clock >= 23 * 60 + 30 or clock < 5 * 60 + 30 else 100
    boosted = count > 1 and data.draw(st.booleans(), "boosted")
    level = data.draw(st.floats(dim_pct / 100, 1.0), "level") if boosted else dim_pct / 100
    noise = data.draw(st.floats(0.98, 1.02), "noise")
    said: dict[str, Any] = {
        "power_w": float(attributes["nominal_power_w"]) * count * level * noise,
        "voltage_v": 229.0,
        "power_factor": 0.95,
    }
    if data.draw(st.booleans(), "tells its state"):
        said["switch_state"] = "on"
    if boosted or data.draw(st.booleans(), "tells its level"):
        said["dim_level_pct"] = dim_pct
    if boosted:
        said["motion_count"] = 40
    lamp = a_lamp(moment, attributes, **said)

    assert float(lighting.power_share(lamp) or 1.0) > lighting.LIT
    assert float(lighting.lamps_dark(lamp) or 0.0) < lighting.LIT_STEP
    assert lighting.WELL_BELOW <= float(lighting.power_ratio(lamp) or 1.0) < lighting.WELL_ABOVE
    assert lighting.no_load(lamp) in (None, 0.0)
    assert lighting.lit_power_factor(lamp) in (None, 0.95)
    assert lighting.lit_voltage_v(lamp) == 229.0
    assert lighting.off_at_night(lamp) in (None, False)
    assert lighting.day_power_share(lamp) is None
