"""How far long work has come, for whoever watches it from another process."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from devices.store.database import conflict_insert
from devices.store.schema import progress

HISTORY = "history"  # the simulated past of the demo; done and total are hours
ALERTS = "alerts"  # it follows the fault events; done: rounds since its start
RESTORE = "restore"  # what the newest restore found of the journal, and what is missing


@dataclass(frozen=True, slots=True)
class Progress:
    """done of total, in the work's own unit. body: what it must know to go on after a restart."""

    done: int
    total: int
    body: Mapping[str, object]
    updated_at_ms: int


def report(
    connection: Connection,
    name: str,
    done: int,
    total: int,
    body: Mapping[str, object],
    now_ms: int,
) -> None:
    """Put down where the work `name` stands now; in the transaction that brought it there."""
    row = {"done": done, "total": total, "body": dict(body), "updated_at_ms": now_ms}
    statement = conflict_insert(connection, progress).values(name=name, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))


def read(connection: Connection, name: str) -> Progress | None:
    """Where the work `name` stands; None when it has never reported."""
    row = connection.execute(select(progress).where(progress.c.name == name)).first()
    return None if row is None else Progress(row.done, row.total, row.body, row.updated_at_ms)


def under_way(connection: Connection, name: str) -> Progress | None:
    """Where the work `name` stands while it is not complete; else None."""
    standing = read(connection, name)
    return standing if standing is not None and standing.done < standing.total else None
