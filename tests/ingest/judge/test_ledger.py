"""Each message is booked once: stored, duplicate or quarantined; what is kept of the refused."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.journal import MESSAGES, OVERSIZE, RETAINED, Record
from devices.judgement import Refused
from devices.messages import Reason
from tests.ingest.judge.district import START_MS, District, a_gate, a_shed

OUTCOMES = ("stored", "duplicate", "quarantined")
HOUR_MS = 3_600_000


def a_district() -> District:
    return District(a_gate(), *a_shed())


def booked(district: District) -> int:
    """How many messages the accounts hold."""
    account = district.account()
    return sum(count for name, count in account.items() if name.split()[0] in OUTCOMES)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", Reason.NOT_JSON),
        (b"\xff\xfe\x00", Reason.NOT_JSON),
        (b'{"values": {"csq": "20"}}', Reason.BAD_TYPE),
        (b'{"values": {"csq": NaN}}', Reason.BAD_NUMBER),
        (b'{"values": {"csq": 77}}', Reason.OUT_OF_RANGE),
        (b"[" * 100 + b"]" * 100, Reason.TOO_DEEP),
        (b'{"values": {"csq": 1, "csq": 2}}', Reason.DUPLICATE_KEY),
    ],
)
def test_a_message_of_which_nothing_is_usable_is_quarantined_whole(
    payload: bytes, reason: Reason
) -> None:
    d = a_district()
    raw = d.arrives("gate", payload)
    assert d.account() == {f"quarantined {reason}": 1}
    (refused,) = d.store.rows.refused.values()
    assert (refused.reason, refused.device, refused.compound) == (reason, "gate", raw.origin)
    assert (refused.payload, refused.sha256) == (payload, sha256(payload).hexdigest())
    assert (refused.size_bytes, refused.received_ms) == (len(payload), d.now_ms)
    assert refused.topic == raw.topic.decode()
    assert not refused.partial
    assert refused.detail


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("courtyard/v1/jiaogong-xiaoqu/gate/gate-99/telemetry", Reason.UNKNOWN_DEVICE),
        ("courtyard/v1/lvyun-xiaoqu/gate/gate/telemetry", Reason.WRONG_PLACE),
        ("courtyard/v1/jiaogong-xiaoqu/lift/gate/telemetry", Reason.WRONG_PLACE),
        ("courtyard/v1/jiaogong-xiaoqu/gate/gate/news", Reason.BAD_TOPIC),
        ("something/else", Reason.BAD_TOPIC),
    ],
)
def test_a_message_on_a_topic_that_is_nobodys_is_quarantined(topic: str, reason: Reason) -> None:
    d = a_district()
    d.arrives("gate", {"values": {"csq": 20}}, topic=topic)
    assert d.account() == {f"quarantined {reason}": 1}
    assert d.judge.memories["gate"].latest == {}


def test_a_nan_beside_a_smoke_flag_does_not_lose_the_smoke() -> None:
    d = a_district()
    d.arrives("shed", b'{"values": {"voltage_v": NaN, "csq": "x", "smoke": true}}')
    assert d.account() == {
        "stored": 1,
        "partial": 1,
        "part bad_number": 1,
        "part bad_type": 1,
    }
    assert set(d.standing()) == {"shed SHED_SMOKE"}
    (refused,) = d.store.rows.refused.values()
    assert refused.partial
    assert refused.payload is not None


def unknown_rows(d: District) -> list[Refused]:
    d.commit()
    rows = d.store.rows.refused.values()
    return [row for row in rows if "unknown" in row.detail]


def test_unknown_quantities_are_counted_and_shown_and_the_others_stored() -> None:
    d = a_district()
    d.says("gate", {"csq": 20, "colour": "red", "mood_c": 3})
    d.says("gate", {"csq": 21})
    assert d.account() == {"stored": 2, "unknown": 1}
    assert d.judge.memories["gate"].latest.keys() == {"csq"}
    (row,) = unknown_rows(d)
    assert (row.device, row.reason, row.partial) == ("gate", Reason.UNSUPPORTED, True)
    assert row.detail == "unknown: colour, mood_c"
    assert row.payload is not None


def test_three_messages_with_unknown_quantities_are_kept_per_device_and_hour() -> None:
    d = a_district()
    for _ in range(5):
        d.says("gate", {"csq": 20, "colour": "red"})
        d.says("shed", {"colour": "red"})
    d.restart()
    assert d.account() == {"stored": 10, "unknown": 10}
    assert [row.device for row in unknown_rows(d)] == ["gate", "shed"] * 3
    d.now_s = 3600
    d.says("gate", {"csq": 20, "colour": "red"})
    assert len(unknown_rows(d)) == 7


def test_a_message_with_refused_and_unknown_quantities_is_kept_once_with_both() -> None:
    d = a_district()
    d.says("gate", {"csq": "x", "uptime_s": 1, "colour": "red"})
    assert d.account() == {"stored": 1, "partial": 1, "part bad_type": 1, "unknown": 1}
    (row,) = unknown_rows(d)
    assert row.reason is Reason.BAD_TYPE
    assert "csq" in row.detail
    assert row.detail.endswith("; unknown: colour")


def test_a_repeated_message_is_a_duplicate_whatever_was_wrong_in_it() -> None:
    d = a_district()
    raw = d.arrives("gate", {"ts": d.now_ms, "seq": 1, "values": {"csq": 20, "uptime_s": -4}})
    d.again(raw, raw)
    assert d.account() == {"stored": 1, "duplicate": 2, "partial": 1, "part out_of_range": 1}


def test_an_oversize_message_is_kept_as_a_stub_that_tells_its_true_size() -> None:
    d = a_district()
    stub = b"\0courtyard-oversize 10485760 " + b"ab" * 32 + b" head of it"
    d.arrives("gate", stub, flags=OVERSIZE)
    assert d.account() == {"quarantined too_large": 1}
    (refused,) = d.store.rows.refused.values()
    assert (refused.size_bytes, refused.sha256) == (10_485_760, "ab" * 32)


def test_an_account_is_by_compound_and_by_the_hour_of_receipt() -> None:
    d = a_district()
    before_the_hour_s = (HOUR_MS - START_MS % HOUR_MS) / 1000 - 1
    d.now_s = before_the_hour_s
    d.says("gate", {"csq": 20})
    d.now_s += 2
    d.says("gate", {"csq": 20}, at_s=before_the_hour_s)
    d.arrives("gate-99", b"{}", topic="courtyard/v1/x/gate/gate-99/telemetry")
    d.commit()
    hour_ms = START_MS - START_MS % HOUR_MS
    assert dict(d.store.rows.accounts) == {
        ("jiaogong-xiaoqu", hour_ms, "stored", ""): 1,
        ("jiaogong-xiaoqu", hour_ms + HOUR_MS, "stored", ""): 1,
        ("unassigned", hour_ms + HOUR_MS, "quarantined", "unknown_device"): 1,
    }


def test_payloads_are_kept_up_to_a_cap_per_device_reason_and_hour() -> None:
    d = a_district()
    d.every_message_is_a_record = False
    for _ in range(1200):
        d.arrives("gate", b"{")
    d.arrives("gate", b"\xff\xff\xff[")
    d.arrives("shed", b"{")
    d.cut()
    d.commit()
    kept = list(d.store.rows.refused.values())
    of_gate = [r for r in kept if r.device == "gate" and r.reason is Reason.NOT_JSON]
    assert len(of_gate) == 1000
    assert sum(r.payload is not None for r in of_gate) == 100
    assert [r.payload is not None for r in kept if r.device == "shed"] == [True]
    assert booked(d) == 1202  # counted they all are
    d.now_s = 3600
    d.arrives("gate", b"{")
    d.cut()
    d.commit()
    assert [r.payload for r in list(d.store.rows.refused.values())[len(kept) :]] == [b"{"]


def test_a_damaged_record_is_counted_by_what_can_still_be_read_of_it() -> None:
    d = a_district()
    d.take(Record(7, MESSAGES, 100, 40, 1, (), None, corrupt=True))
    assert d.account() == {"quarantined journal_corrupt": 40}
    assert (d.store.rows.cursor.position, d.store.rows.cursor.jseq) == (7, 139)  # type: ignore[union-attr]


def messages() -> st.SearchStrategy[dict[str, Any]]:
    """What can come in: good, bad, repeated, retained, old, in arrays, of nobody."""
    readings = st.fixed_dictionaries(
        {"values": st.dictionaries(
            st.sampled_from(["csq", "door_state", "tamper", "smoke", "nonsense", "board_temp_c"]),
            st.one_of(st.integers(-5, 50), st.booleans(), st.none(), st.just("closed"),
                      st.just(float("nan"))),
            max_size=3)},
        optional={
            "boot": st.integers(0, 2),
            "seq": st.one_of(st.integers(0, 8), st.just(-1)),
            "ts": st.one_of(st.integers(-600_000, 400_000).map(lambda ms: START_MS + ms),
                            st.just(0), st.just("soon")),
        },
    )  # fmt: skip
    events = st.fixed_dictionaries(
        {
            "event": st.sampled_from(["access", "duress", "session_end", "shed_alarm", "what"]),
            "seq": st.integers(0, 8),
            "ts": st.integers(START_MS - 600_000, START_MS),
        },
        optional={
            "result": st.just("granted"),
            "port_no": st.integers(1, 3),
            "order": st.sampled_from(["1", "2"]),
            "what": st.just("smoke"),
            "active": st.booleans(),
        },
    )
    bodies = st.one_of(readings, events, st.just({"state": "offline"}))
    return st.fixed_dictionaries(
        {
            "device": st.sampled_from(["gate", "shed", "nobody"]),
            "body": st.one_of(bodies, st.lists(bodies, max_size=3), st.just("{"), st.just(7)),
            "flags": st.sampled_from([0, 0, 0, RETAINED]),
            "again": st.integers(0, 2),
            "channel": st.sampled_from(["telemetry", "event", "status", "news"]),
        }
    )


@given(st.lists(messages(), max_size=25), st.integers(1, 10))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_whatever_comes_every_message_is_booked_exactly_once(
    sent: list[dict[str, Any]], batch: int
) -> None:
    d = a_district()
    d.every_message_is_a_record = False
    count = 0
    for n, message in enumerate(sent):
        d.now_s += 1
        kind = {"gate": "gate", "shed": "shed", "nobody": "gate"}[message["device"]]
        body = message["body"]
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        raw = d.arrives(
            message["device"],
            payload,
            topic=f"courtyard/v1/jiaogong-xiaoqu/{kind}/{message['device']}/{message['channel']}",
            flags=message["flags"],
        )
        d.again(*[raw] * message["again"])
        count += 1 + message["again"]
        if n % batch == 0:
            d.cut()
            d.probe()
    d.cut()
    assert booked(d) == count
    assert all(number > 0 for number in d.account().values())
    cursor = d.store.rows.cursor
    assert cursor is not None
    assert cursor.jseq == count
    account = d.account()
    for mark in ("late", "clock", "retained", "partial", "unknown"):
        assert account.get(mark, 0) <= account.get("stored", 0)
