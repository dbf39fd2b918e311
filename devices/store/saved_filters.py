"""Filters of the list of faults that people have saved: each under a name, for themselves alone."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from devices.store.schema import saved_filters

MOST = 20  # of one person: more than that is not found again


class TooManyFilters(Exception):
    """So many are saved that no other can be."""


class UnknownFilter(LookupError):
    """They have saved no such filter."""


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """query: of the list's address, without the question mark."""

    id: int
    name: str
    query: str


def save_filter(connection: Connection, token: int, name: str, query: str, now_ms: int) -> None:
    """Under a name that they have used before it takes the other's place. Raises TooManyFilters."""
    column = saved_filters.c
    mine = column.token == token
    renewed = connection.execute(
        update(saved_filters).where(mine, column.name == name).values(query=query)
    )
    if renewed.rowcount:
        return
    count = connection.scalar(select(func.count()).select_from(saved_filters).where(mine)) or 0
    if count >= MOST:
        raise TooManyFilters(f"{MOST} filters are saved: delete one first")
    row = {"token": token, "name": name, "query": query, "created_at_ms": now_ms}
    connection.execute(insert(saved_filters), row)


def list_filters(connection: Connection, token: int) -> list[SavedFilter]:
    """Theirs, in the order in which they were saved."""
    column = saved_filters.c
    query = (
        select(column.id, column.name, column.query)
        .where(column.token == token)
        .order_by(column.id)
        .limit(MOST)
    )
    return [SavedFilter(*row) for row in connection.execute(query)]


def delete_filter(connection: Connection, token: int, saved: int) -> SavedFilter:
    """What it was; raises UnknownFilter, also for somebody else's."""
    column = saved_filters.c
    gone = connection.execute(
        delete(saved_filters)
        .where(column.id == saved, column.token == token)
        .returning(column.id, column.name, column.query)
    ).one_or_none()
    if gone is None:
        raise UnknownFilter(str(saved))
    return SavedFilter(*gone)
