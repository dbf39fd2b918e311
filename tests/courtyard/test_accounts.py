"""The accounts over a real journal: they balance, and a row that is lost from it shows."""

from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from api.app import create_app
from api.parts import Dependencies
from courtyard.journals import FollowedJournal
from courtyard.web import JournalForApi
from devices.catalogue import rules_for
from devices.credentials import Seal
from devices.journal import MESSAGES, Raw
from devices.kinds import KINDS
from devices.store import tokens
from devices.store.database import writing
from devices.store.journal import Draft, JournalWriter
from devices.store.judgements import Judgements
from devices.store.schema import LIVE
from ingest.consume import Consumer
from ingest.judge.plan import plans
from tests.api.cast import GATE, NOW_MS, SECRET, XIANGYUNLI, FakeTelemetry, a_district


def a_message(seq: int) -> Raw:
    sent = {"ts": NOW_MS, "boot": 1, "seq": seq, "values": {"csq": 20}}
    topic = f"courtyard/v1/{XIANGYUNLI}/gate/{GATE}/telemetry"
    return Raw(topic.encode(), msgspec.json.encode(sent), 0, NOW_MS, XIANGYUNLI)


def written(path: Path) -> list[int]:
    """Three records of one, two and three messages; their ids."""
    drafts = [
        Draft(MESSAGES, 1, [a_message(seq) for seq in seqs]) for seqs in ([0], [1, 2], [3, 4, 5])
    ]
    with JournalWriter(path, lambda: NOW_MS) as writer:
        return writer.commit(drafts)


def lose(path: Path, record: int) -> None:
    """Take a row out behind everybody's back."""
    with closing(apsw.Connection(str(path))) as journal:
        journal.execute("DELETE FROM records WHERE id = ?", (record,))
        assert journal.changes() == 1


def account_of(engine: Engine, path: Path, compound: str | None) -> dict[str, int]:
    """What `/v1/accounting` says when the judge has come to the end of the journal."""
    with writing(engine) as connection:
        a_district(connection)
        secret = tokens.create(connection, "operator", None, "li-min", NOW_MS)
    journal = FollowedJournal(path)
    try:
        consumer = Consumer(
            Judgements(engine), plans(rules_for, KINDS), lambda: NOW_MS, stream=LIVE
        )
        consumer.drain(journal)
        app = create_app(
            Dependencies(
                engine=engine,
                telemetry=FakeTelemetry(),
                journal=JournalForApi(journal, Seal(SECRET)),
                clock=lambda: NOW_MS,
                secret_key=SECRET,
                demo=False,
                version="0.0.test",
            )
        )
        client = TestClient(app, headers={"Authorization": f"Bearer {secret}"})
        query = "" if compound is None else f"?compound={compound}"
        answer = client.get(f"/v1/accounting{query}")
        assert answer.status_code == 200, answer.text
        found: dict[str, int] = answer.json()
        return found
    finally:
        journal.close()


@pytest.mark.parametrize("compound", [None, XIANGYUNLI])
@pytest.mark.parametrize(("lost", "balance"), [(None, 0), (0, 1), (1, 2)])
def test_a_row_that_is_lost_from_the_journal_is_missing_in_the_balance(
    sqlite_database: Engine,
    tmp_path: Path,
    compound: str | None,
    lost: int | None,
    balance: int,
) -> None:
    path = tmp_path / "journal.db"
    ids = written(path)
    if lost is not None:
        lose(path, ids[lost])
    found = account_of(sqlite_database, path, compound)
    assert (found["received"], found["stored"]) == (6, 6 - balance)
    assert (found["pending"], found["balance"]) == (0, balance)
