"""Where the followers of the journal stand."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog
from sqlalchemy import Connection, Engine, select, update

from devices.journal import Raw
from devices.overrides import RuleSet
from devices.store import rule_sets
from devices.store.accounts import Forwarded
from devices.store.database import DatabaseAway, answering, conflict_insert, reading, writing
from devices.store.quarantine import given_up, replayed_since
from devices.store.registry import newest_revision
from devices.store.schema import cursors
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import TelemetryAway, TelemetryError, TelemetryRefused


@dataclass(frozen=True, slots=True)
class Position:
    """A follower's place: the last record and message it is done with. memory: msgpack, its own."""

    journal_id: str
    position: int
    jseq: int
    memory: bytes


log = structlog.get_logger()

_encode_position = msgspec.json.Encoder().encode
_decode_position = msgspec.json.Decoder(Position).decode


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

    def given_up(self, journal_id: str) -> Collection[int]:
        """The messages of a journal that killed who decoded them."""
        with answering(), reading(self._engine) as connection:
            return given_up(connection, journal_id)

    def registry_revision(self) -> int:
        with answering(), reading(self._engine) as connection:
            return newest_revision(connection)

    def rules_after(self, number: int) -> RuleSet | None:
        """The rule file in force, if it is not the one with this number."""
        with answering(), reading(self._engine) as connection:
            return rule_sets.newest_after(connection, number)


class EmbeddedForwardCursor(ForwardCursor):
    """Forward's cursor beside the embedded store, which may hold less than the database says.

    The file is not synced with each commit, so a power loss takes the last ones; or it is an older
    one, or a new one. It keeps the cursor too, behind the readings that belong to it: what of that
    is lost, is lost from the end. The older of the two places counts, and the journal fills in.
    """

    def __init__(self, engine: Engine, store: EmbeddedTelemetry) -> None:
        super().__init__(engine)
        self._store = store

    def load(self) -> Position | None:
        known = super().load()
        there = None if known is None else self._held(known)
        if known is not None and there is not None and there != known:
            with answering(), writing(self._engine) as connection:  # for all to see
                connection.execute(
                    update(cursors)
                    .where(cursors.c.name == self._name)
                    .values(position=there.position, jseq=there.jseq, memory=there.memory)
                )
            log.warning(
                "telemetry_store_behind",
                cursor=known.position,
                store=there.position,
                then="the journal fills in what it has",
            )
        return there

    def _held(self, known: Position) -> Position:
        """Where the store's file ends, or `known` if it holds all of that."""
        try:
            told = self._store.position()
        except TelemetryAway as error:
            raise DatabaseAway(f"the telemetry store does not answer: {error}") from error
        except TelemetryRefused:
            return known  # writing to it will say so
        if told is None:
            # of before it kept a place; a file that is not there has lost all it had
            return known if self._store.path.exists() else _start_of(known)
        there = _decode_position(told)
        if there.journal_id != known.journal_id:
            return _start_of(known)
        return there if there.position < known.position else known

    def move(self, to: Position, now_ms: int) -> None:
        with suppress(TelemetryError):  # then it keeps an older place, and is written again
            self._store.write((), _encode_position(to).decode())
        super().move(to, now_ms)


def _start_of(at: Position) -> Position:
    return Position(at.journal_id, 0, 0, msgspec.msgpack.encode(Forwarded()))
