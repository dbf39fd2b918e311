"""How quickly usage is answered from a district-year in the database.

    make bench-usage        (or: python -m bench.usage --compounds 56)

A generator writes the simulated district `erqi` straight into a database: 225 compounds, 12,387
endpoints in 6,768 devices, each with a row for each hour of 365 days, and 1.2 million sessions; a
part of the compounds has its part of that. Days and months are then summed up by what does it in
production, without its pauses. An API process of its own is asked over HTTP, one request after the
other, alone and while another process commits what 400 messages a second change, as the judge does:
every 0.2 s, states and hours of 80 devices.

--database: a SQLAlchemy URL of an empty database, or `postgresql` for a private server (with fsync,
from the binaries of this machine); a SQLite file in a temporary folder unless given. A database
that holds a district already is used as it is.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import platform
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import uvicorn
from sqlalchemy import Engine, delete, func, insert, select

from api.app import create_app
from api.parts import Dependencies
from devices.coverage import Sum
from devices.days import began, local_date, month_of, zone_of
from devices.judgement import DeviceRow, Effects, HourRow
from devices.registry import Device, Registry
from devices.store import registry as registry_rows
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.judgements import Judgements
from devices.store.schema import cursors, sessions, usage_days, usage_hours, usage_months
from devices.store.scope import DISTRICT
from devices.store.usage_apart import units_around, write_units
from devices.store.usage_days import UsageDays, day_sums, unpack
from devices.store.usage_days import pack as sums_packed
from devices.sun import lighting_hours
from devices.telemetry import Bucket, Point, Sample, SeriesQuery
from devices.usage import HOUR_MS, Figures
from simulators import erqi

NOW_MS = 1_795_434_130_000  # 2026-11-23 19:42:10 in Zhengzhou
ZONE = zone_of("Asia/Shanghai")
DAY_MS = 24 * HOUR_MS
SESSIONS = 1_200_000  # of the whole district in a year
RATE, COMMIT_S = 400, 0.2
VARIANTS = 12  # figures of a kind and hour of the day
ROWS_AT_ONCE = 50_000
REASONS = ("full", "unplugged", "time_up", "no_load_at_start", "overload")

pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one question: milliseconds from the request sent to the answer read.

    cpu_ms: of the API's process for one answer, which says what it costs on a busy machine too.
    """

    name: str
    load: bool
    times_ms: Sequence[float]
    size_kb: float
    cpu_ms: float

    def line(self, goal_ms: float | None) -> str:
        cuts = statistics.quantiles(self.times_ms, n=20, method="inclusive")
        goal = "" if goal_ms is None else f"   goal {goal_ms:.0f}"
        return (
            f"{self.name:40} {'400 msg/s' if self.load else 'alone':10}"
            f" p50 {statistics.median(self.times_ms):7.1f} ms  p95 {cuts[18]:7.1f} ms"
            f"  CPU {self.cpu_ms:6.1f} ms"
            f"  ({len(self.times_ms)} requests, {self.size_kb:.0f} kB){goal}"
        )


# The district-year


def generate(engine: Engine, compounds: int, days: int, hours_days: int, seed: int) -> None:
    """Registry, hours and sessions; then their sums by day and month.

    hours_days: hours are there for the newest so many days alone; days before are copies.
    """
    upgrade(engine)
    with reading(engine) as connection:
        if connection.execute(select(usage_hours.c.hour_ms).limit(1)).first() is not None:
            print("the database holds a district already")
            return
    whole = erqi.registry()
    chosen = sorted(whole.compounds)[:compounds]
    district = Registry(
        whole.firms.values(),
        [whole.compounds[name] for name in chosen],
        [device for device in whole.devices.values() if device.compound in set(chosen)],
    )
    today_ms = began(local_date(NOW_MS, ZONE), ZONE)
    start_ms = today_ms - days * DAY_MS
    with writing(engine) as connection:
        registry_rows.save(connection, district, start_ms - DAY_MS)
        numbers = registry_rows.device_numbers(connection)
    rng = Random(seed)
    begun_s = time.monotonic()
    first_ms = max(start_ms, today_ms - hours_days * DAY_MS)
    rows = _hours(district, numbers, first_ms, rng)
    count = _insert(engine, usage_hours.name, [c.name for c in usage_hours.c], rows)
    _told(f"{count:,} hours of {len(district.devices):,} devices", begun_s)
    begun_s = time.monotonic()
    share = len(district.devices) / len(whole.devices) * days / 365
    made = _sessions(district, start_ms, round(SESSIONS * share), rng)
    count = _insert(engine, sessions.name, [c.name for c in sessions.c], made)
    _told(f"{count:,} sessions", begun_s)
    begun_s = time.monotonic()
    summing = UsageDays(engine)
    for work in summing.missing(NOW_MS):
        summing.build(work, NOW_MS)
    for compound in summing.compounds():
        summing.build_months(compound, NOW_MS)
    if first_ms > start_ms:
        for compound in summing.compounds():
            _copy_days(engine, compound, start_ms, first_ms)
    for compound in summing.compounds():
        summing.build_peaks(compound)
    with reading(engine) as connection:
        built = connection.execute(select(func.count()).select_from(usage_days)).scalar()
    _told(f"{built:,} compound-days summed up", begun_s)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _copy_days(engine: Engine, compound: str, start_ms: int, first_ms: int) -> None:
    """Sums of days before the first hour, like those behind it, and of their months."""
    with writing(engine) as connection:
        column = usage_days.c
        query = select(column.sums).where(column.compound == compound, column.day_ms >= first_ms)
        like = list(connection.scalars(query))
        connection.execute(
            delete(usage_days).where(column.compound == compound, column.day_ms < first_ms)
        )
        connection.execute(delete(usage_months).where(usage_months.c.compound == compound))
        connection.execute(
            insert(usage_days),
            [
                {"compound": compound, "day_ms": day, "sums": like[n % len(like)], "built_at_ms": 0}
                for n, day in enumerate(range(start_ms, first_ms, DAY_MS))
            ],
        )
        days = range(start_ms, first_ms, DAY_MS)
        write_units(connection, units_around(connection, compound, days, ZONE))
        months: dict[int, Sum] = {}
        for (_, day), one in day_sums(connection, DISTRICT, [compound], start_ms, NOW_MS).items():
            months.setdefault(month_of(day, ZONE), Sum()).add(unpack(one))
        rows = [
            {"compound": compound, "month_ms": at, "sums": sums_packed(one), "built_at_ms": 0}
            for at, one in months.items()
            if at > start_ms - DAY_MS and at < month_of(NOW_MS, ZONE)
        ]
        if rows:
            connection.execute(insert(usage_months), rows)
    UsageDays(engine).build_months(compound, NOW_MS)  # those before anything came
    UsageDays(engine).build_spans(compound, NOW_MS)


def _told(what: str, begun_s: float) -> None:
    print(f"{what} in {time.monotonic() - begun_s:.0f} s", flush=True)


def _hours(
    district: Registry, numbers: dict[str, int], start_ms: int, rng: Random
) -> Iterator[tuple[Any, ...]]:
    """Every device reports each hour; a lamp of a switched circuit only while it is lit."""
    by_compound: dict[str, list[Device]] = {}
    for device in district.devices.values():
        by_compound.setdefault(device.compound, []).append(device)
    figures = {
        (kind, hour): [pack(_figures(kind, hour, rng)) for _ in range(VARIANTS)]
        for kind in ("gate", "port", "lamp")
        for hour in range(24)
    }
    nothing = pack({})
    for compound in sorted(by_compound):
        place = district.compounds[compound]
        known = sorted((numbers[device.id], device) for device in by_compound[compound])
        facts = [
            (number, device.kind, 3600 // device.interval_s,
             device.attributes.get("supply") == "switched")
            for number, device in known
        ]  # fmt: skip
        turn = 0
        for hour_ms in range(start_ms, NOW_MS, HOUR_MS):
            hour = (hour_ms // HOUR_MS + 8) % 24
            lit = lighting_hours(place.latitude, place.longitude, hour_ms + HOUR_MS // 2)
            turn += 1
            for number, kind, received, switched in facts:
                if switched and not lit:
                    continue
                some = figures.get((kind, hour))
                used = nothing if some is None else some[(number + turn) % VARIANTS]
                yield compound, hour_ms, number, kind, received, 0.0, used, None


def _figures(kind: str, hour: int, rng: Random) -> Figures:
    awake = 1.0 if 6 <= hour < 23 else 0.1
    if kind == "gate":
        granted = round(rng.random() * 60 * awake)
        faces = round(granted * 0.7)
        return {
            "granted": granted,
            "denied": rng.randrange(4),
            "remote": rng.randrange(2),
            "by_method": {"face": faces, "card": granted - faces},
            "by_direction": {"in": granted // 2, "out": granted - granted // 2},
            "deny_reasons": {"not_recognised": 1, "expired": 1},
        }
    if kind == "port":
        return {
            "in_use_s": 3600.0 * rng.random(),
            "unavailable_s": 0.0,
            "sessions": rng.randrange(2),
            "session_s": 9000.0 * rng.random(),
            "energy_kwh": 0.2 * rng.random(),
            "fee_fen": rng.randrange(60),
            "stop_reasons": {rng.choice(REASONS): 1},
        }
    lit = 0.0 if 7 <= hour < 17 else 3600.0 * 8
    return {
        "lit_s": lit,
        "dark_s": 60.0 * rng.random(),
        "unknown_s": 0.0,
        "burn_s": lit,
        "energy_kwh": lit / 3600 * 0.009,
    }


def _sessions(
    district: Registry, start_ms: int, count: int, rng: Random
) -> Iterator[tuple[Any, ...]]:
    ports = [device for device in district.devices.values() if device.kind == "port"]
    for number in range(count if ports else 0):
        port = ports[int(rng.random() * len(ports))]
        at_ms = start_ms + int(rng.random() * (NOW_MS - start_ms - 4 * HOUR_MS))
        long_s = 1800 + int(rng.random() * 10_000)
        kwh = round(rng.random(), 2)
        yield (
            f"bench-{number}", "live", port.compound, port.parent, port.id, str(number), "closed",
            at_ms, at_ms + long_s * 1000, long_s, kwh, int(rng.random() * 200),
            REASONS[number % 5], str(number % 5), "device", False, kwh, 1.0, kwh, 1.0,
        )  # fmt: skip


def _insert(
    engine: Engine, table: str, names: Sequence[str], rows: Iterator[tuple[Any, ...]]
) -> int:
    columns = ", ".join(f'"{name}"' for name in names)
    count = 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        count += len(some)
        with writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                driver: Any = connection.connection.driver_connection
                with driver.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for row in some:
                        copy.write_row(row)
            else:
                marks = ", ".join("?" * len(names))
                connection.exec_driver_sql(
                    f"INSERT INTO {table} ({columns}) VALUES ({marks})", some
                )
    return count


# The processes beside


class NoTelemetry:
    """Nobody asks for series here."""

    def samples(self, _: SeriesQuery) -> list[Sample]:
        return []

    def buckets(self, _: SeriesQuery, __: int) -> list[Bucket]:
        return []

    def points(self, _: str, __: str, ___: int, ____: int, _____: int) -> list[Point]:
        return []

    def last_before(self, _: str, __: str, ___: int, ____: Sequence[str]) -> dict[str, Sample]:
        return {}


def serve(url: str, port: int, now_ms: int = NOW_MS) -> None:
    """The API, until it is ended. now_ms: what its clock says."""
    deps = Dependencies(
        engine=open_database(url),
        telemetry=NoTelemetry(),
        journal=None,
        clock=lambda: now_ms,
        secret_key=b"of this measurement alone",
        demo=True,
        version="bench",
    )
    config = uvicorn.Config(create_app(deps), host="127.0.0.1", port=port, log_level="error")
    uvicorn.Server(config).run()


def judge(url: str, stop: Event) -> None:
    """Commits what RATE messages a second change."""
    engine = open_database(url)
    judgements = Judgements(engine)
    devices = [device for device in judgements.registry().devices.values() if device.kind != "port"]
    was = judgements.load().cursor
    rng = Random(1)
    body = pack({"power_w": [182.4, NOW_MS], "voltage_v": [228.7, NOW_MS]})
    hour_ms = NOW_MS - NOW_MS % HOUR_MS
    position = was.position if was is not None else 0
    due_s = time.monotonic()
    while not stop.is_set():
        effects = Effects(position=(position := position + 1), jseq=position)
        for device in rng.sample(devices, min(len(devices), round(RATE * COMMIT_S))):
            at_ms = NOW_MS + position
            effects.devices.append(
                DeviceRow(device.id, "online", None, at_ms, at_ms, at_ms, body, bytes(120))
            )
            figures: Figures = {"granted": position, "by_method": {"face": position}}
            effects.hours.append(
                HourRow(device.id, device.compound, device.kind, hour_ms, 40, figures)
            )
        was = judgements.commit(effects, "bench", was, NOW_MS)
        due_s += COMMIT_S
        stop.wait(max(0.0, due_s - time.monotonic()))


@contextmanager
def process(work: Callable[..., None], *arguments: object) -> Iterator[int]:
    child = multiprocessing.get_context("spawn").Process(target=work, args=arguments, daemon=True)
    child.start()
    assert child.pid is not None
    try:
        yield child.pid
    finally:
        child.terminate()
        child.join(10)


@contextmanager
def under_load(url: str) -> Iterator[None]:
    stop = multiprocessing.get_context("spawn").Event()
    with process(judge, url, stop):
        time.sleep(3)  # until it has read the registry
        yield
        stop.set()


# Asking


def ask(port: int, pid: int, name: str, load: bool, paths: Sequence[str]) -> Measured:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times_ms, size, cpu_s = [], 0, 0.0
    for number, path in enumerate([paths[0], *paths]):
        if number == 1:
            cpu_s = spent_s(pid)
        begun_s = time.perf_counter()
        connection.request("GET", path, headers={"Host": f"127.0.0.1:{port}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        if number:  # the first one warms the caches of the process
            times_ms.append((time.perf_counter() - begun_s) * 1000)
            size += len(body)
    connection.close()
    cpu_ms = (spent_s(pid) - cpu_s) * 1000 / len(times_ms)
    return Measured(name, load, times_ms, size / len(times_ms) / 1000, cpu_ms)


def spent_s(pid: int) -> float:
    """CPU seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def questions(
    engine: Engine, days: int, requests: int, seed: int
) -> list[tuple[str, float | None, list[str]]]:
    """(what, the goal for p95 in ms, addresses)."""
    rng = Random(seed)
    with reading(engine) as connection:
        names = sorted(registry_rows.load(connection).compounds)
    this_month_ms = month_of(NOW_MS, ZONE)
    months = []
    at_ms = this_month_ms
    while at_ms - DAY_MS > NOW_MS - days * DAY_MS:
        at_ms = month_of(at_ms - 1, ZONE)
        months.append(local_date(at_ms, ZONE).isoformat())
    months = months or [local_date(this_month_ms, ZONE).isoformat()]

    def of_compounds(query: Callable[[], str]) -> list[str]:
        return [f"/v1/compounds/{rng.choice(names)}/usage?{query()}" for _ in range(requests)]

    few = max(5, requests // 5)
    year = f"/v1/usage?from=P{days}D&bucket=month"
    return [
        ("compound, a month by day", 50, of_compounds(
            lambda: f"from={rng.choice(months)}&to=P1M&bucket=day")),
        ("compound, this month so far by day", 50, of_compounds(
            lambda: f"from={local_date(this_month_ms, ZONE)}&bucket=day")),
        ("compound, a month by day, compared", None, of_compounds(
            lambda: f"from={rng.choice(months)}&to=P1M&bucket=day&compare=previous")),
        ("compound, today by hour", None, of_compounds(lambda: "bucket=hour")),
        ("district, the year by month", 300, [year] * few),
        ("district, the year by month and firm", 300, [f"{year}&group_by=firm"] * few),
        ("district, the year by month and kind", 300, [f"{year}&group_by=kind"] * few),
        ("district, the year by month and compound", None, [f"{year}&group_by=compound"] * few),
        ("district, 30 days by day", None, ["/v1/usage?from=P30D&bucket=day"] * few),
    ]  # fmt: skip


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int) -> None:
    deadline_s = time.monotonic() + 180
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return


def database(asked: str, stack: ExitStack) -> str:
    if asked == "postgresql":
        from tests import postgres

        postgres.SETTINGS |= {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
        postgres.SETTINGS["shared_buffers"] = "256MB"
        cluster = stack.enter_context(postgres.cluster())
        return cluster.url(cluster.create())
    if asked:
        return asked
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-usage-"))
    return f"sqlite:///{Path(folder) / 'courtyard.db'}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compounds", type=int, default=225, help="the first so many")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument(
        "--hours-days",
        type=int,
        default=365,
        help="hours for the newest so many days alone; sums of days before are copies",
    )
    parser.add_argument(
        "--requests", type=int, default=200, help="of a compound; district: a fifth"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", default="", help="URL, or `postgresql`; SQLite unless given")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here as well")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes beside end, too
    with ExitStack() as stack:
        url = database(asked.database, stack)
        engine = open_database(url)
        stack.callback(engine.dispose)
        print(f"{engine.dialect.name}, Python {platform.python_version()}, {platform.machine()}")
        generate(engine, asked.compounds, asked.days, asked.hours_days, asked.seed)
        port = free_port()
        pid = stack.enter_context(process(serve, url, port))
        wait_for(port)
        found = []
        for load in (False, True):
            with ExitStack() as beside:
                if load:
                    beside.enter_context(under_load(url))
                for name, goal_ms, paths in questions(
                    engine, asked.days, asked.requests, asked.seed
                ):
                    measured = ask(port, pid, name, load, paths)
                    found.append(measured)
                    print(measured.line(goal_ms), flush=True)
            if load:
                with reading(engine) as connection:
                    query = select(cursors.c.position).where(cursors.c.name == "judge")
                    print(f"{connection.execute(query).scalar():,} commits of the writer beside")
    if asked.json is not None:
        asked.json.write_text(
            json.dumps(
                [{"name": m.name, "load": m.load, "times_ms": list(m.times_ms)} for m in found]
            )
        )


if __name__ == "__main__":
    main()
