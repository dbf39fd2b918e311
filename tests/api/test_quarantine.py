import pytest
from sqlalchemy import select, update

from devices.registry import Device, Registry
from devices.store import registry, schema
from tests.api.cast import (
    COMPOUNDS,
    DAY_MS,
    DEVICES,
    FIRMS,
    GATE,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_refusal,
)


def only(cast: Cast) -> dict[str, object]:
    (item,) = cast.client("operator").get("/v1/quarantine").json()["items"]
    assert isinstance(item, dict)
    return item


def test_what_was_refused_says_why_and_shows_the_payload(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 17)
    item = only(cast)
    assert item == {
        "id": 1,
        "received_at": "2026-11-23T11:41:10.000Z",
        "compound": XIANGYUNLI,
        "device": GATE,
        "topic": f"courtyard/v1/{XIANGYUNLI}/gate/{GATE}/telemetry",
        "reason": "not_json",
        "detail": "malformed at byte 1",
        "sha256": "0" * 64,
        "size_bytes": 5,
        "payload": "{oops",
        "payload_kept": True,
        "partial": False,
        "replayed_at": None,
        "outcome": None,
    }
    one = cast.client("operator").get("/v1/quarantine/1").json()
    assert one == {**item, "payload_base64": "e29vcHM="}


def test_a_payload_that_is_no_text_comes_as_base64(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, payload=b"\x5a\xa5\x00\xff", size_bytes=4, reason="bad_checksum")
    assert only(cast)["payload"] is None
    assert only(cast)["payload_kept"] is True
    one = cast.client("operator").get("/v1/quarantine/1").json()
    assert one["payload_base64"] == "WqUA/w=="


def test_a_list_shows_the_beginning_of_a_long_payload_and_one_item_all_of_it(cast: Cast) -> None:
    long = "门" * 1000  # a cut after 1,024 bytes is within a character
    with cast.write() as connection:
        a_refusal(connection, 1, payload=long.encode(), size_bytes=3000)
    assert only(cast)["payload"] == "门" * 341
    assert cast.client("operator").get("/v1/quarantine/1").json()["payload"] == long


def test_a_payload_that_was_not_kept_is_unknown_not_empty(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, payload=None)
        a_refusal(connection, 2, payload=b"", size_bytes=0)
    empty, gone = cast.client("operator").get("/v1/quarantine").json()["items"]
    assert (gone["payload"], gone["payload_kept"]) == (None, False)
    assert (empty["payload"], empty["payload_kept"]) == ("", True)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [4, 3, 2, 1]),
        (f"compound={XIANGYUNLI}", [2, 1]),
        ("compound=unassigned", [4]),
        (f"device={STRANGE_GATE}", [3]),
        ("reason=out_of_range", [2]),
        ("partial=true", [2]),
        ("partial=false", [4, 3, 1]),
        ("from=2026-11-23", [4, 3, 2]),
        ("to=2026-11-23", [1]),
        ("limit=2", [4, 3]),
    ],
)
def test_the_filters_of_the_list(cast: Cast, query: str, ids: list[int]) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, received_at_ms=NOW_MS - DAY_MS)
        a_refusal(connection, 2, reason="out_of_range", partial=True)
        a_refusal(connection, 3, compound=LIANXIN, device=STRANGE_GATE)
        a_refusal(connection, 4, compound="unassigned", device=None, reason="unknown_device")
    body = cast.client("operator").get(f"/v1/quarantine?{query}").json()
    assert [item["id"] for item in body["items"]] == ids
    if ids == [4]:
        assert body["items"][0]["compound"] is None


# Another try


def requests(cast: Cast) -> list[tuple[str, object]]:
    """What the judge is asked to do: subject and who asked."""
    row = schema.revisions.c
    with cast.write() as connection:
        query = select(row.subject, row.body).where(row.what == "replay").order_by(row.id)
        return [(subject, body["by"]) for subject, body in connection.execute(query)]


def test_a_try_is_asked_for_and_answered_with_the_row(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    answer = cast.client("operator").post("/v1/quarantine/1/replay")
    assert answer.status_code == 202
    assert answer.json() == only(cast)
    assert requests(cast) == [("1", "li-min")]


def test_one_that_was_taken_already_is_not_tried_again(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
        connection.execute(
            update(schema.quarantine).values(replayed_at_ms=NOW_MS, outcome="stored")
        )
    answer = cast.client("operator").post("/v1/quarantine/1/replay")
    assert answer.status_code == 409
    assert answer.json()["refused"]["outcome"] == "stored"
    assert "2026-11-23T11:42:10.000Z and is stored" in answer.json()["detail"]
    assert requests(cast) == []


def test_a_part_of_a_stored_message_is_not_tried(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, partial=True)
    assert cast.client("operator").post("/v1/quarantine/1/replay").status_code == 409
    assert requests(cast) == []


@pytest.mark.parametrize(("who", "status"), [("yaxin", 403), ("viewer", 403), ("kangqiao", 404)])
def test_only_operators_ask_for_one(cast: Cast, who: str, status: int) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    assert cast.client(who).post("/v1/quarantine/1/replay").status_code == status
    assert requests(cast) == []


@pytest.mark.parametrize("who", ["yaxin", "viewer"])
def test_only_operators_ask_for_many(cast: Cast, who: str) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    assert cast.client(who).post("/v1/quarantine/replay").status_code == 403
    assert requests(cast) == []


def test_what_is_not_there_is_404(cast: Cast) -> None:
    assert cast.client("operator").post("/v1/quarantine/7/replay").status_code == 404


BOARD = Device(
    f"{XIANGYUNLI}-shed-9", "shed", XIANGYUNLI, "", 60, protocol="juy", external_id="86_1"
)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("reason=unknown_device", [3, 4, 5, 6]),
        (f"device={GATE}", [1, 2, 3]),
        (f"device={GATE}&reason=unknown_device", [3]),
        (f"device={BOARD.id}", [5]),
        (f"compound={XIANGYUNLI}", [1, 2, 3, 5]),
        (f"compound={LIANXIN}", [4, 7]),
        ("from=2026-11-23T11:41:30Z", [2]),
        ("to=2026-11-23T11:41:30Z&after=3", [4, 5, 6, 7]),
        ("after=7", []),
    ],
)
def test_many_are_asked_for_by_a_filter_also_of_devices_that_were_not_known(
    cast: Cast, query: str, ids: list[int]
) -> None:
    unknown = {"reason": "unknown_device", "compound": "unassigned", "device": None}
    with cast.write() as connection:
        registry.save(connection, Registry(FIRMS, COMPOUNDS, [*DEVICES, BOARD]), NOW_MS)
        a_refusal(connection, 1)
        a_refusal(connection, 2, received_at_ms=NOW_MS - 1000)
        a_refusal(connection, 3, **unknown)
        topic = f"courtyard/v1/{LIANXIN}/gate/{STRANGE_GATE}/event"
        a_refusal(connection, 4, topic=topic, **unknown)
        a_refusal(connection, 5, topic="JUY/D2S/86_1/82/DEV", **unknown)
        a_refusal(connection, 6, topic="JUY/D2S/8601/82/DEV", **unknown)
        a_refusal(connection, 7, compound=LIANXIN, device=STRANGE_GATE)
        a_refusal(connection, 8, partial=True)
        a_refusal(connection, 9, replayed_at_ms=NOW_MS, outcome="duplicate")
    answer = cast.client("operator").post(f"/v1/quarantine/replay?{query}")
    assert answer.status_code == 202, answer.text
    assert answer.json() == {
        "requested": len(ids),
        "last": ids[-1] if ids else None,
        "more": False,
    }
    assert requests(cast) == [(str(id_), "li-min") for id_ in ids]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("device=nobody", 404),
        ("compound=atlantis", 404),
        ("reason=bad_luck", 422),
        ("devices=x", 422),
        ("after=-1", 422),
    ],
)
def test_a_filter_that_makes_no_sense_asks_for_nothing(cast: Cast, query: str, status: int) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
    assert cast.client("operator").post(f"/v1/quarantine/replay?{query}").status_code == status
    assert requests(cast) == []
