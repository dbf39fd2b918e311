"""Working but useless: a gate nobody passes, an idle socket, a frozen reading, a wrong meter."""

from typing import Any

import msgspec
import pytest

from devices.baselines import DAY_MS, HOUR_MS, WEEK_H, Week, local_day
from devices.faults import Fault, State
from devices.registry import Device
from ingest.judge.baselines import offset_ms
from ingest.judge.memory import Why
from tests.ingest.judge.district import START_MS, District, a_device, a_gate, a_shed

HOUR_S, DAY_S = 3_600, 86_400
ZONE_MS = 8 * HOUR_MS
SEVEN_S = 9 * HOUR_S + 50 * 60  # 07:00 the next morning
TWENTY_ONE_S = 23 * HOUR_S + 50 * 60
NO_PASSAGE, IDLE = "GATE_NO_PASSAGE", "PORT_IDLE_SUSPECT"
FROZEN, METER = "DEV_VALUE_FROZEN", "SHED_METER_JUMP"
CODES = (NO_PASSAGE, IDLE, FROZEN, METER)


def a_week(usual: int) -> bytes:
    week = Week()
    for hour in range(WEEK_H):
        for _ in range(3):
            week.learn(hour, usual)
    return week.pack()


class Watched(District):
    """A district in which it is known what is usual. usual: passages an hour, of all gates."""

    def __init__(self, *devices: Device, now_s: float = SEVEN_S, usual: int = 14) -> None:
        super().__init__(*devices)
        self.now_s = now_s
        self.status: dict[str, str] = {}
        self.beating = [name for name, device in self.registry.devices.items()
                        if device.kind != "port"]  # fmt: skip
        for name, device in self.registry.devices.items():
            if device.kind == "gate" and usual:
                self.store.rows.baselines[name] = a_week(usual)
        self.load()
        for name in self.beating:
            self.says(name, {})
        self.probe()

    def lasts(self, seconds: float) -> None:
        """Time passes, and everybody says every half a minute that it is there."""
        beat_s = self.now_s + 30
        for _ in self.moments(seconds):
            if self.now_s >= beat_s:
                beat_s += 30
                for name in self.beating:
                    ports = self.registry.children(name)
                    idle = {
                        str(port.attributes["port_no"]): {
                            "port_status": self.status.get(port.id, "idle")
                        }
                        for port in ports
                    }
                    self.says(name, {"uptime_s": int(self.now_s)}, ports=idle or None)

    def passage(self, gate: str = "gate", result: str = "granted", **more: Any) -> None:
        self.event(gate, "access", result=result, method="face", direction="in", **more)

    def guesses(self) -> list[str]:
        """What of these four was ever raised, by `device CODE`."""
        return [fault for fault in self.all_faults() if fault.split()[1] in CODES]

    def open_fault(self, device: str, code: str) -> Fault:
        fault = self.fault(device, code)
        assert fault is not None
        assert fault.state is State.OPEN
        return fault


# A gate that nobody passes


def test_a_gate_that_nobody_passes_for_two_busy_hours_is_suspected_within_seconds() -> None:
    district = Watched(a_gate())
    district.lasts(600)
    district.passage()
    last_ms = district.now_ms
    district.lasts(2 * HOUR_S - 10)
    assert district.fault("gate", NO_PASSAGE) is None
    district.lasts(15)
    fault = district.open_fault("gate", NO_PASSAGE)
    assert fault.suspected
    assert fault.since_ms == last_ms
    assert 0 <= fault.opened_at_ms - last_ms - 2 * HOUR_MS <= 5_000
    assert fault.evidence == {"usual": 14.0, "from": "09:00", "to": "10:00", "seen": 0,
                              "for_s": 2 * HOUR_S}  # fmt: skip


def test_any_passage_ends_the_suspicion_and_a_refusal_does_not() -> None:
    district = Watched(a_gate())
    district.lasts(2 * HOUR_S + 10)
    district.passage(result="denied")
    assert district.state("gate", NO_PASSAGE) is State.OPEN
    district.passage()
    assert district.state("gate", NO_PASSAGE) is State.CLOSED


@pytest.mark.parametrize(
    ("usual", "now_s"),
    [
        (4, SEVEN_S),  # few come anyway
        (0, SEVEN_S),  # nothing is known of it
        (14, TWENTY_ONE_S),  # an hour, and then it is night
    ],
)
def test_a_gate_at_which_few_are_to_be_expected_is_not_suspected(usual: int, now_s: float) -> None:
    district = Watched(a_gate(), usual=usual, now_s=now_s)
    district.lasts(3 * HOUR_S)
    assert district.guesses() == []


def test_an_evening_hour_and_a_morning_hour_are_two() -> None:
    district = Watched(a_gate(), now_s=TWENTY_ONE_S)
    district.lasts(10 * HOUR_S - 20)
    assert district.guesses() == []
    district.lasts(30)
    assert district.open_fault("gate", NO_PASSAGE).evidence["from"] == "06:00"


def test_a_compound_that_is_quiet_as_a_whole_has_no_gate_out_of_order() -> None:
    district = Watched(a_gate(), a_gate("other"))
    district.lasts(3 * HOUR_S)
    assert district.guesses() == []


def test_a_gate_that_nobody_passes_while_others_are_passed_is_out_of_order() -> None:
    district = Watched(a_gate(), a_gate("other"))
    for _ in range(21):
        district.lasts(360)
        district.passage("other")
    assert district.guesses() == ["gate GATE_NO_PASSAGE"]


def test_on_a_holiday_the_only_gate_of_a_compound_is_compared_with_the_others_of_the_district() -> (
    None
):
    others = [
        a_gate(
            f"g{n}",
        )
        for n in range(4)
    ]
    away = [a_device(d.id, "gate", compound="lvyun-xiaoqu") for d in others]
    district = Watched(a_gate(), *away, usual=20)
    district.lasts(3 * HOUR_S)
    assert district.guesses() == []


def a_compound_elsewhere(gates: int = 4) -> list[Device]:
    return [a_device(f"g{n}", "gate", compound="lvyun-xiaoqu") for n in range(gates)]


def test_gates_of_a_compound_that_are_all_out_of_order_are_suspected_as_an_only_one_is() -> None:
    away = a_compound_elsewhere()
    district = Watched(a_gate(), a_gate("other"), *away, usual=20)
    for _ in range(32):
        district.lasts(240)
        for gate in away:
            district.passage(gate.id)
    assert district.guesses() == ["gate GATE_NO_PASSAGE", "other GATE_NO_PASSAGE"]


def test_a_quiet_compound_is_not_suspected_where_the_district_has_half_a_holiday() -> None:
    away = a_compound_elsewhere()
    district = Watched(a_gate(), a_gate("other"), *away, usual=20)
    for n in range(42):
        district.lasts(360)
        district.passage(away[n % 4].id)  # 10 of their 80 an hour
    assert district.guesses() == []


@pytest.mark.parametrize("meant", [{"door_mode": "normally_open"}, {"door_state": "open"}])
def test_a_gate_that_stands_open_is_passed_unseen(meant: dict[str, str]) -> None:
    district = Watched(a_gate())
    district.says("gate", {"door_mode": "normal", "door_state": "closed"} | meant)
    district.lasts(3 * HOUR_S)
    assert district.fault("gate", NO_PASSAGE) is None
    district.says("gate", {"door_mode": "normal", "door_state": "closed"})
    district.lasts(2 * HOUR_S - 700)  # since it was last seen to be open
    assert district.fault("gate", NO_PASSAGE) is None
    district.lasts(HOUR_S)
    assert district.state("gate", NO_PASSAGE) is State.OPEN


def test_a_gate_that_is_not_there_is_not_suspected_and_counts_anew_when_it_is_back() -> None:
    district = Watched(a_gate())
    district.lasts(HOUR_S)
    district.passes(2 * HOUR_S)  # it says nothing
    district.lasts(2 * HOUR_S - 10)
    assert district.guesses() == []
    district.lasts(120)
    assert district.state("gate", NO_PASSAGE) is State.OPEN


def test_what_we_could_not_hear_was_no_quiet() -> None:
    district = Watched(a_gate())
    district.lasts(1.5 * HOUR_S)
    district.deaf(900)
    district.lasts(2 * HOUR_S)
    assert district.guesses() == []
    district.lasts(200)
    assert district.state("gate", NO_PASSAGE) is State.OPEN


def test_when_a_person_closes_it_what_is_usual_is_learned_anew() -> None:
    district = Watched(a_gate())
    district.lasts(2 * HOUR_S + 10)
    district.closes("gate", NO_PASSAGE)
    district.lasts(5 * HOUR_S)
    assert district.state("gate", NO_PASSAGE) is State.CLOSED
    district.commit()
    assert Week.unpack(district.store.rows.baselines["gate"]).usual(12) is None


def test_an_hour_is_learned_when_it_was_heard_whole_and_the_gate_was_there() -> None:
    district = Watched(a_gate(), a_gate("late"), usual=0)
    week = {}
    for hour in range(3):
        for quarter in range(4):
            district.lasts(900)
            district.passage()
            if (hour, quarter) == (1, 0):
                district.deaf(20)
                district.probe()
    district.commit()
    for name in ("gate", "late"):
        week[name] = Week.unpack(district.store.rows.baselines[name])
    learned = [hour for hour in range(24) if week["gate"]._counts[24 + hour]]
    assert learned == [7, 9]  # and not the hour in which we were deaf
    assert week["gate"]._tenths[24 + 7] == 30  # the fourth came as the hour was over
    assert week["late"]._tenths[24 + 7] == 0


def test_an_hour_in_which_nobody_came_where_many_do_is_not_learned() -> None:
    district = Watched(a_gate(), a_gate("other"))
    before = district.store.rows.baselines["gate"]
    district.lasts(3 * HOUR_S)
    district.commit()
    assert district.store.rows.baselines["gate"] == before


def test_a_restart_at_any_moment_changes_nothing() -> None:
    def a_day(restarts_after_s: tuple[int, ...]) -> tuple[list[Any], dict[str, bytes]]:
        district = Watched(a_gate(), a_gate("other"))
        for _ in range(30):
            for moment in restarts_after_s:
                district.lasts(moment)
                district.restart()
            district.lasts(600 - sum(restarts_after_s))
            district.passage("other")
        district.passage()
        district.commit()
        rows = district.store.rows
        return list(rows.faults.values()), rows.baselines

    undisturbed = a_day(())
    assert [fault.code for fault in undisturbed[0]] == [NO_PASSAGE]
    assert a_day((300,)) == undisturbed
    assert a_day((5, 10, 100)) == undisturbed


def test_a_row_that_is_none_is_as_good_as_none() -> None:
    district = Watched(a_gate(), *a_shed(), usual=0)
    district.commit()
    for name in ("gate", "shed-p01"):
        for packed in (b"", b"\xc1", a_week(3)[:-1], b"\x93\x01\x02\x03"):
            district.store.rows.baselines[name] = packed
            district.load()
    district.lasts(HOUR_S + 10)
    assert district.guesses() == []


# A socket that nobody uses


def a_busy_shed(idle_days: float, others_a_day: int = 2) -> Watched:
    """The shed's first socket was last used so long ago; the other two are used daily."""
    district = Watched(*a_shed(ports=3), usual=0)
    today = local_day(district.now_ms, ZONE_MS)
    for port in ("shed-p02", "shed-p03"):
        days = [(today - n, others_a_day) for n in range(7, -1, -1)]
        packed = msgspec.msgpack.encode((district.now_ms - HOUR_MS, days))
        district.store.rows.baselines[port] = packed
    idle_ms = district.now_ms - round(idle_days * DAY_MS)
    district.store.rows.baselines["shed-p01"] = msgspec.msgpack.encode((idle_ms, []))
    district.restart()
    district.says("shed", ports={str(n): {"port_status": "idle"} for n in (1, 2, 3)})
    return district


def charges(district: Watched, port_no: int, energy_kwh: float = 0.8, **more: Any) -> None:
    district.passes(5)
    order = f"{port_no}-{district.now_ms}"
    district.starts("shed", port_no, order)
    district.ends("shed", port_no, order, session_energy_kwh=energy_kwh, session_s=3600, **more)


def test_a_socket_idle_for_seven_days_beside_busy_ones_is_suspected_within_seconds() -> None:
    district = a_busy_shed(7 - 2 / 24)
    due_ms = district.now_ms + 2 * HOUR_MS
    district.lasts(2 * HOUR_S - 10)
    assert district.guesses() == []
    district.lasts(20)
    fault = district.open_fault("shed-p01", IDLE)
    assert fault.suspected
    assert 0 <= fault.opened_at_ms - due_ms <= 5_000
    assert fault.evidence == {
        "seen": 0, "for_s": pytest.approx(7 * DAY_S, abs=5), "neighbours": 2,
        "neighbours_a_day": pytest.approx(2.2, abs=0.2),
    }  # fmt: skip


def test_one_real_charge_ends_it_and_one_without_energy_does_not() -> None:
    district = a_busy_shed(7 - 2 / 24)
    district.lasts(2 * HOUR_S + 10)
    charges(district, 1, 0.04)
    assert district.state("shed-p01", IDLE) is State.OPEN
    charges(district, 1, 0.06)
    assert district.state("shed-p01", IDLE) is State.CLOSED
    district.lasts(2 * HOUR_S)
    assert district.guesses() == ["shed-p01 PORT_IDLE_SUSPECT"]


@pytest.mark.parametrize("status", ["disabled", "output_fault", "offline"])
def test_a_socket_that_is_known_to_be_out_of_order_is_no_riddle(status: str) -> None:
    district = a_busy_shed(7 - 2 / 24)
    district.status["shed-p01"] = status
    district.lasts(4 * HOUR_S)
    assert district.guesses() == []
    district.status.clear()
    district.lasts(2 * HOUR_S)
    assert district.guesses() == []


def test_a_shed_that_nobody_uses_has_no_idle_socket() -> None:
    district = a_busy_shed(7 - 2 / 24, others_a_day=0)
    district.lasts(4 * HOUR_S)
    assert district.guesses() == []


def test_a_socket_is_not_idle_while_somebody_charges_at_it() -> None:
    district = a_busy_shed(7 - 2 / 24)
    district.lasts(1.5 * HOUR_S)
    district.starts("shed", 1, "7")
    district.lasts(1.5 * HOUR_S)
    assert district.guesses() == []


def test_the_energy_of_a_charge_that_runs_is_a_use_already() -> None:
    district = a_busy_shed(7 - 2 / 24)
    district.lasts(2 * HOUR_S + 10)
    district.starts("shed", 1, "7")
    for kwh in (0.0, 0.03, 0.06):
        district.says("shed", ports={"1": {"session_energy_kwh": kwh, "power_w": 100}})
        district.lasts(60)
    assert district.state("shed-p01", IDLE) is State.CLOSED


def test_a_shed_that_has_just_come_back_is_waited_for() -> None:
    district = a_busy_shed(7 - 2 / 24)
    district.passes(3 * HOUR_S)  # silent
    district.lasts(0.9 * HOUR_S)
    assert district.guesses() == []
    district.lasts(1.2 * HOUR_S)
    assert district.state("shed-p01", IDLE) is State.OPEN


# A reading that stays the same


def four_lamps(frozen_from: int = 0, **beats: Any) -> Watched:
    lamps = [a_device(f"lamp{n}", "lamp", interval_s=60) for n in range(4)]
    return Watched(*lamps, usual=0, now_s=0)


def reads(district: Watched, minutes: int, frozen: int, quantity: str = "voltage_v") -> None:
    """Every minute each lamp says what it reads; the first so many always the same."""
    for _ in range(minutes):
        for n in range(4):
            value = 229.3 if n < frozen else 229 + (district.now_s / 60 + n) % 7 / 10
            district.says(f"lamp{n}", {quantity: value})
        district.passes(60)


def test_a_reading_that_is_the_same_for_two_hours_is_suspected_at_the_next_report() -> None:
    district = four_lamps()
    reads(district, 10, 0)
    began_ms = district.now_ms
    reads(district, 120, 1)
    assert district.guesses() == []
    reads(district, 1, 1)
    fault = district.open_fault("lamp0", FROZEN)
    assert fault.suspected
    assert fault.since_ms == began_ms
    assert fault.opened_at_ms == began_ms + 2 * HOUR_MS
    assert fault.evidence == {"quantity": "voltage_v", "value": 229.3, "reports": 121,
                              "for_s": 7200, "peers": 3, "peers_changed": 3}  # fmt: skip
    reads(district, 1, 0)
    assert district.state("lamp0", FROZEN) is State.CLOSED


def test_a_frozen_reading_is_found_over_nights_between_which_its_lamp_has_no_power() -> None:
    every_s = 1800
    lamps = [
        a_device(f"lamp{n}", "lamp", interval_s=every_s, attributes={"supply": "switched"})
        for n in range(2)
    ]
    district = Watched(*lamps, usual=0, now_s=0)
    for n in range(53):  # 19 reports in the first night, and 11 in the next
        if n == 40:
            assert district.judge.memories["lamp0"].reason is Why.ASLEEP
        if n == 52:
            assert district.guesses() == []
        if n < 19 or n > 41:
            district.says("lamp0", {"voltage_v": 229.3})
            district.says("lamp1", {"voltage_v": 229 + n % 7 / 10})
        district.passes(every_s)
    assert district.guesses() == ["lamp0 DEV_VALUE_FROZEN"]


def test_a_reading_that_is_the_same_everywhere_is_what_it_is() -> None:
    district = four_lamps()
    reads(district, 150, 4)
    assert district.guesses() == []


def test_nothing_at_all_is_no_frozen_reading() -> None:
    district = four_lamps()
    for _ in range(150):
        for n in range(4):
            district.says(f"lamp{n}", {"power_w": 0 if n == 0 else 8 + district.now_s % 7})
        district.passes(61)
    assert district.fault("lamp0", FROZEN) is None


@pytest.mark.parametrize(("power_w", "is_frozen"), [(49.0, False), (49.3, True), (300.0, True)])
def test_a_meter_of_whole_watts_may_stand_still(power_w: float, is_frozen: bool) -> None:
    district = four_lamps()
    for _ in range(150):
        for n in range(4):
            value = power_w if n == 0 else 8.2 + district.now_s % 7
            district.says(f"lamp{n}", {"power_w": value})
        district.passes(61)
    assert (district.fault("lamp0", FROZEN) is not None) is is_frozen


def test_what_stood_still_while_we_were_deaf_may_have_moved() -> None:
    district = four_lamps()
    reads(district, 100, 1)
    district.deaf(300)
    reads(district, 100, 1)
    assert district.guesses() == []
    reads(district, 30, 1)
    assert district.state("lamp0", FROZEN) is State.OPEN


def test_a_frozen_reading_that_a_person_has_called_right_is_right_until_it_changes() -> None:
    district = four_lamps()
    reads(district, 122, 1)
    district.closes("lamp0", FROZEN)
    reads(district, 200, 1)
    assert district.state("lamp0", FROZEN) is State.CLOSED
    reads(district, 1, 0)
    reads(district, 122, 1)
    assert district.state("lamp0", FROZEN) is State.OPEN


def test_a_gate_that_is_judged_the_short_way_is_followed_as_closely() -> None:
    def judged(restarts: bool) -> Fault | None:
        district = Watched(a_gate(), a_gate("other"), usual=0)
        for n in range(260):
            district.says("gate", {"board_temp_c": 31.4, "uptime_s": n})
            district.says("other", {"board_temp_c": 30 + n % 9 / 10})
            district.passes(30)
            if restarts and n % 7 == 0:
                district.restart()
        return district.fault("gate", FROZEN)

    fault = judged(restarts=False)
    assert fault is not None
    assert fault.opened_at_ms - fault.since_ms == 2 * HOUR_MS
    assert fault.evidence["reports"] == 241
    assert judged(restarts=True) == fault


# An order whose energy is not what was drawn


def an_order(
    district: Watched, reported_kwh: float, minutes: int = 120, watts: float = 300, **more: Any
) -> None:
    order = str(int(district.now_s))
    district.starts("shed", 1, order)
    for minute in range(minutes):
        if minute not in more.get("lost", ()):
            district.says("shed", ports={"1": {"port_status": "in_use", "power_w": watts}})
        district.passes(60)
    district.ends("shed", 1, order, session_energy_kwh=reported_kwh, session_s=60 * minutes)
    district.says("shed", ports={"1": {"port_status": "idle"}})


@pytest.mark.parametrize(
    ("reported_kwh", "is_wrong"),
    [(0.6, False), (0.71, False), (0.73, True), (0.47, True), (0.49, False), (60e-5, True)],
)
def test_an_orders_energy_is_held_against_the_power_that_was_drawn(
    reported_kwh: float, is_wrong: bool
) -> None:
    district = Watched(*a_shed(), usual=0)
    an_order(district, reported_kwh)
    fault = district.fault("shed", METER)
    assert (fault is not None) is is_wrong
    if fault is not None:
        assert fault.since_ms == fault.opened_at_ms
        assert not fault.suspected
        assert fault.evidence["measured_kwh"] == pytest.approx(0.6, abs=0.01)
        assert fault.evidence["port"] == "shed-p01"


def test_the_next_order_that_is_right_ends_it() -> None:
    district = Watched(*a_shed(), usual=0)
    an_order(district, 1.2)
    assert district.state("shed", METER) is State.OPEN
    an_order(district, 0.02, minutes=3)  # of one so small nothing can be said
    assert district.state("shed", METER) is State.OPEN
    district.restart()
    an_order(district, 0.6)
    assert district.state("shed", METER) is State.CLOSED


def test_an_order_of_which_too_little_power_was_heard_is_not_judged_by_it() -> None:
    district = Watched(*a_shed(), usual=0)
    an_order(district, 1.2, lost=range(20, 40))
    assert district.guesses() == []


def test_where_power_was_missing_the_orders_own_register_is_asked() -> None:
    district = Watched(*a_shed(), usual=0)
    district.starts("shed", 1, "9")
    for minute in range(60):
        said = {"session_energy_kwh": minute / 100} | ({"power_w": 600} if minute > 50 else {})
        district.says("shed", ports={"1": {"port_status": "in_use", **said}})
        district.passes(60)
    district.ends("shed", 1, "9", session_energy_kwh=0.95, session_s=3600)
    fault = district.open_fault("shed", METER)
    assert fault.evidence["measured_by"] == "register"
    assert fault.evidence["measured_kwh"] == pytest.approx(0.6)  # read a minute before the end


@pytest.mark.parametrize(
    ("timezone", "hours"), [("Asia/Shanghai", 8), ("Asia/Kolkata", 5.5), ("UTC", 0)]
)
def test_the_clock_of_a_compound_is_so_much_ahead(timezone: str, hours: float) -> None:
    assert offset_ms(timezone, START_MS) == hours * HOUR_MS
