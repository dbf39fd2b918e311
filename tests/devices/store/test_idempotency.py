"""Keys of requests: each is answered once, whoever else asks, and forgotten after a day."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, func, select

from devices.store import idempotency, tokens
from devices.store.database import reading, writing
from devices.store.idempotency import KEPT_MS, OtherRequest, TooManyKeys, claim, keep
from devices.store.schema import idempotency_keys

NOW_MS = 1_795_399_200_000
ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def connection(any_database: Engine) -> Iterator[Connection]:
    with writing(any_database) as open_connection:
        for name in ("li-min", "wang-jianguo"):
            tokens.create(open_connection, "operator", None, name, NOW_MS)
        yield open_connection


def rows(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(idempotency_keys)) or 0


def test_the_same_request_gets_the_first_answer(connection: Connection) -> None:
    assert claim(connection, 1, "a", ONE, NOW_MS) is None
    keep(connection, 1, "a", b"first")
    assert claim(connection, 1, "a", ONE, NOW_MS + 5000) == b"first"


def test_another_request_under_the_same_key_is_refused(connection: Connection) -> None:
    assert claim(connection, 1, "a", ONE, NOW_MS) is None
    with pytest.raises(OtherRequest, match="'a' was used for another request"):
        claim(connection, 1, "a", OTHER, NOW_MS)


def test_a_key_belongs_to_its_token(connection: Connection) -> None:
    assert claim(connection, 1, "a", ONE, NOW_MS) is None
    assert claim(connection, 2, "a", OTHER, NOW_MS) is None


def test_after_a_day_a_key_is_new_and_all_old_ones_are_gone(connection: Connection) -> None:
    for n in range(10):
        claim(connection, 1, f"k{n}", ONE, NOW_MS)
    keep(connection, 1, "k0", b"first")
    assert claim(connection, 1, "k0", OTHER, NOW_MS + KEPT_MS) is None
    assert rows(connection) == 1


def test_a_token_has_so_many_keys_a_day_and_no_more(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "KEPT_AT_MOST", 3)
    for n in range(3):
        claim(connection, 1, f"k{n}", ONE, NOW_MS)
    with pytest.raises(TooManyKeys):
        claim(connection, 1, "k3", ONE, NOW_MS)
    assert claim(connection, 2, "k0", ONE, NOW_MS) is None


def test_who_comes_at_the_same_moment_waits_for_the_answer_of_the_first(
    any_database: Engine,
) -> None:
    with writing(any_database) as connection:
        tokens.create(connection, "operator", None, "li-min", NOW_MS)
    answers: list[bytes | None] = []
    begins = threading.Event()

    def second() -> None:
        begins.set()
        with writing(any_database) as connection:
            answers.append(claim(connection, 1, "a", ONE, NOW_MS))

    thread = threading.Thread(target=second)
    with writing(any_database) as connection:
        assert claim(connection, 1, "a", ONE, NOW_MS) is None
        thread.start()
        assert begins.wait(10)
        keep(connection, 1, "a", b"first")
    thread.join(30)
    assert answers == [b"first"]
    with reading(any_database) as connection:
        assert rows(connection) == 1
