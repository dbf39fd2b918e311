"""From signs to faults: levels, latches, excuses, quiet, and what people do meanwhile."""

import pytest

from devices import faults
from devices.faults import State
from tests.ingest.judge.district import District, a_device, a_gate, a_lamp, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State


def a_gate_and_shed() -> District:
    return District(a_gate(), *a_shed())


def moves(district: District, code: str) -> list[str]:
    """What happened to the faults with this code, by reason, in order."""
    district.commit()
    of = {fault.id: fault.code for fault in district.store.rows.faults.values()}
    return [event.reason.value for event in district.store.rows.events if of[event.fault] == code]


# Levels


def test_between_the_levels_the_last_verdict_stands() -> None:
    """Over-voltage raises above 253 V and clears within 198 to 242 V."""
    d = a_gate_and_shed()
    for voltage_v, state in [
        (250, None),  # not above yet
        (254, None),  # the first sample
        (254, OPEN),  # a second one, a minute later
        (246, OPEN),
        (242, OPEN),  # three minutes must pass
        (246, OPEN),  # "clear" stands here as well
        (240, CLOSED),
        (250, CLOSED),
    ]:
        d.says("shed", {"voltage_v": voltage_v})
        assert d.state("shed", "SHED_OVERVOLT") is state, voltage_v
        d.passes(90, beating=["shed"])
    assert moves(d, "SHED_OVERVOLT") == ["raised", "over"]


def test_a_gauge_needs_a_second_sample() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"board_temp_c": 80})
    d.passes(600, beating=["shed"])  # it goes on talking, and not of its temperature
    assert d.state("shed", "SHED_OVERTEMP") is None
    d.says("shed", {"board_temp_c": 80})
    assert d.state("shed", "SHED_OVERTEMP") is OPEN


def test_a_state_holds_without_being_repeated() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"door_state": "open"})
    d.passes(60, beating=["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


def test_a_word_that_says_nothing_changes_nothing() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"door_state": "open"})
    d.passes(30, beating=["gate"])
    d.says("gate", {"door_state": "unknown"})
    d.passes(30, beating=["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN
    d.says("gate", {"door_state": "fault"})
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


def test_readers_are_judged_apart() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"reader_online_1": False, "reader_online_2": False})
    d.passes(60, beating=["gate"])
    d.says("gate", {"reader_online_1": True})
    assert d.state("gate", "GATE_READER_OFFLINE") is OPEN  # the other one is still away
    d.says("gate", {"reader_online_2": True})
    assert d.state("gate", "GATE_READER_OFFLINE") is CLOSED


def test_a_pedestrian_door_may_not_be_open_as_long_as_a_barrier() -> None:
    d = District(a_gate("door", form="pedestrian"), a_gate("barrier", form="barrier"))
    for gate in ("door", "barrier"):
        d.says(gate, {"door_state": "open"})
    d.passes(179, beating=["door", "barrier"])
    assert d.standing() == {"door GATE_HELD_OPEN": OPEN}
    d.passes(1, beating=["door", "barrier"])
    assert set(d.standing()) == {"door GATE_HELD_OPEN", "barrier GATE_HELD_OPEN"}


# Worse


def test_a_hot_socket_that_gets_hotter_is_the_same_fault_and_asks_again() -> None:
    d = a_gate_and_shed()
    for _ in range(2):
        d.says("shed", ports={"1": {"port_temp_c": 75}})
        d.passes(30)
    fault = d.fault("shed-p01", "PORT_OVERTEMP")
    assert fault is not None
    assert (fault.severity, fault.safety) == ("P2", False)
    d.acknowledges("shed-p01", "PORT_OVERTEMP")
    d.says("shed", ports={"1": {"port_temp_c": 91}})
    worse = d.fault("shed-p01", "PORT_OVERTEMP")
    assert worse is not None
    assert (worse.id, worse.severity, worse.safety) == (fault.id, "P1", True)
    assert worse.state is OPEN
    assert moves(d, "PORT_OVERTEMP") == ["raised", "acknowledged", "worsened"]
    d.says("shed", ports={"1": {"port_temp_c": 40}})
    d.passes(300, beating=["shed"])
    assert d.state("shed-p01", "PORT_OVERTEMP") is OPEN
    d.says("shed", ports={"1": {"port_temp_c": 40}})  # cold again, but a P1 waits for a person
    assert d.state("shed-p01", "PORT_OVERTEMP") is CLEARED
    d.acknowledges("shed-p01", "PORT_OVERTEMP")
    assert d.state("shed-p01", "PORT_OVERTEMP") is CLOSED


def test_what_stands_already_is_told_once() -> None:
    d = a_gate_and_shed()
    for _ in range(10):
        d.says("shed", {"smoke": True})
        d.says("shed", {"smoke_mask": 3})
        d.passes(10)
    assert moves(d, "SHED_SMOKE") == ["raised"]


def test_two_signs_of_one_fault_must_both_be_gone() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"smoke": True, "smoke_mask": 1})
    d.says("shed", {"smoke": False})
    assert d.state("shed", "SHED_SMOKE") is OPEN
    d.says("shed", {"smoke_mask": 0})
    assert d.state("shed", "SHED_SMOKE") is CLEARED


def test_smoke_that_comes_back_is_the_same_fault_once_more() -> None:
    d = a_gate_and_shed()
    for smoke in (True, False, True):
        d.says("shed", {"smoke": smoke})
        d.passes(1200, beating=["shed"])
    fault = d.fault("shed", "SHED_SMOKE")
    assert fault is not None
    assert (fault.state, fault.occurrences) == (OPEN, 2)


@pytest.mark.parametrize(("pause_s", "faults"), [(590, 1), (610, 2)])
def test_a_fault_that_comes_back_within_ten_minutes_is_the_same_one(
    pause_s: int, faults: int
) -> None:
    d = a_gate_and_shed()
    for tamper in (True, False):
        d.says("gate", {"tamper": tamper})
    d.passes(pause_s, beating=["gate"])
    d.says("gate", {"tamper": True})
    d.commit()
    assert len(d.store.rows.faults) == faults


# Latches and excuses


def test_a_board_that_latches_forced_open_does_not_raise_it_with_every_heartbeat() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"door_alarm": "forced_open", "door_state": "open"})
    assert d.state("gate", "GATE_FORCED") is OPEN
    for _ in range(20):
        d.passes(30)
        d.says("gate", {"door_alarm": "forced_open", "door_state": "closed"})
    assert moves(d, "GATE_FORCED") == ["raised", "over"]
    d.says("gate", {"door_alarm": "normal"})
    d.says("gate", {"door_alarm": "forced_open"})  # now it is another one
    assert d.state("gate", "GATE_FORCED") is OPEN


@pytest.mark.parametrize("names", [("door_alarm", "door_state"), ("door_state", "door_alarm")])
def test_the_order_of_names_in_a_message_means_nothing(names: tuple[str, str]) -> None:
    sent = {"door_alarm": "forced_open", "door_state": "closed"}
    d = a_gate_and_shed()
    d.says("gate", {name: sent[name] for name in names})
    assert d.state("gate", "GATE_FORCED") is OPEN
    d.passes(5)
    assert d.state("gate", "GATE_FORCED") is CLOSED


def test_a_door_in_fire_mode_may_be_open() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"door_mode": "fire_open"})
    d.says("gate", {"door_state": "open"})
    d.passes(300, beating=["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is None


def test_a_door_that_is_still_open_after_fire_mode_is_held_open_from_then_on() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"door_mode": "fire_open"})
    d.says("gate", {"door_state": "open"})
    d.passes(300, beating=["gate"])
    d.says("gate", {"door_mode": "normal"})  # and nothing more is sent of the door
    ended_ms = d.now_ms
    d.passes(59, beating=["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is None
    d.passes(1, beating=["gate"])
    fault = d.fault("gate", "GATE_HELD_OPEN")
    assert fault is not None
    assert fault.since_ms == ended_ms


def test_fire_mode_excuses_a_door_that_was_held_open() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"door_state": "open"})
    d.passes(60, beating=["gate"])
    d.says("gate", {"door_mode": "fire_open"})
    assert d.state("gate", "GATE_HELD_OPEN") is CLOSED
    d.says("gate", {"door_state": "open"})
    d.passes(120, beating=["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is CLOSED
    d.says("gate", {"door_state": "closed"})
    d.says("gate", {"door_mode": "normal"})
    d.passes(120, beating=["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is CLOSED


def test_a_current_that_still_leaks_is_not_answered_by_a_self_test_in_the_same_message() -> None:
    d = a_gate_and_shed()
    for _ in range(3):
        d.says("shed", {"leakage_ma": 45, "leakage_state": "ok"})
        d.passes(60)
    assert moves(d, "SHED_LEAKAGE") == ["raised"]
    d.says("shed", {"leakage_ma": 2, "leakage_state": "ok"})
    assert d.state("shed", "SHED_LEAKAGE") is CLEARED


def test_a_tripped_breaker_has_no_current_and_is_a_fault_all_the_same() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"leakage_ma": 45})
    d.says("shed", {"leakage_ma": 0})
    assert d.state("shed", "SHED_LEAKAGE") is OPEN


# Quiet


def test_a_board_that_stops_sending_its_voltage_has_no_over_voltage() -> None:
    d = a_gate_and_shed()
    for _ in range(2):
        d.says("shed", {"voltage_v": 255})
        d.passes(60, beating=["shed"])
    assert d.state("shed", "SHED_OVERVOLT") is OPEN
    d.passes(600 - 60 + 179, beating=["shed"])
    assert d.state("shed", "SHED_OVERVOLT") is OPEN
    d.passes(1, beating=["shed"])  # ten minutes without a voltage, and the clear delay
    assert d.state("shed", "SHED_OVERVOLT") is CLOSED


def test_a_voltage_between_the_levels_is_sent_and_so_not_quiet() -> None:
    d = a_gate_and_shed()
    for voltage_v in (255, 255, *[246] * 20):
        d.says("shed", {"voltage_v": voltage_v})
        d.passes(60, beating=["shed"])
    assert d.state("shed", "SHED_OVERVOLT") is OPEN


def test_the_silence_of_a_shed_is_no_quiet() -> None:
    d = a_gate_and_shed()
    for _ in range(2):
        d.says("shed", {"voltage_v": 255})
        d.passes(60, beating=["shed"])
    d.passes(3600)  # it is offline for an hour
    d.says("shed", {})
    d.passes(590, beating=["shed"])
    assert d.state("shed", "SHED_OVERVOLT") is OPEN
    d.passes(10 + 180, beating=["shed"])
    assert d.state("shed", "SHED_OVERVOLT") is CLOSED


def test_a_hot_socket_without_readings_is_cold_after_half_an_hour_of_being_idle() -> None:
    d = a_gate_and_shed()
    for _ in range(2):
        d.says("shed", ports={"1": {"port_temp_c": 75, "port_status": "in_use"}})
        d.passes(60)
    for _ in range(40):  # still in use, and no more temperatures
        d.says("shed", ports={"1": {"port_status": "in_use"}})
        d.passes(60)
    idle_s = d.now_s
    while d.state("shed-p01", "PORT_OVERTEMP") is OPEN:
        d.says("shed", ports={"1": {"port_status": "idle"}})
        d.passes(60)
        assert d.now_s < idle_s + 4000
    # half an hour from the last word that it was in use, and the clear delay
    assert 1800 + 300 - 120 <= d.now_s - idle_s <= 1800 + 300 + 60


def test_a_power_cut_told_after_it_is_over_ends_with_three_minutes_of_heartbeats() -> None:
    """A JUY board has no voltage to send while it idles."""
    d = a_gate_and_shed()
    d.says("shed", {})
    d.ends("shed", 1, "7", "power_cut")
    d.passes(60, beating=["shed"])
    assert d.state("shed", "SHED_POWER_CUT") is OPEN
    d.passes(119, beating=["shed"])
    assert d.state("shed", "SHED_POWER_CUT") is OPEN
    d.passes(1, beating=["shed"])
    assert d.state("shed", "SHED_POWER_CUT") is CLOSED


# While the device is away


def test_what_a_device_was_offline_does_not_count_for_its_states() -> None:
    d = a_gate_and_shed()
    d.says("gate", {})
    d.says("gate", {"mains_ok": False})
    d.passes(30)
    d.says("gate", {"mains_ok": True})  # it must stay so for a minute, had it been a fault
    d.says("gate", {"battery_low": True})
    d.passes(600)  # offline
    assert d.standing() == {"gate GATE_OFFLINE": OPEN, "gate GATE_BATT_LOW": OPEN}
    d.says("gate", {"battery_low": False})
    assert d.standing() == {}


def test_a_state_from_before_a_silence_gets_its_whole_delay_afterwards() -> None:
    d = District(a_gate("barrier", form="barrier"))
    d.says("barrier", {"arm_state": "open"})
    d.passes(600)
    assert d.standing() == {"barrier GATE_OFFLINE": OPEN}
    d.says("barrier", {})
    d.passes(179, beating=["barrier"])
    assert d.standing() == {}
    d.passes(1, beating=["barrier"])
    assert d.standing() == {"barrier GATE_HELD_OPEN": OPEN}


def test_a_port_whose_shed_is_silent_is_unknown_and_raises_nothing() -> None:
    d = a_gate_and_shed()
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.passes(179)
    d.says("shed", ports={"1": {"port_status": "output_fault"}})
    d.passes(30)
    d.says("shed", ports={"1": {"port_status": "unknown"}})
    d.passes(25)
    d.passes(3600)
    d.says("shed", ports={"1": {"port_status": "idle"}})
    d.passes(60, beating=["shed"])
    assert d.all_faults() == ["shed-p01 PORT_FAULT", "shed SHED_OFFLINE"]
    assert d.standing() == {}


def test_a_fault_of_a_device_that_fell_silent_is_not_cleared_by_that() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"mains_ok": False})
    d.passes(60, beating=["gate"])
    d.says("gate", {"mains_ok": True})
    d.passes(30)
    d.passes(3600)
    assert d.state("gate", "GATE_MAINS_LOST") is CLOSED  # it had a minute before the silence
    d.says("gate", {"mains_ok": False})
    d.passes(60, beating=["gate"])
    d.passes(3600)
    assert d.state("gate", "GATE_MAINS_LOST") is OPEN


# What people do


def test_a_fault_closed_by_hand_while_the_device_is_still_bad_opens_again() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    fault = d.fault("gate", "GATE_TAMPER")
    assert fault is not None
    d.closes("gate", "GATE_TAMPER")
    again = d.fault("gate", "GATE_TAMPER")
    assert again is not None
    assert (again.id, again.state, again.occurrences) == (fault.id, OPEN, 2)
    assert moves(d, "GATE_TAMPER") == ["raised", "closed", "reopened"]


def test_it_opens_again_also_when_we_learn_of_it_an_hour_later() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.commit()
    fault = d.fault("gate", "GATE_TAMPER")
    assert fault is not None
    closed = d.store.a_person(fault.id, lambda fault: faults.close(fault, "li-wei", d.now_ms))
    d.passes(3600, beating=["gate"])
    d.judge.person_moved(closed, d.now_ms)
    again = d.fault("gate", "GATE_TAMPER")
    assert again is not None
    assert (again.id, again.state) == (fault.id, OPEN)


def test_an_event_that_a_person_closed_stays_closed_and_the_next_one_is_told() -> None:
    d = a_gate_and_shed()
    d.event("gate", "duress")
    d.acknowledges("gate", "GATE_DURESS")
    d.closes("gate", "GATE_DURESS")
    d.passes(3600, beating=["gate"])
    assert d.state("gate", "GATE_DURESS") is CLOSED
    d.event("gate", "duress")
    fault = d.fault("gate", "GATE_DURESS")
    assert fault is not None
    assert (fault.state, fault.since_ms) == (OPEN, d.now_ms)
    d.commit()
    assert len(d.store.rows.faults) == 2


@pytest.mark.parametrize(
    ("device", "code"), [("gate", "GATE_DURESS"), ("shed-p01", "PORT_BATTERY_ABNORMAL")]
)
def test_what_only_a_person_ends_is_told_again_though_the_last_one_was_answered(
    device: str, code: str
) -> None:
    d = a_gate_and_shed()

    def happens(order: str) -> None:
        if device == "gate":
            d.event("gate", "duress")
        else:
            d.ends("shed", 1, order, "battery_abnormal")

    happens("1")
    happens("2")  # nobody has answered yet: told once
    d.acknowledges(device, code)
    d.passes(3600)
    happens("3")
    fault = d.fault(device, code)
    assert fault is not None
    assert (fault.state, fault.occurrences, fault.acknowledged_by) == (OPEN, 2, None)
    assert moves(d, code) == ["raised", "acknowledged", "reopened"]
    d.acknowledges(device, code)
    assert d.state(device, code) is ACKNOWLEDGED


def test_smoke_that_goes_on_is_not_told_again_once_it_was_answered() -> None:
    d = a_gate_and_shed()
    d.ends("shed", 1, "1", "smoke")
    d.acknowledges("shed", "SHED_SMOKE")
    d.ends("shed", 2, "2", "smoke")
    assert d.state("shed", "SHED_SMOKE") is ACKNOWLEDGED


def test_a_comment_on_an_old_fault_does_not_touch_the_one_that_stands() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.says("gate", {"tamper": False})
    old = d.fault("gate", "GATE_TAMPER")
    assert old is not None
    d.passes(1200, beating=["gate"])
    d.says("gate", {"tamper": True})
    d.commit()
    d.judge.person_moved(d.store.rows.faults[old.id], d.now_ms)
    assert d.state("gate", "GATE_TAMPER") is OPEN
    d.says("gate", {"tamper": False})
    assert d.state("gate", "GATE_TAMPER") is CLOSED
    d.commit()
    assert [fault.state for fault in d.store.rows.faults.values()] == [CLOSED, CLOSED]


def test_a_comment_does_not_take_back_an_alarm_that_came_since() -> None:
    d = a_gate_and_shed()
    d.event("shed", "shed_alarm", what="power_cut", active=True)
    d.passes(60, beating=["shed"])
    closed = d.closes("shed", "SHED_POWER_CUT")
    d.passes(1200, beating=["shed"])
    d.event("shed", "shed_alarm", what="power_cut", active=True)
    d.judge.person_moved(closed, d.now_ms)  # somebody comments on the closed one
    d.passes(60, beating=["shed"])
    assert d.state("shed", "SHED_POWER_CUT") is OPEN


def test_an_acknowledged_fault_is_over_without_anybody() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"smoke": True})
    d.acknowledges("shed", "SHED_SMOKE")
    d.says("shed", {"smoke": False})
    assert d.state("shed", "SHED_SMOKE") is CLOSED


# Timers


def test_timers_do_not_pile_up_while_a_device_repeats_itself() -> None:
    d = District(a_lamp())
    d.says("lamp", {"cycling_failure": True})
    d.passes(1800, beating=["lamp"], every_s=900)
    for n in range(500):  # away for a day it would be over; it says so again and again
        d.now_s += 10
        d.says("lamp", {"cycling_failure": False, "power_w": n})
    assert len(d.judge._finder._timers) <= 2


def test_one_lamp_in_a_district_of_others_is_timed_for_itself() -> None:
    d = District(a_lamp("a"), a_lamp("b"), a_device("camera", "camera"))
    for lamp in ("a", "b"):
        d.says(lamp, {"relay_failure": True})
        d.passes(100)
    d.passes(200)
    assert d.standing() == {"a LAMP_RELAY": OPEN, "b LAMP_RELAY": OPEN}
    opened = [d.fault(lamp, "LAMP_RELAY") for lamp in ("a", "b")]
    assert [fault.opened_at_ms for fault in opened if fault] == [d.at_ms(300), d.at_ms(400)]


# Refused values: a real fire looks implausible too


def refused(district: District, device: str = "shed") -> faults.Fault | None:
    return district.fault(device, "DEV_IMPLAUSIBLE")


def test_a_refused_safety_value_is_a_fault_at_once_and_says_what_was_refused() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"board_temp_c": 300, "csq": 20})
    fault = refused(d)
    assert fault is not None
    assert (fault.severity, fault.kind, fault.safety) == ("P2", "shed", False)
    assert (fault.since_ms, fault.opened_at_ms) == (d.now_ms, d.now_ms)
    assert fault.evidence["quantity"] == "board_temp_c"
    assert "300" in str(fault.evidence["detail"])
    assert d.account() == {"stored": 1, "partial": 1, "part out_of_range": 1}


@pytest.mark.parametrize(
    ("sent", "subject"),
    [
        ({"values": {"smoke": "yes"}}, "shed"),
        ({"values": {"leakage_ma": -1}}, "shed"),
        ({"ports": {"2": {"port_temp_c": 999}}}, "shed-p02"),
    ],
)
def test_it_is_a_fault_also_when_nothing_else_was_in_the_message(
    sent: dict[str, object], subject: str
) -> None:
    d = a_gate_and_shed()
    d.arrives("shed", {"ts": d.now_ms, "boot": 1, "seq": 0, **sent})
    assert sum(count for name, count in d.account().items() if "quarantined" in name) == 1
    assert d.all_faults() == [f"{subject} DEV_IMPLAUSIBLE"]


@pytest.mark.parametrize("values", [{"voltage_v": 900}, {"csq": "x"}, {"made_up": 1}])
def test_a_refused_value_that_is_no_safety_value_is_none(values: dict[str, object]) -> None:
    d = a_gate_and_shed()
    d.says("shed", values)
    assert d.all_faults() == []


def test_refused_values_of_the_past_are_none() -> None:
    d = a_gate_and_shed()
    hot = {"board_temp_c": 300}
    d.says("shed", {"csq": 20})
    d.now_s = 600
    d.says("shed", {"csq": 20})
    d.retained(d.messages()[0]._replace(payload=b'{"values": {"board_temp_c": 300}}'))
    d.replays("shed", [(60, {**hot, "csq": 19}), (90, {"csq": 20})])
    d.replays("shed", [(120, hot)])
    d.says("shed", {**hot, "csq": 20}, at_s=300)  # late
    assert d.all_faults() == []
    d.replays("shed", [(590, {"csq": 20}), (600, {**hot, "csq": 20})])  # it sends in batches
    assert d.all_faults() == ["shed DEV_IMPLAUSIBLE"]


def test_a_refused_value_is_over_when_valid_ones_came_for_ten_minutes() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"board_temp_c": 300, "leakage_ma": 5})
    d.passes(900, ["shed"])
    assert refused(d).state is OPEN  # type: ignore[union-attr]  # nothing valid came
    d.says("shed", {"leakage_ma": 5})  # of another quantity
    d.passes(900, ["shed"])
    assert refused(d).state is OPEN  # type: ignore[union-attr]
    d.says("shed", {"board_temp_c": 30})
    d.passes(300, ["shed"])
    d.says("shed", {"board_temp_c": 300})  # no: again
    d.says("shed", {"board_temp_c": 30})
    d.passes(599, ["shed"])
    assert refused(d).state is OPEN  # type: ignore[union-attr]
    d.restart()
    d.passes(1, ["shed"])
    assert moves(d, "DEV_IMPLAUSIBLE") == ["raised", "over"]
    assert refused(d).state is CLOSED  # type: ignore[union-attr]


def test_each_refused_quantity_must_be_valid_again() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"board_temp_c": 300, "leakage_ma": -5, "csq": 20})
    d.says("shed", {"board_temp_c": 30})
    d.passes(900, ["shed"])
    assert refused(d).state is OPEN  # type: ignore[union-attr]
    d.says("shed", {"leakage_ma": 5})
    d.passes(600, ["shed"])
    assert refused(d).state is CLOSED  # type: ignore[union-attr]


def test_a_person_may_close_a_refused_value_and_the_next_one_opens_it_again() -> None:
    d = a_gate_and_shed()
    d.says("shed", {"board_temp_c": 300, "csq": 20})
    d.closes("shed", "DEV_IMPLAUSIBLE")
    d.passes(60, ["shed"])
    assert refused(d).state is CLOSED  # type: ignore[union-attr]
    d.says("shed", {"board_temp_c": 300, "csq": 20})
    assert refused(d).state is OPEN  # type: ignore[union-attr]


def test_a_repeated_message_does_not_refuse_again_what_became_valid() -> None:
    d = a_gate_and_shed()
    raw = d.says("shed", {"board_temp_c": 300, "csq": 20})
    d.says("shed", {"board_temp_c": 30})
    d.again(raw)
    d.passes(600, ["shed"])
    assert refused(d).state is CLOSED  # type: ignore[union-attr]


# Power at a socket that is switched off


def a_socket(d: District, **values: object) -> None:
    d.says("shed", ports={"1": values})


def stuck(d: District) -> State | None:
    return d.state("shed-p01", "PORT_RELAY_STUCK")


def test_power_at_a_socket_in_use_is_no_stuck_relay() -> None:
    d = a_gate_and_shed()
    for _ in d.moments(300):
        a_socket(d, port_status="in_use", power_w=180)
    for status in ("full", "paused", "unknown"):
        for _ in d.moments(120):
            a_socket(d, port_status=status, power_w=30)
    assert d.all_faults() == []


def test_a_charge_that_began_before_the_board_said_so_is_no_stuck_relay() -> None:
    """JUY: a heartbeat every 250 s has the state, a power frame every 15 s the power."""
    d = a_gate_and_shed()
    for _ in range(3):
        a_socket(d, port_status="idle")
        for _ in range(15):
            d.passes(15)
            a_socket(d, power_w=180)
        a_socket(d, port_status="in_use")
        d.passes(15)
        a_socket(d, power_w=180)
        d.passes(15)
    assert d.all_faults() == []


def test_short_charges_around_a_word_that_all_is_idle_are_no_stuck_relay() -> None:
    d = a_gate_and_shed()
    a_socket(d, port_status="idle")
    for order in ("1", "2", "3"):
        for _ in range(8):
            d.passes(15)
            a_socket(d, power_w=180)
        d.ends("shed", 1, order)
        a_socket(d, port_status="idle")
    d.passes(60)
    assert d.all_faults() == []


def test_the_last_sample_of_a_charge_is_no_evidence_after_its_stop() -> None:
    d = a_gate_and_shed()
    d.starts("shed", 1, "7")
    a_socket(d, port_status="in_use", power_w=180)
    d.now_s = 60
    d.ends("shed", 1, "7")
    a_socket(d, port_status="idle", power_w=180)  # of the same moment
    d.now_s = 120
    a_socket(d, port_status="idle", power_w=0)
    d.passes(120)
    assert d.all_faults() == []


def test_power_that_goes_on_after_the_stop_is_a_stuck_relay() -> None:
    d = a_gate_and_shed()
    d.starts("shed", 1, "7")
    a_socket(d, port_status="in_use", power_w=180)
    d.passes(60)
    d.ends("shed", 1, "7")
    d.passes(1)
    a_socket(d, port_status="idle", power_w=180)
    d.passes(59)
    a_socket(d, port_status="idle", power_w=180)
    assert stuck(d) is None
    d.passes(1)
    a_socket(d, port_status="idle", power_w=180)
    assert stuck(d) is OPEN


def test_a_board_may_tell_the_power_before_the_state() -> None:
    d = a_gate_and_shed()
    a_socket(d, power_w=180, port_status="in_use")
    for _ in d.moments(65):
        a_socket(d, power_w=180, port_status="idle")
    assert stuck(d) is OPEN


def test_a_stuck_relay_is_over_only_by_five_minutes_without_power_while_idle() -> None:
    d = a_gate_and_shed()
    for _ in d.moments(70):
        a_socket(d, port_status="idle", power_w=180)
    assert stuck(d) is OPEN
    for status, power_w in [("idle", 4), ("in_use", 180), ("full", 0), ("idle", 4), ("idle", 10)]:
        for _ in d.moments(290):
            a_socket(d, port_status=status, power_w=power_w)
        assert stuck(d) is OPEN, (status, power_w)
        d.restart()
    for _ in d.moments(15):
        a_socket(d, port_status="idle", power_w=4)
    assert stuck(d) is CLEARED


def test_a_stuck_relay_is_over_when_an_idle_board_sends_no_power_any_more() -> None:
    d = a_gate_and_shed()
    for _ in d.moments(70):
        a_socket(d, port_status="idle", power_w=180)
    for _ in d.moments(300):
        a_socket(d, port_status="in_use")
    for _ in d.moments(595):
        a_socket(d, port_status="idle")
    assert stuck(d) is OPEN
    for _ in d.moments(320):
        a_socket(d, port_status="idle")
    assert stuck(d) is CLEARED


def test_replayed_power_alone_is_no_stuck_relay() -> None:
    d = a_gate_and_shed()
    a_socket(d, port_status="idle")
    d.now_s = 900
    a_socket(d, port_status="idle")
    past = [(float(s), {"ports": {"1": {"power_w": 180}}}) for s in range(60, 300, 30)]
    d.replays("shed", past)
    assert d.all_faults() == []


def test_a_door_that_was_opened_just_before_its_gate_fell_silent_is_not_held_open() -> None:
    d = District(a_gate())
    d.says("gate", {"door_state": "closed"})
    d.passes(60, ["gate"])
    d.says("gate", {"door_state": "open"})
    d.passes(960)
    assert d.all_faults() == ["gate GATE_OFFLINE"]
    d.birth("gate")
    d.passes(20)
    d.says("gate", {"door_state": "open"})
    d.passes(35, ["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is None  # what it was away does not count
    d.passes(5)
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


@pytest.mark.parametrize("last_s", [5, 15, 20, 25])
def test_a_gate_that_fell_silent_while_its_door_was_open_does_not_hold_it_open(
    last_s: float,
) -> None:
    d = District(a_gate())
    d.says("gate", {"door_state": "open"})
    d.passes(last_s)
    d.says("gate", {})
    d.passes(120)
    assert d.all_faults() == ["gate GATE_OFFLINE"]
    d.passes(960)
    assert d.all_faults() == ["gate GATE_OFFLINE"]


@pytest.mark.parametrize("values", [{"door_state": "open"}, {}])
@pytest.mark.parametrize("first_s", [1, 10, 20, 29])
def test_a_gate_that_is_heard_raises_a_door_held_open_in_time(
    first_s: float, values: dict[str, str]
) -> None:
    d = District(a_gate())
    d.says("gate", {"door_state": "open"})
    due_s = first_s
    while d.now_s < 65:
        d.now_s += 1
        if d.now_s >= due_s:
            d.says("gate", values)
            due_s += 30.4  # a little late each time
        d.probe()
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


def test_a_sample_after_the_delay_shows_a_door_held_open_however_late_it_comes() -> None:
    d = District(a_gate())
    d.says("gate", {"door_state": "open"})
    d.passes(85)
    d.says("gate", {"door_state": "open"})
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


def test_a_door_that_is_found_open_when_its_gate_returns_has_its_delay_once_more() -> None:
    d = District(a_gate())
    d.says("gate", {"door_state": "open"})
    d.passes(960)
    d.says("gate", {"door_state": "open"})
    d.passes(55, ["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is None
    d.passes(5)
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


def test_a_door_held_open_waits_for_the_next_contact_of_a_gate_that_is_overdue() -> None:
    d = District(a_gate())
    d.says("gate", {"door_state": "open"})
    d.passes(65)
    assert d.all_faults() == []
    d.says("gate", {})
    d.restart()
    d.passes(5)
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN
