"""What was answered to a request that carries a key, so that the same one again does nothing.

A client whose connection broke does not know whether its action was done. It sends it again under
the same Idempotency-Key, and gets the first answer. The answer is kept in the transaction of the
action, so that there is one of them or neither; for a day, and of one token so many at most.
"""

from sqlalchemy import Connection, delete, func, select, update

from devices.store.database import conflict_insert
from devices.store.schema import idempotency_keys

KEPT_MS = 86_400_000
KEPT_AT_MOST = 5_000  # of one token


class OtherRequest(Exception):
    """This key was used for another request."""


class TooManyKeys(Exception):
    """A token has used too many keys within a day."""


def claim(connection: Connection, token: int, key: str, request: str, now_ms: int) -> bytes | None:
    """The answer to this request; None: it is new, and its answer is to be kept (`keep`).

    Whoever comes at the same moment waits here for the transaction of the first. token: whose key
    it is. request: a hash of what is asked. Raises OtherRequest, TooManyKeys.
    """
    column = idempotency_keys.c
    connection.execute(delete(idempotency_keys).where(column.at_ms <= now_ms - KEPT_MS))
    row = {"token": token, "key": key, "request": request, "answer": b"", "at_ms": now_ms}
    made = conflict_insert(connection, idempotency_keys).values(row).on_conflict_do_nothing()
    if connection.execute(made.returning(column.token)).first() is not None:
        mine = select(func.count()).where(column.token == token)
        if (connection.scalar(mine) or 0) > KEPT_AT_MOST:
            raise TooManyKeys(f"more than {KEPT_AT_MOST} keys within a day")
        return None
    kept = connection.execute(
        select(column.request, column.answer).where(column.token == token, column.key == key)
    ).one()
    if kept.request != request:
        raise OtherRequest(f"the key {key!r} was used for another request")
    return bytes(kept.answer)


def keep(connection: Connection, token: int, key: str, answer: bytes) -> None:
    """What is answered to the request that was claimed, in the same transaction."""
    column = idempotency_keys.c
    connection.execute(
        update(idempotency_keys)
        .where(column.token == token, column.key == key)
        .values(answer=answer)
    )
