"""Dry runs as children of the API: how far they are, and every way in which they end."""

import sys
import threading
from collections.abc import Callable

from api.parts import DryRun
from courtyard.dry_runs import ChildDryRuns

RUN = DryRun(1_795_399_200_000, 1_795_395_600_000, 1_795_399_200_000, "lvyun")
WELL = """
import json, sys
text = sys.stdin.read()
sys.stderr.write("dry run: 40 %\\n")
json.dump({"from": "", "to": "", "compound": None, "messages": len(text), "codes": [],
           "only_today": list(range(600)), "only_changed": [], "argv": sys.argv[1:]}, sys.stdout)
"""


def a_child(script: str, most_s: float = 60) -> ChildDryRuns:
    return ChildDryRuns((sys.executable, "-c", script), most_s)


def until(runs: ChildDryRuns, holds: Callable[[DryRun], bool]) -> DryRun:
    pause = threading.Event()
    for _ in range(600):
        run = runs.newest()
        if run is not None and holds(run):
            return run
        pause.wait(0.05)
    raise AssertionError(f"still {runs.newest()}")


def ended(runs: ChildDryRuns) -> DryRun:
    return until(runs, lambda run: run.state != "running")


def test_the_child_is_given_the_file_and_the_range_and_its_result_is_kept() -> None:
    runs = a_child(WELL)
    assert runs.newest() is None
    assert runs.start(RUN, "a = 1 # 夏天")
    run = ended(runs)
    assert (run.state, run.percent, run.detail) == ("done", 100, "")
    assert run.result is not None
    assert run.result["messages"] == len("a = 1 # 夏天")
    assert run.result["argv"] == [
        "--from", "2026-11-23T01:00:00Z", "--to", "2026-11-23T02:00:00Z", "--compound", "lvyun",
    ]  # fmt: skip
    assert run.result["only_today"] == list(range(500))
    assert runs.start(RUN, "")


def test_how_far_it_is_can_be_seen_and_a_second_one_does_not_begin() -> None:
    runs = a_child("import sys\nsys.stderr.write('dry run: 40 %\\n')\nsys.stderr.flush()\n"
                   "sys.stdin.read()\nimport threading\nthreading.Event().wait(60)")  # fmt: skip
    assert runs.start(RUN, "")
    assert until(runs, lambda run: run.percent == 40).state == "running"
    assert not runs.start(RUN, "")
    runs.end()
    assert ended(runs).state == "failed"
    assert not runs.start(RUN, "")


def test_what_a_child_says_when_it_fails_is_told() -> None:
    runs = a_child("import sys\nsys.exit('courtyard: there is nothing to judge')")
    runs.start(RUN, "x" * 1_000_000)  # more than a pipe holds, and nobody reads it
    run = ended(runs)
    assert (run.state, run.result) == ("failed", None)
    assert run.detail == "courtyard: there is nothing to judge"


def test_one_that_takes_too_long_is_ended() -> None:
    runs = a_child("import threading\nthreading.Event().wait(60)", most_s=0.5)
    runs.start(RUN, "")
    assert "it took more than 0 s: ask for a shorter range" in ended(runs).detail


def test_what_prints_no_result_has_failed() -> None:
    runs = a_child("print('nonsense')")
    runs.start(RUN, "")
    assert ended(runs).state == "failed"


def test_what_cannot_be_started_has_failed() -> None:
    runs = ChildDryRuns(("/nowhere/courtyard",))
    runs.start(RUN, "")
    assert "cannot be started" in ended(runs).detail
