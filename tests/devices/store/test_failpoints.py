"""Failpoints: what a text arms, and what an armed point does."""

import os
import signal
import subprocess
import sys

import pytest

from devices.store.failpoints import VARIABLE, Armed, BadFailpoints, Injected, arm, read


def test_a_text_arms_points_at_the_first_or_a_later_pass() -> None:
    assert read("R6:kill@17, F2:sleep(2.5),J2:raise") == {
        "R6": Armed("kill", 17),
        "F2": Armed("sleep", 1, 2.5),
        "J2": Armed("raise", 1),
    }


@pytest.mark.parametrize("text", ["R6", "R6:die", "R6:sleep", "R6:kill@x", "r6:kill"])
def test_a_text_that_arms_nothing_is_an_error_that_names_the_variable(text: str) -> None:
    with pytest.raises(BadFailpoints, match=VARIABLE):
        read(text)


def test_a_point_acts_once_at_its_pass_and_the_others_never() -> None:
    failpoint = arm(read("J2:raise@2"))
    failpoint("J2")
    failpoint("J1")
    with pytest.raises(Injected, match="J2"):
        failpoint("J2")
    failpoint("J2")


def test_a_point_raises_the_error_that_its_place_names() -> None:
    failpoint = arm(read("J3:raise"))
    with pytest.raises(TimeoutError, match="J3"):
        failpoint("J3", TimeoutError)


def test_a_point_that_is_armed_by_the_environment_kills_the_process() -> None:
    program = (
        "from devices.store.failpoints import failpoint\n"
        "failpoint('R6'); print('once', flush=True); failpoint('R6'); print('twice')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, VARIABLE: "R6:kill@2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "once\n"
