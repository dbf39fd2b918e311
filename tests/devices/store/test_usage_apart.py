"""Figures of usage that do not add up: people, most sockets at once, dark time of lamps."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, insert, select

from devices.apart import Apart, dark_s
from devices.days import midnight_of, month_of, next_midnight, week_of
from devices.judgement import Cursor, Effects
from devices.store.compounds import Entry, read_directory
from devices.store.database import reading, writing
from devices.store.judgements import Judgements
from devices.store.schema import usage_credentials, usage_since
from devices.store.scope import DISTRICT, Scope
from devices.store.usage_apart import apart_of_compound, apart_of_many, unit_of
from devices.store.usage_days import UsageDays, Work
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    JOURNAL,
    LAMP,
    LIANXIN,
    NOW_MS,
    XIANGYUNLI,
    a_district,
    a_fault,
    a_session,
)

ZONE = ZoneInfo("Asia/Shanghai")
TODAY_MS = midnight_of(NOW_MS, ZONE)


def day(back: int) -> int:
    return TODAY_MS - back * DAY_MS


def person(number: int) -> bytes:
    return number.to_bytes(8, "big")


def people(numbers: Sequence[int]) -> set[bytes]:
    return {person(number) for number in numbers}


def commit(engine: Engine, *passed: dict[tuple[str, int], set[bytes]]) -> None:
    """Each as one commit of the judge."""
    judgements = Judgements(engine)
    judgements.registry()
    was: Cursor | None = judgements.load().cursor
    position = 0 if was is None else was.position
    for n, credentials in enumerate(passed, 1):
        effects = Effects(position=position + n, jseq=position + n, credentials=dict(credentials))
        was = judgements.commit(effects, JOURNAL, was, NOW_MS)


def entry_of(engine: Engine, compound: str = XIANGYUNLI) -> Entry:
    with reading(engine) as connection:
        return read_directory(connection, NOW_MS).compounds[compound]


def asked(
    engine: Engine, starts: Sequence[int], to_ms: int, compound: str = XIANGYUNLI
) -> tuple[list[Apart], Apart]:
    entry = entry_of(engine, compound)
    return apart_of_compound(engine, DISTRICT, entry, starts, to_ms, NOW_MS)


def households(engine: Engine, starts: Sequence[int], to_ms: int) -> list[int | None]:
    found, total = asked(engine, starts, to_ms)
    return [*(one.households for one in found), total.households]


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        a_district(connection)
    return any_database


# People


def test_people_of_several_days_are_counted_once(engine: Engine) -> None:
    commit(
        engine,
        {(XIANGYUNLI, day(2)): people(range(10))},
        {(XIANGYUNLI, day(1)): people(range(5, 20)), (LIANXIN, day(1)): people(range(90))},
    )
    assert households(engine, [day(2), day(1)], day(0)) == [10, 15, 20]


def test_fewer_than_five_are_not_published(engine: Engine) -> None:
    commit(engine, {(XIANGYUNLI, day(2)): people(range(4)), (XIANGYUNLI, day(1)): people([9])})
    assert households(engine, [day(2), day(1)], day(0)) == [None, None, 5]


def test_people_are_known_by_whole_days_and_by_the_one_that_runs(engine: Engine) -> None:
    commit(engine, {(XIANGYUNLI, day(0)): people(range(8)), (XIANGYUNLI, day(1)): people(range(9))})
    assert households(engine, [day(0)], NOW_MS) == [8, 8]
    assert households(engine, [day(0), day(0) + HOUR_MS], NOW_MS) == [None, None, 8]
    assert households(engine, [day(1) + HOUR_MS], day(0)) == [None, None]
    assert households(engine, [day(1)], day(0) - HOUR_MS) == [None, None]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_repetition_and_split_into_commits_is_the_same(engine: Engine, seed: int) -> None:
    rng = Random(seed)
    passed = [(day(rng.randrange(3)), person(rng.randrange(30))) for _ in range(80)]
    sent = [*passed, *rng.sample(passed, 30)]
    rng.shuffle(sent)
    commits = []
    while sent:
        batch: dict[tuple[str, int], set[bytes]] = {}
        for _ in range(min(len(sent), rng.randrange(1, 20))):
            at_ms, who = sent.pop()
            batch.setdefault((XIANGYUNLI, at_ms), set()).add(who)
        commits.append(batch)
    commit(engine, *commits)
    expected: dict[int, set[bytes]] = {}
    for at_ms, who in passed:
        expected.setdefault(at_ms, set()).add(who)
    with reading(engine) as connection:
        rows = connection.execute(
            select(usage_credentials.c.day_ms, usage_credentials.c.hashes)
        ).all()
    assert {row.day_ms: row.hashes for row in rows} == {
        at_ms: b"".join(sorted(hashes)) for at_ms, hashes in expected.items()
    }


def test_another_firms_people_are_not_counted(engine: Engine) -> None:
    commit(engine, {(XIANGYUNLI, day(1)): people(range(30))})
    entry = entry_of(engine)
    scope = Scope("kangqiao")
    found, total = apart_of_compound(engine, scope, entry, [day(1)], day(0), NOW_MS)
    assert [one.households for one in (*found, total)] == [None, None]


# Most sockets at once


def use(engine: Engine, *spans: tuple[int | None, int | None], **more: object) -> None:
    with writing(engine) as connection:
        for n, (start, end) in enumerate(spans):
            state = "open" if end is None else "closed"
            name = f"{more.get('compound', 'x')}-{n}"
            fields = {"started_at_ms": start, "ended_at_ms": end, "state": state, **more}
            a_session(connection, name, **fields)


def test_the_most_sockets_at_once_are_those_of_a_moment(engine: Engine) -> None:
    eight = day(1) + 20 * HOUR_MS
    use(
        engine,
        (eight, eight + 3 * HOUR_MS),
        (eight + HOUR_MS, eight + 5 * HOUR_MS),  # until after midnight
        (eight + 2 * HOUR_MS, eight + 2 * HOUR_MS + 1000),
        (None, eight + 3 * HOUR_MS),  # that took three hours, as its end says
        (day(0) + 10 * HOUR_MS, None),  # and still does
    )
    found, total = asked(engine, [day(2), day(1), day(0)], NOW_MS)
    assert [one.peak_ports for one in found] == [0, 4, 1]
    assert total.peak_ports == 4


# Lamps that are out


def test_dark_time_is_shared_out_and_divided_by_the_faults(engine: Engine) -> None:
    noon = day(2) + 12 * HOUR_MS
    with writing(engine) as connection:
        common = {"code": "LAMP_OUT", "kind": "lamp", "device": LAMP, "opened_at_ms": noon}
        ended = {"state": "closed", "closed_at_ms": noon + DAY_MS, "cleared_at_ms": noon + DAY_MS}
        a_fault(connection, "f1", since_ms=noon, **common, **ended)
        common["opened_at_ms"] = noon + DAY_MS
        a_fault(connection, "f2", since_ms=noon + DAY_MS, **common)
        for name, why in (
            ("f3", {"suspected": True}),
            ("f4", {"suppressed_by": "f1"}),
            ("f5", {"state": "closed", "closed_at_ms": NOW_MS, "resolution": "false_alarm"}),
        ):
            a_fault(
                connection,
                name,
                since_ms=noon,
                **common | {"subject": f"{LAMP}-{name}"} | why,
            )
    entry = entry_of(engine)
    found, total = asked(engine, [day(2), day(1), day(0)], NOW_MS)
    assert [one.dark_faults for one in found] == [1, 2, 1]
    assert total.dark_faults == 2

    def dark(from_ms: int, to_ms: int) -> float:
        return dark_s(entry.latitude, entry.longitude, from_ms, to_ms)

    assert total.dark_s == pytest.approx(dark(noon, NOW_MS))
    assert found[0].dark_s == pytest.approx(dark(noon, day(1)))
    assert sum(one.dark_s for one in found) == pytest.approx(total.dark_s)
    nobody, none = asked(engine, [day(2)], day(1), LIANXIN)
    assert nobody[0].mean_dark_h is none.mean_dark_h is None


# Of many compounds


def sum_up(engine: Engine, *days: int) -> None:
    for compound in (XIANGYUNLI, LIANXIN):
        UsageDays(engine).build(Work(compound, days), NOW_MS)
        UsageDays(engine).build_peaks(compound)


def of_many(engine: Engine, borders: Sequence[int]) -> tuple[list[Apart], Apart]:
    entries = [entry_of(engine, name) for name in (XIANGYUNLI, LIANXIN)]
    found = apart_of_many(
        engine,
        DISTRICT,
        entries,
        {entry.id: borders for entry in entries},
        {entry.id: "all" for entry in entries},
        day(0),
        NOW_MS,
    )
    return found["all"]


def test_of_many_compounds_people_add_up_and_sockets_are_those_of_one(engine: Engine) -> None:
    commit(
        engine,
        {(XIANGYUNLI, day(2)): people(range(10)), (XIANGYUNLI, day(1)): people(range(8, 14))},
        {(LIANXIN, day(2)): people(range(20)), (LIANXIN, day(1)): people(range(3))},
    )
    evening = day(2) + 20 * HOUR_MS
    use(engine, *[(evening, evening + HOUR_MS)] * 3)
    use(engine, *[(evening, evening + HOUR_MS)] * 2, compound=LIANXIN)
    sum_up(engine, day(2), day(1))
    parts, total = of_many(engine, [day(2), day(1), day(0)])
    assert [one.households for one in parts] == [30, 6]  # 3 are too few to be told
    assert [one.peak_ports for one in parts] == [3, 0]
    assert total.households is None  # two days are no unit
    assert total.peak_ports == 3


@pytest.mark.parametrize("begins", [week_of, month_of])
def test_a_week_and_a_month_that_run_are_known_as_far_as_they_have_come(
    engine: Engine, begins: object
) -> None:
    first = begins(day(1), ZONE)  # type: ignore[operator]
    days = list(range(first, day(0), DAY_MS))
    passed = {(XIANGYUNLI, at): people(range(n, n + 9)) for n, at in enumerate(days)}
    commit(engine, passed)
    sum_up(engine, *days)
    (part,), total = of_many(engine, [first, day(0)])
    assert part.households == total.households == len(days) + 8
    assert households(engine, [first], day(0)) == [part.households] * 2


def test_who_is_told_of_late_is_in_the_sums_once_the_day_is_summed_up_again(
    engine: Engine,
) -> None:
    commit(engine, {(XIANGYUNLI, day(1)): people(range(10))})
    sum_up(engine, day(1))
    commit(engine, {(XIANGYUNLI, day(1)): people(range(12))})
    assert of_many(engine, [day(1), day(0)])[0][0].households == 10
    sum_up(engine, day(1))
    assert of_many(engine, [day(1), day(0)])[0][0].households == 12


def test_what_is_not_summed_up_is_not_known(engine: Engine) -> None:
    parts, total = of_many(engine, [day(2), day(1), day(0)])
    assert {one.households for one in parts} == {one.peak_ports for one in parts} == {None}
    assert total.peak_ports is None


def test_stretches_are_days_weeks_and_months_or_none_of_them() -> None:
    newest = day(0)
    monday, first = week_of(day(14), ZONE), month_of(day(40), ZONE)
    assert unit_of(day(3), day(2), ZONE, newest) == "day"
    assert unit_of(monday, monday + 7 * DAY_MS, ZONE, newest) == "week"
    assert unit_of(first, month_of(first + 32 * DAY_MS, ZONE), ZONE, newest) == "month"
    assert unit_of(month_of(day(1), ZONE), newest, ZONE, newest) == "month"
    assert unit_of(first, first + 9 * DAY_MS, ZONE, newest) is None
    assert unit_of(day(3) + HOUR_MS, day(2), ZONE, newest) is None
    assert all(
        unit_of(start, next_midnight(start, ZONE), ZONE, newest) == "day"
        for start, _ in pairwise(range(day(60), day(0), DAY_MS))
    )


# What was not counted yet


def test_a_figure_is_unknown_before_it_was_counted(engine: Engine) -> None:
    with writing(engine) as connection:
        row = {"figure": "held_open_min", "since_ms": day(1)}
        connection.execute(insert(usage_since).values(**row))
    found, total = asked(engine, [day(2), day(1)], day(0))
    assert [sorted(one.unknown) for one in found] == [["held_open_min"], []]
    assert total.unknown == {"held_open_min"}
