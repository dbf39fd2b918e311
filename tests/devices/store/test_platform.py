"""Our own troubles that are seen from outside: one open row each, moved by compare-and-set."""

from sqlalchemy import Engine, select, update

from devices.faults import Fault, State, Why, acknowledge, assign
from devices.platform import DISK, STORE_AWAY, Trouble
from devices.rules import Severity
from devices.store.database import reading, writing
from devices.store.faults import Filter, find_fault, history, list_faults, move_fault
from devices.store.platform import PlatformFaults
from devices.store.schema import fault_events, faults
from devices.store.scope import DISTRICT, Scope

NOW_MS = 1_795_434_130_000
FULL = Trouble(DISK, NOW_MS, {"used_pct": 91.5})


def reasons(engine: Engine, fault: Fault) -> list[Why]:
    with reading(engine) as connection:
        return [event.reason for event in history(connection, fault.id)]


def test_a_trouble_is_one_open_fault_until_it_is_over(any_database: Engine) -> None:
    rows = PlatformFaults(any_database)
    assert rows.settle("platform", DISK, None, NOW_MS) is None
    raised = rows.settle("platform", DISK, FULL, NOW_MS)
    assert raised is not None
    assert (raised.kind, raised.subject, raised.device, raised.compound) == (
        "platform",
        "platform",
        None,
        None,
    )
    assert (raised.state, raised.severity) == (State.OPEN, Severity.P1)
    assert rows.settle("platform", DISK, FULL, NOW_MS + 1000) == raised
    assert rows.standing(DISK) == [raised]
    over = rows.settle("platform", DISK, None, NOW_MS + 2000)
    assert over is not None
    assert over.state is State.CLOSED
    assert rows.standing(DISK) == []
    assert reasons(any_database, raised) == [Why.RAISED, Why.OVER]
    with reading(any_database) as connection:
        unrouted = select(fault_events.c.id).where(fault_events.c.routed_at_ms.is_(None))
        assert len(connection.execute(unrouted).all()) == 2, "somebody is still to be told"


def test_within_ten_minutes_it_is_the_same_fault_again_and_later_another(
    any_database: Engine,
) -> None:
    rows = PlatformFaults(any_database)
    first = rows.settle("platform", DISK, FULL, NOW_MS)
    rows.settle("platform", DISK, None, NOW_MS + 1000)
    again = rows.settle("platform", DISK, Trouble(DISK, NOW_MS + 60_000, {}), NOW_MS + 60_000)
    assert first is not None
    assert again is not None
    assert (again.id, again.occurrences) == (first.id, 2)
    rows.settle("platform", DISK, None, NOW_MS + 61_000)
    later_ms = NOW_MS + 61_000 + 11 * 60_000
    other = rows.settle("platform", DISK, Trouble(DISK, later_ms, {}), later_ms)
    assert other is not None
    assert (other.id == first.id, other.occurrences) == (False, 1)


def test_a_worse_trouble_opens_again_what_was_acknowledged(any_database: Engine) -> None:
    rows = PlatformFaults(any_database)
    low = Trouble(DISK, NOW_MS, {"used_pct": 76.0}, Severity.P2)
    fault = rows.settle("platform", DISK, low, NOW_MS)
    assert fault is not None
    assert fault.severity is Severity.P2
    with writing(any_database) as connection:
        connection.execute(
            update(faults).where(faults.c.id == fault.id).values(state=State.ACKNOWLEDGED)
        )
    worse = rows.settle("platform", DISK, FULL, NOW_MS + 1000)
    assert worse is not None
    assert (worse.id, worse.state, worse.severity) == (fault.id, State.OPEN, Severity.P1)
    assert worse.evidence == {"used_pct": 91.5}


def test_a_trouble_that_eases_follows_and_stays_answered(any_database: Engine) -> None:
    """The disk has room again to acknowledge, and is still low: a P1 no longer."""
    rows = PlatformFaults(any_database)
    fault = rows.settle("platform", DISK, FULL, NOW_MS)
    assert fault is not None
    with writing(any_database) as connection:
        move_fault(
            connection, DISTRICT, fault.id, lambda was: acknowledge(was, "li-min", NOW_MS + 1)
        )
    low = Trouble(DISK, NOW_MS, {"used_pct": 78.0}, Severity.P2)
    eased = rows.settle("platform", DISK, low, NOW_MS + 1000)
    assert eased is not None
    assert (eased.severity, eased.state) == (Severity.P2, State.ACKNOWLEDGED)
    assert eased.evidence == {"used_pct": 78.0}
    assert rows.settle("platform", DISK, low, NOW_MS + 2000) == eased
    worse = rows.settle("platform", DISK, FULL, NOW_MS + 3000)
    assert worse is not None
    assert (worse.severity, worse.state) == (Severity.P1, State.OPEN)
    assert reasons(any_database, fault) == [
        Why.RAISED,
        Why.ACKNOWLEDGED,
        Why.EASED,
        Why.WORSENED,
    ]


def test_two_stores_may_be_away_at_once(any_database: Engine) -> None:
    rows = PlatformFaults(any_database)
    for store in ("telemetry", "database"):
        subject = f"platform:{store}"
        rows.settle(subject, STORE_AWAY, Trouble(STORE_AWAY, NOW_MS, {}, None, subject), NOW_MS)
    assert len(rows.standing(STORE_AWAY)) == 2


def test_what_a_person_wrote_stays(any_database: Engine) -> None:
    rows = PlatformFaults(any_database)
    fault = rows.settle("platform", DISK, FULL, NOW_MS)
    assert fault is not None
    with writing(any_database) as connection:
        move_fault(
            connection, DISTRICT, fault.id, lambda was: assign(was, "li-wei", "li-min", NOW_MS)
        )
    rows.settle("platform", DISK, None, NOW_MS + 1000)
    with reading(any_database) as connection:
        found = find_fault(connection, DISTRICT, fault.id)
    assert (found.assignee, found.state) == ("li-wei", State.CLOSED)


def test_a_firm_has_no_part_in_it(any_database: Engine) -> None:
    PlatformFaults(any_database).settle("platform", DISK, FULL, NOW_MS)
    with reading(any_database) as connection:
        assert len(list_faults(connection, DISTRICT, Filter(kind="platform"))) == 1
        assert list_faults(connection, Scope("yaxin"), Filter()) == []
