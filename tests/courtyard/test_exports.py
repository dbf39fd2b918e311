"""Exports as children of the API: when one is started, and what is done when it ends."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from courtyard.exports import ChildExports
from tests.api.cast import Cast, a_cast
from tests.eventually import eventually

ASKED = {"what": "usage", "format": "csv", "from": "P7D"}
# Says that it ran, and ends well only the second time.
SCRIPT = """
import pathlib, sys
told = pathlib.Path(sys.argv[1])
before = told.read_text() if told.exists() else ""
told.write_text(before + "x")
sys.exit(0 if before else 1)
"""
WAITS = """
import pathlib, sys, threading
pathlib.Path(sys.argv[1]).write_text("x")
threading.Event().wait(60)
"""


@contextmanager
def children(cast: Cast, script: str, told: Path) -> Iterator[ChildExports]:
    made_of = cast.app.state.parts.deps.exports
    command = (sys.executable, "-c", script, str(told))
    runs = ChildExports(cast.engine, made_of.folder, command, again_s=0.01)
    try:
        yield runs
    finally:
        runs.end()


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_child_is_started_for_what_was_asked_and_again_when_it_ended_early(
    sqlite_database: Engine, tmp_path: Path
) -> None:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    told = tmp_path / "told"
    with children(cast, SCRIPT, told) as runs:
        runs.start()
        assert cast.client("yaxin").post("/v1/exports", json=ASKED).status_code == 202
        runs.wake()
        eventually(lambda: text_of(told) == "xx")


def test_without_anything_to_do_no_process_is_started(
    sqlite_database: Engine, tmp_path: Path
) -> None:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    told = tmp_path / "told"
    with children(cast, SCRIPT, told) as runs:
        runs.start()
        runs.wake()
    assert not told.exists()


def test_with_the_api_its_child_ends(sqlite_database: Engine, tmp_path: Path) -> None:
    cast = a_cast(sqlite_database, exports=tmp_path / "exports")
    cast.client("yaxin").post("/v1/exports", json=ASKED)
    told = tmp_path / "told"
    with children(cast, WAITS, told) as runs:
        runs.start()
        eventually(told.exists)
    assert not any(thread.name == "exports" for thread in threading.enumerate())
