"""The OpenAPI document and a page to try it; both work without an internet connection."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.compression import squeezed, takes_gzip
from api.console.pages import PageOf, assets
from api.errors import NotFound
from api.identity import EVERYONE
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
def asset(request: Request, name: str, v: str = "") -> Response:  # noqa: ARG001 - for caches
    """A file of the console. Its address carries its version, so it may be kept for long."""
    found = assets().get(name)
    if found is None:
        raise NotFound
    content, small = _content(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if takes_gzip(request.headers):
        content, headers["Content-Encoding"] = small, "gzip"
    return Response(content, 200, headers, _MEDIA_TYPES.get(found.suffix, "text/plain"))


@lru_cache(maxsize=64)  # more than there are; 3 MB, most of it swagger-ui
def _content(name: str) -> tuple[bytes, bytes]:
    """A published file, and the same compressed."""
    content = assets()[name].read_bytes()
    return content, squeezed(content)


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shape of errors, which no route returns by itself."""
    made = app.openapi()
    made["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
    return made
