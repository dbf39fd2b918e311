"""How quickly people are told of faults, by `courtyard alerts` as a process of its own.

    make bench-alerts        (or: python -m bench.alerts --database postgresql)

Receivers on this machine stand in for people's; faults are written into the database as the judge
writes them. Three questions:

1. 100 fault events a second for 20 s, to one webhook: how long from an event to the first try
2. 10,000 deliveries wait for 100 webhooks, one in ten of the safety tier: how long until those have
   arrived, and until all have
3. 1,000 faults in one minute, to one DingTalk robot that takes 20 messages a minute: how many
   messages in any minute, and whether each fault is mentioned

The yardstick: as many requests, one after the other, by http.client to the same receiver.

--database: `sqlite`, or `postgresql`: a private server with fsync, of this machine.
"""

import argparse
import http.client
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, insert, select

from alerts.channels.webhook import new_secret
from courtyard.clock import now_ms
from devices.alerts import ChannelName, DeliveryState, Route, Target
from devices.rules import Severity
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.registry import save
from devices.store.schema import deliveries, fault_events, faults
from devices.store.scope import DISTRICT
from devices.store.targets import add_route, add_target, delete_target
from simulators import erqi
from simulators.robots import Arrived, Robots
from tests import postgres
from tests.brokers import free_port
from tests.eventually import eventually

ROOT = Path(__file__).parents[1]
RATE, SECONDS = 100, 20
TARGETS, EACH = 100, 100
STORM, STORM_S = 1_000, 60


class Alerting:
    """A district, receivers, and the process that tells them."""

    def __init__(self, engine: Engine, url: str, directory: Path, robots: Robots) -> None:
        self.engine = engine
        self.robots = robots
        self._environ = {
            name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")
        } | {
            "COURTYARD_DATA_DIR": str(directory),
            "COURTYARD_DATABASE_URL": url,
            "COURTYARD_ALERTS_ALLOW": "127.0.0.1",
            "COURTYARD_LOG": "json",
            "PYTHONPATH": str(ROOT),
        }
        self._log = directory / "alerts.log"
        self._faults = 0
        with writing(engine) as connection:
            registry = erqi.registry()
            save(connection, registry, now_ms())
        gates = [device for device in registry.devices.values() if device.kind == "gate"]
        self._gates = [(gate.id, gate.compound) for gate in gates]

    @contextmanager
    def running(self) -> Iterator[None]:
        """While `courtyard alerts` runs, and is ready."""
        port = free_port()
        environ = self._environ | {"COURTYARD_METRICS_PORT": str(port)}
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "courtyard", "alerts"], env=environ, stdout=log, stderr=log
            )
        try:
            eventually(lambda: _answers(port), 60, "alerts runs")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def target(self, name: str, channel: ChannelName, url: str, secret: str) -> None:
        with writing(self.engine) as connection:
            add_target(connection, Target(name, name, channel, url, (secret,)))
            add_route(connection, Route(name, name, severities=tuple(Severity)))

    def forget(self, name: str) -> None:
        with writing(self.engine) as connection:
            delete_target(connection, DISTRICT, name, now_ms())

    def raise_faults(self, count: int, *, safety: int = 0) -> list[str]:
        """So many at once, the last `safety` of them of the safety tier; their ids."""
        at_ms = now_ms()
        rows, events = [], []
        for n in range(count):
            self._faults += 1
            is_safety = n >= count - safety
            gate, compound = self._gates[self._faults % len(self._gates)]
            name = f"{self._faults:08x}bench"
            rows.append(
                {
                    "id": name,
                    "stream": "live",
                    "subject": f"{gate}-{self._faults}",
                    "code": "GATE_DURESS" if is_safety else "GATE_OFFLINE",
                    "kind": "gate",
                    "device": gate,
                    "compound": compound,
                    "severity": "P1" if is_safety else "P3",
                    "safety": is_safety,
                    "suspected": False,
                    "state": "open",
                    "since_ms": at_ms,
                    "opened_at_ms": at_ms,
                    "occurrences": 1,
                    "late": False,
                    "evidence": {"silent_s": 90},
                }
            )
            events.append(
                {
                    "fault": name,
                    "at_ms": at_ms,
                    "becomes": "open",
                    "reason": "raised",
                    "actor": "system",
                }
            )
        with writing(self.engine) as connection:
            connection.execute(insert(faults), rows)
            connection.execute(insert(fault_events), events)
        return [str(row["id"]) for row in rows]

    def open_deliveries(self) -> int:
        with reading(self.engine) as connection:
            pending = select(func.count()).where(deliveries.c.state == DeliveryState.PENDING.value)
            unrouted = select(func.count()).where(fault_events.c.routed_at_ms.is_(None))
            return int(
                connection.execute(pending).scalar_one() + connection.execute(unrouted).scalar_one()
            )

    def settled(self, within_s: float) -> None:
        eventually(lambda: self.open_deliveries() == 0, within_s, "all is delivered", 0.2)


def first_tries(alerting: Alerting) -> None:
    """From the event to the first try, at a steady rate."""
    secret = new_secret()
    alerting.robots.clear()
    url = alerting.robots.webhook("one", "one", secret)
    alerting.target("one", ChannelName.WEBHOOK, url, secret)
    with alerting.running():
        began_s = time.monotonic()
        for n in range(RATE * SECONDS // 10):
            alerting.raise_faults(10, safety=1)
            time.sleep(max(0.0, began_s + (n + 1) * 10 / RATE - time.monotonic()))
        alerting.settled(120)
    with reading(alerting.engine) as connection:
        query = select(deliveries.c.safety, deliveries.c.first_at_ms - fault_events.c.at_ms).join(
            fault_events, fault_events.c.id == deliveries.c.event
        )
        waits = [(bool(safety), int(ms)) for safety, ms in connection.execute(query)]
    alerting.forget("one")
    for name, of in (("all", waits), ("of the safety tier", [one for one in waits if one[0]])):
        ms = sorted(wait for _, wait in of)
        print(
            f"first try, {name}: {len(ms):,} events at {RATE}/s:"
            f" p50 {_at(ms, 0.5):.2f} s, p99 {_at(ms, 0.99):.2f} s, longest {ms[-1] / 1000:.2f} s"
        )
    print(f"  in {len(alerting.robots.messages):,} messages")
    took_s = _yardstick(url, len(alerting.robots.messages))
    print(f"  as many bare requests by http.client: {took_s:.2f} s")


def backlog(alerting: Alerting) -> None:
    """10,000 deliveries to 100 targets that all wait at the start."""
    alerting.robots.clear()
    names = [f"t{n}" for n in range(TARGETS)]
    for name in names:
        secret = new_secret()
        url = alerting.robots.webhook(name, name, secret)
        alerting.target(name, ChannelName.WEBHOOK, url, secret)
    raised = alerting.raise_faults(EACH, safety=EACH // 10)
    urgent = set(raised[-EACH // 10 :])
    began_ms = now_ms()
    with alerting.running():
        alerting.settled(600)
    ended_s = (now_ms() - began_ms) / 1000
    messages = alerting.robots.messages
    safety_ms = [one.at_ms for one in messages if _mentioned(one) and _mentioned(one) <= urgent]
    early = sum(_is_before_safety(messages, name, urgent) for name in names)
    for name in names:
        alerting.forget(name)
    took_s = _yardstick(url, len(messages))
    print(
        f"backlog: {TARGETS * EACH:,} deliveries to {TARGETS} targets: those of safety after"
        f" {(max(safety_ms) - began_ms) / 1000:.1f} s, all after {ended_s:.1f} s (with its start),"
        f" {len(messages):,} messages, {early} targets were told something else before"
    )
    print(f"  as many bare requests by http.client: {took_s:.1f} s; ratio {ended_s / took_s:.1f}")


def storm(alerting: Alerting) -> None:
    """1,000 faults in a minute to one robot that takes 20 messages a minute."""
    alerting.robots.clear()
    secret = f"SEC{new_secret()[6:38]}"
    url = alerting.robots.dingtalk("robot", "token", secret=secret)
    alerting.target("robot", ChannelName.DINGTALK, url, secret)
    raised: list[str] = []
    with alerting.running():
        began_s = time.monotonic()
        for n in range(STORM // 10):
            raised += alerting.raise_faults(10)
            time.sleep(max(0.0, began_s + (n + 1) * 10 * STORM_S / STORM - time.monotonic()))
        alerting.settled(900)
    over_s = time.monotonic() - began_s
    alerting.forget("robot")
    at_ms = [one.at_ms for one in alerting.robots.attempts]
    refused = sum(not one.accepted for one in alerting.robots.attempts)
    most = max(sum(0 <= at - first < 60_000 for at in at_ms) for first in at_ms)
    text = " ".join(one.text for one in alerting.robots.messages)
    numbers = set(_numbers(alerting.engine, raised))
    missing = sum(number not in text for number in numbers)
    print(
        f"storm: {STORM:,} faults in {STORM_S} s to one DingTalk robot: {len(at_ms)} messages, at"
        f" most {most} in any minute, {refused} refused; {missing} faults not mentioned; the last"
        f" one {over_s - STORM_S:.0f} s after the minute"
    )


def _numbers(engine: Engine, raised: Sequence[str]) -> list[str]:
    """The numbers under which people see the events of these faults."""
    query = select(fault_events.c.fault, fault_events.c.id).where(fault_events.c.fault.in_(raised))
    with reading(engine) as connection:
        return [f"{fault[:4]}-{event}" for fault, event in connection.execute(query)]


def _mentioned(one: Arrived) -> set[str]:
    assert isinstance(one.payload, dict)
    data = one.payload["data"]
    return {said["id"] for said in data.get("faults", [data])}


def _is_before_safety(messages: Sequence[Arrived], robot: str, urgent: set[str]) -> bool:
    """Whether anything else came to this robot while something of safety had not yet."""
    told: set[str] = set()
    for one in messages:
        if one.robot == robot:
            ids = _mentioned(one)
            if ids - urgent and not urgent <= told:
                return True
            told |= ids
    return False


def _at(ms: Sequence[int], share: float) -> float:
    return statistics.quantiles(ms, n=1000, method="inclusive")[round(share * 1000) - 1] / 1000


def _yardstick(url: str, count: int) -> float:
    parts = urlsplit(url)
    began_s = time.monotonic()
    for _ in range(count):
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=10)
        connection.request("POST", parts.path, json.dumps({"data": {}}))
        connection.getresponse().read()
        connection.close()
    return time.monotonic() - began_s


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    connection.request("GET", "/metrics")
    return b"courtyard_deliveries_pending" in connection.getresponse().read()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{directory / 'courtyard.db'}"
        if wanted.database == "postgresql":
            postgres.SETTINGS |= {
                "fsync": "on",
                "full_page_writes": "on",
                "synchronous_commit": "on",
            }
            cluster = stack.enter_context(postgres.cluster())
            url = cluster.url(cluster.create())
        engine = open_database(url)
        stack.callback(engine.dispose)
        upgrade(engine)
        robots = Robots(now_ms, kept=200_000)
        robots.start()
        stack.callback(robots.stop)
        print(f"{wanted.database}, {platform.machine()}, Python {platform.python_version()}")
        alerting = Alerting(engine, url, directory, robots)
        for question in (first_tries, backlog, storm):
            question(alerting)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
