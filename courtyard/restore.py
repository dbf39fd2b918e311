"""`courtyard restore`: a backup into empty stores, and what has to be known afterwards.

1. nobody else may use them: the journal's lock is taken, other users are looked for
2. every file is copied beside its place and checked against its sum, the database migrated
3. only then is anything moved: what was there aside, under a name with the time; never deleted
4. the database first. A database with the readings of before is harmless (forward writes again what
   is there already); readings of the backup under a newer cursor would stay incomplete

The journal is not touched. If it survived, judge and forward go on in it where the backup ends.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, Protocol

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from courtyard.backup import Steps, Tell, rfc3339, telling_trouble
from courtyard.clock import now_ms
from courtyard.errors import CommandError
from courtyard.settings import Settings
from courtyard.stores import make_data_dir, open_operational
from devices.journal import MESSAGES
from devices.store import backup, cursors, progress
from devices.store.accounts import FORWARD, Forwarded
from devices.store.backup import (
    DATABASE,
    MANIFEST,
    SECRET,
    SUMS,
    TELEMETRY,
    BackupError,
    Decisions,
    Manifest,
    Place,
)
from devices.store.database import (
    DatabaseAhead,
    DatabaseUnusable,
    answering,
    open_database,
    reading,
    writing,
)
from devices.store.journal import JournalError, JournalMissing, JournalReader, hold

LISTED = 3  # users of a store that are named

_pack = msgspec.msgpack.Encoder().encode


def run_restore(
    settings: Settings, source: Path, *, replace: bool, only_telemetry: bool, tell: Tell
) -> list[str]:
    """Restores `source`; gives what there is to know then. Raises CommandError: nothing changed."""
    with ExitStack() as stack, telling_trouble(str(source)):
        found = stack.enter_context(_opened(source))
        manifest = _checked_manifest(found)
        make_data_dir(settings)
        stack.callback(os.close, hold(settings.journal_path))
        work = _Restore(settings, found, manifest, replace, Steps(tell), stack)
        return work.telemetry_only() if only_telemetry else work.everything()


# -- reading a backup


class _Found(Protocol):
    """The files of a backup, wherever they are."""

    def open(self, name: str) -> IO[bytes]: ...


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")


@dataclass(frozen=True, slots=True)
class _Archive:
    tar: tarfile.TarFile

    def open(self, name: str) -> IO[bytes]:
        try:
            file = self.tar.extractfile(name)
        except KeyError:
            file = None
        if file is None:
            raise FileNotFoundError(2, f"there is no {name} in it")
        return file


@contextmanager
def _opened(source: Path) -> Iterator[_Found]:
    if source.is_dir():
        yield _Folder(source)
        return
    try:
        tar = tarfile.open(source)  # noqa: SIM115 - closed below
    except tarfile.ReadError as error:
        raise BackupError("it is neither a directory nor a tar file") from error
    with tar:
        yield _Archive(tar)


def _checked_manifest(found: _Found) -> Manifest:
    """Raises BackupError unless it is what was written."""
    try:
        with found.open(MANIFEST) as file:
            raw = file.read(backup.READ_BYTES)
        with found.open(SUMS) as file:
            lines = file.read(backup.READ_BYTES).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        raise BackupError(f"it is no backup: it has no {MANIFEST} with a {SUMS}") from None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if sums.get(MANIFEST) != hashlib.sha256(raw).hexdigest():
        raise BackupError(_not_as_written(MANIFEST))
    return backup.decode(raw, MANIFEST)


def _not_as_written(name: str) -> str:
    return (
        f"{name} is not what was written (its SHA-256 differs): the backup is damaged, take"
        " another one; nothing was changed"
    )


# -- restoring


@dataclass(slots=True)
class _Restore:
    """One run. stack: removes at its end what was staged and not used."""

    settings: Settings
    found: _Found
    manifest: Manifest
    replace: bool
    steps: Steps
    stack: ExitStack
    stamp: str = field(init=False)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stamp = datetime.fromtimestamp(now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")

    def everything(self) -> list[str]:
        settings, manifest = self.settings, self.manifest
        engine = open_database(settings.database)
        self.stack.callback(engine.dispose)
        is_server = engine.dialect.name == "postgresql"
        path = settings.data_dir / DATABASE if is_server else backup.sqlite_path(engine)
        self._nobody_else(engine, is_server)
        full = self._what_is_there(engine, is_server)
        if full and not self.replace:
            raise CommandError(
                f"{' and '.join(full)} would be overwritten: restore into an empty data directory"
                " and database, or say --replace, which moves what is there aside"
            )
        with_telemetry = TELEMETRY in manifest.files and not settings.influxdb_url
        database = self._stage(DATABASE, path)
        self._migrate(database)
        telemetry = self._stage(TELEMETRY, settings.telemetry_path) if with_telemetry else None
        secret = self._stage_secret()
        journal = look_at_journal(settings.journal_path, manifest.judge)
        lost = self._decisions(engine)
        if is_server:
            with answering(), writing(engine) as connection:
                if full:
                    schema = f"courtyard_replaced_{self.stamp.lower()}"
                    backup.set_aside(connection, schema)
                    self.lines.append(f"what was in the database is in its schema {schema} now")
                backup.load_rows(connection, database, self.steps)
        else:
            engine.dispose()
            self._switch(database, path)
        self._settle(engine, journal, with_telemetry)
        if telemetry is not None:
            self._switch(telemetry, settings.telemetry_path)
        if secret is not None:
            self._switch(secret, settings.data_dir / SECRET)
        self.lines.insert(0, f"restored the backup of {manifest.made_at}")
        self._tell_secret()
        self._tell_lost(lost)
        self.lines += journal.lines()
        return self.lines

    def telemetry_only(self) -> list[str]:
        """The readings alone; forward goes back to where the backup's readings end."""
        settings, manifest = self.settings, self.manifest
        if manifest.telemetry == "none":
            raise BackupError("it holds no readings")
        if (manifest.telemetry == "embedded") is bool(settings.influxdb_url):
            raise BackupError(
                f"its readings are those of a telemetry store of kind {manifest.telemetry}, and"
                " COURTYARD_INFLUXDB_URL says otherwise here"
            )
        if manifest.telemetry == "embedded":
            self._nobody_has([settings.telemetry_path])
            if settings.telemetry_path.exists() and not self.replace:
                raise CommandError(
                    f"{settings.telemetry_path} would be overwritten: say --replace, which moves"
                    " it aside"
                )
        engine = open_operational(settings)
        self.stack.callback(engine.dispose)
        self._nobody_else(engine, engine.dialect.name == "postgresql")
        staged = None
        if manifest.telemetry == "embedded":
            staged = self._stage(TELEMETRY, settings.telemetry_path)
        # The cursor first: that something is written again does no harm.
        self._rewind(engine, manifest.forward)
        if staged is not None:
            self._switch(staged, settings.telemetry_path)
            self.lines.insert(0, f"restored the readings of {manifest.made_at}")
        at = look_at_journal(settings.journal_path, manifest.forward)
        self.lines.append(at.of_forward())
        return self.lines

    # who and what is there

    def _nobody_else(self, engine: Engine, is_server: bool) -> None:
        if not is_server:
            self._nobody_has([backup.sqlite_path(engine), self.settings.telemetry_path])
            return
        self._nobody_has([self.settings.telemetry_path])
        with answering(), reading(engine) as connection:
            _refuse(backup.other_users(connection), "the database")

    def _nobody_has(self, paths: Sequence[Path]) -> None:
        for path in paths:
            _refuse(users_of(path), str(path))

    def _what_is_there(self, engine: Engine, is_server: bool) -> list[str]:
        full = []
        if is_server:
            with answering(), reading(engine) as connection:
                if not backup.is_empty(connection):
                    full.append("the rows in the database")
        elif not _is_empty_file(backup.sqlite_path(engine), engine):
            full.append(str(backup.sqlite_path(engine)))
        telemetry = self.settings.telemetry_path
        if TELEMETRY in self.manifest.files and telemetry.exists() and telemetry.stat().st_size:
            full.append(str(telemetry))
        secret = self.settings.data_dir / SECRET
        if SECRET in self.manifest.files and secret.exists():
            known = hashlib.sha256(secret.read_bytes()).hexdigest()
            if known != self.manifest.files[SECRET].sha256:
                full.append(str(secret))
        return full

    def _decisions(self, engine: Engine) -> list[Decisions] | None:
        """What people decided after the backup; None if what is there cannot be read."""
        if engine.dialect.name == "sqlite" and not backup.sqlite_path(engine).exists():
            return []
        try:
            with reading(engine) as connection:
                if backup.is_empty(connection):
                    return []
                return backup.decisions_after(connection, self.manifest.newest_revision)
        except (DBAPIError, DatabaseUnusable):
            return None

    # moving

    def _stage(self, name: str, place: Path) -> Path:
        """A checked copy beside its place, on the disk."""
        expected = self.manifest.files.get(name)
        if expected is None:
            raise BackupError(f"its manifest names no {name}")
        staged = place.with_name(f".{place.name}.{token_hex(4)}.restoring")
        self.stack.callback(staged.unlink, missing_ok=True)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.found.open(name) as file:
            copied = backup.copy_summed(file, staged, name, expected.bytes, self.steps)
        if copied != expected:
            raise BackupError(_not_as_written(name))
        return staged

    def _stage_secret(self) -> Path | None:
        place = self.settings.data_dir / SECRET
        if SECRET not in self.manifest.files:
            return None
        staged = self._stage(SECRET, place)
        same = place.exists() and place.read_bytes() == staged.read_bytes()
        return None if same else staged

    def _migrate(self, database: Path) -> None:
        try:
            backup.migrate_copy(database)
        except DatabaseAhead:
            raise BackupError(
                f"courtyard {self.manifest.courtyard} made it, and its tables are newer than this"
                " version's: restore it with that version; nothing was changed"
            ) from None

    def _switch(self, staged: Path, place: Path) -> None:
        """What was there aside, with all that SQLite keeps beside it; then the new file."""
        aside = f"replaced-{self.stamp}"
        for beside in (*backup.BESIDE, ""):
            old = place.with_name(place.name + beside)
            if old.exists():
                kept = place.with_name(f"{place.name}.{aside}{beside}")
                if kept.exists():
                    raise CommandError(f"{kept} exists already: run it again in a second")
                old.rename(kept)
                if not beside:
                    self.lines.append(f"what was {place.name} is {kept.name} now")
        staged.rename(place)
        backup.sync(place.parent)

    def _settle(self, engine: Engine, journal: "JournalLook", with_telemetry: bool) -> None:
        """What the restored database has to know of its new surroundings."""
        manifest, now = self.manifest, now_ms()
        with answering(), writing(engine) as connection:
            backup.note_finished(connection, manifest, now)
            body = {"backup_made_at": manifest.made_at, **journal.body()}
            progress.report(connection, progress.RESTORE, 1, 1, body, now)
        kind = "influxdb" if self.settings.influxdb_url else "embedded"
        if not with_telemetry and manifest.telemetry != kind and manifest.forward is not None:
            self.lines.append(
                f"its readings ({manifest.telemetry}) do not fit the telemetry store here ({kind}):"
                " forward writes what the journal still has"
            )
            start = msgspec.structs.replace(manifest.forward, position=0, jseq=0, forwarded=None)
            self._rewind(engine, start)
        elif manifest.telemetry == "influxdb":
            self.lines.append(
                "the readings are in InfluxDB: if those were lost too, `influx restore` brings them"
                " back, and forward goes on from where this backup ends"
            )

    def _rewind(self, engine: Engine, to: Place | None) -> None:
        """Forward back to `to`, never on: a store may have less than its cursor says, not more."""
        now = now_ms()
        with answering(), writing(engine) as connection:
            known = cursors.load(connection, FORWARD)
            if known is None:
                return
            if to is None:
                to = Place(known.journal_id, 0, 0, now)
            if known.journal_id == to.journal_id and known.position <= to.position:
                return
            counted = msgspec.structs.replace(to.forwarded or Forwarded(), paused=None)
            memory = _pack(counted)
            there = cursors.Position(to.journal_id, to.position, to.jseq, memory)
            cursors.move(connection, FORWARD, there, now)

    # telling

    def _tell_secret(self) -> None:
        if SECRET in self.manifest.files:
            if self.settings.secret_key.get_secret_value():
                self.lines.append(
                    "COURTYARD_SECRET_KEY is set and is used, whatever secret.key says"
                )
        elif not (
            self.settings.secret_key.get_secret_value()
            or (self.settings.data_dir / SECRET).exists()
        ):
            self.lines.append(
                "the secret key is neither in the backup nor here: put secret.key (or"
                " COURTYARD_SECRET_KEY) in its place before ingest starts, or a new one is made"
            )

    def _tell_lost(self, lost: list[Decisions] | None) -> None:
        if lost is None:
            self.lines.append(
                "what was there cannot be read: what people decided since the backup (actions on"
                " faults, registry) is lost and cannot be listed"
            )
        elif lost:
            kinds = ", ".join(
                f"{it.count} × {it.what} until {rfc3339(it.newest_ms)}" for it in lost
            )
            self.lines.append(
                f"{sum(it.count for it in lost)} decisions of people since the backup are lost:"
                f" {kinds}"
            )


def _refuse(users: Sequence[str], what: str) -> None:
    if users:
        more = f" and {len(users) - LISTED} more" if len(users) > LISTED else ""
        raise CommandError(
            f"{what} is in use by {', '.join(users[:LISTED])}{more}: stop them first; nothing was"
            " changed"
        )


def _is_empty_file(path: Path, engine: Engine) -> bool:
    if not path.exists() or not path.stat().st_size:
        return True
    try:
        with reading(engine) as connection:
            return backup.is_empty(connection)
    except (DBAPIError, DatabaseUnusable):
        return False  # whatever it is, it is not nothing


def users_of(path: Path, processes: Path = Path("/proc")) -> list[str]:
    """Other processes that have the file open, where the system tells (Linux)."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return []
    users = []
    for process in sorted(processes.glob("[0-9]*"), key=lambda it: int(it.name)):
        if int(process.name) == os.getpid():
            continue
        if any(_is_same(handle, wanted) for handle in _handles(process)):
            users.append(f"process {process.name} ({_command(process)})")
    return users


def _handles(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # it has ended, or is not ours
        return []


def _is_same(handle: Path, wanted: os.stat_result) -> bool:
    try:
        found = handle.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "ended"
    return " ".join(word.decode("utf-8", "replace") for word in words if word)[-60:]


# -- the journal that is there


@dataclass(frozen=True, slots=True)
class JournalLook:
    """What the journal in the data directory has of the time after the backup.

    state: "same" (it goes on behind the place), "behind" (it ends before the place), "other" (its
    id differs), "none" (there is none), "damaged", or "new" (the backup has not read any).
    waiting: messages to be judged. missing: messages between the place and the oldest that is left;
    None where nobody can know. until_ms: when the first one that is left was received.
    """

    state: str
    place: Place | None
    journal_id: str | None = None
    waiting: int = 0
    missing: int | None = 0
    until_ms: int | None = None
    trouble: str = ""

    def body(self) -> dict[str, object]:
        """For the row of `progress`."""
        return {
            "journal": self.state,
            "journal_id": self.journal_id,
            "was_journal_id": self.place.journal_id if self.place else None,
            "was_jseq": self.place.jseq if self.place else 0,
            "missing_messages": self.missing,
            "missing_from_ms": self._from_ms if self.missing != 0 else None,
            "missing_until_ms": self.until_ms if self.missing != 0 else None,
        }

    @property
    def _from_ms(self) -> int | None:
        return None if self.place is None else self.place.updated_at_ms

    def lines(self) -> list[str]:
        place = self.place
        if place is None:
            return ["the backup was made before the first message; start ingest"]
        since = rfc3339(place.updated_at_ms)
        where = f"message {place.jseq} of journal {place.journal_id[:8]}"
        match self.state:
            case "same" if self.missing == 0:
                return [
                    f"the journal survived: judging goes on behind {where} ({since});"
                    f" {self.waiting} messages are waiting; start ingest"
                ]
            case "same":
                until = "its end" if self.until_ms is None else rfc3339(self.until_ms)
                return [
                    f"MISSING: {self.missing} messages from {since} to {until}: the journal was"
                    f" trimmed beyond {where}, where the backup ends; {self.waiting} messages are"
                    " waiting; start ingest"
                ]
            case "behind":
                return [
                    f"MISSING: the journal ends before {where}, where the backup ends: it is an"
                    " older copy. Put the newer one in its place, or move this one away"
                ]
            case "other":
                return [
                    f"MISSING: everything from {since}, behind {where}, until the journal that is"
                    f" here now ({(self.journal_id or '')[:8]}) began; that one is read from its"
                    f" start: {self.waiting} messages; start ingest"
                ]
            case "damaged":
                return [f"MISSING, it may be, everything from {since}: {self.trouble}"]
        return [
            f"MISSING: everything from {since}, behind {where}, until ingest starts: there is no"
            " journal here, and ingest will make a new one"
        ]

    def of_forward(self) -> str:
        place = self.place
        if place is None or self.state in ("none", "other", "damaged", "behind"):
            return (
                "the journal does not reach back to where these readings end: what lies between is"
                f" missing ({self.state})"
            )
        gap = ""
        if self.missing:
            gap = f"; MISSING: {self.missing} messages that the journal no longer has"
        return (
            f"forward goes on behind message {place.jseq}: {self.waiting} messages are written"
            f" again{gap}; start ingest"
        )


def look_at_journal(path: Path, place: Place | None) -> JournalLook:
    """What there is behind `place`. Somebody else must not be writing it."""
    try:
        with JournalReader(path) as reader:
            head = reader.head()
            if place is None:
                return JournalLook("new", None, head.journal_id, head.jseq)
            if head.journal_id != place.journal_id:
                return JournalLook("other", place, head.journal_id, head.jseq, None)
            if head.id < place.position:
                return JournalLook("behind", place, head.journal_id, 0, None)
            trimmed_id = reader.trimmed_id()
            if trimmed_id <= place.position:
                return JournalLook("same", place, head.journal_id, head.jseq - place.jseq)
            left = reader.read(trimmed_id, 1)
            first_jseq = left[0].first_jseq if left else head.jseq + 1
            return JournalLook(
                "same",
                place,
                head.journal_id,
                head.jseq - first_jseq + 1,
                first_jseq - 1 - place.jseq,
                _received_ms(reader, trimmed_id),
            )
    except JournalMissing:
        return JournalLook("none", place, missing=None)
    except JournalError as error:
        return JournalLook("damaged", place, missing=None, trouble=str(error))


def _received_ms(reader: JournalReader, after: int) -> int | None:
    """When the first message behind the record `after` was received."""
    while records := reader.read(after, 100):
        for record in records:
            if record.kind == MESSAGES and record.messages:
                return record.messages[0].received_ms
        after = records[-1].id
    return None
