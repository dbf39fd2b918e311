"""Pages of long lists: a limit, and a cursor that only continues the question it came from."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request

from api.errors import BadParameter
from api.identity import Identity, identify
from api.parts import PartsOf

T = TypeVar("T")

LIMIT, MOST = 100, 500
_SIGNATURE_BYTES = 12
_OWN = ("cursor", "limit", "lang", "did", "done")  # may change from page to page

Position = list[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for. position: where the page before ended, as it said."""

    limit: int
    position: tuple[Any, ...] | None
    key: bytes
    question: bytes

    @property
    def behind(self) -> tuple[Any, Any] | None:
        """The position of a list that is in the order of two things."""
        return None if self.position is None else (self.position[0], self.position[1])

    def split(
        self, rows: Sequence[T], position: Callable[[T], Position]
    ) -> tuple[Sequence[T], str | None]:
        """The rows of this page and the cursor of the next, from up to `limit` + 1 rows."""
        if len(rows) <= self.limit:
            return rows, None
        shown = rows[: self.limit]
        return shown, self.cursor(position(shown[-1]))

    def cursor(self, position: Position) -> str:
        """The opaque text that continues behind `position`."""
        body = msgspec.json.encode(position)
        return base64.urlsafe_b64encode(_sign(self.key, self.question, body) + body).decode()


async def page(
    request: Request,
    parts: PartsOf,
    who: Annotated[Identity, Depends(identify)],
    limit: Annotated[int, Query(ge=1, le=MOST, description="Items on a page.")] = LIMIT,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before, with the same filters.")
    ] = None,
) -> Page:
    filters = sorted(item for item in request.query_params.multi_items() if item[0] not in _OWN)
    question = msgspec.json.encode([_listed(request), filters, who.role, who.scope.firm])
    key = parts.deps.secret_key
    position = None if cursor is None else _read(key, question, cursor)
    return Page(limit, position, key, question)


PageOf = Annotated[Page, Depends(page)]

Filters = tuple[tuple[str, str], ...]  # of a list as they stand in its address, with `limit`


def filters_of(request: Request) -> Filters:
    """What a cursor continues: with it in its place, the address of another page of the list."""
    no = set(_OWN) - {"limit"}
    return tuple(item for item in request.query_params.multi_items() if item[0] not in no)


def _listed(request: Request) -> str:
    """The path of the list; what of it changes by itself is asked for under another one."""
    return request.url.path.removeprefix("/parts").removesuffix("/live")


def _sign(key: bytes, question: bytes, body: bytes) -> bytes:
    text = b"cursor\0" + question + b"\0" + body
    return hmac.digest(key, text, "sha256")[:_SIGNATURE_BYTES]


def _read(key: bytes, question: bytes, cursor: str) -> tuple[Any, ...]:
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raw = b""
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(key, question, body)):
        raise BadParameter(
            "cursor", "this is not the `next_cursor` of this list with these filters: begin anew"
        )
    position: Position = msgspec.json.decode(body)
    return tuple(position)
