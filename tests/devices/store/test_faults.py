"""People's actions: by compare-and-set, recorded, and told to the judge, all or nothing."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from devices import faults as rules
from devices.faults import Fault, FaultMoved, Move, State
from devices.store.database import reading, writing
from devices.store.faults import (
    Filter,
    Sought,
    UnknownFault,
    assignees,
    children_of,
    count_children,
    count_faults,
    find_fault,
    history,
    last_words,
    list_faults,
    move_fault,
    open_by_severity,
    same_nearby,
)
from devices.store.schema import fault_events, faults, revisions
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_fault,
    a_fault_event,
)


@pytest.fixture
def database(any_database: Engine) -> Engine:
    """With the small district, and one open fault of its gate."""
    with writing(any_database) as connection:
        a_district(connection)
        a_fault(connection, "f")
    return any_database


def acknowledging(actor: str) -> Callable[[Fault], Move]:
    return lambda fault: rules.acknowledge(fault, actor, NOW_MS)


def test_a_move_is_written_recorded_and_told_in_one_transaction(database: Engine) -> None:
    with writing(database) as connection:
        moved = move_fault(connection, DISTRICT, "f", acknowledging("li-min"))
        assert moved.state is State.ACKNOWLEDGED
    with reading(database) as connection:
        assert find_fault(connection, DISTRICT, "f") == moved
        assert [event.reason for event in history(connection, "f")] == ["raised", "acknowledged"]
        told = connection.execute(select(revisions).where(revisions.c.what == "fault")).one()
        assert (told.subject, told.body["becomes"]) == ("f", "acknowledged")


def test_nothing_is_left_of_a_move_that_is_rolled_back(database: Engine) -> None:
    with suppress(KeyboardInterrupt), writing(database) as connection:
        move_fault(connection, DISTRICT, "f", acknowledging("li-min"))
        raise KeyboardInterrupt
    with reading(database) as connection:
        assert find_fault(connection, DISTRICT, "f").state is State.OPEN
        assert len(history(connection, "f")) == 1
        assert connection.execute(select(revisions).where(revisions.c.what == "fault")).all() == []


def test_the_second_of_two_is_told(database: Engine) -> None:
    with writing(database) as connection:
        move_fault(connection, DISTRICT, "f", acknowledging("li-min"))
    with pytest.raises(FaultMoved), writing(database) as connection:
        move_fault(connection, DISTRICT, "f", acknowledging("zhao-min"))


def test_a_move_from_a_state_that_has_passed_is_refused(database: Engine) -> None:
    """The row moves between our reading it and our writing it."""

    def overtaken(fault: Fault) -> Move:
        connection.execute(update(faults).where(faults.c.id == "f").values(state="closed"))
        return rules.acknowledge(fault, "li-min", NOW_MS)

    with pytest.raises(FaultMoved), writing(database) as connection:
        move_fault(connection, DISTRICT, "f", overtaken)


def test_of_many_at_once_exactly_one_wins(database: Engine) -> None:
    won: list[str] = []
    start = threading.Barrier(4)

    def click(name: str) -> None:
        start.wait(10)
        try:
            with writing(database) as connection:
                move_fault(connection, DISTRICT, "f", acknowledging(name))
        except FaultMoved:
            return
        won.append(name)

    threads = [threading.Thread(target=click, args=(f"person-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    with reading(database) as connection:
        assert find_fault(connection, DISTRICT, "f").acknowledged_by == won[0]
        assert len(history(connection, "f")) == 2


def test_what_the_judge_wrote_meanwhile_stays(database: Engine) -> None:
    """It has counted an occurrence and found it worse; the state is the same."""

    def meanwhile(fault: Fault) -> Move:
        connection.execute(
            update(faults).where(faults.c.id == "f").values(occurrences=2, severity="P2")
        )
        return rules.comment(fault, "li-min", NOW_MS, "on site")

    with writing(database) as connection:
        move_fault(connection, DISTRICT, "f", meanwhile)
    with reading(database) as connection:
        found = find_fault(connection, DISTRICT, "f")
    assert (found.occurrences, found.severity) == (2, "P2")


def test_outside_the_scope_there_is_nothing_to_move(database: Engine) -> None:
    with pytest.raises(UnknownFault), writing(database) as connection:
        move_fault(connection, Scope("kangqiao"), "f", acknowledging("zhao-min"))


def test_events_wait_for_alerts(database: Engine) -> None:
    with writing(database) as connection:
        move_fault(connection, DISTRICT, "f", acknowledging("li-min"))
        unrouted = select(fault_events.c.id).where(fault_events.c.routed_at_ms.is_(None))
        assert len(connection.scalars(unrouted).all()) == 2


def test_faults_come_newest_first_and_of_one_millisecond_by_id(database: Engine) -> None:
    with writing(database) as connection:
        for n in range(5):
            a_fault(
                connection,
                f"g{n}",
                code="GATE_TAMPER",
                state="closed",
                opened_at_ms=NOW_MS - n // 2 * MINUTE_MS,
            )
        a_fault(connection, "h", device=STRANGE_GATE, compound=LIANXIN, opened_at_ms=NOW_MS)
        ids = [fault.id for fault in list_faults(connection, DISTRICT, Filter())]
        assert ids == ["h", "g1", "g0", "g3", "g2", "g4", "f"]
        behind = list_faults(connection, DISTRICT, Filter(), before=(NOW_MS, "g0"), limit=2)
        assert [fault.id for fault in behind] == ["g3", "g2"]
        own = list_faults(connection, Scope("kangqiao"), Filter())
        assert [fault.id for fault in own] == ["h"]
        open_ = list_faults(connection, DISTRICT, Filter(is_open=True))
        assert [fault.id for fault in open_] == ["h", "f"]


def test_open_faults_are_counted_by_place_and_severity(database: Engine) -> None:
    with writing(database) as connection:
        a_fault(connection, "g", code="GATE_TAMPER", severity="P2", state="cleared")
        a_fault(connection, "h", code="GATE_PANIC", severity="P1", suppressed_by="g")
        a_fault(
            connection,
            "ours",
            subject="platform",
            device=None,
            compound=None,
            kind="platform",
            code="SYS_DISK",
            severity="P1",
        )
        assert open_by_severity(connection, DISTRICT) == {
            XIANGYUNLI: {"P3": 1, "P2": 1},
            None: {"P1": 1},
        }
        assert open_by_severity(connection, Scope("kangqiao")) == {}
        assert open_by_severity(connection, DISTRICT, XIANGYUNLI) == {
            XIANGYUNLI: {"P3": 1, "P2": 1}
        }


def test_under_a_root_stands_what_it_explains_and_what_that_explains(database: Engine) -> None:
    with writing(database) as connection:
        for fault, code, by in (
            ("cut", "COMPOUND_POWER_CUT", None),
            ("gateway", "GW_OFFLINE", "cut"),
            ("gate", "GATE_OFFLINE", "gateway"),
            ("shed", "SHED_OFFLINE", "cut"),
            ("other", "GATE_OFFLINE", "another"),
        ):
            since_ms = NOW_MS - 100 * len(fault)
            a_fault(
                connection, fault, subject=fault, code=code, suppressed_by=by, since_ms=since_ms
            )
        a_fault(connection, "over", subject="over", state="closed", suppressed_by="cut")
        a_fault(connection, "there", compound=LIANXIN, device=STRANGE_GATE, suppressed_by="cut")
    yaxin = Scope("yaxin")
    with reading(database) as connection:
        found = children_of(connection, yaxin, ["cut", "another", "f"])
        assert {root: [fault.id for fault in below] for root, below in found.items()} == {
            "cut": ["gateway", "gate", "shed"],
            "another": ["other"],
        }
        counted = count_children(connection, yaxin, ["cut", "gateway", "f"])
        assert counted == {"cut": 3, "gateway": 1}  # one of them is over


def found(database: Engine, **wanted: Any) -> set[str]:
    with reading(database) as connection:
        listed = {one.id for one in list_faults(connection, DISTRICT, Filter(**wanted))}
        assert count_faults(connection, DISTRICT, Filter(**wanted)) == len(listed)
        return listed


def test_what_is_somebodys_is_assigned_to_them_or_was_acknowledged_and_handed_to_nobody(
    database: Engine,
) -> None:
    with writing(database) as connection:
        for n, (assignee, seen_by) in enumerate(
            (("li", None), (None, "li"), ("wang", "li"), ("wang", None))
        ):
            a_fault(
                connection, f"g{n}", subject=f"s{n}", assignee=assignee, acknowledged_by=seen_by
            )
        assert assignees(connection, DISTRICT) == ["li", "wang"]
        assert assignees(connection, Scope("kangqiao")) == []
    assert found(database, of="li") == {"g0", "g1"}
    assert found(database, assignee="wang") == {"g2", "g3"}
    assert found(database, unassigned=True) == {"f", "g1"}


def test_a_search_looks_into_names_of_devices_and_what_their_words_stand_for(
    database: Engine,
) -> None:
    with writing(database) as connection:
        a_fault(connection, "west", device=STRANGE_GATE, compound=LIANXIN, code="GATE_FORCED")
        a_fault(connection, "hundred", subject="100%", device=None, code="COMPOUND_POWER_CUT")
    assert found(database, sought=(Sought("东门"),)) == {"f"}
    assert found(database, sought=(Sought("GATE-1"),)) == {"f", "west"}
    assert found(database, sought=(Sought("west"),)) == {"west"}  # its id
    assert found(database, sought=(Sought("%"),)) == set()
    assert found(database, sought=(Sought("gate"), Sought("强行", frozenset({"GATE_FORCED"})))) == {
        "west"
    }
    assert found(database, sought=(Sought("连", compounds=frozenset({LIANXIN})),)) == {"west"}
    assert found(database, sought=(Sought("东门"),), is_open=True) == {"f"}  # looked up one by one
    assert found(database, sought=(Sought("GATE-1"),), is_open=True) == {"f", "west"}


def test_what_is_acute_is_critical_or_of_the_safety_tier(database: Engine) -> None:
    with writing(database) as connection:
        a_fault(connection, "p1", subject="a", severity="P1")
        a_fault(connection, "safety", subject="b", severity="P2", safety=True)
        a_fault(connection, "p2", subject="c", severity="P2")
    assert found(database, acute=True) == {"p1", "safety"}


def test_the_same_elsewhere_in_the_compound_and_what_was_said_last(database: Engine) -> None:
    with writing(database) as connection:
        a_fault(connection, "near", subject="other-gate", opened_at_ms=NOW_MS - MINUTE_MS)
        a_fault(connection, "own", code="GATE_OFFLINE", subject="x", compound=LIANXIN)
        a_fault_event(connection, "near", reason="commented", note="换了电源")
        a_fault_event(connection, "near", reason="closed", note="已修好")
        a_fault_event(connection, "near", reason="over", note=None)
        fault = find_fault(connection, DISTRICT, "f")
        assert [one.id for one in same_nearby(connection, DISTRICT, fault, 0)] == ["near"]
        assert same_nearby(connection, DISTRICT, fault, NOW_MS) == []
        said = last_words(connection, ["near", "f"])
        assert {of: event.note for of, event in said.items()} == {"near": "已修好"}
