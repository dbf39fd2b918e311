"""Who is there: silence, last wills, what is no sign of life, lamps without power, our own outages.

Limits: the larger of three intervals and 90 s; 180 s for cameras and lifts (domain.md §3.4).
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from devices.faults import State
from devices.journal import MESSAGES, RETAINED, Record
from devices.messages import Decoded, Reason
from devices.registry import Device
from ingest.judge.memory import Presence, Why
from tests.ingest.judge.district import (
    START_MS,
    District,
    a_device,
    a_gate,
    a_lamp,
    a_shed,
)

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
DAWN_S = 9 * 3600 + 1860  # civil dawn of the next day, 06:41; see the test on the sun
ASLEEP = (Presence.UNKNOWN, Why.ASLEEP)
NOON_S = 14 * 3600 + 3000  # noon of the next day


def a_district() -> District:
    return District(a_gate(), *a_shed(), a_device("camera", "camera"), a_lamp())


def presence(d: District, device: str) -> tuple[Presence, Why | None]:
    memory = d.judge.memories[device]
    return memory.state, memory.reason


# The limit


@pytest.mark.parametrize(
    ("device", "code", "limit_s"),
    [
        (a_gate("x"), "GATE_OFFLINE", 90),
        (a_device("x", "gate", interval_s=60), "GATE_OFFLINE", 180),
        (a_device("x", "gate", interval_s=10), "GATE_OFFLINE", 90),
        (a_device("x", "shed"), "SHED_OFFLINE", 180),
        (a_device("x", "gateway"), "GW_OFFLINE", 180),
        (a_device("x", "lift", interval_s=20), "LIFT_OFFLINE", 180),
        (a_device("x", "camera"), "CCTV_OFFLINE", 900),
        (a_device("x", "camera", interval_s=30), "CCTV_OFFLINE", 180),
        (a_lamp("x"), "LAMP_COMM", 2700),
        (a_device("x", "lamp", interval_s=300, attributes={"supply": "permanent"}), "LAMP_COMM",
         900),
    ],
    ids=lambda value: f"{value.kind}-{value.interval_s}s" if isinstance(value, Device) else None,
)  # fmt: skip
def test_silence_is_a_fault_at_the_limit_and_not_a_second_before(
    device: Device, code: str, limit_s: int
) -> None:
    d = District(device)
    d.says("x", {})
    last_ms = d.now_ms
    d.passes(limit_s - 1)
    assert d.state("x", code) is None
    assert presence(d, "x") == (Presence.ONLINE, None)
    d.passes(1)
    fault = d.fault("x", code)
    assert fault is not None
    assert (fault.state, fault.since_ms, fault.opened_at_ms) == (OPEN, last_ms, d.now_ms)
    evidence = {name: fault.evidence[name] for name in ("last_seen_ms", "reason")}
    assert evidence == {"last_seen_ms": last_ms, "reason": "heartbeat_missed"}
    assert presence(d, "x") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)
    d.says("x", {})
    assert presence(d, "x") == (Presence.ONLINE, None)


def test_ports_have_no_silence_of_their_own_and_are_unknown_without_their_shed() -> None:
    d = a_district()
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.passes(3600, beating=["shed"])
    assert presence(d, "shed-p01") == (Presence.ONLINE, None)
    assert presence(d, "shed-p02") == (Presence.NEVER_SEEN, Why.NEVER_SEEN)
    d.passes(180)
    assert presence(d, "shed-p01") == (Presence.UNKNOWN, Why.PARENT_DOWN)
    assert presence(d, "shed-p02") == (Presence.NEVER_SEEN, Why.NEVER_SEEN)
    assert set(d.standing()) == {"shed SHED_OFFLINE"}
    d.says("shed", {})
    assert presence(d, "shed-p01") == (Presence.ONLINE, None)


def test_a_device_that_was_never_seen_is_not_offline() -> None:
    d = a_district()
    d.passes(7200)
    assert d.standing() == {}
    assert presence(d, "gate") == (Presence.NEVER_SEEN, Why.NEVER_SEEN)


def test_a_camera_that_is_back_must_stay_for_three_minutes() -> None:
    d = a_district()
    d.says("camera", {})
    d.passes(900)
    d.says("camera", {})
    assert presence(d, "camera") == (Presence.ONLINE, None)
    assert d.state("camera", "CCTV_OFFLINE") is OPEN
    d.passes(180)
    assert d.state("camera", "CCTV_OFFLINE") is CLOSED


def test_the_states_of_a_compound_add_up() -> None:
    d = District(a_gate("a"), a_gate("b"), a_gate("c", form="barrier"), *a_shed(ports=3))
    d.says("a", {})
    d.says("b", {})
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.passes(120, beating=["b"])
    d.commit()
    # online, offline, unknown, never seen
    assert d.store.rows.counts["jiaogong-xiaoqu", "gate"] == (1, 1, 0, 1)
    assert d.store.rows.counts["jiaogong-xiaoqu", "port"] == (1, 0, 0, 2)
    d.passes(180, beating=["b"])
    d.commit()
    assert d.store.rows.counts["jiaogong-xiaoqu", "port"] == (0, 0, 1, 2)


# Last wills


def test_a_last_will_neither_shortens_nor_lengthens_the_silence() -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(60)
    d.will("gate")
    d.passes(29)
    assert d.standing() == {}
    d.passes(1)
    assert d.standing() == {"gate GATE_OFFLINE": OPEN}
    assert presence(d, "gate") == (Presence.OFFLINE, Why.LWT)
    fault = d.fault("gate", "GATE_OFFLINE")
    assert fault is not None
    assert fault.evidence["reason"] == "lwt"


def test_any_newer_message_cancels_a_last_will() -> None:
    d = a_district()
    d.says("gate", {})
    d.will("gate")
    d.passes(10)
    d.says("gate", {})
    d.passes(90)
    assert presence(d, "gate") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)


def test_an_offline_that_arrives_after_a_newer_online_is_no_alert() -> None:
    d = a_district()
    d.birth("gate")
    d.will("gate")
    d.passes(300, beating=["gate"])
    assert d.standing() == {}
    assert presence(d, "gate") == (Presence.ONLINE, None)


# What is no sign of life


def test_a_retained_online_does_not_revive_a_dead_gate() -> None:
    d = a_district()
    birth = d.birth("gate")
    d.passes(90)
    d.retained(birth)
    assert presence(d, "gate") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)


def test_a_retained_will_of_last_week_does_not_kill_a_live_gate() -> None:
    d = a_district()
    d.says("gate", {})
    will = d.will("gate")
    d.says("gate", {})
    d.retained(will)
    d.passes(600, beating=["gate"])
    assert d.standing() == {}
    d.passes(90)
    assert presence(d, "gate") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)  # not by that will


def test_retained_messages_are_stored_and_change_nothing() -> None:
    d = a_district()
    d.says("gate", {"door_state": "closed"})
    bad = d.says("gate", {"tamper": True}, flags=2)
    assert bad.flags
    assert d.standing() == {}
    assert d.judge.memories["gate"].word("tamper") is None
    assert d.account() == {"stored": 2, "retained": 1}


def test_a_replayed_array_is_no_sign_of_life() -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(60)
    d.replays("gate", [(-3600 + 30 * n, {"csq": 20}) for n in range(10)])
    d.passes(30)
    assert presence(d, "gate") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)


def test_the_newest_element_of_an_array_is_one_if_it_is_of_now() -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(60)
    d.replays("gate", [(d.now_s - 3600, {"csq": 20}), (d.now_s - 1, {"csq": 21})])
    d.passes(60)
    assert presence(d, "gate") == (Presence.ONLINE, None)


@pytest.mark.parametrize(
    "payload", [b"\xff\xfe", b"{", b'{"values": {"csq": -5}}', b'{"values": 7}', b"[]"]
)
def test_a_message_that_nobody_can_read_proves_that_its_device_is_there(payload: bytes) -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(60)
    d.arrives("gate", payload)
    d.passes(60)
    assert presence(d, "gate") == (Presence.ONLINE, None)


def test_a_message_under_a_foreign_name_proves_nothing_of_anybody() -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(60)
    d.arrives("gate", b"{}", topic="courtyard/v1/jiaogong-xiaoqu/gate/gate-99/telemetry")
    d.passes(60)
    assert presence(d, "gate") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)


def test_a_false_identity_is_no_sign_of_life() -> None:
    """Anyone could have sent it. No decoder of ours finds one yet, so it is put in by hand."""
    d = a_district()
    d.says("gate", {})
    d.passes(60)
    gate = d.registry.devices["gate"]
    raw = d.messages()[0]._replace(received_ms=d.now_ms)
    for reason, is_life in ((Reason.IDENTITY, False), (Reason.WRONG_PLACE, True)):
        said = Decoded(gate, [], reason=reason, detail="somebody else")
        d.judge.judge(Record(99, MESSAGES, 99, 1, 1, (raw,)), [said])
        assert (d.judge.memories["gate"].last_seen_ms == d.now_ms) is is_life
    assert d.account() == {
        "stored": 1,
        "quarantined identity": 1,
        "quarantined wrong_place": 1,
    }


# Lamps


def a_street(**attributes: Any) -> District:
    return District(a_lamp("lamp", supply="switched", **attributes))


def test_the_sun_of_these_tests() -> None:
    d = a_street()
    memory = d.judge.memories["lamp"]
    assert d.judge._commanded(memory, START_MS)
    assert d.judge._commanded(memory, START_MS + DAWN_S * 1000 - 600_000)
    assert not d.judge._commanded(memory, START_MS + DAWN_S * 1000 + 600_000)
    assert not d.judge._commanded(memory, START_MS + NOON_S * 1000)


def test_a_lamp_on_a_switched_supply_is_silent_by_day_and_no_fault() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {"power_w": 60})
    d.passes(2690)
    assert presence(d, "lamp") == (Presence.ONLINE, None)  # its limit is not over
    d.passes(6 * 3600)
    assert d.standing() == {}
    assert presence(d, "lamp") == ASLEEP


@pytest.mark.parametrize("interval_s", [900, 3600])
def test_by_day_nobody_reads_online_of_a_lamp_without_power(interval_s: int) -> None:
    d = District(a_device("lamp", "lamp", attributes={"supply": "switched"}, interval_s=interval_s),
                 a_lamp("other", supply="permanent"))  # fmt: skip
    d.now_s = DAWN_S - 1200
    d.says("lamp", {"power_w": 60})
    asleep_s = d.now_s + 3 * interval_s
    d.passes(3 * interval_s, beating=["other"])
    assert presence(d, "lamp") == ASLEEP
    assert d.commit().counts["jiaogong-xiaoqu", "lamp"] == (1, 0, 1, 0)
    d.restart()
    d.passes(9 * 3600 - 3 * interval_s, beating=["other"])  # some hours before dusk
    assert presence(d, "lamp") == ASLEEP
    assert d.judge.memories["lamp"].since_ms == d.at_ms(asleep_s)
    d.passes(3 * 3600, beating=["other"])
    d.says("lamp", {"power_w": 60})
    assert presence(d, "lamp") == (Presence.ONLINE, None)
    assert d.commit().counts["jiaogong-xiaoqu", "lamp"] == (2, 0, 0, 0)
    d.passes(3 * interval_s, beating=["other"])
    assert presence(d, "lamp") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)
    assert d.all_faults() == ["lamp LAMP_COMM"]


def test_a_lamp_that_gets_a_permanent_supply_is_no_longer_excused() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {})
    d.passes(4 * 3600)
    assert presence(d, "lamp") == ASLEEP
    d.imports(a_lamp("lamp", supply="permanent"))
    d.passes(5)
    assert d.standing() == {"lamp LAMP_COMM": OPEN}


def test_a_lamp_on_a_permanent_supply_is_not_to_be_silent_by_day() -> None:
    d = District(a_lamp("lamp", supply="permanent"))
    d.now_s = NOON_S
    d.says("lamp", {})
    d.passes(2700)
    assert d.standing() == {"lamp LAMP_COMM": OPEN}


def test_a_lamp_that_is_silent_at_night_is_a_fault() -> None:
    d = a_street()
    d.says("lamp", {})
    d.passes(2700)
    assert d.standing() == {"lamp LAMP_COMM": OPEN}


def test_a_lamp_that_does_not_come_on_at_dusk_is_a_fault_one_limit_after_it() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {})
    memory = d.judge.memories["lamp"]
    last_ms = d.now_ms
    d.passes(6 * 3600)
    dusk_s = d.now_s
    while not d.judge._commanded(memory, d.at_ms(dusk_s)):
        dusk_s += 1
    d.passes(dusk_s + 2700 - 2 - d.now_s)
    assert d.standing() == {}
    d.passes(12)
    fault = d.fault("lamp", "LAMP_COMM")
    assert fault is not None
    assert fault.since_ms == last_ms


def test_a_lamp_that_comes_on_at_dusk_is_none() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {})
    d.passes(11 * 3600)  # past dusk
    d.says("lamp", {"power_w": 60})
    d.passes(2690)
    assert d.standing() == {}


def test_our_outage_at_dusk_gives_the_lamps_their_grace() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {})
    d.passes(9 * 3600)
    memory = d.judge.memories["lamp"]
    dusk_s = d.now_s
    while not d.judge._commanded(memory, d.at_ms(dusk_s)):
        dusk_s += 60
    d.deaf(dusk_s + 7200 - d.now_s)  # until two hours after dusk
    d.probe()
    d.passes(2700 + 900 + 120 - 10)
    assert d.standing() == {}
    d.passes(80)
    assert d.standing() == {"lamp LAMP_COMM": OPEN}


# Our own outages


@pytest.mark.parametrize("outage_s", [16, 60, 600, 7200])
def test_our_own_outage_raises_nothing_and_silence_is_found_one_grace_later(outage_s: int) -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(20)
    d.deaf(outage_s)
    d.probe()
    assert d.standing() == {}
    # the limit, the gap, one interval and two minutes
    d.passes(90 - 20 + 30 + 120 - 1)
    assert d.standing() == {}
    d.passes(1)
    assert d.standing() == {"gate GATE_OFFLINE": OPEN}


def test_probes_that_come_late_but_within_15_s_are_no_outage() -> None:
    d = a_district()
    d.says("gate", {})
    for _ in range(6):
        d.now_s += 15
        d.probe()
    assert d.standing() == {"gate GATE_OFFLINE": OPEN}


def test_a_whole_district_behind_our_outage_is_well() -> None:
    d = District(*(a_gate(f"gate-{n}") for n in range(50)), *a_shed())
    everybody = [device for device in d.registry.devices if "-p" not in device]
    for device in everybody:
        d.says(device, {})
    d.passes(30, beating=everybody)
    d.deaf(600)
    d.probe()
    d.passes(100)  # they come back one by one
    for device in everybody:
        d.says(device, {})
    d.passes(300, beating=everybody)
    assert d.all_faults() == []


def test_a_state_that_we_could_not_hear_end_is_not_raised_by_our_outage() -> None:
    """The door was shut again while we were away, and that message is lost."""
    d = a_district()
    d.says("gate", {"door_state": "open"})
    d.passes(5)
    d.deaf(600)
    d.probe()
    assert d.standing() == {}
    d.passes(60)
    d.says("gate", {"door_state": "closed"})
    d.passes(300, beating=["gate"])
    assert d.all_faults() == []


def test_a_state_that_lasts_is_raised_one_grace_after_our_outage() -> None:
    d = a_district()
    d.says("gate", {"door_state": "open"})
    d.passes(5)
    d.deaf(600)
    d.probe()
    d.says("gate", {})
    d.passes(60 - 5 + 30 + 120 - 1, beating=["gate"])
    assert d.standing() == {}
    d.passes(1)
    assert d.standing() == {"gate GATE_HELD_OPEN": OPEN}


def test_a_backlog_is_judged_before_silence_is() -> None:
    """The judge was ten minutes behind; everything was received in time."""
    d = a_district()
    d.says("gate", {})
    d.now_s += 600
    d.says("gate", {})  # what was received meanwhile comes before the next probe
    d.probe()
    d.passes(60, beating=["gate"])
    assert d.all_faults() == []


def test_an_old_probe_does_not_turn_time_back() -> None:
    d = a_district()
    d.passes(100)
    watermark_ms = d.judge.hearing.watermark_ms
    d.probe(sent_s=40)
    assert d.judge.hearing.watermark_ms == watermark_ms


def test_many_outages_are_remembered_as_few_and_never_give_less_grace() -> None:
    d = a_district()
    d.says("gate", {})
    for _ in range(100):
        d.deaf(20)
        d.probe()
        d.passes(1)
    assert len(d.judge.hearing.gaps) <= 64
    assert d.standing() == {}


@pytest.mark.parametrize("restarts", [False, True])
def test_without_probes_the_newest_message_is_as_far_as_we_can_hear(restarts: bool) -> None:
    """The broker forbids our probe from the start: only ticks come."""
    d = a_district()
    d.says("gate", {})
    d.says("shed", {})
    for n in range(1, 60):
        d.now_s = 5 * n
        if n % 2:
            d.says("shed", {})
        if restarts:
            d.restart()
        d.tick()
        if restarts:
            d.restart()
    assert d.standing() == {"gate GATE_OFFLINE": OPEN}
    assert d.judge.hearing.watermark_ms == d.at_ms(295)


def test_one_lost_probe_is_not_taken_for_a_broker_that_forbids_them() -> None:
    d = a_district()
    d.says("gate", {})
    d.says("shed", {})
    d.probe()
    for n in range(1, 60):
        d.now_s = 5 * n
        d.says("shed", {})
        d.tick()
    assert d.standing() == {}
    assert d.judge.hearing.watermark_ms == d.at_ms(0)


# Out of service


def test_a_device_that_is_taken_out_of_service_ends_with_its_faults() -> None:
    gate = a_gate()
    d = District(gate, *a_shed())
    d.says("gate", {"tamper": True})
    d.says("shed", {"smoke": True})
    d.passes(200, beating=["shed"])
    assert set(d.standing()) == {"gate GATE_TAMPER", "gate GATE_OFFLINE", "shed SHED_SMOKE"}
    retired = [
        a_device(device.id, device.kind, parent=device.parent, attributes=device.attributes,
                 decommissioned_at_ms=d.now_ms - 1)
        for device in d.registry.devices.values()
    ]  # fmt: skip
    d.imports(*retired)
    # smoke waits for a person, whatever becomes of the device
    assert d.standing() == {"shed SHED_SMOKE": CLEARED}
    d.passes(600)
    d.acknowledges("shed", "SHED_SMOKE")
    assert d.standing() == {}
    assert d.account()["stored"] > 0
    assert ("jiaogong-xiaoqu", "gate") not in d.judge._roll._counts


def test_a_device_that_will_be_retired_falls_silent_without_a_fault() -> None:
    d = District(a_device("gate", "gate", decommissioned_at_ms=START_MS + 60_000))
    d.says("gate", {})
    d.commit()
    assert d.store.rows.counts["jiaogong-xiaoqu", "gate"] == (1, 0, 0, 0)
    d.passes(600)
    assert d.all_faults() == []


def test_what_a_device_had_in_its_old_compound_stays_there() -> None:
    d = District(*a_shed(), a_gate())
    d.event("gate", "access", result="granted")
    d.says("gate", {"tamper": True})
    d.starts("shed", 1, "1")
    moved = [
        a_device(device.id, device.kind, parent=device.parent, attributes=device.attributes,
                 compound="lvyun-xiaoqu")
        for device in d.registry.devices.values()
    ]  # fmt: skip
    d.imports(*moved)
    effects = d.commit()
    assert d.standing() == {}
    assert {(row.device, row.compound) for row in effects.hours} >= {("gate", "jiaogong-xiaoqu")}
    (session,) = d.store.rows.sessions.values()
    assert (session.compound, session.provisional) == ("jiaogong-xiaoqu", True)
    d.now_s += 3700
    d.event("gate", "access", result="granted")
    d.says("gate", {"tamper": True})
    effects = d.commit()
    assert [(row.device, row.compound) for row in effects.hours] == [("gate", "lvyun-xiaoqu")]
    fault = d.fault("gate", "GATE_TAMPER")
    assert fault is not None
    assert (fault.state, fault.compound) == (OPEN, "lvyun-xiaoqu")


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "meanwhile", [{"compound": "lvyun-xiaoqu"}, {"decommissioned_at_ms": START_MS + 300_000}]
)
def test_what_is_silent_before_and_after_a_move_or_its_absence_is_a_fault_again(
    meanwhile: dict[str, Any], restarts: bool
) -> None:
    d = District(a_gate(), a_gate("other"))
    d.says("gate", {})
    d.passes(300, beating=["other"])
    assert d.standing() == {"gate GATE_OFFLINE": OPEN}
    changed = replace(a_gate(), **meanwhile)
    d.imports(changed, a_gate("other"))
    assert d.standing() == {}
    if changed.decommissioned_at_ms is not None:
        d.passes(60, beating=["other"])
        assert d.standing() == {}
        changed = a_gate()
        d.imports(changed, a_gate("other"))
    if restarts:
        d.restart()
    d.passes(5)
    fault = d.fault("gate", "GATE_OFFLINE")
    assert fault is not None
    assert (fault.state, fault.compound, fault.since_ms) == (OPEN, changed.compound, START_MS)
    assert d.judge.memories["gate"].state is Presence.OFFLINE
    d.commit()
    assert d.store.rows.counts[changed.compound, "gate"][1] == 1
    d.says("gate", {})
    assert d.standing() == {}


def test_counts_follow_the_registry() -> None:
    d = District(a_gate("a"))
    d.says("a", {})
    d.imports(a_gate("a"), a_gate("b"))
    d.commit()
    assert d.store.rows.counts["jiaogong-xiaoqu", "gate"] == (1, 0, 0, 1)


# Who was never there


DAY_S = 86_400


def test_a_device_that_says_nothing_for_a_day_was_never_there() -> None:
    d = District(a_gate(), a_gate("spare"))
    d.probe()
    registered_ms = d.now_ms
    d.passes(DAY_S - 5, beating=["gate"], every_s=60)
    assert d.fault("spare", "DEV_NEVER_SEEN") is None
    d.restart()
    d.passes(15, beating=["gate"])
    fault = d.fault("spare", "DEV_NEVER_SEEN")
    assert fault is not None
    assert (fault.state, fault.severity, fault.since_ms) == (OPEN, "P4", registered_ms)
    assert fault.evidence == {"registered_ms": registered_ms}
    assert presence(d, "spare") == (Presence.NEVER_SEEN, Why.NEVER_SEEN)
    d.says("spare", {})
    assert d.state("spare", "DEV_NEVER_SEEN") is CLOSED
    assert d.standing() == {}


def test_the_day_counts_from_its_commissioning() -> None:
    d = District(a_device("spare", "gate", commissioned_at_ms=START_MS + 3 * DAY_S * 1000))
    d.probe()
    for _ in range(4 * 288 - 1):
        d.passes(15)
        d.now_s += 285
        d.probe()  # we hear little, and that does not shorten it
    assert d.standing() == {}


def test_one_message_is_enough_for_ever() -> None:
    d = District(a_gate(), a_gate("spare"))
    d.says("spare", {})
    d.passes(90)
    assert d.state("spare", "GATE_OFFLINE") is OPEN
    d.passes(DAY_S, beating=["gate"], every_s=60)
    assert d.standing() == {"spare GATE_OFFLINE": OPEN}


def test_what_is_below_a_device_that_was_never_there_is_no_fault_of_its_own() -> None:
    d = District(a_gate(), *a_shed("empty"), a_device("g", "gateway"), a_gate_behind("g"))
    d.passes(DAY_S + 60, beating=["gate"], every_s=60)
    assert d.standing() == {"empty DEV_NEVER_SEEN": OPEN, "g DEV_NEVER_SEEN": OPEN}
    d.says("empty", ports={"1": {"port_status": "idle"}})
    d.passes(3700, beating=["gate", "empty"], every_s=60)
    assert d.standing() == {"g DEV_NEVER_SEEN": OPEN, "empty-p02 DEV_NEVER_SEEN": OPEN}


def a_gate_behind(gateway: str) -> Device:
    return a_device("behind", "gate", parent=gateway)


# What we do not know


def test_after_an_outage_of_ours_a_device_is_unknown_until_it_is_heard() -> None:
    d = a_district()
    for device in ("gate", "shed", "camera", "lamp"):
        d.says(device, {}, ports={"1": {"port_status": "idle"}} if device == "shed" else None)
    d.passes(20)
    d.deaf(300)
    d.probe()
    ours = (Presence.UNKNOWN, Why.PLATFORM_DOWN)
    assert presence(d, "gate") == presence(d, "shed") == presence(d, "shed-p01") == ours
    assert presence(d, "camera") == presence(d, "lamp") == ours
    counts = d.commit().counts
    assert counts["jiaogong-xiaoqu", "gate"] == (0, 0, 1, 0)
    assert counts["jiaogong-xiaoqu", "port"] == (0, 0, 1, 1)
    d.restart()
    d.says("gate", {})
    d.says("shed", {})
    assert presence(d, "gate") == (Presence.ONLINE, None)
    assert presence(d, "shed-p01") == (Presence.ONLINE, None)
    assert d.commit().counts["jiaogong-xiaoqu", "gate"] == (1, 0, 0, 0)
    d.passes(300 + 180 + 60 + 120, beating=["gate", "shed"])
    assert presence(d, "camera") == ours  # its grace is not over
    assert d.standing() == {}


def test_whoever_is_not_heard_by_the_end_of_its_grace_is_offline() -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(20)
    d.deaf(600)
    d.probe()
    d.passes(90 - 20 + 30 + 120)
    assert presence(d, "gate") == (Presence.OFFLINE, Why.HEARTBEAT_MISSED)
    d.says("gate", {})
    assert presence(d, "gate") == (Presence.ONLINE, None)


def test_a_backlog_that_comes_before_our_probe_is_heard() -> None:
    d = a_district()
    d.says("gate", {})
    d.passes(20)
    d.deaf(600)
    d.says("gate", {}, at_s=d.now_s - 1)
    d.probe()
    assert presence(d, "gate") == (Presence.ONLINE, None)


def test_a_lamp_without_power_by_day_is_not_unknown_for_our_outage() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {})
    d.passes(6 * 3600)
    d.deaf(600)
    d.probe()
    assert presence(d, "lamp") == ASLEEP


def test_a_lamp_whose_night_ends_while_it_is_unknown_is_not_offline() -> None:
    d = a_street()
    d.now_s = DAWN_S - 1200
    d.says("lamp", {})
    d.probe()
    d.deaf(600)
    d.probe()
    assert presence(d, "lamp") == (Presence.UNKNOWN, Why.PLATFORM_DOWN)
    d.passes(3 * 3600)
    assert presence(d, "lamp") == ASLEEP
    assert d.standing() == {}


@pytest.mark.parametrize("outage_s", [60, 120, 300, 600, 1200, 1800])
def test_no_outage_of_ours_and_no_backlog_is_a_fault_of_a_device(outage_s: int) -> None:
    """Receive is away, and what the broker kept of it comes at once, oldest first."""
    d = District(a_gate(), a_device("camera", "camera"), *a_shed(), a_device("gateway", "gateway"))
    everybody = ["gate", "camera", "shed", "gateway"]
    for device in everybody:
        d.says(device, {})
    d.passes(600, beating=everybody)
    backlog = [
        d.says(device, {}, at_s=d.now_s + at_s)
        for at_s in range(30, outage_s, 30)
        for device in everybody
    ]
    assert backlog
    d = District(a_gate(), a_device("camera", "camera"), *a_shed(), a_device("gateway", "gateway"))
    for device in everybody:
        d.says(device, {})
    d.passes(600, beating=everybody)
    d.deaf(outage_s)
    d.restart()
    d.again(*(raw._replace(received_ms=d.now_ms) for raw in backlog))
    d.probe()
    d.passes(600, beating=everybody)
    assert d.all_faults() == []


@pytest.mark.parametrize("seed", range(30))
def test_whoever_spoke_last_is_not_offline_however_it_raced_with_the_alarm(seed: int) -> None:
    """Messages, wills, probes, ticks, gaps and restarts in any order; then most of them speak."""
    rng = Random(seed)
    d = District(*a_racing_compound())
    speakers = [device for device in d.registry.devices if "-p" not in device]
    for _ in range(250):
        d.now_s += rng.choice((0, 0, 1, 5, 5, 15, 40, 90, 180))
        device = rng.choice(speakers)
        match rng.randrange(10):
            case 0:
                d.will(device)
            case 1:
                d.will(device, flags=RETAINED)
            case 2:
                d.tick()
            case 3 | 4 | 5:
                d.probe()
            case 6:
                d.replays(device, [(d.now_s - 900, {"csq": 20}), (d.now_s - 600, {"csq": 20})])
            case 7:
                d.birth(device)
            case _:
                d.says(device, {"mains_ok": rng.random() < 0.7} if device != "lamp" else {})
        if rng.random() < 0.05:
            d.restart()
    last = {device: rng.random() < 0.8 for device in speakers}
    for device in rng.sample(speakers, len(speakers)):
        if last[device]:
            d.says(device, {"mains_ok": True} if device not in ("lamp", "lift") else {})
            if rng.random() < 0.3:
                d.probe()
    for _ in range(80):  # no longer than the shortest limit, and all the same for everybody
        d.now_s += 1
        if rng.random() < 0.3:
            d.probe()
    offline = ("GATE_OFFLINE", "SHED_OFFLINE", "GW_OFFLINE", "LIFT_OFFLINE", "LAMP_COMM")
    for device in speakers:
        if last[device]:
            assert presence(d, device)[0] in (Presence.ONLINE, Presence.UNKNOWN)
            assert not [c for c in offline if d.state(device, c) in (OPEN, ACKNOWLEDGED)]


def a_racing_compound() -> list[Device]:
    return [
        a_device("gateway", "gateway"),
        a_device("gate-1", "gate", parent="gateway"),
        a_device("gate-2", "gate", parent="gateway"),
        a_device("lift", "lift", parent="gateway"),
        *a_shed(),
        a_lamp(),
    ]
