"""What became of every message, compared as sets. It trusts the publishers' file, the plan and the
bytes in the journal; accounts, telemetry store, quarantine and figures have to agree with those.

1. every acknowledged message is in the journal
2. of each message in the journal, the first copy is stored or quarantined as its bytes deserve, any
   further copy is a duplicate: the accounts of each compound must say exactly that
3. the telemetry store holds every reading once, and no other
4. what is quarantined is there to be read, each entry once
5. received - (stored + duplicate + quarantined) - pending = 0, overall and for each compound
6. faults, their histories, sessions, usage and latest values equal those of the reference run

Left out of 6, because it tells of the disturbance and not of the field: when something was received
and so when a fault was raised, cleared or closed; faults of the platform itself; and DEV_DATA_GAP,
for whether a gap lasts long enough to be told depends on when messages come. Nor is it of the field
that people were told again (chaos/told.py looks at that).
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, func, select

from chaos.district import Plan, Sort, digest, messages
from chaos.publisher import read_acks
from chaos.reference import run_reference
from chaos.rig import Rig
from devices.catalogue import rules_for
from devices.faults import PLATFORM, RETOLD
from devices.journal import MESSAGES, Head
from devices.kinds import KINDS
from devices.store import cursors
from devices.store.database import open_database, reading
from devices.store.journal import JournalReader
from devices.store.registry import load
from devices.store.schema import (
    LIVE,
    accounts,
    device_state,
    devices,
    fault_events,
    faults,
    quarantine,
    sessions,
    usage_hours,
)
from devices.telemetry import SeriesQuery, TelemetryReader
from devices.usage import FROM_REPORTS
from ingest.judge.memory import DeviceMemory, unpack
from ingest.judge.plan import plans

EXAMPLES = 3
PAGE = 1_000  # records
SAMPLES = 10_000
FOREVER_MS = 2**42  # the year 2109
# A quantity that every point of the measurement has; events all have their type.
PROOF = {"gate": "uptime_s", "shed": "uptime_s", "lamp": "uptime_s", "port": "port_status"}
OF_THE_DISTURBANCE = ("DEV_DATA_GAP",)
# What a session drew, where readings came in another order: not by the judge.
WORKED_OUT_AGAIN = ("register_kwh", "register_known", "power_kwh", "power_known")
FIGURE_DIGITS = 6  # usage of hours long past is added up in another order
ALL = "all"

Series = tuple[str, str]  # measurement, device


@dataclass
class Verdict:
    """lost, double: messages, readings and effects. balance: the worst of any, as a magnitude.

    lost_by_broker: acknowledged by a broker that then lost its sessions.
    """

    acked: int = 0
    received: int = 0
    lost: int = 0
    double: int = 0
    balance: int = 0
    lost_by_broker: int = 0
    problems: list[str] = field(default_factory=list)

    def note(self, what: str, found: Collection[object]) -> None:
        """A problem, with some examples of it."""
        if found:
            examples = ", ".join(str(one) for one in sorted(found, key=str)[:EXAMPLES])
            self.problems.append(f"{len(found)} {what}, e.g. {examples}")


@dataclass
class Journaled:
    """What the journal holds: copies of each message, how many the judge has read of each origin,
    and when the last one was received."""

    head: Head
    last_ms: int
    copies: Counter[int]
    judged: Counter[str]


@dataclass
class Expected:
    """What the plan and the journal say there must be."""

    never_came: list[int]
    strangers: set[int]
    outcomes: Counter[tuple[str, str]]
    points: dict[Series, set[int]]
    quarantined: set[bytes]


def check(
    rig: Rig,
    *,
    broker_may_lose: bool = False,
    broker_reorders: bool = False,
    watched: Collection[str] = (),
) -> Verdict:
    """Judge a run that has come to rest: all that was received has been judged and forwarded.

    watched: what the API said meanwhile that it may not say.
    broker_may_lose: what a broker loses with its sessions is counted apart.
    broker_reorders: it sends again behind newer messages, so what only their order tells may
    rightly differ: what reports add up to, until it is worked out again, and faults, for what comes
    late raises none. Those of the safety tier are raised by it as well, and are over at once.
    """
    verdict = Verdict()
    acked = set(read_acks(rig.acks))
    engine = open_database(rig.settings.database)
    try:
        held = read_journal(rig.data / "journal.db", judged_to(engine))
        expected = _expect(rig.plan, acked, held)
        verdict.acked, verdict.received = len(acked), held.head.jseq
        if broker_may_lose:
            verdict.lost_by_broker = len(expected.never_came)
        else:
            verdict.lost += len(expected.never_came)
            verdict.note("acknowledged and not in the journal", expected.never_came)
        verdict.note("in the journal and never sent", expected.strangers)
        _check_outcomes(verdict, engine, expected)
        _check_balances(verdict, _balances(engine, held))
        _check_quarantine(verdict, engine, expected)
        with rig.telemetry() as store:
            _check_telemetry(verdict, store, expected)
        for said in watched:
            verdict.problems.append(f"the API said {said}")
            verdict.balance = max(verdict.balance, 1)
        undisturbed = open_database(run_reference(rig.reference, rig.plan, held.copies.keys()))
        try:
            last_ms = read_journal(rig.reference / "journal.db", 0).last_ms
            moved = moved_since(engine, held.last_ms) | moved_since(undisturbed, last_ms)
            _compare(
                verdict,
                effects(engine, moved, reordered=broker_reorders),
                effects(undisturbed, moved, reordered=broker_reorders),
            )
        finally:
            undisturbed.dispose()
    finally:
        engine.dispose()
    return verdict


def balances(rig: Rig) -> dict[str, int]:
    """Rule 5 alone: what the accounts of each compound, and of ALL, miss; < 0: have too many."""
    engine = open_database(rig.settings.database)
    try:
        return _balances(engine, read_journal(rig.data / "journal.db", judged_to(engine)))
    finally:
        engine.dispose()


def judged_to(engine: Engine) -> int:
    """The record up to which the judge has committed."""
    with reading(engine) as connection:
        at = cursors.load(connection, "judge")
    return 0 if at is None else at.position


def read_journal(path: Path, judged_to: int) -> Journaled:
    """All that is in it."""
    copies: Counter[int] = Counter()
    judged: Counter[str] = Counter()
    last_ms = 0
    with JournalReader(path) as journal:
        after = 0
        while records := journal.read(after, PAGE):
            for record in records:
                after = record.id
                if record.kind != MESSAGES:
                    continue
                for raw in record.messages:
                    last_ms = max(last_ms, raw.received_ms)
                    copies[digest(raw.topic, raw.payload)] += 1
                    if record.id <= judged_to:
                        judged[raw.origin] += 1
        return Journaled(journal.head(), last_ms, copies, judged)


def _expect(plan: Plan, acked: set[int], held: Journaled) -> Expected:
    expected = Expected([], set(), Counter(), {}, set())
    seen: set[int] = set()
    for message in messages(plan):
        known = message.digest
        copies = held.copies.get(known, 0)
        if not copies:
            if message.n in acked:
                expected.never_came.append(message.n)
            continue
        if known in seen:
            continue
        seen.add(known)
        if message.sort is Sort.RUBBISH:
            expected.outcomes[message.origin, "quarantined"] += copies
            expected.quarantined.add(message.payload)
            continue
        expected.outcomes[message.origin, "stored"] += 1
        expected.outcomes[message.origin, "duplicate"] += copies - 1
        for measurement, device, at_ms in message.points:
            expected.points.setdefault((measurement, device), set()).add(at_ms)
    expected.strangers = held.copies.keys() - seen
    return expected


# 2, 5, 4


def _check_outcomes(verdict: Verdict, engine: Engine, expected: Expected) -> None:
    with reading(engine) as connection:
        counted = _accounts(connection)
    for key in sorted(counted.keys() | expected.outcomes.keys()):
        origin, outcome = key
        more = counted[key] - expected.outcomes[key]
        if more > 0:
            verdict.double += more
            verdict.problems.append(f"{more} too many of {origin} are {outcome}")
        elif more < 0:
            verdict.lost -= more
            verdict.problems.append(f"{-more} of {origin} are missing among {outcome}")


def _accounts(connection: Connection) -> Counter[tuple[str, str]]:
    column = accounts.c
    query = (
        select(column.compound, column.outcome, func.sum(column.count))
        .where(
            column.stream == LIVE,
            column.outcome.in_(("stored", "duplicate", "quarantined")),
        )
        .group_by(column.compound, column.outcome)
    )
    return Counter({(origin, outcome): int(n) for origin, outcome, n in connection.execute(query)})


def _balances(engine: Engine, held: Journaled) -> dict[str, int]:
    with reading(engine) as connection:
        counted = _accounts(connection)
        at = cursors.load(connection, "judge")
    sums: Counter[str] = Counter()
    for (origin, _), count in counted.items():
        sums[origin] += count
    found = {origin: held.judged[origin] - sums[origin] for origin in held.judged.keys() | sums}
    found[ALL] = (0 if at is None else at.jseq) - sums.total()
    return found


def _check_balances(verdict: Verdict, found: Mapping[str, int]) -> None:
    for where, balance in sorted(found.items()):
        if balance:
            verdict.balance = max(verdict.balance, abs(balance))
            verdict.problems.append(f"the balance of {where} is {balance}")


def _check_quarantine(verdict: Verdict, engine: Engine, expected: Expected) -> None:
    """An entry for each message that is all rubbish; entries are unique by a key of the table."""
    query = select(quarantine.c.payload).where(quarantine.c.partial.is_(False))
    with reading(engine) as connection:
        kept = {bytes(payload or b"") for payload in connection.scalars(query)}
    verdict.note("quarantined that cannot be read there", expected.quarantined - kept)
    verdict.note("in quarantine that do not belong there", kept - expected.quarantined)


# 3


def _check_telemetry(verdict: Verdict, store: TelemetryReader, expected: Expected) -> None:
    for (measurement, device), times in sorted(expected.points.items()):
        stored = _times(store, measurement, device)
        is_there = set(stored)
        missing, extra = times - is_there, is_there - times
        again = len(stored) - len(is_there)
        verdict.lost += len(missing)
        verdict.double += len(extra) + again
        verdict.note(f"readings of {device} are not in the telemetry store", missing)
        verdict.note(f"readings of {device} are in the telemetry store, and were not sent", extra)
        if again:
            verdict.problems.append(f"{again} readings of {device} are there twice")


def _times(store: TelemetryReader, measurement: str, device: str) -> list[int]:
    quantity = PROOF.get(measurement, "type")
    found: list[int] = []
    from_ms = 0
    while True:
        query = SeriesQuery(measurement, device, quantity, from_ms, FOREVER_MS, SAMPLES)
        samples = store.samples(query)
        found += [sample.at_ms for sample in samples]
        if len(samples) < SAMPLES:
            return found
        from_ms = found[-1] + 1


# 6

Facts = dict[str, dict[str, Any]]  # what it is -> key -> what is told of it


def moved_since(engine: Engine, last_ms: int) -> set[str]:
    """Faults that time alone has moved after the last message.

    How far depends on how long a run goes on, so nothing can be said of these by comparing two.
    """
    with reading(engine) as connection:
        column = fault_events.c
        query = select(column.fault).where(
            column.at_ms > last_ms, column.reason.not_in(sorted(RETOLD))
        )
        return set(connection.scalars(query))


def effects(engine: Engine, moved: Collection[str] = (), *, reordered: bool = False) -> Facts:
    """What all the messages have led to, without what depends on when they were received.

    moved: faults that are left out. reordered: nor what depends on their order: sums over reports,
    such as `in_use_s`, and all of faults but that those of the safety tier are raised, each once.
    """
    with reading(engine) as connection:
        return {
            "fault": _faults(connection, moved, reordered=reordered),
            "step of a fault": {} if reordered else _fault_steps(connection, moved),
            "session": _sessions(connection),
            **_states(connection, reordered=reordered),
        }


def _compare(verdict: Verdict, found: Facts, wanted: Facts) -> None:
    for what, facts in wanted.items():
        mine = found[what]
        missing, extra = facts.keys() - mine.keys(), mine.keys() - facts.keys()
        other = [
            f"{key}: {mine[key]} instead of {facts[key]}"
            for key in sorted(facts.keys() & mine.keys())
            if facts[key] != mine[key]
        ]
        verdict.lost += len(missing)
        verdict.double += len(extra)
        verdict.note(f"missing, a {what}", [f"{key}: {facts[key]}" for key in missing])
        verdict.note(f"too many, a {what}", [f"{key}: {mine[key]}" for key in extra])
        verdict.note(f"different, a {what}", other)


_FAULT = (
    "subject", "code", "kind", "device", "compound", "severity", "safety", "suspected",
    "suppressed_by",
)  # fmt: skip
_SEEN = ("state", "since_ms", "occurrences", "late", "evidence")


def _faults(connection: Connection, moved: Collection[str], *, reordered: bool) -> dict[str, Any]:
    """Keyed by id, which rests on since when a fault is there; reordered: by what it is and a
    number, for another reading may have been the first to show it."""
    found: dict[str, Any] = {}
    numbers: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(
        select(faults).where(*_compared(reordered=reordered)).order_by(faults.c.since_ms)
    ):
        if row.id in moved:
            continue
        told = [getattr(row, name) for name in _FAULT]
        if reordered:
            numbers[row.subject, row.code] += 1
            found[f"{row.subject} {row.code} {numbers[row.subject, row.code]}"] = told
        else:
            seen = [json.dumps(getattr(row, name), sort_keys=True) for name in _SEEN]
            found[row.id] = told + seen
    return found


def _fault_steps(connection: Connection, moved: Collection[str]) -> dict[str, Any]:
    step, of = fault_events.c, faults.c
    query = (
        select(step.fault, step.was, step.becomes, step.reason, step.actor)
        .join(faults, of.id == step.fault)
        .where(*_compared(reordered=False), step.reason.not_in(sorted(RETOLD)))
    )
    counted: Counter[str] = Counter()
    for row in connection.execute(query):
        if row.fault not in moved:
            counted[" ".join(map(str, row))] += 1
    return counted


def _compared(*, reordered: bool) -> list[ColumnElement[bool]]:
    column = faults.c
    those = [
        column.stream == LIVE,
        column.kind != PLATFORM,
        column.code.not_in(OF_THE_DISTURBANCE),
    ]
    return [*those, column.safety] if reordered else those


def _sessions(connection: Connection) -> dict[str, Any]:
    columns = [column for column in sessions.columns if column.name not in WORKED_OUT_AGAIN]
    query = select(*columns).where(sessions.c.stream == LIVE)
    return {row.id: tuple(row) for row in connection.execute(query)}


def _states(connection: Connection, *, reordered: bool) -> Facts:
    """Usage, which the judge saves once a minute and meanwhile has in its memory; latest values."""
    registry = load(connection)
    kinds = plans(rules_for, KINDS)
    names = {row.no: row.id for row in connection.execute(select(devices.c.no, devices.c.id))}
    usage: dict[str, Any] = {}

    def rounded(received: int, figures: Mapping[str, Any]) -> tuple[int, str]:
        if reordered:
            figures = {name: part for name, part in figures.items() if name not in FROM_REPORTS}
        return _rounded(received, figures)

    for row in connection.execute(select(usage_hours)):  # as the judge counted them
        figures = _unpack(row.figures)
        if not row.received and not figures:
            continue  # worked out again, of an hour in which it had nothing
        usage[f"{names[row.device_no]} {row.hour_ms}"] = rounded(row.received, figures)
    latest: dict[str, Any] = {}
    for row in connection.execute(select(device_state).where(device_state.c.stream == LIVE)):
        device = registry.devices[names[row.device_no]]
        memory = DeviceMemory(device, kinds[device.kind])
        unpack(memory, row.latest, row.memory)
        latest[device.id] = memory.latest
        for hour_ms, hour in memory.hours.items():
            usage[f"{device.id} {hour_ms}"] = rounded(hour.received, hour.figures)
    return {"figure of usage": usage, "latest value": latest}


def _rounded(received: int, figures: Mapping[str, Any]) -> tuple[int, str]:
    def flat(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: flat(part) for name, part in value.items() if part}
        return round(value, FIGURE_DIGITS)

    return received, json.dumps(flat(figures), sort_keys=True)


_unpack = msgspec.msgpack.Decoder().decode
