"""`courtyard rules dry-run`: what a rule file would have raised, over messages that were received.

The journal's range is judged twice from nothing, by the rules as they are and by the file, in one
process that writes nowhere. Both judges begin an hour before the range, where the journal has it,
so that what stands at its begin is known to both; only what is raised within it is counted. What
people did meanwhile, and maintenance, change nothing of what is raised.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from courtyard.backup import rfc3339
from courtyard.errors import CommandError, UsageError
from courtyard.replay import first_from, stamp_of
from courtyard.rules import read_rules
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.faults import Fault
from devices.journal import Record
from devices.judgement import Saved
from devices.overrides import Overrides
from devices.registry import Registry
from devices.rule_files import read_what_fits
from devices.store.journal import JournalError, JournalMissing, JournalReader
from devices.store.judgements import Judgements
from devices.sun import lighting_hours
from ingest.decode import Decoder
from ingest.judge.judge import Judge
from ingest.judge.plan import calm_range, plans

STREAM = "dry-run"
WARM_UP_MS = 3_600_000
READ_RECORDS = 64
TOLD_EVERY_S = 5.0
# What gathers in a judge is dropped when it is so much; a fault that was raised is about 200 bytes.
MOST_MESSAGES, MOST_REFUSED, MOST_KEYS = 200_000, 1_000, 50_000
MOST_RAISED = 100_000
SHOWN = 20  # faults of a difference, in text

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Raised:
    """A fault that was raised."""

    code: str
    subject: str
    compound: str | None
    severity: str
    since: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What both judges raised. only_today, only_changed: what only one of them did.

    by_code: (today's rules, the changed ones). judged_from: where the journal begins, if that is
    after the begin of the range. limited: there were more faults than are compared one by one.
    """

    since: str
    until: str
    compound: str | None
    messages: int
    judged_from: str | None
    by_code: Mapping[str, tuple[int, int]]
    only_today: Sequence[Raised]
    only_changed: Sequence[Raised]
    limited: bool


@dataclass(slots=True)
class _Side:
    """One of the two judges, and what it raised so far."""

    judge: Judge
    decoder: Decoder
    counts: Counter[str] = field(default_factory=Counter)
    raised: list[Raised] = field(default_factory=list)

    def take(self, record: Record, from_ms: int) -> None:
        judge, read = self.judge, self.decoder.read
        judge.judge(record, [read(raw) for raw in record.messages])
        effects = judge.effects
        for move in effects.moves:
            fault = move.fault
            if move.was is None and fault.opened_at_ms >= from_ms:
                self.counts[fault.code] += 1
                if len(self.raised) < MOST_RAISED:
                    self.raised.append(_raised(fault))
        effects.moves.clear()
        if (
            effects.messages >= MOST_MESSAGES
            or len(effects.refused) >= MOST_REFUSED
            or len(effects.keys) >= MOST_KEYS
        ):
            judge.take_effects()


def run_dry_run(
    settings: Settings,
    text: str,
    name: str,
    journal: Path | None,
    range_ms: tuple[int | None, int | None],
    compound: str | None,
    tell: Tell,
) -> Difference:
    """Judges the range by today's rules and by those of `text`. Raises CommandError.

    name: of the file, for what is wrong with it. journal: another one than that of the settings;
    of both it is judged from its begin and to its end where the range does not say.
    """
    engine = open_operational(settings)
    try:
        store = Judgements(engine)
        registry, rules, saved = store.registry(), store.rules(), store.load()
    finally:
        engine.dispose()
    if compound is not None and compound not in registry.compounds:
        raise UsageError(f"--compound: the registry has no compound {compound!r}")
    today, _ = read_what_fits(rules.body, number=rules.number)
    changed = read_rules(text, name, registry)
    try:
        with JournalReader(journal or settings.journal_path) as reader:
            stretch = Stretch.of(reader, range_ms, compound)
            return compare(stretch, registry, today, changed, saved.baselines, tell)
    except JournalMissing as error:
        raise CommandError(f"there is nothing to judge: {error}") from error
    except JournalError as error:
        raise CommandError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records of a range and of the hour before it. from_ms: only what is raised then counts.

    judged_from_ms: when the first of them was received, None without any.
    """

    journal: JournalReader
    first_id: int
    last_id: int
    from_ms: int
    to_ms: int
    judged_from_ms: int | None
    compound: str | None

    @classmethod
    def of(
        cls, journal: JournalReader, range_ms: tuple[int | None, int | None], compound: str | None
    ) -> "Stretch":
        """Raises UsageError for a range that ends before it begins."""
        oldest, newest = journal.trimmed_id() + 1, journal.head().id
        begins_ms = stamp_of(journal, oldest, newest)
        from_ms = begins_ms or 0 if range_ms[0] is None else range_ms[0]
        first = oldest
        if range_ms[0] is not None:
            first = first_from(journal, from_ms - WARM_UP_MS, oldest, newest)
        last = newest
        if range_ms[1] is not None:
            last = first_from(journal, range_ms[1], first, newest) - 1
        to_ms = range_ms[1] if range_ms[1] is not None else _last_ms(journal, last) + 1
        if to_ms <= from_ms and begins_ms is not None:
            raise UsageError("--to: must be later than --from")
        return cls(journal, first, last, from_ms, to_ms, stamp_of(journal, first, last), compound)

    def records(self) -> Iterator[Record]:
        """In order; of one compound only its messages."""
        at = self.first_id - 1
        while at < self.last_id:
            some = [r for r in self.journal.read(at, READ_RECORDS) if r.id <= self.last_id]
            if not some:
                return
            for record in some:
                at = record.id
                yield self._chosen(record)

    def _chosen(self, record: Record) -> Record:
        if self.compound is None or not record.messages:
            return record
        wanted = tuple(raw for raw in record.messages if raw.origin == self.compound)
        return replace(record, messages=wanted, count=len(wanted))


def compare(
    stretch: Stretch,
    registry: Registry,
    today: Overrides,
    changed: Overrides,
    baselines: Mapping[str, bytes],
    tell: Tell = lambda _: None,
) -> Difference:
    """Both judges over the same records. Raises JournalError."""
    if stretch.compound is not None:
        registry = _only(registry, stretch.compound)
    sides = [_side(registry, rules, baselines, stretch.from_ms) for rules in (today, changed)]
    messages = 0
    told_s = time.monotonic()
    for record in stretch.records():
        messages += record.count
        for side in sides:
            side.take(record, stretch.from_ms)
        if time.monotonic() - told_s >= TOLD_EVERY_S:
            told_s = time.monotonic()
            done = record.id - stretch.first_id + 1
            tell(f"dry run: {100 * done // (stretch.last_id - stretch.first_id + 1)} %")
    before, after = sides
    only_before, only_after = _apart(before.raised, after.raised)
    codes = sorted(before.counts.keys() | after.counts.keys())
    judged_from_ms = stretch.judged_from_ms
    return Difference(
        since=rfc3339(stretch.from_ms),
        until=rfc3339(stretch.to_ms),
        compound=stretch.compound,
        messages=messages,
        judged_from=None if judged_from_ms is None else rfc3339(judged_from_ms),
        by_code={code: (before.counts[code], after.counts[code]) for code in codes},
        only_today=only_before,
        only_changed=only_after,
        limited=any(sum(side.counts.values()) > len(side.raised) for side in sides),
    )


def as_text(difference: Difference) -> str:
    """A table by code, and the first faults that only one of the two raises."""
    span = f"{difference.since} to {difference.until}"
    place = f", {difference.compound}" if difference.compound is not None else ""
    lines = [f"{span}{place}: {difference.messages} messages"]
    if difference.judged_from is None:
        lines.append("the journal has nothing of that time")
    elif difference.judged_from > difference.since:
        lines.append(f"the journal begins at {difference.judged_from}")
    rows = [("code", "today", "changed", "")]
    rows += [
        (code, str(today), str(changed), f"{changed - today:+d}" if changed != today else "")
        for code, (today, changed) in difference.by_code.items()
    ]
    totals = [sum(counts) for counts in zip(*difference.by_code.values(), strict=True)] or [0, 0]
    rows.append(("total", str(totals[0]), str(totals[1]), f"{totals[1] - totals[0]:+d}"))
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    for code, today, changed, delta in rows:
        line = f"{code:<{widths[0]}}  {today:>{widths[1]}}  {changed:>{widths[2]}}  {delta}"
        lines.append(line.rstrip())
    for sign, some in (("+", difference.only_changed), ("-", difference.only_today)):
        lines += [f"{sign} {one.code} {one.subject} since {one.since}" for one in some[:SHOWN]]
        if len(some) > SHOWN:
            lines.append(f"{sign} … and {len(some) - SHOWN} more")
    return "\n".join(lines)


def as_json(difference: Difference) -> dict[str, object]:
    """The same, whole, as it is answered by the API."""
    return {
        "from": difference.since,
        "to": difference.until,
        "compound": difference.compound,
        "messages": difference.messages,
        "judged_from": difference.judged_from,
        "codes": [
            {"code": code, "today": today, "changed": changed}
            for code, (today, changed) in difference.by_code.items()
        ],
        "only_today": [asdict(one) for one in difference.only_today],
        "only_changed": [asdict(one) for one in difference.only_changed],
        "limited": difference.limited,
    }


def _side(
    registry: Registry, overrides: Overrides, baselines: Mapping[str, bytes], now_ms: int
) -> _Side:
    by_rules = plans(overrides=overrides)
    judge = Judge(
        registry,
        by_rules,
        stream=STREAM,
        seen_before=lambda _: False,
        recall=lambda _: None,
        lighting=lighting_hours,
    )
    judge.load(Saved(None, [], [], [], {}, baselines), now_ms)
    return _Side(judge, Decoder(registry, calm=partial(calm_range, by_rules)))


def _apart(before: Sequence[Raised], after: Sequence[Raised]) -> tuple[list[Raised], list[Raised]]:
    """What is on one side alone. Of a subject and code first those of the same begin are the same
    fault, then one is another after its turn: a changed level may show it a little later."""
    mine, its = _grouped(before), _grouped(after)
    only_before: list[Raised] = []
    only_after: list[Raised] = []
    for key in dict.fromkeys([*mine, *its]):
        one, other = mine.get(key, []), its.get(key, [])
        shared = {fault.since for fault in one} & {fault.since for fault in other}
        left = [fault for fault in one if fault.since not in shared]
        right = [fault for fault in other if fault.since not in shared]
        paired = min(len(left), len(right))
        only_before += left[paired:]
        only_after += right[paired:]
    return only_before, only_after


def _grouped(raised: Sequence[Raised]) -> dict[tuple[str, str], list[Raised]]:
    groups: dict[tuple[str, str], list[Raised]] = {}
    for fault in raised:
        groups.setdefault((fault.subject, fault.code), []).append(fault)
    return groups


def _raised(fault: Fault) -> Raised:
    return Raised(
        fault.code,
        fault.subject,
        fault.compound,
        fault.severity.value,
        rfc3339(fault.since_ms),
        rfc3339(fault.opened_at_ms),
    )


def _only(registry: Registry, compound: str) -> Registry:
    place = registry.compounds[compound]
    devices = [device for device in registry.devices.values() if device.compound == compound]
    return Registry([registry.firms[place.firm]], [place], devices, registry.revision)


def _last_ms(journal: JournalReader, last_id: int) -> int:
    record = journal.record_at(last_id)
    if record is None:
        return 0
    if record.messages:
        return record.messages[-1].received_ms
    return int((record.control or {}).get("at_ms", 0))
