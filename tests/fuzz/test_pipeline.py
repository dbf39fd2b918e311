"""20,000 hostile messages through the pure path; `python -m tests.fuzz` takes as many as asked."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devices.journal import RETAINED
from devices.messages import Decoded, Reading, Report
from tests.fuzz import __main__ as command
from tests.fuzz.engine import COMPOUND, IMEI, TASMOTA, Hostile, Inputs, a_registry, topic_of
from tests.fuzz.pipeline import Pipeline

SHED = topic_of(a_registry().devices["shed-1"]).encode()


@pytest.mark.parametrize(
    "seed", [20_261_127, 1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3))]
)
def test_whatever_arrives_each_message_has_one_fate_and_nothing_foreign_is_stored(
    tmp_path: Path, seed: int
) -> None:
    pipeline = Pipeline(tmp_path)
    for hostile in Inputs(seed).take(5_000):
        pipeline.feed(hostile)
    pipeline.close()
    assert pipeline.broken == [], f"seed {seed}"
    outcomes = pipeline.fates
    assert sum(outcomes.values()) == pipeline.messages == 5_000
    # the messages reach all corners, or this proves nothing
    assert set(outcomes) >= {
        *("stored", "duplicate", "not_json", "bad_text", "too_deep", "too_large", "bad_type"),
        *("bad_number", "out_of_range", "duplicate_key", "bad_topic", "unknown_device"),
        *("bad_checksum", "bad_frame", "unsupported", "conflict", "identity", "wrong_place"),
    }
    assert outcomes["stored"] > 1_000
    assert pipeline.points > 1_000
    assert pipeline.smoke_judged > 300


def test_a_seed_makes_the_same_messages() -> None:
    assert list(Inputs(9).take(300)) == list(Inputs(9).take(300))
    assert list(Inputs(9).take(300)) != list(Inputs(10).take(300))


def test_the_command_tells_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--inputs", "300", "--seed", "4"])  # too few for memory to be flat
    told = capsys.readouterr().out
    assert "fuzz: 300 inputs, seed 4" in told
    assert "0 broken" in told


class TestAPlantedBugIsFound:
    """A check that cannot fail proves nothing."""

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Pipeline:
        return Pipeline(tmp_path)

    def feeds(self, pipeline: Pipeline, payload: bytes, **more: Any) -> list[str]:
        pipeline.feed(Hostile(SHED, payload, **more))
        pipeline.close()
        return pipeline.broken

    def test_a_decoder_that_raises(self, pipeline: Pipeline) -> None:
        def read(raw: object) -> Decoded:
            raise KeyError("planted")

        pipeline._decoder.read = read  # type: ignore[method-assign]
        assert "KeyError('planted')" in self.feeds(pipeline, b"{}")[0]

    def test_a_judge_that_raises(self, pipeline: Pipeline) -> None:
        def judge(record: object, decoded: object) -> None:
            raise KeyError("planted")

        pipeline.judge.judge = judge  # type: ignore[method-assign]
        assert "KeyError('planted')" in self.feeds(pipeline, b"{}")[0]

    def test_a_fast_form_that_differs(self, pipeline: Pipeline) -> None:
        exact = pipeline._exact.read

        def read(raw: Any) -> Decoded:
            said = exact(raw)
            said.items[0].reports[0].values["voltage_v"] = 228  # and not 228.0
            return said

        pipeline._exact.read = read  # type: ignore[method-assign]
        assert "the fast form says" in self.feeds(pipeline, b'{"values":{"voltage_v":228}}')[0]

    def test_a_value_out_of_its_range(self, pipeline: Pipeline) -> None:
        honest = pipeline._decoder.read

        def read(raw: Any) -> Decoded | Reading:
            said = honest(raw)
            assert isinstance(said, Decoded)
            said.items[0].reports[0].values["voltage_v"] = -1.0
            return said

        pipeline._decoder.read = read  # type: ignore[method-assign]
        broken = self.feeds(pipeline, b'{"values":{"voltage_v":228}}')
        assert any("outside" in one for one in broken)

    def test_a_field_that_is_not_declared(self, pipeline: Pipeline) -> None:
        honest = pipeline._decoder.read

        def read(raw: Any) -> Decoded | Reading:
            said = honest(raw)
            assert isinstance(said, Decoded)
            said.items[0].reports.append(Report(pipeline.registry.devices["gate-1"], {"evil": 1}))
            return said

        pipeline._decoder.read = read  # type: ignore[method-assign]
        broken = self.feeds(pipeline, b'{"values":{"voltage_v":228}}')
        assert any("evil" in one and "not declared" in one for one in broken)
        assert any("foreign fields {'evil'}" in one for one in broken)

    def test_a_message_that_is_not_booked(self, pipeline: Pipeline) -> None:
        pipeline.judge._ledger._count = lambda *_args, **_more: None  # type: ignore[method-assign]
        assert "1 messages, 0 booked" in self.feeds(pipeline, b'{"values":{"voltage_v":228}}')[0]

    def test_a_smoke_that_is_not_judged(self, pipeline: Pipeline) -> None:
        broken = self.feeds(pipeline, b'{"values":{"voltage_v":NaN}}', smoke="shed-1")
        assert "smoke of shed-1 is judged" in broken[0]


NATIVE_TOPICS = [
    topic_of(device, channel).encode()
    for device in a_registry().devices.values()
    if device.protocol == "native"
    for channel in ("telemetry", "event", "status")
]
TOPICS = st.one_of(
    st.sampled_from(NATIVE_TOPICS),
    st.sampled_from([f"JUY/D2S/{IMEI}/82/DEV".encode(), f"tele/{TASMOTA}/SENSOR".encode()]),
    st.binary(max_size=60),
    st.text(max_size=20).map(lambda text: f"courtyard/v1/{COMPOUND}/gate/{text}/event".encode()),
)


@given(
    st.lists(
        st.tuples(
            TOPICS,
            st.one_of(
                st.binary(max_size=300),
                st.integers(0, 2**32).map(lambda seed: Inputs(seed, repeats=False).native()),
                st.integers(0, 2**32).map(lambda seed: Inputs(seed, repeats=False).juy()),
            ),
            st.sampled_from([0, 0, RETAINED]),
        ),
        max_size=6,
    )
)
@example([(SHED, b'{"ts":1795399200000,"boot":1,"seq":1,"values":{"smoke":true}}', 0)] * 3)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_few_messages_in_any_order_hold_what_must_hold(
    tmp_path: Path, sent: list[tuple[bytes, bytes, int]]
) -> None:
    pipeline = Pipeline(tmp_path)
    for topic, payload, flags in sent:
        pipeline.feed(Hostile(topic, payload, flags))
    pipeline.close()
    assert pipeline.broken == []
    assert sum(pipeline.fates.values()) == len(sent)
