"""Faults that are in the database already: told again, they change nothing and stop nobody."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from devices import faults
from devices.catalogue import rules_for
from devices.faults import Fault
from devices.journal import MESSAGES, PROBE, Head, Raw, Record
from devices.kinds import KINDS
from devices.store import schema
from devices.store.database import reading, writing
from devices.store.faults import Filter, list_faults, move_fault
from devices.store.judgements import Judgements
from devices.store.registry import save
from devices.store.scope import DISTRICT
from ingest.consume import Consumer
from ingest.judge.plan import plans
from tests.ingest.cast import NOW_MS, REGISTRY, a_publish, native

HOUR_MS = 3_600_000
SMOKE = {"ts": NOW_MS, "boot": 7, "seq": 10, "values": {"smoke": True}}


class FakeJournal:
    """Records in memory. Read more often than any drain needs, it ends the test."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.messages = 0
        self.reads_left = 100

    def add(self, *messages: Raw) -> None:
        record = Record(
            len(self.records) + 1, MESSAGES, self.messages + 1, len(messages), 1, messages
        )
        self.records.append(record)
        self.messages += len(messages)

    def add_probe(self, sent_ms: int) -> None:
        control = {"n": 1, "sent_ms": sent_ms, "at_ms": sent_ms}
        self.records.append(
            Record(len(self.records) + 1, PROBE, self.messages + 1, 0, 1, control=control)
        )

    def head(self) -> Head:
        return Head("journal", len(self.records), self.messages)

    def read(self, after: int, limit: int) -> list[Record]:
        self.reads_left -= 1
        assert self.reads_left >= 0, "the judge does not get past a record"
        return self.records[after : after + limit]


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        save(connection, REGISTRY, NOW_MS)
    return any_database


def judged(engine: Engine, journal: FakeJournal, now_ms: int) -> None:
    """All of the journal judged, by a process that has just started."""
    store = Judgements(engine)
    Consumer(store, plans(rules_for, KINDS), lambda: now_ms, stream="live").drain(journal)


def of_shed(payload: Any, received_ms: int) -> Raw:
    return a_publish(native("shed-1"), payload, received_ms=received_ms)


def the_faults(engine: Engine) -> list[Fault]:
    """The newest first."""
    with reading(engine) as connection:
        return list(list_faults(connection, DISTRICT, Filter(), before=None, limit=10))


def act(engine: Engine, fault: Fault, change: Any) -> None:
    with writing(engine) as connection:
        move_fault(connection, DISTRICT, fault.id, change)


def test_a_safety_sign_that_was_answered_long_ago_can_be_replayed(
    engine: Engine, journal: FakeJournal
) -> None:
    journal.add(of_shed(SMOKE, NOW_MS + 100))
    journal.add(
        of_shed(
            {"ts": NOW_MS + 5000, "boot": 8, "seq": 1, "values": {"smoke": False}}, NOW_MS + 5100
        )
    )
    judged(engine, journal, NOW_MS + 5200)
    (fault,) = the_faults(engine)
    act(engine, fault, lambda was: faults.acknowledge(was, "li-wei", NOW_MS + 6000))
    # after its restart the board sends again what it did not know to be received
    journal.add(of_shed([SMOKE], NOW_MS + HOUR_MS))
    journal.add(of_shed({"boot": 8, "seq": 2, "values": {"csq": 20}}, NOW_MS + HOUR_MS + 1))
    judged(engine, journal, NOW_MS + HOUR_MS + 2)
    assert [(f.id, f.state) for f in the_faults(engine)] == [(fault.id, "closed")]
    with reading(engine) as connection:
        position = connection.scalar(select(schema.cursors.c.position))
    assert position == len(journal.records)


def test_what_a_person_closed_while_nobody_judged_is_raised_again_if_it_lasts(
    engine: Engine, journal: FakeJournal
) -> None:
    journal.add(of_shed(SMOKE, NOW_MS + 100))
    journal.add_probe(NOW_MS + 200)
    judged(engine, journal, NOW_MS + 300)
    (first,) = the_faults(engine)
    act(engine, first, lambda was: faults.close(was, "li-wei", NOW_MS + HOUR_MS))
    later_ms = NOW_MS + 2 * HOUR_MS
    journal.add(of_shed({**SMOKE, "ts": later_ms, "seq": 11}, later_ms))
    judged(engine, journal, later_ms + 100)
    (again,) = the_faults(engine)  # it never ended, so it is the same one
    assert (again.id, again.state, again.occurrences) == (first.id, "open", 2)
    assert again.since_ms == NOW_MS
