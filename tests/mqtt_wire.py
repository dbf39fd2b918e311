"""MQTT by hand, for tests: a client that acknowledges only when told to, and a scripted broker.

Independent of paho and of ingest, so that both ends of a test do not share a mistake.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Packet:
    """type: 1 CONNECT … 14 DISCONNECT. flags: the low half of the first byte."""

    type: int
    flags: int
    body: bytes


CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14


def text(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    size, length = len(body), bytearray()
    while True:
        size, low = divmod(size, 128)
        length.append(low | (128 if size else 0))
        if not size:
            return bytes((kind << 4 | flags,)) + bytes(length) + body


def publish(
    topic: bytes, payload: bytes, mid: int = 0, *, mqtt5: bool = False, flags: int = 0
) -> bytes:
    """QoS 1 with a packet id, QoS 0 without."""
    body = text(topic) + (struct.pack("!H", mid) if mid else b"")
    return packet(PUBLISH, body + (b"\0" if mqtt5 else b"") + payload, flags | (2 if mid else 0))


class Wire:
    """One end of a connection, packet by packet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError("the other side closed the connection")
            data += more
        return data

    def receive(self) -> Packet:
        """The next packet; TimeoutError if none comes, EOFError at the end."""
        first = self._exactly(1)[0]
        size = shift = 0
        while True:
            byte = self._exactly(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return Packet(first >> 4, first & 15, self._exactly(size))

    def expect(self, kind: int) -> Packet:
        """The next packet of this type; others are passed over."""
        while (found := self.receive()).type != kind:
            pass
        return found

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()


class WireClient(Wire):
    """A client of MQTT 3.1.1 that keeps its session and acknowledges nothing by itself."""

    def __init__(self, port: int, client_id: str, *, clean: bool = False) -> None:
        super().__init__(socket.create_connection(("127.0.0.1", port), TIMEOUT_S))
        flags = 2 if clean else 0
        body = text(b"MQTT") + bytes((4, flags)) + struct.pack("!H", 60) + text(client_id.encode())
        self.send(packet(CONNECT, body))
        answer = self.expect(CONNACK)
        assert answer.body[1] == 0, f"refused: {answer.body[1]}"
        self.session_present = bool(answer.body[0])

    def subscribe(self, name: str) -> None:
        self.send(packet(SUBSCRIBE, b"\0\1" + text(name.encode()) + b"\1", 2))
        self.expect(SUBACK)

    def publish(self, topic: bytes, payload: bytes, *, retain: bool = False) -> None:
        """QoS 1; returns when the broker has acknowledged it."""
        self.send(publish(topic, payload, 1, flags=1 if retain else 0))
        self.expect(PUBACK)

    def messages_until(self, last: bytes, topic: bytes) -> list[bytes]:
        """Payloads on `topic` up to and with `last`; what comes on others is passed over."""
        found: list[bytes] = []
        while last not in found:
            got = self.expect(PUBLISH)
            end = 2 + int.from_bytes(got.body[:2], "big")
            if got.body[2:end] == topic:
                found.append(got.body[end + (2 if got.flags & 6 else 0) :])
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ScriptedBroker:
    """A server whose behaviour is a function: it is called with each connection, on a thread.

    A script that ends closes its connection. What it raises is kept in `errors`.
    """

    def __init__(
        self, script: Callable[[Wire], None], context: ssl.SSLContext | None = None
    ) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.errors: list[BaseException] = []
        self.connections = 0
        self.wires: list[Wire] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            wire = Wire(sock)
            self.wires.append(wire)
            self._script(wire)
        except (EOFError, OSError):
            pass  # the client went away, or we did
        except BaseException as error:
            self.errors.append(error)
        finally:
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self.wires:
            with suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        if error is None and self.errors:
            raise self.errors[0]


def accept_session(wire: Wire, *, mqtt5: bool = True, session_present: bool = False) -> Packet:
    """CONNECT and SUBSCRIBE as a broker answers them; returns the CONNECT."""
    asked = wire.expect(CONNECT)
    wire.send(packet(CONNACK, bytes((session_present, 0)) + (b"\0" if mqtt5 else b"")))
    subscribe = wire.expect(SUBSCRIBE)
    filters = count_filters(subscribe.body, mqtt5=mqtt5)
    granted = subscribe.body[:2] + (b"\0" if mqtt5 else b"") + b"\1" * filters
    wire.send(packet(SUBACK, granted))
    return asked


def count_filters(body: bytes, *, mqtt5: bool) -> int:
    at, count = 3 if mqtt5 else 2, 0
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count
