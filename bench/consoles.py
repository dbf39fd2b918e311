"""What open consoles cost the API, while the district changes under them.

    python -m bench.consoles [--consoles 200] [--only "fault lists"] [--keep data/bench-year]

An API process of its own over the whole simulated district with a year of faults. Another process
changes 1 % of the district's devices each second, in state and values, and opens and closes faults.
The consoles are real connections: each follows its page as `live.js` does. Those of overviews,
lists of faults and boards of sheds load all parts when they are told to; those of compounds ask for
their page again when there is news of it. Most are of the district, in Chinese; the others are in
English, narrowed, or of people of three firms.

The yardstick is the same server without courtyard, that sends as many listeners as many bytes once
a second. Both by the CPU of their process, which a busy machine changes less than the wall clock.

--keep: a folder with a district-year as `bench.pages` keeps it; a copy of its database is used, so
that compounds have a year of usage. --database: `sqlite`, or `postgresql`: a private server with
fsync, from the binaries of this machine.
"""

import argparse
import asyncio
import gzip
import math
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import msgspec
import uvicorn
from sqlalchemy import Connection, Engine, bindparam, insert, select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from api.app import create_app
from api.parts import Dependencies
from bench.usage import NoTelemetry, database, free_port, process, spent_s, wait_for
from devices.store import registry, tokens
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.schema import LIVE, compounds, device_state, devices, fault_events, faults
from tests.api import district
from tests.api.cast import NOW_MS, SECRET, a_judge

CHANGED = 0.01  # of the district's devices, a second
FAULTS_A_SECOND = 2
WARM_S = 8.0
APART_S = 1.5  # between two askings of one console, as `apart` has it in compound.html
GOAL_CORES = 0.5
LANGUAGES = {"zh": "zh-CN,zh;q=0.9", "en": "en-GB,en;q=0.9"}
# (share of the consoles, whose token, language, page)
Mix = Sequence[tuple[float, str, str, str]]
OVERVIEWS: Mix = (
    (0.5, "operator", "zh", "overview"),
    (0.1, "operator", "en", "overview"),
    (0.1, "operator", "zh", "overview?firm=yaxin"),
    (0.1, "kangqiao", "zh", "overview"),
    (0.1, "yaxin", "zh", "overview"),
    (0.1, "zhengmei", "zh", "overview"),
)
FAULT_LISTS: Mix = (
    (0.4, "operator", "zh", "faults"),
    (0.1, "operator", "en", "faults"),
    (0.1, "operator", "zh", "faults?severity=P3"),
    (0.05, "operator", "zh", "faults?kind=gate&whose=nobody"),
    (0.05, "operator", "zh", "faults?show=all"),
    (0.1, "kangqiao", "zh", "faults"),
    (0.1, "yaxin", "zh", "faults"),
    (0.1, "zhengmei", "zh", "faults"),
)
BOARDS: Mix = (
    (0.5, "operator", "zh", "sheds"),
    (0.1, "operator", "en", "sheds"),
    (0.1, "operator", "zh", "sheds?show=trouble"),
    (0.1, "kangqiao", "zh", "sheds"),
    (0.1, "yaxin", "zh", "sheds"),
    (0.1, "zhengmei", "zh", "sheds?show=free"),
)
COMPOUNDS: Mix = ((1.0, "operator", "zh", "compounds/"),)  # each another one
MIXES: Mapping[str, Mix] = {
    "overviews": OVERVIEWS,
    "fault lists": FAULT_LISTS,
    "boards of sheds": BOARDS,
    "mixed": [
        (share * part, who, language, page)
        for part, mix in ((0.4, OVERVIEWS), (0.3, FAULT_LISTS), (0.2, BOARDS), (0.1, COMPOUNDS))
        for share, who, language, page in mix
    ],
}

pack = msgspec.msgpack.Encoder().encode


# The processes beside


def serve(url: str, port: int, begun_s: float) -> None:
    """The API, until it is ended. Its clock stood at NOW_MS at begun_s of the monotonic one."""
    deps = Dependencies(
        engine=open_database(url),
        telemetry=NoTelemetry(),
        journal=None,
        clock=lambda: _now_ms(begun_s),
        secret_key=SECRET,
        demo=False,
        version="bench",
    )
    _run(create_app(deps), port)


def serve_bytes(port: int, size: int) -> None:
    """The yardstick: so many bytes a second to each listener."""
    moved = [asyncio.Event()]
    chunk = b": " + b"x" * max(0, size - 4) + b"\n\n"

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            moved.append(asyncio.Event())
            moved.pop(0).set()

    async def told() -> AsyncIterator[bytes]:
        while True:
            await moved[0].wait()
            yield chunk

    async def listen(_: Request) -> Response:
        return StreamingResponse(told(), media_type="text/event-stream")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(tick())
        yield
        ticking.cancel()

    _run(Starlette(routes=[Route("/", listen)], lifespan=lifespan), port)


def _run(app: ASGIApp, port: int) -> None:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run()


def change(url: str, begun_s: float, stop: Event) -> None:
    """What the judge writes while CHANGED of the district changes each second."""
    engine = open_database(url)
    rng = Random(1)
    with reading(engine) as connection:
        column = devices.c
        found = connection.execute(select(column.no, column.id, column.compound, column.kind))
        known = {row.no: (row.id, row.compound, row.kind) for row in found}
    away: list[int] = []
    opened: list[str] = []
    turn = 0
    due_s = time.monotonic()
    while not stop.is_set():
        turn += 1
        now_ms = _now_ms(begun_s)
        before, away = away, rng.sample(list(known), round(len(known) * CHANGED / 2))
        rows = [_row(no, known[no][2], "offline", now_ms, rng) for no in away]
        rows += [_row(no, known[no][2], "online", now_ms, rng) for no in set(before) - set(away)]
        state = device_state.c
        with writing(engine) as connection:
            connection.execute(
                update(device_state)
                .where(state.stream == LIVE, state.device_no == bindparam("no"))
                .values({name: bindparam(f"new_{name}") for name in _COLUMNS}),
                rows,
            )
            places = {known[no][1] for no in (*before, *away)}
            registry.refresh_counts(connection, places, now_ms)
            _close(connection, opened, now_ms)
            opened = [f"bench-{turn}-{n}" for n in range(FAULTS_A_SECOND)]
            for name in opened:
                _open(connection, name, known[rng.choice(away)], now_ms)
            a_judge(connection, watermark_ms=now_ms, updated_at_ms=now_ms, jseq=turn * 33)
        due_s += 1
        stop.wait(max(0.0, due_s - time.monotonic()))


_COLUMNS = ("state", "reason", "since_ms", "last_seen_ms", "latest")


def _row(no: int, kind: str, state: str, now_ms: int, rng: Random) -> dict[str, object]:
    latest: dict[str, tuple[object, int]] = {"uptime_s": (rng.randrange(90_000), now_ms)}
    if kind == "port":
        latest = {"port_status": (rng.choice(("in_use", "idle")), now_ms)}
    if kind == "lamp":
        latest = {"switch_state": (rng.choice(("on", "off")), now_ms)}
    reason = "heartbeat_missed" if state == "offline" else None
    values = (state, reason, now_ms, now_ms, pack(latest))
    return {
        "no": no,
        **{f"new_{name}": value for name, value in zip(_COLUMNS, values, strict=True)},
    }


def _open(connection: Connection, name: str, device: tuple[str, str, str], now_ms: int) -> None:
    id_, compound, kind = device
    row = {
        "id": name,
        "stream": LIVE,
        "subject": name,
        "code": "GATE_OFFLINE",
        "kind": kind,
        "device": id_,
        "compound": compound,
        "severity": "P3",
        "safety": False,
        "suspected": False,
        "state": "open",
        "since_ms": now_ms,
        "opened_at_ms": now_ms,
        "occurrences": 1,
        "late": False,
        "evidence": {"silent_s": 90},
    }
    connection.execute(insert(faults).values(row))
    _event(connection, name, None, "open", "raised", now_ms)


def _close(connection: Connection, names: Sequence[str], now_ms: int) -> None:
    for name in names:
        closed = {"state": "closed", "cleared_at_ms": now_ms, "closed_at_ms": now_ms}
        connection.execute(update(faults).where(faults.c.id == name).values(**closed))
        _event(connection, name, "open", "closed", "over", now_ms)


def _event(
    connection: Connection, fault: str, was: str | None, becomes: str, reason: str, now_ms: int
) -> None:
    connection.execute(
        insert(fault_events).values(
            fault=fault, at_ms=now_ms, was=was, becomes=becomes, reason=reason, actor="system"
        )
    )


def _now_ms(begun_s: float) -> int:
    return NOW_MS + int((time.monotonic() - begun_s) * 1000)


# The consoles


@dataclass(slots=True)
class Console:
    """One that is open. received: bytes of its stream; loads: how often it asked for all parts."""

    port: int
    page: str
    head: Mapping[str, str]
    received: int = 0
    loaded: int = 0
    loads: int = 0
    arrived_s: list[float] = field(default_factory=list)

    @property
    def stream(self) -> str:
        name, _, query = self.page.partition("?")
        return f"/parts/{name}/live?{query}"

    async def run(self) -> None:
        """As the script of the page does, until it is cancelled."""
        reader, writer = await self._ask(self.stream, is_stream=True)
        async for event in _events(reader, self):
            if "event: ready" in event:
                await self._load(f"/parts/{self.page}")
            elif event.startswith("data:"):
                self.arrived_s.append(time.monotonic())
        writer.close()

    async def _load(self, path: str) -> None:
        reader, writer = await self._ask(path)
        body = await reader.read()
        writer.close()
        self.loads += 1
        self.loaded = len(body)
        assert b"data-live" in gzip.decompress(body.split(b"\r\n\r\n", 1)[1])

    async def _ask(
        self, path: str, *, is_stream: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        head = {
            **self.head,
            "Host": f"127.0.0.1:{self.port}",
            "Accept-Encoding": "gzip",
            "Connection": "keep-alive" if is_stream else "close",
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        if is_stream:
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in answer.split(b"\r\n")[0], answer
        return reader, writer


class Plain(Console):
    """One of the yardstick."""

    @property
    def stream(self) -> str:
        return "/"


class OfCompound(Console):
    """One that shows a compound: it asks for its page again when there is news of that."""

    @property
    def stream(self) -> str:
        return "/v1/stream"

    async def run(self) -> None:
        compound = self.page.removeprefix("compounds/")
        self.head = {**self.head, "HX-Request": "true"}  # it wants what changes, and no charts
        reader, writer = await self._ask(self.stream, is_stream=True)
        asked_s = -math.inf
        async for event in _events(reader, self):
            is_ours = "event: ready" in event or f'"compound":"{compound}"' in event
            if is_ours and time.monotonic() - asked_s >= APART_S:
                asked_s = time.monotonic()
                await self._load(f"/{self.page}")
                self.arrived_s.append(time.monotonic())
        writer.close()


async def _events(reader: asyncio.StreamReader, console: Console) -> AsyncIterator[str]:
    rest = ""
    while True:
        size = int((await reader.readline()).strip() or b"0", 16)
        if size == 0:
            return
        chunk = (await reader.readexactly(size + 2))[:-2]
        console.received += len(chunk)
        *events, rest = (rest + chunk.decode()).split("\n\n")
        for event in events:
            yield event


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a process, while it was listened to. cores: CPU seconds a second."""

    cores: float
    bytes_a_second: float  # of each console
    rounds: float  # a second, of each console
    spread_ms: float  # from the first console to the last, in nine of ten rounds


async def _listen(consoles: Sequence[Console], pid: int, seconds: float) -> Cost:
    running = [asyncio.create_task(console.run()) for console in consoles]
    try:
        await asyncio.sleep(WARM_S)
        for console in consoles:
            console.received = 0
            console.arrived_s.clear()
        begun_s, spent = time.monotonic(), spent_s(pid)
        await asyncio.sleep(seconds)
        lasted_s, spent = time.monotonic() - begun_s, spent_s(pid) - spent
    finally:
        ended = [task.exception() for task in running if task.done()]
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)
    if ended:
        raise SystemExit(f"{len(ended)} consoles were cut off: {ended[0]!r}")
    each = max(1, len(consoles)) * lasted_s
    return Cost(
        spent / lasted_s,
        sum(console.received for console in consoles) / each,
        sum(len(console.arrived_s) for console in consoles) / each,
        _spread_ms(consoles),
    )


def _spread_ms(consoles: Sequence[Console]) -> float:
    """How long a round takes to reach all consoles that show the same, at worst in nine of ten."""
    groups: dict[object, list[list[float]]] = {}
    for console in consoles:
        if console.arrived_s:
            groups.setdefault((console.page, *console.head.values()), []).append(console.arrived_s)
    spreads = [
        (max(arrived) - min(arrived)) * 1000
        for group in groups.values()
        for arrived in zip(*(times[-min(map(len, group)) :] for times in group), strict=True)
    ]
    return statistics.quantiles(spreads, n=10)[8] if len(spreads) > 1 else 0.0


def opened(
    count: int, mix: Mix, port: int, held: Mapping[str, str], compounds: Sequence[str]
) -> list[Console]:
    """So many consoles of a mix, shared out, the largest share first."""
    consoles: list[Console] = []
    for share, name, language, page in sorted(mix, key=lambda one: -one[0]):
        head = {
            "Authorization": f"Bearer {held[name]}",
            "Accept-Language": LANGUAGES[language],
        }
        for n in range(math.ceil(count * share)):
            if page == "compounds/":
                consoles.append(OfCompound(port, page + compounds[n % len(compounds)], head))
            else:
                consoles.append(Console(port, page, head))
    return consoles[:count]


def fill(engine: Engine) -> dict[str, str]:
    """The district, where it is not there; gives a token for each of those who look."""
    upgrade(engine)
    with reading(engine) as connection:
        is_filled = connection.execute(select(devices.c.no).limit(1)).first() is not None
    if not is_filled:
        district.fill(engine)
    with writing(engine) as connection:
        held = {"operator": tokens.create(connection, "operator", None, "bench", NOW_MS)}
        for firm in ("kangqiao", "yaxin", "zhengmei"):
            held[firm] = tokens.create(connection, "firm", firm, f"bench-{firm}", NOW_MS)
    return held


def run(asked: argparse.Namespace) -> int:
    with ExitStack() as stack:
        if asked.keep is None:
            url = database("" if asked.database == "sqlite" else asked.database, stack)
        else:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-consoles-")))
            shutil.copy(asked.keep / "courtyard.db", folder)
            url = f"sqlite:///{folder / 'courtyard.db'}"
        engine = open_database(url)
        stack.callback(engine.dispose)
        held = fill(engine)
        with reading(engine) as connection:
            names = list(connection.scalars(select(compounds.c.id).order_by(compounds.c.id)))
        begun_s = time.monotonic()
        port = free_port()
        pid = stack.enter_context(process(serve, url, port, begun_s))
        wait_for(port)
        stop = multiprocessing.get_context("spawn").Event()
        stack.enter_context(process(change, url, begun_s, stop))
        stack.callback(stop.set)
        print(f"{engine.dialect.name}, load {os.getloadavg()[0]:.1f}", flush=True)
        _tell("no console", asyncio.run(_listen([], pid, asked.seconds)), [])
        missed = []
        for name, mix in MIXES.items():
            if asked.only not in name:
                continue
            for count in (1, asked.consoles):
                consoles = opened(count, mix, port, held, names)
                cost = asyncio.run(_listen(consoles, pid, asked.seconds))
                _tell(f"{len(consoles)} {name}", cost, consoles)
            if cost.cores >= GOAL_CORES:
                missed.append(name)
        yard_port = free_port()
        yard = stack.enter_context(process(serve_bytes, yard_port, round(cost.bytes_a_second)))
        wait_for(yard_port)
        plain: list[Console] = [Plain(yard_port, "", {}) for _ in consoles]
        yardstick = asyncio.run(_listen(plain, yard, asked.seconds))
        _tell("yardstick: as many bytes as the last", yardstick, plain)
        print(
            f"goal {GOAL_CORES} of a core: {'MISSED by ' + ', '.join(missed) if missed else 'met'}"
        )
    return 1 if missed else 0


def _tell(name: str, cost: Cost, consoles: Sequence[Console]) -> None:
    loaded = max((console.loaded for console in consoles), default=0)
    loads = sum(console.loads for console in consoles)
    print(
        f"{name:38} {cost.cores:6.3f} cores  each: {cost.bytes_a_second / 1000:5.1f} kB/s in"
        f" {cost.rounds:.2f} rounds a second, {cost.spread_ms:4.0f} ms from first to last;"
        f" all parts: {loads} times, {loaded / 1000:.0f} kB;  load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--consoles", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement (30)")
    parser.add_argument("--only", default="", help="mixes with this in their name")
    parser.add_argument("--keep", type=Path, default=None, help="folder of an SQLite database")
    parser.add_argument("--database", default="sqlite", help="sqlite (default) or postgresql")
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
