"""What `courtyard backup` makes, and what it does not."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from courtyard.backup import Steps, run_backup
from courtyard.errors import CommandError
from courtyard.settings import Settings, secret_key
from courtyard.stores import open_operational, upgrade_operational
from devices.store import backup
from devices.store.accounts import Forwarded
from devices.store.backup import Covered
from devices.store.database import reading
from tests.courtyard.backups import (
    a_place,
    decide,
    grow_journal,
    put_cursors,
    put_readings,
    tell,
)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A system with a journal, readings, a key, the demo's tokens; 40 of 50 records are judged."""
    settings = a_place(tmp_path / "data", database_url)
    upgrade_operational(settings)
    journal_id = grow_journal(settings, 50)
    put_cursors(settings, journal_id, 40, 38)
    put_readings(settings, range(100))
    decide(settings, "registry", "fault")
    secret_key(settings)
    (settings.data_dir / "tokens-demo.txt").write_text("an-open-token")
    return settings


def covered(settings: Settings) -> Covered | None:
    engine = open_operational(settings)
    with reading(engine) as connection:
        found = backup.last_finished(connection)
    engine.dispose()
    return found


def test_it_holds_what_belongs_together_and_nothing_personal(
    settings: Settings, tmp_path: Path
) -> None:
    target = tmp_path / "night"
    run_backup(settings, target, with_secrets=False, tell=tell)
    names = {path.name for path in target.iterdir()}
    assert names == {"manifest.json", "SHA256SUMS", "database.db", "telemetry.db"}
    whole = b"".join(path.read_bytes() for path in target.iterdir())
    assert b"an-open-token" not in whole
    assert secret_key(settings) not in whole
    assert target.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in target.iterdir())


def test_the_manifest_says_where_the_followers_stood(settings: Settings, tmp_path: Path) -> None:
    run_backup(settings, tmp_path / "night", with_secrets=False, tell=tell)
    manifest = backup.decode((tmp_path / "night" / "manifest.json").read_bytes(), "manifest.json")
    assert manifest.judge is not None
    assert manifest.forward is not None
    assert (manifest.judge.position, manifest.judge.jseq) == (40, 400)
    assert manifest.forward.position == 38
    assert manifest.forward.forwarded == Forwarded(3800, 1)
    assert manifest.newest_revision == 2
    assert manifest.database == ("sqlite" if settings.is_database_embedded else "postgresql")
    assert manifest.telemetry == "embedded"


def test_the_sums_are_those_that_sha256sum_checks(settings: Settings, tmp_path: Path) -> None:
    run_backup(settings, tmp_path / "night", with_secrets=True, tell=tell)
    lines = (tmp_path / "night" / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        digest, name = line.split("  ")
        content = (tmp_path / "night" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest


def test_the_key_is_in_it_when_asked_for(settings: Settings, tmp_path: Path) -> None:
    told = run_backup(settings, tmp_path / "night", with_secrets=True, tell=tell)
    assert (tmp_path / "night" / "secret.key").read_bytes() == secret_key(settings)
    assert "secret.key" in told


def test_the_journal_is_told_what_a_finished_backup_covers(
    settings: Settings, tmp_path: Path
) -> None:
    assert covered(settings) is None
    run_backup(settings, tmp_path / "night", with_secrets=False, tell=tell)
    found = covered(settings)
    assert found is not None
    assert found.position == 38


@pytest.mark.parametrize("name", ["night.tar", "night.tar.gz", "night.tgz"])
def test_one_file_is_made_where_the_name_says_so(
    sqlite_template: Path, tmp_path: Path, name: str
) -> None:
    settings = a_place(tmp_path / "data")
    upgrade_operational(settings)
    put_readings(settings, range(10))
    run_backup(settings, tmp_path / name, with_secrets=False, tell=tell)
    with tarfile.open(tmp_path / name) as tar:
        assert tar.getnames() == ["manifest.json", "SHA256SUMS", "database.db", "telemetry.db"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", name}
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_nothing_is_overwritten(settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "night"
    target.mkdir()
    with pytest.raises(CommandError, match="exists already"):
        run_backup(settings, target, with_secrets=False, tell=tell)
    assert list(target.iterdir()) == []


def test_a_damaged_store_gives_no_backup_and_leaves_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    put_readings(settings, range(100_000))
    with settings.telemetry_path.open("r+b") as file:
        file.seek(settings.telemetry_path.stat().st_size // 2 // 8192 * 8192)
        file.write(b"\xff" * 20_000)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(CommandError, match="damaged"):
        run_backup(settings, tmp_path / "night", with_secrets=False, tell=tell)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert covered(settings) is None


def test_where_nothing_is_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    settings = a_place(tmp_path / "data")
    with pytest.raises(CommandError, match="nothing to back up"):
        run_backup(settings, tmp_path / "night", with_secrets=False, tell=tell)
    assert list(tmp_path.iterdir()) == []


def test_with_influxdb_it_says_how_the_readings_are_backed_up(
    database_url: str, tmp_path: Path
) -> None:
    settings = a_place(
        tmp_path / "data",
        database_url,
        influxdb_url="http://127.0.0.1:1",
        influxdb_token="a-secret-token",
        influxdb_org="o",
        influxdb_bucket="readings",
    )
    upgrade_operational(settings)
    told = run_backup(settings, tmp_path / "night", with_secrets=False, tell=tell)
    text = (tmp_path / "night" / "manifest.json").read_text()
    assert "influx backup" in told
    assert "readings" in told
    assert "influx backup" in text
    assert "a-secret-token" not in text


def test_progress_is_told_every_few_seconds() -> None:
    told: list[str] = []
    now_s = [0.0]
    steps = Steps(told.append, lambda: now_s[0])
    for done in range(100):
        now_s[0] = done * 0.2
        steps("database.db", done, 100)
    assert told == ["database.db: 25 %", "database.db: 50 %", "database.db: 75 %"]
