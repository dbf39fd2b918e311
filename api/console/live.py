"""What open consoles show, kept up to date: rendered every 0.75 s, whoever looks.

A view of a page (`Shown`) is rendered once for all consoles that show the same; each gets the
parts that have become others since the time before. What they show may depend on nothing but
`Shown`: who asks is no part of it, and is not there when it is rendered.

What is sent: messages without a name (elements with `data-live`, for the place of those of the same
name), and the events `ready` (listening from here: load the parts anew), `away` and `back` (we
cannot look at the moment, what is shown grows old; we can again).

Parts may stand in a frame, which is a part itself, like rows in a list. Where rows come, go or
change places the frame is sent, and of a row that is as it was only its place (`data-same`).
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from markupsafe import Markup, escape
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
SHARE = 5  # a view rests so many times as long as it took: none takes more than a sixth of a core
RING = 16  # turns that a console may fall behind; then it loads all parts anew
RING_BYTES = 2_000_000  # of a view; what was sent before is forgotten
AWAKE = 20  # turns without news, after which a sign of life is sent: proxies cut what is silent
AWAKE_RESTING = 4  # of a view that rests in between
MOST_VIEWS = 300  # consoles of others load all their parts now and then, each by itself
ALONE_S = 15.0  # so often


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown: everything that it depends on. firm: the one it is narrowed to; order: as it
    is sorted; asked: what else its page was asked for."""

    view: str
    scope: Scope
    language: Language
    firm: str | None = None
    order: str = ""
    asked: Hashable = None


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a part stands in a frame. tag: of its element."""

    tag: str
    part: str


Frame = tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A view as it is now. parts: elements by the name in their `data-live`; frames: those that
    others stand in. The element of a part in a frame has the id `live-` and its name."""

    parts: Mapping[str, str]
    frames: Mapping[str, Frame] = field(default_factory=dict)

    def whole(self) -> str:
        """All of it, each part once."""
        return self._print(set(self.parts), self.frames)

    def since(self, before: "Rendered") -> str:
        """What has become another; empty if nothing has."""
        changed = {name for name, html in self.parts.items() if before.parts.get(name) != html}
        moved = {
            name: frame for name, frame in self.frames.items() if before.frames.get(name) != frame
        }
        for name, frame in moved.items():
            changed |= _inside(frame) - _inside(before.frames.get(name, ()))
        return self._print(changed, moved)

    def part(self, name: str) -> Markup:
        """One part, for the page that shows it; a frame with all that stands in it."""
        frame = self.frames.get(name)
        html = self.parts[name] if frame is None else self._frame(frame, self.parts)
        return Markup(html)  # noqa: S704 - our own templates, which escape

    def _print(self, some: set[str], frames: Mapping[str, Frame]) -> str:
        inside: set[str] = set().union(*map(_inside, frames.values()))
        alone = [html for name, html in self.parts.items() if name in some - inside]
        return "\n".join([*alone, *(self._frame(frame, some) for frame in frames.values())])

    def _frame(self, frame: Frame, some: Collection[str]) -> str:
        return "".join(
            piece
            if isinstance(piece, str)
            else self.parts[piece.part]
            if piece.part in some
            else f'<{piece.tag} id="live-{escape(piece.part)}" data-same></{piece.tag}>'
            for piece in frame
        )


def _inside(frame: Frame) -> set[str]:
    return {piece.part for piece in frame if isinstance(piece, Slot)}


_SLOT = re.compile("\0([a-z]+) ([^\0]+)\0")


def slot(tag: str, part: str) -> Markup:
    """For the template of a frame: here stands this part."""
    return Markup("\0{} {}\0").format(tag, part)


def frame(html: str) -> Frame:
    """What such a template gave."""
    pieces: list[str | Slot] = []
    end = 0
    for found in _SLOT.finditer(html):
        name = Markup(found[2]).unescape()  # noqa: S704 - it only becomes text again
        pieces += [html[end : found.start()], Slot(found[1], name)]
        end = found.end()
    return (*pieces, html[end:])


Render = Callable[[int], Rendered]  # in a turn, that all views have together


@dataclass(slots=True)
class Audience:
    """Everybody who shows the same. moved: set, and replaced, with everything that is sent.

    due_s: not looked at before, by the clock of the event loop.
    """

    render: Render
    listeners: int = 0
    last: Rendered | None = None
    is_away: bool = False
    due_s: float = 0.0
    sent: int = 0
    quiet: int = 0
    waiting: int = 0
    ring: deque[bytes] = field(default_factory=deque)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, now: Rendered | None) -> None:
        """Send what has changed; None: it could not be looked."""
        if now is None:
            self._say([] if self.is_away else [_AWAY])
            self.is_away = True
            return
        chunks = [_BACK] if self.is_away else []
        before, self.last, self.is_away = self.last, now, False
        if before is None:
            chunks.append(_READY)
        elif changed := now.since(before):
            chunks.append(format_sse_event(data_str=changed))
        self._say(chunks)

    def _say(self, chunks: list[bytes]) -> None:
        """Send these, or a sign of life where nothing was sent for long."""
        self.quiet = 0 if chunks else self.quiet + 1
        if self.quiet >= (AWAKE_RESTING if self.due_s else AWAKE):
            self.quiet = 0
            chunks = [KEEPALIVE_COMMENT]
        if chunks:
            self._send(b"".join(chunks))

    def since(self, place: int) -> bytes:
        """What was sent behind `place`; who is too far behind begins anew."""
        missed = self.sent - place
        if missed > len(self.ring):
            return (_AWAY if self.is_away else _BACK) + _READY
        if missed == 1:
            return self.ring[-1]
        return b"".join(islice(self.ring, len(self.ring) - missed, None))

    def _send(self, chunk: bytes) -> None:
        self.ring.append(chunk)
        self.waiting += len(chunk)
        while len(self.ring) > RING or (self.waiting > RING_BYTES and len(self.ring) > 1):
            self.waiting -= len(self.ring.popleft())
        self.sent += 1
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


_RETRY = format_sse_event(retry=RETRY_MS)
_READY = format_sse_event(event="ready", data_str="", retry=RETRY_MS)
_AWAY = format_sse_event(event="away", data_str="")
_BACK = format_sse_event(event="back", data_str="")


class Live:
    """The audiences, and who renders for them. Lives in the event loop; renders in one thread."""

    def __init__(self, every_s: float = EVERY_S, most: int = MOST_VIEWS) -> None:
        self._every_s = every_s
        self._most = most
        self._turn = 0
        self._audiences: dict[Shown, Audience] = {}  # none without listeners
        self._alone = 0  # listeners beyond the most views
        self._wanted = asyncio.Event()

    @property
    def listeners(self) -> int:
        return self._alone + sum(audience.listeners for audience in self._audiences.values())

    async def run(self) -> None:
        """Look for ever, while somebody listens."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._wanted.wait()
            begun_s = clock()
            try:
                await self.look()
            except Exception:  # the next turn goes on
                log.exception("live_turn_failed")
            if not self._audiences:
                self._wanted.clear()
            await asyncio.sleep(max(REST_S, self._every_s - (clock() - begun_s)))

    async def look(self) -> None:
        """Render every view once that is due, and send at once what has changed of it."""
        clock = asyncio.get_running_loop().time
        self._turn += 1
        for shown, audience in list(self._audiences.items()):
            if clock() < audience.due_s:
                continue
            now, cpu_s = await to_its_end(partial(_render, shown, audience, self._turn))
            audience.show(now)
            # By its CPU: on a busy machine all take long, which is no reason to look less often.
            if SHARE * cpu_s > self._every_s:
                audience.due_s = clock() + SHARE * cpu_s

    async def follow(self, shown: Shown, render: Render) -> AsyncIterator[bytes]:
        """What a console is sent that shows this."""
        audience = self._audiences.get(shown)
        if audience is None:
            if len(self._audiences) >= self._most:
                self._alone += 1
                try:
                    while True:
                        yield _READY
                        await asyncio.sleep(ALONE_S)
                finally:
                    self._alone -= 1
            audience = self._audiences[shown] = Audience(render)
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


def _render(shown: Shown, audience: Audience, turn: int) -> tuple[Rendered | None, float]:
    """The view as it is now, None if that could not be seen; and the seconds of CPU it took."""
    begun_s = time.thread_time()
    now = None
    try:
        now = audience.render(turn)
    except Exception:  # its consoles are told; others, and the next turn, go on
        if not audience.is_away:  # once, not every turn
            log.exception("live_view_away", view=shown.view)
    return now, time.thread_time() - begun_s
