"""A backup of a system at work, everything killed, the backup restored elsewhere (ST9, ST11, ST12).

What the restored system says in the end is compared with an undisturbed run of the same messages.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from courtyard.clock import now_ms
from devices.store import backup, progress
from devices.store.database import reading
from devices.store.journal import JournalReader, JournalWriter
from devices.store.schema import accounts, cursors, device_state, devices
from tests import crash, postgres
from tests.crash import History, Pipeline, Publisher, Rig
from tests.e2e.system import DATABASE
from tests.eventually import eventually

pytestmark = [pytest.mark.broker, pytest.mark.long]

RATE_PER_S = 40.0  # while the backup is made: half of the history takes some seconds
ENDS = ("stored", "duplicate", "quarantined")


@pytest.fixture(scope="module")
def rig(
    tmp_path_factory: pytest.TempPathFactory, e2e_cluster: postgres.Cluster | None
) -> Iterator[Rig]:
    with crash.a_rig(tmp_path_factory.mktemp("backup"), e2e_cluster) as made:
        yield made


@dataclass
class Accident:
    """A system that was killed after a backup. remaining: what its broker still holds for it."""

    pipeline: Pipeline
    history: History
    broker_port: int
    night: Path

    @property
    def manifest(self) -> backup.Manifest:
        return backup.decode((self.night / backup.MANIFEST).read_bytes(), str(self.night))


@pytest.fixture(scope="module")
def accident(rig: Rig) -> Iterator[Accident]:
    """Backed up under load, gone on for as long again, then killed."""
    history = rig.history()
    with rig.broker("old") as broker:
        pipeline = rig.pipeline("old", broker.port)
        ingest = pipeline.start()
        ingest.await_said("broker_connected")
        half = len(history.messages) // 2
        publisher = Publisher(broker.port, history.messages[:half], RATE_PER_S)
        publisher.start()
        night = pipeline.folder / "night"
        eventually(lambda: judged(pipeline) > 0)
        making = pipeline.start("", "backup", "--with-secrets", str(night))
        assert making.wait(60) == 0, making.said()
        publisher.finish()
        publisher = Publisher(broker.port, history.messages[half:])
        publisher.start()
        publisher.finish()
        eventually(lambda: pipeline.received() > half, 20.0)
        ingest.end(signal.SIGKILL)
        yield Accident(pipeline, history, broker.port, night)


def judged(pipeline: Pipeline) -> int:
    with pipeline.database() as engine, reading(engine) as connection:
        found = connection.scalar(select(cursors.c.jseq).where(cursors.c.name == "judge"))
    return found or 0


def restored(pipeline: Pipeline, source: Path, *options: str) -> str:
    done = pipeline.start("", "restore", "--replace", *options, str(source))
    code = done.wait(60)
    assert code == 0, done.said()
    return done.said()


def check_latest(pipeline: Pipeline, history: History) -> None:
    """The shown value of each quantity is the last one that was told."""
    expected: dict[tuple[str, str], tuple[int, Any]] = {}
    for (measurement, device, quantity, at_ms), value in history.points.items():
        if not measurement.endswith("_event"):
            known = expected.get((device, quantity), (0, None))
            expected[device, quantity] = max(known, (at_ms, value), key=lambda it: it[0])
    query = select(devices.c.id, device_state.c.state, device_state.c.latest).join(
        devices, devices.c.no == device_state.c.device_no
    )
    found: dict[tuple[str, str], tuple[int, Any]] = {}
    with pipeline.database() as engine, reading(engine) as connection:
        for row in connection.execute(query):
            for quantity, (value, at_ms) in msgspec.msgpack.decode(row.latest).items():
                found[row.id, quantity] = (at_ms, value)
    assert expected
    assert {key: found.get(key) for key in expected} == expected


def test_the_backup_was_made_in_the_middle_of_it(accident: Accident) -> None:
    manifest = accident.manifest
    assert manifest.judge is not None
    assert 0 < manifest.judge.jseq <= len(accident.history.messages) // 2
    assert manifest.telemetry == "embedded"
    assert not list(accident.night.glob("*journal.db*"))


def test_with_the_journal_that_survived_it_equals_an_undisturbed_run(
    rig: Rig, accident: Accident
) -> None:
    history = accident.history
    elsewhere = rig.pipeline("elsewhere", accident.broker_port)
    for name in ("journal.db", "journal.db-wal"):  # as another machine would get it
        found = accident.pipeline.journal_path.with_name(name)
        if found.exists():
            shutil.copy(found, elsewhere.journal_path.with_name(name))
    waiting = elsewhere.received() - (accident.manifest.judge or pytest.fail("no judge")).jseq
    said = restored(elsewhere, accident.night)
    assert f"{waiting} messages are waiting" in said
    assert waiting > 0
    assert "MISSING" not in said
    ingest = elsewhere.start()
    rig.check(elsewhere, history, ingest)
    check_latest(elsewhere, history)

    # ST12: the readings of the night instead, and forward fills in what came since
    forward = accident.manifest.forward
    assert forward is not None
    said = restored(elsewhere, accident.night, "--only", "telemetry")
    assert f"forward goes on behind message {forward.jseq}" in said
    with pytest.raises(AssertionError, match="lost"):
        elsewhere.check_points(history)
    ingest = elsewhere.start()
    rig.check(elsewhere, history, ingest)

    # the file simply gone: forward notices by itself
    (elsewhere.folder / "data" / "telemetry.db").unlink()
    ingest = elsewhere.start()
    ingest.await_said("telemetry_store_behind")
    rig.check(elsewhere, history, ingest)


def test_without_the_journal_the_missing_span_is_told_and_explains_the_accounts(
    rig: Rig, accident: Accident
) -> None:
    manifest = accident.manifest
    assert manifest.judge is not None
    tail = accident.history.messages[-20:]
    with rig.broker("lost") as broker:
        elsewhere = rig.pipeline("lost", broker.port)
        said = restored(elsewhere, accident.night)
        assert "MISSING: everything from" in said
        assert f"behind message {manifest.judge.jseq} of journal" in said
        ingest = elsewhere.start()
        ingest.await_said("broker_connected")
        publisher = Publisher(broker.port, tail)
        publisher.start()
        publisher.finish()
        eventually(lambda: judged(elsewhere) == len(tail))
        assert ingest.end() == 0, ingest.said()
    with JournalReader(elsewhere.journal_path) as reader:
        head = reader.head()
    assert head.journal_id != manifest.journal_id
    with elsewhere.database() as engine, reading(engine) as connection:
        counted = connection.scalar(
            select(func.sum(accounts.c.count)).where(accounts.c.outcome.in_(ENDS))
        )
        noted = progress.read(connection, "restore")
    assert noted is not None
    assert noted.body["missing_messages"] is None
    assert noted.body["missing_from_ms"] == manifest.judge.updated_at_ms
    # what the accounts have beyond the new journal's own count is what the lost one had given them
    assert counted - head.jseq == noted.body["was_jseq"] == manifest.judge.jseq


def noted_at_ms(pipeline: Pipeline) -> int:
    """When the newest finished backup was put down."""
    with pipeline.database() as engine, reading(engine) as connection:
        row = progress.read(connection, backup.BACKUP)
    assert row is not None
    return row.updated_at_ms


def test_killed_before_it_has_its_name_a_backup_does_not_exist(
    rig: Rig, accident: Accident
) -> None:
    pipeline = accident.pipeline
    target = pipeline.folder / "next"
    before = noted_at_ms(pipeline)
    making = pipeline.start("O2:kill", "backup", str(target))
    assert making.wait(60) == -signal.SIGKILL, making.said()
    assert not target.exists()
    assert noted_at_ms(pipeline) == before
    making = pipeline.start("", "backup", str(target))
    assert making.wait(60) == 0, making.said()
    assert target.exists()
    assert noted_at_ms(pipeline) > before


def damage(path: Path, page_bytes: int) -> None:
    """Every page but those at the head, where SQLite would notice at once."""
    pages = path.stat().st_size // page_bytes
    assert pages > 8
    with path.open("r+b") as file:
        for page in range(6, pages):
            file.seek(page * page_bytes)
            file.write(os.urandom(100))


def told_in_one_line(pipeline: Pipeline) -> str:
    """What `courtyard ingest` says when it does not start."""
    ingest = pipeline.start()
    assert ingest.wait(30) == 1, ingest.said()
    assert "Traceback" not in ingest.said()
    (line,) = [line for line in ingest.said().splitlines() if not line.startswith("{")]
    assert line.startswith("courtyard: ")
    assert "is damaged" in line
    return line


def test_ingest_does_not_start_on_a_damaged_journal(rig: Rig, accident: Accident) -> None:
    pipeline = rig.pipeline("damaged-journal", accident.broker_port)
    for name in ("journal.db", "journal.db-wal"):
        found = accident.pipeline.journal_path.with_name(name)
        if found.exists():
            shutil.copy(found, pipeline.journal_path.with_name(name))
    JournalWriter(pipeline.journal_path, now_ms).close()  # all of it into the file
    damage(pipeline.journal_path, 8192)
    assert "docs/operations.md" in told_in_one_line(pipeline)


@pytest.mark.skipif(DATABASE != "sqlite", reason="PostgreSQL checks its pages itself")
def test_ingest_does_not_start_on_a_damaged_database(rig: Rig, accident: Accident) -> None:
    pipeline = rig.pipeline("damaged-database", accident.broker_port)
    damage(pipeline.folder / "data" / "courtyard.db", 4096)
    assert "courtyard restore" in told_in_one_line(pipeline)
