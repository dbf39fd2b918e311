"""A load publisher that costs little: MQTT 3.1.1 over raw sockets, QoS 1 with a window.

    python -m bench.publisher --port 1883 --messages 200000 --connections 8 --window 100

It shares no code with ingest, so a mistake there cannot hide here. Prints one line of JSON when the
broker has acknowledged everything: {"sent", "acked", "seconds", "per_second", "cpu_s"}.
"""

import argparse
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

Message = tuple[bytes, bytes]  # topic, payload
CHUNK = 64  # packets that go out in one write


class Refused(ConnectionError):
    """The broker did not accept the connection."""


@dataclass(frozen=True, slots=True)
class Sent:
    sent: int
    acked: int
    seconds: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.acked / self.seconds if self.seconds else 0.0


def _field(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (128 if size else 0))
        if not size:
            return bytes(out)


class Connection:
    """One device's connection: at most `window` messages without PUBACK."""

    def __init__(
        self,
        host: str,
        port: int,
        client_id: str,
        window: int,
        *,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self.window = window
        self.sent = 0
        self.acked = 0
        self._next_id = 1
        self._rest = b""
        self._out = b""
        self._sock = socket.create_connection((host, port), timeout_s)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
        body = _field(b"MQTT") + bytes((4, flags)) + struct.pack("!H", 0)
        body += _field(client_id.encode())
        for part in (username, password):
            if part is not None:
                body += _field(part.encode())
        self._sock.sendall(b"\x10" + _length(len(body)) + body)
        answer = b""
        while len(answer) < 4:
            more = self._sock.recv(4 - len(answer))
            if not more:
                raise Refused(f"the broker closed the connection of {client_id}")
            answer += more
        if answer[0] != 0x20 or answer[3] != 0:
            raise Refused(f"the broker refused {client_id}: code {answer[3]}")
        self._sock.setblocking(False)

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def room(self) -> int:
        """How many more messages may go out now."""
        return 0 if self._out else self.window - (self.sent - self.acked)

    @property
    def is_writing(self) -> bool:
        return bool(self._out)

    def send(self, messages: Sequence[Message]) -> None:
        parts = []
        for topic, payload in messages:
            body = b"%b%b%b" % (_field(topic), struct.pack("!H", self._next_id), payload)
            parts.append(b"\x32" + _length(len(body)) + body)
            self._next_id = self._next_id % 65535 + 1
        self.sent += len(messages)
        self._out += b"".join(parts)
        self.write()

    def write(self) -> None:
        with suppress(BlockingIOError):
            self._out = self._out[self._sock.send(self._out) :]

    def read(self) -> int:
        """Takes PUBACKs; returns how many. All that a broker sends to us has four bytes."""
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return 0
        if not data:
            raise ConnectionError("the broker closed the connection")
        data = self._rest + data
        whole = len(data) // 4
        self._rest = data[whole * 4 :]
        self.acked += whole
        return whole

    def close(self) -> None:
        with suppress(OSError):
            self._sock.setblocking(True)
            self._sock.sendall(b"\xe0\x00")
        self._sock.close()


def publish(
    connections: Sequence[Connection],
    messages: Iterator[Message],
    *,
    rate_per_s: float | None = None,
    idle_timeout_s: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
) -> Sent:
    """Sends all messages, spread over the connections, and returns when each has its PUBACK.

    rate_per_s: at most so many a second in all. Raises TimeoutError when nothing moves any more.
    """
    cpu_before = time.process_time()
    started = moved = clock()
    sent = acked = 0
    more = True
    by_fd = {c.fileno(): c for c in connections}
    poll = select.poll()
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    while more or acked < sent:
        allowed = 1 << 60 if rate_per_s is None else int((clock() - started) * rate_per_s) - sent
        for connection in connections:
            count = min(connection.room, CHUNK, allowed)
            if not more or count <= 0:
                continue
            batch = [message for _, message in zip(range(count), messages, strict=False)]
            more = len(batch) == count
            if batch:
                connection.send(batch)
                sent += len(batch)
                allowed -= len(batch)
        for fd, connection in by_fd.items():
            events = select.POLLIN | (select.POLLOUT if connection.is_writing else 0)
            poll.modify(fd, events)
        for fd, events in poll.poll(2 if rate_per_s is not None else 500):
            connection = by_fd[fd]
            if events & select.POLLOUT:
                connection.write()
            if events & ~select.POLLOUT:
                acked += connection.read()
            moved = clock()
        if clock() - moved > idle_timeout_s:
            raise TimeoutError(f"{sent - acked} messages have no PUBACK after {idle_timeout_s} s")
    return Sent(sent, acked, clock() - started, time.process_time() - cpu_before)


def sample_messages(count: int, devices: int = 400, compounds: int = 20) -> Iterator[Message]:
    """Native readings of about 150 bytes with five values, as `design.md` §6 measures them."""
    topics = [
        f"courtyard/v1/bench-{i % compounds:03d}/lamp/bench-{i % compounds:03d}-l{i:04d}/telemetry"
        for i in range(devices)
    ]
    encoded = [topic.encode() for topic in topics]
    ts = 1_795_399_200_000
    for n in range(count):
        seq, device = divmod(n, devices)
        payload = (
            b'{"ts": %d, "boot": 1, "seq": %d, "values": {"power_w": %d.%d, "voltage_v": 228.%d,'
            b' "current_a": 0.8%d, "energy_kwh": %d.25, "board_temp_c": 31.5}}'
            % (ts + seq * 1000, seq, 140 + n % 60, n % 10, n % 10, n % 10, 1000 + seq)
        )
        yield encoded[device], payload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--rate", type=float, default=None, help="messages a second")
    asked = parser.parse_args()
    connections = [
        Connection(asked.host, asked.port, f"bench-{os.getpid()}-{i}", asked.window)
        for i in range(asked.connections)
    ]
    done = publish(connections, sample_messages(asked.messages), rate_per_s=asked.rate)
    for connection in connections:
        connection.close()
    print(
        json.dumps(
            {
                "sent": done.sent,
                "acked": done.acked,
                "seconds": round(done.seconds, 3),
                "per_second": round(done.per_second),
                "cpu_s": round(done.cpu_s, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
