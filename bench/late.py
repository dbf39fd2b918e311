"""How soon late data of a whole compound-day is in the figures that the API gives.

    .venv/bin/python -m bench.late [--stores embedded,servers] [--json FILE]

A compound of the simulated district is cut off for a day, all of it: gateway and sheds keep what
they would have sent, some 20,000 messages with 40,000 readings, and send it when they are back.
That is written into a journal. Then the parts of ingest run as they do in production, each in its
thread and with its own pauses: judge, forward, the worker that works hours out again, and the one
that sums days up. The API, a process of its own, is asked twice a second for that day until it says
what really flowed and passed (the simulators know), no hour waits to be worked out again, and the
sum of the day is the new one.

--stores: `embedded` is SQLite for both; `servers` PostgreSQL and InfluxDB 2, if their binaries are
on this machine.
"""

import argparse
import http.client
import json
import logging
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine, func, select

from bench.usage import free_port, process, serve, wait_for
from courtyard.simulation import JournalSink
from courtyard.usage_days import UsageDaysWorker
from devices.catalogue import rules_for
from devices.days import DAY_MS, local_date, midnight_of, zone_of
from devices.judgement import LIVE
from devices.kinds import KINDS
from devices.registry import Registry
from devices.store import registry as registry_rows
from devices.store.cursors import ForwardCursor
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.journal import JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.schema import usage_again, usage_days_due
from devices.store.telemetry import TelemetryStore
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.usage_again import UsageAgain
from devices.store.usage_days import UsageDays
from devices.sun import lighting_hours
from devices.usage import HOUR_MS
from ingest.consume import Consumer
from ingest.forward import Forwarder
from ingest.judge.plan import plans
from ingest.ports import Bell
from ingest.recount import Recounter
from simulators import erqi
from simulators.diary import Diary
from simulators.fate import Injection
from simulators.fleet import Fleet
from simulators.history import Reception, write_history
from simulators.usage_scoring import true_by_hour

START_MS = 1_795_356_000_000  # 2026-11-22 22:00 in Zhengzhou
ZONE = zone_of("Asia/Shanghai")
DAY = midnight_of(START_MS, ZONE) + DAY_MS
# Cut off from midnight on, and back when the judge no longer has an hour of that day in memory.
AWAY_MS = DAY_MS + 2 * HOUR_MS + 20 * 60_000
REPLAYED_MS = 60_000  # in which the devices have sent what they kept
READINGS = 20_000  # messages that a compound's day should have
NEAR = 0.005
GOAL_S, GIVES_UP_S = 60.0, 600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """messages: kept and sent late. Seconds from when they were in the journal.

    figures_s: until the API gave what really was; all_s: until nothing waited any more and the sum
    of the day was the new one, from which many compounds are answered. cpu_s: of the process in
    which the parts of ingest run.
    """

    stores: str
    compound: str
    devices: int
    messages: int
    readings: int
    figures_s: float
    all_s: float
    cpu_s: float

    def line(self) -> str:
        return (
            f"{self.stores:22} {self.messages:,} messages, {self.readings:,} readings of"
            f" {self.devices} devices of {self.compound}: in the figures after"
            f" {self.figures_s:.1f} s, in all sums after {self.all_s:.1f} s"
            f" ({self.cpu_s:.1f} s of CPU; goal {GOAL_S:.0f} s)"
        )


def a_compound() -> Registry:
    """The compound of the district whose day has the number of messages that is asked for."""
    whole = erqi.registry()

    def a_day(name: str) -> float:
        sent = sum(
            (86_400 / device.interval_s) * (2 if device.kind == "shed" else 1)
            for device in whole.devices.values()
            if device.compound == name and device.kind != "port"
        )
        return sent + 11 * whole.compounds[name].households

    with_sheds = {device.compound for device in whole.devices.values() if device.kind == "shed"}
    name = min(with_sheds, key=lambda one: (abs(a_day(one) - READINGS), one))
    devices = (device for device in whole.devices.values() if device.compound == name)
    return Registry(whole.firms.values(), [whole.compounds[name]], devices)


def measure(stores: str, url: str, telemetry: TelemetryStore, folder: Path) -> Measured:
    registry = a_compound()
    (compound,) = registry.compounds
    engine = open_database(url)
    upgrade(engine)
    with writing(engine) as connection:
        registry_rows.save(connection, registry, START_MS - DAY_MS)
    diary = Diary(START_MS)
    fleet = _cut_off(registry, diary)
    back_ms = DAY + AWAY_MS
    now_ms = back_ms + REPLAYED_MS
    with ExitStack() as stack:
        journal = folder / "journal.db"
        writer = stack.enter_context(JournalWriter(journal, lambda: now_ms))
        reader = stack.enter_context(JournalReader(journal))
        sink, reception = JournalSink(writer), Reception(fleet, START_MS)
        before = write_history(fleet, START_MS, back_ms, sink, closes=False, reception=reception)
        ingest = _Ingest(engine, telemetry, reader, now_ms)
        ingest.caught_up()
        days = UsageDays(engine)
        for work in days.missing(now_ms):  # as an hour after midnight, when nothing of it was there
            days.build(work, now_ms)
        port = free_port()
        stack.enter_context(process(serve, url, port, now_ms))
        wait_for(port)
        true = _true(diary, registry)
        told = _told(port, compound)
        if _is_near(told, true):
            raise SystemExit(f"nothing of the day was missing: {told}")
        kept = sum(link.buffered for link in fleet.links.values())
        write_history(
            fleet, back_ms, now_ms, sink, first_probe=before.next_probe, opens=False,
            closes=False, reception=reception,
        )  # fmt: skip
        came_s, spent_s = time.monotonic(), time.process_time()
        stack.enter_context(ingest.running())
        figures_s = _until(came_s, lambda: _is_near(_told(port, compound), true))
        all_s = _until(came_s, lambda: _nothing_waits(engine, now_ms))
        spent_s = time.process_time() - spent_s
    readings = _stored(telemetry, registry)
    engine.dispose()
    count = sum(device.kind != "port" for device in registry.devices.values())
    return Measured(stores, compound, count, kept, readings, figures_s, all_s, spent_s)


def _cut_off(registry: Registry, diary: Diary) -> Fleet:
    kinds = {"gateway": "gateway_lost", "shed": "modem_lost"}
    cuts = [
        Injection(kinds[device.kind], DAY, AWAY_MS, device.id)
        for device in registry.devices.values()
        if device.kind in kinds
    ]
    return Fleet(registry, 5, START_MS, injections=cuts, diary=diary)


class _Ingest:
    """The parts of ingest behind the journal."""

    def __init__(
        self, engine: Engine, telemetry: TelemetryStore, reader: JournalReader, now_ms: int
    ) -> None:
        began_s = time.monotonic()

        def clock() -> int:
            return now_ms + round((time.monotonic() - began_s) * 1000)

        judgements = Judgements(engine, LIVE)
        self._reader = reader
        self._bell = Bell()
        self._consumer = Consumer(judgements, plans(rules_for, KINDS), clock, stream=LIVE)
        self._forwarder = Forwarder(telemetry, ForwardCursor(engine), judgements.registry, clock)
        self._recounter = Recounter(
            UsageAgain(engine), telemetry, plans(rules_for, KINDS), lighting_hours, clock
        )
        self._days = UsageDaysWorker(engine, clock)

    def caught_up(self) -> None:
        """All that is in the journal, without its pauses."""
        stop = threading.Event()
        self._consumer.drain(self._reader)
        self._forwarder.drain(self._reader, stop)
        while self._recounter.step(stop):
            pass

    @contextmanager
    def running(self) -> Iterator[None]:
        """As in `courtyard ingest`."""
        stop = threading.Event()
        works: list[Callable[[], None]] = [
            lambda: self._consumer.run(self._reader, self._bell, stop),
            lambda: self._forwarder.run(self._reader, self._bell, stop),
            lambda: self._recounter.run(stop),
            lambda: self._days.run(stop),
        ]
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        self._bell.ring()
        yield
        stop.set()
        self._bell.ring()
        for thread in threads:
            thread.join(10)


def _true(diary: Diary, registry: Registry) -> dict[str, float]:
    """What really was, of that day."""
    found: dict[str, float] = {}
    for (_, figure, hour_ms), amount in true_by_hour(diary, registry).items():
        if DAY <= hour_ms < DAY + DAY_MS:
            found[figure] = found.get(figure, 0.0) + amount
    return found


def _told(port: int, compound: str) -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    path = f"/v1/compounds/{compound}/usage?from={local_date(DAY, ZONE)}&to=P1D&bucket=day"
    connection.request("GET", path, headers={"Host": f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
    said = json.loads(body)
    return {
        "passages": said["gates"]["passages"],
        "sessions": said["charging"]["sessions"],
        "charged kWh": said["charging"]["energy_kwh"],
        "lighting kWh": said["lighting"]["energy_kwh"],
    }


def _is_near(told: Mapping[str, float], true: Mapping[str, float]) -> bool:
    """Counts exactly, energy within 0.5 %."""
    return all(
        amount == true[name]
        if name in ("passages", "sessions")
        else abs(amount - true[name]) <= NEAR * true[name]
        for name, amount in told.items()
    )


def _nothing_waits(engine: Engine, now_ms: int) -> bool:
    """No hour of that day is to be worked out again, and its sum is of all that is there."""
    again = select(func.count()).where(
        usage_again.c.hour_ms >= DAY,
        usage_again.c.hour_ms < DAY + DAY_MS,
        usage_again.c.from_ms <= now_ms,
    )
    due = select(func.count()).select_from(usage_days_due).where(usage_days_due.c.day_ms == DAY)
    with reading(engine) as connection:
        return not connection.execute(again).scalar() and not connection.execute(due).scalar()


def _until(since_s: float, holds: Callable[[], bool]) -> float:
    """Seconds since then until it holds. Exits when that takes too long."""
    while not holds():
        if time.monotonic() - since_s > GIVES_UP_S:
            raise SystemExit(f"not within {GIVES_UP_S:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - since_s


def _stored(telemetry: TelemetryStore, registry: Registry) -> int:
    """Readings of that day, of all devices."""
    return sum(
        len(telemetry.points(device.kind, device.id, DAY, DAY + DAY_MS, 100_000))
        for device in registry.devices.values()
    )


def _embedded(folder: Path) -> Measured:
    telemetry = EmbeddedTelemetry(folder / "telemetry.db")
    found = measure("SQLite, embedded", f"sqlite:///{folder / 'courtyard.db'}", telemetry, folder)
    telemetry.close()
    return found


def _servers(folder: Path) -> Measured:
    from devices.store.telemetry.influxdb import InfluxTelemetry
    from tests import influxdb, postgres

    postgres.SETTINGS |= {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
    with postgres.cluster() as cluster, influxdb.private_server() as server:
        access = server.access
        telemetry = InfluxTelemetry(access.url, access.token, access.org, access.bucket)
        found = measure("PostgreSQL, InfluxDB 2", cluster.url(cluster.create()), telemetry, folder)
        telemetry.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stores", default="embedded,servers", help="which, with commas between")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here as well")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes beside end, too
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    ways = {"embedded": _embedded, "servers": _servers}
    found = []
    for name in asked.stores.split(","):
        with tempfile.TemporaryDirectory(prefix="bench-late-") as folder:
            found.append(ways[name](Path(folder)))
        print(found[-1].line(), flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(one) for one in found]))
    if any(max(one.figures_s, one.all_s) > GOAL_S for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
