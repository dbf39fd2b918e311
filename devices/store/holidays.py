"""Public holidays and make-up working days, a list for each year. Nothing here commits."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from devices.calendars import ANNOUNCED, Calendar, Holiday, Year
from devices.store.database import conflict_insert
from devices.store.schema import holidays


class UnknownYear(LookupError):
    """Nobody has entered the holidays of that year, nor are they among those that we know."""


def calendar(connection: Connection) -> Calendar:
    """All years of which there is a list."""
    return Calendar.of([one.year for one in list_years(connection)])


@dataclass(frozen=True, slots=True)
class Entered:
    """A year's list, and who entered it as it is; None: it came with us."""

    year: Year
    changed_by: str | None = None
    changed_at_ms: int | None = None


def list_years(connection: Connection) -> list[Entered]:
    """The newest year first."""
    known = {year: Entered(listed) for year, listed in ANNOUNCED.items()}
    known |= {row.year: _entered(row) for row in connection.execute(select(holidays))}
    return [known[year] for year in sorted(known, reverse=True)]


def find_year(connection: Connection, year: int) -> Entered:
    """Raises UnknownYear."""
    row = connection.execute(select(holidays).where(holidays.c.year == year)).one_or_none()
    if row is not None:
        return _entered(row)
    if year not in ANNOUNCED:
        raise UnknownYear(year)
    return Entered(ANNOUNCED[year])


def put_year(connection: Connection, entered: Entered) -> None:
    """In the place of the list that there was of this year."""
    row = {
        "off": [
            {"name": one.name, "first": one.first.isoformat(), "last": one.last.isoformat()}
            for one in entered.year.off
        ],
        "work": [day.isoformat() for day in entered.year.work],
        "changed_by": entered.changed_by,
        "changed_at_ms": entered.changed_at_ms,
    }
    made = conflict_insert(connection, holidays).values(year=entered.year.year, **row)
    connection.execute(made.on_conflict_do_update(index_elements=["year"], set_=row))


def delete_year(connection: Connection, year: int) -> None:
    """What came with us counts again, or only the days of the week. Raises UnknownYear where
    nobody has entered a list."""
    if connection.execute(delete(holidays).where(holidays.c.year == year)).rowcount != 1:
        raise UnknownYear(year)


def _entered(row: Row[Any]) -> Entered:
    off = tuple(
        Holiday(one["name"], date.fromisoformat(one["first"]), date.fromisoformat(one["last"]))
        for one in row.off
    )
    work = tuple(date.fromisoformat(day) for day in row.work)
    return Entered(Year(row.year, off, work), row.changed_by, row.changed_at_ms)
