"""`courtyard demo`: the whole system in one terminal, made of the commands that production runs.

The broker is a child of this process, and the chat robots that alerts are sent to are in it;
ingest, api, alerts, simulate and the back-fill are processes under a supervisor. Ctrl-C ends them
against the flow: the fleet falls silent, ingest commits what arrived, the API and the broker go
last. A second Ctrl-C does not wait.
"""

import os
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import structlog
import typer
from sqlalchemy import Connection

from courtyard.broker import BrokerUnavailable, EmbeddedBroker
from courtyard.clock import now_ms
from courtyard.demo_robots import start_robots
from courtyard.errors import CommandError, UsageError
from courtyard.history import plan_history, read_plan
from courtyard.listening import listen
from courtyard.settings import ALERTS_METRICS_PORT, INGEST_METRICS_PORT, Settings
from courtyard.signals import stop_on_signals
from courtyard.simulation import District
from courtyard.stores import open_operational
from courtyard.supervisor import Program, Supervisor
from devices.registry import Registry
from devices.store import tokens
from devices.store.database import writing
from devices.store.registry import load, save
from simulators.robots import Robots

VENDORS = 0.1  # share of sheds and lamp circuits that speak a vendor's format
SEED = 1
ONE_FIRM = "yaxin"
ROBOTS_HOST = "127.0.0.1"
READY_WITHIN_S = 30.0
LOOK_EVERY_S = 0.1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was in the database, or was put there. tokens: for the operator and for one firm."""

    registry: Registry
    tokens: dict[str, str]
    has_history: bool


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo is found: URLs without a path. robots: what people are told shows there."""

    console: str
    ingest: str
    broker: str
    robots: str


def run_demo(settings: Settings, compounds: int | None) -> int:
    """Runs until Ctrl-C; gives the exit code. Raises CommandError if it cannot begin."""
    stop = threading.Event()
    listen(settings.api_host, settings.api_port).close()  # a taken port is said before all else
    if settings.broker_url.get_secret_value():
        raise CommandError("COURTYARD_BROKER_URL: the demo runs its own broker; unset it")
    prepared = prepare(settings, District(compounds=compounds, seed=SEED, vendors=VENDORS))
    broker = EmbeddedBroker(settings.data_dir)
    supervisor: Supervisor | None = None

    def end_now() -> None:
        if supervisor is not None:
            supervisor.kill()

    stop_on_signals(stop, again=end_now)
    try:
        running = broker.start()
    except BrokerUnavailable as error:
        raise CommandError(str(error)) from None
    robots = _robots(settings, prepared)
    try:
        metrics_port = _free(settings.metrics_host, settings.metrics_port_or(INGEST_METRICS_PORT))
        places = Places(
            console=_url("http", settings.api_host, settings.api_port),
            ingest=_url("http", settings.metrics_host, metrics_port),
            broker=_url("mqtt", running.host, running.port),
            robots=robots.url,
        )
        allowed = ",".join(filter(None, (settings.alerts_allow, ROBOTS_HOST)))
        environ = {
            **os.environ,
            "COURTYARD_DATA_DIR": str(settings.data_dir),
            "COURTYARD_API_PORT": str(settings.api_port),
            "COURTYARD_METRICS_PORT": str(metrics_port),
            "COURTYARD_BROKER_URL": places.broker,
            "COURTYARD_ALERTS_ALLOW": allowed,
            "COURTYARD_PUBLIC_URL": settings.public_url or places.console,
        }
        alerts_port = _free(settings.metrics_host, ALERTS_METRICS_PORT)
        supervisor = Supervisor(programs(compounds, prepared, alerts_port), environ, stop)
        greeter = threading.Thread(
            target=_greet,
            args=(settings, prepared, places, stop),
            name="greeter",
            daemon=True,
        )
        greeter.start()
        return supervisor.run()
    finally:
        robots.stop()
        broker.stop()


def _robots(settings: Settings, prepared: Prepared) -> Robots:
    engine = open_operational(settings)
    try:
        return start_robots(engine, ONE_FIRM if ONE_FIRM in prepared.registry.firms else None)
    finally:
        engine.dispose()


def programs(compounds: int | None, prepared: Prepared, alerts_port: int) -> list[Program]:
    """The processes, in the order in which they start; they end in the reverse order."""
    courtyard = [sys.executable, "-m", "courtyard"]
    fleet = ["--seed", str(SEED), "--vendors", str(VENDORS), "--rates", "demo"]
    if compounds is not None:
        fleet += ["--compounds", str(compounds)]
    wanted = [
        Program("api", [*courtyard, "api", "--demo", "--with-parent"]),
        Program("ingest", [*courtyard, "ingest", "--with-parent"]),
        Program(
            "alerts",
            [*courtyard, "alerts", "--with-parent"],
            delay_s=2.0,
            environ={"COURTYARD_METRICS_PORT": str(alerts_port)},
        ),
        # after ingest has subscribed: then the fleet's births are news and not retained copies
        Program("simulate", [*courtyard, "simulate", *fleet, "--with-parent"], delay_s=3.0),
    ]
    if prepared.has_history:
        backfill = [*courtyard, "backfill", "--with-parent"]
        wanted.append(Program("history", backfill, once=True, tries=5, delay_s=6.0))
    return wanted


def prepare(settings: Settings, district: District) -> Prepared:
    """The database with a registry, tokens and, if it was empty, a history to fill in.

    Raises UsageError where an earlier demo left another number of compounds: a fleet of more would
    be strangers to the registry, and with fewer the others would all fall silent.
    """
    engine = open_operational(settings)
    try:
        with writing(engine) as connection:
            registry = load(connection)
            if not registry.devices:
                save(connection, district.registry(), now_ms())
                registry = load(connection)
                plan_history(connection, district, now_ms())
            plan = read_plan(connection)
            if plan is not None and plan.compounds != district.compounds:
                was = "" if plan.compounds is None else f" --compounds {plan.compounds}"
                raise UsageError(
                    f"--compounds: {settings.data_dir} holds what `courtyard demo{was}` began;"
                    " start it the same way, or set COURTYARD_DATA_DIR to another directory"
                )
            known = {
                name: _token(connection, settings.data_dir / f"token-{name}", role, firm)
                for name, role, firm in (
                    ("operator", "operator", None),
                    (ONE_FIRM, "firm", ONE_FIRM),
                )
                if firm is None or firm in registry.firms
            }
        return Prepared(registry, known, plan is not None and not plan.finished)
    finally:
        engine.dispose()


def _token(connection: Connection, file: Path, role: str, firm: str | None) -> str:
    """The demo's token in `file`, which only its owner can read; a new one if it does not work."""
    if file.exists():
        known = file.read_text("ascii").strip()
        if tokens.identify(connection, known, now_ms()) is not None:
            return known
        file.unlink()
    token = tokens.create(connection, role, firm, "demo", now_ms())
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(token + "\n")
    return token


def _free(host: str, port: int) -> int:
    """`port` if nobody listens there, else a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (port, 0):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CommandError(f"COURTYARD_METRICS_HOST: cannot listen on {host}")


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _greet(settings: Settings, prepared: Prepared, places: Places, stop: threading.Event) -> None:
    """Says what to open as soon as it can be opened."""
    url = places.console
    waited_s = 0.0
    while not _answers(f"{url}/livez"):
        if stop.wait(LOOK_EVERY_S):
            return
        waited_s += LOOK_EVERY_S
        if waited_s >= READY_WITHIN_S:
            log.error("console_does_not_answer", url=url, within_s=READY_WITHIN_S)
            return
    typer.echo(greeting(settings, prepared, places))


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own API
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def greeting(settings: Settings, prepared: Prepared, places: Places) -> str:
    """What the demo prints once it runs."""
    registry = prepared.registry
    gate = next(device for device in registry.devices.values() if device.kind == "gate")
    topic = f"courtyard/v1/{gate.compound}/gate/{gate.id}/telemetry"
    url, broker = places.console, urlsplit(places.broker)
    lines = [
        "",
        f"  Courtyard 楼院: {len(registry.compounds)} compounds, {len(registry.devices)} devices,"
        " simulated",
        "",
        f"  console   {url}/",
        f"  API       {url}/docs",
        f"  alerts    {places.robots}/  what the chat robots, which are simulated too, were sent",
        f"  broker    {places.broker}",
        f"  metrics   {url}/metrics of the API, {places.ingest}/metrics of ingest",
        "",
        "  From this machine everything can be looked at without logging in. To act, log in at",
        f"  {url}/login with a token, or send it as `Authorization: Bearer …`:",
        "",
        *(f"  {name:<9} {token}" for name, token in prepared.tokens.items()),
        f"            (kept in {settings.data_dir}/token-*)",
        "",
        "  Force a gate by hand, and see the fault:",
        "",
        f"    mosquitto_pub -h {broker.hostname} -p {broker.port} -q 1 -t {topic} \\",
        '      -m \'{"values": {"tamper": true}}\'',
        f"    curl '{url}/v1/faults?device={gate.id}'",
        "",
    ]
    if prepared.has_history:
        lines += ["  A week of history is being filled in behind this; see the log.", ""]
    lines += ["  Ctrl-C ends everything.", ""]
    return "\n".join(lines)
