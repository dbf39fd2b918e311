"""Figures held against what was used: what is exact, what is near enough, what may be missing."""

from dataclasses import replace

import pytest

from devices.registry import Compound, Device, Firm, Name, Registry
from simulators.diary import Charge, Diary
from simulators.profiles import DAY_MS, HOUR_MS
from simulators.usage_scoring import Key, Row, Said, score
from tests.simulators.fleets import at

DAY = at("2026-12-01T00:00")
NOON = DAY + 12 * HOUR_MS


def a_registry() -> Registry:
    name = Name("一", "One")
    compound = Compound("one", name, "firm", 100)
    devices = [
        Device("gate", "gate", "one", "Gate", 30),
        Device("shed", "shed", "one", "Shed", 60),
        Device("port", "port", "one", "Port", 60, "shed", attributes={"port_no": 1}),
        Device("lamp", "lamp", "one", "Lamp", 900),
    ]
    return Registry([Firm("firm", name)], [compound], devices)


def said(
    kind: str, day: int, amounts: dict[str, float], missing_at_noon: float = 0.0
) -> tuple[dict[Key, Said], dict[Key, Said]]:
    hours = {
        ("one", kind, at_ms): Said({}, 100 * (1 - (missing_at_noon if at_ms == NOON else 0)), 100)
        for at_ms in range(day, day + DAY_MS, HOUR_MS)
    }
    return {("one", kind, day): Said(amounts, 100, 100)}, hours


def graded(diary: Diary, told: dict[str, dict[str, float]], missing: float = 0.0) -> dict[str, Row]:
    by_day: dict[Key, Said] = {}
    by_hour: dict[Key, Said] = {}
    for kind in ("gate", "port", "lamp"):
        day, hours = said(kind, DAY, told.get(kind, {}), missing)
        by_day |= day
        by_hour |= hours
    rows = score(diary, a_registry(), [DAY], by_day, by_hour)
    return {row.figure.name: row for row in rows}


def passed(diary: Diary, times: int) -> None:
    for n in range(times):
        diary.tried("gate", NOON + n, granted=True)


@pytest.mark.parametrize(("told", "held"), [(400, True), (399, False), (401, False)])
def test_passages_of_a_whole_day_are_exact(told: int, held: bool) -> None:
    diary = Diary(DAY)
    passed(diary, 400)
    row = graded(diary, {"gate": {"granted": told}})["passages"]
    assert row.whole_days == 1
    assert row.held is held
    assert row.off_days == ({} if held else {DAY: (400, told)})


@pytest.mark.parametrize(
    ("told", "missing", "held"),
    [
        (400, 0.25, True),
        (310, 0.25, True),  # 100 may be missing, and chance has 31 more
        (269, 0.25, True),
        (267, 0.25, False),
        (399, 0.0, True),  # one may be under way at the hour's border
        (396, 0.0, False),
        (432, 0.25, False),  # and never so many more
    ],
)
def test_where_messages_were_lost_no_more_is_missing_than_the_coverage_says(
    told: int, missing: float, held: bool
) -> None:
    diary = Diary(DAY)
    passed(diary, 400)
    diary.never_arrived("one", "gate", NOON)
    row = graded(diary, {"gate": {"granted": told}}, missing)["passages"]
    assert row.lossy_days == 1
    assert row.allowed == pytest.approx(400 * missing)
    assert row.held is held


def test_a_loss_of_another_kind_of_device_makes_no_day_lossy() -> None:
    diary = Diary(DAY)
    passed(diary, 5)
    diary.never_arrived("one", "shed", NOON)
    rows = graded(diary, {"gate": {"granted": 5}})
    assert rows["passages"].whole_days == 1
    assert rows["sessions"].lossy_days == 1


def test_a_charge_may_have_begun_on_the_day_before() -> None:
    diary = Diary(DAY - DAY_MS)
    diary.never_arrived("one", "shed", NOON - DAY_MS)
    rows = graded(diary, {})
    assert rows["sessions"].lossy_days == 1
    assert rows["sockets in use h"].lossy_days == 0


@pytest.mark.parametrize(("kwh", "held"), [(1.0, True), (1.0049, True), (0.994, False)])
def test_energy_is_within_half_a_per_cent(kwh: float, held: bool) -> None:
    diary = Diary(DAY)
    diary.charged_for("port", NOON, NOON + HOUR_MS, 1000.0)
    row = graded(diary, {"port": {"energy_kwh": kwh}})["charged kWh"]
    assert row.held is held


def test_sessions_count_when_something_flowed_and_on_the_day_they_ended() -> None:
    diary = Diary(DAY - DAY_MS)
    charge = Charge("port", "1", DAY - HOUR_MS, NOON, 700.0, "full")
    for one in (
        charge,
        charge._replace(reason="no_load_at_start", wh=0.0),
        charge._replace(reason="over_power", wh=10.4),  # boards say 0.010 kWh
        charge._replace(reason="over_power", wh=10.6),
        charge._replace(ended_ms=DAY + DAY_MS),  # of the next day
    ):
        diary.charged(one)
    assert graded(diary, {"port": {"sessions": 2}})["sessions"].true == 2


def test_nothing_is_promised_of_what_is_only_shown() -> None:
    diary = Diary(DAY)
    diary.burned("lamp", NOON, NOON + HOUR_MS, 36.0, 1)
    row = graded(diary, {"lamp": {"burn_s": 60.0}})["lamps burning h"]
    assert row.true == 1.0
    assert row.share_off == pytest.approx(1 / 60 - 1)
    assert row.held
    assert not replace(row, figure=replace(row.figure, promised=True)).held
