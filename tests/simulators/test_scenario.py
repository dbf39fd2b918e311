"""Scenarios by name, and their two ways out."""

import threading
import time
from pathlib import Path

import pytest

from simulators import scenario
from simulators.fleet import Fleet
from simulators.publisher import BadBrokerUrl, Counters
from tests.brokers import Mosquitto
from tests.simulators.fleets import MINUTE_MS, at
from tests.simulators.test_history import FakeSink

START_MS = at("2026-11-23T19:00")


def test_a_scenario_can_be_cut_to_its_first_compounds() -> None:
    part = scenario.registry("erqi", compounds=3)
    assert list(part.compounds) == ["xiangyunli", "jiaogong-xiaoqu", "yaxin-meihao-xinyuan"]
    assert len(scenario.registry("erqi").compounds) == 225


def test_an_unknown_scenario_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(scenario.UnknownScenario, match="erqi"):
        scenario.registry("atlantis")


def test_written_it_goes_from_the_fleets_start_to_the_end() -> None:
    sink = FakeSink()
    fleet = Fleet(scenario.registry("erqi", compounds=2), 1, START_MS)
    written = scenario.write(fleet, START_MS + MINUTE_MS, sink)
    assert written.to_ms == START_MS + MINUTE_MS
    assert written.messages == sum(len(draft.messages) for draft in sink.drafts) > 10


@pytest.mark.broker
def test_played_it_ends_when_its_time_is_over(tmp_path: Path) -> None:
    begun_s = time.monotonic()

    def clock() -> int:
        return START_MS + round((time.monotonic() - begun_s) * 10_000)

    with Mosquitto(tmp_path) as broker:
        fleet = Fleet(scenario.registry("erqi", compounds=2), 1, START_MS)
        counters = scenario.play(
            fleet,
            f"mqtt://127.0.0.1:{broker.port}",
            clock,
            stop=threading.Event(),
            until_ms=START_MS + 30_000,
            report_s=0.2,
        )
    assert counters.connected == 0
    assert counters.acknowledged == counters.published > len(fleet.links)


def test_played_without_a_broker_it_says_why_and_ends_when_told() -> None:
    stop, said = threading.Event(), []

    def report(_: Counters, error: str) -> None:
        if error:
            said.append(error)
            stop.set()

    fleet = Fleet(scenario.registry("erqi", compounds=1), 1, START_MS)
    scenario.play(
        fleet,
        "mqtt://127.0.0.1:1",
        lambda: START_MS + 5_000,
        stop=stop,
        report=report,
        report_s=0.1,
    )
    assert said


def test_a_wrong_address_is_refused_before_anything_runs() -> None:
    fleet = Fleet(scenario.registry("erqi", compounds=1), 1, START_MS)
    with pytest.raises(BadBrokerUrl):
        scenario.play(fleet, "http://here", lambda: START_MS, stop=threading.Event())
