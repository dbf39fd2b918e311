"""`courtyard backup`: copies of the stores that belong together, made while everything runs.

1. everything is written under a temporary name beside the target
2. database, then telemetry (devices/store/backup.py says why in this order), then what was copied
   is read through: a backup of a damaged store is worth nothing
3. the manifest, and the sums of all files
4. on the disk; then the target gets its name
5. the database is told what the backup covers, so that the journal may let go of it

Killed before 4, there is no backup, and the journal keeps what it has.
"""

import shutil
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex

from sqlalchemy import Engine

from courtyard.clock import now_ms
from courtyard.errors import CommandError
from courtyard.settings import Settings, secret_key
from courtyard.stores import open_operational
from devices.store import backup
from devices.store.accounts import FORWARD, JUDGE
from devices.store.backup import DATABASE, MANIFEST, SECRET, SUMS, TELEMETRY, BackupError, Manifest
from devices.store.database import DatabaseAway, answering, open_database, writing
from devices.store.failpoints import failpoint

ARCHIVES = {".tar": "w", ".tgz": "w:gz", ".tar.gz": "w:gz"}  # a name that ends so is one file
TOLD_EVERY_S = 5.0

Tell = Callable[[str], object]


def run_backup(settings: Settings, target: Path, *, with_secrets: bool, tell: Tell) -> str:
    """Makes the backup `target`; says what is in it. Raises CommandError; then there is none."""
    _check_target(settings, target)
    engine = open_operational(settings)
    try:
        with _aside(target) as partial, telling_trouble(str(target)):
            partial.mkdir(mode=0o700)
            manifest = _write(settings, engine, partial, with_secrets, tell)
            finished = _packed(partial, target) if _mode(target) else partial
            backup.sync(finished)
            failpoint("O2")
            finished.rename(target)
            backup.sync(target.parent)
        try:
            with answering(), writing(engine) as connection:
                backup.note_finished(connection, manifest, now_ms())
        except DatabaseAway as error:
            raise CommandError(
                f"{target} is complete, but the database could not be told so, and the journal"
                f" keeps what it has until the next backup: {error}"
            ) from error
    finally:
        engine.dispose()
    return told(target, manifest)


def told(target: Path, manifest: Manifest) -> str:
    """What is in a backup, in one line."""
    size_mb = sum(file.bytes for file in manifest.files.values()) / 1e6
    at = "before the first message"
    if manifest.judge is not None:
        at = f"up to message {manifest.judge.jseq} of journal {manifest.judge.journal_id[:8]}"
    return (
        f"{target}: {', '.join(manifest.files)} ({size_mb:.1f} MB), {at}"
        + ("" if SECRET in manifest.files else "; without the secret key (--with-secrets)")
        + (f". {manifest.influxdb}" if manifest.influxdb else "")
    )


def _check_target(settings: Settings, target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise CommandError(f"{target} exists already: name a new directory or file for the backup")
    if not target.parent.is_dir():
        raise CommandError(f"{target.parent} is no directory: make it first")
    if settings.is_database_embedded:
        path = backup.sqlite_path(open_database(settings.database))
        if not path.exists():
            raise CommandError(
                f"there is no database at {path}, so there is nothing to back up:"
                " check COURTYARD_DATA_DIR and COURTYARD_DATABASE_URL"
            )


def _mode(target: Path) -> str:
    """How tarfile writes an archive of this name; "" for a directory."""
    return next((mode for end, mode in ARCHIVES.items() if target.name.endswith(end)), "")


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A name beside the target for what is not complete; nothing is left there at the end."""
    partial = target.with_name(f".{target.name}.{token_hex(4)}.partial")
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(FileNotFoundError):
            _archive(partial).unlink()


def _archive(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.tar")


@contextmanager
def telling_trouble(subject: str) -> Iterator[None]:
    """Turns what disks and files do wrong into one line."""
    try:
        yield
    except BackupError as error:
        raise CommandError(f"{subject}: {error}") from error
    except sqlite3.Error as error:
        raise CommandError(f"{subject}: SQLite says: {error}") from error
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CommandError(f"{subject}: {reason}") from error


def _write(
    settings: Settings, engine: Engine, folder: Path, with_secrets: bool, tell: Tell
) -> Manifest:
    steps = Steps(tell)
    made_at = rfc3339(now_ms())
    backup.copy_database(engine, folder / DATABASE, steps)
    copied = backup.facts(folder / DATABASE)
    telemetry = "influxdb" if settings.influxdb_url else "none"
    if not settings.influxdb_url and settings.telemetry_path.exists():
        telemetry = "embedded"
        backup.copy_telemetry(settings.telemetry_path, folder / TELEMETRY, steps)
        backup.check_telemetry(folder / TELEMETRY)
    if with_secrets:
        (folder / SECRET).write_bytes(secret_key(settings))
        backup.sync(folder / SECRET)
    files = {}
    for name in backup.FILES:
        if (folder / name).exists():
            (folder / name).chmod(0o600)
            files[name] = backup.sum_of(folder / name)
    judge = copied.places.get(JUDGE)
    forward = copied.places.get(FORWARD)
    first = judge or forward
    manifest = Manifest(
        format=backup.FORMAT,
        courtyard=version("courtyard"),
        made_at=made_at,
        database=engine.dialect.name,
        schema_revision=copied.schema_revision,
        journal_id=None if first is None else first.journal_id,
        judge=judge,
        forward=forward,
        newest_revision=copied.newest_revision,
        telemetry=telemetry,
        influxdb=_advice(settings) if settings.influxdb_url else None,
        counts=dict(copied.counts),
        files=files,
    )
    _put(folder / MANIFEST, backup.encode(manifest))
    sums = {MANIFEST: backup.sum_of(folder / MANIFEST)} | files
    lines = [f"{file.sha256}  {name}\n" for name, file in sums.items()]  # as sha256sum reads it
    _put(folder / SUMS, "".join(lines).encode())
    backup.sync(folder)
    return manifest


def _advice(settings: Settings) -> str:
    return (
        f"The readings are in InfluxDB (bucket {settings.influxdb_bucket!r}): run"
        " `influx backup` now, after this, and keep both together; after `influx restore`,"
        " `courtyard restore --only telemetry` moves forward back, and the journal fills in"
    )


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    backup.sync(path)


def _packed(folder: Path, target: Path) -> Path:
    """The folder as one file, the manifest first."""
    archive = _archive(folder)
    with tarfile.open(archive, _mode(target)) as tar:  # type: ignore[call-overload]
        archive.chmod(0o600)
        for name in (MANIFEST, SUMS, *backup.FILES):
            if (folder / name).exists():
                tar.add(folder / name, name)
    return archive


class Steps:
    """Says how far long work is, every few seconds."""

    def __init__(self, tell: Tell, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._monotonic = monotonic
        self._told_s = monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now_s = self._monotonic()
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            self._tell(f"{what}: {100 * done // max(total, 1)} %")


def rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
