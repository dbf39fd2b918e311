"""What is told of faults, in both languages of the product: on the console and in alerts.

Terms are those of the fault catalogue and are never varied. zh: the fact, then the place, then the
consequence; full-width punctuation, a blank between figure and unit. en: sentence case.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from devices.registry import Name


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # severities
        "p1": ("危急", "Critical"),
        "p2": ("重要", "Major"),
        "p3": ("一般", "Minor"),
        "p4": ("提示", "Notice"),
        "suspected": ("疑似", "Suspected"),
        "sep": (" · ", " · "),
        "comma": ("，", ", "),
        "semicolon": ("；", "; "),
        "stop": ("。", "."),
        "not_known": ("未知", "Unknown"),
        "whole_compound": ("全小区", "Whole compound"),
        "our_system": ("本系统", "Our system"),
        "late_data": ("补传数据", "late data"),
        "party_property": ("物业", "Property firm"),
        "party_vendor": ("厂商", "Vendor"),
        "party_grid": ("供电", "Grid"),
        "party_network": ("通信", "Network"),
        "party_resident": ("居民", "Resident"),
        "yes": ("是", "Yes"),
        "no": ("否", "No"),
        "households_n": ("{n} 户", "{n} households"),
        "last_seen": ("最近收到", "Last seen"),
        "r_lwt": ("遗嘱", "last will"),
        "r_heartbeat_missed": ("心跳缺失", "heartbeat missed"),
        "r_parent_down": ("上级离线", "parent down"),
        "r_weak_signal": ("信号弱", "weak signal"),
        "r_power_cut": ("停电", "power cut"),
        "r_platform_down": ("本系统停滞", "our own outage"),
        "r_asleep": ("白天断电", "no power by day"),
        "r_never_seen": ("从未上线", "never seen"),
        "h_raised": ("发现", "Raised"),
        "h_reopened": ("再次发生", "Came back"),
        "h_worsened": ("加重", "Got worse"),
        "h_eased": ("减轻", "Eased"),
        "h_over": ("恢复", "Over"),
        "h_acknowledged": ("确认", "Acknowledged"),
        "h_assigned": ("指派", "Assigned"),
        "h_commented": ("备注", "Comment"),
        "h_closed": ("关闭", "Closed"),
        "h_shelved": ("搁置", "Shelved"),
        "h_unshelved": ("取消搁置", "Taken off the shelf"),
        "h_shelf_ended": ("搁置到期", "Shelf ended"),
        "h_maintenance_ended": ("维护结束", "Maintenance ended"),
        "h_onsite": ("到场", "On site"),
        "h_repaired": ("已修复，待验证", "Repaired, to be verified"),
        "h_confirmed": ("核实属实", "Confirmed"),
        "h_suppressed": ("归并", "Suppressed"),
        "h_released": ("不再归并", "No longer suppressed"),
        "h_reclassified": ("改判原因", "Another cause"),
        "h_retired": ("设备变更，关闭", "Device changed, closed"),
        "h_escalated": ("无人确认，升级", "Unanswered, escalated"),
        "h_reminded": ("仍无人确认，再次提醒", "Still unanswered, told again"),
        "h_history_ends": ("回填历史结束", "End of back-filled history"),
        "system": ("系统", "System"),
        "colon": ("：", ": "),
        "list_comma": ("、", ", "),
        "res_false_alarm": ("误报", "False alarm"),
        "res_kind_changed": ("设备类型已变更", "Device is of another kind now"),
        "res_moved": ("设备已迁出", "Device was moved"),
        "res_out_of_service": ("设备已停用", "Device is out of service"),
        "res_rule_disabled": ("该规则已停用", "Its rule is switched off"),
        "res_rules_changed": ("规则阈值已调整", "The levels of its rule were changed"),
        "res_history_ends": ("回填历史结束", "End of back-filled history"),
        "party_operator": ("区值班", "Operations"),
        # what showed an alarm of ours
        "e_away_since_ms": ("断开自", "Away since"),
        "e_back_ms": ("恢复于", "Back at"),
        "e_away_s": ("断开时长（秒）", "Away for (s)"),
        "e_step_s": ("跳变（秒）", "Step (s)"),
        "e_ever_returned": ("曾返回过", "Ever returned"),
        "e_deaf_since_ms": ("听不到，自", "Deaf since"),
        "e_deaf_until_ms": ("听不到，至", "Deaf until"),
        "e_deaf_s": ("听不到时长（秒）", "Deaf for (s)"),
        "e_used_pct": ("磁盘已用（%）", "Disk used (%)"),
        "e_acks_withheld": ("已停止确认收到", "Acknowledgements withheld"),
        "e_error": ("报错", "Error"),
        "e_store": ("存储", "Store"),
        "e_lag_s": ("滞后（秒）", "Behind by (s)"),
        "e_missing": ("缺少（条）", "Missing (messages)"),
        "e_places": ("不平处数", "Places that are off"),
        "e_where": ("何处：小区、时段、收到、入账", "Where: compound, hour, received, accounted"),
        "e_telemetry_missing": ("遥测库缺少（点）", "Missing points"),
        "e_telemetry_checked": ("已抽查（点）", "Points looked for"),
        "e_device": ("设备", "Device"),
        "e_point_ms": ("数据点时间", "Time of the point"),
        # what showed a silence, or a root cause
        "e_reason": ("原因", "Reason"),
        "e_registered_ms": ("登记于", "Registered"),
        "e_only_gate": ("小区唯一门禁", "The compound's only gate"),
        "e_charging": ("正在充电（处）", "Charging there"),
        "e_silent": ("同时离线（台）", "Silent together"),
        "e_of": ("原先在线（台）", "Of those online before"),
        "e_evidence": ("停电证据", "What shows that the power is gone"),
        "e_by": ("来自", "Told by"),
        "e_instead_of": ("改判自", "Instead of"),
        "r_mains_ok": ("市电断", "mains lost"),
        "r_power_cut_alarm": ("停电告警", "power-cut alarm"),
        "r_stop_reason": ("充电因停电结束", "charging ended by a power cut"),
        "r_power_on": ("恢复供电后登录", "login after power-on"),
        "r_voltage_v": ("照明回路无电压", "lighting circuit without voltage"),
        "r_sheds_with_gateway": ("充电棚与网关同时离线", "sheds silent together with the gateway"),
        # what showed a street without power, and lamps that are out in company
        "e_circuit": ("供电回路", "Supply circuit"),
        "e_dead": ("失电灯数", "Lamps without power"),
        "e_without_voltage": ("其中无电压（台）", "Of those without voltage"),
        "e_neighbours_out": ("同回路不亮灯数", "Lamps out on its circuit"),
        # what showed a gap in a device's own numbers
        "e_boot": ("设备启动号", "Boot"),
        "e_from_seq": ("从序号", "From number"),
        "e_to_seq": ("至序号", "To number"),
        "e_missing_before_boot": ("此前启动另缺（条）", "Missing of the boot before"),
        "e_since_ms": ("起于", "Since"),
        # whom a fault concerns, and what is left to them
        "im_no_gate": ("{n} 户无其他门可走", "no other gate for {n} households"),
        "im_gates": ("约 {n} 户，另有 {left} 个门", "about {n} households, other gates: {left}"),
        "im_sockets": ("{n}/{total} 个插座，余 {left}", "{n} of {total} sockets, {left} left"),
        "im_lamps": ("{n} 盏灯", "{n} of {total} lamps"),
        "im_cameras": ("{n} 路监控", "{n} of {total} CCTV points"),
        "im_lifts": ("{n} 部电梯，余 {left}", "{n} of {total} lifts, {left} left"),
        "im_charging": ("{n} 辆在充", "{n} charging"),
        "rush_morning": ("早高峰", "morning rush"),
        "rush_evening": ("晚高峰", "evening rush"),
        # what a guess was made of
        "ba_no_passage": (
            "在线，{lasted}内 {seen} 次通行；{start}–{end} 平时 {usual} 次",
            "online, {seen} passages for {lasted}; usually {usual} between {start} and {end}",
        ),
        "ba_idle": (
            "{lasted}内 {seen} 次；同棚其他插座日均 {others} 次",
            "{seen} sessions in {lasted}; the shed's other sockets {others} a day",
        ),
        "ba_frozen": (
            "{quantity} {value} 连续 {reports} 次不变；同类 {changed} 台有变化",
            "{quantity} {value}, {reports} reports running; of {changed} peers it changed",
        ),
        "ba_meter": (
            "订单 {order} 报 {reported} kWh，实测 {measured} kWh，相差 {apart} %",
            "order {order} says {reported} kWh, measured {measured} kWh: {apart} % apart",
        ),
        "ba_meter_jump": (
            "{quantity}由 {before} 变为 {after} kWh，{lasted}内不可能；{excluded} kWh 未计入",
            "{quantity} went from {before} to {after} kWh within {lasted}, which cannot be:"
            " {excluded} kWh left out",
        ),
        "e_usual": ("平时（次/时）", "Usually (an hour)"),
        "e_from": ("时段起", "From"),
        "e_to": ("时段止", "To"),
        "e_seen": ("实际（次）", "Seen"),
        "e_for_s": ("持续（秒）", "For (s)"),
        "e_neighbours": ("同棚其他插座", "Other sockets of the shed"),
        "e_neighbours_a_day": ("其他插座日均（次）", "Others' sessions a day"),
        "e_reports": ("连续相同（次）", "Equal reports"),
        "e_peers": ("同类设备", "Peers"),
        "e_peers_changed": ("其中有变化", "Of which changed"),
        "e_value": ("读数", "Reading"),
        "e_reported_kwh": ("订单电量（kWh）", "Reported (kWh)"),
        "e_measured_kwh": ("实测电量（kWh）", "Measured (kWh)"),
        "e_measured_by": ("实测依据", "Measured by"),
        "e_before_kwh": ("前读数（kWh）", "Read before (kWh)"),
        "e_after_kwh": ("后读数（kWh）", "Read then (kWh)"),
        "e_excluded_kwh": ("未计入（kWh）", "Left out (kWh)"),
        "e_apart_pct": ("相差（%）", "Apart (%)"),
        "e_stale": ("读数已过期", "No reading for long"),
        "e_share": ("占比", "Share"),
        "e_count": ("次数", "How often"),
        "e_tries": ("总次数", "Of tries"),
        "e_within_s": ("时间窗（秒）", "Within (s)"),
        "e_prompted_ms": ("最近一次放行", "Last let through"),
        "e_received": ("收到（条）", "Received"),
        "e_expected": ("应收（条）", "Expected"),
        "e_hour_ms": ("时段", "Hour from"),
        "e_order": ("订单", "Order"),
        "e_port": ("插座", "Socket"),
        "e_fell": ("表读数回退", "The register fell"),
        "e_event": ("事件", "Event"),
        "e_what": ("告警内容", "What"),
        "e_active": ("告警有效", "Active"),
        "e_port_no": ("插座号", "Socket no."),
        "e_stop_reason": ("停止原因", "Stop reason"),
        "e_native_reason": ("厂家原因码", "Vendor's reason"),
        "e_session_s": ("充电时长（秒）", "Charged for (s)"),
        "e_session_energy_kwh": ("充电电量（kWh）", "Charged (kWh)"),
        "e_session_fee_fen": ("费用（分）", "Fee (fen)"),
        "e_stop_power_w": ("停止时功率（W）", "Power when it stopped (W)"),
        "e_card_hash": ("卡号摘要", "Card (hash)"),
        "e_door_no": ("门号", "Door no."),
        "e_temp_c": ("温度（°C）", "Temperature (°C)"),
        "e_gateway": ("网关", "Gateway"),
        "e_shed": ("充电棚", "Shed"),
        "e_quantity": ("量", "Quantity"),
        "e_detail": ("详情", "Detail"),
        # words that devices say
        "w_open": ("开", "open"),
        "w_closed": ("关", "closed"),
        "w_unknown": ("未知", "unknown"),
        "w_fault": ("故障", "fault"),
        "w_locked": ("已锁", "locked"),
        "w_unlocked": ("未锁", "unlocked"),
        "w_normal": ("正常", "normal"),
        "w_forced_open": ("强行开门", "forced open"),
        "w_open_too_long": ("开门超时", "open too long"),
        "w_normally_open": ("常开", "held open"),
        "w_normally_closed": ("常闭", "held closed"),
        "w_blocked": ("受阻", "blocked"),
        "w_locked_down": ("封闭", "locked down"),
        "w_fire_open": ("消防开门", "open for fire"),
        "w_moving": ("动作中", "moving"),
        "w_ok": ("正常", "ok"),
        "w_tripped": ("已跳闸", "tripped"),
        "w_self_test_failed": ("自检失败", "self-test failed"),
        "w_pried": ("被撬", "pried open"),
        "w_on": ("开", "on"),
        "w_off": ("关", "off"),
        "w_low": ("调低", "dimmed"),
        "w_booting_up": ("启动中", "booting up"),
        "w_schedule": ("定时", "schedule"),
        "w_sensor": ("传感器", "sensor"),
        "w_command": ("指令", "command"),
        "w_local": ("就地", "local"),
        "w_degraded": ("降级", "degraded"),
        "w_failed": ("失效", "failed"),
        "w_missing": ("缺失", "missing"),
        "w_session_end": ("充电结束", "charge ended"),
        "w_smoke": ("烟雾", "smoke"),
        "w_leakage": ("漏电", "leakage"),
        "w_power_cut": ("停电", "power cut"),
        "w_high_temp": ("高温", "heat"),
        "w_door_open": ("箱门打开", "cabinet open"),
        "w_door_pried": ("箱门被撬", "cabinet pried open"),
        "w_arm_blocked": ("抬杆受阻", "arm blocked"),
    }
)

_UNITS = {
    "zh": ((86_400, " 天"), (3_600, " 小时"), (60, " 分"), (1, " 秒")),
    "en": ((86_400, " d"), (3_600, " h"), (60, " min"), (1, " s")),
}


def say(language: str, word: str, **values: object) -> str:
    """The text for `word` in `language`, zh or en; KeyError for one that is not in the list."""
    text = TEXTS[word][0 if language == "zh" else 1]
    return text.format(**values) if values else text


def knows(word: str) -> bool:
    """Whether there is a text for `word`."""
    return word in TEXTS


def named(language: str, name: Name) -> str:
    return name.zh if language == "zh" else name.en


def duration(language: str, seconds: float) -> str:
    """A length of time in words, its two largest units: 1 小时 40 分."""
    units = _UNITS["zh" if language == "zh" else "en"]
    left = max(0, int(seconds))
    words: list[str] = []
    for size, unit in units:
        count, left = divmod(left, size)
        if count or (unit == units[-1][1] and not words):
            words.append(f"{count}{unit}")
        elif words:
            break
        if len(words) == 2:
            break
    # Seconds count only in the first ten minutes.
    if len(words) == 2 and seconds >= 600 and words[-1].endswith(units[-1][1]):
        words.pop()
    return " ".join(words)


def grouped(number: float) -> str:
    """1,245"""
    return f"{number:,.0f}"
