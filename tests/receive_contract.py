"""What receive promises over any broker: subclass `ReceiveContract` and give the fixtures.

`server`: a started broker. `mqtt`: the version to speak. `batched`: the fast client or stock paho.
"""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bench.publisher import Connection, publish
from courtyard.clock import now_ms
from devices.journal import (
    DUP,
    LINK,
    MESSAGES,
    OVERSIZE,
    PROBE,
    RETAINED,
    START,
    STOP,
    TICK,
    Raw,
)
from devices.store.journal import Draft, JournalReader
from ingest.broker_url import BrokerAddress
from ingest.receive import Protocol, Receiver, Timers
from tests.brokers import HOST, Mosquitto, Nats
from tests.eventually import eventually
from tests.mqtt_wire import WireClient

WAIT_S = 15.0
TELEMETRY = b"courtyard/v1/rose-garden/gate/rg-gate-01/telemetry"
FILTERS = ("courtyard/v1/+/+/+/+", "other/#")
QUICK = Timers(
    keepalive_s=5,
    probe_s=0.2,
    tick_s=0.5,
    stall_s=8.0,
    reconnect_first_s=0.1,
    reconnect_max_s=0.3,
    commit_retry_max_s=0.05,
)


PATIENT = replace(QUICK, reconnect_first_s=3.0, reconnect_max_s=3.0)  # leaves others some time


@dataclass
class FakeJournal:
    """Keeps what is committed. Can be told to hold commits of messages back, and to fail.

    permits: how many commits of messages may still go in; None: all. held: how many wait.
    """

    drafts: list[Draft] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    failed: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    permits: int | None = None
    held: int = 0

    def commit(self, drafts: Sequence[Draft]) -> list[int]:
        with self.changed:
            if self.fails:
                self.failed += 1
                self.changed.notify_all()
                raise self.fails.pop(0)
            if any(d.kind == MESSAGES for d in drafts) and self.permits is not None:
                self.held += 1
                self.changed.notify_all()
                assert self.changed.wait_for(lambda: self.permits != 0, WAIT_S * 2)
                self.held -= 1
                if self.permits is not None:
                    self.permits -= 1
            self.drafts += drafts
            self.changed.notify_all()
        return []

    def permit(self, commits: int | None) -> None:
        with self.changed:
            self.permits = commits
            self.changed.notify_all()

    def hold(self) -> None:
        self.permit(0)

    def release(self) -> None:
        self.permit(None)

    def wait(self, condition: Callable[["FakeJournal"], object], what: str = "") -> None:
        with self.changed:
            seen = [d.kind for d in self.drafts if d.kind != TICK][-10:]
            assert self.changed.wait_for(lambda: condition(self), WAIT_S), what or seen

    @property
    def raws(self) -> list[Raw]:
        return [raw for draft in self.drafts for raw in draft.messages]

    @property
    def payloads(self) -> list[bytes]:
        return [raw.payload for raw in self.raws]

    def controls(self, kind: str) -> list[Draft]:
        return [draft for draft in self.drafts if draft.kind == kind]


class Edge:
    """A receiver with a journal, as a test wants it; what is still running at its end is stopped.

    port: of the broker; client_id stays the same, so the next receiver has the same MQTT session.
    """

    def __init__(self, port: int, mqtt: Protocol, batched: bool, **address: object) -> None:
        self.port = port
        self.mqtt = mqtt
        self.batched = batched
        self.address = BrokerAddress(HOST, port, **address)  # type: ignore[arg-type]
        self.client_id = f"edge-{random.randrange(1 << 40):x}"
        self.stuck = threading.Event()
        self.running: list[Receiver] = []

    def start(
        self,
        journal: FakeJournal,
        *,
        timers: Timers = QUICK,
        origin: Callable[[bytes], str] = lambda topic: topic.split(b"/")[2].decode(),
        committed: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = now_ms,
        connected: bool = True,
    ) -> Receiver:
        receiver = Receiver(
            self.address,
            journal,
            clock,
            origin,
            FILTERS,
            "contract",
            committed=committed,
            on_stuck=self.stuck.set,
            mqtt=self.mqtt,
            client_id=self.client_id,
            timers=timers,
            batched=self.batched,
        )
        self.running.append(receiver)
        receiver.start()
        if connected:
            caught_up(journal)
        return receiver

    def stop_all(self) -> None:
        for receiver in self.running:
            receiver.stop()


def caught_up(journal: FakeJournal) -> None:
    """Returns when a probe has come back that was sent from now on: all before it has arrived."""
    from_ms = now_ms()
    journal.wait(
        lambda j: any(
            int((probe.control or {})["sent_ms"]) >= from_ms for probe in j.controls(PROBE)
        ),
        "no probe came back",
    )


def send(port: int, payloads: Sequence[bytes], topic: bytes = TELEMETRY, window: int = 50) -> None:
    """Publishes in order over one connection; returns when all have their PUBACK."""
    connection = Connection(HOST, port, f"device-{random.randrange(1 << 40):x}", window)
    publish([connection], iter([(topic, payload) for payload in payloads]))
    connection.close()


def hold_a_batch(
    edge: Edge, journal: FakeJournal, receiver: Receiver, payloads: Sequence[bytes]
) -> None:
    """Returns when all payloads are in one batch whose commit is held back."""
    journal.hold()
    send(edge.port, [b"plug"])  # held alone, so that the others gather behind it
    journal.wait(lambda j: j.held)
    send(edge.port, payloads)
    eventually(lambda: receiver.status().waiting_messages >= len(payloads))
    journal.permit(1)
    journal.wait(lambda j: b"plug" in j.payloads and j.held)


def unplugged(payloads: Sequence[bytes]) -> list[bytes]:
    """Without the plug, whose acknowledgement may have been on its way when the session changed."""
    return [payload for payload in payloads if payload != b"plug"]


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%06d" % n for n in range(first, first + count)]


@pytest.mark.broker
class ReceiveContract:
    SENDS_AGAIN_BY_TIME = False  # whether one of the brokers does, without a reconnect

    @pytest.fixture
    def edge(self, server: Mosquitto | Nats, mqtt: Protocol, batched: bool) -> Iterator[Edge]:
        edge = Edge(server.port, mqtt, batched)
        yield edge
        edge.stop_all()

    @pytest.fixture
    def journal(self) -> Iterator[FakeJournal]:
        journal = FakeJournal()
        yield journal
        journal.release()

    def test_messages_are_journaled_once_and_in_order(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        before_ms = now_ms()
        sent = numbered(3_000)
        send(edge.port, sent)
        journal.wait(lambda j: set(sent) <= set(j.payloads))
        # What nats-server has no answer to in 10 s, on a slow machine, it sends again, and says so.
        first = [raw.payload for raw in journal.raws if not raw.flags & DUP]
        again = len(journal.raws) - len(first)
        assert first == [payload for payload in sent if payload in set(first)]
        assert again == 0 or self.SENDS_AGAIN_BY_TIME, "sent again on one connection"
        raw = next(raw for raw in journal.raws if not raw.flags & DUP)
        assert (raw.topic, raw.flags, raw.origin) == (TELEMETRY, 0, "rose-garden")
        assert before_ms <= raw.received_ms <= now_ms()
        assert {draft.epoch for draft in journal.drafts if draft.messages} == {1}
        assert receiver.counters.messages == 3_000 + again

    def test_what_was_acknowledged_does_not_come_again(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        send(edge.port, numbered(500))
        journal.wait(lambda j: len(j.payloads) >= 500)
        receiver.stop()
        again = FakeJournal()
        edge.start(again)
        assert again.payloads == []

    def test_the_journal_tells_start_link_and_stop(self, edge: Edge, journal: FakeJournal) -> None:
        receiver = edge.start(journal)
        receiver.stop()
        receiver.stop()
        kinds = [d.kind for d in journal.drafts if d.kind not in (PROBE, TICK)]
        assert kinds[:2] == [START, LINK]
        assert kinds[-1] == STOP
        link = journal.controls(LINK)[0]
        assert link.control is not None
        assert (link.control["up"], link.control["session_present"]) == (True, False)

    def test_the_session_is_kept_while_we_are_away(self, edge: Edge, journal: FakeJournal) -> None:
        edge.start(journal).stop()
        sent = numbered(300)
        send(edge.port, sent)
        again = FakeJournal()
        edge.start(again, connected=False)
        again.wait(lambda j: len(j.payloads) >= 300)
        assert again.payloads == sent
        link = again.controls(LINK)[0]
        assert link.control is not None
        assert link.control["session_present"] is True

    def test_nothing_is_acknowledged_before_its_commit(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal, timers=PATIENT)
        hold_a_batch(edge, journal, receiver, numbered(10))
        # whoever takes the session over is given what was not acknowledged
        with WireClient(edge.port, edge.client_id) as other:
            assert other.session_present
            assert unplugged(other.messages_until(b"000009", TELEMETRY)) == numbered(10)
        eventually(lambda: receiver.status().epoch == 2)
        journal.release()
        # back again, with the same messages: the late acknowledgements were not sent
        journal.wait(lambda j: len(unplugged(j.payloads)) >= 20)
        assert journal.payloads[:11] == [b"plug", *numbered(10)]
        assert set(unplugged(journal.payloads[11:])) == set(numbered(10))
        assert {raw.flags for raw in journal.raws[11:]} == {DUP}
        eventually(lambda: receiver.counters.acks_dropped >= 10)

    def test_late_acknowledgements_destroy_nothing_in_a_session_that_is_new(
        self, edge: Edge, journal: FakeJournal, server: Mosquitto | Nats
    ) -> None:
        # packet ids begin at 1 again: an acknowledgement of the old ones would take the new ones
        receiver = edge.start(journal, timers=PATIENT)
        hold_a_batch(edge, journal, receiver, numbered(10))
        server.forget()
        server.start()
        eventually(lambda: receiver.status().epoch == 2 and receiver.status().subscribed)
        send(edge.port, numbered(10, first=100))
        eventually(lambda: receiver.status().waiting_messages >= 10)
        acked = receiver.counters.acks
        journal.permit(1)  # the old batch goes in, the new one is held at its own commit
        journal.wait(lambda j: len(j.payloads) >= 11 and j.held)
        eventually(lambda: receiver.counters.acks_dropped >= 10)
        assert receiver.counters.acks == acked
        with WireClient(edge.port, edge.client_id) as other:
            assert unplugged(other.messages_until(b"000109", TELEMETRY)) == numbered(10, 100)
        journal.release()
        journal.wait(lambda j: set(numbered(10, first=100)) <= set(j.payloads))

    def test_a_commit_that_fails_withholds_acknowledgements_and_resumes_on_the_same_connection(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        with capture_logs() as logs:
            journal.fails = [OSError("no space left on device")] * 5
            send(edge.port, numbered(10))
            journal.wait(lambda j: len(j.payloads) >= 10 and not j.fails)
        assert journal.payloads == numbered(10)
        assert journal.failed == 5
        eventually(lambda: receiver.counters.acks >= 10)
        assert (receiver.counters.connections, receiver.counters.acks_dropped) == (1, 0)
        assert [line["event"] for line in logs].count("journal_commit_failed") == 1

    def test_a_probe_comes_back_behind_what_was_sent_before_it(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        edge.start(journal)
        acked_at_ms: list[int] = []
        for first in range(0, 4_000, 200):
            send(edge.port, numbered(200, first))
            acked_at_ms.append(now_ms())
        caught_up(journal)
        arrived = 0
        probes = 0
        for draft in journal.drafts:
            arrived += len(draft.messages)
            if draft.kind == PROBE:
                assert draft.control is not None
                sent_ms = int(draft.control["sent_ms"])
                before = sum(200 for at_ms in acked_at_ms if at_ms < sent_ms)
                assert arrived >= before, "a probe overtook messages"
                probes += 1
        assert probes >= 3
        assert journal.payloads == numbered(4_000)

    def test_probes_take_no_place_among_the_messages(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        for probe in journal.controls(PROBE):
            assert probe.control is not None
            assert set(probe.control) == {"n", "sent_ms", "at_ms"}
        assert journal.raws == []
        assert receiver.counters.messages == 0
        status = receiver.status()
        assert status.probe_sent_ms is not None
        assert status.probe_sent_ms <= now_ms()

    def test_a_forged_probe_is_dropped_and_counted(self, edge: Edge, journal: FakeJournal) -> None:
        receiver = edge.start(journal)
        forged = b'{"n":99,"sent_ms":1,"secret":"guessed"}'
        with WireClient(edge.port, "device", clean=True) as device:
            device.publish(b"courtyard/v1/_probe/contract", forged)
            device.publish(TELEMETRY, b"behind it")
        journal.wait(lambda j: b"behind it" in j.payloads)
        assert receiver.counters.probes_foreign == 1
        assert journal.payloads == [b"behind it"]
        receiver.stop()
        again = FakeJournal()
        later = edge.start(again)
        assert later.counters.probes_foreign <= 2  # our own last ones; the forged was acknowledged
        assert again.payloads == []

    def test_what_is_sent_to_a_device_arrives_there_and_never_comes_back_as_a_message(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        topic = b"courtyard/v1/jiaogong-xiaoqu/gate/gate/receipt"
        with WireClient(edge.port, "device", clean=True) as device:
            device.subscribe(topic.decode())
            receiver.send([(topic.decode(), b"older"), (topic.decode(), b'{"seq":5}')])
            assert device.messages_until(b'{"seq":5}', topic) == [b'{"seq":5}']
            device.publish(topic, b"and nor does what somebody else sends there")
            device.publish(TELEMETRY, b"behind it")
        journal.wait(lambda j: b"behind it" in j.payloads)
        assert journal.payloads == [b"behind it"]
        assert receiver.counters.sent == 1

    def test_an_oversize_message_becomes_a_stub_and_the_next_one_flows(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        send(edge.port, [b"p" * 65_537, b"q" * 4_000_000, b"r" * 65_536, b"next"])
        journal.wait(lambda j: len(j.payloads) >= 4)
        first, second, third, fourth = journal.raws
        assert (first.flags, second.flags, third.flags) == (OVERSIZE, OVERSIZE, 0)
        assert first.payload.startswith(b"\0courtyard-oversize 65537 ")
        assert second.payload.startswith(b"\0courtyard-oversize 4000000 ")
        assert second.payload.endswith(b"q" * 1024)
        assert (len(third.payload), fourth.payload) == (65_536, b"next")
        assert receiver.counters.oversize == 2

    def test_a_retained_message_is_marked_as_an_old_copy(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        with WireClient(edge.port, "device", clean=True) as device:
            device.publish(TELEMETRY, b"last week", retain=True)
        edge.start(journal)
        with WireClient(edge.port, "device", clean=True) as device:
            device.publish(TELEMETRY, b"now", retain=True)
        journal.wait(lambda j: b"now" in j.payloads)
        flags = {raw.payload: raw.flags for raw in journal.raws}
        assert flags == {b"last week": RETAINED, b"now": 0}

    def test_a_chinese_topic_arrives_byte_for_byte(self, edge: Edge, journal: FakeJournal) -> None:
        edge.start(journal, origin=lambda _topic: "unassigned")
        topic = "other/楼道灯/1号楼".encode()
        send(edge.port, [b"on"], topic)
        journal.wait(lambda j: j.payloads)
        assert journal.raws[0].topic == topic

    def test_functions_that_raise_stop_nothing(self, edge: Edge, journal: FakeJournal) -> None:
        def fails(*_: object) -> str:
            raise RuntimeError("a bug elsewhere")

        with capture_logs():
            receiver = edge.start(journal, origin=fails, committed=fails)  # type: ignore[arg-type]
            send(edge.port, numbered(20))
            journal.wait(lambda j: len(j.payloads) >= 20)
            send(edge.port, numbered(20, 20))
            journal.wait(lambda j: len(j.payloads) >= 40)
        assert {raw.origin for raw in journal.raws} == {"unassigned"}
        assert receiver.counters.connections == 1
        assert receiver.counters.origin_failures >= 40  # it is asked about probes too

    def test_a_clock_that_raises_costs_a_connection_and_no_message(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        broken = threading.Event()
        network = "receive-network"

        def clock() -> int:
            if broken.is_set() and threading.current_thread().name == network:
                broken.clear()
                raise RuntimeError("a bug elsewhere")
            return now_ms()

        with capture_logs():
            receiver = edge.start(journal, clock=clock)
            broken.set()
            send(edge.port, numbered(50))
            journal.wait(lambda j: set(numbered(50)) <= set(j.payloads))
        assert receiver.counters.errors >= 1

    def test_a_broker_that_comes_later_is_found_and_told_about_once(
        self, edge: Edge, journal: FakeJournal, server: Mosquitto | Nats
    ) -> None:
        server.stop()
        with capture_logs() as logs:
            receiver = edge.start(journal, connected=False)
            eventually(lambda: receiver.counters.connection_attempts_failed >= 4)
            server.start()
            caught_up(journal)
        assert [line["event"] for line in logs].count("broker_away") == 1
        send(edge.port, [b"hello"])
        journal.wait(lambda j: j.payloads)

    def test_a_broker_that_restarts_is_found_again_and_the_journal_shows_the_gap(
        self, edge: Edge, journal: FakeJournal, server: Mosquitto | Nats
    ) -> None:
        with capture_logs():
            edge.start(journal)
            server.stop()
            journal.wait(lambda j: len(j.controls(LINK)) >= 2)
            server.start()
            caught_up(journal)
        ups = [d.control["up"] for d in journal.controls(LINK) if d.control is not None]
        assert ups == [True, False, True]
        assert [d.epoch for d in journal.controls(LINK)] == [1, 1, 2]
        send(edge.port, [b"hello"])
        journal.wait(lambda j: j.payloads)

    def test_a_stop_under_load_loses_nothing_and_takes_nothing_twice(
        self, edge: Edge, journal: FakeJournal
    ) -> None:
        receiver = edge.start(journal)
        sent = numbered(20_000)
        load = threading.Thread(target=send, args=(edge.port, sent), daemon=True)
        load.start()
        journal.wait(lambda j: len(j.payloads) > 2_000)
        receiver.stop()
        in_first = len(journal.payloads)
        assert journal.drafts[-1].kind == STOP
        load.join(WAIT_S * 2)
        again = FakeJournal()
        edge.start(again, connected=False)
        again.wait(lambda j: set(sent) <= {*journal.payloads, *j.payloads})
        assert in_first < len(sent)
        assert len(journal.payloads) + len(again.payloads) == len(sent)

    def test_kill_9_loses_nothing_that_the_broker_had_acknowledged(
        self, edge: Edge, tmp_path: Path
    ) -> None:
        path = tmp_path / "journal.db"
        sent = numbered(12_000)
        dice = random.Random(20261127)

        def received() -> int:
            with JournalReader(path) as reader:
                return reader.head().jseq

        process = run_receiver(edge, path)
        load = threading.Thread(target=send, args=(edge.port, sent), daemon=True)
        load.start()
        try:
            for target in (1_500, 4_000, 7_000):
                # somewhere in a batch, wherever the dice fall
                goal = target + dice.randrange(500)
                eventually(lambda goal=goal: received() >= goal, WAIT_S * 2)  # type: ignore[misc]
                end_receiver(process)
                process = run_receiver(edge, path)
            load.join(WAIT_S * 4)
            assert not load.is_alive()
            eventually(lambda: set(sent) <= set(payloads_of(path)), WAIT_S * 2, "messages are lost")
        finally:
            end_receiver(process)


def run_receiver(edge: Edge, path: Path) -> "subprocess.Popen[str]":
    """A receiver in a process of its own, with a real journal; returns when it is subscribed."""
    command = [sys.executable, "-m", "tests.receive_contract", str(path), str(edge.port)]
    command += [edge.mqtt, edge.client_id, "batched" if edge.batched else "plain"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "subscribed\n":
        assert line, "the receiver ended before it was subscribed"
    return process


def end_receiver(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(WAIT_S)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def payloads_of(path: Path) -> Iterator[bytes]:
    with JournalReader(path) as reader:
        at = 0
        while records := reader.read(at, 1_000):
            for record in records:
                assert not record.corrupt
                yield from (raw.payload for raw in record.messages)
            at = records[-1].id


def _run_until_killed() -> None:
    """A receiver with a real journal, in a process of its own, for tests that kill it."""
    from devices.store.journal import JournalWriter

    path, port, mqtt, client_id, how = sys.argv[1:]
    receiver = Receiver(
        BrokerAddress(HOST, int(port)),
        JournalWriter(Path(path), now_ms),
        now_ms,
        lambda topic: topic.split(b"/")[2].decode(),
        FILTERS,
        "contract",
        committed=lambda: None,
        on_stuck=lambda: os._exit(3),
        mqtt=mqtt,  # type: ignore[arg-type]
        client_id=client_id,
        timers=QUICK,
        batched=how == "batched",
    )
    receiver.start()
    eventually(lambda: receiver.status().subscribed)
    print("subscribed", flush=True)
    sys.stdin.read()  # ends with the test at the latest


if __name__ == "__main__":
    _run_until_killed()
