"""What is sent next to a target: one event, one fault that came and went, or a digest.

1. what is not due yet holds back later events of the same fault, and nothing else
2. the safety tier goes first, each event in a message of its own
3. then what was begun under a key, again under that key
4. then the others, one by one while there is room for all of them; else all in a digest
5. at last what was put off to the morning, all in one digest
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.budget import Budget
from devices.alerts import ENDS, OLD_MS
from devices.faults import NOTICED
from devices.store.deliveries import Pending

SINGLES = 3  # so many at once are read one by one; more are read as a list
DIGEST_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """These go together, under this key. over: of them, raises whose end is told with them.

    is_overnight: they were put off to the morning."""

    key: str
    deliveries: tuple[Pending, ...]
    over: frozenset[int] = frozenset()
    is_overnight: bool = False

    def told(self, mentioned: int) -> list[Pending]:
        """What has been told once the first so many are mentioned: also the ends that were told
        with their raises, wherever they stand."""
        ended: set[str] = set()  # of these the next end was told with its raise
        told: list[Pending] = []
        for place, one in enumerate(self.deliveries):
            if place < mentioned:
                told.append(one)
                if one.id in self.over:
                    ended.add(one.fault)
            elif one.reason in ENDS and one.fault in ended:
                told.append(one)
            elif one.reason in NOTICED:
                ended.discard(one.fault)  # it is back, and that has not been told
        return told


def choose(
    target: str, waiting: Sequence[Pending], budget: Budget, now_ms: int
) -> Choice | int | None:
    """The next message; or when to ask again; None: nothing waits.

    waiting: all that is pending, in any order.
    """
    if not waiting:
        return None
    urgent = {one.fault for one in waiting if one.safety}
    in_order = sorted(waiting, key=lambda one: (one.fault not in urgent, one.event))
    due, next_ms = _due(in_order, now_ms)
    if not due:
        return next_ms
    first = due[0]
    if first.fault in urgent:
        at_ms = budget.from_ms(now_ms, safety=True)
        if at_ms > now_ms:
            return at_ms
        return _again(first.message, due) or Choice(_key(first, target), (first,))
    at_ms = budget.from_ms(now_ms, safety=False)
    if at_ms > now_ms:
        return at_ms
    begun = _again(next((one.message for one in due if one.message is not None), None), due)
    if begun is not None:
        return begun
    now = [one for one in due if not one.was_quiet]
    if not now:
        return _digest(target, due)
    due, first = now, now[0]
    stories = list(dict.fromkeys(one.fault for one in due))
    free = budget.free(now_ms, safety=False)
    few = len(stories) <= (SINGLES if free is None else min(SINGLES, free))
    if few and first.at_ms > now_ms - OLD_MS:
        return _one_story(_key(first, target), first, due)
    return _digest(target, due)


def _due(in_order: Sequence[Pending], now_ms: int) -> tuple[list[Pending], int]:
    """What may go now, and when the first of the others may."""
    due: list[Pending] = []
    held: set[str] = set()
    next_ms = 0
    for one in in_order:
        if one.fault in held or one.next_at_ms > now_ms:
            held.add(one.fault)
            if one.next_at_ms > now_ms:
                next_ms = min(next_ms or one.next_at_ms, one.next_at_ms)
            continue
        due.append(one)
    return due, next_ms


def _again(begun: str | None, due: Sequence[Pending]) -> Choice | None:
    """What was begun under this key, just as it was: whoever has it already drops what comes under
    a key that they know, and would drop with it whatever had been added."""
    if begun is None:
        return None
    return _combined(begun, [one for one in due if one.message == begun])


def _digest(target: str, due: Sequence[Pending]) -> Choice:
    """All of them, up to what one digest takes."""
    listed = due[:DIGEST_AT_MOST]
    if len(listed) == 1:
        return _combined(_key(listed[0], target), listed)
    return _combined(f"{listed[0].event}-{listed[-1].event}:digest:{target}", listed)


def _one_story(key: str, first: Pending, due: Sequence[Pending]) -> Choice:
    """A raise and all that followed it up to its end, if that has come; else the first alone."""
    same = [one for one in due if one.fault == first.fault]
    if first.reason in NOTICED and same[-1].reason in ENDS:
        return _combined(key, same)
    return Choice(key, (first,))


def _combined(key: str, listed: Sequence[Pending]) -> Choice:
    ended = {one.fault: one.event for one in listed if one.reason in ENDS}  # the last end of each
    over = frozenset(
        one.id
        for one in listed
        if one.reason in NOTICED and one.event < ended.get(one.fault, one.event)
    )
    is_overnight = all(one.was_quiet for one in listed)
    return Choice(key, tuple(listed), over, is_overnight)


def _key(one: Pending, target: str) -> str:
    return f"{one.fault}:{one.event}:{target}"
