from sqlalchemy import Engine

from devices.store.database import writing
from devices.store.scope import DISTRICT, Scope
from devices.store.usage import device_hours, reporters
from tests.api.cast import GATE, HOUR_MS, LAMP, PORT, XIANGYUNLI, a_district, an_hour, number_of


def test_hours_of_a_compound_come_in_order_with_their_figures(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        an_hour(connection, PORT, 2 * HOUR_MS, 60, energy_kwh=0.25, stop_reasons={"full": 1})
        an_hour(connection, GATE, HOUR_MS, 120, granted=7, by_method={"face": 7})
        an_hour(connection, LAMP, 3 * HOUR_MS, 4)
        rows = device_hours(connection, DISTRICT, XIANGYUNLI, HOUR_MS, 3 * HOUR_MS)
        assert [(row.hour_ms, row.kind, row.received, row.figures) for row in rows] == [
            (HOUR_MS, "gate", 120, {"granted": 7, "by_method": {"face": 7}}),
            (2 * HOUR_MS, "port", 60, {"energy_kwh": 0.25, "stop_reasons": {"full": 1}}),
        ]
        assert rows[0].device_no == number_of(connection, GATE)
        strange = device_hours(connection, Scope("kangqiao"), XIANGYUNLI, 0, 9 * HOUR_MS)
        assert strange == []


def test_whoever_should_report_is_known_from_the_registry(any_database: Engine) -> None:
    with writing(any_database) as connection:
        a_district(connection)
        known = {device.no: device for device in reporters(connection, DISTRICT, XIANGYUNLI)}
        assert len(known) == 7
        lamp = known[number_of(connection, LAMP)]
        assert (lamp.kind, lamp.interval_s, lamp.attributes["supply"]) == ("lamp", 900, "switched")
        assert reporters(connection, Scope("kangqiao"), XIANGYUNLI) == []
