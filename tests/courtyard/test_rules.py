"""`courtyard rules`: files in and out, what a rule is where, and the judge that takes them up."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from courtyard import cli
from courtyard.errors import DONE, FAILED, WRONG_USAGE
from courtyard.rules import import_rules
from courtyard.settings import load_settings
from courtyard.stores import open_operational
from devices.faults import State
from devices.journal import MESSAGES, PROBE, Record
from devices.judgement import LIVE
from devices.store.database import reading, writing
from devices.store.faults import Filter, list_faults
from devices.store.judgements import Judgements
from devices.store.registry import save
from devices.store.rule_sets import newest
from devices.store.scope import DISTRICT
from ingest.consume import Consumer
from ingest.judge.plan import plans
from ingest.ports import Bell
from tests.fakes import FakeJournal
from tests.ingest.judge.district import COMPOUND, START_MS, District, a_device, a_shed

HERE = f'[[override]]\ncompound = "{COMPOUND}"\n'
HOTTER = HERE + 'SHED_OVERTEMP.raises = ">=75"\n'
DEVICES = (*a_shed(), a_device("far-shed", "shed", compound="lvyun-xiaoqu"))


@pytest.fixture(autouse=True)
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
    return tmp_path


def run(*argv: str) -> int:
    return cli._run(lambda: cli.app(["rules", *argv]))


def written(data: Path, text: str, name: str = "rules.toml") -> str:
    (data / name).write_text(text)
    return name


def test_a_file_in_order_is_told_to_be_and_not_taken(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", written(data, HOTTER)) == DONE
    assert capsys.readouterr().out == "rules.toml is in order: 1 figure of 1 rules\n"
    assert run("export") == DONE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["check", "import"])
def test_a_file_with_errors_is_refused_with_file_and_line_of_each(
    command: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = written(data, HOTTER + "SHED_SMOKE.enabled = false\nSHED_OVERTEMP.delay_s = -1\n")
    assert run(command, bad) == FAILED
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("courtyard: rules.toml, line 4: enabled: SHED_SMOKE is of the safety")
    assert second.startswith("rules.toml, line 5: delay_s: -1 cannot be used; expected seconds")
    run("export")
    assert capsys.readouterr().out == ""


def test_an_import_says_what_it_changes_and_the_same_again_changes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", written(data, HOTTER)) == DONE
    assert capsys.readouterr().out.splitlines() == [
        f'compound {COMPOUND}: SHED_OVERTEMP "board_temp_c >=70" raises: as without it -> >=75',
        "rule set 1 is in force: 1 figure changed by it",
    ]
    assert run("import", "rules.toml") == DONE
    assert "nothing changed" in capsys.readouterr().out
    run("import", written(data, HOTTER.replace("75", "80"), "other.toml"))
    assert "raises: >=75 -> >=80" in capsys.readouterr().out
    run("import", written(data, "", "empty.toml"))
    assert "raises: >=80 -> as without it" in capsys.readouterr().out


def test_what_is_exported_is_what_was_imported_with_its_comments(data: Path) -> None:
    text = "# 夏天 hot boxes\n" + HOTTER
    run("import", written(data, text))
    assert run("export", "copy.toml") == DONE
    assert (data / "copy.toml").read_text() == text


def test_a_rule_is_shown_with_the_origin_of_each_figure(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", written(data, HOTTER + "[[override]]\nSHED_OVERTEMP.clear_delay_s = 60\n"))
    capsys.readouterr()
    assert run("show", "SHED_OVERTEMP", "--device", "shed") == DONE
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "clear_delay_s 60 line 5: everywhere" in lines
    assert f"raises >=75 line 3: compound {COMPOUND}" in lines
    assert "clears <60 catalogue" in lines
    run("show", "SHED_OVERTEMP", "--device", "far-shed")
    assert "raises >=70 catalogue" in " ".join(capsys.readouterr().out.split())


def test_figures_of_roots_and_of_repeats_are_shown_too(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "[[override]]\nCOMPOUND_POWER_CUT.share = 0.8\nSHED_OFFLINE.notice_delay_s = 0\n"
    run("import", written(data, text + "PORT_OVERPOWER.repeated_times = 5\n"))
    capsys.readouterr()
    run("show", "COMPOUND_POWER_CUT")
    run("show", "SHED_OFFLINE", "--device", "shed")
    run("show", "PORT_OVERPOWER")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "share 0.8 line 2: everywhere" in lines
    assert "evidence_s 120 catalogue" in lines
    assert "notice_delay_s 0 line 3: everywhere" in lines
    assert "repeated_times 5 line 4: everywhere" in lines
    assert "repeated_within_s 86400 catalogue" in lines


def test_a_rule_that_is_off_is_shown_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("import", written(data, "[[override]]\nkind = 'shed'\nSHED_DOOR_OPEN.enabled = false\n"))
    capsys.readouterr()
    run("show", "SHED_DOOR_OPEN")
    assert "is switched off line 3: kind shed" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "argv",
    [
        ("show", "SHED_SMOK"),
        ("show", "SHED_SMOKE", "--device", "atlantis"),
        ("show", "GATE_TAMPER", "--device", "shed"),
    ],
)
def test_what_is_not_there_is_wrong_usage(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*argv) == WRONG_USAGE
    assert argv[-1] in capsys.readouterr().err


def test_a_file_that_cannot_be_read_says_why(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "latin.toml").write_bytes(b"# one\n# \xe9t\xe9\n")
    assert run("check", "latin.toml") == FAILED
    assert "latin.toml, line 2: no UTF-8" in capsys.readouterr().err
    assert run("check", "nowhere.toml") == FAILED
    assert "nowhere.toml: cannot be read" in capsys.readouterr().err


class _Running:
    """A judge at work on the live stream, over a journal in memory."""

    def __init__(self) -> None:
        self.engine = open_operational(load_settings(os.environ))
        self.journal = FakeJournal()
        self.district = District(*DEVICES)
        self.bell, self.stop = Bell(), threading.Event()
        self._written = 0
        consumer = Consumer(
            Judgements(self.engine),
            plans(),
            lambda: self.district.now_ms,
            stream=LIVE,
            commit_after_s=0.01,
        )
        self.thread = threading.Thread(
            target=consumer.run, args=(self.journal, self.bell, self.stop)
        )
        self.thread.start()

    def arrives(self) -> None:
        """What the district's devices have sent since the last time."""
        for record in self.district.records[self._written :]:
            self.journal.append(record)
        self._written = len(self.district.records)
        self.bell.ring()

    def states(self) -> dict[str, str]:
        with reading(self.engine) as connection:
            found = list_faults(connection, DISTRICT, Filter(code="SHED_OVERTEMP"), limit=10)
        return {str(fault.device): fault.state for fault in found}

    def until(self, states: dict[str, str], seconds: float = 20) -> None:
        """Wait for these states; the judge looks for decisions once a second."""
        deadline = threading.Event()
        for _ in range(round(seconds / 0.05)):
            if self.states() == states:
                return
            deadline.wait(0.05)
        assert self.states() == states

    def end(self) -> None:
        self.stop.set()
        self.bell.ring()
        self.thread.join(20)
        self.engine.dispose()


@pytest.fixture
def running() -> Iterator[_Running]:
    judge = _Running()
    try:
        yield judge
    finally:
        judge.end()


def test_a_running_judge_takes_a_file_up_by_itself_and_settles_what_stands(
    data: Path, running: _Running
) -> None:
    district = running.district
    for _ in range(4):
        for shed in ("shed", "far-shed"):
            district.says(shed, {"board_temp_c": 72.0})
        district.passes(30)
    running.arrives()
    running.until({"shed": State.OPEN, "far-shed": State.OPEN})
    told = list(import_rules(load_settings(os.environ), data / written(data, HOTTER)))
    assert told[-1] == "rule set 1 is in force: 1 figure changed by it"
    running.until({"shed": State.CLOSED, "far-shed": State.OPEN}, 5)


def test_a_judge_that_starts_anew_judges_by_the_file_in_force(data: Path) -> None:
    list(import_rules(load_settings(os.environ), data / written(data, HOTTER)))
    running = _Running()
    try:
        for _ in range(4):
            for shed in ("shed", "far-shed"):
                running.district.says(shed, {"board_temp_c": 72.0})
            running.district.passes(30)
        running.arrives()
        running.until({"far-shed": State.OPEN})
        with reading(running.engine) as connection:
            assert newest(connection).number == 1
    finally:
        running.end()


def test_the_records_of_a_district_are_messages_and_probes() -> None:
    """What the two tests above rest on."""
    district = District(*DEVICES)
    district.says("shed", {"board_temp_c": 72.0})
    district.passes(30)
    kinds = {record.kind for record in district.records if isinstance(record, Record)}
    assert kinds == {MESSAGES, PROBE}
