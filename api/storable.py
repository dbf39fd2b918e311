"""Text that cannot be stored is refused before any route sees it, with the name of its field.

PostgreSQL takes no NUL, and nothing encodes half of a surrogate pair: where such text got as far as
the database, the answer was an error of ours. One place for every route that takes text, now and
later: parameters of the address, JSON and forms.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audited import SAFE_METHODS
from api.errors import BadParameter, NotFound, Problem, of_http

NAME_CHARACTERS = 60
_SUSPECT = re.compile(rb"\x00|%00|\\u0000|\\u[dD][89a-fA-F]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)')
_PART_NAME = re.compile(rb'\bname="([^"\r\n]*)"')


class Storable:
    """answer: renders a problem as everywhere."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Problem], Response]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_address(scope)
            if scope["method"] not in SAFE_METHODS:
                body, receive = await _read(receive)
                check_body(Headers(scope=scope).get("content-type", ""), body)
        except HTTPException as error:  # of who reads the body before us
            await self._answer(Request(scope), of_http(error))(scope, receive, send)
        except Problem as problem:
            await self._answer(Request(scope), problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def check_body(content_type: str, body: bytes) -> None:
    """Raise BadParameter for the first text in it that cannot be stored. What cannot be read is
    left to whoever reads it."""
    if not _SUSPECT.search(body):
        return
    if "multipart/" in content_type:
        boundary = _BOUNDARY.search(content_type)
        ends = b"\r\n--" + (boundary[1].encode("latin-1") if boundary else b"")
        for part in (b"\r\n" + body).split(ends):
            head, _, said = part.partition(b"\r\n\r\n")
            is_file = b'filename="' in head  # of any bytes; whoever reads it says what it may be
            if b"\0" in head or (b"\0" in said and not is_file):
                found = _PART_NAME.search(part)
                raise _refusal("body" if found is None else found[1].decode("utf-8", "replace"))
    elif "form-urlencoded" in content_type:
        _check_pairs(body)
    else:
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return
        for name, text in _texts(said):
            if _UNSTORABLE.search(text):
                raise _refusal(name)


def _check_address(scope: Scope) -> None:
    if "\0" in scope["path"]:
        raise NotFound  # nothing has such an id
    if _SUSPECT.search(scope["query_string"]):
        _check_pairs(scope["query_string"])


def _check_pairs(raw: bytes) -> None:
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        if _UNSTORABLE.search(name + value):
            raise _refusal(name)


def _texts(said: Any) -> Iterator[tuple[str, str]]:
    """Every text in it, names too, each with where it stands: `steps.0.id`."""
    waiting: list[tuple[str, Any]] = [("", said)]
    while waiting:
        at, one = waiting.pop()
        if isinstance(one, str):
            yield at or "body", one
            continue
        inside: list[tuple[str, Any]] = []
        if isinstance(one, dict):
            inside = list(one.items())
        elif isinstance(one, list):
            inside = [(str(place), value) for place, value in enumerate(one)]
        for name, value in reversed(inside):
            where = f"{at}.{name}" if at else name
            yield where, name
            waiting.append((where, value))


def _refusal(name: str) -> BadParameter:
    shown = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", name)[:NAME_CHARACTERS]
    return BadParameter(
        shown, "holds a NUL character, or half of a pair, which no text may have: leave it out"
    )


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that gives it once more."""
    pieces: list[bytes] = []
    last: Message | None = None
    while True:
        message = await receive()
        if message["type"] != "http.request":
            last = message  # whoever sent it is gone
            break
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"".join(pieces)
    again: list[Message] = [{"type": "http.request", "body": body, "more_body": last is not None}]
    if last is not None:
        again.append(last)

    async def replay() -> Message:
        return again.pop(0) if again else await receive()

    return body, replay
