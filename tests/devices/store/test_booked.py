"""What the judge has booked, in one look with its cursor; and what other journals left behind."""

from sqlalchemy import Connection, Engine, insert

from devices.judgement import Effects
from devices.store.accounts import booked_before, read_booked
from devices.store.database import reading, writing
from devices.store.judgements import Judgements
from devices.store.schema import LIVE, accounts

HOUR_MS = 3_600_000
HOUR = 1_795_434_130_000 // HOUR_MS * HOUR_MS


def an_account(connection: Connection, compound: str, hour_ms: int, **counts: int) -> None:
    for name, count in counts.items():
        outcome, _, reason = name.partition("__")
        row = {"stream": LIVE, "compound": compound, "hour_ms": hour_ms}
        row |= {"outcome": outcome, "reason": reason, "count": count}
        connection.execute(insert(accounts).values(row))


def judged(engine: Engine, journal_id: str = "j1", jseq: int = 9) -> None:
    effects = Effects(position=7, jseq=jseq)
    Judgements(engine).commit(effects, journal_id, None, HOUR)


def test_before_the_first_judgement_nothing_is_booked(any_database: Engine) -> None:
    with reading(any_database) as connection:
        assert read_booked(connection) is None


def test_outcomes_add_up_by_compound_and_marks_do_not(any_database: Engine) -> None:
    judged(any_database)
    with writing(any_database) as connection:
        an_account(connection, "b", HOUR, stored=5, duplicate=1, late=5, partial=2, part__clock=3)
        an_account(connection, "a", HOUR, stored=2, quarantined__not_json=1)
        an_account(connection, "a", HOUR - HOUR_MS, stored=4)
        an_account(connection, "unassigned", 0, quarantined__journal_corrupt=3)
    with reading(any_database) as connection:
        whole = read_booked(connection)
        recent = read_booked(connection, HOUR)
    assert whole is not None
    assert (whole.journal_id, whole.position, whole.jseq, whole.corrupt) == ("j1", 7, 9, 3)
    assert whole.counts == {("a", 0): 7, ("b", 0): 6, ("unassigned", 0): 3}
    assert recent is not None
    assert recent.counts == {("a", HOUR): 3, ("b", HOUR): 6}


def test_without_accounts_there_are_no_places(any_database: Engine) -> None:
    judged(any_database)
    with reading(any_database) as connection:
        recent, whole = read_booked(connection, HOUR), read_booked(connection)
    assert (recent is not None and recent.counts) == {}
    assert (whole is not None and whole.counts) == {}


def test_what_was_booked_from_another_journal_is_kept_once(any_database: Engine) -> None:
    store = Judgements(any_database)
    first = Effects(position=7, jseq=9, accounts={("a", HOUR, "stored", ""): 9})
    was = store.commit(first, "j1", None, HOUR)
    second = Effects(position=1, jseq=2, accounts={("a", HOUR, "stored", ""): 2})
    was = store.commit(second, "j2", was, HOUR)
    store.commit(Effects(position=2, jseq=2), "j2", was, HOUR)
    with reading(any_database) as connection:
        assert booked_before(connection, "j1") == {}
        assert booked_before(connection, "j2") == {"a": 9}
