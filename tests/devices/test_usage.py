"""How much was used, in figures that can be checked on paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import usage
from devices.usage import HOUR_MS, Figures

TEN = 10 * HOUR_MS  # ten o'clock, of some day
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "shares"),
    [
        (TEN, TEN + 30 * MINUTE_MS, {TEN: 12}),
        (TEN, TEN + HOUR_MS, {TEN: 12}),  # up to eleven is not at eleven
        (TEN + 45 * MINUTE_MS, TEN + 105 * MINUTE_MS, {TEN: 3, TEN + HOUR_MS: 9}),
        (TEN, TEN + 3 * HOUR_MS, {TEN: 4, TEN + HOUR_MS: 4, TEN + 2 * HOUR_MS: 4}),
        (TEN, TEN, {TEN: 12}),
        (TEN + MINUTE_MS, TEN, {TEN: 12}),  # a span that ends before it begins is its end
    ],
)
def test_an_amount_is_shared_out_by_time(
    from_ms: int, to_ms: int, shares: dict[int, float]
) -> None:
    assert dict(usage.spread(12, from_ms, to_ms)) == pytest.approx(shares)


@given(
    st.floats(0, 1e6),
    st.integers(0, 10**12),
    st.integers(-HOUR_MS, 200 * HOUR_MS),
)
def test_the_shares_add_up_and_no_hour_is_named_twice(
    amount: float, from_ms: int, length_ms: int
) -> None:
    shares = list(usage.spread(amount, from_ms, from_ms + length_ms))
    assert sum(share for _, share in shares) == pytest.approx(amount)
    hours = [hour for hour, _ in shares]
    assert hours == sorted(set(hours))
    assert all(hour % HOUR_MS == 0 for hour in hours)


@pytest.mark.parametrize(
    ("stop_reason", "energy_kwh", "counts"),
    [
        ("full", 0.82, True),
        ("smoke", 0.09, True),
        ("full", 0.01, False),  # more than 0.01 kWh
        ("no_load_at_start", 0.5, False),
        ("full", None, False),  # unknown is not enough to say that it was one
        (None, 0.5, True),
    ],
)
def test_a_plug_without_a_charge_is_no_session(
    stop_reason: str | None, energy_kwh: float | None, counts: bool
) -> None:
    assert usage.counts_as_session(stop_reason, energy_kwh) is counts


@pytest.mark.parametrize(
    ("power_w", "dim", "lit"),
    [(72, 1.0, 8), (63, 1.0, 7), (66, 1.0, 7), (0, 1.0, 0), (200, 1.0, 8), (36, 0.5, 8), (9, 0, 0)],
)
def test_a_circuit_of_eight_lamps_of_9_w_tells_by_its_power_how_many_burn(
    power_w: float, dim: float, lit: int
) -> None:
    assert usage.lit_lamps(power_w, 72, dim, 8) == lit


def test_hours_add_up_to_the_figures_of_both() -> None:
    one: Figures = {"granted": 3, "by_method": {"face": 2, "card": 1}}
    other: Figures = {"granted": 1, "denied": 2, "by_method": {"qr": 1, "face": 1}}
    assert usage.total([one, other]) == {
        "granted": 4,
        "denied": 2,
        "by_method": {"face": 3, "card": 1, "qr": 1},
    }
    assert one == {"granted": 3, "by_method": {"face": 2, "card": 1}}


def test_a_figure_is_a_number_or_has_parts_and_not_both() -> None:
    figures: Figures = {"granted": 3}
    with pytest.raises(TypeError, match="granted"):
        usage.add(figures, "granted", 1, "face")


def test_gates_in_numbers() -> None:
    shown = usage.gates(
        {
            "granted": 97.0,
            "denied": 3.0,
            "remote": 2.0,
            "by_method": {"face": 60.0, "card": 37.0},
            "by_direction": {"in": 50.0, "out": 47.0},
            "deny_reasons": {"expired": 3.0},
            "held_open_s": 90.0,
        }
    )
    assert shown == {
        "passages": 97,
        "denied": 3,
        "denial_rate": 0.03,
        "remote_openings": 2,
        "by_method": {"face": 60, "card": 37},
        "by_direction": {"in": 50, "out": 47},
        "deny_reasons": {"expired": 3},
        "held_open_min": 1.5,
    }


def test_charging_in_numbers() -> None:
    """Ten sockets for a day, one of which was broken for half of it: 9.5 socket-days."""
    day_s = 86_400
    shown = usage.charging(
        {
            "in_use_s": 4.75 * day_s,
            "unavailable_s": 0.5 * day_s,
            "full_s": 7200,
            "sessions": 16,
            "session_s": 16 * 6 * 3600,
            "unreported_sessions": 2,
            "unreported_session_s": 2 * 6 * 3600,
            "energy_kwh": 15.2,
            "excluded_kwh": 9.5,
            "fee_fen": 1140,
            "stop_reasons": {"full": 17, "smoke": 1, "unknown": 0},
            "inferred_sessions": 1,
            "inferred_session_s": 6 * 3600,
            "inferred_stops": {"power_cut": 1},
        },
        ports=10,
        seconds=day_s,
    )
    assert shown == {
        "sessions": 19,
        "inferred_sessions": 1,
        "energy_kwh": 15.2,
        "excluded_kwh": 9.5,
        "fee_fen": 1140,
        "utilisation": pytest.approx(0.5),
        "turnover": pytest.approx(2.0),
        "mean_energy_kwh": pytest.approx(0.8),
        "mean_duration_h": pytest.approx(6.0),
        "kwh_per_port_day": pytest.approx(1.6),
        "stop_reasons": {"full": 17, "smoke": 1, "power_cut": 1},
        "safety_stops_per_1000": pytest.approx(1000 / 19),
        "full_not_removed_min": 120,
    }


def test_lighting_in_numbers() -> None:
    """Eight lamps for ten hours: one was dark all along, and for an hour nobody knew."""
    shown = usage.lighting(
        {
            "lit_s": 7 * 9 * 3600,
            "dark_s": 9 * 3600,
            "unknown_s": 8 * 3600,
            "burn_s": 7 * 9 * 3600,
            "energy_kwh": 0.57,
            "unmatched_kwh": 0.07,
            "nominal_kwh": 0.625,
            "day_burn_s": 1800,
            "day_burn_kwh": 0.009,
        }
    )
    assert shown == {
        "burn_hours": 63,
        "energy_kwh": 0.57,
        "nominal_kwh": 0.625,
        "energy_of_nominal": pytest.approx(0.8),  # of what was drawn while we know what burned
        "day_burn_hours": 0.5,
        "day_burn_kwh": 0.009,
        "excluded_kwh": 0,
        "lamp_on_rate": pytest.approx(63 / 80),  # unknown never counts as lit
        "lit": 63,
        "dark": 9,
        "unknown": 8,
    }


def test_nothing_known_is_null_and_no_rate() -> None:
    assert usage.gates({})["denial_rate"] is None
    assert usage.lighting({})["lamp_on_rate"] is None
    charging = usage.charging({}, ports=0, seconds=0)
    assert {name for name, value in charging.items() if value is None} == {
        "utilisation",
        "turnover",
        "mean_energy_kwh",
        "mean_duration_h",
        "kwh_per_port_day",
        "safety_stops_per_1000",
    }


@given(st.integers(10**12, 4 * 10**12), st.integers(-12, 14))
def test_the_oldest_open_day_is_the_first_that_is_not_final(now_ms: int, offset_h: int) -> None:
    begins_ms = usage.open_from_ms(offset_h * usage.HOUR_MS, now_ms)
    assert usage.is_final(begins_ms, now_ms)  # the day before has ended then
    assert not usage.is_final(begins_ms + usage.DAY_MS, now_ms)
