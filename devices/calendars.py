"""Work days, public holidays and make-up working days; and the hours in which a route leads.

In China holidays move each year, and some Saturdays and Sundays are worked for them (调休); they
are known once the State Council has announced them, in November of the year before. Operators enter
a year's list; of a year without one only the days of the week are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from types import MappingProxyType

DAY_MIN = 1440
FIRST_YEAR, LAST_YEAR = 2000, 2100
OFF_AT_MOST = 60  # days of a year
NAME_CHARACTERS = 40


class Day(StrEnum):
    """What a day is; each is exactly one."""

    WORKDAY = "workday"  # Monday to Friday but for holidays, and make-up working days
    WEEKEND = "weekend"  # Saturday and Sunday, neither a holiday nor worked
    HOLIDAY = "holiday"


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAYS = (*(day.value for day in Day), *WEEKDAYS)  # what `Hours.days` may name


class BadCalendar(ValueError):
    """A list of holidays, or hours, that cannot be right; says what and what to do."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """Days off in a row, both included."""

    name: str
    first: date
    last: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True, slots=True)
class Year:
    """The public holidays of a year, and the days on which people work for them."""

    year: int
    off: tuple[Holiday, ...]
    work: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        if not FIRST_YEAR <= self.year <= LAST_YEAR:
            raise BadCalendar(f"{self.year} is not a year from {FIRST_YEAR} to {LAST_YEAR}")
        free: dict[date, str] = {}
        for holiday in self.off:
            self._check(holiday)
            for day in holiday.days:
                if day in free:
                    raise BadCalendar(f"{day} is in both {free[day]} and {holiday.name}")
                free[day] = holiday.name
        if len(free) > OFF_AT_MOST:
            raise BadCalendar(f"{len(free)} days off are more than {OFF_AT_MOST}: too many")
        for day in self.work:
            self._check_work(day, free)
        if len(set(self.work)) != len(self.work):
            raise BadCalendar("a make-up working day is named twice")

    def _check(self, holiday: Holiday) -> None:
        if not 0 < len(holiday.name.strip()) <= NAME_CHARACTERS:
            raise BadCalendar(f"a holiday has a name of 1 to {NAME_CHARACTERS} characters")
        if holiday.last < holiday.first:
            raise BadCalendar(f"{holiday.name} ends before it begins")
        for day in (holiday.first, holiday.last):
            if day.year != self.year:
                raise BadCalendar(
                    f"{day} of {holiday.name} is not in {self.year}: put it into that year's list"
                )

    def _check_work(self, day: date, free: Mapping[date, str]) -> None:
        if day.year != self.year:
            raise BadCalendar(f"{day} is not in {self.year}: put it into that year's list")
        if day in free:
            raise BadCalendar(f"{day} is a make-up working day and also in {free[day]}")
        if day.weekday() < 5:
            raise BadCalendar(
                f"{day} is a {WEEKDAYS[day.weekday()]}: "
                "make-up working days are Saturdays and Sundays"
            )


@dataclass(frozen=True, slots=True)
class Calendar:
    """All years that somebody has entered."""

    years: frozenset[int] = frozenset()
    off: Mapping[date, str] = field(default_factory=dict)
    work: frozenset[date] = frozenset()

    @staticmethod
    def of(years: Sequence[Year]) -> "Calendar":
        return Calendar(
            frozenset(one.year for one in years),
            {day: holiday.name for one in years for holiday in one.off for day in holiday.days},
            frozenset(day for one in years for day in one.work),
        )

    def kind_of(self, day: date) -> Day:
        """What this day is; without a list of its year only by the day of the week."""
        if day in self.off:
            return Day.HOLIDAY
        if day.weekday() < 5 or day in self.work:
            return Day.WORKDAY
        return Day.WEEKEND


NO_HOLIDAYS = Calendar()


def _announced(year: int, off: Sequence[tuple[str, str, str]], work: Sequence[str]) -> Year:
    """Days as MM-DD."""
    return Year(
        year,
        tuple(
            Holiday(name, *(date.fromisoformat(f"{year}-{day}") for day in days))
            for name, *days in off
        ),
        tuple(date.fromisoformat(f"{year}-{day}") for day in work),
    )


# What counts of a year as long as no operator has entered a list of it. Source: 国务院办公厅关于
# 2026年部分节假日安排的通知, 2025-11-04. The next one's was not known when this was written.
ANNOUNCED: Mapping[int, Year] = MappingProxyType(
    {
        2026: _announced(
            2026,
            (
                ("元旦", "01-01", "01-03"),
                ("春节", "02-15", "02-23"),
                ("清明节", "04-04", "04-06"),
                ("劳动节", "05-01", "05-05"),
                ("端午节", "06-19", "06-21"),
                ("中秋节", "09-25", "09-27"),
                ("国庆节", "10-01", "10-07"),
            ),
            ("01-04", "02-14", "02-28", "05-09", "09-20", "10-10"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a route leads, by the local time of the fault's compound.

    days: any of `DAYS`; empty is every day. from_min, to_min: minutes of the day, the first
    included, the last not; where `to_min` is not after `from_min` they end on the next day, and
    belong to the one on which they began. outside: at all times but these.
    """

    days: tuple[str, ...] = ()
    from_min: int = 0
    to_min: int = DAY_MIN
    outside: bool = False

    def __post_init__(self) -> None:
        unknown = [day for day in self.days if day not in DAYS]
        if unknown:
            raise BadCalendar(f"{unknown[0][:20]!r} is not one of {', '.join(DAYS)}")
        if not 0 <= self.from_min < DAY_MIN or not 0 < self.to_min <= DAY_MIN:
            raise BadCalendar("times are from 00:00 to 23:59, and at the end 24:00")
        if self.from_min == self.to_min:
            raise BadCalendar("they begin and end at the same time: leave both out for all day")
        if not self.days and (self.from_min, self.to_min) == (0, DAY_MIN):
            raise BadCalendar("they hold always, or never: name days, or from and to")

    @property
    def over_midnight(self) -> bool:
        return self.to_min < self.from_min

    def hold(self, at_ms: int, zone: tzinfo, calendar: Calendar) -> bool:
        """Whether a route with these hours leads at that time."""
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        minute = local.hour * 60 + local.minute
        today = local.date()
        if self.over_midnight:
            inside = (minute >= self.from_min and self._names(today, calendar)) or (
                minute < self.to_min and self._names(today - timedelta(days=1), calendar)
            )
        else:
            inside = self.from_min <= minute < self.to_min and self._names(today, calendar)
        return inside is not self.outside

    def _names(self, day: date, calendar: Calendar) -> bool:
        return (
            not self.days
            or WEEKDAYS[day.weekday()] in self.days
            or calendar.kind_of(day).value in self.days
        )


def parse_minute(text: str) -> int:
    """Minutes of the day of HH:MM, 00:00 to 24:00; raises BadCalendar."""
    hours, colon, minutes = text.partition(":")
    if colon and len(text) == 5 and (hours + minutes).isdecimal() and text.isascii():
        minute = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and minute <= DAY_MIN:
            return minute
    raise BadCalendar(f"{text[:20]!r} is not a time like 08:30")


def print_minute(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


_ZH_DAYS = {
    **dict(zip(WEEKDAYS, ("周一", "周二", "周三", "周四", "周五", "周六", "周日"), strict=True)),
    "workday": "工作日",
    "weekend": "周末",
    "holiday": "节假日",
}
_EN_DAYS = {
    **dict(zip(WEEKDAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True)),
    "workday": "working days",
    "weekend": "weekends",
    "holiday": "public holidays",
}


def hours_text(language: str, hours: Hours) -> str:
    """Like 工作日 08:30–17:30 or 除周末、节假日外; language: zh or en."""
    names = _ZH_DAYS if language == "zh" else _EN_DAYS
    days = ("、" if language == "zh" else ", ").join(names[day] for day in hours.days)
    parts = [days] if days else []
    if (hours.from_min, hours.to_min) != (0, DAY_MIN):
        end = print_minute(hours.to_min)
        if hours.over_midnight:
            end = f"次日 {end}" if language == "zh" else f"{end} of the next day"
        parts.append(f"{print_minute(hours.from_min)}–{end}")
    told = " ".join(parts)
    if not hours.outside:
        return told
    return f"除 {told} 外" if language == "zh" else f"outside {told}"


def moment_text(language: str, at_ms: int, zone: tzinfo, calendar: Calendar) -> str:
    """A local time with what its day is, like 2026-10-10 周六 09:00（工作日，调休）."""
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    day = local.date()
    kind = calendar.kind_of(day)
    zh = language == "zh"
    names = _ZH_DAYS if zh else _EN_DAYS
    what = {
        Day.WORKDAY: ("工作日", "working day"),
        Day.WEEKEND: ("周末", "weekend"),
        Day.HOLIDAY: ("节假日", "public holiday"),
    }[kind][0 if zh else 1]
    comma = "，" if zh else ", "
    if kind is Day.HOLIDAY:
        what += comma + calendar.off[day]
    elif day in calendar.work:
        what += comma + ("调休" if zh else "make-up")
    elif day.year not in calendar.years:
        what += comma + (f"{day.year} 年节假日未录入" if zh else f"no holidays of {day.year} known")
    when = f"{day} {names[WEEKDAYS[day.weekday()]]} {local:%H:%M}"
    return f"{when}（{what}）" if zh else f"{when} ({what})"
