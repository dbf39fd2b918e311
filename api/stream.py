"""News, as they happen: server-sent events of faults and of device states.

One poller looks at the database, numbers what it finds and keeps the newest in a ring; every
listener reads the ring from where it stands. Numbers belong to one poller: a listener that comes
back to another one, or too late for the ring, is told `reset` and loads its page again.

Events: `ready` (listening from here), `fault` (something happened to a fault), `device` (a device
is in another state), `platform` (whether we can say who is online), `reset`; for a listener who
watches one device, `heard` (a message of it was judged), so that its page shows what it said; for
one who watches a fault, `told` (somebody was told of it, or could not be).
"""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
import structlog
from fastapi import APIRouter, Header, Query
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import shapes
from api.compounds import judge_is_blind
from api.errors import NotFound, Unauthenticated
from api.identity import Identity, Reader, identify
from api.instants import print_instant, print_known
from api.parts import Dependencies, Known, Parts, PartsOf, RegistryCopy
from devices.catalogue import RULES
from devices.store.database import reading
from devices.store.devices import compounds_of, shown_state
from devices.store.scope import Scope
from devices.store.stream import (
    FaultNews,
    StateNews,
    Watcher,
    holds_fault,
    last_heard,
    last_told,
)

T = TypeVar("T")
log = structlog.get_logger()

RING = 2048  # events kept; a listener that is further behind gets `reset`
MOST_WATCHED = 500  # devices, and faults; pages of others are read again now and then
RETRY_MS = 2000
AWAKE_S = 15.0  # so often at least something is sent, or proxies take the connection for dead

router = APIRouter(prefix="/v1", tags=["stream"], responses=shapes.refusals.PROBLEMS)


class Watched(NamedTuple):
    """A device or a fault of which somebody wants to hear more than everybody does."""

    kind: Literal["device", "fault"]
    id: str


class Found(NamedTuple):
    """News to send. firm: whose it is; None: the district's alone. to_all: everybody's.

    sent: as it goes to every listener; printed once, for there may be hundreds of them. watched:
    the device or fault of which only those are told who watch it.
    """

    event: str
    data: dict[str, object]
    firm: str | None = None
    to_all: bool = False
    sent: bytes = b""
    watched: Watched | None = None

    def concerns(self, scope: Scope, watched: Watched | None = None) -> bool:
        if self.watched is not None and self.watched != watched:
            return False
        return self.to_all or scope.is_district or self.firm == scope.firm


class Stream:
    """The ring, and the poller that fills it. Lives in the event loop; looks in a thread."""

    def __init__(self, deps: Dependencies, registry: RegistryCopy, ring: int = RING) -> None:
        self._deps = deps
        self._registry = registry
        self._poller = secrets.token_hex(4)
        self._ring: deque[Found] = deque(maxlen=ring)
        self._next = 1
        self._grown = asyncio.Event()  # set, and replaced, with everything that is published
        self._watcher: Watcher | None = None
        self._blind: bool | None = None
        self._failing = False
        self._watched: Counter[Watched] = Counter()  # by how many listeners
        self._heard: dict[str, int | None] = {}
        self._told: dict[str, object] = {}
        self.listeners = 0

    async def run(self) -> None:
        """Look for news for ever; a database that is away is looked at again."""
        while True:
            try:
                await self.publish(await to_its_end(self._look))
                if self._failing:
                    self._failing = False
                    log.info("stream_goes_on")
            except SQLAlchemyError as error:
                if not self._failing:
                    self._failing = True
                    log.warning("stream_stands_still", error=type(error).__name__)
            await asyncio.sleep(self._deps.poll_s)

    async def publish(self, found: Sequence[Found]) -> None:
        """Number what was found and wake the listeners."""
        if not found:
            return
        for item in found:
            event_id = self.event_id(self._next)
            self._ring.append(item._replace(sent=_print(item.event, item.data, event_id)))
            self._next += 1
        # Not a Condition: many listeners that leave while they wait for its lock end with errors.
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def place(self, last_event_id: str | None) -> int | None:
        """The number to go on with after `last_event_id`; None if it is not ours, or too old."""
        if last_event_id is None:
            return self._next
        poller, _, number = last_event_id.rpartition("-")
        if poller != self._poller or not number.isdecimal() or len(number) > 18:
            return None
        place = int(number) + 1
        return place if self._oldest <= place <= self._next else None

    def event_id(self, number: int) -> str:
        return f"{self._poller}-{number}"

    async def listen(
        self, place: int | None, scope: Scope, wait_s: float, watched: Watched | None = None
    ) -> AsyncIterator[bytes | None]:
        """What concerns `scope`, from number `place` on; None when that is silent for `wait_s`.

        place: as `place` gave it. News of others do not break the silence. What was found at once
        is sent at once: writing is what costs, for each listener. watched: tell more of this one.
        """
        clock = asyncio.get_running_loop().time
        self.listeners += 1
        if watched is not None:
            self._watched[watched] += 1
        try:
            event = "ready"
            if place is None:
                event, place = "reset", self._next
            yield _print(event, {}, self.event_id(place - 1), RETRY_MS)
            told_s = clock()
            while True:
                if place < self._oldest:
                    place = self._next
                    yield _print("reset", {}, self.event_id(place - 1))
                found = list(islice(self._ring, place - self._oldest, None))
                place += len(found)
                if ours := b"".join(item.sent for item in found if item.concerns(scope, watched)):
                    yield ours
                    told_s = clock()
                if place == self._next:
                    with suppress(TimeoutError):
                        rest_s = max(0.0, told_s + wait_s - clock())
                        await asyncio.wait_for(self._grown.wait(), rest_s)
                if clock() - told_s >= wait_s:
                    yield None
                    told_s = clock()
        finally:
            self.listeners -= 1
            if watched is not None:
                self._watched[watched] -= 1
                self._watched += Counter()  # without those that nobody watches any more

    @property
    def _oldest(self) -> int:
        return self._next - len(self._ring)

    def _look(self) -> list[Found]:
        with reading(self._deps.engine) as connection:
            known = self._registry.get(connection)
            blind = judge_is_blind(connection, self._deps.clock())
            if self._watcher is None:
                watcher = Watcher()
                watcher.start(connection)
                self._watcher = watcher
                news: list[FaultNews | StateNews] = []
            else:
                news = self._watcher.look(connection)
            heard = last_heard(connection, self._watching("device"))
            told = last_told(connection, self._watching("fault"))
        items: list[Found] = []
        if self._blind is not None and blind != self._blind:
            items.append(Found("platform", {"judging": not blind}, to_all=True))
        self._blind = blind
        for item in news:
            event, data = _shape(item, blind)
            items.append(Found(event, data, _firm(known, item.compound)))
        for device, (compound, heard_ms) in heard.items():
            # Of the first look nothing is told: since the page was made it may be nothing new.
            if self._heard.get(device, heard_ms) != heard_ms:
                data = {"device": device, "last_seen_at": print_known(heard_ms)}
                watched = Watched("device", device)
                items.append(Found("heard", data, _firm(known, compound), watched=watched))
        self._heard = {device: heard_ms for device, (_, heard_ms) in heard.items()}
        for fault, (place, mark) in told.items():
            # Also of the first look: somebody may have been told since the page was made.
            if self._told.get(fault) != mark:
                watched = Watched("fault", fault)
                items.append(Found("told", {"fault": fault}, _firm(known, place), watched=watched))
        self._told = {fault: mark for fault, (_, mark) in told.items()}
        return items

    def _watching(self, kind: str) -> list[str]:
        return [one.id for one in list(self._watched) if one.kind == kind][:MOST_WATCHED]


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def listen(
    request: Request,
    parts: PartsOf,
    who: Reader,
    last_event_id: Annotated[str | None, Header(max_length=80)] = None,
    device: Annotated[
        str | None, Query(max_length=63, description="Also tell when this device was heard.")
    ] = None,
    fault: Annotated[
        str | None,
        Query(max_length=63, description="Also tell when somebody is told of this fault."),
    ] = None,
) -> Response:
    """Fault events and device states as they happen; resumable by `Last-Event-ID`.

    Events: `ready` (from here on), `fault` (something happened to a fault; `held` says why nobody
    is told of it, null that people are, or that it is nothing to tell of), `device` (it is in
    another state), `platform` (whether we can say who is online), `reset` (reload: what was missed
    cannot be told), `heard` (a message of the `device` that was asked for was judged), `told`
    (somebody was told of the `fault` that was asked for, or could not be). One of both is watched.
    """
    watched = None
    if device is not None:
        watched = Watched("device", device)
    elif fault is not None:
        watched = Watched("fault", fault)
    if watched is not None:
        await to_its_end(partial(_check, parts, who, watched))
    # Not FastAPI's own event streams (0.165): a listener that leaves while something is being sent
    # ends them with an error in the log each time.
    return StreamingResponse(
        _told(request, parts, who, last_event_id, watched),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _told(
    request: Request,
    parts: Parts,
    who: Identity,
    last_event_id: str | None,
    watched: Watched | None,
) -> AsyncIterator[bytes]:
    stream: Stream = request.app.state.stream
    place = stream.place(last_event_id)
    ask_again_s = parts.deps.ask_again_s
    clock = asyncio.get_running_loop().time
    asked_s = clock()
    async for events in stream.listen(place, who.scope, min(ask_again_s, AWAKE_S), watched):
        yield KEEPALIVE_COMMENT if events is None else events
        if clock() - asked_s >= ask_again_s:
            asked_s = clock()
            try:
                again = await to_its_end(partial(identify, request, parts))
            except Unauthenticated:
                return  # the token was revoked, or the login is over
            if again != who:
                return


def _check(parts: Parts, who: Identity, watched: Watched) -> None:
    """Raise NotFound for what is not there, or not theirs."""
    with reading(parts.deps.engine) as connection:
        if watched.kind == "device":
            is_theirs = bool(compounds_of(connection, who.scope, [watched.id]))
        else:
            is_theirs = holds_fault(connection, who.scope, watched.id)
    if not is_theirs:
        raise NotFound


async def to_its_end(work: Callable[[], T]) -> T:
    """`work` in a thread. Whoever is cancelled meanwhile still waits for it: nothing of ours reads
    the database after we are gone, when its connections are being closed."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _print(
    event: str, data: dict[str, object], event_id: str, retry_ms: int | None = None
) -> bytes:
    text = msgspec.json.encode(data).decode()
    return format_sse_event(data_str=text, event=event, id=event_id, retry=retry_ms)


def _firm(known: Known, compound: str | None) -> str | None:
    entry = known.directory.compounds.get(compound) if compound is not None else None
    return None if entry is None else entry.firm


def _shape(news: FaultNews | StateNews, blind: bool) -> tuple[str, dict[str, object]]:
    if isinstance(news, StateNews):
        state, reason = shown_state(news.state, news.reason, blind)
        return "device", {
            "device": news.device,
            "compound": news.compound,
            "kind": news.kind,
            "state": state,
            "state_reason": reason,
            "state_since": print_known(news.since_ms),
        }
    rule = RULES.get(news.code)
    return "fault", {
        "fault": news.fault,
        "compound": news.compound,
        "device": news.device,
        "kind": news.kind,
        "code": news.code,
        "name": None if rule is None else {"zh": rule.zh, "en": rule.en},
        "severity": news.severity,
        "safety": news.safety,
        "at": print_instant(news.at_ms),
        "from": news.was,
        "to": news.becomes,
        "reason": news.reason,
        "actor": news.actor,
        "note": news.note,
        "held": news.held,
    }
