"""What must hold for the repository as a whole."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from courtyard.cli import app
from courtyard.settings import SECRETS, Settings, load_settings, variable

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEEL_PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
TOOLS = {"bench", "chaos"}  # packages that are run from the repository and not shipped
DOCUMENTS = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md"]

# In pieces, so that this file does not find itself.
INDEX_HOSTS = re.compile(
    "|".join(
        re.escape("".join(pieces))
        for pieces in (
            ("py", "pi.org"),
            ("python", "hosted.org"),
            ("registry.", "npmjs"),
            ("proxy.", "golang.org"),
            ("/simp", "le/"),
        )
    )
)
MACHINE_PATHS = re.compile("|".join(("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]")))


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that git knows, or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=30,
    )
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    found = []
    for file in files:
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found += [
            f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def test_no_package_index_is_named_anywhere(tracked: list[Path]) -> None:
    assert lines_with(INDEX_HOSTS, tracked) == []


def test_no_path_of_somebodys_machine_is_in_the_tree(tracked: list[Path]) -> None:
    assert lines_with(MACHINE_PATHS, tracked) == []


def test_there_is_no_uv_lock_it_would_name_the_index(tracked: list[Path]) -> None:
    assert "uv.lock" not in {file.name for file in tracked}
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_everything_that_is_installed_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    requirements = [
        line for line in text.splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert len(requirements) > 20
    for requirement in requirements:
        assert re.match(r"[a-z0-9._-]+==\S+ ", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_the_wheel_has_every_package_and_no_other() -> None:
    found = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert found - TOOLS == set(WHEEL_PACKAGES)


def test_types_are_checked_in_every_package_and_in_the_tools() -> None:
    checked = set(PROJECT["tool"]["mypy"]["packages"])
    assert checked >= {*WHEEL_PACKAGES, *TOOLS}


def test_the_tests_have_no_init_files_they_would_shadow_the_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_verb_that_a_document_names_exists(document: str) -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named: set[str] = set()
    for command in re.findall(
        r"`make ([a-z -]+)`|^make ([a-z -]+)$", _text(document), re.MULTILINE
    ):
        named |= set(" ".join(command).split())
    assert named
    assert named <= verbs


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_links_to_exists(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", _text(document))
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []


def test_the_two_readmes_have_the_same_parts() -> None:
    english, chinese = _text("README.md"), _text("README.zh-CN.md")
    for shape in (r"^#{1,3} ", r"^```", r"^\| ", r"!\["):
        counts = [len(re.findall(shape, text, re.MULTILINE)) for text in (english, chinese)]
        assert counts[0] == counts[1], shape
    code = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    assert code.findall(english) == code.findall(chinese)


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_the_settings_are_all_in_the_table_with_their_defaults(document: str) -> None:
    rows = re.findall(r"^\| `(COURTYARD_\w+)` ?(¹?) \|([^|]*)\|", _text(document), re.MULTILINE)
    assert {name for name, _, _ in rows} == {variable(name) for name in Settings.model_fields}
    assert {name for name, mark, _ in rows if mark} == {variable(name) for name in SECRETS}
    assert load_settings({name: default.strip(" `") for name, _, default in rows}) == Settings()


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_the_commands_in_the_table_exist(document: str) -> None:
    named = re.findall(r"^\| `courtyard ([a-z ]+)` \|", _text(document), re.MULTILINE)
    assert len(named) > 5
    for words in named:
        command: Any = typer.main.get_command(app)
        for word in words.split():
            command = command.commands[word]


def test_what_make_lists_has_a_word_on_each_verb() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^([a-z-]+):.*## .", makefile, re.MULTILINE)
    assert sorted(phony[1].split()) == sorted(listed)


def _text(document: str) -> str:
    return (ROOT / document).read_text("utf-8")
