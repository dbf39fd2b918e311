"""Three minutes over a real broker are graded. A judge with a bug fails the run, and so does a fact
of which nobody was told; whatever ends it early, nothing is left running."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from courtyard.errors import DONE, FAILED
from courtyard.grading import figures_of
from courtyard.live_grading import TRUTH, Lived, grade_lived
from courtyard.score import read_truth
from courtyard.simulation import Staged, find_scenario
from simulators.scoring import PUBLISHED
from simulators.truth import Fact
from tests.e2e.system import ROOT
from tests.eventually import eventually

pytestmark = [pytest.mark.broker]

SCENARIO = "live-three-minutes"
BEGUN_S = 90.0
WHOLE_S = 400.0  # of which the scenario takes 175
PARTS = ("score", "ingest", "simulate", "mosquitto")


@dataclass
class Run:
    """A command that plays live, and where it keeps what it leaves."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text()

    @property
    def said(self) -> str:
        return (self.directory / "said").read_text()

    @property
    def score(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.output)[SCENARIO]
        return said

    def ends(self, within_s: float) -> int:
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within_s} s:\n{self.said[-2000:]}") from None


@contextmanager
def playing(directory: Path, *module: str, options: Sequence[str] = ("--json",)) -> Iterator[Run]:
    directory.mkdir()
    environ = {name: value for name, value in os.environ.items() if "COURTYARD" not in name}
    environ["TMPDIR"] = str(directory)
    command = [sys.executable, "-m", *module, "score", "--live", SCENARIO, *options]
    with (directory / "output").open("w") as output, (directory / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=output, stderr=said, text=True
        )
        try:
            yield Run(process, directory)
        finally:
            process.kill()  # its parts see it gone, and end
            process.wait(10)


@pytest.fixture(scope="module", autouse=True)
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Run]]:
    """Of the judge as it is, and of one that mutes the safety tier; the short tests run beside."""
    directory = tmp_path_factory.mktemp("live")
    keep = ("--json", "--keep", str(directory / "kept"))
    with (
        playing(directory / "good", "courtyard", options=keep) as good,
        playing(directory / "bad", "chaos.misjudged", "muted-safety") as bad,
    ):
        yield good, bad


@pytest.fixture(scope="module")
def runs(begun: tuple[Run, Run]) -> tuple[Run, Run]:
    """Both, at their end."""
    for run in begun:
        run.ends(WHOLE_S)
    return begun


@pytest.fixture(scope="module")
def kept(runs: tuple[Run, Run]) -> Path:
    return runs[0].directory.parent / "kept"


def family(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """What runs of it, by name."""
    parent = psutil.Process(process.pid)
    found: dict[str, psutil.Process] = {}
    for one in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.Error):  # it has ended meanwhile
            command = one.cmdline()
            for name in PARTS:
                if name in command or any(word.endswith(f"/{name}") for word in command[:1]):
                    found[name] = one
    return found


def alive(processes: dict[str, psutil.Process]) -> list[str]:
    return [
        name
        for name, process in processes.items()
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def _all_there(run: Run) -> dict[str, psutil.Process] | None:
    """Its processes, once all are there and the simulators have said that they play."""
    assert run.process.poll() is None, run.said
    found = family(run.process)
    return found if set(found) == set(PARTS) and "fleet_plays" in run.said else None


def test_ctrl_c_ends_all_of_it_and_leaves_nothing(tmp_path: Path) -> None:
    with playing(tmp_path / "run", "courtyard") as run:
        running = eventually(lambda: _all_there(run), BEGUN_S, run.said)
        run.process.send_signal(signal.SIGINT)
        assert run.ends(40) == FAILED
        assert alive(running) == []
        assert "courtyard: ended before its time: nothing is graded" in run.said
        assert run.output == ""
        assert sorted(path.name for path in run.directory.iterdir()) == ["output", "said"]


def test_a_killed_run_takes_its_parts_along(tmp_path: Path) -> None:
    with playing(tmp_path / "run", "courtyard") as run:
        running = eventually(lambda: _all_there(run), BEGUN_S, run.said)
        run.process.kill()
        run.process.wait(10)
        eventually(lambda: alive(running) == [], 30, str(running))


def test_an_ingest_that_dies_ends_the_run(tmp_path: Path) -> None:
    with playing(tmp_path / "run", "courtyard") as run:
        running = eventually(lambda: _all_there(run), BEGUN_S, run.said)
        running["ingest"].kill()
        assert run.ends(40) == FAILED
        assert "courtyard: `courtyard ingest` ended with exit code -9" in run.said
        assert alive(running) == []


def test_a_live_run_over_a_real_broker_holds_every_figure(runs: tuple[Run, Run]) -> None:
    good, _ = runs
    said = good.score
    assert [one for one in said["figures"] if not one["held"]] == [], said["score"]
    assert good.process.returncode == DONE
    score = said["score"]
    assert score["due"] == score["detected"] >= 4
    assert score["safety"] == {"due": 2, "detected": 2}
    assert score["codes"]["GATE_OFFLINE"]["detected"] == 1
    assert score["false"]["count"] == 0
    assert said["broker"] == "mosquitto"
    assert said["messages"] > 500
    assert said["lost"] == said["unaccounted"] == 0


def test_a_judge_with_a_bug_fails_a_live_run(runs: tuple[Run, Run]) -> None:
    _, bad = runs
    assert bad.process.returncode == FAILED
    score = bad.score["score"]
    assert {one["code"] for one in score["missed"]["first"]} == {"SHED_SMOKE", "GATE_DURESS"}
    assert score["safety"] == {"due": 2, "detected": 0}
    assert score["codes"]["GATE_OFFLINE"]["detected"] == 1  # nothing else is wrong with it


def test_a_fact_of_which_nobody_was_told_fails_it(runs: tuple[Run, Run], kept: Path) -> None:
    said = runs[0].score
    truth = kept / TRUTH
    simulated = read_truth(truth)[0]
    when = (simulated.start_ms + 70_000, simulated.start_ms + 110_000)
    unheard = Fact("unheard", "gate_tampered", "xiangyunli-gate-1", *when)
    before = truth.read_bytes()
    truth.write_bytes(before + unheard.line())
    try:
        scenario = find_scenario(SCENARIO)
        lived = Lived("mosquitto", said["messages"], 0, said["writing_s"], said["judging_s"])
        graded = grade_lived(Staged(scenario, said["seed"]), lived, kept)
    finally:
        truth.write_bytes(before)
    assert [(found.code, found.fact) for found in graded.scored.missed] == [
        ("GATE_TAMPER", "unheard")
    ]
    missed = {figure.name for figure in figures_of(graded) if not figure.held}
    assert missed == {"faults found with the right code"}


def test_a_message_that_the_broker_had_and_we_have_not_fails_it(
    runs: tuple[Run, Run], kept: Path
) -> None:
    said = runs[0].score
    published = next(fact for fact in read_truth(kept / TRUTH) if fact.kind == PUBLISHED)
    assert published.detail["acknowledged"] == said["messages"] > 500
    scenario = find_scenario(SCENARIO)
    short = Lived("mosquitto", said["messages"] - 1, 0, said["writing_s"], said["judging_s"])
    graded = grade_lived(Staged(scenario, said["seed"]), short, kept)
    assert [one.name for one in figures_of(graded) if not one.held] == [
        "messages lost behind the broker"
    ]
