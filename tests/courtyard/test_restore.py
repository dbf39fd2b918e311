"""`courtyard restore`: what comes back, what is refused, and what is said of what is missing."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, inspect, select, text

import devices.store.migrations
from courtyard.backup import run_backup
from courtyard.errors import CommandError
from courtyard.restore import run_restore, users_of
from courtyard.settings import Settings, secret_key
from courtyard.stores import open_operational
from devices.store import backup, cursors, progress, schema
from devices.store.backup import Covered
from devices.store.database import check, open_database, reading
from devices.store.journal import JournalHeld, JournalWriter
from tests import postgres
from tests.conftest import BOTH
from tests.courtyard.backups import (
    HOUR_MS,
    MESSAGES_A_RECORD,
    NOW_MS,
    a_place,
    decide,
    grow_journal,
    put_cursors,
    put_readings,
    readings,
    tell,
)

pytestmark = [pytest.mark.long]

HOLD = "import sys; f = open(sys.argv[1]); print(flush=True); input()"
FIRST_MIGRATION = "619821ad2463"


@pytest.fixture
def system(tmp_path: Path, sqlite_template: Path) -> Settings:
    """A system on SQLite: 40 of 50 records judged, 38 forwarded, two decisions, 100 readings."""
    settings = a_place(tmp_path / "old")
    settings.data_dir.mkdir()
    shutil.copy(sqlite_template, settings.data_dir / "courtyard.db")
    journal_id = grow_journal(settings, 50)
    put_cursors(settings, journal_id, 40, 38)
    put_readings(settings, range(100))
    decide(settings, "registry", "fault")
    secret_key(settings)
    return settings


@pytest.fixture
def night(system: Settings, tmp_path: Path) -> Path:
    """A backup of it, with everything that can be in one."""
    run_backup(system, tmp_path / "night", with_secrets=True, tell=tell)
    return tmp_path / "night"


@pytest.fixture(params=BOTH)
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """An empty data directory, and an empty database of either kind."""
    if request.param == "sqlite":
        yield a_place(tmp_path / "new")
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    name = cluster.create()
    yield a_place(tmp_path / "new", cluster.url(name))
    cluster.drop(name)


def restore(
    settings: Settings, source: Path, *, replace: bool = False, only_telemetry: bool = False
) -> str:
    lines = run_restore(settings, source, replace=replace, only_telemetry=only_telemetry, tell=tell)
    return "\n".join(lines)


def forward_at(settings: Settings) -> tuple[int, int]:
    engine = open_operational(settings)
    with reading(engine) as connection:
        found = cursors.load(connection, "forward")
    engine.dispose()
    assert found is not None
    return found.position, found.jseq


def revisions(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        column = schema.revisions.c
        return list(connection.scalars(select(column.what).order_by(column.id)))


def files_of(directory: Path) -> dict[str, bytes]:
    if not directory.exists():
        return {}
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix != ".lock"}


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def seal(folder: Path) -> None:
    """Make manifest and sums fit files that a test has changed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  manifest.json\n")


class TestComingBack:
    def test_everything_is_there_again_in_either_database(
        self, night: Path, system: Settings, elsewhere: Settings
    ) -> None:
        restore(elsewhere, night)
        engine = open_operational(elsewhere)
        check(engine)
        assert revisions(engine) == ["registry", "fault"]
        engine.dispose()
        assert readings(elsewhere.telemetry_path) == [float(n) for n in range(100)]
        assert secret_key(elsewhere) == secret_key(system)
        assert forward_at(elsewhere) == (38, 380)

    def test_a_server_can_be_brought_back_to_a_file(
        self, elsewhere: Settings, night: Path, tmp_path: Path
    ) -> None:
        restore(elsewhere, night)
        run_backup(elsewhere, tmp_path / "second.tar.gz", with_secrets=False, tell=tell)
        third = a_place(tmp_path / "third")
        restore(third, tmp_path / "second.tar.gz")
        engine = open_operational(third)
        assert revisions(engine) == ["registry", "fault"]
        engine.dispose()
        assert readings(third.telemetry_path) == [float(n) for n in range(100)]

    def test_the_backup_counts_as_the_newest_of_what_was_restored(
        self, night: Path, elsewhere: Settings
    ) -> None:
        restore(elsewhere, night)
        engine = open_operational(elsewhere)
        with reading(engine) as connection:
            found = backup.last_finished(connection)
        engine.dispose()
        assert isinstance(found, Covered)
        assert found.position == 38

    def test_nothing_is_left_beside_the_stores(self, night: Path, elsewhere: Settings) -> None:
        restore(elsewhere, night)
        names = {path.name.partition("-")[0] for path in elsewhere.data_dir.iterdir()}
        expected = {"telemetry.db", "secret.key", "journal.db.lock"}
        assert names == expected | ({"courtyard.db"} if elsewhere.is_database_embedded else set())

    def test_a_backup_of_an_older_version_is_migrated(
        self, night: Path, elsewhere: Settings
    ) -> None:
        copy = night / "database.db"
        copy.unlink()
        config = Config()
        folder = Path(devices.store.migrations.__path__[0])
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        engine = create_engine(f"sqlite:///{copy}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, FIRST_MIGRATION)
            connection.execute(
                text("INSERT INTO revisions (at_ms, what, subject, body) VALUES (1, 'r', '', '{}')")
            )
        engine.dispose()
        seal(night)
        restore(elsewhere, night)
        engine = open_operational(elsewhere)
        assert revisions(engine) == ["r"]
        engine.dispose()


class TestRefusing:
    @pytest.mark.parametrize("name", ["manifest.json", "database.db", "telemetry.db", "secret.key"])
    def test_a_flipped_bit_changes_nothing(self, night: Path, tmp_path: Path, name: str) -> None:
        flip_a_bit(night / name)
        elsewhere = a_place(tmp_path / "new")
        with pytest.raises(CommandError, match=f"{name} is not what was written"):
            restore(elsewhere, night)
        assert files_of(elsewhere.data_dir) == {}

    @pytest.mark.postgres
    def test_a_flipped_bit_changes_nothing_on_a_server(
        self, night: Path, postgres_cluster: postgres.Cluster, tmp_path: Path
    ) -> None:
        flip_a_bit(night / "telemetry.db")
        elsewhere = a_place(tmp_path / "new", postgres_cluster.url(postgres_cluster.create()))
        with pytest.raises(CommandError, match=r"telemetry\.db is not what was written"):
            restore(elsewhere, night)
        engine = open_database(elsewhere.database)
        with reading(engine) as connection:
            assert inspect(connection).get_table_names() == []
        engine.dispose()

    @pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS", "database.db"])
    def test_a_backup_that_is_not_whole_changes_nothing(
        self, night: Path, tmp_path: Path, name: str
    ) -> None:
        (night / name).unlink()
        elsewhere = a_place(tmp_path / "new")
        with pytest.raises(CommandError):
            restore(elsewhere, night)
        assert files_of(elsewhere.data_dir) == {}

    def test_a_cut_archive_changes_nothing(self, system: Settings, tmp_path: Path) -> None:
        run_backup(system, tmp_path / "night.tar.gz", with_secrets=False, tell=tell)
        whole = (tmp_path / "night.tar.gz").read_bytes()
        (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
        elsewhere = a_place(tmp_path / "new")
        with pytest.raises(CommandError, match=r"cut\.tar\.gz"):
            restore(elsewhere, tmp_path / "cut.tar.gz")
        assert files_of(elsewhere.data_dir) == {}

    def test_what_a_newer_version_made(self, night: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(night / "database.db")) as db, db:
            db.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        seal(night)
        elsewhere = a_place(tmp_path / "new")
        with pytest.raises(CommandError, match="newer than this version"):
            restore(elsewhere, night)
        assert files_of(elsewhere.data_dir) == {}

    def test_what_is_no_backup(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("Dear Sirs")
        (tmp_path / "empty").mkdir()
        for name in ("letter.txt", "empty", "nowhere"):
            with pytest.raises(CommandError, match=name):
                restore(a_place(tmp_path / "new"), tmp_path / name)
        assert not (tmp_path / "new").exists()

    def test_while_ingest_runs(self, night: Path, system: Settings) -> None:
        before = files_of(system.data_dir)
        with (
            JournalWriter(system.journal_path, lambda: NOW_MS),
            pytest.raises(JournalHeld, match="process"),
        ):
            restore(system, night, replace=True)
        after = files_of(system.data_dir)
        assert {name: after[name] for name in before} == before

    def test_while_another_process_has_the_database_open(
        self, night: Path, system: Settings
    ) -> None:
        path = system.data_dir / "courtyard.db"
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        with holder:
            holder.stdout.readline()
            with pytest.raises(CommandError, match=f"process {holder.pid}"):
                restore(system, night, replace=True)
            holder.stdin.write(b"\n")
        assert users_of(path) == []
        restore(system, night, replace=True)

    @pytest.mark.postgres
    def test_while_another_process_is_connected_to_the_server(
        self, night: Path, postgres_cluster: postgres.Cluster, tmp_path: Path
    ) -> None:
        name = postgres_cluster.create()
        elsewhere = a_place(tmp_path / "new", postgres_cluster.url(name))
        other = open_database(elsewhere.database)
        with reading(other), pytest.raises(CommandError, match="in use by a courtyard process"):
            restore(elsewhere, night)
        other.dispose()
        restore(elsewhere, night)
        postgres_cluster.drop(name)


class TestReplacing:
    def test_what_is_there_is_not_overwritten(self, night: Path, elsewhere: Settings) -> None:
        restore(elsewhere, night)
        before = files_of(elsewhere.data_dir)
        with pytest.raises(CommandError, match="--replace"):
            restore(elsewhere, night)
        assert files_of(elsewhere.data_dir).keys() == before.keys()

    def test_another_key_is_not_overwritten(self, night: Path, tmp_path: Path) -> None:
        elsewhere = a_place(tmp_path / "new")
        mine = secret_key(elsewhere)
        with pytest.raises(CommandError, match=r"secret\.key"):
            restore(elsewhere, night)
        assert secret_key(elsewhere) == mine

    def test_what_is_there_is_moved_aside_and_still_whole(
        self, night: Path, elsewhere: Settings
    ) -> None:
        restore(elsewhere, night)
        decide(elsewhere, "fault", "fault", "registry")
        put_readings(elsewhere, range(100, 130))
        said = restore(elsewhere, night, replace=True)
        engine = open_operational(elsewhere)
        assert revisions(engine) == ["registry", "fault"]
        if elsewhere.is_database_embedded:
            (aside,) = elsewhere.data_dir.glob("courtyard.db.replaced-*Z")
            kept = open_database(f"sqlite:///{aside}")
            assert len(revisions(kept)) == 5
            kept.dispose()
        else:
            with reading(engine) as connection:
                schema_name = connection.scalar(
                    text(
                        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'courtyard_replaced_%'"
                    )
                )
                count = connection.scalar(text(f'SELECT count(*) FROM "{schema_name}".revisions'))
            assert count == 5
            assert str(schema_name) in said
        engine.dispose()
        (old,) = elsewhere.data_dir.glob("telemetry.db.replaced-*Z")
        assert len(readings(old)) == 130
        assert len(readings(elsewhere.telemetry_path)) == 100

    def test_decisions_since_the_backup_are_listed_as_lost(
        self, night: Path, elsewhere: Settings
    ) -> None:
        restore(elsewhere, night)
        decide(elsewhere, "fault", "fault", "registry")
        said = restore(elsewhere, night, replace=True)
        assert "3 decisions of people since the backup are lost" in said
        assert "2 × fault" in said
        assert "1 × registry" in said

    def test_a_database_that_cannot_be_read_is_moved_aside_all_the_same(
        self, night: Path, system: Settings
    ) -> None:
        (system.data_dir / "courtyard.db").write_bytes(b"\xff" * 100_000)
        said = restore(system, night, replace=True)
        assert "cannot be listed" in said
        (aside,) = system.data_dir.glob("courtyard.db.replaced-*Z")
        assert aside.read_bytes() == b"\xff" * 100_000
        engine = open_operational(system)
        assert revisions(engine) == ["registry", "fault"]
        engine.dispose()


class TestWhatIsSaidOfTheJournal:
    def test_one_that_survived_goes_on_where_the_backup_ends(
        self, night: Path, system: Settings
    ) -> None:
        grow_journal(system, 5)
        said = restore(system, night, replace=True)
        assert "the journal survived" in said
        assert "150 messages are waiting" in said
        assert "MISSING" not in said

    def test_one_that_was_trimmed_too_far_misses_a_span(
        self, night: Path, system: Settings
    ) -> None:
        with JournalWriter(system.journal_path, lambda: NOW_MS) as writer:
            writer.trim(NOW_MS + 45 * HOUR_MS, 50)
        said = restore(system, night, replace=True)
        assert "MISSING: 50 messages" in said
        assert "50 messages are waiting" in said
        assert self.noted(system)["missing_messages"] == 50
        assert self.noted(system)["missing_until_ms"] == NOW_MS + 45 * HOUR_MS

    def test_one_that_was_lost_misses_everything_since(self, night: Path, tmp_path: Path) -> None:
        elsewhere = a_place(tmp_path / "new")
        said = restore(elsewhere, night)
        assert "MISSING: everything from" in said
        assert "there is no journal here" in said
        noted = self.noted(elsewhere)
        assert noted["journal"] == "none"
        assert noted["was_jseq"] == 400
        assert noted["missing_messages"] is None
        assert noted["missing_from_ms"] == NOW_MS + 40 * HOUR_MS

    def test_another_one_is_read_from_its_start(self, night: Path, tmp_path: Path) -> None:
        elsewhere = a_place(tmp_path / "new")
        grow_journal(elsewhere, 3)
        said = restore(elsewhere, night)
        assert "MISSING: everything from" in said
        assert f"{3 * MESSAGES_A_RECORD} messages" in said

    def test_an_older_copy_of_it_ends_too_early(self, night: Path, system: Settings) -> None:
        for path in system.data_dir.glob("journal.db*"):
            path.unlink()
        journal_id = grow_journal(system, 10)
        with closing(sqlite3.connect(night / "database.db")) as db, db:
            db.execute("UPDATE cursors SET journal_id = ?", (journal_id,))
        manifest = json.loads((night / "manifest.json").read_text())
        manifest["judge"]["journal_id"] = journal_id
        (night / "manifest.json").write_text(json.dumps(manifest))
        seal(night)
        assert "the journal ends before" in restore(system, night, replace=True)

    def test_a_damaged_one_is_said_to_be(self, night: Path, system: Settings) -> None:
        system.journal_path.write_bytes(b"\xff" * 50_000)
        assert "MISSING, it may be" in restore(system, night, replace=True)

    def noted(self, settings: Settings) -> dict[str, object]:
        engine = open_operational(settings)
        with reading(engine) as connection:
            found = progress.read(connection, "restore")
        engine.dispose()
        assert found is not None
        return dict(found.body)


class TestReadingsAlone:
    def test_forward_goes_back_to_where_they_end(self, night: Path, system: Settings) -> None:
        journal_id = grow_journal(system, 5)
        put_cursors(system, journal_id, 55, 55)
        put_readings(system, range(100, 200))
        said = restore(system, night, replace=True, only_telemetry=True)
        assert forward_at(system) == (38, 380)
        assert len(readings(system.telemetry_path)) == 100
        assert "170 messages are written again" in said
        engine = open_operational(system)
        with reading(engine) as connection:
            judge = cursors.load(connection, "judge")
        engine.dispose()
        assert judge is not None
        assert judge.position == 55

    def test_forward_is_never_moved_on(self, night: Path, system: Settings) -> None:
        journal_id = grow_journal(system, 0)
        put_cursors(system, journal_id, 40, 20)
        restore(system, night, replace=True, only_telemetry=True)
        assert forward_at(system) == (20, 200)

    def test_a_span_that_the_journal_no_longer_has_is_said(
        self, night: Path, system: Settings
    ) -> None:
        journal_id = grow_journal(system, 0)
        put_cursors(system, journal_id, 50, 50)
        with JournalWriter(system.journal_path, lambda: NOW_MS) as writer:
            writer.trim(NOW_MS + 45 * HOUR_MS, 50)
        said = restore(system, night, replace=True, only_telemetry=True)
        assert "MISSING: 70 messages" in said

    def test_what_is_there_is_not_overwritten(self, night: Path, system: Settings) -> None:
        with pytest.raises(CommandError, match="--replace"):
            restore(system, night, only_telemetry=True)

    def test_with_influxdb_the_cursor_alone_goes_back(
        self, system: Settings, tmp_path: Path
    ) -> None:
        influxdb = {
            "influxdb_url": "http://127.0.0.1:1",
            "influxdb_token": "t",
            "influxdb_org": "o",
            "influxdb_bucket": "b",
        }
        with_influxdb = a_place(system.data_dir, **influxdb)
        run_backup(with_influxdb, tmp_path / "night", with_secrets=False, tell=tell)
        journal_id = grow_journal(system, 5)
        put_cursors(system, journal_id, 55, 55)
        said = restore(with_influxdb, tmp_path / "night", only_telemetry=True)
        assert forward_at(system) == (38, 380)
        assert "170 messages are written again" in said

    def test_readings_of_another_kind_of_store_do_not_fit(
        self, night: Path, system: Settings
    ) -> None:
        with_influxdb = a_place(
            system.data_dir,
            influxdb_url="http://127.0.0.1:1",
            influxdb_token="t",
            influxdb_org="o",
            influxdb_bucket="b",
        )
        with pytest.raises(CommandError, match="COURTYARD_INFLUXDB_URL"):
            restore(with_influxdb, night, only_telemetry=True)
        assert forward_at(system) == (38, 380)


def test_readings_that_do_not_fit_are_written_again_from_the_journal(
    system: Settings, tmp_path: Path
) -> None:
    """InfluxDB before, the embedded store now: what the journal has is all there is."""
    with_influxdb = a_place(
        system.data_dir,
        influxdb_url="http://127.0.0.1:1",
        influxdb_token="t",
        influxdb_org="o",
        influxdb_bucket="b",
    )
    run_backup(with_influxdb, tmp_path / "night", with_secrets=False, tell=tell)
    said = restore(system, tmp_path / "night", replace=True)
    assert "do not fit" in said
    assert forward_at(system) == (0, 0)
