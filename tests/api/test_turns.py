"""A few at once, a few who wait for a moment, and nobody more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.errors import Away
from api.turns import Turns
from tests.eventually import eventually

LONG_S = 20.0  # longer than any of these tests


def test_a_turn_that_is_over_is_the_next_ones() -> None:
    turns = Turns("the store", 1, 0, LONG_S)
    for _ in range(3):
        with turns.turn():
            pass


def test_a_turn_that_ended_in_an_error_is_over_too() -> None:
    turns = Turns("the store", 1, 0, LONG_S)
    for _ in range(3):
        with pytest.raises(ValueError, match="bad"), turns.turn():
            raise ValueError("bad")


def test_whoever_finds_no_place_to_wait_is_refused_at_once() -> None:
    turns = Turns("the store", 2, 0, LONG_S)
    with turns.turn(), turns.turn():
        with pytest.raises(Away, match="asking the store") as refused, turns.turn():
            pytest.fail("a third one had a turn")
        assert refused.value.status == 503
        assert refused.value.headers == {"Retry-After": "2"}
    with turns.turn(), turns.turn():
        pass


def test_whoever_waits_has_the_turn_when_it_is_free() -> None:
    turns = Turns("the store", 1, 1, LONG_S)
    had = threading.Event()

    def wait() -> None:
        with turns.turn():
            had.set()

    with ThreadPoolExecutor(1) as pool:
        with turns.turn():
            waits = pool.submit(wait)
            eventually(lambda: _is_full(turns), what="the second has a place")
            assert not had.is_set()
        waits.result(LONG_S)
    assert had.is_set()


def test_whoever_waited_long_enough_is_refused_and_leaves_the_place() -> None:
    turns = Turns("the store", 1, 1, 0.01)
    with turns.turn():
        for _ in range(3):
            with pytest.raises(Away), turns.turn():
                pytest.fail("two at once")
    with turns.turn():
        pass


def _is_full(turns: Turns) -> bool:
    try:
        with turns.turn():
            return False
    except Away:
        return True
