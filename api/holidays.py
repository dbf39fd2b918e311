"""Public holidays and make-up working days, a list for each year, as operators enter them."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api import shapes
from api.errors import BadParameter, Forbidden, NotFound
from api.identity import Actor, Identity, Reader, Role
from api.instants import print_known
from api.parts import PartsOf
from devices.calendars import FIRST_YEAR, LAST_YEAR, BadCalendar, Holiday, Year
from devices.store.database import reading, writing
from devices.store.holidays import (
    Entered,
    UnknownYear,
    delete_year,
    find_year,
    list_years,
    put_year,
)

router = APIRouter(prefix="/v1", tags=["alerts"], responses=shapes.refusals.PROBLEMS)

YearOf = Annotated[int, Path(ge=FIRST_YEAR, le=LAST_YEAR)]


@router.get("/holidays")
def list_holidays(parts: PartsOf, _who: Reader) -> shapes.duty.Years:
    """Public holidays and make-up working days, the newest year first."""
    with reading(parts.deps.engine) as connection:
        return shapes.duty.Years(items=[shape_year(one) for one in list_years(connection)])


@router.get("/holidays/{year}")
def get_holidays(parts: PartsOf, _who: Reader, year: YearOf) -> shapes.duty.Year:
    """Those of one year."""
    with reading(parts.deps.engine) as connection:
        try:
            return shape_year(find_year(connection, year))
        except UnknownYear as error:
            raise NotFound from error


@router.put("/holidays/{year}", responses=shapes.refusals.HOLIDAYS_REFUSED)
def replace_holidays(
    parts: PartsOf, who: Actor, year: YearOf, body: shapes.duty.YearSettings
) -> shapes.duty.Year:
    """Enter a year's list, as it was announced, in the place of the one before."""
    _check_operator(who)
    try:
        off = [
            Holiday(one.name, _date("off", one.first), _date("off", one.last)) for one in body.off
        ]
        work = [_date("work", day) for day in body.work]
        listed = Year(year, tuple(sorted(off, key=_first)), tuple(sorted(work)))
    except BadCalendar as error:
        raise BadParameter("off", str(error)) from error
    entered = Entered(listed, who.name, parts.now_ms())
    with writing(parts.deps.engine) as connection:
        put_year(connection, entered)
    return shape_year(entered)


@router.delete("/holidays/{year}", status_code=204, responses=shapes.refusals.HOLIDAYS_REFUSED)
def remove_holidays(parts: PartsOf, who: Actor, year: YearOf) -> Response:
    """What came with courtyard counts again, or of a year that did not the days of the week."""
    _check_operator(who)
    with writing(parts.deps.engine) as connection:
        try:
            delete_year(connection, year)
        except UnknownYear as error:
            raise NotFound from error
    return Response(status_code=204)


def shape_year(entered: Entered) -> shapes.duty.Year:
    return shapes.duty.Year(
        year=entered.year.year,
        off=[
            shapes.duty.Holiday(
                name=one.name, first=one.first.isoformat(), last=one.last.isoformat()
            )
            for one in entered.year.off
        ],
        work=[day.isoformat() for day in entered.year.work],
        changed_by=entered.changed_by,
        changed_at=print_known(entered.changed_at_ms),
    )


def _check_operator(who: Identity) -> None:
    if who.role is not Role.OPERATOR:
        raise Forbidden("Only operators change the holidays of a year: ask one of them.")


def _date(parameter: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadParameter(parameter, f"{text} is not in the calendar") from error


def _first(holiday: Holiday) -> date:
    return holiday.first
