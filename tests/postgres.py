"""A private PostgreSQL for tests: one cluster a session, databases in milliseconds.

The server listens on a Unix socket in a temporary folder, so parallel runs cannot collide, and
ends with the session. It refuses to run as root; then it runs as the user `postgres`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

START_S = 30
INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # nothing here has to survive
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "50",
}


class PostgresMissing(Exception):
    """initdb and postgres are not installed."""


def server_folder() -> Path:
    """Where initdb and postgres are: PATH, or Debian's folder of the newest version."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing(
        "PostgreSQL is not installed (no initdb on PATH or in /usr/lib/postgresql/*/bin): "
        "apt-get install postgresql"
    )


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


_TABLES = """
    SELECT string_agg(relname, ',' ORDER BY relname), (SELECT max(version_num) FROM alembic_version)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
"""
_EMPTY = """
    DO $$ DECLARE it text; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR it IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP EXECUTE format('DELETE FROM %I', it); END LOOP;
        FOR it IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
        LOOP EXECUTE format('ALTER SEQUENCE %I RESTART', it); END LOOP;
    END $$
"""


class Cluster:
    """A running server. Databases are named by number and live until they are dropped."""

    def __init__(self, socket_folder: Path) -> None:
        self._socket_folder = socket_folder
        self._count = 0
        self._idle: list[str] = []
        self._tables: dict[str, object] = {}  # of each template
        self._open: dict[str, psycopg.Connection] = {}  # to each copy that was taken back

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._socket_folder}"

    def create(self, template: str = "template0") -> str:
        """The name of a new database, a copy of `template`, which nobody may be connected to."""
        self._count += 1
        name = f"test_{self._count}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, database: str) -> None:
        self._run(f'DROP DATABASE "{database}" WITH (FORCE)')

    def lend(self, template: str) -> str:
        """An empty copy of `template`: one that was taken back (10 ms), or a new one (200 ms)."""
        return self._idle.pop() if self._idle else self.create(template)

    def take_back(self, database: str, template: str) -> None:
        """Empty the tables of a copy for the next test; one that was altered is dropped."""
        if template not in self._tables:
            with self._connect(template) as original:
                self._tables[template] = original.execute(_TABLES).fetchone()
        try:
            if database not in self._open:
                self._open[database] = self._connect(database)
                # somebody may still be connected
                self._open[database].execute("SET lock_timeout = '2s'")
            self._open[database].execute(_EMPTY)
            found = self._open[database].execute(_TABLES).fetchone()
            same = found == self._tables[template]
        except psycopg.Error:
            same = False
        if same:
            self._idle.append(database)
        else:
            if database in self._open:
                self._open.pop(database).close()
            self.drop(database)

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def _run(self, statement: str) -> None:
        with self._connect("postgres") as connection:
            connection.execute(statement.encode())


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server, end it. Raises PostgresMissing."""
    binaries = server_folder()
    folder = Path(tempfile.mkdtemp(prefix="courtyard-pg-", dir="/tmp"))  # short: a socket's path is
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            raise PostgresMissing("PostgreSQL refuses to run as root, and has no user") from None
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data = folder / "data"
    try:
        subprocess.run(
            [str(binaries / "initdb"), "-D", str(data), *INITDB],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            timeout=120,
            **as_user,
        )
        settings = SETTINGS | {"unix_socket_directories": str(folder)}
        log = (folder / "log").open("wb")
        server: subprocess.Popen[bytes] = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data)]
            + [word for name, value in settings.items() for word in ("-c", f"{name}={value}")],
            stdout=log,
            stderr=log,
            cwd=folder,
            **as_user,
        )
        log.close()
        try:
            started = Cluster(folder)
            _wait(started, server, folder / "log")
            try:
                yield started
            finally:
                started.close()
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing in it is worth a clean shutdown
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)
            if server.poll() is None:
                server.kill()
                server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(started: Cluster, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(started.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
            time.sleep(0.02)
        else:
            return
