import pytest

from devices.registry import Device, Registry
from devices.store import registry
from tests.api.cast import (
    GATE,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_judge,
    a_state,
)


def test_a_device_shows_its_entry_its_state_with_evidence_and_its_clocks(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(
            connection,
            GATE,
            "offline",
            reason="heartbeat_missed",
            since_ms=NOW_MS - 90_000,
            last_seen_ms=NOW_MS - 180_000,
            device_at_ms=NOW_MS - 181_500,
            latest={"door_state": ("closed", NOW_MS - 180_123), "mains_ok": (True, NOW_MS)},
        )
        a_fault(connection, "a")
        a_fault(connection, "b", code="GATE_TAMPER", state="closed")
    body = cast.client("operator").get(f"/v1/devices/{GATE}").json()
    assert body == {
        "id": GATE,
        "kind": "gate",
        "compound": XIANGYUNLI,
        "parent": f"{XIANGYUNLI}-gw",
        "circuit": None,
        "name": "东门",
        "building": None,
        "unit": None,
        "protocol": "native",
        "external_id": None,
        "vendor": None,
        "model": None,
        "interval_s": 30,
        "attributes": {"form": "pedestrian"},
        "commissioned_at": None,
        "decommissioned_at": None,
        "state": "offline",
        "state_reason": "heartbeat_missed",
        "state_since": "2026-11-23T11:40:40.000Z",
        "last_seen_at": "2026-11-23T11:39:10.000Z",
        "device_at": "2026-11-23T11:39:08.500Z",
        "values": {
            "door_state": {"value": "closed", "at": "2026-11-23T11:39:09.877Z"},
            "mains_ok": {"value": True, "at": "2026-11-23T11:42:10.000Z"},
        },
        "open_faults": 1,
    }


def test_a_device_that_never_spoke_says_so(cast: Cast) -> None:
    body = cast.client("operator").get(f"/v1/devices/{PORT}").json()
    assert (body["state"], body["state_reason"]) == ("never_seen", "never_seen")
    assert body["last_seen_at"] is None
    assert body["values"] == {}


def test_a_lamp_without_power_by_day_is_unknown_and_says_why(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, LAMP, "unknown", reason="asleep")
    client = cast.client("operator")
    body = client.get(f"/v1/devices/{LAMP}").json()
    assert (body["state"], body["state_reason"]) == ("unknown", "asleep")
    unknown = client.get("/v1/devices?state=unknown").json()["items"]
    assert [item["id"] for item in unknown] == [LAMP]
    lamps = client.get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]["lamp"]
    assert (lamps["total"], lamps["online"], lamps["unknown"]) == (1, 0, 1)


def test_values_keep_their_types(cast: Cast) -> None:
    latest = {"power_w": (180.0, NOW_MS), "tier": (2, NOW_MS), "port_status": ("in_use", NOW_MS)}
    with cast.write() as connection:
        a_state(connection, PORT, "online", latest=latest)
    values = cast.client("operator").get(f"/v1/devices/{PORT}").json()["values"]
    assert {name: reading["value"] for name, reading in values.items()} == {
        "power_w": 180.0,
        "tier": 2,
        "port_status": "in_use",
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (f"compound={XIANGYUNLI}&kind=gate", {GATE}),
        ("kind=gate", {GATE, STRANGE_GATE}),
        ("firm=kangqiao", {STRANGE_GATE, f"{LIANXIN}-gw"}),
        ("state=online", {GATE}),
        ("state=offline", {PORT}),
        ("state=never_seen&kind=gate", {STRANGE_GATE}),
        ("state=unknown", set()),
    ],
)
def test_the_filters_of_the_list(cast: Cast, query: str, ids: set[str]) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_state(connection, PORT, "offline")
    body = cast.client("operator").get(f"/v1/devices?{query}").json()
    assert {item["id"] for item in body["items"]} == ids


def test_the_list_of_a_compound_has_only_its_own(cast: Cast) -> None:
    body = cast.client("operator").get(f"/v1/compounds/{LIANXIN}/devices").json()
    assert [item["id"] for item in body["items"]] == [STRANGE_GATE, f"{LIANXIN}-gw"]


def test_while_the_judge_stands_still_online_is_unknown_also_for_the_filter(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_state(connection, PORT, "offline", reason="heartbeat_missed")
        a_judge(connection, watermark_ms=NOW_MS - 61_000)
    client = cast.client("operator")
    gate = client.get(f"/v1/devices/{GATE}").json()
    assert (gate["state"], gate["state_reason"]) == ("unknown", "platform_down")
    assert client.get(f"/v1/devices/{PORT}").json()["state"] == "offline"
    assert client.get("/v1/devices?state=online").json()["items"] == []
    unknown = client.get("/v1/devices?state=unknown").json()["items"]
    assert [item["id"] for item in unknown] == [GATE]


def test_a_device_out_of_service_is_in_no_list_but_can_be_looked_up(cast: Cast) -> None:
    old = Device(
        GATE, "gate", XIANGYUNLI, "东门", 30, parent=f"{XIANGYUNLI}-gw", decommissioned_at_ms=NOW_MS
    )
    with cast.write() as connection:
        registry.save(connection, Registry((), (), (old,)), NOW_MS)
    client = cast.client("operator")
    listed = client.get(f"/v1/devices?compound={XIANGYUNLI}").json()["items"]
    assert GATE not in [item["id"] for item in listed]
    body = client.get(f"/v1/devices/{GATE}").json()
    assert body["decommissioned_at"] == "2026-11-23T11:42:10.000Z"
    assert "gate" not in client.get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]
