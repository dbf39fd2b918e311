"""The fault catalogue (domain.md §3.1): every fault that exists, by code.

What concerns one kind of device stands in its own file, `devices/kinds/<kind>.py`; here is what
concerns all of them, a whole compound, or courtyard itself. `signs` is empty where a threshold, a
state, an event or silence is not enough to see the fault.
"""

from collections.abc import Mapping
from types import MappingProxyType

from devices.kinds import camera, gate, gateway, lamp, lift, port, shed
from devices.kinds.kind import CLOCK_OFFSET
from devices.rules import (
    Beyond,
    Counted,
    Missing,
    NeverSeen,
    Party,
    Refused,
    Rule,
    Severity,
    Sign,
    Sparse,
    Together,
    Unusual,
)

ANY = "any"  # every kind of device
COMPOUND = "compound"
PLATFORM = "platform"

_ANY_RULES = (
    Rule(
        code="DEV_CLOCK_DRIFT",
        kind=ANY,
        zh="时钟偏差",
        en="Clock drift",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="校准设备时间",
        advice_en="Set the device clock or NTP",
        # of ten messages; one from before 2020 needs no others (see `ingest.judge.clocks`)
        signs=(Sign(Beyond(CLOCK_OFFSET.name, ">300", "<60"), Severity.P4, delay_s=600),),
        clear_delay_s=600,
    ),
    Rule(
        code="DEV_DATA_GAP",
        kind=ANY,
        zh="数据缺口",
        en="Data gap",
        severity=Severity.P4,
        party=Party.NETWORK,
        advice_zh="等待补传，检查通信",
        advice_en="Wait for replay; check the link",
        signs=(
            Sign(Missing(), Severity.P4, 3600),
            Sign(Sparse(0.9), Severity.P4, delay_s=0),  # the hour has passed when it is known
        ),
    ),
    Rule(
        # P2 is for quantities that are marked `safety`: a real fire looks implausible.
        code="DEV_IMPLAUSIBLE",
        kind=ANY,
        zh="数据异常",
        en="Implausible data",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="现场核实并检查传感器",
        advice_en="Verify on site; check the sensor",
        signs=(
            Sign(Refused(), Severity.P2, 0),
            Sign(Counted(Refused(), 3, within_s=600, reports=3), Severity.P4, delay_s=600),
        ),
        clear_delay_s=600,
    ),
    Rule(
        code="DEV_NEVER_SEEN",
        kind=ANY,
        zh="从未上线",
        en="Never seen",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="核对安装与配置",
        advice_en="Check installation and provisioning",
        signs=(Sign(NeverSeen(), Severity.P4, delay_s=86_400),),
    ),
    Rule(
        code="DEV_VALUE_FROZEN",
        kind=ANY,
        zh="数据冻结",
        en="Frozen reading (suspected)",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="重启或更换采集模块",
        advice_en="Restart or replace the meter module",
        signs=(Sign(Unusual("reports", 30), Severity.P4, 7200),),
        suspected=True,
    ),
)

_COMPOUND_RULES = (
    Rule(
        code="COMPOUND_POWER_CUT",
        kind=COMPOUND,
        zh="小区停电",
        en="Compound power cut",
        severity=Severity.P2,
        party=Party.GRID,
        advice_zh="联系供电，核对停电通知",
        advice_en="Call the grid; check outage notices",
        signs=(
            Sign(
                Together(power=True, share=0.7, least=5, evidence_s=120), Severity.P2, delay_s=120
            ),
        ),
        clear_delay_s=180,
    ),
)

# Raised and cleared by courtyard itself, at once; only operators see them.
_PLATFORM_RULES = (
    Rule(
        code="SYS_ACCOUNTS_IMBALANCE",
        kind=PLATFORM,
        zh="消息账目不平",
        en="Message accounts do not balance",
        severity=Severity.P1,
        party=Party.OPERATOR,
        advice_zh="可能已丢失消息：停止升级与清理，运行 courtyard doctor",
        advice_en="Messages may be lost: stop upgrades and clean-ups, run courtyard doctor",
    ),
    Rule(
        code="SYS_CLOCK_STEP",
        kind=PLATFORM,
        zh="服务器时钟跳变",
        en="Host clock stepped",
        severity=Severity.P2,
        party=Party.OPERATOR,
        advice_zh="检查服务器的时间同步",
        advice_en="Check the time synchronisation of the host",
    ),
    Rule(
        code="SYS_DISK",
        kind=PLATFORM,
        zh="磁盘空间不足或写入失败",
        en="Disk full or failing",
        severity=Severity.P1,
        party=Party.OPERATOR,
        advice_zh="立即释放空间或扩容，检查磁盘",
        advice_en="Free or add space at once; check the disk",
    ),
    Rule(
        code="SYS_JUDGE_BEHIND",
        kind=PLATFORM,
        zh="故障判断滞后",
        en="Judging is behind",
        severity=Severity.P2,
        party=Party.OPERATOR,
        advice_zh="检查数据库与处理器负载",
        advice_en="Check the database and the processor load",
    ),
    Rule(
        code="SYS_NOBODY_TOLD",
        kind=PLATFORM,
        zh="告警无人接收",
        en="An alert reached nobody",
        severity=Severity.P2,
        party=Party.OPERATOR,
        advice_zh="检查告警路由与通道",
        advice_en="Check alert routes and channels",
    ),
    Rule(
        code="SYS_PROBE_LOST",
        kind=PLATFORM,
        zh="自检消息未返回",
        en="Own probe does not return",
        severity=Severity.P2,
        party=Party.OPERATOR,
        advice_zh="检查消息服务器及其发布权限",
        advice_en="Check the broker and its permission to publish",
    ),
    Rule(
        code="SYS_SESSION_LOST",
        kind=PLATFORM,
        zh="消息服务器会话丢失",
        en="Broker session lost",
        severity=Severity.P2,
        party=Party.OPERATOR,
        advice_zh="检查消息服务器的持久化，核对数据缺口",
        advice_en="Check the broker's persistence; look for data gaps",
    ),
    Rule(
        code="SYS_STORE_AWAY",
        kind=PLATFORM,
        zh="存储不可用",
        en="A store is away",
        severity=Severity.P2,
        party=Party.OPERATOR,
        advice_zh="检查时序库与数据库的连接",
        advice_en="Check the telemetry store and the database",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.code: rule
        for rules in (
            _ANY_RULES,
            _COMPOUND_RULES,
            _PLATFORM_RULES,
            gate.RULES,
            shed.RULES,
            port.RULES,
            lamp.RULES,
            camera.RULES,
            lift.RULES,
            gateway.RULES,
        )
        for rule in rules
    }
)


def rules_for(kind: str) -> tuple[Rule, ...]:
    """Rules whose subject is a `kind`: its own, and for a device those of any device."""
    own = tuple(rule for rule in RULES.values() if rule.kind == kind)
    return own if kind in (ANY, COMPOUND, PLATFORM) else own + _ANY_RULES
