"""`courtyard alerts dry-run`: who would be told, in words; nothing is sent or written."""

import json
import os
from datetime import date, time
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from courtyard import cli
from courtyard.errors import DONE, WRONG_USAGE
from devices.alerts import ChannelName, Route, Target
from devices.calendars import Hours
from devices.hours import TargetHours
from devices.rosters import Person, Roster
from devices.store.database import reading, writing
from devices.store.hours import change_hours
from devices.store.rosters import add_person, add_roster
from devices.store.schema import metadata, targets
from devices.store.targets import add_route, add_target
from devices.words import Language
from tests.api.cast import GATE, XIANGYUNLI, a_district, a_fault

SATURDAY = "2026-11-28T23:10:00+08:00"


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_database: Engine) -> Engine:
    """yaxin's roster hears of P1 and P2 at all times, the office of everything at work."""
    for name in list(os.environ):
        if name.startswith("COURTYARD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURTYARD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COURTYARD_DATABASE_URL", sqlite_database.url.render_as_string())
    with writing(sqlite_database) as connection:
        a_district(connection)
        a_fault(connection, "f")
        for name in ("office", "mail"):
            add_target(
                connection, Target(name, name, ChannelName.EMAIL, "mailto:x@x", firm="yaxin")
            )
        add_person(connection, Person("li", "李伟", "yaxin", Language.EN, targets=("mail",)))
        add_roster(connection, Roster("r", "值班", ("li",), date(2026, 11, 23), firm="yaxin"))
        work = Hours(("workday",), 510, 1050)
        add_route(connection, Route("by-day", "office", hours=work, created_at_ms=1))
        add_route(connection, Route("on-duty", roster="r", firm="yaxin", created_at_ms=2))
    return sqlite_database


def run(*argv: str) -> int:
    return cli._run(lambda: cli.app(["alerts", "dry-run", *argv]))


def rows(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def test_who_would_be_told_and_who_not_is_said_with_the_reasons(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows(engine)
    assert run("--code", "GATE_OFFLINE", "--device", GATE, "--at", SATURDAY) == DONE
    assert capsys.readouterr().out.splitlines() == [
        "2026-11-28 Sat 23:10 (weekend)  Gate offline GATE_OFFLINE · P3 · xiangyunli-gate-1",
        "Told:",
        "  mail · 李伟 (email, en): the route fits: firm Yaxin; 值班: 李伟's turn"
        " (11-28 08:00 to 11-29 08:00)",
        "Not told:",
        "  office (by-day): only working days 08:30–17:30; it is 2026-11-28 Sat 23:10 (weekend)",
    ]
    assert rows(engine) == before


def test_a_fault_that_there_is_is_tried_in_chinese_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--fault", "f", "--at", SATURDAY, "--language", "zh") == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2026-11-28 周六 23:10（周末）  门禁离线")
    assert lines[1] == "会收到通知："
    assert "值班：轮到李伟值班（11-28 08:00 至 11-29 08:00）" in lines[2]


def test_what_must_be_mended_and_what_waits_for_the_morning_is_said(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with writing(engine) as connection:
        change_hours(connection, "mail", TargetHours("Asia/Shanghai", time(22), time(7)), 0)
        connection.execute(update(targets).values(broken="550 no such user"))
    asked = ("--code", "GATE_OFFLINE", "--device", GATE, "--at", SATURDAY)
    assert run(*asked) == DONE
    assert (
        "(email, en) (stopped, and sent once it is mended: 550 no such user)"
        " (quiet hours: together with the others at 11-29 07:00): the route fits"
    ) in capsys.readouterr().out
    assert run(*asked, "--language", "zh") == DONE
    assert "（静默时段，11-29 07:00 一并发送）" in capsys.readouterr().out


def test_the_json_is_that_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--code", "GATE_TAMPER", "--compound", XIANGYUNLI, "--severity", "P1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["code"], found["severity"], found["fault"]) == ("GATE_TAMPER", "P1", None)
    assert "mail" in {one["target"] for one in found["told"]}


def test_what_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, says in (
        ((), "either --fault or --code"),
        (("--fault", "f", "--code", "GATE_OFFLINE"), "either --fault or --code"),
        (("--fault", "f", "--device", GATE), "go with --code"),
        (("--fault", "none"), "there is no fault none"),
        (("--code", "NO_SUCH", "--device", GATE), "--code: 'NO_SUCH' is not in the fault catalog"),
        (("--code", "GATE_OFFLINE"), "--compound: GATE_OFFLINE is a fault of a compound"),
        (("--code", "GATE_OFFLINE", "--compound", "atlantis"), "no compound or device atlantis"),
        (("--code", "SHED_SMOKE", "--device", GATE), "--kind: SHED_SMOKE is a fault of a shed"),
        (("--code", "SYS_DISK", "--compound", XIANGYUNLI), "--compound: SYS_DISK is a fault of"),
    ):
        assert run(*argv) == WRONG_USAGE, argv
        assert says in capsys.readouterr().err, argv
