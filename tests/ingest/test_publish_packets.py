"""PUBLISH packets out of a byte stream, as MQTT 3.1.1 (§3.3) and 5 (§3.3) lay them out."""

import hashlib
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.journal import DUP, OVERSIZE, RETAINED, UNASSIGNED, Raw
from ingest.publish_packets import (
    MAX_PACKET_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_RUN_MESSAGES,
    Cutter,
    MalformedPacket,
    OtherPacket,
    Run,
    ack_block,
    add_message,
)

CONNACK = bytes.fromhex("20020000")
PINGRESP = bytes.fromhex("d000")


def length(size: int) -> bytes:
    out = []
    while True:
        out.append(size % 128 | (128 if size > 127 else 0))
        size //= 128
        if size == 0:
            return bytes(out)


def a_publish(
    topic: bytes = b"a/b",
    payload: bytes = b"x",
    *,
    qos: int = 1,
    mid: int = 1,
    dup: bool = False,
    retain: bool = False,
    properties: bytes | None = None,
) -> bytes:
    """properties: those of MQTT 5 without their length; None for a packet of 3.1.1."""
    body = len(topic).to_bytes(2, "big") + topic
    if qos:
        body += mid.to_bytes(2, "big")
    if properties is not None:
        body += length(len(properties)) + properties
    body += payload
    return bytes([0x30 | dup << 3 | qos << 1 | retain]) + length(len(body)) + body


def cut(*chunks: bytes, mqtt5: bool = False) -> list[Run | OtherPacket]:
    cutter = Cutter(mqtt5=mqtt5, origin=lambda topic: topic.decode("ascii", "replace")[:3])
    return [piece for chunk in chunks for piece in cutter.feed(chunk, 1_000)]


def messages_of(pieces: list[Run | OtherPacket]) -> list[Raw]:
    return [raw for piece in pieces if isinstance(piece, Run) for raw in piece.messages]


def mids_of(pieces: list[Run | OtherPacket]) -> list[int]:
    return [
        int.from_bytes(mid, "big")
        for piece in pieces
        if isinstance(piece, Run)
        for mid in piece.mids
    ]


def test_a_packet_spelled_by_hand_is_read_as_the_standard_says() -> None:
    # MQTT 3.1.1, figure 3.11: topic a/b, packet id 10
    packet = bytes.fromhex("32 08 00 03 61 2f 62 00 0a 21".replace(" ", ""))
    (run,) = cut(packet)
    assert isinstance(run, Run)
    assert run.messages == [Raw(b"a/b", b"!", 0, 1_000, "a/b")]
    assert run.mids == [b"\x00\x0a"]


def test_one_read_gives_all_its_messages_in_one_run() -> None:
    data = b"".join(a_publish(payload=b"%d" % n, mid=n) for n in range(1, 401))
    (run,) = cut(data)
    assert isinstance(run, Run)
    assert [raw.payload for raw in run.messages] == [b"%d" % n for n in range(1, 401)]
    assert mids_of([run]) == list(range(1, 401))
    assert run.size_bytes == len(data)


def test_flags_are_those_of_the_fixed_header() -> None:
    data = a_publish(dup=True) + a_publish(retain=True) + a_publish(dup=True, retain=True)
    assert [raw.flags for raw in messages_of(cut(data))] == [DUP, RETAINED, DUP | RETAINED]


def test_qos_0_has_no_packet_id_and_needs_no_acknowledgement() -> None:
    pieces = cut(a_publish(qos=0, payload=b"zero") + a_publish(payload=b"one", mid=7))
    assert [raw.payload for raw in messages_of(pieces)] == [b"zero", b"one"]
    assert mids_of(pieces) == [7]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 200, 70_000])
def test_properties_of_mqtt_5_are_skipped_whatever_their_length(size: int) -> None:
    packet = a_publish(payload=b"after", properties=b"\x26" * size)
    assert [raw.payload for raw in messages_of(cut(packet, mqtt5=True))] == [b"after"]


def test_an_empty_payload_is_a_message() -> None:
    assert [raw.payload for raw in messages_of(cut(a_publish(payload=b"")))] == [b""]
    packet = a_publish(payload=b"", properties=b"")
    assert [raw.payload for raw in messages_of(cut(packet, mqtt5=True))] == [b""]


def test_a_topic_that_is_not_utf_8_survives_as_bytes() -> None:
    assert [raw.topic for raw in messages_of(cut(a_publish(b"\xff\xfe/\x80")))] == [
        b"\xff\xfe/\x80"
    ]


def test_other_packets_keep_their_place_among_the_messages() -> None:
    first, second = a_publish(payload=b"1"), a_publish(payload=b"2")
    pieces = cut(CONNACK + first + PINGRESP + second)
    assert [type(piece) for piece in pieces] == [OtherPacket, Run, OtherPacket, Run]
    assert pieces[0] == OtherPacket(0x20, b"\x00\x00")
    assert pieces[2] == OtherPacket(0xD0, b"")


def test_a_run_ends_after_a_thousand_messages() -> None:
    pieces = cut(a_publish() * (MAX_RUN_MESSAGES + 5))
    assert [len(piece.messages) for piece in pieces if isinstance(piece, Run)] == [1_000, 5]


def test_where_probes_came_is_noted() -> None:
    probe = a_publish(b"courtyard/v1/_probe/one")
    (run,) = cut(a_publish() + probe + a_publish() + probe)
    assert isinstance(run, Run)
    assert run.probes == [1, 3]


def test_an_origin_that_fails_costs_the_message_its_origin_only() -> None:
    def origin(topic: bytes) -> str:
        raise KeyError(topic)

    (run,) = Cutter(mqtt5=False, origin=origin).feed(a_publish() * 3, 1_000)
    assert isinstance(run, Run)
    assert {raw.origin for raw in run.messages} == {UNASSIGNED}
    assert (len(run.messages), run.origin_failures) == (3, 3)


def stub_of(payload: bytes) -> bytes:
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"\0courtyard-oversize %d %b %b" % (len(payload), digest, payload[:1024])


@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES + 1, 4 * 1024 * 1024, MAX_PACKET_BYTES + 1])
def test_an_oversize_payload_becomes_a_stub_with_its_size_and_hash(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + b"end"
    pieces = cut(a_publish(payload=payload, mid=9) + a_publish(payload=b"next", mid=10))
    large, behind = messages_of(pieces)
    assert large.payload == stub_of(payload)
    assert large.flags == OVERSIZE
    assert behind.payload == b"next"
    assert mids_of(pieces) == [9, 10]
    assert sum(piece.oversize for piece in pieces if isinstance(piece, Run)) == 1


def test_a_payload_of_64_kib_is_kept_whole() -> None:
    payload = b"p" * MAX_PAYLOAD_BYTES
    (raw,) = messages_of(cut(a_publish(payload=payload)))
    assert (raw.payload, raw.flags) == (payload, 0)


@pytest.mark.parametrize("mqtt5", [False, True])
def test_a_message_far_beyond_the_limit_passes_without_being_held(mqtt5: bool) -> None:
    properties = b"\x26\x00\x01k\x00\x01v" if mqtt5 else None
    payload = b"0123456789abcdef" * (2 * 1024 * 1024)  # 32 MiB
    stream = memoryview(a_publish(payload=payload, mid=3, properties=properties) + PINGRESP)
    cutter = Cutter(mqtt5=mqtt5, origin=lambda _topic: "x")
    tracemalloc.start()
    pieces = []
    for at in range(0, len(stream), 65_536):
        pieces += list(cutter.feed(bytes(stream[at : at + 65_536]), 1_000))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert messages_of(pieces) == [Raw(b"a/b", stub_of(payload), OVERSIZE, 1_000, "x")]
    assert pieces[-1] == OtherPacket(0xD0, b"")
    assert peak_bytes < 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("packet", "mqtt5"),
    [
        (a_publish(qos=2), False),
        (a_publish(qos=3), False),
        (b"\x32\x02\x00\x09", False),  # the topic is longer than the packet
        (b"\x32\x01\x00", False),  # no room for the topic's length
        (b"\x32\x00", False),
        (b"\x32\x04\x00\x01a\x00", False),  # half a packet id
        (a_publish(payload=b""), True),  # no properties, not even their length
        (b"\x30\x05\x00\x01a\x09x", True),  # properties longer than the packet
        (b"\x30\x05\x00\x01a\xff\xff", True),
        (b"\x32\xff\xff\xff\xff\x01", False),  # a length of five bytes
        (b"\xd0\xff\xff\xff\xff\x01", False),
        (b"\x90\xff\xff\x7f", False),  # a SUBACK of 2 MiB
    ],
)
def test_what_mqtt_does_not_allow_is_malformed(packet: bytes, mqtt5: bool) -> None:
    with pytest.raises(MalformedPacket):
        cut(packet, mqtt5=mqtt5)


def test_acknowledgements_are_pubacks_in_the_order_given() -> None:
    assert ack_block([b"\x00\x0a", b"\x01\x00"]) == bytes.fromhex("4002000a40020100")
    assert ack_block([]) == b""


@st.composite
def streams(draw: st.DrawFn, mqtt5: bool) -> bytes:
    packet = st.one_of(
        st.sampled_from([CONNACK, PINGRESP]),
        st.builds(
            a_publish,
            st.binary(max_size=20),
            st.binary(max_size=300),
            qos=st.sampled_from([0, 1]),
            mid=st.integers(1, 65_535),
            dup=st.booleans(),
            retain=st.booleans(),
            properties=st.binary(max_size=200) if mqtt5 else st.none(),
        ),
    )
    return b"".join(draw(st.lists(packet, max_size=12)))


@pytest.mark.parametrize("mqtt5", [False, True])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_how_the_network_cut_the_stream_makes_no_difference(
    mqtt5: bool, data: st.DataObject
) -> None:
    stream = data.draw(streams(mqtt5))
    ends = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    starts = [0, *ends]
    chunks = [stream[a:b] for a, b in zip(starts, [*ends, len(stream)], strict=True)]
    whole, pieces = cut(stream, mqtt5=mqtt5), cut(*chunks, mqtt5=mqtt5)
    assert messages_of(pieces) == messages_of(whole)
    assert mids_of(pieces) == mids_of(whole)
    assert [p for p in pieces if isinstance(p, OtherPacket)] == [
        p for p in whole if isinstance(p, OtherPacket)
    ]


@given(st.lists(st.binary(max_size=80), max_size=5), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_packets_or_malformed(chunks: list[bytes], mqtt5: bool) -> None:
    with suppress(MalformedPacket):
        for piece in cut(*chunks, mqtt5=mqtt5):
            assert isinstance(piece, OtherPacket) or piece.messages


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a/b", b"courtyard/v1/_probe/one"]),
            st.sampled_from([b"", b"{}", b"p" * (MAX_PAYLOAD_BYTES + 1)]),
            st.sampled_from([0, 1]),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(deadline=None)
def test_single_messages_make_the_same_run_as_the_cutter(
    given_: list[tuple[bytes, bytes, int]],
) -> None:
    stream = b"".join(
        a_publish(topic, payload, qos=qos, mid=n + 1)
        for n, (topic, payload, qos) in enumerate(given_)
    )
    runs = [piece for piece in cut(stream) if isinstance(piece, Run)]
    single = Run()
    for n, (topic, payload, qos) in enumerate(given_):
        mid = (n + 1).to_bytes(2, "big") if qos else None
        add_message(single, Raw(topic, payload, 0, 1_000, topic.decode()[:3]), mid)
    (run,) = runs
    assert (run.messages, run.mids, run.probes, run.oversize) == (
        single.messages,
        single.mids,
        single.probes,
        single.oversize,
    )
