"""Processes of ours that start in a tenth of a second, forked from one that has all imported.

    with Nursery() as nursery:
        ingest = nursery.start(["ingest"], environ, folder / "log")

Starting Python and importing takes more than two seconds of a core; a test that kills a process and
starts it again pays that twice. A forked one is a process like any other: its own pid, its own
session, its settings from its own environment, and SIGKILL ends it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.eventually import eventually

ROOT = Path(__file__).parents[1]
POLL_S = 0.005
READY_S = 60.0  # two cores, many tests


@dataclass
class Process:
    """One that was forked. log: the file with what it says, for those who look at a failure."""

    nursery: "Nursery"
    pid: int
    log: Path
    code: int | None = None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def await_said(self, text: str, within_s: float = READY_S) -> None:
        def look() -> bool:
            if text in self.said():
                return True
            assert self.wait(0.0) is None, f"it ended before it said {text!r}:\n{self.said()}"
            return False

        eventually(look, within_s, f"{text!r} in {self.log}")

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, the signal that ended it as a negative number; None if it still runs."""
        if self.code is None:
            self.code = self.nursery.ask({"wait": self.pid, "timeout_s": timeout_s})
        return self.code

    def send(self, how: signal.Signals) -> None:
        if self.code is None:  # until it was waited for, the pid is its own
            os.kill(self.pid, how)

    def end(self, how: signal.Signals = signal.SIGTERM, within_s: float = READY_S) -> int:
        self.send(how)
        code = self.wait(within_s)
        assert code is not None, f"did not end within {within_s} s:\n{self.said()[-2000:]}"
        return code


class Nursery:
    """The process that forks; ends with the block, and everything that it forked with it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(READY_S)

    def start(self, argv: Sequence[str], environ: dict[str, str], log: Path) -> Process:
        pid = self.ask({"start": list(argv), "environ": environ, "log": str(log)})
        return Process(self, pid, log)

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery died"
        return json.loads(answer)


def _serve() -> None:
    _import_everything()
    children: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        answer: int | None
        if "start" in request:
            answer = pid = _fork(request["start"], request["environ"], request["log"])
            children.add(pid)
        else:
            answer = _wait(request["wait"], request["timeout_s"])
            if answer is not None:
                children.discard(request["wait"])
        print(json.dumps(answer), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _import_everything() -> None:
    """What `courtyard ingest` would import by and by."""
    import alembic.command  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401

    import devices.store.telemetry.influxdb  # noqa: F401


def _fork(argv: list[str], environ: dict[str, str], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(environ)
        random.seed()
        _arm()
        sys.argv = ["courtyard", *argv]
        from courtyard.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise AssertionError


def _arm() -> None:
    """What importing `devices.store.failpoints` does with the environment, once more."""
    from devices.store import failpoints

    text = os.environ.get(failpoints.VARIABLE, "")
    if not text:
        return
    was, armed = failpoints.failpoint, failpoints.arm(failpoints.read(text))
    for module in list(sys.modules.values()):
        if vars(module).get("failpoint") is was:
            module.failpoint = armed  # type: ignore[attr-defined]


def _wait(pid: int, timeout_s: float) -> int | None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline_s:
            return None
        time.sleep(POLL_S)


if __name__ == "__main__":
    _serve()
