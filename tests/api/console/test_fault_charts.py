"""The readings around a fault: what is drawn of them, from when to when, and with which limits."""

import pytest

from api.console.fault_charts import AROUND_MS, FIRST_MS, LONGEST_MS, shown_quantities, span
from api.instants import print_instant
from devices.faults import Fault, State
from devices.rules import Severity
from devices.store.database import reading
from devices.store.devices import Standing, find_device
from devices.store.scope import DISTRICT
from devices.telemetry import Sample, TelemetryAway
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_state,
)
from tests.api.test_console import EN, ZH, with_trouble, words

HOT = {"port_temp_c": (90.4, NOW_MS), "power_w": (196.0, NOW_MS), "port_status": ("in_use", NOW_MS)}


def the_fault(**more: object) -> Fault:
    values = {
        "id": "f",
        "subject": PORT,
        "code": "PORT_OVERTEMP",
        "kind": "port",
        "severity": Severity.P2,
        "safety": False,
        "state": State.OPEN,
        "since_ms": NOW_MS - 10 * MINUTE_MS,
        "opened_at_ms": NOW_MS - 9 * MINUTE_MS,
        "device": PORT,
    } | more
    return Fault(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lasted_ms", "is_over", "before_ms", "after_ms", "is_first"),
    [
        (10 * MINUTE_MS, False, AROUND_MS, 1, False),  # up to now: nothing can be known after it
        (10 * MINUTE_MS, True, AROUND_MS, AROUND_MS, False),
        (5 * HOUR_MS, True, HOUR_MS, HOUR_MS, False),
        (LONGEST_MS, True, LONGEST_MS // 5, LONGEST_MS // 5, False),
        (30 * DAY_MS, True, FIRST_MS // 2, FIRST_MS - 30 * DAY_MS, True),
    ],
)
def test_a_fault_is_drawn_with_what_was_before_and_after_it(
    lasted_ms: int, is_over: bool, before_ms: int, after_ms: int, is_first: bool
) -> None:
    since_ms = NOW_MS - lasted_ms - (60 * DAY_MS if is_over else 0)
    ended_ms = since_ms + lasted_ms
    fault = the_fault(since_ms=since_ms, closed_at_ms=ended_ms if is_over else None)
    assert span(fault, NOW_MS) == (since_ms - before_ms, ended_ms + after_ms, is_first)


def standing(cast: Cast, device: str) -> Standing:
    with reading(cast.engine) as connection:
        found = find_device(connection, DISTRICT, device, blind=False)
    assert found is not None
    return found


def test_what_its_rule_looks_at_is_drawn_first_then_what_tells_most(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, PORT, "online", latest=HOT)
        a_state(connection, GATE, "offline", latest={"csq": (20, NOW_MS), "mains_ok": (True, 1)})
    port, gate = standing(cast, PORT), standing(cast, GATE)
    assert shown_quantities(the_fault(), port) == ["port_temp_c", "port_status"]
    assert shown_quantities(the_fault(code="PORT_OVERPOWER"), port) == ["power_w", "port_temp_c"]
    frozen = the_fault(code="DEV_VALUE_FROZEN", evidence={"quantity": "power_w"})
    assert shown_quantities(frozen, port)[0] == "power_w"
    assert shown_quantities(the_fault(code="GATE_OFFLINE"), gate) == ["csq", "mains_ok"]
    assert shown_quantities(the_fault(code="NEWER_THAN_WE_ARE"), gate) == ["csq", "mains_ok"]


def with_readings(cast: Cast) -> None:
    with_trouble(cast)
    since_ms = NOW_MS - 20 * MINUTE_MS
    with cast.write() as connection:
        a_state(connection, PORT, "online", latest=HOT)
        a_fault(
            connection, "was", device=PORT, kind="port", code="PORT_FAULT", state="closed",
            severity="P3", since_ms=since_ms, cleared_at_ms=NOW_MS - 5 * MINUTE_MS,
            closed_at_ms=NOW_MS - 5 * MINUTE_MS,
        )  # fmt: skip
    begun = NOW_MS - 60 * MINUTE_MS
    cast.telemetry.series["port", PORT, "port_temp_c"] = [
        Sample(begun + n * MINUTE_MS, 40.0 + n) for n in range(50)
    ]


@pytest.mark.parametrize(
    ("language", "limits", "told"),
    [
        (ZH, ("危急 90 °C", "重要 70 °C"), ("端口温度", "开始", "无读数，未知")),
        (EN, ("Critical 90 °C", "Major 70 °C"), ("temperature", "Began", "No readings: unknown")),
    ],
)
def test_the_page_draws_the_readings_with_limits_beginning_and_gaps(
    cast: Cast, language: dict[str, str], limits: tuple[str, ...], told: tuple[str, ...]
) -> None:
    with_readings(cast)
    html = cast.client("operator").get("/faults/hot", headers=language).text
    assert html.count('<svg class="plot curve') == 4  # two quantities, each for two widths
    assert html.count('class="limit" data-severity="p1"') == 2
    for text in (*limits, *told):
        assert text in words(html) or text in html, text
    assert 'class="missing"' in html
    assert f'href="/devices/{PORT}?from=' in html
    closed = cast.client("operator").get("/faults/was", headers=language).text
    assert closed.count('class="moment"') == 8  # begin and end of two quantities, in two widths
    assert ("结束" if language is ZH else "Ended") in closed


def test_another_time_is_shown_when_the_address_asks_for_it(cast: Cast) -> None:
    with_readings(cast)
    client = cast.client("operator")
    begin, end = print_instant(NOW_MS - 20 * MINUTE_MS), print_instant(NOW_MS - 10 * MINUTE_MS)
    html = client.get(f"/faults/hot?from={begin}&to={end}", headers=ZH).text
    assert "11-23 19:22 – 19:32，每格 10 秒" in words(html)
    assert 'data-zoom="/faults/hot"' in html
    assert client.get("/faults/hot?from=yesterday", headers=ZH).status_code == 422


def test_a_store_that_is_away_costs_the_curves_and_nothing_else(cast: Cast) -> None:
    with_readings(cast)
    cast.telemetry.fails = [TelemetryAway("away")]
    answer = cast.client("operator").get("/faults/hot", headers=ZH)
    assert answer.status_code == 200
    text = words(answer.text)
    assert "遥测库没有回应，曲线暂时看不到" in text
    assert "端口过温" in text
    assert '<svg class="plot curve' not in answer.text


def test_of_no_single_device_and_of_one_that_never_reported_nothing_is_drawn(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "cut", subject="xiangyunli", device=None, kind="compound",
                code="COMPOUND_POWER_CUT")  # fmt: skip
        a_fault(connection, "new")
    for fault in ("cut", "new"):
        html = cast.client("operator").get(f"/faults/{fault}", headers=ZH).text
        assert "evidence-charts" not in html


def test_a_changed_limit_is_the_one_that_is_drawn(cast: Cast) -> None:
    with_readings(cast)
    client = cast.client("operator")
    for compound, level in ((XIANGYUNLI, 65), (LIANXIN, 70)):
        body = (
            f'[[override]]\ncompound = "{compound}"\n'
            '[override.PORT_OVERTEMP.sign."port_temp_c >=70"]\nraises = ">=65"\n'
        )
        assert client.put("/v1/rules/overrides", json={"body": body}).status_code == 200
        html = client.get("/faults/hot", headers=ZH).text
        assert f">重要 {level} °C</text>" in html, compound
