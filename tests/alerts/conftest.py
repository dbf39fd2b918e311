"""The stand-in for the robots: one server for all tests here, empty for each."""

from collections.abc import Iterator

import pytest

from simulators.robots import Robots
from tests.alerts.cast import clock


@pytest.fixture(scope="package")
def robots_server() -> Iterator[Robots]:
    server = Robots(clock)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def robots(robots_server: Robots) -> Robots:
    robots_server.clear()
    return robots_server
