"""Exports of the real API: whatever is killed, the file that was asked for comes."""

import csv
import io
import signal
from contextlib import suppress
from functools import partial
from typing import Any

import psutil
import pytest

from tests.e2e.system import READY_S, System, a_registry
from tests.eventually import eventually

pytestmark = [pytest.mark.long]

USAGE = {"what": "usage", "format": "csv", "from": "P30D"}


def standing(system: System, token: str, export: str) -> Any:
    return system.get(f"/v1/exports/{export}", token).json


def is_(state: str, system: System, token: str, export: str) -> Any:
    now = standing(system, token, export)
    return now if now["state"] == state else None


def test_killed_in_the_middle_the_api_goes_on_with_the_file_after_its_start(
    system: System,
) -> None:
    system.import_registry(a_registry())
    token = system.token("--role", "operator")
    system.environ["COURTYARD_FAILPOINTS"] = "O5:sleep(120)"
    api = system.api()
    export = system.post("/v1/exports", token, USAGE).json["id"]
    partial_file = system.directory / "data" / "exports" / f"{export}.partial"
    eventually(partial_file.exists, READY_S)
    begun = standing(system, token, export)
    assert begun["state"] == "running"
    children = psutil.Process(api.process.pid).children(recursive=True)
    api.end(signal.SIGKILL)
    assert children
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=20)
    del system.environ["COURTYARD_FAILPOINTS"]
    system.api()
    done = eventually(partial(is_, "done", system, token, export), READY_S, every_s=0.2)
    assert done["as_of"] == begun["as_of"]
    text = system.get(done["file"]["url"], token).text
    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(lines) == 2 * 30 + 2  # two compounds; 30 days ago begins within a day
