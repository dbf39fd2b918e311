"""`courtyard replay`: refused messages judged again, readings written again, twice like once."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from structlog.testing import capture_logs

from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.replay import Range, run_replay
from courtyard.settings import Settings, load_settings
from courtyard.stores import make_data_dir, open_operational, open_telemetry
from devices.catalogue import rules_for
from devices.journal import MESSAGES, TICK, UNASSIGNED, Raw
from devices.kinds import KINDS
from devices.store import schema
from devices.store.accounts import read_account
from devices.store.database import reading, writing
from devices.store.journal import Draft, JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.registry import save
from devices.store.scope import DISTRICT
from devices.telemetry import Point, SeriesQuery
from ingest.consume import Consumer
from ingest.judge.plan import plans
from ingest.ports import Bell
from tests.ingest.judge.district import COMPOUND, a_device, a_gate, a_registry

MINUTE_MS = 60_000
BEGIN_MS = 1_795_439_400_000
ELSEWHERE = "lvyun-xiaoqu"
GATES = (a_gate(), a_device("gate-b", "gate", compound=ELSEWHERE))
STRANGER = a_gate("gate-new")
QUIET: list[str] = []


class Bench:
    """A data directory with a journal: a message of each gate a minute, judged by nobody yet."""

    def __init__(self, directory: Path) -> None:
        self.settings: Settings = load_settings({"COURTYARD_DATA_DIR": str(directory / "data")})
        make_data_dir(self.settings)
        self.engine: Engine = open_operational(self.settings)
        with writing(self.engine) as connection:
            save(connection, a_registry(*GATES), BEGIN_MS)
        self.seqs: dict[str, int] = {}

    def receives(self, minute: int, *devices: str, compound: str = COMPOUND) -> None:
        """One record with a message of each of these."""
        at_ms = BEGIN_MS + minute * MINUTE_MS
        messages = []
        for device in devices:
            seq = self.seqs[device] = self.seqs.get(device, 0) + 1
            place = ELSEWHERE if device == "gate-b" else compound
            origin = UNASSIGNED if device == "gate-new" else place
            said = {"ts": at_ms, "boot": 1, "seq": seq, "values": {"board_temp_c": 20.0 + minute}}
            topic = f"courtyard/v1/{place}/gate/{device}/telemetry"
            messages.append(Raw(topic.encode(), json.dumps(said).encode(), 0, at_ms, origin))
        with JournalWriter(self.settings.journal_path, now_ms) as writer:
            writer.commit(
                [
                    Draft(MESSAGES, 1, messages),
                    Draft(TICK, 1, control={"at_ms": at_ms}),
                ]
            )

    def imports_the_stranger(self) -> None:
        with writing(self.engine) as connection:
            save(connection, a_registry(*GATES, STRANGER), BEGIN_MS)

    def _consumer(self) -> Consumer:
        return Consumer(Judgements(self.engine), plans(rules_for, KINDS), now_ms, stream="live")

    def judge(self) -> None:
        with JournalReader(self.settings.journal_path) as reader:
            self._consumer().drain(reader)

    @contextmanager
    def judging(self) -> Iterator[None]:
        """A judge runs beside the command."""
        stop, bell = threading.Event(), Bell()
        with JournalReader(self.settings.journal_path) as reader:
            consumer = self._consumer()
            thread = threading.Thread(target=consumer.run, args=(reader, bell, stop))
            thread.start()
            try:
                yield
            finally:
                stop.set()
                bell.ring()
                thread.join(20)

    def replay(self, first: int = 0, end: int = 100, **more: Any) -> str:
        patience_s = more.pop("patience_s", 20.0)
        what = Range(BEGIN_MS + first * MINUTE_MS, BEGIN_MS + end * MINUTE_MS, **more)
        return run_replay(self.settings, what, patience_s, QUIET.append)

    def temperatures(self, device: str) -> dict[int, float]:
        """minute -> what the telemetry store has."""
        store = open_telemetry(self.settings)
        try:
            query = SeriesQuery("gate", device, "board_temp_c", 0, 2**50, 1000)
            return {
                (sample.at_ms - BEGIN_MS) // MINUTE_MS: float(sample.value)
                for sample in store.samples(query)
            }
        finally:
            store.close()

    def plant(self, device: str, minute: int, value: float) -> None:
        store = open_telemetry(self.settings)
        try:
            at_ms = BEGIN_MS + minute * MINUTE_MS
            store.write([Point("gate", COMPOUND, device, at_ms, {"board_temp_c": value})])
        finally:
            store.close()

    def accounts(self) -> tuple[int, dict[str, int]]:
        with reading(self.engine) as connection:
            account = read_account(connection, DISTRICT)
        return account.stored, dict(account.quarantined)


@pytest.fixture
def bench(data_dir: Path) -> Iterator[Bench]:
    made = Bench(data_dir.parent)
    for minute in range(10):
        made.receives(minute, "gate", "gate-b")
    yield made
    made.engine.dispose()


def test_the_readings_of_the_range_are_written_again_and_no_others(bench: Bench) -> None:
    bench.judge()
    bench.plant("gate", 4, 99.0)  # by an adapter that was wrong
    bench.plant("gate", 8, 99.0)
    told = bench.replay(2, 6)
    assert bench.temperatures("gate") == {2: 22, 3: 23, 4: 24, 5: 25, 8: 99}
    assert "8 points written again" in told
    assert "nothing of this range is refused" in told


def test_of_one_compound_only_its_own_are_written(bench: Bench) -> None:
    bench.judge()
    bench.replay(compound=ELSEWHERE)
    assert bench.temperatures("gate") == {}
    assert len(bench.temperatures("gate-b")) == 10


def test_a_second_replay_changes_nothing(bench: Bench) -> None:
    bench.receives(10, "gate-new")
    bench.judge()
    bench.imports_the_stranger()
    with bench.judging():
        first = bench.replay()
        before = (bench.accounts(), bench.temperatures("gate"))
        second = bench.replay()
    assert "of 1 message 1 became stored" in first
    assert "nothing of this range is refused" in second
    assert (bench.accounts(), bench.temperatures("gate")) == before
    with reading(bench.engine) as connection:
        names = set(connection.execute(select(schema.cursors.c.name)).scalars())
    assert names == {"judge"}, "its own cursor is gone when it is done"


def test_what_became_of_refused_messages_is_told_and_only_the_range_is_asked_for(
    bench: Bench,
) -> None:
    for minute in range(10, 14):
        bench.receives(minute, "gate-new")
    bench.receives(14, "gate-newer")
    bench.judge()
    bench.imports_the_stranger()
    with bench.judging():
        told = bench.replay(11, 50)
    assert told.splitlines()[0] == (
        "quarantine: of 4 messages 3 became stored, 0 duplicate; 1 stay refused (unknown_device 1)"
    )
    assert bench.accounts() == (23, {"unknown_device": 2})


def test_of_a_compound_also_what_came_before_its_device_was_known(bench: Bench) -> None:
    bench.receives(10, "gate-new")
    bench.receives(11, "gate-new", compound="xiangyunli")
    bench.judge()
    bench.imports_the_stranger()
    with bench.judging():
        told = bench.replay(compound=COMPOUND)
    assert "of 1 message 1 became stored" in told


def test_with_a_reason_only_what_was_refused_for_it_is_judged_and_no_reading_is_written(
    bench: Bench,
) -> None:
    bench.receives(10, "gate-new")
    bench.judge()
    bench.imports_the_stranger()
    with bench.judging():
        assert "nothing of this range" in bench.replay(reason="not_json")
        assert "1 became stored" in bench.replay(reason="unknown_device")
    assert bench.temperatures("gate") == {}


def test_what_is_refused_still_is_not_written(bench: Bench) -> None:
    with writing(bench.engine) as connection:
        connection.execute(
            schema.quarantine.insert().values(
                journal_id=JournalReader(bench.settings.journal_path).head().journal_id,
                jseq=1,
                received_at_ms=BEGIN_MS - 1,  # not of the range that is asked for
                compound=COMPOUND,
                topic="t",
                reason="conflict",
                detail="",
                sha256="",
                size_bytes=0,
                partial=False,
            )
        )
    bench.judge()
    bench.replay()
    assert set(bench.temperatures("gate")) == set(range(1, 10))
    assert set(bench.temperatures("gate-b")) == set(range(10))


def test_without_a_judge_it_gives_up_and_says_what_to_do(bench: Bench) -> None:
    bench.receives(10, "gate-new")
    bench.judge()
    with pytest.raises(CommandError, match="no judge has taken up") as failed:
        bench.replay(patience_s=0.3)
    assert failed.value.exit_code == 1
    assert "courtyard ingest" in str(failed.value)


def test_one_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed when the second request was written, and its cursor did not say so yet."""
    bench = Bench(tmp_path)
    try:
        for minute in range(14):
            bench.receives(minute, *["gate"] * 999, "gate-b")
        bench.judge()
        arguments = ["--from", "2026-11-23T13:00:00Z", "--to", "2026-11-23T15:00:00Z"]
        environ = {
            **os.environ,
            "COURTYARD_DATA_DIR": str(bench.settings.data_dir),
            "COURTYARD_FAILPOINTS": "F4:kill@2",
        }
        command = [sys.executable, "-m", "courtyard", "replay", *arguments]
        killed = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert len(bench.temperatures("gate-b")) == 14, "all of it is written"
        bench.plant("gate-b", 0, 99.0)
        bench.plant("gate-b", 13, 99.0)
        del environ["COURTYARD_FAILPOINTS"]
        again = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert again.returncode == 0, again.stderr
        assert "14000 points written again" in again.stdout
        assert bench.temperatures("gate-b")[0] == 99.0, "what was done before is not done again"
        assert bench.temperatures("gate-b")[13] == 33.0
    finally:
        bench.engine.dispose()


def test_what_the_journal_no_longer_has_is_said(bench: Bench) -> None:
    bench.judge()
    with JournalWriter(bench.settings.journal_path, now_ms) as writer:
        writer.trim(BEGIN_MS + 5 * MINUTE_MS, 20)
    QUIET.clear()
    bench.replay()
    assert set(bench.temperatures("gate")) == {5, 6, 7, 8, 9}
    assert any("the journal begins at 2026-11-23T13:15:00Z" in line for line in QUIET), QUIET


def test_without_a_journal_only_the_quarantine_is_looked_at(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        assert "nothing was read again: there is no journal" in bench.replay()
    finally:
        bench.engine.dispose()


def test_an_empty_journal_has_nothing_to_write(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    JournalWriter(bench.settings.journal_path, now_ms).close()
    try:
        assert "0 points written again" in bench.replay()
    finally:
        bench.engine.dispose()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"first": 5, "end": 5}, "--to"), ({"compound": "atlantis"}, "atlantis")],
)
def test_what_makes_no_sense_is_refused(bench: Bench, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        bench.replay(**wrong)


def test_a_damaged_record_is_passed_over(bench: Bench) -> None:
    bench.judge()
    db = sqlite3.connect(bench.settings.journal_path)
    with db:
        db.execute("UPDATE records SET crc = crc + 1 WHERE id = 5")
    db.close()
    with capture_logs():
        bench.replay()
    assert set(bench.temperatures("gate")) == set(range(10)) - {2}
