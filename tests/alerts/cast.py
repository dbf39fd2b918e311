"""The cast of the alert tests: a smoking shed, who is told of it, and by which robot."""

from dataclasses import replace
from typing import Any

from alerts.message import Message, Notice
from alerts.outgoing import Outgoing, parse_allowed
from devices.alerts import ChannelName, Language, Target
from devices.faults import Why
from devices.registry import Contact, Name
from devices.rules import Severity

NOW_MS = 1_795_399_380_000  # 2026-11-23 10:03:00 in Beijing
SECRET = "SECd2f8a0b1c3e4"


def a_notice(**changes: Any) -> Notice:
    """Smoke in a charging shed, three minutes ago."""
    smoke = Notice(
        number="K7Q2",
        fault="3f9a1c",
        reason=Why.RAISED,
        at_ms=NOW_MS - 178_000,
        since_ms=NOW_MS - 180_000,
        code="SHED_SMOKE",
        name=Name("烟雾报警", "Smoke"),
        severity=Severity.P1,
        safety=True,
        firm="yaxin",
        compound="lvyun-xiaoqu",
        compound_name=Name("绿云小区", "Lüyun Compound"),
        device="lvyun-shed-2",
        device_name="2 号充电棚",
        kind="shed",
        where="3 号楼 北侧",
        responsible="property",
        advice=Name("立即断电并到场，必要时119", "Cut power, go there, call 119 if needed"),
        contacts=(
            Contact("李伟", "13800000001", "值班"),
            Contact("王芳", "13800000002", "项目经理"),
        ),
        evidence={"smoke": True, "board_temp_c": 71.5},
        impact={"sockets": 12, "sockets_left": 0, "sockets_total": 12, "charging": 4},
        link="https://courtyard.example.org/faults/3f9a1c",
    )
    return replace(smoke, **changes)


def many(count: int, **changes: Any) -> tuple[Notice, ...]:
    return tuple(
        a_notice(number=f"N{number:03d}", fault=f"f{number}", device=f"gate-{number}", **changes)
        for number in range(count)
    )


def a_message(*notices: Notice, language: str = "zh", **changes: Any) -> Message:
    """To be sent now; of the smoke, unless it is told of what else."""
    told = notices or (a_notice(),)
    return Message("3f9a1c:raised:dingtalk:t1", Language(language), NOW_MS, told, **changes)


def a_test(language: str = "zh") -> Message:
    return Message("test:t1", Language(language), NOW_MS)


def a_target(channel: str, url: str, *secrets: str, language: str = "zh") -> Target:
    return Target("t1", "值班群", ChannelName(channel), url, secrets, language=Language(language))


def clock() -> int:
    return NOW_MS


def to_here() -> Outgoing:
    return Outgoing(parse_allowed("127.0.0.1"))
