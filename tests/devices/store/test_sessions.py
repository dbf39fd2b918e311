from sqlalchemy import Engine

from devices.store.database import writing
from devices.store.scope import DISTRICT, Scope
from devices.store.sessions import Filter, list_sessions
from tests.api.cast import HOUR_MS, NOW_MS, XIANGYUNLI, a_district, a_session


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
