"""The whole catalogue (domain.md §3.1) from the bytes on the wire: what raises it, what ends it.

One row at least for every code. A script is played to a compound in which everybody else goes on
reporting: messages as they are sent, and seconds that pass. With the last entry of a script, and
not before, the fault is there, or over.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from devices.baselines import DAY_MS, HOUR_MS, WEEK_H, Week, local_day
from devices.catalogue import PLATFORM, RULES
from devices.faults import State
from devices.registry import Device
from simulators import juy
from tests.ingest.judge.district import (
    COMPOUND,
    District,
    a_device,
    a_lamp,
    a_shed,
)

# Still without a row: only a list that is empty is a whole catalogue.
WITHOUT_A_ROW: frozenset[str] = frozenset()

IMEI = "860123456789012"
DAY_S = 86_400.0


@dataclass(frozen=True)
class Sent:
    """One PUBLISH. device None: the topic stands for itself, and nobody numbers the payload."""

    device: str | None
    payload: bytes | dict[str, Any]
    channel: str = "telemetry"
    topic: str | None = None


@dataclass(frozen=True)
class Dies:
    """These send nothing any more."""

    devices: tuple[str, ...]


@dataclass(frozen=True)
class Returns:
    """These report again."""

    devices: tuple[str, ...]


@dataclass(frozen=True)
class Later:
    """The clock moves on without anybody being heard."""

    seconds: float


Entry = Sent | Dies | Returns | Later | float


def says(device: str, **values: Any) -> Sent:
    return Sent(device, {"values": values})


def port(no: int = 1, **values: Any) -> Sent:
    return Sent("shed", {"ports": {str(no): values}})


def event(device: str, name: str, /, **fields: Any) -> Sent:
    return Sent(device, {"event": name, **fields}, "event")


def starts(order: str) -> Sent:
    return event("shed", "session_start", port_no=1, order=order)


def ends(order: str, reason: str, **fields: Any) -> Sent:
    return event("shed", "session_end", port_no=1, order=order, stop_reason=reason, **fields)


def alarm(what: str, active: bool = True) -> Sent:
    return event("shed", "shed_alarm", what=what, active=active)


def board(command: int, frame: bytes) -> Sent:
    """A frame of the JUY board."""
    return Sent(None, frame, topic=juy.topic(IMEI, command))


def beats(*states: str, csq: int = 22, board_temp_c: float = 30) -> Sent:
    return board(0x82, juy.heartbeat(csq, board_temp_c, states))


def stops(order: int, reason: str) -> Sent:
    return board(
        0x85,
        juy.end(
            port_no=1,
            order=order,
            seconds=600,
            energy_kwh=0.1,
            fen=10,
            reason=reason,
            stop_power_w=100,
            card=0,
            tiers=(),
        ),
    )


def compound() -> list[Device]:
    """A gateway with what is behind it, and a shed of its own modem."""
    behind = [
        a_device("gate", "gate", parent="gateway"),
        a_device("peer", "gate", parent="gateway"),
        a_device("barrier", "gate", parent="gateway", attributes={"form": "barrier"}),
        a_device("camera", "camera", parent="gateway"),
        a_device("lift", "lift", parent="gateway"),
        a_lamp("lamp", granularity="lamp", lamp_count=1, nominal_power_w=40),
        a_lamp("stairs", granularity="circuit", lamp_count=10, nominal_power_w=9),
    ]
    return [a_device("gateway", "gateway"), *behind, *a_shed()]


def with_a_limit() -> list[Device]:
    """The same with 500 W as the most that a socket may draw."""
    return [
        a_device(
            one.id,
            one.kind,
            parent=one.parent,
            attributes={**one.attributes, "power_limit_w": 500},
        )
        if one.kind == "port"
        else one
        for one in compound()
    ]


def a_juy_board() -> list[Device]:
    shed, *ports = a_shed()
    known = {"protocol": "juy", "external_id": IMEI}
    return [a_device(shed.id, "shed", **known), *ports]


def a_gate_that_was_never_heard_of() -> list[Device]:
    return [a_device("gateway", "gateway"), a_device("new", "gate", parent="gateway")]


def a_shed_alone() -> list[Device]:
    return a_shed(ports=3)


def fourteen_an_hour_and_it_is_seven(district: District) -> None:
    week = Week()
    for hour in range(WEEK_H):
        for _ in range(3):
            week.learn(hour, 14)
    district.store.rows.baselines["gate"] = week.pack()
    district.now_s = 9 * 3600 + 50 * 60


def all_sockets_but_the_first_for_a_week(district: District) -> None:
    today = local_day(district.now_ms, 8 * HOUR_MS)
    days = [(today - n, 2) for n in range(7, -1, -1)]
    used = msgspec.msgpack.encode((district.now_ms - HOUR_MS, days))
    district.store.rows.baselines |= {"shed-p02": used, "shed-p03": used}
    # due two hours from now: before that it must have been online for one
    idle_ms = district.now_ms - 7 * DAY_MS + 2 * HOUR_MS
    district.store.rows.baselines["shed-p01"] = msgspec.msgpack.encode((idle_ms, []))


@dataclass(frozen=True)
class Row:
    """raises, clears: scripts; clears None: only a person ends it. along: other codes that the
    same script raises. usual: what was learned before. yard: who there is."""

    code: str
    subject: str
    severity: str
    raises: Sequence[Entry]
    clears: Sequence[Entry] | None
    along: tuple[str, ...] = ()
    usual: Callable[[District], None] | None = None
    yard: Callable[[], list[Device]] = field(default=compound)


def each(times: int, *entries: Entry) -> list[Entry]:
    return [entry for _ in range(times) for entry in entries]


def access(result: str = "granted", **fields: Any) -> Sent:
    return event("gate", "access", result=result, **fields)


EVERYBODY = ("gateway", "gate", "peer", "barrier", "camera", "lift", "lamp", "stairs", "shed")
OPENS: tuple[Entry, ...] = (
    access(method="card"),
    event("peer", "access", result="granted", method="card"),
    2.0,
    says("gate", door_state="open"),
    says("peer", door_state="open"),
    4.0,
    says("gate", door_state="closed"),
    says("peer", door_state="closed"),
    5.0,
)
ALL_IDLE = Sent("shed", {"ports": {str(no): {"port_status": "idle"} for no in (1, 2, 3)}})
HEARTBEATS: tuple[Entry, ...] = (
    says("peer", board_temp_c=30.1),
    15.0,
    says("gate", board_temp_c=31.4),
    says("peer", board_temp_c=30.2),
    15.0,
)
WRONG_CLOCK = Sent("gate", {"values": {"rssi_dbm": -60}, "off_s": 400})
RIGHT_CLOCK = Sent("gate", {"values": {"rssi_dbm": -60}, "off_s": 0})
WELL_LIT: dict[str, Any] = {
    "switch_state": "on",
    "dim_level_pct": 100,
    "voltage_v": 229.0,
    "power_w": 40.0,
    "power_factor": 0.95,
}
STAIRS_LIT: dict[str, Any] = {**WELL_LIT, "power_w": 90.0}
STAIRS_DARK = says("stairs", **{**STAIRS_LIT, "voltage_v": 3.0, "power_w": 0.0})
QUARTER = 900.0


def lamp(**values: Any) -> Sent:
    return says("lamp", **{**WELL_LIT, **values})


def flag(code: str, name: str, severity: str, delay_s: float, clear_s: float = 0) -> Row:
    """A lamp's own flag; it is told with each report."""
    over: list[Entry] = [says("lamp", **{name: False})]
    return Row(
        code,
        "lamp",
        severity,
        [says("lamp", **{name: True}), delay_s] if delay_s else [says("lamp", **{name: True})],
        [*over, clear_s] if clear_s else over,
    )


ROWS = (
    # any device
    Row("DEV_CLOCK_DRIFT", "gate", "P4",
        [Dies(("gate",)), *each(25, WRONG_CLOCK, 30.0), WRONG_CLOCK],
        [*each(24, RIGHT_CLOCK, 30.0), RIGHT_CLOCK]),
    Row("DEV_DATA_GAP", "gate", "P4",
        [Sent("gate", {"seq": 0, "values": {}}), Sent("gate", {"seq": 9, "values": {}}), 3600.0],
        [*(Sent("gate", {"seq": seq, "values": {}}) for seq in range(1, 9))]),
    Row("DEV_IMPLAUSIBLE", "shed", "P2", [says("shed", board_temp_c=300)],
        [says("shed", board_temp_c=30), 600.0]),
    Row("DEV_IMPLAUSIBLE", "shed", "P4", [*each(3, says("shed", voltage_v=900), 60.0), 540.0],
        [says("shed", voltage_v=228), 600.0]),
    Row("DEV_VALUE_FROZEN", "gate", "P4",
        [says("gate", board_temp_c=31.4), *each(240, *HEARTBEATS), says("gate", board_temp_c=31.4)],
        [says("gate", board_temp_c=31.5)]),
    Row("DEV_NEVER_SEEN", "new", "P4", [DAY_S], [says("new")],
        yard=a_gate_that_was_never_heard_of),
    # cameras
    Row("CCTV_DISK", "camera", "P2", [says("camera", disk_state="failed")],
        [says("camera", disk_state="ok")]),
    Row("CCTV_MAINS", "camera", "P3", [says("camera", mains_ok=False), 60.0],
        [says("camera", mains_ok=True), 60.0]),
    Row("CCTV_NOT_RECORDING", "camera", "P2", [says("camera", recording=False), 600.0],
        [says("camera", recording=True), 600.0]),
    Row("CCTV_OCCLUDED", "camera", "P4", [says("camera", occlusion=True), 300.0],
        [says("camera", occlusion=False), 300.0]),
    Row("CCTV_OFFLINE", "camera", "P3", [says("camera"), Dies(("camera",)), 900.0],
        [says("camera"), Returns(("camera",)), 180.0]),
    Row("CCTV_RETENTION", "camera", "P4", [says("camera", retention_days=29)],
        [says("camera", retention_days=31), Later(DAY_S), says("camera", retention_days=31)]),
    Row("CCTV_TIME_DRIFT", "camera", "P4",
        [says("camera", time_offset_s=-75), 300.0, says("camera", time_offset_s=-75)],
        [says("camera", time_offset_s=5), 300.0, says("camera", time_offset_s=5)]),
    Row("CCTV_VIDEO_LOSS", "camera", "P3", [says("camera", stream_ok_3=False), 60.0],
        [says("camera", stream_ok_3=True), 60.0]),
    # roots
    Row("COMPOUND_POWER_CUT", COMPOUND, "P2",
        [says("gateway", mains_ok=False),
         Dies(EVERYBODY), 135.0],
        [Returns(EVERYBODY),
         says("gateway", mains_ok=True), 185.0],
        along=("GW_OFFLINE", "GATE_OFFLINE", "SHED_OFFLINE", "LIFT_OFFLINE", "CCTV_OFFLINE")),
    Row("GW_OFFLINE", "gateway", "P2", [says("gateway"), Dies(("gateway",)), 180.0],
        [says("gateway")]),
    # gates
    Row("BARRIER_BLOCKED", "barrier", "P3",
        [event("barrier", "barrier", what="arm_blocked"), 30.0],
        [event("barrier", "barrier", what="arm_clear")]),
    Row("BARRIER_BLOCKED", "barrier", "P3", [says("barrier", arm_state="blocked"), 30.0],
        [says("barrier", arm_state="open")]),
    Row("BARRIER_CTRL_OFFLINE", "barrier", "P3",
        [says("barrier", lane_controller_online=False), 60.0],
        [says("barrier", lane_controller_online=True)]),
    Row("BARRIER_MOTOR", "barrier", "P2", [says("barrier", motor_ok=False)],
        [says("barrier", arm_state="open"), says("barrier", arm_state="closed")]),
    Row("GATE_BATT_LOW", "gate", "P2", [says("gate", battery_low=True), 60.0],
        [says("gate", battery_low=False)]),
    Row("GATE_DURESS", "gate", "P1", [event("gate", "duress", door_no=1)], None),
    Row("GATE_FACE_FAIL_RATE", "gate", "P4",
        [*each(13, access(method="face"), 20.0), *each(6, access("denied", method="face"), 20.0),
         access("denied", method="face"), 1800.0, access("denied", method="face")],
        [20.0, *each(19, access(method="face"), 20.0), access(method="face"), 3600.0]),
    Row("GATE_FIRE_OPEN", "gate", "P1", [event("gate", "fire_open", active=True)],
        [event("gate", "fire_open", active=False)]),
    Row("GATE_FORCED", "gate", "P2", [says("gate", door_alarm="forced_open", door_state="open")],
        [says("gate", door_state="closed"), 5.0]),
    Row("GATE_FORCED", "gate", "P2", [*OPENS, 10.0, says("gate", door_state="open"), 2.0],
        [says("gate", door_state="closed"), 5.0]),
    Row("GATE_HEALTHCODE_SVC", "gate", "P4",
        [*each(9, access("denied", health_code="timeout"), 20.0),
         access("denied", health_code="timeout")],
        [*each(4, access(health_code="green"), 20.0), access(health_code="green")]),
    Row("GATE_HELD_OPEN", "gate", "P3", [says("gate", door_state="open"), 60.0],
        [says("gate", door_state="closed")]),
    Row("GATE_HELD_OPEN", "barrier", "P3", [says("barrier", arm_state="open"), 180.0],
        [says("barrier", arm_state="closed")]),
    Row("GATE_LOCK_FAULT", "gate", "P2", [says("gate", lock_state="fault"), 30.0],
        [says("gate", lock_state="locked")]),
    Row("GATE_LOCK_FAULT", "gate", "P2",
        [*each(22, *OPENS), *each(4, access(method="card"), 31.0),
         access(method="card"), 30.0],
        [access(method="card"), 2.0, says("gate", door_state="open")]),
    Row("GATE_MAINS_LOST", "gate", "P3", [says("gate", mains_ok=False), 60.0],
        [says("gate", mains_ok=True), 60.0]),
    Row("GATE_NO_PASSAGE", "gate", "P4", [access(), 7200.0], [access()],
        usual=fourteen_an_hour_and_it_is_seven),
    Row("GATE_OFFLINE", "gate", "P3", [says("gate"), Dies(("gate",)), 90.0], [says("gate")]),
    Row("GATE_PANIC", "gate", "P1", [event("gate", "panic", door_no=1)], None),
    Row("GATE_READER_OFFLINE", "gate", "P3", [says("gate", reader_online_2=False), 60.0],
        [says("gate", reader_online_2=True)]),
    Row("GATE_TAMPER", "gate", "P2", [says("gate", reader_tamper_1=True)],
        [says("gate", reader_tamper_1=False)]),
    # lamps
    flag("CABINET_DOOR", "cabinet_door_open", "P3", 60.0, 60.0),
    flag("CABINET_LEAKAGE", "leakage_detected", "P1", 0),
    Row("CIRCUIT_SUPPLY_LOSS", "stairs", "P2",
        [STAIRS_DARK, QUARTER, STAIRS_DARK],
        [says("stairs", **STAIRS_LIT), QUARTER, says("stairs", **STAIRS_LIT)]),
    Row("LAMP_COMM", "lamp", "P4", [says("lamp"), Dies(("lamp",)), 2700.0], [says("lamp")]),
    flag("LAMP_CYCLING", "cycling_failure", "P4", 1800.0, DAY_S),
    flag("LAMP_DAY_BURN", "day_burner", "P4", 1800.0),
    flag("LAMP_DRIVER", "control_gear_failure", "P3", 1800.0),
    Row("LAMP_NOT_ON_SCHED", "lamp", "P3",
        [lamp(switch_state="off", power_w=0.0), 2 * QUARTER], [lamp()]),
    Row("LAMP_OUT", "lamp", "P3", [*each(2, lamp(power_w=3.0), QUARTER), lamp(power_w=3.0)],
        [*each(2, lamp(), QUARTER), lamp()]),
    Row("LAMP_OVERTEMP", "lamp", "P3",
        [says("lamp", gear_temp_c=88), 300.0, says("lamp", gear_temp_c=88)],
        [says("lamp", gear_temp_c=60), 300.0, says("lamp", gear_temp_c=60)]),
    flag("LAMP_PF_LOW", "power_factor_too_low", "P4", 7200.0, 7200.0),
    flag("LAMP_POWER_HIGH", "lamp_power_too_high", "P4", 7200.0, 7200.0),
    flag("LAMP_POWER_LOW", "lamp_power_too_low", "P4", 7200.0, 7200.0),
    flag("LAMP_RELAY", "relay_failure", "P3", 300.0),
    # lifts
    Row("LIFT_OFFLINE", "lift", "P3", [says("lift"), Dies(("lift",)), 180.0], [says("lift")]),
    Row("LIFT_STOPPED", "lift", "P2", [says("lift", in_service=False), 60.0],
        [says("lift", in_service=True), 60.0]),
    Row("LIFT_TRAPPED", "lift", "P1", [event("lift", "trapped", active=True)],
        [event("lift", "trapped", active=False)]),
    # sockets
    Row("PORT_BATTERY_ABNORMAL", "shed-p01", "P2", [ends("1", "battery_abnormal")], None),
    Row("PORT_FAULT", "shed-p01", "P3", [port(port_status="output_fault"), 60.0],
        [port(port_status="idle"), 60.0]),
    Row("PORT_FAULT", "shed-p01", "P3", [ends("1", "short_circuit")],
        [port(port_status="idle"), 60.0]),
    Row("PORT_FUSE_BLOWN", "shed-p01", "P3", [port(port_status="fuse_blown"), 60.0],
        [port(port_status="idle")]),
    Row("PORT_FUSE_BLOWN", "shed-p01", "P3", [beats("fuse_blown", "idle"), 60.0],
        [beats("idle", "idle")], yard=a_juy_board),
    Row("PORT_IDLE_SUSPECT", "shed-p01", "P4", [*each(239, ALL_IDLE, 30.0), ALL_IDLE, 25.0],
        [starts("1"), ends("1", "full", session_energy_kwh=0.3)],
        usual=all_sockets_but_the_first_for_a_week, yard=a_shed_alone),
    Row("PORT_NO_LOAD_REPEAT", "shed-p01", "P4",
        [*(ends(order, "no_load_at_start") for order in "123")],
        [ends("4", "full", session_energy_kwh=0.3)]),
    Row("PORT_OVERPOWER", "shed-p01", "P3",
        [starts("1"), port(port_status="in_use", power_w=700), 10.0,
         port(port_status="in_use", power_w=700)],
        [ends("1", "manual_stop")], yard=with_a_limit),
    Row("PORT_OVERTEMP", "shed-p01", "P2",
        [port(port_temp_c=72), 30.0, port(port_temp_c=72)],
        [port(port_temp_c=45), 300.0, port(port_temp_c=45)]),
    Row("PORT_OVERTEMP", "shed-p01", "P1", [port(port_temp_c=91)],
        [port(port_temp_c=45), 300.0, port(port_temp_c=45)]),
    Row("PORT_OVERTEMP", "shed-p01", "P2", [port(port_temp_c=65), ends("1", "over_temp"), 30.0],
        [port(port_temp_c=45), 300.0]),
    Row("PORT_OVERTEMP", "shed-p01", "P1", [stops(1, "over_temp")],
        [*each(38, beats("idle", "idle"), 55.0), 10.0], yard=a_juy_board),
    Row("PORT_OVERTIME", "shed-p01", "P3",
        [starts("1"), Later(36_100.0),
         port(port_status="in_use", power_w=120, session_s=36_100)],
        [ends("1", "manual_stop")]),
    Row("PORT_RELAY_STUCK", "shed-p01", "P1", [port(port_status="relay_stuck")],
        [port(port_status="idle"), 300.0]),
    Row("PORT_RELAY_STUCK", "shed-p01", "P1", [beats("relay_stuck", "idle")],
        [beats("idle", "idle"), *each(5, 50.0, beats("idle", "idle")), 50.0], yard=a_juy_board),
    Row("PORT_RELAY_STUCK", "shed-p01", "P1",
        [port(port_status="idle", power_w=25), 60.0, port(port_status="idle", power_w=25)],
        [port(port_status="idle", power_w=3), 300.0, port(port_status="idle", power_w=3)]),
    # sheds
    Row("SHED_DOOR_OPEN", "shed", "P3", [says("shed", cabinet_door="open"), 60.0],
        [says("shed", cabinet_door="closed")]),
    Row("SHED_DOOR_OPEN", "shed", "P2", [says("shed", cabinet_door="pried")],
        [says("shed", cabinet_door="closed")]),
    Row("SHED_LEAKAGE", "shed", "P1", [says("shed", leakage_ma=31)],
        [5.0, says("shed", leakage_ma=1, leakage_state="ok")]),
    Row("SHED_LEAKAGE", "shed", "P1", [ends("1", "ground_fault")],
        [says("shed", leakage_state="ok")]),
    Row("SHED_METER_JUMP", "shed", "P4",
        [starts("1"), 60.0, port(port_status="in_use", session_energy_kwh=0.04), 60.0,
         port(port_status="in_use", session_energy_kwh=0.01), 60.0, ends("1", "full")],
        [starts("2"), 60.0, port(port_status="in_use", session_energy_kwh=0.02), 60.0,
         ends("2", "full")]),
    Row("SHED_METER_JUMP", "shed", "P4",
        [starts("1"), 60.0, port(port_status="in_use", session_energy_kwh=0.04), 60.0,
         port(port_status="in_use", session_energy_kwh=9.04)],
        [ends("1", "full"), starts("2"),
         *each(30, 60.0, port(port_status="in_use", power_w=600)),
         ends("2", "full", session_energy_kwh=0.3)]),
    Row("SHED_METER_JUMP", "shed", "P4",
        [says("shed", meter_energy_kwh=812.4), 60.0, says("shed", meter_energy_kwh=200.0)],
        [says("shed", meter_energy_kwh=200.5)]),
    Row("SHED_OFFLINE", "shed", "P3", [says("shed"), Dies(("shed",)), 180.0], [says("shed")]),
    Row("SHED_OVERTEMP", "shed", "P2",
        [beats("idle", "idle", board_temp_c=75), 60.0, beats("idle", "idle", board_temp_c=75)],
        [beats("idle", "idle", board_temp_c=40), *each(5, 60.0, beats("idle", "idle"))],
        yard=a_juy_board),
    Row("SHED_OVERVOLT", "shed", "P2",
        [says("shed", voltage_v=256), 60.0, says("shed", voltage_v=256)],
        [says("shed", voltage_v=230), 180.0, says("shed", voltage_v=230)]),
    Row("SHED_POWER_CUT", "shed", "P2", [alarm("power_cut"), 60.0], [alarm("power_cut", False)]),
    Row("SHED_POWER_CUT", "shed", "P2",
        [says("shed"), Dies(("shed",)), 120.0, event("shed", "login", reason="power_on")],
        [says("shed", voltage_v=226)]),
    Row("SHED_SMOKE", "shed", "P1", [says("shed", smoke_mask=8)], [says("shed", smoke_mask=0)]),
    Row("SHED_SMOKE", "shed", "P1", [alarm("smoke")], [alarm("smoke", False)]),
    Row("SHED_SMOKE", "shed", "P1", [stops(1, "smoke")], None, yard=a_juy_board),
    Row("SHED_UNDERVOLT", "shed", "P3",
        [says("shed", voltage_v=180), 60.0, says("shed", voltage_v=180)],
        [says("shed", voltage_v=226), 180.0, says("shed", voltage_v=226)]),
    Row("SHED_WEAK_SIGNAL", "shed", "P4",
        [says("shed", csq=7), 1800.0, says("shed", csq=7)], [says("shed", csq=20)]),
)  # fmt: skip


class Play:
    """A script, played to a compound in which everybody who is not dead reports as it should."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.district = District(*row.yard())
        self.silent = {"new"}
        self.speakers = [
            one for one in row.yard() if one.kind != "port" and one.protocol == "native"
        ]
        self.spoke_s: dict[str, float] = {}
        if row.usual is not None:
            row.usual(self.district)
            self.district.load()
        self.passes(5)

    def enter(self, entry: Entry) -> None:
        match entry:
            case Sent():
                self.sends(entry)
            case Dies(devices):
                self.silent |= set(devices)
            case Returns(devices):
                self.silent -= set(devices)
            case Later(seconds):
                self.district.now_s += seconds
                self.passes(5)
            case _:
                self.passes(entry)

    def passes(self, seconds: float) -> None:
        """Time passes with a probe every 5 s, and everybody's reports."""
        d = self.district
        until_s = d.now_s + seconds
        while d.now_s < until_s:
            d.now_s = min(d.now_s + 5, until_s)
            for one in self.speakers:
                due_s = self.spoke_s.get(one.id, -1e9) + min(one.interval_s, 60) / 2
                if one.id not in self.silent and d.now_s >= due_s:
                    self.spoke_s[one.id] = d.now_s
                    d.says(one.id, {}, seq=None, boot=None)
            d.probe()

    def sends(self, sent: Sent) -> None:
        d = self.district
        if sent.device is None:
            assert isinstance(sent.payload, bytes)
            d.arrives("shed", sent.payload, topic=sent.topic)
            return
        assert isinstance(sent.payload, dict)
        payload = dict(sent.payload)
        off_s = payload.pop("off_s", 0)
        if "seq" in payload:
            payload["boot"] = 1
        payload = {"ts": d.at_ms(d.now_s + off_s), **payload}
        json.dumps(payload)  # it is what a device can send
        d.arrives(sent.device, payload, channel=sent.channel)

    def state(self) -> State | None:
        memory = self.district.judge.memories.get(self.row.subject)
        if memory is None:
            memory = next(
                one
                for one in self.district.judge._roots.compounds()
                if one.device.id == self.row.subject
            )
        fault = memory.faults.get(self.row.code)
        return None if fault is None else fault.state

    def plays(self, script: Sequence[Entry], before: State | None) -> None:
        """All of it; until the last entry, or the last second of it, the fault is as before."""
        *most, last = script
        for entry in most:
            self.enter(entry)
            assert self.state() is before, entry
        if isinstance(last, float):
            self.passes(last - 1)
            assert self.state() is before
            last = 1.0
        self.enter(last)


def test_every_code_has_a_row() -> None:
    devices = {code for code, rule in RULES.items() if rule.kind != PLATFORM}
    assert {row.code for row in ROWS} == devices - WITHOUT_A_ROW


def test_no_code_is_listed_as_without_a_row_that_has_one() -> None:
    assert not WITHOUT_A_ROW & {row.code for row in ROWS}
    assert set(RULES) >= WITHOUT_A_ROW


@pytest.mark.parametrize("row", ROWS, ids=[f"{n:02}-{row.code}" for n, row in enumerate(ROWS)])
def test_it_is_raised_and_over(row: Row) -> None:
    play = Play(row)
    play.plays(row.raises, None)
    assert play.state() is State.OPEN
    play.district.commit()
    raised = {fault.code: fault for fault in play.district.store.rows.faults.values()}
    assert set(raised) - set(row.along) == {row.code}
    fault, rule = raised[row.code], RULES[row.code]
    assert (fault.subject, fault.severity) == (row.subject, row.severity)
    assert fault.suspected is rule.suspected
    assert fault.evidence
    if row.clears is None:
        play.passes(3600)
        assert play.state() is State.OPEN
        return
    play.plays(row.clears, State.OPEN)
    assert play.state() is (State.CLEARED if fault.safety else State.CLOSED)
