"""Users on the command line, and the code that makes the first one."""

import io
import os
import re
from pathlib import Path

import pytest
from sqlalchemy import text

from courtyard import cli
from courtyard.audit import by_command, verify_log
from courtyard.doctor import audit_log
from courtyard.errors import DONE, FAILED, CommandError, UsageError
from courtyard.settings import Settings, load_settings
from courtyard.stores import open_operational
from courtyard.users import (
    Wanted,
    add_user,
    disable_user,
    enable_user,
    list_users,
    set_password,
    setup_code,
)
from devices.store import users
from devices.store.audit_log import Filter, list_rows
from devices.store.database import reading, writing
from tests.api.cast import PASSWORD, PASSWORDS

LI = Wanted("li-min", "李敏", "operator", None, None)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_dir: Path) -> Settings:
    for name in list(os.environ):
        if name.startswith("COURTYARD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURTYARD_DATA_DIR", str(data_dir))
    return load_settings(os.environ)


def recorded(settings: Settings) -> list[tuple[str, str, str]]:
    engine = open_operational(settings)
    with reading(engine) as connection:
        rows = list_rows(connection, Filter())
    engine.dispose()
    return [(row.actor, row.resource, row.subject) for row in rows][::-1]


def test_a_user_is_made_listed_and_gets_another_password(settings: Settings) -> None:
    assert "li-min" in add_user(settings, LI, PASSWORD, "root", PASSWORDS)
    (line,) = list_users(settings)
    assert line.split() == ["li-min", "operator", "-", "active", "李敏"]
    set_password(settings, "LI-MIN", "another battery horse", "root", PASSWORDS)
    engine = open_operational(settings)
    with reading(engine) as connection:
        known = users.password_of(connection, "li-min")
    engine.dispose()
    assert known is not None
    assert PASSWORDS.is_right("another battery horse", known[1])
    assert recorded(settings) == [
        ("root", "courtyard user add", "li-min"),
        ("root", "courtyard user password", "li-min"),
    ]


@pytest.mark.parametrize(
    ("wanted", "password", "told"),
    [
        (Wanted("李敏", "", "operator", None, None), PASSWORD, "no user name"),
        (Wanted("wang", "", "firm", "nobody", None), PASSWORD, "no firm 'nobody'"),
        (Wanted("wang", "", "operator", None, None), "short", "at least 12"),
        (Wanted("wang", "", "operator", None, None), "wang-wang-wang", "name of its owner"),
        (LI, PASSWORD, "already"),
    ],
)
def test_who_cannot_be_a_user_is_told_and_not_recorded(
    settings: Settings, wanted: Wanted, password: str, told: str
) -> None:
    add_user(settings, LI, PASSWORD, "root", PASSWORDS)
    with pytest.raises(UsageError, match=told):
        add_user(settings, wanted, password, "root", PASSWORDS)
    assert len(recorded(settings)) == 1


def test_a_user_is_disabled_and_comes_back_but_for_the_last_operator(settings: Settings) -> None:
    add_user(settings, LI, PASSWORD, "root", PASSWORDS)
    with pytest.raises(CommandError, match="last operator"):
        disable_user(settings, "li-min", "root")
    add_user(settings, Wanted("zhao", "", "operator", None, "en"), PASSWORD, "root", PASSWORDS)
    disable_user(settings, "li-min", "root")
    assert "disabled" in next(list_users(settings))
    enable_user(settings, "li-min", "root")
    assert "active" in next(list_users(settings))
    with pytest.raises(CommandError, match="no user 'nobody'"):
        disable_user(settings, "nobody", "root")


def test_there_is_a_set_up_code_until_there_is_somebody(settings: Settings) -> None:
    engine = open_operational(settings)
    codes = {setup_code(engine), setup_code(engine)}
    assert None not in codes
    assert len(codes) == 2
    add_user(settings, LI, PASSWORD, "root", PASSWORDS)
    assert setup_code(engine) is None
    engine.dispose()


def test_a_password_comes_from_standard_input_and_is_nowhere_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    argv = ["user", "add", "li-min", "--role", "operator", "--password-stdin"]
    assert cli._run(lambda: cli.app(argv)) == DONE
    shown = capsys.readouterr()
    assert "li-min is there" in shown.out
    assert PASSWORD not in shown.out + shown.err


def test_what_commands_change_is_in_the_audit_log(settings: Settings) -> None:
    for argv in (
        ["registry", "import", "erqi", "--compounds", "1"],
        ["token", "create", "--role", "viewer", "--name", "grafana"],
        ["registry", "export", "registry.json"],
    ):
        assert cli._run(lambda argv=argv: cli.app(argv)) == DONE  # type: ignore[misc]
    told = recorded(settings)
    assert [(resource, subject) for _, resource, subject in told] == [
        ("courtyard registry import", "erqi"),
        ("courtyard token create", "grafana"),
    ]
    assert all(actor.endswith("(command line)") for actor, _, _ in told)


def test_the_chain_is_verified_and_said_to_be_broken_where_it_is(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_log(settings, None) == (DONE, "whole: nothing was recorded yet")
    for name in ("li-min", "zhao"):
        add_user(settings, Wanted(name, "", "operator", None, None), PASSWORD, "root", PASSWORDS)
    code, told = verify_log(settings, None)
    last = re.fullmatch(r"whole: 2 rows, the last is (2:[0-9a-f]{64})", told)
    assert code == DONE
    assert last is not None
    add_user(settings, Wanted("wu", "", "viewer", None, None), PASSWORD, "root", PASSWORDS)
    assert verify_log(settings, last[1])[0] == DONE
    assert verify_log(settings, f"2:{'0' * 64}")[0] == FAILED
    assert verify_log(settings, f"9:{'0' * 64}")[0] == FAILED
    (finding,) = audit_log(settings)
    assert finding.good

    engine = open_operational(settings)
    with writing(engine) as connection:
        connection.execute(text("DROP TRIGGER audit_log_is_kept_update"))
        connection.execute(text("UPDATE audit_log SET subject = 'nobody' WHERE number = 2"))
    engine.dispose()
    code, told = verify_log(settings, None)
    assert code == FAILED
    assert told == (
        "the chain is broken: row 2 is not what was written: its hash does not fit;"
        " the 1 before it are whole"
    )
    (finding,) = audit_log(settings)
    assert finding.good is False
    assert cli._run(lambda: cli.app(["audit", "verify"])) == FAILED
    assert "row 2" in capsys.readouterr().out


def test_a_command_that_fails_leaves_no_row(settings: Settings) -> None:
    engine = open_operational(settings)
    with pytest.raises(RuntimeError), by_command("root", "user add"), writing(engine):
        raise RuntimeError
    engine.dispose()
    assert recorded(settings) == []
