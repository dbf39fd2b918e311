"""The inbox of those who send and are in no registry."""

import pytest
from sqlalchemy import Engine, insert, update

from devices.registry import Registry
from devices.senders import Sender
from devices.store import senders
from devices.store.database import reading, writing
from devices.store.registry import save
from devices.store.schema import quarantine
from devices.store.senders import Inbox, Registered, Unknown
from tests.devices.store.test_registry import GARDEN, NOW_MS, YAXIN, a_device

GATE_9 = "courtyard/v1/garden/gate/gate-9"


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        save(connection, Registry([YAXIN], [GARDEN], [a_device()]), NOW_MS)
    return any_database


def refused(engine: Engine, jseq: int, sent_to: str, **changes: object) -> None:
    values = {
        "journal_id": "j1",
        "jseq": jseq,
        "received_at_ms": NOW_MS + jseq,
        "compound": "unassigned",
        "device": None,
        "topic": sent_to,
        "reason": "unknown_device",
        "detail": "",
        "sha256": "",
        "size_bytes": 2,
        "payload": b"{}",
        "partial": False,
    }
    with writing(engine) as connection:
        connection.execute(insert(quarantine).values(values | changes))


def inbox(engine: Engine, **more: int) -> Inbox:
    with reading(engine) as connection:
        return senders.read_inbox(connection, NOW_MS, **more)


def test_a_sender_with_several_topics_is_one(engine: Engine) -> None:
    refused(engine, 1, f"{GATE_9}/telemetry")
    refused(engine, 2, "tele/lamps_7/STATE")
    refused(engine, 3, f"{GATE_9}/status")
    found = inbox(engine)
    assert found.since_ms is None
    assert found.unknown == (
        Unknown(
            Sender("native", "gate-9", "garden", "gate"),
            f"{GATE_9}/status",
            NOW_MS + 1,
            NOW_MS + 3,
            2,
            3,
        ),
        Unknown(
            Sender("tasmota", "lamps_7", kind="lamp"),
            "tele/lamps_7/STATE",
            NOW_MS + 2,
            NOW_MS + 2,
            1,
            2,
        ),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "not_json"},
        {"partial": True},
        {"replayed_at_ms": NOW_MS},
        {"device": "gate-1"},
        {"topic": "somewhere/else"},
    ],
)
def test_what_is_no_message_of_an_unknown_device_is_not_in_it(
    engine: Engine, changes: dict[str, object]
) -> None:
    refused(engine, 1, f"{GATE_9}/telemetry", **changes)
    assert inbox(engine).unknown == ()


def test_what_a_sender_is_by_now_is_said(engine: Engine) -> None:
    refused(engine, 1, f"{GATE_9}/telemetry")
    refused(engine, 2, "JUY/D2S/860000000000017/4G/DEV")
    shed = a_device("shed-9", "shed", protocol="juy", external_id="860000000000017")
    gate = a_device("gate-9", decommissioned_at_ms=NOW_MS - 1)
    with writing(engine) as connection:
        save(connection, Registry((), (), [shed, gate]), NOW_MS)
    assert [one.registered for one in inbox(engine).unknown] == [
        Registered("shed-9", "garden", is_retired=False),
        Registered("gate-9", "garden", is_retired=True),
    ]


def test_a_vendors_device_does_not_hide_a_native_one_of_its_name(engine: Engine) -> None:
    refused(engine, 1, f"{GATE_9}/telemetry")
    other = a_device("gate-9", protocol="tasmota", external_id="x")
    with writing(engine) as connection:
        save(connection, Registry((), (), [other]), NOW_MS)
    assert [one.registered for one in inbox(engine).unknown] == [None]


def test_a_sender_is_ignored_and_heeded_again(engine: Engine) -> None:
    refused(engine, 1, f"{GATE_9}/telemetry")
    for _ in range(2):  # twice is once
        with writing(engine) as connection:
            senders.ignore(connection, "native", "gate-9", "li", NOW_MS)
    assert [one.is_ignored for one in inbox(engine).unknown] == [True]
    with writing(engine) as connection:
        senders.heed(connection, "native", "gate-9")
    assert [one.is_ignored for one in inbox(engine).unknown] == [False]


def test_only_the_newest_are_looked_at_and_that_is_said(engine: Engine) -> None:
    for n in range(1, 5):
        refused(engine, n, f"courtyard/v1/garden/gate/gate-{n + 10}/telemetry")
    found = inbox(engine, looked_at=2)
    assert [one.sender.name for one in found.unknown] == ["gate-14", "gate-13"]
    assert found.since_ms == NOW_MS + 3
    with writing(engine) as connection:
        connection.execute(update(quarantine).values(replayed_at_ms=NOW_MS))
    assert inbox(engine) == Inbox((), None)
