"""Systems at rest, to be backed up and restored."""

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert

from courtyard.settings import Settings, load_settings
from courtyard.stores import open_operational
from devices.journal import MESSAGES, Raw
from devices.store import schema
from devices.store.accounts import Forwarded
from devices.store.database import writing
from devices.store.journal import Draft, JournalWriter
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import Point, SeriesQuery

NOW_MS = 1_795_399_200_000
HOUR_MS = 3_600_000
MESSAGES_A_RECORD = 10

said: list[str] = []  # what a command tells while it works: nothing here is asked about it


def tell(text: str) -> None:
    said.append(text)


def a_place(data_dir: Path, database_url: str = "", **more: str) -> Settings:
    return load_settings(
        {
            "COURTYARD_DATA_DIR": str(data_dir),
            "COURTYARD_DATABASE_URL": database_url,
            **{f"COURTYARD_{name.upper()}": value for name, value in more.items()},
        }
    )


def grow_journal(settings: Settings, records: int) -> str:
    """Adds records of MESSAGES_A_RECORD messages, an hour apart; gives the journal's id."""
    with JournalWriter(settings.journal_path, lambda: NOW_MS) as writer:
        first = writer.head().id
        for n in range(first, first + records):
            raw = Raw(b"t", b"{}", 0, NOW_MS + n * HOUR_MS, "a")
            writer.commit([Draft(MESSAGES, 1, [raw] * MESSAGES_A_RECORD)])
        return writer.head().journal_id


def put_cursors(settings: Settings, journal_id: str, judge: int, forward: int) -> None:
    """As if so many records had been judged and forwarded."""
    engine = open_operational(settings)
    with writing(engine) as connection:
        connection.execute(schema.cursors.delete())
        for name, position in (("judge", judge), ("forward", forward)):
            row = {
                "name": name,
                "journal_id": journal_id,
                "position": position,
                "jseq": position * MESSAGES_A_RECORD,
                "revision": 0,
                "watermark_ms": None,
                "updated_at_ms": NOW_MS + position * HOUR_MS,
                "memory": msgspec.msgpack.encode(Forwarded(position * 100, 1, None)),
            }
            connection.execute(insert(schema.cursors), row)
    engine.dispose()


def decide(settings: Settings, *what: str) -> None:
    """People decide something."""
    engine = open_operational(settings)
    with writing(engine) as connection:
        for kind in what:
            row: dict[str, Any] = {"at_ms": NOW_MS, "what": kind, "subject": "x", "body": {}}
            connection.execute(insert(schema.revisions), row)
    engine.dispose()


def put_readings(settings: Settings, values: range) -> None:
    store = EmbeddedTelemetry(settings.telemetry_path)
    store.write([Point("port", "a", "b", NOW_MS + n, {"power_w": float(n)}) for n in values])
    store.close()


def readings(path: Path) -> list[float]:
    store = EmbeddedTelemetry(path)
    query = SeriesQuery("port", "b", "power_w", NOW_MS, NOW_MS + HOUR_MS, 10_000)
    values = [float(sample.value) for sample in store.samples(query)]
    store.close()
    return values
