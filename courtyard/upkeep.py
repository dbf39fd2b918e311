"""An ingest process looks after itself: its disk, its stores, its judge, its accounts.

look    every second: what is wrong, said in the log and the metrics, whatever is away
rows    every second: the faults of the platform, written when the database takes them, and the
        pace of the last day, about once a minute
audit   every minute: the accounts, and samples of the telemetry store
"""

import threading
from collections.abc import Callable, Iterable, Mapping

import structlog
from prometheus_client.core import Metric
from sqlalchemy import Engine

from courtyard.clock import now_ms
from courtyard.journals import FollowedJournal
from courtyard.metrics import counter, gauge
from courtyard.settings import Settings, secret_key
from devices.credentials import Seal
from devices.journal import Counted
from devices.platform import ACCOUNTS_IMBALANCE, DISK, JUDGE_BEHIND, STORE_AWAY
from devices.registry import Registry
from devices.store.accounts import (
    FORWARD,
    JUDGE,
    Booked,
    Follower,
    booked_before,
    follower,
    read_booked,
)
from devices.store.audit import noisy_devices, registry_changed
from devices.store.database import DatabaseAway, answering, reading, writing
from devices.store.journal import JournalError, JournalWriter
from devices.store.pace import keep_pace, read_pace
from devices.store.platform import PlatformFaults
from devices.store.quarantine import refused_within
from devices.store.readings import KeptReadings
from devices.store.registry import load
from devices.telemetry import TelemetryReader
from ingest.alarms import Alarms
from ingest.audit import AccountsAudit, Basis, TelemetryAudit
from ingest.disk import DiskGuard, GuardedJournal, Room, used_pct
from ingest.forward import Forwarder
from ingest.monitor import Absence, Check, JudgeLag, Monitor, Place, Standstill
from ingest.pace import PaceLog

NOISY_FOR_MS = 3 * 86_400_000  # as long as the journal may be

log = structlog.get_logger()


class Upkeep:
    """Put together by the ingester, part by part; what is not in this process is not watched."""

    def __init__(self, settings: Settings, journal: FollowedJournal) -> None:
        self._settings = settings
        self._every_s = settings.audit_every.total_seconds()
        self._journal = journal
        self._judged: Place | None = None
        self._forwarded: Place | None = None
        self._pace: PaceLog | None = None
        self._accounts: AccountsAudit | None = None
        self._telemetry: TelemetryAudit | None = None
        self.guard = DiskGuard(lambda: used_pct(settings.data_dir))
        self.alarms = Alarms(now_ms)
        self.monitor = Monitor(self.alarms, now_ms)

    # What to watch

    def guarded(self, writer: JournalWriter) -> GuardedJournal:
        """The journal as receive writes it: with an eye on the disk."""
        self._pace = PaceLog(self._journal)
        lag = JudgeLag(self._journal, lambda: self._judged)
        self.monitor.add([Check(DISK, self.guard.trouble), Check(JUDGE_BEHIND, lag.look)])
        return GuardedJournal(writer, self.guard)

    def audit_accounts(self, engine: Engine) -> None:
        self._accounts = AccountsAudit(_Accounts(engine, self._journal))

    def watch_forward(
        self, forwarder: Forwarder, telemetry: TelemetryReader, engine: Engine
    ) -> None:
        progress = forwarder.progress
        stands = Standstill(lambda: progress.position, self._journal)
        away = Absence("telemetry", lambda: progress.paused or stands())
        self.monitor.add([Check(STORE_AWAY, away.look, away.subject)])
        self._telemetry = TelemetryAudit(
            telemetry,
            self._journal,
            lambda: Place(self._journal.head().journal_id, progress.position),
            lambda: progress.paused,
            lambda: progress.dead,
            _Bases(engine).now,
            lambda *of: _refused_within(engine, *of),
            Seal(secret_key(self._settings)),
            KeptReadings(engine).from_ms,
        )

    # What runs

    def run_rows(self, engine: Engine, stop: threading.Event) -> None:
        def look_around() -> None:
            if self._pace is not None:
                self._pace.look(now_ms(), self._judged, self._forwarded)
            with answering(), reading(engine) as connection:
                self._judged = _place(follower(connection, JUDGE))
                self._forwarded = _place(follower(connection, FORWARD))
            if self._pace is not None:
                _keep(engine, self._pace)

        self.monitor.run_rows(PlatformFaults(engine), look_around, stop)

    def run_audit(self, newest_ms: Callable[[], int], stop: threading.Event) -> None:
        """newest_ms: receive time of the newest message that was judged, 0 where not known."""
        while not stop.wait(self._every_s):
            self.audit(newest_ms())

    def audit(self, newest_ms: int) -> None:
        """One round. What is away is not audited, and is said elsewhere."""
        try:
            if self._accounts is not None:
                trouble = self._accounts.look(now_ms(), newest_ms)
                self.alarms.tell(ACCOUNTS_IMBALANCE, trouble)
            if self._telemetry is not None:
                audit = self._telemetry
                self.alarms.tell(ACCOUNTS_IMBALANCE, audit.look(now_ms()), audit.subject)
        except (DatabaseAway, JournalError) as error:
            log.info("audit_skipped", reason=str(error))
        except Exception:
            log.exception("audit_failed")

    @property
    def presses(self) -> bool:
        """Whether the journal is to keep only what somebody has yet to read."""
        return self.guard.room is not Room.AMPLE

    def metrics(self) -> Iterable[Metric]:
        standing: dict[tuple[str, ...], float] = {
            (code,): float(n) for code, n in self.alarms.by_code().items()
        }
        yield gauge(
            "courtyard_platform_alarms", "Our own troubles that stand now.", standing, "code"
        )
        yield gauge(
            "courtyard_journal_disk_used_ratio",
            "Of the file system that holds the journal.",
            {(): self.guard.used_pct / 100},
        )
        withheld = self.guard.room is Room.NONE or bool(self.guard.error)
        yield gauge(
            "courtyard_acks_withheld",
            "1 while nothing is acknowledged because it cannot be written.",
            {(): float(withheld)},
        )
        if self._accounts is not None:
            yield counter(
                "courtyard_audit_rounds",
                "How often the accounts were compared with the journal.",
                {(): self._accounts.rounds},
            )
        if self._telemetry is not None:
            yield counter(
                "courtyard_audit_points",
                "Points that were looked for in the telemetry store.",
                {(): self._telemetry.checked},
            )


def _place(of: Follower | None) -> Place:
    return Place("", 0) if of is None else Place(of.journal_id, of.position)


def _keep(engine: Engine, pace: PaceLog) -> None:
    """Take up what was kept before this process, and write the pace down when it is time."""
    if not pace.is_loaded:
        with answering(), reading(engine) as connection:
            pace.load(read_pace(connection))
    at_ms = now_ms()
    stretches = pace.to_keep(at_ms)
    if stretches:
        with answering(), writing(engine) as connection:
            keep_pace(connection, stretches, at_ms)
        pace.was_kept()


class _Accounts:
    """Both sides of the accounts, as the auditor asks for them."""

    def __init__(self, engine: Engine, journal: FollowedJournal) -> None:
        self._engine = engine
        self._journal = journal

    def booked(self, from_ms: int | None) -> Booked | None:
        with answering(), reading(self._engine) as connection:
            return read_booked(connection, from_ms)

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        return self._journal.count(position, hours, most)

    def before(self, journal_id: str) -> Mapping[str, int]:
        with answering(), reading(self._engine) as connection:
            return booked_before(connection, journal_id)


class _Bases:
    """The registry to read samples by, loaded again only when it has changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._registry: Registry | None = None
        self._revision = -1

    def now(self) -> Basis:
        with answering(), reading(self._engine) as connection:
            revision, changed_ms = registry_changed(connection)
            if self._registry is None or revision != self._revision:
                self._registry, self._revision = load(connection), revision
            noisy = noisy_devices(connection, now_ms() - NOISY_FOR_MS)
        return Basis(self._registry, changed_ms, noisy)


def _refused_within(engine: Engine, journal_id: str, first: int, last: int) -> set[int]:
    with answering(), reading(engine) as connection:
        return refused_within(connection, journal_id, first, last)
