"""Dry runs for the API: each is a `courtyard rules dry-run` of its own, so that no page waits.

The child has the lowest priority and the API's settings. It ends by itself, or after MOST_S.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from api.parts import DryRun
from courtyard.backup import rfc3339

MOST_S = 900.0
SHOWN = 500  # faults of each side in an answer
NICEST = 19

_COMMAND = (sys.executable, "-m", "courtyard", "rules", "dry-run", "-", "--json")

log = structlog.get_logger()


class ChildDryRuns:
    """One child at a time. command: what is started, before the options of the range."""

    def __init__(self, command: Sequence[str] = _COMMAND, most_s: float = MOST_S) -> None:
        self._command = command
        self._most_s = most_s
        self._lock = threading.Lock()
        self._newest: DryRun | None = None
        self._child: subprocess.Popen[str] | None = None
        self._ended = False

    def start(self, run: DryRun, body: str) -> bool:
        """False while another one runs, and once `end` was called."""
        with self._lock:
            is_busy = self._newest is not None and self._newest.state == "running"
            if is_busy or self._ended:
                return False
            self._newest = run
        threading.Thread(target=self._run, args=(run, body), name="dry-run", daemon=True).start()
        return True

    def newest(self) -> DryRun | None:
        with self._lock:
            return self._newest

    def end(self) -> None:
        """Stop the one that runs."""
        with self._lock:
            self._ended = True
            child = self._child
        if child is not None:
            child.kill()

    def _run(self, run: DryRun, body: str) -> None:
        options = ["--from", rfc3339(run.from_ms), "--to", rfc3339(run.to_ms)]
        if run.compound is not None:
            options += ["--compound", run.compound]
        try:
            outcome = self._watched([*self._command, *options], run, body)
        except OSError as error:
            outcome = replace(run, state="failed", detail=f"it cannot be started: {error}")
        except Exception as error:
            log.exception("dry_run_died")
            outcome = replace(run, state="failed", detail=f"an error of ours: {error}")
        with self._lock:
            self._newest, self._child = outcome, None

    def _watched(self, command: Sequence[str], run: DryRun, body: str) -> DryRun:
        began_s = time.monotonic()
        told: list[str] = []
        with subprocess.Popen(  # noqa: S603 - our own interpreter, and times that we print
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as child:
            with self._lock:
                self._child = child
                is_late = self._ended
            if is_late:
                child.kill()
            os.setpriority(os.PRIO_PROCESS, child.pid, NICEST)
            clock = threading.Timer(self._most_s, child.kill)
            clock.daemon = True
            clock.start()
            listener = threading.Thread(target=self._listen, args=(child, run, told), daemon=True)
            listener.start()
            try:
                printed = _asked(child, body)
                listener.join()
            finally:
                clock.cancel()
        if child.returncode == 0:
            return replace(run, state="done", percent=100, result=_result(printed))
        why = "\n".join(told) or f"it ended with code {child.returncode}"
        if time.monotonic() - began_s >= self._most_s:
            why = f"it took more than {self._most_s:.0f} s: ask for a shorter range or one compound"
        return replace(self.newest() or run, state="failed", detail=why)

    def _listen(self, child: "subprocess.Popen[str]", run: DryRun, told: list[str]) -> None:
        """Take up how far it is; keep the last of what else it says."""
        assert child.stderr is not None
        for line in child.stderr:
            percent = line.removeprefix("dry run: ").removesuffix(" %\n")
            if percent.isdecimal():
                with self._lock:
                    self._newest = replace(run, percent=int(percent))
            else:
                told.append(line.rstrip())
                del told[:-20]


def _asked(child: "subprocess.Popen[str]", body: str) -> str:
    """What the child prints, given the rule file."""
    assert child.stdin is not None and child.stdout is not None  # noqa: PT018
    with suppress(BrokenPipeError):  # it ended before it had read all; its code says how
        child.stdin.write(body)
    with suppress(BrokenPipeError):
        child.stdin.close()
    return child.stdout.read()


def _result(printed: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(printed)
    for side in ("only_today", "only_changed"):
        faults = found[side]
        assert isinstance(faults, list)
        found[side] = faults[:SHOWN]
    return {name: found[name] for name in found if name not in ("from", "to", "compound")}
