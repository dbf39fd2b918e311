"""What open consoles show, kept up to date: rendered every 0.75 s, whoever looks.

A view of a page (`Shown`) is rendered once for all consoles that show the same; each gets the
parts that have become others since the time before. What they show may depend on nothing but
`Shown`: who asks is no part of it, and is not there when it is rendered.

Events: `ready` (listening from here: load the parts anew), `parts` (elements with `data-live`, to
be put in the place of those of the same name), `away` and `back` (we cannot look at the moment,
what is shown grows old; we can again).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.errors import Problem
from api.identity import Identity, identify
from api.parts import Parts
from api.stream import RETRY_MS, to_its_end
from api.words import Language
from devices.store.scope import Scope

log = structlog.get_logger()

EVERY_S = 0.75  # how often it is looked: a message is to be seen within two seconds
REST_S = 0.25  # at least, between two looks: rendering never takes all of a core
RING = 16  # turns that a console may fall behind; then it loads all parts anew
AWAKE = 20  # turns without news, after which a sign of life is sent: proxies cut what is silent


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown: everything that it depends on. firm: the one it is narrowed to; order: as it
    is sorted."""

    view: str
    scope: Scope
    language: Language
    firm: str | None = None
    order: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A view as it is now. parts: elements by the name in their `data-live`.

    frame: what the parts stand in; when that becomes another, the page loads them anew.
    """

    frame: Hashable
    parts: Mapping[str, str]


Render = Callable[[int], Rendered]  # in a turn, that all views have together


@dataclass(slots=True)
class Audience:
    """Everybody who shows the same. moved: set, and replaced, with everything that is sent."""

    render: Render
    listeners: int = 0
    last: Rendered | None = None
    is_away: bool = False
    sent: int = 0
    quiet: int = 0
    ring: deque[bytes] = field(default_factory=lambda: deque(maxlen=RING))
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, now: Rendered | None) -> None:
        """Send what has changed; None: it could not be looked."""
        if now is None:
            if not self.is_away:
                self.is_away = True
                self._send(_AWAY)
            return
        chunks = [_BACK] if self.is_away else []
        before, self.last, self.is_away = self.last, now, False
        if before is None or before.frame != now.frame:
            chunks.append(_READY)
        else:
            changed = [html for name, html in now.parts.items() if before.parts.get(name) != html]
            if changed:
                chunks.append(format_sse_event(event="parts", data_str="\n".join(changed)))
        self.quiet = 0 if chunks else self.quiet + 1
        if self.quiet >= AWAKE:
            self.quiet = 0
            chunks.append(KEEPALIVE_COMMENT)
        if chunks:
            self._send(b"".join(chunks))

    def since(self, place: int) -> bytes:
        """What was sent behind `place`; who is too far behind begins anew."""
        missed = self.sent - place
        if missed == 1:
            return self.ring[-1]
        if missed > len(self.ring):
            return (_AWAY if self.is_away else _BACK) + _READY
        return b"".join(islice(self.ring, len(self.ring) - missed, None))

    def _send(self, chunk: bytes) -> None:
        self.ring.append(chunk)
        self.sent += 1
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


_RETRY = format_sse_event(retry=RETRY_MS)
_READY = format_sse_event(event="ready", data_str="", retry=RETRY_MS)
_AWAY = format_sse_event(event="away", data_str="")
_BACK = format_sse_event(event="back", data_str="")


class Live:
    """The audiences, and who renders for them. Lives in the event loop; renders in one thread."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._turn = 0
        self._audiences: dict[Shown, Audience] = {}  # none without listeners
        self._wanted = asyncio.Event()

    @property
    def listeners(self) -> int:
        return sum(audience.listeners for audience in self._audiences.values())

    async def run(self) -> None:
        """Look for ever, while somebody listens."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._wanted.wait()
            begun_s = clock()
            await self.look()
            if not self._audiences:
                self._wanted.clear()
            await asyncio.sleep(max(REST_S, self._every_s - (clock() - begun_s)))

    async def look(self) -> None:
        """Render every view once, and send what has changed."""
        self._turn += 1
        looking = dict(self._audiences)
        if not looking:
            return
        found = await to_its_end(partial(_render, looking, self._turn))
        for shown, audience in looking.items():
            audience.show(found.get(shown))

    async def follow(self, shown: Shown, render: Render) -> AsyncIterator[bytes]:
        """What a console is sent that shows this."""
        audience = self._audiences.setdefault(shown, Audience(render))
        audience.listeners += 1
        self._wanted.set()
        try:
            place = audience.sent
            # Of a view that was not rendered yet, the first look says `ready`.
            yield (_AWAY if audience.is_away else b"") + (_READY if audience.last else _RETRY)
            while True:
                if place == audience.sent:
                    await audience.moved.wait()
                chunk, place = audience.since(place), audience.sent
                yield chunk
        finally:
            audience.listeners -= 1
            if audience.listeners == 0 and self._audiences.get(shown) is audience:
                del self._audiences[shown]

    def answer(
        self, request: Request, parts: Parts, who: Identity, shown: Shown, render: Render
    ) -> Response:
        """A stream of what is shown, for as long as `who` may see it."""
        return StreamingResponse(
            self._told(request, parts, who, shown, render),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _told(
        self, request: Request, parts: Parts, who: Identity, shown: Shown, render: Render
    ) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        asked_s = clock()
        async for chunk in self.follow(shown, render):
            yield chunk
            if clock() - asked_s >= parts.deps.ask_again_s:
                asked_s = clock()
                try:
                    again = await to_its_end(partial(identify, request, parts))
                except Problem:
                    return  # the token was revoked, or the login is over
                except SQLAlchemyError:
                    continue  # nothing new can be shown either; asked again after the same time
                if again != who:
                    return


def _render(looking: Mapping[Shown, Audience], turn: int) -> dict[Shown, Rendered]:
    found = {}
    for shown, audience in looking.items():
        try:
            found[shown] = audience.render(turn)
        except Exception:  # its consoles are told; others, and the next turn, go on
            if not audience.is_away:  # once, not every turn
                log.exception("live_view_away", view=shown.view)
    return found
