"""A day in words, on every channel and within its bytes."""

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from alerts.channels import alertmanager, apprise, dingtalk, feishu, webhook, wecom
from alerts.channels.answers import json_bytes
from alerts.channels.email import write
from alerts.message import Message
from alerts.texts import Digest, DigestGroup, cut_digest, plain, tell_summary
from devices.alerts import Language
from devices.registry import Name
from devices.rules import Severity
from devices.summaries import Counts, Lamps, OfCompound, Summary, Worst
from tests.alerts.cast import NOW_MS

LVYUN = Name("绿云小区", "Lüyun Compound")
OUT, DRIVER = Name("灯具不亮", "Lamp out"), Name("驱动故障", "Driver failure")
WORST = Worst(
    fault="3f9a1c",
    name=Name("烟雾报警", "Smoke"),
    severity=Severity.P1,
    safety=True,
    since_ms=NOW_MS - 7_200_000,
    compound=LVYUN,
    device="2 号充电棚",
    where="3 号楼 北侧",
)
DAY = Summary(
    day="2026-11-23",
    from_ms=NOW_MS - 86_400_000,
    to_ms=NOW_MS,
    timezone="Asia/Shanghai",
    firm="yaxin",
    firm_name=Name("亚新物业", "Yaxin"),
    counts=Counts(open=12, new=5, cleared=7, overdue=2, suspected=1),
    compounds=(OfCompound("lvyun", LVYUN, Counts(open=3, new=1)),),
    worst=(WORST,),
    lamps=(Lamps(LVYUN, "3 号楼", "2 单元", 4, ((OUT, 3), (DRIVER, 1))),),
)
# The names of devices and people are theirs: as long, and as hostile, as they like.
LARGE = replace(
    DAY,
    compounds=tuple(
        OfCompound(f"c{n}", Name("很长的小区名字" * 9, "long name " * 9), Counts(open=n))
        for n in range(400)
    ),
    worst=tuple(replace(WORST, device="[电棚](http://x)" * 20) for _ in range(10)),
    lamps=tuple(replace(DAY.lamps[0], building=f"{n} 号楼" * 9) for n in range(200)),
)
CONSOLE = "https://courtyard.example.org"


def of(summary: Summary, language: str = "zh") -> Message:
    return Message(
        "2026-11-23:summary:t1", Language(language), NOW_MS, summary=summary, console=CONSOLE
    )


def test_a_day_in_chinese() -> None:
    assert plain(of(DAY)).splitlines() == [
        "【日报】亚新物业 11-23：未恢复 12 · 超时 2 · 新增 5 · 恢复 7 · 疑似 1",
        "",
        "最严重的（1）",
        "- 【危急】烟雾报警 · 绿云小区 · 2 号充电棚 · 3 号楼 北侧 · 08:03:00 3f9a "
        f"{CONSOLE}/faults/3f9a1c",
        "",
        "各小区（1）",
        "- 绿云小区：未恢复 3 · 新增 1",
        "",
        "路灯与楼道灯（1）",
        "- 绿云小区 3 号楼 2 单元：灯具不亮 3 · 驱动故障 1",
        "",
        "楼院",
    ]


def test_a_day_in_english() -> None:
    text = plain(of(replace(DAY, firm=None, firm_name=None), "en"))
    first = "Daily summary: the district, 11-23: 12 open · 2 overdue · 5 new · 7 cleared · "
    assert text.startswith(first)
    assert "Critical: Smoke · Lüyun Compound" in text
    assert "Lüyun Compound 3 号楼 2 单元: Lamp out 3 · Driver failure 1" in text
    assert text.endswith("Courtyard")


def test_a_day_on_which_nothing_was_wrong_says_so() -> None:
    quiet = Summary("2026-11-23", 0, NOW_MS, "Asia/Shanghai")
    assert "没有未恢复的故障，也没有新增" in plain(of(quiet))
    assert "No fault stands, and none was new" in plain(of(quiet, "en"))


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("summary", [DAY, LARGE])
def test_it_fits_on_every_channel_and_ends_with_whole_lines(
    summary: Summary, language: str
) -> None:
    message = of(summary, language)
    told = {
        "dingtalk": (dingtalk.payload(message)[0].decode(), dingtalk.LIMITS),
        "wecom": (wecom.payload(message)[0], wecom.LIMITS),
        "feishu": (json_bytes(feishu.payload(message)[0]).decode(), feishu.LIMITS),
        "webhook": (webhook.payload(message)[0].decode(), webhook.LIMITS),
    }
    for channel, (text, limits) in told.items():
        assert len(text.encode()) <= (limits.max_bytes or 0), channel
        assert "http://x" not in text or channel == "webhook"
        assert (
            (summary is DAY)
            or channel == "webhook"
            or any(word in text for word in ("另有", "more"))
        )
        assert ("楼院" if language == "zh" else "Courtyard") in text
    mail = write(message, "alerts@example.org", ["a@example.org"])
    assert mail["Subject"].startswith("【日报】" if language == "zh" else "Daily summary")


def test_what_does_not_fit_is_counted_in_each_group() -> None:
    digest = tell_summary(of(LARGE))

    def length(groups: tuple[DigestGroup, ...]) -> int:
        return sum(len(line.text.encode()) for group in groups for line in group.lines)

    def fits(most: int, digest: Digest) -> bool:
        return length(digest.groups) <= most

    sizes = []
    for limit in (2_000, 8_000, 20_000):
        shorter = cut_digest(digest, partial(fits, limit), "zh")
        sizes.append(length(shorter.groups))
        assert sizes[-1] <= limit
        for group, whole in zip(shorter.groups, digest.groups, strict=True):
            shown = [line for line in group.lines if not line.text.startswith("另有")]
            left = len(whole.lines) - len(shown)
            assert tuple(shown) == whole.lines[: len(shown)]
            assert (group.lines[-1].text == f"另有 {left} 项") is (left > 0)
    assert all(less < more for less, more in pairwise(sizes))
    with pytest.raises(ValueError, match="too small"):
        cut_digest(digest, lambda _: False, "zh")


def test_a_webhook_gets_it_as_data() -> None:
    large = json.loads(webhook.payload(of(LARGE))[0])["data"]
    assert large["left_out"] == 600 - len(large["compounds"]) - len(large["lamps"]) > 0
    event = json.loads(webhook.payload(of(DAY))[0])
    assert event["type"] == "courtyard.summary"
    assert "subject" not in event
    data = event["data"]
    assert (data["day"], data["firm"], data["open"], data["overdue"]) == (
        "2026-11-23",
        "yaxin",
        12,
        2,
    )
    assert data["worst"][0]["id"] == "3f9a1c"
    assert data["lamps"][0]["faults"][0] == {
        "name": {"zh": "灯具不亮", "en": "Lamp out"},
        "count": 3,
    }
    assert data["text"] == plain(of(DAY))


def test_other_services_get_what_they_have_room_for() -> None:
    title, body, _ = apprise.written(of(DAY), 10_000)
    assert f"{title}\n\n{body}" == plain(of(DAY))
    for room in (4_000, 600, 140):
        title, body, _ = apprise.written(of(LARGE), room)
        assert len(title) + len(body) < room
        assert "未恢复 12" in title + body


def test_an_alertmanager_that_is_sent_one_sees_it_pass() -> None:
    (alert,) = json.loads(alertmanager.payload(of(DAY)))
    assert alert["labels"] == {"alertname": "CourtyardSummary", "severity": "none"}
