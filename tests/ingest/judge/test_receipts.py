"""What the judge lets devices forget: only what is committed, and nothing behind a gap."""

from typing import Any

from devices.registry import Device
from ingest.receipts import Receipt, message
from tests.ingest.judge.district import District, a_device, a_gate


def told(d: District) -> dict[str, tuple[int | None, int]]:
    return d.commit().receipts


def a_district(**head: Any) -> District:
    d = District(a_gate("gate", receipts=True), a_gate("silent"))
    for seq in range(5):
        d.says("gate", {"csq": 20}, seq=seq, **head)
    d.says("silent", {"csq": 20})
    return d


def test_a_device_that_asked_is_told_up_to_where_its_messages_are_in() -> None:
    assert told(a_district()) == {"gate": (1, 4)}


def test_without_boot_the_receipt_has_none() -> None:
    assert told(a_district(boot=None)) == {"gate": (None, 4)}


def test_what_lies_behind_a_gap_is_to_be_kept_until_the_gap_is_filled() -> None:
    d = a_district()
    d.says("gate", {"csq": 20}, seq=7)
    assert told(d) == {"gate": (1, 4)}
    d.says("gate", {"csq": 20}, seq=5, at_s=0)
    assert told(d) == {"gate": (1, 5)}
    d.says("gate", {"csq": 20}, seq=6, at_s=0)
    assert told(d) == {"gate": (1, 7)}


def test_who_missed_its_receipt_is_told_again_when_it_sends_again() -> None:
    d = a_district()
    assert told(d) == {"gate": (1, 4)}
    assert told(d) == {}
    d.says("gate", {"csq": 20}, seq=4)
    assert told(d) == {"gate": (1, 4)}


def test_a_restart_of_the_judge_forgets_no_gap() -> None:
    d = a_district()
    d.says("gate", {"csq": 20}, seq=6)
    d.restart()
    d.says("gate", {"csq": 20}, seq=7)
    assert told(d) == {"gate": (1, 4)}


def test_a_device_without_numbers_has_no_receipt() -> None:
    d = District(a_gate("gate", receipts=True))
    d.arrives("gate", {"values": {"csq": 20}})
    assert told(d) == {}


def test_only_the_native_format_has_receipts() -> None:
    lamp = a_device(
        "lamp", "lamp", protocol="tasmota", external_id="l", attributes={"receipts": True}
    )
    d = District(lamp, a_gate("gate", receipts="yes"))
    d.says("gate", {"csq": 20})
    assert told(d) == {}


def test_a_change_of_the_registry_counts_from_then_on() -> None:
    d = District(a_gate())
    d.says("gate", {"csq": 20})
    assert told(d) == {}
    d.imports(a_gate("gate", receipts=True))
    d.says("gate", {"csq": 20})
    assert set(told(d)) == {"gate"}


def test_a_receipt_goes_to_the_topic_of_its_device() -> None:
    gate: Device = a_gate("gate")
    topic = "courtyard/v1/jiaogong-xiaoqu/gate/gate/receipt"
    assert message(Receipt(gate, 7, 1841)) == (topic, b'{"boot":7,"seq":1841}')
    assert message(Receipt(gate, None, 12)) == (topic, b'{"seq":12}')
