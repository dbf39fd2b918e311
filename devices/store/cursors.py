"""Where the followers of the journal stand."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from devices.journal import Raw
from devices.store.database import answering, conflict_insert, reading, writing
from devices.store.quarantine import replayed_since
from devices.store.registry import newest_revision
from devices.store.schema import cursors


@dataclass(frozen=True, slots=True)
class Position:
    """A follower's place: the last record and message it is done with. memory: msgpack, its own."""

    journal_id: str
    position: int
    jseq: int
    memory: bytes


def load(connection: Connection, name: str) -> Position | None:
    """Where `name` stands, None if it never moved."""
    column = cursors.c
    query = select(column.journal_id, column.position, column.jseq, column.memory).where(
        column.name == name
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Position(*row)


def move(connection: Connection, name: str, to: Position, now_ms: int) -> None:
    """Put `name` there. For followers whose effects can be repeated; others compare and set."""
    made = conflict_insert(connection, cursors).values(
        name=name,
        journal_id=to.journal_id,
        position=to.position,
        jseq=to.jseq,
        revision=0,
        watermark_ms=None,
        updated_at_ms=now_ms,
        memory=to.memory,
    )
    fields = ("journal_id", "position", "jseq", "updated_at_ms", "memory")
    connection.execute(
        made.on_conflict_do_update(
            index_elements=["name"], set_={field: made.excluded[field] for field in fields}
        )
    )


class ForwardCursor:
    """The cursor of forward. Raises DatabaseAway."""

    def __init__(self, engine: Engine, name: str = "forward") -> None:
        self._engine = engine
        self._name = name

    def load(self) -> Position | None:
        with answering(), reading(self._engine) as connection:
            return load(connection, self._name)

    def move(self, to: Position, now_ms: int) -> None:
        with answering(), writing(self._engine) as connection:
            move(connection, self._name, to, now_ms)

    def replayed(self, revision: int) -> tuple[list[Raw], int]:
        """Messages that were judged again since, and are stored now; up to which revision."""
        with answering(), reading(self._engine) as connection:
            return replayed_since(connection, revision)

    def registry_revision(self) -> int:
        with answering(), reading(self._engine) as connection:
            return newest_revision(connection)
