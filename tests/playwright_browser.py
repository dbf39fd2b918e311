"""The system's Chromium, driven by Playwright: what pages say, ask for and are refused."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.chromium import NAMES

# Before any script of a page: what its policy forbids, and what it cuts off.
WATCH = """
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@contextmanager
def playwright_chromium() -> Iterator[Browser]:
    """A browser without a window; each test opens contexts of its own."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found is not None, "Chromium is missing: on Debian and Ubuntu, apt install chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page and what must not happen on it: errors, requests that leave the machine."""

    page: Page
    url: str
    console: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def go(self, path: str, status: int = 200) -> None:
        """Open a page of ours and forget what the one before it said."""
        self.console.clear()
        self.elsewhere.clear()
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status == status, (path, answer.status)
        if status != 200:  # Chromium says it, too
            self.console[:] = [told for told in self.console if f"status of {status} " not in told]

    def wrong(self) -> list[str]:
        """What has gone wrong on this page so far."""
        violations: list[str] = self.page.evaluate("window.violations")
        return [
            *(f"console: {text}" for text in self.console),
            *(f"request to {url}" for url in self.elsewhere),
            *(f"violates the policy: {text}" for text in violations),
        ]


def watched(browser: Browser, url: str, language: str, session: str = "", **more: Any) -> Watched:
    """A page in a context of its own, in this language. session: the cookie of somebody's."""
    context = browser.new_context(reduced_motion="reduce", **more)
    context.add_init_script(WATCH)
    cookies = [{"name": "courtyard_language", "value": language, "url": url}]
    if session:
        cookies.append({"name": "courtyard_session", "value": session, "url": url})
    context.add_cookies(cookies)  # type: ignore[arg-type]
    made = Watched(context.new_page(), url)
    made.page.on(
        "console",
        lambda said: (
            made.console.append(f"{said.text} {said.location.get('url', '')}")
            if said.type == "error"
            else None
        ),
    )
    made.page.on("pageerror", lambda error: made.console.append(str(error)))
    made.page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((url, "data:", "blob:"))
            else made.elsewhere.append(asked.url)
        ),
    )
    return made
