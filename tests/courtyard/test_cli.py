"""The command line, in this process: usage, exit codes, and that every command explains itself."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from courtyard import cli
from courtyard.errors import DONE, FAILED, WRONG_USAGE
from devices.store.journal import JournalReader
from tests.brokers import HOST, free_port


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, below in getattr(command, "commands", {}).items():
        if getattr(below, "invoke_without_command", False):
            yield (*words, name)
        if getattr(below, "commands", None):
            yield from commands(below, (*words, name))
        else:
            yield (*words, name)


COMMANDS = list(commands(typer.main.get_command(cli.app)))


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("COURTYARD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURTYARD_DATA_DIR", str(tmp_path / "data"))


def run(*argv: str) -> int:
    return cli._run(lambda: cli.app(list(argv)))


def test_the_commands_are_those_of_the_documentation() -> None:
    assert {" ".join(words) for words in COMMANDS} == {
        "demo",
        "ingest",
        "api",
        "alerts",
        "alerts dry-run",
        "simulate",
        "backfill",
        "exports",
        "registry import",
        "registry export",
        "registry imports",
        "registry undo",
        "registry template",
        "registry unknown",
        "registry retire",
        "registry restore",
        "rules check",
        "rules import",
        "rules export",
        "rules show",
        "rules dry-run",
        "rules docs",
        "usage correct",
        "usage recount",
        "usage corrections",
        "token create",
        "user add",
        "user list",
        "user password",
        "user disable",
        "user enable",
        "audit verify",
        "db upgrade",
        "doctor",
        "report",
        "backup",
        "restore",
        "replay",
        "score",
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--help") == DONE
    shown = capsys.readouterr().out
    assert f"Usage: courtyard {' '.join(words)}" in shown or "Usage:" in shown
    if words not in (("backfill",), ("exports",)):  # parts of others, not for people
        assert "Example" in shown
        assert f"courtyard {' '.join(words)}" in " ".join(shown.split())


@pytest.mark.parametrize(
    "argv",
    [
        ["ingest", "--only", "dream"],
        ["simulate", "--duration", "long"],
        ["simulate", "--start", "2026-11-23T00:00:00Z"],
        ["simulate", "--start", "2026-11-23T00:00:00", "--journal", "x.db", "--duration", "1h"],
        ["simulate", "--journal", "x.db"],
        ["simulate", "--rates", "wild"],
        ["simulate", "--vendors", "2"],
        [
            *("simulate", "--scenario", "elsewhere", "--journal", "x.db"),
            *("--start", "2026-11-23T00:00:00Z", "--duration", "1h"),
        ],
        ["simulate", "--scenario", "terrible-day", "--compounds", "3"],
        ["score"],
        ["score", "--truth", "x.jsonl", "--scenario", "calm-week"],
        ["score", "--scenario", "elsewhere"],
        ["registry", "import", "devices.csv", "--vendors", "0.5"],
        ["token", "create"],
        ["token", "create", "--role", "king"],
        ["token", "create", "--role", "firm"],
        ["token", "create", "--role", "viewer", "--firm", "yaxin"],
        ["token", "create", "--role", "firm", "--firm", "nobody"],
        ["user", "add", "li-min"],
        ["user", "add", "li-min", "--role", "firm"],
        ["user", "add", "li-min", "--role", "operator"],  # no terminal to ask for a password at
        ["audit", "verify", "--expect", "twelve"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*argv) == WRONG_USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.strip()
    assert "Traceback" not in told.err
    assert not Path("x.db").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["registry", "import", "no-such-file.json"],
        ["simulate"],
        ["registry", "export", "/no/such/directory/registry.json"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_exit_code_1_and_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*argv) == FAILED
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.strip().splitlines()
    assert line.startswith("courtyard: ")


def test_a_database_that_does_not_answer_is_exit_code_1_and_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"postgresql://courtyard:secret@{HOST}:{free_port()}/courtyard"
    monkeypatch.setenv("COURTYARD_DATABASE_URL", nowhere)
    assert run("db", "upgrade") == FAILED
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("courtyard: the database does not answer: ")
    assert "secret" not in line


def test_a_token_and_nothing_else_is_on_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("token", "create", "--role", "operator") == DONE
    shown = capsys.readouterr().out
    assert shown == shown.strip() + "\n"
    assert shown.startswith("cy_")


def test_importing_twice_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("registry", "import", "erqi", "--compounds", "2") == DONE
    assert "devices added" in capsys.readouterr().out
    assert run("registry", "import", "erqi", "--compounds", "2") == DONE
    assert capsys.readouterr().out.startswith("nothing changed")
    file = tmp_path / "registry.json"
    assert run("registry", "export", str(file)) == DONE
    assert run("registry", "import", str(file)) == DONE
    assert capsys.readouterr().out.startswith("nothing changed")


def test_a_broken_registry_names_every_problem_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "devices.csv"
    file.write_text(
        "id,kind,compound,interval_s\ngate-1,gate,nowhere,30\nGate 2,door,lvyun-xiaoqu,0\n"
    )
    assert run("registry", "import", str(file)) == FAILED
    told = capsys.readouterr().err
    assert "line 2" in told
    assert "line 3" in told
    assert "Traceback" not in told
    export = tmp_path / "after.json"
    assert run("registry", "export", str(export)) == DONE
    assert "gate-1" not in export.read_text()


def test_doctor_on_an_empty_machine_finds_nothing_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("doctor") == DONE
    shown = capsys.readouterr().out
    assert "BAD" not in shown
    assert "sqlite" in shown


def test_an_hour_is_simulated_into_a_journal_with_its_truth(tmp_path: Path) -> None:
    file, truth = tmp_path / "hour.db", tmp_path / "hour.jsonl"
    argv = ["simulate", "--compounds", "2", "--rates", "demo", "--journal", str(file)]
    argv += ["--start", "2026-11-23T18:00:00+08:00", "--duration", "1h", "--truth", str(truth)]
    assert run(*argv) == DONE
    with JournalReader(file) as reader:
        assert reader.head().jseq > 100
        first = reader.read(0, 3)
    assert [record.kind for record in first[:2]] == ["start", "link"]
    assert '"kind"' in truth.read_text()
    assert run(*argv) == FAILED, "the file is there already"
