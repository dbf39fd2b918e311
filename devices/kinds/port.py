"""Charging socket of a shed; it travels inside its shed's messages.

Source: domain.md §2.3, §3.1, §4.1 and §4.3.
"""

from devices.kinds.kind import (
    Derived,
    Kind,
    Known,
    by_name,
    count,
    event,
    events,
    gauge,
    number,
    register,
    state,
    text,
    whole,
    word,
)
from devices.quantities import Role
from devices.rules import (
    Becomes,
    Beyond,
    Counted,
    Equals,
    Follows,
    Party,
    Quiet,
    Repeated,
    Rule,
    Severity,
    Sign,
    Stopped,
    Unusual,
)
from devices.stop_reasons import PortStatus, StopReason

STATUSES = tuple(status.value for status in PortStatus)

# What a socket reads when the board sees nothing wrong with it.
GOOD = ("idle", "connected", "reserved", "in_use", "full", "paused")

_PORT_NO = whole("port_no", 1, 64, required=True)
_ORDER = text("order", 64, required=True)

# Boards can be set to 5 to 250 W: 15 is JUY's default, 10 that of DC589.
_FLOAT_POWER_W = 15.0
_LIMIT = "power_limit_w"


def _set_for(known: Known, name: str) -> float | None:
    """A limit that the registry sets for the socket, or else for its shed."""
    limit = known.attributes.get(name, known.parent.get(name))
    return float(limit) if isinstance(limit, int | float) else None


def over_limit_w(known: Known) -> float | None:
    """By how much the socket draws more than its limit allows; None without a limit."""
    limit_w = _set_for(known, _LIMIT)
    power_w = known.sample("power_w")
    return None if limit_w is None or power_w is None else power_w - limit_w


def overtime_s(known: Known) -> float | None:
    """How long the socket has been charging; None once the battery only floats, or is full."""
    if known.word("port_status") != "in_use":
        return None
    session_s = known.sample("session_s")
    if session_s is None:
        if known.charging_ms is None:
            return None
        session_s = (known.at_ms - known.charging_ms) / 1000
    power_w = known.sample("power_w")
    float_w = _set_for(known, "float_power_w")
    if power_w is None or power_w <= (_FLOAT_POWER_W if float_w is None else float_w):
        return None
    return session_s


PORT = Kind(
    name="port",
    zh="充电插座",
    en="Charging socket",
    interval_s=60,
    silence_floor_s=90,
    quantities=by_name(
        state("port_status", "端口状态", "Status", *STATUSES),
        gauge("power_w", "功率", "Power", "W", 0, 3000),
        gauge("current_a", "电流", "Current", "A", 0, 16),
        register("session_energy_kwh", "本次电量", "Session energy", "kWh", 30),
        count("session_s", "本次时长", "Session time", 0, 86_400, role=Role.COUNTER, unit="s"),
        count(
            "session_fee_fen", "本次金额", "Session fee", 0, 100_000, role=Role.COUNTER, unit="分"
        ),
        # Faults begin at 70 and 90 °C, so nothing below 205 is implausible.
        gauge("port_temp_c", "端口温度", "Socket temperature", "°C", -50, 205, safety=True),
        # The highest tier of the order, not the current one (JUY).
        count("tier", "功率档位", "Power tier", 0, 7, role=Role.STATE),
    ),
    events=events(
        event(
            "session_start",
            "开始充电",
            "Charging started",
            _PORT_NO,
            _ORDER,
            word("mode", "full", "money", "time", "energy"),
            word("pay", "scan", "card", "admin", "coin", "free_button"),
            number("limit", 0, 1_000_000),
        ),
        event(
            "session_end",
            "结束充电",
            "Charging ended",
            _PORT_NO,
            _ORDER,
            whole("session_s", 0, 86_400),
            number("session_energy_kwh", 0, 30),
            whole("session_fee_fen", 0, 100_000),
            word("stop_reason", *(reason.value for reason in StopReason)),
            text("native_reason"),
            number("stop_power_w", 0, 3000),
            text("card_hash"),
        ),
    ),
    derived=(
        Derived(
            gauge("over_limit_w", "超限功率", "Power above the limit", "W"),
            ("power_w",),
            over_limit_w,
            limit=_LIMIT,
        ),
        Derived(
            gauge("overtime_s", "充电时长", "Time of charging", "s"),
            ("power_w",),
            overtime_s,
            at_most="session_s",
        ),
    ),
)

# An idle board sends no temperature (JUY): half an hour without one on an idle socket is cold.
_COOLED = Quiet(1800, given=("port_status", ("idle",)))
# A board that sends no power while idle (JUY) cannot say that it draws none.
_NO_POWER_SENT = Quiet(600, given=("port_status", ("idle",)))
# Where the relay is meant to be open. Not when full or paused: some boards go on with a trickle.
_SWITCHED_OFF = ("idle", "connected", "reserved", "disabled", "paused_high_temp", "paused_smoke")
_NOT_CHARGING = tuple(s for s in STATUSES if s not in ("in_use", "offline", "unknown"))
_COOL_AGAIN = (Becomes("port_temp_c", "<60"), _COOLED)

_FUSE_WHOLE = tuple(s for s in STATUSES if s not in ("fuse_blown", "offline", "unknown"))

RULES = (
    Rule(
        code="PORT_BATTERY_ABNORMAL",
        kind="port",
        zh="电池异常",
        en="Battery abnormal",
        severity=Severity.P2,
        party=Party.RESIDENT,
        advice_zh="停止充电，移走车辆检查",
        advice_en="Stop charging; move and inspect the bike",
        signs=(Sign(Stopped(("battery_abnormal",)), Severity.P2, delay_s=0),),
        acknowledge=True,
        safety=True,
    ),
    Rule(
        code="PORT_FAULT",
        kind="port",
        zh="端口输出故障",
        en="Output fault",
        severity=Severity.P3,
        party=Party.VENDOR,
        advice_zh="检修端口",
        advice_en="Repair the port",
        signs=(
            Sign(
                Equals("port_status", ("output_fault",), ("idle", "in_use")),
                Severity.P3,
                delay_s=60,
            ),
            # No delay: any socket is idle seconds after a stop, so nothing would ever be raised.
            Sign(
                Stopped(
                    ("device_fault", "short_circuit", "emergency_stop", "power_unstable"),
                    over=(Becomes("port_status", ("idle", "in_use")),),
                ),
                Severity.P3,
                delay_s=0,
            ),
        ),
        clear_delay_s=60,
    ),
    Rule(
        code="PORT_FUSE_BLOWN",
        kind="port",
        zh="保险丝熔断",
        en="Fuse blown",
        severity=Severity.P3,
        party=Party.VENDOR,
        advice_zh="查明原因后更换保险丝",
        advice_en="Find the cause, replace the fuse",
        signs=(
            Sign(
                Equals("port_status", ("fuse_blown",), _FUSE_WHOLE),
                Severity.P3,
                delay_s=60,
            ),
            Sign(
                Stopped(("fuse_blown",), over=(Becomes("port_status", _FUSE_WHOLE),)),
                Severity.P3,
                delay_s=0,
            ),
        ),
    ),
    Rule(
        code="PORT_IDLE_SUSPECT",
        kind="port",
        zh="插座长期无人用",
        en="Idle while neighbours busy (suspected)",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="试充核实插座与二维码",
        advice_en="Test the socket and its QR code",
        signs=(Sign(Unusual("sessions", 1), Severity.P4, 7 * 86_400),),
        suspected=True,
    ),
    Rule(
        code="PORT_NO_LOAD_REPEAT",
        kind="port",
        zh="插座疑似损坏",
        en="Socket broken (suspected)",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="检查插孔与接线",
        advice_en="Check contacts and wiring",
        signs=(
            Sign(
                Counted(
                    Stopped(("no_load_at_start",)),
                    times=3,
                    distinct="order",
                    consecutive=True,
                    over=(Follows("session_end", levels={"session_energy_kwh": ">0.05"}),),
                ),
                Severity.P4,
                delay_s=0,
            ),
        ),
        suspected=True,
    ),
    Rule(
        code="PORT_OVERPOWER",
        kind="port",
        zh="超功率",
        en="Over-power",
        severity=Severity.P3,
        party=Party.RESIDENT,
        advice_zh="提醒勿接大功率电器",
        advice_en="Remind: no high-power loads",
        # A board that cuts has ended the order: raised and over in one step. One that does not
        # may draw less for a while, but not before the order is over is the charger gone.
        signs=(
            Sign(Stopped(("over_power",), over=(Quiet(0),)), Severity.P3, delay_s=0),
            Sign(
                Beyond(
                    "over_limit_w",
                    ">0",
                    "<=0",
                    over=(Follows("session_end"), Becomes("port_status", _NOT_CHARGING)),
                    latched=True,
                ),
                Severity.P3,
                delay_s=10,
            ),
        ),
        repeated=Repeated(3, 86_400, Severity.P2),
    ),
    Rule(
        # P1 is of the safety tier, P2 is not. An answered P1 without readings is over as P2 is.
        code="PORT_OVERTEMP",
        kind="port",
        zh="端口过温",
        en="Port over-temperature",
        severity=Severity.P2,
        party=Party.PROPERTY,
        advice_zh="断电并到场检查插座",
        advice_en="Cut power; inspect the socket",
        signs=(
            Sign(Beyond("port_temp_c", ">=70", "<60", over=(_COOLED,)), Severity.P2, delay_s=30),
            Sign(
                Beyond("port_temp_c", ">=90", "<60", over=(_COOLED,)),
                Severity.P1,
                delay_s=0,
                safety=True,
            ),
            Sign(Stopped(("over_temp",), over=_COOL_AGAIN), Severity.P2, delay_s=30),
            Sign(
                Stopped(("over_temp",), over=_COOL_AGAIN, unread="port_temp_c"),
                Severity.P1,
                delay_s=0,
                safety=True,
            ),
            Sign(Equals("port_status", ("paused_high_temp",), GOOD), Severity.P2, delay_s=30),
        ),
        clear_delay_s=300,
    ),
    Rule(
        code="PORT_OVERTIME",
        kind="port",
        zh="超时充电",
        en="Charging too long",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="远程停止并提醒车主",
        advice_en="Stop remotely; tell the owner",
        signs=(
            Sign(
                Beyond(
                    "overtime_s",
                    ">36000",
                    "<=36000",
                    over=(Follows("session_end"), Becomes("port_status", _NOT_CHARGING)),
                ),
                Severity.P3,
                delay_s=0,
            ),
        ),
    ),
    Rule(
        code="PORT_RELAY_STUCK",
        kind="port",
        zh="继电器粘连",
        en="Relay stuck",
        severity=Severity.P1,
        party=Party.VENDOR,
        advice_zh="断开总闸，停用端口",
        advice_en="Open the breaker; take the port out",
        # Taken out of use it stays stuck: only idle says that the relay has opened.
        signs=(
            Sign(Equals("port_status", ("relay_stuck",), ("idle",)), Severity.P1, delay_s=0),
            Sign(
                Beyond(
                    "power_w",
                    ">20",
                    "<5",
                    over=(_NO_POWER_SENT,),
                    given=("port_status", _SWITCHED_OFF),
                ),
                Severity.P1,
                delay_s=60,
            ),
        ),
        clear_delay_s=300,
        acknowledge=True,
        safety=True,
    ),
)
