"""Lift: kept small; what matters is whether it runs and whether somebody is trapped in it.

Source: domain.md §2.6 and §3.1.
"""

from devices.kinds.gate import DOOR_STATES
from devices.kinds.kind import LINK, Kind, by_name, count, event, events, flag, state
from devices.rules import Equals, Follows, Happened, Party, Rule, Severity, Sign, Silent

LIFT = Kind(
    name="lift",
    zh="电梯",
    en="Lift",
    interval_s=60,
    silence_floor_s=180,
    quantities=by_name(
        *LINK,
        state("door_state", "门状态", "Door", *DOOR_STATES),
        count("floor", "楼层", "Floor", -5, 40),
        state("in_service", "运行", "In service"),
    ),
    events=events(event("trapped", "困人", "Person trapped", flag("active", required=True))),
)

RULES = (
    Rule(
        code="LIFT_OFFLINE",
        kind="lift",
        zh="电梯监测离线",
        en="Lift monitor offline",
        severity=Severity.P3,
        party=Party.NETWORK,
        advice_zh="检查监测终端",
        advice_en="Check the monitor",
        signs=(Sign(Silent(), Severity.P3, delay_s=0),),
    ),
    Rule(
        code="LIFT_STOPPED",
        kind="lift",
        zh="电梯停梯",
        en="Lift stopped",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="通知维保单位",
        advice_en="Call the lift maintainer",
        signs=(Sign(Equals("in_service", (False,), (True,)), Severity.P2, delay_s=60),),
        clear_delay_s=60,
    ),
    Rule(
        code="LIFT_TRAPPED",
        kind="lift",
        zh="电梯困人",
        en="Person trapped",
        severity=Severity.P1,
        party=Party.PROPERTY,
        advice_zh="立即安抚并启动救援",
        advice_en="Reassure and rescue at once",
        signs=(
            Sign(
                Happened(
                    "trapped", {"active": True}, over=(Follows("trapped", {"active": False}),)
                ),
                Severity.P1,
                delay_s=0,
            ),
        ),
        acknowledge=True,
        safety=True,
    ),
)
