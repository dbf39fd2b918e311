"""Where a value stands in a TOML text."""

import tomllib
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.toml_lines import Path, line_of_error, lines_of

TEXT = '''
# a comment with = and [brackets]
title = "a # no comment"

[[override]]
compound = "lvyun-xiaoqu"   # 4 lines above
[override.SHED_OVERTEMP]
raises = ">=75"
sign."board_temp_c >=70".delay_s = 120

[[override]]
note = """
raises = "nothing"
a quote \\""" inside"""
LAMP_OVERTEMP = { delay_s = 600, "clears" = "<70" }
list = [
  1, # one
  { deep = 'it' },
]
  [override.GATE_TAMPER]
  enabled = false
'''


def test_every_key_of_every_table_has_its_line() -> None:
    lines = lines_of(TEXT)
    assert lines["title",] == 3
    assert lines["override", 0] == 5
    assert lines["override", 0, "compound"] == 6
    assert lines["override", 0, "SHED_OVERTEMP"] == 7
    assert lines["override", 0, "SHED_OVERTEMP", "raises"] == 8
    assert lines["override", 0, "SHED_OVERTEMP", "sign", "board_temp_c >=70", "delay_s"] == 9
    assert lines["override", 1] == 11
    assert lines["override", 1, "note"] == 12
    assert lines["override", 1, "LAMP_OVERTEMP", "clears"] == 15
    assert lines["override", 1, "list", 1, "deep"] == 18
    assert lines["override", 1, "GATE_TAMPER", "enabled"] == 21


def test_windows_line_ends_count_once() -> None:
    assert lines_of("a = 1\r\nb = 2\r\n") == {("a",): 1, ("b",): 2}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = ]", 2), ("a = 1\n\nb = '", 3), ("a = 1\na = 2", 2), ("[[x]\n", 1)],
)
def test_the_line_of_a_mistake_is_told(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        tomllib.loads(text)
    assert line_of_error(error.value, text) == line


def _paths(value: object, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _paths(inner, (*path, place))


_KEYS = st.sampled_from(["a", "b-1", '"c d"', "'e.f'", '"\\u0041"', "g.h", "i . 'j'"])
_VALUES = st.recursive(
    st.sampled_from(
        ["1", "true", "1979-05-27 07:32:00", '"#"', "'\"'", '"""\nx = 1\n\\""""""', "'''[a]\n''''"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda some: "[\n" + ", # ,]\n".join(some) + "\n]"),
        st.tuples(_KEYS, inner).map(lambda pair: "{" + f"{pair[0]} = {pair[1]}" + "}"),
    ),
    max_leaves=5,
)
_LINES = st.one_of(
    st.tuples(_KEYS, _VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.lists(_KEYS, min_size=1, max_size=3).map(lambda keys: f"[{'.'.join(keys)}]"),
    st.lists(_KEYS, min_size=1, max_size=2).map(lambda keys: f"[[ {'.'.join(keys)} ]]"),
    st.sampled_from(["", "  # comment [x] = ", "\t"]),
)


@given(st.lists(_LINES, max_size=8))
def test_nothing_that_tomllib_reads_is_without_a_line(statements: list[str]) -> None:
    text = "\n".join(statements)
    with suppress(tomllib.TOMLDecodeError):
        data = tomllib.loads(text)
        lines = lines_of(text)
        for path in _paths(data):
            assert 1 <= lines.get(path, _of_table(lines, path)) <= text.count("\n") + 1


def _of_table(lines: dict[Path, int], path: Path) -> int:
    """A table that only others name, and an array of tables, stand where the first of it stands."""
    return min(line for at, line in lines.items() if at[: len(path)] == path)
