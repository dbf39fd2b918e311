"""The same request again: an Idempotency-Key makes an action happen once, however often it is sent.

The key is a token's own. Within a day the same request under it gets the first answer and does
nothing; another request under it is refused. What was refused is not kept: it is judged anew.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.requests import Request

from api import audited
from api.errors import BadParameter, Problem
from devices.audit import REPEATED
from devices.store import idempotency

HEADER = "Idempotency-Key"
MOST_CHARACTERS = 200
AGAIN_S = 3600

Answer = TypeVar("Answer", bound=BaseModel)


class TooMany(Problem):
    """Too much of something within a time."""

    status, slug, title = 429, "too-many", "Too many"


@dataclass(frozen=True, slots=True)
class Once:
    """A request that is to be done once. token: whose key it is. request: a hash of what it asks.

    key: "" for a request without one, which is done each time.
    """

    token: int = 0
    key: str = ""
    request: str = ""

    def do(
        self,
        connection: Connection,
        now_ms: int,
        shape: type[Answer],
        action: Callable[[], Answer],
    ) -> Answer:
        """Act, in this transaction, or give what was answered to the same request before."""
        if not self.key:
            return _recorded(action())
        try:
            kept = idempotency.claim(connection, self.token, self.key, self.request, now_ms)
        except idempotency.OtherRequest as error:
            detail = f"{error}; nothing was done. Take a new key for a new request."
            raise BadParameter(HEADER, detail) from error
        except idempotency.TooManyKeys as error:
            detail = f"This token has used {error}; nothing was done."
            raise TooMany(detail, headers={"Retry-After": str(AGAIN_S)}) from error
        if kept is not None:
            audited.came_out(REPEATED)
            return shape.model_validate_json(kept)
        answer = _recorded(action())
        kept = answer.model_dump_json(by_alias=True).encode()
        idempotency.keep(connection, self.token, self.key, kept)
        return answer


EACH_TIME = Once()


def _recorded(answer: Answer) -> Answer:
    """Into the audit log goes the id of what was made: the address does not have it."""
    audited.about(str(getattr(answer, "id", "")))
    return answer


async def asked_once(request: Request, key: str | None, token: int) -> Once:
    """What this request is known by again. Raises BadParameter."""
    if key is None or not request.url.path.startswith("/v1/"):
        return EACH_TIME
    if not 1 <= len(key) <= MOST_CHARACTERS or not key.isascii() or not key.isprintable():
        raise BadParameter(HEADER, f"1 to {MOST_CHARACTERS} printable ASCII characters")
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    asked.update(await request.body())
    return Once(token, key, asked.hexdigest())
