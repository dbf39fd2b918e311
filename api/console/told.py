"""What became of each notice, in words: to whom, by which way, with which answer, or why nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api.instants import when
from api.words import Language, duration, knows, say
from devices.alerts import DeliveryState
from devices.store.deliveries import Delivery


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery in words. state: of `DeliveryState`; took: from the decision to its end."""

    id: int
    fault: str
    at_ms: int
    at: str
    what: str
    target: str
    target_id: str
    channel: str
    state: str
    state_word: str
    reason: str
    tries: str
    took: str
    answer: str
    may_retry: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a fault, and to whom it went; without receipts `nobody` says why."""

    at_ms: int
    at: str
    what: str
    receipts: Sequence[Receipt]
    nobody: str


def receipt(language: Language, delivery: Delivery, now_ms: int, *, may_act: bool) -> Receipt:
    at_ms = delivery.done_at_ms or delivery.attempted_at_ms or delivery.created_at_ms
    took = ""
    if delivery.state is DeliveryState.DELIVERED:
        took_s = max(0, at_ms - delivery.created_at_ms) / 1000
        took = f"{took_s:.1f} s" if took_s < 10 else duration(language, took_s)
    return Receipt(
        id=delivery.id,
        fault=delivery.fault,
        at_ms=at_ms,
        at=when(at_ms, now_ms),
        what=event_word(language, delivery.event_reason),
        target=say(language, "sep").join(
            filter(None, (delivery.person_name, delivery.target_name))
        ),
        target_id=delivery.target or "",
        channel="" if delivery.channel is None else say(language, f"ch_{delivery.channel}"),
        state=delivery.state.value,
        state_word=say(language, f"ds_{delivery.state}"),
        reason="" if delivery.reason is None else reason_word(language, delivery.reason),
        tries=say(language, "al_attempts", n=delivery.attempts) if delivery.attempts > 1 else "",
        took=took,
        answer=delivery.answer or "",
        may_retry=may_act and delivery.state is DeliveryState.FAILED,
    )


def notices(language: Language, rows: Iterable[Delivery], now_ms: int) -> list[Notice]:
    """Deliveries of one fault by its events, the newest first."""
    events: dict[int, list[Delivery]] = {}
    for row in rows:
        events.setdefault(row.event, []).append(row)
    made = []
    for same in events.values():
        at_ms = min(row.created_at_ms for row in same)
        told = [receipt(language, row, now_ms, may_act=False) for row in same]
        receipts = sorted((one for one in told if one.target_id), key=lambda one: one.id)
        nobody = next((one.reason for one in told if not one.target_id), "")
        what = event_word(language, same[0].event_reason)
        made.append(Notice(at_ms, when(at_ms, now_ms), what, receipts, nobody))
    return sorted(made, key=lambda one: one.at_ms, reverse=True)


def event_word(language: Language, reason: str) -> str:
    word = f"h_{reason}"
    return say(language, word) if knows(word) else str(reason)


def reason_word(language: Language, reason: str) -> str:
    word = f"dr_{reason}"
    return say(language, word) if knows(word) else reason
