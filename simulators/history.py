"""A simulated past, written straight into a journal with simulated receive times.

The judge reads such a journal as fast as the machine allows; every delay in it is exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol

from devices.journal import LINK, MESSAGES, PROBE, START, STOP, TICK, Raw
from simulators.fleet import Fleet

BATCH = 1_000  # messages a record, as receive cuts them
BATCH_MS = 5_000
PROBE_MS = 5_000
LATENCY_MS = (20, 140)  # from a device to our journal, on a quiet day
PROBE_ROUND_TRIP_MS = 40
COMMIT_MESSAGES = 5_000  # handed to the sink at once; one fsync there


class Draft(NamedTuple):
    """A record before the journal numbers it: messages, or one control mapping."""

    kind: str
    epoch: int
    messages: Sequence[Raw] = ()
    control: Mapping[str, int | bool | str] | None = None


class HistorySink(Protocol):
    """Where a history goes: a journal of its own. Durable when `commit` returns."""

    def commit(self, drafts: Sequence[Draft]) -> None: ...


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. to_ms: all before it is in the sink; less than asked for when stopped."""

    messages: int
    records: int
    to_ms: int
    next_probe: int


def write_history(
    fleet: Fleet,
    start_ms: int,
    end_ms: int,
    sink: HistorySink,
    *,
    probe_ms: int = PROBE_MS,
    batch_ms: int = BATCH_MS,
    first_probe: int = 1,
    opens: bool = True,
    closes: bool = True,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """The fleet's messages of [start_ms, end_ms) as journal records, with probes and ticks.

    Probes come every `probe_ms` and prove that the receiver was well all along; each is followed by
    a tick. progress: is told how far it is, UTC epoch ms, after every commit. stop: asked after
    every commit; true ends it there, without a stop record.

    A long history goes chunk by chunk: call again with the same fleet from where the last chunk
    ended, `first_probe` at `Written.next_probe`, `opens` false (it writes the records of a
    receiver's start, `closes` those of its stop). To take it up after a crash, begin again at a
    chunk's border with a fresh Fleet of that start: it looks as in mid-run, only the charges that
    were under way are others. What was half written of a chunk must be thrown away before.

    Raises ValueError when the fleet has been moved past `start_ms`, and what the sink raises.
    """
    if fleet.now_ms > start_ms:
        raise ValueError(f"the fleet is at {fleet.now_ms} already, past {start_ms}")
    writer = _Writer(sink, batch_ms)
    if opens:
        writer.control(START, {"at_ms": start_ms})
        writer.control(LINK, {"up": True, "session_present": False, "at_ms": start_ms})
    wire = _Wire(fleet, start_ms)
    number = first_probe
    probe_at_ms = start_ms - start_ms % probe_ms + probe_ms
    while probe_at_ms < end_ms:
        wire.carry(probe_at_ms, writer)
        at_ms = wire.round_trip(probe_at_ms)
        writer.control(PROBE, {"n": number, "sent_ms": probe_at_ms, "at_ms": at_ms})
        writer.control(TICK, {"at_ms": at_ms})
        number += 1
        if writer.is_full:
            writer.commit()
            progress(probe_at_ms)
            if stop():
                return Written(writer.messages, writer.records, probe_at_ms, number)
        probe_at_ms += probe_ms
    wire.carry(end_ms, writer)
    if closes:
        writer.control(STOP, {"at_ms": max(wire.received_ms, end_ms)})
    writer.commit()
    progress(end_ms)
    return Written(writer.messages, writer.records, end_ms, number)


class _Wire:
    """The way from the devices to our journal: it takes its time, and nothing overtakes."""

    def __init__(self, fleet: Fleet, start_ms: int) -> None:
        self.received_ms = start_ms
        self._fleet = fleet
        self._origins = {link.id: link.node.device.compound for link in fleet.links.values()}
        self._delays = Random(start_ms)  # noqa: S311 - latencies

    def carry(self, upto_ms: int, writer: "_Writer") -> None:
        """What the fleet sends before `upto_ms`."""
        shortest, longest = LATENCY_MS
        spread = longest - shortest
        delay = self._delays.random
        origins = self._origins
        received_ms = self.received_ms
        for message in self._fleet.messages(upto_ms):
            # a connection delivers in order, and so does the broker to us
            received_ms = max(received_ms, message.at_ms + shortest + int(spread * delay()))
            topic, origin = message.topic.encode(), origins[message.connection]
            writer.message(Raw(topic, message.payload, 0, received_ms, origin))
        self.received_ms = received_ms

    def round_trip(self, sent_ms: int) -> int:
        """When a probe sent now comes back: behind everything that was under way."""
        self.received_ms = max(self.received_ms, sent_ms + PROBE_ROUND_TRIP_MS)
        return self.received_ms


class _Writer:
    """Cuts messages into records and hands them on in groups."""

    def __init__(self, sink: HistorySink, batch_ms: int) -> None:
        self.messages = 0
        self.records = 0
        self._sink = sink
        self._batch_ms = batch_ms
        self._drafts: list[Draft] = []
        self._batch: list[Raw] = []
        self._waiting = 0

    @property
    def is_full(self) -> bool:
        return self._waiting + len(self._batch) >= COMMIT_MESSAGES

    def message(self, raw: Raw) -> None:
        batch = self._batch
        if batch and (
            len(batch) == BATCH or raw.received_ms - batch[0].received_ms >= self._batch_ms
        ):
            self._cut()
            batch = self._batch
        batch.append(raw)

    def control(self, kind: str, control: Mapping[str, int | bool | str]) -> None:
        self._cut()
        self._drafts.append(Draft(kind, 1, (), control))

    def _cut(self) -> None:
        if self._batch:
            self._drafts.append(Draft(MESSAGES, 1, tuple(self._batch), None))
            self._waiting += len(self._batch)
            self._batch = []

    def commit(self) -> None:
        self._cut()
        if self._drafts:
            self._sink.commit(self._drafts)
            self.messages += self._waiting
            self.records += len(self._drafts)
        self._drafts, self._waiting = [], 0
