"""Why a charging session ended and what a socket says of itself, in our words and the vendors'.

The same number means different things: 0 is "full" on JUY, "time used up" on DC589, "completed as
ordered" at China Tower. Whoever stores a canonical word keeps the native one beside it.
Sources: JUY TCP/MQTT protocol V1.2 (0x85), DC589 5.8.9 (0xBB), China Tower two-wheeler push API
(stopReason), OCPP 1.6 StopTransaction.reason, Wanzhuang wz-open, Tuya charging-pile fault_status;
collected in domain.md §4.1 and §4.3.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self


class StopClass(StrEnum):
    """Whether an end needs anybody: only a fault does."""

    NORMAL = "normal"
    RESIDENT = "resident"  # the resident's doing; never a fault
    FAULT = "fault"
    NONE = "none"  # the reason does not say


class StopReason(StrEnum):
    """Canonical reason for the end of a charging session."""

    zh: str
    en: str
    stop_class: StopClass

    # The defaults are for `StopReason("full")`, which looks one up; members give all four.
    def __new__(
        cls, word: str, zh: str = "", en: str = "", stop_class: StopClass = StopClass.NONE
    ) -> Self:
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.zh, reason.en, reason.stop_class = zh, en, stop_class
        return reason

    FULL = "full", "充满自停", "Full", StopClass.NORMAL
    PLAN_COMPLETED = "plan_completed", "按约定结束", "Completed as ordered", StopClass.NORMAL
    TIME_UP = "time_up", "时间用完", "Time used up", StopClass.NORMAL
    MONEY_UP = "money_up", "金额用完", "Amount used up", StopClass.NORMAL
    ENERGY_UP = "energy_up", "电量用完", "Energy used up", StopClass.NORMAL
    MAX_TIME = "max_time", "达最长时限", "Maximum time reached", StopClass.NORMAL
    SMART_STOP = "smart_stop", "智能停止", "Smart stop", StopClass.NORMAL
    REMOTE_STOP = "remote_stop", "远程停止", "Remote stop", StopClass.NORMAL
    MANUAL_STOP = "manual_stop", "手动停止", "Stopped by resident", StopClass.RESIDENT
    UNPLUGGED = "unplugged", "拔出充电器", "Unplugged", StopClass.RESIDENT
    NO_LOAD_AT_START = "no_load_at_start", "未检测到充电器", "No charger found", StopClass.RESIDENT
    NO_BALANCE = "no_balance", "余额不足", "Balance exhausted", StopClass.RESIDENT
    REFUND_STOP = "refund_stop", "退费停止", "Stopped for refund", StopClass.RESIDENT
    DEAUTHORIZED = "deauthorized", "授权失效", "Authorisation lost", StopClass.RESIDENT
    VEHICLE_FAULT = (
        "vehicle_fault",
        "车辆/充电器故障",
        "Vehicle or charger fault",
        StopClass.RESIDENT,
    )
    OVER_POWER = "over_power", "超功率", "Over-power", StopClass.FAULT
    SHED_OVER_POWER = "shed_over_power", "整机超功率", "Shed over-power", StopClass.FAULT
    POWER_UNSTABLE = "power_unstable", "功率异常波动", "Unstable power", StopClass.FAULT
    OVER_TEMP = "over_temp", "温度过高", "Over-temperature", StopClass.FAULT
    UNDER_TEMP = "under_temp", "温度过低", "Under-temperature", StopClass.FAULT
    SMOKE = "smoke", "烟雾停止", "Smoke", StopClass.FAULT
    LEAKAGE = "leakage", "漏电", "Leakage", StopClass.FAULT
    GROUND_FAULT = "ground_fault", "接地故障", "Ground fault", StopClass.FAULT
    SHORT_CIRCUIT = "short_circuit", "短路", "Short circuit", StopClass.FAULT
    BATTERY_ABNORMAL = "battery_abnormal", "电池异常", "Battery abnormal", StopClass.FAULT
    OVER_VOLTAGE = "over_voltage", "过压", "Over-voltage", StopClass.FAULT
    UNDER_VOLTAGE = "under_voltage", "欠压", "Under-voltage", StopClass.FAULT
    GRID_ABNORMAL = "grid_abnormal", "电网异常", "Grid abnormal", StopClass.FAULT
    POWER_CUT = "power_cut", "停电", "Power cut", StopClass.FAULT
    FUSE_BLOWN = "fuse_blown", "保险丝熔断", "Fuse blown", StopClass.FAULT
    DEVICE_FAULT = "device_fault", "设备故障", "Device fault", StopClass.FAULT
    EMERGENCY_STOP = "emergency_stop", "急停", "Emergency stop", StopClass.FAULT
    DEVICE_RESTART = "device_restart", "设备重启", "Device restart", StopClass.FAULT
    CABINET_OPEN = "cabinet_open", "柜门未关", "Door not closed", StopClass.FAULT
    OTHER = "other", "其他", "Other", StopClass.NONE
    UNKNOWN = "unknown", "未知", "Unknown", StopClass.NONE


# JUY 6 is missing on purpose: see `from_juy`.
JUY: Mapping[int, StopReason] = {
    0: StopReason.FULL,
    1: StopReason.TIME_UP,
    2: StopReason.MONEY_UP,
    3: StopReason.MANUAL_STOP,
    4: StopReason.ENERGY_UP,
    5: StopReason.OVER_POWER,
    7: StopReason.OVER_TEMP,
    8: StopReason.SMOKE,
    9: StopReason.SMART_STOP,
}

DC589: Mapping[int, StopReason] = {
    0: StopReason.TIME_UP,
    1: StopReason.UNPLUGGED,
    2: StopReason.FULL,
    3: StopReason.DEVICE_FAULT,
    4: StopReason.OVER_POWER,
    5: StopReason.REFUND_STOP,
    6: StopReason.NO_LOAD_AT_START,
    7: StopReason.REMOTE_STOP,
    8: StopReason.SMOKE,
    9: StopReason.OVER_TEMP,
    10: StopReason.ENERGY_UP,
}

CHINA_TOWER: Mapping[int, StopReason] = {
    0: StopReason.PLAN_COMPLETED,
    1: StopReason.MANUAL_STOP,
    2: StopReason.MANUAL_STOP,
    3: StopReason.REMOTE_STOP,
    4: StopReason.UNPLUGGED,
    5: StopReason.POWER_CUT,
    6: StopReason.DEVICE_FAULT,
    7: StopReason.VEHICLE_FAULT,
    8: StopReason.OTHER,
    9: StopReason.FULL,
    10: StopReason.NO_BALANCE,
    11: StopReason.OVER_POWER,
    12: StopReason.OVER_VOLTAGE,
    13: StopReason.UNDER_VOLTAGE,
    14: StopReason.SHED_OVER_POWER,
    15: StopReason.MANUAL_STOP,
    16: StopReason.GROUND_FAULT,
    17: StopReason.OVER_TEMP,
    18: StopReason.CABINET_OPEN,
    19: StopReason.BATTERY_ABNORMAL,
    20: StopReason.BATTERY_ABNORMAL,
    21: StopReason.BATTERY_ABNORMAL,
    22: StopReason.BATTERY_ABNORMAL,
    23: StopReason.POWER_UNSTABLE,
    24: StopReason.MAX_TIME,
}

# A station may leave the reason out only when it is Local (OCPP 1.6): None is its absence.
OCPP: Mapping[str | None, StopReason] = {
    None: StopReason.MANUAL_STOP,
    "Local": StopReason.MANUAL_STOP,
    "Remote": StopReason.REMOTE_STOP,
    "UnlockCommand": StopReason.REMOTE_STOP,
    "EVDisconnected": StopReason.UNPLUGGED,
    "DeAuthorized": StopReason.DEAUTHORIZED,
    "PowerLoss": StopReason.POWER_CUT,
    "EmergencyStop": StopReason.EMERGENCY_STOP,
    "HardReset": StopReason.DEVICE_RESTART,
    "SoftReset": StopReason.DEVICE_RESTART,
    "Reboot": StopReason.DEVICE_RESTART,
    "Other": StopReason.OTHER,
}

WANZHUANG: Mapping[int, StopReason] = {
    0: StopReason.MAX_TIME,
    1: StopReason.MONEY_UP,
    2: StopReason.FULL,
    3: StopReason.REFUND_STOP,
    4: StopReason.UNPLUGGED,
    5: StopReason.UNDER_TEMP,
    6: StopReason.OVER_TEMP,
    7: StopReason.POWER_UNSTABLE,
    8: StopReason.DEVICE_FAULT,
    9: StopReason.GRID_ABNORMAL,
    10: StopReason.LEAKAGE,
    11: StopReason.TIME_UP,
    12: StopReason.REMOTE_STOP,
    13: StopReason.OTHER,
    14: StopReason.OTHER,
    15: StopReason.MANUAL_STOP,
    16: StopReason.SHORT_CIRCUIT,
    17: StopReason.OTHER,
    18: StopReason.OVER_VOLTAGE,
    19: StopReason.UNDER_VOLTAGE,
    20: StopReason.GRID_ABNORMAL,
    21: StopReason.SMOKE,
    22: StopReason.TIME_UP,
    23: StopReason.OVER_POWER,
    24: StopReason.SHED_OVER_POWER,
    25: StopReason.MAX_TIME,
    26: StopReason.OTHER,
    27: StopReason.FULL,
    28: StopReason.OTHER,
    29: StopReason.FUSE_BLOWN,
    30: StopReason.VEHICLE_FAULT,
    31: StopReason.OVER_POWER,
    32: StopReason.OTHER,
    33: StopReason.POWER_CUT,
    34: StopReason.OTHER,
    35: StopReason.OTHER,
    36: StopReason.OTHER,
    37: StopReason.OTHER,
    38: StopReason.OTHER,
    39: StopReason.OTHER,
    40: StopReason.EMERGENCY_STOP,
    41: StopReason.MANUAL_STOP,
    42: StopReason.GROUND_FAULT,
    43: StopReason.DEVICE_FAULT,
    44: StopReason.OVER_POWER,
    45: StopReason.DEVICE_FAULT,
    46: StopReason.OVER_POWER,
    47: StopReason.ENERGY_UP,
    48: StopReason.OVER_POWER,
    49: StopReason.OTHER,
    50: StopReason.OTHER,
}

# Tuya's fault_status is a port state: 1 (charging normally) and 2 (float) are no stops at all.
TUYA: Mapping[int, StopReason] = {
    3: StopReason.FULL,
    4: StopReason.TIME_UP,
    5: StopReason.OTHER,
    6: StopReason.OVER_POWER,
    7: StopReason.OVER_TEMP,
    8: StopReason.BATTERY_ABNORMAL,
    9: StopReason.LEAKAGE,
}

_NO_LOAD_JUY = 6
_LOADED_AFTER_S = 180
_LOADED_FROM_KWH = 0.01


def from_juy(code: int, session_s: int, energy_kwh: float) -> StopReason:
    """The reason behind a code of a JUY end frame (0x85).

    JUY has no code for unplugging: 6 says only that no load is there. After more than 180 s, or
    with 0.01 kWh drawn, there was one, so it was pulled out.
    """
    if code == _NO_LOAD_JUY:
        was_loaded = session_s > _LOADED_AFTER_S or energy_kwh >= _LOADED_FROM_KWH
        return StopReason.UNPLUGGED if was_loaded else StopReason.NO_LOAD_AT_START
    return JUY.get(code, StopReason.UNKNOWN)


class PortStatus(StrEnum):
    """What a socket says of itself."""

    zh: str
    en: str

    def __new__(cls, word: str, zh: str = "", en: str = "") -> Self:  # as above
        status = str.__new__(cls, word)
        status._value_ = word
        status.zh, status.en = zh, en
        return status

    IDLE = "idle", "空闲", "Idle"
    CONNECTED = "connected", "已连接未充电", "Connected"
    RESERVED = "reserved", "预约锁定", "Reserved"
    IN_USE = "in_use", "使用中", "In use"
    FULL = "full", "已充满", "Full, not removed"
    PAUSED = "paused", "暂停", "Paused"
    PAUSED_HIGH_TEMP = "paused_high_temp", "高温暂停", "Paused: hot"
    PAUSED_SMOKE = "paused_smoke", "烟雾暂停", "Paused: smoke"
    OVER_VOLTAGE = "over_voltage", "过压", "Over-voltage"
    UNDER_VOLTAGE = "under_voltage", "欠压", "Under-voltage"
    LEAKAGE_FAULT = "leakage_fault", "漏电", "Leakage"
    GROUND_FAULT = "ground_fault", "接地故障", "Ground fault"
    OUTPUT_FAULT = "output_fault", "输出故障", "Output fault"
    FUSE_BLOWN = "fuse_blown", "保险丝熔断", "Fuse blown"
    RELAY_STUCK = "relay_stuck", "继电器粘连", "Relay stuck"
    DISABLED = "disabled", "已禁用", "Disabled"
    OFFLINE = "offline", "离线", "Offline"
    UNKNOWN = "unknown", "未知", "Unknown"


# Vendors' numbers for a socket; every other number is UNKNOWN. JUY 3 is a stuck relay (P1), DC589 3
# an output fault (P3): never share a table.
JUY_STATUS: Mapping[int, PortStatus] = {
    0: PortStatus.IDLE,
    1: PortStatus.IN_USE,
    2: PortStatus.FUSE_BLOWN,
    3: PortStatus.RELAY_STUCK,
    4: PortStatus.DISABLED,
}

DC589_STATUS: Mapping[int, PortStatus] = {
    0: PortStatus.IDLE,
    1: PortStatus.IN_USE,
    3: PortStatus.OUTPUT_FAULT,
    4: PortStatus.RELAY_STUCK,
}

CHINA_TOWER_STATUS: Mapping[int, PortStatus] = {
    1: PortStatus.IDLE,
    2: PortStatus.IN_USE,
    3: PortStatus.FULL,
    4: PortStatus.OUTPUT_FAULT,
    5: PortStatus.OFFLINE,
}
