"""What cannot be accepted is put aside with its reason, counted, and holds nobody up."""

from typing import Any

import pytest

from tests.e2e.system import SHED_IMEI, System
from tests.eventually import eventually

pytestmark = [pytest.mark.broker]

GATE = "courtyard/v1/lvyun-xiaoqu/gate/lvyun-xiaoqu-gate-1/telemetry"
BOARD = f"JUY/D2S/{SHED_IMEI[:-1]}0/82/DEV"
REFUSED: list[tuple[str, str, bytes]] = [
    ("not_json", GATE, b"hello"),
    ("bad_text", GATE, b'{"values": {"door_state": "\xff\xfe"}}'),
    ("too_deep", GATE, b"[" * 40 + b"]" * 40),
    ("too_large", GATE, b'{"values": {"x": "' + b"x" * 70_000 + b'"}}'),
    ("bad_type", GATE, b'{"values": {"board_temp_c": "warm", "tamper": 1}}'),
    ("bad_number", GATE, b'{"values": {"board_temp_c": NaN}}'),
    ("out_of_range", GATE, b'{"values": {"board_temp_c": 900}}'),
    ("duplicate_key", GATE, b'{"values": {"tamper": true, "tamper": false}}'),
    ("bad_topic", "courtyard/v1/lvyun-xiaoqu/gate/lvyun-xiaoqu-gate-1/dreams", b"{}"),
    ("unknown_device", GATE.replace("gate-1", "gate-7"), b'{"values": {"tamper": true}}'),
    ("wrong_place", GATE.replace("v1/lvyun-xiaoqu", "v1/xiangyunli"), b'{"values": {}}'),
    ("wrong_place", GATE.replace("/gate/", "/lamp/"), b'{"values": {}}'),
    ("bad_checksum", BOARD, bytes.fromhex("5AA504008200 0087")),
    ("bad_frame", BOARD, b"\x5a\xa5\x99"),
]


@pytest.fixture(scope="module")
def operator(running_system: System) -> str:
    return running_system.token("--role", "operator")


def quarantined(system: System, token: str) -> list[dict[str, Any]]:
    answer = system.get("/v1/quarantine", token, limit=500)
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


@pytest.mark.parametrize(("reason", "topic", "payload"), REFUSED)
def test_what_is_refused_is_in_quarantine_with_its_reason(
    running_system: System, operator: str, reason: str, topic: str, payload: bytes
) -> None:
    before = {item["id"] for item in quarantined(running_system, operator)}
    running_system.publish(topic, payload)

    def new() -> list[dict[str, Any]] | None:
        items = quarantined(running_system, operator)
        return [item for item in items if item["id"] not in before] or None

    (item,) = eventually(new)
    assert item["reason"] == reason, item
    assert item["topic"] == topic
    assert item["size_bytes"] == len(payload)


def test_a_bad_part_does_not_cost_the_good_one_beside_it(
    running_system: System, operator: str
) -> None:
    shed = "xiangyunli-shed-1"
    running_system.publish(
        f"courtyard/v1/xiangyunli/shed/{shed}/telemetry",
        b'{"seq": 1, "values": {"voltage_v": NaN, "smoke": true}}',
    )
    (fault,) = eventually(
        lambda: running_system.get("/v1/faults", operator, device=shed).json["items"] or None
    )
    assert (fault["code"], fault["safety"]) == ("SHED_SMOKE", True)
    accounts = running_system.get("/v1/accounting", operator, compound="xiangyunli").json
    assert accounts["partial"] == 1
    assert accounts["stored"] == 1


def test_an_impossible_clock_does_not_cost_the_message(
    running_system: System, operator: str
) -> None:
    gate = "xiangyunli-gate-2"
    running_system.publish(
        f"courtyard/v1/xiangyunli/gate/{gate}/telemetry",
        {"ts": 1000, "seq": 1, "values": {"board_temp_c": 21}},
    )

    def look() -> Any:
        return running_system.get(f"/v1/devices/{gate}", operator).json["values"] or None

    seen = eventually(look)
    assert seen["board_temp_c"]["value"] == 21
    assert not seen["board_temp_c"]["at"].startswith("1970")
    accounts = running_system.get("/v1/accounting", operator, compound="xiangyunli").json
    assert accounts["clock"] == 1


def test_bad_messages_hold_nobody_up_and_everything_is_accounted_for(
    running_system: System, operator: str
) -> None:
    gate = "lvyun-xiaoqu-gate-2"
    topic = f"courtyard/v1/lvyun-xiaoqu/gate/{gate}/telemetry"
    for n in range(20):
        running_system.publish(topic, b"\xff" * (n + 1))
    running_system.publish(topic, {"seq": 1, "values": {"board_temp_c": 25}})
    eventually(lambda: running_system.get(f"/v1/devices/{gate}", operator).json["values"] or None)

    def settled() -> Any:
        accounts = running_system.get("/v1/accounting", operator).json
        return accounts if accounts["pending"] == 0 else None

    accounts = eventually(settled)
    assert accounts["balance"] == 0
    refused = sum(accounts["quarantined"].values())
    assert refused >= 20
    assert accounts["received"] == accounts["stored"] + accounts["duplicate"] + refused
