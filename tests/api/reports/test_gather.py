"""What the database gives for a report, checked on paper."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, update

from api.reports import gather
from api.reports.gather import NothingToReport, Source, report_of_compound, report_of_firm
from api.reports.model import BadMonth, Month, Status
from devices.registry import Name
from devices.store.compounds import read_directory
from devices.store.correcting import final_day, find_target, propose, record
from devices.store.database import reading, writing
from devices.store.schema import compounds
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    DAY_MS,
    ELEVEN_AM_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_fault,
    an_hour,
)
from tests.api.reports.made import NOVEMBER

SHANGHAI = ZoneInfo("Asia/Shanghai")
YESTERDAY_MS = ELEVEN_AM_MS - DAY_MS


@pytest.fixture
def engine(api_database: Engine) -> Engine:
    with writing(api_database) as connection:
        a_district(connection)
    return api_database


def source(engine: Engine, scope: Scope = DISTRICT, now_ms: int = NOW_MS) -> Source:
    with reading(engine) as connection:
        return Source(engine, scope, read_directory(connection, now_ms), now_ms)


def some_hours(engine: Engine) -> None:
    with writing(engine) as connection:
        an_hour(connection, GATE, YESTERDAY_MS, 120, granted=40, denied=10, by_method={"face": 40})
        an_hour(connection, GATE, ELEVEN_AM_MS, 60, granted=5)
        an_hour(connection, PORT, ELEVEN_AM_MS, 60, in_use_s=1800, sessions=1, energy_kwh=0.5)
        an_hour(connection, LAMP, ELEVEN_AM_MS - 12 * HOUR_MS, 4, lit_s=25_200, dark_s=3_600)
        an_hour(connection, STRANGE_GATE, ELEVEN_AM_MS, 120, granted=100)


def test_passages_by_hour_of_the_local_day_with_corrections(engine: Engine) -> None:
    some_hours(engine)
    noon_ms = ELEVEN_AM_MS - 10 * DAY_MS + HOUR_MS
    with writing(engine) as connection:
        an_hour(connection, GATE, noon_ms, 120, granted=3)
        day = final_day(connection, XIANGYUNLI, noon_ms, NOW_MS)
        target = find_target(connection, DISTRICT, XIANGYUNLI, None, "gate")
        what = propose(connection, DISTRICT, day, target, {"passages": 4.0}, noon_ms)
        record(connection, DISTRICT, what, reason="补记", by="li-min", now_ms=NOW_MS)
    report = report_of_compound(source(engine), XIANGYUNLI, NOVEMBER)
    assert len(report.by_hour) == 24
    assert {hour: both for hour, both in enumerate(report.by_hour) if any(both)} == {
        11: (45, 10),
        12: (7, 0),
    }
    assert (
        sum(passed for passed, _ in report.by_hour)
        == (report.total.parts["gates"].figures["passages"])
    )
    assert report_of_firm(source(engine), "yaxin", NOVEMBER).by_hour == ()


def test_a_compounds_month_so_far_by_local_day(engine: Engine) -> None:
    some_hours(engine)
    report = report_of_compound(source(engine), XIANGYUNLI, NOVEMBER)
    assert (report.name, report.firm) == (Name("祥云里", "Xiangyunli"), Name("亚新", "Yaxin"))
    assert not report.month_over
    assert len(report.days) == 23
    assert report.days[22].first == date(2026, 11, 23)
    passages = [day.parts["gates"].figures["passages"] for day in report.days]
    assert passages == [0] * 21 + [40, 5]
    assert report.total.parts["gates"].figures["passages"] == 45
    assert report.total.parts["gates"].figures["by_method"] == {"face": 40}
    assert report.total.parts["charging"].figures["energy_kwh"] == 0.5
    assert report.total.parts["lighting"].figures["lamp_on_rate"] == 0.875
    # 23:00 of the 22nd is still the 22nd
    assert report.days[21].parts["lighting"].is_known


def test_corrections_are_in_the_days_and_listed_with_their_reasons(engine: Engine) -> None:
    some_hours(engine)
    start_ms = YESTERDAY_MS - 13 * DAY_MS
    with writing(engine) as connection:
        day = final_day(connection, XIANGYUNLI, start_ms, NOW_MS)
        for device, kind, stated in (
            (PORT, None, {"energy_kwh": 1.5}),
            (None, "gate", {"passages": 3.0}),
        ):
            target = find_target(connection, DISTRICT, XIANGYUNLI, device, kind)
            what = propose(connection, DISTRICT, day, target, stated)
            record(connection, DISTRICT, what, reason="换表", by="li-min", now_ms=NOW_MS)
    for report in (
        report_of_compound(source(engine), XIANGYUNLI, NOVEMBER),
        report_of_firm(source(engine, Scope("yaxin")), "yaxin", NOVEMBER),
    ):
        assert report.days[8].parts["charging"].figures["energy_kwh"] == 1.5
        assert report.days[8].parts["gates"].figures["passages"] == 3
        assert report.corrections_total == 2
        listed = {one.place: one for one in report.corrections}
        assert listed["1号棚 01号插座"].added == {"port": {"energy_kwh": 1.5}}
        assert listed[""].added == {"gate": {"passages": 3}}
        assert {one.day for one in report.corrections} == {date(2026, 11, 9)}
        assert {one.reason for one in report.corrections} == {"换表"}
    assert report_of_firm(source(engine), "kangqiao", NOVEMBER).corrections_total == 0
    october = report_of_compound(source(engine), XIANGYUNLI, Month(2026, 10))
    assert october.corrections == []


def test_each_part_has_the_coverage_of_its_own_devices(engine: Engine) -> None:
    some_hours(engine)
    day = report_of_compound(source(engine), XIANGYUNLI, NOVEMBER).days[21]
    assert day.parts["gates"].coverage == pytest.approx(120 / (24 * 120))
    assert day.parts["charging"].coverage == 0
    # two gateways' and sheds' minutes, two sockets', the gate's halves, the camera's, the lamp's
    lamp_s = day.parts["lighting"].coverage
    assert lamp_s is not None
    expected = 24 * (120 + 4 * 60 + 12) + 4 / lamp_s
    assert day.coverage == pytest.approx(124 / expected)


def test_a_day_is_final_48_hours_after_it_ended(engine: Engine) -> None:
    report = report_of_compound(source(engine), XIANGYUNLI, NOVEMBER)
    statuses = [day.status for day in report.days]
    # at 19:42 of the 23rd, the 20th ended 67 hours ago and the 21st 43
    assert statuses == [Status.FINAL] * 20 + [Status.PROVISIONAL] * 3
    assert report.total.status is Status.PROVISIONAL
    october = report_of_compound(source(engine), XIANGYUNLI, Month(2026, 10))
    assert october.month_over
    assert october.total.status is Status.FINAL
    assert len(october.days) == 31


def test_a_month_of_which_nothing_arrived_is_unknown_not_zero(engine: Engine) -> None:
    report = report_of_compound(source(engine), XIANGYUNLI, Month(2026, 9))
    assert not report.total.is_known
    assert not any(part.is_known for part in report.total.parts.values())
    assert report.total.coverage == 0


def test_of_a_kind_that_the_compound_does_not_have_there_is_nothing(engine: Engine) -> None:
    report = report_of_compound(source(engine), LIANXIN, NOVEMBER)
    assert set(report.total.parts) == {"gates"}


def test_a_firm_adds_up_its_compounds_and_no_others(engine: Engine) -> None:
    some_hours(engine)
    with writing(engine) as connection:
        connection.execute(update(compounds).where(compounds.c.id == LIANXIN).values(firm="yaxin"))
    told: list[tuple[int, int]] = []
    report = report_of_firm(
        source(engine), "yaxin", NOVEMBER, progress=lambda done, of: told.append((done, of))
    )
    assert [compound.id for compound in report.compounds] == [LIANXIN, XIANGYUNLI]
    assert told == [(0, 2), (1, 2)]
    assert report.households == 213 + 88
    assert report.total.parts["gates"].figures["passages"] == 145
    assert report.days[22].parts["gates"].figures["passages"] == 105
    assert report.compounds[1].month.parts["gates"].figures["passages"] == 45
    assert len(report.compounds[0].days) == 23
    alone = report_of_firm(source(engine), "kangqiao", NOVEMBER)
    assert alone.compounds == []
    assert not alone.total.is_known
    assert len(alone.days) == 23


def test_a_firm_sees_its_own_alone(engine: Engine) -> None:
    own = source(engine, Scope("yaxin"))
    assert report_of_compound(own, XIANGYUNLI, NOVEMBER).id == XIANGYUNLI
    assert report_of_firm(own, "yaxin", NOVEMBER).id == "yaxin"
    for ask in (
        lambda: report_of_compound(own, LIANXIN, NOVEMBER),
        lambda: report_of_compound(own, "atlantis", NOVEMBER),
        lambda: report_of_firm(own, "kangqiao", NOVEMBER),
        lambda: report_of_firm(own, "nobody", NOVEMBER),
    ):
        with pytest.raises(NothingToReport):
            ask()


def test_a_month_that_has_not_begun_is_refused(engine: Engine) -> None:
    begins_ms = NOVEMBER.range_ms(SHANGHAI)[0]
    with pytest.raises(BadMonth, match="has not begun"):
        report_of_compound(source(engine, now_ms=begins_ms), XIANGYUNLI, NOVEMBER)
    report = report_of_compound(source(engine, now_ms=begins_ms + 1), XIANGYUNLI, NOVEMBER)
    assert len(report.days) == 1


# Faults


def test_faults_count_by_code_with_their_durations(engine: Engine) -> None:
    with writing(engine) as connection:
        for n, hours in enumerate((1, 2, 5)):
            since_ms = NOW_MS - 20 * HOUR_MS
            a_fault(
                connection,
                f"over-{n}",
                subject=f"g{n}",
                state="closed",
                since_ms=since_ms,
                opened_at_ms=since_ms + 90_000,
                closed_at_ms=since_ms + hours * HOUR_MS,
            )
        a_fault(connection, "stands", since_ms=NOW_MS - 30 * 60_000)
        a_fault(
            connection, "cleared", code="GATE_FORCED", severity="P2", state="cleared",
            subject="g8", cleared_at_ms=NOW_MS - 60_000, closed_at_ms=None,
        )  # fmt: skip
        a_fault(connection, "before", subject="g9", opened_at_ms=NOVEMBER.range_ms(SHANGHAI)[0] - 1)
        a_fault(connection, "child", subject="g4", suppressed_by="stands")
        a_fault(connection, "guess", subject="g5", suspected=True)
        a_fault(
            connection, "none", subject="g6", state="closed", resolution="false_alarm",
            closed_at_ms=NOW_MS,
        )  # fmt: skip
        a_fault(connection, "theirs", device=STRANGE_GATE, compound=LIANXIN)
    faults = report_of_compound(source(engine), XIANGYUNLI, NOVEMBER).faults
    assert [(line.code, line.count, line.standing) for line in faults.counts] == [
        ("GATE_FORCED", 1, 0),
        ("GATE_OFFLINE", 4, 1),
    ]
    offline = faults.counts[1]
    assert offline.name == Name("门禁离线", "Gate offline")
    assert offline.total_s == (1 + 2 + 5 + 0.5) * 3600
    assert offline.longest_s == 5 * 3600
    assert (faults.suppressed, faults.suspected, faults.refuted) == (1, 1, 1)
    longest = faults.longest
    assert [fault.id for fault in longest] == ["over-2", "over-1", "over-0", "stands", "cleared"]
    assert longest[0].place == "东门"
    assert longest[3].ended_at_ms is None
    of_firm = report_of_firm(source(engine), "yaxin", NOVEMBER)
    assert of_firm.faults == faults
    assert [compound.faults for compound in of_firm.compounds] == [5]


def test_only_the_ten_longest_are_named_and_pages_lose_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "FAULTS_AT_ONCE", 3)
    with writing(engine) as connection:
        for n in range(13):
            a_fault(
                connection,
                f"f-{n:02d}",
                subject=f"g{n}",
                state="closed",
                since_ms=NOW_MS - 20 * HOUR_MS,
                opened_at_ms=NOW_MS - 20 * HOUR_MS,
                closed_at_ms=NOW_MS - 20 * HOUR_MS + n * 60_000,
            )
    faults = report_of_compound(source(engine), XIANGYUNLI, NOVEMBER).faults
    assert faults.total == 13
    assert [fault.id for fault in faults.longest] == [f"f-{n:02d}" for n in range(12, 2, -1)]
