"""Our probe: which messages on its topic move the watermark, and which do not."""

import json

import pytest

from devices.topics import probe_topic
from ingest.probe import MAX_UNDERWAY, Probes

TOPIC = probe_topic("one").encode()


def sent(probes: Probes, at_ms: int) -> bytes:
    return probes.next(at_ms)


def test_a_probe_that_comes_back_says_when_it_was_sent() -> None:
    probes = Probes("one", "s3cret")
    payload = sent(probes, 1_000)
    assert probes.returned(TOPIC, payload, 1_020) == {"n": 1, "sent_ms": 1_000, "at_ms": 1_020}


def test_a_probe_counts_once() -> None:
    probes = Probes("one", "s3cret")
    payload = sent(probes, 1_000)
    probes.returned(TOPIC, payload, 1_020)
    assert probes.returned(TOPIC, payload, 1_030) is None


def test_an_older_probe_than_the_last_one_is_ignored() -> None:
    probes = Probes("one", "s3cret")
    first, second = sent(probes, 1_000), sent(probes, 6_000)
    assert probes.returned(TOPIC, second, 6_010) is not None
    assert probes.returned(TOPIC, first, 6_020) is None


def test_a_probe_of_an_earlier_process_is_foreign() -> None:
    payload = sent(Probes("one", "before"), 1_000)
    now = Probes("one", "after")
    sent(now, 1_000)
    assert now.returned(TOPIC, payload, 1_020) is None


def test_a_probe_of_another_instance_is_foreign() -> None:
    probes = Probes("one", "s3cret")
    assert probes.returned(probe_topic("two").encode(), sent(probes, 1_000), 1_020) is None


@pytest.mark.parametrize(
    "change",
    [{"secret": "guess"}, {"sent_ms": 9_999_999}, {"n": 2}, {"n": 10**30}, {"secret": "ü"}],
)
def test_a_forged_probe_is_foreign(change: dict[str, object]) -> None:
    probes = Probes("one", "s3cret")
    payload = json.dumps(json.loads(sent(probes, 1_000)) | change).encode()
    assert probes.returned(TOPIC, payload, 1_020) is None


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000, b'{"n": true}', b"null"])
def test_anything_else_on_its_topic_is_foreign(payload: bytes) -> None:
    probes = Probes("one", "s3cret")
    sent(probes, 1_000)
    assert probes.returned(TOPIC, payload, 1_020) is None


def test_probes_that_never_come_back_are_forgotten_in_the_end() -> None:
    probes = Probes("one", "s3cret")
    first, *others = [sent(probes, n) for n in range(MAX_UNDERWAY + 1)]
    assert probes.returned(TOPIC, first, 1) is None
    assert probes.returned(TOPIC, others[0], 1) is not None
