"""Whoever an adapter does not know is known by the same name to people."""

import pytest

from devices.messages import BadMessage, Reason
from devices.registry import Device, Registry
from devices.senders import sender_of
from ingest.adapters import ADAPTERS

TOPICS = [
    (protocol, pattern) for protocol, adapter in ADAPTERS.items() for pattern in adapter.filters
]


@pytest.mark.parametrize(("protocol", "pattern"), TOPICS)
def test_a_device_that_is_registered_by_what_its_topic_says_is_found_by_it(
    protocol: str, pattern: str
) -> None:
    filled = iter(["garden", "gate", "gate-9", "telemetry"])
    topic = "/".join(next(filled) if level == "+" else level for level in pattern.split("/"))
    sender = sender_of(topic)
    assert sender is not None
    assert sender.protocol == protocol
    with pytest.raises(BadMessage) as unknown:
        ADAPTERS[protocol].place(topic, Registry())
    assert unknown.value.reason is Reason.UNKNOWN_DEVICE
    native = protocol == "native"
    device = Device(
        sender.name if native else "thing-1",
        sender.kind,
        sender.compound or "garden",
        "",
        60,
        protocol=protocol,
        external_id="" if native else sender.name,
    )
    assert ADAPTERS[protocol].place(topic, Registry(devices=[device])).device is device
