"""Devices that publish a plan's messages, and remember which the broker acknowledged.

    python -m chaos.publisher --plan plan.json --segment 0 --port 1883 --acks acks.bin

MQTT 3.1.1 over raw sockets, QoS 1, no code shared with ingest. As a real device does, a connection
that is lost comes back and sends again, in order, what has no PUBACK. The numbers of acknowledged
messages are appended to the file, four bytes each, and synced; prints one line of JSON at the end.
"""

import argparse
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from bench.publisher import _field, _length
from chaos.district import Message, Plan, messages

WINDOW = 20  # without PUBACK, of one device's connection
SYNC_EVERY_S = 0.2
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0  # without any PUBACK: the connection is given up and made again
AHEAD = 20_000  # messages that are made before they are due, at most
PING_EVERY_S = 20.0
_PUBACK = 0x40


class Acks:
    """The file of acknowledged numbers."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._waiting = bytearray()
        self._synced_at = time.monotonic()
        self.count = 0

    def add(self, n: int) -> None:
        self._waiting += struct.pack("<I", n)
        self.count += 1

    def sync(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._synced_at < SYNC_EVERY_S:
            return
        self._synced_at = time.monotonic()
        if self._waiting:
            self._file.write(self._waiting)
            os.fdatasync(self._file.fileno())
            self._waiting.clear()

    def close(self) -> None:
        """Sync what is left."""
        self.sync(now=True)
        self._file.close()


def read_acks(path: Path) -> list[int]:
    """The numbers in the file, each once."""
    raw = path.read_bytes() if path.exists() else b""
    whole = len(raw) // 4
    return sorted(set(struct.unpack(f"<{whole}I", raw[: whole * 4])))


class Connection:
    """One device's connection, with what it has yet to send and to be acknowledged."""

    def __init__(self, number: int, port: int, seed: int) -> None:
        self.number = number
        self.waiting: deque[Message] = deque()
        self.unacked: dict[int, Message] = {}  # by packet id, in the order in which they were sent
        self.reconnects = -1
        self._again: deque[Message] = deque()  # sent before and not acknowledged: first of all
        self._port = port
        self._rng = random.Random(f"{seed}|connection|{number}")
        self._sock: socket.socket | None = None
        self._next_id = 1
        self._out = bytearray()
        self._in = bytearray()
        self._heard_at = 0.0
        self._ping_at = 0.0
        self.retry_at = 0.0

    @property
    def is_done(self) -> bool:
        return not (self.waiting or self.unacked or self._again)

    @property
    def fd(self) -> int:
        return -1 if self._sock is None else self._sock.fileno()

    @property
    def is_writing(self) -> bool:
        return bool(self._out)

    def connect(self) -> bool:
        """Whether it is connected; else it is tried again at `retry_at`."""
        try:
            sock = socket.create_connection(("127.0.0.1", self._port), CONNECT_TIMEOUT_S)
        except OSError:
            return self._later()
        client_id = f"chaos-{self.number}".encode()
        body = _field(b"MQTT") + b"\x04\x02" + struct.pack("!H", 60) + _field(client_id)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(b"\x10" + _length(len(body)) + body)
            answer = b""
            while len(answer) < 4:
                more = sock.recv(4 - len(answer))
                if not more:
                    raise ConnectionError("closed")
                answer += more
            if answer[0] != 0x20 or answer[3] != 0:
                raise ConnectionError("refused")
        except OSError:
            sock.close()
            return self._later()
        sock.setblocking(False)
        self._sock = sock
        self._out.clear()
        self._in.clear()
        self._again = deque([*self.unacked.values(), *self._again])
        self.unacked = {}
        self.reconnects += 1
        self._heard_at = self._ping_at = time.monotonic()
        return True

    def lose(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._later()

    def _later(self) -> bool:
        self.retry_at = time.monotonic() + self._rng.uniform(0.2, 0.6)
        return False

    def send(self, now_ms: int) -> None:
        """Send what is due and has room. Raises OSError when the connection is lost."""
        room = WINDOW - len(self.unacked)
        while room > 0 and not self._out:
            if self._again:
                message = self._again.popleft()
            elif self.waiting and self.waiting[0].due_ms <= now_ms:
                message = self.waiting.popleft()
            else:
                break
            while self._next_id in self.unacked:
                self._next_id = self._next_id % 65535 + 1
            body = _field(message.topic) + struct.pack("!H", self._next_id) + message.payload
            self.unacked[self._next_id] = message
            self._next_id = self._next_id % 65535 + 1
            self._out += b"\x32" + _length(len(body)) + body
            self.write()
            room -= 1
        if time.monotonic() - self._ping_at > PING_EVERY_S:
            self._ping_at = time.monotonic()
            self._out += b"\xc0\x00"
            self.write()
        if self.unacked and time.monotonic() - self._heard_at > ANSWER_TIMEOUT_S:
            raise ConnectionError("no answer")
        if not self.unacked:
            self._heard_at = time.monotonic()

    def write(self) -> None:
        if self._sock is None:
            raise ConnectionError("not connected")
        with suppress(BlockingIOError):
            while self._out:
                del self._out[: self._sock.send(self._out)]

    def read(self, acks: Acks) -> None:
        """Take PUBACKs. Raises OSError when the connection is lost."""
        if self._sock is None:
            raise ConnectionError("not connected")
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("closed")
        self._heard_at = time.monotonic()
        self._in += data
        while len(self._in) >= 2 and len(self._in) >= 2 + self._in[1]:
            packet, size = self._in[0] & 0xF0, self._in[1]  # PUBACK and PINGRESP are this short
            if packet == _PUBACK:
                message = self.unacked.pop(int.from_bytes(self._in[2:4], "big"), None)
                if message is not None:
                    acks.add(message.n)
            del self._in[: 2 + size]

    def close(self) -> None:
        if self._sock is not None:
            with suppress(OSError):
                self._sock.setblocking(True)
                self._sock.sendall(b"\xe0\x00")
            self._sock.close()
            self._sock = None


class Gate:
    """A file that says up to which message may be sent; without it all may.

    "1200" holds what comes from number 1,200 on, "1200 end" drops it.
    """

    LOOK_EVERY_S = 0.05

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._looked_at = 0.0
        self.upto = 1 << 60
        self.ends = False

    def look(self) -> None:
        if self._path is None or time.monotonic() - self._looked_at < self.LOOK_EVERY_S:
            return
        self._looked_at = time.monotonic()
        with suppress(FileNotFoundError):
            upto, *end = self._path.read_text().split()
            self.upto, self.ends = int(upto), bool(end)


def publish(
    plan: Plan, segment: int, port: int, acks: Acks, patience_s: float, gate: Path | None = None
) -> dict[str, float | int]:
    """Send one segment, until each message has its PUBACK. Raises TimeoutError."""
    return _Sending(plan, segment, port, acks, Gate(gate)).run(patience_s)


class _Sending:
    """A segment on its way, over all connections of its plan.

    In a storm every device comes back at its own time: its connection is made when its first
    message is due, and the segment is made whole, for every connection needs its own.
    """

    STORM_AHEAD_MS = 3_600_000

    def __init__(self, plan: Plan, segment: int, port: int, acks: Acks, gate: Gate) -> None:
        before = sum(plan.size(one) for one in plan.segments[:segment])
        of_segment = islice(messages(plan), before, before + plan.size(plan.segments[segment]))
        self._acks = acks
        self._gate = gate
        self._is_storm = plan.segments[segment].buffered > 0
        self._source: Iterator[Message] = iter(list(of_segment)) if self._is_storm else of_segment
        self._held: Message | None = None  # the next one, which is not due yet
        self._ends = False  # nothing more is taken from the source
        self._queued = 0
        self._connections = [Connection(n, port, plan.seed) for n in range(plan.connections)]
        # (when, which) connection is to be made
        self._to_come = [] if self._is_storm else [(0.0, c.number) for c in self._connections]
        self._poll = select.poll()
        self._by_fd: dict[int, Connection] = {}
        self._writing: set[int] = set()  # those that poll waits to be writable

    def run(self, patience_s: float) -> dict[str, float | int]:
        started = moved = time.monotonic()
        seen = 0
        while not (self._ends and all(connection.is_done for connection in self._connections)):
            self._gate.look()
            now_ms = int(time.time() * 1000)
            self._take(now_ms)
            self._connect()
            self._lose([*self._send(now_ms), *self._listen()])
            self._acks.sync()
            self._queued = sum(len(connection.waiting) for connection in self._connections)
            now = time.monotonic()
            if self._acks.count != seen:
                seen, moved = self._acks.count, now
            if self._held is not None and self._held.n >= self._gate.upto:
                moved = now  # it waits for the gate and not for a broker
            if now - moved > patience_s:
                missing = sum(len(c.waiting) + len(c.unacked) for c in self._connections)
                raise TimeoutError(f"{missing} messages have no PUBACK after {patience_s:g} s")
        self._acks.sync(now=True)
        for connection in self._connections:
            connection.close()
        return {
            "acked": self._acks.count,
            "seconds": round(time.monotonic() - started, 2),
            "reconnects": sum(max(0, connection.reconnects) for connection in self._connections),
        }

    def _take(self, now_ms: int) -> None:
        """Hand what is due, and may be sent, to its connections."""
        horizon_ms = now_ms + (self.STORM_AHEAD_MS if self._is_storm else 0)
        gate = self._gate
        while not self._ends and self._queued < AHEAD:
            message = self._held or next(self._source, None)
            self._held = None
            if message is None or (message.n >= gate.upto and gate.ends):
                self._ends = True
                return
            if message.due_ms > horizon_ms or message.n >= gate.upto:
                self._held = message
                return
            connection = self._connections[message.connection]
            if self._is_storm and not connection.waiting and connection.reconnects < 0:
                wait_s = max(0.0, (message.due_ms - now_ms) / 1000)
                heapq.heappush(self._to_come, (time.monotonic() + wait_s, connection.number))
            connection.waiting.append(message)
            self._queued += 1

    def _connect(self) -> None:
        now = time.monotonic()
        while self._to_come and self._to_come[0][0] <= now:
            _, number = heapq.heappop(self._to_come)
            connection = self._connections[number]
            if connection.connect():
                self._by_fd[connection.fd] = connection
                self._poll.register(connection.fd, select.POLLIN)
            else:
                heapq.heappush(self._to_come, (connection.retry_at, number))

    def _send(self, now_ms: int) -> list[int]:
        """What waits goes out; the connections that are lost."""
        lost = []
        for fd, connection in self._by_fd.items():
            try:
                connection.send(now_ms)
            except OSError:
                lost.append(fd)
                continue
            if connection.is_writing != (fd in self._writing):
                self._writing ^= {fd}
                wanted = select.POLLIN | (select.POLLOUT if connection.is_writing else 0)
                self._poll.modify(fd, wanted)
        return lost

    def _listen(self) -> list[int]:
        """What the broker says; the connections that are lost."""
        lost = []
        for fd, events in self._poll.poll(2):
            connection = self._by_fd[fd]
            try:
                if events & select.POLLOUT:
                    connection.write()
                if events & ~select.POLLOUT:
                    connection.read(self._acks)
            except OSError:
                lost.append(fd)
        return lost

    def _lose(self, lost: list[int]) -> None:
        for fd in lost:
            connection = self._by_fd.pop(fd, None)
            if connection is not None:
                self._poll.unregister(fd)
                self._writing.discard(fd)
                connection.lose()
                heapq.heappush(self._to_come, (connection.retry_at, connection.number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--segment", type=int, default=0)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--acks", type=Path, required=True)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds without any PUBACK")
    parser.add_argument("--gate", type=Path, default=None, help="a file that says how far to go")
    asked = parser.parse_args()
    plan = Plan.load(asked.plan)
    with closing(Acks(asked.acks)) as acks:
        try:
            done = publish(plan, asked.segment, asked.port, acks, asked.patience, asked.gate)
        except TimeoutError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
    print(json.dumps(done))


if __name__ == "__main__":
    main()
