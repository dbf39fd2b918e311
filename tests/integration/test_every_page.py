"""Every page of the console in Chromium: nothing breaks, leaves the machine or is cut; anybody can
read it, in both languages and both colour schemes, on a desk and on a phone.

The pages are those of the application's routes: a new one is looked at without being listed here,
and only asks for an example of what stands in its address. So is the page of every problem that
the API knows, and the one on which the first user is made.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser
from sqlalchemy import Engine

from api import errors
from devices.links import link_of, sign
from devices.store.database import writing
from devices.store.links import make_key
from devices.store.schema import deliveries
from tests import axe
from tests.api.cast import a_cast
from tests.api.served import served
from tests.evening import Evening
from tests.eventually import eventually
from tests.integration.conftest import Site
from tests.integration.test_console import is_there
from tests.playwright_browser import Watched, playwright_chromium, watched

pytestmark = pytest.mark.long

# What to put for a parameter of an address is found by EXAMPLES; more ways to ask for a page:
MORE = {
    "/": ("/?firm=zhengmei", "/?sort=trouble"),
    "/faults": ("/faults?show=all", "/faults?show=shelved"),
    "/compounds/{compound}": (
        "/compounds/xiangyunli?bucket=hour",
        "/compounds/xiangyunli/usage?bucket=month",
        "/compounds/xinghua-beijie-6-haoyuan",
    ),
    "/alerts/new": ("/alerts/new?channel=webhook",),
    "/alerts/dry-run": ("/alerts/dry-run?code=SHED_SMOKE&compound=xiangyunli",),
    "/administration/devices": ("/administration/devices?q=nothing",),
    "/charging": ("/charging?compound=xiangyunli",),
    "/ingestion": ("/ingestion?show=all", "/ingestion?show=week&compound=xiangyunli"),
    "/quarantine": ("/quarantine?reason=clock",),
    "/quarantine/replay": ("/quarantine/replay?reason=not_json",),
    "/rules": ("/rules?show=changed",),
    "/rules/{code}": (
        "/rules/SHED_OVERTEMP?device=xiangyunli-shed-1",
        # its boxes a little hotter, as a draft
        "/rules/SHED_OVERTEMP?draft=W1siYm9hcmRfdGVtcF9jID49NzAiLCJyYWlzZXMiLCI-PTc1Il1d",
    ),
    "/maintenance/calendar": ("/maintenance/calendar?view=week",),
    "/maintenance/new": ("/maintenance/new?compound=xiangyunli",),
}
# Nothing to look at, parts of what is, or a way elsewhere; /setup is open only before there is
# anybody, and looked at by itself.
NOT_PAGES = (
    *("/v1/", "/assets/", "/parts/", "/livez", "/readyz", "/metrics", "/openapi.json"),
    *("/setup", "/exports/direct", "/login/oidc"),
)
# What an address does not work without.
NEEDED = {"/alerts/new": "?channel=dingtalk", "/quarantine/replays": "?first={asked}&last={asked}"}
Scheme = Literal["light", "dark"]
LANGUAGES = ("zh", "en")
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
CUT = """
    [...document.querySelectorAll('main *, header *')].filter((one) => {
      const style = getComputedStyle(one);
      return one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
        && style.textOverflow === 'ellipsis' && style.overflowX !== 'visible'
        && !one.matches('.me span, .payload');
    }).map((one) => one.textContent.trim())
"""
SMALL = """
    [...document.querySelectorAll('main a.button, main button, main select, main summary')]
      .filter((one) => !one.closest('.swagger-ui') && one.offsetHeight && one.offsetHeight < 44)
      .map((one) => `${one.tagName} ${one.textContent.trim().slice(0, 30)} ${one.offsetHeight}`)
"""
# One for every status that a page can have; without a session 401 is the way to /login.
PROBLEMS: tuple[errors.Problem, ...] = (
    errors.Forbidden("A firm may not do this: ask an operator."),
    errors.NotFound(),
    errors.BadParameter("limit", "at most 500"),
    errors.TooOften("Asked very often: wait a little.", 5),
    errors.Away("The telemetry store does not answer; try again."),
    errors.Moved("Somebody else acknowledged it."),
    errors.DeadLink("link_expired", "The link has expired.", status=410),
    errors.Problem("An error of ours: the log of the API has it."),
)
OPEN = "document.querySelectorAll('main details').forEach((one) => one.open = true)"


def pages(made: Evening) -> list[str]:
    """Addresses of all pages, one of each route at least."""
    client = made.client("operator")
    found: list[str] = []
    away: list[tuple[str, int, str]] = []
    examples = examples_of(made)
    for route in made.app.routes:
        assert isinstance(route, APIRoute)
        if "GET" not in (route.methods or ()) or route.path.startswith(NOT_PAGES):
            continue
        missing = set(route.param_convertors) - set(examples)
        assert not missing, f"{route.path}: name an example of {missing} in examples_of"
        path = (route.path + NEEDED.get(route.path, "")).format(**examples)
        answer = client.get(path, headers={"Accept": "text/html"})
        if answer.status_code == 303:  # to where it is
            assert client.get(answer.headers["Location"]).status_code == 200
        elif answer.status_code != 200:
            away.append((path, answer.status_code, answer.text[:300]))
        elif answer.text.lstrip().startswith("<!doctype html>"):
            found += [path, *MORE.get(route.path, ())]
    assert not away, away
    return found


def examples_of(made: Evening) -> dict[str, Any]:
    """For every parameter of an address, one that there is."""
    client = made.client("operator")

    def first(path: str) -> Any:
        return client.get(path).json()["items"][0]["id"]

    root = next(
        fault["suppressed_by"]
        for fault in client.get("/v1/faults?state=open&limit=500").json()["items"]
        if fault["suppressed_by"]
    )
    with writing(made.engine) as connection:
        key = make_key(connection, made.now_ms)
        told = connection.execute(
            deliveries.select().where(
                deliveries.c.target == "duty", deliveries.c.state == "delivered"
            )
        ).first()
        assert told is not None
    stand_in = client.post(
        "/v1/stand-ins",
        json={
            "person": "li-wei",
            "by": "zhao-min",
            "from": "2026-11-26T08:00:00+08:00",
            "to": "2026-11-27T08:00:00+08:00",
        },
    )
    assert stand_in.status_code == 201, stand_in.text
    file = "id,kind,compound\nxiangyunli-gate-9,gate,祥云里\nx,gate,atlantis\n".encode()
    imported = client.post("/v1/registry/imports", content=file)
    assert imported.status_code == 201, imported.text
    refused = first("/v1/quarantine?limit=1")
    replayed = client.post(
        f"/quarantine/{refused}/replay",
        data={"sure": "yes"},
        headers={"Origin": "http://testserver"},
    )
    assert replayed.status_code == 303, replayed.text
    return {
        "registry_import": imported.json()["id"],
        "file_type": "csv",
        "firm": "yaxin",
        "window": first("/v1/maintenance?limit=1"),
        "asked": replayed.headers["Location"].rpartition("=")[2],
        "compound": "xiangyunli",
        "device": "xiangyunli-shed-1",
        "fault": root,
        "session": first("/v1/compounds/xiangyunli/sessions?limit=1"),
        "target": "duty",
        "route": "on-duty",
        "person": "li-wei",
        "roster": "district",
        "refused": refused,
        "code": "SHED_SMOKE",
        "stand_in": stand_in.json()["id"],
        "token": sign(link_of(told.id, told.fault, "duty", made.now_ms, told.person), key),
    }


def test_every_page_is_read_by_everybody_everywhere(evening_site: Site) -> None:
    made, url = evening_site.made, evening_site.url
    session, paths = made.session("operator"), pages(made)

    def in_one(language: str) -> list[str]:
        with playwright_chromium() as browser:
            seen = watched(browser, url, language, session)
            return [
                f"{language} {path}: {told}" for path in paths for told in looked_at(seen, path)
            ]

    with ThreadPoolExecutor(len(LANGUAGES)) as at_once:
        problems = [told for found in at_once.map(in_one, LANGUAGES) for told in found]
    assert not problems, "\n".join(problems)


def test_problems_and_the_first_user_are_read_by_everybody(
    playwright_browser: Browser, sqlite_database: Engine
) -> None:
    app = a_cast(sqlite_database, people=False).app
    for number, problem in enumerate(PROBLEMS):
        app.add_api_route(f"/problems/{number}", raising(problem))
    told = {problem.status for problem in PROBLEMS}
    known = {one.status for one in sorts_of(errors.Problem)} - {errors.Unauthenticated.status}
    assert known <= told, "add to PROBLEMS what else a page can be"
    found: list[str] = []
    with served(app) as url:
        eventually(lambda: is_there(f"{url}/livez"))
        for language in LANGUAGES:
            seen = watched(playwright_browser, url, language)
            for number, problem in enumerate(PROBLEMS):
                wrong = looked_at(seen, f"/problems/{number}", problem.status)
                found += [f"{language} {problem.status}: {one}" for one in wrong]
            found += [f"{language} /setup: {one}" for one in looked_at(seen, "/setup")]
            seen.page.context.close()
    assert not found, "\n".join(found)


def raising(problem: errors.Problem) -> Callable[[], None]:
    """A page that cannot be shown."""

    def page() -> None:
        raise problem

    return page


def sorts_of(known: type[errors.Problem]) -> Iterator[type[errors.Problem]]:
    """All problems that the API can answer, whoever defines them."""
    yield known
    for special in known.__subclasses__():
        yield from sorts_of(special)


def test_what_somebody_could_not_read_is_found(
    playwright_browser: Browser, evening_site: Site
) -> None:
    seen = watched(playwright_browser, evening_site.url, "en", evening_site.made.session("viewer"))
    seen.go("/faults?show=all")
    axe.put_into(seen.page)
    assert (axe.serious(seen.page), axe.faint(seen.page)) == ([], [])
    seen.page.evaluate(
        """() => {
          const faint = document.createElement('p');
          faint.textContent = 'faint';
          Object.assign(faint.style, {color: '#ddd', background: '#fff'});
          document.querySelector('h1').after(faint, document.createElement('input'));
        }"""
    )
    assert [told.split()[0] for told in axe.serious(seen.page)] == ["label"]
    assert [told.split()[0] for told in axe.faint(seen.page)] == ["color-contrast"]
    seen.page.context.close()


def looked_at(seen: Watched, path: str, status: int = 200) -> list[str]:
    """What is wrong with a page on a desk and on a phone.

    The page is opened once: what another scheme can change is how well things are told apart.
    """
    page = seen.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme=SCHEMES[0])
    seen.go(path, status)
    found = seen.wrong()  # before anything of ours is put into the page
    page.evaluate(OPEN)
    found += [f"cuts {text!r}" for text in page.evaluate(CUT)]
    axe.put_into(page)
    found += axe.serious(page)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {told}" for told in axe.faint(page)]
    page.set_viewport_size({"width": 360, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > 360:
        found.append(f"is {wide} px wide on a phone of 360: {page.evaluate(WIDE)}")
    found += [f"phone: cuts {text!r}" for text in page.evaluate(CUT)]
    found += [f"phone: {text} is under 44 px" for text in page.evaluate(SMALL)]
    return found


WIDE = """
    [...document.querySelectorAll('main *, footer *')]
      .filter((one) => {
        let around = one.parentElement;  // what may be scrolled by itself makes no page wide
        while (around && getComputedStyle(around).overflowX === 'visible') {
          around = around.parentElement;
        }
        return !around && one.getBoundingClientRect().right > 361;
      })
      .slice(0, 3).map((one) => `${one.tagName}.${one.className}`).join(' ')
"""
