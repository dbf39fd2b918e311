"""People and duty rosters: who is on duty at a time, and why.

A roster is an order of people and a time of hand-over by the clock of its zone. The first of them
has the shift that begins at the hand-over of `starts_on`, the second the next one, and so on, round
and round, also before that day. Whoever is away is stood in for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from devices.days import local_date, zone_of
from devices.words import Language

PEOPLE_AT_MOST = 2_000
ROSTERS_AT_MOST = 500
PEOPLE_OF_A_ROSTER = 100
LEVELS_AT_MOST = 5  # above whoever is on duty
PEOPLE_OF_A_LEVEL = 20
TARGETS_OF_A_PERSON = 10
STAND_INS_AT_MOST = 2_000  # that are not over


class Rotation(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"  # hands over on the day of the week of `starts_on`

    @property
    def days(self) -> int:
        return 1 if self is Rotation.DAILY else 7


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is told of faults. firm: whose; None: the district's.

    targets: by which they are reached, all of them each time.
    """

    id: str
    name: str
    firm: str | None = None
    language: Language = Language.ZH
    phone: str = ""
    targets: tuple[str, ...] = ()
    created_by: str = ""
    created_at_ms: int = 0
    changed_by: str | None = None
    changed_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StandIn:
    """`by` stands in for `person` in [from_ms, to_ms). roster: in this one only; None: in all."""

    id: str
    person: str
    by: str
    from_ms: int
    to_ms: int
    roster: str | None = None
    note: str = ""
    firm: str | None = None
    created_by: str = ""
    created_at_ms: int = 0

    def holds(self, person: str, at_ms: int) -> bool:
        return self.person == person and self.from_ms <= at_ms < self.to_ms


@dataclass(frozen=True, slots=True)
class Roster:
    """people: in their order, at least one. handover_min: minute of the local day.

    levels: who is called next while nobody acknowledges, level 2 first; empty: the next ones of
    the order. stand_ins: those that hold in this roster, the newest last.
    """

    id: str
    name: str
    people: tuple[str, ...]
    starts_on: date
    rotation: Rotation = Rotation.DAILY
    handover_min: int = 8 * 60
    timezone: str = "Asia/Shanghai"
    levels: tuple[tuple[str, ...], ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    firm: str | None = None
    created_by: str = ""
    created_at_ms: int = 0
    changed_by: str | None = None
    changed_at_ms: int | None = None


class DutyWhy(StrEnum):
    ROTATION = "rotation"  # it is their turn
    LEVEL = "level"  # named at this level
    STAND_IN = "stand_in"  # for whoever is away
    CIRCLE = "circle"  # everybody who was to stand in is away too: it stays with who had the turn


@dataclass(frozen=True, slots=True)
class OnDuty:
    """Who is on duty, and why. planned: who would be, if nobody were away.

    from_ms, to_ms: of the shift. until_ms: when the answer may be another one.
    """

    person: str
    why: DutyWhy
    planned: str
    from_ms: int
    to_ms: int
    until_ms: int
    stand_in: StandIn | None = None


def duty(roster: Roster, at_ms: int) -> OnDuty:
    """Who is on duty at that time; at the very minute of the hand-over already the next one."""
    return _turn(roster, at_ms, 0)


def called(roster: Roster, level: int, at_ms: int) -> tuple[OnDuty, ...]:
    """Whom to tell at a level: 1 is whoever is on duty. Empty: there is no such level.

    Nobody twice at one level.
    """
    if level == 1:
        return (duty(roster, at_ms),)
    if not roster.levels:  # round the order, and no further
        return (_turn(roster, at_ms, level - 1),) if 1 < level <= len(roster.people) else ()
    if not 1 < level <= len(roster.levels) + 1:
        return ()
    now = duty(roster, at_ms)
    found: dict[str, OnDuty] = {}
    for person in roster.levels[level - 2]:
        plain = OnDuty(person, DutyWhy.LEVEL, person, now.from_ms, now.to_ms, now.to_ms)
        one = stood_in(plain, roster.stand_ins, at_ms)
        found.setdefault(one.person, one)
    return tuple(found.values())


def stood_in(planned: OnDuty, stand_ins: Sequence[StandIn], at_ms: int) -> OnDuty:
    """Who does what this person was to do at that time. Of several the one made last counts."""
    person, last = planned.person, None
    passed = {person}
    while True:
        holding = [one for one in stand_ins if one.holds(person, at_ms)]
        if not holding:
            break
        last = holding[-1]
        person = last.by
        if person in passed:
            until_ms = _until(planned, passed, stand_ins, at_ms)
            return replace(planned, why=DutyWhy.CIRCLE, until_ms=until_ms)
        passed.add(person)
    until_ms = _until(planned, passed, stand_ins, at_ms)
    if last is None:
        return replace(planned, until_ms=until_ms)
    return replace(planned, person=person, why=DutyWhy.STAND_IN, stand_in=last, until_ms=until_ms)


def alone(person: str, stand_ins: Sequence[StandIn], at_ms: int) -> OnDuty:
    """Who does what this person, named without a roster, was to do at that time.

    Stand-ins of one roster only do not count.
    """
    plain = OnDuty(person, DutyWhy.LEVEL, person, at_ms, _FOREVER_MS, _FOREVER_MS)
    return stood_in(plain, [one for one in stand_ins if one.roster is None], at_ms)


def shifts(roster: Roster, from_ms: int, count: int) -> list[OnDuty]:
    """Who is on duty from then on, one for each stretch with the same answer."""
    found: list[OnDuty] = []
    at_ms = from_ms
    while len(found) < count:
        one = duty(roster, at_ms)
        found.append(one)
        at_ms = one.until_ms
    return found


def duty_text(language: str, on_duty: OnDuty, names: Mapping[str, str], zone: tzinfo) -> str:
    """Why it is them, in words. names: of people, by id."""
    zh = language == "zh"
    planned = names.get(on_duty.planned, on_duty.planned)
    when = _span(on_duty.from_ms, on_duty.to_ms, zone, zh=zh)
    match on_duty.why:
        case DutyWhy.ROTATION:
            return f"轮到{planned}值班（{when}）" if zh else f"{planned}'s turn ({when})"
        case DutyWhy.LEVEL:
            return f"指定通知{planned}" if zh else f"{planned} is named"
        case DutyWhy.CIRCLE:
            if zh:
                return f"{planned}和代班的人都不在，仍由{planned}负责"
            return f"{planned} and all who were to stand in are away: it stays with {planned}"
        case DutyWhy.STAND_IN:
            stand_in = on_duty.stand_in
            assert stand_in is not None
            by = names.get(on_duty.person, on_duty.person)
            for_ = _span(stand_in.from_ms, stand_in.to_ms, zone, zh=zh)
            note = stand_in.note and (f"，{stand_in.note}" if zh else f", {stand_in.note}")
            if zh:
                return f"{by}代{planned}值班（{for_}{note}）"
            return f"{by} stands in for {planned} ({for_}{note})"


_FOREVER_MS = 253_370_764_800_000  # 9999


def _turn(roster: Roster, at_ms: int, further: int) -> OnDuty:
    """Whose turn it is, or who has the turn so many after theirs."""
    zone = zone_of(roster.timezone)
    day = local_date(at_ms, zone)
    if at_ms < _handover(roster, day, zone):
        day -= timedelta(days=1)
    every = roster.rotation.days
    number = (day - roster.starts_on).days // every  # floors, also before `starts_on`
    first = roster.starts_on + timedelta(days=number * every)
    from_ms = _handover(roster, first, zone)
    to_ms = _handover(roster, first + timedelta(days=every), zone)
    person = roster.people[(number + further) % len(roster.people)]
    planned = OnDuty(person, DutyWhy.ROTATION, person, from_ms, to_ms, to_ms)
    return stood_in(planned, roster.stand_ins, at_ms)


def _handover(roster: Roster, day: date, zone: tzinfo) -> int:
    hour, minute = divmod(roster.handover_min, 60)
    at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    return int(at.timestamp()) * 1000


def _until(planned: OnDuty, people: set[str], stand_ins: Sequence[StandIn], at_ms: int) -> int:
    borders = [
        border
        for one in stand_ins
        if one.person in people
        for border in (one.from_ms, one.to_ms)
        if border > at_ms
    ]
    return min([planned.to_ms, *borders])


def _span(from_ms: int, to_ms: int, zone: tzinfo, *, zh: bool) -> str:
    begins, ends = (datetime.fromtimestamp(at / 1000, zone) for at in (from_ms, to_ms))
    return f"{begins:%m-%d %H:%M} {'至' if zh else 'to'} {ends:%m-%d %H:%M}"
