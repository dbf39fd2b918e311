from sqlalchemy import Engine, insert

from devices.store.database import reading, writing
from devices.store.schema import fault_events
from devices.store.stream import COMPARE_ALL_EVERY, FaultNews, StateNews, Watcher
from tests.api.cast import (
    GATE,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_fault,
    a_fault_event,
    a_state,
)


def with_district(engine: Engine) -> None:
    with writing(engine) as connection:
        a_district(connection)
        a_state(connection, GATE, "online")
        a_fault(connection, "before")


def watching(engine: Engine) -> Watcher:
    watcher = Watcher()
    with reading(engine) as connection:
        watcher.start(connection)
    return watcher


def look(engine: Engine, watcher: Watcher) -> list[FaultNews | StateNews]:
    with reading(engine) as connection:
        return watcher.look(connection)


def test_what_was_there_before_is_no_news(any_database: Engine) -> None:
    with_district(any_database)
    assert look(any_database, watching(any_database)) == []


def test_an_event_is_told_once(any_database: Engine) -> None:
    with_district(any_database)
    watcher = watching(any_database)
    with writing(any_database) as connection:
        a_fault_event(connection, "before", reason="acknowledged", actor="li-min")
    (news,) = look(any_database, watcher)
    assert isinstance(news, FaultNews)
    assert (news.fault, news.reason, news.actor, news.compound) == (
        "before",
        "acknowledged",
        "li-min",
        XIANGYUNLI,
    )
    assert look(any_database, watcher) == []


def test_an_event_that_becomes_visible_late_is_told_too(any_database: Engine) -> None:
    """PostgreSQL: the transaction with the lower id commits after the one with the higher."""
    with_district(any_database)
    watcher = watching(any_database)
    with writing(any_database) as connection:
        connection.execute(insert(fault_events).values(**event(id=20)))
    assert [n.event for n in look(any_database, watcher) if isinstance(n, FaultNews)] == [20]
    with writing(any_database) as connection:
        connection.execute(insert(fault_events).values(**event(id=19)))
    assert [n.event for n in look(any_database, watcher) if isinstance(n, FaultNews)] == [19]
    assert look(any_database, watcher) == []


def event(id: int) -> dict[str, object]:  # noqa: A002 - the column's name
    return {
        "id": id,
        "fault": "before",
        "at_ms": NOW_MS,
        "becomes": "open",
        "reason": "commented",
        "actor": "system",
    }


def test_a_history_is_no_news(any_database: Engine) -> None:
    with_district(any_database)
    watcher = watching(any_database)
    with writing(any_database) as connection:
        a_fault(connection, "past", stream="history-1", code="GATE_TAMPER")
    assert look(any_database, watcher) == []


def test_a_device_in_another_state_is_told_once(any_database: Engine) -> None:
    with_district(any_database)
    watcher = watching(any_database)
    with writing(any_database) as connection:
        a_state(connection, GATE, "offline", reason="lwt", since_ms=NOW_MS)
        a_state(connection, PORT, "online")
    news = {n.device: n for n in look(any_database, watcher) if isinstance(n, StateNews)}
    assert news == {
        GATE: StateNews(GATE, XIANGYUNLI, "gate", "offline", "lwt", NOW_MS),
        PORT: StateNews(PORT, XIANGYUNLI, "port", "online", None, NOW_MS - 3_600_000),
    }
    assert look(any_database, watcher) == []


def test_two_devices_that_change_places_are_found_by_the_next_full_comparison(
    any_database: Engine,
) -> None:
    with_district(any_database)
    with writing(any_database) as connection:
        a_state(connection, PORT, "online")
        a_state(connection, f"{SHED}-p02", "offline")
    watcher = watching(any_database)
    with writing(any_database) as connection:
        a_state(connection, PORT, "offline")
        a_state(connection, f"{SHED}-p02", "online")
    told = [n for _ in range(COMPARE_ALL_EVERY) for n in look(any_database, watcher)]
    assert {n.device for n in told if isinstance(n, StateNews)} == {PORT, f"{SHED}-p02"}
    assert len(told) == 2


def test_devices_of_all_compounds_are_watched(any_database: Engine) -> None:
    with_district(any_database)
    watcher = watching(any_database)
    with writing(any_database) as connection:
        a_state(connection, STRANGE_GATE, "online")
    assert [n.device for n in look(any_database, watcher) if isinstance(n, StateNews)] == [
        STRANGE_GATE
    ]
