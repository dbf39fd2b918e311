"""What befalls devices shows in what they send, ends again, and is told as a fact."""

from collections import Counter, defaultdict

import msgspec
import pytest

from simulators import native
from simulators.anomalies import ANOMALIES, DEMO, DISTRICT, NONE, REAL, Rates
from simulators.fleet import BIRTH, WILL, Fleet
from tests.simulators.fleets import (
    HOUR_MS,
    MINUTE_MS,
    Run,
    a_district,
    at,
    device_of,
    objects,
    run,
)


def often(*kinds: str, minutes: float = 4.0) -> Rates:
    """Only these, so often that a few compounds see several in an hour."""
    return Rates(dict.fromkeys(kinds, 40.0), dict.fromkeys(kinds, minutes), 1.0)


def of(made: Run, kind: str) -> list[tuple[str, int, int]]:
    return [(f.scope, f.start_ms, f.end_ms) for f in made.facts if f.kind == kind]


@pytest.mark.parametrize(
    ("kind", "quantity", "wrong", "right"),
    [
        ("door_held_open", "door_state", "open", "closed"),
        ("door_forced", "door_alarm", "forced_open", "normal"),
        ("reader_lost", "reader_online_1", False, True),
        ("gate_mains_lost", "mains_ok", False, True),
        ("gate_tampered", "tamper", True, False),
        ("gate_battery_weak", "battery_low", True, False),
        ("lock_broken", "lock_state", "fault", "locked"),
        ("lane_controller_lost", "lane_controller_online", False, True),
        ("barrier_motor_broken", "motor_ok", False, True),
        ("smoke", "smoke", True, False),
        ("leakage", "leakage_state", "tripped", "ok"),
        ("box_open", "cabinet_door", "open", "closed"),
        ("box_pried", "cabinet_door", "pried", "closed"),
        ("driver_failed", "control_gear_failure", True, False),
        ("lamp_leakage", "leakage_detected", True, False),
        ("cabinet_open", "cabinet_door_open", True, False),
        ("disk_failed", "disk_state", "failed", "ok"),
        ("recording_stopped", "recording", False, True),
        ("video_lost", "video_loss", True, False),
        ("lens_covered", "occlusion", True, False),
        ("lift_stopped", "in_service", False, True),
    ],
)
def test_a_state_is_told_when_it_begins_and_when_it_ends(
    kind: str, quantity: str, wrong: object, right: object
) -> None:
    made = run("2026-11-23T19:00", HOUR_MS, compounds=6, rates=often(kind))
    told: defaultdict[str, dict[int, object]] = defaultdict(dict)
    for message, said in objects(made.messages):
        if quantity in said.get("values", {}):
            told[device_of(message)][message.at_ms] = said["values"][quantity]
    seen = 0
    for device, start_ms, end_ms in of(made, kind):
        if start_ms == made.fleet.start_ms or end_ms >= made.fleet.now_ms:
            continue  # it was so from the beginning, or still is
        assert told[device][start_ms] == wrong
        assert told[device][end_ms] == right
        seen += 1
    assert seen >= 3


def test_a_forced_door_opens_without_anybody_being_let_in() -> None:
    made = run("2026-11-23T03:00", HOUR_MS, compounds=6, rates=often("door_forced"))
    opened = {(device, start) for device, start, _ in of(made, "door_forced")}
    assert opened
    granted = {(device_of(m), m.at_ms) for m, said in objects(made.messages) if said.get("result")}
    assert not any(
        (device, ms) in granted for device, start in opened for ms in range(start - 10_000, start)
    )


def test_a_lost_modem_is_noticed_and_its_messages_come_back_with_their_own_times() -> None:
    made = run("2026-11-23T19:00", 2 * HOUR_MS, compounds=8, rates=often("modem_lost", minutes=6))
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    arrays = wills = 0
    gone = {device: (start, end) for device, start, end in of(made, "modem_lost")}
    for message, said in objects(made.messages):
        if said.get("state") != "offline":
            numbers[device_of(message)].append(said["seq"])
    for message in made.messages:
        if message.act == WILL:
            wills += 1
            assert message.payload == native.WILL
            assert message.retained
        if message.payload.startswith(b"["):
            arrays += 1
            items = msgspec.json.decode(message.payload)
            times = [item["ts"] for item in items]
            assert times == sorted(times)
            assert all(ts <= message.at_ms for ts in times)
            assert len(message.payload) <= 65_536
    assert arrays >= 5
    assert wills >= 3
    for shed in gone:
        assert sorted(numbers[shed]) == list(range(1, len(numbers[shed]) + 1))


def test_between_a_lost_modem_and_its_return_the_broker_hears_nothing_but_the_will() -> None:
    made = run("2026-11-23T19:00", 2 * HOUR_MS, compounds=8, rates=often("modem_lost", minutes=8))
    for shed, start_ms, end_ms in of(made, "modem_lost"):
        while_gone = [
            m for m in made.messages if m.connection == shed and start_ms < m.at_ms < end_ms
        ]
        assert all(m.act == WILL for m in while_gone)
        for will in while_gone:
            assert 60_000 <= will.at_ms - start_ms <= 90_000
        if end_ms < made.fleet.now_ms:
            back = next(m for m in made.messages if m.connection == shed and m.at_ms >= end_ms)
            assert back.act == BIRTH


def test_in_a_power_cut_the_gateway_says_so_before_it_falls_silent() -> None:
    made = run("2026-11-23T20:00", 3 * HOUR_MS, compounds=8, rates=often("power_cut", minutes=12))
    cuts = of(made, "power_cut")
    assert len(cuts) >= 5
    ended: Counter[str] = Counter()
    for compound, start_ms, end_ms in cuts:
        inside = [
            (m, said)
            for m, said in objects(made.messages)
            if m.topic.split("/")[2] == compound and start_ms <= m.at_ms < end_ms
        ]
        words = [
            said["values"]["mains_ok"] for _, said in inside if "mains_ok" in said.get("values", {})
        ]
        assert words
        assert words[0] is False
        for message, said in inside:
            if said.get("state") != "offline":
                assert message.at_ms <= start_ms + 25_000
                assert "/gateway/" in message.topic or message.at_ms == start_ms
        cut_again = any(c == compound and end_ms <= s < end_ms + 90_000 for c, s, _ in cuts)
        if cut_again or end_ms + 3 * MINUTE_MS > made.fleet.now_ms:
            continue
        after = [
            (m, said)
            for m, said in objects(made.messages)
            if m.topic.split("/")[2] == compound and end_ms <= m.at_ms < end_ms + 90_000
        ]
        alive = {device_of(m) for m, _ in after}
        for device in made.fleet.registry.devices.values():
            if device.compound == compound and device.kind in ("gateway", "gate", "camera"):
                assert device.id in alive
        for _, said in after:
            if said.get("event") == "login":
                assert said["reason"] == "power_on"
            if said.get("event") == "session_end" and said["stop_reason"] == "power_cut":
                assert said["ts"] == start_ms  # the board kept the moment
                ended["told"] += 1
    assert ended["told"] > 5


def test_smoke_stops_the_charges_of_a_juy_shed_which_has_no_other_word_for_it() -> None:
    made = run("2026-11-23T20:00", HOUR_MS, compounds=12, vendors=1.0, rates=often("smoke"))
    stops = {
        (m.topic.split("/")[2], m.at_ms)
        for m in made.messages
        if m.topic.endswith("/85/DEV") and m.payload[23] == 8
    }
    for shed, start_ms, _ in of(made, "smoke"):
        imei = made.fleet.registry.devices[shed].external_id
        assert (imei, start_ms) in stops
    assert stops


def test_a_wrong_clock_is_in_the_times_and_nowhere_else() -> None:
    made = run("2026-11-23T10:00", HOUR_MS, compounds=4, rates=often("clock_wrong", minutes=15))
    wrong = of(made, "clock_wrong")
    seen = 0
    for message, said in objects(made.messages):
        if not isinstance(said.get("ts"), int):
            continue
        skewed = any(
            device == device_of(message) and start < message.at_ms < end
            for device, start, end in wrong
        )
        assert (abs(said["ts"] - message.at_ms) >= 390_000) == skewed
        seen += skewed
    assert seen > 20


def test_bad_values_come_beside_good_ones() -> None:
    made = run("2026-11-23T10:00", HOUR_MS, compounds=6, rates=often("bad_values", minutes=20))
    bad = {f.scope: str(f.detail["quantity"]) for f in made.facts}
    beside = 0
    for message in made.messages:
        name = bad.get(device_of(message))
        if name is None or f'"{name}":'.encode() not in message.payload:
            continue
        if any(f'"{name}":{v}'.encode() in message.payload for v in ("NaN", "-1", "1e999", '"')):
            beside += message.payload.count(b":") > 5
    assert beside > 20


def test_a_stuttering_modem_repeats_itself_to_the_byte() -> None:
    made = run("2026-11-23T10:00", HOUR_MS, compounds=6, rates=often("repeats", minutes=20))
    again = Counter((m.topic, m.payload) for m in made.messages)
    repeated = [key for key, count in again.items() if count == 2]
    assert len(repeated) > 50
    assert max(again.values()) == 2


def test_nothing_befalls_a_fleet_without_rates() -> None:
    quiet = run("2026-11-23T10:00", HOUR_MS, compounds=10, rates=NONE)
    assert {fact.kind for fact in quiet.facts} <= {
        "overload_stop",
        "overheat_stop",
        "short_circuit_stop",
    }


def test_a_demonstration_shows_much_and_breaks_little() -> None:
    start = at("2026-11-23T15:00")
    open_ones, first_kinds, first_ended = [], set(), 0
    facts: list[tuple[str, int, int]] = []
    fleet = Fleet(
        a_district(225), 1, start, DEMO, lambda f: facts.append((f.kind, f.start_ms, f.end_ms))
    )
    for _ in fleet.messages(start + 40 * MINUTE_MS):
        pass
    for minute in range(1, 40):
        now = start + minute * MINUTE_MS
        open_ones.append(sum(begin <= now < end for _, begin, end in facts))
    for kind, begin, end in facts:
        if start < begin < start + 3 * MINUTE_MS:
            first_kinds.add(kind)
        first_ended += start < end < start + 3 * MINUTE_MS
    assert len(first_kinds) >= 5
    assert first_ended >= 2
    assert min(open_ones) >= 25
    assert max(open_ones) <= 100


def test_a_year_brings_about_what_the_domain_expects() -> None:
    """domain.md §7.4: expected counts in this district."""
    year = {kind: per_h * 8_766 for kind, per_h in REAL.per_h.items()}
    assert 268 <= sum(year[k] for k in ("lamp_dead", "driver_failed")) <= 500
    assert 330 <= (year["door_held_open"] + year["door_forced"]) / 52 <= 370
    assert 134 <= year["modem_lost"] / 12 <= 402
    assert 12 <= year["smoke"] <= 16
    assert 50 <= sum(year[k] for k in ("port_output_failed", "fuse_blown")) <= 80


def test_a_small_demonstration_shows_something_too() -> None:
    made = run("2026-11-23T15:00", 20 * MINUTE_MS, compounds=5, rates=DEMO)
    begun = [f for f in made.facts if f.start_ms > made.fleet.start_ms]
    assert len(begun) >= 5


def test_twice_the_rate_is_twice_as_often() -> None:
    assert DEMO.times(2).per_h["smoke"] == 2 * DEMO.per_h["smoke"]
    assert set(DEMO.only("smoke").per_h) == {"smoke"}
    with pytest.raises(KeyError):
        DEMO.only("earthquake")


def test_every_kind_is_there_once_and_befalls_a_known_kind_of_subject() -> None:
    kinds = [row.kind for row in ANOMALIES]
    assert len(set(kinds)) == len(kinds)
    assert {row.of for row in ANOMALIES} <= set(DISTRICT)


def test_every_kind_that_a_year_brings_can_happen() -> None:
    kinds = [row.kind for row in ANOMALIES if row.demo_h]
    happened: set[str] = set()
    for start in ("2026-11-23T11:00", "2026-11-23T20:00"):
        happened |= {f.kind for f in run(start, HOUR_MS, compounds=40, rates=often(*kinds)).facts}
    assert set(kinds) <= happened


def test_a_fact_is_one_line_about_the_world() -> None:
    made = run("2026-11-23T15:00", HOUR_MS, compounds=10, rates=DEMO)
    fact = next(f for f in made.facts if f.kind == "door_held_open")
    said = msgspec.json.decode(fact.line())
    assert fact.line().endswith(b"}\n")
    assert set(said) == {"id", "kind", "scope", "start", "end", "detail"}
    assert said["start"].endswith("Z")
    assert said["detail"]["of"] == "gate"
    assert len({f.id for f in made.facts}) == len(made.facts)
