"""Telemetry stores for tests: `telemetry` is each of them in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.quantities import Type
from devices.store.telemetry import TelemetryStore
from devices.store.telemetry.declared import declared_type
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.telemetry.influxdb import InfluxTelemetry
from tests import fake_influxdb, influxdb

# fields of the tests' own, so that a suite over the real server needs no declared kind
TYPES = {
    "power_w": Type.FLOAT,
    "voltage_v": Type.FLOAT,
    "energy_kwh": Type.FLOAT,
    "ports_in_use": Type.INT,
    "door_open": Type.BOOL,
    "port_status": Type.ENUM,
    "note": Type.TEXT,
}


def declared(measurement: str, quantity: str) -> Type | None:
    return TYPES.get(quantity) or declared_type(measurement, quantity)


@pytest.fixture(scope="session")
def influxdb_access() -> Iterator[influxdb.Access]:
    """A real InfluxDB 2. Missing: a loud skip, the only one that CI may have."""
    try:
        with influxdb.server() as access:
            yield access
    except influxdb.InfluxMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def private_influxdb() -> Iterator[influxdb.Server]:
    """A real InfluxDB 2 that the test may kill. Missing: a loud skip."""
    try:
        with influxdb.private_server() as private:
            yield private
    except influxdb.InfluxMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def real_influxdb(influxdb_access: influxdb.Access) -> Iterator[InfluxTelemetry]:
    at = influxdb_access
    store = InfluxTelemetry(at.url, at.token, at.org, at.bucket, 10.0, declared)
    yield store
    store.close()


@pytest.fixture
def fake_server() -> Iterator[fake_influxdb.FakeInfluxDB]:
    with fake_influxdb.running() as fake:
        yield fake


@pytest.fixture
def on_fake_influxdb(fake_server: fake_influxdb.FakeInfluxDB) -> Iterator[InfluxTelemetry]:
    store = InfluxTelemetry(
        fake_server.url,
        fake_influxdb.TOKEN,
        fake_influxdb.ORG,
        fake_influxdb.BUCKET,
        5.0,
        declared,
    )
    yield store
    store.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedTelemetry]:
    """Merges after four writes already, so that the contract meets merged segments too."""
    store = EmbeddedTelemetry(tmp_path / "telemetry.db", fan=4, sealed_points=20)
    yield store
    store.close()


@pytest.fixture(
    params=[
        "embedded",
        "on_fake_influxdb",
        pytest.param("real_influxdb", marks=pytest.mark.influxdb),
    ]
)
def telemetry(request: pytest.FixtureRequest) -> TelemetryStore:
    store: TelemetryStore = request.getfixturevalue(request.param)
    return store
