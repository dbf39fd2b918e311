"""`courtyard usage` on a data directory of its own."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings, load_settings
from courtyard.stores import open_operational
from courtyard.usage import Wanted, correct, corrections, parse_changes, recount
from devices.days import began, local_date
from devices.store.database import reading, writing
from devices.store.readings import KeptReadings
from devices.store.schema import usage_corrections
from devices.usage import HOUR_MS
from tests.api.cast import PORT, XIANGYUNLI, a_district, an_hour

ZONE = ZoneInfo("Asia/Shanghai")
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def day() -> date:
    return local_date(now_ms() - 10 * DAY_MS, ZONE)


@pytest.fixture
def settings(data_dir: Path, day: date) -> Settings:
    settings = load_settings({"COURTYARD_DATA_DIR": str(data_dir)})
    engine = open_operational(settings)
    with writing(engine) as connection:
        a_district(connection)
        an_hour(connection, PORT, began(day, ZONE) + 20 * HOUR_MS, 60, energy_kwh=4.0, sessions=2)
    engine.dispose()
    return settings


def wanted(day: date | None, **changes: object) -> Wanted:
    values: dict[str, object] = {
        "compound": XIANGYUNLI,
        "day": day,
        "hour": None,
        "device": PORT,
        "kind": None,
        "changes": {"energy_kwh": -1.5},
    }
    return Wanted(**values | changes)  # type: ignore[arg-type]


def recorded(settings: Settings) -> int:
    engine = open_operational(settings)
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).select_from(usage_corrections)).scalar()
    engine.dispose()
    return count or 0


def test_a_correction_is_recorded_and_listed(settings: Settings, day: date) -> None:
    told = list(correct(settings, wanted(day), "换表", "li-min", None))
    assert told[0] == f"{day} port energy_kwh: 4 -1.5 = 2.5"
    assert told[1].endswith(f"revision 1 of {day}")
    (line,) = corrections(settings, XIANGYUNLI, in_json=False)
    for part in (f"{XIANGYUNLI} {day} revision 1", "port energy_kwh -1.5", "li-min", "换表"):
        assert part in line
    (text,) = corrections(settings, None, in_json=True)
    assert json.loads(text)["stated"] == {"port": {"energy_kwh": -1.5}}


def test_an_hour_is_given_by_a_time_in_it(settings: Settings, day: date) -> None:
    at = datetime(day.year, day.month, day.day, 20, 30, tzinfo=ZONE)
    told = list(correct(settings, wanted(None, hour=at), "换表", "li-min", None))
    assert told[0] == f"{day} port energy_kwh: 4 -1.5 = 2.5"
    (text,) = corrections(settings, None, in_json=True)
    assert json.loads(text)["from_ms"] == began(day, ZONE) + 20 * HOUR_MS


def test_what_is_refused_is_said_and_not_recorded(settings: Settings, day: date) -> None:
    with pytest.raises(CommandError, match="changes: energy_kwh would be negative"):
        list(correct(settings, wanted(day, changes={"energy_kwh": -5}), "x", "li-min", None))
    today = local_date(now_ms(), ZONE)
    with pytest.raises(CommandError, match=f"day: {today} is provisional"):
        list(correct(settings, wanted(today), "x", "li-min", None))
    with pytest.raises(CommandError, match="there is no compound 'atlantis'"):
        list(correct(settings, wanted(day, compound="atlantis"), "x", "li-min", None))
    for far in (date.min, date.max):
        with pytest.raises((CommandError, UsageError), match=r"day: "):
            list(correct(settings, wanted(far), "x", "li-min", None))
    with pytest.raises(UsageError, match="--day, --hour"):
        list(correct(settings, wanted(None), "x", "li-min", None))
    with pytest.raises(CommandError, match="there is no compound 'atlantis'"):
        list(corrections(settings, "atlantis", in_json=False))
    assert recorded(settings) == 0


@pytest.mark.parametrize("text", ["energy_kwh", "energy_kwh=much"])
def test_changes_are_figures_and_amounts(text: str) -> None:
    assert parse_changes(["energy_kwh=-1.5", "sessions=2"]) == {"energy_kwh": -1.5, "sessions": 2}
    with pytest.raises(UsageError, match="--change"):
        parse_changes([text])
    with pytest.raises(UsageError, match="each figure once"):
        parse_changes(["sessions=1", "sessions=1"])


def test_a_recount_without_readings_changes_no_figure_that_came_from_them(
    settings: Settings, day: date
) -> None:
    told = list(recount(settings, XIANGYUNLI, day, None, "li-min"))
    assert told[0] == f"{PORT}: the store holds no reading of it on that day"
    # two sessions were counted, and none is on record: that is the difference, shown alone
    assert told[1] == f"{day} port sessions: 2 -2 = 0"
    assert told[-1].startswith("nothing was recorded: say --reason")
    assert recorded(settings) == 0
    told = list(recount(settings, XIANGYUNLI, day, "补传", "li-min"))
    assert told[-1].endswith(f"revision 1 of {day}")
    told = list(recount(settings, XIANGYUNLI, day, "补传", "li-min"))
    assert told[-1].endswith("nothing to be recorded")
    assert recorded(settings) == 1


def test_a_recount_of_a_day_outside_retention_is_refused(settings: Settings, day: date) -> None:
    engine = open_operational(settings)
    KeptReadings(engine).forget_before(began(day, ZONE), now_ms())
    engine.dispose()
    with pytest.raises(CommandError, match="no longer kept"):
        list(recount(settings, XIANGYUNLI, day, "补传", "li-min"))
    later = day + timedelta(days=1)
    assert list(recount(settings, XIANGYUNLI, later, None, "li-min"))
