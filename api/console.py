"""The pages of the console. They work without scripts; a small one keeps them up to date."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.compounds import check_firm
from api.identity import Identity, Reader
from api.overview import OverviewCopy, View
from api.pages import Page, PageOf

router = APIRouter(include_in_schema=False)

FirmOf = Annotated[str | None, Query(description="Show only this firm's compounds.")]


@router.get("/")
def overview(request: Request, who: Reader, page: PageOf, firm: FirmOf = None) -> Response:
    """The district at a glance."""
    return page.render("overview.html", who=who, view=_view(request, who, page, firm))


@router.get("/parts/overview")
def overview_parts(request: Request, who: Reader, page: PageOf, firm: FirmOf = None) -> Response:
    """What of the first page changes, for the script that keeps it up to date."""
    return page.render("overview_parts.html", who=who, view=_view(request, who, page, firm))


def _view(request: Request, who: Identity, page: Page, firm: str | None) -> View:
    copy: OverviewCopy = request.app.state.overview
    look = copy.get(who.scope)
    check_firm(look.known.directory, who, firm)
    return View(look, page.language, firm)
