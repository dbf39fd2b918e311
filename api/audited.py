"""Whatever people change through the API or the console is in the audit log: the only place for it.

The policy of the route says who it is (`api.identity.actor`). Their first transaction takes the
row along (`devices.store.database.recorded`): the change and its record are there, or neither. What
was refused, and what needed no transaction (a test message), is recorded before it is answered.
"""

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import structlog
from anyio.to_thread import run_sync
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devices.audit import DONE, Entry, Origin
from devices.store import audit_log
from devices.store.database import recorded, writing

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
REFUSED_AT_MOST = 100  # rows of one token in an hour: what is refused changed nothing
HOUR_MS = 3_600_000

log = structlog.get_logger()


@dataclass(slots=True)
class Trace:
    """What is known of the request so far. actor: None until somebody is known to have sent it."""

    address: str
    method: str
    resource: str
    origin: Origin
    actor: str | None = None
    role: str = ""
    token: int = 0
    subject: str = ""
    outcome: str = DONE
    detail: dict[str, object] = field(default_factory=dict)

    def entry(self, now_ms: int) -> Entry:
        return Entry(
            at_ms=now_ms,
            actor=self.actor or "",
            role=self.role,
            token=self.token or None,
            origin=self.origin,
            address=self.address,
            method=self.method,
            resource=self.resource,
            subject=self.subject,
            outcome=self.outcome,
            detail=self.detail,
        )


_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


def sent_by(actor: str, role: str, token: int) -> None:
    """Say who sent this request."""
    trace = _TRACE.get()
    if trace is not None:
        trace.actor, trace.role, trace.token = actor, role, token


def about(subject: str, **detail: object) -> None:
    """Say what this request is about, where its address does not: the id of what it made.

    detail: what it became; never a secret.
    """
    trace = _TRACE.get()
    if trace is not None:
        trace.subject = subject or trace.subject
        trace.detail.update(detail)


def came_out(outcome: str) -> None:
    """Say that nothing was done, though nothing was refused: the same was asked before."""
    trace = _TRACE.get()
    if trace is not None:
        trace.outcome = outcome


class Audited:
    """Records what known people change, also what they were refused.

    A failure to record what was refused is in the log of the process, and refuses nothing else.
    """

    def __init__(self, app: ASGIApp, engine: Engine, clock: Callable[[], int]) -> None:
        self._app = app
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: dict[int, tuple[int, int]] = {}  # by token: the hour, and how many

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        trace = _trace(scope)
        recorder = audit_log.FirstWrite(
            lambda: None if trace.actor is None else _placed(trace, scope).entry(self._clock())
        )

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._rest(scope, trace, recorder, message["status"])
            await send(message)

        before = _TRACE.set(trace)
        try:
            with recorded(recorder):
                await self._app(scope, receive, answer)
        except Exception:
            await self._rest(scope, trace, recorder, 500)
            raise
        finally:
            _TRACE.reset(before)

    async def _rest(
        self, scope: Scope, trace: Trace, recorder: audit_log.FirstWrite, status: int
    ) -> None:
        """Record what no transaction took along."""
        if trace.actor is None or recorder.is_recorded:
            return
        recorder.is_recorded = True
        now_ms = self._clock()
        if status >= 400:
            if not self._may_record(trace.token, now_ms):
                return
            trace.outcome = f"refused {status}" if status < 500 else f"failed {status}"
        await run_sync(self._append, _placed(trace, scope).entry(now_ms))

    def _append(self, entry: Entry) -> None:
        try:
            with writing(self._engine) as connection:
                audit_log.append(connection, entry)
        except SQLAlchemyError as error:
            log.warning(
                "audit_failed",
                actor=entry.actor,
                method=entry.method,
                resource=entry.resource,
                outcome=entry.outcome,
                reason=str(error)[:300],
            )

    def _may_record(self, token: int, now_ms: int) -> bool:
        hour = now_ms // HOUR_MS
        with self._lock:
            began, count = self._refused.get(token, (hour, 0))
            count = count + 1 if began == hour else 1
            self._refused[token] = (hour, count)
        return count <= REFUSED_AT_MOST


def _trace(scope: Scope) -> Trace:
    client = scope.get("client")
    headers = Headers(scope=scope)
    return Trace(
        address=client[0] if client else "",
        method=scope["method"],
        resource=without_secrets(scope["path"]),
        # a program has its token; a browser a cookie, or neither while it logs in
        origin=Origin.API if "authorization" in headers else Origin.CONSOLE,
    )


def without_secrets(path: str) -> str:
    """A path as it may be written down: whoever has the address of a link's page may use it."""
    return "/a/…" if path.startswith("/a/") else path


def _placed(trace: Trace, scope: Scope) -> Trace:
    """With the ids in its address as what it is about, unless somebody said what that is."""
    ids: Mapping[str, object] = scope.get("path_params") or {}
    if trace.subject or not ids:
        return trace
    return replace(trace, subject=" ".join(str(one) for one in ids.values()))
