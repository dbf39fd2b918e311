"""A TCP proxy of our own, to do to a connection what networks do.

    with Proxy(1883) as proxy:
        connect("127.0.0.1", proxy.port)
        proxy.cut()

Pass, refuse, cut, stall, delay, swallow the answers: by method calls, at any moment, from any
thread. Packet loss is the kernel's business; what it looks like above TCP, a piece of the stream
that comes a retransmission later, is `lose`.
"""

import asyncio
import random
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65_536
QUEUED_CHUNKS = 256  # held back by a delay; then the sender has to wait
STALL_LOOK_S = 0.02
RETRANSMISSION_S = 0.3  # Linux waits at least 200 ms and one round trip
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Proxy:
    """Forwards connections to `upstream_port` on loopback."""

    def __init__(self, upstream_port: int, *, seed: int = 0) -> None:
        self.port = 0
        self.accepted = 0
        self.quietest_s = 0.0  # longest time in which a client sent nothing, while watched
        self._upstream_port = upstream_port
        self._rng = random.Random(seed)
        self._delay_s = 0.0
        self._loss = 0.0
        self._stalled = False
        self._refusing = False
        self._swallowing = False
        self._watched_since: float | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._over: asyncio.Event | None = None

    # What happens to connections, from now on

    def normal(self) -> None:
        """Pass everything."""
        self._delay_s = self._loss = 0.0
        self._stalled = self._refusing = self._swallowing = False

    def cut(self) -> None:
        """End all connections with a reset; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._cut)

    def refuse(self) -> None:
        """End all connections, and each new one at once."""
        self._refusing = True
        self.cut()

    def stall(self) -> None:
        """Connections stay open, and nothing passes in either direction."""
        self._stalled = True

    def delay(self, one_way_s: float) -> None:
        """Everything takes so much longer, in each direction."""
        self._delay_s = one_way_s

    def lose(self, share: float) -> None:
        """So many of the pieces of the stream come a retransmission later, with all behind them."""
        self._loss = share

    def swallow(self) -> None:
        """What the server answers never arrives; what clients send does."""
        self._swallowing = True

    def watch(self) -> None:
        """Measure from now on for how long clients send nothing, in `quietest_s`."""
        self.quietest_s = 0.0
        self._watched_since = time.monotonic()

    def watched(self) -> float:
        """The longest pause since `watch`, which ends here."""
        since = self._watched_since
        if since is not None:
            self.quietest_s = max(self.quietest_s, time.monotonic() - since)
        self._watched_since = None
        return self.quietest_s

    # Its life

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        over = self._over
        if over is not None:
            self._loop.call_soon_threadsafe(over.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._over.wait()
        server.close()
        self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _cut(self) -> None:
        for pair in self._pairs:
            for writer in pair:
                sock = writer.get_extra_info("socket")
                if sock is not None:
                    with suppress(OSError):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(
                "127.0.0.1", self._upstream_port
            )
        except OSError:
            writer.transport.abort()
            return
        self.accepted += 1
        pair = (writer, server_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                self._pump(reader, server_writer, answers=False),
                self._pump(server_reader, writer, answers=True),
            )
        finally:
            self._pairs.discard(pair)
            for one in pair:
                one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        """One direction, until either end is over; then the other end is ended as well."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS)
        sending = asyncio.ensure_future(self._send(chunks, writer))
        try:
            while data := await reader.read(CHUNK):
                if not answers:
                    self._note_sign()
                if answers and self._swallowing:
                    continue
                late_s = self._delay_s
                if self._loss and self._rng.random() < self._loss:
                    late_s += RETRANSMISSION_S
                await chunks.put((self._loop.time() + late_s, data))
        except OSError:
            pass
        finally:
            await chunks.put((0.0, b""))
            with suppress(OSError):
                await sending

    async def _send(
        self, chunks: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due_s, data = await chunks.get()
            if not data:
                with suppress(OSError):
                    writer.close()
                return
            if due_s > self._loop.time():
                await asyncio.sleep(due_s - self._loop.time())
            while self._stalled:
                await asyncio.sleep(STALL_LOOK_S)
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                writer.transport.abort()

    def _note_sign(self) -> None:
        since = self._watched_since
        if since is not None:
            now = time.monotonic()
            self.quietest_s = max(self.quietest_s, now - since)
            self._watched_since = now
