"""The fleet as a whole: in order, repeatable, and like a district's day."""

import json
import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from devices.kinds import KINDS
from devices.topics import Topic
from simulators.anomalies import DEMO
from simulators.erqi import registry
from simulators.fleet import BIRTH, RAMP_MS, Fleet, Message
from simulators.profiles import PASSAGES_WEEKDAY, local_hour
from tests.simulators.fleets import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Run,
    a_district,
    at,
    device_of,
    objects,
    run,
)

Said = list[tuple[Message, dict[str, Any]]]


@pytest.fixture(scope="module")
def monday() -> Run:
    """A whole Monday of the first 8 compounds, in which nothing goes wrong."""
    return run("2026-11-23T00:00", DAY_MS, compounds=8)


@pytest.fixture(scope="module")
def said_on_monday(monday: Run) -> Said:
    return list(objects(monday.messages))


def test_the_same_seed_gives_the_same_bytes() -> None:
    def once() -> tuple[list[object], list[object]]:
        made = run("2026-11-23T17:00", HOUR_MS, compounds=8, vendors=0.3, rates=DEMO.times(5))
        return list(made.messages), list(made.facts)

    messages, facts = once()
    assert len(messages) > 3_000
    assert len(facts) > 30
    assert once() == (messages, facts)


def test_another_seed_gives_other_messages_of_the_same_devices() -> None:
    one = run("2026-11-23T10:00", HOUR_MS, compounds=4, seed=1)
    two = run("2026-11-23T10:00", HOUR_MS, compounds=4, seed=2)
    assert one.messages != two.messages
    assert {device_of(m) for m in one.messages} == {device_of(m) for m in two.messages}


def test_a_run_in_pieces_is_the_run_in_one() -> None:
    start = at("2026-11-23T18:00")
    whole = Fleet(a_district(5), 3, start, DEMO)
    parts = Fleet(a_district(5), 3, start, DEMO)
    pieces = [m for n in range(1, 61) for m in parts.messages(start + n * MINUTE_MS)]
    assert pieces == list(whole.messages(start + HOUR_MS))


def test_messages_come_in_the_order_of_time(monday: Run) -> None:
    assert all(one.at_ms <= two.at_ms for one, two in pairwise(monday.messages))


def test_every_native_message_is_one_that_its_kind_may_send(
    monday: Run, said_on_monday: Said
) -> None:
    seen: set[tuple[str, str]] = set()
    for message, said in said_on_monday:
        topic = Topic.parse(message.topic)
        device = monday.fleet.registry.devices[topic.device]
        assert (device.compound, device.kind) == (topic.compound, topic.kind)
        assert len(message.payload) <= 65_536
        assert said["boot"] >= 0
        assert said["seq"] >= 1
        kind = KINDS[topic.kind]
        for name, value in said.get("values", {}).items():
            quantity = kind.quantity(name)
            assert quantity is not None, f"{topic.kind} has no {name}"
            quantity.check(value)
            seen.add((topic.kind, name))
        for number, values in said.get("ports", {}).items():
            assert topic.kind == "shed"
            assert monday.fleet.registry.port(topic.device, int(number)) is not None
            for name, value in values.items():
                quantity = KINDS["port"].quantity(name)
                assert quantity is not None, f"a port has no {name}"
                quantity.check(value)
                seen.add(("port", name))
        if "event" in said:
            owner = "port" if said["event"].startswith("session_") else topic.kind
            event = KINDS[owner].events[said["event"]]
            for name, value in said.items():
                if name not in ("ts", "boot", "seq", "event", "event_id"):
                    event.fields[name].check(value)
            assert all(said.get(f.name) is not None for f in event.fields.values() if f.required)
            seen.add((owner, said["event"]))
    for kind_name, name in (
        ("gate", "access"),
        ("port", "session_end"),
        ("lamp", "switched"),
        ("port", "session_energy_kwh"),
        ("lamp", "motion_count"),
        ("camera", "stream_ok_1"),
        ("gateway", "queue_depth"),
        ("lift", "floor"),
    ):
        assert (kind_name, name) in seen


def test_every_device_counts_its_messages_without_a_gap(monday: Run, said_on_monday: Said) -> None:
    numbers: dict[tuple[str, int], int] = {}
    for message, said in said_on_monday:
        key = device_of(message), said["boot"]
        assert said["seq"] == numbers.get(key, 0) + 1
        numbers[key] = said["seq"]


def test_a_last_boot_number_never_comes_again_in_a_later_run() -> None:
    early = run("2026-11-23T10:00", MINUTE_MS, compounds=2)
    late = run("2026-11-23T10:01", MINUTE_MS, compounds=2)
    boots_early = {said["boot"] for _, said in objects(early.messages)}
    boots_late = {said["boot"] for _, said in objects(late.messages)}
    assert not boots_early & boots_late
    assert max(boots_early) < min(boots_late)


def test_people_pass_when_people_pass(monday: Run, said_on_monday: Said) -> None:
    hours: Counter[int] = Counter()
    methods: Counter[str] = Counter()
    denied = 0
    households = sum(c.households for c in monday.fleet.registry.compounds.values())
    for message, said in said_on_monday:
        if said.get("event") == "access":
            if said["result"] == "granted":
                hours[int(local_hour(message.at_ms))] += 1
                if not _is_barrier(monday, message):
                    methods[said["method"]] += 1
            else:
                denied += 1
                assert said["deny_reason"]
    total = hours.total()
    assert total == pytest.approx(households * 10, rel=0.03)
    assert 0.03 < denied / (denied + total) < 0.05
    for hour, share in enumerate(PASSAGES_WEEKDAY):
        deviation = math.sqrt(share / 100 / total)
        assert hours[hour] / total == pytest.approx(share / 100, abs=4 * deviation)
    for method, share in (("face", 0.45), ("card", 0.25), ("button", 0.20), ("qr", 0.07)):
        assert methods[method] / methods.total() == pytest.approx(share, abs=0.02)


def _is_barrier(made: Run, message: Message) -> bool:
    return made.fleet.registry.devices[device_of(message)].attributes["form"] == "barrier"


def test_sheds_are_scarce_in_the_evening_and_turn_over_daily(
    monday: Run, said_on_monday: Said
) -> None:
    used: defaultdict[int, list[float]] = defaultdict(list)
    ended = 0
    for message, said in said_on_monday:
        values = said.get("values", {})
        if "ports_in_use" in values:
            share = values["ports_in_use"] / values["ports_total"]
            used[int(local_hour(message.at_ms))].append(share)
        ended += said.get("event") == "session_end"
    sockets = sum(d.kind == "port" for d in monday.fleet.registry.devices.values())
    assert 1.2 <= ended / sockets <= 2.2
    evening = used[20] + used[21] + used[22]
    assert 0.70 <= sum(evening) / len(evening) <= 0.90
    assert sum(used[7]) / len(used[7]) < 0.3


def test_reported_energy_is_the_integral_of_the_reported_power(
    monday: Run, said_on_monday: Said
) -> None:
    """∫P dt by the trapezoid rule over the power that was told, for every whole session."""
    power: defaultdict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    begun: dict[tuple[str, int], int] = {}
    compared = metered_wh = told_wh = 0.0
    for message, said in said_on_monday:
        shed = device_of(message)
        match said.get("event"):
            case "session_start":
                begun[shed, said["port_no"]] = said["ts"]
                power.pop((shed, said["port_no"]), None)
            case "session_end" if (started := begun.pop((shed, said["port_no"]), None)) is not None:
                samples = power.pop((shed, said["port_no"]), [])
                if said["session_s"] < 3_600:
                    continue
                assert (said["ts"] - started) // 1000 == pytest.approx(said["session_s"], abs=1)
                samples = [(started, samples[0][1]), *samples, (said["ts"], said["stop_power_w"])]
                wh = sum((b - a) * (p + q) / 2 for (a, p), (b, q) in pairwise(samples)) / HOUR_MS
                assert said["session_energy_kwh"] * 1000 == pytest.approx(wh, rel=0.05)
                metered_wh += said["session_energy_kwh"] * 1000
                told_wh += wh
                compared += 1
        for number, values in said.get("ports", {}).items():
            if values.get("power_w"):
                power[shed, int(number)].append((said["ts"], values["power_w"]))
    assert compared > 40
    assert metered_wh == pytest.approx(told_wh, rel=0.01)


def test_lamps_count_the_energy_that_they_draw(monday: Run, said_on_monday: Said) -> None:
    last: dict[str, tuple[int, float, float]] = {}
    drawn: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for message, said in said_on_monday:
        values = said.get("values", {})
        if "/lamp/" not in message.topic or "energy_kwh" not in values:
            continue
        lamp = device_of(message)
        now = (said["ts"], values["power_w"], values["energy_kwh"])
        if lamp in last:
            then = last[lamp]
            drawn[lamp] += then[1] * (now[0] - then[0]) / HOUR_MS / 1000
            counted[lamp] += now[2] - then[2]
        last[lamp] = now
    street = {lamp: kwh for lamp, kwh in counted.items() if "-lamp-" in lamp}
    assert len(street) > 80
    for lamp, kwh in street.items():
        assert kwh == pytest.approx(drawn[lamp], rel=0.05, abs=0.002)


def test_lamps_are_lit_from_dusk_to_dawn_and_dimmed_at_night(
    monday: Run, said_on_monday: Said
) -> None:
    levels: defaultdict[int, set[int]] = defaultdict(set)
    for message, said in said_on_monday:
        values = said.get("values", {})
        if "dim_level_pct" in values:
            levels[int(local_hour(message.at_ms))].add(values["dim_level_pct"])
            nominal = monday.fleet.registry.devices[device_of(message)].attributes
            full_w = int(nominal["lamp_count"]) * float(nominal["nominal_power_w"])
            assert values["power_w"] == pytest.approx(
                full_w * values["dim_level_pct"] / 100, rel=0.02, abs=0.1
            )
    assert levels[2] == {50}
    assert levels[5] == {50, 100}
    assert levels[12] == {0}
    assert levels[20] == {100}


def test_a_switched_circuit_says_nothing_by_day(monday: Run) -> None:
    hours: defaultdict[str, set[int]] = defaultdict(set)
    for message in monday.messages:
        device = monday.fleet.registry.devices[device_of(message)]
        if device.attributes.get("granularity") == "circuit":
            supply = str(device.attributes["supply"])
            hours[supply].add(int(local_hour(message.at_ms)))
    assert not hours["switched"] & set(range(8, 17))
    assert hours["switched"] >= {0, 5, 19, 23}
    assert hours["permanent"] == set(range(24))


def test_the_whole_district_sends_about_as_much_as_it_should() -> None:
    start = at("2026-11-23T14:00")
    fleet = Fleet(registry(), 1, start)
    by_minute: Counter[int] = Counter()
    births = 0
    for message in fleet.messages(start + 25 * MINUTE_MS):
        by_minute[(message.at_ms - start) // MINUTE_MS] += 1
        if message.act == BIRTH:
            births += 1
            assert message.retained
            assert message.at_ms <= start + RAMP_MS
    assert births == 359
    steady = [by_minute[minute] for minute in range(5, 25)]
    assert 27 <= sum(steady) / len(steady) / 60 <= 36


@pytest.mark.parametrize(
    ("start", "lit", "busy_at_least", "busy_at_most"),
    [("2026-11-23T21:00", True, 0.6, 1.0), ("2026-11-23T12:00", False, 0.1, 0.5)],
)
def test_it_begins_as_if_it_had_always_been_there(
    start: str, lit: bool, busy_at_least: float, busy_at_most: float
) -> None:
    begun = run(start, 2 * MINUTE_MS, compounds=40)
    spoke = {device_of(m) for m in begun.messages}
    busy = total = 0
    for message, said in objects(begun.messages):
        values = said.get("values", {})
        if "ports_in_use" in values:
            busy += values["ports_in_use"]
            total += values["ports_total"]
        if "/lamp/" in message.topic and "switch_state" in values:
            assert values["switch_state"] == ("on" if lit else "off")
    assert busy_at_least < busy / total < busy_at_most
    for device in begun.fleet.registry.devices.values():
        if device.kind != "port" and not (
            device.attributes.get("supply") == "switched" and not lit
        ):
            assert device.id in spoke, f"{device.id} was not heard in the first two minutes"


def test_frames_of_a_juy_shed_have_their_length_and_sum() -> None:
    mixed = run("2026-11-23T18:00", HOUR_MS, compounds=10, vendors=1.0)
    commands: Counter[int] = Counter()
    for message in mixed.messages:
        if not message.topic.startswith("JUY/"):
            continue
        _, _, imei, command, _ = message.topic.split("/")
        frame = message.payload
        assert mixed.fleet.registry.external("juy", imei) is not None
        assert frame[:2] == b"\x5a\xa5"
        assert int.from_bytes(frame[2:4], "little") == len(frame) - 4
        assert frame[-1] == sum(frame[2:-1]) & 0xFF
        assert frame[4] == int(command, 16)
        commands[frame[4]] += 1
    assert set(commands) == {0x81, 0x82, 0x85, 0x86, 0x88}
    sheds = sum(d.protocol == "juy" for d in mixed.fleet.registry.devices.values())
    assert commands[0x82] == pytest.approx(60 * sheds, rel=0.03)


def test_a_juy_board_without_an_answer_says_an_end_four_times() -> None:
    mixed = run("2026-11-23T18:00", 2 * HOUR_MS, compounds=10, vendors=1.0)
    said: defaultdict[bytes, list[int]] = defaultdict(list)
    for message in mixed.messages:
        if message.topic.startswith("JUY/") and message.payload[4] == 0x85:
            said[message.payload].append(message.at_ms)
    whole = [times for times in said.values() if times[0] < mixed.messages[-1].at_ms - MINUTE_MS]
    assert len(whole) > 5
    for times in whole:
        assert [b - a for a, b in pairwise(times)] == [10_000] * 3


def test_a_tasmota_circuit_reports_every_five_minutes_and_says_when_it_has_power() -> None:
    mixed = run("2026-11-23T16:00", 4 * HOUR_MS, compounds=8, vendors=1.0)
    words: defaultdict[str, list[bytes]] = defaultdict(list)
    states: Counter[str] = Counter()
    for message in mixed.messages:
        if not message.topic.startswith("tele/"):
            continue
        _, name, what = message.topic.split("/")
        device = mixed.fleet.registry.external("tasmota", name)
        assert device is not None
        if what == "LWT":
            assert message.retained
            words[str(device.attributes["supply"])].append(message.payload)
        elif what == "STATE" and device.attributes["supply"] == "permanent":
            json.loads(message.payload)
            states[name] += 1
    assert set(words["switched"]) == {b"Online"}  # dusk came within these hours
    assert all(40 <= count <= 52 for count in states.values())
    assert states
