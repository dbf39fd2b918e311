"""Builders: a part of the district at a local time, and what its messages say."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec

from devices.registry import Registry
from simulators.anomalies import NONE, Rates
from simulators.erqi import first, registry
from simulators.fleet import Fleet, Message
from simulators.truth import Fact

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@cache
def a_district(compounds: int, vendors: float = 0.0) -> Registry:
    return first(registry(vendors), compounds)


def at(local: str) -> int:
    """UTC epoch ms of a local time like `2026-11-23T18:00` (a Monday)."""
    return int(datetime.fromisoformat(f"{local}:00+08:00").timestamp() * 1000)


class Run(NamedTuple):
    fleet: Fleet
    messages: list[Message]
    facts: list[Fact]


def run(
    start: str,
    duration_ms: int,
    *,
    compounds: int = 10,
    vendors: float = 0.0,
    seed: int = 1,
    rates: Rates = NONE,
) -> Run:
    facts: list[Fact] = []
    fleet = Fleet(a_district(compounds, vendors), seed, at(start), rates, facts.append)
    return Run(fleet, list(fleet.messages(at(start) + duration_ms)), facts)


def objects(messages: Iterable[Message]) -> Iterator[tuple[Message, dict[str, Any]]]:
    """Every object in our own format, also those inside arrays, with the message it came in."""
    for message in messages:
        if not message.topic.startswith("courtyard/"):
            continue
        said = msgspec.json.decode(message.payload)
        for one in said if isinstance(said, list) else [said]:
            yield message, one


def device_of(message: Message) -> str:
    return message.topic.split("/")[4]
