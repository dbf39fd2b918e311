"""The texts of the console: each word once, each list in use, the same values in both languages."""

import ast
import string
from collections import Counter
from pathlib import Path

import pytest

import api.texts
from api.words import LISTS
from devices.words import TEXTS

FILES = sorted(
    path for path in Path(api.texts.__path__[0]).glob("*.py") if path.name != "__init__.py"
)


def written(path: Path) -> list[str]:
    """Keys of the texts as they stand in a file, those that stand twice as well."""
    (texts,) = (
        node.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
    )
    return [str(ast.literal_eval(key)) for key in texts.keys if key is not None]


def fields(text: str) -> Counter[str]:
    return Counter(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_no_text_stands_for_two_things() -> None:
    words = Counter(word for path in FILES for word in written(path)) + Counter(TEXTS.keys())
    assert [word for word, times in words.items() if times > 1] == []


def test_every_list_is_read() -> None:
    assert {Path(str(texts.__file__)) for texts in LISTS} == set(FILES)


@pytest.mark.parametrize("texts", LISTS, ids=lambda texts: str(texts.__name__))
def test_both_languages_are_told_the_same_values(texts: object) -> None:
    lists: dict[str, tuple[str, str]] = texts.TEXTS  # type: ignore[attr-defined]
    assert [word for word, (zh, en) in lists.items() if set(fields(zh)) != set(fields(en))] == []
