"""Keeps child processes running, and ends them in order with nothing left behind.

Each child leads a session of its own, so a Ctrl-C in the terminal reaches the supervisor alone,
which then decides the order. Each also holds a pipe on its standard input: when the supervisor is
gone, however it went, the pipe ends and so do they (`signals.stop_with_parent`).
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from courtyard.errors import DONE, FAILED, WRONG_USAGE

POLL_S = 0.2
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # before a crashed child starts again
STEADY_S = 60.0  # after running so long a child is taken to be well, and the pause short again

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. stop_s: how long it may take to end before it is killed.

    once: it ends by itself when its work is done; otherwise ending is a crash.
    tries: starts in a row that may fail before it is given up; None for never. delay_s: its first
    start waits so long, so that what a person waits for comes first.
    """

    name: str
    argv: Sequence[str]
    stop_s: float = 12.0
    once: bool = False
    tries: int | None = None
    delay_s: float = 0.0
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at_s: float = 0.0
    next_start_s: float = 0.0
    failures: int = 0
    is_over: bool = False

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Runs programs until `stop` is set or one of them cannot go on.

    Programs start in the order given and are ended in the reverse order.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        environ: Mapping[str, str],
        stop: threading.Event,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._first_pause_s = first_pause_s
        self._children = [_Child(program) for program in programs]
        self._environ = dict(environ)
        self._stop = stop
        self._kill = threading.Event()

    def run(self) -> int:
        """Starts all, keeps them running, ends all; returns the exit code."""
        code = DONE
        try:
            for child in self._children:
                if self._stop.is_set():
                    break
                if child.program.delay_s:
                    child.next_start_s = time.monotonic() + child.program.delay_s
                else:
                    self._start(child)
            while not self._stop.wait(POLL_S):
                if not all(self._tend(child) for child in self._children):
                    code = FAILED
                    break
        finally:
            self._end_all()
        return code

    def kill(self) -> None:
        """Do not wait any longer: what still runs is killed."""
        self._kill.set()
        self._stop.set()

    def pids(self) -> dict[str, int]:
        """Process ids of what runs, by name."""
        return {
            child.program.name: child.process.pid
            for child in self._children
            if child.process is not None and child.is_running
        }

    def _start(self, child: _Child) -> None:
        child.process = begin(child.program, {**self._environ, **child.program.environ})
        child.started_at_s = time.monotonic()

    def _tend(self, child: _Child) -> bool:
        """Looks after one child; False if the whole cannot go on without it."""
        if child.is_over or child.is_running:
            return True
        now_s = time.monotonic()
        if child.process is None:
            if now_s >= child.next_start_s:
                self._start(child)
            return True
        code = child.process.returncode
        _close_input(child.process)
        child.process = None
        program = child.program
        if program.once and code == DONE:
            child.is_over = True
            return True
        child.failures = 1 if now_s - child.started_at_s > STEADY_S else child.failures + 1
        if code == WRONG_USAGE:
            log.error("part_refuses", name=program.name, exit_code=code)
            return False
        if program.tries is not None and child.failures >= program.tries:
            log.error("part_given_up", name=program.name, exit_code=code, failures=child.failures)
            child.is_over = True
            return program.once
        pause_s = min(self._first_pause_s * 2 ** (child.failures - 1), LONGEST_PAUSE_S)
        child.next_start_s = now_s + pause_s
        log.warning("part_ended", name=program.name, exit_code=code, starts_again_in_s=pause_s)
        return True

    def _end_all(self) -> None:
        for child in reversed(self._children):
            if child.process is None:
                continue
            end(child.program, child.process, self._kill)


def begin(program: Program, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process of its own session, which holds the other end of a pipe of ours."""
    return subprocess.Popen(  # noqa: S603 - argv is of our own making
        list(program.argv), env=environ, stdin=subprocess.PIPE, start_new_session=True
    )


def end(program: Program, process: subprocess.Popen[bytes], at_once: threading.Event) -> None:
    """SIGTERM, then SIGKILL for its whole group when it takes too long; nothing if it has ended.

    at_once: do not wait any longer.
    """
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.terminate()
        deadline_s = time.monotonic() + program.stop_s
        while process.poll() is None and time.monotonic() < deadline_s:
            if at_once.wait(POLL_S / 10):
                break
    if process.poll() is None:
        log.warning("part_killed", name=program.name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(POLL_S * 50)
    _close_input(process)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
