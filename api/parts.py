"""What the routes of one application share: what it was given, and what it keeps."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol, cast

from fastapi import Depends
from sqlalchemy import Connection, Engine
from starlette.requests import HTTPConnection

from api.attempts import Attempts
from api.last_use import LastUse
from api.metrics import Metrics
from api.pace import Pace
from api.passwords import Passwords
from api.turns import Turns
from devices.alerts import Target
from devices.corrections import Recounted
from devices.journal import Counted, Head, Record, Sent
from devices.store.compounds import Directory, read_directory
from devices.store.overview import Fixture, read_fixtures
from devices.store.registry import newest_revision
from devices.telemetry import TelemetryReader

Clock = Callable[[], int]  # UTC epoch ms

LOOK_AGAIN_S = 1.0  # how long a copy of prepared rows may be used
# A telemetry store that hangs holds a read for 3 s, so at most 12 of the 40 threads on which
# the routes run; the store has a limit of its own for what it serves at once.
SERIES_AT_ONCE, SERIES_WAITING, SERIES_WAIT_S = 4, 8, 1.0
# A firm's report holds a core for some seconds, and needs some 100 MB: one after another.
REPORTS_AT_ONCE, REPORTS_WAITING, REPORT_WAIT_S = 1, 2, 20.0
# To look at a target, or to test it, may take 25 s: Apprise has its own process, a server hangs.
TARGETS_AT_ONCE, TARGETS_WAITING, TARGET_WAIT_S = 4, 4, 5.0


class JournalAway(Exception):
    """The journal cannot be read now: not there yet, replaced, or on another machine."""


class JournalView(Protocol):
    """What the API may know of the journal. Every method raises JournalAway."""

    def head(self) -> Head:
        """How far it goes."""
        ...

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        """What it received in hours [from_ms, to_ms), or ever, and what waits behind `position`.

        One look, so that nothing is in one figure and not in the other.
        """
        ...

    def read(self, after: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records behind the one with id `after`."""
        ...

    def sent_by(
        self,
        level: bytes,
        before: tuple[int, int] | None,
        until_ms: int,
        since_ms: int,
        most: int,
        within_s: float,
    ) -> Sent:
        """Messages with this level in their topic, the newest first, looked for within_s.

        Without what tells people apart. before: the place that the last look ended at; None: begin
        with what was received at until_ms. since_ms: nothing that was received before.
        """
        ...


@dataclass(frozen=True, slots=True)
class DryRun:
    """A run of changed rules over the past. state: running, done, failed; detail: why it failed.

    body_sha256: of the rule file that is tried. result: as `shapes.rules.DryRunResult` has it, once
    it is done.
    """

    started_at_ms: int
    from_ms: int
    to_ms: int
    compound: str | None
    state: str = "running"
    percent: int = 0
    detail: str = ""
    result: Mapping[str, object] | None = None
    body_sha256: str = ""


class DryRuns(Protocol):
    """Who makes dry runs: one at a time."""

    def start(self, run: DryRun, body: str) -> bool:
        """Begin it with this rule file, which was checked; False while another one runs."""
        ...

    def newest(self) -> DryRun | None:
        """The last one that was started, as it is now."""
        ...


class NotAccepted(Exception):
    """The other side did not take a message; the text is what it said."""


class Unreached(ValueError):
    """The server of an address is not found, or does not answer, now."""


class Barred(ValueError):
    """Nothing may be sent to an address: it is a private one, or no https:// URL."""


class Messenger(Protocol):
    """Who sends to people. Nothing that is raised names an address or a secret."""

    def check(self, target: Target) -> None:
        """Raise ValueError where its address or secret cannot be right; says what is expected.

        Unreached and Barred are two of them.
        """
        ...

    def test(self, target: Target) -> str:
        """Send it a test message; what it answered. Raises NotAccepted."""
        ...


class LoginRefused(Exception):
    """A login provider's answer that cannot be taken; the text is for our log, not for people."""


class LoginAway(Exception):
    """The login provider does not answer, or not as it has to."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Who a login provider says somebody is. role, firm: for a new user; None: none is made."""

    name: str
    display: str
    role: str | None = None
    firm: str | None = None


class LoginProvider(Protocol):
    """Where people log in with what they have elsewhere (OpenID Connect)."""

    @property
    def called(self) -> str:
        """What people call it."""
        ...

    def begin(self, state: str, nonce: str, challenge: str) -> str:
        """The address to send a browser to. Raises LoginAway."""
        ...

    def finish(self, code: str, verifier: str, nonce: str) -> Claimed:
        """Who came back with this code. Raises LoginRefused, LoginAway."""
        ...

    def is_issuer(self, issuer: str) -> bool:
        """Whether this is what it calls itself."""
        ...


class Exports(Protocol):
    """Who makes what `/v1/exports` is asked for."""

    @property
    def folder(self) -> Path:
        """Where the files are."""
        ...

    def wake(self) -> None:
        """There is something to do."""
        ...


@dataclass(frozen=True, slots=True)
class FieldTable:
    """What fields of a device's format become. head: over the columns; names are in backticks."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class DayRecount(Protocol):
    """Who works a final day out again from its readings."""

    def work_out(self, compound: str, from_ms: int, to_ms: int) -> Recounted:
        """The local day [from_ms, to_ms). Raises RecountRefused, RecountBusy, TelemetryError."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What `create_app` needs; made by `courtyard`.

    journal: None when it is not on this machine. secret_key: signs cursors, at least 16 bytes.
    demo: visitors from loopback may look at everything without a token. poll_s: how often the
    stream looks for news. ask_again_s: how often a listener must prove anew that it may listen.
    dry_runs: None where there is no journal to judge. fonts: where a Chinese font for PDF is, else
    the system's. messenger: None: targets can be read, and neither made nor tested. exports: None
    where nobody makes them. recount: None where nothing is worked out again. field_tables: how a
    format's fields are mapped onto ours, by the registry's name of the format. passwords: None
    where nobody logs in with one. login_provider: None: there is none. monotonic: seconds, by which
    failed logins wait.
    """

    engine: Engine
    telemetry: TelemetryReader
    journal: JournalView | None
    clock: Clock
    secret_key: bytes
    demo: bool
    version: str
    poll_s: float = 1.0
    ask_again_s: float = 30.0
    dry_runs: DryRuns | None = None
    fonts: Path | None = None
    messenger: Messenger | None = None
    exports: Exports | None = None
    recount: DayRecount | None = None
    field_tables: Mapping[str, Sequence[FieldTable]] = field(default_factory=dict)
    passwords: Passwords | None = None
    login_provider: LoginProvider | None = None
    monotonic: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if len(self.secret_key) < 16:
            raise ValueError("secret_key is shorter than 16 bytes: its signatures can be guessed")


@dataclass(frozen=True, slots=True)
class Known:
    """The registry as it is kept here."""

    directory: Directory
    fixtures: Mapping[int, Fixture]


class RegistryCopy:
    """The registry, read again when its revision moves; looks at most once in LOOK_AGAIN_S."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._known: Known | None = None

    def look_again(self) -> None:
        """Ask the database at the next `get`, however recent this copy is."""
        with self._lock:
            self._looked_s = float("-inf")

    @property
    def has_made_up(self) -> bool:
        """Whether some compound is made up, by the newest copy; before the first one, none is."""
        known = self._known
        return known is not None and any(
            one.synthetic for one in known.directory.compounds.values()
        )

    def get(self, connection: Connection) -> Known:
        """Firms, compounds and fixtures, at most LOOK_AGAIN_S old."""
        with self._lock:
            now_s = time.monotonic()
            known = self._known
            if known is not None and now_s - self._looked_s < LOOK_AGAIN_S:
                return known
            if known is None or newest_revision(connection) != known.directory.revision:
                known = Known(read_directory(connection, self._clock()), read_fixtures(connection))
                self._known = known
            self._looked_s = now_s
            return known


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a route may reach."""

    deps: Dependencies
    registry: RegistryCopy
    metrics: Metrics
    series_turns: Turns
    report_turns: Turns
    target_turns: Turns
    pace: Pace
    attempts: Attempts
    last_use: LastUse

    @property
    def is_simulated(self) -> bool:
        """Whether pages are to say that what they show did not come from real devices."""
        return self.deps.demo or self.registry.has_made_up

    def now_ms(self) -> int:
        return self.deps.clock()


async def parts_of(connection: HTTPConnection) -> Parts:
    """The parts of the application that this request came to."""
    return cast(Parts, connection.app.state.parts)


PartsOf = Annotated[Parts, Depends(parts_of)]
