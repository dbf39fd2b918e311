"""Whoever reaches the port may send so much and no more, whether we know them or not."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Message

from api.bodies import MOST_BYTES
from tests.api.cast import Cast

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def much() -> Iterator[bytes]:
    """In pieces and without a length, as a program sends what it makes while it sends."""
    piece = b"name=" + b"a" * 65_531
    for _ in range(MOST_BYTES // len(piece) + 1):
        yield piece


@pytest.mark.parametrize("path", ["/login", "/setup", "/v1/faults/f/comment", "/v1/targets"])
@pytest.mark.parametrize("name", [None, "operator"])
def test_more_than_anybody_needs_is_refused(cast: Cast, name: str | None, path: str) -> None:
    headers = FORM if not path.startswith("/v1/") else {"Content-Type": "application/json"}
    client = cast.client(name)
    told = client.post(path, content=b"x" * (MOST_BYTES + 1), headers=headers)
    untold = client.post(path, content=much(), headers=headers)
    for answer in (told, untold):
        assert answer.status_code == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "2048 KiB" in answer.json()["detail"]


def test_what_says_that_it_is_too_much_is_not_read(cast: Cast) -> None:
    said: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("it was read")

    async def send(message: Message) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/login", "raw_path": b"/login",
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "headers": [(b"content-length", str(10**12).encode()), (b"host", b"x"),
                    (b"content-type", FORM["Content-Type"].encode())],
        "client": ("192.0.2.7", 50000), "server": ("x", 80), "state": {},
    }  # fmt: skip
    asyncio.run(cast.app(scope, receive, send))
    assert said[0]["status"] == 413


def test_the_largest_rule_file_still_fits(cast: Cast) -> None:
    body = {"body": "#" + "灯" * (256 * 1024 - 1)}
    answer = cast.client("operator").post("/v1/rules/dry-runs", json=body)
    assert answer.status_code != 413, answer.text[:200]
