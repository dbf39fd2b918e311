from sqlalchemy import delete

from api import shapes
from devices.registry import Device, Registry
from devices.store import registry
from devices.store.schema import compound_counts, cursors
from tests.api.cast import (
    GATE,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_judge,
    a_state,
)


def test_a_compound_has_its_devices_by_kind_and_state(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_state(connection, PORT, "offline", reason="parent_down")
        a_state(connection, LAMP, "unknown")
    body = cast.client("operator").get(f"/v1/compounds/{XIANGYUNLI}").json()
    assert body["name"] == {"zh": "祥云里", "en": "Xiangyunli"}
    assert body["firm"] == "yaxin"
    assert body["households"] == 213
    assert body["synthetic"] is False
    none = {"online": 0, "offline": 0, "unknown": 0, "never_seen": 0}
    assert body["devices"]["gate"] == {**none, "total": 1, "online": 1}
    assert body["devices"]["port"] == {**none, "total": 2, "offline": 1, "never_seen": 1}
    assert body["devices"]["lamp"] == {**none, "total": 1, "unknown": 1, "lamp_count": 8}


def test_a_kind_that_a_compound_does_not_have_is_not_listed(cast: Cast) -> None:
    body = cast.client("operator").get(f"/v1/compounds/{LIANXIN}").json()
    assert set(body["devices"]) == {"gate", "gateway"}


def test_open_faults_are_counted_by_severity_without_suppressed_closed_and_past_ones(
    cast: Cast,
) -> None:
    with cast.write() as connection:
        a_fault(connection, "a", code="GATE_OFFLINE", severity="P2")
        a_fault(connection, "b", code="GATE_TAMPER", severity="P2", state="acknowledged")
        a_fault(connection, "c", code="GATE_PANIC", severity="P1", state="cleared", safety=True)
        a_fault(connection, "d", code="GATE_LOCK_FAULT", severity="P2", suppressed_by="a")
        a_fault(connection, "e", code="GATE_HELD_OPEN", severity="P3", state="closed")
        a_fault(connection, "f", code="GATE_MAINS_LOST", severity="P3", stream="history-1")
    body = cast.client("operator").get(f"/v1/compounds/{XIANGYUNLI}").json()
    assert body["faults"] == {"P1": 1, "P2": 2, "P3": 0, "P4": 0}


def test_compounds_come_in_the_order_of_their_ids(cast: Cast) -> None:
    client = cast.client("operator")
    assert [c["id"] for c in client.get("/v1/compounds").json()["items"]] == [LIANXIN, XIANGYUNLI]
    first = client.get("/v1/compounds?limit=1").json()
    then = client.get("/v1/compounds", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [c["id"] for c in then["items"]] == [XIANGYUNLI]
    assert then["next_cursor"] is None


def test_every_compound_of_the_list_has_the_declared_shape(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "a")
    listed = cast.client("operator").get("/v1/compounds").json()
    for item in shapes.devices.Compounds.model_validate(listed, strict=True).items:
        alone = cast.client("operator").get(f"/v1/compounds/{item.id}").json()
        assert alone == next(c for c in listed["items"] if c["id"] == item.id)


def test_a_firm_is_a_filter(cast: Cast) -> None:
    body = cast.client("operator").get("/v1/compounds?firm=kangqiao").json()
    assert [c["id"] for c in body["items"]] == [LIANXIN]


def test_while_the_judge_stands_still_nobody_is_online(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_state(connection, PORT, "offline")
        a_judge(connection, watermark_ms=NOW_MS - 60_000)
    client = cast.client("operator")

    def gate() -> dict[str, int]:
        counts: dict[str, int] = client.get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]["gate"]
        return counts

    assert gate()["online"] == 1
    with cast.write() as connection:
        a_judge(connection, watermark_ms=NOW_MS - 60_001)
    assert gate() == {"total": 1, "online": 0, "offline": 0, "unknown": 1, "never_seen": 0}
    with cast.write() as connection:
        connection.execute(delete(cursors))
    assert gate()["unknown"] == 1


def test_offline_stays_offline_while_the_judge_stands_still(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, PORT, "offline")
        a_judge(connection, watermark_ms=None)
    ports = cast.client("operator").get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]["port"]
    assert ports["offline"] == 1


def test_devices_that_the_judge_has_not_counted_yet_were_never_seen(cast: Cast) -> None:
    with cast.write() as connection:
        connection.execute(delete(compound_counts))
    gates = cast.client("operator").get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]["gate"]
    assert gates == {"total": 1, "online": 0, "offline": 0, "unknown": 0, "never_seen": 1}


def test_a_change_of_the_registry_is_seen_within_a_second(cast: Cast) -> None:
    client = cast.client("operator")
    assert "lift" not in client.get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]
    lift = Device(f"{XIANGYUNLI}-lift-1", "lift", XIANGYUNLI, "电梯", 60)
    with cast.write() as connection:
        registry.save(connection, Registry((), (), (lift,)), NOW_MS)
    cast.app.state.parts.registry.look_again()
    assert client.get(f"/v1/compounds/{XIANGYUNLI}").json()["devices"]["lift"]["total"] == 1
