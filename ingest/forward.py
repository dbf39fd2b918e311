"""Readings from the journal to the telemetry store, at least once; the store makes it exactly once.

    1. read records after the cursor, until there is a request's worth of points
    2. write them, one request in flight; the answer decides what happens (reliability.md §3.8)
    3. move the cursor once the store has confirmed

Messages of the quarantine that the judge took when they were judged again are written as well: the
cursor remembers up to which request that is done.

An outage of the store stops only this: the journal keeps what is not confirmed.
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import msgspec
import structlog

from devices.credentials import Seal
from devices.journal import MESSAGES, RETAINED, Raw, Record
from devices.messages import Decoded, Event, Item, Reading, Reason, Value
from devices.overrides import RuleSet
from devices.registry import Registry
from devices.rule_files import read_what_fits
from devices.store.accounts import Forwarded
from devices.store.cursors import Position
from devices.store.database import DatabaseAway
from devices.store.failpoints import failpoint
from devices.store.journal import JournalDamaged, JournalError
from devices.telemetry import UNDATED, Point, Retry, TelemetryError, TelemetryWriter, TooLarge
from ingest.blame import Blame
from ingest.decode import Decoder
from ingest.decoding import PATIENCE_S, Said, SharedDecodes
from ingest.judge.identity import event_key
from ingest.judge.plan import plans
from ingest.judge.timing import BELIEVED, HostClock
from ingest.ports import Bell, Clock, JournalSource
from ingest.rate import Allowance, Limit

log = structlog.get_logger()

REQUEST_POINTS = 10_000  # about 1.5 MB of line protocol
GATHER_S = 0.3  # a larger request is cheaper a point, and this is soon enough to be seen
READ_RECORDS = 4
BACK_OFF_CAP_S = 60.0
LOOK_EVERY_S = 1.0
PAUSED_S = 60.0  # until a refused token or bucket is tried again


class _Memory(Forwarded, frozen=True, omit_defaults=True):
    """What the cursor remembers. allowance, whole_ms: the rates of devices, as `Limit` saves them.

    They, and the clock, are those at the cursor: what is read again is charged again.
    """

    allowance: Allowance = msgspec.field(default_factory=Allowance)
    whole_ms: dict[str, int] = msgspec.field(default_factory=dict)
    host: HostClock = msgspec.field(default_factory=HostClock)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Memory).decode


class ForwardStore(Protocol):
    """Where forward's own cursor is kept. Raises DatabaseAway."""

    def load(self) -> Position | None: ...

    def move(self, to: Position, now_ms: int) -> None: ...

    def registry_revision(self) -> int: ...

    def rules_after(self, number: int) -> RuleSet | None: ...

    def replayed(self, revision: int) -> tuple[list[Raw], int]: ...

    def given_up(self, journal_id: str) -> Collection[int]: ...


@dataclass(slots=True)
class Progress:
    """confirmed, dead: points since the first start. paused: why nothing is written, or "".

    replayed: the last revision whose messages, judged again, are written.
    """

    position: int = 0
    jseq: int = 0
    confirmed: int = 0
    dead: int = 0
    requests: int = 0
    newest_received_ms: int = 0
    paused: str = ""
    replayed: int = 0


@dataclass(slots=True)
class _Done:
    """Points of one step; they count once its cursor has moved."""

    confirmed: int = 0
    dead: int = 0


class Forwarder:
    """Follows the journal into one telemetry store.

    registry: the registry as it is now; asked when a message has to be decoded here and the
    registry has changed since the last time. blame: notes what is decoded here, for the next start.
    seal: as the judge's, see `Consumer`.
    """

    def __init__(
        self,
        writer: TelemetryWriter,
        store: ForwardStore,
        registry: Callable[[], Registry],
        clock: Clock,
        *,
        decodes: SharedDecodes | None = None,
        since_ms: int = 0,
        gather_s: float = GATHER_S,
        blame: Blame | None = None,
        seal: Seal | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seal = seal
        self._writer = writer
        self._store = store
        self._registry = registry
        self._clock = clock
        self._decodes = decodes
        self._since_ms = since_ms
        self._gather_s = gather_s
        self._blame = blame if blame is not None else Blame()
        self._monotonic = monotonic
        self._decoder: Decoder | None = None
        self._revision = 0
        self._looked_s = 0.0
        self._asked_s = -LOOK_EVERY_S
        self._given_up: Collection[int] = ()
        self._journal_id = ""
        self._loaded = False
        self._plans = plans()
        self._limit = Limit(self._plans)
        self._rules_s = -LOOK_EVERY_S
        self._rates: tuple[Allowance, dict[str, int]] = (Allowance(), {})  # at the cursor
        self._host = HostClock()
        self._host_then = HostClock()  # at the cursor
        self.progress = Progress()

    def run(self, source: JournalSource, bell: Bell, stop: threading.Event) -> None:
        """Follow `source` until `stop`; what was not confirmed by then is written next time."""
        heard = 0
        failures = 0
        while not stop.is_set():
            try:
                if not self._loaded:
                    self._load(source)
                self._write_replayed(stop)
                written = self.step(source, stop)
                failures = 0
                if written is None:
                    heard = self._wait(bell, heard)
                elif written < REQUEST_POINTS:  # at the head: let some gather
                    stop.wait(self._gather_s)
            except JournalDamaged:
                raise  # waiting does not mend it
            except (DatabaseAway, JournalError) as error:
                self._loaded = False
                if failures == 0:
                    log.warning("forward_waits", error=str(error))
                failures += 1
                stop.wait(_back_off_s(failures))

    def drain(self, source: JournalSource, stop: threading.Event) -> None:
        """Write all that `source` has."""
        self._load(source)
        while not stop.is_set() and self.step(source, stop) is not None:
            pass

    def step(self, source: JournalSource, stop: threading.Event) -> int | None:
        """Write one request: how many points that was; None if there was nothing to read."""
        self._take_rules()
        points: list[Point] = []
        position, jseq = self.progress.position, self.progress.jseq
        newest_ms = self.progress.newest_received_ms
        while len(points) < REQUEST_POINTS:
            found = self._next(source, position)
            for record, decoded in found:
                allowed = self._limit.allowed(record, decoded)
                if record.control is not None:
                    self._host.control(record.kind, record.control)
                elif self._host.is_suspect:
                    self._host.heard(record, decoded)
                add_points(points, record, allowed, self._since_ms, self._host)
                position = record.id
                if record.kind == MESSAGES:
                    jseq = record.first_jseq + record.count - 1
                    if record.messages:
                        newest_ms = record.messages[-1].received_ms
            if not found:
                break
        progress = self.progress
        if position == progress.position:
            return None
        done = _Done()
        failpoint("F1", DatabaseAway)
        for start in range(0, len(points), REQUEST_POINTS):
            if not self._write(points[start : start + REQUEST_POINTS], stop, done):
                self._limit.load(*self._rates)
                self._host = msgspec.structs.replace(self._host_then)
                return 0  # stopped in the middle: not confirmed, so the cursor stays
        failpoint("F4", DatabaseAway)
        confirmed, dead = progress.confirmed + done.confirmed, progress.dead + done.dead
        self._rates = self._limit.saved(newest_ms)
        self._host_then = msgspec.structs.replace(self._host)
        self._save(position, jseq, self._memory(confirmed, dead, None, progress.replayed))
        progress.position, progress.jseq, progress.newest_received_ms = position, jseq, newest_ms
        progress.confirmed, progress.dead = confirmed, dead
        return len(points)

    def _take_rules(self) -> None:
        """What of a message that is one too many is a danger: by the rules as they are now."""
        now_s = self._monotonic()
        if now_s - self._rules_s < LOOK_EVERY_S:
            return
        self._rules_s = now_s
        rules = self._store.rules_after(self._plans.overrides.number)
        if rules is not None:
            overrides, _ = read_what_fits(rules.body, number=rules.number)  # the judge says it
            self._plans = self._plans.using(overrides)
            self._limit.use(self._plans)

    def _write_replayed(self, stop: threading.Event) -> None:
        """Write the points of messages that were judged again since the last look, and are stored.

        Written before the cursor says so: after a kill they are written once more, to their places.
        """
        now_s = self._monotonic()
        progress = self.progress
        if now_s - self._asked_s < LOOK_EVERY_S:
            return
        self._asked_s = now_s
        while not stop.is_set():
            messages, revision = self._store.replayed(progress.replayed)
            if revision == progress.replayed:
                return
            self._looked_s = -LOOK_EVERY_S  # the judge knew the registry as it is now
            decoder = self._decoder_now()
            points: list[Point] = []
            for raw in messages:
                said = decoder.decode(raw)
                if said.reason is None:
                    _add_points(points, raw, said)
            done = _Done()
            if points and not self._write(points, stop, done):
                return
            confirmed, dead = progress.confirmed + done.confirmed, progress.dead + done.dead
            state = self._memory(confirmed, dead, None, revision)
            self._save(progress.position, progress.jseq, state)
            progress.confirmed, progress.dead, progress.replayed = confirmed, dead, revision

    def _memory(self, confirmed: int, dead: int, paused: Retry | None, replayed: int) -> _Memory:
        rates = self._rates
        return _Memory(confirmed, dead, paused, replayed, *rates, self._host_then)

    def _save(self, position: int, jseq: int, state: Forwarded) -> None:
        at = Position(self._journal_id, position, jseq, _pack(state))
        self._store.move(at, self._clock())

    def _wait(self, bell: Bell, heard: int) -> int:
        """Until there is something to read: from the judge if it has yet to read it itself."""
        next_id = self.progress.position + 1
        shared = self._decodes
        if shared is not None and shared.will_come(self._journal_id, next_id):
            shared.wait(self._journal_id, next_id, PATIENCE_S)
            return heard
        return bell.wait(heard, 1.0)

    def _next(self, source: JournalSource, position: int) -> list[Said]:
        """The records after `position`: from the judge if it has them, else from the journal."""
        shared = self._decodes
        if shared is not None:
            said = shared.take(self._journal_id, position + 1)
            if said is not None:
                return [said]
            if shared.will_come(self._journal_id, position + 1):
                return []  # reading and decoding it here as well would cost as much as judging it
        if self._blame.must_wait:
            self._looked_s = -LOOK_EVERY_S  # and then at what the judge has given up
            return []  # first the judge, which may have died of what we would read
        return [(record, self._decode(record)) for record in source.read(position, READ_RECORDS)]

    def _load(self, source: JournalSource) -> None:
        head = source.head()
        known = self._store.load()
        self._journal_id = head.journal_id
        progress = self.progress
        progress.position = progress.jseq = 0
        if known is not None:
            counted = _unpack(known.memory)
            progress.confirmed, progress.dead = counted.confirmed, counted.dead
            progress.replayed = counted.replayed
            self._rates = counted.allowance, counted.whole_ms
            self._host_then = counted.host
            if known.journal_id == head.journal_id:
                progress.position, progress.jseq = known.position, known.jseq
        self._limit.load(*self._rates)
        self._host = msgspec.structs.replace(self._host_then)
        self._blame.stands(self._journal_id, progress.position)
        self._loaded = True

    def _decode(self, record: Record) -> Sequence[Decoded | Reading]:
        if not record.messages:
            return ()
        read = self._decoder_now().read
        first = record.first_jseq
        given_up = {jseq for jseq in self._given_up if 0 <= jseq - first < record.count}
        if self._blame.take(self._journal_id, record.id) or given_up:
            decoded = [
                self._read_alone(read, jseq, raw)
                if jseq not in given_up
                else Decoded(None, [], reason=Reason.CRASHED_DECODER)
                for jseq, raw in enumerate(record.messages, first)
            ]
        else:
            decoded = [read(raw) for raw in record.messages]
        self._blame.put_back()
        return decoded

    def _read_alone(
        self, read: Callable[[Raw], Decoded | Reading], jseq: int, raw: Raw
    ) -> Decoded | Reading:
        if not self._blame.take_message(jseq):
            return Decoded(None, [], reason=Reason.CRASHED_DECODER)
        said = read(raw)
        self._blame.put_message()
        return said

    def _decoder_now(self) -> Decoder:
        """For the registry as it is, or was a second ago; and what the judge has given up since."""
        now_s = self._monotonic()
        if self._decoder is None or now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            revision = self._store.registry_revision()
            self._given_up = self._store.given_up(self._journal_id)
            if self._decoder is None or revision != self._revision:
                self._revision = revision
                self._decoder = Decoder(self._registry(), seal=self._seal)
        return self._decoder

    def _write(self, points: Sequence[Point], stop: threading.Event, done: _Done) -> bool:
        """Write until every point is confirmed or dead; False when stopped before that."""
        failures = 0
        told: Retry | None = None
        progress = self.progress
        while not stop.is_set():
            try:
                self._writer.write(points)
            except TelemetryError as error:
                if error.retry is Retry.NEVER:
                    return self._divide(points, error, stop, done)
                failures += 1
                if not progress.paused:
                    log.warning("telemetry_store_away", error=str(error))
                progress.paused = str(error)
                if error.retry is not told:  # for /readyz, which asks the database
                    told = error.retry
                    state = self._memory(progress.confirmed, progress.dead, told, progress.replayed)
                    self._save(progress.position, progress.jseq, state)
                if error.retry is Retry.AFTER_REPAIR:
                    stop.wait(PAUSED_S)
                else:
                    asked_s = getattr(error, "retry_after_s", None)
                    stop.wait(min(asked_s or _back_off_s(failures), BACK_OFF_CAP_S))
            else:
                if progress.paused:
                    log.info("telemetry_store_back")
                progress.paused = ""
                progress.requests += 1
                done.confirmed += len(points)
                return True
        return False

    def _divide(
        self, points: Sequence[Point], error: TelemetryError, stop: threading.Event, done: _Done
    ) -> bool:
        """Halve until the point that the store refuses stands alone; writes can be repeated."""
        if len(points) > 1:
            middle = len(points) // 2
            for half in points[:middle], points[middle:]:
                if not self._write(half, stop, done):
                    return False
                failpoint("F5")
            return True
        point = points[0]
        log.error(
            "point_refused",
            measurement=point.measurement,
            device=point.device,
            at_ms=point.at_ms,
            too_large=isinstance(error, TooLarge),
            error=str(error),
        )
        done.dead += 1
        return True


def add_points(
    points: list[Point],
    record: Record,
    decoded: Sequence[Decoded | Reading],
    since_ms: int = 0,
    host: HostClock = BELIEVED,
) -> None:
    """What of a record goes to the telemetry store: of messages received at `since_ms` or later."""
    add = points.append
    undated = _Undated()
    for raw, said in zip(record.messages, decoded, strict=True):
        if raw.received_ms < since_ms:
            continue
        if type(said) is Reading:
            device = said.device
            at_ms, plausible = host.event_time(said.at_ms, raw.received_ms)
            if said.at_ms is None or not plausible:
                at_ms = undated.at_ms(device.kind, device.id, at_ms)
            add(Point(device.kind, device.compound, device.id, at_ms, said.values))
        elif said.reason is None:
            _add_points(points, raw, said, host, undated)


class _Undated:
    """When readings are put down whose device tells no time, or none that can be true.

    Those of one read from the socket have one receive time: the second of a device comes a
    millisecond behind the first, and so on. Told by their record alone, so that it is the same
    whenever they are written.
    """

    def __init__(self) -> None:
        self._newest_ms: dict[tuple[str, str], int] = {}

    def at_ms(self, measurement: str, device: str, received_ms: int) -> int:
        key = (measurement, device)
        at_ms = max(received_ms, self._newest_ms.get(key, -1) + 1)
        self._newest_ms[key] = at_ms
        return at_ms


def _add_points(
    points: list[Point],
    raw: Raw,
    said: Decoded,
    host: HostClock = BELIEVED,
    undated: _Undated | None = None,
) -> None:
    received_ms = raw.received_ms
    undated = undated if undated is not None else _Undated()
    for item in said.items:
        at_ms, plausible = host.event_time(item.at_ms, received_ms)
        if not plausible and said.array:
            continue  # an element of a replay whose time cannot be known
        if item.at_ms is None and raw.flags & RETAINED:
            continue  # an old copy without a time is no reading of now
        is_dated = item.at_ms is not None and plausible
        for report in item.reports:
            device = report.device
            at = at_ms if is_dated else undated.at_ms(device.kind, device.id, at_ms)
            points.append(Point(device.kind, device.compound, device.id, at, report.values))
        for event in item.events:
            device = event.device
            fields: dict[str, Value] = {"type": event.type, **event.attributes}
            if event.event_id is not None:
                fields["event_id"] = event.event_id
            if item.at_ms is None and item.seq is None and event_key(event, item) is None:
                fields[UNDATED] = True
            kind = f"{device.kind}_event"
            at = _apart(at_ms, item, event) if is_dated else undated.at_ms(kind, device.id, at_ms)
            points.append(Point(kind, device.compound, device.id, at, fields))


def _apart(at_ms: int, item: Item, event: Event) -> int:
    """When an event is put down, so that another of the same second does not overwrite it.

    A device whose clock knows only seconds tells of several things at one time: what it does not
    say, a number out of the event does, always the same.
    """
    if at_ms % 1000:
        return at_ms
    what = (item.boot, item.seq, event.event_id, event.type, sorted(event.attributes.items()))
    return at_ms + crc32(repr(what).encode("utf-8", "surrogatepass")) % 1000


def _back_off_s(failures: int) -> float:
    return float(min(BACK_OFF_CAP_S, 0.2 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))  # noqa: S311
