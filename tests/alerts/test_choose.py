"""Which message is next: order, the safety tier, budgets, digests."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from alerts.budget import Budget
from alerts.channel import Limits
from alerts.choose import SINGLES, Choice, choose
from devices.faults import Why
from devices.store.deliveries import Pending

NOW_MS = 1_795_000_000_000
DINGTALK = Limits(per_minute=20, max_bytes=20_000)
FREE = Limits()


def waits(event: int, fault: str = "", reason: Why = Why.RAISED, **more: Any) -> Pending:
    one = Pending(event, fault or f"f{event}", event, reason, NOW_MS, False, 0, NOW_MS, NOW_MS)
    return replace(one, **more)


def chosen(*waiting: Pending, limits: Limits = DINGTALK, sent: int = 0) -> Choice | int | None:
    return choose("t", waiting, Budget(limits, [NOW_MS] * sent), NOW_MS)


def events(choice: Choice | int | None) -> list[int]:
    assert isinstance(choice, Choice)
    return [one.event for one in choice.deliveries]


def test_nothing_waits() -> None:
    assert chosen() is None


def test_one_goes_alone_under_a_key_that_names_fault_event_and_target() -> None:
    choice = chosen(waits(7, "f"))
    assert isinstance(choice, Choice)
    assert (choice.key, events(choice)) == ("f:7:t", [7])


def test_a_few_go_one_by_one_and_more_in_a_digest() -> None:
    few = [waits(n) for n in range(1, SINGLES + 1)]
    assert events(chosen(*few)) == [1]
    assert events(chosen(*few, waits(99))) == [1, 2, 3, 99]


def test_where_no_limit_is_known_many_go_in_a_digest_all_the_same() -> None:
    assert len(events(chosen(*[waits(n) for n in range(1, 200)], limits=FREE))) == 199


def test_safety_goes_first_and_alone() -> None:
    many = [waits(n) for n in range(1, 50)]
    assert events(chosen(*many, waits(60, safety=True), waits(61, safety=True))) == [60]


def test_of_a_fault_that_became_one_of_safety_the_earlier_events_still_go_first() -> None:
    one = waits(1, "f")
    worse = waits(2, "f", Why.WORSENED, safety=True)
    assert events(chosen(worse, waits(0), one)) == [1]


def test_a_quarter_of_the_minute_is_kept_for_safety() -> None:
    ordinary = chosen(waits(1), sent=13)
    assert isinstance(ordinary, int)
    assert ordinary > NOW_MS
    assert events(chosen(waits(1), waits(2, safety=True), sent=13)) == [2]
    spent = chosen(waits(2, safety=True), sent=18)
    assert isinstance(spent, int)
    assert spent == NOW_MS + 60_001


def test_an_end_never_overtakes_its_raise() -> None:
    raised = waits(1, "f", next_at_ms=NOW_MS + 5_000)
    ended = waits(2, "f", Why.OVER)
    assert chosen(raised, ended) == NOW_MS + 5_000
    assert events(chosen(raised, ended, waits(3, "g"))) == [3]


def test_a_raise_whose_end_has_come_is_told_together_with_it() -> None:
    choice = chosen(waits(1, "f"), waits(2, "f", Why.OVER), limits=FREE)
    assert isinstance(choice, Choice)
    assert (events(choice), set(choice.over), choice.key) == ([1, 2], {1}, "f:1:t")


def test_in_a_digest_what_is_back_is_not_told_as_over() -> None:
    story = [waits(1, "f"), waits(2, "f", Why.OVER), waits(3, "f", Why.REOPENED)]
    choice = chosen(*story, *[waits(n) for n in range(10, 14)], limits=FREE)
    assert isinstance(choice, Choice)
    assert set(choice.over) == {1}


@pytest.mark.parametrize(
    ("mentioned", "told"), [(1, [1, 2]), (2, [1, 2]), (3, [1, 2, 3, 4]), (4, [1, 2, 3, 4])]
)
def test_of_a_digest_that_was_cut_an_end_is_told_with_its_own_raise(
    mentioned: int, told: list[int]
) -> None:
    story = (waits(1, "f"), waits(2, "f", Why.OVER), waits(3, "f", Why.REOPENED))
    choice = Choice("k", (*story, waits(4, "f", Why.OVER)), over=frozenset({1, 3}))
    assert [one.event for one in choice.told(mentioned)] == told


def test_of_safety_raise_and_end_are_two_messages() -> None:
    raised = waits(1, "f", safety=True)
    ended = waits(2, "f", Why.OVER, safety=True)
    assert events(chosen(ended, raised)) == [1]


def test_what_was_tried_is_tried_again_with_the_same_members_under_the_same_key() -> None:
    tried = [waits(n, message="digest-1", attempts=1) for n in (1, 2, 3)]
    choice = chosen(*tried, *[waits(n) for n in range(10, 30)])
    assert isinstance(choice, Choice)
    assert (choice.key, events(choice)) == ("digest-1", [1, 2, 3])


def test_what_was_tried_alone_is_tried_again_alone_though_its_end_has_come() -> None:
    """Whoever got it, and whose answer was lost, drops what comes again under its key."""
    raised = waits(1, "f", message="f:1:t", attempts=1)
    choice = chosen(raised, waits(2, "f", Why.OVER), limits=FREE)
    assert isinstance(choice, Choice)
    assert (choice.key, events(choice), set(choice.over)) == ("f:1:t", [1], set())


def test_a_digest_that_was_tried_stays_whole_when_one_of_it_becomes_urgent() -> None:
    tried = [waits(n, f"f{n}", message="digest-1", attempts=1) for n in (1, 2, 3)]
    choice = chosen(*tried, waits(9, "f2", Why.WORSENED, safety=True))
    assert isinstance(choice, Choice)
    assert (choice.key, sorted(events(choice))) == ("digest-1", [1, 2, 3])


def test_a_target_that_takes_few_a_second_waits_for_the_next() -> None:
    limits = Limits(per_minute=100, per_second=5)
    assert chosen(waits(1), limits=limits, sent=1) == NOW_MS + 200


def test_old_news_go_in_a_digest_but_those_of_safety() -> None:
    old: dict[str, Any] = {"at_ms": NOW_MS - 31 * 60_000}
    assert events(chosen(waits(1, **old), waits(2, **old))) == [1, 2]
    assert events(chosen(waits(1, safety=True, **old), waits(2, safety=True, **old))) == [1]


@pytest.mark.parametrize("faults", [1_000])
def test_a_thousand_faults_in_a_minute_are_at_most_twenty_messages_and_none_is_left_out(
    faults: int,
) -> None:
    """Against a robot that takes 20 a minute and, here, 100 lines a message."""
    budget = Budget(DINGTALK)
    arriving = {n: NOW_MS + n * 60 for n in range(faults)}
    told: list[int] = []
    sent: list[int] = []
    waiting: dict[int, Pending] = {}
    clock = count(NOW_MS, 200)
    while len(told) < faults:
        now_ms = next(clock)
        for n in [n for n, at_ms in arriving.items() if at_ms <= now_ms]:
            waiting[n] = waits(n, at_ms=arriving.pop(n))
        choice = choose("t", list(waiting.values()), budget, now_ms)
        if isinstance(choice, Choice):
            budget.spend(now_ms)
            sent.append(now_ms)
            mentioned = [one.event for one in choice.deliveries[:100]]
            told += mentioned
            for event in mentioned:
                del waiting[event]
    assert sorted(told) == list(range(faults))
    assert max(sum(0 <= at - first < 60_000 for at in sent) for first in sent) <= 20
    assert sent[-1] - NOW_MS < 4 * 60_000
