"""CPU a message of the receive path alone, beside a stock paho callback that only counts.

    python -m bench.receive --messages 200000 --rounds 3

Every case is a process of its own that subscribes to one mosquitto and gets the same messages from
the same publisher. It measures itself (os.times: user and system, all threads), from the moment it
is subscribed until the last message is counted, for ours: committed to the journal with its fsync,
and acknowledged. The plain case is what receive falls back to where paho's internals differ.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.publisher import Connection, publish, sample_messages
from courtyard.broker import EmbeddedBroker
from courtyard.clock import now_ms
from devices.store.journal import JournalWriter
from ingest.broker_url import BrokerAddress
from ingest.receive import Receiver

CASES = {
    "stock": "stock paho, counts only",
    "plain": "receive on stock paho (fallback)",
    "batched": "receive",
}
FILTER = "courtyard/v1/+/+/+/+"
CONNECTIONS = 8
WINDOW = 100
PATIENCE_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3, help="of each case, in turn")
    parser.add_argument("--subject", choices=CASES, help="be the measured process")
    parser.add_argument("--port", type=int, default=1883)
    asked = parser.parse_args()
    if asked.subject:
        subject = _stock if asked.subject == "stock" else _receive
        subject(asked.port, asked.messages, asked.subject)
        return
    results: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(asked.rounds):
        for case, of in results.items():
            # slow cases get fewer messages: what counts is the cost of one
            of.append(_measure(case, asked.messages if case == "batched" else asked.messages // 2))
    base_us = statistics.median(row["cpu_us"] for row in results["stock"])
    print(
        f"QoS 1, MQTT 5, about 150 bytes; median of {asked.rounds} rounds; {platform.machine()},"
        f" {os.cpu_count()} cores, Python {platform.python_version()}\n"
    )
    print(f"{'case':34} {'msg/s':>9} {'CPU µs/msg':>11} {'of stock':>9} {'msg/batch':>10}")
    for case, rows in results.items():
        row = sorted(rows, key=lambda r: r["cpu_us"])[len(rows) // 2]
        batch = f"{row['batch']:.0f}" if row["batch"] else ""
        print(
            f"{CASES[case]:34} {row['per_second']:9,.0f} {row['cpu_us']:11.2f}"
            f" {row['cpu_us'] / base_us:9.2f} {batch:>10}"
        )


def _measure(case: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        broker = EmbeddedBroker(Path(folder), port_preference=_any_port(), only="mosquitto")
        port = broker.start().port
        command = [sys.executable, "-m", "bench.receive", "--subject", case, "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--messages", str(count)], stdout=subprocess.PIPE, text=True
        )
        try:
            lines = _lines(process)
            if next(lines) != "ready":
                raise RuntimeError(f"{case} could not subscribe")
            connections = [
                Connection("127.0.0.1", port, f"bench-{i}", WINDOW) for i in range(CONNECTIONS)
            ]
            publish(connections, sample_messages(count), idle_timeout_s=60)
            for connection in connections:
                connection.close()
            result: dict[str, float] = json.loads(next(lines))
        finally:
            process.kill()
            process.wait(10)
            broker.stop()
    print(f"  {CASES[case]}: {result['cpu_us']:.2f} µs", file=sys.stderr)
    return result


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    """What it says, without the lines of its log."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(("ready", "{")):
            yield line.strip()
    raise RuntimeError("the measured process ended")


class _Meter:
    """Says "ready", then measures this process until `count` messages are in."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._times = os.times()
        self._started = 0.0
        print("ready", flush=True)

    def first(self) -> None:
        if not self._started:
            self._started = time.monotonic()

    def report(self, batches: int = 0) -> None:
        now = os.times()
        cpu_s = now.user + now.system - self._times.user - self._times.system
        result = {
            "cpu_us": cpu_s / self._count * 1e6,
            "per_second": self._count / (time.monotonic() - self._started),
            "batch": self._count / batches if batches else 0,
        }
        print(json.dumps(result), flush=True)


def _stock(port: int, count: int, _case: str) -> None:
    seen = 0
    subscribed, done = threading.Event(), threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "bench-stock", protocol=mqtt.MQTTv5)

    def on_message(_client: mqtt.Client, _data: object, _message: mqtt.MQTTMessage) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            meter.first()
        if seen == count:
            done.set()

    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = 1_000
    client.connect("127.0.0.1", port, properties=properties)
    client.subscribe(FILTER, qos=1)
    client.loop_start()
    subscribed.wait(10)
    meter = _Meter(count)
    done.wait(PATIENCE_S)
    meter.report()


def _receive(port: int, count: int, case: str) -> None:
    origins: dict[bytes, str] = {}

    def origin(topic: bytes) -> str:
        """As the ingester does it: one look-up."""
        found = origins.get(topic)
        if found is None:
            found = origins[topic] = topic.split(b"/")[2].decode()
        return found

    done = threading.Event()

    def committed() -> None:
        if receiver.counters.messages:
            meter.first()
        if receiver.counters.acks >= count:
            done.set()

    with tempfile.TemporaryDirectory() as folder:
        journal = JournalWriter(Path(folder) / "journal.db", now_ms)
        receiver = Receiver(
            BrokerAddress("127.0.0.1", port),
            journal,
            now_ms,
            origin,
            [FILTER],
            "bench",
            committed=committed,
            on_stuck=lambda: os._exit(3),
            batched=case == "batched",
        )
        receiver.start()
        while not receiver.status().subscribed:
            time.sleep(0.01)
        meter = _Meter(count)
        deadline = time.monotonic() + PATIENCE_S
        while receiver.counters.acks < count and time.monotonic() < deadline:
            done.wait(0.05)
        meter.report(receiver.counters.batches)
        receiver.stop()
        journal.close()


def _any_port() -> int:
    return 20_000 + os.getpid() % 20_000


if __name__ == "__main__":
    main()
