"""The people at the API, and the small district that they ask about.

Firms: yaxin has 祥云里 (a gateway, a gate, a shed with two ports, a circuit of eight lamps, a
camera), kangqiao has 连心胡同 (a gateway and a gate; no shed). The operator and the viewer see
both; yaxin's user sees one; to them kangqiao is the stranger.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Connection, Engine, func, insert, select, update
from starlette.testclient import TestClient

from api.app import create_app
from api.exports.files import Folder
from api.exports.model import Body, State, Wanted, packed
from api.parts import Dependencies, DryRun, Exports, JournalAway, NotAccepted
from api.passwords import Passwords
from devices.alerts import Target
from devices.corrections import Recounted
from devices.journal import Counted, Head, Raw, Record, Sent
from devices.messages import Value
from devices.registry import Compound, Device, Firm, Name, Registry
from devices.store import exports, registry, tokens, users
from devices.store.database import writing
from devices.store.schema import (
    LIVE,
    cursors,
    deliveries,
    device_state,
    devices,
    fault_events,
    faults,
    maintenance,
    people,
    quarantine,
    rosters,
    routes,
    sessions,
    stand_ins,
    summaries,
    targets,
    usage_hours,
)
from devices.store.users import NewUser, User
from devices.summaries import Counts, Summary
from devices.telemetry import (
    LOOK_BACK_MS,
    Bucket,
    Point,
    Sample,
    SeriesQuery,
    TelemetryError,
)

NOW_MS = 1_795_434_130_000  # 2026-11-23 19:42:10 in Zhengzhou
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
ELEVEN_AM_MS = NOW_MS - 8 * HOUR_MS - 42 * MINUTE_MS - 10_000  # local time, a whole hour
JOURNAL = "j1"
SECRET = b"a secret of sixteen bytes or more"
# As cheap as argon2 goes: what a test asks of it is not how long it takes.
CHEAP = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORDS = Passwords(CHEAP)
PASSWORD = "correct horse battery"

XIANGYUNLI = "xiangyunli"  # yaxin's
LIANXIN = "lianxin-hutong"  # kangqiao's

FIRMS = (
    Firm("kangqiao", Name("康桥", "Kangqiao")),
    Firm("yaxin", Name("亚新", "Yaxin")),
)
COMPOUNDS = (
    Compound(XIANGYUNLI, Name("祥云里", "Xiangyunli"), "yaxin", 213),
    Compound(LIANXIN, Name("连心胡同", "Lianxin Hutong"), "kangqiao", 88),
)


def _device(compound: str, kind: str, suffix: str, interval_s: int, **more: object) -> Device:
    parent = more.pop("parent", f"{compound}-gw" if kind not in ("gateway", "shed") else None)
    name = str(more.pop("name", suffix))
    attributes: dict[str, Value] = more.pop("attributes", {})  # type: ignore[assignment]
    return Device(
        id=f"{compound}-{suffix}",
        kind=kind,
        compound=compound,
        name=name,
        interval_s=interval_s,
        parent=None if parent is None else str(parent),
        attributes=attributes,
    )


DEVICES = (
    _device(XIANGYUNLI, "gateway", "gw", 60, name="网关"),
    _device(XIANGYUNLI, "gate", "gate-1", 30, name="东门", attributes={"form": "pedestrian"}),
    _device(XIANGYUNLI, "shed", "shed-1", 60, name="1号棚", attributes={"ports": 2}),
    _device(
        XIANGYUNLI,
        "port",
        "shed-1-p01",
        60,
        parent=f"{XIANGYUNLI}-shed-1",
        name="1号棚 01号插座",
        attributes={"port_no": 1},
    ),
    _device(
        XIANGYUNLI,
        "port",
        "shed-1-p02",
        60,
        parent=f"{XIANGYUNLI}-shed-1",
        name="1号棚 02号插座",
        attributes={"port_no": 2},
    ),
    _device(
        XIANGYUNLI,
        "lamp",
        "stair-01",
        900,
        name="1号楼1单元楼道灯",
        attributes={
            "granularity": "circuit",
            "lamp_count": 8,
            "nominal_power_w": 10,
            "supply": "switched",
        },
    ),
    _device(XIANGYUNLI, "camera", "cam-1", 300, name="监控 东门"),
    _device(LIANXIN, "gateway", "gw", 60, name="网关"),
    _device(LIANXIN, "gate", "gate-1", 30, name="西门", attributes={"form": "pedestrian"}),
)
GATE = f"{XIANGYUNLI}-gate-1"
SHED = f"{XIANGYUNLI}-shed-1"
PORT = f"{XIANGYUNLI}-shed-1-p01"
LAMP = f"{XIANGYUNLI}-stair-01"
STRANGE_GATE = f"{LIANXIN}-gate-1"


class FakeTelemetry:
    """Series from a dict; each read first raises the next of `fails`, if any is left."""

    def __init__(self, *fails: TelemetryError) -> None:
        self.fails = list(fails)
        self.series: dict[tuple[str, str, str], list[Sample]] = {}

    def samples(self, query: SeriesQuery) -> list[Sample]:
        if self.fails:
            raise self.fails.pop(0)
        found = self.series.get((query.measurement, query.device, query.quantity), [])
        within = [s for s in found if query.from_ms <= s.at_ms < query.to_ms]
        return within[: query.limit]

    def buckets(self, query: SeriesQuery, every_s: int) -> list[Bucket]:
        groups: dict[int, list[Sample]] = {}
        for sample in self.samples(replace(query, limit=2**31)):
            start = sample.at_ms - sample.at_ms % (every_s * 1000)
            groups.setdefault(start, []).append(sample)
        return [_bucket(start, group) for start, group in sorted(groups.items())][: query.limit]

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        if self.fails:
            raise self.fails.pop(0)
        found: dict[int, dict[str, Value]] = {}
        for (of, whose, quantity), samples in self.series.items():
            if (of, whose) == (measurement, device):
                for sample in samples:
                    if from_ms <= sample.at_ms < to_ms:
                        found.setdefault(sample.at_ms, {})[quantity] = sample.value
        return [Point(measurement, "", device, at, found[at]) for at in sorted(found)][:limit]

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        last: dict[str, Sample] = {}
        for quantity in quantities:
            query = SeriesQuery(
                measurement, device, quantity, at_ms - LOOK_BACK_MS, at_ms, limit=2**31
            )
            for sample in self.samples(query):
                last[quantity] = sample
        return last


def _bucket(start: int, group: list[Sample]) -> Bucket:
    numbers = [float(s.value) for s in group if not isinstance(s.value, bool | str)]
    last = group[-1].value
    if not numbers:
        return Bucket(start, None, None, None, last, len(group))
    mean = sum(numbers) / len(numbers)
    return Bucket(start, min(numbers), mean, max(numbers), last, len(group))


@dataclass
class FakeJournal:
    """A journal as the API sees it; `counts` is its own count of what it received.

    grow: called at every look at the head, so that it can move on while it is read.
    """

    journal_id: str = JOURNAL
    records: list[Record] = field(default_factory=list)
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    away: bool = False
    looks: int = 1_000

    def head(self) -> Head:
        self._check()
        last = self.records[-1].id if self.records else 0
        return Head(self.journal_id, last, sum(self.counts.values()))

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        head = self.head()
        received: dict[tuple[str, int], int] = {}
        for (origin, hour_ms), n in self.counts.items():
            if hours is None or hours[0] <= hour_ms < hours[1]:
                place = (origin, 0 if hours is None else hour_ms)
                received[place] = received.get(place, 0) + n
        behind = [record for record in self.records if record.id > position]
        if sum(record.count for record in behind) > most:
            return Counted(head, received, None)
        waiting: dict[tuple[str, int], int] = {}
        for message in (message for record in behind for message in record.messages):
            if hours is None or hours[0] <= message.received_ms < hours[1]:
                hour_ms = message.received_ms - message.received_ms % HOUR_MS
                place = (message.origin, 0 if hours is None else hour_ms)
                waiting[place] = waiting.get(place, 0) + 1
        return Counted(head, received, waiting)

    def read(self, after: int, limit: int) -> Sequence[Record]:
        self._check()
        return [record for record in self.records if record.id > after][:limit]

    def sent_by(
        self,
        level: bytes,
        before: tuple[int, int] | None,
        until_ms: int,
        since_ms: int,
        most: int,
        within_s: float,
    ) -> Sent:
        """within_s: here it looks through `looks` records at a time, however long that takes."""
        self._check()
        places = [
            ((record.id, n), raw)
            for record in self.records
            for n, raw in enumerate(record.messages)
            if since_ms <= raw.received_ms <= until_ms
            and (before is None or (record.id, n) < before)
        ]
        found: list[tuple[tuple[int, int], Raw]] = []
        for looked, (place, raw) in enumerate(reversed(places), 1):
            if b"/" + level + b"/" in raw.topic:
                found.append((place, raw))
            if len(found) == most or (self.looks == looked and looked < len(places)):
                return Sent(tuple(found), place, raw.received_ms)
        return Sent(tuple(found), None, since_ms)

    def _check(self) -> None:
        if self.away:
            raise JournalAway("there is no journal here")


class FakeDryRuns:
    """Dry runs that are as far as a test says. busy: another one runs."""

    def __init__(self) -> None:
        self.started: list[tuple[DryRun, str]] = []
        self.run: DryRun | None = None
        self.busy = False

    def start(self, run: DryRun, body: str) -> bool:
        if self.busy:
            return False
        self.started.append((run, body))
        self.run = run
        return True

    def newest(self) -> DryRun | None:
        return self.run


class FakeMessenger:
    """Takes every message, until a test says what it is answered. sent: to which targets."""

    def __init__(self) -> None:
        self.sent: list[Target] = []
        self.refuses: str | None = None
        self.refused_hosts: dict[str, ValueError] = {}

    def check(self, target: Target) -> None:
        if not target.url.startswith(("https://", "mailto:")):
            raise ValueError("url: is not like https://host/path")
        if "wrong" in target.secrets:
            raise ValueError("secret: is not like SEC…")
        for host, error in self.refused_hosts.items():
            if host in target.url:
                raise error

    def test(self, target: Target) -> str:
        self.sent.append(target)
        if self.refuses is not None:
            raise NotAccepted(self.refuses)
        return "ok"


class FakeExports:
    """Makes what is asked for when a test says so. woken: how often somebody said there is work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class FakeRecount:
    """Finds out of every day what a test says, or raises it."""

    def __init__(self) -> None:
        self.found = Recounted([], {})
        self.fails: Exception | None = None
        self.days: list[tuple[str, int, int]] = []

    def work_out(self, compound: str, from_ms: int, to_ms: int) -> Recounted:
        self.days.append((compound, from_ms, to_ms))
        if self.fails is not None:
            raise self.fails
        return self.found


@dataclass
class Cast:
    """A running API over a small district, and a client for each of the people."""

    engine: Engine
    app: FastAPI
    telemetry: FakeTelemetry
    journal: FakeJournal
    tokens: Mapping[str, str]
    now_ms: int = NOW_MS
    monotonic_s: float = 0.0
    dry_runs: FakeDryRuns = field(default_factory=FakeDryRuns)
    messenger: FakeMessenger = field(default_factory=FakeMessenger)
    recount: FakeRecount = field(default_factory=FakeRecount)

    def client(self, name: str | None) -> TestClient:
        """As `operator`, `yaxin`, `kangqiao`, `viewer`; None: without a token, from afar."""
        headers = {} if name is None else {"Authorization": f"Bearer {self.tokens[name]}"}
        return TestClient(
            self.app,
            base_url="http://courtyard.example",
            headers=headers,
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    def browser(self, address: str = "192.0.2.7") -> TestClient:
        """Somebody's, who has not logged in yet; it says where what it sends comes from."""
        return TestClient(
            self.app,
            base_url="http://courtyard.example",
            headers={"Origin": "http://courtyard.example", "Accept": "text/html"},
            client=(address, 50000),
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    def neighbour(self, host: str = "127.0.0.1:8000") -> TestClient:
        """Without a token, from this machine."""
        return TestClient(
            self.app,
            base_url=f"http://{host}",
            client=("127.0.0.1", 50000),
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with writing(self.engine) as connection:
            yield connection


def a_cast(
    engine: Engine,
    *,
    demo: bool = False,
    journal: bool = True,
    exports: Path | None = None,
    people: bool = True,
    places: bool = True,
) -> Cast:
    """The district saved, the judge up to date, everybody with a token, or nobody with anything.

    places: whether there is a district; without one nobody is of a firm, and nothing was judged.
    """
    with writing(engine) as connection:
        secrets = {}
        if places:
            a_district(connection)
            a_judge(connection)
        if people:
            secrets["operator"] = tokens.create(connection, "operator", None, "li-min", NOW_MS)
            for firm, name in (("yaxin", "wang-jianguo"), ("kangqiao", "zhao-min")):
                if places:
                    secrets[firm] = tokens.create(connection, "firm", firm, name, NOW_MS)
            secrets["viewer"] = tokens.create(connection, "viewer", None, "inspector", NOW_MS)
    telemetry, own_journal = FakeTelemetry(), FakeJournal()
    cast = Cast(engine, FastAPI(), telemetry, own_journal, secrets)
    deps = Dependencies(
        engine=engine,
        telemetry=telemetry,
        journal=own_journal if journal else None,
        clock=lambda: cast.now_ms,
        secret_key=SECRET,
        demo=demo,
        version="0.0.test",
        poll_s=0.02,
        ask_again_s=0.1,
        dry_runs=cast.dry_runs if journal else None,
        messenger=cast.messenger,
        exports=None if exports is None else FakeExports(exports),
        recount=cast.recount if journal else None,
        passwords=PASSWORDS,
        monotonic=lambda: cast.monotonic_s,
    )
    cast.app = create_app(deps)
    return cast


def a_user(connection: Connection, name: str, role: str, firm: str | None = None) -> User:
    """Somebody whose password is PASSWORD."""
    hashed = PASSWORDS.hashed(PASSWORD)
    new = NewUser(name, name.title(), role, firm, None, hashed)
    return users.add_user(connection, new, "li-min", NOW_MS)


def a_district(connection: Connection) -> None:
    """Firms, compounds and devices; registered a week ago, nobody seen yet."""
    registry.save(connection, Registry(FIRMS, COMPOUNDS, DEVICES), NOW_MS - 7 * DAY_MS)


def a_judge(connection: Connection, **more: object) -> None:
    """The judge's cursor, a moment ago. more: other values of its columns."""
    row = {
        "name": "judge",
        "journal_id": JOURNAL,
        "position": 0,
        "jseq": 0,
        "revision": 0,
        "watermark_ms": NOW_MS - 2000,
        "updated_at_ms": NOW_MS - 100,
        "memory": b"",
    } | more
    changed = connection.execute(update(cursors).where(cursors.c.name == row["name"]).values(**row))
    if changed.rowcount == 0:
        connection.execute(insert(cursors).values(**row))


def number_of(connection: Connection, device: str) -> int:
    return registry.device_numbers(connection)[device]


def a_state(connection: Connection, device: str, state: str, **more: object) -> None:
    """How a device stands, with the counts of its compound. latest: {quantity: (value, at_ms)}."""
    latest = more.pop("latest", {})
    values = {
        "state": state,
        "reason": None,
        "since_ms": NOW_MS - HOUR_MS,
        "last_seen_ms": NOW_MS - 5000,
        "device_at_ms": NOW_MS - 5100,
        "latest": msgspec.msgpack.encode(latest),
    } | more
    number = number_of(connection, device)
    connection.execute(
        update(device_state)
        .where(device_state.c.device_no == number, device_state.c.stream == LIVE)
        .values(**values)
    )
    registry.refresh_counts(connection, {c.id for c in COMPOUNDS}, NOW_MS)


def a_fault(connection: Connection, fault: str, **more: object) -> None:
    """A fault of the gate of 祥云里, open for ten minutes, with its first event."""
    row = {
        "id": fault,
        "stream": LIVE,
        "subject": more.get("device", GATE) or "platform",
        "code": "GATE_OFFLINE",
        "kind": "gate",
        "device": GATE,
        "compound": XIANGYUNLI,
        "severity": "P3",
        "safety": False,
        "suspected": False,
        "state": "open",
        "since_ms": NOW_MS - 11 * MINUTE_MS,
        "opened_at_ms": NOW_MS - 10 * MINUTE_MS,
        "occurrences": 1,
        "late": False,
        "evidence": {"silent_s": 90},
    } | more
    connection.execute(insert(faults).values(**row))
    a_fault_event(
        connection, fault, becomes=row["state"], at_ms=row["opened_at_ms"], evidence=row["evidence"]
    )


def a_fault_event(connection: Connection, fault: str, **more: object) -> None:
    row = {
        "fault": fault,
        "at_ms": NOW_MS,
        "was": None,
        "becomes": "open",
        "reason": "raised",
        "actor": "system",
        "note": None,
        "evidence": None,
    } | more
    connection.execute(insert(fault_events).values(**row))


def a_window(connection: Connection, window: str, **more: object) -> None:
    """A maintenance window of 祥云里, since an hour ago, for another hour."""
    row = {
        "id": window,
        "compound": XIANGYUNLI,
        "kind": None,
        "devices": [],
        "codes": [],
        "starts_at_ms": NOW_MS - HOUR_MS,
        "ends_at_ms": NOW_MS + HOUR_MS,
        "ended_at_ms": None,
        "reason": "更换门锁",
        "owner": "王建国",
        "created_by": "wang-jianguo",
        "created_at_ms": NOW_MS - HOUR_MS,
    } | more
    connection.execute(insert(maintenance).values(**row))


def a_target(connection: Connection, target: str, **more: object) -> None:
    """A robot of yaxin's."""
    row = {
        "id": target,
        "firm": "yaxin",
        "name": "值班群",
        "channel": "dingtalk",
        "url": "https://oapi.dingtalk.com/robot/send?access_token=secret-of-the-robot",
        "secrets": [],
        "language": "zh",
        "created_by": "wang-jianguo",
        "created_at_ms": NOW_MS - DAY_MS,
    } | more
    connection.execute(insert(targets).values(**row))


def a_route(connection: Connection, route: str, target: str | None, **more: object) -> None:
    row = {
        "id": route,
        "target": target,
        "severities": [],
        "created_by": "wang-jianguo",
        "created_at_ms": NOW_MS - DAY_MS,
    } | more
    connection.execute(insert(routes).values(**row))


def a_person(connection: Connection, person: str, **more: object) -> None:
    """One of yaxin's people, with no target."""
    row = {
        "id": person,
        "firm": "yaxin",
        "name": "李伟",
        "language": "zh",
        "phone": "13800000001",
        "targets": [],
        "created_by": "wang-jianguo",
        "created_at_ms": NOW_MS - DAY_MS,
    } | more
    connection.execute(insert(people).values(**row))


def a_roster(connection: Connection, roster: str, person: str, **more: object) -> None:
    """Of yaxin's, with this person alone."""
    row = {
        "id": roster,
        "firm": "yaxin",
        "name": "值班",
        "rotation": "daily",
        "starts_on": "2026-11-23",
        "handover_min": 480,
        "timezone": "Asia/Shanghai",
        "people": [person],
        "levels": [],
        "created_by": "wang-jianguo",
        "created_at_ms": NOW_MS - DAY_MS,
    } | more
    connection.execute(insert(rosters).values(**row))


def a_stand_in(connection: Connection, stand_in: str, person: str, **more: object) -> None:
    """Of yaxin's: for this person, by themselves, for the next hour."""
    row = {
        "id": stand_in,
        "firm": "yaxin",
        "person": person,
        "substitute": person,
        "from_ms": NOW_MS,
        "to_ms": NOW_MS + HOUR_MS,
        "note": "",
        "created_by": "wang-jianguo",
        "created_at_ms": NOW_MS - DAY_MS,
    } | more
    connection.execute(insert(stand_ins).values(**row))


def a_delivery(connection: Connection, fault: str, target: str | None, **more: object) -> None:
    """Of the fault's first event, accepted at once."""
    first = select(func.min(fault_events.c.id)).where(fault_events.c.fault == fault)
    row = {
        "fault": fault,
        "event": connection.execute(first).scalar_one(),
        "target": target,
        "state": "delivered",
        "safety": False,
        "attempts": 1,
        "next_at_ms": NOW_MS,
        "created_at_ms": NOW_MS,
        "attempted_at_ms": NOW_MS,
        "done_at_ms": NOW_MS,
        "answer": "ok",
    } | more
    connection.execute(insert(deliveries).values(**row))


def a_summary(connection: Connection, target: str, **more: object) -> None:
    """Of today, accepted at once."""
    day = Summary("2026-11-23", NOW_MS - DAY_MS, NOW_MS, "Asia/Shanghai", counts=Counts(open=3))
    row = {
        "target": target,
        "day": day.day,
        "body": msgspec.to_builtins(day),
        "state": "delivered",
        "attempts": 1,
        "created_at_ms": NOW_MS,
        "until_ms": NOW_MS + DAY_MS,
        "next_at_ms": NOW_MS,
        "attempted_at_ms": NOW_MS,
        "done_at_ms": NOW_MS,
        "answer": "ok",
    } | more
    connection.execute(insert(summaries).values(**row))


def a_session(connection: Connection, session: str, **more: object) -> None:
    """A session of the first port, ended an hour ago."""
    row = {
        "id": session,
        "stream": LIVE,
        "compound": XIANGYUNLI,
        "shed": SHED,
        "port": PORT,
        "order": session,
        "state": "closed",
        "started_at_ms": NOW_MS - 4 * HOUR_MS,
        "ended_at_ms": NOW_MS - HOUR_MS,
        "duration_s": 3 * 3600,
        "energy_kwh": 0.54,
        "fee_fen": 60,
        "stop_reason": "full",
        "native_reason": "1",
        "ended_by": "device",
        "provisional": False,
        "register_kwh": 0.5,
        "register_known": 1.0,
        "power_kwh": 0.5,
        "power_known": 0.99,
    } | more
    connection.execute(insert(sessions).values(**row))


def an_hour(
    connection: Connection,
    device: str,
    hour_ms: int,
    received: int,
    **figures: float | dict[str, float],
) -> None:
    """What a device did in the hour that begins at `hour_ms`."""
    row = connection.execute(
        devices.select()
        .with_only_columns(devices.c.no, devices.c.kind, devices.c.compound)
        .where(devices.c.id == device)
    ).one()
    connection.execute(
        insert(usage_hours).values(
            compound=row.compound,
            hour_ms=hour_ms,
            device_no=row.no,
            kind=row.kind,
            received=received,
            expected=0,
            figures=msgspec.msgpack.encode(figures),
        )
    )


def an_export(cast: Cast, export: str, who: str = "yaxin") -> None:
    """One that is done, of the people's token with this name, with a file of eight bytes."""
    made_of: Exports | None = cast.app.state.parts.deps.exports
    assert made_of is not None
    folder = Folder(made_of.folder)
    with cast.write() as connection:
        known = tokens.identify(connection, cast.tokens[who], NOW_MS)
        assert known is not None
        body = Body(
            token=known.token_id,
            made_by=known.name,
            scope_firm=known.firm,
            wanted=Wanted("report", "xlsx", "zh", firm=known.firm, month="2026-10"),
            made_at_ms=NOW_MS,
            place=folder.place(),
            state=State.DONE,
            began_at_ms=NOW_MS,
            finished_at_ms=NOW_MS,
            sha256="0" * 64,
            size_bytes=8,
        )
        exports.remove(connection, export)
        exports.add(connection, export, 2, packed(body), NOW_MS)
        exports.move(connection, export, 2, 2, packed(body), NOW_MS)
    folder.file(export).write_bytes(b"PK\3\4file")


def a_refusal(connection: Connection, jseq: int, **more: object) -> None:
    """A message that was refused."""
    row = {
        "journal_id": JOURNAL,
        "jseq": jseq,
        "received_at_ms": NOW_MS - MINUTE_MS,
        "compound": XIANGYUNLI,
        "device": GATE,
        "topic": f"courtyard/v1/{XIANGYUNLI}/gate/{GATE}/telemetry",
        "reason": "not_json",
        "detail": "malformed at byte 1",
        "sha256": "0" * 64,
        "size_bytes": 5,
        "payload": b"{oops",
        "partial": False,
    } | more
    connection.execute(insert(quarantine).values(**row))
