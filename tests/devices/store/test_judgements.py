"""What the judge commits, on both databases: with its cursor, once, and by one judge."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from devices import faults
from devices.catalogue import RULES
from devices.days import midnight_of, zone_of
from devices.faults import Fault, FaultMoved
from devices.judgement import Cursor, DeviceRow, Effects, HourRow, Move
from devices.registry import Compound, Device, Firm, Name, Registry
from devices.rules import Severity
from devices.store import schema
from devices.store.database import reading, writing
from devices.store.faults import history
from devices.store.judgements import CursorMoved, Judgements
from devices.store.registry import save

NOW_MS = 1_795_399_200_000
JOURNAL = "0f" * 16


@pytest.fixture
def judgements(any_database: Engine) -> Judgements:
    name = Name("", "")
    registry = Registry(
        [Firm("yaxin", name)],
        [Compound("lvyun-xiaoqu", name, "yaxin", 100)],
        [Device("gate-1", "gate", "lvyun-xiaoqu", "", 30)],
    )
    with writing(any_database) as connection:
        save(connection, registry, NOW_MS)
    made = Judgements(any_database)
    made.registry()
    return made


def a_tampered_gate() -> Move:
    fault, event = faults.begin(
        RULES["GATE_TAMPER"],
        stream="live",
        subject="gate-1",
        device="gate-1",
        compound="lvyun-xiaoqu",
        severity=Severity.P2,
        safety=False,
        since_ms=NOW_MS,
        now_ms=NOW_MS,
        evidence={"tamper": True},
    )
    return Move(fault, None, event)


def commit(judgements: Judgements, position: int, was: Cursor | None, *moves: Move) -> Cursor:
    effects = Effects(position=position, jseq=position, moves=list(moves))
    return judgements.commit(effects, JOURNAL, was, NOW_MS)


def events(engine: Engine, fault: Fault) -> list[tuple[str | None, str]]:
    with reading(engine) as connection:
        return [(event.was, event.becomes) for event in history(connection, fault.id)]


def test_the_raising_of_a_fault_is_recorded(any_database: Engine, judgements: Judgements) -> None:
    move = a_tampered_gate()
    commit(judgements, 1, None, move)
    assert events(any_database, move.fault) == [(None, "open")]


def test_a_replay_of_the_same_messages_raises_nothing_again(
    any_database: Engine, judgements: Judgements
) -> None:
    move = a_tampered_gate()
    cursor = commit(judgements, 1, None, move)
    commit(judgements, 2, cursor, move)
    assert events(any_database, move.fault) == [(None, "open")]


def test_another_fault_of_the_same_subject_and_code_is_refused(
    any_database: Engine, judgements: Judgements
) -> None:
    cursor = commit(judgements, 1, None, a_tampered_gate())
    move = a_tampered_gate()
    other = faults.begin(
        RULES["GATE_TAMPER"],
        stream="live",
        subject="gate-1",
        device="gate-1",
        compound="lvyun-xiaoqu",
        severity=Severity.P2,
        safety=False,
        since_ms=NOW_MS + 5,
        now_ms=NOW_MS + 5,
        evidence={},
    )
    with pytest.raises(FaultMoved):
        commit(judgements, 2, cursor, Move(other[0], None, other[1]))
    assert events(any_database, move.fault) == [(None, "open")]


def test_of_two_judges_that_begin_together_one_stops(
    any_database: Engine, judgements: Judgements
) -> None:
    commit(judgements, 1, None)
    with pytest.raises(CursorMoved):
        commit(Judgements(any_database), 1, None)


def test_of_two_judges_at_the_same_place_one_stops_and_leaves_nothing(
    any_database: Engine, judgements: Judgements
) -> None:
    first = commit(judgements, 1, None)
    commit(judgements, 2, first)
    move = a_tampered_gate()
    with pytest.raises(CursorMoved):
        commit(judgements, 2, first, move)
    assert events(any_database, move.fault) == []


# Histories


def test_a_history_touches_nothing_of_the_present(
    any_database: Engine, judgements: Judgements
) -> None:
    live = commit(judgements, 1, None, a_tampered_gate())
    with reading(any_database) as connection:
        counts = connection.execute(select(schema.compound_counts)).all()
    past = Judgements(any_database, "history-1", "history-1")
    past.registry()
    assert past.load().cursor is None
    assert past.load().faults == []
    fault, event = faults.begin(
        RULES["GATE_TAMPER"],
        stream="history-1",
        subject="gate-1",
        device="gate-1",
        compound="lvyun-xiaoqu",
        severity=Severity.P2,
        safety=False,
        since_ms=NOW_MS - 86_400_000,
        now_ms=NOW_MS - 86_400_000,
        evidence={},
    )
    effects = Effects(
        position=5,
        jseq=50,
        moves=[Move(fault, None, event)],
        devices=[DeviceRow("gate-1", "offline", "lwt", 1, 1, 1, b"\x80", b"\x80")],
        counts={("lvyun-xiaoqu", "gate"): (0, 1, 0, 0)},
        keys={b"k" * 16: NOW_MS},
        accounts={("lvyun-xiaoqu", 0, "stored", ""): 3},
    )
    past.commit(effects, "ab" * 16, None, NOW_MS)
    assert judgements.load().cursor == live
    assert [row.state for row in judgements.load().devices] == ["never_seen"]
    assert [row.state for row in past.load().devices] == ["offline"]
    assert [f.id for f in past.load().faults] == [fault.id]
    assert judgements.fault(fault.id) is None
    with reading(any_database) as connection:
        assert connection.execute(select(schema.compound_counts)).all() == counts
        routed = connection.execute(
            select(schema.fault_events.c.routed_at_ms).where(
                schema.fault_events.c.fault == fault.id
            )
        ).scalars()
        assert list(routed) == [NOW_MS]  # nobody is alerted of the past
        live_ones = connection.execute(
            select(schema.fault_events.c.routed_at_ms).where(
                schema.fault_events.c.fault != fault.id
            )
        ).scalars()
        assert list(live_ones) == [None]
        assert connection.execute(select(schema.event_keys)).all() == []
    past.forget_stream()
    assert past.load().devices == []
    assert [row.state for row in judgements.load().devices] == ["never_seen"]


def test_the_present_is_never_forgotten(judgements: Judgements) -> None:
    with pytest.raises(ValueError, match="live"):
        judgements.forget_stream()


# Identities


def test_identities_are_forgotten_after_ten_days(judgements: Judgements) -> None:
    day_ms = 86_400_000
    keys = {bytes([n]) * 16: NOW_MS - n * day_ms for n in range(15)}
    judgements.commit(Effects(position=1, keys=keys), JOURNAL, None, NOW_MS)
    assert judgements.forget_keys(NOW_MS) == 4
    assert judgements.forget_keys(NOW_MS) == 0
    assert [judgements.knows(key) for key in keys] == [True] * 11 + [False] * 4


def test_they_are_forgotten_a_bounded_number_at_a_time(judgements: Judgements) -> None:
    keys = {bytes([n]) * 16: 0 for n in range(7)}
    judgements.commit(Effects(position=1, keys=keys), JOURNAL, None, NOW_MS)
    assert [judgements.forget_keys(NOW_MS, 3) for _ in range(4)] == [3, 3, 1, 0]


def test_what_was_learned_is_there_again_as_it_was_written_last(judgements: Judgements) -> None:
    cursor = None
    for position, packed in enumerate((b"one", bytes(504), b""), 1):
        effects = Effects(position=position, jseq=position, baselines={"gate-1": packed})
        cursor = judgements.commit(effects, JOURNAL, cursor, NOW_MS)
        assert judgements.load().baselines == {"gate-1": packed}
    commit(judgements, 4, cursor)
    assert judgements.load().baselines == {"gate-1": b""}


def test_an_impact_and_a_rank_are_written_with_the_fault_and_restated(
    judgements: Judgements, any_database: Engine
) -> None:
    move = a_tampered_gate()
    raised = replace(move.fault, impact={"gates": 1, "gates_left": 0}, rank=3512.5)
    cursor = commit(judgements, 1, None, replace(move, fault=raised))
    assert judgements.load().faults == [raised]
    later = replace(raised, impact={"gates": 1, "gates_left": 1}, rank=3100.25)
    effects = Effects(position=2, jseq=2, restated={later.id: later})
    judgements.commit(effects, JOURNAL, cursor, NOW_MS)
    assert judgements.load().faults == [later]
    assert events(any_database, raised) == [(None, "open")]


def test_an_hour_of_a_day_that_is_over_makes_its_sum_due(
    any_database: Engine, judgements: Judgements
) -> None:
    yesterday_ms = NOW_MS - 30 * 3_600_000
    effects = Effects(position=1, jseq=1)
    for hour_ms in (NOW_MS - NOW_MS % 3_600_000, yesterday_ms - yesterday_ms % 3_600_000):
        effects.hours.append(HourRow("gate-1", "lvyun-xiaoqu", "gate", hour_ms, 1, {}))
    effects.late_hours["gate-1", 1_795_000_000_000 - 1_795_000_000_000 % 3_600_000] = {"granted": 1}
    judgements.commit(effects, JOURNAL, None, NOW_MS)
    with reading(any_database) as connection:
        marked = connection.execute(select(schema.usage_days_due)).all()
    zone = zone_of("Asia/Shanghai")
    assert {(row.day_ms, row.marks) for row in marked} == {
        (midnight_of(yesterday_ms, zone), 1),
        (midnight_of(1_795_000_000_000, zone), 1),
    }
