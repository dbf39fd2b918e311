"""What receive does at its edges, against a broker that follows a script."""

import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from courtyard.clock import now_ms
from devices.journal import CLOCK, LINK, PROBE, TICK
from ingest.broker_url import BadBrokerUrl, BrokerAddress
from ingest.mqtt_clients import PAHO_FINGERPRINT, fingerprint
from ingest.receive import Protocol, Receiver
from tests.eventually import eventually
from tests.mqtt_wire import (
    CONNACK,
    CONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    Packet,
    ScriptedBroker,
    Wire,
    accept_session,
    packet,
    publish,
)
from tests.receive_contract import FILTERS, QUICK, TELEMETRY, Edge, FakeJournal, numbered

Start = Callable[..., Receiver]
IMPATIENT = replace(QUICK, stall_s=0.8, tick_s=0.2, probe_s=0.1)


@pytest.fixture
def journal() -> Iterator[FakeJournal]:
    journal = FakeJournal()
    yield journal
    journal.release()


@pytest.fixture
def edges() -> Iterator[list[Edge]]:
    made: list[Edge] = []
    yield made
    for edge in made:
        edge.stop_all()


@pytest.fixture
def new_edge(edges: list[Edge], journal: FakeJournal) -> Callable[..., Edge]:
    def make(port: int, mqtt: Protocol = "5", *, batched: bool = True, **address: object) -> Edge:
        edges.append(Edge(port, mqtt, batched, **address))
        return edges[-1]

    return make


def answer_all(wire: Wire, *, mqtt5: bool = True, echo: bool = True) -> None:
    """What a broker does afterwards: answers pings, takes probes and gives them back."""
    mid = 60_000
    while True:
        got = wire.receive()
        if got.type == PINGREQ:
            wire.send(packet(PINGRESP))
        elif got.type == PUBLISH:
            size = int.from_bytes(got.body[:2], "big")
            wire.send(packet(PUBACK, got.body[2 + size : 4 + size]))
            if echo:
                mid += 1
                payload = got.body[4 + size + mqtt5 :]
                wire.send(publish(got.body[2 : 2 + size], payload, mid, mqtt5=mqtt5))


def test_mqtt_5_asks_for_a_session_that_lasts_and_a_wide_window(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    asked: list[Packet] = []

    def script(wire: Wire) -> None:
        asked.append(wire.expect(CONNECT))
        wire.send(packet(CONNACK, b"\0\0\0"))
        subscribe = wire.expect(SUBSCRIBE)
        asked.append(subscribe)
        wire.send(packet(SUBACK, subscribe.body[:2] + b"\0\1\1\1"))
        answer_all(wire)

    with ScriptedBroker(script) as broker:
        edge = new_edge(broker.port)
        edge.start(journal)
        edge.stop_all()
    connect, subscribe = asked
    assert connect.body[:8] == b"\0\4MQTT\5\0"  # version 5; no clean start, no will
    assert int.from_bytes(connect.body[8:10], "big") == QUICK.keepalive_s
    properties = connect.body[11 : 11 + connect.body[10]]
    assert b"\x11" + (24 * 3600).to_bytes(4, "big") in properties  # session expiry interval
    assert b"\x21" + (1_000).to_bytes(2, "big") in properties  # receive maximum
    assert b"\x27" not in properties  # maximum packet size: the broker would drop in silence
    wanted = b"\0"
    # options: QoS 1, retain handling 1 (retained messages for a new subscription only), and of what
    # we send ourselves only the probe
    names = [(name, b"\x15") for name in FILTERS] + [("courtyard/v1/_probe/contract", b"\x11")]
    for name, options in names:
        wanted += len(name).to_bytes(2, "big") + name.encode() + options
    assert subscribe.body[2:] == wanted


def test_mqtt_3_1_1_asks_for_a_session_that_lasts(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    asked: list[Packet] = []

    def script(wire: Wire) -> None:
        asked.append(accept_session(wire, mqtt5=False))
        answer_all(wire, mqtt5=False)

    with ScriptedBroker(script) as broker:
        edge = new_edge(broker.port, "3.1.1", username="ingest", password="s3cret")
        edge.start(journal)
        edge.stop_all()
    assert asked[0].body[:8] == b"\0\4MQTT\4\xc0"  # user name and password; no clean session
    assert asked[0].body.endswith(b"\0\6ingest\0\6s3cret")


def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    versions: list[int] = []

    def script(wire: Wire) -> None:
        connect = wire.expect(CONNECT)
        versions.append(connect.body[6])
        if connect.body[6] != 4:
            wire.send(packet(CONNACK, b"\0\1"))  # unacceptable protocol version, as NATS says it
            return
        wire.send(packet(CONNACK, b"\0\0"))
        subscribe = wire.expect(SUBSCRIBE)
        wire.send(packet(SUBACK, subscribe.body[:2] + b"\1\1\1"))
        answer_all(wire, mqtt5=False)

    with ScriptedBroker(script) as broker:
        receiver = new_edge(broker.port, "auto").start(journal)
        assert versions == [5, 4]
        assert receiver.status().mqtt == "3.1.1"


def test_a_refused_login_is_one_line_and_tried_again(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    def script(wire: Wire) -> None:
        wire.expect(CONNECT)
        wire.send(packet(CONNACK, b"\0\x86\0"))  # bad user name or password

    with ScriptedBroker(script) as broker, capture_logs() as logs:
        receiver = new_edge(broker.port).start(journal, connected=False)
        eventually(lambda: receiver.counters.connection_attempts_failed >= 3)
        status = receiver.status()
    (line,) = [line for line in logs if line["event"] == "broker_away"]
    assert line["reason"] == "it refused us: Bad user name or password"
    assert (status.connected, status.subscribed, status.epoch) == (False, False, 0)


def test_a_refused_subscription_is_named(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    def script(wire: Wire) -> None:
        wire.expect(CONNECT)
        wire.send(packet(CONNACK, b"\0\0\0"))
        subscribe = wire.expect(SUBSCRIBE)
        wire.send(packet(SUBACK, subscribe.body[:2] + b"\0\1\x87\1"))  # the second: not authorized
        answer_all(wire)

    with ScriptedBroker(script) as broker, capture_logs() as logs:
        receiver = new_edge(broker.port).start(journal)
        assert receiver.status().refused == (FILTERS[1],)
        assert receiver.status().subscribed
    assert [line["filters"] for line in logs if line["event"] == "subscription_refused"] == [
        (FILTERS[1],)
    ]


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "plain"])
def test_a_topic_that_is_not_utf_8_survives_as_bytes(
    new_edge: Callable[..., Edge], journal: FakeJournal, batched: bool
) -> None:
    def script(wire: Wire) -> None:
        accept_session(wire)
        wire.send(publish(b"other/\xff\xfe", b"first", 1, mqtt5=True))
        wire.send(publish(TELEMETRY, b"second", 2, mqtt5=True))
        answer_all(wire)

    with ScriptedBroker(script) as broker:
        new_edge(broker.port, batched=batched).start(journal, origin=lambda _topic: "x")
        assert [(raw.topic, raw.payload) for raw in journal.raws] == [
            (b"other/\xff\xfe", b"first"),
            (TELEMETRY, b"second"),
        ]


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "plain"])
def test_acknowledgements_come_in_the_order_of_the_messages(
    new_edge: Callable[..., Edge], journal: FakeJournal, batched: bool
) -> None:
    acked: list[int] = []
    done = threading.Event()

    def script(wire: Wire) -> None:
        accept_session(wire)
        wire.send(
            b"".join(
                publish(TELEMETRY, b"%d" % mid, mid, mqtt5=True)
                for mid in (*range(500, 0, -1), 501)
            )
        )
        wire.send(publish(TELEMETRY, b"qos 0", mqtt5=True))
        while len(acked) < 501:
            acked.append(int.from_bytes(wire.expect(PUBACK).body[:2], "big"))
        done.set()
        answer_all(wire)

    with ScriptedBroker(script) as broker:
        new_edge(broker.port, batched=batched).start(journal, connected=False)
        assert done.wait(10)
        journal.wait(lambda j: len(j.payloads) == 502)
    assert acked == [*range(500, 0, -1), 501]


def test_a_connection_that_sends_nonsense_is_left_and_made_anew(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    served = iter([b"\x34\x05\x00\x01a\x00\x01", b"\x30\x02\xff\xff", b"\xf0\x00", b""])

    def script(wire: Wire) -> None:
        accept_session(wire, session_present=True)
        wire.send(next(served))
        answer_all(wire)

    with ScriptedBroker(script) as broker, capture_logs():
        receiver = new_edge(broker.port).start(journal)
        assert receiver.counters.connections == 4
        ups = [d.control["up"] for d in journal.controls(LINK) if d.control is not None]
    assert ups == [True, False] * 3 + [True]


def test_silence_on_a_standing_connection_costs_the_connection_and_then_the_process(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    def script(wire: Wire) -> None:
        accept_session(wire)
        answer_all(wire, echo=False)  # alive for keepalive, deaf for everything else

    with ScriptedBroker(script) as broker, capture_logs() as logs:
        edge = new_edge(broker.port)
        receiver = edge.start(journal, timers=IMPATIENT, connected=False)
        assert edge.stuck.wait(10)
        assert receiver.counters.connections == 2
        edge.stop_all()
    assert [line["then"] for line in logs if line["event"] == "receive_stalled"] == [
        "reconnect",
        "stuck",
    ]


def test_a_network_thread_that_hangs_costs_the_process(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    released = threading.Event()

    def origin(_topic: bytes) -> str:
        released.wait(20)
        return "x"

    def script(wire: Wire) -> None:
        accept_session(wire)
        wire.send(publish(TELEMETRY, b"hello", 1, mqtt5=True))
        answer_all(wire)

    with ScriptedBroker(script) as broker, capture_logs():
        edge = new_edge(broker.port)
        edge.start(journal, timers=replace(QUICK, wedged_s=0.5), origin=origin, connected=False)
        assert edge.stuck.wait(10)
        released.set()
        edge.stop_all()


def test_a_broker_that_forbids_the_probe_is_no_stall_while_messages_came(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    def script(wire: Wire) -> None:
        accept_session(wire)
        wire.send(publish(TELEMETRY, b"hello", 1, mqtt5=True))
        answer_all(wire, echo=False)

    with ScriptedBroker(script) as broker:
        edge = new_edge(broker.port)
        receiver = edge.start(journal, timers=IMPATIENT, connected=False)
        eventually(lambda: receiver.status().probe_forbidden)
        ticks = len(journal.controls(TICK))
        journal.wait(lambda j: len(j.controls(TICK)) > ticks + 10)  # more than two stall times
        assert (receiver.counters.stalls, receiver.counters.connections) == (0, 1)
        assert not edge.stuck.is_set()


def test_a_probe_that_the_broker_denies_is_told_once(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    denied = threading.Semaphore(0)

    def script(wire: Wire) -> None:
        accept_session(wire)
        while True:
            got = wire.expect(PUBLISH)
            size = int.from_bytes(got.body[:2], "big")
            wire.send(packet(PUBACK, got.body[2 + size : 4 + size] + b"\x87\0"))  # not authorized
            denied.release()

    with ScriptedBroker(script) as broker, capture_logs() as logs:
        edge = new_edge(broker.port)
        receiver = edge.start(journal, timers=IMPATIENT, connected=False)
        for _ in range(3):
            assert denied.acquire(timeout=10)
        eventually(lambda: receiver.status().probe_forbidden)
    assert [line["event"] for line in logs].count("probe_forbidden") == 1


def test_a_quiet_connection_is_kept_by_pings(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    pings = threading.Semaphore(0)

    def script(wire: Wire) -> None:
        accept_session(wire)
        while True:
            wire.expect(PINGREQ)
            pings.release()
            wire.send(packet(PINGRESP))

    with ScriptedBroker(script) as broker:
        timers = replace(QUICK, keepalive_s=1, probe_s=60, stall_s=60)
        receiver = new_edge(broker.port).start(journal, timers=timers, connected=False)
        for _ in range(3):
            assert pings.acquire(timeout=10)
        assert receiver.counters.connections == 1


def test_a_broker_that_does_not_answer_pings_is_left(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    def script(wire: Wire) -> None:
        accept_session(wire)
        while True:
            wire.receive()

    with ScriptedBroker(script) as broker, capture_logs():
        timers = replace(QUICK, keepalive_s=1, probe_s=60, stall_s=60)
        receiver = new_edge(broker.port).start(journal, timers=timers, connected=False)
        eventually(lambda: receiver.counters.connections >= 2)


def test_when_the_queue_is_full_reading_stops_and_nothing_is_dropped(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    # QoS 0 is not held back by the window, only by not reading it
    sent = numbered(60_000)
    written = threading.Event()

    def script(wire: Wire) -> None:
        accept_session(wire)
        padding = b"." * 500
        for at in range(0, len(sent), 100):
            wire.send(
                b"".join(publish(TELEMETRY, n + padding, mqtt5=True) for n in sent[at : at + 100])
            )
        written.set()
        answer_all(wire)

    with ScriptedBroker(script) as broker:
        journal.hold()
        receiver = new_edge(broker.port).start(journal, connected=False)
        eventually(lambda: receiver.status().waiting_messages >= 4_000)
        assert not written.wait(1.5)  # 30 MB do not fit into the sockets in between
        assert receiver.status().waiting_messages < 6_000
        journal.release()
        assert written.wait(20)
        journal.wait(lambda j: len(j.payloads) >= len(sent))
        assert [payload[:6] for payload in journal.payloads] == sent
        assert receiver.counters.connections == 1


def test_a_clock_that_steps_is_a_record(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    ahead_ms = [0]

    def script(wire: Wire) -> None:
        accept_session(wire)
        answer_all(wire)

    with ScriptedBroker(script) as broker, capture_logs():
        receiver = new_edge(broker.port).start(journal, clock=lambda: now_ms() + ahead_ms[0])
        journal.wait(lambda j: j.controls(TICK))
        ahead_ms[0] = 3_600_000
        journal.wait(lambda j: j.controls(CLOCK))
        ahead_ms[0] = 0
        journal.wait(lambda j: len(j.controls(CLOCK)) >= 2)
        assert receiver.counters.clock_steps == 2
    steps = [d.control["step_s"] for d in journal.controls(CLOCK) if d.control is not None]
    assert steps == [3_600, -3_600]


def test_ticks_come_without_any_broker(new_edge: Callable[..., Edge], journal: FakeJournal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with capture_logs():
        new_edge(port).start(journal, timers=IMPATIENT, connected=False)
        journal.wait(lambda j: len(j.controls(TICK)) >= 3)
    assert not journal.controls(LINK)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1, both in one file, made on the spot."""
    path = tmp_path / "localhost.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-keyout", str(path), "-out", str(path.with_suffix(".crt"))],
            check=True,
            capture_output=True,
            timeout=30,
        )
    except FileNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("openssl is not installed: apt-get install openssl")
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "plain"])
def test_over_tls_nothing_stays_behind_in_the_tls_layer(
    new_edge: Callable[..., Edge], journal: FakeJournal, certificate: Path, batched: bool
) -> None:
    # many messages in each record: what OpenSSL has decrypted does not wake a poll on the socket
    sent = numbered(2_000)
    acked: list[bytes] = []
    done = threading.Event()

    def script(wire: Wire) -> None:
        accept_session(wire)
        packets = [publish(TELEMETRY, n, i + 1, mqtt5=True) for i, n in enumerate(sent)]
        wire.send(b"".join(packets))
        while len(acked) < len(sent):
            acked.append(wire.expect(PUBACK).body)
        done.set()
        answer_all(wire)

    with ScriptedBroker(script, tls_server(certificate)) as broker:
        edge = new_edge(broker.port, batched=batched, tls=True, cafile=str(certificate))
        edge.start(journal, timers=replace(QUICK, probe_s=60, stall_s=60), connected=False)
        assert done.wait(10)
        assert journal.payloads == sent
        edge.stop_all()


# paho leaves a socket whose handshake failed to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_that_nobody_vouches_for_is_refused(
    new_edge: Callable[..., Edge], journal: FakeJournal, certificate: Path
) -> None:
    def script(wire: Wire) -> None:
        accept_session(wire)

    with ScriptedBroker(script, tls_server(certificate)) as broker, capture_logs() as logs:
        receiver = new_edge(broker.port, tls=True).start(journal, connected=False)
        eventually(lambda: receiver.counters.connection_attempts_failed >= 2)
    (line,) = [line for line in logs if line["event"] == "broker_away"]
    assert re.search("certificate verify failed", line["reason"])


def test_a_probe_is_sent_as_soon_as_we_are_subscribed(
    new_edge: Callable[..., Edge], journal: FakeJournal
) -> None:
    def script(wire: Wire) -> None:
        accept_session(wire)
        answer_all(wire)

    with ScriptedBroker(script) as broker:
        timers = replace(QUICK, probe_s=60, stall_s=100)
        new_edge(broker.port).start(journal, timers=timers, connected=False)
        journal.wait(lambda j: j.controls(PROBE))


def test_the_installed_paho_is_the_one_that_the_fast_client_was_written_for() -> None:
    assert fingerprint() == PAHO_FINGERPRINT


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://broker", BrokerAddress("broker")),
        ("mqtt://broker:1884/", BrokerAddress("broker", 1884)),
        ("mqtts://broker", BrokerAddress("broker", 8883, tls=True)),
        ("mqtt://in:p%40ss@[::1]:99", BrokerAddress("::1", 99, "in", "p@ss")),
    ],
)
def test_a_broker_is_named_by_a_url(url: str, address: BrokerAddress) -> None:
    assert BrokerAddress.from_url(url) == address


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("broker:1883", "mqtt://"),
        ("http://broker", "http://"),
        ("mqtt://", "no host"),
        ("mqtt://broker:x", "port"),
        ("mqtt://broker:99999", "port"),
        ("mqtt://broker/topic", "topics"),
    ],
)
def test_a_bad_url_says_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(BadBrokerUrl, match=says):
        BrokerAddress.from_url(url)


def test_a_password_is_not_in_the_text_of_an_address() -> None:
    assert "s3cret" not in repr(BrokerAddress.from_url("mqtt://ingest:s3cret@broker"))
