"""The system as production runs it: mosquitto, PostgreSQL and a real InfluxDB 2, and their outages.

The district's devices report ten minutes in some seconds; what InfluxDB must have then is
read off the messages here, by other means than ingest's. Beside it runs the system on embedded
stores, at the same broker, which must answer the same.
"""

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from bench.publisher import Connection, publish
from courtyard.clock import now_ms
from devices.kinds import KINDS
from devices.quantities import Type
from devices.registry import Device
from simulators import erqi, native
from simulators.fleet import Fleet
from tests import influxdb, postgres
from tests.brokers import HOST, Mosquitto
from tests.e2e.system import Answer, Running, System, a_system
from tests.eventually import eventually

pytestmark = [pytest.mark.influxdb, pytest.mark.broker, pytest.mark.xdist_group("influxdb")]

FLEET_MS = 10 * 60_000
DRAIN_S = 60.0
SUMS_WITHIN_S = 90.0  # a day is summed up when nobody has written to it for 10 s, or after 50 s
EVERY_S = 0.1  # a look at the accounts costs the API some milliseconds
MOST_RSS_BYTES = 300_000_000  # of ingest with the whole district
NUMBERS = (Type.FLOAT, Type.INT)

# What a system says of its own clock, of numbers that it deals, and of how fast it was.
OF_ITS_OWN = {
    *("id", "next_cursor", "last_seen_at", "state_since", "received_at"),
    *("opened_at", "cleared_at", "closed_at"),
}
_OF_WINDOWS = {"starts_at", "ends_at", "created_at", "created_by"}
_OF_TARGETS = {"created_at", "created_by", "target"}
_OF_ROSTERS = {
    *("created_at", "created_by", "changed_at", "changed_by", "at"),
    *("person", "planned", "people", "roster"),
}
_OF_PEOPLE = {"created_at", "created_by", "used_at"}
LISTS = ("devices", "compounds", "firms")
A_FILE = "id,kind,compound\na-new-gate,gate,atlantis\n"
HOLIDAYS = {"off": [{"name": "国庆节", "first": "2026-10-01", "last": "2026-10-07"}]}
A_USER = {"name": "wang", "role": "viewer"}
A_TOKEN = {"name": "grafana", "role": "viewer"}
AN_ALERTMANAGER = {"name": "a", "channel": "alertmanager", "url": "https://93.184.216.34"}
_OF_EXPORTS = {
    *("from", "to", "made_by", "made_at", "as_of", "updated_at", "finished_at", "expires_at"),
    *("name", "url", "etag", "size_bytes"),
}
OF_ROUTES = {
    "/v1/faults/{fault}": {"at"},
    "/v1/faults/{fault}/sla": {"at", "due_at", "as_of"},
    "/v1/sla": {"to", "as_of", "median_s", "p90_s"},
    "/v1/compounds/{compound}/availability": {"as_of"},
    "/v1/kpis": {"as_of"},
    "/v1/maintenance": _OF_WINDOWS,
    "/v1/maintenance/{window}": _OF_WINDOWS,
    "/v1/targets": _OF_TARGETS,
    "/v1/targets/{target}": _OF_TARGETS,
    "/v1/routes": _OF_TARGETS,
    "/v1/routes/dry-run": {"at", "local_time", "target", "route", "routes"},
    "/v1/people": _OF_ROSTERS,
    "/v1/people/{person}": _OF_ROSTERS,
    "/v1/rosters": _OF_ROSTERS,
    "/v1/rosters/{roster}": _OF_ROSTERS,
    "/v1/rosters/{roster}/duty": _OF_ROSTERS,
    "/v1/stand-ins": _OF_ROSTERS,
    "/v1/holidays": _OF_ROSTERS,
    "/v1/holidays/{year}": _OF_ROSTERS,
    "/v1/users": _OF_PEOPLE,
    "/v1/users/{user}": _OF_PEOPLE,
    "/v1/tokens": {"items"},  # each has its own
    "/v1/tokens/{api_token}": _OF_PEOPLE,
    "/v1/exports": _OF_EXPORTS,
    "/v1/exports/{export}": _OF_EXPORTS,
    "/v1/registry/imports": {"made_at", "made_by"},
    "/v1/registry/imports/{registry_import}": {"made_at", "made_by"},
    "/v1/registry/unknown": {"first_at", "last_at"},
    "/v1/audit": {"items"},  # each has its own people, and commands
    "/v1/usage": {"pending_days"},  # each sums up in its own time
    # The judge saves what adds up between events once a minute: until then one may be ahead.
    "/v1/compounds/{compound}/usage": {
        *("to", "coverage", "lighting"),
        *("energy_kwh", "mean_energy_kwh", "kwh_per_port_day", "utilisation", "turnover"),
        *("held_open_min", "full_not_removed_min", "excluded_kwh", "inferred_sessions"),
    },
}

NOT_JSON = b"{"
SECRET_FIELDS = {
    name
    for kind in KINDS.values()
    for event in kind.events.values()
    for name, declared in event.fields.items()
    if declared.secret
}

Key = tuple[str, str, int]  # measurement, device, event time in ms


def instant(at_ms: int) -> str:
    """As the API writes it."""
    return native.rfc3339(at_ms)


@dataclass
class Ledger:
    """What was published, as points: read from the native format, without any code of ingest."""

    points: dict[Key, dict[str, Any]] = field(default_factory=dict)
    messages: int = 0

    def note(self, messages: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for topic, payload in messages:
            self.messages += 1
            _, _, _, kind, device, channel = topic.decode().split("/")
            if channel != "status" and payload != NOT_JSON:
                said = json.loads(payload)
                for item in said if isinstance(said, list) else [said]:
                    self._add(kind, device, item)
            yield topic, payload

    def _add(self, kind: str, device: str, item: dict[str, Any]) -> None:
        at = item["ts"]
        if isinstance(at, str):
            at = round(datetime.fromisoformat(at).timestamp() * 1000)
        if "event" in item:
            attributes = {k: v for k, v in item.items() if k not in ("ts", "boot", "seq", "event")}
            if kind == "shed" and item["event"] in KINDS["port"].events:
                kind, device = "port", f"{device}-p{item['port_no']:02d}"
            self._put((f"{kind}_event", device, at), {"type": item["event"], **attributes})
            return
        self._put((kind, device, at), item.get("values", {}))
        for number, values in item.get("ports", {}).items():
            self._put(("port", f"{device}-p{int(number):02d}", at), values)

    def _put(self, key: Key, fields: dict[str, Any]) -> None:
        if fields:
            self.points.setdefault(key, {}).update(fields)

    def counts(self, only: str) -> Counter[tuple[str, str, str]]:
        """Values by (measurement, device, field)."""
        return Counter(
            (measurement, device, name)
            for (measurement, device, _), fields in self.points.items()
            for name in fields
            if only in (measurement, "/.*/")
        )

    def series(self) -> Mapping[tuple[str, str, str], dict[int, Any]]:
        """Values by time, of each (measurement, device, field)."""
        series: dict[tuple[str, str, str], dict[int, Any]] = defaultdict(dict)
        for (measurement, device, at_ms), fields in self.points.items():
            for name, value in fields.items():
                series[measurement, device, name][at_ms] = value
        return series


@dataclass
class Production:
    """A running system with InfluxDB, and what was published to it."""

    system: System
    server: influxdb.Server | None
    access: influxdb.Access
    token: str
    ingest: Running
    ledger: Ledger = field(default_factory=Ledger)

    def publish(
        self, messages: Iterable[tuple[bytes, bytes]], rate_per_s: float | None = None
    ) -> None:
        """Returns when the broker has them all. One connection, so that they stay in order."""
        connection = Connection(HOST, self.system.broker_port, f"test-{now_ms()}", 500)
        try:
            publish([connection], self.ledger.note(messages), rate_per_s=rate_per_s)
        finally:
            connection.close()

    def accounting(self) -> Any:
        answer = self.system.get("/v1/accounting", self.token)
        assert answer.status == 200, answer.text
        return answer.json

    def readiness(self) -> tuple[int, Any]:
        answer = self.system.get("/readyz")
        return answer.status, answer.json

    def judged(self) -> Any:
        """The accounts, once every message published is in them; the store may be behind."""

        def look() -> Any:
            accounts = self.accounting()
            assert accounts["balance"] in (0, None), accounts
            is_all = accounts["received"] == self.ledger.messages and accounts["pending"] == 0
            return accounts if is_all else None

        return eventually(look, DRAIN_S, "everything judged", EVERY_S)

    def drained(self) -> Any:
        """The accounts, once every message is judged and InfluxDB has confirmed its points."""

        def look() -> Any:
            accounts = self.judged()
            return accounts if accounts["telemetry"]["pending"] == 0 else None

        accounts = eventually(look, DRAIN_S, "everything confirmed", EVERY_S)
        assert accounts["telemetry"]["dead"] == 0, accounts
        return accounts

    def stored(self, measurement: str) -> Counter[tuple[str, str, str]]:
        """Values in InfluxDB by (measurement, device, field)."""
        found: Counter[tuple[str, str, str]] = Counter()
        for series in influxdb.select(
            self.access, f"SELECT count(*) FROM {measurement} GROUP BY device::tag"
        ):
            names = [column.removeprefix("count_") for column in series["columns"][1:]]
            for name, count in zip(names, series["values"][0][1:], strict=True):
                if count:
                    found[series["name"], series["tags"]["device"], name] = count
        return found

    def assert_everything_is_stored_once(self, measurement: str = "/.*/") -> None:
        """measurement: one, which takes less time, or all."""
        expected, found = self.ledger.counts(measurement), self.stored(measurement)
        assert dict((expected - found).most_common(5)) == {}, "missing"
        assert dict((found - expected).most_common(5)) == {}, "too much"


# -- what runs


@pytest.fixture(scope="module")
def server() -> Iterator[influxdb.Server | influxdb.Access]:
    """A private InfluxDB where influxd is installed, else the one that the environment names."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(influxdb.private_server())
        except influxdb.InfluxMissing:
            try:
                yield stack.enter_context(influxdb.server())
            except influxdb.InfluxMissing as missing:
                pytest.skip(str(missing))


@pytest.fixture(scope="module")
def bucket(server: influxdb.Server | influxdb.Access) -> Iterator[influxdb.Access]:
    access = server.access if isinstance(server, influxdb.Server) else server
    with ExitStack() as stack:
        try:
            yield stack.enter_context(influxdb.bucket(access))
        except influxdb.InfluxMissing as missing:
            pytest.skip(str(missing))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory,
    server: influxdb.Server | influxdb.Access,
    bucket: influxdb.Access,
    broker: Mosquitto,
    postgres_cluster: postgres.Cluster,
) -> Iterator[Production]:
    """The district on mosquitto, PostgreSQL and InfluxDB; nothing was published yet."""
    database = postgres_cluster.url(postgres_cluster.create())
    with a_system(tmp_path_factory.mktemp("production"), database) as system:
        system.environ |= settings_of(bucket)
        ingest, token = the_district(system, broker)
        private = server if isinstance(server, influxdb.Server) else None
        yield Production(system, private, bucket, token, ingest)


@pytest.fixture(scope="class")
def on_two_systems(
    tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto, production: Production
) -> Iterator[tuple[Production, System, str]]:
    """Ten minutes of the district, received by both; the embedded one with its token."""
    with a_system(tmp_path_factory.mktemp("embedded"), None) as embedded:
        _, token = the_district(embedded, broker)
        start_ms = now_ms() - FLEET_MS
        fleet = Fleet(erqi.registry(), 1, start_ms)
        messages = [(m.topic.encode(), m.payload) for m in fleet.messages(start_ms + FLEET_MS)]
        production.publish([*messages, *by_hand(start_ms + FLEET_MS)])
        production.drained()
        eventually(
            lambda: _is_drained(embedded.get("/v1/accounting", token).json, production),
            DRAIN_S,
            every_s=EVERY_S,
        )
        yield production, embedded, token


def the_district(system: System, broker: Mosquitto) -> tuple[Running, str]:
    system.environ["COURTYARD_BROKER_URL"] = f"mqtt://{HOST}:{broker.port}"
    done = system.run("registry", "import", "erqi")
    assert done.returncode == 0, done.stderr
    ingest = system.ingest()
    system.api()
    return ingest, system.token("--role", "operator")


def settings_of(access: influxdb.Access) -> dict[str, str]:
    return {
        "COURTYARD_INFLUXDB_URL": access.url,
        "COURTYARD_INFLUXDB_TOKEN": access.token,
        "COURTYARD_INFLUXDB_ORG": access.org,
        "COURTYARD_INFLUXDB_BUCKET": access.bucket,
    }


def by_hand(at_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """What the healthy fleet does not send: faults, and a word and a flag that change."""
    gate, shed = a_device("gate"), a_device("shed")
    for n, state in enumerate(("open", "closed", "open")):
        values: native.Values = {"door_state": state, "tamper": n == 1, "board_temp_c": 40 + n}
        yield topic(gate), native.report(at_ms + n, 9, n + 1, values)
    yield topic(gate), native.report(at_ms + 10, 9, 4, {"tamper": True})
    yield topic(shed), native.report(at_ms + 10, 9, 1, {"smoke": True})
    yield topic(gate), NOT_JSON


def a_device(kind: str, n: int = 0) -> Device:
    return devices_of(kind)[n]


@cache
def devices_of(kind: str) -> list[Device]:
    return [device for device in erqi.registry().devices.values() if device.kind == kind]


def topic(device: Device) -> bytes:
    return native.topic(device.compound, device.kind, device.id, "telemetry").encode()


def _is_drained(accounts: Any, production: Production) -> bool:
    received: int = accounts["received"]
    waiting: int = accounts["pending"] + accounts["telemetry"]["pending"]
    return received == production.ledger.messages and waiting == 0


# -- the whole fleet


class TestTheWholeFleet:
    def test_every_value_is_in_influxdb_exactly_once(
        self, on_two_systems: tuple[Production, System, str]
    ) -> None:
        production, _, _ = on_two_systems
        ledger = production.ledger
        assert {key[0] for key in ledger.points} >= {*KINDS, "gate_event", "port_event"}
        assert len(ledger.points) > 35_000  # how many depends on how long starting took
        production.assert_everything_is_stored_once()
        accounts = production.drained()
        assert accounts["telemetry"]["confirmed"] >= len(ledger.points)
        print(f"{ledger.messages} messages, {len(ledger.points)} points")

    def test_an_event_is_a_point_with_its_words_flags_and_numbers(
        self, on_two_systems: tuple[Production, System, str]
    ) -> None:
        production, _, _ = on_two_systems
        events = {key: value for key, value in production.ledger.points.items() if "_ev" in key[0]}
        for measurement in ("gate_event", "port_event"):
            (_, device, at_ms), fields = next(
                item
                for item in events.items()
                if item[0][0] == measurement and item[0][2] % 1000  # whole seconds are spread
            )
            (series,) = influxdb.select(
                production.access,
                f"SELECT * FROM \"{measurement}\" WHERE device = '{device}' AND time = {at_ms}ms",
            )
            (row,) = series["values"]
            found = dict(zip(series["columns"], row, strict=True))
            assert found.pop("time") == at_ms
            assert (found.pop("device"), bool(found.pop("compound"))) == (device, True)
            kept = {name: value for name, value in found.items() if value is not None}
            secret = SECRET_FIELDS & fields.keys()
            assert secret <= kept.keys()
            for name in secret:  # who passed is kept as a keyed hash
                assert kept[name] != fields[name]
                assert str(kept[name]).startswith("kh1-")
            assert {name: kept[name] for name in kept.keys() - secret} == {
                name: fields[name] for name in fields.keys() - secret
            }

    def test_a_series_of_every_quantity_is_as_it_was_published(
        self, on_two_systems: tuple[Production, System, str]
    ) -> None:
        production, _, _ = on_two_systems
        types: set[tuple[str, Type]] = set()
        for kind, device, quantity, published in one_series_of_every_quantity(production.ledger):
            type_ = KINDS[kind].quantities[quantity].type
            types.add((kind, type_))
            body = series_of(production.system, production.token, device, quantity, published)
            assert [(point["at"], point["value"]) for point in body["points"]] == [
                (instant(at_ms), value) for at_ms, value in sorted(published.items())
            ], (device, quantity)
            words = (bool, str) if type_ not in NUMBERS else (int, float)
            assert all(isinstance(point["value"], words) for point in body["points"])
        assert {kind for kind, _ in types} == set(KINDS)
        assert {type_ for _, type_ in types} == {*NUMBERS, Type.BOOL, Type.ENUM}

    @pytest.mark.parametrize(("every", "every_ms"), [("1m", 60_000), ("1h", 3_600_000)])
    def test_buckets_of_every_quantity_are_those_of_what_was_published(
        self, on_two_systems: tuple[Production, System, str], every: str, every_ms: int
    ) -> None:
        production, _, _ = on_two_systems
        for kind, device, quantity, published in one_series_of_every_quantity(production.ledger):
            is_number = KINDS[kind].quantities[quantity].type in NUMBERS
            body = series_of(
                production.system, production.token, device, quantity, published, every=every
            )
            expected = buckets_of(published, every_ms, is_number)
            assert len(body["points"]) == len(expected), (device, quantity)
            for point, bucket in zip(body["points"], expected, strict=True):
                mean, meant = point.pop("mean"), bucket.pop("mean")
                assert point == bucket, (device, quantity)
                if meant is None or mean is None:  # words and flags have none
                    assert mean == meant, (device, quantity)
                    continue
                # near zero, sums of opposite signs have no relative error
                assert math.isclose(mean, meant, rel_tol=1e-9, abs_tol=1e-9), (device, quantity)

    def test_pages_of_a_series_join_without_gap_or_repetition(
        self, on_two_systems: tuple[Production, System, str]
    ) -> None:
        production, _, _ = on_two_systems
        gate = a_device("gate", 3).id
        published = production.ledger.series()["gate", gate, "rssi_dbm"]
        points: list[Any] = []
        cursor = None
        while True:
            more: dict[str, object] = {} if cursor is None else {"cursor": cursor}
            body = series_of(
                production.system, production.token, gate, "rssi_dbm", published, limit=7, **more
            )
            points += body["points"]
            cursor = body["next_cursor"]
            if cursor is None:
                break
            assert len(body["points"]) == 7
        assert [point["at"] for point in points] == [instant(at) for at in sorted(published)]

    def test_every_route_answers_as_on_embedded_stores(
        self, on_two_systems: tuple[Production, System, str]
    ) -> None:
        production, embedded, embedded_token = on_two_systems
        asked = (production.system, production.token), (embedded, embedded_token)
        gate, shed = a_device("gate"), a_device("shed")
        described = production.system.get("/openapi.json").json["paths"]
        routes = {path for path, methods in described.items() if "get" in methods}
        for system, token in asked:
            eventually(partial(is_ready, system), 20)
            assert system.post("/v1/maintenance", token, a_window(shed.compound)).status == 201
            assert system.post("/v1/targets", token, AN_ALERTMANAGER).status == 201
            person = system.post("/v1/people", token, {"name": "li"}).json["id"]
            plan = {"name": "duty", "starts_on": "2026-11-23", "people": [person]}
            assert system.post("/v1/rosters", token, plan).status == 201
            assert system.put("/v1/holidays/2026", token, HOLIDAYS).status == 200
            for path, asked_for in (("/v1/users", A_USER), ("/v1/tokens", A_TOKEN)):
                assert system.post(path, token, asked_for).status == 201
            wanted = {"what": "usage", "format": "csv", "compound": shed.compound}
            assert system.post("/v1/exports", token, wanted).status == 202
            assert system.post("/v1/registry/imports", token, A_FILE).status == 201
        below = {"/v1/stream", "/metrics", "/readyz"}
        of_the_journal = {"/v1/rules/dry-run"}  # and of this process: nobody has started one
        files = {route for route in routes if route.startswith("/v1/reports/")}
        files |= {"/v1/exports/{export}/file", "/v1/registry/template/{file_type}"}
        assert files
        for route in sorted(routes - below - of_the_journal - files):
            apart = OF_ITS_OWN | OF_ROUTES.get(route, set())

            def answers(route: str = route, apart: set[str] = apart) -> list[Any]:
                both = [ask(route, *of, gate.id, shed.compound) for of in asked]
                assert {answer.status for answer in both} == {200}, (route, both[0].text)
                return [comparable(answer.json, apart) for answer in both]

            def agree(answers: Callable[[], list[Any]] = answers) -> bool:
                ours, theirs = answers()
                return bool(ours == theirs)

            # what runs by the clock, like a delay before a fault, runs by each one's own
            with suppress(AssertionError):
                within_s = SUMS_WITHIN_S if route == "/v1/usage" else 10
                eventually(agree, within_s, every_s=EVERY_S)
            assert list(differences(*answers())) == [], route
        for system, token in asked:
            text = system.get("/metrics").text
            assert 'courtyard_faults_open{severity="P1"} 1.0' in text
            request = Request(f"http://{HOST}:{system.api_port}/v1/stream")
            request.add_header("Authorization", f"Bearer {token}")
            with urlopen(request, timeout=20) as stream:
                assert stream.headers["Content-Type"].startswith("text/event-stream")


def differences(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """What differs, each with the way to it."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for name in ours:
            yield from differences(ours[name], theirs[name], f"{where}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{where}[{place}]")
    elif ours != theirs:
        yield f"{where}: {str(ours)[:200]} and {str(theirs)[:200]}"


def a_window(compound: str) -> dict[str, object]:
    """Maintenance of cameras, tomorrow."""
    day_s = 86_400
    starts, ends = (instant(int((time.time() + n * day_s) * 1000)) for n in (1, 2))
    where = {"compound": compound, "kind": "camera", "starts_at": starts, "ends_at": ends}
    return {**where, "reason": "new recorders", "owner": "Li Min"}


def ask(route: str, system: System, token: str, device: str, compound: str) -> Answer:
    """A route's answer about these, its further parameters filled in."""
    (fault,) = system.get("/v1/faults", token, device=device).json["items"]
    (refused,) = system.get("/v1/quarantine", token).json["items"]
    parameters: dict[str, object] = {}
    if route.endswith("/telemetry"):
        parameters = {"quantity": "door_state"}
    elif route.endswith("/{compound}/usage"):
        parameters = {"bucket": "hour"}
    elif route.endswith("/availability") or route == "/v1/kpis":
        parameters = {"to": instant(int(time.time() - 60) // 60 * 60_000)}  # else it is up to now
    elif route in ("/v1/devices", "/v1/compounds", *(f"/v1/registry/{of}" for of in LISTS)):
        parameters = {"limit": 500}
    elif route == "/v1/routes/dry-run":
        parameters = {"code": "GATE_OFFLINE", "compound": compound}
    (window,) = system.get("/v1/maintenance", token).json["items"]
    (export,) = system.get("/v1/exports", token).json["items"]
    (target,) = system.get("/v1/targets", token).json["items"]
    ids = {"fault": fault["id"], "refused": refused["id"], "window": window["id"]}
    (person,) = system.get("/v1/people", token).json["items"]
    (roster,) = system.get("/v1/rosters", token).json["items"]
    ids |= {"export": export["id"], "target": target["id"], "year": "2026"}
    ids |= {"person": person["id"], "roster": roster["id"], "user": A_USER["name"]}
    newest = system.get("/v1/tokens", token, limit=1).json["items"][0]
    ids |= {"api_token": str(newest["id"])}
    ids |= {"person": person["id"], "roster": roster["id"]}
    (imported,) = system.get("/v1/registry/imports", token).json["items"]
    ids["registry_import"] = imported["id"]
    ids["firm"] = system.get(f"/v1/registry/compounds/{compound}", token).json["firm"]
    path = route.format(compound=compound, device=device, **ids)
    return system.get(path, token, **parameters)


def is_ready(system: System) -> bool:
    """But for alerts: a target of another test may be there, with nobody who sends to it."""
    said = system.get("/readyz").json
    return bool(said["status"] == "ready" or said.get("degraded") == ["alerts"])


def one_series_of_every_quantity(
    ledger: Ledger,
) -> Iterator[tuple[str, str, str, dict[int, Any]]]:
    """kind, device, quantity, values by time: of the device that sent most of them."""
    best: dict[tuple[str, str], tuple[str, dict[int, Any]]] = {}
    for (kind, device, quantity), published in ledger.series().items():
        if kind in KINDS and quantity in KINDS[kind].quantities:
            known = best.get((kind, quantity))
            if known is None or len(known[1]) < len(published):
                best[kind, quantity] = device, published
    for (kind, quantity), (device, published) in best.items():
        yield kind, device, quantity, published


def series_of(
    system: System, token: str, device: str, quantity: str, published: Any, **more: object
) -> Any:
    span = {"from": instant(min(published)), "to": instant(max(published) + 1)}
    parameters = {"quantity": quantity, "limit": 500, **span, **more}
    answer = system.get(f"/v1/devices/{device}/telemetry", token, **parameters)
    assert answer.status == 200, answer.text
    return answer.json


def buckets_of(published: dict[int, Any], every_ms: int, is_number: bool) -> list[dict[str, Any]]:
    windows: dict[int, list[Any]] = defaultdict(list)
    for at_ms, value in sorted(published.items()):
        windows[at_ms - at_ms % every_ms].append(value)
    return [
        {
            "at": instant(at_ms),
            "min": min(values) if is_number else None,
            "mean": math.fsum(values) / len(values) if is_number else None,
            "max": max(values) if is_number else None,
            "last": values[-1],
            "count": len(values),
        }
        for at_ms, values in windows.items()
    ]


def comparable(body: Any, apart: set[str]) -> Any:
    """Without what two systems that saw the same may say differently; lists of things sorted."""
    if isinstance(body, dict):
        return {name: comparable(v, apart) for name, v in body.items() if name not in apart}
    if isinstance(body, list):
        return sorted((comparable(one, apart) for one in body), key=json.dumps)
    return body


# -- a day of one device


def test_a_day_that_a_device_kept_is_there_at_once_and_quick_to_read(
    production: Production,
) -> None:
    gate = a_device("gate", 5)
    end_ms = now_ms()
    times = range(end_ms - 86_400_000, end_ms, 30_000)
    reports = [
        native.report(at_ms, 1, n, {"rssi_dbm": -60.0 - n % 20, "tamper": n % 9 == 0})
        for n, at_ms in enumerate(times)
    ]
    production.publish((topic(gate), payload) for payload in native.replay(reports))
    production.drained()
    for quantity, every, rows in (
        ("rssi_dbm", None, 500),
        ("tamper", None, 500),
        ("rssi_dbm", "5m", 289),
        ("rssi_dbm", "1h", 25),
        ("tamper", "1h", 25),
    ):
        span = {"from": instant(times[0]), "to": instant(end_ms), "limit": 500}
        more = {} if every is None else {"every": every}
        took_ms = []
        for _ in range(15):
            began_s = time.perf_counter()
            answer = production.system.get(
                f"/v1/devices/{gate.id}/telemetry",
                production.token,
                quantity=quantity,
                **span,
                **more,
            )
            took_ms.append((time.perf_counter() - began_s) * 1000)
            assert len(answer.json["points"]) in (rows, rows - 1), answer.text[:300]
        took_ms.sort()
        print(
            f"a device-day of {quantity}, every={every}, {len(answer.json['points'])} rows:"
            f" median {took_ms[7]:.0f} ms, worst {took_ms[-1]:.0f} ms"
        )
        assert took_ms[0] < 1000


# -- outages


@pytest.fixture
def influx(production: Production) -> influxdb.Server:
    """The server, to be treated badly."""
    if production.server is None:
        pytest.skip("NOT TESTED with an outage of InfluxDB: no influxd 2 on PATH to be killed")
    return production.server


class TestOutages:
    def test_a_killed_influxdb_costs_nothing_but_time(
        self, production: Production, influx: influxdb.Server
    ) -> None:
        before = production.drained()
        ingest = psutil.Process(production.ingest.process.pid)
        rss_bytes = [ingest.memory_info().rss]
        numbers = Numbered()
        influx.kill()
        try:
            waiting = []
            for _ in range(3):
                production.publish(numbers.next(10_000))
                accounts = production.judged()  # acknowledged, judged, accounted for
                waiting.append(accounts["telemetry"]["pending"])
                rss_bytes.append(ingest.memory_info().rss)
            assert waiting == sorted(set(waiting)), waiting
            assert waiting[-1] >= 20_000
            assert accounts["telemetry"]["dead"] == before["telemetry"]["dead"]
            status, said = eventually(lambda: degraded(production), 20)
            assert status == 200, said
            # after 10 s also an alarm; and a target of another test, with nobody who sends to it
            assert set(said["degraded"]) - {"alarms", "alerts"} == {"telemetry"}, said
            assert "does not answer" in said["checks"]["telemetry"]["detail"]
            answer = production.system.get(
                f"/v1/devices/{a_device('gate').id}/telemetry",
                production.token,
                quantity="door_state",
            )
            assert (answer.status, "Retry-After" in answer.headers) == (503, True), answer.text
            rate = drain_rate(production, influx.start, accounts["telemetry"]["confirmed"])
        finally:
            influx.revive()
        print(
            f"outage: pending {waiting}, RSS {[round(size / 1e6) for size in rss_bytes]} MB,"
            f" drained {rate:.0f} points/s"
        )
        assert max(rss_bytes) < MOST_RSS_BYTES
        production.assert_everything_is_stored_once("gate")
        eventually(partial(is_ready, production.system), 20)  # its alarm is over a moment later

    def test_an_influxdb_that_accepts_and_never_answers_costs_nothing_but_time(
        self, production: Production, influx: influxdb.Server
    ) -> None:
        production.drained()
        numbers = Numbered(1)
        influx.freeze()
        try:
            production.publish(numbers.next(5_000))
            accounts = production.judged()
            with ThreadPoolExecutor(1) as one:
                began_s = time.monotonic()
                slow = one.submit(ask_for_a_series, production)
                worst_s = 0.0
                while not slow.done():  # whoever asks for something else is answered meanwhile
                    asked_s = time.monotonic()
                    assert production.system.get("/livez").status == 200
                    assert production.accounting()["balance"] == 0
                    worst_s = max(worst_s, time.monotonic() - asked_s)
                    time.sleep(0.1)
                assert slow.result() == 503
                assert time.monotonic() - began_s < 15
                assert worst_s < 5
            production.publish(numbers.next(5_000))
            accounts = production.judged()
            assert accounts["telemetry"]["pending"] >= 10_000
            status, _ = eventually(lambda: degraded(production), 20)
            assert status == 200
        finally:
            influx.thaw()
        production.drained()
        production.assert_everything_is_stored_once("gate")  # also what it took without saying so

    def test_ingest_ends_in_time_beside_a_frozen_influxdb_and_loses_nothing(
        self, production: Production, influx: influxdb.Server
    ) -> None:
        production.drained()
        numbers = Numbered(2)
        influx.freeze()
        try:
            production.publish(numbers.next(2_000))
            production.judged()
            began_s = time.monotonic()
            assert production.ingest.end(within_s=10) == 0
            print(f"ended within {time.monotonic() - began_s:.1f} s beside a frozen InfluxDB")
        finally:
            influx.thaw()
        production.publish(numbers.next(2_000))  # the broker keeps these
        production.ingest = production.system.ingest()
        production.drained()
        production.assert_everything_is_stored_once("gate")

    def test_a_wrong_token_pauses_forwarding_says_so_and_loses_nothing(
        self, production: Production
    ) -> None:
        confirmed = production.drained()["telemetry"]["confirmed"]
        wrong = settings_of(replace(production.access, token="no-such-token"))
        assert production.ingest.end() == 0
        refused = production.system.ingest(**wrong)
        production.publish(Numbered(3).next(2_000))
        accounts = production.judged()
        assert accounts["telemetry"]["confirmed"] == confirmed
        assert accounts["telemetry"]["pending"] >= 2_000
        refused.await_said("telemetry_store_away")
        assert refused.has_said("401")
        assert not refused.has_said("no-such-token")
        status, said = eventually(lambda: degraded(production), 20)
        assert status == 200
        assert "refuses us" in said["checks"]["telemetry"]["detail"]
        doctor = production.system.run("doctor", **wrong)
        assert doctor.returncode == 1
        assert "BAD   telemetry" in doctor.stdout, doctor.stdout
        assert refused.end() == 0
        production.ingest = production.system.ingest()
        production.drained()
        production.assert_everything_is_stored_once("gate")
        eventually(partial(is_ready, production.system), 20)

    def test_the_bucket_gets_the_retention_that_is_set_and_the_doctor_says_so(
        self, production: Production
    ) -> None:
        kept = production.system.run("doctor")
        assert "note  retention  the bucket keeps readings for ever" in kept.stdout, kept.stdout
        set_ = {
            "COURTYARD_TELEMETRY_RETENTION": "30d",
            "COURTYARD_INFLUXDB_SET_RETENTION": "true",
        }
        assert production.ingest.end() == 0
        ruled = production.system.ingest(**set_)
        ruled.await_said("bucket_retention_set")
        found = influxdb.ask(
            production.access, "GET", f"/api/v2/buckets?name={production.access.bucket}"
        )
        (rule,) = found["buckets"][0]["retentionRules"]
        assert rule["everySeconds"] == 30 * 86_400
        doctor = production.system.run("doctor", **set_)
        assert "ok    retention  the bucket keeps readings for 30d" in doctor.stdout, doctor.stdout
        assert ruled.end() == 0
        production.ingest = production.system.ingest()
        production.publish(Numbered(4).next(500))
        production.drained()
        production.assert_everything_is_stored_once("gate")


class Numbered:
    """Readings of calm gates, each later than the one before; `series` keeps tests apart."""

    def __init__(self, series: int = 0) -> None:
        self._gates = [topic(gate) for gate in devices_of("gate")[50:250]]
        self._boot = 1_000 + series
        self._start_ms = now_ms() - 60_000
        self._sent = 0

    def next(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        for n in range(self._sent, self._sent + count):
            values: native.Values = {"rssi_dbm": -60.0 - n % 9, "mains_ok": True, "csq": 20 + n % 9}
            payload = native.report(self._start_ms + n, self._boot, n, values)
            yield self._gates[n % len(self._gates)], payload
        self._sent += count


def degraded(production: Production) -> tuple[int, Any] | None:
    status, said = production.readiness()
    assert status == 200, said
    return (status, said) if "telemetry" in said["degraded"] else None


def ask_for_a_series(production: Production) -> int:
    request = Request(
        f"http://{HOST}:{production.system.api_port}/v1/devices/{a_device('gate').id}/telemetry"
        "?quantity=door_state"
    )
    request.add_header("Authorization", f"Bearer {production.token}")
    try:
        with urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def drain_rate(production: Production, begin: Callable[[], None], confirmed: int) -> float:
    """Points a second from the first that was confirmed after `begin` to the last."""
    begin()

    def began() -> tuple[float, int] | None:
        count = production.accounting()["telemetry"]["confirmed"]
        return (time.monotonic(), count) if count > confirmed else None

    began_s, first = eventually(began, DRAIN_S)
    last = production.drained()["telemetry"]["confirmed"]
    return float((last - first) / (time.monotonic() - began_s))
