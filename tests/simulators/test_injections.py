"""What a scenario injects befalls somebody, shows in what is sent, and ends again."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from simulators.anomalies import BY_KIND, NONE
from simulators.anomalies.devices import BAD_SAFETY_VALUES
from simulators.fate import Injection
from simulators.fleet import Fleet
from simulators.nodes import Node
from simulators.profiles import PROFILES
from simulators.truth import Fact
from tests.simulators.fleets import HOUR_MS, MINUTE_MS, Run, a_district, at, device_of, objects

EVENING = "2026-11-23T18:30"
NOON = "2026-11-23T12:00"


def injected(
    start: str, *injections: Injection, hours: float = 2.0, compounds: int = 7, swings: bool = True
) -> Run:
    facts: list[Fact] = []
    fleet = Fleet(
        a_district(compounds),
        1,
        at(start),
        NONE,
        facts.append,
        PROFILES["swings" if swings else "graded"],
        injections,
    )
    return Run(fleet, list(fleet.messages(at(start) + round(hours * HOUR_MS))), facts)


def told(run: Run, *kinds: str) -> list[Fact]:
    """Facts of these kinds; a charge now and then ends badly all by itself."""
    return [fact for fact in run.facts if fact.kind in kinds]


def one(kind: str, start: str, minutes: float = 40, **wanted: float) -> Injection:
    return Injection(kind, at(start) + 10 * MINUTE_MS, round(minutes * MINUTE_MS), wanted=wanted)


def values_of(run: Run, device: str, name: str, *, port: str | None = None) -> list[object]:
    """What a device said of one quantity from the fact's start until its end."""
    (fact,) = (f for f in run.facts if f.scope.startswith(device))
    found = []
    for message, said in objects(run.messages):
        if device_of(message) != device.rsplit("-p", 1)[0] and device_of(message) != device:
            continue
        values = said.get("ports", {}).get(port, {}) if port else said.get("values", {})
        if name in values and fact.start_ms <= message.at_ms < fact.end_ms:
            found.append(values[name])
    return found


@pytest.mark.parametrize(
    ("kind", "start", "quantity", "seen"),
    [
        ("lamp_draws_nothing", EVENING, "power_w", lambda v: v == 0.0),
        ("lamp_pf_low", EVENING, "power_factor", lambda v: v < 0.8),
        ("circuit_power_lost", EVENING, "voltage_v", lambda v: v < 50),
        ("retention_short", NOON, "retention_days", lambda v: v < 30),
        ("bad_safety_values", NOON, None, None),
    ],
)
def test_a_wrong_reading_is_in_every_report_while_it_lasts(
    kind: str, start: str, quantity: str | None, seen: object
) -> None:
    run = injected(start, one(kind, start))
    (fact,) = (f for f in run.facts if f.kind == kind)
    if quantity is None:
        name = str(fact.detail["quantity"]).encode()
        inside = [
            m
            for m in run.messages
            if device_of(m) == fact.scope and fact.start_ms <= m.at_ms < fact.end_ms
        ]
        assert any(name in m.payload for m in inside)
        return
    values = values_of(run, fact.scope, quantity)
    assert values
    assert all(seen(value) for value in values)  # type: ignore[operator]


def test_a_lamp_that_draws_too_much_or_too_little_says_so_and_is_then_as_before() -> None:
    for kind, share in (("lamp_power_high", 1.45), ("lamp_power_low", 0.6)):
        run = injected(EVENING, one(kind, EVENING))
        (fact,) = (f for f in run.facts if f.kind == kind)
        lamp = run.fleet.nodes[fact.scope]
        nominal = lamp.nominal_w  # type: ignore[attr-defined]
        for watts in values_of(run, fact.scope, "power_w"):
            assert watts == pytest.approx(nominal * share, rel=0.02)
        after = [
            said["values"]["power_w"]
            for message, said in objects(run.messages)
            if device_of(message) == fact.scope
            and message.at_ms > fact.end_ms
            and "power_w" in said.get("values", {})
        ]
        assert after
        assert all(watts == pytest.approx(nominal, rel=0.02) for watts in after)


@pytest.mark.parametrize("start", [NOON, EVENING])
def test_whom_it_can_befall_to_draw_too_little_draws_power(start: str) -> None:
    run = injected(start, hours=1.0)
    able = {name for name, node in run.fleet.nodes.items() if _can("lamp_power_low", node)}
    drawing: set[str] = set()
    for message, said in objects(run.messages):
        if said.get("values", {}).get("power_w", 0) > 0:
            drawing.add(device_of(message))
    assert bool(able) == (start == EVENING)  # by day no lamp is lit
    assert able <= drawing


@pytest.mark.parametrize("start", [NOON, EVENING])
def test_whom_it_can_befall_to_sense_badly_tells_that_quantity(start: str) -> None:
    """A circuit's meter has no temperature: nobody could see that it is wrong."""
    run = injected(start, hours=1.0)
    able = {name for name, node in run.fleet.nodes.items() if _can("bad_safety_values", node)}
    kinds = {run.fleet.registry.devices[name].kind for name in able}
    assert kinds == set(BAD_SAFETY_VALUES)
    told = {
        (device_of(message), quantity)
        for message, said in objects(run.messages)
        for quantity in said.get("values", {})
    }
    for name in able:
        quantity, _ = BAD_SAFETY_VALUES[run.fleet.registry.devices[name].kind]
        assert (name, quantity) in told


def _can(kind: str, node: Node) -> bool:
    row = BY_KIND[kind]
    return row.of in ("node", node.device.kind) and row.able(node)


def test_a_socket_gets_hot_only_while_its_charge_goes_on() -> None:
    run = injected(EVENING, *(one("port_hot", EVENING, 30) for _ in range(12)), hours=1.0)
    facts = told(run, "port_hot")
    assert len(facts) == 12
    for fact in facts:
        shed, port = fact.scope.rsplit("-p", 1)
        frames = [
            said["ports"][str(int(port))]
            for message, said in objects(run.messages)
            if device_of(message) == shed
            and fact.start_ms < message.at_ms < fact.end_ms
            and "port_temp_c" in said.get("ports", {}).get(str(int(port)), {})
        ]
        assert len(frames) >= 29
        assert min(frame["port_temp_c"] for frame in frames) > 70


def test_a_lamp_whose_timer_is_wrong_stays_off_at_dusk() -> None:
    start = "2026-11-23T16:00"
    run = injected(start, one("lamp_stays_off", start, minutes=200), hours=4.5)
    (fact,) = (f for f in run.facts if f.kind == "lamp_stays_off")
    states = values_of(run, fact.scope, "switch_state")
    assert len(states) > 5
    assert set(states) == {"off"}


def test_a_lamp_that_cycles_goes_on_and_off_every_few_minutes() -> None:
    run = injected(EVENING, one("lamp_cycles", EVENING))
    (fact,) = (f for f in run.facts if f.kind == "lamp_cycles")
    states = values_of(run, fact.scope, "switch_state")
    changes = sum(one != two for one, two in pairwise(states))
    assert changes >= 12


def test_a_street_without_power_is_silent_as_a_whole() -> None:
    run = injected(EVENING, one("street_power_lost", EVENING, 60))
    (fact,) = (f for f in run.facts if f.kind == "street_power_lost")
    lamps = {
        d.id for d in run.fleet.registry.devices.values() if d.circuit == fact.scope and d.kind
    }
    assert len(lamps) == fact.detail["devices"]
    spoke = {device_of(m) for m in run.messages if fact.start_ms < m.at_ms < fact.end_ms}
    after = {device_of(m) for m in run.messages if m.at_ms > fact.end_ms}
    assert not lamps & spoke
    assert lamps <= after


def test_people_are_let_in_at_a_stuck_lock_and_no_door_opens() -> None:
    run = injected(EVENING, one("lock_stuck", EVENING, 50))
    (fact,) = (f for f in run.facts if f.kind == "lock_stuck")
    granted = opened = 0
    for message, said in objects(run.messages):
        if device_of(message) == fact.scope and fact.start_ms < message.at_ms < fact.end_ms:
            granted += said.get("result") == "granted"
            opened += said.get("values", {}).get("door_state") == "open"
    assert granted >= 5
    assert opened == 0


def test_a_dirty_reader_refuses_most_faces_for_their_looks() -> None:
    run = injected(EVENING, one("face_reader_dirty", EVENING, 60))
    (fact,) = (f for f in run.facts if f.kind == "face_reader_dirty")
    tries = [
        said
        for message, said in objects(run.messages)
        if device_of(message) == fact.scope
        and said.get("method") == "face"
        and fact.start_ms < message.at_ms < fact.end_ms
    ]
    refused = [said for said in tries if said.get("deny_reason") == "face_mismatch"]
    assert len(tries) >= 20
    assert len(refused) > 0.6 * len(tries)


def test_health_codes_time_out_and_are_green_again_afterwards() -> None:
    run = injected(NOON, one("health_code_down", NOON, 25))
    (fact,) = (f for f in run.facts if f.kind == "health_code_down")
    codes = [
        (message.at_ms, said["health_code"])
        for message, said in objects(run.messages)
        if device_of(message) == fact.scope and "health_code" in said
    ]
    assert sum(code == "timeout" for ms, code in codes if ms < fact.start_ms + 5 * MINUTE_MS) >= 10
    assert sum(code == "green" for ms, code in codes if ms >= fact.end_ms) >= 5
    assert not [ms for ms, _ in codes if ms > fact.end_ms + 2 * MINUTE_MS]


def test_nobody_passes_a_jammed_gate_though_it_is_online() -> None:
    run = injected(NOON, one("gate_jammed", NOON, 60))
    (fact,) = (f for f in run.facts if f.kind == "gate_jammed")
    inside = [
        said
        for message, said in objects(run.messages)
        if device_of(message) == fact.scope and fact.start_ms < message.at_ms < fact.end_ms
    ]
    assert len(inside) > 60
    assert not [said for said in inside if said.get("event") == "access"]


def test_a_flapping_reader_is_away_for_more_than_a_minute_again_and_again() -> None:
    run = injected(NOON, one("reader_flaps", NOON, 20))
    (fact,) = (f for f in run.facts if f.kind == "reader_flaps")
    changes = [
        (message.at_ms, said["values"]["reader_online_1"])
        for message, said in objects(run.messages)
        if device_of(message) == fact.scope
        and list(said.get("values", {})) == ["reader_online_1"]
        and fact.start_ms <= message.at_ms <= fact.end_ms
    ]
    away = [
        (back - gone) / 1000 for (gone, there), (back, _) in pairwise(changes) if there is False
    ]
    assert len(away) >= 10
    assert all(60 < seconds <= 95 for seconds in away[:-1])


def test_a_door_that_is_pushed_open_says_no_word_of_an_alarm() -> None:
    run = injected("2026-11-23T02:00", one("door_pushed_open", "2026-11-23T02:00", 1))
    (fact,) = (f for f in run.facts if f.kind == "door_pushed_open")
    assert values_of(run, fact.scope, "door_state")[0] == "open"
    said = [s for m, s in objects(run.messages) if device_of(m) == fact.scope]
    assert not [s for s in said if "door_alarm" in s.get("values", {})]


def port_of(run: Run, kind: str) -> tuple[Fact, str]:
    (fact,) = (f for f in run.facts if f.kind == kind)
    return fact, str(int(fact.scope.rsplit("-p", 1)[1]))


def test_a_leaking_relay_shows_power_on_an_idle_socket() -> None:
    run = injected(NOON, one("relay_leaks", NOON, 20))
    fact, port = port_of(run, "relay_leaks")
    assert set(values_of(run, fact.scope, "port_status", port=port)) == {"idle"}
    watts = values_of(run, fact.scope, "power_w", port=port)
    assert len(watts) > 10
    assert min(watts) > 20  # type: ignore[operator, type-var]


def test_three_orders_in_a_row_find_no_load_at_a_broken_socket() -> None:
    run = injected(NOON, one("socket_broken", NOON, 30))
    fact, port = port_of(run, "socket_broken")
    ends = [
        said
        for message, said in objects(run.messages)
        if said.get("event") == "session_end"
        and device_of(message) == fact.scope.rsplit("-p", 1)[0]
        and str(said["port_no"]) == port
    ]
    assert len({said["order"] for said in ends}) >= 3
    assert {said["stop_reason"] for said in ends[:3]} == {"no_load_at_start"}


def test_a_wrong_meter_counts_half_as_much_again() -> None:
    run = injected(NOON, one("meter_wrong", NOON, 50))
    fact, port = port_of(run, "meter_wrong")
    watts = [float(w) for w in values_of(run, fact.scope, "power_w", port=port)]  # type: ignore[arg-type]
    (end,) = (
        said
        for message, said in objects(run.messages)
        if said.get("event") == "session_end" and message.at_ms == fact.end_ms
    )
    drawn_kwh = sum(watts) / len(watts) * end["session_s"] / 3_600_000
    assert end["session_energy_kwh"] == pytest.approx(1.5 * drawn_kwh, rel=0.05)


def test_a_charge_that_never_gets_full_goes_on_above_the_float_power() -> None:
    run = injected(NOON, one("charge_endless", NOON, 11 * 60), hours=11.5, compounds=4)
    fact, port = port_of(run, "charge_endless")
    watts = [float(w) for w in values_of(run, fact.scope, "power_w", port=port)]  # type: ignore[arg-type]
    assert len(watts) > 600
    assert min(watts) > 100


def test_nobody_charges_at_an_abandoned_socket() -> None:
    run = injected(EVENING, one("port_abandoned", EVENING, 110), compounds=4)
    fact, port = port_of(run, "port_abandoned")
    starts = [
        said
        for message, said in objects(run.messages)
        if said.get("event") == "session_start"
        and device_of(message) == fact.scope.rsplit("-p", 1)[0]
        and str(said["port_no"]) == port
        and message.at_ms > fact.start_ms
    ]
    assert starts == []


def test_lost_messages_are_a_jump_in_the_numbers() -> None:
    run = injected(NOON, one("messages_lost", NOON, messages=4))
    (fact,) = (f for f in run.facts if f.kind == "messages_lost")
    assert fact.end_ms == fact.start_ms
    numbers = sorted(s["seq"] for m, s in objects(run.messages) if device_of(m) == fact.scope)
    gaps = [two - one - 1 for one, two in pairwise(numbers) if two > one + 1]
    assert gaps == [4]


def test_what_was_never_installed_says_nothing_until_it_is() -> None:
    start = at(NOON)
    run = injected(NOON, Injection("never_installed", start, 40 * MINUTE_MS))
    (fact,) = told(run, "never_installed")
    spoke = [m.at_ms for m in run.messages if device_of(m) == fact.scope]
    assert spoke
    assert min(spoke) >= start + 40 * MINUTE_MS


def test_in_rain_currents_leak_and_the_radio_is_weak_and_afterwards_not() -> None:
    rain = Injection("rain", at(NOON) + 10 * MINUTE_MS, 40 * MINUTE_MS, compound="jiaogong-xiaoqu")
    run = injected(NOON, rain)
    (fact,) = told(run, "rain")
    shed = f"{fact.scope}-shed-1"
    leaks = [
        (m.at_ms, s["values"]["leakage_ma"])
        for m, s in objects(run.messages)
        if device_of(m) == shed and "leakage_ma" in s.get("values", {})
    ]
    assert {ma for ms, ma in leaks if fact.start_ms <= ms < fact.end_ms} == {20.0}
    assert {ma for ms, ma in leaks if not fact.start_ms <= ms < fact.end_ms} == {2.0}


def test_on_a_hot_day_boxes_are_fifteen_degrees_warmer_and_below_their_limit() -> None:
    heat = Injection("heat", at(NOON) + 10 * MINUTE_MS, 60 * MINUTE_MS, compound="jiaogong-xiaoqu")
    run = injected(NOON, heat)
    (fact,) = told(run, "heat")
    temps = [
        (m.at_ms, s["values"]["board_temp_c"])
        for m, s in objects(run.messages)
        if device_of(m) == f"{fact.scope}-shed-1" and "board_temp_c" in s.get("values", {})
    ]
    inside = [c for ms, c in temps if fact.start_ms < ms < fact.end_ms]
    before = [c for ms, c in temps if ms < fact.start_ms]
    assert min(inside) > max(before) + 10
    assert max(inside) < 60


def test_a_gate_may_stay_broken_when_the_power_is_back() -> None:
    cut = Injection(
        "power_cut", at(NOON) + 10 * MINUTE_MS, 20 * MINUTE_MS, compound="xiangyunli",
        wanted={"breaks_min": 30},
    )  # fmt: skip
    run = injected(NOON, cut)
    kinds = {fact.kind: fact for fact in run.facts}
    broken = kinds["gate_silent"]
    assert broken.end_ms == kinds["power_cut"].end_ms + 30 * MINUTE_MS
    spoke = [m.at_ms for m in run.messages if device_of(m) == broken.scope]
    assert not [ms for ms in spoke if broken.start_ms < ms < broken.end_ms]
    assert [ms for ms in spoke if ms > broken.end_ms]


def test_a_place_can_be_named_as_device_or_compound() -> None:
    there = [
        Injection("gate_tampered", at(NOON) + MINUTE_MS, MINUTE_MS, device="xiangyunli-gate-1"),
        Injection("smoke", at(NOON) + MINUTE_MS, MINUTE_MS, compound="jiaogong-xiaoqu"),
    ]
    run = injected(NOON, *there, hours=0.2)
    there_now = {fact.scope for fact in told(run, "gate_tampered", "smoke")}
    assert there_now == {"xiangyunli-gate-1", "jiaogong-xiaoqu-shed-1"}


def test_what_finds_nobody_is_asked_for_again_and_then_noted() -> None:
    def later(kind: str, device: str) -> Injection:
        return Injection(kind, at(NOON) + MINUTE_MS, 20 * MINUTE_MS, device=device)

    gate = "xiangyunli-gate-1"
    run = injected(NOON, later("gate_tampered", gate), later("reader_lost", gate))
    tampered, lost = told(run, "gate_tampered", "reader_lost")
    assert lost.start_ms >= tampered.end_ms  # one thing befalls a device at a time
    assert run.fleet.not_injected == []
    cut_short = injected(NOON, later("gate_tampered", gate), later("reader_lost", gate), hours=0.2)
    assert [injection.kind for injection in cut_short.fleet.not_injected] == ["reader_lost"]
    day = injected(NOON, one("lamp_cycles", NOON))  # at noon no lamp is lit
    assert told(day, "lamp_cycles") == []
    assert [injection.kind for injection in day.fleet.not_injected] == ["lamp_cycles"]


def test_the_same_injections_give_the_same_messages() -> None:
    kinds = ("smoke", "clock_wrong", "reader_flaps", "brown_out")
    injections: Sequence[Injection] = [one(kind, NOON) for kind in kinds]
    first, second = injected(NOON, *injections), injected(NOON, *injections)
    assert first.messages == second.messages
    assert first.facts == second.facts


def test_what_an_anomaly_takes_is_what_it_does() -> None:
    run = injected(
        NOON, one("clock_wrong", NOON, skew_s=390.0), one("brown_out", NOON, voltage_v=181.0)
    )
    details = {fact.kind: fact.detail for fact in run.facts}
    assert details["clock_wrong"]["skew_s"] == 390
    assert details["brown_out"]["voltage_v"] == 181.0


def test_only_what_a_scenario_asks_for_has_no_rate() -> None:
    asked = {row.kind for row in BY_KIND.values() if not row.demo_h}
    assert "smoke" not in asked
    assert {"lock_stuck", "rain", "never_installed", "meter_wrong"} <= asked
