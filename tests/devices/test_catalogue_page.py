"""The page of the documentation that is made from the fault catalogue."""

from pathlib import Path

import pytest

from devices.catalogue import PLATFORM, RULES
from devices.catalogue_page import page
from devices.overrides import sign_name

PAGE = Path(__file__).parents[2] / "docs" / "fault-catalogue.md"
TEXT = page()


def test_the_page_is_as_the_declarations_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == TEXT, (
        "the fault catalogue has changed; write its page anew with\n\n"
        "    .venv/bin/courtyard rules docs docs/fault-catalogue.md\n"
    )


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_fault_is_on_it_in_both_languages_with_its_signs(code: str) -> None:
    rule = RULES[code]
    block = TEXT.partition(f"### {code} {rule.zh} · {rule.en}\n")[2].partition("\n###")[0]
    assert rule.severity.value in block
    assert f"{rule.advice_zh} · {rule.advice_en}" in block
    assert ("**safety**" in block) is rule.safety
    assert ("**suspected**" in block) is rule.suspected
    if rule.kind != PLATFORM:
        assert rule.signs, f"{code} has no sign: how is it seen?"
    for sign in rule.signs:
        assert f"| `{sign_name(sign)}` |".replace("|", "\\|")[2:-2] in block


def test_a_row_says_what_is_seen_for_how_long_and_when_it_is_over() -> None:
    seen = "`board_temp_c` (主板温度 Board temperature, °C) is ≥ 70"
    assert f"| `board_temp_c >=70` | {seen} | 60 s | P2 | < 60 |" in TEXT


def test_no_row_is_broken_by_what_is_in_it() -> None:
    for line in TEXT.splitlines():
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") == 6, line
            assert "None" not in line
