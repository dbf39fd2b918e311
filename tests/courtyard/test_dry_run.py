"""A dry run: what a rule file would have raised, and that it touches nothing."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from courtyard import cli
from courtyard.dry_run import Difference, Stretch, compare
from courtyard.errors import DONE, FAILED, WRONG_USAGE
from courtyard.settings import load_settings
from courtyard.stores import open_operational
from devices.overrides import NONE, Overrides
from devices.rule_files import read
from devices.store.database import writing
from devices.store.journal import Draft, JournalReader, JournalWriter
from devices.store.registry import save
from tests.ingest.judge.district import (
    COMPOUND,
    START_MS,
    District,
    a_device,
    a_shed,
)

FAR = "lvyun-xiaoqu"
DEVICES = (
    *a_shed(),
    a_device("gate", "gate", interval_s=60),
    a_device("far-shed", "shed", compound=FAR),
)
HOTTER = '[[override]]\nSHED_OVERTEMP.raises = ">=75"\n'
STRICTER = '[[override]]\nSHED_OVERTEMP.raises = ">=65"\n'


def a_day(district: District) -> None:
    """Both sheds are hot for two hours, one of them more; a gate stands open now and then."""
    for minute in range(150):
        district.says("shed", {"board_temp_c": 68.0 if 30 <= minute < 120 else 30.0})
        district.says("far-shed", {"board_temp_c": 72.0 if minute >= 30 else 30.0})
        is_open = 100 <= minute < 105
        district.says("gate", {"door_state": "open" if is_open else "closed"})
        district.passes(60)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    district = District(*DEVICES)
    a_day(district)
    path = tmp_path_factory.mktemp("journal") / "day.db"
    with JournalWriter(path, lambda: START_MS) as writer:
        writer.commit(
            [
                Draft(record.kind, record.epoch, record.messages, record.control)
                for record in district.records
            ]
        )
    return path


def compared(
    journal: Path,
    text: str,
    *,
    today: Overrides = NONE,
    minutes: tuple[int, int] | None = None,
    compound: str | None = None,
) -> Difference:
    registry = District(*DEVICES).registry
    range_ms: tuple[int | None, int | None] = (None, None)
    if minutes is not None:
        range_ms = (START_MS + minutes[0] * 60_000, START_MS + minutes[1] * 60_000)
    with JournalReader(journal) as reader:
        stretch = Stretch.of(reader, range_ms, compound)
        return compare(stretch, registry, today, read(text, registry), {})


def names(raised: Iterable[object]) -> list[str]:
    return [f"{one.subject} {one.code}" for one in raised]  # type: ignore[attr-defined]


def test_todays_rules_raise_what_the_judge_raised(journal: Path) -> None:
    district = District(*DEVICES)
    a_day(district)
    raised = district.all_faults()
    found = compared(journal, "")
    assert sorted(raised) == ["far-shed SHED_OVERTEMP", "gate GATE_HELD_OPEN"]
    assert found.by_code == {"GATE_HELD_OPEN": (1, 1), "SHED_OVERTEMP": (1, 1)}
    assert (found.only_today, found.only_changed, found.messages) == ([], [], 450)


def test_what_a_laxer_level_would_have_left_out_is_told(journal: Path) -> None:
    found = compared(journal, HOTTER)
    assert found.by_code == {"GATE_HELD_OPEN": (1, 1), "SHED_OVERTEMP": (1, 0)}
    assert names(found.only_today) == ["far-shed SHED_OVERTEMP"]


def test_what_a_stricter_level_would_have_raised_is_told(journal: Path) -> None:
    found = compared(journal, STRICTER)
    assert found.by_code["SHED_OVERTEMP"] == (1, 2)
    assert names(found.only_changed) == ["shed SHED_OVERTEMP"]


def test_it_is_compared_with_the_rules_that_are_in_force(journal: Path) -> None:
    registry = District(*DEVICES).registry
    found = compared(journal, "", today=read(STRICTER, registry))
    assert names(found.only_today) == ["shed SHED_OVERTEMP"]


def test_only_what_is_raised_within_the_range_counts(journal: Path) -> None:
    found = compared(journal, STRICTER, minutes=(60, 150))
    assert found.by_code == {"GATE_HELD_OPEN": (1, 1)}  # the heat stood before, and is no news
    assert found.messages == 450  # so that both judges know of it
    early = compared(journal, STRICTER, minutes=(0, 60))
    assert early.by_code == {"SHED_OVERTEMP": (1, 2)}


def test_of_one_compound_only_its_messages_are_judged(journal: Path) -> None:
    found = compared(journal, STRICTER, compound=COMPOUND)
    assert found.by_code == {"GATE_HELD_OPEN": (1, 1), "SHED_OVERTEMP": (0, 1)}
    assert found.messages == 300


def test_a_range_of_which_the_journal_has_nothing_is_empty_and_no_error(journal: Path) -> None:
    found = compared(journal, HOTTER, minutes=(5_000, 6_000))
    assert (found.messages, dict(found.by_code), found.judged_from) == (0, {}, None)


# The command


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_dir: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("COURTYARD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURTYARD_DATA_DIR", str(data_dir))
    engine = open_operational(load_settings(os.environ))
    with writing(engine) as connection:
        save(connection, District(*DEVICES).registry, START_MS)
    engine.dispose()
    (tmp_path / "rules.toml").write_text(STRICTER)
    return tmp_path


def run(*argv: str) -> int:
    return cli._run(lambda: cli.app(["rules", "dry-run", "rules.toml", *argv]))


def digests(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
        if path.suffix == ".db"
    }


def test_the_command_prints_a_table_and_writes_nowhere(
    data: Path, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(data / "data"), digests(journal.parent)
    assert run("--journal", str(journal)) == DONE
    out = capsys.readouterr().out
    assert "SHED_OVERTEMP       1        2  +1" in out
    assert "+ SHED_OVERTEMP shed since 2026-11-23T13:40:00Z" in out
    assert (digests(data / "data"), digests(journal.parent)) == before


def test_the_whole_difference_is_json_for_programs(
    data: Path, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--journal", str(journal), "--json") == DONE
    found = json.loads(capsys.readouterr().out)
    assert {"code": "SHED_OVERTEMP", "today": 1, "changed": 2} in found["codes"]
    (only,) = found["only_changed"]
    assert (only["subject"], only["compound"], only["severity"]) == ("shed", COMPOUND, "P2")


def test_a_file_with_errors_is_refused_before_anything_is_judged(
    data: Path, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "rules.toml").write_text("[[override]]\nSHED_SMOKE.enabled = false\n")
    assert run("--journal", str(journal)) == FAILED
    assert "rules.toml, line 2: enabled: SHED_SMOKE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        ((), WRONG_USAGE, "--from and --to: are needed"),
        (
            ("--from", "2026-11-23T00:00:00Z", "--to", "2026-11-24T00:00:00Z"),
            FAILED,
            "there is nothing to judge",
        ),
        (
            ("--from", "2026-11-25T00:00:00Z", "--to", "2026-11-24T00:00:00Z", "--journal", "J"),
            WRONG_USAGE,
            "--to: must be later",
        ),
        (("--journal", "J", "--compound", "atlantis"), WRONG_USAGE, "no compound 'atlantis'"),
        (("--journal", "nowhere.db"), FAILED, "there is nothing to judge"),
    ],
)
def test_what_cannot_be_judged_is_told(
    argv: tuple[str, ...],
    code: int,
    says: str,
    data: Path,
    journal: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*(str(journal) if word == "J" else word for word in argv)) == code
    assert says in capsys.readouterr().err
