"""A simulated past, written straight into a journal with simulated receive times.

The judge reads such a journal as fast as the machine allows; every delay in it is exact.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol

from devices.journal import DUP, LINK, MESSAGES, PROBE, START, STOP, TICK, Raw
from simulators.fleet import Fleet, Message
from simulators.ours import STORM_MS, Trouble

BATCH = 1_000  # messages a record, as receive cuts them
BATCH_MS = 5_000
PROBE_MS = 5_000
PROBE_ROUND_TRIP_MS = 40
BACKLOG_A_MS = 5  # messages a millisecond, when we take what the broker kept
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
    reception: "Reception | None" = None,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """The fleet's messages of [start_ms, end_ms) as journal records, with probes and ticks.

    Probes come every `probe_ms` and prove that the receiver was well all along; each is followed by
    a tick. progress: is told how far it is, UTC epoch ms, after every commit. stop: asked after
    every commit; true ends it there, without a stop record. reception: how the messages reach us,
    where our side has troubles; the same one for all chunks.

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
    wire = reception or Reception(fleet, start_ms)
    if opens:
        writer.control(START, {"at_ms": start_ms})
        writer.control(LINK, {"up": True, "session_present": False, "at_ms": start_ms})
    number = first_probe
    probe_at_ms = start_ms - start_ms % probe_ms + probe_ms
    while probe_at_ms < end_ms:
        wire.carry(probe_at_ms, writer)
        number += wire.probes(probe_at_ms, number, writer)
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


class Reception:
    """The way from the devices to our journal: it takes its time, and nothing overtakes.

    troubles: of our own side; those that deafen us do not overlap. What the broker keeps for us
    meanwhile comes afterwards, as fast as we take it.
    """

    def __init__(self, fleet: Fleet, start_ms: int, troubles: Sequence[Trouble] = ()) -> None:
        self.received_ms = start_ms
        self._fleet = fleet
        self._origins = {link.id: link.node.device.compound for link in fleet.links.values()}
        self._delays = Random(start_ms)  # noqa: S311 - latencies
        self._disorder = Random(start_ms + 1)  # noqa: S311 - the order of messages
        edges = [(t.at_ms, 1, t) for t in troubles] + [(t.end_ms, 0, t) for t in troubles]
        self._edges = sorted(edges, key=lambda edge: edge[:2])
        self._deaf: Trouble | None = None
        self._share = 0.0
        self._window = 0
        self._losses = 0.0
        self._kept: list[tuple[bytes, bytes, str]] = []

    def carry(self, upto_ms: int, writer: "_Writer") -> None:
        """What the fleet sends before `upto_ms`, and what goes wrong on our side."""
        while self._edges and self._edges[0][0] <= upto_ms:
            at_ms, begins, trouble = self._edges.pop(0)
            self._carry(at_ms, writer)
            if begins:
                self._begins(trouble, at_ms, writer)
            else:
                self._ends(trouble, at_ms, writer)
        self._carry(upto_ms, writer)

    def probes(self, sent_ms: int, number: int, writer: "_Writer") -> int:
        """A probe sent now, and a tick, as far as we are there; how many probes came back."""
        deaf = self._deaf
        if deaf is not None:
            if deaf.kind in ("link_lost", "broker_storm"):
                self.received_ms = max(self.received_ms, sent_ms)
                writer.control(TICK, {"at_ms": self.received_ms})
            return 0
        # behind everything that was under way
        self.received_ms = max(self.received_ms, sent_ms + PROBE_ROUND_TRIP_MS)
        at_ms = self.received_ms
        writer.control(PROBE, {"n": number, "sent_ms": sent_ms, "at_ms": at_ms})
        writer.control(TICK, {"at_ms": at_ms})
        return 1

    def _carry(self, upto_ms: int, writer: "_Writer") -> None:
        messages = self._fleet.messages(upto_ms)
        if self._deaf is not None:
            self._keep(messages)
            return
        if self._losses:
            messages = self._with_losses(messages)
        if self._share or self._window:
            self._carry_badly(messages, writer)
            return
        shortest, longest = self._fleet.profile.latency_ms
        spread = longest - shortest
        delay = self._delays.random
        origins = self._origins
        received_ms = self.received_ms
        for message in messages:
            # a connection delivers in order, and so does the broker to us
            received_ms = max(received_ms, message.at_ms + shortest + int(spread * delay()))
            topic, origin = message.topic.encode(), origins[message.connection]
            writer.message(Raw(topic, message.payload, 0, received_ms, origin))
        self.received_ms = received_ms

    def _with_losses(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Not the arrays: what was kept for later is kept until it is there."""
        draw = self._disorder.random
        for message in messages:
            if not message.payload.startswith(b"[") and draw() < self._losses:
                self._fleet.never_arrives(message)
            else:
                yield message

    def _carry_badly(self, messages: Iterable[Message], writer: "_Writer") -> None:
        """Some come twice, and in any order within the window."""
        rng = self._disorder
        shortest, longest = self._fleet.profile.latency_ms
        under_way: list[Message] = []

        def deliver() -> None:
            if self._window:
                rng.shuffle(under_way)
            newest_ms = max(message.at_ms for message in under_way)
            self.received_ms = max(self.received_ms, newest_ms + (shortest + longest) // 2)
            for message in under_way:
                topic, origin = message.topic.encode(), self._origins[message.connection]
                raw = Raw(topic, message.payload, 0, self.received_ms, origin)
                writer.message(raw)
                if self._share and rng.random() < self._share:
                    writer.message(raw._replace(flags=DUP))
            under_way.clear()

        for message in messages:
            under_way.append(message)
            if len(under_way) >= max(1, self._window):
                deliver()
        if under_way:
            deliver()

    def _keep(self, messages: Iterable[Message]) -> None:
        """At the broker, if it knows us; retained ones are sent as queued, not as old copies."""
        forgets = self._deaf is not None and self._deaf.kind == "session_lost"
        for message in messages:
            if forgets:
                self._fleet.never_arrives(message)
            else:
                origin = self._origins[message.connection]
                self._kept.append((message.topic.encode(), message.payload, origin))

    def _begins(self, trouble: Trouble, at_ms: int, writer: "_Writer") -> None:
        detail = dict(trouble.wanted)
        until_ms = trouble.end_ms
        match trouble.kind:
            case "duplicates":
                self._share = trouble.wanted.get("share", 0.15)
            case "disorder":
                self._window = int(trouble.wanted.get("window", 100))
            case "losses":
                self._losses = trouble.wanted.get("share", 0.05)
            case "broker_storm":
                self._fleet.storm(at_ms, trouble.end_ms, STORM_MS)
                until_ms += STORM_MS
        self._fleet.fact(trouble.kind, "platform", at_ms, until_ms, detail)
        if not trouble.deafens:
            return
        self._deaf = trouble
        self.received_ms = max(self.received_ms, at_ms)
        match trouble.kind:
            case "receive_down" | "session_lost":
                writer.control(STOP, {"at_ms": self.received_ms})
            case "link_lost" | "broker_storm":
                writer.control(LINK, {"up": False, "at_ms": self.received_ms})

    def _ends(self, trouble: Trouble, at_ms: int, writer: "_Writer") -> None:
        match trouble.kind:
            case "duplicates":
                self._share = 0.0
                return
            case "disorder":
                self._window = 0
                return
            case "losses":
                self._losses = 0.0
                return
        self._deaf = None
        self.received_ms = max(self.received_ms, at_ms)
        if trouble.kind in ("receive_down", "session_lost"):
            writer.control(START, {"at_ms": self.received_ms})
        there = trouble.kind != "session_lost"
        writer.control(LINK, {"up": True, "session_present": there, "at_ms": self.received_ms})
        for n, (topic, payload, origin) in enumerate(self._kept):
            self.received_ms += n % BACKLOG_A_MS == 0
            writer.message(Raw(topic, payload, 0, self.received_ms, origin))
        self._kept = []


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
