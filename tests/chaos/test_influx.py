"""The front of an InfluxDB spoils writes as it is told, and nothing else."""

import urllib.request
from collections.abc import Iterator
from http.client import RemoteDisconnected
from urllib.error import HTTPError

import pytest

from chaos.influx import Front
from tests import fake_influxdb
from tests.fake_influxdb import BUCKET, ORG, TOKEN, FakeInfluxDB


@pytest.fixture
def behind() -> Iterator[FakeInfluxDB]:
    with fake_influxdb.running() as fake:
        yield fake


@pytest.fixture
def front(behind: FakeInfluxDB) -> Iterator[Front]:
    with Front(behind.url) as made:
        yield made


def write(front: Front, at_ms: int = 1, timeout_s: float = 10) -> int:
    request = urllib.request.Request(
        f"{front.url}/api/v2/write?org={ORG}&bucket={BUCKET}&precision=ms",
        f"gate,device=g value=1.5 {at_ms}".encode(),
        {"Authorization": f"Token {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        return int(answer.status)


def test_a_write_reaches_the_store(front: Front, behind: FakeInfluxDB) -> None:
    assert write(front) == 204
    assert behind.count_points() == 1
    assert front.spoilt == 0


def test_an_answer_of_its_own_stores_nothing(front: Front, behind: FakeInfluxDB) -> None:
    front.answer(429, Retry_After="3")
    with pytest.raises(HTTPError) as refused:
        write(front)
    with refused.value as answer:
        assert answer.code == 429
        assert answer.headers["Retry-After"] == "3"
    assert behind.count_points() == 0
    front.normal()
    assert write(front) == 204


def test_a_lost_reply_is_stored_all_the_same(front: Front, behind: FakeInfluxDB) -> None:
    front.lose_reply()
    with pytest.raises(RemoteDisconnected):
        write(front)
    assert behind.count_points() == 1
    assert front.spoilt == 1


def test_what_hangs_is_let_go_again(front: Front, behind: FakeInfluxDB) -> None:
    front.hang()
    with pytest.raises(TimeoutError):
        write(front, timeout_s=0.3)
    front.normal()
    assert write(front) == 204
    assert behind.count_points() == 1


def test_only_a_large_write_is_too_large(front: Front) -> None:
    front.largest_bytes = 10
    with pytest.raises(HTTPError) as refused:
        write(front)
    with refused.value as answer:
        assert answer.code == 413
    front.largest_bytes = 1_000
    assert write(front) == 204
