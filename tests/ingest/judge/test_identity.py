"""Which message came before: duplicates, gaps that fill, counters that begin again."""

import sys
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.judge.identity import (
    BYTE,
    HASHED,
    JUMP,
    UNHASHED,
    WINDOW,
    SeqWindow,
    Sight,
    content_hash,
)
from tests.ingest.judge.district import START_MS, District, a_gate, a_shed

NEW, SEEN, REUSED, OUTSIDE = Sight
T = START_MS


def saw(window: SeqWindow, *steps: tuple[int | None, int, int | None]) -> list[Sight]:
    """What the window says of (boot, seq, seconds) one after the other; None: no time."""
    return [
        window.saw(boot, seq, None if at_s is None else T + at_s * 1000)
        for boot, seq, at_s in steps
    ]


@pytest.mark.parametrize(
    ("name", "steps", "answers"),
    [
        ("in order", [(1, 0, 0), (1, 1, 1), (1, 2, 2)], [NEW, NEW, NEW]),
        ("again", [(1, 0, 0), (1, 1, 1), (1, 1, 1), (1, 0, 0)], [NEW, NEW, SEEN, SEEN]),
        ("a gap that fills once", [(1, 0, 0), (1, 3, 3), (1, 1, 1), (1, 2, 2), (1, 1, 1)],
         [NEW, NEW, NEW, NEW, SEEN]),
        ("a later boot", [(1, 900, 0), (2, 0, 1), (2, 1, 2), (2, 0, 1)], [NEW, NEW, NEW, SEEN]),
        ("of the boot before, late", [(1, 7, 0), (1, 9, 2), (2, 0, 3), (1, 8, 1), (1, 8, 1),
         (1, 9, 2)], [NEW, NEW, NEW, NEW, SEEN, SEEN]),
        ("of the boot before, and after its last", [(1, 7, 0), (2, 0, 3), (1, 8, 1), (1, 8, 1)],
         [NEW, NEW, NEW, SEEN]),
        ("of a boot long ago", [(1, 0, 0), (2, 0, 1), (3, 0, 2), (1, 1, 0)],
         [NEW, NEW, NEW, OUTSIDE]),
        ("a boot counter that was reset", [(9, 100, 0), (1, 0, 10), (1, 1, 11), (1, 0, 10)],
         [NEW, NEW, NEW, SEEN]),
        ("seq wraps", [(1, 65_534, 0), (1, 65_535, 1), (1, 0, 2), (1, 1, 3), (1, 65_535, 1)],
         [NEW, NEW, NEW, NEW, SEEN]),
        ("before the first that we saw", [(1, 500, 500), (1, 499, 499), (1, 501, 501)],
         [NEW, OUTSIDE, NEW]),
        ("older than the window", [(1, 0, 0), (1, 5000, 9), (1, 4000, 8), (1, 4001, 8)],
         [NEW, NEW, OUTSIDE, NEW]),
        ("without boot, again", [(None, 5, 0), (None, 6, 1), (None, 6, 1)], [NEW, NEW, SEEN]),
        ("without boot, the counter began again", [(None, 5, 0), (None, 6, 1), (None, 0, 2),
         (None, 1, 3), (None, 0, 2)], [NEW, NEW, NEW, NEW, SEEN]),
        ("without boot, late from before it began again", [(None, 50, 0), (None, 52, 2),
         (None, 0, 3), (None, 51, 1), (None, 1, 4)], [NEW, NEW, NEW, OUTSIDE, NEW]),
        ("without boot and time", [(None, 0, None), (None, 1, None), (None, 1, None),
         (None, 0, None)], [NEW, NEW, SEEN, SEEN]),
        ("without boot and time, far below", [(None, 5000, None), (None, 0, None),
         (None, 1, None)], [NEW, NEW, NEW]),
        ("from boot to none", [(3, 10, 0), (None, 0, 1), (None, 1, 2)], [NEW, NEW, NEW]),
        ("from none to boot", [(None, 10, 0), (3, 0, 1), (3, 1, 2)], [NEW, NEW, NEW]),
        ("a number of a time when nothing was yet", [(1, 0, 0), (1, 1, 1), (1, 1, 9), (1, 2, 2),
         (1, 0, 10), (1, 1, 1)], [NEW, NEW, REUSED, NEW, REUSED, SEEN]),
        ("the same number for ever", [(None, 0, 0), (None, 0, 1), (None, 0, 2)], [NEW] * 3),
    ],
)  # fmt: skip
def test_a_number_is_new_seen_or_outside_of_what_we_remember(
    name: str, steps: list[tuple[int | None, int, int | None]], answers: list[Sight]
) -> None:
    assert saw(SeqWindow(), *steps) == answers, name


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=60), st.sampled_from([None, 4]))
@settings(max_examples=300)
def test_no_number_is_new_twice_within_the_window(seqs: list[int], boot: int | None) -> None:
    window = SeqWindow()
    new: set[int] = set()
    for seq in seqs:
        answer = window.saw(boot, seq, T + seq)
        if answer is NEW:
            assert seq not in new
            new.add(seq)
        elif answer is SEEN:
            assert seq in new


def test_what_a_window_remembers_is_bounded() -> None:
    window, rng = SeqWindow(), Random(3)
    seq = 0
    for boot in range(20):
        for _ in range(200):
            seq += rng.choice((1, 2, 3, 1500, 10**9))
            window.saw(boot, seq, T + seq)
        assert len(window.missing) <= WINDOW
    assert window.before is not None
    assert window.before.before is None
    assert len(window.before.missing) <= WINDOW
    assert len(msgspec.msgpack.encode(window)) < 2 * 9 * WINDOW + 100
    assert sys.getsizeof(window.missing) < 64 * 1024


# The whole judge


def district() -> District:
    return District(a_gate(), *a_shed())


IDENTITIES = {
    "boot and seq": {},
    "seq alone": {"boot": None},
    "seq without a time": {"boot": None, "ts": None},
    "boot and seq without a time": {"ts": None},
    "time alone": {"boot": None, "seq": None},
}


@pytest.mark.parametrize("head", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_a_message_that_comes_three_times_has_one_effect(head: dict[str, Any]) -> None:
    d = district()
    for n in range(20):
        d.now_s = 10 * n
        raw = d.says("gate", {"door_state": "closed", "board_temp_c": 20 + n}, **head)
        for later_s in (1, 3):  # redelivered, so received later
            d.now_s = 10 * n + later_s
            d.again(raw._replace(received_ms=d.now_ms))
    assert d.account() == {"stored": 20, "duplicate": 40}
    assert d.reports("gate") == {0: 20}


@pytest.mark.parametrize("head", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_an_event_that_comes_three_times_happened_once(head: dict[str, Any]) -> None:
    d = district()
    for n in range(5):
        d.now_s = 10 * n
        raw = d.event("gate", "access", result="granted", method="face", event_id=f"a{n}", **head)
        d.again(raw, raw)
    assert d.account() == {"stored": 5, "duplicate": 10}
    assert d.figures("gate")[0]["granted"] == 5


def test_an_event_with_the_vendors_number_is_known_by_it() -> None:
    d = district()
    fields: dict[str, Any] = {"result": "granted", "boot": None, "seq": None}
    d.event("gate", "access", event_id="7", note="first try", **fields)
    d.event("gate", "access", event_id="7", note="second try, so other bytes", **fields)
    d.event("gate", "access", event_id="8", **fields)
    assert d.figures("gate")[0]["granted"] == 2


def test_a_session_is_known_by_its_order_whatever_number_tells_of_it() -> None:
    d = district()
    d.starts("shed", 1, "1001")
    d.now_s = 3600
    for _ in range(3):
        d.ends("shed", 1, "1001", session_energy_kwh=0.5)
    assert d.account() == {"stored": 2, "duplicate": 2}
    assert sum(f.get("sessions", 0) for f in d.figures("shed-p01").values()) == 1


def test_a_repeated_end_is_known_also_where_no_identities_are_kept() -> None:
    d = District(*a_shed(), stream="history")
    d.starts("shed", 1, "1001")
    d.ends("shed", 1, "1001", session_energy_kwh=0.5)
    d.commit()
    d.store.rows.keys.clear()
    d.ends("shed", 1, "1001", session_energy_kwh=0.5)
    assert d.account() == {"stored": 2, "duplicate": 1}


def test_without_number_and_time_a_message_sets_levels_and_never_adds_up() -> None:
    d = district()
    nobody: dict[str, Any] = {"boot": None, "seq": None, "ts": None}
    for _ in range(3):
        d.says("gate", {"door_state": "open"}, **nobody)
        d.event("gate", "access", result="granted", **nobody)
        d.event("gate", "fire_open", active=True, **nobody)
    assert d.account() == {"stored": 9}
    assert d.figures("gate") == {}
    assert d.judge.memories["gate"].word("door_state") == "open"
    assert d.standing() == {"gate GATE_FIRE_OPEN": "open"}


@pytest.mark.parametrize("seed", range(4))
def test_messages_shuffled_within_a_window_count_once_each(seed: int) -> None:
    d = district()
    d.every_message_is_a_record = False
    for n in range(2500):
        d.now_s = n
        if n % 3:
            d.event("gate", "access", result="granted")
        else:
            d.says("gate", {"csq": 20})
    raws = d.unsaid()
    rng = Random(seed)
    for start in range(0, len(raws), 1000):
        window = [raw for raw in raws[start : start + 1000] for _ in range(rng.choice((1, 2)))]
        rng.shuffle(window)
        d.again(*(raw._replace(received_ms=d.at_ms(start + 1000)) for raw in window))
        d.cut()
    account = d.account()
    assert account["stored"] == 2500
    assert account["duplicate"] == len(d.messages()) - 2500
    assert sum(f["granted"] for f in d.figures("gate").values()) == 1666
    assert sum(d.reports("gate").values()) == 834


def test_a_clock_that_cannot_be_believed_does_not_hide_a_message_as_a_duplicate() -> None:
    """Without boot, a gate that lost power counts from 0 again, and from 1970."""
    d = district()
    for n in range(50):
        d.now_s = n
        d.says("gate", {"csq": 20}, boot=None, seq=n)
    for n in range(50):
        d.now_s = 100 + n
        raw = d.says("gate", {"csq": 20}, boot=None, seq=n, ts=1000 * n)
        d.now_s += 0.5
        d.again(raw._replace(received_ms=d.now_ms))
    assert d.account() == {"stored": 100, "clock": 50, "duplicate": 50}


def test_what_lies_outside_the_window_is_still_known() -> None:
    d = district()
    d.says("gate", {"csq": 20}, seq=5000)
    d.now_s = 1
    old = d.says("gate", {"csq": 19}, seq=10, at_s=-3600)
    d.commit()
    d.again(old)
    assert d.account() == {"stored": 2, "late": 1, "duplicate": 1}


def test_a_number_that_is_used_again_is_another_message_and_refused() -> None:
    d = district()
    d.says("gate", {"csq": 20}, seq=7)
    d.now_s = 30
    raw = d.says("gate", {"csq": 3, "door_state": "open"}, seq=7)
    assert d.account() == {"stored": 1, "quarantined conflict": 1}
    assert d.judge.memories["gate"].latest.keys() == {"csq"}
    (refused,) = d.store.rows.refused.values()
    assert (refused.reason, refused.payload) == ("conflict", raw.payload)
    assert d.judge.memories["gate"].last_seen_ms == d.now_ms  # somebody sent it


def test_smoke_under_a_number_that_was_used_still_raises() -> None:
    d = district()
    d.says("shed", {"smoke": False}, seq=7)
    d.now_s = 30
    d.says("shed", {"smoke": True}, seq=7)
    assert d.standing() == {"shed SHED_SMOKE": "cleared"}
    assert d.fault("shed", "SHED_SMOKE").late  # type: ignore[union-attr]


@pytest.mark.parametrize("boot", [1, None])
def test_a_repeated_message_of_a_clock_that_runs_ahead_is_a_duplicate(boot: int | None) -> None:
    d = district()
    for n in range(5):
        d.now_s = 10 * n
        raw = d.says("gate", {"csq": 20}, at_s=d.now_s + 200, boot=boot)
        d.now_s += 3
        d.again(raw._replace(received_ms=d.now_ms))
    assert d.account() == {"stored": 5, "duplicate": 5}


@pytest.mark.parametrize(
    ("behind", "fate"), [(1, "quarantined conflict"), (HASHED - 1, "quarantined conflict"),
                         (HASHED, "duplicate"), (500, "duplicate")]
)  # fmt: skip
def test_another_message_under_a_used_number_is_a_conflict_and_an_old_one_a_duplicate(
    behind: int, fate: str
) -> None:
    d = district()
    for n in range(600):
        d.now_s = n
        d.says("gate", {"csq": 20}, seq=n)
    d.says("gate", {"csq": 3}, seq=599 - behind, at_s=599 - behind - 0.5)
    assert d.account() == {"stored": 600, fate: 1}
    assert d.judge.memories["gate"].word("csq") == 20


def test_what_the_window_remembers_of_the_content_outlives_a_restart_and_a_reboot() -> None:
    d = district()
    for n in range(5):
        d.now_s = n
        d.says("gate", {"csq": 20}, seq=n)
    d.restart()
    d.says("gate", {"csq": 3}, seq=4, at_s=3.5)
    d.now_s = 10
    d.says("gate", {"csq": 21}, boot=2, seq=0)
    d.restart()
    d.says("gate", {"csq": 4}, boot=1, seq=3, at_s=2.5)
    assert d.account() == {"stored": 6, "quarantined conflict": 2}


@pytest.mark.parametrize("seed", range(4))
def test_a_message_replayed_in_another_wrapping_is_never_a_conflict(seed: int) -> None:
    """Live, live again, in an array, in an array with others: stored once, else duplicates."""
    rng = Random(seed)
    d = district()
    sent: list[dict[str, Any]] = []
    for n in range(300):
        d.now_s = n
        one = {"ts": d.now_ms, "boot": 1 + n // 100, "seq": n % 100, "values": {"csq": n % 30}}
        sent.append(one)
        if rng.random() < 0.5:
            d.arrives("gate", one)
        else:
            d.arrives("gate", [one])
        for _ in range(rng.randrange(3)):
            first = max(0, n - rng.randrange(40))
            again = sent[first : n + 1]
            d.arrives("gate", rng.choice((again, [sent[-1]], sent[-1])))
    account = d.account()
    assert account["stored"] == 300
    assert set(account) <= {"stored", "duplicate"}


def test_only_a_message_of_one_object_is_told_apart_by_its_bytes() -> None:
    d = district()
    alone = d.says("gate", {"csq": 20})
    wrapped = d.replays("gate", [(0, {"csq": 20})])
    said = [d.decoder.decode(raw) for raw in (alone, wrapped)]
    assert content_hash(said[0], alone.payload) < BYTE
    assert content_hash(said[1], wrapped.payload) == UNHASHED


@given(st.lists(st.integers(0, 127), min_size=1, max_size=225).map(bytes), st.data())
def test_a_change_of_any_one_byte_of_a_usual_message_shows(payload: bytes, data: Any) -> None:
    """Usual: ASCII, so that no byte changes by 241."""
    d = SeqWindow()
    said = district().decoder.decode(district().says("gate", {"csq": 20}))
    index = data.draw(st.integers(0, len(payload) - 1))
    other = bytearray(payload)
    other[index] ^= data.draw(st.integers(1, 127))
    d.saw(1, 7, None, content_hash(said, payload))
    assert d.saw(1, 7, None, content_hash(said, payload)) is SEEN
    assert d.saw(1, 7, None, content_hash(said, bytes(other))) is REUSED


def test_a_row_of_an_older_version_is_loaded_and_knows_no_content() -> None:
    old = msgspec.msgpack.encode((1, 7, T, {5}, 0, (0, 3, T - 1, set(), 0, None)))
    window = msgspec.msgpack.decode(old, type=SeqWindow)
    assert window.saw(1, 6, T - 1, 9) is SEEN
    assert window.saw(1, 5, T - 1, 9) is NEW
    assert window.saw(1, 5, T - 1, 10) is REUSED
    assert window.saw(0, 3, T - 1, 9) is SEEN


def test_a_leap_of_the_counter_allocates_nothing_and_is_no_loss() -> None:
    window = SeqWindow()
    saw(window, (1, 0, 0), (1, 2, 2))
    assert saw(window, (1, 3 + JUMP, 3)) == [NEW]
    assert (len(window.missing), window.lost()) == (0, None)
    assert saw(window, (1, 3 + JUMP, 3), (1, 5 + JUMP, 5)) == [SEEN, NEW]
    lost = window.lost()
    assert lost is not None
    assert (lost.missing, lost.first, lost.last) == (1, 4 + JUMP, 4 + JUMP)


def test_two_readings_of_one_array_may_be_alike_in_time() -> None:
    d = district()
    d.arrives("gate", [{"ts": d.now_ms, "values": {"csq": 20}}] * 2)
    assert d.reports("gate") == {0: 2}


def test_a_jump_in_the_sequence_is_no_loss_of_what_fills_it_later() -> None:
    d = district()
    raws = [d.says("gate", {"csq": 20 + n}, at_s=n - 10) for n in range(3)]
    fresh = District(a_gate())
    fresh.again(raws[0])
    fresh.again(raws[2])
    fresh.again(raws[1])
    assert fresh.account() == {"stored": 3, "late": 1}
    assert fresh.judge.memories["gate"].word("csq") == 22
