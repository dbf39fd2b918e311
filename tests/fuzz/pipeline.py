"""The pure path of a message, from its bytes to both telemetry stores, and what must always hold.

    decode (twice: as in production, and everything by the exact form) → judge → effects
        → forward → points → line protocol, read back by another parser → embedded store

What does not hold is noted in `broken`, with the message, and the run goes on.
"""

import json
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import msgspec

from devices.catalogue import RULES, rules_for
from devices.journal import MESSAGES, OVERSIZE, PROBE, TICK, Raw, Record
from devices.judgement import Effects
from devices.kinds import KINDS
from devices.kinds.kind import Field
from devices.messages import BadMessage, Decoded, Event, Item, Outcome, Reading, Reason, Value
from devices.quantities import BadValue, Quantity
from devices.registry import Registry
from devices.store.telemetry.declared import OF_EVERY_EVENT
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.telemetry.line_protocol import LineEncoder
from devices.sun import lighting_hours
from devices.telemetry import UNDATED, Point, SeriesQuery
from ingest.adapters import ADAPTERS, Adapter, Place, json_text
from ingest.adapters.native import Native, _decoded
from ingest.decode import Decoder
from ingest.decoding import SharedDecodes
from ingest.forward import Forwarder
from ingest.judge.identity import WINDOW
from ingest.judge.judge import Judge
from ingest.judge.lasting import ACTIVE
from ingest.judge.plan import calm_range, plans
from ingest.judge.use import HOURS_KEPT
from tests.fake_influxdb import parse
from tests.fakes import FakeForwardStore, FakeJournal, FakeStop, FakeTime
from tests.fuzz.engine import MESSAGE_MS, START_MS, Hostile, a_registry

COMMIT_MESSAGES = 400
PROBE_MS = 5_000
KEPT_KEYS = 20_000  # of identities on record; in production ten days of them
KEPT_BROKEN = 50
POINTS_A_FILE = 200_000  # then the embedded store begins a new one
MAX_ROW_BYTES = 512 * 1024  # of what is remembered of one device

PLANS = plans(rules_for, KINDS)


class Careful(Native):
    """The native format, everything read the careful way."""

    def read(self, payload: bytes, place: Place) -> Decoded:
        sent = json_text.parse(payload)
        if isinstance(sent, list):
            if not sent:
                raise BadMessage(Reason.BAD_TYPE, "an empty list")
            if len(sent) > 2_000:
                raise BadMessage(Reason.TOO_LARGE, "more objects than 64 KiB have room for")
            return _decoded(sent, place, array=True)
        return _decoded([sent], place, array=False)


EXACT: dict[str, Adapter] = {**ADAPTERS, "native": Careful()}


class ExactDecoder(Decoder):
    """Decodes without any cache and short cut: what the fast forms must agree with."""

    def read(self, raw: Raw) -> Decoded:
        try:
            known = self._look_up(raw.topic)
        except BadMessage as bad:
            reason = Reason.TOO_LARGE if raw.flags & OVERSIZE else bad.reason
            return Decoded(bad.device, [], reason=reason)
        device = known.place.device
        if raw.flags & OVERSIZE:
            return Decoded(device, [], reason=Reason.TOO_LARGE)
        if raw.received_ms >= known.until_ms:
            return Decoded(None, [], reason=Reason.UNKNOWN_DEVICE)
        if len(raw.payload) > 64 * 1024:
            return Decoded(device, [], reason=Reason.TOO_LARGE)
        try:
            said = known.read(raw.payload, known.place)
            assert isinstance(said, Decoded)
            return self._sort_out(said, raw.received_ms)
        except BadMessage as bad:
            return Decoded(bad.device or device, [], reason=bad.reason)


class Pipeline:
    """Everything behind receive, in memory but for the embedded telemetry store in `folder`."""

    def __init__(self, folder: Path, registry: Registry | None = None) -> None:
        self.registry = registry if registry is not None else a_registry()
        self.now_ms = START_MS
        self.messages = 0
        self.fates: Counter[str] = Counter()  # outcomes, or reasons of what was quarantined
        self.marks: Counter[str] = Counter()
        self.points = 0
        self.smoke_judged = 0
        self.slowest_s = 0.0
        self.slowest = b""
        self.broken_count = 0
        self.broken: list[str] = []
        self._folder = folder
        self._keys: OrderedDict[bytes, None] = OrderedDict()
        self._decoder = Decoder(self.registry, calm=partial(calm_range, PLANS))
        self._exact = ExactDecoder(self.registry, EXACT)
        self._encoder = LineEncoder()
        self._files = 0
        self._points_in_file = 0
        self._series: set[tuple[str, str]] = set()
        self._store = self._a_store()
        self._batch: list[Raw] = []
        self._record_id = 0
        self._jseq = 0
        self._probed_ms = self.now_ms
        self._begin()

    def _begin(self) -> None:
        """A judge and a forwarder that know nothing."""
        self.judge = Judge(
            self.registry,
            PLANS,
            stream="live",
            seen_before=self._keys.__contains__,
            recall=lambda _session: None,
            lighting=lighting_hours,
        )
        self.judge.registry_changed(self.registry, self.now_ms)
        self._decodes = SharedDecodes()
        self._journal = FakeJournal()
        self._decodes.begin(self._journal.journal_id)
        self._time = FakeTime(self.now_ms)
        self._cursor = FakeForwardStore()
        self._written: list[Point] = []
        self._forwarder = Forwarder(
            self, self._cursor, lambda: self.registry, self._time.clock, decodes=self._decodes
        )
        self._stop: threading.Event = FakeStop(self._time)
        self._record_id = 0

    def samples(self, device: str, quantity: str) -> list[tuple[int, Value]]:
        """(event time, value): what the embedded store has, oldest first."""
        kind = self.registry.devices[device].kind
        week_ms = 8 * 86_400_000
        query = SeriesQuery(
            kind, device, quantity, self.now_ms - week_ms, self.now_ms + week_ms, 10_000
        )
        return [(sample.at_ms, sample.value) for sample in self._store.samples(query)]

    def close(self) -> None:
        self.flush()
        self._check_store()
        self._store.close()

    # What comes in

    def feed(self, hostile: Hostile) -> None:
        """One message arrives; a smoke flag in it is judged at once, and must be a fault."""
        self.now_ms += MESSAGE_MS
        self.messages += 1
        raw = Raw(hostile.topic, hostile.payload, hostile.flags, self.now_ms, "unassigned")
        self._batch.append(raw)
        if hostile.smoke is not None:
            self._cut()
            self._check_smoke(hostile.smoke, raw)
        elif self.now_ms - self._probed_ms >= PROBE_MS:
            self._cut()
        if self.messages % COMMIT_MESSAGES == 0:
            self.flush()

    def flush(self) -> None:
        """Judge what has arrived, take the effects, and forward it."""
        self._cut()
        try:
            self._check_effects(self.judge.take_effects())
            self._forward()
        except Exception as error:
            self._break(f"effects or forward: {error!r:.300}", None)
            self._begin()
        self._check_memory()

    def write(self, points: Sequence[Point]) -> None:
        """The telemetry store that the forwarder writes to."""
        self._written += points

    def _cut(self) -> None:
        batch, self._batch = self._batch, []
        if not batch:
            return
        self._record_id += 1
        record = Record(self._record_id, MESSAGES, self._jseq + 1, len(batch), 1, tuple(batch))
        said = [self._decode(raw) for raw in batch]
        self._jseq += len(batch)
        self._judge(record, said)
        if self.now_ms - self._probed_ms >= PROBE_MS:
            self._probed_ms = self.now_ms
            for kind, control in (
                (PROBE, {"n": 1, "sent_ms": self.now_ms, "at_ms": self.now_ms}),
                (TICK, {"at_ms": self.now_ms}),
            ):
                self._record_id += 1
                self._judge(Record(self._record_id, kind, self._jseq + 1, 0, 1, (), control), ())

    def _judge(self, record: Record, said: Sequence[Decoded | Reading]) -> None:
        self._journal.append(record)
        self._decodes.put(record, said)
        try:
            self.judge.judge(record, said)
        except Exception as error:
            self._break(f"judge: {error!r:.300}", record.messages[0] if record.messages else None)
            self._begin()

    # Decoding

    def _decode(self, raw: Raw) -> Decoded | Reading:
        started_s = time.perf_counter()
        try:
            said = self._decoder.read(raw)
        except Exception as error:
            self._break(f"decode: {error!r:.300}", raw)
            return Decoded(None, [], reason=Reason.NOT_JSON)
        took_s = time.perf_counter() - started_s
        if took_s > self.slowest_s:
            self.slowest_s, self.slowest = took_s, raw.payload[:60]
        try:
            exact = self._exact.read(raw)
            whole = said.unfold() if isinstance(said, Reading) else said
            self._check_decoded(raw, whole)
            fast, slow = _reading(whole), _reading(exact)
            if fast != slow:
                self._break(f"the fast form says {fast:.300}, the exact one {slow:.300}", raw)
        except Exception as error:
            self._break(f"exact decode: {error!r:.300}", raw)
        return said

    def _check_decoded(self, raw: Raw, said: Decoded) -> None:
        self._must((said.reason is None) == bool(said.items), "a reason, or items", raw)
        texts = [said.detail, *said.unknown]
        for refused in said.rejected:
            texts += [refused.detail, refused.quantity, refused.device]
        for item in said.items:
            for event in item.events:
                texts += [event.event_id or "", *map(str, event.attributes.values())]
                self._must(event.type in KINDS[event.device.kind].events, "a known event", raw)
            self._must(item.status in (None, "online", "offline"), "a known status", raw)
        for text in texts:
            self._must(_is_storable(text) and len(text) <= 500, f"storable: {text!r:.80}", raw)
        self._must(len(said.unknown) <= 20 and len(said.rejected) <= 1_000, "bounded lists", raw)

    # Judging

    def _check_smoke(self, shed: str, raw: Raw) -> None:
        fault = self.judge.memories[shed].faults.get("SHED_SMOKE")
        self._must(fault is not None and fault.state in ACTIVE, f"smoke of {shed} is judged", raw)
        self.smoke_judged += 1

    def _check_effects(self, effects: Effects) -> None:
        outcomes = {str(outcome) for outcome in Outcome}
        booked = 0
        for (_, _, outcome, reason), count in effects.accounts.items():
            self._must(count > 0, f"{outcome} counted {count}", None)
            if outcome in outcomes:
                booked += count
                self.fates[reason or outcome] += count
                is_named = outcome != Outcome.QUARANTINED or reason in set(Reason)
                self._must(is_named, f"a reason: {reason!r}", None)
            else:
                self.marks[outcome] += count
        same = booked == effects.messages
        self._must(same, f"{effects.messages} messages, {booked} booked", None)
        for move in effects.moves:
            self._must(move.fault.code in RULES, f"declared: {move.fault.code}", None)
            evidence = json.dumps(dict(move.fault.evidence), allow_nan=False)
            self._must("\\u0000" not in evidence, f"evidence {evidence:.200}", None)
            json.dumps(json.loads(evidence), ensure_ascii=False).encode()
        for row in effects.refused:
            storable = _is_storable(row.detail) and len(row.topic) <= 512
            row.topic.encode()  # a NUL in it is replaced by whoever writes the row
            self._must(storable and len(row.detail) <= 500, f"{row.detail!r:.200}", None)
        for session in effects.sessions.values():
            texts = (session.id, session.order, session.native_reason or "")
            self._must(all(map(_is_storable, texts)), f"{session}", None)
            numbers = (session.duration_s, session.fee_fen, session.started_at_ms)
            self._must(all(n is None or abs(n) < 2**53 for n in numbers), f"{session}", None)
        for device in effects.devices:
            size = len(device.latest) + len(device.memory)
            self._must(size <= MAX_ROW_BYTES, f"{device.device} takes {size} bytes", None)
        for hour in effects.hours:
            json.dumps(hour.figures, allow_nan=False)
        for key in effects.keys:
            self._keys[key] = None
        while len(self._keys) > KEPT_KEYS:
            self._keys.popitem(last=False)

    def _check_memory(self) -> None:
        """Whatever a sender can make up, what is kept of it has a bound."""
        decoder = self._decoder
        self._must(len(decoder._places) <= decoder._max_places, "places", None)
        names = sum(map(len, decoder._checks.values()))
        self._must(names <= 4_096 * len(KINDS), f"{names} names", None)
        self._must(len(self.judge._finder._timers) <= 50_000, "timers", None)
        self._must(len(self.judge._roll._deadlines) <= 10_000, "deadlines", None)
        self._must(len(self.judge._ledger._kept) <= 5_000, "budgets", None)
        for memory in self.judge.memories.values():
            kind = KINDS[memory.device.kind]
            declared = sum(1003 if q.many else 1 for q in kind.quantities.values())
            self._must(len(memory.latest) <= declared, f"values of {memory.device.id}", None)
            self._must(len(memory.hours) <= HOURS_KEPT, f"hours of {memory.device.id}", None)
            self._must(len(memory.faults) <= len(RULES), f"faults of {memory.device.id}", None)
            missing = len(memory.window.missing)
            self._must(missing <= WINDOW, f"{missing} missing of {memory.device.id}", None)

    # Telemetry

    def _forward(self) -> None:
        self._written.clear()
        self._forwarder.drain(self._journal, self._stop)
        self._journal.records.clear()
        self._cursor.moves.clear()
        points, self._written = self._written, []
        self.points += len(points)
        for point in points:
            self._check_point(point)
        if not points:
            return
        lines = list(parse(self._encoder.encode(points).decode()))
        self._must(len(lines) == len(points), f"{len(points)} points, {len(lines)} lines", None)
        for point, line in zip(points, lines, strict=False):
            tags = (("compound", point.compound), ("device", point.device))
            same = (line.measurement, line.tags, line.at_ms) == (
                point.measurement,
                tags,
                point.at_ms,
            )
            self._must(same and line.fields == point.fields, f"{point} became {line}", None)
        self._store.write(points)
        self._series |= {(point.measurement, point.device) for point in points}
        self._points_in_file += len(points)
        self._read_back({(p.measurement, p.device, p.at_ms): p for p in points})
        if self._points_in_file >= POINTS_A_FILE:
            self._check_store()
            self._store.close()
            self._store = self._a_store()

    def _check_point(self, point: Point) -> None:
        """Nothing reaches telemetry that is not declared, of its type and in its range."""
        device = self.registry.devices.get(point.device)
        event = point.measurement.endswith("_event")
        kind = KINDS[point.measurement.removesuffix("_event")]
        known = device is not None and (device.kind, device.compound) == (kind.name, point.compound)
        self._must(known, f"a series of the registry: {point}", None)
        near = abs(point.at_ms - self.now_ms) <= 8 * 86_400_000
        self._must(near, f"a believable time: {point}", None)
        fields = dict(point.fields)
        if event:
            type_ = kind.events.get(str(fields.pop("type")))
            event_id = fields.pop("event_id", "")
            self._must(isinstance(event_id, str) and len(event_id) <= 256, f"{point}", None)
            self._must(fields.pop(UNDATED, True) is True, f"{point}", None)
            declared: Mapping[str, Quantity | Field] = type_.fields if type_ is not None else {}
        else:
            declared = {name: q for name in fields if (q := kind.quantity(name)) is not None}
            self._must(bool(fields), f"fields: {point}", None)
        for name, value in fields.items():
            found = declared.get(name)
            if found is None:
                self._break(f"{name} of {point} is not declared", None)
                continue
            try:
                checked = found.check(value)
            except BadValue as bad:
                self._break(f"{point}: {bad}", None)
                continue
            self._must((type(checked), checked) == (type(value), value), f"{point}: {name}", None)

    def _read_back(self, points: Mapping[tuple[str, str, int], Point]) -> None:
        """A few of the points, as the embedded store now has them."""
        for point in list(points.values())[::97]:
            for name, value in point.fields.items():
                at_ms = point.at_ms
                query = SeriesQuery(point.measurement, point.device, name, at_ms, at_ms + 1, 9)
                found = [sample.value for sample in self._store.samples(query)]
                self._must(found == [value], f"{point}: {name} is {found}", None)

    def _a_store(self) -> EmbeddedTelemetry:
        for old in self._folder.glob("telemetry*"):
            old.unlink()
        self._files += 1
        self._points_in_file = 0
        self._series.clear()
        return EmbeddedTelemetry(self._folder / f"telemetry-{self._files}.sqlite")

    def _check_store(self) -> None:
        """The file has the series and the names that were written, and no others."""
        if not self._series:
            return
        database = apsw.Connection(str(self._store.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            series = set(database.execute("SELECT measurement, device FROM series"))
            shapes = [msgspec.msgpack.decode(row[0]) for row in
                      database.execute("SELECT names FROM shapes")]  # fmt: skip
        finally:
            database.close()
        self._must(series == self._series, f"series {series ^ self._series}", None)
        names = {name for shape in shapes for name in shape} - {*OF_EVERY_EVENT}
        foreign = {name for name in names if not _is_declared(name)}
        self._must(not foreign, f"foreign fields {foreign}", None)

    # What does not hold

    def _must(self, holds: bool, what: str, raw: Raw | None) -> None:
        if not holds:
            self._break(f"must hold: {what}", raw)

    def _break(self, what: str, raw: Raw | None) -> None:
        self.broken_count += 1
        if len(self.broken) < KEPT_BROKEN:
            where = "" if raw is None else f" | {raw.topic!r:.120} {raw.payload!r:.400}"
            self.broken.append(f"message {self.messages}: {what}{where}")


def _is_storable(text: str) -> bool:
    """Whether any database and any terminal's log takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _is_declared(name: str) -> bool:
    return any(
        kind.quantity(name) is not None
        or any(name in type_.fields for type_ in kind.events.values())
        for kind in KINDS.values()
    )


def _reading(said: Decoded) -> str:
    """What a message says, in one text that tells 1, 1.0 and true apart; without the details."""
    return json.dumps(
        [
            said.device.id if said.device is not None else None,
            said.reason,
            said.array,
            said.unknown,
            [[r.reason, r.device, r.quantity] for r in said.rejected],
            [_item(item) for item in said.items],
        ]
    )


def _item(item: Item) -> list[Any]:
    return [
        item.at_ms,
        item.boot,
        item.seq,
        item.status,
        [[report.device.id, sorted(report.values.items())] for report in item.reports],
        [_event(event) for event in item.events],
    ]


def _event(event: Event) -> list[Any]:
    return [event.device.id, event.type, event.event_id, sorted(event.attributes.items())]
