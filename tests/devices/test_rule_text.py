"""Rule files written by a program say the same, and only what was meant is changed."""

import difflib

import pytest
from hypothesis import given, settings
from hypothesis.strategies import DataObject, data, sampled_from, text

from devices.catalogue import RULES
from devices.overrides import Change, Overrides, Scope, named_signs
from devices.rule_files import read
from devices.rule_text import Figures, edited, notes_of, rewritten, written

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


COMMENTED = """# what we agreed with the firms

# Lvyun: steel boxes in full sun
[[override]]            # asked for by Mr Wang
kind = "shed"
compound = "lvyun"
note = "agreed with 亚新"

# measured in July
[override.SHED_OVERTEMP]
raises = ">=75"    # was 70
clears = "<65"

clear_delay_s = 600

# their card is weak
[override.SHED_WEAK_SIGNAL.sign."csq <10"]
raises = "<8"


# pedestrian gates
[[override]]
device = "x-gate-1"
[override.GATE_HELD_OPEN]
enabled = false  # a shop's door

# the end
"""
LVYUN = Scope(compound="lvyun", kind="shed")
BOX = "board_temp_c >=70"


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """What is gone, and what is new."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    told = [line for line in lines if line[:1] in "+-"]
    return (
        [line[2:] for line in told if line[0] == "-"],
        [line[2:] for line in told if line[0] == "+"],
    )


def with_change(code: str, scope: Scope, sign: str | None, figure: str, value: object) -> str:
    before = read(COMMENTED, None)
    wanted = {(sign, figure): value}
    after = edited(before, RULES[code], scope, wanted)  # type: ignore[arg-type]
    text = rewritten(COMMENTED, after)
    assert said(read(text, None)) == said(after)
    return text


def test_a_file_comes_back_with_only_the_changed_value_different() -> None:
    text = with_change("SHED_OVERTEMP", LVYUN, BOX, "raises", ">=72")
    assert changed_lines(COMMENTED, text) == (
        ['raises = ">=75"    # was 70'],
        ['raises = ">=72"    # was 70'],
    )


def test_without_a_change_a_file_is_the_same_to_the_byte() -> None:
    for file in (COMMENTED, COMMENTED.replace("\n", "\r\n"), FILE, "", "# nothing yet\n"):
        assert rewritten(file, read(file, None)) == file


def test_line_ends_stay_as_they_are() -> None:
    text = COMMENTED.replace("\n", "\r\n")
    wanted: Figures = {(BOX, "raises"): ">=72"}
    after = edited(read(text, None), RULES["SHED_OVERTEMP"], LVYUN, wanted)
    assert rewritten(text, after) == text.replace('">=75"', '">=72"')


def test_a_figure_that_goes_takes_its_line_and_no_comment_of_others() -> None:
    text = with_change("SHED_OVERTEMP", LVYUN, None, "clear_delay_s", None)
    assert changed_lines(COMMENTED, text) == (["clear_delay_s = 600"], [])


def test_the_last_figure_of_a_table_takes_its_header_and_that_of_an_entry_the_entry() -> None:
    sign = "csq <10"
    before = read(COMMENTED, None)
    after = edited(before, RULES["SHED_WEAK_SIGNAL"], LVYUN, {(sign, "raises"): None})
    text = rewritten(COMMENTED, after)
    gone, new = changed_lines(COMMENTED, text)
    assert new == []
    assert gone == [f'[override.SHED_WEAK_SIGNAL.sign."{sign}"]', 'raises = "<8"']
    text = with_change("GATE_HELD_OPEN", Scope(device="x-gate-1"), None, "enabled", None)
    gone, new = changed_lines(COMMENTED, text)
    assert new == []
    assert gone == [
        *("[[override]]", 'device = "x-gate-1"', "[override.GATE_HELD_OPEN]"),
        "enabled = false  # a shop's door",
    ]


@pytest.mark.parametrize(
    ("code", "scope", "sign", "figure", "value", "new"),
    [
        ("SHED_OVERTEMP", LVYUN, BOX, "delay_s", 120.0, ["delay_s = 120.0"]),
        ("SHED_LEAKAGE", LVYUN, "leakage_ma >=30", "raises", ">=20",
         ["", '[override.SHED_LEAKAGE.sign."leakage_ma >=30"]', 'raises = ">=20"']),
        ("GATE_OFFLINE", Scope(vendor="捷顺", model="D-1"), None, "clear_delay_s", 30.0,
         ["", "[[override]]", 'model = "D-1"', 'vendor = "捷顺"',
          "[override.GATE_OFFLINE]", "clear_delay_s = 30.0"]),
    ],
)  # fmt: skip
def test_a_new_figure_is_only_added(
    code: str, scope: Scope, sign: str | None, figure: str, value: object, new: list[str]
) -> None:
    gone, added = changed_lines(COMMENTED, with_change(code, scope, sign, figure, value))
    assert gone == []
    if code == "SHED_OVERTEMP":  # the rule says it of its signs one by one
        new = [f'[override.SHED_OVERTEMP.sign."{BOX}"]', *new]
    assert [line for line in added if line] == [line for line in new if line]


def test_what_cannot_be_changed_in_place_is_written_anew_with_its_comments() -> None:
    before = read(FILE, None)
    signs = list(named_signs(RULES["SHED_OVERTEMP"]))
    wanted: Figures = {(signs[0], "severity"): "P2"}  # the file says P3 once, for all of them
    after = edited(before, RULES["SHED_OVERTEMP"], Scope(compound="lvyun"), wanted)
    text = rewritten(FILE, after)
    assert said(read(text, None)) == said(after)
    assert text.startswith("# summer\n")


@settings(max_examples=60, deadline=None)
@given(data())
def test_whatever_is_changed_the_file_says_just_that_and_keeps_its_comments(
    draw: DataObject,
) -> None:
    rule = RULES[draw.draw(sampled_from(("SHED_OVERTEMP", "SHED_WEAK_SIGNAL", "SHED_OVERVOLT")))]
    scope = draw.draw(sampled_from((Scope(), LVYUN, Scope(vendor="v"), Scope(device="x-shed-1"))))
    sign = draw.draw(sampled_from(list(named_signs(rule))))
    value = draw.draw(sampled_from((None, 60.0, 90.0)))
    before = read(COMMENTED, None)
    after = edited(before, rule, scope, {(sign, "delay_s"): value})
    text = rewritten(COMMENTED, after)
    assert said(read(text, None)) == said(after)
    for comment in ("# what we agreed", "# Lvyun", "# measured in July", "# pedestrian gates"):
        assert comment in text
