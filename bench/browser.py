"""Every page in a real browser: what it weighs, and when something is to be seen.

    python -m bench.browser [--keep data/bench-year] [--only /sheds]

The whole district with a year behind it (`bench.year`), the API as a process of its own, and
Chromium without a window. Each page is opened twice by the district's operator: first with an empty
cache, which is the first visit, then again. Weighed is what came over the wire (bodies and heads,
compressed, of every request of the page until SETTLE_MS after it was loaded); first paint is the
browser's own `first-contentful-paint`, from the click on, of the visit with an empty cache.

--keep: as in `bench.pages`.
"""

import argparse
import os
import shutil
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import uvicorn
from playwright.sync_api import CDPSession, Page, sync_playwright

from bench import pages, year
from bench.usage import free_port, process, wait_for
from courtyard.collector import let_rest
from courtyard.journals import FollowedJournal
from devices.store.database import open_database
from devices.store.telemetry.embedded import EmbeddedTelemetry
from tests.chromium import NAMES

FIRST_KB, AGAIN_KB, PAINT_MS = 600, 60, 1000
SETTLE_MS = 2500  # until a page that is kept up to date has begun to be


def serve(url: str, folder: str, port: int) -> None:
    """The API, until it is ended."""
    let_rest()
    telemetry = EmbeddedTelemetry(Path(folder) / "telemetry.db")
    journal = FollowedJournal(Path(folder) / "journal.db")
    app = year.application(open_database(url), telemetry, journal)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run()


@dataclass(slots=True)
class Visit:
    """bytes: what came over the wire; paint_ms: until something was to be seen."""

    bytes: int = 0
    requests: int = 0
    paint_ms: float = 0.0


class Scales:
    """Weighs what a page loads."""

    def __init__(self, session: CDPSession) -> None:
        self.bytes = 0
        self.requests = 0
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.dataReceived", self._received)
        session.send("Network.enable")
        self._streamed: dict[str, int] = {}

    def _received(self, event: dict[str, Any]) -> None:
        self._streamed[event["requestId"]] = (
            self._streamed.get(event["requestId"], 0) + event["encodedDataLength"]
        )

    def _finished(self, event: dict[str, Any]) -> None:
        self._streamed.pop(event["requestId"], None)
        self.bytes += int(event["encodedDataLength"])
        self.requests += event["encodedDataLength"] > 0

    def taken(self) -> tuple[int, int]:
        """Bytes and requests since it was asked last; with what a stream has sent so far."""
        found = self.bytes + sum(self._streamed.values()), self.requests
        self.bytes = self.requests = 0
        self._streamed.clear()
        return found


def visit(page: Page, scales: Scales, url: str) -> Visit:
    scales.taken()
    page.goto(url, wait_until="load", timeout=120_000)
    page.wait_for_timeout(SETTLE_MS)
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map(one => one.startTime)[0]"
    )
    weight, requests = scales.taken()
    return Visit(weight, requests, float(paint if paint is not None else "nan"))


def _chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise SystemExit("Chromium is missing: on Debian and Ubuntu, apt install chromium")
    return found


def run(asked: argparse.Namespace) -> int:
    with ExitStack() as stack:
        stands = stack.enter_context(year.standing(asked))
        engine, app, found = stands.engine, stands.app, stands.year
        imported = pages.an_import(app, found.tokens["operator"])
        replays = pages.some_replays(engine)
        known = pages.known_to(engine, found, None, imported, replays)
        port = free_port()
        stack.enter_context(process(serve, stands.url, str(stands.folder), port))
        wait_for(port)
        at = f"http://127.0.0.1:{port}"
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        stack.callback(browser.close)
        print(f"{engine.dialect.name}, Chromium {browser.version}, load {os.getloadavg()[0]:.1f}")
        head = {"Authorization": f"Bearer {found.tokens['operator']}"}
        over = []
        for case in pages.cases(app, known, "operator", asked.visits, Random(9)):
            if asked.only not in case.name:
                continue
            first, again = [], []
            for path in case.paths:
                context = browser.new_context(extra_http_headers=head, locale="zh-CN")
                page = context.new_page()
                scales = Scales(context.new_cdp_session(page))
                first.append(visit(page, scales, at + path))
                again.append(visit(page, scales, at + path))
                context.close()
            over += _tell(case.name, first, again)
        print(f"over: {'; '.join(over) or 'none'}")
    return 1 if over else 0


def _tell(name: str, first: Sequence[Visit], again: Sequence[Visit]) -> list[str]:
    """Print what was found of a page; what of it is over the goals."""
    first_kb, again_kb = (max(one.bytes for one in some) / 1000 for some in (first, again))
    paints = [one.paint_ms for one in first]
    print(
        f"{name:72} first {first_kb:6.1f} kB in {first[0].requests:2}  again {again_kb:5.1f} kB"
        f" in {again[0].requests:2}   painted {statistics.median(paints):5.0f} ms,"
        f" at most {max(paints):5.0f}   load {os.getloadavg()[0]:.0f}",
        flush=True,
    )
    goals = (
        ("first visit", first_kb, FIRST_KB),
        ("again", again_kb, AGAIN_KB),
        ("paint", statistics.median(paints), PAINT_MS),
    )
    return [f"{name} {what} {value:.0f}" for what, value, goal in goals if not value <= goal]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    year.add_arguments(parser)
    parser.add_argument("--visits", type=int, default=3, help="of each page with an empty cache")
    parser.add_argument("--only", default="", help="cases with this in their name")
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
