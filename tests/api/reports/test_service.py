"""Availability and response in a report are those of the API."""

import pytest

from api.kpis import Figures
from api.reports.gather import Source, report_of_compound, report_of_firm
from api.reports.pdf import document, render
from api.reports.service import shown
from devices.kpis import Availability, Service, Sockets
from devices.store.compounds import read_directory
from devices.store.database import reading
from devices.store.scope import Scope
from tests.api.cast import HOUR_MS, LIANXIN, NOW_MS, XIANGYUNLI, Cast, a_fault, a_fault_event
from tests.api.reports.made import NOVEMBER, text_of
from tests.api.test_kpis import with_ears


def source(cast: Cast) -> Source:
    with reading(cast.engine) as connection:
        directory = read_directory(connection, NOW_MS)
    return Source(cast.engine, Scope("yaxin"), directory, NOW_MS)


def with_a_silence(cast: Cast) -> None:
    with_ears(cast)
    start_ms = NOW_MS - 30 * HOUR_MS
    with cast.write() as connection:
        a_fault(
            connection,
            "silence",
            since_ms=start_ms,
            opened_at_ms=start_ms + 90_000,
            state="closed",
            cleared_at_ms=start_ms + 5 * HOUR_MS,
            closed_at_ms=start_ms + 5 * HOUR_MS,
        )
        a_fault_event(connection, "silence", reason="over", at_ms=start_ms + 5 * HOUR_MS)


def test_a_report_says_what_the_api_says(cast: Cast) -> None:
    with_a_silence(cast)
    url = f"/v1/kpis?compound={XIANGYUNLI}&from=2026-11-01"
    told = cast.client("yaxin").get(url).json()["all"]
    report = report_of_compound(source(cast), XIANGYUNLI, NOVEMBER)
    gates = report.given["availability_gate"]
    assert gates.value == pytest.approx(100 * told["availability"]["gate"]["availability"])
    assert 98 < (gates.value or 0) < 100
    assert gates.coverage == 1
    assert report.given["mttr_median"].value == pytest.approx(told["mttr"]["median_s"] / 3600)
    assert report_of_firm(source(cast), "yaxin", NOVEMBER).given == report.given
    text = text_of(render(report, "zh"))
    assert "门禁可用率99." in text


def test_a_report_says_how_many_were_answered_and_mended_in_time(cast: Cast) -> None:
    with_a_silence(cast)  # on a Sunday, over after five hours: nobody had to answer
    with cast.write() as connection:
        a_fault(connection, "late", code="GATE_HELD_OPEN", opened_at_ms=NOW_MS - 30 * HOUR_MS)
    report = report_of_firm(source(cast), "yaxin", NOVEMBER)
    url = "/v1/sla?firm=yaxin&from=2026-11-01"
    (told,) = cast.client("yaxin").get(url).json()["items"]
    for key, figures in (("acknowledged", told["acknowledge"]), ("mended", told["mend"])):
        for suffix in ("", "_p3"):
            assert report.given[f"sla_{key}{suffix}"].value == 100 * figures["share"]
    assert (told["acknowledge"]["share"], told["mend"]["share"]) == (0.0, 0.5)
    assert "sla_mended_p1" not in report.given
    assert "处理及时率（一般）50.0" in text_of(render(report, "zh"))


def test_where_nothing_was_heard_availability_is_unknown_and_not_perfect(cast: Cast) -> None:
    report = report_of_compound(source(cast), XIANGYUNLI, NOVEMBER)
    gates = report.given["availability_gate"]
    assert (gates.value, gates.coverage) == (None, 0)
    rows = document(report, "en")["given"]["rows"]
    assert rows[0][1:] == ["—", "0.0 %"]
    assert report.given["mttr_median"].value is None
    assert report.given["repeat_rate"].value is None


def test_a_kind_that_is_not_there_has_no_availability(cast: Cast) -> None:
    with reading(cast.engine) as connection:
        directory = read_directory(connection, NOW_MS)
    own = Source(cast.engine, Scope(), directory, NOW_MS)
    given = report_of_compound(own, LIANXIN, NOVEMBER).given
    assert "availability_gate" in given
    assert not {"availability_shed", "sockets_usable", "lamp_intact_rate"} & set(given)


def test_shares_are_percentages_with_what_they_rest_on() -> None:
    part = Availability(2, 1000, planned_ms=200, unknown_ms=400, out_ms=100, upstream_ms=100)
    service = Service(raised=4, repeats=1, repaired_s=[3600.0, 7200.0, 36_000.0])
    given = shown(Figures({"gate": part}, part, Sockets(usable=1), service))
    assert given["availability_gate"].value == 75
    assert given["own_availability_gate"].value == 100
    assert given["availability_gate"].coverage == 0.5
    assert given["sockets_usable"].value == 75
    assert given["mttr_median"].value == 2
    assert given["mttr_p90"].value == 10
    assert given["repeat_rate"].value == 25
    assert given["false_alarm_rate"].value is None
