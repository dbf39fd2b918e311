"""Signs of rules in words, for people who never saw a rule file."""

import re

import pytest

from api.console.rule_words import delay, level, sign_words, span
from devices.catalogue import RULES
from devices.overrides import named_signs
from devices.rules import Rule, Sign

EVERY = [
    pytest.param(rule, name, sign, id=f"{rule.code} {name}")
    for rule in RULES.values()
    for name, sign in named_signs(rule).items()
]
RAW = re.compile(r"[a-z]+_[a-z]+|[<>]=|\||neverseen|together(?!:)|unusual|=")


@pytest.mark.parametrize(("rule", "name", "sign"), EVERY)
def test_every_sign_is_told_without_a_word_of_the_rule_file(
    rule: Rule, name: str, sign: Sign
) -> None:
    for language in ("zh", "en"):
        told = sign_words(language, rule, sign)
        assert told
        assert not RAW.search(told), (name, told)
        if language == "zh":
            assert re.search(r"[\u4e00-\u9fff]", told), told


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (1, "1 秒", "1 s"),
        (90, "90 秒", "90 s"),
        (300, "5 分", "5 min"),
        (5400, "1 小时 30 分", "1 h 30 min"),
        (7200, "2 小时", "2 h"),
        (604_800, "7 天", "7 d"),
    ],
)
def test_a_length_of_time_has_the_unit_that_fits(seconds: float, zh: str, en: str) -> None:
    assert (span("zh", seconds), span("en", seconds)) == (zh, en)


def test_no_delay_is_at_once() -> None:
    assert (delay("zh", 0), delay("en", 0)) == ("立即", "At once")


@pytest.mark.parametrize(
    ("text", "unit", "told"),
    [
        (">=70", "°C", "≥ 70 °C"),
        ("<187", "V", "< 187 V"),
        ("198..242", "V", "198–242 V"),
        (">36000", "s", "> 10 h"),
        ("<-60", "s", "< -60 s"),
        ("<0.8", "", "< 0.8"),
    ],
)
def test_a_limit_has_its_unit(text: str, unit: str, told: str) -> None:
    assert level("en", text, unit) == told
