"""What pages say while there is nothing: in a fresh installation, then with places and no message,
then with one of each thing that nothing has happened to.

The pages are those of the application's routes, so a new one is looked at without being listed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api.console import pages
from devices.registry import Compound, Name, Registry
from devices.store import registry
from tests.api.cast import (
    COMPOUNDS,
    DEVICES,
    FIRMS,
    NOW_MS,
    Cast,
)
from tests.api.walk import (
    ALWAYS,
    EXAMPLES,
    NOT_PAGES,
    Node,
    addresses,
    parsed,
    with_one_of_each,
)

TEMPLATES = Path(pages.__file__).parent / "templates"


def lacking(main: Node, *, may_act: bool) -> Iterator[str]:
    """Lists, tables and charts without anything that do not say so, and what to do."""
    nodes = list(main.every())
    emptied = [node for node in nodes if node.is_of("empty") and "hidden" not in node.attributes]
    for node in nodes:
        inner = list(node.every())
        match node.tag:
            case "table" if not any(one.tag == "td" for one in inner):
                yield f"a table without a row and without a word: {node.text[:80]}"
            case "ul" | "ol" | "dl" | "figure" if not node.text:
                yield f"{node.tag} {node.attributes} holds nothing"
            case "select" if "required" in node.attributes and not emptied:
                if not any(one.attributes.get("value") for one in inner if one.tag == "option"):
                    yield f"{node.attributes} asks for a choice, and there is none"
            case "section" if node.is_of("panel") and not node.words_beside("panel-head"):
                if not any(one.tag in ("svg", "input", "button") for one in inner):
                    yield f"a panel that is bare: {node.text[:80]}"
    for node in emptied:
        if len(node.text) < 5:
            yield f"an empty state without words: {node.attributes}"
        if may_act and not any(one.tag == "a" for one in node.every()):
            yield f"what to do is missing: {node.text[:120]}"


def links(main: Node) -> set[str]:
    return {
        str(one.attributes["href"])
        for node in main.every()
        if node.is_of("empty")
        for one in node.every()
        if one.tag == "a"
    }


def walked(
    cast: Cast, name: str, known: Mapping[str, str], of: Sequence[str] = ()
) -> tuple[list[str], set[str]]:
    """What is wrong with pages, by address, and where their empty states lead."""
    client = cast.client(name)
    wrong: list[str] = []
    leads: set[str] = set()
    for address in addresses(cast, known, of):
        answer = client.get(address, headers={"Accept": "text/html", "Accept-Language": "en"})
        allowed = (200, 303) if name == "operator" else (200, 303, 403, 404)
        assert answer.status_code in allowed, (address, answer.text[:300])
        if answer.status_code != 200 or "<main" not in answer.text:
            continue  # elsewhere, not theirs, or no page
        main = parsed(answer.text)
        wrong += [f"{address}: {one}" for one in lacking(main, may_act=name == "operator")]
        ids = {node.attributes.get("id") for node in main.every()}
        for link in links(main):
            if not link.startswith("#"):
                leads.add(link)
            elif link[1:] not in ids:
                wrong.append(f"{address}: {link} leads nowhere")
    return wrong, leads


def dead(client: TestClient, leads: set[str]) -> list[str]:
    """Which of them there is no page behind, or no such place on it."""
    found = []
    for link in sorted(leads):
        answer = client.get(link, headers={"Accept": "text/html"})
        place = link.partition("#")[2]
        if answer.status_code != 200 or (place and f'id="{place}"' not in answer.text):
            found.append(f"{link}: {answer.status_code}")
    return found


def test_a_fresh_installation_says_on_every_page_what_to_do_first(fresh: Cast) -> None:
    wrong, leads = walked(fresh, "operator", {one: EXAMPLES[one] for one in ALWAYS})
    assert wrong == []
    assert dead(fresh.client("operator"), leads) == []


def test_who_may_change_nothing_is_sent_to_no_form(fresh: Cast) -> None:
    wrong, leads = walked(fresh, "viewer", {})
    assert wrong == []
    assert dead(fresh.client("viewer"), leads) == []
    forms = ("/new", "new-device", "/imports", "#new", "#enter", "#state", "/users", "/tokens")
    allowed = ("#new-report",)  # reading it is theirs
    assert [one for one in leads if any(map(one.__contains__, forms)) and one not in allowed] == []


@pytest.mark.parametrize("name", ["operator", "yaxin"])
def test_places_that_nothing_was_heard_of_say_so_on_every_page(cast: Cast, name: str) -> None:
    of = ("compound", "device", "firm")
    places = {one: EXAMPLES[one] for one in (*of, *ALWAYS)}
    wrong, leads = walked(cast, name, places, of if name == "operator" else ())
    assert wrong == []
    assert dead(cast.client(name), leads) == []


def test_a_compound_without_a_device_says_so_on_its_pages(cast: Cast) -> None:
    yard = Compound("yard", Name("新院", "Yard"), "yaxin", 40)
    with cast.write() as connection:
        registry.save(connection, Registry(FIRMS, (*COMPOUNDS, yard), DEVICES), NOW_MS)
    wrong, leads = walked(cast, "operator", {"compound": "yard"}, ("compound",))
    assert wrong == []
    assert dead(cast.client("operator"), leads) == []


@pytest.mark.parametrize("name", ["operator", "viewer"])
def test_things_that_nothing_has_happened_to_say_so_on_every_page(cast: Cast, name: str) -> None:
    with_one_of_each(cast)
    things = sorted(set(EXAMPLES) - {"compound", "device", "firm", *ALWAYS})
    wrong, leads = walked(cast, name, EXAMPLES, things)
    assert wrong == []
    assert dead(cast.client(name), leads) == []


def test_every_thing_that_a_page_is_of_is_looked_at(cast: Cast) -> None:
    """Its page is opened with one to which nothing has happened: name it in EXAMPLES."""
    of = {
        name
        for route in cast.app.routes
        if isinstance(route, APIRoute)
        and "GET" in (route.methods or ())
        and not route.path.startswith(NOT_PAGES)
        for name in route.param_convertors
    }
    assert of - set(EXAMPLES) == {"registry_import"}  # one of a file, which has lines


# Tables that say nothing of themselves without rows, and why: how many in a template.
SAID_ELSEWHERE: Mapping[str, tuple[int, str]] = {
    "alert_dry_run.html": (1, "whom else it would have been told to; there only with one"),
    "alert_parts.html": (2, "macros: the page that draws them says it"),
    "alert_roster.html": (2, "a roster has people, and so turns"),
    "availability.html": (1, "there only with usage, and so with devices of some kind"),
    "catalogue.html": (1, "a kind of device is there only with its faults"),
    "charging.html": (1, "of compounds with sheds; the page says that there are none"),
    "children_table.html": (1, "included: the page says it"),
    "corrections.html": (2, "what a correction changes: the panel says that it is nothing"),
    "device.html": (2, "values have a word of their own in the branch before; a mapping has rows"),
    "device_list.html": (3, "said in the branch before, for all three"),
    "exclusions_table.html": (1, "included: the page says it"),
    "fault.html": (1, "what follows from it; there only with one"),
    "fault_bulk.html": (1, "of what was picked"),
    "fault_table.html": (1, "included: the page says it"),
    "faults_rows.html": (1, "a macro: the page says it below"),
    "faults_suspected.html": (1, "apart from the list; there only with one"),
    "ingestion.html": (2, "the parts of an account, which are given; days, which pass"),
    "maintenance_calendar.html": (1, "days of a month"),
    "places.html": (1, "a building is there only with its devices"),
    "readings.html": (1, "beside curves; without any the section says it"),
    "registry_imports.html": (1, "columns of a file, which are given"),
    "replays.html": (1, "why some were refused again; there only with one"),
    "rule.html": (3, "of a dry run, which says that nothing differs; a rule's own figures"),
    "rules.html": (1, "a kind of device is there only with its rules"),
    "search.html": (3, "what was found; where nothing was, the page says that alone"),
    "session.html": (1, "the ways to know energy, which are given"),
    "sessions_table.html": (1, "included: the page says it"),
    "usage.html": (2, "figures and hours of a range, which are given"),
}
TABLE = re.compile(
    r"<table.*?</table>"
    r'|{% include "[a-z_]*table\.html" %}'
    r"|{{ alerts\.[a-z]*_table\(.*?}}",
    re.DOTALL,
)
SAYS = re.compile(r"(<p [^\n]*?</p>|{% endwith %}|\s)*{% (else|elif).*?empty\.said", re.DOTALL)


def test_every_table_says_what_it_is_without_rows() -> None:
    """A new table goes on with `{% else %}{{ empty.said(…) }}`, or has a reason above."""
    silent: dict[str, int] = {}
    for path in sorted(TEMPLATES.glob("*.html")):
        text = path.read_text()
        for table in TABLE.finditer(text):
            is_fixed = "{% for" not in table[0] and table[0].startswith("<table")
            if not is_fixed and not SAYS.match(text[table.end() : table.end() + 200]):
                silent[path.name] = silent.get(path.name, 0) + 1
    assert silent == {name: count for name, (count, _) in SAID_ELSEWHERE.items()}


def test_a_page_that_says_nothing_is_found() -> None:
    def told(html: str) -> list[str]:
        return list(lacking(parsed(f"<main>{html}</main>"), may_act=True))

    head = '<div class="panel-head"><h2>Sheds</h2></div>'
    assert told("<table><thead><tr><th>Shed</th></tr></thead><tbody></tbody></table>")
    assert told(f'<section class="panel">{head}</section>')
    assert told("<figure></figure>")
    assert told('<select required><option value="">pick one</option></select>')
    assert told('<div class="empty"><p>There are no sheds.</p></div>')
    assert told('<div class="empty"><a href="/"></a></div>')
    assert not told('<div class="empty"><p>There are no sheds.</p><a href="/">Add one</a></div>')
