"""Exports for the API: made by a child process of low priority, so that no page waits.

The child makes all that is asked for, one file after the other, and ends. When it ends early, of
whatever, the next one goes on where it was.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.exports.files import Folder
from api.exports.work import Workshop, has_work, work_off
from courtyard.clock import now_ms
from courtyard.errors import DONE, FAILED
from courtyard.settings import Settings
from courtyard.signals import stop_on_signals, stop_with_parent
from courtyard.stores import open_operational

FOLDER = "exports"  # in the data directory
NICE = 5
AGAIN_S = 5.0  # after a child that did not do all
TIDY_S = 3600.0
MOST_S = 3600.0  # of one child

_COMMAND = (sys.executable, "-m", "courtyard", "exports", "--with-parent")

log = structlog.get_logger()


class ChildExports:
    """One child at a time, started when there is work. command, environment: of the child."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        command: Sequence[str] = _COMMAND,
        environment: Mapping[str, str] | None = None,
        again_s: float = AGAIN_S,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._command = command
        self._environment = environment
        self._again_s = again_s
        self._woken = threading.Event()
        self._ended = False
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="exports", daemon=True)

    @property
    def folder(self) -> Path:
        return self._folder

    def start(self) -> None:
        """Look for what an earlier process left unfinished, and then for what is asked for."""
        self._woken.set()
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        """Stop the child; what it has not done is done after the next start."""
        with self._lock:
            self._ended = True
            child = self._child
        self._woken.set()
        if child is not None:
            child.terminate()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        wait_s = 0.0
        while True:
            self._woken.wait(wait_s)
            self._woken.clear()
            if self._ended:
                return
            wait_s = TIDY_S
            try:
                if has_work(self._engine, Folder(self._folder), now_ms()) and not self._worked():
                    wait_s = self._again_s
            except (OSError, SQLAlchemyError) as error:
                log.warning("exports_stand", error=str(error)[:200])
                wait_s = self._again_s

    def _worked(self) -> bool:
        """Runs a child; whether it did all."""
        with self._lock:
            if self._ended:
                return False
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter
                self._command, stdin=subprocess.PIPE, env=self._environment
            )
        child, began_s = self._child, time.monotonic()
        try:
            code = child.wait(MOST_S)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        finally:
            if child.stdin is not None:
                child.stdin.close()
            with self._lock:
                self._child = None
        if code != DONE and not self._ended:
            log.warning("exports_ended", code=code, after_s=round(time.monotonic() - began_s, 1))
        return code == DONE


def run_exports(settings: Settings, *, with_parent: bool) -> int:
    """Makes what is asked for; gives the exit code. FAILED: it is to be started again."""
    stop = threading.Event()
    stop_on_signals(stop)
    if with_parent:
        stop_with_parent(stop)
    os.nice(NICE)
    engine = open_operational(settings)
    try:
        folder = Folder(settings.data_dir / FOLDER)
        shop = Workshop(engine, folder, now_ms, settings.fonts, stop.is_set)
        return DONE if work_off(shop) else FAILED
    except SQLAlchemyError as error:
        log.warning("exports_stand", error=str(error)[:200])
        return FAILED
    finally:
        engine.dispose()
