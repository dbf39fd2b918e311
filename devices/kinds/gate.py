"""Smart access gate: a door for people, or a barrier for vehicles.

Words follow ONVIF Door Control (DoorPhysicalState, LockPhysicalState, DoorAlarmState, DoorMode).
`form` of a gate is `pedestrian`, also when the registry does not say, or `barrier`.
Source: domain.md §2.1 and §3.1.
"""

from devices.kinds.kind import (
    LINK,
    Implied,
    Kind,
    by_name,
    event,
    events,
    flag,
    gauge,
    secret,
    state,
    text,
    whole,
    word,
)
from devices.rules import (
    Becomes,
    Counted,
    Equals,
    Follows,
    Happened,
    Party,
    Rule,
    Severity,
    Share,
    Sign,
    Silent,
    Unanswered,
    Unprompted,
    Unusual,
)

ACCESS_METHODS = (
    "card",
    "face",
    "qr",
    "fingerprint",
    "password",
    "remote",
    "button",
    "health_code",
    "plate",
)
DENY_REASONS = (
    "no_permission",
    "invalid_period",
    "expired",
    "unknown_credential",
    "anti_passback",
    "face_mismatch",
    "liveness_failed",
    "blocklisted",
    "not_registered",
    "health_code",
    "other",
)
DOOR_STATES = ("open", "closed", "unknown", "fault")

_DOOR = whole("door_no", 0, 64)

GATE = Kind(
    name="gate",
    zh="智能门禁",
    en="Smart gate",
    interval_s=30,
    silence_floor_s=90,
    quantities=by_name(
        *LINK,
        state("door_state", "门磁", "Door", *DOOR_STATES),
        state("lock_state", "锁状态", "Lock", "locked", "unlocked", "fault", "unknown"),
        state("door_alarm", "门报警", "Door alarm", "normal", "forced_open", "open_too_long"),
        state(
            "door_mode",
            "门模式",
            "Door mode",
            "normal",
            "normally_open",
            "normally_closed",
            "blocked",
            "locked_down",
            "fire_open",
            "unknown",
        ),
        state("tamper", "防拆", "Tamper"),
        state("reader_tamper", "读头防拆", "Reader tamper", many=True),
        state("reader_online", "读头在线", "Reader online", many=True),
        state("mains_ok", "市电", "Mains power"),
        state("battery_low", "电池低", "Battery low"),
        gauge("board_temp_c", "主板温度", "Board temperature", "°C", -40, 125, safety=True),
        # barriers only
        state(
            "arm_state", "道闸臂", "Barrier arm", "open", "closed", "moving", "blocked", "unknown"
        ),
        state("motor_ok", "电机", "Barrier motor"),
        state("lane_controller_online", "车道控制器", "Lane controller online"),
    ),
    events=events(
        event(
            "access",
            "通行",
            "Access",
            word("result", "granted", "denied", required=True),
            word("method", *ACCESS_METHODS),
            word("direction", "in", "out", "unknown"),
            word("deny_reason", *DENY_REASONS),
            word("health_code", "green", "yellow", "red", "grey", "none", "timeout"),
            text("event_id"),
            _DOOR,
            secret("credential_hash"),
            flag("realtime"),
        ),
        event("exit_button", "出门按钮", "Exit button", _DOOR, flag("pressed")),
        event("normally_open", "常开", "Normally open", flag("active", required=True)),
        event("fire_open", "消防常开", "Fire release", flag("active", required=True)),
        event("duress", "胁迫", "Duress", _DOOR),
        event("panic", "紧急按钮", "Panic button", _DOOR),
        event(
            "barrier",
            "道闸事件",
            "Barrier event",
            word(
                "what",
                "arm_blocked",
                "arm_clear",
                "impact",
                "tailgating",
                "reverse_entry",
                "passage_timeout",
                required=True,
            ),
        ),
        event(
            "command",
            "控制",
            "Command",
            word("action", "open", "close", "keep_open", "keep_closed", required=True),
            secret("by"),
        ),
    ),
    # Many controllers tell of a mode once, as an event, and never as a state.
    implied=(
        Implied("normally_open", {"active": True}, "door_mode", "normally_open"),
        Implied("normally_open", {"active": False}, "door_mode", "normal"),
        Implied("fire_open", {"active": True}, "door_mode", "fire_open"),
        Implied("fire_open", {"active": False}, "door_mode", "normal"),
        Implied("command", {"action": "keep_open"}, "door_mode", "normally_open"),
        Implied("command", {"action": "keep_closed"}, "door_mode", "normally_closed"),
        Implied("command", {"action": "close"}, "door_mode", "normal"),
    ),
)

_MEANT_TO_BE_OPEN = ("door_mode", ("normally_open", "fire_open"))
_DOOR_OPEN = Equals("door_state", ("open",), ("closed",), unless=_MEANT_TO_BE_OPEN, passing=True)
_ARM_OPEN = Equals("arm_state", ("open",), ("closed",), unless=_MEANT_TO_BE_OPEN, passing=True)
# Boards that latch the alarm do not take it back: a door that reads closed is closed.
_OPEN_TOO_LONG = Equals(
    "door_alarm",
    ("open_too_long",),
    ("normal",),
    unless=_MEANT_TO_BE_OPEN,
    over=(Becomes("door_state", ("closed",)),),
)
# Whose face was known and who was refused all the same: that says nothing of the camera.
_NOT_FOR_THE_FACE = (
    "no_permission",
    "invalid_period",
    "expired",
    "anti_passback",
    "blocklisted",
    "health_code",
)
_GRANTED = Follows("access", {"result": "granted"})
# The arm has gone up and come down again: nothing is in its way, and the motor works.
_GOOD_CYCLE = Becomes("arm_state", ("closed",), after=("open", "moving"))

RULES = (
    Rule(
        code="BARRIER_BLOCKED",
        kind="gate",
        zh="道闸受阻",
        en="Barrier blocked",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="移开障碍物或车辆",
        advice_en="Remove the obstacle or vehicle",
        signs=(
            Sign(
                Happened(
                    "barrier",
                    {"what": "arm_blocked"},
                    over=(Follows("barrier", {"what": "arm_clear"}), _GOOD_CYCLE),
                ),
                Severity.P3,
                delay_s=30,
            ),
            Sign(
                Equals("arm_state", ("blocked",), ("open", "closed", "moving")),
                Severity.P3,
                delay_s=30,
            ),
        ),
    ),
    Rule(
        code="BARRIER_CTRL_OFFLINE",
        kind="gate",
        zh="车道控制器离线",
        en="Lane controller offline",
        severity=Severity.P3,
        party=Party.VENDOR,
        advice_zh="检查车道控制器",
        advice_en="Check the lane controller",
        signs=(Sign(Equals("lane_controller_online", (False,), (True,)), Severity.P3, delay_s=60),),
    ),
    Rule(
        code="BARRIER_MOTOR",
        kind="gate",
        zh="道闸电机故障",
        en="Barrier motor fault",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="转手动并报修电机",
        advice_en="Switch to manual; repair the motor",
        # "Next good cycle": some boards latch the flag until they are restarted.
        signs=(
            Sign(
                Equals("motor_ok", (False,), (True,), over=(_GOOD_CYCLE,)), Severity.P2, delay_s=0
            ),
        ),
    ),
    Rule(
        code="GATE_BATT_LOW",
        kind="gate",
        zh="门禁电池低",
        en="Gate battery low",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="更换备用电池",
        advice_en="Replace the backup battery",
        signs=(Sign(Equals("battery_low", (True,), (False,)), Severity.P2, delay_s=60),),
    ),
    Rule(
        code="GATE_DURESS",
        kind="gate",
        zh="胁迫报警",
        en="Duress alarm",
        severity=Severity.P1,
        party=Party.PROPERTY,
        advice_zh="立即联系保安并报警",
        advice_en="Alert security and police at once",
        signs=(Sign(Happened("duress"), Severity.P1, delay_s=0),),
        acknowledge=True,
        safety=True,
    ),
    Rule(
        code="GATE_FACE_FAIL_RATE",
        kind="gate",
        zh="人脸识别异常",
        en="Face failure rate high",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="清洁镜头，检查补光",
        advice_en="Clean the lens; check the light",
        # Seven of twenty are refused by chance somewhere in a district every day: it takes a second
        # look, half an hour later. Both looks and the window fit into two hours.
        signs=(
            Sign(
                Share(
                    "access",
                    {"method": "face"},
                    {"result": "denied"},
                    ">0.30",
                    "<0.20",
                    least=20,
                    within_s=3600,
                    without={"deny_reason": _NOT_FOR_THE_FACE},
                ),
                Severity.P4,
                delay_s=1800,
            ),
        ),
        clear_delay_s=3600,
    ),
    Rule(
        # Informs at once and asks for no repair; drills are common, so maintenance may hold it.
        code="GATE_FIRE_OPEN",
        kind="gate",
        zh="消防联动常开",
        en="Fire release open",
        severity=Severity.P1,
        party=Party.PROPERTY,
        advice_zh="核实火警，保持通道畅通",
        advice_en="Verify the fire alarm; keep the way clear",
        signs=(
            Sign(
                Happened(
                    "fire_open", {"active": True}, over=(Follows("fire_open", {"active": False}),)
                ),
                Severity.P1,
                delay_s=0,
            ),
        ),
    ),
    Rule(
        code="GATE_FORCED",
        kind="gate",
        zh="强行开门",
        en="Forced open",
        severity=Severity.P2,
        party=Party.PROPERTY,
        advice_zh="查看监控并到场核查",
        advice_en="Check CCTV; go and see",
        signs=(
            Sign(
                Equals(
                    "door_alarm",
                    ("forced_open",),
                    ("normal",),
                    over=(Becomes("door_state", ("closed",)),),
                ),
                Severity.P2,
                delay_s=0,
            ),
            # For controllers that have a door contact and no alarm of their own.
            Sign(
                Unprompted(
                    "door_state",
                    ("open",),
                    ("closed",),
                    prompts=(
                        _GRANTED,
                        Follows("exit_button"),
                        Follows("command", {"action": ("open", "keep_open")}),
                    ),
                    last_s=10,
                    silent="door_alarm",
                    unless=_MEANT_TO_BE_OPEN,
                    over=(Becomes("door_state", ("closed",)),),
                ),
                Severity.P2,
                delay_s=0,
            ),
        ),
        clear_delay_s=5,
    ),
    Rule(
        code="GATE_HEALTHCODE_SVC",
        kind="gate",
        zh="健康码服务异常",
        en="Health-code service down",
        severity=Severity.P4,
        party=Party.NETWORK,
        advice_zh="切换为不校验并通知",
        advice_en="Bypass the check and tell residents",
        signs=(
            Sign(
                Counted(
                    Happened("access", {"health_code": "timeout"}),
                    times=10,
                    within_s=300,
                    over=(
                        Follows(
                            "access",
                            {"health_code": ("green", "yellow", "red", "grey")},
                            times=5,
                        ),
                    ),
                ),
                Severity.P4,
                delay_s=0,
            ),
        ),
    ),
    Rule(
        code="GATE_HELD_OPEN",
        kind="gate",
        zh="门未关",
        en="Held open",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="检查是否被卡住或垫住",
        advice_en="Look for a prop or blocked closer",
        signs=(
            Sign(_DOOR_OPEN, Severity.P3, delay_s=60, only={"form": "pedestrian"}),
            Sign(_OPEN_TOO_LONG, Severity.P3, delay_s=60, only={"form": "pedestrian"}),
            Sign(_DOOR_OPEN, Severity.P3, delay_s=60, only={"form": None}),
            Sign(_OPEN_TOO_LONG, Severity.P3, delay_s=60, only={"form": None}),
            Sign(_DOOR_OPEN, Severity.P3, delay_s=180, only={"form": "barrier"}),
            Sign(_OPEN_TOO_LONG, Severity.P3, delay_s=180, only={"form": "barrier"}),
            Sign(_ARM_OPEN, Severity.P3, delay_s=180, only={"form": "barrier"}),
        ),
    ),
    Rule(
        code="GATE_LOCK_FAULT",
        kind="gate",
        zh="门锁故障",
        en="Lock failure",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="检修电锁与门磁",
        advice_en="Repair the lock and door contact",
        signs=(
            Sign(Equals("lock_state", ("fault",), ("locked", "unlocked")), Severity.P2, delay_s=30),
            # Most controllers tell only of a door that stays open, or of none: hence `learned`.
            Sign(
                Unanswered(
                    "access",
                    {"result": "granted"},
                    "door_state",
                    ("open",),
                    times=5,
                    answer_s=30,
                    learned=20,
                ),
                Severity.P2,
                delay_s=30,
            ),
        ),
    ),
    Rule(
        code="GATE_MAINS_LOST",
        kind="gate",
        zh="门禁市电断电",
        en="Gate mains lost",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="检查供电与空开",
        advice_en="Check supply and breaker",
        signs=(Sign(Equals("mains_ok", (False,), (True,)), Severity.P3, delay_s=60),),
        clear_delay_s=60,
    ),
    Rule(
        code="GATE_NO_PASSAGE",
        kind="gate",
        zh="无人通行",
        en="No passage (suspected)",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="现场试刷核实",
        advice_en="Test the gate on site",
        signs=(Sign(Unusual("passages", 5), Severity.P4, 7200),),
        suspected=True,
    ),
    Rule(
        code="GATE_OFFLINE",
        kind="gate",
        zh="门禁离线",
        en="Gate offline",
        severity=Severity.P3,
        party=Party.NETWORK,
        advice_zh="检查网络与电源",
        advice_en="Check network and power",
        signs=(Sign(Silent(), Severity.P3, delay_s=0, worse={"only_gate": Severity.P2}),),
    ),
    Rule(
        code="GATE_PANIC",
        kind="gate",
        zh="紧急按钮",
        en="Panic button",
        severity=Severity.P1,
        party=Party.PROPERTY,
        advice_zh="立即到场处置",
        advice_en="Go there at once",
        signs=(Sign(Happened("panic"), Severity.P1, delay_s=0),),
        acknowledge=True,
        safety=True,
    ),
    Rule(
        code="GATE_READER_OFFLINE",
        kind="gate",
        zh="读头离线",
        en="Reader offline",
        severity=Severity.P3,
        party=Party.VENDOR,
        advice_zh="检查读头接线",
        advice_en="Check reader wiring",
        signs=(Sign(Equals("reader_online", (False,), (True,)), Severity.P3, delay_s=60),),
    ),
    Rule(
        code="GATE_TAMPER",
        kind="gate",
        zh="防拆报警",
        en="Tamper",
        severity=Severity.P2,
        party=Party.PROPERTY,
        advice_zh="检查外壳并查看监控",
        advice_en="Check the housing and CCTV",
        signs=(
            Sign(Equals("tamper", (True,), (False,)), Severity.P2, delay_s=0),
            Sign(Equals("reader_tamper", (True,), (False,)), Severity.P2, delay_s=0),
        ),
    ),
)
