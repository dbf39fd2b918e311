"""People, rosters and stand-ins as rows: scoped, and on record."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Connection, Engine, select

from devices.rosters import Person, Roster, Rotation, StandIn, duty
from devices.store.database import writing
from devices.store.rosters import (
    PersonNeeded,
    TooMany,
    UnknownPerson,
    UnknownRoster,
    UnknownStandIn,
    add_person,
    add_roster,
    add_stand_in,
    change_person,
    change_roster,
    delete_person,
    delete_roster,
    delete_stand_in,
    find_person,
    find_roster,
    find_stand_in,
    forget_target,
    list_people,
    list_rosters,
    list_stand_ins,
    names_of,
    staff,
)
from devices.store.schema import routes, stand_ins
from devices.store.scope import DISTRICT, Scope
from devices.words import Language
from tests.api.cast import HOUR_MS, NOW_MS, a_district

YAXIN, KANGQIAO = Scope("yaxin"), Scope("kangqiao")
LI = Person("li", "李伟", "yaxin", Language.ZH, "13800000001", ("t1", "t2"), "wang", NOW_MS)
WANG = replace(LI, id="wang", name="王芳", targets=())
STRANGER = replace(LI, id="zhao", name="赵敏", firm="kangqiao")
ROSTER = Roster(
    "r",
    "值班",
    ("li", "wang"),
    date(2026, 11, 23),
    Rotation.WEEKLY,
    510,
    "Asia/Urumqi",
    (("wang",), ("li", "wang")),
    firm="yaxin",
    created_by="wang",
    created_at_ms=NOW_MS,
)
LEAVE = StandIn("s", "li", "wang", NOW_MS, NOW_MS + HOUR_MS, "r", "年假", "yaxin", "wang", NOW_MS)


@pytest.fixture
def connection(sqlite_database: Engine) -> Iterator[Connection]:
    yield from staffed(sqlite_database)


@pytest.fixture
def on_either(any_database: Engine) -> Iterator[Connection]:
    """The same, on each database: for what the statements themselves decide."""
    yield from staffed(any_database)


def staffed(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as connection:
        a_district(connection)
        for person in (LI, WANG, STRANGER):
            add_person(connection, person)
        add_roster(connection, ROSTER)
        yield connection


def test_what_is_written_is_read_and_another_firm_sees_none_of_it(connection: Connection) -> None:
    add_stand_in(connection, LEAVE, NOW_MS)
    assert find_person(connection, YAXIN, "li") == LI
    assert find_roster(connection, YAXIN, "r", NOW_MS) == replace(ROSTER, stand_ins=(LEAVE,))
    assert find_stand_in(connection, YAXIN, "s") == LEAVE
    assert list_people(connection, YAXIN) == [LI, WANG]
    assert list_people(connection, DISTRICT, firm="kangqiao") == [STRANGER]
    (found,) = list_rosters(connection, DISTRICT, at_ms=NOW_MS)
    assert found == replace(ROSTER, stand_ins=(LEAVE,))
    assert list_people(connection, KANGQIAO) == [STRANGER]
    assert list_rosters(connection, KANGQIAO, at_ms=NOW_MS) == []
    assert list_stand_ins(connection, KANGQIAO, from_ms=0) == []
    for find, unknown in (
        (lambda: find_person(connection, KANGQIAO, "li"), UnknownPerson),
        (lambda: find_roster(connection, KANGQIAO, "r", NOW_MS), UnknownRoster),
        (lambda: find_stand_in(connection, KANGQIAO, "s"), UnknownStandIn),
        (lambda: change_person(connection, KANGQIAO, LI), UnknownPerson),
        (lambda: change_roster(connection, KANGQIAO, ROSTER), UnknownRoster),
        (lambda: delete_person(connection, KANGQIAO, "li", NOW_MS), UnknownPerson),
        (lambda: delete_roster(connection, KANGQIAO, "r", NOW_MS), UnknownRoster),
        (lambda: delete_stand_in(connection, KANGQIAO, "s", NOW_MS), UnknownStandIn),
    ):
        with pytest.raises(unknown):
            find()


def test_whoever_decides_is_handed_all_that_stands(connection: Connection) -> None:
    add_stand_in(connection, LEAVE, NOW_MS)
    over = replace(LEAVE, id="over", from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS)
    everywhere = replace(LEAVE, id="t", roster=None, from_ms=NOW_MS + HOUR_MS, to_ms=NOW_MS * 2)
    for one in (over, everywhere):
        add_stand_in(connection, one, NOW_MS - 2 * HOUR_MS)
    there = staff(connection, NOW_MS)
    assert there.people == {"li": LI, "wang": WANG, "zhao": STRANGER}
    assert there.stand_ins == (LEAVE, everywhere)
    assert there.rosters == {"r": replace(ROSTER, stand_ins=(LEAVE, everywhere))}


def test_a_change_is_on_record_with_who_made_it(connection: Connection) -> None:
    changed = replace(LI, name="李伟民", targets=("t2",), changed_by="chen", changed_at_ms=NOW_MS)
    assert change_person(connection, YAXIN, changed) == changed
    plan = replace(ROSTER, people=("wang",), changed_by="chen", changed_at_ms=NOW_MS)
    assert change_roster(connection, YAXIN, plan) == plan


def test_pages_of_people_and_rosters_go_on_where_the_one_before_ended(
    on_either: Connection,
) -> None:
    (first,) = list_people(on_either, DISTRICT, limit=1)
    rest = list_people(on_either, DISTRICT, behind=(first.name, first.id))
    assert {first.id, *(one.id for one in rest)} == {"li", "wang", "zhao"}
    assert len(rest) == 2
    assert list_rosters(on_either, DISTRICT, at_ms=NOW_MS, behind=("值班", "r")) == []
    add_stand_in(on_either, LEAVE, NOW_MS)
    assert list_stand_ins(on_either, DISTRICT, from_ms=0, behind=(LEAVE.from_ms, "s")) == []
    for person, roster, found in (
        ("wang", None, [LEAVE]),
        ("li", None, [LEAVE]),
        (None, "r", [LEAVE]),
        ("zhao", None, []),
        (None, "q", []),
    ):
        listed = list_stand_ins(on_either, DISTRICT, from_ms=0, person=person, roster=roster)
        assert listed == found


def test_who_is_in_a_roster_is_not_deleted_and_what_led_to_whom_is_ends_with_them(
    on_either: Connection,
) -> None:
    with pytest.raises(PersonNeeded, match="李伟 is in the roster 值班"):
        delete_person(on_either, YAXIN, "li", NOW_MS)
    add_stand_in(on_either, LEAVE, NOW_MS)
    row = {"severities": [], "created_by": "wang", "created_at_ms": NOW_MS}
    on_either.execute(
        routes.insert(),
        [
            row | {"id": "a", "roster": "r", "person": None},
            row | {"id": "b", "roster": None, "person": "li"},
        ],
    )
    delete_roster(on_either, YAXIN, "r", NOW_MS)
    ended = select(routes.c.id).where(routes.c.deleted_at_ms == NOW_MS)
    assert on_either.scalars(ended).all() == ["a"]
    with pytest.raises(UnknownRoster):
        find_roster(on_either, YAXIN, "r", NOW_MS)
    delete_person(on_either, YAXIN, "li", NOW_MS)
    assert sorted(on_either.scalars(ended)) == ["a", "b"]
    assert list_stand_ins(on_either, YAXIN, from_ms=0) == []
    assert names_of(on_either, {"li", "none"}) == {"li": "李伟"}  # of what they were told


def test_a_stand_in_that_has_begun_ends_now_and_what_was_so_stays_so(
    connection: Connection,
) -> None:
    add_stand_in(connection, LEAVE, NOW_MS)
    delete_stand_in(connection, YAXIN, "s", NOW_MS + 1000)
    at_ms = NOW_MS + 999
    roster = find_roster(connection, YAXIN, "r", at_ms)
    assert (duty(roster, at_ms).planned, duty(roster, at_ms).person) == ("li", "wang")
    assert duty(roster, at_ms + 1).person == "li"
    add_stand_in(connection, replace(LEAVE, id="t"), NOW_MS)
    delete_stand_in(connection, YAXIN, "t", NOW_MS)
    gone = select(stand_ins.c.deleted_at_ms).where(stand_ins.c.id == "t")
    assert connection.execute(gone).scalar_one() == NOW_MS


def test_a_deleted_target_reaches_nobody_any_more(connection: Connection) -> None:
    forget_target(connection, "t1")
    assert find_person(connection, YAXIN, "li").targets == ("t2",)


def test_there_is_room_for_so_many_and_no_more(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in ("PEOPLE_AT_MOST", "ROSTERS_AT_MOST", "STAND_INS_AT_MOST"):
        monkeypatch.setattr(f"devices.store.rosters.{most}", 0)
    with pytest.raises(TooMany, match="delete some"):
        add_person(connection, replace(LI, id="x"))
    with pytest.raises(TooMany, match="delete some"):
        add_roster(connection, replace(ROSTER, id="x"))
    with pytest.raises(TooMany, match="delete some"):
        add_stand_in(connection, LEAVE, NOW_MS)
