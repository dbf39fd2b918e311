"""One look at a scope: counts from prepared rows, worst first, use from the latest values."""

import pytest
from sqlalchemy import Engine

from devices.store.compounds import read_directory
from devices.store.database import reading, writing
from devices.store.overview import (
    RECOVERED_WITHIN_MS,
    Overview,
    Use,
    UseCounter,
    read_fixtures,
    read_overview,
)
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    LAMP,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_fault,
    a_fault_event,
    a_judge,
    a_state,
)

BLIND_AFTER_MS = 60_000


@pytest.fixture
def database(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        a_district(connection)
        a_judge(connection)
    return any_database


def look(
    engine: Engine, scope: Scope = DISTRICT, counter: UseCounter | None = None, now_ms: int = NOW_MS
) -> Overview:
    with reading(engine) as connection:
        return read_overview(
            connection,
            scope,
            read_directory(connection, NOW_MS),
            read_fixtures(connection),
            counter or UseCounter(),
            now_ms,
            blind_after_ms=BLIND_AFTER_MS,
        )


def test_worst_first_then_the_unanswered_then_by_rank_then_the_oldest(database: Engine) -> None:
    with writing(database) as connection:
        a_fault(connection, "minor", severity="P3", code="GATE_HELD_OPEN")
        a_fault(
            connection,
            "answered",
            severity="P2",
            code="GATE_TAMPER",
            state="acknowledged",
            opened_at_ms=NOW_MS - 60 * MINUTE_MS,
            rank=3_990.0,
        )
        a_fault(
            connection,
            "many",
            severity="P2",
            code="GATE_BATT_LOW",
            opened_at_ms=NOW_MS,
            rank=3_900.0,
        )
        a_fault(connection, "young", severity="P2", code="GATE_FORCED", opened_at_ms=NOW_MS)
        a_fault(connection, "old", severity="P2", code="GATE_LOCK_FAULT")
        a_fault(connection, "guess", severity="P1", code="GATE_NO_PASSAGE", suspected=True)
        a_fault(connection, "child", severity="P1", code="GATE_OFFLINE", suppressed_by="old")
        a_fault(connection, "over", severity="P1", code="GATE_PANIC", state="closed")
        a_fault(connection, "past", severity="P1", code="GATE_DURESS", stream="history-1")
    seen = look(database)
    assert [placed.fault.id for placed in seen.worst] == [
        "many",
        "old",
        "young",
        "answered",
        "minor",
    ]
    assert seen.worst[1].suppressed == 1
    assert seen.worst[0].device_name == "东门"
    assert seen.suppressed == 1
    counted = {(f.severity, f.code, f.suspected): f.count for f in seen.open_faults}
    assert counted == {
        ("P3", "GATE_HELD_OPEN", False): 1,
        ("P2", "GATE_TAMPER", False): 1,
        ("P2", "GATE_FORCED", False): 1,
        ("P2", "GATE_BATT_LOW", False): 1,
        ("P2", "GATE_LOCK_FAULT", False): 1,
        ("P1", "GATE_NO_PASSAGE", True): 1,
    }


def test_a_firm_sees_only_its_own(database: Engine) -> None:
    with writing(database) as connection:
        a_fault(connection, "own")
        a_fault(connection, "strange", device=STRANGE_GATE, compound=LIANXIN)
        a_fault(connection, "hidden", compound=LIANXIN, device=f"{LIANXIN}-gw", suppressed_by="x")
        a_state(connection, PORT, "online", latest={"port_status": ("in_use", NOW_MS)})
    seen = look(database, Scope("kangqiao"))
    assert [placed.fault.id for placed in seen.worst] == ["strange"]
    assert seen.suppressed == 1
    assert set(seen.use) == {LIANXIN}
    assert {compound for compound, _ in seen.states} == {LIANXIN}
    assert look(database, Scope("yaxin")).suppressed == 0


def test_what_has_just_recovered_newest_first(database: Engine) -> None:
    with writing(database) as connection:
        for name, age_ms, reason in (
            ("now", 1000, "over"),
            ("earlier", 20 * MINUTE_MS, "over"),
            ("too-long-ago", RECOVERED_WITHIN_MS + 1, "over"),
            ("by-hand", 1000, "closed"),
        ):
            a_fault(connection, name, code=f"CODE_{name.upper()}"[:40], state="closed")
            a_fault_event(connection, name, reason=reason, becomes="closed", at_ms=NOW_MS - age_ms)
    assert [item.fault.id for item in look(database).recovered] == ["now", "earlier"]


def test_ports_and_lamps_are_counted_as_far_as_they_are_known(database: Engine) -> None:
    with writing(database) as connection:
        a_state(connection, PORT, "online", latest={"port_status": ("in_use", NOW_MS)})
        a_state(connection, f"{SHED}-p02", "offline", latest={"port_status": ("in_use", NOW_MS)})
        latest = {"power_w": (50.0, NOW_MS), "energy_kwh": (3.5, NOW_MS)}
        a_state(connection, LAMP, "online", latest=latest)
    use = look(database).use
    heard_ms = NOW_MS - 5000
    assert use[XIANGYUNLI] == Use(charging=1, ports_known=1, lit=5, dark=3, seen_ms=heard_ms)
    assert use[LIANXIN] == Use()


def test_while_the_judge_stands_still_no_use_is_known(database: Engine) -> None:
    with writing(database) as connection:
        a_state(connection, PORT, "online", latest={"port_status": ("in_use", NOW_MS)})
        a_judge(connection, watermark_ms=NOW_MS - BLIND_AFTER_MS - 1)
    assert look(database).use == {}


@pytest.mark.parametrize(
    ("latest", "lit"),
    [
        ({"switch_state": ("off", 0), "power_w": (80.0, NOW_MS)}, 0),
        ({"switch_state": ("on", NOW_MS)}, 8),
        ({"switch_state": ("on", NOW_MS - 45 * MINUTE_MS - 1)}, None),  # its power is gone by day
        ({"power_w": (80.0, NOW_MS)}, 8),
        ({"power_w": (40, NOW_MS), "dim_level_pct": (50, NOW_MS)}, 8),
        ({"power_w": (0.0, NOW_MS), "switch_state": ("on", 0)}, 0),
        ({"power_w": (80.0, NOW_MS - 45 * MINUTE_MS - 1), "switch_state": ("on", 0)}, None),
        ({"power_w": (80.0, NOW_MS - 45 * MINUTE_MS)}, 8),
        ({"power_w": (80.0, NOW_MS - 45 * MINUTE_MS - 1)}, None),  # three intervals: unknown
        ({"voltage_v": (228.0, NOW_MS)}, None),
        ({}, None),
    ],
)
def test_how_many_lamps_of_a_circuit_burn(
    database: Engine, latest: dict[str, object], lit: int | None
) -> None:
    with writing(database) as connection:
        a_state(connection, LAMP, "online", latest=latest)
    use = look(database).use[XIANGYUNLI]
    assert (use.lit, use.dark) == ((0, 0) if lit is None else (lit, 8 - lit))


def test_a_remembered_reading_ages_and_a_new_one_counts(database: Engine) -> None:
    counter = UseCounter()
    with writing(database) as connection:
        a_state(connection, LAMP, "online", latest={"power_w": (80.0, NOW_MS)})

    def lit(now_ms: int) -> int:
        with reading(database) as connection:
            directory = read_directory(connection, NOW_MS)
            return counter.count(connection, DISTRICT, directory, fixtures, now_ms)[XIANGYUNLI].lit

    with reading(database) as connection:
        fixtures = read_fixtures(connection)
    assert lit(NOW_MS) == 8
    assert lit(NOW_MS + 45 * MINUTE_MS + 1) == 0
    with writing(database) as connection:
        a_state(connection, LAMP, "online", latest={"power_w": (30.0, NOW_MS + 46 * MINUTE_MS)})
    assert lit(NOW_MS + 46 * MINUTE_MS) == 3
