from random import Random

import pytest
from sqlalchemy import Engine

from devices.store.database import writing
from devices.store.scope import DISTRICT, Scope
from devices.store.sessions import Filter, list_sessions
from tests.api.cast import HOUR_MS, NOW_MS, PORT, SHED, XIANGYUNLI, a_district, a_session


def test_unknown_starts_come_last_on_every_database_and_page(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        for n in range(3):
            a_session(connection, f"known-{n}", started_at_ms=NOW_MS - n * HOUR_MS)
            a_session(connection, f"unknown-{n}", started_at_ms=None)
        wanted = Filter(XIANGYUNLI)
        seen: list[str] = []
        before: tuple[int | None, str] | None = None
        while page := list_sessions(connection, DISTRICT, wanted, before=before, limit=2):
            seen += [session.id for session in page]
            before = (page[-1].started_at_ms, page[-1].id)
        assert seen == ["known-0", "known-1", "known-2", "unknown-2", "unknown-1", "unknown-0"]
        assert list_sessions(connection, Scope("kangqiao"), wanted) == []


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_of_any_length_hold_every_session_once_and_in_order(
    any_database: Engine, limit: int
) -> None:
    rng = Random(limit)
    starts: dict[str, int | None] = {}
    with writing(any_database) as connection:
        a_district(connection)
        for n in rng.sample(range(40), 40):  # of an hour there are several, of some none is known
            starts[f"s-{n:02}"] = started = rng.choice([None, *range(6)])
            at_ms = None if started is None else NOW_MS - started * HOUR_MS
            port = PORT if n % 3 else "another"
            shed = SHED if n % 2 else "elsewhere"
            a_session(connection, f"s-{n:02}", started_at_ms=at_ms, port=port, shed=shed)
        known = sorted(((-h, name) for name, h in starts.items() if h is not None), reverse=True)
        unknown = sorted((name for name, h in starts.items() if h is None), reverse=True)
        in_order = [*(name for _, name in known), *unknown]
        narrowed: list[tuple[str | None, str | None]] = [
            (None, None), (PORT, None), (None, SHED), (PORT, SHED)
        ]  # fmt: skip
        for of_port, of_shed in narrowed:
            wanted = Filter(XIANGYUNLI, port=of_port, shed=of_shed)
            seen: list[str] = []
            before: tuple[int | None, str] | None = None
            while page := list_sessions(connection, DISTRICT, wanted, before=before, limit=limit):
                assert len(page) <= limit
                seen += [session.id for session in page]
                before = (page[-1].started_at_ms, page[-1].id)
            assert seen == [
                name
                for name in in_order
                if (of_port is None or int(name[2:]) % 3) and (of_shed is None or int(name[2:]) % 2)
            ]


def test_a_range_of_starts_leaves_out_those_that_are_unknown(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        for n in range(4):
            a_session(connection, f"known-{n}", started_at_ms=NOW_MS - n * HOUR_MS)
        a_session(connection, "unknown", started_at_ms=None)

        def found(**limits: int) -> list[str]:
            wanted = Filter(XIANGYUNLI, **limits)  # type: ignore[arg-type]  # from and to alone
            return [one.id for one in list_sessions(connection, DISTRICT, wanted)]

        assert found(from_ms=NOW_MS - 2 * HOUR_MS) == ["known-0", "known-1", "known-2"]
        assert found(to_ms=NOW_MS - HOUR_MS) == ["known-2", "known-3"]
        assert found(from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS) == ["known-1"]
