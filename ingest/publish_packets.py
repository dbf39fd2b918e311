"""PUBLISH packets cut out of what one read of a socket gave. Pure: bytes in, messages out.

Half of what a stock client spends on a message is reading it in small pieces. Here one large read
is cut in one loop; whatever is not a PUBLISH is handed on, in its place, as it was.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from devices.journal import DUP, OVERSIZE, RETAINED, UNASSIGNED, Raw
from devices.topics import PROBE

MAX_PAYLOAD_BYTES = 64 * 1024  # design.md §5; above it only a stub is kept
MAX_PACKET_BYTES = 4 * 1024 * 1024 + 70_000  # the brokers' limit, a topic and properties
MAX_RUN_MESSAGES = 1_000
OVERSIZE_MARK = b"\0courtyard-oversize "
OVERSIZE_HEAD_BYTES = 1_024

_MAX_OTHER_BYTES = 64 * 1024  # CONNACK, SUBACK and the like are tiny
_HEADER_BYTES = 70_000  # a topic and ordinary properties fit in here
_PUBLISH = 0x30
_PROBE_PREFIX = f"{PROBE}/".encode()
_NATIVE_PREFIX = b"courtyard/v1/"
_TOWARDS_DEVICES = (b"/receipt", b"/command")  # on 3.1.1 a broker gives us our own back
# PUBLISH: dup is bit 3, retain bit 0; by those bits, our flags
_FLAGS = tuple((DUP if bits & 8 else 0) | (RETAINED if bits & 1 else 0) for bits in range(16))

Origin = Callable[[bytes], str]


class MalformedPacket(ValueError):
    """The broker sent what MQTT does not allow; the connection cannot be trusted any more."""


@dataclass(slots=True)
class Run:
    """Messages that arrived one after the other, of one connection.

    epoch: the number of that connection; whoever takes the run from the client sets it.
    mids: the packet ids to acknowledge, two bytes each, in the order of arrival; QoS 0 has none.
    probes: where in `messages` something is of no device, our probes among them; rising.
    size_bytes: what the messages take, for the bounds of queue and batch.
    """

    epoch: int = 0
    messages: list[Raw] = field(default_factory=list)
    mids: list[bytes] = field(default_factory=list)
    probes: list[int] = field(default_factory=list)
    size_bytes: int = 0
    oversize: int = 0
    origin_failures: int = 0


@dataclass(frozen=True, slots=True)
class OtherPacket:
    """Any packet but a PUBLISH. command: the first byte, with its flags."""

    command: int
    body: bytes


def ack_block(mids: list[bytes]) -> bytes:
    """PUBACKs (reason: success) for these packet ids, in order, as one block of bytes."""
    return b"\x40\x02" + b"\x40\x02".join(mids) if mids else b""


def oversize_stub(size_bytes: int, sha256_hex: str, head: bytes) -> bytes:
    """What is kept of a payload that is too large; `devices.journal.OVERSIZE` has the form."""
    return b"%b%d %b %b" % (
        OVERSIZE_MARK,
        size_bytes,
        sha256_hex.encode(),
        head[:OVERSIZE_HEAD_BYTES],
    )


def is_of_no_device(topic: bytes) -> bool:
    """Whether a message on this topic is somebody's probe, or was sent to a device."""
    return topic.startswith(_PROBE_PREFIX) or (
        topic.endswith(_TOWARDS_DEVICES) and topic.startswith(_NATIVE_PREFIX)
    )


def add_message(run: Run, raw: Raw, mid: bytes | None) -> None:
    """One message at the end of a run, as `Cutter` adds them; for a client that brings single ones.

    Oversize becomes a stub, a probe is noted.
    """
    if len(raw.payload) > MAX_PAYLOAD_BYTES:
        raw = _stubbed(raw)
        run.oversize += 1
    if is_of_no_device(raw.topic):
        run.probes.append(len(run.messages))
    run.messages.append(raw)
    run.size_bytes += len(raw.topic) + len(raw.payload)
    if mid is not None:
        run.mids.append(mid)


class Cutter:
    """Cuts the bytes of one connection; keeps what is not complete yet.

    Holds at most MAX_PACKET_BYTES and one read: of a larger PUBLISH it keeps the first 1 KiB and
    the hash, and lets the rest pass.
    """

    def __init__(self, *, mqtt5: bool, origin: Origin) -> None:
        self._mqtt5 = mqtt5
        self._origin = origin
        self._rest = bytearray()
        self._needed_bytes = 0
        self._passing: _Passing | None = None

    def feed(self, chunk: bytes, received_ms: int) -> Iterator[Run | OtherPacket]:
        """Runs and other packets in the order they were sent; raises MalformedPacket in its place.

        Read the iterator to its end: what an unfinished one leaves behind is lost.
        """
        data = chunk
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._needed_bytes:
                return  # a large message; looking at it again for every piece would be quadratic
            data = bytes(self._rest)
            self._rest.clear()
        self._needed_bytes = 0
        at = 0
        while True:
            if self._passing is not None:
                at += self._passing.feed(memoryview(data)[at:])
                if not self._passing.is_over:
                    return
                run = Run(oversize=1)
                add_message(run, self._passing.finish(received_ms, self._origin), self._passing.mid)
                self._passing = None
                yield run
            run = Run()
            start = at
            try:
                at = self._cut(data, at, run, received_ms)
            except MalformedPacket:
                if run.messages:  # whole ones before it, which would be lost at every reconnect
                    run.size_bytes += sum(len(raw.topic) + len(raw.payload) for raw in run.messages)
                    yield run
                raise
            if run.messages:
                run.size_bytes += at - start
                yield run
                if len(run.messages) == MAX_RUN_MESSAGES:
                    continue
            header = _fixed_header(data, at)
            if header is None:
                break
            body, stop = header
            if data[at] & 0xF0 == _PUBLISH:
                if stop - body <= MAX_PACKET_BYTES:
                    self._needed_bytes = stop - at
                    break
                if len(data) - body < _HEADER_BYTES:
                    break
                at = self._begin_passing(data, at, body, stop)
                continue
            if stop - body > _MAX_OTHER_BYTES:
                raise MalformedPacket(f"packet type {data[at] >> 4} of {stop - body} bytes")
            if stop > len(data):
                break
            command = data[at]
            at, packet = stop, data[body:stop]
            yield OtherPacket(command, packet)
        self._rest += data[at:]

    def _cut(self, data: bytes, at: int, run: Run, received_ms: int) -> int:
        """Moves whole PUBLISH packets from data[at:] into `run`; returns where it stopped.

        The hot loop: about 1 µs a message; nothing in it is done twice or by a call.
        """
        end = len(data)
        mqtt5 = self._mqtt5
        origin = self._origin
        messages = run.messages
        put = messages.append
        put_mid = run.mids.append
        room = MAX_RUN_MESSAGES
        while room and at + 1 < end:
            command = data[at]
            if command & 0xF0 != 0x30:
                break
            body = at + 2
            length = data[at + 1]
            if length > 127:
                if body >= end:
                    break
                more = data[body]
                body += 1
                length += (more << 7) - 128
                if more > 127:
                    header = _fixed_header(data, at)
                    if header is None or header[1] - header[0] > MAX_PACKET_BYTES:
                        break
                    body, length = header[0], header[1] - header[0]
            stop = body + length
            if stop > end:
                break
            topic_end = body + 2 + (data[body] << 8 | data[body + 1]) if length > 1 else stop + 1
            if topic_end > stop:
                raise MalformedPacket("a PUBLISH ends inside its topic")
            topic = data[body + 2 : topic_end]
            start = topic_end
            mid_at = 0
            if command & 0x06:
                if command & 0x04:
                    raise MalformedPacket("a PUBLISH of QoS 2 or 3: we subscribed with 1")
                mid_at = topic_end
                start += 2
                if start > stop:
                    raise MalformedPacket("a PUBLISH ends inside its packet id")
            if mqtt5:
                if start >= stop:
                    raise MalformedPacket("a PUBLISH without properties")
                properties = data[start]
                start += 1
                if properties:
                    if properties > 127:
                        start, properties = _varint(data, start - 1, stop)
                    start += properties
                    if start > stop:
                        raise MalformedPacket("a PUBLISH ends inside its properties")
            payload = data[start:stop]
            try:
                place = origin(topic)
            except Exception:  # noqa: BLE001 - a foreign function must not stop the reading
                place = UNASSIGNED
                run.origin_failures += 1
            raw = Raw(topic, payload, _FLAGS[command & 15], received_ms, place)
            if stop - start > MAX_PAYLOAD_BYTES:
                raw = _stubbed(raw)
                run.oversize += 1
                run.size_bytes += len(raw.payload) - len(payload)
            if topic.startswith(_PROBE_PREFIX) or (
                topic.endswith(_TOWARDS_DEVICES) and topic.startswith(_NATIVE_PREFIX)
            ):
                run.probes.append(len(messages))
            put(raw)
            if mid_at:
                put_mid(data[mid_at : mid_at + 2])
            room -= 1
            at = stop
        return at

    def _begin_passing(self, data: bytes, at: int, body: int, stop: int) -> int:
        """Starts to let a PUBLISH beyond MAX_PACKET_BYTES pass; returns where that begins.

        Topic, packet id and the length of the properties are all there: _HEADER_BYTES.
        """
        topic_end = start = body + 2 + (data[body] << 8 | data[body + 1])
        mid = None
        if data[at] & 0x04:
            raise MalformedPacket("a PUBLISH of QoS 2 or 3: we subscribed with 1")
        if data[at] & 0x02:
            start += 2
            mid = data[topic_end:start]
        properties_bytes = 0
        if self._mqtt5:
            start, properties_bytes = _varint(data, start, stop)
            if start + properties_bytes > stop:
                raise MalformedPacket("a PUBLISH ends inside its properties")
        flags = _FLAGS[data[at] & 15]
        size_bytes = stop - start - properties_bytes
        topic = data[body + 2 : topic_end]
        self._passing = _Passing(topic, mid, flags, properties_bytes, size_bytes)
        return start


class _Passing:
    """A PUBLISH that is too large to hold: its properties skipped, its payload hashed on its way.

    Both may come in any number of pieces.
    """

    def __init__(
        self, topic: bytes, mid: bytes | None, flags: int, properties_bytes: int, size_bytes: int
    ) -> None:
        self.mid = mid
        self._topic = topic
        self._flags = flags
        self._size_bytes = size_bytes
        self._head = b""
        self._hash = hashlib.sha256()
        self._skip_bytes = properties_bytes
        self._left_bytes = size_bytes

    @property
    def is_over(self) -> bool:
        return self._left_bytes == 0 and self._skip_bytes == 0

    def feed(self, piece: memoryview) -> int:
        """Takes what belongs to it; returns how many bytes that were."""
        skipped = min(self._skip_bytes, len(piece))
        self._skip_bytes -= skipped
        payload = piece[skipped : skipped + self._left_bytes]
        if len(self._head) < OVERSIZE_HEAD_BYTES:
            self._head += bytes(payload[: OVERSIZE_HEAD_BYTES - len(self._head)])
        self._hash.update(payload)
        self._left_bytes -= len(payload)
        return skipped + len(payload)

    def finish(self, received_ms: int, origin: Origin) -> Raw:
        try:
            place = origin(self._topic)
        except Exception:  # noqa: BLE001 - a foreign function must not stop the reading
            place = UNASSIGNED
        stub = oversize_stub(self._size_bytes, self._hash.hexdigest(), self._head)
        return Raw(self._topic, stub, self._flags | OVERSIZE, received_ms, place)


def _stubbed(raw: Raw) -> Raw:
    digest = hashlib.sha256(raw.payload).hexdigest()
    return raw._replace(
        payload=oversize_stub(len(raw.payload), digest, raw.payload), flags=raw.flags | OVERSIZE
    )


def _fixed_header(data: bytes, at: int) -> tuple[int, int] | None:
    """(where the body starts, where the packet ends), or None while that is not known yet."""
    length = 0
    for i in range(4):
        if at + 1 + i >= len(data):
            return None
        byte = data[at + 1 + i]
        length |= (byte & 127) << (7 * i)
        if byte < 128:
            body = at + 2 + i
            return body, body + length
    raise MalformedPacket("a remaining length of more than four bytes")


def _varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """(where it ends, its value) of a variable byte integer inside a packet that ends at `stop`."""
    value = 0
    for i in range(4):
        if at + i >= stop:
            break
        byte = data[at + i]
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return at + i + 1, value
    raise MalformedPacket("a PUBLISH with an unusable property length")
