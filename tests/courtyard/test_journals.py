"""A journal that another process makes, replaces or takes away, as those see it who follow it."""

from pathlib import Path

import pytest

from api.parts import JournalAway
from courtyard.journals import FollowedJournal
from courtyard.web import JournalForApi
from devices.credentials import Seal
from devices.journal import MESSAGES, Raw
from devices.store.journal import Draft, JournalMissing, JournalReplaced, JournalWriter

NOW_MS = 1_795_399_200_000
SECRET = b"sixteen bytes of secret"


def a_journal(path: Path, messages: int) -> None:
    raw = Raw(b"courtyard/v1/a/gate/b/telemetry", b"{}", 0, NOW_MS, "a")
    with JournalWriter(path, lambda: NOW_MS) as writer:
        writer.commit([Draft(MESSAGES, 1, [raw] * messages)])


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def test_it_may_be_followed_before_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    followed = FollowedJournal(path)
    with pytest.raises(JournalMissing):
        followed.head()
    a_journal(path, 3)
    assert followed.head().jseq == 3
    assert len(followed.read(0, 10)[0].messages) == 3
    assert followed.count(0, None, 10).received == {("a", 0): 3}
    assert followed.size_bytes() > 0
    followed.close()


def test_another_file_in_its_place_is_said_once_and_then_followed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    a_journal(path, 3)
    followed = FollowedJournal(path)
    first = followed.head()
    remove(path)
    a_journal(path, 5)
    with pytest.raises(JournalReplaced):
        followed.head()
    second = followed.head()
    assert second.jseq == 5
    assert second.journal_id != first.journal_id
    followed.close()


def test_the_api_is_told_in_its_own_words(tmp_path: Path) -> None:
    followed = FollowedJournal(tmp_path / "journal.db")
    journal = JournalForApi(followed, Seal(SECRET))
    with pytest.raises(JournalAway, match="courtyard ingest"):
        journal.head()
    a_journal(tmp_path / "journal.db", 2)
    assert journal.head().jseq == 2
    hour_ms = NOW_MS - NOW_MS % 3_600_000
    counted = journal.count(0, (hour_ms, hour_ms + 1), 10)
    assert (counted.received, counted.head) == ({("a", hour_ms): 2}, journal.head())
    assert journal.count(0, None, 10).received == {("a", 0): 2}
    assert len(journal.read(0, 1)) == 1
    followed.close()


def test_whole_messages_come_to_the_api_without_what_tells_people_apart(tmp_path: Path) -> None:
    topic = b"courtyard/v1/a/gate/b/event"
    sent = b'{"event":"access","credential":"6228480402564890018","method":"card"}'
    with JournalWriter(tmp_path / "journal.db", lambda: NOW_MS) as writer:
        writer.commit([Draft(MESSAGES, 1, [Raw(topic, sent, 0, NOW_MS, "a")])])
    followed = FollowedJournal(tmp_path / "journal.db")
    found = JournalForApi(followed, Seal(SECRET)).sent_by(b"b", None, NOW_MS, 0, 10, 1.0)
    ((_, raw),) = found.messages
    assert b"6228480402564890018" not in raw.payload
    assert b'"method":"card"' in raw.payload
    assert (raw.topic, raw.received_ms, raw.origin) == (topic, NOW_MS, "a")
    followed.close()
