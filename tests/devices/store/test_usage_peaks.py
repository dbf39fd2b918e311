"""The most sockets in use at once: what is prepared is what all sessions say, whatever is told."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from devices.apart import peaks
from devices.days import midnight_of
from devices.judgement import Cursor, Effects
from devices.sessions import EndedBy, Session, SessionState, begin, infer_end
from devices.store.database import reading, writing
from devices.store.judgements import Judgements
from devices.store.schema import sessions, usage_units
from devices.store.scope import DISTRICT, Scope
from devices.store.usage_again import Worked
from devices.store.usage_again import write as write_worked
from devices.store.usage_days import UsageDays, Work
from devices.store.usage_peaks import (
    LONGEST_SESSION_MS,
    NOT_MADE,
    days_without,
    peaks_between,
    peaks_of_many,
    used_span,
    work_out,
    write_peaks,
)
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    JOURNAL,
    LIANXIN,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    a_district,
)

ZONE = ZoneInfo("Asia/Shanghai")
TODAY_MS = midnight_of(NOW_MS, ZONE)
DAYS = 12


def day(back: int) -> int:
    return TODAY_MS - back * DAY_MS


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        a_district(connection)
    return any_database


class Told:
    """What the judge writes, commit by commit."""

    def __init__(self, engine: Engine) -> None:
        self._judgements = Judgements(engine)
        self._judgements.registry()
        self._was: Cursor | None = self._judgements.load().cursor
        self._position = 0 if self._was is None else self._was.position

    def __call__(self, *some: Session) -> None:
        self._position += 1
        effects = Effects(position=self._position, jseq=self._position)
        effects.sessions = {one.id: one for one in some}
        self._was = self._judgements.commit(effects, JOURNAL, self._was, NOW_MS)


def a_charge(order: str, start_ms: int | None, end_ms: int | None = None) -> Session:
    one = begin(XIANGYUNLI, SHED, PORT, order, start_ms or 0)
    if end_ms is None:
        return one
    return replace(
        one,
        started_at_ms=start_ms,
        ended_at_ms=end_ms,
        duration_s=None if start_ms is None else (end_ms - start_ms) // 1000,
        state=SessionState.CLOSED,
        ended_by=EndedBy.DEVICE,
    )


def make(engine: Engine, *days: int) -> None:
    """As the worker does once these days are over."""
    summing = UsageDays(engine)
    summing.build(Work(XIANGYUNLI, days), NOW_MS)
    summing.build_peaks(XIANGYUNLI)


def shown(engine: Engine, *borders: int) -> list[int]:
    with reading(engine) as connection:
        return peaks_between(connection, DISTRICT, XIANGYUNLI, borders, ZONE)


def of_all_sessions(engine: Engine, *borders: int) -> list[int]:
    column = sessions.c
    query = select(column.started_at_ms, column.ended_at_ms, column.duration_s).where(
        column.compound == XIANGYUNLI
    )
    with reading(engine) as connection:
        spans = [used_span(*row) for row in connection.execute(query)]
    return peaks([span for span in spans if span is not None], borders)


def prepared(engine: Engine) -> dict[int, int]:
    """By day, where it is made."""
    column = usage_units.c
    query = (
        select(column.start_ms, column.peak_ports)
        .where(column.compound == XIANGYUNLI, column.unit == "day", column.peak_ports >= 0)
        .order_by(column.start_ms)
    )
    with reading(engine) as connection:
        return {row.start_ms: row.peak_ports for row in connection.execute(query)}


@pytest.mark.parametrize("seed", range(2))
def test_what_is_prepared_is_what_all_sessions_say_after_every_message(
    engine: Engine, seed: int
) -> None:
    """Sessions that begin and end in any order, late, over midnights, never, or by inference."""
    rng = Random(seed)
    tell, known = Told(engine), dict[str, Session]()
    days = [day(n) for n in range(DAYS, 0, -1)]
    for turn in range(24):
        some = {}
        for _ in range(rng.randrange(1, 5)):
            order = str(rng.randrange(25))
            at_ms = rng.randrange(day(DAYS + 8), NOW_MS)
            lasted_ms = rng.choice((rng.randrange(DAY_MS), rng.randrange(10 * DAY_MS)))
            one = known.get(order)
            match rng.randrange(4):
                case 0:
                    one = a_charge(order, at_ms)
                case 1 if one is not None and one.started_at_ms is not None:
                    end_ms = min(NOW_MS, one.started_at_ms + lasted_ms)
                    one = a_charge(order, one.started_at_ms, end_ms)
                case 2 if one is not None:
                    one = infer_end(one, at_ms, None)
                case _:
                    one = a_charge(order, None, at_ms)
                    one = replace(one, duration_s=rng.choice((None, lasted_ms // 1000)))
            some[order] = known[order] = one
        tell(*some.values())
        if turn % 3 == 0:
            make(engine, *rng.sample(days, rng.randrange(1, 5)))
        inner = rng.sample(range(days[0] // HOUR_MS + 1, NOW_MS // HOUR_MS), rng.randrange(6))
        for borders in (
            [*days, day(0), NOW_MS],
            [days[0], days[5], NOW_MS],
            [days[0], *(hour * HOUR_MS for hour in sorted(inner)), NOW_MS],
        ):
            assert shown(engine, *borders) == of_all_sessions(engine, *borders)
    make(engine, *days)
    assert prepared(engine) == dict(zip(days, of_all_sessions(engine, *days, day(0)), strict=True))


def test_a_session_that_is_told_of_late_takes_away_the_peaks_of_its_days_alone(
    engine: Engine,
) -> None:
    tell = Told(engine)
    tell(a_charge("1", day(4) + HOUR_MS, day(4) + 2 * HOUR_MS))
    make(engine, *(day(n) for n in range(6, 0, -1)))
    assert list(prepared(engine).values()) == [0, 0, 1, 0, 0, 0]
    tell(a_charge("2", day(5) + 23 * HOUR_MS, day(4) + 5 * HOUR_MS))
    assert sorted(prepared(engine)) == [day(6), day(3), day(2), day(1)]
    assert shown(engine, *(day(n) for n in range(6, -1, -1))) == [0, 1, 2, 0, 0, 0]
    assert UsageDays(engine).without_peaks() == [XIANGYUNLI]
    assert UsageDays(engine).build_peaks(XIANGYUNLI) == 2
    assert list(prepared(engine).values()) == [0, 1, 2, 0, 0, 0]
    assert UsageDays(engine).without_peaks() == []


def test_what_begins_and_ends_today_takes_nothing_away(engine: Engine) -> None:
    tell = Told(engine)
    tell(a_charge("1", day(1) + 20 * HOUR_MS))
    make(engine, day(1))
    assert prepared(engine) == {day(1): 1}
    tell(a_charge("1", day(1) + 20 * HOUR_MS, day(0) + 2 * HOUR_MS))
    tell(a_charge("2", day(0) + HOUR_MS))
    tell(a_charge("2", day(0) + HOUR_MS, day(0) + 3 * HOUR_MS))
    assert prepared(engine) == {day(1): 1}
    assert shown(engine, day(1), day(0), NOW_MS) == [1, 2]


def test_one_that_never_ended_counts_for_a_week_until_its_end_is_inferred(engine: Engine) -> None:
    tell = Told(engine)
    start_ms = day(12) + HOUR_MS
    tell(open_one := a_charge("1", start_ms))
    make(engine, *(day(n) for n in range(12, 0, -1)))
    assert list(prepared(engine).values()) == [1] * 8 + [0] * 4
    assert used_span(start_ms, None, None) == (start_ms, start_ms + LONGEST_SESSION_MS)
    tell(infer_end(open_one, start_ms + HOUR_MS, 0.2))
    assert shown(engine, *(day(n) for n in range(12, -1, -1))) == [1] + [0] * 11
    UsageDays(engine).build_peaks(XIANGYUNLI)
    assert list(prepared(engine).values()) == [1] + [0] * 11


def test_an_end_that_was_measured_anew_takes_away_the_peak(engine: Engine) -> None:
    tell = Told(engine)
    tell(guess := infer_end(a_charge("1", day(3) + HOUR_MS), day(2) + 4 * HOUR_MS, 0.2))
    make(engine, day(3), day(2))
    assert list(prepared(engine).values()) == [1, 1]
    with reading(engine) as connection:
        port = Judgements(engine).registry().devices[PORT]
        assert connection.scalar(select(sessions.c.ended_by)) == EndedBy.PLATFORM
    earlier = replace(guess, ended_at_ms=day(3) + 2 * HOUR_MS, duration_s=3600)
    with writing(engine) as connection:
        write_worked(connection, Worked(port, {}, (), measured=[earlier]))
    assert shown(engine, day(3), day(2), day(1)) == [1, 0]
    UsageDays(engine).build_peaks(XIANGYUNLI)
    assert list(prepared(engine).values()) == [1, 0]


def test_a_peak_beside_which_a_session_was_written_waits_for_another_turn(engine: Engine) -> None:
    tell = Told(engine)
    UsageDays(engine).build(Work(XIANGYUNLI, [day(2), day(1)]), NOW_MS)
    with reading(engine) as connection:
        made = work_out(connection, XIANGYUNLI, days_without(connection, XIANGYUNLI), ZONE)
    assert [row["was"] for row in made] == [NOT_MADE, NOT_MADE]
    tell(a_charge("1", day(1) + HOUR_MS, day(1) + 2 * HOUR_MS))
    with writing(engine) as connection:
        assert write_peaks(connection, XIANGYUNLI, made) == 1
    assert prepared(engine) == {day(2): 0}
    UsageDays(engine).build_peaks(XIANGYUNLI)
    assert prepared(engine) == {day(2): 0, day(1): 1}


def test_of_many_a_stretch_is_known_where_all_its_days_are(engine: Engine) -> None:
    tell = Told(engine)
    tell(a_charge("1", day(4) + HOUR_MS, day(4) + 2 * HOUR_MS))
    make(engine, *(day(n) for n in range(6, 0, -1)))
    borders = [day(6), day(3), day(0)]

    def known(scope: Scope = DISTRICT) -> dict[tuple[str, int], int]:
        with reading(engine) as connection:
            return peaks_of_many(connection, scope, [XIANGYUNLI, LIANXIN], borders, ZONE)

    assert known() == {(XIANGYUNLI, day(6)): 1, (XIANGYUNLI, day(3)): 0}
    assert known(Scope("kangqiao")) == {}
    tell(a_charge("2", day(2) + HOUR_MS, day(2) + 2 * HOUR_MS))
    assert known() == {(XIANGYUNLI, day(6)): 1}


def test_another_firms_peaks_and_sessions_are_not_read(engine: Engine) -> None:
    tell = Told(engine)
    tell(a_charge("1", day(2) + HOUR_MS, day(1) + HOUR_MS))
    make(engine, day(2))
    with reading(engine) as connection:
        strange = Scope("kangqiao")
        assert peaks_between(connection, strange, XIANGYUNLI, [day(2), day(0)], ZONE) == [0]


def test_scattered_days_without_a_peak_are_read_at_once(engine: Engine) -> None:
    tell = Told(engine)
    every = [day(n) for n in range(24, -1, -1)]
    make(engine, *every[:-1])
    tell(*(a_charge(str(n), day(n) + HOUR_MS, day(n) + 2 * HOUR_MS) for n in range(2, 24, 2)))
    assert len(prepared(engine)) == 13
    assert shown(engine, *every) == [
        int(day(2) >= start and (start - day(24)) % (2 * DAY_MS) == 0 and start > day(24))
        for start, _ in pairwise(every)
    ]
