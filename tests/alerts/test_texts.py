"""Messages in words, in both languages, and what is left out when they are too long."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.texts import Tone, cut, line, mentioned, merged, plain, safe_link, tell, tell_digest
from devices.faults import Why
from devices.registry import Name
from devices.rules import Severity
from tests.alerts.cast import NOW_MS, a_message, a_notice, a_test, many


def test_a_raised_fault_says_what_where_since_when_who_and_what_to_do() -> None:
    assert plain(a_message()).splitlines() == [
        "【危急】烟雾报警，绿云小区",
        "地点：绿云小区 3 号楼 北侧",
        "设备：2 号充电棚 · 充电棚控制器",
        "发生：11-23 10:00:00",
        "已持续：3 分",
        "注意：安全类故障，须人工确认",
        "影响：12/12 个插座，余 0；4 辆在充",
        "处理：立即断电并到场，必要时119",
        "责任：物业",
        "依据：烟雾 是；主板温度 71.5 °C",
        "联系人：李伟（值班）13800000001；王芳（项目经理）13800000002",
        "编号：K7Q2",
        "https://courtyard.example.org/faults/3f9a1c",
        "楼院",
    ]


def test_the_same_in_english_names_the_offset_of_its_times() -> None:
    assert plain(a_message(language="en")).splitlines() == [
        "Critical: Smoke, Lüyun Compound",
        "Place: Lüyun Compound 3 号楼 北侧",
        "Device: 2 号充电棚 · E-bike shed controller",
        "Began: 11-23 10:00:00 UTC+8",
        "For: 3 min",
        "Attention: a safety fault, which a person must acknowledge",
        "Impact: 12 of 12 sockets, 0 left; 4 charging",
        "Do: Cut power, go there, call 119 if needed",
        "Responsible: Property firm",
        "Evidence: Smoke Yes; Board temperature 71.5 °C",
        "Contacts: 李伟 (值班) 13800000001; 王芳 (项目经理) 13800000002",
        "Number: K7Q2",
        "https://courtyard.example.org/faults/3f9a1c",
        "Courtyard",
    ]


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        ({}, "【危急】烟雾报警，绿云小区", "Critical: Smoke, Lüyun Compound"),
        ({"reason": Why.REOPENED}, "【危急·再次发生】", "Critical, came back:"),
        ({"reason": Why.WORSENED}, "【危急·加重】", "Critical, got worse:"),
        ({"reason": Why.CONFIRMED}, "【危急·核实属实】", "Critical, confirmed:"),
        ({"reason": Why.SHELF_ENDED}, "【危急·搁置到期，仍未恢复】", "Critical, shelf ended"),
        ({"reason": Why.MAINTENANCE_ENDED}, "【危急·维护结束", "Critical, maintenance ended"),
        ({"reason": Why.RELEASED}, "【危急·上级已恢复，此处仍未恢复】", "Critical, its root"),
        ({"reason": Why.OVER}, "【危急·已恢复】烟雾报警", "Critical, over: Smoke"),
        ({"reason": Why.CLOSED}, "【危急·已关闭】", "Critical, closed:"),
        ({"reason": Why.RETIRED}, "【危急·设备变更，已关闭】", "Critical, device changed"),
        ({"reason": Why.RECLASSIFIED}, "【危急·改判为其他原因", "Critical, another cause"),
        ({"is_over": True}, "【危急·已恢复】", "Critical, over:"),
        ({"is_over": True, "reason": Why.REOPENED}, "【危急·再次发生·已恢复】", "Critical, came"),
        ({"suspected": True, "safety": False}, "【疑似】", "Suspected:"),
        ({"severity": Severity.P3}, "【一般】", "Minor:"),
        ({"reason": Why.ACKNOWLEDGED}, "【危急·确认】", "Critical, acknowledged:"),
        (
            {"reason": Why.ESCALATED, "level": 2},
            "【危急·无人确认，升级第 2 级】",
            "Critical, unanswered, escalated to level 2:",
        ),
        ({"reason": Why.REMINDED}, "【危急·仍无人确认】", "Critical, still unanswered:"),
        ({"compound": None, "device": None}, "【危急】烟雾报警，本系统", "Critical: Smoke, Our"),
    ],
)
def test_a_headline_says_what_happened(changes: dict[str, object], zh: str, en: str) -> None:
    notice = a_notice(**changes)
    assert tell(a_message(notice), notice).headline.startswith(zh)
    assert tell(a_message(notice, language="en"), notice).headline.startswith(en)


def test_every_reason_can_be_told() -> None:
    for reason in Why:
        for language in ("zh", "en"):
            notice = a_notice(reason=reason)
            assert "{" not in plain(a_message(notice, language=language))


def test_what_is_over_says_how_long_it_lasted_and_leaves_out_what_to_do() -> None:
    notice = a_notice(reason=Why.OVER, at_ms=NOW_MS - 60_000)
    text = plain(a_message(notice))
    assert "共持续：2 分" in text
    assert "注意：已恢复，仍须人工确认" in text
    assert "处理" not in text
    assert "13800000001" not in text
    assert tell(a_message(notice), notice).tone is Tone.GOOD


def test_who_closed_it_and_why_is_told() -> None:
    text = plain(a_message(a_notice(reason=Why.CLOSED, actor="li-wei", note="误报\n已查")))
    assert "处理人：li-wei" in text
    assert "说明：误报 已查" in text


def test_what_is_escalated_says_for_how_long_nobody_has_answered() -> None:
    notice = a_notice(reason=Why.ESCALATED, level=1, unanswered_s=306)
    assert "注意：通知后 5 分 6 秒 无人确认，请立即确认" in plain(a_message(notice))
    assert "nobody has acknowledged it for 5 min" in plain(a_message(notice, language="en"))
    over = plain(a_message(replace(notice, is_over=True)))
    assert "仍须人工确认" in over
    assert "共持续" not in over


def test_suspected_and_late_say_so() -> None:
    text = plain(a_message(a_notice(safety=False, suspected=True, late=True)))
    assert "注意：疑似故障，由数据推断，须现场核实" in text
    assert "注意：补传数据" in text


def test_a_guess_is_told_in_a_sentence_and_not_in_figures() -> None:
    evidence = {"usual": 14.0, "from": "07:00", "to": "08:00", "seen": 0, "for_s": 7200}
    notice = a_notice(code="GATE_NO_PASSAGE", kind="gate", suspected=True, evidence=evidence)
    assert "依据：在线，2 小时内 0 次通行" in plain(a_message(notice))


def test_times_are_those_of_the_compound() -> None:
    notice = a_notice(timezone="Europe/Berlin", since_ms=NOW_MS - 300 * 86_400_000)
    assert "发生：01-27 03:03:00 UTC+1" in plain(a_message(notice))
    assert "UTC+0" in plain(a_message(a_notice(timezone="Nowhere/Else")))


def test_a_test_says_that_nothing_is_wrong() -> None:
    assert plain(a_test()).startswith("【测试】告警能送到这里\n时间：11-23 10:03:00\n")
    assert "nothing is wrong" in plain(a_test("en"))


def test_a_digest_groups_by_compound_with_safety_first() -> None:
    other = {"compound": "erqi-yuan", "compound_name": Name("二七院", "Erqi Yard")}
    dark = {"safety": False, "severity": Severity.P3, "name": Name("灯具不亮", "Lamp out")}
    notices = (
        a_notice(number="A", fault="a", **dark),
        a_notice(number="B", fault="b", reason=Why.OVER, **dark, **other),
        a_notice(number="C", fault="c", suspected=True, **dark),
        a_notice(number="D", fault="d", **other),
    )
    digest = tell_digest(a_message(*notices), notices)
    assert digest.headline == "【汇总】3 条告警：危急 1 · 一般 1 · 疑似 1；1 条恢复"
    assert digest.tone is Tone.CRITICAL
    night = a_message(*notices, language="en", is_overnight=True)
    assert tell_digest(night, notices).headline.startswith("Overnight digest: 3 alerts: ")
    assert [group.title for group in digest.groups] == ["二七院（2）", "绿云小区（2）"]
    assert [[one.number for one in group.lines] for group in digest.groups] == [
        ["D", "B"],
        ["A", "C"],
    ]
    english = tell_digest(a_message(*notices, language="en"), notices)
    assert english.headline == "Digest: 3 alerts: 1 critical · 1 minor · 1 suspected; 1 over"


def test_what_came_and_went_is_one_story() -> None:
    raised = a_notice(number="3f9a-17", is_over=True)
    over = a_notice(number="3f9a-19", reason=Why.OVER, at_ms=NOW_MS - 60_000)
    (told,) = merged((raised, over))
    assert told.number == "3f9a-17"
    text = plain(a_message(raised, over))
    assert text.startswith("【危急·已恢复】烟雾报警，绿云小区\n")
    assert "共持续：2 分" in text
    closed = a_notice(reason=Why.CLOSED, actor="li-wei")
    assert plain(a_message(raised, closed)).startswith("【危急·已关闭】")
    worse = a_notice(reason=Why.WORSENED)
    assert plain(a_message(a_notice(), worse)).startswith("【危急·加重】")


def test_a_digest_has_one_line_a_fault() -> None:
    notices = (*many(3), *many(2, reason=Why.OVER))
    digest = tell_digest(a_message(*notices), notices)
    assert digest.headline == "【汇总】1 条告警：危急 1；2 条恢复"
    assert [one.number for one in digest.groups[0].lines] == ["N002", "N000", "N001"]


def test_a_digest_says_nothing_of_notices_that_are_not_in_it() -> None:
    notices = many(5)
    digest = tell_digest(a_message(*notices), notices[:2])
    assert "2 条告警" in digest.headline
    assert [one.number for one in digest.groups[0].lines] == ["N000", "N001"]


def test_lists_are_cut_before_lines_and_evidence_before_contacts() -> None:
    telling = tell(a_message(), a_notice())
    seen = []

    def fits(shorter: object) -> bool:
        seen.append(shorter)
        return len(seen) == 4

    shorter = cut(telling, fits)
    assert (len(shorter.evidence), len(shorter.contacts)) == (0, 1)
    assert shorter.rows == telling.rows
    assert shorter.number == "K7Q2"


def test_a_limit_that_nothing_fits_is_an_error() -> None:
    with pytest.raises(ValueError, match="too small"):
        cut(tell(a_message(), a_notice()), lambda _: False)


@given(st.integers(0, 60))
def test_as_many_notices_are_mentioned_as_fit(fit: int) -> None:
    assert mentioned(many(50), lambda some: len(some) <= fit) == min(max(fit, 1), 50)


@settings(max_examples=100)
@given(st.text(max_size=80), st.integers(1, 20))
def test_foreign_text_is_one_clean_line_of_whole_characters(text: str, most: int) -> None:
    shown = line(text, most)
    assert len(shown) <= most
    assert "\n" not in shown
    assert "\r" not in shown
    assert "\u202e" not in shown
    shown.encode()


def test_text_is_not_cut_between_a_letter_and_its_accent() -> None:
    assert line("ab" + "e\u0301" * 9, 4) == "ab…"


@pytest.mark.parametrize(
    ("link", "safe"),
    [
        ("https://a.b/faults/1?x=y", "https://a.b/faults/1?x=y"),
        ("https://a.b/x)](https://evil)", "https://a.b/x%29%5D%28https://evil%29"),
        ('https://a.b/"><b>', "https://a.b/%22%3E%3Cb%3E"),
        ("javascript:alert(1)", None),
        (None, None),
        ("https://a.b/" + "x" * 700, None),
    ],
)
def test_a_link_cannot_end_its_markup(link: str | None, safe: str | None) -> None:
    assert safe_link(link) == safe


def test_a_very_long_note_does_not_cost_the_number() -> None:
    notice = replace(a_notice(), note="说" * 5000, device_name="名" * 5000)
    text = plain(a_message(notice))
    assert "编号：K7Q2" in text
    assert len(text) < 1000
