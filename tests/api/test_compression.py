"""What is sent compressed, and what is not."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.compression import LEAST_BYTES, Compressed, takes_gzip
from tests.api.cast import Cast

TEXT = "<p>端口过温</p>" * 10_000


def sent(answer: Response, encoding: str = "gzip") -> list[Message]:
    """The messages of an answer behind the middleware."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request"}

    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "headers": [(b"accept-encoding", encoding.encode())],
        "asgi": {"spec_version": "2.4"},
    }
    asyncio.run(Compressed(app)(scope, receive, send))
    return messages


def head(messages: list[Message]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in messages[0]["headers"]}


def test_a_page_goes_compressed_to_who_takes_that() -> None:
    messages = sent(PlainTextResponse(TEXT, headers={"Vary": "Cookie"}))
    body = messages[1]["body"]
    assert gzip.decompress(body).decode() == TEXT
    assert len(body) < len(TEXT) / 10
    assert head(messages)["content-encoding"] == "gzip"
    assert head(messages)["content-length"] == str(len(body))
    assert head(messages)["vary"] == "Cookie, Accept-Encoding"


@pytest.mark.parametrize(
    ("answer", "encoding"),
    [
        (PlainTextResponse(TEXT), "br"),
        (PlainTextResponse(TEXT), "gzip;q=0"),
        (PlainTextResponse("x" * (LEAST_BYTES - 1)), "gzip"),
        (Response(TEXT.encode(), media_type="application/pdf"), "gzip"),
        (PlainTextResponse(TEXT, headers={"Content-Encoding": "br"}), "gzip"),
        (PlainTextResponse(TEXT, 206, headers={"ETag": '"a-file"'}), "gzip"),
    ],
)
def test_these_go_as_they_are(answer: Response, encoding: str) -> None:
    messages = sent(answer, encoding)
    assert messages[1]["body"] == answer.body
    assert head(messages).get("content-encoding") != "gzip"


def test_what_comes_bit_by_bit_is_not_held_back() -> None:
    async def bits() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield TEXT.encode()

    for media_type in ("text/csv", "text/event-stream"):
        messages = sent(StreamingResponse(bits(), media_type=media_type))
        assert [one.get("body") for one in messages[1:4]] == [TEXT.encode()] * 3
        assert "content-encoding" not in head(messages)


@pytest.mark.parametrize(
    ("header", "welcome"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("br, gzip; q=0", False),
        ("", False),
        ("x-gzip-not", False),
    ],
)
def test_gzip_is_welcome_where_the_request_says_so(header: str, welcome: bool) -> None:
    scope = {"type": "http", "headers": [(b"accept-encoding", header.encode())]}
    assert takes_gzip(Request(scope).headers) is welcome


def test_pages_and_their_files_are_compressed_and_files_are_kept_for_a_year(cast: Cast) -> None:
    client = cast.client("operator")
    page = client.get("/")
    assert page.headers["Content-Encoding"] == "gzip"
    assert page.headers["Cache-Control"] == "no-store"
    links = re.findall(r'"(/assets/[^"]+)"', page.text)
    assert links
    for link in links:
        assert re.search(r"\?v=[0-9a-f]{12}$", link), link
        answer = client.get(link)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Encoding"] == "gzip"
        plain = client.get(link, headers={"Accept-Encoding": "identity"})
        assert plain.content == answer.content
        assert "Content-Encoding" not in plain.headers
