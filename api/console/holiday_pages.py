"""The console's page of public holidays and make-up working days, a list for each year."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.responses import RedirectResponse, Response

from api import holidays, shapes
from api.console.form_refusals import NOTHING, REFUSALS, Said, refused, say_done
from api.console.pages import Page, PageOf
from api.errors import BadParameter
from api.identity import Actor, Identity, Reader, Role
from api.instants import when
from api.parts import Parts, PartsOf
from devices.calendars import FIRST_YEAR, LAST_YEAR
from devices.store.database import reading
from devices.store.holidays import Entered, list_years

router = APIRouter(include_in_schema=False)

YearOf = Annotated[int, Form(ge=FIRST_YEAR, le=LAST_YEAR)]
TextOf = Annotated[str, Form(max_length=8000)]
DoneOf = Annotated[str, Query(pattern="^(saved)?$")]


@router.get("/alerts/holidays")
def holidays_page(parts: PartsOf, who: Reader, page: PageOf, done: DoneOf = "") -> Response:
    """Those of which there is a list, the newest year first."""
    return _page(parts, who, page, said=say_done(page, done and "du_saved"))


@router.post("/alerts/holidays")
def enter_year(
    parts: PartsOf,
    who: Actor,
    page: PageOf,
    year: YearOf = FIRST_YEAR,
    off: TextOf = "",
    work: TextOf = "",
) -> Response:
    """All of a year, in place of the list before; what it cannot be is told on the page."""
    written = {"year": str(year), "off": off, "work": work}
    try:
        body = shapes.duty.YearSettings(off=_holidays(off), work=_words(work))
        holidays.replace_holidays(parts, who, year, body)
    except REFUSALS as error:
        return _page(parts, who, page, said=refused(page, error), written=written)
    return RedirectResponse("/alerts/holidays?done=saved", 303)


@dataclass(frozen=True, slots=True)
class YearLine:
    """text: of the list, as the form takes it. since: who entered it and when."""

    year: int
    off: list[tuple[str, str]]
    work: str
    text: str
    since: str


def _page(
    parts: Parts,
    who: Identity,
    page: Page,
    *,
    said: Said = NOTHING,
    written: dict[str, str] | None = None,
) -> Response:
    with reading(parts.deps.engine) as connection:
        years = [_line(page, one) for one in list_years(connection)]
    return page.render(
        "alert_holidays.html",
        said.status,
        who=who,
        years=years,
        years_from=FIRST_YEAR,
        years_to=LAST_YEAR,
        written={"year": "", "off": "", "work": ""} | (written or {}),
        may_act=who.role is Role.OPERATOR,
        said=said,
    )


def _line(page: Page, entered: Entered) -> YearLine:
    off = [(one.name, one.first.isoformat(), one.last.isoformat()) for one in entered.year.off]
    since = page.say("ho_came_with")
    if entered.changed_by is not None:
        at = when(entered.changed_at_ms or 0, None)
        since = page.say("al_made_by", who=entered.changed_by, at=at)
    return YearLine(
        year=entered.year.year,
        off=[(name, first if first == last else f"{first} – {last}") for name, first, last in off],
        work=page.say("list_comma").join(day.isoformat() for day in entered.year.work),
        text="\n".join(" ".join(one) for one in off),
        since=since,
    )


def _holidays(text: str) -> list[shapes.duty.Holiday]:
    """A line each: its name, the first day, and the last one if it is another."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line)
        if not words:
            continue
        days = [word for word in words if word[:1].isdigit()]
        name = " ".join(word for word in words if not word[:1].isdigit())
        if not 1 <= len(days) <= 2 or not name:
            raise BadParameter(
                f"off.{number}", "write a name, the first day and the last, like 2027-01-01"
            )
        found.append(shapes.duty.Holiday(name=name, first=days[0], last=days[-1]))
    return found


def _words(text: str) -> list[str]:
    """What is written between blanks and commas."""
    return text.replace(",", " ").replace("，", " ").replace("、", " ").split()
