"""When we could not hear, as the figures find it again in what the judge committed."""

from devices.journal import START
from devices.kpis import Told, deaf_spans
from devices.spans import Span
from tests.ingest.judge.district import District
from tests.ingest.judge.test_platform import PROBE, a_district, links, ticks


def outages(d: District) -> list[Span]:
    d.commit()
    ours = {fault.id for fault in d.store.rows.faults.values() if fault.code == PROBE}
    return deaf_spans(
        Told(event.fault, event.at_ms, event.reason, event.becomes, event.evidence or {})
        for event in d.store.rows.events
        if event.fault in ours
    )


def test_a_receiver_that_was_away_was_deaf_from_its_last_probe_to_its_next() -> None:
    d = a_district()
    went_ms = d.now_ms
    d.now_s += 600
    d.control(START, {"at_ms": d.now_ms})
    links(d)
    back_ms = d.now_ms + 5_000
    ticks(d, 30)
    assert outages(d) == [(went_ms, back_ms)]


def test_a_broker_that_was_away_is_found_by_the_alarm_to_within_a_tick() -> None:
    d = a_district()
    went_ms = d.now_ms
    ticks(d, 300, probes=False, gate=False)
    back_ms = d.now_ms + 5_000
    ticks(d, 30)
    ((since_ms, until_ms),) = outages(d)
    assert abs(since_ms - went_ms) <= 5_000
    assert abs(until_ms - back_ms) <= 5_000


def test_two_outages_shortly_after_one_another_are_both_found() -> None:
    d = a_district()
    for _ in range(2):
        ticks(d, 100, probes=False, gate=False)
        ticks(d, 60)
    assert [round((until - since) / 60_000) for since, until in outages(d)] == [2, 2]


def test_an_outage_that_still_lasts_has_begun() -> None:
    d = a_district()
    went_ms = d.now_ms
    ticks(d, 100, probes=False, gate=False)
    ((since_ms, until_ms),) = outages(d)
    assert abs(since_ms - went_ms) <= 5_000
    assert until_ms > d.now_ms


def test_a_quiet_hour_is_no_outage() -> None:
    d = a_district()
    ticks(d, 3600, gate=False)
    assert outages(d) == []
