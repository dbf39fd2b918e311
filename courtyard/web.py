"""`courtyard api`: the HTTP API and the console in one process."""

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TypeVar

import structlog
import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from api.app import create_app
from api.parts import Dependencies, JournalAway, LoginProvider
from api.passwords import Passwords
from courtyard.clock import now_ms
from courtyard.collector import let_rest
from courtyard.dry_runs import ChildDryRuns
from courtyard.errors import DONE, FAILED, CommandError
from courtyard.exports import FOLDER, ChildExports
from courtyard.journals import FollowedJournal
from courtyard.listening import listen
from courtyard.mappings import field_tables
from courtyard.messenger import Messenger
from courtyard.settings import Settings, secret_key
from courtyard.signals import stop_on_signals, stop_with_parent
from courtyard.stores import Stopped, await_operational, open_telemetry, short
from courtyard.usage import day_recount
from courtyard.users import setup_code
from devices.credentials import Seal
from devices.journal import Counted, Head, Raw, Record, Sent
from devices.store.journal import JournalError
from ingest.redaction import without_people

GRACE_S = 3  # for requests that run; open event streams are cut off then
STOP_S = 8.0

T = TypeVar("T")
log = structlog.get_logger()


def run_api(settings: Settings, *, demo: bool, with_parent: bool) -> int:
    """Serves until SIGTERM or SIGINT; gives the exit code. Raises CommandError for a taken port."""
    let_rest()
    stop = threading.Event()
    stop_on_signals(stop)
    if with_parent:
        stop_with_parent(stop)
    listener = listen(settings.api_host, settings.api_port)
    try:
        engine = await_operational(settings, stop)
    except Stopped:
        listener.close()
        return DONE
    telemetry = open_telemetry(settings)
    journal = FollowedJournal(settings.journal_path)
    dry_runs = ChildDryRuns()
    exports = ChildExports(engine, settings.data_dir / FOLDER)
    app = create_app(
        Dependencies(
            engine=engine,
            telemetry=telemetry,
            journal=JournalForApi(journal, Seal(secret_key(settings))),
            clock=now_ms,
            secret_key=secret_key(settings),
            demo=demo,
            version=version("courtyard"),
            dry_runs=dry_runs,
            fonts=settings.fonts,
            messenger=Messenger(settings),
            exports=exports,
            recount=day_recount(engine, telemetry),
            field_tables=field_tables(),
            passwords=Passwords(),
            login_provider=_login_provider(settings),
        )
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    if not demo:
        _offer_setup(settings, engine)
    exports.start()
    try:
        return _serve(server, listener, stop)
    finally:
        exports.end()
        dry_runs.end()
        telemetry.close()
        journal.close()
        engine.dispose()


def _login_provider(settings: Settings) -> LoginProvider | None:
    """The one of the settings. Raises CommandError where what it takes is not installed."""
    if not settings.oidc_issuer:
        return None
    try:
        from courtyard import oidc  # only here: it takes packages of an extra
    except ImportError as error:
        raise CommandError(
            "COURTYARD_OIDC_ISSUER: logging in with a provider takes more packages: install"
            " courtyard[oidc]"
        ) from error
    return oidc.OidcProvider(oidc.config_of(settings), oidc.fetch, now_ms)


def _offer_setup(settings: Settings, engine: Engine) -> None:
    """Say with which code the first user is made, while there is none."""
    try:
        code = setup_code(engine)
    except DBAPIError as error:
        log.warning("setup_code_not_made", reason=short(error), then="the next start tries again")
        return
    if code is not None:
        everywhere = ("0.0.0.0", "::")  # noqa: S104 - where it listens is not what a browser is told
        host = "localhost" if settings.api_host in everywhere else settings.api_host
        url = settings.public_url or f"http://{host}:{settings.api_port}"
        log.warning("setup_code", code=code, at=f"{url}/setup", then="make the first user there")


def _serve(server: uvicorn.Server, listener: socket.socket, stop: threading.Event) -> int:
    """Runs the server on a thread, so that signals stay ours; gives the exit code."""
    failed = threading.Event()

    def run() -> None:
        try:
            server.run(sockets=[listener])
        except Exception:
            log.exception("api_died")
        if not stop.is_set():
            failed.set()
            stop.set()

    thread = threading.Thread(target=run, name="http", daemon=True)
    thread.start()
    log.info("api_listens", at="{}:{}".format(*listener.getsockname()[:2]))
    stop.wait()
    server.should_exit = True
    thread.join(STOP_S)
    return FAILED if failed.is_set() or thread.is_alive() else DONE


class JournalForApi:
    """What the API may know of the journal, with the API's own error.

    What is searched for people to look at comes without what tells them apart, like what is kept in
    quarantine.
    """

    def __init__(self, journal: FollowedJournal, seal: Seal) -> None:
        self._journal = journal
        self._seal = seal

    def head(self) -> Head:
        return _for_api(self._journal.head)

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        return _for_api(lambda: self._journal.count(position, hours, most))

    def read(self, after: int, limit: int) -> Sequence[Record]:
        return _for_api(lambda: self._journal.read(after, limit))

    def sent_by(
        self,
        level: bytes,
        before: tuple[int, int] | None,
        until_ms: int,
        since_ms: int,
        most: int,
        within_s: float,
    ) -> Sent:
        sent = _for_api(
            lambda: self._journal.sent_by(level, before, until_ms, since_ms, most, within_s)
        )
        return replace(
            sent,
            messages=tuple((place, self._redacted(raw)) for place, raw in sent.messages),
        )

    def _redacted(self, raw: Raw) -> Raw:
        return raw._replace(payload=without_people(raw.payload, raw.origin, self._seal))


def _for_api(question: Callable[[], T]) -> T:
    try:
        return question()
    except JournalError as error:
        raise JournalAway(str(error)) from error
