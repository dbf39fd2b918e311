"""A PostgreSQL that is stopped and comes back, with its durable settings."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.postgres import INITDB, PostgresMissing, server_folder

START_S = 60.0


class Postgres:
    """One server on a Unix socket in a folder of its own. Raises PostgresMissing."""

    def __init__(self) -> None:
        self._binaries = server_folder()
        self._folder = Path(tempfile.mkdtemp(prefix="courtyard-chaos-pg-", dir="/tmp"))
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise PostgresMissing("PostgreSQL refuses to run as root") from None
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        """Returns when it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"), "-D", str(self._folder / "data"),
                    "-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}",
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as_user,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """At once, as in a crash: connections break, and it recovers when it starts again."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)
        self._process = None

    def __enter__(self) -> Self:
        subprocess.run(
            [str(self._binaries / "initdb"), "-D", str(self._folder / "data"), *INITDB],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            timeout=120,
            **self._as_user,
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
