"""A replay says when things were; elements whose time cannot be known are refused, not lost."""

from typing import Any

from devices.catalogue import rules_for
from devices.journal import MESSAGES, Record
from devices.judgement import Effects, Saved
from devices.kinds import KINDS
from devices.usage import HOUR_MS
from ingest.judge.judge import Judge
from ingest.judge.memory import Presence
from ingest.judge.plan import plans
from tests.ingest.cast import NOW_MS, REGISTRY, a_decoder, a_publish, native

HOUR = NOW_MS - NOW_MS % HOUR_MS
ORIGIN = "unassigned"  # of a PUBLISH by hand


def a_judge() -> Judge:
    judge = Judge(
        REGISTRY,
        plans(rules_for, KINDS),
        stream="live",
        seen_before=lambda _key: False,
        recall=lambda _session: None,
        lighting=lambda _latitude, _longitude, _at_ms: False,
    )
    judge.load(Saved(None, [], [], []), NOW_MS)
    return judge


def judged(judge: Judge, *payloads: Any) -> Effects:
    """What the judge makes of these messages of one gate."""
    messages = tuple(a_publish(native("gate-1"), payload) for payload in payloads)
    decoder = a_decoder()
    record = Record(1, MESSAGES, 1, len(messages), 1, messages)
    judge.judge(record, [decoder.read(raw) for raw in messages])
    return judge.take_effects()


def of(at_ms: int, seq: int) -> dict[str, Any]:
    return {"ts": at_ms, "boot": 1, "seq": seq, "values": {"board_temp_c": 21}}


def test_a_replay_without_one_usable_time_is_quarantined_and_a_sign_of_life() -> None:
    judge = a_judge()
    effects = judged(judge, [of(1_000, 1), of(2_000, 2)])
    assert effects.accounts == {(ORIGIN, HOUR, "quarantined", "clock"): 1}
    (refused,) = effects.refused
    assert (refused.reason, refused.partial) == ("clock", False)
    assert judge.memories["gate-1"].state is Presence.ONLINE


def test_one_usable_time_in_a_replay_is_enough_to_store_it() -> None:
    effects = judged(a_judge(), [of(1_000, 1), of(NOW_MS - 5_000, 2)])
    assert effects.accounts == {
        (ORIGIN, HOUR, "stored", ""): 1,
        (ORIGIN, HOUR, "partial", ""): 1,
        (ORIGIN, HOUR, "part", "clock"): 1,
    }
    (refused,) = effects.refused
    assert (refused.reason, refused.partial) == ("clock", True)


def test_a_replay_that_came_before_is_a_duplicate_whatever_its_times() -> None:
    replay = [of(1_000, 1), of(NOW_MS - 5_000, 2)]
    effects = judged(a_judge(), replay, replay)
    assert effects.accounts[ORIGIN, HOUR, "stored", ""] == 1
    assert effects.accounts[ORIGIN, HOUR, "duplicate", ""] == 1


def test_a_live_message_with_an_impossible_time_is_stored_and_marked() -> None:
    effects = judged(a_judge(), of(1_000, 1))
    assert effects.accounts == {
        (ORIGIN, HOUR, "stored", ""): 1,
        (ORIGIN, HOUR, "clock", ""): 1,
    }
    assert effects.refused == []
