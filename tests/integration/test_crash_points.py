"""Every crash point of docs/reliability.md that is in a process of ours, one after the other."""

import json
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from chaos.proxy import Proxy
from devices.journal import LINK
from devices.store.journal import JournalReader
from tests import crash, postgres
from tests.brokers import HOST, free_port
from tests.crash import FAILED, KILLED, Pipeline, Publisher, Rig
from tests.eventually import eventually
from tests.nursery import READY_S, Process

pytestmark = [pytest.mark.broker]

LOOK_S, STANDS_LOOKS = 0.3, 4  # so often nothing more came into the journal: it is held


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with crash.a_rig(tmp_path_factory.mktemp("crash"), None) as made:
        yield made


@pytest.mark.parametrize("point", KILLED)
def test_a_kill_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    rig.kill(point)


@pytest.mark.parametrize("point", FAILED)
def test_a_failure_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    rig.fail(point)


def held(rig: Rig) -> str:
    """A commit that is done and not acknowledged for as long as a test needs to do something."""
    return f"R8:sleep({3 + 3 * rig.pace_s:.1f})@15"


def await_held(pipeline: Pipeline, publisher: Publisher) -> None:
    """Returns while a commit is held, when all has been sent and some of it waits behind it."""
    seen: list[int] = []

    def look() -> bool:
        seen.append(pipeline.received())
        return len(seen) >= STANDS_LOOKS and set(seen[-STANDS_LOOKS:]) == {seen[-1]} != {0}

    eventually(look, READY_S, "a commit that is held", every_s=LOOK_S)
    publisher.finish()
    assert pipeline.received() == seen[-1] < len(publisher.acked)


def test_acknowledgements_of_a_lost_connection_are_dropped(rig: Rig) -> None:
    history = rig.history()
    with rig.broker("cut") as broker, Proxy(broker.port) as proxy:
        pipeline = rig.pipeline("cut", broker.port)
        pipeline.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{proxy.port}"
        ingest = pipeline.start(held(rig))
        ingest.await_said("broker_connected")
        publisher = Publisher(broker.port, history.messages)
        publisher.start()
        await_held(pipeline, publisher)
        proxy.cut()
        ingest.await_said('"epoch": 2')
        eventually(lambda: pipeline.metric("courtyard_acks_dropped_total") > 0, READY_S)
        rig.check(pipeline, history, ingest)


def test_a_broker_that_forgets_the_session_meanwhile_gets_no_stale_acknowledgement(
    rig: Rig,
) -> None:
    history = rig.history()
    first, rest = history.messages[:100], history.messages[100:]
    with rig.broker("forgets") as broker:
        pipeline = rig.pipeline("forgets", broker.port)
        ingest = pipeline.start(held(rig))
        ingest.await_said("broker_connected")
        publisher = Publisher(broker.port, first)
        publisher.start()
        await_held(pipeline, publisher)
        broker.forget()
        broker.start()
        ingest.await_said('"epoch": 2')
        eventually(lambda: pipeline.metric("courtyard_broker_connected") == 1, READY_S)
        publisher = Publisher(broker.port, rest)  # their packet ids are those of `first` again
        publisher.start()
        publisher.finish()
        eventually(lambda: pipeline.metric("courtyard_acks_dropped_total") > 0, READY_S)
        rig.check(pipeline, history, ingest)
        with JournalReader(pipeline.journal_path) as reader:
            links = [r.control for r in reader.read(0, 100_000) if r.kind == LINK]
    ups = [link["session_present"] for link in links if link is not None and link["up"]]
    assert ups == [True, False]


def test_a_full_disk_withholds_acknowledgements_and_nothing_else(rig: Rig) -> None:
    """No room for one more page of the journal: said by the system, with a limit on file sizes."""
    history = rig.history()
    with rig.broker("full") as broker:
        pipeline = rig.pipeline("full", broker.port)
        ingest = pipeline.start()
        ingest.await_said("broker_connected")
        half = len(history.messages) // 2
        publisher = Publisher(broker.port, history.messages[:half])
        publisher.start()
        publisher.finish()
        eventually(lambda: pipeline.received() == half, READY_S)
        wal = pipeline.journal_path.with_name("journal.db-wal")
        _, most = resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, most))
        publisher = Publisher(broker.port, history.messages[half:])
        publisher.start()
        publisher.finish()
        ingest.await_said("journal_commit_failed")
        assert pipeline.received() == half
        resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (most, most))
        ingest.await_said("journal_commits_again")
        rig.check(pipeline, history, ingest)
        assert ingest.said().count("broker_connected") == 1, "on the connection that it had"


def ended(pipeline: Pipeline, failpoints: str, *argv: str) -> tuple[int, str]:
    """The exit code of a command, and what it said."""
    process = pipeline.start(failpoints, *argv)
    code = process.wait(READY_S)
    assert code is not None, process.said()
    return code, process.said()


def an_api(pipeline: Pipeline, failpoints: str = "") -> Process:
    process = pipeline.start(failpoints, "api")
    process.await_said("api_listens")
    return process


def post(pipeline: Pipeline, token: str, path: str, key: str | None = None) -> tuple[int, Any]:
    connection = HTTPConnection(HOST, int(pipeline.environ["COURTYARD_API_PORT"]), timeout=READY_S)
    with closing(connection):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        headers |= {} if key is None else {"Idempotency-Key": key}
        connection.request("POST", path, "{}", headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_an_action_whose_answer_was_lost_is_not_done_twice(rig: Rig) -> None:
    history = rig.history()
    with rig.broker("action") as broker:
        pipeline = rig.pipeline("action", broker.port, COURTYARD_API_PORT=str(free_port()))
        ingest = pipeline.start()
        ingest.await_said("broker_connected")
        publisher = Publisher(broker.port, history.messages)
        publisher.start()
        publisher.finish()
        rig.check(pipeline, history, ingest)
    fault = next(f["id"] for f in pipeline.outcome().faults if f["code"] == "GATE_DURESS")
    code, said = ended(pipeline, "", "token", "create", "--role", "operator")
    assert code == 0, said
    token = said.split()[-1]
    api = an_api(pipeline, "O1:kill")
    with pytest.raises((HTTPException, ConnectionError)):
        post(pipeline, token, f"/v1/faults/{fault}/acknowledge", key="one")
    assert api.wait(READY_S) == -signal.SIGKILL
    api = an_api(pipeline)
    status, answer = post(pipeline, token, f"/v1/faults/{fault}/acknowledge", key="one")
    assert status == 200
    assert [e["to"] for e in answer["events"]] == ["open", "acknowledged"]
    status, answer = post(pipeline, token, f"/v1/faults/{fault}/acknowledge")
    assert status == 409
    assert answer["fault"]["state"] == "acknowledged"
    assert [e["to"] for e in answer["fault"]["events"]] == ["open", "acknowledged"]
    assert api.end() == 0


def test_a_backup_that_was_killed_is_none_and_the_next_one_is(rig: Rig) -> None:
    with rig.broker("backup") as broker:
        pipeline = rig.pipeline("backup", broker.port)
    target = pipeline.folder / "backup"
    code, said = ended(pipeline, "O2:kill", "backup", str(target))
    assert code == -signal.SIGKILL, said
    assert not target.exists()
    code, said = ended(pipeline, "", "backup", str(target))
    assert code == 0, said
    assert target.is_dir()


def test_a_migration_that_was_killed_has_done_nothing(rig: Rig) -> None:
    with rig.broker("migration") as broker:
        pipeline = rig.pipeline("migration", broker.port)
    path = pipeline.folder / "data" / "courtyard.db"
    path.unlink()
    code, said = ended(pipeline, "O3:kill", "db", "upgrade")
    assert code == -signal.SIGKILL, said
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    code, said = ended(pipeline, "", "db", "upgrade")
    assert code == 0, said


@pytest.mark.postgres
def test_a_migration_of_a_server_that_was_killed_has_done_nothing(
    rig: Rig, postgres_cluster: postgres.Cluster
) -> None:
    with rig.broker("server") as broker:
        pipeline = rig.pipeline("server", broker.port)
    name = postgres_cluster.create()
    pipeline.environ["COURTYARD_DATABASE_URL"] = postgres_cluster.url(name)
    code, said = ended(pipeline, "O3:kill", "db", "upgrade")
    assert code == -signal.SIGKILL, said
    code, said = ended(pipeline, "", "db", "upgrade")
    assert code == 0, said
    postgres_cluster.drop(name)
