"""Whom a fault concerns, and why something is suspected, in both languages."""

from zoneinfo import ZoneInfo

import pytest

from devices.telling import basis_line, evidence_lines, impact_line


@pytest.mark.parametrize(
    ("impact", "zh", "en"),
    [
        (None, "", ""),
        ({"at_hour": 18}, "", ""),
        (
            {"households": 224, "gates": 1, "gates_left": 0, "gates_total": 1, "at_hour": 18},
            "224 户无其他门可走；晚高峰",
            "no other gate for 224 households; evening rush",
        ),
        (
            {"households": 75, "gates": 1, "gates_left": 2, "gates_total": 3, "at_hour": 12},
            "约 75 户，另有 2 个门",
            "about 75 households, other gates: 2",
        ),
        (
            {"sockets": 10, "sockets_left": 2, "sockets_total": 12, "charging": 4, "at_hour": 19},
            "10/12 个插座，余 2；4 辆在充",
            "10 of 12 sockets, 2 left; 4 charging",
        ),
        (
            {"households": 213, "lifts": 2, "lifts_left": 0, "lifts_total": 2, "lamps": 55,
             "lamps_left": 0, "lamps_total": 55, "at_hour": 3},
            "213 户；55 盏灯；2 部电梯，余 0",
            "213 households; 55 of 55 lamps; 2 of 2 lifts, 0 left",
        ),
        ({"charging": 8, "at_hour": 3}, "8 辆在充", "8 charging"),
    ],
)  # fmt: skip
def test_an_impact_is_one_line(impact: dict[str, object] | None, zh: str, en: str) -> None:
    assert impact_line("zh", impact) == zh
    assert impact_line("en", impact) == en


@pytest.mark.parametrize(
    ("code", "kind", "evidence", "zh", "en"),
    [
        (
            "GATE_NO_PASSAGE",
            "gate",
            {"usual": 14.0, "from": "07:00", "to": "08:00", "seen": 0, "for_s": 7200},
            "在线，2 小时内 0 次通行；07:00–08:00 平时 14 次",
            "online, 0 passages for 2 h; usually 14 between 07:00 and 08:00",
        ),
        (
            "PORT_IDLE_SUSPECT",
            "port",
            {"seen": 0, "for_s": 604_800, "neighbours": 11, "neighbours_a_day": 1.6},
            "7 天内 0 次；同棚其他插座日均 1.6 次",
            "0 sessions in 7 d; the shed's other sockets 1.6 a day",
        ),
        (
            "DEV_VALUE_FROZEN",
            "lamp",
            {"quantity": "power_w", "value": 42.7, "reports": 31, "for_s": 27_900, "peers": 4,
             "peers_changed": 4},
            "功率 42.7 W 连续 31 次不变；同类 4 台有变化",
            "Power 42.7 W, 31 reports running; of 4 peers it changed",
        ),
        (
            "SHED_METER_JUMP",
            "shed",
            {"port": "s-p01", "order": "77", "reported_kwh": 1.2, "measured_kwh": 0.6,
             "measured_by": "power", "apart_pct": 100.0},
            "订单 77 报 1.2 kWh，实测 0.6 kWh，相差 100 %",
            "order 77 says 1.2 kWh, measured 0.6 kWh: 100 % apart",
        ),
        (
            "SHED_METER_JUMP",
            "shed",
            {"port": "s-p01", "quantity": "session_energy_kwh", "before_kwh": 0.02,
             "after_kwh": 7.02, "for_s": 60, "excluded_kwh": 7.0, "why": "jump_forwards"},
            "本次电量由 0.02 变为 7.02 kWh，1 分内不可能；7.0 kWh 未计入",
            "Session energy went from 0.02 to 7.02 kWh within 1 min, which cannot be:"
            " 7.0 kWh left out",
        ),
        (
            "SHED_METER_JUMP",
            "shed",
            {"quantity": "meter_energy_kwh", "before_kwh": 812.4, "after_kwh": 200.0,
             "for_s": 60, "excluded_kwh": 612.4, "why": "jump_backwards"},
            "总表电量由 812.4 变为 200.0 kWh，1 分内不可能；612.4 kWh 未计入",
            "Meter reading went from 812.4 to 200.0 kWh within 1 min, which cannot be:"
            " 612.4 kWh left out",
        ),
        ("SHED_METER_JUMP", "shed", {"port": "s-p01", "fell": True}, "", ""),
        ("GATE_OFFLINE", "gate", {"last_seen_ms": 1}, "", ""),
    ],
)  # fmt: skip
def test_a_guess_says_what_it_was_made_of(
    code: str, kind: str, evidence: dict[str, object], zh: str, en: str
) -> None:
    assert basis_line("zh", code, kind, evidence) == zh
    assert basis_line("en", code, kind, evidence) == en


def test_evidence_is_told_with_units_and_local_times() -> None:
    evidence = {"board_temp_c": 71.5, "last_seen_ms": 1_795_399_200_000, "reason": "lwt"}
    zone = ZoneInfo("Asia/Shanghai")
    assert evidence_lines("zh", "shed", evidence, zone) == [
        ("主板温度", "71.5 °C"), ("最近收到", "11-23 10:00:00"), ("原因", "遗嘱")
    ]  # fmt: skip
    assert evidence_lines("en", "shed", evidence, zone)[0][1] == "71.5 °C"


def test_what_a_device_says_is_told_in_the_readers_words() -> None:
    evidence = {"disk_state": "failed", "alarm": "forced_open", "order": "A17"}
    zone = ZoneInfo("Asia/Shanghai")
    assert [text for _, text in evidence_lines("zh", "gate", evidence, zone)] == [
        "失效", "强行开门", "A17"
    ]  # fmt: skip
    assert [text for _, text in evidence_lines("en", "gate", evidence, zone)] == [
        "failed", "forced open", "A17"
    ]  # fmt: skip


def test_what_devices_say_is_told_in_words_and_vendors_codes_as_they_are() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    evidence = {"event": "session_end", "stop_reason": "smoke", "native_reason": "smoke"}
    assert [text for _, text in evidence_lines("zh", "port", evidence, zone)] == [
        *("结束充电", "烟雾停止", "smoke")
    ]
    evidence = {"port_status": "paused_high_temp", "event": "access", "what": "door_pried"}
    assert [text for _, text in evidence_lines("en", "gate", evidence, zone)] == [
        *("Paused: hot", "Access", "cabinet pried open")
    ]
    assert evidence_lines("en", "gate", {"detail": "as it is"}, zone)[0][1] == "as it is"
