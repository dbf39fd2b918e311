from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, insert, text

from devices.kpis import Spell
from devices.store.database import writing
from devices.store.kpis import (
    Filter,
    heard,
    lasting,
    members,
    opened,
    outages,
    roots,
    standing,
    windows,
)
from devices.store.schema import LIVE, accounts
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_fault,
    a_fault_event,
    a_state,
    a_window,
)

ALL = Filter()
KANGQIAO = Scope("kangqiao")
MANY = 1000
Read = Callable[[Connection, Scope, Filter], list[Spell]]


def closed(opened_at_ms: int, closed_at_ms: int, **more: object) -> dict[str, object]:
    return {
        "state": "closed",
        "since_ms": opened_at_ms - MINUTE_MS,
        "opened_at_ms": opened_at_ms,
        "cleared_at_ms": closed_at_ms,
        "closed_at_ms": closed_at_ms,
    } | more


def ids(spells: list[Spell]) -> set[str]:
    return {spell.id for spell in spells}


def test_a_fault_comes_with_what_figures_need_of_it(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        a_fault(
            connection,
            "f",
            occurrences=2,
            raises_ms=[1, 2],
            acknowledged_at_ms=NOW_MS,
            repeat_of="e",
            suspected=True,
        )
        a_fault(connection, "once", code="GATE_FORCED", raises_ms=[5])
        out = {"device": LAMP, "kind": "lamp", "code": "LAMP_OUT", "evidence": {"lamps_dark": 2.1}}
        a_fault(connection, "dark", **out)
        a_fault(connection, "ours", device=None, compound=None, kind="platform", code="SYS_DISK")
        found = {spell.id: spell for spell in standing(connection, DISTRICT, ALL)}
    assert set(found) == {"f", "once", "dark"}  # our own troubles are nobody's service
    fault = found["f"]
    assert (fault.device, fault.compound, fault.code) == (GATE, XIANGYUNLI, "GATE_OFFLINE")
    assert (fault.raises_ms, fault.acknowledged_at_ms, fault.ended_ms) == ((1, 2), NOW_MS, None)
    assert fault.suspected is True
    assert fault.is_live is True
    assert fault.is_repeat is True
    assert found["once"].raises_ms == ()
    assert found["once"].is_repeat is False
    assert found["dark"].dark == pytest.approx(2.1)


def test_a_fault_that_was_closed_by_hand_ended_then(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        at_ms = NOW_MS - HOUR_MS
        a_fault(connection, "by-hand", **closed(at_ms, NOW_MS, cleared_at_ms=None))
        a_fault(connection, "waits", state="cleared", cleared_at_ms=NOW_MS - 5, device=PORT)
        a_fault(connection, "past", code="GATE_FORCED", stream="history-1")
        found = {s.id: s for s in opened(connection, DISTRICT, ALL, 0, NOW_MS, MANY)}
    assert found["by-hand"].ended_ms == NOW_MS
    assert found["waits"].ended_ms == NOW_MS - 5
    assert found["past"].is_live is False


def test_every_fault_that_touches_a_range_is_in_one_of_the_pieces(any_database: Engine) -> None:
    from_ms = NOW_MS - 10 * DAY_MS
    with writing(any_database) as connection:
        a_district(connection)
        a_fault(connection, "stands", opened_at_ms=from_ms - 30 * DAY_MS)
        long = closed(from_ms - 9 * DAY_MS, from_ms + DAY_MS, code="GATE_FORCED")
        a_fault(connection, "lasted", **long)
        over = closed(from_ms - 9 * DAY_MS, from_ms - DAY_MS, code="GATE_TAMPER")
        a_fault(connection, "over", **over)
        a_fault(connection, "short", **closed(from_ms - HOUR_MS, from_ms + HOUR_MS, device=LAMP))
        a_fault(connection, "within", **closed(from_ms, from_ms + DAY_MS, device=PORT))
        later = closed(NOW_MS - HOUR_MS, NOW_MS, code="GATE_MAINS_LOST")
        a_fault(connection, "later", **later)
        assert ids(standing(connection, DISTRICT, ALL)) == {"stands"}
        assert ids(lasting(connection, DISTRICT, ALL, from_ms, MANY)) == {"lasted"}
        piece = opened(connection, DISTRICT, ALL, from_ms - DAY_MS, from_ms + DAY_MS, MANY)
        assert ids(piece) == {"short", "within"}
        assert len(opened(connection, DISTRICT, ALL, 0, NOW_MS, 2)) == 2


def test_only_what_may_explain_others_is_a_root(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        a_fault(connection, "gate")
        cut = {"device": None, "subject": XIANGYUNLI, "kind": "compound"}
        a_fault(connection, "cut", code="COMPOUND_POWER_CUT", **cut)
        assert ids(roots(connection, DISTRICT, ALL, 0, NOW_MS, MANY)) == {"cut"}
        assert roots(connection, DISTRICT, ALL, NOW_MS, NOW_MS + 1, MANY) == []


READS: dict[str, Read] = {
    "standing": standing,
    "opened": lambda c, scope, wanted: opened(c, scope, wanted, 0, NOW_MS, MANY),
    "lasting": lambda c, scope, wanted: lasting(c, scope, wanted, NOW_MS - 2 * DAY_MS, MANY),
}


@pytest.mark.parametrize("name", READS)
def test_faults_are_those_in_scope_and_asked_for(any_database: Engine, name: str) -> None:
    read = READS[name]
    lasted = closed(NOW_MS - 5 * DAY_MS, NOW_MS - DAY_MS) if name == "lasting" else {}
    with writing(any_database) as connection:
        a_district(connection)
        a_fault(connection, "mine", **lasted)
        a_fault(connection, "strange", device=STRANGE_GATE, compound=LIANXIN, **lasted)
        assert ids(read(connection, DISTRICT, ALL)) == {"mine", "strange"}
        assert ids(read(connection, KANGQIAO, ALL)) == {"strange"}
        assert ids(read(connection, DISTRICT, Filter(compound=XIANGYUNLI))) == {"mine"}
        assert ids(read(connection, DISTRICT, Filter(firm="kangqiao"))) == {"strange"}
        assert read(connection, KANGQIAO, Filter(compound=XIANGYUNLI)) == []
        assert read(connection, KANGQIAO, Filter(firm="yaxin")) == []


def test_what_lasted_is_found_along_its_index(sqlite_database: Engine) -> None:
    with writing(sqlite_database) as connection:
        a_district(connection)
        seen: list[str] = []
        connection.connection.driver_connection.set_trace_callback(seen.append)  # type: ignore[union-attr]
        lasting(connection, DISTRICT, ALL, NOW_MS, MANY)
        connection.connection.driver_connection.set_trace_callback(None)  # type: ignore[union-attr]
        (query,) = (sql for sql in seen if sql.startswith("SELECT"))
        plan = connection.execute(text("EXPLAIN QUERY PLAN " + query)).all()
    assert any("ix_faults_lasting" in row[3] for row in plan), plan


def test_devices_come_with_how_they_stand(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        a_state(connection, PORT, "online", latest={"port_status": ("disabled", NOW_MS)})
        down = {"reason": "platform_down", "since_ms": NOW_MS - 7}
        a_state(connection, GATE, "unknown", latest={"door_state": ("open", NOW_MS)}, **down)
        found = {member.id: member for member in members(connection, DISTRICT, ALL, 0)}
        assert set(found) > {GATE, PORT, LAMP, STRANGE_GATE}
        mine = members(connection, KANGQIAO, ALL, 0)
        assert {member.compound for member in mine} == {LIANXIN}
        assert members(connection, KANGQIAO, Filter(compound=XIANGYUNLI), 0) == []
    assert found[PORT].port_status == "disabled"
    assert found[PORT].parent == f"{XIANGYUNLI}-shed-1"
    assert (found[LAMP].lamps, found[LAMP].is_switched) == (8, True)
    assert (found[GATE].lamps, found[GATE].is_switched, found[GATE].port_status) == (1, False, None)
    assert (found[GATE].state, found[GATE].reason) == ("unknown", "platform_down")
    assert found[GATE].state_ms == NOW_MS - 7
    assert found[STRANGE_GATE].state == "never_seen"


def test_a_device_that_went_before_the_range_is_left_out(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        connection.execute(
            text("UPDATE devices SET decommissioned_at_ms = 1000 WHERE id = :id"), {"id": GATE}
        )
        assert GATE in {member.id for member in members(connection, DISTRICT, ALL, 999)}
        assert GATE not in {member.id for member in members(connection, DISTRICT, ALL, 1000)}


def test_windows_of_the_district_are_everybodys(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        a_window(connection, "mine")
        a_window(connection, "strange", compound=LIANXIN)
        a_window(connection, "all", compound=None)
        a_window(connection, "old", starts_at_ms=1, ends_at_ms=2)

        def found(scope: Scope, wanted: Filter = ALL) -> set[str]:
            touching = windows(connection, scope, wanted, NOW_MS - DAY_MS, NOW_MS)
            return {window.id for window in touching}

        assert found(DISTRICT) == {"mine", "strange", "all"}
        assert found(KANGQIAO) == {"strange", "all"}
        assert found(DISTRICT, Filter(compound=XIANGYUNLI)) == {"mine", "all"}
        assert windows(connection, DISTRICT, ALL, NOW_MS + HOUR_MS, NOW_MS + DAY_MS) == []


def test_our_own_outages_are_told_to_everybody(any_database: Engine) -> None:
    ours = {"device": None, "compound": None, "kind": "platform", "code": "SYS_PROBE_LOST"}
    evidence = {"deaf_since_ms": 5, "deaf_until_ms": 9}
    with writing(any_database) as connection:
        a_district(connection)
        a_fault(connection, "gap", **ours, **closed(10, 11), evidence=evidence)
        a_fault_event(connection, "gap", at_ms=11, was="open", becomes="closed", reason="over")
        a_fault(connection, "disk", device=None, compound=None, kind="platform", code="SYS_DISK")
        found = outages(connection, 11)
        assert [(told.fault, told.at_ms, told.reason) for told in found] == [
            ("gap", 10, "raised"),
            ("gap", 11, "over"),
        ]
        assert found[1].becomes == "closed"
        assert found[0].evidence == evidence
        assert found[1].evidence == {}
        assert outages(connection, 12) == []


def an_account(connection: Connection, stream: str, compound: str, *hours: int) -> None:
    connection.execute(
        insert(accounts),
        [
            {
                "stream": stream,
                "compound": compound,
                "hour_ms": hour * HOUR_MS,
                "outcome": outcome,
                "reason": "",
                "count": 1,
            }
            for hour in hours
            for outcome in ("duplicate", "stored")
        ],
    )


def test_a_compound_is_heard_from_its_first_message_on(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        assert heard(connection, DISTRICT, ALL, NOW_MS) == {}
        an_account(connection, LIVE, XIANGYUNLI, 30, 31, 35)
        an_account(connection, "history-29", XIANGYUNLI, 5, 6, 28)
        an_account(connection, "history-29", LIANXIN, 7)
        an_account(connection, LIVE, "unassigned", 1)
        found = heard(connection, DISTRICT, ALL, 40 * HOUR_MS)
        assert set(found) == {XIANGYUNLI, LIANXIN}
        assert sorted(found[XIANGYUNLI].spans) == [
            (5 * HOUR_MS, 29 * HOUR_MS),
            (30 * HOUR_MS, 40 * HOUR_MS),
        ]
        assert found[XIANGYUNLI].live_ms == 30 * HOUR_MS
        assert found[LIANXIN].spans == [(7 * HOUR_MS, 8 * HOUR_MS)]
        assert found[LIANXIN].live_ms is None
        assert set(heard(connection, KANGQIAO, ALL, NOW_MS)) == {LIANXIN}
        assert set(heard(connection, DISTRICT, Filter(compound=LIANXIN), NOW_MS)) == {LIANXIN}
