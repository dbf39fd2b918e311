"""The fleet live: every gateway and shed on its own connection, in real time, over MQTT.

One thread drives all connections with one selector; connecting, which blocks, is left to a few
others. Nothing runs before `start`, and after `stop` nothing is left running.
"""

import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from queue import SimpleQueue
from random import Random
from typing import Any
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from simulators.fleet import BIRTH, WILL, Fleet, Message
from simulators.nodes import Link

log = logging.getLogger(__name__)

Clock = Callable[[], int]  # UTC epoch ms

KEEPALIVE_S = 60
CONNECT_S = 5.0  # for a connection to be made, and again for the broker's answer
CONNECTORS = 4
WAITING = 500  # messages that one connection keeps while the broker is away; the oldest go
STALE_MS = 60_000  # after a sleep of the host, what is older than this was never sent
LONGEST_WAIT_S = 0.5
MISC_S = 1.0  # how often paho looks after its keepalives
RETRY_S = (1.0, 2.0, 4.0, 8.0)  # between attempts, the last one again and again
SPREAD_S = 3.0  # reconnects are spread over this time
FLUSH_S = 2.0  # at the end, for the broker to acknowledge what is under way


class BadBrokerUrl(ValueError):
    """The broker's address cannot be used; the text says how to write it."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, from a URL like `mqtt://user:pass@host:1883` or `mqtts://…`."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> "Broker":
        """Raises BadBrokerUrl."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise BadBrokerUrl(f"{_shown(url)}: {error}") from error
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise BadBrokerUrl(f"{_shown(url)} is not mqtt://[user:password@]host[:port]")
        tls = parts.scheme == "mqtts"
        return cls(
            parts.hostname,
            port or (8883 if tls else 1883),
            tls,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


def _shown(url: str) -> str:
    """Without what stands before the @: it may be a password."""
    return url.rpartition("@")[2][:200]


@dataclass(slots=True)
class Counters:
    """What has happened so far.

    published: handed to a connection; acknowledged: the broker has it. dropped: a connection was
    down for longer than it could keep. skipped: too old when their turn came. connected: now.
    cut: connections broken off for a last will. failed: attempts to connect.
    """

    published: int = 0
    acknowledged: int = 0
    dropped: int = 0
    skipped: int = 0
    connected: int = 0
    connects: int = 0
    cut: int = 0
    failed: int = 0


class _State(Enum):
    CLOSED = "closed"
    CONNECTING = "connecting"
    GREETING = "greeting"  # the socket is there, the broker's CONNACK is not yet
    OPEN = "open"


class _Session:
    """One connection of the fleet. Touched by the loop's thread only, but for `dial`."""

    __slots__ = (
        "answer",
        "attempts",
        "birth",
        "client",
        "deadline_s",
        "dialling",
        "link",
        "retry_at_s",
        "sock",
        "state",
        "unacknowledged",
        "waiting",
        "wanted",
        "writes",
    )

    def __init__(self, link: Link) -> None:
        self.link = link
        self.client: Client | None = None
        self.state = _State.CLOSED
        self.wanted = False
        self.birth: Message | None = None
        self.waiting: deque[Message] = deque()
        self.sock: Any = None
        self.writes = False
        self.answer: bool | None = None
        self.attempts = 0
        self.retry_at_s = 0.0
        self.deadline_s = 0.0
        self.unacknowledged = 0
        self.dialling: Future[None] | None = None


class LiveFleet:
    """Plays a fleet in real time against a broker.

    clock: UTC epoch ms; it decides when a message is due, so a fast clock plays fast. The fleet
    must begin about now. Broker away: every connection tries again and keeps the last WAITING
    messages meanwhile. Raises BadBrokerUrl.
    """

    def __init__(self, broker_url: str, fleet: Fleet, clock: Clock) -> None:
        self.broker = Broker.parse(broker_url)
        self.counters = Counters()
        self.error = ""  # why the last attempt to connect failed; empty once one succeeded
        self._fleet = fleet
        self._clock = clock
        self._sessions = {link.id: _Session(link) for link in fleet.links.values()}
        self._protocol: MQTTProtocolVersion | None = None
        self._agreeing = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._dialled: SimpleQueue[tuple[_Session, str]] = SimpleQueue()
        self._connectors = ThreadPoolExecutor(CONNECTORS, "simulators-connect")
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._jitter = Random(1)  # noqa: S311 - spreads reconnects
        self._crash: BaseException | None = None

    # -- for the outside

    def start(self) -> None:
        """Begin to connect and to send; returns at once."""
        if self._thread is not None:
            raise RuntimeError("this fleet has been started already")
        self._thread = threading.Thread(target=self._run, name="simulators-live", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take leave of the broker: what was sent is acknowledged, and no last will is published.

        Raises what ended the loop before, if anything did.
        """
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self._crash is not None:
            raise self._crash

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until the loop has ended, by `stop` or by an error of ours. False: it still runs."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the loop

    def _run(self) -> None:
        try:
            self._selector.register(self._wake_r, selectors.EVENT_READ, None)
            next_misc_s = 0.0
            while not self._stopping.is_set():
                now_ms = self._clock()
                for message in self._fleet.messages(now_ms + 1):
                    self._take(message, now_ms)
                now_s = time.monotonic()
                self._adopt(now_s)
                self._poll(self._until_next_s(now_s, next_misc_s))
                if now_s >= next_misc_s:
                    next_misc_s = now_s + MISC_S
                    self._look_after(now_s)
            self._take_leave()
        except BaseException as error:
            log.exception("the live fleet has stopped")
            self._crash = error
        finally:
            self._close()

    def _until_next_s(self, now_s: float, next_misc_s: float) -> float:
        due_s = (self._fleet.next_ms - self._clock()) / 1000
        return max(0.0, min(LONGEST_WAIT_S, due_s, next_misc_s - now_s))

    def _poll(self, timeout_s: float) -> None:
        for key, events in self._selector.select(timeout_s):
            session = key.data
            if session is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake_r.recv(4_096)
                continue
            self._serve(session, events)

    def _serve(self, session: _Session, events: int) -> None:
        client = session.client
        if client is None:
            return
        if events & selectors.EVENT_READ:
            client.loop_read()
        if events & selectors.EVENT_WRITE:
            client.loop_write()
        self._settle(session)

    def _settle(self, session: _Session) -> None:
        """After anything that paho did: is the connection open, gone, or does it want to write?"""
        client = session.client
        if client is None:
            return
        if session.state is _State.GREETING and session.answer is not None:
            if session.answer:
                self._open(session)
            else:
                self._hang_up(session)
        if session.sock is not None and client.socket() is None:
            self._lost(session)
            return
        if session.sock is not None and client.want_write() != session.writes:
            session.writes = not session.writes
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if session.writes else 0)
            self._selector.modify(session.sock, wanted, session)

    def _look_after(self, now_s: float) -> None:
        for session in self._sessions.values():
            match session.state:
                case _State.OPEN if session.client is not None:
                    session.client.loop_misc()
                    self._settle(session)
                case _State.GREETING if now_s > session.deadline_s:
                    self.error = f"{self.broker.host}:{self.broker.port} does not answer"
                    self._hang_up(session)
                    self._settle(session)
                case _State.CLOSED if session.wanted and now_s >= session.retry_at_s:
                    self._dial(session)

    # -- what the fleet sends

    def _take(self, message: Message, now_ms: int) -> None:
        session = self._sessions[message.connection]
        if message.act == WILL:
            session.wanted = False
            self._cut(session)
            return
        if message.act == BIRTH:
            session.wanted = True
            if session.state is _State.OPEN:
                self._publish(session, message)
            else:
                session.birth = message
                if session.state is _State.CLOSED:
                    self._dial(session)
            return
        if message.at_ms < now_ms - STALE_MS:
            self.counters.skipped += 1
        elif session.state is _State.OPEN:
            self._publish(session, message)
            self._settle(session)
        else:
            if len(session.waiting) >= WAITING:
                session.waiting.popleft()
                self.counters.dropped += 1
            session.waiting.append(message)

    def _publish(self, session: _Session, message: Message) -> None:
        client = session.client
        assert client is not None, "an open session has a client"
        sent = client.publish(message.topic, message.payload, qos=1, retain=message.retained)
        if sent.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self.counters.dropped += 1
            return
        self.counters.published += 1
        session.unacknowledged += 1

    def _cut(self, session: _Session) -> None:
        """Break the connection off without a word, so that the broker publishes the last will."""
        if session.sock is not None:
            self.counters.cut += 1
        self._hang_up(session)
        self._settle(session)

    def _hang_up(self, session: _Session) -> None:
        if session.sock is not None and session.client is not None:
            with contextlib.suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)
            session.client.loop_read()  # paho sees the end and closes its side

    # -- connections

    def _dial(self, session: _Session) -> None:
        session.state = _State.CONNECTING
        session.answer = None
        session.dialling = self._connectors.submit(self._connect, session)

    def _connect(self, session: _Session) -> None:
        """In a connector's thread: until this is handed over, nobody else touches the client."""
        why = ""
        try:
            with self._agreeing:  # the first one asks the broker, for all
                if self._protocol is None:
                    self._protocol = self._agree()
            if session.client is None:
                session.client = self._client(session)
            client = session.client
            if client.connect(self.broker.host, self.broker.port, KEEPALIVE_S) != 0:
                why = "the connection was refused"
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
        self._dialled.put((session, why))
        self._wake()

    def _adopt(self, now_s: float) -> None:
        """Take over the sockets that the connectors have opened."""
        while not self._dialled.empty():
            session, why = self._dialled.get()
            sock = None if session.client is None else session.client.socket()
            if why or sock is None:
                self._failed(session, why or "the connection was closed at once", now_s)
                continue
            session.sock = sock
            session.writes = False
            session.state = _State.GREETING
            session.deadline_s = now_s + CONNECT_S
            self._selector.register(sock, selectors.EVENT_READ, session)
            if not session.wanted:  # it was lost again while it was being made
                self._cut(session)
            else:
                self._settle(session)

    def _open(self, session: _Session) -> None:
        session.state = _State.OPEN
        session.attempts = 0
        self.error = ""
        self.counters.connected += 1
        self.counters.connects += 1
        birth = session.birth or self._fleet.birth(session.link, self._clock())
        session.birth = None
        self._publish(session, birth)
        waiting, session.waiting = session.waiting, deque()
        for message in waiting:
            self._publish(session, message)

    def _lost(self, session: _Session) -> None:
        """paho has closed the socket: by our cut, by the broker, or by the network."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(session.sock)
        session.sock = None
        if session.state is _State.OPEN:
            self.counters.connected -= 1
            session.state = _State.CLOSED
            session.retry_at_s = time.monotonic() + RETRY_S[0] + self._jitter.random() * SPREAD_S
        else:
            self._failed(session, self.error or "the broker hung up", time.monotonic())

    def _failed(self, session: _Session, why: str, now_s: float) -> None:
        if why != self.error:
            log.warning("cannot connect to %s:%s: %s", self.broker.host, self.broker.port, why)
        self.error = why
        self.counters.failed += 1
        session.state = _State.CLOSED
        wait_s = RETRY_S[min(session.attempts, len(RETRY_S) - 1)]
        session.attempts += 1
        session.retry_at_s = now_s + wait_s + self._jitter.random() * SPREAD_S

    def _agree(self) -> MQTTProtocolVersion:
        """MQTT 5, or 3.1.1 where the broker does not speak it. Raises OSError: nobody there."""
        answers: list[bool] = []
        client = Client(CallbackAPIVersion.VERSION2, "courtyard-fleet-hello", protocol=MQTTv5)
        self._prepare(client)
        client.on_connect = lambda _c, _u, _f, code, _p: answers.append(not code.is_failure)
        client.connect(self.broker.host, self.broker.port, KEEPALIVE_S)
        deadline_s = time.monotonic() + CONNECT_S
        while not answers and time.monotonic() < deadline_s and not self._stopping.is_set():
            if client.loop(0.2) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break  # hung up: that is how some say that they do not understand
        if answers and answers[0]:
            client.disconnect()
            return MQTTv5
        if sock := client.socket():
            sock.close()
        return MQTTv311

    def _client(self, session: _Session) -> Client:
        protocol = self._protocol
        assert protocol is not None, "agreed on before the first client"
        if protocol == MQTTv5:
            client = Client(CallbackAPIVersion.VERSION2, session.link.id, protocol=protocol)
        else:
            client = Client(
                CallbackAPIVersion.VERSION2,
                session.link.id,
                clean_session=True,
                protocol=protocol,
                reconnect_on_failure=False,
            )
        self._prepare(client)
        client.max_queued_messages_set(WAITING)
        will = self._fleet.will(session.link)
        if will is not None:
            topic, payload = will
            client.will_set(topic, payload, qos=1, retain=True)

        def connected(_c: Client, _u: Any, _f: Any, code: Any, _p: Any) -> None:
            session.answer = not code.is_failure
            if code.is_failure:
                self.error = f"the broker refused {session.link.id}: {code}"

        def published(_c: Client, _u: Any, _mid: int, _code: Any, _p: Any) -> None:
            session.unacknowledged -= 1
            self.counters.acknowledged += 1

        client.on_connect = connected
        client.on_publish = published
        return client

    def _prepare(self, client: Client) -> None:
        client.connect_timeout = CONNECT_S
        if self.broker.user is not None:
            client.username_pw_set(self.broker.user, self.broker.password)
        if self.broker.tls:
            client.tls_set_context(ssl.create_default_context())

    # -- the end

    def _take_leave(self) -> None:
        """Disconnect properly, also what is being connected: else its last will would go out."""
        sessions = self._sessions.values()
        for session in sessions:
            if session.dialling is not None and session.dialling.cancel():
                session.state = _State.CLOSED
        half_open = (_State.CONNECTING, _State.GREETING)
        self._poll_while(CONNECT_S, lambda: any(s.state in half_open for s in sessions))
        self._poll_while(
            FLUSH_S, lambda: any(s.state is _State.OPEN and s.unacknowledged > 0 for s in sessions)
        )
        for session in sessions:
            if session.state is _State.OPEN and session.client is not None:
                session.client.disconnect()
                self._settle(session)
        self._poll_while(FLUSH_S, lambda: any(s.state is _State.OPEN for s in sessions))

    def _poll_while(self, at_most_s: float, busy: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + at_most_s
        while busy() and time.monotonic() < deadline_s:
            self._poll(0.05)
            self._adopt(time.monotonic())

    def _close(self) -> None:
        self._connectors.shutdown(wait=True, cancel_futures=True)
        for session in self._sessions.values():
            sock = None if session.client is None else session.client.socket()
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.close()
        self._selector.close()
        self._wake_r.close()
        self._wake_w.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: it is over
            self._wake_w.send(b"\0")
