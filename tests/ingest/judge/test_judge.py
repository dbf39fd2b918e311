"""The judge as a whole: what it decides is a function of the journal, whenever it is committed.

Random histories are lived through by one judge in many ways, and always come to the same.
"""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from devices import faults
from devices.faults import State
from devices.journal import MESSAGES, RETAINED, Record
from devices.messages import Reading
from devices.sessions import EndedBy, SessionState
from ingest.judge.memory import pack
from tests.fakes import Rows
from tests.ingest.judge.district import (
    District,
    a_device,
    a_gate,
    a_lamp,
    a_shed,
    devices_of_all_kinds,
)

HOUR_S = 3600


def a_history(seed: int, steps: int = 140) -> list[Record]:
    """A few hours of a small district in which a lot goes wrong."""
    rng = Random(seed)
    d = District(*devices_of_all_kinds())
    d.every_message_is_a_record = False
    names = [device for device in d.registry.devices if "-p" not in device]
    orders = 0
    for _ in range(steps):
        d.now_s += rng.choice((0, 1, 5, 5, 20, 60, 60, 300, 1200))
        device = rng.choice(names)
        match rng.randrange(14):
            case 0:
                d.will(device)
            case 1:
                if rng.random() < 0.3:
                    d.deaf(rng.choice((20, 400, 4000)))
            case 2:
                d.event(
                    "gate",
                    "access",
                    result=rng.choice(("granted", "denied")),
                    method=rng.choice(("face", "card", "remote")),
                    at_s=d.now_s - rng.choice((0, 0, 100, 9000)),
                )
            case 3:
                orders += rng.choice((0, 1))
                d.starts("shed", 1 + orders % 2, str(orders))
            case 4:
                order = rng.randint(max(0, orders - 2), orders)
                d.ends(
                    "shed",
                    1 + order % 2,
                    str(order),
                    rng.choice(("full", "smoke", "over_temp", "over_power", "power_cut")),
                    session_energy_kwh=round(rng.random(), 3),
                    session_s=rng.randrange(9000),
                    at_s=d.now_s - rng.choice((0, 0, 700)),
                )
            case 5:
                d.event(*rng.choice((("gate", "duress"), ("gate", "panic"))))
            case 6:
                d.event("lift", "trapped", active=rng.random() < 0.5)
            case 7:
                d.event(
                    "shed",
                    "shed_alarm",
                    what=rng.choice(("smoke", "power_cut", "door_open")),
                    active=rng.random() < 0.5,
                )
            case 8:
                device = rng.choice(("gate", "shed"))
                d.replays(
                    device,
                    [
                        (d.now_s - 7000 + 60 * n, some_values(rng, device))
                        for n in range(rng.randrange(1, 9))
                    ],
                )
            case 9:
                d.arrives(device, rng.choice((b"{", b'{"values": {"csq": NaN, "smoke": true}}')))
            case 10:
                sent = [raw for raw in d.messages() + d.waiting() if raw.received_ms < d.now_ms]
                if sent:
                    again = rng.choice(sent)
                    d.again(again._replace(received_ms=d.now_ms))
            case _:
                if device == "shed":
                    ports = {str(n): port_values(rng) for n in (1, 2) if rng.random() < 0.7}
                    d.says(device, some_values(rng, device), ports=ports)
                else:
                    d.says(device, some_values(rng, device))
        if rng.random() < 0.5:
            for name in names:
                if rng.random() < 0.7:
                    d.says(name, {"csq": 20})
        if rng.random() < 0.8:
            d.probe()
    d.passes(400)
    d.cut()
    return d.records


def some_calm_values(rng: Random, device: str) -> tuple[dict[str, Any], Any]:
    """Values, and those of a shed's sockets, of which none shows anything by itself."""
    values: dict[str, Any] = {"csq": rng.choice((14, 20, 25)), "rssi_dbm": -70.5}
    ports = None
    if device == "shed" and rng.random() < 0.9:
        values["voltage_v"] = rng.choice((225, 226.5))
        ports = {
            "1": {
                "port_status": rng.choice(("idle", "in_use", "in_use", "in_use")),
                "power_w": rng.choice((0, 120, 300)),
                "session_energy_kwh": round(rng.random(), 2),
                "session_s": rng.choice((60, 3600, 70_000)),
                "port_temp_c": rng.choice((20, 35)),
            },
            "2": {"port_status": "idle"},
        }
        if rng.random() < 0.5:  # while a socket charges boards leave its status out
            del ports["1"]["port_status"]
            ports["1"]["power_w"] = rng.choice((120, 120.5, 121))
            ports["1"]["session_s"] = rng.choice((3600, 5000, 43_000))
    if device.startswith("gate"):
        values |= {"door_state": "closed", "tamper": False, "mains_ok": True}
        for name in rng.sample(sorted(values), rng.randrange(3)):
            del values[name]
    if device == "lamp":
        values |= {
            "switch_state": rng.choice(("on", "on", "off")),
            "power_w": rng.choice((0, 30, 72)),
            "voltage_v": rng.choice((225, 230)),
            "energy_kwh": round(rng.random() * 5, 1),
        }
    return values, ports


def some_values(rng: Random, device: str) -> dict[str, Any]:
    kind = {"door": "gate", "barrier": "gate", "circuit": "lamp"}.get(device, device)
    choices: dict[str, dict[str, tuple[Any, ...]]] = {
        "gate": {
            "door_state": ("open", "closed", "unknown"),
            "door_alarm": ("normal", "forced_open", "open_too_long"),
            "door_mode": ("normal", "fire_open"),
            "tamper": (True, False),
            "reader_online_1": (True, False),
            "mains_ok": (True, False),
        },
        "shed": {
            "voltage_v": (180, 190, 225, 250, 260),
            "board_temp_c": (30, 65, 80),
            "smoke": (True, False, False),
            "leakage_ma": (2, 40),
            "leakage_state": ("ok", "tripped"),
        },
        "lamp": {
            "power_w": (0, 30, 72),
            "switch_state": ("on", "off"),
            "energy_kwh": (1.0, 1.5, 2.0),
            "lamp_failure": (True, False),
            "gear_temp_c": (60, 80, 90),
        },
        "camera": {
            "recording": (True, False),
            "video_loss": (True, False),
            "time_offset_s": (0, 90, -90),
        },
        "lift": {"in_service": (True, False)},
        "gateway": {"mains_ok": (True, False)},
    }
    names = choices[kind]
    return {
        name: rng.choice(names[name])
        for name in rng.sample(list(names), rng.randint(1, len(names)))
    }


def port_values(rng: Random) -> dict[str, Any]:
    return {
        "port_status": rng.choice(
            ("idle", "in_use", "in_use", "output_fault", "relay_stuck", "paused_smoke", "full")
        ),
        "port_temp_c": rng.choice((30, 65, 75, 95)),
        "session_energy_kwh": round(rng.random(), 2),
    }


def a_reader(records: list[Record]) -> District:
    """A fresh judge of the same district, before the first of these records."""
    d = District(*devices_of_all_kinds())
    d.now_s = 0
    return d


def outcome(d: District) -> Rows:
    """All that is in the store once everything is flushed, but for the cursor and raw memory."""
    d.figures("gate")
    rows = d.store.rows
    return replace(
        rows,
        cursor=None,
        devices={name: row._replace(memory=b"") for name, row in sorted(rows.devices.items())},
        events=sorted(rows.events, key=lambda event: (event.at_ms, event.fault)),
        received={key: count for key, count in sorted(rows.received.items()) if count},
        figures={key: rounded(figures) for key, figures in sorted(rows.figures.items()) if figures},
        accounts=Counter({key: n for key, n in sorted(rows.accounts.items()) if n}),
        counts={},
        compounds={},
    )


def rounded(figures: Any) -> dict[str, Any]:
    """Figures without what adding floats in another order does, and without zeros."""
    flat: dict[str, Any] = {}
    for name, amount in figures.items():
        if isinstance(amount, dict):
            flat |= {f"{name} {of}": round(part, 6) for of, part in amount.items()}
        else:
            flat[name] = round(amount, 6)
    return {name: amount for name, amount in sorted(flat.items()) if amount}


def lived_through(records: list[Record], restart_after: Any) -> Rows:
    d = a_reader(records)
    for index, record in enumerate(records):
        d.take(record)
        if restart_after(index):
            d.restart()
    return outcome(d)


SEEDS = [*range(5), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(5, 12))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_after_every_record_changes_nothing(seed: int) -> None:
    records = a_history(seed)
    once = lived_through(records, lambda _: False)
    assert once.faults
    assert once.figures
    assert lived_through(records, lambda _: True) == once


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_at_any_place_changes_nothing(seed: int) -> None:
    records = a_history(seed, steps=60)
    once = lived_through(records, lambda _: False)
    rng = Random(seed)
    for _ in range(6):
        places = set(rng.sample(range(len(records)), 3))
        assert lived_through(records, places.__contains__) == once


@pytest.mark.parametrize("seed", SEEDS)
def test_where_records_are_cut_changes_nothing(seed: int) -> None:
    records = a_history(seed)
    once = lived_through(records, lambda _: False)
    rng = Random(seed)
    for largest in (1, 7, 1000):
        d = a_reader(records)
        for record in records:
            if record.kind != MESSAGES:
                d.take(record)
                continue
            rest = list(record.messages)
            while rest:
                size = rng.randint(1, largest)
                d.again(*rest[:size])
                d.cut()
                del rest[:size]
        assert replaced(outcome(d)) == replaced(once)


def replaced(rows: Rows) -> Rows:
    """Without what carries the number of a message, which counts anew here."""
    return replace(
        rows,
        refused={
            ("journal", n): replace(refused, jseq=0)
            for n, refused in enumerate(rows.refused.values())
        },
    )


def remembered(d: District, device: str) -> bytes:
    """All that is kept of a device, whenever it was committed."""
    memory = d.judge.memories[device]
    for hour in memory.hours.values():
        hour.moved = True
    return pack(memory)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_short_path_and_the_long_path_agree(seed: int) -> None:
    """`_messages` judges the usual message by itself; `_message` judges any."""
    rng = Random(seed)
    devices = (
        a_gate("gate-1"),
        a_gate("gate-2"),
        a_device("camera", "camera"),
        *a_shed(),
        a_lamp(),
    )
    short, long = District(*devices), District(*devices)
    names = ["gate-1", "gate-2", "camera", "shed", "lamp"]
    usual: Counter[str] = Counter()
    for _ in range(900):
        short.now_s += rng.choice((0, 0.05, 5, 30, 30, 70))
        device = rng.choice(names)
        chance = rng.random()
        at_s = short.now_s - rng.choice((0, 0, 0, 0, 1, 4, 20, 100, 4000, -20))
        head: dict[str, Any] = {
            "boot": rng.choice((1,) * 30 + (2, None)),
            "flags": RETAINED if rng.random() < 0.02 else 0,
        }
        if chance < 0.7:
            values, ports = some_calm_values(rng, device)
            short.says(device, values, ports=ports, at_s=at_s, **head)
        elif chance < 0.75:
            order = str(rng.randrange(30))
            event = rng.choice(("session_start", "session_end"))
            short.event("shed", event, port_no=1, order=order, session_energy_kwh=0.5, at_s=at_s)
        elif chance < 0.9:
            short.says(device, some_values(rng, device.split("-")[0]), at_s=at_s)
        elif chance < 0.95:
            sent = short.messages()
            if sent:
                short.again(rng.choice(sent)._replace(received_ms=short.now_ms))
        else:
            short.will(device)
        if rng.random() < 0.6:
            short.probe()
    for record in short.records:
        said = [long.decoder.read(raw) for raw in record.messages]
        usual.update(one.device.kind for one in said if one.calm and one.device is not None)
        long.judge.judge(
            record,
            [
                one.unfold() if isinstance(one, Reading) else replace(one, calm=False)
                for one in said
            ],
        )
    assert all(usual[kind] > 30 for kind in ("gate", "camera", "shed", "lamp"))
    long.now_s = short.now_s
    assert outcome(long) == outcome(short)
    for name in (*names, "shed-p01", "shed-p02"):
        assert long.judge.memories[name].window == short.judge.memories[name].window
        assert long.judge.memories[name].latest == short.judge.memories[name].latest
        assert long.judge.memories[name].whole_ms == short.judge.memories[name].whole_ms
        assert remembered(long, name) == remembered(short, name)


def test_the_short_path_is_not_for_a_message_that_was_on_its_way_for_eight_days() -> None:
    d = District(a_gate())
    d.says("gate", {"csq": 20})
    d.deaf(8 * 86_400)
    d.says("gate", {"csq": 20}, at_s=10)
    assert d.account() == {"stored": 2, "clock": 1}
    assert d.judge.memories["gate"].latest["csq"] == (20, d.now_ms)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_message_three_times_comes_to_the_same_as_once(seed: int) -> None:
    records = a_history(seed, steps=80)
    once = lived_through(records, lambda _: False)
    d = a_reader(records)
    for record in records:
        if record.kind != MESSAGES:
            d.take(record)
            continue
        for raw in record.messages:
            d.again(*[raw] * 3)
            d.cut()
    thrice = outcome(d)
    assert thrice.faults == once.faults
    assert thrice.sessions == once.sessions
    assert thrice.figures == once.figures
    assert thrice.received == once.received
    assert sum(thrice.accounts.values()) >= 3 * sum(len(record.messages) for record in records)


def test_a_history_ends_with_all_of_its_faults_and_sessions() -> None:
    d = District(a_gate(), *a_shed(), stream="history")
    d.says("gate", {"tamper": True})
    d.says("shed", {"smoke": True})
    d.says("shed", {"smoke": False}, ports={"1": {"port_status": "in_use"}})
    d.starts("shed", 1, "1")
    d.event("gate", "duress")
    d.acknowledges("gate", "GATE_DURESS")
    d.now_s = 30
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": 0.2}})
    d.commit()
    assert set(d.standing().values()) == {State.OPEN, State.CLEARED, State.ACKNOWLEDGED}
    d.judge.finish(d.at_ms(60))
    d.commit()
    assert d.standing() == {}
    rows = d.store.rows
    assert {fault.state for fault in rows.faults.values()} == {State.CLOSED}
    assert {fault.closed_at_ms for fault in rows.faults.values()} == {d.at_ms(60)}
    assert [event.reason for event in rows.events][-3:] == [faults.Why.HISTORY_ENDS] * 3
    (session,) = rows.sessions.values()
    assert (session.state, session.ended_by) == (SessionState.CLOSED, EndedBy.PLATFORM)
    assert [f["in_use_s"] for f in rows.figures.values() if "in_use_s" in f] == [30]


def test_what_is_remembered_of_a_device_does_not_grow() -> None:
    """A week of everything that can happen to a gate leaves a row of a few hundred bytes."""
    d = District(a_gate())
    rng = Random(5)
    for n in range(3000):
        d.now_s += 200
        d.says("gate", some_values(rng, "gate"))
        if n % 50 == 0:
            d.event("gate", "access", result="granted")
        d.probe()
        if n % 10 == 0:
            d.commit()
    rows = [row for row in d.commit().devices if row.device == "gate"]
    assert len(rows[0].memory) < 1000
    assert len(d.judge._finder._timers) < 50
    assert len(d.judge._finder._armed) < 10
    assert len(d.judge._roll._deadlines) == 1
