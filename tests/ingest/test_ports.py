"""What every store of a judge must do: the contract that the fake and both databases pass alike."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from devices import faults, sessions
from devices.catalogue import RULES
from devices.faults import Fault, FaultMoved, State
from devices.judgement import Cursor, DeviceRow, Effects, HourRow, Move, Refused
from devices.maintenance import Window
from devices.messages import Reason
from devices.registry import Registry
from devices.sessions import Session
from devices.store import schema
from devices.store.database import reading, writing
from devices.store.faults import move_fault
from devices.store.judgements import CursorMoved, Judgements
from devices.store.maintenance import add_window
from devices.store.registry import save
from devices.store.scope import DISTRICT
from ingest.ports import JudgeStore
from tests.fakes import FakeJudgeStore
from tests.ingest.judge.district import COMPOUND, START_MS, a_gate, a_registry, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
HOUR_MS = 3_600_000
HOUR = START_MS - START_MS % HOUR_MS
JOURNAL = "0f" * 16


class Look:
    """What is in a store, whichever it is."""

    def __init__(self, store: JudgeStore, engine: Engine | None) -> None:
        self.store = store
        self._engine = engine

    def _all(self, query: Any) -> list[Any]:
        assert self._engine is not None
        with reading(self._engine) as connection:
            return list(connection.execute(query))

    def hours(self) -> dict[tuple[str, int], tuple[int, Any]]:
        """Device and hour -> reports and figures."""
        if isinstance(self.store, FakeJudgeStore):
            rows = self.store.rows
            return {key: (rows.received[key], rows.figures[key]) for key in rows.figures}
        column = schema.usage_hours.c
        query = select(schema.devices.c.id, column.hour_ms, column.received, column.figures).join(
            schema.devices, schema.devices.c.no == column.device_no
        )
        return {
            (device, hour_ms): (received, msgspec.msgpack.decode(figures))
            for device, hour_ms, received, figures in self._all(query)
        }

    def accounts(self) -> dict[tuple[str, int, str, str], int]:
        if isinstance(self.store, FakeJudgeStore):
            return dict(self.store.rows.accounts)
        column = schema.accounts.c
        query = select(column.compound, column.hour_ms, column.outcome, column.reason, column.count)
        return {tuple(row[:4]): row[4] for row in self._all(query)}

    def counts(self) -> dict[tuple[str, str], tuple[int, ...]]:
        if isinstance(self.store, FakeJudgeStore):
            return dict(self.store.rows.counts)
        return {tuple(row[:2]): tuple(row[2:]) for row in self._all(select(schema.compound_counts))}

    def moves(self) -> list[tuple[str | None, str, str]]:
        """The history of all faults: from, to, why."""
        if isinstance(self.store, FakeJudgeStore):
            return [(event.was, event.becomes, event.reason) for event in self.store.rows.events]
        column = schema.fault_events.c
        query = select(column.was, column.becomes, column.reason).order_by(column.id)
        return [tuple(row) for row in self._all(query)]

    def refused(self) -> dict[int, tuple[str, bytes | None]]:
        """jseq -> reason, payload."""
        if isinstance(self.store, FakeJudgeStore):
            kept = self.store.rows.refused
            return {jseq: (row.reason, row.payload) for (_, jseq), row in kept.items()}
        column = schema.quarantine.c
        query = select(column.jseq, column.reason, column.payload)
        return {jseq: (reason, payload) for jseq, reason, payload in self._all(query)}

    def a_person(self, fault: Fault, move: Any) -> Fault:
        """Somebody acts on a fault, as the API writes it."""
        if isinstance(self.store, FakeJudgeStore):
            return self.store.a_person(fault.id, move)
        assert self._engine is not None
        with writing(self._engine) as connection:
            return move_fault(connection, DISTRICT, fault.id, move)

    def a_window(self, window: Window) -> None:
        """Somebody makes a maintenance window."""
        if isinstance(self.store, FakeJudgeStore):
            self.store.a_window(window)
            return
        assert self._engine is not None
        with writing(self._engine) as connection:
            add_window(connection, window)


def a_window(window: str, **more: Any) -> Window:
    words: dict[str, Any] = {
        "compound": COMPOUND,
        "kind": None,
        "devices": ("gate",),
        "codes": ("GATE_TAMPER", "GATE_PANIC"),
        "starts_at_ms": START_MS - 1000,
        "ends_at_ms": START_MS + HOUR_MS,
        "reason": "更换门锁",
        "owner": "wang",
        "created_by": "li-wei",
        "created_at_ms": START_MS - 1000,
    }
    return Window(window, **words | more)


def the_registry() -> Registry:
    return a_registry(a_gate(), a_gate("gate-2"), *a_shed())


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def look(request: pytest.FixtureRequest) -> Look:
    """A store in which the registry is, and nothing else."""
    if request.param == "fake":
        return Look(FakeJudgeStore(the_registry()), None)
    engine: Engine = request.getfixturevalue(
        "sqlite_database" if request.param == "sqlite" else "postgres_database"
    )
    with writing(engine) as connection:
        save(connection, the_registry(), START_MS)
    store = Judgements(engine)
    store.registry()
    return Look(store, engine)


def a_raise(code: str = "GATE_TAMPER", device: str = "gate", since_ms: int = START_MS) -> Move:
    rule = RULES[code]
    fault, event = faults.begin(
        rule,
        stream="live",
        subject=device,
        device=device,
        compound=COMPOUND,
        severity=rule.severity,
        safety=rule.safety,
        since_ms=since_ms,
        now_ms=since_ms,
        evidence={"tamper": True, "volts": 1.5},
    )
    return Move(fault, None, event)


def an_end(fault: Fault, now_ms: int = START_MS + 1000) -> Move:
    over, event = faults.end(fault, now_ms)
    return Move(over, fault.state, event)


def a_row(device: str, state: str = "online", memory: bytes = b"\x80") -> DeviceRow:
    return DeviceRow(device, state, None, START_MS, START_MS, START_MS, b"\x80", memory)


def commit(
    look: Look, position: int, was: Cursor | None, now_ms: int = START_MS, **effects: Any
) -> Cursor:
    gathered = Effects(position=position, jseq=10 * position, revision=position, **effects)
    gathered.watermark_ms = START_MS
    return look.store.commit(gathered, JOURNAL, was, now_ms)


def test_a_fresh_store_has_nothing_to_go_on_from(look: Look) -> None:
    saved = look.store.load()
    assert saved.cursor is None
    assert (saved.faults, saved.sessions) == ([], [])
    assert {row.state for row in saved.devices} <= {"never_seen"}
    assert look.store.registry().devices.keys() == the_registry().devices.keys()


def test_what_was_committed_is_what_the_next_one_goes_on_from(look: Look) -> None:
    move = a_raise()
    session = sessions.begin(COMPOUND, "shed", "shed-p01", "1", START_MS)
    cursor = commit(
        look,
        7,
        None,
        memory=b"\x81\xa1x\x01",
        devices=[a_row("gate", memory=b"\x93\x01\x02\x03"), a_row("shed", "offline")],
        moves=[move],
        sessions={session.id: session},
    )
    assert cursor == Cursor(JOURNAL, 7, 70, 7, START_MS, b"\x81\xa1x\x01")
    saved = look.store.load()
    assert saved.cursor == cursor
    rows = {row.device: row for row in saved.devices}
    assert rows["gate"] == a_row("gate", memory=b"\x93\x01\x02\x03")
    assert rows["shed"].state == "offline"
    assert saved.faults == [move.fault]
    assert saved.sessions == [session]
    assert look.store.fault(move.fault.id) == move.fault
    assert look.store.fault("no such fault") is None


def test_the_cursor_moves_from_where_it_was_left_or_not_at_all(look: Look) -> None:
    first = commit(look, 1, None)
    second = commit(look, 2, first, accounts={(COMPOUND, HOUR, "stored", ""): 1})
    for stale in (None, first, replace(second, journal_id="ab" * 16)):
        with pytest.raises(CursorMoved):
            commit(look, 3, stale, accounts={(COMPOUND, HOUR, "stored", ""): 5}, moves=[a_raise()])
    assert look.store.load().cursor == second
    assert look.accounts() == {(COMPOUND, HOUR, "stored", ""): 1}
    assert look.moves() == []


def test_a_commit_is_all_or_nothing(look: Look) -> None:
    """The last of it cannot be written: nothing of it is there, and the cursor stands."""
    first = commit(look, 1, None, devices=[a_row("gate")])
    standing = a_raise()
    second = commit(look, 2, first, moves=[standing])
    session = sessions.begin(COMPOUND, "shed", "shed-p01", "1", START_MS)
    with pytest.raises(FaultMoved):
        commit(
            look,
            3,
            second,
            devices=[a_row("gate", "offline")],
            moves=[
                a_raise("GATE_MAINS_LOST"),
                replace(an_end(standing.fault), was=ACKNOWLEDGED),  # it is open
            ],
            sessions={session.id: session},
            hours=[HourRow("gate", COMPOUND, "gate", HOUR, 3, {"granted": 1})],
            late_hours={("gate", HOUR - HOUR_MS): {"granted": 1}},
            accounts={(COMPOUND, HOUR, "stored", ""): 5},
            keys={b"k" * 16: START_MS},
            counts={(COMPOUND, "gate"): (1, 0, 0, 1)},
            refused=[a_refusal(5)],
        )
    saved = look.store.load()
    assert saved.cursor == second
    assert {row.device: row.state for row in saved.devices}["gate"] == "online"
    assert saved.faults == [standing.fault]
    assert saved.sessions == []
    assert (look.hours(), look.accounts(), look.refused()) == ({}, {}, {})
    assert not look.store.knows(b"k" * 16)
    assert look.moves() == [(None, "open", "raised")]
    # and the same without the part that failed goes through
    commit(look, 3, second, accounts={(COMPOUND, HOUR, "stored", ""): 5})
    assert look.accounts() == {(COMPOUND, HOUR, "stored", ""): 5}


def a_refusal(jseq: int, payload: bytes | None = b"{") -> Refused:
    return Refused(
        jseq, START_MS, COMPOUND, "gate", "a/topic", Reason.NOT_JSON, "why", payload, "ab" * 32, 1,
        False,
    )  # fmt: skip


def test_several_steps_of_one_fault_are_one_commit(look: Look) -> None:
    raised = a_raise("SHED_SMOKE", "shed")
    ended = an_end(raised.fault)
    again, event = faults.reopen(ended.fault, raised.fault.severity, True, START_MS + 2000, {})
    commit(look, 1, None, moves=[raised, ended, Move(again, CLEARED, event)])
    assert look.store.fault(raised.fault.id) == again
    assert look.moves() == [
        (None, "open", "raised"),
        ("open", "cleared", "over"),
        ("cleared", "open", "reopened"),
    ]


def test_a_fault_that_a_person_moved_is_not_moved_over_them(look: Look) -> None:
    raised = a_raise()
    first = commit(look, 1, None, moves=[raised])
    look.a_person(raised.fault, lambda f: faults.acknowledge(f, "li-wei", START_MS + 500))
    with pytest.raises(FaultMoved):
        commit(look, 2, first, moves=[an_end(raised.fault)])
    seen = look.store.fault(raised.fault.id)
    assert seen is not None
    assert (seen.state, seen.acknowledged_by) == (ACKNOWLEDGED, "li-wei")
    commit(look, 2, first, moves=[an_end(seen)])
    over = look.store.fault(raised.fault.id)
    assert over is not None
    assert (over.state, over.acknowledged_by) == (CLOSED, "li-wei")


def test_who_it_was_given_to_stays_when_the_judge_moves_it(look: Look) -> None:
    raised = a_raise()
    first = commit(look, 1, None, moves=[raised])
    look.a_person(raised.fault, lambda f: faults.assign(f, "wang", "li-wei", START_MS + 500))
    commit(look, 2, first, moves=[an_end(raised.fault)])
    over = look.store.fault(raised.fault.id)
    assert over is not None
    assert (over.state, over.assignee) == (CLOSED, "wang")


def test_what_people_wrote_stays_until_a_step_makes_it_void(look: Look) -> None:
    raised = a_raise()
    first = commit(look, 1, None, moves=[raised])
    until_ms = START_MS + HOUR_MS
    look.a_person(raised.fault, lambda f: faults.shelve(f, until_ms, "li-wei", START_MS))
    look.a_person(raised.fault, lambda f: faults.arrive(f, "li-wei", START_MS + 1))
    look.a_person(raised.fault, lambda f: faults.repair(f, "li-wei", START_MS + 2))
    seen = look.store.fault(raised.fault.id)
    assert seen is not None
    # the judge does not know of them yet, but for the state
    flaps = replace(raised.fault, state=ACKNOWLEDGED, flaps=3, raises_ms=(1, 2, 3))
    second = commit(look, 2, first, restated={flaps.id: flaps})
    kept = look.store.fault(raised.fault.id)
    assert kept is not None
    assert (kept.flaps, kept.raises_ms) == (3, (1, 2, 3))
    assert (kept.shelved_until_ms, kept.onsite_at_ms, kept.repaired_at_ms) == (
        until_ms,
        START_MS + 1,
        START_MS + 2,
    )
    third = commit(look, 3, second, moves=[an_end(kept)])
    over = look.store.fault(raised.fault.id)
    assert over is not None
    assert (over.state, over.shelved_until_ms, over.repaired_at_ms) == (CLOSED, None, START_MS + 2)
    again, event = faults.reopen(over, over.severity, False, START_MS + 5000, {})
    commit(look, 4, third, moves=[Move(again, CLOSED, event)])
    back = look.store.fault(raised.fault.id)
    assert back is not None
    assert (back.state, back.onsite_at_ms, back.repaired_at_ms) == (OPEN, None, None)


def test_a_suspicion_that_a_person_confirmed_stays_confirmed(look: Look) -> None:
    raised = a_raise()
    guess = replace(raised.fault, suspected=True)
    first = commit(look, 1, None, moves=[Move(guess, None, raised.event)])
    look.a_person(guess, lambda f: faults.confirm(f, "li-wei", START_MS + 1))
    commit(look, 2, first, moves=[an_end(guess)])
    over = look.store.fault(guess.id)
    assert over is not None
    assert (over.suspected, over.confirmed_at_ms) == (False, START_MS + 1)


def test_more_of_a_fault_that_a_person_moved_is_not_written_over_them(look: Look) -> None:
    raised = a_raise()
    first = commit(look, 1, None, moves=[raised])
    look.a_person(raised.fault, lambda f: faults.close(f, "li-wei", START_MS + 500))
    flaps = replace(raised.fault, flaps=3)
    with pytest.raises(FaultMoved):
        commit(look, 2, first, restated={flaps.id: flaps})
    kept = look.store.fault(raised.fault.id)
    assert kept is not None
    assert (kept.state, kept.flaps) == (CLOSED, 0)


@pytest.mark.parametrize(("longer", "is_refused"), [(0, False), (1, True)])
def test_a_shelf_ends_unless_somebody_made_it_longer(
    look: Look, longer: int, is_refused: bool
) -> None:
    raised = a_raise()
    first = commit(look, 1, None, moves=[raised])
    shelved = look.a_person(
        raised.fault, lambda f: faults.shelve(f, START_MS + 1000, "li-wei", START_MS)
    )
    look.a_person(
        raised.fault, lambda f: faults.shelve(f, START_MS + 1000 + longer, "li-wei", START_MS)
    )
    back, event = faults.end_shelf(shelved, START_MS + 1000)
    if is_refused:
        with pytest.raises(FaultMoved):
            commit(look, 2, first, moves=[Move(back, OPEN, event)])
    else:
        commit(look, 2, first, moves=[Move(back, OPEN, event)])
    kept = look.store.fault(raised.fault.id)
    assert kept is not None
    assert kept.shelved_until_ms == (START_MS + 1001 if is_refused else None)


def test_a_fault_within_a_week_of_the_one_before_is_a_repeat_of_it(look: Look) -> None:
    week_ms = 7 * 24 * HOUR_MS
    first = a_raise()
    other = a_raise(device="gate-2")
    over_ms = START_MS + 1000
    soon = a_raise(since_ms=over_ms + week_ms)
    soon_over = an_end(soon.fault, soon.fault.opened_at_ms)
    late = a_raise(since_ms=soon.fault.opened_at_ms + week_ms + 1)
    cursor = commit(look, 1, None, moves=[first, an_end(first.fault, over_ms), other])
    cursor = commit(look, 2, cursor, moves=[soon])
    commit(look, 3, cursor, moves=[soon_over, late])
    found = {move.fault.id: look.store.fault(move.fault.id) for move in (first, other, soon, late)}
    assert [fault.repeat_of for fault in found.values() if fault is not None] == [
        None,
        None,
        first.fault.id,
        None,
    ]


def test_windows_are_known_until_they_are_over(look: Look) -> None:
    assert look.store.windows(START_MS) == []
    lasts = a_window("lasts", ends_at_ms=START_MS + 1000)
    over = a_window("over", ends_at_ms=START_MS)
    ended = a_window("ended", ended_at_ms=START_MS + 500)
    before = look.store.newest_revision()
    for window in (lasts, over, ended):
        look.a_window(window)
    assert look.store.windows(START_MS) == [ended, lasts]
    assert look.store.windows(START_MS + 500) == [lasts]
    assert look.store.windows(START_MS + 1000) == []
    told = look.store.revisions_after(before)
    assert [(one.what, one.subject) for one in told[-3:]] == [
        ("maintenance", "lasts"),
        ("maintenance", "over"),
        ("maintenance", "ended"),
    ]


def test_what_people_do_is_told_in_order(look: Look) -> None:
    raised = a_raise()
    commit(look, 1, None, moves=[raised])
    before = look.store.newest_revision()
    look.a_person(raised.fault, lambda f: faults.acknowledge(f, "li-wei", START_MS))
    look.a_person(raised.fault, lambda f: faults.comment(f, "li-wei", START_MS, "seen"))
    told = look.store.revisions_after(before)
    assert [(one.what, one.subject) for one in told] == [("fault", raised.fault.id)] * 2
    assert told[0].id < told[1].id == look.store.newest_revision()
    assert look.store.revisions_after(told[1].id) == []


def test_the_same_fault_again_is_known_with_all_that_became_of_it(look: Look) -> None:
    """A replay makes a fault that was answered long ago; what follows from it is old as well."""
    raised = a_raise("SHED_SMOKE", "shed")
    ended = an_end(raised.fault)
    first = commit(look, 1, None, moves=[raised, ended])
    closed = look.a_person(raised.fault, lambda f: faults.acknowledge(f, "li-wei", START_MS + 5000))
    told = len(look.moves())
    second = commit(look, 2, first, moves=[raised, ended, a_raise("GATE_PANIC")])
    assert second.position == 2
    assert look.store.fault(raised.fault.id) == closed
    assert len(look.moves()) == told + 1  # the panic button's, which is news


def test_there_is_one_fault_of_a_subject_and_code_that_is_not_closed(look: Look) -> None:
    first = commit(look, 1, None, moves=[a_raise()])
    with pytest.raises(FaultMoved):
        commit(look, 2, first, moves=[a_raise(since_ms=START_MS + 60_000)])
    second = commit(look, 2, first, moves=[a_raise(device="gate-2")])
    commit(look, 3, second, moves=[an_end(a_raise().fault), a_raise(since_ms=START_MS + 60_000)])
    assert len(look.store.load().faults) == 3  # the closed one is young, and still known


def test_faults_closed_within_ten_minutes_of_the_watermark_are_still_known(look: Look) -> None:
    raised, young = a_raise(since_ms=START_MS - HOUR_MS), a_raise("GATE_MAINS_LOST")
    commit(
        look,
        1,
        None,
        moves=[
            raised,
            an_end(raised.fault, START_MS - 600_001),
            young,
            an_end(young.fault, START_MS - 599_999),
        ],
    )
    assert [fault.code for fault in look.store.load().faults] == ["GATE_MAINS_LOST"]


def test_of_one_code_the_fault_that_stands_is_the_one_remembered(look: Look) -> None:
    old, new = a_raise(), a_raise(since_ms=START_MS + 60_000)
    commit(look, 1, None, moves=[old, an_end(old.fault), new])
    assert [fault.id for fault in look.store.load().faults][-1] == new.fault.id


def test_an_hour_is_written_as_it_is_and_late_data_is_added_to_it(look: Look) -> None:
    first = commit(
        look,
        1,
        None,
        hours=[HourRow("gate", COMPOUND, "gate", HOUR, 3, {"granted": 2, "by_method": {"qr": 2}})],
    )
    second = commit(
        look,
        2,
        first,
        hours=[HourRow("gate", COMPOUND, "gate", HOUR, 5, {"granted": 4, "by_method": {"qr": 4}})],
    )
    assert look.hours() == {("gate", HOUR): (5, {"granted": 4, "by_method": {"qr": 4}})}
    third = commit(
        look,
        3,
        second,
        late_hours={
            ("gate", HOUR): {"granted": 1, "by_method": {"face": 1}},
            ("gate", HOUR - HOUR_MS): {"denied": 1},
        },
        late_received={("gate", HOUR): 2, ("gate-2", HOUR): 7},
    )
    commit(look, 4, third, late_received={("gate", HOUR - HOUR_MS): 1})
    assert look.hours() == {
        ("gate", HOUR): (7, {"granted": 5, "by_method": {"qr": 4, "face": 1}}),
        ("gate", HOUR - HOUR_MS): (1, {"denied": 1}),
        ("gate-2", HOUR): (7, {}),
    }


def test_late_data_of_many_hours_is_one_commit(look: Look) -> None:
    """More than one query's worth, some of it on rows that are there."""
    hours = [HOUR - n * HOUR_MS for n in range(700)]
    first = commit(
        look,
        1,
        None,
        hours=[HourRow("gate", COMPOUND, "gate", hour, 1, {"granted": 1}) for hour in hours[::2]],
    )
    late = {(gate, hour): {"granted": 1.0} for hour in hours for gate in ("gate", "gate-2")}
    commit(look, 2, first, late_hours=late)
    seen = look.hours()
    assert len(seen) == 1400
    assert [seen["gate", hour][1]["granted"] for hour in hours[:4]] == [2, 1, 2, 1]
    assert {seen["gate-2", hour][1]["granted"] for hour in hours} == {1}


def test_accounts_are_added_up(look: Look) -> None:
    stored, odd = (COMPOUND, HOUR, "stored", ""), ("unassigned", HOUR, "quarantined", "bad_topic")
    first = commit(look, 1, None, accounts={stored: 3, odd: 1})
    commit(look, 2, first, accounts={stored: 4})
    assert look.accounts() == {stored: 7, odd: 1}


def test_counts_of_states_are_absolute(look: Look) -> None:
    first = commit(look, 1, None, counts={(COMPOUND, "gate"): (1, 0, 0, 1)})
    commit(look, 2, first, counts={(COMPOUND, "gate"): (1, 1, 0, 0)})
    assert look.counts()[COMPOUND, "gate"] == (1, 1, 0, 0)


def test_an_identity_is_known_once_it_is_committed(look: Look) -> None:
    key = bytes(range(16))
    assert not look.store.knows(key)
    first = commit(look, 1, None, keys={key: START_MS})
    assert look.store.knows(key)
    assert not look.store.knows(bytes(16))
    commit(look, 2, first, keys={key: START_MS + 1})  # again is no error
    assert look.store.knows(key)


def test_a_session_is_written_over_by_what_is_known_later(look: Look) -> None:
    begun = sessions.begin(COMPOUND, "shed", "shed-p01", "1", START_MS)
    first = commit(look, 1, None, sessions={begun.id: begun})
    assert look.store.load().sessions == [begun]
    ended = sessions.end(
        begun, COMPOUND, "shed", "shed-p01", "1", START_MS + 60_000, {"session_energy_kwh": 0.5}
    )
    commit(look, 2, first, sessions={ended.id: ended})
    assert look.store.load().sessions == []


def test_a_refused_message_is_kept_once_whatever_is_in_it(look: Look) -> None:
    odd = replace(a_refusal(1, b"\x00\xff"), topic="a\0topic", detail="NUL \0 in it", device=None)
    first = commit(look, 1, None, refused=[odd, a_refusal(2, None)])
    commit(look, 2, first, refused=[a_refusal(2, b"other")])
    assert look.refused() == {1: ("not_json", b"\x00\xff"), 2: ("not_json", None)}


def test_every_field_of_a_session_survives(look: Look) -> None:
    session = Session(
        sessions.session_id("shed", "9"), COMPOUND, "shed", "shed-p02", "9",
        sessions.SessionState.OPEN, START_MS, None, None, 0.25, 120, None, "7", None, True,
    )  # fmt: skip
    commit(look, 1, None, sessions={session.id: session})
    assert look.store.load().sessions == [session]


def test_a_compound_its_fault_and_what_that_explains_are_what_the_next_one_goes_on_from(
    look: Look,
) -> None:
    gate = a_raise("GATE_OFFLINE")
    cut, event = faults.begin(
        RULES["COMPOUND_POWER_CUT"],
        stream="live",
        subject=COMPOUND,
        device=None,
        compound=COMPOUND,
        severity=RULES["COMPOUND_POWER_CUT"].severity,
        safety=False,
        since_ms=START_MS,
        now_ms=START_MS,
        evidence={"silent": 4, "of": 5},
    )
    explained, why = faults.suppress(gate.fault, cut.id, cut.code, START_MS + 1000)
    moves = [gate, Move(cut, None, event), Move(explained, State.OPEN, why)]
    first = commit(look, 1, None, moves=moves, compounds={COMPOUND: b"\x93\x01"})
    saved = look.store.load()
    assert {fault.id: fault for fault in saved.faults} == {cut.id: cut, explained.id: explained}
    assert saved.compounds == {COMPOUND: b"\x93\x01"}
    free, why = faults.release(explained, START_MS + 2000, START_MS + 122_000)
    commit(look, 2, first, moves=[Move(free, State.OPEN, why)], compounds={COMPOUND: b"\x90"})
    saved = look.store.load()
    assert {fault.id: fault.suppressed_by for fault in saved.faults} == {
        cut.id: None,
        free.id: None,
    }
    assert saved.compounds == {COMPOUND: b"\x90"}
