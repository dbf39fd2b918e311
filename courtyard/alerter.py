"""`courtyard alerts`: fault events on their way to people, in a process of its own."""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from sqlalchemy import Engine

from alerts.channels import channels
from alerts.channels.email import Smtp, parse_smtp
from alerts.escalation import Escalator
from alerts.handing_on import HandingOn
from alerts.outgoing import Outgoing, parse_allowed
from alerts.pulse import Pulse
from alerts.router import Router
from alerts.sender import Sender
from alerts.summaries import Summaries
from alerts.unheard import Unheard
from alerts.worker import Timely, Worker
from courtyard.clock import now_ms
from courtyard.errors import DONE, FAILED
from courtyard.metrics import Gathered, counter, gauge, serve
from courtyard.settings import ALERTS_METRICS_PORT, Settings
from courtyard.signals import stop_on_signals, stop_with_parent
from courtyard.stores import Stopped, await_operational, make_data_dir
from devices.alerts import ChannelName
from devices.store.alerts_health import read_health
from devices.store.database import answering, reading
from devices.store.deliveries import counted
from devices.store.scope import DISTRICT

STOP_S = 8.0
LOOK_S = 5.0
STUCK_S = 120.0  # longer than a database may hold up a round
KEY_BYTES = 8

log = structlog.get_logger()


def run_alerts(settings: Settings, *, with_parent: bool) -> int:
    """Runs until SIGTERM or SIGINT; gives the exit code."""
    stop = threading.Event()
    stop_on_signals(stop)
    if with_parent:
        stop_with_parent(stop)
    make_data_dir(settings)
    registry = CollectorRegistry()
    port = settings.metrics_port_or(ALERTS_METRICS_PORT)
    end_metrics = serve(settings.metrics_host, port, registry)
    try:
        engine = await_operational(settings, stop)
    except Stopped:
        end_metrics()
        return DONE
    try:
        with Name(settings.data_dir / "alerts.lock") as me:
            return _run(settings, engine, registry, me, stop)
    finally:
        end_metrics()
        engine.dispose()


def _run(
    settings: Settings, engine: Engine, registry: CollectorRegistry, me: str, stop: threading.Event
) -> int:
    figures = Figures(registry)
    sender = Sender(
        engine,
        channels(mail_server(settings)),
        outgoing(settings),
        now_ms,
        me=me,
        console=settings.public_url or None,
        told=figures.told,
    )
    timely: list[Timely] = [
        HandingOn(engine, now_ms),
        Escalator(engine, now_ms),
        Summaries(engine, now_ms),
        Pulse(engine, now_ms),
    ]
    worker = Worker(Router(engine, now_ms), sender, Unheard(engine), now_ms, timely)
    registry.register(
        Gathered({"deliveries": lambda: _waiting(engine), "rounds": lambda: _rounds(worker)})
    )
    failed = threading.Event()

    def work() -> None:
        try:
            worker.run(stop)
        except Exception:
            log.exception("alerts_died")
            failed.set()
            stop.set()

    thread = threading.Thread(target=work, name="alerts", daemon=True)
    thread.start()
    log.info("alerts_follow_faults", as_=me)
    if not watched(stop, lambda: worker.rounds):
        log.error("alerts_stuck", no_round_within_s=STUCK_S)  # whoever restarts us helps
        stop.set()
        return FAILED
    thread.join(STOP_S)
    return FAILED if failed.is_set() or thread.is_alive() else DONE


def watched(
    stop: threading.Event,
    rounds: Callable[[], int],
    *,
    look_s: float = LOOK_S,
    stuck_s: float = STUCK_S,
) -> bool:
    """Wait until `stop`; False: before that, `rounds` has stood still for stuck_s."""
    known, since_s = rounds(), time.monotonic()
    while not stop.wait(look_s):
        newest = rounds()
        if newest != known:
            known, since_s = newest, time.monotonic()
        elif time.monotonic() - since_s > stuck_s:
            return False
    return True


def outgoing(settings: Settings) -> Outgoing:
    """What may leave this house."""
    return Outgoing(parse_allowed(settings.alerts_allow))


def mail_server(settings: Settings) -> Smtp | None:
    url = settings.smtp_url.get_secret_value()
    return parse_smtp(url) if url else None


def _waiting(engine: Engine) -> Iterable[Metric]:
    at_ms = now_ms()
    with answering(), reading(engine) as connection:
        pending, unrouted = counted(connection, at_ms)
        health = read_health(connection, DISTRICT, at_ms)
    yield gauge("courtyard_deliveries_pending", "Still to be sent.", {(): pending})
    yield gauge("courtyard_fault_events_unrouted", "Due, and not decided on.", {(): unrouted})
    yield gauge(
        "courtyard_fault_events_unrouted_seconds",
        "How long the oldest of them has been due.",
        {(): health.behind_ms / 1000},
    )
    yield gauge(
        "courtyard_targets_broken",
        "Targets to which nothing is sent until a person has mended something.",
        {(): health.broken},
    )


def _rounds(worker: Worker) -> Iterable[Metric]:
    yield counter(
        "courtyard_alerts_rounds", "Rounds gone through since the start.", {(): worker.rounds}
    )


class Figures:
    """`courtyard_deliveries_total{channel,outcome}`, and how long people waited."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = Counter(
            "courtyard_deliveries",
            "Deliveries that arrived, and tries that did not.",
            ["channel", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "courtyard_delivery_seconds",
            "From the decision to tell a target to its accepting the message.",
            ["channel"],
            buckets=(0.1, 0.3, 1, 2, 5, 15, 60, 300, 3600),
            registry=registry,
        )

    def told(self, channel: ChannelName, outcome: str, waited_s: float) -> None:
        self._outcomes.labels(channel.value, outcome).inc()
        if outcome == "delivered":
            self._seconds.labels(channel.value).observe(waited_s)


class Name:
    """Under which this process leases targets.

    The first on a machine has the machine's name, so that one that was killed takes its own leases
    back at once; a second one beside it has a name of its own. A kernel lock tells them apart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def __enter__(self) -> str:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return token_hex(KEY_BYTES)
        return socket.gethostname()[:40]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
