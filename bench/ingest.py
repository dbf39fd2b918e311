"""Messages a second and CPU a message of the ingester, beside stock paho that only counts.

    make bench          (or: python -m bench.ingest --messages 200000)

Every case gets the same messages from the same publisher over a mosquitto of its own: 5,168 devices
in 225 compounds, five values in about 150 bytes, QoS 1. CPU is that of the measured process alone
(user and system, all threads), from the first message to the last one confirmed everywhere. The
InfluxDB case needs COURTYARD_TEST_INFLUXDB_URL or `influxd` on PATH, and says when it is left out.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.publisher import Connection, Message, publish

DEVICES = 5168
COMPOUNDS = 225
CONNECTIONS = 8
WINDOW = 100
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Measured:
    """One case. seconds: from the first message sent to the last one done."""

    name: str
    messages: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.messages * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3, help="of each case, in turn")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here as well")
    asked = parser.parse_args()
    cases = [yardstick, receive_alone, whole_embedded]
    left_out = ""
    if shutil.which("influxd") or os.environ.get("COURTYARD_TEST_INFLUXDB_URL"):
        cases.append(whole_influxdb)
    else:
        left_out = "InfluxDB was left out: no COURTYARD_TEST_INFLUXDB_URL and no influxd on PATH"
    rounds: dict[str, list[Measured]] = {}
    for _ in range(asked.rounds):
        for case in cases:
            measured = case(asked.messages)
            rounds.setdefault(measured.name, []).append(measured)
            print(
                f"  {measured.name}: {measured.per_second:,.0f} msg/s, {measured.cpu_us:.1f} µs",
                file=sys.stderr,
            )
    table = [_median(of) for of in rounds.values()]
    _show(table, asked.messages, asked.rounds)
    if left_out:
        print(f"\n{left_out}")
    if asked.json is not None:
        asked.json.write_text(
            json.dumps(
                [
                    {
                        "name": r.name,
                        "per_second": r.per_second,
                        "cpu_us": r.cpu_us,
                        "peak_mb": r.peak_mb,
                    }
                    for r in table
                ],
                indent=2,
            )
        )


def _show(table: list[Measured], messages: int, rounds: int) -> None:
    base = table[0].cpu_us
    cores = os.cpu_count()
    print(
        f"\n{messages:,} messages, median of {rounds} rounds; "
        f"{platform.machine()}, {cores} cores, Python {platform.python_version()}\n"
    )
    print(f"{'case':34} {'msg/s':>9} {'CPU µs/msg':>11} {'ratio':>7} {'peak MB':>8}")
    for row in table:
        print(
            f"{row.name:34} {row.per_second:9,.0f} {row.cpu_us:11.1f} "
            f"{row.cpu_us / base:7.2f} {row.peak_mb:8.0f}"
        )


def yardstick(count: int) -> Measured:
    """Stock paho with a callback that only counts."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(_broker(folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.subject", "--port", str(port)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
        )
        stack.callback(_end, process)
        assert process.stdout is not None
        assert process.stdin is not None
        asks, answers = process.stdin, process.stdout
        if answers.readline().strip() != b"ready":
            raise RuntimeError("the yardstick could not subscribe")

        def done() -> int:
            asks.write(b"?\n")
            asks.flush()
            return int(answers.readline())

        return _measure("stock paho, counts only", count, port, process, done)


def receive_alone(count: int) -> Measured:
    """Our receive path: journal, fsync, PUBACK."""
    return _ingest("receive → journal", count, {}, "receive")


def whole_embedded(count: int) -> Measured:
    """The whole ingester with embedded stores."""
    return _ingest("ingest → embedded stores", count, {}, "receive,judge,forward")


def whole_influxdb(count: int) -> Measured:
    """The whole ingester, telemetry in a real InfluxDB 2."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = stack.enter_context(_influxdb(folder))
        return _ingest("ingest → InfluxDB 2", count, settings, "receive,judge,forward")


def _ingest(name: str, count: int, extra: dict[str, str], parts: str) -> Measured:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(_broker(folder))
        metrics_port = _free_port()
        environment = {
            **os.environ,
            "COURTYARD_DATA_DIR": str(folder / "data"),
            "COURTYARD_BROKER_URL": f"mqtt://127.0.0.1:{port}",
            "COURTYARD_METRICS_PORT": str(metrics_port),
            "COURTYARD_LOG": "json",
            **extra,
        }
        registry = folder / "registry.json"
        registry.write_text(json.dumps(_registry()))
        command = [str(Path(sys.executable).with_name("courtyard"))]
        subprocess.run(
            [*command, "registry", "import", str(registry)],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            [*command, "ingest", "--only", parts], env=environment, stdout=log, stderr=log
        )
        stack.callback(_end, process)
        url = f"http://127.0.0.1:{metrics_port}/metrics"
        _await(lambda: _metric(url, "courtyard_broker_connected") == 1, "ingest is subscribed")

        def done() -> int:
            if parts == "receive":
                return int(_metric(url, "courtyard_messages_received_total"))
            judged = _metric(url, 'courtyard_messages_total{outcome="stored"}')
            lag = _metric(url, 'courtyard_journal_lag_seconds{consumer="forward"}')
            return int(judged) if lag == 0 else 0

        return _measure(name, count, port, process, done)


def _measure(
    name: str, count: int, port: int, process: "subprocess.Popen[bytes]", done: Callable[[], int]
) -> Measured:
    """Send DEVICES messages to warm up, then `count` that are measured. done: how many are done."""
    connections = [Connection("127.0.0.1", port, f"bench-{i}", WINDOW) for i in range(CONNECTIONS)]
    publish(connections, _messages(0, DEVICES), idle_timeout_s=60)
    _await(lambda: done() >= DEVICES, f"{name}: warm", PATIENCE_S)
    before_s = _cpu_s(process.pid)
    started = time.monotonic()
    publish(connections, _messages(DEVICES, count), idle_timeout_s=60)
    while done() < DEVICES + count:
        if process.poll() is not None:
            raise RuntimeError(f"{name}: ended with {process.returncode}")
        if time.monotonic() - started > PATIENCE_S:
            raise RuntimeError(f"{name}: {done()} of {count} messages after {PATIENCE_S} s")
        time.sleep(0.25)
    seconds = time.monotonic() - started
    cpu_s, peak_mb = _cpu_s(process.pid) - before_s, _peak_mb(process.pid)
    for connection in connections:
        connection.close()
    return Measured(name, count, seconds, cpu_s, peak_mb)


def _messages(first: int, count: int) -> Iterator[Message]:
    """Readings of all devices in turn, stamped with the time at which they are sent."""
    topics = [
        f"courtyard/v1/bench-{i % COMPOUNDS:03d}/gate/bench-gate-{i:04d}/telemetry".encode()
        for i in range(DEVICES)
    ]
    now = time.time
    for n in range(first, first + count):
        seq, device = divmod(n, DEVICES)
        yield (
            topics[device],
            b'{"ts":%d,"boot":1,"seq":%d,"values":{"board_temp_c":31.%d,"rssi_dbm":-6%d.5,'
            b'"door_state":"closed","mains_ok":true,"uptime_s":%d}}'
            % (int(now() * 1000), seq, n % 10, n % 10, 100000 + seq),
        )


def _registry() -> dict[str, object]:
    return {
        "firms": [{"id": "bench", "name": {"zh": "测试物业", "en": "Bench"}, "contacts": []}],
        "compounds": [
            {"id": f"bench-{i:03d}", "name": {"zh": f"测试{i}", "en": f"Bench {i}"},
             "firm": "bench", "households": 170, "synthetic": True}
            for i in range(COMPOUNDS)
        ],
        "devices": [
            {"id": f"bench-gate-{i:04d}", "kind": "gate", "compound": f"bench-{i % COMPOUNDS:03d}",
             "name": f"门{i}", "interval_s": 30, "attributes": {"form": "pedestrian"}}
            for i in range(DEVICES)
        ],
    }  # fmt: skip


@contextmanager
def _broker(folder: Path) -> Iterator[int]:
    """A mosquitto that keeps everything it is given; nothing in it is measured."""
    port = _free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\n"
        "max_queued_messages 0\npersistence false\nset_tcp_nodelay true\nlog_type error\n"
    )
    process = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", config])
    try:
        _await(lambda: _listens(port), "mosquitto listens")
        yield port
    finally:
        _end(process)


@contextmanager
def _influxdb(folder: Path) -> Iterator[dict[str, str]]:
    url = os.environ.get("COURTYARD_TEST_INFLUXDB_URL")
    if url:
        yield {
            "COURTYARD_INFLUXDB_URL": url,
            **{
                f"COURTYARD_INFLUXDB_{name}": os.environ[f"COURTYARD_TEST_INFLUXDB_{name}"]
                for name in ("TOKEN", "ORG", "BUCKET")
            },
        }
        return
    port = _free_port()
    process = subprocess.Popen(
        ["influxd", "run", "--http-bind-address", f"127.0.0.1:{port}", "--reporting-disabled",
         "--bolt-path", str(folder / "bolt"), "--engine-path", str(folder / "engine"),
         "--sqlite-path", str(folder / "sqlite"), "--log-level", "error"],
        cwd=folder,
    )  # fmt: skip
    try:
        _await(lambda: _listens(port), "influxd listens")
        body = {"username": "bench", "password": "bench-password", "org": "courtyard",
                "bucket": "courtyard", "token": "bench-token"}  # fmt: skip
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v2/setup", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=30).read()
        yield {
            "COURTYARD_INFLUXDB_URL": f"http://127.0.0.1:{port}",
            "COURTYARD_INFLUXDB_TOKEN": "bench-token",
            "COURTYARD_INFLUXDB_ORG": "courtyard",
            "COURTYARD_INFLUXDB_BUCKET": "courtyard",
        }
    finally:
        process.kill()
        process.wait(10)


def _median(of: list[Measured]) -> Measured:
    return sorted(of, key=lambda measured: measured.cpu_us)[len(of) // 2]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    for line in status.splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _metric(url: str, name: str) -> float:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return -1
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    return -1


def _await(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {timeout_s} s: {what}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


if __name__ == "__main__":
    main()
