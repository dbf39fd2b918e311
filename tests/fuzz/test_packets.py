"""The cutter of PUBLISH packets under any bytes: how they were cut on their way never matters."""

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.journal import Raw
from ingest import publish_packets
from ingest.publish_packets import Cutter, MalformedPacket, OtherPacket, Run

SMALL_LIMIT_BYTES = 100_000  # in place of 4 MiB, so that what is beyond it stays small enough here


def length(size: int) -> bytes:
    """A variable byte integer."""
    out = []
    while True:
        out.append(size % 128 | (128 if size > 127 else 0))
        size //= 128
        if size == 0:
            return bytes(out)


def a_publish(
    topic: bytes,
    payload: bytes,
    *,
    qos: int = 1,
    mid: int = 1,
    properties: bytes | None = None,
    properties_length: int | None = None,
) -> bytes:
    """properties_length: what the packet says of them, if that is to be wrong."""
    body = len(topic).to_bytes(2, "big") + topic
    if qos:
        body += mid.to_bytes(2, "big")
    if properties is not None:
        said = len(properties) if properties_length is None else properties_length
        body += length(said) + properties
    body += payload
    return bytes([0x30 | qos << 1]) + length(len(body)) + body


@dataclass
class Told:
    """All that came out of one connection. malformed: how it ended, if it did."""

    messages: list[Raw] = field(default_factory=list)
    mids: list[bytes] = field(default_factory=list)
    probes: list[int] = field(default_factory=list)
    oversize: int = 0
    packets: list[tuple[int, OtherPacket]] = field(default_factory=list)  # behind so many messages
    malformed: str | None = None


def told(chunks: list[bytes], *, mqtt5: bool) -> Told:
    cutter = Cutter(mqtt5=mqtt5, origin=lambda topic: topic.decode("ascii", "replace")[:3])
    found = Told()
    try:
        for chunk in chunks:
            for piece in cutter.feed(chunk, 1_000):
                if isinstance(piece, Run):
                    assert 0 < len(piece.messages) <= publish_packets.MAX_RUN_MESSAGES
                    assert len(piece.mids) <= len(piece.messages)
                    found.probes += [len(found.messages) + at for at in piece.probes]
                    found.messages += piece.messages
                    found.mids += piece.mids
                    found.oversize += piece.oversize
                else:
                    found.packets.append((len(found.messages), piece))
            assert len(cutter._rest) <= publish_packets.MAX_PACKET_BYTES + 70_000 + len(chunk)
    except MalformedPacket as error:
        found.malformed = str(error)
    return found


def pieces(stream: bytes, ends: list[int]) -> list[bytes]:
    marks = [0, *sorted(end % (len(stream) + 1) for end in ends), len(stream)]
    return [stream[a:b] for a, b in pairwise(marks)]


OTHERS = [bytes.fromhex(text) for text in ("20020000", "d000", "9003000100", "e000", "f000")]
BROKEN = [
    b"\x34\x07\x00\x01a\x00\x01{}",  # QoS 2
    b"\x32\x02\x00\x09",  # ends inside its topic
    b"\x32\x04\x00\x01a\x00",  # ends inside its packet id
    b"\x30\x05\x00\x01a\x09x",  # for MQTT 5: ends inside its properties
    b"\x30\x08\x00\x01a\xff\xff\xff\xffx",  # for MQTT 5: no length of properties
    b"\x32\xff\xff\xff\xff\x01",  # a length of five bytes
    b"\x90\xff\xff\x7f",  # a SUBACK of 2 MiB
]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Packets as a broker sends them, some of them damaged."""
    mqtt5 = draw(st.booleans())
    publish = st.builds(
        a_publish,
        st.one_of(
            st.binary(max_size=30),
            st.just(b"courtyard/v1/_probe/one"),
            st.just(b"JUY/D2S/861197062934387/82/DEV"),
        ),
        st.one_of(st.binary(max_size=300), st.just(b"p" * 66_000)),
        qos=st.sampled_from([0, 1, 1, 1]),
        mid=st.integers(0, 65_535),
        properties=st.binary(max_size=200) if mqtt5 else st.none(),
    )
    parts = draw(st.lists(st.one_of(publish, st.sampled_from(OTHERS)), max_size=10))
    stream = bytearray(b"".join(parts))
    match draw(st.integers(0, 3)):
        case 0 if stream:
            at = draw(st.integers(0, len(stream) - 1))
            stream[at] ^= 1 << draw(st.integers(0, 7))
        case 1:
            stream += draw(st.sampled_from(BROKEN)) + b"".join(draw(st.lists(publish, max_size=2)))
        case 2:
            del stream[draw(st.integers(0, len(stream))) :]
    return bytes(stream)


@pytest.mark.parametrize("mqtt5", [False, True])
@given(stream=st.one_of(streams(), st.binary(max_size=300)), ends=st.lists(st.integers(0, 2**20)))
@settings(max_examples=400, deadline=None)
def test_any_stream_cut_at_any_places_tells_the_same_as_in_one_piece(
    mqtt5: bool, stream: bytes, ends: list[int]
) -> None:
    assert told(pieces(stream, ends), mqtt5=mqtt5) == told([stream], mqtt5=mqtt5)


@pytest.mark.parametrize("mqtt5", [False, True])
@given(stream=st.one_of(streams(), st.binary(max_size=60)).filter(lambda s: len(s) < 2_000))
@settings(max_examples=100, deadline=None)
def test_a_stream_that_comes_byte_by_byte_tells_the_same(mqtt5: bool, stream: bytes) -> None:
    one_by_one = [bytes([byte]) for byte in stream]
    assert told(one_by_one, mqtt5=mqtt5) == told([stream], mqtt5=mqtt5)


@pytest.fixture
def a_small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_packets, "MAX_PACKET_BYTES", SMALL_LIMIT_BYTES)


@pytest.mark.parametrize("mqtt5", [False, True])
@pytest.mark.parametrize("properties_bytes", [0, 3, 80_000])
@pytest.mark.parametrize("chunk_bytes", [1 << 20, 65_536, 4_096, 777])
def test_what_passes_because_it_is_too_large_is_the_same_however_it_comes(
    a_small_limit: None, mqtt5: bool, properties_bytes: int, chunk_bytes: int
) -> None:
    payload = bytes(range(256)) * 500
    properties = b"\x26" * properties_bytes if mqtt5 else None
    stream = (
        a_publish(b"a/b", b"before", mid=1, properties=b"" if mqtt5 else None)
        + a_publish(b"a/b", payload, mid=2, properties=properties)
        + a_publish(b"a/b", b"behind", mid=3, properties=b"" if mqtt5 else None)
    )
    ends = list(range(chunk_bytes, len(stream), chunk_bytes))
    found = told(pieces(stream, ends), mqtt5=mqtt5)
    digest = hashlib.sha256(payload).hexdigest().encode()
    stub = b"\0courtyard-oversize %d %b %b" % (len(payload), digest, payload[:1024])
    assert [raw.payload for raw in found.messages] == [b"before", stub, b"behind"]
    assert (found.mids, found.oversize) == ([b"\0\1", b"\0\2", b"\0\3"], 1)
    assert found.malformed is None


@pytest.mark.parametrize("behind_bytes", [0, 1, 40, 200_000])
def test_properties_that_are_longer_than_a_packet_that_passes_are_malformed(
    a_small_limit: None, behind_bytes: int
) -> None:
    """Counted as payload, or skipped into what follows, they kept the connection waiting."""
    payload = b"p" * 2 * SMALL_LIMIT_BYTES
    said = len(payload) + 20
    broken = a_publish(b"a/b", payload, properties=b"", properties_length=said)
    stream = a_publish(b"a/b", b"good", mid=7, properties=b"") + broken + b"\0" * behind_bytes
    for chunks in ([stream], pieces(stream, list(range(0, len(stream), 5_000)))):
        found = told(chunks, mqtt5=True)
        assert found.malformed == "a PUBLISH ends inside its properties"
        assert [raw.payload for raw in found.messages] == [b"good"]


@pytest.mark.parametrize("broken", BROKEN)
def test_whole_messages_in_front_of_a_malformed_packet_are_handed_over(broken: bytes) -> None:
    """They were lost with it, and would have been at every reconnect: the broker repeats both."""
    good = [a_publish(b"a/b", b"%d" % n, mid=n, properties=b"") for n in (1, 2)]
    found = told([b"".join(good) + broken], mqtt5=True)
    assert found.malformed is not None
    assert [raw.payload for raw in found.messages] == [b"1", b"2"]
    assert found.mids == [b"\0\1", b"\0\2"]  # and the malformed one is not acknowledged
