"""Rows of exports: work in the background that somebody asked for, told by `progress`.

The files themselves, and how far they are, lie in a folder of the API's; a row says to whom an
export belongs and how it stands. What is in `body` is the API's own business. Whoever takes a row
away calls the work off: its next step finds nothing to move on.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select, update

from devices.store.database import conflict_insert
from devices.store.progress import Progress
from devices.store.schema import progress

MOST = 1_000  # rows that are looked at; the API keeps fewer
_PREFIX = "export/"


def add(
    connection: Connection, export: str, total: int, body: Mapping[str, object], now_ms: int
) -> None:
    """A new one, nothing of it done."""
    row = {"done": 0, "total": total, "body": dict(body), "updated_at_ms": now_ms}
    connection.execute(conflict_insert(connection, progress).values(name=_PREFIX + export, **row))


def list_all(connection: Connection) -> dict[str, Progress]:
    """By id."""
    rows = connection.execute(
        select(progress).where(progress.c.name.startswith(_PREFIX, autoescape=True)).limit(MOST)
    )
    return {
        row.name.removeprefix(_PREFIX): Progress(row.done, row.total, row.body, row.updated_at_ms)
        for row in rows
    }


def find(connection: Connection, export: str) -> Progress | None:
    row = connection.execute(select(progress).where(progress.c.name == _PREFIX + export)).first()
    return None if row is None else Progress(row.done, row.total, row.body, row.updated_at_ms)


def move(
    connection: Connection,
    export: str,
    done: int,
    total: int,
    body: Mapping[str, object],
    now_ms: int,
) -> bool:
    """Put down where it stands now; False: it was called off."""
    row = {"done": done, "total": total, "body": dict(body), "updated_at_ms": now_ms}
    where = progress.c.name == _PREFIX + export
    return connection.execute(update(progress).where(where).values(row)).rowcount == 1


def remove(connection: Connection, export: str) -> bool:
    """Take it away, and call off what is still to be done; False: there was none."""
    where = progress.c.name == _PREFIX + export
    return connection.execute(delete(progress).where(where)).rowcount == 1
