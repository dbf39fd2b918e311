"""Rule files in the database: the newest counts, and a new one is a decision the judge hears of."""

import threading

from sqlalchemy import Engine, select

from devices.overrides import RuleSet
from devices.store.database import reading, writing
from devices.store.registry import newest_revision
from devices.store.rule_sets import RULES, newest, newest_after, save
from devices.store.schema import revisions, rule_sets

NOW_MS = 1_795_399_200_000


def saved(engine: Engine, body: str, by: str = "li-wei") -> RuleSet:
    with writing(engine) as connection:
        return save(connection, body, by, NOW_MS)


def test_without_any_nothing_is_changed(any_database: Engine) -> None:
    with reading(any_database) as connection:
        assert newest(connection) == RuleSet(0, "", "", 0)


def test_the_newest_counts_and_the_log_of_decisions_names_it(any_database: Engine) -> None:
    saved(any_database, "a = 1")
    second = saved(any_database, "b = 2\n", "zhao-min")
    with reading(any_database) as connection:
        assert newest(connection) == second == RuleSet(2, "b = 2\n", "zhao-min", NOW_MS)
        assert newest_revision(connection, RULES) == 2
        told = connection.execute(select(revisions.c.what, revisions.c.subject)).all()
    assert [tuple(row) for row in told] == [("rules", "1"), ("rules", "2")]


def test_the_newest_is_given_to_whoever_has_another_one(any_database: Engine) -> None:
    saved(any_database, "a = 1")
    with reading(any_database) as connection:
        assert newest_after(connection, 1) is None
        assert newest_after(connection, 0) == newest(connection)


def test_the_same_text_again_is_no_decision(any_database: Engine) -> None:
    first = saved(any_database, "a = 1")
    assert saved(any_database, "a = 1", "zhao-min") == first
    with reading(any_database) as connection:
        assert newest_revision(connection, RULES) == 1


def test_two_at_once_are_numbered_one_after_the_other(any_database: Engine) -> None:
    threads = [threading.Thread(target=saved, args=(any_database, f"a = {n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with reading(any_database) as connection:
        numbers = connection.execute(select(rule_sets.c.id).order_by(rule_sets.c.id)).scalars()
        order = connection.execute(select(revisions.c.subject).order_by(revisions.c.id)).scalars()
        assert [str(number) for number in numbers] == list(order)
