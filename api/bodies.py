"""How much somebody may send in one request: a limit that holds before anything is read whole.

The framework reads a body before it asks who sent it, so without a limit whoever reaches the port
could fill our memory (JSON, fields of a form) or the disk (files that no form of ours asks for).
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audited import SAFE_METHODS

# A rule file may have 256 Ki characters, each of up to six bytes in JSON; nothing else comes near.
MOST_BYTES = 2 * 1024 * 1024


class Bounded:
    """Refuses bodies of more than MOST_BYTES, at once where they say so themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)  # nothing of ours reads a body of these
            return
        told = Headers(scope=scope).get("content-length", "")
        told_bytes = int(told) if told.isascii() and told.isdigit() else 0
        read_bytes = 0

        async def bounded() -> Message:
            nonlocal read_bytes
            message = {"type": "http.request"} if told_bytes > MOST_BYTES else await receive()
            read_bytes += len(message.get("body", b""))
            if max(told_bytes, read_bytes) > MOST_BYTES:
                raise HTTPException(413, f"A request has at most {MOST_BYTES // 1024} KiB.")
            return message

        await self._app(scope, bounded, send)
