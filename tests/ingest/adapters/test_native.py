"""The native format beyond its documented examples: what is strange, broken or hostile."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.messages import Decoded, Reason
from ingest.adapters.native import MAX_OBJECTS
from tests.ingest.cast import COMPOUND, NOW_MS, SEAL, a_decoder, a_publish, native

DECODER = a_decoder()
SMOKE = '"values":{"smoke":true}'


def decode(device: str, payload: Any, channel: str = "telemetry") -> Decoded:
    return DECODER.decode(a_publish(native(device, channel), payload))


def values(decoded: Decoded) -> list[dict[str, Any]]:
    return [report.values for item in decoded.items for report in item.reports]


def refusals(decoded: Decoded) -> list[tuple[str, str]]:
    return [(rejected.reason, rejected.quantity) for rejected in decoded.rejected]


class TestTopics:
    @pytest.mark.parametrize(
        ("topic", "reason"),
        [
            ("courtyard/v1/jiaogong-xiaoqu/lamp/lamp-1/telemetri", Reason.BAD_TOPIC),
            ("courtyard/v1/jiaogong-xiaoqu/lamp/Lamp-1/telemetry", Reason.BAD_TOPIC),
            ("courtyard/v1/jiaogong-xiaoqu/lamp/lamp-1", Reason.BAD_TOPIC),
            ("courtyard/v2/jiaogong-xiaoqu/lamp/lamp-1/telemetry", Reason.BAD_TOPIC),
            ("", Reason.BAD_TOPIC),
            ("courtyard/v1/jiaogong-xiaoqu/lamp/lamp-404/telemetry", Reason.UNKNOWN_DEVICE),
            ("courtyard/v1/xiangyunli/lamp/lamp-1/telemetry", Reason.WRONG_PLACE),
            ("courtyard/v1/jiaogong-xiaoqu/gate/lamp-1/telemetry", Reason.WRONG_PLACE),
            (b"courtyard/v1/\xff/lamp/lamp-1/telemetry", Reason.BAD_TEXT),
            (b"courtyard/v1/a\0b/lamp/lamp-1/telemetry", Reason.BAD_TEXT),
        ],
    )
    def test_a_wrong_topic_is_refused_with_its_reason(
        self, topic: str | bytes, reason: Reason
    ) -> None:
        decoded = DECODER.decode(a_publish(topic, {"values": {"power_w": 1}}))
        assert (decoded.reason, decoded.items) == (reason, [])

    @pytest.mark.parametrize("level", range(2, 6))
    def test_a_long_topic_does_not_make_a_long_reason(self, level: int) -> None:
        levels = native("lamp-1").split("/")
        levels[level] = "x" * 60_000
        decoded = DECODER.decode(a_publish("/".join(levels), {"values": {"power_w": 1}}))
        assert decoded.reason is Reason.BAD_TOPIC
        assert len(decoded.detail) < 200

    def test_a_known_device_in_the_wrong_place_is_named(self) -> None:
        topic = "courtyard/v1/xiangyunli/lamp/lamp-1/telemetry"
        decoded = DECODER.decode(a_publish(topic, "{}"))
        assert decoded.device is not None
        assert decoded.device.id == "lamp-1"

    def test_a_device_registered_with_a_vendors_format_is_unknown_here(self) -> None:
        decoded = decode("shed-juy", {"values": {"voltage_v": 228}})
        assert decoded.reason is Reason.UNKNOWN_DEVICE
        assert decoded.device is None


class TestContent:
    def test_what_a_message_is_follows_from_its_content_not_its_channel(self) -> None:
        decoded = decode("gate-1", {"event": "panic", "door_no": 1}, "telemetry")
        assert [event.type for item in decoded.items for event in item.events] == ["panic"]
        decoded = decode("gate-1", {"values": {"door_state": "open"}}, "event")
        assert values(decoded) == [{"door_state": "open"}]
        decoded = decode("gate-1", {"state": "offline"}, "telemetry")
        assert [item.status for item in decoded.items] == ["offline"]

    def test_values_beside_an_event_are_kept(self) -> None:
        sent = {"event": "panic", "values": {"door_state": "open"}, "seq": 3}
        (item,) = decode("gate-1", sent, "event").items
        assert [event.type for event in item.events] == ["panic"]
        assert [report.values for report in item.reports] == [{"door_state": "open"}]

    @pytest.mark.parametrize("sent", [{"values": {}}, {"values": {"power_w": None}}])
    def test_no_values_are_a_bare_sign_of_life(self, sent: dict[str, Any]) -> None:
        decoded = decode("lamp-1", sent)
        assert decoded.reason is None
        assert decoded.rejected == []
        assert [(item.reports, item.events) for item in decoded.items] == [([], [])]

    @pytest.mark.parametrize(
        "sent", ["{}", '{"ts":1}', '{"value":{"power_w":1}}', "[]", "[[]]", "7", "null", '"on"']
    )
    def test_a_message_without_any_content_is_refused(self, sent: str) -> None:
        decoded = decode("lamp-1", sent)
        assert (decoded.reason, decoded.items) == (Reason.BAD_TYPE, [])
        assert decoded.device is not None  # it is a sign of life all the same

    def test_null_is_unknown_and_left_out(self) -> None:
        decoded = decode("lamp-1", {"values": {"power_w": None, "voltage_v": 228.7}})
        assert values(decoded) == [{"voltage_v": 228.7}]
        assert decoded.rejected == []

    def test_an_unknown_port_is_refused_and_the_others_are_kept(self) -> None:
        sent = {"ports": {"2": {"power_w": 182}, "13": {"power_w": 1}, "x": {}}}
        decoded = decode("shed-1", sent)
        assert values(decoded) == [{"power_w": 182.0}]
        assert refusals(decoded) == [(Reason.UNKNOWN_DEVICE, "")] * 2

    def test_a_refused_value_of_a_port_names_the_port(self) -> None:
        sent = {"values": {"voltage_v": 228}, "ports": {"2": {"power_w": -3}}}
        (rejected,) = decode("shed-1", sent).rejected
        assert (rejected.device, rejected.quantity) == ("shed-1-p02", "power_w")

    def test_one_bad_object_of_a_replay_does_not_cost_the_others(self) -> None:
        good = {"ts": NOW_MS, "values": {"power_w": 1}}
        decoded = decode("lamp-1", [good, 7, {"ts": NOW_MS}, {"values": {"power_w": "x"}}, good])
        assert decoded.array
        assert values(decoded) == [{"power_w": 1.0}] * 2
        assert refusals(decoded) == [(Reason.BAD_TYPE, "")] * 2 + [(Reason.BAD_TYPE, "power_w")]

    def test_a_numeric_event_id_is_taken_as_text(self) -> None:
        sent = {"event": "access", "result": "granted", "event_id": 77}
        (item,) = decode("gate-1", sent, "event").items
        assert [event.event_id for event in item.events] == ["77"]

    @pytest.mark.parametrize("digits", [19, 20, 21, 300, 4_000, 5_000])
    @pytest.mark.parametrize("more", ["", ',"x":"\\u0041"'])
    def test_an_event_id_beyond_64_bits_is_no_number_of_a_device(
        self, digits: int, more: str
    ) -> None:
        """The fast form and the careful one differed in how many digits are too many."""
        sent = f'"event":"access","result":"granted","event_id":{"9" * digits}{more}'
        decoded = decode("gate-1", f'{{"ts":{NOW_MS},"seq":1,{sent}}}', "event")
        assert [event.event_id for item in decoded.items for event in item.events] == [None]
        assert refusals(decoded) == [(Reason.BAD_NUMBER, "")]

    @pytest.mark.parametrize("state", ["on", 1, True, {}])
    def test_a_status_is_online_or_offline(self, state: Any) -> None:
        decoded = decode("gate-1", {"state": state}, "status")
        assert decoded.reason in (Reason.BAD_TYPE, Reason.OUT_OF_RANGE)


class TestTimes:
    @pytest.mark.parametrize(
        ("ts", "at_ms"),
        [
            (1795399200123, 1795399200123),
            (1795399200123.0, 1795399200123),
            (-1, -1),  # whether a clock is plausible is for the judge to say
            ("2026-11-23T02:00:00.123Z", NOW_MS),
            ("2026-11-23T10:00:00.123", NOW_MS),
            ("2026-11-23 10:00:00.1239", NOW_MS),
            ("2026-11-22t21:00:00.123-05:00", NOW_MS),
            (None, None),
        ],
    )
    def test_a_time_is_epoch_ms_or_rfc_3339_local_without_zone(
        self, ts: Any, at_ms: int | None
    ) -> None:
        decoded = decode("lamp-1", {"ts": ts, "values": {"power_w": 1}})
        assert [item.at_ms for item in decoded.items] == [at_ms]
        assert decoded.rejected == []

    @pytest.mark.parametrize(
        ("local", "utc"),
        [
            ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),  # the hour after is summer time
            ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
            ("2026-11-23T03:00:00", "2026-11-23T02:00:00Z"),
        ],
    )
    def test_a_time_without_zone_is_that_of_the_compound(self, local: str, utc: str) -> None:
        found = [
            item.at_ms
            for ts in (local, utc)
            for item in decode("lamp-abroad", {"ts": ts, "values": {"power_w": 1}}).items
        ]
        assert found[0] == found[1]

    @pytest.mark.parametrize(
        ("ts", "reason"),
        [
            (True, Reason.BAD_TYPE),
            ("yesterday", Reason.BAD_TYPE),
            ("2026-13-01T00:00:00Z", Reason.BAD_TYPE),
            ("2026-11-23", Reason.BAD_TYPE),
            ("1795399200123", Reason.BAD_TYPE),
            ({"at": 1}, Reason.BAD_TYPE),
            (10**300, Reason.BAD_NUMBER),
            (2**53 + 2, Reason.BAD_NUMBER),
            ("2026-11-23T10:00:00\0", Reason.BAD_TEXT),
        ],
    )
    def test_values_beside_an_unusable_time_are_kept(self, ts: Any, reason: Reason) -> None:
        decoded = decode("lamp-1", {"ts": ts, "values": {"power_w": 1}})
        assert values(decoded) == [{"power_w": 1.0}]
        assert [item.at_ms for item in decoded.items] == [None]
        assert refusals(decoded) == [(reason, "")]

    @pytest.mark.parametrize("seq", [True, -1, 1.5, "7", 2**60, [1]])
    def test_values_beside_an_unusable_number_are_kept(self, seq: Any) -> None:
        decoded = decode("lamp-1", {"seq": seq, "boot": 3, "values": {"power_w": 1}})
        assert [(item.seq, item.boot) for item in decoded.items] == [(None, 3)]
        assert values(decoded) == [{"power_w": 1.0}]
        assert len(decoded.rejected) == 1


class TestHostileJson:
    """Failure matrix IN4-IN8: beside each of these a smoke alarm is kept."""

    @pytest.mark.parametrize(
        ("beside", "reason"),
        [
            ('"values":{"voltage_v":NaN,"smoke":true}', Reason.BAD_NUMBER),
            ('"values":{"voltage_v":-Infinity,"smoke":true}', Reason.BAD_NUMBER),
            ('"values":{"voltage_v":1e999,"smoke":true}', Reason.BAD_NUMBER),
            (f'"values":{{"voltage_v":{"9" * 4000},"smoke":true}}', Reason.BAD_NUMBER),
            (f'"values":{{"voltage_v":{"9" * 5000},"smoke":true}}', Reason.BAD_NUMBER),
            (f'"values":{{"voltage_v":{2**53 + 2},"smoke":true}}', Reason.BAD_NUMBER),
            ('"values":{"voltage_v":true,"smoke":true}', Reason.BAD_TYPE),
            ('"values":{"voltage_v":"228","smoke":true}', Reason.BAD_TYPE),
            ('"values":{"voltage_v":[228],"smoke":true}', Reason.BAD_TYPE),
            ('"values":{"voltage_v":{"v":228},"smoke":true}', Reason.BAD_TYPE),
            ('"values":{"voltage_v":-1,"smoke":true}', Reason.OUT_OF_RANGE),
            ('"values":{"voltage_v":1,"voltage_v":2,"smoke":true}', Reason.DUPLICATE_KEY),
            ('"values":{"voltage_v":1,"voltage_\\u0076":2,"smoke":true}', Reason.DUPLICATE_KEY),
            (f'"seq":1,"seq":2,{SMOKE}', Reason.DUPLICATE_KEY),
            (f'"note":1,"note":2,{SMOKE}', Reason.DUPLICATE_KEY),
            (f'"note":{{"a":1,"a":2}},{SMOKE}', Reason.DUPLICATE_KEY),
            ('"values":{"leakage_state":"a\\u0000b","smoke":true}', Reason.BAD_TEXT),
            ('"values":{"leakage_state":"\\ud800","smoke":true}', Reason.BAD_TEXT),
            (f'"values":{{"leakage_state":"{"a" * 257}","smoke":true}}', Reason.BAD_TEXT),
            ('"values":{"leakage_state":"\udcff","smoke":true}', Reason.BAD_TEXT),
            (f'"note":"\udcff",{SMOKE}', Reason.BAD_TEXT),
            (f'"note":["\\ud800"],{SMOKE}', Reason.BAD_TEXT),
            (f'"n\udcffte":1,{SMOKE}', Reason.BAD_TEXT),
            (f'"note":NaN,{SMOKE}', Reason.BAD_NUMBER),
        ],
    )
    @pytest.mark.parametrize(
        "shape",
        [
            "{{{}}}",
            '{{"ts":1795399200123,"seq":1,{}}}',
            "[{{{}}}]",
            '[{{{}}},{{"values":{{}}}}]',
        ],
    )
    def test_one_bad_part_does_not_lose_the_smoke(
        self, beside: str, reason: Reason, shape: str
    ) -> None:
        payload = shape.format(beside).encode("utf-8", "surrogateescape")
        decoded = decode("shed-1", payload)
        assert values(decoded) == [{"smoke": True}]
        assert [rejected.reason for rejected in decoded.rejected] == [reason]
        assert decoded.reason is None

    @pytest.mark.parametrize("hash_", ["ab", "a:b", "a\\u003ab", "a\\\\b", "a:\\u003ab"])
    def test_an_event_that_says_two_things_at_once_is_refused(self, hash_: str) -> None:
        payload = (
            '{"ts":1795399200123,"seq":1,"event":"access","result":"granted","result":"denied",'
            f'"credential_hash":"{hash_}"}}'
        )
        decoded = decode("gate-1", payload, "event")
        assert decoded.items == []
        assert Reason.DUPLICATE_KEY in [rejected.reason for rejected in decoded.rejected]

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"", Reason.NOT_JSON),
            (b"smoke", Reason.NOT_JSON),
            (b'{"values":{"smoke":true}', Reason.NOT_JSON),
            (b'{"values":{"smoke":true}}{}', Reason.NOT_JSON),
            (b'{"values":{"smoke":true}} x', Reason.NOT_JSON),
            (b"{'values':{'smoke':true}}", Reason.NOT_JSON),
            (b'\xef\xbb\xbf{"values":{"smoke":true}}', Reason.NOT_JSON),
            ('{"values":{"smoke":true}}'.encode("utf-16"), Reason.NOT_JSON),
            ('{"values":{"smoke":true}}'.encode("utf-16-le"), Reason.NOT_JSON),
            ('{"values":{"smoke":true}}'.encode("utf-32"), Reason.NOT_JSON),
            (b"\xc3\x28", Reason.BAD_TEXT),
            (b'{"values":{"smoke":tr\xffe}}', Reason.BAD_TEXT),
            (b'{"values":{"leakage_state":"a\0b"}}', Reason.BAD_TEXT),
            (b'{"values":{"smoke":true},"values":{"smoke":false}}', Reason.DUPLICATE_KEY),
            (b'{"values":{"smoke":true,"smoke":false}}', Reason.DUPLICATE_KEY),
            (b'{"values":' + b"[" * 10_000, Reason.TOO_DEEP),
            (b'{"values":' + b"[" * 10_000 + b"]" * 10_000 + b"}", Reason.TOO_DEEP),
            (b'{"x":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_001, Reason.TOO_DEEP),
            (b'{"values":{},"x":' + b"[" * 32 + b"]" * 32 + b"}", Reason.TOO_DEEP),
        ],
    )
    @pytest.mark.parametrize("channel", ["telemetry", "event", "status"])
    def test_what_cannot_be_read_is_refused_with_its_reason(
        self, payload: bytes, reason: Reason, channel: str
    ) -> None:
        decoded = decode("shed-1", payload, channel)
        assert (decoded.reason, decoded.items) == (reason, [])

    @pytest.mark.parametrize("hidden", ["[" * 500, "\\\\", '\\"[[[', "[" * 40 + "\\\\"])
    def test_brackets_in_a_string_are_not_deep(self, hidden: str) -> None:
        payload = f'{{"note":"{hidden[:200]}","values":{{"smoke":true}}}}'
        decoded = decode("shed-1", payload)
        assert values(decoded) == [{"smoke": True}]

    def test_a_depth_of_32_is_allowed(self) -> None:
        payload = b'{"values":{"smoke":true},"x":' + b"[" * 31 + b"]" * 31 + b"}"
        assert values(decode("shed-1", payload)) == [{"smoke": True}]

    def test_a_replay_of_many_objects_is_not_deep(self) -> None:
        sent = [{"ts": NOW_MS + n, "values": {"power_w": n}} for n in range(500)]
        assert len(decode("lamp-1", sent).items) == 500

    @pytest.mark.parametrize(
        "text", ["a\nb", "gate,compound=other power_w=1", "a\\", 'a" b', "=1+1", "<script>"]
    )
    def test_text_that_means_something_elsewhere_is_literal_or_refused(self, text: str) -> None:
        sent = {"event": "access", "result": "granted", "credential_hash": text, text: 1}
        decoded = decode("gate-1", sent, "event")
        ((event,),) = (item.events for item in decoded.items)
        assert event.attributes in (
            {"result": "granted"},
            {"result": "granted", "credential_hash": SEAL(COMPOUND, text)},
        )
        assert len(decoded.unknown) == 1
        assert decoded.unknown[0].isprintable()

    @given(
        st.text('[]{}"\\,:a1 \n', max_size=60),
    )
    def test_depth_counts_brackets_outside_strings(self, text: str) -> None:
        payload = json.dumps({"values": {"smoke": True}, "note": text}).encode()
        decoded = decode("shed-1", payload)
        assert values(decoded) == [{"smoke": True}]


VALUES = st.dictionaries(
    st.sampled_from(["power_w", "voltage_v", "switch_state", "lamp_failure", "dim_level_pct", "x"]),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**60), 2**60),
        st.integers(0, 100),
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(0, 300),
        st.sampled_from(["on", "off", "a:b"]),
        st.lists(st.integers(), max_size=2),
    ),
    max_size=6,
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "ts": st.one_of(st.integers(0, 2**54), st.just("2026-11-23T10:00:00Z"), st.none()),
        "boot": st.one_of(st.integers(0, 9), st.just(None)),
        "seq": st.integers(-1, 10**6),
        "values": VALUES,
        "state": st.sampled_from(["online", "offline", "away"]),
        "event": st.sampled_from(["switched", "override", "none"]),
        "on": st.booleans(),
        "by": st.sampled_from(["schedule", "nobody", "a:b"]),
        "event_id": st.one_of(st.text(max_size=5), st.integers(0, 9)),
    },
)


@given(
    st.one_of(OBJECTS, st.lists(OBJECTS, min_size=1, max_size=3)),
    st.sampled_from(["telemetry", "event", "status"]),
)
def test_the_fast_and_the_careful_reading_agree(sent: Any, channel: str) -> None:
    fast = decode("lamp-1", sent, channel)
    # one more name of no meaning sends the message the careful way
    if isinstance(sent, list):
        strange: Any = [one | {"strange": {}} for one in sent]
    else:
        strange = sent | {"strange": {}}
    careful = decode("lamp-1", strange, channel)
    careful.unknown = [name for name in careful.unknown if name != "strange"]
    assert fast == careful
    assert json.dumps(values(fast)) == json.dumps(values(careful))


@pytest.mark.parametrize("one", ["0", "{}", '{"values":{"power_w":20}}'])
def test_more_objects_than_readings_have_room_for_are_refused_in_one(one: str) -> None:
    """Looked at one by one, 64 KiB of them would cost 0.2 s in which nobody else is judged."""
    at_most = decode("lamp-1", f"[{','.join([one] * MAX_OBJECTS)}]")
    assert at_most.reason is not Reason.TOO_LARGE
    more = decode("lamp-1", f"[{','.join([one] * (MAX_OBJECTS + 1))}]")
    assert (more.reason, more.items, more.rejected) == (Reason.TOO_LARGE, [], [])
