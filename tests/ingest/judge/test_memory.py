"""What the judge keeps of a device's reports."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.judge.memory import DeviceMemory, pack_latest, unpack
from ingest.judge.plan import plans
from tests.ingest.judge.district import a_gate

NAMES = ("csq", "door_state", "tamper", "rssi_dbm")
REPORTS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 30), min_size=1),
        st.sampled_from(["latest", "word", "told", "pack", None]),
    ),
    max_size=20,
)


def a_memory() -> DeviceMemory:
    return DeviceMemory(a_gate(), plans()["gate"])


@given(reports=REPORTS)
def test_each_quantity_keeps_its_newest_value_whoever_looks_in_between(
    reports: list[tuple[dict[str, Any], str | None]],
) -> None:
    memory, expected = a_memory(), dict[str, tuple[Any, int]]()
    for at_ms, (values, look) in enumerate(reports):
        memory.says(values, at_ms)
        expected |= {name: (value, at_ms) for name, value in values.items()}
        match look:
            case "latest":
                assert memory.latest == expected
            case "word":
                words = {name: memory.word(name) for name in NAMES}
                assert words == {n: expected.get(n, (None, 0))[0] for n in NAMES}
            case "told":
                told = {name: memory.told(name) for name in NAMES}
                assert told == {name: expected.get(name) for name in NAMES}
            case "pack":
                again = a_memory()
                unpack(again, pack_latest(memory), b"\x80")
                assert again.latest == expected
    assert memory.latest == expected
