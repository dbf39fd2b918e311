"""A pipeline that dies where it is told, and what must then be true of every message.

    rig.kill("R6")    # a process dies there, another one goes on: nothing is lost, nothing is twice
    rig.fail("J3")    # what may fail there fails, and the process goes on

The history is written in the native format and in Tasmota's by hand, and what it says is kept
beside it: no code of ingest takes part in what is expected. What the judge makes of it is compared
with an undisturbed run of the same messages. COURTYARD_TEST_SEED says at which pass a point acts.
"""

import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
from sqlalchemy import Connection, Engine, func, select

from courtyard.clock import now_ms
from courtyard.registry import import_registry
from courtyard.settings import load_settings
from devices.catalogue import rules_for
from devices.credentials import Seal
from devices.credentials import unpack as unpack_hashes
from devices.faults import PLATFORM
from devices.kinds import KINDS
from devices.store.accounts import Forwarded
from devices.store.database import open_database, reading, upgrade
from devices.store.failpoints import VARIABLE
from devices.store.journal import JournalError, JournalReader
from devices.store.registry import load as load_registry
from devices.store.schema import (
    accounts,
    cursors,
    device_state,
    devices,
    fault_events,
    faults,
    quarantine,
    sessions,
    usage_credentials,
    usage_hours,
)
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import SeriesQuery
from ingest.adapters import ADAPTERS
from ingest.judge.memory import DeviceMemory, unpack
from ingest.judge.plan import plans
from tests import fake_influxdb, postgres
from tests.brokers import HOST, SERVERS, Mosquitto, Nats, free_port
from tests.e2e.system import BROKER, a_registry
from tests.eventually import eventually
from tests.fake_influxdb import FakeInfluxDB
from tests.mqtt_wire import PUBACK, WireClient, publish
from tests.nursery import Nursery, Process

PLANS = plans(rules_for, KINDS)
SEED = int(os.environ.get("COURTYARD_TEST_SEED", "1"))
SECRET = "a key for tests alone"
SEAL = Seal(SECRET.encode())
PLACES = ("lvyun-xiaoqu", "xiangyunli")
RATE_PER_S = 400.0
SLOWLY, SLOW_S = 80, 0.1
DEATH_S = 60.0  # two cores, many tests
SETTLED_S = 60.0

Scalar = float | int | bool | str
Key = tuple[str, str, str, int]  # measurement, device, quantity, event time in ms


@dataclass
class History:
    """Messages in the order in which they are sent, and what they say.

    points: what the telemetry store must hold. bad: SHA-256 of the payloads that nobody can use.
    """

    messages: list[tuple[bytes, bytes]] = field(default_factory=list)
    points: dict[Key, Scalar] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)

    @property
    def good(self) -> int:
        return len(self.messages) - len(self.bad)


# What `a_history` does to each compound, as an electrician would say it: (code, state at the end).
FAULTS = {
    ("GATE_TAMPER", "closed"),
    ("GATE_DURESS", "open"),
    ("SHED_SMOKE", "cleared"),
}
SESSIONS = {"closed": 2, "open": 1}  # of each compound
REFUSED = ("lamp", "ambient_lux")  # told once by each compound, in a message of its own


class _Teller:
    """Writes the messages of one compound."""

    def __init__(self, history: History, place: str) -> None:
        self._history = history
        self._place = place
        self._seq: Counter[str] = Counter()
        self._at: list[tuple[int, bytes, bytes]] = []

    def reading(
        self,
        at_ms: int,
        kind: str,
        device: str,
        values: Mapping[str, Scalar],
        ports: Mapping[int, Mapping[str, Scalar]] | None = None,
    ) -> None:
        body: dict[str, Any] = {"values": dict(values)}
        self._expect(kind, device, at_ms, values)
        if ports:
            body["ports"] = {str(number): dict(of) for number, of in ports.items()}
            for number, of in ports.items():
                self._expect("port", f"{device}-p{number:02d}", at_ms, of)
        self._send(at_ms, kind, device, "telemetry", body)

    def event(self, at_ms: int, kind: str, device: str, name: str, **fields: Scalar) -> None:
        expected = {"type": name, **fields}
        if "credential_hash" in fields:
            expected["credential_hash"] = SEAL(self._place, str(fields["credential_hash"]))
        if name.startswith("session_"):  # a shed tells for its socket
            self._expect("port_event", f"{device}-p{fields['port_no']:02d}", at_ms, expected)
        else:
            self._expect(f"{kind}_event", device, at_ms, expected)
        self._send(at_ms, kind, device, "event", {"event": name, **fields})

    def tasmota(self, at_ms: int, name: str, device: str, power_w: int, total_kwh: float) -> None:
        """A meter that tells its local time, to the second, and no number."""
        local = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(hours=8)
        energy = {"Total": total_kwh, "Power": power_w, "Voltage": 227}
        body = {"Time": local.strftime("%Y-%m-%dT%H:%M:%S"), "ENERGY": energy}
        said = {"power_w": power_w, "energy_kwh": total_kwh, "voltage_v": 227}
        self._expect("lamp", device, at_ms, said)
        self._at.append((at_ms, f"tele/{name}/SENSOR".encode(), json.dumps(body).encode()))

    def bad(self, at_ms: int, topic: str, payload: bytes) -> None:
        self._history.bad.add(_hash(payload))
        self._at.append((at_ms, topic.encode(), payload))

    def messages(self) -> list[tuple[int, bytes, bytes]]:
        return self._at

    def _send(
        self, at_ms: int, kind: str, device: str, channel: str, body: Mapping[str, Any]
    ) -> None:
        seq = self._seq[device]
        self._seq[device] += 1
        topic = f"courtyard/v1/{self._place}/{kind}/{device}/{channel}"
        payload = json.dumps({"ts": at_ms, "boot": 3, "seq": seq, **body})
        self._at.append((at_ms, topic.encode(), payload.encode()))

    def _expect(
        self, measurement: str, device: str, at_ms: int, values: Mapping[str, Scalar]
    ) -> None:
        for name, value in values.items():
            self._history.points[measurement, device, name, at_ms] = value


CARDS = tuple(f"plain-card-{n}" for n in range(7))  # of those who pass


def a_history(base_ms: int, padded: int = 0) -> History:
    """Ten minutes of two compounds: a tamper alarm that ends, a duress, smoke that is over, two
    charging sessions that end and one that goes on, people at the gates, lamps, three that nobody
    can read. padded: how many bytes the others are blown up to, with white space.
    """
    history = History()
    base_ms -= base_ms % 1000
    told: list[tuple[int, bytes, bytes]] = []
    for n, place in enumerate(PLACES):
        teller = _Teller(history, place)
        _tell(teller, place, n, base_ms)
        told += teller.messages()
    told.sort(key=lambda one: one[0])
    history.messages = [(topic, payload) for _, topic, payload in told]
    if padded:
        history.messages = [
            (topic, payload if _hash(payload) in history.bad else payload.ljust(padded))
            for topic, payload in history.messages
        ]
    return history


def _tell(teller: _Teller, place: str, n: int, base_ms: int) -> None:
    gate, other, shed = f"{place}-gate-1", f"{place}-gate-2", f"{place}-shed-1"
    for step in range(20):
        at_ms = base_ms + step * 30_000 + n * 7
        tampered = 5 <= step < 9
        teller.reading(
            at_ms + 101, "gate", gate, {"board_temp_c": 30 + step % 4, "tamper": tampered}
        )
        teller.reading(at_ms + 203, "gate", other, {"board_temp_c": 31.5, "door_state": "closed"})
        teller.event(
            at_ms + 5_307,
            "gate",
            gate,
            "access",
            result="granted" if step % 5 else "denied",
            method="card",
            direction="in",
            credential_hash=CARDS[step % len(CARDS)],
        )
        smoke = 6 <= step < 10
        teller.reading(
            at_ms + 411,
            "shed",
            shed,
            {"voltage_v": 228.5, "board_temp_c": 33, "smoke": smoke},
            {
                number: {"port_status": "in_use", "power_w": 150 + number * 10 + step % 3}
                for number in _charging(step)
            },
        )
        teller.reading(
            at_ms + 513,
            "lamp",
            f"{place}-lamp-1",
            {"switch_state": "on", "power_w": 48.5, "energy_kwh": 100 + step / 100},
        )
        teller.tasmota(
            at_ms - at_ms % 1000 + 9_000, f"lamps_7_{n}", f"{place}-lamp-2", 90, 6 + step / 100
        )
    teller.event(base_ms + 250_017 + n, "gate", other, "duress")
    teller.reading(base_ms + 45_519 + n, "lamp", f"{place}-lamp-1", {"ambient_lux": 12.5})
    for number, begins, ends in ((1, 2, 12), (2, 4, 17), (3, 6, None)):
        order = str(1000 + number)
        start_ms = base_ms + begins * 30_000 - 2_000 + number
        teller.event(
            start_ms, "shed", shed, "session_start", port_no=number, order=order, mode="full"
        )
        if ends is not None:
            end_ms = base_ms + ends * 30_000 - 2_000 + number
            teller.event(
                end_ms,
                "shed",
                shed,
                "session_end",
                port_no=number,
                order=order,
                session_s=(end_ms - start_ms) // 1000,
                session_energy_kwh=_drawn_kwh(number, start_ms, end_ms),
                session_fee_fen=33,
                stop_reason="full",
            )
    topic = f"courtyard/v1/{place}/gate"
    teller.bad(base_ms + 100_000 + n, f"{topic}/{place}-gate-77/telemetry", b'{"values": {}}%d' % n)
    teller.bad(base_ms + 300_000 + n, f"{topic}/{gate}/telemetry", b'{"values": %d' % n)
    teller.bad(base_ms + 500_000 + n, f"{topic}/{gate}/telemetry", b'{"value": {"x": %d}}' % n)


def _drawn_kwh(number: int, start_ms: int, end_ms: int) -> float:
    """What a session draws at the power that its socket reports, to the meter's 0.01 kWh."""
    return round((151 + number * 10) * (end_ms - start_ms) / 3.6e9, 2)


def _charging(step: int) -> list[int]:
    return [
        number
        for number, begins, ends in ((1, 2, 12), (2, 4, 17), (3, 6, 99))
        if begins <= step < ends
    ]


def _hash(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


class Publisher:
    """Sends messages at QoS 1 over one raw connection, and knows which of them got a PUBACK.

    The last ones go out slowly until `finish` is called: where the machine is busy, so much comes
    in one piece that a point would not be passed as often as it should.
    """

    def __init__(
        self, port: int, messages: Sequence[tuple[bytes, bytes]], rate_per_s: float = RATE_PER_S
    ) -> None:
        self.acked: set[int] = set()  # by their place in `messages`
        self._messages = messages
        self._hurry = threading.Event()
        self._pause_s = 1 / rate_per_s
        self._client = WireClient(port, f"history-{free_port()}", clean=True)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._send, self._listen)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._client.close()

    def finish(self) -> None:
        """Returns when each message has its PUBACK."""
        self._hurry.set()
        for thread in self._threads:
            thread.join(30.0)
        self.close()
        assert len(self.acked) == len(self._messages), "the broker did not take all messages"

    def _send(self) -> None:
        pace = threading.Event()
        for number, (topic, payload) in enumerate(self._messages, 1):
            self._client.send(publish(topic, payload, number))
            is_late = number > len(self._messages) - SLOWLY
            (self._hurry if is_late else pace).wait(SLOW_S if is_late else self._pause_s)

    def _listen(self) -> None:
        with suppress(OSError, EOFError):
            while len(self.acked) < len(self._messages):
                got = self._client.expect(PUBACK)
                self.acked.add(int.from_bytes(got.body[:2], "big") - 1)


@dataclass(frozen=True)
class Outcome:
    """What became of a history, without what a run has of its own (ids of rows, receive times).

    platform: codes of our own troubles. They are not made of messages, so they are not compared.
    """

    faults: list[dict[str, Any]]
    platform: set[str]
    events: list[tuple[Any, ...]]
    sessions: list[dict[str, Any]]
    usage: dict[tuple[str, int], tuple[int, dict[str, Any]]]
    people: dict[tuple[str, int], bytes]


class Pipeline:
    """The stores of one `courtyard ingest`, and its processes."""

    def __init__(
        self,
        folder: Path,
        nursery: Nursery,
        broker_port: int,
        database_url: str,
        **more: str,
    ) -> None:
        self.folder = folder
        self.broker_port = broker_port
        self._nursery = nursery
        self._database_url = database_url
        self._lives = 0
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")
        }
        self.environ |= {
            "COURTYARD_DATA_DIR": str(folder / "data"),
            "COURTYARD_BROKER_URL": f"mqtt://{HOST}:{broker_port}",
            "COURTYARD_BROKER_MQTT": os.environ.get("COURTYARD_TEST_MQTT", "auto"),
            "COURTYARD_DATABASE_URL": database_url,
            "COURTYARD_METRICS_PORT": str(free_port()),
            "COURTYARD_SECRET_KEY": SECRET,
            "COURTYARD_LOG": "json",
            **more,
        }

    @property
    def client_id(self) -> str:
        return f"courtyard-{hmac.digest(SECRET.encode(), b'ingest', 'sha256').hex()[:16]}"

    @property
    def journal_path(self) -> Path:
        return self.folder / "data" / "journal.db"

    def metric(self, name: str) -> float:
        """What ingest tells Prometheus under this name, which has no labels."""
        port = self.environ["COURTYARD_METRICS_PORT"]
        with urlopen(f"http://{HOST}:{port}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.rpartition(" ")[2])
        raise AssertionError(f"there is no {name}")

    def received(self) -> int:
        """How many messages are in the journal."""
        with JournalReader(self.journal_path) as reader:
            return reader.head().jseq

    def make_session(self) -> None:
        """The broker keeps for ingest what comes from now on, as it does after a first start."""
        with WireClient(self.broker_port, self.client_id) as client:
            for adapter in ADAPTERS.values():
                for name in adapter.filters:
                    client.subscribe(name)

    def start(self, failpoints: str = "", *argv: str) -> Process:
        """A process of ours, `ingest` if nothing else is said. failpoints: what is armed in it."""
        self._lives += 1
        armed = {VARIABLE: failpoints} if failpoints else {}
        log = self.folder / f"process-{self._lives}.log"
        return self._nursery.start(argv or ["ingest"], self.environ | armed, log)

    @contextmanager
    def database(self) -> Iterator[Engine]:
        engine = open_database(self._database_url)
        try:
            yield engine
        finally:
            engine.dispose()

    def settle(self, history: History, ingest: Process) -> None:
        """Returns when everything that was published is judged and forwarded."""
        wanted = (0, 0, history.good, len(history.bad))
        seen: list[tuple[int, int, int, int] | None] = []

        def look() -> bool:
            assert ingest.wait(0.0) is None, f"ingest ended:\n{ingest.said()[-3000:]}"
            seen.append(self._standing(engine))
            return seen[-1] == wanted

        with self.database() as engine:
            deadline_s = time.monotonic() + SETTLED_S
            while not look():
                assert time.monotonic() < deadline_s, (
                    f"(not judged, not forwarded, stored, refused) is {seen[-1]}, not {wanted}"
                )
                time.sleep(0.05)  # there is no event to wait for: it is another process

    def _standing(self, engine: Engine) -> tuple[int, int, int, int] | None:
        """(not judged, not forwarded, stored, refused) messages; None before there is a journal."""
        try:
            head = self.received()
        except JournalError:
            return None
        with reading(engine) as connection:
            rows = connection.execute(select(cursors.c.name, cursors.c.jseq))
            at = {row.name: row.jseq for row in rows}
            stored = connection.scalar(
                select(func.sum(accounts.c.count)).where(accounts.c.outcome == "stored")
            )
            refused = connection.scalar(select(func.count(quarantine.c.sha256.distinct())))
        return (
            head - at.get("judge", 0),
            head - at.get("forward", 0),
            int(stored or 0),
            refused or 0,
        )

    def check_accounts(self, history: History) -> None:
        """Promise 1: each message is stored, duplicate or quarantined, overall and by compound."""
        with self.database() as engine, reading(engine) as connection:
            rows = connection.execute(
                select(
                    accounts.c.compound, accounts.c.outcome, func.sum(accounts.c.count)
                ).group_by(accounts.c.compound, accounts.c.outcome)
            ).all()
            refused = connection.execute(select(quarantine.c.sha256, quarantine.c.partial)).all()
            judged = connection.scalar(select(cursors.c.jseq).where(cursors.c.name == "judge"))
        with JournalReader(self.journal_path) as reader:
            received, head = reader.received_total(), reader.head()
        ends = {"stored", "duplicate", "quarantined"}
        accounted: Counter[str] = Counter()
        by_outcome: Counter[str] = Counter()
        for compound, outcome, count in rows:
            if outcome in ends:
                accounted[compound] += int(count)
            by_outcome[outcome] += int(count)
        assert judged == head.jseq == sum(received.values()), "pending is 0"
        assert accounted == {place: count for place, count in received.items() if count}
        assert by_outcome["stored"] == history.good, "each good message once"
        assert by_outcome["quarantined"] == len(refused)
        assert {row.sha256 for row in refused} == history.bad
        assert not any(row.partial for row in refused)

    def check_points(self, history: History) -> None:
        """The telemetry store holds what was said, all of it and nothing else."""
        store = EmbeddedTelemetry(self.folder / "data" / "telemetry.db")
        names: dict[tuple[str, str], set[str]] = {}
        for measurement, device, quantity, _ in history.points:
            known = KINDS[measurement].quantities if measurement in KINDS else {quantity}
            names.setdefault((measurement, device), set()).update(known)
        found: dict[Key, Scalar] = {}
        try:
            for (measurement, device), quantities in names.items():
                for quantity in quantities:
                    query = SeriesQuery(measurement, device, quantity, 0, 1 << 42, 10_000)
                    for sample in store.samples(query):
                        found[measurement, device, quantity, sample.at_ms] = sample.value
        finally:
            store.close()
        assert history.points.keys() - found.keys() == set(), "lost"
        assert found.keys() - history.points.keys() == set(), "more than was sent"
        assert found == history.points

    def forwarded(self) -> Forwarded:
        """What forward counted with its cursor."""
        with self.database() as engine, reading(engine) as connection:
            memory = connection.scalar(select(cursors.c.memory).where(cursors.c.name == "forward"))
        assert memory is not None
        return msgspec.msgpack.decode(memory, type=Forwarded)

    def outcome(self) -> Outcome:
        with self.database() as engine, reading(engine) as connection:
            return Outcome(
                [_undated(row._asdict()) for row in connection.execute(_FAULTS)],
                set(connection.scalars(_PLATFORM)),
                [tuple(row) for row in connection.execute(_EVENTS)],
                [row._asdict() for row in connection.execute(_SESSIONS)],
                _usage(connection),
                {(row.compound, row.day_ms): row.hashes for row in connection.execute(_PEOPLE)},
            )


# When a fault was raised, and was over, is told by our clock: with a crash in between it is later.
_OUR_TIMES = ("opened_at_ms", "cleared_at_ms", "closed_at_ms")
_FAULTS = select(faults).where(faults.c.kind != PLATFORM).order_by(faults.c.id)
_PLATFORM = select(faults.c.code).where(faults.c.kind == PLATFORM)
_EVENTS = (
    select(
        fault_events.c.fault,
        fault_events.c.was,
        fault_events.c.becomes,
        fault_events.c.reason,
        fault_events.c.actor,
        fault_events.c.evidence,
    )
    .join(faults, faults.c.id == fault_events.c.fault)
    .where(faults.c.kind != PLATFORM)
    .order_by(fault_events.c.fault, fault_events.c.id)
)
_SESSIONS = select(sessions).order_by(sessions.c.id)
_PEOPLE = select(usage_credentials)


def _undated(fault: dict[str, Any]) -> dict[str, Any]:
    undated = {name: fault[name] is not None for name in _OUR_TIMES}
    weighed = {"impact": None, "rank": 0}  # with the ticks, and no two runs have the same
    return fault | undated | weighed | {"raises_ms": len(fault["raises_ms"])}


_NO_FIGURES = msgspec.msgpack.encode({})


def _usage(connection: Connection) -> dict[tuple[str, int], tuple[int, dict[str, Any]]]:
    """(messages, figures) by device and hour: the rows, and what the judge has yet to add to them.

    As the judge counted them: what is worked out again beside it rests on the same readings.

    It writes a device's rows once a minute, and what is newer with the cursor: it is lost by no
    crash, but which minute it is depends on when the process began.
    """
    found = {
        (row.id, row.hour_ms): (row.received, msgspec.msgpack.decode(row.figures))
        for row in connection.execute(
            select(
                devices.c.id,
                usage_hours.c.hour_ms,
                usage_hours.c.received,
                usage_hours.c.figures,
            ).join(devices, devices.c.no == usage_hours.c.device_no)
        )
        if row.received or row.figures != _NO_FIGURES
    }
    registry = load_registry(connection)
    kept = select(devices.c.id, device_state.c.latest, device_state.c.memory).join(
        devices, devices.c.no == device_state.c.device_no
    )
    for row in connection.execute(kept):
        device = registry.devices[row.id]
        memory = DeviceMemory(device, PLANS[device.kind])
        unpack(memory, row.latest, row.memory)
        for hour_ms, hour in memory.hours.items():
            found[row.id, hour_ms] = (hour.received, hour.figures)
    return found


@dataclass(frozen=True)
class Death:
    """How a point is reached. passes: at one of these it acts, which one is drawn by the seed.

    influxdb: readings go to (a stand-in of) InfluxDB. refused: it refuses two of the points.
    padded: how large the messages are. settings: what else is set.
    """

    passes: tuple[int, int]
    influxdb: bool = False
    refused: bool = False
    padded: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


KILLED = {
    "R2": Death((10, 30)),
    "R3": Death((10, 30)),
    "R4": Death((10, 30)),
    "R5": Death((10, 30)),
    "R6": Death((10, 30)),
    "R7": Death((10, 30)),
    "R8": Death((10, 30)),
    "R11": Death((10, 30)),
    "R12": Death((1, 1), padded=20_000),
    "R13": Death((1, 3), settings={"COURTYARD_JOURNAL_RETENTION": "100ms"}),
    "R14": Death((1, 1)),
    "J1": Death((2, 5)),
    "J2": Death((2, 5)),
    "J3": Death((2, 5)),
    "J4": Death((2, 5)),
    "J7": Death((10, 30)),
    "J8": Death((1, 4)),
    "F1": Death((1, 2)),
    "F2": Death((1, 2), influxdb=True),
    "F3": Death((1, 2), influxdb=True),
    "F4": Death((1, 2)),
    "F5": Death((1, 4), influxdb=True, refused=True),
    "F6": Death((1, 2)),
}

# Where something fails and the process lives on; each says in its log what failed.
FAILED = {
    "R4": Death((10, 30)),
    "R5": Death((10, 30)),
    "R11": Death((10, 30)),
    "J1": Death((2, 5)),
    "J2": Death((2, 5)),
    "J3": Death((2, 5)),
    "J4": Death((2, 5)),
    "F1": Death((1, 2)),
    "F2": Death((1, 2), influxdb=True),
    "F3": Death((1, 2), influxdb=True),
    "F4": Death((1, 2)),
    "F6": Death((1, 2)),
}


class Rig:
    """What the tests of a file share: the nursery, a registry, and the undisturbed run."""

    def __init__(self, folder: Path, nursery: Nursery, cluster: postgres.Cluster | None) -> None:
        self.nursery = nursery
        self._folder = folder
        self._cluster = cluster
        self._base_ms = now_ms() - 11 * 60_000
        self._template = folder / "template.db"
        if cluster is not None:
            self._template_name = cluster.create()
            url = cluster.url(self._template_name)
        else:
            url = f"sqlite:///{self._template}"
        registry = folder / "registry.json"
        registry.write_text(json.dumps(_with_receipts(a_registry(PLACES))))
        engine = open_database(url)
        upgrade(engine)
        engine.dispose()
        given = {"COURTYARD_DATA_DIR": str(folder), "COURTYARD_DATABASE_URL": url}
        import_registry(load_settings(given), str(registry), 0.0, None)
        began_s = time.monotonic()
        self.expected = self._undisturbed()
        self.pace_s = time.monotonic() - began_s  # a second or two, or what the machine allows

    def history(self, padded: int = 0) -> History:
        return a_history(self._base_ms, padded)

    def pipeline(self, name: str, broker_port: int, **settings: str) -> Pipeline:
        """Stores with the registry in them, and nothing else."""
        folder = self._folder / name
        (folder / "data").mkdir(parents=True)
        if self._cluster is not None:
            url = self._cluster.url(self._cluster.create(self._template_name))
        else:
            shutil.copy(self._template, folder / "data" / "courtyard.db")
            url = f"sqlite:///{folder / 'data' / 'courtyard.db'}"
        pipeline = Pipeline(folder, self.nursery, broker_port, url, **settings)
        pipeline.make_session()
        return pipeline

    @contextmanager
    def broker(self, name: str) -> Iterator[Mosquitto | Nats]:
        with SERVERS[BROKER](self._folder / f"broker-{name}") as broker:
            yield broker

    def _undisturbed(self) -> Outcome:
        """The outcome when nothing happens; and it is what an electrician would expect."""
        history = self.history()
        with self.broker("undisturbed") as broker:
            pipeline = self.pipeline("undisturbed", broker.port)
            ingest = pipeline.start()
            ingest.await_said("broker_connected")
            publisher = Publisher(broker.port, history.messages)
            publisher.start()
            publisher.finish()
            pipeline.settle(history, ingest)
            assert ingest.end() == 0, ingest.said()[-5000:]
            pipeline.check_accounts(history)
            pipeline.check_points(history)
        outcome = pipeline.outcome()
        raised = Counter((fault["code"], fault["state"]) for fault in outcome.faults)
        assert raised == dict.fromkeys(FAULTS, len(PLACES))
        states = Counter(session["state"] for session in outcome.sessions)
        assert states == {state: count * len(PLACES) for state, count in SESSIONS.items()}
        assert sum(received for received, _ in outcome.usage.values()) > history.good
        people: dict[str, set[bytes]] = {}
        for (compound, _), hashes in outcome.people.items():
            people.setdefault(compound, set()).update(unpack_hashes(hashes))
        assert {len(hashes) for hashes in people.values()} == {len(CARDS)}
        for kept in (self._folder / "undisturbed").rglob("*"):
            if kept.is_file() and "journal" not in kept.name:  # all that is stored, and the log
                assert CARDS[0].encode() not in kept.read_bytes(), kept
        return outcome

    def kill(self, point: str) -> None:
        """The row of a point at which a process dies."""
        self._run(point, KILLED[point], "kill")

    def fail(self, point: str) -> None:
        """The row of a point at which something fails, and nobody dies."""
        self._run(point, FAILED[point], "raise")

    def _run(self, point: str, death: Death, action: str) -> None:
        at = random.Random(f"{SEED} {point} {action}").randint(*death.passes)
        print(f"seed {SEED}: {point}:{action}@{at}")
        history = self.history(death.padded)
        with ExitStack() as stack:
            name = f"{point}-{action}"
            broker = stack.enter_context(self.broker(name))
            settings = dict(death.settings)
            influxdb = stack.enter_context(fake_influxdb.running()) if death.influxdb else None
            if influxdb is not None:
                settings |= _of_influxdb(influxdb)
                if death.refused:
                    influxdb.types[REFUSED] = str  # and not a number
            pipeline = self.pipeline(name, broker.port, **settings)
            ingest = pipeline.start(f"{point}:{action}@{at}")
            eventually(
                lambda: ingest.wait(0.0) is not None or "broker_connected" in ingest.said(),
                DEATH_S,
            )
            publisher = Publisher(broker.port, history.messages)
            stack.callback(publisher.close)
            publisher.start()
            if action == "kill":
                code = ingest.wait(DEATH_S)
                assert code is not None, f"{point} was never passed {at} times"
                assert code == -signal.SIGKILL, ingest.said()
                ingest = pipeline.start()
            else:
                ingest.await_said(f"failpoint {point}", DEATH_S)
            publisher.finish()
            if influxdb is None:
                self.check(pipeline, history, ingest)
            else:
                self.check_judged(pipeline, history, ingest)
                _check_influxdb(influxdb, history, pipeline, refused=death.refused)

    def check(self, pipeline: Pipeline, history: History, ingest: Process) -> None:
        """All is there, once; `ingest` is ended for it."""
        self.check_judged(pipeline, history, ingest)
        pipeline.check_points(history)

    def check_judged(self, pipeline: Pipeline, history: History, ingest: Process) -> None:
        ingest.await_said("ingest_runs")
        pipeline.settle(history, ingest)
        assert ingest.end() == 0, ingest.said()[-5000:]
        pipeline.check_accounts(history)
        outcome, expected = pipeline.outcome(), self.expected
        assert outcome.faults == expected.faults
        assert outcome.events == expected.events
        assert outcome.sessions == expected.sessions
        assert outcome.usage == expected.usage


def _with_receipts(registry: dict[str, Any]) -> dict[str, Any]:
    """The gates ask to be told which of their messages are stored."""
    for device in registry["devices"]:
        if device["kind"] == "gate":
            device["attributes"] = {"receipts": True}
    return registry


def _of_influxdb(server: FakeInfluxDB) -> dict[str, str]:
    return {
        "COURTYARD_INFLUXDB_URL": server.url,
        "COURTYARD_INFLUXDB_TOKEN": fake_influxdb.TOKEN,
        "COURTYARD_INFLUXDB_ORG": fake_influxdb.ORG,
        "COURTYARD_INFLUXDB_BUCKET": fake_influxdb.BUCKET,
    }


def _check_influxdb(
    server: FakeInfluxDB, history: History, pipeline: Pipeline, *, refused: bool
) -> None:
    """InfluxDB holds what was said, but for the points that it refuses: those are counted once."""
    expected = history.points
    if refused:
        expected = {key: value for key, value in expected.items() if (key[0], key[2]) != REFUSED}
        assert len(expected) == len(history.points) - len(PLACES)
    found = {
        (measurement, dict(tags)["device"], name, at_ms): value
        for (measurement, tags), times in server.series.items()
        for at_ms, fields in times.items()
        for name, value in fields.items()
    }
    assert expected.keys() - found.keys() == set(), "lost"
    assert found.keys() - expected.keys() == set(), "more than was sent"
    assert found == expected
    assert pipeline.forwarded().dead == (len(PLACES) if refused else 0)


@contextmanager
def a_rig(folder: Path, cluster: postgres.Cluster | None) -> Iterator[Rig]:
    with Nursery() as nursery:
        yield Rig(folder, nursery, cluster)
