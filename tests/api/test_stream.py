"""News over `/v1/stream`: numbered by one poller, resumable, and only what concerns who listens."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx2
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from api.parts import Dependencies, RegistryCopy
from api.stream import Found, Stream, Watched
from devices.store import tokens
from devices.store.schema import deliveries
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    GATE,
    LIANXIN,
    NOW_MS,
    SECRET,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    FakeTelemetry,
    a_delivery,
    a_fault,
    a_fault_event,
    a_judge,
    a_state,
    a_target,
)
from tests.api.served import served

WAIT_S = 10


def a_stream(cast: Cast, ring: int = 2048) -> Stream:
    deps = Dependencies(
        engine=cast.engine,
        telemetry=FakeTelemetry(),
        journal=None,
        clock=lambda: NOW_MS,
        secret_key=SECRET,
        demo=False,
        version="0.0.test",
    )
    return Stream(deps, RegistryCopy(deps.clock), ring)


def news(*numbers: int) -> list[Found]:
    return [Found("fault", {"n": n}, "yaxin" if n % 2 else "kangqiao") for n in numbers]


class Told(NamedTuple):
    event: str
    data: dict[str, Any]
    id: str


class Listener:
    """Reads a stream step by step."""

    def __init__(self, chunks: AsyncIterator[bytes | None]) -> None:
        self._chunks = chunks
        self._told: deque[Told] = deque()
        self.last_id: str | None = None

    async def next(self) -> Told:
        async with asyncio.timeout(WAIT_S):
            while not self._told:
                chunk = await anext(self._chunks)
                self._told.extend(parsed(chunk or b""))
        told = self._told.popleft()
        self.last_id = told.id
        return told

    async def numbers(self, count: int) -> list[int]:
        return [(await self.next()).data["n"] for _ in range(count)]

    async def close(self) -> None:
        await self._chunks.aclose()  # type: ignore[attr-defined]

    async def has_nothing(self) -> bool:
        return not self._told and await anext(self._chunks) is None


def parsed(chunk: bytes) -> Iterator[Told]:
    for text in chunk.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in text.split("\n"))
        yield Told(lines["event"], json.loads(lines["data"]), lines["id"])


def listen(
    stream: Stream,
    last_id: str | None = None,
    scope: Scope = DISTRICT,
    watched: Watched | None = None,
) -> Listener:
    return Listener(stream.listen(stream.place(last_id), scope, wait_s=0.01, watched=watched))


def test_a_listener_hears_what_comes_after_it_began(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        await stream.publish(news(1))
        listener = listen(stream)
        assert (await listener.next()).event == "ready"
        assert await listener.has_nothing()
        await stream.publish(news(2, 3))
        assert await listener.numbers(2) == [2, 3]

    asyncio.run(play())


def test_who_comes_back_goes_on_where_it_was(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        listener = listen(stream)
        await listener.next()
        await stream.publish(news(1, 2, 3))
        assert await listener.numbers(1) == [1]
        again = listen(stream, listener.last_id)
        assert (await again.next()).event == "ready"
        assert await again.numbers(2) == [2, 3]

    asyncio.run(play())


def test_who_heard_nothing_yet_can_come_back_too(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        listener = listen(stream)
        await listener.next()
        await stream.publish(news(1))
        again = listen(stream, listener.last_id)
        await again.next()
        assert await again.numbers(1) == [1]

    asyncio.run(play())


def test_who_comes_back_too_late_is_told_to_reload(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast, ring=3)
        listener = listen(stream)
        await listener.next()
        await stream.publish(news(1, 2, 3, 4))
        again = listen(stream, listener.last_id)
        assert (await again.next()).event == "reset"
        assert await again.has_nothing()
        await stream.publish(news(5))
        assert await again.numbers(1) == [5]

    asyncio.run(play())


def test_a_listener_that_falls_behind_the_ring_is_told_to_reload(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast, ring=3)
        listener = listen(stream)
        await listener.next()
        await stream.publish(news(1, 2))
        assert await listener.numbers(1) == [1]
        await stream.publish(news(3, 4, 5, 6, 7))
        assert await listener.numbers(1) == [2]  # already taken out of the ring
        assert (await listener.next()).event == "reset"
        await stream.publish(news(8))
        assert await listener.numbers(1) == [8]

    asyncio.run(play())


@pytest.mark.parametrize(
    "last_id", ["", "nonsense", "0123abcd-1", "-1", "१", "{poller}-99", "{poller}--1", "{poller}-x"]
)
def test_an_id_that_is_not_of_this_poller_is_told_to_reload(cast: Cast, last_id: str) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        await stream.publish(news(1))
        poller = stream.event_id(0).rpartition("-")[0]
        listener = listen(stream, last_id.format(poller=poller))
        assert (await listener.next()).event == "reset"

    asyncio.run(play())


def test_a_firm_hears_of_its_own_and_the_district_of_all(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        own, all_ = listen(stream, scope=Scope("yaxin")), listen(stream)
        await own.next()
        await all_.next()
        await stream.publish(
            [*news(1, 2, 3), Found("fault", {"n": 9}), Found("platform", {"n": 10}, to_all=True)]
        )
        assert await all_.numbers(5) == [1, 2, 3, 9, 10]
        assert await own.numbers(3) == [1, 3, 10]
        assert await own.has_nothing()

    asyncio.run(play())


def test_what_was_found_at_once_is_sent_at_once(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        chunks = stream.listen(stream.place(None), Scope("yaxin"), WAIT_S)
        await anext(chunks)
        await stream.publish(news(*range(1, 100)))
        chunk = await anext(chunks)
        assert chunk is not None
        told = list(parsed(chunk))
        assert [one.data["n"] for one in told] == list(range(1, 100, 2))
        assert told[-1].id == stream.event_id(99)

    asyncio.run(play())


def test_who_watches_a_device_is_told_when_it_was_heard_and_nobody_else_is(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        with cast.write() as connection:
            a_state(connection, GATE, "online", last_seen_ms=NOW_MS - 30_000)
        watching, other = (
            listen(stream, watched=Watched("device", one)) for one in (GATE, STRANGE_GATE)
        )
        await watching.next()
        await other.next()
        await stream.publish(await asyncio.to_thread(stream._look))
        assert await watching.has_nothing()  # the page was made with what is known already
        with cast.write() as connection:
            a_state(connection, GATE, "online", last_seen_ms=NOW_MS)
        await stream.publish(await asyncio.to_thread(stream._look))
        told = await watching.next()
        assert told.event == "heard"
        assert told.data == {"device": GATE, "last_seen_at": "2026-11-23T11:42:10.000Z"}
        await stream.publish(await asyncio.to_thread(stream._look))
        assert await watching.has_nothing()
        assert await other.has_nothing()
        await watching.close()
        with cast.write() as connection:
            a_state(connection, GATE, "online", last_seen_ms=NOW_MS + 1000)
        assert await asyncio.to_thread(stream._look) == []  # nobody watches it any more

    asyncio.run(play())


def test_who_watches_a_fault_hears_that_somebody_was_told_and_nobody_else_does(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        with cast.write() as connection:
            for name in ("ours", "other"):
                a_fault(connection, name, subject=name)
            a_target(connection, "robot")
        watching, other = (
            listen(stream, watched=Watched("fault", one)) for one in ("ours", "other")
        )
        await watching.next()
        await other.next()
        await stream.publish(await asyncio.to_thread(stream._look))
        with cast.write() as connection:
            waits = {"state": "pending", "attempts": 0, "done_at_ms": None}
            a_delivery(connection, "ours", "robot", **waits)
        await stream.publish(await asyncio.to_thread(stream._look))
        assert (await watching.next()).event == "told"
        with cast.write() as connection:
            sent = {"state": "delivered", "attempts": 1, "done_at_ms": NOW_MS}
            connection.execute(update(deliveries).values(**sent))
        await stream.publish(await asyncio.to_thread(stream._look))
        told = await watching.next()
        assert (told.event, told.data) == ("told", {"fault": "ours"})
        await stream.publish(await asyncio.to_thread(stream._look))
        assert await watching.has_nothing()
        assert await other.has_nothing()

    asyncio.run(play())


@pytest.mark.parametrize(
    "query",
    [f"device={STRANGE_GATE}", "device=nothing", "fault=strange", "fault=nothing"],
)
def test_what_is_a_strangers_cannot_be_watched(cast: Cast, query: str) -> None:
    with cast.write() as connection:
        a_fault(connection, "strange", device=STRANGE_GATE, compound=LIANXIN)
    assert cast.client("yaxin").get(f"/v1/stream?{query}").status_code == 404


def test_news_of_others_do_not_keep_a_listener_from_being_asked_again(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        own = listen(stream, scope=Scope("yaxin"))
        await own.next()

        async def others() -> None:
            for n in range(2, 1000, 2):
                await stream.publish(news(n))
                await asyncio.sleep(0.001)

        noise = asyncio.create_task(others())
        async with asyncio.timeout(WAIT_S):
            assert await own.has_nothing()
        assert not noise.done()
        noise.cancel()

    asyncio.run(play())


def test_who_listens_is_counted_and_forgotten(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)
        events = stream.listen(stream.place(None), DISTRICT, wait_s=WAIT_S)
        await anext(events)
        assert stream.listeners == 1
        await events.aclose()  # type: ignore[attr-defined]
        assert stream.listeners == 0

    asyncio.run(play())


# Over a real socket


class Console:
    """Listens as a browser does."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.iter_lines()
        self.last_id = ""

    def next(self) -> tuple[str, dict[str, object]]:
        event, data = "", ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                data = value
            elif name == "id":
                self.last_id = value
            elif not line and event:
                return event, json.loads(data)
        raise StopIteration


@contextmanager
def connected(cast: Cast, at: str, name: str, **headers: str) -> Iterator[Console]:
    bearer = {"Authorization": f"Bearer {cast.tokens[name]}", **headers}
    with (
        httpx2.Client(timeout=WAIT_S) as client,
        client.stream("GET", f"{at}/v1/stream", headers=bearer) as response,
    ):
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Console(response)


def test_what_happens_to_faults_and_devices_reaches_a_console(cast: Cast) -> None:
    with served(cast.app) as at, connected(cast, at, "operator") as console:
        assert console.next() == ("ready", {})
        first_look(cast)
        with cast.write() as connection:
            a_fault(connection, "f", safety=True, severity="P1", code="GATE_PANIC")
        event, data = console.next()
        assert event == "fault"
        assert data == {
            "fault": "f",
            "compound": XIANGYUNLI,
            "device": GATE,
            "kind": "gate",
            "code": "GATE_PANIC",
            "name": {"zh": "紧急按钮", "en": "Panic button"},
            "severity": "P1",
            "safety": True,
            "at": "2026-11-23T11:32:10.000Z",
            "from": None,
            "to": "open",
            "reason": "raised",
            "actor": "system",
            "note": None,
            "held": None,
        }
        with cast.write() as connection:
            a_state(connection, GATE, "offline", reason="lwt", since_ms=NOW_MS)
        assert console.next() == (
            "device",
            {
                "device": GATE,
                "compound": XIANGYUNLI,
                "kind": "gate",
                "state": "offline",
                "state_reason": "lwt",
                "state_since": "2026-11-23T11:42:10.000Z",
            },
        )


def first_look(cast: Cast) -> None:
    """Wait until the poller knows what was there before."""
    stream: Stream = cast.app.state.stream
    deadline = time.monotonic() + WAIT_S
    while stream._watcher is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_person_s_action_is_news_too(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    with served(cast.app) as at, connected(cast, at, "yaxin") as console:
        console.next()
        first_look(cast)
        cast.client("operator").post("/v1/faults/f/acknowledge", json={"note": "on my way"})
        event, data = console.next()
        assert (event, data["to"], data["actor"], data["note"]) == (
            "fault",
            "acknowledged",
            "li-min",
            "on my way",
        )


def test_a_console_that_was_away_hears_what_it_missed(cast: Cast) -> None:
    with served(cast.app) as at:
        with connected(cast, at, "operator") as console:
            console.next()
            last_id = console.last_id
        first_look(cast)
        with cast.write() as connection:
            a_fault(connection, "f")
        with connected(cast, at, "operator", **{"Last-Event-ID": last_id}) as console:
            assert console.next()[0] == "ready"
            assert console.next()[1]["fault"] == "f"


def test_a_stranger_hears_nothing_of_it(cast: Cast) -> None:
    with served(cast.app) as at, connected(cast, at, "kangqiao") as console:
        console.next()
        first_look(cast)
        with cast.write() as connection:
            a_fault(connection, "f")
            a_state(connection, GATE, "offline")
            a_fault(connection, "g", device=STRANGE_GATE, compound=LIANXIN)
        assert console.next()[1]["fault"] == "g"


def test_when_the_judge_stands_still_every_console_is_told(cast: Cast) -> None:
    with served(cast.app) as at, connected(cast, at, "yaxin") as console:
        console.next()
        first_look(cast)
        with cast.write() as connection:
            a_judge(connection, watermark_ms=NOW_MS - 61_000)
        assert console.next() == ("platform", {"judging": False})
        with cast.write() as connection:
            a_judge(connection, watermark_ms=NOW_MS)
        assert console.next() == ("platform", {"judging": True})


def test_news_that_nobody_is_told_of_say_why(cast: Cast) -> None:
    with served(cast.app) as at, connected(cast, at, "operator") as console:
        console.next()
        first_look(cast)
        with cast.write() as connection:
            a_fault(connection, "f", suspected=True)
            a_fault_event(connection, "f", reason="reopened", held="suspected")
        told = [console.next()[1] for _ in range(2)]
        assert [(data["reason"], data["held"]) for data in told] == [
            ("raised", None),
            ("reopened", "suspected"),
        ]


def test_a_back_filled_history_is_no_news(cast: Cast) -> None:
    with served(cast.app) as at, connected(cast, at, "operator") as console:
        console.next()
        first_look(cast)
        with cast.write() as connection:
            a_fault(connection, "past", stream="history-1", code="GATE_TAMPER")
            a_fault_event(connection, "past", reason="over", becomes="closed", was="open")
            a_fault(connection, "now")
        assert console.next()[1]["fault"] == "now"


def test_a_console_that_leaves_while_news_come_leaves_no_trace(cast: Cast) -> None:
    stream: Stream = cast.app.state.stream
    with served(cast.app) as at, capture_logs() as logs:
        with connected(cast, at, "operator") as console:
            console.next()
            first_look(cast)
            with cast.write() as connection:
                for n in range(300):
                    a_fault(connection, f"f{n}", code=f"CODE_{n}", state="closed")
            console.next()
        deadline = time.monotonic() + WAIT_S
        while stream.listeners:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert logs == []


def test_many_consoles_that_leave_at_once_leave_no_trace(cast: Cast) -> None:
    async def play() -> None:
        stream = a_stream(cast)

        async def console() -> None:
            async for _ in stream.listen(stream.place(None), DISTRICT, WAIT_S):
                pass

        consoles = [asyncio.create_task(console()) for _ in range(50)]
        while stream.listeners < 50:
            await asyncio.sleep(0)
        await stream.publish(news(1))
        for one in consoles:
            one.cancel()
        await asyncio.sleep(0)
        for one in consoles:
            one.cancel()  # the server's task group does, until they have ended
        ended = await asyncio.gather(*consoles, return_exceptions=True)
        assert {type(one) for one in ended} == {asyncio.CancelledError}
        assert stream.listeners == 0

    asyncio.run(play())


def test_a_listener_whose_token_is_revoked_is_cut_off(cast: Cast) -> None:
    with served(cast.app) as at, connected(cast, at, "kangqiao") as console:
        console.next()
        with cast.write() as connection:
            who = tokens.identify(connection, cast.tokens["kangqiao"], NOW_MS)
            assert who is not None
            tokens.revoke(connection, who.token_id, NOW_MS)
        with pytest.raises(StopIteration):
            console.next()
