"""What all pages share: language, who is logged in, templates, assets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.console.ourselves import OurCopy, Ourselves
from api.errors import DeadLink, Problem
from api.identity import Identity
from api.words import Language, say

LANGUAGE_COOKIE = "courtyard_language"
THEME_COOKIE = "courtyard_theme"
TOUR_COOKIE = "courtyard_tour"
YEAR_S = 365 * 86_400
# pages of operators, by their addresses
ADMINISTRATION = ("administration", "users", "tokens", "rules", "audit")
_HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def assets() -> Mapping[str, Path]:
    """What may be fetched from /assets, by name."""
    folder = _HERE / "assets"
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".css", ".js", ".svg")
    }


@dataclass(frozen=True, slots=True)
class Page:
    """How this person wants pages. chosen: they have just picked the language."""

    request: Request
    language: Language
    chosen: bool

    def say(self, word: str, **values: object) -> str:
        """The product's text for `word` in their language."""
        return say(self.language, word, **values)

    @property
    def theme(self) -> str:
        """Colours that they chose, light or dark; empty: those of the system."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in ("light", "dark") else ""

    @property
    def wants_tour(self) -> bool:
        """Whether the tour is still to be shown in this browser."""
        return TOUR_COOKIE not in self.request.cookies

    def address(self, **changed: str) -> str:
        """This page's address with these parameters, all others as they are."""
        kept = [item for item in self.request.query_params.multi_items() if item[0] not in changed]
        return f"{self.request.url.path}?{urlencode([*kept, *changed.items()])}"

    def _ours(self, who: object) -> Ourselves | None:
        """How we do, for somebody who is logged in."""
        if not isinstance(who, Identity):
            return None
        copy: OurCopy = self.request.app.state.ours
        return Ourselves(copy.get(who.scope), self.language)

    @property
    def wants_parts(self) -> bool:
        """Whether only what is kept up to date (`data-live`) will be looked at in the answer: what
        else costs much is then left out."""
        return self.request.headers.get("HX-Request") == "true"

    def live_at(self, name: str) -> str:
        """The address of what changes of this page."""
        no = ("lang", "did", "done")  # told once, on the page itself
        kept = [item for item in self.request.query_params.multi_items() if item[0] not in no]
        # in the language that it is shown in, whatever another page of this browser has chosen
        return f"/parts/{name}?{urlencode([*kept, ('lang', self.language)])}"

    def render(self, template: str, status: int = 200, **values: object) -> Response:
        """The template as an answer. who: the one that asks; pages of theirs say how we do."""
        html = templates().get_template(template)
        text = html.render(
            page=self,
            t=partial(say, self.language),
            lang=self.language,
            asset=asset_address,
            switch=self.address(lang="en" if self.language == "zh" else "zh"),
            path=self.request.url.path,
            live_at=self.live_at,
            theme=self.theme,
            administration=ADMINISTRATION,
            is_simulated=self.request.app.state.parts.is_simulated,
            ours=self._ours(values.get("who")),
            **values,
        )
        answer = HTMLResponse(text, status, headers={"Vary": "Accept-Language, Cookie"})
        if self.chosen:
            remember_language(answer, self.language)
        return answer


async def page(
    request: Request, lang: Annotated[Literal["zh", "en"] | None, Query()] = None
) -> Page:
    return Page(request, lang or preferred_language(request), chosen=lang is not None)


PageOf = Annotated[Page, Depends(page)]


def remember_language(answer: Response, language: str) -> None:
    """This browser shows pages in it from now on."""
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, samesite="lax")


def preferred_language(request: Request) -> Language:
    """What they picked before, else what their browser prefers, else Chinese."""
    picked = request.cookies.get(LANGUAGE_COOKIE)
    if picked in ("zh", "en"):
        return "en" if picked == "en" else "zh"
    best: Language = "zh"
    best_q = 0.0
    for part in request.headers.get("accept-language", "").split(","):
        name, _, rest = part.strip().partition(";")
        try:
            q = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        spoken = name.strip().lower().partition("-")[0]
        if q > best_q and spoken in ("zh", "en"):
            best, best_q = ("en" if spoken == "en" else "zh"), q
    return best


def problem_page(request: Request, problem: Problem) -> Response:
    """A problem as a page, for people."""
    shown = Page(request, preferred_language(request), chosen=False)
    template = "dead_link.html" if isinstance(problem, DeadLink) else "problem.html"
    answer = shown.render(template, problem.status, problem=problem)
    answer.headers.update(problem.headers)
    return answer


def asset_address(name: str) -> str:
    """The address of a published file, with its version."""
    return f"/assets/{name}?v={_version(name)}"


@lru_cache(maxsize=64)
def _version(name: str) -> str:
    return hashlib.sha256(assets()[name].read_bytes()).hexdigest()[:12]


def rendered(language: Language, template: str, **values: object) -> str:
    """A template that knows neither who asks nor for which page."""
    return (
        templates()
        .get_template(template)
        .render(
            t=partial(say, language),
            lang=language,
            icons=templates().get_template("icons.html").module,
            **values,
        )
    )


def our_parts(language: Language, ours: Ourselves) -> dict[str, str]:
    """What every page says of how we do."""
    return {
        "health": rendered(language, "ourselves.html", ours=ours),
        "critical": rendered(language, "critical.html", ours=ours),
    }


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates of all pages."""
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
