"""What takes more than one value or event: counts, shares, effects that never come, registers."""

from typing import Any

import pytest

from devices import faults
from devices.faults import State
from tests.ingest.judge.district import District, a_device, a_gate, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State


def a_yard(**attributes: float) -> District:
    shed, *ports = a_shed()
    ports = [
        a_device(port.id, "port", parent="shed", attributes={**port.attributes, **attributes})
        for port in ports
    ]
    return District(a_gate(), a_gate("peer"), shed, *ports, a_device("camera", "camera"))


def fault(d: District, device: str, code: str) -> faults.Fault:
    found = d.fault(device, code)
    assert found is not None
    return found


# Face denials: a share


def faces(d: District, *results: str, every_s: float = 10) -> None:
    for result in results:
        d.passes(every_s, ["gate"])
        d.event("gate", "access", method="face", result=result)


def test_a_camera_that_refuses_one_face_in_three_is_dirty() -> None:
    d = a_yard()
    faces(d, *["granted"] * 13, *["denied"] * 6)
    faces(d, "denied")
    shown_ms = d.now_ms  # of 19 tries nothing was
    d.passes(1780, ["gate"])
    faces(d, "denied")
    assert d.state("gate", "GATE_FACE_FAIL_RATE") is None  # it takes a second look
    faces(d, "granted")  # the share is too high all the same
    found = fault(d, "gate", "GATE_FACE_FAIL_RATE")
    assert (found.state, found.severity, found.suspected) == (OPEN, "P4", False)
    assert found.since_ms == shown_ms
    assert dict(found.evidence) == {"share": 0.364, "count": 8, "tries": 22}


def test_who_is_known_and_refused_for_something_else_says_nothing_of_the_camera() -> None:
    d = a_yard()
    for _ in range(40):
        d.passes(80, ["gate"])
        fields = {"method": "face", "result": "denied", "deny_reason": "expired"}
        d.event("gate", "access", **fields)  # type: ignore[arg-type]  # among them is no time
    assert d.all_faults() == []


def test_seven_of_twenty_by_chance_are_no_dirty_camera() -> None:
    d = a_yard()
    faces(d, *["granted"] * 13, *["denied"] * 7)
    faces(d, *["granted"] * 19, "denied", *["granted"] * 19, "denied", every_s=60)
    d.passes(3600, ["gate"])
    faces(d, *["denied"] * 3)
    assert d.all_faults() == []


def test_other_ways_in_are_no_faces_and_a_third_of_few_is_nothing() -> None:
    d = a_yard()
    for _ in range(30):
        d.event("gate", "access", method="card", result="denied")
        d.passes(10, ["gate"])
    faces(d, *["denied"] * 10)
    assert d.all_faults() == []


def test_faces_of_an_hour_ago_do_not_count() -> None:
    d = a_yard()
    faces(d, *["denied"] * 19)
    d.passes(3600, ["gate"])
    faces(d, "granted", "granted")
    assert d.all_faults() == []


def test_a_cleaned_camera_is_well_after_an_hour_below_a_fifth() -> None:
    d = a_yard()
    faces(d, *["denied", "granted"] * 10)
    d.passes(1800, ["gate"])
    faces(d, "denied")
    d.passes(3600, ["gate"])  # the night
    faces(d, *["granted"] * 19, every_s=30)
    assert d.state("gate", "GATE_FACE_FAIL_RATE") is OPEN  # of 20, and the one before was refused
    faces(d, *["granted"] * 6, every_s=30)
    d.restart()
    d.passes(3300, ["gate"])
    assert d.state("gate", "GATE_FACE_FAIL_RATE") is OPEN
    d.passes(360, ["gate"])
    assert d.state("gate", "GATE_FACE_FAIL_RATE") is CLOSED


# Health code: so many within five minutes, over after five successes


def scans(d: District, *codes: str, every_s: float = 20) -> None:
    for code in codes:
        d.passes(every_s, ["gate"])
        result = "granted" if code == "green" else "denied"
        d.event("gate", "access", method="health_code", result=result, health_code=code)


def test_ten_timeouts_in_five_minutes_are_a_service_that_is_down() -> None:
    d = a_yard()
    scans(d, *["timeout"] * 9)
    assert d.state("gate", "GATE_HEALTHCODE_SVC") is None
    first_ms = d.at_ms(20)
    scans(d, "timeout")
    found = fault(d, "gate", "GATE_HEALTHCODE_SVC")
    assert (found.state, found.since_ms) == (OPEN, first_ms)
    scans(d, "green", "green", "green", "green", "timeout", "green", "yellow", "red", "green")
    assert d.state("gate", "GATE_HEALTHCODE_SVC") is OPEN
    d.restart()
    scans(d, "green")
    assert d.state("gate", "GATE_HEALTHCODE_SVC") is CLOSED
    scans(d, *["timeout"] * 9)  # the ten before have been answered for
    assert d.state("gate", "GATE_HEALTHCODE_SVC") is CLOSED


def test_ten_timeouts_over_an_hour_are_no_outage() -> None:
    d = a_yard()
    scans(d, *["timeout"] * 12, every_s=60)
    assert d.all_faults() == []


def test_repeated_and_replayed_timeouts_do_not_add_up() -> None:
    d = a_yard()
    scans(d, *["timeout"] * 5)
    for raw in d.messages():
        d.again(raw)
    d.replays(
        "gate",
        [
            (50 + n, {"event": "access", "method": "health_code", "result": "denied",
                      "health_code": "timeout"})
            for n in range(9)
        ],
    )  # fmt: skip
    assert d.all_faults() == []


def test_events_without_number_and_time_do_not_add_up() -> None:
    d = a_yard()
    for _ in range(20):
        none = {"boot": None, "seq": None, "ts": None}
        scan: dict[str, Any] = {"result": "denied", "health_code": "timeout"}
        d.event("gate", "access", **none, **scan)
    assert d.all_faults() == []


def test_what_was_counted_survives_a_restart() -> None:
    d = a_yard()
    for _ in range(10):
        scans(d, "timeout")
        d.restart()
    assert d.state("gate", "GATE_HEALTHCODE_SVC") is OPEN


# Lock: grants that open nothing


def opens(d: District, gate: str = "gate", *, door: bool = True) -> None:
    d.event(gate, "access", method="card", result="granted")
    if door:
        d.passes(2)
        d.says(gate, {"door_state": "open"})
        d.passes(5)
    d.says(gate, {"door_state": "closed"})
    d.passes(40, ["gate", "peer"])


def test_five_grants_that_open_nothing_are_a_lock_that_fails() -> None:
    d = a_yard()
    for _ in range(21):  # with the first it is known that it tells of its door at all
        opens(d)
        opens(d, "peer")
    for _ in range(4):
        opens(d, door=False)
    assert d.all_faults() == []
    d.event("gate", "access", method="card", result="granted")
    d.passes(29)
    assert d.state("gate", "GATE_LOCK_FAULT") is None
    d.passes(6, ["gate"])
    assert fault(d, "gate", "GATE_LOCK_FAULT").severity == "P2"
    d.restart()
    opens(d)
    assert d.state("gate", "GATE_LOCK_FAULT") is CLOSED


def test_without_a_gate_that_works_it_may_be_something_else() -> None:
    d = a_yard()
    for _ in range(21):
        opens(d)
    for _ in range(8):
        opens(d, door=False)
    assert d.all_faults() == []


def test_a_controller_that_tells_only_of_doors_that_stay_open_has_no_broken_lock() -> None:
    d = a_yard()
    for n in range(60):
        opens(d, door=n % 7 == 0)
        opens(d, "peer")
    assert d.all_faults() == []


# Forced: a door that opens by itself


def test_a_door_that_nobody_asked_to_open_is_forced() -> None:
    d = a_yard()
    opens(d)
    d.says("gate", {"door_state": "open"})
    onset_ms = d.now_ms
    d.passes(10, ["gate"])
    found = fault(d, "gate", "GATE_FORCED")
    assert (found.state, found.severity, found.since_ms) == (OPEN, "P2", onset_ms)
    assert found.opened_at_ms - onset_ms <= 10_000
    d.says("gate", {"door_state": "closed"})
    d.passes(4)
    assert d.state("gate", "GATE_FORCED") is OPEN
    d.passes(1)
    assert d.state("gate", "GATE_FORCED") is CLOSED


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("access", {"result": "granted", "method": "face"}),
        ("exit_button", {"pressed": True}),
        ("command", {"action": "open"}),
    ],
)
def test_a_door_that_somebody_asked_to_open_is_not(name: str, fields: dict[str, Any]) -> None:
    d = a_yard()
    opens(d)
    d.event("gate", name, **fields)
    d.passes(9)
    d.says("gate", {"door_state": "open"})
    d.passes(20, ["gate"])
    assert d.all_faults() == []


def test_a_grant_that_its_door_has_overtaken_is_waited_for() -> None:
    d = a_yard()
    opens(d)
    d.says("gate", {"door_state": "open"})
    d.passes(1)
    d.event("gate", "access", at_s=d.now_s - 2, result="granted", method="card")
    d.passes(20, ["gate"])
    assert d.all_faults() == []


def a_shuffled_opening(asked_s: float) -> District:
    """Out of order: a door closed at 60, opened at 61, and stood open; asked to at `asked_s`."""
    d = a_yard()
    opens(d)
    d.passes(60)
    sent_s = d.now_s
    d.says("gate", {"door_state": "closed"})
    d.passes(40, ["gate"])
    d.says("gate", {"door_state": "open"})
    d.event("gate", "access", result="denied", method="face")
    d.says("gate", {"door_state": "open"}, at_s=sent_s + 1)
    d.event("gate", "access", at_s=asked_s + sent_s - 60, result="granted", method="face")
    return d


@pytest.mark.parametrize("asked_s", [51.0, 60.0, 63.0])
def test_an_opening_that_arrives_out_of_order_is_held_against_what_asked_for_it(
    asked_s: float,
) -> None:
    d = a_shuffled_opening(asked_s)
    d.passes(30, ["gate"])
    assert d.state("gate", "GATE_FORCED") is None


@pytest.mark.parametrize("asked_s", [50.0, 64.0, 95.0])
def test_an_opening_that_arrives_out_of_order_is_forced_where_nobody_asked_for_it(
    asked_s: float,
) -> None:
    d = a_shuffled_opening(asked_s)
    opened_ms = d.at_ms(d.now_s - 39)
    d.passes(30, ["gate"])
    found = fault(d, "gate", "GATE_FORCED")
    assert (found.state, found.since_ms) == (OPEN, opened_ms)


def test_a_door_heard_closed_meanwhile_was_not_open_as_long_as_it_seemed() -> None:
    d = a_yard()
    opens(d)
    d.passes(60)
    sent_s = d.now_s
    d.says("gate", {"door_state": "closed"})
    d.passes(20, ["gate"])
    d.says("gate", {"door_state": "open"})
    d.passes(1)
    d.says("gate", {"door_state": "open"})
    d.says("gate", {"door_state": "closed"}, at_s=sent_s + 20.5)
    d.event("gate", "access", at_s=sent_s + 22.5, result="granted", method="card")
    d.passes(30, ["gate"])
    assert d.state("gate", "GATE_FORCED") is None


@pytest.mark.parametrize(
    "said",
    [
        {"door_alarm": "normal"},  # it knows itself what is forced
        {"door_mode": "normally_open"},
    ],
)
def test_a_gate_with_an_alarm_of_its_own_or_in_open_mode_is_not_judged_so(
    said: dict[str, object],
) -> None:
    d = a_yard()
    opens(d)
    d.says("gate", said)
    d.says("gate", {"door_state": "open"})
    d.passes(20, ["gate"])
    assert d.all_faults() == []


def test_a_gate_that_tells_of_no_passages_is_not_judged_so() -> None:
    d = a_yard()
    for state in ("closed", "open", "closed", "open"):
        d.says("gate", {"door_state": state})
        d.passes(30, ["gate"])
    assert d.all_faults() == []


def test_a_door_that_opened_while_nothing_was_heard_is_not() -> None:
    d = a_yard()
    opens(d)
    d.passes(300)
    d.says("gate", {"door_state": "open"})
    d.passes(30, ["gate"])
    assert d.state("gate", "GATE_FORCED") is None


def test_events_of_a_mode_excuse_an_open_door_like_the_mode_does() -> None:
    d = a_yard()
    d.event("gate", "normally_open", active=True)
    d.says("gate", {"door_state": "open"})
    d.passes(300, ["gate"])
    assert d.all_faults() == []
    assert d.judge.memories["gate"].word("door_mode") == "normally_open"
    d.event("gate", "normally_open", active=False)
    d.passes(60, ["gate"])
    assert d.state("gate", "GATE_HELD_OPEN") is OPEN


# Barriers


def test_a_barrier_that_latches_its_motor_is_well_after_a_good_cycle() -> None:
    d = a_yard()
    d.says("gate", {"arm_state": "closed", "motor_ok": False})
    d.passes(60, ["gate"])
    d.says("gate", {"arm_state": "closed", "motor_ok": False})
    assert d.state("gate", "BARRIER_MOTOR") is OPEN
    d.says("gate", {"arm_state": "open"})
    d.restart()
    assert d.state("gate", "BARRIER_MOTOR") is OPEN
    d.says("gate", {"arm_state": "closed", "motor_ok": False})
    assert d.state("gate", "BARRIER_MOTOR") is CLOSED
    d.says("gate", {"motor_ok": False})  # the same word as before
    assert d.state("gate", "BARRIER_MOTOR") is CLOSED


# Sockets


def test_three_chargers_that_no_socket_finds_are_a_broken_socket() -> None:
    d = a_yard()
    d.ends("shed", 1, "1", "no_load_at_start")
    d.ends("shed", 1, "2", "no_load_at_start")
    d.ends("shed", 1, "2", "no_load_at_start")  # repeated until it is answered
    d.ends("shed", 2, "9", "no_load_at_start")  # of another socket
    assert d.all_faults() == []
    d.restart()
    d.ends("shed", 1, "3", "no_load_at_start")
    found = fault(d, "shed-p01", "PORT_NO_LOAD_REPEAT")
    assert (found.state, found.severity, found.suspected) == (OPEN, "P4", True)
    d.ends("shed", 1, "4", "unplugged", session_energy_kwh=0.05)
    assert d.state("shed-p01", "PORT_NO_LOAD_REPEAT") is OPEN
    d.ends("shed", 1, "5", "full", session_energy_kwh=0.06)
    assert d.state("shed-p01", "PORT_NO_LOAD_REPEAT") is CLOSED


def test_a_charge_between_them_shows_that_the_socket_works() -> None:
    d = a_yard()
    for order, reason in enumerate(["no_load_at_start", "no_load_at_start", "unplugged"] * 3):
        d.ends("shed", 1, str(order), reason, session_energy_kwh=0.02)
    assert d.all_faults() == []


def test_the_third_cut_of_a_day_at_one_socket_is_major() -> None:
    d = a_yard()
    for order, severity in enumerate(["P3", "P3", "P2", "P2"]):
        d.ends("shed", 1, str(order), "over_power")
        found = fault(d, "shed-p01", "PORT_OVERPOWER")
        assert (found.severity, found.state) == (severity, CLOSED)
        d.passes(4 * 3600, ["shed"], every_s=60)
        d.restart()
    d.passes(30 * 3600, ["shed"], every_s=60)
    d.ends("shed", 1, "9", "over_power")
    assert fault(d, "shed-p01", "PORT_OVERPOWER").severity == "P3"


def draws(d: District, power_w: float, **more: object) -> None:
    d.says("shed", ports={"1": {"port_status": "in_use", "power_w": power_w, **more}})


def test_a_socket_above_its_limit_is_a_fault_until_the_order_ends() -> None:
    d = a_yard(power_limit_w=500)
    d.starts("shed", 1, "7")
    draws(d, 640)
    d.passes(5)
    draws(d, 640)
    assert d.all_faults() == []
    d.passes(5)
    draws(d, 640)
    found = fault(d, "shed-p01", "PORT_OVERPOWER")
    assert (found.state, found.severity) == (OPEN, "P3")
    assert dict(found.evidence) == {"over_limit_w": 140.0, "power_w": 640.0}
    draws(d, 200)
    d.passes(60)
    assert d.state("shed-p01", "PORT_OVERPOWER") is OPEN
    d.ends("shed", 1, "7")
    assert d.state("shed-p01", "PORT_OVERPOWER") is CLOSED


def test_an_inrush_is_not_above_the_limit_and_without_a_limit_nothing_is() -> None:
    d = a_yard(power_limit_w=500)
    draws(d, 640)
    d.passes(5)
    draws(d, 300)
    d.passes(60)
    draws(d, 640)
    assert d.all_faults() == []
    d = a_yard()
    for _ in range(3):
        draws(d, 2900)
        d.passes(30)
    assert d.all_faults() == []


@pytest.mark.parametrize("told", [True, False])
def test_a_charge_of_more_than_ten_hours_that_still_draws_power_is_too_long(told: bool) -> None:
    d = a_yard()
    d.starts("shed", 1, "7")
    start_s = d.now_s

    def at(hours: float, power_w: float) -> State | None:
        d.now_s = start_s + hours * 3600
        more = {"session_s": round(hours * 3600)} if told else {}
        draws(d, power_w, **more)
        return d.state("shed-p01", "PORT_OVERTIME")

    assert at(9.9, 120) is None
    assert at(10, 120) is None
    assert at(10.05, 12) is None  # it floats: a slow charge and two hours of float are well
    assert at(10.1, 120) is OPEN
    assert at(10.2, 12) is OPEN
    d.ends("shed", 1, "7")
    assert d.state("shed-p01", "PORT_OVERTIME") is CLOSED


def counts(d: District, kwh: float) -> None:
    d.says("shed", ports={"1": {"port_status": "in_use", "session_energy_kwh": kwh}})


def test_a_register_that_falls_within_an_order_is_told_at_its_end() -> None:
    d = a_yard()
    d.starts("shed", 1, "7")
    for kwh in (0.1, 0.2, 0.05, 0.1):
        d.passes(60)
        counts(d, kwh)
    assert d.all_faults() == []
    d.passes(60)
    d.restart()
    d.ends("shed", 1, "7")
    found = fault(d, "shed", "SHED_METER_JUMP")
    assert (found.state, found.evidence["port"], found.evidence["order"]) == (
        OPEN,
        "shed-p01",
        "7",
    )
    d.starts("shed", 2, "8")
    d.ends("shed", 2, "8")  # of another socket
    assert d.state("shed", "SHED_METER_JUMP") is OPEN
    d.passes(60)
    d.starts("shed", 1, "9")
    d.passes(60)
    counts(d, 0.01)
    d.ends("shed", 1, "9")
    assert d.state("shed", "SHED_METER_JUMP") is CLOSED


def test_a_register_of_an_order_that_is_heard_before_its_start_has_not_fallen() -> None:
    d = a_yard()
    d.starts("shed", 1, "7")
    d.passes(60)
    counts(d, 0.08)
    d.passes(100)  # its modem is lost meanwhile: the order ends, and another one begins
    counts(d, 0.01)
    d.passes(1)
    end = {"event": "session_end", "port_no": 1, "order": "7", "stop_reason": "full"}
    start = {"event": "session_start", "port_no": 1, "order": "8"}
    d.replays("shed", [(d.now_s - 81, end), (d.now_s - 61, start)])
    d.passes(60)
    counts(d, 0.02)
    d.ends("shed", 1, "8")
    assert d.all_faults() == []


def test_a_register_of_an_order_that_is_heard_out_of_a_buffer_has_not_fallen() -> None:
    d = a_yard()
    d.starts("shed", 1, "7")
    d.passes(60)
    counts(d, 0.08)
    d.ends("shed", 1, "7", session_energy_kwh=0.08)
    d.passes(150)
    d.birth("shed")
    ports = {"ports": {"1": {"port_status": "in_use", "session_energy_kwh": 0.01}}}
    d.replays("shed", [(d.now_s - 60, ports)])
    start = {"event": "session_start", "port_no": 1, "order": "8"}
    d.replays("shed", [(d.now_s - 120, start)])
    d.passes(60)
    counts(d, 0.02)
    d.passes(60)
    d.ends("shed", 1, "8")
    assert d.all_faults() == []


def test_a_register_that_falls_together_with_the_time_of_its_order_is_of_another_one() -> None:
    d = a_yard()
    d.starts("shed", 1, "7")
    for kwh, session_s in ((0.8, 1800), (0.1, 60)):
        d.passes(60)
        port = {"port_status": "in_use", "session_energy_kwh": kwh, "session_s": session_s}
        d.says("shed", ports={"1": port})
    d.passes(60)
    d.ends("shed", 1, "7")
    assert d.all_faults() == []


def test_a_register_starts_anew_with_each_order() -> None:
    d = a_yard()
    for order in ("1", "2", "3"):
        d.starts("shed", 1, order)
        for kwh in (0.01, 0.03):
            d.passes(60)
            counts(d, kwh)
        d.passes(60)
        d.ends("shed", 1, order, session_energy_kwh=0.03)
        d.says("shed", ports={"1": {"port_status": "idle", "session_energy_kwh": 0.03}})
        d.passes(60)
    assert d.all_faults() == []


# Sheds


def test_a_board_that_was_switched_on_again_says_what_its_silence_was() -> None:
    d = a_yard()
    d.says("shed", {"csq": 20})
    last_ms = d.now_ms
    d.passes(300, ["gate", "peer"])
    d.event("shed", "login", reason="power_on")
    found = fault(d, "shed", "SHED_POWER_CUT")
    assert (found.state, found.severity, found.since_ms) == (OPEN, "P2", last_ms)
    d.says("shed", {"voltage_v": 226})
    assert d.state("shed", "SHED_POWER_CUT") is CLOSED


@pytest.mark.parametrize(("reason", "dark_s"), [("restart", 300), ("power_on", 50)])
def test_a_restart_or_a_moment_without_power_is_no_cut(reason: str, dark_s: float) -> None:
    d = a_yard()
    d.event("shed", "login", reason="power_on")  # never heard of before
    d.says("shed", {"csq": 20})
    d.passes(dark_s, ["gate", "peer"])
    d.event("shed", "login", reason=reason)
    assert d.state("shed", "SHED_POWER_CUT") is None


def test_a_detector_that_is_off_sees_no_smoke_and_that_says_nothing() -> None:
    d = a_yard()
    d.says("shed", {"smoke": True, "smoke_enabled": True})
    d.says("shed", {"smoke": False, "smoke_enabled": False})
    assert d.state("shed", "SHED_SMOKE") is OPEN
    assert d.judge.memories["shed"].word("smoke") is True  # the last that was known
    d.says("shed", {"smoke": False, "smoke_mask": 0, "status_smoke": False})
    assert d.state("shed", "SHED_SMOKE") is OPEN
    d.event("shed", "settings", smoke_enabled=True)
    d.says("shed", {"smoke": False})
    assert d.state("shed", "SHED_SMOKE") is CLEARED


def test_smoke_of_a_detector_that_was_switched_off_since_is_unknown() -> None:
    d = a_yard()
    d.says("shed", {"smoke": False})
    assert d.judge.memories["shed"].word("smoke") is False
    d.says("shed", {"smoke_enabled": False})
    assert d.judge.memories["shed"].word("smoke") is None
    d.says("shed", {"smoke": True})
    assert d.state("shed", "SHED_SMOKE") is OPEN


# What was not read for long


def test_a_fault_of_which_nothing_is_read_any_more_is_held_and_shown_to_be_stale() -> None:
    d = a_yard()
    for _ in range(2):
        d.says("shed", {"board_temp_c": 75})
        d.passes(60, ["shed"])
    d.passes(115, ["shed"])
    assert "stale" not in fault(d, "shed", "SHED_OVERTEMP").evidence
    d.passes(10, ["shed"])  # three intervals
    assert dict(fault(d, "shed", "SHED_OVERTEMP").evidence) == {"board_temp_c": 75, "stale": True}
    d.restart()
    d.passes(7200, ["shed"])
    assert d.store.rows.faults[fault(d, "shed", "SHED_OVERTEMP").id].evidence["stale"] is True
    assert d.state("shed", "SHED_OVERTEMP") is OPEN
    d.says("shed", {"board_temp_c": 74})
    assert "stale" not in fault(d, "shed", "SHED_OVERTEMP").evidence
    d.commit()
    assert len(d.store.rows.events) == 1  # it is no step in its life


def test_a_state_that_is_sent_on_change_is_never_stale() -> None:
    d = a_yard()
    d.says("gate", {"tamper": True})
    d.passes(7200, ["gate"])
    assert "stale" not in fault(d, "gate", "GATE_TAMPER").evidence


# Cameras, and reports that are too few


def test_storage_is_checked_once_a_day() -> None:
    d = a_yard()
    d.says("camera", {"retention_days": 29.5})
    assert d.state("camera", "CCTV_RETENTION") is OPEN
    for days in (30.5, 29.5, 31):
        d.passes(300)
        d.says("camera", {"retention_days": days})
        assert d.state("camera", "CCTV_RETENTION") is OPEN
    d.now_s += 86_400
    d.says("camera", {"retention_days": 31})
    assert d.state("camera", "CCTV_RETENTION") is CLOSED


def reports(d: District, hours: float, every_s: float) -> None:
    sent_s = d.now_s
    for now_s in d.moments(hours * 3600, ["peer"]):
        if now_s - sent_s >= every_s:
            sent_s = now_s
            d.says("gate", {"board_temp_c": 30.0})


def test_a_link_that_loses_one_report_in_five_is_a_gap() -> None:
    d = a_yard()
    reports(d, 4.5, 30)
    assert d.all_faults() == []
    reports(d, 2, 40)
    found = fault(d, "gate", "DEV_DATA_GAP")
    assert (found.state, found.severity) == (OPEN, "P4")
    assert (found.evidence["received"], found.evidence["expected"]) == (90, 120)
    reports(d, 46, 30)
    assert d.state("gate", "DEV_DATA_GAP") is OPEN
    reports(d, 4, 30)
    assert d.state("gate", "DEV_DATA_GAP") is CLOSED


def test_a_device_that_never_reported_as_often_as_it_should_has_no_gap() -> None:
    d = a_yard()
    reports(d, 8, 60)
    assert d.all_faults() == []


def test_a_device_that_numbers_nothing_has_no_gap() -> None:
    d = a_yard()
    sent_s = d.now_s
    for now_s in d.moments(8 * 3600, ["peer"]):
        if now_s - sent_s >= (30 if now_s < 5 * 3600 else 80):
            sent_s = now_s
            d.says("gate", {"board_temp_c": 30.0}, boot=None, seq=None, ts=None)
    assert d.all_faults() == []


def test_an_hour_in_which_we_heard_nothing_or_it_was_offline_is_no_gap() -> None:
    d = a_yard()
    reports(d, 4.5, 30)
    d.deaf(1200)
    reports(d, 2, 30)
    d.passes(1200, ["peer"])
    reports(d, 2, 30)
    assert d.all_faults() == ["gate GATE_OFFLINE"]
