"""`courtyard doctor`: what courtyard talks to and works by here, looked at one by one.

Each check gives findings; a bad one says what to do. Nothing is changed, and nothing is made.
"""

import fcntl
import json
import socket
import sqlite3
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
from sqlalchemy.exc import DBAPIError

from api.reports.fonts import ReportsUnusable, find_font
from courtyard.audit import told
from courtyard.broker_address import broker_address
from courtyard.errors import DONE, FAILED
from courtyard.settings import LEAST_TELEMETRY_RETENTION, Settings, format_duration
from courtyard.stores import open_telemetry, short
from devices.rule_files import SHOWN, read_what_fits
from devices.store import rule_sets
from devices.store.audit_log import verify
from devices.store.database import DatabaseUnusable, check, open_database, reading, wal_is_safe
from devices.store.journal import JournalError, JournalMissing, JournalReader
from devices.store.registry import load
from devices.store.telemetry import TelemetryStore
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import TelemetryError, TelemetryRefused
from ingest.broker_url import BrokerAddress

TIMEOUT_S = 5.0

_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it refuses the client id",
    3: "it says that its service is unavailable",
    4: "user name or password are wrong",
    5: "this user may not connect",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. good: None for a remark that is neither."""

    subject: str
    good: bool | None
    text: str

    def __str__(self) -> str:
        mark = {True: "ok  ", False: "BAD ", None: "note"}[self.good]
        return f"{mark}  {self.subject:<10} {self.text}"


def examine(settings: Settings, tell: Callable[[str], object]) -> int:
    """Runs every check, tells each finding, and gives the exit code."""
    code = DONE
    for look in CHECKS:
        for finding in look(settings):
            tell(str(finding))
            if finding.good is False:
                code = FAILED
    return code


def data_directory(settings: Settings) -> Iterable[Finding]:
    directory = settings.data_dir
    if not directory.is_dir():
        text = f"{directory} does not exist yet; the first command that needs it makes it"
        yield Finding("data", None, text)
        return
    mode = directory.stat().st_mode & 0o777
    if mode & 0o077:
        text = f"{directory} can be read by others (mode {mode:o}): chmod 700 {directory}"
        yield Finding("data", False, text)
    else:
        yield Finding("data", True, f"{directory}, for its owner alone")


def sqlite_libraries(_settings: Settings) -> Iterable[Finding]:
    own = tuple(int(part) for part in apsw.sqlite_lib_version().split(".")[:3])
    for name, version, use in (
        ("apsw", own, "journal, embedded telemetry"),
        ("Python", sqlite3.sqlite_version_info, "embedded operational database"),
    ):
        text = f"{name} has {'.'.join(map(str, version))} ({use})"
        if wal_is_safe((version[0], version[1], version[2])):
            yield Finding("sqlite", True, text)
        elif name == "Python":
            text += ", with the WAL-reset bug; a rollback journal is used there instead"
            yield Finding("sqlite", None, text)
        else:
            text += ", with the WAL-reset bug, which can corrupt the file: install apsw >= 3.51.3"
            yield Finding("sqlite", False, text)


def operational_database(settings: Settings) -> Iterable[Finding]:
    if settings.is_database_embedded and not (settings.data_dir / "courtyard.db").exists():
        text = f"{settings.database} does not exist yet; the first command that needs it makes it"
        yield Finding("database", None, text)
        return
    try:
        engine = open_database(settings.database)
        try:
            check(engine)
            shown = engine.url.render_as_string(hide_password=True)
        finally:
            engine.dispose()
    except DatabaseUnusable as error:
        yield Finding("database", False, str(error))
    except DBAPIError as error:
        yield Finding("database", False, f"does not answer: {short(error)}")
    else:
        yield Finding("database", True, f"{shown} answers and is up to date")


def audit_log(settings: Settings) -> Iterable[Finding]:
    """Whether anybody changed the audit log. A database that is away has its own check."""
    if settings.is_database_embedded and not (settings.data_dir / "courtyard.db").exists():
        return
    try:
        engine = open_database(settings.database)
        try:
            check(engine)
            verdict = verify(engine)
        finally:
            engine.dispose()
    except (DatabaseUnusable, DBAPIError):
        return
    yield Finding("audit log", verdict.broken is None, told(verdict))


def rules(settings: Settings) -> Iterable[Finding]:
    """The rule file in force: what of it the catalogue or the registry of today does not know.

    The judge uses the rest of it. A database that does not answer is told of by its own check.
    """
    if settings.is_database_embedded and not (settings.data_dir / "courtyard.db").exists():
        return
    try:
        engine = open_database(settings.database)
        try:
            check(engine)
            with reading(engine) as connection:
                known, registry = rule_sets.newest(connection), load(connection)
        finally:
            engine.dispose()
    except (DatabaseUnusable, DBAPIError):
        return
    if not known.number:
        yield Finding("rules", None, "no rule file was imported: the catalogue's figures hold")
        return
    overrides, problems = read_what_fits(known.body, registry, number=known.number)
    for problem in problems[:SHOWN]:
        yield Finding("rules", False, f"rule set {known.number}, {problem}")
    if problems:
        more = len(problems) - SHOWN
        text = f"{more} more are wrong; " if more > 0 else ""
        text += "mend them in `courtyard rules export FILE`, then `courtyard rules import FILE`"
        yield Finding("rules", None, text)
    else:
        text = f"rule set {known.number} is in order: {len(overrides.changes)} figures changed"
        yield Finding("rules", True, text)


def telemetry(settings: Settings) -> Iterable[Finding]:
    if not settings.influxdb_url and not settings.telemetry_path.exists():
        text = f"{settings.telemetry_path} does not exist yet; ingest makes it"
        yield Finding("telemetry", None, text)
        return
    place = settings.influxdb_url or str(settings.telemetry_path)
    try:
        store = open_telemetry(settings)
        try:
            store.ready()
            kept = list(_kept(settings, store))
        finally:
            store.close()
    except TelemetryError as error:
        yield Finding("telemetry", False, f"{place}: {error}")
    else:
        yield Finding("telemetry", True, f"{place} answers")
        yield from kept


def _kept(settings: Settings, store: TelemetryStore) -> Iterator[Finding]:
    """For how long readings are kept, and whether that is enough and as it is set."""
    wanted = settings.readings_kept
    if isinstance(store, EmbeddedTelemetry):
        oldest_ms = store.oldest_ms()
        text = f"readings are kept for {format_duration(wanted)}"
        if oldest_ms is not None:
            text += f"; the oldest is of {datetime.fromtimestamp(oldest_ms / 1000, UTC):%Y-%m-%d}"
        yield Finding("retention", True, text)
        return
    from devices.store.telemetry.influxdb import InfluxTelemetry  # loads a large client

    assert isinstance(store, InfluxTelemetry)
    try:
        rule_s = store.retention_s()
    except TelemetryRefused as error:
        text = f"{error}; let the token read the bucket to see for how long it keeps readings"
        yield Finding("retention", None, text)
        return
    rule = "for ever" if rule_s is None else f"for {format_duration(timedelta(seconds=rule_s))}"
    text = f"the bucket keeps readings {rule}"
    mend = (
        "set COURTYARD_INFLUXDB_SET_RETENTION=true, or the bucket's rule by hand (`influx bucket"
        " update --retention`)"
    )
    if rule_s is not None and rule_s < LEAST_TELEMETRY_RETENTION.total_seconds():
        least = format_duration(LEAST_TELEMETRY_RETENTION)
        text += f", less than {least}: usage that is provisional cannot be worked out again; {mend}"
        yield Finding("retention", False, text)
    elif rule_s != wanted.total_seconds():
        text += f", and COURTYARD_TELEMETRY_RETENTION is {format_duration(wanted)}: {mend}"
        yield Finding("retention", None, text)
    else:
        yield Finding("retention", True, text)


def journal(settings: Settings) -> Iterable[Finding]:
    holder = lock_holder(settings.journal_path)
    try:
        with JournalReader(settings.journal_path) as reader:
            head = reader.head()
            size_mb = reader.size_bytes() / 1e6
    except JournalMissing:
        text = f"there is none at {settings.journal_path} yet; ingest makes it"
        yield Finding("journal", None, text)
        return
    except JournalError as error:
        yield Finding("journal", False, str(error))
        return
    text = f"{settings.journal_path}, {head.jseq} messages ever, {size_mb:.1f} MB on disk"
    yield Finding("journal", True, text)
    if holder is None:
        yield Finding("ingest", None, "is not running: nobody holds the journal")
    else:
        yield Finding("ingest", True, f"is running: process {holder} holds the journal")


def broker(settings: Settings) -> Iterable[Finding]:
    if not settings.broker_url.get_secret_value():
        yield from _embedded_broker(settings)
        return
    url = broker_address(settings)
    trouble = try_broker(url)
    if trouble is None:
        yield Finding("broker", True, f"{url.host}:{url.port} lets us in")
    else:
        yield Finding("broker", False, f"{url.host}:{url.port}: {trouble}")


def _embedded_broker(settings: Settings) -> Iterator[Finding]:
    file = settings.data_dir / "broker.json"
    try:
        running = json.loads(file.read_text("utf-8"))
        url = BrokerAddress(running["host"], running["port"])
    except (OSError, ValueError, KeyError):
        text = "embedded; it runs while ingest or the demo does, and neither is running"
        yield Finding("broker", None, text)
        return
    trouble = try_broker(url)
    where = f"embedded {running['name']} at {url.host}:{url.port}"
    if trouble is None:
        yield Finding("broker", True, f"{where} lets us in")
    else:
        yield Finding("broker", False, f"{where}: {trouble}; restart ingest")


def reports(settings: Settings) -> Iterable[Finding]:
    try:
        family = find_font(settings.fonts).family
        yield Finding("reports", True, f"PDF reports are set in {family}")
    except ReportsUnusable as error:
        # everything else works without, unless somebody asked for this font
        yield Finding("reports", None if settings.fonts is None else False, str(error))


CHECKS: tuple[Callable[[Settings], Iterable[Finding]], ...] = (
    data_directory,
    sqlite_libraries,
    operational_database,
    audit_log,
    rules,
    journal,
    telemetry,
    broker,
    reports,
)


def lock_holder(path: Path) -> int | None:
    """The process that writes the journal at `path`; 0 if it does not say, None for nobody."""
    try:
        with path.with_name(f"{path.name}.lock").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read(32).strip()
                return int(text) if text.isdigit() else 0
    except FileNotFoundError:
        pass
    return None


def try_broker(url: BrokerAddress) -> str | None:
    """Connects and logs in over MQTT 3.1.1, which every broker speaks; what is wrong, or None.

    With a client id of its own and a clean session, so it takes nobody's place.
    """
    try:
        plain = socket.create_connection((url.host, url.port), TIMEOUT_S)
        with plain:
            plain.settimeout(TIMEOUT_S)
            stream = plain
            if url.tls:
                context = ssl.create_default_context(cafile=url.cafile)
                stream = context.wrap_socket(plain, server_hostname=url.host)
            stream.sendall(_connect_packet(url))
            answer = stream.recv(4)
            stream.sendall(b"\xe0\x00")  # DISCONNECT
    except ConnectionRefusedError:
        return "nothing listens there: start the broker, or mend COURTYARD_BROKER_URL"
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s: is a firewall between?"
    except (OSError, ssl.SSLError) as error:
        return str(error)
    if len(answer) != 4 or answer[0] != 0x20:
        return "what answers there is no MQTT broker"
    return _REFUSALS.get(answer[3], f"it refuses us with code {answer[3]}") if answer[3] else None


def _connect_packet(url: BrokerAddress) -> bytes:
    """CONNECT of MQTT 3.1.1 (section 3.1 of the standard)."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return len(raw).to_bytes(2, "big") + raw

    flags, body = 0x02, text("courtyard-doctor")  # clean session
    if url.username is not None:
        flags |= 0x80
        body += text(url.username)
        if url.password is not None:
            flags |= 0x40
            body += text(url.password)
    packet = text("MQTT") + bytes([4, flags, 0, 10]) + body
    length = len(packet)
    size = b""
    while True:
        length, low = length >> 7, length & 0x7F
        size += bytes([low | (0x80 if length else 0)])
        if not length:
            return b"\x10" + size + packet
