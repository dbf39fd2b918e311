"""Errors as people and programs see them: RFC 9457 problem details, all made in one place."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.shapes.refusals import PROBLEM_MEDIA_TYPE
from devices.telemetry import TelemetryAway, TelemetryError, TelemetryRefused

RETRY_AFTER_S = 5


class Problem(Exception):
    """An error that the caller can do something about.

    slug: what went wrong, for programs; detail: for people, with what to do. more: further members
    of the answer.
    """

    status = 500
    slug = "internal"
    title = "Internal error"

    def __init__(
        self,
        detail: str,
        more: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more = dict(more or {})
        self.headers = dict(headers or {})


class NotFound(Problem):
    """Nothing there, or nothing of theirs: the answer is the same to the byte."""

    status, slug, title = 404, "not-found", "Not found"

    def __init__(self) -> None:
        super().__init__("There is nothing at this address for you: check the id.")


class BadParameter(Problem):
    """A parameter of the address or the body cannot be used."""

    status, slug, title = 422, "bad-parameter", "Bad parameter"

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}", {"errors": [{"parameter": name, "detail": detail}]})
        self.parameter = name


class Unauthenticated(Problem):
    """Nobody we know."""

    status, slug, title = 401, "unauthenticated", "Who are you?"

    def __init__(self, detail: str, *, error: str | None = None) -> None:
        challenge = 'Bearer realm="courtyard"' + (f', error="{error}"' if error else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """Known, and not allowed to."""

    status, slug, title = 403, "forbidden", "Not allowed"


class Moved(Problem):
    """Somebody was faster, or the state does not allow it; the present state comes along."""

    status, slug, title = 409, "moved-on", "The state has moved on"


class DeadLink(Problem):
    """A link out of a message that opens nothing (any more). word: the product's text that says
    why, and what to do."""

    slug, title = "dead-link", "This link opens nothing"

    def __init__(self, word: str, detail: str, *, status: int) -> None:
        super().__init__(detail)
        self.word = word
        self.status = status


class TooOften(Problem):
    """Asked more often than anybody needs to."""

    status, slug, title = 429, "too-often", "Too often"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class Away(Problem):
    """Something behind the API does not answer; the same request may succeed soon."""

    status, slug, title = 503, "away", "Not available now"

    def __init__(self, detail: str, retry_after_s: float = RETRY_AFTER_S) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, round(retry_after_s)))})


@contextmanager
def or_not_found(*unknown: type[LookupError]) -> Iterator[None]:
    """Of what somebody named, what is not there for them is NotFound."""
    try:
        yield
    except unknown as error:
        raise NotFound from error


def answer(problem: Problem) -> Response:
    """The problem as an HTTP answer."""
    return _answer(
        problem.status,
        problem.slug,
        problem.title,
        problem.detail,
        more=problem.more,
        headers=problem.headers,
    )


def of_http(error: HTTPException) -> Problem:
    """What the framework itself refuses: no such route, method not allowed, body too large."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound()
    problem = Problem(str(error.detail), headers=error.headers)
    problem.status = error.status_code
    problem.title = HTTPStatus(error.status_code).phrase
    problem.slug = problem.title.lower().replace(" ", "-")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        problem.detail = f"This address answers to {problem.headers.get('Allow', 'other methods')}."
    return problem


def of_validation(error: RequestValidationError) -> Problem:
    """Parameters and bodies that do not fit their declaration, all of them at once."""
    errors = [_place(item) for item in error.errors()]
    problem = Problem("; ".join(f"{e['parameter']}: {e['detail']}" for e in errors))
    problem.status, problem.slug, problem.title = 422, "bad-parameter", "Bad parameter"
    problem.more = {"errors": errors}
    return problem


def of_database(error: SQLAlchemyError) -> Problem:
    """The operational database did not do it; waiting may help if it is away."""
    if isinstance(error, OperationalError | PoolTimeout):
        return Away("The operational database does not answer; try again.")
    return Problem("The operational database refused this request; the log of the API says why.")


def of_telemetry(error: TelemetryError) -> Problem:
    """The telemetry store did not give what was asked."""
    if isinstance(error, TelemetryRefused):
        return Away("The telemetry store refuses us: its token or bucket must be repaired.", 60)
    after_s = error.retry_after_s if isinstance(error, TelemetryAway) else None
    return Away("The telemetry store does not answer; try again.", after_s or RETRY_AFTER_S)


def wants_page(request: Request) -> bool:
    """Whether a person looks at this with a browser, rather than a program at the API."""
    accepts = request.headers.get("accept", "")
    return not request.url.path.startswith("/v1/") and "text/html" in accepts


def _place(item: Any) -> dict[str, str]:
    where: Sequence[str | int] = item.get("loc", ())
    name = ".".join(str(part) for part in where[1:]) or str(where[0] if where else "request")
    return {"parameter": name, "in": str(where[0]) if where else "", "detail": str(item["msg"])}


def _answer(
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    more: Mapping[str, object],
    headers: Mapping[str, str],
) -> Response:
    body = {
        "type": f"urn:courtyard:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(
        msgspec.json.encode(body), status, headers=dict(headers), media_type=PROBLEM_MEDIA_TYPE
    )
