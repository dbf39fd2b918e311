"""One message of each kind of device, published by hand, is seen at the API."""

import time
from functools import partial
from typing import Any
from urllib.request import urlopen

import pytest

from courtyard.clock import now_ms
from tests.e2e.system import LAMP_TOPIC, SHED_IMEI, System
from tests.eventually import eventually

pytestmark = [pytest.mark.broker]

# Computed frames of the board's document (domain.md §5.2).
HEARTBEAT = bytes.fromhex("5AA5100082001B1E0A00010000030000000000D9")
POWER = bytes.fromhex("5AA51800880001EF081F02011900B6001815000026001B000000241B")


@pytest.fixture(scope="module")
def operator(running_system: System) -> str:
    return running_system.token("--role", "operator")


def device(system: System, token: str, name: str) -> Any:
    answer = system.get(f"/v1/devices/{name}", token)
    assert answer.status == 200, answer.text
    return answer.json


def values(system: System, token: str, name: str, *wanted: str) -> dict[str, Any] | None:
    """The latest values of these quantities, once all of them are there."""
    latest = device(system, token, name)["values"]
    if not set(wanted) <= latest.keys():
        return None
    return {quantity: latest[quantity]["value"] for quantity in wanted}


def reads(system: System, token: str, name: str, expected: dict[str, Any]) -> bool:
    return values(system, token, name, *expected) == expected


def test_each_reading_of_a_gate_is_soon_at_the_api(running_system: System, operator: str) -> None:
    gate = "lvyun-xiaoqu-gate-1"
    topic = f"courtyard/v1/lvyun-xiaoqu/gate/{gate}/telemetry"
    assert device(running_system, operator, gate)["state"] == "never_seen"
    for seq in range(5):
        running_system.publish(topic, {"seq": seq, "values": {"board_temp_c": 30 + seq}})
        expected = {"board_temp_c": 30 + seq}
        eventually(partial(reads, running_system, operator, gate, expected), 60)
    assert device(running_system, operator, gate)["state"] == "online"


def test_a_shed_tells_of_itself_and_of_its_sockets(running_system: System, operator: str) -> None:
    shed = "lvyun-xiaoqu-shed-1"
    running_system.publish(
        f"courtyard/v1/lvyun-xiaoqu/shed/{shed}/telemetry",
        {
            "ts": now_ms(),
            "seq": 1,
            "values": {"voltage_v": 228.7, "board_temp_c": 31},
            "ports": {"2": {"port_status": "in_use", "power_w": 182}},
        },
    )
    assert eventually(lambda: values(running_system, operator, shed, "voltage_v")) == {
        "voltage_v": 228.7
    }
    assert eventually(
        lambda: values(running_system, operator, f"{shed}-p02", "port_status", "power_w")
    ) == {"port_status": "in_use", "power_w": 182}


def test_a_lamp_tells_what_it_draws(running_system: System, operator: str) -> None:
    lamp = "lvyun-xiaoqu-lamp-1"
    running_system.publish(
        f"courtyard/v1/lvyun-xiaoqu/lamp/{lamp}/telemetry",
        {"values": {"switch_state": "on", "power_w": 48.5, "dim_level_pct": 100}},
    )
    seen = eventually(lambda: values(running_system, operator, lamp, "switch_state", "power_w"))
    assert seen == {"switch_state": "on", "power_w": 48.5}


def test_a_juy_board_is_understood(running_system: System, operator: str) -> None:
    shed = "lvyun-xiaoqu-shed-2"
    for command, frame in (("82", HEARTBEAT), ("88", POWER)):
        running_system.publish(f"JUY/D2S/{SHED_IMEI[:-1]}0/{command}/DEV", frame)
    seen = eventually(lambda: values(running_system, operator, shed, "csq", "voltage_v"))
    assert seen == {"csq": 27, "voltage_v": 228.7}
    port = eventually(lambda: values(running_system, operator, f"{shed}-p02", "power_w"))
    assert port == {"power_w": 182}
    stuck = eventually(
        lambda: running_system.get("/v1/faults", operator, device=f"{shed}-p05").json["items"]
    )
    assert [(fault["code"], fault["severity"]) for fault in stuck] == [("PORT_RELAY_STUCK", "P1")]


def test_a_tasmota_circuit_is_understood(running_system: System, operator: str) -> None:
    lamp = "lvyun-xiaoqu-lamp-2"
    running_system.publish(
        f"tele/{LAMP_TOPIC}_0/SENSOR",
        '{"Time":"2018-02-15T17:37:10","ENERGY":{"TotalStartTime":"2018-11-14T18:39:40",'
        '"Total":6.294,"Yesterday":5.340,"Today":0.954,"Period":217,"Power":2635,'
        '"ApparentPower":2650,"ReactivePower":282,"Factor":0.99,"Voltage":227,"Current":11.661}}',
    )
    seen = eventually(lambda: values(running_system, operator, lamp, "power_w", "energy_kwh"))
    assert seen == {"power_w": 2635, "energy_kwh": 6.294}


def test_a_reading_becomes_a_point_of_its_series(running_system: System, operator: str) -> None:
    gate = "xiangyunli-gate-2"
    at_ms = now_ms()
    running_system.publish(
        f"courtyard/v1/xiangyunli/gate/{gate}/telemetry",
        {"ts": at_ms, "seq": 9, "values": {"board_temp_c": 41.5}},
    )

    def points() -> list[dict[str, Any]]:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms / 1000 - 60))
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms / 1000 + 60))
        parameters = {"quantity": "board_temp_c", "from": since, "to": until}
        answer = running_system.get(f"/v1/devices/{gate}/telemetry", operator, **parameters)
        assert answer.status == 200, answer.text
        found: list[dict[str, Any]] = answer.json["points"]
        return found

    assert [point["value"] for point in eventually(lambda: points() or None)] == [41.5]


def test_a_fault_is_raised_answered_and_seen_by_its_own_firm_alone(
    running_system: System, operator: str
) -> None:
    gate = "xiangyunli-gate-1"
    running_system.publish(
        f"courtyard/v1/xiangyunli/gate/{gate}/telemetry", {"values": {"tamper": True}}
    )
    (fault,) = eventually(
        lambda: running_system.get("/v1/faults", operator, device=gate).json["items"] or None
    )
    assert (fault["code"], fault["state"]) == ("GATE_TAMPER", "open")
    path = f"/v1/faults/{fault['id']}"

    stranger = running_system.token("--role", "firm", "--firm", "yaxin")
    assert running_system.get(path, stranger).status == 404
    assert running_system.post(f"{path}/acknowledge", stranger).status == 404

    owner = running_system.token("--role", "firm", "--firm", "zhengmei")
    assert running_system.post(f"{path}/acknowledge", owner, {"note": "on my way"}).status == 200
    running_system.publish(
        f"courtyard/v1/xiangyunli/gate/{gate}/telemetry", {"values": {"tamper": False}}
    )
    eventually(lambda: running_system.get(path, owner).json["state"] == "closed")
    events = running_system.get(path, owner).json["events"]
    assert [(event["from"], event["to"]) for event in events] == [
        (None, "open"),
        ("open", "acknowledged"),
        ("acknowledged", "closed"),
    ]


def test_a_device_that_is_registered_later_counts_without_a_restart(
    running_system: System, operator: str
) -> None:
    gate = "lvyun-xiaoqu-gate-9"
    file = running_system.directory / "one-more.csv"
    file.write_text(f"id,kind,compound,interval_s\n{gate},gate,lvyun-xiaoqu,30\n")
    done = running_system.run("registry", "import", str(file))
    assert done.returncode == 0, done.stderr

    def look() -> bool:
        running_system.publish(
            f"courtyard/v1/lvyun-xiaoqu/gate/{gate}/telemetry", {"values": {"mains_ok": True}}
        )
        return bool(device(running_system, operator, gate)["state"] == "online")

    eventually(look, within_s=15)


def test_the_system_says_that_it_is_ready(running_system: System) -> None:
    eventually(lambda: running_system.get("/readyz").status == 200, within_s=20)


def test_doctor_finds_everything_in_order(running_system: System) -> None:
    done = running_system.run("doctor")
    assert done.returncode == 0, done.stdout
    assert "BAD" not in done.stdout
    for subject in ("data", "sqlite", "database", "journal", "ingest", "broker"):
        assert f"ok    {subject}" in done.stdout, done.stdout
    # the embedded store's file is made with the first reading, which may not have come yet
    assert "ok    telemetry" in done.stdout or "note  telemetry" in done.stdout, done.stdout


def test_ingest_tells_prometheus_what_it_does(running_system: System) -> None:
    with urlopen(f"http://127.0.0.1:{running_system.metrics_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    for name in (
        "courtyard_messages_received_total ",
        'courtyard_messages_total{outcome="stored"} ',
        'courtyard_journal_lag_seconds{consumer="judge"} ',
        'courtyard_journal_lag_seconds{consumer="forward"} ',
        "courtyard_journal_bytes ",
        'courtyard_store_write_seconds_count{store="operational"} ',
        'courtyard_store_write_seconds_count{store="embedded"} ',
        "courtyard_ingest_seconds_count ",
    ):
        assert f"\n{name}" in text, text
    assert "lvyun" not in text, "no compounds and no devices in labels"
