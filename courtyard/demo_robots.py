"""The demo's chat robots: on this machine, in place of DingTalk, WeCom and Feishu.

They run in the demo's own process. At each start they get a new port, so the demo's targets, which
are known by their ids, are given their new addresses.
"""

from dataclasses import dataclass
from secrets import token_hex

from sqlalchemy import Connection, Engine

from courtyard.clock import now_ms
from devices.alerts import ChannelName, Language, Route, Target
from devices.days import DISTRICT_ZONE, local_date
from devices.rosters import Person, Roster
from devices.rules import Severity
from devices.store.database import writing
from devices.store.rosters import add_person, add_roster
from devices.store.scope import DISTRICT
from devices.store.targets import UnknownTarget, add_route, add_target, change_target
from simulators.robots import Robots

_DUTY, _ROSTER = "demo-duty", "demo-roster"


@dataclass(frozen=True, slots=True)
class _Wanted:
    id: str
    name: str
    channel: ChannelName
    firm: str | None
    language: Language
    severities: tuple[Severity, ...]


def _wanted(firm: str | None) -> list[_Wanted]:
    """The duty staff of the district, and one property firm."""
    serious = (Severity.P1, Severity.P2)
    wanted = [
        _Wanted(_DUTY, "区值班群", ChannelName.DINGTALK, None, Language.ZH, serious),
        _Wanted("demo-duty-en", "Duty desk", ChannelName.FEISHU, None, Language.EN, serious[:1]),
    ]
    if firm is not None:
        some = (*serious, Severity.P3)
        wanted.append(
            _Wanted(f"demo-{firm}", f"物业群 {firm}", ChannelName.WECOM, firm, Language.ZH, some)
        )
    return wanted


def start_robots(engine: Engine, firm: str | None) -> Robots:
    """Robots that answer, and targets and routes in the database that lead to them."""
    robots = Robots(now_ms)
    robots.start()
    with writing(engine) as connection:
        for one in _wanted(firm):
            _lead_to(connection, robots, one)
    return robots


# Who takes turns in the district's duty group, a day each.
_PEOPLE = (("demo-li", "李伟"), ("demo-wang", "王芳"), ("demo-zhao", "赵敏"))


def _staff(connection: Connection) -> None:
    """A roster of the district's, so that it is on record who was on duty for what."""
    at_ms = now_ms()
    for name, called in _PEOPLE:
        person = Person(name, called, targets=(_DUTY,), created_by="demo", created_at_ms=at_ms)
        add_person(connection, person)
    roster = Roster(
        id=_ROSTER,
        name="区值班",
        people=tuple(name for name, _ in _PEOPLE),
        starts_on=local_date(at_ms, DISTRICT_ZONE),
        created_by="demo",
        created_at_ms=at_ms,
    )
    add_roster(connection, roster)
    route = Route(
        id=_ROSTER,
        roster=_ROSTER,
        severities=(Severity.P1, Severity.P2),
        created_by="demo",
        created_at_ms=at_ms,
    )
    add_route(connection, route)


def _lead_to(connection: Connection, robots: Robots, wanted: _Wanted) -> None:
    token, secret = token_hex(16), f"SEC{token_hex(16)}"
    secrets: tuple[str, ...] = (secret,)
    match wanted.channel:
        case ChannelName.DINGTALK:
            url = robots.dingtalk(wanted.name, token, secret=secret)
        case ChannelName.FEISHU:
            url = robots.feishu(wanted.name, token, secret=secret)
        case _:
            url, secrets = robots.wecom(wanted.name, token), ()
    at_ms = now_ms()
    target = Target(
        id=wanted.id,
        name=wanted.name,
        channel=wanted.channel,
        url=url,
        secrets=secrets,
        firm=wanted.firm,
        language=wanted.language,
        created_by="demo",
        created_at_ms=at_ms,
    )
    try:
        change_target(connection, DISTRICT, wanted.id, target)
    except UnknownTarget:
        add_target(connection, target)
        route = Route(
            id=wanted.id,
            target=wanted.id,
            firm=wanted.firm,
            severities=wanted.severities,
            created_by="demo",
            created_at_ms=at_ms,
        )
        add_route(connection, route)
        if target.id == _DUTY:
            _staff(connection)
