"""E-bike shed controller: one board with its own 4G modem, and the sockets below it.

A board sends power and voltage only while a socket works (JUY), so voltage faults also end when it
has been heard for a while without a voltage. Source: domain.md §2.2, §3.1, §4.1 and §4.3.
"""

from devices.kinds.kind import (
    LINK,
    Implied,
    Kind,
    Muted,
    by_name,
    count,
    event,
    events,
    flag,
    gauge,
    number,
    register,
    state,
    text,
    whole,
    word,
)
from devices.kinds.port import GOOD
from devices.quantities import Role
from devices.rules import (
    Becomes,
    Beyond,
    Equals,
    Fell,
    Follows,
    Happened,
    Party,
    Quiet,
    Returned,
    Rule,
    Severity,
    Sign,
    Silent,
    Stopped,
    Unusual,
)

ALARMS = ("smoke", "high_temp", "voltage", "leakage", "power_cut", "door_open", "door_pried")
_DETECTOR_OFF = ("smoke_enabled", (False,))

SHED = Kind(
    name="shed",
    zh="充电棚控制器",
    en="E-bike shed controller",
    interval_s=60,
    silence_floor_s=90,
    quantities=by_name(
        *LINK,
        gauge("voltage_v", "电压", "Voltage", "V", 0, 300),
        gauge("board_temp_c", "主板温度", "Board temperature", "°C", -50, 205, safety=True),
        # False only where the detector is known to be enabled: JUY has it off by default.
        state("smoke", "烟雾", "Smoke", safety=True),
        count("smoke_mask", "烟感位", "Smoke detectors 1–8", 0, 255, role=Role.STATE, safety=True),
        state("smoke_enabled", "烟感启用", "Smoke detector enabled"),
        state(
            "leakage_state",
            "漏电状态",
            "Leakage breaker",
            "ok",
            "tripped",
            "self_test_failed",
            "unknown",
            safety=True,
        ),
        gauge("leakage_ma", "漏电流", "Leakage current", "mA", 0, 1000, safety=True),
        register("meter_energy_kwh", "总表电量", "Meter reading", "kWh", 1e7),
        count("ports_total", "端口数", "Sockets", 0, 64, role=Role.STATE),
        count("ports_in_use", "使用中端口数", "Sockets in use", 0, 64),
        gauge("power_w", "总功率", "Total power", "W", 0, 60_000),
        state("cabinet_door", "箱门", "Cabinet door", "closed", "open", "pried", "unknown"),
        state("mains_ok", "市电", "Mains power"),
        # DC589 heartbeat, status bits 0, 1 and 2
        state("status_temp_high", "整机高温位", "Status: hot", safety=True),
        state("status_smoke", "整机烟雾位", "Status: smoke", safety=True),
        state("status_voltage_bad", "整机电压异常位", "Status: bad voltage"),
    ),
    events=events(
        event(
            "login",
            "登录",
            "Login",
            text("imei", 15),
            whole("ports_total", 0, 64),
            text("hw", 32),
            text("sw", 32),
            text("ccid", 20),
            whole("csq", 0, 99),
            word("reason", "power_on", "restart"),
        ),
        event(
            "shed_alarm",
            "告警",
            "Alarm",
            word("what", *ALARMS, required=True),
            flag("active", required=True),
            whole("port_no", 1, 64),
            number("temp_c", -50, 205),
            number("voltage_v", 0, 300),
        ),
        event(
            "settings",
            "参数",
            "Settings",
            number("float_power_w", 0, 3000),
            whole("float_time_s", 0, 86_400),
            number("temp_limit_c", 0, 205),
            flag("smoke_enabled"),
            text("tiers_w"),
            whole("insert_wait_s", 0, 3600),
            whole("removal_wait_s", 0, 3600),
        ),
    ),
    implied=(Implied("settings", {}, "smoke_enabled"),),
    # A detector that is switched off sees no smoke, and that says nothing.
    muted=(
        Muted("smoke", False, _DETECTOR_OFF),
        Muted("smoke_mask", 0, _DETECTOR_OFF),
        Muted("status_smoke", False, _DETECTOR_OFF),
    ),
)


def _alarm(what: str, *over: Becomes) -> Happened:
    """An alarm of the board, until it takes it back or something else shows that it is over."""
    back = Follows("shed_alarm", {"what": what, "active": False})
    return Happened("shed_alarm", {"what": what, "active": True}, over=(back, *over))


_NORMAL_VOLTAGE = Becomes("voltage_v", "198..242")
# Longer than any board's power period (15 s to 5 min): a board that sends voltage would have.
_NO_VOLTAGE_SENT = Quiet(600)

_NO_SMOKE = (
    Becomes("smoke", (False,)),
    Becomes("smoke_mask", "<=0"),
    Becomes("status_smoke", (False,)),
)
_SELF_TEST_OK = Becomes("leakage_state", ("ok",))
_DOOR_CLOSED = Becomes("cabinet_door", ("closed",))
_MAINS_BACK = (_NORMAL_VOLTAGE, Becomes("mains_ok", (True,)))

RULES = (
    Rule(
        code="SHED_DOOR_OPEN",
        kind="shed",
        zh="箱门打开/被撬",
        en="Cabinet open / pried",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="关好箱门并核查",
        advice_en="Close the box; find out why",
        signs=(
            Sign(Equals("cabinet_door", ("open",), ("closed",)), Severity.P3, delay_s=60),
            Sign(Equals("cabinet_door", ("pried",), ("closed",)), Severity.P2, delay_s=0),
            Sign(_alarm("door_open", _DOOR_CLOSED), Severity.P3, delay_s=60),
            Sign(_alarm("door_pried", _DOOR_CLOSED), Severity.P2, delay_s=0),
            Sign(Stopped(("cabinet_open",), over=(_DOOR_CLOSED,)), Severity.P3, delay_s=60),
        ),
    ),
    Rule(
        # Only a self-test that is ok shows that it is over: once the breaker has tripped, the
        # current is gone and the fault is not. So no reading clears it ("<0" never happens).
        code="SHED_LEAKAGE",
        kind="shed",
        zh="漏电",
        en="Leakage",
        severity=Severity.P1,
        party=Party.PROPERTY,
        advice_zh="立即断电，禁止使用",
        advice_en="Cut power; close the shed",
        signs=(
            Sign(
                Equals("leakage_state", ("tripped", "self_test_failed"), ("ok",)),
                Severity.P1,
                delay_s=0,
            ),
            Sign(Beyond("leakage_ma", ">=30", "<0", over=(_SELF_TEST_OK,)), Severity.P1, delay_s=0),
            Sign(_alarm("leakage", _SELF_TEST_OK), Severity.P1, delay_s=0),
            Sign(
                Stopped(("leakage", "ground_fault"), over=(_SELF_TEST_OK,)),
                Severity.P1,
                delay_s=0,
            ),
            Sign(
                Equals(
                    "port_status",
                    ("leakage_fault", "ground_fault"),
                    GOOD,
                    of="port",
                    over=(_SELF_TEST_OK,),
                ),
                Severity.P1,
                delay_s=0,
            ),
        ),
        acknowledge=True,
        safety=True,
    ),
    Rule(
        code="SHED_METER_JUMP",
        kind="shed",
        zh="计量异常",
        en="Metering error",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="校验电表与倍率",
        advice_en="Check meter and scale",
        signs=(
            Sign(Unusual("energy", 20), Severity.P4, 0),
            Sign(Fell("session_energy_kwh", of="port"), Severity.P4, delay_s=0),
        ),
    ),
    Rule(
        code="SHED_OFFLINE",
        kind="shed",
        zh="充电棚离线",
        en="Shed offline",
        severity=Severity.P3,
        party=Party.NETWORK,
        advice_zh="检查4G信号与流量卡",
        advice_en="Check 4G signal and SIM",
        # What charges there does so unwatched.
        signs=(Sign(Silent(), Severity.P3, delay_s=0, worse={"charging": Severity.P2}),),
    ),
    Rule(
        code="SHED_OVERTEMP",
        kind="shed",
        zh="机箱过温",
        en="Box over-temperature",
        severity=Severity.P2,
        party=Party.PROPERTY,
        advice_zh="检查通风与负载",
        advice_en="Check ventilation and load",
        signs=(
            Sign(Beyond("board_temp_c", ">=70", "<60"), Severity.P2, delay_s=60),
            Sign(Equals("status_temp_high", (True,), (False,)), Severity.P2, delay_s=60),
            Sign(_alarm("high_temp", Becomes("board_temp_c", "<60")), Severity.P2, delay_s=60),
        ),
        clear_delay_s=300,
    ),
    Rule(
        code="SHED_OVERVOLT",
        kind="shed",
        zh="过压",
        en="Over-voltage",
        severity=Severity.P2,
        party=Party.GRID,
        advice_zh="联系供电部门",
        advice_en="Call the grid company",
        signs=(
            Sign(
                Beyond("voltage_v", ">253", "198..242", over=(_NO_VOLTAGE_SENT,)),
                Severity.P2,
                delay_s=60,
            ),
            Sign(
                Stopped(("over_voltage",), over=(_NORMAL_VOLTAGE, _NO_VOLTAGE_SENT)),
                Severity.P2,
                delay_s=60,
            ),
            Sign(
                Equals("port_status", ("over_voltage",), GOOD, of="port"),
                Severity.P2,
                delay_s=60,
            ),
        ),
        clear_delay_s=180,
    ),
    Rule(
        code="SHED_POWER_CUT",
        kind="shed",
        zh="充电棚停电",
        en="Shed power cut",
        severity=Severity.P2,
        party=Party.GRID,
        advice_zh="查空开，核对停电通知",
        advice_en="Check breaker and outage notices",
        signs=(
            Sign(Equals("mains_ok", (False,), (True,)), Severity.P2, delay_s=60),
            Sign(_alarm("power_cut", *_MAINS_BACK), Severity.P2, delay_s=60),
            # Told after the power is back by boards that idle without a voltage (JUY): three
            # minutes of heartbeats are enough.
            Sign(Stopped(("power_cut",), over=(*_MAINS_BACK, Quiet(180))), Severity.P2, delay_s=60),
            # What it does not tell before it falls silent it tells when it logs in again.
            Sign(
                Returned(
                    "login", {"reason": "power_on"}, dark_s=60, over=(*_MAINS_BACK, Quiet(180))
                ),
                Severity.P2,
                delay_s=0,
            ),
        ),
    ),
    Rule(
        # A board that knows smoke only as the reason of a stop (JUY) never says that it is over:
        # then a person does.
        code="SHED_SMOKE",
        kind="shed",
        zh="烟雾报警",
        en="Smoke",
        severity=Severity.P1,
        party=Party.PROPERTY,
        advice_zh="立即断电并到场，必要时119",
        advice_en="Cut power, go there, call 119 if needed",
        signs=(
            Sign(Equals("smoke", (True,), (False,)), Severity.P1, delay_s=0),
            Sign(Beyond("smoke_mask", ">=1", "<=0"), Severity.P1, delay_s=0),
            Sign(Equals("status_smoke", (True,), (False,)), Severity.P1, delay_s=0),
            Sign(_alarm("smoke", *_NO_SMOKE), Severity.P1, delay_s=0),
            Sign(Stopped(("smoke",), over=_NO_SMOKE), Severity.P1, delay_s=0),
            Sign(Equals("port_status", ("paused_smoke",), GOOD, of="port"), Severity.P1, delay_s=0),
        ),
        acknowledge=True,
        safety=True,
    ),
    Rule(
        code="SHED_UNDERVOLT",
        kind="shed",
        zh="欠压",
        en="Under-voltage",
        severity=Severity.P3,
        party=Party.GRID,
        advice_zh="联系供电，检查线径",
        advice_en="Call the grid; check cable size",
        signs=(
            Sign(
                Beyond("voltage_v", "<187", "198..242", over=(_NO_VOLTAGE_SENT,)),
                Severity.P3,
                delay_s=60,
            ),
            Sign(
                Stopped(("under_voltage",), over=(_NORMAL_VOLTAGE, _NO_VOLTAGE_SENT)),
                Severity.P3,
                delay_s=60,
            ),
            Sign(
                Equals("port_status", ("under_voltage",), GOOD, of="port"),
                Severity.P3,
                delay_s=60,
            ),
        ),
        clear_delay_s=180,
    ),
    Rule(
        code="SHED_WEAK_SIGNAL",
        kind="shed",
        zh="信号弱",
        en="Weak signal",
        severity=Severity.P4,
        party=Party.NETWORK,
        advice_zh="调整天线或换运营商",
        advice_en="Move the antenna or change carrier",
        signs=(Sign(Beyond("csq", "<10", ">=12"), Severity.P4, delay_s=1800),),
    ),
)
