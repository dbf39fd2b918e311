"""The auditor finds what was lost, and says nothing while all adds up."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from devices.journal import MESSAGES, UNASSIGNED, Counted, Head, Raw, Record
from devices.platform import ACCOUNTS_IMBALANCE
from devices.store.accounts import Booked
from devices.telemetry import Bucket, Point, Sample, SeriesQuery, TelemetryAway
from ingest.audit import AccountsAudit, Basis, TelemetryAudit, differences
from ingest.decode import Decoder
from ingest.forward import add_points
from ingest.monitor import Place
from tests.fakes import FakeJournal, FakeTime
from tests.ingest.judge.district import COMPOUND, a_gate, a_registry

HOUR_MS = 3_600_000
NOW_MS = 1_795_434_130_000
HOUR = NOW_MS - NOW_MS % HOUR_MS
Counts = dict[tuple[str, int], int]


# The accounts


def counted(received: Counts, waiting: Counts | None = None, journal_id: str = "j1") -> Counted:
    total = sum(received.values())
    return Counted(Head(journal_id, 99, total), received, {} if waiting is None else waiting)


def booked(counts: Counts, *, corrupt: int = 0, jseq: int | None = None) -> Booked:
    return Booked("j1", 90, sum(counts.values()) if jseq is None else jseq, counts, corrupt)


@pytest.mark.parametrize(
    ("received", "waiting", "accounts", "corrupt", "wrong"),
    [
        ({("a", HOUR): 5}, {}, {("a", HOUR): 5}, 0, []),
        ({("a", HOUR): 5}, {("a", HOUR): 2}, {("a", HOUR): 3}, 0, []),
        ({("a", HOUR): 5}, {}, {("a", HOUR): 3}, 0, [("a", 2)]),
        ({("a", HOUR): 5}, {("a", HOUR): 2}, {}, 0, [("a", 3)]),
        ({("a", HOUR): 5}, {}, {("a", HOUR): 6}, 0, [("a", -1)]),
        ({("a", HOUR): 5, ("b", HOUR): 1}, {}, {("a", HOUR): 4, ("b", HOUR): 2}, 0,
         [("a", 1), ("b", -1)]),
        # three of a damaged record: nobody knows whose they were
        ({("a", 0): 5}, {}, {("a", 0): 2, (UNASSIGNED, 0): 3}, 3, []),
        ({("a", 0): 5}, {}, {("a", 0): 1, (UNASSIGNED, 0): 3}, 3, [("a", 4), (UNASSIGNED, -3)]),
    ],
)  # fmt: skip
def test_where_journal_and_accounts_disagree(
    received: Counts, waiting: Counts, accounts: Counts, corrupt: int, wrong: list[tuple[str, int]]
) -> None:
    found = differences(counted(received, waiting), booked(accounts, corrupt=corrupt))
    assert [(d.compound, d.missing) for d in found] == wrong


@dataclass
class FakeAccounts:
    """Both sides, by hour; `booked` without an hour and `count` without hours add them up."""

    received: Counts
    accounts: Counts
    waiting: Counts = field(default_factory=dict)
    earlier: Mapping[str, int] = field(default_factory=dict)
    jseq: int | None = None
    journal_id: str = "j1"
    looks: list[int | None] = field(default_factory=list)

    def booked(self, from_ms: int | None) -> Booked:
        self.looks.append(from_ms)
        counts = _of(self.accounts, from_ms)
        jseq = sum(self.received.values()) - sum(self.waiting.values())
        return Booked("j1", 90, jseq if self.jseq is None else self.jseq, counts, 0)

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        from_ms = None if hours is None else hours[0]
        return counted(_of(self.received, from_ms), _of(self.waiting, from_ms), self.journal_id)

    def before(self, journal_id: str) -> Mapping[str, int]:
        return self.earlier


def _of(counts: Counts, from_ms: int | None) -> Counts:
    found: Counts = {}
    for (compound, hour_ms), count in counts.items():
        if from_ms is None:
            found[compound, 0] = found.get((compound, 0), 0) + count
        elif hour_ms >= from_ms:
            found[compound, hour_ms] = count
    return found


def test_accounts_that_balance_are_no_trouble() -> None:
    received = {("a", HOUR): 5, ("b", HOUR - 40 * HOUR_MS): 7}
    port = FakeAccounts(received, {("a", HOUR): 4, ("b", HOUR - 40 * HOUR_MS): 7}, {("a", HOUR): 1})
    assert AccountsAudit(port).look(NOW_MS, NOW_MS) is None


def test_a_lost_row_is_found_with_its_place_and_is_over_when_it_is_back() -> None:
    port = FakeAccounts({("a", HOUR): 5, ("b", HOUR): 2}, {("a", HOUR): 5})
    audit = AccountsAudit(port)
    trouble = audit.look(NOW_MS, NOW_MS)
    assert trouble is not None
    assert (trouble.code, trouble.since_ms) == (ACCOUNTS_IMBALANCE, NOW_MS)
    assert trouble.evidence == {
        "missing": 2,
        "places": 1,
        "where": [{"compound": "b", "hour_ms": HOUR, "received": 2, "accounted": 0}],
    }
    again = audit.look(NOW_MS + 60_000, NOW_MS)
    assert again is not None
    assert again.since_ms == NOW_MS
    port.accounts["b", HOUR] = 2
    assert audit.look(NOW_MS + 120_000, NOW_MS) is None


def test_a_row_lost_from_long_ago_is_found_when_all_hours_are_added_up() -> None:
    old = HOUR - 30 * 24 * HOUR_MS
    time = FakeTime()
    port = FakeAccounts({("a", HOUR): 5, ("b", old): 2}, {("a", HOUR): 5, ("b", old): 2})
    audit = AccountsAudit(port, time.monotonic)
    assert audit.look(NOW_MS, NOW_MS) is None
    del port.accounts["b", old]
    time.passes(60)
    trouble = audit.look(NOW_MS, NOW_MS)
    assert trouble is not None
    assert trouble.evidence["missing"] == 2


def test_adding_up_all_hours_takes_only_a_share_of_the_time() -> None:
    time = FakeTime()
    port = FakeAccounts({("a", HOUR): 5}, {("a", HOUR): 5})
    slow = port.booked

    def takes_a_second(from_ms: int | None) -> Booked:
        if from_ms is None:
            time.passes(1)
        return slow(from_ms)

    port.booked = takes_a_second  # type: ignore[method-assign]
    audit = AccountsAudit(port, time.monotonic)
    for _ in range(8):
        audit.look(NOW_MS, NOW_MS)
        time.passes(60)
    assert port.looks.count(None) == 1


def test_a_cursor_that_counted_otherwise_than_its_accounts_is_found() -> None:
    port = FakeAccounts({("a", HOUR): 5}, {("a", HOUR): 5}, jseq=6)
    trouble = AccountsAudit(port).look(NOW_MS, NOW_MS)
    assert trouble is not None
    assert trouble.evidence["where"] == [{"compound": "all", "received": 6, "accounted": 5}]


def test_the_accounts_go_on_over_a_new_journal() -> None:
    old = HOUR - 30 * HOUR_MS
    port = FakeAccounts({("a", HOUR): 5}, {("a", HOUR): 5, ("a", old): 7}, earlier={"a": 7})
    assert AccountsAudit(port).look(NOW_MS, NOW_MS) is None


def test_a_journal_that_the_judge_has_yet_to_begin_with_says_nothing() -> None:
    port = FakeAccounts({("a", HOUR): 5}, {("a", HOUR): 9}, journal_id="j2")
    assert AccountsAudit(port).look(NOW_MS, NOW_MS) is None


def test_hours_that_a_judge_behind_still_writes_are_looked_at_too() -> None:
    port = FakeAccounts({("a", HOUR): 5}, {("a", HOUR): 5})
    AccountsAudit(port).look(NOW_MS, NOW_MS - 10 * HOUR_MS)
    assert port.looks[0] == HOUR - 11 * HOUR_MS


# The telemetry store

REGISTRY = a_registry(a_gate())


class Store:
    """A telemetry store that can lose points. Each read first raises the next of `fails`."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str, int], Point] = {}
        self.fails: list[Exception] = []
        self.reads = 0

    def samples(self, query: SeriesQuery) -> list[Sample]:
        self.reads += 1
        if self.fails:
            raise self.fails.pop(0)
        point = self.held.get((query.measurement, query.device, query.from_ms))
        return [] if point is None else [Sample(point.at_ms, point.fields[query.quantity])]

    def buckets(self, query: SeriesQuery, every_s: int) -> list[Bucket]:
        raise NotImplementedError

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        raise NotImplementedError

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        raise NotImplementedError


@dataclass
class Setting:
    """A journal of some messages of one gate, all of them forwarded."""

    journal: FakeJournal = field(default_factory=FakeJournal)
    store: Store = field(default_factory=Store)
    position: int = 0
    paused: str = ""
    dead: int = 0
    changed_ms: int = NOW_MS - HOUR_MS
    noisy: frozenset[str] = frozenset()
    refused: frozenset[int] = frozenset()
    kept_from_ms: int = 0

    def __post_init__(self) -> None:
        for n in range(1, 31):
            at_ms = NOW_MS + n * 1000
            sent = {"ts": at_ms, "boot": 1, "seq": n, "values": {"csq": 20}}
            topic = f"courtyard/v1/{COMPOUND}/gate/gate/telemetry".encode()
            raw = Raw(topic, msgspec.json.encode(sent), 0, at_ms, COMPOUND)
            record = Record(n, MESSAGES, n, 1, 1, (raw,))
            self.journal.append(record)
            points: list[Point] = []
            add_points(points, record, [Decoder(REGISTRY).read(raw)])
            self.store.held |= {(p.measurement, p.device, p.at_ms): p for p in points}
        self.position = 30

    def audit(self) -> TelemetryAudit:
        return TelemetryAudit(
            self.store,
            self.journal,
            lambda: Place(self.journal.journal_id, self.position),
            lambda: self.paused,
            lambda: self.dead,
            lambda: Basis(REGISTRY, self.changed_ms, self.noisy),
            lambda _, first, last: self.refused & set(range(first, last + 1)),
            kept_from_ms=lambda: self.kept_from_ms,
            chance=random.Random(7),
        )

    def lose(self, n: int) -> Point:
        return self.store.held.pop(("gate", "gate", NOW_MS + n * 1000))


def test_a_store_that_has_everything_is_no_trouble() -> None:
    setting = Setting()
    audit = setting.audit()
    assert [audit.look(NOW_MS) for _ in range(5)] == [None] * 5
    assert 5 * 8 <= audit.checked <= 5 * 24


def test_a_point_whose_time_nobody_knows_any_more_is_not_looked_for() -> None:
    """Our clock was an hour behind for a while, and forward knew it."""
    setting = Setting()
    setting.journal.records = [
        replace(
            record,
            messages=tuple(
                raw._replace(received_ms=raw.received_ms - HOUR_MS) for raw in record.messages
            ),
        )
        for record in setting.journal.records
    ]
    setting.changed_ms -= HOUR_MS
    assert setting.audit().look(NOW_MS) is None
    setting.store.held.clear()
    assert setting.audit().look(NOW_MS) is None


def test_a_lost_point_is_found_within_a_few_rounds_and_is_over_when_it_is_back() -> None:
    setting = Setting()
    lost = setting.lose(17)
    audit = setting.audit()
    found = [audit.look(NOW_MS + n) for n in range(5)]
    trouble = found[-1]
    assert trouble is not None
    assert trouble.code == ACCOUNTS_IMBALANCE
    assert trouble.subject == "platform:telemetry"
    assert trouble.evidence["telemetry_missing"] == 1
    assert (trouble.evidence["device"], trouble.evidence["point_ms"]) == ("gate", lost.at_ms)
    setting.store.held["gate", "gate", lost.at_ms] = lost
    assert audit.look(NOW_MS) is None


def test_a_point_that_may_be_forgotten_is_not_missing() -> None:
    setting = Setting()
    lost = setting.lose(17)
    audit = setting.audit()
    assert any(audit.look(NOW_MS) for _ in range(5))
    setting.kept_from_ms = lost.at_ms + 1
    assert [audit.look(NOW_MS) for _ in range(5)] == [None] * 5
    again = setting.audit()
    assert [again.look(NOW_MS) for _ in range(5)] == [None] * 5
    assert again.checked > 0


def test_what_forward_has_not_reached_is_not_missing() -> None:
    setting = Setting(position=30)
    for n in range(21, 31):
        setting.lose(n)
    setting.position = 20
    audit = setting.audit()
    assert [audit.look(NOW_MS) for _ in range(5)] == [None] * 5


def test_points_that_the_store_refused_for_good_may_be_missing() -> None:
    setting = Setting(dead=1)
    setting.lose(3)
    audit = setting.audit()
    assert [audit.look(NOW_MS) for _ in range(9)] == [None] * 9


def test_a_message_that_is_refused_is_not_decoded_and_its_points_are_not_missed() -> None:
    class Deadly(bytes):
        def __hash__(self) -> int:
            raise AssertionError("decoded")

    setting = Setting()
    setting.lose(17)
    record = setting.journal.records[16]
    deadly = record.messages[0]._replace(topic=Deadly(record.messages[0].topic))
    setting.journal.records[16] = replace(record, messages=(deadly,))
    setting.refused = frozenset({17})
    audit = setting.audit()
    assert [audit.look(NOW_MS + n) for n in range(5)] == [None] * 5


def test_a_store_that_is_away_is_not_asked() -> None:
    setting = Setting(paused="503")
    setting.audit().look(NOW_MS)
    assert setting.store.reads == 0


def test_a_store_that_fails_to_answer_says_nothing_of_what_it_has() -> None:
    setting = Setting()
    setting.store.fails = [TelemetryAway("timeout")]
    assert setting.audit().look(NOW_MS) is None
    assert setting.store.reads == 1


def test_a_store_that_answers_slowly_is_asked_less() -> None:
    setting, time = Setting(), FakeTime()
    quick = setting.store.samples

    def slow(query: SeriesQuery) -> list[Sample]:
        time.passes(1)
        return quick(query)

    setting.store.samples = slow  # type: ignore[method-assign]
    audit = setting.audit()
    audit.monotonic = time.monotonic
    audit.look(NOW_MS)
    assert setting.store.reads == 2


def test_what_came_before_the_registry_changed_may_have_been_read_otherwise() -> None:
    setting = Setting(changed_ms=NOW_MS)
    setting.lose(3)
    audit = setting.audit()
    assert [audit.look(NOW_MS) for _ in range(5)] == [None] * 5
    assert setting.store.reads == 0


def test_of_a_device_that_sent_too_much_nobody_knows_what_was_kept() -> None:
    setting = Setting(noisy=frozenset({"gate"}))
    setting.lose(3)
    assert setting.audit().look(NOW_MS) is None


def test_a_trimmed_journal_is_sampled_where_it_begins() -> None:
    setting = Setting()
    setting.journal.records = setting.journal.records[25:]
    audit = setting.audit()
    audit.look(NOW_MS)
    assert audit.checked > 0
