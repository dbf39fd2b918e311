"""The MQTT edge: from the broker into the journal, acknowledged after the fsync.

paho-mqtt owns the connection, the MQTT session, keepalive and every control packet. A subclass of
its client takes PUBLISH packets out of one large read and hands over whole runs of messages;
where paho's internals are not those that it was written for, plain paho does the same more slowly.

Three threads. *network* is the only one that touches the client: it reads into the intake, sends
the acknowledgements that it is handed, the probes, and connects again. *commit* empties the intake
into the journal. *watch* (ingest/watch.py) writes the ticks and looks at the clock and at the rest.

A connection has a number, the epoch, counted up when it is accepted. An acknowledgement leaves
only on the connection that its message came on: packet ids start again where the broker lost the
session, so a late one would acknowledge, and so destroy, a message that nobody stored.
"""

import random
import secrets
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Literal

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.journal import CLOCK, LINK, PROBE, RETAINED, START, STOP, TICK
from devices.store.failpoints import failpoint
from devices.store.journal import Draft
from ingest.broker_url import BrokerAddress
from ingest.intake import Counters, GroupCommit, Intake, JournalPort
from ingest.mqtt_clients import (
    PAHO_FINGERPRINT,
    READ_BYTES,
    AnyClient,
    BatchClient,
    PlainClient,
    fingerprint,
)
from ingest.probe import Probes
from ingest.progress import Seen, Verdict
from ingest.publish_packets import (
    Run,
)
from ingest.watch import Duties, Watcher

Clock = Callable[[], int]  # UTC epoch ms
Protocol = Literal["auto", "5", "3.1.1"]

WINDOW = 1_000  # messages that the broker may send before we acknowledge the first (MQTT 5)
SESSION_EXPIRY_S = 24 * 3600
MAX_OUTBOX = 10_000  # topics
READS_A_ROUND = 200  # plain paho reads one packet at a time
GATHER_MAX_S = 0.02  # a commit that takes longer no longer holds up the reading
# A batch costs about 0.2 ms of CPU whatever its size, so under load the reading rests in between:
# 7.1 -> 4.1 µs a message at 45k messages/s. Only with the wide window of MQTT 5, which takes longer
# to fill; with the 20 messages that a broker may have in flight on 3.1.1 it would throttle.
REST_S = 0.005
REST_BELOW_MESSAGES = WINDOW // 2
CONNECT_TIMEOUT_S = 5.0
CONNACK_TIMEOUT_S = 10.0
STEADY_S = 10.0  # a connection that lasted this long sets the back-off to its start
LOOKUP_S = 40.0  # more time for the network thread while it connects: a name has no timeout
LINGER_S = 1.0
ERROR_PAUSE_S = 0.1  # an error of our own that comes again at once must not take a whole core

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds; tests shorten them."""

    keepalive_s: int = 30
    probe_s: float = 5.0
    tick_s: float = 5.0
    stall_s: float = 15.0
    wedged_s: float = 20.0  # the network thread comes round at least once a second
    reconnect_first_s: float = 1.0
    reconnect_max_s: float = 10.0
    commit_retry_max_s: float = 5.0
    clock_step_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Status:
    """How receive is at this moment.

    probe_sent_ms: when the newest probe that is in the journal was sent; None before the first.
    probe_committed_ms: when that was. refused: filters that the broker did not grant.
    probe_forbidden: the broker does not let our probe through although messages come.
    batched: whether the fast client is in use.
    """

    connected: bool
    subscribed: bool
    session_present: bool
    epoch: int
    mqtt: str
    batched: bool
    waiting_messages: int
    commit_failing: bool
    probe_sent_ms: int | None
    probe_committed_ms: int | None
    probe_forbidden: bool
    refused: tuple[str, ...]
    counters: Counters


@dataclass(slots=True)
class _Link:
    """The connection and what came through it: written by the network thread, looked at by all.

    Times are of time.monotonic.
    """

    epoch: int = 0
    open: bool = False  # there is a socket; it may still wait for its CONNACK
    connected_at: float | None = None
    subscribed: bool = False
    session_present: bool = False
    refused: tuple[str, ...] = ()
    attempting: bool = False
    attempted_at: float = 0.0
    next_attempt_at: float = 0.0
    backoff_s: float = 0.0
    trouble: str | None = None  # what the log said last about a link that is down
    reconnect_asked: threading.Event = field(default_factory=threading.Event)  # by the watch
    round_at: float = 0.0
    rest_until: float = 0.0
    moved_at: float = 0.0
    taken: int = 0  # messages and probes that the network thread ever took
    message_seen: bool = False


@dataclass(slots=True)
class _Probing:
    """Our own probe: when it is sent, and how far it came."""

    next_at: float = 0.0
    first_at: float | None = None
    denied: bool = False
    sent_ms: int | None = None  # of the newest one in the journal
    committed_ms: int | None = None


class _Waker:
    """Ends the network thread's wait from any thread: one end of a pair of sockets is polled."""

    def __init__(self) -> None:
        self.end, self._far_end = socket.socketpair()
        self.end.setblocking(False)
        self._far_end.setblocking(False)

    def wake(self) -> None:
        with suppress(OSError):  # full: it wakes up anyway; closed: there is nobody left to wake
            self._far_end.send(b"\0")

    def quiet(self) -> None:
        with suppress(BlockingIOError):
            self.end.recv(4096)

    def close(self) -> None:
        self.end.close()
        self._far_end.close()


class _Outbox:
    """What is to be sent to devices: of each topic the newest, because it covers those before it.

    Filled by any thread, emptied by the network thread. Bounded: a device whose receipt goes
    astray here sends again, and is told with its next message.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, bytes] = {}
        self._changed = threading.Lock()

    def put(self, messages: Sequence[tuple[str, bytes]]) -> None:
        with self._changed:
            for topic, payload in messages:
                self._waiting.pop(topic, None)
                self._waiting[topic] = payload
            while len(self._waiting) > MAX_OUTBOX:
                del self._waiting[next(iter(self._waiting))]

    def take(self) -> dict[str, bytes]:
        if not self._waiting:
            return {}
        with self._changed:
            taken, self._waiting = self._waiting, {}
            return taken


class Receiver:
    """Takes messages from a broker into a journal until it is stopped.

    origin: the compound that a message on this topic is accounted to; called for every message on
    the network thread, so it must be quick. committed: called after each commit. on_stuck: called
    once when only a new process can help. instance: names the client id and the probe's topic; one
    ingester, one name.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        journal: JournalPort,
        clock: Clock,
        origin: Callable[[bytes], str],
        filters: Sequence[str],
        instance: str,
        *,
        committed: Callable[[], None],
        on_stuck: Callable[[], None],
        mqtt: Protocol = "auto",
        client_id: str | None = None,
        timers: Timers | None = None,
        batched: bool | None = None,
    ) -> None:
        if not filters:
            raise ValueError("a receiver without topic filters would receive nothing")
        self._broker = broker
        self._clock = clock
        self._origin = origin
        self._filters = tuple(filters)
        self._on_stuck = on_stuck
        self._client_id = client_id or f"courtyard-{instance}"
        self._timers = timers or Timers()
        self.counters = Counters()
        self._probes = Probes(instance, secrets.token_hex(16))
        self._outbox = _Outbox()
        self._intake = Intake()
        self._commit = GroupCommit(
            self._intake,
            journal,
            self.counters,
            committed=committed,
            acknowledge=self._queue_acks,
            probe_committed=self._probe_is_in,
            retry_max_s=self._timers.commit_retry_max_s,
        )
        self._mqtt_chosen: Protocol = mqtt
        self._protocol = _first_tried(mqtt)
        self._batched = batched
        self._client: AnyClient | None = None
        self._acks: deque[tuple[int, list[bytes]]] = deque()
        self._waker = _Waker()
        self._stopping = threading.Event()
        self._stop_by: float | None = None
        self._ended = threading.Event()
        self._commit_over = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._link = _Link()
        self._probing = _Probing()

    # -- from outside -----------------------------------------------------------------------

    def start(self) -> None:
        """Connects in the background and goes on trying; starting twice is an error."""
        if self._threads:
            raise RuntimeError("a receiver starts once: make a new one")
        if self._batched is None:
            self._batched = fingerprint() == PAHO_FINGERPRINT
            if not self._batched:
                log.warning(
                    "paho_differs",
                    version=version("paho-mqtt"),
                    consequence="messages are read one by one, at several times the cost",
                )
        self._link.moved_at = self._link.round_at = time.monotonic()
        self._put_control(START, {"at_ms": self._clock()})
        for name, work in (
            ("commit", self._run_commit),
            ("network", self._run_network),
            ("watch", self._run_watch),
        ):
            thread = threading.Thread(target=work, name=f"receive-{name}", daemon=True)
            self._threads[name] = thread
            thread.start()

    def stop(self, timeout_s: float = 8.0) -> None:
        """Stops taking, commits, acknowledges, disconnects and keeps the MQTT session.

        What could not be committed in time stays unacknowledged: the broker has it still.
        """
        if not self._threads or self._ended.is_set():
            self._waker.close()
            return
        deadline = time.monotonic() + timeout_s
        self._stop_by = deadline - min(1.0, timeout_s / 4)
        self._stopping.set()
        self._waker.wake()
        self._threads["network"].join(max(0.0, deadline - time.monotonic()))
        self._commit.abandon()
        self._ended.set()
        for name in ("commit", "network", "watch"):
            thread = self._threads[name]
            if thread is not threading.current_thread():
                thread.join(max(0.1, deadline - time.monotonic()))
            if thread.is_alive():
                log.error("receive_thread_did_not_end", thread=name)
        if not self._threads["network"].is_alive():
            self._waker.close()

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send to devices, as soon as there is a connection and at most once: (topic, payload).

        For what a later message covers: of each topic only the newest waits. Any thread may call.
        """
        self._outbox.put(messages)
        self._waker.wake()

    def status(self) -> Status:
        return Status(
            connected=self._link.connected_at is not None,
            subscribed=self._link.subscribed,
            session_present=self._link.session_present,
            epoch=self._link.epoch,
            mqtt="5" if self._protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1",
            batched=bool(self._batched),
            waiting_messages=self._intake.waiting_messages,
            commit_failing=self._commit.failing_since is not None,
            probe_sent_ms=self._probing.sent_ms,
            probe_committed_ms=self._probing.committed_ms,
            probe_forbidden=self._is_probe_forbidden(),
            refused=self._link.refused,
            counters=replace(self.counters),
        )

    # -- commit thread ----------------------------------------------------------------------

    def _run_commit(self) -> None:
        try:
            self._commit.run()
        except Exception:
            # without this thread nothing is ever acknowledged again
            self.counters.errors += 1
            log.exception("receive_commit_thread_died")
            self._on_stuck()
        finally:
            self._commit_over.set()
            self._waker.wake()

    def _queue_acks(self, epoch: int, mids: list[bytes]) -> None:
        failpoint("R8")
        if mids:
            self._acks.append((epoch, mids))
        self._waker.wake()

    def _probe_is_in(self, record: Draft) -> None:
        if record.control is not None:
            self._probing.sent_ms = int(record.control["sent_ms"])
            self._probing.committed_ms = self._clock()
            self.counters.probes_returned += 1

    # -- watch thread -----------------------------------------------------------------------

    def _run_watch(self) -> None:
        duties = Duties(
            tick=lambda at_ms: self._put_control(TICK, {"at_ms": at_ms}),
            clock_stepped=self._clock_stepped,
            seen=self._seen,
            act=self._act,
        )
        timers = self._timers
        Watcher(
            self._clock,
            duties,
            tick_s=timers.tick_s,
            stall_s=timers.stall_s,
            clock_step_s=timers.clock_step_s,
        ).run(self._stopping)

    def _clock_stepped(self, step_s: float, at_ms: int) -> None:
        self.counters.clock_steps += 1
        log.warning("clock_stepped", step_s=round(step_s, 1))
        self._put_control(CLOCK, {"step_s": round(step_s), "at_ms": at_ms})

    def _seen(self) -> Seen:
        return Seen(
            moved_at=self._link.moved_at,
            connected_at=self._link.connected_at,
            round_at=self._link.round_at,
            round_limit_s=self._timers.wedged_s + (LOOKUP_S if self._link.attempting else 0.0),
            excused=self._is_silence_expected(),
        )

    def _act(self, verdict: Verdict) -> None:
        self.counters.stalls += 1
        log.error(
            "receive_stalled",
            then=str(verdict),
            silent_s=round(time.monotonic() - self._link.moved_at, 1),
            network_thread_silent_s=round(time.monotonic() - self._link.round_at, 1),
        )
        if verdict is Verdict.STUCK:
            self._on_stuck()
        else:
            self._link.reconnect_asked.set()
            self._waker.wake()

    def _is_silence_expected(self) -> bool:
        """Acknowledgements are withheld, so the broker stops; or it forbids our probe."""
        busy_since = self._intake.busy_since
        withheld = busy_since is not None and time.monotonic() - busy_since > 1.0
        return withheld or self._commit.failing_since is not None or self._is_probe_forbidden()

    def _is_probe_forbidden(self) -> bool:
        if self._probing.denied:
            return True
        first = self._probing.first_at
        if first is None or self.counters.probes_returned or not self._link.message_seen:
            return False
        return time.monotonic() - first > self._timers.stall_s * 0.9

    # -- network thread: nothing below runs on another one, but _put_control ---------------------

    def _run_network(self) -> None:
        while not self._ended.is_set():
            try:
                if self._stopping.is_set():
                    self._drain()
                    return
                self._round(taking=True)
            except Exception:
                self.counters.errors += 1
                log.exception("receive_network_error")
                try:
                    self._drop_link("error in the network thread")
                except Exception:
                    log.exception("receive_network_error")
                self._ended.wait(ERROR_PAUSE_S)

    def _round(self, *, taking: bool) -> None:
        """Waits until there is something to do, at most a second, and does it."""
        now = self._link.round_at = time.monotonic()
        self._send_acks()
        client = self._client
        sock = client.socket() if client is not None and self._link.open else None
        if client is None or sock is None:
            if self._link.open:
                self._drop_link("connection closed")
            # full: nothing could be read from it; the broker keeps what comes
            if not taking or self._intake.is_full:
                self._poll(None, 0, 0.5)
            elif now < self._link.next_attempt_at:
                self._poll(None, 0, min(self._link.next_attempt_at - now, 0.5))
            else:
                self._attempt()
            return
        if self._link.reconnect_asked.is_set():
            self._drop_link("nothing came through it")
            return
        if self._link.connected_at is None and now - self._link.attempted_at > CONNACK_TIMEOUT_S:
            self._drop_link("the broker does not answer CONNECT")
            return

        hold_s = self._reading_held_s(now) if taking else 1.0
        timeout_s = hold_s or 1.0
        if self._link.connected_at is not None:
            timeout_s = min(timeout_s, max(0.0, self._probing.next_at - now))
        wanted = select.POLLOUT if client.want_write() else 0
        is_pending = False
        if not hold_s:
            wanted |= select.POLLIN
            is_pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        ready = self._poll(sock, wanted, 0.0 if is_pending else timeout_s)
        if ready & (select.POLLHUP | select.POLLERR) and hold_s:
            if self._intake.is_full or not taking:
                self._drop_link("the broker closed the connection")
                return
            hold_s = 0.0
        if not hold_s and (is_pending or ready & ~select.POLLOUT):
            self._read(client)
        if ready & select.POLLOUT and client.socket() is not None:
            client.loop_write()
        if client.socket() is not None:
            if hold_s >= 0.5:
                client.excuse_silence()
            client.loop_misc()
            if self._link.subscribed:
                for topic, payload in self._outbox.take().items():
                    client.publish(topic, payload)
                    self.counters.sent += 1
            if self._link.connected_at is not None and time.monotonic() >= self._probing.next_at:
                self._send_probe(client)

    def _reading_held_s(self, now: float) -> float:
        """0.0: read now. Else look again after so long, or when a batch is committed.

        While a batch is being committed the next one gathers in the socket: read in one piece it
        costs a fraction of what many small reads do. A commit that takes long holds up nothing.
        """
        if self._link.connected_at is None:
            return 0.0
        if self._intake.is_full:
            return 0.5
        busy_since = self._intake.busy_since
        busy_s = 0.0 if busy_since is None else busy_since + GATHER_MAX_S - now
        return max(0.0, busy_s, self._link.rest_until - now)

    def _poll(self, sock: object, wanted: int, timeout_s: float) -> int:
        """Events of the socket, and whatever woke us; both are served by the round after."""
        poll = select.poll()
        poll.register(self._waker.end, select.POLLIN)
        fd = -1
        if isinstance(sock, socket.socket):
            fd = sock.fileno()
            poll.register(fd, wanted)
        ready = 0
        for some_fd, events in poll.poll(max(0.0, timeout_s) * 1000):
            if some_fd == fd:
                ready = events
            else:
                self._waker.quiet()
        return ready

    def _read(self, client: AnyClient) -> None:
        before = self._link.taken
        failpoint("R2")
        if isinstance(client, BatchClient):
            client.loop_read()
        else:
            for _ in range(READS_A_ROUND):
                held = client.held_messages
                client.loop_read()
                if client.socket() is None or client.held_messages == held:
                    break
            client.flush()
        if (
            self._protocol == MQTTProtocolVersion.MQTTv5
            and 0 < self._link.taken - before < REST_BELOW_MESSAGES
        ):
            self._link.rest_until = time.monotonic() + REST_S

    def _send_acks(self) -> None:
        while self._acks:
            epoch, mids = self._acks.popleft()
            client = self._client
            if client is None or self._link.connected_at is None or epoch != self._link.epoch:
                self.counters.acks_dropped += len(mids)
                continue
            client.acknowledge(mids)
            failpoint("R7")
            self.counters.acks += len(mids)

    def _deliver(self, run: Run) -> None:
        run.epoch = self._link.epoch
        counters = self.counters
        counters.oversize += run.oversize
        counters.origin_failures += run.origin_failures
        self._link.moved_at = time.monotonic()
        self._link.taken += len(run.messages)
        if run.probes:
            self._deliver_around_probes(run)
        else:
            self._link.message_seen = True
            self._intake.put(run)

    def _deliver_around_probes(self, run: Run) -> None:
        """Probes leave the run for records of their own, between the messages around them."""
        start = 0
        for at in run.probes:
            probe = run.messages[at]
            record = None
            if not probe.flags & RETAINED:  # we never retain one
                record = self._probes.returned(probe.topic, probe.payload, probe.received_ms)
            if record is None:
                self.counters.probes_foreign += 1
            self._put_messages(run, start, at)
            if record is not None:
                failpoint("R14")
                self._intake.put_control(Draft(PROBE, run.epoch, control=record))
            start = at + 1
        # the last part has all packet ids: they are acknowledged when everything before is in
        self._put_messages(run, start, len(run.messages), run.mids)

    def _put_messages(self, run: Run, start: int, stop: int, mids: Sequence[bytes] = ()) -> None:
        messages = run.messages[start:stop]
        if messages:
            self._link.message_seen = True
        if messages or mids:
            size_bytes = run.size_bytes * len(messages) // len(run.messages)
            self._intake.put(Run(run.epoch, messages, list(mids), size_bytes=size_bytes))

    def _put_control(self, kind: str, control: Mapping[str, int | bool | str]) -> None:
        self._intake.put_control(Draft(kind, self._link.epoch, control=control))

    # -- the connection ---------------------------------------------------------------------

    def _make_client(self) -> AnyClient:
        make = BatchClient if self._batched else PlainClient
        client: AnyClient = make(
            self._client_id, self._protocol, self._clock, self._origin, self._deliver
        )
        broker = self._broker
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_queued_messages_set(100)  # probes that the broker does not take
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(ssl.create_default_context(cafile=broker.cafile))
        client.on_socket_open = _send_without_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = WINDOW
            client.connect_async(
                broker.host,
                broker.port,
                self._timers.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        else:
            client.connect_async(broker.host, broker.port, self._timers.keepalive_s)
        return client

    def _attempt(self) -> None:
        self._link.attempting = True
        try:
            if self._client is None:
                self._client = self._make_client()
            self._link.open = True
            self._client.reconnect()
        except (OSError, ValueError) as error:  # refused, unreachable, unknown name, certificate
            self._link.open = False
            self.counters.connection_attempts_failed += 1
            self._link.moved_at = time.monotonic()
            self._back_off(_reason(error))
        finally:
            self._link.attempting = False
            self._link.attempted_at = self._link.round_at = time.monotonic()

    def _back_off(self, trouble: str) -> None:
        """Sets when to try again; one line in the log for a state, not for each try."""
        timers = self._timers
        self._link.backoff_s = min(
            max(self._link.backoff_s * 2, timers.reconnect_first_s), timers.reconnect_max_s
        )
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - so that ingesters do not come in step
        self._link.next_attempt_at = time.monotonic() + self._link.backoff_s * jitter
        if trouble != self._link.trouble:
            self._link.trouble = trouble
            log.warning(
                "broker_away",
                broker=f"{self._broker.host}:{self._broker.port}",
                reason=trouble,
                then="tries again until it answers",
            )

    def _drop_link(self, why: str) -> None:
        """The connection is over, whoever ended it: nothing of its epoch is acknowledged now."""
        was_connected_at, self._link.connected_at = self._link.connected_at, None
        was_linked, self._link.open = self._link.open, False
        self._link.subscribed = False
        self._link.reconnect_asked.clear()
        sock = self._client.socket() if self._client is not None else None
        if isinstance(sock, socket.socket):
            with suppress(OSError):
                sock.close()  # paho notices when it connects again
        now = time.monotonic()
        if was_connected_at is not None:
            if now - was_connected_at >= STEADY_S:
                self._link.backoff_s = 0.0
            down = {"up": False, "session_present": False, "at_ms": self._clock()}
            self._put_control(LINK, down)
        if was_linked and not self._stopping.is_set():
            if was_connected_at is None:
                self.counters.connection_attempts_failed += 1
                self._link.moved_at = now
            self._back_off(why)

    def _on_connect(
        self,
        client: paho.Client,
        _data: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._refuse(str(reason))
            return
        now = time.monotonic()
        self._link.epoch += 1
        self._link.connected_at = now
        self._link.session_present = flags.session_present
        self._probing.next_at = now + self._timers.probe_s
        self._link.trouble = None
        self.counters.connections += 1
        client.drop_out_messages()  # probes of the connection before
        self._put_control(
            LINK, {"up": True, "session_present": flags.session_present, "at_ms": self._clock()}
        )
        wanted = [*self._filters, self._probes.topic]
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            # Nothing of our own comes back through the filters of devices, but the probe does.
            keep = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
            client.subscribe(
                [
                    (
                        name,
                        SubscribeOptions(
                            qos=1, noLocal=name != self._probes.topic, retainHandling=keep
                        ),
                    )
                    for name in wanted
                ]
            )
        else:
            client.subscribe([(name, 1) for name in wanted])
        log.info(
            "broker_connected",
            broker=f"{self._broker.host}:{self._broker.port}",
            mqtt="5" if self._protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1",
            session_present=flags.session_present,
            epoch=self._link.epoch,
        )

    def _refuse(self, reason: str) -> None:
        """The broker said no. MQTT 5 where only 3.1.1 is spoken: the next attempt speaks that."""
        self.counters.connection_attempts_failed += 1
        self._link.moved_at = time.monotonic()
        is_version = reason == "Unsupported protocol version"
        if (
            is_version
            and self._mqtt_chosen == "auto"
            and self._protocol == MQTTProtocolVersion.MQTTv5
        ):
            log.info("broker_speaks_mqtt_3_1_1_only", broker=self._broker.host)
            self._protocol = MQTTProtocolVersion.MQTTv311
            self._link.open = False
            self._client = None
            self._link.next_attempt_at = 0.0
            return
        self._link.open = False
        self._back_off(f"it refused us: {reason}")

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._drop_link(f"the broker ended the connection: {reason}")
        elif str(reason) == "Unspecified error":  # what paho calls a socket that was closed
            self._drop_link("the connection was lost")
        else:
            self._drop_link(f"the connection was given up: {reason}")

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        wanted = (*self._filters, self._probes.topic)
        refused = tuple(
            name for name, reason in zip(wanted, reasons, strict=False) if reason.is_failure
        )
        if refused and refused != self._link.refused:
            log.error(
                "subscription_refused",
                filters=refused,
                then="allow this client to read them in the broker's access rules",
            )
        self._link.refused = refused
        self._link.subscribed = any(name not in refused for name in self._filters)
        self._probing.next_at = time.monotonic()  # what was sent before it has arrived when it has

    def _on_publish(
        self,
        _client: paho.Client,
        _data: object,
        _mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure and not self._probing.denied:
            log.error(
                "probe_forbidden",
                topic=self._probes.topic,
                reason=str(reason),
                then="allow this client to publish there: silence is judged by it",
            )
        self._probing.denied = reason.is_failure

    def _send_probe(self, client: AnyClient) -> None:
        now = time.monotonic()
        if self._probing.first_at is None:
            self._probing.first_at = now
        self._probing.next_at = max(self._probing.next_at + self._timers.probe_s, now)
        client.publish(self._probes.topic, self._probes.next(self._clock()), qos=1)
        self.counters.probes_sent += 1

    def _drain(self) -> None:
        """The end: what was read is committed and acknowledged, or left to the broker."""
        if not self._intake.is_closed:
            self._put_control(STOP, {"at_ms": self._clock()})
            self._intake.close()
        deadline = self._stop_by or time.monotonic()
        while not self._commit_over.is_set() and time.monotonic() < deadline:
            self._round(taking=False)
        self._commit.abandon()
        self._send_acks()
        client = self._client
        if client is None or self._link.connected_at is None:
            return
        while client.want_write() and client.socket() and time.monotonic() < deadline:
            self._poll(client.socket(), select.POLLOUT, 0.1)
            client.loop_write()
        sock = client.socket()
        if isinstance(sock, ssl.SSLSocket) or not isinstance(sock, socket.socket):
            client.disconnect()
            return
        # Closed with unread messages in it, a socket resets the connection, and that may overtake
        # our last acknowledgements: so the end is read, and thrown away, until the broker closes.
        with sock.dup() as rest:
            client.disconnect()
            end = time.monotonic() + LINGER_S
            with suppress(OSError):
                rest.shutdown(socket.SHUT_WR)
                rest.settimeout(0.2)
                while time.monotonic() < end and rest.recv(READ_BYTES):
                    pass


def _first_tried(mqtt: Protocol) -> MQTTProtocolVersion:
    return MQTTProtocolVersion.MQTTv311 if mqtt == "3.1.1" else MQTTProtocolVersion.MQTTv5


def _send_without_delay(_client: paho.Client, _data: object, sock: object) -> None:
    """Acknowledgements and probes are small: held back for each other they cost 40 ms."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:g} s"
    if isinstance(error, socket.gaierror):
        return "its name is unknown"
    return str(error) or type(error).__name__
