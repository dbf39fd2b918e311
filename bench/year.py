"""The whole district with a year behind it: what pages are measured on.

225 compounds with 12,387 endpoints, 20,000 faults with their events and deliveries, 1.2 million
charging sessions, usage by hour of the newest days with sums of all 365, 20,000 rows of the audit
log, 5,000 refused messages, people, targets, rosters and windows as a district has them. In five
compounds, those that are asked for, a month of readings and every socket's sessions of a year.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from fastapi import FastAPI
from psycopg.types.json import Json
from sqlalchemy import JSON, Connection, Engine, delete, func, insert, select, update

from api.app import create_app
from api.console.last_day import LastDay
from api.parts import Dependencies
from bench import usage
from courtyard.journals import FollowedJournal
from courtyard.mappings import field_tables
from courtyard.web import JournalForApi
from devices import audit
from devices.credentials import Seal
from devices.journal import MESSAGES, Raw
from devices.links import link_of, sign
from devices.registry import Compound, Device
from devices.store import audit_log, tokens
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.journal import Draft, JournalWriter
from devices.store.links import make_key
from devices.store.schema import (
    audit_head,
    deliveries,
    fault_events,
    faults,
    metadata,
    quarantine,
    sessions,
    targets,
)
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.usage_days import UsageDays
from devices.store.usage_peaks import Used, forget_peaks, used_span
from devices.telemetry import Point
from simulators import erqi
from tests.api import cast, district
from tests.api.cast import DAY_MS, HOUR_MS, JOURNAL, NOW_MS, SECRET

ASKED_COMPOUNDS = 5
RATE = 33  # messages a second of the whole district
READ_DAYS = 31
SESSIONS_A_DAY = 3  # of a socket of the compounds that are asked for
AUDITED, REFUSED, PEOPLE, TARGETS, ROSTERS, WINDOWS = 20_000, 5_000, 90, 30, 12, 200
PAYLOAD = (
    b'{"ts":1795399200123,"boot":7,"seq":1841,"values":{"power_w":182.4,"voltage_v":228.7,'
    b'"board_temp_c":31.0,"csq":22}}'
)
FIRMS = ("kangqiao", "yaxin", "zhengmei")


@dataclass(frozen=True, slots=True)
class Year:
    """What was filled in. asked: the devices of the compounds that are asked for; link: a token."""

    asked: Sequence[Device]
    tokens: dict[str, str]
    link: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A database and stores that are filled, and the application over them."""

    url: str
    folder: Path
    engine: Engine
    app: FastAPI
    year: Year


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that `standing` takes."""
    parser.add_argument("--hours", type=int, default=8, help="of the journal (8)")
    parser.add_argument("--hours-days", type=int, default=31, help="days with hours of usage (31)")
    parser.add_argument("--database", default="sqlite", help="sqlite (default) or postgresql")
    parser.add_argument("--keep", type=Path, default=None, help="folder of an SQLite database")


@contextmanager
def standing(asked: argparse.Namespace) -> Iterator[Standing]:
    """Everything filled in, in the folder that was asked for, or in one of its own."""
    with ExitStack() as stack:
        folder: Path | None = asked.keep
        if folder is None:
            made = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-year-"))
            folder = Path(made)
        folder.mkdir(exist_ok=True)
        url = filled = f"sqlite:///{folder / 'courtyard.db'}"
        if asked.database != "sqlite":
            url = usage.database(asked.database, stack)
        engine = open_database(url)
        stack.callback(engine.dispose)
        if url != filled and (folder / "courtyard.db").exists():
            _told("copied from SQLite", lambda: _copy(open_database(filled), engine))
        had_readings = (folder / "telemetry.db").exists()
        telemetry = EmbeddedTelemetry(folder / "telemetry.db")
        stack.callback(telemetry.close)
        found = fill(engine, None if had_readings else telemetry, asked.hours_days)
        if not (folder / "journal.db").exists():
            _journal(folder / "journal.db", asked.hours)
        journal = FollowedJournal(folder / "journal.db")
        stack.callback(journal.close)
        head = journal.head()
        with writing(engine) as connection:  # the judge has read all of it
            read = {"position": head.id, "jseq": head.jseq, "journal_id": head.journal_id}
            cast.a_judge(connection, **read)
        app = application(engine, telemetry, journal)
        last_day: LastDay = app.state.last_day
        while last_day.read_some():  # as its task does in the API, which does not run here
            pass
        last_day.is_kept_new = True
        yield Standing(url, folder, engine, app, found)


def _copy(source: Engine, to: Engine) -> None:
    """Everything of an SQLite database that was filled, into an empty PostgreSQL."""
    upgrade(source)
    upgrade(to)
    with reading(source) as connection, writing(to) as into:
        into.exec_driver_sql("SET LOCAL session_replication_role = replica")  # in any order
        into.exec_driver_sql("SET LOCAL statement_timeout = 0")
        driver: Any = into.connection.driver_connection
        for table in metadata.sorted_tables:
            into.execute(delete(table))
            names = ", ".join(f'"{column.name}"' for column in table.c)
            are_json = [isinstance(column.type, JSON) for column in table.c]
            rows = connection.execution_options(stream_results=True).execute(select(table))
            with driver.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
                for row in rows:
                    values = zip(row, are_json, strict=True)
                    copy.write_row([Json(value) if is_json else value for value, is_json in values])
            for column in table.c:
                if column is table.autoincrement_column:
                    into.exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'),"
                        f" (SELECT coalesce(max({column.name}), 0) + 1 FROM {table.name}), false)"
                    )


def application(engine: Engine, telemetry: EmbeddedTelemetry, journal: FollowedJournal) -> FastAPI:
    """The API at the moment at which everything stands."""
    return create_app(
        Dependencies(
            engine=engine,
            telemetry=telemetry,
            journal=JournalForApi(journal, Seal(SECRET)),
            clock=lambda: NOW_MS,
            secret_key=SECRET,
            demo=False,
            version="bench",
            field_tables=field_tables(),
        )
    )


def chosen() -> list[Device]:
    """The devices of the first compounds of each firm that have sheds."""
    registry = erqi.registry()
    having = sorted({one.compound for one in registry.devices.values() if one.kind == "shed"})
    taken = having[:ASKED_COMPOUNDS]
    for firm in FIRMS:  # each firm is asked for something
        own = [name for name in having if registry.compounds[name].firm == firm]
        if not set(own) & set(taken):
            taken.append(own[0])
    return [device for device in registry.devices.values() if device.compound in taken]


def fill(engine: Engine, telemetry: EmbeddedTelemetry | None, hours_days: int) -> Year:
    """Everything that is not there yet; what is there is left as it is."""
    upgrade(engine)
    asked = chosen()
    with reading(engine) as connection:
        is_empty = connection.scalar(select(func.count()).select_from(faults)) == 0
    if is_empty:
        _told("registry, states and faults", lambda: district.fill(engine))
    usage.generate(engine, 225, 365, hours_days, seed=7)
    with reading(engine) as connection:
        is_bare = connection.scalar(select(func.count()).select_from(targets)) == 0
    if is_bare:
        _told("sessions of the compounds asked for", lambda: _all_sessions(engine, asked))
        _told("people, deliveries, audit log and refusals", lambda: _paperwork(engine))
    _told("peaks of days", lambda: _peaks(engine))
    if telemetry is not None:
        _told("readings of a month", lambda: _all_readings(telemetry, asked))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("VACUUM ANALYZE")  # as autovacuum has in a year
            connection.exec_driver_sql("RESET statement_timeout")
    with writing(engine) as connection:
        held = {"operator": tokens.create(connection, "operator", None, "bench", NOW_MS)}
        for firm in FIRMS:
            held[firm] = tokens.create(connection, "firm", firm, f"bench-{firm}", NOW_MS)
        link = _link(connection)
    return Year(asked, held, link)


def _told(what: str, work: Callable[[], None]) -> None:
    begun_s = time.monotonic()
    work()
    print(f"{what} in {time.monotonic() - begun_s:.0f} s", flush=True)


def _all_sessions(engine: Engine, asked: Sequence[Device]) -> None:
    rng = Random(3)
    for device in asked:
        if device.kind == "port":
            rows = list(_sessions(device, rng))
            with writing(engine) as connection:
                connection.execute(insert(sessions), rows)
                forget_peaks(connection, {}, {str(row["id"]): _used(row) for row in rows})


def _used(row: Mapping[str, Any]) -> Used:
    span = used_span(row["started_at_ms"], row["ended_at_ms"], row["duration_s"])
    return Used(row["compound"], span)


def _peaks(engine: Engine) -> None:
    """Of all days that have none, as the worker makes them."""
    days = UsageDays(engine)
    for compound in days.without_peaks():
        days.build_peaks(compound)


def _sessions(port: Device, rng: Random) -> Iterator[dict[str, object]]:
    for n in range(365 * SESSIONS_A_DAY):
        begins = NOW_MS - n * DAY_MS // SESSIONS_A_DAY - 8 * HOUR_MS
        lasted_s = rng.randrange(3600, 6 * 3600)
        yield {
            "id": f"{port.id}-{n}",
            "stream": "live",
            "compound": port.compound,
            "shed": port.parent,
            "port": port.id,
            "order": f"{port.id}-{n}",
            "state": "closed",
            "started_at_ms": begins,
            "ended_at_ms": begins + lasted_s * 1000,
            "duration_s": lasted_s,
            "energy_kwh": 0.6,
            "fee_fen": 80,
            "stop_reason": "full",
            "native_reason": "0",
            "ended_by": "device",
            "provisional": False,
            "register_kwh": 0.6,
            "register_known": 1.0,
            "power_kwh": 0.6,
            "power_known": 1.0,
        }


def _all_readings(telemetry: EmbeddedTelemetry, asked: Sequence[Device]) -> None:
    rng = Random(4)
    for device in asked:
        if device.kind in ("port", "shed", "gate"):
            telemetry.write(list(_readings(device, rng)))


def _readings(device: Device, rng: Random) -> Iterator[Point]:
    step_ms = device.interval_s * 1000
    for at_ms in range(NOW_MS - READ_DAYS * DAY_MS, NOW_MS, step_ms):
        level = rng.random()
        fields: dict[str, float | int | bool | str] = {"csq": 20}
        match device.kind:
            case "port":
                fields = {"power_w": 180 + level, "port_temp_c": 30 + level}
                fields["port_status"] = "in_use"
            case "shed":
                fields = {"voltage_v": 228 + level, "board_temp_c": 31 + level, "csq": 22}
            case "gate":
                fields = {"door_state": "closed", "csq": 22, "mains_ok": True}
        yield Point(device.kind, device.compound, device.id, at_ms, fields)


def _paperwork(engine: Engine) -> None:
    """What people have made in a year, and what was refused."""
    registry = erqi.registry()
    names = sorted(registry.compounds)
    rng = Random(5)
    with writing(engine) as connection:
        for n in range(TARGETS):
            firm = (*FIRMS, None)[n % 4]
            cast.a_target(connection, f"target-{n}", firm=firm, name=f"值班群 {n}")
            cast.a_route(connection, f"route-{n}", f"target-{n}")
        for n in range(PEOPLE):
            cast.a_person(connection, f"person-{n}", firm=FIRMS[n % 3], name=f"李{n}")
        for n in range(ROSTERS):
            ours = [f"person-{m}" for m in range(PEOPLE) if m % 3 == n % 3][:8]
            cast.a_roster(
                connection, f"roster-{n}", ours[0], firm=FIRMS[n % 3], people=ours, name=f"值班 {n}"
            )
            cast.a_stand_in(connection, f"stand-in-{n}", ours[1], firm=FIRMS[n % 3])
        for n in range(WINDOWS):
            starts = NOW_MS - rng.randrange(365) * DAY_MS
            cast.a_window(
                connection,
                f"window-{n}",
                compound=rng.choice(names),
                starts_at_ms=starts,
                ends_at_ms=starts + 4 * HOUR_MS,
                created_at_ms=starts,
            )
        _deliveries(connection, registry.compounds)
        _refused(connection, names, rng)
        _audited(connection, rng)


def _deliveries(connection: Connection, compounds: Mapping[str, Compound]) -> None:
    """Each event of each fault reached a target of its firm, and one of the district."""
    firm_of = {name: one.firm for name, one in compounds.items()}
    event, fault = fault_events.c, faults.c
    rows = connection.execute(
        select(event.id, event.fault, event.at_ms, fault.compound)
        .join_from(fault_events, faults, fault.id == event.fault)
        .order_by(event.id)
    ).all()
    connection.execute(
        insert(deliveries),
        [
            {
                "fault": row.fault,
                "event": row.id,
                "target": f"target-{target}",
                "state": "delivered",
                "safety": False,
                "attempts": 1,
                "next_at_ms": row.at_ms,
                "created_at_ms": row.at_ms,
                "attempted_at_ms": row.at_ms,
                "done_at_ms": row.at_ms + 800,
                "answer": "ok",
            }
            for row in rows
            for target in dict.fromkeys((FIRMS.index(firm_of[row.compound]), 3))
        ],
    )


def _refused(connection: Connection, names: Sequence[str], rng: Random) -> None:
    reasons = ("not_json", "unknown_device", "out_of_range", "clock", "bad_topic")
    connection.execute(
        insert(quarantine),
        [
            {
                "journal_id": JOURNAL,
                "jseq": n,
                "received_at_ms": NOW_MS - (REFUSED - n) * 365 * DAY_MS // REFUSED,
                "compound": (name := rng.choice(names)),
                "device": None,
                "topic": f"courtyard/v1/{name}/gate/{name}-gate-9/telemetry",
                "reason": rng.choice(reasons),
                "detail": "malformed at byte 1",
                "sha256": "0" * 64,
                "size_bytes": 5,
                "payload": b"{oops",
                "partial": False,
            }
            for n in range(1, REFUSED + 1)
        ],
    )


def _audited(connection: Connection, rng: Random) -> None:
    last = audit_log.append(connection, _entry(0, rng))
    rows = []
    for n in range(1, AUDITED):
        last = audit.chained(last.number + 1, last.sha256, _entry(n, rng))
        rows.append({name: getattr(last, name) for name in audit.Row.__dataclass_fields__})
    connection.execute(insert(metadata.tables["audit_log"]), rows)
    connection.execute(update(audit_head).values(number=last.number, sha256=last.sha256))


def _entry(n: int, rng: Random) -> audit.Entry:
    return audit.Entry(
        NOW_MS - (AUDITED - n) * 365 * DAY_MS // AUDITED,
        f"person-{rng.randrange(PEOPLE)}",
        "operator",
        1,
        audit.Origin.CONSOLE,
        "10.0.0.9",
        "POST",
        f"/faults/closed-{n}/acknowledge",
        f"closed-{n}",
    )


def _link(connection: Connection) -> str:
    """The token of a link as a message has it, for a fault that is open."""
    row = connection.execute(
        select(deliveries.c.id, deliveries.c.fault, deliveries.c.target)
        .join_from(deliveries, faults, faults.c.id == deliveries.c.fault)
        .where(faults.c.state == "open", deliveries.c.target == "target-3")
        .limit(1)
    ).one()
    return sign(link_of(row.id, row.fault, row.target, NOW_MS), make_key(connection, NOW_MS))


def _journal(path: Path, hours: int) -> None:
    """Messages of so many hours, each in a record of its own, as they come when it is calm."""
    rng = Random(6)
    senders = [device for device in erqi.registry().devices.values() if device.kind != "port"]
    messages = hours * 3600 * RATE
    with JournalWriter(path, lambda: NOW_MS) as writer:
        for first in range(0, messages, 5000):
            drafts = []
            for n in range(first, min(first + 5000, messages)):
                one = rng.choice(senders)
                topic = f"courtyard/v1/{one.compound}/{one.kind}/{one.id}/telemetry".encode()
                at_ms = NOW_MS - (messages - n) * 1000 // RATE
                drafts.append(Draft(MESSAGES, 1, (Raw(topic, PAYLOAD, 0, at_ms, one.compound),)))
            writer.commit(drafts)
