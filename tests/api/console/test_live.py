"""What open consoles are sent: rendered once for all who see the same, and never another's."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import pytest
from structlog.testing import capture_logs

from api import paging
from api.console.fault_filters import Question
from api.console.fault_parts import Asked as FaultsAsked
from api.console.fault_parts import FaultParts
from api.console.live import (
    EVERY_S,
    RING,
    RING_BYTES,
    SHARE,
    Audience,
    Frame,
    Live,
    Rendered,
    Shown,
    Slot,
)
from api.console.overview_parts import VIEW, OverviewParts
from api.identity import Role
from devices.store import tokens
from devices.store.database import writing
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    GATE,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_judge,
    a_state,
)
from tests.api.served import served

WAIT_S = 10
ZH = {"Accept-Language": "zh-CN"}
EN = {"Accept-Language": "en"}
SHOWN = Shown("fake", DISTRICT, "zh")


class FakeView:
    """A view that shows what it is told to; fails while it is told to. turns: when it was asked."""

    def __init__(self, **parts: str) -> None:
        self.parts = parts
        self.order: list[str] = []
        self.fails = False
        self.takes_s = 0.0
        self.turns: list[int] = []

    def __call__(self, turn: int) -> Rendered:
        self.turns.append(turn)
        until_s = time.thread_time() + self.takes_s
        while time.thread_time() < until_s:
            pass
        if self.fails:
            raise ValueError("no view")
        frame: Frame = ("<ol>", *(Slot("li", name) for name in self.order), "</ol>")
        return Rendered(dict(self.parts), {"list": frame} if self.order else {})


class Console:
    """Reads what it is sent, event by event."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def next(self) -> list[tuple[str, str]]:
        async with asyncio.timeout(WAIT_S):
            return list(events((await anext(self._chunks)).decode()))


def events(text: str) -> Iterator[tuple[str, str]]:
    for event in text.split("\n\n"):
        name = re.search(r"^event: (.*)$", event, re.MULTILINE)
        data = re.findall(r"^data: ?(.*)$", event, re.MULTILINE)
        if name is not None or data:
            yield "parts" if name is None else name[1], "\n".join(data)


def test_a_console_loads_all_and_is_then_sent_what_has_changed() -> None:
    async def play() -> None:
        live, view = Live(), FakeView(a="<p>1</p>", b="<p>2</p>")
        console = Console(live.follow(SHOWN, view))
        assert await console.next() == []  # it was not rendered yet
        await live.look()
        assert await console.next() == [("ready", "")]
        view.parts["b"] = "<p>3\n4</p>"
        await live.look()
        assert await console.next() == [("parts", "<p>3\n4</p>")]

    asyncio.run(play())


def test_a_list_whose_order_is_another_is_sent_without_what_is_as_it_was() -> None:
    async def play() -> None:
        live = Live()
        view = FakeView(**{name: f"<li>{name}</li>" for name in "abc"})
        view.order = ["a", "b"]
        console = Console(live.follow(SHOWN, view))
        await console.next()
        await live.look()
        assert await console.next() == [("ready", "")]
        view.order, view.parts["b"] = ["b", "c", "a"], "<li>b!</li>"
        await live.look()
        place = '<li id="live-a" data-same></li>'
        assert await console.next() == [("parts", f"<ol><li>b!</li><li>c</li>{place}</ol>")]
        view.parts["a"] = "<li>a!</li>"
        await live.look()
        assert await console.next() == [
            ("parts", "<li>a!</li>")
        ]  # alone, for its place is the same

    asyncio.run(play())


def test_what_many_show_is_rendered_once_and_what_differs_by_itself() -> None:
    async def play() -> None:
        live = Live()
        views = {
            shown: FakeView(a=f"<p>{n}</p>")
            for n, shown in enumerate(
                (
                    SHOWN,
                    replace(SHOWN, scope=Scope("yaxin")),
                    replace(SHOWN, language="en"),
                    replace(SHOWN, firm="yaxin"),
                    replace(SHOWN, view="another"),
                )
            )
        }
        consoles = [
            (Console(live.follow(shown, view)), view)
            for shown, view in views.items()
            for _ in range(3)
        ]
        for console, _ in consoles:
            await console.next()
        assert live.listeners == 15
        await live.look()
        for console, _ in consoles:
            await console.next()
        for view in views.values():
            view.parts["a"] += "!"
        await live.look()
        for console, view in consoles:
            assert await console.next() == [("parts", view.parts["a"])]
        assert [view.turns for view in views.values()] == [[1, 2]] * 5

    asyncio.run(play())


def test_who_comes_later_loads_all_at_once_and_who_leaves_is_forgotten() -> None:
    async def play() -> None:
        live, view = Live(), FakeView(a="<p>1</p>")
        first = live.follow(SHOWN, view)
        await Console(first).next()
        await live.look()
        later = live.follow(SHOWN, FakeView())
        assert await Console(later).next() == [("ready", "")]
        assert live.listeners == 2
        for one in (first, later):
            await one.aclose()  # type: ignore[attr-defined]
        assert live.listeners == 0
        await live.look()
        assert view.turns == [1]  # nobody looks, so nothing is rendered

    asyncio.run(play())


def test_who_falls_behind_a_little_gets_all_of_it_and_far_behind_loads_anew() -> None:
    async def play() -> None:
        live, view = Live(), FakeView(a="0")
        slow, slower = (Console(live.follow(SHOWN, view)) for _ in range(2))
        for console in (slow, slower):
            await console.next()
        await live.look()
        for console in (slow, slower):
            await console.next()
        for n in range(1, RING + 2):
            view.parts["a"] = str(n)
            await live.look()
            if n == 3:
                assert await slow.next() == [("parts", "1"), ("parts", "2"), ("parts", "3")]
        assert await slow.next() == [("parts", str(n)) for n in range(4, RING + 2)]
        assert await slower.next() == [("back", ""), ("ready", "")]

    asyncio.run(play())


def test_a_view_that_cannot_be_rendered_is_told_once_and_others_go_on() -> None:
    async def play() -> None:
        live, broken, whole = Live(), FakeView(a="1"), FakeView(a="1")
        console = Console(live.follow(SHOWN, broken))
        other = Console(live.follow(replace(SHOWN, language="en"), whole))
        for one in (console, other):
            await one.next()
        await live.look()
        for one in (console, other):
            await one.next()
        broken.fails = True
        for n in range(3):
            whole.parts["a"] = f"after {n}"
            await live.look()
            assert await other.next() == [("parts", f"after {n}")]
        assert await console.next() == [("away", "")]
        late = Console(live.follow(SHOWN, broken))
        assert await late.next() == [("away", ""), ("ready", "")]
        broken.fails, broken.parts["a"] = False, "2"
        await live.look()
        assert await console.next() == [("back", ""), ("parts", "2")]

    with capture_logs() as logs:
        asyncio.run(play())
    assert [line["event"] for line in logs] == ["live_view_away"]


def test_beyond_the_most_views_a_console_asks_for_itself() -> None:
    async def play() -> None:
        live, view = Live(most=1), FakeView(a="1")
        first = live.follow(SHOWN, view)
        await Console(first).next()
        other = live.follow(replace(SHOWN, language="en"), view)
        assert await Console(other).next() == [("ready", "")]
        assert live.listeners == 2
        await live.look()
        assert view.turns == [1]  # for the first one alone
        await other.aclose()  # type: ignore[attr-defined]
        assert live.listeners == 1

    asyncio.run(play())


def test_what_is_kept_for_who_is_behind_has_a_bound() -> None:
    view = FakeView(a="")
    audience = Audience(view)
    for n in range(6):
        view.parts["a"] = str(n) * (RING_BYTES // 3)
        audience.show(view(n))
    assert len(audience.ring) == 2
    assert b"event: ready" in audience.since(audience.sent - 3)
    assert b"5555" in audience.since(audience.sent - 1)


def test_a_view_that_takes_long_rests_and_others_are_not_kept_waiting() -> None:
    async def play() -> None:
        live, slow, quick = Live(), FakeView(a="1"), FakeView(a="1")
        slow.takes_s = 1.1 * EVERY_S / SHARE
        consoles = [
            Console(live.follow(SHOWN, slow)),
            Console(live.follow(replace(SHOWN, language="en"), quick)),
        ]
        for console in consoles:
            await console.next()
        for _ in range(3):
            await live.look()
        assert (slow.turns, quick.turns) == ([1], [1, 2, 3])

    asyncio.run(play())


def test_silence_is_broken_so_that_no_proxy_cuts_it() -> None:
    async def play() -> None:
        live, view = Live(), FakeView(a="1")
        chunks = live.follow(SHOWN, view)
        await anext(chunks)
        for _ in range(21):
            await live.look()
        chunk = await anext(chunks)
        assert chunk.endswith(b": ping\n\n")

    asyncio.run(play())


# The overview


def with_trouble(cast: Cast) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_fault(connection, "own-fault", severity="P2", opened_at_ms=NOW_MS - 90_000)
        a_fault(connection, "strange-fault", device=STRANGE_GATE, compound=LIANXIN, severity="P2")


@pytest.mark.parametrize("name", ["operator", "yaxin"])
def test_every_part_of_the_page_that_changes_is_sent_as_the_page_has_it(
    cast: Cast, name: str
) -> None:
    with_trouble(cast)
    page = cast.client(name).get("/", headers=ZH).text
    parts: OverviewParts = cast.app.state.overview_parts
    scope = DISTRICT if name == "operator" else Scope(name)
    sent = parts.render(Shown(VIEW, scope, "zh"), 1).parts
    assert {*sent, "board"} == set(re.findall(r'data-live="([\w-]+)"', page))
    for part, html in sent.items():
        assert f'data-live="{part}"' in html
        if part not in ("health", "clock"):  # it says how long the database took
            assert html.strip() in page, part


@contextmanager
def following(
    cast: Cast, at: str, who: str, page: str = "overview", query: str = "", **headers: str
) -> Iterator[Iterator[str]]:
    """The events that a console of `who` is sent, as text."""
    bearer = {"Authorization": f"Bearer {cast.tokens[who]}", **headers}
    with (
        httpx2.Client(timeout=WAIT_S) as client,
        client.stream("GET", f"{at}/parts/{page}/live{query}", headers=bearer) as response,
    ):
        assert response.status_code == 200
        assert "Content-Encoding" not in response.headers
        yield blocks(response.iter_lines())


def blocks(lines: Iterator[str]) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        if line:
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []


def until(told: Iterator[str], word: str) -> list[str]:
    """What came until something with this word, and that."""
    heard = []
    for one in told:
        heard.append(one)
        if word in one:
            return heard
    raise AssertionError(f"it ended without {word!r}: {heard}")


def test_a_firm_is_sent_its_own_alone_while_the_district_looks_at_all(cast: Cast) -> None:
    with (
        served(cast.app) as at,
        following(cast, at, "operator", **ZH) as district,
        following(cast, at, "yaxin", **ZH) as own,
        following(cast, at, "kangqiao", **EN) as stranger,
    ):
        for told in (district, own, stranger):
            until(told, "event: ready")
        with_trouble(cast)
        all_ = until(district, "own-fault")
        assert "strange-fault" in all_[-1]
        ours = "\n".join(until(own, "own-fault"))
        theirs = "\n".join(until(stranger, "strange-fault"))
        assert "祥云里" in ours
        for name in (LIANXIN, "连心胡同", STRANGE_GATE, "strange-fault"):
            assert name not in ours, name
        assert "Lianxin Hutong" in theirs
        for name in (XIANGYUNLI, "祥云里", "Xiangyunli", "own-fault"):
            assert name not in theirs, name


def test_lists_of_faults_are_sent_to_those_whose_they_are_and_buttons_to_who_may_press_them(
    cast: Cast,
) -> None:
    with (
        served(cast.app) as at,
        following(cast, at, "operator", "faults", **ZH) as district,
        following(cast, at, "viewer", "faults", **ZH) as viewer,
        following(cast, at, "yaxin", "faults", **ZH) as own,
        following(cast, at, "kangqiao", "faults", **EN) as stranger,
        following(cast, at, "operator", "faults", "?severity=P1", **ZH) as acute,
    ):
        everybody = (district, viewer, own, stranger, acute)
        for told in everybody:
            until(told, "event: ready")
        with_trouble(cast)
        of_all = until(district, "own-fault")[-1]
        assert "strange-fault" in of_all
        assert 'name="fault"' in of_all
        assert "data-same" not in of_all
        seen = until(viewer, "own-fault")[-1]
        assert "strange-fault" in seen
        assert 'name="fault"' not in seen
        ours, theirs = until(own, "own-fault")[-1], until(stranger, "strange-fault")[-1]
        for name in (LIANXIN, "连心胡同", STRANGE_GATE, "strange-fault"):
            assert name not in ours, name
        for name in (XIANGYUNLI, "祥云里", "Xiangyunli", "own-fault"):
            assert name not in theirs, name
        with cast.write() as connection:
            a_fault(
                connection, "late-fault", subject="b", severity="P1", opened_at_ms=NOW_MS - 9_000
            )
        assert "own-fault" not in "".join(until(acute, "late-fault"))
        update = until(district, "late-fault")[-1]
        assert 'id="live-row-strange-fault" data-same' in update  # it is as it was


def test_boards_of_sheds_are_sent_to_those_whose_they_are(cast: Cast) -> None:
    with (
        served(cast.app) as at,
        following(cast, at, "operator", "sheds", **ZH) as district,
        following(cast, at, "yaxin", "sheds", **ZH) as own,
        following(cast, at, "kangqiao", "sheds", **ZH) as stranger,
    ):
        for told in (district, own, stranger):
            until(told, "event: ready")
        with cast.write() as connection:
            latest = {"port_status": ("in_use", NOW_MS), "power_w": (182.0, NOW_MS)}
            a_state(connection, SHED, "online")
            a_state(connection, PORT, "online", latest=latest)
        assert SHED in until(district, "182")[-1]
        assert SHED in until(own, "182")[-1]
        with cast.write() as connection:
            a_judge(connection, watermark_ms=NOW_MS - 10 * MINUTE_MS)
        assert PORT not in "".join(until(stranger, 'data-live="blind"'))


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        (f"/devices/{GATE}", 'id="readings"'),
        ("/faults/hot", "evidence-charts"),
    ],
)
def test_a_page_that_is_asked_for_its_parts_has_all_of_them_and_no_charts(
    cast: Cast, path: str, left_out: str
) -> None:
    with cast.write() as connection:
        a_state(connection, GATE, "online")
        a_state(connection, PORT, "online", latest={"port_temp_c": (90.0, NOW_MS)})
        a_fault(connection, "hot", device=PORT, kind="port", code="PORT_OVERTEMP", severity="P1")
    page, parts = (
        cast.client("operator").get(path, headers=ZH | more).text
        for more in ({}, {"HX-Request": "true"})
    )
    names = [re.findall(r'data-live="([\w-]+)"', text) for text in (page, parts)]
    assert names[0] == names[1]
    assert left_out in page
    assert left_out not in parts


def test_a_list_is_made_once_while_nothing_happens(cast: Cast) -> None:
    with_trouble(cast)
    parts: FaultParts = cast.app.state.fault_parts
    rows = paging.Page(50, None, b"", b"")
    asked = FaultsAsked(Question(), rows, (), "", Role.OPERATOR)
    shown = Shown("faults", DISTRICT, "zh", asked=asked)
    first = parts.render(shown, 1)
    again = parts.render(shown, 2)
    assert all(again.parts[name] is html for name, html in first.parts.items() if "row-" in name)
    assert again.frames is first.frames
    with cast.write() as connection:
        a_fault(connection, "late-fault", subject="b")
    assert "row-late-fault" in parts.render(shown, 3).parts


def test_nothing_of_who_asks_is_in_what_is_shared(cast: Cast) -> None:
    with_trouble(cast)
    parts = {
        name: cast.client(name).get("/parts/overview", headers=ZH).content
        for name in ("operator", "viewer")
    }
    assert parts["operator"] == parts["viewer"]


def test_a_filter_for_another_firm_is_404_before_anything_is_sent(cast: Cast) -> None:
    client = cast.client("yaxin")
    strange, unknown = (
        client.get(f"/parts/overview/live?firm={firm}") for firm in ("kangqiao", "nobody")
    )
    assert strange.status_code == unknown.status_code == 404
    assert strange.content == unknown.content


def test_a_console_whose_token_is_revoked_is_cut_off(cast: Cast) -> None:
    cast.app.state.parts = replace(
        cast.app.state.parts, deps=replace(cast.app.state.parts.deps, ask_again_s=0.1)
    )
    with served(cast.app) as at, following(cast, at, "yaxin") as told:
        until(told, "event: ready")
        with writing(cast.engine) as connection:
            who = tokens.identify(connection, cast.tokens["yaxin"], NOW_MS)
            assert who is not None
            tokens.revoke(connection, who.token_id, NOW_MS)
        with_trouble(cast)  # so that there is something to send
        for _ in told:  # ends
            pass
