"""The supervisor, with small real processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from courtyard.errors import DONE, FAILED
from courtyard.supervisor import Program, Supervisor
from tests.eventually import eventually

# Writes "name starts", waits for SIGTERM or the end of its input, writes "name ends".
PART = """
import sys, threading
from courtyard.signals import stop_on_signals, stop_with_parent
name, log = sys.argv[1:3]
def say(what):
    with open(log, "a") as file:
        file.write(f"{name} {what}\\n")
stop = threading.Event()
stop_on_signals(stop)
stop_with_parent(stop)
say("starts")
stop.wait()
say("ends")
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[2], "a") as file:
    file.write("deaf starts\\n")
time.sleep(600)
"""


def a_part(name: str, log: Path, code: str = PART, **options: object) -> Program:
    return Program(name, [sys.executable, "-c", code, name, str(log)], **options)  # type: ignore[arg-type]


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def said(log: Path, *expected: str) -> Callable[[], bool]:
    return lambda: set(expected) <= set(lines(log))


@contextmanager
def running(supervisor: Supervisor, stop: threading.Event) -> Iterator[list[int]]:
    """Runs it in a thread; afterwards the list holds its exit code, and nothing of it runs."""
    code: list[int] = []
    thread = threading.Thread(target=lambda: code.append(supervisor.run()))
    thread.start()
    try:
        yield code
    finally:
        pids = supervisor.pids().values()
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_parts_are_ended_in_the_reverse_order(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    supervisor = Supervisor([a_part(name, log) for name in "abc"], os.environ, stop)
    with running(supervisor, stop) as code:
        eventually(said(log, "a starts", "b starts", "c starts"))
    assert lines(log)[3:] == ["c ends", "b ends", "a ends"]
    assert code == [DONE]


def test_a_crashed_part_is_started_again(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    supervisor = Supervisor([a_part("a", log)], os.environ, stop, first_pause_s=0.05)
    with running(supervisor, stop) as code:
        eventually(said(log, "a starts"))
        os.kill(supervisor.pids()["a"], signal.SIGKILL)
        eventually(lambda: lines(log).count("a starts") == 2)
    assert code == [DONE]


def test_a_part_that_refuses_its_settings_ends_the_whole(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    refusing = Program("b", [sys.executable, "-c", "raise SystemExit(2)"])
    supervisor = Supervisor([a_part("a", log), refusing], os.environ, stop)
    with running(supervisor, stop) as code:
        assert eventually(lambda: code or None) == [FAILED]


def test_work_that_is_done_is_not_started_again(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    work = "import sys; open(sys.argv[2], 'a').write('work done\\n')"
    programs = [a_part("a", log), a_part("w", log, work, once=True)]
    supervisor = Supervisor(programs, os.environ, stop, first_pause_s=0.01)
    with running(supervisor, stop):
        eventually(said(log, "a starts", "work done"))
        eventually(lambda: "w" not in supervisor.pids())
        os.kill(supervisor.pids()["a"], signal.SIGKILL)
        eventually(lambda: lines(log).count("a starts") == 2)
    assert lines(log).count("work done") == 1


def test_work_that_keeps_failing_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    work = "import sys; open(sys.argv[2], 'a').write('try\\n'); sys.exit(1)"
    programs = [a_part("a", log), a_part("w", log, work, once=True, tries=2)]
    supervisor = Supervisor(programs, os.environ, stop, first_pause_s=0.01)
    with running(supervisor, stop) as code:
        eventually(lambda: lines(log).count("try") == 2)
        eventually(said(log, "a starts"))
        os.kill(supervisor.pids()["a"], signal.SIGKILL)
        eventually(lambda: lines(log).count("a starts") == 2)
        assert code == []
    assert lines(log).count("try") == 2


def test_a_part_can_begin_after_the_others(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    programs = [a_part("a", log, delay_s=1.0), a_part("b", log)]
    supervisor = Supervisor(programs, os.environ, stop)
    with running(supervisor, stop):
        eventually(said(log, "a starts"))
    assert lines(log)[0] == "b starts"


def test_a_part_that_does_not_end_is_killed_with_its_group(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    supervisor = Supervisor([a_part("d", log, DEAF, stop_s=0.3)], os.environ, stop)
    with running(supervisor, stop):
        eventually(said(log, "deaf starts"))


def test_a_second_request_does_not_wait(tmp_path: Path) -> None:
    log, stop = tmp_path / "log", threading.Event()
    supervisor = Supervisor([a_part("d", log, DEAF, stop_s=600)], os.environ, stop)
    with running(supervisor, stop):
        eventually(said(log, "deaf starts"))
        stop.set()
        supervisor.kill()


def test_parts_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import os, sys, threading\n"
        "from courtyard.supervisor import Program, Supervisor\n"
        "argv = [sys.executable, '-c', sys.argv[1], 'a', sys.argv[2]]\n"
        "Supervisor([Program('a', argv)], os.environ, threading.Event()).run()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, PART, str(log)]) as supervisor:
        eventually(said(log, "a starts"))
        supervisor.kill()
    eventually(said(log, "a ends"))
