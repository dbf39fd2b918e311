"""Usage summed up by day and month: the same as its hours, whatever was written when."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete, select

from api.usage import bucket_starts
from devices.coverage import Places, Promise, Sum, sum_hours
from devices.days import began, local_date, midnight_of, next_midnight
from devices.registry import Registry
from devices.store import registry
from devices.store.compounds import Entry, read_directory
from devices.store.database import reading, writing
from devices.store.schema import (
    usage_days,
    usage_days_due,
    usage_hours,
    usage_months,
    usage_spans,
)
from devices.store.scope import DISTRICT, Scope
from devices.store.usage import device_hours, reporters
from devices.store.usage_again import UsageAgain, Worked
from devices.store.usage_days import (
    SETTLED_AFTER_MS,
    TooMuch,
    UsageDays,
    Work,
    cut,
    first_hours,
    in_portions,
    mark_days,
    pack,
    sums_of_compound,
    sums_of_many,
    unpack,
)
from tests.api.cast import (
    COMPOUNDS,
    DAY_MS,
    DEVICES,
    FIRMS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    an_hour,
)

ZONE = ZoneInfo("Asia/Shanghai")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


NOW_MS = ms("2026-11-23T19:00:00+08:00")
TODAY_MS = ms("2026-11-23T00:00:00+08:00")
DAY = ms("2026-10-30T00:00:00+08:00")


def entry_of(engine: Engine, compound: str = XIANGYUNLI) -> Entry:
    with reading(engine) as connection:
        return read_directory(connection, NOW_MS).compounds[compound]


def each(*entries: Entry) -> dict[str, str]:
    """Every compound is a group of its own."""
    return {entry.id: entry.id for entry in entries}


def sum_all_up(engine: Engine, now_ms: int = NOW_MS) -> int:
    """As the worker does; how many days it were."""
    days = UsageDays(engine)
    count = 0
    for work in days.missing(now_ms):
        days.build(work, now_ms)
        count += len(work.days)
    for compound in days.compounds():
        days.build_months(compound, now_ms)
        days.build_peaks(compound)
    return count


def sum_due_up(engine: Engine, now_ms: int = NOW_MS) -> list[tuple[str, int]]:
    days = UsageDays(engine)
    due = list(days.due(now_ms))
    for compound, day_ms in due:
        days.build(Work(compound, [day_ms]), now_ms)
        days.build_months(compound, now_ms)
        days.build_peaks(compound)
    return due


def by_hours(engine: Engine, entry: Entry, starts: Sequence[int], to_ms: int) -> list[Sum]:
    with reading(engine) as connection:
        promise = Promise(entry, reporters(connection, DISTRICT, entry.id), to_ms)
        rows = device_hours(connection, DISTRICT, entry.id, starts[0], to_ms)
    places = Places(starts)
    sum_hours(promise, rows, starts[0], to_ms, places)
    return places.sums


def known(sums: Sequence[Sum]) -> list[dict[str, object]]:
    """What can be compared: kinds of which nothing is known are there or not."""
    return [
        {
            kind: (part.figures, part.received, part.expected, part.port_s)
            for kind, part in one.parts.items()
            if part.figures or part.received or part.expected or part.port_s
        }
        for one in sums
    ]


def write_late(connection: Connection, device: str, hour_ms: int, **figures: float) -> None:
    """As a writer does: the hour, and its mark."""
    compound = XIANGYUNLI if device != STRANGE_GATE else LIANXIN
    an_hour(connection, device, hour_ms, 60, **figures)
    mark_days(connection, [(compound, hour_ms)], NOW_MS)


# The same as the hours

# Binary fractions, so that sums are exact in any order.
amounts = st.integers(0, 4096).map(lambda n: n / 64)
hours = st.integers(0, 24 * 80)  # back from the hour that runs


def figures_of(device: str, amount: float) -> dict[str, float | dict[str, float]]:
    if device == GATE:
        return {"granted": amount, "by_method": {"face": amount, "card": 1}}
    if device == PORT:
        return {"energy_kwh": amount, "in_use_s": amount, "stop_reasons": {"full": 1}}
    return {"lit_s": amount, "unknown_s": 1.5}


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    early=st.dictionaries(st.tuples(st.sampled_from([GATE, PORT, LAMP]), hours), amounts),
    late=st.dictionaries(st.tuples(st.sampled_from([GATE, PORT, LAMP]), hours), amounts),
    begins=hours,
    lasts=st.integers(1, 24 * 80),
    bucket=st.sampled_from(["hour", "day", "week", "month"]),
    again=st.booleans(),
)
@pytest.mark.long
def test_sums_and_hours_say_the_same(
    sqlite_database: Engine,
    early: dict[tuple[str, int], float],
    late: dict[tuple[str, int], float],
    begins: int,
    lasts: int,
    bucket: str,
    again: bool,
) -> None:
    engine = sqlite_database
    with writing(engine) as connection:
        for table in (usage_hours, usage_days, usage_months, usage_spans, usage_days_due):
            connection.execute(delete(table))
        if first_hours(connection, [XIANGYUNLI]) == {}:
            a_district(connection)
        for (device, back), amount in early.items():
            an_hour(connection, device, NOW_MS - back * HOUR_MS, 60, **figures_of(device, amount))
    sum_all_up(engine)
    with writing(engine) as connection:
        news = {key: amount for key, amount in late.items() if key not in early}
        for (device, back), amount in news.items():
            hour_ms = NOW_MS - back * HOUR_MS
            an_hour(connection, device, hour_ms, 10, **figures_of(device, amount))
            mark_days(connection, [(XIANGYUNLI, hour_ms)], NOW_MS)
    if again:
        sum_due_up(engine)
    entry = entry_of(engine)
    to_ms = NOW_MS - min(begins, 24 * 20) * HOUR_MS
    starts = list(bucket_starts(to_ms - lasts * HOUR_MS, to_ms, ZONE, bucket))  # type: ignore[arg-type]
    found = sums_of_compound(engine, DISTRICT, entry, starts, to_ms)
    assert known(found) == known(by_hours(engine, entry, starts, to_ms))


@pytest.mark.parametrize("bucket", ["day", "week", "month"])
def test_many_compounds_are_the_sum_of_each(any_database: Engine, bucket: str) -> None:
    rng = Random(3)
    with writing(any_database) as connection:
        a_district(connection)
        for device in (GATE, PORT, LAMP, STRANGE_GATE):
            for back in rng.sample(range(1, 24 * 60), 40):
                an_hour(
                    connection,
                    device,
                    NOW_MS - back * HOUR_MS,
                    rng.randrange(60),
                    **figures_of(device, rng.randrange(64) / 64),
                )
    sum_all_up(any_database)
    entries = [entry_of(any_database, name) for name in (XIANGYUNLI, LIANXIN)]
    starts = list(bucket_starts(ms("2026-09-20T00:00:00+08:00"), TODAY_MS, ZONE, bucket))  # type: ignore[arg-type]
    borders = [*starts, TODAY_MS]
    found = sums_of_many(
        any_database,
        DISTRICT,
        entries,
        {entry.id: borders for entry in entries},
        each(*entries),
        0,
        100,
    )
    assert found.pending == 0
    for entry in entries:
        expected = by_hours(any_database, entry, starts, TODAY_MS)
        assert known(found.sums[entry.id]) == known(expected)
    for kind in ("gate", "port", "lamp"):
        of_kind = sums_of_many(
            any_database,
            DISTRICT,
            entries,
            {entry.id: borders for entry in entries},
            each(*entries),
            0,
            100,
            only=kind,
        )
        for entry in entries:
            expected = [one.only(kind) for one in found.sums[entry.id]]
            assert known(of_kind.sums[entry.id]) == known(expected)
    together = sums_of_many(
        any_database,
        DISTRICT,
        entries,
        {entry.id: borders for entry in entries},
        {entry.id: "all" for entry in entries},
        0,
        100,
    )
    for index, one in enumerate(together.sums["all"]):
        whole = Sum()
        for entry in entries:
            whole.add(found.sums[entry.id][index])
        assert known([one]) == known([whole])


def test_what_is_packed_is_the_same_when_it_is_unpacked() -> None:
    one = Sum()
    part = one.part("gate")
    part.figures = {"granted": 3, "by_method": {"face": 2.5}}
    part.received, part.expected, part.port_s = 1.0, 2.0, 3.0
    assert unpack(pack(one)) == one


# What is due


def test_an_hour_of_a_day_that_is_over_makes_it_due(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        mark_days(
            connection,
            [
                (XIANGYUNLI, NOW_MS),
                (XIANGYUNLI, TODAY_MS),
                (XIANGYUNLI, TODAY_MS - HOUR_MS),
                (XIANGYUNLI, TODAY_MS - 2 * HOUR_MS),
                (LIANXIN, DAY + 3 * HOUR_MS),
                ("nowhere", DAY),
            ],
            NOW_MS,
        )
    assert UsageDays(any_database).due(NOW_MS) == {
        (XIANGYUNLI, TODAY_MS - DAY_MS): 1,
        (LIANXIN, DAY): 1,
    }


def test_a_history_marks_every_day_and_today_waits_until_it_is_over(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        mark_days(connection, [(XIANGYUNLI, TODAY_MS)], None)
    days = UsageDays(any_database)
    assert days.due(NOW_MS) == {}
    assert days.due(TODAY_MS + DAY_MS + SETTLED_AFTER_MS - 1) == {}
    assert days.due(TODAY_MS + DAY_MS + SETTLED_AFTER_MS) == {(XIANGYUNLI, TODAY_MS): 1}


def test_an_hour_that_was_worked_out_again_makes_its_day_due(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, PORT, DAY, 60, energy_kwh=1)
    sum_all_up(any_database)
    port = next(device for device in DEVICES if device.id == PORT)
    UsageAgain(any_database).write([Worked(port, {DAY: {"energy_kwh": 3}}, ())])
    entry = entry_of(any_database)
    (one,) = sums_of_compound(any_database, DISTRICT, entry, [DAY], DAY + DAY_MS)
    assert one.part("port").figures["energy_kwh"] == 3
    assert sum_due_up(any_database) == [(XIANGYUNLI, DAY)]


def test_a_late_hour_is_in_the_figures_at_once_and_in_the_sums_afterwards(
    any_database: Engine,
) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database)
    with writing(any_database) as connection:
        write_late(connection, GATE, DAY + HOUR_MS, granted=2)
    entry, starts = entry_of(any_database), [ms("2026-10-01T00:00:00+08:00")]

    def granted() -> object:
        (one,) = sums_of_compound(any_database, DISTRICT, entry, starts, TODAY_MS)
        return one.part("gate").figures.get("granted")

    assert granted() == 7
    assert sum_due_up(any_database) == [(XIANGYUNLI, DAY)]
    assert UsageDays(any_database).due(NOW_MS) == {}
    assert granted() == 7
    with writing(any_database) as connection:  # and from sums alone
        connection.execute(delete(usage_hours))
    assert granted() == 7


def test_a_mark_that_comes_while_a_day_is_summed_up_stays(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        write_late(connection, GATE, DAY, granted=1)

    days = UsageDays(any_database)
    (key,) = days.due(NOW_MS)
    written: list[int] = []

    class Days(list[int]):
        """Gives its days, and before it ends somebody writes: they are read, and not stored yet."""

        def __iter__(self) -> Iterator[int]:
            yield from super().__iter__()
            if not written:
                written.append(DAY)
                with writing(any_database) as connection:
                    write_late(connection, PORT, DAY, energy_kwh=1)

    days.build(Work(key[0], Days([key[1]])), NOW_MS)
    assert days.due(NOW_MS) == {key: 2}


def test_many_compounds_show_a_due_day_as_it_was_and_say_so(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database)
    with writing(any_database) as connection:
        write_late(connection, GATE, DAY + HOUR_MS, granted=2)
    borders = {XIANGYUNLI: [DAY, DAY + DAY_MS]}

    def look() -> tuple[int, object]:
        entry = entry_of(any_database)
        found = sums_of_many(any_database, DISTRICT, [entry], borders, each(entry), 0, 0)
        return found.pending, found.sums[XIANGYUNLI][0].part("gate").figures["granted"]

    assert look() == (1, 5)
    sum_due_up(any_database)
    assert look() == (0, 7)


# What is made


def test_yesterday_is_summed_up_an_hour_after_midnight(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, TODAY_MS - DAY_MS, 60, granted=5)
    sum_all_up(any_database, TODAY_MS + SETTLED_AFTER_MS - 1)

    def days() -> list[int]:
        with reading(any_database) as connection:
            column = usage_days.c
            query = select(column.day_ms).where(column.compound == XIANGYUNLI)
            return sorted(connection.scalars(query))

    assert days() == list(range(ms("2026-11-01T00:00:00+08:00"), TODAY_MS - DAY_MS, DAY_MS))
    assert sum_all_up(any_database, TODAY_MS + SETTLED_AFTER_MS) == len(COMPOUNDS)
    assert days()[-1] == TODAY_MS - DAY_MS
    assert sum_all_up(any_database, NOW_MS) == 0


def test_a_month_is_summed_up_when_each_of_its_days_is(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    days = UsageDays(any_database)
    october = ms("2026-10-01T00:00:00+08:00")

    def months() -> set[int]:
        with reading(any_database) as connection:
            column = usage_months.c
            query = select(column.month_ms).where(column.compound == XIANGYUNLI)
            return set(connection.scalars(query))

    days.build_months(XIANGYUNLI, NOW_MS)
    assert october not in months()
    assert ms("2026-09-01T00:00:00+08:00") in months()  # nothing came, but something was expected
    sum_all_up(any_database)
    assert october in months()
    days.build(Work(XIANGYUNLI, [DAY]), NOW_MS)
    assert october not in months()  # until it is summed up again
    days.build_months(XIANGYUNLI, NOW_MS)
    assert october in months()


def spans_of(engine: Engine) -> set[tuple[str, str]]:
    """As (first day, last day), of XIANGYUNLI."""
    with reading(engine) as connection:
        column = usage_spans.c
        query = select(column.from_ms, column.to_ms).where(column.compound == XIANGYUNLI)
        return {
            (f"{local_date(begin, ZONE):%m-%d}", f"{local_date(end - 1, ZONE):%m-%d}")
            for begin, end in connection.execute(query)
        }


def test_the_first_and_the_last_days_of_each_month_have_a_sum(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database)
    spans = spans_of(any_database)
    assert {("10-01", "10-02"), ("10-01", "10-30"), ("10-30", "10-31")} <= spans
    assert ("10-02", "10-31") in spans
    assert ("11-01", "11-22") in spans  # yesterday
    assert not {("10-01", "10-31"), ("11-21", "11-22"), ("10-31", "10-31")} & spans
    assert len(spans) == 2 * 29 + 21


def test_a_day_that_is_summed_up_anew_is_in_the_spans_that_hold_it(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database)
    before = spans_of(any_database)
    entry = entry_of(any_database)
    borders = {XIANGYUNLI: [ms("2026-10-05T00:00:00+08:00"), ms("2026-11-01T00:00:00+08:00")]}

    def granted() -> object:
        found = sums_of_many(any_database, DISTRICT, [entry], borders, each(entry), 0, 0)
        return found.sums[XIANGYUNLI][0].part("gate").figures["granted"]

    assert granted() == 5
    with writing(any_database) as connection:
        write_late(connection, GATE, DAY + HOUR_MS, granted=2)
    sum_due_up(any_database)
    assert granted() == 7
    assert spans_of(any_database) == before
    with writing(any_database) as connection:  # and it is the span that is read
        connection.execute(delete(usage_days).where(usage_days.c.compound == XIANGYUNLI))
    assert granted() == 7


def test_spans_that_are_missing_are_made_and_old_ones_go(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database)
    there = spans_of(any_database)
    with writing(any_database) as connection:  # as after an earlier version
        connection.execute(delete(usage_spans))
    UsageDays(any_database).build_spans(XIANGYUNLI, NOW_MS)
    assert spans_of(any_database) == there
    UsageDays(any_database).build_spans(XIANGYUNLI, NOW_MS + 395 * DAY_MS)
    assert {begin[:2] for begin, _ in spans_of(any_database)} == {"11"}
    UsageDays(any_database).build_spans("nowhere", NOW_MS)


def test_a_change_of_the_registry_is_not_for_days_that_were_final(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database, NOW_MS - HOUR_MS)
    slower = [device if device.id != GATE else replace(device, interval_s=60) for device in DEVICES]
    with writing(any_database) as connection:
        registry.save(connection, Registry(FIRMS, COMPOUNDS, slower), NOW_MS - 1)
    again = [
        work for work in UsageDays(any_database).missing(NOW_MS) if work.compound == XIANGYUNLI
    ]
    assert [day for work in again for day in work.days] == [
        TODAY_MS - 2 * DAY_MS,
        TODAY_MS - DAY_MS,
    ]


def test_days_are_made_in_portions_of_one_compound() -> None:
    works = list(in_portions({"a": list(range(20)), "b": [1], "c": []}))
    assert [(work.compound, len(work.days)) for work in works] == [("a", 16), ("a", 4), ("b", 1)]


# Reading


def test_a_range_is_cut_into_months_days_and_hours() -> None:
    start, end = ms("2026-09-29T12:00:00+08:00"), ms("2026-11-02T06:00:00+08:00")
    october, november = ms("2026-10-01T00:00:00+08:00"), ms("2026-11-01T00:00:00+08:00")
    tuesday, wednesday = ms("2026-09-29T00:00:00+08:00"), ms("2026-09-30T00:00:00+08:00")
    pieces = list(cut(start, end, ZONE, {october, november}, {tuesday, wednesday, november}))
    assert [(piece.unit, piece.from_ms) for piece in pieces] == [
        ("hour", start),
        ("day", wednesday),
        ("month", october),
        ("day", november),
        ("hour", november + DAY_MS),
    ]
    for one, other in pairwise(pieces):
        assert one.to_ms == other.from_ms
    assert pieces[-1].to_ms == end


def test_what_is_not_summed_up_has_a_bound(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, TODAY_MS - 3 * DAY_MS, 60, granted=5)
    entries = [entry_of(any_database)]
    borders = {XIANGYUNLI: [TODAY_MS - 5 * DAY_MS, TODAY_MS]}
    with pytest.raises(TooMuch) as much:
        sums_of_many(any_database, DISTRICT, entries, borders, each(*entries), 2, 10)
    assert (much.value.days, much.value.from_ms) == (3, None)
    with pytest.raises(TooMuch) as much:
        sums_of_many(any_database, DISTRICT, entries, borders, each(*entries), 3, 1)
    assert (much.value.days, much.value.from_ms) == (2, TODAY_MS - 3 * DAY_MS)
    found = sums_of_many(any_database, DISTRICT, entries, borders, each(*entries), 3, 2)
    assert known(found.sums[XIANGYUNLI]) == known(
        by_hours(any_database, entries[0], borders[XIANGYUNLI][:1], TODAY_MS)
    )


def test_another_firms_sums_are_not_there(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, GATE, DAY, 60, granted=5)
    sum_all_up(any_database)
    borders = {XIANGYUNLI: [DAY, DAY + DAY_MS]}
    entries = [entry_of(any_database)]
    found = sums_of_many(any_database, Scope("kangqiao"), entries, borders, each(*entries), 1, 1)
    assert found.sums[XIANGYUNLI][0].part("gate").figures == {}
    (one,) = sums_of_compound(
        any_database, Scope("kangqiao"), entries[0], borders[XIANGYUNLI][:1], DAY + DAY_MS
    )
    assert known([one]) == [{}]


def test_an_empty_district_has_no_sums(any_database: Engine) -> None:
    assert sums_of_many(any_database, DISTRICT, [], {}, {}, 0, 0).sums == {}
    assert sum_all_up(any_database) == 0


def test_borders_of_the_days_are_those_of_the_zone() -> None:
    assert midnight_of(NOW_MS, ZONE) == TODAY_MS == began(local_date(NOW_MS, ZONE), ZONE)
    assert next_midnight(TODAY_MS, ZONE) == TODAY_MS + DAY_MS
