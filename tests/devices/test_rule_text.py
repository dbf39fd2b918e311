"""Rule files written by a program say the same, and only what was meant is changed."""

import pytest
from hypothesis import given, settings
from hypothesis.strategies import sampled_from, text

from devices.catalogue import RULES
from devices.overrides import Change, Overrides, Scope, named_signs
from devices.rule_files import read
from devices.rule_text import edited, has_comments, notes_of, written

FILE = """# summer
[[override]]
compound = "lvyun"
kind = "shed"
note = "agreed with 亚新"
[override.SHED_OVERTEMP]
raises = ">=75"
clears = "<65"
severity = "P3"
clear_delay_s = 600
[[override]]
PORT_OVERPOWER.repeated_times = 5
[[override]]
device = "x-gate-1"
GATE_HELD_OPEN.enabled = false
"""


def said(overrides: Overrides) -> set[tuple[Scope, str, str | None, str, object]]:
    return {(one.scope, one.code, one.sign, one.figure, one.value) for one in overrides.changes}


def test_what_is_written_reads_back_the_same() -> None:
    before = read(FILE, None)
    text = written(before.changes, notes_of(FILE))
    assert said(read(text, None)) == said(before)
    assert 'note = "agreed with 亚新"' in text
    assert (has_comments(FILE), has_comments(text)) == (True, False)
    assert written([], {}) == ""


def test_one_figure_is_changed_where_it_stands_and_nothing_else() -> None:
    before = read(FILE, None)
    rule = RULES["SHED_OVERTEMP"]
    after = edited(before, rule, Scope(compound="lvyun"), {("board_temp_c >=70", "raises"): ">=72"})
    place = Scope(compound="lvyun", kind="shed")
    assert said(after) - said(before) == {
        (place, "SHED_OVERTEMP", "board_temp_c >=70", "raises", ">=72")
    }
    assert len(after.changes) == len(before.changes), "not beside the one that was there"
    back = edited(after, rule, Scope(compound="lvyun"), {("board_temp_c >=70", "raises"): None})
    assert said(before) - said(back) == {
        (place, "SHED_OVERTEMP", "board_temp_c >=70", "raises", ">=75")
    }


def test_a_severity_of_all_signs_is_the_rules_own_and_of_one_of_several_is_not() -> None:
    rule = RULES["SHED_OVERTEMP"]
    signs = list(named_signs(rule))
    before = read(FILE, None)
    place = Scope(compound="lvyun", kind="shed")
    after = edited(before, rule, Scope(compound="lvyun"), {(signs[0], "severity"): "P2"})
    own = [one.value for one in after.changes if (one.sign, one.figure) == (None, "severity")]
    assert own == (["P2"] if len(signs) == 1 else [])
    text = written(after.changes, {})
    assert said(read(text, None)) == said(after)
    assert (place, "SHED_OVERTEMP", signs[0], "severity", "P2") in said(after)


def test_a_scope_that_says_nothing_yet_gets_a_place_of_its_own() -> None:
    after = edited(Overrides(), RULES["GATE_HELD_OPEN"], Scope(), {(None, "enabled"): False})
    assert said(after) == {(Scope(), "GATE_HELD_OPEN", None, "enabled", False)}
    assert said(read(written(after.changes, {}), None)) == said(after)


@settings(max_examples=50)
@given(text(min_size=1), text(), sampled_from(sorted(RULES)))
def test_any_name_and_note_are_written_so_that_they_read_back(
    name: str, note: str, code: str
) -> None:
    try:
        name.encode()
        note.encode()
    except UnicodeEncodeError:
        return  # no file can have these
    scope = Scope(compound=name)
    out = written([Change(scope, code, None, "enabled", True)], {scope: note})
    assert notes_of(out).get(scope) == note
    assert f"[override.{code}]" in out


@pytest.mark.parametrize("text", ["override = 3", "[[override]]\nnote = 3", "= nonsense", ""])
def test_what_has_no_notes_gives_none(text: str) -> None:
    assert notes_of(text) == {}
