"""Failed attempts: counted, forgotten after an hour, and never more of them than there is room."""

from contextlib import ExitStack

import pytest

from api.attempts import FREE, KEPT_AT_MOST, Attempts, known_mark, network_of
from api.once import TooMany
from tests.api.cast import SECRET


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def waits(attempts: Attempts, name: str, place: str, address: str = "") -> bool:
    try:
        attempts.check(name, place, address)
    except TooMany:
        return True
    return False


def test_an_hour_without_a_failure_ends_every_wait_and_count() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(30):
        attempts.failed("wang", "192.0.2.7")
    clock.now_s += 899
    assert waits(attempts, "wang", "192.0.2.7")
    clock.now_s += 2702
    attempts.failed("wang", "192.0.2.7")
    assert not waits(attempts, "wang", "192.0.2.7")


def test_others_do_not_wait() -> None:
    attempts = Attempts(Clock())
    for _ in range(5):
        attempts.failed("wang", "192.0.2.7", "192.0.2.7")
    assert waits(attempts, "wang", "192.0.2.7", "192.0.2.7")
    assert not waits(attempts, "wang", "192.0.2.8", "192.0.2.8")
    assert not waits(attempts, "wang", "browser 7f")
    assert not waits(attempts, "zhao", "192.0.2.7", "192.0.2.7")
    attempts.succeeded("wang", "192.0.2.7")
    assert not waits(attempts, "wang", "192.0.2.7", "192.0.2.7")


def test_many_tries_at_once_are_no_more_than_one_after_the_other() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    with ExitStack() as running:
        for _ in range(FREE):
            running.enter_context(attempts.trying("wang", "192.0.2.7", "192.0.2.7"))
        assert waits(attempts, "wang", "192.0.2.7", "192.0.2.7")
        assert not waits(attempts, "zhao", "192.0.2.7", "192.0.2.7")
    assert not waits(attempts, "wang", "192.0.2.7", "192.0.2.7")
    for _ in range(FREE):
        attempts.failed("wang", "192.0.2.7")
    clock.now_s += 6
    with attempts.trying("wang", "192.0.2.7"):
        assert waits(attempts, "wang", "192.0.2.7")
    assert not waits(attempts, "wang", "192.0.2.7")


def test_who_failed_longest_ago_makes_room() -> None:
    attempts = Attempts(Clock())
    for _ in range(5):
        attempts.failed("first", "192.0.2.7")
    for n in range(KEPT_AT_MOST - 1):
        attempts.failed(f"name-{n}", "192.0.2.7")
    assert waits(attempts, "first", "192.0.2.7")
    attempts.failed("another", "192.0.2.7")
    assert not waits(attempts, "first", "192.0.2.7")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:7:1::42", "2001:db8:7:1::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert network_of(address) == counted


def test_a_known_browser_is_known_for_one_name_one_password_and_one_installation() -> None:
    marks = {
        known_mark(SECRET, "wang", "hash"),
        known_mark(SECRET, "zhao", "hash"),
        known_mark(SECRET, "wang", "another hash"),
        known_mark(b"another secret of sixteen", "wang", "hash"),
    }
    assert len(marks) == 4
    assert known_mark(SECRET, "wang", "hash") in marks
