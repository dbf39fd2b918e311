"""Every page of the console over the whole district and a year: how long the server takes.

    python -m bench.pages [--requests 40] [--database postgresql] [--keep data/bench-year]

The pages are those that the application has: a new one that nothing is known of here ends the
measurement. Each is asked for as the district's operator and as a property firm, with its filters
and searches, another device, fault or compound each time, and lists page by page. Measured from the
request to the whole answer, compressed, in one process and without a socket between; the database
server's CPU is added, where it is another process. On a busy machine everything takes more CPU,
too: so the same fixed work is measured beside each page, and the goal is held against a machine
on which that takes YARDSTICK_MS.

--keep: a folder whose database is used, or filled for the next time; else a temporary one. It takes
ten minutes to fill. --only: pages whose path has this in it. --deep: lists to their last page, and
what the first ENDS pages took beside the last.
"""

import argparse
import gc
import html
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from bench import year
from courtyard.collector import let_rest
from devices.catalogue import RULES
from devices.registry import Device
from devices.store.database import reading, writing
from devices.store.quarantine import Filter, ask_again
from devices.store.schema import faults, maintenance, quarantine
from devices.store.scope import DISTRICT
from simulators import erqi
from tests.api.cast import NOW_MS

GOAL_MS = 50
YARDSTICK_MS = 6.2  # of the work below, on the two cores of 2026-11-27 when nothing else ran
MOST_PAGES = 40  # of a list, one behind the other; all of them where `--deep`
ENDS = 20  # pages of a list are compared with the last so many
FIRM = "yaxin"
YARDSTICK = [{"device": f"gate-{n}", "values": {"power_w": n / 7, "on": True}} for n in range(3000)]
# Not pages: for programs, files, what never ends, and what is there only before there is anybody.
NOT_PAGES_END = (".csv", "/live")
NOT_PAGES = {
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/assets/{name:path}",
    "/exports/direct",
    "/administration/template/{file_type}",
    "/compounds/{compound}/usage.csv",
    "/compounds/{compound}/availability.csv",
    "/parts/overview/live",
    "/setup",
    "/login/oidc",
    "/login/oidc/callback",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to ask for, of the district or of one firm."""

    devices: Mapping[str, Sequence[str]]  # by kind
    compounds: Sequence[str]
    faults: Sequence[str]
    windows: Sequence[str]
    refused: Sequence[str]
    link: str
    registry_import: str
    replays: tuple[int, int]  # numbers of the first and the last request to judge again


Choose = Callable[[Known, Random], str]

# What stands in a path.
CHOICES: Mapping[str, Choose] = {
    "compound": lambda known, rng: rng.choice(known.compounds),
    "fault": lambda known, rng: rng.choice(known.faults),
    "session": lambda known, rng: f"{rng.choice(known.devices['port'])}-{rng.randrange(900)}",
    "token": lambda known, _: known.link,
    "window": lambda known, rng: rng.choice(known.windows),
    "refused": lambda known, rng: rng.choice(known.refused),
    "registry_import": lambda known, _: known.registry_import,
    "first_replay": lambda known, _: str(known.replays[0]),
    "last_replay": lambda known, _: str(known.replays[1]),
    "code": lambda _, rng: rng.choice(
        sorted(code for code in RULES if not code.startswith("SYS_"))
    ),
    "firm": lambda _, __: FIRM,
    "target": lambda _, __: "target-1",
    "route": lambda _, __: "route-1",
    "person": lambda _, __: "person-1",
    "roster": lambda _, __: "roster-1",
    "stand_in": lambda _, __: "stand-in-1",
}
# Kinds of device whose pages differ.
DEVICE_KINDS = ("gateway", "gate", "shed", "port", "lamp", "camera")
DEVICE_PATHS = {
    "/devices/{device}": DEVICE_KINDS,
    "/devices/{device}/faults": ("gate",),
    "/devices/{device}/sessions": ("shed", "port"),
    "/devices/{device}/children": ("shed", "gateway"),
    "/devices/{device}/messages": ("gate", "shed"),
    "/administration/devices/{device}": ("gate", "shed"),
}
# Questions besides the bare address; `{…}` as in CHOICES.
QUERIES: Mapping[str, Sequence[Mapping[str, str]]] = {
    "/": ({"firm": FIRM},),
    **dict.fromkeys(
        ("/compounds/{compound}/usage", "/compounds/{compound}/availability"),
        ({"bucket": "hour"}, {"bucket": "month"}, {"until": "2026-05-31"}),
    ),
    "/faults": ({"show": "all"},),
    "/charging": (
        {"bucket": "month"},
        {"bucket": "week", "until": "2026-06-30"},
        {"firm": FIRM},
        {"compound": "{compound}"},
    ),
    "/search": ({"q": "1号充电棚"}, {"q": "祥云 路灯"}, {"q": "离线"}),
    "/sheds": ({"firm": FIRM}, {"find": "祥云"}),
    "/ingestion": ({"compound": "{compound}"},),
    "/audit": ({"actor": "person-7"}, {"subject": "closed-77"}, {"from": "2026-03-01"}),
    "/help/faults": ({"find": "离线"},),
    "/alerts/dry-run": ({"compound": "{compound}", "code": "GATE_OFFLINE", "severity": "P2"},),
    "/alerts/deliveries": ({"state": "delivered"}, {"target": "target-1"}),
    "/devices/{device}": ({"quantity": "power_w", "show": "month"},),
}


# What a page cannot be asked without.
NEEDED: Mapping[str, Mapping[str, str]] = {
    "/alerts/new": {"channel": "dingtalk"},
    "/quarantine/replays": {"first": "{first_replay}", "last": "{last_replay}"},
}


@dataclass
class Case:
    """A page, as one of those who look at it."""

    name: str
    paths: list[str]
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    store_ms: float = 0.0  # of the database server's CPU, for one answer
    size: int = 0  # of the largest answer, compressed
    yardstick_ms: float = 0.0  # that the machine took for YARDSTICK, just before
    walked_ms: list[float] = field(default_factory=list)  # of each further page of a list, with
    # the database server's CPU, which is counted in steps of 10 ms

    @property
    def p95_cpu_ms(self) -> float:
        return _p95(self.cpu_ms) + self.store_ms

    @property
    def is_over(self) -> bool:
        """Whether it would take longer than the goal where nothing else runs."""
        return self.p95_cpu_ms * YARDSTICK_MS / self.yardstick_ms > GOAL_MS

    def line(self) -> str:
        return (
            f"{self.name:64} p50 {statistics.median(self.cpu_ms) + self.store_ms:6.1f}"
            f"  p95 {self.p95_cpu_ms:6.1f} ms CPU   p95 {_p95(self.wall_ms):6.1f} ms"
            f"  {self.p95_cpu_ms / self.yardstick_ms:4.1f} yardsticks"
            f"  {self.size / 1000:5.1f} kB  ({len(self.cpu_ms)})"
            f"{'   OVER' if self.is_over else ''}"
        )

    def ends(self) -> str:
        """What the first pages of a list took, and the last; "" for a list that has few."""
        if len(self.walked_ms) < 2 * ENDS:
            return ""
        first, last = map(statistics.fmean, (self.walked_ms[:ENDS], self.walked_ms[-ENDS:]))
        return f"{'':10}{len(self.walked_ms)} further pages: {first:.1f} ms, the last {last:.1f} ms"


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else 0.0


def yardstick_ms() -> float:
    """The CPU that a fixed piece of work takes at this moment."""
    taken = []
    for _ in range(5):
        used = time.process_time()
        json.loads(json.dumps(YARDSTICK))
        taken.append((time.process_time() - used) * 1000)
    return statistics.median(taken)


def pages(app: FastAPI) -> Iterator[APIRoute]:
    """Whatever is opened in a browser."""
    for route in app.routes:
        assert isinstance(route, APIRoute)
        is_page = not route.path.startswith("/v1/") and route.path not in NOT_PAGES
        is_page = is_page and not route.path.endswith(NOT_PAGES_END)
        if is_page and "GET" in (route.methods or ()):
            yield route


def cases(app: FastAPI, known: Known, who: str, requests: int, rng: Random) -> Iterator[Case]:
    """A case for each page and question. Raises SystemExit for a page that cannot be asked for."""
    for route in pages(app):
        names = [name for name in re.findall(r"{(\w+)", route.path) if name != "device"]
        unknown = [name for name in names if name not in CHOICES]
        if unknown or ("{device}" in route.path and route.path not in DEVICE_PATHS):
            raise SystemExit(f"{route.path}: say in CHOICES or DEVICE_PATHS what it is asked for")
        for kind in DEVICE_PATHS.get(route.path, ("",)):
            for query in (NEEDED.get(route.path, {}), *QUERIES.get(route.path, ())):
                if kind and query and kind != "port":
                    continue
                made = [_address(route.path, kind, query, known, rng) for _ in range(requests)]
                asked = "" if not query else "?" + "&".join(f"{k}={v}" for k, v in query.items())
                name = route.path.replace("{device}", f"{{{kind}}}")
                yield Case(f"{who:9} {name}{asked}", made)


def _address(path: str, kind: str, query: Mapping[str, str], known: Known, rng: Random) -> str:
    def chosen(found: re.Match[str]) -> str:
        name = found[1]
        return rng.choice(known.devices[kind]) if name == "device" else CHOICES[name](known, rng)

    address = re.sub(r"{(\w+)[^}]*}", chosen, path)
    if query:
        filled = {name: re.sub(r"{(\w+)}", chosen, value) for name, value in query.items()}
        address += "?" + urlencode(filled)
    return address


class Server:
    """Asks the application, and says what it took. store: processes of the database."""

    def __init__(
        self, app: FastAPI, token: str, firm: str | None, store: Sequence[psutil.Process]
    ) -> None:
        # what is the district's alone is not there for a firm
        self._refusals = (403,) if firm is None else (403, 404)
        self._client = TestClient(
            app, headers={"Authorization": f"Bearer {token}", "Accept": "text/html"}
        )
        self._store = store

    def measure(self, case: Case, most_pages: int | None) -> bool:
        """Ask for everything once; False where it is not for them.

        most_pages: of a list, one behind the other; None: to its end.
        """
        if self._client.get(case.paths[0]).status_code in self._refusals:
            return False
        case.yardstick_ms = yardstick_ms()
        spent_s = self._store_s()
        for path in case.paths:
            text = self._ask(case, path)
        walked_s, path, asked = self._store_s(), case.paths[-1], {""}
        while most_pages is None or len(case.walked_ms) < most_pages:
            # a link to the next page; those to the other language have this page's cursor
            links = map(html.unescape, re.findall(r'href="([^"]*[?&;]cursor=[^"]+)"', text))
            older = next((link for link in links if _cursor(link) not in asked), None)
            if older is None:
                break
            asked.add(_cursor(older))
            path = _joined(path, older)
            text = self._ask(case, path)
            before_s, walked_s = walked_s, self._store_s()
            case.walked_ms.append(case.cpu_ms[-1] + (walked_s - before_s) * 1000)
        case.store_ms = (self._store_s() - spent_s) * 1000 / len(case.cpu_ms)
        return True

    def _ask(self, case: Case, path: str) -> str:
        begun, used = time.perf_counter(), time.process_time()
        answer = self._client.get(path)
        case.wall_ms.append((time.perf_counter() - begun) * 1000)
        case.cpu_ms.append((time.process_time() - used) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:2000]}")
        case.size = max(case.size, int(answer.headers.get("Content-Length", "0")))
        return answer.text

    def _store_s(self) -> float:
        return sum(sum(one.cpu_times()[:2]) for one in self._store)


def _joined(page: str, address: str) -> str:
    return page.partition("?")[0] + address if address.startswith("?") else address


def _cursor(address: str) -> str:
    return parse_qs(urlsplit(address).query).get("cursor", [""])[0]


def run(asked: argparse.Namespace) -> int:
    let_rest()  # as the API's process does
    with ExitStack() as stack:
        stands = stack.enter_context(year.standing(asked))
        engine, app, found = stands.engine, stands.app, stands.year
        gc.collect()
        gc.freeze()  # what filling left behind is not there in the API, and is not looked through
        imported = an_import(app, found.tokens["operator"])
        replays = some_replays(engine)
        over = []
        print(f"{engine.dialect.name}, load {os.getloadavg()[0]:.1f}", flush=True)
        for who, firm in (("operator", None), (FIRM, FIRM)):
            known = known_to(engine, found, firm, imported, replays)
            TestClient(app).get("/readyz")  # so that the database has a process for us
            server = Server(app, found.tokens[who], firm, _servers(stands.url))
            for case in cases(app, known, who, asked.requests, Random(5)):
                if asked.only not in case.name:
                    continue
                if server.measure(case, None if asked.deep else MOST_PAGES):
                    print(case.line(), flush=True)
                    if asked.deep and case.ends():
                        print(case.ends(), flush=True)
                    if case.is_over:
                        over.append(case)
                else:
                    print(f"{case.name:64} is not for them", flush=True)
        print(f"over {GOAL_MS} ms: {', '.join(case.name for case in over) or 'none'}")
    return 1 if over else 0


def known_to(
    engine: Engine, found: year.Year, firm: str | None, imported: str, replays: tuple[int, int]
) -> Known:
    """What a firm, or the district, has to ask for."""
    registry = erqi.registry()
    own = {one.id for one in registry.compounds.values() if firm in (None, one.firm)}
    with reading(engine) as connection:
        of_faults, of_windows, of_refusals = (
            [str(row[0]) for row in connection.execute(query) if row[1] in own]
            for query in (
                select(faults.c.id, faults.c.compound),
                select(maintenance.c.id, maintenance.c.compound),
                select(quarantine.c.id, quarantine.c.compound),
            )
        )
    ours = [one for one in found.asked if one.compound in own]
    return Known(
        {kind: _ids(ours, kind) for kind in DEVICE_KINDS},
        sorted(own),
        of_faults,
        of_windows,
        of_refusals,
        found.link,
        imported,
        replays,
    )


def an_import(app: FastAPI, token: str) -> str:
    """A file with 500 devices that are new, as it is shown before it does anything."""
    lines = ["id,kind,compound,name,interval_s"]
    lines += [f"xiangyunli-gate-{n},gate,xiangyunli,门 {n},30" for n in range(100, 600)]
    client = TestClient(app, headers={"Authorization": f"Bearer {token}", "Accept": "text/html"})
    answer = client.post(
        "/administration/imports", files={"file": ("gates.csv", "\n".join(lines).encode())}
    )
    found = re.search(r"/administration/imports/([\w-]+)", str(answer.url))
    if found is None:
        raise SystemExit(f"an import of devices came to {answer.status_code} at {answer.url}")
    return found[1]


def some_replays(engine: Engine) -> tuple[int, int]:
    """A thousand refused messages that somebody wants judged again: the first number, the last."""
    with writing(engine) as connection:
        last, ids = ask_again(connection, DISTRICT, Filter(), "bench", NOW_MS, limit=1000)
    return last - len(ids) + 1, last


def _servers(url: str) -> list[psutil.Process]:
    """The processes of this database's server, where it is one of ours."""
    folder = url.partition("host=")[2]
    for one in psutil.process_iter(["name", "cmdline"]):
        if folder and one.info["name"] == "postgres" and f"{folder}/data" in one.info["cmdline"]:
            return [one, *one.children(recursive=True)]
    return []


def _ids(devices: Sequence[Device], kind: str) -> list[str]:
    return [one.id for one in devices if one.kind == kind]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    year.add_arguments(parser)
    parser.add_argument("--requests", type=int, default=40, help="of each page (40)")
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--deep", action="store_true", help="lists to their last page")
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
