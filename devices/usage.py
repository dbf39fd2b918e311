"""How gates, sockets and lamps were used: figures of one device and hour, and their sums.

A figure is a plain mapping of numbers, or of names to numbers, so that an hour can be kept as one
packed row and hours can be added up. Everything in it is an amount: adding two hours' figures gives
the figures of both. Definitions: domain.md §6.1, §6.2.

gate: granted, denied, remote; by_method, by_direction, deny_reasons; held_open_s (beyond the
      limit); on_change (reports that only tell of a change)
port: in_use_s, unavailable_s, full_s (full or only floating, and not removed), sessions, session_s,
      energy_kwh, excluded_kwh, fee_fen; stop_reasons; inferred_sessions, inferred_session_s,
      inferred_stops (of those whose end never came); unreported_sessions, unreported_session_s (of
      those whose end says that nothing was drawn, though their register counted it)
lamp: lit_s, dark_s, unknown_s (lamp-seconds while commanded on), burn_s (lamp-seconds lit),
      energy_kwh, unmatched_kwh (of that, what was drawn while nobody knows what burned),
      nominal_kwh (what should have been drawn for burn_s), day_burn_s, day_burn_kwh (by day),
      excluded_kwh

excluded_kwh: what registers jumped by, which is in no other figure (devices.registers)
"""

from collections.abc import Iterable, Iterator, Mapping

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
METERED = frozenset({"gate", "port", "lamp"})  # kinds whose values add up to usage
STEADILY = frozenset({"port", "lamp"})  # of a gate only those that say that it stands open
# Kinds that report each change besides their heartbeats, so often that they would hide lost ones.
TELL_CHANGES = frozenset({"gate"})
# Figures that the values of reports add up to, in their order; all others are counted by event, and
# the same in any order.
FROM_REPORTS = frozenset(
    {
        "held_open_s",
        "in_use_s",
        "unavailable_s",
        "full_s",
        "energy_kwh",
        "excluded_kwh",
        "inferred_sessions",
        "inferred_session_s",
        "inferred_stops",
        "unreported_sessions",
        "unreported_session_s",
        "lit_s",
        "dark_s",
        "unknown_s",
        "burn_s",
        "unmatched_kwh",
        "nominal_kwh",
        "day_burn_s",
        "day_burn_kwh",
    }
)
REGISTER_KWH = frozenset({"energy_kwh", "unmatched_kwh"})  # what an energy register grew by
FINAL_AFTER_MS = 48 * HOUR_MS  # after the end of the local day (domain.md §4.2)

Figures = dict[str, float | dict[str, float]]

# Sessions that count as one: domain.md §6.1.
LEAST_ENERGY_KWH = 0.01
NO_SESSION = "no_load_at_start"
# A gate open for longer is held open: fixed, whatever the rule of the alarm is set to, so that
# months can be compared (domain.md §3.1, GATE_HELD_OPEN).
HELD_OPEN_AFTER_MS = {"pedestrian": 60_000, "barrier": 180_000}
FLOAT_POWER_W = 15.0  # below it a battery is full, where the board does not say (JUY's default)
# Of all reports. At the busiest gate of the reference district, 112 passages an hour, two of three
# reports tell of its door; whatever share of all messages is lost, this one stays.
LEAST_BEATS = 0.1
SAFETY_STOPS = ("smoke", "over_temp", "leakage", "ground_fault", "battery_abnormal")


def hour_of(at_ms: int) -> int:
    """The start of the hour that holds `at_ms`. Every zone of ours is whole hours off UTC."""
    return at_ms - at_ms % HOUR_MS


def open_from_ms(offset_ms: int, now_ms: int) -> int:
    """The beginning of the oldest local day whose figures are not final.

    Those of a final one change no more, but for a recorded correction. offset_ms: of local time,
    east positive.
    """
    local_ms = now_ms - FINAL_AFTER_MS + offset_ms
    return local_ms - local_ms % DAY_MS - offset_ms


def is_final(ended_ms: int, now_ms: int) -> bool:
    """Whether the figures of a local day that ended then change no more."""
    return now_ms >= ended_ms + FINAL_AFTER_MS


def heartbeats(received: int, figures: Mapping[str, object]) -> float:
    """Of the reports of an hour those that came because it was time, as far as they are told apart.

    A device of which hardly any report does so has heartbeats that say nothing but states: of that
    one all count.
    """
    beside = figures.get("on_change", 0)
    if not isinstance(beside, int | float):
        return received
    beats = received - beside
    return beats if beats >= LEAST_BEATS * received else received


def whole(figures: Figures, metered: Figures | None) -> Figures:
    """The figures of an hour. metered: what reports add up to, where it was worked out again."""
    if metered is None:
        return figures
    counted = {name: amount for name, amount in figures.items() if name not in FROM_REPORTS}
    return counted | metered


def spread(amount: float, from_ms: int, to_ms: int) -> Iterator[tuple[int, float]]:
    """`amount` over the hours of [from_ms, to_ms), by time: (hour, share); shares add up to it.

    An empty span gives all of it to its hour.
    """
    if to_ms <= from_ms:
        yield hour_of(to_ms), amount
        return
    start = from_ms
    while start < to_ms:
        hour = hour_of(start)
        end = min(hour + HOUR_MS, to_ms)
        yield hour, amount * (end - start) / (to_ms - from_ms)
        start = end


def add(figures: Figures, name: str, amount: float, of: str | None = None) -> None:
    """Count `amount` under `name`, or under `name`'s entry `of`."""
    if of is None:
        figures[name] = figures.get(name, 0) + amount  # type: ignore[operator]
        return
    part = figures.setdefault(name, {})
    if not isinstance(part, dict):
        raise TypeError(f"{name} is one number here and has no part {of}")
    part[of] = part.get(of, 0) + amount


def merge(into: Figures, other: Mapping[str, float | Mapping[str, float]]) -> None:
    """Add `other` to `into`."""
    for name, amount in other.items():
        if isinstance(amount, Mapping):
            for of, part in amount.items():
                add(into, name, part, of)
        else:
            add(into, name, amount)


def total(hours: Iterable[Mapping[str, float | Mapping[str, float]]]) -> Figures:
    """The sum of many hours."""
    into: Figures = {}
    for figures in hours:
        merge(into, figures)
    return into


def counts_as_session(stop_reason: str | None, energy_kwh: float | None) -> bool:
    """Whether an ended session is one in the figures: it was no mere plug-in without a load."""
    return stop_reason != NO_SESSION and (energy_kwh or 0.0) > LEAST_ENERGY_KWH


def lit_lamps(power_w: float, nominal_w: float, dim: float, lamp_count: int) -> int:
    """How many lamps of a circuit burn, from its power: clamp(round(n·P / (P_nominal·dim)), 0, n).

    nominal_w: of the whole circuit. dim: 0…1. Source: domain.md §6.2.
    """
    expected = nominal_w * dim
    if expected <= 0:
        return 0
    return max(0, min(lamp_count, round(lamp_count * power_w / expected)))


def gates(figures: Figures) -> dict[str, object]:
    """The gate figures of the API, from the sum of hours."""
    granted, denied = _number(figures, "granted"), _number(figures, "denied")
    return {
        "passages": int(granted),
        "denied": int(denied),
        "denial_rate": denied / (granted + denied) if granted + denied else None,
        "remote_openings": int(_number(figures, "remote")),
        "by_method": _counts(figures, "by_method"),
        "by_direction": _counts(figures, "by_direction"),
        "deny_reasons": _counts(figures, "deny_reasons"),
        "held_open_min": _number(figures, "held_open_s") / 60,
    }


def charging(figures: Figures, *, ports: int, seconds: float) -> dict[str, object]:
    """The charging figures of the API, from the sum of hours of `ports` sockets over `seconds`."""
    in_use_s = _number(figures, "in_use_s")
    available_s = max(0.0, ports * seconds - _number(figures, "unavailable_s"))
    inferred, energy_kwh = _number(figures, "inferred_sessions"), _number(figures, "energy_kwh")
    sessions = _number(figures, "sessions") + _number(figures, "unreported_sessions") + inferred
    lasted_s = sum(
        _number(figures, name)
        for name in ("session_s", "unreported_session_s", "inferred_session_s")
    )
    stops = _counts(figures, "stop_reasons")
    for reason, count in _counts(figures, "inferred_stops").items():
        stops[reason] = stops.get(reason, 0) + count
    safety = sum(stops.get(reason, 0) for reason in SAFETY_STOPS)
    available_days = available_s / 86_400
    return {
        "sessions": int(sessions),
        "inferred_sessions": int(inferred),
        "energy_kwh": energy_kwh,
        "excluded_kwh": _number(figures, "excluded_kwh"),
        "fee_fen": int(_number(figures, "fee_fen")),
        "utilisation": min(1.0, in_use_s / available_s) if available_s else None,
        "turnover": sessions / available_days if available_days else None,
        "mean_energy_kwh": energy_kwh / sessions if sessions else None,
        "mean_duration_h": lasted_s / 3600 / sessions if sessions else None,
        "kwh_per_port_day": energy_kwh / available_days if available_days else None,
        "stop_reasons": stops,
        "safety_stops_per_1000": safety * 1000 / sessions if sessions else None,
        "full_not_removed_min": _number(figures, "full_s") / 60,
    }


def lighting(figures: Figures) -> dict[str, object]:
    """The lighting figures of the API, from the sum of hours.

    lit, dark and unknown are lamp-hours while the lamps were to be on; unknown never counts as lit.
    """
    lit_h, dark_h, unknown_h = (
        _number(figures, name) / 3600 for name in ("lit_s", "dark_s", "unknown_s")
    )
    commanded_h = lit_h + dark_h + unknown_h
    energy_kwh, nominal_kwh = _number(figures, "energy_kwh"), _number(figures, "nominal_kwh")
    matched_kwh = energy_kwh - _number(figures, "unmatched_kwh")
    return {
        "burn_hours": _number(figures, "burn_s") / 3600,
        "energy_kwh": energy_kwh,
        "nominal_kwh": nominal_kwh or None,
        "energy_of_nominal": matched_kwh / nominal_kwh if nominal_kwh else None,
        "excluded_kwh": _number(figures, "excluded_kwh"),
        "lamp_on_rate": lit_h / commanded_h if commanded_h else None,
        "lit": lit_h,
        "dark": dark_h,
        "unknown": unknown_h,
        "day_burn_hours": _number(figures, "day_burn_s") / 3600,
        "day_burn_kwh": _number(figures, "day_burn_kwh"),
    }


def _number(figures: Figures, name: str) -> float:
    amount = figures.get(name, 0)
    return 0.0 if isinstance(amount, Mapping) else float(amount)


def _counts(figures: Figures, name: str) -> dict[str, int]:
    counts = figures.get(name, {})
    if not isinstance(counts, Mapping):
        return {}
    return {of: int(n) for of, n in counts.items() if n}  # a corrected one may leave a zero
