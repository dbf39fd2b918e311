"""The OpenAPI document and a page to try it; both work without an internet connection."""

from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from api.errors import NotFound
from api.identity import EVERYONE
from api.pages import PageOf, assets
from api.shapes.refusals import Problem

router = APIRouter(include_in_schema=False, dependencies=[EVERYONE])

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@router.get("/openapi.json")
def openapi(request: Request) -> Response:
    """OpenAPI 3.1."""
    return JSONResponse(document(request.app))


@router.get("/docs")
def docs(page: PageOf) -> Response:
    """swagger-ui over our own document, with our own copy of its script."""
    return page.render("docs.html")


@router.get("/assets/{name:path}")
def asset(name: str, v: str = "") -> Response:  # noqa: ARG001 - the version, for caches
    """A file of the console. Its address carries its version, so it may be kept for long."""
    found = assets().get(name)
    if found is None:
        raise NotFound
    media_type = _MEDIA_TYPES.get(found.suffix, "text/plain")
    return FileResponse(
        found, media_type=media_type, headers={"Cache-Control": "public, max-age=31536000"}
    )


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shape of errors, which no route returns by itself."""
    made = app.openapi()
    made["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
    return made
