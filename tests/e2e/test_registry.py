"""A running ingest, judge and API take over what people change in the registry, unasked."""

from functools import partial
from typing import Any

import pytest

from tests.e2e.system import System, a_registry
from tests.eventually import eventually

pytestmark = [pytest.mark.broker, pytest.mark.long]

PLACE = "lvyun-xiaoqu"
GATE = f"{PLACE}-gate-9"
TOPIC = f"courtyard/v1/{PLACE}/gate/{GATE}"


def test_an_unknown_sender_becomes_a_device_that_goes_and_comes_back_without_a_restart(
    system: System,
) -> None:
    system.import_registry(a_registry())
    system.ingest()
    system.api()
    token = system.token("--role", "operator")
    seqs = iter(range(100))

    def says(**values: Any) -> None:
        system.publish(f"{TOPIC}/telemetry", {"seq": next(seqs), "values": values})

    def get(path: str, **asked: object) -> Any:
        answer = system.get(path, token, **asked)
        assert answer.status == 200, answer.text
        return answer.json

    def post(path: str, body: object = None) -> Any:
        answer = system.post(path, token, body)
        assert answer.status in (200, 201, 202), answer.text
        return answer.json

    def refused() -> int:
        return int(get("/v1/accounting")["quarantined"].get("unknown_device", 0))

    says(board_temp_c=31)
    eventually(lambda: len(get("/v1/registry/unknown")["items"]) == 1, 30)
    (sender,) = get("/v1/registry/unknown")["items"]
    assert (sender["name"], sender["compound"], sender["kind"]) == (GATE, PLACE, "gate")

    post("/v1/registry/devices", {"id": GATE, "kind": "gate", "compound": PLACE})
    post("/v1/registry/unknown/replay", {"protocol": "native", "name": GATE})
    eventually(lambda: refused() == 0, 30)
    says(tamper=True)
    eventually(lambda: get(f"/v1/devices/{GATE}")["open_faults"] == 1, 30)
    assert get(f"/v1/devices/{GATE}")["state"] == "online"

    post(f"/v1/registry/devices/{GATE}/retire")
    eventually(lambda: get(f"/v1/devices/{GATE}")["open_faults"] == 0, 30)
    (fault,) = get("/v1/faults", device=GATE)["items"]
    assert fault["state"] == "closed"
    events = get(f"/v1/faults/{fault['id']}")["events"]
    assert events[-1]["reason"] == "retired"
    says(tamper=True)
    eventually(lambda: refused() == 1, 30)
    assert len(get("/v1/faults", device=GATE)["items"]) == 1
    (sender,) = get("/v1/registry/unknown")["items"]
    assert (sender["device"], sender["is_retired"]) == (GATE, True)

    post(f"/v1/registry/devices/{GATE}/restore")
    moved = {"compound": "xiangyunli"}
    post(f"/v1/registry/devices/{GATE}/move", moved)
    topic = f"courtyard/v1/xiangyunli/gate/{GATE}/telemetry"

    def is_read(temp_c: int) -> bool:
        system.publish(topic, {"seq": next(seqs), "values": {"board_temp_c": temp_c}})
        latest = get(f"/v1/devices/{GATE}")["values"]
        return bool(latest.get("board_temp_c", {}).get("value") == temp_c)

    eventually(partial(is_read, 35), 30)  # at the latest when the judge has the new registry
    balance = get("/v1/accounting")["balance"]
    eventually(lambda: get("/v1/accounting")["balance"] == 0, 30, f"balance {balance}")
