"""Which compound a message is accounted to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courtyard.origin import Origins
from devices.journal import UNASSIGNED
from devices.registry import Compound, Device, Firm, Name, Registry


def a_registry(compound: str = "lvyun-xiaoqu", revision: int = 1) -> Registry:
    name = Name("", "")
    return Registry(
        [Firm("yaxin", name)],
        [Compound(compound, name, "yaxin", 100), Compound("xiangyunli", name, "yaxin", 100)],
        [
            Device("gate-1", "gate", compound, "", 30),
            Device("shed-1", "shed", compound, "", 60, protocol="juy", external_id="86312"),
            Device("lamp-1", "lamp", compound, "", 300, protocol="tasmota", external_id="lamps7"),
        ],
        revision,
    )


@pytest.mark.parametrize(
    ("topic", "compound"),
    [
        (b"courtyard/v1/lvyun-xiaoqu/gate/gate-1/telemetry", "lvyun-xiaoqu"),
        (b"courtyard/v1/lvyun-xiaoqu/gate/gate-1/status", "lvyun-xiaoqu"),
        (b"JUY/D2S/86312/82/DEV", "lvyun-xiaoqu"),
        (b"tele/lamps7/SENSOR", "lvyun-xiaoqu"),
        # the registry says where a device is, not its topic
        (b"courtyard/v1/xiangyunli/gate/gate-1/telemetry", "lvyun-xiaoqu"),
        (b"courtyard/v1/xiangyunli/gate/gate-2/telemetry", UNASSIGNED),
        (b"courtyard/v1/lvyun-xiaoqu/gate/gate-1", UNASSIGNED),
        (b"JUY/D2S/99999/82/DEV", UNASSIGNED),
        (b"tele/gate-1/SENSOR", UNASSIGNED),
        (b"something/else", UNASSIGNED),
        (b"", UNASSIGNED),
        (b"courtyard/v1/\xff/gate/gate-1/telemetry", UNASSIGNED),
    ],
)
def test_a_message_is_accounted_to_the_compound_of_its_device(topic: bytes, compound: str) -> None:
    origins = Origins(a_registry())
    assert origins(topic) == compound
    assert origins(topic) == compound  # remembered, or found again


def test_a_new_registry_counts_at_once() -> None:
    origins = Origins(a_registry())
    topic = b"JUY/D2S/86312/82/DEV"
    assert origins(topic) == "lvyun-xiaoqu"
    origins.use(a_registry("jinxiang-huayuan", revision=2))
    assert origins(topic) == "jinxiang-huayuan"
    assert origins.revision == 2


def test_made_up_topics_do_not_fill_the_memory() -> None:
    origins = Origins(a_registry(), max_topics=3)
    for number in range(10):
        assert origins(b"JUY/D2S/86312/%d/DEV" % number) == "lvyun-xiaoqu"
        assert origins(b"courtyard/v1/lvyun-xiaoqu/gate/no-%d/telemetry" % number) == UNASSIGNED
        assert 1 <= origins.remembered <= 3


@given(st.binary())
def test_any_topic_has_an_answer(topic: bytes) -> None:
    assert Origins(a_registry())(topic) in {UNASSIGNED, "lvyun-xiaoqu"}
