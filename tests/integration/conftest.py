"""A console with all that there can be in it, for the tests that look at it in a browser."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from tests.api.served import served
from tests.evening import Evening, evening
from tests.eventually import eventually
from tests.integration.test_console import is_there
from tests.playwright_browser import playwright_chromium

HOURS = 10  # enough for charts of a day to begin, and for lamps to be lit


@dataclass(frozen=True, slots=True)
class Site:
    """The console of an evening, and where it is."""

    made: Evening
    url: str


@pytest.fixture(scope="session")
def evening_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        evening(tmp_path_factory.mktemp("evening"), hours=HOURS) as made,
        served(made.app) as url,
    ):
        eventually(lambda: is_there(f"{url}/livez"))
        yield Site(made, url)


@pytest.fixture(scope="module")
def playwright_browser() -> Iterator[Browser]:
    """Ended with the module: while it runs, no other test of the process may run an event loop."""
    with playwright_chromium() as made:
        yield made
