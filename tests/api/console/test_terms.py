"""Every term of the glossary that a page is headed with is explained on that page."""

from collections.abc import Iterator

import pytest

from api.console.help_pages import TERMS
from api.texts.glossary import TEXTS
from api.texts.ingestion import TEXTS as REASONS
from devices.messages import Reason
from tests.api.cast import Cast
from tests.api.walk import EXAMPLES, Node, addresses, parsed, with_one_of_each

HEADS = ("th", "dt", "h2", "h3", "label", "legend", "caption")
NAMES = [name for names in TERMS.values() for name in names]
# The tick of a form that does something says "yes, do it", in a word that is also a term.
TICKS = {"acknowledge"}


def headed(main: Node) -> Iterator[str]:
    """What tables, lists and fields of a page are headed with."""
    for node in main.every():
        if node.tag in HEADS:
            yield " ".join(one for one in node.inside if isinstance(one, str)).strip()


def explained(main: Node) -> list[str]:
    """The terms that have a mark on a page, each as often as it has one."""
    ids = [str(node.attributes["id"]) for node in main.every() if node.is_of("term-note")]
    return [one.removeprefix("what-").partition("-")[0] for one in ids]


@pytest.mark.parametrize(("language", "at"), [("zh", 0), ("en", 1)])
def test_every_head_that_is_a_term_is_explained_on_its_page(
    cast: Cast, language: str, at: int
) -> None:
    with_one_of_each(cast)
    client = cast.client("operator")
    words = {TEXTS[f"term_{name}"][at].casefold(): name for name in NAMES}
    unexplained: set[tuple[str, str]] = set()
    for address in addresses(cast, EXAMPLES, ()):
        answer = client.get(address, headers={"Accept": "text/html", "Accept-Language": language})
        if answer.status_code != 200 or "<main" not in answer.text:
            continue
        if address == "/help":
            continue  # it explains all of them
        main = parsed(answer.text)
        marked = explained(main)
        used = {words[head.casefold()] for head in headed(main) if head.casefold() in words}
        unexplained |= {(address, name) for name in used - {*marked, *TICKS}}
        twice = {str(node.attributes.get("id")) for node in main.every() if node.is_of("term-note")}
        assert len(twice) == len(marked), f"{address}: two marks of one name open the same note"
    told = f"give these pages `terms.mark(…)` or `terms.line([…])`: {sorted(unexplained)}"
    assert not unexplained, told


def test_every_mark_opens_its_own_note_without_a_script(cast: Cast) -> None:
    """A button that a key or a finger reaches, named by its term; the browser opens the note."""
    main = parsed(cast.client("viewer").get("/faults", headers={"Accept-Language": "en"}).text)
    marks = [node for node in main.every() if node.is_of("term-mark")]
    notes = {node.attributes["id"]: node for node in main.every() if node.is_of("term-note")}
    assert len(marks) > 8
    for mark in marks:
        note = notes[mark.attributes["popovertarget"]]
        assert mark.tag == "button"
        assert mark.attributes["type"] == "button"
        assert str(mark.attributes["aria-label"]).startswith("What is “")
        assert "popover" in note.attributes
        assert any(one.tag == "a" for one in note.every()), "it leads to the glossary"


def test_every_reason_of_the_quarantine_is_explained_in_both_languages(cast: Cast) -> None:
    for language, at in (("zh", 0), ("en", 1)):
        html = cast.client("yaxin").get("/help", headers={"Accept-Language": language}).text
        text = parsed(html).text
        for reason in Reason:
            assert f'id="q-{reason}"' in html
            assert REASONS[f"q_{reason}"][at] in text
            assert TEXTS[f"what_q_{reason}"][at] in text
