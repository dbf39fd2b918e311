"""Who sent a message, by its topic alone."""

import pytest

from devices.senders import Sender, sender_of


@pytest.mark.parametrize(
    ("topic", "sender"),
    [
        (
            "courtyard/v1/xiangyunli/gate/gate-9/telemetry",
            Sender("native", "gate-9", "xiangyunli", "gate"),
        ),
        ("JUY/D2S/860000000000017/4G/DEV", Sender("juy", "860000000000017", kind="shed")),
        ("tele/lamps_7/SENSOR", Sender("tasmota", "lamps_7", kind="lamp")),
        ("tele/lamps_7/LWT", Sender("tasmota", "lamps_7", kind="lamp")),
        ("tele/lamps_7/INFO1", None),
        ("courtyard/v1/xiangyunli/gate/gate-9/command", None),
        ("zigbee2mqtt/lamp", None),
        ("", None),
    ],
)
def test_the_topic_names_the_device(topic: str, sender: Sender | None) -> None:
    assert sender_of(topic) == sender
