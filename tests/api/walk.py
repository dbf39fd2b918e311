"""All pages of the console, as its routes have them, and what stands on a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from fastapi.routing import APIRoute

from tests.api.cast import (
    GATE,
    XIANGYUNLI,
    Cast,
    a_fault,
    a_person,
    a_refusal,
    a_roster,
    a_route,
    a_session,
    a_stand_in,
    a_target,
    a_window,
)

NOT_PAGES = (
    *("/v1/", "/assets/", "/parts/", "/livez", "/readyz", "/metrics", "/openapi.json"),
    *("/login", "/setup", "/exports/direct", "/a/{token}"),
    "/quarantine/replays",  # of one that was asked for
)
NEEDED = {"/alerts/new": "?channel=dingtalk"}
MORE = (
    *(f"/faults?show={show}" for show in ("all", "suspected", "shelved", "maintenance")),
    *("/faults?code=SHED_SMOKE", "/sheds?find=nothing", "/quarantine?reason=clock"),
    *("/administration/devices?q=nothing", "/administration/compounds?q=nothing"),
    *("/administration/unknown?show=ignored", "/administration/unknown?show=registered"),
    *("/alerts/deliveries?state=failed", "/help/faults?find=nothing", "/rules?find=nothing"),
    *(
        "/search?q=nothing",
        "/rules?show=changed",
        "/audit?actor=nobody",
        "/maintenance/calendar?view=week",
    ),
)
OF_PLACES = (
    f"/alerts/dry-run?code=SHED_SMOKE&compound={XIANGYUNLI}",
    f"/charging?compound={XIANGYUNLI}",
)
EXAMPLES = {
    "compound": XIANGYUNLI,
    "device": GATE,
    "firm": "yaxin",
    "fault": "own-fault",
    "session": "own-session",
    "window": "own-window",
    "target": "own-target",
    "route": "own-route",
    "person": "own-person",
    "roster": "own-roster",
    "stand_in": "own-leave",
    "refused": "1",
    "code": "SHED_SMOKE",
    "file_type": "csv",
}
# What a page always has, wherever there is nothing else.
ALWAYS = ("code", "file_type")
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class Node:
    """An element of a page."""

    tag: str
    attributes: Mapping[str, str | None]
    inside: list["Node | str"] = field(default_factory=list)

    def every(self) -> Iterator["Node"]:
        yield self
        for one in self.inside:
            if isinstance(one, Node):
                yield from one.every()

    def is_of(self, name: str) -> bool:
        return name in (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        return " ".join(one if isinstance(one, str) else one.text for one in self.inside).strip()

    def words_beside(self, name: str) -> str:
        """Its text without that of elements of a class."""
        return " ".join(
            one if isinstance(one, str) else one.words_beside(name)
            for one in self.inside
            if isinstance(one, str) or not one.is_of(name)
        ).strip()


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self._open[-1].inside.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].inside.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in [node.tag for node in self._open]:
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._open[-1].inside.append(data.strip())


def parsed(html: str) -> Node:
    tree = _Tree()
    tree.feed(html)
    return next(node for node in tree.root.every() if node.tag == "main")


def addresses(cast: Cast, known: Mapping[str, str], of: Sequence[str]) -> list[str]:
    """Those of pages whose parameters are known. of: only pages with one of these parameters."""
    found = [] if of else [*MORE, *(OF_PLACES if "compound" in known else ())]
    for route in cast.app.routes:
        assert isinstance(route, APIRoute)
        names = set(route.param_convertors)
        is_page = "GET" in (route.methods or ()) and not route.path.startswith(NOT_PAGES)
        if is_page and names <= set(known) and (not of or names & set(of)):
            found.append((route.path + NEEDED.get(route.path, "")).format(**known))
    return found


def with_one_of_each(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "own-fault")
        a_session(connection, "own-session")
        a_window(connection, "own-window")
        a_target(connection, "own-target")
        a_target(connection, "other-target")
        a_route(connection, "own-route", "other-target")
        a_person(connection, "own-person")
        a_roster(connection, "own-roster", "own-person")
        a_stand_in(connection, "own-leave", "own-person")
        a_refusal(connection, 1)
