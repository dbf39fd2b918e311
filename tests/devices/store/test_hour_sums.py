"""Hours that were added up are taken again only while nothing of them has changed."""

from collections.abc import Callable
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import Engine, delete, insert, update

from devices.corrections import NOBODY
from devices.days import midnight_of
from devices.store.compounds import Entry, read_directory
from devices.store.database import reading, writing
from devices.store.hour_sums import HourSums
from devices.store.schema import devices, usage_corrections, usage_hours
from devices.store.scope import DISTRICT, Scope
from devices.store.usage_days import pack, sums_of_compound
from tests.api.cast import (
    GATE,
    HOUR_MS,
    LAMP,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    a_district,
    an_hour,
)

ZONE = ZoneInfo("Asia/Shanghai")
THIS_HOUR_MS = NOW_MS - NOW_MS % HOUR_MS


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        a_district(connection)
        for back in range(6):
            an_hour(connection, GATE, hour(back), 120, granted=10 + back, methods={"face": 10})
            an_hour(connection, PORT, hour(back), 60, energy_kwh=0.1 * back, in_use_s=1800.0)
    return any_database


def hour(back: int) -> int:
    return THIS_HOUR_MS - back * HOUR_MS


def entry_of(engine: Engine) -> Entry:
    with reading(engine) as connection:
        return read_directory(connection, NOW_MS).compounds[XIANGYUNLI]


def asked(engine: Engine, kept: HourSums | None, scope: Scope = DISTRICT) -> list[bytes]:
    starts = [hour(5), hour(3), hour(1)]
    found = sums_of_compound(engine, scope, entry_of(engine), starts, NOW_MS, kept)
    return [pack(one) for one in found]


def test_an_hour_that_is_over_is_added_up_once(engine: Engine) -> None:
    kept = HourSums()
    first = asked(engine, kept)
    assert len(kept) == 5  # and not the one that runs
    assert asked(engine, kept) == first == asked(engine, None)
    assert len(kept) == 5


def late(engine: Engine) -> None:
    with writing(engine) as connection:
        an_hour(connection, LAMP, hour(4), 12, lit_s=600.0)


def counted_again(engine: Engine) -> None:
    with writing(engine) as connection:
        where = usage_hours.c.hour_ms == hour(2)
        connection.execute(update(usage_hours).where(where).values(received=77))


def worked_out_again(engine: Engine) -> None:
    """Its metered figures, as from the telemetry store: as many bytes as before."""
    with writing(engine) as connection:
        row = usage_hours.c
        where = (row.hour_ms == hour(4)) & (row.kind == "port")
        connection.execute(update(usage_hours).where(where).values(metered=b"\x80"))


def taken_away(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(delete(usage_hours).where(usage_hours.c.hour_ms == hour(3)))


def corrected(engine: Engine) -> None:
    line = [hour(4), NOBODY, "gate", 0, {"granted": 3.0}]
    row = {
        "compound": XIANGYUNLI,
        "day_ms": midnight_of(hour(4), ZONE),
        "revision": 1,
        "id": "correction-1",
        "way": "stated",
        "kinds": ["gate"],
        "from_ms": hour(4),
        "to_ms": hour(3),
        "stated": {},
        "reason": "counted by hand",
        "created_by": "li-min",
        "created_at_ms": NOW_MS,
        "lines": msgspec.msgpack.encode([line]),
    }
    with writing(engine) as connection:
        connection.execute(insert(usage_corrections).values(**row))


def reported_less_often(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(update(devices).where(devices.c.id == GATE).values(interval_s=600))


def taken_out_of_service(engine: Engine) -> None:
    with writing(engine) as connection:
        gone = update(devices).where(devices.c.id == PORT)
        connection.execute(gone.values(decommissioned_at_ms=hour(2)))


@pytest.mark.parametrize(
    "change",
    [
        late,
        counted_again,
        worked_out_again,
        taken_away,
        corrected,
        reported_less_often,
        taken_out_of_service,
    ],
)
def test_whatever_changes_an_hour_is_seen_at_the_next_question(
    engine: Engine, change: Callable[[Engine], None]
) -> None:
    kept = HourSums()
    before = asked(engine, kept)
    change(engine)
    after = asked(engine, kept)
    assert after == asked(engine, None)
    assert after != before


def test_another_firm_does_not_hear_of_what_is_kept(engine: Engine) -> None:
    kept = HourSums()
    ours = asked(engine, kept)
    strange = asked(engine, kept, Scope("kangqiao"))
    assert strange == asked(engine, None, Scope("kangqiao")) != ours


def test_what_is_kept_has_a_bound_and_does_not_depend_on_it(engine: Engine) -> None:
    rng = Random(7)
    kept = HourSums(most=3)
    for _ in range(6):
        assert asked(engine, kept) == asked(engine, None)
        assert len(kept) <= 3
        with writing(engine) as connection:
            where = usage_hours.c.hour_ms == hour(rng.randrange(6))
            change = update(usage_hours).where(where).values(received=rng.randrange(99))
            connection.execute(change)
